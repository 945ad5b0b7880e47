"""The slides of the lecture.

``slides/lecture.md`` has the words, and names figures by chapter and cell, whose committed output
they are (``![](01_attention_in_seq2seq#hero)``). Written are ``lecture.html``, one file without
network (arrow keys turn pages, N shows the notes), the same for Marp, and with ``--pdf`` a PDF.
"""

from __future__ import annotations

import base64
import re
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from jinja2 import Template
from markdown_it import MarkdownIt
from math_core import LatexToMathML
from mdit_py_plugins.dollarmath import dollarmath_plugin

import chromium
from environment import CourseError, Project

FIGURE = re.compile(r"!\[\]\(([\w-]+)#([\w-]+)\)\n*")
NOTES = re.compile(r"<!--(.*?)-->\n*", re.DOTALL)


class Slide(NamedTuple):
    """Markdown without figures and notes, what the speaker says and does, and figures beside it."""

    body: str
    notes: str
    figures: list[tuple[str, str]]  # notebook and cell


def find_figure(book: Path, chapter: str, cell_id: str) -> dict[str, str]:
    """The picture that a cell of a chapter shows: ``png``, in base64, and ``alt``, its text.

    CourseError: there is no such notebook or cell, or the cell has no picture or no alt text.
    """
    try:
        cells = nbformat.read(book / f"{chapter}.ipynb", as_version=4).cells
        (cell,) = (each for each in cells if each.id == cell_id)
        data = [output.get("data", {}) for output in cell.outputs]
        picture = next(entry["image/png"] for entry in data if "image/png" in entry)
        return {"png": "".join(picture.split()), "alt": cell.metadata["mystnb"]["image"]["alt"]}
    except (OSError, ValueError, AttributeError, StopIteration, KeyError) as error:
        raise CourseError(
            f"{chapter}#{cell_id}: expected a chapter with this cell, a picture in its outputs and "
            f"mystnb.image.alt in its metadata, found {error!r}; try `make notebooks`"
        ) from None


def read_slides(text: str) -> list[Slide]:
    """The slides below the front matter: Markdown, parted by lines ``---``, notes in comments."""
    return [
        Slide(
            body=NOTES.sub("", FIGURE.sub("", part)).strip(),
            notes=" ".join(" ".join(NOTES.findall(part)).split()),
            figures=FIGURE.findall(part),
        )
        for part in re.split(r"^---\n", text, flags=re.MULTILINE)[2:]
    ]


def build(project: Project, pdf: bool = False) -> int:
    """Write the slides, with a PDF where that is asked for."""

    def formula(latex: str, options: dict[str, Any]) -> str:
        return converter.convert_with_local_state(latex, displaystyle=options["display_mode"])

    root, out = project.root, project.build / "slides"
    text = (root / "slides" / "lecture.md").read_text(encoding="utf-8")
    figures = {names: find_figure(root / "book", *names) for names in FIGURE.findall(text)}
    shutil.rmtree(out / "figures", ignore_errors=True)
    (out / "figures").mkdir(parents=True)
    for names, figure in figures.items():
        (out / "figures" / f"{'-'.join(names)}.png").write_bytes(base64.b64decode(figure["png"]))
    marp = FIGURE.sub(r"![bg right:50% fit](figures/\1-\2.png)\n\n", text)
    (out / "lecture.md").write_text(marp, encoding="utf-8")

    converter = LatexToMathML()
    markdown = MarkdownIt("commonmark").use(dollarmath_plugin, renderer=formula)
    page = out / "lecture.html"
    template = (root / "slides" / "page.html").read_text(encoding="utf-8")
    whole = Template(template, autoescape=True).render(
        font=base64.b64encode((root / "book/_static/formulas.woff2").read_bytes()).decode(),
        slides=read_slides(text),
        figures=figures,
        markdown=markdown,
    )
    page.write_text(whole, encoding="utf-8")
    print(page)
    if pdf:
        page.with_suffix(".pdf").write_bytes(chromium.printed(page))
        print(page.with_suffix(".pdf"))
    return 0

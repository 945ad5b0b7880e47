"""The slides of the lecture.

``slides/lecture.md`` has the words. Its figures are those of the chapters, named by notebook and
cell (``![](01_attention_in_seq2seq#hero)``), and taken from the committed outputs. Written are
``lecture.html``, one file without network (arrow keys turn pages, N shows the notes);
``lecture.md`` and ``figures/`` for Marp, which makes PowerPoint of it; with ``--pdf`` a PDF.
"""

from __future__ import annotations

import base64
import html
import io
import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import yaml
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin

import chromium
from environment import CourseError, Project

FIGURE = re.compile(r"!\[\]\(([\w-]+)#([\w-]+)\)\n*")
NOTES = re.compile(r"<!--(.*?)-->\n*", re.DOTALL)
POINTS = 10
"""Font size at which Matplotlib sets formulas; the page scales them to its own."""


class Figure(NamedTuple):
    """A picture of the book: its name, content, and text for those who cannot see it."""

    name: str
    png: bytes
    alt: str


class Slide(NamedTuple):
    """Markdown without figures and notes, what the speaker says and does, and figures beside it."""

    body: str
    notes: str
    figures: tuple[Figure, ...]


def find_figure(book: Path, chapter: str, cell_id: str) -> Figure:
    """The picture that a cell of a chapter shows in the book.

    Raises:
        CourseError: there is no such notebook or cell, or the cell has no picture or no alt text.
    """
    where = f"{chapter}#{cell_id}"
    path = book / f"{chapter}.ipynb"
    cells = nbformat.read(path, as_version=4).cells if path.exists() else []
    cell = next((each for each in cells if each.id == cell_id), None)
    if cell is None:
        raise CourseError(f"{where}: expected a cell of this id in {path}, found none")
    data = [output.get("data", {}) for output in cell.get("outputs", [])]
    pictures = [entry["image/png"] for entry in data if "image/png" in entry]
    if not pictures:
        raise CourseError(f"{where}: expected a picture in the outputs; run `make notebooks`")
    alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
    if not alt:
        raise CourseError(f"{where}: expected mystnb.image.alt in the metadata of the cell")
    return Figure(f"{chapter[:2]}-{cell_id}.png", base64.b64decode(pictures[0]), alt)


def read_slides(source: str, book: Path) -> tuple[dict[str, Any], list[Slide]]:
    """Front matter and slides: Markdown, parted by lines ``---``, with notes in comments."""
    _, matter, text = re.split(r"^---\n", source, maxsplit=2, flags=re.MULTILINE)
    slides = []
    for part in re.split(r"^---\n", text, flags=re.MULTILINE):
        notes = " ".join(" ".join(NOTES.findall(part)).split())
        figures = tuple(find_figure(book, *names) for names in FIGURE.findall(part))
        slides.append(Slide(NOTES.sub("", FIGURE.sub("", part)).strip(), notes, figures))
    return yaml.safe_load(matter), slides


@cache
def formula(latex: str) -> str:
    """A formula as an image tag, set by Matplotlib; no TeX and no script is needed."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.mathtext import math_to_image

    target = io.BytesIO()
    font = FontProperties(size=POINTS)
    depth = math_to_image(f"${latex.strip()}$", target, font, dpi=72, format="svg")
    height = float(re.search(rb'height="([\d.]+)pt"', target.getvalue())[1])  # type: ignore[index]
    code = base64.b64encode(target.getvalue()).decode()
    style = f"height:{height / POINTS:.3f}em;vertical-align:{-depth / POINTS:.3f}em"
    return picture(f"svg+xml;base64,{code}", latex.strip(), style)


def picture(source: str, alt: str, style: str = "") -> str:
    """An image that needs no file."""
    styled = f' style="{style}"' if style else ""
    return f'<img alt="{html.escape(alt)}"{styled} src="data:image/{source}">'


def to_html(slides: list[Slide], title: str) -> str:
    """One self-contained page."""
    markdown = MarkdownIt("commonmark").use(
        dollarmath_plugin, renderer=lambda latex, _: formula(latex)
    )
    parts = []
    for number, slide in enumerate(slides, start=1):
        pictures = "".join(
            picture(f"png;base64,{base64.b64encode(png).decode()}", alt)
            for _, png, alt in slide.figures
        )
        beside = f'<div class="figures">{pictures}</div>' if pictures else ""
        parts.append(
            f'<section id="{number}"><div class="slide{"" if pictures else " wide"}">'
            f'<div class="words">{markdown.render(slide.body)}</div>{beside}'
            f'<footer>{number}</footer></div><aside aria-label="Notes">'
            f"{markdown.renderInline(slide.notes)}</aside></section>"
        )
    page = (Path(__file__).parents[1] / "slides" / "page.html").read_text(encoding="utf-8")
    return page.replace("@TITLE@", html.escape(title)).replace("@SLIDES@", "\n".join(parts))


def to_marp(source: str) -> str:
    """The lecture for Marp, with figures as files at the right."""
    return FIGURE.sub(r"![bg right:50% fit](figures/\1-\2.png)\n\n", source)


def write(root: Path, out: Path) -> Path:
    """Write the slides of a checkout into a directory, and return the page.

    Raises:
        CourseError: a figure is not in the book.
    """
    text, book = (root / "slides" / "lecture.md").read_text(encoding="utf-8"), root / "book"
    matter, slides = read_slides(text, book)
    shutil.rmtree(out / "figures", ignore_errors=True)
    (out / "figures").mkdir(parents=True)
    for names in FIGURE.findall(text):
        png = find_figure(book, *names).png
        (out / "figures" / f"{'-'.join(names)}.png").write_bytes(png)
    (out / "lecture.md").write_text(to_marp(text), encoding="utf-8")
    page = out / "lecture.html"
    page.write_text(to_html(slides, matter["title"]), encoding="utf-8")
    return page


def build(project: Project, pdf: bool = False) -> int:
    """Write the slides, with a PDF where that is asked for."""
    page = write(project.root, project.build / "slides")
    print(page)
    if pdf:
        page.with_suffix(".pdf").write_bytes(chromium.printed(page))
        print(page.with_suffix(".pdf"))
    return 0

"""The slides of the lecture: ``python tools/lecture.py [--out DIR] [--pdf]``.

``slides/lecture.md`` has the words. Its figures are those of the chapters, named by notebook and
cell (``![](01_attention_in_seq2seq#hero)``), and are taken from the committed outputs each time, so
that slides and book cannot differ. Written are

- ``lecture.html``: one file, without network; arrow keys turn pages, N shows the notes;
- ``lecture.md`` and ``figures/``: the same for Marp, which makes PowerPoint of it;
- ``lecture.pdf``, with ``--pdf``: one slide a page, printed by Chromium.
"""

from __future__ import annotations

import argparse
import base64
import html
import io
import re
import shutil
import sys
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import yaml
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin

import chromium
from environment import CourseError, write_atomically

ROOT = Path(__file__).resolve().parent.parent
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
    if not path.exists():
        raise CourseError(f"{where}: expected a notebook {path.name} in {book}, found none")
    cell = next((c for c in nbformat.read(path, as_version=4).cells if c.id == cell_id), None)
    if cell is None:
        raise CourseError(f"{where}: expected a cell of this id in {path.name}, found none")
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
    page = (ROOT / "slides" / "page.html").read_text(encoding="utf-8")
    return page.replace("@TITLE@", html.escape(title)).replace("@SLIDES@", "\n".join(parts))


def to_marp(source: str) -> str:
    """The lecture for Marp, with figures as files at the right."""
    return FIGURE.sub(r"![bg right:50% fit](figures/\1-\2.png)\n\n", source)


def build(source: Path, book: Path, out: Path) -> Path:
    """Write the slides of a lecture into a directory, and return the page.

    Raises:
        CourseError: a figure is not in the book.
    """
    text = source.read_text(encoding="utf-8")
    matter, slides = read_slides(text, book)
    figures = out / "figures"
    shutil.rmtree(figures, ignore_errors=True)
    figures.mkdir(parents=True)
    for names in FIGURE.findall(text):
        (figures / f"{'-'.join(names)}.png").write_bytes(find_figure(book, *names).png)
    write_atomically(out / source.name, to_marp(text))
    page = out / f"{source.stem}.html"
    write_atomically(page, to_html(slides, matter["title"]))
    return page


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="lecture.py", description=(__doc__ or "").split(":")[0])
    parser.add_argument("--out", type=Path, default=root / "_build" / "slides")
    parser.add_argument("--pdf", action="store_true", help="print a PDF with Chromium, too")
    options = parser.parse_args(arguments)
    try:
        made = [build(root / "slides" / "lecture.md", root / "book", options.out)]
        print(made[0])
        if options.pdf:
            made.append(made[0].with_suffix(".pdf"))
            made[1].write_bytes(chromium.printed(made[0]))
            print(made[1])
    except CourseError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

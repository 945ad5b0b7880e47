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
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import yaml
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin

import chromium
from environment import CourseError, write_atomically

FIGURE = re.compile(r"!\[\]\(([\w-]+)#([\w-]+)\)\n*")
NOTES = re.compile(r"<!--(.*?)-->\n*", re.DOTALL)
POINTS = 10
"""Font size at which Matplotlib sets formulas; the page scales them to its own."""


@dataclass(frozen=True)
class Figure:
    """A picture of the book.

    Attributes:
        name: of the file that it is written to.
        png: its content.
        alt: text for those who cannot see it.
    """

    name: str
    png: bytes
    alt: str


@dataclass(frozen=True)
class Slide:
    """One slide.

    Attributes:
        body: Markdown without figures and notes.
        notes: what the speaker says, asks and does.
        figures: shown beside the text.
    """

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
    cells = nbformat.read(path, as_version=4).cells
    found = [cell for cell in cells if cell.id == cell_id]
    if not found:
        raise CourseError(f"{where}: expected a cell of this id in {path.name}, found none")
    data = [output.get("data", {}) for output in found[0].get("outputs", [])]
    pictures = [entry["image/png"] for entry in data if "image/png" in entry]
    if not pictures:
        raise CourseError(f"{where}: expected a picture in the outputs; run `make notebooks`")
    alt = found[0].metadata.get("mystnb", {}).get("image", {}).get("alt", "")
    if not alt:
        raise CourseError(f"{where}: expected mystnb.image.alt in the metadata of the cell")
    return Figure(f"{chapter[:2]}-{cell_id}.png", base64.b64decode(pictures[0]), alt)


def read_slides(source: str, book: Path) -> tuple[dict[str, Any], list[Slide]]:
    """Front matter and slides of a lecture.

    Args:
        source: Markdown, with front matter, slides between lines ``---``, notes in comments.
        book: directory of the chapters.
    """
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
    source = f"data:image/svg+xml;base64,{code}"
    return f'<img alt="{html.escape(latex.strip())}" style="{style}" src="{source}">'


def to_html(slides: list[Slide], title: str) -> str:
    """One self-contained page."""
    markdown = MarkdownIt("commonmark", {"typographer": False})
    markdown.use(dollarmath_plugin, renderer=lambda latex, _: formula(latex))
    parts = []
    for number, slide in enumerate(slides, start=1):
        pictures = "".join(
            f'<img alt="{html.escape(figure.alt)}" src="data:image/png;base64,'
            f'{base64.b64encode(figure.png).decode()}">'
            for figure in slide.figures
        )
        parts.append(
            f'<section id="{number}"><div class="slide{"" if pictures else " wide"}">'
            f'<div class="words">'
            f"{markdown.render(slide.body)}</div>"
            + (f'<div class="figures">{pictures}</div>' if pictures else "")
            + f'<footer>{number}</footer></div><aside aria-label="Notes">'
            f"{markdown.renderInline(slide.notes)}</aside></section>"
        )
    return PAGE.replace("@TITLE@", html.escape(title)).replace("@SLIDES@", "\n".join(parts))


def to_marp(source: str) -> str:
    """The lecture for Marp, with figures as files at the right."""
    return FIGURE.sub(r"![bg right:50% fit](figures/\1-\2.png)\n\n", source)


def print_pdf(page: Path, program: str) -> Path:
    """Print a page with Chromium, one slide a page.

    Raises:
        CourseError: Chromium wrote no file; its words are in the message.
    """
    target = page.with_suffix(".pdf")
    target.unlink(missing_ok=True)
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"]
    command = [program, *options, f"--print-to-pdf={target}", page.absolute().as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not target.exists():
        raise CourseError(f"{program} could not print {page.name}:\n{done.stderr[-2000:]}")
    return target


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


PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>@TITLE@</title>
<style>
@page { size: 297mm 167mm; margin: 0 }
* { box-sizing: border-box }
body { margin: 0; font-family: "Segoe UI", "Helvetica Neue", Arial, sans-serif; color: #1a1a1a }
.slide { position: relative; display: flex; gap: 3%; align-items: center; width: 100vw;
  height: min(100vh, 56.25vw); padding: 2.5vw 4vw; font-size: min(2.1vw, 3.7vh); line-height: 1.4;
  background: #fff; overflow: hidden }
.wide { font-size: min(2.5vw, 4.4vh) }
section { border-bottom: 1px solid #999; break-after: page }
h1, h2 { margin: 0 0 .6em; line-height: 1.15; color: #08306b }
.words { flex: 1 1 45% } .figures { flex: 1 1 55%; height: 100%; text-align: center }
.figures img { width: 100%; height: 100%; object-fit: contain }
.math.block { margin: .7em 0 } .eqno { display: none }
footer { position: absolute; right: 1.5vw; bottom: 1vw; font-size: .6em; color: #595959 }
aside { display: none; position: fixed; inset: auto 0 0; max-height: 40vh; overflow: auto;
  padding: .8em 4vw; font-size: 1.1rem; background: #eee }
.notes aside { display: block }
.script section { display: none; border: 0 } .script section.now { display: block }
@media print { .script section, section { display: block; border: 0 } .notes aside { display: none }
  .slide { width: 297mm; height: 166.5mm; font-size: 6mm; padding: 7mm 12mm }
  .wide { font-size: 7.2mm } }
</style>
<body>
@SLIDES@
<script>
// Without this script all slides stand one below the other.
const all = [...document.querySelectorAll("section")], root = document.documentElement;
const at = () => Math.min(all.length, Math.max(1, parseInt(location.hash.slice(1)) || 1));
const show = () => all.forEach((slide, k) => slide.classList.toggle("now", k + 1 === at()));
const turn = step => { location.hash = Math.min(all.length, Math.max(1, at() + step)) };
const keys = { ArrowRight: 1, PageDown: 1, " ": 1, ArrowDown: 1, ArrowLeft: -1, PageUp: -1,
  ArrowUp: -1, Home: -1e6, End: 1e6 };
addEventListener("keydown", event => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key in keys) { event.preventDefault(); turn(keys[event.key]) }
  if (event.key === "n" || event.key === "N") root.classList.toggle("notes");
});
addEventListener("click", event => {
  if (getSelection().isCollapsed) turn(event.clientX < innerWidth / 3 ? -1 : 1);
});
addEventListener("hashchange", show);
root.classList.add("script"); show();
</script>
</body>
</html>
"""


def main(arguments: list[str] | None = None, root: Path | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="lecture.py", description=(__doc__ or "").split(":")[0])
    root = root or Path(__file__).resolve().parent.parent
    parser.add_argument("--out", type=Path, default=root / "_build" / "slides")
    parser.add_argument("--pdf", action="store_true", help="print a PDF with Chromium, too")
    options = parser.parse_args(arguments)
    try:
        page = build(root / "slides" / "lecture.md", root / "book", options.out)
        made = [page]
        if options.pdf:
            try:
                made.append(print_pdf(page, chromium.require()))
            except CourseError as error:
                raise CourseError(
                    f"{page} is there, but no PDF: {error}; or open the page in any "
                    "browser and print it"
                ) from None
    except CourseError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    print(*made, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

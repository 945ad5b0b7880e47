"""A Sphinx extension: what chapters take to read, at the head of each, and of several.

It is counted, never typed: words of running text, displayed formulas, figures, and
lines of code that are shown. Exercises, hints and folded boxes are not part of it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

WORDS_A_MINUTE, FORMULA, FIGURE, LINE = 130, 0.5, 1.0, 0.04
"""Assumed: dense text at half the pace of a novel; minutes for each of the others."""
FOLDED = {"hide-input", "hide-cell", "remove-input", "remove-cell"}
UNSEEN = {"hide-cell", "remove-cell", "hide-output", "remove-output"}
FENCE = re.compile(r"^(?P<fence>[:`]{3,})\{(?P<name>[\w-]+)\}.*?^(?P=fence)\s*?$", re.M | re.S)


class Amount(NamedTuple):
    """What there is to read."""

    words: int = 0
    formulas: int = 0
    figures: int = 0
    lines: int = 0

    @property
    def minutes(self) -> float:
        """How long it takes, by the paces above."""
        rest = FORMULA * self.formulas + FIGURE * self.figures + LINE * self.lines
        return self.words / WORDS_A_MINUTE + rest


def total(amounts: list[Amount]) -> Amount:
    """All of them together."""
    return Amount(*map(sum, zip(*amounts, strict=True))) if amounts else Amount()


def of_text(text: str) -> Amount:
    """What Markdown has to read; a formula within a line, or a reference, is a word."""
    formulas = 0

    def unfold(found: re.Match[str]) -> str:
        nonlocal formulas
        formulas += found["name"] == "math"
        folded = re.search(r"^:class:.*\bdropdown\b", found[0], re.M)
        if folded or found["name"] in ("math", "exercise", "solution"):
            return "\n"
        head, _, body = found[0].partition("\n")
        return head.partition("}")[2] + "\n" + FENCE.sub(unfold, body)

    text = FENCE.sub(unfold, text)
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    text = re.sub(r"^:[\w-]+:.*$|^\([\w-]+\)=$", "", text, flags=re.M)
    shown, plain = re.subn(r"\$\$.+?\$\$", " ", text, flags=re.S)[::-1]
    plain = re.sub(r"\$[^$]+\$", "formula", plain)
    plain = re.sub(r"\{(?:term|doc|ref|eq|cite(?::t)?)\}`[^`<]*?(?:<[^>]*>)?`", "reference", plain)
    return Amount(len(re.findall(r"\w[\w'’.,%-]*", plain)), formulas + shown)


def of_cell(cell: dict[str, Any]) -> Amount:
    """What a cell of a notebook has to read."""
    if cell["cell_type"] == "markdown":
        return of_text("".join(cell["source"]))
    tags = set(cell["metadata"].get("tags", []))
    lines = 0 if tags & FOLDED else len("".join(cell["source"]).splitlines())
    data = [output.get("data", {}) for output in cell.get("outputs", [])]
    figures = 0 if tags & UNSEEN else sum("image/png" in bundle for bundle in data)
    return Amount(0, 0, figures, lines)


def sections(notebook: dict[str, Any]) -> dict[str, Amount]:
    """What each section has, by its heading; before the first that is ``""``."""
    found: dict[str, Amount] = {"": Amount()}
    heading = ""
    for cell in notebook["cells"]:
        parts = [cell]
        if cell["cell_type"] == "markdown":
            texts = re.split(r"^(?=## )", "".join(cell["source"]), flags=re.M)
            parts = [{**cell, "source": [text]} for text in texts if text.strip()]
        for part in parts:
            if part["cell_type"] == "markdown":
                title = re.match(r"## (.+)", "".join(part["source"]))
                heading = title[1] if title else heading
            found[heading] = total([found.get(heading, Amount()), of_cell(part)])
    found.pop("Exercises", None)
    return found


def of_chapter(notebook: dict[str, Any]) -> Amount:
    """What a chapter has to read, without its exercises."""
    return total(list(sections(notebook).values()))


def rounded(minutes: float) -> int:
    """To five minutes."""
    return max(5, 5 * round(minutes / 5))


def sentence(amount: Amount) -> str:
    """The words at the head of a chapter."""
    names = ("figure", amount.figures), ("formula", amount.formulas)
    rest = [f"{n} {name}{'s' * (n != 1)}" for name, n in names if n]
    parts = [
        f"{round(amount.words, -2):,} words",
        *rest,
        f"{amount.lines} lines of code",
    ]
    minutes = rounded(amount.minutes)
    return f" About {minutes} minutes without the exercises: {', '.join(parts)}."


def add_to_chapter(app: Any, doctree: nodes.document) -> None:
    """Put the reading time before the paragraph on the running time."""
    path = Path(app.env.doc2path(app.env.docname))
    if path.suffix != ".ipynb":
        return
    for found in doctree.findall(nodes.strong):
        if found.astext() == "Running time." and isinstance(found.parent, nodes.paragraph):
            told = sentence(of_chapter(json.loads(path.read_text(encoding="utf-8"))))
            line = nodes.paragraph("", "", nodes.strong("", "Reading time."), nodes.Text(told))
            found.parent.parent.insert(found.parent.parent.index(found.parent), line)
            return


class ReadingTimes(SphinxDirective):
    """How long a part of the book takes: ``01 07`` names its first and last chapter."""

    required_arguments = 2

    def run(self) -> list[nodes.Node]:
        """A sentence."""
        first, last = self.arguments
        here = Path(self.env.doc2path(self.env.docname)).parent
        chapters = [p for p in sorted(here.glob("[0-9]*.ipynb")) if first <= p.name[:2] <= last]
        for path in chapters:
            self.env.note_dependency(str(path))
        amounts = [of_chapter(json.loads(p.read_text(encoding="utf-8"))) for p in chapters]
        hours = total(amounts).minutes / 60
        text = f"About {hours:.1f} hours to read, without the exercises."
        return [nodes.paragraph(text, text)]


def setup(app: Any) -> dict[str, bool]:
    """Register the directive, and the line at the head of each chapter."""
    app.add_directive("reading-times", ReadingTimes)
    app.connect("doctree-read", add_to_chapter)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""A Sphinx extension for what chapters cost: minutes to read; time and memory to run.

Read are running text, displayed formulas, figures, and code that is shown; no exercises, hints and
folded boxes. What an execution took, notebooks have noted.
"""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

RUN, RUNNING = "course_run", "**Running time.**"
FOLDED, UNSEEN = {"hide-input", "hide-cell"}, {"hide-cell", "hide-output"}
FENCE = re.compile(r"^(?P<fence>[:`]{3,})\{(?P<name>[\w-]+)\}.*?^(?P=fence)\s*?$", re.M | re.S)
DROPDOWN = re.compile(r"^:class:.*\bdropdown\b", re.M)


class Amount(NamedTuple):
    """What there is to read."""

    words: int = 0
    formulas: int = 0
    figures: int = 0
    lines: int = 0

    @classmethod
    def total(cls, *amounts: Amount) -> Amount:
        return cls(*map(sum, zip(cls(), *amounts, strict=True)))

    @property
    def minutes(self) -> float:  # dense text is read at half the pace of a novel
        return self.words / 130 + self.formulas / 2 + self.figures + self.lines / 25


def of_text(text: str) -> Amount:
    """What Markdown has to read; a formula within a line, or a number of one, is a word."""

    def unfold(found: re.Match[str]) -> str:
        if found["name"] == "math":
            return "$$ $$"
        if found["name"] in ("exercise", "solution") or DROPDOWN.search(found[0]):
            return "\n"
        head, _, body = found[0].partition("\n")
        return head.partition("}")[2] + "\n" + FENCE.sub(unfold, body)

    text = FENCE.sub(unfold, text)
    text = re.sub(r"^```.*?^```|^:[\w-]+:.*?$|^\([\w-]+\)=$", "", text, flags=re.M | re.S)
    text, shown = re.subn(r"\$\$.+?\$\$", " ", text, flags=re.S)
    text = re.sub(r"\{(?:term|doc|ref)\}`([^`<]+)[^`]*`", lambda a: a[1].replace("_", " "), text)
    text = re.sub(r"\$[^$]+\$|\{(?:eq|cite(?::t)?)\}`[^`]*`", "word", text)
    return Amount(len(re.findall(r"\w[\w'’.,%-]*", text)), shown)


def of_code(cell: dict[str, Any]) -> Amount:
    """What a code cell of a notebook has to read."""
    tags = set(cell["metadata"].get("tags", []))
    shown = [] if tags & UNSEEN else cell.get("outputs", [])
    figures = sum(bool(re.search("image/(png|svg)|<svg", str(o.get("data")))) for o in shown)
    return Amount(0, 0, figures, 0 if tags & FOLDED else len("".join(cell["source"]).splitlines()))


def sections(notebook: dict[str, Any]) -> dict[str, Amount]:
    """What each section has but the exercises, by its heading; before the first that is ``""``."""
    found, heading = {"": Amount()}, ""
    for cell in notebook["cells"]:
        text = cell["cell_type"] == "markdown"
        for part in re.split(r"^(?=## )", "".join(cell["source"]), flags=re.M) if text else [""]:
            heading = part[3:].partition("\n")[0] if part.startswith("## ") else heading
            amount = of_text(part) if text else of_code(cell)
            found[heading] = Amount.total(found.get(heading, Amount()), amount)
    return {heading: amount for heading, amount in found.items() if heading != "Exercises"}


def sentence(amount: Amount) -> str:
    """The words at the head of a chapter; minutes are told in fives."""
    counts = ("figure", amount.figures), ("formula", amount.formulas)
    rest = "".join(f"{n} {name}{'s' * (n != 1)}, " for name, n in counts if n)
    minutes, words = max(5, 5 * round(amount.minutes / 5)), round(amount.words, -2)
    about = f"About {minutes} minutes without the exercises: {words:,} words"
    return f"{about}, {rest}{amount.lines} lines of code."


def add_to_chapter(app: Any, docname: str, source: list[str]) -> None:
    """Put the reading time before the paragraph on the running time."""
    if source[0].startswith("{") and RUNNING in source[0]:
        told = sentence(Amount.total(*sections(json.loads(source[0])).values()))
        source[0] = source[0].replace(RUNNING, rf"**Reading time.** {told}\n\n{RUNNING}", 1)


def row(notebook: dict[str, Any]) -> list[str]:
    """Time, memory and slowest step of a chapter, by the heading above it."""
    if not (run := notebook["metadata"].get(RUN)):
        return ["not measured", "–", "–"]
    slow = run["slowest"][0]
    before = itertools.takewhile(lambda cell: cell.get("id") != slow["cell"], notebook["cells"])
    text = "\n".join("".join(c["source"]) for c in before if c["cell_type"] == "markdown")
    step = re.findall(r"^#+ (.+)$", text, re.MULTILINE)[-1]
    busy = " (on a busy machine)" * (run["seconds"] > 2 * run.get("cpu_seconds", run["seconds"]))
    time, memory = f"{run['seconds']:.0f}&nbsp;s{busy}", f"{run['peak_mb'] / 1000:.1f}&nbsp;GB"
    return [time, memory, f"{slow['seconds']:.0f}&nbsp;s: {step}"]


class RunningTimes(SphinxDirective):
    """One row for each notebook beside this page, and below them where they ran."""

    def run(self) -> list[nodes.Node]:
        lines = [":::{table}\n:class: running-times\n"]
        lines += ["| Chapter | Time | Memory | Slowest step |", "|---|---|---|---|"]
        ran: dict[str, list[str]] = {}
        for path in sorted(Path(self.env.doc2path(self.env.docname)).parent.glob("[0-9]*.ipynb")):
            self.env.note_dependency(str(path))
            notebook = json.loads(path.read_text(encoding="utf-8"))
            lines += [f"| {{doc}}`{path.stem}` | {' | '.join(row(notebook))} |"]
            if run := notebook["metadata"].get(RUN):
                torch = f", PyTorch {run['torch'].partition('+')[0]}" if run["torch"] else ""
                machine = f"{run['cores']} cores, {run['system']}, Python {run['python']}{torch}"
                ran.setdefault(f"{run['date']}, {machine}", []).append(path.stem[:2].lstrip("0"))
        notes = [f"chapters {', '.join(ns)}: {where}" for where, ns in ran.items()]
        told = f"Measured on {'; '.join(notes if len(ran) > 1 else ran)}." * bool(ran)
        return self.parse_text_to_nodes("\n".join([*lines, ":::", "", told]))


def setup(app: Any) -> dict[str, bool]:
    app.add_directive("running-times", RunningTimes)
    app.connect("source-read", add_to_chapter)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""What a chapter says of its running time, against what was measured when it was executed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import website
from environment import Project

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = website.chapters(Project(ROOT))
UNITS = {"second": 1.0, "minute": 60.0}
NUMBERS = {"a": 1.0, "one": 1.0, "half a": 0.5, "two": 2.0, "three": 3.0}
SAID = re.compile(
    r"\*\*Running time\.\*\* (?:About (?P<number>\d+|[a-z]+(?: a)?) (?P<unit>second|minute)s?\b"
    r"|(?P<few>Seconds)\b)"
)
MEMORY = re.compile(r"\*\*Running time\.\*\*[^\n]*?(?P<gb>\d+(?:\.\d+)?) GB of memory")
FACTOR = 4
"""Machines differ by so much. A chapter that has outgrown its sentence differs by more."""


def stated_seconds(text: str) -> float:
    """Seconds that the head of a chapter promises.

    Raises:
        ValueError: it has no such sentence.
    """
    found = SAID.search(text)
    if not found:
        raise ValueError(
            "expected `**Running time.** About N seconds`, `About a minute`, `About half a minute` "
            "or `Seconds`, found none"
        )
    if found["few"]:
        return 10.0
    number = found["number"]
    value = float(number) if number.isdigit() else NUMBERS[number]
    return value * UNITS[found["unit"]]


def head(notebook: dict[str, Any]) -> str:
    """The text of a chapter."""
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
    return "\n".join("".join(cell["source"]) for cell in cells)


@pytest.mark.parametrize(
    ("words", "seconds"),
    [("About 35 seconds on", 35), ("About a minute.", 60), ("About half a minute on", 30),
     ("About two minutes", 120), ("Seconds: it loads", 10)],
)  # fmt: skip
def test_times_are_read_from_prose(words: str, seconds: float) -> None:
    assert stated_seconds(f"text\n\n**Running time.** {words}") == seconds


def test_prose_without_a_time_is_named() -> None:
    with pytest.raises(ValueError, match=r"expected `\*\*Running time"):
        stated_seconds("**Running time.** Not long.")


@pytest.mark.parametrize("path", CHAPTERS, ids=[path.stem for path in CHAPTERS])
def test_a_chapter_takes_about_as_long_as_it_says(path: Path) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    text = head(notebook)
    said = stated_seconds(text)
    run = notebook["metadata"].get(website.RUN)
    if run is None:
        pytest.skip("not measured yet: `make notebooks` executes it and records the time")
    # On a busy machine the clock runs on while a chapter waits; its processor time does not.
    quickest = min(run["seconds"], run.get("cpu_seconds", run["seconds"]))
    assert quickest <= said * FACTOR, "run `make notebooks` where little else runs, or say more"
    assert run["seconds"] >= said / FACTOR
    ids = {cell["id"] for cell in notebook["cells"]}
    assert {each["cell"] for each in run["slowest"]} <= ids, "recorded of other cells"
    if memory := MEMORY.search(text):
        assert run["peak_mb"] <= 1000 * 1.2 * float(memory["gb"])

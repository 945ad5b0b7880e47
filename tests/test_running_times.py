"""What a chapter says of its running time, against what was measured when it was executed."""

import json
import re
from pathlib import Path

import pytest

import website
from environment import Project

CHAPTERS = website.chapters(Project(Path(__file__).resolve().parent.parent))
NUMBERS = {"half a": 0.5, "a": 1.0, "one": 1.0, "two": 2.0, "three": 3.0}
SAID = re.compile(
    r"\*\*Running time\.\*\* (?:About (?P<number>\d+|[a-z]+(?: a)?) (?P<unit>second|minute)s?\b"
    r"|(?P<few>Seconds)\b)"
)
MEMORY = re.compile(r"\*\*Running time\.\*\*[^\n]*?(?P<gb>\d+(?:\.\d+)?) GB of memory")
FACTOR = 4
"""Machines differ by so much. A chapter that has outgrown its sentence differs by more."""


def stated_seconds(text: str) -> float:
    """Seconds that the head of a chapter promises."""
    found = SAID.search(text)
    assert found, "expected `**Running time.** About N seconds`, `About a minute` or `Seconds`"
    if found["few"]:
        return 10.0
    number = found["number"]
    value = float(number) if number.isdigit() else NUMBERS[number]
    return value * (60 if found["unit"] == "minute" else 1)


@pytest.mark.parametrize("path", CHAPTERS, ids=[path.stem for path in CHAPTERS])
def test_a_chapter_takes_about_as_long_as_it_says(path: Path) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
    text = "\n".join("".join(cell["source"]) for cell in cells)
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

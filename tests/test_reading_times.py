"""What a chapter takes to read and to run: how it is counted, that Part I keeps its budget."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "book" / "_ext"))

import times  # noqa: E402
from times import Amount  # noqa: E402

from labels import markdown_cells  # noqa: E402

CHAPTERS = sorted((ROOT / "book").glob("[0-9][0-9]_*.ipynb"))
TEXT = """# Two words

Four words and $x = 1$, in {doc}`01_look` or {term}`any words <term>` a reference.

:::{admonition} Predict
:class: tip

Here are five more words.

```{math}
:label: eq-y
y
```
:::

:::{admonition} Not counted
:class: dropdown

Folded text.
:::

```python
code()
```

(a-label)=
## Exercise

$$
x
$$
"""


def test_what_a_text_has_is_counted_by_hand() -> None:
    # 2 + 12 + 1 + 5 + 1 words: a formula in a line is one, a reference those that it shows
    assert times.of_text(TEXT) == Amount(words=21, formulas=2)


# The book ---------------------------------------------------------------------------------------

PART_ONE = CHAPTERS[:7]
MOST_WORDS, MOST_TOGETHER, MOST_PREDICTIONS = 2300, 15_000, 4


def read(path: Path) -> dict[str, Any]:
    notebook: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return notebook


def markdown(path: Path) -> str:
    return "\n\n".join(text for _, text in markdown_cells(path))


def amount_of(path: Path) -> Amount:
    return Amount.total(*times.sections(read(path)).values())


@pytest.mark.parametrize("path", PART_ONE, ids=lambda path: path.stem)
def test_a_chapter_of_the_course_is_one_sitting(path: Path) -> None:
    assert amount_of(path).words <= MOST_WORDS
    assert markdown(path).count("{admonition} Predict") <= MOST_PREDICTIONS


def test_the_course_is_read_in_about_five_hours() -> None:
    amount = Amount.total(*map(amount_of, PART_ONE))
    assert amount.words <= MOST_TOGETHER
    assert amount.minutes <= 300
    told = f"about {amount.minutes / 60:.1f} hours to read, without the exercises"
    assert told in (ROOT / "book" / "index.md").read_text(encoding="utf-8")


def marked(path: Path) -> dict[str, str]:
    """The sections of a chapter that belong to the short path: title by label, in their order."""
    return dict(re.findall(r"^\((path-[\w-]+)\)=\n## (.+)$", markdown(path), re.MULTILINE))


def short_path() -> list[tuple[str, list[str]]]:
    """Chapter and labels of each stop, as the first page lists them."""
    page = (ROOT / "book" / "index.md").read_text(encoding="utf-8")
    listed = page.split("### The short path")[1].split("\nAt any time")[0]
    stops = re.findall(r"^\d\. \{doc\}`(\w+)`: (.+)$", listed, re.MULTILINE)
    return [(chapter, re.findall(r"\{ref\}`(path-[\w-]+)`", told)) for chapter, told in stops]


def test_the_short_path_takes_ninety_minutes() -> None:
    amounts = []
    for chapter, labels in short_path():
        path = ROOT / "book" / f"{chapter}.ipynb"
        found, titles = times.sections(read(path)), marked(path)
        amounts += [found[titles[label]] for label in labels]
    assert 80 <= Amount.total(*amounts).minutes <= 100


def test_each_stop_of_the_short_path_is_marked_in_its_chapter() -> None:
    """In the note at its top and at each of its sections, and nothing else is."""
    stops = short_path()
    assert [chapter for chapter, _ in stops] == [path.stem for path in PART_ONE]
    for number, ((_, labels), path) in enumerate(zip(stops, PART_ONE, strict=True), start=1):
        head = rf"\*\*\{{ref\}}`Short path <short-path>`, {number} of 7\.\*\* (.+)"
        (note,) = re.findall(head, markdown(path))
        assert re.findall(r"\{ref\}`([\w-]+)`", note) == labels == list(marked(path))


# Running ----------------------------------------------------------------------------------------

NUMBERS = {"half a": 0.5, "a": 1.0, "one": 1.0, "two": 2.0, "three": 3.0}
SAID = re.compile(
    r"\*\*Running time\.\*\* (?:About (?P<number>\d+|[a-z]+(?: a)?) (?P<unit>second|minute)s?\b"
    r"|(?P<few>Seconds)\b)"
)
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


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_takes_about_as_long_as_it_says(path: Path) -> None:
    notebook, said = read(path), stated_seconds(markdown(path))
    run = notebook["metadata"][times.RUN]
    # On a busy machine the clock runs on while a chapter waits; its processor time does not.
    quickest = min(run["seconds"], run.get("cpu_seconds", run["seconds"]))
    assert quickest <= said * FACTOR, "run `make notebooks` where little else runs, or say more"
    assert run["seconds"] >= said / FACTOR

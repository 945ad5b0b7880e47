"""What a chapter takes to read: how it is counted, and that Part I keeps its budget."""

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

TEXT = """# Two words

Four words and $x = 1$, in {doc}`01_look` or {term}`any words <term>` a reference.

$$
x
$$

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

| a | b c |
| --- | --- |
"""


def of_chapter(notebook: dict[str, Any]) -> Amount:
    return Amount.total(*times.sections(notebook).values())


def test_what_a_text_has_is_counted_by_hand() -> None:
    # 2 + 12 + 1 + 5 + 1 + 3 words: a formula in a line is one, a reference those that it shows
    assert times.of_text(TEXT) == Amount(words=24, formulas=2)


def code(lines: int, tags: list[str], picture: bool) -> dict[str, Any]:
    outputs = [{"data": {"image/png": ""} if picture else {"text/plain": "1"}}]
    source = ["x\n"] * lines
    return {
        "cell_type": "code", "source": source, "metadata": {"tags": tags}, "outputs": outputs
    }  # fmt: skip


def text(source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "source": [source], "metadata": {}}


def test_sections_have_their_figures_and_shown_lines_and_no_exercises() -> None:
    cells = [
        text("# Title"), code(3, [], picture=True), text("More.\n\n## One\n\nWord."),
        code(5, ["hide-input"], picture=True), code(7, ["hide-cell"], picture=True),
        text("## Exercises"), text("Many words."), text("## Takeaways\n\nThree words there."),
    ]  # fmt: skip
    found = times.sections({"cells": cells})
    assert found == {
        "": Amount(2, 0, 1, 3), "One": Amount(2, 0, 1, 0), "Takeaways": Amount(4),
    }  # fmt: skip
    assert of_chapter({"cells": cells}) == Amount(8, 0, 2, 3)


def test_minutes_are_told_in_fives() -> None:
    amount = Amount(words=2600, formulas=1, figures=3, lines=100)  # 20 + 0.5 + 3 + 4 minutes
    assert amount.minutes == 27.5
    told = "2,600 words, 3 figures, 1 formula, 100 lines of code."
    assert times.sentence(amount) == f"About 30 minutes without the exercises: {told}"


# The book ---------------------------------------------------------------------------------------

PART_ONE = [next((ROOT / "book").glob(f"{number:02}_*.ipynb")) for number in range(1, 8)]
MOST_WORDS, MOST_TOGETHER, MOST_PREDICTIONS = 2300, 15_000, 4
each = pytest.mark.parametrize("path", PART_ONE, ids=lambda path: path.stem)


def read(path: Path) -> dict[str, Any]:
    notebook: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return notebook


def markdown(path: Path) -> str:
    cells = read(path)["cells"]
    return "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


@each
def test_a_chapter_of_the_course_is_one_sitting(path: Path) -> None:
    amount = of_chapter(read(path))
    assert amount.words <= MOST_WORDS
    assert markdown(path).count("{admonition} Predict") <= MOST_PREDICTIONS


def test_the_course_is_read_in_about_five_hours() -> None:
    amount = Amount.total(*(of_chapter(read(path)) for path in PART_ONE))
    assert amount.words <= MOST_TOGETHER
    assert amount.minutes <= 300
    told = f"about {amount.minutes / 60:.1f} hours to read, without the exercises"
    assert told in (ROOT / "book" / "index.md").read_text(encoding="utf-8")


def short_path() -> list[tuple[str, list[str]]]:
    """Chapter and sections of each stop."""
    page = (ROOT / "book" / "index.md").read_text(encoding="utf-8")
    listed = page.split("### The short path")[1].split("\nAt any time")[0]
    stops = re.findall(r"^\d\. \{doc\}`(\w+)`: (.+)$", listed, re.MULTILINE)
    return [(chapter, re.findall(r"\*([^*]+)\*", told)) for chapter, told in stops]


def test_the_short_path_takes_ninety_minutes() -> None:
    amounts = []
    for chapter, titles in short_path():
        found = times.sections(read(ROOT / "book" / f"{chapter}.ipynb"))
        amounts += [found[title] for title in titles]
    assert 80 <= Amount.total(*amounts).minutes <= 100


def test_each_stop_of_the_short_path_is_marked_in_its_chapter() -> None:
    stops = short_path()
    assert [chapter for chapter, _ in stops] == [path.stem for path in PART_ONE]
    for number, (chapter, titles) in enumerate(stops, start=1):
        text = markdown(ROOT / "book" / f"{chapter}.ipynb")
        (note,) = re.findall(rf"\*\*Short path, {number} of 7\.\*\* (.+)", text)
        assert re.findall(r"\*([^*]+)\*", note) == titles

"""The student edition: no solutions, no explanations of options, and all else."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

import editions
import website
from environment import CourseError, Project
from labels import Settings, read_book

ROOT = Path(__file__).resolve().parent.parent
PROJECT = Project(ROOT)
SETTINGS = Settings("1.2.3", "https://github.com/o/r", "https://site.example/c")

each_chapter = pytest.mark.parametrize(
    "path", website.chapters(PROJECT), ids=lambda path: path.stem
)


# The chapters ------------------------------------------------------------------------------------


def lines_of(texts: list[str]) -> set[str]:
    """Lines that say something, as words and numbers only: markup tells none apart."""
    words = (" ".join(re.findall(r"\w+", line)) for text in texts for line in text.split("\n"))
    return {line for line in words if len(line) >= 20}


def split_solutions(cells: list[Any]) -> tuple[list[str], list[str]]:
    """Sources without solutions, and what was in solutions; a scan for fences, no parser."""
    rest: list[str] = []
    solved: list[str] = []
    gated = False
    for cell in cells:
        fence = ""
        kept: list[str] = []
        for line in cell.source.split("\n"):
            start = re.match(r"\s*([:`]{3,})\{solution(-start|-end)?\}", line)
            if start:
                fence, kind = start[1], start[2]
                gated = kind == "-start" or (gated and kind != "-end")
            (solved if fence or gated else kept).append(line)
            if fence and line.strip() == fence:
                fence = ""
        rest.append("\n".join(kept))
    return rest, solved


@each_chapter
def test_no_line_of_a_solution_is_in_the_student_edition(path: Path) -> None:
    source = nbformat.read(path, as_version=4)
    student = editions.student_edition(read_book(PROJECT), path)
    rest, solved = split_solutions(source.cells)
    texts = [cell.source for cell in student.cells]
    secret = lines_of(solved) - lines_of(rest)
    assert secret, "no solutions found: has their form changed?"
    assert secret & lines_of(texts) == set()
    assert not any("Solution to" in text for text in texts)


@each_chapter
def test_the_student_edition_lacks_only_solutions_and_folded_explanations(path: Path) -> None:
    book = read_book(PROJECT)
    colab = editions.colab_edition(book, path).cells
    student = editions.student_edition(book, path).cells
    _, solved = split_solutions(nbformat.read(path, as_version=4).cells)
    code = {cell["id"]: cell.source for cell in student if cell.cell_type == "code"}
    gone = [c for c in colab if c.cell_type == "code" and c["id"] not in code]
    assert lines_of([cell.source for cell in gone]) <= lines_of(solved)
    assert code.items() <= {c["id"]: c.source for c in colab}.items()
    hints = [sum(c.source.count("<b>Hint") for c in cells) for cells in (colab, student)]
    assert hints[0] == hints[1] > 0
    folded = [
        summary
        for cell in student
        if "**Exercise " in cell.source
        for summary in re.findall(r"<summary>(.*?)</summary>", cell.source)
    ]
    assert {editions.is_hint(summary) for summary in folded} <= {True}


@each_chapter
def test_no_link_of_the_student_edition_needs_colab(path: Path) -> None:
    book = read_book(PROJECT)
    cells = editions.student_edition(book, path).cells
    assert not any("#scrollTo" in cell.source for cell in cells)
    mine = f"({book.address(editions.page_of(book, path))}#"
    others = [cell.source.count("#scrollTo") for cell in editions.colab_edition(book, path).cells]
    assert sum(cell.source.count(mine) for cell in cells) > 0 or sum(others) == 0


# A tiny book -------------------------------------------------------------------------------------

OTHER = """(start)=
# Other

```{math}
:label: eq-other
x
```

:::{exercise} First
:label: ex_other
Do.
:::
"""
CHOICE = """:::::{exercise} Which?
:label: ex_which
:class: dropdown

Choose. See {ref}`start`.

**a.** The *first* option

**b.** The second option

<details><summary>a?</summary>No: explained a.</details>
<details open>
<summary><b>b?</b></summary>

Yes: explained b.
</details>
<details><summary>Hint: one</summary>helpful one</details>

::::{admonition} Hint
:class: dropdown
helpful two

:::{dropdown} Hint
helpful three
:::
::::

::::{dropdown} Why not b?
explained c
::::

::::{note}
In sight.
::::
:::::

Between {eq}`eq-other`.

::::{solution} ex_which
secret one

:::{note}
secret two
:::
::::

After.
"""


def code(source: str, name: str, *tags: str) -> Any:
    return nbformat.v4.new_code_cell(source, id=name, metadata={"tags": list(tags)} if tags else {})


def text(source: str, name: str) -> Any:
    return nbformat.v4.new_markdown_cell(source, id=name)


@pytest.fixture
def student(project: Any) -> Callable[..., list[Any]]:
    """Cells of the student edition of a chapter that has these cells after its title."""
    extensions = "parse:\n  myst_enable_extensions: [colon_fence, dollarmath]\n"
    (project.root / "_config.yml").write_text(extensions, encoding="utf-8")

    def made(*cells: Any) -> list[Any]:
        pages = {"01_one": [text(OTHER, "other")], "02_two": [text("# Two", "title"), *cells]}
        for name, content in pages.items():
            path = project.root / "book" / f"{name}.ipynb"
            notebook = nbformat.v4.new_notebook(cells=content)
            path.write_text(editions.written(notebook), encoding="utf-8")
        found: list[Any] = editions.student_edition(read_book(project, SETTINGS), path).cells
        return found

    return made


def test_options_and_hints_are_kept_explanations_and_solutions_are_not(student: Any) -> None:
    title, note, cell = student(text(CHOICE, "choice"))
    assert (title.source, note["id"]) == ("# Two", "student-edition")
    assert "**Student edition.**" in note.source
    for kept in ("option", "helpful one", "helpful two", "helpful three", "In sight", "(1)"):
        assert kept in cell.source
    for gone in ("explained", "secret", "Why", "<summary>a"):
        assert gone not in cell.source
    assert cell.source.rstrip().endswith("After.")
    assert ":::" not in cell.source


def test_folded_text_outside_exercises_is_kept(student: Any) -> None:
    folded = "<details><summary>More</summary>to read</details>\n\n:::{dropdown} Proof\nlong\n:::"
    *_, cell = student(text(folded, "more"))
    assert "to read" in cell.source
    assert "long" in cell.source


def test_everything_between_the_gates_of_a_solution_is_left_out(student: Any) -> None:
    cells = student(
        code("def stub(): ...", "stub"),
        text(":::{solution-start} ex_other\nsecret\n:::", "gate-1"),
        text("secret words", "words"),
        code("secret = 1", "answer"),
        text("```{solution-end}\n```", "gate-2"),
        code("f", "after", "hide-input"),
    )
    assert [cell["id"] for cell in cells] == ["title", "student-edition", "stub", "after"]
    assert cells[-1].metadata["cellView"] == "form"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (":::{solution-start} ex_other\n:::\nsecret", "alone in its cell"),
        (":::{solution-start} ex_other\n:::\nsecret\n:::{solution-end}\n:::", "alone in its cell"),
        (":::{solution-start} ex_other\n:::", "expected {solution-end}"),
        (":::{exercise} A\n:label: ex\n<details>a</details>\n:::", "needs a <summary>"),
        (
            ":::{exercise} A\n:label: ex\n<details><summary>b</summary><details><summary>c"
            "</summary>d</details> e</details>\n:::",
            "none inside",
        ),
    ],
)
def test_what_could_leave_a_solution_behind_is_an_error(
    student: Any, source: str, words: str
) -> None:
    with pytest.raises(CourseError, match=words):
        student(text(source, "here"))

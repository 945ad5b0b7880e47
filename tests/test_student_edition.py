"""The student edition: no solutions, no explanations of options, and all else."""

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
BOOK = read_book(PROJECT)
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
    for cell in cells:
        fence = ""
        kept: list[str] = []
        for line in cell.source.split("\n"):
            if start := re.match(r"\s*([:`]{3,})\{solution", line):
                fence = start[1]
            (solved if fence else kept).append(line)
            fence = "" if line.strip() == fence else fence
        rest.append("\n".join(kept))
    return rest, solved


@each_chapter
def test_no_line_of_a_solution_is_in_the_student_edition(path: Path) -> None:
    source = nbformat.read(path, as_version=4)
    student = editions.edition(BOOK, path, student=True)
    rest, solved = split_solutions(source.cells)
    texts = [cell.source for cell in student.cells]
    secret = lines_of(solved) - lines_of(rest)
    assert secret, "no solutions found: has their form changed?"
    assert secret & lines_of(texts) == set()
    assert not any("Solution to" in text for text in texts)


@each_chapter
def test_the_student_edition_lacks_only_solutions_and_folded_explanations(path: Path) -> None:
    colab = editions.edition(BOOK, path).cells
    student = editions.edition(BOOK, path, student=True).cells
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
    assert all(summary.startswith("<b>Hint") for summary in folded)


@each_chapter
def test_no_link_of_the_student_edition_needs_colab(path: Path) -> None:
    cells = editions.edition(BOOK, path, student=True).cells
    assert not any("#scrollTo" in cell.source for cell in cells)
    mine = f"({BOOK.address('book/' + path.stem)}#"
    others = [cell.source.count("#scrollTo") for cell in editions.edition(BOOK, path).cells]
    assert sum(cell.source.count(mine) for cell in cells) > 0 or sum(others) == 0


# A tiny book -------------------------------------------------------------------------------------

OTHER = """(start)=
# Other

```{math}
:label: eq-other
x
```
"""
CHOICE = """:::::{exercise} Which?
:label: ex_which
:nonumber:

Choose. See {ref}`start`.

**a.** The *first* option

**b.** The second option

::::{admonition} *Hint*: one
:class: dropdown
helpful one

:::{admonition} Hint
:class: dropdown
helpful two
:::
::::

::::{admonition} Why not b?
:class: dropdown
explained c
::::

::::{admonition} Note
In sight.
::::
:::::

Between {eq}`eq-other`, of {ref}`it <ex_which>`.

::::{solution} ex_which
secret one

:::{admonition} Note
secret two
:::
::::

:::{admonition} Proof
:class: dropdown
to read
:::

After.
"""


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
        book = read_book(project, SETTINGS)
        return list(editions.edition(book, path, student=True).cells)

    return made


def test_options_and_hints_are_kept_explanations_and_solutions_are_not(student: Any) -> None:
    title, note, cell = student(text(CHOICE, "choice"))
    assert (title.source, note["id"]) == ("# Two", "student-edition")
    assert "**Student edition.**" in note.source
    for kept in ("option", "helpful one", "helpful two", "In sight", "(1)", "Proof", "to read"):
        assert kept in cell.source
    for gone in ("explained", "secret", "Why"):
        assert gone not in cell.source
    assert "[it](https://site.example/c/book/02_two.html#ex_which)" in cell.source
    assert cell.source.rstrip().endswith("After.")
    assert ":::" not in cell.source


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (":::{solution-start} ex_which\n:::\nsecret", "unknown directive"),
        (":::{exercise} A\n:label: ex\n:nonumber:\n<details>a</details>\n:::", "fold with a"),
        (":::{dropdown} A\nb\n:::", "unknown directive"),
    ],
)
def test_what_could_leave_a_solution_behind_is_an_error(
    student: Any, source: str, words: str
) -> None:
    with pytest.raises(CourseError, match=words):
        student(text(source, "here"))

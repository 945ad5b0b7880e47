"""The editions are in step with their source; students get no solutions; no MyST is left."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

import editions
import website
from environment import CourseError, Project
from labels import Parser, read_book
from plain import Converter, leftovers

ROOT = Path(__file__).resolve().parent.parent
PROJECT = Project(ROOT)
CHAPTERS = website.chapters(PROJECT)
BOOK = read_book(PROJECT)
SITE = "https://site.example/c"
MARKDOWN = tomllib.loads((ROOT / "tests" / "markdown.toml").read_text(encoding="utf-8"))
EXTENSIONS = ["amsmath", "attrs_block", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
EXTENSIONS += ["substitution", "tasklist"]


def cases(kind: str) -> list[tuple[str, ...]]:
    return [tuple(row.values()) for row in MARKDOWN[kind]]


# The committed editions ------------------------------------------------------------------------


def test_chapters_and_their_editions_are_up_to_date() -> None:
    assert editions.stale(PROJECT, mend=False) == [], "run `make editions` and commit the result"


def test_nothing_in_the_editions_stops_who_changes_a_number() -> None:
    """Guards are left out: no cell of a reader asserts anything, or needs what a guard defined."""
    command = ["-m", "ruff", "check", "--isolated", "--select", "F821,S101", *editions.FOLDERS]
    done = subprocess.run([sys.executable, *command], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("text", MARKDOWN["leftovers"])
def test_leftovers_are_recognised(text: str) -> None:
    assert leftovers(text, Parser(EXTENSIONS))


# Students ---------------------------------------------------------------------------------------


def lines_of(text: str) -> set[str]:
    """Lines that say something, as words and numbers only: markup tells none apart."""
    words = (" ".join(re.findall(r"\w+", line)) for line in text.split("\n"))
    return {line for line in words if len(line) >= 20}


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_the_student_edition_has_no_line_of_a_solution_and_no_link_that_needs_colab(
    path: Path,
) -> None:
    source = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells)
    solution = re.compile(r"^([:`]{3,})\{solution.*?^\1$", re.MULTILINE | re.DOTALL)
    solved = "\n".join(found[0] for found in solution.finditer(source))
    cells = editions.edition(BOOK, path, student=True).cells
    student = "\n".join(cell.source for cell in cells)
    secret = lines_of(solved) - lines_of(solution.sub("", source))
    assert secret, "no solutions found: has their form changed?"
    assert secret & lines_of(student) == set()
    assert "Solution to" not in student
    assert "#scrollTo" not in student


# A tiny book to convert ------------------------------------------------------------------------

BIB = """
@misc{one, author={S{\\'a}nchez, Ana}, title={T}, year={2001}, eprint={2001.00001}}
@misc{two, author={van der Berg, A. and Lu, W.}, title={T}, year={2002}}
@misc{three, author={A, B. and C, D. and E, F.}, title={T}, year={2003}}
"""
OTHER = """(start)=
# Other *page*

```{math}
:label: eq-other
x
```

:::{exercise} 1.1 First
:label: ex_other
:nonumber:
Do.
:::
"""


PYPROJECT = f"""
project.version = "1.2.3"
tool.course.repository = "https://github.com/o/r"
tool.course.site = "{SITE}"
tool.course.wheel_sha256 = "{"0f" * 32}"
"""


@pytest.fixture
def convert(project: Any) -> Callable[..., str]:
    """Convert one cell of the second page of a tiny book; labels in it can be referred to."""
    book = project.root / "book"
    config = f"parse: {{myst_enable_extensions: {EXTENSIONS}}}"
    (project.root / "_config.yml").write_text(config, encoding="utf-8")
    (project.root / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    (book / "references.bib").write_text(BIB, encoding="utf-8")

    def converted(source: str, student: bool = False) -> str:
        for name, content in (("01_one", OTHER), ("02_two", source)):
            cell = nbformat.v4.new_markdown_cell(content, id="here")
            written = editions.written(nbformat.v4.new_notebook(cells=[cell]))
            (book / f"{name}.ipynb").write_text(written, encoding="utf-8")
        converter = Converter(read_book(project), "book/02_two", student=student)
        return converter.convert(source, "here")

    return converted


def test_what_is_plain_markdown_stays_character_by_character(convert: Any) -> None:
    assert convert(MARKDOWN["same"]) == MARKDOWN["same"].strip("\n")


@pytest.mark.parametrize(("source", "expected"), cases("blocks") + cases("running"))
def test_blocks_and_running_text(convert: Any, source: str, expected: str) -> None:
    assert convert(source) == expected


@pytest.mark.parametrize(("source", "words"), cases("refused"))
def test_what_cannot_be_plain_is_named_with_place(convert: Any, source: str, words: str) -> None:
    with pytest.raises(CourseError, match=words) as caught:
        convert(source)
    assert "02_two.ipynb, cell here: " in str(caught.value)


def test_check_sees_every_difference(project: Any, convert: Any) -> None:
    convert("# Two")
    assert len(editions.stale(project, mend=False)) == 6  # two chapters, and two editions of each
    assert len(editions.stale(project, mend=True)) == 6
    (project.root / "colab" / "99_gone.ipynb").write_text("{}", encoding="utf-8")
    (project.root / "colab" / "01_one.ipynb").write_text("{}", encoding="utf-8")
    (project.root / "student" / "02_two.ipynb").unlink()
    names = ["colab/01_one.ipynb", "colab/99_gone.ipynb", "student/02_two.ipynb"]
    assert editions.stale(project, mend=False) == names
    assert editions.renew(project) == 0
    assert editions.stale(project, mend=False) == []


# For students ----------------------------------------------------------------------------------

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


def test_options_and_hints_are_kept_explanations_and_solutions_are_not(convert: Any) -> None:
    shown = convert(CHOICE, student=True)
    for kept in ("option", "helpful one", "helpful two", "In sight", "(1.1)", "Proof", "to read"):
        assert kept in shown
    for gone in ("explained", "secret", "Why", ":::"):
        assert gone not in shown
    assert "[it](https://site.example/c/book/02_two.html#ex_which)" in shown
    assert shown.endswith("After.")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (":::{solution-start} ex_which\n:::\nsecret", "unknown directive"),
        (":::{solution} ex_other\nsecret\n::::", "plain Markdown: colon_fence {solution}"),
        (":::{exercise} A\n:label: ex\n:nonumber:\n<details>a</details>\n:::", "fold with a"),
    ],
)
def test_what_could_leave_a_solution_is_an_error(convert: Any, source: str, words: str) -> None:
    with pytest.raises(CourseError, match=words):
        convert(source, student=True)

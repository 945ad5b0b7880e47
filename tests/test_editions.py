"""The editions are in step with their source; students get no solutions; no MyST is left."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
import pytest

import editions
import website
from environment import CourseError, Project
from labels import Parser, Settings, read_book
from plain import Converter, leftovers

ROOT = Path(__file__).resolve().parent.parent
PROJECT = Project(ROOT)
CHAPTERS = website.chapters(PROJECT)
BOOK = read_book(PROJECT)
SITE = "https://site.example/c"
MARKDOWN = tomllib.loads((ROOT / "tests" / "markdown.toml").read_text(encoding="utf-8"))
EXTENSIONS = ["amsmath", "attrs_block", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
EXTENSIONS += ["substitution", "tasklist"]

each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def cases(kind: str) -> list[tuple[str, ...]]:
    return [tuple(row.values()) for row in MARKDOWN[kind]]


# The committed editions ------------------------------------------------------------------------


def test_chapters_and_their_editions_are_up_to_date() -> None:
    assert editions.stale(PROJECT, mend=False) == [], "run `make editions` and commit the result"


@each_chapter
def test_nothing_in_the_editions_stops_who_changes_a_number(path: Path) -> None:
    """Guards are left out: no cell of a reader asserts anything, or needs what a guard defined."""
    kept: set[str] = set()
    guards: set[str] = set()
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type != "code" or cell["id"] == "install":
            continue
        nodes = list(ast.walk(ast.parse(cell.source)))
        bound = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        bound |= {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.ClassDef)}
        bound |= {(n.asname or n.name) for n in nodes if isinstance(n, ast.alias)}
        if "hide-cell" in cell.metadata.get("tags", []):
            guards |= bound - kept
            continue
        assert not any(isinstance(node, ast.Assert) for node in nodes), cell["id"]
        used = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
        assert not used & guards - bound, cell["id"]
        kept |= bound
        guards -= bound


@pytest.mark.parametrize("text", MARKDOWN["leftovers"])
def test_leftovers_are_recognised(text: str) -> None:
    assert leftovers(text, Parser(EXTENSIONS))


# Students ---------------------------------------------------------------------------------------


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
def test_no_link_of_the_student_edition_needs_colab(path: Path) -> None:
    cells = editions.edition(BOOK, path, student=True).cells
    assert not any("#scrollTo" in cell.source for cell in cells)
    mine = f"({BOOK.address('book/' + path.stem)}#"
    others = [cell.source.count("#scrollTo") for cell in editions.edition(BOOK, path).cells]
    assert sum(cell.source.count(mine) for cell in cells) > 0 or sum(others) == 0


# A tiny book to convert ------------------------------------------------------------------------

BIB = """
@misc{one, author={S{\\'a}nchez, Ana}, title={T}, year={2001}, eprint={2001.00001}}
@misc{two, author={van der Berg, A. and Lu, W.}, title={T}, year={2002}, doi={10.1/x}}
@misc{three, author={A, B. and C, D. and E, F.}, title={T}, year={2003}}
"""
CONFIG = f"""
parse:
  myst_enable_extensions: {EXTENSIONS}
sphinx: {{config: {{bibtex_bibfiles: [book/references.bib]}}}}
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


SETTINGS = Settings("1.2.3", "https://github.com/o/r", SITE, "0f" * 32)


def notebook_of(*cells: Any) -> Any:
    return nbformat.v4.new_notebook(cells=list(cells))


def code(source: str, name: str, *tags: str) -> Any:
    return nbformat.v4.new_code_cell(source, id=name, metadata={"tags": list(tags)} if tags else {})


def text(source: str, name: str) -> Any:
    return nbformat.v4.new_markdown_cell(source, id=name)


@pytest.fixture
def convert(project: Any) -> Callable[..., str]:
    """Convert one cell of the second page of a tiny book; labels in it can be referred to."""
    book = project.root / "book"
    (project.root / "_config.yml").write_text(CONFIG, encoding="utf-8")
    (book / "references.bib").write_text(BIB, encoding="utf-8")

    def converted(source: str, student: bool = False) -> str:
        for name, content in (("01_one", OTHER), ("02_two", source)):
            written = editions.written(notebook_of(text(content, "here")))
            (book / f"{name}.ipynb").write_text(written, encoding="utf-8")
        converter = Converter(read_book(project, SETTINGS), "book/02_two", student=student)
        return converter.convert(source, "here")

    return converted


def test_what_is_plain_markdown_stays_character_by_character(convert: Any) -> None:
    assert convert(MARKDOWN["same"]) == MARKDOWN["same"].strip("\n")


@pytest.mark.parametrize(("source", "expected"), cases("blocks"))
def test_blocks(convert: Any, source: str, expected: str) -> None:
    assert convert(source) == expected


@pytest.mark.parametrize(("source", "expected"), cases("running"))
def test_running_text(convert: Any, source: str, expected: str) -> None:
    assert convert(source) == expected


@pytest.mark.parametrize(("source", "words"), cases("refused"))
def test_what_cannot_be_plain_is_named_with_its_place(
    convert: Any, source: str, words: str
) -> None:
    with pytest.raises(CourseError, match=words) as caught:
        convert(source)
    assert "02_two.ipynb, cell here: " in str(caught.value)


def test_equations_are_counted_in_their_chapter(project: Any, convert: Any) -> None:
    toc = "root: book/index\nparts:\n- numbered: 1\n  chapters:\n  - file: book/01_one\n"
    toc += "- numbered: 1\n  chapters:\n  - file: book/02_two\n"
    (project.root / "_toc.yml").write_text(toc, encoding="utf-8")
    text = "```{math}\n:label: eq-a\nx\n```\n\n```{math}\n:label: eq-b\ny\n```\n"
    text += "{eq}`eq-a` {eq}`eq-other`"
    other = f"[(1.1)]({SITE}/book/01_one.html#equation-eq-other)"
    x, y = "$$\nx \\tag{2.1}\n$$", "$$\ny \\tag{2.2}\n$$"
    assert convert(text) == f"{x}\n\n{y}\n\n(2.1) {other}"


# Cells -----------------------------------------------------------------------------------------


def test_preparing_twice_is_preparing_once() -> None:
    chapter = notebook_of(text("# T", "t"), code("1", "one"))
    once = editions.written(editions.prepared(chapter, SETTINGS, "01_x"))
    again = nbformat.reads(once, as_version=4)
    assert editions.written(editions.prepared(again, SETTINGS, "01_x")) == once
    assert [cell["id"] for cell in again.cells] == ["t", "colab-badge", "install", "one"]
    newer = replace(SETTINGS, version="1.2.4")
    renewed = editions.written(editions.prepared(again, newer, "01_x"))
    assert renewed == once.replace("1.2.3", "1.2.4")
    before = editions.prepared(again, replace(SETTINGS, wheel_sha256=""), "01_x")
    assert [cell["id"] for cell in before.cells] == ["t", "install", "one"]


def test_the_colab_edition_of_cells(project: Any, convert: Any) -> None:
    convert("# Two")
    path = project.root / "book" / "02_two.ipynb"
    chapter = editions.prepared(
        notebook_of(
            text("# Two", "title"),
            code("a", "seen", "nbval-check-output"),
            code("b", "folded", "hide-input"),
            code("import b", "imports", "hide-input", "set-up"),
            code("c", "gone", "remove-cell"),
            code("assert a", "guard", "hide-cell", "nbval-check-output"),
            code("d", "fails", "raises-exception"),
            text("(only-a-target)=", "empty"),
        ),
        SETTINGS,
        "02_two",
    )
    path.write_text(editions.written(chapter), encoding="utf-8")
    colab = editions.edition(read_book(project, SETTINGS), path)
    folded = {"cellView": "form", "jupyter": {"source_hidden": True}}
    assert [(cell["id"], dict(cell.metadata)) for cell in colab.cells] == [
        ("title", {"id": "title"}),
        ("install", {"id": "install", **folded}),
        ("seen", {"id": "seen"}),
        ("folded", {"id": "folded", **folded}),
        ("imports", {"id": "imports"}),
        ("fails", {"id": "fails", "tags": ["raises-exception"]}),
    ]
    assert colab.metadata["colab"]["toc_visible"] is True
    student = editions.edition(read_book(project, SETTINGS), path, student=True)
    assert [cell["id"] for cell in student.cells[:3]] == ["title", "student-edition", "install"]


def test_check_sees_every_difference(project: Any, convert: Any) -> None:
    convert("# Two")
    (project.root / "pyproject.toml").write_text(
        '[project]\nversion = "1"\n[tool.course]\nrepository = "https://github.com/o/r"\n'
        f'site = "{SITE}"\n',
        encoding="utf-8",
    )
    assert len(editions.stale(project, mend=False)) == 6  # two chapters, and two editions of each
    assert editions.renew(project, check=True) == 1
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
    for kept in ("option", "helpful one", "helpful two", "In sight", "(1)", "Proof", "to read"):
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
        (":::{dropdown} A\nb\n:::", "unknown directive"),
    ],
)
def test_what_could_leave_a_solution_behind_is_an_error(
    convert: Any, source: str, words: str
) -> None:
    with pytest.raises(CourseError, match=words):
        convert(source, student=True)

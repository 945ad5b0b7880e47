"""The exercises of the chapters: enough of them, numbered, ever harder, checked, and solvable."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml

import website
from environment import Project
from labels import Directive, Parser, markdown_cells
from lessons_lib.exercises.check import EXERCISES, check

ROOT = Path(__file__).resolve().parent.parent
PROJECT = Project(ROOT)
CHAPTERS = {int(path.name[:2]): path for path in website.chapters(PROJECT)}
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
PARSER = Parser(CONFIG["parse"]["myst_enable_extensions"])

KINDS = {"predict", "derive", "implement", "experiment", "project"}
FIRST_LINE = re.compile(r"\*\*([A-Z][a-z ]+)\.\*\* (★{1,3}), (\d+ minutes.*|an? \w+.*|days)\.")
IMPORT = "from lessons_lib.exercises.check import check"

each_chapter = pytest.mark.parametrize("chapter", CHAPTERS)


@dataclass
class Item:
    """An exercise as it stands on the page; ``stub`` is the code cell below it."""

    title: str
    label: str
    numbered: bool
    body: str
    stub: str = ""
    solution: str = ""

    @property
    def number(self) -> str:
        return self.title.split(" ")[0]

    @property
    def head(self) -> tuple[set[str], int]:
        """Kinds and number of stars."""
        found = FIRST_LINE.match(self.body)
        assert found, f"{self.title}: expected kind, stars, time; found {self.body[:60]!r}"
        return set(found[1].lower().split(" and ")), len(found[2])

    @property
    def is_project(self) -> bool:
        return "project" in self.head[0]

    @property
    def folded(self) -> list[str]:
        """Titles of what is folded in the statement."""
        return [d.argument for d in directives(self.body) if d.options.get("class") == "dropdown"]


def directives(text: str) -> list[Directive]:
    return [found for _, found in PARSER.walk(text) if found]


def read(cells: list[Any]) -> list[Item]:
    """The exercises of a notebook in the order of the page."""
    items: list[Item] = []
    for cell in cells:
        if cell.cell_type == "code" and "check(" in cell.source and items:
            assert not items[-1].stub, f"{items[-1].title}: a second cell to answer in"
            items[-1].stub = cell.source
        for found in directives(cell.source) if cell.cell_type == "markdown" else []:
            if found.name == "exercise":
                numbered, label = "nonumber" not in found.options, found.options["label"]
                items.append(Item(found.argument, label, numbered, found.body))
            elif found.name == "solution":
                assert found.argument == items[-1].label, f"{found.argument}: not in its place"
                items[-1].solution = found.body
    return items


@cache
def items(chapter: int) -> list[Item]:
    return read(nbformat.read(CHAPTERS[chapter], as_version=4).cells)


def checked(chapter: int) -> list[Item]:
    return [item for item in items(chapter) if item.stub]


def is_choice(number: str) -> bool:
    return check(number, "?").key == "no-such-option"


ON_THE_PAGE = [(item.number, item) for chapter in CHAPTERS for item in checked(chapter)]
each_checked = pytest.mark.parametrize(
    ("number", "item"), ON_THE_PAGE, ids=[number for number, _ in ON_THE_PAGE]
)


@each_chapter
def test_exercises_of_a_chapter_are_of_every_kind_in_order_and_ever_harder(chapter: int) -> None:
    found, stubs = items(chapter), checked(chapter)
    assert len(found) >= 4
    assert len(stubs) >= 3
    assert set().union(*(item.head[0] for item in found)) == KINDS
    assert [item.number for item in found] == [f"{chapter}.{k + 1}" for k in range(len(found))]
    # A second number, counted through the book, would stand beside ours on the site.
    assert not any(item.numbered for item in found)
    stars, projects = [item.head[1] for item in found], [item.is_project for item in found]
    assert (stars[0], stars, projects) == (1, sorted(stars), sorted(projects))
    first = found[0]
    assert is_choice(first.number) or "5 minutes" in first.body.splitlines()[0]
    for item in found:
        if not item.is_project:
            assert item.folded.count("Hint") == 1, item.title
            assert item.solution.strip(), item.title
    # The checker is imported once, where it is first needed.
    assert [IMPORT in item.stub for item in stubs] == [True] + [False] * (len(stubs) - 1)
    known = {n: e.title for n, e in EXERCISES.items() if n.split(".")[0] == str(chapter)}
    assert {item.number: item.title.split(" ", 1)[1] for item in stubs} == known


def test_the_book_has_enough_exercises() -> None:
    assert sum(len(items(chapter)) for chapter in CHAPTERS) >= 36
    assert len(ON_THE_PAGE) >= 24


def last_value(code: str, space: dict[str, Any]) -> Any:
    """The value of the last line of a cell, as a notebook shows it."""
    *body, last = ast.parse(code).body
    assert isinstance(last, ast.Expr)
    exec(compile(ast.Module(body, []), "stub", "exec"), space)
    return eval(compile(ast.Expression(last.value), "stub", "eval"), space)


@each_checked
def test_a_stub_is_not_attempted_yet(number: str, item: Item) -> None:
    found = last_value(item.stub, {"check": check})
    assert (found.exercise, found.verdict) == (number, "not attempted")
    call = EXERCISES[number].call
    if call:  # the stub has the name and the arguments that the checker's messages use
        assert f"def {call}: ...\n" in item.stub


def imports(chapter: int) -> str:
    """The import lines of a chapter before its exercises."""
    cells = nbformat.read(CHAPTERS[chapter], as_version=4).cells
    code = [cell.source for cell in cells if cell.cell_type == "code" and cell.id != "install"]
    nodes = [node for source in code for node in ast.parse(source).body]
    wanted = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    return "\n".join(ast.unparse(node) for node in wanted)


def solution_code(number: str, item: Item) -> tuple[str, str]:
    """Name of the function that is asked for, and the code on the page that has it."""
    name = str(EXERCISES[number].call).split("(")[0]
    blocks = re.findall(r"^```python\n(.*?)^```", item.solution, re.DOTALL | re.MULTILINE)
    (code,) = [block for block in blocks if f"def {name}(" in block]
    return name, code


@each_checked
def test_the_solution_on_the_page_passes(number: str, item: Item) -> None:
    if EXERCISES[number].call is None:
        value = re.search(r"`([^`]+)`", item.solution)
        assert value
        answer = value[1] if is_choice(number) else eval(value[1], {})
    else:
        name, code = solution_code(number, item)
        space: dict[str, Any] = {}
        exec(imports(int(number.split(".")[0])) + "\n" + code, space)
        answer = space[name]
    assert check(number, answer).passed


def test_the_keys_of_multiple_choice_are_no_pattern() -> None:
    keys = [o for n, _ in ON_THE_PAGE if is_choice(n) for o in "abcd" if check(n, o).passed]
    assert set(keys) == set("abcd")
    assert all(x != y for x, y in pairwise(keys)), keys


@each_checked
def test_multiple_choice_explains_every_option_without_a_kernel(number: str, item: Item) -> None:
    options = re.findall(r"^- \((\w)\) \S", item.body, re.MULTILINE)
    if not is_choice(number):
        assert not options
        return
    assert options == list("abcd")
    assert [title for title in item.folded if title != "Hint"] == [f"Option {o}" for o in options]
    assert [check(number, letter).passed for letter in options].count(True) == 1


def test_references_say_the_number_of_their_exercise() -> None:
    """Sphinx would call all of them "Exercise"."""
    numbers = {item.label: item.number for chapter in CHAPTERS for item in items(chapter)}
    pages = website.page_sources(PROJECT).values()
    texts = "\n".join(text for path in pages for _, text in markdown_cells(path))
    roles = re.findall(r"\{ref\}`(?:([^`<]*?)\s*<)?([\w-]+)>?`", texts)
    found = [(text, label) for text, label in roles if label in numbers]
    assert found
    wrong = [(text, label) for text, label in found if numbers[label] not in text.split()]
    assert not wrong, f"write {{ref}}`exercise N.k <label>`: {wrong}"

"""The exercises of the chapters: enough of them, numbered, ever harder, checked, and solvable."""

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from answers import CHAPTERS, ON_THE_PAGE, ROOT, items

import website
from environment import Project
from labels import markdown_cells
from lessons_lib.exercises.check import EXERCISES, check
from lessons_lib.exercises.judge import judge

KINDS = {"predict", "derive", "implement", "experiment", "project"}
IMPORT = "from lessons_lib.exercises.check import check"

each_checked = pytest.mark.parametrize("number", ON_THE_PAGE)


def is_choice(number: str) -> bool:
    return check(number, "?").key == "no-such-option"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_exercises_of_a_chapter_are_of_every_kind_in_order_and_ever_harder(chapter: int) -> None:
    found = items(chapter)
    stubs = [item for item in found if item.stub]
    assert len(found) >= 4
    assert len(stubs) >= 3
    assert set().union(*(item.head[0] for item in found)) == KINDS
    assert [item.number for item in found] == [f"{chapter}.{k + 1}" for k in range(len(found))]
    # A second number, counted through the book, would stand beside ours on the site.
    assert not any(item.numbered for item in found)
    stars, projects = [i.head[1] for i in found], ["project" in i.head[0] for i in found]
    assert (stars[0], stars, projects) == (1, sorted(stars), sorted(projects))
    assert is_choice(found[0].number) or "5 minutes" in found[0].body.splitlines()[0]
    assert any(is_choice(item.number) for item in stubs)
    for item, project in zip(found, projects, strict=True):
        if not project:
            assert item.folded.count("Hint") == 1, item.title
            assert item.solution.strip(), item.title
    # The checker is imported once, where it is first needed.
    assert [IMPORT in item.stub for item in stubs] == [True] + [False] * (len(stubs) - 1)
    known = {n: e.title for n, e in EXERCISES.items() if n.split(".")[0] == str(chapter)}
    assert {item.number: item.title.split(" ", 1)[1] for item in stubs} == known


@each_checked
def test_a_stub_is_not_attempted_yet_and_the_solution_on_the_page_passes(number: str) -> None:
    item, call, space = ON_THE_PAGE[number], EXERCISES[number].call, {"check": check}
    *body, last = ast.parse(item.stub).body
    exec(compile(ast.Module(body, []), "stub", "exec"), space)
    assert isinstance(last, ast.Expr)
    found: Any = eval(ast.unparse(last), space)
    assert (found.exercise, found.verdict) == (number, "not attempted")
    # The stub has the name and the arguments that the checker's messages use.
    assert call is None or f"def {call}: ...\n" in item.stub
    assert check(number, item.answer()).passed


@each_checked
def test_multiple_choice_explains_every_option_without_a_kernel(number: str) -> None:
    item = ON_THE_PAGE[number]
    options = re.findall(r"^- \((\w)\) \S", item.body, re.MULTILINE)
    if not is_choice(number):
        assert not options
        return
    assert options == list("abcd")
    assert [title for title in item.folded if title != "Hint"] == [f"Option {o}" for o in options]
    told = [check(number, option) for option in options]
    assert [found.passed for found in told].count(True) == 1
    assert len({found.key for found in told} - {"", "no-such-option"}) == 3


def test_references_say_the_number_of_their_exercise() -> None:
    """Sphinx would call all of them "Exercise"."""
    numbers = {item.label: item.number for chapter in CHAPTERS for item in items(chapter)}
    pages = website.page_sources(Project(ROOT)).values()
    texts = "\n".join(text for path in pages for _, text in markdown_cells(path))
    roles = re.findall(r"\{ref\}`(?:([^`<]*?)\s*<)?([\w-]+)>?`", texts)
    found = [(text, label) for text, label in roles if label in numbers]
    assert found
    wrong = [(text, label) for text, label in found if numbers[label] not in text.split()]
    assert not wrong, f"write {{ref}}`exercise N.k <label>`: {wrong}"


# Each clause of a statement decides a case: mutations of the solutions do not pass ----------------

SWAPS = {
    ast.Lt: ast.LtE, ast.Gt: ast.GtE, ast.LtE: ast.Lt, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
}  # fmt: skip
# What a mutated line may have and still be right, since no clause of the statement decides it.
EQUIVALENT: dict[str, tuple[str, ...]] = {
    "1.4": ("[:, -1]", "S, 2)", "[..., -1]"),  # axes of one entry
    "2.2": ("kappa",),  # all scores that are loud enough
    "2.3": ("brentq",),  # where the root is searched
    "3.4": ("index_add_(-1", "e-300", "e-301"),  # the only axis; what never occurs
    "5.4": ("softmax(-0)",),
    "10.3": ("values > level",),  # equal to the level, both give the same moment
    "10.7": ("= way =",),  # nothing, of the shape of a gradient
    "10.5": ("shape[-2]",),  # the map is square
}


def mutants(code: str) -> Iterator[tuple[str, str]]:
    """Sources that differ in one place each, with the line that differs."""
    tree = ast.parse(code)
    lines = ast.unparse(tree).splitlines()
    for node in ast.walk(tree):
        for field, value in changes(node):
            before = getattr(node, field)
            setattr(node, field, value)
            text = ast.unparse(tree)
            setattr(node, field, before)
            pairs = zip(lines, text.splitlines(), strict=True)
            yield from ((new.strip(), text) for old, new in pairs if old != new)


def changes(node: Any) -> Iterator[tuple[str, Any]]:
    """Fields of a node, and what may stand there instead."""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS:
        yield "ops", [SWAPS[type(node.ops[0])](), *node.ops[1:]]
    if isinstance(node, ast.BinOp) and type(node.op) in SWAPS:
        yield "op", SWAPS[type(node.op)]()
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        step: Any = 1 if type(node.value) is int else node.value / 9  # type: ignore[operator]
        yield from (("value", node.value + sign * step) for sign in (1, -1))


@pytest.mark.slow
@pytest.mark.parametrize("number", [n for n in ON_THE_PAGE if EXERCISES[n].call])
def test_no_mutation_of_the_solution_passes(number: str) -> None:
    item, exercise = ON_THE_PAGE[number], replace(EXERCISES[number], seconds=2.0)
    passed, tried = [], 0
    for line, text in mutants(item.code()):
        found = judge(number, exercise, item.function(text))
        assert found.key != "checker", line
        tried += 1
        if found.passed and not any(part in line for part in EQUIVALENT.get(number, ())):
            passed.append(line)
    assert tried or number == "5.2"  # which has no number and no comparison
    assert passed == []

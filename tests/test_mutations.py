"""Each clause of a statement decides a case: mutations of the solutions do not pass."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from test_exercises import ON_THE_PAGE, imports, solution_code

from lessons_lib.exercises.check import EXERCISES
from lessons_lib.exercises.judge import judge

SWAPS: dict[type, list[type]] = {
    ast.Lt: [ast.LtE, ast.Gt],
    ast.Gt: [ast.GtE, ast.Lt],
    ast.LtE: [ast.Lt],
    ast.GtE: [ast.Gt],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.Add: [ast.Sub],
    ast.Sub: [ast.Add],
    ast.Mult: [ast.Div],
    ast.Div: [ast.Mult],
    ast.Pow: [ast.Mult],
    ast.USub: [ast.UAdd],
}
NAMES = {
    "ceil": ["floor", "trunc"],
    "min": ["max"],
    "max": ["min"],
    "mean": ["median", "sum", "max"],
}
NAMES |= {"argmax": ["argmin"], "expm1": ["exp"], "any": ["all"], "all": ["any"]}

# What a mutated line may have and still be right, since no clause of the statement decides it.
EQUIVALENT: dict[str, tuple[str, ...]] = {
    "1.4": ("[:, -1]", "S, 2)", "[..., -1]"),  # axes of one entry
    "2.2": ("kappa",),  # all scores that are loud enough
    "2.3": ("brentq",),  # where the root is searched
    "2.4": ("sum(+1",),  # the last of two axes
    "3.2": ("softmax(+1)",),
    "3.4": ("index_add_(-1", "e-300", "e-301"),  # the only axis; what never occurs
    "5.4": ("softmax(-0)",),
    "10.3": ("values > level",),  # equal to the level, both give the same moment
    "10.7": ("= way =",),  # nothing, of the shape of a gradient
    "10.5": ("shape[+1]", "shape[-2]"),  # the map is square
}


def mutants(code: str) -> Iterator[tuple[str, str]]:
    """Sources that differ in one place each, with the line that differs."""
    tree = ast.parse(code)
    lines = ast.unparse(tree).splitlines()
    for place, node in enumerate(ast.walk(tree)):
        for field, value in changes(node):
            other = copy.deepcopy(tree)
            target: Any = list(ast.walk(other))[place]
            setattr(target, field, value)
            text = ast.unparse(ast.fix_missing_locations(other))
            differing = [
                new for old, new in zip(lines, text.splitlines(), strict=True) if old != new
            ]
            yield from ((line.strip(), text) for line in differing)


def changes(node: ast.AST) -> Iterator[tuple[str, Any]]:
    """Fields of a node, and what may stand there instead."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        yield from (("ops", [new()]) for new in SWAPS.get(type(node.ops[0]), []))
    if isinstance(node, ast.BinOp | ast.UnaryOp):
        yield from (("op", new()) for new in SWAPS.get(type(node.op), []))
    if (
        isinstance(node, ast.Constant)
        and not isinstance(node.value, bool)
        and isinstance(node.value, int | float)
    ):
        step = 1 if isinstance(node.value, int) else node.value / 9
        yield from (("value", node.value + sign * step) for sign in (1, -1))
    for field in ("attr", "id"):
        yield from ((field, name) for name in NAMES.get(getattr(node, field, ""), []))


SOLVED = [(number, item) for number, item in ON_THE_PAGE if EXERCISES[number].call]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "item"), SOLVED, ids=[number for number, _ in SOLVED])
def test_no_mutation_of_the_solution_passes(number: str, item: Any) -> None:
    name, code = solution_code(number, item)
    first = imports(int(number.split(".")[0]))
    exercise = replace(EXERCISES[number], seconds=2.0)
    passed, tried = [], 0
    for line, text in mutants(code):
        space: dict[str, Any] = {}
        exec(f"{first}\n{text}", space)
        found = judge(number, exercise, space[name])
        assert found.key != "checker", line
        tried += 1
        if found.passed and not any(part in line for part in EQUIVALENT.get(number, ())):
            passed.append(line)
    assert tried or number == "5.2"  # which has no number and no comparison
    assert passed == []

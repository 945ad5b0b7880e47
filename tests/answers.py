"""The exercises of the pages, their solutions there, and the answers of ``answers.toml``."""
# ruff: noqa: F401 - the expressions of answers.toml are made of what is imported here

import ast
import copy
import math
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import torch
import yaml
from scipy.special import entr, lambertw
from scipy.stats import norm

import website
from environment import Project
from labels import Directive, Parser
from lessons_lib import agreement, ibm_model1, models, probes
from lessons_lib.exercises.check import EXERCISES
from lessons_lib.lab import blocks, heads
from lessons_lib.theory import phase_portrait, two_words

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = {int(path.name[:2]): path for path in website.chapters(Project(ROOT))}
PARSER = Parser(
    yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))["parse"]["myst_enable_extensions"]
)
FIRST_LINE = re.compile(r"\*\*([A-Z][a-z ]+)\.\*\* (★{1,3}), (\d+ minutes.*|an? \w+.*|days)\.")


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
    def folded(self) -> list[str]:
        """Titles of what is folded in the statement."""
        return [d.argument for d in directives(self.body) if d.options.get("class") == "dropdown"]

    def code(self) -> str:
        """The solution's code that has the function that is asked for."""
        name = str(EXERCISES[self.number].call).split("(")[0]
        code = re.findall(r"^```python\n(.*?)^```", self.solution, re.DOTALL | re.MULTILINE)
        (found,) = [block for block in code if f"def {name}(" in block]
        return str(found)

    def function(self, code: str) -> Any:
        """The function that is asked for, from code below the chapter's imports."""
        space: dict[str, Any] = {}
        exec(f"{imports(int(self.number.split('.')[0]))}\n{code}", space)
        return space[str(EXERCISES[self.number].call).split("(")[0]]

    def answer(self) -> Any:
        """What the solution hands in."""
        if EXERCISES[self.number].call:
            return self.function(self.code())
        value = re.search(r"`([^`]+)`", self.solution)
        assert value
        return value[1] if value[1] in list("abcd") else eval(value[1], {})


def directives(text: str) -> list[Directive]:
    return [found for _, found in PARSER.walk(text) if found]


@cache
def cells(chapter: int) -> list[Any]:
    return list(nbformat.read(CHAPTERS[chapter], as_version=4).cells)


@cache
def items(chapter: int) -> list[Item]:
    """The exercises of a chapter in the order of the page."""
    items: list[Item] = []
    for cell in cells(chapter):
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


ON_THE_PAGE = {item.number: item for chapter in CHAPTERS for item in items(chapter) if item.stub}


@cache
def imports(chapter: int) -> str:
    """The import lines of a chapter before its exercises."""
    code = [
        cell.source for cell in cells(chapter) if cell.cell_type == "code" and cell.id != "install"
    ]
    nodes = [node for source in code for node in ast.parse(source).body]
    wanted = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    return "\n".join(ast.unparse(node) for node in wanted)


# What the expressions in answers.toml are made of, beside what is imported -----------------------


def loud(loss: float) -> float:
    """The score K of both texts: 2 log(1 + e^-K) is the loss."""
    return -math.log(math.expm1(loss / 2))


def rows_to_one(table: np.ndarray) -> np.ndarray:
    return np.asarray(table / table.sum(1, keepdims=True))


def made(number: str, text: str) -> Any:
    """An answer from its text."""
    item = ON_THE_PAGE[number]
    if " -> " not in text:
        return eval(text, globals() | {"f": item.answer()})
    code = item.code()
    for change in text.split(" ;; "):
        old, new = change.split(" -> ")
        assert old in code, f"{number}: expected {old!r} in the solution on the page"
        code = code.replace(old, new)
    return item.function(code)


def rows() -> Iterator[tuple[str, str, str]]:
    """Number, key of the mistake (none where it is right), and text."""
    for number, kinds in tomllib.loads((ROOT / "tests/answers.toml").read_text("utf-8")).items():
        for key, texts in {"": kinds.get("right", []), **kinds.get("wrong", {})}.items():
            yield from ((number, key, text) for text in ([texts] if type(texts) is str else texts))


ANSWERS = list(rows())

"""The problem set: what students get holds no answer, and otter-grader gives the right points."""

from __future__ import annotations

import ast
import contextlib
import csv
import json
import math
import re
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import torch
import yaml
from test_handins import packed

import assignment
from environment import CourseError, Project
from labels import read_settings
from lessons_lib import stats

ROOT = Path(__file__).resolve().parent.parent
SOURCE = nbformat.read(ROOT / "assignment" / "problem_set.ipynb", as_version=4)
FULL = {"q1": 2, "q2a": 2, "q2b": 1, "q3a": 2, "q3b": 2, "q4a": 2, "q4b": 2, "q5a": 2, "q5b": 2}
FULL |= {"q5c": 1}

WRONG = tomllib.loads((ROOT / "tests" / "submissions.toml").read_text(encoding="utf-8"))


def here(target: Path) -> Project:
    """This checkout with the Python that runs the tests, built elsewhere."""
    project = Project(ROOT)
    project.python, project.build = Path(sys.executable), target
    return project


def filled(student: Any, answers: dict[str, str]) -> str:
    """A student's notebook with answers to questions, as text."""
    notebook = nbformat.from_dict(json.loads(json.dumps(student)))
    for cell in notebook.cells:
        name = cell["id"].removesuffix("-solution")
        cell["source"] = answers.get(name, cell["source"]).strip("\n")
        if cell["id"] == "q6-prompt" and "q6" in answers:
            cell["source"] = answers["q6"]
    return str(nbformat.writes(notebook))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the built set: its own tests have passed on its solutions."""
    pytest.importorskip("otter", reason="`make env` installs otter-grader")
    project = here(tmp_path_factory.mktemp("build"))
    assert assignment.build(project) == 0
    return project.build / "assignment"


@pytest.fixture(scope="module")
def solutions(built: Path) -> dict[str, str]:
    """Answers of the reference."""
    notebook = nbformat.read(built / "solutions" / "problem_set.ipynb", as_version=4)
    found = {c["id"].removesuffix("-solution"): c["source"] for c in notebook.cells}
    return {name: found[name] for name in FULL} | {"q6": "All but *one*."}


@pytest.fixture(scope="module")
def graded(built: Path, solutions: dict[str, str], tmp_path_factory: Any) -> dict[str, Any]:
    """Rows of the table of grades, by name of the submission."""
    folder = tmp_path_factory.mktemp("what came") / "in the end"
    student = nbformat.read(built / "student" / "problem_set.ipynb", as_version=4)
    texts = {name: filled(student, solutions | WRONG[name]) for name in WRONG}
    strange = json.loads(texts["that patches"])
    strange["metadata"]["kernelspec"] = {"name": "gone", "display_name": "Gone"}
    reference = filled(student, solutions)
    submissions = {
        "reference.ZIP": packed(("set/my set.ipynb", reference), ("__MACOSX/set/._a.ipynb", "x")),
        "half right.IPYNB": texts["half right"].encode(),
        "wrong in other ways.ipynb.txt": texts["wrong in other ways"].encode(),
        "that never ends/problem set (1).ipynb": texts["that never ends"].encode(),
        "that patches.ipynb": b"\xef\xbb\xbf" + json.dumps(strange).encode(),
        "untouched.ipynb": filled(student, {}).encode(),
        "chapter.ipynb": (ROOT / "book" / "02_two_word_classifier.ipynb").read_bytes(),
        "no notebook.ipynb": b"My dog ate it.",
    }
    for name, content in submissions.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    status = assignment.grade(here(built.parent), [folder], jobs=2)
    with (built / "grades.csv").open(encoding="utf-8", newline="") as table:
        found = csv.DictReader(table)
        rows: dict[str, Any] = {row["submission"].partition(".")[0]: row for row in found}
    last = ["automatic", "of", "problem", "remarks"]
    assert found.fieldnames == ["submission", *sorted(FULL), *last]
    return rows | {"status": status}


def points(row: dict[str, str]) -> dict[str, float]:
    return {name: float(row[name]) for name in FULL}


# What students get -------------------------------------------------------------------------------


def test_the_set_has_twenty_points_and_says_them() -> None:
    settings = [yaml.safe_load(c.source) for c in SOURCE.cells if "BEGIN QUESTION" in c.source]
    found = {question["name"]: question["points"] for question in settings}
    assert found == FULL | {"q6": 2}
    texts = {c["id"].removesuffix("-text"): c.source for c in SOURCE.cells}
    told = {name: re.findall(r"^\*\*(\d+) points?, (\d+) minutes", texts[name]) for name in found}
    assert {name: int(both[0][0]) for name, both in told.items()} == found
    assert 100 <= sum(int(both[0][1]) for both in told.values()) <= 150
    settings = yaml.safe_load(SOURCE.cells[0].source)["plugins"][0]["files.isolation.Isolated"]
    forbids = {name for name, words in settings["functions"].items() if words}
    asked = {name: text for text in texts.values() for name in re.findall(r"`(\w+)\(", text)}
    assert settings["functions"].keys() == asked.keys()
    said = {name for name, text in asked.items() if re.search("(?i)do not use", text)}
    assert said == forbids


@pytest.mark.slow
def test_students_get_no_solution_and_no_hidden_test(built: Path) -> None:
    folder = built / "student"
    texts = [path.read_text(encoding="utf-8") for path in (folder / "tests").glob("*.py")]
    notebook = nbformat.read(folder / "problem_set.ipynb", as_version=4)
    texts += [cell["source"] for cell in notebook.cells]
    given = "\n".join(texts)
    hidden: set[str] = set()
    shared: set[str] = set()
    for cell in SOURCE.cells:
        head, _, body = cell.source.partition("# END TEST CONFIG")
        if cell["id"].endswith("-solution"):
            body = re.sub(r"(?s)\A.*?# BEGIN SOLUTION|# END SOLUTION.*|# SOLUTION", "", head)
            hidden |= {line.strip() for line in body.splitlines()}
        elif body:
            lines = {ast.unparse(line) for line in ast.parse(body).body}
            (hidden if "hidden: true" in head else shared).update(lines)
    secret = {line for line in hidden - shared if len(line) >= 20}
    assert len(secret) > 60
    assert [line for line in secret if line in given] == []
    assert "hidden': True" not in given
    assert all(f'grader.check("{name}")' in given for name in FULL)
    assert not any(cell.get("outputs") for cell in notebook.cells)


@pytest.mark.slow
def test_what_is_handed_out_and_the_archive_are_complete(built: Path) -> None:
    with zipfile.ZipFile(built / "problem_set.zip") as file:
        names = set(file.namelist())
    tests = {f"problem_set/tests/{name}.py" for name in FULL}
    assert {"problem_set/problem_set.ipynb", *tests} <= names
    assert not [name for name in names if name.endswith((".whl", ".zip", "isolation.py"))]
    with zipfile.ZipFile(built / "autograder.zip") as file:
        names = set(file.namelist())
        wanted = yaml.safe_load(file.read("environment.yml"))["dependencies"][-1]["pip"]
        settings = json.loads(file.read("otter_config.json"))
        hidden = [name for name in FULL if b"'hidden': True" in file.read(f"tests/{name}.py")]
    wheel = f"lessons_lib-{read_settings(ROOT).version}-py3-none-any.whl"
    assert {f"files/wheels/{wheel}", "files/isolation.py"} <= names
    assert any(line.startswith("--extra-index-url https://") for line in wanted)
    assert wanted[-1] == f"lessons-lib @ file:///autograder/source/files/wheels/{wheel}"
    assert any(re.fullmatch(r"torch==[\d.]+", line) for line in wanted)
    assert hidden == list(FULL)
    assert settings["show_hidden"] is False


# What they get for it ----------------------------------------------------------------------------


@pytest.mark.slow
def test_the_reference_gets_full_marks(graded: dict[str, Any]) -> None:
    row = graded["reference"]
    assert points(row) == FULL
    assert (row["automatic"], row["of"], row["problem"]) == ("18", "18", "")


@pytest.mark.slow
@pytest.mark.parametrize("name", WRONG)
def test_wrong_answers_lose_their_points_and_no_others(graded: dict[str, Any], name: str) -> None:
    expected = FULL | WRONG[name]["points"]
    assert points(graded[name]) == expected
    assert float(graded[name]["automatic"]) == sum(expected.values()) < 18
    assert graded[name]["problem"] == ""


@pytest.mark.slow
def test_every_entry_is_in_the_table(graded: dict[str, Any], built: Path) -> None:
    assert set(points(graded["untouched"]).values()) == {0}
    expected = {
        "no notebook": "no notebook.ipynb: Expecting value",
        "chapter": "assignment 'None'",
    }
    for name, words in expected.items():
        assert (graded[name]["q1"], graded[name]["automatic"]) == ("", "")
        assert words in graded[name]["problem"]
    assert graded.keys() == {"reference", "untouched", "status", *WRONG, *expected}
    assert graded["status"] == 1
    remarks = graded["that never ends"]["remarks"]
    assert "chance: no end within 10 s" in remarks
    assert "attention_gradient: it uses autograd, which its question forbids" in remarks
    assert "lessons_lib, which its question forbids" in graded["wrong in other ways"]["remarks"]
    written = (built / "written.md").read_text(encoding="utf-8").split("# ")
    assert "reference.ZIP\n\nAll but *one*.\n\n" in written
    assert "no notebook.ipynb\n\n(no answer found)\n\n" in written


def test_a_submission_that_takes_too_long_in_all_is_given_up(tmp_path: Path) -> None:
    (tmp_path / "endless.ipynb").write_text('{"cells": []}', encoding="utf-8")
    row = assignment.grade_one(here(tmp_path), tmp_path, tmp_path / "endless.ipynb", seconds=0.01)
    assert row["problem"] == "expected an end within 0.01 s, found none"


# What the book gives away ------------------------------------------------------------------------


def book_answers() -> list[Any]:
    """Functions of the solutions in the book, and values that they tell."""
    found: list[Any] = []
    names: dict[str, Any] = {"np": np, "torch": torch, "math": math}
    for path in sorted((ROOT / "book").glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            for block in re.findall(r"(?s)\{solution\}.*?\n(.*)", cell.source):
                for code in re.findall(r"(?s)```python\n(.*?)```", block):
                    tree = ast.parse(code)
                    kept = (ast.FunctionDef, ast.Import, ast.ImportFrom)
                    tree.body = [line for line in tree.body if isinstance(line, kept)]
                    exec(compile(tree, path.name, "exec"), names)
                    found += [names[f.name] for f in tree.body if isinstance(f, ast.FunctionDef)]
                for value in re.findall(r"`([-\d.,()\[\] ]+)`", block):
                    with contextlib.suppress(SyntaxError, ValueError):
                        found.append(ast.literal_eval(value))
    return found


def earned(question: str, names: dict[str, Any]) -> int:
    """Points that names get in a question, run as they stand."""
    total = 0
    for cell in SOURCE.cells:
        if cell["id"].startswith(f"{question}-test-"):
            head, body = cell.source.split("# END TEST CONFIG")
            with contextlib.suppress(Exception):
                exec(body, dict(names))
                total += int(re.findall(r"points: (\d)", head)[0])
    return total


def test_the_solutions_in_the_book_do_not_solve_the_set() -> None:
    source = {cell["id"]: cell.source for cell in SOURCE.cells}
    books = book_answers()
    assert len([one for one in books if callable(one)]) >= 25
    for question, points_ in FULL.items():
        names: dict[str, Any] = {"np": np, "torch": torch, "stats": stats}
        exec(source[f"{question}-solution"], names)
        assert earned(question, names) == points_  # the tests can be passed, run like this
        asked = re.findall(r"(?m)^(?:def )?(\w+)(?:\(| =)", source[f"{question}-solution"])
        most = max(earned(question, names | dict.fromkeys(asked, one)) for one in books)
        assert most == 0, question


# Without otter-grader ----------------------------------------------------------------------------


def test_an_archive_of_something_else_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "assignment" / "autograder.zip"
    archive.parent.mkdir()
    (tmp_path / "a.ipynb").touch()
    archive.write_bytes(packed())
    with pytest.raises(CourseError, match="expected an archive that `make assignment` made"):
        assignment.grade(here(tmp_path), [tmp_path / "a.ipynb"])

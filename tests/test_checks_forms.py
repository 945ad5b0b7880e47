"""Forms of answers, how results read, and what holds for every exercise."""

from __future__ import annotations

import sys
from collections import deque
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from test_checks import Disguised

from lessons_lib.exercises.check import _CHAPTERS, EXERCISES, check
from lessons_lib.exercises.judge import Exercise, Result, choice, judge, numbers
from lessons_lib.exercises.sandbox import NotAttempted, Wrong


@pytest.mark.parametrize(
    ("answer", "key"),
    [("a", "first"), ("A ", "first"), ("(a)", "first"), ("e", "no-such-option"), (1, "type")]  # noqa: RUF005
    + [("xy", "no-such-option"), (["a", "b"], "type"), (b"a", "type")],
)
def test_multiple_choice(answer: Any, key: str) -> None:
    exercise = Exercise("Pick", choice({"a": ("first", "It is not the first.")}, "ab"), "")
    assert judge("0.5", exercise, answer).key == key
    assert judge("0.5", exercise, " B").passed


@pytest.mark.parametrize(
    "value",
    [3, 3.0, True, Fraction(1, 3), Decimal(3), np.float32(3), np.int64(3), torch.tensor([3])]  # noqa: RUF005
    + [3 + 0j, np.complex64(3), torch.tensor(3 + 0j), np.array([3], dtype=object), [[3]]]
    + [torch.tensor(3.0, dtype=torch.bfloat16), np.array(3), pd.Series([3]), deque([3])],
)
def test_a_single_number_may_come_in_many_forms(value: Any) -> None:
    expected = 1 / 3 if type(value) is Fraction else 1 if value is True else 3
    assert numbers(value) == pytest.approx(expected)


def test_swapped_axes_are_named() -> None:
    with pytest.raises(Wrong, match="swapped"):
        numbers(np.zeros((3, 2)), (2, 3))


def test_an_ellipsis_among_values_is_an_answer_begun() -> None:
    with pytest.raises(NotAttempted):
        numbers(..., (2,))
    for begun in ([1.0, ...], [...], (..., ...)):
        with pytest.raises(Wrong, match="still a"):
            numbers(begun, (2,))


def test_results_read_as_text_and_as_html() -> None:
    passed = Result("6.2", "Any <table>", "passed")
    wrong = Result("6.2", "Any <table>", "wrong", "key", "1 < 2 & so on", "look <here>", "<b>out")
    waiting = Result("6.2", "Any <table>", "not attempted")
    assert "passed" in repr(passed)
    assert "not attempted yet" in repr(waiting)
    assert all(
        part in repr(wrong) for part in ("6.2", "1 < 2 & so on", "[key]", "look <here>", "out")
    )
    page = wrong._repr_html_()
    assert "1 &lt; 2 &amp; so on" in page
    assert "<table>" not in page
    assert "<here>" not in page
    assert "<b>" not in page
    assert "not right yet" in page  # said in words, not by a colour
    assert "background" not in page


def test_an_unknown_number_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'6\.77'.*1\.1.*9\.4"):
        check("6.77", 1)


def test_each_chapter_has_three_checked_exercises_and_a_choice() -> None:
    for module in _CHAPTERS:
        letters = [
            number for number in module.EXERCISES if check(number, "?").key == "no-such-option"
        ]
        assert len(module.EXERCISES) >= 3
        assert letters, f"{module.__name__} has no multiple choice"


@pytest.mark.parametrize("number", EXERCISES)
@pytest.mark.parametrize("answer", [..., None])
def test_no_exercise_stumbles_over_no_answer(number: str, answer: Any) -> None:
    assert check(number, answer).verdict == "not attempted"


@pytest.mark.parametrize("number", EXERCISES)
@pytest.mark.parametrize(
    "value", ["text", 0.25, [[1.0, 2.0], [3.0]], float("nan"), {}, Disguised()]
)
def test_no_exercise_stumbles_over_an_odd_answer(number: str, value: Any) -> None:
    answer = (lambda *_: value) if EXERCISES[number].call else value
    found = check(number, answer)
    assert found.verdict == "wrong"
    assert found.key != "checker"


def test_the_registry_is_complete_and_consistent() -> None:
    assert sum(len(module.EXERCISES) for module in _CHAPTERS) == len(EXERCISES)
    assert len(EXERCISES) >= 24
    for number, exercise in EXERCISES.items():
        module = sys.modules[exercise.judge.__module__].__name__
        assert exercise.title
        assert exercise.hint
        assert exercise.seconds <= 20
        chapter = int(number.split(".")[0])
        assert module in (f"lessons_lib.exercises.ch{chapter:02d}", "lessons_lib.exercises.judge")

"""Right answers pass in whatever form, wrong ones get their name, hostile ones leave no trace."""

import builtins
import gc
import math
import os
import random
import re
import sys
import textwrap
import time  # noqa: F401 - the answers below sleep
import types
import warnings
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from answers import ANSWERS, ON_THE_PAGE, made

from lessons_lib import models
from lessons_lib.exercises.check import EXERCISES, check
from lessons_lib.exercises.contents import NotAttempted, Wrong, numbers
from lessons_lib.exercises.judge import WORDS, Exercise, Result, compare, judge
from lessons_lib.exercises.judge import _usual as usual
from lessons_lib.exercises.judge import _written_cases as written_cases
from lessons_lib.exercises.sandbox import FLOOD, SHOWN, Student

# Answers to the exercises of the book -------------------------------------------------------------


@pytest.mark.parametrize(("number", "key", "text"), ANSWERS)
def test_an_answer_gets_its_verdict(number: str, key: str, text: str) -> None:
    found = check(number, made(number, text))
    assert (found.verdict, found.key) == ("wrong" if key else "passed", key), found


def test_each_exercise_tells_two_mistakes_apart() -> None:
    for number, words in WORDS.items():
        keys = {key for n, key, _ in ANSWERS if n == number and key not in ("", "value")}
        assert len(keys | words.keys() & set("abcd")) >= 2 or "title" not in words, number


def test_what_a_mistake_in_a_table_gives_is_told_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Any, ...]] = []
    for name, module in list(sys.modules.items()):
        if name.startswith("lessons_lib.exercises.") and hasattr(module, "compare"):
            monkeypatch.setattr(module, "compare", lambda *given, **o: seen.append((*given, o)))
    for number in ON_THE_PAGE:
        check(number, ON_THE_PAGE[number].answer())
    told = 0
    for number, _, table, *cases, options in seen:
        drawn, tables = (cases or [None])[0] or written_cases(WORDS[number]), []
        with np.errstate(all="ignore"):
            for given in drawn.values():
                right, own = table(*(np.float64(x) if type(x) is float else x for x in given))
                tables.append((right, usual(np.asarray(right, dtype=float)) | own))
        for key in WORDS[number].keys() & {key for _, mistakes in tables for key in mistakes}:
            values = iter([value(right, mistakes.get(key)) for right, mistakes in tables])
            with pytest.raises(Wrong) as found:
                compare(number, lambda *_, v=values: next(v), table, drawn, **options)
            assert (found.value.key, found.value.message[:4]) == (key, "For "), number
            told += 1
    assert told > 260


def value(right: Any, mistake: Any) -> Any:
    """What an answer with a mistake gives; NaN where that is not defined."""
    try:
        with np.errstate(all="ignore"):
            mistake = mistake() if callable(mistake) else mistake
            return np.broadcast_to(np.asarray(mistake, dtype=float), np.shape(right))
    except (ValueError, ArithmeticError, IndexError):
        return np.full(np.shape(right), math.nan)


SLIPS = {"sign": "-x", "upside-down": "1 / x", "percent": "100 * x", "factor": "3 * x"}


@pytest.mark.parametrize("key", SLIPS)
def test_the_usual_slips_have_names_in_every_exercise(key: str) -> None:
    assert check("10.6", made("10.6", f"lambda *g: (lambda x: {SLIPS[key]})(f(*g))")).key == key


PRETENDS = type("F", (), {"__class__": float})()
ODD: list[Any] = [..., None, "text", 0.25, [[1.0, 2.0], [3.0]], math.nan, {}, PRETENDS]


@pytest.mark.parametrize("number", EXERCISES)
def test_no_exercise_stumbles_over_no_answer_or_an_odd_one(number: str) -> None:
    for odd in ODD:
        none = odd is None or odd is ...
        call = EXERCISES[number].call and not none
        found = check(number, (lambda *_, odd=odd: odd) if call else odd)
        assert found.verdict == ("not attempted" if none else "wrong")
        assert found.key != "checker"


def test_the_registry_is_that_of_the_pages_and_in_their_order() -> None:
    assert list(EXERCISES) == list(ON_THE_PAGE)
    assert len(EXERCISES) > 40
    assert all(each.title and each.hint and each.seconds <= 20 for each in EXERCISES.values())
    with pytest.raises(ValueError, match=r"'6\.77'.*1\.1.*9\.3.*11\.4"):
        check("6.77", 1)


# Hostile and careless answers ---------------------------------------------------------------------


def doubled(f: Student) -> None:
    """The exercise of these tests: twice the vector (3, 5)."""
    case = {"(3, 5)": (np.array([3.0, 5.0]),)}
    compare("0.1", f, lambda x: (2 * x, {"same": x}), case, tensors=True)


WORDS["0.1"] = {"same": "not doubled."}
DOUBLE = Exercise("Double", doubled, "Add it to itself.", "double(x)", seconds=1)


def verdict(answer: Any) -> Result:
    return judge("0.1", DOUBLE, answer)


def written(body: str) -> Any:
    """A function double(x) with this body, as a student may write it."""
    space = dict(globals())
    exec("def double(x):\n" + textwrap.indent(body, "  "), space)
    return space["double"]


class Liar(float):
    """Says that it equals everything, and looks like a number."""

    def __eq__(self, other: object) -> bool:
        return True

    def __array__(self, *_: Any, **__: Any) -> Any:
        return np.array([6.0, 10.0])


@pytest.mark.parametrize(
    "body", ["...", "'Only says what is to be done.'", "found = ...\nreturn found",
    "return x + ...", "raise NotImplementedError", "pass"],
)  # fmt: skip
def test_what_is_not_written_yet_is_not_attempted(body: str) -> None:
    assert verdict(written(body)).verdict == "not attempted"


HOSTILE = [
    ("x.sum()", "none"), ("return 1 / 0", "raised"), ("raise SystemExit(0)", "raised"),
    ("exit()", "raised"), ("os._exit(1)", "raised"), ("while True: pass", "timeout"),
    # Without the collector, whose callbacks would warn of an overflow of their own down there.
    ("gc.disable(); sys.setrecursionlimit(10**9)\nreturn double(x)", "raised"),
    ("time.sleep(30)", "timeout"), ("while True:\n  try: x.sum()\n  except: pass", "timeout"),
    ("while True:\n  try:\n    try: time.sleep(30)\n    except: x.sum()\n"
     "  except BaseException: continue", "timeout"),
    ("while True: sys.stdout.write('again and again ')", "flood"),
    ("while True: yield 1.0", "shape"),
    ("found = [1.0]; found.append(found)\nreturn found", "shape"),
    ("return [6.0, 10**400]", "too-large"), ("return [6.0, 10 + 1j]", "complex"),
    ("x += x\nreturn x", "mutated"), ("x.zero_()\nreturn torch.tensor([6.0, 10.0])", "mutated"),
    ("return '6, 10'", "type"), ("return {6.0, 10.0}", "type"), ("return Liar(6)", "type"),
    ("return [Liar(6), Liar(10)]", "type"), ("return np.array(['6', '10'])", "type"),
    ("return 6.0", "shape"), ("return [[6.0], [10.0]]", "shape"), ("return [6.0, [10.0]]", "shape"),
    ("return [6.0, math.nan]", "not-finite"), ("return x", "same"), ("return x + 2", "value"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "key"),
    [
        *HOSTILE,
        *((answer, "type") for answer in (5.0, "b")),
        *((answer, "signature") for answer in (lambda: 1, lambda x, y: x)),
    ],
)
def test_whatever_goes_wrong_has_a_name(answer: Any, key: str) -> None:
    code = isinstance(answer, str) and len(answer) > 1
    found = verdict(written(answer) if code else answer)
    assert (found.verdict, found.key, found.hint) == ("wrong", key, DOUBLE.hint), found
    assert "0.1" in repr(found)


def test_a_right_answers_output_is_shown_and_the_line_of_a_wrong_one_is_named() -> None:
    def divides(x: torch.Tensor) -> Any:
        return 1 / 0

    warn = "warnings.warn('mind the gap', stacklevel=1)"
    found = verdict(written(f"sys.stdout.write('looking at x. ')\n{warn}\nreturn x + x"))
    assert (found.passed, found.printed) == (True, "looking at x. warning: mind the gap\n")
    line = f"ZeroDivisionError: .* line {divides.__code__.co_firstlineno + 1}: `return 1 / 0`"
    assert re.search(line, verdict(divides).message)


def test_output_is_cut_and_nothing_is_printed_past_the_checker(capsys: Any) -> None:
    talks = written(f"sys.stdout.write('w' * ({FLOOD} - 1))\nreturn x + x")
    floods = written("while True: sys.stdout.write('again and again ')")
    assert len(verdict(talks).printed) == len(verdict(floods).printed) == SHOWN
    assert capsys.readouterr().out == ""


def states() -> dict[str, Any]:
    """All that an answer may leave behind, and that the next cell would notice."""
    return {
        "draws": (torch.get_rng_state().tolist(), str(np.random.get_state()), random.getstate()),
        "torch": (torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_num_threads()),
        "device": str(torch.empty(0).device),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "numpy": (np.geterr(), np.get_printoptions()),
        "python": (sys.getrecursionlimit(), Path.cwd(), dict(os.environ), list(sys.path)),
        "warnings": list(warnings.filters),
        "trace": (sys.gettrace(), gc.isenabled()),
        "functions": (np.allclose, torch.allclose, math.sqrt, np.linalg.norm, abs),
        "methods": (torch.Tensor.softmax, torch.nn.Module.__call__, models.Seq2Seq.forward),
        "ends": (os._exit, os.abort, sys.setrecursionlimit, builtins.exit),
    }


DISTURBS = """torch.manual_seed(3); np.random.seed(3); random.seed(3); torch.set_grad_enabled(False)
torch.set_default_dtype(torch.float64); torch.set_num_threads(2); torch.set_default_device("meta")
np.seterr(all="raise"); np.set_printoptions(precision=2); sys.setrecursionlimit(5000)
os.chdir(os.sep); os.environ["ANSWER"] = "42"; sys.path.insert(0, "nowhere")
warnings.simplefilter("ignore"); gc.disable()
np.allclose = torch.allclose = math.sqrt = np.linalg.norm = lambda *_, **__: True
builtins.abs = lambda _: 0
torch.Tensor.softmax = models.Seq2Seq.forward = lambda *_: 0
return [random.random(), np.random.rand()]"""


def test_random_states_and_settings_are_left_alone() -> None:
    before = states()
    first, second = verdict(written(DISTURBS)), verdict(written(DISTURBS))
    assert states() == before
    assert first == second  # it is seeded: the same answer, the same verdict
    assert first.key == "value"  # and what it patched does not decide


def test_what_was_set_before_does_not_decide_and_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.abs", lambda _: 0)
    mine = abs
    torch.set_default_dtype(torch.float64)
    try:
        assert [verdict(lambda x: x + 2).key, verdict(lambda x: x + x).key] == ["value", ""]
        assert (torch.get_default_dtype(), abs) == (torch.float64, mine)
    finally:
        torch.set_default_dtype(torch.float32)


def test_ipython_is_not_asked_to_exit(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    shell = types.SimpleNamespace(ask_exit=lambda: asked.append(1))
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    assert verdict(lambda x: shell.ask_exit()).key == "raised"
    shell.ask_exit()
    assert asked == [1]


@pytest.mark.slow
def test_time_is_limited_in_other_threads_too() -> None:
    with ThreadPoolExecutor(1) as elsewhere:
        found = list(elsewhere.map(verdict, [written("while True: pass"), lambda x: 2 * x]))
    assert [result.key for result in found] == ["timeout", ""]


def test_a_real_interrupt_is_not_swallowed() -> None:
    with pytest.raises(KeyboardInterrupt):
        verdict(written("raise KeyboardInterrupt"))


# Forms of answers, and how results read -----------------------------------------------------------


def test_a_defect_of_a_checker_is_no_traceback_and_a_function_is_no_value() -> None:
    assert judge("0.3", Exercise("Broken", lambda _: [][0], ""), 1.0).key == "checker"
    assert judge("0.4", Exercise("Value", lambda value: None, ""), lambda: 1).key == "type"


@pytest.mark.parametrize(
    "value",
    [3, 3.0, True, Fraction(1, 3), Decimal(3), np.float32(3), np.int64(3), torch.tensor([3])]  # noqa: RUF005
    + [3 + 0j, np.complex64(3), torch.tensor(3 + 0j), np.array([3], dtype=object), [[3]]]
    + [torch.tensor(3.0, dtype=torch.bfloat16), torch.tensor([3.0], requires_grad=True)]
    + [np.array(3), pd.Series([3]), deque([3])],
)
def test_a_single_number_may_come_in_many_forms(value: Any) -> None:
    expected = 1 / 3 if type(value) is Fraction else 1 if value is True else 3
    assert numbers(value) == pytest.approx(expected)


def test_swapped_axes_are_named_and_an_ellipsis_is_no_answer() -> None:
    with pytest.raises(Wrong, match="swapped"):
        numbers(np.zeros((3, 2)), (2, 3))
    with pytest.raises(NotAttempted):
        numbers(..., (2,))


def test_results_read_as_text_and_as_html() -> None:
    wrong = Result("6.2", "Any <table>", "wrong", "key", "1 < 2 & so on", "look <here>", "<b>out")
    assert "passed" in repr(Result("6.2", "Any <table>", "passed"))
    assert "not attempted yet" in repr(Result("6.2", "Any <table>", "not attempted"))
    for part in ("6.2", "1 < 2 & so on", "[key]", "look <here>", "out"):
        assert part in repr(wrong)
    page = wrong._repr_html_()
    assert "1 &lt; 2 &amp; so on" in page
    assert "not right yet" in page  # said in words, not by a colour
    for part in ("<table>", "<here>", "<b>", "background"):
        assert part not in page

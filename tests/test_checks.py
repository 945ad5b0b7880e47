"""Whatever an answer does, ``check`` returns a verdict, and leaves no trace."""

from __future__ import annotations

import builtins
import contextlib
import gc
import math
import os
import random
import signal
import sys
import threading
import time
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lessons_lib.exercises.check  # noqa: F401 - it remembers the libraries as they are
from lessons_lib import models
from lessons_lib.exercises.judge import Exercise, Result, compare, judge
from lessons_lib.exercises.sandbox import FLOOD, SHOWN, OutOfTime, Student, limited

GIVEN = torch.tensor([3.0, 5.0])


def doubled(f: Student) -> None:
    """The exercise of these tests: twice the vector (3, 5)."""
    same = {"same": (lambda x: x, "not doubled.")}
    compare(f, {"(3, 5)": (np.array([3.0, 5.0]),)}, lambda x: 2 * x, same, tensors=True)


DOUBLE = Exercise("Double", doubled, "Add it to itself.", "double(x)", seconds=1)


def verdict(answer: Any) -> Result:
    return judge("0.1", DOUBLE, answer)


def test_a_right_answer_passes_and_its_output_is_shown() -> None:
    def double(x: torch.Tensor) -> torch.Tensor:
        sys.stdout.write("looking at x")
        warnings.warn("mind the gap", stacklevel=1)
        return x + x

    found = verdict(double)
    assert found.passed
    assert found.key == ""
    assert "looking at x" in found.printed
    assert "mind the gap" in found.printed


@pytest.mark.parametrize(
    "wrap", [list, tuple, np.array, torch.tensor, lambda v: torch.tensor(v).float()]
)
def test_any_kind_of_vector_is_accepted(wrap: Callable[[list[float]], Any]) -> None:
    assert verdict(lambda x: wrap([6.0, 10.0])).passed


def test_a_result_that_still_has_its_gradient_is_accepted() -> None:
    assert verdict(lambda x: 2 * x.clone().requires_grad_()).passed


def stub(x: torch.Tensor) -> Any: ...


def documented_stub(x: torch.Tensor) -> Any:
    """Only says what is to be done."""


def returns_dots(x: torch.Tensor) -> Any:
    found = ...
    return found


def begun(x: torch.Tensor) -> Any:
    half: Any = ...
    return x + half


def not_implemented(x: torch.Tensor) -> Any:
    raise NotImplementedError


@pytest.mark.parametrize(
    "answer",
    [..., None, stub, documented_stub, returns_dots, begun, not_implemented],
)
def test_what_is_not_written_yet_is_not_attempted(answer: Any) -> None:
    found = verdict(answer)
    assert found.verdict == "not attempted"
    assert not found.passed


def forgets_return(x: torch.Tensor) -> None:
    x.sum()


def divides(x: torch.Tensor) -> Any:
    return 1 / 0


def leaves(x: torch.Tensor) -> Any:
    raise SystemExit(0)


def recurses(x: torch.Tensor) -> Any:
    return recurses(x)


def runs_on(x: torch.Tensor) -> Any:
    while True:
        pass


def runs_on_in_spite(x: torch.Tensor) -> Any:
    while True:
        try:  # noqa: SIM105
            x.sum()
        except:  # noqa: E722 - this is the mistake
            pass


def sleeps_in_spite(x: torch.Tensor) -> Any:
    while True:
        try:  # noqa: SIM105
            time.sleep(30)
        except:  # noqa: E722
            pass


def sleeps_in_spite_of_two(x: torch.Tensor) -> Any:
    while True:
        try:
            try:
                time.sleep(30)
            except:  # noqa: E722
                x.sum()
        except BaseException:
            continue


def suppresses(x: torch.Tensor) -> Any:
    while True:
        with contextlib.suppress(BaseException), contextlib.suppress(BaseException):
            time.sleep(30)


def prints_in_spite(x: torch.Tensor) -> Any:
    while True:
        try:  # noqa: SIM105
            sys.stdout.write("again and again ")
        except:  # noqa: E722
            pass


def counts_for_ever(x: torch.Tensor) -> Any:
    while True:
        yield 1.0


def contains_itself(x: torch.Tensor) -> Any:
    found: list[Any] = [1.0]
    found.append(found)
    return found


def exits(x: torch.Tensor) -> Any:
    exit()


def ends_at_once(x: torch.Tensor) -> Any:
    os._exit(1)


def recurses_deeply(x: torch.Tensor) -> Any:
    sys.setrecursionlimit(10**9)
    return recurses(x)


def sleeps(x: torch.Tensor) -> Any:
    time.sleep(30)


def floods(x: torch.Tensor) -> Any:
    while True:
        sys.stdout.write("again and again ")


def mutates(x: torch.Tensor) -> Any:
    x += x
    return x


def mutates_in_vain(x: torch.Tensor) -> Any:
    x.zero_()
    return torch.tensor([6.0, 10.0])


async def waits(x: torch.Tensor) -> Any:
    return x + x


class FaultyError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no message for you")


def raises_the_unreadable(x: torch.Tensor) -> Any:
    raise FaultyError


class Liar(float):
    """Says that it equals everything, and looks like a number."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        raise RuntimeError("not for you")

    def __array__(self, *_: Any, **__: Any) -> Any:
        return np.array([6.0, 10.0])


class LyingNumber(np.float64):
    """A NumPy number that tells others another value; its own counts."""

    def __array__(self, *_: Any, **__: Any) -> Any:
        return np.array(6.0)

    def __float__(self) -> float:
        return 6.0

    def item(self, *_: Any) -> Any:
        return 6.0


class Disguised:
    __class__ = float  # type: ignore[assignment]


class LyingTensor(torch.Tensor):
    pass


@pytest.mark.parametrize(
    ("answer", "key"),
    [
        (5.0, "type"),
        ("b", "type"),
        (forgets_return, "none"),
        (divides, "raised"),
        (leaves, "raised"),
        (recurses, "raised"),
        (raises_the_unreadable, "raised"),
        (runs_on, "timeout"),
        (runs_on_in_spite, "timeout"),
        (sleeps, "timeout"),
        (sleeps_in_spite, "timeout"),
        (sleeps_in_spite_of_two, "timeout"),
        (suppresses, "timeout"),
        (prints_in_spite, "timeout"),
        (counts_for_ever, "shape"),
        (contains_itself, "shape"),
        (exits, "raised"),
        (ends_at_once, "raised"),
        (recurses_deeply, "raised"),
        (lambda x: [6.0, 10**400], "too-large"),
        (lambda x: [6.0, 10 + 1j], "complex"),
        (floods, "flood"),
        (mutates, "mutated"),
        (mutates_in_vain, "mutated"),
        (lambda: 1, "signature"),
        (lambda x, y: x, "signature"),
        (waits, "type"),
        (lambda x: "6, 10", "type"),
        (lambda x: {6.0, 10.0}, "type"),
        (lambda x: Liar(6), "type"),
        (lambda x: [Liar(6), Liar(10)], "type"),
        (lambda x: [LyingNumber(3), LyingNumber(5)], "same"),
        (lambda x: Disguised(), "type"),
        (lambda x: (2 * x).as_subclass(LyingTensor), "type"),
        (lambda x: np.array(["6", "10"]), "type"),
        (lambda x: 6.0, "shape"),
        (lambda x: [[6.0], [10.0]], "shape"),
        (lambda x: [6.0, [10.0]], "shape"),
        (lambda x: [6.0, float("nan")], "not-finite"),
        (lambda x: x / 0, "not-finite"),
        (lambda x: x, "same"),
        (lambda x: x + 2, "value"),
    ],
)
def test_whatever_goes_wrong_has_a_name(answer: Any, key: str) -> None:
    found = verdict(answer)
    assert (found.verdict, found.key) == ("wrong", key)
    assert found.hint == DOUBLE.hint
    assert "0.1" in repr(found)
    assert found._repr_html_()


def test_the_line_of_the_students_code_is_named() -> None:
    found = verdict(divides)
    assert f"line {divides.__code__.co_firstlineno + 1}" in found.message
    assert "return 1 / 0" in found.message
    assert "ZeroDivisionError" in found.message


def test_several_calls_share_one_time_limit() -> None:
    def twice(f: Student) -> None:
        for _ in range(4):
            f()

    exercise = Exercise("Nap", twice, "Wake up.", "nap()", seconds=0.2)

    def nap() -> float:
        time.sleep(0.08)
        return 1.0

    assert judge("0.2", exercise, nap).key == "timeout"


def test_output_is_cut() -> None:
    def talks(x: torch.Tensor) -> Any:
        sys.stdout.write("w" * (FLOOD - 1))
        return x + x

    assert len(verdict(talks).printed) == SHOWN
    assert len(verdict(floods).printed) == SHOWN


def test_nothing_is_printed_past_the_checker(capsys: pytest.CaptureFixture[str]) -> None:
    verdict(floods)
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


def disturbs(x: torch.Tensor) -> Any:
    torch.manual_seed(3)
    np.random.seed(3)
    random.seed(3)
    torch.set_grad_enabled(False)
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(2)
    torch.set_default_device("meta")
    np.seterr(all="raise")
    np.set_printoptions(precision=2)
    sys.setrecursionlimit(5000)
    os.chdir(os.sep)
    os.environ["ANSWER"] = "42"
    sys.path.insert(0, "nowhere")
    warnings.simplefilter("ignore")
    gc.disable()
    np.allclose = torch.allclose = math.sqrt = np.linalg.norm = lambda *_, **__: True  # type: ignore
    builtins.abs = lambda _: 0  # type: ignore
    torch.Tensor.softmax = models.Seq2Seq.forward = lambda *_: 0  # type: ignore
    return [random.random(), np.random.rand()]


def test_random_states_and_settings_are_left_alone() -> None:
    before = states()
    first, second = verdict(disturbs), verdict(disturbs)
    assert states() == before
    assert first == second  # it is seeded: the same answer, the same verdict
    assert first.key == "value"  # and what it patched does not decide


def test_what_was_patched_before_does_not_decide_and_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    def anything(*_: Any, **__: Any) -> Any:
        return True

    for place, name in (
        (np, "allclose"),
        (np, "isclose"),
        (torch, "allclose"),
        (np, "broadcast_to"),
    ):
        monkeypatch.setattr(place, name, anything)
    monkeypatch.setattr("builtins.abs", lambda _: 0)
    torch.set_default_dtype(torch.float64)
    try:
        assert verdict(lambda x: x + 2).key == "value"
        assert verdict(lambda x: x + x).passed
        assert torch.get_default_dtype() == torch.float64
        assert np.allclose is anything
    finally:
        torch.set_default_dtype(torch.float32)


def test_ipython_is_not_asked_to_exit(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    shell = types.SimpleNamespace(ask_exit=lambda: asked.append(1))
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    assert verdict(lambda x: shell.ask_exit()).key == "raised"
    shell.ask_exit()
    assert asked == [1]


def test_arguments_of_the_oracle_are_out_of_reach() -> None:
    before = GIVEN.clone()
    verdict(mutates)
    assert torch.equal(GIVEN, before)


@pytest.mark.slow
def test_time_is_limited_in_other_threads_too() -> None:
    found: list[str] = []

    def elsewhere() -> None:
        found.append(verdict(runs_on).key)
        found.append(verdict(lambda x: 2 * x).verdict)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join(20)
    assert found == ["timeout", "passed"]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="this system has no SIGALRM")
def test_an_alarm_of_somebody_else_goes_on() -> None:
    rung: list[int] = []
    handler = signal.signal(signal.SIGALRM, lambda *_: rung.append(1))
    try:
        signal.setitimer(signal.ITIMER_REAL, 1)
        with pytest.raises(OutOfTime):
            limited(lambda: time.sleep(9), 0.1)
        assert not rung
        for _ in range(50):
            time.sleep(0 if rung else 0.1)
        assert rung
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)


def test_a_real_interrupt_is_not_swallowed() -> None:
    def interrupted(x: torch.Tensor) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verdict(interrupted)


def test_a_defect_of_a_checker_is_no_traceback_for_the_student() -> None:
    def defective(_: Any) -> None:
        raise IndexError

    found = judge("0.3", Exercise("Broken", defective, ""), 1.0)
    assert found.key == "checker"


def test_a_function_where_a_value_is_asked() -> None:
    found = judge("0.4", Exercise("Value", lambda value: None, ""), lambda: 1)
    assert found.key == "type"

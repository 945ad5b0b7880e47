"""What all checkers share: an exercise, a result, and how answers of many kinds become numbers."""

from __future__ import annotations

import html
import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal, NoReturn

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from lessons_lib.exercises.contents import settled
from lessons_lib.exercises.sandbox import NotAttempted, Student, Wrong, pristine

Array = NDArray[np.float64]
Judge = Callable[[Any], None]
Verdict = Literal["passed", "not attempted", "wrong"]
_SAID = {"passed": "✓ passed", "not attempted": "○ not attempted yet", "wrong": "✗ not right yet"}


@dataclass(frozen=True)
class Exercise:
    """An exercise that code can check.

    Attributes:
        title: as in the chapter.
        judge: raises ``Wrong`` or ``NotAttempted``, or returns if the answer is right. It gets the
            answer, or a ``Student`` to call where the answer is a function.
        hint: where to look, shown with every answer that is wrong.
        call: how the function is called, ``"road(a, length)"``; ``None`` where the answer is none.
        seconds: time for all calls of the function together.
    """

    title: str
    judge: Judge
    hint: str
    call: str | None = None
    seconds: float = 10.0


EXERCISES: dict[str, Exercise] = {}
"""By number, ``"6.2"``: the second exercise of chapter 6. The chapters' files fill it."""


@dataclass(frozen=True)
class Result:
    """What a check of an exercise found.

    Attributes:
        key: a short name of the mistake; empty where there is none.
        message: what is wrong and which mistake it probably is.
        printed: what the answer printed while it was checked, cut.
    """

    exercise: str
    title: str
    verdict: Verdict
    key: str = ""
    message: str = ""
    hint: str = ""
    printed: str = ""

    @property
    def passed(self) -> bool:
        """Whether the answer is right."""
        return self.verdict == "passed"

    def __repr__(self) -> str:
        lines = [f"Exercise {self.exercise}, {self.title}: {_SAID[self.verdict]}"]
        lines += [f"  {self.message} [{self.key}]"] if self.message else []
        lines += [f"  Hint: {self.hint}"] if self.hint else []
        if self.printed:
            lines += ["  It printed:", *("    " + row for row in self.printed.splitlines())]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """For notebooks: the page's own colours, so that it can be read in dark mode, too."""
        said, text = html.escape(_SAID[self.verdict]), html.escape
        parts = [f"<strong>{said}</strong> Exercise {text(self.exercise)}, {text(self.title)}"]
        if self.message:
            parts.append(f"<p>{text(self.message)} <code>{text(self.key)}</code></p>")
        for name, body in (("Hint", self.hint), ("What it printed", self.printed)):
            if body:
                parts.append(
                    f"<details><summary>{name}</summary>"
                    f'<div style="white-space: pre-wrap">{text(body)}</div></details>'
                )
        style = "border-left: 0.25em solid currentColor; padding: 0.25em 0.75em; color: inherit"
        return f'<div role="status" style="{style}">{"".join(parts)}</div>'


def judge(number: str, exercise: Exercise, answer: Any) -> Result:
    """The verdict on an answer; whatever the answer is, this returns."""
    student, result = None, Result(number, exercise.title, "passed")
    try:
        if answer is Ellipsis or answer is None:
            raise NotAttempted
        if exercise.call is not None:
            if not callable(answer):
                found = f"found {_kind(answer)}. Pass its name without brackets."
                raise Wrong(
                    "type", f"The answer is to be the function {exercise.call} itself, {found}"
                )
            answer = student = Student(answer, exercise.call, exercise.seconds)
        elif callable(answer):
            raise Wrong("type", "The answer is to be a value, found a function. Call it first.")
        else:
            answer = settled(answer)
        with pristine():
            exercise.judge(answer)
    except NotAttempted:
        return Result(number, exercise.title, "not attempted")
    except Wrong as wrong:
        result = replace(result, verdict="wrong", key=wrong.key, message=wrong.message)
    except Exception as error:  # a defect of ours: say so, and do not bury the student in it
        said = f"This checker failed ({type(error).__name__}). Please report it."
        result = replace(result, verdict="wrong", key="checker", message=said)
    hint = "" if result.passed else exercise.hint
    return replace(result, hint=hint, printed="" if student is None else student.printed)


def spoken(answer: Any, options: Iterable[str]) -> str:
    """A word of an answer: one of the options, however it is written or wrapped.

    Raises:
        Wrong: it is no text, or none of these words.
    """
    while type(answer) in (list, tuple) and len(answer) == 1:
        answer = answer[0]
    if type(answer) is np.ndarray and answer.size == 1:
        answer = answer.item()
    if not isinstance(answer, str):
        raise Wrong("type", f"Expected one of {_listed(options)}, found {_kind(answer)}.")
    word = str.strip(answer).lower()
    if word not in options:
        raise Wrong("no-such-option", f"Expected one of {_listed(options)}, found {word[:40]!r}.")
    return word


def exercise(
    number: str, title: str, hint: str, call: str | None = None, *, seconds: float = 10.0
) -> Callable[[Judge], Judge]:
    """Register the judge that stands below as the checker of an exercise; see ``Exercise``."""

    def register(judge: Judge) -> Judge:
        EXERCISES[number] = Exercise(title, judge, hint, call, seconds)
        return judge

    return register


def choice(number: str, title: str, hint: str, **mistakes: tuple[str, str]) -> None:
    """Register a multiple choice of a to d: for each wrong letter a key and what speaks against it.

    The page explains every option, the right one included, so there is nothing to hide here.
    """

    @exercise(number, title, hint)
    def verdict(answer: Any) -> None:
        if isinstance(answer, str):  # also "(b)", "b)", "Option b"
            answer = re.sub(r"^\W*(?:option\b)?\W*(\w)\W*$", r"\1", answer, flags=re.IGNORECASE)
        letter = spoken(answer, tuple("abcd"))
        if letter in mistakes:
            raise Wrong(*mistakes[letter])


def refuse(about: str, *rows: tuple[object, str, str]) -> None:
    """Raise ``Wrong`` for the first of ``(holds, key, why)`` that holds."""
    for holds, key, why in rows:
        if holds:
            raise Wrong(key, about + why)


def decide(f: Student, rows: Iterable[tuple[Any, ...]], options: Iterable[str]) -> None:
    """Judge a function that answers with one of some words.

    A row has arguments, the right word, the key of the mistake of those who say otherwise, and
    why; the first that is decided otherwise raises ``Wrong``.
    """
    for arguments, truth, key, why in rows:
        found = spoken(f(*arguments), options)
        if found != truth:
            given = ", ".join(map(str, arguments))
            raise Wrong(key, f"For {given} it is {truth}, found {found}: {why}")


def numbers(value: Any, shape: tuple[int, ...] = (), *, finite: bool = True) -> Array:
    """An answer as an array of float64: from a number, list, tuple, NumPy array or tensor.

    Complex numbers count if their imaginary parts are 0. An object that merely behaves like a
    number does not: it could say anything. A single number, of shape ``()``, may also come as a
    tensor of one entry. NaN and infinity are refused if the answer is to be finite.

    Raises:
        Wrong: another type, another shape, a value that is not finite, or an ellipsis among them.
        NotAttempted: there is an ellipsis and nothing else.
    """
    if value is Ellipsis:
        raise NotAttempted
    found = np.asarray(_plain(value))
    if shape == () and found.size == 1:
        found = found.reshape(())
    if found.shape != shape:
        wanted = "one number" if shape == () else f"shape {shape}"
        swapped = " Are two axes swapped?" if sorted(found.shape) == sorted(shape) else ""
        raise Wrong("shape", f"Expected {wanted}, found shape {found.shape}.{swapped}")
    if np.iscomplexobj(found):
        if (abs(found.imag) > 1e-9 * (1 + abs(found.real))).any():
            raise Wrong("complex", "Expected real numbers, found some with an imaginary part.")
        found = found.real
    if finite and not np.isfinite(found).all():
        where = "for 0/0, for the logarithm of 0, and for a softmax in which everything is masked."
        raise Wrong("not-finite", f"Expected finite numbers, found NaN or infinity. Look {where}")
    return found.astype(np.float64)


Table = tuple[Any, Mapping[str, tuple[Any, str]]]
"""The right answer of a case, and for each mistake what it would give and a sentence on it.

What is costly may be a function without arguments; what a case does not define is left out.
"""
Cases = Mapping[str, tuple[Any, ...]]


# fmt: off
def _usual(t: Array) -> Table:
    """What goes wrong with any formula, tried after the mistakes of the exercise."""
    found: dict[str, tuple[Any, str]] = {
        "sign": (-t, "it has the wrong sign."),
        "upside-down": (1 / t, "it is upside down: one divided by what is asked."),
        "minus-upside-down": (-1 / t, "it is upside down and has the wrong sign."),
        "complement": (1 - t, "it is one minus what is asked."),
        "squared": (t**2, "it is the square of what is asked."),
        "root": (np.sqrt(t), "it is the square root of what is asked."),
        "logarithm": (np.log(t), "it is the logarithm of what is asked."),
        "minus-logarithm": (-np.log(t), "it is minus the logarithm of what is asked."),
        "exponential": (np.exp(t), "it is the exponential of what is asked."),
        "one-more": (t + 1, "it is too large by 1."),
        "one-less": (t - 1, "it is too small by 1."),
        "percent": (100 * t, "it is in percent. Asked is the share."),
        "absolute": (abs(t), "the sign is lost."),
        "not-rounded-up": (np.floor(t), "it is rounded down."),
        "rounded": (np.round(t), "it is rounded."),
        "zero": (0 * t, "it is zero everywhere."),
    }
    if t.ndim > 0:
        found |= {
            "backwards": (t[..., ::-1], "the entries come in the opposite order."),
            "first-backwards": (t[::-1], "the rows come in the opposite order."),
            "rows-to-one": (shares(t), "its rows are made to sum to 1."),
            "centred": (t - t.mean(-1, keepdims=True), "the mean of each row is subtracted."),
        }
    if t.ndim > 1:
        found |= {
            "transposed": (np.swapaxes(t, -1, -2), "two axes are exchanged."),
            "columns-to-one": (shares(t, -2), "its columns sum to 1."),
        }
    return t, found
# fmt: on


def shares(values: Any, axis: int = -1) -> Array:
    """Values over their sum along an axis."""
    return np.asarray(values / np.sum(values, axis, keepdims=True))


def named(form: str, *rows: tuple[Any, ...]) -> Cases:
    """Cases by their arguments: ``named("L = {}", (3,), (5,))``."""
    return {form.format(*row): row for row in rows}


def compared(
    cases: Cases | Callable[[], Cases], *, tolerance: float = 1e-5, tensors: bool = False
) -> Callable[[Callable[..., Table]], Judge]:
    """Make a judge of the table that stands below; see ``compare``."""

    def judge_of(table: Callable[..., Table]) -> Judge:
        def verdict(f: Any) -> None:
            drawn = cases() if callable(cases) else cases
            compare(f, drawn, table, tolerance=tolerance, tensors=tensors)

        return verdict

    return judge_of


def compare(
    f: Callable[..., Any],
    cases: Cases,
    table: Callable[..., Table],
    *,
    tolerance: float = 1e-5,
    tensors: bool = False,
) -> None:
    """Raise ``Wrong`` unless the answer gives what is right, and name the mistake.

    A mistake is named if it explains what the answer gives in *all* cases.

    Args:
        f: the answer.
        cases: its arguments, by a name for messages.
        table: from the arguments of a case, what is right there, and what mistakes give.
        tolerance: relative to the largest entry of a case.
        tensors: whether the answer gets arrays as tensors.
    """
    found: dict[str, Array] = {}
    tables: dict[str, Table] = {}
    stopped: Wrong | None = None
    with np.errstate(all="ignore"):
        for case, given in cases.items():
            of_numpy = (np.float64(x) if type(x) is float else x for x in given)  # 1/0 is inf
            right, mistakes = table(*of_numpy)
            tables[case] = np.asarray(right, dtype=float), mistakes
    for case, given in cases.items():
        given = tuple(map(_as_tensor, given)) if tensors else given
        try:
            found[case] = numbers(f(*given), tables[case][0].shape)
        except Wrong as wrong:
            stopped = stopped or wrong
            if wrong.key != "not-finite":  # what is finite in another case may tell why
                break
    wrong_in = [case for case in found if not _near(found[case], tables[case][0], tolerance)]
    if not wrong_in:
        if stopped:
            raise stopped
        return
    first = wrong_in[0]
    with np.errstate(all="ignore"):
        for known in (tables, {case: _usual(tables[case][0]) for case in found}):
            for key, (_, sentence) in known[first][1].items():
                if all(_explains(known[c][1].get(key), x, tolerance) for c, x in found.items()):
                    raise Wrong(key, f"For {first}: {sentence}")
    _say_what_is_seen(found, {c: right for c, (right, _) in tables.items()}, wrong_in, tolerance)


def _explains(mistake: tuple[Any, str] | None, found: Array, tolerance: float) -> bool:
    try:
        value = np.nan if mistake is None else mistake[0]
        return _near(found, value() if callable(value) else value, tolerance)
    except (ValueError, ArithmeticError, IndexError):  # not defined in this case
        return False


def _say_what_is_seen(
    found: dict[str, Array], truths: dict[str, Array], wrong_in: list[str], tolerance: float
) -> NoReturn:
    """What can be said of numbers that no known mistake explains."""
    first, several = wrong_in[0], len(found) > 1
    shown = f", found {float(found[first]):.5g}" if found[first].ndim == 0 else ""
    scale = [
        float(np.sum(x * truths[c]) / np.sum(truths[c] ** 2))
        for c, x in found.items()
        if truths[c].any()
    ]
    steady = several and scale and np.ptp(scale) <= 1e-4 * abs(scale[0])
    if steady and all(_near(x, scale[0] * truths[c], 10 * tolerance) for c, x in found.items()):
        raise Wrong("factor", f"In all cases it is {scale[0]:.4g} times what is asked.")
    values, right_ones = ({x.tobytes() for x in part.values()} for part in (found, truths))
    if several and len(values) == 1 < len(right_ones):
        raise Wrong("constant", f"It does not depend on its arguments{shown}.")
    right = [case for case in found if case not in wrong_in]
    but = f" It is right for {' and for '.join(right[:2])}." if right else ""
    raise Wrong("value", f"The number is not right for {first}{shown}.{but}")


def _near(found: Array, value: ArrayLike, tolerance: float) -> bool:
    """Whether all entries are as close as this, relative to the largest of the value."""
    value = np.broadcast_to(np.asarray(value, dtype=float), found.shape)
    if not np.isfinite(value).all():
        return bool(np.array_equal(found, value, equal_nan=True))
    room = tolerance * float(abs(value).max(initial=0)) + 1e-12
    return all(abs(x - y) <= room for x, y in zip(found.flat, value.flat, strict=True))


def _as_tensor(value: Any) -> Any:
    return torch.tensor(value) if isinstance(value, np.ndarray) else value


def _plain(value: Any, depth: int = 0) -> Any:
    """Nested lists, arrays and plain numbers, of exact types."""
    kind = type(value)
    if value is Ellipsis:
        raise Wrong("unfinished", "There is still a `...` among the values.")
    if kind in (torch.Tensor, nn.Parameter):
        value = value.detach().cpu().to_dense()
        return value.to(torch.complex128 if value.is_complex() else torch.float64).numpy()
    if kind.__name__ in ("Series", "Index", "DataFrame") and kind.__module__.startswith("pandas."):
        value, kind = value.to_numpy(), np.ndarray
    if kind in (np.ndarray, np.matrix) and value.dtype == object:
        value, kind = value.tolist(), list
    if kind in (np.ndarray, np.matrix) or issubclass(kind, np.number | np.bool_):
        if value.dtype.kind not in "fiubc":
            raise Wrong("type", f"Expected numbers, found an array of {value.dtype}.")
        return np.asarray(value, dtype=complex if value.dtype.kind == "c" else float)
    if kind in (int, float, bool, Fraction, Decimal):
        try:
            return float(value)
        except OverflowError:
            text = "Expected numbers below 1e308, found a larger one: use logarithms."
            raise Wrong("too-large", text) from None
    if kind is complex:
        return value
    if kind in (list, tuple, deque):
        if depth > 8:
            raise Wrong("shape", "Expected a table of numbers, found lists within lists.")
        parts = [_plain(entry, depth + 1) for entry in value]
        if len({np.shape(part) for part in parts}) > 1:
            raise Wrong("shape", "Expected entries of one shape, found different ones.")
        return np.array(parts)
    raise Wrong("type", f"Expected numbers, found {_kind(value)}.")


def _listed(options: Iterable[str]) -> str:
    return ", ".join(map(repr, options))


def _kind(value: Any) -> str:
    return f"an object of type {type(value).__name__}"

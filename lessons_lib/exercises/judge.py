"""What all checkers share: an exercise, a result, and how answers of many kinds become numbers."""

from __future__ import annotations

import html
import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
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
Verdict = Literal["passed", "not attempted", "wrong"]
_SAID = {
    "passed": "\N{CHECK MARK} passed",
    "not attempted": "\N{WHITE CIRCLE} not attempted yet",
    "wrong": "\N{BALLOT X} not right yet",
}


@dataclass(frozen=True)
class Exercise:
    """An exercise that code can check.

    Attributes:
        title: as in the chapter.
        judge: raises ``Wrong`` or ``NotAttempted``, or returns if the answer is right. It gets the
            answer, or a ``Student`` that can be called where the answer is a function.
        hint: where to look, shown with every answer that is wrong.
        call: how the function is called, ``"road(a, length)"``; ``None`` where the answer is none.
        seconds: time for all calls of the function together.
    """

    title: str
    judge: Callable[[Any], None]
    hint: str
    call: str | None = None
    seconds: float = 10.0


@dataclass(frozen=True)
class Result:
    """What a check found.

    Attributes:
        exercise: its number, ``"6.2"``.
        title: of the exercise.
        verdict: ``"passed"``, ``"not attempted"`` or ``"wrong"``.
        key: a short name of the mistake; empty where there is none.
        message: what is wrong and which mistake it probably is.
        hint: where to look.
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
    student = None
    try:
        if answer is Ellipsis or answer is None:
            raise NotAttempted
        if exercise.call is not None:
            if not callable(answer):
                raise Wrong(
                    "type",
                    f"The answer is to be the function {exercise.call} itself, found "
                    f"{_kind(answer)}. Pass its name without brackets.",
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
        found = wrong.key, wrong.message
    except Exception as error:  # a defect of ours: say so, and do not bury the student in it
        found = "checker", f"This checker failed ({type(error).__name__}). Please report it."
    else:
        said = "" if student is None else student.printed
        return Result(number, exercise.title, "passed", printed=said)
    said = "" if student is None else student.printed
    return Result(number, exercise.title, "wrong", *found, exercise.hint, said)


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


def choice(mistakes: Mapping[str, tuple[str, str]], letters: str = "abcd") -> Callable[[Any], None]:
    """A judge of multiple choice: for each wrong letter a key and what speaks against it.

    The page explains every option, the right one included, so there is nothing to hide here.
    """

    def verdict(answer: Any) -> None:
        if isinstance(answer, str):  # also "(b)", "b)", "Option b"
            answer = re.sub(r"^\W*(?:option\b)?\W*(\w)\W*$", r"\1", answer, flags=re.IGNORECASE)
        letter = spoken(answer, letters)
        if letter in mistakes:
            raise Wrong(*mistakes[letter])

    return verdict


def decide(f: Student, rows: Iterable[tuple[Any, ...]], options: Iterable[str]) -> None:
    """Judge a function that answers with a word.

    Args:
        f: the answer.
        rows: arguments, right word, key of the mistake of those who say otherwise, why.
        options: the words there are.

    Raises:
        Wrong: a row is decided otherwise; of several, the first counts.
    """
    for arguments, truth, key, why in rows:
        found = spoken(f(*arguments), options)
        if found != truth:
            given = ", ".join(map(str, arguments))
            raise Wrong(key, f"For {given} it is {truth}, found {found}: {why}")


def numbers(value: Any, shape: tuple[int, ...] = (), *, finite: bool = True) -> Array:
    """An answer as an array of float64: from a number, list, tuple, NumPy array or tensor.

    Complex numbers count if their imaginary parts are 0. An object that merely behaves like a
    number does not: it could say anything.

    Args:
        value: the answer.
        shape: expected; ``()`` for a single number, which may also come as a tensor of one entry.
        finite: whether NaN and infinity are refused.

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
        raise Wrong(
            "not-finite",
            "Expected finite numbers, found NaN or infinity. Look for 0/0, for the logarithm of 0, "
            "and for a softmax in which everything is masked.",
        )
    return found.astype(np.float64)


Formula = Callable[..., ArrayLike]
Formulas = Mapping[str, tuple[Formula, str]]

# What goes wrong with any formula, tried after the mistakes of the exercise.
# fmt: off
_USUAL: dict[str, tuple[Callable[[Array], ArrayLike], str]] = {
    "sign": (lambda t: -t, "it has the wrong sign."),
    "upside-down": (lambda t: 1 / t, "it is upside down: one divided by what is asked."),
    "minus-upside-down": (lambda t: -1 / t, "it is upside down and has the wrong sign."),
    "complement": (lambda t: 1 - t, "it is one minus what is asked."),
    "squared": (lambda t: t ** 2, "it is the square of what is asked."),
    "root": (lambda t: np.sqrt(t), "it is the square root of what is asked."),
    "logarithm": (lambda t: np.log(t), "it is the logarithm of what is asked."),
    "minus-logarithm": (lambda t: -np.log(t), "it is minus the logarithm of what is asked."),
    "exponential": (lambda t: np.exp(t), "it is the exponential of what is asked."),
    "one-more": (lambda t: t + 1, "it is too large by 1."),
    "one-less": (lambda t: t - 1, "it is too small by 1."),
    "percent": (lambda t: 100 * t, "it is in percent. Asked is the share."),
    "absolute": (lambda t: abs(t), "the sign is lost."),
    "not-rounded-up": (lambda t: np.floor(t), "it is rounded down."),
    "rounded": (lambda t: np.round(t), "it is rounded."),
    "backwards": (lambda t: t[..., ::-1], "the entries come in the opposite order."),
    "first-backwards": (lambda t: t[::-1], "the rows come in the opposite order."),
    "transposed": (lambda t: np.swapaxes(t, -1, -2), "two axes are exchanged."),
    "rows-to-one": (lambda t: t[..., :] / t.sum(-1, keepdims=True),
        "its rows are made to sum to 1."),
    "columns-to-one": (lambda t: t[..., :, :] / t.sum(-2, keepdims=True), "its columns sum to 1."),
    "centred": (lambda t: t[..., :] - t.mean(-1, keepdims=True),
        "the mean of each row is subtracted."),
    "zero": (lambda t: 0 * t, "it is zero everywhere."),
}
# fmt: on


def compare(
    f: Callable[..., Any],
    cases: Mapping[str, tuple[Any, ...]],
    truth: Formula,
    mistakes: Formulas,
    *,
    tolerance: float = 1e-5,
    tensors: bool = False,
) -> None:
    """Raise ``Wrong`` unless the answer gives what a formula gives, and name the mistake.

    A mistake is named if it explains what the answer gives in *all* cases.

    Args:
        f: the answer.
        cases: its arguments, by a name for messages.
        truth: from the arguments of a case, what the answer is to give.
        mistakes: for each key what the mistake would give, and a sentence on it.
        tolerance: relative to the largest entry of a case.
        tensors: whether the answer gets arrays as tensors.
    """
    found: dict[str, Array] = {}
    truths: dict[str, Array] = {}
    stopped: Wrong | None = None
    for case, given in cases.items():
        truths[case] = np.asarray(truth(*given), dtype=float)
        given = tuple(map(_as_tensor, given)) if tensors else given
        try:
            found[case] = numbers(f(*given), truths[case].shape)
        except Wrong as wrong:
            stopped = stopped or wrong
            if wrong.key != "not-finite":  # what is finite in another case may tell why
                break
    within = {case: _near(found[case], truths[case], tolerance) for case in found}
    wrong_in = [case for case in within if not within[case]]
    if not wrong_in:
        if stopped:
            raise stopped
        return

    def explains(value: Formula, usual: bool) -> bool:
        for case, seen in found.items():
            try:
                with np.errstate(all="ignore"):
                    would = value(truths[case]) if usual else value(*cases[case])
                if not _near(seen, would, tolerance):
                    return False
            except (ValueError, ArithmeticError, IndexError):  # not defined in this case
                return False
        return True

    first = wrong_in[0]
    for table, usual in ((mistakes, False), (_USUAL, True)):
        for key, (formula, sentence) in table.items():
            if explains(formula, usual):
                raise Wrong(key, f"For {first}: {sentence}")
    _say_what_is_seen(found, truths, wrong_in, tolerance)


def _say_what_is_seen(
    found: dict[str, Array], truths: dict[str, Array], wrong_in: list[str], tolerance: float
) -> NoReturn:
    """What can be said of numbers that no known mistake explains."""
    first = wrong_in[0]
    shown = f", found {float(found[first]):.5g}" if found[first].ndim == 0 else ""
    scale = [
        float(np.sum(found[c] * t) / np.sum(t * t))
        for c, t in truths.items()
        if c in found and np.any(t)
    ]
    if (
        len(found) > 1
        and scale
        and np.ptp(scale) <= 1e-4 * abs(scale[0])
        and all(_near(found[c], scale[0] * truths[c], 10 * tolerance) for c in found)
    ):
        raise Wrong("factor", f"In all cases it is {scale[0]:.4g} times what is asked.")
    same = {x.tobytes() for x in found.values()}
    if len(found) > 1 and len(same) == 1 and len({t.tobytes() for t in truths.values()}) > 1:
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
            raise Wrong(
                "too-large", "Expected numbers below 1e308, found a larger one: use logarithms."
            ) from None
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

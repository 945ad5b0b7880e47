"""What all checkers share: an exercise, a result, and how answers of many kinds become numbers."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from lessons_lib.exercises.sandbox import NotAttempted, Student, Wrong

Array = NDArray[np.float64]
Mistakes = Mapping[str, tuple[ArrayLike, str]]
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


def choice(mistakes: Mapping[str, tuple[str, str]], letters: str = "abcd") -> Callable[[Any], None]:
    """A judge of multiple choice: for each wrong letter a key and what speaks against it.

    The page explains every option, the right one included, so there is nothing to hide here.
    """

    def verdict(answer: Any) -> None:
        if type(answer) is not str or len(answer.strip()) != 1:
            raise Wrong(
                "type", f"Expected one letter as a string, such as 'a', found {_kind(answer)}."
            )
        letter = answer.strip().lower()
        if letter not in letters:
            raise Wrong(
                "no-such-option", f"Expected one of {', '.join(letters)}, found {letter!r}."
            )
        if letter in mistakes:
            raise Wrong(*mistakes[letter])

    return verdict


def numbers(value: Any, shape: tuple[int, ...] = (), *, finite: bool = True) -> Array:
    """An answer as an array of float64: from a number, list, tuple, NumPy array or tensor.

    Only these very types: an object that merely behaves like a number could say anything.

    Args:
        value: the answer.
        shape: expected; ``()`` for a single number, which may also come as a tensor of one entry.
        finite: whether NaN and infinity are refused.

    Raises:
        Wrong: another type, another shape, or a value that is not finite.
        NotAttempted: there is still an ellipsis in it.
    """
    found = np.asarray(_plain(value))
    if found.dtype == object:
        raise Wrong("shape", "Expected a rectangle of numbers, found rows of different lengths.")
    if shape == () and found.size == 1:
        found = found.reshape(())
    if found.shape != shape:
        wanted = "one number" if shape == () else f"shape {shape}"
        swapped = " Are two axes swapped?" if sorted(found.shape) == sorted(shape) else ""
        raise Wrong("shape", f"Expected {wanted}, found shape {found.shape}.{swapped}")
    if finite and not np.isfinite(found).all():
        raise Wrong(
            "not-finite",
            "Expected finite numbers, found NaN or infinity. Look for 0/0, for the logarithm of 0, "
            "and for a softmax in which everything is masked.",
        )
    return found.astype(np.float64)


def expect(
    found: ArrayLike,
    truth: ArrayLike,
    case: str,
    mistakes: Mistakes | None = None,
    *,
    tolerance: float = 1e-5,
) -> None:
    """Raise ``Wrong`` unless the two are close; name the mistake that would give these numbers.

    Args:
        found: the answer's numbers.
        truth: what they should be, of the same shape.
        case: for which arguments, for the message.
        mistakes: for each key what the mistake would give, and a sentence on it.
        tolerance: relative and absolute.
    """

    def same(value: ArrayLike) -> bool:
        return bool(np.allclose(found, value, rtol=tolerance, atol=tolerance))

    if same(truth):
        return
    for key, (value, message) in (mistakes or {}).items():
        if same(value):
            raise Wrong(key, f"For {case}: {message}")
    seen = np.asarray(found)
    shown = f", found {float(seen):.5g}" if seen.ndim == 0 else ""
    raise Wrong("value", f"The number is not right for {case}{shown}.")


def _plain(value: Any) -> Any:
    """Nested lists, arrays and plain numbers, of exact types."""
    kind = type(value)
    if value is Ellipsis:
        raise NotAttempted
    if kind in (torch.Tensor, nn.Parameter):
        value = value.detach().cpu()
        if value.is_complex() or value.is_sparse:
            raise Wrong("type", "Expected real numbers in a dense tensor.")
        return value.double().numpy()
    if kind is np.ndarray or issubclass(kind, np.number | np.bool_):
        if value.dtype.kind not in "fiub":
            raise Wrong("type", f"Expected real numbers, found an array of {value.dtype}.")
        return np.asarray(value, dtype=np.float64)
    if kind in (int, float, bool, Fraction):
        return float(value)
    if kind in (list, tuple):
        parts = [_plain(entry) for entry in value]
        if len({np.shape(part) for part in parts}) > 1:
            raise Wrong("shape", "Expected entries of one shape, found different ones.")
        return np.array(parts, dtype=np.float64)
    raise Wrong("type", f"Expected numbers, found {_kind(value)}.")


def _kind(value: Any) -> str:
    return f"an object of type {type(value).__name__}"

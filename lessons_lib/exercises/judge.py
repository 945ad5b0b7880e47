"""What all checkers share: an exercise, a result, and how an answer is judged.

What readers are told stands in the ``.toml`` file of each chapter: title, hint, how the function is
called, and a sentence for each mistake, under its name. An exercise with options ``a`` to ``d``
(those that are wrong), or with ``cases`` that words answer, is there as a whole; for the others a
module of the same name computes what is right in a case, and what each mistake gives there. A
mistake that may be made anywhere (``usual.toml``) needs no row there, but may have its own words.
"""

import html
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np
import torch

from lessons_lib.exercises.contents import (
    Array,
    Cases,
    NotAttempted,
    Table,
    Wrong,
    kind,
    numbers,
    settled,
    shares,
    spoken,
)
from lessons_lib.exercises.sandbox import Student, pristine

Judge = Callable[[Any], None]
Verdict = Literal["passed", "not attempted", "wrong"]
_SAID = {"passed": "✓ passed", "not attempted": "○ not attempted yet", "wrong": "✗ not right yet"}


@dataclass(frozen=True)
class Exercise:
    """An exercise that code can check."""

    title: str  #: as in the chapter
    #: raises ``Wrong`` or ``NotAttempted``; it gets the answer, or a ``Student`` to call
    judge: Judge
    hint: str  #: where to look, shown with every answer that is wrong
    call: str | None = None  #: ``"road(a, length)"``; ``None`` where the answer is no function
    seconds: float = 10.0  #: time for all calls of the function together


@dataclass(frozen=True)
class Result:
    """What a check of an exercise found."""

    exercise: str
    title: str
    verdict: Verdict
    key: str = ""  #: a short name of the mistake; empty where there is none
    message: str = ""  #: what is wrong and which mistake it probably is
    hint: str = ""
    printed: str = ""  #: what the answer printed while it was checked, cut

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
    student, found = None, Result(number, exercise.title, "passed")
    try:
        if answer is Ellipsis or answer is None:
            raise NotAttempted
        if exercise.call is None:
            if callable(answer):
                raise Wrong("type", "The answer is to be a value, found a function. Call it first.")
            answer = settled(answer)
        elif callable(answer):
            answer = student = Student(answer, exercise.call, exercise.seconds)
        else:
            text = f"The answer is to be the function {exercise.call} itself, found {kind(answer)}."
            raise Wrong("type", f"{text} Pass its name without brackets.")
        with pristine():
            exercise.judge(answer)
    except NotAttempted:
        return replace(found, verdict="not attempted")
    except Exception as error:
        key, said = "checker", f"This checker failed ({type(error).__name__}). Please report it."
        if isinstance(error, Wrong):  # else it is a defect of ours: do not bury the student in it
            key, said = error.key, error.message
        found = replace(found, verdict="wrong", key=key, message=said, hint=exercise.hint)
    return found if student is None else replace(found, printed=student.printed)


# Exercises ----------------------------------------------------------------------------------------

WORDS: dict[str, dict[str, Any]] = {}
"""What readers are told: by number, ``"6.2"``, and by name; ``"usual"`` has what fits anywhere."""
for _path in sorted(Path(__file__).parent.glob("*.toml")):
    WORDS |= tomllib.loads(_path.read_text(encoding="utf-8"))

EXERCISES: dict[str, Exercise] = {}
"""By number, ``"6.2"``: the second exercise of chapter 6. The chapters' files fill it."""


def exercise(number: str) -> Callable[[Judge], Judge]:
    """Register the judge that stands below as the checker of an exercise."""

    def register(judge: Judge) -> Judge:
        words = WORDS[number]
        call, seconds = words.get("call"), words.get("seconds", 10.0)
        EXERCISES[number] = Exercise(words["title"], judge, words["hint"], call, seconds)
        return judge

    return register


def _chosen(words: Mapping[str, Any], answer: Any) -> None:
    if isinstance(answer, str):  # also "(b)", "b)", "Option b"
        answer = re.sub(r"^\W*(?:option\b)?\W*(\w)\W*$", r"\1", answer, flags=re.IGNORECASE)
    letter = spoken(answer, tuple("abcd"))
    if letter in words:
        raise Wrong(*words[letter])


def _decided(words: Mapping[str, Any], f: Student) -> None:
    """The first case in which it is said otherwise: arguments, truth, key of the mistake, why."""
    for arguments, truth, key, why in words["cases"]:
        found = spoken(f(*arguments), words["options"])
        if found != truth:
            given = ", ".join(map(str, arguments))
            raise Wrong(key, f"For {given} it is {truth}, found {found}: {why}")


for _number, _words in WORDS.items():  # what needs no code: answers that are a letter or a word
    if "options" in _words or _words.keys() & set("abcd"):
        exercise(_number)(partial(_decided if "options" in _words else _chosen, _words))


def refuse(number: str, about: str, mistakes: Mapping[str, Any], **values: Any) -> None:
    """Raise ``Wrong`` for the first mistake that holds; its sentence may name the values."""
    for key, holds in mistakes.items():
        if holds:
            raise Wrong(key, about + WORDS[number][key].format(**values))


def compared(
    number: str, cases: Callable[[], Cases] | None = None, **options: Any
) -> Callable[[Callable[..., Table]], Callable[..., Table]]:
    """Register the table that stands below as the checker of an exercise; see ``compare``."""

    def register(table: Callable[..., Table]) -> Callable[..., Table]:
        exercise(number)(lambda f: compare(number, f, table, cases and cases(), **options))
        return table

    return register


def _written_cases(words: Mapping[str, Any]) -> Cases:
    """The cases in the words of an exercise, by their names or by ``case`` and their arguments."""
    cases = words["cases"]
    if isinstance(cases, list):
        cases = {words["case"].format(*row): row for row in cases}
    return {
        case: tuple(np.array(x) if isinstance(x, list) else x for x in row)
        for case, row in cases.items()
    }


def compare(
    number: str,
    answer: Any,
    table: Callable[..., Table],
    cases: Cases | None = None,
    *,
    tolerance: float = 1e-5,
    tensors: bool = False,
) -> None:
    """Raise ``Wrong`` unless the answer, a function or a value, gives what is right.

    The table says it for the arguments of a case, and what mistakes give; a mistake is named if it
    explains *all* cases, which stand with the words if they are not given. The tolerance is
    relative to the largest entry of a case; with ``tensors`` the answer gets arrays as tensors.
    """
    words, stopped = WORDS[number], None
    found: dict[str, Array] = {}
    truths: dict[str, Array] = {}
    own: dict[str, Mapping[str, Any]] = {}
    for case, given in (_written_cases(words) if cases is None else cases).items():
        with np.errstate(all="ignore"):
            of_numpy = (np.float64(x) if type(x) is float else x for x in given)  # 1/0 is inf
            right, mistakes = table(*of_numpy)
        if tensors:
            given = tuple(torch.tensor(x) if isinstance(x, np.ndarray) else x for x in given)
        try:
            value = answer(*given) if callable(answer) else answer
            found[case] = numbers(value, np.shape(right))
        except Wrong as wrong:
            stopped = stopped or wrong
            if wrong.key == "not-finite":  # what is finite in another case may tell why
                continue
            break
        truths[case], own[case] = np.asarray(right, dtype=float), mistakes
    wrong_in = [case for case in found if not _near(found[case], truths[case], tolerance)]
    if not wrong_in:
        if stopped:
            raise stopped
        return
    first = wrong_in[0]
    # What is usual has words of its own where the exercise has a sentence without a row.
    general = WORDS["usual"] | {k: v for k, v in words.items() if k not in own[first]}
    with np.errstate(all="ignore"):
        usual = {case: _usual(right) for case, right in truths.items()}
        for known, said in ((own, words), (usual, general)):
            for key in known[first]:
                if all(_explains(known[c].get(key), x, tolerance) for c, x in found.items()):
                    raise Wrong(key, f"For {first}: {said[key]}")
        _say_what_is_seen(found, truths, wrong_in, tolerance)


def _usual(t: Array) -> dict[str, Any]:
    """What goes wrong with any formula."""
    found = {
        "zero": 0 * t,
        "sign": -t,
        "upside-down": 1 / t,
        "minus-upside-down": -1 / t,
        "complement": 1 - t,
        "squared": t**2,
        "root": np.sqrt(t),
        "logarithm": np.log(t),
        "minus-logarithm": -np.log(t),
        "exponential": np.exp(t),
        "one-more": t + 1,
        "one-less": t - 1,
        "percent": 100 * t,
        "absolute": abs(t),
        "not-rounded-up": np.floor(t),
        "rounded": np.round(t),
    }
    if t.ndim > 0:
        found["backwards"], found["first-backwards"] = t[..., ::-1], t[::-1]
        found["rows-to-one"], found["centred"] = shares(t), t - t.mean(-1, keepdims=True)
    if t.ndim > 1:
        found["transposed"], found["columns-to-one"] = np.swapaxes(t, -1, -2), shares(t, -2)
    return found


def _explains(value: Any, found: Array, tolerance: float) -> bool:
    try:
        return _near(found, value() if callable(value) else value, tolerance)
    except (ValueError, ArithmeticError, IndexError):  # not defined in this case
        return False


def _say_what_is_seen(
    found: dict[str, Array], truths: dict[str, Array], wrong_in: list[str], tolerance: float
) -> NoReturn:
    """What can be said of numbers that no known mistake explains."""
    first = wrong_in[0]
    shown = f", found {float(found[first]):.5g}" if found[first].ndim == 0 else ""
    scale = np.sum(found[first] * truths[first]) / np.sum(truths[first] ** 2)
    near = min(10 * tolerance, 1e-4)
    if len(found) > 1 and all(_near(x, scale * truths[c], near) for c, x in found.items()):
        raise Wrong("factor", f"In all cases it is {scale:.4g} times what is asked.")
    values, right_ones = ({x.tobytes() for x in part.values()} for part in (found, truths))
    if len(values) == 1 < len(right_ones):
        raise Wrong("constant", f"It does not depend on its arguments{shown}.")
    right = [case for case in found if case not in wrong_in]
    but = f" It is right for {' and for '.join(right[:2])}." if right else ""
    raise Wrong("value", f"The number is not right for {first}{shown}.{but}")


def _near(found: Array, value: Any, tolerance: float) -> bool:
    """Whether all entries are as close as this, relative to the largest of the value."""
    value = np.broadcast_to(np.asarray(value, dtype=float), found.shape)
    return np.allclose(found, value, rtol=0, atol=tolerance * abs(value).max(initial=0) + 1e-12)

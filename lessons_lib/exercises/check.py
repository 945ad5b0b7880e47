"""Check the answer to an exercise: ``check("6.2", answer)``.

It says that the answer is right, or that there is none yet, or what is wrong and which mistake it
probably is. A checker compares with properties, closed forms, slow enumeration and the theory of
the book, never with a solution: there is none in this package. What it stops and puts back stands
at ``sandbox``.
"""

from typing import Any

from lessons_lib.exercises import ch01, ch02, ch03, ch04, ch05, ch06, ch07, ch08, ch09, ch10, ch11  # noqa: F401
from lessons_lib.exercises.judge import EXERCISES as _FOUND
from lessons_lib.exercises.judge import WORDS, Result, judge
from lessons_lib.exercises.sandbox import remember_libraries

EXERCISES = {number: _FOUND[number] for number in WORDS if number in _FOUND}
"""By number, ``"6.2"``: the second exercise of chapter 6; in the order of the book."""

remember_libraries()


def check(number: str, answer: Any) -> Result:
    """The verdict on an answer: a function, a number, an array or tensor, or an option's letter.

    ``...`` means that there is none yet; a ``ValueError`` if no such exercise can be checked.
    """
    if number not in EXERCISES:
        text = f"expected the number of an exercise that can be checked, found {number!r}; there "
        raise ValueError(f"{text}are {', '.join(EXERCISES)}")
    return judge(number, EXERCISES[number], answer)

"""Checkers of chapters 8 and 9: a suspicious xi, and forks of one run.

Those of 8.2 to 8.4 are in ``ch04`` and that of 9.3 is in ``ch05``, where the exercises once were.
"""

from __future__ import annotations

import itertools
import math

from lessons_lib.exercises.judge import Exercise, choice, compare
from lessons_lib.exercises.sandbox import Student


def _pairs_agree(f: Student) -> None:
    cases = {f"{k} of {n} forks": (k, n) for k, n in ((6, 6), (0, 5), (3, 6), (1, 3), (5, 7))}

    def truth(k: int, n: int) -> float:
        pairs = list(itertools.combinations([True] * k + [False] * (n - k), 2))
        return sum(one == other for one, other in pairs) / len(pairs)

    compare(
        f,
        cases,
        truth,
        {
            "with-itself": (
                lambda k, n: (k / n) ** 2 + (1 - k / n) ** 2,
                "a fork is paired with itself. Pairs are of two different forks.",
            ),
            "only-aligned": (
                lambda k, n: math.comb(k, 2) / math.comb(n, 2),
                "two forks that eliminate agree, too.",
            ),
            "pairs": (
                lambda k, n: math.comb(k, 2) + math.comb(n - k, 2),
                "that is a number of pairs. Asked is the share.",
            ),
            "majority": (
                lambda k, n: max(k, n - k) / n,
                "that is the share of forks in the larger branch. Asked are pairs.",
            ),
        },
    )


EXERCISES = {
    "8.1": Exercise(
        "Too good to be trained",
        choice(
            {
                "a": (
                    "too-short",
                    "Longer training may bring a curve higher, but the two that are compared here "
                    "were chosen so that they share something. What?",
                ),
                "c": (
                    "ties",
                    "Ties count as found, and flatter every candidate with equal values. A probe "
                    "has hardly any.",
                ),
                "d": (
                    "not-symmetric",
                    "It is not, but that does not lift one candidate above all trained runs.",
                ),
            }
        ),
        "Two runs can foretell each other and know no word, if they share more than the task.",
    ),
    "9.1": Exercise(
        "The start or the stream?",
        choice(
            {
                "b": (
                    "chance",
                    "Half of the pairs agree anyway, if each branch is as likely as the other.",
                ),
                "c": (
                    "start",
                    "Then forks of one start would all take the same branch. They have one start "
                    "and agree no more than strangers.",
                ),
                "d": (
                    "nothing",
                    "Forks of one run at step 40 share a start, too. Why do those agree?",
                ),
            }
        ),
        "What do two forks at step 0 share, and what do two forks at step 40 share besides?",
    ),
    "9.2": Exercise(
        "How often do two forks agree?",
        _pairs_agree,
        "Of n (n-1) / 2 pairs, how many have both forks on the same side?",
        "pairs_agree(aligned, n)",
    ),
}

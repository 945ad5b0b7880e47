"""Checkers of chapters 8 and 9: a suspicious xi, and forks of one run.

Those of 8.2 to 8.4 are in ``ch04`` and that of 9.3 is in ``ch05``, beside what they share.
"""

from __future__ import annotations

import itertools
import math

from lessons_lib.exercises.judge import Table, choice, compared, exercise, named

choice(
    "8.1",
    "Too good to be trained",
    "Two runs can foretell each other and know no word, if they share more than the task.",
    a=(
        "too-short",
        "Longer training may bring a curve higher, but the two that are compared here were chosen "
        "so that they share something. What?",
    ),
    c=(
        "ties",
        "Ties count as found, and flatter every candidate with equal values. A probe has hardly "
        "any.",
    ),
    d=(
        "not-symmetric",
        "It is not, but that does not lift one candidate above all trained runs.",
    ),
)
choice(
    "9.1",
    "The start or the stream?",
    "What do two forks at step 0 share, and what do two forks at step 40 share besides?",
    b=(
        "chance",
        "Half of the pairs agree anyway, if each branch is as likely as the other.",
    ),
    c=(
        "start",
        "Then forks of one start would all take the same branch. They have one start and agree no "
        "more than strangers.",
    ),
    d=("nothing", "Forks of one run at step 40 share a start, too. Why do those agree?"),
)


@exercise(
    "9.2",
    "How often do two forks agree?",
    "Of n (n-1) / 2 pairs, how many have both forks on the same side?",
    "pairs_agree(aligned, n)",
)
@compared(named("{} of {} forks", (6, 6), (0, 5), (3, 6), (1, 3), (5, 7)))
def _pairs_agree(k: int, n: int) -> Table:
    pairs = list(itertools.combinations([True] * k + [False] * (n - k), 2))
    share = k / n
    return sum(one == other for one, other in pairs) / len(pairs), {
        "with-itself": (
            share**2 + (1 - share) ** 2,
            "a fork is paired with itself. Pairs are of two different forks.",
        ),
        "only-aligned": (
            math.comb(k, 2) / len(pairs),
            "two forks that eliminate agree, too.",
        ),
        "pairs": (
            math.comb(k, 2) + math.comb(n - k, 2),
            "that is a number of pairs. Asked is the share.",
        ),
        "majority": (
            max(share, 1 - share),
            "that is the share of forks in the larger branch. Asked are pairs.",
        ),
    }

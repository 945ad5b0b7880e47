"""Checkers of chapter 9: forks of one run, and the line that divides two branches."""

import itertools
import math
from typing import Any

from lessons_lib.exercises.contents import Table
from lessons_lib.exercises.judge import compared
from lessons_lib.theory import phase_portrait


@compared("9.2")
def _pairs_agree(k: int, n: int) -> Table:
    pairs = list(itertools.combinations([True] * k + [False] * (n - k), 2))
    share = k / n
    return sum(one == other for one, other in pairs) / len(pairs), {
        "with-itself": share**2 + (1 - share) ** 2,
        "only-aligned": math.comb(k, 2) / len(pairs),
        "pairs": math.comb(k, 2) + math.comb(n - k, 2),
        "majority": max(share, 1 - share),
    }


@compared("9.3", tolerance=1e-2)
def _dividing_line(a: Any, r: Any) -> Table:
    root = math.sqrt(r)
    return phase_portrait.separatrix(float(a), 12, 12, (float(r), 1.0)), {
        "equal-rates": -a,
        "wrong-way": -a * root,
        "no-root": -a / r,
        "wrong-way-no-root": -a * r,
        "fourth-root": -a / r**0.25,
        "squared": -a / r**2,
        "sign": a / root,
        "sign-wrong-way": a * root,
        "sign-equal": a,
        "absolute": -abs(a) / root,
        "slope": -1 / root,
    }

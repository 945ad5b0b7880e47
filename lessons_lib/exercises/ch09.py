"""Checkers of chapter 9: forks of one run, and the line that divides two branches."""

import math
from typing import Any

from lessons_lib.exercises.contents import Table
from lessons_lib.exercises.judge import compared
from lessons_lib.theory import phase_portrait


@compared("9.2")
def _pairs_agree(k: int, n: int) -> Table:
    share, pairs = k / n, math.comb(n, 2)
    agree = math.comb(k, 2) + math.comb(n - k, 2)
    return agree / pairs, {
        "with-itself": share**2 + (1 - share) ** 2,
        "only-aligned": math.comb(k, 2) / pairs,
        "pairs": agree,
        "majority": max(share, 1 - share),
    }


@compared("9.3", tolerance=1e-2)
def _dividing_line(a: Any, r: Any) -> Table:
    root = math.sqrt(r)
    return phase_portrait.separatrix(float(a), 12, 12, (float(r), 1.0)), {
        "equal-rates": -a,
        "wrong-way": -a * root,
        "no-root": -a / r,
        "squared": -a / r**2,
        "absolute": -abs(a) / root,
        "slope": -1 / root,
    }

"""Checkers of chapter 8: agreement, ties and xi."""

import math
from typing import Any

import numpy as np

from lessons_lib.exercises.contents import Array, Cases, Table, numbers
from lessons_lib.exercises.judge import compare, compared, exercise, refuse


@compared("8.2", tolerance=1e-3)
def _by_hand() -> Table:
    u, v = np.zeros(30), np.full(30, -1.0)
    u[:4], v[:4] = (0.1, 0.6, 0.2, 0.1), (3, 2, 1, 0)
    top = math.ceil(30 / 20)
    rank = [int((b > b[a.argmax()]).sum()) for a, b in ((u, v), (v, u))]
    truth, chance = (rank[0] < top, rank[1] < top, top / 30), top / 30
    return truth, {
        "swapped": (0, 1, chance),
        "one-position": (0, 0, 1 / 30),
        "one-position-chance": (1, 0, 1 / 30),
        "chance-5%": (1, 0, 0.05),
        "chance-5%-only": (0, 0, 0.05),
        "four-words": (0, 0, 0.25),
        "four-words-chance": (1, 0, 0.25),
        "both": (1, 1, chance),
        "neither": (0, 0, chance),
        "percent": (1, 0, 100 * chance),
        "half": (0.5, 0.5, chance),
        "ranks": (*rank, chance),
        "ranks-from-one": (rank[0] + 1, rank[1] + 1, chance),
    }


def _rows_with_ties() -> Cases:
    rng, cases = np.random.default_rng(4006), {}
    for case, size, top, levels in (
        ("no ties", 5, 0.4, 0),
        ("some ties", 5, 0.4, 2),
        ("a constant", 5, 0.4, 1),
        ("two of 7, rounded up to 3", 7, 0.3, 2),
        ("a quarter of 8", 8, 0.25, 3),
        ("all positions", 6, 1.0, 2),
    ):
        u, v = rng.normal(size=(15, size)), rng.normal(size=(15, size))
        cases[case] = (u, rng.integers(levels, size=v.shape).astype(float) if levels else v, top)
    return cases


@compared("8.3", _rows_with_ties)
def _fair_agreement(u: Array, v: Array, top: Any) -> Table:
    def ties(u: Array, v: Array) -> tuple[Array, Array]:
        """For each row: how many are ahead of the best by u, and how many tie with it."""
        there = np.take_along_axis(v, u.argmax(1)[:, None], 1)
        return (v > there).sum(1), (v == there).sum(1)

    def fair(g: Array, m: Array, k: int) -> Any:
        """Share of the ways to break ties in which it is among the first k, one after the other."""
        rows = zip(g, m, strict=True)
        return np.mean([np.mean(ahead + np.arange(tied) < k) for ahead, tied in rows])

    size = round(top * u.shape[1], 9)
    (g, m), k = ties(u, v), math.ceil(size)
    share, clip = (k - g) / m, np.clip
    return fair(g, m, k), {
        "ties-found": np.mean(g < k),
        "ties-missed": np.mean(g + m <= k),
        "ties-half": (np.mean(g < k) + np.mean(g + m <= k)) / 2,
        "swapped": fair(*ties(v, u), k),
        "rounded-down": fair(g, m, int(size)),
        "one-more": fair(g, m, int(size) + 1),
        "not-clipped": np.mean(share),
        "above-one": np.mean(clip(share, 0, None)),
        "below-zero": np.mean(clip(share, None, 1)),
        "one-of-tied": np.mean((g < k) / m),
        "not-itself": np.mean(clip(clip(k - g, 0, None) / clip(m - 1, 1, None), None, 1)),
        "from-the-top": np.mean(clip(k / m, None, 1)),
        "chance": k / u.shape[1],
    }


def _curves() -> Cases:
    rng = np.random.default_rng(4010)
    rise = np.array([0.1, 0.45, 0.25, 0.6, 0.8, 0.7])  # not monotone: a curve may fall again
    curves = rise + rng.choice([-0.08, 0.03, 0.09, 0.2], size=(4, 6))
    gain = np.array([0.2, 0.45, 0.6, 0.75, 0.9, 0.8])
    done = gain + rng.choice([-0.15, 0, 0.04, 0.1], size=(4, 6))
    cases = {f"a level of {x}": (x, curves, done) for x in (0.05, 0.3, 0.55, 0.75)}
    return cases | {
        "two runs": (0.45, curves[:2], done[:2]),
        "one run": (0.6, curves[2:3], done[2:3]),
    }


def _crossings(level: Any, c: Array, p: Array) -> Table:
    def first(curve: Array) -> int:
        return int((curve > level).argmax())

    curve, done = c.mean(0), p.mean(0)
    k = first(curve)
    each = [q[first(one)] for one, q in zip(c, p, strict=True) if one.max() > level]
    last_below = np.flatnonzero(curve <= level).max(initial=-1)
    return done[k], {
        "not-averaged": np.mean(each),
        "one-run": p[0][first(c[0])],
        "one-performance": p[0][k],
        "median-curve": done[first(np.median(c, 0))],
        "median-performance": np.median(p[:, k]),
        "first-run": done[first(c.max(0))],
        "every-run": done[first(c.min(0))],
        "best-run": p[:, k].max(),
        "agreement": curve[k],
        "best-performance": done.max(),
        "checkpoint": k,
        "before": done[k - 1],
        "for-good": done[min(last_below + 1, 5)],
    }


@exercise("8.4")
def _xi(f: Any) -> None:
    cases = _curves()
    compare("8.4", f, _crossings, cases)
    curve = np.array([[0.25, 0.5, 0.75]])
    strict = abs(numbers(f(0.5, curve, curve), finite=False) - 0.75) <= 1e-6
    refuse("8.4", "", {"not-strict": not strict})
    _, curves, done = cases["a level of 0.3"]
    for level in (2.0, float(curves.mean(0).max())):
        found = numbers(f(level, curves, done), finite=False)
        refuse("8.4", "", {"never": not np.isnan(found)})

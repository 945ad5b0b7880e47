"""Checkers of chapter 8: agreement, ties and xi."""

from typing import Any

import numpy as np

from lessons_lib.exercises.contents import Array, Cases, Table, numbers
from lessons_lib.exercises.judge import compare, compared, exercise, refuse


@compared("8.2", tolerance=1e-3)
def _by_hand() -> Table:
    # Two of 30 positions are the top. One v is ahead of u's best position, two u ahead of v's best.
    chance = 2 / 30
    return (1, 0, chance), {
        "swapped": (0, 1, chance),
        "one-position": (0, 0, 1 / 30),
        "chance-5%": (1, 0, 0.05),
        "four-words": (0, 0, 0.25),
        "both": (1, 1, chance),
        "neither": (0, 0, chance),
        "percent": (1, 0, 100 * chance),
        "ranks": (1, 2, chance),
    }


def _rows_with_ties() -> Cases:
    rng, cases = np.random.default_rng(4006), {}
    for case, size, top, levels in (
        ("no ties", 5, 0.4, 10**6),
        ("some ties", 5, 0.4, 2),
        ("a constant", 5, 0.4, 1),
        ("two of 7, rounded up to 3", 7, 0.3, 2),
        ("a quarter of 8", 8, 0.25, 3),
        ("all positions", 6, 1.0, 2),
    ):
        u, v = rng.normal(size=(15, size)), rng.integers(levels, size=(15, size))
        cases[case] = (u, v.astype(float), top)
    return cases


@compared("8.3", _rows_with_ties)
def _fair_agreement(u: Array, v: Array, top: Any) -> Table:
    def ties(u: Array, v: Array) -> tuple[Array, Array]:
        """For each row: how many are ahead of the best by u, and how many tie with it."""
        there = np.take_along_axis(v, u.argmax(1)[:, None], 1)
        return (v > there).sum(1), (v == there).sum(1)

    def fair(g: Array, m: Array, k: Any) -> Any:
        """Share of the m places after g others that are among the first k."""
        return np.clip((k - g) / m, 0, 1).mean()

    size = round(top * u.shape[1], 9)
    (g, m), k = ties(u, v), np.ceil(size)
    return fair(g, m, k), {
        "ties-found": np.mean(g < k),
        "ties-missed": np.mean(g + m <= k),
        "ties-half": (np.mean(g < k) + np.mean(g + m <= k)) / 2,
        "swapped": fair(*ties(v, u), k),
        "rounded-down": fair(g, m, np.floor(size)),
        "one-more": fair(g, m, np.floor(size) + 1),
        "not-clipped": np.mean((k - g) / m),
        "one-of-tied": np.mean((g < k) / m),
        "not-itself": fair(g, np.maximum(m - 1, 1), k),
        "chance": k / u.shape[1],
    }


def _curves() -> Cases:
    rng = np.random.default_rng(4022)  # with it medians and means differ
    rise = np.array([0.1, 0.45, 0.25, 0.6, 0.8, 0.7])  # not monotone: a curve may fall again
    curves, done = rise + rng.uniform(-0.1, 0.2, size=(4, 6)), rng.uniform(size=(4, 6))
    level_is_met = np.array([[0.25, 0.5, 0.75]])
    cases = {f"a level of {x}": (x, curves, done) for x in (0.05, 0.3, 0.55, 0.75)}
    return cases | {
        "one run": (0.6, curves[2:3], done[2:3]),
        "a level that is met": (0.5, level_is_met, level_is_met),
    }


def _crossings(level: Any, c: Array, p: Array) -> Table:
    def first(curve: Array) -> int:
        return int((curve > level).argmax())

    curve, done = c.mean(0), p.mean(0)
    k = first(curve)
    each = [q[first(one)] for one, q in zip(c, p, strict=True) if one.max() > level]
    return done[k], {
        "not-averaged": np.mean(each),
        "one-run": p[0][first(c[0])],
        "one-performance": p[0][k],
        "agreement": curve[k],
        "best-performance": done.max(),
        "checkpoint": k,
        "before": done[k - 1],
        "not-strict": done[(curve >= level).argmax()],
    }


@exercise("8.4")
def _xi(f: Any) -> None:
    cases = _curves()
    compare("8.4", f, _crossings, cases)
    _, curves, done = cases["a level of 0.3"]
    for level in (2.0, float(curves.mean(0).max())):
        found = numbers(f(level, curves, done), finite=False)
        refuse("8.4", "", {"never": not np.isnan(found)})

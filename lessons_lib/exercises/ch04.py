"""Checkers of chapter 4: yardsticks and spread; and of 8.2 to 8.4: agreement, ties and xi."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from lessons_lib.exercises.judge import Array, Exercise, choice, compare, numbers
from lessons_lib.exercises.sandbox import Student, Wrong


def _by_hand(answer: object) -> None:
    u, v = np.zeros(30), np.full(30, -1.0)
    u[:4], v[:4] = (0.1, 0.6, 0.2, 0.1), (3, 2, 1, 0)
    top = math.ceil(30 / 20)
    rank = [int((b > b[a.argmax()]).sum()) for a, b in ((u, v), (v, u))]
    truth = np.array([rank[0] < top, rank[1] < top, top / 30], dtype=float)
    chance, five = top / 30, "chance is the share of positions that count as the top: whole ones."
    one = "the top 5% of 30 positions are two, since 1.5 is rounded up."
    # fmt: off
    told = {
        "swapped": ((0, 1, chance), "the two agreements are swapped. A(u, v) begins with u."),
        "one-position": ((0, 0, 1 / 30), one),
        "one-position-chance": ((1, 0, 1 / 30), one),
        "chance-5%": ((1, 0, 0.05), five),
        "chance-5%-only": ((0, 0, 0.05), five),
        "four-words": ((0, 0, 0.25), "that is the sentence of four words. Asked is for 30."),
        "four-words-chance": ((1, 0, 0.25), "that is chance for four words. Asked is for 30."),
        "both": ((1, 1, chance), "where is the largest v, and how many positions have more u?"),
        "neither": ((0, 0, chance), "where is the largest u, and how many positions have more v?"),
        "percent": ((1, 0, 100 * chance), "chance is to be a share, not percent."),
        "half": ((0.5, 0.5, chance), "one output word agrees or does not: 1 or 0."),
        "ranks": ((*rank, chance), "those are ranks. Is each among the first two?"),
        "ranks-from-one": ((rank[0] + 1, rank[1] + 1, chance), "those are ranks, not agreements."),
    }
    # fmt: on
    mistakes = {key: (lambda value=value: value, why) for key, (value, why) in told.items()}
    found = numbers(answer, (3,))
    compare(lambda: found, {"30 words": ()}, lambda: truth, mistakes, tolerance=1e-3)


def _share(k: int, ahead: int, tied: int) -> float:
    """Share of the ways to break ties in which the best position by u is among the first k by v."""
    return float(np.mean([ahead + place < k for place in range(tied)]))


def _fair(
    how: Callable[[int, int, int], float], up: Callable[[float], int]
) -> Callable[..., float]:
    """Mean over rows of ``how(k, ahead, tied)``, with ``k = up(top * L)``."""

    def mean(u: Array, v: Array, top: float) -> float:
        k = up(round(top * u.shape[1], 9))
        there = np.take_along_axis(v, u.argmax(1)[:, None], 1)
        pairs = zip((v > there).sum(1), (v == there).sum(1), strict=True)
        return float(np.mean([how(k, int(ahead), int(tied)) for ahead, tied in pairs]))

    return mean


def _fair_agreement(f: Student) -> None:
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
    ceil, right = math.ceil, _fair(_share, math.ceil)

    def expected(k: int, ahead: int, tied: int) -> float:
        return (k - ahead) / tied

    # fmt: off
    mistakes = {
        "ties-found": (_fair(lambda k, g, m: g < k, ceil),
            "ties count as found, as in the paper. A constant wins."),
        "ties-missed": (_fair(lambda k, g, m: g + m <= k, ceil),
            "ties count as missed. That is unfair, too."),
        "ties-half": (_fair(lambda k, g, m: ((g < k) + (g + m <= k)) / 2, ceil),
            "ties count as one half. How probable is it to be among the top k?"),
        "swapped": (lambda u, v, top: right(v, u, top),
            "that is A(v, u). Take the best position by u, and its rank by v."),
        "rounded-down": (_fair(_share, int), "top * L is rounded down. Round up."),
        "rounded": (_fair(_share, round), "top * L is rounded to the nearest number. Round up."),
        "one-more": (_fair(_share, lambda x: int(x) + 1),
            "top * L is whole here: no need to add 1."),
        "not-clipped": (_fair(expected, ceil),
            "a probability is between 0 and 1: clip the share of places."),
        "above-one": (_fair(lambda k, g, m: max(expected(k, g, m), 0), ceil),
            "a probability is at most 1."),
        "below-zero": (_fair(lambda k, g, m: min(expected(k, g, m), 1), ceil),
            "a probability is at least 0."),
        "one-of-tied": (_fair(lambda k, g, m: (g < k) / m, ceil),
            "only one place is shared. There are k - g left for the tied ones."),
        "not-itself": (_fair(lambda k, g, m: min(max(k - g, 0) / max(m - 1, 1), 1), ceil),
            "the position itself is one of those that tie."),
        "from-the-top": (_fair(lambda k, g, m: min(k / m, 1), ceil),
            "those strictly ahead take their places first."),
        "chance": (lambda u, v, top: math.ceil(top * u.shape[1]) / u.shape[1], "that is chance."),
    }
    # fmt: on
    compare(f, cases, right, mistakes)


def _first_above(curve: Array, level: float) -> int:
    return next(i for i, value in enumerate(curve) if value > level)


def _xi(f: Student) -> None:
    rng = np.random.default_rng(4010)
    rise = np.array([0.1, 0.45, 0.25, 0.6, 0.8, 0.7])  # not monotone: a curve may fall again
    curves = rise + rng.choice([-0.08, 0.03, 0.09, 0.2], size=(4, 6))
    done = np.array([0.2, 0.45, 0.6, 0.75, 0.9, 0.8]) + rng.choice(
        [-0.15, 0, 0.04, 0.1], size=(4, 6)
    )
    cases = {f"a level of {x}": (x, curves, done) for x in (0.05, 0.3, 0.55, 0.75)}
    cases["two runs"] = (0.45, curves[:2], done[:2])
    cases["one run"] = (0.6, curves[2:3], done[2:3])

    def at(level: float, c: Array, p: Array, mean: Callable[..., Array] = np.mean) -> float:
        return float(p.mean(0)[_first_above(mean(c, axis=0), level)])

    def each(level: float, c: Array, p: Array) -> float:
        firsts = [(q, np.flatnonzero(curve > level)) for curve, q in zip(c, p, strict=True)]
        return float(np.mean([q[first[0]] for q, first in firsts if len(first)]))

    def last_below(level: float, c: Array, p: Array) -> float:
        return float(p.mean(0)[min(np.flatnonzero(c.mean(0) <= level).max(initial=-1) + 1, 5)])

    # fmt: off
    mistakes = {
        "not-averaged": (each, "the crossing is looked for in each run. Average the curves first."),
        "one-run": (lambda x, c, p: at(x, c[:1], p[:1]),
            "one run only is used. Average over all of them."),
        "one-performance": (lambda x, c, p: p[0][_first_above(c.mean(0), x)],
            "the performance is that of one run. Average over all of them."),
        "median-curve": (lambda x, c, p: at(x, c, p, np.median),
            "the median of the curves is taken, not the mean."),
        "median-performance": (lambda x, c, p: np.median(p[:, _first_above(c.mean(0), x)]),
            "that is the median performance. Asked is the mean."),
        "first-run": (lambda x, c, p: at(x, c, p, np.max),
            "that is where the first of the runs exceeds it."),
        "every-run": (lambda x, c, p: at(x, c, p, np.min),
            "that is where every run exceeds it. Average first."),
        "best-run": (lambda x, c, p: p[:, _first_above(c.mean(0), x)].max(),
            "that is the best run's. Average."),
        "agreement": (lambda x, c, p: c.mean(0)[_first_above(c.mean(0), x)],
            "that is the agreement at the crossing. xi is the performance there."),
        "best-performance": (lambda x, c, p: p.mean(0).max(),
            "that is the best performance of all, xi*. Take the one at the crossing."),
        "checkpoint": (lambda x, c, p: _first_above(c.mean(0), x),
            "that is the index of the checkpoint, not the performance."),
        "before": (lambda x, c, p: p.mean(0)[_first_above(c.mean(0), x) - 1],
            "that is one checkpoint early."),
        "for-good": (last_below, "the curve may fall again. Take the first checkpoint above."),
    }
    # fmt: on
    compare(f, cases, at, mistakes)
    curve = np.array([[0.25, 0.5, 0.75]])
    if abs(numbers(f(0.5, curve, curve), finite=False) - 0.75) > 1e-6:
        raise Wrong("not-strict", "The curve has to exceed the level. Equal is not above.")
    for level in (2.0, float(curves.mean(0).max())):
        if not np.isnan(numbers(f(level, curves, done), finite=False)):
            raise Wrong(
                "never",
                "The curve never exceeds this level. Return `math.nan` for never: a number would "
                "be averaged into tables as if it were measured. (`argmax` of nothing but False is "
                "0.)",
            )


def _spread(f: Student) -> None:
    three = np.array([[0.5, 0.25, 0.25, 0.0], [0.25] * 4, [0.0, 1.0, 0.0, 0.0]])
    cases = {"three rows of four": (three,), "one row of two": (np.array([[0.75, 0.25]]),)}

    def entropy(a: np.ndarray) -> np.ndarray:
        return np.array([-sum(x * math.log(x) for x in row if x > 0) for row in a.tolist()])

    mistakes = {
        "entropy": (entropy, "that is the entropy. Take its exponential, and divide by L."),
        "not-divided": (
            lambda a: np.exp(entropy(a)),
            "that is a number of words. Divide by the number of words that there are.",
        ),
        "relative": (
            lambda a: entropy(a) / math.log(a.shape[1]),
            "that is the entropy as a share of its largest value. Even attention on two of sixteen "
            "words would get 0.25 of it, and has a spread of 0.125.",
        ),
        "bits": (
            lambda a: 2 ** entropy(a) / a.shape[1],
            "the entropy is in nats, and the power is of 2.",
        ),
        "rows": (
            lambda a: np.exp(entropy(a)) / len(a),
            "divide by the number of input words, not of output words.",
        ),
    }
    compare(f, cases, lambda a: np.exp(entropy(a)) / a.shape[1], mistakes)


EXERCISES = {
    "4.1": Exercise(
        "First by one yardstick",
        choice(
            {
                "a": (
                    "same-shape",
                    "Both curves have the same shape, so half-way there is no lag. When does each "
                    "of them pass 0.3?",
                ),
                "b": (
                    "level-for-shape",
                    "The half-way value is half of the curve's *own* last value, 0.4 and 0.2.",
                ),
                "d": (
                    "no-difference",
                    "Those are the steps of attention. A lag is the difference to KTIW.",
                ),
            }
        ),
        "Straight lines: KTIW is 0.002 times the step, attention 0.001 times the step.",
    ),
    "4.2": Exercise(
        "How many words are looked at?",
        _spread,
        "exp(entropy) of even attention on k words is k. What is x log x at x = 0?",
        "spread(attention)",
    ),
    "8.2": Exercise(
        "Agreement by hand",
        _by_hand,
        "ceil(0.05 * 30) = 2. Where is the largest u, and how many positions have more v?",
    ),
    "8.3": Exercise(
        "The candidate that agrees with everything",
        _fair_agreement,
        "With g positions strictly greater and m equal ones (itself included), how many of the m "
        "places are among the first k?",
        "fair_agreement(u, v, top)",
    ),
    "4.3": Exercise(
        "Without the square root",
        choice(
            {
                "a": (
                    "no-effect",
                    "Adam undoes a constant factor in the gradient of a weight. It does not undo "
                    "the factor in the scores that the weights produce.",
                ),
                "b": (
                    "more-even",
                    "Scores that are sixteen times as large make a softmax sharper, not flatter.",
                ),
                "c": (
                    "sharper-is-better",
                    "Sharp so early, it cannot know yet where to look. Which word gets it, and "
                    "what can be learned from one word alone?",
                ),
            }
        ),
        "Divide all scores by 16: what becomes of their softmax?",
    ),
    "8.4": Exercise(
        "A tighter xi",
        _xi,
        "Mean of the curves over runs, first checkpoint strictly above the level, mean performance "
        "there.",
        "xi(level, curves, performance)",
    ),
}

"""Checkers of chapter 4: yardsticks and spread; and of 8.2 to 8.4: agreement, ties and xi."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lessons_lib.exercises.sandbox import Student, Wrong

# isort: off
# fmt: off
from lessons_lib.exercises.judge import (
    Array, Cases, Table, choice, compare, compared, exercise, numbers)


choice("4.1", "First by one yardstick",
    "Straight lines: KTIW is 0.002 times the step, attention 0.001 times the step.",
    a=("same-shape", "Both curves have the same shape, so half-way there is no lag. When does each "
        "of them pass 0.3?"),
    b=("level-for-shape", "The half-way value is half of the curve's *own* last value, 0.4 and "
        "0.2."),
    d=("no-difference", "Those are the steps of attention. A lag is the difference to KTIW."))


@exercise("4.2", "How many words are looked at?",
    "exp(entropy) of even attention on k words is k. What is x log x at x = 0?",
    "spread(attention)")
@compared({
    "three rows of four":
        (np.array([[0.5, 0.25, 0.25, 0.0], [0.25] * 4, [0.0, 1.0, 0.0, 0.0]]),),
    "one row of two": (np.array([[0.75, 0.25]]),),
})
def _spread(a: Array) -> Table:
    words = a.shape[1]
    nats = np.array([-sum(x * math.log(x) for x in row if x > 0) for row in a.tolist()])
    return np.exp(nats) / words, {
        "entropy": (nats, "that is the entropy. Take its exponential, and divide by L."),
        "not-divided": (np.exp(nats),
            "that is a number of words. Divide by the number of words that there are."),
        "relative": (nats / math.log(words),
            "that is the entropy as a share of its largest value. Even attention on two of sixteen "
            "words would get 0.25 of it, and has a spread of 0.125."),
        "bits": (2**nats / words, "the entropy is in nats, and the power is of 2."),
        "rows": (np.exp(nats) / len(a),
            "divide by the number of input words, not of output words."),
    }


@exercise("8.2", "Agreement by hand",
    "ceil(0.05 * 30) = 2. Where is the largest u, and how many positions have more v?")
def _by_hand(answer: object) -> None:
    u, v = np.zeros(30), np.full(30, -1.0)
    u[:4], v[:4] = (0.1, 0.6, 0.2, 0.1), (3, 2, 1, 0)
    top = math.ceil(30 / 20)
    rank = [int((b > b[a.argmax()]).sum()) for a, b in ((u, v), (v, u))]
    truth, chance = (rank[0] < top, rank[1] < top, top / 30), top / 30
    five = "chance is the share of positions that count as the top: whole ones."
    one = "the top 5% of 30 positions are two, since 1.5 is rounded up."
    four = "that is the sentence of four words. Asked is for 30."
    mistakes = {
        "swapped": ((0, 1, chance), "the two agreements are swapped. A(u, v) begins with u."),
        "one-position": ((0, 0, 1 / 30), one),
        "one-position-chance": ((1, 0, 1 / 30), one),
        "chance-5%": ((1, 0, 0.05), five),
        "chance-5%-only": ((0, 0, 0.05), five),
        "four-words": ((0, 0, 0.25), four),
        "four-words-chance": ((1, 0, 0.25), "that is chance for four words. Asked is for 30."),
        "both": ((1, 1, chance), "where is the largest v, and how many positions have more u?"),
        "neither": ((0, 0, chance), "where is the largest u, and how many positions have more v?"),
        "percent": ((1, 0, 100 * chance), "chance is to be a share, not percent."),
        "half": ((0.5, 0.5, chance), "one output word agrees or does not: 1 or 0."),
        "ranks": ((*rank, chance), "those are ranks. Is each among the first two?"),
        "ranks-from-one": ((rank[0] + 1, rank[1] + 1, chance), "those are ranks, not agreements."),
    }
    found = numbers(answer, (3,))
    compare(lambda: found, {"30 words": ()}, lambda: (truth, mistakes), tolerance=1e-3)


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


@exercise("8.3", "The candidate that agrees with everything",
    "With g positions strictly greater and m equal ones (itself included), how many of the m "
    "places are among the first k?",
    "fair_agreement(u, v, top)")
@compared(_rows_with_ties)
def _fair_agreement(u: Array, v: Array, top: Any) -> Table:
    def ties(u: Array, v: Array) -> tuple[Array, Array]:
        """For each row: how many are ahead of the best by u, and how many tie with it."""
        there = np.take_along_axis(v, u.argmax(1)[:, None], 1)
        return (v > there).sum(1), (v == there).sum(1)

    def fair(g: Array, m: Array, k: int) -> Any:
        """Share of the ways to break ties in which it is among the first k, one after the other."""
        each = [np.mean([ahead + place < k for place in range(tied)])
            for ahead, tied in zip(g, m, strict=True)]
        return np.mean(each)

    size = round(top * u.shape[1], 9)
    (g, m), k = ties(u, v), math.ceil(size)
    share, clip = (k - g) / m, np.clip
    return fair(g, m, k), {
        "ties-found": (np.mean(g < k), "ties count as found, as in the paper. A constant wins."),
        "ties-missed": (np.mean(g + m <= k), "ties count as missed. That is unfair, too."),
        "ties-half": ((np.mean(g < k) + np.mean(g + m <= k)) / 2,
            "ties count as one half. How probable is it to be among the top k?"),
        "swapped": (fair(*ties(v, u), k),
            "that is A(v, u). Take the best position by u, and its rank by v."),
        "rounded-down": (fair(g, m, int(size)), "top * L is rounded down. Round up."),
        "rounded": (fair(g, m, round(size)), "top * L is rounded to the nearest number. Round up."),
        "one-more": (fair(g, m, int(size) + 1), "top * L is whole here: no need to add 1."),
        "not-clipped": (np.mean(share),
            "a probability is between 0 and 1: clip the share of places."),
        "above-one": (np.mean(clip(share, 0, None)), "a probability is at most 1."),
        "below-zero": (np.mean(clip(share, None, 1)), "a probability is at least 0."),
        "one-of-tied": (np.mean((g < k) / m),
            "only one place is shared. There are k - g left for the tied ones."),
        "not-itself": (np.mean(clip(clip(k - g, 0, None) / clip(m - 1, 1, None), None, 1)),
            "the position itself is one of those that tie."),
        "from-the-top": (np.mean(clip(k / m, None, 1)),
            "those strictly ahead take their places first."),
        "chance": (k / u.shape[1], "that is chance."),
    }


choice("4.3", "Without the square root", "Divide all scores by 16: what becomes of their softmax?",
    a=("no-effect", "Adam undoes a constant factor in the gradient of a weight. It does not undo "
        "the factor in the scores that the weights produce."),
    b=("more-even", "Scores that are sixteen times as large make a softmax sharper, not flatter."),
    c=("sharper-is-better", "Sharp so early, it cannot know yet where to look. Which word gets it, "
        "and what can be learned from one word alone?"))


def _curves() -> Cases:
    rng = np.random.default_rng(4010)
    rise = np.array([0.1, 0.45, 0.25, 0.6, 0.8, 0.7])  # not monotone: a curve may fall again
    curves = rise + rng.choice([-0.08, 0.03, 0.09, 0.2], size=(4, 6))
    done = np.array([0.2, 0.45, 0.6, 0.75, 0.9, 0.8]) + rng.choice(
        [-0.15, 0, 0.04, 0.1], size=(4, 6))
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
        "not-averaged": (np.mean(each),
            "the crossing is looked for in each run. Average the curves first."),
        "one-run": (p[0][first(c[0])], "one run only is used. Average over all of them."),
        "one-performance": (p[0][k],
            "the performance is that of one run. Average over all of them."),
        "median-curve": (done[first(np.median(c, 0))],
            "the median of the curves is taken, not the mean."),
        "median-performance": (np.median(p[:, k]),
            "that is the median performance. Asked is the mean."),
        "first-run": (done[first(c.max(0))], "that is where the first of the runs exceeds it."),
        "every-run": (done[first(c.min(0))], "that is where every run exceeds it. Average first."),
        "best-run": (p[:, k].max(), "that is the best run's. Average."),
        "agreement": (curve[k],
            "that is the agreement at the crossing. xi is the performance there."),
        "best-performance": (done.max(),
            "that is the best performance of all, xi*. Take the one at the crossing."),
        "checkpoint": (k, "that is the index of the checkpoint, not the performance."),
        "before": (done[k - 1], "that is one checkpoint early."),
        "for-good": (done[min(last_below + 1, 5)],
            "the curve may fall again. Take the first checkpoint above."),
    }


@exercise("8.4", "A tighter xi",
    "Mean of the curves over runs, first checkpoint strictly above the level, mean performance "
    "there.",
    "xi(level, curves, performance)")
def _xi(f: Student) -> None:
    cases = _curves()
    compare(f, cases, _crossings)
    curve = np.array([[0.25, 0.5, 0.75]])
    if abs(numbers(f(0.5, curve, curve), finite=False) - 0.75) > 1e-6:
        raise Wrong("not-strict", "The curve has to exceed the level. Equal is not above.")
    _, curves, done = cases["a level of 0.3"]
    for level in (2.0, float(curves.mean(0).max())):
        if not np.isnan(numbers(f(level, curves, done), finite=False)):
            raise Wrong("never",
                "The curve never exceeds this level. Return `math.nan` for never: a number would "
                "be averaged into tables as if it were measured. (`argmax` of nothing but False is "
                "0.)")

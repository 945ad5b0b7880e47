"""Checkers of chapter 4: agreement, ties and xi."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from lessons_lib.exercises.judge import Array, Exercise, Mistakes, choice, expect, numbers
from lessons_lib.exercises.sandbox import Student, Wrong


def _by_hand(answer: object) -> None:
    found = numbers(answer, (3,))
    u, v = np.zeros(30), np.full(30, -1.0)
    u[:4], v[:4] = (0.1, 0.6, 0.2, 0.1), (3, 2, 1, 0)
    top = math.ceil(30 / 20)
    rank = [int((b > b[a.argmax()]).sum()) for a, b in ((u, v), (v, u))]
    truth = np.array([rank[0] < top, rank[1] < top, top / 30], dtype=float)
    mistakes: Mistakes = {
        "swapped": (truth[[1, 0, 2]], "the two agreements are swapped. A(u, v) begins with u."),
        "one-position": (
            (0.0, 0.0, 1 / 30),
            "the top 5% of 30 positions are two, since 1.5 is rounded up.",
        ),
        "chance-5%": (
            (truth[0], truth[1], 0.05),
            "chance is the share of positions that count as the top, and those are whole ones.",
        ),
        "four-words": ((0.0, 0.0, 0.25), "that is the sentence of four words. Asked is for 30."),
    }
    expect(found, truth, "30 words", mistakes, tolerance=1e-3)


def _fair_hits(u: Array, v: Array, k: int) -> float:
    """Mean over all ways to break ties of whether the best position by u is in the top k by v."""
    best, hits = int(u.argmax()), []
    for tiebreak in itertools.permutations(range(len(v))):
        order = sorted(range(len(v)), key=lambda i: (-v[i], tiebreak[i]))
        hits.append(order.index(best) < k)
    return float(np.mean(hits))


def _fair_agreement(f: Student) -> None:
    rng = np.random.default_rng(4006)
    for case, levels in (("no ties", 100), ("some ties", 2), ("a constant", 1)):
        u, v = rng.normal(size=(15, 5)), rng.integers(levels, size=(15, 5)).astype(float)
        if case == "no ties":
            v = rng.normal(size=v.shape)
        k = 2  # of five, with top = 0.4
        there = np.take_along_axis(v, u.argmax(1)[:, None], 1)
        greater, equal = (v > there).sum(1), (v == there).sum(1)
        lucky = float((greater < k).mean())
        unlucky = float((greater + equal <= k).mean())
        mistakes = {
            "ties-found": (lucky, "ties count as found, as in the paper. A constant wins so."),
            "ties-missed": (unlucky, "ties count as missed. That is unfair the other way."),
            "swapped": (
                float(np.mean([_fair_hits(b, a, k) for a, b in zip(u, v, strict=True)])),
                "that is A(v, u). Take the best position by u, and its rank by v.",
            ),
            "ties-half": (
                (lucky + unlucky) / 2,
                "ties count as one half. How probable is it to be among the top k?",
            ),
        }
        truth = float(np.mean([_fair_hits(a, b, k) for a, b in zip(u, v, strict=True)]))
        expect(numbers(f(u, v, 0.4)), truth, case, mistakes)


def _first_above(curve: Sequence[float], level: float) -> int | None:
    return next((i for i, value in enumerate(curve) if value > level), None)


# Level, agreement of each run at each checkpoint, accuracy of each run: three runs, four of them.
_RUNS = [[0.1, 0.5, 0.2, 0.8], [0.1, 0.2, 0.6, 0.7], [0.2, 0.2, 0.4, 0.9]]
_DONE = [[0.2, 0.45, 0.7, 0.8], [0.1, 0.5, 0.6, 0.9], [0.3, 0.3, 0.8, 0.7]]


def _xi(f: Student) -> None:
    for level in (0.35, 0.45):
        passed = next(i for i in range(4) if sum(run[i] for run in _RUNS) / 3 > level)
        single = [_first_above(run, level) for run in _RUNS]
        alone = [done[i] for done, i in zip(_DONE, single, strict=True) if i is not None]
        each = float(np.mean(alone))
        mistakes: Mistakes = {
            "not-averaged": (
                each,
                "the crossing is looked for in each run. Average the curves first.",
            ),
            "one-run": (alone[0], "one run only is used. Average over all of them."),
            "agreement": (
                sum(run[passed] for run in _RUNS) / 3,
                "that is the agreement at the crossing. xi is the performance there.",
            ),
            "best-performance": (
                float(np.max(np.mean(_DONE, axis=0))),
                "that is the best performance of all, xi*. Take the one at the crossing.",
            ),
            "checkpoint": (passed, "that is the index of the checkpoint, not the performance."),
        }
        truth = sum(done[passed] for done in _DONE) / 3
        found = numbers(f(level, np.array(_RUNS), np.array(_DONE)))
        expect(found, truth, f"a level of {level}", mistakes)
    level, curve = 0.5, np.array([[0.25, 0.5, 0.75]])
    if np.isclose(numbers(f(level, curve, curve)), 0.5):
        raise Wrong("not-strict", "The curve has to exceed the level. Equal is not above.")
    never = numbers(f(2.0, np.array(_RUNS), np.array(_DONE)), finite=False)
    if not np.isnan(never):
        raise Wrong(
            "never",
            "The curve never exceeds this level. Return `math.nan` for never: a number would be "
            "averaged into tables as if it were measured. (`argmax` of nothing but False is 0.)",
        )


EXERCISES = {
    "4.1": Exercise(
        "Agreement by hand",
        _by_hand,
        "ceil(0.05 * 30) = 2. Where is the largest u, and how many positions have more v?",
    ),
    "4.2": Exercise(
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
                "d": (
                    "sharper-is-better",
                    "Sharp so early, it cannot know yet where to look. Which word gets it, and "
                    "what can be learned from one word alone?",
                ),
            }
        ),
        "Divide all scores by 16: what becomes of their softmax?",
    ),
    "4.4": Exercise(
        "A tighter xi",
        _xi,
        "Mean of the curves over runs, first checkpoint strictly above the level, mean performance "
        "there.",
        "xi(level, curves, performance)",
    ),
}

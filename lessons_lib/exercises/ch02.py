"""Checkers of chapter 2: the two-word classifier."""

from typing import Any

import numpy as np
from scipy.special import expit, lambertw

from lessons_lib.exercises.contents import Array, Cases, Table, numbers, shares
from lessons_lib.exercises.judge import compared, exercise, refuse
from lessons_lib.theory import two_words


@exercise("2.2")
def _loud_enough(f: Any) -> None:
    def cost(b0: float, b1: float, p: float) -> float:
        return float(np.logaddexp(0, b0) + np.logaddexp(0, -(1 - p) * b0 - p * b1))

    for loss, p in ((0.1, 0.5), (0.01, 0.1), (1e-4, 0.02), (2.0, 0.9), (0.5, 0.999)):
        b0, b1 = map(float, numbers(f(loss, p), (2,)))
        room, positive, both = loss * (1 + 1e-6), (1 - p) * b0 + p * b1, cost(b0, b1, p)
        if both <= room:
            continue
        mistakes = {
            "swapped": cost(b1, b0, p) <= room,
            "share-swapped": cost(b0, b1, 1 - p) <= room and abs((1 - p) * b1 + p * b0 + b0) < 1e-2,
            "negative-text": b0 >= 0,
            "too-quiet": positive <= 0,
            "each-text": both <= 2 * room,
            "word-alone": cost(b0, -b0, p) <= room,
            "too-large": True,
        }
        about = f"For a loss of {loss} with p = {p}: "
        refuse("2.2", about, mistakes, b0=b0, positive=positive, both=both)


@compared("2.3", tolerance=1e-6)
def _lowest_attention(d: Any) -> Table:
    def lead(kept: float) -> float:
        """Where ``a + e^a`` is what is kept."""
        return kept - float(lambertw(np.exp(kept)).real)

    kept = 1 - d**2 / 4
    return expit(lead(kept)), {
        "lead": lead(kept),
        "approximation": np.exp(kept),
        "approximation-as-lead": expit(kept),
        "half": expit(lead(1 - d**2 / 2)),
        "quarter": expit(lead(1 - d**2 / 8)),
        "linear": expit(kept - 1),
        "at-the-start": expit(-d),
        "no-square": expit(lead(1 - d / 4)),
        "upper-root": expit(lead(1 + d**2 / 4)),
    }


def _texts() -> Cases:
    rng = np.random.default_rng(2006)
    alpha, beta = np.exp(rng.normal(size=(3, 5))), rng.normal(size=(3, 5))
    return {"3 texts of 5 words": (shares(alpha), beta)}


@compared("2.4", _texts, tensors=True)
def _gradient_law(a: Array, b: Array) -> Table:
    mean = (a * b).sum(1, keepdims=True)
    return two_words.gradient_law_logit(a, b), {
        "no-baseline": a * b,
        "plain-mean": a * (b - b.mean(1, keepdims=True)),
        "plain-sum": a * (b - b.sum(1, keepdims=True)),
        "no-alpha": b - mean,
        "wrong-axis": a * (b - (a * b).sum(0)),
        "whole-mean": a * (b - (a * b).sum()),
        "diagonal": a * (1 - a) * b,
        "squared": a**2 * (b - mean),
        "by-weight": b,
    }

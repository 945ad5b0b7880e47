"""Checkers of chapter 6: the hard distribution."""

import math
from typing import Any

import numpy as np

from lessons_lib.exercises.contents import Table, numbers
from lessons_lib.exercises.judge import compared, exercise, refuse
from lessons_lib.theory import phase_portrait


@compared("6.2")
def _cooccurrence_gap(v: int, n: int) -> Table:
    right, wrong = phase_portrait.cooccurrence(v, n)
    gap = right - wrong
    return gap, {
        "repetition": 1 - n / v,
        "all-places": 1 - n / (v - 1),
        "all-words": 1 - (n - 1) / v,
        "first-gradient": gap / v,
        "joint": gap * n / v,
        "share-spare": 1 / (v - n + 1),
        "ratio": lambda: 1 / wrong,
    }


@compared("6.4")
def _sentence_probability(length: int) -> Table:
    n, orders = float(length), math.factorial(length)
    return n**-n, {
        "one-word": 1 / n,
        "log-of-a-word": -math.log(n),
        "orders": 1 / orders,
        "certain": 1,
        "one-word-less": n ** (1 - n),
        "perplexity": n,
        "last-is-certain": n / orders,
    }


@exercise("6.5")
def _elimination_attention(f: Any) -> None:
    for n in (5, 3, 2):
        alpha, off = numbers(f(n), (n, n)), 1 - np.eye(n)
        if np.allclose(alpha, off / (n - 1), rtol=0, atol=1e-4 / (n - 1)):
            continue
        own, others = alpha.diagonal(), alpha[off > 0].reshape(n, -1)
        mistakes = {
            "negative": (alpha < 0).any(),
            "no-shares": (abs(alpha.sum(1) - 1) > 1e-6).any(),
            "aligned": (own > others.max(1)).all(),
            "causal": not np.triu(alpha, 1).any(),
            "to-come": not np.tril(alpha, -1).any(),
            "uniform": np.ptp(alpha) < 1e-6,
            "no-choice": not (own < others.min(1)).all(),
            "still-looks": (own > 1e-6).any(),
            "uneven": True,
        }
        refuse("6.5", f"For L = {n}: ", mistakes)


@exercise("6.6")
def _against_attention(answer: object) -> None:
    starts = numbers(answer, (2, 2))
    for (a, b), side, branch in zip(starts, (-1, 1), ("alignment", "elimination"), strict=True):
        case = f"The start a = {a:.4g}, b = {b:.4g}"
        mistakes = {
            "too-far": max(abs(a), abs(b)) > 3,
            "too-near": abs(a) < 0.1 - 1e-9,
            "start": side * a < 0,
        }
        refuse("6.6", case, mistakes, range="<= -0.1" if side < 0 else ">= 0.1")
        flow = phase_portrait.symmetric_flow(float(a), float(b), 10, 10, np.linspace(0, 4000, 41))
        p = flow.right_attention[-1]
        if p > 0.5 if branch == "alignment" else p < 0.1 - 1e-3:
            continue
        mistakes = {
            "no-words": abs(b) < 1e-9,
            "same-sign": b * side > 0,
            "other-branch": abs(b) < abs(a),
            "beyond-the-rule": True,
        }
        refuse("6.6", f"{case} does not lead to {branch}, but to p = {p:.3g}. ", mistakes)


@compared("6.7", tolerance=2e-3)
def _saddle_velocity(a: Any, b: Any, n: int) -> Table:
    pair = np.array([b, a])
    return phase_portrait.symmetric_velocity(a, b, n, n), {
        "whole-derivative": pair * (n - 1) / n**2,
        "one-entry": pair * (n - 1) / n**3,
        "one-sign": np.array([b, -a]) / n**2,
        "by-length": pair / n,
        "no-factor": pair,
        "length-less-one": pair / (n - 1) ** 2,
        "one-less": pair / (n * (n - 1)),
        "loss": a * b / n**2,
    }

"""Checkers of chapter 2: the two-word classifier."""

import math
from typing import Any

import numpy as np
import torch
from scipy.integrate import solve_ivp
from scipy.special import expit

from lessons_lib.exercises.contents import Array, Cases, Table, numbers, shares
from lessons_lib.exercises.judge import compared, exercise, refuse


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


def _lowest_lead(d: float, speed: float = 0.5) -> float:
    """Lead of attention at ``d = 0`` from ``(-d, 0)``, step by step, with ``da/dd`` as given."""

    def slope(x: float, a: Array) -> Array:
        return np.asarray(speed * x / (1 + np.exp(a)))

    return float(solve_ivp(slope, (-d, 0), [0.0], rtol=1e-10, atol=1e-12).y[0, -1])


@compared("2.3", tolerance=1e-6)
def _lowest_attention(d: Any) -> Table:
    lead = _lowest_lead(d)
    return expit(lead), {
        "lead": lead,
        "approximation": np.exp(1 - d**2 / 4),
        "approximation-as-lead": expit(1 - d**2 / 4),
        "half": lambda: expit(_lowest_lead(d, 1.0)),
        "quarter": lambda: expit(_lowest_lead(d, 0.25)),
        "linear": expit(-(d**2) / 4),
        "at-the-start": expit(-d),
        "no-square": lambda: expit(_lowest_lead(math.sqrt(d))),
        "upper-root": lambda: expit(_lowest_lead(d, -0.5)),
    }


def _texts() -> Cases:
    rng = np.random.default_rng(2006)
    alpha, beta = np.exp(rng.normal(size=(3, 5))), rng.normal(size=(3, 5))
    return {"3 texts of 5 words": (shares(alpha), beta)}


@compared("2.4", _texts, tensors=True)
def _gradient_law(a: Array, b: Array) -> Table:
    free = torch.tensor(np.log(a), requires_grad=True)
    (found,) = torch.autograd.grad((free.softmax(-1) * torch.tensor(b)).sum(), free)
    right, mean = found.numpy(), (a * b).sum(1, keepdims=True)
    return right, {
        "no-baseline": a * b,
        "plain-mean": a * (b - b.mean(1, keepdims=True)),
        "plain-sum": a * (b - b.sum(1, keepdims=True)),
        "no-alpha": b - mean,
        "wrong-axis": a * (b - (a * b).sum(0)),
        "whole-mean": a * (b - (a * b).sum()),
        "diagonal": a * (1 - a) * b,
        "squared": a**2 * (b - mean),
        "by-weight": b,
        "mean-only": mean,
    }

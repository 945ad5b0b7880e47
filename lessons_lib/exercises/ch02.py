"""Checkers of chapter 2: the two-word classifier."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from scipy.integrate import solve_ivp
from scipy.special import expit

from lessons_lib.exercises.sandbox import Student

# isort: off
# fmt: off
from lessons_lib.exercises.judge import (
    Array, Cases, Table, choice, compared, exercise, named, numbers, refuse)


choice("2.1", "The other mistake",
    "`two_words.flow(times, 0, 0, math.log(0.05 / 0.95))`, and the same with 0.01.",
    a=("falls-first", "Attention moves in the direction of the sign of d, and d rises from 0."),
    c=("exponential", "Exponential is the price of wrong words. Here d grows at the speed 2p from "
        "the first moment, and it only has to reach a few units."),
    d=("no-price", "Words are learned in proportion to attention, so little attention costs time."))


@exercise("2.2", "As small a loss as you like",
    "Choose both scores first, -K and K, then solve for b1. How large must K be for the loss?",
    "loud_enough(loss, p)")
def _loud_enough(f: Student) -> None:
    def cost(b0: float, b1: float, p: float) -> float:
        return float(np.logaddexp(0, b0) + np.logaddexp(0, -(1 - p) * b0 - p * b1))

    for loss, p in ((0.1, 0.5), (0.01, 0.1), (1e-4, 0.02), (2.0, 0.9), (0.5, 0.999)):
        b0, b1 = map(float, numbers(f(loss, p), (2,)))
        room, positive, both = loss * (1 + 1e-6), (1 - p) * b0 + p * b1, cost(b0, b1, p)
        if both <= room:
            continue
        refuse(f"For a loss of {loss} with p = {p}: ",
            (cost(b1, b0, p) <= room, "swapped", "the other way round: first b0, then b1."),
            (cost(b0, b1, 1 - p) <= room and abs((1 - p) * b1 + p * b0 + b0) < 1e-2,
                "share-swapped", "p is the attention on word 1. Here word 0 seems to have it."),
            (b0 >= 0, "negative-text", f"b0 = {b0:.4g} makes the negative text positive. It "
                "consists of word 0 alone."),
            (positive <= 0, "too-quiet", f"the positive text scores {positive:.4g}. Word 1 is "
                "heard with a share p only, and has to outvote word 0."),
            (both <= 2 * room, "each-text",
                f"the loss of both texts together is {both:.4g}. Does each alone take all?"),
            (cost(b0, -b0, p) <= room, "word-alone",
                f"s0 is fine, but s1 = {positive:.4g} is not: solve (1 - p) b0 + p b1 = K for b1."),
            (True, "too-large", f"the loss of both texts is {both:.4g}."))


def _lowest_lead(d: float, speed: float = 0.5) -> float:
    """Lead of attention at ``d = 0`` from ``(-d, 0)``, step by step, with ``da/dd`` as given."""

    def slope(x: float, a: Array) -> Array:
        return np.asarray(speed * x / (1 + np.exp(a)))

    return float(solve_ivp(slope, (-d, 0), [0.0], rtol=1e-10, atol=1e-12).y[0, -1])


@exercise("2.3", "What is kept",
    "At the turning point d = 0. Compare what is conserved there with the start, and solve for "
    "a with `scipy.optimize.brentq` or Lambert's W.",
    "lowest_attention(D)")
@compared(named("D = {}", (0.5,), (2.0,), (5.0,), (8.0,)), tolerance=1e-6)
def _lowest_attention(d: Any) -> Table:
    lead = _lowest_lead(d)
    return expit(lead), {
        "lead": (lead, "that is the lead a. Asked for is p, between 0 and 1."),
        "approximation": (np.exp(1 - d**2 / 4),
            "that is the approximation for large D. It leaves e^a out."),
        "approximation-as-lead": (expit(1 - d**2 / 4),
            "a = 1 - D^2/4 holds for large D only. It leaves e^a out."),
        "half": (lambda: expit(_lowest_lead(d, 1.0)),
            "it looks as if a + e^a - d^2/2 were conserved. Both words move, so d' is 2p."),
        "quarter": (lambda: expit(_lowest_lead(d, 0.25)),
            "it looks as if d^2/8 were conserved. That is the exponent with a loss that "
            "saturates."),
        "linear": (expit(-d**2 / 4), "the e^a of the law is left out."),
        "at-the-start": (expit(-d), "that is no turning point. There d = 0."),
        "no-square": (lambda: expit(_lowest_lead(math.sqrt(d))), "D has to be squared."),
        "wrong-word": (expit(-lead),
            "that is attention on word 0. Asked for is the one on word 1."),
        "upper-root": (lambda: expit(_lowest_lead(d, -0.5)), "a rises here. From d = -D it falls."),
    }


def _texts() -> Cases:
    rng = np.random.default_rng(2006)
    alpha, beta = np.exp(rng.normal(size=(3, 5))), rng.normal(size=(3, 5))
    return {"3 texts of 5 words": (alpha / alpha.sum(1, keepdims=True), beta)}


@exercise("2.4", "The gradient law in the classifier", "Each row of the result sums to 0.",
    "gradient_law(alpha, beta)")
@compared(_texts, tensors=True)
def _gradient_law(a: Array, b: Array) -> Table:
    free = torch.tensor(np.log(a), requires_grad=True)
    (found,) = torch.autograd.grad((free.softmax(-1) * torch.tensor(b)).sum(), free)
    right, mean = found.numpy(), (a * b).sum(1, keepdims=True)
    return right, {
        "no-baseline": (a * b,
            "the mean under attention is not subtracted. More for one position is less for "
            "others."),
        "plain-mean": (a * (b - b.mean(1, keepdims=True)),
            "the plain mean of beta is subtracted. Weigh it with alpha."),
        "plain-sum": (a * (b - b.sum(1, keepdims=True)),
            "the plain sum of beta is subtracted. Weigh it with alpha."),
        "no-alpha": (b - mean,
            "the factor alpha is missing: a position without attention cannot gain any."),
        "sign": (-right, "the sign is that of going downhill in the score."),
        "wrong-axis": (a * (b - (a * b).sum(0)),
            "the mean is taken over the texts. Take it over the positions of each text."),
        "whole-mean": (a * (b - (a * b).sum()), "the mean is taken over all texts."),
        "diagonal": (a * (1 - a) * b,
            "that is what its own beta does to a position. The others lose what it gains."),
        "squared": (a**2 * (b - mean), "alpha is once too often a factor."),
        "by-weight": (b, "that is the derivative by the weight, not its logit."),
        "mean-only": (mean, "that is the score itself."),
    }

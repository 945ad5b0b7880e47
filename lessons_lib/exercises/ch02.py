"""Checkers of chapter 2: the two-word classifier."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.integrate import solve_ivp

from lessons_lib.exercises.judge import Array, Exercise, choice, expect, numbers
from lessons_lib.exercises.sandbox import Student, Wrong


def _lowest_lead(d: float, speed: float) -> float:
    """Lead of attention at ``d = 0`` from ``(-d, 0)``, step by step, with ``da/dd`` as given."""

    def slope(x: float, a: Array) -> Array:
        return np.asarray(speed * x / (1 + np.exp(a)))

    return float(solve_ivp(slope, (-d, 0), [0.0], rtol=1e-10, atol=1e-12).y[0, -1])


def _lowest_attention(f: Student) -> None:
    for d in (0.5, 2.0, 5.0):
        found, lead = numbers(f(d)), _lowest_lead(d, speed=0.5)
        other = _lowest_lead(d, speed=1.0)
        mistakes = {
            "lead": (lead, "that is the lead a. Asked for is p, between 0 and 1."),
            "approximation": (
                math.exp(1 - d**2 / 4),
                "that is the approximation for large D. It leaves e^a out.",
            ),
            "half": (
                1 / (1 + math.exp(-other)),
                "it looks as if a + e^a - d^2/2 were conserved. Both words move, so d' is 2p.",
            ),
            "wrong-word": (
                1 / (1 + math.exp(lead)),
                "that is attention on word 0. Asked for is the one on word 1.",
            ),
        }
        expect(found, 1 / (1 + math.exp(-lead)), f"D = {d}", mistakes, tolerance=1e-6)


def _gradient_law(f: Student) -> None:
    rng = np.random.default_rng(2006)
    logits = torch.tensor(rng.normal(size=(3, 5)), requires_grad=True)
    beta = torch.tensor(rng.normal(size=(3, 5)))
    alpha = logits.softmax(-1)
    (truth,) = torch.autograd.grad((alpha * beta).sum(), logits)
    weights, probe = alpha.detach().numpy(), beta.numpy()
    average = (weights * probe).sum(1, keepdims=True)
    mistakes = {
        "no-baseline": (
            weights * probe,
            "the mean under attention is not subtracted. More for one position is less for others.",
        ),
        "plain-mean": (
            weights * (probe - probe.mean(1, keepdims=True)),
            "the plain mean of beta is subtracted. Weigh it with alpha.",
        ),
        "no-alpha": (
            probe - average,
            "the factor alpha is missing: a position without attention cannot gain any.",
        ),
        "sign": (-truth.numpy(), "the sign is that of going downhill in the score."),
        "wrong-axis": (
            weights * (probe - (weights * probe).sum(0)),
            "the mean is taken over the texts. Take it over the positions of each text.",
        ),
    }
    found = numbers(f(alpha.detach(), beta), (3, 5))
    expect(found, truth.numpy(), "3 texts of 5 words", mistakes)


def _loud_enough(f: Student) -> None:
    for loss, p in ((0.1, 0.5), (0.01, 0.1), (1e-4, 0.02)):
        b0, b1 = numbers(f(loss, p), (2,))
        negative, positive = b0, (1 - p) * b0 + p * b1
        found = np.logaddexp(0, negative) + np.logaddexp(0, -positive)
        case = f"a loss of {loss} with p = {p}"
        if found <= loss:
            continue
        if b0 >= 0:
            raise Wrong(
                "negative-text",
                f"For {case}: b0 = {b0:.4g} makes the negative text look positive. It consists of "
                "word 0 alone.",
            )
        if positive <= 0:
            raise Wrong(
                "too-quiet",
                f"For {case}: the positive text scores {positive:.4g}. Word 1 is heard with a "
                "share p only, and has to outvote word 0.",
            )
        raise Wrong("too-large", f"For {case}: the loss of both texts is {found:.4g}.")


EXERCISES = {
    "2.1": Exercise(
        "The other mistake",
        choice(
            {
                "a": (
                    "falls-first",
                    "Attention moves in the direction of the sign of d, and d rises from 0.",
                ),
                "c": (
                    "exponential",
                    "Exponential is the price of wrong words. Here d grows at the speed 2p from "
                    "the first moment, and it only has to reach a few units.",
                ),
                "d": (
                    "no-price",
                    "Words are learned in proportion to attention, so little attention costs time.",
                ),
            }
        ),
        "`two_words.flow(times, 0, 0, math.log(0.05 / 0.95))`, and the same with 0.01.",
    ),
    "2.2": Exercise(
        "As small a loss as you like",
        _loud_enough,
        "Choose both scores first, -K and K, then solve for b1. How large must K be for the loss?",
        "loud_enough(loss, p)",
    ),
    "2.3": Exercise(
        "What is kept",
        _lowest_attention,
        "At the turning point d = 0. Compare what is conserved there with the start, and solve for "
        "a with `scipy.optimize.brentq` or Lambert's W.",
        "lowest_attention(D)",
    ),
    "2.4": Exercise(
        "The gradient law in the classifier",
        _gradient_law,
        "Each row of the result sums to 0.",
        "gradient_law(alpha, beta)",
    ),
}

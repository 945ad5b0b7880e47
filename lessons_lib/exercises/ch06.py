"""Checkers of chapter 6: the hard distribution."""

import itertools
import math
from typing import Any

import numpy as np
import torch

from lessons_lib.exercises.contents import Array, Table, Wrong, numbers, shares
from lessons_lib.exercises.judge import compare, compared, exercise, refuse
from lessons_lib.theory import phase_portrait


@compared("6.2")
def _cooccurrence_gap(v: int, n: int) -> Table:
    inputs = itertools.combinations(range(v), n)
    wrong = np.mean([1 in words for words in inputs if 0 in words])
    return 1 - wrong, {
        "repetition": 1 - n / v,
        "all-places": 1 - n / (v - 1),
        "all-words": 1 - (n - 1) / v,
        "first-gradient": (1 - wrong) / v,
        "joint": (1 - wrong) * n / v,
        "spare-words": v - n,
        "share-spare": 1 / (v - n + 1),
        "ratio": 1 / wrong,
        "two-places": 1 - (n - 2) / (v - 2),
        "one-spare": 1 / n,
    }


@compared("6.4")
def _sentence_probability(length: int) -> Table:
    # A random mixture of permutations: doubly stochastic, and neither uniform nor certain.
    rng, n = np.random.default_rng(6000 + length), float(length)
    table = sum(s * np.eye(length)[rng.permutation(length)] for s in rng.dirichlet(np.ones(4)))
    words, log = rng.permutation(length), math.log(n)
    return math.prod(float(np.mean([table[i, o] for i in words])) for o in words), {
        "one-word": 1 / n,
        "log-of-a-word": -log,
        "orders": 1 / math.factorial(length),
        "certain": 1,
        "two-words": 1 / n**2,
        "one-word-less": n ** (1 - n),
        "perplexity": n,
        "last-is-certain": n / math.factorial(length),
        "two-ways": 2.0**-n,
    }


@exercise("6.5")
def _elimination_attention(f: Any) -> None:
    try:
        compare("6.5", f, _elimination, tolerance=1e-4)
    except Wrong as wrong:
        unnamed = {"complement", "sign", "rows-to-one", "columns-to-one", "transposed", "centred"}
        if wrong.key in unnamed | {"value", "factor", "constant"}:
            _properties(numbers(f(5), (5, 5)))
        raise


def _elimination(n: int) -> Table:
    eye, ones = np.eye(n), np.ones((n, n))
    off = 1 - eye
    after, before = np.triu(ones, 1), np.tril(ones, -1)
    return off / (n - 1), {
        "aligned": eye,
        "causal": shares(np.tril(ones)),
        "causal-strict": before / np.maximum(before.sum(1, keepdims=True), 1),
        "to-come": after / np.maximum(after.sum(1, keepdims=True), 1),
        "to-come-and-this": shares(np.triu(ones)),
        "uniform": ones / n,
        "neighbour": np.roll(eye, 1, 1),
        "previous": np.roll(eye, -1, 1),
        "no-shares": off,
        "by-length": off / n,
        "negative": 2 * off / (n - 1) - eye,
    }


def _properties(alpha: Array) -> None:
    """What is wrong with weights that no known mistake gives."""
    own, others = alpha.diagonal(), alpha[~np.eye(len(alpha), dtype=bool)].reshape(len(alpha), -1)
    wrong_rows = [(row, total) for row, total in enumerate(alpha.sum(1)) if abs(total - 1) > 1e-6]
    row, total = (*wrong_rows, (0, 1.0))[0]
    mistakes = {
        "negative": (alpha < 0).any(),
        "no-shares": wrong_rows,
        "aligned": (own > others.max(1)).all(),
        "no-choice": not (own < others.min(1)).all(),
        "still-looks": (own > 1e-6).any(),
        "uneven": True,
    }
    refuse("6.5, properties", "", mistakes, row=row, total=total)


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
    right = -leads_gradient(n, np.array([[a], [b]]))[:, 0] / (n - 1)
    pair = np.array([b, a])
    return right, {
        "whole-derivative": pair * (n - 1) / n**2,
        "one-entry": pair * (n - 1) / n**3,
        "one-sign": np.array([b, -a]) / n**2,
        "other-sign": np.array([-b, a]) / n**2,
        "by-length": pair / n,
        "no-factor": pair,
        "length-less-one": pair / (n - 1) ** 2,
        "one-less": pair / (n * (n - 1)),
        "loss": a * b / n**2,
        "twice": 2 * pair / n**2,
    }


def leads_gradient(length: int, leads: Array) -> Array:
    """Derivatives of the reduced model's loss by each head's leads a and b, ``(2, heads)``.

    The loss is the mean over all permutations; by autograd.
    """
    free, eye = torch.tensor(leads, requires_grad=True), torch.eye(length, dtype=torch.float64)
    losses = []
    for order in map(list, itertools.permutations(range(length))):
        spoken = [(a * eye).softmax(-1) @ (b * eye)[order] for a, b in free.T]
        log_p = torch.stack(spoken).mean(0).log_softmax(-1)
        losses.append(-log_p[range(length), order].mean())
    (found,) = torch.autograd.grad(torch.stack(losses).mean(), free)
    return np.asarray(found.numpy())

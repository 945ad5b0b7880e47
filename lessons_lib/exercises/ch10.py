"""Checkers of chapter 10: the floor, overlapping stages, two hops, elimination, and Adam."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.optimize import brentq

from lessons_lib.exercises.contents import Array, Cases, Table
from lessons_lib.exercises.judge import compared


@compared("10.1", tolerance=1e-3)
def _ceilings() -> Table:
    sizes = np.array([(12, 10), (20, 10), (12, 12)])
    # Whoever knows the other words of an input guesses among those that would complete it.
    left = np.array([len(set(range(vocab)) - set(range(length - 1))) for vocab, length in sizes])
    vocab, length = sizes.T
    return 1 / left, {
        "spare-words": 1 / np.maximum(vocab - length, 1),
        "two-missing": (1 / 4, 1 / 12, 1 / 2),
        "any-word": 1 / vocab,
        "input-words": 1 / length,
        "old-words-only": (1 / 3, 1 / 11, 1 / 3),
        "last-any": (1 / 3, 1 / 11, 1 / 12),
        "last-none": (1 / 3, 1 / 11, 0),
        "share": (10 / 12, 10 / 20, 1),
        "always": (1, 1, 1),
    }


@compared("10.3", tolerance=1e-6)
def _half_rise(x: Array, y: Array) -> Table:
    def at(level: float, which: int = 0) -> float:
        """Where the curve first, or last, comes up to a level: bisection between evaluations."""
        rises = [i for i in range(1, len(y)) if y[i - 1] < level <= y[i]]
        if not rises:
            return math.nan
        low, high = rises[which] - 1, rises[which]
        inside = x[low : high + 1], y[low : high + 1]
        return float(brentq(lambda t: np.interp(t, *inside) - level, x[low], x[high]))

    level = float(y[0] + y[-1]) / 2
    k = int((y >= level).argmax())
    return at(level), {
        "of-the-end": at(y[-1] / 2),
        "of-the-rise": at((y[-1] - y[0]) / 2),
        "one-half": at(0.5),
        "of-the-largest": at((y[0] + y.max()) / 2),
        "of-the-range": at((y.min() + y.max()) / 2),
        "from-the-smallest": at((y.min() + y[-1]) / 2),
        "mean": at(y.mean()),
        "median": at(float(np.median(y))),
        "not-between": x[k],
        "before": x[k - 1],
        "middle": (x[k - 1] + x[k]) / 2,
        "nearest": x[abs(y - level).argmin()],
        "half-time": (x[0] + x[-1]) / 2,
        "last-crossing": at(level, -1),
        "index": k,
    }


def _two_hops() -> Cases:
    rng = np.random.default_rng(8006)

    def rows(*shape: int) -> Array:
        return np.asarray(rng.dirichlet(np.ones(shape[-1]), size=shape[:-1]))

    moves = np.eye(4)[None, [2, 0, 3, 1]]  # each position looks at one word
    return {
        "three sentences, share 0.2": (rows(3, 7, 5), rows(3, 5, 5), 0.2),
        "moved words, share 0.3": (rows(1, 4, 4), moves, 0.3),
        "moved words, share 0": (rows(1, 4, 4), moves, 0.0),
        "two sentences, share 1": (rows(2, 3, 4), rows(2, 4, 4), 1.0),
    }


@compared("10.5", _two_hops, tensors=True)
def _with_residual(c: Array, w: Array, s: Any) -> Table:
    def hops(within: Array) -> Array:
        return np.asarray(np.einsum("btl,blm->btm", c, within))

    def mix(second: Array, share: Any = s) -> Array:
        return np.asarray(share * c + (1 - share) * second)

    both = hops(w)
    one_shape = c.shape == w.shape  # where both maps have not, some mistakes do not run
    return mix(both), {
        "transposed": mix(hops(w.transpose(0, 2, 1))),
        "one-hop": c,
        "no-residual": both,
        "swapped": mix(both, 1 - s),
        "added": s * c + both,
        "identity-whole": c + (1 - s) * both,
        "both-whole": c + both,
        "half": mix(both, 0.5),
        "identity-lost": (1 - s) * both,
        "encoder-lost": s * c,
        "ones": s + (1 - s) * both,
        "other-sentence": mix(hops(np.broadcast_to(w[:1], w.shape))),
        "wrong-order": mix(w @ c if one_shape else both),
        "entry-by-entry": mix(c * w if one_shape else both),
    }


@compared("10.6", tolerance=1e-6)
def _lead_needed(x: Any, n: int) -> Table:
    def lead(attention: Array, loss: float = x) -> float:
        """The b at which the reduced model with the table b I has this loss, by bisection."""
        sign = 1 if attention[0] > attention[1] else -1

        def too_large(b: float) -> float:
            return float(np.log(np.exp(sign * b * (attention - attention[0])).sum()) - loss)

        return sign * float(brentq(too_large, -50, 700, xtol=1e-12))

    def needed(loss: float = x) -> float:
        return lead((1 - np.eye(n)[0]) / (n - 1), loss)

    log, expm1, aligned = np.log, np.expm1, lead(np.eye(n)[0])
    return needed(), {
        "aligned": aligned,
        "attended-in-full": -aligned,
        "shared-among-all": needed() * n / (n - 1),
        "no-minus-one": (n - 1) * log(np.exp(x) / (n - 1)),
        "small-loss": (n - 1) * log(x / (n - 1)),
        "all-words": (n - 1) * log(expm1(x) / n),
        "length": n * log(expm1(x) / n),
        "one-rival": (n - 1) * log(expm1(x)),
        "of-a-sentence": needed(x / n),
        "whole-sentence": needed(x * n),
        "bits": needed(x * log(2)),
        "probability": (n - 1) * log((1 / x - 1) / (n - 1)) if x < 1 else -1,
    }


def _adam(gradients: Array, rate: float) -> Array:
    """The way that PyTorch's Adam goes with these gradients."""
    x = torch.zeros(gradients.shape[1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([x], lr=rate)
    for g in gradients:
        x.grad = torch.tensor(g)
        optimizer.step()
    return x.detach().numpy()


def _gradients() -> Cases:
    rng = np.random.default_rng(8007)
    growing = np.geomspace(0.01, 30, 40)[:, None] ** np.array([1, -1, 0, 1])
    noise = rng.normal(size=(40, 4)) + 0.3
    return {
        "one step": (np.array([[1e-4, -3.0, 0.02, 1e-8]]), 0.01),
        "forty steps": (noise * growing * np.array([1, 1, 1e-3, 1e-8]), 0.01),
        "five steps": (noise[:5, :3] * np.array([1e-3, 1.0, 30.0]), 0.1),
    }


@compared("10.7", _gradients, tensors=True)
def _adam_way(gradients: Array, rate: Any) -> Table:
    def like(
        first: float = 0.9,
        second: float = 0.999,
        fix: str = "mv",
        late: int = 0,
        size: Callable[[Array], Array] = lambda v: np.sqrt(v) + 1e-8,
    ) -> Array:
        """Adam with something changed: its means, which are corrected, and what it divides by."""
        m = v = x = np.zeros(gradients.shape[1])
        for t, g in enumerate(gradients, start=1 + late):
            m, v = first * m + (1 - first) * g, second * v + (1 - second) * g**2
            a = m / (1 - first**t) if "m" in fix else m
            x = x - rate * a / size(v / (1 - second**t) if "v" in fix else v)
        return np.asarray(x)

    right, before = _adam(gradients, rate), _adam(gradients[:-1], rate)
    return right, {
        "gradient-descent": -rate * gradients.sum(0),
        "signs-only": -rate * np.sign(gradients).sum(0),
        "no-correction": like(fix=""),
        "no-first-correction": like(fix="v"),
        "no-second-correction": like(fix="m"),
        "second-99": like(second=0.99),
        "second-9": like(second=0.9),
        "first-99": like(first=0.99),
        "first-999": like(first=0.999, second=0.9),
        "no-mean": like(first=0.0),
        "small-inside": like(size=lambda v: np.sqrt(v + 1e-8) + 1e-30),
        "no-small": like(size=lambda v: np.sqrt(v) + 1e-30),
        "late": like(late=1),
        "no-root": like(size=lambda v: v + 1e-8),
        "last-step": right - before,
        "no-rate": right / rate,
    }

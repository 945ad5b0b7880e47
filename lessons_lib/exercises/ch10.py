"""Checkers of chapter 10: the floor, overlapping stages, two hops, elimination, and Adam."""

import math
from typing import Any

import numpy as np
from scipy.optimize import brentq

from lessons_lib.exercises.contents import Array, Cases, Table
from lessons_lib.exercises.judge import compared


@compared("10.1", tolerance=1e-3)
def _ceilings() -> Table:
    vocab, length = np.array([12, 20, 12]), np.array([10, 10, 12])
    # Whoever knows the other words of an input guesses among those that would complete it.
    return 1 / (vocab - length + 1), {
        "spare-words": 1 / np.maximum(vocab - length, 1),
        "two-missing": 1 / (vocab - length + 2),
        "any-word": 1 / vocab,
        "input-words": 1 / length,
        "old-words-only": (1 / 3, 1 / 11, 1 / 3),
        "always": (1, 1, 1),
    }


@compared("10.3", tolerance=1e-6)
def _half_rise(x: Array, y: Array) -> Table:
    def at(level: float, which: int = 0) -> float:
        """Where the curve first, or last, comes up to a level; NaN if it never does."""
        rises = np.flatnonzero((y[:-1] < level) & (level <= y[1:]))
        if not rises.size:
            return math.nan
        around = slice(rises[which], rises[which] + 2)
        return float(np.interp(level, y[around], x[around]))

    level = float(y[0] + y[-1]) / 2
    k = int((y >= level).argmax())
    return at(level), {
        "of-the-end": at(y[-1] / 2),
        "of-the-rise": at((y[-1] - y[0]) / 2),
        "one-half": at(0.5),
        "of-the-largest": at((y[0] + y.max()) / 2),
        "from-the-smallest": at((y.min() + y[-1]) / 2),
        "not-between": x[k],
        "before": x[k - 1],
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
    def mix(second: Array, share: Any = s) -> Array:
        return np.asarray(share * c + (1 - share) * second)

    both = c @ w
    one_shape = c.shape == w.shape  # where both maps have not, some mistakes do not run
    return mix(both), {
        "transposed": mix(c @ w.transpose(0, 2, 1)),
        "one-hop": c,
        "no-residual": both,
        "swapped": mix(both, 1 - s),
        "added": s * c + both,
        "identity-whole": c + (1 - s) * both,
        "half": mix(both, 0.5),
        "ones": s + (1 - s) * both,
        "wrong-order": mix(w @ c if one_shape else both),
        "entry-by-entry": mix(c * w if one_shape else both),
    }


@compared("10.6", tolerance=1e-6)
def _lead_needed(x: Any, n: int) -> Table:
    def lead(rival: float) -> float:
        """The b with this loss if n - 1 wrong words are ahead of the right one by rival times b."""
        return float(brentq(lambda b: np.log1p((n - 1) * np.exp(rival * b)) - x, -700, 700))

    log, expm1, aligned = np.log, np.expm1, lead(-1)
    return lead(1 / (n - 1)), {
        "aligned": aligned,
        "attended-in-full": -aligned,
        "shared-among-all": lead(1 / n),
        "no-minus-one": (n - 1) * log(np.exp(x) / (n - 1)),
        "small-loss": (n - 1) * log(x / (n - 1)),
        "all-words": (n - 1) * log(expm1(x) / n),
        "one-rival": (n - 1) * log(expm1(x)),
    }


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
    def steps(
        square: float = 0.999, late: int = 0, root: float = 0.5, corrected: tuple[int, int] = (1, 1)
    ) -> Array:
        """Adam's, with its second mean, its count, its root or its two corrections changed."""
        m = v = np.zeros(gradients.shape[1])
        found = []
        for t, g in enumerate(gradients, start=1 + late):
            m, v = 0.9 * m + 0.1 * g, square * v + (1 - square) * g**2
            first, second = 1 - corrected[0] * 0.9**t, 1 - corrected[1] * square**t
            found.append(-rate * m / first / ((v / second) ** root + 1e-8))
        return np.array(found)

    return steps().sum(0), {
        "gradient-descent": -rate * gradients.sum(0),
        "signs-only": -rate * np.sign(gradients).sum(0),
        "no-correction": steps(corrected=(0, 0)).sum(0),
        "no-first-correction": steps(corrected=(0, 1)).sum(0),
        "no-second-correction": steps(corrected=(1, 0)).sum(0),
        "second-99": steps(square=0.99).sum(0),
        "late": steps(late=1).sum(0),
        "no-root": steps(root=1).sum(0),
        "last-step": steps()[-1],
    }

"""Checkers of chapter 8: the floor, overlapping stages, two hops, elimination, and Adam."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.optimize import brentq

# isort: off
# fmt: off
from lessons_lib.exercises.judge import (
    Array, Cases, Table, choice, compare, compared, exercise, named, numbers)


@exercise("10.1", "How high is the floor?",
    "How many words are left when all words of the input but one are known?")
def _ceilings(answer: object) -> None:
    sizes = np.array([(12, 10), (20, 10), (12, 12)])
    # Whoever knows the other words of an input guesses among those that would complete it.
    left = np.array([len(set(range(vocab)) - set(range(length - 1))) for vocab, length in sizes])
    vocab, length = sizes.T
    mistakes = {
        "spare-words": (1 / np.maximum(vocab - length, 1),
            "those are the spare words alone. The right word is one of those that are left."),
        "two-missing": ((1 / 4, 1 / 12, 1 / 2), "only one word of the input is not known."),
        "any-word": (1 / vocab,
            "that is a guess among all words. The other words of the input are known."),
        "input-words": (1 / length,
            "the words of the input but one are the ones that it can exclude."),
        "old-words-only": ((1 / 3, 1 / 11, 1 / 3),
            "for 12 of 12 it may learn to vote against the two new words as well. Then how many "
            "are left?"),
        "last-any": ((1 / 3, 1 / 11, 1 / 12), "on 12 of 12 only one word is left, not twelve."),
        "last-none": ((1 / 3, 1 / 11, 0), "elimination is a solution again on 12 of 12."),
        "share": ((10 / 12, 10 / 20, 1), "which of the words left over is it? All look the same."),
        "always": ((1, 1, 1), "spare words are not attended either. How many words are left?"),
        "never": ((0, 0, 0), "it may guess among the words that are left."),
        "counts": (left, "that is how many words are left. Asked is accuracy."),
        "nats": (np.log(left), "that is the loss in nats. Asked is the accuracy."),
        "percent": (100 / left, "hand in shares, not percent."),
        "errors": (1 - 1 / left, "that is the share of errors."),
    }
    found = numbers(answer, (3,))
    compare(lambda: found, {"the three cases": ()}, lambda: (1 / left, mistakes), tolerance=1e-3)


choice("10.2", "Which test tells them apart?",
    "Elimination needs each word to be there once. Does alignment in two hops?",
    a=("both-copy", "Both copy the inputs that they were trained on. What do they do with others?"),
    b=("both-look-away", "That it is small is what the two have in common. More training changes "
        "little about it."),
    d=("speed", "Speed depends on optimiser, size and luck. It does not say how a run copies."))


def _curves() -> Cases:
    """Steps and curves. At the level nothing is flat, so that the first moment is one point."""
    return {name: (np.array(x), np.array(y)) for name, x, y in (
        ("a straight rise", [0.0, 10.0, 20.0], [0.1, 0.5, 0.9]),
        ("a start above zero", [0.0, 10.0, 20.0, 40.0], [0.2, 0.3, 0.7, 0.8]),
        ("steps of different length", [0.0, 1.0, 5.0, 25.0, 100.0], [0.0, 0.1, 0.2, 0.9, 1.0]),
        ("a curve that wiggles", [0.0, 5.0, 10.0, 15.0, 20.0], [0.0, 0.6, 0.3, 0.8, 0.9]),
        ("a curve that falls at the end", [0.0, 4.0, 9.0, 15.0], [0.1, 0.2, 0.95, 0.7]),
        ("a curve that falls first", [0.0, 3.0, 8.0, 10.0], [0.3, 0.1, 0.4, 0.8]),
        ("a curve that begins late", [10.0, 30.0, 60.0], [0.1, 0.2, 0.7]),
        ("the level at an evaluation", [0.0, 8.0, 10.0, 30.0], [0.0, 0.25, 0.5, 1.0]),
    )}


@exercise("10.3", "Half-way up",
    "The level is the mean of the first and the last value. Interpolate where it is crossed.",
    "half_rise(steps, values)")
@compared(_curves, tolerance=1e-6)
def _half_rise(x: Array, y: Array) -> Table:
    def at(level: float, which: int = 0) -> float:
        """Where the curve first, or last, comes up to a level: bisection between evaluations."""
        rises = [i for i in range(1, len(y)) if y[i - 1] < level <= y[i]]
        if not rises:
            return math.nan
        low, high = rises[which] - 1, rises[which]
        inside = x[low : high + 1], y[low : high + 1]
        return float(x[high] if y[high] == level else
            brentq(lambda t: np.interp(t, *inside) - level, x[low], x[high]))

    level = float(y[0] + y[-1]) / 2
    k = int((y >= level).argmax())
    return at(level), {
        "of-the-end": (at(y[-1] / 2),
            "that is where half of the last value is reached. The curve does not begin at 0."),
        "of-the-rise": (at((y[-1] - y[0]) / 2),
            "half of the rise comes on top of the first value."),
        "one-half": (at(0.5), "half-way up is not the value 0.5."),
        "of-the-largest": (at((y[0] + y.max()) / 2),
            "the way ends at the last value, not at the largest."),
        "of-the-range": (at((y.min() + y.max()) / 2),
            "the way is from the first to the last value."),
        "from-the-smallest": (at((y.min() + y[-1]) / 2),
            "the way begins at the first value, not the smallest."),
        "mean": (at(y.mean()), "that is where the curve reaches its mean."),
        "median": (at(float(np.median(y))), "that is where the curve reaches its median."),
        "not-between": (x[k], "between two evaluations the curve is a straight line."),
        "before": (x[k - 1], "that is the evaluation before the crossing."),
        "middle": ((x[k - 1] + x[k]) / 2,
            "the crossing need not be in the middle between two evaluations."),
        "nearest": (x[abs(y - level).argmin()], "that is the nearest evaluation."),
        "half-time": ((x[0] + x[-1]) / 2, "half of the time is not half of the rise."),
        "interpolated-x": (np.interp(level, y, x), "`np.interp` needs values that only rise."),
        "last-crossing": (at(level, -1), "the curve was there before. Take the first time."),
        "index": (k, "that is an index, not a training step."),
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


@exercise("10.5", "How much does each way carry?",
    "A mixture of the identity and the encoder's map, with cross-attention on its left.",
    "with_residual(cross, within, share)")
@compared(_two_hops, tensors=True)
def _with_residual(c: Array, w: Array, s: Any) -> Table:
    def hops(within: Array) -> Array:
        return np.asarray(np.einsum("btl,blm->btm", c, within))

    def mix(second: Array, share: Any = s) -> Array:
        return np.asarray(share * c + (1 - share) * second)

    both = hops(w)
    one_shape = c.shape == w.shape  # where both maps have not, some mistakes do not run
    return mix(both), {
        "transposed": (mix(hops(w.transpose(0, 2, 1))),
            "a row of the encoder's map is the position that looks, a column the word that is "
            "looked at. Sum over the position that both maps share."),
        "one-hop": (c, "that is cross-attention alone, the first hop."),
        "no-residual": (both, "that is the product alone, for whatever share."),
        "swapped": (mix(both, 1 - s),
            "share belongs to the identity, the rest to the encoder's map."),
        "added": (s * c + both, "the rows sum to more than 1. Weigh both parts."),
        "identity-whole": (c + (1 - s) * both, "share weighs the identity."),
        "both-whole": (c + both, "share and 1 - share weigh the two parts."),
        "half": (mix(both, 0.5), "share is an argument, not always one half."),
        "identity-lost": ((1 - s) * both, "the part of the identity is missing."),
        "encoder-lost": (s * c, "the part of the encoder's map is missing."),
        "ones": (s + (1 - s) * both, "the identity is `torch.eye`, not all ones."),
        "other-sentence": (mix(hops(np.broadcast_to(w[:1], w.shape))),
            "each sentence has a map of its own."),
        "wrong-order": (mix(w @ c if one_shape else both),
            "the decoder looks first: cross-attention stands on the left."),
        "entry-by-entry": (mix(c * w if one_shape else both),
            "entries are multiplied one by one. Sum over the way stations."),
    }


@exercise("10.6", "The price of not looking",
    "With p = 0 the loss is log(1 + (L-1) exp(b/(L-1))). Solve it for b.",
    "lead_needed(loss, length)")
@compared(
    named("a loss of {} nats with L = {}", (0.1, 16), (0.5, 5), (1.2, 3), (0.3, 2)),
    tolerance=1e-6)
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
        "aligned": (aligned,
            "that is the lead of an aligned model. Here the right word has no attention."),
        "sign": (-needed(), "in elimination attended words vote against themselves: b < 0."),
        "attended-in-full": (-aligned,
            "attention is shared among L - 1 words, so each votes with a small part of b."),
        "shared-among-all": (needed() * n / (n - 1),
            "attention is shared among L words. The right one has none."),
        "no-minus-one": ((n - 1) * log(np.exp(x) / (n - 1)),
            "the loss is log(1 + ...): the right word's own e^0 is the 1. Take exp(loss) - 1."),
        "small-loss": ((n - 1) * log(x / (n - 1)),
            "log(1 + x) is not x: that holds for a small loss."),
        "all-words": ((n - 1) * log(expm1(x) / n), "there are L - 1 wrong words."),
        "length": (n * log(expm1(x) / n), "L - 1 words have attention, and are wrong."),
        "one-rival": ((n - 1) * log(expm1(x)), "there are L - 1 wrong words, not one."),
        "of-a-sentence": (needed(x / n), "the loss is for each word, not for the whole sentence."),
        "whole-sentence": (needed(x * n), "the loss is for each word."),
        "bits": (needed(x * log(2)), "the loss is in nats, not in bits."),
        "probability": ((n - 1) * log((1 / x - 1) / (n - 1)) if x < 1 else -1,
            "the loss is -log p, not p."),
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


@exercise("10.7", "What Adam makes of a gradient",
    "Running means of g and of g^2, corrected for their start at 0; then m / (sqrt(v) + 1e-8).",
    "adam_way(gradients, rate)")
@compared(_gradients, tensors=True)
def _adam_way(gradients: Array, rate: Any) -> Table:
    def like(first: float = 0.9, second: float = 0.999, fix: str = "mv", late: int = 0,
             size: Callable[[Array], Array] = lambda v: np.sqrt(v) + 1e-8) -> Array:
        """Adam with something changed: its means, which are corrected, and what it divides by."""
        m = v = x = np.zeros(gradients.shape[1])
        for t, g in enumerate(gradients, start=1 + late):
            m, v = first * m + (1 - first) * g, second * v + (1 - second) * g**2
            a = m / (1 - first**t) if "m" in fix else m
            x = x - rate * a / size(v / (1 - second**t) if "v" in fix else v)
        return np.asarray(x)

    right, before = _adam(gradients, rate), _adam(gradients[:-1], rate)
    gone = "the gradient's mean starts at 0 and is too small at first"
    return right, {
        "gradient-descent": (-rate * gradients.sum(0),
            "that is gradient descent. Adam divides by a running size of the gradient."),
        "signs-only": (-rate * np.sign(gradients).sum(0),
            "only the first step is the sign of the gradient. Later the running means count."),
        "no-correction": (like(fix=""),
            "both running means start at 0 and are too small at first. Divide them by 1 - 0.9^t "
            "and 1 - 0.999^t."),
        "no-first-correction": (like(fix="v"), f"{gone}: divide it by 1 - 0.9^t."),
        "no-second-correction": (like(fix="m"),
            "the mean of squares starts at 0: divide it by 1 - 0.999^t."),
        "second-99": (like(second=0.99), "the squares are averaged with 0.999, not 0.99."),
        "second-9": (like(second=0.9), "the squares are averaged with 0.999, not 0.9."),
        "first-99": (like(first=0.99), "the gradient is averaged with 0.9, not 0.99."),
        "first-999": (like(first=0.999, second=0.9), "0.9 and 0.999 are exchanged."),
        "no-mean": (like(first=0.0), "the gradient has a running mean, too."),
        "small-inside": (like(size=lambda v: np.sqrt(v + 1e-8) + 1e-30),
            "1e-8 is added to the root, not under it."),
        "no-small": (like(size=lambda v: np.sqrt(v) + 1e-30), "1e-8 is to be added to the root."),
        "late": (like(late=1), "the steps count from 1: the first is corrected with t = 1."),
        "no-root": (like(size=lambda v: v + 1e-8),
            "the mean of squares has no root: then a small gradient takes a large step."),
        "uphill": (-right, "the sign is wrong: it goes down."),
        "last-step": (right - before, "that is the last step alone. Asked for is the whole way."),
        "no-rate": (right / rate, "the rate is missing."),
        "distance": (abs(right), "the sign of the way is lost."),
    }

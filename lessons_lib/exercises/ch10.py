"""Checkers of chapter 10: the floor, overlapping stages, two hops, elimination, and Adam."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from scipy.optimize import brentq

from lessons_lib.exercises.judge import Array, Exercise, choice, compare, numbers
from lessons_lib.exercises.sandbox import Student


def _ceilings(answer: object) -> None:
    sizes = ((12, 10), (20, 10), (12, 12))
    # Whoever knows the other words of an input guesses among those that would complete it.
    left = [len(set(range(vocab)) - set(range(length - 1))) for vocab, length in sizes]
    spare = [max(vocab - length, 1) for vocab, length in sizes]
    # fmt: off
    told: dict[str, tuple[list[float], str]] = {
        "spare-words": ([1 / n for n in spare],
            "those are the spare words alone. The right word is one of those that are left."),
        "two-missing": ([1 / 4, 1 / 12, 1 / 2], "only one word of the input is not known."),
        "any-word": ([1 / vocab for vocab, _ in sizes],
            "that is a guess among all words. The other words of the input are known."),
        "input-words": ([1 / length for _, length in sizes],
            "the words of the input but one are the ones that it can exclude."),
        "old-words-only": ([1 / 3, 1 / 11, 1 / 3],
            "for 12 of 12 it may learn to vote against the two new words as well. Then how many "
            "are left?"),
        "last-any": ([1 / 3, 1 / 11, 1 / 12], "on 12 of 12 only one word is left, not twelve."),
        "last-none": ([1 / 3, 1 / 11, 0], "elimination is a solution again on 12 of 12."),
        "share": ([10 / 12, 10 / 20, 1], "which of the words left over is it? All look the same."),
        "always": ([1, 1, 1], "spare words are not attended either. How many words are left?"),
        "never": ([0, 0, 0], "it may guess among the words that are left."),
        "counts": ([float(n) for n in left], "that is how many words are left. Asked is accuracy."),
        "nats": ([math.log(n) for n in left], "that is the loss in nats. Asked is the accuracy."),
        "percent": ([100 / n for n in left], "hand in shares, not percent."),
        "errors": ([1 - 1 / n for n in left], "that is the share of errors."),
    }
    # fmt: on
    mistakes = {key: (lambda value=value: value, why) for key, (value, why) in told.items()}
    found, right = numbers(answer, (3,)), [1 / n for n in left]
    compare(lambda: found, {"the three cases": ()}, lambda: right, mistakes, tolerance=1e-3)


# Steps and curves. At the level nothing is flat, so that the first moment is one point.
_CURVES = {
    "a straight rise": ([0.0, 10.0, 20.0], [0.1, 0.5, 0.9]),
    "a start above zero": ([0.0, 10.0, 20.0, 40.0], [0.2, 0.3, 0.7, 0.8]),
    "steps of different length": ([0.0, 1.0, 5.0, 25.0, 100.0], [0.0, 0.1, 0.2, 0.9, 1.0]),
    "a curve that wiggles": ([0.0, 5.0, 10.0, 15.0, 20.0], [0.0, 0.6, 0.3, 0.8, 0.9]),
    "a curve that falls at the end": ([0.0, 4.0, 9.0, 15.0], [0.1, 0.2, 0.95, 0.7]),
    "a curve that falls first": ([0.0, 3.0, 8.0, 10.0], [0.3, 0.1, 0.4, 0.8]),
    "a curve that begins late": ([10.0, 30.0, 60.0], [0.1, 0.2, 0.7]),
    "the level at an evaluation": ([0.0, 8.0, 10.0, 30.0], [0.0, 0.25, 0.5, 1.0]),
}


def _crossing(x: Array, y: Array, level: float, first: bool = True) -> float:
    """Where the curve first, or last, comes up to a level: bisection between evaluations."""
    rises = [i for i in range(1, len(y)) if y[i - 1] < level <= y[i]]
    low, high = (rises[0] if first else rises[-1]) - 1, rises[0] if first else rises[-1]
    if y[high] == level:
        return float(x[high])
    inside = x[low : high + 1], y[low : high + 1]
    return float(brentq(lambda t: np.interp(t, *inside) - level, x[low], x[high]))


def _half_rise(f: Student) -> None:
    def level(y: Array) -> float:
        return float(y[0] + y[-1]) / 2

    def after(y: Array) -> int:
        return int((y >= level(y)).argmax())

    def at(height: Callable[[Array], float]) -> Callable[[Array, Array], float]:
        return lambda x, y: _crossing(x, y, height(y))

    # fmt: off
    mistakes = {
        "of-the-end": (at(lambda y: y[-1] / 2),
            "that is where half of the last value is reached. The curve does not begin at 0."),
        "of-the-rise": (at(lambda y: (y[-1] - y[0]) / 2),
            "half of the rise comes on top of the first value."),
        "one-half": (at(lambda y: 0.5), "half-way up is not the value 0.5."),
        "of-the-largest": (at(lambda y: (y[0] + y.max()) / 2),
            "the way ends at the last value, not at the largest."),
        "of-the-range": (at(lambda y: (y.min() + y.max()) / 2),
            "the way is from the first to the last value."),
        "from-the-smallest": (at(lambda y: (y.min() + y[-1]) / 2),
            "the way begins at the first value, not the smallest."),
        "mean": (at(lambda y: y.mean()), "that is where the curve reaches its mean."),
        "median": (at(lambda y: float(np.median(y))),
            "that is where the curve reaches its median."),
        "not-between": (lambda x, y: x[after(y)],
            "between two evaluations the curve is a straight line."),
        "before": (lambda x, y: x[after(y) - 1], "that is the evaluation before the crossing."),
        "middle": (lambda x, y: (x[after(y) - 1] + x[after(y)]) / 2,
            "the crossing need not be in the middle between two evaluations."),
        "nearest": (lambda x, y: x[abs(y - level(y)).argmin()], "that is the nearest evaluation."),
        "half-time": (lambda x, y: (x[0] + x[-1]) / 2, "half of the time is not half of the rise."),
        "interpolated-x": (lambda x, y: np.interp(level(y), y, x),
            "`np.interp` needs values that only rise."),
        "last-crossing": (lambda x, y: _crossing(x, y, level(y), first=False),
            "the curve was there before. Take the first time."),
        "index": (lambda x, y: after(y), "that is an index, not a training step."),
    }
    # fmt: on
    cases = {name: (np.array(x), np.array(y)) for name, (x, y) in _CURVES.items()}
    compare(f, cases, at(level), mistakes, tolerance=1e-6)


def _with_residual(f: Student) -> None:
    rng = np.random.default_rng(8006)

    def shares(*shape: int) -> Array:
        return rng.dirichlet(np.ones(shape[-1]), size=shape[:-1])

    moves = np.eye(4)[None, [2, 0, 3, 1]]  # each position looks at one word
    cases = {
        "three sentences, share 0.2": (shares(3, 7, 5), shares(3, 5, 5), 0.2),
        "moved words, share 0.3": (shares(1, 4, 4), moves, 0.3),
        "moved words, share 0": (shares(1, 4, 4), moves, 0.0),
        "two sentences, share 1": (shares(2, 3, 4), shares(2, 4, 4), 1.0),
    }

    def hops(cross: Array, within: Array) -> Array:
        found = np.zeros_like(cross)
        for b, t, station, word in np.ndindex(*cross.shape, cross.shape[2]):
            found[b, t, word] += cross[b, t, station] * within[b, station, word]
        return found

    def mix(cross: Array, second: Array, share: float) -> Array:
        return np.asarray(share * cross + (1 - share) * second)

    def square(cross: Array, within: Array, second: Callable[[], Array]) -> Array:
        """A mistake that runs only where both maps have one shape."""
        return second() if cross.shape == within.shape else hops(cross, within)

    def full(cross: Array, within: Array, share: float) -> Array:
        return mix(cross, hops(cross, within), share)

    def mistaken(second: Callable[[Array, Array], Array]) -> Callable[[Array, Array, float], Array]:
        return lambda c, w, s: mix(c, square(c, w, lambda: second(c, w)), s)

    ones = "share belongs to the identity, the rest to the encoder's map."
    # fmt: off
    mistakes = {
        "transposed": (lambda c, w, s: mix(c, hops(c, w.transpose(0, 2, 1)), s),
            "a row of the encoder's map is the position that looks, a column the word that is "
            "looked at. Sum over the position that both maps share."),
        "one-hop": (lambda c, w, s: c, "that is cross-attention alone, the first hop."),
        "no-residual": (lambda c, w, s: hops(c, w),
            "that is the product alone, for whatever share."),
        "swapped": (lambda c, w, s: full(c, w, 1 - s), ones),
        "added": (lambda c, w, s: s * c + hops(c, w),
            "the rows sum to more than 1. Weigh both parts."),
        "identity-whole": (lambda c, w, s: c + (1 - s) * hops(c, w), "share weighs the identity."),
        "both-whole": (lambda c, w, s: c + hops(c, w), "share and 1 - share weigh the two parts."),
        "half": (lambda c, w, s: full(c, w, 0.5), "share is an argument, not always one half."),
        "identity-lost": (lambda c, w, s: (1 - s) * hops(c, w),
            "the part of the identity is missing."),
        "encoder-lost": (lambda c, w, s: s * c, "the part of the encoder's map is missing."),
        "ones": (lambda c, w, s: s + (1 - s) * hops(c, w),
            "the identity is `torch.eye`, not all ones."),
        "other-sentence": (lambda c, w, s: mix(c, hops(c, np.broadcast_to(w[:1], w.shape)), s),
            "each sentence has a map of its own."),
        "wrong-order": (mistaken(lambda c, w: w @ c),
            "the decoder looks first: cross-attention stands on the left."),
        "entry-by-entry": (mistaken(lambda c, w: c * w),
            "entries are multiplied one by one. Sum over the way stations."),
    }
    # fmt: on
    compare(f, cases, full, mistakes, tensors=True)


def _loss(b: float, attention: Array) -> float:
    """Loss of a word in the reduced model with the table b I, attention being that on each word."""
    logits = b * attention
    return float(np.log(np.exp(logits - logits[0]).sum()))


def _lead_needed(f: Student) -> None:
    def lead(attention: Array, loss: float) -> float:
        sign = 1 if attention[0] > attention[1] else -1
        return sign * float(
            brentq(lambda b: _loss(sign * b, attention) - loss, -50, 700, xtol=1e-12)
        )

    def aligned(loss: float, length: int) -> float:
        return lead(np.eye(length)[0], loss)

    def needed(loss: float, length: int) -> float:
        return lead((1 - np.eye(length)[0]) / (length - 1), loss)

    log, exp = math.log, math.exp
    # fmt: off
    mistakes = {
        "aligned": (aligned,
            "that is the lead of an aligned model. Here the right word has no attention."),
        "sign": (lambda *g: -needed(*g),
            "in elimination attended words vote against themselves: b < 0."),
        "attended-in-full": (lambda *g: -aligned(*g),
            "attention is shared among L - 1 words, so each votes with a small part of b."),
        "shared-among-all": (lambda x, n: needed(x, n) * n / (n - 1),
            "attention is shared among L words. The right one has none."),
        "no-minus-one": (lambda x, n: (n - 1) * log(exp(x) / (n - 1)),
            "the loss is log(1 + ...): the right word's own e^0 is the 1. Take exp(loss) - 1."),
        "small-loss": (lambda x, n: (n - 1) * log(x / (n - 1)),
            "log(1 + x) is not x: that holds for a small loss."),
        "all-words": (lambda x, n: (n - 1) * log(math.expm1(x) / n),
            "there are L - 1 wrong words."),
        "length": (lambda x, n: n * log(math.expm1(x) / n),
            "L - 1 words have attention, and are wrong."),
        "one-rival": (lambda x, n: (n - 1) * log(math.expm1(x)),
            "there are L - 1 wrong words, not one."),
        "of-a-sentence": (lambda x, n: needed(x / n, n),
            "the loss is for each word, not for the whole sentence."),
        "whole-sentence": (lambda x, n: needed(x * n, n), "the loss is for each word."),
        "bits": (lambda x, n: needed(x * log(2), n), "the loss is in nats, not in bits."),
        "probability": (lambda x, n: (n - 1) * log((1 / x - 1) / (n - 1)) if x < 1 else -1,
            "the loss is -log p, not p."),
    }
    # fmt: on
    cases = {
        f"a loss of {x} nats with L = {n}": (x, n)
        for x, n in ((0.1, 16), (0.5, 5), (1.2, 3), (0.3, 2))
    }
    compare(f, cases, needed, mistakes, tolerance=1e-6)


def _adam(gradients: Array, rate: float) -> Array:
    """The way that PyTorch's Adam goes with these gradients."""
    x = torch.zeros(gradients.shape[1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([x], lr=rate)
    for g in gradients:
        x.grad = torch.tensor(g)
        optimizer.step()
    return x.detach().numpy()


def _adam_like(
    *, first: float = 0.9, second: float = 0.999, fix: str = "mv", small: str = "out", late: int = 0
) -> Callable[[Array, float], Array]:
    """Adam with something changed: its means, which of them are corrected, and its small number."""

    def way(gradients: Array, rate: float) -> Array:
        m = v = x = np.zeros(gradients.shape[1])
        for t, g in enumerate(gradients, start=1 + late):
            m, v = first * m + (1 - first) * g, second * v + (1 - second) * g**2
            a = m / (1 - first**t) if "m" in fix else m
            b = v / (1 - second**t) if "v" in fix else v
            size = np.sqrt(b + 1e-8) if small == "in" else np.sqrt(b)
            x = x - rate * a / (size + (1e-8 if small == "out" else 1e-30))
        return np.asarray(x)

    return way


def _adam_way(f: Student) -> None:
    rng = np.random.default_rng(8007)
    growing = np.geomspace(0.01, 30, 40)[:, None] ** np.array([1, -1, 0, 1])
    noise = rng.normal(size=(40, 4)) + 0.3
    cases = {
        "one step": (np.array([[1e-4, -3.0, 0.02, 1e-8]]), 0.01),
        "forty steps": (noise * growing * np.array([1, 1, 1e-3, 1e-8]), 0.01),
        "five steps": (noise[:5, :3] * np.array([1e-3, 1.0, 30.0]), 0.1),
    }
    gone = "the gradient's mean starts at 0 and is too small at first"
    # fmt: off
    mistakes = {
        "gradient-descent": (lambda g, rate: -rate * g.sum(0),
            "that is gradient descent. Adam divides by a running size of the gradient."),
        "signs-only": (lambda g, rate: -rate * np.sign(g).sum(0),
            "only the first step is the sign of the gradient. Later the running means count."),
        "no-correction": (_adam_like(fix=""),
            "both running means start at 0 and are too small at first. Divide them by 1 - 0.9^t "
            "and 1 - 0.999^t."),
        "no-first-correction": (_adam_like(fix="v"), f"{gone}: divide it by 1 - 0.9^t."),
        "no-second-correction": (_adam_like(fix="m"),
            "the mean of squares starts at 0: divide it by 1 - 0.999^t."),
        "second-99": (_adam_like(second=0.99), "the squares are averaged with 0.999, not 0.99."),
        "second-9": (_adam_like(second=0.9), "the squares are averaged with 0.999, not 0.9."),
        "first-99": (_adam_like(first=0.99), "the gradient is averaged with 0.9, not 0.99."),
        "first-999": (_adam_like(first=0.999, second=0.9), "0.9 and 0.999 are exchanged."),
        "no-mean": (_adam_like(first=0.0), "the gradient has a running mean, too."),
        "small-inside": (_adam_like(small="in"), "1e-8 is added to the root, not under it."),
        "no-small": (_adam_like(small=""), "1e-8 is to be added to the root."),
        "late": (_adam_like(late=1), "the steps count from 1: the first is corrected with t = 1."),
        "no-root": (lambda g, rate: _no_root(g, rate),
            "the mean of squares has no root: then a small gradient takes a large step."),
        "uphill": (lambda *g: -_adam(*g), "the sign is wrong: it goes down."),
        "last-step": (lambda g, rate: _adam(g, rate) - (_adam(g[:-1], rate) if len(g) > 1 else 0),
            "that is the last step alone. Asked for is the whole way."),
        "no-rate": (lambda g, rate: _adam(g, 1.0), "the rate is missing."),
        "distance": (lambda g, rate: abs(_adam(g, rate)), "the sign of the way is lost."),
    }
    # fmt: on
    compare(f, cases, _adam, mistakes, tolerance=1e-5, tensors=True)


def _no_root(gradients: Array, rate: float) -> Array:
    m = v = x = np.zeros(gradients.shape[1])
    for t, g in enumerate(gradients, start=1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        x = x - rate * m / (1 - 0.9**t) / (v / (1 - 0.999**t) + 1e-8)
    return np.asarray(x)


EXERCISES = {
    "10.1": Exercise(
        "How high is the floor?",
        _ceilings,
        "How many words are left when all words of the input but one are known?",
    ),
    "10.2": Exercise(
        "Which test tells them apart?",
        choice(
            {
                "a": (
                    "both-copy",
                    "Both copy the inputs that they were trained on. What do they do with others?",
                ),
                "b": (
                    "both-look-away",
                    "That it is small is what the two have in common. More training changes little "
                    "about it.",
                ),
                "d": (
                    "speed",
                    "Speed depends on optimiser, size and luck. It does not say how a run copies.",
                ),
            }
        ),
        "Elimination needs each word to be there once. Does alignment in two hops?",
    ),
    "10.3": Exercise(
        "Half-way up",
        _half_rise,
        "The level is the mean of the first and the last value. Interpolate where it is crossed.",
        "half_rise(steps, values)",
    ),
    "10.5": Exercise(
        "How much does each way carry?",
        _with_residual,
        "A mixture of the identity and the encoder's map, with cross-attention on its left.",
        "with_residual(cross, within, share)",
    ),
    "10.6": Exercise(
        "The price of not looking",
        _lead_needed,
        "With p = 0 the loss is log(1 + (L-1) exp(b/(L-1))). Solve it for b.",
        "lead_needed(loss, length)",
    ),
    "10.7": Exercise(
        "What Adam makes of a gradient",
        _adam_way,
        "Running means of g and of g^2, corrected for their start at 0; then m / (sqrt(v) + 1e-8).",
        "adam_way(gradients, rate)",
    ),
}

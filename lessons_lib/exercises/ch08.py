"""Checkers of chapter 8: the floor, overlapping stages, two hops, elimination, and Adam."""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import brentq

from lessons_lib.exercises.judge import Array, Exercise, choice, expect, numbers
from lessons_lib.exercises.sandbox import Student


def _ceilings(answer: object) -> None:
    found, sizes = numbers(answer, (3,)), ((12, 10), (20, 10), (12, 12))
    # Whoever knows the other words of an input guesses among those that would complete it.
    left = [len(set(range(vocab)) - set(range(length - 1))) for vocab, length in sizes]
    mistakes = {
        "spare-words": (
            [1 / max(vocab - length, 1) for vocab, length in sizes],
            "those are the spare words alone. The right word is one of those that are left.",
        ),
        "any-word": (
            [1 / vocab for vocab, _ in sizes],
            "that is a guess among all words. The other words of the input are known.",
        ),
        "input-words": (
            [1 / length for _, length in sizes],
            "the words of the input but one are the ones that it can exclude.",
        ),
        "old-words-only": (
            [1 / left[0], 1 / left[1], 1 / left[0]],
            "for 12 of 12 it may learn to vote against the two new words as well. Then how many "
            "are left?",
        ),
    }
    expect(found, [1 / n for n in left], "the three cases", mistakes, tolerance=1e-3)


# Steps, a curve, and the same curve asked where a line through it is half-way up.
_CURVES = (
    ("a straight rise", [0.0, 10.0, 20.0], [0.1, 0.5, 0.9]),
    ("a start above zero", [0.0, 10.0, 20.0, 40.0], [0.2, 0.3, 0.7, 0.8]),
    ("steps of different length", [0.0, 1.0, 5.0, 25.0, 100.0], [0.0, 0.1, 0.2, 0.9, 1.0]),
    ("a curve that wiggles", [0.0, 5.0, 10.0, 15.0, 20.0], [0.0, 0.6, 0.3, 0.8, 0.9]),
)


def _crossing(x: Array, y: Array, level: float) -> float:
    """Where the curve first reaches a level, on a fine grid."""
    fine = np.linspace(x[0], x[-1], 400_001)
    return float(fine[int((np.interp(fine, x, y) >= level).argmax())])


def _half_rise(f: Student) -> None:
    for case, steps, values in _CURVES:
        x, y = np.array(steps), np.array(values)
        level = (y[0] + y[-1]) / 2
        above = int((y >= level).argmax())
        crossings = [i for i in range(1, len(y)) if y[i - 1] < level <= y[i]]
        late = x[crossings[-1] - 1 :], y[crossings[-1] - 1 :]
        mistakes = {
            "of-the-end": (
                _crossing(x, y, y[-1] / 2),
                "that is where half of the last value is reached. The curve does not begin at 0.",
            ),
            "one-half": (_crossing(x, y, 0.5), "half-way up is not the value 0.5."),
            "not-between": (x[above], "between two evaluations the curve is a straight line."),
            "last-crossing": (
                _crossing(*late, level),
                "the curve was there before. Take the first time.",
            ),
        }
        truth = _crossing(x, y, level)
        # The grid is as fine as 0.0003 steps.
        expect(numbers(f(x, y)), truth, case, mistakes, tolerance=1e-3)


def _with_residual(f: Student) -> None:
    rng = np.random.default_rng(8006)

    def shares(*shape: int) -> Array:
        return rng.dirichlet(np.ones(shape[-1]), size=shape[:-1])

    moves = np.eye(4)[None, [2, 0, 3, 1]]  # each position looks at one word
    for case, cross, within, share in (
        ("three sentences", shares(3, 7, 5), shares(3, 5, 5), 0.2),
        ("moved words", shares(1, 4, 4), moves, 0.3),
        ("moved words", shares(1, 4, 4), moves, 0.0),
    ):
        hops = np.zeros_like(cross)
        for b, t, station, word in np.ndindex(*cross.shape, cross.shape[2]):
            hops[b, t, word] += cross[b, t, station] * within[b, station, word]
        turned = cross @ within.transpose(0, 2, 1)
        mistakes: dict[str, tuple[Array, str]] = {
            "transposed": (
                share * cross + (1 - share) * turned,
                "a row of the encoder's map is the position that looks, a column the word that is "
                "looked at. Sum over the position that both maps share.",
            ),
            "one-hop": (cross, "that is cross-attention alone, the first hop."),
            "no-residual": (hops, "that is the product alone, for whatever share."),
            "swapped": (
                (1 - share) * cross + share * hops,
                "share belongs to the identity, the rest to the encoder's map.",
            ),
            "added": (share * cross + hops, "the rows sum to more than 1. Weigh the two parts."),
        }
        if cross.shape == within.shape:
            mistakes["wrong-order"] = (
                share * cross + (1 - share) * within @ cross,
                "the decoder looks first: cross-attention stands on the left.",
            )
            mistakes["entry-by-entry"] = (
                share * cross + (1 - share) * cross * within,
                "entries are multiplied one by one. Sum over the way stations.",
            )
        given = torch.tensor(cross), torch.tensor(within)
        expect(
            numbers(f(*given, share), cross.shape),
            share * cross + (1 - share) * hops,
            f"{case}, share {share}",
            mistakes,
        )


def _loss(b: float, attention: Array) -> float:
    """Loss of a word in the reduced model with the table b I, attention being that on each word."""
    logits = b * attention
    return float(np.log(np.exp(logits - logits[0]).sum()))


def _lead_needed(f: Student) -> None:
    for loss, length in ((0.1, 16), (0.5, 5)):
        looks = np.eye(length)[0]
        avoids = (1 - looks) / (length - 1)

        def needed(attention: Array, loss: float = loss) -> float:
            sign = 1 if attention[0] > attention[1] else -1
            return sign * float(brentq(lambda b: _loss(sign * b, attention) - loss, 0, 700))

        truth, aligned = needed(avoids), needed(looks)
        mistakes = {
            "aligned": (
                aligned,
                "that is the lead of an aligned model. Here the right word has no attention.",
            ),
            "sign": (-truth, "in elimination attended words vote against themselves: b < 0."),
            "attended-in-full": (
                -aligned,
                "attention is shared among L - 1 words, so each votes with a small part of b.",
            ),
            "shared-among-all": (
                truth * length / (length - 1),
                "attention is shared among L words. The right one has none.",
            ),
        }
        case = f"a loss of {loss} nats with L = {length}"
        expect(numbers(f(loss, length)), truth, case, mistakes, tolerance=1e-4)


def _adam(gradients: Array, rate: float) -> Array:
    """The way that PyTorch's Adam goes with these gradients."""
    x = torch.zeros(gradients.shape[1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([x], lr=rate)
    for g in gradients:
        x.grad = torch.tensor(g)
        optimizer.step()
    return x.detach().numpy()


def _adam_way(f: Student) -> None:
    rng = np.random.default_rng(8007)
    for case, gradients in (
        ("one step", np.array([[1e-4, -3.0, 0.02]])),
        ("five steps", rng.normal(size=(5, 3)) * np.array([1e-3, 1.0, 30.0])),
    ):
        rate, steps = 0.01, np.arange(1, len(gradients) + 1)
        m, v, first, second = np.zeros(3), np.zeros(3), [], []
        for g in gradients:
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
            first.append(m)
            second.append(v)
        ms, vs = np.array(first), np.array(second)
        mh, vh = ms / (1 - 0.9 ** steps[:, None]), vs / (1 - 0.999 ** steps[:, None])
        truth = _adam(gradients, rate)
        mistakes = {
            "gradient-descent": (
                -rate * gradients.sum(0),
                "that is gradient descent. Adam divides by a running size of the gradient.",
            ),
            "no-correction": (
                -rate * (ms / (np.sqrt(vs) + 1e-8)).sum(0),
                "both running means start at 0 and are too small at first. Divide them by "
                "1 - 0.9^t and 1 - 0.999^t.",
            ),
            "no-root": (
                -rate * (mh / (vh + 1e-8)).sum(0),
                "the mean of squares has no root: then a small gradient takes a large step.",
            ),
            "uphill": (-truth, "the sign is wrong: it goes down."),
            "last-step": (
                -rate * mh[-1] / (np.sqrt(vh[-1]) + 1e-8),
                "that is the last step alone. Asked for is the whole way.",
            ),
        }
        if len(gradients) > 1:
            mistakes["signs-only"] = (
                -rate * np.sign(gradients).sum(0),
                "only the first step is the sign of the gradient. Later the running means count.",
            )
        found = numbers(f(torch.tensor(gradients), rate), (3,))
        scaled = {key: (value / rate, message) for key, (value, message) in mistakes.items()}
        expect(found / rate, truth / rate, case, scaled, tolerance=1e-3)


EXERCISES = {
    "8.1": Exercise(
        "How high is the floor?",
        _ceilings,
        "How many words are left when all words of the input but one are known?",
    ),
    "8.2": Exercise(
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
    "8.3": Exercise(
        "Half-way up",
        _half_rise,
        "The level is the mean of the first and the last value. Interpolate where it is crossed.",
        "half_rise(steps, values)",
    ),
    "8.5": Exercise(
        "How much does each way carry?",
        _with_residual,
        "A mixture of the identity and the encoder's map, with cross-attention on its left.",
        "with_residual(cross, within, share)",
    ),
    "8.6": Exercise(
        "The price of not looking",
        _lead_needed,
        "With p = 0 the loss is log(1 + (L-1) exp(b/(L-1))). Solve it for b.",
        "lead_needed(loss, length)",
    ),
    "8.7": Exercise(
        "What Adam makes of a gradient",
        _adam_way,
        "Running means of g and of g^2, corrected for their start at 0; then m / (sqrt(v) + 1e-8).",
        "adam_way(gradients, rate)",
    ),
}

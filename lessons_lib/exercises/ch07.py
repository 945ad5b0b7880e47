"""Checkers of chapter 7: several heads."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import torch

from lessons_lib import models
from lessons_lib.exercises.judge import Array, Exercise, choice, compare, decide
from lessons_lib.exercises.sandbox import Student
from lessons_lib.tasks import EOS, Batch, Copying


def _first(share: float, factor: float, least: float) -> int:
    """The first H with ``1 - share * factor^(H-1) >= least``, by trying one after the other."""
    left, heads = share, 1
    while 1 - left < least:
        left, heads = left * factor, heads + 1
    return heads


def _heads_needed(f: Student) -> None:
    def needed(p: float, share: float) -> int:
        return _first(1 - p, 1 - p, share)

    def exact(p: float, share: float) -> float:
        return math.log(1 - share) / math.log(1 - p)

    # fmt: off
    mistakes = {
        "one-minus-power": (lambda p, s: _first(p, p, s),
            "1 - p^H is the probability that not all heads are lucky. At least one is lucky "
            "unless all are unlucky."),
        "not-whole": (exact, "there are no fractions of heads. Round up."),
        "rounded-down": (lambda *g: math.floor(exact(*g)), "that is too few. Round up."),
        "rounded-down-one": (lambda *g: max(math.floor(exact(*g)), 1),
            "rounding down to at least one is too few."),
        "one-less": (lambda *g: needed(*g) - 1, "that is one head too few."),
        "one-more": (lambda *g: math.floor(exact(*g)) + 1,
            "where the logarithms give a whole number, that many are enough: at least, not more."),
        "plus-one": (lambda *g: needed(*g) + 1, "one head fewer is enough."),
        "nearest": (lambda *g: round(exact(*g)), "the nearest whole number may be too few."),
        "added-up": (lambda p, s: math.ceil(s / p),
            "chances do not add up: two heads may be lucky in the same run."),
        "swapped": (lambda p, s: needed(s, p), "p and share are exchanged."),
        "not-missed": (lambda p, s: math.ceil(math.log(s) / math.log(1 - p)),
            "(1-p)^H is how often all are unlucky: at most 1 - share, not share."),
        "all-lucky": (lambda p, s: max(math.floor(math.log(s) / math.log(p)), 1),
            "that all are lucky is too much."),
        "for-half": (lambda p, s: math.ceil(math.log(1 - s) / math.log(0.5)),
            "it does not depend on p."),
        "for-99%": (lambda p, s: needed(p, 0.99), "share is an argument, not always 0.99."),
    }
    # fmt: on
    pairs = ((0.25, 0.99), (0.7, 0.95), (0.1, 0.5), (0.5, 0.75), (0.75, 0.9375), (0.9, 0.3))
    cases = {f"p = {p}, share = {share}": (p, share) for p, share in pairs}
    compare(f, cases, needed, mistakes, tolerance=1e-9)


def _head_velocities(f: Student) -> None:
    def velocities(a: Array, b: Array, length: int) -> Array:
        return np.asarray(-_leads_gradient(length, np.array([a, b])) / (length - 1))

    def pair(a: Array, b: Array, factor: float) -> Array:
        return np.asarray(np.stack([b, a]) * factor)

    def field(a: Array, b: Array, n: int) -> Array:
        return np.asarray(velocities(a, b, n).mean(1, keepdims=True) + 0 * np.stack([a, b]))

    # fmt: off
    mistakes = {
        "not-averaged": (lambda a, b, n: len(a) * velocities(a, b, n),
            "contexts are averaged, so each head's share in the logits has a factor 1/H."),
        "mean-field": (field,
            "all heads get the same velocity. To first order a head feels itself only."),
        "summed-field": (lambda a, b, n: field(a, b, n) * len(a),
            "all heads get the same velocity. To first order a head feels itself only."),
        "whole-derivative": (lambda a, b, n: velocities(a, b, n) * (n - 1),
            "that is minus the derivative. A lead is one entry against one other: divide by L-1."),
        "length-for-heads": (lambda a, b, n: pair(a, b, 1 / n ** 3),
            "the mean is over H heads, not over L positions."),
        "heads-for-length": (lambda a, b, n: pair(a, b, 1 / len(a) ** 3),
            "the softmax is over L positions, not H heads."),
        "averaged-twice": (lambda a, b, n: pair(a, b, 1 / (n * len(a)) ** 2),
            "1/H comes once: the logits have it."),
        "by-length": (lambda a, b, n: pair(a, b, 1 / (len(a) * n)),
            "L enters squared, as in chapter 5."),
        "no-factor": (lambda a, b, n: pair(a, b, 1), "that is the direction. How fast is it?"),
        "only-averaged": (lambda a, b, n: pair(a, b, 1 / len(a)), "the factor 1/L^2 is missing."),
        "not-coupled": (lambda a, b, n: velocities(a, b, n)[::-1],
            "a_k moves with b_k, and b_k with a_k."),
        "sign": (lambda *g: -velocities(*g), "gradient flow goes downhill in the loss."),
        "one-less": (lambda a, b, n: pair(a, b, 1 / (len(a) * n * (n - 1))),
            "see dp/da in chapter 5: 1/L^2."),
    }
    # fmt: on
    cases = {
        f"H = {len(a)}, L = {length}": (1e-4 * np.array(a), 1e-4 * np.array(b), length)
        for length, a, b in (
            (3, [1.0, 2.0], [-3.0, 1.0]),
            (4, [2.0, -1.0, 1.0], [1.0, 3.0, -2.0]),
            (2, [1.0, 0.0, 2.0, -1.0], [-3.0, 1.0, 0.0, 2.0]),
            (3, [1.0], [2.0]),
        )
    }
    compare(f, cases, velocities, mistakes, tolerance=2e-3)


def _leads_gradient(length: int, leads: Array) -> Array:
    """Derivatives of the mean loss over all permutations by each head's leads, ``(2, heads)``."""
    free = torch.tensor(leads, requires_grad=True)
    eye = torch.eye(length, dtype=torch.float64)
    losses = []
    for order in itertools.permutations(range(length)):
        spoken = [(a * eye).softmax(-1) @ (b * eye)[list(order)] for a, b in free.T]
        log_p = torch.stack(spoken).mean(0).log_softmax(-1)
        losses.append(-log_p[range(length), list(order)].mean())
    (found,) = torch.autograd.grad(torch.stack(losses).mean(), free)
    return np.asarray(found.numpy())


def _kept(model: models.Seq2Seq, heads: list[int]) -> models.Seq2Seq:
    """A model of its own with some of the heads, everything else alike."""
    smaller = models.build(replace(model.config, heads=len(heads)), seed=0)
    state = model.state_dict()
    for name in ("query.weight", "query.bias", "value.weight", "value.bias"):
        state[name] = torch.cat([state[name].chunk(model.config.heads)[k] for k in heads])
    smaller.load_state_dict(state)
    return smaller


def _without(f: Student) -> None:
    task = Copying(vocab=6, length=5)
    config = models.Seq2SeqConfig(task.vocab_size, task.vocab_size, 7, 11, heads=3)
    model, batch = models.build(config, seed=7006).eval(), task.sample(400, seed=7007)
    with torch.no_grad():  # so large that each head matters, and that heads differ
        model.value.weight.mul_(12)
        model.query.weight.mul_(20)

    def right(logits: torch.Tensor, batch: Batch, end: bool = False) -> float:
        where = batch.target_mask if end else batch.target != EOS
        return float((logits.argmax(-1) == batch.target)[where].double().mean())

    def of(model: models.Seq2Seq, heads: list[int], batch: Batch, end: bool = False) -> float:
        with torch.no_grad():
            return right(_kept(model, heads)(batch).logits, batch, end)

    def others(head: int) -> list[int]:
        return [k for k in range(3) if k != head]

    def changed(model: models.Seq2Seq, batch: Batch, head: int, weight: float = 0) -> float:
        """With this weight for the head, and the mean still over all."""
        with torch.no_grad():
            alpha = model.attend(model(batch).scores, batch.source_mask).clone()
            alpha[:, head] = weight
            return right(model(batch, attention=alpha).logits, batch)

    def added(model: models.Seq2Seq, batch: Batch, head: int) -> float:
        with torch.no_grad():
            out = model(batch)
            contexts = out.attention @ model.values(out.encoder_states)
            return right(model.readout(out.decoder_states, contexts[:, others(head)].sum(1)), batch)

    def whole(model: models.Seq2Seq, batch: Batch, head: int) -> float:
        with torch.no_grad():
            hits = _kept(model, others(head))(batch).logits.argmax(-1) == batch.target
        return float((hits | (batch.target == EOS)).all(1).double().mean())

    # fmt: off
    mistakes = {
        "divided-by-all": (changed,
            "the head is silent, but the mean is still over all heads. Average the others."),
        "added": (added, "the other heads' contexts are added up. Average them."),
        "uniform": (lambda m, b, h: changed(m, b, h, 1 / b.source.shape[1]),
            "the head looks everywhere alike, but it still speaks. Take it out."),
        "only-that-head": (lambda m, b, h: of(m, [h], b),
            "only this head is left. It is the one to take out."),
        "all-heads": (lambda m, b, h: of(m, [0, 1, 2], b), "no head is taken out."),
        "end-symbol": (lambda m, b, h: of(m, others(h), b, end=True),
            "the end symbol is counted. It can be found without reading."),
        "all-with-end": (lambda m, b, h: of(m, [0, 1, 2], b, end=True),
            "no head is taken out, and the end counts."),
        "heads-before": (lambda m, b, h: of(m, list(range(h)) or [0, 1, 2], b),
            "only the heads before it are left."),
        "heads-after": (lambda m, b, h: of(m, list(range(h + 1, 3)) or [0, 1, 2], b),
            "only the heads after it are left."),
        "next-head": (lambda m, b, h: of(m, others((h + 1) % 3), b),
            "that is another head: they count from 0."),
        "previous-head": (lambda m, b, h: of(m, others((h - 1) % 3), b),
            "that is another head: they count from 0."),
        "whole-outputs": (whole, "that is the share of outputs without any mistake."),
        "lost": (lambda m, b, h: of(m, [0, 1, 2], b) - of(m, others(h), b),
            "that is how much is lost. Asked is the accuracy that is left."),
    }
    # fmt: on
    cases = {f"head {head}": (model, batch, head) for head in range(3)}
    compare(f, cases, lambda m, b, h: of(m, others(h), b), mistakes, tolerance=1e-6)


# Accuracies with several orders of the data, and what the paper calls the head.
_STARTS = (
    ((0.99, 0.97, 1.0), "good", "good", "it learns with all orders."),
    ((0.2, 0.5, 0.1), "bad", "bad", "it learns with none."),
    ((0.99, 0.97, 0.3), "discarded", "any-order", "one of three orders fails."),
    ((0.99, 0.90, 1.0), "discarded", "mean", "the mean is high, but one order is below 0.95."),
    ((0.3, 0.2, 0.99), "discarded", "mean", "the mean is low, but one order is learned."),
    ((0.8, 0.7, 0.75), "discarded", "not-good-is-bad", "bad is below 0.6, not only not good."),
    ((0.99, 0.99, 0.94), "discarded", "last-or-first", "every order counts, the last one, too."),
    ((0.1, 0.1, 0.65), "discarded", "most", "most orders are not every order."),
    ((0.65, 0.1, 0.1), "discarded", "most", "most orders are not every order."),
    ((0.5, 0.97, 0.99), "discarded", "most", "most orders are not every order."),
    ((0.95, 0.99, 0.97), "discarded", "equal-is-above", "0.95 is not above 0.95."),
    ((0.6, 0.3, 0.2), "discarded", "equal-is-below", "0.6 is not below 0.6."),
    ((0.96, 0.955, 0.96), "good", "threshold", "above 0.95 is enough."),
    ((0.59, 0.55, 0.58), "bad", "threshold", "below 0.6 is enough."),
    ((0.96, 0.99), "good", "three-orders", "there may be two orders."),
    ((0.5, 0.3, 0.2, 0.1, 0.7), "discarded", "three-orders", "there may be five orders."),
    ((0.97,), "good", "three-orders", "there may be one order."),
)


def _kind_of_start(f: Student) -> None:
    rows = (([list(accuracies)], *rest) for accuracies, *rest in _STARTS)
    decide(f, rows, ("good", "bad", "discarded"))


EXERCISES = {
    "7.1": Exercise(
        "Eight times the same ticket",
        choice(
            {
                "b": (
                    "number-of-heads",
                    "Equal heads have equal gradients and stay equal. How many different starts "
                    "are there?",
                ),
                "c": (
                    "worse-than-one",
                    "The mean of eight equal contexts is that context. Nothing is lost.",
                ),
                "d": (
                    "more-parameters",
                    "The other parameters are copies. One head with as many parameters does not "
                    "help either.",
                ),
            }
        ),
        "What is the mean of eight equal contexts, and what its gradient?",
    ),
    "7.2": Exercise(
        "In the mirror",
        choice(
            {
                "a": (
                    "product",
                    "The product a b, and with it the loss near the origin, is the same for both. "
                    "What decides the branch is the sign of a + b.",
                ),
                "b": (
                    "only-attention",
                    "Minus the query turns the scores over. What does minus the value do to what "
                    "a position says?",
                ),
                "c": (
                    "expresses-less",
                    "Minus a matrix is a matrix: both can be trained to the same functions.",
                ),
            }
        ),
        "Scores are linear in the query, and what a position says is linear in the value.",
    ),
    "7.3": Exercise(
        "How many tickets?",
        _heads_needed,
        "All H heads are unlucky with probability (1-p)^H.",
        "heads_needed(p, share)",
    ),
    "7.4": Exercise(
        "Good, bad, discarded",
        _kind_of_start,
        "Good: all above 0.95. Bad: all below 0.6. A head that is neither is discarded.",
        "kind_of_start(accuracies)",
    ),
    "7.5": Exercise(
        "What averaging does to the gradient",
        _head_velocities,
        "Near the origin the loss is log L - (L-1)/L^2 times the mean of a_k b_k.",
        "head_velocities(a, b, length)",
    ),
    "7.6": Exercise(
        "Remove a head by hand",
        _without,
        "`out.attention @ model.values(out.encoder_states)` has the heads' contexts on axis 1.",
        "without(model, batch, head)",
        seconds=20,
    ),
}

"""Checkers of chapter 7: several heads."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import torch

from lessons_lib import models
from lessons_lib.exercises.judge import Array, Exercise, choice, expect, numbers
from lessons_lib.exercises.sandbox import Student, Wrong
from lessons_lib.tasks import EOS, Copying


def _first(share: float, factor: float, least: float) -> int:
    """The first H with ``1 - share * factor^(H-1) >= least``, by trying one after the other."""
    left, heads = share, 1
    while 1 - left < least:
        left, heads = left * factor, heads + 1
    return heads


def _heads_needed(f: Student) -> None:
    for p, share in ((0.25, 0.99), (0.7, 0.95), (0.1, 0.5)):
        truth = _first(1 - p, 1 - p, share)
        exact = math.log(1 - share) / math.log(1 - p)
        mistakes = {
            "one-minus-power": (
                _first(p, p, share),
                "1 - p^H is the probability that not all heads are lucky. At least one is lucky "
                "unless all are unlucky.",
            ),
            "not-whole": (exact, "there are no fractions of heads. Round up."),
            "rounded-down": (truth - 1, "that is one head too few. Round up."),
        }
        expect(numbers(f(p, share)), truth, f"p = {p}, share = {share}", mistakes, tolerance=1e-9)


def _head_velocities(f: Student) -> None:
    for length, a, b in ((3, [1e-4, 0, 2e-4], [-3e-4, 1e-4, 0]), (4, [2e-4, -1e-4], [1e-4, 3e-4])):
        heads = len(a)
        truth = -_leads_gradient(length, np.array([a, b])) / (length - 1)
        mistakes = {
            "not-averaged": (
                truth * heads,
                "contexts are averaged, so each head's share in the logits has a factor 1/H.",
            ),
            "mean-field": (
                truth.mean(1, keepdims=True) + 0 * truth,
                "all heads get the same velocity. To first order a head feels itself only.",
            ),
            "whole-derivative": (
                truth * (length - 1),
                "that is minus the derivative. A lead is one entry against one other: divide by "
                "L-1.",
            ),
            "not-coupled": (truth[::-1], "a_k moves with b_k, and b_k with a_k."),
        }
        scaled = {key: (value / 1e-4, message) for key, (value, message) in mistakes.items()}
        found = numbers(f(np.array(a), np.array(b), length), (2, heads)) / 1e-4
        expect(found, truth / 1e-4, f"H = {heads}, L = {length}", scaled, tolerance=2e-3)


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
    words = batch.target != EOS

    def right(logits: torch.Tensor, where: torch.Tensor = words) -> float:
        return float((logits.argmax(-1) == batch.target)[where].double().mean())

    for head in range(3):
        others = [k for k in range(3) if k != head]
        with torch.no_grad():
            logits = _kept(model, others)(batch).logits
            silent = model.attend(model(batch).scores, batch.source_mask).clone()
            silent[:, head] = 0
            mistakes = {
                "divided-by-all": (
                    right(model(batch, attention=silent).logits),
                    "the head is silent, but the mean is still over all heads. Average the others.",
                ),
                "only-that-head": (
                    right(_kept(model, [head])(batch).logits),
                    "only this head is left. It is the one to take out.",
                ),
                "all-heads": (right(model(batch).logits), "no head is taken out."),
                "end-symbol": (
                    right(logits, batch.target_mask),
                    "the end symbol is counted. It can be found without reading.",
                ),
            }
        found = numbers(f(model, batch, head))
        expect(found, right(logits), f"head {head}", mistakes, tolerance=1e-6)


# Accuracy with three orders of the data, and what the paper calls the head.
_STARTS = (
    ((0.99, 0.97, 1.0), "good", "good", "it learns with all three orders."),
    ((0.2, 0.5, 0.1), "bad", "bad", "it learns with none."),
    ((0.99, 0.97, 0.3), "discarded", "any-order", "one of three orders fails."),
    ((0.99, 0.90, 1.0), "discarded", "mean", "the mean is high, but one order is below 0.95."),
    ((0.3, 0.2, 0.99), "discarded", "mean", "the mean is low, but one order is learned."),
    ((0.8, 0.7, 0.75), "discarded", "not-good-is-bad", "bad is below 0.6, not only not good."),
)


def _kind_of_start(f: Student) -> None:
    for accuracies, truth, key, why in _STARTS:
        found = f(list(accuracies))
        if type(found) is not str or found not in ("good", "bad", "discarded"):
            raise Wrong("type", "Expected 'good', 'bad' or 'discarded'.")
        if found != truth:
            raise Wrong(key, f"{accuracies} is {truth}, found {found}: {why}")


EXERCISES = {
    "7.1": Exercise(
        "Eight times the same ticket",
        choice(
            {
                "a": (
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
        "How many tickets?",
        _heads_needed,
        "All H heads are unlucky with probability (1-p)^H.",
        "heads_needed(p, share)",
    ),
    "7.3": Exercise(
        "Good, bad, discarded",
        _kind_of_start,
        "Good: all above 0.95. Bad: all below 0.6. A head that is neither is discarded.",
        "kind_of_start(accuracies)",
    ),
    "7.4": Exercise(
        "What averaging does to the gradient",
        _head_velocities,
        "Near the origin the loss is log L - (L-1)/L^2 times the mean of a_k b_k.",
        "head_velocities(a, b, length)",
    ),
    "7.5": Exercise(
        "Remove a head by hand",
        _without,
        "`out.attention @ model.values(out.encoder_states)` has the heads' contexts on axis 1.",
        "without(model, batch, head)",
        seconds=20,
    ),
}

"""Checkers of chapter 7: several heads."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from lessons_lib import models
from lessons_lib.exercises.ch06 import leads_gradient
from lessons_lib.exercises.sandbox import Student, Wrong
from lessons_lib.tasks import EOS, Batch, Copying

# isort: off
# fmt: off
from lessons_lib.exercises.judge import (
    Array, Cases, Table, choice, compare, compared, decide, exercise, named)


choice("7.1", "Eight times the same ticket",
    "What is the mean of eight equal contexts, and what its gradient?",
    b=("number-of-heads", "Equal heads have equal gradients and stay equal. How many different "
        "starts are there?"),
    c=("worse-than-one", "The mean of eight equal contexts is that context. Nothing is lost."),
    d=("more-parameters", "The other parameters are copies. One head with as many parameters does "
        "not help either."))


choice("7.2", "In the mirror",
    "Scores are linear in the query, and what a position says is linear in the value.",
    a=("product", "The product a b, and with it the loss near the origin, is the same for both. "
        "What decides the branch is the sign of a + b."),
    b=("only-attention", "Minus the query turns the scores over. What does minus the value do to "
        "what a position says?"),
    c=("expresses-less", "Minus a matrix is a matrix: both can be trained to the same functions."))


def _first(share: float, factor: float, least: float) -> int:
    """The first H with ``1 - share * factor^(H-1) >= least``, by trying one after the other."""
    left, heads = share, 1
    while 1 - left < least:
        left, heads = left * factor, heads + 1
    return heads


@exercise("7.3", "How many tickets?", "All H heads are unlucky with probability (1-p)^H.",
    "heads_needed(p, share)")
@compared(
    named("p = {}, share = {}",
        (0.25, 0.99), (0.7, 0.95), (0.1, 0.5), (0.5, 0.75), (0.75, 0.9375), (0.9, 0.3)),
    tolerance=1e-9)
def _heads_needed(p: Any, s: Any) -> Table:
    needed, log = _first(1 - p, 1 - p, s), math.log
    exact = log(1 - s) / log(1 - p)
    return needed, {
        "one-minus-power": (_first(p, p, s),
            "1 - p^H is the probability that not all heads are lucky. At least one is lucky "
            "unless all are unlucky."),
        "not-whole": (exact, "there are no fractions of heads. Round up."),
        "rounded-down": (math.floor(exact), "that is too few. Round up."),
        "rounded-down-one": (max(math.floor(exact), 1),
            "rounding down to at least one is too few."),
        "one-less": (needed - 1, "that is one head too few."),
        "one-more": (math.floor(exact) + 1,
            "where the logarithms give a whole number, that many are enough: at least, not more."),
        "plus-one": (needed + 1, "one head fewer is enough."),
        "nearest": (round(exact), "the nearest whole number may be too few."),
        "added-up": (math.ceil(s / p),
            "chances do not add up: two heads may be lucky in the same run."),
        "swapped": (_first(1 - s, 1 - s, p), "p and share are exchanged."),
        "not-missed": (math.ceil(log(s) / log(1 - p)),
            "(1-p)^H is how often all are unlucky: at most 1 - share, not share."),
        "all-lucky": (max(math.floor(log(s) / log(p)), 1), "that all are lucky is too much."),
        "for-half": (math.ceil(log(1 - s) / log(0.5)), "it does not depend on p."),
        "for-99%": (_first(1 - p, 1 - p, 0.99), "share is an argument, not always 0.99."),
    }


@exercise("7.4", "Good, bad, discarded",
    "Good: all above 0.95. Bad: all below 0.6. A head that is neither is discarded.",
    "kind_of_start(accuracies)")
def _kind_of_start(f: Student) -> None:
    most, above, below = "most orders are not every order.", "above 0.95 is enough.", "below 0.6"
    # Accuracies with several orders of the data, and what the paper calls the head.
    rows = (
        ([0.99, 0.97, 1.0], "good", "good", "it learns with all orders."),
        ([0.2, 0.5, 0.1], "bad", "bad", "it learns with none."),
        ([0.99, 0.97, 0.3], "discarded", "any-order", "one of three orders fails."),
        ([0.99, 0.90, 1.0], "discarded", "mean", "the mean is high, but one order is below 0.95."),
        ([0.3, 0.2, 0.99], "discarded", "mean", "the mean is low, but one order is learned."),
        ([0.8, 0.7, 0.75], "discarded", "not-good-is-bad", f"bad is {below}, not only not good."),
        ([0.99, 0.99, 0.94], "discarded", "last-or-first",
            "every order counts, the last one, too."),
        ([0.1, 0.1, 0.65], "discarded", "most", most),
        ([0.65, 0.1, 0.1], "discarded", "most", most),
        ([0.5, 0.97, 0.99], "discarded", "most", most),
        ([0.95, 0.99, 0.97], "discarded", "equal-is-above", "0.95 is not above 0.95."),
        ([0.6, 0.3, 0.2], "discarded", "equal-is-below", "0.6 is not below 0.6."),
        ([0.96, 0.955, 0.96], "good", "threshold", above),
        ([0.59, 0.55, 0.58], "bad", "threshold", f"{below} is enough."),
        ([0.96, 0.99], "good", "three-orders", "there may be two orders."),
        ([0.5, 0.3, 0.2, 0.1, 0.7], "discarded", "three-orders", "there may be five orders."),
        ([0.97], "good", "three-orders", "there may be one order."),
    )
    decide(f, (([accuracies], *rest) for accuracies, *rest in rows), ("good", "bad", "discarded"))


def _leads() -> Cases:
    rows = (
        (3, [1.0, 2.0], [-3.0, 1.0]),
        (4, [2.0, -1.0, 1.0], [1.0, 3.0, -2.0]),
        (2, [1.0, 0.0, 2.0, -1.0], [-3.0, 1.0, 0.0, 2.0]),
        (3, [1.0], [2.0]),
    )
    return {f"H = {len(a)}, L = {n}": (1e-4 * np.array(a), 1e-4 * np.array(b), n)
        for n, a, b in rows}


@exercise("7.5", "What averaging does to the gradient",
    "Near the origin the loss is log L - (L-1)/L^2 times the mean of a_k b_k.",
    "head_velocities(a, b, length)")
@compared(_leads, tolerance=2e-3)
def _head_velocities(a: Array, b: Array, n: int) -> Table:
    pair, heads = np.array([b, a]), len(a)
    right = -leads_gradient(n, np.array([a, b])) / (n - 1)
    field = right.mean(1, keepdims=True)
    same = "all heads get the same velocity. To first order a head feels itself only."
    return right, {
        "not-averaged": (heads * right,
            "contexts are averaged, so each head's share in the logits has a factor 1/H."),
        "mean-field": (field, same),
        "summed-field": (field * heads, same),
        "whole-derivative": (right * (n - 1),
            "that is minus the derivative. A lead is one entry against one other: divide by L-1."),
        "length-for-heads": (pair / n**3, "the mean is over H heads, not over L positions."),
        "heads-for-length": (pair / heads**3, "the softmax is over L positions, not H heads."),
        "averaged-twice": (pair / (n * heads) ** 2, "1/H comes once: the logits have it."),
        "by-length": (pair / (heads * n), "L enters squared, as in chapter 5."),
        "no-factor": (pair, "that is the direction. How fast is it?"),
        "only-averaged": (pair / heads, "the factor 1/L^2 is missing."),
        "not-coupled": (right[::-1], "a_k moves with b_k, and b_k with a_k."),
        "sign": (-right, "gradient flow goes downhill in the loss."),
        "one-less": (pair / (heads * n * (n - 1)), "see dp/da in chapter 5: 1/L^2."),
    }


def _kept(model: models.Seq2Seq, heads: list[int]) -> models.Seq2Seq:
    """A model of its own with some of the heads, everything else alike."""
    smaller = models.build(replace(model.config, heads=len(heads)), seed=0)
    state = model.state_dict()
    for name in ("query.weight", "query.bias", "value.weight", "value.bias"):
        state[name] = torch.cat([state[name].chunk(model.config.heads)[k] for k in heads])
    smaller.load_state_dict(state)
    return smaller


def _three_heads() -> Cases:
    task = Copying(vocab=6, length=5)
    config = models.Seq2SeqConfig(task.vocab_size, task.vocab_size, 7, 11, heads=3)
    model, batch = models.build(config, seed=7006).eval(), task.sample(400, seed=7007)
    with torch.no_grad():  # so large that each head matters, and that heads differ
        model.value.weight.mul_(12)
        model.query.weight.mul_(20)
    return {f"head {head}": (model, batch, head) for head in range(3)}


@exercise("7.6", "Remove a head by hand",
    "`out.attention @ model.values(out.encoder_states)` has the heads' contexts on axis 1.",
    "without(model, batch, head)", seconds=20)
@compared(_three_heads, tolerance=1e-6)
@torch.no_grad()
def _without(model: models.Seq2Seq, batch: Batch, head: int) -> Table:
    def right(logits: torch.Tensor, end: bool = False) -> float:
        where = batch.target_mask if end else batch.target != EOS
        return float((logits.argmax(-1) == batch.target)[where].double().mean())

    def logits(*heads: int) -> torch.Tensor:
        found: torch.Tensor = _kept(model, list(heads))(batch).logits
        return found

    def weighted(weight: float) -> float:
        """With this weight for the head, and the mean still over all."""
        alpha = out.attention.clone()
        alpha[:, head] = weight
        return right(model(batch, attention=alpha).logits)

    out, others = model(batch), [k for k in range(3) if k != head]
    contexts = out.attention @ model.values(out.encoder_states)
    added = model.readout(out.decoder_states, contexts[:, others].sum(1))
    left, everything = logits(*others), logits(0, 1, 2)
    whole = (left.argmax(-1) == batch.target) | (batch.target == EOS)
    another = "that is another head: they count from 0."
    return right(left), {
        "divided-by-all": (weighted(0),
            "the head is silent, but the mean is still over all heads. Average the others."),
        "added": (right(added), "the other heads' contexts are added up. Average them."),
        "uniform": (weighted(1 / batch.source.shape[1]),
            "the head looks everywhere alike, but it still speaks. Take it out."),
        "only-that-head": (right(logits(head)),
            "only this head is left. It is the one to take out."),
        "all-heads": (right(everything), "no head is taken out."),
        "end-symbol": (right(left, end=True),
            "the end symbol is counted. It can be found without reading."),
        "all-with-end": (right(everything, end=True), "no head is taken out, and the end counts."),
        "heads-before": (right(logits(*range(head)) if head else everything),
            "only the heads before it are left."),
        "heads-after": (right(logits(*range(head + 1, 3)) if head < 2 else everything),
            "only the heads after it are left."),
        "next-head": (right(logits(*(k for k in range(3) if k != (head + 1) % 3))), another),
        "previous-head": (right(logits(*(k for k in range(3) if k != (head - 1) % 3))), another),
        "whole-outputs": (float(whole.all(1).double().mean()),
            "that is the share of outputs without any mistake."),
        "lost": (right(everything) - right(left),
            "that is how much is lost. Asked is the accuracy that is left."),
    }


def _pairs() -> Cases:
    return {f"{n} heads": (models.build(models.Seq2SeqConfig(9, 9, 3, 5, heads=n), seed=7008),)
        for n in (2, 4, 6)}


def _in_a_row(model: models.Seq2Seq, turn: Callable[[Array, str], Array]) -> Array:
    """All parameters, after those of queries and values were turned, ``(heads, ...)``."""
    parts = {name: part.detach().double().numpy()
        for name, part in torch.nn.Module.named_parameters(model)}
    return np.concatenate([
        np.ravel(turn(part.reshape(model.config.heads, -1), name)
            if name.startswith(("query", "value")) else part)
        for name, part in parts.items()])


def _images(model: models.Seq2Seq) -> Table:
    half = model.config.heads // 2

    def pair(h: Array, sign: float = -1) -> Array:
        return np.concatenate([h[:half], sign * h[:half]])

    def turned(turn: Callable[[Array], Array], of: str = "", others: Any = None) -> Array:
        """With the others, whose names do not contain ``of``, as they are or turned otherwise."""
        return _in_a_row(model, lambda h, name: turn(h) if of in name else (others or np.copy)(h))

    def copies(h: Array) -> Array:
        return pair(h, 1)

    query = "only queries are turned over: (a, b) becomes (-a, b), and both may be on the bad side."
    value = "only values are turned over: (a, b) becomes (a, -b), and both may be on the bad side."
    return turned(pair), {
        "nothing": (turned(np.copy), "it is the model as it was."),
        "copies": (turned(copies), "the second half are copies: equal heads are one start. Where "
            "is the minus?"),
        "biases-stay": (turned(pair, "weight"), "biases belong to the head, too."),
        "biases-copied": (turned(pair, "weight", copies), "biases change their sign, too."),
        "query-only": (turned(pair, "query"), query),
        "query-only-of-copies": (turned(pair, "query", copies), query),
        "value-only": (turned(pair, "value"), value),
        "value-only-of-copies": (turned(pair, "value", copies), value),
        "own-sign": (turned(lambda h: np.concatenate([h[:half], -h[half:]])),
            "the second half's own weights are turned over. Take those of the first half."),
        "all-turned": (turned(lambda h: -h), "all heads are turned over, and none is a pair."),
        "wrong-half": (turned(lambda h: np.concatenate([-h[half:], h[half:]])),
            "the first half is to stay as it was."),
        "both-turned": (turned(lambda h: -pair(h)), "the first half is to stay as it was."),
        "neighbours": (turned(lambda h: np.stack([h[::2], -h[::2]], 1)),
            "images stand beside their heads. Head k's is head H/2 + k."),
        "backwards": (turned(lambda h: np.concatenate([h[:half], -h[:half][::-1]])),
            "the images come in the opposite order. Head k's is head H/2 + k."),
    }


@exercise("7.7", "A head and its mirror image",
    "Rows of `model.query.weight` belong to the heads in turn, as those of its bias and of "
    "`model.value`: `chunk(2)` gives the two halves of the heads.",
    "mirrored(model)")
def _mirrored(f: Student) -> None:
    def read(model: models.Seq2Seq) -> Array:
        found = f(model)
        if not issubclass(type(found), models.Seq2Seq):
            kind = type(found).__name__
            raise Wrong("type", f"Expected a model, found an object of type {kind}.")
        return _in_a_row(found, lambda part, _: part)

    compare(read, _pairs(), _images)
    try:
        f(models.build(models.Seq2SeqConfig(9, 9, 3, 5, heads=3), seed=7008))
    except Wrong as wrong:
        if " raises ValueError:" in wrong.message:
            return
    raise Wrong("odd", "Three heads have no two halves. Raise a ValueError that says so.")

"""Checkers of chapter 7: several heads."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from lessons_lib import models
from lessons_lib.exercises.ch06 import leads_gradient
from lessons_lib.exercises.contents import Array, Cases, Table, Wrong, kind
from lessons_lib.exercises.judge import compare, compared, exercise, refuse
from lessons_lib.tasks import EOS, Batch, Copying


def _first(share: float, factor: float, least: float) -> int:
    """The first H with ``1 - share * factor^(H-1) >= least``, by trying one after the other."""
    left, heads = share, 1
    while 1 - left < least:
        left, heads = left * factor, heads + 1
    return heads


@compared("7.3", tolerance=1e-9)
def _heads_needed(p: Any, s: Any) -> Table:
    needed, log = _first(1 - p, 1 - p, s), math.log
    exact = log(1 - s) / log(1 - p)
    return needed, {
        "one-minus-power": _first(p, p, s),
        "not-whole": exact,
        "rounded-down": math.floor(exact),
        "rounded-down-one": max(math.floor(exact), 1),
        "one-more": math.floor(exact) + 1,
        "plus-one": needed + 1,
        "nearest": round(exact),
        "added-up": math.ceil(s / p),
        "swapped": _first(1 - s, 1 - s, p),
        "not-missed": math.ceil(log(s) / log(1 - p)),
        "all-lucky": max(math.floor(log(s) / log(p)), 1),
        "for-half": math.ceil(log(1 - s) / log(0.5)),
        "for-99%": _first(1 - p, 1 - p, 0.99),
    }


@compared("7.5", tolerance=2e-3)
def _head_velocities(a: Array, b: Array, n: int) -> Table:
    pair, heads = np.array([b, a]), len(a)
    right = -leads_gradient(n, np.array([a, b])) / (n - 1)
    field = right.mean(1, keepdims=True)
    return right, {
        "not-averaged": heads * right,
        "mean-field": field,
        "summed-field": field * heads,
        "whole-derivative": right * (n - 1),
        "length-for-heads": pair / n**3,
        "heads-for-length": pair / heads**3,
        "averaged-twice": pair / (n * heads) ** 2,
        "by-length": pair / (heads * n),
        "no-factor": pair,
        "only-averaged": pair / heads,
        "one-less": pair / (heads * n * (n - 1)),
    }


def _three_heads() -> Cases:
    task = Copying(vocab=6, length=5)
    config = models.Seq2SeqConfig(task.vocab_size, task.vocab_size, 7, 11, heads=3)
    model, batch = models.build(config, seed=7006).eval(), task.sample(400, seed=7007)
    with torch.no_grad():  # so large that each head matters, and that heads differ
        model.value.weight.mul_(12)
        model.query.weight.mul_(20)
    return {f"head {head}": (model, batch, head) for head in range(3)}


@compared("7.6", _three_heads, tolerance=1e-6)
@torch.no_grad()
def _without(model: models.Seq2Seq, batch: Batch, head: int) -> Table:
    def right(logits: torch.Tensor, end: bool = False) -> float:
        where = batch.target_mask if end else batch.target != EOS
        return float((logits.argmax(-1) == batch.target)[where].double().mean())

    def logits(heads: list[int], factor: float | None = None, rest: float = 0) -> Any:
        """Of these heads, as in a mean over them alone, or by a factor; the others' weights."""
        alpha = torch.full_like(out.attention, rest)
        alpha[:, heads] = out.attention[:, heads] * (factor or 3 / len(heads))
        return model(batch, attention=alpha).logits

    out, others = model(batch), [k for k in range(3) if k != head]
    left, everything = logits(others), out.logits
    whole = (left.argmax(-1) == batch.target) | (batch.target == EOS)
    return right(left), {
        "divided-by-all": right(logits(others, 1)),
        "added": right(logits(others, 3)),
        "uniform": right(logits(others, 1, 1 / batch.source.shape[1])),
        "only-that-head": right(logits([head])),
        "all-heads": right(everything),
        "end-symbol": right(left, end=True),
        "all-with-end": right(everything, end=True),
        "heads-before": right(logits([*range(head)]) if head else everything),
        "heads-after": right(logits([*range(head + 1, 3)]) if head < 2 else everything),
        "next-head": right(logits([k for k in range(3) if k != (head + 1) % 3])),
        "previous-head": right(logits([k for k in range(3) if k != (head - 1) % 3])),
        "whole-outputs": float(whole.all(1).double().mean()),
        "lost": right(everything) - right(left),
    }


def _pairs() -> Cases:
    return {
        f"{n} heads": (models.build(models.Seq2SeqConfig(9, 9, 3, 5, heads=n), seed=7008),)
        for n in (2, 4, 6)
    }


def _in_a_row(model: models.Seq2Seq, turn: Callable[[Array, str], Array] | None = None) -> Array:
    """All parameters, after those of queries and values were turned, ``(heads, ...)``."""
    rows = []
    for name, part in torch.nn.Module.named_parameters(model):
        row = part.detach().double().numpy()
        if turn and name.startswith(("query", "value")):
            row = turn(row.reshape(model.config.heads, -1), name)
        rows.append(row.ravel())
    return np.concatenate(rows)


def _images(model: models.Seq2Seq) -> Table:
    half = model.config.heads // 2

    def pair(h: Array, sign: float = -1) -> Array:
        return np.concatenate([h[:half], sign * h[:half]])

    def copies(h: Array) -> Array:
        return pair(h, 1)

    def turned(turn: Callable[[Array], Array], of: str = "", others: Any = None) -> Array:
        """With the others, whose names do not contain ``of``, as they are or turned otherwise."""
        return _in_a_row(model, lambda h, name: turn(h) if of in name else (others or np.copy)(h))

    return turned(pair), {
        "nothing": turned(np.copy),
        "copies": turned(copies),
        "biases-stay": turned(pair, "weight"),
        "biases-copied": turned(pair, "weight", copies),
        "query-only": turned(pair, "query"),
        "query-only-of-copies": turned(pair, "query", copies),
        "value-only": turned(pair, "value"),
        "value-only-of-copies": turned(pair, "value", copies),
        "own-sign": turned(lambda h: np.concatenate([h[:half], -h[half:]])),
        "all-turned": turned(lambda h: -h),
        "wrong-half": turned(lambda h: np.concatenate([-h[half:], h[half:]])),
        "both-turned": turned(lambda h: -pair(h)),
        "neighbours": turned(lambda h: np.stack([h[::2], -h[::2]], 1)),
        "backwards": turned(lambda h: np.concatenate([h[:half], -h[:half][::-1]])),
    }


@exercise("7.7")
def _mirrored(f: Any) -> None:
    def read(model: models.Seq2Seq) -> Array:
        found = f(model)
        wrong = not issubclass(type(found), models.Seq2Seq)
        refuse("7.7", "", {"type": wrong}, found=kind(found))
        return _in_a_row(found)

    compare("7.7", read, _images, _pairs())
    try:
        f(models.build(models.Seq2SeqConfig(9, 9, 3, 5, heads=3), seed=7008))
    except Wrong as wrong:
        if " raises ValueError:" in wrong.message:
            return
    refuse("7.7", "", {"odd": True})

"""Checkers of chapter 7: several heads."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from lessons_lib import models
from lessons_lib.exercises.contents import Array, Cases, Table, Wrong, kind
from lessons_lib.exercises.judge import compare, compared, exercise, refuse
from lessons_lib.tasks import EOS, Batch, Copying


def _first(unlucky: float, least: float) -> int:
    """The first H with ``1 - unlucky^H >= least``, by trying one after the other."""
    return next(heads for heads in itertools.count(1) if 1 - unlucky**heads >= least)


@compared("7.3", tolerance=1e-9)
def _heads_needed(p: Any, s: Any) -> Table:
    needed, log = _first(1 - p, s), math.log
    exact = log(1 - s) / log(1 - p)
    return needed, {
        "one-minus-power": _first(p, s),
        "not-whole": exact,
        "rounded-down": math.floor(exact),
        "one-more": math.floor(exact) + 1,
        "plus-one": needed + 1,
        "nearest": round(exact),
        "added-up": math.ceil(s / p),
        "swapped": _first(1 - s, p),
        "not-missed": math.ceil(log(s) / log(1 - p)),
    }


@compared("7.5", tolerance=2e-3)
def _head_velocities(a: Array, b: Array, n: int) -> Table:
    pair, heads = np.array([b, a]), len(a)
    right = pair / (heads * n**2)  # to first order a head feels itself only
    return right, {
        "not-averaged": heads * right,
        "mean-field": right.mean(1, keepdims=True),
        "whole-derivative": right * (n - 1),
        "length-for-heads": pair / n**3,
        "by-length": pair / (heads * n),
        "no-factor": pair,
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
    def right(attention: torch.Tensor, counted: torch.Tensor = batch.target != EOS) -> float:
        found = model(batch, attention=attention).logits.argmax(-1) == batch.target
        return float(found[counted].double().mean())

    alpha, one = model(batch).attention, torch.eye(3)[head][:, None, None]
    others = alpha * (1 - one)
    left, everything = right(1.5 * others), right(alpha)
    return left, {
        "divided-by-all": right(others),
        "added": right(3 * others),
        "uniform": right(others + one / batch.source.shape[1]),
        "only-that-head": right(3 * alpha * one),
        "all-heads": everything,
        "end-symbol": right(1.5 * others, batch.target_mask),
        "next-head": right(1.5 * alpha * (1 - one.roll(1, 0))),
        "lost": everything - left,
    }


def _with_heads(heads: int) -> models.Seq2Seq:
    return models.build(models.Seq2SeqConfig(9, 9, 3, 5, heads=heads), seed=7008)


def _in_a_row(
    model: models.Seq2Seq, turn: Callable[[Array], Array] | None = None, of: str = ""
) -> Array:
    """All parameters, after those of queries and values were turned, ``(heads, ...)``.

    Only those that have ``of`` in their names.
    """
    rows = []
    for name, part in torch.nn.Module.named_parameters(model):
        row = part.detach().double().numpy()
        if turn and name.startswith(("query", "value")) and of in name:
            row = turn(row.reshape(model.config.heads, -1))
        rows.append(row.ravel())
    return np.concatenate(rows)


def _images(model: models.Seq2Seq) -> Table:
    half = model.config.heads // 2

    def pair(h: Array) -> Array:
        return np.concatenate([h[:half], -h[:half]])

    return _in_a_row(model, pair), {
        "nothing": _in_a_row(model),
        "copies": _in_a_row(model, lambda h: np.concatenate([h[:half], h[:half]])),
        "biases-stay": _in_a_row(model, pair, "weight"),
        "query-only": _in_a_row(model, pair, "query"),
        "value-only": _in_a_row(model, pair, "value"),
        "own-sign": _in_a_row(model, lambda h: np.concatenate([h[:half], -h[half:]])),
        "wrong-half": _in_a_row(model, lambda h: np.concatenate([-h[half:], h[half:]])),
        "neighbours": _in_a_row(model, lambda h: np.stack([h[::2], -h[::2]], 1)),
    }


@exercise("7.7")
def _mirrored(f: Any) -> None:
    def read(model: models.Seq2Seq) -> Array:
        found = f(model)
        wrong = not issubclass(type(found), models.Seq2Seq)
        refuse("7.7", "", {"type": wrong}, found=kind(found))
        return _in_a_row(found)

    compare("7.7", read, _images, {f"{n} heads": (_with_heads(n),) for n in (2, 4, 6)})
    try:
        f(_with_heads(3))
    except Wrong as wrong:
        if " raises ValueError:" in wrong.message:
            return
    refuse("7.7", "", {"odd": True})

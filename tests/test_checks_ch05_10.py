"""Chapters 5, 9 and 10: right answers pass, and named wrong ones are told apart."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lessons_lib import models
from lessons_lib.exercises.check import check
from lessons_lib.lab import blocks, interventions
from lessons_lib.theory import two_words


def frozen_names(names: list[str]) -> list[str]:
    return [name for name in names if not name.startswith("query")]


def loss_push(alpha: Tensor, z: Tensor, y: int) -> Tensor:
    mean = alpha @ z
    error = torch.eye(z.shape[1], dtype=z.dtype)[y] - mean.softmax(-1)
    return alpha * ((z - mean) @ error)


def centred(z: Tensor, alpha: Tensor) -> Tensor:
    return z - alpha @ z


def half_rise(
    steps: np.ndarray, values: np.ndarray, level: float | None = None, last: bool = False
) -> float:
    level = (values[0] + values[-1]) / 2 if level is None else level
    k = int((values < level).nonzero()[0][-1]) + 1 if last else int((values >= level).argmax())
    part = (level - values[k - 1]) / (values[k] - values[k - 1])
    return float(steps[k - 1] + part * (steps[k] - steps[k - 1]))


def with_residual(cross: Tensor, within: Tensor, share: float) -> Tensor:
    return cross @ (share * torch.eye(within.shape[-1]).to(within) + (1 - share) * within)


def lead_needed(loss: float, length: int) -> float:
    return -(length - 1) * math.log((length - 1) / math.expm1(loss))


def adam_way(gradients: Tensor, rate: float, corrected: bool = True, power: float = 0.5) -> Tensor:
    m = v = way = torch.zeros_like(gradients[0])
    for t, g in enumerate(gradients, start=1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        a, b = (1 - 0.9**t, 1 - 0.999**t) if corrected else (1, 1)
        way = way - rate * (m / a) / ((v / b) ** power + 1e-8)
    return way


RIGHT: dict[str, Any] = {
    "5.1": "c",
    "5.2": frozen_names,
    "5.3": ((0.5, 0.5), ((1, 3), (0, 0))),
    "5.4": loss_push,
    "5.5": lambda b, n: -b / (n - 1),
    "9.1": "a",
    "9.2": lambda k, n: (math.comb(k, 2) + math.comb(n - k, 2)) / math.comb(n, 2),
    "9.3": lambda a, r: -a / math.sqrt(r),
    "10.1": (1 / 3, 1 / 11, 1),
    "10.2": "c",
    "10.3": half_rise,
    "10.5": with_residual,
    "10.6": lead_needed,
    "10.7": adam_way,
}

WRONG: dict[str, dict[str, tuple[Any, str]]] = {
    "5.1": {
        "one number above zero": ("a", "one-is-enough"),
        "sharp attention": ("b", "sharp-is-right"),
        "attention first": ("d", "attention-decides"),
    },
    "5.2": {
        "only words in, words out": (
            lambda names: [
                n for n in names if n.startswith(("source_embedding", "value", "readout_layers"))
            ],
            "states-free",
        ),
        "values forgotten": (
            lambda names: [n for n in names if not n.startswith(("query", "value"))],
            "value-free",
        ),
        "the query": (
            lambda names: [n for n in names if n.startswith("query")],
            "froze-attention",
        ),
        "all": (lambda names: names, "nothing-left"),
        "the query's bias as well": (
            lambda names: [n for n in names if n != "query.weight"],
            "too-much",
        ),
        "groups for names": (lambda names: ["ktiw", "shared"], "unknown-name"),
        "one string": (lambda names: "value.weight", "type"),
    },
    "5.3": {
        "both raise": (((0.5, 0.5), ((1, 0), (0, 0))), "both-raise"),
        "the other position": (((0.5, 0.5), ((0, 0), (1, 3))), "other-position"),
        "no difference": (((0.5, 0.5), ((1, 1), (1, 1))), "no-push"),
        "no shares": (((1, 1), ((1, 3), (0, 0))), "no-weights"),
        "z alone": (((1, 3), (0, 0)), "shape"),
    },
    "5.4": {
        "the logit's": (lambda alpha, z, y: alpha * centred(z, alpha)[:, y], "logit-law"),
        "the loss's sign": (lambda alpha, z, y: -loss_push(alpha, z, y), "sign"),
        "without alpha": (lambda alpha, z, y: loss_push(alpha, z, y) / alpha, "no-alpha"),
        "no mean": (
            lambda alpha, z, y: (
                alpha * (z @ (torch.eye(z.shape[1])[y].double() - (alpha @ z).softmax(-1)))
            ),
            "no-mean",
        ),
        "mean of probabilities": (
            lambda alpha, z, y: (
                alpha
                * (centred(z, alpha) @ (torch.eye(z.shape[1])[y].double() - alpha @ z.softmax(-1)))
            ),
            "mixed-probabilities",
        ),
        "softmax over positions": (
            lambda alpha, z, y: alpha * (1 - (alpha @ z).softmax(-1)[y]) * z[:, y],
            "value",
        ),
    },
    "5.5": {
        "one rival": (lambda b, n: -b, "one-rival"),
        "mean of all": (lambda b, n: -b / n, "mean-of-all"),
        "sign": (lambda b, n: b / (n - 1), "sign"),
        "no effect": (lambda b, n: 0, "nothing"),
    },
    "9.1": {
        "no better than chance": ("b", "chance"),
        "the start": ("c", "start"),
        "neither": ("d", "nothing"),
    },
    "9.2": {
        "with itself": (lambda k, n: (k / n) ** 2 + (1 - k / n) ** 2, "with-itself"),
        "aligned pairs": (lambda k, n: math.comb(k, 2) / math.comb(n, 2), "only-aligned"),
        "a number": (lambda k, n: math.comb(k, 2) + math.comb(n - k, 2), "pairs"),
        "the larger branch": (lambda k, n: max(k, n - k) / n, "majority"),
    },
    "9.3": {
        "equal rates": (lambda a, r: -a, "equal-rates"),
        "wrong way": (lambda a, r: -a * math.sqrt(r), "wrong-way"),
        "no root": (lambda a, r: -a / r, "no-root"),
        "the way out": (lambda a, r: a / math.sqrt(r), "sign"),
    },
    "10.1": {
        "spare words": ((1 / 2, 1 / 10, 1), "spare-words"),
        "any word": ((1 / 12, 1 / 20, 1 / 12), "any-word"),
        "words of the input": ((0.1, 0.1, 1 / 12), "input-words"),
        "new words are lost": ((0.333, 0.091, 0.333), "old-words-only"),
        "all three right": ((1, 1, 1), "always"),
    },
    "10.2": {
        "accuracy on the task": ("a", "both-copy"),
        "attention": ("b", "both-look-away"),
        "speed": ("d", "speed"),
    },
    "10.3": {
        "half of the end": (lambda x, y: half_rise(x, y, level=y[-1] / 2), "of-the-end"),
        "the value one half": (lambda x, y: np.interp(0.5, y, x), "one-half"),
        "the next evaluation": (
            lambda x, y: x[(y >= (y[0] + y[-1]) / 2).argmax()],
            "not-between",
        ),
        "the last time": (lambda x, y: half_rise(x, y, last=True), "last-crossing"),
    },
    "10.5": {
        "transposed": (lambda c, w, share: with_residual(c, w.mT, share), "transposed"),
        "other order": (
            lambda c, w, share: (
                share * c + (1 - share) * w @ c
                if c.shape == w.shape
                else with_residual(c, w, share)
            ),
            "wrong-order",
        ),
        "one hop": (lambda c, w, share: c, "one-hop"),
        "the product alone": (lambda c, w, share: c @ w, "no-residual"),
        "share of the other": (lambda c, w, share: with_residual(c, w, 1 - share), "swapped"),
        "added": (lambda c, w, share: share * c + c @ w, "added"),
        "entry by entry": (
            lambda c, w, share: (
                share * c + (1 - share) * c * w
                if c.shape == w.shape
                else with_residual(c, w, share)
            ),
            "entry-by-entry",
        ),
    },
    "10.6": {
        "aligned": (lambda x, n: math.log((n - 1) / math.expm1(x)), "aligned"),
        "sign": (lambda x, n: -lead_needed(x, n), "sign"),
        "as if attended in full": (
            lambda x, n: lead_needed(x, n) / (n - 1),
            "attended-in-full",
        ),
        "shared among all": (lambda x, n: lead_needed(x, n) * n / (n - 1), "shared-among-all"),
    },
    "10.7": {
        "gradient descent": (lambda g, rate: -rate * g.sum(0), "gradient-descent"),
        "not corrected": (lambda g, rate: adam_way(g, rate, corrected=False), "no-correction"),
        "no root": (lambda g, rate: adam_way(g, rate, power=1), "no-root"),
        "uphill": (lambda g, rate: -adam_way(g, rate), "uphill"),
        "signs": (lambda g, rate: -rate * g.sign().sum(0), "signs-only"),
        "the last step": (
            lambda g, rate: adam_way(g, rate) - (adam_way(g[:-1], rate) if len(g) > 1 else 0),
            "last-step",
        ),
    },
}


def test_examples_of_other_sizes_pass_too() -> None:
    for alpha, z in (((0.1, 0.9), ((2, 7), (1, -1))), ((0.7, 0.3), ((0, 5), (-1, 0)))):
        assert check("5.3", (alpha, z)).passed


def test_the_library_passes_where_it_answers_the_same_question() -> None:
    """The oracles against other code of ours, which was not written for these exercises."""

    def names_of(names: list[str]) -> list[str]:
        size = models.Seq2SeqConfig(10, 10, d_embed=3, d_hidden=5)
        model = models.build(size, seed=1)
        groups = interventions.parameter_groups(model)
        frozen = {id(p) for name in ("ktiw", "shared") for p in groups[name]}
        queries = {n for n, p in model.named_parameters() if id(p) not in frozen}
        return [name for name in names if name not in queries]

    def law(alpha: Tensor, z: Tensor, y: int) -> Any:
        return two_words.gradient_law_log_probability(alpha.numpy(), z.numpy(), y)

    assert check("5.2", names_of).passed
    assert check("10.3", blocks.half_rise).passed
    assert check("5.4", law).passed

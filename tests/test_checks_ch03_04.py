"""Chapters 3, 4 and 8: right answers pass, and named wrong ones are told apart."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from scipy.special import entr
from torch import Tensor

from lessons_lib import agreement, ibm_model1, models
from lessons_lib.exercises.check import check
from lessons_lib.tasks import PAD, Batch


def em_step(
    table: Tensor,
    source: Tensor,
    target: Tensor,
    norm: int = 1,
    blind: bool = False,
    pad: bool = False,
) -> Tensor:
    counts = torch.zeros_like(table)
    for x, y in zip(source, target, strict=True):
        x, y = x[x != PAD], (y if pad else y[y != PAD])
        likely = torch.ones(len(x), len(y)) if blind else table[x][:, y]
        shares = (likely / likely.sum(0)).to(table.dtype)
        for k, i in enumerate(x.tolist()):
            counts[i].index_add_(0, y, shares[k])
    return counts if norm == -1 else counts / counts.sum(norm, keepdim=True).clamp(min=1e-300)


def by_hand(
    u: Tensor, v: Tensor, mask: Tensor, top: Any = lambda n: -(-n // 20), strict: bool = True
) -> float:
    hits = []
    for b, t in zip(*torch.where(mask.any(-1)), strict=True):
        uu, vv = u[b, t][mask[b, t]], v[b, t][mask[b, t]]
        there = vv[uu.argmax()]
        ahead = (vv > there).sum() if strict else (vv >= there).sum() - 1
        hits.append(bool(ahead < top(len(uu))))
    return sum(hits) / len(hits)


def proxy(
    embedding: Tensor, weight: Tensor, bias: Tensor, source: Tensor, how: str = "mean"
) -> Tensor:
    there = (source != PAD)[..., None]
    total = (embedding[source] * there).sum(1)
    counts: dict[str, Any] = {"mean": there.sum(1), "sum": 1, "length": source.shape[1]}
    mean: Tensor = total / counts[how]
    return mean @ weight.T + bias


def fair(u: np.ndarray, v: np.ndarray, top: float, lucky: Any = None) -> float:
    k, hits = math.ceil(round(top * u.shape[1], 9)), []
    for a, b in zip(u, v, strict=True):
        ahead, tied = (b > b[a.argmax()]).sum(), (b == b[a.argmax()]).sum()
        share = min(max((k - ahead) / tied, 0), 1)
        hits.append(share if lucky is None or share in (0, 1) else lucky)
    return float(np.mean(hits))


def xi(level: float, curves: np.ndarray, performance: np.ndarray) -> float:
    above = curves.mean(0) > level
    return float(performance.mean(0)[above.argmax()]) if above.any() else math.nan


def xi_by_run(level: float, curves: np.ndarray, performance: np.ndarray) -> float:
    firsts = [(p, np.flatnonzero(c > level)) for c, p in zip(curves, performance, strict=True)]
    return float(np.mean([p[first[0]] for p, first in firsts if len(first)]))


def xi_zero_for_never(level: float, curves: np.ndarray, performance: np.ndarray) -> float:
    return float(performance.mean(0)[(curves.mean(0) > level).argmax()])


def xi_not_strict(level: float, curves: np.ndarray, performance: np.ndarray) -> float:
    above = curves.mean(0) >= level
    return float(performance.mean(0)[above.argmax()]) if above.any() else math.nan


RIGHT: dict[str, Any] = {
    "3.1": "a",
    "3.2": lambda *given: proxy(*given).softmax(-1),
    "3.3": by_hand,
    "3.4": em_step,
    "8.2": (1, 0, 2 / 30),
    "8.3": fair,
    "4.1": "c",
    "4.2": lambda attention: np.exp(entr(attention).sum(1)) / attention.shape[1],
    "4.3": "d",
    "8.1": "b",
    "8.4": xi,
}

WRONG: dict[str, dict[str, tuple[Any, str]]] = {
    "3.1": {
        "everything changes": ("c", "order-matters"),
        "nothing changes": ("b", "probe-fixed"),
        "only the loss": ("d", "loss-moves"),
    },
    "3.2": {
        "logits": (proxy, "logits"),
        "log-softmax": (lambda *g: proxy(*g).log_softmax(-1), "log-probability"),
        "sum of embeddings": (lambda e, w, b, x: proxy(e, w, b, x, "sum").softmax(-1), "sum"),
        "softmax over texts": (lambda *g: proxy(*g).softmax(0), "wrong-axis"),
        "padding in the mean": (
            lambda e, w, b, x: (e[x].mean(1) @ w.T + b).softmax(-1),
            "padding",
        ),
        "padded length": (
            lambda e, w, b, x: proxy(e, w, b, x, "length").softmax(-1),
            "padded-length",
        ),
    },
    "3.3": {
        "arguments swapped": (lambda u, v, m: by_hand(v, u, m), "swapped"),
        "floor for ceil": (lambda u, v, m: by_hand(u, v, m, lambda n: n // 20), "floor"),
        "the best only": (lambda u, v, m: by_hand(u, v, m, lambda n: 1), "one"),
        "mask ignored": (lambda u, v, m: by_hand(u, v, torch.ones_like(m)), "no-mask"),
        "ties count against": (lambda u, v, m: by_hand(u, v, m, strict=False), "ties-out"),
        "a constant": (lambda u, v, m: 0.123, "constant"),
    },
    "3.4": {
        "counts": (lambda t, x, y: em_step(t, x, y, norm=-1), "not-normalised"),
        "normalised over source words": (lambda t, x, y: em_step(t, x, y, norm=0), "over-source"),
        "equal shares": (lambda t, x, y: em_step(t, x, y, blind=True), "no-posterior"),
        "padding counted": (lambda t, x, y: em_step(t, x, y, pad=True), "padding"),
        "nothing done": (lambda t, x, y: t, "old-table"),
    },
    "8.2": {
        "swapped": ((0, 1, 2 / 30), "swapped"),
        "1.5 rounded down": ((0, 0, 1 / 30), "one-position"),
        "chance is 5%": ((1, 0, 0.05), "chance-5%"),
        "for four words": ((0, 0, 0.25), "four-words"),
        "chance forgotten": ((1, 0), "shape"),
    },
    "8.3": {
        "the paper's rule": (lambda u, v, top: fair(u, v, top, lucky=1), "ties-found"),
        "ties missed": (lambda u, v, top: fair(u, v, top, lucky=0), "ties-missed"),
        "ties one half": (lambda u, v, top: fair(u, v, top, lucky=0.5), "ties-half"),
        "swapped": (lambda u, v, top: fair(v, u, top), "swapped"),
    },
    "4.1": {
        "no lag at all": ("a", "same-shape"),
        "both in levels": ("b", "level-for-shape"),
        "the steps of attention": ("d", "no-difference"),
    },
    "4.2": {
        "entropy": (lambda a: entr(a).sum(1), "entropy"),
        "a number of words": (lambda a: np.exp(entr(a).sum(1)), "not-divided"),
        "share of the largest": (lambda a: entr(a).sum(1) / np.log(a.shape[1]), "relative"),
        "powers of two": (lambda a: 2 ** entr(a).sum(1) / a.shape[1], "bits"),
        "output words": (lambda a: np.exp(entr(a).sum(1)) / len(a), "rows"),
        "the largest weight": (lambda a: a.max(1), "value"),
    },
    "8.1": {
        "train longer": ("a", "too-short"),
        "ties": ("c", "ties"),
        "the other way round": ("d", "not-symmetric"),
    },
    "4.3": {
        "Adam hides it": ("a", "no-effect"),
        "more even": ("b", "more-even"),
        "sharper and better": ("c", "sharper-is-better"),
    },
    "8.4": {
        "crossing in each run": (xi_by_run, "not-averaged"),
        "the first run only": (lambda n, c, p: xi(n, c[:1], p[:1]), "one-run"),
        "agreement for performance": (lambda n, c, p: xi(n, c, c), "agreement"),
        "best performance": (lambda n, c, p: p.mean(0).max(), "best-performance"),
        "index": (lambda n, c, p: (c.mean(0) > n).argmax(), "checkpoint"),
        "zero for never": (xi_zero_for_never, "never"),
        "equal is above": (xi_not_strict, "not-strict"),
    },
}


def test_the_library_passes_where_it_answers_the_same_question() -> None:
    """The oracles against other code of ours, which was not written for these exercises."""

    def first_step(table: Tensor, source: Tensor, target: Tensor) -> Tensor:
        return ibm_model1.fit_model1(source, target, 7, 9, iterations=1, empty_word=False).table

    def bag(embedding: Tensor, weight: Tensor, bias: Tensor, source: Tensor) -> Tensor:
        found = models.BagOfWords(len(embedding), len(weight), embedding.shape[1]).double()
        names = ("embedding.weight", "output.weight", "output.bias")
        found.load_state_dict(dict(zip(names, (embedding, weight, bias), strict=True)))
        p: Tensor = found(Batch(source, source)).softmax(-1)
        return p

    assert check("3.2", bag).passed
    assert check("3.3", agreement.agreement).passed
    assert check("3.4", first_step).key == "no-posterior"  # it starts from the uniform table

    def library(level: float, curves: np.ndarray, performance: np.ndarray) -> float:
        found = agreement.xi(level, curves.tolist(), performance.tolist()).value
        return math.nan if found is None else found

    assert check("8.4", library).passed

"""Checkers of chapter 3: what can be learned with uniform attention."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.special import expit, softmax

from lessons_lib.exercises.sandbox import Student
from lessons_lib.tasks import PAD

# isort: off
# fmt: off
from lessons_lib.exercises.judge import (
    Array, Cases, Table, choice, compare, compared, exercise, numbers, shares)


Sentences = list[list[int]]


def _padded(sentences: Sentences) -> torch.Tensor:
    longest = max(map(len, sentences))
    return torch.tensor([s + [PAD] * (longest - len(s)) for s in sentences])


choice("3.1", "A local encoder",
    "What in the equation of the uniform context depends on the order of positions?",
    b=("probe-fixed", "The probe is about a position. After shuffling another word stands there."),
    c=("order-matters", "With states that know their own word only, what in the mean of the states "
        "depends on the order?"),
    d=("loss-moves", "The context is a mean and the decoder starts from zeros. What could tell the "
        "loss about the order of the input?"))


def _bags(e: Array, w: Array, b: Array, x: Sentences) -> Table:
    def logits(pooled: Callable[[list[int]], Array], bias: Array = b) -> Array:
        return np.stack([pooled(s) for s in x]) @ w.T + bias

    z, longest = logits(lambda s: e[s].mean(0)), max(map(len, x))
    filled = dict(zip(map(tuple, x), _padded(x).tolist(), strict=True))

    def said(pooled: Callable[[list[int]], Array], bias: Array = b) -> Array:
        return np.asarray(softmax(logits(pooled, bias), 1))

    return softmax(z, 1), {
        "logits": (z, "these are logits. Asked for are probabilities."),
        "log-probability": (np.log(softmax(z, 1)), "take the softmax without the log."),
        "sum": (said(lambda s: e[s].sum(0)),
            "the embeddings are added up. The proxy takes their mean."),
        "largest": (said(lambda s: e[s].max(0)), "that is the maximum, not the mean."),
        "wrong-axis": (softmax(z, 0), "the softmax is over the texts, not the words."),
        "padding": (said(lambda s: e[filled[tuple(s)]].mean(0)),
            "the embedding of the padding is in the mean."),
        "padded-length": (said(lambda s: e[s].sum(0) / longest),
            "the sum is divided by the padded length. Divide by the number of words."),
        "each-word-once": (said(lambda s: e[sorted(set(s))].mean(0)),
            "a word that stands twice counts twice in the mean."),
        "no-bias": (said(lambda s: e[s].mean(0), 0 * b), "the bias is missing."),
        "mean-of-probabilities": (np.stack([softmax(e[s] @ w.T + b, 1).mean(0) for s in x]),
            "the softmax of each word is averaged. Average the embeddings first."),
        "sigmoid": (expit(z), "softmax over words, not sigmoid."),
        "not-normalised": (np.exp(z), "divide by the sum over words."),
        "first-word": (said(lambda s: e[s[0]]), "only the first word counts."),
    }


@exercise("3.2", "The bag-of-words proxy",
    "Sum the embeddings of words that are not PAD, divide by how many there are, then the "
    "linear layer, then a softmax over output words.",
    "proxy_forward(embedding, weight, bias, source)")
def _proxy(f: Student) -> None:
    rng = np.random.default_rng(3008)
    layers = rng.normal(size=(11, 3)), rng.normal(size=(5, 3)), rng.normal(size=5)
    cases = {
        "one length": (*layers, [[4, 5, 6], [10, 7, 7]]),
        "padding": (*layers, [[4, 5, 6], [9]]),
    }
    compare(lambda *g: f(*map(torch.tensor, g[:3]), _padded(g[3])), cases, _bags)


def _ranks(u: Array, v: Array, mask: Array) -> Any:
    """For each output word with a source: positions ahead of the best by u, tied, and all."""
    found = []
    for a, b, inside in zip(*(x.reshape(-1, x.shape[-1]) for x in (u, v, mask)), strict=True):
        if inside.any():
            there = b[inside][a[inside].argmax()]
            found.append([(b[inside] > there).sum(), (b[inside] == there).sum() - 1, inside.sum()])
    return np.array(found).reshape(-1, 3).T


def _word_pairs() -> Cases:
    rng, cases = np.random.default_rng(3007), {}
    sizes = {f"sentences of {n} words": n for n in (7, 20, 30, 40)} | {"ties": 21, "padding": 26}
    for case, size in sizes.items():
        u = rng.normal(size=(4, 25, size))
        v = u + 1.5 * rng.normal(size=u.shape) * rng.uniform(size=u.shape)
        if case == "ties":
            v = v.round()
        mask = np.ones(u.shape, dtype=bool)
        if case == "padding":
            mask[1, :, 13:] = mask[2, 11:] = mask[3, 3:, 4:] = False
            u[~mask] += 3
            v[~mask] += rng.choice([0, 3], size=int((~mask).sum()))
        cases[case] = (u, v, mask)
    return cases


@exercise("3.3", "Agreement by hand",
    "For each output word that has a source: argmax of u inside the mask, then count the "
    "positions with a strictly greater v. `-(-L // 20)` rounds up.",
    "agreement_by_hand(u, v, mask)")
@compared(_word_pairs, tolerance=1e-6, tensors=True)
def _agreement(u: Array, v: Array, m: Any) -> Table:
    def top(n: Any) -> Any:
        return (n + 19) // 20

    def agree(u: Array, v: Array, mask: Array) -> float:
        ahead, _, n = _ranks(u, v, mask)
        return float((ahead < top(n)).mean())

    ahead, tied, n = _ranks(u, v, m)
    right, everywhere = ahead < top(n), np.ones_like(m)
    best = [np.where(m, x, -np.inf).argmax(-1) for x in (u, v)]
    each = [agree(*(x[k : k + 1] for x in (u, v, m))) for k in range(len(u)) if m[k].any()]
    return right.mean(), {
        "swapped": (lambda: agree(v, u, m),
            "that is A(v, u). Take the best position by u, and its rank by v."),
        "floor": ((ahead < n // 20).mean(),
            "5% of the positions is rounded down. Round up: at least one."),
        "one": ((ahead < 1).mean(),
            "only the very best by v counts. The top is ceil(5% of L), 2 of 30."),
        "at-least-one": ((ahead < np.maximum(n // 20, 1)).mean(),
            "5% is rounded down to at least one. Round up: 2 of 30."),
        "one-more": ((ahead < n // 20 + 1).mean(),
            "5% of 20 is 1, not 2: only what is no whole number goes up."),
        "nearest": ((ahead < np.maximum((n + 10) // 20, 1)).mean(),
            "5% is rounded to the nearest number. Round up."),
        "not-strict": ((ahead < top(n) + 1).mean(), "fewer than k may be ahead, not as many as k."),
        "ten": ((ahead < (n + 9) // 10).mean(), "the top is 5%, not 10%."),
        "no-mask": (lambda: agree(u, v, everywhere), "padded positions and rows count."),
        "mask-of-u": (lambda: agree(np.where(m, u, -99), v, everywhere & m.any(-1, keepdims=True)),
            "padded positions are ranked by v, though u leaves them out."),
        "padded-length": ((ahead < top(m.shape[-1])).mean(),
            "L is the length of each sentence, without its padding."),
        "ties-out": ((ahead + tied < top(n)).mean(),
            "a position that ties with others is left out. Only strictly greater ones count "
            "against it."),
        "by-sentence": (np.mean(each),
            "that is a mean over sentences. Each output word counts once."),
        "same-place": ((best[0] == best[1])[m.any(-1)].mean(),
            "the best by u and by v are compared. Ask for the top by v."),
        "all-rows": (right.sum() / m.any(-1).size, "rows without a source count in the mean."),
    }


def _expected_counts(table: Array, source: Sentences, target: Sentences) -> Array:
    """Counts of word pairs over all alignments of each sentence, weighted by their probability."""
    counts = np.zeros_like(table)
    for x, y in zip(source, target, strict=True):
        ways = list(itertools.product(x, repeat=len(y)))
        weights = np.array([np.prod(table[list(way), y]) for way in ways])
        for way, weight in zip(ways, weights / weights.sum(), strict=True):
            np.add.at(counts, (list(way), y), weight)
    return counts


def _seen(table: Array, x: Sentences) -> Array:
    """Rows of words that occur: a word that never does may have any row."""
    return table[sorted({word for sentence in x for word in sentence})]


def _em(t: Array, x: Sentences, y: Sentences) -> Table:
    def rows(counts: Array, axis: int = 1) -> Array:
        return _seen(counts / counts.sum(axis, keepdims=True).clip(min=1e-300), x)

    def by(share: Callable[[Array], Array]) -> Array:
        """From shares of the positions, given t(y_t|x_l) of a sentence as ``(src, tgt)``."""
        counts = np.zeros_like(t)
        for xs, ys in zip(x, y, strict=True):
            np.add.at(counts, np.ix_(xs, ys), share(t[np.ix_(xs, ys)]))
        return rows(counts)

    counts, once = _expected_counts(t, x, y), [sorted(set(s)) for s in x]
    return rows(counts), {
        "not-normalised": (_seen(counts, x), "these are counts. Divide each row by its sum."),
        "over-source": (rows(counts, 0),
            "the columns sum to 1. t(o|i) is a distribution over output words o, so each row has "
            "to."),
        "no-posterior": (by(lambda t: np.ones_like(t) / len(t)),
            "each source word gets the same share. Shares are in proportion to t(y_t|x_l)."),
        "whole-counts": (by(np.ones_like), "each source word gets the whole output word."),
        "not-shared": (by(lambda t: t),
            "t itself is added up. Divide it by its sum over the positions first."),
        "over-targets": (by(shares),
            "the shares of an input word sum to 1 over output words. The shares of an output "
            "word have to, over the positions."),
        "hard": (by(lambda t: (t == t.max(0)).astype(float)),
            "each output word goes to the most probable position alone. In EM all get their "
            "share."),
        "squared": (by(lambda t: shares(t**2, 0)), "t is squared before it is shared."),
        "each-word-once": (rows(_expected_counts(t, once, y)),
            "a source word that stands twice gets a share at each place."),
        "padding-source": (rows(_expected_counts(t, _padded(x).tolist(), y)),
            "padding takes part among the source words."),
        "padding": (rows(_expected_counts(t, x, _padded(y).tolist())),
            "padding is counted as an output word."),
        "old-table": (_seen(t, x), "that is the table as it was."),
    }


@exercise("3.4", "The first step of EM",
    "E step: t(y_t|x_l) over its sum over l. M step: add the shares up for each pair of words, "
    "then divide each row by its sum.",
    "em_step(table, source, target)")
def _em_step(f: Student) -> None:
    table = shares(np.random.default_rng(3006).uniform(0.1, 1, size=(7, 9)), 1)
    cases = {
        "sentences of one length": (table, [[4, 5, 6], [5, 4, 4]], [[8, 4], [5, 8]]),
        "padding": (table, [[4, 5, 6], [5]], [[8, 4, 6, 6], [5, 8]]),
    }

    def read(t: Array, x: Sentences, y: Sentences) -> Array:
        found = f(torch.tensor(t), _padded(x), _padded(y))
        return _seen(numbers(found, t.shape, finite=False), x)

    compare(read, cases, _em)

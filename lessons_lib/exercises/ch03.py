"""Checkers of chapter 3: what can be learned with uniform attention."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.special import expit, softmax

from lessons_lib.exercises.contents import Array, Cases, Table, numbers, shares
from lessons_lib.exercises.judge import compare, compared, exercise
from lessons_lib.tasks import PAD

Sentences = list[list[int]]


def _padded(sentences: Sentences) -> torch.Tensor:
    longest = max(map(len, sentences))
    return torch.tensor([s + [PAD] * (longest - len(s)) for s in sentences])


def _bags(e: Array, w: Array, b: Array, x: Sentences) -> Table:
    def logits(pooled: Callable[[list[int]], Array], bias: Array = b) -> Array:
        return np.stack([pooled(s) for s in x]) @ w.T + bias

    z, longest = logits(lambda s: e[s].mean(0)), max(map(len, x))
    filled = dict(zip(map(tuple, x), _padded(x).tolist(), strict=True))

    def said(pooled: Callable[[list[int]], Array], bias: Array = b) -> Array:
        return np.asarray(softmax(logits(pooled, bias), 1))

    return softmax(z, 1), {
        "logits": z,
        "sum": said(lambda s: e[s].sum(0)),
        "largest": said(lambda s: e[s].max(0)),
        "wrong-axis": softmax(z, 0),
        "padding": said(lambda s: e[filled[tuple(s)]].mean(0)),
        "padded-length": said(lambda s: e[s].sum(0) / longest),
        "each-word-once": said(lambda s: e[sorted(set(s))].mean(0)),
        "no-bias": said(lambda s: e[s].mean(0), 0 * b),
        "mean-of-probabilities": np.stack([softmax(e[s] @ w.T + b, 1).mean(0) for s in x]),
        "sigmoid": expit(z),
        "not-normalised": np.exp(z),
        "first-word": said(lambda s: e[s[0]]),
    }


@exercise("3.2")
def _proxy(f: Any) -> None:
    rng = np.random.default_rng(3008)
    layers = rng.normal(size=(11, 3)), rng.normal(size=(5, 3)), rng.normal(size=5)
    cases = {
        "one length": (*layers, [[4, 5, 6], [10, 7, 7]]),
        "padding": (*layers, [[4, 5, 6], [9]]),
    }

    def read(*given: Any) -> Any:
        return f(*map(torch.tensor, given[:3]), _padded(given[3]))

    compare("3.2", read, _bags, cases)


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


@compared("3.3", _word_pairs, tolerance=1e-6, tensors=True)
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
        "swapped": lambda: agree(v, u, m),
        "floor": (ahead < n // 20).mean(),
        "one": (ahead < 1).mean(),
        "at-least-one": (ahead < np.maximum(n // 20, 1)).mean(),
        "one-more": (ahead < n // 20 + 1).mean(),
        "nearest": (ahead < np.maximum((n + 10) // 20, 1)).mean(),
        "not-strict": (ahead < top(n) + 1).mean(),
        "ten": (ahead < (n + 9) // 10).mean(),
        "no-mask": lambda: agree(u, v, everywhere),
        "mask-of-u": lambda: agree(np.where(m, u, -99), v, everywhere & m.any(-1, keepdims=True)),
        "padded-length": (ahead < top(m.shape[-1])).mean(),
        "ties-out": (ahead + tied < top(n)).mean(),
        "by-sentence": np.mean(each),
        "same-place": (best[0] == best[1])[m.any(-1)].mean(),
        "all-rows": right.sum() / m.any(-1).size,
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
        "not-normalised": _seen(counts, x),
        "over-source": rows(counts, 0),
        "no-posterior": by(lambda t: np.ones_like(t) / len(t)),
        "whole-counts": by(np.ones_like),
        "not-shared": by(lambda t: t),
        "over-targets": by(shares),
        "hard": by(lambda t: (t == t.max(0)).astype(float)),
        "squared": by(lambda t: shares(t**2, 0)),
        "each-word-once": rows(_expected_counts(t, once, y)),
        "padding-source": rows(_expected_counts(t, _padded(x).tolist(), y)),
        "padding": rows(_expected_counts(t, x, _padded(y).tolist())),
        "old-table": _seen(t, x),
    }


@exercise("3.4")
def _em_step(f: Any) -> None:
    table = shares(np.random.default_rng(3006).uniform(0.1, 1, size=(7, 9)), 1)
    cases = {
        "sentences of one length": (table, [[4, 5, 6], [5, 4, 4]], [[8, 4], [5, 8]]),
        "padding": (table, [[4, 5, 6], [5]], [[8, 4, 6, 6], [5, 8]]),
    }

    def read(t: Array, x: Sentences, y: Sentences) -> Array:
        found = f(torch.tensor(t), _padded(x), _padded(y))
        return _seen(numbers(found, t.shape, finite=False), x)

    compare("3.4", read, _em, cases)

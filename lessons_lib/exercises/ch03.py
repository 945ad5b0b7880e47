"""Checkers of chapter 3: what can be learned with uniform attention."""

from functools import partial
from typing import Any

import numpy as np
from scipy.special import softmax

from lessons_lib.exercises.contents import Array, Cases, Table, numbers, shares
from lessons_lib.exercises.judge import compare, compared, exercise
from lessons_lib.tasks import PAD


def _layers() -> Cases:
    rng = np.random.default_rng(3008)
    layers = rng.normal(size=(11, 3)), rng.normal(size=(5, 3)), rng.normal(size=5)
    return {
        "one length": (*layers, np.array([[4, 5, 6], [10, 7, 7]])),
        "padding": (*layers, np.array([[4, 5, 6], [9, PAD, PAD]])),
    }


@compared("3.2", _layers, tensors=True)
def _bags(e: Array, w: Array, b: Array, x: Any) -> Table:
    def said(weights: Any) -> Any:
        """Of each text, from the weight of each word in it, ``(texts, words)``."""
        return softmax(weights @ e @ w.T + b, 1)

    padded = np.array([np.bincount(text, minlength=len(e)) for text in x])
    counts = padded * (np.arange(len(e)) != PAD)
    z = shares(counts) @ e @ w.T + b
    return softmax(z, 1), {
        "logits": z,
        "sum": said(counts),
        "wrong-axis": softmax(z, 0),
        "padding": said(shares(padded)),
        "padded-length": said(counts / x.shape[1]),
        "each-word-once": said(shares(counts > 0)),
        "no-bias": softmax(z - b, 1),
        "mean-of-probabilities": shares(counts) @ softmax(e @ w.T + b, 1),
        "not-normalised": np.exp(z),
    }


def _word_pairs() -> Cases:
    rng, cases = np.random.default_rng(3007), {}
    sizes = {f"sentences of {n} words": n for n in (7, 20, 30, 40)} | {"ties": 21, "padding": 26}
    for case, size in sizes.items():
        u = rng.normal(size=(4, 25, size))
        v, mask = u + rng.normal(size=u.shape), np.ones(u.shape, dtype=bool)
        if case == "ties":
            v = v.round()
        if case == "padding":
            mask[1, :, 13:] = mask[2, 11:] = mask[3, 3:, 4:] = False
            u[~mask] += 3
            v[~mask] += 3
        cases[case] = (u, v, mask)
    return cases


@compared("3.3", _word_pairs, tolerance=1e-6, tensors=True)
def _agreement(u: Array, v: Array, m: Any) -> Table:
    def ranks(u: Array, v: Array, m: Any) -> Any:
        """For each output word with a source: positions ahead of the best by u, tied, and all."""
        best = np.where(m, u, -np.inf).argmax(-1)[..., None]
        there = np.take_along_axis(v, best, -1)
        return [(x & m).sum(-1)[m.any(-1)] for x in (v > there, v == there, m)]

    def agree(u: Array, v: Array, m: Any) -> Any:
        ahead, _, n = ranks(u, v, m)
        return (ahead < -(-n // 20)).mean()

    ahead, tied, n = ranks(u, v, m)
    top = -(-n // 20)
    return agree(u, v, m), {
        "swapped": agree(v, u, m),
        "floor": (ahead < n // 20).mean(),
        "one": (ahead < 1).mean(),
        "at-least-one": (ahead < np.maximum(n // 20, 1)).mean(),
        "one-more": (ahead < n // 20 + 1).mean(),
        "nearest": (ahead < np.maximum((n + 10) // 20, 1)).mean(),
        "not-strict": (ahead <= top).mean(),
        "no-mask": agree(u, v, np.ones_like(m)),
        "padded-length": (ahead < -(-m.shape[-1] // 20)).mean(),
        "ties-out": (ahead + tied <= top).mean(),
    }


def _em(t: Array, x: Any, y: Any) -> Table:
    columns, there = partial(shares, axis=0), np.unique(x[x != PAD])
    sources, targets = ([row[row != PAD] for row in words] for words in (x, y))

    def step(
        share: Any = columns, source: Any = sources, target: Any = targets, rows: Any = shares
    ) -> Array:
        """From shares of the positions, given t(y_t|x_l) of a sentence as ``(src, tgt)``."""
        counts = np.zeros_like(t)
        for pairs in map(np.ix_, source, target):
            np.add.at(counts, pairs, share(t[pairs]))
        return np.asarray(np.nan_to_num(rows(counts))[there])

    return step(), {
        "not-normalised": step(rows=np.copy),
        "over-source": step(rows=columns),
        "no-posterior": step(lambda p: np.ones_like(p) / len(p)),
        "not-shared": step(np.copy),
        "over-targets": step(shares),
        "hard": step(lambda p: (p == p.max(0)).astype(float)),
        "each-word-once": step(source=map(np.unique, sources)),
        "padding-source": step(source=x),
        "padding": step(target=y),
        "old-table": t[there],
    }


@exercise("3.4")
def _em_step(f: Any) -> None:
    table = shares(np.random.default_rng(3006).uniform(0.1, 1, size=(7, 9)), 1)
    short = np.array([[4, 5, 6], [5, 4, 4]]), np.array([[8, 4], [5, 8]])
    padded = np.array([[4, 5, 6], [5, PAD, PAD]]), np.array([[8, 4, 6, 6], [5, 8, PAD, PAD]])
    cases = {"sentences of one length": (table, *short), "padding": (table, *padded)}

    def read(t: Any, x: Any, y: Any) -> Array:
        """Rows of words that occur: a word that never does may have any row."""
        found = numbers(f(t, x, y), t.shape, finite=False)
        return np.asarray(found[np.unique(x[x != PAD])])

    compare("3.4", read, _em, cases, tensors=True)

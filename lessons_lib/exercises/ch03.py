"""Checkers of chapter 3: what can be learned with uniform attention."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from lessons_lib.exercises.judge import Array, Exercise, choice, compare, numbers
from lessons_lib.exercises.sandbox import Student
from lessons_lib.tasks import PAD

Sentences = list[list[int]]


def _expected_counts(table: Array, source: Sentences, target: Sentences) -> Array:
    """Counts of word pairs over all alignments of each sentence, weighted by their probability."""
    counts = np.zeros_like(table)
    for x, y in zip(source, target, strict=True):
        ways = list(itertools.product(x, repeat=len(y)))
        weights = np.array([np.prod(table[list(way), y]) for way in ways])
        for way, weight in zip(ways, weights / weights.sum(), strict=True):
            for i, o in zip(way, y, strict=True):
                counts[i, o] += weight
    return counts


def _counts(table: Array, x: Sentences, y: Sentences, share: Callable[[Array], Array]) -> Array:
    """The same from shares of the positions, given t(y_t|x_l) of a sentence as ``(src, tgt)``."""
    counts = np.zeros_like(table)
    for xs, ys in zip(x, y, strict=True):
        np.add.at(counts, np.ix_(xs, ys), share(table[np.ix_(xs, ys)]))
    return counts


def _to_one(values: Array, axis: int = 1) -> Array:
    return np.asarray(values / values.sum(axis, keepdims=True).clip(min=1e-300))


def _padded(sentences: Sentences) -> torch.Tensor:
    longest = max(map(len, sentences))
    return torch.tensor([s + [PAD] * (longest - len(s)) for s in sentences])


def _filled(sentences: Sentences) -> Sentences:
    return _padded(sentences).tolist()


def _em_step(f: Student) -> None:
    table = _to_one(np.random.default_rng(3006).uniform(0.1, 1, size=(7, 9)))
    cases = {
        "sentences of one length": (table, [[4, 5, 6], [5, 4, 4]], [[8, 4], [5, 8]]),
        "padding": (table, [[4, 5, 6], [5]], [[8, 4, 6, 6], [5, 8]]),
    }

    def rows(share: Callable[[Array], Array]) -> Callable[..., Array]:
        return lambda t, x, y: seen(_to_one(_counts(t, x, y, share)), x)

    def seen(found: Array, x: Sentences) -> Array:
        """Rows of words that occur: a word that never does may have any row."""
        return found[sorted({word for sentence in x for word in sentence})]

    def unique(t: Array, x: Sentences, y: Sentences) -> Array:
        once = [sorted(set(s)) for s in x]
        return seen(_to_one(_expected_counts(t, once, y)), x)

    def padded_source(t: Array, x: Sentences, y: Sentences) -> Array:
        return seen(_to_one(_expected_counts(t, _filled(x), y)), x)

    def padded_target(t: Array, x: Sentences, y: Sentences) -> Array:
        return seen(_to_one(_expected_counts(t, x, _filled(y))), x)

    # fmt: off
    mistakes = {
        "not-normalised": (lambda t, x, y: seen(_expected_counts(t, x, y), x),
            "these are counts. Divide each row by its sum."),
        "over-source": (lambda t, x, y: seen(_to_one(_expected_counts(t, x, y), 0), x),
            "the columns sum to 1. t(o|i) is a distribution over output words o, so each row has "
            "to."),
        "no-posterior": (rows(lambda t: np.ones_like(t) / len(t)),
            "each source word gets the same share. Shares are in proportion to t(y_t|x_l)."),
        "whole-counts": (rows(np.ones_like), "each source word gets the whole output word."),
        "not-shared": (rows(lambda t: t),
            "t itself is added up. Divide it by its sum over the positions first."),
        "over-targets": (rows(_to_one),
            "the shares of an input word sum to 1 over output words. The shares of an output "
            "word have to, over the positions."),
        "hard": (rows(lambda t: (t == t.max(0)).astype(float)),
            "each output word goes to the most probable position alone. In EM all get their "
            "share."),
        "squared": (rows(lambda t: _to_one(t ** 2, 0)), "t is squared before it is shared."),
        "each-word-once": (unique, "a source word that stands twice gets a share at each place."),
        "padding-source": (padded_source, "padding takes part among the source words."),
        "padding": (padded_target, "padding is counted as an output word."),
        "old-table": (lambda t, x, y: seen(t, x), "that is the table as it was."),
    }
    # fmt: on
    compare(
        lambda t, x, y: seen(
            numbers(f(torch.tensor(t), _padded(x), _padded(y)), t.shape, finite=False), x
        ),
        cases,
        lambda t, x, y: seen(_to_one(_expected_counts(t, x, y)), x),
        mistakes,
    )


_TOPS: dict[str, Callable[[int], float]] = {
    "ceil": lambda n: (n + 19) // 20,
    "one": lambda n: 1,
    "floor": lambda n: n // 20,
    "at-least-one": lambda n: max(n // 20, 1),
    "one-more": lambda n: n // 20 + 1,
    "nearest": lambda n: max((n + 10) // 20, 1),
    "not-strict": lambda n: (n + 19) // 20 + 1,
    "ten": lambda n: (n + 9) // 10,
}


def _hits(
    u: Array, v: Array, mask: Array, top: Callable[[int], float], *, equal_ahead: bool = False
) -> list[Array]:
    """For each sentence, for each output word: are fewer than k positions ahead of the best?"""
    found = []
    for uu, vv, mm in zip(u, v, mask, strict=True):
        hits = []
        for a, b, inside in zip(uu, vv, mm, strict=True):
            if inside.any():
                there, k = b[inside][a[inside].argmax()], int(top(int(inside.sum())))
                ahead = (b[inside] >= there).sum() - 1 if equal_ahead else (b[inside] > there).sum()
                hits.append(ahead < k)
        found.append(np.array(hits, dtype=float))
    return found


def _agree(*given: Any, **options: Any) -> float:
    return float(np.concatenate(_hits(*given, **options)).mean())


def _agreement(f: Student) -> None:
    rng, cases = np.random.default_rng(3007), {}
    for case, size in (
        ("sentences of 7 words", 7),
        ("sentences of 20 words", 20),
        ("sentences of 30 words", 30),
        ("sentences of 40 words", 40),
        ("ties", 21),
        ("padding", 26),
    ):
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

    def by(name: str) -> Callable[..., float]:
        return lambda u, v, m: _agree(u, v, m, _TOPS[name])

    ceil, everywhere = _TOPS["ceil"], np.ones_like

    def same_place(u: Array, v: Array, m: Array) -> float:
        low = [np.where(m, x, -np.inf).argmax(-1) for x in (u, v)]
        return float((low[0] == low[1])[m.any(-1)].mean())

    # fmt: off
    mistakes = {
        "swapped": (lambda u, v, m: _agree(v, u, m, ceil),
            "that is A(v, u). Take the best position by u, and its rank by v."),
        "floor": (by("floor"), "5% of the positions is rounded down. Round up: at least one."),
        "one": (by("one"), "only the very best by v counts. The top is ceil(5% of L), 2 of 30."),
        "at-least-one": (by("at-least-one"),
            "5% is rounded down to at least one. Round up: 2 of 30."),
        "one-more": (by("one-more"), "5% of 20 is 1, not 2: only what is no whole number goes up."),
        "nearest": (by("nearest"), "5% is rounded to the nearest number. Round up."),
        "not-strict": (by("not-strict"), "fewer than k may be ahead, not as many as k."),
        "ten": (by("ten"), "the top is 5%, not 10%."),
        "no-mask": (lambda u, v, m: _agree(u, v, everywhere(m), ceil),
            "padded positions and rows count."),
        "mask-of-u": (
            lambda u, v, m: _agree(
                np.where(m, u, -99), v, everywhere(m) & m.any(-1, keepdims=True), ceil
            ),
            "padded positions are ranked by v, though u leaves them out."),
        "padded-length": (lambda u, v, m: _agree(u, v, m, lambda n: ceil(m.shape[-1])),
            "L is the length of each sentence, without its padding."),
        "ties-out": (lambda u, v, m: _agree(u, v, m, ceil, equal_ahead=True),
            "a position that ties with others is left out. Only strictly greater ones count "
            "against it."),
        "by-sentence": (
            lambda u, v, m: float(np.mean([h.mean() for h in _hits(u, v, m, ceil) if len(h)])),
            "that is a mean over sentences. Each output word counts once."),
        "same-place": (same_place, "the best by u and by v are compared. Ask for the top by v."),
        "all-rows": (lambda u, v, m: sum(h.sum() for h in _hits(u, v, m, ceil)) / m.any(-1).size,
            "rows without a source count in the mean."),
    }
    # fmt: on
    compare(f, cases, by("ceil"), mistakes, tolerance=1e-6, tensors=True)


def _proxy(f: Student) -> None:
    rng = np.random.default_rng(3008)
    embedding, weight, bias = rng.normal(size=(11, 3)), rng.normal(size=(5, 3)), rng.normal(size=5)
    cases = {
        "one length": (embedding, weight, bias, [[4, 5, 6], [10, 7, 7]]),
        "padding": (embedding, weight, bias, [[4, 5, 6], [9]]),
    }

    def soft(logits: Array, axis: int = 1) -> Array:
        return _to_one(np.exp(logits), axis)

    def logits(e: Array, w: Array, b: Array, x: Sentences, how: Any = np.mean) -> Array:
        """From how the embeddings of a sentence become one."""
        return np.stack([how(e[s], axis=0) for s in x]) @ w.T + b

    def filled(e: Array, w: Array, b: Array, x: Sentences) -> Array:
        return logits(e, w, b, _filled(x))

    def diluted(e: Array, w: Array, b: Array, x: Sentences) -> Array:
        longest = max(map(len, x))
        return logits(e, w, b, x, lambda rows, axis: rows.sum(axis) / longest)

    # fmt: off
    mistakes = {
        "logits": (logits, "these are logits. Asked for are probabilities."),
        "log-probability": (lambda *g: np.log(soft(logits(*g))),
            "take the softmax without the log."),
        "sum": (lambda e, w, b, x: soft(logits(e, w, b, x, np.sum)),
            "the embeddings are added up. The proxy takes their mean."),
        "largest": (lambda e, w, b, x: soft(logits(e, w, b, x, np.max)),
            "that is the maximum, not the mean."),
        "wrong-axis": (lambda *g: soft(logits(*g), 0),
            "the softmax is over the texts, not the words."),
        "padding": (lambda *g: soft(filled(*g)), "the embedding of the padding is in the mean."),
        "padded-length": (lambda *g: soft(diluted(*g)),
            "the sum is divided by the padded length. Divide by the number of words."),
        "each-word-once": (lambda e, w, b, x: soft(logits(e, w, b, [sorted(set(s)) for s in x])),
            "a word that stands twice counts twice in the mean."),
        "no-bias": (lambda e, w, b, x: soft(logits(e, w, 0 * b, x)), "the bias is missing."),
        "mean-of-probabilities": (
            lambda e, w, b, x: np.stack([soft(e[s] @ w.T + b).mean(0) for s in x]),
            "the softmax of each word is averaged. Average the embeddings first."),
        "sigmoid": (lambda *g: 1 / (1 + np.exp(-logits(*g))), "softmax over words, not sigmoid."),
        "not-normalised": (lambda *g: np.exp(logits(*g)), "divide by the sum over words."),
        "first-word": (lambda e, w, b, x: soft(logits(e, w, b, [s[:1] for s in x])),
            "only the first word counts."),
    }
    # fmt: on
    compare(
        lambda e, w, b, x: numbers(f(*map(torch.tensor, (e, w, b)), _padded(x)), (len(x), len(b))),
        cases,
        lambda *g: soft(logits(*g)),
        mistakes,
    )


EXERCISES = {
    "3.1": Exercise(
        "A local encoder",
        choice(
            {
                "b": (
                    "probe-fixed",
                    "The probe is about a position. After shuffling another word stands there.",
                ),
                "c": (
                    "order-matters",
                    "With states that know their own word only, what in the mean of the states "
                    "depends on the order?",
                ),
                "d": (
                    "loss-moves",
                    "The context is a mean and the decoder starts from zeros. What could tell the "
                    "loss about the order of the input?",
                ),
            }
        ),
        "What in the equation of the uniform context depends on the order of positions?",
    ),
    "3.2": Exercise(
        "The bag-of-words proxy",
        _proxy,
        "Sum the embeddings of words that are not PAD, divide by how many there are, then the "
        "linear layer, then a softmax over output words.",
        "proxy_forward(embedding, weight, bias, source)",
    ),
    "3.3": Exercise(
        "Agreement by hand",
        _agreement,
        "For each output word that has a source: argmax of u inside the mask, then count the "
        "positions with a strictly greater v. `-(-L // 20)` rounds up.",
        "agreement_by_hand(u, v, mask)",
    ),
    "3.4": Exercise(
        "The first step of EM",
        _em_step,
        "E step: t(y_t|x_l) over its sum over l. M step: add the shares up for each pair of words, "
        "then divide each row by its sum.",
        "em_step(table, source, target)",
    ),
}

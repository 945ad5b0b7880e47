"""Checkers of chapter 3: what can be learned with uniform attention."""

from __future__ import annotations

import itertools

import numpy as np
import torch

from lessons_lib.exercises.judge import Array, Exercise, choice, expect, numbers
from lessons_lib.exercises.sandbox import Student
from lessons_lib.tasks import PAD


def _expected_counts(table: Array, source: list[list[int]], target: list[list[int]]) -> Array:
    """Counts of word pairs over all alignments of each sentence, weighted by their probability."""
    counts = np.zeros_like(table)
    for x, y in zip(source, target, strict=True):
        ways = list(itertools.product(x, repeat=len(y)))
        weights = np.array([np.prod(table[list(way), y]) for way in ways])
        for way, weight in zip(ways, weights / weights.sum(), strict=True):
            for i, o in zip(way, y, strict=True):
                counts[i, o] += weight
    return counts


def _padded(sentences: list[list[int]]) -> torch.Tensor:
    longest = max(map(len, sentences))
    return torch.tensor([s + [PAD] * (longest - len(s)) for s in sentences])


def _em_step(f: Student) -> None:
    table = np.random.default_rng(3006).uniform(0.1, 1, size=(7, 9))
    table /= table.sum(1, keepdims=True)
    source = {"sentences of one length": [[4, 5, 6], [5, 4, 4]], "padding": [[4, 5, 6], [5]]}
    target = {"sentences of one length": [[8, 4], [5, 8]], "padding": [[8, 4, 6, 6], [5, 8]]}
    for case in source:
        x, y = source[case], target[case]
        found = numbers(f(torch.tensor(table), _padded(x), _padded(y)), table.shape)[4:]
        counts = _expected_counts(table, x, y)[4:]
        blind = _expected_counts(np.ones_like(table), x, y)[4:]
        seen = counts.sum(1) > 0  # a word that never occurs may have any row
        found, counts, blind = found[seen], counts[seen], blind[seen]
        columns = counts.sum(0).clip(min=1e-300)
        mistakes = {
            "not-normalised": (counts, "these are counts. Divide each row by its sum."),
            "over-source": (
                counts / columns,
                "the columns sum to 1. t(o|i) is a distribution over output words o, so each row "
                "has to.",
            ),
            "no-posterior": (
                blind / blind.sum(1, keepdims=True),
                "each source word gets the same share. Shares are in proportion to t(y_t|x_l).",
            ),
        }
        if case == "padding" and found[:, PAD].any():
            mistakes["padding"] = (found, "padding is counted as an output word.")
        expect(found, counts / counts.sum(1, keepdims=True), case, mistakes)


def _agree(u: Array, v: Array, mask: Array, share: str = "ceil", ties: str = "in") -> float:
    """Agreement by sorting: is v at the best position no smaller than the k-th largest v?"""
    hits = []
    for uu, vv, inside in zip(*(x.reshape(-1, x.shape[-1]) for x in (u, v, mask)), strict=True):
        if not inside.any():
            continue
        there, length = vv[inside][uu[inside].argmax()], int(inside.sum())
        k = {"ceil": (length + 19) // 20, "floor": length // 20, "one": 1}[share]
        last = np.sort(vv[inside])[-k] if k else np.inf
        alone = (vv[inside] == there).sum() == 1 or (vv[inside] >= there).sum() <= k
        hits.append(there >= last and (ties == "in" or alone))
    return float(np.mean(hits))


def _agreement(f: Student) -> None:
    rng = np.random.default_rng(3007)
    for case, size in (
        ("sentences of 7 words", 7),  # first: 0 is the floor of 5% here, and 1 that of 30 words
        ("sentences of 30 words", 30),
        ("ties", 23),
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
        found = numbers(f(torch.tensor(u), torch.tensor(v), torch.tensor(mask)))
        all_in = np.ones_like(mask)
        mistakes = {
            "swapped": (
                _agree(v, u, mask),
                "that is A(v, u). Take the best position by u, and its rank by v.",
            ),
            "one": (
                _agree(u, v, mask, "one"),
                "only the very best by v counts. The top is ceil(5% of L), 2 of 30.",
            ),
            "floor": (
                _agree(u, v, mask, "floor"),
                "5% of the positions is rounded down. Round up, so that it is at least one.",
            ),
            "no-mask": (_agree(u, v, all_in), "padded positions and rows are counted."),
            "ties-out": (
                _agree(u, v, mask, ties="out"),
                "a position that ties with others is left out. Only strictly greater ones count "
                "against it.",
            ),
        }
        expect(found, _agree(u, v, mask), case, mistakes, tolerance=1e-6)


def _proxy(f: Student) -> None:
    rng = np.random.default_rng(3008)
    embedding, weight, bias = rng.normal(size=(11, 3)), rng.normal(size=(5, 3)), rng.normal(size=5)
    by_word = embedding @ weight.T + bias  # logits of each word alone; a mean of them is asked for

    def chances(logits: Array, axis: int = 1) -> Array:
        return np.asarray(np.exp(logits) / np.exp(logits).sum(axis, keepdims=True))

    for case, sentences in (("one length", [[4, 5, 6], [10, 7, 7]]), ("padding", [[4, 5, 6], [9]])):
        source = _padded(sentences)
        given = [torch.tensor(x) for x in (embedding, weight, bias)]
        found = numbers(f(*given, source), (2, 5))
        logits = np.stack([by_word[s].mean(0) for s in sentences])
        sums = np.stack([(by_word[s] - bias).sum(0) + bias for s in sentences])
        diluted = np.stack([(by_word[s] - bias).sum(0) / source.shape[1] + bias for s in sentences])
        mistakes = {
            "logits": (logits, "these are logits. Asked for are probabilities."),
            "log-probability": (np.log(chances(logits)), "take the softmax without the log."),
            "sum": (chances(sums), "the embeddings are added up. The proxy takes their mean."),
            "wrong-axis": (chances(logits, 0), "the softmax is over the texts, not the words."),
            "padding": (
                chances(by_word[source.numpy()].mean(1)),
                "the embedding of the padding is in the mean.",
            ),
            "padded-length": (
                chances(diluted),
                "the sum is divided by the padded length. Divide by the number of words.",
            ),
        }
        expect(found, chances(logits), case, mistakes)


EXERCISES = {
    "3.1": Exercise(
        "A local encoder",
        choice(
            {
                "a": (
                    "order-matters",
                    "With states that know their own word only, what in the mean of the states "
                    "depends on the order?",
                ),
                "b": (
                    "probe-fixed",
                    "The probe is about a position. After shuffling another word stands there.",
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

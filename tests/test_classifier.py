"""Oracles: PyTorch's LSTM a text at a time, finite differences, hand values, a dense regression."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import nn

from lessons_lib.classifier import (
    ClassifierConfig,
    build_classifier,
    class_accuracy,
    class_loss,
    speaking_for_label,
)
from lessons_lib.lab.classification import STRENGTHS, logistic_tables, proxy_loss
from lessons_lib.lab.saliency import label_saliency
from lessons_lib.models import build_bag_of_words
from lessons_lib.tasks import PAD, UNK, LabelledBatch

CONFIG = ClassifierConfig(source_vocab=13, d_embed=5, d_hidden=3)
VARIANTS = [
    CONFIG,
    replace(CONFIG, bidirectional=False),
    replace(CONFIG, attention="uniform"),
    replace(CONFIG, bias=False),
]
# The last two are special on purpose: one word, and unknown words only.
BATCH = LabelledBatch(
    torch.tensor(
        [[4, 9, 4, 10, 6], [7, 5, 8, PAD, PAD], [6, PAD, PAD, PAD, PAD], [UNK, UNK, PAD, PAD, PAD]]
    ),
    torch.tensor([1, 0, 1, 0]),
)
Array = NDArray[np.float64]


def drawn(seed: int, texts: int, longest: int = 9) -> LabelledBatch:
    """Texts whose label depends on how often word 7 stands in them, and on chance."""
    rng = np.random.default_rng(seed)
    source, length = rng.integers(3, 13, (texts, longest)), rng.integers(1, longest + 1, texts)
    source[np.arange(longest) >= length[:, None]] = PAD
    label = 3 * (source == 7).sum(1) + rng.normal(size=texts) > 1
    return LabelledBatch(torch.from_numpy(source), torch.from_numpy(label.astype(np.int64)))


@pytest.mark.parametrize("config", VARIANTS)
def test_it_is_the_plain_lstm_from_the_same_seed(config: ClassifierConfig) -> None:
    """Written with PyTorch's own LSTM, a text at a time, whose draws are the same."""
    batch = drawn(3, texts=40, longest=30)  # read in several pieces
    model = build_classifier(config, 3)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        embedding = nn.Embedding(13, 5)
        encoder = nn.LSTM(5, 3, batch_first=True, bidirectional=config.bidirectional)
        width = 6 if config.bidirectional else 3
        inner, outer = nn.Linear(width, 3), nn.Linear(3, 1, bias=config.bias)
        readout = nn.Linear(width, 1, bias=config.bias)
    out = model(batch)
    scores = []
    for row, words in enumerate(batch.source):
        n = int((words != PAD).sum())
        states = encoder(embedding(words[None, :n]))[0][0]
        logits, beta = outer(inner(states).relu())[:, 0], readout(states)[:, 0]
        alpha = torch.full((n,), 1 / n) if config.attention == "uniform" else logits.softmax(0)
        scores.append(alpha @ beta)
        torch.testing.assert_close(out.attention[row, 0, 0, :n], alpha)
        torch.testing.assert_close(out.word_scores[row, :n], beta)
        assert not out.attention[row, 0, 0, n:].any()
    torch.testing.assert_close(out.score, torch.stack(scores))


def test_given_attention_replaces_the_models_own() -> None:
    model = build_classifier(CONFIG, 1)
    own = model(BATCH)
    for position in range(3):
        out = model(BATCH, attention=nn.functional.one_hot(torch.tensor(position), 5).double())
        torch.testing.assert_close(out.score[:2], own.word_scores[:2, position])


def minus_log(scores: list[float]) -> float:
    """Cross-entropy for the labels of BATCH: 1, 0, 1, 0."""
    return sum(math.log(1 + math.exp(s * x)) for s, x in zip((-1, 1) * 2, scores, strict=True)) / 4


def test_losses_and_accuracy_by_hand() -> None:
    model = build_classifier(CONFIG, 0)
    found = class_loss(model, BATCH).detach()
    assert float(found) == pytest.approx(minus_log(model(BATCH).score.tolist()), rel=1e-5)
    proxy = build_bag_of_words(13, 1, seed=0)
    texts = [row[row != PAD] for row in BATCH.source]
    mean = torch.stack([proxy.embedding.weight[words].mean(0) for words in texts])
    scores = proxy.output(mean)[:, 0].tolist()
    summed = float(proxy_loss(proxy, BATCH).detach())
    assert summed == pytest.approx(4 * minus_log(scores), rel=1e-5)
    # Right, wrong, right, and 0, which is not above 0: the other class, rightly.
    assert class_accuracy(torch.tensor([0.1, 2.0, 5.0, 0.0]), BATCH) == 0.75


def test_speaking_for_the_label_by_hand() -> None:
    scores = torch.tensor(
        [[1.0, -2, 3, 0, 5], [1, -2, 3, 7, 7], [-4, 9, 9, 9, 9], [0.5, -1, 8, 8, 8]]
    )
    inf = math.inf
    assert speaking_for_label(scores, BATCH).tolist() == [
        [[1, -2, 3, 0, 5]],
        [[-1, 2, -3, -inf, -inf]],
        [[-4, -inf, -inf, -inf, -inf]],
        [[-0.5, 1, -inf, -inf, -inf]],
    ]


@pytest.mark.parametrize("config", VARIANTS)
def test_saliency_by_finite_differences(config: ClassifierConfig) -> None:
    model = build_classifier(config, 1).double()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(2)  # large enough to care about words
        found = label_saliency(model, BATCH)
        assert found.shape == (4, 1, 5)
        assert not bool(found[:, 0][~BATCH.source_mask].any())
        embedded, mask = model.embedding(BATCH.source), BATCH.source_mask
        step, sign = 1e-5, BATCH.label * 2 - 1
        for at in range(5):
            log_p = []
            for change in (step, -step):
                size = torch.ones(4, 5, 1, dtype=torch.float64)
                size[:, at] += change
                score = model.from_embedded(embedded * size, mask).score
                log_p.append((score * sign).sigmoid().log())
            slope = (log_p[0] - log_p[1]) / (2 * step) * mask[:, at]
            torch.testing.assert_close(found[:, 0, at], slope, rtol=1e-6, atol=1e-9)
    assert float(found.abs().max()) > 0.01


def frequencies(batch: LabelledBatch, size: int) -> Array:
    """The share of each word in each text."""
    texts = (row[row != PAD].numpy() for row in batch.source)
    return np.array([np.bincount(words, minlength=size) / len(words) for words in texts])


@pytest.mark.slow
def test_logistic_tables_are_those_of_a_dense_matrix_with_the_best_penalty() -> None:
    batch, parts = drawn(1, 53), {"one": drawn(2, 31), "other": drawn(5, 12)}
    found = logistic_tables(batch, 17, parts)
    features = frequencies(batch, 17)
    grid = [0.00001, 0.00005, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5]
    grid += [1.0, 5.0, 10.0, 50.0, 100.0, 500.0, 1000.0, 5000.0, 10000.0]
    assert pytest.approx(grid) == STRENGTHS
    fitted = [LogisticRegression(C=c, max_iter=1000).fit(features, batch.label) for c in grid]
    chosen = {}
    for name, part in parts.items():
        right = [f.score(frequencies(part, 17), part.label) for f in fitted]
        chosen[name] = right.index(max(right))
        expected: Any = torch.from_numpy(fitted[chosen[name]].coef_[0]).float()
        torch.testing.assert_close(found[name], expected, atol=1e-3, rtol=1e-3)
        assert found[name][13:].tolist() == [0] * 4, "words that do not occur speak for nothing"
    assert chosen["one"] != chosen["other"], "else the choice is not tested"

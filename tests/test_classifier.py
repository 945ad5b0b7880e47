"""Oracles: an LSTM written by hand, finite differences, hand values, a dense regression."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lessons_lib.agreement import agreement
from lessons_lib.classifier import (
    Classifier,
    ClassifierConfig,
    build_classifier,
    class_accuracy,
    class_loss,
    speaking_for_label,
)
from lessons_lib.lab.saliency import label_saliency
from lessons_lib.lab.word_tables import STRENGTHS, logistic_tables, proxy_loss, table_scores
from lessons_lib.models import build_bag_of_words
from lessons_lib.tasks import EOS, PAD, UNK, LabelledBatch

CONFIG = ClassifierConfig(source_vocab=11, d_embed=5, d_hidden=3)
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


def lively(config: ClassifierConfig, seed: int = 1) -> Classifier:
    """In float64, and with weights large enough to care about words."""
    model = build_classifier(config, seed).double()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(2)
    return model


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def lstm_by_loop(weights: dict[str, Array], inputs: Array, direction: int = 0) -> Array:
    """States of one sentence, ``(words, d_hidden)``; the equations in PyTorch's documentation."""
    w, u, b, c = (
        weights[f"encoder.{direction}.{name}_l0"]
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    bias = b + c
    h = c = np.zeros(u.shape[1])
    states = []
    for x in inputs:
        i, f, g, o = np.split(w @ x + u @ h + bias, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        states.append(h)
    return np.array(states)


def by_loop(model: Classifier, words: list[int], sizes: Array) -> tuple[Array, Array]:
    """Alpha and beta of one text whose embeddings are multiplied by ``sizes``."""
    weights = {name: w.detach().numpy() for name, w in model.named_parameters()}
    inputs = weights["embedding.weight"][words] * sizes[:, None]
    states = lstm_by_loop(weights, inputs)
    if model.config.bidirectional:
        back = lstm_by_loop(weights, inputs[::-1], 1)[::-1]
        states = np.concatenate([states, back], axis=1)
    hidden = states @ weights["scorer.0.weight"].T + weights["scorer.0.bias"]
    logits = np.maximum(hidden, 0) @ weights["scorer.2.weight"][0] + weights.get(
        "scorer.2.bias", 0.0
    )
    alpha = np.exp(logits) / np.exp(logits).sum()
    if model.config.attention == "uniform":
        alpha = np.full(len(words), 1 / len(words))
    return alpha, states @ weights["readout.weight"][0] + weights.get("readout.bias", 0.0)


def texts() -> list[list[int]]:
    return [row[row != PAD].tolist() for row in BATCH.source]


@pytest.mark.parametrize("config", VARIANTS)
def test_a_pass_by_hand_one_text_at_a_time(config: ClassifierConfig) -> None:
    model = lively(config)
    with torch.no_grad():
        out = model(BATCH)
    assert out.attention.shape == (4, 1, 1, 5)
    assert out.word_scores.shape == (4, 5)
    assert out.score.shape == (4,)
    assert not bool(out.attention[:, 0, 0][~BATCH.source_mask].any())
    for row, words in enumerate(texts()):
        alpha, beta = by_loop(model, words, np.ones(len(words)))
        found = out.attention[row, 0, 0, : len(words)].tolist()
        assert found == pytest.approx(alpha.tolist(), rel=1e-9)
        assert out.word_scores[row, : len(words)].tolist() == pytest.approx(beta.tolist(), rel=1e-9)
        assert float(out.score[row]) == pytest.approx(float(alpha @ beta), rel=1e-9)
    assert out.attention[2, 0, 0].tolist() == [1, 0, 0, 0, 0], "one word gets all of it"


def test_attention_of_the_fresh_model_is_neither_uniform_nor_all_on_one_word() -> None:
    alpha = lively(CONFIG)(BATCH).attention[0, 0, 0].detach()
    assert 0.2 < float(alpha.max()) < 0.9, "else the test above would see no attention"


def test_given_attention_replaces_the_models_own() -> None:
    model = lively(CONFIG)
    own = model(BATCH)
    for position in range(3):
        there = torch.zeros(5)
        there[position] = 1.0
        out = model(BATCH, attention=there)
        assert out.attention.dtype == torch.float64
        torch.testing.assert_close(out.score[:2], own.word_scores[:2, position])
    with pytest.raises(ValueError, match=r"\(4, 1, 1, 5\), found \(3, 5\)"):
        model(BATCH, attention=torch.zeros(3, 5))


def test_one_seed_gives_twins_and_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    one, twin = (
        build_classifier(replace(CONFIG, attention=kind), 3).state_dict()
        for kind in ("learned", "uniform")
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert one.keys() == twin.keys()
    assert all(torch.equal(one[name], twin[name]) for name in one)
    other = build_classifier(CONFIG, 4).state_dict()
    assert not any(torch.equal(one[name], other[name]) for name in one)


def test_uniform_attention_is_never_learned() -> None:
    model = build_classifier(replace(CONFIG, attention="uniform"), 0)
    class_loss(model, BATCH).backward()
    assert all(weight.grad is None for weight in model.scorer.parameters())
    assert model.readout.weight.grad is not None


def many_texts() -> LabelledBatch:
    """40 texts of 1 to 30 words, in no order of length: read in several pieces."""
    rng = np.random.default_rng(3)
    source, length = rng.integers(1, 11, size=(40, 30)), rng.integers(1, 31, size=40)
    source[np.arange(30) >= length[:, None]] = PAD
    return LabelledBatch(torch.from_numpy(source), torch.from_numpy(rng.integers(0, 2, size=40)))


def test_it_is_the_plain_bidirectional_lstm_from_the_same_seed() -> None:
    """Written with PyTorch's own bidirectional LSTM on packed texts, whose draws are the same."""
    batch = many_texts()
    model = build_classifier(CONFIG, 3)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        embedding = nn.Embedding(11, 5)
        encoder = nn.LSTM(5, 3, batch_first=True, bidirectional=True)
        inner, outer, readout = nn.Linear(6, 3), nn.Linear(3, 1), nn.Linear(6, 1)
    lengths = batch.source_mask.sum(1)
    packed = pack_padded_sequence(
        embedding(batch.source), lengths, batch_first=True, enforce_sorted=False
    )
    states, _ = pad_packed_sequence(encoder(packed)[0], batch_first=True)
    logits = outer(inner(states).relu()).squeeze(-1) - 1e9 * ~batch.source_mask
    beta = readout(states).squeeze(-1) * batch.source_mask
    score = (logits.softmax(-1) * beta).sum(1)
    out = model(batch)
    torch.testing.assert_close(out.score, score)
    torch.testing.assert_close(out.attention[:, 0, 0], logits.softmax(-1))
    torch.testing.assert_close(out.word_scores, beta)
    # And so are the gradients, from which it learns.
    binary_cross_entropy_with_logits(score, batch.label.float()).backward()
    class_loss(model, batch).backward()
    for found, expected in zip(
        model.parameters(),
        [
            *embedding.parameters(),
            *encoder.parameters(),
            *inner.parameters(),
            *outer.parameters(),
            *readout.parameters(),
        ],
        strict=True,
    ):
        torch.testing.assert_close(found.grad, expected.grad)


# --- loss, accuracy, probes ------------------------------------------------------------------


def minus_log(scores: list[float]) -> float:
    """Cross-entropy for the labels of BATCH: 1, 0, 1, 0."""
    signs = (1, -1, 1, -1)
    each = [math.log(1 + math.exp(-s * x)) for s, x in zip(signs, scores, strict=True)]
    return sum(each) / 4


def test_losses_by_hand() -> None:
    model = build_classifier(CONFIG, 0)
    found = class_loss(model, BATCH).detach()
    assert float(found) == pytest.approx(minus_log(model(BATCH).score.tolist()), rel=1e-5)
    proxy = build_bag_of_words(11, 1, seed=0)
    mean = torch.stack([proxy.embedding.weight[words].mean(0) for words in texts()])
    scores = proxy.output(mean)[:, 0].tolist()
    summed = float(proxy_loss(proxy, BATCH).detach())
    assert summed == pytest.approx(4 * minus_log(scores), rel=1e-5)


def test_class_accuracy_by_hand() -> None:
    # Right, wrong, right, and 0, which is not above 0: the other class, rightly.
    assert class_accuracy(torch.tensor([0.1, 2.0, 5.0, 0.0]), BATCH) == 0.75
    assert class_accuracy(torch.tensor([-1.0, 1.0, 0.0, 3.0]), BATCH) == 0.0


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


def test_speaking_for_the_label_serves_agreement() -> None:
    """Best words for the labels 1, 0, 1, 0 are the largest, the smallest, the only, the first."""
    scores = torch.tensor([[0.0, 9, 1, 2, 3], [5, 6, -7, 0, 0], [1, 0, 0, 0, 0], [-1, 1, 0, 0, 0]])
    attention = torch.zeros(4, 1, 5)
    for row, best in enumerate((1, 2, 0, 0)):
        attention[row, 0, best] = 1.0
    mask = BATCH.source_mask[:, None]
    assert agreement(attention, speaking_for_label(scores, BATCH), mask) == 1.0
    assert agreement(attention, speaking_for_label(-scores, BATCH), mask) == 0.25


def test_table_scores_by_hand() -> None:
    table = torch.arange(11.0) ** 2
    assert table_scores(table, BATCH).tolist()[:2] == [[16, 81, 16, 100, 36], [49, 25, 64, 0, 0]]
    for wrong in (table[:10], table[:, None]):
        with pytest.raises(ValueError, match=r"a table .* of more than 10 entries, found"):
            table_scores(wrong, BATCH)


# --- saliency --------------------------------------------------------------------------------


def log_p(model: Classifier, words: list[int], sizes: Array, label: int) -> float:
    alpha, beta = by_loop(model, words, sizes)
    return -math.log1p(math.exp(-float(alpha @ beta) * (2 * label - 1)))


@pytest.mark.parametrize("config", VARIANTS)
def test_saliency_by_finite_differences(config: ClassifierConfig) -> None:
    model = lively(config)
    found = label_saliency(model, BATCH)
    assert found.shape == (4, 1, 5)
    assert found.dtype == torch.float64
    assert not bool(found[:, 0][~BATCH.source_mask].any())
    step = 1e-5
    for row, words in enumerate(texts()):
        for at in range(len(words)):
            up, down = np.ones(len(words)), np.ones(len(words))
            up[at], down[at] = 1 + step, 1 - step
            label = int(BATCH.label[row])
            slope = (log_p(model, words, up, label) - log_p(model, words, down, label)) / (2 * step)
            assert float(found[row, 0, at]) == pytest.approx(slope, rel=1e-6, abs=1e-9)
    assert float(found.abs().max()) > 0.01


@pytest.mark.parametrize("training", [True, False])
def test_saliency_leaves_the_model_as_it_was(training: bool) -> None:
    model = build_classifier(CONFIG, 5).train(training)
    with torch.no_grad():
        found = label_saliency(model, BATCH)
    assert torch.equal(found, label_saliency(build_classifier(CONFIG, 5), BATCH))
    assert model.training is training
    assert not found.requires_grad
    assert all(weight.grad is None for weight in model.parameters())


# --- logistic regression ---------------------------------------------------------------------


def frequencies(batch: LabelledBatch, size: int) -> Array:
    """The share of each word in each text, by loop."""
    table = np.zeros((len(batch), size))
    for row, words in enumerate(batch.source.tolist()):
        for word in words:
            if word != PAD:
                table[row, word] += 1
        table[row] /= table[row].sum()
    return table


def drawn(seed: int, size: int) -> LabelledBatch:
    """Texts whose label depends on how often word 7 stands in them, and on chance."""
    rng = np.random.default_rng(seed)
    source, length = rng.integers(3, 13, size=(size, 9)), rng.integers(1, 10, size=size)
    source[np.arange(9) >= length[:, None]] = PAD
    label = 3 * (source == 7).sum(1) + rng.normal(size=size) > 1
    return LabelledBatch(torch.from_numpy(source), torch.from_numpy(label.astype(np.int64)))


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
        right = [
            float((f.predict(frequencies(part, 17)) == part.label.numpy()).mean()) for f in fitted
        ]
        chosen[name] = right.index(max(right))
        expected: Any = torch.from_numpy(fitted[chosen[name]].coef_[0]).float()
        torch.testing.assert_close(found[name], expected, atol=1e-3, rtol=1e-3)
        assert found[name].argmax() == 7
        assert found[name][13:].tolist() == [0] * 4, "words that do not occur speak for nothing"
        assert found[name][PAD] == 0
    assert chosen["one"] != chosen["other"], "else the choice is not tested"


# --- what cannot be read ---------------------------------------------------------------------


def test_special_symbols_are_words_like_others_but_padding_is_none() -> None:
    out = build_classifier(CONFIG, 0)(LabelledBatch(torch.tensor([[EOS, UNK]]), torch.tensor([1])))
    assert bool((out.attention > 0).all())


def test_the_defaults_are_the_authors() -> None:
    config = ClassifierConfig(source_vocab=100)
    assert (config.d_embed, config.d_hidden, config.bidirectional) == (300, 256, True)
    model = build_classifier(config, 0)
    hidden = model.scorer[0]
    assert isinstance(hidden, torch.nn.Linear)
    assert (hidden.in_features, hidden.out_features) == (512, 256)
    assert model.readout.weight.shape == (1, 512)
    # By hand: an embedding of 300, two LSTMs, two layers of attention, a readout, each with biases.
    lstm = 4 * 256 * (300 + 256 + 2)
    expected = 100 * 300 + 2 * lstm + (512 + 1) * 256 + (256 + 1) + (512 + 1)
    assert sum(weight.numel() for weight in model.parameters()) == expected

"""What the shelf and its nearest users refuse: expected, found, and what to do. One table."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from lessons_lib.agreement import (
    agreement,
    agreement_interval,
    chance_agreement,
    kendall,
    shuffled_agreement,
    spread,
    xi,
)
from lessons_lib.classifier import ClassifierConfig, build_classifier, class_accuracy
from lessons_lib.ibm_model1 import fit_model1
from lessons_lib.lab.incidence import cumulative_incidence, time_difference
from lessons_lib.lab.saliency import label_saliency
from lessons_lib.lab.word_tables import logistic_tables
from lessons_lib.models import Seq2SeqConfig, bag_loss, build, build_bag_of_words, sequence_loss
from lessons_lib.probes import attention_accuracy, lexical_probe, table_probe, token_accuracy
from lessons_lib.stats import (
    mean_interval,
    proportion_interval,
    ratio_interval,
    seed_interval,
    share_difference,
)
from lessons_lib.tasks import PAD, Batch, Copying, Keyword, LabelledBatch
from lessons_lib.training import TrainConfig, train

NAN = float("nan")
SIZES = {"source_vocab": 13, "target_vocab": 11, "d_embed": 5, "d_hidden": 7}
SMALL = Seq2SeqConfig(**SIZES, heads=3)  # type: ignore[arg-type]
BATCH = Batch(
    torch.tensor([[4, 5, 6, 12], [7, 8, PAD, PAD]]),
    torch.tensor([[4, 5, 3, PAD, PAD], [6, 7, 8, 9, 3]]),
)
TEXTS = LabelledBatch(torch.tensor([[4, 9, 4], [7, PAD, PAD]]), torch.tensor([1, 0]))
TASK = Copying(vocab=6, length=3)
COPIER = Seq2SeqConfig(TASK.vocab_size, TASK.vocab_size, d_embed=16, d_hidden=24)
FOURS, UNEVEN = torch.full((2, 3), 4), torch.tensor([[4, PAD, 4], [4, 4, PAD]])
U = torch.rand(5, 4, 6, generator=torch.Generator().manual_seed(0))
ALL = torch.ones(5, 4, 6, dtype=torch.bool)


def seq2seq(**change: Any) -> Seq2SeqConfig:
    return Seq2SeqConfig.from_dict({**SIZES, **change})


def whole(*shape: int) -> Tensor:
    return torch.ones(shape, dtype=torch.long)


def read(source: Tensor, target: Tensor = FOURS, **change: Any) -> object:
    """What a model of ``SIZES`` makes of sentences."""
    return build(seq2seq(**change), 0)(Batch(source, target[: len(source)]))


def classify(words: list[list[int]], use: Callable[..., object]) -> object:
    model = build_classifier(ClassifierConfig(source_vocab=11, d_embed=5, d_hidden=3), 0)
    batch = LabelledBatch(torch.tensor(words), torch.tensor([1, 0][: len(words)]))
    return use(model, batch)


def trained(batches: Any = None, evaluate: Any = None, loss: Any = sequence_loss, **c: Any) -> Any:
    stream = TASK.stream(2, 0) if batches is None else batches
    return train(build(COPIER, 0), stream, loss, TrainConfig.from_dict(c), evaluate=evaluate)


def factors(factor: float, *chosen: int) -> object:
    """A run with rate factors for the queries of model 0, which is trained, or of another."""
    models = build(COPIER, 0), build(COPIER, 0)
    groups = [(list(models[k].query.parameters()), factor) for k in chosen]
    return train(models[0], [], sequence_loss, rate_factors=groups)


def accuracy(model: Any) -> dict[str, float]:
    return {"accuracy": 0.5}


READ, SALIENCY = (lambda model, batch: model(batch)), label_saliency
CONFIGURATIONS: list[tuple[Callable[[], object], str]] = [
    (lambda: seq2seq(heads=0), "heads of at least 1, found 0"),
    (lambda: seq2seq(max_length=0), "max_length of at least 1, found 0"),
    (lambda: seq2seq(cell="rnn"), "cell to be one of lstm, gru, found 'rnn'"),
    (lambda: seq2seq(attention="none"), "learned, uniform, found 'none'"),
    (lambda: seq2seq(merge="sum"), "merge to be one of average, concatenate, found 'sum'"),
    (lambda: seq2seq(dropout=1.0), r"dropout in \[0, 1\), found 1.0"),
    (lambda: seq2seq(dropout=-0.1), r"dropout in \[0, 1\), found -0.1"),
    (lambda: seq2seq(width=3), r"'width' in a Seq2SeqConfig; expected some of source_"),
    (lambda: seq2seq(shared_embeddings=True), "one vocabulary, found source_vocab 13 and target"),
    (lambda: ClassifierConfig(source_vocab=0), "source_vocab of at least 1, found 0"),
    (lambda: ClassifierConfig(9, d_hidden=-2), "d_hidden of at least 1, found -2"),
    (
        lambda: ClassifierConfig.from_dict({"source_vocab": 9, "attention": "frozen"}),
        "one of learned, uniform, found 'frozen'",
    ),
    (lambda: TrainConfig(learning_rate=0.0), "above 0, found 0.0"),
    (lambda: TrainConfig(learning_rate=NAN), "found nan"),
    (lambda: TrainConfig.from_dict({"optimizer": "lion"}), "adam or sgd, found 'lion'"),
    (lambda: TrainConfig(clip=0.0), "clip above 0, or None, found 0.0"),
    (lambda: TrainConfig(stop_at=NAN), "stop_at, found NaN"),
    (lambda: TrainConfig(evaluate_every=0), "evaluate_every >= 1"),
    (lambda: TrainConfig.from_dict({"step": 3}), "'step' in a TrainConfig; expected some of steps"),
    (lambda: Copying(vocab=5, length=6), r"vocab >= length.*vocab 5 and length 6.*repetition"),
    (lambda: Copying(vocab=3, length=0), "at least 1, found 3 and 0"),
    (lambda: Keyword(keywords=0), "keywords of at least 1, found 0"),
    (lambda: Keyword(fillers=0), "fillers of at least 1, found 0"),
    (lambda: Keyword(length=0), "length of at least 1, found 0"),
]
SENTENCES: list[tuple[Callable[[], object], str]] = [
    (lambda: Batch(whole(2, 3), whole(3, 4)), "as many sources as targets, found 2 and 3"),
    (lambda: Batch(whole(3), whole(3, 4)), r"found \(3,\) and \(3, 4\)"),
    (lambda: Batch(whole(2, 3), whole(2, 4), whole(2, 3)), r"of target \(2, 4\), found \(2, 3\)"),
    (lambda: LabelledBatch(whole(2, 3), whole(3)), r"found \(2, 3\) and \(3,\)"),
    (lambda: LabelledBatch(whole(2, 3), whole(1, 2)), r"found \(2, 3\) and \(1, 2\)"),
    (lambda: LabelledBatch(whole(3), whole(3)), r"source \(batch, src\) .* \(3,\) and \(3,\)"),
    (lambda: LabelledBatch(whole(2, 3), torch.tensor([0, 2])), r"0 and 1, found \[0, 2\]"),
    (lambda: LabelledBatch(whole(2, 3), torch.tensor([-1, 1])), r"0 and 1, found \[-1, 1\]"),
    (lambda: read(FOURS, max_length=2), "at most 2 words, found 3; leave longer ones out"),
    (lambda: read(whole(1, 2) * 13), "source words from 0 to 12, found 13 to 13"),
    (lambda: read(whole(1, 2) * PAD), "found an empty sentence"),
    (lambda: read(torch.tensor([[PAD, 4, 5]])), "word after PAD; pad on the right"),
    (
        lambda: build(seq2seq(), 0)(BATCH, attention=torch.ones(2, 1, 5, 2)),
        r"\(2, 1, 5, 4\), found \(2, 1, 5, 2\)",
    ),
    (lambda: sequence_loss(build(SMALL, 0), Batch(FOURS, whole(2, 1) * PAD)), "only padding"),
    (
        lambda: bag_loss(build_bag_of_words(13, 11, 0), Batch(FOURS, whole(2, 1) * PAD)),
        "only padding",
    ),
    *[
        (lambda words=words, use=use: classify(words, use), message)
        for use in (READ, SALIENCY)
        for words, message in (
            ([[4, 5], [PAD, PAD]], "at least one word in each text, found an empty one"),
            ([[PAD, 4]], "found a word after PAD; pad on the right"),
            ([[4, 11]], "words from 0 to 10, found 4 to 11"),
            ([[-1, 4]], "words from 0 to 10, found -1 to 4"),
        )
    ],
    (lambda: class_accuracy(torch.tensor([0.1, NAN]), TEXTS), "numbers as scores, found NaN"),
    (lambda: class_accuracy(torch.ones(2, 1), TEXTS), r"each of 2 texts, found \(2, 1\)"),
    (lambda: class_accuracy(torch.ones(0), TEXTS[:0]), "each of 0 texts"),
    (lambda: logistic_tables(TEXTS[:1], 11, {}), "texts of both labels, found one"),
    (lambda: fit_model1(FOURS, FOURS[:1], 5, 5), "found 2 and 1"),
    (lambda: fit_model1(FOURS[:0], FOURS[:0], 5, 5), "at least one sentence pair"),
    (lambda: fit_model1(FOURS, FOURS, 5, 5, iterations=0), "at least one iteration, found 0"),
    (lambda: fit_model1(FOURS, FOURS, 5, 4), "target words from 0 to 3, found 4 to 4"),
    (lambda: fit_model1(FOURS, UNEVEN, 5, 5), "end of each target, found a word after PAD"),
    (lambda: fit_model1(FOURS * PAD, FOURS, 5, 5, empty_word=False), "found an empty sentence"),
]
RUNS: list[tuple[Callable[[], object], str]] = [
    (lambda: trained([TASK.sample(2, 0)] * 2, steps=9), "at least 9 batches, found 2"),
    (
        lambda: trained(loss=lambda m, b: sequence_loss(m, b) * NAN, steps=4, evaluate_every=2),
        "loss is nan at step 2; lower learning_rate",
    ),
    (lambda: trained(steps=1, stop_metric="accuracy"), "needs an evaluate that gives it"),
    (
        lambda: trained(steps=1, stop_metric="acc", evaluate=accuracy),
        "'acc' is not evaluated; evaluate gives accuracy",
    ),
    (lambda: trained(steps=0, evaluate=lambda _: {"loss": 1.0}), "'loss' is taken by the train"),
    *[
        (lambda factor=factor: factors(factor, 0), f"rate factors above 0, found {factor}")
        for factor in (0.0, -1.0, math.nan, math.inf)
    ],
    (lambda: factors(2.0, 0, 0), r"each once, found one of shape \(24, 24\)"),
    (lambda: factors(2.0, 1), r"each once, found one of shape \(24, 24\)"),
]
MEASURES: list[tuple[Callable[[], object], str]] = [
    (lambda: lexical_probe(build(SMALL, 0), BATCH, scale="p"), "or logit, found 'p'"),  # type: ignore[arg-type]
    (lambda: lexical_probe(build(SMALL, 0), BATCH, scale="logit", head=-1), "0 to 2, found -1"),
    (lambda: lexical_probe(build(SMALL, 0), BATCH, scale="logit", head=3), "0 to 2, found 3"),
    (lambda: lexical_probe(build(SMALL, 0), BATCH[:0], scale="logit"), "found an empty batch"),
    (lambda: table_probe(torch.rand(12, 11), BATCH), r"at least \(13, 10\), found \(12, 11\)"),
    (lambda: token_accuracy(torch.rand(2, 4, 11), BATCH), r"\(2, 5\), found \(2, 4, 11\)"),
    (
        lambda: token_accuracy(torch.rand(1, 2, 11), Batch(BATCH.source[:1], whole(1, 2) * PAD)),
        "only padding",
    ),
    (lambda: attention_accuracy(torch.rand(1, 2, 2), whole(1, 3)), r"\(1, 2\), found \(1, 3\)"),
    (lambda: attention_accuracy(torch.rand(1, 2, 2), -whole(1, 2)), "found none"),
    (lambda: attention_accuracy(torch.rand(1, 2, 2), 2 * whole(1, 2)), "below src = 2, found 2"),
    (lambda: attention_accuracy(torch.full((1, 1, 2), NAN), whole(1, 1) - 1), "found NaN"),
    (lambda: agreement(U, U[..., :5]), r"found \(5, 4, 6\) and \(5, 4, 5\)"),
    (lambda: agreement(U, U, whole(5) > 0), r"broadcasts to \(5, 4, 6\), found \(5,\)"),
    (lambda: agreement(U, U, whole(0, 6) > 0), r"found \(0, 6\)"),
    (lambda: agreement(U, U, top=0.0), r"top in \(0, 1\], found 0.0"),
    (lambda: agreement(U[:0], U[:0]), "found none"),
    (lambda: agreement(U, U * NAN), "found NaN"),
    (lambda: shuffled_agreement(U, U * NAN, ALL, seed=0), "found NaN"),
    (lambda: chance_agreement([]), "at least 1 word"),
    (lambda: chance_agreement([4], top=2), r"top in \(0, 1\], found 2"),
    (lambda: agreement_interval(U, U[..., :5], ALL), r"\(5, 4, 6\) and \(5, 4, 5\)"),
    (lambda: agreement_interval(U, U, ~ALL), "found none"),
    (lambda: agreement_interval(U, U * NAN, ALL), "positions that count, found NaN"),
    (lambda: kendall(U, -math.inf * U.ceil(), ALL), "neither side is constant, found none"),
    (lambda: kendall(U[..., :1], U[..., :1], ALL[..., :1]), "two positions or more"),
    (lambda: kendall(U, U * NAN, ALL), "positions that count, found NaN"),
    (lambda: kendall(U, U[:, :3], ALL), r"found \(5, 4, 6\) and \(5, 3, 6\)"),
    (lambda: spread(U * NAN, ALL), "positions that count, found NaN"),
    (lambda: spread(U[..., :1], ALL[..., :1]), "two source words or more, found none"),
    (lambda: spread(U, whole(4) > 0), r"broadcasts to \(5, 4, 6\), found \(4,\)"),
    (lambda: xi(NAN, [[0.5]], [[0.5]]), "found NaN"),
    (lambda: xi(0.5, [[0.5, NAN]], [[0.5, 0.6]]), "found NaN"),
    (lambda: xi(0.5, [[0.5, 0.6]], [[0.5, NAN]]), "found NaN"),
    (lambda: xi(0.5, [[0.5, 0.6]], [[0.5]]), r"\(1, 2\) and \(1, 1\)"),
    (lambda: xi(0.5, [0.5], [0.5]), r"\(runs, checkpoints\) of one shape"),  # type: ignore[list-item]
    (lambda: xi(0.5, [[]], [[]]), r"found \(1, 0\) and \(1, 0\)"),
]
STATISTICS: list[tuple[Callable[[], object], str]] = [
    (lambda: mean_interval([]), "at least one value"),
    (lambda: mean_interval([1.0, NAN, 2.0]), "found 1 NaN or infinite of 3"),
    (lambda: seed_interval([0.5]), "at least two runs"),
    (lambda: proportion_interval(5, 4), "found 5 of 4"),
    (lambda: share_difference(4, 3, 0, 4), "found 4 of 3"),
    (lambda: ratio_interval([0, 0], [0, 0]), r"at least one token, found .* with 0 tokens"),
    (lambda: ratio_interval([1, 1], [2, 2, 2]), r"found \(2,\) and \(3,\)"),
    (lambda: ratio_interval([1, NAN], [2, 2]), "found 1 NaN or infinite of 2"),
    (lambda: cumulative_incidence([], [], 5), r"found shapes \(0,\) and \(0,\)"),
    (lambda: cumulative_incidence([-1.0], [True], 5), "0 or later"),
    (lambda: cumulative_incidence([1.0, 2.0], [True], 5), "one truth value for each run"),
    (lambda: time_difference([5, 5], [False, False], [5], [False]), "found none; run them longer"),
]


@pytest.mark.parametrize(
    ("call", "message"), [*CONFIGURATIONS, *SENTENCES, *RUNS, *MEASURES, *STATISTICS]
)
def test_what_cannot_be_is_refused_by_its_name(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_what_is_next_to_a_refusal_is_accepted() -> None:
    seq2seq(heads=1, max_length=1, dropout=0.0)
    Copying(vocab=6, length=6)
    read(FOURS, max_length=3)
    assert trained([TASK.sample(2, 0)] * 9, steps=9).steps == 9
    nothing = trained(steps=0, evaluate=accuracy)
    with pytest.raises(KeyError, match="there is accuracy"):
        nothing.last("token_accuracy")
    one = agreement(torch.ones(1, 2), torch.tensor([[1.0, NAN]]), torch.tensor([[True, False]]))
    assert one == 1.0
    empty = fit_model1(FOURS * PAD, FOURS, 5, 5)
    assert float(empty.table[0, 4]) == 1.0, "only NULL is left to write it"

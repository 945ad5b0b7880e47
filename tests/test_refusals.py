"""What the shelf and its nearest users refuse: expected, found, and what to do. One table."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lessons_lib import agreement as measures
from lessons_lib import classifier, models, probes, stats, tasks
from lessons_lib.agreement import agreement
from lessons_lib.classifier import ClassifierConfig, build_classifier
from lessons_lib.ibm_model1 import fit_model1
from lessons_lib.lab import blocks, classification, outcomes, saliency
from lessons_lib.models import Seq2SeqConfig, build, sequence_loss
from lessons_lib.tasks import PAD, Batch, Copying, LabelledBatch
from lessons_lib.training import TrainConfig, train

MODULES = (
    measures, classifier, models, probes, stats, tasks, blocks, outcomes, saliency, classification,
)  # fmt: skip
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


def accuracy(model: Any) -> dict[str, float]:
    return {"accuracy": 0.5}


READ, SALIENCY = (lambda model, batch: model(batch)), saliency.label_saliency


NAMES = {name: value for module in MODULES for name, value in vars(module).items()}
TABLES = tomllib.loads(Path(__file__).with_name("refusals.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("call", "message"), [row for rows in TABLES.values() for row in rows])
def test_what_cannot_be_is_refused_by_its_name(call: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        eval(call, NAMES | globals())


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

"""Beam search against a slow and obvious search."""

from dataclasses import replace
from typing import Literal

import pytest
import torch
from torch import Tensor

from lessons_lib import models
from lessons_lib.lab.decoding import translate
from lessons_lib.tasks import EOS, PAD, Batch

SOURCES = torch.tensor(
    [[1, 4, 5, 2, 0, 0], [1, 6, 5, 4, 4, 2], [1, 4, 2, 0, 0, 0], [1, 5, 6, 6, 2, 0]]
)
ENDS = (EOS,), (PAD,)


def build(seed: int, cell: Literal["lstm", "gru"]) -> models.Seq2Seq:
    config = models.Seq2SeqConfig(7, 5, d_embed=3, d_hidden=4, layers=2, heads=2, dropout=0.5)
    config = replace(config, bidirectional=True, bridge="mean", cell=cell)
    model = models.build(config, seed)
    for parameter in model.parameters():  # so that outputs differ much in probability
        parameter.data *= 2
    return model


def score(model: models.Seq2Seq, source: Tensor, words: tuple[int, ...]) -> float:
    """The log-probability of an output, teacher-forced."""
    target = torch.tensor([words])
    with torch.no_grad():
        log_p = model.eval()(Batch(source[None], target)).logits.log_softmax(-1)
    return float(log_p[0].gather(1, target.T).sum())


def slow(model: models.Seq2Seq, source: Tensor, beam: int, longest: int) -> tuple[int, ...]:
    """Hypotheses as tuples; each is scored from the beginning."""
    held: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    for _ in range(longest):
        ended = [one for one in held if one[1][-1:] in ENDS]
        longer = [(*words, w) for _, words in held for w in range(5) if words[-1:] not in ENDS]
        scored = [(score(model, source, words), words) for words in longer]
        held = sorted(ended + scored, reverse=True)[:beam]
    return held[0][1]


@pytest.mark.parametrize("beam", [1, 2, 3])
@pytest.mark.parametrize(("seed", "cell"), [(4, "lstm"), (5, "gru")])
def test_a_beam_finds_what_a_slow_search_finds(
    seed: int, cell: Literal["lstm", "gru"], beam: int
) -> None:
    model = build(seed, cell).train()
    found = translate(model, SOURCES, beam=beam, longest=6)
    assert model.training, "nothing was dropped, and the mode is put back"
    for source, words in zip(SOURCES, found, strict=True):
        expected = slow(model, source[source != PAD], beam, 6)
        assert tuple(words.tolist()) == (*expected, *[PAD] * (found.shape[1] - len(expected)))

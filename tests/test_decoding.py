"""Beam search against a slow and obvious search."""

from itertools import product

import pytest
import torch
from torch import Tensor

from lessons_lib import models
from lessons_lib.lab.decoding import translate
from lessons_lib.tasks import BOS, EOS, PAD, Batch

SOURCES = torch.tensor(
    [[1, 4, 5, 2, 0, 0], [1, 6, 5, 4, 4, 2], [1, 4, 2, 0, 0, 0], [1, 5, 6, 6, 2, 0]]
)


def build(seed: int, cell: str = "lstm", scale: float = 4.0) -> models.Seq2Seq:
    model = models.build(
        models.Seq2SeqConfig.from_dict(
            {"source_vocab": 7, "target_vocab": 5, "d_embed": 3, "d_hidden": 4, "layers": 2}
            | {"bidirectional": True, "bridge": "mean", "dropout": 0.5, "cell": cell, "heads": 2}
        ),
        seed,
    )
    for parameter in model.parameters():  # so that outputs differ much in probability
        parameter.data *= scale
    return model


def score(model: models.Seq2Seq, source: Tensor, words: tuple[int, ...]) -> float:
    """The log-probability of an output, teacher-forced."""
    target = torch.tensor([words])
    with torch.no_grad():
        log_p = model.eval()(Batch(source[None], target)).logits.log_softmax(-1)
    return float(log_p[0].gather(1, target.T).sum())


def outputs(longest: int) -> list[tuple[int, ...]]:
    """All outputs: words, PAD not among them, that end with EOS or at the longest length."""
    words = (BOS, 3, 4)
    whole = [(*start, EOS) for n in range(longest) for start in product(words, repeat=n)]
    return whole + list(product(words, repeat=longest))


def slow(model: models.Seq2Seq, source: Tensor, beam: int, longest: int) -> tuple[int, ...]:
    """Hypotheses as tuples; each is scored from the beginning."""
    held: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    for _ in range(longest):
        more = []
        for total, words in held:
            if words and words[-1] in (EOS, PAD):
                more.append((total, words))
            else:
                more += [
                    (score(model, source, (*words, word)), (*words, word)) for word in range(5)
                ]
        held = sorted(more, reverse=True)[:beam]
    return held[0][1]


@pytest.mark.parametrize("beam", [1, 2, 3])
@pytest.mark.parametrize(("seed", "cell"), [(4, "lstm"), (5, "gru")])
def test_a_beam_finds_what_a_slow_search_finds(seed: int, cell: str, beam: int) -> None:
    model = build(seed, cell, scale=2.0).train()
    found = translate(model, SOURCES, beam=beam, longest=6)
    assert model.training, "nothing was dropped, and the mode is put back"
    for source, words in zip(SOURCES, found, strict=True):
        expected = slow(model, source[source != PAD], beam, 6)
        assert tuple(words.tolist()) == (*expected, *[PAD] * (found.shape[1] - len(expected)))

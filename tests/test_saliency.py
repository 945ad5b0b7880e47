"""Oracle: one backward pass for each output word of each sentence."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from lessons_lib.lab.saliency import saliency
from lessons_lib.models import Seq2Seq, Seq2SeqConfig, build, sequence_loss
from lessons_lib.probes import pair_mask
from lessons_lib.tasks import PAD, UNK, Batch

CONFIG = Seq2SeqConfig(source_vocab=13, target_vocab=11, d_embed=5, d_hidden=7)
# Two sources of one length with targets of different lengths; one word; one word that is unknown.
BATCH = Batch(
    torch.tensor([[4, 5, 12, 4], [8, 7, PAD, PAD], [UNK, PAD, PAD, PAD], [9, 10, PAD, PAD]]),
    torch.tensor(
        [[4, 5, 2, 0, 0, 0], [6, 7, 8, 9, 10, 2], [4, 2, 0, 0, 0, 0], [10, 2, 0, 0, 0, 0]]
    ),
)
CONFIGS = {
    "the authors' copier": CONFIG,
    "layers in both directions": replace(CONFIG, bidirectional=True, layers=2, dropout=0.4),
    "GRU": replace(CONFIG, cell="gru", readout="linear"),
    "heads side by side": replace(CONFIG, heads=3, merge="concatenate"),
    "one table for both languages": replace(CONFIG, target_vocab=13, shared_embeddings=True),
}


def strong(config: Seq2SeqConfig) -> Seq2Seq:
    """A model whose attention and states differ from word to word, unlike those of a fresh one."""
    model = build(config, 3)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(2.5)
    return model


def by_loop(model: Seq2Seq, batch: Batch) -> Tensor:
    """The definition: a sentence at a time, and a backward pass for each output word."""
    delta = torch.zeros(*batch.target.shape, batch.source.shape[1])

    def scaled(_: nn.Module, __: object, embedded: Tensor) -> Tensor:
        handle.remove()  # a shared table is asked for the target next, which is not scaled
        return embedded * scale[:, None]

    for row, t in batch.target_mask.nonzero().tolist():
        pair, scale = batch[row : row + 1], torch.ones(batch.source.shape[1], requires_grad=True)
        handle = model.source_embedding.register_forward_hook(scaled)
        log_p = model.eval()(pair).logits[0, t].log_softmax(-1)[pair.target[0, t]]
        delta[row, t] = torch.autograd.grad(log_p, scale)[0]
    return delta


@pytest.mark.parametrize("name", CONFIGS)
def test_saliency_is_one_backward_pass_for_each_output_word(name: str) -> None:
    model = strong(CONFIGS[name])
    delta = saliency(model, BATCH)
    expected = by_loop(model, BATCH)
    torch.testing.assert_close(delta, expected, rtol=1e-4, atol=1e-6)
    assert float(expected[pair_mask(BATCH)].abs().median()) > 1e-3, "there is something to compare"
    assert bool((delta[~pair_mask(BATCH)] == 0).all())


def test_the_model_is_left_as_it_was() -> None:
    model = strong(replace(CONFIG, dropout=0.5))
    model.query.weight.requires_grad_(False)
    sequence_loss(model, BATCH).backward()

    def state() -> list[object]:
        weights = [(w.requires_grad, str(w.grad)) for w in model.parameters()]
        return [model.training, weights, torch.backends.cudnn.enabled]

    before, first = state(), saliency(model, BATCH)
    assert torch.equal(first, saliency(model, BATCH)), "no dropout"
    assert state() == before

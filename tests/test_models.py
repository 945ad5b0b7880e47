"""Oracles: PyTorch's own attention, loops over positions, and hand values. Sizes are distinct."""

from dataclasses import replace
from typing import Literal

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from lessons_lib.models import Seq2SeqConfig, bag_loss, build, build_bag_of_words, sequence_loss
from lessons_lib.tasks import EOS, PAD, Batch

SMALL = Seq2SeqConfig(source_vocab=13, target_vocab=11, d_embed=5, d_hidden=7)
RAGGED = Batch(
    torch.tensor([[4, 5, 6, 12], [7, 8, PAD, PAD], [9, PAD, PAD, PAD]]),
    torch.tensor([[4, 5, EOS, PAD, PAD], [6, 7, 8, 9, EOS], [EOS, PAD, PAD, PAD, PAD]]),
)
VARIANTS = [
    SMALL,
    replace(SMALL, cell="gru", heads=3),
    replace(SMALL, bidirectional=True, layers=2, heads=2),
    replace(SMALL, attention="uniform", heads=2),
    replace(SMALL, merge="concatenate", heads=2, bidirectional=True, readout="linear"),
    replace(SMALL, scaled_scores=True, heads=2),
]


@pytest.mark.parametrize("config", VARIANTS)
def test_shapes_sums_of_attention_and_that_padding_changes_nothing(config: Seq2SeqConfig) -> None:
    model = build(config, 1)
    out = model(RAGGED)
    assert out.logits.shape == (3, 5, 11)
    assert out.attention.shape == out.scores.shape == (3, config.heads, 5, 4)
    assert out.decoder_states.shape == (3, 5, 7)
    assert out.encoder_states.shape == (3, 4, 14 if config.bidirectional else 7)
    torch.testing.assert_close(out.attention.sum(-1), torch.ones(3, config.heads, 5))
    padded = ~RAGGED.source_mask[:, None, None, :].expand_as(out.attention)
    assert (out.attention[padded] == 0).all()
    for row, (src, tgt) in enumerate([(4, 3), (2, 5), (1, 1)]):
        alone = model(Batch(RAGGED.source[row : row + 1, :src], RAGGED.target[row : row + 1, :tgt]))
        torch.testing.assert_close(out.logits[row, :tgt], alone.logits[0])
        seen = out.attention[row, :, :tgt, :src]
        torch.testing.assert_close(seen, alone.attention[0], atol=1e-6, rtol=1e-5)


def test_uniform_attention_is_one_over_length_and_never_learned() -> None:
    model = build(replace(SMALL, attention="uniform"), 0)
    out = model(RAGGED)
    assert out.attention[0, 0, 0].tolist() == [0.25] * 4
    assert out.attention[1, 0, 3].tolist() == [0.5, 0.5, 0.0, 0.0]
    assert out.attention[2, 0, 2].tolist() == [1.0, 0.0, 0.0, 0.0]
    sequence_loss(model, RAGGED).backward()
    assert model.query.weight.grad is None
    assert model.value.weight.grad is not None


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("merge", ["average", "concatenate"])
def test_attention_agrees_with_pytorchs_own(
    bidirectional: bool, scaled: bool, merge: Literal["average", "concatenate"]
) -> None:
    config = replace(SMALL, heads=3, bidirectional=bidirectional, merge=merge, scaled_scores=scaled)
    model = build(config, 2)
    out, width = model(RAGGED), 14 if bidirectional else 7
    queries = model.query(out.decoder_states).view(3, 5, 3, width).transpose(1, 2)
    keys = out.encoder_states[:, None].expand(-1, 3, -1, -1)
    values = model.value(out.encoder_states).view(3, 4, 3, 7).transpose(1, 2)
    mask = RAGGED.source_mask[:, None, None, :]
    # PyTorch's own divides by the square root of the width; the paper does not: scale 1
    contexts = scaled_dot_product_attention(
        queries, keys, values, attn_mask=mask, scale=None if scaled else 1.0
    )
    joined = contexts.mean(1) if merge == "average" else contexts.transpose(1, 2).flatten(2)
    expected = model.readout_layers(torch.cat([out.decoder_states, joined], -1))
    torch.testing.assert_close(out.logits, expected)


def test_weights_are_those_of_the_seed_and_may_be_shared() -> None:
    shared = build(replace(SMALL, target_vocab=13, shared_embeddings=True), 0)
    assert shared.source_embedding is shared.target_embedding
    torch.manual_seed(99)
    first = build(SMALL, 4).state_dict()
    state = torch.get_rng_state()
    second = build(replace(SMALL, attention="uniform"), 4).state_dict()
    assert torch.equal(torch.get_rng_state(), state), "the global state is left alone"
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["query.weight"], build(SMALL, 5).state_dict()["query.weight"])


def test_bag_of_words_by_hand() -> None:
    proxy = build_bag_of_words(13, 11, seed=0, d_embed=3)
    mean = proxy.embedding.weight[[7, 8]].mean(0)
    torch.testing.assert_close(proxy(RAGGED)[1], proxy.output(mean))
    torch.testing.assert_close(proxy.word_logits()[9], proxy(RAGGED)[2])


def test_losses_by_hand() -> None:
    model, proxy = build(SMALL, 0), build_bag_of_words(13, 11, seed=1)
    places = RAGGED.target.nonzero().tolist()
    assert len(places) == 9
    log_p, bag = model(RAGGED).logits.log_softmax(-1), proxy(RAGGED).log_softmax(-1)
    said = torch.stack([log_p[b, t, RAGGED.target[b, t]] for b, t in places])
    torch.testing.assert_close(sequence_loss(model, RAGGED), -said.mean())
    said = torch.stack([bag[b, RAGGED.target[b, t]] for b, t in places])
    torch.testing.assert_close(bag_loss(proxy, RAGGED), -said.mean())

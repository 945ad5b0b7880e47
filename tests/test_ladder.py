"""The ladder: at one end the copier, at the other the reduced model, and each part taken away."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from lessons_lib import probes
from lessons_lib.lab.copying import CopyingConfig, run_copying, train_copier
from lessons_lib.lab.ladder import LadderConfig, Rung
from lessons_lib.theory import reduced_model

TINY = LadderConfig(
    vocab=6, length=4, heads=2, width=11, batch_size=7, learning_rate=1e-2, steps=3,
    evaluate_every=1, stop_at=2.0, measured=5,
)  # fmt: skip
REDUCED = replace(
    TINY,
    reads="embeddings", decoder="positions", attention="free", reads_state=False, readout="linear",
)  # fmt: skip
BATCH = TINY.task.sample(3, 8)


@pytest.mark.parametrize("change", [{}, {"cell": "gru", "readout": "linear", "query_scale": 3.0}])
def test_with_nothing_taken_away_it_is_the_copier(change: dict[str, Any]) -> None:
    config = replace(TINY, **change)
    plain = CopyingConfig(**{name: getattr(config, name) for name in CopyingConfig().to_dict()})
    rung, copier = config.build(4), plain.build(4)
    expected = copier.state_dict()
    assert rung.state_dict().keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in rung.state_dict().items())
    for name in ("logits", "attention", "scores", "encoder_states", "decoder_states"):
        assert torch.equal(getattr(rung(BATCH), name), getattr(copier(BATCH), name))
    assert run_copying(config, 4).rows == run_copying(plain, 4).rows


def reduced(config: LadderConfig, a: Tensor, table: Tensor) -> Rung:
    """A rung as the reduced model: logits ``(heads, tgt, src)``, tables ``(heads, vocab, vocab)``.

    A word is a coordinate, head k turns it into its row of table k, and that is what is read out.
    """
    model = config.build(2).double().requires_grad_(False)
    for layer in (model.source_embedding, model.value, model.readout_layers):
        for parameter in layer.parameters():
            parameter.zero_()
    vocab = table.shape[-1]
    model.source_embedding.weight[:, :vocab] = torch.eye(vocab)
    by_head = model.value.weight.view(config.heads, config.width, config.width)
    by_head[:, :vocab, :vocab] = table.transpose(1, 2)
    last = model.readout_layers.state_dict()["0.weight"]
    last[:, config.width : config.width + vocab] = torch.eye(vocab)[model.column < len(last)]
    assert model.free is not None
    model.free.copy_(a)
    return model


@pytest.mark.parametrize("end_symbol", [True, False])
def test_with_all_taken_away_it_is_the_reduced_model(end_symbol: bool) -> None:
    config = replace(REDUCED, end_symbol=end_symbol)
    batch, vocab = config.task.sample(5, 1), config.task.vocab_size
    written = [1, *([2] if end_symbol else []), *range(4, 10)]  # rows of the output layer
    rng = torch.Generator().manual_seed(3)
    size = config.length + end_symbol
    a = torch.randn(1, 2, size, size, generator=rng, dtype=torch.float64)
    table = torch.randn(1, 2, vocab, vocab, generator=rng, dtype=torch.float64)
    model = reduced(config, a[0], table[0])
    out = model(batch)
    expected = reduced_model.reduced_logits(a, table, batch.source[None])[0]
    torch.testing.assert_close(out.logits[..., written], expected[..., written])
    torch.testing.assert_close(out.attention, a.softmax(-1).expand(5, -1, -1, -1))
    beta = probes.lexical_probe(model, batch, scale="log_probability")
    of_word = table[0].mean(0)  # [word at l, word to write]
    of_word = of_word - of_word[:, written].logsumexp(-1, keepdim=True)
    torch.testing.assert_close(beta, of_word[batch.source[:, None, :], batch.target[:, :, None]])


def values(model: Rung, source: Tensor) -> Tensor:
    states, _ = model.encode(source, torch.ones_like(source, dtype=torch.bool))
    return model.values(states)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_word_is_read_as_if_it_stood_alone(cell: Any) -> None:
    model = replace(TINY, reads="words", cell=cell).build(5)
    whole = replace(TINY, cell=cell).build(5)
    found = values(model, BATCH.source).transpose(1, 2).flatten(0, 1)
    for word, value in zip(BATCH.source.flatten(), found, strict=True):
        torch.testing.assert_close(value, values(whole, word.view(1, 1))[0, :, 0])
    # Where it looks is what it was, from states that carry neighbours.
    assert torch.equal(model(BATCH).scores, whole(BATCH).scores)
    read = values(whole, BATCH.source).transpose(1, 2).flatten(0, 1)
    assert not torch.allclose(found, read)


def test_what_is_left_starts_like_the_copier() -> None:
    found = REDUCED.build(11).state_dict()
    expected = replace(TINY, readout="linear").build(11).state_dict()
    assert set(found) - set(expected) == {"free", "decoder.states"}
    assert all(torch.equal(found[name], expected[name]) for name in set(found) & set(expected))
    assert torch.equal(found["free"], REDUCED.build(11).state_dict()["free"])


@pytest.mark.parametrize(("attention", "name"), [("free", "free"), ("predicted", "query.weight")])
def test_attention_has_a_rate_of_its_own(
    attention: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(TINY, attention=attention, attention_rate=8.0, steps=1)
    model, start = config.build(3), config.build(3).state_dict()
    train_copier(model, config, 3)
    # Adam's first update moves each weight by the learning rate, whatever its gradient.
    for part, factor in ((name, 8.0), ("value.weight", 1.0)):
        moved = (model.state_dict()[part] - start[part]).abs()
        torch.testing.assert_close(moved.max().item(), 1e-2 * factor, rtol=1e-3, atol=0.0)

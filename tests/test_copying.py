"""The copier: every number against loops over single words, and readers made by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from lessons_lib import models
from lessons_lib.lab.copying import (
    HELD_OUT_SEED,
    CopyingConfig,
    build_copier,
    intervene,
    measure_copier,
    word_positions,
)
from lessons_lib.tasks import EOS, PAD, Batch

CONFIG = CopyingConfig(vocab=7, length=5, width=12)


def changed(**changes: object) -> CopyingConfig:
    return replace(CONFIG, **changes)  # type: ignore[arg-type]


def lively(config: CopyingConfig, seed: int) -> models.Seq2Seq:
    """A model whose attention is far from uniform and matters, without training."""
    model = build_copier(config, seed)
    with torch.no_grad():
        for weights in model.parameters():
            weights.mul_(3.0)
    return model


# --- the model before training ---------------------------------------------------------------


def test_scales_multiply_query_and_value_and_touch_nothing_else() -> None:
    plain = build_copier(CONFIG, 3).state_dict()
    scaled = build_copier(changed(query_scale=3.0, value_scale=0.5), 3).state_dict()
    factor = {"query": 3.0, "value": 0.5}
    for name, weights in plain.items():
        expected = weights * factor.get(name.partition(".")[0], 1.0)
        assert torch.equal(scaled[name], expected), name
    batch, uniform = CONFIG.task.sample(8, 0), lively(changed(query_scale=0.0), 1)
    assert torch.equal(uniform(batch).attention, torch.full((8, 1, 6, 6), 1 / 6))
    silent = lively(changed(value_scale=0.0), 1)
    assert measure_copier(silent, batch)["margin"] == pytest.approx(0, abs=1e-6)


# --- measurements ----------------------------------------------------------------------------


def test_word_positions_leave_out_the_end_symbol_and_padding() -> None:
    words = torch.tensor([[5, 4, EOS, PAD], [6, 7, 8, EOS]])
    gold = torch.tensor([[0, 1, 2, 3], [2, 0, 1, 3]])
    assert word_positions(Batch(words, words, gold)).tolist() == [[0, 1, -1, -1], [2, 0, 1, -1]]
    with pytest.raises(ValueError, match="expected a batch with gold positions, found none"):
        word_positions(Batch(words, words))


def accuracy_by_loop(logits: Tensor, batch: Batch, end: bool = False) -> float:
    hits = [
        bool(logits[row, t].argmax() == word)
        for row, words in enumerate(batch.target.tolist())
        for t, word in enumerate(words)
        if end or word != EOS
    ]
    return sum(hits) / len(hits)


def measured_by_loop(model: models.Seq2Seq, batch: Batch) -> dict[str, float]:
    """All metrics, one word at a time: a copy, in which word t is at position t."""
    out, heads = model(batch), model.config.heads
    src = batch.source.shape[1]
    cells = [
        (row, t) for row in range(len(batch)) for t in range(src) if batch.target[row, t] != EOS
    ]

    def looks(attention: Tensor) -> tuple[float, float]:
        """How often the right position is the largest, and its mean weight."""
        weights = [(t, attention[row, t].tolist()) for row, t in cells]
        found = sum(w.index(max(w)) == t for t, w in weights) / len(cells)
        return found, sum(w[t] for t, w in weights) / len(cells)

    def margin(moved: list[int]) -> float:
        """Some heads look at one position alone: what the right one gives over the mean of all."""
        beta = []  # of each position, (batch, tgt, vocab)
        for at in range(src):
            attention = out.attention.clone()
            for k in moved:
                attention[:, k] = 0
                attention[:, k, :, at] = 1
            logits = model(batch, attention=attention).logits
            beta.append((logits.exp() / logits.exp().sum(-1, keepdim=True)).log())
        found = []
        for row, t in cells:
            if row < 16:
                said = [float(one[row, t, batch.target[row, t]]) for one in beta]
                found.append(said[t] - sum(said) / src)
        return sum(found) / len(found)

    losses = []
    for row, t in cells:
        logits = out.logits[row, t].tolist()
        losses.append(math.log(sum(map(math.exp, logits))) - logits[batch.target[row, t]])
    accuracy, mass = looks(sum(out.attention.unbind(1), torch.zeros(())) / heads)
    found = {
        "token_accuracy": accuracy_by_loop(out.logits, batch),
        "accuracy_with_end": accuracy_by_loop(out.logits, batch, end=True),
        "attention_accuracy": accuracy,
        "right_mass": mass,
        "margin": margin(list(range(heads))),
        "held_out_loss": sum(losses) / len(losses),
    }
    for k in range(heads if heads > 1 else 0):
        accuracy, mass = looks(out.attention[:, k])
        found |= {f"head{k}/attention_accuracy": accuracy, f"head{k}/right_mass": mass}
        found[f"head{k}/margin"] = margin([k])
    return found


@pytest.mark.parametrize(("heads", "end_symbol"), [(1, True), (3, True), (3, False)])
def test_measurements_are_those_of_a_loop_over_words(heads: int, end_symbol: bool) -> None:
    config = changed(heads=heads, end_symbol=end_symbol)
    batch = config.task.sample(19, 5)  # more than the probe is taken on
    model = lively(config, 4)
    model.train()
    found = measure_copier(model, batch)
    assert model.training, "the model's mode is put back"
    with torch.no_grad():
        assert found == pytest.approx(measured_by_loop(model, batch), abs=1e-5)
    by_head = [value for name, value in found.items() if name.endswith("/right_mass")]
    assert len({round(mass, 3) for mass in by_head}) == (heads if heads > 1 else 0)


# --- interventions ---------------------------------------------------------------------------

ALLOWED: dict[str, Callable[[int, int], bool]] = {
    "right_only": lambda at, right: at == right,
    "not_right": lambda at, right: at != right,
    "not_before": lambda at, right: at >= right,
    "not_after": lambda at, right: at <= right,
}


def masked_by_loop(own: Tensor, allowed: Callable[[int, int], bool]) -> Tensor:
    """Attention on the allowed positions only; output word t comes from position t."""
    found = torch.zeros_like(own)
    for kept, whole in zip(found.flatten(0, 1), own.flatten(0, 1), strict=True):
        for t in range(own.shape[2]):
            at = [position for position in range(own.shape[3]) if allowed(position, t)]
            kept[t, at] = whole[t, at] / whole[t, at].sum()
    return found


@pytest.mark.parametrize(("heads", "end_symbol"), [(1, True), (3, False)])
def test_interventions_are_those_of_a_loop_over_attention(heads: int, end_symbol: bool) -> None:
    config = changed(heads=heads, end_symbol=end_symbol)
    model = lively(config, 8)
    batch = config.task.sample(60, 3)
    model.train()
    found = intervene(model, config.task, batch)
    assert model.training
    rolled = torch.stack([batch.source[row - 1] for row in range(60)])
    other = Batch(rolled, batch.target, batch.gold)
    with torch.no_grad():
        own = model(batch).attention
        expected = {
            f"accuracy/{name}": accuracy_by_loop(
                model(batch, attention=masked_by_loop(own, allowed)).logits, batch
            )
            for name, allowed in ALLOWED.items()
        }
        uniform = torch.full((1, 1, 1, own.shape[-1]), 1 / own.shape[-1])
        repeated = replace(config.task, repetition=True).sample(60, HELD_OUT_SEED)
        expected |= {
            "accuracy/uniform": accuracy_by_loop(model(batch, attention=uniform).logits, batch),
            "accuracy/other_source": accuracy_by_loop(model(other).logits, other),
            "accuracy/repeated": accuracy_by_loop(model(repeated).logits, repeated),
        }
    assert found == expected
    assert len(set(found.values())) > 4, "the numbers tell interventions apart"

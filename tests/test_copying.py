"""The copier: every number against loops over single words, and readers made by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from lessons_lib import models, probes
from lessons_lib.lab.copying import (
    HELD_OUT_SEED,
    CopyingConfig,
    build_copier,
    intervene,
    measure_copier,
    word_positions,
)
from lessons_lib.tasks import EOS, FIRST_WORD, PAD, Batch, Copying

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


# --- right positions -------------------------------------------------------------------------


def test_word_positions_leave_out_the_end_symbol_and_padding() -> None:
    words = torch.tensor([[5, 4, EOS, PAD], [6, 7, 8, EOS]])
    gold = torch.tensor([[0, 1, 2, 3], [2, 0, 1, 3]])
    found = word_positions(Batch(words, words, gold))
    assert found.tolist() == [[0, 1, -1, -1], [2, 0, 1, -1]]
    assert gold.tolist() == [[0, 1, 2, 3], [2, 0, 1, 3]], "the batch is left as it was"
    without = Copying(7, 5, end_symbol=False).sample(3, 0)
    assert word_positions(without).tolist() == [[0, 1, 2, 3, 4]] * 3
    with pytest.raises(ValueError, match="expected a batch with gold positions, found none"):
        word_positions(Batch(words, words))


# --- the model before training ---------------------------------------------------------------


def test_scales_multiply_query_and_value_and_touch_nothing_else() -> None:
    plain = build_copier(changed(query_scale=1.0, value_scale=1.0), 3).state_dict()
    scaled = build_copier(changed(query_scale=3.0, value_scale=0.5), 3).state_dict()
    factor = {"query": 3.0, "value": 0.5}
    for name, weights in plain.items():
        expected = weights * factor.get(name.partition(".")[0], 1.0)
        assert torch.equal(scaled[name], expected), name
    assert {name.partition(".")[0] for name in plain} > set(factor)


def test_query_scale_0_starts_from_exactly_uniform_attention() -> None:
    batch, model = CONFIG.task.sample(8, 0), lively(changed(query_scale=0.0), 1)
    attention = model(batch).attention
    assert torch.equal(attention, torch.full_like(attention, 1 / 6))
    assert measure_copier(model, batch)["right_mass"] == pytest.approx(1 / 6)
    assert bool((lively(CONFIG, 1)(batch).attention > 0.5).any())


def test_value_scale_0_starts_without_a_lexical_probe() -> None:
    batch = CONFIG.task.sample(8, 0)
    flat, there = lively(changed(value_scale=0.0), 1), lively(CONFIG, 1)
    beta = probes.lexical_probe(flat, batch, scale="log_probability")
    assert torch.equal(beta, beta[..., :1].expand_as(beta))
    assert measure_copier(flat, batch)["margin"] == pytest.approx(0, abs=1e-6)
    assert abs(measure_copier(there, batch)["margin"]) > 0.01


# --- measurements ----------------------------------------------------------------------------


def accuracy_by_loop(logits: Tensor, batch: Batch, end: bool = False) -> float:
    hits = [
        int(logits[row, t].argmax()) == int(batch.target[row, t])
        for row in range(len(batch))
        for t in range(batch.target.shape[1])
        if end or batch.target[row, t] != EOS
    ]
    return sum(hits) / len(hits)


def margin_by_loop(model: models.Seq2Seq, batch: Batch, moved: list[int]) -> float:
    """Some heads look at one position alone: what the right one gives over the mean of all."""
    src = batch.source.shape[1]
    own = model(batch).attention
    beta = []  # of each position, (batch, tgt) each
    for at in range(src):
        attention = own.clone()
        for k in moved:
            attention[:, k] = 0
            attention[:, k, :, at] = 1
        logits = model(batch, attention=attention).logits
        table = (logits.exp() / logits.exp().sum(-1, keepdim=True)).log()
        beta.append(
            [
                [float(table[r, t, w]) for t, w in enumerate(row)]
                for r, row in enumerate(batch.target)
            ]
        )
    margins = [
        beta[t][row][t] - sum(beta[at][row][t] for at in range(src)) / src
        for row in range(min(len(batch), 16))
        for t in range(src)
        if batch.target[row, t] != EOS
    ]
    return sum(margins) / len(margins)


def looks_by_loop(attention: Tensor, batch: Batch) -> tuple[float, float]:
    """How often the right position is the largest, and its mean weight; (batch, tgt, src)."""
    found, mass, words = 0, 0.0, 0
    for row in range(len(batch)):
        for t in range(batch.target.shape[1]):
            if batch.target[row, t] != EOS:
                weights = attention[row, t].tolist()
                found += weights.index(max(weights)) == t  # a copy: word t is at position t
                mass += weights[t]
                words += 1
    return found / words, mass / words


def measured_by_loop(model: models.Seq2Seq, batch: Batch) -> dict[str, float]:
    """All metrics, one word at a time."""
    out = model(batch)
    heads = model.config.heads
    losses = []
    for row in range(len(batch)):
        for t, word in enumerate(batch.target[row].tolist()):
            if word != EOS:
                logits = out.logits[row, t].tolist()
                losses.append(math.log(sum(map(math.exp, logits))) - logits[word])
    mean = torch.stack([out.attention[:, k] for k in range(heads)]).sum(0) / heads
    looks = looks_by_loop(mean, batch)
    found = {
        "token_accuracy": accuracy_by_loop(out.logits, batch),
        "accuracy_with_end": accuracy_by_loop(out.logits, batch, end=True),
        "attention_accuracy": looks[0],
        "right_mass": looks[1],
        "margin": margin_by_loop(model, batch, list(range(heads))),
        "held_out_loss": sum(losses) / len(losses),
    }
    for k in range(heads if heads > 1 else 0):
        of_head = looks_by_loop(out.attention[:, k], batch)
        found |= dict(
            zip((f"head{k}/attention_accuracy", f"head{k}/right_mass"), of_head, strict=True)
        )
        found[f"head{k}/margin"] = margin_by_loop(model, batch, [k])
    return found


@pytest.mark.parametrize("end_symbol", [True, False])
@pytest.mark.parametrize("heads", [1, 3])
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
    if heads > 1:
        assert found["right_mass"] == pytest.approx(sum(by_head) / heads)


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
    rows, heads, tgt, src = own.shape
    for row in range(rows):
        for k in range(heads):
            for t in range(tgt):
                kept = [at for at in range(src) if allowed(at, t)]
                total = sum(float(own[row, k, t, at]) for at in kept)
                for at in kept:
                    found[row, k, t, at] = own[row, k, t, at] / total
    return found


@pytest.mark.parametrize("end_symbol", [True, False])
@pytest.mark.parametrize("heads", [1, 3])
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


class Reader(models.Seq2Seq):
    """Writes the word that attention weighs most (sign 1) or least (-1); looks as it is told."""

    def __init__(self, looks: list[list[float]], words: int, sign: float = 1.0) -> None:
        super().__init__(models.Seq2SeqConfig(words, words, d_embed=1, d_hidden=1))
        self.looks, self.words, self.sign = torch.tensor(looks), words, sign

    def forward(self, batch: Batch, attention: Tensor | None = None) -> models.Seq2SeqOutput:
        shape = (len(batch), 1, batch.target.shape[1], batch.source.shape[1])
        alpha = self.looks.expand(shape) if attention is None else attention
        one_hot = torch.nn.functional.one_hot(batch.source, self.words).float()
        logits = self.sign * torch.einsum("bktl,blv->btv", alpha.expand(shape), one_hot)
        logits[..., :FIRST_WORD] = -9.0  # only words are written
        nothing = torch.zeros(1)
        return models.Seq2SeqOutput(logits, alpha, nothing, nothing, nothing)


def copies(*rows: list[int]) -> Batch:
    words = torch.tensor(rows)
    return Batch(words, words.clone(), torch.arange(words.shape[1]).expand_as(words))


def test_what_becomes_of_a_reader_that_looks_too_far_left() -> None:
    """At each step it looks most at the first of three positions, then at the second."""
    reader = Reader([[0.5, 0.3, 0.2]] * 3, words=10)
    batch = copies([4, 5, 6], [7, 8, 9])
    task = Copying(6, 3, end_symbol=False)
    found = intervene(reader, task, batch)
    assert found["accuracy/right_only"] == 1.0
    assert found["accuracy/not_right"] == 0.0
    assert found["accuracy/not_before"] == 1.0, "the largest that is left is the right one"
    assert found["accuracy/not_after"] == pytest.approx(1 / 3), "the first word only"
    assert found["accuracy/uniform"] == pytest.approx(1 / 3), "of equal words the first counts"
    assert found["accuracy/other_source"] == 0.0, "the other input shares no word"
    repeated = Copying(6, 3, repetition=True, end_symbol=False).sample(2, HELD_OUT_SEED)
    rows = repeated.target.tolist()
    shares = [sum(word == row[0] for word in row) / 3 for row in rows]
    assert found["accuracy/repeated"] == pytest.approx(sum(shares) / 2)


def test_what_becomes_of_a_reader_by_elimination() -> None:
    """It looks everywhere but at the right word, and writes the word it does not see."""
    reader = Reader([[0.0, 0.6, 0.4], [0.6, 0.0, 0.4], [0.6, 0.4, 0.0]], words=7, sign=-1.0)
    batch = copies([4, 5, 6], [6, 4, 5])
    found = intervene(reader, Copying(3, 3, end_symbol=False), batch)
    assert found["accuracy/not_right"] == 1.0
    assert found["accuracy/right_only"] == 0.0
    # All words seen but one: on the left at the last step only, on the right at the first only.
    assert found["accuracy/not_after"] == pytest.approx(1 / 3)
    assert found["accuracy/not_before"] == pytest.approx(1 / 3)


def test_where_no_attention_is_left_it_is_uniform_over_what_is_allowed() -> None:
    """An aligned reader without its right position: the smaller word wins the tie."""
    reader = Reader(torch.eye(3).tolist(), words=10)
    task = Copying(6, 3, end_symbol=False)
    seen: list[Tensor] = []
    forward = reader.forward

    def spy(batch: Batch, attention: Tensor | None = None) -> models.Seq2SeqOutput:
        if attention is not None:
            seen.append(attention)
        return forward(batch, attention)

    reader.forward = spy  # type: ignore[method-assign]
    found = intervene(reader, task, copies([4, 5, 6], [7, 8, 9]))
    assert found["accuracy/not_right"] == 0.0
    spread = (1 - torch.eye(3)) / 2
    assert any(torch.allclose(alpha, spread.expand_as(alpha)) for alpha in seen)
    assert all(torch.allclose(alpha.sum(-1), torch.ones(())) for alpha in seen)


def test_one_input_alone_cannot_be_swapped_for_another() -> None:
    config = CopyingConfig(vocab=7, length=5, width=12)
    with pytest.raises(ValueError, match="two inputs or more, found 1"):
        intervene(build_copier(config, 0), config.task, config.task.sample(1, 0))

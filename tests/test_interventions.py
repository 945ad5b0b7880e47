"""Interventions: against plain training loops, loops over words, and values by hand."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from itertools import islice, product
from typing import Any

import pytest
import torch
from test_copying import noted
from torch import Tensor
from torch.nn.functional import cross_entropy

from lessons_lib.lab import copying, interventions
from lessons_lib.lab.copying import measure_copier
from lessons_lib.lab.interventions import InterventionConfig, preparation_batches
from lessons_lib.tasks import EOS, Batch

TINY = InterventionConfig(
    vocab=5, length=5, spare=3, width=10, batch_size=9, learning_rate=1e-2, steps=4,
    evaluate_every=1, stop_at=2.0, measured=7,
)  # fmt: skip
WRONG = {4: 5, 5: 6, 6: 7, 7: 8, 8: 4, 9: 10, 10: 11, 11: 9, EOS: EOS}
"""The wrong dictionary of ``TINY``: five words and three spare ones."""


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        *((prepare, range(4, 9)) for prepare in ("uniform-hard", "gold", "alignment")),
        *(("uniform-easy", range(4, 12)), ("dictionary", range(4, 9))),
    ],
)
def test_what_the_preparations_train_on(prepare: Any, words: range) -> None:
    config = replace(TINY, prepare=prepare, prepare_steps=1, batch_size=40)
    batch = next(preparation_batches(config, 6))
    assert torch.equal(batch.target, batch.source)
    assert set(batch.source.flatten().tolist()) == {EOS, *words}
    repeats = any(len(set(row)) < 6 for row in batch.source.tolist())
    assert repeats == (prepare == "dictionary")
    if prepare in ("dictionary", "uniform-easy"):
        wrong = next(preparation_batches(replace(config, wrong_words=True), 6))
        assert torch.equal(wrong.source, batch.source)
        expected = [[WRONG[word] for word in row] for row in batch.source.tolist()]
        assert wrong.target.tolist() == expected
        assert torch.equal(wrong.gold, torch.arange(6).expand(40, 6))  # type: ignore[arg-type]
    else:
        seen = next(TINY.task.stream(40, interventions.PREPARATION_SEED + 6)).source
        assert torch.equal(batch.source, seen)


def test_dictionary_loss_by_loop() -> None:
    config = replace(TINY, heads=3, prepare="dictionary", prepare_steps=1, wrong_words=True)
    model = config.build(2)
    batch = next(preparation_batches(config, 0))
    loss = interventions.dictionary_loss(model, batch)
    out = model(batch)
    values = out.encoder_states @ model.value.weight.T + model.value.bias
    context = values.unflatten(-1, (3, 10)).mean(2)
    total = torch.zeros(())
    written = [1, 2, *range(4, 12)]  # rows of the output layer, the spare words' included
    for b, t in product(range(9), range(6)):
        logits = model.readout_layers(torch.cat([out.decoder_states[b - 1, t], context[b, t]]))
        total = total - logits.log_softmax(0)[written.index(int(batch.target[b, t]))]
    torch.testing.assert_close(loss, total / 54)
    loss.backward()
    for parameter in model.query.parameters():
        assert parameter.grad is None or not bool(parameter.grad.any())


def test_alignment_loss_by_loop() -> None:
    model = replace(TINY, heads=2).build(2)
    batch = TINY.task.sample(4, 1)
    alpha = model(batch).attention
    picked = [alpha[b, k, t, t].log() for b in range(4) for k in range(2) for t in range(6)]
    torch.testing.assert_close(
        interventions.alignment_loss(model, batch), -torch.stack(picked).mean()
    )


def test_measurements_by_loop() -> None:
    config = replace(TINY, prepare="dictionary", prepare_steps=1, wrong_words=True)
    model = config.build(2)
    batch = config.task.sample(12, 3)
    found = config.measure(model, batch)
    model.requires_grad_(False)
    out = model(batch)
    values = model.values(out.encoder_states)[:, 0]  # b l d
    hits, masses = [], []
    for b, t in product(range(12), range(5)):
        word = int(batch.target[b, t])
        told = [model.readout(out.decoder_states[b, t], value) for value in values[b]]
        said = [float(logits.log_softmax(-1)[word]) for logits in told]
        hits.append(said.index(max(said)) == t)
        (there,) = [j for j in range(5) if WRONG[int(batch.source[b, j])] == word]
        masses.append(float(out.attention[b, 0, t, there]))
    assert 0 < sum(hits) < 60
    expected = {"probe_accuracy": sum(hits) / 60, "misled_mass": sum(masses) / 60}
    assert found == pytest.approx({**measure_copier(model, batch), **expected}, abs=1e-6)
    assert "misled_mass" not in TINY.measure(model, batch)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Tensor]]:
    """The weights each time that a run is measured."""
    return noted(*(monkeypatch, copying, "measure_copier"), lambda m, _: deepcopy(m.state_dict()))


HELD = {"gold": torch.eye(6), "uniform": torch.full((6, 6), 1 / 6)}


def by_hand(config: InterventionConfig, seed: int) -> list[dict[str, Tensor]]:
    """The weights at the start and after each update, from a plain loop without groups."""
    model, then = config.build(seed), None
    found = [deepcopy(model.state_dict())]
    losses = {name: getattr(interventions, f"{name}_loss") for name in ("alignment", "dictionary")}
    query = list(model.query.parameters())
    rest = [p for name, p in model.named_parameters() if not name.startswith("query")]
    lr, taught = config.learning_rate, config.prepare
    fixed = ("ktiw", "shared") if taught == "alignment" else ()
    task = config.task.stream(config.batch_size, seed)
    stages: tuple[tuple[Iterator[Batch], int, tuple[str, ...], float, int], ...] = (
        (preparation_batches(config, seed), config.prepare_steps, fixed, 1.0, 12),
        (task, config.steps, config.frozen, config.query_rate, 9),  # spare words are silent now
    )
    for stream, steps, frozen, rate, words in stages:
        groups = [{"params": rest, "lr": lr}, {"params": query, "lr": lr * rate}]
        optimizer = torch.optim.Adam(groups)
        for step, batch in enumerate(islice(stream, steps)):
            alpha = HELD.get(config.hold if words == 9 else taught.split("-")[0])
            if words == 9 and config.hold == "snapshot" and step >= config.hold_from:
                then = then or deepcopy(model)
                alpha = then(batch).attention.detach()
            logits = model(batch, attention=alpha).logits[..., :words]
            loss = cross_entropy(logits.flatten(0, 1), batch.target.flatten())
            if words == 12 and taught in losses:
                loss = losses[taught](model, batch)
            optimizer.zero_grad()
            loss.backward()
            for name, parameter in model.named_parameters():
                if GROUPS.get(name.split(".")[0], "ktiw") in frozen:
                    parameter.grad = None
            optimizer.step()
            found.append(deepcopy(model.state_dict()))
    return found


GROUPS = {"query": "attention", "encoder": "shared", "decoder": "shared"}
RUNS: dict[str, dict[str, Any]] = {
    "uniform-easy": {"prepare": "uniform-easy", "prepare_steps": 3},
    "wrong-words": {"prepare": "uniform-easy", "prepare_steps": 3, "wrong_words": True},
    "uniform-hard": {"prepare": "uniform-hard", "prepare_steps": 2},
    "dictionary": {"prepare": "dictionary", "prepare_steps": 3, "frozen": ("ktiw", "shared")},
    "alignment": {"prepare": "alignment", "prepare_steps": 3},
    "frozen-ktiw": {"frozen": ("ktiw",)},
    "hold-uniform": {"hold": "uniform"},
    "hold-gold": {"prepare": "gold", "prepare_steps": 3, "hold": "gold", "frozen": ("shared",)},
    "snapshot": {"hold": "snapshot", "hold_from": 2},
    "rate": {"query_rate": 8.0},
}


@pytest.mark.parametrize("name", RUNS)
def test_a_run_is_the_plain_training_loop_on_its_seeds_inputs(
    name: str, seen: list[dict[str, Tensor]]
) -> None:
    config = replace(TINY, **RUNS[name])
    frame = interventions.run_intervention(config, 5).frame()
    n = config.prepare_steps
    if n:  # the end of the preparation is the beginning of the run
        assert all(torch.equal(seen[n][key], seen[n + 1][key]) for key in seen[n])
        del seen[n]
    for found, weights in zip(seen, by_hand(config, 5), strict=True):
        torch.testing.assert_close(found, weights, atol=2e-4, rtol=0)
    # Steps count all updates, and no value comes twice.
    of = {metric: rows["step"].tolist() for metric, rows in frame.groupby("metric")}
    for metric in ("token_accuracy", "margin", "probe_accuracy"):
        assert of[metric] == list(range(n + 5))
    assert of["loss"] == [n + k for k in range(1, 5)], "of the task, not of the preparation"
    assert of["accuracy/right_only"] == [n + 4]

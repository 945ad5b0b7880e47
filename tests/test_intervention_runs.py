"""Runs with interventions: against plain training loops from the same seeds."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from lessons_lib import models
from lessons_lib.lab import interventions
from lessons_lib.lab.copying import (
    HELD_OUT_SEED,
    build_copier,
    measure_copier,
    outcomes,
    run_copying,
)
from lessons_lib.lab.interventions import (
    InterventionConfig,
    alignment_loss,
    build_held,
    dictionary_loss,
    parameter_groups,
    preparation_batches,
    run_intervention,
)
from lessons_lib.tasks import Batch

Tiny = Callable[..., InterventionConfig]

pytestmark = pytest.mark.usefixtures("one_thread_of_the_cpu")


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """Weights, and attention on the held-out inputs, each time that a run is measured."""
    seen: dict[str, list[Any]] = {"weights": [], "attention": []}

    def note(model: models.Seq2Seq, batch: Batch) -> dict[str, float]:
        seen["weights"].append(deepcopy(model.state_dict()))
        seen["attention"].append(model(batch).attention.clone())
        return measure_copier(model, batch)

    monkeypatch.setattr(interventions, "measure_copier", note)
    return seen


def by_hand(config: InterventionConfig, seed: int) -> list[dict[str, Tensor]]:
    """The weights at the start and after each update, from a plain loop without groups."""
    model = build_copier(config, seed)
    length = config.length + 1
    words = 4 + config.vocab + config.spare  # in the preparation; afterwards spare ones are silent
    found = [deepcopy(model.state_dict())]

    def update(
        optimizer: torch.optim.Optimizer, loss: Tensor, names: Callable[[str], bool]
    ) -> None:
        optimizer.zero_grad()
        loss.backward()
        for name, parameter in model.named_parameters():
            if not names(name):
                parameter.grad = None
        optimizer.step()
        found.append(deepcopy(model.state_dict()))

    def copying_loss(batch: Batch, alpha: Tensor | None) -> Tensor:
        logits = model(batch, attention=alpha).logits[..., :words]
        return cross_entropy(logits.flatten(0, 1), batch.target.flatten())

    def adam(rate: float) -> torch.optim.Optimizer:
        query = [p for name, p in model.named_parameters() if name.startswith("query")]
        rest = [p for name, p in model.named_parameters() if not name.startswith("query")]
        lr = config.learning_rate
        return torch.optim.Adam([{"params": rest, "lr": lr}, {"params": query, "lr": lr * rate}])

    held = {"gold": torch.eye(length), "uniform": torch.full((length, length), 1 / length)}
    optimizer = adam(1.0)
    stream = preparation_batches(config, seed)
    for _ in range(config.prepare_steps):
        batch = next(stream)
        only_query = config.prepare == "alignment"
        loss = {
            "alignment": lambda: alignment_loss(model, batch),  # noqa: B023
            "dictionary": lambda: dictionary_loss(model, batch),  # noqa: B023
        }.get(
            config.prepare,
            lambda: copying_loss(batch, held[config.prepare.split("-")[0]]),  # noqa: B023
        )()
        update(optimizer, loss, lambda name: not only_query or name.startswith("query"))  # noqa: B023

    def trained(name: str) -> bool:
        part = name.split(".")[0]
        group = {"query": "attention", "encoder": "shared", "decoder": "shared"}.get(part, "ktiw")
        return group not in config.frozen

    words -= config.spare
    optimizer = adam(config.query_rate)
    stream = config.task.stream(config.batch_size, seed)
    frozen_copier = None
    for step in range(config.steps):
        batch = next(stream)
        attention = held.get(config.hold)
        if config.hold == "snapshot" and step >= config.hold_from:
            if frozen_copier is None:
                frozen_copier = build_copier(config, seed)
                frozen_copier.load_state_dict(model.state_dict())
            attention = frozen_copier(batch).attention.detach()
        update(optimizer, copying_loss(batch, attention), trained)
    return found


RUNS: dict[str, dict[str, Any]] = {
    "as-it-is": {},
    "uniform-easy": {"prepare": "uniform-easy", "prepare_steps": 3},
    "wrong-words": {"prepare": "uniform-easy", "prepare_steps": 3, "wrong_words": True},
    "uniform-hard": {"prepare": "uniform-hard", "prepare_steps": 2},
    "gold": {"prepare": "gold", "prepare_steps": 2},
    "dictionary": {"prepare": "dictionary", "prepare_steps": 3, "frozen": ("ktiw", "shared")},
    "alignment": {"prepare": "alignment", "prepare_steps": 3},
    "frozen-ktiw": {"frozen": ("ktiw",)},
    "frozen-attention": {"frozen": ("attention",)},
    "hold-uniform": {"hold": "uniform"},
    "hold-gold": {"hold": "gold", "frozen": ("shared",)},
    "snapshot": {"hold": "snapshot", "hold_from": 2},
    "rate": {"query_rate": 8.0},
}


@pytest.mark.parametrize("name", RUNS)
def test_a_run_is_the_plain_training_loop(
    tiny: Tiny, name: str, watched: dict[str, list[Any]]
) -> None:
    config = tiny(**RUNS[name])
    history = run_intervention(config, 5)
    n = config.prepare_steps
    assert history.steps == n + 4
    expected = by_hand(config, 5)
    assert len(expected) == n + 5
    seen = watched["weights"]
    if n:  # the end of the preparation is the beginning of the run
        assert all(torch.equal(seen[n][key], seen[n + 1][key]) for key in seen[n])
        del seen[n]
    assert len(seen) == len(expected)
    for found, weights in zip(seen, expected, strict=True):
        torch.testing.assert_close(found, weights, atol=2e-4, rtol=0)


@pytest.mark.parametrize("name", RUNS)
def test_what_is_frozen_stays_and_all_else_moves(
    tiny: Tiny, name: str, watched: dict[str, list[Any]]
) -> None:
    config = tiny(**RUNS[name])
    run_intervention(config, 1)
    first, last = watched["weights"][-5], watched["weights"][-1]
    model = build_held(config, 1)
    names = {id(parameter): key for key, parameter in model.named_parameters()}
    for group, parameters in parameter_groups(model).items():
        still = group in config.frozen or (
            group == "attention" and config.hold in ("gold", "uniform")
        )
        for parameter in parameters:
            key = names[id(parameter)]
            assert torch.equal(first[key], last[key]) == still, key


def test_spare_words_learn_in_the_preparation_only(
    tiny: Tiny, watched: dict[str, list[Any]]
) -> None:
    run_intervention(tiny(**RUNS["uniform-easy"]), 1)
    start, prepared, end = (watched["weights"][at] for at in (0, -5, -1))
    # Rows: start symbol, end symbol, 5 words, 3 spare words. Their embeddings: rows 9 to 11.
    for name, words, spare in (
        ("readout_layers.2.weight", slice(0, 7), slice(7, 10)),
        ("readout_layers.2.bias", slice(0, 7), slice(7, 10)),
        ("source_embedding.weight", slice(4, 9), slice(9, 12)),
    ):
        assert bool((start[name][spare] != prepared[name][spare]).all()), name
        assert torch.equal(prepared[name][spare], end[name][spare]), name
        assert bool((prepared[name][words] != end[name][words]).all()), name


def test_silent_words_have_no_gradient(tiny: Tiny) -> None:
    model = build_held(tiny(), 1)
    batch = tiny().task.sample(6, 0)
    spoken = model(batch).logits
    model.silent = tiny().spare_words
    logits = model(batch).logits
    assert torch.equal(logits[..., :9], spoken[..., :9])
    assert bool((logits[..., 9:] == -1e9).all())
    assert bool((spoken[..., 9:] > -1e8).all())
    models.sequence_loss(model, batch).backward()
    for weights in model.readout_layers[-1].parameters():
        assert weights.grad is not None
        assert bool((weights.grad[:7] != 0).all())
        assert not weights.grad[7:].any()


def test_no_intervention_is_the_copying_run(tiny: Tiny) -> None:
    config = tiny(spare=0)
    plain = run_copying(config, 2)
    ours = run_intervention(config, 2)
    assert [row for row in ours.rows if row["metric"] != "probe_accuracy"] == list(plain.rows)


@pytest.mark.parametrize("name", ["as-it-is", "gold", "alignment"])
def test_steps_count_all_updates_and_no_value_comes_twice(tiny: Tiny, name: str) -> None:
    config = tiny(**RUNS[name])
    frame = run_intervention(config, 1).frame()
    n = config.prepare_steps
    assert not frame.duplicated(["step", "metric"]).any()
    assert frame["step"].is_monotonic_increasing
    of = {metric: rows["step"].tolist() for metric, rows in frame.groupby("metric")}
    for metric in ("token_accuracy", "margin", "probe_accuracy"):
        assert of[metric] == list(range(n + 5))
    assert of["loss"] == [n + k for k in range(1, 5)], "of the task, not of the preparation"
    assert of["accuracy/right_only"] == [n + 4]
    found = outcomes(frame.assign(seed=1)).loc[1]
    assert (found["step"], found["solved"]) == (n + 4, False)


def test_attention_is_free_when_the_preparation_is_measured(
    tiny: Tiny, watched: dict[str, list[Any]]
) -> None:
    run_intervention(tiny(prepare="gold", prepare_steps=3), 1)
    first = watched["attention"][0]
    assert all(float((alpha - torch.eye(6)).abs().max()) > 0.5 for alpha in watched["attention"])
    fresh = build_held(tiny(), 1)(tiny().task.sample(7, HELD_OUT_SEED)).attention
    torch.testing.assert_close(first, fresh.detach())


@pytest.mark.parametrize("hold", ["gold", "uniform", "snapshot"])
def test_held_attention_is_what_is_measured(
    tiny: Tiny, hold: str, watched: dict[str, list[Any]]
) -> None:
    run_intervention(tiny(hold=hold, hold_from=2 if hold == "snapshot" else 0), 1)
    found = watched["attention"]
    assert len(found) == 5
    if hold == "snapshot":
        assert not torch.equal(found[0], found[1])
        assert not torch.equal(found[1], found[2])
        assert all(torch.equal(alpha, found[2]) for alpha in found[3:])
    else:
        expected = torch.eye(6) if hold == "gold" else torch.full((6, 6), 1 / 6)
        assert all(torch.equal(alpha, expected.expand(7, 1, 6, 6)) for alpha in found)


def test_a_run_depends_on_its_seed_only(tiny: Tiny) -> None:
    config = tiny(prepare="dictionary", prepare_steps=2, wrong_words=True)
    torch.manual_seed(5)
    first = run_intervention(config, 1)
    before = torch.manual_seed(9).get_state()
    assert run_intervention(config, 1).rows == first.rows
    assert torch.equal(torch.get_rng_state(), before), "the global state is left alone"
    assert run_intervention(config, 2).rows != first.rows


@pytest.mark.slow
def test_arms_of_a_seed_share_start_and_inputs(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[list[int]]] = []
    loss = models.sequence_loss

    def note(model: models.Seq2Seq, batch: Batch) -> Tensor:
        seen.append(batch.source.tolist())
        return loss(model, batch)

    monkeypatch.setattr(models, "sequence_loss", note)
    starts: dict[bool, set[float]] = {True: set(), False: set()}  # with a preparation, without
    for change in RUNS.values():
        config = tiny(**change)
        history = run_intervention(config, 3)
        if config.hold == "nothing":
            (start,) = [r["value"] for r in history.rows
                        if (r["step"], r["metric"]) == (0, "held_out_loss")]  # fmt: skip
            starts[config.prepare != "nothing"].add(start)
        stream = tiny().task.stream(9, 3)
        assert seen[-4:] == [next(stream).source.tolist() for _ in range(4)]
    # Spare words may be written until the preparation is over.
    batch = tiny().task.sample(7, HELD_OUT_SEED)
    logits = build_copier(tiny(), 3)(batch).logits[:, :5].flatten(0, 1).detach()
    for prepared, words in ((True, 12), (False, 9)):
        expected = float(cross_entropy(logits[:, :words], batch.target[:, :5].flatten()))
        (found,) = starts[prepared]
        assert found == pytest.approx(expected, rel=1e-5)


# --- the sentence of the abstract, in miniature ----------------------------------------------

EASY = {
    "vocab": 12, "length": 6, "spare": 0, "width": 24, "batch_size": 30, "steps": 150,
    "evaluate_every": 50,
}  # fmt: skip


@pytest.mark.slow
def test_ktiw_is_learned_without_attention_and_frozen_ktiw_does_not_move(tiny: Tiny) -> None:
    uniform = run_intervention(tiny(**EASY, hold="uniform"), 1)
    margins = uniform.frame().query("metric == 'margin'")["value"].tolist()
    assert abs(margins[0]) < 0.05
    assert margins[-1] > 1.0
    frozen = run_intervention(tiny(**EASY, frozen=("ktiw", "shared")), 1)
    assert uniform.last("probe_accuracy") > 0.6 > 0.4 > frozen.last("probe_accuracy")
    curves = frozen.frame().groupby("metric")["value"]
    assert curves.nunique()[["margin", "probe_accuracy"]].tolist() == [1, 1]
    assert curves.nunique()["right_mass"] > 1
    ordinary = run_intervention(tiny(**EASY), 1)
    assert ordinary.last("attention_accuracy") > frozen.last("attention_accuracy") + 0.3

"""Runs of copiers put together from heads: against plain training loops from the same seeds."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from lessons_lib import models
from lessons_lib.lab import copying
from lessons_lib.lab.copying import HELD_OUT_SEED, measure_copier
from lessons_lib.lab.heads import HeadsConfig, assemble, run_heads
from lessons_lib.tasks import Batch

ONE = HeadsConfig(
    vocab=6, length=4, width=10, cell="gru", shared_embeddings=False, batch_size=9,
    learning_rate=1e-2, steps=6, evaluate_every=1, stop_at=2.0, measured=7,
)  # fmt: skip
THREE = replace(ONE, heads=3)


pytestmark = pytest.mark.usefixtures("one_thread_of_the_cpu")


def heads_of(model: models.Seq2Seq) -> list[list[Tensor]]:
    """Query and value projection of each head: weight and bias, weight and bias."""
    tensors = (model.query.weight, model.query.bias, model.value.weight, model.value.bias)
    d = model.config.d_hidden
    return [
        [tensor[head * d : (head + 1) * d].detach().clone() for tensor in tensors]
        for head in range(model.config.heads)
    ]


def apart(model_heads: list[list[Tensor]]) -> float:
    """The largest difference between the first head and another one."""
    first, *others = model_heads
    gaps = [float((a - b).abs().max()) for o in others for a, b in zip(first, o, strict=True)]
    return max(gaps, default=0.0)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[list[Tensor]]]]:
    """The heads each time that a run is measured."""
    seen: dict[str, list[list[list[Tensor]]]] = {"heads": []}

    def note(model: models.Seq2Seq, batch: Batch) -> dict[str, float]:
        seen["heads"].append(heads_of(model))
        return measure_copier(model, batch)

    monkeypatch.setattr(copying, "measure_copier", note)
    return seen


def trained_by_hand(
    config: HeadsConfig, seeds: tuple[int, ...], data_seed: int
) -> list[list[list[Tensor]]]:
    """The heads after each update of a plain loop; all others restart when they are untied."""
    untie = config.tied_until
    model = assemble(config, [seeds[0]] * config.heads if untie else seeds)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
    stream = config.task.stream(config.batch_size, data_seed)
    found = [heads_of(model)]
    for made in range(config.steps):
        if made == untie > 0:
            for k, seed in enumerate(seeds[1:], start=1):
                rows = slice(k * config.width, (k + 1) * config.width)
                fresh = assemble(replace(config, heads=1, tied_until=0, drawn=0), [seed])
                with torch.no_grad():
                    for layer, start in ((model.query, fresh.query), (model.value, fresh.value)):
                        layer.weight[rows] = start.weight
                        layer.bias[rows] = start.bias
        optimizer.zero_grad()
        models.sequence_loss(model, next(stream)).backward()
        optimizer.step()
        found.append(heads_of(model))
    return found


@pytest.mark.parametrize(
    "config",
    [
        ONE,
        THREE,
        replace(THREE, merge="concatenate"),
        replace(THREE, data_seed=8),
        replace(THREE, tied_until=1),
        replace(THREE, tied_until=4),
        replace(THREE, tied_until=6),
        replace(THREE, tied_until=2, pool=(31, 52, 77, 94), drawn=3),
        replace(THREE, pool=(31, 32, 33, 34), drawn=2, second_pool=(41, 42), second_drawn=1),
    ],
)
def test_a_run_is_the_plain_training_loop(
    config: HeadsConfig, watched: dict[str, list[list[list[Tensor]]]]
) -> None:
    history = run_heads(config, 2)
    assert history.steps == config.steps
    data_seed = 2 if config.data_seed is None else config.data_seed
    expected = trained_by_hand(config, config.head_seeds(2), data_seed)
    assert len(watched["heads"]) == config.steps + 1
    for step, (found, by_hand) in enumerate(zip(watched["heads"], expected, strict=True)):
        for head, reference in zip(found, by_hand, strict=True):
            torch.testing.assert_close(head, reference, atol=2e-4, rtol=0)
        if config.heads == 1 or 0 < step <= config.tied_until:
            assert apart(found) < 1e-4
        elif step > 0 or not config.tied_until:
            assert apart(found) > 0.01


@pytest.mark.slow
def test_tied_heads_compute_what_one_head_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Throughout training. Rounding alone would tell these heads apart, and then grow to 0.7."""
    config = replace(
        ONE, length=6, width=18, heads=5, batch_size=20, learning_rate=2e-2, steps=200,
        tied_until=200, evaluate_every=20,
    )  # fmt: skip
    gaps = []

    def compare(model: models.Seq2Seq, batch: Batch) -> dict[str, float]:
        assert apart(heads_of(model)) < 1e-4
        one = assemble(replace(ONE, width=18), [0])
        one.load_state_dict(
            {key: v[:18] if key.split(".")[0] in ("query", "value") else v
             for key, v in model.state_dict().items()}
        )  # fmt: skip
        gaps.append(float((model(batch).logits - one(batch).logits).abs().max()))
        return measure_copier(model, batch)

    monkeypatch.setattr(copying, "measure_copier", compare)
    history = run_heads(config, 1)
    assert len(gaps) == 11 + 5
    assert max(gaps) < 1e-3
    assert history.last("token_accuracy") > 0.9, "there was something to come apart by"
    ends = {round(history.last(f"accuracy/without_head{k}"), 9) for k in range(5)}
    assert ends == {round(history.last("token_accuracy"), 9)}


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Tensor]]:
    """The inputs that a run trains on, and those on which it is measured, in order."""
    seen: dict[str, list[Tensor]] = {"trained": [], "measured": []}
    loss = models.sequence_loss

    def note_loss(model: models.Seq2Seq, batch: Batch) -> Tensor:
        seen["trained"].append(batch.source)
        return loss(model, batch)

    def note_measure(model: models.Seq2Seq, batch: Batch) -> dict[str, float]:
        seen["measured"].append(batch.source)
        return measure_copier(model, batch)

    monkeypatch.setattr(models, "sequence_loss", note_loss)
    monkeypatch.setattr(copying, "measure_copier", note_measure)
    return seen


def test_a_run_takes_its_inputs_from_the_data_seed_or_its_own(
    batches: dict[str, list[Tensor]],
) -> None:
    brief = replace(THREE, vocab=13, length=11, steps=2)
    for config, seed in ((brief, 5), (brief, 6), (replace(brief, data_seed=3), 5)):
        run_heads(config, seed)
    run_heads(replace(brief, data_seed=3), 6)
    expected = []
    for seed in (5, 6, 3, 3):
        stream = brief.task.stream(9, seed)
        expected += [next(stream).source.tolist() for _ in range(2)]
    assert [batch.tolist() for batch in batches["trained"]] == expected
    held_out = brief.task.sample(7, HELD_OUT_SEED).source
    assert all(torch.equal(held_out, batch) for batch in batches["measured"])
    assert len(batches["measured"]) == 4 * 3

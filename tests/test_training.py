from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

from lessons_lib.models import Seq2Seq, Seq2SeqConfig, build, sequence_loss
from lessons_lib.probes import token_accuracy
from lessons_lib.tasks import Copying
from lessons_lib.training import TrainConfig, train

TASK = Copying(vocab=6, length=3)
CONFIG = Seq2SeqConfig(TASK.vocab_size, TASK.vocab_size, d_embed=16, d_hidden=24)


def accuracy(model: Seq2Seq) -> dict[str, float]:
    batch = TASK.sample(40, seed=1000)
    return {"token_accuracy": token_accuracy(model(batch).logits, batch)}


def test_copying_is_learned_and_the_run_stops_when_it_is() -> None:
    model = build(CONFIG, 0)
    config = TrainConfig(
        steps=400, learning_rate=1e-2, evaluate_every=20, stop_metric="token_accuracy", stop_at=0.95
    )
    history = train(model, TASK.stream(32, 1), sequence_loss, config, evaluate=accuracy)
    assert history.wall_seconds > 0
    assert history.stopped_early
    assert history.last("token_accuracy") >= 0.95
    frame = history.frame()
    assert list(frame.columns) == ["step", "metric", "value"]
    steps = frame[frame.metric == "token_accuracy"].step
    assert steps.tolist() == list(range(0, history.steps + 1, 20))
    assert frame[frame.metric == "loss"].value.is_monotonic_decreasing
    assert not model.training


def test_steps_equal_pytorchs_optimizer() -> None:
    batches = [TASK.sample(5, seed) for seed in range(3)]
    ours, theirs = build(CONFIG, 0), build(CONFIG, 0)
    train(ours, batches, sequence_loss, TrainConfig(steps=3, learning_rate=0.02, clip=0.1))
    optimizer = torch.optim.Adam(theirs.parameters(), lr=0.02)
    for batch in batches:
        optimizer.zero_grad()
        sequence_loss(theirs, batch).backward()
        nn.utils.clip_grad_norm_(theirs.parameters(), 0.1)
        optimizer.step()
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, atol=1e-6, rtol=1e-4)


def test_dropout_follows_the_seed_whatever_the_global_state() -> None:
    def run(seed: int) -> list[float]:
        torch.rand(7)
        dropping = Seq2SeqConfig.from_dict({**CONFIG.to_dict(), "dropout": 0.2})
        config = TrainConfig(steps=6, evaluate_every=2)
        history = train(build(dropping, 3), TASK.stream(4, 0), sequence_loss, config, seed=seed)
        return [row["value"] for row in history.rows]

    torch.manual_seed(0)
    first = run(5)
    assert run(5) == first
    assert run(6) != first
    state = torch.get_rng_state()
    train(build(CONFIG, 0), TASK.stream(4, 0), sequence_loss, TrainConfig(steps=1))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("settings", "measured", "losses"),
    [
        ({"steps": 0}, [0], []),
        ({"steps": 5, "evaluate_every": 2}, [0, 2, 4, 5], [2, 4, 5]),
        ({"steps": 7, "evaluate_every": 4, "also_evaluate": (1, 4, 9)}, [0, 1, 4, 7], [1, 4, 7]),
    ],
)
def test_when_it_is_measured(
    settings: dict[str, Any], measured: list[int], losses: list[int]
) -> None:
    for evaluate, expected in ((accuracy, measured), (None, [])):
        config = TrainConfig.from_dict(settings)
        stream = TASK.stream(2, 0)
        rows = train(build(CONFIG, 0), stream, sequence_loss, config, evaluate=evaluate).rows
        assert [row["step"] for row in rows if row["metric"] == "token_accuracy"] == expected
        assert [row["step"] for row in rows if row["metric"] == "loss"] == losses


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_rate_factor_is_a_learning_rate_of_some_parameters(
    optimizer: Literal["sgd", "adam"],
) -> None:
    batch = TASK.sample(5, 0)

    def after(rate: float, factors: dict[str, float]) -> dict[str, Tensor]:
        model = build(CONFIG, 0)
        config = TrainConfig(steps=1, optimizer=optimizer, learning_rate=rate)
        groups = [(list(getattr(model, k).parameters()), f) for k, f in factors.items()]
        train(model, [batch], sequence_loss, config, rate_factors=groups)
        return model.state_dict()

    found = after(0.02, {"query": 4.0, "value": 0.25})
    references = {rate: after(rate, {}) for rate in (0.02, 0.08, 0.005)}
    for name, value in found.items():
        rate = {"query": 0.08, "value": 0.005}.get(name.split(".")[0], 0.02)
        torch.testing.assert_close(value, references[rate][name], msg=name)
    for name in ("query.weight", "value.weight"):
        assert not torch.equal(found[name], references[0.02][name])
    same = after(0.02, {"query": 1.0})
    assert all(torch.equal(value, references[0.02][name]) for name, value in same.items())

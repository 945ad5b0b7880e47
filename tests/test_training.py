from typing import Any, Literal

import pytest
import torch
from torch.optim import SGD, Adam

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
    assert history.stopped_early
    assert history.last("token_accuracy") >= 0.95
    frame = history.frame()
    steps = frame[frame.metric == "token_accuracy"].step
    assert steps.tolist() == list(range(0, history.steps + 1, 20))
    assert frame[frame.metric == "loss"].value.is_monotonic_decreasing
    assert not model.training


@pytest.mark.parametrize(("name", "theirs_is"), [("adam", Adam), ("sgd", SGD)])
def test_steps_equal_pytorchs_optimizer(name: Literal["sgd", "adam"], theirs_is: Any) -> None:
    batches = [TASK.sample(5, seed) for seed in range(3)]
    ours, theirs = build(CONFIG, 0), build(CONFIG, 0)
    config = TrainConfig(steps=3, learning_rate=0.02, optimizer=name)
    train(ours, batches, sequence_loss, config)
    optimizer = theirs_is(theirs.parameters(), lr=0.02)
    for batch in batches:
        optimizer.zero_grad()
        sequence_loss(theirs, batch).backward()
        optimizer.step()
    for part, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[part], value, atol=1e-6, rtol=1e-4)


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
        ({"steps": 7, "evaluate_every": 4, "also_evaluate": (1, 4, 9)}, [0, 1, 4, 7], [1, 4, 7]),
    ],
)
def test_when_it_measures(settings: dict[str, Any], measured: list[int], losses: list[int]) -> None:
    config, stream = TrainConfig.from_dict(settings), TASK.stream(2, 0)
    rows = train(build(CONFIG, 0), stream, sequence_loss, config, evaluate=accuracy).rows
    assert [row["step"] for row in rows if row["metric"] == "token_accuracy"] == measured
    assert [row["step"] for row in rows if row["metric"] == "loss"] == losses

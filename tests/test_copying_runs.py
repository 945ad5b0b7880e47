"""Copying runs and forked runs from their seeds, and what became of them: branches by hand."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
import torch
from torch import Tensor

from lessons_lib import models, training
from lessons_lib.lab import copying
from lessons_lib.lab.copying import (
    FORK_SEED,
    HELD_OUT_SEED,
    CopyingConfig,
    ForkedConfig,
    outcomes,
    run_copying,
    run_forked,
)
from lessons_lib.tasks import Batch

TINY = CopyingConfig(
    vocab=6, length=4, width=24, batch_size=20, learning_rate=1e-2, steps=400, measured=30
)


pytestmark = pytest.mark.usefixtures("one_thread_of_the_cpu")


@pytest.fixture(scope="module")
def run() -> training.History:
    return run_copying(TINY, 1)


def test_a_run_stops_as_soon_as_it_copies(run: training.History) -> None:
    accuracy = run.frame().query("metric == 'token_accuracy'").set_index("step")["value"]
    assert run.stopped_early
    assert run.steps == accuracy.index[-1] < TINY.steps
    assert accuracy.iloc[-1] >= TINY.stop_at
    assert (accuracy.iloc[:-1] < TINY.stop_at).all()
    assert list(accuracy.index[:7]) == [0, 1, 2, 3, 5, 7, 10]


def test_a_run_depends_on_its_seed_only(run: training.History) -> None:
    brief = replace(TINY, steps=10)
    torch.manual_seed(5)
    again, other = run_copying(brief, 1), run_copying(brief, 2)
    early = [row for row in run.rows if row["step"] <= 10]
    assert [row for row in again.rows if not row["metric"].startswith("accuracy/")] == early
    assert again.rows == run_copying(brief, 1).rows
    assert again.rows != other.rows


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Tensor]]:
    """The inputs that a run trains on, and those on which it is measured, in order."""
    seen: dict[str, list[Tensor]] = {"trained": [], "measured": []}
    loss, measure = models.sequence_loss, copying.measure_copier

    def note_loss(model: models.Seq2Seq, batch: Batch) -> Tensor:
        seen["trained"].append(batch.source)
        return loss(model, batch)

    def note_measure(model: models.Seq2Seq, batch: Batch) -> dict[str, float]:
        seen["measured"].append(batch.source)
        return measure(model, batch)

    monkeypatch.setattr(models, "sequence_loss", note_loss)
    monkeypatch.setattr(copying, "measure_copier", note_measure)
    return seen


def first_of(config: CopyingConfig, seed: int, count: int) -> list[list[list[int]]]:
    stream = config.task.stream(config.batch_size, seed)
    return [next(stream).source.tolist() for _ in range(count)]


def listed(batches: list[Tensor]) -> list[list[list[int]]]:
    return [batch.tolist() for batch in batches]


# --- a run that is forked --------------------------------------------------------------------


def forked(start: int, at: int, **changes: object) -> ForkedConfig:
    return ForkedConfig.from_dict({**TINY.to_dict(), **changes, "start_seed": start, "fork_at": at})


def up_to(history: training.History, step: int) -> list[dict[str, object]]:
    """What was measured until then, without the interventions at the end."""
    rows = (row for row in history.rows if not row["metric"].startswith("accuracy/"))
    return [row for row in rows if row["step"] <= step]


def test_a_fork_has_the_inputs_of_its_start_and_then_others(
    batches: dict[str, list[Tensor]],
) -> None:
    config = forked(start=1, at=3, vocab=13, length=11, steps=7)
    run_forked(config, 1)
    run_forked(config, 2)
    own = [first_of(config, FORK_SEED + seed, 4) for seed in (1, 2)]
    common = first_of(config, 1, 3)
    assert listed(batches["trained"]) == common + own[0] + common + own[1]
    assert own[0] != own[1]
    assert first_of(config, 1, 7)[3:] not in own, "the seed of a fork is not that of a run"
    held_out = config.task.sample(30, HELD_OUT_SEED).source
    assert all(torch.equal(held_out, batch) for batch in batches["measured"])
    inputs = torch.cat([*batches["trained"][:7], held_out]).tolist()
    assert len({tuple(row) for row in inputs}) == 7 * config.batch_size + 30, "never trained on"


def test_forks_share_all_up_to_the_fork(run: training.History) -> None:
    one, two = (run_forked(forked(start=1, at=5, steps=10), seed) for seed in (1, 2))
    assert up_to(one, 5) == up_to(two, 5) == up_to(run, 5)
    later = [up_to(history, 10)[len(up_to(run, 5)) :] for history in (one, two, run)]
    assert later[0] != later[1]
    assert later[2] not in later[:2]


def test_a_fork_after_the_end_is_the_run_itself(run: training.History) -> None:
    for seed in (1, 2):
        assert run_forked(forked(start=1, at=TINY.steps), seed).rows == run.rows


# --- outcomes --------------------------------------------------------------------------------

Curve = dict[int, tuple[float, float, float]]
ALIGNED: Curve = {0: (0.1, 0.2, 0.125), 10: (0.5, 0.5, 0.3), 20: (0.97, 0.9, 0.8)}
ELIMINATION: Curve = {0: (0.1, 0.2, 0.125), 10: (0.6, 0.02, 0.05), 30: (0.95, 0.0, 0.01)}


def rows_of(seed: int, curve: Curve) -> list[dict[str, object]]:
    names = ("token_accuracy", "attention_accuracy", "right_mass")
    return [
        {"seed": seed, "step": step, "metric": name, "value": value}
        for step, values in curve.items()
        for name, value in zip(names, values, strict=True)
    ]


def frame_of(**curves: Curve) -> pd.DataFrame:
    """Curves by the names s1, s2, ..., in no order, with some other metrics among them."""
    rows = [row for name, curve in curves.items() for row in rows_of(int(name[1:]), curve)]
    rows.append({"seed": 1, "step": 20, "metric": "accuracy/uniform", "value": 0.3})
    rows.append({"seed": 1, "step": 99, "metric": "loss", "value": 0.3})
    return pd.DataFrame(rows).sample(frac=1, random_state=0)


START = {0: (0.1, 0.2, 0.125)}


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        ({10: (0.96, 0.51, 0.01)}, (10, True, "aligned")),
        ({10: (0.96, 0.5, 0.01)}, (10, True, "undecided")),
        # Found more often than uniform attention weighs; and mass that has not fallen.
        ({10: (0.96, 0.13, 0.01)}, (10, True, "undecided")),
        ({10: (0.96, 0.12, 0.126)}, (10, True, "undecided")),
        ({10: (0.96, 0.12, 0.125)}, (10, True, "undecided")),
        ({10: (0.96, 0.12, 0.12)}, (10, True, "elimination")),
        # A run that never copies has its last step, and the branch there.
        ({10: (0.6, 0.6, 0.5), 40: (0.94, 0.01, 0.02)}, (40, False, "elimination")),
        # The first step at the level counts, even if it is lost again.
        ({20: (0.97, 0.9, 0.8), 30: (0.4, 0.0, 0.0)}, (20, True, "aligned")),
    ],
)
def test_branch_and_time_by_hand(curve: Curve, expected: tuple[int, bool, str]) -> None:
    high: Curve = {0: (0.1, 0.2, 0.4), 10: (0.96, 0.3, 0.35)}
    found = outcomes(frame_of(s10=high, s1={**START, **curve}, s7=ALIGNED))
    assert list(found.columns) == ["step", "solved", "branch"]
    assert found.index.tolist() == [1, 7, 10]
    assert tuple(found.loc[1]) == expected
    assert tuple(found.loc[10]) == (10, True, "elimination"), "against its own start"


def test_arms_may_share_seeds_and_one_head_is_enough() -> None:
    """The mean of heads may look elsewhere; runs with one head beside it are judged as ever."""
    rows = rows_of(2, ELIMINATION)
    for step, accuracy in ((0, 0.2), (10, 0.2), (30, 0.9)):
        for head, value in (("head0", 0.1), ("head1", accuracy)):
            name = f"{head}/attention_accuracy"
            rows.append({"seed": 2, "step": step, "metric": name, "value": value})
    hard, easy = (
        frame_of(s1=ELIMINATION).assign(arm="hard"),
        frame_of(s1=ALIGNED).assign(arm="easy"),
    )
    frame = pd.concat([hard, pd.DataFrame(rows).assign(arm="hard"), easy], ignore_index=True)
    found = outcomes(frame)
    assert found["branch"].to_dict() == {
        ("easy", 1): "aligned",
        ("hard", 1): "elimination",
        ("hard", 2): "aligned",
    }
    assert found.loc["hard"]["step"].to_dict() == {1: 30, 2: 30}
    for metric in ("token_accuracy", "attention_accuracy", "right_mass"):
        with pytest.raises(ValueError, match=rf"expected the metrics .*none of \['{metric}'\]"):
            outcomes(frame[frame.metric != metric])

"""The copier against loops over single words; runs, forks, and branches by hand."""

import math
from collections.abc import Callable
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
    build_copier,
    intervene,
    measure_copier,
    outcomes,
    run_copying,
    run_forked,
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
    with pytest.raises(ValueError, match="two inputs or more, found 1"):
        intervene(model, config.task, batch[:1])


TINY = CopyingConfig(
    vocab=6, length=4, width=24, batch_size=20, learning_rate=1e-2, steps=400, measured=30
)


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


def forked(start: int, at: int, **changes: object) -> ForkedConfig:
    return ForkedConfig.from_dict({**TINY.to_dict(), **changes, "start_seed": start, "fork_at": at})


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


def test_a_fork_after_the_end_is_the_run_itself(run: training.History) -> None:
    for seed in (1, 2):
        assert run_forked(forked(start=1, at=TINY.steps), seed).rows == run.rows


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

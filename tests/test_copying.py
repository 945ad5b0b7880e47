"""The copier against loops over single words; runs, forks, and branches by hand."""

from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor

from lessons_lib import models, probes
from lessons_lib.lab import copying
from lessons_lib.lab.copying import CopyingConfig, ForkedConfig, extended
from lessons_lib.lab.outcomes import of_runs
from lessons_lib.tasks import EOS, HELD_OUT_SEED, Batch

CONFIG = CopyingConfig(vocab=7, length=5, width=12)


def lively(model: models.Seq2Seq, factor: float = 3.0) -> models.Seq2Seq:
    """The model, so that its attention is far from uniform and matters, without training."""
    for weights in model.requires_grad_(False).parameters():
        weights.mul_(factor)
    return model


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
    out, src = model(batch), batch.source.shape[1]
    cells = [(b, t) for b in range(len(batch)) for t in range(src) if batch.target[b, t] != EOS]

    def looks(attention: Tensor, head: int | None = None) -> list[float]:
        """How often the right position is the largest, its mean weight, and the margin there."""
        weights = [(t, attention[b, t].tolist()) for b, t in cells]
        hits = [w.index(max(w)) == t for t, w in weights]
        beta = probes.lexical_probe(model, batch[:16], scale="log_probability", head=head)
        ahead = [float(beta[b, t, t] - sum(beta[b, t]) / src) for b, t in cells if b < 16]
        masses = [w[t] for t, w in weights]
        return [sum(each) / len(each) for each in (hits, masses, ahead)]

    losses = [-float(out.logits[b, t].log_softmax(0)[batch.target[b, t]]) for b, t in cells]
    names = "attention_accuracy", "right_mass", "margin"
    found = {
        "token_accuracy": accuracy_by_loop(out.logits, batch),
        "accuracy_with_end": accuracy_by_loop(out.logits, batch, end=True),
        "held_out_loss": sum(losses) / len(losses),
        **dict(zip(names, looks(out.attention.mean(1)), strict=True)),
    }
    for k, attention in enumerate(out.attention.unbind(1) if out.attention.shape[1] > 1 else ()):
        found |= {f"head{k}/{x}": v for x, v in zip(names, looks(attention, k), strict=True)}
    return found


@pytest.mark.parametrize(("heads", "end_symbol"), [(1, True), (3, True), (3, False)])
def test_measurements_are_those_of_a_loop_over_words(heads: int, end_symbol: bool) -> None:
    config = replace(CONFIG, heads=heads, end_symbol=end_symbol)
    batch = config.task.sample(19, 5)  # more than the probe is taken on
    model = lively(config.build(4))
    found = copying.measure_copier(model, batch)
    assert model.training, "the model's mode is put back"
    assert found == pytest.approx(measured_by_loop(model, batch), abs=1e-5)


ALLOWED: dict[str, Callable[[int, int], bool]] = {
    "right_only": lambda at, right: at == right,
    "not_right": lambda at, right: at != right,
    "not_before": lambda at, right: at >= right,
    "not_after": lambda at, right: at <= right,
    "uniform": lambda at, right: True,
}


@pytest.mark.parametrize(("heads", "end_symbol"), [(1, True), (3, False)])
def test_interventions_are_those_of_a_loop_over_attention(heads: int, end_symbol: bool) -> None:
    """Attention on the allowed positions only; output word t comes from position t."""
    config = replace(CONFIG, heads=heads, end_symbol=end_symbol)
    model = lively(config.build(8))
    batch = config.task.sample(60, 3)
    found = copying.intervene(model, config.task, batch)
    assert model.training
    rolled = torch.stack([batch.source[row - 1] for row in range(60)])
    other = Batch(rolled, batch.target, batch.gold)
    repeated = replace(config.task, repetition=True).sample(60, HELD_OUT_SEED)
    expected = {}
    own = model(batch).attention
    for name, allowed in ALLOWED.items():
        masked = torch.ones_like(own) if name == "uniform" else own.clone()
        for t in range(own.shape[2]):
            masked[:, :, t, [not allowed(at, t) for at in range(own.shape[3])]] = 0
        logits = model(batch, attention=masked / masked.sum(-1, keepdim=True)).logits
        expected[f"accuracy/{name}"] = accuracy_by_loop(logits, batch)
    for name, read in (("other_source", other), ("repeated", repeated)):
        expected[f"accuracy/{name}"] = accuracy_by_loop(model(read).logits, read)
    assert found == expected
    assert len(set(found.values())) > 4, "the numbers tell interventions apart"


TINY = CopyingConfig(
    vocab=6, length=4, width=24, batch_size=20, learning_rate=1e-2, steps=400, measured=30
)


def noted(
    patch: pytest.MonkeyPatch, module: Any, name: str, look: Callable[[models.Seq2Seq, Batch], Any]
) -> list[Any]:
    """What can be seen each time that a function of a module gets a model and a batch."""
    seen, work = [], getattr(module, name)

    def note(model: models.Seq2Seq, batch: Batch) -> Any:
        seen.append(look(model, batch))
        return work(model, batch)

    patch.setattr(module, name, note)
    return seen


def first_of(config: CopyingConfig, seed: int, count: int) -> list[Tensor]:
    return [b.source for b in islice(config.task.stream(config.batch_size, seed), count)]


def test_a_fork_has_the_inputs_of_its_start_then_others(monkeypatch: pytest.MonkeyPatch) -> None:
    trained = noted(monkeypatch, models, "sequence_loss", lambda _, batch: batch.source)
    measured = noted(monkeypatch, copying, "measure_copier", lambda _, batch: batch.source)
    config = extended(TINY, ForkedConfig, fork_at=3, vocab=13, length=11, steps=7)
    copying.run_copying(config, 1)
    copying.run_copying(config, 2)
    one, two = (first_of(config, copying.FORK_SEED + seed, 4) for seed in (1, 2))
    common = first_of(config, 1, 3)
    assert torch.equal(torch.cat(trained), torch.cat(common + one + common + two))
    held_out = config.task.sample(30, HELD_OUT_SEED).source
    assert all(torch.equal(held_out, batch) for batch in measured)


Curve = dict[int, tuple[float, ...]]
NAMES = "token_accuracy", "attention_accuracy", "right_mass", "head1/attention_accuracy"
ALIGNED: Curve = {0: (0.1, 0.2, 0.125), 10: (0.5, 0.5, 0.3), 20: (0.97, 0.9, 0.8)}
ELIMINATION: Curve = {0: (0.1, 0.2, 0.125), 10: (0.6, 0.02, 0.05), 30: (0.95, 0.0, 0.01)}


def frame_of(**curves: Curve) -> pd.DataFrame:
    """Curves by the names s1, s2, ..., in no order, with some other metrics among them."""
    rows = [
        {"seed": int(run[1:]), "step": step, "metric": name, "value": value}
        for run, curve in curves.items()
        for step, values in curve.items()
        for name, value in zip(NAMES, values, strict=False)
    ]
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
    found = of_runs(frame_of(s10=high, s1={**START, **curve}, s7=ALIGNED))
    assert list(found.columns) == ["step", "solved", "branch"]
    assert found.index.tolist() == [1, 7, 10]
    assert tuple(found.loc[1]) == expected
    assert tuple(found.loc[10]) == (10, True, "elimination"), "against its own start"


def test_arms_may_share_seeds_and_one_head_is_enough() -> None:
    """The mean of heads may look elsewhere; runs with one head beside it are judged as ever."""
    heads: Curve = {step: (*values, step * 0.03) for step, values in ELIMINATION.items()}
    hard = frame_of(s1=ELIMINATION, s2=heads).assign(arm="hard")
    frame = pd.concat([hard, frame_of(s1=ALIGNED).assign(arm="easy")], ignore_index=True)
    found = of_runs(frame)
    wanted = {("easy", 1): "aligned", ("hard", 1): "elimination", ("hard", 2): "aligned"}
    assert found["branch"].to_dict() == wanted
    assert found.loc["hard"]["step"].to_dict() == {1: 30, 2: 30}
    with pytest.raises(ValueError, match=r"expected the metrics .*none of \['right_mass'\]"):
        of_runs(frame[frame.metric != "right_mass"])

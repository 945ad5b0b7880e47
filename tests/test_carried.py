"""Oracles: signs of single factors, equal functions, brute force over positions."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch

from lessons_lib import models, probes, training
from lessons_lib.lab import carried, mirror
from lessons_lib.lab.copying import extended, run_copying
from lessons_lib.lab.records import Record
from lessons_lib.lab.transformer import TRANSFORMER
from lessons_lib.scoreboard.contrasts import Runs
from lessons_lib.scoreboard.mirrored import Hypothesis, advantage, judged, likeness
from lessons_lib.tasks import EOS, FIRST_WORD

TINY = extended(
    TRANSFORMER, carried.CarriedConfig,
    heads=4, vocab=6, length=5, width=12, batch_size=3, steps=2, measured=4,
)  # fmt: skip


TASKS = ("two", "four", "ranking")
MORE = (
    *(("C1", task, "antithetic", "random") for task in TASKS),
    *(("C2", task, "antithetic", "identical") for task in TASKS),
    ("C3", "two", "value", "random"),
)
"""Hypothesis, task, the heads that align more often, and the others: the tests of Holm's method."""


def hypotheses(records: Mapping[str, Record]) -> list[Hypothesis]:
    """C1 to C4, as they are registered in ``registered/2026-11-29-carried.md``."""
    runs, found = Runs(records), []
    for name, task, more, less in MORE:
        says = f"{more} heads align more often than {less} ones"
        arms = f"{task}-{more}", f"{task}-{less}"
        found.append(advantage(f"{name}, {task}", says, runs, *arms))
    says = "only the query turned over: as often as identical heads"
    found.append(likeness("C4, two", says, runs, "two-query", "two-identical"))
    return judged(found, len(MORE))


def controls(records: Mapping[str, Record]) -> list[Hypothesis]:
    """K1 to K3, as they are registered in ``registered/2026-11-29-carried-controls.md``."""
    runs, free, held = Runs(records), "two-antithetic", "two-antithetic-frozen"
    says = "antithetic heads align more often where both learn than with the second held"
    found = [advantage("K1, two", says, runs, free, held)]
    says = "with the second held, antithetic heads align as often as random ones"
    found.append(likeness("K2, two", says, runs, held, "two-random-frozen"))
    says = "put back after 20 updates, antithetic heads align more often than random ones"
    found.append(advantage("K3, two", says, runs, "two-antithetic-reset", "two-random-reset"))
    return judged(found, 2)


def test_ranking_by_brute_force() -> None:
    batch = carried.Ranking(9, 5).sample(7, 3)
    assert batch.gold is not None
    for source, target, gold in zip(batch.source, batch.target, batch.gold, strict=True):
        words = source[:5].tolist()
        assert [words[at] for at in gold[:5].tolist()] == sorted(words)
        assert target[:5].tolist() == [FIRST_WORD + at for at in gold[:5].tolist()]
        assert (int(target[5]), int(gold[5]), int(source[5])) == (EOS, 5, EOS)


def of_heads(name: str) -> bool:
    """Whether a parameter belongs to heads: all but the one bias of their outputs."""
    return name.split(".")[0] in ("query", "key", "value") or name == "join.weight"


@pytest.mark.parametrize(
    ("pair", "looks", "writes"),
    [("identical", 1, 1), ("both", -1, -1), ("query", -1, 1), ("value", 1, -1)],
)
def test_scores_and_contributions_of_an_image_are_opposite(
    pair: mirror.Pair, looks: int, writes: int
) -> None:
    model = replace(TINY, pair=pair).build(5)
    batch = TINY.task.sample(3, 8)
    with probes.evaluating(model):
        out = model(batch)
        values = model.values(out.encoder_states)  # b k l d
        columns = model.join.weight.unflatten(1, (4, 3))  # out k d
        written = torch.einsum("bkld,okd->bklo", values, columns)
    torch.testing.assert_close(out.scores[:, 2:], looks * out.scores[:, :2])
    torch.testing.assert_close(written[:, 2:], writes * written[:, :2])
    drawn = TINY.build(5).state_dict()
    for name, part in model.state_dict().items():
        assert of_heads(name) or torch.equal(part, drawn[name])


@pytest.mark.parametrize("change", [{"frozen": True}, {"reset_at": 1}])
def test_controls_hold_the_second_half_of_the_heads_or_put_all_heads_back(
    change: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = extended(TINY, carried.ControlledConfig, pair="both", **change)
    seen = []

    def trained(model: Any, batches: Any, *_: Any, **__: Any) -> training.History:
        start = {name: p.detach().clone() for name, p in model.named_parameters()}
        models.sequence_loss(model, next(batches)).backward()
        for name, p in model.named_parameters():
            seen.append(name)
            first, second = p.grad.chunk(2, 1 if name == "join.weight" else 0)
            if of_heads(name) and name != "key.bias":  # adds the same to all scores of a step
                assert bool(first.any()), name
                assert bool(second.any()) != config.frozen, name
            p.data.add_(1.0)
        next(batches)
        for name, p in model.named_parameters():
            back = of_heads(name) and config.reset_at > 0
            torch.testing.assert_close(p.detach(), start[name] if back else start[name] + 1)
        return training.History((), 0, False, 0.0, "cpu")

    monkeypatch.setattr(training, "train", trained)
    run_copying(config, 3)
    assert "join.weight" in seen

"""The registered experiments do what their names say, and their reports count right."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import pytest

from lessons_lib.config import Configuration, digest
from lessons_lib.lab import copying, records
from lessons_lib.lab.catalogue import (
    REGISTRY,
    Scale,
    branches,
    comparisons,
    last_values,
)
from lessons_lib.lab.copying import PAPER, SMALL
from lessons_lib.lab.records import Record
from lessons_lib.tasks import Copying

SCALES = [
    pytest.param(name, scale, id=f"{name}-{scale}")
    for name, entry in REGISTRY.items()
    for scale in entry.scales
]


def arms(name: str, scale: str = "lesson") -> Mapping[str, Configuration]:
    return REGISTRY[name].scales[scale].arms


def changes(config: Configuration, base: Configuration) -> dict[str, Any]:
    """The fields in which a configuration differs from another, with their values."""
    before = base.to_dict()
    return {key: value for key, value in config.to_dict().items() if before.get(key) != value}


# --- what is registered ----------------------------------------------------------------------


@pytest.mark.parametrize(("name", "scale"), SCALES)
def test_seeds_are_not_those_on_which_settings_were_chosen(name: str, scale: str) -> None:
    chosen = REGISTRY[name].scales[scale]
    seeds = chosen.seeds
    in_block = min(getattr(config, "runs", 1) for config in chosen.arms.values())
    assert len(seeds) * in_block >= 2, "an interval over runs needs two"
    assert list(seeds) == sorted(set(seeds)), "records list their seeds in ascending order"
    assert seeds[0] >= 0
    assert not any(1000 <= seed <= 2000 for seed in seeds)
    assert copying.HELD_OUT_SEED not in seeds


@pytest.mark.parametrize(("name", "scale"), SCALES)
def test_names_of_records_are_valid_on_every_file_system(name: str, scale: str) -> None:
    found = arms(name, scale)
    assert found
    for word in (name, scale, *found):
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", word), word
    assert len({arm.lower() for arm in found}) == len(found)


@pytest.mark.parametrize(("name", "scale"), SCALES)
def test_arms_are_different_configurations_that_a_file_can_hold(name: str, scale: str) -> None:
    found = arms(name, scale)
    for config in found.values():
        assert type(config).from_dict(config.to_dict()) == config
        kept = json.loads(json.dumps(config.to_dict()))
        assert digest(kept) == digest(config.to_dict())
    assert len(set(found.values())) == len(found)


@pytest.mark.parametrize(("name", "scale"), SCALES)
def test_a_scale_is_called_paper_only_if_it_is_the_authors_set_up(name: str, scale: str) -> None:
    told = REGISTRY[name].scales[scale].deviations
    differs = [point for point in told if not point.startswith(("seeds:", "corpora:"))]
    assert (scale == "paper") == (not differs), differs
    assert len(set(told)) == len(told)


def with_branches() -> list[tuple[str, copying.CopyingConfig]]:
    """Configurations of the runs that are reported by branch and time."""
    return [
        (f"{name} {scale} {arm}", config)
        for name, entry in REGISTRY.items()
        if entry.report is branches
        for scale, chosen in entry.scales.items()
        for arm, config in chosen.arms.items()
        if isinstance(config, copying.CopyingConfig)
    ]


def test_a_run_with_a_branch_is_followed_until_it_copies_or_long_enough() -> None:
    found = with_branches()
    assert len(found) > 20
    for name, config in found:
        assert isinstance(config.task, Copying), name  # its sizes are possible
        assert config.stop_at == 0.95, name
        # The early forks at the paper's size are judged by the margin at their end, and heads there
        # for as long as the authors follow them.
        brief = {"forks full-size": 60, "head_starts bfloat16": 200}
        assert config.steps >= brief.get(name.rpartition(" ")[0], 400), name
        assert config.steps % config.evaluate_every == 0, name


# --- what the arms are called ----------------------------------------------------------------


def test_the_paper_setup_is_that_of_the_authors() -> None:
    assert (PAPER.task.vocab, PAPER.task.length, PAPER.task.end_symbol) == (40, 40, True)
    assert (PAPER.cell, PAPER.heads, PAPER.width, PAPER.batch_size) == ("lstm", 1, 256, 128)
    assert (PAPER.learning_rate, PAPER.shared_embeddings, PAPER.readout) == (1e-3, True, "tanh")
    assert (PAPER.query_scale, PAPER.value_scale) == (1.0, 1.0)
    assert (SMALL.vocab, SMALL.length) == (16, 16)
    assert changes(SMALL, PAPER).keys() <= {
        *("vocab", "length", "width", "batch_size", "learning_rate", "steps"),
    }


ODDS: dict[str, dict[str, Any]] = {
    "as-it-is": {},
    "no-end-symbol": {"end_symbol": False},
    "separate-embeddings": {"shared_embeddings": False},
    "uniform-start": {"query_scale": 0.0},
    "scores-times-4": {"query_scale": 4.0},
    "values-times-4": {"value_scale": 4.0},
    "linear-readout": {"readout": "linear"},
    "GRU": {"cell": "gru"},
}
FIELDS = {
    "width": ["width"],
    "length": ["vocab", "length"],  # still permutations
    "rate": ["learning_rate"],
    "batch": ["batch_size"],
}


@pytest.mark.parametrize("arm", arms("odds"))
def test_an_arm_of_the_odds_changes_what_its_name_says(arm: str) -> None:
    if arm in ODDS:
        expected = ODDS[arm]
    else:
        word, _, number = arm.partition("-")
        expected = dict.fromkeys(FIELDS[word], float(number))
    config = arms("odds")[arm]
    found = changes(config, SMALL)
    steps = found.pop("steps", SMALL.steps)
    assert found == expected
    assert steps >= SMALL.steps, "a slower arm gets more steps, none gets fewer"
    assert isinstance(config, copying.CopyingConfig)
    assert config.vocab == config.length


@pytest.mark.parametrize(("name", "scale"), SCALES)
def test_a_survey_of_many_arms_keeps_the_ends_only(name: str, scale: str) -> None:
    chosen: Scale = REGISTRY[name].scales[scale]
    assert chosen.ends_only or len(chosen.arms) <= 10, "its records would be too large"


# --- reports ---------------------------------------------------------------------------------

Rows = list[tuple[int, int, str, float]]


def record(name: str, rows: Rows) -> Record:
    columns = ("seed", "step", "metric", "value")
    dictionaries = [dict(zip(columns, row, strict=True)) for row in rows]
    return records.make_record(name, {"sides": 6}, dictionaries, device="cpu", wall_seconds=1)


def run_of(seed: int, branch: str, step: int, accuracy: float = 0.96) -> Rows:
    """A run that ends in a branch at a step; uniform attention weighs 0.1 before training."""
    found, mass = {"aligned": (0.9, 0.8), "elimination": (0.0, 0.01), "undecided": (0.3, 0.3)}[
        branch
    ]
    start: Rows = [(seed, 0, "token_accuracy", 0.1), (seed, 0, "attention_accuracy", 0.1)]
    end: Rows = [
        (seed, step, "token_accuracy", accuracy),
        (seed, step, "attention_accuracy", found),
    ]
    masses: Rows = [(seed, 0, "right_mass", 0.1), (seed, step, "right_mass", mass)]
    return [*start, *end, *masses, (seed, step, "stopped_early", 1.0), (seed, step, "loss", 2.0)]


def test_branches_counts_outcomes_and_gives_their_median_times() -> None:
    hard = [
        *run_of(1, "aligned", 50),
        *run_of(2, "elimination", 300),
        *run_of(3, "aligned", 80),
        *run_of(4, "elimination", 200),
        *run_of(5, "elimination", 400, accuracy=0.7),
        *run_of(6, "undecided", 90),
        *run_of(7, "aligned", 400, accuracy=0.9),
    ]
    easy = [*run_of(1, "aligned", 30), *run_of(2, "aligned", 20)]
    found = branches({"hard": record("hard", hard), "easy": record("easy", easy)})
    assert found.index.tolist() == ["hard", "easy"]
    row = found.loc["hard"]
    assert {name: row[name] for name in ("n", "aligned", "elimination", "undecided", "solved")} == {
        "n": 7,
        "aligned": 3,
        "elimination": 3,
        "undecided": 1,
        "solved": 5,
    }
    # Of those that copy: 50 and 80; 300 and 200.
    assert row["median step aligned"] == 65.0
    assert row["median step elimination"] == 250.0
    row = found.loc["easy"]
    assert (row["n"], row["aligned"], row["elimination"]) == (2, 2, 0)
    assert row["median step aligned"] == 25.0
    assert found["median step elimination"].isna().to_dict() == {"hard": False, "easy": True}


def wilson(successes: int, n: int) -> tuple[float, float]:
    """The interval of Wilson (1927), from its formula; 1.96 more exactly."""
    z = 1.959964
    share, scale = successes / n, 1 + z * z / n
    middle = (share + z * z / (2 * n)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return middle - half, middle + half


def test_the_share_of_aligned_runs_has_a_wilson_interval() -> None:
    rows = [row for seed in range(1, 10) for row in run_of(seed, "elimination", 30)]
    rows += [row for seed in (10, 11) for row in run_of(seed, "aligned", 30)]
    low, high = wilson(2, 11)
    shown = branches({"hard": record("hard", rows)}).loc["hard", "share aligned"]
    assert shown == f"{2 / 11:.3f} [{low:.3f}, {high:.3f}] (n = 11)"


def test_last_values_are_means_over_seeds_of_each_runs_last_step() -> None:
    rows: Rows = [
        *((1, 0, "pips", 99.0), (1, 20, "pips", 1.0), (1, 3, "pips", 98.0)),
        *((2, 0, "pips", 97.0), (2, 10, "pips", 2.0)),
        *((3, 40, "pips", 6.0), (3, 40, "stopped_early", 1.0)),
        *((seed, 0, "eyes", 4.0) for seed in (1, 2, 3)),
    ]
    other: Rows = [(1, 0, "pips", 5.0), (2, 0, "pips", 5.0)]
    found = last_values({"six": record("six", rows), "four": record("four", other)})
    assert list(found.columns) == ["six", "four"]
    assert set(found.index) == {"pips", "eyes"}
    # Student's t with 2 degrees of freedom at 95%: 4.302653 standard errors; variance 7.
    half = 4.302653 * math.sqrt(7 / 3)
    assert found.loc["pips", "six"] == f"3.000 [{3 - half:.3f}, {3 + half:.3f}] (n = 3)"
    assert found.loc["pips", "four"] == "5.000 [5.000, 5.000] (n = 2)"
    assert found.loc["eyes", "six"] == "4.000 [4.000, 4.000] (n = 3)"
    assert found["four"].isna().to_dict() == {"pips": False, "eyes": True}


def test_comparisons_are_means_over_the_runs_of_all_blocks() -> None:
    rows: Rows = [
        # Two blocks of two runs; a curve counts with its last value.
        *((1, 0, "own#0", 0.9), (1, 30, "own#0", 1.0), (1, 30, "own#1", 2.0)),
        *((2, 0, "own#0", 0.9), (2, 30, "own#0", 4.0), (2, 30, "own#1", 5.0)),
        *((1, 30, "chance", 0.25), (2, 30, "chance", 0.25)),
        # One run has xi, two have a lag: the others have none.
        (2, 30, "xi#1", 0.75),
        *((1, 30, "lag#1", 20.0), (2, 30, "lag#0", 20.0)),
    ]
    found = comparisons({"six": record("six", rows), "four": record("four", rows[:3])})
    assert list(found.columns) == ["six", "four"]
    assert set(found.index) == {"own", "xi", "lag"}, "what belongs to a block is no metric of runs"
    # Student's t with 3 degrees of freedom at 95%: 3.182446 standard errors; variance 10/3.
    half = 3.182446 * math.sqrt(10 / 3 / 4)
    assert found.loc["own", "six"] == f"3.000 [{3 - half:.3f}, {3 + half:.3f}] (n = 4)"
    assert found.loc["xi", "six"] == "0.750"
    assert found.loc["lag", "six"] == "20.000 [20.000, 20.000] (n = 2)"
    assert found["four"].isna().to_dict() == {"own": False, "xi": True, "lag": True}

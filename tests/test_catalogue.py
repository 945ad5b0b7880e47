"""The registered experiments do what their names say, and their reports count right."""

import json
import re
from typing import Any

import pytest
from test_claims_copying import Run, made, record

from lessons_lib.config import digest
from lessons_lib.lab.catalogue import REGISTRY, branches, comparisons, last_values
from lessons_lib.lab.classification import Classification
from lessons_lib.stats import proportion_interval, seed_interval
from lessons_lib.tasks import HELD_OUT_SEED

SCALES = [(name, scale) for name, entry in REGISTRY.items() for scale in entry.scales]


@pytest.mark.parametrize(("name", "scale"), SCALES)
def test_what_is_registered_can_be_measured_kept_and_said(name: str, scale: str) -> None:
    chosen = REGISTRY[name].scales[scale]
    found, seeds = chosen.arms, chosen.seeds
    in_block = min(getattr(config, "runs", 1) for config in found.values())
    assert len(seeds) * in_block >= 2, "an interval over runs needs two"
    assert list(seeds) == sorted(set(seeds)), "records list their seeds in ascending order"
    # Settings were chosen on seeds from 1000 on.
    assert not any(1000 <= seed <= 2000 or seed == HELD_OUT_SEED for seed in seeds)
    for word in (name, scale, *found):
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", word), "a name on every file system"
    assert len({arm.lower() for arm in found}) == len(found)
    for config in found.values():
        assert type(config).from_dict(config.to_dict()) == config
        kept = json.loads(json.dumps(config.to_dict()))
        assert digest(kept) == digest(config.to_dict())
    assert len(set(found.values())) == len(found)
    assert chosen.ends_only or len(found) <= 10, "its records would be too large"
    for told in map(chosen.told, found):
        exact = all(p.startswith(("seeds:", "corpora:")) for p in told)
        assert scale.startswith("paper") == exact, "paper only if it is the authors' set-up"
        assert not any("measured" in p for p in told if p.startswith(("seeds:", "corpora:")))
        assert len(set(told)) == len(told)


THEIRS: dict[str, Any] = {
    "width": 256, "dropout": 0.5, "learning_rate": 1e-3, "batch_size": 16, "steps": 36_000,
    "patience": 36_000, "vocab_size": 8000, "pieces": 8000, "max_words": None,
    "scaled_scores": False, "measured_on": 1014, "reported_on": 1014, "chosen_on": 1014,
}  # fmt: skip
"""What the authors' translators have, and in a classifier's configuration stands as its default."""
NAMED = {
    "width": r"^width (\d+)", "dropout": r"^dropout ([\d.]+)",
    "learning_rate": r"^Adam at ([\d.]+)", "batch_size": r"^Adam.*batches of (\d+)",
    "patience": r"stood still for ([\d,]+)",
    "steps": r"(?:^|^short: |^measured: up to )([\d,]+) updates",
    "vocab_size": r"(?:vocabularies of|vocabulary has at most) ([\d,]+) words",
    "pieces": r"vocabulary of ([\d,]+) word pieces",
    "max_words": r"(?:pairs of at most|cut at) (\d+) words",
    "measured_on": r"^measured: on (\d+) pairs of each",
    "reported_on": r"^measured: on (?:at most )?([\d,]+) (?:pairs,|held-out)",
    "chosen_on": r"chosen on (?:at most )?([\d,]+)", "scaled_scores": r"^scores (divided)",
    "proxy_steps": r"^proxy.* ([\d,]+) updates", "stop_at": r"until ([\d.]+) of the words",
    "proxy_learning_rate": r"^proxy.*Adam at ([\d.]+)", "measured": r"read on (\d+)",
    "uniform_runs": r"(\d+) uniform runs of the seeds", "runs": r"blocks of (\d+)",
    "bidirectional": r"from left to (right) only", "bfloat16": r"in (bfloat16)$",
    "ends": r"^texts.* (no) start", "heads": r"^(two) heads",
}  # fmt: skip
"""How a list of deviations names the value of a field; the authors' stands in brackets."""


@pytest.mark.parametrize(("name", "scale"), SCALES)
def test_deviations_are_those_of_the_configuration(name: str, scale: str) -> None:
    chosen = REGISTRY[name].scales[scale]
    for arm, config in chosen.arms.items():
        points = [re.sub(r"\([^)]*\)", "", p) for p in chosen.told(arm) if p[:6] != "small:"]
        theirs = THEIRS if hasattr(config, "source") else {}
        if isinstance(config, Classification):
            theirs = Classification(proxy_learning_rate=config.proxy_learning_rate).to_dict()
        for key, pattern in NAMED.items():
            said = [match[1].replace(",", "") for p in points if (match := re.search(pattern, p))]
            value = getattr(config, key, None)
            for one in said:
                told = {"divided": 1, "right": 0, "bfloat16": 1, "no": 0, "two": 2}.get(one, one)
                assert float(told) == value, f"{arm}: {key} is {value}, and the list says {one}"
            if key in theirs and hasattr(config, key):
                assert said or value == theirs[key] or key == "chosen_on", f"{arm}: {key}"


def test_branches_counts_outcomes_and_gives_their_median_times() -> None:
    hard: list[Run] = [
        ("aligned", 50, True), ("elimination", 300, True), ("aligned", 80, True),
        ("elimination", 200, True), ("elimination", 400, False), ("undecided", 90, True),
        ("aligned", 400, False),
    ]  # fmt: skip
    easy: list[Run] = [("aligned", 30, True), ("aligned", 20, True)]
    found = branches({"hard": record("hard", hard), "easy": record("easy", easy)})
    assert found.index.tolist() == ["hard", "easy"]
    row = found.loc["hard"].to_dict()
    assert row.pop("share aligned") == str(proportion_interval(3, 7))
    assert row == {
        **{"n": 7, "aligned": 3, "elimination": 3, "undecided": 1, "solved": 5},
        # Of those that copy: 50 and 80; 300 and 200.
        **{"median step aligned": 65.0, "median step elimination": 250.0},
    }
    names = ["n", "aligned", "elimination", "median step aligned"]
    assert found.T["easy"][names].tolist() == [2, 2, 0, 25.0]
    assert found["median step elimination"].isna().to_dict() == {"hard": False, "easy": True}


def test_tables_have_means_over_seeds() -> None:
    rows = [
        *((1, 0, "pips", 99.0), (1, 20, "pips", 1.0), (1, 3, "pips", 98.0)),
        *((2, 0, "pips", 97.0), (2, 10, "pips", 2.0)),
        *((3, 40, "pips", 6.0), (3, 40, "stopped_early", 1.0)),
    ]
    other = [(1, 0, "eyes", 5.0), (2, 0, "eyes", 5.0)]
    found = last_values({"six": made(rows), "four": made(other)})
    assert found["six"].dropna().to_dict() == {"pips": str(seed_interval([1, 2, 6]))}
    assert found["four"].dropna().to_dict() == {"eyes": str(seed_interval([5, 5]))}


def test_tables_have_means_over_the_runs_of_all_blocks() -> None:
    rows = [
        # Two blocks of two runs; a curve counts with its last value.
        *((1, 0, "own#0", 0.9), (1, 30, "own#0", 1.0), (1, 30, "own#1", 2.0)),
        *((2, 0, "own#0", 0.9), (2, 30, "own#0", 4.0), (2, 30, "own#1", 5.0)),
        # What belongs to a block is no metric of runs; one run has xi, the others have none.
        *((1, 30, "chance", 0.25), (2, 30, "chance", 0.25), (2, 30, "xi#1", 0.75)),
    ]
    found = comparisons({"six": made(rows)})
    assert found["six"].to_dict() == {"own": str(seed_interval([1, 2, 4, 5])), "xi": "0.750"}

"""A doubter can read the scoreboard, run one command, and get a row again within its interval."""

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_claims_copying import record

from lessons_lib.lab import records, run
from lessons_lib.lab.records import NotMeasuredError, Record, ResultError
from lessons_lib.scoreboard import claims, mirrored, on_copying, on_heads
from lessons_lib.scoreboard.claim import (
    Loader,
    Measured,
    Row,
    Thresholds,
    below,
    exceeds,
    judge,
)
from lessons_lib.scoreboard.claims import main, scoreboard
from lessons_lib.stats import Interval

SEEDS = (1, 2, 3, 4, 5)
Asked = list[tuple[Any, ...]]
Captured = pytest.CaptureFixture[str]


def hard_distribution(*late: int) -> dict[str, Record]:
    """Five runs each; those of the seeds named copy permutations after step 200 only."""
    steps = {"hard": [330 if seed in late else 100 + seed for seed in SEEDS]}
    steps["easy"] = [40 + seed for seed in SEEDS]
    found = {}
    for arm, seconds in (("hard", 90.0), ("easy", 10.0)):
        ends = [("aligned", step, True) for step in steps[arm]]
        found[arm] = replace(record(arm, ends, {60: [0.2] * 5}), wall_seconds=seconds)
    return found


def only_hard(name: str, scale: str | None = None) -> dict[str, Record]:
    """Nothing else has been measured."""
    if (name, scale) != ("hard_distribution", "full-size"):
        raise NotMeasuredError(f"no {name}; make it again with: ...")
    return hard_distribution(2, 3)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Recorded and measured runs of the hard distribution; notes what was to be measured."""
    calls: Asked = []
    measured = hard_distribution(2, 4)

    def measure(
        name: str, scale: str, *, seeds: tuple[int, ...], directory: Path, executor: object
    ) -> Any:
        assert executor is None
        calls.append((name, scale, seeds, directory, sorted(directory.glob("*"))))
        return claims.of_first_seeds(lambda *_: measured, len(seeds))(name, scale)

    entry = run.experiment("hard_distribution")
    few = {"full-size": replace(entry.scales["full-size"], seeds=SEEDS)}
    monkeypatch.setattr(run, "REGISTRY", {"hard_distribution": replace(entry, scales=few)})
    monkeypatch.setattr(run, "checked", only_hard)
    monkeypatch.setattr(run, "run", measure)
    return calls


def test_a_row_is_measured_again_and_compared(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    assert main(["again", "cannot-copy"]) == 0
    ((name, scale, seeds, directory, there),) = asked
    assert (name, scale, seeds) == ("hard_distribution", "full-size", SEEDS)
    assert there == [], "measured from scratch, not from what is kept somewhere"
    assert not directory.exists(), "and nothing is left behind"
    printed = capsys.readouterr().out
    assert (
        "hard_distribution, full-size scale: 10 seeds to measure, recorded in 0:01:40 h" in printed
    )
    assert re.search(r"ours +2 of 5 do not within 200 steps; .*  2 of 5 do not within", printed)
    assert "0.4, lies within the recorded interval" in printed
    monkeypatch.setattr(run, "run", lambda *_, **__: hard_distribution(*SEEDS))
    assert main(["again", "cannot-copy"]) == 1
    assert "The new estimate, 1, lies outside the recorded interval" in capsys.readouterr().out


def test_fewer_seeds_are_faster_and_never_change_a_verdict(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Captured
) -> None:
    assert main(["again", "cannot-copy", "--seeds", "2", "--cache", str(tmp_path)]) == 0
    ((_, _, seeds, directory, _),) = asked
    assert (seeds, directory) == ((1, 2), tmp_path)
    printed = capsys.readouterr().out
    assert "4 seeds to measure, recorded in 0:00:40 h" in printed, "two fifths of the time"
    assert "these seeds alone give 0.500 [" in printed

    def measure(load: Loader, t: Thresholds) -> Measured:
        n = len(load("hard_distribution", "full-size")["hard"].seeds)
        return Measured(f"{n} seeds", Interval(0.5, 0, 1, n), "share", n, {"enough": n > 3})

    row = Row("some", 6, "part", "Some.", "supported if more than 3", measure)
    monkeypatch.setattr(claims, "ROWS", (row,))
    for seeds, verdict in (("2", "undecided"), ("4", "supported")):
        assert main(["again", "some", "--seeds", seeds]) == 0
        printed = re.sub(r"\s+", " ", capsys.readouterr().out)
        assert f"verdict supported {verdict}" in printed
        told = "not supported by these seeds alone, by all supported" in printed
        assert told == (seeds == "2")


@pytest.mark.usefixtures("asked")
def test_what_was_not_measured_is_undecided_and_the_rest_works(capsys: Captured) -> None:
    found = scoreboard(load=only_hard).set_index("row")
    there = list(found.index[found["interval"] != "not measured here"])
    assert there == ["hard-is-slower", "cannot-copy"]
    assert set(found.drop(there)["verdict"]) == {"undecided"}
    assert not found["rule"].str.contains("{", regex=False).any(), "thresholds are filled in"
    assert main([]) == 0
    printed = capsys.readouterr().out
    assert "hard-is-slower: supported\n  Copying is harder" in printed
    assert "cannot-copy: undecided\n" in printed
    assert max(map(len, printed.splitlines())) <= 100


def test_a_record_that_is_not_as_registered_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    where = tmp_path / "hard_distribution" / "full-size"
    shutil.copytree(records.PACKAGED / "hard_distribution" / "full-size", where)
    monkeypatch.setattr(records, "PACKAGED", tmp_path)
    told = records.read(where / "hard.json")
    records.save(replace(told, deviations=("trained on the moon",)), where / "hard.json")
    complaint = "expected deviations .*'seeds: 1 to 24"
    with pytest.raises(ResultError, match=complaint):
        scoreboard()
    assert main([]) == 1
    assert main(["again", "cannot-copy"]) == 2
    assert re.search(complaint, capsys.readouterr().err)


def test_a_rule_has_the_numbers_that_are_computed_with() -> None:
    told: dict[str, list[float]] = {
        "hard-is-slower": [on_copying.EARLY],
        "cannot-copy": [on_copying.AUTHORS_STEPS],
        "bad-heads-fail": [on_heads.LAST_LOOK],
        "starts-sort-heads": [on_heads.LAST_LOOK, on_heads.FAILS],
        "heads-not-parameters": [mirrored.LEVEL, mirrored.TESTS, mirrored.LITTLE, mirrored.GAIN],
    }
    for row, numbers in told.items():
        assert set(map(str, numbers)) <= set(re.findall(r"[\d.]*\d", claims.rows()[row].rule))


@pytest.mark.parametrize(("deviations", "told"), [
    (("measured: x", "measured: y"),
     "the authors', but for seeds and corpora; measured otherwise: x; y"),
    (("a", "seeds: 5", "b", "c", "d"), "differs from the authors' in: a; b; c; d"),
    (("a", "measured: x"), "differs from the authors' in: a; x"),
])  # fmt: skip
def test_the_set_up_of_the_records_is_told_in_short(deviations: tuple[str], told: str) -> None:
    found = {arm: replace(r, deviations=deviations) for arm, r in hard_distribution(1).items()}
    assert claims.rows()["cannot-copy"](lambda *_: found).setup == told


@pytest.mark.parametrize(("criteria", "verdict"), [
    ([True, True], "supported"), ([False, False], "not supported"), ([True, False], "in part"),
    ([True, None, False], "in part"), ([True, None], "undecided"), ([False, None], "undecided"),
    ([], "undecided"),
])  # fmt: skip
def test_a_verdict_follows_from_criteria(criteria: list[bool | None], verdict: str) -> None:
    assert judge(criteria) == judge(criteria[::-1]) == verdict


def test_a_criterion_is_held_refuted_or_open_by_where_its_interval_lies() -> None:
    for (low, high), held in {(0.6, 0.9): True, (0.4, 0.9): None, (0.1, 0.4): False}.items():
        value = Interval((low + high) / 2, low, high, 9)
        assert exceeds(value, 0.5) is held
        assert below(value, 0.5) is {True: False, None: None, False: True}[held]
    # What is surely below 0.2 is too little to matter, whether or not it is above 0.
    for (low, high), held in {(0.05, 0.15): False, (0.05, 0.35): True, (-0.1, 0.35): None}.items():
        assert exceeds(Interval((low + high) / 2, low, high, 9), 0, 0.2) is held


@pytest.mark.parametrize(("arguments", "told"), [
    ("no-such-row", "bad-heads-fail"),
    ("cannot-copy --seeds=0", "expected 1 to 5 for --seeds, found 0"),
    ("hard-is-slower --seeds 1", "too few seeds for this row, 1: expected at least two"),
    ("several-heads-align", "nothing to compare with: not measured here: no heads"),
])  # fmt: skip
def test_what_cannot_be_measured_is_said_before_the_work(
    asked: Asked, capsys: Captured, arguments: str, told: str
) -> None:
    try:
        status = main(["again", *arguments.split()])
    except SystemExit as stopped:  # by argparse
        status = int(stopped.code or 0)
    assert status == 2
    assert told in capsys.readouterr().err
    assert asked == []

"""A doubter can read the scoreboard, run one command, and get a row again within its interval."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lessons_lib.lab import copying, parallel, records, run
from lessons_lib.lab.catalogue import Experiment, Scale
from lessons_lib.lab.copying import SMALL
from lessons_lib.lab.records import Record, ResultError, make_record
from lessons_lib.scoreboard import claims
from lessons_lib.scoreboard.claim import NO_NUMBER, NOT_QUOTED, Claim
from lessons_lib.scoreboard.claims import CLAIMS, is_within, main, scoreboard

SEEDS = (1, 2, 3, 4, 5)


def copied(steps: Mapping[int, int], arm: str = "hard", seconds: float = 10) -> Record:
    """Runs (seed -> step) that copy and align at that step, and would have by step 400."""
    rows = []
    for seed, step in steps.items():
        for metric, first in (
            ("token_accuracy", 0.1),
            ("attention_accuracy", 0.1),
            ("right_mass", 0.1),
        ):
            rows.append({"seed": seed, "step": 0, "metric": metric, "value": first})
            rows.append({"seed": seed, "step": step, "metric": metric, "value": 0.97})
    return make_record(arm, {}, rows, device="cpu", wall_seconds=seconds)


def hard_distribution(*late: int) -> dict[str, Record]:
    """Five runs each; those of the seeds named copy permutations after step 200 only."""
    return {
        "hard": copied({seed: 330 if seed in late else 100 + seed for seed in SEEDS}, seconds=90),
        "easy": copied({seed: 40 + seed for seed in SEEDS}, "easy"),
    }


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Recorded and measured runs of the hard distribution; notes what was to be measured."""
    calls: list[tuple[Any, ...]] = []
    measured = hard_distribution(2, 4)

    def run(name: str, scale: str, *, seeds: tuple[int, ...], directory: Path) -> Any:
        calls.append((name, scale, seeds, directory, sorted(directory.glob("*"))))
        return claims.of_first_seeds(lambda *_: measured, len(seeds))(name, scale)

    entry = run.experiment("hard_distribution")
    few = {"paper": replace(entry.scales["paper"], seeds=SEEDS)}
    monkeypatch.setattr(run, "REGISTRY", {"hard_distribution": replace(entry, scales=few)})
    monkeypatch.setattr(run, "load", lambda *_: hard_distribution(2, 3))
    monkeypatch.setattr(run, "run", run)
    return calls


def test_a_row_is_measured_again_and_compared(
    asked: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["again", "hard-is-slower"]) == 0
    ((name, scale, seeds, directory, there),) = asked
    assert (name, scale, seeds) == ("hard_distribution", "paper", SEEDS)
    assert there == [], "measured from scratch, not from what is kept somewhere"
    assert not directory.exists(), "and nothing is left behind"
    printed = capsys.readouterr().out
    assert "hard_distribution, paper scale: 10 runs to measure" in printed
    assert "(cpu) they took 100 seconds" in printed
    side_by_side = r"permutations: 3 of 5 +.*permutations: 3 of\s+5"
    assert re.search(side_by_side, printed.replace("\n", " ")), printed
    assert "0.6, lies within the recorded interval" in printed


def test_a_row_that_comes_out_otherwise_is_said_to(
    asked: list[tuple[Any, ...]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(run, "run", lambda *_, **__: hard_distribution(*SEEDS))
    assert main(["again", "hard-is-slower"]) == 1
    assert "The new estimate, 0, lies outside the recorded interval" in capsys.readouterr().out


def test_fewer_seeds_are_faster_and_less_certain(
    asked: list[tuple[Any, ...]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    assert main(["again", "hard-is-slower", "--seeds", "2", "--cache", str(kept)]) == 0
    ((_, _, seeds, directory, _),) = asked
    assert (seeds, directory) == ((1, 2), kept)
    assert kept.exists()
    printed = capsys.readouterr().out
    assert "4 runs to measure" in printed
    assert "they took 40 seconds" in printed, "two fifths of the recorded time"
    assert "With fewer seeds the interval is wider" in printed
    assert "these seeds alone give 0.500 [" in printed


def test_a_subset_outside_the_interval_may_still_overlap_with_it(
    asked: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Seed 1 copied in time, so it alone gives 1.0."""
    assert main(["again", "hard-is-slower", "--seeds", "1"]) == 1
    printed = capsys.readouterr().out
    assert "lies outside" in printed
    assert "of which the recorded runs give 1; the two intervals overlap." in printed


def test_too_few_seeds_are_refused_before_the_work(
    asked: list[tuple[Any, ...]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arms = {arm: copied(dict.fromkeys(SEEDS, 90), arm) for arm in ("eight", "one-wide", "tied")}
    monkeypatch.setattr(run, "load", lambda *_: arms)
    assert main(["again", "heads-not-parameters", "--seeds", "1"]) == 2
    assert main(["again", "heads-not-parameters", "--seeds", "6"]) == 2
    errors = capsys.readouterr().err
    assert "expected 1 to 5 for --seeds, found 6" in errors
    assert "too few seeds for this row, 1: expected at least two" in errors
    assert asked == []


def test_without_a_record_there_is_nothing_to_compare_with(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(*_: object) -> None:
        raise ResultError("no result; make it again with: ...")

    monkeypatch.setattr(run, "load", missing)
    assert main(["again", "hard-is-slower"]) == 2
    assert "make it again with" in capsys.readouterr().err
    assert main([]) == 1
    printed = capsys.readouterr().out
    assert all(f"{row}\n    no result; make it" in printed for row in claims.rows())
    with pytest.raises(ResultError, match="make it again"):
        scoreboard(load=run.current)


@pytest.mark.parametrize(
    "arguments", [["again", "no-such-row"], ["again", "cannot-copy", "--seeds=0"]]
)
def test_what_cannot_be_asked_for_is_said(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    told = capsys.readouterr().err
    assert "bad-heads-fail" in told if "no-such-row" in arguments else "at least 1" in told


@pytest.fixture
def small_distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The hard distribution so small that it is trained in a second, with records of its own."""
    hard = replace(SMALL, vocab=3, length=3, width=16, learning_rate=0.02, steps=150, stop_at=0.95)
    arms = {"hard": hard, "easy": replace(hard, vocab=6)}
    entry = Experiment(
        "Is it?", copying.run_copying, {"paper": Scale(arms, (1, 2, 3))}, lambda r: pd.DataFrame()
    )
    monkeypatch.setattr(run, "REGISTRY", {"hard_distribution": entry})
    monkeypatch.setattr(records, "PACKAGED", tmp_path / "results")
    with ThreadPoolExecutor(1) as pool:
        in_pool = parallel.run_seeds
        monkeypatch.setattr(
            parallel,
            "run_seeds",
            lambda *args, **options: in_pool(*args, **{**options, "executor": pool}),
        )
        where = ["--out", str(tmp_path / "results")]
        monkeypatch.setattr(run, "cache_directory", lambda: tmp_path / "cache")
        assert run.main(["run", "hard_distribution", *where]) == 0
        yield


@pytest.mark.usefixtures("one_thread_of_the_cpu", "small_distribution")
def test_a_real_row_comes_out_again_with_the_same_numbers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    recorded = claims.rows()["cannot-copy"](run.current)
    assert main(["again", "cannot-copy"]) == 0
    printed = capsys.readouterr()
    assert f"{recorded.estimate:.4g}, lies within" in printed.out
    assert "hard_distribution paper hard: 100%" in printed.err, "a progress bar for each arm"


def board() -> pd.DataFrame:
    """The rows that the package has records for."""
    return pd.concat([scoreboard(k) for k in CLAIMS if k != 4], ignore_index=True)


def test_the_scoreboard_has_a_row_for_each_claim() -> None:
    found = board()
    assert len(found) == sum(len(group) for k, group in CLAIMS.items() if k != 4)
    assert list(found) == [field.name for field in fields(Claim)]
    assert not found.isna().any(axis=None)
    assert found["verdict"].isin(["supported", "in part", "not supported"]).all()
    assert (found["low"] <= found["estimate"]).all()
    assert (found["estimate"] <= found["high"]).all()
    assert set(scoreboard(6)["chapter"]) == {6}


def test_at_least_fourteen_claims_in_the_order_of_the_chapters() -> None:
    assert len(claims.rows()) >= 14
    assert list(CLAIMS) == sorted(CLAIMS)


def test_the_command_of_a_row_is_one_that_the_command_line_knows() -> None:
    for row, claim in claims.rows().items():
        if claim not in CLAIMS[4]:
            found = claim(run.current)
            assert found.row == row
            assert found.command == f"python -m lessons_lib.scoreboard again {row}"
            assert found.published in (NOT_QUOTED, NO_NUMBER) or re.search(r"\d", found.published)


def test_a_chapter_needs_its_own_records_only() -> None:
    asked = []

    def load(name: str, scale: str) -> dict[str, Record]:
        asked.append((name, scale))
        return hard_distribution(1)

    assert len(scoreboard(6, load)) == 2
    assert asked == [("hard_distribution", "paper")], "and each experiment is loaded once"
    with pytest.raises(KeyError, match="no claims of chapter 8; there are some of"):
        scoreboard(8, load)


def test_printing_shows_every_row(
    asked: list[tuple[Any, ...]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(claims, "CLAIMS", {6: CLAIMS[6]})
    assert main([]) == 0
    printed = capsys.readouterr().out
    assert "hard-is-slower: supported\n    Copying is harder" in printed
    assert "cannot-copy: not supported\n" in printed
    assert "python -m lessons_lib.scoreboard again cannot-copy" in printed
    assert max(map(len, printed.splitlines())) <= 100


@pytest.mark.parametrize(
    ("estimate", "within"),
    [(0.4, True), (0.2, True), (0.6, True), (0.61, False), (0.19, False), (math.nan, False)],
)
def test_within_includes_the_ends(estimate: float, within: bool) -> None:
    claim = claims.rows()["cannot-copy"](lambda *_: hard_distribution())
    old = replace(claim, estimate=0.4, low=0.2, high=0.6)
    assert is_within(replace(old, estimate=estimate), old) is within

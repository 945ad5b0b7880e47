"""What the scoreboard says follows from the records, and from nothing else."""

from __future__ import annotations

import pandas as pd
import pytest

from lessons_lib import claims, experiments, results
from lessons_lib.claims import CLAIMS, scoreboard
from lessons_lib.results import Record, make_record

UNIFORM = 0.1


def record(arm: str, runs: list[tuple[str, int, bool]]) -> Record:
    """Runs that end on a branch, at a step, copying or not."""
    rows = []
    for seed, (branch, step, solved) in enumerate(runs, start=1):
        looked = 0.9 if branch == "aligned" else 0.0
        for metric, first, last in (
            ("token_accuracy", 0.1, 0.97 if solved else 0.6),
            ("attention_accuracy", UNIFORM, looked),
            ("right_mass", UNIFORM, looked),
        ):
            rows.append({"seed": seed, "step": 0, "metric": metric, "value": first})
            rows.append({"seed": seed, "step": step, "metric": metric, "value": last})
    return make_record(arm, {}, rows, device="cpu", wall_seconds=0)


def shown(monkeypatch: pytest.MonkeyPatch, arms: dict[str, list[tuple[str, int, bool]]]) -> None:
    found = {arm: record(arm, runs) for arm, runs in arms.items()}
    monkeypatch.setattr(experiments, "load", lambda *_: found)


def test_hard_is_slower_counts_and_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    easy = [("aligned", 50, True)] * 9
    hard = [("aligned", 110, True)] * 5 + [("elimination", 400, False)] * 6
    shown(monkeypatch, {"hard": hard, "easy": easy})
    claim = claims.hard_is_slower()
    assert claim.verdict == "holds"
    assert "all 9 runs copy by step 50; permutations: 5 of 11 by step 200" in claim.measured
    shown(monkeypatch, {"hard": easy, "easy": easy})
    assert claims.hard_is_slower().verdict == "does not hold"


@pytest.mark.parametrize(
    ("late", "verdict"),
    [
        ([("elimination", 330, True), ("elimination", 400, False)], "holds in part"),
        ([("elimination", 330, True), ("elimination", 340, True)], "does not hold"),
        ([("elimination", 400, False), ("elimination", 400, False)], "holds"),
    ],
)
def test_what_becomes_of_those_that_do_not_copy_in_time(
    monkeypatch: pytest.MonkeyPatch, late: list[tuple[str, int, bool]], verdict: str
) -> None:
    shown(monkeypatch, {"hard": [("aligned", 200, True), *late], "easy": late})
    claim = claims.cannot_copy()
    assert claim.verdict == verdict
    later = sum(solved for _, _, solved in late)
    assert claim.measured.startswith(f"2 of 3 do not within 200 steps; {later} of these do by")
    assert "2 of them never look" in claim.measured


def shares(**aligned: int) -> dict[str, list[tuple[str, int, bool]]]:
    """Arms of 20 runs, so many of them aligned."""
    return {
        arm.replace("_", "-"): [("aligned", 90, True)] * k + [("elimination", 250, True)] * (20 - k)
        for arm, k in aligned.items()
    }


@pytest.mark.parametrize(
    ("gru_8", "verdict"), [(20, "holds"), (11, "holds in part")], ids=["both", "LSTM only"]
)
def test_more_heads_align_more_often(
    monkeypatch: pytest.MonkeyPatch, gru_8: int, verdict: str
) -> None:
    shown(monkeypatch, shares(lstm_1=10, lstm_8=20, gru_1=10, gru_8=gru_8))
    claim = claims.several_heads_align()
    assert claim.verdict == verdict
    assert "LSTM: 0.500 [0.299, 0.701] (n = 20) with one head, 1.000" in claim.measured


@pytest.mark.parametrize(
    ("wide", "tied", "verdict"),
    [(10, 9, "holds"), (19, 9, "holds in part"), (19, 18, "does not hold")],
)
def test_eight_heads_against_as_many_parameters(
    monkeypatch: pytest.MonkeyPatch, wide: int, tied: int, verdict: str
) -> None:
    shown(monkeypatch, shares(eight=20, one_wide=wide, tied=tied))
    assert claims.heads_not_parameters().verdict == verdict
    shown(monkeypatch, shares(eight=2, one_wide=19, tied=19))
    assert claims.heads_not_parameters().verdict == "does not hold"


@pytest.mark.parametrize(
    ("bad", "step", "verdict"),
    [
        (2, 180, "holds"),
        (18, 180, "holds in part"),
        (18, 90, "does not hold"),
        (18, 60, "does not hold"),
    ],
)
def test_bad_heads_are_compared_by_outcome_and_time(
    monkeypatch: pytest.MonkeyPatch, bad: int, step: int, verdict: str
) -> None:
    arms = shares(eight_bad=bad, seven_bad_one_good=18)
    arms["eight-bad"] = [(branch, step, True) for branch, _, _ in arms["eight-bad"]]
    arms["seven-bad-one-good"] = [("aligned", 90, True)] * 18 + [("elimination", 90, True)] * 2
    shown(monkeypatch, arms)
    assert claims.bad_heads_fail().verdict == verdict


def test_fewer_aligned_with_eight_heads_do_not_count_for_the_claim(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown(monkeypatch, shares(lstm_1=20, lstm_8=8, gru_1=20, gru_8=8))
    assert claims.several_heads_align().verdict == "does not hold"


def test_the_scoreboard_has_a_row_for_each_claim() -> None:
    board = scoreboard()
    assert len(board) == len(CLAIMS)
    assert board["chapter"].is_monotonic_increasing
    assert list(board) == ["chapter", "claim", "published", "measured", "verdict", "command"]
    assert isinstance(scoreboard(6), pd.DataFrame)
    assert set(scoreboard(6)["chapter"]) == {6}
    assert board["command"].str.startswith("python -m lessons_lib.experiments run ").all()


def test_a_missing_record_is_said_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise results.ResultError("no result; make it again with: ...")

    monkeypatch.setattr(experiments, "load", missing)
    with pytest.raises(results.ResultError, match="make it again"):
        scoreboard()

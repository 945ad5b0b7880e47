"""What the scoreboard says of copying follows from the records, and from nothing else."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from scipy import stats as scipy_stats

from lessons_lib.lab.results import Record, make_record
from lessons_lib.scoreboard import on_copying as claims
from lessons_lib.scoreboard.claim import Loader

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


def of(arms: Mapping[str, list[tuple[str, int, bool]]]) -> Loader:
    """A loader that has these runs, whatever it is asked for."""
    found = {arm: record(arm, runs) for arm, runs in arms.items()}
    return lambda name, scale: found


@pytest.mark.parametrize(
    ("wrong", "step", "verdict"),
    [
        (4, 180, "supported"),
        (19, 180, "in part"),
        (4, 90, "in part"),
        (20, 60, "not supported"),
    ],
)
def test_words_drive_attention_if_right_ones_help_and_wrong_ones_harm(
    wrong: int, step: int, verdict: str
) -> None:
    arms = shares(pretrained_control=wrong, scrambled=wrong + 1 if wrong < 20 else 20)
    arms["pretrained-uniform"] = arms["from-dictionary"] = [("aligned", 90, True)] * 20
    arms["pretrained-hard"] = [("aligned", step, True)] * 20
    found = claims.words_drive_attention(of(arms))
    assert found.verdict == verdict
    assert f"20 of 20 with right words, {wrong} of 20 with wrong ones; from a" in found.ours
    assert f"median step 90 after right words, {step} after" in found.ours
    both_wrong = wrong + min(wrong + 1, 20)
    assert found.estimate == pytest.approx(1 - both_wrong / 40)
    assert found.runs == 100


def attention(arm: str, *found: float, length: int = 10) -> Record:
    """Runs that end with these shares of words at which attention finds the right one."""
    rows = [
        {"seed": seed, "step": step, "metric": "attention_accuracy", "value": value}
        for seed, last in enumerate(found, start=1)
        for step, value in ((0, 0.99), (500, last))
    ]
    return make_record(arm, {"length": length}, rows, device="cpu", wall_seconds=0)


@pytest.mark.parametrize(
    ("random", "taught", "verdict"),
    [
        ((0.098, 0.1, 0.103, 0.1), 0.5, "supported"),
        ((0.12, 0.121, 0.122, 0.121), 0.5, "in part"),
        ((0.29, 0.3, 0.31, 0.3), 0.5, "not supported"),
        ((0.098, 0.1, 0.103, 0.1), 0.1, "not supported"),
        ((0.06, 0.1, 0.14, 0.1), 0.5, "in part"),
    ],
    ids=["chance", "a trace", "much", "nothing could be learned anyway", "too few runs to tell"],
)
def test_attention_without_words_is_held_against_chance_and_two_controls(
    random: tuple[float, ...], taught: float, verdict: str
) -> None:
    arms = [
        attention("frozen-all-but-query", *random),
        attention("frozen-aligned", taught - 0.01, taught, taught + 0.01),
        attention("frozen-dictionary", 0.79, 0.8, 0.8, 0.81),
    ]
    found = claims.attention_needs_words(lambda name, scale: {arm.name: arm for arm in arms})
    assert found.verdict == verdict
    interval = scipy_stats.ttest_1samp(random, 0).confidence_interval()
    assert (found.low, found.high) == pytest.approx(interval)
    assert found.estimate == pytest.approx(sum(random) / 4)
    assert "chance 0.1; frozen and right: 0.800" in found.ours
    assert found.runs == 11


def test_hard_is_slower_counts_and_tests() -> None:
    easy = [("aligned", 50, True)] * 9
    hard = [("aligned", 110, True)] * 5 + [("elimination", 400, False)] * 6
    claim = claims.hard_is_slower(of({"hard": hard, "easy": easy}))
    assert claim.verdict == "supported"
    assert "9 of 9 runs copy by step 200, the last at step 50; permutations: 5 of 11" in claim.ours
    assert claim.runs == 20
    wilson = scipy_stats.binomtest(5, 11).proportion_ci(method="wilson")
    assert (claim.estimate, claim.low, claim.high) == pytest.approx((5 / 11, *wilson))
    same = claims.hard_is_slower(of({"hard": easy, "easy": easy}))
    assert same.verdict == "not supported"
    faster = claims.hard_is_slower(of({"hard": easy, "easy": hard}))
    assert faster.verdict == "not supported"


@pytest.mark.parametrize(
    ("late", "verdict"),
    [
        ([("elimination", 330, True), ("elimination", 400, False)], "in part"),
        ([("elimination", 330, True), ("elimination", 340, True)], "not supported"),
        ([("elimination", 400, False), ("elimination", 400, False)], "supported"),
    ],
)
def test_what_becomes_of_those_that_do_not_copy_in_time(
    late: list[tuple[str, int, bool]], verdict: str
) -> None:
    claim = claims.cannot_copy(of({"hard": [("aligned", 200, True), *late], "easy": late}))
    assert claim.verdict == verdict
    later = sum(solved for _, _, solved in late)
    assert claim.ours.startswith(f"2 of 3 do not within 200 steps; {later} of these do by")
    assert "2 of them never look" in claim.ours
    assert claim.estimate == pytest.approx((1 + later) / 3)
    assert claim.runs == 3


def test_where_all_copy_in_time_nothing_speaks_for_failure() -> None:
    claim = claims.cannot_copy(of({"hard": [("aligned", 200, True)] * 4}))
    assert claim.verdict == "not supported"
    assert claim.estimate == 1


def shares(**aligned: int) -> dict[str, list[tuple[str, int, bool]]]:
    """Arms of 20 runs, the first so many of them aligned."""
    return {
        arm.replace("_", "-"): [("aligned", 90, True)] * k + [("elimination", 250, True)] * (20 - k)
        for arm, k in aligned.items()
    }


@pytest.mark.parametrize(
    ("gru_8", "verdict"), [(20, "supported"), (11, "in part")], ids=["both", "LSTM only"]
)
def test_more_heads_align_more_often(gru_8: int, verdict: str) -> None:
    found = claims.several_heads_align(of(shares(lstm_1=10, lstm_8=20, gru_1=9, gru_8=gru_8)))
    assert found.verdict == verdict
    assert "LSTM: 10 of 20 with one head, 20 of 20 with eight; GRU: 9 of 20" in found.ours
    assert found.estimate == pytest.approx((10 + gru_8 - 9) / 40)
    assert found.runs == 80


def test_runs_of_one_seed_are_compared() -> None:
    """By seed: 9 runs align with one head too, the 10th and 11th in one cell more, the rest not."""
    found = claims.several_heads_align(of(shares(lstm_1=10, lstm_8=20, gru_1=9, gru_8=11)))
    by_seed = [0.0] * 9 + [0.5] + [1.0] + [0.5] * 9
    low, high = scipy_stats.ttest_1samp(by_seed, 0).confidence_interval()
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.estimate == pytest.approx(np.mean(by_seed))
    assert found.interval.startswith(f"{found.estimate:.3f} [{low:.3f}, {high:.3f}]: share")
    assert found.interval.endswith("95%, over 20 seeds")


def test_fewer_aligned_with_eight_heads_do_not_count_for_the_claim() -> None:
    found = claims.several_heads_align(of(shares(lstm_1=20, lstm_8=8, gru_1=20, gru_8=8)))
    assert found.verdict == "not supported"
    assert found.high < 0


@pytest.mark.parametrize(
    ("wide", "tied", "verdict"),
    [(10, 9, "supported"), (19, 9, "in part"), (19, 18, "not supported")],
)
def test_eight_heads_against_as_many_parameters(wide: int, tied: int, verdict: str) -> None:
    found = claims.heads_not_parameters(of(shares(eight=20, one_wide=wide, tied=tied)))
    assert found.verdict == verdict
    assert found.estimate == pytest.approx(1 - (wide + tied) / 40)
    assert found.runs == 60
    fewer = claims.heads_not_parameters(of(shares(eight=2, one_wide=19, tied=19)))
    assert fewer.verdict == "not supported"


@pytest.mark.parametrize(
    ("bad", "step", "verdict"),
    [
        (2, 180, "supported"),
        (18, 180, "in part"),
        (18, 90, "not supported"),
        (18, 60, "not supported"),
    ],
)
def test_bad_heads_are_compared_by_outcome_and_time(bad: int, step: int, verdict: str) -> None:
    arms = shares(eight_bad=bad, seven_bad_one_good=18)
    arms["eight-bad"] = [(branch, step, True) for branch, _, _ in arms["eight-bad"]]
    arms["seven-bad-one-good"] = [("aligned", 90, True)] * 18 + [("elimination", 90, True)] * 2
    found = claims.bad_heads_fail(of(arms))
    assert found.verdict == verdict
    assert found.estimate == pytest.approx((18 - bad) / 20)
    assert found.runs == 40

"""What the scoreboard says of copying follows from the records, and from nothing else."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean

import pytest
from scipy import stats as scipy_stats

from lessons_lib.lab.heads import ONE_HEAD
from lessons_lib.lab.records import COLUMNS, NotMeasuredError, Record, make_record
from lessons_lib.scoreboard import claims
from lessons_lib.scoreboard.claim import Claim, Loader, Thresholds

Run = tuple[str, int, bool]
"""Branch at the end, step of the end, whether it copies then."""
Records = dict[tuple[str, str], dict[str, Record]]
METRICS = "token_accuracy", "accuracy_with_end", "attention_accuracy", "right_mass"


def made(rows: Iterable[tuple[int, int, str, float]], name: str = "arm", **config: int) -> Record:
    """A record of these seeds, steps, metrics and values."""
    keyed = (dict(zip(COLUMNS, row, strict=True)) for row in rows)
    return make_record(name, config, keyed, device="cpu", wall_seconds=0)


def record(
    arm: str, runs: Sequence[Run], at: Mapping[int, Sequence[float]] | None = None
) -> Record:
    """Runs that end so; ``at``: what they have at a step before."""
    rows = list[tuple[int, int, str, float]]()
    for seed, (branch, step, solved) in enumerate(runs, start=1):
        looked = {"aligned": 0.9, "undecided": 0.3}.get(branch, 0.0)
        values = {when: [each[seed - 1]] * 4 for when, each in (at or {}).items() if when < step}
        values |= {0: [0.1] * 4, step: [0.97 if solved else 0.6] * 2 + [looked] * 2}
        for when, each in values.items():
            rows += [(seed, when, *pair) for pair in zip(METRICS, each, strict=True)]
    return replace(made(rows, arm), config=ONE_HEAD.to_dict())


def load_of(found: Records) -> Loader:
    """A loader of these records; all others have not been measured."""

    def load(name: str, scale: str) -> Mapping[str, Record]:
        if (name, scale) not in found:
            raise NotMeasuredError(f"no result of {name}, {scale}")
        return found[name, scale]

    return load


def numbers(claim: Claim) -> tuple[float, float, float]:
    """The estimate of a claim with its interval."""
    row = claim.to_dict()
    return row["estimate"], row["low"], row["high"]


def t_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float, float]:
    """Mean with its interval, by SciPy."""
    low, high = scipy_stats.ttest_1samp(values, 0).confidence_interval(level)
    return fmean(values), float(low), float(high)


def judged(
    row: str, experiment: str, arms: Mapping[str, Sequence[Run]], scale: str = "lesson", **t: float
) -> Claim:
    found = {arm: record(arm, runs, {60: [0.5] * len(runs)}) for arm, runs in arms.items()}
    sizes = {(experiment, size): found for size in (scale, "bfloat16")}
    return claims.rows()[row](load_of(sizes), Thresholds(**t))


def shares(n: int = 20, **aligned: int) -> dict[str, list[Run]]:
    """Arms of runs, the first so many of them aligned at step 90, the others lost at step 250."""
    return {
        arm.replace("_", "-"): [("aligned", 90, True)] * k + [("elimination", 250, True)] * (n - k)
        for arm, k in aligned.items()
    }


@pytest.mark.parametrize(("wrong", "step", "verdict"), [
    ((4, 5), 180, "supported"), ((20, 20), 180, "in part"), ((20, 20), 100, "not supported"),
], ids=["all of it", "time only", "nothing"])  # fmt: skip
def test_words_drive_attention_if_right_ones_help_and_wrong_ones_harm(
    wrong: tuple[int, int], step: int, verdict: str
) -> None:
    arms = shares(pretrained_control=wrong[0], scrambled=wrong[1], from_dictionary=20)
    # Times differ a little, so that the ratio has an interval.
    arms["pretrained-uniform"] = [("aligned", 90 + k % 3, True) for k in range(20)]
    arms["pretrained-hard"] = [("aligned", step + k % 2, True) for k in range(20)]
    found = judged("words-drive-attention", "ktiw_first", arms)
    assert found.verdict == verdict
    assert found.to_dict()["estimate"] == pytest.approx(1 - sum(wrong) / 40)
    assert found.found.runs == 100


def attention(*found: float) -> Record:
    """Runs that end with these shares of words at which attention finds the right one."""
    lasts = [(seed, 500, "attention_accuracy", last) for seed, last in enumerate(found, start=1)]
    return made([(seed, 0, metric, 0.99) for seed, _, metric, _ in lasts] + lasts, length=10)


@pytest.mark.parametrize(("random", "taught", "verdict"), [
    ((0.098, 0.1, 0.103, 0.1), 0.5, "supported"), ((0.12, 0.121, 0.122, 0.121), 0.5, "in part"),
    ((0.59, 0.6, 0.61, 0.6), 0.5, "not supported"), ((0.098, 0.1, 0.103, 0.1), 0.1, "in part"),
], ids=["chance", "a trace", "much", "no control learns"])  # fmt: skip
def test_attention_without_words_is_held_against_chance_and_two_controls(
    random: tuple[float, ...], taught: float, verdict: str
) -> None:
    arms = {
        "frozen-all-but-query": attention(*random),
        "frozen-aligned": attention(taught - 0.01, taught, taught + 0.01),
        "frozen-dictionary": attention(0.79, 0.8, 0.8, 0.81),
    }
    found = claims.rows()["attention-needs-words"](load_of({("asymmetry", "lesson"): arms}))
    assert found.verdict == verdict
    assert numbers(found) == pytest.approx(t_interval(random))
    assert "chance 0.1; frozen and right: 0.800" in found.found.ours
    assert found.found.runs == 11


FAST: list[Run] = [("aligned", 50, True), ("aligned", 55, True)] * 6
IN_TIME: Run = ("aligned", 150, True)
LATE: Run = ("elimination", 250, True)
NEVER: Run = ("elimination", 400, False)
HARD = "hard_distribution"


@pytest.mark.parametrize(("hard", "verdict"), [
    ([("aligned", 110, True)] * 7 + [NEVER] * 5, "supported"), (FAST, "undecided"),
    ([("aligned", 58, True)] * 36, "not supported"), ([("aligned", 80, True)] * 36, "supported"),
], ids=["slower", "the same, too few runs", "a tenth later does not matter", "half"])  # fmt: skip
def test_hard_is_slower_by_time_and_by_the_share_at_step_60(hard: list[Run], verdict: str) -> None:
    easy = FAST * (len(hard) // 12)
    found = judged("hard-is-slower", HARD, {"hard": hard, "easy": easy}, "full-size")
    assert found.verdict == verdict
    assert found.found.runs == 2 * len(hard)


@pytest.mark.parametrize(("copying", "told"), [(0, "none of these copies"), (12, "times as long")])
def test_times_of_runs_that_hardly_ever_copy_refute_nothing(copying: int, told: str) -> None:
    """Both are cut at step 400: a ratio of 1 that says nothing of how long they would take."""
    runs = FAST[:copying] + [NEVER] * (36 - copying)
    found = judged("hard-is-slower", HARD, {"hard": runs, "easy": runs}, "full-size")
    assert found.found.criteria["permutations take longer"] is None
    assert told in found.found.ours


@pytest.mark.parametrize(("late", "verdict"), [
    ([NEVER] * 10, "supported"), ([LATE] * 10, "in part"),
    ([LATE] * 2 + [NEVER] * 8, "undecided"), ([], "not supported"),
], ids=["for good", "none for good", "some", "nobody"])  # fmt: skip
def test_failing_is_a_share_and_a_hazard(late: list[Run], verdict: str) -> None:
    hard = [IN_TIME] * (30 - len(late) // 2) + late
    found = judged("cannot-copy", HARD, {"hard": hard, "easy": hard}, "full-size")
    assert found.verdict == verdict
    wilson = scipy_stats.binomtest(len(late), len(hard)).proportion_ci(method="wilson")
    assert numbers(found)[1:] == pytest.approx((wilson.low, wilson.high))
    assert found.found.ours.startswith(f"{len(late)} of {len(hard)} do not within 200 steps; ")


def test_the_hazard_of_learning_to_copy_by_hand() -> None:
    """Two of ten learn after 50 steps each; eight wait 200: 2 events in 17 times 100 steps."""
    hard = [IN_TIME] * 20 + [LATE] * 2 + [NEVER] * 8
    ours = judged("cannot-copy", HARD, {"hard": hard}, "full-size").found.ours
    assert "2 of these do by step 400, of those left 0.111 [" in ours  # 1 - exp(-2/17)


def test_the_verdict_hangs_on_thresholds_that_a_reader_can_pass() -> None:
    hard = [IN_TIME] * 20 + [LATE] * 10
    mild = judged("cannot-copy", HARD, {"hard": hard}, "full-size", learns=0.99, rare=0.1)
    assert mild.verdict == "supported"
    assert "less than 0.99 learn it" in mild.rule
    with pytest.raises(ValueError, match="above 0 for rare, found 0"):
        Thresholds(rare=0)


@pytest.mark.parametrize(
    ("bad", "step", "verdict"), [(20, 380, "supported"), (50, 190, "not supported")]
)
def test_bad_heads_are_compared_by_outcome_and_time(bad: int, step: int, verdict: str) -> None:
    """Of 50 models so many bad ones align at a step; of the good ones 40 by step 180."""
    arms: dict[str, list[Run]] = {
        "eight-bad": [("aligned", step, True)] * bad + [NEVER] * (50 - bad),
        "seven-bad-one-good": [("aligned", 180, True)] * 40 + [("aligned", 300, True)] * 10,
    }
    found = judged("bad-heads-fail", "head_mix", arms)
    assert found.verdict == verdict
    copying = 50 * (step <= 190)
    assert f"copy by step 190: {copying} of 50 (below 0.6 then: 50" in found.found.ours or copying
    assert " and 40 of 50; there are 50 different sets" in found.found.ours


@pytest.mark.parametrize(("one", "verdict"), [(9, "supported"), (20, "in part"), (16, "undecided")])
def test_several_heads_have_to_align_more_often_at_the_authors_size_too(
    one: int, verdict: str
) -> None:
    """Of 20 small models with a single head 8 align, at the authors' size so many of 20."""
    small = {
        arm: record(arm, runs)
        for arm, runs in shares(lstm_1=8, lstm_8=20, gru_1=8, gru_8=20).items()
    }
    theirs = {arm: record(arm, runs) for arm, runs in shares(order_1=one, eight_random=20).items()}
    mix, start = ({arm: theirs[arm]} for arm in ("eight-random", "order-1"))
    sizes = {("heads", "lesson"): small, ("head_mix", "bfloat16"): mix}
    found = claims.rows()["several-heads-align"](
        load_of({**sizes, ("head_starts", "bfloat16"): start})
    )
    assert found.verdict == verdict
    assert f"authors' size: {one} of 20 with one head, 20 of 20 with eight" in found.found.ours
    assert found.found.runs == 120
    assert found.to_dict()["estimate"] == pytest.approx(0.6)


@pytest.mark.parametrize(("kinds", "verdict"), [
    ([3] * 12 + [0] * 12 + [1] * 6, "supported"), ([1, 2] * 45, "not supported"),
    ([3, 0, 1, 2], "undecided"),
])  # fmt: skip
def test_heads_are_sorted_by_their_starts_if_orders_agree(kinds: list[int], verdict: str) -> None:
    """``kinds``: in how many of three orders each head aligns."""
    n = len(kinds)
    arms = {
        arm: record(arm, [IN_TIME if good >= k else NEVER for good in kinds])
        for k, arm in ((1, "order-1"), (2, "order-2"), (3, "order-3"))
    }
    sizes = {("head_starts", size): arms for size in ("lesson", "bfloat16")}
    found = claims.rows()["starts-sort-heads"](load_of(sizes))
    assert found.verdict == verdict
    good, bad, aligned = kinds.count(3), kinds.count(0), sum(kinds) / (3 * n)
    expected = n * (aligned**3 + (1 - aligned) ** 3)
    assert f"{good} good, {bad} bad of {n} heads, {expected:.0f} expected" in found.found.ours
    assert found.to_dict()["estimate"] == (good + bad) / n

"""What the scoreboard says of real text follows from the records, and from nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest
from scipy import stats as scipy_stats

from lessons_lib.lab.results import Record, ResultError, make_record
from lessons_lib.scoreboard import on_text as claims
from lessons_lib.scoreboard.claim import Claim, Loader

BLOCKS, RUNS = (1, 2), 2
CHANCE = 0.1
Values = Mapping[str, float | Sequence[float]]


def record(arm: str, each: Values, block: Mapping[str, float]) -> Record:
    """Two blocks of two runs: values of the last step, in the order 1.0, 1.1, 2.0, 2.1.

    A single value is spread a little, so that intervals have a width. At step 0 all are 0.
    """
    rows = []
    for metric, given in each.items():
        spread = (-0.01, 0.0, 0.01, 0.0)
        values = [given + d for d in spread] if isinstance(given, int | float) else given
        for i, value in enumerate(values):
            for step, shown in ((0, 0.0), (50, value)):
                row = {"seed": BLOCKS[i // RUNS], "step": step}
                rows.append({**row, "metric": f"{metric}#{i % RUNS}", "value": shown})
    for metric, value in block.items():
        rows += [{"seed": b, "step": 50, "metric": metric, "value": value} for b in BLOCKS]
    return make_record(arm, {}, rows, device="cpu", wall_seconds=0)


def of(corpora: Mapping[str, Values], **block: float) -> Loader:
    """A loader of these corpora, whatever it is asked for; chance is 0.1 unless told."""
    known = {"chance": CHANCE, **block}
    found = {arm: record(arm, each, known) for arm, each in corpora.items()}
    return lambda name, scale: found


def mean_over_corpora(*corpora: Sequence[float]) -> tuple[float, float, float]:
    """Mean and t interval over runs of the mean over corpora, from SciPy's one-sample test."""
    means = [sum(run) / len(run) for run in zip(*corpora, strict=True)]
    low, high = map(float, scipy_stats.ttest_1samp(means, 0).confidence_interval())
    return sum(means) / len(means), low, high


def agreement(metric: str, value: float | Sequence[float], **others: float) -> Values:
    return {metric: value, f"{metric}/max": 0.9, "A(alpha,last)": 0.0} | others


AGREEMENTS: list[tuple[Callable[[Loader], Claim], str]] = [
    (claims.uniform_classifier_foretells, "A(alpha,uf)"),
    (claims.bag_foretells_uniform_classifier, "A(uf,px)"),
    (claims.bag_foretells_uniform_translator, "A(uf,px)"),
    (claims.uniform_classifier_foretells_saliency, "A(delta,uf)"),
    (claims.uniform_translator_foretells_saliency, "A(delta,uf)"),
]


@pytest.mark.parametrize(("claim", "metric"), AGREEMENTS)
def test_an_agreement_needs_twice_chance_in_every_corpus(
    claim: Callable[[Loader], Claim], metric: str
) -> None:
    far, near = agreement(metric, 0.23), agreement(metric, 0.19)
    assert claim(of({"sst2": far, "subj": far})).verdict == "supported"
    assert claim(of({"sst2": far, "subj": near})).verdict == "in part"
    assert claim(of({"sst2": near, "subj": near})).verdict == "not supported"
    # The mean is above twice chance, the lower end of its interval is not.
    unsure = agreement(metric, (0.1, 0.5, 0.1, 0.5))
    assert claim(of({"sst2": unsure})).verdict == "not supported"


def test_an_agreement_is_averaged_over_corpora_and_then_over_runs() -> None:
    sst2, subj = (0.31, 0.42, 0.35, 0.33), (0.61, 0.52, 0.66, 0.71)
    load = of({"sst2": agreement("A(alpha,uf)", sst2), "subj": agreement("A(alpha,uf)", subj)})
    claim = claims.uniform_classifier_foretells(load)
    estimate, low, high = mean_over_corpora(sst2, subj)
    assert (claim.estimate, claim.low, claim.high) == pytest.approx((estimate, low, high))
    assert claim.interval == (
        f"{estimate:.3f} [{low:.3f}, {high:.3f}]: A(alpha,uf), mean of 2 corpora; 95%, over 4 runs"
    )
    assert claim.runs == 8
    assert "sst2 0.35 (maximum 0.90, chance 0.10, position 0.00), subj 0.62 (" in claim.ours


def test_runs_are_aligned_by_name() -> None:
    """Run 10 comes after run 2 in number, before it in the alphabet."""
    rows = [
        {"seed": 1, "step": 50, "metric": f"{metric}#{k}", "value": k / 100 + 0.5}
        for metric in ("A(alpha,uf)", "A(alpha,uf)/max", "A(alpha,last)")
        for k in range(11)
    ]
    rows.append({"seed": 1, "step": 0, "metric": "chance", "value": CHANCE})
    found = {
        arm: make_record(arm, {}, order, device="cpu", wall_seconds=0)
        for arm, order in (("sst2", rows), ("subj", rows[::-1]))
    }
    claim = claims.uniform_classifier_foretells(lambda name, scale: found)
    values = [k / 100 + 0.5 for k in range(11)]
    assert (claim.low, claim.high) == pytest.approx(mean_over_corpora(values)[1:])


@pytest.mark.parametrize(
    ("claim", "rival"),
    [
        (claims.uniform_translator_foretells, "A(alpha,diagonal)"),
        (claims.uniform_classifier_foretells, "A(alpha,last)"),
    ],
)
@pytest.mark.parametrize(
    ("value", "position", "verdict"),
    [
        (0.6, 0.5, "supported"),
        (0.6, 0.7, "in part"),
        (0.6, 0.6, "in part"),
        (0.15, 0.05, "not supported"),
    ],
    ids=["beats both", "chance only", "as good as position", "position only"],
)
def test_attention_has_to_be_foretold_better_than_by_position(
    claim: Callable[[Loader], Claim], rival: str, value: float, position: float, verdict: str
) -> None:
    guess: Values = {rival: [position + d for d in (0.02, -0.02, 0.01, -0.01)]}
    found = claim(of({"de-en": {**agreement("A(alpha,uf)", value), **guess}}))
    assert found.verdict == verdict
    assert f"position {position:.2f}" in found.ours
    assert "one corpus" in found.interval


def test_the_diagonal_has_to_be_beaten_in_every_corpus() -> None:
    ahead, behind = (agreement("A(alpha,uf)", 0.6, **{"A(alpha,diagonal)": d}) for d in (0.5, 0.7))
    claim = claims.uniform_translator_foretells(of({"de-en": ahead, "cs-en": behind}))
    assert claim.verdict == "in part"


@pytest.mark.parametrize(
    ("value", "verdict"), [(0.13, "supported"), (0.11, "not supported"), (0.08, "not supported")]
)
def test_salient_words_need_more_than_chance(value: float, verdict: str) -> None:
    claim = claims.attention_is_on_salient_words(of({"sst2": {"A(alpha,lr)": value}}))
    assert claim.verdict == verdict


def passing(xi: float, best: float = 0.9) -> Values:
    return {"xi/passed": [1] * 4, "xi": xi, "xi*": [best] * 4}


def test_xi_is_a_share_of_what_training_gains() -> None:
    """Guessing gets 0.5: 0.88 of 0.9 is 0.95 of the gain, 0.84 of 0.9 is 0.85 of it."""
    high, low = passing(0.88), passing(0.84)
    claim = claims.xi_is_high_in_classification
    both = claim(of({"sst2": high, "subj": low}, majority=0.5))
    assert both.verdict == "in part"
    assert both.estimate == pytest.approx(0.9)
    assert "xi of xi*: sst2 0.88 of 0.90, subj 0.84 of 0.90" in both.ours
    assert claim(of({"sst2": high}, majority=0.5)).verdict == "supported"
    assert claim(of({"sst2": low}, majority=0.5)).verdict == "not supported"
    # In translation there is no class to guess: 0.84 is 0.93 of 0.9.
    assert claims.xi_is_high_in_translation(of({"de-en": low})).estimate == pytest.approx(
        0.84 / 0.9
    )


def test_a_curve_that_never_passes_counts_as_one() -> None:
    never: Values = {"xi/passed": [0] * 4, "xi*": [0.9] * 4}
    claim = claims.xi_is_high_in_translation(of({"de-en": never}))
    assert claim.verdict == "supported"
    assert (claim.estimate, claim.low, claim.high) == (1, 1, 1)
    assert "de-en never passed of 0.90" in claim.ours


def test_some_runs_pass_and_some_never_do() -> None:
    rows = [
        {"seed": 1, "step": 50, "metric": metric, "value": value}
        for metric, value in {
            **{"xi/passed#0": 1, "xi#0": 0.4, "xi*#0": 0.8},
            **{"xi/passed#1": 0, "xi*#1": 0.5},
            **{"xi/passed#2": 1, "xi#2": 0.6, "xi*#2": 0.6},
            "chance": 0.1,
        }.items()
    ]
    found = {"de-en": make_record("de-en", {}, rows, device="cpu", wall_seconds=0)}
    claim = claims.xi_is_high_in_translation(lambda name, scale: found)
    assert claim.estimate == pytest.approx((0.5 + 1 + 1) / 3)
    assert "de-en 0.50 (never passed in 1 of 3) of 0.63" in claim.ours
    assert claim.verdict == "not supported"


@pytest.mark.parametrize(
    ("each", "share"),
    [
        (passing(0.3), 0.0),
        (passing(0.98), 1.0),
        ({"xi/passed": [0] * 4, "xi*": [0.45] * 4}, 0.0),
    ],
    ids=["worse than guessing", "better than the gold run", "nothing was learned"],
)
def test_the_share_of_the_gain_is_kept_between_0_and_1(each: Values, share: float) -> None:
    claim = claims.xi_is_high_in_classification(of({"sst2": each}, majority=0.5))
    assert claim.estimate == share


@pytest.mark.parametrize(
    ("uniform", "verdict"),
    [
        ((0.80, 0.81, 0.80, 0.81), "supported"),
        ((0.85, 0.86, 0.85, 0.86), "supported"),
        ((0.78, 0.79, 0.78, 0.79), "not supported"),
        ((0.77, 0.84, 0.77, 0.84), "not supported"),
    ],
    ids=["equal", "better", "two points worse", "equal on average, but who knows"],
)
def test_uniform_attention_may_be_a_point_worse(uniform: tuple[float, ...], verdict: str) -> None:
    learned = (0.8, 0.812, 0.8, 0.812)
    each: Values = {"accuracy": learned, "uniform/accuracy": uniform}
    claim = claims.uniform_attention_is_as_good(of({"sst2": each}))
    assert claim.verdict == verdict
    gap = [a - b for a, b in zip(learned, uniform, strict=True)]
    assert (claim.estimate, claim.low, claim.high) == pytest.approx(mean_over_corpora(gap))
    worse: Values = {"accuracy": 0.9, "uniform/accuracy": [0.7] * 4}
    both = claims.uniform_attention_is_as_good(of({"sst2": each, "subj": worse}))
    assert both.verdict == ("in part" if verdict == "supported" else "not supported")


def test_the_lag_has_to_be_positive_in_every_corpus() -> None:
    ahead: Values = {"lag": (100.0, 120.0, 90.0, 130.0), "ktiw/gold": 0.5}
    unsure: Values = {"lag": (-50.0, 120.0, -90.0, 130.0)}
    claim = claims.ktiw_comes_first(of({"de-en": ahead}))
    assert claim.verdict == "supported"
    _, low, high = mean_over_corpora((100.0, 120.0, 90.0, 130.0))
    assert f"de-en 110 [{low:.0f}, {high:.0f}]" in claim.ours
    assert claim.interval.startswith("110 [")
    near = claims.ktiw_comes_first(of({"de-en": {"lag": (-20.0, 20.0, 0.0, -4.0)}}))
    assert near.interval.startswith("-1 [-27, 25]"), "no decimals where an end is far from 0"
    both = claims.ktiw_comes_first(of({"de-en": ahead, "cs-en": unsure}))
    assert both.verdict == "in part"
    assert ", cs-en (by Model 1) 28 [" in both.ours, "there is no dictionary to judge by"
    assert claims.ktiw_comes_first(of({"cs-en": unsure})).verdict == "not supported"
    behind: Values = {"lag": (-100.0, -120.0, -90.0, -130.0)}
    assert claims.ktiw_comes_first(of({"cs-en": behind})).verdict == "not supported"


def test_a_second_yardstick_can_save_a_part_of_the_claim() -> None:
    """Curves from 0 at step 0 to their last value at step 50; 0.3 is reached in proportion."""
    unsure = (-50.0, 120.0, -90.0, 130.0)
    ahead: Values = {"lag": unsure, "ktiw/gold": 0.6, "attention/gold": 0.4}
    claim = claims.ktiw_comes_first(of({"de-en": ahead}))
    assert claim.verdict == "in part"
    lags = [50 * 0.3 * (1 / (0.4 + d) - 1 / (0.6 + d)) for d in (-0.01, 0.0, 0.01, 0.0)]
    _, low, high = mean_over_corpora(lags)
    assert f"(at 0.3: {sum(lags) / 4:.0f} [{low:.0f}, {high:.0f}])" in claim.ours
    behind: Values = {"lag": unsure, "ktiw/gold": 0.4, "attention/gold": 0.6}
    assert claims.ktiw_comes_first(of({"de-en": behind})).verdict == "not supported"
    never: Values = {"lag": unsure, "ktiw/gold": 0.4, "attention/gold": 0.2}
    assert "at 0.3" not in claims.ktiw_comes_first(of({"de-en": never})).ours


def test_attention_has_to_be_spread_out_when_ktiw_has_half_risen() -> None:
    spread, less = {"spread/at-ktiw": 0.95}, {"spread/at-ktiw": 0.91}
    claim = claims.attention_is_uniform_early
    assert claim(of({"de-en": spread})).verdict == "supported"
    assert claim(of({"de-en": spread, "cs-en": less})).verdict == "in part"
    assert claim(of({"cs-en": less})).verdict == "not supported"
    assert claim(of({"de-en": spread, "cs-en": less})).estimate == pytest.approx(0.93)


def test_made_up_text_says_nothing_of_real_text() -> None:
    load = of({"de-en": {"lag": 80.0}, "toy-de-en": {"lag": -80.0}})
    claim = claims.ktiw_comes_first(load)
    assert claim.verdict == "supported"
    assert "toy" not in claim.ours
    assert claim.runs == 4
    with pytest.raises(ResultError, match=r"no record of real text in translation; .*translation$"):
        claims.ktiw_comes_first(of({"toy-de-en": {"lag": -80.0}}))


def uniform_translation(words: Sequence[float], **references: float) -> Loader:
    rows = [
        {"seed": seed, "step": step, "metric": "words", "value": value}
        for seed, last in enumerate(words, start=1)
        for step, value in ((0, 0.01), (2000, last))
    ]
    rows += [
        {"seed": seed, "step": 0, "metric": f"{name}/words", "value": value}
        for seed in range(1, len(words) + 1)
        for name, value in references.items()
    ]
    found = {"multi30k": make_record("multi30k", {}, rows, device="cpu", wall_seconds=0)}
    return lambda name, scale: found


@pytest.mark.parametrize(
    ("level", "verdict"), [(0.66, "supported"), (0.62, "in part"), (0.38, "not supported")]
)
def test_words_are_held_against_the_better_reference(level: float, verdict: str) -> None:
    words = (level, level + 0.02, level - 0.02)
    claim = claims.cooccurrence_teaches_words(uniform_translation(words, proxy=0.7, model1=0.76))
    assert claim.verdict == verdict
    assert (claim.estimate, claim.low, claim.high) == pytest.approx(mean_over_corpora(words))
    assert "proxy 0.70, Model 1 0.76" in claim.ours
    assert claim.runs == 3


def test_what_is_missing_is_said_with_its_command() -> None:
    again = "again with: python -m lessons_lib.lab run "
    with pytest.raises(ResultError, match=f"'model1/words' in multi30k.*{again}uniform_tr"):
        claims.cooccurrence_teaches_words(uniform_translation((0.6, 0.7), proxy=0.7))
    with pytest.raises(ResultError, match=f"no record multi30k .*{again}uniform_translation$"):
        claims.cooccurrence_teaches_words(lambda name, scale: {})
    with pytest.raises(ResultError, match=rf"'lag' of each run in the record de-en.*{again}transl"):
        claims.ktiw_comes_first(of({"de-en": {"spread": 0.5}}))
    with pytest.raises(ResultError, match=f"'majority' in sst2; there is .*{again}classification$"):
        claims.xi_is_high_in_classification(of({"sst2": passing(0.8)}))
    with pytest.raises(ResultError, match=f"holds no single runs; .*{again}translation$"):
        claims.ktiw_comes_first(of({"de-en": {}}))


def test_a_run_that_lacks_a_metric_is_named() -> None:
    load = of({"de-en": {"lag": (80.0, 90.0, 70.0), "spread": 0.5}})
    with pytest.raises(ResultError, match=r"'lag' .* found none of 2\.1; there is lag, spread"):
        claims.ktiw_comes_first(load)
    passed: Values = {"xi/passed": (1, 0, 1, 0), "xi": (0.8, 0.8), "xi*": 0.9}
    with pytest.raises(ResultError, match=r"'xi' .* found none of 2\.0; there is"):
        claims.xi_is_high_in_translation(of({"de-en": passed}))


def test_corpora_need_the_same_runs() -> None:
    with pytest.raises(ResultError, match=r"same runs .* found 1\.0, 1\.1, 2\.0 of cs-en and 1\.0"):
        claims.ktiw_comes_first(of({"de-en": {"lag": 80.0}, "cs-en": {"lag": (9.0, 8.0, 7.0)}}))

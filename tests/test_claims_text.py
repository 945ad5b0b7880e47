"""What the scoreboard says of real text follows from the records, and from nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean, pvariance

import pytest
from scipy import stats as scipy_stats
from test_claims_copying import made, numbers, t_interval

from lessons_lib.lab.records import Record, ResultError
from lessons_lib.scoreboard import claims
from lessons_lib.scoreboard.claim import NOT_MEASURED, OURS, Claim, RealText, Thresholds

CHANCE = 0.1
Values = Mapping[str, float | Sequence[float]]
SPREAD = (-0.0098, 0.0102, 0.01, -0.0104)
"""Two blocks of two runs whose means differ little: intervals over two blocks are wide."""


def record(arm: str, each: Values, block: Mapping[str, float]) -> Record:
    """Blocks of two runs: values of the last step, in the order 1.0, 1.1, 2.0, ...; first 0.

    A single value is spread a little over four runs, so that intervals have a width.
    """
    rows = [(1, 50, metric, value) for metric, value in block.items()]
    for metric, given in each.items():
        values = [given + d for d in SPREAD] if isinstance(given, int | float) else given
        for i, value in enumerate(values):
            run = f"{metric}#{i % 2}"
            rows += [(i // 2 + 1, 0, run, 0.0), (i // 2 + 1, 50, run, value)]
    return made(rows, arm)


def judged(row: str, corpora: Mapping[str, Values], t: Thresholds = OURS, **block: float) -> Claim:
    """A row on these corpora, measured in the authors' set-up; chance is 0.1 unless told."""
    known = {"chance": CHANCE, **block}
    found = {arm: record(arm, each, known) for arm, each in corpora.items()}
    return claims.rows()[row](lambda name, scale: found, t)


def mean_over_corpora(*corpora: Sequence[float]) -> tuple[float, float, float]:
    """Mean and t interval over blocks of two runs, whose variance is pooled over corpora."""
    blocks = [[sum(c[i : i + 2]) / 2 for i in range(0, len(c), 2)] for c in corpora]
    count, mean = sum(map(len, blocks)), fmean(v for of in blocks for v in of)
    degrees = count - len(blocks)
    squares = sum(len(of) * pvariance(of) for of in blocks)
    half = scipy_stats.t.ppf(0.975, degrees) * (squares / degrees / count) ** 0.5
    return mean, mean - half, mean + half


CLASSIFIER, TRANSLATOR = "uniform-classifier-foretells", "uniform-translator-foretells"


@pytest.mark.parametrize(
    ("row", "metric", "times"),
    [
        (CLASSIFIER, "A(alpha,uf)", 2),
        ("bag-foretells-uniform-translator", "A(uf,px)", 2),
        (f"{CLASSIFIER}-saliency", "A(delta,uf)", 2),
        ("attention-is-on-salient-words", "A(alpha,lr)", 1),
    ],
)
def test_an_agreement_is_held_against_chance_in_every_corpus(
    row: str, metric: str, times: int
) -> None:
    far, near = {metric: times * CHANCE + 0.03}, {metric: times * CHANCE - 0.03}
    # The mean is above the bound, and the interval reaches below it.
    unsure: Values = {metric: (0.0, 0.0, 0.5, 0.5)}
    for subj, verdict in ((far, "supported"), (near, "in part"), (unsure, "undecided")):
        claim = judged(row, {"sst2": far, "subj": subj})
        assert claim.verdict == verdict
        assert "position and twin: not measured here, so that the paper's" in claim.found.ours
    assert judged(row, {"sst2": near}).verdict == "not supported"


def test_an_agreement_is_averaged_over_corpora_and_then_over_runs() -> None:
    sst2, subj = (0.31, 0.42, 0.35, 0.33), (0.61, 0.52, 0.66, 0.71)
    corpora: Mapping[str, Values] = {
        "sst2": {"A(alpha,uf)": sst2, "A(alpha,twin)": 0.5},
        "subj": {"A(alpha,uf)": subj},
    }
    claim = judged(CLASSIFIER, corpora)
    estimate, low, high = mean_over_corpora(sst2, subj)
    assert numbers(claim) == pytest.approx((estimate, low, high))
    assert claim.interval == (
        f"{estimate:.3f} [{low:.3f}, {high:.3f}]: A(alpha,uf), mean of 2 corpora; 95%, over 4 "
        "blocks of runs"
    )
    assert claim.found.runs == 8
    assert "sst2 0.35 (chance 0.10), subj 0.62 (chance 0.10); position and twin" in claim.found.ours
    one_block = judged(CLASSIFIER, {"sst2": {"A(alpha,uf)": (0.31, 0.42)}})
    assert numbers(one_block) == pytest.approx(t_interval((0.31, 0.42)))
    assert one_block.interval.endswith("over 2 runs, which share comparisons")


def test_the_variance_between_blocks_is_pooled_over_corpora() -> None:
    """Means of blocks 1 and 3, 2 and 8 and, of three, 4, 6 and 5: 2 + 18 + 2 by 1 + 1 + 2."""
    blocks: dict[str, list[Sequence[float]]] = {
        "a": [(0, 2), (3, 3)], "b": [(2, 2), (9, 7)], "c": [(4, 4), (6,), (5,)]
    }  # fmt: skip
    found = {
        arm: made(
            (block, 50, f"v#{k}", value)
            for block, runs in enumerate(of, start=1)
            for k, value in enumerate(runs)
        )
        for arm, of in blocks.items()
    }
    text = RealText(lambda name, scale: found, "classification")
    pooled = text.intervals(text.each("v"))
    assert {c: v.n for c, v in pooled.items()} == {"a": 2, "b": 2, "c": 3}
    half = scipy_stats.t.ppf(0.975, 4) * (22 / 4) ** 0.5 / 3**0.5
    assert (pooled["c"].low, pooled["c"].high) == pytest.approx((4.75 - half, 4.75 + half))


def in_one_block(row: str, sides: Mapping[str, Values], **block: float) -> Claim:
    """A row on one block of runs for each side; ``news/world`` is a side of the corpus ``news``."""
    found = {}
    for side, each in sides.items():
        rows = [(1, 50, metric, value) for metric, value in {"chance": CHANCE, **block}.items()]
        for metric, values in each.items():
            assert not isinstance(values, int | float)
            rows += [(1, 50, f"{metric}#{k}", value) for k, value in enumerate(values)]
        found[side] = replace(made(rows, side), config={"corpus": side.partition("/")[0]})
    return claims.rows()[row](lambda name, scale: found, OURS)


def test_of_one_block_for_each_corpus_the_corpora_are_the_units() -> None:
    """SST-2 has 0.36 in the mean, the news 0.56 and 0.32 on its sides: 0.44. Twin: one run only."""
    foretold: Mapping[str, Sequence[float]] = {
        "sst2": (0.31, 0.42, 0.35), "news/world": (0.61, 0.51), "news/sports": (0.31, 0.33)
    }  # fmt: skip
    claim = in_one_block(
        CLASSIFIER,
        {
            side: {
                "A(alpha,uf)": of,
                "A(alpha,end)": [of[0] - 0.1] * len(of),
                "A(alpha,twin)": [0.5],
            }
            for side, of in foretold.items()
        },
    )
    assert numbers(claim) == pytest.approx(t_interval([0.36, 0.44]))
    assert claim.interval.endswith("A(alpha,uf), mean of 2 corpora; 95%, over 2 corpora")
    assert claim.found.runs == 7
    assert "news/sports 0.32 (chance 0.10, end 0.21, twin 0.50)" in claim.found.ours
    assert claim.reasons == (
        "the paper's: above 2 times chance, mean of corpora: open; "
        "stricter: above position, mean of corpora: open"
    )


@pytest.mark.parametrize(
    ("values", "verdict"),
    [((0.32, 0.33, 0.34), "supported"), ((0.1, 0.11, 0.12), "not supported"),
     ((0.1, 0.33, 0.34), "undecided")],
    ids=["all far above", "none", "one corpus is behind"],
)  # fmt: skip
def test_their_mean_is_the_one_criterion(values: Sequence[float], verdict: str) -> None:
    sides = {f"corpus {value}": {"A(alpha,uf)": [value, value + 0.01]} for value in values}
    found = in_one_block(CLASSIFIER, sides)
    assert found.verdict == verdict
    assert list(found.found.criteria) == ["the paper's: above 2 times chance, mean of corpora"]


def test_runs_without_a_twin_are_compared_with_the_mean_of_uniform_runs() -> None:
    accuracy, uniform = (0.9, 0.91, 0.8, 0.83), (0.88, 0.9)
    sides: dict[str, Values] = {
        "sst2": {"accuracy": accuracy, "uniform/accuracy": uniform},
        "imdb": {"accuracy": (0.7, 0.8), "uniform/accuracy": (0.71, 0.74)},
    }
    claim = in_one_block(AS_GOOD, sides)
    assert numbers(claim) == pytest.approx(t_interval([0.86 - 0.89, 0.75 - 0.725], 0.9))
    assert claim.found.runs == 10


def test_xi_is_averaged_over_the_runs_that_a_corpus_has() -> None:
    """Guessing gets 0.5, the best 0.9: 0.7 is half of the gain, never passed all of it."""
    sides: dict[str, Values] = {
        "sst2": {"xi/passed": (1, 1, 0), "xi": (0.7, 0.8), "xi*": (0.9, 0.9, 0.9)},
        "imdb": {"xi/passed": (1, 1), "xi": (0.6, 0.7), "xi*": (0.9, 0.9)},
    }
    claim = in_one_block(XI, sides, majority=0.5)
    assert numbers(claim) == pytest.approx(t_interval([(0.5 + 0.75 + 1) / 3, (0.25 + 0.5) / 2]))
    assert "sst2 0.75 (never passed in 1 of 3) of 0.90, imdb 0.65 of 0.90" in claim.found.ours


@pytest.mark.parametrize(("row", "rival"), [(CLASSIFIER, "first"), (TRANSLATOR, "diagonal")])
@pytest.mark.parametrize(("value", "position", "verdict"), [
    (0.6, 0.5, "supported"), (0.6, 0.7, "in part"), (0.15, 0.25, "not supported"),
], ids=["beats both", "chance only", "neither"])  # fmt: skip
def test_the_better_guess_by_position_is_the_stricter_rival(
    row: str, rival: str, value: float, position: float, verdict: str
) -> None:
    guess = [position + d for d in (0.02, -0.02, 0.01, -0.01)]
    each: Values = {
        **{"A(alpha,uf)": value, "A(alpha,last)": 0.01, f"A(alpha,{rival})": guess},
        **{"A(alpha,twin)": 0.8, "A(alpha,uf)/max": 0.9},
    }
    found = judged(row, {"de-en": each})
    assert found.verdict == verdict
    assert f"{rival} {position:.2f}, twin 0.80, maximum over checkpoints 0.90)" in found.found.ours
    assert NOT_MEASURED not in found.found.ours


def passing(xi: float) -> Values:
    return {"xi/passed": [1] * 4, "xi": xi, "xi*": [0.9] * 4}


XI = "xi-is-high-in-classification"


def test_xi_is_a_share_of_what_training_gains() -> None:
    """Guessing gets 0.5: 0.89 of 0.9 is 0.975 of the gain, 0.84 of 0.9 is 0.85 of it."""
    both = judged(XI, {"sst2": passing(0.89), "subj": passing(0.84)}, majority=0.5)
    assert both.verdict == "in part"
    assert both.to_dict()["estimate"] == pytest.approx((0.975 + 0.85) / 2, abs=0.01)
    assert "xi of xi*: sst2 0.89 of 0.90, subj 0.84 of 0.90" in both.found.ours
    low = {"sst2": passing(0.84)}
    assert judged(XI, low, Thresholds(high=0.8), majority=0.5).verdict == "supported"
    # In translation there is no class to guess: 0.84 is 0.93 of 0.9.
    found = judged("xi-is-high-in-translation", low)
    assert found.to_dict()["estimate"] == pytest.approx(0.84 / 0.9)


def never(best: float) -> Values:
    return {"xi/passed": [0] * 4, "xi*": [best] * 4}


SOME: Values = {"xi/passed": [1, 1, 0, 0], "xi": [0.6, 0.7], "xi*": [0.9] * 4}


@pytest.mark.parametrize(("each", "share", "told"), [
    (passing(0.3), 0, "0.30 of"), (passing(0.98), 1, "0.98 of"),
    (never(0.45), 0, "never passed of"), (SOME, (0.25 + 0.5 + 1 + 1) / 4, "never passed in 2 of 4"),
], ids=["below a guess", "above gold", "nothing learned", "some never"])  # fmt: skip
def test_the_share_of_xi_is_kept_between_nothing_and_all(
    each: Values, share: float, told: str
) -> None:
    found = judged(XI, {"sst2": each}, majority=0.5)
    assert found.to_dict()["estimate"] == pytest.approx(share)
    assert told in found.found.ours


AS_GOOD = "uniform-attention-is-as-good"


@pytest.mark.parametrize(("uniform", "verdict"), [
    ((0.899, 0.903, 0.901, 0.897), "supported"), ((0.85, 0.86, 0.852, 0.86), "not supported"),
    ((0.86, 0.92, 0.88, 0.93), "undecided"),
], ids=["the same", "worse", "too few runs to tell"])  # fmt: skip
def test_uniform_attention_may_be_worse_by_the_margin_at_most(
    uniform: tuple[float, ...], verdict: str
) -> None:
    gaps = [0.9 - (one + other) / 2 for one, other in (uniform[:2], uniform[2:])]
    claim = judged(AS_GOOD, {"sst2": {"accuracy": [0.9] * 4, "uniform/accuracy": uniform}})
    assert claim.verdict == verdict
    # Its one-sided 95% bound is the end of a two-sided interval of 90%.
    assert numbers(claim) == pytest.approx(t_interval(gaps, 0.9))


def test_the_best_looks_are_told_beside_the_last() -> None:
    curves = {"accuracy#0": (0.95, 0.9), "accuracy#1": (0.97, 0.9)}
    curves |= {f"uniform/accuracy#{k}": (0.91, 0.9) for k in range(2)}
    rows = [(1, 50 + 9 * i, m, v) for m, curve in curves.items() for i, v in enumerate(curve)]
    claim = claims.rows()[AS_GOOD](lambda name, scale: {"sst2": made(rows, "sst2")}, OURS)
    assert numbers(claim)[0] == 0
    assert "at the best look of each, a difference of 0.050 [" in claim.found.ours


FIRST, EARLY = "ktiw-comes-first", "attention-is-uniform-early"
WIDE, NARROW = {"spread/at-ktiw": 0.95}, {"spread/at-ktiw": 0.6}
AHEAD, BEHIND = {"lag": 80.0}, {"lag": -30.0}


@pytest.mark.parametrize(
    ("row", "corpora", "verdict", "told"),
    [
        (FIRST, {"de-en": AHEAD, "en-de": AHEAD}, "supported", "de-en (by Model 1) half-way up 80"),
        (FIRST, {"de-en": AHEAD, "en-de": BEHIND}, "in part", "half-way up -30"),
        (FIRST, {"de-en": AHEAD, "toy-de-en": BEHIND}, "supported", ""),
        (EARLY, {"de-en": WIDE, "cs-en": NARROW}, "in part", "cs-en (by Model 1) 0.60"),
    ],
)
def test_two_stages_have_to_show_in_every_corpus_of_real_text(
    row: str, corpora: Mapping[str, Values], verdict: str, told: str
) -> None:
    found = judged(row, corpora)
    assert found.verdict == verdict
    assert told in found.found.ours
    assert "toy" not in found.found.ours
    assert found.found.runs == 4 * sum(not name.startswith("toy") for name in corpora)


def test_a_level_is_a_second_yardstick() -> None:
    """Curves from 0 at step 0 to k and a at step 50 reach 0.3 at 15/k and 15/a."""
    values = [0.6 + d for d in SPREAD]
    each: Values = {"lag": -30.0, "ktiw/gold": [0.9] * 4, "attention/gold": values}
    found = judged(FIRST, {"de-en": each})
    mean, low, high = mean_over_corpora([15 / value - 15 / 0.9 for value in values])
    assert f"at 0.3 {mean:.0f} [{low:.0f}, {high:.0f}]" in found.found.ours
    assert found.reasons == "half-way up, de-en: refuted; at 0.3, de-en: holds"


@pytest.mark.parametrize(
    ("level", "verdict"),
    [(0.70, "supported"), (0.5, "in part"), (0.61, "undecided")],
)
def test_words_are_held_against_the_better_reference(level: float, verdict: str) -> None:
    words = (level, level + 0.02, level - 0.02)
    rows = [(1, 0, "words", 0.01), (1, 0, "proxy/words", 0.7), (1, 0, "model1/words", 0.76)]
    rows += [(seed, 2000, "words", last) for seed, last in enumerate(words, start=1)]
    found = {"multi30k": made(rows)}
    claim = claims.rows()["cooccurrence-teaches-words"](lambda name, scale: found)
    assert claim.verdict == verdict
    assert numbers(claim) == pytest.approx(t_interval(words))


def test_what_is_missing_in_a_record_is_said_with_its_command() -> None:
    lacking: Values = {"lag": (9.0, 8.0, 7.0), "s": 0.5}
    with pytest.raises(ResultError, match=r"none of 2\.1; there is lag, s; .*run transl"):
        judged(FIRST, {"de-en": lacking})


def test_words_drive_translation_as_registered() -> None:
    """Refuted where half of the runs show it or fewer, held where all do, and otherwise open.

    Attention rises in a line, to 1 at a step; so much of it is at wrong words at most.
    """
    arms = {"model1": ((40, 20, 100), (0.1, 0.1, 0.1)), "frequencies": ((80,) * 3, (0.1, 0.2, 0.1))}
    arms["shuffled"] = (100, 100, 100), (0.3, 0.1, 0.05)
    given = {}
    for arm, sides in arms.items():
        rows = []
        for seed, (step, wrong) in enumerate(zip(*sides, strict=True), start=1):
            for at in range(0, 101, 10):
                rows.append((seed, at, "attention/gold", min(at / step, 1.0)))
                rows.append((seed, at, "attention/wrong", wrong * at / 100))
        given[arm] = made(rows, arm)
    claim = claims.rows()["words-drive-translation"](lambda name, scale: given, OURS)
    assert list(claim.found.criteria.values()) == [None, False]
    # Half-way: at half of the steps of a straight line; 40 without words.
    assert numbers(claim) == pytest.approx(t_interval([20, 30, -10]))

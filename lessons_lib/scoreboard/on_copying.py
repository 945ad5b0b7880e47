"""Rows of the scoreboard on copying: interventions, the hard distribution, several heads."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from lessons_lib.lab import copying, experiments, results
from lessons_lib.scoreboard.claim import (
    NO_NUMBER,
    Claim,
    Loader,
    judge,
    make_claim,
    record_command,
    values,
)
from lessons_lib.stats import (
    Interval,
    proportion_interval,
    seed_interval,
    share_difference,
    time_difference,
)

AUTHORS_STEPS = 200
"""For so many steps the authors trained."""
TRACE = 0.01
"""Attention that finds the right word by less than this share above chance is at chance."""


def words_drive_attention(load: Loader = experiments.load) -> Claim:
    """Right words first, wrong words first, or as many steps without words; then permutations.

    Supported if attention is learned sooner after right words than after as many steps without
    words (log-rank test, p < 0.01), and if wrong words leave fewer runs aligned (Fisher's exact
    test, p < 0.05), in both ways of teaching them; in part if some of it holds.
    """
    ends = _ends(load, "ktiw_first", "lesson")
    soon, late = (_arm(ends, arm) for arm in ("pretrained-uniform", "pretrained-hard"))
    p = time_difference(soon["step"], soon["solved"], late["step"], late["solved"])
    right, wrong = ("pretrained-uniform", "from-dictionary"), ("pretrained-control", "scrambled")
    pairs = [(_aligned(ends, r), _aligned(ends, w)) for r, w in zip(right, wrong, strict=True)]
    told = [f"{_of(r)} with right words, {_of(w)} with wrong ones" for r, w in pairs]
    return make_claim(
        "words-drive-attention",
        5,
        "what drives attention",
        "Knowledge of words (KTIW) drives attention.",
        published=NO_NUMBER,
        ours="runs aligned, small models; taught with uniform attention: "
        + "; from a dictionary: ".join(told)
        + f"; median step {soon['step'].median():.0f} after right words, "
        f"{late['step'].median():.0f} after as many steps without words; log-rank p = {p:.0e}",
        value=_difference(ends, right, wrong),
        what="share of runs aligned after right words less that after wrong ones, mean of both "
        "ways of teaching",
        over="seeds",
        runs=_count(ends, right, wrong, ("pretrained-hard",)),
        verdict=judge(
            [p < 0.01 and soon["step"].median() < late["step"].median()]
            + [_more(r, w) for r, w in pairs]
        ),
        rule="supported if runs copy sooner after right words than after as many steps without "
        "words, log-rank p < 0.01, and more align than after wrong words, Fisher p < 0.05 in both "
        "ways of teaching; in part if some of it holds",
    )


def attention_needs_words(load: Loader = experiments.load) -> Claim:
    """Attention where all but the query is frozen: at random, or with right words.

    Supported if it finds the right word as often as chance where word knowledge is random (the
    interval ends less than ``TRACE`` above it, so that few runs are no support), though
    the same states allow more and right words lead to more; in part if more often than chance, but
    less than half as often as in these two.
    """
    records = load("asymmetry", "lesson")
    arms = "frozen-all-but-query", "frozen-aligned", "frozen-dictionary"
    remedy = record_command("asymmetry", "lesson")
    random, taught, right = (
        seed_interval(values(records[arm], "attention_accuracy", remedy)) for arm in arms
    )
    chance = 1 / records[arms[0]].config["length"]
    controls = min(taught.low, right.low)
    return make_claim(
        "attention-needs-words",
        5,
        "what drives attention",
        "Attention cannot be learned before knowledge of words (KTIW).",
        published=NO_NUMBER,
        ours=f"attention finds the right word, small models; word knowledge frozen at random: "
        f"{random}, chance {chance:.4g}; frozen and right: {right}; frozen at random, and the "
        f"query taught directly: {taught}",
        value=random,
        what="share of words at which attention is largest at the right one, word knowledge frozen "
        "at random",
        over="seeds",
        runs=sum(len(records[arm].seeds) for arm in arms),
        verdict=judge(
            [random.high < min(chance + TRACE, controls)],
            [2 * random.high < controls],
        ),
        rule=f"supported if the interval ends less than {TRACE:g} above chance, and "
        "below both controls; in part if it ends below half of both controls",
    )


def hard_is_slower(load: Loader = experiments.load) -> Claim:
    """Permutations of 40 words against 40 of 60 words: when can a run copy?

    Supported if the times differ (log-rank test, p < 0.01) and permutations take longer.
    """
    ends = _ends(load, "hard_distribution", "paper")
    hard, easy = _arm(ends, "hard"), _arm(ends, "easy")
    p = time_difference(hard["step"], hard["solved"], easy["step"], easy["solved"])
    by_then = _by(hard, AUTHORS_STEPS)
    return make_claim(
        "hard-is-slower",
        6,
        "hard distribution",
        "Copying is harder to learn from permutations of 40 words than from 40 of 60 words.",
        published="40 of 60: all runs copy by step 40; permutations: most between steps 60 and "
        "110, about a third are at 0.62 to 0.70 at step 190",
        ours=f"40 of 60: {_by(easy, AUTHORS_STEPS)} of {len(easy)} runs copy by step "
        f"{AUTHORS_STEPS}, the last at step {easy['step'].max()}; permutations: {by_then} of "
        f"{len(hard)} by step {AUTHORS_STEPS}; log-rank p = {p:.0e}",
        value=proportion_interval(by_then, len(hard)),
        what=f"share of runs on permutations that copy by step {AUTHORS_STEPS}",
        over="runs",
        runs=len(hard) + len(easy),
        verdict=judge([p < 0.01 and hard["step"].median() > easy["step"].median()]),
        rule="supported if permutations take longer, log-rank p < 0.01",
    )


def cannot_copy(load: Loader = experiments.load) -> Claim:
    """Whether runs that do not copy within the authors' 200 steps ever do.

    Supported if none of them copies by step 400, in part if some do, not supported if all do.
    """
    hard = _arm(_ends(load, "hard_distribution", "paper"), "hard")
    late = hard[~hard["solved"] | (hard["step"] > AUTHORS_STEPS)]
    later = int(late["solved"].sum())
    unaligned = int((late["branch"] == "elimination").sum())
    return make_claim(
        "cannot-copy",
        6,
        "hard distribution",
        "From permutations a model cannot even learn to copy.",
        published=f"about a third of the runs are at 0.62 to 0.70 at step 190, of {AUTHORS_STEPS}",
        ours=f"{len(late)} of {len(hard)} do not within {AUTHORS_STEPS} steps; {later} of these do "
        f"by step 400; {unaligned} of them never look at the right word",
        value=proportion_interval(int(hard["solved"].sum()), len(hard)),
        what="share of runs on permutations that copy by step 400",
        over="runs",
        runs=len(hard),
        verdict="not supported" if later == len(late) else "in part" if later else "supported",
        rule=f"of the runs that do not copy within {AUTHORS_STEPS} steps: supported if none does "
        "by step 400, in part if some do",
    )


def several_heads_align(load: Loader = experiments.load) -> Claim:
    """Share of runs aligned with one head and with eight, LSTM and GRU, lesson scale.

    Supported if it is larger with eight (Fisher's exact test, p < 0.05) in both cells, in part if
    in one of them.
    """
    ends = _ends(load, "heads", "lesson")
    told, held = [], []
    for cell in ("lstm", "gru"):
        one, eight = (_aligned(ends, f"{cell}-{count}") for count in (1, 8))
        held.append(_more(eight, one))
        told.append(f"{cell.upper()}: {_of(one)} with one head, {_of(eight)} with eight")
    arms = ("lstm-8", "gru-8"), ("lstm-1", "gru-1")
    return make_claim(
        "several-heads-align",
        7,
        "multi-head experiment",
        "Several heads overcome the hard distribution.",
        ours="runs aligned, small models; " + "; ".join(told),
        value=_difference(ends, *arms),
        what="share of runs aligned with eight heads less that with one, mean of both cells",
        over="seeds",
        runs=_count(ends, *arms),
        verdict=judge(held),
        rule="supported if more runs align with eight heads in both cells, Fisher p < 0.05; in "
        "part if in one",
    )


def heads_not_parameters(load: Loader = experiments.load) -> Claim:
    """Eight heads against one wide head with as many parameters, and against eight equal heads.

    Supported if more runs align with eight heads than with either control (Fisher's exact test,
    p < 0.05), in part if than with one of them.
    """
    ends = _ends(load, "head_controls", "lesson")
    eight, wide, tied = (_aligned(ends, arm) for arm in ("eight", "one-wide", "tied"))
    arms = ("eight",), ("one-wide", "tied")
    return make_claim(
        "heads-not-parameters",
        7,
        "multi-head experiment",
        "Several heads help by improving learning dynamics rather than expressiveness.",
        ours=f"runs aligned, small models; eight heads: {_of(eight)}; one head with as many "
        f"parameters: {_of(wide)}; eight equal heads: {_of(tied)}",
        value=_difference(ends, *arms),
        what="share of runs aligned with eight heads less that with the two controls, their mean",
        over="seeds",
        runs=_count(ends, *arms),
        verdict=judge([_more(eight, wide), _more(eight, tied)]),
        rule="supported if more runs align with eight heads than with either control, Fisher "
        "p < 0.05; in part if than with one",
    )


def bad_heads_fail(load: Loader = experiments.load) -> Claim:
    """Eight bad heads against seven bad ones and a good one: how often, and how soon?

    Supported if eight bad heads align less often (Fisher's exact test, p < 0.05), in part if they
    only take longer (log-rank test, p < 0.05).
    """
    ends = _ends(load, "head_mix", "lesson")
    bad, one_good = (_aligned(ends, arm) for arm in ("eight-bad", "seven-bad-one-good"))
    late, soon = (_arm(ends, arm) for arm in ("eight-bad", "seven-bad-one-good"))
    p = time_difference(late["step"], late["solved"], soon["step"], soon["solved"])
    slower = p < 0.05 and late["step"].median() > soon["step"].median()
    arms = ("seven-bad-one-good",), ("eight-bad",)
    return make_claim(
        "bad-heads-fail",
        7,
        "multi-head experiment",
        "Models of eight heads with bad starts fail; one head with a good start is enough.",
        ours=f"runs aligned, small models; eight bad heads: {_of(bad)}, median step "
        f"{late['step'].median():.0f}; seven bad and one good: {_of(one_good)}, median step "
        f"{soon['step'].median():.0f}; log-rank p = {p:.0e}",
        value=_difference(ends, *arms),
        what="share of runs aligned with one good head less that with none",
        over="seeds",
        runs=_count(ends, *arms),
        verdict=judge([_more(one_good, bad)], [slower]),
        rule="supported if eight bad heads align less often, Fisher p < 0.05; in part if they only "
        "take longer, log-rank p < 0.05",
    )


def _ends(load: Loader, name: str, scale: str) -> pd.DataFrame:
    """Branch and time of every run, index arm and seed."""
    return copying.outcomes(results.frame(load(name, scale)))


def _arm(ends: pd.DataFrame, arm: str) -> pd.DataFrame:
    return ends[ends.index.get_level_values("arm") == arm]


def _aligned(ends: pd.DataFrame, arm: str) -> tuple[int, int]:
    runs = _arm(ends, arm)
    return int((runs["branch"] == "aligned").sum()), len(runs)


def _of(share: tuple[int, int]) -> str:
    return f"{share[0]} of {share[1]}"


def _more(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether the first share is larger than the second, beyond chance."""
    return one[0] * other[1] > other[0] * one[1] and share_difference(*one, *other) < 0.05


def _difference(ends: pd.DataFrame, these: Sequence[str], those: Sequence[str]) -> Interval:
    """Share aligned in some arms less that in others; runs of one seed are compared."""
    aligned = (ends["branch"] == "aligned").astype(float).unstack("arm")
    return seed_interval(aligned[list(these)].mean(axis=1) - aligned[list(those)].mean(axis=1))


def _by(ends: pd.DataFrame, step: int) -> int:
    return int((ends["solved"] & (ends["step"] <= step)).sum())


def _count(ends: pd.DataFrame, *arms: Sequence[str]) -> int:
    return sum(len(_arm(ends, arm)) for group in arms for arm in group)

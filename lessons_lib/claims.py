"""Claims of the paper with what we measured beside them, ready for the scoreboard.

Everything but the wording is computed from the recorded results when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from lessons_lib import copying, experiments, results
from lessons_lib.stats import proportion_interval, share_difference, time_difference

Verdict = Literal["holds", "holds in part", "does not hold"]


@dataclass(frozen=True)
class Claim:
    """One claim, measured again.

    Attributes:
        chapter: where it is discussed.
        claim: what is claimed, in our words.
        published: the paper's value, or that it is not quoted here.
        measured: ours, with number of runs and interval.
        verdict: what follows.
        command: makes the record again on which it rests.
    """

    chapter: int
    claim: str
    published: str
    measured: str
    verdict: Verdict
    command: str


def _ends(name: str, scale: str) -> pd.DataFrame:
    """Branch and time of every run, index arm and seed."""
    return copying.outcomes(results.frame(experiments.load(name, scale)))


def _arm(ends: pd.DataFrame, arm: str) -> pd.DataFrame:
    return ends[ends.index.get_level_values("arm") == arm]


def _aligned(ends: pd.DataFrame, arm: str) -> tuple[int, int]:
    runs = _arm(ends, arm)
    return int((runs["branch"] == "aligned").sum()), len(runs)


def hard_is_slower() -> Claim:
    """Permutations of 40 words against 40 of 60 words, followed to 400 steps."""
    ends = _ends("hard_distribution", "paper")
    hard, easy = _arm(ends, "hard"), _arm(ends, "easy")
    p = time_difference(hard["step"], hard["solved"], easy["step"], easy["solved"])
    return Claim(
        6,
        "Copying is harder to learn from permutations of 40 words than from 40 of 60 words.",
        "40 of 60: all runs copy by step 40; permutations: most between steps 60 and 110, about a "
        "third are at 0.62 to 0.70 at step 190",
        f"40 of 60: all {len(easy)} runs copy by step {easy['step'].max()}; permutations: "
        f"{_by(hard, 200)} of {len(hard)} by step 200; log-rank p = {p:.0e}",
        "holds" if p < 0.01 else "does not hold",
        "python -m lessons_lib.experiments run hard_distribution",
    )


def cannot_copy() -> Claim:
    """Whether runs that do not copy within the authors' 200 steps ever do."""
    hard = _arm(_ends("hard_distribution", "paper"), "hard")
    late = hard[~hard["solved"] | (hard["step"] > 200)]
    later = int(late["solved"].sum())
    unaligned = int((late["branch"] == "elimination").sum())
    return Claim(
        6,
        "From permutations a model cannot even learn to copy.",
        "about a third of the runs do not within 200 steps; not followed further",
        f"{len(late)} of {len(hard)} do not within 200 steps; {later} of these do by step 400; "
        f"{unaligned} of them never look at the right word",
        "does not hold" if later == len(late) else "holds in part" if later else "holds",
        "python -m lessons_lib.experiments run hard_distribution",
    )


def several_heads_align() -> Claim:
    """Share of runs aligned with one head and with eight, LSTM and GRU, lesson scale."""
    ends = _ends("heads", "lesson")
    told, p_values = [], []
    for cell in ("lstm", "gru"):
        one, eight = (_aligned(ends, f"{cell}-{count}") for count in (1, 8))
        p_values.append(share_difference(*eight, *one) if eight[0] > one[0] else 1.0)
        told.append(
            f"{cell.upper()}: {proportion_interval(*one)} with one head, "
            f"{proportion_interval(*eight)} with eight"
        )
    significant = sum(p < 0.05 for p in p_values)
    return Claim(
        7,
        "Several heads overcome the hard distribution.",
        "see the paper, figure not quoted here",
        "share of runs aligned, small models; " + "; ".join(told),
        ("does not hold", "holds in part", "holds")[significant],
        "python -m lessons_lib.experiments run heads --scale lesson",
    )


def heads_not_parameters() -> Claim:
    """Eight heads against one wide head with as many parameters, and against eight equal heads."""
    ends = _ends("head_controls", "lesson")
    eight, wide, tied = (_aligned(ends, arm) for arm in ("eight", "one-wide", "tied"))
    more = [share_difference(*eight, *arm) < 0.05 and eight[0] > arm[0] for arm in (wide, tied)]
    return Claim(
        7,
        "Several heads help by improving learning dynamics rather than expressiveness.",
        "see the paper, figure not quoted here",
        f"share of runs aligned, small models; eight heads: {proportion_interval(*eight)}; one "
        f"head with as many parameters: {proportion_interval(*wide)}; eight equal heads: "
        f"{proportion_interval(*tied)}",
        ("does not hold", "holds in part", "holds")[sum(more)],
        "python -m lessons_lib.experiments run head_controls --scale lesson",
    )


def bad_heads_fail() -> Claim:
    """Eight bad heads against seven bad ones and a good one: how often, and how soon?"""
    ends = _ends("head_mix", "lesson")
    bad, one_good = (_aligned(ends, arm) for arm in ("eight-bad", "seven-bad-one-good"))
    late, soon = (_arm(ends, arm) for arm in ("eight-bad", "seven-bad-one-good"))
    fewer = share_difference(*bad, *one_good) < 0.05 and bad[0] < one_good[0]
    p = time_difference(late["step"], late["solved"], soon["step"], soon["solved"])
    slower = p < 0.05 and late["step"].median() > soon["step"].median()
    return Claim(
        7,
        "Models of eight heads with bad starts fail; one head with a good start is enough.",
        "see the paper, figure not quoted here",
        f"share of runs aligned, small models; eight bad heads: {proportion_interval(*bad)}, "
        f"median step {late['step'].median():.0f}; seven bad and one good: "
        f"{proportion_interval(*one_good)}, median step {soon['step'].median():.0f}; log-rank p = "
        f"{p:.0e}",
        "holds" if fewer else "holds in part" if slower else "does not hold",
        "python -m lessons_lib.experiments run head_mix --scale lesson",
    )


CLAIMS: tuple[Callable[[], Claim], ...] = (
    hard_is_slower,
    cannot_copy,
    several_heads_align,
    heads_not_parameters,
    bad_heads_fail,
)
"""In the order of the chapters."""


def scoreboard(chapter: int | None = None) -> pd.DataFrame:
    """A row for each claim, of one chapter or of all: the fields of ``Claim`` as columns.

    Raises:
        ResultError: a record is missing, damaged or stale; the message names the command.
    """
    found = [claim() for claim in CLAIMS]
    return pd.DataFrame([vars(c) for c in found if chapter in (None, c.chapter)])


def _by(ends: pd.DataFrame, step: int) -> int:
    return int((ends["solved"] & (ends["step"] <= step)).sum())

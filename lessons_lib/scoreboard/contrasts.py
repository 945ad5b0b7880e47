"""How many runs align or copy, and when, and whether one arm does so more often or later.

Intervals are closed forms, of 95% unless said otherwise, and assume independent runs.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import special
from scipy import stats as scipy_stats

from lessons_lib.lab import outcomes
from lessons_lib.lab.outcomes import time_difference
from lessons_lib.lab.records import Record, frame
from lessons_lib.scoreboard.claim import OURS, Thresholds, exceeds
from lessons_lib.stats import Interval, proportion_interval


class Share(NamedTuple):
    """Successes, and of how many; in words "3 of 5"."""

    successes: int
    n: int

    @classmethod
    def of(cls, flags: pd.Series[bool]) -> Share:
        """How many are true."""
        return cls(int(flags.sum()), len(flags))

    def __str__(self) -> str:
        return f"{self.successes} of {self.n}"


class Runs:
    """The runs of an experiment, by arm; ``ends`` are their ``outcomes.of_runs``."""

    def __init__(self, records: Mapping[str, Record], thresholds: Thresholds = OURS) -> None:
        self.records, self._t = records, thresholds
        self.ends = outcomes.of_runs(frame(records))

    def of(self, arm: str) -> pd.DataFrame:
        """The ends of an arm's runs."""
        return self.ends.loc[[arm]].droplevel(0)

    def aligned(self, arm: str) -> Share:
        """How many runs of an arm align."""
        return Share.of(self.of(arm)["branch"] == "aligned")

    def by(self, arm: str, step: int) -> Share:
        """How many runs of an arm copy by a step."""
        runs = self.of(arm)
        return Share.of(runs["solved"] & (runs["step"] <= step))

    def median(self, arm: str) -> str:
        """The median step at which runs of an arm copy, or end, in words."""
        return f"{self.of(arm)['step'].median():.0f}"

    def accuracy(self, arm: str, step: int, *, end: bool = False) -> pd.Series[float]:
        """Accuracy of each run at a step, or at its end before; ``end``: with the end symbol."""
        rows = self.records[arm].frame()
        rows = rows[rows["metric"] == ("accuracy_with_end" if end else "token_accuracy")]
        return rows[rows["step"] <= step].sort_values("step").groupby("seed")["value"].last()

    def contrast(self, these: Sequence[str], those: Sequence[str]) -> Interval:
        """Share aligned in some arms less that in others, each a mean over the arms."""
        return share_contrast(*([self.aligned(arm) for arm in side] for side in (these, those)))

    def more(self, one: str, other: str) -> bool | None:
        """Whether more runs of one arm align; refuted if surely less than ``Thresholds.shares``."""
        return exceeds(self.contrast([one], [other]), 0, self._t.shares)

    def later(self, late: str, soon: str) -> tuple[bool | None, str]:
        """Whether one arm takes longer to copy than another, and the numbers in words.

        Held by the log-rank test; refuted if the interval of the ratio of times lies below
        ``Thresholds.later``, and half of each arm copies: of fewer the ratio says too little.
        """
        groups = [self.of(arm)[column] for arm in (late, soon) for column in ("step", "solved")]
        copied = [group.mean() for group in groups[1::2]]
        if not any(copied):
            return None, "none of these copies"
        p, ratio = time_difference(*groups), time_ratio(*groups)
        held = True if p < self._t.p and ratio.estimate > 1 else None
        if ratio.high < self._t.later and min(copied) >= 0.5:
            held = False
        found = f"{ratio.estimate:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]"
        return held, f"{found} times as long, log-rank p = {p:.0e}"

    def power(self, arm: str) -> str:
        """How often a comparison of shares would come out which way, with the runs of an arm."""
        n, matters = len(self.of(arm)), self._t.shares
        held, _ = share_power(n, 0.9, 0.5, matters)
        _, refuted = share_power(n, 0.9, 0.9, matters)
        return (
            f"with {n} runs in each arm a comparison of shares holds with probability {held:.2f} "
            f"if they are 0.9 and 0.5, and is refuted with probability {refuted:.2f} if both are "
            "0.9"
        )


def combined(*parts: tuple[float, Interval]) -> Interval:
    """Weighted sum of independent estimates; distances to the ends add in squares (MOVER)."""
    estimate = down = up = 0.0
    for weight, value in parts:
        ends = weight * (value.low - value.estimate), weight * (value.high - value.estimate)
        estimate += weight * value.estimate
        down, up = down + min(ends) ** 2, up + max(ends) ** 2
    n, confidence = sum(value.n for _, value in parts), parts[0][1].confidence
    return Interval(estimate, estimate - down**0.5, estimate + up**0.5, n, confidence)


def share_contrast(
    these: Sequence[tuple[int, int]], those: Sequence[tuple[int, int]], *, confidence: float = 0.95
) -> Interval:
    """Mean of some shares less the mean of others, ``combined`` from Wilson's intervals.

    Newcombe 1998, method 10; for means of several shares Zou and Donner 2008.
    """
    parts = [(1 / len(these), s) for s in these] + [(-1 / len(those), s) for s in those]
    return combined(*((w, proportion_interval(*s, confidence=confidence)) for w, s in parts))


def share_power(n: int, share: float, other: float, matters: float) -> tuple[float, float]:
    """How often ``share_contrast`` of two groups of n tells that they differ, and that not.

    The probabilities, for these true shares, that the interval lies above 0 and reaches
    ``matters``, and that it ends below ``matters``: sums over two binomials.
    """
    bands = [proportion_interval(k, n) for k in range(n + 1)]
    p, low, high = np.array([(band.estimate, band.low, band.high) for band in bands]).T
    begins = p[:, None] - p - np.hypot((p - low)[:, None], high - p)
    ends = p[:, None] - p + np.hypot((high - p)[:, None], p - low)
    chance = np.outer(*(scipy_stats.binom.pmf(np.arange(n + 1), n, q) for q in (share, other)))
    small = ends < matters
    return float(chance[(begins > 0) & ~small].sum()), float(chance[small].sum())


def hazard_interval(waits: ArrayLike, happened: ArrayLike) -> Interval:
    """Share of those still waiting that reach an event in a unit of time: ``1 - exp(-rate)``.

    The constant rate is events over time waited, with the exact interval of a Poisson count
    (Garwood). ``waits``, not all 0, in units of time, and whether it happened then, ``(n,)``.
    """
    events = np.count_nonzero(happened)
    low = special.gammaincinv(events, 0.025) if events else 0.0
    counts = np.array([events, low, special.gammaincinv(events + 1, 0.975)])
    share, low, high = (1 - np.exp(-counts / np.sum(waits))).tolist()
    return Interval(share, low, high, np.size(waits))


def time_ratio(
    times: ArrayLike, happened: ArrayLike, other_times: ArrayLike, other_happened: ArrayLike
) -> Interval:
    """How many times as long one group of runs takes as another: ratio of geometric means.

    Times, of 1 or more, are cut where the first run that never reached the event was last looked
    at: up to there Welch's t interval of the mean logarithms holds. The more are cut, the farther
    from 1 is the true ratio. Arguments are those of ``outcomes.time_difference``; a ``ValueError``
    if a group has fewer than two runs.
    """
    one, other = np.asarray(times, dtype=float), np.asarray(other_times, dtype=float)
    if min(one.size, other.size) < 2:
        raise ValueError("expected at least two runs in each group for an interval, found fewer")
    reached = np.concatenate([happened, other_happened]).astype(bool)
    until = np.concatenate([one, other])[~reached].min(initial=np.inf)
    logs = [np.log(group.clip(1, until)) for group in (one, other)]
    low = high = ratio = logs[0].mean() - logs[1].mean()
    if any(np.ptp(group) > 0 for group in logs):
        with warnings.catch_warnings(action="ignore"):  # of a group of equal times
            low, high = scipy_stats.ttest_ind(*logs, equal_var=False).confidence_interval()
    return Interval(math.exp(ratio), math.exp(low), math.exp(high), reached.size)

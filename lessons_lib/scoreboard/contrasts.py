"""Intervals for what rules ask: is a share larger, a time longer, a rate low, a mean below?

Each is a closed form with its assumptions stated; ``share_power`` and ``mean_power`` say how often
it would tell. Intervals are 95% unless said otherwise.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats as scipy_stats

from lessons_lib.stats import Interval, proportion_interval, seed_interval

Share = tuple[int, int]
"""Successes, and of how many."""


def share_contrast(
    these: Sequence[Share], those: Sequence[Share], *, confidence: float = 0.95
) -> Interval:
    """Mean of some shares less the mean of others, with Newcombe's hybrid score interval.

    The distances from each share to the ends of its Wilson interval are added in squares (Newcombe
    1998, method 10; for means of several shares Zou and Donner 2008). Assumes independent runs.

    Raises:
        ValueError: a side has no share, or as ``proportion_interval``.
    """
    if not these or not those:
        raise ValueError("expected a share or more on each side, found none")
    estimate = down = up = 0.0
    for side, sign in ((these, 1), (those, -1)):
        for successes, n in side:
            band = proportion_interval(successes, n, confidence=confidence)
            estimate += sign * band.estimate / len(side)
            ends = (band.estimate - band.low, band.high - band.estimate)[::sign]
            down += (ends[0] / len(side)) ** 2
            up += (ends[1] / len(side)) ** 2
    runs = sum(n for _, n in (*these, *those))
    return Interval(estimate, estimate - down**0.5, estimate + up**0.5, runs, confidence)


@functools.cache
def share_power(n: int, share: float, other: float, matters: float) -> tuple[float, float]:
    """How often ``share_contrast`` of two groups of n tells that they differ, and that not.

    Returns:
        For the true shares ``share`` and ``other`` the probabilities that the interval lies above 0
        and reaches ``matters``, and that it ends below ``matters``: sums over two binomials.
    """
    bands = [proportion_interval(k, n) for k in range(n + 1)]
    p, low, high = np.array([(band.estimate, band.low, band.high) for band in bands]).T
    begins = p[:, None] - p - np.hypot((p - low)[:, None], high - p)
    ends = p[:, None] - p + np.hypot((high - p)[:, None], p - low)
    chance = np.outer(*(scipy_stats.binom.pmf(np.arange(n + 1), n, q) for q in (share, other)))
    small = ends < matters
    return float(chance[(begins > 0) & ~small].sum()), float(chance[small].sum())


def mean_power(value: Interval, distance: float) -> float:
    """Probability that a t interval like this one lies wholly on the right side of a bound.

    The power of a t test, from the noncentral t distribution: width, n and confidence of ``value``
    count, and ``distance`` is that from the true mean to the bound, above 0.
    """
    critical = scipy_stats.t.ppf(0.5 + value.confidence / 2, value.n - 1)
    error = (value.high - value.low) / 2 / critical
    return float(scipy_stats.nct.sf(critical, value.n - 1, distance / error)) if error else 1.0


def clustered_interval(
    values: ArrayLike, block: Sequence[object], *, confidence: float = 0.95
) -> Interval:
    """Mean over runs that come in blocks, with an interval that allows for likeness within them.

    The unit is the block: the standard error is the cluster-robust one, with Student's t for blocks
    less one. For blocks of one size that is the t interval over the blocks' means. Fewer than three
    blocks show too little of how blocks differ; there the unit is the run, and the interval is
    rather too narrow.

    Args:
        values: one finite number for each run.
        block: the block of each run.
        confidence: coverage aimed at; ``n`` of the interval counts the units.

    Raises:
        ValueError: not one block for each run, or as ``seed_interval``.
    """
    by_run = seed_interval(values, confidence=confidence)
    if len(block) != by_run.n:
        raise ValueError(f"expected a block for each of {by_run.n} runs, found {len(block)}")
    sums = dict.fromkeys(block, 0.0)
    for name, value in zip(block, np.asarray(values, dtype=float).ravel(), strict=True):
        sums[name] += float(value) - by_run.estimate
    if (n := len(sums)) < 3:
        return by_run
    error = (n / (n - 1) * sum(total**2 for total in sums.values())) ** 0.5 / by_run.n
    half = float(scipy_stats.t.ppf(0.5 + confidence / 2, n - 1)) * error
    mean = by_run.estimate
    return Interval(mean, mean - half, mean + half, n, confidence)


def hazard_interval(waits: ArrayLike, happened: ArrayLike) -> Interval:
    """Share of those still waiting that reach an event in a unit of time, at a constant rate.

    The rate is events over time waited, with the exact interval of a Poisson count (Garwood), and
    the share is ``1 - exp(-rate)``.

    Args:
        waits: how long each run waited, in units of time, ``(n,)``.
        happened: whether it reached the event then, ``(n,)``.

    Raises:
        ValueError: shapes differ, or nobody waited.
    """
    time, hit = np.asarray(waits, dtype=float), np.asarray(happened, dtype=bool)
    if time.shape != hit.shape or (time < 0).any() or not time.sum() > 0:
        raise ValueError(
            "expected a time of waiting and a truth value for each run, and some time in all, "
            f"found shapes {time.shape} and {hit.shape} with {time.sum():g}"
        )
    events = int(hit.sum())
    low = scipy_stats.chi2.ppf(0.025, 2 * events) / 2 if events else 0.0
    counts = events, low, scipy_stats.chi2.ppf(0.975, 2 * events + 2) / 2
    share, least, most = (1 - math.exp(-count / float(time.sum())) for count in counts)
    return Interval(share, least, most, time.size)


def time_ratio(
    times: ArrayLike, happened: ArrayLike, other_times: ArrayLike, other_happened: ArrayLike
) -> Interval:
    """How many times as long one group of runs takes as another: ratio of geometric means.

    Times are cut where the first run that never reached the event was last looked at; up to there
    nothing is censored, so Welch's t interval of the mean logarithms holds. Where many runs are
    cut, the true ratio is farther from 1.

    Args:
        times: when each run reached the event, or was last looked at without it, ``(n,)``; times
            below 1 count as 1.
        happened: whether it reached it, ``(n,)``.
        other_times: the same of the other group, ``(m,)``.
        other_happened: the same, ``(m,)``.

    Raises:
        ValueError: a group has fewer than two runs.
    """
    one, other = np.asarray(times, dtype=float), np.asarray(other_times, dtype=float)
    if min(one.size, other.size) < 2:
        raise ValueError("expected at least two runs in each group for an interval, found fewer")
    reached = np.concatenate([happened, other_happened]).astype(bool)
    until = np.concatenate([one, other])[~reached].min(initial=np.inf)
    logs = [np.log(group.clip(1, until)) for group in (one, other)]
    ratio, half = float(logs[0].mean() - logs[1].mean()), 0.0
    squares = [
        float(np.var(group, ddof=1)) / group.size if np.ptp(group) else 0.0 for group in logs
    ]
    if sum(squares) > 0:
        parts = (square**2 / (g.size - 1) for square, g in zip(squares, logs, strict=True))
        half = float(scipy_stats.t.ppf(0.975, sum(squares) ** 2 / sum(parts))) * sum(squares) ** 0.5
    found, least, most = (math.exp(ratio + side) for side in (0, -half, half))
    return Interval(found, least, most, reached.size)

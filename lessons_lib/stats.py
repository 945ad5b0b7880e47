"""Intervals and chance levels: thin functions over SciPy, each with its assumptions stated."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats as scipy_stats


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval.

    Attributes:
        estimate: the statistic on all the data.
        low: lower end.
        high: upper end.
        n: how many independent values it rests on.
        confidence: coverage aimed at, in (0, 1).
    """

    estimate: float
    low: float
    high: float
    n: int
    confidence: float = 0.95

    def __str__(self) -> str:
        return f"{self.estimate:.3f} [{self.low:.3f}, {self.high:.3f}] (n = {self.n})"


def mean_interval(
    values: ArrayLike, *, confidence: float = 0.95, seed: int = 0, resamples: int = 2000
) -> Interval:
    """Mean with a percentile bootstrap interval, for many independent values such as sentences.

    Resamples whole values, so pass one value for each independent unit: each sentence, never each
    token of a sentence. For a handful of runs use ``seed_interval``: the bootstrap of few values
    is too narrow.

    Args:
        values: finite numbers, one dimension.
        confidence: coverage aimed at.
        seed: of the resampling.
        resamples: bootstrap samples.

    Returns:
        The interval; with a single value, or equal ones, its ends are that value.

    Raises:
        ValueError: there is no value, or one is NaN or infinite.
    """
    data = _finite(values)
    mean = float(data.mean())
    if data.size == 1 or np.ptp(data) == 0:
        return Interval(mean, mean, mean, data.size, confidence)
    found = scipy_stats.bootstrap(
        (data,),
        np.mean,
        confidence_level=confidence,
        n_resamples=resamples,
        method="percentile",
        rng=np.random.default_rng(seed),
        batch=100,
    ).confidence_interval
    return Interval(mean, float(found.low), float(found.high), data.size, confidence)


def ratio_interval(
    numerators: ArrayLike,
    denominators: ArrayLike,
    *,
    confidence: float = 0.95,
    seed: int = 0,
    resamples: int = 2000,
) -> Interval:
    """Share over all tokens with a percentile bootstrap interval over sentences.

    The statistic is ``sum(numerators) / sum(denominators)``. Whole sentences are resampled, because
    the tokens of one sentence are not independent.

    Args:
        numerators: for each sentence how many of its tokens have the property, ``(sentences,)``.
        denominators: for each sentence how many tokens count; 0 is allowed.
        confidence: coverage aimed at.
        seed: of the resampling.
        resamples: bootstrap samples.

    Returns:
        The interval; ``n`` is the number of sentences that have a token.

    Raises:
        ValueError: shapes differ, no sentence has a token, or a value is NaN or infinite.
    """
    hits, tokens = _finite(numerators), _finite(denominators)
    if hits.shape != tokens.shape or not tokens.sum() > 0:
        raise ValueError(
            "expected one numerator and one denominator for each sentence and at least one token, "
            f"found {hits.shape} and {tokens.shape} with {tokens.sum():.0f} tokens"
        )
    hits, tokens = hits[tokens > 0], tokens[tokens > 0]
    rng = np.random.default_rng(seed)
    shares = np.empty(resamples)
    for k in range(resamples):  # one at a time: all at once would need gigabytes for a corpus
        drawn = rng.integers(hits.size, size=hits.size)
        shares[k] = hits[drawn].sum() / tokens[drawn].sum()
    tail = (1 - confidence) / 2
    low, high = np.quantile(shares, [tail, 1 - tail])
    return Interval(
        float(hits.sum() / tokens.sum()), float(low), float(high), hits.size, confidence
    )


def seed_interval(values: ArrayLike, *, confidence: float = 0.95) -> Interval:
    """Mean over training runs with Student's t interval, which allows for small n.

    Assumes that runs are independent and their values roughly normal; its ends may leave the range
    of the statistic.

    Args:
        values: one finite number for each run.
        confidence: coverage aimed at.

    Returns:
        The interval; with equal values its ends are that value.

    Raises:
        ValueError: there are fewer than two values, or one is NaN or infinite.
    """
    data = _finite(values)
    if data.size < 2:
        raise ValueError("expected at least two runs for an interval over runs, found one")
    mean = float(data.mean())
    if np.ptp(data) == 0:
        return Interval(mean, mean, mean, data.size, confidence)
    low, high = scipy_stats.t.interval(
        confidence, data.size - 1, loc=mean, scale=scipy_stats.sem(data)
    )
    return Interval(mean, float(low), float(high), data.size, confidence)


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    data = np.asarray(values, dtype=float).ravel()
    if data.size == 0:
        raise ValueError("expected at least one value to average, found none")
    if not np.isfinite(data).all():
        bad = int((~np.isfinite(data)).sum())
        raise ValueError(f"expected finite values, found {bad} NaN or infinite of {data.size}")
    return data


def proportion_interval(successes: int, n: int, *, confidence: float = 0.95) -> Interval:
    """Share of successes with the Wilson score interval, which stays in [0, 1].

    Args:
        successes: how many of the trials succeeded.
        n: independent trials, at least 1.
        confidence: coverage aimed at.

    Raises:
        ValueError: ``successes`` is not between 0 and ``n``, or ``n`` is below 1.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"expected 0 <= successes <= n and n >= 1, found {successes} of {n}")
    found = scipy_stats.binomtest(successes, n).proportion_ci(confidence, method="wilson")
    return Interval(successes / n, float(found.low), float(found.high), n, confidence)


@dataclass(frozen=True)
class Incidence:
    """Share of runs to which something has happened by each time, with a band.

    Attributes:
        times: ascending, ``(times,)``.
        share: in [0, 1], ``(times,)``.
        low: lower end of the pointwise interval.
        high: upper end.
        n: runs.
    """

    times: NDArray[np.float64]
    share: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    n: int


def cumulative_incidence(
    times: ArrayLike, happened: ArrayLike, until: float, *, confidence: float = 0.95
) -> Incidence:
    """Cumulative incidence of one kind of event where others compete, with Wilson intervals.

    For runs that are all followed until their end or until ``until``. Then nobody is lost, the
    Aalen-Johansen estimate is the plain share of runs with the event by time t, and runs that ended
    with another kind of event stay in the denominator: they will never have this one.

    Args:
        times: when each run ended, by whatever event, or was last looked at, ``(n,)``.
        happened: whether it ended with the event that is asked for, ``(n,)``.
        until: where the curve ends; events after it do not count.
        confidence: coverage aimed at, at each time by itself.

    Returns:
        The curve at 0, at each time of an event, and at ``until``.

    Raises:
        ValueError: shapes differ, there is no run, or a time is negative or NaN.
    """
    when, hit = np.asarray(times, dtype=float), np.asarray(happened, dtype=bool)
    if when.ndim != 1 or when.shape != hit.shape or not when.size or not (when >= 0).all():
        raise ValueError(
            "expected one time, 0 or later, and one truth value for each run, found shapes "
            f"{when.shape} and {hit.shape}"
        )
    at = np.unique(np.concatenate([[0.0], when[hit & (when <= until)], [until]]))
    bands = [
        proportion_interval(int((hit & (when <= t)).sum()), when.size, confidence=confidence)
        for t in at
    ]
    share, low, high = (
        np.array([getattr(band, end) for band in bands]) for end in ("estimate", "low", "high")
    )
    return Incidence(at, share, low, high, when.size)


def time_difference(
    times: ArrayLike, happened: ArrayLike, other_times: ArrayLike, other_happened: ArrayLike
) -> float:
    """p-value of the log-rank test: do two groups of runs reach the event equally soon?

    Args:
        times: when each run reached the event, or was last looked at without it, ``(n,)``.
        happened: whether it reached it, ``(n,)``.
        other_times: the same of the other group, ``(m,)``.
        other_happened: the same, ``(m,)``.

    Returns:
        Two-sided, in [0, 1].

    Raises:
        ValueError: no run of either group reached the event.
    """
    one, other = _censored(times, happened), _censored(other_times, other_happened)
    if all(group.num_censored() == len(group) for group in (one, other)):
        raise ValueError("expected an event in at least one run, found none; run them longer")
    with np.errstate(invalid="ignore"):
        p = float(scipy_stats.logrank(one, other).pvalue)
    return 1.0 if math.isnan(p) else p  # all events at one time: nothing tells the groups apart


def _censored(times: ArrayLike, happened: ArrayLike) -> scipy_stats.CensoredData:
    ends, reached = np.asarray(times, dtype=float), np.asarray(happened, dtype=bool)
    return scipy_stats.CensoredData(uncensored=ends[reached], right=ends[~reached])


def share_difference(successes: int, n: int, other_successes: int, other_n: int) -> float:
    """p-value of Fisher's exact test: is the probability of success the same in two groups?

    Raises:
        ValueError: successes are not between 0 and n, or n is below 1.
    """
    for k, size in ((successes, n), (other_successes, other_n)):
        if size < 1 or not 0 <= k <= size:
            raise ValueError(f"expected 0 <= successes <= n and n >= 1, found {k} of {size}")
    table = np.array([[successes, n - successes], [other_successes, other_n - other_successes]])
    return float(scipy_stats.fisher_exact(table).pvalue)

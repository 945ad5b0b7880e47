"""Intervals and chance levels: thin functions over SciPy, each with its assumptions stated.

Everywhere ``confidence`` is the coverage aimed at, in (0, 1), and ``seed`` that of the resampling.
A ``ValueError`` says that there are too few values, or that one is NaN or infinite.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats as scipy_stats

RESAMPLES = 2000
"""Bootstrap samples of an interval."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval."""

    estimate: float  #: the statistic on all the data
    low: float  #: lower end
    high: float  #: upper end
    n: int  #: how many independent values it rests on
    confidence: float = 0.95  #: coverage aimed at, in (0, 1)

    def __str__(self) -> str:
        runs = f"(n\u00a0=\u00a0{self.n})"  # in a narrow column no line ends within it
        return f"{self.estimate:.3f} [{self.low:.3f}, {self.high:.3f}] {runs}"


def mean_interval(values: ArrayLike, *, confidence: float = 0.95, seed: int = 0) -> Interval:
    """Mean with a percentile bootstrap interval, for many independent values such as sentences.

    Resamples whole values ``(n,)``, so pass one for each independent unit: each sentence, never
    each token of a sentence. For a handful of runs use ``seed_interval``: the bootstrap of few
    values is too narrow. With a single value, or equal ones, its ends are that value.
    """
    ones = np.ones(np.size(values))
    return ratio_interval(values, ones, confidence=confidence, seed=seed)


def ratio_interval(
    numerators: ArrayLike, denominators: ArrayLike, *, confidence: float = 0.95, seed: int = 0
) -> Interval:
    """Share over all tokens with a percentile bootstrap interval over sentences.

    The statistic is ``sum(numerators) / sum(denominators)``, for each sentence how many of its
    tokens have the property, and how many count (0 is allowed), both ``(sentences,)``; ``n`` is the
    number of sentences that have a token. Whole sentences are resampled, because the tokens of one
    sentence are not independent.
    """
    hits, tokens = _finite(numerators), _finite(denominators)
    if hits.shape != tokens.shape or not tokens.sum() > 0:
        raise ValueError(
            "expected one numerator and one denominator for each sentence and at least one token, "
            f"found {hits.shape} and {tokens.shape} with {tokens.sum():.0f} tokens"
        )
    hits, tokens = hits[tokens > 0], tokens[tokens > 0]
    rng = np.random.default_rng(seed)
    shares = np.empty(RESAMPLES)
    for k in range(RESAMPLES):  # one at a time: all at once would need gigabytes for a corpus
        drawn = rng.integers(hits.size, size=hits.size)
        shares[k] = hits[drawn].sum() / tokens[drawn].sum()
    tail = (1 - confidence) / 2
    low, high = np.quantile(shares, [tail, 1 - tail])
    share = float(hits.sum() / tokens.sum())
    return Interval(share, float(low), float(high), hits.size, confidence)


def seed_interval(values: ArrayLike, *, confidence: float = 0.95) -> Interval:
    """Mean over training runs with Student's t interval, which allows for small n (two or more).

    Assumes that runs are independent and their values ``(runs,)`` roughly normal; its ends may
    leave the range of the statistic. With equal values they are that value.
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
    """Share of successes in n independent trials (at least 1), with Wilson's interval in [0, 1]."""
    found = scipy_stats.binomtest(successes, n).proportion_ci(confidence, method="wilson")
    return Interval(successes / n, float(found.low), float(found.high), n, confidence)


def share_difference(successes: int, n: int, other_successes: int, other_n: int) -> float:
    """p-value of Fisher's exact test: is the probability of success the same in two groups?"""
    table = np.array([[successes, n - successes], [other_successes, other_n - other_successes]])
    return float(scipy_stats.fisher_exact(table).pvalue)

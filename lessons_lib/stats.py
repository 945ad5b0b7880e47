"""Intervals and chance levels: thin functions over SciPy, each with its assumptions stated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import stats as scipy_stats
from torch import Tensor


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


def top_count(lengths: Tensor, top: float) -> Tensor:
    """How many positions count as the top share: ``ceil(top * L)``, int64, at least 1."""
    # Rounded first: in floating point 0.07 * 100 is 7.000000000000001, whose ceiling is 8.
    exact = (lengths.double() * top).mul(1e9).round().div(1e9)
    return exact.ceil().long().clamp(min=1)


def chance_agreement(lengths: Tensor | Sequence[int], top: float = 0.05) -> float:
    """Expected agreement with a shuffled candidate without ties: the mean of ``ceil(top L)/L``.

    Args:
        lengths: source length L of each output token, at least 1.
        top: share of positions that count as the top, in (0, 1].

    Returns:
        A number in (0, 1]; ``1/L`` on sentences of up to 20 words when ``top`` is 5%.

    Raises:
        ValueError: there is no length, or one is below 1.
    """
    sizes = torch.as_tensor(lengths)
    if sizes.numel() == 0 or int(sizes.min()) < 1:
        raise ValueError("expected source lengths of at least 1 word, found none or a smaller one")
    if not 0 < top <= 1:
        raise ValueError(f"expected top in (0, 1], found {top}")
    return float((top_count(sizes, top) / sizes.double()).mean())


def shuffled(candidate: Tensor, mask: Tensor, seed: int) -> Tensor:
    """The candidate with each row's values permuted among the positions that count.

    Args:
        candidate: any values, ``(..., src)``.
        mask: True where a position counts, broadcastable to ``candidate``.
        seed: of the permutations, one for each row.

    Returns:
        A tensor of the same shape; values outside the mask are where they were.
    """
    rng = torch.Generator().manual_seed(seed)
    mask = mask.expand_as(candidate)
    keys = torch.rand(candidate.shape, generator=rng)
    # Sorting random keys permutes; sorting positions the same way puts masked ones last in order.
    away = torch.arange(candidate.shape[-1]) + 2.0
    order = torch.where(mask.cpu(), keys, away).argsort(dim=-1).to(candidate.device)
    slots = torch.where(mask.cpu(), away - 10.0 - candidate.shape[-1], away)
    into = slots.argsort(dim=-1).to(candidate.device)
    return torch.empty_like(candidate).scatter(-1, into, candidate.gather(-1, order))

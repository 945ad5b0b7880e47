"""How many runs, and how soon: shares over time, their picture, and tests of their difference."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray
from scipy import stats as scipy_stats

from lessons_lib.config import refuse
from lessons_lib.plots import ROLES
from lessons_lib.stats import proportion_interval


@dataclass(frozen=True)
class Incidence:
    """Share of n runs to which something has happened by each time, with a pointwise interval."""

    times: NDArray[np.float64]  #: ascending
    share: NDArray[np.float64]  #: in [0, 1], and so are ``low`` and ``high``
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    n: int


def cumulative_incidence(times: ArrayLike, happened: ArrayLike, until: float) -> Incidence:
    """Cumulative incidence of one kind of event where others compete, with Wilson intervals.

    All runs are followed until their end or until ``until``. So the Aalen-Johansen estimate is the
    plain share of runs with the event by time t, those with another event in the denominator.
    ``times``, ``(n,)``: when each run ended, by whatever event, or was last looked at;
    ``happened``, ``(n,)``: whether it ended with the event that is asked for.

    Raises:
        ValueError: shapes differ, there is no run, or a time is negative or NaN.
    """
    when, hit = np.asarray(times, dtype=float), np.asarray(happened, dtype=bool)
    found = f"one truth value for each run, found shapes {when.shape} and {hit.shape}"
    fits = when.ndim == 1 and when.shape == hit.shape and when.size > 0
    refuse({f"one time, 0 or later, and {found}": not (fits and (when >= 0).all())})
    at = np.unique(np.concatenate([[0.0], when[hit & (when <= until)], [until]]))
    bands = [proportion_interval(int((hit & (when <= t)).sum()), when.size) for t in at]
    share, low, high = np.array([(band.estimate, band.low, band.high) for band in bands]).T
    return Incidence(at, share, low, high, when.size)


def draw(curve: Incidence, *, label: str, color: str, ax: Axes | None = None) -> Axes:
    """A rising step curve of the share of runs, with its confidence band.

    The label gets ``(n = ...)``; the colour may be a key of ``plots.ROLES``.
    """
    ax = plt.figure().add_subplot() if ax is None else ax
    shade = ROLES.get(color, color)
    ax.step(curve.times, curve.share, where="post", color=shade, label=f"{label} (n = {curve.n})")
    ax.fill_between(
        curve.times, curve.low, curve.high, step="post", color=shade, alpha=0.15, linewidth=0
    )
    ax.set_xlabel("training step")
    ax.set_ylim(0, 1.02)
    return ax


def time_difference(
    times: ArrayLike,
    happened: ArrayLike,
    other_times: ArrayLike,
    other_happened: ArrayLike,
    *,
    alternative: Literal["two-sided", "less", "greater"] = "two-sided",
) -> float:
    """p-value of the log-rank test: do two groups of runs reach the event equally soon?

    Times and events are as in ``cumulative_incidence``, ``(n,)`` of one group and ``(m,)`` of the
    other. The alternative is of the first group's hazard: where it is "less", that group is later.
    A ``ValueError`` if no run of either group reached the event.
    """
    none = not (np.any(happened) or np.any(other_happened))
    refuse({"an event in at least one run, found none; run them longer": none})
    one, other = (
        scipy_stats.CensoredData.right_censored(np.asarray(ends), ~np.asarray(reached, dtype=bool))
        for ends, reached in ((times, happened), (other_times, other_happened))
    )
    with np.errstate(invalid="ignore"):
        p = float(scipy_stats.logrank(one, other, alternative=alternative).pvalue)
    return 1.0 if math.isnan(p) else p  # all events at one time: nothing tells the groups apart

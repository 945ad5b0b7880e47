"""What became of runs, read off their rows: which branch, how many, how soon, and tests of that.

Nothing here loads a model. An outcome of a copying run is a *time*, the step at which token
accuracy reaches 0.95, and a *branch*, where the model looks then: at the word that it writes
(aligned), or at all words but that one (elimination).
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from numpy.typing import ArrayLike
from scipy import stats as scipy_stats

from lessons_lib.config import refuse
from lessons_lib.plots import ROLES
from lessons_lib.stats import proportion_interval

BRANCHES = "aligned", "elimination", "undecided"
COPIES = 0.95
"""Token accuracy from which on a run counts as copying; where runs stop by default."""


def of_runs(frame: pd.DataFrame) -> pd.DataFrame:
    """What became of each run: its branch, and when it could copy.

    The frame has tidy rows: seed, step, metric (of ``measure_copier``), value, and arm, if any.

    Returns:
        For each run (index arm and seed, or seed) ``step``, the first at which token accuracy is
        ``COPIES``, or the last; ``solved``, whether it is; and ``branch`` there: "aligned" if
        attention (of some head) is largest at the right position for more than half of the words;
        "elimination" if it is for fewer words than the share of attention that the position had
        before training, and that share has fallen; else "undecided".
    """
    keys = [key for key in ("arm", "seed") if key in frame.columns]
    needed, metrics = ["token_accuracy", "attention_accuracy", "right_mass"], set(frame["metric"])
    missing = sorted(set(needed) - metrics)
    refuse({f"the metrics {', '.join(needed)}, found none of {missing}": bool(missing)})
    by_head = sorted(name for name in metrics if name.endswith("/attention_accuracy"))
    of_these = frame[frame["metric"].isin([*needed, *by_head])]
    wide = of_these.pivot(index=[*keys, "step"], columns="metric", values="value")
    wide = wide.reset_index("step")  # sorted: by run, then by step
    runs, copies = wide.groupby(level=keys), wide["token_accuracy"] >= COPIES
    last = runs.tail(1)
    then = pd.concat([wide[copies], last]).groupby(level=keys).head(1).reindex(last.index)
    seen = then[["attention_accuracy", *by_head]].max(axis=1)
    left = then[["attention_accuracy", "right_mass"]].max(axis=1) < runs["right_mass"].first()
    branch = np.select([seen > 0.5, left], BRANCHES[:2], BRANCHES[2])
    solved = then["token_accuracy"] >= COPIES
    return pd.DataFrame({"step": then["step"].astype(int), "solved": solved, "branch": branch})


def classify_starts(frame: pd.DataFrame) -> pd.Series[str]:
    """For each seed (a head) whether its start is ``"good"``, ``"bad"`` or ``"mixed"``.

    Good: aligned in every arm (order of the data), bad: in none; rows are tidy, of single heads.
    A ``ValueError`` if a seed has not been run in every arm.
    """
    aligned = (of_runs(frame)["branch"] == "aligned").unstack("arm")
    partly = aligned.index[aligned.isna().any(axis=1)].tolist()
    refuse({f"each seed in every arm, found {partly} in some arms only": bool(partly)})
    kinds = np.select([aligned.all(axis=1), ~aligned.any(axis=1)], ["good", "bad"], "mixed")
    return pd.Series(kinds, index=aligned.index, name="start")


def by_run(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of single runs of blocks: run (``"1.0"``: block 1, run 0), step, metric, value.

    From a ``Record.frame()``. Metrics of a whole block are left out, and ``#0`` cut off.
    """
    name, mark, k = frame["metric"].str.rpartition("#").to_numpy().T
    runs = frame["seed"].astype(str) + "." + k
    found: pd.DataFrame = frame.assign(run=runs, metric=name)[mark == "#"]
    return found.reset_index(drop=True)[["run", "step", "metric", "value"]]


def step_at(rows: pd.DataFrame, metric: str, level: float | pd.Series[float]) -> pd.Series[float]:
    """The training step at which each run's curve first reaches a level, interpolated; NaN: never.

    Rows are those of ``by_run``; a level may be given for each run. A ``ValueError`` if no run has
    the metric.
    """
    chosen = rows[rows["metric"] == metric]
    known = ", ".join(sorted(set(rows["metric"])))
    refuse({f"the metric {metric!r}, found {known}": chosen.empty})
    curves = chosen.pivot(index="step", columns="run", values="value").cummax()
    levels = pd.Series(level, index=curves.columns)
    reached: pd.Series[float] = curves.apply(
        lambda curve: np.interp(levels[curve.name], curve, curve.index, right=np.nan)
    )
    return reached


def cumulative_incidence(times: ArrayLike, happened: ArrayLike, until: float) -> pd.DataFrame:
    """Cumulative incidence of one kind of event where others compete, with Wilson intervals.

    All runs are followed until their end or until ``until``. So the Aalen-Johansen estimate is the
    plain share of runs with the event by time t, those with another event in the denominator.
    ``times``, ``(n,)``: when each run ended, by whatever event, or was last looked at;
    ``happened``, ``(n,)``: whether it ended with the event that is asked for. Columns, by ascending
    time: ``share``, ``low`` and ``high`` (pointwise), in [0, 1], and ``n``.

    A ``ValueError`` if shapes differ, there is no run, or a time is negative or NaN.
    """
    when, hit = np.asarray(times, dtype=float), np.asarray(happened, dtype=bool)
    found = f"one truth value for each run, found shapes {when.shape} and {hit.shape}"
    fits = when.ndim == 1 and when.shape == hit.shape and when.size > 0
    refuse({f"one time, 0 or later, and {found}": not (fits and (when >= 0).all())})
    at = np.unique(np.concatenate([[0.0], when[hit & (when <= until)], [until]]))
    bands = [proportion_interval(int((hit & (when <= t)).sum()), when.size) for t in at]
    return pd.DataFrame(bands, at).rename(columns={"estimate": "share"})


def draw(curve: pd.DataFrame, *, label: str, color: str, ax: Axes | None = None) -> Axes:
    """A rising step curve of the share of runs, with its band; the colour is a key of ``ROLES``."""
    ax = plt.figure().add_subplot() if ax is None else ax
    shade, label = ROLES[color], f"{label} (n = {curve.n.iloc[0]})"
    ax.step(curve.index, curve.share, where="post", color=shade, label=label)
    ax.fill_between(
        curve.index, curve.low, curve.high, step="post", color=shade, alpha=0.15, linewidth=0
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

"""How many runs of an experiment align or copy, and when, as the scoreboard counts them.

Shares of runs are compared by the interval of their difference: held if it lies above 0, refuted if
it lies below ``Thresholds.shares``. Times are compared by two tests: held if the log-rank test
tells them apart, refuted if the interval of the ratio of times lies below ``Thresholds.later``; the
log-rank test alone could never refute. Where less than half of a group's runs copy, the ratio says
too little of times to refute anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from lessons_lib.lab import copying
from lessons_lib.lab.incidence import time_difference
from lessons_lib.lab.records import NotMeasuredError, Record, ResultError, frame
from lessons_lib.scoreboard.claim import Thresholds, exceeds
from lessons_lib.scoreboard.contrasts import Share, share_contrast, share_power, time_ratio
from lessons_lib.stats import Interval, proportion_interval


class Runs:
    """The runs of an experiment.

    Attributes:
        ends: branch and time of every run, index arm and seed, as of ``copying.outcomes``.
    """

    def __init__(self, records: Mapping[str, Record]) -> None:
        self._records = records
        self.ends = copying.outcomes(frame(records))

    def of(self, arm: str) -> pd.DataFrame:
        """The ends of an arm's runs.

        Raises:
            NotMeasuredError: there is no such arm.
        """
        if arm not in self._records:
            raise NotMeasuredError(f"no runs of {arm}; there is {', '.join(self._records)}")
        return self.ends.loc[[arm]].droplevel(0)

    def count(self, *arms: str) -> int:
        """How many runs some arms have together."""
        return sum(len(self.of(arm)) for arm in arms)

    def aligned(self, arm: str) -> Share:
        """How many runs of an arm align, and of how many."""
        return int((self.of(arm)["branch"] == "aligned").sum()), self.count(arm)

    def share(self, arm: str) -> Interval:
        """Share of an arm's runs that align, with Wilson's interval."""
        return proportion_interval(*self.aligned(arm))

    def by(self, arm: str, step: int) -> Share:
        """How many runs of an arm copy by a step, and of how many."""
        runs = self.of(arm)
        return int((runs["solved"] & (runs["step"] <= step)).sum()), len(runs)

    def accuracy(self, arm: str, step: int) -> pd.Series[float]:
        """Word accuracy of each run at a step; of a run that copied before, when it did.

        Raises:
            ResultError: the record keeps the ends of its runs only.
        """
        rows = self._records[arm].frame().query("metric == 'token_accuracy'")
        last = rows.groupby("seed")["step"].max()
        lacking = set(last.index[last > step]) - set(rows.loc[rows["step"] == step, "seed"])
        if lacking:
            raise ResultError(
                f"expected accuracy at step {step} in the record {arm}, found none of "
                f"{len(lacking)} runs"
            )
        return rows[rows["step"] <= step].sort_values("step").groupby("seed")["value"].last()

    def contrast(self, these: Sequence[str], those: Sequence[str]) -> Interval:
        """Share aligned in some arms less that in others, each a mean over the arms."""
        return share_contrast(*([self.aligned(arm) for arm in side] for side in (these, those)))

    def more(self, one: str, other: str, t: Thresholds) -> bool | None:
        """Whether more runs of one arm align than of another."""
        return exceeds(self.contrast([one], [other]), 0, t.shares)

    def later(self, late: str, soon: str, t: Thresholds) -> tuple[bool | None, str]:
        """Whether one arm takes longer to copy than another, and the numbers in words."""
        groups = [self.of(arm)[column] for arm in (late, soon) for column in ("step", "solved")]
        copied = [group.mean() for group in groups[1::2]]
        if not any(copied):
            return None, "none of these copies"
        p, ratio = time_difference(*groups), time_ratio(*groups)
        told = (
            f"{ratio.estimate:.2f} [{ratio.low:.2f}, {ratio.high:.2f}] times as long, log-rank "
            f"p = {p:.0e}"
        )
        if ratio.high < t.later and min(copied) >= 0.5:
            return False, told
        return (p < t.p and ratio.estimate > 1) or None, told

    def told(self, arm: str) -> str:
        """How many runs of an arm align, in words."""
        return of(self.aligned(arm))

    def power(self, arm: str, t: Thresholds) -> str:
        """How often a comparison of shares would come out which way, with the runs of an arm."""
        n = self.count(arm)
        held, refuted = (
            share_power(n, 0.9, other, t.shares)[k] for k, other in enumerate((0.5, 0.9))
        )
        return (
            f"with {n} runs in each arm a comparison of shares holds with probability {held:.2f} "
            f"if they are 0.9 and 0.5, and is refuted with probability {refuted:.2f} if both are "
            "0.9"
        )


def of(share: Share) -> str:
    """A share in words: "3 of 5"."""
    return f"{share[0]} of {share[1]}"

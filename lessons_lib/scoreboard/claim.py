"""What a row of the scoreboard consists of, and what its rows are computed with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from lessons_lib.lab import blocks, experiments
from lessons_lib.lab.results import Record, ResultError
from lessons_lib.stats import Interval

Verdict = Literal["supported", "in part", "not supported"]
Loader = Callable[[str, str], Mapping[str, Record]]
"""Records of an experiment at a scale, arm by arm: ``experiments.load``, or one that measures."""
NOT_QUOTED = "see the paper, table not quoted here"
"""What stands in place of a number of the paper that we do not have."""
NO_NUMBER = "the abstract says so, without a number"


@dataclass(frozen=True)
class Claim:
    """One claim of the paper, measured again: a row of the scoreboard.

    Attributes:
        row: its identifier, for the command.
        chapter: where it is discussed.
        part: the part of the paper.
        claim: what is claimed, in our words.
        published: the paper's value, or that it is not quoted here.
        ours: our values in words.
        interval: the main value with its 95% interval: of what, and over what.
        runs: training runs on which the row rests, those of all arms together.
        verdict: "supported", "in part" or "not supported".
        rule: how the verdict follows from the numbers.
        command: measures the row again from scratch.
        estimate: the main value.
        low: lower end of its interval.
        high: upper end of its interval.
    """

    row: str
    chapter: int
    part: str
    claim: str
    published: str
    ours: str
    interval: str
    runs: int
    verdict: Verdict
    rule: str
    command: str
    estimate: float
    low: float
    high: float


def make_claim(
    row: str,
    chapter: int,
    part: str,
    claim: str,
    *,
    published: str = NOT_QUOTED,
    ours: str,
    value: Interval,
    what: str,
    over: str,
    runs: int,
    verdict: Verdict,
    rule: str,
) -> Claim:
    """A row; its interval in words and its command follow from the rest.

    Args:
        row: as in ``Claim``.
        chapter: as in ``Claim``.
        part: as in ``Claim``.
        claim: as in ``Claim``.
        published: as in ``Claim``.
        ours: as in ``Claim``.
        value: the main value with its interval.
        what: it is the value of.
        over: the independent units of the interval, in plural: "runs".
        runs: as in ``Claim``.
        verdict: as in ``Claim``.
        rule: as in ``Claim``.
    """
    largest = max(abs(value.estimate), abs(value.low), abs(value.high))
    digits = 3 if largest < 10 else 0  # shares and their differences, or numbers of steps
    shown = f"{value.estimate:.{digits}f} [{value.low:.{digits}f}, {value.high:.{digits}f}]"
    return Claim(
        row=row,
        chapter=chapter,
        part=part,
        claim=claim,
        published=published,
        ours=ours,
        interval=f"{shown}: {what}; {value.confidence:.0%}, over {value.n} {over}",
        runs=runs,
        verdict=verdict,
        rule=rule,
        command=f"python -m lessons_lib.scoreboard again {row}",
        estimate=value.estimate,
        low=value.low,
        high=value.high,
    )


def judge(held: Sequence[bool], some: Sequence[bool] | None = None) -> Verdict:
    """The verdict from several corpora, cells or comparisons.

    Args:
        held: for each of them, whether the claim holds there.
        some: for each of them, whether a part of the claim holds there; ``held`` if ``None``.

    Returns:
        "supported" if the claim holds in all of them; "in part" if it, or a part of it, holds in
        some; else "not supported".

    Raises:
        ValueError: there is none.
    """
    if not held:
        raise ValueError("expected at least one corpus to judge by, found none")
    if all(held):
        return "supported"
    return "in part" if any(held if some is None else some) else "not supported"


def record_command(experiment: str, scale: str) -> str:
    """The command that makes the records of an experiment, for messages."""
    chosen = "" if scale == experiments.DEFAULT_SCALE else f" --scale {scale}"
    return f"python -m lessons_lib.lab run {experiment}{chosen}"


def values(record: Record, metric: str, remedy: str) -> pd.Series[float]:
    """The last value of a metric for each seed; ``remedy`` is the command that makes the record.

    Raises:
        ResultError: the record lacks the metric; the message names the command.
    """
    try:
        return record.values(metric)
    except KeyError as error:
        raise ResultError(f"{error.args[0]}; make it again with: {remedy}") from None


class RealText:
    """Records of an experiment on real text: corpora side by side, run by run.

    A seed of such a record is a block of several runs. Arms of made-up text (``toy-...``) are left
    out.

    Attributes:
        corpora: names, in the order of the arms.
        runs: how many runs there are, those of all corpora together.
    """

    def __init__(self, load: Loader, experiment: str, scale: str = "paper") -> None:
        self._command = record_command(experiment, scale)
        self._remedy = f"make it again with: {self._command}"
        self._records = {
            arm: record
            for arm, record in load(experiment, scale).items()
            if not arm.startswith("toy-")
        }
        if not self._records:
            raise ResultError(f"no record of real text in {experiment}; {self._remedy}")
        self._rows = {arm: blocks.by_run(r.frame()) for arm, r in self._records.items()}
        self._last = {arm: self._last_values(arm) for arm in self._records}
        self.corpora = tuple(self._records)
        self.runs = sum(len(table) for table in self._last.values())
        first = self.corpora[0]
        for arm, table in self._last.items():
            if set(table.index) != set(self._last[first].index):
                raise ResultError(
                    f"expected the same runs of each corpus, found {_brief(table.index)} of {arm} "
                    f"and {_brief(self._last[first].index)} of {first}; {self._remedy}"
                )

    def _last_values(self, arm: str) -> pd.DataFrame:
        """The last value of each metric (columns) in each run (rows)."""
        rows = self._rows[arm]
        if rows.empty:
            raise ResultError(f"the record {arm} holds no single runs; {self._remedy}")
        return rows.sort_values("step").groupby(["run", "metric"])["value"].last().unstack("metric")

    def each(self, metric: str, wanted: pd.DataFrame | None = None) -> pd.DataFrame:
        """The last value of a metric: a row for each run ("1.0", ...), a column for each corpus.

        Args:
            metric: name without its ``#0``.
            wanted: True for the runs that should have it, of the shape of the result; all of them
                if ``None``. Others may lack it, and are NaN then.

        Raises:
            ResultError: a run lacks the metric; the message says which.
        """
        found = {}
        for arm, table in self._last.items():
            found[arm] = table.get(metric, pd.Series(float("nan"), index=table.index))
            lacking = found[arm].isna() if wanted is None else found[arm].isna() & wanted[arm]
            if lacking.any():
                raise ResultError(
                    f"expected the metric {metric!r} of each run in the record {arm}, found none "
                    f"of {_brief(lacking[lacking].index)}; there is "
                    f"{', '.join(map(str, table.columns))}; {self._remedy}"
                )
        return pd.DataFrame(found)

    def has(self, corpus: str, metric: str) -> bool:
        """Whether a corpus has a metric in some run."""
        return metric in self._last[corpus]

    def step_at(self, corpus: str, metric: str, level: float) -> pd.Series[float]:
        """``blocks.step_at`` in a corpus."""
        return blocks.step_at(self._rows[corpus], metric, level)

    def of_block(self, metric: str) -> pd.Series[float]:
        """A metric that belongs to blocks, not to runs: its mean over blocks for each corpus.

        Raises:
            ResultError: a record lacks the metric.
        """
        return pd.Series(
            {
                arm: float(values(record, metric, self._command).mean())
                for arm, record in self._records.items()
            }
        )


def _brief(runs: Sequence[str] | pd.Index[str]) -> str:
    names = sorted(runs, key=lambda run: [int(part) for part in run.split(".")])
    return ", ".join(names[:4]) + (f", ... ({len(names)} runs)" if len(names) > 4 else "")

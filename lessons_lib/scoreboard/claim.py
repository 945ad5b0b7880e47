"""A claim of the paper, the rule that judges it, and the verdict that follows from the records.

``Rows.declare`` makes a ``Row`` of a function that measures: from records and thresholds to
criteria, each held, refuted or open. A row is called to get its ``Claim``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import pandas as pd

from lessons_lib.config import Configuration
from lessons_lib.lab import blocks
from lessons_lib.lab import records as stored
from lessons_lib.lab.records import NotMeasuredError, Record, ResultError, command
from lessons_lib.scoreboard.contrasts import clustered_interval
from lessons_lib.stats import Interval

Verdict = Literal["supported", "in part", "not supported", "undecided"]
Loader = Callable[[str, str], Mapping[str, Record]]
"""Records of an experiment at a scale, arm by arm: ``records.load``, or one that measures."""
ON_TEXT = "paper", "full-size", "left-to-right", "short"
"""Scales at the authors' size or near it: the first that was measured is judged."""
NOT_QUOTED = "see the paper, table not quoted here"
"""What stands in place of a number of the paper that we do not have."""
NO_NUMBER = "the abstract says so, without a number"
NOT_MEASURED = "not measured here"


def recorded(name: str, scale: str) -> Mapping[str, Record]:
    """The package's own records."""
    return stored.load(name, scale)


@dataclass(frozen=True)
class Thresholds(Configuration):
    """Where the rules of the scoreboard draw their lines. All are above 0."""

    far: float = 2.0  #: so many times chance is "far above chance"
    same: float = 0.01  #: accuracies that differ by less are the same
    high: float = 0.9  #: from this share of what training gains on, xi is high
    spread: float = 0.9  #: attention as even as over this share of positions is nearly uniform
    level: float = 0.3  #: on a second yardstick, KTIW and attention are timed at this value
    teaches: float = 0.8  #: from this share of the best reference's words on, a model knows words
    teaches_some: float = 0.5  #: the same for some words
    shares: float = 0.2  #: the smallest difference between shares of runs that matters
    later: float = 1.25  #: the smallest ratio of times that matters
    p: float = 0.01  #: of the log-rank test
    trace: float = 0.01  #: attention right by less than this above chance is at chance
    rare: float = 1 / 7  #: from this share of runs on, failing is no accident
    learns: float = 0.2  #: from this share in 100 updates on, runs that failed do learn

    def __post_init__(self) -> None:
        for name, value in self.to_dict().items():
            if not 0 < value < math.inf:
                raise ValueError(f"expected a finite number above 0 for {name}, found {value}")


OURS = Thresholds()


@dataclass(frozen=True)
class Measured:
    """What the records say of a claim.

    Attributes:
        ours: our values in words.
        value: the main value with its interval; ``None`` if nothing was measured.
        what: it is the value of.
        runs: training runs on which the row rests, those of all arms together.
        criteria: of what the rule asks, in words: True if it held, False if it is refuted, None
            if the records leave it open.
        over: the independent units of the interval, in plural.
        power: how often the rule would find what, in words.
    """

    ours: str
    value: Interval | None
    what: str
    runs: int
    criteria: Mapping[str, bool | None]
    over: str = "runs"
    power: str = ""


Measure = Callable[[Loader, Thresholds], Measured]
M = TypeVar("M", bound=Measure)


@dataclass(frozen=True, repr=False)
class Row:
    """A claim of the paper and how it is judged.

    Attributes:
        name: its identifier, for the command.
        chapter: where it is discussed.
        part: the part of the paper.
        claim: what is claimed, in our words.
        rule: when it is supported; ``{t.far}`` and the like stand for thresholds.
        measure: from records and thresholds to what was measured.
        published: the paper's value, or that it is not quoted here.
    """

    name: str
    chapter: int
    part: str
    claim: str
    rule: str
    measure: Measure
    published: str = NOT_QUOTED

    def __repr__(self) -> str:
        return f"Row({self.name!r})"

    def __call__(self, load: Loader = recorded, thresholds: Thresholds = OURS) -> Claim:
        """The claim as judged by the records; "undecided" where there are none.

        Raises:
            ResultError: a record is damaged, stale or incomplete; the message names the command.
        """
        asked = Noting(load)
        try:
            found = self.measure(asked, thresholds)
        except NotMeasuredError as error:
            found = Measured(f"{NOT_MEASURED}: {error}", None, "", 0, {})
        except KeyError as error:  # of an earlier version of the code, perhaps
            again = " and ".join(command(*experiment) for experiment in asked.found)
            raise ResultError(f"{error.args[0]}; make it again with: {again}") from error
        rule = self.rule.format(t=thresholds) + (f"; {found.power}" if found.power else "")
        setup = _setup(asked.found) if found.value else ""
        return Claim(self, rule, found, judge(found.criteria.values()), setup)


class Rows(list[Row]):
    """Rows in the order of the scoreboard."""

    def declare(
        self, chapter: int, part: str, claim: str, rule: str, published: str = NOT_QUOTED
    ) -> Callable[[M], M]:
        """Make a row of the function below, under its name with dashes; words as of ``Row``."""

        def declared(measure: M) -> M:
            name = measure.__name__.replace("_", "-")
            self.append(Row(name, chapter, part, claim, rule, measure, published))
            return measure

        return declared


@dataclass(frozen=True)
class Claim:
    """One claim of the paper, measured again: a row of the scoreboard.

    Attributes:
        row: what is claimed.
        rule: how the verdict follows from the numbers.
        found: what was measured.
        verdict: what follows.
        setup: in what the records differ from the authors' set-up, in short.
    """

    row: Row
    rule: str
    found: Measured
    verdict: Verdict
    setup: str = ""

    @property
    def interval(self) -> str:
        """The main value with its interval, of what, and over what."""
        value = self.found.value
        if value is None:
            return NOT_MEASURED
        ends = value.estimate, value.low, value.high
        digits = 3 if max(map(abs, ends)) < 10 else 0  # shares, or numbers of steps
        shown = "{:.{d}f} [{:.{d}f}, {:.{d}f}]".format(*ends, d=digits)
        over = f"{value.confidence:.0%}, over {value.n} {self.found.over}"
        return f"{shown}: {self.found.what}; {over}"

    @property
    def reasons(self) -> str:
        """What held, what is refuted and what is open."""
        told = {True: "holds", False: "refuted", None: "open"}
        return "; ".join(f"{name}: {told[held]}" for name, held in self.found.criteria.items())

    def to_dict(self) -> dict[str, Any]:
        """The columns of the scoreboard; estimate, low and high are NaN if nothing was measured."""
        row, value = self.row, self.found.value or Interval(math.nan, math.nan, math.nan, 0)
        known = {name: getattr(row, name) for name in ("chapter", "part", "claim", "published")}
        told = {name: getattr(self, name) for name in ("verdict", "reasons", "rule")}
        return {
            **{"row": row.name, **known, "ours": self.found.ours, "setup": self.setup},
            **{"interval": self.interval, "runs": self.found.runs, **told},
            "command": f"python -m lessons_lib.scoreboard again {row.name}",  # from scratch
            **{"estimate": value.estimate, "low": value.low, "high": value.high},
        }


class Noting:
    """A loader that notes what it has found, and finds it once.

    Attributes:
        found: the records of each experiment and scale that were asked for and are there.
    """

    def __init__(self, load: Loader) -> None:
        self._load = load
        self.found: dict[tuple[str, str], Mapping[str, Record]] = {}

    def __call__(self, name: str, scale: str) -> Mapping[str, Record]:
        """The records of an experiment."""
        if (name, scale) not in self.found:
            self.found[name, scale] = self._load(name, scale)
        return self.found[name, scale]


def _setup(found: Mapping[tuple[str, str], Mapping[str, Record]]) -> str:
    """In what records differ from the authors' set-up but seeds and corpora: the first points."""
    records = (record for arms in found.values() for record in arms.values())
    points = dict.fromkeys(point for record in records for point in record.deviations)
    told = [point for point in points if not point.startswith(("seeds:", "corpora:"))]
    if not told:
        return "the authors', but for seeds and corpora"
    more = f"; and {len(told) - 2} more" if len(told) > 2 else ""
    return f"differs from the authors' in: {'; '.join(told[:2])}{more}"


def judge(criteria: Collection[bool | None]) -> Verdict:
    """The verdict from criteria, each held (True), refuted (False) or open (None).

    Returns:
        "supported" if all held; "not supported" if all are refuted; "in part" if some held and
        some are refuted; else "undecided", as where there is none.
    """
    if True in criteria and False in criteria:
        return "in part"
    if None in criteria or not criteria:
        return "undecided"
    return "supported" if True in criteria else "not supported"


def exceeds(value: Interval, bound: float, matters: float | None = None) -> bool | None:
    """Whether a value lies above a bound: held, refuted, or open.

    Args:
        value: with its interval.
        bound: held if the interval lies above it.
        matters: refuted if the interval lies below it: what is above ``bound`` but surely below
            this is too little to matter. ``bound`` itself if ``None``.
    """
    if value.high < (bound if matters is None else matters):
        return False
    return True if value.low > bound else None


def below(value: Interval, bound: float) -> bool | None:
    """Whether a value lies below a bound: held, refuted, or open."""
    found = exceeds(value, bound)
    return None if found is None else not found


def with_fewer_seeds(claim: Claim, verdict: Verdict) -> Claim:
    """A claim measured on some of the seeds, where all give a verdict.

    Fewer seeds make no other verdict: one that differs becomes "undecided", and says so.
    """
    if claim.verdict in (verdict, "undecided"):
        return claim
    ours = f"{claim.found.ours}; {claim.verdict} by these seeds alone, by all {verdict}"
    return replace(claim, found=replace(claim.found, ours=ours), verdict="undecided")


def optional(load: Loader, experiment: str, scale: str) -> Mapping[str, Record] | None:
    """The records of an experiment, or ``None`` where it has not been measured or registered."""
    try:
        return load(experiment, scale)
    except (KeyError, NotMeasuredError):
        return None


def best_scale(load: Loader, experiment: str) -> Mapping[str, Record]:
    """The records of an experiment at the first of ``ON_TEXT`` that was measured.

    Raises:
        NotMeasuredError: there is none.
    """
    for scale in ON_TEXT:
        if found := optional(load, experiment, scale):
            return found
    remedy = command(experiment, ON_TEXT[-1])
    raise NotMeasuredError(f"no result of {experiment}; make it with: {remedy}")


class RealText:
    """Records of an experiment on real text: corpora side by side, run by run.

    A seed of such a record is a block of several runs. Arms of made-up text (``toy-...``) are left
    out.

    Attributes:
        corpora: names, in the order of the arms.
        runs: how many runs there are, those of all corpora together.
    """

    def __init__(self, load: Loader, experiment: str) -> None:
        records = best_scale(load, experiment)
        self._records = {arm: r for arm, r in records.items() if not arm.startswith("toy-")}
        self.corpora = tuple(self._records)
        if not self.corpora:
            raise KeyError(f"no record of real text in {experiment}")
        self._rows = {arm: blocks.by_run(r.frame()) for arm, r in self._records.items()}
        self._last: dict[str, pd.DataFrame] = {}  # a row for each run, a column for each metric
        for arm, rows in self._rows.items():
            if rows.empty:
                raise KeyError(f"the record {arm} holds no single runs")
            last = rows.sort_values("step").groupby(["run", "metric"])["value"].last()
            self._last[arm] = last.unstack("metric")
            here, first = self._last[arm].index, self._last[self.corpora[0]].index
            if set(here) != set(first):
                raise KeyError(
                    f"expected the same runs of each corpus, found {_brief(here)} of {arm} and "
                    f"{_brief(first)} of {self.corpora[0]}"
                )
        self.runs = sum(map(len, self._last.values()))

    def each(self, metric: str, wanted: pd.DataFrame | None = None) -> pd.DataFrame:
        """The last value of a metric: a row for each run ("1.0", ...), a column for each corpus.

        Args:
            metric: name without its ``#0``.
            wanted: True for the runs that should have it, of the shape of the result; all of them
                if ``None``. Others may lack it, and are NaN then.

        Raises:
            KeyError: a run lacks the metric; the message says which.
        """
        found = {}
        for arm, table in self._last.items():
            found[arm] = table.get(metric, pd.Series(math.nan, index=table.index))
            lacking = found[arm].isna() & (True if wanted is None else wanted[arm])
            if lacking.any():
                raise KeyError(
                    f"expected the metric {metric!r} of each run in the record {arm}, found none "
                    f"of {_brief(lacking[lacking].index)}; there is {', '.join(table.columns)}"
                )
        return pd.DataFrame(found)

    def has(self, corpus: str, *metrics: str) -> bool:
        """Whether a corpus has some metrics, each in some run."""
        return set(metrics) <= set(self._last[corpus])

    def step_at(self, corpus: str, metric: str, level: float) -> pd.Series[float]:
        """``blocks.step_at`` in a corpus."""
        return blocks.step_at(self._rows[corpus], metric, level)

    def interval(self, values: pd.Series[float], *, confidence: float = 0.95) -> Interval:
        """``contrasts.clustered_interval`` of a value of each run."""
        return clustered_interval(values, [*map(_block, values.index)], confidence=confidence)

    def of_block(self, metric: str) -> pd.Series[float]:
        """A metric that belongs to blocks, not to runs: its mean over blocks for each corpus.

        Raises:
            KeyError: a record lacks the metric.
        """
        return pd.Series({arm: r.values(metric).mean() for arm, r in self._records.items()})

    def measured(
        self, ours: str, main: pd.DataFrame | Interval, what: str, criteria: Mapping[str, Any]
    ) -> Measured:
        """A row's result; ``main``: a value of each run and corpus, judged by the mean of these."""
        if isinstance(main, pd.DataFrame):
            main = self.interval(main.mean(axis=1))
        count = len(self.corpora)
        of = "one corpus" if count == 1 else f"mean of {count} corpora"
        units = {_block(run) for run in self._last[self.corpora[0]].index}
        over = "blocks of runs" if len(units) > 2 else "runs, which share comparisons"
        return Measured(ours, main, f"{what}, {of}", self.runs, criteria, over)


def _block(run: str) -> str:
    return run.partition(".")[0]


def _brief(runs: Iterable[str]) -> str:
    names = sorted(runs, key=lambda run: [int(part) for part in run.split(".")])
    return ", ".join(names[:4]) + (f", ... ({len(names)} runs)" if len(names) > 4 else "")

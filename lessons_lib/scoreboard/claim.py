"""A claim of the paper, the rule that judges it, and the verdict that follows from the records."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Hashable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal

import pandas as pd
from scipy import special, stats

from lessons_lib.config import Configuration
from lessons_lib.lab import outcomes
from lessons_lib.lab.records import NotMeasuredError, Record, ResultError, command
from lessons_lib.stats import Interval, seed_interval

Verdict = Literal["supported", "in part", "not supported", "undecided"]
Loader = Callable[[str, str], Mapping[str, Record]]
"""Records of an experiment at a scale, arm by arm: ``run.checked``, or one that measures."""
Criteria = dict[str, bool | None]
"""What a rule asks: held, refuted or open."""

ON_TEXT = "full-size", "both-ways", "short"
"""Scales, those nearest to the authors' set-up first: the first that was measured is judged."""
NOT_MEASURED = "not measured here"
TOLD = {True: "holds", False: "refuted", None: "open"}
"""What became of a criterion or a hypothesis, in words."""


def checked(name: str, scale: str) -> Mapping[str, Record]:
    """``lab.run.checked``: records as the catalogue has them now. To compare loads all models."""
    from lessons_lib.lab import run

    return run.checked(name, scale)


@dataclass(frozen=True)
class Thresholds(Configuration):
    """Where the rules of the scoreboard draw their lines. All are finite and above 0."""

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
    """What the records say of a claim."""

    ours: str  #: our values in words
    value: Interval | None  #: the main value; None if nothing was measured
    what: str  #: it is the value of
    runs: int  #: training runs of all arms of its records, the uniform ones too
    criteria: Criteria  #: what the rule asks
    over: str = "runs"  #: the independent units of the interval, in plural
    power: str = ""  #: how often the rule would find what


@dataclass(frozen=True)
class Row:
    """A claim of the paper and how it is judged, as ``rows.toml`` has it."""

    name: str  #: its identifier, for the command
    chapter: int  #: where it is discussed
    part: str  #: of the paper
    claim: str  #: in our words
    rule: str  #: when it is supported; ``{t.far}`` and the like stand for thresholds
    measure: Callable[[Loader, Thresholds], Measured]
    published: str = ""  #: what the paper says of it, where that is known; its tables are not

    def __call__(self, load: Loader = checked, thresholds: Thresholds = OURS) -> Claim:
        """The claim as judged by the records: "undecided" where there are none.

        A ``ResultError`` names the command where one is damaged, stale or incomplete.
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
        setup = asked.setup() if found.value else ""
        return Claim(self, rule, found, judge(found.criteria.values()), setup)


@dataclass(frozen=True)
class Claim:
    """One claim of the paper, measured again: a row of the scoreboard."""

    row: Row
    rule: str  #: how the verdict follows from the numbers
    found: Measured
    verdict: Verdict
    setup: str = ""  #: in what the records differ from the authors' set-up, in short

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
        return "; ".join(f"{name}: {TOLD[held]}" for name, held in self.found.criteria.items())

    def to_dict(self) -> dict[str, Any]:
        """The columns of the scoreboard; estimate, low and high are NaN if nothing was measured."""
        row, value = self.row, self.found.value or Interval(math.nan, math.nan, math.nan, 0)
        return {
            **{"row": row.name, "chapter": row.chapter, "part": row.part, "claim": row.claim},
            **{"published": row.published, "ours": self.found.ours, "setup": self.setup},
            **{"interval": self.interval, "runs": self.found.runs, "verdict": self.verdict},
            **{"reasons": self.reasons, "rule": self.rule},
            "command": f"python -m lessons_lib.scoreboard again {row.name}",  # from scratch
            **{"estimate": value.estimate, "low": value.low, "high": value.high},
        }


class Noting:
    """A loader that finds each experiment once, and notes in ``found`` what it has found."""

    def __init__(self, load: Loader) -> None:
        self._load = load
        self.found: dict[tuple[str, str], Mapping[str, Record]] = {}

    def __call__(self, name: str, scale: str) -> Mapping[str, Record]:
        """The records of an experiment."""
        if (name, scale) not in self.found:
            self.found[name, scale] = self._load(name, scale)
        return self.found[name, scale]

    @property
    def all(self) -> list[Record]:
        """Those of all experiments."""
        return [record for arms in self.found.values() for record in arms.values()]

    def setup(self) -> str:
        """In what they differ from the authors' set-up but seeds and corpora."""
        points = dict.fromkeys(point for record in self.all for point in record.deviations)
        told = [p for p in points if not p.startswith(("seeds:", "corpora:", "measured:"))]
        others = [p.removeprefix("measured: ") for p in points if p.startswith("measured:")]
        if not told:
            otherwise = f"; measured otherwise: {'; '.join(others)}" if others else ""
            return f"the authors', but for seeds and corpora{otherwise}"
        return f"differs from the authors' in: {'; '.join(told + others)}"


def judge(criteria: Collection[bool | None]) -> Verdict:
    """All held, all refuted, some held and some refuted, or else undecided: as without any."""
    if True in criteria and False in criteria:
        return "in part"
    if None in criteria or not criteria:
        return "undecided"
    return "supported" if True in criteria else "not supported"


def exceeds(value: Interval, bound: float, matters: float | None = None) -> bool | None:
    """Whether a value surely lies above a bound, or surely below ``matters`` (else the bound)."""
    if value.high < (bound if matters is None else matters):
        return False
    return True if value.low > bound else None


def below(value: Interval, bound: float) -> bool | None:
    """Whether a value surely lies below a bound, or surely above."""
    found = exceeds(value, bound)
    return None if found is None else not found


def mean_power(value: Interval, distance: float) -> float:
    """Probability that a t interval of this width lies beyond a bound so far from the true mean."""
    critical = stats.t.ppf(0.5 + value.confidence / 2, value.n - 1)
    error = (value.high - value.low) / 2 / critical
    return float(stats.nct.sf(critical, value.n - 1, distance / error)) if error else 1.0


def tells(value: Interval, over: str = "seeds") -> str:
    """How far from a bound a mean has to be for a ``mean_power`` of 0.8, in words."""
    critical = stats.t.ppf(0.5 + value.confidence / 2, value.n - 1)
    errors = special.nctdtrinc(value.n - 1, 0.2, critical)
    far = float(f"{errors * (value.high - value.low) / 2 / critical:.2g}")
    return (
        f"with the spread found, {value.n} {over} tell a mean from a bound that is {far:g} away "
        "with probability 0.80"
    )


def with_fewer_seeds(claim: Claim, verdict: Verdict) -> Claim:
    """A claim measured on some of the seeds: a verdict other than that of all is "undecided"."""
    if claim.verdict in (verdict, "undecided"):
        return claim
    ours = f"{claim.found.ours}; {claim.verdict} by these seeds alone, by all {verdict}"
    return replace(claim, found=replace(claim.found, ours=ours), verdict="undecided")


def best_scale(load: Loader, experiment: str) -> Mapping[str, Record]:
    """Records at the first of ``ON_TEXT`` that was measured; a ``NotMeasuredError`` if none was."""
    for scale in ON_TEXT:
        with suppress(KeyError, NotMeasuredError):  # of scales that are not registered, too
            return load(experiment, scale)
    remedy = command(experiment, ON_TEXT[-1])
    raise NotMeasuredError(f"no result of {experiment}; make it with: {remedy}")


class RealText:
    """Records of an experiment on real text, without those of made-up text (``toy-...``).

    A seed is a block of runs, "1.0", "1.1" and so on, the same in each corpus. ``rows`` are those
    of single runs, by corpus, as of ``outcomes.by_run``. Values have a row for each run and a
    column for each corpus, or side of one, as a class of the news; runs that are not there are NaN.

    ``over`` tells the independent units: blocks of runs; of a single block the corpora, with their
    sides averaged; of a single corpus in a single block the runs, and intervals are too narrow.
    """

    def __init__(self, load: Loader, experiment: str) -> None:
        records = best_scale(load, experiment)
        self._records = {arm: r for arm, r in records.items() if not arm.startswith("toy-")}
        self.corpora = tuple(self._records)
        self._whole = pd.Series({a: r.config.get("corpus", a) for a, r in self._records.items()})
        self.rows = {arm: outcomes.by_run(r.frame()) for arm, r in self._records.items()}
        # Rows of a metric and a run are sorted by step.
        curves = [rows.groupby(["metric", "run"])["value"] for rows in self.rows.values()]
        last, best = ([curve.agg(how) for curve in curves] for how in ("last", "max"))
        self._last, self._best = (pd.concat(v, axis=1, keys=self.corpora) for v in (last, best))
        self._there = self._last.notna().groupby("run").any()
        alone = "corpora" if self._whole.nunique() > 1 else "runs, which share comparisons"
        self.over = "blocks of runs" if len({*map(_block, self._there.index)}) > 1 else alone

    def each(
        self, metric: str, wanted: pd.DataFrame | bool = True, *, best: bool = False
    ) -> pd.DataFrame:
        """The last value of a metric (without its ``#0``), or the largest of its curve.

        A ``KeyError`` if a run lacks it, of all or of those that are True in ``wanted``.
        """
        ends = self._best if best else self._last
        found = ends.query("metric == @metric").droplevel("metric").reindex(self._there.index)
        lacking = found.isna() & self._there & wanted
        for corpus in lacking.columns[lacking.any()]:
            raise KeyError(
                f"expected the metric {metric!r} of each run in the record {corpus}, found none "
                f"of {', '.join(lacking.index[lacking[corpus]])}; there is "
                f"{', '.join(sorted(set(self.rows[corpus]['metric'])))}"
            )
        return found

    def has(self, corpus: str, *metrics: str) -> bool:
        """Whether a corpus has some metrics, each in some run."""
        return set(metrics) <= set(self.rows[corpus]["metric"])

    def of_block(self, metric: str) -> pd.Series[float]:
        """A metric of blocks, not of runs: its mean for each corpus; a ``KeyError`` if lacking."""
        return pd.Series({arm: r.values(metric).mean() for arm, r in self._records.items()})

    def interval(
        self, values: pd.DataFrame, corpora: Collection[Hashable] = (), *, confidence: float = 0.95
    ) -> Interval:
        """Mean over runs and some corpora, or all, with an interval over the units.

        Where these are blocks, the variance between them is pooled over all corpora, with Student's
        t of as many degrees as there are blocks less corpora.
        """
        chosen = list(corpora or values)
        of_runs, of_corpora = values[chosen].mean(axis=1).dropna(), values[chosen].mean()
        units = of_corpora.groupby(self._whole).mean() if self.over == "corpora" else of_runs
        mean = seed_interval(units if len(units) > 1 else of_runs, confidence=confidence)
        means = values.groupby(_block).mean()
        degrees = int((means.count() - 1).clip(lower=0).sum())
        if not degrees:
            return mean
        n = int(means[chosen].count().sum())
        deviation = (float(((means - means.mean()) ** 2).sum().sum()) / degrees) ** 0.5
        half = float(stats.t.ppf(0.5 + confidence / 2, degrees)) * deviation / n**0.5
        return replace(mean, low=mean.estimate - half, high=mean.estimate + half, n=n)

    def intervals(self, values: pd.DataFrame) -> dict[str, Interval]:
        """That of each corpus."""
        return {str(corpus): self.interval(values, [corpus]) for corpus in values}

    def above(
        self, values: pd.DataFrame, bound: float | pd.Series[float], what: str = ""
    ) -> Criteria:
        """Criteria: whether values exceed a bound, in each corpus, or, if it is a unit, on mean."""
        over = values - pd.Series(bound, index=self.corpora)
        if self.over == "corpora":
            return {f"{what}mean of corpora": exceeds(self.interval(over), 0)}
        return {what + c: exceeds(v, 0) for c, v in self.intervals(over).items()}

    def measured(
        self, ours: str, main: Interval, what: str, criteria: Criteria, power: str = ""
    ) -> Measured:
        """A row's result; ``main`` is a mean over corpora and runs."""
        count = main.n if self.over == "corpora" else len(self.corpora)
        what += ", one corpus" if count == 1 else f", mean of {count} corpora"
        power = power or tells(main, self.over.partition(",")[0])
        uniform = self._last.query("metric == 'uniform/accuracy'").notna()
        runs = int(self._there.sum().sum() + uniform.sum().sum())
        return Measured(ours, main, what, runs, criteria, self.over, power)


def _block(run: str) -> str:
    return run.partition(".")[0]

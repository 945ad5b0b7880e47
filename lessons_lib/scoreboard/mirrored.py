"""Mirror images of heads: each registered hypothesis with its test and its verdict.

Arms, tests and what refutes them stand in ``registered/2026-11-28-mirror-images.md``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from scipy import stats

from lessons_lib.lab import records as stored
from lessons_lib.lab.outcomes import classify_starts, time_difference
from lessons_lib.lab.records import Record
from lessons_lib.plots import ROLES, use_style
from lessons_lib.scoreboard.claim import TOLD, Loader, checked, exceeds
from lessons_lib.scoreboard.contrasts import Runs, share_contrast
from lessons_lib.stats import Interval, proportion_interval, seed_interval

TESTS, LEVEL = 8, 0.05
"""p-values that were registered for H1, H3, H5, H6 and H7, and the level of all together."""
SAME, LITTLE, GAIN = 0.15, 0.05, 0.1
"""Shares that differ by less than the first are alike; a gain below the second is none, and one of
a start's share below the third."""
NEARLY_ALL = 0.9
"""With a spare word more than this share of runs aligns (H4)."""
CELLS = {"lstm": "LSTM", "gru": "GRU"}
PAIRS = {
    "identical": "a head and its copy",
    "value": "value turned over",
    "query": "query turned over",
    "random": "two random heads",
    "antithetic": "a head and its mirror image",
}
"""Kinds of pairs, in the order of the figure from below."""


@dataclass(frozen=True)
class Hypothesis:
    """A registered hypothesis and what became of it."""

    name: str  #: as registered, with the cell where there are two
    says: str
    value: Interval  #: what it is about
    runs: int  #: training runs on which it rests
    held: bool | None = None  #: True, False if refuted, None if open
    p: float | None = None  #: of its one-sided test, where it has one
    corrected: float | None = None  #: ``p`` by Holm's method


def holm(p: Sequence[float | None], tests: int) -> list[float]:
    """p-values corrected by Holm's method, NaN stays; those not at hand of ``tests`` count as 1."""
    ordered = pd.Series(np.asarray(p, dtype=float)).sort_values()
    raised = ordered * (tests - np.arange(len(ordered)))
    return raised.cummax().clip(upper=1).sort_index().tolist()


def hypotheses(load: Loader = checked) -> list[Hypothesis]:
    """H1 to H7. H7 holds if one of its two rows does."""
    return judged([*_of_pairs(load), *_of_starts(load), *_of_models(load)], TESTS)


def judged(found: Sequence[Hypothesis], tests: int) -> list[Hypothesis]:
    """Hypotheses with p-values corrected for so many tests; those below ``LEVEL`` hold."""
    judged = []
    for h, p in zip(found, holm([h.p for h in found], tests), strict=True):
        held = True if h.held is None and p < LEVEL else h.held
        judged.append(h if h.p is None else replace(h, corrected=p, held=held))
    return judged


def table(load: Loader = checked) -> pd.DataFrame:
    """``hypotheses`` as a table: estimate, interval, n, p-values, verdict."""
    rows = [vars(h.value) | vars(h) | {"verdict": TOLD[h.held]} for h in hypotheses(load)]
    return pd.DataFrame(rows).rename(columns={"name": "hypothesis", "corrected": "p, corrected"})


def advantage(name: str, says: str, runs: Runs, more: str, less: str) -> Hypothesis:
    """More runs of one arm align (Fisher's exact test); refuted if surely less than ``LITTLE``."""
    value, shares = runs.contrast([more], [less]), [runs.aligned(arm) for arm in (more, less)]
    sides = np.array([(k, n - k) for k, n in shares])
    p = float(stats.fisher_exact(sides, alternative="greater").pvalue)
    return Hypothesis(name, says, value, value.n, False if value.high < LITTLE else None, p)


def likeness(name: str, says: str, runs: Runs, one: str, other: str) -> Hypothesis:
    """Two arms align as often, within ``SAME``; refuted if surely more than ``LITTLE`` apart."""
    found = advantage(name, says, runs, one, other)
    tight = share_contrast([runs.aligned(one)], [runs.aligned(other)], confidence=0.9)
    alike = tight.low > -SAME and tight.high < SAME
    differs = found.value.low > LITTLE or found.value.high < -LITTLE
    return replace(found, held=True if alike else False if differs else None, p=None)


def _of_pairs(load: Loader) -> Iterator[Hypothesis]:
    """H1 to H4, in each cell."""
    runs = Runs(load("mirror_pairs", "lesson"))
    for cell, name in CELLS.items():
        image, copy, random = (f"{cell}-{p}-V-16" for p in ("antithetic", "identical", "random"))
        says = "a head and its image align more often than two heads"
        yield advantage(f"H1, {name}", says, runs, image, random)
        says = "two equal heads align less often than two heads"
        yield advantage(f"H3, {name}", says, runs, random, copy)
        for half in ("query", "value"):
            says = f"only the {half} turned over: as often as two heads"
            yield likeness(f"H2, {half}, {name}", says, runs, f"{cell}-{half}-V-16", random)
        spare = [runs.aligned(f"{cell}-{pair}-V-17") for pair in ("antithetic", "random")]
        smaller = min((proportion_interval(*s) for s in spare), key=lambda s: s.estimate)
        says = "with a spare word nearly all runs align, in both arms (the smaller share)"
        count = sum(share.n for share in spare)
        yield Hypothesis(f"H4, {name}", says, smaller, count, exceeds(smaller, NEARLY_ALL))


def _of_starts(load: Loader) -> Iterator[Hypothesis]:
    """H5 and H6: each start's share of orders aligned, turned over less as it is."""
    ends = Runs(load("turned_heads", "lesson")).ends["branch"].eq("aligned").astype(float)
    kinds = classify_starts(stored.frame(load("head_starts", "lesson")))
    turned = ends.index.get_level_values("arm").str.startswith("turned")
    gain = ends[turned].groupby("seed").mean() - ends[~turned].groupby("seed").mean()
    for name, kind, sign, how in (("H5", "bad", 1, "more"), ("H6", "good", -1, "less")):
        says = f"{kind} starts align {how} often when turned over"
        change = sign * gain[kinds[kinds == kind].index]
        value = seed_interval(change)
        p = float(stats.wilcoxon(change, alternative="greater").pvalue) if change.any() else 1.0
        count = int(ends.index.isin(change.index, level="seed").sum())
        held = False if value.high < GAIN else None
        yield Hypothesis(name, says, value, count, held, p)


def _of_models(load: Loader) -> Iterator[Hypothesis]:
    """H7: eight bad heads turned over, by share and by time, its median with a bootstrap's ends."""
    runs, arms = Runs(load("turned_models", "lesson")), ("eight-bad-turned", "eight-bad")
    says = "models of eight bad heads align more often when turned over"
    share = advantage("H7, share", says, runs, *arms)
    turned, plain = (runs.of(arm) for arm in arms)
    steps, rng = (plain["step"].to_numpy(), turned["step"].to_numpy()), np.random.default_rng(0)
    drawn = [np.median(rng.choice(s, (2000, s.size)), axis=1) for s in steps]
    low, high = np.quantile(drawn[0] - drawn[1], [0.025, 0.975])
    median = float(np.median(steps[0]) - np.median(steps[1]))
    saved = Interval(median, float(low), float(high), share.runs)
    held = False if share.held is False and saved.low <= 0 <= saved.high else None
    yield replace(share, held=held)
    later = (column for end in (plain, turned) for column in (end["step"], end["solved"]))
    p = time_difference(*later, alternative="less")  # of the first: a lower hazard
    says = "or sooner (median steps saved; where a run never copies, its last step)"
    yield replace(share, name="H7, time", says=says, value=saved, held=held, p=p)


def draw(records: Mapping[str, Record], *, ax: Axes | None = None) -> Axes:
    """Share of runs aligned with Wilson's interval, a row for each kind of pair, V = L.

    Records are those of ``mirror_pairs``.
    """
    ax = plt.figure().add_subplot() if ax is None else ax
    runs, y = Runs(records), np.arange(len(PAIRS))
    looks = {"lstm": ("attention", "o", 0.14), "gru": ("other", "s", -0.14)}
    for cell, (role, marker, shift) in looks.items():
        shares = [proportion_interval(*runs.aligned(f"{cell}-{pair}-V-16")) for pair in PAIRS]
        x, low, high = np.array([(s.estimate, s.low, s.high) for s in shares]).T
        look: dict[str, Any] = {"fmt": marker, "color": ROLES[role], "label": CELLS[cell]}
        ax.errorbar(x, y + shift, xerr=[x - low, high - x], capsize=3, **look)
    ax.set(xlim=(0, 1.02), xlabel="share of runs aligned (95% interval)")
    ax.set_yticks(y, list(PAIRS.values()))
    ax.legend(loc="lower left")
    return ax


def main(arguments: Sequence[str] | None = None) -> int:
    """Train pairs of heads again, print their shares and draw them."""
    from lessons_lib.lab.run import experiment, run  # which load all models

    parser = argparse.ArgumentParser(prog="python -m lessons_lib.scoreboard.mirrored")
    told = "of 96; 12 take three minutes on two cores"
    parser.add_argument(
        "--seeds", type=int, default=12, choices=range(1, 97), metavar="N", help=told
    )
    parser.add_argument("--out", type=Path, default=Path("mirrored.png"), help="the figure")
    options = parser.parse_args(arguments)
    registered = experiment("mirror_pairs").scales["lesson"].seeds
    arms = [f"{cell}-{pair}-V-16" for cell in CELLS for pair in PAIRS]
    records = run("mirror_pairs", seeds=registered[: options.seeds], only=arms)
    for arm in records:
        sys.stdout.write(f"{arm:24} {Runs(records).aligned(arm)} aligned\n")
    use_style()
    draw(records).legend(loc="upper left")  # intervals of few seeds reach to the lower left
    plt.savefig(options.out)
    sys.stdout.write(f"The figure is in {options.out}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

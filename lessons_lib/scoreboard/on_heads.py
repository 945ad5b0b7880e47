"""What rows of the scoreboard on several heads rest on: do they help, and is it their starts?"""

from collections.abc import Iterator

import pandas as pd

from lessons_lib.lab.records import NotMeasuredError
from lessons_lib.scoreboard import claim, mirrored
from lessons_lib.scoreboard.claim import NOT_MEASURED, Loader, Measured, Thresholds, exceeds
from lessons_lib.scoreboard.contrasts import Runs, Share, share_contrast
from lessons_lib.stats import proportion_interval

COPIES, FAILS, LAST_LOOK = 0.95, 0.6, 190
"""The authors' rule for heads: accuracy above the first by their last evaluation is good, below the
second there is bad. They count the end symbol, too."""
SMALL = "small models"
SIZES = {"lesson": SMALL, "bfloat16": "the authors' size"}
"""Scales of the experiments on heads."""
REGISTERED = ("H1, LSTM", "H1, GRU", "H5", "H6")
"""Hypotheses on mirror images from which the row on dynamics is computed."""


def _by_size(
    load: Loader, experiment: str, t: Thresholds, told: list[str]
) -> Iterator[tuple[str, Runs]]:
    """The runs of an experiment at each size; ``told`` gets where there are none."""
    there = {scale: claim.optional(load, experiment, scale) for scale in SIZES}
    for scale, size in SIZES.items():
        if records := there[scale]:
            yield size, Runs(records, t)
        else:
            told.append(f"{size}: {NOT_MEASURED}")
    if not any(there.values()):
        raise NotMeasuredError("; ".join(told))


def several_heads_align(load: Loader, t: Thresholds) -> Measured:
    """Share of runs aligned with one head and with eight, LSTM and GRU."""
    runs = Runs(load("heads", "lesson"), t)
    cells = {cell: (f"{cell.lower()}-8", f"{cell.lower()}-1") for cell in ("LSTM", "GRU")}
    value = runs.contrast(*zip(*cells.values(), strict=True))
    told = (
        f"{cell}: {runs.aligned(less)} with one head, {runs.aligned(more)} with eight"
        for cell, (more, less) in cells.items()
    )
    return Measured(
        f"runs aligned, small models; {'; '.join(told)}",
        value,
        "share of runs aligned with eight heads less that with one, mean of both cells",
        value.n,
        {f"more align with eight, {cell}": runs.more(*arms) for cell, arms in cells.items()},
        power=runs.power("gru-1"),
    )


def heads_not_parameters(load: Loader, t: Thresholds) -> Measured:
    """H1, H5 and H6 of ``mirrored``, with the levels and margins registered, not those of ``t``."""
    found = [h for h in mirrored.hypotheses(load) if h.name in REGISTERED]
    told = [f"{h.name}: {h.says}, by {h.value.estimate:.2f}" for h in found]
    others = Runs(load("head_controls", "lesson"))
    return Measured(
        f"{'; '.join(told)}; for comparison, of unequal capacity, runs aligned: eight heads "
        f"{others.aligned('eight')}, one wide head {others.aligned('one-wide')}, eight equal heads "
        f"{others.aligned('tied')}",
        found[0].value,
        f"{found[0].name}: difference of shares of runs aligned",
        sum(h.runs for h in found),
        {h.name: h.held for h in found},
    )


def bad_heads_fail(load: Loader, t: Thresholds) -> Measured:
    """Eight bad heads against seven and a good one; at the authors' size by their rule, too."""
    bad, good = "eight-bad", "seven-bad-one-good"
    told, total, criteria = list[str](), 0, dict[str, bool | None]()
    for size, runs in _by_size(load, "head_mix", t, told):
        value, power = runs.contrast([good], [bad]), runs.power(bad)
        later, timed = runs.later(bad, good)
        total += runs.count(bad, good)
        told.append(
            f"{size}, aligned: {runs.aligned(bad)} with eight bad heads, {runs.aligned(good)} with "
            f"a good one; median step {runs.median(bad)} and {runs.median(good)}; {timed}"
        )
        criteria[f"fewer bad ones align, {size}"] = runs.more(good, bad)
        if size == SMALL:
            criteria[f"bad ones take longer, {size}"] = later
            continue
        ends = [runs.accuracy(arm, LAST_LOOK, end=True) for arm in (good, bad)]
        with_good, without = (Share.of(each > COPIES) for each in ends)
        value = share_contrast([with_good], [without])
        criteria[f"fewer bad ones copy by step {LAST_LOOK}, {size}"] = exceeds(value, 0, t.shares)
        told[-1] += (
            f"; copy by step {LAST_LOOK}: {without} (below {FAILS} then: "
            f"{(ends[1] < FAILS).sum()}) and {with_good}; "
            f"there are {_sets(runs, bad)} different sets of eight bad heads"
        )
    return Measured(
        "; ".join(told),
        value,
        "share of runs with one good head less that with none: aligned, or at the authors' size "
        f"copying by step {LAST_LOOK}",
        total,
        criteria,
        power=power,
    )


def _sets(runs: Runs, arm: str) -> int:
    """Of how many different sets of heads an arm's models are put together."""
    from lessons_lib.lab.heads import HeadsConfig  # which loads a model

    config = HeadsConfig.from_dict(runs.records[arm].config)
    return len({frozenset(config.head_seeds(seed)) for seed in runs.records[arm].seeds})


def starts_sort_heads(load: Loader, t: Thresholds) -> Measured:
    """Heads with the same outcome whatever the order of the data.

    Against what the shares of outcomes would give, were orders independent: the sum of their cubes.
    """
    told, total, criteria = list[str](), 0, dict[str, bool | None]()
    for size, runs in _by_size(load, "head_starts", t, told):
        total += len(runs.ends)
        aligned = runs.ends["branch"] == "aligned"
        kinds = {"our": {"good": aligned, "bad": ~aligned}}
        if size != SMALL:
            at = pd.concat({arm: runs.accuracy(arm, LAST_LOOK, end=True) for arm in runs.records})
            kinds["their"] = {"good": at > COPIES, "bad": at < FAILS}
        for rule, kind in kinds.items():
            by_head = {name: is_so.unstack(0, fill_value=False) for name, is_so in kind.items()}
            good, bad = (int(table.all(axis=1).sum()) for table in by_head.values())
            n, orders = by_head["good"].shape
            expected = sum(float(is_so.mean()) ** orders for is_so in kind.values())
            value = proportion_interval(good + bad, n)
            told.append(
                f"{size}, {rule} rule: {good} good, {bad} bad of {n} heads, {expected * n:.0f} "
                "expected if only the order of the data decided"
            )
            criteria[f"sorted by start, {size}, {rule} rule"] = exceeds(
                value, expected, expected + t.shares * (1 - expected)
            )
    return Measured(
        "; ".join(told),
        value,
        "share of heads with the same outcome in every order of the data",
        total,
        criteria,
        over="heads",
    )

"""Rows of the scoreboard on several heads: do they help, and is it their starts?"""

from __future__ import annotations

import pandas as pd

from lessons_lib.lab.records import NotMeasuredError
from lessons_lib.scoreboard import mirrored
from lessons_lib.scoreboard.claim import (
    NOT_MEASURED,
    Loader,
    Measured,
    Rows,
    Thresholds,
    exceeds,
    optional,
)
from lessons_lib.scoreboard.contrasts import share_contrast
from lessons_lib.scoreboard.runs import Runs, of
from lessons_lib.stats import Interval, proportion_interval

ROWS = Rows()
HEADS = "multi-head experiment"
COPIES, FAILS, LAST_LOOK = 0.95, 0.6, 190
"""The authors' rule for heads: accuracy above the first by their last evaluation is good, below the
second there is bad."""
SIZES = {"lesson": "small models", "bfloat16": "the authors' size"}
"""Scales of the experiments on heads."""
REGISTERED = ("H1, LSTM", "H1, GRU", "H5", "H6")
"""Hypotheses on mirror images from which the row on dynamics is computed."""


@ROWS.declare(
    7,
    HEADS,
    "Several heads overcome the hard distribution.",
    "supported if more runs align with eight heads than with one in both cells, refuted where "
    "surely by less than {t.shares:g}",
)
def several_heads_align(load: Loader, t: Thresholds) -> Measured:
    """Share of runs aligned with one head and with eight, LSTM and GRU, lesson scale."""
    runs = Runs(load("heads", "lesson"))
    cells = {"LSTM": ("lstm-8", "lstm-1"), "GRU": ("gru-8", "gru-1")}
    eight, one = zip(*cells.values(), strict=True)
    told = (
        f"{cell}: {runs.told(less)} with one head, {runs.told(more)} with eight"
        for cell, (more, less) in cells.items()
    )
    return Measured(
        f"runs aligned, small models; {'; '.join(told)}",
        runs.contrast(eight, one),
        "share of runs aligned with eight heads less that with one, mean of both cells",
        runs.count(*eight, *one),
        {f"more align with eight, {cell}": runs.more(*cells[cell], t) for cell in cells},
        power=runs.power("gru-1", t),
    )


@ROWS.declare(
    7,
    HEADS,
    "Several heads help by improving learning dynamics rather than expressiveness.",
    "supported if at equal capacity a head and its mirror image align more often than two "
    "heads (H1, in both cells), bad heads more often turned over (H5), and good ones less "
    f"often (H6), each at level {mirrored.LEVEL} by Holm's method for {mirrored.TESTS} tests; "
    f"refuted where surely by less than {mirrored.LITTLE} (H1) or {mirrored.GAIN} (H5, H6)",
)
def heads_not_parameters(load: Loader, t: Thresholds) -> Measured:
    """Heads of equal capacity, whose starts differ in a sign only: H1, H5 and H6 of ``mirrored``.

    One wide head and eight equal heads, which have fewer functions to choose from, stand beside for
    comparison. Levels and margins are those that were registered, not ``t``.
    """
    found = [h for h in mirrored.hypotheses(load) if h.name.startswith(("H1", "H5", "H6"))]
    told = [f"{h.name}: {h.says}, by {h.value.estimate:.2f}" for h in found]
    if controls := optional(load, "head_controls", "lesson"):
        others = Runs(controls)
        names = {"eight heads": "eight", "one wide head": "one-wide", "eight equal heads": "tied"}
        beside = (f"{name} {others.told(arm)}" for name, arm in names.items())
        told.append(f"for comparison, of unequal capacity, runs aligned: {', '.join(beside)}")
    held = {h.name: h.held for h in found}
    return Measured(
        "; ".join(told),
        found[0].value if found else None,
        f"{found[0].name}: difference of shares of runs aligned" if found else "",
        sum(h.runs for h in found),
        {name: held.get(name) for name in REGISTERED},
    )


@ROWS.declare(
    7,
    HEADS,
    "Models of eight heads with bad starts fail; one head with a good start is enough.",
    "supported if fewer models of eight bad heads align (refuted if surely by less than "
    "{t.shares:g}), they take longer (log-rank p < {t.p:g}; refuted if surely less than "
    f"{{t.later:g}} times as long), and at the authors' size fewer copy by step {LAST_LOOK}, "
    "their last evaluation",
)
def bad_heads_fail(load: Loader, t: Thresholds) -> Measured:
    """Eight bad heads against seven bad ones and a good one: how often, and how soon?

    At the authors' size by both rules: theirs (copies by their last evaluation) and ours (aligned,
    with as many steps as it takes).
    """
    bad, good = "eight-bad", "seven-bad-one-good"
    told, total, power = list[str](), 0, ""
    criteria, value = dict[str, bool | None](), Interval(0, 0, 0, 0)
    for scale, size in SIZES.items():
        if (records := optional(load, "head_mix", scale)) is None:
            told.append(f"{size}: {NOT_MEASURED}")
            continue
        runs = Runs(records)
        total, value, power = (
            total + runs.count(bad, good),
            runs.contrast([good], [bad]),
            runs.power(bad, t),
        )
        later, timed = runs.later(bad, good, t)
        told.append(
            f"{size}, aligned: {runs.told(bad)} with eight bad heads, {runs.told(good)} with a "
            f"good one; median step {runs.of(bad)['step'].median():.0f} and "
            f"{runs.of(good)['step'].median():.0f}; {timed}"
        )
        criteria[f"fewer bad ones align, {size}"] = runs.more(good, bad, t)
        if scale == "lesson":
            criteria[f"bad ones take longer, {size}"] = later
            continue
        early, low = [runs.by(arm, LAST_LOOK) for arm in (good, bad)], runs.accuracy(bad, LAST_LOOK)
        value = share_contrast(early[:1], early[1:])
        criteria[f"fewer bad ones copy by step {LAST_LOOK}, {size}"] = exceeds(value, 0, t.shares)
        told[-1] += (
            f"; copy by step {LAST_LOOK}: {of(early[1])} (below {FAILS} then: "
            f"{(low < FAILS).sum()}) and {of(early[0])}"
        )
    if not criteria:
        raise NotMeasuredError("; ".join(told))
    return Measured(
        "; ".join(told),
        value,
        "share of runs with one good head less that with none: aligned, or at the authors' size "
        f"copying by step {LAST_LOOK}",
        total,
        criteria,
        power=power,
    )


@ROWS.declare(
    7,
    HEADS,
    "A head's start decides: some heads learn with every order of the data, others with none.",
    f"supported if, by both rules (ours: aligned; theirs: copies by step {LAST_LOOK}, or is "
    f"below {FAILS} then), more heads have one outcome than if only the order of the data "
    "decided; refuted if surely by less than {t.shares:g} of the rest",
)
def starts_sort_heads(load: Loader, t: Thresholds) -> Measured:
    """Heads by their starts: is the outcome the same whatever the order of the data?

    Against what the shares of outcomes alone would give, were the orders independent: the sum of
    their cubes for three orders.
    """
    told, total = list[str](), 0
    criteria, value = dict[str, bool | None](), Interval(0, 0, 0, 0)
    for scale, size in SIZES.items():
        if (records := optional(load, "head_starts", scale)) is None:
            told.append(f"{size}: {NOT_MEASURED}")
            continue
        runs = Runs(records)
        total += len(runs.ends)
        kinds = {"our": runs.ends["branch"].eq("aligned").map({True: "good", False: "bad"})}
        if scale != "lesson":
            at = pd.concat({arm: runs.accuracy(arm, LAST_LOOK) for arm in records})
            kinds["their"] = at.map(
                lambda a: "good" if a >= COPIES else "bad" if a < FAILS else "between"
            )
        for rule, kind in kinds.items():
            by_head = kind.unstack(0)
            good, bad = (int((by_head == name).all(axis=1).sum()) for name in ("good", "bad"))
            shares = kind.value_counts(normalize=True)
            expected = sum(shares.get(name, 0) ** by_head.shape[1] for name in ("good", "bad"))
            value = proportion_interval(good + bad, len(by_head))
            told.append(
                f"{size}, {rule} rule: {good} good, {bad} bad of {len(by_head)} heads, "
                f"{expected * len(by_head):.0f} expected if only the order of the data decided"
            )
            criteria[f"sorted by start, {size}, {rule} rule"] = exceeds(
                value, expected, expected + t.shares * (1 - expected)
            )
    if not criteria:
        raise NotMeasuredError("; ".join(told))
    return Measured(
        "; ".join(told),
        value,
        "share of heads with the same outcome in every order of the data",
        total,
        criteria,
        over="heads",
    )

"""What rows of the scoreboard on several heads rest on: do they help, and is it their starts?"""

import pandas as pd

from lessons_lib.scoreboard import mirrored
from lessons_lib.scoreboard.claim import Loader, Measured, Thresholds, exceeds
from lessons_lib.scoreboard.contrasts import Runs, Share, share_contrast
from lessons_lib.stats import proportion_interval

COPIES, FAILS, LAST_LOOK = 0.95, 0.6, 190
"""The authors' rule for heads: accuracy above the first by their last evaluation is good, below the
second there is bad. They count the end symbol, too."""
SMALL, THEIRS = "small models", "the authors' size"
SIZES = {SMALL: "lesson", THEIRS: "bfloat16"}
"""Scales of the experiments on heads."""


def several_heads_align(load: Loader, t: Thresholds) -> Measured:
    """Share of runs aligned with one head and with eight: LSTM, GRU, and at the authors' size."""
    runs = Runs(load("heads", "lesson"), t)
    theirs = Runs({**load("head_mix", "bfloat16"), **load("head_starts", "bfloat16")}, t)
    value = runs.contrast(("lstm-8", "gru-8"), ("lstm-1", "gru-1"))
    sizes = {f"{SMALL}, {c.upper()}": (runs, f"{c}-8", f"{c}-1") for c in mirrored.CELLS}
    sizes[THEIRS] = (theirs, "eight-random", "order-1")
    told = (
        f"{size}: {of.aligned(less)} with one head, {of.aligned(more)} with eight"
        for size, (of, more, less) in sizes.items()
    )
    return Measured(
        f"runs aligned; {'; '.join(told)}",
        value,
        "share of runs aligned with eight heads less that with one, mean of both cells",
        value.n + sum(len(theirs.of(arm)) for arm in sizes[THEIRS][1:]),
        {f"more align with eight, {size}": of.more(*pair) for size, (of, *pair) in sizes.items()},
        power=runs.power("gru-1"),
    )


def heads_not_parameters(load: Loader, t: Thresholds) -> Measured:
    """H1, H5 and H6 of ``mirrored``, with the levels and margins registered, not those of ``t``."""
    names = "H1, LSTM", "H1, GRU", "H5", "H6"
    found = [h for h in mirrored.hypotheses(load) if h.name in names]
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
    from lessons_lib.lab.heads import HeadsConfig  # which loads a model

    bad, good = "eight-bad", "seven-bad-one-good"
    sizes = {size: Runs(load("head_mix", scale), t) for size, scale in SIZES.items()}
    told = "; ".join(
        f"{size}, aligned: {runs.aligned(bad)} with eight bad heads, {runs.aligned(good)} with a "
        f"good one; median step {runs.median(bad)} and {runs.median(good)}; "
        f"{runs.later(bad, good)[1]}"
        for size, runs in sizes.items()
    )
    small, theirs = sizes.values()
    without, with_good = (theirs.accuracy(arm, LAST_LOOK, end=True) for arm in (bad, good))
    copying, copying_with_good = Share.of(without > COPIES), Share.of(with_good > COPIES)
    value = share_contrast([copying_with_good], [copying])
    record = theirs.records[bad]
    heads = HeadsConfig.from_dict(record.config).head_seeds
    sets = {frozenset(heads(seed)) for seed in record.seeds}
    return Measured(
        f"{told}; copy by step {LAST_LOOK}: {copying} (below {FAILS} then: "
        f"{(without < FAILS).sum()}) and {copying_with_good}; there are {len(sets)} different sets "
        "of eight bad heads",
        value,
        "share of runs with one good head less that with none: aligned, or at the authors' size "
        f"copying by step {LAST_LOOK}",
        sum(len(runs.of(arm)) for runs in sizes.values() for arm in (bad, good)),
        {
            f"fewer bad ones align, {SMALL}": small.more(good, bad),
            f"bad ones take longer, {SMALL}": small.later(bad, good)[0],
            f"fewer bad ones align, {THEIRS}": theirs.more(good, bad),
            f"fewer bad ones copy by step {LAST_LOOK}, {THEIRS}": exceeds(value, 0, t.shares),
        },
        power=theirs.power(bad),
    )


def starts_sort_heads(load: Loader, t: Thresholds) -> Measured:
    """Heads with the same outcome whatever the order of the data.

    Against what the shares of outcomes would give, were orders independent: the sum of their cubes.
    """
    sizes = {size: Runs(load("head_starts", scale)) for size, scale in SIZES.items()}
    aligned = {size: runs.ends["branch"] == "aligned" for size, runs in sizes.items()}
    kinds = {f"{size}, our rule": (is_so, ~is_so) for size, is_so in aligned.items()}
    theirs = sizes[THEIRS]
    at = pd.concat({arm: theirs.accuracy(arm, LAST_LOOK, end=True) for arm in theirs.records})
    kinds[f"{THEIRS}, their rule"] = at > COPIES, at < FAILS
    told, criteria = [], dict[str, bool | None]()
    for name, kind in kinds.items():
        by_head = [is_so.unstack(0, fill_value=False) for is_so in kind]
        good, bad = (int(table.all(axis=1).sum()) for table in by_head)
        n, orders = by_head[0].shape
        expected = sum(float(is_so.mean()) ** orders for is_so in kind)
        value = proportion_interval(good + bad, n)
        told.append(
            f"{name}: {good} good, {bad} bad of {n} heads, {expected * n:.0f} expected if only the "
            "order of the data decided"
        )
        small_enough = expected + t.shares * (1 - expected)
        criteria[f"sorted by start, {name}"] = exceeds(value, expected, small_enough)
    return Measured(
        "; ".join(told),
        value,
        "share of heads with the same outcome in every order of the data",
        sum(len(runs.ends) for runs in sizes.values()),
        criteria,
        over="heads",
    )

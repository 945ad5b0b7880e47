"""Rows of the scoreboard on copying: interventions, the hard distribution, several heads.

Shares of runs are compared by the interval of their difference: held if it lies above 0, refuted if
it lies below ``Thresholds.shares``. Times are compared by two tests: held if the log-rank test
tells them apart, refuted if the interval of the ratio of times (``stats.time_ratio``) lies below
``Thresholds.later``; the log-rank test alone could never refute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count

import pandas as pd
from scipy.stats import binom

from lessons_lib.lab import copying, experiments, results
from lessons_lib.lab.results import NotMeasuredError, Record, ResultError
from lessons_lib.scoreboard.claim import (
    NO_NUMBER,
    NOT_MEASURED,
    OURS,
    Loader,
    Measured,
    Row,
    Thresholds,
    below,
    exceeds,
    optional,
    record_command,
    values,
)
from lessons_lib.stats import (
    Interval,
    hazard_interval,
    mean_power,
    proportion_interval,
    seed_interval,
    share_contrast,
    share_power,
    time_difference,
    time_ratio,
)

AUTHORS_STEPS = 200
"""For so many steps the authors trained."""
EARLY = 60
"""At this step most of the authors' runs on permutations copy, and some are far from it."""
COPIES, FAILS = 0.95, 0.6
"""The authors' rule for heads: accuracy above the first is good, below the second is bad."""
SIZES = {"lesson": "small models", "bfloat16": "the authors' size"}
"""Scales of the experiments on heads."""
MIRRORED = (("antithetic", "two-random"), ("bad-mirrored", "bad"))
"""Arms of ``mirror`` that differ in nothing but the signs of a head's start."""


def words_drive_attention(load: Loader = experiments.load, t: Thresholds = OURS) -> Measured:
    """Right words first, wrong words first, or as many steps without words; then permutations."""
    ends = _ends(load("ktiw_first", "lesson"))
    soon, late = (_arm(ends, arm) for arm in ("pretrained-uniform", "pretrained-hard"))
    later, timed = _later(late, soon, t)
    right, wrong = ("pretrained-uniform", "from-dictionary"), ("pretrained-control", "scrambled")
    ways = {"uniform attention": (right[0], wrong[0]), "a dictionary": (right[1], wrong[1])}
    told = [
        f"with {way}: {_of(_aligned(ends, r))} with right words, {_of(_aligned(ends, w))} with "
        "wrong ones"
        for way, (r, w) in ways.items()
    ]
    return Measured(
        f"runs aligned, small models; taught {'; '.join(told)}; median step "
        f"{soon['step'].median():.0f} after right words, {late['step'].median():.0f} after as many "
        f"steps without words; {timed}",
        _contrast(ends, right, wrong),
        "share of runs aligned after right words less that after wrong ones, mean of both ways of "
        "teaching",
        _count(ends, *right, *wrong, "pretrained-hard"),
        {
            "later without words": later,
            **{
                f"fewer align with wrong words, {way}": exceeds(
                    _contrast(ends, [r], [w]), 0, t.shares
                )
                for way, (r, w) in ways.items()
            },
        },
        power=_power(len(soon), t),
    )


def attention_needs_words(load: Loader = experiments.load, t: Thresholds = OURS) -> Measured:
    """Attention where all but the query is frozen: at random, or with right words.

    The two controls say that attention could be learned here: the same random states allow more
    (the query is taught directly), and right words lead to more.
    """
    records = load("asymmetry", "lesson")
    arms = "frozen-all-but-query", "frozen-aligned", "frozen-dictionary"
    remedy = record_command("asymmetry", "lesson")
    random, taught, right = (
        seed_interval(values(records[arm], "attention_accuracy", remedy)) for arm in arms
    )
    chance = 1 / records[arms[0]].config["length"]
    power = mean_power(random, t.trace)
    return Measured(
        f"attention finds the right word, small models; word knowledge frozen at random: {random}, "
        f"chance {chance:.4g}; frozen and right: {right}; frozen at random, and the query taught "
        f"directly: {taught}",
        random,
        "share of words at which attention is largest at the right one, word knowledge frozen at "
        "random",
        sum(len(records[arm].seeds) for arm in arms),
        {
            "at chance without words": below(random, chance + t.trace),
            # The interval of a difference, so that the controls' own spread counts.
            "less than half of what the same states allow": exceeds(_half(taught, random), 0),
            "less than half of what right words lead to": exceeds(_half(right, random), 0),
        },
        over="seeds",
        power=f"at chance exactly, {random.n} runs would show it with probability {power:.2f}",
    )


def hard_is_slower(load: Loader = experiments.load, t: Thresholds = OURS) -> Measured:
    """Permutations of 40 words against 40 of 60 words: when can a run copy?"""
    records = load("hard_distribution", "paper")
    ends = _ends(records)
    hard, easy = _arm(ends, "hard"), _arm(ends, "easy")
    later, timed = _later(hard, easy, t)
    at = _accuracy_at(records["hard"], EARLY)
    by_early = {
        arm: (_by(of_arm, EARLY), len(of_arm)) for arm, of_arm in (("hard", hard), ("easy", easy))
    }
    behind = share_contrast([by_early["easy"]], [by_early["hard"]])
    return Measured(
        f"copy by step {EARLY}: {_of(by_early['easy'])} of 40 of 60 words, "
        f"{_of(by_early['hard'])} of permutations, of which {(at > 0.9).sum()} are above 0.9 then "
        f"and {(at < 0.3).sum()} below 0.3; by step {AUTHORS_STEPS}: {_by(easy, AUTHORS_STEPS)} "
        f"and {_by(hard, AUTHORS_STEPS)}; {timed}",
        behind,
        f"share of runs that copy by step {EARLY}, 40 of 60 words less permutations",
        len(ends),
        {
            "permutations take longer": later,
            f"fewer copy by step {EARLY}": exceeds(behind, 0, t.shares),
        },
        power=_power(len(hard), t),
    )


def cannot_copy(load: Loader = experiments.load, t: Thresholds = OURS) -> Measured:
    """Whether runs fail within the authors' 200 steps, and whether those that do fail for good.

    The second is the hazard after step 200: of the runs that cannot copy yet, the share that learn
    it in 100 steps, at a constant rate. It rests on all of their steps, not on the last run. Where
    runs hardly ever fail, it is refuted with the first.
    """
    hard = _arm(_ends(load("hard_distribution", "paper")), "hard")
    late = hard[~hard["solved"] | (hard["step"] > AUTHORS_STEPS)]
    failing = proportion_interval(len(late), len(hard))
    learning = None
    told = "so nothing can be said of later"
    if len(late):
        waits = (late["step"] - AUTHORS_STEPS) / 100
        learning = hazard_interval(waits, late["solved"]) if waits.sum() > 0 else None
        told = (
            f"{late['solved'].sum()} of these do by step {hard['step'].max()}, at "
            f"{learning or 'an unknown share'} of those left in 100 steps; "
            f"{(late['branch'] == 'elimination').sum()} of them never look at the right word"
        )
    n, fails = len(hard), exceeds(failing, t.rare)
    goes_on = None if learning is None else below(learning, t.learns)
    third = sum(
        float(binom.pmf(k, n, 1 / 3))
        for k in range(n + 1)
        if exceeds(proportion_interval(k, n), t.rare)
    )
    enough = next(m for m in count(1) if below(hazard_interval([2] * m, [0] * m), t.learns))
    return Measured(
        f"{len(late)} of {n} do not within {AUTHORS_STEPS} steps; {told}",
        failing,
        f"share of runs on permutations that do not copy by step {AUTHORS_STEPS}",
        n,
        {
            f"runs fail within {AUTHORS_STEPS} steps": fails,
            "and go on failing": goes_on if fails is not False else False,
        },
        power=f"if a third fails, {n} runs show that it is no accident with probability "
        f"{third:.2f}; that it is for good takes {enough} runs of which none learns in 200 steps",
    )


def several_heads_align(load: Loader = experiments.load, t: Thresholds = OURS) -> Measured:
    """Share of runs aligned with one head and with eight, LSTM and GRU, lesson scale."""
    ends = _ends(load("heads", "lesson"))
    cells = ("lstm", "gru")
    told = (
        f"{cell.upper()}: {_of(_aligned(ends, f'{cell}-1'))} with one head, "
        f"{_of(_aligned(ends, f'{cell}-8'))} with eight"
        for cell in cells
    )
    arms = [f"{cell}-8" for cell in cells], [f"{cell}-1" for cell in cells]
    return Measured(
        f"runs aligned, small models; {'; '.join(told)}",
        _contrast(ends, *arms),
        "share of runs aligned with eight heads less that with one, mean of both cells",
        _count(ends, *arms[0], *arms[1]),
        {
            f"more align with eight, {cell.upper()}": exceeds(
                _contrast(ends, [f"{cell}-8"], [f"{cell}-1"]), 0, t.shares
            )
            for cell in cells
        },
        power=_power(len(_arm(ends, "gru-1")), t),
    )


def heads_not_parameters(load: Loader = experiments.load, t: Thresholds = OURS) -> Measured:
    """Heads of equal capacity, whose starts differ in a sign only.

    Two heads against two of which the second starts as the first turned over (all weights of query
    and value times -1), and bad heads against the same turned over. One wide head and eight equal
    heads, which have fewer functions to choose from, stand beside for comparison.
    """
    controls = optional(load, "head_controls", "lesson")
    beside = ""
    if controls:
        ends = _ends(controls)
        beside = "for comparison, of unequal capacity, runs aligned: " + ", ".join(
            f"{name} {_of(_aligned(ends, arm))}"
            for name, arm in (
                ("eight heads", "eight"),
                ("one head with as many parameters", "one-wide"),
                ("eight equal heads", "tied"),
            )
        )
    records = optional(load, "mirror", "lesson")
    if records is None:
        ours = f"heads and their mirror images: {NOT_MEASURED}"
        return Measured(f"{ours}; {beside}" if beside else ours, None, "", 0, {})
    ends = _ends(records)
    told = ", ".join(f"{arm} {_of(_aligned(ends, arm))}" for pair in MIRRORED for arm in pair)
    return Measured(
        f"runs aligned, small models, equal capacity: {told}; {beside}",
        _contrast(ends, *zip(*MIRRORED, strict=True)),
        "share of runs aligned with a head turned over less that without, mean of both comparisons",
        _count(ends, *(arm for pair in MIRRORED for arm in pair)),
        {
            f"{one} above {other}": exceeds(_contrast(ends, [one], [other]), 0, t.shares)
            for one, other in MIRRORED
        },
        power=_power(min(len(_arm(ends, arm)) for pair in MIRRORED for arm in pair), t),
    )


def bad_heads_fail(load: Loader = experiments.load, t: Thresholds = OURS) -> Measured:
    """Eight bad heads against seven bad ones and a good one: how often, and how soon?

    At the authors' size by both rules: theirs (copies within 200 updates) and ours (aligned, with
    as many steps as it takes).
    """
    bad, good = "eight-bad", "seven-bad-one-good"
    told, criteria, value, runs, n = [], {}, None, 0, 0
    for scale, size in SIZES.items():
        records = optional(load, "head_mix", scale)
        if records is None:
            told.append(f"{size}: {NOT_MEASURED}")
            continue
        ends = _ends(records)
        late, soon = _arm(ends, bad), _arm(ends, good)
        value = _contrast(ends, [good], [bad])
        runs, n = runs + len(late) + len(soon), min(len(late), len(soon))
        later, timed = _later(late, soon, t)
        told.append(
            f"{size}, aligned: {_of(_aligned(ends, bad))} with eight bad heads, "
            f"{_of(_aligned(ends, good))} with a good one; median step {late['step'].median():.0f} "
            f"and {soon['step'].median():.0f}; {timed}"
        )
        criteria[f"fewer bad ones align, {size}"] = exceeds(value, 0, t.shares)
        if scale == "lesson":
            criteria[f"bad ones take longer, {size}"] = later
            continue
        by = [(_by(of_arm, AUTHORS_STEPS), len(of_arm)) for of_arm in (late, soon)]
        low = (_accuracy_at(records[bad], AUTHORS_STEPS) < FAILS).sum()
        told[-1] += (
            f"; copy within {AUTHORS_STEPS} updates: {_of(by[0])} (below {FAILS} then: {low}) and "
            f"{_of(by[1])}"
        )
        value = share_contrast([by[1]], [by[0]])
        criteria[f"fewer bad ones copy within {AUTHORS_STEPS} updates, {size}"] = exceeds(
            value, 0, t.shares
        )
    if value is None:
        raise NotMeasuredError("; ".join(told))
    return Measured(
        "; ".join(told),
        value,
        "share of runs with one good head less that with none: aligned, or at the authors' size "
        f"copying within {AUTHORS_STEPS} updates",
        runs,
        criteria,
        power=_power(n, t),
    )


def starts_sort_heads(load: Loader = experiments.load, t: Thresholds = OURS) -> Measured:
    """Heads by their starts: is the outcome the same whatever the order of the data?

    Against what the shares of outcomes alone would give, were the orders independent: the sum of
    their cubes for three orders.
    """
    told, criteria, value, runs = [], {}, None, 0
    for scale, size in SIZES.items():
        records = optional(load, "head_starts", scale)
        if records is None:
            told.append(f"{size}: {NOT_MEASURED}")
            continue
        ends = _ends(records)
        runs += len(ends)
        kinds = {"our": ends["branch"].eq("aligned").map({True: "good", False: "bad"})}
        if scale != "lesson":
            at = pd.concat({arm: _accuracy_at(r, AUTHORS_STEPS) for arm, r in records.items()})
            kinds["their"] = pd.Series("between", at.index)
            kinds["their"][at >= COPIES] = "good"
            kinds["their"][at < FAILS] = "bad"
        for rule, kind in kinds.items():
            by_head = kind.unstack(0)
            good, bad = (int((by_head == name).all(axis=1).sum()) for name in ("good", "bad"))
            shares = kind.value_counts(normalize=True)
            expected = sum(shares.get(name, 0.0) ** by_head.shape[1] for name in ("good", "bad"))
            value = proportion_interval(good + bad, len(by_head))
            told.append(
                f"{size}, {rule} rule: {good} good, {bad} bad of {len(by_head)} heads, "
                f"{expected * len(by_head):.0f} expected if only the order of the data decided"
            )
            criteria[f"sorted by start, {size}, {rule} rule"] = exceeds(
                value, expected, expected + t.shares * (1 - expected)
            )
    if value is None:
        raise NotMeasuredError("; ".join(told))
    return Measured(
        "; ".join(told),
        value,
        "share of heads with the same outcome in every order of the data",
        runs,
        criteria,
        over="heads",
    )


def _ends(records: Mapping[str, Record]) -> pd.DataFrame:
    """Branch and time of every run, index arm and seed."""
    return copying.outcomes(results.frame(records))


def _arm(ends: pd.DataFrame, arm: str) -> pd.DataFrame:
    """The runs of an arm; an arm that is not there is an error."""
    runs = ends[ends.index.get_level_values("arm") == arm]
    if runs.empty:
        known = ", ".join(dict.fromkeys(ends.index.get_level_values("arm")))
        raise ResultError(f"expected runs of {arm} in the record, found {known}")
    return runs


def _aligned(ends: pd.DataFrame, arm: str) -> tuple[int, int]:
    runs = _arm(ends, arm)
    return int((runs["branch"] == "aligned").sum()), len(runs)


def _of(share: tuple[int, int]) -> str:
    return f"{share[0]} of {share[1]}"


def _contrast(ends: pd.DataFrame, these: Sequence[str], those: Sequence[str]) -> Interval:
    """Share aligned in some arms less that in others."""
    return share_contrast(*([_aligned(ends, arm) for arm in side] for side in (these, those)))


def _later(late: pd.DataFrame, soon: pd.DataFrame, t: Thresholds) -> tuple[bool | None, str]:
    """Whether some runs take longer than others, and the numbers in words."""
    groups = late["step"], late["solved"], soon["step"], soon["solved"]
    p, ratio = time_difference(*groups), time_ratio(*groups)
    told = (
        f"{ratio.estimate:.2f} [{ratio.low:.2f}, {ratio.high:.2f}] times as long, log-rank "
        f"p = {p:.0e}"
    )
    if ratio.high < t.later:
        return False, told
    return (True if p < t.p and ratio.estimate > 1 else None), told


def _half(control: Interval, value: Interval) -> Interval:
    """Half of a control less a value; the distances of independent intervals add in squares."""
    middle = control.estimate / 2 - value.estimate
    down = (((control.estimate - control.low) / 2) ** 2 + (value.high - value.estimate) ** 2) ** 0.5
    up = (((control.high - control.estimate) / 2) ** 2 + (value.estimate - value.low) ** 2) ** 0.5
    return Interval(middle, middle - down, middle + up, control.n + value.n)


def _accuracy_at(record: Record, step: int) -> pd.Series[float]:
    """Word accuracy of each run at a step; of a run that copied before, when it did.

    Raises:
        ResultError: the record keeps the ends of its runs only.
    """
    rows = record.frame().query("metric == 'token_accuracy'")
    last = rows.groupby("seed")["step"].max()
    lacking = set(last.index[last > step]) - set(rows.loc[rows["step"] == step, "seed"])
    if lacking:
        raise ResultError(
            f"expected accuracy at step {step} in the record {record.name}, found "
            f"none of {len(lacking)} runs"
        )
    return rows[rows["step"] <= step].sort_values("step").groupby("seed")["value"].last()


def _by(ends: pd.DataFrame, step: int) -> int:
    return int((ends["solved"] & (ends["step"] <= step)).sum())


def _count(ends: pd.DataFrame, *arms: str) -> int:
    return sum(len(_arm(ends, arm)) for arm in arms)


def _power(n: int, t: Thresholds) -> str:
    """How often a comparison of shares would come out which way."""
    held, _ = share_power(n, 0.9, 0.5, t.shares)
    _, refuted = share_power(n, 0.9, 0.9, t.shares)
    return (
        f"with {n} runs in each arm a comparison of shares holds with probability {held:.2f} if "
        f"they are 0.9 and 0.5, and is refuted with probability {refuted:.2f} if both are 0.9"
    )


DRIVES, HARD, HEADS = "what drives attention", "hard distribution", "multi-head experiment"
ROWS = (
    Row(
        "words-drive-attention",
        5,
        DRIVES,
        "Knowledge of words (KTIW) drives attention.",
        "supported if runs copy later after as many steps without words than after right words "
        "(log-rank p < {t.p:g}; refuted if surely less than {t.later:g} times as late), and fewer "
        "align after wrong words in both ways of teaching (refuted if surely by less than "
        "{t.shares:g}); in part if some of it holds and some is refuted",
        words_drive_attention,
        NO_NUMBER,
    ),
    Row(
        "attention-needs-words",
        5,
        DRIVES,
        "Attention cannot be learned before knowledge of words (KTIW).",
        "supported if the interval ends less than {t.trace:g} above chance, and the value is "
        "below half of both controls; refuted where the interval begins above these bounds",
        attention_needs_words,
        NO_NUMBER,
    ),
    Row(
        "hard-is-slower",
        6,
        HARD,
        "Copying is harder to learn from permutations of 40 words than from 40 of 60 words.",
        "supported if permutations take longer (log-rank p < {t.p:g}; refuted if surely less than "
        f"{{t.later:g}} times as long), and fewer of their runs copy by step {EARLY} (refuted if "
        "surely by less than {t.shares:g})",
        hard_is_slower,
        "40 of 60: all runs copy by step 40; permutations: most between steps 60 and 110, about a "
        "third are at 0.62 to 0.70 at step 190; word accuracy of six runs of the authors' code at "
        f"step {EARLY}: .99 .21 1.00 .59 .99 .11",
    ),
    Row(
        "cannot-copy",
        6,
        HARD,
        "From permutations a model cannot even learn to copy.",
        f"supported if the share of runs that do not copy within {AUTHORS_STEPS} steps is surely "
        "above {t.rare:.2f}, and of those left surely less than {t.learns:g} learn it in 100 "
        "steps; refuted where the interval lies on the other side",
        cannot_copy,
        f"about a third of the runs are at 0.62 to 0.70 at step 190, of {AUTHORS_STEPS}",
    ),
    Row(
        "several-heads-align",
        7,
        HEADS,
        "Several heads overcome the hard distribution.",
        "supported if more runs align with eight heads than with one in both cells, refuted where "
        "surely by less than {t.shares:g}",
        several_heads_align,
    ),
    Row(
        "heads-not-parameters",
        7,
        HEADS,
        "Several heads help by improving learning dynamics rather than expressiveness.",
        "supported if at equal capacity more runs align with a head and its mirror image than with "
        "two heads, and more bad heads when turned over; refuted where surely by less than "
        "{t.shares:g}",
        heads_not_parameters,
    ),
    Row(
        "bad-heads-fail",
        7,
        HEADS,
        "Models of eight heads with bad starts fail; one head with a good start is enough.",
        "supported if fewer models of eight bad heads align (refuted if surely by less than "
        "{t.shares:g}), they take longer (log-rank p < {t.p:g}; refuted if surely less than "
        f"{{t.later:g}} times as long), and at the authors' size fewer copy within {AUTHORS_STEPS} "
        "updates; in part if some of it holds and some is refuted",
        bad_heads_fail,
    ),
    Row(
        "starts-sort-heads",
        7,
        HEADS,
        "A head's start decides: some heads learn with every order of the data, others with none.",
        "supported if, by both rules (ours: aligned; theirs: copies within "
        f"{AUTHORS_STEPS} updates, or is below {FAILS}), more heads have one outcome than if only "
        "the order of the data decided; refuted if surely by less than {t.shares:g} of the rest",
        starts_sort_heads,
    ),
)
"""In the order of the scoreboard."""

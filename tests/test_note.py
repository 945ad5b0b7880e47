"""The note for researchers and its page of hypotheses say what the records say, row by row."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from scipy import stats
from test_carried import TASKS, controls, hypotheses

from lessons_lib.lab import outcomes, records
from lessons_lib.lab.outcomes import time_difference
from lessons_lib.scoreboard import claims, mirrored
from lessons_lib.scoreboard.contrasts import Runs
from lessons_lib.scoreboard.mirrored import LEVEL
from lessons_lib.scoreboard.on_heads import COPIES, FAILS, LAST_LOOK
from lessons_lib.stats import Interval, proportion_interval, seed_interval

BOOK = Path(__file__).resolve().parent.parent / "book"
NOTE, PAGE = (
    (BOOK / name).read_text(encoding="utf-8")
    for name in ("note_for_researchers.md", "note_all_hypotheses.md")
)


def rows(page: str, first: str) -> list[list[str]]:
    """The cells of those rows of a page's tables whose first cell begins so."""
    found = (line for line in page.splitlines() if re.match(rf"\| {first}", line))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in found]


def signed(value: Interval, digits: int) -> str:
    ends = (f"{part:+.{digits}f}" for part in (value.estimate, value.low, value.high))
    return "{} [{}, {}]".format(*ends)


def in_words(page: str) -> str:
    return " ".join(page.split())


ROWS = rows(PAGE, r"[CHK]\d")
TRANSFORMERS = {**records.load("carried"), **records.load("carried_controls")}
FOUND = [*mirrored.hypotheses(), *hypotheses(TRANSFORMERS), *controls(TRANSFORMERS)]
RUNS = Runs({**records.load("mirror_pairs"), **TRANSFORMERS})
ARMS = {
    "H1": ("antithetic-V-16", "random-V-16"),
    "H2, query": ("query-V-16", "random-V-16"),
    "H2, value": ("value-V-16", "random-V-16"),
    "H3": ("random-V-16", "identical-V-16"),
    "H4": ("antithetic-V-17", "random-V-17"),
    "C1": ("antithetic", "random"),
    "C2": ("antithetic", "identical"),
    "C3": ("value", "random"),
    "C4": ("query", "identical"),
    "K1": ("antithetic", "antithetic-frozen"),
    "K2": ("antithetic-frozen", "random-frozen"),
    "K3": ("antithetic-reset", "random-reset"),
}
# In the order of the page: by hypothesis, then by cell or task.
NAMES = [f"{name}, {cell}" for name in ARMS if name[0] == "H" for cell in ("LSTM", "GRU")]
NAMES += ["H5", "H6", "H7, share", "H7, time"]
NAMES += [f"{name}, {task}" for name in ("C1", "C2") for task in TASKS]
NAMES += [f"{name}, two" for name in ("C3", "C4", "K1", "K2", "K3")]


def test_it_has_every_hypothesis_that_was_measured() -> None:
    assert sorted(h.name for h in FOUND) == sorted(NAMES)


@pytest.mark.parametrize(("row", "name"), list(zip(ROWS, NAMES, strict=True)), ids=NAMES)
def test_a_row_of_its_table_is_that_of_the_records(row: list[str], name: str) -> None:
    (found,) = (h for h in FOUND if h.name == name)
    number, _, counts, difference, p, verdict = row
    assert name.startswith(number)
    assert verdict == {True: "holds", False: "refuted", None: "open"}[found.held]
    if difference:
        assert difference == signed(found.value, 0 if name == "H7, time" else 2)  # steps, or shares
    if found.corrected is not None:
        assert float(p) == pytest.approx(
            found.corrected, rel=0.5 if found.corrected < 0.01 else 0.2
        )
    kind, _, cell = name.rpartition(", ")
    if kind in ARMS:
        (one, of), (other, _) = (RUNS.aligned(f"{cell.lower()}-{arm}") for arm in ARMS[kind])
        assert counts == f"{one} and {other} of {of}"


def test_single_heads_are_counted_over_starts_and_orders() -> None:
    kinds = outcomes.classify_starts(records.frame(records.load("head_starts", "lesson")))
    each = Runs(records.load("turned_heads", "lesson")).ends["branch"].eq("aligned").unstack("arm")
    over = each.columns.str.startswith("turned")
    counts = {
        kind: [int(of.loc[:, side].to_numpy().sum()) for side in (~over, over)] + [3 * len(of)]
        for kind, of in each.groupby(kinds)
    }
    told = {row[0]: row[2] for row in ROWS}
    assert told["H5"] == "{1} and {0} of {2}".format(*counts["bad"])
    assert told["H6"] == "{} and {} of {}".format(*counts["good"])
    plain, turned, of = counts["mixed"]
    said = f"The {of // 3} mixed heads align in {plain} of {of} runs as they are, and in {turned} "
    assert said + "turned over." in in_words(NOTE)
    assert f"in {turned} of {of} runs turned over, and in {plain} of {of}" in in_words(PAGE)


def test_models_of_eight_heads_are_counted() -> None:
    runs = Runs(records.load("turned_models", "lesson"))
    arms = ("eight-bad-turned", "eight-bad", "eight-random")
    (turned, of), (plain, _), (random, _) = map(runs.aligned, arms)
    (row,) = (row for row in ROWS if row[0] == "H7" and row[2])
    assert row[2] == f"{turned} and {plain} of {of}"
    steps = [int(runs.ends.loc[arm].step.median()) for arm in arms]
    text = in_words(NOTE)
    assert f"align in {random} of {of}, after {steps[2]} steps (median)" in in_words(PAGE)
    for told in (
        f"Eight bad heads align in {plain} of {of} models, after {steps[1]} steps (median);",
        f"the same heads turned over in all {turned}, after {steps[0]},",
        f"where eight random heads need {steps[2]} and align in {random}.",
    ):
        assert told in text


def test_translators_are_compared_by_seed() -> None:
    """T1 to T3, as they are registered in ``registered/2026-11-29-translators.md``."""
    made = records.load("translated", "lesson")

    def last(arm: str, metric: str) -> pd.Series[float]:
        of_arm = made[arm].frame().query("metric == @metric").sort_values("step")
        return of_arm.groupby("seed")["value"].last()

    assert {len(record.seeds) for record in made.values()} == {6}
    wanted, tight = [], {}
    for name, metric, most, digits in (
        ("T1", "rise/attention", 30, 0),
        ("T2", "lag", 30, 0),
        ("T3", "attention/gold", 0.03, 2),
    ):
        arms = [last(arm, metric) for arm in ("antithetic", "random", "identical")]
        differences = [seed_interval(arms[0] - other) for other in arms[1:]]
        found = all(d.low > 0 or d.high < 0 for d in differences)
        excluded = all(-most < d.low and d.high < most for d in differences)
        sign = "more" if differences[0].estimate > 0 else "less"
        verdict = f"found: {sign}" if found else "excluded" if excluded else "open"
        means = [f"{arm.mean():.{digits}f} ({arm.std():.{digits}f})" for arm in arms]
        for mean, d in zip(means[1:], differences, strict=True):
            wanted.append([name, f"{means[0]} and {mean}", signed(d, digits), verdict])
        tight[name] = [f"{-d.estimate:.2f} [{-d.high:.2f}, {-d.low:.2f}]" for d in differences]
    assert [[row[0], *row[2:]] for row in rows(PAGE, r"T\d")] == wanted
    at_end = (
        "fewer words than that of two random heads, by {}, or of a head and its copy, by {} (T3)"
    )
    assert at_end.format(*tight["T3"]) in in_words(NOTE)
    assert [row[-1] for row in wanted] == ["open"] * 4 + ["found: less"] * 2
    assert "When attention rises (T1), and its lag behind words (T2), are open" in in_words(NOTE)


def test_heads_at_the_papers_size_are_sorted_and_turned_over() -> None:
    sorting, turning = (
        Runs(records.load(name, "bfloat16")) for name in ("head_starts", "turned_heads")
    )
    sides = ["as-it-is-order-2001", "turned-order-2001"]

    def by_rule(end: bool) -> tuple[pd.Series[str], pd.DataFrame]:
        """Kinds of heads by the authors' rule, and which copy as they are, and turned over."""
        at, then = (
            pd.DataFrame({arm: runs.accuracy(arm, LAST_LOOK, end=end) for arm in arms})
            for runs, arms in ((sorting, sorting.records), (turning, sides))
        )
        good, bad = (at >= COPIES).all(axis=1), (at < FAILS).all(axis=1)
        kinds = pd.Series("mixed", at.index).mask(good, "good").mask(bad, "bad")
        return kinds, then >= COPIES

    def counted(kinds: pd.Series[str], does: pd.DataFrame) -> dict[object, list[int]]:
        return {kind: [len(of), *of.sum()] for kind, of in does.groupby(kinds)}

    kinds, copies = by_rule(end=False)
    aligned = turning.ends["branch"].eq("aligned").unstack("arm")[sides]
    counts, ours, p = counted(kinds, copies), counted(kinds, aligned), {}
    for kind, of in copies.groupby(kinds):
        lost, won = (int((of[a] & ~of[b]).sum()) for a, b in (sides, sides[::-1]))
        more = lost if kind == "good" else won
        p[kind] = stats.binomtest(more, won + lost, alternative="greater").pvalue
    assert p["bad"] > LEVEL > 2 * p["good"]
    told = "of {0} good heads {1} copy by update {3} as they are, and {2} turned over"
    for said in (
        f"P6 holds: {told.format(*counts['good'], LAST_LOOK)}",
        f"by Holm: P = {2 * p['good']:.3f})",
        "P5 stays open: of {} bad heads {} and {} do".format(*counts["bad"]),
        f"three cannot decide (P = {p['bad']:.2f})",
        "Of the {} heads in between, {} and {} do".format(*counts["mixed"]),
        f"(on their own, P = {p['mixed']:.2f})",
    ):
        assert said in in_words(NOTE)
    wanted = [
        [name, f"{counts[kind][0]} {called}"]
        + ["{1} and {2}".format(*of[kind]) for of in (counts, ours)]
        + [shown, verdict]
        for name, kind, called, shown, verdict in (
            ("P5", "bad", "bad", f"{p['bad']:.2f}", "open"),
            ("P6", "good", "good", f"{2 * p['good']:.3f}", "holds"),
            ("–", "mixed", "between", f"{p['mixed']:.2f}", ""),
        )
    ]
    assert rows(PAGE, "(P[56]|–) ") == wanted
    sharper = outcomes.classify_starts(records.frame(sorting.records)), aligned
    theirs = counted(*by_rule(end=True))
    told = f"their rule: {theirs['good'][0]} good, {theirs['bad'][0]} bad of"
    assert told in claims.rows()["starts-sort-heads"]().found.ours, "so does the scoreboard"
    for does, found in (
        ("{} heads are good ({} copy as they are", theirs),
        ("{} good ({} align as they are", counted(*sharper)),
    ):
        told = f"{does}, {{}} turned over), {{}} bad ({{}} and {{}}), {{}} mixed ({{}} and {{}})."
        each = [n for kind in ("good", "bad", "mixed") for n in found[kind]]
        assert told.format(*each) in in_words(PAGE)


def test_all_arms_of_transformers_are_shown() -> None:
    wanted = []
    for arm in TRANSFORMERS:
        k, n = RUNS.aligned(arm)
        share = proportion_interval(k, n)
        shown = f"{share.estimate:.2f} [{share.low:.2f}, {share.high:.2f}]"
        wanted.append([f"`{arm}`", f"{k} of {n}", shown, RUNS.median(arm)])
    assert rows(PAGE, "`") == wanted
    text, told = in_words(NOTE), {arm: RUNS.aligned(arm)[0] for arm in TRANSFORMERS}
    numbers = [told[f"{task}-{kind}"] for task in TASKS for kind in ("antithetic", "random")]
    said = "Of 48 runs images and random heads align in {} and {} (two heads), {} and {} (four), "
    assert (said + "{} and {} (ranking):").format(*numbers) in text
    assert f"held at its start insures nothing ({told['two-antithetic-frozen']} of 48 runs)" in text
    assert f"are as well insured ({told['two-antithetic-reset']})" in text
    held = {h.name: h.held for h in FOUND}
    first = [held[f"C1, {task}"] for task in TASKS]
    assert (first, {held[f"C2, {task}"] for task in TASKS}) == ([True, None, True], {True})
    assert (held["C3, two"], held["C4, two"]) == (None, None)


def test_what_an_image_costs_in_steps() -> None:
    medians, wanted = [], []
    for cell in ("LSTM", "GRU"):
        for vocab, says in ((16, "no spare word"), (17, "one spare word")):
            arms = [f"{cell.lower()}-{kind}-V-{vocab}" for kind in ("antithetic", "random")]
            ends = [RUNS.of(arm) for arm in arms]
            assert all(end.solved.all() for end in ends)
            p = time_difference(*(end[c] for end in ends for c in ("step", "solved")))
            assert p < 1e-4
            medians.append([RUNS.median(arm) for arm in arms])
            wanted.append([cell, says, *medians[-1], f"{p:.0e}".replace("e-0", "e-")])
    assert rows(PAGE, "(LSTM|GRU) ") == wanted
    (sooner, later), (gru_sooner, gru_later) = medians[:2], medians[2:]
    text = in_words(NOTE)
    told = "after {} steps against {} (LSTM, median), {} against {} (GRU); without one they copy"
    assert told.format(*later, *gru_later) in text
    assert "sooner, after {} against {} and {} against {} (log".format(*sooner, *gru_sooner) in text


def test_the_table_of_the_note_is_that_of_the_page() -> None:
    """Counts, P and verdicts of both cells in a row; H5 to H7 have a GRU only."""
    wanted = []
    for names in (["H1"], ["H2", "query"], ["H2", "value"], ["H3"], ["H4"], ["H5"], ["H6"], ["H7"]):
        part = [row for row in ROWS if row[0] == names[0] and row[2]]
        if len(names) > 1:
            first = next(k for k, row in enumerate(part) if names[1] in row[1])
            part = part[first : first + 2]
        counts, of = zip(*(row[2].split(" of ") for row in part), strict=True)
        cells = [
            c + (f", P = {row[4]}" if row[4] else "") for c, row in zip(counts, part, strict=True)
        ]
        verdicts = dict.fromkeys(row[5] for row in part)
        wanted.append([names[0], *[""] * (2 - len(part)), *cells, of[0], "; ".join(verdicts)])
        assert len(set(of)) == 1
    assert [[row[0], *row[2:]] for row in rows(NOTE, r"H\d")] == wanted


def test_products_in_bfloat16_and_in_float32_have_the_same_outcome() -> None:
    for name, arm in (("hard_distribution", "hard"), ("head_starts", "order-1")):
        short, full = (records.load(name, scale)[arm] for scale in ("bfloat16", "full-size"))
        assert {**short.config, "bfloat16": False} == full.config
        ends = [outcomes.of_runs(one.frame()).loc[:16] for one in (short, full)]
        pd.testing.assert_frame_equal(ends[0], ends[1])
        assert len(ends[0]) == 16
    told = "16 copiers and 16 heads of that size, trained in float32, too, took the same branch"
    assert told in in_words(NOTE)

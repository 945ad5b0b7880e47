"""The note for researchers says what the records say: each row of its table is computed again."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from scipy import stats
from test_carried import TASKS, controls, hypotheses

from lessons_lib.lab import outcomes, records
from lessons_lib.scoreboard import mirrored
from lessons_lib.scoreboard.contrasts import Runs
from lessons_lib.scoreboard.on_heads import COPIES, FAILS, LAST_LOOK
from lessons_lib.stats import seed_interval

PAGE = Path(__file__).resolve().parent.parent / "book" / "note_for_researchers.md"
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if re.match(r"\| [CHK]\d", line)
]
TRANSFORMERS = {**records.load("carried"), **records.load("carried_controls")}
FOUND = [*mirrored.hypotheses(), *hypotheses(TRANSFORMERS), *controls(TRANSFORMERS)]
PAIRS = {
    "H1": ("antithetic-V-16", "random-V-16"),
    "H2, query": ("query-V-16", "random-V-16"),
    "H2, value": ("value-V-16", "random-V-16"),
    "H3": ("random-V-16", "identical-V-16"),
    "H4": ("antithetic-V-17", "random-V-17"),
}
CARRIED = {
    "C1": ("antithetic", "random"),
    "C2": ("antithetic", "identical"),
    "C3": ("value", "random"),
    "C4": ("query", "identical"),
    "K1": ("antithetic", "antithetic-frozen"),
    "K2": ("antithetic-frozen", "random-frozen"),
    "K3": ("antithetic-reset", "random-reset"),
}
# In the order of the page: by hypothesis, then by cell or task.
NAMES = [f"{name}, {cell}" for name in PAIRS for cell in ("LSTM", "GRU")]
NAMES += ["H5", "H6", "H7, share", "H7, time"]
NAMES += [f"{name}, {task}" for name in ("C1", "C2") for task in TASKS]
NAMES += [f"{name}, two" for name in ("C3", "C4", "K1", "K2", "K3")]


def test_it_has_every_hypothesis_that_was_measured() -> None:
    assert sorted(h.name for h in FOUND) == sorted(NAMES)
    assert len(ROWS) == len(NAMES)


@pytest.mark.parametrize(("row", "name"), list(zip(ROWS, NAMES, strict=True)), ids=NAMES)
def test_a_row_of_its_table_is_that_of_the_records(row: list[str], name: str) -> None:
    (found,) = (h for h in FOUND if h.name == name)
    number, _, counts, difference, p, verdict = row
    assert name.startswith(number)
    assert verdict == {True: "holds", False: "refuted", None: "open"}[found.held]
    value = found.value
    if difference:
        digits = 0 if name == "H7, time" else 2  # steps, else shares
        ends = (f"{part:+.{digits}f}" for part in (value.estimate, value.low, value.high))
        shown = "{} [{}, {}]".format(*ends)
        assert difference == shown
    if found.corrected is not None:
        assert float(p) == pytest.approx(
            found.corrected, rel=0.5 if found.corrected < 0.01 else 0.2
        )
    kind, _, cell = name.rpartition(", ")
    if kind in PAIRS | CARRIED:
        runs = Runs(records.load("mirror_pairs") if kind in PAIRS else TRANSFORMERS)
        told = [runs.aligned(f"{cell.lower()}-{arm}") for arm in (PAIRS | CARRIED)[kind]]
        assert counts == f"{told[0][0]} and {told[1][0]} of {told[0][1]}"


def test_single_heads_are_counted_over_starts_and_orders() -> None:
    kinds = outcomes.classify_starts(records.frame(records.load("head_starts", "lesson")))
    aligned = Runs(records.load("turned_heads", "lesson")).ends["branch"].eq("aligned")
    for name, kind, turned_first in (("H5", "bad", True), ("H6", "good", False)):
        of_kind = aligned[aligned.index.get_level_values("seed").isin(kinds.index[kinds == kind])]
        over = of_kind.index.get_level_values("arm").str.startswith("turned")
        sides = (int(of_kind[over].sum()), int(of_kind[~over].sum()))
        first, second = sides if turned_first else sides[::-1]
        (row,) = (row for row in ROWS if row[0] == name)
        assert row[2] == f"{first} and {second} of {int(over.sum())}"


def test_models_of_eight_heads_are_counted() -> None:
    runs = Runs(records.load("turned_models", "lesson"))
    arms = ("eight-bad-turned", "eight-bad", "eight-random")
    (turned, of), (plain, _), (random, _) = map(runs.aligned, arms)
    (row,) = (row for row in ROWS if row[0] == "H7" and row[2])
    assert row[2] == f"{turned} and {plain} of {of}"
    steps = [int(runs.ends.loc[arm].step.median()) for arm in arms]
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    for told in (
        f"Eight bad heads align in {plain} of {of} models, after {steps[1]} steps (median);",
        f"the same heads turned over in all {turned}, after {steps[0]},",
        f"where eight random heads need {steps[2]} and align in {random}.",
    ):
        assert told in text


def test_translators_are_compared_by_seed() -> None:
    made = records.load("translated", "lesson")

    def last(arm: str, metric: str) -> pd.Series[float]:
        rows = made[arm].frame().query("metric == @metric").sort_values("step")
        return rows.groupby("seed")["value"].last()

    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    assert {len(record.seeds) for record in made.values()} == {6}
    assert "two heads, six seeds in each arm, 700 updates" in text
    at_gold = {arm: last(arm, "attention/gold").mean() for arm in made}
    shares = [at_gold[arm] for arm in ("antithetic", "random", "identical")]
    told_of = "{:.2f} of the words at the end, of two random heads for {:.2f}, "
    assert (told_of + "of a head and its copy for {:.2f}").format(*shares) in text
    differences = {
        metric: [
            seed_interval(last(other, metric) - last("antithetic", metric))
            for other in ("random", "identical")
        ]
        for metric in ("attention/gold", "lag")
    }
    told = [f"{d.estimate:.2f} [{d.low:.2f}, {d.high:.2f}]" for d in differences["attention/gold"]]
    assert "*less* by {} and {}.".format(*told) in text
    less, more = differences["lag"]
    assert f"shorter by {less.estimate:.0f} steps [{less.low:.0f}, {less.high:.0f}]" in text
    assert f"longer by {-more.estimate:.0f} [{-more.high:.0f}, {-more.low:.0f}]" in text


def test_heads_at_the_papers_size_are_sorted_and_turned_over() -> None:
    sorting, turning = (
        Runs(records.load(name, "bfloat16")) for name in ("head_starts", "turned_heads")
    )
    at = pd.DataFrame({arm: sorting.accuracy(arm, LAST_LOOK) for arm in sorting.records})
    kinds = {"good": (at >= COPIES).all(axis=1), "bad": (at < FAILS).all(axis=1)}
    kinds["mixed"] = ~(kinds["good"] | kinds["bad"])
    sides = ("as-it-is-order-2001", "turned-order-2001")
    copies = pd.DataFrame({arm: turning.accuracy(arm, LAST_LOOK) >= COPIES for arm in sides})
    counts = {name: (int(of.sum()), *copies[of].sum()) for name, of in kinds.items()}
    p = {}
    for name, (more, less) in {"good": sides, "bad": sides[::-1]}.items():
        of = copies[kinds[name]]
        won, lost = (int((of[a] & ~of[b]).sum()) for a, b in ((more, less), (less, more)))
        p[name] = stats.binomtest(won, won + lost, alternative="greater").pvalue
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    told = "{1} of the {0} good heads copy by update {3} as they are, and {2} turned over"
    assert f"P6 holds: with the fourth order {told.format(*counts['good'], LAST_LOOK)}" in text
    assert f"by Holm: $p$ = {2 * p['good']:.3f})" in text
    assert f"three cannot decide ($p$ = {p['bad']:.2f})" in text
    starts = outcomes.classify_starts(records.frame(sorting.records))
    aligned = turning.ends["branch"].eq("aligned").unstack("arm")
    by_ours = {kind: aligned[starts == kind][sides[1]] for kind in ("good", "bad")}
    sharper = [number for kind in by_ours.values() for number in (len(kind), int(kind.sum()))]
    for told, numbers in (
        ("of the {} bad heads {} and {} do,", counts["bad"]),
        ("The {} heads between go from {} to {}.", counts["mixed"]),
        (
            "{} align with each of the three orders, and turned over {} of them; "
            "{} with none, and turned over all {}.",
            sharper,
        ),
    ):
        assert told.format(*numbers) in text

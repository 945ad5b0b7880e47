"""The scoreboard on a page: whatever a row says is in it, for every reader and on every screen."""

from typing import Any, get_args
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from test_plots import contrast

from lessons_lib.lab import records
from lessons_lib.scoreboard import claims
from lessons_lib.scoreboard.claim import Claim, Measured, Row, Verdict
from lessons_lib.scoreboard.show import LOOKS, ClaimsTable, costs, verdicts
from lessons_lib.stats import Interval


def claim(row: str, verdict: Verdict, part: str = "two stages", **words: str) -> dict[str, Any]:
    ours, value = words.get("ours", "de-en 0.5, en-de 0.6"), Interval(0.55, 0.41, 0.69, n=7)
    found = Measured(ours, value, "share of words", 14, {"above 0.4": True})
    published, rule = words.get("published", "0.62"), words.get("rule", "supported if above 0.4")
    made = Row(row, 4, part, f"Claim of {row}.", "", lambda *_: found, published)
    return Claim(made, rule, found, verdict, "small").to_dict()


THREE = pd.DataFrame(
    [
        claim("words-first", "supported"),
        claim("never-copies", "in part", "hard distribution"),
        claim("xi-high", "not supported", published="see the paper"),
    ]
)


def soup(rows: pd.DataFrame) -> BeautifulSoup:
    page = ClaimsTable(rows)._repr_html_()
    ElementTree.fromstring(page.replace("<br>", ""))  # each element is closed where it should be
    return BeautifulSoup(page, "html.parser")


def test_a_row_of_the_table_says_all_that_is_known_of_a_claim() -> None:
    for row, body in zip(THREE.itertuples(), soup(THREE).select("tbody"), strict=True):
        name, ours, runs, verdict, more = (cell.get_text() for cell in body.select("th, td"))
        assert body["id"] == f"claim-{row.row}", "a link can lead to a row"
        assert name == f"{row.claim}{row.part}; chapter 4"
        assert ours == "0.550 [0.410, 0.690]share of words; 95%, over 7 runs"
        assert (runs, verdict.strip()) == (str(row.runs), row.verdict)
        told = (row.published, row.ours, row.rule, row.setup, row.reasons)
        assert all(str(text) in more for text in told)
        assert more.endswith(f"python -m lessons_lib.scoreboard again {row.row}")


def test_each_cell_is_named_by_its_heading_for_narrow_screens_and_for_the_blind() -> None:
    table = soup(THREE)
    labels = [cell["data-label"] for cell in table.select("[data-label]")]
    assert labels == [cell.get_text() for cell in table.select("thead th")][1:] * 3
    assert [cell["scope"] for cell in table.select("th")] == ["col"] * 4 + ["rowgroup"] * 3
    # A cell that is laid out as a block is no cell to a screen reader, unless it says so.
    roles = {"table", "rowgroup", "row", "cell", "columnheader", "rowheader"}
    parts = table.select("table, thead, tbody, tr, th, td")
    assert {part.get("role") for part in parts} == roles


def test_what_looks_like_html_is_text_and_what_is_not_known_is_left_out() -> None:
    words = {"ours": "a < b & <b>c</b>", "rule": "p < 0.05", "published": ""}
    rows = pd.DataFrame([claim("odd", "supported", **words)])
    more = soup(rows).select("td")[-1]
    assert f"In full {words['ours']}" in more.get_text()
    assert f"Rule {words['rule']}" in more.get_text()
    assert len(more.select("b")) == 5, "only our own labels"
    assert "paper" not in ClaimsTable(rows)._repr_html_() + repr(ClaimsTable(rows))


@pytest.mark.parametrize("page", ["#FFFFFF", "#121212", "#222832"], ids=["light", "dark", "card"])
def test_a_circle_can_be_seen_on_any_page_and_is_not_told_by_colour_alone(page: str) -> None:
    assert set(LOOKS) == set(get_args(Verdict))
    assert all(contrast(look.colour, page) >= 3 for look in LOOKS.values()), "WCAG 2, 1.4.11"
    assert len({(look.filled, look.mark) for look in LOOKS.values()}) == len(LOOKS)


def test_without_html_there_is_text() -> None:
    first, *blocks = repr(ClaimsTable(THREE)).split("\n\n")
    assert first == "3 claims: 1 supported, 1 in part, 0 undecided, 1 not supported."
    for row, block in zip(THREE.to_dict("records"), blocks, strict=True):
        assert block.startswith(f"{row['row']}: {row['verdict']}\n")
        for name in ("claim", "part", "published", "ours", "interval", "rule", "reasons", "runs"):
            assert str(row[name]) in block
        assert block.endswith(f"again: {row['command']}")


def test_a_figure_has_a_circle_for_each_claim_in_the_column_of_its_verdict() -> None:
    ax = verdicts(THREE)
    columns = dict(zip(ax.get_xticks(), (t.get_text() for t in ax.get_xticklabels()), strict=True))
    rows = dict(zip(ax.get_yticks(), (t.get_text() for t in ax.get_yticklabels()), strict=True))
    found = {}
    for line in ax.lines:
        if line.get_gid():
            x, y = np.ravel(np.asarray(line.get_data(), dtype=float))
            found[rows[y]] = (columns[x], line.get_fillstyle())
    wanted = {"words first": ("supported", "full"), "never copies": ("in part", "left")}
    assert found == {**wanted, "ξ high": ("not supported", "none")}
    assert list(rows.values())[2] == "never copies", "claims of one part stand together"


def test_a_row_costs_what_its_records_took(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"hard-is-slower": "hard_distribution, full-size"}
    told |= {"attention-needs-words": "asymmetry, lesson"}
    monkeypatch.setattr(claims, "ROWS", [claims.rows()[row] for row in told])
    found = costs()
    assert found["seconds"].is_monotonic_increasing, "the cheapest first"
    assert found["experiment"].to_dict() == told
    for row, experiment in told.items():
        arms = records.load(*experiment.split(", ")).values()
        seconds = sum(record.wall_seconds for record in arms)
        jobs = sum(len(record.seeds) for record in arms)
        assert list(found.loc[row, ["jobs", "seconds"]]) == [jobs, pytest.approx(seconds)]

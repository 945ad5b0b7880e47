"""The scoreboard on a page: whatever a row says is in it, for every reader and on every screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from typing import Any, get_args

import pandas as pd
import pytest
from matplotlib import pyplot as plt

from lessons_lib.lab.records import NotMeasuredError, Record, make_record
from lessons_lib.scoreboard import claims
from lessons_lib.scoreboard.claim import Claim, Loader, Measured, Row, Thresholds, Verdict
from lessons_lib.scoreboard.show import LOOKS, ClaimsTable, costs, summary, verdicts
from lessons_lib.stats import Interval


def claim(row: str, verdict: Verdict, part: str = "two stages", **changed: Any) -> Claim:
    words = {"published": "0.62", "rule": "supported if above 0.4", "setup": "small", **changed}
    found = Measured(
        words.get("ours", "de-en 0.5, en-de 0.6"),
        Interval(0.55, 0.41, 0.69, n=7),
        "share of words",
        words.get("runs", 14),
        {"above 0.4": True},
    )
    made = Row(row, 4, part, f"Claim of {row}.", "", lambda *_: found, words["published"])
    return Claim(made, words["rule"], found, verdict, words["setup"])


def frame(*given: Claim) -> pd.DataFrame:
    return pd.DataFrame([one.to_dict() for one in given])


THREE = frame(
    claim("words-first", "supported"),
    claim("never-copies", "in part", "hard distribution", runs=24),
    claim("xi-high", "not supported", published="see the paper"),
)


class Cells(HTMLParser):
    """The text of each cell, row group by row group, in order; and the tags that were opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.groups: list[list[str]] = []
        self.headings: list[str] = []
        self.caption = ""
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "br":
            return
        self._open.append(tag)
        if tag == "tbody":
            self.groups.append([])
        if tag in ("th", "td"):
            (self.groups[-1] if self.groups else self.headings).append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, "each element is closed where it should be"

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            return
        if "caption" in self._open:
            self.caption += data
        elif "th" in self._open or "td" in self._open:
            cells = self.groups[-1] if self.groups else self.headings
            cells[-1] += data


def html_of(rows: pd.DataFrame) -> str:
    return ClaimsTable(rows)._repr_html_()


def test_a_row_of_the_table_says_all_that_is_known_of_a_claim() -> None:
    table = Cells(html_of(THREE))
    assert len(table.groups) == 3
    ids = [attrs["id"] for tag, attrs in table.tags if tag == "tbody"]
    assert ids == [f"claim-{row}" for row in THREE.row], "a link can lead to a row"
    for row, cells in zip(THREE.itertuples(), table.groups, strict=True):
        name, published, ours, runs, verdict, more = cells
        assert name == f"{row.claim}{row.part}; chapter 4"
        assert published == row.published
        assert ours == "0.550 [0.410, 0.690]share of words; 95%, over 7 runs"
        assert (runs, verdict.strip()) == (str(row.runs), row.verdict)
        assert str(row.ours) in more
        assert all(str(text) in more for text in (row.rule, row.setup, row.reasons))
        assert more.endswith(f"python -m lessons_lib.scoreboard again {row.row}")


def test_each_cell_is_named_by_its_heading_for_narrow_screens_and_for_the_blind() -> None:
    table = Cells(html_of(THREE))
    labels = [attrs["data-label"] for tag, attrs in table.tags if "data-label" in attrs]
    assert labels == table.headings[1:] * 3
    scopes = [attrs.get("scope") for tag, attrs in table.tags if tag == "th"]
    assert scopes == ["col"] * 5 + ["rowgroup"] * 3
    # A cell that is laid out as a block is no cell to a screen reader, unless it says so.
    roles = {"table", "rowgroup", "row", "cell", "columnheader", "rowheader"}
    for tag, attrs in table.tags:
        if tag in ("table", "thead", "tbody", "tr", "th", "td"):
            assert attrs.get("role") in roles, tag
    assert table.caption == f"{summary(THREE)}."


def test_what_looks_like_html_is_text() -> None:
    odd = claim("odd", "supported", ours="a < b & <b>c</b>", rule="p < 0.05", published='"x"')
    text = html_of(frame(odd))
    cells = Cells(text).groups[0]
    assert "a < b & <b>c</b>" in cells[-1]
    assert "p < 0.05" in cells[-1]
    assert cells[1] == '"x"'
    assert text.count("<b>") == 5, "only our own labels"


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("page", ["#FFFFFF", "#121212", "#222832"], ids=["light", "dark", "card"])
@pytest.mark.parametrize("verdict", LOOKS)
def test_a_circle_can_be_seen_on_any_page(verdict: Verdict, page: str) -> None:
    darker, lighter = sorted((luminance(LOOKS[verdict].colour), luminance(page)))
    assert (lighter + 0.05) / (darker + 0.05) >= 3, "WCAG 2, 1.4.11"


def test_no_verdict_is_told_by_colour_alone() -> None:
    assert set(LOOKS) == set(get_args(Verdict))
    assert len({(look.filled, look.mark) for look in LOOKS.values()}) == len(LOOKS)
    assert len({look.colour for look in LOOKS.values()}) == len(LOOKS)
    text = html_of(THREE)
    assert text.count('<i aria-hidden="true"></i> <strong>') == 3


def test_without_html_there_is_text() -> None:
    text = repr(ClaimsTable(THREE))
    first, *blocks = text.split("\n\n")
    assert first == "3 claims: 1 supported, 1 in part, 0 undecided, 1 not supported."
    assert len(blocks) == 3
    for row, block in zip(THREE.itertuples(), blocks, strict=True):
        assert block.startswith(f"{row.row}: {row.verdict}\n")
        for value in (row.claim, row.part, row.published, row.ours, row.interval, row.rule):
            assert str(value) in block
        assert "reasons: above 0.4: holds" in block
        assert f"runs: {row.runs}" in block
        assert block.endswith(f"again: {row.command}")


def test_a_summary_counts_what_is_not_there_too() -> None:
    one = frame(claim("words-first", "in part"))
    assert summary(one) == "1 claim: 0 supported, 1 in part, 0 undecided, 0 not supported"


def test_an_empty_table_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one claim"):
        ClaimsTable(THREE[:0])


def test_a_figure_has_a_circle_for_each_claim_in_the_column_of_its_verdict() -> None:
    apart = frame(
        claim("one", "supported", "b"),
        claim("two", "not supported", "a"),
        claim("six", "in part", "b"),
    )
    ax = verdicts(apart)
    columns = {
        round(x): label.get_text()
        for x, label in zip(ax.get_xticks(), ax.get_xticklabels(), strict=True)
    }
    rows = {
        round(y, 3): label.get_text()
        for y, label in zip(ax.get_yticks(), ax.get_yticklabels(), strict=True)
    }
    found = {}
    for line in ax.lines:
        if line.get_gid():
            x, y = map(float, (line.get_xdata()[0], line.get_ydata()[0]))  # type: ignore[index,arg-type]
            found[rows[round(y, 3)]] = (columns[round(x)], line.get_fillstyle())
    assert found == {
        "one": ("supported", "full"),
        "two": ("not", "none"),
        "six": ("in part", "left"),
    }
    assert list(rows.values()) == ["one", "six", "two"], "claims of one part stand together"
    assert [text.get_text() for text in ax.texts if text.get_text()] == ["B", "A"]
    _, (left, right) = plt.subplots(1, 2)
    assert verdicts(THREE, ax=right) is right
    assert not left.lines
    plt.close("all")


def runs(arm: str, seeds: Sequence[int], seconds: float) -> Record:
    rows = [{"seed": seed, "step": 1, "metric": "m", "value": 1.0} for seed in seeds]
    return make_record(arm, {}, rows, device="cpu", wall_seconds=seconds)


def test_a_row_costs_what_its_records_took(monkeypatch: pytest.MonkeyPatch) -> None:
    there: Mapping[str, dict[str, Record]] = {
        "long": {"a": runs("a", (1, 2, 3), 50), "b": runs("b", (1, 2, 3, 4, 5), 20)},
        "short": {"c": runs("c", (1, 2), 7)},
    }
    asked = []

    def load(name: str, scale: str) -> dict[str, Record]:
        asked.append(name)
        return there[name]

    def both(load: Loader, t: Thresholds) -> Measured:
        load("long", "paper")
        load("short", "lesson")
        return claim("both", "supported").found

    def quick(load: Loader, t: Thresholds) -> Measured:
        load("short", "lesson")
        load("short", "lesson")
        return claim("quick", "supported").found

    def missing(load: Loader, t: Thresholds) -> Measured:
        raise NotMeasuredError("none")

    made = (Row(m.__name__, 4, "", "", "", m) for m in (both, quick, missing))
    monkeypatch.setattr(claims, "ROWS", tuple(made))
    found = costs(load)
    assert list(found.index) == ["quick", "both"], "the cheapest first"
    assert found.loc["quick"].to_dict() == {
        "experiment": "short, lesson",
        "seeds": 2,
        "jobs": 2,
        "seconds": 7,
    }
    assert found.loc["both"].to_dict() == {
        "experiment": "long, paper; short, lesson",
        "seeds": 2,
        "jobs": 10,
        "seconds": 77,
    }
    assert sorted(asked) == ["long", "short"], "each is loaded once"

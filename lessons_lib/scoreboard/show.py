"""The scoreboard as a page shows it: a table for any front-end, a figure, and what a row costs."""

import html
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from lessons_lib.scoreboard import claims
from lessons_lib.scoreboard.claim import Loader, Noting, Verdict, checked


class Look(NamedTuple):
    """How a verdict is drawn: a circle, how far it is filled, its colour, and a mark in it.

    Colour-blind readers tell the colours apart, whose contrast on any page is 3:1 and more.
    """

    filled: Literal["none", "left", "full"]
    colour: str
    mark: str = ""


LOOKS: Mapping[Verdict, Look] = {
    "not supported": Look("none", "#BF4F8C"),
    "undecided": Look("none", "#7A7A7A", "?"),
    "in part": Look("left", "#B9770E"),
    "supported": Look("full", "#2A84C6"),
}
"""From worse to better."""
HEADINGS = ("Claim", "Ours, interval", "Runs", "Verdict")


@dataclass(frozen=True)
class ClaimsTable:
    """The scoreboard as an HTML table, on a narrow screen as cards, or as text."""

    rows: pd.DataFrame  #: of ``claims.scoreboard``

    def __repr__(self) -> str:
        blocks = map(claims.in_words, self.rows.to_dict("records"))
        return "\n\n".join([f"{summary(self.rows)}.", *blocks])

    def _repr_html_(self) -> str:
        heads = "".join(f'<th scope="col" role="columnheader">{name}</th>' for name in HEADINGS)
        bodies = "\n".join(map(_body, self.rows.to_dict("records")))
        return (
            f'<div class="lessons-claims">\n<style>{_STYLE}</style>\n'
            '<table class="lessons-claims-table" role="table">\n'
            f"<caption>{summary(self.rows)}.</caption>\n"
            f'<thead role="rowgroup"><tr role="row">{heads}</tr></thead>\n{bodies}\n'
            "</table>\n</div>"
        )


def _body(row: Mapping[Any, Any]) -> str:
    """Two lines of the table for one claim: what there is to compare, and how to check it."""
    text = {name: html.escape(str(value)) for name, value in row.items()}
    value, _, meaning = text["interval"].partition(": ")
    filled, colour, mark = LOOKS[row["verdict"]]
    share = {"none": 0, "left": 50, "full": 100}[filled]
    contents = (
        f'<strong class="is-value">{value}</strong><br>{meaning}',
        text["runs"],
        f'<i aria-hidden="true" data-mark="{mark}"></i> <strong>{text["verdict"]}</strong>',
    )
    first = "".join(
        f'<td role="cell" data-label="{label}"><div>{content}</div></td>'
        for label, content in zip(HEADINGS[1:], contents, strict=True)
    )
    there = {label: text[name] for label, name in claims.MORE.items() if text[name]}
    rest = "".join(f"<p><b>{label}</b> <span>{told}</span></p>" for label, told in there.items())
    return (
        f'<tbody role="rowgroup" id="claim-{text["row"]}" '
        f'style="--claim-colour:{colour};--claim-share:{share}%">\n'
        f'<tr role="row"><th scope="rowgroup" role="rowheader">{text["claim"]}'
        f"<small>{text['part']}; chapter {text['chapter']}</small></th>{first}</tr>\n"
        f'<tr role="row"><td role="cell" colspan="{len(HEADINGS)}" class="is-more"><details>'
        f"<summary>Values in full, set-up, rule, reasons, and the command</summary>{rest}"
        f"<p><b>Again</b> <span><code>{text['command']}</code></span></p></details></td></tr>\n"
        "</tbody>"
    )


def summary(rows: pd.DataFrame) -> str:
    """How many claims got which verdict, in words: "20 claims: 8 supported, 10 in part, ..."."""
    found = rows["verdict"].value_counts()
    told = ", ".join(f"{found.get(verdict, 0)} {verdict}" for verdict in reversed(list(LOOKS)))
    return f"{len(rows)} {'claim' if len(rows) == 1 else 'claims'}: {told}"


def verdicts(rows: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """One circle for each claim, in the column of its verdict; claims by part of the paper."""
    if ax is None:
        height = 0.26 * (len(rows) + 1.4 * rows["part"].nunique()) + 0.7
        ax = plt.figure(figsize=(5.2, height)).add_subplot()
    labels, y = dict[float, str](), 0.0
    for part, group in rows.groupby("part", sort=False):
        side: dict[str, Any] = {"xycoords": ax.get_yaxis_transform(), "textcoords": "offset points"}
        look: dict[str, Any] = {"ha": "right", "va": "center", "weight": "bold"}
        ax.annotate(str(part).capitalize(), (0, y), xytext=(-4, 0), **side, **look)
        for name, verdict in zip(group["row"], group["verdict"], strict=True):
            y += 1
            labels[y] = name.replace("-", " ").replace("ktiw", "KTIW").replace("xi ", "ξ ")
            filled, colour, mark = LOOKS[verdict]
            x = list(LOOKS).index(verdict)
            ax.axhline(y, color="#DDDDDD", lw=1, zorder=0)
            look = {"fillstyle": filled, "color": colour, "markerfacecoloralt": "white"}
            ax.plot([x], [y], "o", ms=13, mew=2, gid=f"{name}: {verdict}", **look)
            if filled == "none":  # or the line would be seen through the circle
                ax.plot([x], [y], "o", ms=11, color="white", zorder=1)
                ax.text(x, y, mark, ha="center", va="center_baseline", size=8, color=colour)
        y += 1.4
    ax.set_yticks(list(labels), list(labels.values()))
    ax.set_xticks(range(len(LOOKS)), list(LOOKS), rotation=30, ha="left")
    ax.set(xlim=(-0.5, len(LOOKS) - 0.4), ylim=(y - 0.8, -0.7))
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


def costs(load: Loader = checked) -> pd.DataFrame:
    """What it takes to measure each row again, as its records say; the cheapest first.

    A row for each that was measured, by its identifier; columns ``experiment`` (with its scale),
    ``seeds``, ``jobs`` (seeds of all arms) and ``seconds`` (of all jobs, one after the other).
    """
    once, found = Noting(load), {}
    for row in claims.ROWS:
        asked = Noting(once)
        if row(asked).found.value:
            seeds = [len(record.seeds) for record in asked.all]
            seconds = sum(record.wall_seconds for record in asked.all)
            told = "; ".join(map(", ".join, asked.found))
            found[row.name] = told, min(seeds), sum(seeds), seconds
    columns = ["experiment", "seeds", "jobs", "seconds"]
    table = pd.DataFrame.from_dict(found, orient="index", columns=columns).rename_axis("row")
    return table.sort_values("seconds", kind="stable")


# Names with two classes outweigh the tables of JupyterLab and of the theme. Colours are those of
# the page around; the theme would put a white card under it in dark mode.
_STYLE = f"\n{Path(__file__).with_name('claims.css').read_text('utf-8')}"

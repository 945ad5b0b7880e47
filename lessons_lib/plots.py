"""Figures, axes-level: data first, options by name, ``ax=None``, the axes come back."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from lessons_lib.stats import Interval

ROLES: Mapping[str, str] = {
    "attention": "#0072B2",
    "elimination": "#882255",
    "words": "#D55E00",
    "uniform": "#D55E00",
    "proxy": "#009E73",
    "model1": "#A070E8",
    "tokens": "#6B4A00",
    "other": "#332288",
    "gold": "#000000",
    "chance": "#6E6E6E",
}
"""One colour for one thing in every chapter; a table on the notation page says what.

Begun from Okabe and Ito, and changed until any two can be told apart by people with each kind of
colour blindness, and each stands out from white. ``words`` and ``uniform`` are one colour on
purpose: under uniform attention, knowledge of words is all that a model can have.
"""
FAINT = "#BBBBBB"
"""Lines and areas behind the data: a flow, contours, a band."""

WEIGHTS_MAP, SIGNED_MAP = "Blues", "PuOr"
"""Colour maps that all can read: shares from 0 (white) up, and values of both signs."""


def use_style() -> None:
    """Set the look of all figures that follow: opaque background, one typeface, sizes for phones.

    The background is opaque so that dark text stays readable on a dark page.
    """
    # White, large axes and sizes come with style and context; what is drawn without a role takes
    # its colours from the roles as well, in their order.
    sns.set_theme(context="notebook", style="ticks", palette=list(dict.fromkeys(ROLES.values())))
    plt.style.use(Path(__file__).with_suffix(".mplstyle"))


def _axes(ax: Axes | None) -> Axes:
    return plt.figure().add_subplot() if ax is None else ax


def attention_map(
    weights: ArrayLike,
    source_words: Sequence[str],
    target_words: Sequence[str],
    *,
    gold: Sequence[int] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """A grid of output words (rows) by input words (columns), darker where the weight is larger.

    ``weights`` ``(tgt, src)`` go from 0 to 1, which is drawn darkest; ``gold`` has for each row the
    right column, drawn as a frame, -1 for none. A ``ValueError`` if the words do not match the
    weights.
    """
    grid = np.asarray(weights, dtype=float)
    tgt, src = grid.shape
    ax = _axes(ax)
    ax.imshow(grid, cmap=WEIGHTS_MAP, vmin=0, vmax=1, aspect="auto")
    ax.set_xticks(range(src), source_words, rotation=45, ha="right")
    ax.set_yticks(range(tgt), target_words)
    ax.set_xticks(np.arange(src) - 0.5, minor=True)
    ax.set_yticks(np.arange(tgt) - 0.5, minor=True)
    ax.grid(which="minor", color="white", linewidth=1)
    ax.tick_params(which="both", length=0)
    ax.spines[:].set_visible(False)
    for row, column in enumerate(gold if gold is not None else ()):
        if column >= 0:
            edge, where = ROLES["uniform"], (column - 0.5, row - 0.5)
            frame = Rectangle(where, 1, 1, fill=False, lw=2, ec=edge)
            ax.add_patch(frame).set_clip_on(False)  # at the border half of the line lies outside
    if title:
        ax.set_title(title)
    return ax


def curves(
    frame: pd.DataFrame, *, label: str, color: str, unit: str = "seed", ax: Axes | None = None
) -> Axes:
    """One thin line for each seed and a thick one for their mean, labelled with n.

    ``frame`` has tidy rows with step and value, one for each step and ``unit`` (the column that
    tells runs apart); ``color`` is a colour, or a key of ``ROLES``. A ``ValueError`` if there is no
    row.
    """
    if frame.empty:
        raise ValueError(f"expected rows to draw for {label!r}, found none")
    ax = _axes(ax)
    shade = ROLES.get(color, color)
    units = frame[unit].nunique()
    if units > 1:
        for _, one in frame.groupby(unit):
            ax.plot(one["step"], one["value"], color=shade, lw=0.8, alpha=0.5)
        label = f"{label} (n = {units})"
    mean = frame.groupby("step", as_index=False)["value"].mean()
    ax.plot(mean["step"], mean["value"], color=shade, label=label)
    ax.set_xlabel("training step")
    return ax


def intervals(
    values: Mapping[str, Interval],
    *,
    colors: Mapping[str, str] | None = None,
    xlabel: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Horizontal points with their confidence intervals, the first on top, each with its value.

    ``colors`` has for some of the labels a colour or key of ``ROLES``; the rest is drawn grey.
    """
    ax = _axes(ax)
    for row, (label, found) in enumerate(values.items()):
        shade = (colors or {}).get(label, "chance")
        shade = ROLES.get(shade, shade)
        ax.plot([found.low, found.high], [row, row], color=shade, lw=3, solid_capstyle="butt")
        ax.plot([found.estimate], [row], "o", color=shade, ms=8)
        place: dict[str, Any] = {"xytext": (0, 8), "textcoords": "offset points", "ha": "center"}
        ax.annotate(f"{found.estimate:.2f}", (found.estimate, row), color=shade, **place)
    ax.set_yticks(range(len(values)), list(values))
    ax.set_ylim(len(values) - 0.5, -0.7)
    ax.set_xlabel(xlabel)
    return ax


def word_bars(
    words: Sequence[str],
    values: Mapping[str, ArrayLike],
    *,
    colors: Mapping[str, str] | None = None,
    figure: Figure | None = None,
) -> list[Axes]:
    """Words of one text from top to bottom, and beside them a column of bars for each quantity.

    ``values`` has for each quantity one value for each word (a ``ValueError`` if not), the largest
    drawn darkest; ``colors`` a colour or key of ``ROLES``, else that of the uniform model. Returns
    the axes, one for each quantity.
    """
    figure = plt.figure() if figure is None else figure
    columns = figure.subplots(1, len(values), sharey=True, squeeze=False)[0]
    for ax, (name, given) in zip(columns, values.items(), strict=True):
        heights = np.asarray(given, dtype=float)
        shade = (colors or {}).get(name, "uniform")
        bars = ax.barh(range(len(words)), heights, color=ROLES.get(shade, shade), alpha=0.45)
        bars[int(heights.argmax())].set_alpha(1.0)
        ax.axvline(0, color=ROLES["chance"], lw=0.8)
        ax.set_title(name, fontsize=11)
    columns[0].set_yticks(range(len(words)), words)
    columns[0].invert_yaxis()
    return list(columns)

"""The logo, the icon and the preview picture of the book: an attention map whose diagonal emerges.

``python tools/artwork.py`` writes them into ``book/_static``. All three come from one table of
weights: in the first row attention is nearly uniform, in each further row it is sharper.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

LIGHT, DARK = "#0072B2", "#7CC4F5"
"""The colour of attention (``plots.ROLES``), and one of its hue that stands out from black."""
PAPER, INK, QUIET = "#F4F8FB", "#10222E", "#45565F"
PREVIEW = 1200, 630
STATIC = Path(__file__).resolve().parent.parent / "book" / "_static"


def weights(size: int) -> list[list[float]]:
    """Rows of attention, each summing to 1: from nearly uniform to nearly all on the diagonal."""
    rows = []
    for row in range(size):
        sharpness = 0.05 + 3.0 * (row / (size - 1)) ** 1.5
        scores = [math.exp(-sharpness * abs(row - column)) for column in range(size)]
        rows.append([score / sum(scores) for score in scores])
    return rows


def opacity(weight: float) -> float:
    """How strongly a cell is drawn: a faint one can still be seen."""
    return round(0.14 + 0.86 * math.pow(min(weight, 1.0), 0.8), 2)


def drawing(size: int, colour: str, title: str, tile: str = "") -> str:
    """The map as SVG.

    Args:
        size: rows and columns.
        colour: of the cells.
        title: what a screen reader says.
        tile: colour behind the cells; empty for none.
    """
    step, margin = 64 / size, 2.4 if size > 4 else 3.0
    side = (64 - 2 * margin) / size
    lines = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">']
    lines.append(f"  <title>{title}</title>")
    if tile:
        lines.append(f'  <rect width="64" height="64" rx="10" fill="{tile}"/>')
    for i, row in enumerate(weights(size)):
        for j, weight in enumerate(row):
            x, y = (round(margin + side * k + 0.06 * step, 2) for k in (j, i))
            width = round(side - 0.12 * step, 2)
            lines.append(
                f'  <rect x="{x}" y="{y}" width="{width}" height="{width}" rx="1.6" '
                f'fill="{colour}" fill-opacity="{opacity(weight)}"/>'
            )
    return "\n".join([*lines, "</svg>", ""])


def preview() -> Figure:
    """The picture that is shown where somebody shares an address of the book."""
    width, height = (pixels / 100 for pixels in PREVIEW)
    figure = Figure(figsize=(width, height), dpi=100, facecolor=PAPER)
    FigureCanvasAgg(figure)
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, PREVIEW[0]), ylim=(PREVIEW[1], 0))
    ax.set_axis_off()
    size, left, top, side = 8, 70, 75, 60
    for i, row in enumerate(weights(size)):
        for j, weight in enumerate(row):
            cell = FancyBboxPatch(
                (left + j * side + 4, top + i * side + 4),
                side - 8,
                side - 8,
                boxstyle="round,pad=0,rounding_size=5",
                facecolor=LIGHT,
                alpha=opacity(weight),
                linewidth=0,
            )
            ax.add_patch(cell)
    words: dict[str, Any] = {"family": "DejaVu Sans", "va": "baseline"}
    right = left + size * side + 50
    for line, y in (("How", 195), ("Attention", 275), ("Learns", 355)):
        ax.text(right, y, line, fontsize=46, weight="bold", color=INK, **words)
    below = ("An executable course on one paper:", 430), ("train it, watch it, test it", 468)
    for line, y in below:
        ax.text(right, y, line, fontsize=17.5, color=QUIET, **words)
    return figure


def build(folder: Path) -> None:
    """Write all pictures into a folder."""
    title = "An attention map on which a diagonal emerges"
    pictures = {
        "logo.svg": drawing(6, LIGHT, title),
        "logo-dark.svg": drawing(6, DARK, title),
        "favicon.svg": drawing(4, LIGHT, title, tile="#EAF3F9"),
    }
    for name, text in pictures.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    preview().savefig(folder / "preview.png", metadata={"Software": None})


if __name__ == "__main__":
    build(Path(sys.argv[1]) if len(sys.argv) > 1 else STATIC)

"""The still picture of the playground, for print and where scripts cannot run.

``python tools/still.py`` from the top of the checkout draws it anew: twelve runs of the reduced
model on permutations, in the plane of attention and words and over training steps.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lessons_lib import plots, theory
from lessons_lib.explore_html import encode
from lessons_lib.reduced import ReducedConfig, ReducedRuns, train_reduced

TARGET = Path("book/_static/playground/still.png")
CONFIG = ReducedConfig(steps=200, evaluate_every=4)
SEEDS = range(1, 13)
END = 6.0
ROLE = {"aligned": "attention", "elimination": "elimination", "undecided": "chance"}


def still() -> Figure:
    """The figure; both panels show the same runs in the same colours."""
    plots.use_style()
    runs = train_reduced(CONFIG, SEEDS)
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 4.2))
    _plane(runs, left)
    for attention, branch in zip(runs.right_attention[..., 0], runs.branches(), strict=True):
        right.plot(runs.steps, attention, color=plots.ROLES[ROLE[branch]], lw=1.5)
    right.axhline(1 / CONFIG.length, color=plots.ROLES["chance"], ls=":", lw=1)
    right.set(title="attention on the right place", xlabel="training step", ylim=(-0.02, 1.02))
    return figure


def _plane(runs: ReducedRuns, ax: Axes) -> None:
    vocab, length = runs.config.vocab, runs.config.length
    a, b = np.meshgrid(np.linspace(-END, END, 40), np.linspace(-END, END, 40))
    flow = theory.symmetric_velocity(a, b, vocab, length)
    ax.streamplot(a, b, *flow, color="#BBBBBB", linewidth=0.7)
    line = np.linspace(-END, END, 100)
    ax.plot(line, theory.separatrix(line, vocab, length), color=plots.ROLES["gold"], ls="--")
    ax.plot(theory.saddle(vocab, length), 0, "X", color=plots.ROLES["gold"], ms=9)
    for x, y, branch in zip(runs.lead_a[..., 0], runs.lead_b[..., 0], runs.branches(), strict=True):
        ax.plot(x, y, color=plots.ROLES[ROLE[branch]], lw=1.5)
    ax.text(3.4, 5.2, "aligned", color=plots.ROLES["attention"], ha="right", weight="bold")
    ax.text(-1.7, -5.6, "elimination", color=plots.ROLES["elimination"], weight="bold")
    ax.set(xlim=(-END, END), ylim=(-END, END), title="attention and words")
    ax.set(xlabel="a: lead in attention", ylabel="b: lead in the table")


def main() -> None:
    """Draw it into the book."""
    figure = still()
    TARGET.write_bytes(encode(figure)["png"])  # few colours, a third of the size
    plt.close(figure)


if __name__ == "__main__":
    main()

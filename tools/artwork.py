"""The still pictures of the playground; ``python tools/artwork.py`` draws them anew into the book.

Twelve runs of the reduced model on permutations, in the plane of attention and words, and over
training steps. The first page has the second half only, which a phone can show.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lessons_lib import plots
from lessons_lib.figures.page import encode
from lessons_lib.theory import phase_portrait
from lessons_lib.theory.reduced_model import ReducedConfig, ReducedRuns, train_reduced

STATIC = Path(__file__).resolve().parent.parent / "book" / "_static"
CONFIG = ReducedConfig(steps=200, evaluate_every=4)
SEEDS = range(1, 13)
END = 6.0
ROLE = {"aligned": "attention", "elimination": "elimination", "undecided": "chance"}


def still() -> Figure:
    """The playground's; both panels show the same runs in the same colours."""
    plots.use_style()
    runs = train_reduced(CONFIG, SEEDS)
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 4.2))
    _plane(runs, left)
    _over_steps(runs, right)
    right.set(title="attention on the right place")
    return figure


def first_page() -> Figure:
    """The same runs over training steps, with words that need no chapter."""
    plots.use_style()
    figure, ax = plt.subplots(figsize=(5.6, 2.5))
    _over_steps(train_reduced(CONFIG, SEEDS), ax)
    for y, text, role in (
        (0.8, "attention finds the word", "attention"),
        (0.16, "attention avoids the word", "elimination"),
    ):
        ax.text(198, y, text, color=plots.ROLES[role], ha="right", weight="bold")
    ax.set(ylabel="attention on the\nword to copy", yticks=(0, 0.5, 1))
    return figure


def _over_steps(runs: ReducedRuns, ax: Axes) -> None:
    for attention, branch in zip(runs.right_attention[..., 0], runs.branches(), strict=True):
        ax.plot(runs.steps, attention, color=plots.ROLES[ROLE[branch]], lw=1.5)
    ax.axhline(1 / CONFIG.length, color=plots.ROLES["chance"], ls=":", lw=1)
    ax.set(xlabel="training step", ylim=(-0.02, 1.02))


def _plane(runs: ReducedRuns, ax: Axes) -> None:
    vocab, length, gold = runs.config.vocab, runs.config.length, plots.ROLES["gold"]
    a, b = np.meshgrid(np.linspace(-END, END, 40), np.linspace(-END, END, 40))
    flow = phase_portrait.symmetric_velocity(a, b, vocab, length)
    ax.streamplot(a, b, *flow, color="#BBBBBB", linewidth=0.7)
    line = np.linspace(-END, END, 100)
    ax.plot(line, phase_portrait.separatrix(line, vocab, length), color=gold, ls="--")
    ax.plot(phase_portrait.saddle(vocab, length), 0, "X", color=gold, ms=9)
    for x, y, branch in zip(runs.lead_a[..., 0], runs.lead_b[..., 0], runs.branches(), strict=True):
        ax.plot(x, y, color=plots.ROLES[ROLE[branch]], lw=1.5)
    ax.text(3.4, 5.2, "aligned", color=plots.ROLES["attention"], ha="right", weight="bold")
    ax.text(-1.7, -5.6, "elimination", color=plots.ROLES["elimination"], weight="bold")
    ax.set(xlim=(-END, END), ylim=(-END, END), title="attention and words")
    ax.set(xlabel="a: lead in attention", ylabel="b: lead in the table")


def drawn() -> dict[str, bytes]:
    """Both pictures, by name in ``book/_static``, encoded in few colours."""
    pictures = {"playground/still.png": still(), "first_page.png": first_page()}
    encoded = {name: encode(figure)["png"] for name, figure in pictures.items()}
    plt.close("all")
    return encoded


if __name__ == "__main__":
    for name, content in drawn().items():
        (STATIC / name).write_bytes(content)

"""Pictures of the playground and the first page; ``python tools/artwork.py`` draws them anew.

Twelve runs of the reduced model on permutations, in the plane and over training steps.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lessons_lib import plots
from lessons_lib.figures.explore import Explorer, encode, explore
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


def first_page() -> Explorer:
    """The same runs over steps, as a figure that moves, with words that need no chapter."""
    plots.use_style()
    runs = train_reduced(CONFIG, SEEDS)
    steps = [*range(0, 80, 8), 80, 120, 160, 200]  # all are decided by step 64

    def tell(step: int) -> str:
        now = runs.right_attention[:, runs.steps == step, 0]
        finds, avoids = (now > 0.5).sum(), (now < 0.5 / CONFIG.length).sum()
        if not finds + avoids:
            return f"Step {step}. All twelve look nearly everywhere alike: a tenth on each word."
        return (
            f"Step {step}. Of twelve runs {finds} look at the word to copy, {avoids} away from it"
            f", and {len(SEEDS) - finds - avoids} are on their way."
        )

    return explore(
        lambda figure, step: _first_page(runs, figure.add_subplot(), step),
        describe=tell,
        alt="Attention on the word to copy, in twelve runs from one tenth",
        step=steps,
        start={"step": steps[-1]},
        labels={"step": "training step"},
        figsize=(5.6, 2.5),
    )


def _first_page(runs: ReducedRuns, ax: Axes, until: int) -> None:
    _over_steps(runs, ax, until)
    for y, verb, role in ((0.78, "finds", "attention"), (0.16, "avoids", "elimination")):
        look: dict[str, Any] = {"color": plots.ROLES[role], "ha": "right", "weight": "bold"}
        ax.text(198, y, f"attention {verb} the word", **look)
    ax.set(ylabel="attention on the\nword to copy", yticks=(0, 0.5, 1), xlim=(-6, 206))


def _over_steps(runs: ReducedRuns, ax: Axes, until: int = CONFIG.steps) -> None:
    so_far = runs.steps <= until
    for attention, branch in zip(runs.right_attention[..., 0], runs.branches(), strict=True):
        look: dict[str, Any] = {"color": plots.ROLES[ROLE[branch]], "lw": 1.5}
        ax.plot(runs.steps[so_far], attention[so_far], marker="o", ms=4, markevery=[-1], **look)
    ax.axhline(1 / CONFIG.length, color=plots.ROLES["chance"], ls=":", lw=1)
    ax.set(xlabel="training step", ylim=(-0.02, 1.02))


def _plane(runs: ReducedRuns, ax: Axes) -> None:
    vocab, length, gold = runs.config.vocab, runs.config.length, plots.ROLES["gold"]
    a, b = np.meshgrid(np.linspace(-END, END, 40), np.linspace(-END, END, 40))
    flow = phase_portrait.symmetric_velocity(a, b, vocab, length)
    ax.streamplot(a, b, *flow, color=plots.FAINT, linewidth=0.7)
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
    pictures = {"playground/still.png": encode(still())[1]}
    pictures |= {"first_page.png": first_page().still}
    plt.close("all")
    return pictures


if __name__ == "__main__":
    for name, content in drawn().items():
        (STATIC / name).write_bytes(content)
    (STATIC / "first_page.html").write_text(first_page().to_html(), encoding="utf-8")

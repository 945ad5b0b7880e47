"""The figure of the first page; ``python tools/artwork.py`` draws it anew.

Twelve runs of the reduced model on permutations, over training steps.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from lessons_lib import plots
from lessons_lib.figures.explore import Explorer, explore
from lessons_lib.theory.reduced_model import ReducedConfig, train_reduced

STATIC = Path(__file__).resolve().parent.parent / "book" / "_static"
CONFIG = ReducedConfig(steps=200, evaluate_every=4)
SEEDS = range(1, 13)
ROLE = {"aligned": "attention", "elimination": "elimination", "undecided": "chance"}
STEPS = [*range(0, 80, 8), 80, 120, 160, 200]  # all are decided by step 64


def first_page() -> Explorer:
    """A figure that moves, with words that need no chapter."""
    plots.use_style()
    runs = train_reduced(CONFIG, SEEDS)

    def tell(step: int) -> str:
        at = runs.right_attention[:, runs.steps == step, 0]
        finds, avoids = (at > 0.5).sum(), (at < 0.5 / CONFIG.length).sum()
        others = f"and {len(SEEDS) - finds - avoids} nearly everywhere alike, or on their way"
        return f"Step {step}: of 12 runs {finds} look at the word, {avoids} away from it, {others}."

    def draw(figure: Figure, step: int) -> None:
        ax, so_far = figure.add_subplot(), runs.steps <= step
        for attention, branch in zip(runs.right_attention[..., 0], runs.branches(), strict=True):
            look: dict[str, Any] = {"color": plots.ROLES[ROLE[branch]], "lw": 1.5}
            ax.plot(runs.steps[so_far], attention[so_far], marker="o", ms=4, markevery=[-1], **look)
        ax.axhline(1 / CONFIG.length, color=plots.ROLES["chance"], ls=":", lw=1)
        for y, verb, role in ((0.78, "finds", "attention"), (0.16, "avoids", "elimination")):
            look = {"color": plots.ROLES[role], "ha": "right", "weight": "bold"}
            ax.text(198, y, f"attention {verb} the word", **look)
        ax.set(xlabel="training step", xlim=(-6, 206), ylim=(-0.02, 1.02))
        ax.set(ylabel="attention on the\nword to copy", yticks=(0, 0.5, 1))

    return explore(
        draw,
        describe=tell,
        alt="Attention on the word to copy, in twelve runs from one tenth",
        step=STEPS,
        start={"step": STEPS[-1]},
        labels={"step": "training step"},
        figsize=(5.6, 2.5),
    )


if __name__ == "__main__":
    drawn = first_page()
    (STATIC / "first_page.png").write_bytes(drawn.still)
    (STATIC / "first_page.html").write_text(drawn.to_html(), encoding="utf-8")

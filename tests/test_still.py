"""The still picture of the playground shows what its description on the page says."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from matplotlib import pyplot as plt
from PIL import Image

import still
from lessons_lib import plots
from lessons_lib.theory.reduced_model import train_reduced

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.usefixtures("one_thread_of_the_cpu")
def test_twelve_runs_on_permutations_some_aligned_and_the_others_not() -> None:
    page = (ROOT / "book/playground.md").read_text(encoding="utf-8")
    assert "twelve runs of the reduced\nmodel on permutations of ten words" in page
    assert len(still.SEEDS) == 12
    assert still.CONFIG.vocab == still.CONFIG.length == 10
    ends = Counter(train_reduced(still.CONFIG, still.SEEDS).branches())
    assert ends.keys() == {"aligned", "elimination"}


@pytest.mark.usefixtures("one_thread_of_the_cpu")
def test_both_panels_show_every_run_in_the_colour_of_its_branch() -> None:
    figure = still.still()
    for panel in figure.axes:
        shown = Counter(line.get_color() for line in panel.lines)
        runs = shown[plots.ROLES["attention"]] + shown[plots.ROLES["elimination"]]
        assert runs == len(still.SEEDS)
    plt.close(figure)


def test_the_committed_picture_fits_a_page() -> None:
    path = ROOT / still.TARGET
    with Image.open(path) as image:
        assert image.width >= 900
    assert path.stat().st_size < 100_000
    assert re.search(
        r"!\[[^]]{200,}\]\(_static/playground/still\.png\)",
        (ROOT / "book/playground.md").read_text("utf-8"),
    )

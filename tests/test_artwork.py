"""The committed pictures are what `tools/artwork.py` draws, and show what pages say of them."""

from __future__ import annotations

import io
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot as plt
from PIL import Image

import artwork
from lessons_lib import plots
from lessons_lib.theory.reduced_model import train_reduced

PAGE = (artwork.STATIC.parent / "playground.md").read_text(encoding="utf-8")


def test_the_pictures_are_up_to_date() -> None:
    """Up to what versions of the drawing libraries do to edges of letters."""
    for name, content in artwork.drawn().items():
        shown, wanted = (
            np.asarray(Image.open(file).convert("RGB"), dtype=float)
            for file in (artwork.STATIC / name, io.BytesIO(content))
        )
        assert shown.shape == wanted.shape
        assert np.abs(shown - wanted).mean() < 1, f"{name}: run `python tools/artwork.py`"
        assert (artwork.STATIC / name).stat().st_size < 100_000
    assert not plt.get_fignums()


@pytest.mark.parametrize("name", ["logo.svg", "logo-dark.svg", "favicon.svg", "preview.svg"])
def test_a_logo_says_what_it_shows(name: str) -> None:
    text = Path(artwork.STATIC / name).read_text(encoding="utf-8")
    assert re.search("<title>.*an attention map on which a diagonal emerges</title>", text, re.I)
    assert (plots.ROLES["attention"] in text) == (name != "logo-dark.svg")


def test_twelve_runs_on_permutations_some_aligned_and_the_others_not() -> None:
    assert "twelve runs of the reduced\nmodel on permutations of ten words" in PAGE
    assert (len(artwork.SEEDS), artwork.CONFIG.vocab, artwork.CONFIG.length) == (12, 10, 10)
    ends = Counter(train_reduced(artwork.CONFIG, artwork.SEEDS).branches())
    assert ends.keys() == {"aligned", "elimination"}
    figure = artwork.still()
    for panel in figure.axes:
        shown = Counter(line.get_color() for line in panel.lines)
        assert shown[plots.ROLES["attention"]] == ends["aligned"]
        assert shown[plots.ROLES["elimination"]] == ends["elimination"]
    plt.close(figure)

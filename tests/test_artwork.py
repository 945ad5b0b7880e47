"""The first page has what `tools/artwork.py` draws; logos say what they show."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import artwork
from lessons_lib import plots


def test_the_picture_of_the_first_page_is_up_to_date() -> None:
    """Up to what versions of the drawing libraries do to edges of letters."""
    shown, wanted = (
        np.asarray(Image.open(file).convert("RGB"), dtype=float)
        for file in (artwork.STATIC / "first_page.png", io.BytesIO(artwork.first_page().still))
    )
    assert shown.shape == wanted.shape
    assert np.abs(shown - wanted).mean() < 1, "run `python tools/artwork.py`"


@pytest.mark.parametrize("name", ["logo.svg", "logo-dark.svg", "favicon.svg", "preview.svg"])
def test_a_logo_says_what_it_shows(name: str) -> None:
    text = Path(artwork.STATIC / name).read_text(encoding="utf-8")
    assert re.search("<title>.*an attention map on which a diagonal emerges</title>", text, re.I)
    assert (plots.ROLES["attention"] in text) == (name != "logo-dark.svg")

"""The first page has what `tools/artwork.py` draws."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

import artwork


def test_the_picture_of_the_first_page_is_up_to_date() -> None:
    """Up to what versions of the drawing libraries do to edges of letters."""
    shown, wanted = (
        np.asarray(Image.open(file).convert("RGB"), dtype=float)
        for file in (artwork.STATIC / "first_page.png", io.BytesIO(artwork.first_page().still))
    )
    assert shown.shape == wanted.shape
    assert np.abs(shown - wanted).mean() < 1, "run `python tools/artwork.py`"

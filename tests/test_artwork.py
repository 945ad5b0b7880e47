"""The committed pictures are what `tools/artwork.py` draws."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import artwork
from lessons_lib.plots import ROLES


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    artwork.build(folder)
    return folder


@pytest.mark.parametrize("name", ["logo.svg", "logo-dark.svg", "favicon.svg"])
def test_the_drawings_are_up_to_date(drawn: Path, name: str) -> None:
    text = (drawn / name).read_text(encoding="utf-8")
    assert (artwork.STATIC / name).read_text(encoding="utf-8") == text
    picture = ElementTree.fromstring(text)
    title = picture.find("{http://www.w3.org/2000/svg}title")
    assert title is not None
    assert title.text
    assert picture.get("viewBox") == "0 0 64 64"


def test_the_preview_is_up_to_date(drawn: Path) -> None:
    """Up to what versions of the drawing libraries do to edges of letters."""
    shown, wanted = (
        np.asarray(Image.open(folder / "preview.png").convert("RGB"), dtype=float)
        for folder in (artwork.STATIC, drawn)
    )
    assert shown.shape == wanted.shape == (artwork.PREVIEW[1], artwork.PREVIEW[0], 3)
    assert np.abs(shown - wanted).mean() < 1


def test_a_diagonal_emerges_from_uniform_attention() -> None:
    rows = np.array(artwork.weights(6))
    np.testing.assert_allclose(rows.sum(1), 1)
    assert np.ptp(rows[0]) < 0.05
    assert (rows.argmax(1) == np.arange(6)).all()
    assert (np.diff(rows.diagonal()) > 0).all()
    assert rows[-1, -1] > 0.9


def test_the_logo_has_the_colour_of_attention() -> None:
    assert ROLES["attention"] == artwork.LIGHT

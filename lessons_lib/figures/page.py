"""The page half of `explore`: a figure with sliders as one self-contained block of HTML.

The markup is what a reader without JavaScript needs: a still image, its text alternative and a
description. The script adds the controls, so that where scripts are removed (GitHub, an untrusted
notebook, print) no dead slider is left behind. Built pages, Jupyter and Colab get the same block:

* Nothing is fetched: frames are ``data:`` addresses, style and script are inline.
* No ``id`` is written here, but by the script, so a figure may be shown twice on a page.
* The script looks for figures that are not set up yet, since ``document.currentScript`` is empty
  where a front-end inserts the block and runs its scripts afterwards.
"""

from __future__ import annotations

import base64
import io
import json
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from PIL import Image

if TYPE_CHECKING:
    from lessons_lib.figures.explore import Explorer

# The theme of the book puts HTML outputs of dark pages on a light ground and dims their images; two
# long selectors of the style and the class dark-light keep text on the page and colours as drawn.
_STYLE, _SCRIPT = (
    "\n" + Path(__file__).with_name(f"explore.{kind}").read_text("utf-8") for kind in ("css", "js")
)
PACE = 600
"""Milliseconds from frame to frame while a figure plays."""
_PREFIX = "data:image/webp;base64,"


def encode(figure: Figure) -> tuple[bytes, bytes]:
    """A drawn figure with at most 256 colours, as lossless WebP and as PNG.

    Figures are flat areas and thin lines: so reduced they take a third of a full PNG, and less than
    SVG. Maximum coverage keeps colours that only a few points have; a median cut merges them.
    """
    buffer, png, webp = io.BytesIO(), io.BytesIO(), io.BytesIO()
    # All said here, because a style may crop to the contents or save without background.
    canvas = {"dpi": "figure", "bbox_inches": figure.bbox_inches, "facecolor": "auto"}
    figure.savefig(buffer, format="png", transparent=False, **canvas)
    full, cover = Image.open(buffer).convert("RGB"), Image.Quantize.MAXCOVERAGE
    reduced = full.quantize(256, method=cover, kmeans=1, dither=Image.Dither.NONE)
    reduced.save(png, "PNG", optimize=True)
    reduced.convert("RGB").save(webp, "WEBP", lossless=True, quality=80, method=4)
    return webp.getvalue(), png.getvalue()


def figure_html(figure: Explorer) -> str:
    """The whole block: style, still image, description, stored frames and script."""
    frames = [(base64.b64encode(frame.image).decode(), frame.text) for frame in figure.frames]
    image, text = frames[figure.start]
    data = {
        "alt": figure.alt,
        "pace": PACE,
        "parameters": [
            {"label": p.label, "texts": p.texts, "start": p.start} for p in figure.parameters
        ],
        "play": figure.play,
        "prefix": _PREFIX,
        # The image that is shown already is not stored twice.
        "frames": [[None if i == figure.start else one, t] for i, (one, t) in enumerate(frames)],
    }
    stored = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    stored = stored.replace("<", "\\u003c")  # no text inside can end the element
    title, (width, height) = figure.title, figure.size
    heading = f'<p class="lessons-explore-title">{escape(title)}</p>\n' if title else ""
    return (
        f'<figure class="lessons-explore" style="width:{width}px">\n'
        f"<style>{_STYLE}</style>\n{heading}"
        f'<img class="dark-light" src="{_PREFIX}{image}" '
        f'width="{width}" height="{height}" alt="{escape(f"{figure.alt} ({figure.state})")}">\n'
        f'<figcaption><span class="lessons-explore-state">{escape(figure.state)}</span>\n'
        f'<p class="lessons-explore-text" aria-live="polite">{escape(text)}</p></figcaption>\n'
        "<noscript><p>This is one frame as a still image: the sliders need JavaScript.</p>"
        "</noscript>\n"
        f'<script type="application/json" class="lessons-explore-data">{stored}</script>\n'
        f"<script>{_SCRIPT}</script>\n"
        "</figure>\n"
    )

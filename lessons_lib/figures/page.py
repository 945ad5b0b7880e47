"""The page half of `explore`: a figure with sliders as one self-contained block of HTML.

The markup that Python writes is what a reader without JavaScript needs: a still image, its text
alternative and a description. The script adds the controls, so where scripts are removed (GitHub,
an untrusted notebook, print) no dead slider is left behind.

Rules the block keeps, because the same block is put into built pages, Jupyter and Colab:

* Nothing is fetched: frames are ``data:`` addresses, style and script are inline.
* No ``id`` is written here. The script makes free ones when it runs, so a figure may be shown
  twice on a page.
* The script looks for figures that are not set up yet instead of using ``document.currentScript``,
  which is empty where a front-end inserts the block and runs its scripts afterwards.
* The same figure gives the same bytes.
"""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from PIL import Image, features

_STYLE, _SCRIPT = (
    "\n" + Path(__file__).with_name(f"explore.{kind}").read_text("utf-8") for kind in ("css", "js")
)
# The theme of the book puts HTML outputs of dark pages on a light ground and dims their images; two
# long selectors of the style and the class dark-light keep text on the page and colours as drawn.

PACE = 600
"""Milliseconds from frame to frame while a figure plays."""


@dataclass(frozen=True)
class Parameter:
    """One slider.

    Attributes:
        name: the keyword under which ``draw`` and ``describe`` get the value.
        label: what stands beside the slider.
        texts: the values as readers see them, no two alike.
        values: the values themselves, in the order of the slider.
        start: index of the value that is shown first.
    """

    name: str
    label: str
    texts: tuple[str, ...]
    values: tuple[Any, ...]
    start: int


@dataclass(frozen=True)
class Frame:
    """One picture of the figure.

    Attributes:
        image: the encoded picture, in the one format of all frames.
        text: its description in words; of a frame that failed, what went wrong.
        error: ``None``, or type and message of the exception.
    """

    image: bytes
    text: str
    error: str | None = None


def frame_index(parameters: Sequence[Parameter], positions: Sequence[int]) -> int:
    """Where the frame of some slider positions is stored: the last parameter varies fastest."""
    index = 0
    for parameter, position in zip(parameters, positions, strict=True):
        index = index * len(parameter.values) + position
    return index


def start_state(parameters: Sequence[Parameter]) -> str:
    """The values that are shown first, in words: ``"step 5, head 2"``."""
    return ", ".join(f"{p.label} {p.texts[p.start]}" for p in parameters)


def stored_size(image: bytes, text: str) -> int:
    """Bytes that a frame takes in the page: its image in base64 and its description."""
    return (len(image) + 2) // 3 * 4 + len(text.encode())


def encode(figure: Figure) -> dict[str, bytes]:
    """A drawn figure with at most 256 colours, as PNG and, where Pillow can, as lossless WebP.

    Figures are flat areas and thin lines: so reduced they take a third of a full PNG. Maximum
    coverage keeps colours that only a few points have, which a median cut merges into others.
    SVG was measured too: several times larger, since it repeats each glyph and line.
    """
    buffer = io.BytesIO()
    # All said here, because a style may crop to the contents or save without background.
    figure.savefig(
        buffer,
        format="png",
        dpi="figure",
        bbox_inches=figure.bbox_inches,
        facecolor="auto",
        transparent=False,
    )
    reduced = (
        Image.open(buffer)
        .convert("RGB")
        .quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE)
    )
    png, webp = io.BytesIO(), io.BytesIO()
    reduced.save(png, "PNG", optimize=True)
    images = {"png": png.getvalue()}
    if features.check("webp"):
        reduced.convert("RGB").save(webp, "WEBP", lossless=True, quality=80, method=4)
        images["webp"] = webp.getvalue()
    return images


def data_address(image: bytes, image_format: str) -> str:
    """An image as a ``data:`` address."""
    return f"data:image/{image_format};base64,{base64.b64encode(image).decode('ascii')}"


def figure_html(
    *,
    title: str | None,
    alt: str,
    parameters: Sequence[Parameter],
    frames: Sequence[Frame],
    image_format: str,
    play: int,
    width: int,
    height: int,
) -> str:
    """The whole block: style, still image, description, stored frames and script.

    Args:
        title: a heading above the figure, or none.
        alt: what the figure shows, whatever the sliders say.
        parameters: one to three sliders; the last one varies fastest in ``frames``.
        frames: one for each combination of values.
        image_format: ``"png"`` or ``"webp"``, of all frames.
        play: index of the parameter that the play button moves.
        width: of the image on the page, in CSS pixels; it shrinks where there is less room.
        height: of the image on the page, in CSS pixels.
    """
    start = frame_index(parameters, [p.start for p in parameters])
    state = start_state(parameters)
    stored = [
        [None if i == start else base64.b64encode(frame.image).decode("ascii"), frame.text]
        for i, frame in enumerate(frames)
    ]
    data = json.dumps(
        {
            "alt": alt,
            "pace": PACE,
            "parameters": [
                {"label": p.label, "texts": list(p.texts), "start": p.start} for p in parameters
            ],
            "play": play,
            "prefix": data_address(b"", image_format),
            "frames": stored,
        },
        ensure_ascii=False,
        separators=(",", ":"),
    ).replace("<", "\\u003c")  # no text inside can end the element
    heading = f'<p class="lessons-explore-title">{html.escape(title)}</p>\n' if title else ""
    return (
        f'<figure class="lessons-explore" style="width:{width}px">\n'
        f"<style>{_STYLE}</style>\n"
        f"{heading}"
        f'<img class="dark-light" src="{data_address(frames[start].image, image_format)}" '
        f'width="{width}" height="{height}" alt="{html.escape(f"{alt} ({state})")}">\n'
        f'<figcaption><span class="lessons-explore-state">{html.escape(state)}</span>\n'
        f'<p class="lessons-explore-text" aria-live="polite">{html.escape(frames[start].text)}</p>'
        "</figcaption>\n"
        "<noscript><p>This is one frame as a still image: the sliders need JavaScript.</p>"
        "</noscript>\n"
        f'<script type="application/json" class="lessons-explore-data">{data}</script>\n'
        f"<script>{_SCRIPT}</script>\n"
        "</figure>\n"
    )

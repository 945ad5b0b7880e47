"""Interactive figures that also live without a kernel: one object, three lives.

`explore` draws a figure for each combination of a few values. A reader gets what can be shown::

    application/vnd.jupyter.widget-view+json   sliders of ipywidgets, with a kernel
    text/html                                  the same in a page, without kernel or network
    image/png                                  the first frame, for print and PDF
    text/plain                                 a summary in words

A page fetches nothing: frames are ``data:`` addresses, style and script are inline. Its markup is
what a reader without JavaScript needs: a still image, its text alternative and a description. The
script adds the controls, so that where scripts are removed (GitHub, print) no dead slider is left;
their ``id``, so that a figure may be shown twice; and looks for figures that are not set up yet, as
``document.currentScript`` is empty where a front-end runs the scripts of a block afterwards.
"""

import base64
import io
import itertools
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image

STATIC_VARIABLE = "LESSONS_STATIC_FIGURES"
"""Where this environment variable is set no widget is shown: in a notebook that is kept it would
point to a kernel that is gone, and front-ends show an error then."""
_PIXELS_PER_INCH = 100  # of CSS
PACE = 600  # milliseconds from frame to frame while a figure plays
_PREFIX = "data:image/webp;base64,"
# The theme of the book puts HTML outputs of dark pages on a light ground and dims their images; two
# long selectors of the style and the class dark-light keep text on the page and colours as drawn.
_STYLE, _SCRIPT = (
    "\n" + Path(__file__).with_name(f"explore.{kind}").read_text("utf-8") for kind in ("css", "js")
)


@dataclass(frozen=True)
class Parameter:
    """One slider."""

    label: str  #: what stands beside the slider
    texts: tuple[str, ...]  #: the values as readers see them, no two alike
    start: int  #: index of the value that is shown first


@dataclass(frozen=True)
class Frame:
    """One picture of the figure, of the values of its sliders."""

    image: bytes  #: WebP
    png: bytes  #: the same, for the still image
    text: str  #: its description in words


@dataclass(frozen=True)
class Explorer:
    """A figure with sliders; the last expression of a cell shows it."""

    title: str | None  #: heading above the figure
    alt: str  #: what the figure shows, whatever the sliders say
    parameters: tuple[Parameter, ...]  #: the sliders, from top to bottom
    frames: tuple[Frame, ...]  #: one for each combination; the last parameter varies fastest
    play: int  #: index of the parameter that the play button moves
    size: tuple[int, int]  #: on a page, CSS pixels; it shrinks where there is less room

    @property
    def start(self) -> int:
        """Index of the frame that is shown first."""
        return self._index(p.start for p in self.parameters)

    @property
    def still(self) -> bytes:
        """The first frame as PNG."""
        return self.frames[self.start].png

    @property
    def state(self) -> str:
        """The values that are shown first: ``"step 5, head 2"``."""
        return ", ".join(f"{p.label} {p.texts[p.start]}" for p in self.parameters)

    def _index(self, positions: Iterable[int]) -> int:
        sizes = [len(p.texts) for p in self.parameters]
        return int(np.ravel_multi_index(tuple(positions), sizes))

    def to_html(self) -> str:
        """The page version: self-contained, the same bytes for the same figure."""
        frames = [(base64.b64encode(frame.image).decode(), frame.text) for frame in self.frames]
        image, text = frames[self.start]
        data = {
            "alt": self.alt,
            "pace": PACE,
            "parameters": [asdict(p) for p in self.parameters],
            "play": self.play,
            "prefix": _PREFIX,
            # The image that is shown already is not stored twice.
            "frames": [[None if i == self.start else one, t] for i, (one, t) in enumerate(frames)],
        }
        stored = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        stored = stored.replace("<", "\\u003c")  # no text inside can end the element
        title, (width, height) = self.title, self.size
        heading = f'<p class="lessons-explore-title">{escape(title)}</p>\n' if title else ""
        return (
            f'<figure class="lessons-explore" style="width:{width}px">\n'
            f"<style>{_STYLE}</style>\n{heading}"
            f'<img class="dark-light" src="{_PREFIX}{image}" '
            f'width="{width}" height="{height}" alt="{escape(f"{self.alt} ({self.state})")}">\n'
            f'<figcaption><span class="lessons-explore-state">{escape(self.state)}</span>\n'
            f'<p class="lessons-explore-text" aria-live="polite">{escape(text)}</p></figcaption>\n'
            "<noscript><p>This is one frame as a still image: the sliders need JavaScript.</p>"
            "</noscript>\n"
            f'<script type="application/json" class="lessons-explore-data">{stored}</script>\n'
            f"<script>{_SCRIPT}</script>\n"
            "</figure>\n"
        )

    def widget(self) -> Any:
        """A new ipywidgets box with image, sliders, play button and description.

        Only what ipywidgets 7.7 (Colab) and 8 share is used.
        """
        import ipywidgets
        from ipywidgets import HTML, Layout

        wide = Layout(width=f"{self.size[0]}px", max_width="100%")
        picture, description = ipywidgets.Image(format="webp", layout=wide), HTML()
        sliders = [
            ipywidgets.SelectionSlider(
                options=p.texts,
                index=p.start,
                description=p.label,
                style={"description_width": "initial"},
                layout=Layout(width="24em", max_width="100%"),
            )
            for p in self.parameters
        ]

        def show(_change: object = None) -> None:
            frame = self.frames[self._index(slider.index for slider in sliders)]
            picture.value, description.value = frame.image, escape(frame.text)

        for slider in sliders:
            slider.observe(show, names="index")
        show()
        rows, played = list(sliders), sliders[self.play]
        play = ipywidgets.Play(max=len(played.options) - 1, value=played.index, interval=PACE)
        ipywidgets.link((play, "value"), (played, "index"))
        rows[self.play] = ipywidgets.HBox([played, play], layout=Layout(flex_flow="row wrap"))
        heading = [HTML(f"<b>{escape(self.title)}</b>")] if self.title else []
        return ipywidgets.VBox([*heading, picture, *rows, description])

    def __repr__(self) -> str:
        sliders = ", ".join(f"{p.label}: {len(p.texts)} values" for p in self.parameters)
        return (
            f"Explorer({sliders}; {len(self.frames)} frames)\n"
            f"{self.alt} ({self.state})\n{self.frames[self.start].text}"
        )

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        """All lives of the figure at once; the front-end takes the best that it can show."""
        bundle: dict[str, Any] = {
            "text/plain": repr(self),
            "text/html": self.to_html(),
            "image/png": base64.b64encode(self.still).decode("ascii"),
        }
        # In a kernel a front-end can talk to widgets.
        ipython = sys.modules.get("IPython")
        kernel = ipython and getattr(ipython.get_ipython(), "kernel", None)
        if kernel and not os.environ.get(STATIC_VARIABLE):
            try:
                view = {"version_major": 2, "version_minor": 0, "model_id": self.widget().model_id}
                bundle["application/vnd.jupyter.widget-view+json"] = view
            except Exception as error:  # the page version can do the same: never lose the figure
                warnings.warn(
                    f"no live widget, the page version is shown instead: {error}", stacklevel=2
                )
        return bundle


def encode(figure: Figure) -> tuple[bytes, bytes]:
    """A drawn figure with at most 256 colours, as lossless WebP and as PNG.

    Figures are flat areas and thin lines: so reduced they take a third of a full PNG, and less than
    SVG. Maximum coverage keeps colours that only a few points have; a median cut merges them.
    """
    canvas, png, webp = FigureCanvasAgg(figure), io.BytesIO(), io.BytesIO()
    canvas.draw()
    full, cover = Image.fromarray(np.asarray(canvas.buffer_rgba())), Image.Quantize.MAXCOVERAGE
    reduced = full.convert("RGB").quantize(256, method=cover, kmeans=1, dither=Image.Dither.NONE)
    reduced.save(png, "PNG", optimize=True)
    reduced.convert("RGB").save(webp, "WEBP", lossless=True, quality=80, method=4)
    return webp.getvalue(), png.getvalue()


def explore(
    draw: Callable[..., object],
    *,
    describe: Callable[..., str],
    alt: str,
    start: Mapping[str, object] | None = None,
    title: str | None = None,
    labels: Mapping[str, str] | None = None,
    play: str | None = None,
    figsize: tuple[float, float] = (5.6, 3.6),
    dpi: int = 120,
    **parameters: Iterable[object] | Mapping[str, object],
) -> Explorer:
    """A figure that a reader moves with sliders, one for each parameter.

    Args:
        draw: ``draw(figure, **values)`` draws on the given empty matplotlib figure.
        describe: ``describe(**values)`` says what the frame shows to who does not see it.
        alt: what the figure shows, whatever the values, in a few words.
        start: the value to begin with, by parameter, or its text; by default the first.
        title: heading above the figure.
        labels: what stands beside a slider, by parameter; by default its name.
        play: the parameter that the play button moves; by default the first.
        figsize: inches. The default fits a phone if the fonts have 11 points or more.
        dpi: pixels in an inch: the sharpness, not the size on the page.
        parameters: one or more with their values: ``step=[0, 5, 10]``, or ``model={"learned": a}``
            where readers are to see other words than the value.

    Raises:
        ValueError: an option is not as above, or a frame is left empty.
    """
    names = list(parameters)
    start, labels, play = start or {}, labels or {}, play or names[0]
    if unknown := {*start, *labels, play} - parameters.keys():
        raise ValueError(f"start, labels or play names {unknown}; there are {', '.join(names)}")
    sliders, choices = [], []
    for name, given in parameters.items():
        pairs = list(given.items()) if isinstance(given, Mapping) else [(v, v) for v in given]
        table = {_value_text(key): value for key, value in pairs}
        if not pairs or len(table) < len(pairs):
            raise ValueError(
                f"expected one or more values of {name} that read differently, found {pairs}; drop "
                f"one, or say what readers are to see with {name}={{text: value, ...}}"
            )
        texts, first = tuple(table), _value_text(start.get(name, pairs[0][0]))
        if first not in texts:
            known = ", ".join(texts)
            raise ValueError(f"start {name}={first} is not one of its values; they are {known}")
        label = labels.get(name, name.replace("_", " "))
        sliders.append(Parameter(label, texts, texts.index(first)))
        choices.append(table.values())
    frames = []
    for values in itertools.product(*choices):
        # Room around, in inches: on a dark page the figure is a white card.
        room = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1)
        figure = Figure(figsize, dpi, facecolor="white", layout=room)
        named = dict(zip(names, values, strict=True))
        draw(figure, **named)
        if len(figure.get_children()) <= 1:  # the background is a child as well
            raise ValueError("draw left the figure empty; draw on the figure that it is given")
        if all(axes.get_subplotspec() is None for axes in figure.axes):
            figure.set_layout_engine("none")  # nothing to lay out, and matplotlib would warn
        frames.append(Frame(*encode(figure), describe(**named).strip()))
    width, height = (round(inches * _PIXELS_PER_INCH) for inches in figsize)
    alt = alt.strip().rstrip(".")
    return Explorer(title, alt, tuple(sliders), tuple(frames), names.index(play), (width, height))


def _value_text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float | np.floating) else str(value)

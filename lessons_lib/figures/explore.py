"""Interactive figures that also live without a kernel: one object, three lives.

`explore` draws a figure once for each combination of a few parameter values and returns an
`Explorer`. What a reader gets depends on where it is shown::

    application/vnd.jupyter.widget-view+json   sliders of ipywidgets, in a notebook with a kernel
    text/html                                  the same in a page, without kernel or network
    image/png                                  the first frame, for print and PDF
    text/plain                                 a summary in words

All three show the same stored frames, so none of them can say something else than the others.
"""

from __future__ import annotations

import base64
import html
import itertools
import math
import numbers
import os
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from lessons_lib.figures.page import (
    PACE,
    Frame,
    Parameter,
    encode,
    figure_html,
    frame_index,
    start_state,
    stored_size,
)

STATIC_VARIABLE = "LESSONS_STATIC_FIGURES"
"""When this environment variable is set, figures show themselves without a widget.

A widget view saved in a notebook points to a kernel that is gone, and front-ends then show an
error instead of the page version. Tools that execute notebooks to keep their outputs set this.
"""

_CSS_PIXELS_PER_INCH = 100
_WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


@dataclass(frozen=True)
class Explorer:
    """A figure with one to three sliders; the last expression of a cell shows it.

    Attributes:
        title: heading above the figure, or ``None``.
        alt: what the figure shows, whatever the sliders say.
        parameters: the sliders, from top to bottom.
        frames: one for each combination of values; the last parameter varies fastest.
        image_format: ``"png"`` or ``"webp"``: the smaller for these frames.
        still: the first frame as PNG.
        play: index of the parameter that the play button moves.
        size: width and height on a page, CSS pixels.
    """

    title: str | None
    alt: str
    parameters: tuple[Parameter, ...]
    frames: tuple[Frame, ...]
    image_format: str
    still: bytes
    play: int
    size: tuple[int, int]

    @property
    def start(self) -> int:
        """Index of the frame that is shown first."""
        return frame_index(self.parameters, [p.start for p in self.parameters])

    @property
    def errors(self) -> tuple[str, ...]:
        """What went wrong in the frames that could not be drawn, in their order; mostly empty."""
        return tuple(frame.error for frame in self.frames if frame.error is not None)

    def to_html(self) -> str:
        """The page version: self-contained, the same bytes for the same figure."""
        return figure_html(
            title=self.title,
            alt=self.alt,
            parameters=self.parameters,
            frames=self.frames,
            image_format=self.image_format,
            play=self.play,
            width=self.size[0],
            height=self.size[1],
        )

    def widget(self) -> Any:
        """A new ipywidgets box with image, sliders, play button and description.

        Only what ipywidgets 7.7 (Colab) and 8 share is used.

        Raises:
            ImportError: ipywidgets is not installed.
        """
        import ipywidgets

        picture = ipywidgets.Image(
            format=self.image_format,
            layout=ipywidgets.Layout(width=f"{self.size[0]}px", max_width="100%"),
        )
        description = ipywidgets.HTML()
        sliders = [
            ipywidgets.SelectionSlider(
                options=[(text, i) for i, text in enumerate(p.texts)],
                value=p.start,
                description=p.label,
                style={"description_width": "initial"},
                layout=ipywidgets.Layout(width="24em", max_width="100%"),
            )
            for p in self.parameters
        ]

        def show(_change: object = None) -> None:
            frame = self.frames[frame_index(self.parameters, [slider.value for slider in sliders])]
            picture.value = frame.image
            description.value = html.escape(frame.text)

        for slider in sliders:
            slider.observe(show, names="value")
        show()
        play = ipywidgets.Play(
            min=0,
            max=len(self.parameters[self.play].values) - 1,
            value=self.parameters[self.play].start,
            interval=PACE,
        )
        ipywidgets.link((play, "value"), (sliders[self.play], "index"))
        rows: list[Any] = list(sliders)
        rows[self.play] = ipywidgets.HBox(
            [sliders[self.play], play], layout=ipywidgets.Layout(flex_flow="row wrap")
        )
        heading = [ipywidgets.HTML(f"<b>{html.escape(self.title)}</b>")] if self.title else []
        return ipywidgets.VBox([*heading, picture, *rows, description])

    def __repr__(self) -> str:
        sliders = ", ".join(f"{p.label}: {len(p.values)} values" for p in self.parameters)
        failed = f", {len(self.errors)} failed" if self.errors else ""
        return (
            f"Explorer({sliders}; {len(self.frames)} frames{failed})\n"
            f"{self.alt} ({start_state(self.parameters)})\n{self.frames[self.start].text}"
        )

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> dict[str, dict[str, object] | str]:
        """All lives of the figure at once; the front-end takes the best that it can show."""
        bundle: dict[str, dict[str, object] | str] = {
            "text/plain": repr(self),
            "text/html": self.to_html(),
            "image/png": base64.b64encode(self.still).decode("ascii"),
        }
        if _has_live_front_end():
            try:
                model = self.widget().model_id
            except Exception as error:  # the page version can do the same: never lose the figure
                warnings.warn(
                    f"no live widget, the page version is shown instead: {error}", stacklevel=2
                )
            else:
                bundle[_WIDGET_VIEW] = {
                    "version_major": 2,
                    "version_minor": 0,
                    "model_id": model,
                }
        return bundle


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
    size_limit: int = 1_500_000,
    **parameters: Iterable[object] | Mapping[str, object],
) -> Explorer:
    """A figure that a reader moves with one to three sliders.

    The values come as keywords: ``step=[0, 5, 10]``, or ``model={"learned": a, "uniform": b}``
    where readers are to see other words than the value. All frames are drawn at once, in order.
    A frame whose ``draw`` or ``describe`` raises shows the error in its place; see
    `Explorer.errors`.

    Args:
        draw: ``draw(figure, **values)`` draws on the given empty matplotlib figure.
        describe: ``describe(**values)`` says in a sentence or two what the frame shows, for
            those who do not see it.
        alt: what the figure shows, whatever the values, in a few words.
        start: the value to begin with, by parameter; the text where values were given with one.
            By default the first.
        title: heading above the figure.
        labels: what stands beside a slider, by parameter; by default its name.
        play: the parameter that the play button moves; by default the first.
        figsize: inches. The default fits a phone if the fonts have 11 points or more.
        dpi: pixels in an inch. The size on the page does not depend on it, the sharpness does.
        size_limit: what the page version may take, in bytes.
        parameters: the values of one to three parameters.

    Raises:
        TypeError: values that are no sequence, a start that is no mapping, or an ``alt``,
            ``title`` or description that is not text.
        ValueError: none or more than three parameters, no values, two values that read alike, an
            unknown start or name, an empty description, or more than ``size_limit`` bytes.
        RuntimeError: no frame at all could be drawn.
    """
    alt = _text(alt, "alt").rstrip(".")
    title = None if title is None else _text(title, "title")
    sliders = _parameters(parameters, start, labels)
    names = [p.name for p in sliders]
    if play is not None and play not in names:
        raise ValueError(f"play={play!r} is not a parameter; choose one of {', '.join(names)}")

    combinations = list(itertools.product(*(p.values for p in sliders)))
    totals: dict[str, int] = {}
    images: list[dict[str, bytes]] = []
    texts: list[str] = []
    errors: list[Exception | None] = []
    for combination in combinations:
        values = dict(zip(names, combination, strict=True))
        image, text, error = _draw_frame(draw, describe, values, figsize, dpi)
        images.append(image)
        texts.append(text)
        errors.append(error)
        for name in image:
            totals[name] = totals.get(name, 0) + stored_size(image[name], text)
        # Said as soon as it is certain: nobody should wait for a thousand frames to read this.
        if min(totals.values()) > size_limit:
            expected = min(totals.values()) * len(combinations) // len(images)
            raise ValueError(_size_message(expected, size_limit, sliders, dpi))
    if errors[0] is not None and None not in errors:
        raise RuntimeError(f"no frame could be drawn: {_error_text(errors[0])}") from errors[0]

    image_format = min(totals, key=lambda name: totals[name])
    explorer = Explorer(
        title=title,
        alt=alt,
        parameters=sliders,
        frames=tuple(
            Frame(image[image_format], text, None if error is None else _error_text(error))
            for image, text, error in zip(images, texts, errors, strict=True)
        ),
        image_format=image_format,
        still=images[frame_index(sliders, [p.start for p in sliders])]["png"],
        play=0 if play is None else names.index(play),
        size=(
            round(figsize[0] * _CSS_PIXELS_PER_INCH),
            round(figsize[1] * _CSS_PIXELS_PER_INCH),
        ),
    )
    size = len(explorer.to_html().encode())
    if size > size_limit:
        raise ValueError(_size_message(size, size_limit, sliders, dpi))
    return explorer


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text as {name}, found {value!r} (no parameter can be called so)")
    if not value.strip():
        raise ValueError(f"{name} is empty; say in a few words what the figure shows")
    return value.strip()


def _parameters(
    given: Mapping[str, Iterable[object] | Mapping[str, object]],
    start: Mapping[str, object] | None,
    labels: Mapping[str, str] | None,
) -> tuple[Parameter, ...]:
    if not 1 <= len(given) <= 3:
        raise ValueError(
            f"expected one to three parameters, found {len(given)}"
            f"{': ' + ', '.join(given) if given else ''}; pass them as name=[value, value, ...]"
        )
    start = {} if start is None else start
    labels = {} if labels is None else labels
    for what, mapping in (("start", start), ("labels", labels)):
        if not isinstance(mapping, Mapping):
            raise TypeError(f"expected {what}={{parameter: ...}}, found {mapping!r}")
        for name in mapping:
            if name not in given:
                raise ValueError(
                    f"{what} names {name!r}, which is not a parameter; they are {', '.join(given)}"
                )
    result = []
    for name, choices in given.items():
        if isinstance(choices, str | bytes) or not isinstance(choices, Iterable):
            raise TypeError(f"expected a list of values as {name}, found {choices!r}")
        if isinstance(choices, Mapping):
            texts, values = tuple(str(text) for text in choices), tuple(choices.values())
            findable: tuple[object, ...] = tuple(choices)
        else:
            values = tuple(choices)
            texts, findable = tuple(_value_text(value) for value in values), values
        if not values:
            raise ValueError(f"{name} has no values; give at least one")
        if len(set(texts)) < len(texts):
            twice = next(text for text in texts if texts.count(text) > 1)
            raise ValueError(
                f"two values of {name} both read {twice!r}; drop one, or say what readers are to "
                f"see with {name}={{text: value, ...}}"
            )
        if name in start and start[name] not in findable:
            raise ValueError(
                f"start {name}={start[name]!r} is not one of its values; they are "
                f"{', '.join(texts)}"
            )
        position = findable.index(start[name]) if name in start else 0
        label = _text(labels.get(name, name.replace("_", " ")), f"the label of {name}")
        result.append(Parameter(name, label, texts, values, position))
    return tuple(result)


def _value_text(value: object) -> str:
    is_fraction = isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral)
    return f"{value:g}" if is_fraction else str(value)


def _draw_frame(
    draw: Callable[..., object],
    describe: Callable[..., str],
    values: Mapping[str, object],
    figsize: tuple[float, float],
    dpi: int,
) -> tuple[dict[str, bytes], str, Exception | None]:
    """The image by format and the description; of a frame that raises, a picture of its error."""
    # Room around, in inches: on a dark page the figure is a white card.
    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1)
    figure = Figure(figsize=figsize, dpi=dpi, facecolor="white", layout=layout)
    try:
        draw(figure, **values)
        if len(figure.get_children()) <= 1:  # the background is a child as well
            raise RuntimeError("draw left the figure empty; draw on the figure that it is given")
        if all(axes.get_subplotspec() is None for axes in figure.axes):
            figure.set_layout_engine("none")  # nothing to lay out, and matplotlib would warn
        images = encode(figure)
        text = describe(**values)
    except Exception as error:  # whatever it is, the other frames are to work
        figure = Figure(figsize=figsize, dpi=dpi, facecolor="white")
        text = f"This frame could not be drawn. {_error_text(error)}"
        # ASCII, so that no missing glyph makes the report of an error fail itself.
        lines = textwrap.wrap(text.encode("ascii", "backslashreplace").decode(), 48)[:12]
        figure.text(
            0.04, 0.96, "\n".join(lines), va="top", fontsize=12, color="black", parse_math=False
        )
        return encode(figure), text, error
    return images, _text(text, f"the description of {_call_text(values)}"), None


def _call_text(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={_value_text(value)}" for name, value in values.items())


def _error_text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _size_message(size: int, limit: int, parameters: Sequence[Parameter], dpi: int) -> str:
    counts = " x ".join(f"{len(p.values)} {p.name}" for p in parameters)
    frames = math.prod(len(p.values) for p in parameters)
    return (
        f"the {frames} frames ({counts}) would take about {size:,} bytes in the page, more than "
        f"size_limit={limit:,}; give fewer values, or a lower dpi than {dpi}"
    )


def _has_live_front_end() -> bool:
    """Whether this runs in a kernel (a front-end can then talk to widgets) and may use it."""
    if os.environ.get(STATIC_VARIABLE):
        return False
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None

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
from typing import Any

from matplotlib.figure import Figure
from PIL import Image, features

_STYLE = """
.lessons-explore{margin:0 0 1rem;max-width:100%;line-height:1.5}
.lessons-explore-title{margin:0 0 .5rem;font-weight:600}
.lessons-explore img{display:block;max-width:100%;height:auto;margin:0;
background:#fff;border-radius:.25rem}
.lessons-explore-controls{display:grid;gap:.25rem 1.5rem;margin:.75rem 0 0;
grid-template-columns:repeat(auto-fit,minmax(min(14rem,100%),1fr))}
.lessons-explore-head{display:flex;justify-content:space-between;gap:1rem}
.lessons-explore-head label{margin:0;font-weight:400}
.lessons-explore-head output{font-weight:600;text-align:right;font-variant-numeric:tabular-nums}
.lessons-explore-row{display:flex;align-items:center;gap:.75rem}
.lessons-explore-row input{flex:1 1 0;min-width:0;height:2.75rem;margin:0;cursor:pointer;
accent-color:var(--pst-color-primary,#0a7d91)}
.lessons-explore-row button{display:inline-flex;align-items:center;gap:.5em;height:2.75rem;
padding:0 .9rem;font:inherit;color:inherit;background:transparent;
border:1px solid rgba(127,127,127,.8);
border-radius:.25rem;cursor:pointer}
.lessons-explore-row button:hover{background:rgba(127,127,127,.15)}
.lessons-explore-row button::before{content:"";width:.7em;height:.8em;background:currentColor;
clip-path:polygon(0 0,100% 50%,0 100%)}
.lessons-explore-row button[data-playing]::before{
clip-path:polygon(0 0,35% 0,35% 100%,65% 100%,65% 0,100% 0,100% 100%,0 100%)}
.lessons-explore-row button:focus-visible,.lessons-explore-row input:focus-visible{
outline:2px solid currentColor;outline-offset:2px}
.lessons-explore figcaption{margin:.5rem 0 0;padding:0;text-align:left;font:inherit;color:inherit}
.lessons-explore figcaption p{display:block;margin:0;min-height:3em}
.lessons-explore-state{display:block;font-weight:600}
@media screen{.lessons-explore[data-ready] .lessons-explore-state{display:none}}
html[data-theme=dark] .bd-content div.cell_output .text_html:has(>figure.lessons-explore){
background:transparent;color:inherit;padding:0}
html[data-theme=dark] .bd-content div.cell_output .lessons-explore img{background:#fff;padding:0}
@media print{.lessons-explore{break-inside:avoid}.lessons-explore-controls{display:none}}
"""

# The theme of the book puts HTML outputs of dark pages on a light ground and dims their images; the
# two long selectors and the class dark-light keep text on the page and the colours as drawn.
# The two bars of the pause sign are one polygon, joined at the foot by an edge without area.

_SCRIPT = """
(function () {
  "use strict";
  var selector = "figure.lessons-explore:not([data-ready])";
  Array.prototype.forEach.call(document.querySelectorAll(selector), function (root) {
    function part(name) { return root.querySelector(".lessons-explore-" + name); }
    function make(tag, parent, name) {
      var element = document.createElement(tag);
      if (name) { element.className = "lessons-explore-" + name; }
      return parent.appendChild(element);
    }
    function freeId() {
      var number = 1;
      while (document.getElementById("lessons-explore-" + number)) { number += 1; }
      return "lessons-explore-" + number;
    }
    var data = part("data"), image = root.querySelector("img");
    var text = part("text"), state = part("state");
    if (!data || !image || !text) { return; }
    data = JSON.parse(data.textContent);
    root.setAttribute("data-ready", "");
    var startSource = image.src, controls = document.createElement("div"), timer = null;
    controls.className = "lessons-explore-controls";
    image.insertAdjacentElement("afterend", controls);

    var sliders = data.parameters.map(function (parameter, number) {
      var group = make("div", controls), head = make("div", group, "head");
      var row = make("div", group, "row");
      var label = make("label", head), output = make("output", head), input = make("input", row);
      input.type = "range";
      input.min = 0;
      input.max = parameter.texts.length - 1;
      input.step = 1;
      input.value = parameter.start;
      input.autocomplete = "off";
      input.id = freeId();
      label.htmlFor = input.id;
      label.textContent = parameter.label;
      output.htmlFor = input.id;
      output.setAttribute("aria-live", "off");  // the slider speaks its value itself
      input.addEventListener("input", function () { pause(); show(); });
      return { input: input, output: output, row: row, parameter: parameter };
    });

    function show() {
      var index = 0, words = [];
      sliders.forEach(function (slider) {
        var value = slider.parameter.texts[Number(slider.input.value)];
        index = index * slider.parameter.texts.length + Number(slider.input.value);
        slider.output.textContent = value;
        slider.input.setAttribute("aria-valuetext", value);
        words.push(slider.parameter.label + " " + value);
      });
      var frame = data.frames[index];
      // The first image is in the page already and is not stored a second time.
      image.src = frame[0] === null ? startSource : data.prefix + frame[0];
      image.alt = data.alt + " (" + words.join(", ") + ")";
      state.textContent = words.join(", ");
      if (text.textContent !== frame[1]) { text.textContent = frame[1]; }
    }

    var played = sliders[data.play].input, last = Number(played.max);
    var button = make("button", sliders[data.play].row);
    var still = window.matchMedia && window.matchMedia("(prefers-reduced-motion: reduce)");
    button.type = "button";
    function name(word) {
      button.textContent = word;
      button.setAttribute("aria-label", word + " " + data.parameters[data.play].label);
    }
    function rest() { name(still && still.matches ? "Next" : "Play"); }
    function pause() {
      if (timer === null) { return; }
      window.clearInterval(timer);
      timer = null;
      button.removeAttribute("data-playing");
      text.setAttribute("aria-live", "polite");
      rest();
    }
    function advance() {
      if (!root.isConnected) { pause(); return; }
      var next = Number(played.value) + 1;
      played.value = next > last ? 0 : next;
      if (Number(played.value) === last) { pause(); }  // before the text, so that it is spoken
      show();
    }
    button.addEventListener("click", function () {
      if (timer !== null) { pause(); return; }
      if (still && still.matches) { advance(); return; }  // nothing moves by itself
      timer = window.setInterval(advance, data.pace);
      button.setAttribute("data-playing", "");
      text.setAttribute("aria-live", "off");  // a reader is not to be talked over while it plays
      name("Pause");
      if (Number(played.value) === last) { advance(); }  // at the end: from the start again
    });
    rest();
    show();
  });
})();
"""

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

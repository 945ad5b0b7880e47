"""`explore`: one figure object, three lives. What a browser does with it: test_explore_browser."""

import base64
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from bs4 import BeautifulSoup
from matplotlib.figure import Figure
from PIL import Image

from lessons_lib.figures.explore import STATIC_VARIABLE, Explorer, encode, explore

STEPS, HEADS = (0, 70, 140, 210), (10, 90, 250)


def draw_colour(figure: Figure, step: int, head: int, model: int = 0) -> None:
    """The colour is the oracle: red, green and blue of the middle pixel are the values drawn."""
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.imshow([[(step, head, model)]], aspect="auto")


def describe_colour(step: int, head: int, model: int = 0) -> str:
    return f"red is {step}, green is {head} & blue is {model}"


def colour_of(image: bytes) -> tuple[int, ...]:
    picture = np.asarray(Image.open(io.BytesIO(image)).convert("RGB"))
    return tuple(picture[len(picture) // 2, picture.shape[1] // 2].tolist())


def make(**options: Any) -> Explorer:
    usual = {"draw": draw_colour, "describe": describe_colour, "alt": "A coloured square."}
    small = {"figsize": (1.5, 1), "dpi": 40}
    return explore(**{"step": STEPS, "head": HEADS, **small, **usual, **options})


def page_of(figure: Explorer) -> BeautifulSoup:
    return BeautifulSoup(figure.to_html(), "html.parser")


def stored(figure: Explorer) -> dict[str, Any]:
    """What the script of the page version reads."""
    (data,) = page_of(figure).select("script[type]")
    found: dict[str, Any] = json.loads(data.text)
    return found


# --- frames and the page version -----------------------------------------------------------------


def test_each_combination_has_its_own_frame_and_the_last_parameter_varies_fastest() -> None:
    figure = make(model=[20, 200])
    wanted = [(step, head, model) for step in STEPS for head in HEADS for model in (20, 200)]
    assert [colour_of(frame.image) for frame in figure.frames] == wanted
    assert [frame.text for frame in figure.frames] == [describe_colour(*v) for v in wanted]


def test_start_chooses_the_first_frame_of_every_life() -> None:
    figure = make(start={"step": 140, "head": 90})
    bundle = figure._repr_mimebundle_()
    (picture,) = page_of(figure).select("img")
    head, _, image = str(picture["src"]).partition(";base64,")
    assert head == "data:image/webp"
    assert colour_of(base64.b64decode(str(bundle["image/png"]))) == (140, 90, 0)
    assert colour_of(base64.b64decode(image, validate=True)) == (140, 90, 0)
    assert "red is 140, green is 90" in str(bundle["text/plain"])
    assert [p["start"] for p in stored(figure)["parameters"]] == [2, 1]


def test_values_read_as_people_write_them_or_as_they_are_told() -> None:
    figure = make(
        step={"before training": 0, "after": 210}, labels={"step": "when"}, start={"step": "after"}
    )
    assert figure.parameters[0].texts == ("before training", "after")
    assert colour_of(figure.still) == (210, 10, 0)
    assert "(when after, head 10)" in repr(figure)
    values = [0.1 + 0.2, np.float32(0.1), 1e-05, 2.0, 7, np.int64(11), "LSTM"]
    figure = explore(
        lambda figure, x: figure.text(0, 0, "x"), describe=lambda x: "x", alt="x", x=values, dpi=40
    )
    assert figure.parameters[0].texts == ("0.3", "0.1", "1e-05", "2", "7", "11", "LSTM")


def test_the_palette_keeps_every_colour_rare_ones_too() -> None:
    """A marker and a thin line among a thousand colours must not be merged into them."""
    figure = Figure(figsize=(5.6, 3.6), dpi=120)
    axes = figure.subplots()
    axes.imshow(np.arange(1200).reshape(30, 40) * 7 % 1200, cmap="magma")
    axes.plot([3], [3], "o", color="#00ff00", markersize=5)
    axes.plot([5, 30], [20, 10], color="cyan", linewidth=1)
    full = io.BytesIO()
    figure.savefig(full, format="png", dpi="figure")
    wanted = np.asarray(Image.open(full).convert("RGB"), dtype=int)
    for image in encode(figure):
        found = np.asarray(Image.open(io.BytesIO(image)).convert("RGB"), dtype=int)
        assert np.abs(found - wanted).max() < 20  # of 255; a median cut is off by up to 200
        assert len(image) < len(full.getvalue()) / 2


def test_the_page_version_is_complete_without_script_fetches_nothing_and_has_no_id() -> None:
    figure = make(title="Colours & <shades>")
    page = page_of(figure)
    assert [i["alt"] for i in page.select("img")] == ["A coloured square (step 0, head 10)"]
    told = [paragraph.text for paragraph in page.select("p")]
    assert told[:2] == ["Colours & <shades>", "red is 0, green is 10 & blue is 0"]
    assert page.select("noscript")
    # A slider that needs a script is made by the script, so none is dead without it.
    assert not page.select("input, button, select, [id], [href]")
    assert "http" not in figure.to_html()
    assert all(str(tag["src"]).startswith("data:") for tag in page.select("[src]"))
    assert figure.to_html() == make(title="Colours & <shades>").to_html(), "the same bytes"


def test_text_cannot_break_out_of_the_page_version() -> None:
    nasty = '</script><script>alert("x")</script> <!-- "quoted"'
    figure = make(describe=lambda **_: nasty, alt=nasty, title=nasty)
    assert len(page_of(figure).select("script")) == 2
    assert stored(figure)["frames"][1][1] == nasty
    assert str(page_of(figure).select("img")[0]["alt"]).startswith(nasty)


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step": []}, r"one or more values of step .*, found \[\]"),
        ({"step": [0.1234567, 0.1234568]}, "values of step that read differently.*0.1234567"),
        ({"start": {"step": 71}}, "start step=71 is not one of its values.*0, 70"),
        ({"start": {"layer": 1}}, "names {'layer'}.*step, head"),
        ({"play": "layer"}, "names {'layer'}.*step, head"),
        ({"draw": lambda figure, **_: Figure().subplots()}, "draw on the figure that it is given"),
    ],
)
def test_bad_input_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**options)


# --- the live widget (its tests run again with ipywidgets 7.7 below) ------------------------------


def parts(box: Any, kind: str) -> list[Any]:
    """All widgets of a kind inside a box, in their order."""
    inside = [part for child in getattr(box, "children", ()) for part in parts(child, kind)]
    return [box] * (type(box).__name__ == kind) + inside


def test_live_widget_shows_the_frame_of_its_sliders_and_plays() -> None:
    options = {"title": "<T>", "play": "head", "labels": {"step": "training step"}}
    box = make(start={"step": 140}, **options).widget()
    (picture,), (play,), (heading, text) = (parts(box, kind) for kind in ("Image", "Play", "HTML"))
    assert heading.value == "<b>&lt;T&gt;</b>"
    step, head = parts(box, "SelectionSlider")
    assert (step.description, head.description) == ("training step", "head")
    assert colour_of(picture.value) == (140, 10, 0)
    assert (play.min, play.max) == (0, len(HEADS) - 1)
    play.value = 2
    assert colour_of(picture.value) == (140, 250, 0)
    step.index = 1
    assert colour_of(picture.value) == (70, 250, 0)
    step.index, head.index = 3, 1
    assert colour_of(picture.value) == (210, 90, 0)
    assert text.value == "red is 210, green is 90 &amp; blue is 0"


STILL_LIVES = {"text/plain", "text/html", "image/png"}


def test_in_a_kernel_a_widget_is_offered_too_and_a_broken_ipywidgets_costs_only_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(STATIC_VARIABLE, raising=False)
    assert set(make()._repr_mimebundle_()) == STILL_LIVES, "without a kernel none is offered"
    shell = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel="there"))
    monkeypatch.setitem(sys.modules, "IPython", shell)
    live = make()._repr_mimebundle_()
    assert live.pop("application/vnd.jupyter.widget-view+json")["model_id"]
    assert set(live) == STILL_LIVES
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.warns(UserWarning, match="the page version is shown instead"):
        assert set(make()._repr_mimebundle_()) == STILL_LIVES
    monkeypatch.setenv(STATIC_VARIABLE, "1")
    assert set(make()._repr_mimebundle_()) == STILL_LIVES, "outputs that are to be kept"


@pytest.mark.slow
def test_the_widget_works_with_the_ipywidgets_of_colab(tmp_path: Path) -> None:
    """A folder with ipywidgets 7.7; before everything else on the path it wins."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-input"]
    command += ["--disable-pip-version-check", "--retries", "0", "--target", str(tmp_path)]
    packages = ["ipywidgets==7.7.5", "ipython_genutils==0.2.0"]
    done = subprocess.run([*command, *packages], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"ipywidgets 7.7.5 cannot be installed: {done.stderr.strip()[-200:]}")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    version = [sys.executable, "-P", "-c", "import ipywidgets; print(ipywidgets.__version__)"]
    assert subprocess.check_output(version, env=environment, text=True) == "7.7.5\n"
    command = [sys.executable, "-P", "-m", "pytest", __file__, "-k", "live_widget or in_a_kernel"]
    command += ["-q", "-p", "no:cacheprovider", "-W", "ignore::DeprecationWarning"]
    done = subprocess.run(
        command, cwd=Path(__file__).parent.parent, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout

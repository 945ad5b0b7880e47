"""What Chromium makes of a figure by `explore`: its page version, and the widget in JupyterLab."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import notebook
from site_browser import PATIENCE, PHONE, ROOT, OpenPage, in_browser, wait
from test_explore import describe_colour, make

from lessons_lib.figures.explore import PACE

pytestmark = in_browser

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>Page</title></head>
<body><main><h1>Page</h1>{}</main></body></html>"""


@pytest.fixture(scope="module")
def block() -> str:
    told = {"title": "Colours", "labels": {"step": "training step"}, "start": {"step": 70}}
    return make(figsize=(5.6, 3.6), **told).to_html()


OpenBody = Callable[..., Any]


@pytest.fixture
def open_body(open_page: OpenPage, tmp_path: Path) -> OpenBody:
    """Opens a body as a page; in the end nothing may have been fetched or complained about."""

    def open_it(body: str, **options: Any) -> Any:
        (tmp_path / "page.html").write_text(PAGE.format(body), encoding="utf-8")
        page = open_page("page.html", base=tmp_path.as_uri(), offline=True, **options)
        page.clock.install()  # no test waits for a figure to play: ``PACE`` passes when told
        return page

    return open_it


def slider(figure: Any, name: str) -> Any:
    return figure.get_by_role("slider", name=name, exact=True)


def button(figure: Any, word: str) -> Any:
    return figure.get_by_role("button", name=f"{word} training step")


def expect_frame(figure: Any, step: int, head: int) -> None:
    """The middle of the image, its alternative text and the description tell the same values."""
    colour = figure.locator("img").evaluate(
        """async (image) => {
          await image.decode();
          const context = new OffscreenCanvas(1, 1).getContext("2d");
          context.drawImage(image, -image.naturalWidth / 2, -image.naturalHeight / 2);
          return Array.from(context.getImageData(0, 0, 1, 1).data.slice(0, 2));
        }"""
    )
    assert colour == [step, head]
    told = figure.locator(".lessons-explore-text").inner_text()
    assert told == describe_colour(step, head)
    wanted = f"A coloured square (training step {step}, head {head})"
    assert figure.locator("img").get_attribute("alt") == wanted


def test_each_slider_moves_by_keyboard_and_changes_frame_and_description(
    open_body: OpenBody, block: str
) -> None:
    figure = open_body(block).locator("figure")
    expect_frame(figure, 70, 10)
    for name, key, values in (
        ("training step", "Home", (0, 10)),
        ("head", "ArrowRight", (0, 90)),
        ("head", "End", (0, 250)),
        ("training step", "ArrowRight", (70, 250)),
        ("head", "Home", (70, 10)),  # back at the image that the page came with
    ):
        slider(figure, name).press(key)
        expect_frame(figure, *values)
    assert slider(figure, "training step").get_attribute("aria-valuetext") == "70"
    assert figure.locator("output").all_inner_texts() == ["70", "10"]


def test_play_stops_at_the_end_and_starts_again(open_body: OpenBody, block: str) -> None:
    figure = open_body(block).locator("figure")
    text = figure.locator(".lessons-explore-text")
    button(figure, "Play").press("Enter")
    assert text.get_attribute("aria-live") == "off"
    button(figure, "Pause").wait_for()
    figure.page.clock.run_for(2 * PACE + 1)
    button(figure, "Play").wait_for()
    expect_frame(figure, 210, 10)
    assert text.get_attribute("aria-live") == "polite"
    button(figure, "Play").press("Space")
    expect_frame(figure, 0, 10)
    button(figure, "Pause").press("Space")
    button(figure, "Play").wait_for()
    figure.page.clock.run_for(3 * PACE)
    expect_frame(figure, 0, 10)
    button(figure, "Play").click()
    slider(figure, "training step").press("ArrowRight")  # moving a slider ends the play
    button(figure, "Play").wait_for()
    figure.page.clock.run_for(3 * PACE)
    expect_frame(figure, 70, 10)


def test_with_reduced_motion_nothing_moves_by_itself(open_body: OpenBody, block: str) -> None:
    figure = open_body(block, reduced_motion="reduce").locator("figure")
    button(figure, "Next").click()
    figure.page.clock.run_for(3 * PACE)
    expect_frame(figure, 140, 10)


def test_a_front_end_may_insert_the_block_before_its_scripts_run(
    open_body: OpenBody, block: str
) -> None:
    """As notebooks do: the text becomes a detached tree, then fresh scripts replace the inert."""
    page = open_body("<p>output</p>")
    page.evaluate(
        """(source) => {
          const output = document.createElement("div");
          output.innerHTML = source;
          for (const old of output.querySelectorAll("script")) {
            const fresh = document.createElement("script");
            for (const { name, value } of old.attributes) fresh.setAttribute(name, value);
            fresh.textContent = old.textContent;
            old.replaceWith(fresh);
          }
          document.querySelector("main").append(output);
        }""",
        block,
    )
    figure = page.locator("figure")
    slider(figure, "training step").press("ArrowRight")
    expect_frame(figure, 140, 10)


def test_the_figure_fits_a_phone_and_in_print_the_values_stand_in_words(
    open_body: OpenBody, block: str
) -> None:
    page = open_body(block, size=PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    image = page.locator("img").bounding_box()
    assert 0.9 * PHONE["width"] <= image["width"] <= PHONE["width"]
    assert image["width"] / image["height"] == pytest.approx(5.6 / 3.6, rel=0.01)
    for control in page.locator("input, button").all():
        assert control.bounding_box()["height"] >= 40  # a finger is wider than a mouse pointer
    state = page.locator(".lessons-explore-state")
    slider(page, "training step").press("End")
    assert not state.is_visible()  # the sliders say it
    page.emulate_media(media="print")
    assert state.inner_text() == "training step 210, head 10"
    assert not page.locator(".lessons-explore-controls").is_visible()


LAB = os.environ.get("JUPYTERLAB") or shutil.which("jupyter-lab")
CELL = """from lessons_lib.figures.explore import explore

explore(
    lambda figure, step: figure.add_subplot().plot([0, step]),
    describe=lambda step: f"The line ends at {step}.",
    alt="A line",
    step=[2, 4, 8],
)"""


def answers(place: tuple[str, int]) -> bool:
    with socket.socket() as line:
        return line.connect_ex(place) == 0


@pytest.fixture
def notebook_address(tmp_path: Path) -> Iterator[str]:
    """A server of JupyterLab with one notebook, whose kernel is the Python of the tests."""
    assert LAB is not None
    names = {"name": "python3", "display_name": "Python 3", "language": "python"}
    content = json.loads(notebook(CELL)) | {"metadata": {"kernelspec": names}}
    (tmp_path / "figure.ipynb").write_text(json.dumps(content), encoding="utf-8")
    kernel = [sys.executable, "-m", "ipykernel", "install", "--prefix", str(tmp_path)]
    subprocess.run(kernel, check=True, capture_output=True)
    folders = {f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "RUNTIME")}
    folders |= {"JUPYTER_PATH": str(tmp_path / "share" / "jupyter"), "HOME": str(tmp_path)}
    folders |= {"PYTHONPATH": "" if os.environ.get("LESSONS_INSTALLED") else str(ROOT)}
    with socket.create_server(("127.0.0.1", 0)) as free:
        place = free.getsockname()
    options = ["--no-browser", "--allow-root", f"--port={place[1]}", "--ServerApp.token=t"]
    options += [f"--ServerApp.root_dir={tmp_path}", "--LabApp.news_url="]
    options += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    with subprocess.Popen([LAB, *options], env=os.environ | folders) as server:
        try:
            wait(partial(answers, place), "the server answers")
            yield f"http://127.0.0.1:{place[1]}/lab/tree/figure.ipynb?token=t"
        finally:
            server.terminate()


@pytest.mark.slow
@pytest.mark.skipif(LAB is None, reason="no jupyter-lab on the PATH or in JUPYTERLAB")
def test_a_figure_runs_and_moves_by_key_in_jupyterlab(browser: Any, notebook_address: str) -> None:
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(notebook_address)
    page.locator(".jp-CodeCell .cm-content").click()
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for()
    page.keyboard.press("Control+Enter")
    output = page.locator(".jp-OutputArea-output")
    said = output.get_by_text("The line ends at")
    said.wait_for()
    assert said.inner_text() == "The line ends at 2."
    picture = output.locator("img").first
    before = picture.get_attribute("src")
    output.locator(".noUi-handle").first.focus()
    page.keyboard.press("ArrowRight")
    output.get_by_text("The line ends at 4.").wait_for()
    assert picture.get_attribute("src") != before
    page.context.close()

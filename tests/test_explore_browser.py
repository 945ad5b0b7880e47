"""What a reader's browser makes of the page version of `explore`, in headless Chromium."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from site_browser import in_browser

from lessons_lib.figures.explore import PACE, explore

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = in_browser

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>Page</title></head>
<body><main><h1>Page</h1>{}</main></body></html>"""


def draw_colour(figure: Figure, step: int, head: int) -> None:
    """The colour is the oracle: red and green of the middle pixel are the values drawn."""
    if (step, head) == (210, 250):
        raise ValueError("broken on purpose")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.imshow([[(step, head, 0)]], aspect="auto")


@pytest.fixture(scope="module")
def block() -> str:
    return explore(
        draw_colour,
        describe=lambda step, head: f"red is {step} & green is {head}",
        alt="A coloured square",
        title="Colours",
        labels={"step": "training step"},
        start={"step": 70},
        step=(0, 70, 140, 210),
        head=(10, 90, 250),
    ).to_html()


OpenPage = Callable[..., Any]


@pytest.fixture
def open_page(chromium: Any, tmp_path: Path) -> Iterator[OpenPage]:
    """Opens a body as a page; in the end nothing may have been fetched or complained about."""
    trouble: list[str] = []
    contexts: list[Any] = []

    def noticed(request: Any) -> None:
        if not request.url.startswith(("file:", "data:")):
            trouble.append(f"request of {request.url}")

    def open_body(body: str, **options: Any) -> Any:
        file = tmp_path / f"page{len(contexts)}.html"
        file.write_text(PAGE.format(body), encoding="utf-8")
        contexts.append(chromium.new_context(offline=True, **options))
        page = contexts[-1].new_page()
        page.clock.install()  # no test waits for a figure to play: ``PACE`` passes when told
        page.on("request", noticed)
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.goto(file.as_uri())
        return page

    yield open_body
    for context in contexts:
        context.close()
    assert trouble == []


def slider(figure: Any, name: str) -> Any:
    return figure.get_by_role("slider", name=name, exact=True)


def button(figure: Any, word: str) -> Any:
    return figure.get_by_role("button", name=f"{word} training step")


def description(figure: Any) -> str:
    return str(figure.locator(".lessons-explore-text").inner_text())


def expect_frame(figure: Any, step: int, head: int) -> None:
    """The middle of the image, its alternative text and the description tell the same values."""
    colour = figure.locator("img").evaluate(
        """async (image) => {
          await image.decode();
          const canvas = document.createElement("canvas");
          canvas.width = image.naturalWidth;
          canvas.height = image.naturalHeight;
          const context = canvas.getContext("2d");
          context.drawImage(image, 0, 0);
          const x = Math.floor(canvas.width / 2), y = Math.floor(canvas.height / 2);
          return Array.from(context.getImageData(x, y, 1, 1).data.slice(0, 2));
        }"""
    )
    assert colour == [step, head]
    assert description(figure) == f"red is {step} & green is {head}"
    wanted = f"A coloured square (training step {step}, head {head})"
    assert figure.locator("img").get_attribute("alt") == wanted


def test_each_slider_moves_by_keyboard_and_changes_frame_and_description(
    open_page: OpenPage, block: str
) -> None:
    figure = open_page(block).locator("figure")
    expect_frame(figure, 70, 10)
    for name, key, values in (
        ("training step", "ArrowRight", (140, 10)),
        ("head", "ArrowRight", (140, 90)),
        ("training step", "Home", (0, 90)),
        ("head", "End", (0, 250)),
    ):
        slider(figure, name).press(key)
        expect_frame(figure, *values)
    slider(figure, "training step").press("End")
    assert "ValueError: broken on purpose" in description(figure)
    slider(figure, "training step").press("Home")
    slider(figure, "training step").press("ArrowRight")
    slider(figure, "head").press("Home")
    expect_frame(figure, 70, 10)  # back at the image that the page came with
    assert slider(figure, "training step").get_attribute("aria-valuetext") == "70"
    assert figure.locator("output").all_inner_texts() == ["70", "10"]


def test_play_stops_at_the_end_and_starts_again(open_page: OpenPage, block: str) -> None:
    figure = open_page(block).locator("figure")
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


def test_with_reduced_motion_nothing_moves_by_itself(open_page: OpenPage, block: str) -> None:
    figure = open_page(block, reduced_motion="reduce").locator("figure")
    button(figure, "Next").click()
    figure.page.clock.run_for(3 * PACE)
    expect_frame(figure, 140, 10)


def test_two_copies_on_a_page_are_independent(open_page: OpenPage, block: str) -> None:
    page = open_page(block + block)
    first, second = page.locator("figure").all()
    slider(second, "training step").press("ArrowRight")
    slider(first, "head").press("End")
    expect_frame(first, 70, 250)
    expect_frame(second, 140, 10)
    ids = page.locator("[id]").evaluate_all("elements => elements.map((e) => e.id)")
    assert len(ids) == len(set(ids)) == 4


def test_a_front_end_may_insert_the_block_before_its_scripts_run(
    open_page: OpenPage, block: str
) -> None:
    """As notebooks do: the text becomes a detached tree, then fresh scripts replace the inert."""
    page = open_page("<p>output</p>")
    page.evaluate(
        """(source) => {
          const output = document.createElement("div");
          output.innerHTML = source;
          for (const old of Array.from(output.querySelectorAll("script"))) {
            const fresh = document.createElement("script");
            for (const attribute of old.attributes) {
              fresh.setAttribute(attribute.name, attribute.value);
            }
            fresh.textContent = old.textContent;
            old.replaceWith(fresh);
          }
          document.querySelector("main").appendChild(output);
        }""",
        block,
    )
    figure = page.locator("figure")
    slider(figure, "training step").press("ArrowRight")
    expect_frame(figure, 140, 10)


def test_without_javascript_the_still_image_and_its_description_stay(
    open_page: OpenPage, block: str
) -> None:
    figure = open_page(block, java_script_enabled=False).locator("figure")
    assert figure.locator("img").is_visible()
    alt = "A coloured square (training step 70, head 10)"
    assert figure.locator("img").get_attribute("alt") == alt
    visible = figure.inner_text()
    for text in ("Colours", "training step 70, head 10", "red is 70 & green is 10", "still image"):
        assert text in visible
    assert figure.locator("input, button").count() == 0


def test_the_figure_fits_a_phone_and_in_print_the_values_stand_in_words(
    open_page: OpenPage, block: str
) -> None:
    page = open_page(block, viewport={"width": 375, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    image = page.locator("img").bounding_box()
    assert 340 <= image["width"] <= 375
    assert image["width"] / image["height"] == pytest.approx(5.6 / 3.6, rel=0.01)
    for control in page.locator("input, button").all():
        assert control.bounding_box()["height"] >= 40  # a finger is wider than a mouse pointer
    state = page.locator(".lessons-explore-state")
    slider(page, "training step").press("End")
    assert not state.is_visible()  # the sliders say it
    page.emulate_media(media="print")
    assert state.inner_text() == "training step 210, head 10"
    assert not page.locator(".lessons-explore-controls").is_visible()

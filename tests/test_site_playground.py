"""The playground as a reader meets it: the tour, a run, a tally, a shared link, a hidden tab."""

from __future__ import annotations

import re

import pytest
from site_browser import SITE, in_browser, needs_site
from site_playground import (
    APP,
    PAGE,
    PICTURE,
    SOON,
    VIEWS,
    OpenAt,
    follow,
    reaches,
    settings,
    step,
)

from lessons_lib.theory import phase_portrait

pytestmark = [needs_site, *in_browser]

HIDE = """hidden => {
  Object.defineProperty(document, 'hidden', {configurable: true, get: () => hidden});
  document.dispatchEvent(new Event('visibilitychange'));
}"""


def test_the_tour_leads_through_four_scenes_to_a_summary(at: OpenAt) -> None:
    page = at().page
    page.click(".pg-show-me")
    assert page.evaluate("document.activeElement.textContent") == "Words first, then attention"
    branches = ["aligned", "aligned", "elimination", "aligned"]
    words, heights = 0, set()
    for number, branch in enumerate(branches, start=1):
        assert page.inner_text(".pg-story-count") == f"Scene {number} of 4"
        for part in ("caption", "ending"):
            words += len(page.text_content(f".pg-story-{part}").split())
        ending = page.locator(".pg-story-ending")
        assert not ending.is_visible(), "what comes of it is not told before it comes"
        assert page.locator(".pg-view:visible").count() == 3
        page.wait_for_selector(f"{APP}[data-branch={branch}]", timeout=SOON)
        if number in (2, 3):
            ending.filter(has_text=branch, visible=True).wait_for()
            page.wait_for_selector(".pg-hold:has-text('Again')", timeout=3 * SOON)
        if number == 3:  # what it costs is said beside the lucky start
            here, lucky = re.findall(r"(\d+)%", page.inner_text(".pg-story-measure"))
            assert int(here) < 50 < int(lucky)
        if number == 4:
            page.wait_for_selector(
                ".pg-tally-words:has-text('100 of 100') >> nth=1", timeout=60_000
            )
            one, eight = page.locator(".pg-tally-words").all_inner_texts()
            assert "Theory: 50%" in one
            assert "Theory: 99.6%: one head finds the place in 50% of starts, all 8 miss" in eight
            aligned = [int(re.findall(r"(\d+) aligned", text)[0]) for text in (one, eight)]
            assert 30 <= aligned[0] <= 70
            assert aligned[1] >= 95
        heights.add(page.locator(".pg-next").bounding_box()["y"])
        page.click(".pg-next")
    assert words < 165, "a minute, read at ease"
    assert len(heights) == 1, "one need not look for the button"
    summary = page.inner_text(".pg-story")
    assert "What goes wrong" in summary
    assert "half of the starts" in summary
    assert phase_portrait.aligned_share(6, 6, 0.1) == pytest.approx(0.5)
    page.click(".pg-next")
    assert page.locator(".pg-story").is_hidden()
    assert page.locator(".pg-view:visible").count() == 7
    assert settings(page)["vocab"] == "10"
    reaches(page, 10)  # the reader's own coin is tossed at once


def test_the_tour_waits_for_its_reader_and_escape_leaves_it(at: OpenAt) -> None:
    page = at("#v=7").page
    page.clock.install()
    page.click(".pg-show-me")
    page.clock.run_for(120_000)
    assert page.inner_text(".pg-story-count") == "Scene 1 of 4"
    page.click(".pg-hold:has-text('Again')")
    page.wait_for_selector(f"{APP}[data-step='0']")
    page.clock.run_for(5_000)
    reaches(page, 1)
    page.evaluate(HIDE, True)
    page.wait_for_timeout(300)  # what was under way
    stopped = step(page)
    page.click(".pg-hold:has-text('Pause')")
    page.click(".pg-hold:has-text('Go on')")
    page.wait_for_timeout(500)
    assert step(page) == stopped, "a hidden tab rests"
    page.evaluate(HIDE, False)
    reaches(page, stopped + 1)
    page.keyboard.press("Escape")
    assert page.locator(".pg-story").is_hidden()
    assert page.evaluate("document.activeElement.textContent") == "Run"
    assert settings(page)["vocab"] == "7"
    assert page.locator(".pg-view:visible").count() == 7


def test_right_answers_stand_beside_how_sure_they_are(at: OpenAt) -> None:
    """A run of elimination: all answers right, and a loss that is hardly below that of a guess."""
    page = at("#v=6&l=6&r=1&seed=3").page
    assert "how sure of the right word 17%" in page.inner_text(".pg-state")  # 1/6
    page.click(".pg-run")
    page.wait_for_function(
        """() => {
          const state = document.querySelector('.pg-state').textContent;
          const [, right, sure] = state.match(/Right answers ([\\d.]+)%, how sure .* ([\\d.]+)%/);
          return state.includes('elimination') && right === '100' && sure < 50;
        }""",
        timeout=SOON,
    )


def test_pointing_at_a_cell_tells_its_value_and_marks_both_maps(at: OpenAt) -> None:
    page = at("#v=4&l=3").page
    canvas = page.locator("[data-view=attention] canvas")
    box = canvas.bounding_box()
    canvas.hover(position={"x": box["width"] / 2, "y": 20 + 0.5 * (box["height"] - 24)})  # middle
    looks = page.locator("[data-view=attention] .pg-value")
    looks.filter(has_text=re.compile(r"^writing (\w+), it looks at (\w+): 3\d%$")).wait_for()
    written, looked = re.findall(r"(?:writing|at) (\w+)", looks.inner_text())
    speaks = page.inner_text("[data-view=table] .pg-value")
    assert re.fullmatch(rf"{looked} speaks (for|against) {written}: [+\u2212]?\d\.\d\d", speaks)
    marked = {view: page.evaluate(PICTURE, view) for view in VIEWS[:2]}
    page.mouse.move(2, 2)
    for view, old in marked.items():
        page.wait_for_function(f"([id, old]) => ({PICTURE})(id) !== old", arg=[view, old])
        assert page.inner_text(f"[data-view={view}] .pg-value") == ""


def test_the_starting_point_is_moved_by_pointer_and_by_keys(at: OpenAt) -> None:
    page = at("#v=6&l=6", width=1280, height=1200).page
    handle = page.locator(".pg-handle")

    def start() -> list[float]:
        words = handle.get_attribute("aria-label").replace("\u2212", "-")
        return [float(number) for number in re.findall(r"lead [+]?(-?\d\.\d\d)", words)]

    a, b = start()
    handle.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowUp")
    page.wait_for_function("() => document.querySelector('#pg-startB').value === '0.5'")
    assert settings(page)["startA"] == "0.05"
    handle.and_(page.locator("[aria-label*='word lead +0.50']")).wait_for()  # is drawn
    assert start() == pytest.approx([a + 0.05, b + 0.5], abs=0.011)
    assert "on the side of aligned" in page.text_content("[role=status]")
    label = handle.get_attribute("aria-label")
    handle.evaluate(  # two keys before anything is drawn
        "e => [0, 0].map(() => e.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowLeft'})))"
    )
    assert settings(page)["startA"] == "-0.05"
    page.wait_for_function("l => document.querySelector('.pg-handle').ariaLabel !== l", arg=label)
    box, plane = handle.bounding_box(), page.locator("[data-view=plane] canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(plane["x"] + 0.4 * plane["width"], plane["y"] + 0.6 * plane["height"], steps=4)
    page.mouse.up()
    page.wait_for_function(  # what is drawn lags behind what is dragged
        r"""() => {
          const words = document.querySelector('.pg-handle').ariaLabel.replaceAll('\u2212', '-');
          const leads = [...words.matchAll(/lead [+]?(-?\d\.\d\d)/g)];
          return words.includes('elimination') && leads.every((lead) => lead[1] < -0.1);
        }"""
    )
    page.click(".pg-run")
    page.wait_for_selector(f"{APP}[data-branch=elimination]", timeout=SOON)


def test_a_head_and_its_mirror_image_are_counted_beside_the_theory(at: OpenAt) -> None:
    page = at("#playground-mirror").page
    assert settings(page).items() >= {"heads": "2", "mirror": "pairs"}.items()
    page.select_option("#pg-runs", "20")
    page.wait_for_selector(".pg-duration:has-text('about')")  # said before it starts
    page.click(".pg-count")
    page.wait_for_selector(".pg-tally-words:has-text('20 of 20')", timeout=60_000)
    text = page.inner_text(".pg-tally-words")
    counts = [int(number) for number in re.findall(r"(\d+) (?:aligned|elim|undec)", text)]
    assert len(counts) == 3
    assert sum(counts) == 20
    assert counts[0] >= 18
    widths = page.evaluate(
        "() => [...document.querySelectorAll('.pg-part')].map(e => parseFloat(e.style.width))"
    )
    assert widths == [count * 5 for count in counts]
    assert re.search(r"95% interval \d+% to [\d.]+%", text)
    share = float(re.findall(r"Theory: ([\d.]+)%: one head .* in 50% of starts", text)[0])
    assert share > 99
    page.select_option("#pg-mirror", "off")
    page.click(".pg-count")
    page.wait_for_selector(".pg-tally-words:has-text('Theory: 75%') >> nth=0", timeout=60_000)


@pytest.mark.parametrize("fragment", ["", "#v=7&l=5&h=3"])
def test_a_run_changes_every_picture_and_its_text(at: OpenAt, fragment: str) -> None:
    page = at(fragment, width=1280, height=2600).page
    page.wait_for_function("() => document.querySelectorAll('.pg-words:empty').length === 0")
    before = {view: page.evaluate(PICTURE, view) for view in VIEWS}
    texts = page.locator(".pg-words").all_text_contents()
    page.click(".pg-run")
    reaches(page, 60)
    page.click(".pg-run")
    assert page.inner_text(".pg-run") == "Run"
    for view in VIEWS:
        page.wait_for_function(f"([id, old]) => ({PICTURE})(id) !== old", arg=[view, before[view]])
    for number, old in enumerate(texts):
        page.wait_for_function(
            "([n, old]) => document.querySelectorAll('.pg-words')[n].textContent !== old",
            arg=[number, old],
        )


def test_pause_stops_step_makes_one_and_reset_begins_again(at: OpenAt) -> None:
    page = at().page
    page.click(".pg-run")
    reaches(page, 10)
    page.click(".pg-run")
    page.wait_for_function(
        "() => document.querySelector('[role=status]').textContent.startsWith('Paused')"
    )
    page.wait_for_timeout(200)  # what was under way
    stopped = step(page)
    page.wait_for_timeout(500)
    assert step(page) == stopped
    page.click(".pg-step")
    reaches(page, stopped + 1)
    assert step(page) == stopped + 1
    page.click(".pg-reset")
    page.wait_for_selector(f"{APP}[data-step='0']")


def test_a_run_that_is_left_alone_rests_and_says_so(at: OpenAt) -> None:
    page = at("#v=2&l=2").page
    page.select_option("#pg-pace", "fast")
    page.click(".pg-run")
    page.wait_for_selector(".pg-state:has-text('Paused, to save')", timeout=3 * SOON)
    assert "Paused, to save" in page.text_content("[role=status]")
    assert page.inner_text(".pg-run") == "Run"
    rested = step(page)
    page.select_option("#pg-pace", "medium")  # at full speed it may rest again before one looks
    page.click(".pg-run")
    reaches(page, rested + 50)
    assert "Paused" not in page.inner_text(".pg-state")


def test_a_decision_is_announced_once_in_words(at: OpenAt) -> None:
    page = at("#v=6&l=6").page
    page.click(".pg-run")
    page.wait_for_function(
        "() => document.querySelector('[role=status]').textContent.startsWith('Decided at step')",
        timeout=SOON,
    )
    said = page.text_content("[role=status]")
    reaches(page, step(page) + 50)
    assert page.text_content("[role=status]") == said
    speaking = (
        "[aria-live]:not([aria-live=off]), [role=status], [role=alert], output:not([aria-live])"
    )
    assert page.locator(f"{APP} :is({speaking})").count() == 1, "one region speaks"


def test_a_control_changes_the_address_and_a_copied_link_restores_all(at: OpenAt) -> None:
    page = at().page
    page.locator("#pg-heads").press("ArrowRight")
    page.locator("#pg-startB").press("ArrowRight")
    page.select_option("#pg-optimizer", "adam")
    page.fill("#pg-seed", "42")
    page.locator("#pg-seed").press("Enter")
    wanted = settings(page)
    assert wanted["heads"] == "2"
    page.wait_for_url("**seed=42**")
    page.click(".pg-copy")
    copied = re.search(r"http\S+", page.inner_text(".pg-notes"))
    assert copied is None or copied[0] == page.url
    again = at(page.url[page.url.index("#") :]).page
    assert settings(again) == wanted


def test_the_links_of_the_chapters_open_presets(at: OpenAt) -> None:
    text = (SITE / PAGE).read_text(encoding="utf-8")
    anchors = set(re.findall(r'href="#playground-([a-z-]+)"', text))
    assert {"spare", "permutation", "heads"} <= anchors
    page = at("#playground-heads").page
    for anchor in [*sorted(anchors - {"heads"}), "heads"]:
        follow(page, f"#playground-{anchor}")
        page.wait_for_selector(f"[data-preset={anchor}][aria-pressed=true]")
        assert page.inner_text(".pg-notes") == ""


BAD_ADDRESSES: list[tuple[str, str, dict[str, str]]] = [
    ("#v=6&l=9", "places", {"vocab": "6", "length": "6"}),
    ("#v=banana", "not a number", {"vocab": "10"}),
    ("#h=1e99&v=99999999", "largest", {"vocab": "20", "heads": "8"}),
    ("#colour=red", "no setting", {"vocab": "10"}),
    ("#preset=nothing", "no preset", {"vocab": "10"}),
    ("#v=%E0%A4%A", "not a number", {"vocab": "10"}),
    ("#banana", "banana", {"vocab": "10"}),
]


def test_a_bad_address_falls_back_and_says_so(at: OpenAt) -> None:
    page = at(BAD_ADDRESSES[0][0]).page
    for fragment, said, shown in BAD_ADDRESSES:
        follow(page, fragment)
        page.wait_for_selector(f".pg-notes:has-text('{said}')")
        assert said in page.text_content("[role=status]")
        assert settings(page).items() >= shown.items()
    page.click(".pg-run")
    reaches(page, 5)

"""The playground as readers meet it: the tour, runs, tallies, links; by keyboard, on a phone."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import site_browser as web
from playwright.sync_api import expect

pytestmark = [web.needs_site, *web.in_browser]

PAGE = "book/playground.html"
APP = "#playground-app"
VIEWS = ("attention", "table", "curves", "plane", "choice", "example")
At = Callable[..., Any]

PICTURE = "id => document.querySelector(`[data-view=${id}] canvas`).toDataURL()"
CHANGED = f"([id, old]) => ({PICTURE})(id) !== old"
FOCUS = """(e => [e.id || e.className, `outline ${getComputedStyle(e).outlineStyle}`])(
  document.activeElement)"""
FOCUSED = "document.activeElement.textContent"


@pytest.fixture
def at(open_page: web.OpenPage) -> At:
    """Opens the playground, with a fragment and with options."""

    def open_at(fragment: str = "", **options: Any) -> Any:
        page = open_page(f"{PAGE}{fragment}", **options)
        page.wait_for_selector(f"{APP}[data-step='0']")
        return page

    return open_at


def step(page: Any) -> int:
    return int(page.get_attribute(APP, "data-step"))


def reaches(page: Any, steps: int) -> None:
    page.wait_for_function(f"n => document.querySelector('{APP}').dataset.step >= n", arg=steps)


def rests(page: Any) -> int:
    """Wait until the worker has said that it does not run any more, and at which step."""
    page.wait_for_selector("html[data-running=false]", state="attached")
    return step(page)


def settings(page: Any) -> dict[str, str]:
    """What the form shows."""
    found: dict[str, str] = page.evaluate(
        "() => Object.fromEntries([...document.querySelectorAll('.pg-field :is(input, select)')]"
        ".map(e => [e.id.slice(3), e.value]))"
    )
    return found


def test_the_tour_leads_through_four_scenes_to_a_summary(at: At) -> None:
    page = at()
    page.click(".pg-show-me")
    assert page.evaluate(FOCUSED) == "Words first, then attention"
    sentence = page.locator("#pg-position option").all_text_contents()
    (missing,) = re.findall(r"missing (\w+) is never", page.inner_text(".pg-story-caption"))
    assert missing not in " ".join(sentence), "the picture shows what the caption says"
    for number, branch in enumerate(["aligned", "aligned", "elimination", "aligned"], start=1):
        assert page.inner_text(".pg-story-count") == f"Scene {number} of 4"
        ending = page.locator(".pg-story-ending")
        assert not ending.is_visible(), "what comes of it is not told before it comes"
        assert page.locator(".pg-view:visible").count() == 3
        page.wait_for_selector(f"{APP}[data-branch={branch}]")
        if number in (2, 3):
            ending.filter(has_text=branch, visible=True).wait_for()
            page.wait_for_selector(".pg-hold:has-text('Again')")
        if number == 4:
            done = ".pg-tally-words:has-text('of 100 runs') >> nth=1"
            page.wait_for_selector(done)
            one, eight = page.locator(".pg-tally-words").all_inner_texts()
            assert "Theory: 50%" in one
            assert "Theory: 99.6%: one head finds the place in 50% of starts, all 8 miss" in eight
        page.click(".pg-next")
    assert page.inner_text(".pg-story-count") == "In short"
    page.click(".pg-next")
    assert page.locator(".pg-story").is_hidden()
    assert page.locator(".pg-view:visible").count() == 7
    assert settings(page)["vocab"] == "10"
    reaches(page, 10)  # the reader's own coin is tossed at once


def test_the_tour_waits_for_its_reader_and_escape_leaves_it(at: At) -> None:
    page = at("#v=7")
    page.clock.install()
    page.click(".pg-show-me")
    page.clock.run_for(120_000)
    assert page.inner_text(".pg-story-count") == "Scene 1 of 4"
    page.click(".pg-hold:has-text('Again')")
    page.wait_for_selector(f"{APP}[data-step='0']")
    page.clock.run_for(5_000)
    reaches(page, 1)
    page.click(".pg-hold:has-text('Pause')")
    stopped = rests(page)
    page.click(".pg-hold:has-text('Go on')")
    reaches(page, stopped + 1)
    page.keyboard.press("Escape")
    assert page.locator(".pg-story").is_hidden()
    assert page.evaluate(FOCUSED) == "Run"
    assert settings(page)["vocab"] == "7"
    assert page.locator(".pg-view:visible").count() == 7


def test_on_a_small_phone_a_scene_is_in_sight_with_its_caption(at: At) -> None:
    page = at(size={"width": 360, "height": 640})
    page.click(".pg-show-me")
    for number in range(1, 6):
        if number == 4:  # as high as when all is counted
            page.wait_for_selector(".pg-tally-words:has-text('of 100 runs') >> nth=1")
        for part in (".pg-story", ".pg-view:visible canvas", ".pg-tally-list:visible"):
            for found in page.locator(part).all():
                expect(found).to_be_in_viewport(ratio=1)
        for summary in page.locator(".pg-view:visible summary").all():
            assert summary.inner_text() == "In words"
            expect(summary).to_be_visible()
        if number < 5:  # who asks why sees it
            page.click(".pg-why-ask")
            expect(page.locator(".pg-why")).to_be_in_viewport(ratio=1)
        page.click(".pg-next")


def test_all_is_in_one_screen_and_each_toss_has_a_seed_of_its_own(at: At) -> None:
    page = at(size={"width": 1440, "height": 900})
    for part in (".pg-run", *(f"[data-view={view}] canvas" for view in VIEWS[:4])):
        expect(page.locator(part)).to_be_in_viewport(ratio=1)
    seeds = [settings(page)["seed"]]
    for _ in range(2):
        page.click(".pg-toss")
        seeds.append(settings(page)["seed"])
    assert len(set(seeds)) == 3
    page.wait_for_url(f"**#seed={seeds[-1]}")
    page = at(size=web.PHONE)
    page.click(".pg-run")
    expect(page.locator("[data-view=attention] canvas")).to_be_in_viewport()


def test_right_answers_stand_beside_how_sure_they_are(at: At) -> None:
    """A run of elimination: all answers right, and a loss that is hardly below that of a guess."""
    page = at("#v=6&l=6&r=1&seed=3")
    assert "how sure of the right word 17%" in page.inner_text(".pg-state")  # 1/6
    page.click(".pg-run")
    unsure = re.compile(r"elimination: .* Right answers 100%, how sure .* [1-4]\d(\.\d)?%")
    expect(page.locator(".pg-state")).to_have_text(unsure)


def test_pointing_at_a_cell_tells_its_value_and_marks_both_maps(at: At) -> None:
    page = at("#v=4&l=3")
    canvas = page.locator("[data-view=attention] canvas")
    box = canvas.bounding_box()
    canvas.hover(position={"x": box["width"] / 2, "y": 32 + 0.5 * (box["height"] - 36)})  # middle
    looks = page.locator("[data-view=attention] .pg-value")
    looks.filter(has_text=re.compile(r"^writing (\w+), it looks at (\w+): 3\d%$")).wait_for()
    written, looked = re.findall(r"(?:writing|at) (\w+)", looks.inner_text())
    votes = page.inner_text("[data-view=table] .pg-value")
    assert re.fullmatch(rf"{looked} votes (for|against) {written}: [+\u2212]?\d\.\d\d", votes)
    marked = {view: page.evaluate(PICTURE, view) for view in VIEWS[:2]}
    page.mouse.move(2, 2)
    for view, old in marked.items():
        page.wait_for_function(CHANGED, arg=[view, old])
        assert page.inner_text(f"[data-view={view}] .pg-value") == ""


def test_arrow_keys_go_from_cell_to_cell_and_each_value_is_told(at: At) -> None:
    page = at("#v=4&l=3&h=5")
    sentence = page.locator("#pg-position option").all_text_contents()
    first, second, third = (option.split()[1] for option in sentence)
    status = page.locator("[role=status]")
    looks, votes = (page.locator(f"[data-view={view}] .pg-value") for view in VIEWS[:2])
    page.locator("[data-view=table] canvas").focus()
    expect(status).to_have_text(re.compile(r"ant votes (for|against) ant: [+\u2212]?\d\.\d\d$"))
    page.locator("[data-view=attention] canvas").focus()
    for key, writing, at_word in (
        ("ArrowUp", first, first),  # there is no more
        ("ArrowRight", first, second),
        ("ArrowDown", second, second),
        ("ArrowRight", second, third),
    ):
        page.keyboard.press(key)
        told = re.compile(rf"^Head 1: writing {writing}, it looks at {at_word}: [\d.]+%$")
        expect(status).to_have_text(told)
        expect(looks).to_have_text(told)
        expect(votes).to_have_text(re.compile(f"{at_word} votes (for|against) {writing}: "))
    page.keyboard.press("ArrowRight")
    expect(status).to_have_text(re.compile(f"^Head 2: writing {second}, it looks at {first}: "))
    page.keyboard.press("Tab")
    expect(looks).to_have_text("")


def test_the_starting_point_is_moved_by_pointer_and_by_keys(at: At) -> None:
    page = at("#v=6&l=6", size={"width": 1280, "height": 1200})
    handle = page.locator(".pg-handle")

    def start() -> list[float]:
        words = handle.get_attribute("aria-label").replace("\u2212", "-")
        return [float(number) for number in re.findall(r"lead [+]?(-?\d\.\d\d)", words)]

    a, b = start()
    handle.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowUp")
    expect(page.locator("#pg-startB")).to_have_value("0.5")
    assert settings(page)["startA"] == "0.05"
    expect(handle).to_have_attribute("aria-label", re.compile(r"word lead \+0\.50"))  # is drawn
    assert start() == pytest.approx([a + 0.05, b + 0.5], abs=0.011)
    assert "on the side of aligned" in page.text_content("[role=status]")
    box, plane = handle.bounding_box(), page.locator("[data-view=plane] canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(plane["x"] + 0.4 * plane["width"], plane["y"] + 0.6 * plane["height"], steps=4)
    page.mouse.up()
    below = r".*lead \u2212(0\.[1-9]|[1-9]).*lead \u2212(0\.[1-9]|[1-9]).*elimination"
    expect(handle).to_have_attribute("aria-label", re.compile(below))  # what is drawn lags behind
    page.click(".pg-run")
    page.wait_for_selector(f"{APP}[data-branch=elimination]")


def test_a_head_and_its_mirror_image_are_counted_beside_the_theory(at: At) -> None:
    page = at("#playground-mirror")
    assert settings(page).items() >= {"heads": "2", "mirror": "pairs"}.items()
    page.select_option("#pg-runs", "20")
    page.click(".pg-count")
    page.wait_for_selector(".pg-tally-words:has-text('of 20 runs')")
    text = page.inner_text(".pg-tally-words")
    counts = [int(number) for number in re.findall(r"(\d+) (?:of 20 runs|elim|undec)", text)]
    assert len(counts) == 3
    assert sum(counts) == 20
    assert counts[0] >= 18
    assert re.search(r"95% interval \d+% to [\d.]+%", text)
    share = float(re.findall(r"Theory: ([\d.]+)%: one head .* in 50% of starts", text)[0])
    assert share > 99


def test_a_run_changes_every_picture_and_its_text(at: At) -> None:
    page = at("#v=7&l=5&h=3", size={"width": 1280, "height": 2600})
    expect(page.locator(".pg-words:empty")).to_have_count(0)
    before = {view: page.evaluate(PICTURE, view) for view in VIEWS}
    texts = page.locator(".pg-words").all_text_contents()
    page.click(".pg-run")
    reaches(page, 60)
    page.click(".pg-run")
    for view, old in before.items():
        page.wait_for_function(CHANGED, arg=[view, old])
    for number, old in enumerate(texts):
        expect(page.locator(".pg-words").nth(number)).not_to_have_text(old)


def test_pause_stops_step_makes_one_and_reset_begins_again(at: At) -> None:
    page = at()
    page.click(".pg-run")
    reaches(page, 10)
    page.click(".pg-run")
    assert page.inner_text(".pg-run") == "Run"
    assert page.text_content("[role=status]").startswith("Paused")
    stopped = rests(page)
    page.click(".pg-step")
    reaches(page, stopped + 1)
    assert rests(page) == stopped + 1
    page.click(".pg-reset")
    page.wait_for_selector(f"{APP}[data-step='0']")


def test_a_run_that_is_left_alone_rests_and_says_so(at: At) -> None:
    page = at("#v=2&l=2")
    page.select_option("#pg-pace", "fast")
    page.click(".pg-run")
    page.wait_for_selector(".pg-state:has-text('Paused, to save')")
    assert "Paused, to save" in page.text_content("[role=status]")
    assert page.inner_text(".pg-run") == "Run"


def test_a_decision_is_announced_once_in_words(at: At) -> None:
    page = at("#v=6&l=6")
    page.click(".pg-run")
    status = page.locator("[role=status]")
    expect(status).to_have_text(re.compile("^Decided at step"))
    said = status.text_content()
    reaches(page, step(page) + 50)
    assert status.text_content() == said
    speaking = "[aria-live]:not([aria-live=off]), [role=alert], output:not([aria-live])"
    assert page.locator(f"{APP} :is([role=status], {speaking})").count() == 1, "one region votes"


def test_a_control_changes_the_address_and_a_copied_link_restores_all(at: At) -> None:
    page = at()
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
    assert settings(at(page.url[page.url.index("#") :])) == wanted


def test_the_links_of_the_chapters_open_presets(at: At) -> None:
    anchors = set(
        re.findall(r'href="#playground-([a-z-]+)"', web.html_of(PAGE.removesuffix(".html")))
    )
    assert {"spare", "permutation", "heads"} <= anchors
    page = at("#playground-heads")
    for anchor in [*sorted(anchors - {"heads"}), "heads"]:
        page.evaluate("fragment => { location.hash = fragment; }", f"playground-{anchor}")
        page.wait_for_selector(f"[data-preset={anchor}][aria-pressed=true]")
        assert page.inner_text(".pg-notes") == ""


def test_a_bad_address_falls_back_and_says_so(at: At) -> None:
    """What is made of each address is in ``test_playground_messages.py``."""
    page = at("#v=6&l=9")
    for fragment, said, shown in (
        ("#v=6&l=9", "places", {"vocab": "6", "length": "6"}),
        ("#v=%E0%A4%A", "not a number", {"vocab": "10"}),
        ("#banana", "banana", {"vocab": "10"}),
    ):
        page.evaluate("fragment => { location.hash = fragment; }", fragment)
        page.wait_for_selector(f".pg-notes:has-text('{said}')")
        assert said in page.text_content("[role=status]")
        assert settings(page).items() >= shown.items()
    page.click(".pg-run")
    reaches(page, 5)


def test_everything_can_be_done_by_keyboard(at: At) -> None:
    page = at()
    page.locator(".pg-show-me").focus()
    reached: set[str] = set()
    for _ in range(60):
        if not page.evaluate(f"!!document.activeElement.closest('{APP}')"):
            break
        reached |= set(page.evaluate(FOCUS))
        page.keyboard.press("Tab")
    assert "outline none" not in reached, "the focus can be seen"
    wanted = (
        "vocab length heads mirror seed scale startA startB optimizer rate pace runs position "
        "toss step reset copy handle ask cells"
    )
    assert {f"pg-{name}" for name in wanted.split()} - reached == set()
    page.locator(".pg-show-me").focus()
    for key in ("Enter", "Tab", "Tab", "Tab"):
        page.keyboard.press(key)
    assert page.evaluate(FOCUSED) == "Why?"
    assert page.locator(".pg-why").is_hidden()
    page.keyboard.press("Enter")
    why = page.inner_text(".pg-why")
    assert len(why) > 100
    assert page.text_content("[role=status]") == why
    page.keyboard.press("Shift+Tab")
    assert page.evaluate(FOCUSED) == "Next"
    for key in ("Control+k", "Escape"):  # of the search, which gives the focus back
        page.keyboard.press(key)
    for _ in range(4):
        page.keyboard.press("Enter")
    assert page.inner_text(".pg-story-count") == "In short"
    page.keyboard.press("Enter")
    assert page.evaluate(FOCUSED) == "Pause", "it runs"
    reaches(page, 5)
    page.keyboard.press("Enter")
    assert page.inner_text(".pg-run") == "Run"


def test_every_picture_has_a_name_a_text_and_an_explanation(at: At) -> None:
    page = at()
    for view in VIEWS:
        canvas = page.locator(f"[data-view={view}] canvas")
        for attribute in ("aria-labelledby", "aria-describedby"):
            about = page.locator(f"#{canvas.get_attribute(attribute)}")
            assert len(about.text_content()) > 10
        how = page.locator(f"[data-view={view}] .pg-how")
        assert how.is_hidden()
        page.click(f"[data-view={view}] .pg-ask")
        assert len(how.inner_text()) > 30


CONTRASTS = """() => {
  const { Color, getContrast } = axe.commons.color;
  const style = getComputedStyle(document.getElementById('playground-app'));
  const names = ['surface', 'text', 'attention', 'words', 'elimination', 'tokens', 'muted'];
  const [surface, ...drawn] = names.map(name => {
    const colour = new Color();
    colour.parseString(style.getPropertyValue(`--pg-${name}`).trim());
    return colour;
  });
  return drawn.map(colour => getContrast(surface, colour));
}"""


@pytest.mark.parametrize(("theme", "size"), [("light", web.DESKTOP), ("dark", web.PHONE)], ids=str)
def test_it_fits_the_screen_and_has_contrast(at: At, theme: str, size: dict[str, int]) -> None:
    page = at("#v=20&l=16&h=8", size=size)
    wide = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    web.show_theme(page, theme)
    page.select_option("#pg-runs", "20")
    page.click(".pg-count")
    page.wait_for_selector(".pg-tally-words")
    assert page.evaluate(wide) == 0
    assert web.findings(page, APP) == []
    page.click(".pg-show-me")
    assert web.findings(page, APP) == []
    for _ in range(5):
        assert page.evaluate(wide) == 0
        page.click(".pg-next")
    text, *others = page.evaluate(CONTRASTS)
    assert text >= 4.5
    assert 3 <= min(others) <= max(others) <= 21


class TestWhereItCannotRun:
    """A still picture, its description, and what to do."""

    def still(self, page: Any) -> None:
        page.wait_for_selector(".playground-still img", state="visible")
        assert len(page.get_attribute(".playground-still img", "alt")) > 100
        assert "python -m http.server" in page.inner_text(".playground-still")
        assert page.locator(APP).is_hidden()

    def test_as_a_file(self, open_page: web.OpenPage) -> None:
        self.still(open_page(PAGE, base=web.SITE.as_uri()))

    def test_without_scripts(self, open_page: web.OpenPage) -> None:
        self.still(open_page(PAGE, java_script_enabled=False))

    def test_in_print(self, at: At) -> None:
        page = at()
        page.emulate_media(media="print")
        self.still(page)

    def test_where_the_module_does_not_load(self, browser: Any, address: str) -> None:
        with web.opened(browser, address, f"{web.PAGES[0]}.html") as (page, problems):
            page.route("**/playground/main.js", lambda route: route.abort())
            page.goto(f"{address}/{PAGE}")
            self.still(page)
            assert problems
            problems.clear()

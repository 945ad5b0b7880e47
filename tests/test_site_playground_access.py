"""The playground for everybody: keyboard, contrast, a phone, print, and where it cannot run."""

from __future__ import annotations

from typing import Any

import pytest
from site_browser import PHONE, SITE, findings, in_browser, needs_site, open_alone, show_theme
from site_playground import APP, PAGE, SOON, VIEWS, OpenAt, reaches

pytestmark = [needs_site, *in_browser]

DRAWN = """() => {
  const style = getComputedStyle(document.getElementById('playground-app'));
  return ['surface', 'text', 'attention', 'words', 'elimination', 'tokens', 'muted']
    .map(name => style.getPropertyValue(`--pg-${name}`).trim());
}"""


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb, WCAG 2."""
    parts = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
    linear = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_everything_can_be_done_by_keyboard(at: OpenAt) -> None:
    page = at().page
    page.locator(".pg-show-me").focus()
    reached: set[str] = set()
    for _ in range(60):
        reached.add(
            page.evaluate("(document.activeElement.id || document.activeElement.className)")
        )
        shown = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        if not page.evaluate(f"!!document.activeElement.closest('{APP}')"):
            break
        page.keyboard.press("Tab")
        reached.add(shown)
    assert "none" not in reached, "the focus can be seen"
    wanted = (
        "vocab length heads mirror seed scale startA startB optimizer rate pace runs position "
        "toss step reset copy handle ask"
    )
    assert {f"pg-{name}" for name in wanted.split()} - reached == set()
    page.locator(".pg-show-me").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Next"
    for _ in range(4):
        page.keyboard.press("Enter")
    assert page.inner_text(".pg-story-count") == "In short"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.textContent") == "Pause", "it runs"
    reaches(page, 5)
    page.keyboard.press("Enter")
    assert page.inner_text(".pg-run") == "Run"


def test_every_control_has_a_name_and_every_picture_a_text(at: OpenAt) -> None:
    page = at().page
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('#playground-app :is(input, select)')]
          .filter(e => ![...e.labels].some(l => l.textContent.trim())).map(e => e.id)"""
    )
    assert nameless == []
    for view in VIEWS:
        canvas = page.locator(f"[data-view={view}] canvas")
        for attribute in ("aria-labelledby", "aria-describedby"):
            about = page.locator(f"#{canvas.get_attribute(attribute)}")
            assert len(about.text_content()) > 10
        how = page.locator(f"[data-view={view}] .pg-how")
        assert how.is_hidden()
        page.click(f"[data-view={view}] .pg-ask")
        assert len(how.inner_text()) > 30


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_and_pictures_have_contrast(at: OpenAt, theme: str) -> None:
    page = at("#v=6&l=9").page
    show_theme(page, theme)
    page.select_option("#pg-runs", "20")
    page.click(".pg-count")
    page.wait_for_selector(".pg-tally-words")
    assert findings(page, APP) == []
    page.click(".pg-show-me")
    assert findings(page, APP) == []
    surface, *drawn = map(luminance, page.evaluate(DRAWN))
    ratios = [(max(one, surface) + 0.05) / (min(one, surface) + 0.05) for one in drawn]
    assert ratios[0] >= 4.5
    assert min(ratios) >= 3


def test_a_phone_shows_all_without_scrolling_sideways(at: OpenAt) -> None:
    page = at("#v=20&l=16&h=8", **PHONE).page
    wide = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wide) == 0
    page.click(".pg-count")
    page.wait_for_selector(".pg-tally-words")
    assert page.evaluate(wide) == 0
    page.click(".pg-show-me")
    for _ in range(5):
        assert page.evaluate(wide) == 0
        page.click(".pg-next")


class TestWhereItCannotRun:
    """A still picture, its description, and what to do."""

    def still(self, page: Any) -> None:
        assert page.locator(".playground-still img").is_visible()
        assert len(page.get_attribute(".playground-still img", "alt")) > 100
        assert "python -m http.server" in page.inner_text(".playground-still")
        assert page.locator(APP).is_hidden()

    def test_as_a_file(self, browser: Any) -> None:
        visited = open_alone(browser, (SITE / PAGE).as_uri(), "file:")
        self.still(visited.page)
        assert visited.problems == []
        visited.page.context.close()

    def test_without_scripts(self, browser: Any, address: str) -> None:
        context = browser.new_context(java_script_enabled=False)
        page = context.new_page()
        page.goto(f"{address}/{PAGE}")
        self.still(page)
        context.close()

    def test_in_print(self, at: OpenAt) -> None:
        page = at().page
        page.emulate_media(media="print")
        self.still(page)

    def test_where_the_module_does_not_load(self, browser: Any, address: str) -> None:
        page = browser.new_context().new_page()
        page.route("**/playground/main.js", lambda route: route.abort())
        page.goto(f"{address}/{PAGE}")
        page.wait_for_selector(".playground-still img", state="visible", timeout=SOON)
        self.still(page)
        page.context.close()

"""The built site as a reader meets it: in a browser, on a phone, with the network cut off."""

from __future__ import annotations

import html
import posixpath
import re
import string
import unicodedata
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from site_browser import (
    ALL_PAGES,
    CHAPTERS,
    DESKTOP,
    PAGES,
    PHONE,
    SITE,
    OpenPage,
    each_chapter,
    each_page,
    in_browser,
    move,
    needs_site,
    open_alone,
    show_theme,
    unfold,
)

IMAGE_NAME = re.compile(r"\.(png|jpe?g|svg|gif|webp)$", re.IGNORECASE)
WEIGHT = 900e3
"""Bytes that a page may take before a reader scrolls, with all that it loads, as they travel."""
FIRST = 200e3
"""Bytes until text and formulas are there: 4 s at 400 kbit/s."""

pytestmark = needs_site


def with_chromium(test: Any) -> Any:
    """Mark a single test as one that needs the browser."""
    return in_browser[0](in_browser[1](test))


class Article(HTMLParser):
    """Titles, images and foreign resources of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.depth = 0
        self.titles = 0
        self.images: list[tuple[str, str | None]] = []
        self.foreign: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.depth += tag == "article"
        self.titles += tag == "h1" and self.depth > 0
        if tag == "img":
            self.images.append((values.get("src") or "", values.get("alt")))
        link = values.get("src") if tag != "link" else values.get("href")
        if link and re.match(r"(https?:)?//", link) and values.get("rel") != "canonical":
            self.foreign.append(link)

    def handle_endtag(self, tag: str) -> None:
        self.depth -= tag == "article"


@each_page
def test_a_page_has_one_title_described_images_and_nothing_foreign(page_name: str) -> None:
    article = Article((SITE / f"{page_name}.html").read_text(encoding="utf-8"))
    assert article.titles == (page_name != "search")  # which has its own, outside of an article
    assert article.foreign == []
    for source, alt in article.images:
        assert alt, f"{source} has no alternative text"
        assert not IMAGE_NAME.search(alt), f"{source}: {alt!r} is the name of a file"
        assert "_images/" not in alt


def test_the_font_of_formulas_has_all_their_signs() -> None:
    from fontTools.ttLib import TTFont

    font = set(TTFont(SITE / "_static" / "formulas.woff2").getBestCmap())
    texts = [(SITE / f"{name}.html").read_text(encoding="utf-8") for name in PAGES]
    found = [tag for text in texts for tag in re.findall(r"<math.*?</math>", text, re.DOTALL)]
    assert len(found) > 500
    plain = set(html.unescape(re.sub("<[^>]*>", "", "".join(found)))) - set(
        "\n\N{ZERO WIDTH SPACE}"
    )
    # A letter alone is shown as its italic form.
    lean = {unicodedata.normalize("NFKC", chr(code)) for code in font if 0x1D434 <= code < 0x1D71C}
    assert {sign for sign in plain if ord(sign) not in font} == set()
    assert set(string.ascii_letters) - {"h"} <= lean  # ℎ has a place of its own


def test_no_page_needs_a_script_for_formulas_or_holds_frames() -> None:
    assert not list(SITE.rglob("*mathjax*"))
    for name in CHAPTERS:
        text = (SITE / f"{name}.html").read_text(encoding="utf-8")
        assert "data:image" not in text.partition("<article")[2].partition("</article")[0]
        assert len(text.encode()) < 400_000


@pytest.mark.parametrize("page_name", [CHAPTERS[0], CHAPTERS[1], PAGES[0]])
@with_chromium
def test_text_formulas_and_colours_are_there_at_once(
    browser: Any, address: str, page_name: str
) -> None:
    """On a slow line: what has come when the first text is painted, in bytes."""
    context = browser.new_context(viewport=DESKTOP, color_scheme="dark")
    page = context.new_page()
    line = context.new_cdp_session(page)
    for domain in ("Network", "Page"):
        line.send(f"{domain}.enable")
    line.send("Page.setLifecycleEventsEnabled", {"enabled": True})
    slow = {"downloadThroughput": 50_000, "uploadThroughput": 50_000, "latency": 100}
    line.send("Network.emulateNetworkConditions", {"offline": False, **slow})
    come, first = [0], []
    line.on("Network.dataReceived", lambda e: come.append(come[-1] + e["encodedDataLength"]))
    line.on(
        "Page.lifecycleEvent",
        lambda e: first.append(come[-1]) if e["name"] == "firstContentfulPaint" else None,
    )
    page.goto(f"{address}/{page_name}.html", wait_until="load", timeout=60_000)
    page.wait_for_timeout(100)
    assert first
    assert 10_000 < first[0] < FIRST
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("scripts", [True, False], ids=["scripts late", "no scripts"])
@with_chromium
def test_before_any_script_comes_colours_and_formulas_are_there(
    browser: Any, address: str, scheme: str, scripts: bool
) -> None:
    context = browser.new_context(color_scheme=scheme, java_script_enabled=scripts)
    page = context.new_page()
    page.route("**/*.js*", lambda route: route.abort())
    page.goto(f"{address}/{CHAPTERS[0]}.html")
    color = page.locator("body").evaluate("e => getComputedStyle(e).backgroundColor")
    assert (max(map(int, re.findall(r"\d+", color)[:3])) < 60) is (scheme == "dark")
    assert page.locator("article .math math").first.bounding_box()["width"] > 5
    page.emulate_media(media="print")
    if not scripts:
        color = page.locator("body").evaluate("e => getComputedStyle(e).color")
        assert max(map(int, re.findall(r"\d+", color)[:3])) < 100, "dark on paper"
    context.close()


@with_chromium
def test_paper_is_light_whatever_the_theme(browser: Any, address: str) -> None:
    visited = open_alone(browser, f"{address}/{CHAPTERS[0]}.html", f"{address}/")
    page = visited.page
    show_theme(page, "dark")
    for event, theme in (("beforeprint", "light"), ("afterprint", "dark")):
        page.evaluate("name => dispatchEvent(new Event(name))", event)
        assert page.evaluate("() => document.documentElement.dataset.theme") == theme
    page.context.close()


def test_the_first_page_leads_to_the_book() -> None:
    text = (SITE / "index.html").read_text(encoding="utf-8")
    assert f"{PAGES[0]}.html" in text


SIZES = """() => Object.fromEntries(performance.getEntries()
  .filter(e => e.transferSize).map(e => [e.name, e.transferSize]))"""
RAW_EQUATIONS = r"""() => {
  const article = document.body.cloneNode(true);
  article.querySelectorAll('pre, code, script').forEach(e => e.remove());
  return (article.textContent.match(/\\[(\[a-z].{0,60}/g) || []);
}"""
UNSET = """() => [...document.querySelectorAll('article .math')]
  .filter(e => !e.querySelector('math') || (e.checkVisibility() && !e.offsetWidth))
  .map(e => e.textContent)"""
TOO_WIDE = """() => {
  const edge = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= edge) return [];
  const scrolls = e => e && e !== document.body
    && (getComputedStyle(e).overflowX !== 'visible' || scrolls(e.parentElement));
  return [...document.querySelectorAll('body *')]
    .filter(e => e.getBoundingClientRect().right > edge + 1 && !scrolls(e.parentElement))
    .map(e => `${e.tagName}.${e.className} ${e.textContent.slice(0, 40)}`).slice(0, 5)
    .concat(['the page scrolls sideways']);
}"""
SEE_THROUGH_FIGURES = """() => [...document.querySelectorAll('article .cell_output img')]
  .filter(e => /rgba\\(.*, 0(\\.\\d+)?\\)|transparent/.test(getComputedStyle(e).backgroundColor))
  .map(e => e.alt)"""


@each_page
class TestInABrowser:
    pytestmark = in_browser

    def test_opens_without_error_and_renders_equations(
        self, visit: OpenPage, page_name: str
    ) -> None:
        visited = visit(f"{page_name}.html")
        page = visited.page
        assert visited.problems == []
        assert page.evaluate(UNSET) == []
        assert page.evaluate(RAW_EQUATIONS) == []
        assert page.locator("math[tabindex], math [tabindex]").count() == 0

    def test_is_light(self, visit: OpenPage, page_name: str) -> None:
        page = visit(f"{page_name}.html").page
        sizes = page.evaluate(SIZES)
        assert sum(sizes.values()) > 50_000, "nothing was counted"
        assert sum(sizes.values()) < WEIGHT, sorted(sizes.items(), key=lambda item: -item[1])[:5]

    def test_fits_a_phone_with_everything_unfolded(self, visit: OpenPage, page_name: str) -> None:
        page = visit(f"{page_name}.html").page
        page.set_viewport_size(PHONE)
        assert page.evaluate(TOO_WIDE) == []
        unfold(page)
        assert page.evaluate(TOO_WIDE) == []

    def test_figures_can_be_read_in_dark_mode(self, visit: OpenPage, page_name: str) -> None:
        page = visit(f"{page_name}.html").page
        show_theme(page, "dark")
        assert page.evaluate(SEE_THROUGH_FIGURES) == []

    def test_opens_from_a_downloaded_folder(self, browser: Any, page_name: str) -> None:
        if page_name in ("search", "genindex", "py-modindex"):
            return  # TestNavigation searches from a folder; the other two are lists of links
        visited = open_alone(browser, (SITE / f"{page_name}.html").as_uri(), f"{SITE.as_uri()}/")
        page = visited.page
        assert page.evaluate(UNSET) == []
        assert visited.problems == []
        page.context.close()


@each_chapter
class TestLiveFigures:
    """Without a kernel and without the network, as readers of the published page have them."""

    pytestmark = in_browser

    def test_each_slider_changes_the_frame_and_its_description(
        self, visit: OpenPage, page_name: str
    ) -> None:
        visited = visit(f"{page_name}.html")
        page = visited.page
        page.set_viewport_size(DESKTOP)
        figures = page.locator(".lessons-explore")
        assert figures.count() >= 1, "each chapter has a figure that readers can move"
        for figure in figures.all():
            move(figure)
            sliders = figure.locator("input[type=range]").all()
            assert sliders
            for slider in sliders:
                picture = figure.locator("img")
                before = picture.get_attribute("src"), figure.inner_text()
                at_end = slider.evaluate("e => e.value === e.max")
                slider.press("Home" if at_end else "End")
                after = picture.get_attribute("src"), figure.inner_text()
                assert before[0] != after[0]
                assert before[1] != after[1]
                assert picture.evaluate("e => e.decode().then(() => e.naturalWidth)") > 100
        assert visited.problems == []

    def test_without_scripts_a_still_image_and_its_description_remain(
        self, browser: Any, address: str, page_name: str
    ) -> None:
        context = browser.new_context(java_script_enabled=False)
        page = context.new_page()
        page.goto(f"{address}/{page_name}.html")
        for figure in page.locator(".lessons-explore").all():
            figure.scroll_into_view_if_needed()
            picture = figure.locator("img")
            assert picture.evaluate("e => e.decode().then(() => e.naturalWidth)") > 100
            assert figure.locator("input").count() == 0
            assert len(figure.inner_text()) > 40
        context.close()


def test_next_and_previous_lead_through_the_whole_book() -> None:
    def leads(name: str, button: str) -> str | None:
        text = (SITE / f"{name}.html").read_text(encoding="utf-8")
        link = re.search(rf'<a class="{button}"\s+href="([^"]+)"', text)
        return link and posixpath.normpath(f"{posixpath.dirname(name)}/{link[1]}")

    for one, other in pairwise(PAGES):
        assert leads(one, "right-next") == f"{other}.html"
        assert leads(other, "left-prev") == f"{one}.html"
    assert leads(PAGES[0], "left-prev") is None
    assert leads(PAGES[-1], "right-next") is None


class TestNavigation:
    """From page to page, as the buttons and lists of the theme offer it."""

    pytestmark = in_browser

    def test_a_word_that_is_typed_finds_its_chapter(self, browser: Any, address: str) -> None:
        self.search(open_alone(browser, f"{address}/{PAGES[0]}.html", f"{address}/"))

    def test_search_works_from_a_downloaded_folder(self, browser: Any) -> None:
        self.search(open_alone(browser, (SITE / f"{PAGES[0]}.html").as_uri(), f"{SITE.as_uri()}/"))

    def search(self, visited: Any) -> None:
        page = visited.page
        page.keyboard.press("Control+k")
        page.keyboard.type("permutation")
        page.keyboard.press("Enter")
        page.wait_for_url("**/search.html?q=permutation*")
        page.wait_for_selector("#search-results li a", timeout=20_000)
        found = page.locator("#search-results li a").evaluate_all("all => all.map(e => e.href)")
        assert any("06_hard_distribution" in address for address in found)
        if not page.url.startswith("file:"):
            page.wait_for_selector("#search-results p.context")
            quotes = " ".join(page.locator("#search-results p.context").all_inner_texts())
            assert "permutation" in quotes.lower()
            assert ".ipynb" not in quotes, "from the text, not from the buttons above it"
            page.wait_for_load_state("networkidle")  # or leaving would break off other excerpts
        page.locator("#search-results li a").first.click()
        page.wait_for_selector("article h1")
        # From a folder no page may read another one: results come without an excerpt.
        excerpts = re.compile(
            r"console: (Access to fetch at 'file:|Failed to load)|failed: file:"
            r"|script: Failed to fetch"
        )
        local = page.url.startswith("file:")
        assert [p for p in visited.problems if not (local and excerpts.match(p))] == []
        page.context.close()


def test_every_page_of_the_site_is_looked_at() -> None:
    built = {str(path.relative_to(SITE).with_suffix("")) for path in SITE.rglob("*.html")}
    built = {name for name in built if not name.startswith("_static")}
    moved = Path(__file__).parents[1] / "book" / "_moved"
    lead_on = {str(p.relative_to(moved).with_suffix("")) for p in moved.rglob("*.html")}
    assert built == {*ALL_PAGES, "index", "404", *lead_on}  # the second and third lead on, too

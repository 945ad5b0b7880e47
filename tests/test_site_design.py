"""What the built site adds to the text: meanings of terms, copy buttons, margins, previews."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

import pytest
from site_browser import CHAPTERS, DESKTOP, PAGES, PHONE, ROOT, SITE, in_browser, needs_site

from labels import read_settings

pytestmark = needs_site


class Head(HTMLParser):
    """What stands in the ``meta`` and ``link`` tags of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.meta: dict[str, str] = {}
        self.icons: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {key: value or "" for key, value in attrs}
        name = values.get("property") or values.get("name", "")
        if tag == "meta" and (name.startswith(("og:", "twitter:")) or name == "description"):
            assert name not in self.meta, f"{name} is given twice"
            self.meta[name] = values["content"]
        if tag == "link" and values.get("rel") == "icon":
            self.icons.append(values["href"])


def html_of(page_name: str) -> str:
    return (SITE / f"{page_name}.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("page_name", PAGES)
def test_a_shared_page_shows_what_it_is(page_name: str) -> None:
    site = read_settings(ROOT).site
    head = Head(html_of(page_name))
    assert head.meta["og:url"] == f"{site}/{page_name}.html"
    image = head.meta["og:image"]
    assert image.startswith(f"{site}/")
    assert (SITE / image.removeprefix(f"{site}/")).is_file()
    for name in ("description", "og:title", "og:description", "og:image:alt", "twitter:card"):
        assert len(head.meta[name]) >= 4, name
    assert head.meta["og:description"] != head.meta["og:site_name"], "a page has a first paragraph"
    (icon,) = head.icons
    assert (SITE / page_name).parent.joinpath(icon).resolve().is_file()


def test_the_root_leads_on_and_shows_what_it_is() -> None:
    text, site = (SITE / "index.html").read_text(encoding="utf-8"), read_settings(ROOT).site
    head = Head(text)
    assert head.meta["description"] == Head(html_of("book/index")).meta["description"]
    assert head.meta["og:image"].startswith(f"{site}/")
    assert "<title>How Attention Learns</title>" in text
    assert f'<link rel="canonical" href="{site}/book/index.html">' in text
    assert 'content="0; url=book/index.html"' in text


def test_a_wrong_address_gets_a_page_and_icons_are_where_browsers_look() -> None:
    site = read_settings(ROOT).site
    lost = (SITE / "404.html").read_text(encoding="utf-8")
    links = re.findall(r'<a href="([^"]+)"', lost)
    assert len(links) == 2
    for link in links:  # it is shown at any depth
        assert (SITE / link.removeprefix(f"{site}/")).is_file()
    assert (SITE / "favicon.ico").read_bytes()[:4] == b"\0\0\1\0"
    (touch,) = re.findall(r'rel="apple-touch-icon" href="([^"]+)"', html_of("book/index"))
    assert (SITE / "book" / touch).is_file()


@pytest.mark.parametrize("page_name", PAGES)
def test_a_page_names_its_address_and_uses_no_name_twice(page_name: str) -> None:
    text = html_of(page_name)
    address = f"{read_settings(ROOT).site}/{page_name}.html"
    assert re.findall(r'<link rel="canonical" href="([^"]+)"', text) == [address]
    names = re.findall(r'<[^>]+\sid="([^"]+)"', text)
    assert sorted({name for name in names if names.count(name) > 1}) == []


@pytest.mark.parametrize("page_name", PAGES)
def test_the_foot_of_a_page_says_when_it_was_changed_and_where_to_mend_it(page_name: str) -> None:
    text = html_of(page_name)
    repository = read_settings(ROOT).repository
    assert re.search(r"Last updated on \d{4}-\d\d-\d\d", text)
    (edited,) = re.findall(rf'href="{re.escape(repository)}/edit/main/([^"]+)"', text)
    assert (ROOT / edited).is_file()
    (asked,) = re.findall(rf'href="({re.escape(repository)}/issues/new[^"]+)"', text)
    assert "title=" in urlsplit(asked).query


@pytest.fixture(scope="module")
def context(browser: Any) -> Iterator[Any]:
    opened = browser.new_context(viewport=DESKTOP)
    yield opened
    opened.close()


def pages_with(mark: str) -> list[str]:
    return [name for name in PAGES if mark in html_of(name)]


MEANINGS = """async () => {
  const found = [];
  for (const link of document.querySelectorAll('.bd-article .term > a')) {
    if (!link.checkVisibility({visibilityProperty: true})) continue;  // folded
    link.scrollIntoView({block: 'nearest', behavior: 'instant'});
    link.focus();
    await new Promise(requestAnimationFrame);  // the browser looks for a place with room
    await new Promise(requestAnimationFrame);
    const tip = link.nextElementSibling, box = tip.getBoundingClientRect();
    found.push({
      term: link.textContent,
      shown: getComputedStyle(tip).display !== 'none',
      inside: box.left >= 0 && box.top >= 0 && box.right <= innerWidth && box.bottom <= innerHeight
        && document.documentElement.scrollWidth <= document.documentElement.clientWidth,
    });
  }
  return found;
}"""


CUT = """() => [...document.querySelectorAll('.bd-article div.highlight pre')]
  .filter(e => e.checkVisibility() && e.scrollWidth > e.clientWidth)
  .map(e => e.textContent.split('\\n').sort((a, b) => b.length - a.length)[0])"""
ALONE = """() => {
  const found = [];
  for (const math of document.querySelectorAll('.bd-article span.math')) {
    const next = math.nextSibling;
    if (next?.nodeType === 3 && /^[,.;:]/.test(next.data)) found.push(math.textContent + next.data);
  }
  return found;
}"""


class TestFit:
    pytestmark = in_browser

    @pytest.mark.parametrize("name", CHAPTERS)
    def test_code_fits_its_box_and_no_line_begins_with_a_comma(
        self, context: Any, address: str, name: str
    ) -> None:
        page = context.new_page()
        page.goto(f"{address}/{name}.html")
        assert page.evaluate(CUT) == []
        assert page.evaluate(ALONE) == []
        page.close()

    def test_the_tables_of_the_guide_fit_a_phone(self, context: Any, address: str) -> None:
        page = context.new_page()
        page.set_viewport_size(PHONE)
        page.goto(f"{address}/book/instructors.html")
        wide = "all => all.filter(e => e.scrollWidth > e.clientWidth + 1).length"
        assert page.locator(".bd-article table").evaluate_all(wide) == 0
        page.close()

    def test_focus_is_seen_on_the_buttons_of_the_header(self, context: Any, address: str) -> None:
        page = context.new_page()
        page.goto(f"{address}/book/index.html")
        buttons = page.locator(".bd-header-article button").filter(visible=True)
        assert buttons.count() >= 2
        page.keyboard.press("Tab")  # what follows is focus by keyboard
        for button in buttons.all():
            button.focus()
            style = button.evaluate("e => [getComputedStyle(e).outlineStyle, e.className]")
            assert style[0] == "solid", style
        page.close()


class TestTerms:
    pytestmark = in_browser

    def test_a_meaning_comes_and_goes_with_pointer_and_focus(
        self, context: Any, address: str
    ) -> None:
        page = context.new_page()
        name = pages_with('class="term-tip"')[0]
        page.goto(f"{address}/{name}.html")
        link = page.locator(".bd-article .term > a").first
        tip = page.locator(".bd-article .term-tip").first
        assert link.get_attribute("aria-describedby") == tip.get_attribute("id")
        assert not tip.is_visible()
        link.hover()
        assert tip.is_visible()
        tip.hover()
        assert tip.is_visible(), "the pointer may move onto it"
        page.keyboard.press("Escape")
        assert not tip.is_visible()
        page.mouse.move(1, 1)
        link.focus()
        assert tip.is_visible()
        page.keyboard.press("Escape")
        assert not tip.is_visible()
        page.evaluate("() => document.activeElement.blur()")
        link.focus()
        assert tip.is_visible()
        page.close()

    @pytest.mark.parametrize("size", [PHONE, {"width": 700, "height": 740}, DESKTOP], ids=str)
    def test_no_meaning_leaves_the_screen_or_makes_the_page_scroll(
        self, context: Any, address: str, size: Any
    ) -> None:
        for name in pages_with('class="term-tip"'):
            page = context.new_page()
            page.set_viewport_size(size)
            page.goto(f"{address}/{name}.html")
            meanings = page.evaluate(MEANINGS)
            assert meanings
            wrong = [each for each in meanings if not (each["shown"] and each["inside"])]
            assert wrong == [], name
            page.close()


class TestCopyButtons:
    pytestmark = in_browser

    def test_code_has_one_and_output_has_none(self, context: Any, address: str) -> None:
        page = context.new_page()
        page.goto(f"{address}/{CHAPTERS[0]}.html")
        page.wait_for_selector("button.copybtn", state="attached")
        inputs = page.locator(".cell_input div.highlight").count()
        assert page.locator(".cell_input button.copybtn").count() == inputs > 5
        assert page.locator(".cell_output div.highlight").count() > 0
        assert page.locator(".cell_output button.copybtn").count() == 0
        page.close()

    def test_a_keyboard_reaches_and_presses_it(self, browser: Any, address: str) -> None:
        rights = ["clipboard-read", "clipboard-write"]
        context = browser.new_context(viewport=DESKTOP, permissions=rights)
        page = context.new_page()
        page.goto(f"{address}/{CHAPTERS[0]}.html")
        page.wait_for_selector("button.copybtn", state="attached")
        cell = page.locator(".cell_input div.highlight").filter(visible=True).first
        button = cell.locator("button.copybtn")
        button.focus()
        page.wait_for_function(
            "e => getComputedStyle(e).opacity === '1'", arg=button.element_handle()
        )
        page.keyboard.press("Enter")
        page.wait_for_selector("button.copybtn.success")
        copied = page.evaluate("() => navigator.clipboard.readText()")
        assert copied.strip() == cell.locator("pre").inner_text().strip()
        context.close()

    @pytest.mark.parametrize("name", ["index", "instructors"])
    def test_code_and_commands_on_other_pages_have_one(
        self, context: Any, address: str, name: str
    ) -> None:
        page = context.new_page()
        page.goto(f"{address}/book/{name}.html")
        page.wait_for_selector("button.copybtn", state="attached")
        blocks = page.locator("article div.highlight").count()
        assert page.locator("article button.copybtn").count() == blocks >= 1
        page.close()


class TestMargins:
    pytestmark = in_browser

    def test_a_note_stands_beside_the_text_or_in_it(self, context: Any, address: str) -> None:
        names = pages_with('class="margin sidebar"')
        assert names, "chapters have margin notes"
        page = context.new_page()
        page.goto(f"{address}/{names[0]}.html")
        note = page.locator("aside.margin").first
        text = page.locator("article > section > p").first
        for size, beside in ((DESKTOP, True), (PHONE, False)):
            page.set_viewport_size(size)
            box, column = note.bounding_box(), text.bounding_box()
            assert (box["x"] >= column["x"] + column["width"]) is beside
            assert beside or box["width"] > 0.85 * column["width"]
            assert box["x"] + box["width"] <= size["width"]
        page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
class TestLogo:
    pytestmark = in_browser

    def test_the_side_bar_shows_the_logo_of_the_theme(
        self, browser: Any, address: str, scheme: str
    ) -> None:
        context = browser.new_context(viewport=DESKTOP, color_scheme=scheme)
        page = context.new_page()
        page.goto(f"{address}/book/index.html")
        shown = page.locator(".navbar-brand img").filter(visible=True)
        (source,) = [image.get_attribute("src") for image in shown.all()]
        assert ("dark" in source) is (scheme == "dark")
        assert shown.evaluate("e => e.complete && e.naturalWidth > 0")
        assert "How Attention Learns" in page.locator(".navbar-brand").inner_text()
        context.close()

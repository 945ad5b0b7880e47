"""What the built site adds to the text: bylines, meanings, copy buttons, margins, previews."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

import jinja2
import pytest
from site_browser import (
    CHAPTERS,
    DESKTOP,
    PAGES,
    PHONE,
    ROOT,
    SITE,
    in_browser,
    move,
    needs_site,
)

from labels import read_settings

pytestmark = needs_site
ADDRESS, REPOSITORY = read_settings(ROOT).site, read_settings(ROOT).repository
Opened = Callable[..., Any]


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


def pages_with(mark: str) -> list[str]:
    return [name for name in PAGES if mark in html_of(name)]


@pytest.mark.parametrize("page_name", PAGES)
def test_a_page_says_what_and_where_it_is_who_wrote_it_and_how_to_mend_it(page_name: str) -> None:
    text = html_of(page_name)
    head = Head(text)
    assert head.meta["og:url"] == f"{ADDRESS}/{page_name}.html"
    assert (SITE / head.meta["og:image"].removeprefix(f"{ADDRESS}/")).is_file()
    for name in ("description", "og:title", "og:description", "og:image:alt", "twitter:card"):
        assert len(head.meta[name]) >= 4, name
    assert head.meta["og:description"] != head.meta["og:site_name"], "a page has a first paragraph"
    (icon,) = head.icons
    assert (SITE / page_name).parent.joinpath(icon).resolve().is_file()
    assert re.findall(r'rel="canonical" href="([^"]+)"', text) == [head.meta["og:url"]]
    names = re.findall(r'<[^>]+\sid="([^"]+)"', text)
    assert sorted({name for name in names if names.count(name) > 1}) == []
    (day,) = re.findall(r"Last updated on (\d{4}-\d\d-\d\d)", text)
    (byline,) = re.findall(r'</h1>\s*<p class="byline"[^>]*>(.*?)</p>', text)
    assert byline == f"The course authors · last changed on {day}"
    (edited,) = re.findall(rf'href="{re.escape(REPOSITORY)}/edit/main/([^"]+)"', text)
    assert (ROOT / edited).is_file()
    (asked,) = re.findall(rf'href="({re.escape(REPOSITORY)}/issues/new[^"]+)"', text)
    assert "title=" in urlsplit(asked).query


def test_the_root_leads_on_and_a_wrong_address_gets_a_page_and_icons_are_there() -> None:
    text = html_of("index")
    head = Head(text)
    assert head.meta["description"] == Head(html_of("book/index")).meta["description"]
    assert head.meta["og:image"].startswith(f"{ADDRESS}/")
    assert "<title>How Attention Learns</title>" in text
    assert f'<link rel="canonical" href="{ADDRESS}/book/index.html">' in text
    assert 'content="0; url=book/index.html"' in text
    links = re.findall(r'<a href="([^"]+)"', html_of("404"))
    assert len(links) == 2
    for link in links:  # it is shown at any depth
        assert (SITE / link.removeprefix(f"{ADDRESS}/")).is_file()
    assert (SITE / "favicon.ico").read_bytes()[:4] == b"\0\0\1\0"
    (touch,) = re.findall(r'rel="apple-touch-icon" href="([^"]+)"', html_of("book/index"))
    assert (SITE / "book" / touch).is_file()


@pytest.mark.parametrize("page_name", CHAPTERS)
def test_sections_and_exercises_have_numbers_and_none_is_called_untried(page_name: str) -> None:
    text, chapter = html_of(page_name), int(page_name.split("/")[1][:2])
    sections = re.findall(r'<h2[^>]*><span class="section-number">([\d.]+)\. ', text)
    assert sections == [f"{chapter}.{n}" for n in range(1, len(sections) + 1)]
    assert len(sections) > 3
    titles = re.findall(r'admonition-title">Exercise (\d+)\.(\d+): \S', text)
    assert titles == [(str(chapter), str(n)) for n in range(1, len(titles) + 1)]
    assert "not attempted" not in text


@pytest.mark.parametrize("fell_back", [True, False])
def test_a_page_made_without_the_real_corpus_warns_under_its_title(fell_back: bool) -> None:
    frame = "{% block body %}{{ body }}{% endblock %}"
    source = (ROOT / "book" / "_templates" / "page.html").read_text(encoding="utf-8")
    loader = jinja2.DictLoader({"!page.html": frame, "page.html": source})
    notice = "<p><strong>Embedded corpus.</strong> Why</p>" if fell_back else ""
    said = {"author": "A", "last_updated": "D", "sourcename": "s"}
    body = f"<h1>T</h1><p>x</p>{notice}<h1>U</h1>"
    made = jinja2.Environment(loader=loader).get_template("page.html").render(body=body, **said)
    assert made.count("admonition warning") == 2 * fell_back, "at the top, and where it happened"
    assert made.count("byline") == 1
    assert fell_back is ("[Real corpus]" in made.partition("<p>x</p>")[0])


@pytest.fixture(scope="module")
def opened(browser: Any, address: str) -> Iterator[Opened]:
    """Opens a page of a size, in a context that ends with the tests of this file."""
    contexts: list[Any] = []

    def open_page(name: str, size: dict[str, int] = DESKTOP, **options: Any) -> Any:
        for old in contexts:
            old.close()
        contexts[:] = [browser.new_context(viewport=size, **options)]
        page = contexts[0].new_page()
        page.goto(f"{address}/{name}")
        return page

    yield open_page
    for old in contexts:
        old.close()


MEANINGS = """async () => {
  const found = [];
  for (const link of document.querySelectorAll('.bd-article .term > a')) {
    if (!link.checkVisibility({visibilityProperty: true})) continue;  // folded
    link.scrollIntoView({block: 'nearest', behavior: 'instant'});
    link.focus();
    await new Promise(requestAnimationFrame);  // the browser looks for a place with room
    await new Promise(requestAnimationFrame);
    const tip = link.nextElementSibling, box = tip.getBoundingClientRect();
    const page = document.documentElement, fits = page.scrollWidth <= page.clientWidth
      && box.left >= 0 && box.top >= 0 && box.right <= innerWidth && box.bottom <= innerHeight;
    found.push([link.textContent, getComputedStyle(tip).display !== 'none' && fits]);
  }
  return found;
}"""
CUT = """() => [...document.querySelectorAll('.bd-article div.highlight pre')]
  .filter(e => e.checkVisibility() && e.scrollWidth > e.clientWidth)
  .map(e => e.textContent.split('\\n').sort((a, b) => b.length - a.length)[0])"""
ALONE = """() => [...document.querySelectorAll('.bd-article span.math')]
  .filter(e => e.nextSibling?.nodeType === 3 && /^[,.;:]/.test(e.nextSibling.data))
  .map(e => e.textContent + e.nextSibling.data)"""
LETTERS = """svg => [...svg.querySelectorAll('text')].map(e => {
  const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
  return [parseFloat(getComputedStyle(e).fontSize) * scale, getComputedStyle(e).fill];
})"""


class TestInABrowser:
    pytestmark = in_browser

    @pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
    def test_the_first_page_opens_with_what_moves_a_sentence_and_a_button(
        self, opened: Opened, size: dict[str, int]
    ) -> None:
        page = opened("book/index.html", size)
        slider = page.locator(".lessons-explore input")
        slider.wait_for()
        (button,) = page.locator("article a.sd-btn").all()
        assert button.get_attribute("href") == "playground.html"
        box, sentence = slider.bounding_box(), page.locator("section > p:not(.byline)").first
        assert box["y"] + box["height"] < sentence.bounding_box()["y"]
        assert button.bounding_box()["y"] < size["height"]
        assert page.locator("article .sd-card-title").all_inner_texts() == [
            "The course", "The audit", "Teach",
        ]  # fmt: skip

    @pytest.mark.parametrize("name", [name for name in PAGES if name.startswith("book/api")])
    def test_no_page_of_the_reference_is_endless(self, opened: Opened, name: str) -> None:
        page = opened(f"{name}.html", {"width": 1440, "height": 900})
        assert page.evaluate("() => document.documentElement.scrollHeight") < 25_000

    @pytest.mark.parametrize("name", CHAPTERS)
    @pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
    def test_the_first_slider_comes_soon_and_code_before_it_is_folded(
        self, opened: Opened, name: str, width: int, height: int
    ) -> None:
        page = opened(f"{name}.html", {"width": width, "height": height})
        figure = page.locator("article .lessons-explore").first
        move(figure)
        below = "e => (e.getBoundingClientRect().bottom + scrollY) / innerHeight"
        assert figure.locator("input[type=range]").first.evaluate(below) <= 2, "screens"
        imports = page.locator("article .highlight").filter(has_text="from lessons_lib").first
        assert not imports.is_visible()
        figure_top = figure.evaluate("e => e.getBoundingClientRect().top")
        shown = page.locator("article .cell_input .highlight").filter(visible=True)
        assert shown.first.evaluate("e => e.getBoundingClientRect().top") > figure_top

    @pytest.mark.parametrize("name", [*CHAPTERS, "book/instructors", "book/note_for_researchers"])
    def test_code_fits_its_box_and_no_line_begins_with_a_comma(
        self, opened: Opened, name: str
    ) -> None:
        page = opened(f"{name}.html")
        assert page.evaluate(CUT) == []
        assert page.evaluate(ALONE) == []

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_the_drawing_of_the_model_can_be_read_on_a_phone_and_has_the_colours_of_the_page(
        self, opened: Opened, scheme: str
    ) -> None:
        shown = pages_with('class="lessons-model"')
        assert {CHAPTERS[0], CHAPTERS[2], CHAPTERS[6], "book/notation"} == set(shown)
        for name in shown:
            size = {"width": 360, "height": 740}
            svg = opened(f"{name}.html", size, color_scheme=scheme).locator("svg.lessons-model")
            assert len(svg.get_attribute("aria-label")) > 200
            colour = svg.page.locator("article p").first.evaluate("e => getComputedStyle(e).color")
            letters = svg.evaluate(LETTERS)
            assert min(height for height, _ in letters) > 10
            assert {fill for _, fill in letters} == {svg.evaluate("e => getComputedStyle(e).color")}
            dark = max(map(int, re.findall(r"\d+", letters[0][1])[:3])) < 128
            assert dark == (scheme == "light") == (max(map(int, re.findall(r"\d+", colour))) < 128)

    @pytest.mark.parametrize("kind", ["glossary", "bibliography"])
    def test_a_meaning_comes_and_goes_with_pointer_and_focus(
        self, opened: Opened, kind: str
    ) -> None:
        page = opened(f"{CHAPTERS[0]}.html")
        link = page.locator(f".bd-article .term > a[href*={kind}]").first
        tip = page.locator(f"#{link.get_attribute('aria-describedby')}")
        assert len(tip.text_content()) > 30
        assert not tip.is_visible()
        link.hover()
        assert tip.is_visible()
        tip.hover()
        assert tip.is_visible(), "the pointer may move onto it"
        page.keyboard.press("Escape")
        assert not tip.is_visible()
        page.mouse.move(1, 1)
        for _ in range(2):
            page.evaluate("() => document.activeElement.blur()")
            link.focus()
            assert tip.is_visible()
            page.keyboard.press("Escape")
            assert not tip.is_visible()

    @pytest.mark.parametrize("size", [PHONE, {"width": 700, "height": 740}, DESKTOP], ids=str)
    def test_no_meaning_leaves_the_screen_or_makes_the_page_scroll(
        self, opened: Opened, size: Any
    ) -> None:
        for name in pages_with('class="term-tip"'):
            meanings = opened(f"{name}.html", size).evaluate(MEANINGS)
            assert meanings
            assert [term for term, fits in meanings if not fits] == [], name

    @pytest.mark.parametrize("name", [CHAPTERS[0], "book/index", "book/instructors"])
    def test_code_can_be_copied_and_output_cannot(self, opened: Opened, name: str) -> None:
        page = opened(f"{name}.html")
        page.wait_for_selector("button.copybtn", state="attached")
        blocks = page.locator("article div:not(.output) > div.highlight").count()
        assert page.locator("article button.copybtn").count() == blocks >= 1
        assert page.locator(".cell_output button.copybtn").count() == 0

    @pytest.mark.parametrize("old", ["lessons_lib.lab.copying.CopyingConfig", "lab-own-text"])
    def test_an_old_address_in_the_reference_leads_on(self, opened: Opened, old: str) -> None:
        (new,) = (path for path in (SITE / "book/api").glob("lab_*.html")
                  if f'id="{old}"' in path.read_text("utf-8"))  # fmt: skip
        page = opened(f"book/api/lab.html#{old}")
        page.wait_for_url(f"**/{new.name}#{old}")

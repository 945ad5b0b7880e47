"""The built site as readers meet it: in a browser, on a phone, with the network cut off."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import site_browser as web

WEIGHT = 900e3
"""Bytes that a page may take before a reader scrolls, with all that it loads, as they travel."""
FIRST = 190e3
"""Bytes until text and formulas are there: 4 s at 400 kbit/s, of which 0.2 to ask for them."""

pytestmark = [web.needs_site, *web.in_browser]


# The page, what the browser waits for before it paints, and the font of formulas.
FIRST_BYTES = """() => performance.getEntries()
  .filter(e => e.entryType === 'navigation' || e.renderBlockingStatus === 'blocking'
    || /formulas.*woff2/.test(e.name)).map(e => e.transferSize)"""


@pytest.mark.parametrize("page_name", [web.CHAPTERS[0], web.CHAPTERS[1], web.PAGES[0]])
def test_text_formulas_colours_are_there_at_once(open_page: web.OpenPage, page_name: str) -> None:
    """By bytes, whatever the line and the machine: nothing else is waited for."""
    come = open_page(f"{page_name}.html").evaluate(FIRST_BYTES)
    assert len(come) > 1
    assert 10_000 < sum(come) < FIRST


def brightest(colour: str) -> int:
    return max(map(int, re.findall(r"\d+", colour)[:3]))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("scripts", [True, False], ids=["scripts late", "no scripts"])
def test_before_any_script_comes_colours_and_formulas_are_there(
    browser: Any, address: str, scheme: str, scripts: bool
) -> None:
    context = browser.new_context(color_scheme=scheme, java_script_enabled=scripts)
    page = context.new_page()
    page.route("**/*.js*", lambda route: route.abort())
    page.goto(f"{address}/{web.CHAPTERS[0]}.html")
    body = page.locator("body")
    paper = brightest(body.evaluate("e => getComputedStyle(e).backgroundColor"))
    assert (paper < 60) is (scheme == "dark")
    assert page.locator("article .math math").first.bounding_box()["width"] > 5
    page.emulate_media(media="print")
    if not scripts:
        assert brightest(body.evaluate("e => getComputedStyle(e).color")) < 100, "dark on paper"
    context.close()


def test_paper_is_light_whatever_the_theme(open_page: web.OpenPage) -> None:
    page = open_page(f"{web.CHAPTERS[0]}.html")
    web.show_theme(page, "dark")
    for event, theme in (("beforeprint", "light"), ("afterprint", "dark")):
        page.evaluate("name => dispatchEvent(new Event(name))", event)
        assert page.evaluate("() => document.documentElement.dataset.theme") == theme


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
CUT = """() => [...document.querySelectorAll('.bd-article div.highlight pre')]
  .filter(e => e.checkVisibility() && e.scrollWidth > e.clientWidth)
  .map(e => e.textContent.split('\\n').sort((a, b) => b.length - a.length)[0])"""
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
  document.activeElement.blur();
  return found;
}"""
UNFOLD = """() => {
  document.querySelectorAll('article details').forEach(e => { e.open = true; });
  document.querySelectorAll('article .toggle-hidden').forEach(
    e => e.classList.remove('toggle-hidden'));
}"""
# What is there a thousand times and always looks alike is looked at a few times, or axe would take
# minutes: the entries of the reference, and the words of code of one kind in one kind of box.
THINNED = """() => {
  [...document.querySelectorAll('article dl.py')]
    .filter(e => !e.querySelector('dl.py')).slice(40).forEach(e => e.remove());
  const seen = {};
  for (const word of document.querySelectorAll('article pre span')) {
    const box = word.closest('.cell_output, .admonition, details, article');
    const kind = `${word.className} in ${box.className}`;
    seen[kind] = (seen[kind] ?? 0) + 1;
    if (seen[kind] > 10 && !word.children.length) word.replaceWith(word.textContent);
  }
}"""


def meanings_fit(page: Any, name: str) -> None:
    """No meaning of a term leaves the screen or makes the page scroll."""
    meanings = page.evaluate(MEANINGS)
    assert [term for term, fits in meanings if not fits] == []
    assert bool(meanings) == ('class="term-tip"' in web.html_of(name))


@web.each_page
class TestEachPage:
    def test_on_a_desktop_it_is_whole_light_and_without_a_barrier(
        self, open_page: web.OpenPage, page_name: str
    ) -> None:
        page = open_page(f"{page_name}.html")
        sizes = page.evaluate(SIZES)
        assert sum(sizes.values()) > 50_000, "nothing was counted"
        assert sum(sizes.values()) < WEIGHT, sorted(sizes.items(), key=lambda item: -item[1])[:5]
        assert page.evaluate(UNSET) == []
        assert page.evaluate(RAW_EQUATIONS) == []
        assert page.locator("math[tabindex], math [tabindex]").count() == 0
        for size in (web.DESKTOP, {"width": 700, "height": 740}):
            page.set_viewport_size(size)
            meanings_fit(page, page_name)
        page.set_viewport_size(web.DESKTOP)
        web.show_theme(page, "light")
        page.evaluate(UNFOLD)
        assert page.evaluate(CUT) == []
        page.evaluate(THINNED)
        assert web.findings(page) == []

    def test_on_a_phone_in_the_dark_and_unfolded_it_fits_and_is_without_a_barrier(
        self, open_page: web.OpenPage, page_name: str
    ) -> None:
        page = open_page(f"{page_name}.html", size=web.PHONE, color_scheme="dark")
        web.show_theme(page, "dark")
        assert page.evaluate(TOO_WIDE) == []
        meanings_fit(page, page_name)
        page.evaluate(UNFOLD)
        assert page.evaluate(TOO_WIDE) == []
        assert page.evaluate(SEE_THROUGH_FIGURES) == []
        page.evaluate(THINNED)
        assert web.findings(page) == []

    def test_it_opens_from_a_download(self, open_page: web.OpenPage, page_name: str) -> None:
        if page_name not in web.MADE_BY_SPHINX:  # a search is tried below; the others are lists
            page = open_page(f"{page_name}.html", base=web.SITE.as_uri())
            assert page.evaluate(UNSET) == []


WIDTH = "e => e.decode().then(() => e.naturalWidth)"


@web.each_chapter
def test_each_slider_changes_the_frame_and_its_description(
    open_page: web.OpenPage, page_name: str
) -> None:
    """Without a kernel and without the network, as readers of the published page have them."""
    page = open_page(f"{page_name}.html")
    figures = page.locator(".lessons-explore")
    assert figures.count() >= 1, "each chapter has a figure that readers can move"
    for figure in figures.all():
        web.move(figure)
        picture = figure.locator("img")
        for slider in figure.locator("input[type=range]").all():
            frame, words = picture.get_attribute("src"), figure.inner_text()
            web.press_to_the_other_end(slider)
            assert picture.get_attribute("src") != frame
            assert figure.inner_text() != words
            assert picture.evaluate(WIDTH) > 100


@web.each_chapter
def test_without_scripts_a_still_image_and_its_description_remain(
    open_page: web.OpenPage, page_name: str
) -> None:
    page = open_page(f"{page_name}.html", java_script_enabled=False)
    for figure in page.locator(".lessons-explore").all():
        figure.scroll_into_view_if_needed()
        assert figure.locator("img").evaluate(WIDTH) > 100
        assert figure.locator("input").count() == 0
        assert len(figure.inner_text()) > 40


def test_search_works_from_a_downloaded_folder(browser: Any) -> None:
    """Typed into the dialog of the theme; no page may read another one, so without excerpts."""
    with web.opened(browser, web.SITE.as_uri(), f"{web.PAGES[0]}.html") as (page, problems):
        page.keyboard.press("Control+k")
        page.keyboard.type("permutation")
        page.keyboard.press("Enter")
        page.wait_for_url("**/search.html?q=permutation*")
        page.locator("#search-results li a[href*='06_hard']").first.wait_for()  # one comes by one
        page.locator("#search-results li a").first.click()
        page.wait_for_selector("article h1")
        unread = r"console: (Access to fetch|Failed to load)|failed: file:|script: Failed to fetch"
        problems[:] = [problem for problem in problems if not re.match(unread, problem)]


TYPOS = {"elimnation": "elimination", "premutation": "permutation", "softmx": "softmax"}


def test_search_takes_a_typo_for_the_word_that_is_meant(open_page: web.OpenPage) -> None:
    page = open_page("search.html?q=zzqx")
    page.get_by_text("did not match any documents").wait_for()
    for typo, meant in TYPOS.items():
        page.evaluate("typed => Search.performSearch(typed)", typo)
        said = page.locator("#search-results [role=status]").inner_text()
        assert re.fullmatch(f"“{typo}” is nowhere. .* pages found for “{meant}s?”.", said)
        marks = page.locator("#search-results mark").all_inner_texts()
        assert any(meant in mark.lower() for mark in marks)
    for code in ("(name=", "(tuple[", "encoder_states:"):
        assert code not in page.locator("#search-results").inner_text()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("part", "open_it"),
    [
        ("#pst-primary-sidebar-modal", lambda page: page.click("button.primary-toggle:visible")),
        ("#pst-secondary-sidebar-modal", lambda page: page.click("button.secondary-toggle")),
        ("#pst-search-dialog", lambda page: page.keyboard.press("Control+k")),
        (".term-tip", lambda page: page.locator(".term > a:visible").first.focus()),
    ],
    ids=["side bar", "contents", "search", "meaning of a term"],
)
def test_what_opens_on_a_phone_can_be_read(
    open_page: web.OpenPage, part: str, open_it: Callable[[Any], None], theme: str
) -> None:
    page = open_page(f"{web.CHAPTERS[0]}.html", size=web.PHONE)
    web.show_theme(page, theme)
    assert page.locator(part).filter(visible=True).count() == 0
    open_it(page)
    page.locator(part).filter(visible=True).first.wait_for()
    assert web.findings(page, part) == []


def test_search_results_can_be_read_and_a_flaw_would_be_found(open_page: web.OpenPage) -> None:
    page = open_page("search.html?q=attention")
    page.locator("#search-results li a").first.wait_for()
    for theme in ("dark", "light"):
        web.show_theme(page, theme)
        assert web.findings(page) == []
    flaws = {
        "color-contrast": "<p style='color:#999;background:#fff'>pale</p>",
        "label-content-name-mismatch": "<button aria-label='Go'>Send it</button>",
        "label": "<input>",
    }
    page.evaluate(
        "html => document.querySelector('main').insertAdjacentHTML('beforeend', html)",
        "".join(flaws.values()),
    )
    assert {each.partition(":")[0] for each in web.findings(page)} == flaws.keys()


@pytest.mark.parametrize("size", [web.DESKTOP, web.PHONE], ids=["desktop", "phone"])
def test_the_first_page_opens_with_what_moves_a_sentence_and_a_button(
    open_page: web.OpenPage, size: dict[str, int]
) -> None:
    page = open_page(f"{web.PAGES[0]}.html", size=size)
    slider = page.locator(".lessons-explore input")
    slider.wait_for()
    (button,) = page.locator("article a.sd-btn").all()
    assert button.get_attribute("href") == "playground.html"
    box, sentence = slider.bounding_box(), page.locator("section > p:not(.byline)").first
    assert box["y"] + box["height"] < sentence.bounding_box()["y"]
    assert button.bounding_box()["y"] < size["height"]


@pytest.mark.parametrize("name", web.CHAPTERS)
@pytest.mark.parametrize("size", [web.DESKTOP, web.PHONE], ids=["desktop", "phone"])
def test_the_first_slider_comes_soon_and_code_before_it_is_folded(
    open_page: web.OpenPage, name: str, size: dict[str, int]
) -> None:
    page = open_page(f"{name}.html", size=size)
    figure = page.locator("article .lessons-explore").first
    web.move(figure)
    below = "e => (e.getBoundingClientRect().bottom + scrollY) / innerHeight"
    assert figure.locator("input[type=range]").first.evaluate(below) <= 2, "screens"
    imports = page.locator("article .highlight").filter(has_text="from lessons_lib").first
    assert not imports.is_visible()
    shown = page.locator("article .cell_input .highlight").filter(visible=True)
    assert shown.first.bounding_box()["y"] > figure.bounding_box()["y"]


LETTERS = """svg => {
  const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
  const size = e => parseFloat(getComputedStyle(e).fontSize);
  return [...svg.querySelectorAll('text')].map(e =>
    [size(e) * scale / size(document.body), getComputedStyle(e).fill]);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_drawing_of_the_model_can_be_read_on_a_phone_and_has_the_colours_of_the_page(
    open_page: web.OpenPage, scheme: str
) -> None:
    shown = [name for name in web.PAGES if 'class="lessons-model"' in web.html_of(name)]
    assert {web.CHAPTERS[0], web.CHAPTERS[2], web.CHAPTERS[6], "book/notation"} == set(shown)
    for name in shown:
        page = open_page(f"{name}.html", size=web.PHONE, color_scheme=scheme)
        svg = page.locator("svg.lessons-model")
        assert len(svg.get_attribute("aria-label")) > 200
        letters = svg.evaluate(LETTERS)
        assert min(height for height, _ in letters) > 0.6, "of the letters of the text"
        (fill,) = {fill for _, fill in letters}
        text = page.locator("article p").first.evaluate("e => getComputedStyle(e).color")
        for colour in (fill, text):
            assert (brightest(colour) < 128) == (scheme == "light")


@pytest.mark.parametrize("kind", ["glossary", "bibliography"])
def test_a_meaning_comes_and_goes_by_pointer_and_focus(open_page: web.OpenPage, kind: str) -> None:
    page = open_page(f"{web.CHAPTERS[0]}.html")
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


@pytest.mark.parametrize("old", ["lessons_lib.lab.copying.CopyingConfig", "lab-own-text"])
def test_an_old_address_in_the_reference_leads_on(browser: Any, address: str, old: str) -> None:
    pages = (web.SITE / "book/api").glob("lab_*.html")
    (new,) = (path for path in pages if f'id="{old}"' in path.read_text("utf-8"))
    page = browser.new_page()  # not ``open_page``: what the old page has begun to load is given up
    page.goto(f"{address}/book/api/lab.html#{old}")
    page.wait_for_url(f"**/{new.name}#{old}")
    page.close()


@pytest.mark.parametrize("scripts", [True, False])
def test_an_old_place_in_a_chapter_leads_on(browser: Any, address: str, scripts: bool) -> None:
    page = browser.new_page(java_script_enabled=scripts)
    page.goto(f"{address}/book/04_ktiw_emerges.html#ch04-xi")
    if not scripts:
        page.click(".moved a:visible")
    page.wait_for_url("**/08_real_text.html#ch08-xi")
    page.close()

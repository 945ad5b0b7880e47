"""The built site as a reader meets it: in a browser, on a phone, with the network cut off.

``make test`` builds the site and names it in ``LESSONS_SITE``; otherwise the last ``make book``
is looked at.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import website

ROOT = Path(__file__).resolve().parent.parent
SITE = Path(os.environ.get("LESSONS_SITE") or ROOT / "_build" / "html")
PAGES = website.toc_pages((ROOT / "_toc.yml").read_text(encoding="utf-8"))
CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
PHONE, DESKTOP = {"width": 375, "height": 740}, {"width": 1280, "height": 900}
IMAGE_NAME = re.compile(r"\.(png|jpe?g|svg|gif|webp)$", re.IGNORECASE)

pytestmark = pytest.mark.skipif(
    not SITE.is_dir(), reason=f"there is no site in {SITE}: run `make book` first"
)
in_browser = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None,
        reason="no chromium, chromium-browser or google-chrome on PATH, and CHROMIUM is not set",
    ),
]
each_page = pytest.mark.parametrize("page_name", PAGES)


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
    assert article.titles == 1
    assert article.foreign == []
    for source, alt in article.images:
        assert alt, f"{source} has no alternative text"
        assert not IMAGE_NAME.search(alt), f"{source}: {alt!r} is the name of a file"
        assert "_images/" not in alt


def test_the_first_page_leads_to_the_book() -> None:
    text = (SITE / "index.html").read_text(encoding="utf-8")
    assert f"{PAGES[0]}.html" in text


@dataclass
class Visit:
    """A page in a browser, and what went wrong on the way."""

    page: Any
    problems: list[str] = field(default_factory=list)


class Quiet(SimpleHTTPRequestHandler):
    """Serve files without a line for each."""

    def log_message(self, format: str, *args: object) -> None:
        del format, args


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(SITE)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def visit(browser: Any, address: str) -> Callable[[str], Visit]:
    """Open a page once, with every other host cut off, and wait for its equations."""

    @cache
    def opened(name: str) -> Visit:
        context = browser.new_context(viewport=DESKTOP, color_scheme="light")
        visited = Visit(context.new_page())
        say = visited.problems.append

        def guard(route: Any) -> None:
            if route.request.url.startswith((f"{address}/", "data:", "blob:")):
                route.continue_()
            else:
                say(f"asked for another host: {route.request.url}")
                route.abort()

        page = visited.page
        context.route("**/*", guard)
        page.on("console", lambda m: say(f"console: {m.text}") if m.type == "error" else None)
        page.on("pageerror", lambda error: say(f"script: {error}"))
        page.on("requestfailed", lambda request: say(f"failed: {request.url}"))
        page.on("response", lambda r: say(f"{r.status}: {r.url}") if r.status >= 400 else None)
        page.goto(f"{address}/{name}", wait_until="networkidle")
        if page.locator("article .math").count():
            page.wait_for_function("() => window.MathJax?.startup?.promise", timeout=20_000)
            page.evaluate("() => MathJax.startup.promise.then(() => true)")
        return visited

    return opened


RAW_EQUATIONS = r"""() => {
  const article = document.querySelector('article').cloneNode(true);
  article.querySelectorAll('pre, code, script, mjx-container').forEach(e => e.remove());
  return (article.textContent.match(/\\[(\[].{0,60}/g) || []);
}"""
SCROLLING_EQUATIONS = """() => [...document.querySelectorAll('article mjx-container')]
  .filter(e => !e.hasAttribute('display') && getComputedStyle(e).overflowX === 'auto').length"""
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
        self, visit: Callable[[str], Visit], page_name: str
    ) -> None:
        visited = visit(f"{page_name}.html")
        page = visited.page
        assert visited.problems == []
        equations = page.locator("article .math").count()
        assert page.locator("article mjx-container").count() >= equations
        assert page.locator("mjx-merror, [data-mjx-error]").count() == 0
        assert page.evaluate(RAW_EQUATIONS) == []
        assert page.evaluate(SCROLLING_EQUATIONS) == 0

    def test_fits_a_phone(self, visit: Callable[[str], Visit], page_name: str) -> None:
        page = visit(f"{page_name}.html").page
        page.set_viewport_size(PHONE)
        assert page.evaluate(TOO_WIDE) == []

    def test_figures_can_be_read_in_dark_mode(
        self, visit: Callable[[str], Visit], page_name: str
    ) -> None:
        page = visit(f"{page_name}.html").page
        page.emulate_media(color_scheme="dark")
        page.wait_for_function("() => document.documentElement.dataset.theme === 'dark'")
        assert page.evaluate(SEE_THROUGH_FIGURES) == []


CHAPTERS = [name for name in PAGES if re.search(r"/\d\d_", name)]


@pytest.mark.parametrize("page_name", CHAPTERS)
class TestLiveFigures:
    """Without a kernel and without the network, as readers of the published page have them."""

    pytestmark = in_browser

    def test_each_slider_changes_the_frame_and_its_description(
        self, visit: Callable[[str], Visit], page_name: str
    ) -> None:
        visited = visit(f"{page_name}.html")
        page = visited.page
        page.set_viewport_size(DESKTOP)
        figures = page.locator(".lessons-explore")
        assert figures.count() >= 1, "each chapter has a figure that readers can move"
        for figure in figures.all():
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
        assert visited.problems == []

    def test_without_scripts_a_still_image_and_its_description_remain(
        self, browser: Any, address: str, page_name: str
    ) -> None:
        context = browser.new_context(java_script_enabled=False)
        page = context.new_page()
        page.goto(f"{address}/{page_name}.html")
        for figure in page.locator(".lessons-explore").all():
            assert figure.locator("img").is_visible()
            assert figure.locator("input").count() == 0
            assert len(figure.inner_text()) > 40
        context.close()


class TestSearch:
    pytestmark = in_browser

    def test_finds_a_word_without_the_network(self, visit: Callable[[str], Visit]) -> None:
        visited = visit("search.html?q=attention")
        visited.page.wait_for_selector("#search-results li a", timeout=20_000)
        assert visited.problems == []

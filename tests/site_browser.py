"""What the tests of the built site share: where it is, its pages, and a browser that visits them.

``make test`` builds the site and names it in ``LESSONS_SITE``; otherwise the last ``make book`` is
looked at. ``tests/conftest.py`` hands the fixtures to all tests.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

import chromium
import website
from environment import Project

ROOT = Path(__file__).resolve().parent.parent
SITE = Path(os.environ.get("LESSONS_SITE") or ROOT / "_build" / "html")
PAGES = list(website.page_sources(Project(ROOT)))
CHAPTERS = [name for name in PAGES if re.search(r"/\d\d_", name)]
# Sphinx adds these to the pages of _toc.yml.
MADE_BY_SPHINX = ["search", "genindex", "py-modindex"]
ALL_PAGES = [*PAGES, *MADE_BY_SPHINX]

CHROMIUM = chromium.find()
FLAGS = chromium.FLAGS
PHONE, DESKTOP = {"width": 375, "height": 740}, {"width": 1280, "height": 900}

needs_site = pytest.mark.skipif(
    not SITE.is_dir(), reason=f"there is no site in {SITE}: run `make book` first"
)
in_browser = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason=chromium.ABSENT),
]
# The scope lets pytest run all tests of a page one after the other, so that it is opened once.
each_page = pytest.mark.parametrize("page_name", ALL_PAGES, scope="session")
each_chapter = pytest.mark.parametrize("page_name", CHAPTERS, scope="session")


@dataclass
class Visit:
    """A page in a browser, and what went wrong since it was opened."""

    page: Any
    problems: list[str] = field(default_factory=list)


OpenPage = Callable[[str], Visit]


@cache
def packed(path: Path) -> bytes:
    """A file as it travels."""
    return gzip.compress(path.read_bytes(), compresslevel=6, mtime=0)


class Host(SimpleHTTPRequestHandler):
    """Serve the site as the hosts of static pages do: text is packed. No line for each request."""

    def send_head(self) -> Any:
        path = Path(self.translate_path(self.path))
        if path.suffix not in (".html", ".css", ".js", ".svg") or not path.is_file():
            return super().send_head()
        content = packed(path)
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        return io.BytesIO(content)

    def log_message(self, format: str, *args: object) -> None:
        del format, args


@contextmanager
def served(handler: type[SimpleHTTPRequestHandler], folder: Path = SITE) -> Iterator[str]:
    """The address at which the site, or another folder, is served until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """Where the site is served."""
    with served(Host) as found:
        yield found


def headless() -> Iterator[Any]:
    """A Chromium. There may be one Playwright in a process at a time."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield launched
        launched.close()


browser = pytest.fixture(headless, scope="session", name="browser")
"""For the tests of the site, which share it."""
own_chromium = pytest.fixture(headless, scope="module", name="chromium")
"""For the tests of one file, closed at its end: others in the process start their own."""


def open_alone(browser: Any, url: str, allowed: str) -> Visit:
    """Open a page in a context of its own, with everything cut off but addresses below `allowed`.

    Returns when scripts and fonts are there.
    """
    context = browser.new_context(viewport=DESKTOP, color_scheme="light")
    visited = Visit(context.new_page())
    page, say = visited.page, visited.problems.append

    def guard(route: Any) -> None:
        if route.request.url.startswith((allowed, "data:", "blob:")):
            route.continue_()
        else:
            say(f"asked for something foreign: {route.request.url}")
            route.abort()

    context.route("**/*", guard)
    page.on("console", lambda m: say(f"console: {m.text}") if m.type == "error" else None)
    page.on("pageerror", lambda error: say(f"script: {error}"))
    page.on("requestfailed", lambda request: say(f"failed: {request.url}"))
    page.on("response", lambda r: say(f"{r.status}: {r.url}") if r.status >= 400 else None)
    page.goto(url, wait_until="load")
    settle(page)
    return visited


def settle(page: Any) -> None:
    """Wait until the text, scripts and fonts of a page are there.

    The first page of the site holds no text and leads on to the introduction; whatever runs in it
    before the browser has followed is lost. So the text is what is waited for first.
    """
    page.wait_for_selector("main", state="attached")
    page.wait_for_load_state("load")
    page.evaluate("() => document.fonts.ready.then(() => true)")


@pytest.fixture(scope="session")
def visit(browser: Any, address: str) -> Iterator[OpenPage]:
    """Open a page with every other host cut off; the one that was open last is handed out again.

    What a test changes on a page (viewport, theme, an open box) the next test of the page finds:
    each sets what it needs.
    """
    last: dict[str, Visit] = {}

    def opened(name: str) -> Visit:
        if name not in last:
            for old in last.values():
                old.page.context.close()
            last.clear()
            last[name] = open_alone(browser, f"{address}/{name}", f"{address}/")
        return last[name]

    yield opened
    for old in last.values():
        old.page.context.close()


def show_theme(page: Any, theme: str) -> None:
    """Switch to the `light` or the `dark` theme, as a reader's system would, without fading."""
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    page.wait_for_function("t => document.documentElement.dataset.theme === t", arg=theme)


def unfold(page: Any) -> None:
    """Open everything that is folded: hints, solutions, cells."""
    page.evaluate(
        """() => {
          document.querySelectorAll('article details').forEach(e => { e.open = true; });
          document.querySelectorAll('article .toggle-hidden').forEach(
            e => e.classList.remove('toggle-hidden'));
        }"""
    )


def move(figure: Any) -> None:
    """Come near to a figure, so that its frames are fetched, and wait for its sliders."""
    figure.scroll_into_view_if_needed()
    figure.locator("input[type=range]").first.wait_for()


RUN = """part => axe.run(part, {
  resultTypes: ['violations'],
  preload: false,  // or it asks for style sheets once more, at wrong addresses
  rules: {'label-content-name-mismatch': {enabled: true}},
}).then(found => found.violations
  .filter(rule => ['serious', 'critical'].includes(rule.impact))
  .flatMap(rule => rule.nodes.map(node =>
    `${rule.id}: ${node.target} ${node.html.slice(0, 120)} ${node.any[0]?.message ?? ''}`)))"""
SETTLED = """() => new Promise(done => setTimeout(done, 400))"""


def findings(page: Any, part: str = "html") -> list[str]:
    """What axe-core calls serious or critical in a part of the page."""
    page.evaluate(SETTLED)  # after a resize the theme looks only now which boxes scroll
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8"))
    found: list[str] = page.evaluate(RUN, part)
    return found

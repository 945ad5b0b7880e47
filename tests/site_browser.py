"""What tests in a browser share: where the built site is, its pages, and a Chromium for them.

``make test`` builds the site and names it in ``LESSONS_SITE``; otherwise the last ``make book`` is
looked at. ``tests/conftest.py`` hands the fixtures to all tests.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
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
MADE_BY_SPHINX = ["search", "genindex", "py-modindex"]
"""Sphinx adds these to the pages of _toc.yml."""
ALL_PAGES = [*PAGES, *MADE_BY_SPHINX]
PHONE, DESKTOP = {"width": 360, "height": 740}, {"width": 1280, "height": 900}
PATIENCE = 60_000
"""Milliseconds until what has not come is taken to be missing."""


def wait(ready: Callable[[], Any], what: str, patience: float = PATIENCE / 1000) -> None:
    """Return when it is true; fail after so many seconds."""
    end = time.monotonic() + patience
    while not ready():
        assert time.monotonic() < end, f"never true: {what}"
        time.sleep(0.1)


needs_site = pytest.mark.skipif(
    not SITE.is_dir(), reason=f"there is no site in {SITE}: run `make book` first"
)
in_browser = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium.find() is None, reason=chromium.ABSENT),
]
each_page = pytest.mark.parametrize("page_name", ALL_PAGES)
each_chapter = pytest.mark.parametrize("page_name", CHAPTERS)
OpenPage = Callable[..., Any]


def with_chromium(test: Any) -> Any:
    """Mark a single test as one that needs the browser."""
    return in_browser[0](in_browser[1](test))


def html_of(name: str) -> str:
    """The source of a page of the site."""
    return (SITE / f"{name}.html").read_text(encoding="utf-8")


@cache
def packed(path: Path, head: bytes) -> bytes:
    """A file as it travels."""
    content = path.read_bytes().replace(b"<head>", b"<head>" + head, 1)
    return gzip.compress(content, compresslevel=6, mtime=0)


class Host(SimpleHTTPRequestHandler):
    """Serve the site as the hosts of static pages do: text is packed. No line for each request."""

    head = b""
    """What else stands first in the head of a page."""

    def send_head(self) -> Any:
        path = Path(self.translate_path(self.path))
        if path.suffix not in (".html", ".css", ".js", ".svg") or not path.is_file():
            return super().send_head()
        content = packed(path, self.head if path.suffix == ".html" else b"")
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        return io.BytesIO(content)

    def log_message(self, format: str, *args: object) -> None:
        del format, args


@contextmanager
def served(folder: Path = SITE, handler: type[SimpleHTTPRequestHandler] = Host) -> Iterator[str]:
    """The address at which a folder is served until the block ends."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """Where the site is served."""
    with served() as found:
        yield found


def headless() -> Iterator[Any]:
    """A Chromium. There may be one Playwright in a process at a time: each file closes its own."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=chromium.find(), args=list(chromium.FLAGS)
        )
        yield launched
        launched.close()


browser = pytest.fixture(headless, scope="module", name="browser")


@contextmanager
def opened(
    browser: Any, base: str, name: str, size: dict[str, int] = DESKTOP, **options: Any
) -> Iterator[tuple[Any, list[str]]]:
    """A page below an address, with all else cut off, and a list of what goes wrong on it.

    It is open when scripts and fonts are there; in the end the list has to be empty.
    """
    context = browser.new_context(viewport=size, **{"color_scheme": "light"} | options)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.add_init_script(SPY)
    problems: list[str] = []
    say = problems.append

    def guard(route: Any) -> None:
        if route.request.url.startswith((f"{base}/", "data:", "blob:")):
            route.continue_()
        else:
            say(f"asked for something foreign: {route.request.url}")
            route.abort()

    context.route("**/*", guard)
    page.on("console", lambda m: say(f"console: {m.text}") if m.type == "error" else None)
    page.on("pageerror", lambda error: say(f"script: {error}"))
    page.on("requestfailed", lambda request: say(f"failed: {request.url}"))
    page.on("response", lambda r: say(f"{r.status}: {r.url}") if r.status >= 400 else None)
    page.goto(f"{base}/{name}", wait_until="load")
    settle(page)
    yield page, problems
    found = list(problems)  # closing breaks off what is under way
    context.close()
    assert found == []


def settle(page: Any) -> None:
    """Wait until the text, scripts and fonts of a page are there.

    The first page of the site holds no text and leads on to the introduction; whatever runs in it
    before the browser has followed is lost. So the text is what is waited for first.
    """
    page.wait_for_selector("main", state="attached")
    page.wait_for_load_state("load")
    page.evaluate("() => document.fonts.ready.then(() => true)")


@pytest.fixture
def open_page(browser: Any, address: str) -> Iterator[OpenPage]:
    """Opens a page of the site, or of another base, afresh; what was open before is closed."""
    with ExitStack() as last:

        def open_afresh(name: str, base: str = address, **options: Any) -> Any:
            last.close()
            return last.enter_context(opened(browser, base, name, **options))[0]

        yield open_afresh


def show_theme(page: Any, theme: str) -> None:
    """Switch to the `light` or the `dark` theme, as a reader's system would, without fading."""
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    page.wait_for_function("t => document.documentElement.dataset.theme === t", arg=theme)


def move(figure: Any) -> None:
    """Come near to a figure, so that its frames are fetched, and wait for its sliders."""
    figure.scroll_into_view_if_needed()
    figure.locator("input[type=range]").first.wait_for()


def press_to_the_other_end(slider: Any) -> None:
    slider.press("Home" if slider.evaluate("e => e.value === e.max") else "End")


SPY = """window.Worker = class extends Worker {
  constructor(...given) {
    super(...given);
    this.addEventListener('message', ({data}) => {
      if (this.trains && data?.running !== undefined)
        document.documentElement.dataset.running = data.running;
    });
  }
  postMessage(...given) {
    super.postMessage(...given);
    const told = given[0]?.type;
    if (told !== 'run' && told !== 'step') return;
    this.trains = true;  // and is not the worker that counts
    document.documentElement.dataset.running = true;
  }
};"""
"""Notes on the page whether the worker of the playground that trains says that it runs."""
RUN = """part => axe.run(part, {
  resultTypes: ['violations'],
  preload: false,  // or it asks for style sheets once more, at wrong addresses
  rules: {'label-content-name-mismatch': {enabled: true}},
}).then(found => found.violations
  .filter(rule => ['serious', 'critical'].includes(rule.impact))
  .flatMap(rule => rule.nodes.map(node =>
    `${rule.id}: ${node.target} ${node.html.slice(0, 120)} ${node.any[0]?.message ?? ''}`)))"""
# What has just been unfolded fades in, and is pale until then.
AT_REST = """() => document.getAnimations().every(each =>
  each.playState !== 'running' || each.effect.getComputedTiming().endTime === Infinity)"""
TAB_STOPS = """() => [...document.querySelectorAll('pre, .cell_output > .output')].every(e =>
  e.tabIndex === 0 || (e.scrollWidth <= e.clientWidth && e.scrollHeight <= e.clientHeight))"""


def findings(page: Any, part: str = "html") -> list[str]:
    """What axe-core calls serious or critical in a part of the page."""
    # The theme lets boxes that scroll be reached by keyboard, a while after a resize.
    page.evaluate("() => void dispatchEvent(new Event('resize'))")
    page.wait_for_function(TAB_STOPS)
    page.wait_for_function(AT_REST)
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8"))
    found: list[str] = page.evaluate(RUN, part)
    return found


Script = Callable[..., Any]
TALK = """
  const worker = new Worker("/playground/worker.js", { type: "module" });
  const heard = [];
  const waiting = [];
  worker.onmessage = ({ data }) => {
    heard.push(data);
    for (const look of waiting.splice(0)) look();
  };
  const say = (message) => worker.postMessage(message);
  const hear = async (wanted, from = 0) => {
    for (;;) {
      const found = heard.slice(from).find(wanted);
      if (found) return found;
      await new Promise((look) => waiting.push(look));
    }
  };
  const steps = async (config, count) => {
    const from = heard.length;
    say({ type: "configure", config });
    say({ type: "step", count });
    return hear(({ step, running }) => step === count && !running, from);
  };
  const { DEFAULTS } = await import("/playground/settings.js");
"""
"""Begins a script that talks with a worker: what it has said so far, and ways to wait for more."""
EMPTY = '<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>Empty</title></html>'


@contextmanager
def playground_script(browser: Any) -> Iterator[Script]:
    """Runs the body of an asynchronous function of ``given`` on an empty page with the playground's
    modules; gives what it returns. In the end nothing may have been complained about.

    For the tests of the engine and for ``make bench``: nothing needs to be built for it.
    """
    problems: list[str] = []
    with served(ROOT / "book" / "_static") as address:
        page = browser.new_page()
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.route(f"{address}/", lambda r: r.fulfill(body=EMPTY, content_type="text/html"))
        page.goto(f"{address}/")

        def run(body: str, given: object = None) -> Any:
            bounded = f"""(given) => Promise.race([
              (async () => {{ {body} }})(),
              new Promise((_, no) => setTimeout(() => no(new Error("no answer")), {PATIENCE})),
            ])"""
            return page.evaluate(bounded, given)

        yield run
        page.close()
    assert problems == []


@pytest.fixture(scope="module")
def script(browser: Any) -> Iterator[Script]:
    """As ``playground_script``, for the tests of one file."""
    with playground_script(browser) as run:
        yield run

"""The core of the site in each browser engine that is there: Chromium, Firefox, WebKitGTK.

Chromium is driven by Playwright, Firefox by its own Marionette, WebKitGTK by its WebDriver under
a virtual display. One that is missing is skipped, and named.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from site_browser import CHAPTERS, CHROMIUM, PAGES, Host, needs_site, served

import chromium

pytestmark = [
    needs_site,
    pytest.mark.browser,
    # Of Selenium's own, which we cannot mend.
    pytest.mark.filterwarnings("ignore:setting remote_server_addr:DeprecationWarning"),
]

KEYS = {"Home": "\ue011", "End": "\ue010", "Enter": "\ue007"}
WATCH = b"""<head><script>
addEventListener("error", e => {
  document.documentElement.dataset.problems =
    (document.documentElement.dataset.problems || "") + (e.message || e.target.outerHTML) + "; ";
}, true);
addEventListener("unhandledrejection", e => {
  document.documentElement.dataset.problems = String(e.reason);
});
</script>"""
PATIENCE = 60
"""Seconds until what has not come is taken to be missing."""


class Watched(Host):
    """The site, with a script at the head of each page that notes what goes wrong."""

    def do_GET(self) -> None:  # noqa: N802
        path = Path(self.translate_path(self.path))
        if path.suffix != ".html" or not path.is_file():
            return super().do_GET()
        content = path.read_bytes().replace(b"<head>", WATCH, 1)
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        return None


class Engine:
    """A browser, whatever drives it.

    Attributes:
        go: open an address and wait until it is loaded.
        run: the body of a function in the page -> what it returns.
        keys: send keys to the first element that a selector finds.
    """

    def __init__(
        self, go: Callable[[str], Any], run: Callable[[str], Any], keys: Callable[[str, str], Any]
    ) -> None:
        self.go, self.run, self.keys = go, run, keys

    def until(self, condition: str) -> Any:
        """What an expression in the page says once it is true."""
        end = time.monotonic() + PATIENCE
        while not (found := self.run(f"return {condition}")):
            assert time.monotonic() < end, f"never true: {condition}"
            time.sleep(0.1)
        return found


def in_chromium(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Chromium."""
    if CHROMIUM is None:
        pytest.skip(chromium.ABSENT)
    page = request.getfixturevalue("browser").new_page()  # Playwright starts once in a process
    yield Engine(
        page.goto,
        lambda script: page.evaluate(f"() => {{ {script} }}"),
        lambda selector, key: page.locator(selector).first.press(key),
    )
    page.close()


def in_firefox(_: pytest.FixtureRequest) -> Iterator[Engine]:
    """Firefox."""
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    if program is None:
        pytest.skip("no firefox-esr or firefox on PATH")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        # A free port, which Firefox writes into its profile.
        (Path(profile) / "user.js").write_text('user_pref("marionette.port", 0);\n')
        command = [program, "--marionette", "--headless", "--no-remote", "--profile", profile]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
            try:
                client = Marionette(Path(profile) / "MarionetteActivePort")
                client.ask("NewSession")
                client.ask("SetTimeouts", pageLoad=4000 * PATIENCE)
                yield Engine(client.go, client.run, client.keys)
                client.close()
            finally:
                run.terminate()


class Marionette:
    """Firefox's own remote control: JSON over a socket, each message after its length.

    Args:
        port: file in which Firefox says where it listens, once it does.
    """

    def __init__(self, port: Path) -> None:
        end = time.monotonic() + 4 * PATIENCE
        while not (port.exists() and port.read_text()):
            assert time.monotonic() < end, "Firefox did not start"
            time.sleep(0.1)
        self.socket = socket.create_connection(("127.0.0.1", int(port.read_text())))
        self.file = self.socket.makefile("rb")
        self.receive()  # it says hello

    def receive(self) -> Any:
        length = b""
        while (digit := self.file.read(1)) != b":":
            length += digit
        return json.loads(self.file.read(int(length)))

    def ask(self, command: str, **values: Any) -> Any:
        """What a command of WebDriver answers."""
        text = json.dumps([0, 0, f"WebDriver:{command}", values])
        self.socket.sendall(f"{len(text.encode())}:{text}".encode())
        _, _, error, found = self.receive()
        assert error is None, error
        return found["value"] if isinstance(found, dict) and "value" in found else found

    def go(self, address: str) -> None:
        self.ask("Navigate", url=address)

    def run(self, script: str) -> Any:
        return self.ask("ExecuteScript", script=script, args=[])

    def keys(self, selector: str, key: str) -> None:
        (element,) = self.ask("FindElement", using="css selector", value=selector).values()
        self.ask("ElementSendKeys", id=element, text=KEYS[key])

    def close(self) -> None:
        self.file.close()
        self.socket.close()


def in_webkit(_: pytest.FixtureRequest) -> Iterator[Engine]:
    """WebKitGTK."""
    program = shutil.which("WebKitWebDriver")
    browsers = sorted(Path("/usr/lib").glob("*/webkit2gtk-*/MiniBrowser"))
    if program is None or not browsers or not shutil.which("Xvfb"):
        pytest.skip("no WebKitWebDriver and MiniBrowser (webkit2gtk-driver), or no Xvfb")
    from pyvirtualdisplay.display import Display
    from selenium import webdriver
    from selenium.webdriver.common.by import By
    from selenium.webdriver.webkitgtk.service import Service

    options = webdriver.WebKitGTKOptions()
    options.binary_location = str(browsers[-1])
    options.add_argument("--automation")
    with Display(visible=False, size=(1280, 900)):
        driver = webdriver.WebKitGTK(options=options, service=Service(program))
        yield Engine(
            driver.get,
            driver.execute_script,
            lambda selector, key: driver.find_element(By.CSS_SELECTOR, selector).send_keys(
                KEYS[key]
            ),
        )
        driver.quit()


@pytest.fixture(scope="module")
def watched() -> Iterator[str]:
    """Where the watched site is served."""
    with served(Watched) as found:
        yield found


@pytest.fixture(
    scope="module", params=[in_chromium, in_firefox, in_webkit], ids=lambda made: made.__doc__[:-1]
)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    yield from request.param(request)


@pytest.fixture(autouse=True)
def nothing_goes_wrong(engine: Engine, watched: str) -> Iterator[None]:
    """No test may leave an error on its page, or a request to another host."""
    yield
    problems_of(engine, watched)


def problems_of(engine: Engine, watched: str) -> None:
    assert engine.run("return document.documentElement.dataset.problems || ''") == ""
    asked = engine.run("return performance.getEntriesByType('resource').map(e => e.name)")
    assert [name for name in asked if not name.startswith((watched, "data:", "blob:"))] == []


def test_each_page_loads_without_error_or_foreign_request(engine: Engine, watched: str) -> None:
    for name in PAGES:
        engine.go(f"{watched}/{name}.html")
        engine.until("document.readyState === 'complete'")
        assert engine.run("return document.querySelectorAll('article h1').length") == 1, name
        problems_of(engine, watched)


def test_a_slider_moves_by_key(engine: Engine, watched: str) -> None:
    engine.go(f"{watched}/{CHAPTERS[1]}.html")
    engine.run(
        "document.querySelector('figure.lessons-explore')"
        ".scrollIntoView({block: 'center', behavior: 'instant'})"
    )
    engine.until("document.querySelector('.lessons-explore input')")
    state = (
        "const f = document.querySelector('.lessons-explore');"
        "return [f.innerText, f.querySelector('img').src]"
    )
    engine.keys(".lessons-explore input", "Home")
    first = engine.run(state)
    engine.keys(".lessons-explore input", "End")
    last = engine.run(state)
    assert first[0] != last[0]
    assert first[1] != last[1]
    engine.until("document.querySelector('.lessons-explore img').naturalWidth > 100")


def test_a_formula_is_set(engine: Engine, watched: str) -> None:
    engine.go(f"{watched}/{CHAPTERS[0]}.html")
    engine.until("[...document.fonts].some(f => /Course/.test(f.family) && f.status === 'loaded')")
    over, under, whole, letter = engine.run(
        "const f = document.querySelector('div.math mfrac'), box = e => e.getBoundingClientRect();"
        "return [box(f.children[0]).bottom, box(f.children[1]).top, box(f).height,"
        " parseFloat(getComputedStyle(f).fontSize)]"
    )
    assert over <= under + 1, "the one above the other"
    assert whole > 1.5 * letter


def test_the_playground_trains_counts_and_stops(engine: Engine, watched: str) -> None:
    engine.go(f"{watched}/book/playground.html#v=20&l=16&h=8")
    engine.until("document.querySelector(\"#playground-app[data-step='0']\")")
    click = "document.querySelector('{}').click()"
    step = "Number(document.querySelector('#playground-app').dataset.step)"
    engine.run(click.format(".pg-run"))
    engine.until(f"{step} > 3")
    engine.run(click.format(".pg-run"))
    engine.until("/^Paused/.test(document.querySelector('[role=status]').textContent)")
    time.sleep(0.5)  # what was under way
    stopped = engine.run(f"return {step}")
    engine.run(click.format(".pg-count"))
    engine.until("/Stop/.test(document.querySelector('.pg-count').innerText)")
    engine.run(click.format(".pg-count"))
    engine.until("/Count/.test(document.querySelector('.pg-count').innerText)")
    assert engine.run(f"return {step}") == stopped


@pytest.mark.parametrize(
    ("typed", "page"),
    [("permutation", "06_hard_distribution"), ("permutaton", "06_hard_distribution")],
    ids=["right", "with a typo"],
)
def test_search_answers_with_sections(engine: Engine, watched: str, typed: str, page: str) -> None:
    engine.go(f"{watched}/search.html?q={typed}")
    links = "[...document.querySelectorAll('#search-results li a')].map(e => e.href)"
    engine.until(f"{links}.length")
    found = engine.run(f"return {links}")
    assert any(page in link for link in found)
    assert any("#" in link for link in found)
    quotes = engine.run(
        "return [...document.querySelectorAll('#search-results .context')].map(e => e.innerText)"
    )
    assert any("permutation" in quote.lower() for quote in quotes)
    assert json.dumps(quotes).count("import ") == 0, "no code"

"""The core of the site in each other browser engine that is there: Firefox, WebKitGTK.

Firefox is driven by its own Marionette, WebKitGTK by its WebDriver under a virtual display. One
that is missing is skipped, and named. What Chromium makes of the site: the other ``test_site*.py``.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from site_browser import CHAPTERS, PAGES, SPY, Host, needs_site, served, wait

pytestmark = [
    needs_site,
    pytest.mark.browser,
    # Of Selenium's own, which we cannot mend.
    pytest.mark.filterwarnings("ignore:setting remote_server_addr:DeprecationWarning"),
]

KEYS = {"Home": "\ue011", "End": "\ue010"}
WATCH = f"""<script>{SPY}
addEventListener("error", e => {{
  document.documentElement.dataset.problems =
    (document.documentElement.dataset.problems || "") + (e.message || e.target.outerHTML) + "; ";
}}, true);
addEventListener("unhandledrejection", e => {{
  document.documentElement.dataset.problems = String(e.reason);
}});
</script>"""
PATIENCE = 60
"""Seconds until what has not come is taken to be missing."""


class Watched(Host):
    """The site, with a script at the head of each page that notes what goes wrong."""

    head = WATCH.encode()


class Engine(NamedTuple):
    """A browser, whatever drives it: go to an address, run the body of a function, press a key."""

    go: Callable[[str], Any]
    run: Callable[[str], Any]
    keys: Callable[[str, str], Any]

    def until(self, condition: str) -> None:
        """Wait until an expression in the page is true."""
        wait(lambda: self.run(f"return {condition}"), condition)


def in_firefox() -> Iterator[Engine]:
    """Firefox."""
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    if program is None:
        pytest.skip("no firefox-esr or firefox on PATH")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        # A free port, which Firefox writes into its profile; and no guess at the page that will
        # be read next (`rel="next"`): given up when the test goes on, it would count as an error.
        (Path(profile) / "user.js").write_text(
            'user_pref("marionette.port", 0);\nuser_pref("network.prefetch-next", false);\n'
        )
        port = Path(profile) / "MarionetteActivePort"
        command = [program, "--marionette", "--headless", "--no-remote", "--profile", profile]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
            try:
                wait(lambda: port.exists() and port.read_text(), "Firefox listens", 4 * PATIENCE)
                with socket.create_connection(("127.0.0.1", int(port.read_text()))) as line:
                    yield driven_by_marionette(line)
            finally:
                run.terminate()


def driven_by_marionette(line: socket.socket) -> Engine:
    """Firefox's own remote control: JSON over a socket, each message after its length."""

    def read(count: int) -> bytes:
        # Not by a file of the socket: that would keep it open when it is closed.
        found = b""
        while len(found) < count:
            part = line.recv(count - len(found))
            assert part, "Firefox has ended"
            found += part
        return found

    def receive() -> Any:
        length = b""
        while (digit := read(1)) != b":":
            length += digit
        return json.loads(read(int(length)))

    def ask(command: str, **values: Any) -> Any:
        """What a command of WebDriver answers."""
        text = json.dumps([0, 0, f"WebDriver:{command}", values])
        line.sendall(f"{len(text.encode())}:{text}".encode())
        _, _, error, found = receive()
        assert error is None, error
        return found["value"] if isinstance(found, dict) and "value" in found else found

    def keys(selector: str, key: str) -> None:
        (element,) = ask("FindElement", using="css selector", value=selector).values()
        ask("ElementSendKeys", id=element, text=KEYS[key])

    receive()  # it says hello
    ask("NewSession")
    ask("SetTimeouts", pageLoad=4000 * PATIENCE)
    return Engine(
        lambda url: ask("Navigate", url=url),
        lambda script: ask("ExecuteScript", script=script, args=[]),
        keys,
    )


def in_webkit() -> Iterator[Engine]:
    """WebKitGTK."""
    program = shutil.which("WebKitWebDriver")
    browsers = sorted(Path("/usr/lib").glob("*/webkit2gtk-*/MiniBrowser"))
    if program is None or not browsers or not shutil.which("Xvfb"):
        pytest.skip("no WebKitWebDriver and MiniBrowser (webkit2gtk-driver), or no Xvfb")
    from pyvirtualdisplay.display import Display
    from selenium import webdriver
    from selenium.webdriver.webkitgtk.service import Service

    options = webdriver.WebKitGTKOptions()
    options.binary_location = str(browsers[-1])
    options.add_argument("--automation")
    with Display(visible=False, size=(1280, 900)):
        driver = webdriver.WebKitGTK(options=options, service=Service(program))
        yield Engine(
            driver.get,
            driver.execute_script,
            lambda selector, key: driver.find_element("css selector", selector).send_keys(
                KEYS[key]
            ),
        )
        driver.quit()


@pytest.fixture(scope="module")
def watched() -> Iterator[str]:
    """Where the watched site is served."""
    with served(handler=Watched) as found:
        yield found


@pytest.fixture(scope="module", params=[in_firefox, in_webkit], ids=["Firefox", "WebKitGTK"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    yield from request.param()


@pytest.fixture
def go(engine: Engine, watched: str) -> Iterator[Callable[[str], None]]:
    """Opens a page; none may have an error in the end, or a request to another host."""

    def check() -> None:
        assert engine.run("return document.documentElement.dataset.problems || ''") == ""
        asked = engine.run("return performance.getEntriesByType('resource').map(e => e.name)")
        assert [name for name in asked if not name.startswith((watched, "data:", "blob:"))] == []

    def open_it(name: str) -> None:
        check()
        engine.go(f"{watched}/{name}")

    engine.go("about:blank")
    yield open_it
    check()


Go = Callable[[str], None]


def test_each_page_loads_without_error_or_foreign_request(engine: Engine, go: Go) -> None:
    for name in PAGES:
        go(f"{name}.html")
        engine.until("document.readyState === 'complete'")
        assert engine.run("return document.querySelectorAll('article h1').length") == 1, name


def test_a_slider_moves_by_key(engine: Engine, go: Go) -> None:
    go(f"{CHAPTERS[1]}.html")
    figure = "document.querySelector('.lessons-explore')"
    engine.run(f"{figure}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
    engine.until(f"{figure}.querySelector('input')")
    seen = []
    for key in ("Home", "End"):
        engine.keys(".lessons-explore input", key)
        seen.append(engine.run(f"return [{figure}.innerText, {figure}.querySelector('img').src]"))
    (words, frame), (other_words, other_frame) = seen
    assert words != other_words
    assert frame != other_frame
    engine.until(f"{figure}.querySelector('img').naturalWidth > 100")


def test_a_formula_is_set(engine: Engine, go: Go) -> None:
    go(f"{CHAPTERS[0]}.html")
    engine.until("[...document.fonts].some(f => /Course/.test(f.family) && f.status === 'loaded')")
    over, under, whole, letter = engine.run(
        "const f = document.querySelector('div.math mfrac'), box = e => e.getBoundingClientRect();"
        "return [box(f.children[0]).bottom, box(f.children[1]).top, box(f).height,"
        " parseFloat(getComputedStyle(f).fontSize)]"
    )
    assert over <= under + 1, "the one above the other"
    assert whole > 1.5 * letter


def test_the_playground_trains_counts_and_stops(engine: Engine, go: Go) -> None:
    go("book/playground.html#v=20&l=16&h=8")
    engine.until("document.querySelector(\"#playground-app[data-step='0']\")")
    click = "document.querySelector('{}').click()"
    step = "Number(document.querySelector('#playground-app').dataset.step)"
    engine.run(click.format(".pg-run"))
    engine.until(f"{step} > 3")
    engine.run(click.format(".pg-run"))
    engine.until("document.documentElement.dataset.running === 'false'")
    stopped = engine.run(f"return {step}")
    for told in ("Stop", "Count"):
        engine.run(click.format(".pg-count"))
        engine.until(f"document.querySelector('.pg-count').innerText.includes('{told}')")
    assert engine.run(f"return {step}") == stopped

"""An empty page in Chromium on which the playground's modules can be loaded.

For the tests of the engine and for ``make bench``; nothing needs to be built for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import chromium

STATIC = Path(__file__).resolve().parent.parent / "book" / "_static"
CHROMIUM = chromium.find()
NO_CHROMIUM = chromium.ABSENT
FLAGS = chromium.FLAGS
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


class Quiet(SimpleHTTPRequestHandler):
    """Writes no line for each request."""

    def log_message(self, format: str, *args: object) -> None:
        """Write nothing."""


@contextmanager
def playground_page() -> Iterator[Any]:
    """The page, as Playwright has it; ``import("/playground/model.js")`` works on it.

    It needs ``CHROMIUM`` and the package ``playwright``.
    """
    from playwright.sync_api import sync_playwright

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(STATIC)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
            page = browser.new_page()
            page.route(address, lambda route: route.fulfill(body=EMPTY, content_type="text/html"))
            page.goto(address)
            yield page
            browser.close()
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def playground_script() -> Iterator[Script]:
    """Runs the body of an asynchronous function of ``given`` on the page; gives what it returns.

    In the end nothing may have been complained about on the console.
    """
    problems: list[str] = []
    with playground_page() as page:
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))

        def run(body: str, given: object = None) -> Any:
            bounded = f"""(given) => Promise.race([
              (async () => {{ {body} }})(),
              new Promise((_, no) => setTimeout(() => no(new Error("no answer")), 60000)),
            ])"""
            return page.evaluate(bounded, given)

        yield run
    assert problems == []

"""An empty page in Chromium on which the playground's modules can be loaded.

For the tests of the engine and for ``make bench``; nothing needs to be built for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler
from typing import Any

from site_browser import ROOT, served

import chromium

CHROMIUM, NO_CHROMIUM = chromium.find(), chromium.ABSENT
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
def playground_script() -> Iterator[Script]:
    """Runs the body of an asynchronous function of ``given`` on the page; gives what it returns.

    In the end nothing may have been complained about on the console.
    """
    from playwright.sync_api import sync_playwright

    problems: list[str] = []
    with served(Quiet, ROOT / "book" / "_static") as address, sync_playwright() as playwright:
        launch = playwright.chromium.launch
        browser = launch(executable_path=CHROMIUM, args=list(chromium.FLAGS))
        page = browser.new_page()
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.route(f"{address}/", lambda r: r.fulfill(body=EMPTY, content_type="text/html"))
        page.goto(f"{address}/")

        def run(body: str, given: object = None) -> Any:
            bounded = f"""(given) => Promise.race([
              (async () => {{ {body} }})(),
              new Promise((_, no) => setTimeout(() => no(new Error("no answer")), 60000)),
            ])"""
            return page.evaluate(bounded, given)

        yield run
        browser.close()
    assert problems == []

"""An empty page in Chromium on which the playground's modules can be loaded.

For the tests of the engine and for ``make bench``; nothing needs to be built for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from site_browser import PATIENCE, ROOT, headless, served

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
def playground_script() -> Iterator[Script]:
    """Runs the body of an asynchronous function of ``given`` on the page; gives what it returns.

    In the end nothing may have been complained about on the console.
    """
    problems: list[str] = []
    with served(ROOT / "book" / "_static") as address, contextmanager(headless)() as browser:
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
    assert problems == []


@pytest.fixture(scope="module")
def script() -> Iterator[Script]:
    """As ``playground_script``, for the tests of one file."""
    with playground_script() as run:
        yield run

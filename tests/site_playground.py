"""What the tests of the playground share: a fixture that opens it, and what it says of itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from site_browser import Visit, open_alone

PAGE = "book/playground.html"
APP = "#playground-app"
VIEWS = ("attention", "table", "curves", "plane", "choice", "example")
SOON = 20_000
OpenAt = Callable[..., Visit]

PICTURE = "id => document.querySelector(`[data-view=${id}] canvas`).toDataURL()"


@pytest.fixture
def at(browser: Any, address: str) -> Iterator[OpenAt]:
    """Opens the playground, with a fragment and with options; no problem may be left at the end."""
    visits: list[Visit] = []

    def opened(fragment: str = "", **viewport: int) -> Visit:
        visited = open_alone(browser, f"{address}/{PAGE}{fragment}", f"{address}/")
        visits.append(visited)
        if viewport:
            visited.page.set_viewport_size(viewport)
        visited.page.wait_for_selector(f"{APP}[data-step='0']", timeout=SOON)
        return visited

    yield opened
    problems = [problem for visited in visits for problem in visited.problems]
    for visited in visits:
        visited.page.context.close()
    assert problems == []


def step(page: Any) -> int:
    return int(page.get_attribute(APP, "data-step"))


def reaches(page: Any, steps: int) -> None:
    page.wait_for_function(
        f"n => document.querySelector('{APP}').dataset.step >= n", arg=steps, timeout=SOON
    )


def follow(page: Any, fragment: str) -> None:
    """Follow a link within the page; returns when the page has been told of it."""
    page.evaluate(
        """fragment => new Promise(done => {
          if (location.hash === fragment) return done();
          addEventListener('hashchange', () => setTimeout(done), {once: true});
          location.hash = fragment;
        })""",
        fragment,
    )


def settings(page: Any) -> dict[str, str]:
    """What the form shows."""
    found: dict[str, str] = page.evaluate(
        "() => Object.fromEntries([...document.querySelectorAll('.pg-field :is(input, select)')]"
        ".map(e => [e.id.slice(3), e.value]))"
    )
    return found

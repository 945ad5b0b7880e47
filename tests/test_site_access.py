"""The built site for everyone: axe-core on each page, in both themes, desktop and phone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from site_browser import (
    CHAPTERS,
    DESKTOP,
    PHONE,
    SETTLED,
    OpenPage,
    each_page,
    findings,
    in_browser,
    needs_site,
    open_alone,
    show_theme,
    unfold,
)

pytestmark = [needs_site, *in_browser]

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


@each_page
class TestEachPage:
    def test_on_a_desktop_in_the_light_theme(self, visit: OpenPage, page_name: str) -> None:
        page = visit(f"{page_name}.html").page
        page.set_viewport_size(DESKTOP)
        show_theme(page, "light")
        page.evaluate(THINNED)
        assert findings(page) == []

    def test_on_a_phone_in_the_dark_theme_unfolded(self, visit: OpenPage, page_name: str) -> None:
        page = visit(f"{page_name}.html").page
        page.set_viewport_size(PHONE)
        show_theme(page, "dark")
        page.evaluate(THINNED)
        unfold(page)
        assert findings(page) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_search_results_can_be_read(visit: OpenPage, theme: str) -> None:
    page = visit("search.html?q=attention").page
    page.wait_for_selector("#search-results li a", timeout=20_000)
    show_theme(page, theme)
    assert findings(page) == []


def scroll_down_and_up(page: Any) -> None:
    for place in (3000, 2400):
        page.evaluate("top => scrollTo({top, behavior: 'instant'})", place)
        page.evaluate(SETTLED)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("part", "opened"),
    [
        ("#pst-primary-sidebar-modal", lambda page: page.click("button.primary-toggle:visible")),
        ("#pst-secondary-sidebar-modal", lambda page: page.click("button.secondary-toggle")),
        ("#pst-search-dialog", lambda page: page.keyboard.press("Control+k")),
        (".term-tip", lambda page: page.locator(".term > a:visible").first.focus()),
        ("#pst-back-to-top", scroll_down_and_up),
    ],
    ids=["side bar", "contents", "search", "meaning of a term", "back to the top"],
)
def test_what_opens_on_a_phone_can_be_read(
    browser: Any, address: str, part: str, opened: Callable[[Any], None], theme: str
) -> None:
    visited = open_alone(browser, f"{address}/{CHAPTERS[0]}.html", f"{address}/")
    page = visited.page
    page.set_viewport_size(PHONE)
    show_theme(page, theme)
    assert page.locator(part).filter(visible=True).count() == 0
    opened(page)
    page.locator(part).filter(visible=True).first.wait_for()
    assert findings(page, part) == []
    page.context.close()


@pytest.mark.parametrize(
    ("flaw", "rule"),
    [
        ("<p style='color:#999;background:#fff'>pale</p>", "color-contrast"),
        ("<button aria-label='Go'>Send it</button>", "label-content-name-mismatch"),
        ("<input>", "label"),
    ],
)
def test_a_flaw_is_found(visit: OpenPage, flaw: str, rule: str) -> None:
    page = visit("book/colab.html").page
    show_theme(page, "light")
    page.evaluate(
        """html => {
      const box = document.createElement('div');
      box.id = 'flaw';
      box.innerHTML = html;
      document.querySelector('article').append(box);
    }""",
        flaw,
    )
    found = findings(page)
    page.evaluate("() => document.getElementById('flaw').remove()")
    assert [each.partition(":")[0] for each in found] == [rule]

"""A Sphinx extension for the foot of each page: when it was changed, how to mend it.

The day is that of the last commit of the page, which staging has written to
``dates.json``; where it is not known, that of the build. The addresses come from
``[tool.course]``.
"""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import course_settings

BRANCH = "main"


def read_dates(source: str | Path) -> dict[str, str]:
    """Path of a page below the sources -> ISO date; empty where nothing is known."""
    path = Path(source) / "dates.json"
    found: dict[str, str] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return found


def edit_address(settings: course_settings.Settings, path: str) -> str:
    """Where GitHub lets one change a file, and offers it as a pull request."""
    return f"{settings.repository}/edit/{BRANCH}/{quote(path)}"


def feedback_address(settings: course_settings.Settings, page: str, title: str) -> str:
    """Where one can write an issue that names the page already."""
    body = f"Page: {settings.site}/{page}.html\nVersion: {settings.version}\n\n"
    body += "What is wrong, missing or unclear:\n"
    query = urlencode({"title": f"{title}: ", "body": body}, quote_via=quote)
    return f"{settings.repository}/issues/new?{query}"


def links(settings: course_settings.Settings, page: str, title: str, path: str) -> str:
    """The links at the foot of a page, as HTML.

    Args:
        settings: of the course.
        page: its name, as in ``book/glossary``.
        title: of the page.
        path: of its source below the repository; empty where it has none.
    """
    offered = {"Report a mistake or ask": feedback_address(settings, page, title)}
    if path:
        offered = {"Edit this page": edit_address(settings, path)} | offered
    items = (f'<a href="{html.escape(to)}">{name}</a>' for name, to in offered.items())
    return f'<p class="page-links">{" · ".join(items)}<!-- offered --></p>'


def add_to_page(
    app: Any, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Hand day and links to the theme."""
    del templatename
    settings = course_settings.read(app.srcdir)
    path = title = ""
    if doctree is not None:
        path = app.env.doc2path(pagename, base=False)
        title = app.env.titles[pagename].astext()
    if day := read_dates(app.srcdir).get(path):
        context["last_updated"] = day
    title = title or str(context.get("title", pagename))
    context["theme_extra_footer"] = links(settings, pagename, title, path)


def outdated(
    app: Any, env: Any, added: set[str], changed: set[str], removed: set[str]
) -> list[str]:
    """Pages whose day has changed, although their text has not."""
    del added, changed, removed
    now = read_dates(app.srcdir)
    before, env.course_page_dates = getattr(env, "course_page_dates", {}), now
    paths = {page: env.doc2path(page, base=False) for page in env.found_docs}
    return sorted(page for page, path in paths.items() if before.get(path) != now.get(path))


def setup(app: Any) -> dict[str, bool]:
    """Register the handlers."""
    app.connect("env-get-outdated", outdated)
    app.connect("html-page-context", add_to_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""A Sphinx extension for how a page looks where somebody shares its address.

Title, first paragraph and picture of the page, in the tags that search engines,
messengers and social networks read. Picture and page need absolute addresses, from
``[tool.course]``.
"""

from __future__ import annotations

import html
import re
import textwrap
from typing import Any

import course_settings
from docutils import nodes

IMAGE, WIDTH, HEIGHT = "_static/preview.png", 1200, 630
ALT = "How Attention Learns: an attention map on which a diagonal emerges"
LONGEST = 200
SHORTEST = 40


def shortened(text: str) -> str:
    """A text in one line, cut at a word where it is too long."""
    return re.sub(r"[,;:.]…$", "…", textwrap.shorten(text, LONGEST, placeholder="…"))


def description(doctree: nodes.document) -> str:
    """The first paragraph of a page that says something, not in a note or in a fold.

    Equations would be read as their source: a paragraph that has one is passed over.
    """
    for paragraph in doctree.findall(nodes.paragraph):
        plain = not any(paragraph.findall(nodes.math)) and not any(
            paragraph.findall(nodes.image)
        )
        inside = isinstance(paragraph.parent, nodes.section)
        if plain and inside and len(text := paragraph.astext()) >= SHORTEST:
            return shortened(text)
    return ""


def tags(
    settings: course_settings.Settings, page: str, title: str, book: str, words: str
) -> str:
    """The tags of a page.

    Args:
        settings: of the course.
        page: its name, as in ``book/glossary``.
        title: of the page.
        book: title of the book.
        words: description of the page; may be empty.
    """
    words = words or book
    found = {
        "description": words,
        "twitter:card": "summary_large_image",  # it takes the rest from og:
        "og:type": "article",
        "og:site_name": book,
        "og:locale": "en_GB",
        "og:title": title,
        "og:description": words,
        "og:url": f"{settings.site}/{page}.html",
        "og:image": f"{settings.site}/{IMAGE}",
        "og:image:type": "image/png",
        "og:image:alt": ALT,
        "og:image:width": WIDTH,
        "og:image:height": HEIGHT,
    }
    return "\n".join(
        f'<meta {"property" if name.startswith("og:") else "name"}="{name}" '
        f'content="{html.escape(str(content))}" />'
        for name, content in found.items()
    )


def add_to_page(
    app: Any, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Add the tags to the head of a page that has a source."""
    del templatename
    if doctree is None:
        return
    new = tags(
        course_settings.read(app.srcdir),
        pagename,
        app.env.titles[pagename].astext(),
        app.config.html_title,
        description(doctree),
    )
    context["metatags"] = f"{context.get('metatags', '')}\n{new}\n"


def setup(app: Any) -> dict[str, bool]:
    """Register the handler."""
    app.connect("html-page-context", add_to_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

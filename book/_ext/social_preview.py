"""A Sphinx extension for how a page looks where somebody shares its address.

Title, first paragraph and picture of the page, in the tags that search engines,
messengers and social networks read. Picture and page need absolute addresses, from
``[tool.course]``.
"""

from __future__ import annotations

import html
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
    return textwrap.shorten(text, LONGEST, placeholder="…").replace(",…", "…")


def description(doctree: nodes.document) -> str:
    """The first paragraph of a page that says something, not in a note or in a fold.

    Equations would be read as their source: a paragraph that has one is passed over.
    """
    for paragraph in doctree.findall(nodes.paragraph):
        special = any(paragraph.findall(nodes.math)) or any(
            paragraph.findall(nodes.image)
        )
        inside = isinstance(paragraph.parent, nodes.section)
        if inside and not special and len(text := paragraph.astext()) >= SHORTEST:
            return shortened(text)
    return ""


def add_to_page(
    app: Any, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Add the tags to the head of a page that has a source."""
    del templatename
    if doctree is None:
        return
    site = course_settings.read(app.srcdir).site
    words = description(doctree) or app.config.html_title
    found = {
        "description": words,
        "twitter:card": "summary_large_image",  # it takes the rest from og:
        "og:type": "article",
        "og:site_name": app.config.html_title,
        "og:locale": "en_GB",
        "og:title": app.env.titles[pagename].astext(),
        "og:description": words,
        "og:url": f"{site}/{pagename}.html",
        "og:image": f"{site}/{IMAGE}",
        "og:image:type": "image/png",
        "og:image:alt": ALT,
        "og:image:width": WIDTH,
        "og:image:height": HEIGHT,
    }
    tags = [
        f'<meta {"property" if name.startswith("og:") else "name"}="{name}" '
        f'content="{html.escape(str(content))}" />'
        for name, content in found.items()
    ]
    context["metatags"] = "\n".join([context.get("metatags", ""), *tags, ""])


def setup(app: Any) -> dict[str, bool]:
    """Register the handler."""
    app.connect("html-page-context", add_to_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

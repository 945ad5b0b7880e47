"""A Sphinx extension for how a page looks where somebody shares its address.

Title, first paragraph and picture of the page, in the tags that search engines,
messengers and social networks read. Picture and page need absolute addresses, from
``[tool.course]``.
"""

from __future__ import annotations

import html
import re
import textwrap
from pathlib import Path
from typing import Any

from docutils import nodes

import course_settings

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
        plain = not any(paragraph.findall(nodes.math)) and not any(paragraph.findall(nodes.image))
        inside = isinstance(paragraph.parent, nodes.section)
        if plain and inside and len(text := paragraph.astext()) >= SHORTEST:
            return shortened(text)
    return ""


def tags(settings: course_settings.Settings, page: str, title: str, book: str, words: str) -> str:
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


ROOT = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" content="light dark">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
{head}
</head><body><main>{body}</main></body></html>
"""


def add_root(app: Any, error: Exception | None) -> None:
    """The page at the address of the site, which leads on, and that for a wrong address."""
    if error is not None or app.builder.format != "html":
        return
    settings, first = course_settings.read(app.srcdir), app.config.root_doc
    book, title = app.config.html_title, app.env.titles[first].astext()
    words = description(app.env.get_doctree(first))
    link = f'<a href="{first}.html">{html.escape(title)}</a>'
    head = f'<link rel="canonical" href="{settings.site}/{first}.html">\n'
    head += f'<meta http-equiv="refresh" content="0; url={first}.html">\n'
    head += tags(settings, first, title, book, words)
    top = Path(app.outdir)
    page = ROOT.format(title=html.escape(book), head=head, body=f"<p>{link}</p>")
    if first != "index":
        (top / "index.html").write_text(page, encoding="utf-8")
    lost = f"""<h1>There is no page at this address</h1>
<p>Pages are sometimes renamed. The <a href="{settings.site}/{first}.html">first page</a> lists
them all, and the <a href="{settings.site}/search.html">search</a> finds words.</p>"""
    head = "<style>body{font:1.1rem/1.6 sans-serif;margin:12vh auto;max-width:34rem}</style>"
    page = ROOT.format(title=f"No such page: {html.escape(book)}", head=head, body=lost)
    (top / "404.html").write_text(page, encoding="utf-8")


def add_address(app: Any, config: Any) -> None:
    """Every page names its own address."""
    config.html_baseurl = f"{course_settings.read(app.srcdir).site}/"


def setup(app: Any) -> dict[str, bool]:
    """Register the handlers."""
    app.connect("config-inited", add_address)
    app.connect("html-page-context", add_to_page)
    app.connect("build-finished", add_root, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""A Sphinx extension that shows what a term means where it is used.

A ``{term}`` reference stays a link to the glossary. Beside it stands the first sentence
of the entry, which the style sheet shows on hover and on keyboard focus, and which
screen readers announce as the description of the link. ``tooltips.js`` only adds that
Escape closes it.
"""

from __future__ import annotations

import html
import itertools
import re
from typing import Any

from docutils import nodes

import formulas

# A full stop, then a new sentence. "e.g. the" goes on: what follows is not a capital.
SENTENCE_END = re.compile(r"[.!?](?=\s+[A-Z$])|[.!?]$")

MARKS = {
    nodes.emphasis: ("<em>", "</em>"),
    nodes.strong: ("<strong>", "</strong>"),
    nodes.literal: ("<code>", "</code>"),
}


class TermLink(nodes.General, nodes.Inline, nodes.Element):  # type: ignore[misc]
    """A link to an entry of the glossary, with what the entry says as HTML.

    The meaning is an attribute, not text: the search must not find it on every page.
    """


def first_sentence(paragraph: nodes.Element, config: Any) -> str:
    """The first sentence of a paragraph as HTML."""
    done = ""
    for child in paragraph.children:
        if isinstance(child, nodes.math):
            done += formulas.mathml(config, child.astext())
            continue
        text = child.astext().replace("\n", " ")
        end = SENTENCE_END.search(text) if isinstance(child, nodes.Text) else None
        piece = html.escape(text[: end.end()] if end else text)
        before, after = MARKS.get(type(child), ("", ""))
        done += before + piece + after
        if end:
            break
    return done.strip()


def meaning(env: Any, docname: str, term_id: str) -> str:
    """What the glossary on a page says of a term; empty where it says nothing."""
    for term in env.get_doctree(docname).findall(nodes.term):
        if term_id in term["ids"]:
            for definition in term.parent.findall(nodes.definition):
                for paragraph in definition.findall(nodes.paragraph):
                    return first_sentence(paragraph, env.config)
    return ""


def add_meanings(app: Any, doctree: nodes.document, docname: str) -> None:
    """Replace each resolved ``{term}`` reference by a link that carries the meaning."""
    if app.builder.format != "html":
        return
    objects = app.env.get_domain("std").get_objects()
    anchors = {at: page for _, _, kind, page, at, _ in objects if kind == "term"}
    numbers = itertools.count(1)
    for link in list(doctree.findall(nodes.reference)):
        inner = link.children[0] if link.children else None
        if not isinstance(inner, nodes.Element) or "std-term" not in inner["classes"]:
            continue
        anchor = str(link.get("refid") or link.get("refuri", "").rpartition("#")[2])
        page = anchors.get(anchor)
        words = meaning(app.env, page, anchor) if page and page != docname else ""
        if words:
            named = {"uri": link["refuri"], "tip": f"term-tip-{next(numbers)}"}
            link.replace_self(TermLink("", *link.children, words=words, **named))


def visit(translator: Any, node: TermLink) -> None:
    """Open the link."""
    translator.body.append(
        f'<span class="term"><a class="reference internal" href="{node["uri"]}" '
        f'aria-describedby="{node["tip"]}">'
    )


def depart(translator: Any, node: TermLink) -> None:
    """Close the link, and write the meaning."""
    translator.body.append(
        f'</a><span class="term-tip" role="tooltip" id="{node["tip"]}">'
        f"{node['words']}</span></span>"
    )


def outdated(
    app: Any, env: Any, added: set[str], changed: set[str], removed: set[str]
) -> list[str]:
    """Where a glossary has changed, all pages are made again."""
    del app, added, removed
    objects = env.get_domain("std").get_objects()
    glossaries = {page for _, _, kind, page, _, _ in objects if kind == "term"}
    return sorted(env.found_docs) if glossaries & changed else []


def setup(app: Any) -> dict[str, bool]:
    """Register node, handlers, style and script."""
    app.add_node(TermLink, html=(visit, depart))
    app.connect("env-get-outdated", outdated)
    app.connect("doctree-resolved", add_meanings)
    app.add_css_file("tooltips.css")
    app.add_js_file("tooltips.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}

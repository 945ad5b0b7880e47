"""The whole book as one PDF: ``python tools/pdf.py [--site DIR] [--out FILE]``.

The pages of the built site are put into one document, in reading order, so that links between
chapters lead to places in the PDF. Chromium prints it twice: the first time tells on which page
each heading is, the second time has a table of contents with these numbers.

What a page of paper cannot do is replaced: a live figure is the still image of its first state, and
hints and solutions are open. Code that is folded away on the site is left out, and so is the API
reference.
"""

from __future__ import annotations

import argparse
import html
import io
import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, Tag

import chromium
import website
from environment import CourseError, Project
from labels import Settings, read_settings

LEFT_OUT = "book/api"
"""The page that is read on a screen only, and those below it."""
SCREEN_ONLY = (
    "script, noscript, .headerlink, details.hide, .tag_hide-cell, #playground-app, "
    "[role=tooltip], a:has(> img[src*='colab.svg']), .lessons-explore style"
)
STILL = "A still image: in the online book this figure can be moved."


class Heading(NamedTuple):
    """A chapter or a section: ``h1`` or ``h2``, as HTML and as text, and its place."""

    level: str
    markup: str
    text: str
    target: str


def document(project: Project, site: Path, pages: Mapping[str, int] | None = None) -> str:
    """The book as one HTML document; ``pages`` are those of places, for the table of contents."""
    names = [name for name in website.page_sources(project) if not name.startswith(LEFT_OUT)]
    settings = read_settings(project.root)
    articles = [article(settings, site, name, names) for name in names]
    listed = [heading for each in articles for heading in headings(each)]
    first = site / f"{names[0]}.html"
    styles = soup(first).select("link[rel~=stylesheet][href]")
    addresses = [str(link["href"]) for link in styles if not urlsplit(str(link["href"])).netloc]
    links = "".join(
        f'<link rel="stylesheet" href="{absolute(first, address)}">'
        for address in (*addresses, "../_static/printed.css")
    )
    folder = (site / "_static").absolute().as_uri()
    return f"""<!doctype html>
<html lang="en" data-theme="light"><head><meta charset="utf-8">
<title>How Attention Learns</title>{links}</head>
<body><main><div class="bd-content">
<section class="title-page"><img src="{folder}/logo.svg" alt="">
<p class="book-title">How Attention Learns</p>
<p>An executable course on <i>Approximating How Single Head Attention Learns</i><br>
by Snell, Zhong, Klein and Steinhardt (2021)</p>
<p>Version {html.escape(settings.version)}. Text CC BY 4.0, code MIT.<br>
Online, with figures that move: <a href="{settings.site}">{html.escape(settings.site)}</a></p>
</section>
<nav class="book-contents"><p class="contents-title">Contents</p>
{contents(listed, pages or {})}</nav>
{"".join(str(each) for each in articles)}
</div></main></body></html>"""


def soup(page: Path) -> BeautifulSoup:
    """A page of the site.

    Raises:
        CourseError: the site lacks it.
    """
    if not page.exists():
        raise CourseError(f"expected {page}, found no such page; run `make book` first")
    return BeautifulSoup(page.read_text("utf-8"), "html.parser")


def absolute(page: Path, address: str) -> str:
    """Address of a file that a page refers to, wherever the document lies."""
    return (page.parent / unquote(urlsplit(address).path)).resolve().as_uri()


def place(name: str, anchor: str = "") -> str:
    """How a place on a page is called in the document: pages share no names."""
    return f"{Path(name).name}--{anchor}" if anchor else Path(name).name


def article(settings: Settings, site: Path, name: str, names: list[str]) -> Tag:
    """A page's article with what paper can hold; ``names`` are the pages of the document."""
    path = site / f"{name}.html"
    found = soup(path).select("article.bd-article")[0]
    for unwanted in found.select(SCREEN_ONLY):
        unwanted.decompose()
    for details in found.select("details"):
        details["open"] = ""
    for live in found.select(".lessons-explore figcaption"):
        live.append(BeautifulSoup(f'<p class="still">{STILL}</p>', "html.parser"))
    seen: set[str] = set()
    for tag in found.select("[id]"):
        anchor = str(tag.attrs.pop("id"))
        if anchor not in seen:  # sphinx-exercise gives the same one to all of its boxes
            seen.add(anchor)
            tag["id"] = place(name, anchor)
    for tag in found.select("[src]"):
        if not urlsplit(str(tag["src"])).scheme:
            tag["src"] = absolute(path, str(tag["src"]))
        tag.attrs.pop("loading", None)
    for link in found.select("a[href]"):
        parts = urlsplit(str(link["href"]))
        if parts.scheme or parts.netloc:
            continue
        target = (path.parent / unquote(parts.path) if parts.path else path).resolve()
        page = target.relative_to(site.resolve()).with_suffix("").as_posix()
        if page in names and "=" not in parts.fragment:
            link["href"] = f"#{place(page, unquote(parts.fragment))}"
        else:  # what the PDF leaves out is online
            fragment = f"#{parts.fragment}" if parts.fragment else ""
            link["href"] = f"{settings.site}/{target.relative_to(site.resolve())}{fragment}"
    found["id"] = place(name)
    return found


def headings(page: Tag) -> list[Heading]:
    """A page's title and its sections."""
    found = []
    for heading in page.select("h1, h2"):
        section = heading.find_parent("section")
        if section is not None:
            target = str(page["id"] if heading.name == "h1" else section["id"])
            found.append(Heading(heading.name, heading.decode_contents(), heading.text, target))
    return found


def contents(found: list[Heading], pages: Mapping[str, int]) -> str:
    """The table of contents; a page that is not known yet stays open."""
    return "".join(
        f'<p class="contents-{each.level}"><a href="#{html.escape(each.target)}">'
        f"<span>{each.markup}</span><span>{pages.get(each.target, '')}</span></a></p>"
        for each in found
    )


def page_numbers(printed: bytes) -> dict[str, int]:
    """On which page, counted from 1, each place that is linked to begins."""
    from pypdf import PdfReader

    reader: Any = PdfReader(io.BytesIO(printed))
    numbers = {
        str(name).removeprefix("/"): reader.get_destination_page_number(target)
        for name, target in reader.named_destinations.items()
    }
    return {name: number + 1 for name, number in numbers.items() if number is not None}


def with_bookmarks(printed: bytes, text: str) -> bytes:
    """The PDF with a bookmark for each chapter and section of the document that was printed.

    Chromium's own repeat the words of a heading that begins a page.
    """
    from pypdf import PdfWriter

    # It numbers objects anew when it copies, and then warns that there are more than before.
    logging.getLogger("pypdf").setLevel(logging.ERROR)
    writer = PdfWriter(clone_from=io.BytesIO(printed))
    numbers = page_numbers(printed)
    chapter: Any = None
    for page in BeautifulSoup(text, "html.parser").select("article"):
        for each in headings(page):
            parent = None if each.level == "h1" else chapter
            item = writer.add_outline_item(
                title=each.text, page_number=numbers[each.target] - 1, parent=parent
            )
            chapter = chapter if parent else item
    target = io.BytesIO()
    writer.write(target)
    return target.getvalue()


def build(project: Project, site: Path, target: Path) -> int:
    """Write the PDF and return its number of pages."""
    from pypdf import PdfReader

    ready = "document.fonts.ready"
    target.parent.mkdir(parents=True, exist_ok=True)
    page = target.with_suffix(".html")
    page.write_text(document(project, site), encoding="utf-8")
    text = document(project, site, page_numbers(chromium.printed(page, ready)))
    page.write_text(text, encoding="utf-8")
    target.write_bytes(with_bookmarks(chromium.printed(page, ready), text))
    page.unlink()
    return len(PdfReader(target).pages)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    project = Project(Path(__file__).resolve().parent.parent)
    parser = argparse.ArgumentParser(prog="pdf.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--site", type=Path, default=project.build / "html")
    parser.add_argument("--out", type=Path, default=project.build / "how-attention-learns.pdf")
    options = parser.parse_args(arguments)
    try:
        count = build(project, options.site.absolute(), options.out)
    except CourseError as error:
        print(error, file=sys.stderr)
        return 1
    website.offer(options.site, options.out)
    size = options.out.stat().st_size / 2**20
    print(f"{options.out}: {count} pages, {size:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())

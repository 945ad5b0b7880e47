"""The book without the network: one PDF, and one file with the site, notebooks and package.

The pages of the built site are put into one document, so that links between chapters work in it.
Chromium prints it twice: the first time tells the pages for the table of contents. Live figures are
still, hints and solutions open; folded code and the API reference are left out.
"""

from __future__ import annotations

import io
import logging
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, Tag
from jinja2 import Template
from pypdf import PdfReader, PdfWriter
from pypdf.generic import NameObject, TextStringObject

import chromium
import environment
import website
from environment import CourseError, Project
from labels import Settings, read_settings

LEFT_OUT = "book/api"  # and the pages below it are read on a screen only
SCREEN_ONLY = (
    "script, noscript, .headerlink, details.hide, .tag_hide-cell, #playground-app, "
    "[role=tooltip], a:has(> img[src*='colab.svg']), .lessons-explore style"
)
STILL = "A still image: in the online book this figure can be moved."


class Heading(NamedTuple):
    """A chapter or a section: ``h1`` or ``h2``, as HTML, and its place."""

    level: str
    markup: str
    target: str


def document(project: Project, site: Path, pages: Mapping[str, int] | None = None) -> str:
    """The book as one HTML document; ``pages`` are those of places, for the table of contents."""
    names = [name for name in website.page_sources(project) if not name.startswith(LEFT_OUT)]
    settings = read_settings(project.root)
    articles = [article(settings, site, name, names) for name in names]
    first = site / f"{names[0]}.html"
    sheets = [str(link["href"]) for link in soup(first).select("link[rel~=stylesheet][href]")]
    own = [sheet for sheet in (*sheets, "../_static/printed.css") if not urlsplit(sheet).netloc]
    template = project.root / "book" / "_templates" / "printed.html"
    page: str = Template(template.read_text(encoding="utf-8")).render(
        settings=settings,
        sheets=[absolute(first, sheet) for sheet in own],
        logo=absolute(first, "../_static/logo.svg"),
        headings=[heading for page in articles for heading in headings(page)],
        pages=pages or {},
        articles=articles,
    )
    return page


def soup(page: Path) -> BeautifulSoup:
    """A page of the site; see ``document``."""
    if not page.exists():
        raise CourseError(f"expected {page}, found no such page; run `make book` first")
    return BeautifulSoup(page.read_text("utf-8"), "html.parser")


def absolute(page: Path, address: str) -> str:
    """Address of a file that a page refers to."""
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
    for tag in found.select("[id]"):
        tag["id"] = place(name, str(tag["id"]))
    for tag in found.select("[src]"):
        if not urlsplit(str(tag["src"])).scheme:
            tag["src"] = absolute(path, str(tag["src"]))
        tag.attrs.pop("loading", None)
    for link in found.select("a[href]"):
        parts = urlsplit(str(link["href"]))
        if parts.scheme or parts.netloc:
            continue
        target = (path.parent / unquote(parts.path) if parts.path else path).resolve()
        page = target.relative_to(site.resolve())
        if (inside := page.with_suffix("").as_posix()) in names and "=" not in parts.fragment:
            link["href"] = f"#{place(inside, unquote(parts.fragment))}"
        else:  # what the PDF leaves out is online
            fragment = f"#{parts.fragment}" if parts.fragment else ""
            link["href"] = f"{settings.site}/{page.as_posix()}{fragment}"
    found["id"] = place(name)
    return found


def headings(page: Tag) -> list[Heading]:
    """A page's title and its sections."""
    found = []
    for tag in page.select("section > h1, section > h2"):
        target = str((page if tag.name == "h1" else tag.parent or page)["id"])
        found.append(Heading(tag.name, tag.decode_contents(), target))
    return found


def page_numbers(printed: bytes) -> dict[str, int]:
    """On which page, counted from 1, each place that is linked to begins."""
    reader: Any = PdfReader(io.BytesIO(printed))
    return {
        str(name).removeprefix("/"): (reader.get_destination_page_number(target) or 0) + 1
        for name, target in reader.named_destinations.items()
    }


def with_bookmarks(printed: bytes, text: str) -> PdfWriter:
    """The PDF whose bookmarks have the words of the headings in the document that was printed.

    Chromium, which made them, repeats the words of a heading that begins a page.
    """

    def flat(items: Any) -> Iterator[Any]:
        for item in items:
            yield from flat(item) if isinstance(item, list) else [item.node]

    # It numbers objects anew when it copies, and then warns that there are more than before.
    logging.getLogger("pypdf").setLevel(logging.ERROR)
    writer = PdfWriter(clone_from=io.BytesIO(printed))
    titles = BeautifulSoup(text, "html.parser").select("h1, h2, h3, h4, h5, h6")
    for node, title in zip(flat(writer.outline), titles, strict=True):
        node[NameObject("/Title")] = TextStringObject(title.text)
    return writer


def build(project: Project, site: Path, target: Path) -> int:
    """Write the PDF and return its number of pages."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "book.html"
        page.write_text(document(project, site), encoding="utf-8")
        text = document(project, site, page_numbers(chromium.printed(page)))
        page.write_text(text, encoding="utf-8")
        writer = with_bookmarks(chromium.printed(page, outline=True), text)
    writer.write(target)
    return len(writer.pages)


def print_book(project: Project) -> int:
    """Print the built book, and offer it on each page."""
    site, target = project.build / "html", project.build / "how-attention-learns.pdf"
    count = build(project, site, target)
    website.offer(site, target)
    print(f"{target}: {count} pages, {target.stat().st_size / 2**20:.1f} MB")
    return 0


def pack(project: Project) -> int:
    """Make the bundle, one folder with all that its README.txt says, and offer it on each page."""
    site, settings = project.build / "html", read_settings(project.root)
    if not (site / "index.html").exists():
        raise CourseError(f"expected a site in {site}, found none; run `make book` first")
    top = f"how-attention-learns-{settings.version}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / top
        shutil.copytree(site, folder / "site", ignore=shutil.ignore_patterns(f"{top[:-5]}*.zip"))
        shutil.copytree(project.root / "colab", folder / "notebooks")
        shutil.copytree(project.root / "student", folder / "student")
        for file in ("LICENSE", "CITATION.cff"):
            shutil.copy(project.root / file, folder)
        wheel = environment.build_package(project, folder)
        words = (project.root / "tools" / "bundle.txt").read_text(encoding="utf-8")
        words = words.format(version=settings.version, wheel=wheel.name, site=settings.site)
        (folder / "README.txt").write_text(words, encoding="utf-8")
        target = Path(shutil.make_archive(str(project.build / top), "zip", name))
    website.offer(site, target)
    print(f"{target}: {target.stat().st_size / 2**20:.1f} MB")
    return 0

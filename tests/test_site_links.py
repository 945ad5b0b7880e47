"""Every link inside the built site leads to a page and to a place on it; no network is needed."""

from __future__ import annotations

import os
import re
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt

from labels import read_settings

ROOT = Path(__file__).resolve().parent.parent
SITE = Path(os.environ.get("LESSONS_SITE") or ROOT / "_build" / "html")
PAGES = sorted(str(path.relative_to(SITE)) for path in SITE.rglob("*.html") if SITE.is_dir())
PAGES = [page for page in PAGES if not page.startswith("_static/")]

pytestmark = pytest.mark.skipif(
    not SITE.is_dir(), reason=f"there is no site in {SITE}: run `make book` first"
)


class Links(HTMLParser):
    """What a page can be linked at, and what it refers to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.places: set[str] = set()
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.places |= {values[name] for name in ("id", "name") if name in values}
        self.addresses += [values[name] for name in ("href", "src") if name in values]
        for candidate in values.get("srcset", "").split(","):
            self.addresses += candidate.split()[:1]


@cache
def links(path: Path) -> Links:
    return Links(path.read_text(encoding="utf-8"))


def faults(page: Path, site: Path) -> list[str]:
    """Links of a page that lead to nothing, or out of the site on this machine."""
    found = []
    for address in links(page).addresses:
        parts = urlsplit(address)
        if parts.scheme in ("http", "https", "mailto", "data") or parts.netloc:
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        if parts.scheme or parts.path.startswith("/"):
            found.append(f"{address}: works on one machine only")
        elif not target.is_relative_to(site.resolve()):
            found.append(f"{address}: leads out of the site")
        elif not target.is_file():
            found.append(f"{address}: no such file")
        elif target.suffix == ".html" and not reaches(target, unquote(parts.fragment)):
            found.append(f"{address}: no such place on that page")
    return found


def reaches(target: Path, fragment: str) -> bool:
    """Whether a page has a place of this name. A fragment with ``=`` is a setting, no place."""
    return not fragment or "=" in fragment or fragment in links(target).places


@pytest.mark.parametrize("page", PAGES)
def test_links_inside_the_site_lead_somewhere(page: str) -> None:
    assert faults(SITE / page, SITE) == []


ADDRESS = re.compile(re.escape(read_settings(ROOT).site) + r"/([^\s)\"'>\\]*)")
NOTEBOOKS = sorted((*ROOT.glob("colab/*.ipynb"), *ROOT.glob("student/*.ipynb")))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_an_edition_links_to_places_that_the_site_has(path: Path) -> None:
    found = set(ADDRESS.findall(path.read_text(encoding="utf-8")))
    assert found, "an edition leads back to the book"
    for address in sorted(found):
        page, _, fragment = address.partition("#")
        target = SITE / (unquote(page) or "index.html")
        assert target.is_file(), address
        assert reaches(target, unquote(fragment)), address


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "other.html").write_text('<p id="there">', encoding="utf-8")
    page = tmp_path / "page.html"
    bad = ["gone.html", "other.html#gone", "#gone", "../out.html", "/srv/a.html", "file:///a.html"]
    good = ["other.html", "other.html?q=1#there", "#here", "https://a.example/b", "other.html#v=3"]
    text = "".join(f'<a href="{address}"></a>' for address in [*bad, *good])
    page.write_text(f'<p id="here">{text}<img srcset="gone.png 2x">', encoding="utf-8")
    assert [fault.partition(": ")[0] for fault in faults(page, tmp_path)] == [*bad, "gone.png"]


DOCUMENTS = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]


def headings(path: Path) -> set[str]:
    """Anchors of the headings of a Markdown file, as GitHub makes them."""
    tokens = MarkdownIt().parse(path.read_text(encoding="utf-8"))
    titles = [b.content for a, b in pairwise(tokens) if a.type == "heading_open"]
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def document_faults(path: Path) -> list[str]:
    """Links of a page on GitHub that lead to no file of the repository, or to no heading of it."""
    tokens = MarkdownIt().parse(path.read_text(encoding="utf-8"))
    inside = [child for token in tokens for child in token.children or []]
    found = []
    for address in (str(token.attrs["href"]) for token in inside if "href" in token.attrs):
        parts = urlsplit(address)
        if parts.scheme in ("http", "https", "mailto"):
            continue
        target = path.parent / unquote(parts.path) if parts.path else path
        if not target.exists():
            found.append(f"{address}: no such file")
        elif parts.fragment and parts.fragment not in headings(target):
            found.append(f"{address}: no such heading on that page")
    return found


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_of_a_document_lead_somewhere(name: str) -> None:
    assert document_faults(ROOT / name) == []


def test_a_link_of_a_document_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text("# A, b!\n\n[1](#a-b) [2](README.md) [3](gone.md) [4](#gone) [5](https://a.b)")
    assert document_faults(path) == [
        "gone.md: no such file",
        "#gone: no such heading on that page",
    ]

"""What stands in the built pages, without a browser: links, numbers, images, previews, bylines."""

from __future__ import annotations

import html
import re
import string
import unicodedata
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import jinja2
import pytest
import site_browser as web
from bs4 import BeautifulSoup
from markdown_it import MarkdownIt
from mdit_py_plugins.anchors import anchors_plugin
from test_release import strangers

from environment import Project
from labels import read_book, read_settings

ADDRESS, REPOSITORY = read_settings(web.ROOT).site, read_settings(web.ROOT).repository
BOOK = read_book(Project(web.ROOT))
BUILT = sorted(path for path in web.SITE.rglob("*.html") if "_static" not in path.parts)

pytestmark = web.needs_site


@cache
def soup(path: Path) -> BeautifulSoup:
    """A page of HTML, or of Markdown as GitHub shows it, taken apart."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        text = MarkdownIt().use(anchors_plugin, max_level=6).render(text)
    return BeautifulSoup(text, "html.parser")


@cache
def places(path: Path) -> set[str]:
    """What a page can be linked at."""
    return {str(tag.get(key)) for key in ("id", "name") for tag in soup(path).select(f"[{key}]")}


def addresses(path: Path) -> list[str]:
    """What a page refers to."""
    tags = soup(path).select("[href], [src]")
    return [str(tag[key]) for tag in tags for key in ("href", "src") if tag.has_attr(key)]


def faults(page: Path, site: Path) -> list[str]:
    """Links of a page that lead to nothing, or out of the site on this machine."""
    found = []
    for address in addresses(page):
        parts = urlsplit(address)
        if parts.scheme in ("http", "https", "mailto", "data") or parts.netloc:
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        if parts.scheme or parts.path.startswith("/"):
            found.append(f"{address}: works on one machine only")
        elif not target.is_relative_to(site.resolve()):
            found.append(f"{address}: leads out of the site")
        elif not (target.is_file() or (target.is_dir() and page.suffix == ".md")):
            found.append(f"{address}: no such file")
        elif target.suffix in (".html", ".md") and not reaches(target, unquote(parts.fragment)):
            found.append(f"{address}: no such place on that page")
    return found


def reaches(target: Path, fragment: str) -> bool:
    """Whether a page has a place of this name. A fragment with ``=`` is a setting, no place."""
    return not fragment or "=" in fragment or fragment in places(target)


@pytest.mark.parametrize("page", BUILT, ids=lambda page: str(page.relative_to(web.SITE)))
def test_links_inside_the_site_lead_somewhere(page: Path) -> None:
    assert faults(page, web.SITE) == []


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_of_a_document_lead_to_files_of_the_repository_and_headings(name: str) -> None:
    assert faults(web.ROOT / name, web.ROOT) == []


NOTEBOOKS = sorted((*web.ROOT.glob("colab/*.ipynb"), *web.ROOT.glob("student/*.ipynb")))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_an_edition_links_to_places_that_the_site_has(path: Path) -> None:
    found = set(re.findall(rf"{re.escape(ADDRESS)}/([^\s)\"'>\\]*)", path.read_text("utf-8")))
    assert found, "an edition leads back to the book"
    for address in sorted(found):
        page, _, fragment = address.partition("#")
        target = web.SITE / (unquote(page) or "index.html")
        assert target.is_file(), address
        assert reaches(target, unquote(fragment)), address


def test_no_address_on_a_page_leads_to_a_stranger() -> None:
    settings = read_settings(web.ROOT)
    pages = [*BUILT, *web.SITE.glob("_sources/**/*.*")]
    texts = {
        str(page.relative_to(web.SITE)): html.unescape(page.read_text("utf-8")) for page in pages
    }
    found = {name: strangers(text, settings) for name, text in texts.items()}
    assert {name: new for name, new in found.items() if new} == {}


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "other.html").write_text('<p id="there">', encoding="utf-8")
    page = tmp_path / "page.html"
    bad = ["gone.html", "other.html#gone", "#gone", "../out.html", "/srv/a.html", "file:///a.html"]
    good = ["other.html", "other.html?q=1#there", "#here", "https://a.example/b", "other.html#v=3"]
    text = "".join(f'<a href="{address}"></a>' for address in [*bad, *good])
    page.write_text(f'<p id="here">{text}', encoding="utf-8")
    assert [fault.partition(": ")[0] for fault in faults(page, tmp_path)] == bad


def test_every_page_of_the_site_is_looked_at() -> None:
    moved = web.ROOT / "book" / "_moved"
    lead_on = {str(p.relative_to(moved).with_suffix("")) for p in moved.rglob("*.html")}
    built = {str(path.relative_to(web.SITE).with_suffix("")) for path in BUILT}
    assert built == {*web.ALL_PAGES, "index", "404", *lead_on}  # the second and third lead on, too


def test_the_font_of_formulas_has_all_their_signs() -> None:
    from fontTools.ttLib import TTFont

    font = set(TTFont(web.SITE / "_static" / "formulas.woff2").getBestCmap())
    found = [
        tag for n in web.PAGES for tag in re.findall(r"<math.*?</math>", web.html_of(n), re.DOTALL)
    ]
    assert len(found) > 500
    signs = set(html.unescape(re.sub("<[^>]*>", "", "".join(found))))
    missing = {sign for sign in signs if ord(sign) not in font}
    assert missing <= {"\n", "\N{ZERO WIDTH SPACE}"}
    # A letter alone is shown as its italic form.
    lean = {unicodedata.normalize("NFKC", chr(code)) for code in font if 0x1D434 <= code < 0x1D71C}
    assert set(string.ascii_letters) - {"h"} <= lean  # ℎ has a place of its own


def test_no_page_needs_a_script_for_formulas_or_holds_frames() -> None:
    assert not list(web.SITE.rglob("*mathjax*"))
    for name in web.CHAPTERS:
        assert "data:image" not in str(soup(web.SITE / f"{name}.html").article)
        assert len(web.html_of(name).encode()) < 400_000


@web.each_page
def test_a_page_has_one_title_described_images_and_nothing_foreign(page_name: str) -> None:
    page = soup(web.SITE / f"{page_name}.html")
    # The search has a title of its own, outside of an article.
    assert len(page.select("article h1")) == (page_name != "search")
    assert all(title.get_text(strip=True) for title in page.select("h1"))
    loaded = [*page.select("[src]"), *page.select("link[href]:not([rel~=canonical])")]
    loads = [str(tag.get("src") or tag.get("href")) for tag in loaded]
    assert [address for address in loads if re.match(r"(https?:)?//", address)] == []
    for image in page.select("img"):
        alt = str(image.get("alt", ""))
        assert alt, image["src"]
        assert not re.search(r"_images/|\.(png|jpe?g|svg|gif|webp)$", alt, re.IGNORECASE)


@pytest.mark.parametrize("page_name", web.PAGES)
def test_a_page_says_what_and_where_it_is_who_wrote_it_and_how_to_mend_it(page_name: str) -> None:
    page = soup(web.SITE / f"{page_name}.html")
    tags = page.select("meta[content]")
    names = [str(tag.get("property") or tag.get("name")) for tag in tags]
    meta = dict(zip(names, [str(tag["content"]) for tag in tags], strict=True))
    assert meta["og:url"] == f"{ADDRESS}/{page_name}.html"
    assert (web.SITE / meta["og:image"].removeprefix(f"{ADDRESS}/")).is_file()
    for name in ("description", "og:title", "og:description", "og:image:alt", "twitter:card"):
        assert len(meta[name]) >= 4, name
        assert names.count(name) == 1
    assert meta["og:description"] != meta["og:site_name"], "a page has a first paragraph"
    assert len(page.select("link[rel=icon]")) == 1
    (canonical,) = page.select("link[rel=canonical]")
    assert canonical["href"] == meta["og:url"]
    ids = [tag["id"] for tag in page.select("[id]")]
    assert sorted({name for name in ids if ids.count(name) > 1}) == []
    (day,) = re.findall(r"Last updated on (\d{4}-\d\d-\d\d)", page.get_text())
    (byline,) = page.select("h1 + p.byline")
    assert byline.get_text() == f"The course authors · last changed on {day}"
    (edit,) = page.select(f'[href^="{REPOSITORY}/edit/main/"]')
    assert (web.ROOT / str(edit["href"]).removeprefix(f"{REPOSITORY}/edit/main/")).is_file()
    (ask,) = page.select(f'[href^="{REPOSITORY}/issues/new"]')
    assert "title=" in urlsplit(str(ask["href"])).query


def test_the_root_leads_on_and_a_wrong_address_gets_a_page_and_icons_are_there() -> None:
    root, first = soup(web.SITE / "index.html"), soup(web.SITE / f"{web.PAGES[0]}.html")
    assert root.title is not None
    assert root.title.string == "How Attention Learns"
    assert [tag["href"] for tag in root.select("[rel=canonical]")] == [
        f"{ADDRESS}/{web.PAGES[0]}.html"
    ]
    assert root.select(f'meta[content="0; url={web.PAGES[0]}.html"]')
    links = [str(tag["href"]) for tag in soup(web.SITE / "404.html").select("a")]
    assert len(links) == 2
    for link in links:  # it is shown at any depth
        assert (web.SITE / link.removeprefix(f"{ADDRESS}/")).is_file()
    assert (web.SITE / "favicon.ico").read_bytes()[:4] == b"\0\0\1\0"
    assert first.select("link[rel=apple-touch-icon]")


@pytest.mark.parametrize("page_name", web.CHAPTERS)
def test_chapters_and_exercises_have_their_numbers(page_name: str) -> None:
    text, chapter = web.html_of(page_name), int(page_name.split("/")[1][:2])
    assert BOOK.chapters[page_name] == chapter
    assert f'<h1><span class="section-number">{chapter}. </span>' in text
    titles = re.findall(r'admonition-title">Exercise (\d+)\.(\d+): \S', text)
    assert titles == [(str(chapter), str(n)) for n in range(1, len(titles) + 1)]
    assert "not attempted" not in text


EQUATIONS = {name: label for name, label in BOOK.labels.items() if label.kind == "equation"}


@pytest.mark.parametrize("name", EQUATIONS)
def test_an_equation_has_the_number_that_the_editions_give_it(name: str) -> None:
    anchor = BOOK.label_address(name).rpartition("#")[2]
    equation = soup(web.SITE / f"{EQUATIONS[name].page}.html").find(id=anchor)
    assert equation is not None, f"no numbered equation {anchor}"
    number = equation.select(".eqno")[0].get_text()
    assert re.findall(r"[\d.]+", number)[0] == EQUATIONS[name].number


@pytest.mark.parametrize("name", [name for name in web.PAGES if name.startswith("book/api")])
def test_no_field_of_the_reference_has_its_words_as_a_type(name: str) -> None:
    page = soup(web.SITE / f"{name}.html")
    heads = {head.get_text(strip=True) for head in page.select("dl.py dl.field-list > dt")}
    assert not [head for head in heads if head.startswith("Type")], "what stands before a colon"


@pytest.mark.parametrize("fell_back", [True, False])
def test_a_page_made_without_the_real_corpus_warns_under_its_title(fell_back: bool) -> None:
    frame = "{% block body %}{{ body }}{% endblock %}"
    source = (web.ROOT / "book" / "_templates" / "page.html").read_text(encoding="utf-8")
    loader = jinja2.DictLoader({"!page.html": frame, "page.html": source})
    notice = "<p><strong>Embedded corpus.</strong> Why</p>" if fell_back else ""
    said = {"author": "A", "last_updated": "D", "sourcename": "s"}
    body = f"<h1>T</h1><p>x</p>{notice}<h1>U</h1>"
    made = jinja2.Environment(loader=loader).get_template("page.html").render(body=body, **said)
    assert made.count("admonition warning") == 2 * fell_back, "at the top, and where it happened"
    assert made.count("byline") == 1
    assert fell_back is ("On the real corpus" in made.partition("<p>x</p>")[0])

"""The book without the network: the PDF, and the bundle with site, notebooks and package."""

from __future__ import annotations

import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import site_browser as web
from pypdf import PdfReader

import environment
import offline
import website
from environment import Project

PROJECT = Project(web.ROOT)
pytestmark = web.needs_site


def test_the_document_has_all_pages_and_nothing_that_moves_or_leads_out_of_it() -> None:
    made = offline.document(PROJECT, web.SITE)
    names = website.page_sources(PROJECT)
    wanted = [Path(name).name for name in names if not name.startswith("book/api")]
    assert re.findall(r'<article class="bd-article" id="([^"]+)"', made) == wanted
    places = re.findall(r'\bid="([^"]+)"', made)
    assert len(places) == len(set(places))
    links = re.findall(r'<a [^>]*href="([^"]+)"', made)
    inside = {link[1:] for link in links if link.startswith("#")}
    assert inside - set(places) == set()
    assert len(inside) > 100
    assert [link for link in links if not re.match("#|https?://|mailto:", link)] == []
    live = made.count('<figure class="lessons-explore"')
    assert made.count(offline.STILL) == live >= 9
    assert made.count("Solution to") > 40
    for source in re.findall(r'<img [^>]*src="file://([^"]+)"', made):
        assert Path(source).is_file()


def book_of(names: list[str], target: Path, patch: pytest.MonkeyPatch) -> PdfReader:
    """Some pages as a PDF; the whole book takes a minute."""
    patch.setattr(website, "page_sources", lambda _: dict.fromkeys(names))
    # In a thread of its own: Playwright drives one browser in each, and the tests have theirs.
    with ThreadPoolExecutor(1) as apart:
        count = apart.submit(offline.build, PROJECT, web.SITE, target).result()
    printed = PdfReader(target)
    assert len(printed.pages) == count
    assert list(target.parent.iterdir()) == [target], "nothing else is left behind"
    return printed


@web.with_chromium
def test_contents_and_bookmarks_of_the_pdf_lead_to_chapters_and_sections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = ["book/index", "book/07_multi_head", "book/glossary"]
    printed = book_of(short, tmp_path / "book.pdf", monkeypatch)
    contents = printed.pages[1].extract_text()
    chapters = {"7. Several heads are several tosses", "Glossary"}
    for title in chapters:
        (number,) = re.findall(rf"^{re.escape(title)}\s*(\d+)$", contents, re.MULTILINE)
        assert title in printed.pages[int(number) - 1].extract_text().splitlines()[:2]

    def titles(items: list[Any]) -> list[str]:
        nested = (titles(i) if isinstance(i, list) else [str(i.title)] for i in items)
        return [title for some in nested for title in some]

    found = titles(printed.outline)
    assert chapters <= set(found)
    assert any(re.fullmatch(r"7\.\d+\. Takeaways", title) for title in found)
    assert len(found) == len(set(found))


@pytest.mark.slow
@web.with_chromium
def test_the_note_for_researchers_is_printed_on_three_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As its first line and the first page of the book say. Title and contents come before it."""
    printed = book_of(["book/note_for_researchers"], tmp_path / "note.pdf", monkeypatch)
    sheets = [sheet.extract_text() for sheet in printed.pages]
    assert "To cite it" in sheets[-1]
    assert len(sheets) == 2 + 3, f"expected 3 pages of A4, found {len(sheets) - 2}"


def test_what_was_made_of_the_site_is_offered_on_each_page(tmp_path: Path) -> None:
    for name in ("book/index.html", "search.html"):
        (tmp_path / "site" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(web.SITE / name, tmp_path / "site" / name)
    made = tmp_path / "course.pdf"
    made.write_bytes(b"%PDF" + bytes(3 << 20))
    for _ in range(2):  # again changes nothing
        website.offer(tmp_path / "site", made)
    assert (tmp_path / "site" / "course.pdf").read_bytes() == made.read_bytes()
    first = (tmp_path / "site" / "book" / "index.html").read_text(encoding="utf-8")
    link = 'href="../course.pdf">The whole book as PDF (3 MB)</a>'
    assert first.count(link) == 3, "in the menu, at the foot, and in the text"
    other = (tmp_path / "site" / "search.html").read_text(encoding="utf-8")
    assert other.count('href="course.pdf"') == 1


@web.with_chromium
def test_the_bundle_has_all_parts_and_its_site_works_from_its_folder(
    tmp_path: Path, open_page: web.OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wheel(_: Project, folder: Path) -> Path:
        (folder / "lessons_lib-1.0-py3-none-any.whl").write_bytes(b"wheel")
        return folder / "lessons_lib-1.0-py3-none-any.whl"

    monkeypatch.setattr(environment, "build_package", wheel)
    project = Project(web.ROOT)
    project.build = tmp_path
    shutil.copytree(web.SITE, tmp_path / "html")
    for _ in range(2):  # the second holds no first
        offline.pack(project)
    (made,) = tmp_path.glob("*.zip")
    assert made.stat().st_size < 25 * 2**20
    shutil.unpack_archive(made, tmp_path)
    course = tmp_path / made.stem
    for path in website.chapters(PROJECT):
        for folder in ("notebooks", "student"):
            assert json.loads((course / folder / path.name).read_text("utf-8"))["cells"]
    words = (course / "README.txt").read_text("utf-8")
    for name in re.findall(r"pip install --no-deps (\S+)|open (\S+\.html)", words):
        assert (course / "".join(name)).is_file()
    for name in website.page_sources(PROJECT):
        assert (course / "site" / f"{name}.html").is_file()

    page = open_page("book/07_multi_head.html", base=(course / "site").as_uri())
    figure = page.locator(".lessons-explore").first
    web.move(figure)
    before = figure.locator("img").get_attribute("src")
    web.press_to_the_other_end(figure.locator("input[type=range]").first)
    assert figure.locator("img").get_attribute("src") != before

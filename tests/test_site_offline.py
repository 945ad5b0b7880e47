"""The book without the network: the PDF, and the bundle with site, notebooks and package."""

from __future__ import annotations

import json
import os
import re
import shutil
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from site_browser import move, open_alone, settle

import chromium
import offline
import website
from environment import CourseError, Project
from labels import read_settings

ROOT = Path(__file__).resolve().parent.parent
PROJECT = Project(ROOT)
SITE = Path(os.environ.get("LESSONS_SITE") or ROOT / "_build" / "html")
VERSION = read_settings(ROOT).version

pytestmark = pytest.mark.skipif(
    not SITE.is_dir(), reason=f"there is no site in {SITE}: run `make book` first"
)
in_browser = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium.find() is None, reason=chromium.ABSENT),
]


@pytest.fixture(scope="module")
def document() -> str:
    return offline.document(PROJECT, SITE)


def test_the_document_has_every_page_but_the_reference_in_reading_order(document: str) -> None:
    names = website.page_sources(PROJECT)
    wanted = [Path(name).name for name in names if not name.startswith("book/api")]
    assert re.findall(r'<article class="bd-article" id="([^"]+)"', document) == wanted


def test_links_of_the_document_stay_inside_or_go_online(document: str) -> None:
    places = re.findall(r'\bid="([^"]+)"', document)
    assert len(places) == len(set(places))
    links = re.findall(r'<a [^>]*href="([^"]+)"', document)
    inside = {link[1:] for link in links if link.startswith("#")}
    assert inside - set(places) == set()
    assert len(inside) > 100
    others = [link for link in links if not link.startswith("#")]
    assert [link for link in others if not re.match(r"https?://|mailto:", link)] == []


def test_what_moves_stands_still_and_what_is_hidden_is_open_or_gone(document: str) -> None:
    live = document.count('<figure class="lessons-explore"')
    assert live >= 9
    assert document.count(offline.STILL) == live
    assert "<details>" not in document
    assert "Show code cell source" not in document
    assert document.count("Solution to") > 40
    for source in re.findall(r'<img [^>]*src="file://([^"]+)"', document):
        assert Path(source).is_file()


SHORT = ("book/index", "book/07_multi_head", "book/glossary")
"""A book that prints in a moment; the whole one takes a minute."""


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from pypdf import PdfReader

    target = tmp_path_factory.mktemp("pdf") / "book.pdf"
    sources = {name: ROOT / name for name in SHORT}
    # In a thread of its own: Playwright drives one browser in each, and the tests have theirs.
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(1) as apart:
        patch.setattr(website, "page_sources", lambda _: sources)
        count = apart.submit(offline.build, PROJECT, SITE, target).result()
    reader = PdfReader(target)
    assert len(reader.pages) == count > 10
    assert list(target.parent.iterdir()) == [target], "nothing else is left behind"
    return reader


class TestPrinted:
    pytestmark = in_browser

    def test_the_contents_name_the_page_on_which_a_chapter_begins(self, printed: Any) -> None:
        contents = printed.pages[1].extract_text()
        for title in ("7. Several heads are several tosses", "Glossary"):
            (number,) = re.findall(rf"^{re.escape(title)}\s*(\d+)$", contents, re.MULTILINE)
            assert title in printed.pages[int(number) - 1].extract_text().splitlines()[:2]

    def test_bookmarks_lead_to_chapters_and_their_sections(self, printed: Any) -> None:
        def titles(items: list[Any]) -> list[str]:
            nested = (titles(i) if isinstance(i, list) else [str(i.title)] for i in items)
            return [title for some in nested for title in some]

        found = titles(printed.outline)
        assert {"7. Several heads are several tosses", "Glossary"} <= set(found)
        assert any(re.fullmatch(r"7\.\d+\. Takeaways", title) for title in found)
        assert len(found) == len(set(found))


def test_without_chromium_printing_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CHROMIUM", raising=False)
    assert chromium.find() is None
    with pytest.raises(CourseError, match=r"expected Chromium .* `apt-get install chromium`"):
        chromium.printed(Path("x.html"))


def test_without_a_site_printing_and_packing_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="make book"):
        offline.document(PROJECT, tmp_path)
    with pytest.raises(CourseError, match="make book"):
        offline.contents(PROJECT, tmp_path, tmp_path / "lessons_lib.whl")


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    wheel = folder / f"lessons_lib-{VERSION}-py3-none-any.whl"
    wheel.write_bytes(b"wheel")
    files = offline.contents(PROJECT, SITE, wheel)
    offline.write(files, "course", folder / "one.zip")
    again = dict(reversed(files.items()))
    offline.write(again, "course", folder / "two.zip")
    return folder


def test_what_was_made_of_the_site_is_offered_on_each_page(tmp_path: Path) -> None:
    for name in ("book/index.html", "search.html"):
        (tmp_path / "site" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SITE / name, tmp_path / "site" / name)
    made = tmp_path / "course.pdf"
    made.write_bytes(b"%PDF" + bytes(3 << 20))
    for _ in range(2):  # again changes nothing
        website.offer(tmp_path / "site", made)
    assert (tmp_path / "site" / "course.pdf").read_bytes() == made.read_bytes()
    first = (tmp_path / "site" / "book" / "index.html").read_text(encoding="utf-8")
    link = 'href="../course.pdf">The whole book as PDF (3 MB)</a>'
    assert first.count(link) == 3, "in the menu, at the foot, and in the text"
    menu = first.partition("dropdown-download-buttons")[2].partition("</ul>")[0]
    assert "course.pdf" in menu
    other = (tmp_path / "site" / "search.html").read_text(encoding="utf-8")
    assert other.count('href="course.pdf"') == 1


def test_the_bundle_has_all_parts_and_the_same_bytes_each_time(packed: Path) -> None:
    assert (packed / "one.zip").read_bytes() == (packed / "two.zip").read_bytes()
    with zipfile.ZipFile(packed / "one.zip") as archive:
        names = set(archive.namelist())
        words = archive.read("course/README.txt").decode()
        for path in website.chapters(PROJECT):
            for folder in ("notebooks", "student"):
                assert json.loads(archive.read(f"course/{folder}/{path.name}"))["cells"]
    for name in re.findall(r"pip install --no-deps (\S+)|open (\S+\.html)", words):
        assert f"course/{''.join(name)}" in names
    assert {f"course/site/{page}.html" for page in website.page_sources(PROJECT)} <= names
    assert (packed / "one.zip").stat().st_size < 25 * 2**20


@pytest.mark.browser
@pytest.mark.skipif(chromium.find() is None, reason=chromium.ABSENT)
def test_the_unpacked_site_works_from_its_folder(packed: Path, browser: Any) -> None:
    with zipfile.ZipFile(packed / "one.zip") as archive:
        archive.extractall(packed / "out")
    site = packed / "out" / "course" / "site"
    visited = open_alone(browser, (site / "index.html").as_uri(), f"{site.as_uri()}/")
    page = visited.page
    page.locator("article a", has_text="Several heads").first.click()
    page.wait_for_url("**/07_multi_head.html")
    settle(page)
    assert page.locator("article math").count() > 10
    figure = page.locator(".lessons-explore").first
    move(figure)
    before = figure.locator("img").get_attribute("src")
    slider = figure.locator("input[type=range]").first
    slider.press("Home" if slider.evaluate("e => e.value === e.max") else "End")
    assert figure.locator("img").get_attribute("src") != before
    assert visited.problems == []
    page.context.close()

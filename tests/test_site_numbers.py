"""Equations and chapters have the same numbers on the site, in the editions, and in the text."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from environment import Project
from labels import read_book

ROOT = Path(__file__).resolve().parent.parent
SITE = Path(os.environ.get("LESSONS_SITE") or ROOT / "_build" / "html")
BOOK = read_book(Project(ROOT))

pytestmark = pytest.mark.skipif(
    not SITE.is_dir(), reason=f"there is no site in {SITE}: run `make book` first"
)


@pytest.mark.parametrize("page", BOOK.chapters)
def test_a_chapter_has_the_number_in_its_file_name(page: str) -> None:
    text = (SITE / f"{page}.html").read_text(encoding="utf-8")
    number = re.search(r'<h1><span class="section-number">(\d+)\. </span>', text)
    assert number
    assert int(number[1]) == BOOK.chapters[page] == int(Path(page).name.split("_")[0])


EQUATIONS = {name: label for name, label in BOOK.labels.items() if label.kind == "equation"}


@pytest.mark.parametrize("name", EQUATIONS)
def test_an_equation_has_the_number_that_the_editions_give_it(name: str) -> None:
    label = EQUATIONS[name]
    text = (SITE / f"{label.page}.html").read_text(encoding="utf-8")
    anchor = BOOK.label_address(name).rpartition("#")[2]
    number = re.search(rf'id="{re.escape(anchor)}">\s*<span class="eqno">\(([\d.]+)', text)
    assert number, f"{label.page} has no numbered equation {anchor}"
    assert number[1] == label.number

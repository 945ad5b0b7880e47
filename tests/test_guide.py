"""The guide for instructors and the slides say what the book says now."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import nbformat
import pytest
from answers import CHAPTERS, items

import chromium
import course
import lecture
from environment import Project
from labels import markdown_cells
from lessons_lib.theory import phase_portrait

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / "book"
GUIDE = (BOOK / "instructors.md").read_text(encoding="utf-8")
LECTURE = (ROOT / "slides" / "lecture.md").read_text(encoding="utf-8")
NUMBER = r"(?<![\d.=])(1?\d\.[1-9]\d?)(?!\d|\.\d)"


EXERCISES = {item.number: item for chapter in CHAPTERS for item in items(chapter)}


def markdown(chapter: int) -> str:
    return "\n\n".join(text for _, text in markdown_cells(CHAPTERS[chapter]))


def minutes(number: str) -> int:
    found = re.search(r"(\d+) minutes", EXERCISES[number].body.splitlines()[0])
    return int(found[1]) if found else 0


def section(title: str) -> str:
    """The guide's text under a heading of the second level."""
    (found,) = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", GUIDE, re.M | re.S)
    return str(found)


GOALS = section("Goals, and what each exercise catches")
ROWS = [line.strip("| ").split(" | ") for line in GOALS.splitlines() if line.startswith("| {ref}")]
PLANS = section("Two weeks") + section("Half a semester")


def test_the_table_has_every_exercise_of_the_book_with_goal_and_misconception() -> None:
    listed = re.findall(r"\{ref\}`(\d+\.\d+ [^<`]+) <([^>]+)>`", GOALS)
    expected = [(item.title, item.label) for item in EXERCISES.values()]
    assert listed == expected, "renumber the guide after the notebooks"
    for row in ROWS:
        assert len(row) == 4, row
        assert all(len(cell) > 8 for cell in (row[0], *row[2:])), row


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_each_objective_has_an_exercise_and_each_exercise_an_objective(chapter: int) -> None:
    (box,) = re.findall(r"^:::\{admonition\} Objectives\n(.*?)^:::", markdown(chapter), re.M | re.S)
    objectives = range(1, len(re.findall(r"^- ", box, re.M)) + 1)
    own = [row for row in ROWS if row[0].startswith(f"{{ref}}`{chapter}.")]
    served = [int(number) for row in own for number in row[1].split(", ")]
    assert sorted(set(served)) == list(objectives)


def test_plans_name_exercises_that_exist_and_their_minutes() -> None:
    named = re.findall(NUMBER, PLANS)
    assert len(named) > 40
    assert set(named) <= set(EXERCISES)
    groups = re.findall(rf"((?:{NUMBER}(?:, )?)+) \((\d+)\)", PLANS)
    assert len(groups) > 12
    for group, _, told in groups:
        assert sum(map(minutes, re.findall(NUMBER, group))) == int(told), group


# The slides.


def built_page(build: Path) -> Path:
    project = Project(ROOT)
    project.build = build
    assert lecture.build(project) == 0
    return build / "slides" / "lecture.html"


def test_figures_are_those_of_the_book_and_the_page_needs_no_network(tmp_path: Path) -> None:
    page = built_page(tmp_path).read_text("utf-8")
    named = lecture.FIGURE.findall(LECTURE)
    assert len(named) >= 12
    for chapter, cell_id in named:
        cells = nbformat.read(BOOK / f"{chapter}.ipynb", as_version=4).cells
        (cell,) = [cell for cell in cells if cell.id == cell_id]
        (code,) = [o.data["image/png"] for o in cell.outputs if "image/png" in o.get("data", {})]
        assert "".join(code.split()) in page
        written = tmp_path / "slides" / "figures" / f"{chapter}-{cell_id}.png"
        assert written.read_bytes() == base64.b64decode(code)
        assert f"](figures/{written.name})" in (tmp_path / "slides" / "lecture.md").read_text(
            "utf-8"
        )
    assert page.count("<section ") == len(re.findall(r"^---$", LECTURE, re.MULTILINE)) - 1
    sources = re.findall(r"(?:src|href)=\"([^\"]*)\"", page)
    assert all(source.startswith("data:image/") for source in sources)
    assert all(re.search(r'alt="[^"]', tag) for tag in re.findall(r"<img [^>]*>", page))
    assert "$" not in re.sub(r"<(script|img)\b.*?>", "", page.split("<script>")[0])
    title = re.findall(r"^title: (.*)$", LECTURE, re.MULTILINE)
    assert re.findall("<title>(.*)</title>", page) == title


CHROMIUM = chromium.find()
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason=chromium.ABSENT)


@pytest.mark.browser
@needs_chromium
def test_keys_turn_the_pages_and_show_the_notes(tmp_path: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(chromium.FLAGS))
        page = browser.new_context(offline=True, viewport={"width": 1280, "height": 720}).new_page()
        page.goto(built_page(tmp_path).as_uri())
        first, second = (page.locator("section").nth(k) for k in (0, 1))
        assert (first.is_visible(), second.is_visible()) == (True, False)
        page.keyboard.press("ArrowRight")
        second.wait_for(state="visible")
        assert not first.is_visible()
        assert not page.locator("section.now aside").is_visible()
        page.keyboard.press("n")
        assert page.locator("section.now aside").is_visible()
        browser.close()


# Handing out.


def test_commands_of_the_guide_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([\w -]+):", makefile, re.MULTILINE))
    known = {name for line in targets for name in line.split()}
    named = set(re.findall(r"`?make ([a-z]+)", GUIDE))
    assert {"slides", "editions", "release", "book", "test"} <= named
    assert named <= known
    assert course.parse(["slides", "--pdf"]).pdf


def test_the_derivation_on_the_board_ends_where_the_theory_begins() -> None:
    board = section("The derivation on the board")
    assert r"\frac{V - L}{L\,V\,(V-1)}" in board
    assert r"b = \delta\,\tau , \quad a = \frac{\delta}{2L^2}\,\tau^2" in board
    for V, L, t in ((7, 4, 0.3), (5, 5, 2.0)):
        d = (V - L) / (L * V * (V - 1))
        flow = phase_portrait.symmetric_flow(0.0, 0.0, V, L, [t])
        ends = flow.a[0], flow.b[0]
        assert ends == pytest.approx((d / (2 * L**2) * t**2, d * t), rel=0.02)

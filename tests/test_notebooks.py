"""What every committed chapter promises: executed, described, checked, and free of one machine."""

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

import website

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted(
    path for path in (ROOT / "book").rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts
)
CHAPTERS = [path for path in NOTEBOOKS if re.match(r"\d\d_", path.name)]

SECTIONS = ["Objectives", "Running time", "Exercises", "Takeaways", "Where to go next"]
FOLDED = {"hide-input", "hide-cell"}
TAGS = {*FOLDED, "hide-output", "set-up", "nbval-check-output", "nbval-ignore-output"}
MAX_CODE_LINES = 25
MIN_ALT_LETTERS = 20
MAX_BYTES = 2_500_000
# Directories that exist on somebody's machine, not on the reader's.
MACHINE_PATH = re.compile(
    r"(?<![\w.:/])/(?:home|root|srv|tmp|work|Users|private)/|[A-Z]:\\\\?Users"
)

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def code_cells(path: Path) -> list[Any]:
    return [c for c in read(path).cells if c.cell_type == "code" and c.source.strip()]


def tags(cell: Any) -> set[str]:
    return set(cell.metadata.get("tags", []))


@each_notebook
def test_is_executed_without_error_and_small_enough_to_clone(path: Path) -> None:
    assert path.stat().st_size < MAX_BYTES
    cells = code_cells(path)
    assert cells, "a chapter without code would be a page"
    counts = [cell.execution_count for cell in cells]
    assert None not in counts, "run `make notebooks` and commit the outputs"
    assert counts == sorted(counts), "run `make notebooks`: the cells ran in another order"
    for number, cell in enumerate(cells, start=1):
        assert "error" not in {output.output_type for output in cell.outputs}, f"code cell {number}"
        assert tags(cell) <= TAGS, f"code cell {number}: the editions know no others"
    assert not website.fell_back(path), "it ran on the embedded corpus: set LESSONS_DATA, and again"


@each_notebook
def test_every_figure_has_a_text_of_its_own(path: Path) -> None:
    for number, cell in enumerate(code_cells(path), start=1):
        data = [output.get("data", {}) for output in cell.outputs]
        if not any("image/png" in bundle or "image/svg+xml" in bundle for bundle in data):
            continue
        alt = str(cell.metadata.get("mystnb", {}).get("image", {}).get("alt", ""))
        assert len(alt) >= MIN_ALT_LETTERS, (
            f'code cell {number} shows a figure: expected metadata "mystnb": {{"image": '
            f'{{"alt": ...}}}} that says what is to be seen in it, found {alt!r}'
        )


@each_notebook
def test_code_that_readers_see_fits_a_screen(path: Path) -> None:
    for number, cell in enumerate(code_cells(path), start=1):
        lines = len(cell.source.splitlines())
        assert lines <= MAX_CODE_LINES or tags(cell) & FOLDED, (
            f"code cell {number} has {lines} lines: move them to lessons_lib, split or fold it"
        )


@each_notebook
def test_shows_no_path_of_the_machine_it_ran_on(path: Path) -> None:
    assert all(map(MACHINE_PATH.search, ["in /home/ada/x.py", "'/tmp/a'", "C:\\Users\\Ada"]))
    for cell in read(path).cells:
        shown = [cell.source]
        for output in cell.get("outputs", []):
            data = output.get("data", {}).items()  # of which base64 has slashes too
            shown += [value for kind, value in data if not kind.startswith("image/")]
            shown += [output.get("text", "")]
        for text in map(str, shown):
            found = MACHINE_PATH.search(text)
            assert not found, text[max(0, found.start() - 60) : found.end() + 60]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_has_its_anatomy(path: Path) -> None:
    text = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    titles = re.findall(r"^(?:#{1,6}\s+|[:`]{3,}\{[\w-]+\}\s*|\*\*)(.*)$", text, flags=re.MULTILINE)
    missing = [word for word in SECTIONS if not any(word.lower() in t.lower() for t in titles)]
    assert not missing, f"no heading, admonition title or bold line names {missing}"
    assert len(re.findall(r"^# ", text, flags=re.MULTILINE)) == 1

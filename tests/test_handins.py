"""Each student's notebook is found, however it came, or the reason is told why it was not."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

import assignment
from environment import CourseError


def packed(*members: tuple[str, str | bytes]) -> bytes:
    """A zip file with these names and contents."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return file.getvalue()


def test_submissions_are_all_that_lies_in_folders(tmp_path: Path) -> None:
    names = [".DS_Store", "b.ipynb", "A.ZIP", "x.ipynb.txt", "notes.txt", ".x.ipynb"]
    for name in [*names, "Ann Lee_7_file_/p.ipynb", "more/c.zip", "more/B.ipynb"]:
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / "in" / name).touch()
    found = assignment.found_submissions([tmp_path / "in"])
    assert {path.name for path in found} == {*names[1:], "Ann Lee_7_file_", "more"}
    inside = tmp_path / "in" / "more"
    again = assignment.found_submissions([tmp_path / "in", inside, inside / "c.zip"])
    assert set(again) - set(found) == {inside / "c.zip", inside / "B.ipynb"}
    assert len(again) == len(found) + 2
    (tmp_path / "none").mkdir()
    for path in (tmp_path / "none", tmp_path / "nowhere"):
        with pytest.raises(CourseError, match="expected notebooks or zip files to grade, found no"):
            assignment.found_submissions([path])


CELL = {"cell_type": "code", "source": ["1\n", "2"]}
GOOD, OTHER = (json.dumps({"cells": [CELL] * n}) for n in (1, 2))
NESTED = packed(("a.ipynb", GOOD))


def submitted(folder: Path, files: dict[str, Any]) -> dict[str, Any]:
    """The notebook of the one student whose files these are."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    (found,) = assignment.found_submissions([folder])
    return assignment.read_submission(found)


@pytest.mark.parametrize(
    "files",
    [
        {"a.IPYNB": GOOD.encode("utf-16")},
        {"a.ipynb.txt": GOOD},
        {"a": GOOD},
        {"a.ZIP": packed(("set 1/a b.ipynb", GOOD), ("set 1/q1.py", "x"), ("x.zip/y", "z"))},
        {"a.zip": packed((".ipynb_checkpoints/a.ipynb", OTHER), ("c/a.ipynb.zip", NESTED))},
        {"ann/a b.ipynb": GOOD, "ann/report.pdf": b"%PDF\xff", "ann/._a b.ipynb": "x"},
        {"ann/deep/a.ipynb": GOOD, "ann/x.zip": NESTED, "ann/y.docx": packed(("word/a.xml", ""))},
    ],
)
def test_a_notebook_is_found_however_it_is_packed(tmp_path: Path, files: dict[str, Any]) -> None:
    assert submitted(tmp_path, files) == json.loads(GOOD)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.ipynb", "", "a.ipynb: it is empty"),
        ("a.ipynb", "My dog", "a.ipynb: Expecting value"),
        ("a.ipynb", b"\x80\xff", "a.ipynb: 'utf-8' codec"),
        ("a.ipynb", "[]", "it has no cells"),
        ("a.ipynb", '{"cells": ["x"]}', "it has no cells"),
        ("a.zip", packed(("a.ipynb", GOOD))[:-30], "a.zip: "),
        ("a.zip", packed(("a.txt", "x")), "(none)"),
        ("a.zip", packed(("a.ipynb", GOOD), ("b/b.ipynb", OTHER)), "(2, in a.zip, a.zip)"),
    ],
)
def test_what_is_no_submission_is_refused_with_its_reason(
    tmp_path: Path, name: str, content: str | bytes, words: str
) -> None:
    with pytest.raises(CourseError, match="expected a notebook, or a zip file with one") as error:
        submitted(tmp_path, {name: content})
    assert words in str(error.value)


def test_written_answers_stand_between_marks() -> None:
    begin, end = "<!-- BEGIN QUESTION -->\n\nWhy?", "<!-- END QUESTION -->"
    cells = [{"source": text} for text in ("x", begin, "So.\n", ["And ", "so."], end, "y")]
    assert assignment.written_answers({"cells": cells}) == "So.\n\nAnd so."

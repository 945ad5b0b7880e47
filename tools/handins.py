"""What was handed in: find each student's notebook among files, folders and zip files.

Standard library only: this runs before anything is installed.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from environment import CourseError

LARGEST = 100_000_000
"""Bytes of a file that can be a notebook; reading more would take all memory."""
WRITTEN = re.compile(r"<!-- (BEGIN|END) QUESTION -->")
SUFFIX = re.compile(r"\.(ipynb|zip)\b.*", re.IGNORECASE)
LITTER = re.compile(r"\._.*|\.DS_Store|\.ipynb_checkpoints|__MACOSX|Thumbs\.db|desktop\.ini", re.I)
LEFT_OUT = "made by the operating system or by Jupyter, not handed in"


def found_submissions(paths: Iterable[Path]) -> dict[str, list[Path]]:
    """Every file and folder among paths and directly in folders, by what it is called in the table.

    ``ann.ipynb``, ``Ann.ZIP`` and a folder ``ann`` are of one student: they stand in one row.

    Raises:
        CourseError: a path does not exist, or there is nothing.
    """
    students: dict[str, list[Path]] = {}
    for path in paths:
        if not path.exists():
            raise CourseError(f"expected notebooks or zip files to grade, found no {path}")
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            same = students.setdefault(stem(file).casefold(), [])
            same += [file] if file not in same else []
    if not students:
        raise CourseError("expected notebooks or zip files to grade, found none")
    return {
        stem(files[0]) if len(files) == 1 else " and ".join(file.name for file in files): files
        for files in students.values()
    }


def stem(path: Path) -> str:
    """The name without what makes it a notebook or a zip file; a folder's whole name."""
    return path.name if path.is_dir() else SUFFIX.sub("", path.name) or path.name


def notebooks(name: str, data: bytes, depth: int = 3) -> list[dict[str, Any]]:
    """The notebooks in a file: itself, or what a zip file has in its folders and zip files.

    The content counts, not the suffix of its name; but a file that is called a notebook or a zip
    file has to be one. At most ``depth`` zip files may lie in one another.

    Raises:
        ValueError: it is not what it is called, or too large.
    """
    called = SUFFIX.search(name) is not None
    try:
        if zipfile.is_zipfile(io.BytesIO(data)) and depth:
            found: list[dict[str, Any]] = []
            with zipfile.ZipFile(io.BytesIO(data)) as file:
                for member in file.infolist():
                    path = Path(member.filename)
                    litter = any(map(LITTER.fullmatch, path.parts))
                    if SUFFIX.search(path.name) and not member.is_dir() and not litter:
                        if member.file_size > LARGEST:
                            raise ValueError(f"{path} is too large")
                        found += notebooks(path.name, file.read(member), depth - 1)
            return found
        if not data:
            raise ValueError("it is empty")
        content = json.loads(data)  # in UTF-8, 16 or 32, with or without a mark
        cells = content.get("cells") if isinstance(content, dict) else None
        if not isinstance(cells, list) or not all(map(is_cell, cells)):
            raise ValueError("it has no cells with text")
        return [content]
    except (ValueError, RuntimeError, EOFError, zipfile.error, zlib.error) as error:
        if called:
            raise ValueError(f"{name}: {error}") from None
        return []


def is_cell(cell: Any) -> bool:
    """Whether it has a text, in one piece or in lines."""
    source = cell.get("source") if isinstance(cell, dict) else None
    lines = source if isinstance(source, list) else [source]
    return all(isinstance(line, str) for line in lines)


def read_submission(paths: Iterable[Path]) -> dict[str, Any]:
    """The one notebook in files and folders of a student; copies of it do no harm.

    Raises:
        CourseError: there is none, or there are several.
    """
    found: dict[str, dict[str, Any]] = {}
    where: list[str] = []
    try:
        for file, top in ((f, path) for path in paths for f in [path, *sorted(path.rglob("*"))]):
            litter = any(map(LITTER.fullmatch, file.relative_to(top).parts))
            if file.is_file() and not litter:
                if file.stat().st_size > LARGEST:
                    raise ValueError(f"{file.name} is too large")
                for one in notebooks(file.name, file.read_bytes()):
                    found[json.dumps(["".join(cell["source"]) for cell in one["cells"]])] = one
                    where.append(file.name)
        if len(found) != 1:
            raise ValueError(f"{len(found)}, in {', '.join(where)}" if found else "none")
    except (OSError, ValueError) as error:
        raise CourseError(
            f"expected a notebook, or a zip file with one, found something else ({error})"
        ) from None
    return next(iter(found.values()))


def written_answers(notebook: dict[str, Any]) -> str:
    """What stands between the marks that otter-grader puts around written questions."""
    answers: list[str] = []
    inside = False
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if mark := WRITTEN.match(text):
            inside = mark[1] == "BEGIN"
        elif inside:
            answers.append(text.strip())
    return "\n\n".join(answers)

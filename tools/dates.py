"""When each page of the book was last changed, from git where there is one.

Standard library only.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path


def _git(root: Path, *words: str) -> list[str]:
    """The lines that git says; none where it fails, or where there is no git."""
    command = ["git", "-c", "core.quotePath=false", *words]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, encoding="utf-8", check=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return done.stdout.splitlines()


def page_dates(root: Path) -> dict[str, str]:
    """The day of the last commit of each page in ``book/``: path below ``root``, and ISO date.

    A page with changes that are not committed is left out, and so is everything where nothing is
    known: a copy without its whole history, or inside somebody else's repository. The date of the
    build is right for these.
    """
    place = _git(root, "rev-parse", "--is-shallow-repository", "--show-toplevel")
    if place[:1] != ["false"] or Path(place[1]) != root.resolve():
        return {}
    pages = "--", "book/*.md", "book/*.ipynb"
    found: dict[str, str] = {}
    day = ""
    # Newest first: the first time that a path comes up is its last change.
    for line in _git(root, "log", "--format=%cs", "--name-only", *pages):
        if re.fullmatch(r"\d{4}-\d\d-\d\d", line):
            day = line
        elif line:
            found.setdefault(line, day)
    for line in _git(root, "status", "--porcelain", "--no-renames", *pages):
        found.pop(line[3:], None)
    return found

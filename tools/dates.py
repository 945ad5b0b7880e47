"""When each page of the book was last changed, from git where there is one.

Standard library only.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def _git(root: Path, *words: str) -> str:
    """What git says about a checkout; empty where it fails, or where there is no git."""
    try:
        done = subprocess.run(
            ["git", "-c", "core.quotePath=false", *words],
            cwd=root,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
    except OSError:
        return ""
    return "" if done.returncode else done.stdout


def page_dates(root: Path) -> dict[str, str]:
    """The day of the last commit of each page in ``book/``.

    A page with changes that are not committed is left out, and so is everything where nothing is
    known: a copy without its history, or with only the last commit of it. The date of the build is
    right for these.

    Args:
        root: top of the checkout.

    Returns:
        Path below ``root``, with slashes, and an ISO date.
    """
    if _git(root, "rev-parse", "--is-shallow-repository").strip() != "false":
        return {}
    if Path(_git(root, "rev-parse", "--show-toplevel").strip()) != root.resolve():
        return {}  # a copy inside somebody else's repository
    found: dict[str, str] = {}
    day = ""
    # Newest first: the first time that a path comes up is its last change.
    pages = "--", "book/*.md", "book/*.ipynb"
    for line in _git(root, "log", "--format=%cs", "--name-only", *pages).splitlines():
        if DAY.fullmatch(line):
            day = line
        elif line:
            found.setdefault(line, day)
    changed = _git(root, "status", "--porcelain", "--no-renames", *pages).splitlines()
    unknown = {line[3:] for line in changed}
    return {path: day for path, day in sorted(found.items()) if path not in unknown}

"""Which Chromium there is. Printing needs it, and the tests of the site; nothing else does."""

from __future__ import annotations

import os
import shutil

from environment import CourseError

NAMES = ("chromium", "chromium-browser", "google-chrome")
ABSENT = f"no {', '.join(NAMES[:-1])} or {NAMES[-1]} on PATH, and CHROMIUM is not set"

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
"""For a browser that asks nobody for anything."""


def find() -> str | None:
    """The program that ``CHROMIUM`` names, else the first on the PATH, else ``None``."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


def require() -> str:
    """The same, for what cannot do without.

    Raises:
        CourseError: there is none.
    """
    program = find()
    if not program:
        raise CourseError(
            f"expected Chromium for printing, found {ABSENT}; install one, for example with "
            "`apt-get install chromium`, or name a program in CHROMIUM"
        )
    return program

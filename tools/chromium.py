"""Which Chromium there is. Printing needs it, and the tests of the site; nothing else does."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from environment import CourseError

NAMES = ("chromium", "chromium-browser", "google-chrome")
ABSENT = f"no {', '.join(NAMES[:-1])} or {NAMES[-1]} on PATH, and CHROMIUM is not set"

# For a browser that asks nobody for anything.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update"]


def find() -> str | None:
    """The program that ``CHROMIUM`` names, else the first on the PATH, else ``None``."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


def printed(page: Path, outline: bool = False) -> bytes:
    """An HTML file as PDF, on sheets of the size that it asks for. CourseError: no Chromium."""
    if not (program := find()):
        raise CourseError(
            f"expected Chromium for printing, found {ABSENT}; install one, for example with "
            "`apt-get install chromium`, or print the HTML page with any browser."
        )
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        tab = browser.new_page()
        tab.set_default_timeout(300_000)
        tab.goto(page.absolute().as_uri())
        tab.evaluate("() => document.fonts.ready.then(() => 1)")
        pdf: bytes = tab.pdf(prefer_css_page_size=True, tagged=True, outline=outline)
        browser.close()
    return pdf

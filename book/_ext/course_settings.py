"""What the extensions of the book know of the course: its version and its addresses.

One place says it, ``[tool.course]`` in ``pyproject.toml``; staging copies that file
next to the sources of the site. A module to import, not an extension.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Addresses without a slash at the end.

    Attributes:
        version: of the course.
        repository: on GitHub.
        site: of the published book.
    """

    version: str
    repository: str
    site: str


def read(source: str | Path) -> Settings:
    """The settings of a staged book.

    Args:
        source: directory of the sources of the site.
    """
    text = (Path(source) / "pyproject.toml").read_text(encoding="utf-8")
    found = tomllib.loads(text)
    course = found["tool"]["course"]
    return Settings(found["project"]["version"], course["repository"], course["site"])

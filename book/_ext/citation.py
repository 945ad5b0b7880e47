"""A Sphinx extension with the directive ``citation``: how to cite, as BibTeX to copy.

````md
```{citation} snell2021
```
````

shows that entry of the book's bibliography, and an entry for the course, which is made
of ``CITATION.cff`` and ``pyproject.toml``. Nothing is written by hand, so nothing goes
stale.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from pybtex.database import parse_file
from sphinx.util.docutils import SphinxDirective

import course_settings

KEY = "howattentionlearns"


def entry_of(bibliography: Path, key: str) -> str:
    """An entry of a BibTeX file, as BibTeX.

    Raises:
        ValueError: it has no such entry.
    """
    entries = parse_file(str(bibliography)).entries
    if key not in entries:
        raise ValueError(f"{bibliography.name} has no entry {key!r}")
    return str(entries[key].to_string("bibtex")).strip()


def course_entry(cff: str, settings: course_settings.Settings) -> str:
    """The course as BibTeX, of ``CITATION.cff`` (and its address, if that has none)."""
    found = yaml.safe_load(cff)
    names = [
        f"{{{who['name']}}}" if "name" in who else f"{who['family-names']}, {who['given-names']}"
        for who in found["authors"]
    ]
    fields = {
        "author": " and ".join(names),
        "title": f"{{{found['title']}}}",
        "year": str(found["date-released"])[:4],
        "version": found["version"],
        "url": found.get("url", settings.site),
    }
    lines = [f"    {name} = {{{value}}}" for name, value in fields.items()]
    return "@software{" + KEY + ",\n" + ",\n".join(lines) + "\n}"


class Citation(SphinxDirective):
    """The paper and the course, each as BibTeX."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Both entries under their headlines."""
        top = Path(self.env.srcdir)
        bibliography, cff = top / self.config.bibtex_bibfiles[0], top / "CITATION.cff"
        for path in (bibliography, cff, top / "pyproject.toml"):
            self.env.note_dependency(str(path))
        try:
            paper = entry_of(bibliography, self.arguments[0])
        except ValueError as problem:
            raise self.error(str(problem)) from None
        course = course_entry(cff.read_text("utf-8"), course_settings.read(top))
        box = nodes.container(classes=["citation-box"])
        for headline, text in (("The paper", paper), ("This course", course)):
            shown = f"**{headline}**\n\n```bibtex\n{text}\n```"
            box += self.parse_text_to_nodes(shown)
        return [box]


def setup(app: Any) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("citation", Citation)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

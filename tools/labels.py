"""What the pages of the book may refer to: labels and their numbers, titles, citations, addresses.

Labels are read from the cells, not from Sphinx's build: only a notebook knows the cell that Colab
scrolls to, and then the number of an equation is one count. A test compares it with the site.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import nbformat
import yaml
from docutils.nodes import make_id
from pybtex.database import BibliographyData, Person
from pybtex.database.input.bibtex import Parser as BibTeX

import website
from environment import CourseError, Project
from myst import Parser


@dataclass(frozen=True)
class Settings:
    """What a release sets.

    Attributes:
        version: of ``lessons_lib`` and of the course.
        repository: address of the repository, without a slash at the end.
        site: address of the published book, without a slash at the end.
        wheel_sha256: digest of the released wheel of ``lessons_lib``; empty before a release.
    """

    version: str
    repository: str
    site: str
    wheel_sha256: str = ""

    @property
    def tag(self) -> str:
        """Name of the tag of the release; it is never moved."""
        return f"v{self.version}"

    @property
    def wheel(self) -> str:
        """Address of the wheel that notebooks install, among the files of the release."""
        file = f"lessons_lib-{self.version}-py3-none-any.whl"
        return f"{self.repository}/releases/download/{self.tag}/{file}"


def read_settings(root: Path) -> Settings:
    """The settings of a checkout, from its ``pyproject.toml``."""
    found = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    try:
        course = found["tool"]["course"]
        addresses = course["repository"], course["site"], course.get("wheel_sha256", "")
        return Settings(found["project"]["version"], *addresses)
    except KeyError as error:
        raise CourseError(
            "pyproject.toml: expected [project] version and [tool.course] repository and site, "
            f"found no {error}"
        ) from None


@dataclass(frozen=True)
class Label:
    """What a label stands for.

    Attributes:
        page: name of its page, as in ``book/notation``.
        cell: id of its cell; empty on pages that are no notebooks.
        kind: heading, equation, exercise or block.
        title: Markdown of its heading or title; may be empty.
        number: of an equation, as on the site: ``6.2``, or ``2`` on a page that is no numbered
            chapter; else empty.
    """

    page: str
    cell: str
    kind: str
    title: str = ""
    number: str = ""


@dataclass
class Book:
    """The pages of a checkout, in reading order, read for what they refer to.

    ``titles`` are those of the pages, ``chapters`` the numbers of the numbered ones.
    """

    settings: Settings
    parser: Parser
    references: BibliographyData
    titles: dict[str, str] = field(default_factory=dict)
    chapters: dict[str, int] = field(default_factory=dict)
    labels: dict[str, Label] = field(default_factory=dict)

    def label(self, name: str) -> Label:
        """What a label stands for.

        Raises:
            CourseError: nothing has this label.
        """
        if name not in self.labels:
            raise CourseError(f"nothing has the label {name!r}")
        return self.labels[name]

    def address(self, page: str, anchor: str = "") -> str:
        """Address of a page on the site."""
        return f"{self.settings.site}/{page}.html" + (f"#{anchor}" if anchor else "")

    def label_address(self, name: str) -> str:
        """Address on the site of what a label stands for."""
        found = self.label(name)
        # sphinx-exercise leaves labels as they are, all others make identifiers of them.
        anchor = name if found.kind == "exercise" else make_id(name)
        prefix = "equation-" if found.kind == "equation" else ""
        return self.address(found.page, prefix + anchor)

    def citation(self, key: str) -> tuple[str, str, str]:
        """Authors as the site names them, year and address of an entry of the bibliography.

        Raises:
            CourseError: there is no such entry.
        """
        if key not in self.references.entries:
            raise CourseError(f"the bibliography has no entry {key!r}")
        entry = self.references.entries[key]
        address = entry.fields.get("url", self.address("book/bibliography"))
        for name, site in (("doi", "https://doi.org/"), ("eprint", "https://arxiv.org/abs/")):
            if name in entry.fields:
                address = site + entry.fields[name]
        names = [
            " ".join(
                str(part.render_as("text")) for part in (*p.rich_prelast_names, *p.rich_last_names)
            )
            for p in cast("list[Person]", entry.persons.get("author", []))
        ]
        who = " and ".join(names) if len(names) == 2 else names[0] if names else str(key)
        return who + " et al." * (len(names) > 2), entry.fields.get("year", "no date"), address


def read_book(project: Project, settings: Settings | None = None) -> Book:
    """Read every page that ``_toc.yml`` names; ``settings`` replace those in ``pyproject.toml``.

    Raises:
        CourseError: a label is given twice.
    """
    root = project.root
    config: dict[str, Any] = yaml.safe_load((root / "_config.yml").read_text("utf-8")) or {}
    toc = yaml.safe_load((root / "_toc.yml").read_text("utf-8"))
    files = config.get("sphinx", {}).get("config", {}).get("bibtex_bibfiles", ())
    book = Book(
        settings or read_settings(root),
        Parser(config.get("parse", {}).get("myst_enable_extensions", ())),
        BibTeX().parse_files([root / name for name in files]),
    )
    for part in toc.get("parts", ()):
        if part.get("numbered"):
            first = len(book.chapters) + 1  # as on the site: numbers go on from part to part
            book.chapters |= {each["file"]: n for n, each in enumerate(part["chapters"], first)}
    counts: Counter[str] = Counter()
    for page, path in website.page_sources(project).items():
        for cell, text in markdown_cells(path):
            for name, label in _labels(book, page, cell, text, counts):
                if name in book.labels:
                    raise CourseError(
                        f"{path.name}, cell {cell or '-'}: the label {name!r} is given twice"
                    )
                book.labels[name] = label
    return book


def markdown_cells(path: Path) -> list[tuple[str, str]]:
    """Id and text of each Markdown cell; of a page that is no notebook, one without an id."""
    if path.suffix != ".ipynb":
        return [("", path.read_text(encoding="utf-8"))]
    notebook = nbformat.read(path, as_version=4)
    return [(cell.get("id", ""), cell.source) for cell in notebook.cells if is_markdown(cell)]


def is_markdown(cell: Any) -> bool:
    """Whether a cell is text."""
    return bool(cell.cell_type == "markdown")


def _labels(
    book: Book, page: str, cell: str, text: str, counts: Counter[str]
) -> Iterator[tuple[str, Label]]:
    """The labels of a text; ``counts`` says how many equations of a chapter went before."""
    targets: list[str] = []
    previous = ""
    for token, found in book.parser.walk(text):
        label = Label(page, cell, "block")
        names: list[str] = []
        if found:
            names = [found.options[key] for key in ("label", "name") if key in found.options]
            label = replace(label, title=found.argument)
        if found and found.name.startswith("exercise"):
            label = replace(label, kind="exercise")
        if token.type == "math_block_label" or (found and found.name == "math" and names):
            names = names or [token.info]
            chapter = f"{book.chapters[page]}." if page in book.chapters else ""
            counts[chapter] += 1
            label = Label(page, cell, "equation", "", f"{chapter}{counts[chapter]}")
        if previous == "heading_open":
            book.titles.setdefault(page, token.content)
            label = Label(page, cell, "heading", token.content)
        previous = token.type
        if token.type == "myst_target":
            targets.append(token.content)
        elif token.type != "heading_open":
            yield from ((name, label) for name in (*targets, *names))
            targets.clear()
    yield from ((name, Label(page, cell, "block")) for name in targets)

"""What the pages of the book may refer to: labels and their numbers, titles, citations, addresses.

Numbers are those of the site: equations with a label, exercises, and figures and tables with a
caption are each counted through the whole book, in the order of ``_toc.yml``.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import nbformat
import yaml
from docutils.nodes import make_id
from pybtex.database import BibliographyData, Entry, Person, parse_file

import website
from environment import CourseError, Project
from myst import Directive, Parser

EXERCISES = ("exercise", "exercise-start")


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
        kind: heading, equation, exercise, figure, table or block.
        title: Markdown of its heading or title; may be empty.
        number: within its kind, as on the site: ``6.2``, or ``2`` on a page that is no numbered
            chapter; empty for what has none.
    """

    page: str
    cell: str
    kind: str
    title: str = ""
    number: str = ""


@dataclass
class Book:
    """The pages of a checkout, read for what they refer to.

    Attributes:
        root: top directory of the checkout.
        settings: version and addresses.
        parser: the book's parser.
        references: entries of the bibliography.
        titles: of each page, in reading order.
        chapters: number of each numbered chapter.
        labels: what each label stands for.
    """

    root: Path
    settings: Settings
    parser: Parser
    references: BibliographyData
    titles: dict[str, str] = field(default_factory=dict)
    chapters: dict[str, int] = field(default_factory=dict)
    labels: dict[str, Label] = field(default_factory=dict)

    def address(self, page: str, anchor: str = "") -> str:
        """Address of a page on the site."""
        return f"{self.settings.site}/{page}.html" + (f"#{anchor}" if anchor else "")

    def label_address(self, name: str) -> str:
        """Address on the site of what a label stands for."""
        label = self.labels[name]
        # sphinx-exercise leaves labels as they are, all others make identifiers of them.
        anchor = name if label.kind == "exercise" else make_id(name)
        return self.address(
            label.page, f"equation-{anchor}" if label.kind == "equation" else anchor
        )

    def citation(self, key: str) -> tuple[str, str, str]:
        """Authors, year and address of an entry of the bibliography.

        Raises:
            CourseError: there is no such entry.
        """
        if key not in self.references.entries:
            raise CourseError(f"the bibliography has no entry {key!r}")
        entry = self.references.entries[key]
        fields = entry.fields
        if "eprint" in fields:
            address = f"https://arxiv.org/abs/{fields['eprint']}"
        elif "doi" in fields:
            address = f"https://doi.org/{fields['doi']}"
        else:
            address = fields.get("url", self.address("book/bibliography"))
        return authors(entry), fields.get("year", "no date"), address


def authors(entry: Entry) -> str:
    """Family names as the site cites them: one, two, or the first and "et al."."""
    people = cast("list[Person]", entry.persons.get("author") or entry.persons.get("editor") or [])
    names = [
        " ".join(
            str(part.render_as("text")) for part in (*p.rich_prelast_names, *p.rich_last_names)
        )
        for p in people
    ]
    if not names:
        return str(entry.fields.get("title", entry.key))
    if len(names) == 2:
        return " and ".join(names)
    return names[0] + (" et al." if len(names) > 2 else "")


def read_book(project: Project, settings: Settings | None = None) -> Book:
    """Read every page that ``_toc.yml`` names.

    Args:
        project: the course.
        settings: in place of those in ``pyproject.toml``.

    Raises:
        CourseError: a label is given twice, or an exercise or a figure with a caption has none.
    """
    root = project.root
    config: dict[str, Any] = yaml.safe_load((root / "_config.yml").read_text("utf-8")) or {}
    parser = Parser(config.get("parse", {}).get("myst_enable_extensions", ()))
    references = BibliographyData()
    for name in config.get("sphinx", {}).get("config", {}).get("bibtex_bibfiles", ()):
        for key, entry in parse_file(str(root / name)).entries.items():
            references.add_entry(key, entry)
    book = Book(root, settings or read_settings(root), parser, references)
    toc = yaml.safe_load((root / "_toc.yml").read_text("utf-8"))
    book.chapters |= chapter_numbers(toc)
    counts: Counter[str] = Counter()
    for page, path in website.page_sources(project).items():
        for cell, text in markdown_cells(path):
            try:
                _read_text(book, page, cell, text, counts)
            except CourseError as error:
                raise CourseError(f"{path.name}, cell {cell or '-'}: {error}") from None
    return book


def chapter_numbers(toc: dict[str, Any]) -> dict[str, int]:
    """Number of each chapter, through all parts of a ``_toc.yml`` that say ``numbered``."""
    found: dict[str, int] = {}
    for part in toc.get("parts", ()):
        if part.get("numbered"):
            first = len(found) + 1  # as on the site: numbers go on from part to part
            found |= {each["file"]: n for n, each in enumerate(part["chapters"], first)}
    return found


def markdown_cells(path: Path) -> list[tuple[str, str]]:
    """Id and text of each Markdown cell; of a page that is no notebook, one without an id."""
    if path.suffix != ".ipynb":
        return [("", path.read_text(encoding="utf-8"))]
    notebook = nbformat.read(path, as_version=4)
    return [(cell.get("id", ""), cell.source) for cell in notebook.cells if is_markdown(cell)]


def is_markdown(cell: Any) -> bool:
    """Whether a cell is text."""
    return bool(cell.cell_type == "markdown")


def _read_text(book: Book, page: str, cell: str, text: str, counts: Counter[str]) -> None:
    """Enter the title and the labels of a text; ``counts`` says how many went before."""

    def enter(name: str, label: Label) -> None:
        if name in book.labels:
            raise CourseError(f"the label {name!r} is given twice")
        book.labels[name] = label

    targets: list[str] = []
    heading = False
    for token, found in book.parser.walk(text):
        if token.type == "myst_target":
            targets.append(token.content)
        elif token.type == "math_block_label":
            enter(token.info, numbered(book, page, cell, "equation", counts))
        elif token.type == "inline" and heading:
            book.titles.setdefault(page, token.content)
            for name in targets:
                enter(name, Label(page, cell, "heading", token.content))
            targets.clear()
        elif targets and token.type in ("paragraph_open", "bullet_list_open", "table_open"):
            for name in targets:
                enter(name, Label(page, cell, "block"))
            targets.clear()
        heading = token.type == "heading_open"
        if found:
            own = _name_of(found)
            kind = _kind_of(found)
            label = (
                numbered(
                    book, page, cell, kind, counts, found.argument if kind == "exercise" else ""
                )
                if kind
                else Label(page, cell, "block", found.argument)
            )
            for name in (*targets, *([own] if own else [])):
                enter(name, label)
            targets.clear()
    for name in targets:
        enter(name, Label(page, cell, "block"))


def numbered(
    book: Book, page: str, cell: str, kind: str, counts: Counter[str], title: str = ""
) -> Label:
    """A label with the next number of its kind in its chapter."""
    chapter = f"{book.chapters[page]}." if page in book.chapters else ""
    counts[chapter + kind] += 1
    return Label(page, cell, kind, title, f"{chapter}{counts[chapter + kind]}")


def _name_of(found: Directive) -> str:
    return found.options.get("label") or found.options.get("name", "")


def _kind_of(found: Directive) -> str:
    """What a directive is counted as; empty if it is not counted.

    Raises:
        CourseError: it is counted, and nothing can refer to it.
    """
    kind = ""
    if found.name in EXERCISES and "nonumber" not in found.options:
        kind = "exercise"
    elif found.name == "figure" and found.body:
        kind = "figure"
    elif found.name == "table" and found.argument:
        kind = "table"
    elif found.name == "math" and _name_of(found):
        kind = "equation"
    if kind and not _name_of(found):
        option = "label" if kind == "exercise" else "name"
        raise CourseError(f"a numbered {found.name} needs a line :{option}: of its own")
    return kind

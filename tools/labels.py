"""What the pages of the book may refer to: labels and their numbers, titles, citations, addresses.

Labels are read from the cells with the parser of the book, not from Sphinx's build, which takes
minutes and does not know the cell that Colab scrolls to. A test compares numbers with the site.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import yaml
from docutils.nodes import make_id
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser
from pybtex.database import BibliographyData
from pybtex.database.input.bibtex import Parser as BibTeX

import website
from environment import CourseError, Project

# Directives whose body is not Markdown with directives of its own.
LITERAL = {"math", "code", "code-block", "eval-rst", "figure", "image", "glossary", "toctree"}


@dataclass(frozen=True)
class Settings:
    """What a release sets; addresses have no slash at the end."""

    version: str  # of lessons_lib and of the course
    repository: str
    site: str  # of the published book
    wheel_sha256: str = ""  # of the released wheel of lessons_lib; empty before a release

    @property
    def tag(self) -> str:
        """Name of the tag of the release."""
        return f"v{self.version}"

    @property
    def wheel(self) -> str:
        """Address of the wheel that notebooks install, among the files of the release."""
        file = f"lessons_lib-{self.version}-py3-none-any.whl"
        return f"{self.repository}/releases/download/{self.tag}/{file}"


def read_settings(root: Path) -> Settings:
    """The settings of a checkout, from its ``pyproject.toml``."""
    found = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    return Settings(found["project"]["version"], **found["tool"]["course"])


@dataclass(frozen=True)
class Directive:
    """A directive: ``name``, the rest of its first line, lines ``:key: value``, and all else."""

    name: str
    argument: str
    options: dict[str, str]
    body: str


def directive(info: str, content: str) -> Directive:
    """A directive of its first line, behind the fence, and of what is below."""
    name, _, argument = info[1:].partition("}")
    lines = content.splitlines()
    options: dict[str, str] = {}
    while lines and lines[0].startswith(":") and ":" in lines[0][1:]:
        key, _, value = lines.pop(0)[1:].partition(":")
        options[key.strip()] = value.strip()
    return Directive(name.strip(), argument.strip(), options, "\n".join(lines).strip("\n"))


class Parser:
    """The book's parser, with the MyST ``extensions`` that are switched on."""

    def __init__(self, extensions: Iterable[str]) -> None:
        config = MdParserConfig(enable_extensions=set(extensions))
        # The tokens of a text; what is inside of directives is not looked at.
        self.blocks = create_md_parser(config, RendererHTML).parse

    def walk(self, text: str) -> Iterator[tuple[Token, Directive | None]]:
        """All blocks of a text, those inside directives included, in reading order."""
        for token in self.blocks(text):
            fenced = token.type in ("fence", "colon_fence") and token.info.startswith("{")
            found = directive(token.info, token.content) if fenced else None
            yield token, found
            if found and found.name not in LITERAL:
                yield from self.walk(found.body)


@dataclass(frozen=True)
class Label:
    """What a label stands for."""

    page: str  # as in book/notation
    cell: str  # its id; empty on pages that are no notebooks
    kind: str  # heading, equation or exercise
    title: str = ""  # Markdown
    number: str = ""  # of an equation, as on the site: 6.2; 2 on a page that is no numbered chapter


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
        """What a label stands for. CourseError: nothing has this label."""
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
        return self.address(found.page, "equation-" * (found.kind == "equation") + anchor)

    def citation(self, key: str) -> tuple[str, str, str]:
        """Authors as the site names them, year and address. CourseError: there is no such entry."""
        if key not in self.references.entries:
            raise CourseError(f"the bibliography has no entry {key!r}")
        entry = self.references.entries[key]
        address = self.address("book/bibliography")
        if "eprint" in entry.fields:
            address = f"https://arxiv.org/abs/{entry.fields['eprint']}"
        persons = entry.persons["author"]
        names = [" ".join(map(str, (*p.rich_prelast_names, *p.rich_last_names))) for p in persons]
        who = " and ".join(names) if len(names) == 2 else names[0]
        return who + " et al." * (len(names) > 2), entry.fields.get("year", "no date"), address


def read_book(project: Project) -> Book:
    """Read every page that ``_toc.yml`` names."""
    root = project.root
    config, toc = (
        yaml.safe_load((root / f"_{x}.yml").read_text("utf-8")) for x in ("config", "toc")
    )
    book = Book(
        read_settings(root),
        Parser(config["parse"]["myst_enable_extensions"]),
        BibTeX().parse_file(root / "book" / "references.bib"),
    )
    numbered = (part for part in toc["parts"] if part.get("numbered"))
    pages = (chapter["file"] for part in numbered for chapter in part["chapters"])
    book.chapters = {page: n for n, page in enumerate(pages, 1)}  # it goes on from part to part
    counts: Counter[str] = Counter()
    for page, path in website.page_sources(project).items():
        for cell, text in markdown_cells(path):
            for name, label in _labels(book, page, cell, text, counts):
                if book.labels.setdefault(name, label) is not label:
                    place = f"{path.name}, cell {cell or '-'}"
                    raise CourseError(f"{place}: the label {name!r} is given twice")
    return book


def markdown_cells(path: Path) -> list[tuple[str, str]]:
    """Id and text of each Markdown cell; of a page that is no notebook, one without an id."""
    if path.suffix != ".ipynb":
        return [("", path.read_text(encoding="utf-8"))]
    cells = nbformat.read(path, as_version=4).cells
    return [(cell.get("id", ""), cell.source) for cell in cells if cell.cell_type == "markdown"]


def _labels(
    book: Book, page: str, cell: str, text: str, counts: Counter[str]
) -> Iterator[tuple[str, Label]]:
    """The labels of a text; ``counts`` says how many equations of a chapter went before."""
    targets: list[str] = []  # they stand before the heading that they are for
    previous = ""
    for token, found in book.parser.walk(text):
        if previous == "heading_open":
            book.titles.setdefault(page, token.content)
            yield from ((name, Label(page, cell, "heading", token.content)) for name in targets)
        elif found and "label" in found.options:
            label = Label(page, cell, "exercise", found.argument)
            if found.name == "math":
                chapter = f"{book.chapters[page]}." if page in book.chapters else ""
                counts[chapter] += 1
                label = Label(page, cell, "equation", number=f"{chapter}{counts[chapter]}")
            yield found.options["label"], label
        if token.type == "myst_target":
            targets.append(token.content)
        elif token.type != "heading_open":
            targets.clear()
        previous = token.type

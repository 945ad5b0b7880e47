"""The editions of the chapters, and the cells that all chapters share.

Every chapter gets the badge and the install cell; ``colab/`` has the Colab edition, ``student/``
the one without solutions. Nothing there is written by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat

import website
from environment import Project, write_atomically
from execute import KERNEL
from labels import Book, Settings, read_book, read_settings
from plain import Converter

INSTALL_ID, BADGE_ID, STUDENT_ID = "install", "colab-badge", "student-edition"
STUDENT_NOTE = """\
> **Student edition.** Solutions are left out, hints are kept. `check(...)` below an exercise says \
whether an answer is right, and if not, which mistake it probably is."""
FOLDERS = ("colab", "student")
# What a reader's runtime has stays as it is: pip replaces nothing that fits the loose ranges of
# pyproject.toml. `packaging` comes with every Jupyter kernel. The package is not imported before,
# so that a new one needs no restart; where one is needed, %pip says so.
INSTALL_CELL = """\
# @title Install lessons_lib, the course's package (does nothing where it is there)
from importlib.metadata import distributions

from packaging.version import Version

found = [Version(each.version) for each in distributions(name="lessons_lib")]
if not found or found[0] < Version("{0.version}"):
    %pip install -q "{0.wheel}#sha256={0.wheel_sha256}\""""
# Before a release there is no address to install from.
CHECKOUT_CELL = """\
# @title The course's package, lessons_lib
from importlib.util import find_spec

if not find_spec("lessons_lib"):
    raise ModuleNotFoundError(
        "Do `pip install .` in the course's directory; restart the kernel."
    )"""


def install_cell(settings: Settings) -> str:
    """The first code cell of every chapter: it installs the one wheel of the release, if any."""
    return INSTALL_CELL.format(settings) if settings.wheel_sha256 else CHECKOUT_CELL


def prepared(notebook: Any, settings: Settings, name: str) -> Any:
    """Put badge and install cell behind the title of a chapter, or renew them, in place.

    Before a release there is no address behind a badge, and no badge.
    """
    ours = {cell["id"]: cell for cell in notebook.cells if cell["id"] in (INSTALL_ID, BADGE_ID)}
    title, *rest = (cell for cell in notebook.cells if cell["id"] not in ours)
    install = ours.get(INSTALL_ID) or nbformat.v4.new_code_cell(id=INSTALL_ID)
    install.source = install_cell(settings)
    install.metadata["tags"] = ["hide-input"]
    notebook.cells = [title, install, *rest]
    if settings.wheel_sha256:
        path = settings.repository.removeprefix("https://github.com/")
        host = "https://colab.research.google.com/github"
        address = f"{host}/{path}/blob/{settings.tag}/colab/{name}.ipynb"
        badge = f"[![Open in Colab](_static/colab.svg)]({address})"
        notebook.cells.insert(1, nbformat.v4.new_markdown_cell(badge, id=BADGE_ID))
    return notebook


def written(notebook: Any) -> str:
    """A notebook as text; the same notebook gives the same bytes."""
    nbformat.validate(notebook)
    return str(nbformat.writes(notebook)).rstrip("\n") + "\n"


def edition_cell(cell: Any, converter: Converter) -> Any | None:
    """One cell of an edition, or ``None`` for a cell that it lacks.

    A folded guard (``hide-cell``) would stop a reader who changes what it asserts. The set-up is
    folded on the site; in a notebook, where it runs first, readers see it.
    """
    tags = cell.metadata.get("tags", [])
    if cell["id"] == BADGE_ID or "hide-cell" in tags:
        return None
    metadata: dict[str, Any] = {"id": cell["id"]}  # Colab finds its links to cells by this
    if cell.cell_type == "markdown":
        text = converter.convert(cell.source, cell["id"])
        made = nbformat.v4.new_markdown_cell(text, id=cell["id"], metadata=metadata)
        return made if text else None
    if "hide-input" in tags and "set-up" not in tags:
        metadata |= {"cellView": "form", "jupyter": {"source_hidden": True}}
    return nbformat.v4.new_code_cell(cell.source, id=cell["id"], metadata=metadata)


def edition(book: Book, path: Path, *, student: bool = False) -> Any:
    """The Colab edition of a chapter, or the student edition, which has no solutions."""
    converter = Converter(book, f"book/{path.stem}", student=student)
    source = nbformat.read(path, as_version=4)
    cells = [made for cell in source.cells if (made := edition_cell(cell, converter))]
    if student:
        note = {"id": STUDENT_ID, "metadata": {"id": STUDENT_ID}}
        cells.insert(1, nbformat.v4.new_markdown_cell(STUDENT_NOTE, **note))
    metadata = {
        "colab": {"name": path.name, "provenance": [], "toc_visible": True},
        "kernelspec": KERNEL,
        "language_info": {"name": "python"},
    }
    return nbformat.v4.new_notebook(cells=cells, metadata=metadata)


def wanted(project: Project) -> Iterator[tuple[Path, str]]:
    """What each chapter should be, with badge and install cell, then what each edition should be.

    A file of an edition whose chapter is gone should be empty. Editions are made of chapters as
    they are by then.
    """
    settings, chapters = read_settings(project.root), website.chapters(project)
    for path in chapters:
        notebook = nbformat.read(path, as_version=4)
        yield path, written(prepared(notebook, settings, path.stem))
    book = read_book(project)
    for folder in (project.root / name for name in FOLDERS):
        for path in chapters:
            yield folder / path.name, written(edition(book, path, student=folder.name == "student"))
        for path in set(folder.glob("*.ipynb")) - {folder / path.name for path in chapters}:
            yield path, ""


def stale(project: Project, mend: bool) -> list[str]:
    """Chapters and editions that are not what they should be; ``mend``: make them so."""
    found = []
    for path, text in wanted(project):
        if (path.read_text(encoding="utf-8") if path.exists() else "") == text:
            continue
        found.append(path.relative_to(project.root).as_posix())
        if mend and text:
            write_atomically(path, text)
        elif mend:
            path.unlink()
    return sorted(found)


def renew(project: Project) -> int:
    """Bring chapters and editions up to date."""
    print("\n".join(f"{name}: renewed" for name in stale(project, mend=True)) or "Up to date.")
    return 0

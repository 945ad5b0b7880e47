"""The editions of the chapters, and the cells that all chapters share.

``python tools/editions.py prepare`` puts the badge and the install cell into every chapter,
``build`` writes the Colab edition into ``colab/``, ``check`` says whether both are up to date. The
notebooks in ``book/`` are the one source; nothing in ``colab/`` is written by hand.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import nbformat

import website
from environment import CourseError, Project, write_atomically
from labels import Book, Settings, is_markdown, read_book, read_settings
from plain import Converter

INSTALL_ID, BADGE_ID = "install", "colab-badge"
HIDDEN_TAGS = {"hide-input", "hide-cell", "remove-input"}
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}

# What a reader's runtime has stays as it is: pip replaces nothing that fits the loose ranges of
# pyproject.toml. `packaging` comes with every Jupyter kernel. At most 25 lines.
INSTALL_CELL = """\
# @title Install lessons_lib, the course's package (does nothing where it is there)
import sys
from subprocess import getstatusoutput

from packaging.version import Version

WANTED = Version("@VERSION@")
ADDRESS = "@ARCHIVE@"
in_use = "lessons_lib" in sys.modules
try:
    import lessons_lib

    ready = Version(lessons_lib.__version__) >= WANTED
except (ImportError, AttributeError):
    ready = False
if in_use and not ready:
    raise RuntimeError("An older lessons_lib is in use: restart the session and rerun.")
if not ready:
    sys.modules.pop("lessons_lib", None)
    failed, said = getstatusoutput(f'"{sys.executable}" -m pip install -q {ADDRESS}')
    if failed:
        raise RuntimeError(f"Cannot install {ADDRESS}\\nGo online, run again.\\n{said}")
    import lessons_lib

    assert Version(lessons_lib.__version__) >= WANTED, f"too old: {lessons_lib}"
"""


def install_cell(settings: Settings) -> str:
    """The first code cell of every chapter."""
    cell = INSTALL_CELL.replace("@VERSION@", settings.version)
    return cell.replace("@ARCHIVE@", settings.archive).rstrip("\n")


def colab_address(settings: Settings, name: str) -> str:
    """Address that opens a chapter in Colab.

    Raises:
        CourseError: the repository is not on GitHub, where Colab takes notebooks from.
    """
    parts = urlsplit(settings.repository)
    path = parts.path.strip("/")
    if parts.scheme != "https" or parts.netloc != "github.com" or path.count("/") != 1:
        raise CourseError(
            "[tool.course] repository: expected https://github.com/OWNER/NAME, "
            f"found {settings.repository!r}"
        )
    host = "https://colab.research.google.com/github"
    return f"{host}/{path}/blob/{settings.tag}/colab/{name}.ipynb"


def badge(settings: Settings, name: str) -> str:
    """The cell that leads from a chapter to Colab."""
    return f"[![Open in Colab](_static/colab.svg)]({colab_address(settings, name)})"


# Chapters ---------------------------------------------------------------------------------------


def prepared(notebook: Any, settings: Settings, name: str) -> Any:
    """Put badge and install cell behind the title of a chapter; the same again if they are there.

    Args:
        notebook: as nbformat reads it; changed in place.
        settings: version and addresses.
        name: of the chapter, without suffix.

    Returns:
        The notebook.

    Raises:
        CourseError: the first cell has no title.
    """
    ours = {cell["id"]: cell for cell in notebook.cells if cell["id"] in (INSTALL_ID, BADGE_ID)}
    cells = [cell for cell in notebook.cells if cell["id"] not in ours]
    if not cells or not is_markdown(cells[0]):
        raise CourseError(f"{name}.ipynb: expected a first cell of text with the title")
    shown = ours.get(BADGE_ID) or nbformat.v4.new_markdown_cell(id=BADGE_ID)
    install = ours.get(INSTALL_ID) or nbformat.v4.new_code_cell(id=INSTALL_ID)
    shown.source = badge(settings, name)
    install.source = install_cell(settings)
    install.metadata["tags"] = ["hide-input"]
    notebook.cells = [cells[0], shown, install, *cells[1:]]
    return notebook


def written(notebook: Any) -> str:
    """A notebook as text; the same notebook gives the same bytes."""
    nbformat.validate(notebook)
    return str(nbformat.writes(notebook)).rstrip("\n") + "\n"


def prepared_chapters(project: Project, settings: Settings | None = None) -> dict[Path, str]:
    """What each chapter should be: itself, with badge and install cell."""
    settings = settings or read_settings(project.root)
    return {
        path: written(prepared(nbformat.read(path, as_version=4), settings, path.stem))
        for path in website.chapters(project)
    }


# Colab ------------------------------------------------------------------------------------------


def colab_cell(cell: Any, converter: Converter) -> Any | None:
    """One cell of the Colab edition, or ``None`` for a cell that it lacks."""
    tags = set(cell.metadata.get("tags", []))
    if cell["id"] == BADGE_ID or "remove-cell" in tags:
        return None
    metadata: dict[str, Any] = {"id": cell["id"]}  # Colab finds its links to cells by this
    if is_markdown(cell):
        text = converter.convert(cell.source, cell["id"])
        if not text:
            return None
        return nbformat.v4.new_markdown_cell(text, id=cell["id"], metadata=metadata)
    if cell.cell_type != "code":
        raise CourseError(f"{converter.place.page}.ipynb, cell {cell['id']}: found a raw cell")
    if tags & HIDDEN_TAGS or converter.in_solution:
        metadata |= {"cellView": "form", "jupyter": {"source_hidden": True}}
    if "raises-exception" in tags:
        metadata["tags"] = ["raises-exception"]
    return nbformat.v4.new_code_cell(cell.source, id=cell["id"], metadata=metadata)


def colab_edition(book: Book, path: Path) -> Any:
    """The Colab edition of a chapter.

    Raises:
        CourseError: something in it cannot be turned into plain Markdown; the message says where.
    """
    page = path.relative_to(book.root).with_suffix("").as_posix()
    converter = Converter(book, page)
    source = nbformat.read(path, as_version=4)
    cells = [colab_cell(cell, converter) for cell in source.cells]
    metadata = {
        "colab": {"name": path.name, "provenance": [], "toc_visible": True},
        "kernelspec": KERNEL,
        "language_info": {"name": "python"},
    }
    return nbformat.v4.new_notebook(cells=[cell for cell in cells if cell], metadata=metadata)


def colab_editions(project: Project) -> dict[Path, str]:
    """What ``colab/`` should hold."""
    book = read_book(project)
    return {
        project.root / "colab" / path.name: written(colab_edition(book, path))
        for path in website.chapters(project)
    }


# Commands ---------------------------------------------------------------------------------------


def write_changed(project: Project, wanted: dict[Path, str]) -> None:
    """Write the files that differ, and say which."""
    for path, text in wanted.items():
        changed = not path.exists() or path.read_text(encoding="utf-8") != text
        if changed:
            write_atomically(path, text)
        print(
            f"{path.relative_to(project.root).as_posix()}: {'written' if changed else 'as it was'}"
        )


def prepare(project: Project) -> None:
    """Put badge and install cell into every chapter."""
    write_changed(project, prepared_chapters(project))


def build(project: Project) -> None:
    """Write the Colab edition, and remove what is left of chapters that are gone."""
    wanted = colab_editions(project)
    for path in sorted((project.root / "colab").glob("*.ipynb")):
        if path not in wanted:
            path.unlink()
            print(f"{path.relative_to(project.root).as_posix()}: removed")
    write_changed(project, wanted)


def problems(project: Project) -> list[str]:
    """Files that are not what ``prepare`` and ``build`` would write."""
    chapters, colab = prepared_chapters(project), colab_editions(project)
    there = set((project.root / "colab").glob("*.ipynb"))
    found = [
        f"{path.relative_to(project.root).as_posix()}: badge or install cell missing or outdated"
        for path, text in chapters.items()
        if path.read_text(encoding="utf-8") != text
    ]
    for path in sorted(there | set(colab)):
        text = path.read_text(encoding="utf-8") if path in there else None
        if text != colab.get(path):
            found.append(
                f"{path.relative_to(project.root).as_posix()}: not in step with its source"
            )
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="editions.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("command", choices=["prepare", "build", "check"])
    command = parser.parse_args(arguments).command
    project = Project(Path(__file__).resolve().parent.parent)
    try:
        if command == "check":
            found = problems(project)
            print("\n".join(found) if found else "All editions are up to date.")
            if found:
                print("Mend it with: make editions")
            return 1 if found else 0
        (prepare if command == "prepare" else build)(project)
    except CourseError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

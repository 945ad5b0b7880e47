"""The editions of the chapters, and the cells that all chapters share.

``python tools/editions.py prepare`` puts the badge and the install cell into every chapter,
``build`` writes the Colab edition into ``colab/`` and the student edition, which has no solutions,
into ``student/``; ``check`` says whether all are up to date. The notebooks in ``book/`` are the one
source; nothing in ``colab/`` and ``student/`` is written by hand.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import nbformat

import website
from environment import CourseError, Project, write_atomically
from labels import Book, Settings, is_markdown, read_book, read_settings
from lines import Lines
from myst import Directive
from plain import Converter

INSTALL_ID, BADGE_ID = "install", "colab-badge"
HIDDEN_TAGS = {"hide-input", "remove-input"}
LEFT_OUT_TAGS = {"remove-cell", "hide-cell"}
"""What the editions lack: a folded guard would stop a reader who changes what it asserts."""
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}

# What a reader's runtime has stays as it is: pip replaces nothing that fits the loose ranges of
# pyproject.toml. `packaging` comes with every Jupyter kernel. Whether a restart helps, a fresh
# Python says: pip may have installed for the user, or to a place that its settings name.
INSTALL_CELL = """\
# @title Install lessons_lib, the course's package (does nothing where it is there)
import sys
from importlib.util import find_spec
from subprocess import getstatusoutput

from packaging.version import Version

WHEEL = "@WHEEL@"
SHA256 = "@SHA256@"
found = None
try:
    import lessons_lib as found

    ready = Version(found.__version__) >= Version("@VERSION@")
except (ImportError, AttributeError):
    ready = False
if not ready:
    python = f'"{sys.executable}"'
    install = f'{python} -m pip install -q "{WHEEL}#sha256={SHA256}"'
    failed, said = getstatusoutput(f'{install} && {python} -c "import lessons_lib"')
    if failed:
        raise RuntimeError(f"{said}\\n\\nThe command was: {install}")
    if found or not find_spec("lessons_lib"):
        raise RuntimeError(f"Installed. Restart the kernel (in use now: {found}).")
"""
# Before a release there is no address to install from.
CHECKOUT_CELL = """\
# @title The course's package, lessons_lib
from importlib.util import find_spec

if not find_spec("lessons_lib"):
    raise ModuleNotFoundError(
        "Do `pip install .` in the course's directory; restart the kernel."
    )
"""


def install_cell(settings: Settings) -> str:
    """The first code cell of every chapter: it installs the one wheel of the release, if any."""
    if not settings.wheel_sha256:
        return CHECKOUT_CELL.rstrip("\n")
    cell = INSTALL_CELL.replace("@VERSION@", settings.version)
    cell = cell.replace("@SHA256@", settings.wheel_sha256)
    return cell.replace("@WHEEL@", settings.wheel).rstrip("\n")


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

    Before a release there is no address behind a badge, and no badge.

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
    shown.source = badge(settings, name) if settings.wheel_sha256 else ""
    install.source = install_cell(settings)
    install.metadata["tags"] = ["hide-input"]
    notebook.cells = [cells[0], *([shown] if shown.source else []), install, *cells[1:]]
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
    if cell["id"] == BADGE_ID or tags & LEFT_OUT_TAGS:
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


def page_of(book: Book, path: Path) -> str:
    """Name of a chapter's page, as in ``book/03_uniform_attention``."""
    return path.relative_to(book.root).with_suffix("").as_posix()


def colab_edition(book: Book, path: Path) -> Any:
    """The Colab edition of a chapter.

    Raises:
        CourseError: something in it cannot be turned into plain Markdown; the message says where.
    """
    converter = Converter(book, page_of(book, path))
    source = nbformat.read(path, as_version=4)
    return plain_notebook(path.name, [colab_cell(cell, converter) for cell in source.cells])


def plain_notebook(name: str, cells: list[Any | None]) -> Any:
    """A notebook for any Jupyter, of the cells that are not ``None``."""
    metadata = {
        "colab": {"name": name, "provenance": [], "toc_visible": True},
        "kernelspec": KERNEL,
        "language_info": {"name": "python"},
    }
    return nbformat.v4.new_notebook(cells=[cell for cell in cells if cell], metadata=metadata)


# Students ---------------------------------------------------------------------------------------

STUDENT_ID = "student-edition"
STUDENT_NOTE = """\
> **Student edition.** Solutions are left out, hints are kept. `check(...)` below an exercise says \
whether an answer is right, and if not, which mistake it probably is."""
FOLDED = re.compile(
    r"<details\b[^>]*>\s*<summary\b[^>]*>(.*?)</summary>.*?</details>\n?", re.DOTALL
)


class StudentConverter(Converter):
    """Leaves out solutions, and what is folded in an exercise unless its title says "Hint".

    Its links go to the site, since students open it anywhere and only Colab scrolls to a cell.

    What remains of multiple choice are the options: whoever is to decide first should not have the
    explanations one click away. ``check`` explains a wrong choice.
    """

    def __init__(self, book: Book, page: str) -> None:
        super().__init__(book, page, scrolls=False)
        self.directives["solution"] = (self._nothing, {"class", "label"})
        self._in_exercise = False

    def _exercise(self, found: Directive, contained: bool) -> Lines:
        self._in_exercise = True
        try:
            return super()._exercise(found, contained)
        finally:
            self._in_exercise = False

    def _text(self, text: str, contained: bool = False) -> Lines:
        if self._in_exercise:
            text = FOLDED.sub(lambda block: block[0] if is_hint(block[1]) else "", text)
            if re.search("</?details", FOLDED.sub("", text)):
                raise CourseError(
                    "a <details> in an exercise needs a <summary>, an end, and none inside"
                )
        return super()._text(text, contained)

    def _details(self, title: str, body: str, contained: bool) -> Lines:
        if self._in_exercise and not is_hint(title):
            return []
        return super()._details(title, body, contained)


def is_hint(title: str) -> bool:
    """Whether the title of something folded announces a hint."""
    return bool(re.match(r"\W*hint", re.sub(r"<[^>]*>", "", title), re.IGNORECASE))


def student_cell(cell: Any, converter: Converter) -> Any | None:
    """One cell of the student edition, or ``None`` for a cell that it lacks.

    Raises:
        CourseError: as ``colab_cell``, or text stands beside the start or end of a solution.
    """
    gates = {"solution-start", "solution-end"}
    parser = converter.book.parser
    gate = is_markdown(cell) and any(d and d.name in gates for _, d in parser.walk(cell.source))
    if gate and len(parser.blocks(cell.source)[0]) != 1:
        raise CourseError(
            f"{converter.place.page}.ipynb, cell {cell['id']}: expected the start or the end of a "
            "solution alone in its cell, found more; give it a cell of its own"
        )
    found = colab_cell(cell, converter)
    return None if gate or converter.in_solution else found


def student_edition(book: Book, path: Path) -> Any:
    """The student edition of a chapter: the Colab edition without solutions.

    Raises:
        CourseError: as ``colab_edition``, or a solution is not closed.
    """
    converter = StudentConverter(book, page_of(book, path))
    source = nbformat.read(path, as_version=4)
    cells = [student_cell(cell, converter) for cell in source.cells]
    if converter.in_solution:
        raise CourseError(f"{path.name}: expected {{solution-end}} after {{solution-start}}")
    note = nbformat.v4.new_markdown_cell(STUDENT_NOTE, id=STUDENT_ID, metadata={"id": STUDENT_ID})
    return plain_notebook(path.name, [cells[0], note, *cells[1:]])


# Commands ---------------------------------------------------------------------------------------


EDITIONS: dict[str, Callable[[Book, Path], Any]] = {
    "colab": colab_edition,
    "student": student_edition,
}
"""What makes the notebooks of a folder, all of them, from those in ``book/``."""


def derived(project: Project) -> dict[Path, str]:
    """What the folders of the editions should hold."""
    book = read_book(project)
    return {
        project.root / folder / path.name: written(edition(book, path))
        for folder, edition in EDITIONS.items()
        for path in website.chapters(project)
    }


def present(project: Project) -> set[Path]:
    """What the folders of the editions do hold."""
    return {path for folder in EDITIONS for path in (project.root / folder).glob("*.ipynb")}


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
    """Write the editions, and remove what is left of chapters that are gone."""
    wanted = derived(project)
    for path in sorted(present(project) - set(wanted)):
        path.unlink()
        print(f"{path.relative_to(project.root).as_posix()}: removed")
    write_changed(project, wanted)


def problems(project: Project) -> list[str]:
    """Files that are not what ``prepare`` and ``build`` would write."""
    chapters, wanted, there = prepared_chapters(project), derived(project), present(project)
    found = [
        f"{path.relative_to(project.root).as_posix()}: badge or install cell missing or outdated"
        for path, text in chapters.items()
        if path.read_text(encoding="utf-8") != text
    ]
    for path in sorted(there | set(wanted)):
        text = path.read_text(encoding="utf-8") if path in there else None
        if text != wanted.get(path):
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

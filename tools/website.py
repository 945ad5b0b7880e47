"""From ``book/`` to the site: execute what changed, stage the sources, build with Jupyter Book.

``_build/executed`` keeps each chapter's last execution under a key of everything that it depends
on; ``_build/src`` is the staged book with executed chapters; ``_build/html`` is the site.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import environment
from environment import CourseError, Project, call, digest, git

JUPYTER_BOOK = ["-c", "from jupyter_book.cli.main import main; main()", "build"]
DATES = "dates.json"  # in a staged book: the day on which each page was last changed
# Key in a chapter's metadata: how long its execution took, with how much memory, and where.
RUN = "course_run"
# So begins the notice of a chapter that ran without the real corpus or dictionary.
FELL_BACK = "**Embedded "
OFFERED = {".pdf": "The whole book as PDF", ".zip": "All for use offline"}
FOOT = "<!-- offered -->"  # in each page, where the links to what was made of the site belong
MENU = r'(dropdown-download-buttons.*?<ul class="dropdown-menu">)'
# What belongs to a staged book besides book/: pages name addresses, and how to cite it.
FRAME = ["_config.yml", "_toc.yml", "pyproject.toml", "CITATION.cff"]
FRAME += ["lessons_lib/figures/model.svg"]


def page_sources(project: Project) -> dict[str, Path]:
    """The source file of each page of ``_toc.yml``, in reading order. CourseError: one has none."""
    import yaml  # not there yet where ``course.py`` begins

    toc = yaml.safe_load((project.root / "_toc.yml").read_text(encoding="utf-8"))
    pages = [toc["root"], *(page["file"] for part in toc["parts"] for page in part["chapters"])]
    sources: dict[str, Path] = {}
    for page in pages:
        both = [project.root / f"{page}{suffix}" for suffix in (".ipynb", ".md")]
        existing = [path for path in both if path.exists()]
        if len(existing) != 1:
            found = "both" if existing else "neither"
            raise CourseError(f"_toc.yml: expected {page}.md or {page}.ipynb, found {found}")
        sources[page] = existing[0]
    return sources


def chapters(project: Project) -> list[Path]:
    """The notebooks of the book, in reading order."""
    return [path for path in page_sources(project).values() if path.suffix == ".ipynb"]


def fell_back(result: Path) -> bool:
    """Whether a chapter ran on the embedded corpus, for want of the real one."""
    cells = json.loads(result.read_text(encoding="utf-8"))["cells"]
    return any(FELL_BACK in json.dumps(cell.get("outputs", [])) for cell in cells)


def execution_key(project: Project, notebook: Path) -> str:
    """Changes with everything that the outputs of a chapter depend on: its cells among others.

    Of the corpora the directory counts, and the files in it, two levels deep. CourseError: it is
    no notebook.
    """
    parts = list(project.wanted().values())
    if name := environment.child_environment(project).get("LESSONS_DATA", ""):
        parts.append(name)
        for path in sorted([*Path(name).glob("*"), *Path(name).glob("*/*")]):
            if path.is_file():
                parts.append(f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}")
    try:
        for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
            metadata = {k: v for k, v in cell["metadata"].items() if k != "execution"}
            what = [cell["cell_type"], "".join(cell["source"]), metadata]
            parts.append(json.dumps(what, sort_keys=True))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        wanted = f"{notebook.name}: expected the JSON of a notebook"
        raise CourseError(f"{wanted}, found none ({error})") from None
    return digest(map(os.fsencode, parts))[:16]


def executed(
    project: Project, force: bool, only: tuple[str, ...] = ("",)
) -> dict[Path, Path] | None:
    """Execute the chapters whose last execution is out of date, or all; ``only`` begin their names.

    Returns:
        For each chapter its executed copy; ``None`` where a cell failed (it was reported).
    """
    from execute import execute_all

    store = project.build / "executed"
    wanted = [path for path in chapters(project) if path.name.startswith(only)]
    results = {p: store / f"{p.stem}-{execution_key(project, p)}.ipynb" for p in wanted}
    # The corpus may be there by now.
    due = {p: old for p, old in results.items() if force or not old.exists() or fell_back(old)}
    print(f"Chapters: {len(results)}, to execute: {len(due)}")
    store.mkdir(parents=True, exist_ok=True)  # if it cannot be made, that is said at once
    if not execute_all(due):
        return None
    for old in store.glob("*.ipynb"):
        if old not in results.values() and old.name.startswith(only):
            old.unlink()
    return results


def page_dates(root: Path) -> dict[str, str]:
    """The day of the last commit of each page in ``book/``: path below ``root``, and ISO date.

    The date of the build is right for what is left out: a page with changes that are not committed,
    and all without git, in a copy without its whole history, or in somebody else's repository.
    """
    pages = "--", "book/*.md", "book/*.ipynb"
    try:
        about = git(root, "rev-parse", "--is-shallow-repository", "--show-toplevel").splitlines()
        if about[0] != "false" or Path(about[1]) != root.resolve():
            return {}
        changed = git(root, "status", "--porcelain", "--no-renames", *pages).splitlines()
        known = set(git(root, "ls-files", *pages).splitlines()) - {line[3:] for line in changed}
        return {page: git(root, "log", "-1", "--format=%cs", "--", page).strip() for page in known}
    except (OSError, CourseError):
        return {}


def stage(project: Project, target: Path, replaced: Mapping[Path, Path]) -> None:
    """Make ``target`` the source of a site: configuration, ``book/``, executed chapters, dates.

    ``replaced`` has for a chapter the copy to take in its place.
    """
    shutil.rmtree(target, ignore_errors=True)
    hidden = shutil.ignore_patterns(".*", "__*", "_build")
    shutil.copytree(project.root / "book", target / "book", ignore=hidden)
    frame = {path: path for name in FRAME if (path := project.root / name).exists()}
    for path, copy in (frame | dict(replaced)).items():
        new = target / path.relative_to(project.root)
        new.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(copy, new)
    (target / DATES).write_text(json.dumps(page_dates(project.root)), encoding="utf-8")


def withdraw(output: Path) -> None:
    """Remove a site and what Sphinx remembers of it: after a failure none must look like new."""
    output.with_suffix(".key").unlink(missing_ok=True)
    for folder in ("html", ".doctrees", "jupyter_execute"):
        shutil.rmtree(output.parent / folder, ignore_errors=True)


def build(project: Project, source: Path, output: Path) -> bool:
    """Build a staged book, afresh if anything changed; a warning is an error.

    ``output`` has to end in ``_build/html``. Returns whether the site is there, with all its pages.
    """

    def missing() -> list[str]:
        wanted = ["index.html", *(f"{page}.html" for page in page_sources(project))]
        return [page for page in wanted if not (output / page).exists()]

    files = [path for path in source.rglob("*") if path.is_file()]
    tree = environment.tree_digest(source, files)
    key = digest(map(str.encode, [*project.wanted().values(), tree]))
    stamp = output.with_suffix(".key")
    if stamp.exists() and stamp.read_text() == key and not missing():
        print("The site is up to date.")
        return True
    withdraw(output)
    print("Building the site with Jupyter Book")
    options = ["-W", "-n", "--keep-going", "-q", "--path-output", str(output.parent.parent)]
    status = call(project, [*JUPYTER_BOOK, str(source), *options])
    if status or missing():
        print(f"The site was not built; missing pages: {', '.join(missing()) or 'none'}.")
        withdraw(output)
        return False
    environment.write_atomically(stamp, key)
    return True


def offer(site: Path, file: Path) -> None:
    """Put a file into the site, with a link in the download menu and at the foot of each page."""
    shutil.copy(file, site / file.name)
    words = f"{OFFERED[file.suffix]} ({file.stat().st_size / 2**20:.0f} MB)"
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        if FOOT in text and f'{file.name}"' not in text:
            up = "../" * (len(page.relative_to(site).parts) - 1)
            link = f'href="{up}{file.name}">{words}</a>'
            text = text.replace(FOOT, f" · <a {link}{FOOT}")  # the first page has two
            menu = rf'\1<li><a class="dropdown-item" {link}</li>'
            text = re.sub(MENU, menu, text, count=1, flags=re.DOTALL)
            page.write_text(text, encoding="utf-8")


def without_corpus(copies: Mapping[Path, Path]) -> list[str]:
    """Chapters that ran on the embedded corpus, which is said."""
    if found := [path.stem for path, copy in copies.items() if fell_back(copy)]:
        print(f"{', '.join(found)} ran on the embedded corpus, for want of the real one.")
        print("Set LESSONS_DATA to the corpora, or connect to the network; then again.")
    return found


def book(project: Project, force: bool = False, real: bool = False) -> int:
    """Execute and build everything that is out of date, and say where the site is.

    ``real``: to be published, so no chapter may have run on the embedded corpus.
    """
    output, source = project.build / "html", project.build / "src"
    copies = executed(project, force)
    if copies is None or (without_corpus(copies) and real):
        withdraw(output)
        print("The site was not built (see above).")
        return 1
    stage(project, source, copies)
    if build(project, source, output):
        print(f"\nThe book is ready. Open {output / 'index.html'}")
        return 0
    return 1


def renew_notebooks(project: Project, force: bool = False, only: Iterable[str] = ("",)) -> int:
    """Write the outputs of the last execution into ``book/``, for committing them."""
    copies = executed(project, force, tuple(only))
    if copies is None or without_corpus(copies):
        print("No chapter was changed (see above).")
        return 1
    for path, copy in copies.items():
        old, text = (each.read_text(encoding="utf-8") for each in (path, copy))
        environment.write_atomically(path, text)
        print(f"{path.relative_to(project.root)}: {'up to date' if old == text else 'renewed'}")
    return 0


def check_links(project: Project) -> int:
    """Follow every external link of the committed book with Sphinx's link checker."""
    source = project.build / "links-src"
    stage(project, source, {})
    options = ["-q", "--builder", "linkcheck", "--path-output", str(project.build / "links")]
    return call(project, [*JUPYTER_BOOK, str(source), *options])

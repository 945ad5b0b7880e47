"""Everything there is to do with the course, as one command each.

``python tools/course.py book`` needs Python 3.11 or newer and nothing else: it makes its own
environment in ``.venv``, and does the rest in it. The Makefile calls this file, so that make is a
convenience.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036  (this file has to parse on older ones)
    sys.exit(
        f"expected Python 3.11 or newer, found {sys.version.split()[0]}; name a newer one:\n"
        "    make book PYTHON=python3.12\n"
        "    python3.12 tools/course.py book"
    )

import argparse
import errno
import os
from collections.abc import Callable
from pathlib import Path

import environment
import stages
import website
from environment import CourseError, Project

TOOL_CACHES = ("pytest", "mypy", "ruff")
INSIDE = "COURSE_INSIDE"
"""Set where this program was started again, by the Python of the environment."""
REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)
NOT_HERE = """\
The course has to write into its directory: run it in a copy that may be written, on a disk with
room."""
COMMANDS = {
    "env": "make or renew .venv: the pins, and lessons_lib from its wheel",
    "book": "execute the chapters that changed and build the site",
    "notebooks": "execute, and write the outputs back into book/",
    "check": "style, types, and the tests that are not slow: under a minute",
    "test": "style, types, unit tests, every chapter once, the built site",
    "lint": "ruff and mypy, as in `test`, without the tests",
    "format": "let ruff format and mend code and notebooks",
    "lines": "count lines against their limits",
    "bench": "measure speed, as ratios within one run: programs of benchmarks/",
    "editions": "renew install cells and badges in book/, and both editions",
    "assignment": "make the problem set: to hand out, and to grade",
    "grade": "grade what was handed in, without Docker",
    "slides": "make the slides of the lecture, with the figures of the chapters",
    "pdf": "print the built book with Chromium as one PDF",
    "bundle": "one file for machines without the network: site, notebooks, package",
    "release": "write a new version everywhere and build the wheel",
    "links": "follow the external links of the committed book (needs the network)",
    "serve": "show the built site on http://127.0.0.1:8000",
    "lock": "pin requirements.in exactly in requirements.txt",
    "clean": "remove what was built; the environment stays",
}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read a command line, ``sys.argv`` if none is given: ``command`` and its options."""
    parser = argparse.ArgumentParser(prog="course.py", description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    add = {name: commands.add_parser(name, help=t, description=t) for name, t in COMMANDS.items()}
    torch, cpu = os.environ.get("TORCH", "").strip() or "plain", "from PyTorch's index for CPUs"
    for command in add.values():
        command.add_argument("--torch", choices=["plain", "cpu"], default=torch, help=cpu)
    for name in ("book", "notebooks"):
        add[name].add_argument("--force", action="store_true", help="execute every chapter again")
    add["notebooks"].add_argument("only", nargs="*", default=[""], help="01, for example")
    add["book"].add_argument("--real", action="store_true", help="refuse the embedded corpus")
    add["test"].add_argument("--only", choices=list(stages.STAGES), action="append", help="a stage")
    add["bench"].add_argument("rest", nargs="*", help="names of benchmarks; all without")
    add["editions"].add_argument("--check", action="store_true", help="only say what is outdated")
    add["grade"].add_argument("submissions", nargs="+", type=Path, help="files, or folders of them")
    add["grade"].add_argument("--jobs", type=int, default=1, help="submissions at a time")
    add["slides"].add_argument("--pdf", action="store_true", help="print a PDF with Chromium, too")
    add["release"].add_argument("version", help="for example 0.2.0")
    add["release"].add_argument("--repository", default="", help="its address, if it changes")
    add["release"].add_argument("--site", default="", help="address of the book, if it changes")
    add["serve"].add_argument("--port", type=int, default=8000)
    add["lock"].add_argument("--upgrade", action="store_true", help="take the newest allowed")
    add["clean"].add_argument("--all", action="store_true", help="remove the environment as well")
    found = parser.parse_args(arguments)
    if found.torch not in ("plain", "cpu"):  # argparse does not check a default
        parser.error(f"TORCH: expected plain or cpu, found {found.torch!r}")
    return found


def clean(project: Project, everything: bool) -> None:
    """Remove ``_build`` and caches, and ``.venv`` too where ``everything`` is true, and say so."""
    unwanted = [project.build, *(project.root / f".{name}_cache" for name in TOOL_CACHES)]
    if everything:
        environment.refuse_foreign(project)
        unwanted.append(project.venv)
    for path in filter(os.path.lexists, unwanted):
        environment.remove(path)
        print(f"Removed {path.name}")


def run(options: argparse.Namespace, project: Project, inside: bool = False) -> int:
    """Do one command and return its exit status; most are done ``inside`` .venv, by its Python."""
    command = options.command
    if command == "clean":
        clean(project, options.all)
        return 0
    if command == "lines":
        return stages.lines(project)
    if command == "lock":  # before anything is installed: the pins may not fit together now
        environment.lock(project, upgrade=options.upgrade)
        return 0
    if not inside:
        environment.ensure(project, cpu=options.torch == "cpu")
        words = [__file__, *sys.argv[1:]]
        again = {"cwd": str(Path.cwd()), INSIDE: "1"}
        return 0 if command == "env" else environment.call(project, words, **again)
    import assignment
    import editions
    import lecture
    import offline
    import release

    site = project.build / "html"
    actions: dict[str, Callable[[], int]] = {
        "book": lambda: website.book(project, options.force, options.real),
        "notebooks": lambda: website.renew_notebooks(project, options.force, tuple(options.only)),
        "check": lambda: stages.run_stages(project, stages.CHECK),
        "test": lambda: stages.run_stages(project, stages.STAGES, options.only),
        "lint": lambda: max(stages.style(project), stages.types(project)),
        "format": lambda: stages.ruff(project, ("check", "--fix"), ("format",)),
        "bench": lambda: environment.call(project, ["benchmarks/run.py", *options.rest]),
        "editions": lambda: editions.renew(project, options.check),
        "assignment": lambda: assignment.build(project),
        "grade": lambda: assignment.grade(project, options.submissions, options.jobs),
        "slides": lambda: lecture.build(project, options.pdf),
        "pdf": lambda: offline.print_book(project, site),
        "bundle": lambda: offline.pack(project, site),
        "release": lambda: release.release(
            project, options.version, options.repository, options.site
        ),
        "links": lambda: website.check_links(project),
        "serve": lambda: website.serve(project, options.port),
    }
    return actions[command]()


def main() -> int:
    """Run the command line; errors meant for people end it without a traceback."""
    inside = bool(os.environ.pop(INSIDE, ""))
    options = parse()
    try:
        return run(options, Project(Path(__file__).resolve().parent.parent), inside)
    except CourseError as error:
        said, status = str(error), 1
    except OSError as error:
        if error.errno not in REFUSED:
            raise
        said, status = f"{error.strerror}: {error.filename}\n{NOT_HERE}", 1
    except KeyboardInterrupt:
        said, status = "stopped", 130
    print(f"\n{said}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())

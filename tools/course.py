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
import importlib
import os
from pathlib import Path

import environment
import stages
from environment import CourseError, Project

INSIDE = "COURSE_INSIDE"  # set where the Python of the environment has started this again
OUTSIDE = ("lines", "lock")  # commands that are done without it
REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)
NOT_HERE = "The course writes into its directory: run it in a copy that may be written, with room."
COMMANDS = {  # the function that does each, with the options as its arguments, and what it does
    "env": ("", "make or renew .venv: the pins, and lessons_lib from its wheel"),
    "book": ("website:book", "execute the chapters that changed and build the site"),
    "notebooks": ("website:renew_notebooks", "execute, and write the outputs back into book/"),
    "check": ("stages:run_stages", "style, types, and the tests that are not slow: a minute"),
    "test": ("stages:run_stages", "style, types, unit tests, every chapter once, the site"),
    "format": ("stages:style", "let ruff format and mend code and notebooks"),
    "lines": ("stages:lines", "count lines against their limits"),
    "bench": ("stages:bench", "measure speed, as ratios within one run: programs of benchmarks/"),
    "editions": ("editions:renew", "renew install cells and badges in book/, and both editions"),
    "assignment": ("assignment:build", "make the problem set: to hand out, and to grade"),
    "grade": ("assignment:grade", "grade what was handed in, without Docker"),
    "slides": ("lecture:build", "make the slides of the lecture, with the figures of the chapters"),
    "pdf": ("offline:print_book", "print the built book with Chromium as one PDF"),
    "bundle": ("offline:pack", "one file for machines without network: site, notebooks, package"),
    "release": ("release:release", "write a new version everywhere and build the wheel"),
    "links": ("website:check_links", "follow the external links of the committed book"),
    "lock": ("environment:lock", "pin requirements.in exactly in requirements.txt"),
}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read a command line, ``sys.argv`` if none is given: ``command`` and its options."""
    parser = argparse.ArgumentParser(prog="course.py", description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    add = {n: commands.add_parser(n, help=t, description=t) for n, (_, t) in COMMANDS.items()}
    torch, cpu = os.environ.get("TORCH", "").strip() or "plain", "from PyTorch's index for CPUs"
    for command in add.values():
        command.add_argument("--torch", choices=["plain", "cpu"], default=torch, help=cpu)
    for name in ("book", "notebooks"):
        add[name].add_argument("--force", action="store_true", help="execute every chapter again")
    add["notebooks"].add_argument("only", nargs="*", default=[""], help="01, for example")
    add["book"].add_argument("--real", action="store_true", help="refuse the embedded corpus")
    for name, known in (("check", stages.CHECK), ("test", stages.STAGES)):
        add[name].add_argument("--only", choices=list(known), action="append", help="a stage")
        add[name].set_defaults(known=known)
    add["format"].set_defaults(mend=True)
    add["bench"].add_argument("names", nargs="*", help="names of benchmarks; all without")
    add["grade"].add_argument("handed_in", nargs="+", type=Path, help="files, or folders of them")
    add["grade"].add_argument("--jobs", type=int, default=1, help="submissions at a time")
    add["slides"].add_argument("--pdf", action="store_true", help="print a PDF with Chromium, too")
    add["release"].add_argument("version", help="for example 0.2.0")
    add["release"].add_argument("--repository", default="", help="its address, if it changes")
    add["release"].add_argument("--site", default="", help="address of the book, if it changes")
    add["lock"].add_argument("--upgrade", action="store_true", help="take the newest allowed")
    found = parser.parse_args(arguments)
    if found.torch not in ("plain", "cpu"):  # argparse does not check a default
        parser.error(f"TORCH: expected plain or cpu, found {found.torch!r}")
    return found


def run(options: argparse.Namespace, project: Project, inside: bool = False) -> int:
    """Do one command and return its exit status; most are done ``inside`` .venv, by its Python."""
    given = vars(options).copy()
    command, torch = given.pop("command"), given.pop("torch")
    if not inside and command not in OUTSIDE:
        environment.ensure(project, cpu=torch == "cpu")
        words = [__file__, *sys.argv[1:]]
        again = {"cwd": str(Path.cwd()), INSIDE: "1"}
        return 0 if command == "env" else environment.call(project, words, **again)
    module, _, name = COMMANDS[command][0].partition(":")
    return int(getattr(importlib.import_module(module), name)(project, **given))


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

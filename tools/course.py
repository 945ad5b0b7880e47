"""Everything there is to do with the course, as one command each.

``python tools/course.py book`` needs Python 3.11 or newer and nothing else: it makes its own
environment in ``.venv``. The Makefile calls this file, so that make is a convenience.
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
import subprocess
from pathlib import Path

import environment
import stages
import website
from environment import CourseError, Project

TOOL_CACHES = ("pytest", "mypy", "ruff")
REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line.

    Args:
        arguments: words of the command line without the program; ``None`` for ``sys.argv``.

    Returns:
        ``command`` and the options of that command.
    """
    parser = argparse.ArgumentParser(prog="course.py", description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument(
            "--torch",
            choices=["plain", "cpu"],
            default=os.environ.get("TORCH", "").strip() or "plain",
            help="cpu: take torch from PyTorch's CPU index when the pins are installed",
        )
        return command

    add("env", "make or renew .venv: the pins, and lessons_lib from its wheel")
    book = add("book", "execute the chapters that changed and build the site")
    book.add_argument("--force", action="store_true", help="execute every chapter again")
    notebooks = add("notebooks", "execute, and write the outputs back into book/")
    notebooks.add_argument("--force", action="store_true", help="execute every chapter again")
    test = add("test", "style, types, unit tests, every chapter once, the built site")
    test.add_argument("--only", choices=list(stages.STAGES), action="append", help="this stage")
    add("lint", "ruff and mypy, as in `test`, without the tests")
    add("format", "let ruff format and mend code and notebooks")
    bench = add("bench", "measure the speed of training, agreement and import")
    bench.add_argument("rest", nargs="*", help="passed on to tools/bench.py")
    editions = add("editions", "renew install cells and badges in book/, and both editions")
    editions.add_argument("--check", action="store_true", help="only say what is out of date")
    slides = add("slides", "make the slides of the lecture, with the figures of the chapters")
    slides.add_argument("--pdf", action="store_true", help="print a PDF with Chromium, too")
    add("pdf", "print the built book with Chromium as one PDF")
    add("bundle", "one file for machines without the network: site, notebooks, package")
    release = add("release", "write a new version everywhere and build the wheel")
    release.add_argument("version", help="for example 0.2.0")
    release.add_argument("--repository", default="", help="address on GitHub, if it changes")
    release.add_argument("--site", default="", help="address of the published book, if it changes")
    add("links", "follow the external links of the committed book (needs the network)")
    serve = add("serve", "show the built site on http://127.0.0.1:8000")
    serve.add_argument("--port", type=int, default=8000)
    lock = add("lock", "pin requirements.in exactly in requirements.txt")
    lock.add_argument("--upgrade", action="store_true", help="take the newest versions allowed")
    clean = add("clean", "remove what was built; the environment stays")
    clean.add_argument("--all", action="store_true", help="remove the environment as well")
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
    there = [path for path in unwanted if os.path.lexists(path)]
    for path in there:
        where = f" (a link; {path.resolve()} stays)" if path.is_symlink() else ""
        environment.remove(path)
        print(f"Removed {path.name}{where}")
    if not there:
        print(f"Nothing to remove: there is no {', '.join(path.name for path in unwanted)}")


def run(options: argparse.Namespace, project: Project) -> int:
    """Do one command and return its exit status."""
    if options.command == "clean":
        clean(project, options.all)
        return 0
    if options.command == "lock":  # before anything is installed: the pins may not fit together now
        environment.lock(project, upgrade=options.upgrade)
        return 0
    environment.ensure(project, cpu=options.torch == "cpu")
    if options.command == "book":
        return website.book(project, force=options.force)
    if options.command == "notebooks":
        return website.renew_notebooks(project, force=options.force)
    if options.command == "test":
        return stages.run_stages(project, options.only)
    if options.command == "lint":
        return stages.lint(project)
    if options.command == "format":
        return stages.format_code(project)
    if options.command == "links":
        return website.check_links(project)
    if options.command == "bench":
        program = str(project.root / "tools" / "bench.py")
        return environment.call(project, [program, *options.rest])
    if options.command == "editions":
        program = str(project.root / "tools" / "editions.py")
        steps = ["check"] if options.check else ["prepare", "build"]
        return max(environment.call(project, [program, step]) for step in steps)
    if options.command == "slides":
        program = str(project.root / "tools" / "lecture.py")
        return environment.call(project, [program, *(["--pdf"] if options.pdf else [])])
    if options.command in ("pdf", "bundle"):
        website.require_site(project)
        program = str(project.root / "tools" / f"{options.command}.py")
        return environment.call(project, [program])
    if options.command == "release":
        program = str(project.root / "tools" / "release.py")
        words = [f"--{name}={getattr(options, name)}" for name in ("repository", "site")]
        return environment.call(project, [program, options.version, *words])
    if options.command == "serve":
        site = website.require_site(project).parent
        print(f"http://127.0.0.1:{options.port}/ shows {site} (stop with Ctrl+C)")
        server = ["-m", "http.server", str(options.port), "--bind", "127.0.0.1"]
        return environment.call(project, [*server, "--directory", str(site)])
    return 0


def main() -> int:
    """Run the command line; errors meant for people end it without a traceback."""
    options = parse()
    project = Project(Path(__file__).resolve().parent.parent)
    try:
        return run(options, project)
    except CourseError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        words = " ".join(str(word) for word in error.cmd)
        print(f"\nfailed with status {error.returncode}: {words}", file=sys.stderr)
        return 1
    except OSError as error:
        if error.errno not in REFUSED:
            raise
        print(
            f"\n{error.strerror}: {error.filename}\nThe course has to write into its directory: "
            "run it in a copy that may be written, on a disk with room.",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())

"""What ``make check`` and ``make test`` run: one function per stage, and the table at the end."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Container, Mapping
from pathlib import Path

import website
from environment import Project, call

# Memory for a chapter and the processes that it starts: more than any was seen to need.
CHAPTER_BYTES = 3 * 10**9
# Threads of a small model wait for each other, the more so beside another process.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
LIMITS = {  # what: lines of all together, and where; a file of lessons_lib has its own limit
    "lessons_lib": (12_000, ["lessons_lib/**/*.py"]),
    "of these, the shelf": (2_300, ["lessons_lib/*.py"]),
    "tools": (2_200, ["tools/**/*.py"]),
    "extensions": (400, ["book/**/*.py"]),
    "benchmarks, problem set": (850, ["benchmarks/**/*.py", "assignment/**/*.py"]),
    "tests": (13_000, ["tests/**/*.py"]),
}
SHELF_FILES, FILE_LINES = 12, 450
DATA = [f"lessons_lib/**/*.{kind}" for kind in ("toml", "css", "js", "mplstyle")]


def pytest(project: Project, arguments: list[str], most: int, **settings: str) -> int:
    """Run pytest on the installed ``lessons_lib``, in at most so many processes of one thread each.

    A file stays in one process (unless ``--dist`` says otherwise), with what its tests share.
    """
    import joblib  # it counts the cores that this process may use

    options = ["-n", str(min(most, joblib.cpu_count())), "--dist", "loadfile"]
    settings |= {"LESSONS_INSTALLED": "1", **ONE_THREAD}
    return call(project, ["-m", "pytest", *options, *arguments], **settings)


def style(project: Project, mend: bool = False) -> int:
    """Check code and notebooks with ruff, or ``mend`` what it can."""
    words = (["check", "--fix"], ["format"]) if mend else (["check"], ["format", "--check"])
    return max(call(project, ["-m", "ruff", *each, "."]) for each in words)


def types(project: Project) -> int:
    """Check types with mypy."""
    return call(project, ["-m", "mypy"])


def unit(project: Project, *options: str) -> int:
    """Run everything in tests/ that needs no site."""
    return pytest(project, ["tests", *options, "--ignore-glob=*test_site*.py"], most=8)


def quick(project: Project) -> int:
    """Run the tests that need neither a browser nor more than about a second."""
    return unit(project, "-q", "-m", "not slow and not browser")


def chapters(project: Project) -> int:
    """Execute each chapter once, alone in an empty directory, against its committed outputs."""
    import psutil

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        top = Path(name)
        copies = []
        for path in website.chapters(project):
            (top / path.stem).mkdir()
            copies.append(str(shutil.copy(path, top / path.stem)))
        options = ["-c", "tools/nbval.ini", f"--rootdir={top}", *copies]
        most = 2 if psutil.virtual_memory().total > 2 * CHAPTER_BYTES else 1
        return pytest(project, options, most, LESSONS_STATIC_FIGURES="1")


def site(project: Project) -> int:
    """Build the site from the committed outputs and look at it in a browser."""
    source = project.build / "test-src"
    output = project.build / "test-site" / "_build" / "html"
    website.stage(project, source, {})
    if not website.build(project, source, output):
        return 1
    tests = sorted(str(path) for path in (project.root / "tests").glob("test_site*.py"))
    # Each process gets its share in order, page after page, so that a page is opened once.
    return pytest(project, [*tests, "--dist", "worksteal"], most=2, LESSONS_SITE=str(output))


def bench(project: Project, names: list[str]) -> int:
    """Run the programs of ``benchmarks/``, or those of these names."""
    return call(project, ["benchmarks/run.py", *names])


CHECK: dict[str, Callable[[Project], int]] = {"style": style, "types": types, "quick": quick}
STAGES = {"style": style, "types": types, "unit": unit, "chapters": chapters, "site": site}


def run_stages(
    project: Project,
    known: Mapping[str, Callable[[Project], int]],
    only: Container[str] | None = None,
) -> int:
    """Run stages, all of them even when one fails, and end with a line for each; 0: all passed."""
    rows: list[str] = []
    for name, function in known.items():
        if only and name not in only:
            continue
        print("\n" + f" {name}: {function.__doc__} ".center(78, "-"), flush=True)
        start = time.monotonic()
        verdict = "FAILED" if function(project) else "passed"
        rows.append(f"{name:<12}{verdict:<10}{time.monotonic() - start:8.1f} s")
    failed = any("FAILED" in row for row in rows)
    print("\n".join(["", *rows]))
    if failed:
        print("One stage alone: python tools/course.py test --only STAGE")
    return int(failed)


def lines(project: Project) -> int:
    """Print how many lines there are of each kind beside the limit; 1 where one is exceeded."""

    def lengths(patterns: list[str]) -> dict[Path, int]:
        files = {path for pattern in patterns for path in project.root.glob(pattern)}
        return {path: len(path.read_text(encoding="utf-8").splitlines()) for path in files}

    found = {name: lengths(patterns) for name, (_, patterns) in LIMITS.items()}
    rows = [(name, sum(files.values()), LIMITS[name][0]) for name, files in found.items()]
    long, path = max((count, path) for path, count in found["lessons_lib"].items())
    rows += [(f"longest file: {path.relative_to(project.root).as_posix()}", long, FILE_LINES)]
    rows += [("files of the shelf", len(found["of these, the shelf"]), SHELF_FILES)]
    for name, count, limit in rows:
        print(f"{name:<52}{count:7,} of {limit:6,}{'   TOO MANY' if count > limit else ''}")
    data = "data of lessons_lib (toml, css, js, mplstyle), not in its count"
    print(f"{data:<52}{sum(lengths(DATA).values()):7,}, no limit")
    return int(any(count > limit for _, count, limit in rows))

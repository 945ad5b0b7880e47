"""What ``make check`` and ``make test`` run: one function per stage, and the table at the end.

Standard library only.
"""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Callable, Container, Mapping
from pathlib import Path

import website
from environment import Project, call

CELL_SECONDS = 600
CHAPTER_BYTES = 3 * 10**9
"""Memory for a chapter and the processes that it starts: more than any was seen to need."""
# Threads of a small model wait for each other, the more so beside another process.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
# A configuration of its own: nbval runs where the project's settings must not reach, and the one
# warning that it provokes in current versions of pytest is no fault of a chapter.
NBVAL_INI = """\
[pytest]
addopts = -p no:cacheprovider -ra
filterwarnings =
    error
    ignore::DeprecationWarning:nbval
    ignore::pytest.PytestRemovedIn10Warning
"""
LIMITS = {  # what: lines of all together, and where; a file of lessons_lib has its own limit
    "lessons_lib": (12_000, ["lessons_lib/**/*.py"]),
    "of these, the shelf": (2_300, ["lessons_lib/*.py"]),
    "tools": (2_200, ["tools/**/*.py"]),
    "extensions": (400, ["book/**/*.py"]),
    "benchmarks, problem set": (700, ["benchmarks/**/*.py", "assignment/**/*.py"]),
    "tests": (13_000, ["tests/**/*.py"]),
}
SHELF_FILES, FILE_LINES = 12, 450
DATA = ["lessons_lib/**/*.toml", "lessons_lib/**/*.css", "lessons_lib/**/*.js"]


def cores() -> int:
    """Processor cores that this process may use."""
    able = getattr(os, "sched_getaffinity", None)
    return len(able(0)) if able else os.cpu_count() or 1


def memory() -> int:
    """Bytes of memory of this machine; 0 where it does not say."""
    names = getattr(os, "sysconf_names", {}).keys() & {"SC_PAGE_SIZE", "SC_PHYS_PAGES"}
    return math.prod(map(os.sysconf, names)) if len(names) == 2 else 0


def counts_file(project: Project, stage: str) -> Path:
    """Where pytest writes the results of a stage."""
    return project.build / "test-results" / f"{stage}.xml"


def pytest(
    project: Project, stage: str, arguments: list[str], workers: int, **settings: str
) -> int:
    """Run pytest on the installed ``lessons_lib``, in processes of one thread each.

    A file stays in one process (unless ``--dist`` says otherwise), with what its tests share.
    """
    options = [f"--junitxml={counts_file(project, stage)}", "-o", "junit_family=xunit2"]
    if workers > 1:
        options += ["-n", str(workers), *([] if "--dist" in arguments else ["--dist", "loadfile"])]
    settings |= {"LESSONS_INSTALLED": "1", **ONE_THREAD}
    return call(project, ["-m", "pytest", *arguments, *options], **settings)


def ruff(project: Project, *options: tuple[str, ...]) -> int:
    """Run ruff with each of these options in turn, on all of the project."""
    return max(call(project, ["-m", "ruff", *words, "."]) for words in options)


def style(project: Project) -> int:
    """Check code and notebooks with ruff."""
    return ruff(project, ("check",), ("format", "--check"))


def types(project: Project) -> int:
    """Check types with mypy."""
    return call(project, ["-m", "mypy"])


def site_tests(project: Project) -> list[str]:
    """The tests that look at the built site."""
    return sorted(str(path) for path in (project.root / "tests").glob("test_site*.py"))


def unit(project: Project, *options: str, stage: str = "unit") -> int:
    """Run everything in tests/ that needs no site."""
    others = [f"--ignore={path}" for path in site_tests(project)]
    return pytest(project, stage, ["tests", *options, *others], min(cores(), 8))


def quick(project: Project) -> int:
    """Run the tests that need neither a browser nor more than about a second."""
    return unit(project, "-q", "-m", "not slow and not browser", stage="quick")


def chapters(project: Project) -> int:
    """Execute each chapter once, alone in an empty directory, against its committed outputs."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        top = Path(name)
        (top / "nbval.ini").write_text(NBVAL_INI, encoding="utf-8")
        copies = []
        for path in website.chapters(project):
            (top / path.stem).mkdir()
            copies.append(shutil.copy(path, top / path.stem))
        options = ["-c", str(top / "nbval.ini"), f"--rootdir={top}", "--durations=5", "--nbval-lax"]
        options += ["--nbval-kernel-name=python3", f"--nbval-cell-timeout={CELL_SECONDS}"]
        workers = 2 if cores() > 1 and memory() > 2 * CHAPTER_BYTES else 1
        names = [*options, *map(str, copies)]
        return pytest(project, "chapters", names, workers, LESSONS_STATIC_FIGURES="1")


def site(project: Project) -> int:
    """Build the site from the committed outputs and look at it in a browser."""
    source = project.build / "test-src"
    output = project.build / "test-site" / "_build" / "html"
    website.stage(project, source, {})
    if not website.build(project, source, output):
        return 1
    # Each process gets its share in order, page after page, so that a page is opened once.
    options = [*site_tests(project), "--dist", "worksteal"]
    return pytest(project, "site", options, min(cores(), 2), LESSONS_SITE=str(output))


STAGES = {"style": style, "types": types, "unit": unit, "chapters": chapters, "site": site}
CHECK = {"style": style, "types": types, "quick": quick}


def counted(path: Path) -> Counter[str]:
    """How many tests passed, failed and were skipped, from pytest's own record."""
    total: Counter[str] = Counter()
    for suite in ElementTree.parse(path).iter("testsuite") if path.exists() else ():
        number = {kind: int(suite.get(kind, 0)) for kind in ("failures", "errors", "skipped")}
        passed = int(suite.get("tests", 0)) - sum(number.values())
        total.update(failed=number.pop("failures"), passed=passed, **number)
    return total


def told(total: Counter[str]) -> str:
    """Counts as pytest writes them."""
    kinds = [kind for kind in ("failed", "passed", "skipped", "errors") if total[kind]]
    return ", ".join(f"{total[kind]} {kind}" for kind in kinds)


def run_stages(
    project: Project,
    known: Mapping[str, Callable[[Project], int]],
    chosen: Container[str] | None = None,
) -> int:
    """Run stages, all of them even when one fails, and end with a table and the sum, as pytest.

    Returns:
        0 if every stage passed.
    """
    table: list[str] = []
    failed: list[str] = []
    total: Counter[str] = Counter()
    began = time.monotonic()
    for name, function in known.items():
        if chosen and name not in chosen:
            continue
        counts_file(project, name).unlink(missing_ok=True)
        headline = f" {name}: {(function.__doc__ or '').strip()} "
        print(f"\n{headline.center(78, '-')}", flush=True)
        start = time.monotonic()
        failed += [name] if function(project) else []
        counts = counted(counts_file(project, name))
        total += counts
        verdict = "FAILED" if name in failed else "passed"
        table.append(f"{name:<12}{verdict:<10}{time.monotonic() - start:8.1f}   {told(counts)}")
    print("\n".join([f"\n{'stage':<12}{'result':<10}{'seconds':>8}   tests", *table]))
    if failed:
        print(f"Failed: {', '.join(failed)}; one stage: python tools/course.py test --only STAGE")
    summary = f" {told(total) or 'no tests ran'} in {time.monotonic() - began:.2f}s "
    print(summary.center(78, "="), flush=True)
    return 1 if failed else 0


def lines(project: Project) -> int:
    """Print how many lines there are of each kind beside the limit; 1 where one is exceeded."""

    def length(path: Path) -> int:
        return len(path.read_text(encoding="utf-8").splitlines())

    found = {
        name: [path for pattern in patterns for path in project.root.glob(pattern)]
        for name, (_, patterns) in LIMITS.items()
    }
    rows = [(name, sum(map(length, files)), LIMITS[name][0]) for name, files in found.items()]
    long, path = max((length(path), path) for path in found["lessons_lib"])
    rows += [(f"longest file: {path.relative_to(project.root).as_posix()}", long, FILE_LINES)]
    rows += [("files of the shelf", len(found["of these, the shelf"]), SHELF_FILES)]
    for name, count, limit in rows:
        print(f"{name:<52}{count:7,} of {limit:6,}{'   TOO MANY' if count > limit else ''}")
    data = sum(length(path) for pattern in DATA for path in project.root.glob(pattern))
    print(f"{'data of lessons_lib (toml, css, js), not in its count':<52}{data:7,}, no limit")
    return int(any(count > limit for _, count, limit in rows))

"""What ``make check`` and ``make test`` run: one function per stage, and the table at the end.

Standard library only.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Callable, Mapping
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
LIMITS = {  # what, files, lines of all together; a file of lessons_lib has a limit of its own
    "lessons_lib": ("lessons_lib/**/*.py", 12_000),
    "of these, the shelf": ("lessons_lib/*.py", 2_300),
    "tools": ("tools/*.py", 2_200),
    "extensions": ("book/_ext/*.py", 400),
    "tests": ("tests/**/*.py", 13_000),
}
SHELF_FILES, FILE_LINES = 12, 450


def cores() -> int:
    """Processor cores that this process may use."""
    able = getattr(os, "sched_getaffinity", None)
    return len(able(0)) if able else os.cpu_count() or 1


def memory() -> int:
    """Bytes of memory of this machine; 0 where it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError):
        return 0


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


def style(project: Project) -> int:
    """Check code and notebooks with ruff."""
    check = call(project, ["-m", "ruff", "check", "."])
    return call(project, ["-m", "ruff", "format", "--check", "."]) or check


def types(project: Project) -> int:
    """Check types with mypy."""
    return call(project, ["-m", "mypy"])


def site_tests(project: Project) -> list[str]:
    """The tests that look at the built site."""
    return sorted(str(path) for path in (project.root / "tests").glob("test_site*.py"))


def unit(project: Project) -> int:
    """Run everything in tests/ that needs no site."""
    others = [f"--ignore={path}" for path in site_tests(project)]
    return pytest(project, "unit", ["tests", *others], min(cores(), 8))


def quick(project: Project) -> int:
    """Run the tests that need neither a browser nor more than about a second."""
    others = [f"--ignore={path}" for path in site_tests(project)]
    options = ["tests", "-q", "-m", "not slow and not browser", *others]
    return pytest(project, "quick", options, min(cores(), 8))


def chapters(project: Project) -> int:
    """Execute each chapter once, alone in an empty directory, against its committed outputs."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        top = Path(name)
        settings = top / "nbval.ini"
        settings.write_text(NBVAL_INI, encoding="utf-8")
        copies = []
        for path in website.chapters(project):
            folder = top / path.stem
            folder.mkdir()
            copies.append(shutil.copy(path, folder))
        if not copies:
            print("_toc.yml names no notebook: nothing to execute")
            return 0
        options = ["-c", str(settings), f"--rootdir={top}", "--durations=5", "--nbval-lax"]
        options += ["--nbval-kernel-name=python3", f"--nbval-cell-timeout={CELL_SECONDS}"]
        names = [*options, *map(str, copies)]
        workers = 2 if cores() > 1 and memory() > 2 * CHAPTER_BYTES else 1
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
    if path.exists():
        for suite in ElementTree.parse(path).iter("testsuite"):
            total["failed"] += int(suite.get("failures", 0))
            total["errors"] += int(suite.get("errors", 0))
            total["skipped"] += int(suite.get("skipped", 0))
            total["passed"] += int(suite.get("tests", 0))
        total["passed"] -= total["failed"] + total["errors"] + total["skipped"]
    return total


def closing_line(total: Counter[str], seconds: float) -> str:
    """The sum over all stages, as pytest would close."""
    kinds = [kind for kind in ("failed", "passed", "skipped", "errors") if total[kind]]
    words = ", ".join(f"{total[kind]} {kind}" for kind in kinds) or "no tests ran"
    return f" {words} in {seconds:.2f}s ".center(78, "=")


def run_stages(project: Project, chosen: Mapping[str, Callable[[Project], int]]) -> int:
    """Run stages, all of them even when one fails, and end with a table and the sum.

    Returns:
        0 if every stage passed.
    """
    table: list[str] = []
    failed: list[str] = []
    total: Counter[str] = Counter()
    began = time.monotonic()
    for name, function in chosen.items():
        counts_file(project, name).unlink(missing_ok=True)
        headline = f" {name}: {(function.__doc__ or '').strip()} "
        print(f"\n{headline.center(78, '-')}", flush=True)
        start = time.monotonic()
        failed += [name] if function(project) else []
        counts = counted(counts_file(project, name))
        total += counts
        words = ", ".join(f"{number} {kind}" for kind, number in counts.items() if number)
        verdict = "FAILED" if name in failed else "passed"
        row = f"{name:<12}{verdict:<10}{time.monotonic() - start:8.1f}   {words}"
        table.append(row.rstrip())
    print("\n".join([f"\n{'stage':<12}{'result':<10}{'seconds':>8}   tests", *table]))
    if failed:
        print(f"Failed: {', '.join(failed)}; one stage: python tools/course.py test --only STAGE")
    print(closing_line(total, time.monotonic() - began), flush=True)
    return 1 if failed else 0


def lines(project: Project) -> int:
    """Print how many lines there are of each kind beside the limit; 1 where one is exceeded."""

    def length(path: Path) -> int:
        return len(path.read_text(encoding="utf-8").splitlines())

    rows = {
        name: (sum(map(length, project.root.glob(pattern))), limit)
        for name, (pattern, limit) in LIMITS.items()
    }
    long, path = max((length(path), path) for path in project.root.glob("lessons_lib/**/*.py"))
    rows[f"longest file: {path.relative_to(project.root).as_posix()}"] = (long, FILE_LINES)
    shelf = len(list(project.root.glob("lessons_lib/*.py")))
    rows["files of the shelf"] = (shelf, SHELF_FILES)
    for name, (count, limit) in rows.items():
        print(f"{name:<52}{count:7,} of {limit:6,}{'   TOO MANY' if count > limit else ''}")
    return int(any(count > limit for count, limit in rows.values()))

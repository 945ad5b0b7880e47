"""What ``make test`` runs: one function per stage, and the table at the end.

Standard library only.
"""

from __future__ import annotations

import shutil
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import website
from environment import Project, call

CELL_SECONDS = 600
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


def counts_file(project: Project, stage: str) -> Path:
    """Where pytest writes the results of a stage."""
    return project.build / "test-results" / f"{stage}.xml"


def pytest(project: Project, stage: str, arguments: list[str], **settings: str) -> int:
    """Run pytest on the installed ``lessons_lib``."""
    results = counts_file(project, stage)
    options = [f"--junitxml={results}", "-o", "junit_family=xunit2"]
    return call(project, ["-m", "pytest", *arguments, *options], LESSONS_INSTALLED="1", **settings)


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
    return pytest(project, "unit", ["tests", *others])


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
        options = [
            "-c",
            str(settings),
            f"--rootdir={top}",
            "--nbval-lax",
            "--nbval-kernel-name=python3",
        ]
        options += [f"--nbval-cell-timeout={CELL_SECONDS}", "--durations=5"]
        names = [*options, *map(str, copies)]
        return pytest(project, "chapters", names, LESSONS_STATIC_FIGURES="1")


def site(project: Project) -> int:
    """Build the site from the committed outputs and look at it in a browser."""
    source = project.build / "test-src"
    output = project.build / "test-site" / "_build" / "html"
    website.stage(project, source, {})
    if not website.build(project, source, output):
        return 1
    return pytest(project, "site", site_tests(project), LESSONS_SITE=str(output))


STAGES: dict[str, Callable[[Project], int]] = {
    "style": style,
    "types": types,
    "unit": unit,
    "chapters": chapters,
    "site": site,
}


def counted(path: Path) -> Counter[str]:
    """How many tests passed, failed and were skipped, from pytest's own record."""
    total: Counter[str] = Counter()
    if not path.exists():
        return total
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


def run_stages(project: Project, only: list[str] | None) -> int:
    """Run the stages, all of them even when one fails, and end with a table and the sum.

    Args:
        project: the course.
        only: names of the stages to run; ``None`` for all.

    Returns:
        0 if every stage passed.
    """
    table: list[tuple[str, str, float, Counter[str]]] = []
    for name, function in STAGES.items():
        if only and name not in only:
            continue
        counts_file(project, name).unlink(missing_ok=True)
        headline = f" {name}: {(function.__doc__ or '').strip()} "
        print(f"\n{headline.center(78, '-')}", flush=True)
        start = time.monotonic()
        status = function(project)
        verdict = "FAILED" if status else "passed"
        seconds = time.monotonic() - start
        table.append((name, verdict, seconds, counted(counts_file(project, name))))
    print(f"\n{'stage':<12}{'result':<10}{'seconds':>8}   tests")
    total: Counter[str] = Counter()
    for name, verdict, seconds, counts in table:
        words = ", ".join(f"{number} {kind}" for kind, number in counts.items() if number)
        print(f"{name:<12}{verdict:<10}{seconds:8.1f}   {words}".rstrip())
        total += counts
    failed = [name for name, verdict, _, _ in table if verdict != "passed"]
    if failed:
        print(f"Failed: {', '.join(failed)}; again with python tools/course.py test --only STAGE")
    print(closing_line(total, sum(row[2] for row in table)), flush=True)
    return 1 if failed else 0


def lint(project: Project) -> int:
    """Run the stages that read the code only."""
    first = style(project)
    return types(project) or first


def format_code(project: Project) -> int:
    """Let ruff mend and format code and notebooks."""
    mended = call(project, ["-m", "ruff", "check", "--fix", "."])
    return call(project, ["-m", "ruff", "format", "."]) or mended

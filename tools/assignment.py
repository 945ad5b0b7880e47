"""The graded problem set: make what is handed out, and grade what comes back.

``python tools/assignment.py build`` makes ``_build/assignment`` of ``assignment/problem_set.ipynb``
with otter-grader: the student's notebook without solutions, and the archive that grades it, for
Gradescope or for ``python tools/assignment.py grade FOLDER`` on this computer. The archive contains
the wheel of ``lessons_lib``, so that grading does not depend on where the course is published.

Standard library only: this runs before anything is installed.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import environment
from environment import CourseError, Project
from handins import LEFT_OUT, LITTER, found_submissions, read_submission, written_answers

NAME = "problem_set"
SOURCES = "/autograder/source/files/wheels"
"""Where Gradescope, and otter's own containers, put the wheel."""
SECONDS = 1800


@dataclass(frozen=True)
class Grade:
    """What came of one submission.

    Attributes:
        name: of its file without suffix, or of its folder.
        points: of each question that code grades; empty where ``problem`` says why.
        possible: the most that each of these questions gives.
        written: answers to the questions that a person grades.
        problem: why it could not be graded; empty if it was.
        remarks: answers that were stopped or refused.
    """

    name: str
    points: dict[str, float]
    possible: dict[str, float]
    written: str
    problem: str = ""
    remarks: str = ""


def folder(project: Project) -> Path:
    """Where everything is built."""
    return project.build / "assignment"


def otter(project: Project, arguments: list[str], library: Path, cwd: Path, seconds: float) -> str:
    """Run otter-grader in ``cwd`` with the ``lessons_lib`` in ``library``; return what it printed.

    Raises:
        CourseError: it failed, or took longer; the last line of the message says why.
    """
    command = [str(project.python), "-P", "-m", "otter", *arguments]
    variables = environment.child_environment(project) | {"PYTHONPATH": str(library)}
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=variables,
            check=False,
            timeout=seconds,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
    except subprocess.TimeoutExpired:
        raise CourseError(f"expected an end within {seconds:g} s, found none") from None
    if done.returncode:
        raise CourseError(f"otter {arguments[0]} failed:\n{done.stdout.strip()}")
    return done.stdout


# Building ---------------------------------------------------------------------------------------


def requirements(project: Project, wheel: str) -> list[str]:
    """What Gradescope installs: the wheel, and the pins of what ``lessons_lib`` needs.

    PyTorch comes from its index of CPU builds where that has the pinned version.
    """
    settings = tomllib.loads((project.root / "pyproject.toml").read_text(encoding="utf-8"))
    names = [re.split(r"[<>=!~ ;\[]", line)[0] for line in settings["project"]["dependencies"]]
    pins = (project.root / "requirements.txt").read_text(encoding="utf-8").splitlines()
    found = [f"--extra-index-url {environment.CPU_INDEX}"]
    for name in names:
        lines = [line for line in pins if re.match(rf"{re.escape(name)}\s*==", line)]
        if not lines:
            raise CourseError(f"requirements.txt: expected a line {name}==..., found none")
        found += lines
    return [*found, f"lessons-lib @ file://{SOURCES}/{wheel}"]


def unpacked(archive: Path, target: Path) -> Path:
    """Unpack ``lessons_lib`` and the plugin of an autograder archive, and return the folder.

    Raises:
        CourseError: the archive contains no wheel of it, or is none.
    """
    try:
        with zipfile.ZipFile(archive) as outer:
            (name,) = (n for n in outer.namelist() if re.search(r"lessons_lib-[^/]*\.whl$", n))
            with outer.open(name) as wheel, zipfile.ZipFile(wheel) as inner:
                inner.extractall(target)
            outer.extract("files/isolation.py", target)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise CourseError(
            f"expected an archive that `make assignment` made in {archive}, found none ({error})"
        ) from None
    return target


def build(project: Project) -> Path:
    """Make the student's notebook and the archive; the solutions are graded on the way.

    Returns the folder with ``student``, ``problem_set.zip`` (the same, to be handed out),
    ``autograder.zip`` and ``solutions``.

    Raises:
        CourseError: something failed, such as a test of the set on its own solution.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        stage = Path(name)
        plugin = project.root / "assignment" / "isolation.py"
        (stage / "library" / "files").mkdir(parents=True)
        shutil.copy(plugin, stage / "library" / "files")  # where otter finds it on Gradescope, too
        shutil.copy(plugin, stage)
        shutil.copy(project.root / "assignment" / f"{NAME}.ipynb", stage)
        wheel = environment.build_package(project, stage / "wheels")
        wanted = "\n".join(requirements(project, wheel.name))
        (stage / "requirements.txt").write_text(wanted, encoding="utf-8")
        with zipfile.ZipFile(wheel) as file:
            file.extractall(stage / "library")
        otter(project, ["assign", f"{NAME}.ipynb", "made"], stage / "library", stage, SECONDS)
        made = stage / "made"
        target = folder(project)
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(made / "student", target / "student")
        (archive,) = (made / "autograder").glob("*.zip")
        shutil.copy(archive, target / "autograder.zip")
        (target / "solutions").mkdir()
        shutil.copy(made / "autograder" / f"{NAME}.ipynb", target / "solutions")
        shutil.copytree(made / "student", stage / "packed" / NAME)
        shutil.make_archive(str(target / NAME), "zip", stage / "packed")
    return target


# Grading ----------------------------------------------------------------------------------------


def grade_one(
    project: Project, name: str, paths: list[Path], library: Path, seconds: float = SECONDS
) -> Grade:
    """Grade a submission, the notebook in ``paths``; one that cannot be graded says why.

    It runs as you, without a sandbox, for at most ``seconds`` in all; each question has a limit of
    its own in the problem set. ``library`` has ``autograder.zip`` and what ``unpacked`` took out.
    """
    written = ""
    try:
        notebook = read_submission(paths)
        written = written_answers(notebook)
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder_name:
            copy = Path(folder_name) / f"{NAME}.ipynb"  # of a name and coding that otter can read
            missing = {"metadata": {}, "nbformat": 4, "nbformat_minor": 5}
            copy.write_text(json.dumps(missing | notebook), encoding="utf-8")
            arguments = ["run", str(copy), "-a", str(library / "autograder.zip"), "-o", folder_name]
            otter(project, [*arguments, "--no-logo"], library, copy.parent, seconds)
            result = json.loads((copy.parent / "results.json").read_text(encoding="utf-8"))
    except CourseError as error:
        reason = re.sub(r"^[\w.]+Error: ", "", str(error).splitlines()[-1])
        return Grade(name, {}, {}, written, reason)
    tests = [test for test in result["tests"] if "max_score" in test]
    points = {test["name"]: float(test["score"]) for test in tests}
    possible = {test["name"]: float(test["max_score"]) for test in tests}
    said = re.findall(r"AnswerError: (.+)", "\n".join(test.get("output", "") for test in tests))
    return Grade(name, points, possible, written, remarks="; ".join(dict.fromkeys(said)))


def grade(
    project: Project,
    submissions: dict[str, list[Path]],
    archive: Path,
    *,
    jobs: int = 1,
    seconds: float = SECONDS,
) -> list[Grade]:
    """Grade submissions with the ``lessons_lib`` that the archive contains; see ``grade_one``."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        library = unpacked(archive, Path(name))
        shutil.copy(archive, library / "autograder.zip")

        def graded(item: tuple[str, list[Path]]) -> Grade:
            if all(LITTER.fullmatch(path.name) for path in item[1]):
                return Grade(item[0], {}, {}, "", LEFT_OUT)
            return grade_one(project, *item, library, seconds)

        with ThreadPoolExecutor(max_workers=jobs) as pool:
            return list(pool.map(graded, submissions.items()))


def write_grades(grades: list[Grade], target: Path) -> None:
    """Write ``grades.csv``, and ``written.md`` with the answers that a person grades."""
    columns = sorted({name for grade in grades for name in grade.points})
    target.mkdir(parents=True, exist_ok=True)
    with (target / "grades.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["submission", *columns, "automatic", "of", "problem", "remarks"])
        for one in grades:
            sums = [f"{sum(one.points.values()):g}", f"{sum(one.possible.values()):g}"]
            row = [f"{one.points[name]:g}" if name in one.points else "" for name in columns]
            sums = sums if one.points else ["", ""]
            table.writerow([one.name, *row, *sums, one.problem, one.remarks])
    answers = [
        f"# {grade.name}\n\n{grade.written or '(no answer found)'}\n"
        for grade in grades
        if grade.problem != LEFT_OUT
    ]
    (target / "written.md").write_text("\n".join(answers), encoding="utf-8")


def main(arguments: list[str] | None = None, project: Project | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="assignment.py", description=(__doc__ or "").split("\n")[0]
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="make the student's notebook and the autograder archive")
    grading = commands.add_parser("grade", help="grade what was handed in, without Docker")
    grading.add_argument("submissions", nargs="+", type=Path, help="files, or folders of them")
    grading.add_argument("--autograder", type=Path, help="archive, if not that of `build`")
    grading.add_argument("--jobs", type=int, default=1, help="submissions at a time")
    grading.add_argument("--seconds", type=float, default=SECONDS, help="time for a submission")
    options = parser.parse_args(arguments)
    try:
        if project is None:
            project = Project(Path(__file__).resolve().parent.parent)
            environment.ensure(project, cpu=os.environ.get("TORCH") == "cpu")
        if options.command == "build":
            target = build(project)
            print(f"{target / f'{NAME}.zip'}: hand this out")
            print(f"{target / 'autograder.zip'}: for Gradescope, or for `make grade`")
            print(f"{target / 'solutions'}: for you alone")
            return 0
        target = folder(project)
        archive = options.autograder or target / "autograder.zip"
        files = found_submissions(path.expanduser() for path in options.submissions)
        grades = grade(project, files, archive, jobs=options.jobs, seconds=options.seconds)
        write_grades(grades, target)
        failed = sum(grade.problem not in ("", LEFT_OUT) for grade in grades)
        done = sum(not grade.problem for grade in grades)
        print(f"{target / 'grades.csv'}: {done} of {done + failed} graded")
        print(f"{target / 'written.md'}: the written answers, to be graded by hand")
        for one in grades:
            if one.problem or one.remarks:
                print(f"{one.name}: {one.problem or one.remarks}")
        return 1 if failed else 0
    except CourseError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

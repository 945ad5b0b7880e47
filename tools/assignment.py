"""The graded problem set: make what is handed out, and grade what comes back.

otter-grader makes ``_build/assignment`` of ``assignment/problem_set.ipynb``: the student's notebook
without solutions, and the archive that grades it, on Gradescope or on this computer. The archive
contains the wheel of ``lessons_lib``, so that grading does not depend on where the course is
published.
"""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import tempfile
import tomllib
import zipfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

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


def otter(project: Project, arguments: list[str], library: Path, cwd: Path, seconds: float) -> None:
    """Run otter-grader in ``cwd`` with the ``lessons_lib`` in ``library``.

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


# Building ---------------------------------------------------------------------------------------


def requirements(project: Project, wheel: str) -> list[str]:
    """What Gradescope installs: the wheel, and the pins of what ``lessons_lib`` needs.

    PyTorch comes from its index of CPU builds where that has the pinned version.
    """
    settings = tomllib.loads((project.root / "pyproject.toml").read_text(encoding="utf-8"))
    text = (project.root / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = [(Requirement(line).name, line) for line in text if line and not line.startswith("#")]
    found = [f"--extra-index-url {environment.CPU_INDEX}"]
    for wanted in map(Requirement, settings["project"]["dependencies"]):
        lines = [line for name, line in pins if name == wanted.name]
        if not lines:
            raise CourseError(f"requirements.txt: expected a line {wanted.name}==..., found none")
        found += lines
    return [*found, f"lessons-lib @ file://{SOURCES}/{wheel}"]


def unpacked(archive: Path, target: Path) -> Path:
    """Put an autograder archive, its ``lessons_lib`` and its plugin into a folder; return that.

    Raises:
        CourseError: the archive contains no wheel of it, or is none.
    """
    try:
        with zipfile.ZipFile(archive) as outer:
            (name,) = (n for n in outer.namelist() if re.search(r"lessons_lib-[^/]*\.whl$", n))
            with outer.open(name) as wheel, zipfile.ZipFile(wheel) as inner:
                inner.extractall(target)
            outer.extract("files/isolation.py", target)
        shutil.copy(archive, target / "autograder.zip")
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise CourseError(
            f"expected an archive that `make assignment` made in {archive}, found none ({error})"
        ) from None
    return target


def build(project: Project) -> int:
    """Make the student's notebook and the archive; the solutions are graded on the way.

    Afterwards ``_build/assignment`` has ``student``, ``problem_set.zip`` (the same, to be handed
    out), ``autograder.zip`` and ``solutions``.

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
        target = project.build / "assignment"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(made / "student", target / "student")
        (archive,) = (made / "autograder").glob("*.zip")
        shutil.copy(archive, target / "autograder.zip")
        (target / "solutions").mkdir()
        shutil.copy(made / "autograder" / f"{NAME}.ipynb", target / "solutions")
        shutil.copytree(made / "student", stage / "packed" / NAME)
        shutil.make_archive(str(target / NAME), "zip", stage / "packed")
    print(f"{target / f'{NAME}.zip'}: hand this out")
    print(f"{target / 'autograder.zip'}: for Gradescope, or for `make grade`")
    print(f"{target / 'solutions'}: for you alone")
    return 0


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


def grade(project: Project, handed_in: Iterable[Path], jobs: int = 1) -> int:
    """Grade what was handed in with the ``lessons_lib`` of the archive, some at a time.

    Returns:
        1 if something could not be graded; the table of grades says why.
    """
    target = project.build / "assignment"
    students = found_submissions(path.expanduser() for path in handed_in)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        library = unpacked(target / "autograder.zip", Path(name))

        def graded(item: tuple[str, list[Path]]) -> Grade:
            if all(LITTER.fullmatch(path.name) for path in item[1]):
                return Grade(item[0], {}, {}, "", LEFT_OUT)
            return grade_one(project, *item, library)

        with ThreadPoolExecutor(max_workers=jobs) as pool:
            grades = list(pool.map(graded, students.items()))
    write_grades(grades, target)
    failed = sum(one.problem not in ("", LEFT_OUT) for one in grades)
    done = sum(not one.problem for one in grades)
    print(f"{target / 'grades.csv'}: {done} of {done + failed} graded")
    print(f"{target / 'written.md'}: the written answers, to be graded by hand")
    for one in grades:
        if one.problem or one.remarks:
            print(f"{one.name}: {one.problem or one.remarks}")
    return 1 if failed else 0

"""The graded problem set: make what is handed out, and grade what comes back.

otter-grader makes of it the student's notebook without solutions, and the archive that grades, with
the wheel of ``lessons_lib`` in it, on Gradescope or on this computer.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import tempfile
import tomllib
import zipfile
import zlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pandas
from packaging.requirements import Requirement

import environment
from environment import CourseError, Project

NAME = "problem_set"
SOURCES = "/autograder/source/files/wheels"  # where Gradescope puts the wheel
SECONDS = 1800
LARGEST = 100_000_000  # bytes of a file in a zip file; reading more would take all memory
WRITTEN = re.compile(r"<!-- (BEGIN|END) QUESTION -->")
SUFFIX = re.compile(r"\.(ipynb|zip)\b.*", re.IGNORECASE)
LITTER = re.compile(r"\._.*|\.DS_Store|\.ipynb_checkpoints|__MACOSX|Thumbs\.db|desktop\.ini", re.I)


def otter(project: Project, arguments: list[str], library: Path, cwd: Path, seconds: float) -> None:
    """Run otter-grader in ``cwd`` with the ``lessons_lib`` in ``library``.

    CourseError: it failed, or took longer; the last line of the message says why.
    """
    command = [str(project.python), "-P", "-m", "otter", *arguments]
    options: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "cwd": cwd}
    options |= {"stdin": subprocess.DEVNULL, "encoding": "utf-8", "errors": "replace"}
    options["env"] = environment.child_environment(project) | {"PYTHONPATH": str(library)}
    try:
        subprocess.run(command, check=True, timeout=seconds, **options)
    except subprocess.TimeoutExpired:
        raise CourseError(f"expected an end within {seconds:g} s, found none") from None
    except subprocess.CalledProcessError as error:
        raise CourseError(f"otter {arguments[0]} failed:\n{error.stdout.strip()}") from None


def requirements(project: Project, wheel: str) -> list[str]:
    """What Gradescope installs: the wheel, and the pins of what ``lessons_lib`` needs.

    PyTorch comes from its index of CPU builds where that has the pinned version.
    """
    settings = tomllib.loads((project.root / "pyproject.toml").read_text(encoding="utf-8"))
    text = (project.root / "requirements.txt").read_text(encoding="utf-8")
    needed = [Requirement(wanted).name for wanted in settings["project"]["dependencies"]]
    pins = re.findall(r"^([\w.-]+)(==.*)$", text, re.MULTILINE)
    found = [name + pin for wanted in needed for name, pin in pins if name == wanted]
    index = f"--extra-index-url {environment.CPU_INDEX}"
    return [index, *found, f"lessons-lib @ file://{SOURCES}/{wheel}"]


def build(project: Project) -> int:
    """Make the student's notebook and the archive; otter grades the solutions on the way."""
    source, target = project.root / "assignment", project.build / "assignment"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        stage = Path(name)
        library, made = stage / "library", stage / "made"
        (library / "files").mkdir(parents=True)
        for folder in (library / "files", stage):  # the first is where Gradescope has it
            shutil.copy(source / "isolation.py", folder)
        shutil.copy(source / f"{NAME}.ipynb", stage)
        wheel = environment.build_package(project, stage / "wheels")
        wanted = "\n".join(requirements(project, wheel.name))
        (stage / "requirements.txt").write_text(wanted, encoding="utf-8")
        shutil.unpack_archive(wheel, library, "zip")
        otter(project, ["assign", f"{NAME}.ipynb", "made"], library, stage, SECONDS)
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(made / "student", target / "student")
        (archive,) = (made / "autograder").glob("*.zip")
        shutil.copy(archive, target / "autograder.zip")
        (target / "solutions").mkdir()
        shutil.copy(made / "autograder" / f"{NAME}.ipynb", target / "solutions")
        (made / "student").rename(made / NAME)
        shutil.make_archive(str(target / NAME), "zip", made, NAME)
    print(f"{target / f'{NAME}.zip'}: hand this out")
    print(f"{target / 'autograder.zip'}: for Gradescope, or for `make grade`")
    print(f"{target / 'solutions'}: for you alone")
    return 0


# What was handed in ------------------------------------------------------------------------------


def is_litter(path: Path) -> bool:
    """Whether a system or Jupyter left a file, or a folder that it lies in, without being asked."""
    return any(map(LITTER.fullmatch, path.parts))


def found_submissions(paths: Iterable[Path]) -> list[Path]:
    """Every file and folder among paths and directly in folders: each is one submission."""
    found: dict[Path, None] = {}
    for path in paths:
        if not path.exists():
            raise CourseError(f"expected notebooks or zip files to grade, found no {path}")
        inside = sorted(path.iterdir()) if path.is_dir() else [path]
        found |= dict.fromkeys(file for file in inside if not is_litter(Path(file.name)))
    if not found:
        raise CourseError("expected notebooks or zip files to grade, found none")
    return list(found)


def notebooks(name: str, data: bytes, depth: int = 3) -> list[dict[str, Any]]:
    """The notebooks in a file: itself, or what a zip file has in its folders and zip files.

    The content counts, not the suffix of its name; but a file that is called a notebook or a zip
    file has to be one. At most ``depth`` zip files may lie in one another.
    ValueError: it is not what it is called, or too large.
    """
    found: list[dict[str, Any]] = []
    try:
        if zipfile.is_zipfile(io.BytesIO(data)) and depth:
            with zipfile.ZipFile(io.BytesIO(data)) as file:
                for member in file.infolist():
                    path = Path(member.filename)
                    if SUFFIX.search(path.name) and not member.is_dir() and not is_litter(path):
                        if member.file_size > LARGEST:
                            raise ValueError(f"{path} is too large")
                        found += notebooks(path.name, file.read(member), depth - 1)
            return found
        content = json.loads(data)  # in UTF-8, 16 or 32, with or without a mark
        [sources(cell) for cell in content["cells"]]
        return [content]
    except (KeyError, TypeError):
        problem: object = "it has no cells with text"
    except (ValueError, RuntimeError, EOFError, zipfile.error, zlib.error) as error:
        problem = error if data else "it is empty"
    if SUFFIX.search(name):
        raise ValueError(f"{name}: {problem}")
    return found


def sources(cell: dict[str, Any]) -> str:
    """The text of a cell, which a notebook has in one piece or in lines."""
    return "".join(cell["source"])


def read_submission(path: Path) -> dict[str, Any]:
    """The one notebook in a file, or in a folder of a student; copies of it do no harm."""
    found: dict[str, dict[str, Any]] = {}
    where: list[str] = []
    try:
        for file in [path, *sorted(path.rglob("*"))]:
            if file.is_file() and not is_litter(file.relative_to(path)):
                for one in notebooks(file.name, file.read_bytes()):
                    found[json.dumps(list(map(sources, one["cells"])))] = one
                    where.append(file.name)
        if len(found) != 1:
            raise ValueError(f"{len(found)}, in {', '.join(where)}" if found else "none")
    except (OSError, ValueError) as error:
        raise CourseError(
            f"expected a notebook, or a zip file with one, found something else ({error})"
        ) from None
    return next(iter(found.values()))


def written_answers(notebook: dict[str, Any]) -> str:
    """What stands between the marks that otter-grader puts around written questions."""
    answers: list[str] = []
    inside = False
    for text in map(sources, notebook["cells"]):
        if mark := WRITTEN.match(text):
            inside = mark[1] == "BEGIN"
        elif inside:
            answers.append(text.strip())
    return "\n\n".join(answers)


# Grading ----------------------------------------------------------------------------------------


def unpacked(archive: Path, target: Path) -> Path:
    """Put an autograder archive, its ``lessons_lib`` and its plugin into a folder; return that."""
    try:
        with zipfile.ZipFile(archive) as outer:
            (name,) = (n for n in outer.namelist() if re.search(r"lessons_lib-[^/]*\.whl$", n))
            shutil.unpack_archive(outer.extract(name, target), target, "zip")
            outer.extract("files/isolation.py", target)
        shutil.copy(archive, target / "autograder.zip")
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise CourseError(
            f"expected an archive that `make assignment` made in {archive}, found none ({error})"
        ) from None
    return target


def grade_one(
    project: Project, library: Path, path: Path, seconds: float = SECONDS
) -> dict[str, Any]:
    """Grade a submission, the notebook in ``path``; one that cannot be graded says why.

    It runs as you, without a sandbox, for at most ``seconds`` in all; each question has a limit of
    its own in the problem set. ``library`` has ``autograder.zip`` and what ``unpacked`` took out.

    Returns:
        Its row of the table, with the points of each question or the ``problem``; in ``remarks``
        answers that were stopped or refused; and what it has ``written`` for a person.
    """
    row: dict[str, Any] = {"submission": path.name, "written": "", "problem": "", "remarks": ""}
    try:
        notebook = read_submission(path)
        row["written"] = written_answers(notebook)
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            copy = Path(folder) / f"{NAME}.ipynb"  # of a name and coding that otter can read
            missing = {"metadata": {}, "nbformat": 4, "nbformat_minor": 5}
            copy.write_text(json.dumps(missing | notebook), encoding="utf-8")
            arguments = ["run", str(copy), "-a", str(library / "autograder.zip"), "-o", folder]
            otter(project, [*arguments, "--no-logo"], library, copy.parent, seconds)
            result = json.loads((copy.parent / "results.json").read_text(encoding="utf-8"))
    except CourseError as error:
        reason = re.sub(r"^[\w.]+Error: ", "", str(error).splitlines()[-1])
        return row | {"problem": reason}
    tests = [test for test in result["tests"] if "max_score" in test]
    said = re.findall(r"AnswerError: (.+)", "\n".join(test.get("output", "") for test in tests))
    sums = {"automatic": sum(t["score"] for t in tests), "of": sum(t["max_score"] for t in tests)}
    points = {test["name"]: test["score"] for test in tests}
    return row | points | sums | {"remarks": "; ".join(dict.fromkeys(said))}


def write_grades(rows: list[dict[str, Any]], target: Path) -> None:
    """Write ``grades.csv``, and ``written.md`` with the answers that a person grades."""
    last = ["automatic", "of", "problem", "remarks"]
    questions = sorted(set().union(*rows) - {"submission", "written", *last})
    table = pandas.DataFrame(rows, columns=["submission", *questions, *last])
    table.to_csv(target / "grades.csv", index=False, float_format="%g")
    answers = [f"# {x['submission']}\n\n{x['written'] or '(no answer found)'}\n" for x in rows]
    (target / "written.md").write_text("\n".join(answers), encoding="utf-8")


def grade(project: Project, handed_in: Iterable[Path], jobs: int = 1) -> int:
    """Grade what was handed in with the ``lessons_lib`` of the archive, ``jobs`` at a time.

    1: something could not be graded; the table of grades says why.
    """
    target = project.build / "assignment"
    submissions = found_submissions(path.expanduser() for path in handed_in)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        grade_it = partial(grade_one, project, unpacked(target / "autograder.zip", Path(name)))
        with ThreadPoolExecutor(max_workers=jobs) as pool:
            rows = list(pool.map(grade_it, submissions))
    write_grades(rows, target)
    failed = sum(bool(row["problem"]) for row in rows)
    print(f"{target / 'grades.csv'}: {len(rows) - failed} of {len(rows)} graded")
    print(f"{target / 'written.md'}: the written answers, to be graded by hand")
    for row in rows:
        if said := row["problem"] or row["remarks"]:
            print(f"{row['submission']}: {said}")
    return int(bool(failed))

"""The problem set: what students get holds no answer, and otter-grader gives the right points."""

from __future__ import annotations

import ast
import csv
import importlib.util
import json
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml

import assignment
from assignment import Grade
from environment import CourseError, Project
from labels import read_settings

ROOT = Path(__file__).resolve().parent.parent
SOURCE = nbformat.read(ROOT / "assignment" / "problem_set.ipynb", as_version=4)
needs_otter = pytest.mark.skipif(
    importlib.util.find_spec("otter") is None,
    reason="otter-grader is not installed here; `make env` installs it",
)
FULL = {"q1": 3, "q2a": 2, "q2b": 1, "q3a": 2, "q3b": 2, "q4a": 2, "q4b": 2, "q5a": 2, "q5b": 2}

# Six wrong submissions. Each differs from the reference in some answers, and loses these points.
WRONG: dict[str, tuple[dict[str, str], dict[str, int]]] = {
    "mask after the softmax": (
        {
            "q1": """
def attend(encoder, decoder, weight, mask):
    scores = decoder @ weight @ encoder.transpose(1, 2)
    return scores.softmax(-1) * mask[:, None]
"""
        },
        {"q1": 1},
    ),
    "padding that is louder than the words": (
        {
            "q1": """
def attend(encoder, decoder, weight, mask):
    scores = decoder @ weight @ encoder.transpose(1, 2)
    alpha = scores.softmax(-1) * mask[:, None]
    return alpha / alpha.sum(-1, keepdim=True)
"""
        },
        {"q1": 2},
    ),
    "words instead of sentences": (
        {
            "q2a": """
def cooccurrence(source, target, vocab):
    counts = torch.zeros(vocab, vocab)
    for i, o in zip(source, target, strict=True):
        for word in i:
            for other in o:
                counts[word, other] += 1
    return counts / torch.bincount(source.flatten(), minlength=vocab).clamp(min=1)[:, None]
""",
            "q2b": "smallest_vocab = 44",
        },
        {"q2a": 1, "q2b": 0},
    ),
    "one length and no ties": (
        {
            "q3a": """
def agreement(u, v, mask):
    k = int(np.ceil(0.05 * u.shape[1]))
    best = u.masked_fill(~mask, -torch.inf).argmax(1)
    return float((v.topk(k).indices == best[:, None]).any(1).float().mean())
""",
            "q3b": """
def chance(v, mask):
    lengths = mask.sum(1)
    return float((torch.ceil(0.05 * lengths) / lengths).mean())
""",
        },
        {"q3a": 1, "q3b": 1},
    ),
    "the law for the logit": (
        {
            "q4a": """
def attention_gradient(alpha, z, y):
    return alpha * (z[:, y] - alpha @ z[:, y])
""",
            "q4b": """
alpha, y = torch.tensor([0.5, 0.5]), 0
z = torch.tensor([[3.0, 1.0], [0.0, 0.0]])
""",
        },
        {"q4a": 0, "q4b": 1},
    ),
    "unfinished": (
        {
            "q1": "def attend(encoder, decoder, weight, mask:",
            "q5a": "def branches(mass, length):\n    ...",
            "q5b": """
def tickets(aligned):
    runs, heads = aligned.shape
    found = stats.proportion_interval(int(aligned.any(1).sum()) * heads, runs * heads)
    one = aligned.mean()
    return {
        "one": one, "predicted": 1 - (1 - one) ** heads,
        "observed": found.estimate, "low": found.low, "high": found.high,
    }
""",
        },
        {"q1": 0, "q5a": 0, "q5b": 1},
    ),
}


class Here(Project):
    """This checkout with the Python that runs the tests, built elsewhere."""

    def __init__(self, target: Path) -> None:
        super().__init__(ROOT)
        object.__setattr__(self, "target", target)

    @property
    def python(self) -> Path:
        return Path(sys.executable)

    @property
    def build(self) -> Path:
        target: Path = self.__dict__["target"]
        return target


def filled(student: Any, answers: dict[str, str]) -> str:
    """A student's notebook with answers to questions, as text."""
    notebook = nbformat.from_dict(json.loads(json.dumps(student)))
    for cell in notebook.cells:
        name = cell["id"].removesuffix("-solution")
        cell["source"] = answers.get(name, cell["source"]).strip("\n")
        if cell["id"] == "q6-prompt" and "q6" in answers:
            cell["source"] = answers["q6"]
    return str(nbformat.writes(notebook))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the built set: its own tests have passed on its solutions."""
    return assignment.build(Here(tmp_path_factory.mktemp("build")))


@pytest.fixture(scope="module")
def solutions(built: Path) -> dict[str, str]:
    """Answers of the reference."""
    notebook = nbformat.read(built / "solutions" / "problem_set.ipynb", as_version=4)
    found = {c["id"].removesuffix("-solution"): c["source"] for c in notebook.cells}
    return {name: found[name] for name in FULL} | {"q6": "All but *one*."}


@pytest.fixture(scope="module")
def graded(built: Path, solutions: dict[str, str], tmp_path_factory: Any) -> dict[str, Any]:
    """Rows of the table of grades, by name of the submission."""
    folder = tmp_path_factory.mktemp("submissions")
    student = nbformat.read(built / "student" / "problem_set.ipynb", as_version=4)
    with zipfile.ZipFile(folder / "reference.zip", "w") as file:
        file.writestr("problem_set.ipynb", filled(student, solutions))
    for name, (answers, _) in WRONG.items():
        text = filled(student, solutions | answers)
        (folder / f"{name}.ipynb").write_text(text, encoding="utf-8")
    (folder / "untouched.ipynb").write_text(filled(student, {}), encoding="utf-8")
    (folder / "no notebook.ipynb").write_text("My dog ate it.", encoding="utf-8")
    status = assignment.main(["grade", str(folder), "--jobs", "2"], Here(built.parent))
    with (built / "grades.csv").open(encoding="utf-8", newline="") as table:
        rows: dict[str, Any] = {row["submission"]: row for row in csv.DictReader(table)}
    return rows | {"status": status}


def points(row: dict[str, str]) -> dict[str, float]:
    return {name: float(row[name]) for name in FULL}


# What students get -------------------------------------------------------------------------------


def test_the_set_has_twenty_points_and_says_them() -> None:
    settings = [yaml.safe_load(c.source) for c in SOURCE.cells if "BEGIN QUESTION" in c.source]
    found = {question["name"]: question["points"] for question in settings}
    assert found == FULL | {"q6": 2}
    assert sum(found.values()) == 20
    texts = {c["id"].removesuffix("-text"): c.source for c in SOURCE.cells}
    minutes = 0
    for name, value in found.items():
        words = re.match(r"\*\*(\d+) points?, (\d+) minutes", texts[name])
        assert words is not None, name
        assert int(words[1]) == value
        minutes += int(words[2])
    assert 100 <= minutes <= 150


@needs_otter
@pytest.mark.slow
def test_students_get_no_solution_and_no_hidden_test(built: Path) -> None:
    folder = built / "student"
    texts = [path.read_text(encoding="utf-8") for path in (folder / "tests").glob("*.py")]
    notebook = nbformat.read(folder / "problem_set.ipynb", as_version=4)
    texts += [cell["source"] for cell in notebook.cells]
    given = "\n".join(texts)
    secret: set[str] = set()
    for cell in SOURCE.cells:
        hidden = "hidden: true" in cell.source
        if cell["id"].endswith("-solution"):
            body = re.sub(r"(?s)\A.*?# BEGIN SOLUTION|# END SOLUTION.*|# SOLUTION", "", cell.source)
            secret |= {line.strip() for line in body.splitlines()}
        elif hidden:
            body = cell.source.split("# END TEST CONFIG")[1]
            secret |= {ast.unparse(line) for line in ast.parse(body).body}
    public = [
        c.source for c in SOURCE.cells if c["cell_type"] == "code" and "hidden: false" in c.source
    ]
    shared = {ast.unparse(line) for text in public for line in ast.parse(text).body}
    secret = {line for line in secret - shared if len(line) >= 20}
    assert len(secret) > 60
    assert [line for line in secret if line in given] == []
    assert "hidden': True" not in given
    assert all(f'grader.check("{name}")' in given for name in FULL)
    assert not any(cell.get("outputs") for cell in notebook.cells)


@needs_otter
@pytest.mark.slow
def test_what_is_handed_out_and_the_archive_are_complete(built: Path) -> None:
    with zipfile.ZipFile(built / "problem_set.zip") as file:
        names = set(file.namelist())
    tests = {f"problem_set/tests/{name}.py" for name in FULL}
    assert {"problem_set/problem_set.ipynb", *tests} <= names
    assert not [name for name in names if name.endswith((".whl", ".zip"))]
    with zipfile.ZipFile(built / "autograder.zip") as file:
        names = set(file.namelist())
        wanted = yaml.safe_load(file.read("environment.yml"))["dependencies"][-1]["pip"]
        settings = json.loads(file.read("otter_config.json"))
        hidden = [name for name in FULL if b"'hidden': True" in file.read(f"tests/{name}.py")]
    wheel = f"lessons_lib-{read_settings(ROOT).version}-py3-none-any.whl"
    assert f"files/wheels/{wheel}" in names
    assert wanted[-1] == f"lessons-lib @ file:///autograder/source/files/wheels/{wheel}"
    assert any(re.fullmatch(r"torch==[\d.]+", line) for line in wanted)
    assert hidden == list(FULL)
    assert settings["show_hidden"] is False


# What they get for it ----------------------------------------------------------------------------


@needs_otter
@pytest.mark.slow
def test_the_reference_gets_full_marks(graded: dict[str, Any]) -> None:
    row = graded["reference"]
    assert points(row) == FULL
    assert (row["automatic"], row["of"], row["problem"]) == ("18", "18", "")


@needs_otter
@pytest.mark.slow
@pytest.mark.parametrize("name", WRONG)
def test_wrong_answers_lose_their_points_and_no_others(graded: dict[str, Any], name: str) -> None:
    expected = FULL | WRONG[name][1]
    assert points(graded[name]) == expected
    assert float(graded[name]["automatic"]) == sum(expected.values()) < 18
    assert graded[name]["problem"] == ""


@needs_otter
@pytest.mark.slow
def test_an_untouched_notebook_gets_nothing_and_a_file_that_is_none_is_named(
    graded: dict[str, Any], built: Path
) -> None:
    assert set(points(graded["untouched"]).values()) == {0}
    broken = graded["no notebook"]
    assert (broken["q1"], broken["automatic"]) == ("", "")
    assert "expected a notebook" in broken["problem"]
    assert graded["status"] == 1
    written = (built / "written.md").read_text(encoding="utf-8").split("# ")
    assert "reference\n\nAll but *one*.\n\n" in written
    assert "no notebook\n\n(no answer found)\n\n" in written


@needs_otter
def test_a_submission_that_does_not_end_is_given_up(tmp_path: Path) -> None:
    submission = tmp_path / "endless.ipynb"
    submission.write_text('{"cells": []}', encoding="utf-8")
    found = assignment.grade_one(Here(tmp_path), submission, submission, tmp_path, seconds=0.01)
    assert found == Grade("endless", {}, {}, "", "expected an end within 0.01 s, found none")


# Without otter-grader ----------------------------------------------------------------------------


def test_submissions_are_files_and_what_lies_in_folders(tmp_path: Path) -> None:
    for name in ("b.ipynb", "a.zip", "notes.txt", "more/c.zip", "more/b.zip"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = assignment.found_submissions([tmp_path, tmp_path / "more" / "c.zip"])
    assert [path.name for path in found] == ["a.zip", "b.ipynb", "c.zip"]
    with pytest.raises(CourseError, match=r"two of b$"):
        assignment.found_submissions([tmp_path, tmp_path / "more"])
    with pytest.raises(CourseError, match="found none"):
        assignment.found_submissions([tmp_path / "notes.txt"])


@pytest.mark.parametrize("name", ["none.ipynb", "list.ipynb", "two.zip", "deep.zip", "text.zip"])
def test_what_is_no_submission_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "list.ipynb").write_text("[]", encoding="utf-8")
    (tmp_path / "text.zip").write_text("x", encoding="utf-8")
    for archive, names in {"two.zip": ["a.ipynb", "b.ipynb"], "deep.zip": ["a/b.ipynb"]}.items():
        with zipfile.ZipFile(tmp_path / archive, "w") as file:
            for member in names:
                file.writestr(member, '{"cells": []}')
    with pytest.raises(CourseError, match="expected a notebook, or a zip file with one"):
        assignment.read_notebook(tmp_path / name)


def test_written_answers_stand_between_marks() -> None:
    texts = [
        "x",
        "<!-- BEGIN QUESTION -->\n\nWhy?",
        "So.\n",
        ["And ", "so."],
        "<!-- END QUESTION -->",
    ]
    cells = [{"source": text} for text in [*texts, "y"]]
    assert assignment.written_answers({"cells": cells}) == "So.\n\nAnd so."


def test_the_table_of_grades(tmp_path: Path) -> None:
    grades = [
        Grade("ann", {"q1": 1.5, "q2": 0.0}, {"q1": 2.0, "q2": 1.0}, "Because."),
        Grade("bo", {}, {}, "", "no, broken"),
    ]
    assignment.write_grades(grades, tmp_path)
    assert (tmp_path / "grades.csv").read_text(encoding="utf-8").splitlines() == [
        "submission,q1,q2,automatic,of,problem",
        "ann,1.5,0,1.5,3,",
        'bo,,,,,"no, broken"',
    ]
    written = (tmp_path / "written.md").read_text(encoding="utf-8")
    assert written == "# ann\n\nBecause.\n\n# bo\n\n(no answer found)\n"


def test_gradescope_installs_the_pins_of_what_lessons_lib_needs(project: Any) -> None:
    dependencies = '[project]\ndependencies = ["torch>=2", "numpy"]\n'
    (project.root / "pyproject.toml").write_text(dependencies, encoding="utf-8")
    pins = project.root / "requirements.txt"
    pins.write_text("numpy==1 ; x\nnumpy==2 ; y\nnumpy-more==3\ntorch==4\n", encoding="utf-8")
    first, *found = assignment.requirements(project, "a.whl")
    assert first.startswith("--extra-index-url https://")
    wheel = "lessons-lib @ file:///autograder/source/files/wheels/a.whl"
    assert found == ["torch==4", "numpy==1 ; x", "numpy==2 ; y", wheel]
    pins.write_text("torch==4\n", encoding="utf-8")
    with pytest.raises(CourseError, match=r"a line numpy==\.\.\., found none"):
        assignment.requirements(project, "a.whl")


def test_an_archive_of_something_else_is_refused(tmp_path: Path, capsys: Any) -> None:
    archive = tmp_path / "x.zip"
    (tmp_path / "a.ipynb").touch()
    words = ["grade", str(tmp_path / "a.ipynb"), "--autograder", str(archive)]
    for content in (None, "text", "empty"):
        if content == "text":
            archive.write_text("x", encoding="utf-8")
        elif content == "empty":
            zipfile.ZipFile(archive, "w").close()
        assert assignment.main(words, Here(tmp_path)) == 1
        assert "expected an archive that `make assignment` made" in capsys.readouterr().err

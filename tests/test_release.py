"""A release writes the version everywhere, or changes nothing."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml

import editions
import release
from environment import CourseError
from labels import Settings, read_settings

ROOT = Path(__file__).resolve().parent.parent
OLD = Settings("0.3.0", "https://github.com/old/course", "https://old.example/course", "ab" * 32)
PLACEHOLDER = Settings("0.3.0", "https://course.invalid/repository", "https://course.invalid/site")
NEW = Settings("0.4.1", "https://github.com/new/lessons", "https://new.example/book")

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="there is no git on the PATH")

FILES = {
    "pyproject.toml": f"""\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "lessons-lib"
version = "{OLD.version}"
requires-python = ">=3.11"

[tool.course]
repository = "{OLD.repository}"
site = "{OLD.site}"
wheel_sha256 = "{OLD.wheel_sha256}"

[tool.hatch.build.targets.wheel]
packages = ["lessons_lib"]
""",
    "lessons_lib/__init__.py": f'"""Tiny."""\n\n__version__ = "{OLD.version}"\n',
    "CITATION.cff": "cff-version: 1.2.0\nversion: 0.3.0\ndate-released: 2020-02-29\nauthors: []\n",
    "book/course.bib": (
        f"@software{{x,\n  year = {{2020}},\n  version = {{0.3.0}},\n  url = {{{OLD.site}}}\n}}\n"
    ),
    "CHANGELOG.md": "# Changes\n\n## Unreleased\n\n- New thing.\n\n## 0.3.0 - 2020-02-29\n\nOld.\n",
    "README.md": f"Read {OLD.site}/x, take {OLD.wheel} from {OLD.repository}.\n",
    ".gitignore": "dist/\n",
}


def git(root: Path, *words: str) -> None:
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *words], cwd=root, check=True, capture_output=True)


def chapter() -> str:
    cells = [
        nbformat.v4.new_markdown_cell("# One\n\nSee {doc}`02_two`.", id="title"),
        nbformat.v4.new_code_cell("1 + 1", id="sum", execution_count=2),
    ]
    return editions.written(nbformat.v4.new_notebook(cells=cells))


@pytest.fixture
def tiny(project: Any) -> Any:
    """A tiny course under version control, with everything committed."""
    for name, text in FILES.items():
        (project.root / name).write_text(text, encoding="utf-8")
    for name in ("01_one", "02_two"):
        (project.root / "book" / f"{name}.ipynb").write_text(chapter(), encoding="utf-8")
    editions.prepare(project)
    editions.build(project)
    git(project.root, "init", "--quiet")
    git(project.root, "add", "--all")
    git(project.root, "commit", "--quiet", "-m", "first")
    return project


def snapshot(root: Path) -> dict[str, str]:
    files = (path for path in root.rglob("*") if path.is_file() and ".git" not in path.parts)
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_a_release_names_version_and_addresses_everywhere(tiny: Any) -> None:
    changed = release.release(tiny, NEW.version, NEW.repository + "/", NEW.site, "2021-03-04")
    root = tiny.root
    wheel = root / "dist" / "lessons_lib-0.4.1-py3-none-any.whl"
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    assert read_settings(root) == replace(NEW, wheel_sha256=digest)
    assert (root / "lessons_lib" / "__init__.py").read_text().endswith('__version__ = "0.4.1"\n')
    cited = yaml.safe_load((root / "CITATION.cff").read_text())
    assert (cited["version"], str(cited["date-released"])) == ("0.4.1", "2021-03-04")
    assert (cited["url"], cited["repository-code"]) == (NEW.site, NEW.repository)
    bib = (root / "book" / "course.bib").read_text()
    assert bib == (
        f"@software{{x,\n  year = {{2021}},\n  version = {{0.4.1}},\n  url = {{{NEW.site}}}\n}}\n"
    )
    assert (root / "CHANGELOG.md").read_text() == (
        "# Changes\n\n## Unreleased\n\nNothing yet.\n\n## 0.4.1 - 2021-03-04\n\n- New thing.\n\n"
        "## 0.3.0 - 2020-02-29\n\nOld.\n"
    )
    readme = (root / "README.md").read_text()
    assert readme == f"Read {NEW.site}/x, take {NEW.wheel} from {NEW.repository}.\n"
    for folder, kept in (("book", True), ("colab", False), ("student", False)):
        for name in ("01_one", "02_two"):
            text = (root / folder / f"{name}.ipynb").read_text(encoding="utf-8")
            assert f'WHEEL = \\"{NEW.wheel}\\"' in text
            assert f'SHA256 = \\"{digest}\\"' in text
            assert (f"/new/lessons/blob/v0.4.1/colab/{name}.ipynb" in text) is kept
            assert not [old for old in (OLD.repository, OLD.site, "0.3.0") if old in text]
    chapter = nbformat.read(root / "book" / "01_one.ipynb", as_version=4)
    assert [cell.get("execution_count") for cell in chapter.cells] == [None, None, None, 2]
    assert editions.problems(tiny) == []
    assert len(changed) == 5 + 1 + 2 + 2 + 2 + 1  # settings, README, chapters, two editions, wheel


def test_the_first_release_needs_addresses_and_brings_badges(
    tiny: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tiny.root / "pyproject.toml"
    for old, new in zip(astuple(OLD), astuple(PLACEHOLDER), strict=True):
        path.write_text(path.read_text("utf-8").replace(f'"{old}"', f'"{new}"'), "utf-8")
    assert read_settings(tiny.root) == PLACEHOLDER
    editions.prepare(tiny)
    editions.build(tiny)
    git(tiny.root, "commit", "--quiet", "--all", "-m", "before any release")
    chapter = tiny.root / "book" / "01_one.ipynb"
    ids = [cell["id"] for cell in nbformat.read(chapter, as_version=4).cells]
    assert ids == ["title", "install", "sum"]
    assert "http" not in chapter.read_text("utf-8")
    before = snapshot(tiny.root)
    given = {"REPOSITORY": NEW.repository, "SITE": NEW.site}
    for missing in given:
        for value in ("", PLACEHOLDER.site):
            words = [f"--{k.lower()}={value if k == missing else v}" for k, v in given.items()]
            assert release.main(["0.4.1", *words], tiny.root) == 1
            assert f"make release needs {missing}=https://..." in capsys.readouterr().err
    assert snapshot(tiny.root) == before
    release.release(tiny, "0.4.1", **{k.lower(): v for k, v in given.items()})
    text = chapter.read_text("utf-8")
    assert "/new/lessons/blob/v0.4.1/colab/01_one.ipynb" in text
    assert NEW.wheel in text


STRANGERS = re.compile(
    r"how-attention-learns(\.github\.io|/course)|//github\.com/YOU\b|//YOU\.|/gh/YOU\b"
    r"|colab\.research\.google\.com/github/[\w]|pip install[^`\n]*https?://(?!github\.com/<)"
)


def test_before_a_release_no_address_leads_to_a_stranger() -> None:
    """In all that is committed, and in the built site where there is one."""
    if read_settings(ROOT).wheel_sha256:
        return
    names = release.git(ROOT, "ls-files", "-z").rstrip("\0").split("\0")
    files = [ROOT / name for name in names if not name.startswith("tests/")]
    site = os.environ.get("LESSONS_SITE")
    files += [path for path in Path(site).rglob("*") if path.is_file()] if site else []
    found = {
        f"{path}: {match[0]}"
        for path in files
        if path.is_file()
        for match in STRANGERS.finditer(path.read_text(encoding="utf-8", errors="replace"))
    }
    assert not found


def test_the_command_says_what_to_commit_and_does_not_do_it(
    tiny: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release, "Project", type(tiny))  # with the Python that runs the tests
    assert release.main(["0.4.1"], tiny.root) == 0
    said = capsys.readouterr().out
    assert "git tag -a v0.4.1" in said
    assert 'git commit -m "Release 0.4.1"' in said
    assert f"{OLD.repository}/releases/download/v0.4.1/lessons_lib-0.4.1-py3-none-any.whl" in said
    assert release.git(tiny.root, "tag", "--list") == ""
    assert len(release.git(tiny.root, "log", "--oneline").splitlines()) == 1


@pytest.mark.parametrize(
    ("version", "options", "words"),
    [
        ("tomorrow", [], "PEP 440"),
        ("0.3.0", [], "above the present 0.3.0"),
        ("0.3.0rc1", [], "above the present 0.3.0"),
        ("0.10.0+mine", [], "without"),
        ("0.4.0", ["--repository", "https://gitlab.com/a/b"], "github.com/OWNER/NAME"),
        ("0.4.0", ["--repository", "https://github.com/a"], "github.com/OWNER/NAME"),
        ("0.4.0", ["--site", "example.org"], "--site: expected https"),
    ],
)
def test_a_wrong_wish_changes_nothing(
    tiny: Any,
    capsys: pytest.CaptureFixture[str],
    version: str,
    options: list[str],
    words: str,
) -> None:
    before = snapshot(tiny.root)
    assert release.main([version, *options], tiny.root) == 1
    said = capsys.readouterr().err
    assert words in said
    assert "Nothing was changed" in said
    assert snapshot(tiny.root) == before


def test_versions_are_compared_as_versions_not_as_text() -> None:
    assert release.checked_version("v0.10.0", "0.9.1") == "0.10.0"
    assert release.checked_version("1.0rc1", "0.9.1") == "1.0rc1"


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("book/02_two.ipynb", "{doc}", "{unheard}", "unknown role 'unheard'"),
        ("CHANGELOG.md", "- New thing.", "Nothing yet.", "expected what changed"),
        ("CHANGELOG.md", "## Unreleased", "## New", "expected one heading '## Unreleased'"),
        ("pyproject.toml", "hatchling.build", "no.such.builder", "pip could not do"),
        ("lessons_lib/__init__.py", "__version__", "version", "line that begins with __version__"),
        ("CITATION.cff", "", None, "CITATION.cff, found none"),
    ],
)
def test_a_failure_on_the_way_changes_nothing(
    tiny: Any, name: str, old: str, new: str | None, words: str
) -> None:
    path = tiny.root / name
    if new is None:
        path.unlink()
    else:
        path.write_text(path.read_text("utf-8").replace(old, new), "utf-8")
    (tiny.root / "student" / "01_one.ipynb").unlink()  # a release would write it
    git(tiny.root, "commit", "--quiet", "--all", "-m", "damage")
    before = snapshot(tiny.root)
    with pytest.raises(CourseError, match=words):
        release.release(tiny, "0.4.1")
    assert snapshot(tiny.root) == before


def test_uncommitted_work_and_a_taken_tag_stop_a_release(tiny: Any) -> None:
    git(tiny.root, "tag", "v0.4.1")
    with pytest.raises(CourseError, match="exists already"):
        release.release(tiny, "0.4.1")
    (tiny.root / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(CourseError, match=r"found changes:\n\?\? notes\.txt"):
        release.release(tiny, "0.4.2")


def test_this_project_could_be_released() -> None:
    """The lines that a release rewrites are there, and agree with each other."""
    settings = read_settings(ROOT)
    scope: dict[str, str] = {}
    exec((ROOT / "lessons_lib" / "__init__.py").read_text(encoding="utf-8"), scope)
    assert scope["__version__"] == settings.version
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert str(cited["version"]) == settings.version
    assert release.UNRELEASED in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    with pytest.raises(CourseError, match="REPOSITORY"):
        release.checked_address("--repository", PLACEHOLDER.repository)
    assert settings.wheel_sha256 or settings.repository == PLACEHOLDER.repository

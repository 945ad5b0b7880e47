"""When a page was last changed: from git, and only where git knows."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from website import page_dates

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="there is no git on the PATH")


def git(root: Path, *words: str, day: str = "2020-02-29") -> None:
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"]
    when = {f"GIT_{name}_DATE": f"{day}T12:00:00Z" for name in ("AUTHOR", "COMMITTER")}
    command = ["git", *who, *words]
    subprocess.run(command, cwd=root, env=os.environ | when, check=True, capture_output=True)


def commit(root: Path, day: str) -> None:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "-m", day, day=day)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two pages of one day, of which one was changed on a later one."""
    (tmp_path / "book").mkdir()
    git(tmp_path, "init", "--quiet")
    for name in ("a.md", "über b.ipynb", "style.css"):
        (tmp_path / "book" / name).write_text("first", encoding="utf-8")
    commit(tmp_path, "2020-02-29")
    (tmp_path / "book/a.md").write_text("second", encoding="utf-8")
    commit(tmp_path, "2021-03-04")
    return tmp_path


def test_each_page_has_the_day_of_its_last_commit_while_it_has_no_changes(root: Path) -> None:
    assert page_dates(root) == {"book/a.md": "2021-03-04", "book/über b.ipynb": "2020-02-29"}
    (root / "book/a.md").write_text("third", encoding="utf-8")
    (root / "book/new.md").write_text("new", encoding="utf-8")
    assert page_dates(root) == {"book/über b.ipynb": "2020-02-29"}


def test_nothing_is_known_without_history(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    top = tmp_path_factory.mktemp("copies")
    git(top, "clone", "--quiet", "--depth=1", root.as_uri(), "shallow")
    assert page_dates(top / "shallow") == {}
    shutil.copytree(root / "book", top / "plain" / "book")
    assert page_dates(top / "plain") == {}

"""A release writes the version everywhere, or changes nothing."""

from __future__ import annotations

import datetime
import hashlib
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml

import editions
import environment
import lessons_lib
import release
from environment import CourseError, git
from labels import Settings, read_settings

ROOT = Path(__file__).resolve().parent.parent
OLD = Settings("0.3.0", "https://course.invalid/repository", "https://course.invalid/site")
NEW = Settings("0.4.1", "https://github.com/new/lessons", "https://new.github.io/book")

FILES = {
    "pyproject.toml": f"""\
build-system = {{requires = ["hatchling"], build-backend = "hatchling.build"}}
[project]
name = "lessons-lib"
version = "{OLD.version}"
requires-python = ">=3.11"
[tool.course]
repository = "{OLD.repository}"
site = "{OLD.site}"
wheel_sha256 = "{OLD.wheel_sha256}"
""",
    "lessons_lib/__init__.py": f'"""Tiny."""\n\n__version__ = "{OLD.version}"\n',
    "CITATION.cff": "cff-version: 1.2.0\nversion: 0.3.0\ndate-released: 2020-02-29\nauthors: []\n",
    "book/course.bib": (
        f"@x{{y,\n  year    = {{2020}},\n  version = {{0.3.0}},\n  url     = {{{OLD.site}}}\n}}\n"
    ),
    "CHANGELOG.md": "# Changes\n\n## Unreleased\n\n- New thing.\n\n## 0.3.0 - 2020-02-29\n\nOld.\n",
    "README.md": f"Read {OLD.site}/x, take {OLD.wheel} from {OLD.repository}.\n",
    ".gitignore": "dist/\n",
}


def chapter() -> str:
    cells = [
        nbformat.v4.new_markdown_cell("# One\n\nSee {doc}`02_two`.", id="title"),
        nbformat.v4.new_code_cell("1 + 1", id="sum", execution_count=2),
    ]
    return editions.written(nbformat.v4.new_notebook(cells=cells))


@pytest.fixture
def tiny(project: Any, committer: None) -> Any:
    """A tiny course under version control, with everything committed."""
    del committer
    for name, text in FILES.items():
        (project.root / name).write_text(text, encoding="utf-8")
    for name in ("01_one", "02_two"):
        (project.root / "book" / f"{name}.ipynb").write_text(chapter(), encoding="utf-8")
    editions.renew(project)
    git(project.root, "init", "--quiet")
    git(project.root, "add", "--all")
    git(project.root, "commit", "--quiet", "-m", "first")
    return project


def snapshot(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file() and ".git" not in path.parts)
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


@pytest.mark.slow
def test_a_release_names_version_and_addresses_everywhere(tiny: Any) -> None:
    root, day = tiny.root, datetime.date.today().isoformat()
    assert release.release(tiny, NEW.version, NEW.repository + ".git/", NEW.site) == 0
    name = "lessons_lib-0.4.1-py3-none-any.whl"
    digest = hashlib.sha256((root / "dist" / name).read_bytes()).hexdigest()
    assert read_settings(root) == replace(NEW, wheel_sha256=digest)
    assert (root / "lessons_lib" / "__init__.py").read_text().endswith('__version__ = "0.4.1"\n')
    assert f"## 0.4.1 - {day}\n\n- New thing.\n" in (root / "CHANGELOG.md").read_text()
    readme = (root / "README.md").read_text()
    assert readme == f"Read {NEW.site}/x, take {NEW.wheel} from {NEW.repository}.\n"
    for folder, kept in (("book", True), ("colab", False), ("student", False)):
        for stem in ("01_one", "02_two"):
            text = (root / folder / f"{stem}.ipynb").read_text(encoding="utf-8")
            assert f'%pip install -q \\"{NEW.wheel}#sha256={digest}\\"' in text
            assert (f"/new/lessons/blob/v0.4.1/colab/{stem}.ipynb" in text) is kept
            assert not [old for old in (OLD.repository, OLD.site, "0.3.0") if old in text]
    assert editions.stale(tiny, mend=False) == []
    assert git(root, "tag", "--list") == ""
    git(root, "commit", "--quiet", "--all", "-m", "done")
    (root / "CHANGELOG.md").write_text("## Unreleased\n\nMore.\n", encoding="utf-8")
    git(root, "commit", "--quiet", "--all", "-m", "more")
    assert release.release(tiny, "0.5", "", "") == 0, "the lines are found again"
    text = (root / "book" / "01_one.ipynb").read_text(encoding="utf-8")
    assert "/new/lessons/blob/v0.5/colab/01_one.ipynb" in text
    assert "0.4.1" not in text


ADDRESS = re.compile(r"https?://[\w./<>-]+")
# Nobody can register these; or they are well known, and not to be had by somebody else. Of the last
# four the path says whose they are: corpora are pinned to a commit, all else only stands in.
KNOWN = re.compile(
    r"https?://((\.*|127\.0\.0\.1|localhost|YOUR-HUB|<you>\.github\.io|([\w-]+\.)*(invalid|example)"
    r"|(arxiv|doi|creativecommons|www\.w3|semver|download\.pytorch|tug|example)\.org|github"
    r"|ai\.stanford\.edu|otter-grader\.readthedocs\.io|marp\.app)(/.*)?"
    r"|github\.com(/?|/\.+|/OWNER/NAME|/<you>/.*)"
    r"|colab\.research\.google\.com((/github/?)?|/github/<you>/.*)"
    r"|mybinder\.org(/?|/v2/gh/(<you>/.*)?)"
    r"|raw\.githubusercontent\.com/[\w-]+/[\w-]+/[0-9a-f]{40}/.*)"
)
BY_NAME = re.compile(r"pip install[^`\n]*?[ '\"]lessons[-_]lib(?![\w.-]*\.whl)")


def strangers(text: str, settings: Settings) -> set[str]:
    """What a text names that is not ours, and that somebody could make his own."""
    ours = (settings.repository, settings.site) if settings.wheel_sha256 else ()
    named = {address.rstrip(".") for address in ADDRESS.findall(text)}
    others = {one for one in named if not one.startswith(ours) and not KNOWN.fullmatch(one)}
    return others | set(BY_NAME.findall(text))


def test_no_address_that_is_committed_leads_to_a_stranger() -> None:
    """But for tests, from which nobody installs. The built site: see ``test_site_links``."""
    names = git(ROOT, "ls-files", "-z").rstrip("\0").split("\0")
    files = [ROOT / name for name in names if not name.startswith("tests/")]
    settings = read_settings(ROOT)
    texts = {f: f.read_text(encoding="utf-8", errors="replace") for f in files if f.is_file()}
    found = {f.name: strangers(text, settings) for f, text in texts.items() if "\0" not in text}
    assert {name: new for name, new in found.items() if new} == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[x](https://github.com/somebody/course)", "https://github.com/somebody/course"),
        ("see https://course-of-ours.org.", "https://course-of-ours.org"),
        ("https://colab.research.google.com/github/a/b", None),
        ("`pip install -q lessons-lib`", "pip install -q lessons-lib"),
        ("https://raw.githubusercontent.com/a/b/main/c.txt", None),
    ],
)
def test_an_address_of_a_stranger_is_found(text: str, words: str | None) -> None:
    assert strangers(text, OLD) == {words or text}
    assert strangers(f"{NEW.repository}/x {NEW.site}", replace(NEW, wheel_sha256="ab")) == set()
    assert len(strangers(f"{NEW.repository}/x {NEW.site}", NEW)) == 2


def test_a_wrong_wish_changes_nothing(tiny: Any) -> None:
    git(tiny.root, "tag", "v0.4.2")
    before = snapshot(tiny.root)
    for version, repository, site, words in [
        ("tomorrow", NEW.repository, NEW.site, "PEP 440"),
        ("0.3.0rc1", NEW.repository, NEW.site, "above the present 0.3.0"),
        ("0.4.0", "https://gitlab.com/a/b", NEW.site, "github.com/OWNER/NAME"),
        ("0.4.0", "", NEW.site, "make release needs REPOSITORY="),
        ("0.4.0", NEW.repository, "", "make release needs SITE="),
        ("0.4.2", NEW.repository, NEW.site, "exists already"),
    ]:
        with pytest.raises(CourseError, match=f"(?s){words}.*Nothing was changed"):
            release.release(tiny, version, repository, site)
        assert snapshot(tiny.root) == before
    (tiny.root / "notes.txt").touch()
    with pytest.raises(CourseError, match=r"found changes:\n\?\? notes\.txt"):
        release.release(tiny, "0.4.1", NEW.repository, NEW.site)


def test_a_failure_on_the_way_changes_nothing(tiny: Any, monkeypatch: Any) -> None:
    wheel = tiny.root / ".git" / "lessons_lib.whl"
    wheel.touch()
    monkeypatch.setattr(environment, "build_package", lambda *_: wheel)
    path = tiny.root / "book" / "02_two.ipynb"
    path.write_text(path.read_text("utf-8").replace("{doc}", "{unheard}"), "utf-8")
    (tiny.root / "student" / "01_one.ipynb").unlink()  # a release would write it
    git(tiny.root, "commit", "--quiet", "--all", "-m", "damage")
    before = snapshot(tiny.root)
    with pytest.raises(CourseError, match="unknown role 'unheard'"):
        release.release(tiny, "0.4.1", NEW.repository, NEW.site)
    assert snapshot(tiny.root) == before


def test_this_project_could_be_released(tmp_path: Path) -> None:
    """A release finds each of its lines in the files as they are, and no old one is left."""
    old = read_settings(ROOT)
    assert old.wheel_sha256 or old.repository == OLD.repository
    assert old.version == lessons_lib.__version__
    names = ["pyproject.toml", "lessons_lib/__init__.py", "CITATION.cff", "book/course.bib"]
    pages = [path for name in release.NAMED_IN for path in ROOT.glob(name)]
    for path in [*pages, *(ROOT / name for name in ("CHANGELOG.md", *names))]:
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(path, copy)
    changes = tmp_path / "CHANGELOG.md"
    changes.write_text(changes.read_text("utf-8").replace("Nothing yet.", "- A thing."), "utf-8")
    new = replace(NEW, version="77.8.1", wheel_sha256=old.wheel_sha256)
    release.renew(tmp_path, old, new, "2077-08-09")
    assert read_settings(tmp_path) == new
    for name in names:
        assert "77.8.1" in (tmp_path / name).read_text("utf-8"), name
    cited = yaml.safe_load((tmp_path / "CITATION.cff").read_text("utf-8"))
    assert (cited["version"], str(cited["date-released"])) == ("77.8.1", "2077-08-09")
    assert (cited["url"], cited["repository-code"]) == (NEW.site, NEW.repository)
    fields = ["year    = {2077},", "version = {77.8.1},", f"url     = {{{NEW.site}}}"]
    assert all(field in (tmp_path / "book/course.bib").read_text("utf-8") for field in fields)
    for path in (path for path in tmp_path.rglob("*") if path.is_file() and path != changes):
        assert not [x for x in (old.repository, old.site) if x in path.read_text("utf-8")], path
    assert "## Unreleased\n\nNothing yet.\n\n## 77.8.1 - " in changes.read_text("utf-8")

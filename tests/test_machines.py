"""Settings, paths and directories of other people's machines; a small real environment for one."""

from __future__ import annotations

import errno
import json
import os
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import course
import environment
from environment import Project

ROOT = Path(__file__).resolve().parent.parent


def wheel(
    folder: Path, name: str, version: str, code: Mapping[str, bytes], needs: str = ""
) -> Path:
    """A wheel of one package, as any builder makes it; ``code``: contents of its files."""
    info = f"{name}-{version}.dist-info"
    about = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}"
    files = {f"{name}/{path}": content for path, content in code.items()}
    files[f"{info}/METADATA"] = about.encode()
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"]).encode()
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for path, content in files.items():
            file.writestr(path, content)
    return made


@pytest.mark.slow
def test_pip_installs_here_and_from_the_index_of_the_user(tmp_path: Path, monkeypatch: Any) -> None:
    """What leads elsewhere has no effect, what says where packages come from has.

    Blanks, brackets and a percent sign in a path are nothing special.
    """
    project = Project(tmp_path / "my course 100% [1]")
    (project.root / "lessons_lib").mkdir(parents=True)
    (project.root / "pyproject.toml").write_text("")
    pins = "Tiny_pin==1.5\nnever==1.0 ; python_version < '3'\n"
    (project.root / "requirements.txt").write_text(pins)
    wheel(project.root / "index", "tiny_pin", "1.5", {"__init__.py": b""})
    built = wheel(tmp_path / "built", "lessons_lib", "0.3.0", {"__init__.py": b""})
    monkeypatch.setattr(environment, "build_package", lambda *_: built)
    call = environment.call  # but for Matplotlib, which is not here
    monkeypatch.setattr(
        environment, "call", lambda p, a, **k: 0 if "font" in a[-1] else call(p, a, **k)
    )
    for name in os.environ:
        if name.startswith(("PIP_", "LESSONS_")):
            monkeypatch.delenv(name)
    for name in ("HOME", "USERPROFILE", "APPDATA", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "system"))
    # Each of these alone makes pip install elsewhere, or nothing; the last is harmless.
    bad = dict.fromkeys(("target", "prefix", "root", "python"), str(tmp_path / "elsewhere"))
    bad |= {"user": "yes", "dry-run": "1", "require-virtualenv": "1"}
    file = tmp_path / "system/pip/pip.conf"
    file.parent.mkdir(parents=True)
    lines = [f"{name} = {value}" for name, value in bad.items()]
    file.write_text("\n".join(["[global]", "no-index = 1", "[install]", *lines]))
    monkeypatch.setenv("PIP_FIND_LINKS", (project.root / "index").as_uri())
    for name, value in bad.items():
        monkeypatch.setenv(f"PIP_{name.upper().replace('-', '_')}", value)
    environment.ensure(project)
    assert json.loads(project.stamp.read_text("utf-8")) == project.wanted()
    ours = "import lessons_lib, sys, tiny_pin; sys.exit(sys.prefix not in tiny_pin.__file__)"
    assert environment.call(project, ["-c", ours]) == 0
    assert not (tmp_path / "elsewhere").exists()


def run(project: Project, *words: str) -> int:
    """What ``python tools/course.py`` does and returns."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(course, "Project", lambda _: project)
        patch.setattr(sys, "argv", ["course.py", *words])
        return course.main()


@pytest.mark.skipif(os.name == "nt", reason="makes symbolic links")
@pytest.mark.parametrize("what", ["link", "directory"])
def test_what_is_no_environment_of_ours_is_named_and_left_alone(
    project: Any, tmp_path: Path, capsys: Any, what: str
) -> None:
    theirs = tmp_path / "elsewhere" if what == "link" else project.venv
    (theirs / "bin").mkdir(parents=True)
    command = f"command = python -m venv {tmp_path}/{environment.PROMPT}/.venv"
    (theirs / "pyvenv.cfg").write_text(command, encoding="utf-8")
    if what == "link":
        project.venv.symlink_to(theirs)
    for command in ("env", "lock"):
        assert run(project, command) == 1
        said = capsys.readouterr().err
        assert said.startswith("\nexpected no .venv or one that `make book` made, found another")
        assert str(project.venv) in said
    assert (project.venv / "bin").exists()


def test_a_checkout_that_cannot_be_written_is_named(
    project: Any, monkeypatch: Any, capsys: Any
) -> None:
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(Path, "write_text", refuse)
    monkeypatch.setattr(environment, "works", lambda _: False)
    assert run(project, "env") == 1
    said = capsys.readouterr().err
    assert said.startswith(f"\n{os.strerror(errno.EROFS)}: {project.venv}")
    assert "in a copy that may be written" in said


@pytest.mark.parametrize("value", ["~/", "with a blank", " "])
def test_the_directory_of_the_corpora_as_people_write_it(
    tmp_path: Path, monkeypatch: Any, value: str
) -> None:
    (tmp_path / "with a blank").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for name in ("LESSONS_DATA", "LESSONS_CACHE"):
        monkeypatch.setenv(name, value)
    found = environment.child_environment(Project(tmp_path))
    expected = {"with a blank": str(tmp_path / value), " ": None}.get(value, str(tmp_path))
    assert found.get("LESSONS_DATA") == found.get("LESSONS_CACHE") == expected


@pytest.mark.parametrize("value", ["gone", "file", "~nobody-has-this-name"])
def test_corpora_in_no_directory_stop_every_command_at_once(
    project: Any, tmp_path: Path, monkeypatch: Any, capsys: Any, value: str
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LESSONS_DATA", value)
    monkeypatch.setattr(environment, "create", lambda _: pytest.fail("began"))
    assert run(project, "book") == 1
    assert f"expected a directory, found none in '{tmp_path / value}'" in capsys.readouterr().err

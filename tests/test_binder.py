"""Binder and images for a JupyterHub have the course's environment, and no list of their own."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet

import course

ROOT = Path(__file__).resolve().parent.parent
BINDER = ROOT / ".binder"
POST_BUILD = BINDER / "postBuild"
RECORDER = '#!/bin/bash\necho "$(basename "$(dirname "$(dirname "$0")")")" "$@" >>"$CALLS"\n'


def program(path: Path) -> None:
    """A program that notes how it was called."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(RECORDER, encoding="utf-8")
    path.chmod(0o755)


def build(folder: Path) -> tuple[int, list[list[str]]]:
    """Run postBuild with recorders in place of every Python: exit status and calls."""
    program(folder / "system" / "bin" / "python3")
    program(folder / "server" / "bin" / "python")
    program(folder / "repository" / ".venv" / "bin" / "python")
    calls = folder / "calls"
    variables = {
        "PATH": f"{folder / 'system' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "NB_PYTHON_PREFIX": str(folder / "server"),
        "CALLS": str(calls),
    }
    done = subprocess.run([str(POST_BUILD)], cwd=folder / "repository", env=variables, check=False)
    return done.returncode, [line.split() for line in calls.read_text().splitlines()]


@pytest.mark.skipif(os.name == "nt", reason="postBuild runs in a Linux image")
def test_the_image_gets_the_environment_of_make_env(tmp_path: Path) -> None:
    status, calls = build(tmp_path)
    assert status == 0
    env, kernel, server = calls
    assert env[:2] == ["system", "tools/course.py"]
    options = course.parse(env[2:])  # the command line that `make env` uses, read by its parser
    assert (options.command, options.torch) == ("env", "cpu")
    # Notebooks name the kernel python3: that one has to be the course's.
    assert kernel[0] == ".venv"
    assert kernel[1:4] == ["-m", "ipykernel", "install"]
    assert kernel[kernel.index("--prefix") + 1] == str(tmp_path / "server")
    assert kernel[kernel.index("--name") + 1] == "python3"
    assert server[:4] == ["server", "-m", "pip", "install"]
    assert server[4:] == ["nbgitpuller>=1.2,<2"]


def test_versions_stand_in_one_place_only() -> None:
    assert sorted(path.name for path in BINDER.iterdir()) == ["postBuild", "runtime.txt"]
    assert "==" not in POST_BUILD.read_text(encoding="utf-8")
    # repo2docker ignores files at the top where there is a .binder, and refuses a second folder.
    assert not (ROOT / "binder").exists()
    assert not (ROOT / "environment.yml").exists()


def test_the_python_of_the_image_is_one_that_is_tested() -> None:
    runtime = (BINDER / "runtime.txt").read_text(encoding="utf-8").strip()
    found = re.fullmatch(r"python-(\d+\.\d+)", runtime)
    assert found, runtime
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert SpecifierSet(settings["project"]["requires-python"]).contains(found[1])
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text("utf-8"))
    assert found[1] in workflow["jobs"]["everything"]["strategy"]["matrix"]["python"]

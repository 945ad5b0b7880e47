"""Binder and images for a JupyterHub have the course's environment, and no list of their own."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import yaml
from packaging.specifiers import SpecifierSet

import course

ROOT = Path(__file__).resolve().parent.parent
BINDER = ROOT / ".binder"
POST_BUILD = BINDER / "postBuild"


def test_the_image_gets_the_environment_of_make_env() -> None:
    lines = [line.split() for line in POST_BUILD.read_text("utf-8").splitlines()]
    env, kernel, server = (line for line in lines if "-m" in line or "tools/course.py" in line)
    assert env[:2] == ["python3", "tools/course.py"]
    options = course.parse(env[2:])  # the command line that `make env` uses, read by its parser
    assert (options.command, options.torch) == ("env", "cpu")
    # Notebooks name the kernel python3: that one has to be the course's.
    assert kernel[:4] == [".venv/bin/python", "-m", "ipykernel", "install"]
    assert kernel[4:8] == ["--prefix", '"$NB_PYTHON_PREFIX"', "--name", "python3"]
    assert server[:4] == ['"$NB_PYTHON_PREFIX/bin/python"', "-m", "pip", "install"]
    assert server[4:] == ['"nbgitpuller>=1.2,<2"']
    assert os.access(POST_BUILD, os.X_OK)


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

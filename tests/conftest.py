"""What all tests share: which ``lessons_lib`` they test, and where the project lies.

``make test`` installs the wheel and sets ``LESSONS_INSTALLED``: then the tests must see the
installed package, because that is what a reader gets. A plain ``pytest`` in a checkout tests the
checkout.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent

if not os.environ.get("LESSONS_INSTALLED"):
    sys.path.insert(0, str(ROOT))
# The scripts of tools/ are run, not installed; their tests import them by name.
sys.path += [str(ROOT / "tools"), str(ROOT / "tests")]
# A browser, for the tests of the built site and those of scripts and figures.
pytest_plugins = ["site_browser"]


def pytest_sessionstart() -> None:
    """Stop at once when the tests would not see the installed wheel."""
    if not os.environ.get("LESSONS_INSTALLED"):
        return
    import lessons_lib

    found = Path(lessons_lib.__file__).resolve()
    if not found.is_relative_to(Path(sys.prefix).resolve()):
        pytest.exit(
            f"expected lessons_lib installed in {sys.prefix}, found {found}; "
            "run the tests with `make test`, or unset LESSONS_INSTALLED to test the checkout",
            returncode=4,
        )


def notebook(*sources: str) -> str:
    """A notebook with one code cell for each source, not executed."""
    cells: list[dict[str, Any]] = [
        {"cell_type": "code", "id": f"cell-{number}", "metadata": {}, "source": source}
        | {"execution_count": None, "outputs": []}
        for number, source in enumerate(sources, start=1)
    ]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells})


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A tiny course; its environment is the one that runs the tests."""
    from environment import Project

    class Tiny(Project):
        def write_notebook(self, name: str, *sources: str) -> None:
            path = self.root / "book" / f"{name}.ipynb"
            path.write_text(notebook(*sources), encoding="utf-8")

    monkeypatch.delenv("LESSONS_DATA", raising=False)
    tiny = Tiny(tmp_path)
    tiny.python = Path(sys.executable)
    (tmp_path / "book" / "_static").mkdir(parents=True)
    (tmp_path / "lessons_lib").mkdir()
    for name, text in {
        "_config.yml": "parse: {myst_enable_extensions: []}\n",
        "_toc.yml": "root: book/index\nparts:\n"
        "- numbered: 1\n  chapters: [{file: book/01_one}, {file: book/02_two}]\n",
        "book/references.bib": "",
        "requirements.txt": "torch==2.13.0\n",
        "pyproject.toml": "",
        "lessons_lib/__init__.py": "",
        "book/index.md": "# Tiny\n",
        "book/_static/custom.css": "",
    }.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    tiny.write_notebook("01_one", "print(6 * 7)")
    tiny.write_notebook("02_two", "1 + 1", "2 + 2")
    return tiny


@pytest.fixture
def committer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody in whose name ``environment.git`` commits, whatever git is told on this machine."""
    if shutil.which("git") is None:
        pytest.skip("there is no git on the PATH")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.org")


@pytest.fixture(scope="module", autouse=True)
def _one_thread_of_the_cpu() -> Iterator[None]:
    """Equal numbers on every machine and in every order of tests, where there is PyTorch."""
    if "torch" not in sys.modules:
        yield
        return
    import torch

    from lessons_lib import training

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "pick_device", lambda: torch.device("cpu"))
        yield
    torch.set_num_threads(threads)

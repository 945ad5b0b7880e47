"""The first cell of every chapter, run as it stands, with its address redirected to this checkout.

The environment is a fresh one that has everything but ``lessons_lib``, as Colab has. Its packages
are links to those of the environment that runs the tests; there is no package index.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sysconfig
import venv
from pathlib import Path
from typing import Any

import pytest
from test_machines import wheel

import editions
from environment import Project
from labels import Settings, read_settings

ROOT = Path(__file__).resolve().parent.parent
PRESENT = read_settings(ROOT).version
OLDER = "0.0.7"
REPORT = "\nimport lessons_lib\nprint('found', lessons_lib.__version__, lessons_lib.__file__)"
PACKAGE = {
    path.relative_to(ROOT / "lessons_lib").as_posix(): path.read_bytes()
    for path in sorted((ROOT / "lessons_lib").rglob("*"))
    if path.is_file() and "__pycache__" not in path.parts
}


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Where pip installs to in an environment with links to all packages but ``lessons_lib``."""
    packages = tmp_path / "packages"
    packages.mkdir()
    for place in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for package in Path(place).iterdir():
            link = packages / package.name
            if package.name.startswith(("lessons_lib", "lessons-lib", "__")) or link.exists():
                continue
            try:
                link.symlink_to(package, target_is_directory=package.is_dir())
            except OSError as error:
                pytest.skip(f"this system makes no symbolic links here: {error}")
    venv.create(Project(tmp_path).venv, with_pip=False, symlinks=os.name != "nt")
    (own,) = Project(tmp_path).venv.rglob("site-packages")
    (own / "others.pth").write_text(f"{packages}\n", encoding="utf-8")
    return own


def installed(own: Path) -> list[str]:
    """What is there beside the way to the packages of others."""
    return sorted(path.name for path in own.iterdir() if path.name != "others.pth")


def install_cell(top: Path, version: str, digest: str = "") -> str:
    """The install cell after the release of a version, whose wheel is made."""
    repository = top / "releases"
    first = PACKAGE["__init__.py"].replace(PRESENT.encode(), version.encode())
    place = (repository / Settings(version, "", "").wheel[1:]).parent
    code = {**PACKAGE, "__init__.py": first}
    made = wheel(place, "lessons_lib", version, code, "Requires-Dist: torch>=2.3\n")
    digest = digest or hashlib.sha256(made.read_bytes()).hexdigest()
    return editions.install_cell(Settings(version, repository.as_uri(), "", digest))


def run(top: Path, cell: str) -> tuple[int, str]:
    """Status and words of a cell that IPython runs in an empty directory of the reader's."""
    dropped = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    variables = {k: v for k, v in os.environ.items() if k not in dropped}
    variables |= {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PYTHONNOUSERSITE": "1"}
    variables |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "IPYTHONDIR": str(top / "ipython")}
    command = [str(Project(top).python), "-m", "IPython", "--colors=nocolor", "-c", cell]
    reader = top / "reader"
    reader.mkdir(exist_ok=True)
    both: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    done = subprocess.run(command, cwd=reader, env=variables, check=False, **both)
    assert list(reader.iterdir()) == []
    return done.returncode, done.stdout


@pytest.mark.slow
def test_it_installs_what_is_missing_and_replaces_what_is_older_and_nothing_else(
    own: Path, tmp_path: Path
) -> None:
    for version in (OLDER, PRESENT):
        _, said = run(tmp_path, install_cell(tmp_path, version) + REPORT)
        assert f"found {version} {own}" in said
        assert installed(own) == ["lessons_lib", f"lessons_lib-{version}.dist-info"]
    for version in (PRESENT, OLDER):  # a newer one than wanted is as good
        assert run(tmp_path, install_cell(tmp_path, version, digest="0" * 64)) == (0, "")


@pytest.mark.slow
def test_what_is_not_installed_is_told_with_its_reason(own: Path, tmp_path: Path) -> None:
    """Another file at the address; before a release, that there is none."""
    _, said = run(tmp_path, install_cell(tmp_path, PRESENT, digest="0" * 64) + REPORT)
    assert "Expected sha256 " + "0" * 64 in said
    assert "ModuleNotFoundError" in said
    assert installed(own) == []
    cell = editions.install_cell(Settings(PRESENT, "https://course.invalid/r", ""))
    assert "Do `pip install .` in the course's directory" in run(tmp_path, cell)[1]
    (own / "lessons_lib").mkdir()
    assert run(tmp_path, cell) == (0, "")

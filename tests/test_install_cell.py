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
from dataclasses import dataclass
from pathlib import Path

import pytest
from test_machines import wheel

import editions
from environment import Project
from labels import Settings, read_settings

ROOT = Path(__file__).resolve().parent.parent
PRESENT = read_settings(ROOT).version
OLDER = "0.0.7"
REPORT = "\nimport lessons_lib\nprint('found', lessons_lib.__version__, lessons_lib.__file__)"
USE = """
from lessons_lib import models, tasks
task = tasks.Copying(vocab=7, length=5)
config = models.Seq2SeqConfig(task.vocab_size, task.vocab_size, d_hidden=6)
model = models.build(config, seed=0)
print(tuple(model(task.sample(3, seed=0)).attention.shape))
"""
PACKAGE = {
    path.relative_to(ROOT / "lessons_lib").as_posix(): path.read_bytes()
    for path in sorted((ROOT / "lessons_lib").rglob("*"))
    if path.is_file() and "__pycache__" not in path.parts
}


@dataclass
class Runtime:
    """A fresh environment in ``top``, and beside it what its notebooks install from."""

    top: Path

    @property
    def own_packages(self) -> Path:
        """Where pip installs to; empty in the beginning."""
        kind, folder = "nt" if os.name == "nt" else "venv", str(Project(self.top).venv)
        base = {"base": folder, "platbase": folder}
        return Path(sysconfig.get_path("purelib", scheme=kind, vars=base))

    def installed(self) -> list[str]:
        """What is here beside the way to the packages of others."""
        return sorted(p.name for p in self.own_packages.iterdir() if p.name != "others.pth")

    def cell(self, version: str, digest: str = "") -> str:
        """The install cell after the release of a version, whose wheel is made."""
        repository = self.top / "releases"
        first = PACKAGE["__init__.py"].replace(PRESENT.encode(), version.encode())
        place = (repository / Settings(version, "", "").wheel[1:]).parent
        code = {**PACKAGE, "__init__.py": first}
        made = wheel(place, "lessons_lib", version, code, "Requires-Dist: torch>=2.3\n")
        digest = digest or hashlib.sha256(made.read_bytes()).hexdigest()
        return editions.install_cell(Settings(version, repository.as_uri(), "", digest))

    def run(self, cell: str) -> subprocess.CompletedProcess[str]:
        """Run a cell in IPython, in an empty directory of the reader's."""
        dropped = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
        variables = {k: v for k, v in os.environ.items() if k not in dropped}
        variables |= {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PYTHONNOUSERSITE": "1"}
        variables |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "IPYTHONDIR": str(self.top / "ipython")}
        command = [str(Project(self.top).python), "-m", "IPython", "--colors=nocolor", "-c", cell]
        (self.top / "reader").mkdir(exist_ok=True)
        done = subprocess.run(
            command, cwd=self.top / "reader", env=variables, capture_output=True, text=True
        )
        assert list((self.top / "reader").iterdir()) == []
        return done


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    """An environment with links to all installed packages but ``lessons_lib``."""
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
    fresh = Runtime(tmp_path)
    (fresh.own_packages / "others.pth").write_text(f"{packages}\n", encoding="utf-8")
    return fresh


@pytest.mark.slow
def test_installs_what_is_missing_and_touches_nothing_else(runtime: Runtime) -> None:
    question = "import importlib.metadata as m; d = m.distribution('torch')\n"
    question += "print(d.version, d.locate_file('torch'))"
    before = runtime.run(question).stdout
    done = runtime.run(runtime.cell(PRESENT) + REPORT + USE)
    assert f"found {PRESENT} {runtime.own_packages}" in done.stdout, done
    assert done.stdout.endswith("\n(3, 1, 6, 6)\n")  # five words and the end, on both sides
    assert runtime.installed() == ["lessons_lib", f"lessons_lib-{PRESENT}.dist-info"]
    assert before
    assert runtime.run(question).stdout == before


@pytest.mark.slow
def test_replaces_an_older_one_then_stays_silent(runtime: Runtime) -> None:
    for version in (OLDER, PRESENT):
        done = runtime.run(runtime.cell(version) + REPORT)
        assert f"found {version} {runtime.own_packages}" in done.stdout, done
        assert runtime.installed() == ["lessons_lib", f"lessons_lib-{version}.dist-info"]
    for version in (PRESENT, OLDER):  # a newer one than wanted is as good
        again = runtime.run(runtime.cell(version, digest="0" * 64))
        assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


@pytest.mark.slow
def test_another_file_at_the_address_is_not_installed_and_pip_says_why(runtime: Runtime) -> None:
    done = runtime.run(runtime.cell(PRESENT, digest="0" * 64) + REPORT)
    assert "Expected sha256 " + "0" * 64 in done.stdout + done.stderr
    assert "ModuleNotFoundError" in done.stdout + done.stderr
    assert runtime.installed() == []


@pytest.mark.slow
def test_before_a_release_the_cell_says_how_to_install(runtime: Runtime) -> None:
    cell = editions.install_cell(Settings(PRESENT, "https://course.invalid/r", ""))
    done = runtime.run(cell)
    assert "Do `pip install .` in the course's directory" in done.stdout + done.stderr
    (runtime.own_packages / "lessons_lib").mkdir()
    done = runtime.run(cell)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

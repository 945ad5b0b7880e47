"""The first cell of every chapter, run as it stands, with its address redirected to this checkout.

The environment is a fresh one that has everything but ``lessons_lib``, as Colab has. Its packages
are links to those of the environment that runs the tests; there is no package index.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sysconfig
import threading
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

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


class Recording(SimpleHTTPRequestHandler):
    """Serves files and notes what was asked for."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, format: str, *args: object) -> None:
        del format, args


@dataclass
class Runtime:
    """A fresh environment, and the repository that its notebooks install from.

    Attributes:
        folder: of the environment.
        repository: address that stands in for the one on GitHub.
        digests: of the wheel of each version.
    """

    folder: Path
    repository: str
    digests: dict[str, str]

    @property
    def own_packages(self) -> Path:
        """Where pip installs to; empty in the beginning."""
        kind = "nt" if os.name == "nt" else "venv"
        base = {"base": str(self.folder), "platbase": str(self.folder)}
        return Path(sysconfig.get_path("purelib", scheme=kind, vars=base))

    def installed(self) -> list[str]:
        """What is here beside the way to the packages of others."""
        return sorted(p.name for p in self.own_packages.iterdir() if p.name != "others.pth")

    def cell(self, version: str, repository: str = "", digest: str = "") -> str:
        digest = digest or self.digests[version]
        return editions.install_cell(Settings(version, repository or self.repository, "", digest))

    def run(self, program: str, where: Path, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a program in an empty directory of the reader's."""
        dropped = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
        variables = {k: v for k, v in os.environ.items() if k not in dropped}
        variables |= {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_RETRIES": "0"}
        variables |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONNOUSERSITE": "1"}
        variables |= {"no_proxy": "*"}
        command = [str(Project(self.folder.parent).python), "-c", program]
        return subprocess.run(
            command, cwd=where, env=variables | more, capture_output=True, text=True, check=False
        )


PACKAGE = {
    path.relative_to(ROOT / "lessons_lib").as_posix(): path.read_bytes()
    for path in sorted((ROOT / "lessons_lib").rglob("*"))
    if path.is_file() and "__pycache__" not in path.parts
}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Links to all installed packages but ``lessons_lib``."""
    folder = tmp_path_factory.mktemp("packages")
    for place in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for package in Path(place).iterdir():
            link = folder / package.name
            if package.name.startswith(("lessons_lib", "lessons-lib", "__")) or link.exists():
                continue
            try:
                link.symlink_to(package, target_is_directory=package.is_dir())
            except OSError as error:
                pytest.skip(f"this system makes no symbolic links here: {error}")
    for needed in ("pip", "torch", "ipykernel", "packaging"):
        if not (folder / needed).exists():
            pytest.skip(f"{needed} is not installed beside pytest")
    return folder


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
    """A server with the wheels of two releases: the present version, and an older one."""
    folder = tmp_path_factory.mktemp("served")
    digests = {}
    for version in (PRESENT, OLDER):
        first = PACKAGE["__init__.py"].replace(PRESENT.encode(), version.encode())
        place = (folder / Settings(version, "", "").wheel[1:]).parent
        code = {**PACKAGE, "__init__.py": first}
        made = wheel(place, "lessons_lib", version, code, "Requires-Dist: torch>=2.3\n")
        digests[version] = hashlib.sha256(made.read_bytes()).hexdigest()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Recording, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", digests
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def runtime(packages: Path, repository: tuple[str, dict[str, str]], tmp_path: Path) -> Runtime:
    """A fresh environment without ``lessons_lib``."""
    folder = Project(tmp_path).venv
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    fresh = Runtime(folder, *repository)
    (fresh.own_packages / "others.pth").write_text(f"{packages}\n", encoding="utf-8")
    Recording.asked.clear()
    return fresh


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    folder = tmp_path / "notebooks"
    folder.mkdir()
    return folder


def fake_package(folder: Path, version: str) -> None:
    (folder / "lessons_lib").mkdir()
    text = f'__version__ = "{version}"\n'
    (folder / "lessons_lib" / "__init__.py").write_text(text, encoding="utf-8")


@pytest.mark.slow
def test_installs_what_is_missing_and_touches_nothing_else(runtime: Runtime, empty: Path) -> None:
    question = "import importlib.metadata as m; d = m.distribution('torch')\n"
    question += "print(d.version, d.locate_file('torch'))"
    before = runtime.run(question, empty).stdout
    done = runtime.run(runtime.cell(PRESENT) + REPORT + USE, empty)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"found {PRESENT} {runtime.own_packages}")
    assert done.stdout.endswith("\n(3, 1, 6, 6)\n")  # five words and the end, on both sides
    assert list(empty.iterdir()) == []
    assert runtime.installed() == ["lessons_lib", f"lessons_lib-{PRESENT}.dist-info"]
    assert before
    assert runtime.run(question, empty).stdout == before
    assert Recording.asked == [Settings(PRESENT, "", "").wheel]


@pytest.mark.slow
def test_replaces_an_older_one_then_stays_silent(runtime: Runtime, empty: Path) -> None:
    done = runtime.run(runtime.cell(OLDER) + REPORT, empty)
    assert done.stdout.startswith(f"found {OLDER}"), done.stderr
    done = runtime.run(runtime.cell(PRESENT) + REPORT, empty)
    assert "Installed. Restart the kernel" in done.stderr, "the old one is loaded by now"
    assert runtime.installed() == ["lessons_lib", f"lessons_lib-{PRESENT}.dist-info"]
    Recording.asked.clear()
    for version in (PRESENT, OLDER):  # a newer one than wanted is as good
        again = runtime.run(runtime.cell(version), empty)
        assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert Recording.asked == []


def test_does_nothing_where_a_checkout_is_in_use(runtime: Runtime, empty: Path) -> None:
    fake_package(empty, PRESENT)
    program = "import lessons_lib, subprocess\nsubprocess.run = subprocess.Popen = None\n"
    done = runtime.run(program + runtime.cell(PRESENT), empty)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "digest", "words"),
    [
        ("http://127.0.0.1:9", "", "127.0.0.1"),
        ("gone", "", "404"),
        ("", "0" * 64, "Expected sha256 " + "0" * 64),
    ],
    ids=["cut off", "gone", "another file"],
)
def test_what_pip_says_comes_first_and_nothing_is_guessed(
    runtime: Runtime, empty: Path, where: str, digest: str, words: str
) -> None:
    repository = f"{runtime.repository}/gone" if where == "gone" else where
    done = runtime.run(runtime.cell(PRESENT, repository, digest), empty)
    assert done.returncode == 1
    said = done.stderr[done.stderr.rindex("RuntimeError: ") :]
    assert re.match(r"RuntimeError: +(ERROR|WARNING): ", said)
    assert words in said
    assert Settings(PRESENT, repository or runtime.repository, "").wheel in said.splitlines()[-1]
    assert runtime.installed() == []


@pytest.mark.slow
def test_an_installation_that_this_kernel_cannot_see_yet_says_restart(
    runtime: Runtime, empty: Path, tmp_path: Path
) -> None:
    """On a hub, pip installs for the user, into a directory that was not there at the start."""
    config = runtime.folder / "pyvenv.cfg"
    config.write_text(config.read_text().replace("packages = false", "packages = true"))
    hub = {"PIP_USER": "1", "PYTHONUSERBASE": str(tmp_path / "local"), "PYTHONNOUSERSITE": ""}
    program = runtime.cell(PRESENT) + REPORT
    done = runtime.run(program, empty, **hub)
    assert "RuntimeError: Installed. Restart the kernel" in done.stderr
    assert runtime.installed() == []
    done = runtime.run(program, empty, **hub)
    assert done.stdout.startswith(f"found {PRESENT} {tmp_path / 'local'}"), done.stderr


def test_before_a_release_the_cell_says_how_to_install(runtime: Runtime, empty: Path) -> None:
    cell = editions.install_cell(Settings(PRESENT, "https://course.invalid/r", ""))
    done = runtime.run(cell, empty)
    assert "Do `pip install .` in the course's directory" in done.stderr
    fake_package(empty, OLDER)
    done = runtime.run(cell, empty)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

"""The first cell of every chapter, run as it stands, with its address redirected to this checkout.

The environment is a fresh one that has everything but ``lessons_lib``, as Colab has. Its packages
are links to those of the environment that runs the tests; there is no package index.
"""

from __future__ import annotations

import os
import subprocess
import sysconfig
import threading
import venv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import nbformat
import pytest
from nbclient import NotebookClient

import editions
from labels import Settings, read_settings

ROOT = Path(__file__).resolve().parent.parent
PRESENT = read_settings(ROOT).version
OLDER = "0.0.7"
REPORT = "\nimport lessons_lib\nprint('found', lessons_lib.__version__, lessons_lib.__file__)"
PACKAGED = ("pyproject.toml", "README.md", "LICENSE")


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
        asked: paths that were asked of it.
    """

    folder: Path
    repository: str
    asked: list[str] = field(default_factory=list)

    @property
    def python(self) -> Path:
        return self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def own_packages(self) -> Path:
        """Where pip installs to; empty in the beginning."""
        kind = "nt" if os.name == "nt" else "venv"
        base = {"base": str(self.folder), "platbase": str(self.folder)}
        return Path(sysconfig.get_path("purelib", scheme=kind, vars=base))

    def installed(self) -> list[str]:
        """What pip has installed here."""
        return sorted(p.name for p in self.own_packages.iterdir() if "lessons" in p.name)

    def variables(self) -> dict[str, str]:
        dropped = ("PYTHONPATH", "PYTHONHOME", "PIP_NO_BUILD_ISOLATION", "VIRTUAL_ENV")
        kept = {k: v for k, v in os.environ.items() if k not in dropped}
        pip = {
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_NO_BUILD_ISOLATION": "0",
            "PIP_RETRIES": "0",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        return kept | pip | {"no_proxy": "*", "PYTHONNOUSERSITE": "1"}

    def cell(self, version: str, repository: str = "") -> str:
        return editions.install_cell(Settings(version, repository or self.repository, ""))

    def run(self, program: str, where: Path) -> subprocess.CompletedProcess[str]:
        """Run a program in an empty directory of the reader's."""
        return subprocess.run(
            [str(self.python), "-c", program],
            cwd=where,
            env=self.variables(),
            capture_output=True,
            text=True,
            check=False,
        )


def archive(path: Path, version: str) -> None:
    """What GitHub serves for a tag: the sources in one folder."""
    top = f"course-{version}"
    package = sorted((ROOT / "lessons_lib").rglob("*"))
    with zipfile.ZipFile(path, "w") as file:
        for name in PACKAGED:
            text = (ROOT / name).read_text(encoding="utf-8")
            file.writestr(f"{top}/{name}", text.replace(f'"{PRESENT}"', f'"{version}"'))
        for source in package:
            if not source.is_file() or "__pycache__" in source.parts:
                continue
            content = source.read_bytes()
            if source.name == "__init__.py":
                content = content.replace(f'"{PRESENT}"'.encode(), f'"{version}"'.encode())
            file.writestr(f"{top}/{source.relative_to(ROOT).as_posix()}", content)


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
    for needed in ("pip", "hatchling", "torch", "ipykernel", "packaging"):
        if not (folder / needed).exists():
            pytest.skip(f"{needed} is not installed beside pytest")
    return folder


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with the archives of two tags: the present version, and an older one."""
    folder = tmp_path_factory.mktemp("served")
    for version in (PRESENT, OLDER):
        path = folder / "archive" / "refs" / "tags" / f"v{version}.zip"
        path.parent.mkdir(parents=True, exist_ok=True)
        archive(path, version)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Recording, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def runtime(packages: Path, repository: str, tmp_path: Path) -> Runtime:
    """A fresh environment without ``lessons_lib``."""
    folder = tmp_path / "environment"
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    fresh = Runtime(folder, repository, Recording.asked)
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


def test_installs_what_is_missing_and_touches_nothing_else(runtime: Runtime, empty: Path) -> None:
    question = "import importlib.metadata as m; d = m.distribution('torch')\n"
    question += "print(d.version, d.locate_file('torch'))"
    before = runtime.run(question, empty).stdout
    done = runtime.run(runtime.cell(PRESENT) + REPORT, empty)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"found {PRESENT} {runtime.own_packages}")
    assert runtime.installed() == ["lessons_lib", f"lessons_lib-{PRESENT}.dist-info"]
    assert sorted(p.name for p in runtime.own_packages.iterdir()) == sorted(
        [*runtime.installed(), "others.pth"]
    )
    assert before
    assert runtime.run(question, empty).stdout == before
    assert runtime.asked == [f"/archive/refs/tags/v{PRESENT}.zip"]


def test_replaces_an_older_one_then_stays_silent(runtime: Runtime, empty: Path) -> None:
    done = runtime.run(runtime.cell(OLDER) + REPORT, empty)
    assert done.stdout.startswith(f"found {OLDER}"), done.stderr
    done = runtime.run(runtime.cell(PRESENT) + REPORT, empty)
    assert done.stdout.startswith(f"found {PRESENT}"), done.stderr
    assert runtime.installed() == ["lessons_lib", f"lessons_lib-{PRESENT}.dist-info"]
    runtime.asked.clear()
    for version in (PRESENT, OLDER):  # a newer one than wanted is as good
        again = runtime.run(runtime.cell(version), empty)
        assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert runtime.asked == []


def test_does_nothing_where_a_checkout_is_in_use(runtime: Runtime, empty: Path) -> None:
    fake_package(empty, PRESENT)
    program = "import lessons_lib, subprocess\nsubprocess.run = subprocess.Popen = None\n"
    done = runtime.run(program + runtime.cell(PRESENT), empty)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert runtime.installed() == []


def test_says_restart_where_an_older_one_is_in_use(runtime: Runtime, empty: Path) -> None:
    fake_package(runtime.own_packages, OLDER)
    done = runtime.run("import lessons_lib\n" + runtime.cell(PRESENT), empty)
    assert done.returncode == 1
    assert "An older lessons_lib is in use: restart the session" in done.stderr
    assert runtime.asked == []


def test_names_an_older_copy_that_hides_the_new_one(runtime: Runtime, empty: Path) -> None:
    fake_package(empty, OLDER)
    done = runtime.run(runtime.cell(PRESENT), empty)
    assert done.returncode == 1
    assert "too old: " in done.stderr
    assert str(empty / "lessons_lib" / "__init__.py") in done.stderr


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "gone"])
def test_names_the_address_that_cannot_be_reached(
    runtime: Runtime, empty: Path, address: str
) -> None:
    repository = f"{runtime.repository}/gone" if address == "gone" else address
    done = runtime.run(runtime.cell(PRESENT, repository), empty)
    assert done.returncode == 1
    assert f"Cannot install {repository}/archive/refs/tags/v{PRESENT}.zip" in done.stderr
    assert "Go online, run again." in done.stderr
    assert runtime.installed() == []


@pytest.mark.slow
def test_a_notebook_alone_runs_from_top_to_bottom(
    runtime: Runtime, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Downloaded into an empty directory, in an environment that never saw the course."""
    cells = [
        runtime.cell(PRESENT),
        "from lessons_lib import models, tasks",
        "task = tasks.Copying(vocab=7, length=5)\n"
        "config = models.Seq2SeqConfig(task.vocab_size, task.vocab_size, d_hidden=6)\n"
        "model = models.build(config, seed=0)\n"
        "print(tuple(model(task.sample(3, seed=0)).attention.shape))",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    for name, value in runtime.variables().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(empty)}})
    manager = client.create_kernel_manager()
    launch = ["-m", "ipykernel_launcher", "-f", "{connection_file}", "--log-level=40"]
    assert manager.kernel_spec is not None
    manager.kernel_spec.argv = [str(runtime.python), *launch]
    client.execute()
    shape = "(3, 1, 6, 6)\n"  # five words and the end of the sentence, on both sides
    assert "".join(o.get("text", "") for c in notebook.cells for o in c.outputs) == shape
    assert list(empty.iterdir()) == []
    assert runtime.installed()

"""The one environment of the course: ``.venv`` with the pins and the wheel of ``lessons_lib``.

Standard library only: this runs before anything is installed.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

PROMPT = "course: how-attention-learns"  # of the environment, by which we know it as ours
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
# These come with torch on Linux; pinned, they would be downloaded with a CPU build of it, too.
BROUGHT_BY_TORCH = re.compile(r"^(nvidia-|cuda-|triton\b)")
# Settings of pip with which it installs elsewhere, for another Python, something else, or nothing.
ELSEWHERE = {"USER", "TARGET", "PREFIX", "ROOT", "HOME", "PYTHON", "DRY_RUN", "IGNORE_INSTALLED"}
ELSEWHERE |= {"PLATFORM", "PYTHON_VERSION", "IMPLEMENTATION", "ABI", "EDITABLE", "REQUIREMENT"}
ELSEWHERE = {f"PIP_{name}" for name in ELSEWHERE}


class CourseError(Exception):
    """An error whose message is all that a person needs."""


class Project:
    """Where the parts of a checkout lie, whose top directory is ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.venv = root / ".venv"
        self.build = root / "_build"  # everything that can be made again
        self.stamp = self.venv / "course.json"  # what was installed; in environments of ours only
        self.python = self.venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    def wanted(self) -> dict[str, str]:
        """What is to be installed, as digests of the pins and of all files of ``lessons_lib``."""
        files = (path for path in (self.root / "lessons_lib").rglob("*") if path.is_file())
        ours = [path for path in files if "__pycache__" not in path.parts]
        package = tree_digest(self.root, [*ours, self.root / "pyproject.toml"])
        pins = digest([(self.root / "requirements.txt").read_bytes()])
        return {"requirements": pins, "package": package}


def digest(items: Iterable[bytes]) -> str:
    """SHA-256 of byte strings in order; their lengths count, so that borders cannot move."""
    parts = (len(item).to_bytes(8, "big") + item for item in items)
    return hashlib.sha256(b"".join(parts)).hexdigest()


def tree_digest(top: Path, paths: Iterable[Path]) -> str:
    """SHA-256 of the names and contents of files, whatever order they come in."""
    files = [(path.relative_to(top).as_posix().encode(), path.read_bytes()) for path in paths]
    return digest(part for both in sorted(files) for part in both)


def git(root: Path, *words: str) -> str:
    """What a git command says. CourseError: it failed."""
    command = ["git", "-c", "core.quotePath=false", *words]
    done = subprocess.run(command, cwd=root, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        raise CourseError(f"git {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def write_atomically(path: Path, text: str) -> None:
    """Write all of a file or leave the one that is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        half.write_text(text, encoding="utf-8", newline="\n")
        half.replace(path)
    finally:
        half.unlink(missing_ok=True)


def child_environment(project: Project) -> dict[str, str]:
    """Environment variables for programs and kernels that use ``.venv`` and nothing else.

    A Jupyter kernel, IPython profile or matplotlibrc of the user would otherwise take part in
    the book, ``PYTHONPATH`` could hide the installed wheel, and ``PIP_TARGET`` lead it elsewhere.
    CourseError: ``LESSONS_DATA`` names no directory.
    """
    alien = {"PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "MPLBACKEND", "MATPLOTLIBRC", *ELSEWHERE}
    result = {name: value for name, value in os.environ.items() if name.upper() not in alien}
    own = project.venv / "var"  # a home may be missing, or not to be written
    result |= {
        "PYTHONNOUSERSITE": "1",
        "PYTHONUTF8": "1",
        "VIRTUAL_ENV": str(project.venv),
        "PATH": os.pathsep.join([str(project.python.parent), result.get("PATH", os.defpath)]),
        "JUPYTER_PATH": str(project.venv / "share" / "jupyter"),
        "JUPYTER_CONFIG_DIR": str(own / "jupyter"),
        "JUPYTER_PLATFORM_DIRS": "1",
        "JUPYTER_DATA_DIR": str(own / "data"),
        "IPYTHONDIR": str(own / "ipython"),
        "MPLCONFIGDIR": str(own / "matplotlib"),
    }
    for name in ("LESSONS_DATA", "LESSONS_CACHE"):  # chapters run in another directory
        if (value := result.pop(name, "")).strip():
            result[name] = os.path.abspath(os.path.expanduser(value))  # noqa: PTH100, PTH111
    if not Path(corpora := result.get("LESSONS_DATA", ".")).is_dir():
        raise CourseError(
            f"LESSONS_DATA: expected a directory, found none in {corpora!r}.\n"
            "Name the directory of the corpora, or unset it to have them downloaded."
        )
    return result


def call(project: Project, arguments: list[str], cwd: str = "", **settings: str) -> int:
    """Run the environment's Python in the project, with more variables; return its exit status."""
    variables = child_environment(project) | {"PYTHONUNBUFFERED": "1"} | settings
    # -P: else -m or -c would put the checkout into sys.path.
    command = [str(project.python), *(["-P"] if arguments[0] in ("-m", "-c") else []), *arguments]
    sys.stdout.flush()
    return subprocess.run(command, cwd=cwd or project.root, env=variables, check=False).returncode


def pip_settings(project: Project, command: str) -> dict[str, str]:
    """The user's settings for a command of pip, as variables, without those of ``ELSEWHERE``.

    So index, proxy, certificates and constraints hold, wherever they are written. pip says what
    its files contain, and reads none of them afterwards: an empty variable would not override them.
    """
    # With these in a file, pip would tell of the user's file only, or of another Python's.
    ours = child_environment(project) | {"PIP_USER": "0", "PIP_PYTHON": str(project.python)}
    words = [str(project.python), "-P", "-m", "pip", "config", "list"]
    said = subprocess.run(words, env=ours, stdout=subprocess.PIPE, encoding="utf-8", check=False)
    found = {}
    for section in ("global", command, ":env:"):  # the later ones win
        for name, value in re.findall(rf"^{section}\.([\w-]+)=(.+)$", said.stdout, re.MULTILINE):
            found[f"PIP_{name.upper().replace('-', '_')}"] = str(ast.literal_eval(value))
    found = {name: value for name, value in found.items() if name not in ELSEWHERE}
    return found if said.returncode else found | {"PIP_CONFIG_FILE": os.devnull}


def pip(project: Project, *arguments: str) -> None:
    """Run pip in the environment; it installs nowhere else. CourseError: it failed."""
    words = ["-m", "pip", "--disable-pip-version-check", *arguments]
    if call(project, words, **pip_settings(project, arguments[0])):
        raise CourseError(f"pip could not do `pip {' '.join(arguments)}` (see its words above).")


def install_pins(project: Project, cpu: bool) -> None:
    """Install ``requirements.txt``, torch from PyTorch's CPU index where asked for and possible."""
    if cpu:
        pins = (project.root / "requirements.txt").read_text(encoding="utf-8")
        torch = re.findall(r"^torch==[^\s;]+", pins, flags=re.MULTILINE)
        options = ["--no-deps", "--index-url", CPU_INDEX, "--retries", "1", "--timeout", "10"]
        try:
            pip(project, "install", *options, *torch)
        except CourseError:
            print(f"torch comes from the usual index instead, not from {CPU_INDEX} (see above).")
    pip(project, "install", "-r", "requirements.txt")


def build_package(project: Project, folder: Path) -> Path:
    """Build the wheel of ``lessons_lib`` into an empty directory."""
    options = ["--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", str(folder)]
    pip(project, "wheel", *options, ".")  # not its path, in which [1] at the end means extras
    (wheel,) = folder.glob("lessons_lib-*.whl")
    return wheel


def install_package(project: Project) -> None:
    """Install ``lessons_lib`` from its wheel anew. CourseError: it cannot be imported after it."""
    with tempfile.TemporaryDirectory() as folder:
        wheel = str(build_package(project, Path(folder)))
        pip(project, "install", "--no-deps", "--no-index", "--force-reinstall", "--quiet", wheel)
    if call(project, ["-c", "import lessons_lib"]):
        where = f"Where pip installs to: {project.python} -m pip config debug"
        raise CourseError(f"lessons_lib cannot be imported after all (see above).\n{where}")
    pip(project, "check")


def refuse_foreign(project: Project) -> None:
    """Stop before changing a ``.venv`` that this project did not make."""
    empty = project.venv.is_dir() and not any(project.venv.iterdir())
    marks = project.venv / "pyvenv.cfg"  # written at once
    said = f"prompt = {PROMPT!r}\n"  # the whole line: a path in this file may have such a name
    ours = project.stamp.exists() or (marks.is_file() and said in marks.read_text("utf-8"))
    if os.path.lexists(project.venv) and not empty and not ours:
        wanted = "expected no .venv or one that `make book` made"
        raise CourseError(f"{wanted}, found another in {project.venv}. Move it away or delete it.")


def works(project: Project) -> bool:
    """Whether the environment's Python starts, is not the system's, and (still) has pip."""
    question = "import pip, sys; sys.exit(sys.prefix == sys.base_prefix)"
    command = [str(project.python), "-P", "-c", question]
    try:
        return not subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode
    except OSError:
        return False


def create(project: Project) -> None:
    """Make an empty environment with pip."""
    print(f"Making .venv with Python {sys.version.split()[0]}")
    write_atomically(project.stamp, "{}")  # which says at once where nothing can be written
    words = ["-m", "venv", "--clear", "--prompt", PROMPT, str(project.venv.resolve())]  # no link
    if subprocess.run([sys.executable, *words], check=False).returncode:
        raise CourseError(f"Python could not make {project.venv} (its own words are above).")


def ensure(project: Project, cpu: bool = False) -> None:
    """Bring the environment up to date; does nothing, quickly, where it is.

    The stamp is emptied before a change and filled after it, so that the next call takes up what
    was interrupted. ``cpu``: torch from PyTorch's CPU index, if it is due.
    """
    wanted = project.wanted()
    refuse_foreign(project)
    found = json.loads(project.stamp.read_text(encoding="utf-8")) if project.stamp.exists() else {}
    if not works(project):
        create(project)
        found = {}
    if found == wanted:
        return
    write_atomically(project.stamp, "{}")
    if found.get("requirements") != wanted["requirements"]:
        print("Installing the packages of requirements.txt (some minutes the first time)")
        install_pins(project, cpu)
        # Matplotlib says on first use that it builds its font cache: not in a chapter's output.
        call(project, ["-c", "import matplotlib.font_manager"])
    print("Installing lessons_lib from its wheel")
    install_package(project)
    write_atomically(project.stamp, json.dumps(wanted, indent=1))


def lock(project: Project, upgrade: bool = False) -> int:
    """Write ``requirements.txt`` from ``requirements.in``; ``upgrade``: the newest versions.

    uv resolves for all platforms and Pythons at once, which pip cannot; it is installed apart.
    """
    refuse_foreign(project)
    if not works(project):
        create(project)
    pins = project.root / "requirements.txt"
    head = [x for x in pins.read_text("utf-8").splitlines() if x.startswith("#")]
    with tempfile.TemporaryDirectory() as folder:
        pip(project, "install", "--quiet", "--target", folder, "uv")
        options = ["--universal", "--python-version=3.11", "--no-header", "--no-annotate"]
        options += ["--no-emit-index-url", "--no-emit-find-links", "--quiet", "-o", pins.name]
        options += ["--upgrade"] * upgrade  # else versions stay where they can
        command = ["-m", "uv", "pip", "compile", "requirements.in", *options]
        if call(project, command, PYTHONPATH=folder):
            raise CourseError("uv found no versions that fit together (see above)")
    lines = [x for x in pins.read_text("utf-8").splitlines() if not BROUGHT_BY_TORCH.match(x)]
    write_atomically(pins, "\n".join([*head, *lines, ""]))
    print(f"{pins.name} is written; `make test` installs it.")
    return 0

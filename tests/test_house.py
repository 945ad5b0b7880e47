"""The house of the package: imports go down only, doors tell, what should be light stays light."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lessons_lib

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "lessons_lib"
MODULES = sorted(PACKAGE.rglob("*.py"))
ROOMS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))


def test_imports_go_down_only() -> None:
    # import-linter reads its contracts in pyproject.toml.
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "module", ["lessons_lib", "lessons_lib.theory.two_words", "lessons_lib.scoreboard.show"]
)
def test_light_modules_do_not_load_torch(module: str) -> None:
    program = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=False)
    assert done.returncode == 0, f"`import {module}` loads torch"


def test_reading_a_record_imports_no_model() -> None:
    program = (
        "import sys; from lessons_lib.lab import records; records.load('heads', 'lesson');"
        "ours = {name for name in sys.modules if name.startswith('lessons_lib')};"
        "print(sorted(ours), 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    expected = ["lessons_lib", "lessons_lib.config", "lessons_lib.lab", "lessons_lib.lab.records"]
    assert done.stdout.strip() == f"{expected} False"


def test_the_shelf_is_small_and_a_file_can_be_read_in_one_sitting() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    shelf = [lines[path] for path in PACKAGE.glob("*.py")]
    assert len(shelf) <= 12
    assert sum(shelf) <= 2300
    assert not [path for path in MODULES if lines[path] > 450]


def test_a_module_says_first_what_it_is() -> None:
    for path in MODULES:
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        assert text.split("\n")[0].endswith((".", "?")), f"{path}: begin with one sentence"


@pytest.mark.parametrize("room", ROOMS)
def test_a_door_names_modules_of_its_room(room: str) -> None:
    door = PACKAGE / room / "__init__.py"
    tree = ast.parse(door.read_text(encoding="utf-8"))
    text = ast.get_docstring(tree) or ""
    assert len(tree.body) == 1, "a door imports nothing"
    assert "Begin with" in text
    assert any(f"``{path.stem}" in text for path in (PACKAGE / room).glob("*.py"))
    assert re.search(rf"[ ;] {room}[ :]", lessons_lib.__doc__ or "")

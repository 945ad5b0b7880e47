"""The house of the package: imports go down only, what should be light stays light."""

import re
import subprocess
import sys
from pathlib import Path

import stages

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "lessons_lib"
MODULES = sorted(PACKAGE.rglob("*.py"))


def test_imports_go_down_only() -> None:
    # import-linter reads its contracts in pyproject.toml.
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_light_modules_do_not_load_torch() -> None:
    program = "import sys, lessons_lib.theory.two_words, lessons_lib.scoreboard.show;"
    program += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_shelf_is_small_and_a_file_can_be_read_in_one_sitting() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    shelf = [lines[path] for path in PACKAGE.glob("*.py")]
    assert len(shelf) <= stages.SHELF_FILES
    assert sum(shelf) <= stages.LIMITS["of these, the shelf"][0]
    assert max(lines.values()) <= stages.FILE_LINES


def test_the_api_pages_have_every_module() -> None:
    pages = [ROOT / "book" / "api.md", *sorted((ROOT / "book" / "api").glob("*.md"))]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    shown = re.findall(r"automodule:: (\S+)", text)
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in MODULES]
    public = {name.removesuffix(".__init__") for name in modules if "__main__" not in name}
    assert sorted(shown) == sorted(n for n in public if not re.search(r"exercises\.ch\d", n))

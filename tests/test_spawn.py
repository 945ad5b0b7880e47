"""Work that is shared among processes runs on Windows and macOS too, which start them by spawn."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted((ROOT / "lessons_lib").rglob("*.py"))

ONLY_UNIX = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "termios", "tty"}
ONLY_UNIX_NAMES = {
    *("fork", "forkpty", "getuid", "geteuid", "getgid", "killpg", "setsid", "register_at_fork"),
    *("SIGKILL", "SIGUSR1", "SIGUSR2"),
}
ALARM = {"SIGALRM", "alarm", "setitimer", "ITIMER_REAL"}
"""Where one of these is, all are: a module that asks for the first may use them."""


def only_unix(source: str) -> list[str]:
    """What a module uses that other systems lack, and does not ask for."""
    found = []
    asked = 'hasattr(signal, "SIGALRM")' in source
    lacking = ONLY_UNIX_NAMES | (set() if asked else ALARM)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name in ONLY_UNIX]
        elif isinstance(node, ast.ImportFrom):
            names = [alias.name for alias in node.names]
            found += [name for name in names if name in lacking]
            found += [node.module] if node.module in ONLY_UNIX else []
        elif isinstance(node, ast.Attribute) and node.attr in lacking:
            found.append(node.attr)
        elif isinstance(node, ast.Constant) and node.value in ("fork", "forkserver"):
            found.append(f"start method {node.value}")
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_no_module_needs_what_only_unix_has(path: Path) -> None:
    assert only_unix(path.read_text(encoding="utf-8")) == []

"""Work that is shared among processes runs on Windows and macOS too, which start them by spawn."""

from __future__ import annotations

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


@pytest.mark.parametrize(
    "line",
    [
        "import os\nos.fork()",
        "from os import fork",
        "import multiprocessing as m\nm.get_context('fork')",
        "import torch.multiprocessing as m\nm.set_start_method('forkserver')",
        "import signal\nsignal.signal(signal.SIGALRM, print)",
        "def f():\n    import resource",
        "from fcntl import flock",
    ],
)
def test_what_only_unix_has_is_recognised(line: str) -> None:
    assert only_unix(line)


def test_an_alarm_may_be_used_where_it_is_asked_for() -> None:
    guarded = 'import signal\nif hasattr(signal, "SIGALRM"):\n    signal.setitimer(0, 1)'
    assert only_unix(guarded) == []
    assert only_unix(guarded + "\nsignal.SIGKILL") == ["SIGKILL"]

"""Execute notebooks one after the other, with visible progress. Runs inside ``.venv``.

``python tools/execute.py SOURCE RESULT [SOURCE RESULT ...]`` writes each RESULT when all of its
cells have run. A failing cell does not stop the other notebooks; the exit status is 1 then.
"""

from __future__ import annotations

import datetime
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from website import RUN

CELL_SECONDS = 600
QUIET_SECONDS = 20.0
"""Without a terminal, a line of progress at most this often."""
WIDGET = "application/vnd.jupyter.widget-view+json"
SLOWEST = 3
# Runs in the kernel after the last cell. The peak is that of the kernel and of any one process that
# it started and waited for; processor time is that of all of them. macOS counts bytes where Linux
# counts kilobytes; Windows has no `resource`. torch is asked only where the chapter has loaded it.
PROBE = """
import json, os, platform, sys
try:
    import resource
    who = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    peak = max(resource.getrusage(each).ru_maxrss for each in who)
    peak = peak / 1e6 if sys.platform == "darwin" else peak / 1e3 * 1.024
except ImportError:
    import psutil
    peak = psutil.Process().memory_info().peak_wset / 1e6
cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
torch = getattr(sys.modules.get("torch"), "__version__", "")
print(json.dumps({
    "peak_mb": round(peak), "cpu_seconds": round(sum(os.times()[:4]), 1), "cores": cores,
    "python": platform.python_version(), "torch": str(torch),
    "system": f"{platform.system()} {platform.machine()}",
}))
"""
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class Progress:
    """One line per notebook: rewritten in a terminal, repeated now and then elsewhere."""

    def __init__(self, label: str, cells: int) -> None:
        self.label = label
        self.cells = max(cells, 1)
        self.start = self.last = time.monotonic()
        self.terminal = sys.stdout.isatty()
        self.say(0, "starting", always=True)

    def say(self, done: int, words: str, *, always: bool = False, last: bool = False) -> None:
        """Show how many cells are done, and what goes on."""
        now = time.monotonic()
        if not (self.terminal or always or now - self.last > QUIET_SECONDS):
            return
        self.last = now
        share = f"{100 * done // self.cells:3d} %"
        line = f"{self.label}  {share}  {words}  {now - self.start:.0f} s"
        if self.terminal:
            print(f"\r\x1b[K{line}", end="\n" if last else "", flush=True)
        else:
            print(line, flush=True)


def normalise(notebook: Any) -> None:
    """Leave no trace of when and where a notebook ran but what ``measured`` enters."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata["kernelspec"] = {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    notebook.metadata["language_info"] = {
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "pygments_lexer": "ipython3",
    }
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            # A widget (a progress bar) lives in its kernel; what would stay behind is "0 %".
            cell.outputs = [o for o in cell.outputs if WIDGET not in o.get("data", {})]


def report(label: str, number: int, cell: Any, problem: str) -> str:
    """What to read when a cell failed: notebook, cell, its first lines, the traceback."""
    lines = cell.source.splitlines()
    shown = "\n".join(f"    {line}" for line in lines[:8]) + ("\n    ..." if lines[8:] else "")
    if not sys.stdout.isatty():
        problem = ANSI.sub("", problem)
    where = f"{label}: code cell {number} (id {cell.get('id', 'none')}) failed"
    return f"{where}\n{shown}\n\n{problem.strip()}\n"


@contextmanager
def own_kernel(client: NotebookClient) -> Iterator[None]:
    """Start a kernel of exactly this Python, whatever kernels the user has registered."""
    manager = client.create_kernel_manager()
    # Its one warning is about the connection, which never leaves this machine.
    options = ["-f", "{connection_file}", "--log-level=40"]
    if manager.kernel_spec is not None:
        manager.kernel_spec.argv = [sys.executable, "-m", "ipykernel_launcher", *options]
    with client.setup_kernel():
        yield


def ask_kernel(client: NotebookClient) -> dict[str, Any]:
    """Peak memory and versions, from the running kernel; it leaves nothing in the notebook."""
    cell = nbformat.v4.new_code_cell(PROBE)
    client.nb.cells.append(cell)
    client.execute_cell(cell, len(client.nb.cells) - 1)
    client.nb.cells.pop()
    found: dict[str, Any] = json.loads(cell.outputs[0]["text"])
    return found


def measured(seconds: dict[str, float], kernel: dict[str, Any], day: str) -> dict[str, Any]:
    """What is recorded of an execution.

    Args:
        seconds: id of each code cell -> how long it took.
        kernel: what ``ask_kernel`` found.
        day: ISO date.

    Returns:
        The day, seconds of all cells together, the slowest of them, and what the kernel said.
    """
    order = sorted(seconds, key=lambda cell: -seconds[cell])[:SLOWEST]
    slowest = [{"cell": cell, "seconds": round(seconds[cell], 1)} for cell in order]
    total = round(sum(seconds.values()), 1)
    return {"date": day, "seconds": total, "slowest": slowest, **kernel}


def execute(source: Path, result: Path, label: str) -> str | None:
    """Run all cells in an empty directory; return ``None``, or the report of the failure."""
    notebook = nbformat.read(source, as_version=4)
    code = [index for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    progress = Progress(label, len(code))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        client = NotebookClient(
            notebook,
            timeout=CELL_SECONDS,
            resources={"metadata": {"path": folder}},
            record_timing=False,
            store_widget_state=False,
            coalesce_streams=True,
        )
        seconds: dict[str, float] = {}
        with own_kernel(client):
            for done, index in enumerate(code):
                cell = notebook.cells[index]
                progress.say(done, f"cell {done + 1} of {len(code)}")
                cell.outputs, cell.execution_count = [], None
                start = time.monotonic()
                try:
                    client.execute_cell(cell, index, execution_count=done + 1)
                except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
                    progress.say(done, f"FAILED in code cell {done + 1}", always=True, last=True)
                    failed = [o for o in cell.outputs if o.output_type == "error"]
                    problem = "\n".join(failed[-1].traceback) if failed else str(error)
                    return report(str(source), done + 1, cell, problem)
                seconds[cell.get("id", str(index))] = time.monotonic() - start
            kernel = ask_kernel(client)
    normalise(notebook)
    notebook.metadata[RUN] = measured(seconds, kernel, datetime.date.today().isoformat())
    result.parent.mkdir(parents=True, exist_ok=True)
    half = result.with_suffix(f".{os.getpid()}")
    nbformat.write(notebook, half)
    half.replace(result)
    progress.say(len(code), f"{len(code)} cells", always=True, last=True)
    return None


def main(arguments: list[str]) -> int:
    """Execute the pairs of the command line and list all failures at the end."""
    # Interactive figures then keep their page version and leave out the widget (see explore).
    os.environ["LESSONS_STATIC_FIGURES"] = "1"
    pairs = list(zip(arguments[::2], arguments[1::2], strict=True))
    reports = []
    for number, (source, result) in enumerate(pairs, start=1):
        label = f"[{number}/{len(pairs)}] {Path(source).name}"
        failure = execute(Path(source), Path(result), label)
        reports += [failure] if failure else []
    for failure in reports:
        print(f"\n{'-' * 78}\n{failure}", flush=True)
    return 1 if reports else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

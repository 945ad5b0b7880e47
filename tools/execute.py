"""Execute notebooks one after the other, with visible progress; runs inside ``.venv``."""

from __future__ import annotations

import datetime
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from tqdm import tqdm

from environment import write_atomically
from website import RUN

CELL_SECONDS = 600
QUIET_SECONDS = 20.0  # without a terminal, progress is shown at most this often
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
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
LANGUAGE = {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"}
LANGUAGE |= {"pygments_lexer": "ipython3"}
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def normalise(notebook: Any) -> None:
    """Leave no trace of when and where a notebook ran but what ``measured`` enters."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata |= {"kernelspec": KERNEL, "language_info": LANGUAGE}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            # A widget (a progress bar) lives in its kernel; what would stay behind is "0 %".
            cell.outputs = [o for o in cell.outputs if WIDGET not in o.get("data", {})]


def measured(seconds: dict[str, float], kernel: dict[str, Any], day: str) -> dict[str, Any]:
    """What is recorded of an execution: seconds of each code cell, what ``PROBE`` said, the day."""
    order = sorted(seconds, key=lambda cell: -seconds[cell])[:SLOWEST]
    slowest = [{"cell": cell, "seconds": round(seconds[cell], 1)} for cell in order]
    return {"date": day, "seconds": round(sum(seconds.values()), 1), "slowest": slowest, **kernel}


def execute(source: Path, result: Path, label: str) -> str:
    """Run all cells in an empty directory; the report of the failure, or nothing."""
    notebook = nbformat.read(source, as_version=4)
    code = [index for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        client = NotebookClient(
            notebook,
            timeout=CELL_SECONDS,
            kernel_name="python3",  # that of this Python: see `child_environment`
            extra_arguments=["--log-level=40"],  # it warns of its connection, which is local
            resources={"metadata": {"path": folder}},
            record_timing=False,
            store_widget_state=False,
            coalesce_streams=True,
        )
        pause = 0.1 if sys.stdout.isatty() else QUIET_SECONDS
        # Interactive figures then keep their page version and leave out the widget (see explore).
        with client.setup_kernel(env=os.environ | {"LESSONS_STATIC_FIGURES": "1"}):
            bar = tqdm(code, label, unit="cell", file=sys.stdout, mininterval=pause)
            for done, index in enumerate(bar, start=1):
                cell = notebook.cells[index]
                cell.outputs, cell.execution_count = [], None
                start = time.monotonic()
                try:
                    client.execute_cell(cell, index, execution_count=done)
                except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
                    bar.close()
                    problem = str(error) if sys.stdout.isatty() else ANSI.sub("", str(error))
                    return f"{source}: code cell {done} (id {cell.get('id')}) failed\n{problem}"
                seconds[cell.get("id", str(index))] = time.monotonic() - start
            notebook.cells.append(nbformat.v4.new_code_cell(PROBE))
            client.execute_cell(notebook.cells[-1], len(notebook.cells) - 1)
            kernel = json.loads(notebook.cells.pop().outputs[0]["text"])
    normalise(notebook)
    notebook.metadata[RUN] = measured(seconds, kernel, datetime.date.today().isoformat())
    write_atomically(result, nbformat.writes(notebook) + "\n")
    return ""


def execute_all(results: Mapping[Path, Path]) -> bool:
    """Execute notebooks, each into its result when all cells have run; whether all did.

    A failing cell does not stop the other notebooks; failures are listed at the end.
    """
    reports = [
        execute(source, result, f"[{number}/{len(results)}] {source.name}")
        for number, (source, result) in enumerate(results.items(), start=1)
    ]
    for failure in filter(None, reports):
        print(f"\n{'-' * 78}\n{failure}", flush=True)
    return not any(reports)

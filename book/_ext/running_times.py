"""A Sphinx extension with the directive ``running-times``: what running costs.

``tools/execute.py`` writes into the metadata of a notebook how long its last execution
took, how much memory it needed, and on what machine. The table is made of that.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

RUN = "course_run"
HEAD = ["Chapter", "Time", "Memory", "Slowest step"]
NONE = "not measured"


def heading_above(cells: list[dict[str, Any]], cell_id: str) -> str:
    """The last heading before a cell: readers know steps by these, not by ids."""
    heading = ""
    for cell in cells:
        if cell.get("id") == cell_id:
            return heading
        if cell["cell_type"] == "markdown":
            lines = "".join(cell["source"]).splitlines()
            titles = [line.lstrip("# ") for line in lines if line.startswith("#")]
            heading = titles[-1] if titles else heading
    return ""


def row(notebook: dict[str, Any]) -> list[str]:
    """Time, memory and slowest step of a chapter."""
    found = notebook["metadata"].get(RUN)
    if not found:
        return [NONE, "–", "–"]
    slow = found["slowest"][0]
    where = heading_above(notebook["cells"], slow["cell"])
    # Little of its time on a processor: others had it.
    busy = found["seconds"] > 2 * found.get("cpu_seconds", found["seconds"])
    return [
        f"{found['seconds']:.0f}\N{NO-BREAK SPACE}s" + (" (on a busy machine)" if busy else ""),
        f"{found['peak_mb'] / 1000:.1f}\N{NO-BREAK SPACE}GB",
        f"{slow['seconds']:.0f}\N{NO-BREAK SPACE}s: {where}",
    ]


def machine(notebook: dict[str, Any]) -> str:
    """When and where a chapter was measured; empty where it was not."""
    found = notebook["metadata"].get(RUN)
    if not found:
        return ""
    torch = f", PyTorch {found['torch'].partition('+')[0]}" if found["torch"] else ""
    where = f"{found['cores']} cores, {found['system']}, Python {found['python']}"
    return f"{found['date']}, {where}{torch}"


class RunningTimes(SphinxDirective):
    """One row for each notebook beside this page, and below them where they ran."""

    def run(self) -> list[nodes.Node]:
        """The table, and its note."""
        here = Path(self.env.doc2path(self.env.docname)).parent
        rows: list[str] = []
        ran: dict[str, list[str]] = {}
        for path in sorted(here.glob("[0-9]*.ipynb")):
            self.env.note_dependency(str(path))
            notebook = json.loads(path.read_text(encoding="utf-8"))
            title = "".join(notebook["cells"][0]["source"]).splitlines()[0].lstrip("# ")
            link = f'<a class="reference internal" href="{path.stem}.html">{title}</a>'
            rows.append(f"| {' | '.join([link, *row(notebook)])} |")
            if where := machine(notebook):
                ran.setdefault(where, []).append(str(int(path.stem.split("_")[0])))
        lines = [":::{table}", ":class: running-times", "", f"| {' | '.join(HEAD)} |"]
        lines += ["|---" * len(HEAD) + "|", *rows, ":::", ""]
        notes = [f"chapters {', '.join(ns)}: {where}" for where, ns in ran.items()]
        if ran:
            lines += [f"Measured on {'; '.join(notes if len(ran) > 1 else ran)}."]
        return self.parse_text_to_nodes("\n".join(lines))


def setup(app: Any) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("running-times", RunningTimes)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

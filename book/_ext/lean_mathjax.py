"""A Sphinx extension that leaves out the editions of MathJax that no page loads.

``sphinx-mathjax-offline`` copies all of MathJax, 24 MB. Pages load
``tex-chtml.js``, and that loads fonts, extensions of TeX, and what its menu offers. The
other editions are the same program for other inputs and outputs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

UNUSED = ("tex-*.js", "mml-*.js", "node-main.js", "latest.js")
LOADED = "tex-chtml.js"


def prune(folder: Path) -> None:
    """Remove the editions in a copy of MathJax that are not loaded."""
    for pattern in UNUSED:
        for path in folder.glob(pattern):
            if path.name != LOADED:
                path.unlink()


def finish(app: Any, error: Exception | None) -> None:
    """Prune the copy in a site that was built."""
    if error is None:
        prune(Path(app.outdir) / "_static" / "mathjax")


def setup(app: Any) -> dict[str, bool]:
    """Wait until the files are there."""
    app.connect("build-finished", finish, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""A Sphinx extension that has Pagefind index the text of the book, for ``search.js``.

Code, outputs, formulas and tooltips are left out; results lead to sections.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

PASSED_OVER = (
    "div.highlight, .cell_output, .term-tip, .headerlink, .math, .lessons-explore, details.hide"
)
SECTION = re.compile(r'(<section id="([^"]+)"[^>]*>\s*(?:<span[^>]*></span>\s*)*)<h([234])>')
UNUSED = ("*-ui.*", "*-highlight.js", "wasm.unknown.pagefind")
"""What Pagefind brings for other pages than ours."""


def name_headings(
    app: Any, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Give headings names by which Pagefind finds sections: ``h-`` and that of the section."""
    del app, pagename, templatename, doctree
    body = str(context.get("body", ""))
    context["body"] = SECTION.sub(r'\1<h\3 id="h-\2">', body)


def index(app: Any, error: Exception | None) -> None:
    """Index a site that was built."""
    if error is not None or app.builder.format != "html":
        return
    where = [
        "--site",
        app.outdir,
        "--output-subdir",
        "pagefind",
        "--glob",
        "book/**/*.html",
    ]
    what = ["--root-selector", "article.bd-article", "--exclude-selectors", PASSED_OVER]
    command = [sys.executable, "-m", "pagefind", *map(str, where), *what]
    subprocess.run(command, check=True, capture_output=True)
    for pattern in UNUSED:
        for path in (Path(app.outdir) / "pagefind").glob(pattern):
            path.unlink()


def setup(app: Any) -> dict[str, bool]:
    """Register the handlers."""
    app.connect("html-page-context", name_headings)
    app.connect("build-finished", index, priority=950)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

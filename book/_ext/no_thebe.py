"""A Sphinx extension that takes thebe out of the pages.

Jupyter Book 1 always loads sphinx-thebe. It writes a script into every page that asks
another host when used, writes it twice (an error in the browser's console), and erases
interactive figures. Configuration cannot switch it off; so what it asked Sphinx for is
withdrawn here.
"""

from __future__ import annotations

from typing import Any


def setup(app: Any) -> dict[str, bool]:
    """Withdraw event handlers and style sheet. Own extensions are set up last."""
    for listeners in app.events.listeners.values():
        unwanted = [each for each in listeners if each.handler.__module__ == "sphinx_thebe"]
        for each in unwanted:
            listeners.remove(each)
    styles = app.registry.css_files
    styles[:] = [style for style in styles if style[0] != "sphinx-thebe.css"]
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""A Sphinx extension with the directive ``palette``: the colours of the figures.

The table is made of ``lessons_lib.plots.ROLES``: it shows what the figures have.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from tables import table


class Palette(SphinxDirective):
    """Role, swatch and meaning of each colour."""

    def run(self) -> list[nodes.Node]:
        """The table."""
        from lessons_lib.plots import MEANINGS, ROLES

        rows: list[list[nodes.Node]] = []
        for role, color in ROLES.items():
            # Hidden from screen readers: the number beside it says the same.
            swatch = nodes.raw(
                "",
                f'<span class="swatch" style="background:{color}" aria-hidden="true"></span> ',
                format="html",
            )
            shown = nodes.inline("", "", swatch, nodes.literal(color, color))
            shown["classes"].append("swatched")
            rows.append([nodes.literal(role, role), shown, nodes.inline("", MEANINGS[role])])
        return [table(["Role", "Colour", "Stands for"], rows)]


def setup(app: Any) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("palette", Palette)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

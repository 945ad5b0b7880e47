"""A Sphinx extension with the directive ``palette``: the colours of the figures.

The table is made of ``lessons_lib.plots.ROLES``: it shows what the figures have.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

# Hidden from screen readers: the number beside it says the same.
SWATCH = '<span class="swatch" style="background:{0}" aria-hidden="true"></span> '


class Palette(SphinxDirective):
    """Role, swatch and meaning of each colour."""

    def run(self) -> list[nodes.Node]:
        """The table."""
        from lessons_lib.plots import MEANINGS, ROLES

        rows = [
            f'| `{role}` | <span class="swatched">{SWATCH.format(color)}'
            f"`{color}`</span> | {MEANINGS[role]} |"
            for role, color in ROLES.items()
        ]
        head = ["| Role | Colour | Stands for |", "|---|---|---|"]
        return self.parse_text_to_nodes("\n".join([*head, *rows]))


def setup(app: Any) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("palette", Palette)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

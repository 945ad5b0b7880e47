"""Tables that extensions make. A module to import, not an extension."""

from __future__ import annotations

from collections.abc import Sequence

from docutils import nodes


def _row(cells: Sequence[nodes.Node]) -> nodes.row:
    entries = [nodes.entry("", nodes.paragraph("", "", cell)) for cell in cells]
    return nodes.row("", *entries)


def table(head: Sequence[str], rows: Sequence[Sequence[nodes.Node]]) -> nodes.table:
    """A table with a head.

    Args:
        head: name of each column.
        rows: inline nodes, one for each column.
    """
    columns = [nodes.colspec(colwidth=1) for _ in head]
    names = [nodes.inline("", name) for name in head]
    top = nodes.thead("", _row(names))
    body = nodes.tbody("", *(_row(cells) for cells in rows))
    return nodes.table("", nodes.tgroup("", *columns, top, body, cols=len(head)))

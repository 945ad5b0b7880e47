"""A Sphinx extension: the work that is cited beside its link, and exercises as they are named.

A card is shown by ``tooltips.css``, without a script, as the meaning of a term is.
"""

from __future__ import annotations

import itertools
import re
from typing import Any

CITED = re.compile(
    r'(<a class="reference internal" href="[^"]*bibliography\.html#[^"]*") title="([^"]*)"(.*?</a>)'
)
TITLE = re.compile(r"Exercise \((\d+\.\d+) (.*?)\)(?=(?:</a>)?</p>)")
UNTRIED = re.compile(  # the output of a check: on the page nobody can try
    r'<div class="cell_output[^>]*>\s*<div [^>]*><div role="status"[^>]*><strong>○.*?(?:</div>){3}'
)


def finish(app: Any, page: str, template: str, context: dict[str, Any], tree: Any) -> None:
    """Write cards, and what exercises are called."""
    del app, page, template, tree
    numbers = itertools.count(1)

    def card(link: re.Match[str]) -> str:
        tip = f"cite-tip-{next(numbers)}"
        beside = f'<span class="term-tip" role="tooltip" id="{tip}">{link[2]}</span>'
        return f'<span class="term">{link[1]} aria-describedby="{tip}"{link[3]}{beside}</span>'

    body = UNTRIED.sub("", TITLE.sub(r"Exercise \1: \2", str(context.get("body", ""))))
    context["body"] = CITED.sub(card, body)


def setup(app: Any) -> dict[str, bool]:
    """Register the handler."""
    app.connect("html-page-context", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

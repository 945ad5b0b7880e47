"""A Sphinx extension that sets formulas while the site is built, as MathML.

Browsers show it without a script, with the font ``formulas.woff2``. The macros are
those of ``mathjax3_config``, as for MathJax.
"""

from __future__ import annotations

import html
import re
from functools import cache
from typing import Any

from docutils import nodes
from math_core import LatexError, LatexToMathML
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number, wrap_displaymath

logger = logging.getLogger(__name__)

# MathML has no distance for one line. Chromium does not stretch a base of an index.
UNKNOWN = ((r"(\\\\)\s*\[[^]]*\]", r"\1"), (r"(\\[Bb]igg?r?\s*[])|])([_^])", r"\1{}\2"))

AFTER, BEFORE = re.compile(r"^[,.;:!?)\u2019\u201d]+"), re.compile(r"[(\u201c\u2018]+$")
WIDE = 24
"""Signs of a formula in the text that may be wider than a phone."""


@cache
def converter(macros: tuple[tuple[str, str], ...]) -> LatexToMathML:
    """A converter that knows some macros."""
    return LatexToMathML(macros=dict(macros), fancy_error=False)


def mathml(config: Any, latex: str, block: bool = False) -> str:
    """A formula as MathML.

    Args:
        config: of Sphinx.
        latex: without dollars.
        block: in a line of its own.

    Raises:
        ValueError: it cannot be read.
    """
    given = (config.mathjax3_config or {}).get("tex", {}).get("macros", {})
    macros = {name: text if isinstance(text, str) else text[0] for name, text in given.items()}
    text = latex
    for pattern, new in UNKNOWN:
        text = re.sub(pattern, new, text)
    try:
        return converter(tuple(macros.items())).convert_with_local_state(text, displaystyle=block)
    except LatexError as error:
        raise ValueError(f"expected a formula, found {latex!r}: {error}") from None


def keep_together(app: Any, doctree: nodes.document, docname: str) -> None:
    """Give each formula in the text its marks: no line begins with a comma."""
    del docname
    for node in doctree.findall(nodes.math) if app.builder.format == "html" else ():
        at = node.parent.index(node)
        for name, place, mark in (("after", at + 1, AFTER), ("before", at - 1, BEFORE)):
            text = node.parent[place] if 0 <= place < len(node.parent) else None
            if isinstance(text, nodes.Text) and (found := mark.search(text)):
                node[name] = found[0]
                node.parent[place] = nodes.Text(mark.sub("", text, count=1))


def shown(self: Any, node: nodes.Node, latex: str, block: bool = False) -> str:
    """A formula as MathML; one that cannot be read is a warning, and stays."""
    try:
        return mathml(self.builder.config, latex, block)
    except ValueError as problem:
        logger.warning("%s", problem, location=node)
        return f"<code>{html.escape(latex)}</code>"


def inline(self: Any, node: nodes.math) -> None:
    """A formula in the text."""
    text = shown(self, node, node.astext())
    wide = " wide" if len(re.sub("<[^>]*>", "", text)) > WIDE else ""
    before, after = (html.escape(node.get(name, "")) for name in ("before", "after"))
    words = f"{before}{text}{after}"
    self.body.append(f'<span class="math notranslate nohighlight{wide}">{words}</span>')
    raise nodes.SkipNode


def block(self: Any, node: nodes.math_block) -> None:
    """A formula in a line of its own, with its number and the link to it."""
    self.body.append(self.starttag(node, "div", CLASS="math notranslate nohighlight"))
    if node["number"]:
        number = get_node_equation_number(self, node)
        self.body.append(f'<span class="eqno">({number})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    latex = node.astext()
    if not node.get("nowrap") and (r"\\" in latex or "\n\n" in latex) and r"\begin" not in latex:
        latex = wrap_displaymath(latex, None, False)
    text = shown(self, node, latex, block=True)
    self.body.append(f'<div class="formula">{text}</div></div>\n')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    """Register the renderer; ``html_math_renderer`` names it."""
    app.connect("doctree-resolved", keep_together)
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}

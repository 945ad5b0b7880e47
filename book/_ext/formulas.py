"""A Sphinx extension that sets formulas as MathML, which needs no script."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from math_core import LatexError, LatexToMathML
from sphinx.errors import SphinxError
from sphinx.util.math import get_node_equation_number, wrap_displaymath

converter = LatexToMathML(fancy_error=False)

# MathML has no distance for one line. Chromium does not stretch a base of an index.
UNKNOWN = ((r"(\\\\)\s*\[[^]]*\]", r"\1"), (r"(\\[Bb]igg?r?\s*[])|])([_^])", r"\1{}\2"))
WIDE = 24
"""Signs of a formula in the text that may be wider than a phone."""


def mathml(node: nodes.Element, latex: str = "", block: bool = False) -> str:
    """A formula, or ``latex`` in its place, as MathML; one that cannot be read stops the build."""
    text = latex or node.astext()
    for pattern, new in UNKNOWN:
        text = re.sub(pattern, new, text)
    try:
        return converter.convert_with_local_state(text, displaystyle=block)
    except LatexError as error:
        where = f"{node.source}, line {node.line}"
        raise SphinxError(f"{where}: expected a formula, found {text!r}: {error}") from None


def inline(self: Any, node: nodes.math) -> None:
    """A formula in the text."""
    text = mathml(node)
    wide = " wide" if len(re.sub("<[^>]*>", "", text)) > WIDE else ""
    self.body.append(f'<span class="math notranslate nohighlight{wide}">{text}</span>')
    raise nodes.SkipNode


def block(self: Any, node: nodes.math_block) -> None:
    """A formula in a line of its own, with its number and the link to it."""
    self.body.append(self.starttag(node, "div", CLASS="math notranslate nohighlight"))
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    latex = node.astext()
    if r"\\" in latex and r"\begin" not in latex:
        latex = wrap_displaymath(latex, None, False)
    self.body.append(f'<div class="formula">{mathml(node, latex, block=True)}</div></div>\n')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    """Register the renderer; ``html_math_renderer`` names it."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}

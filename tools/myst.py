"""Read MyST Markdown with the parser of the book: a directive here is one on the site."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser

LITERAL = {
    *("math", "code", "code-block", "eval-rst", "figure", "image", "bibliography", "glossary"),
    *("toctree", "tableofcontents"),
}
"""Directives whose body is not Markdown with directives of its own."""


@dataclass(frozen=True)
class Directive:
    """A directive as it is written.

    Attributes:
        name: for example ``note``.
        argument: the rest of its first line.
        options: its lines ``:key: value``.
        body: everything after the options.
    """

    name: str
    argument: str
    options: dict[str, str]
    body: str


def directive(token: Token) -> Directive | None:
    """The directive that a token of a block is, or ``None``."""
    if token.type not in ("fence", "colon_fence") or not token.info.startswith("{"):
        return None
    name, _, argument = token.info[1:].partition("}")
    lines = token.content.splitlines()
    options: dict[str, str] = {}
    while lines and lines[0].startswith(":") and ":" in lines[0][1:]:
        key, _, value = lines.pop(0)[1:].partition(":")
        options[key.strip()] = value.strip()
    return Directive(name.strip(), argument.strip(), options, "\n".join(lines).strip("\n"))


class Parser:
    """The book's parser.

    Args:
        extensions: names of the MyST extensions that are switched on.
    """

    def __init__(self, extensions: Iterable[str]) -> None:
        config = MdParserConfig(enable_extensions=set(extensions))
        self._parser: MarkdownIt = create_md_parser(config, RendererHTML)

    def blocks(self, text: str) -> list[Token]:
        """Tokens of a text; what is inside of directives is not looked at."""
        return self._parser.parse(text, {})

    def walk(self, text: str) -> Iterator[tuple[Token, Directive | None]]:
        """All blocks of a text, those inside directives included, in reading order."""
        for token in self.blocks(text):
            found = directive(token)
            yield token, found
            if found and found.name not in LITERAL:
                yield from self.walk(found.body)

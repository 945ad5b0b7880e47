"""Read MyST Markdown: blocks, directives, and the places of roles and links in running text.

The parser is that of the book, with the extensions of ``_config.yml``, so that what counts as a
directive here is what counts as one on the site. It reports where each piece stands in the source,
which markdown-it does for blocks only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser

WATCHED = (
    *("myst_role", "link", "image", "autolink", "math_inline"),
    *("substitution_inline", "footnote_ref", "span", "attr"),
)
"""Rules of running text whose finds are reported; all else is plain Markdown."""
LITERAL = {
    *("math", "code", "code-block", "eval-rst", "figure", "image", "bibliography", "glossary"),
    *("toctree", "tableofcontents"),
}
"""Directives whose body is not Markdown with directives of its own."""

Environment = MutableMapping[str, Any]


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


@dataclass(frozen=True)
class Span:
    """Something in running text, from ``start`` up to and without ``end``.

    Attributes:
        kind: which rule found it, one of ``WATCHED``.
        start: index of its first character.
        end: index behind its last character.
        tokens: what the parser made of it.
        label_end: of a link, the index of the bracket that closes its text; else -1.
    """

    kind: str
    start: int
    end: int
    tokens: tuple[Token, ...]
    label_end: int = -1

    def token(self, kind: str) -> Token:
        """The first of its tokens of a kind."""
        return next(token for token in self.tokens if token.type == kind)


def directive(token: Token) -> Directive | None:
    """The directive that a token of a block is, or ``None``."""
    if token.type not in ("fence", "colon_fence") or not token.info.startswith("{"):
        return None
    name, _, argument = token.info[1:].partition("}")
    lines = token.content.splitlines()
    options: dict[str, str] = {}
    while lines and lines[0].startswith(":"):
        key, colon, value = lines[0][1:].partition(":")
        if not colon:
            break
        options[key.strip()] = value.strip()
        lines.pop(0)
    return Directive(name.strip(), argument.strip(), options, "\n".join(lines).strip("\n"))


class Parser:
    """The book's parser.

    Args:
        extensions: names of the MyST extensions that are switched on.
    """

    def __init__(self, extensions: Iterable[str]) -> None:
        config = MdParserConfig(enable_extensions=set(extensions))
        self._parser: MarkdownIt = create_md_parser(config, RendererHTML)
        ruler = self._parser.inline.ruler
        rules = dict(zip(ruler.get_active_rules(), ruler.getRules(""), strict=True))
        for name in WATCHED:
            if name in rules:
                ruler.at(name, _reporting(name, rules[name]))

    def blocks(self, text: str) -> tuple[list[Token], Environment]:
        """Tokens of a text, and what its running text may refer to."""
        environment: Environment = {}
        return self._parser.parse(text, environment), environment

    def spans(self, content: str, environment: Environment) -> list[Span]:
        """Roles, links and the like in running text, in order; those in a link come before it."""
        found: list[Span] = []
        inner = {**environment, "spans": found, "spans of": content}
        self._parser.inline.parse(content, self._parser, inner, [])
        return found

    def walk(self, text: str) -> Iterator[tuple[Token, Directive | None]]:
        """All blocks of a text, those inside directives included, in reading order."""
        for token in self.blocks(text)[0]:
            found = directive(token)
            yield token, found
            if found and found.name not in LITERAL:
                yield from self.walk(found.body)


Rule = Callable[[StateInline, bool], bool]


def _reporting(name: str, rule: Rule) -> Rule:
    """A rule that does what ``rule`` does, and notes where it found something."""

    def reporting(state: StateInline, silent: bool) -> bool:
        start, before = state.pos, len(state.tokens)
        label_end = state.md.helpers.parseLinkLabel(state, start) if name == "link" else -1
        if not rule(state, silent):
            return False
        # The text of an image is parsed for itself: places in it are none of the whole text.
        if not silent and state.env.get("spans of") == state.src:
            tokens = tuple(state.tokens[before:])
            state.env["spans"].append(Span(name, start, state.pos, tokens, label_end))
        return True

    return reporting

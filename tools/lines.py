"""Pieces of Markdown as lines: edits, quotations, equations, titles as HTML."""

from __future__ import annotations

import html
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.dollarmath import dollarmath_plugin

from environment import CourseError

Lines = list[str]


@dataclass(frozen=True)
class Edit:
    """Lines ``start`` up to and without ``end``, and what comes in their place.

    Attributes:
        apart: whether the new lines need blank lines around them.
    """

    start: int
    end: int
    lines: Lines
    apart: bool = False


def replaced(text: str, changes: list[tuple[int, int, str]]) -> str:
    """A text with some of its pieces replaced; the pieces do not overlap."""
    for start, end, new in sorted(changes, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def applied(lines: Lines, edits: list[Edit]) -> Lines:
    """Lines with edits made, and blank lines around those new ones that need them."""
    result: Lines = []
    position = 0
    apart = False

    def add(new: Lines, new_apart: bool) -> None:
        nonlocal apart
        if not new:
            return
        if (apart or new_apart) and result and result[-1].strip(" >") and new[0].strip(" >"):
            result.append("")
        result.extend(new)
        apart = new_apart

    for edit in sorted(edits, key=lambda edit: edit.start):
        add(lines[position : edit.start], False)
        add(edit.lines, edit.apart)
        position = edit.end
        # What is dropped takes the blank line after it along, if one stands before it.
        blank_before = not result or not result[-1]
        if not edit.lines and blank_before and lines[position : position + 1] == [""]:
            position += 1
    add(lines[position:], False)
    return result


def quotation(title: str, body: Lines) -> Lines:
    """A title and lines in a block of their own."""
    while body and not body[-1]:
        body = body[:-1]
    while body and not body[0]:
        body = body[1:]
    lines = [title, "", *body] if title and body else [title] if title else body
    return [f"> {line}".rstrip() for line in lines]


def equation(content: str, number: str, one_line: bool) -> Lines:
    """An equation in double dollars, set as the site sets it.

    Raises:
        CourseError: it has an empty line, or a comment that would swallow what follows.
    """
    body = [line.strip() for line in content.strip().split("\n")]
    if "" in body:
        raise CourseError("an equation has an empty line: make two equations of it")
    if one_line and any("%" in line.replace("\\%", "") for line in body):
        raise CourseError("an equation in a box must not have a comment: it becomes one line")
    text = "\n".join(body)
    if "\\\\" in text and not text.startswith("\\begin{"):
        body = ["\\begin{split}", *body, "\\end{split}"]
    if number:
        body[-1] += f" \\tag{{{number}}}"
    return [f"$$ {' '.join(body)} $$"] if one_line else ["$$", *body, "$$"]


def markup(text: str) -> str:
    """Running text as HTML; equations stay as they are between their dollars."""
    parser = MarkdownIt("commonmark").use(dollarmath_plugin)
    parser.add_render_rule("math_inline", _dollars)
    return str(parser.renderInline(text))


def _dollars(_: object, tokens: list[Token], index: int, *rest: object) -> str:
    del rest
    return f"${html.escape(tokens[index].content)}$"

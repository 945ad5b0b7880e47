"""MyST Markdown as plain Markdown that reads well in Colab and elsewhere.

Running text stays as it was written, character by character, but for roles and links to pages. The
chapters need a few directives and roles; what is left over of any other is an error with its place.
"""

from __future__ import annotations

import html
import posixpath
import re
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.dollarmath import dollarmath_plugin

from environment import CourseError
from labels import Book, Directive, Parser, directive

ADMONITIONS = {"note", "tip", "warning", "important", "hint", "caution", "danger", "attention"}
VERBATIM = {"fence", "code_block", "html_block"}
DROPPED = {"front_matter", "myst_target", "myst_line_comment"}
# Code and escaped characters are found in order to be passed over.
PIECE = re.compile(
    r"\\."
    r"|\{(?P<role>[\w:]+)\}`(?P<content>[^`]+)`"
    r"|(?P<ticks>`+)(?!`)(?:(?!\n\s*\n).)+?(?<!`)(?P=ticks)(?!`)"
    r"|\$(?P<math>(?:\\.|(?!\n\s*\n)[^$\\])+)\$"
    r'|\]\((?P<href>[^()\s]+)(?P<title>\s+"[^"\n]*")?\)',
    re.DOTALL,
)
PLAIN = re.compile(
    r"(paragraph|heading|bullet_list|ordered_list|list_item|blockquote|table|thead|tbody|tr|th|td|s"
    r"|em|strong|link)_(open|close)|text|inline|fence|hr|code_(block|inline)|html_(block|inline)"
    r"|math_(inline|block)|(soft|hard)break"
)
"""Tokens that are the same in MyST and in Colab."""


def leftovers(text: str, parser: Parser) -> list[str]:
    """What a text has that only MyST understands, and links that lead nowhere alone."""
    found = []
    for block in parser.blocks(text):
        for token in (block, *(block.children or ())):
            address = str(token.attrs.get("href", ""))
            if not PLAIN.fullmatch(token.type) or (directive(token) and token is block):
                found.append(f"{token.type} {token.info} {token.content[:40]}".strip())
            elif token.attrs.keys() & {"class", "id"} and "task-list" not in str(token.attrs):
                found.append(f"attributes in braces of {token.type.removesuffix('_open')}")
            known = urlsplit(address).scheme in ("http", "https", "mailto")
            if address and not known and not address.startswith("#scrollTo="):
                found.append(f"link {address}")
    return found


class Converter:
    """Turns the Markdown cells of one notebook into plain Markdown.

    Args:
        book: what the text may refer to.
        page: name of the notebook's page, as in ``book/03_uniform_attention``.
        student: leave out solutions, and what is folded in an exercise unless its title says
            "Hint": whoever is to decide first should not have explanations one click away. Links
            go to the site, since students open it anywhere and only Colab scrolls to a cell.
    """

    def __init__(self, book: Book, page: str, *, student: bool = False) -> None:
        self.book, self.page, self.student = book, page, student
        self.cell = ""
        self._in_exercise = False

    def convert(self, text: str, cell: str) -> str:
        """The text of a cell as plain Markdown.

        Raises:
            CourseError: the cell has something that cannot be turned into plain Markdown.
        """
        self.cell = cell
        try:
            result = "\n".join(self._text(text)).strip("\n")
            if left := leftovers(result, self.book.parser):
                raise CourseError(f"cannot be turned into plain Markdown: {'; '.join(left)}")
        except CourseError as error:
            raise CourseError(f"{self.page}.ipynb, cell {cell}: {error}") from None
        return result

    def _text(self, text: str, boxed: bool = False) -> list[str]:
        """Convert a text; ``boxed``: into a quotation, whose marks may not get into equations."""
        lines = text.split("\n")
        result: list[str] = []
        position, apart = 0, False

        def add(new: list[str], new_apart: bool = False) -> None:
            nonlocal apart
            if not new:
                return
            if (apart or new_apart) and result and result[-1].strip(" >") and new[0].strip(" >"):
                result.append("")
            result.extend(new)
            apart = new_apart

        for token in self.book.parser.blocks(text):
            if token.map is None:
                continue
            start, end = token.map
            new = self._block(token, boxed or end - start == 1)
            if new is None and token.type not in VERBATIM:
                continue
            if position < start:
                add(self._inline("\n".join(lines[position:start])).split("\n"))
            position = end
            if new is None:
                add(lines[start:end])
                continue
            before = re.split(r"[`:$\\]", lines[start])[0]  # what marks a list or a quotation
            rest = re.sub("[^>]", " ", before)
            add([f"{rest if k else before}{line}".rstrip() for k, line in enumerate(new)], True)
            # What is dropped takes the blank line after it along, if one stands before it.
            if not new and not (result and result[-1]) and lines[position : position + 1] == [""]:
                position += 1
        if position < len(lines):
            add(self._inline("\n".join(lines[position:])).split("\n"))
        return result

    def _block(self, token: Token, boxed: bool) -> list[str] | None:
        """What comes in place of a block; ``None`` if it stays."""
        if token.type in DROPPED:
            return []
        found = directive(token)
        if found:
            return self._directive(found, boxed)
        if token.type in ("math_block", "math_block_label"):
            label = token.info if token.type == "math_block_label" else ""
            return equation(token.content, self.book.labels[label].number if label else "", boxed)
        return None

    # Running text ---------------------------------------------------------------------------

    def _inline(self, text: str) -> str:
        """Running text with roles and links turned into plain Markdown."""
        return PIECE.sub(self._piece, text)

    def _piece(self, found: re.Match[str]) -> str:
        if found["role"]:
            return self._role(found["role"], re.sub(r"\s*\n[\s>]*", " ", found["content"]))
        if found["math"]:
            return re.sub(r"\n[\s>]*", " ", found[0])
        if found["href"]:
            return f"]({self._address(found['href'])}{found['title'] or ''})"
        return found[0]

    def _role(self, name: str, content: str) -> str:
        explicit = re.fullmatch(r"(.*?)\s*<([^<>]*)>", content)
        words, target = explicit.groups() if explicit else ("", content.strip())
        if name in ("cite", "cite:p", "cite:t"):
            works = [self.book.citation(key.strip()) for key in target.split(",")]
            if name == "cite:t":
                return ", ".join(f"[{who} ({year})]({where})" for who, year, where in works)
            return "(" + "; ".join(f"[{who}, {year}]({where})" for who, year, where in works) + ")"
        if name == "term":
            anchor = "-".join(re.findall(r"[^\W_]+", target))  # Sphinx keeps capitals here
            return f"[{words or target}]({self.book.address('book/glossary', f'term-{anchor}')})"
        if name == "doc":
            page = self._page(target)
            return f"[{words or self.book.titles[page]}]({self.book.address(page)})"
        if name not in ("eq", "ref"):
            raise CourseError(f"unknown role {name!r}")
        label = self.book.label(target)
        if name == "eq" and label.page == self.page:
            return f"({label.number})"
        words = words or (f"({label.number})" if name == "eq" else label.title)
        address = self.book.label_address(target) if name == "eq" else self._place(target)
        return f"[{words}]({address})"

    def _page(self, target: str) -> str:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(self.page), target))
        page = path.removesuffix(".md").removesuffix(".ipynb")
        if page not in self.book.titles:
            raise CourseError(f"the link {target!r} leads to no page of _toc.yml")
        return page

    def _place(self, label: str) -> str:
        """Address of what a label stands for: a cell of this notebook, or a place on the site."""
        found = self.book.label(label)
        if found.page == self.page and found.cell and not self.student:
            return f"#scrollTo={found.cell}"
        return self.book.label_address(label)

    def _address(self, address: str) -> str:
        """Where a link leads that may be read anywhere."""
        parts = urlsplit(address)
        if parts.scheme:
            return address
        anchor = unquote(parts.fragment)
        if not parts.path:
            return self._place(anchor)
        page = self._page(unquote(parts.path))
        return self.book.label_address(anchor) if anchor else self.book.address(page)

    # Directives -----------------------------------------------------------------------------

    def _directive(self, found: Directive, boxed: bool) -> list[str]:
        title, body = found.argument, found.body
        if found.name == "math":
            label = found.options.get("label", "")
            number = self.book.labels[label].number if label else ""
            return equation(f"{title}\n{body}", number, boxed)
        if found.name == "exercise":
            return self._exercise(found)
        if found.name == "solution":
            title = f"Solution to Exercise ({self.book.label(title).title})"
            return [] if self.student else self._details(title, body, boxed)
        if found.name in ADMONITIONS:  # text behind the name belongs to the body
            title, body = found.name.capitalize(), f"{title}\n{body}".strip("\n")
        elif found.name not in ("admonition", "margin"):
            raise CourseError(f"unknown directive {found.name!r}")
        if "dropdown" in found.options.get("class", "").split():
            hint = re.match(r"\W*hint", title, re.IGNORECASE)
            if self.student and self._in_exercise and not hint:
                return []
            return self._details(title, body, boxed)
        return quotation(self._inline(title), self._text(body, True))

    def _exercise(self, found: Directive) -> list[str]:
        if "label" not in found.options or "nonumber" not in found.options:
            raise CourseError("an exercise needs :label: and :nonumber:; its title has its number")
        if self.student and "<details" in found.body:
            raise CourseError("fold with a dropdown admonition: <details> could hold an answer")
        self._in_exercise = True
        body = self._text(found.body, True)
        self._in_exercise = False
        return quotation(f"Exercise ({self._inline(found.argument)})", body)

    def _details(self, title: str, body: str, boxed: bool) -> list[str]:
        """A block that a click opens. In its title only HTML is read, no Markdown."""
        summary = f"<summary><b>{markup(self._inline(title))}</b></summary>"
        return ["<details>", summary, "", *self._text(body, boxed), "", "</details>"]


def quotation(title: str, body: list[str]) -> list[str]:
    """A title, if any, and lines in a block of their own."""
    text = (f"**{title}**\n\n" if title else "") + "\n".join(body).strip("\n")
    return [f"> {line}".rstrip() for line in text.strip("\n").split("\n")]


def equation(content: str, number: str, one_line: bool) -> list[str]:
    """An equation in double dollars, set as the site sets it.

    Raises:
        CourseError: it has an empty line, or a comment that would swallow what follows.
    """
    body = [line.strip() for line in content.strip().split("\n")]
    if "" in body:
        raise CourseError("an equation has an empty line: make two equations of it")
    if one_line and any("%" in line.replace("\\%", "") for line in body):
        raise CourseError("an equation in a box must not have a comment: it becomes one line")
    if "\\\\" in content and not body[0].startswith("\\begin{"):
        body = ["\\begin{split}", *body, "\\end{split}"]
    if number:
        body[-1] += f" \\tag{{{number}}}"
    return [f"$$ {' '.join(body)} $$"] if one_line else ["$$", *body, "$$"]


def markup(text: str) -> str:
    """Running text as HTML; equations stay as they are between their dollars."""
    parser = MarkdownIt("commonmark").use(dollarmath_plugin)
    parser.add_render_rule(
        "math_inline", lambda _, tokens, k, *__: f"${html.escape(tokens[k].content)}$"
    )
    return str(parser.renderInline(text))

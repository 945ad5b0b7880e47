"""MyST Markdown as plain Markdown that reads well in Colab and elsewhere.

Running text stays as it was written, character by character, but for what the chapters have of
MyST: a few roles, and directives at the beginning of a line. What is left over of anything else is
an error with its place.
"""

from __future__ import annotations

import html
import re
from textwrap import indent

from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin

from environment import CourseError
from labels import Book, Directive, Parser, directive

# Code and escaped characters are found in order to be passed over.
PIECE = re.compile(
    r"^[ ]*(?P<fence>[:`]{3,})(?P<info>[^\n]*)\n(?P<body>.*?)^[ ]*(?P=fence)[ ]*$"
    r"|^(?P<indent>[ ]*)\$\$(?P<display>.+?)\$\$[ ]*$"
    r"|^\((?P<target>[\w-]+)\)=$"
    r"|\\."
    r"|\{(?P<role>[\w:]+)\}`(?P<content>[^`]+)`"
    r"|(?P<ticks>`+)(?!`)(?:(?!\n\s*\n).)+?(?<!`)(?P=ticks)(?!`)"
    r"|\$(?P<math>(?:\\.|(?!\n\s*\n)[^$\\])+)\$",
    re.DOTALL | re.MULTILINE,
)
APART = "\0"  # beside what stands in a paragraph of its own, while a text is put together
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
            if not PLAIN.fullmatch(token.type) or (token.info.startswith("{") and token is block):
                found.append(f"{token.type} {token.info} {token.content[:40]}".strip())
            elif token.attrs.keys() & {"class", "id"} and "task-list" not in str(token.attrs):
                found.append(f"attributes in braces of {token.type.removesuffix('_open')}")
            if not re.match("https?:|mailto:|#scrollTo=|$", address):
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
        self._in_exercise = False

    def convert(self, text: str, cell: str) -> str:
        """The text of a cell as plain Markdown. CourseError: some of it cannot be turned."""
        try:
            result = self._text(text)
            if left := leftovers(result, self.book.parser):
                raise CourseError(f"cannot be turned into plain Markdown: {'; '.join(left)}")
        except CourseError as error:
            raise CourseError(f"{self.page}.ipynb, cell {cell}: {error}") from None
        return result

    def _text(self, text: str, boxed: bool = False) -> str:
        """Convert a text; ``boxed``: into a quotation, whose marks may not get into equations."""
        done = PIECE.sub(lambda found: self._piece(found, boxed), text)
        blank = re.compile(f"\n*{APART}[{APART}\n]*")  # one line, or as many as there were
        return blank.sub(lambda b: max("\n\n", *b[0].split(APART), key=len), done).strip("\n")

    def _piece(self, found: re.Match[str], boxed: bool) -> str:
        if found["info"] is not None and found["info"].startswith("{") and found[0][0] != " ":
            return APART + self._directive(directive(found["info"], found["body"]), boxed) + APART
        if found["display"]:
            lines = equation(found["display"], "", boxed or "\n" not in found["display"])
            return APART + indent(lines, found["indent"]) + APART
        if found["target"]:
            return APART
        if found["role"]:
            return self._role(found["role"], re.sub(r"\s*\n[\s>]*", " ", found["content"]))
        if found["math"]:
            return re.sub(r"\n[\s>]*", " ", found[0])
        return found[0]

    def _role(self, name: str, content: str) -> str:
        explicit = re.fullmatch(r"(.*?)\s*<([^<>]*)>", content)
        words, target = explicit.groups() if explicit else ("", content.strip())
        if name in ("cite", "cite:t"):
            works = [self.book.citation(key.strip()) for key in target.split(",")]
            if name == "cite:t":
                return ", ".join(f"[{who} ({year})]({where})" for who, year, where in works)
            return "(" + "; ".join(f"[{who}, {year}]({where})" for who, year, where in works) + ")"
        if name == "term":
            anchor = "-".join(re.findall(r"[^\W_]+", target))  # Sphinx keeps capitals here
            return f"[{words or target}]({self.book.address('book/glossary', f'term-{anchor}')})"
        if name == "doc":
            page = f"book/{target}"
            if page not in self.book.titles:
                raise CourseError(f"the link {target!r} leads to no page of _toc.yml")
            return f"[{words or self.book.titles[page]}]({self.book.address(page)})"
        if name not in ("eq", "ref"):
            raise CourseError(f"unknown role {name!r}")
        label, address = self.book.label(target), self.book.label_address(target)
        if name == "eq":
            number = f"({label.number})"
            return number if label.page == self.page else f"[{number}]({address})"
        if label.page == self.page and not self.student:
            address = f"#scrollTo={label.cell}"
        return f"[{words or label.title}]({address})"

    def _directive(self, found: Directive, boxed: bool) -> str:
        title, body, options = found.argument, found.body, found.options
        if found.name == "math":
            number = self.book.labels[options["label"]].number if "label" in options else ""
            return equation(f"{title}\n{body}", number, boxed)
        if found.name == "exercise":
            if not options.keys() >= {"label", "nonumber"}:
                raise CourseError(
                    "an exercise needs :label: and :nonumber:; its title has its number"
                )
            if self.student and "<details" in body:
                raise CourseError("fold with a dropdown admonition: <details> could hold an answer")
            self._in_exercise = True
            body = self._text(body, boxed=True)
            self._in_exercise = False
            return quotation(f"Exercise ({self._text(title)})", body)
        if found.name == "solution":
            title = f"Solution to Exercise ({self.book.label(title).title})"
            return "" if self.student else self._details(title, body, boxed)
        if found.name not in ("admonition", "margin"):
            raise CourseError(f"unknown directive {found.name!r}")
        if "dropdown" in options.get("class", "").split():
            hint = re.match(r"\W*hint", title, re.IGNORECASE)
            if self.student and self._in_exercise and not hint:
                return ""
            return self._details(title, body, boxed)
        return quotation(self._text(title), self._text(body, boxed=True))

    def _details(self, title: str, body: str, boxed: bool) -> str:
        """A block that a click opens. In its title only HTML is read, no Markdown."""
        parser = MarkdownIt("commonmark").use(dollarmath_plugin)
        parser.add_render_rule(  # equations stay as they are between their dollars
            "math_inline", lambda _, tokens, k, *__: f"${html.escape(tokens[k].content)}$"
        )
        summary = f"<summary><b>{parser.renderInline(self._text(title))}</b></summary>"
        return f"<details>\n{summary}\n\n{self._text(body, boxed)}\n\n</details>"


def quotation(title: str, body: str) -> str:
    """A title, if any, and a text in a block of their own."""
    text = f"**{title}**\n\n{body}" if title else body
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))


def equation(content: str, number: str, one_line: bool) -> str:
    """An equation in double dollars, as the site sets it. CourseError: that would change it."""
    body = [line.strip() for line in content.strip().split("\n")]
    if "" in body:
        raise CourseError("an equation has an empty line: make two equations of it")
    if one_line and any("%" in line.replace("\\%", "") for line in body):
        raise CourseError("an equation in a box must not have a comment: it becomes one line")
    if "\\\\" in content and not body[0].startswith("\\begin{"):
        body = ["\\begin{split}", *body, "\\end{split}"]
    if number:
        body[-1] += f" \\tag{{{number}}}"
    return f"$$ {' '.join(body)} $$" if one_line else "\n".join(["$$", *body, "$$"])

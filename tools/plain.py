"""MyST Markdown as plain Markdown that reads well in Colab and elsewhere.

Running text stays as it was written, character by character, but for roles and links. Each
directive has a function in ``Converter.directives``; what has none there is an error, so that
nothing is left over by accident. Another edition (without solutions, say) replaces entries there.
"""

from __future__ import annotations

import base64
import html
import mimetypes
import posixpath
from collections.abc import Callable
from dataclasses import replace

from markdown_it.token import Token

from environment import CourseError
from labels import Book
from lines import Edit, Lines, applied, equation, markup, quotation, replaced
from myst import Directive, Environment, Span, directive
from roles import ROLES, Place, link, link_address, link_text
from roles import destination as link_destination

ADMONITIONS = {
    **{name: name.capitalize() for name in ("note", "tip", "warning", "important", "hint")},
    **{name: name.capitalize() for name in ("caution", "danger", "attention", "error")},
    "seealso": "See also",
}
UNSUPPORTED = {
    "dl_open": "a definition list",
    "field_list_open": "a field list",
    "footnote_reference_open": "a footnote",
    "footnote_ref": "a footnote",
    "myst_block_break": "a block break +++",
    "substitution_block": "a substitution",
    "substitution_inline": "a substitution",
    "span": "a span with attributes",
    "attr": "attributes in braces",
}
"""Syntax that Colab does not know and that no chapter needs."""
DROPPED = {"front_matter", "myst_target", "myst_line_comment"}
MAX_IMAGE_BYTES = 300_000

Handler = Callable[[Directive, bool], Lines]


class Converter:
    """Turns the Markdown cells of one notebook, in order, into plain Markdown.

    Args:
        book: what the text may refer to.
        page: name of the notebook's page, as in ``book/03_uniform_attention``.
        scrolls: whether links to cells are those of Colab, which lead nowhere else.

    Attributes:
        directives: what is done with each directive, and the options that it may have.
        in_solution: whether the last text opened a solution that goes on in the next cells.
    """

    def __init__(self, book: Book, page: str, *, scrolls: bool = True) -> None:
        self.book = book
        self.place = Place(page, "", scrolls)
        self.in_solution = False
        named = {"class", "name"}
        exercise = {"class", "label", "nonumber"}
        image = {"name", "alt", "width", "align", "figclass"}
        self.directives: dict[str, tuple[Handler, set[str]]] = {
            "admonition": (self._admonition, named),
            **dict.fromkeys(ADMONITIONS, (self._admonition, named)),
            "dropdown": (self._dropdown, named | {"open", "color", "icon"}),
            "toggle": (self._dropdown, named),
            "margin": (self._margin, named),
            "sidebar": (self._margin, named),
            "exercise": (self._exercise, exercise),
            "exercise-start": (self._exercise, exercise),
            "exercise-end": (self._nothing, set()),
            "solution": (self._solution, {"class", "label"}),
            "solution-start": (self._solution_start, {"class", "label"}),
            "solution-end": (self._solution_end, set()),
            "math": (self._math, {"label", "name"}),
            "figure": (self._figure, image),
            "image": (self._figure, image),
            "table": (self._table, named | {"align", "widths"}),
            "code": (self._code, named),
            "code-block": (self._code, named | {"linenos"}),
        }

    def convert(self, text: str, cell: str) -> str:
        """The text of a cell as plain Markdown.

        Raises:
            CourseError: the cell has something that cannot be turned into plain Markdown.
        """
        self.place = replace(self.place, cell=cell)
        try:
            return "\n".join(self._text(text)).strip("\n")
        except CourseError as error:
            raise CourseError(f"{self.place.page}.ipynb, cell {cell}: {error}") from None

    def _text(self, text: str, contained: bool = False) -> Lines:
        """Convert a text.

        Args:
            text: of a cell, or of the body of a directive.
            contained: it goes into a quotation, whose marks may not get into equations.
        """
        tokens, environment = self.book.parser.blocks(text)
        lines = text.split("\n")
        edits: list[Edit] = []
        cells: dict[int, list[tuple[int, int, str]]] = {}
        tables = 0
        for token in tokens:
            if token.type in UNSUPPORTED:
                raise CourseError(f"{UNSUPPORTED[token.type]} cannot be turned into plain Markdown")
            if token.attrs and token.type in ("paragraph_open", "heading_open", "fence"):
                raise CourseError("attributes in braces cannot be turned into plain Markdown")
            tables += {"table_open": 1, "table_close": -1}.get(token.type, 0)
            if token.type == "inline" and tables:
                self._table_cell(token, lines, environment, cells)
            elif token.type == "inline":
                edits += self._paragraph(token, lines, environment)
            else:
                edits += self._block(token, lines, contained)
        for number, changes in cells.items():
            edits.append(Edit(number, number + 1, [replaced(lines[number], changes)]))
        return applied(lines, edits)

    def _block(self, token: Token, lines: Lines, contained: bool) -> list[Edit]:
        """The edit, if any, that a token of a block calls for."""
        if token.map is None:
            return []
        start, end = token.map
        if token.type in DROPPED:
            return [Edit(start, end, [])]
        found = directive(token)
        if found:
            new = self._directive(found, contained)
        elif token.type == "colon_fence":
            raise CourseError(f"expected a directive in braces behind :::, found {token.info!r}")
        elif token.type == "amsmath":
            if not str(token.meta["environment"] + token.meta["numbered"]).endswith("*"):
                raise CourseError("a numbered environment has no label: use {math}, or add a star")
            end = start + len(token.content.splitlines())
            new = equation(token.content, "", contained)
        elif token.type in ("math_block", "math_block_label"):
            label = token.info if token.type == "math_block_label" else ""
            number = self.book.labels[label].number if label else ""
            new = equation(token.content, number, contained or end - start == 1)
        else:
            return []
        mark = token.markup or ("$$" if token.type != "amsmath" else "\\begin")
        first = lines[start][: lines[start].index(mark)]
        rest = "".join(c if c == ">" else " " for c in first)
        marked = [f"{rest if k else first}{line}".rstrip() for k, line in enumerate(new)]
        return [Edit(start, end, marked, apart=True)]

    def _directive(self, found: Directive, contained: bool) -> Lines:
        if found.name not in self.directives:
            raise CourseError(
                f"unknown directive {found.name!r}; known are {', '.join(sorted(self.directives))}"
            )
        handler, options = self.directives[found.name]
        unknown = set(found.options) - options
        if unknown:
            raise CourseError(
                f"directive {found.name!r}: expected the options {sorted(options)}, "
                f"found {sorted(unknown)}"
            )
        return handler(found, contained)

    # Running text ---------------------------------------------------------------------------

    def _inline(self, content: str, environment: Environment | None = None) -> str:
        """Running text with roles and links turned into plain Markdown."""
        changes: list[tuple[int, int, str]] = []
        for span in self.book.parser.spans(content, environment or {}):
            changes += self._span(span, content)
        return replaced(content, changes)

    def _span(self, span: Span, content: str) -> list[tuple[int, int, str]]:
        start, end = span.start, span.end
        if span.kind in UNSUPPORTED:
            raise CourseError(f"{UNSUPPORTED[span.kind]} cannot be turned into plain Markdown")
        if span.kind == "myst_role":
            token = span.token("myst_role")
            name = str(token.meta["name"])
            if name not in ROLES:
                raise CourseError(f"unknown role {name!r}; known are {', '.join(sorted(ROLES))}")
            role = ROLES[name](self.book, self.place, token.content.replace("\n", " "))
            return [(start, end, role)]
        if span.kind == "math_inline":
            return [(start, end, content[start:end].replace("\n", " "))]
        if span.kind == "image":
            token = span.token("image")
            address = self._embedded(str(token.attrs["src"]))
            return [(start, end, f"!{link(token.content, address)}")]
        token = span.token("link_open")
        old, title = str(token.attrs["href"]), str(token.attrs.get("title", ""))
        new = link_address(self.book, self.place, old)
        if span.kind == "autolink" or new == old:
            return []
        changes = [(span.label_end + 1, end, link_destination(new, title))]
        if span.label_end == start + 1:
            changes.append((start + 1, start + 1, link_text(self.book, self.place, old)))
        return changes

    def _paragraph(self, token: Token, lines: Lines, environment: Environment) -> list[Edit]:
        """The edit of a paragraph or heading; what marks its lines stays before them."""
        new = self._inline(token.content, environment)
        if new == token.content or token.map is None:
            return []
        start, written = token.map[0], token.content.split("\n")
        columns = [lines[start + k].rfind(line) for k, line in enumerate(written)]
        if min(columns) < 0:
            raise CourseError(f"cannot find {token.content[:40]!r} in its lines")
        last = lines[start + len(written) - 1][columns[-1] + len(written[-1]) :]
        words = new.split("\n")
        words[-1] += last
        marked = [lines[start + k][: columns[k]] + line for k, line in enumerate(words)]
        return [Edit(start, start + len(written), marked)]

    def _table_cell(
        self,
        token: Token,
        lines: Lines,
        environment: Environment,
        cells: dict[int, list[tuple[int, int, str]]],
    ) -> None:
        """Enter the new content of a table's cell, and where it goes, under its line."""
        if token.map is None or not token.content:
            return
        number = token.map[0]
        done = cells.setdefault(number, [])
        after = done[-1][1] if done else 0
        # A bar in a cell is written with a backslash, which the parser has taken away.
        for written in (token.content, token.content.replace("|", "\\|")):
            column = lines[number].find(written, after)
            if column >= 0:
                new = self._inline(token.content, environment)
                changed = written if new == token.content else new.replace("|", "\\|")
                done.append((column, column + len(written), changed))
                return
        raise CourseError(f"cannot find the cell {token.content!r} in the line of its table")

    # Directives -----------------------------------------------------------------------------

    def _nothing(self, found: Directive, contained: bool) -> Lines:
        del found, contained
        return []

    def _admonition(self, found: Directive, contained: bool) -> Lines:
        title, body = found.argument, found.body
        if found.name != "admonition":  # text behind the name belongs to the body
            title, body = ADMONITIONS[found.name], f"{found.argument}\n{found.body}".strip("\n")
        if "dropdown" in found.options.get("class", "").split():
            return self._details(title, body, contained)
        return quotation(f"**{self._inline(title)}**", self._text(body, contained=True))

    def _dropdown(self, found: Directive, contained: bool) -> Lines:
        return self._details(found.argument or "Show", found.body, contained)

    def _margin(self, found: Directive, contained: bool) -> Lines:
        del contained
        title = f"**{self._inline(found.argument)}**" if found.argument else ""
        return quotation(title, self._text(found.body, contained=True))

    def _exercise(self, found: Directive, contained: bool) -> Lines:
        del contained
        title = self.exercise_title(found)
        return quotation(f"**{title}**", self._text(found.body, contained=True))

    def exercise_title(self, found: Directive) -> str:
        """Number and title of an exercise."""
        label = found.options.get("label", "")
        number = "" if "nonumber" in found.options else f" {self.book.labels[label].number}"
        title = f" ({self._inline(found.argument)})" if found.argument else ""
        return f"Exercise{number}{title}"

    def solution_title(self, found: Directive) -> str:
        """Which exercise a solution belongs to."""
        label = self.book.labels.get(found.argument)
        if label is None or label.kind not in ("exercise", "block"):
            raise CourseError(f"expected the label of an exercise, found {found.argument!r}")
        number = f" {label.number}" if label.number else ""
        title = f" ({self._inline(label.title)})" if label.title else ""
        return f"Solution to Exercise{number}{title}"

    def _solution(self, found: Directive, contained: bool) -> Lines:
        return self._details(self.solution_title(found), found.body, contained)

    def _solution_start(self, found: Directive, contained: bool) -> Lines:
        self.in_solution = True
        title = f"**{self.solution_title(found)}**"
        return [title, "", *self._text(found.body, contained)] if found.body else [title]

    def _solution_end(self, found: Directive, contained: bool) -> Lines:
        self.in_solution = False
        return self._nothing(found, contained)

    def _math(self, found: Directive, contained: bool) -> Lines:
        label = found.options.get("label") or found.options.get("name", "")
        number = self.book.labels[label].number if label else ""
        return equation(f"{found.argument}\n{found.body}", number, contained)

    def _figure(self, found: Directive, contained: bool) -> Lines:
        alt = found.options.get("alt", "")
        if not alt:
            raise CourseError(f"the {found.name} {found.argument!r} needs a line :alt: of its own")
        address = self._embedded(found.argument)
        shown = f"!{link(alt, address)}"
        if width := found.options.get("width", "").removesuffix("px"):
            shown = f'<img src="{address}" alt="{html.escape(alt)}" width="{html.escape(width)}">'
        if not found.body:
            return [shown]
        number = self.book.labels[found.options["name"]].number
        caption = self._text(found.body, contained)
        return [shown, "", f"**Fig. {number}.** {caption[0]}", *caption[1:]]

    def _table(self, found: Directive, contained: bool) -> Lines:
        body = self._text(found.body, contained)
        if not found.argument:
            return body
        number = self.book.labels[found.options["name"]].number
        return [f"**Table {number}.** {self._inline(found.argument)}", "", *body]

    def _code(self, found: Directive, contained: bool) -> Lines:
        del contained
        fence = "```"
        while fence in found.body:
            fence += "`"
        return [f"{fence}{found.argument}", *found.body.split("\n"), fence]

    def _details(self, title: str, body: str, contained: bool) -> Lines:
        """A block that a click opens. In its title only HTML is read, no Markdown."""
        summary = f"<summary><b>{markup(self._inline(title))}</b></summary>"
        return ["<details>", summary, "", *self._text(body, contained), "", "</details>"]

    def _embedded(self, address: str) -> str:
        """An image as an address that holds all of it: the notebook has to do without files.

        Raises:
            CourseError: there is no such file, it is no image, or it is too large.
        """
        if address.startswith(("http:", "https:", "data:")):
            raise CourseError(f"expected an image in book/, found {address[:60]!r}")
        path = self.book.root / posixpath.join(posixpath.dirname(self.place.page), address)
        kind = mimetypes.guess_type(path.name)[0] or ""
        if not path.is_file() or not kind.startswith("image/"):
            raise CourseError(f"expected an image, found none under {address!r}")
        content = path.read_bytes()
        if len(content) > MAX_IMAGE_BYTES:
            raise CourseError(
                f"expected an image of at most {MAX_IMAGE_BYTES:,} bytes, because the notebook "
                f"has to contain it, found {len(content):,} in {address!r}"
            )
        return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"

"""MyST roles and links of running text as plain Markdown.

Each role has a function in ``ROLES`` that takes the book, where the text stands, and the text of
the role. What has no function there is an error, so that nothing is left over by accident.
"""

from __future__ import annotations

import html
import posixpath
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from environment import CourseError
from labels import Book, Label

KINDS = {"exercise": "Exercise", "figure": "Fig.", "table": "Table"}


@dataclass(frozen=True)
class Place:
    """Where a text stands.

    Attributes:
        page: name of its page, as in ``book/notation``.
        cell: id of its cell.
        scrolls: whether a link to another cell is the one of Colab, or leads to the site.
    """

    page: str
    cell: str
    scrolls: bool = True


def explicit(content: str) -> tuple[str, str]:
    """Text and target of a role: ``text <target>``, or no text and the target alone."""
    text, opening, target = content.rpartition("<")
    if opening and content.endswith(">"):
        return text.strip(), target[:-1].strip()
    return "", content.strip()


def link(text: str, address: str, title: str = "") -> str:
    """A Markdown link."""
    return f"[{text}]{destination(address, title)}"


def destination(address: str, title: str = "") -> str:
    """What follows the brackets of a Markdown link."""
    words = title.replace('"', '\\"')
    return f"({address}" + (f' "{words}")' if title else ")")


def label(book: Book, name: str) -> Label:
    """What a label stands for.

    Raises:
        CourseError: nothing has this label.
    """
    if name not in book.labels:
        raise CourseError(f"nothing has the label {name!r}")
    return book.labels[name]


def label_address(book: Book, place: Place, name: str) -> str:
    """Address of what a label stands for: a cell of the same notebook, or a place on the site."""
    found = label(book, name)
    if place.scrolls and found.page == place.page and found.cell:
        return f"#scrollTo={found.cell}"
    return book.label_address(name)


def label_text(found: Label, name: str) -> str:
    """How a label is called where the text does not say."""
    if found.kind == "equation":
        return f"({found.number})"
    if found.kind in KINDS:
        return f"{KINDS[found.kind]} {found.number}"
    if not found.title:
        raise CourseError(f"what has the label {name!r} has no title: write {{ref}}`text <{name}>`")
    return found.title


def _eq(book: Book, place: Place, content: str) -> str:
    found = label(book, content)
    if found.kind != "equation":
        raise CourseError(f"{content!r} is the label of no equation")
    text = f"({found.number})"
    return text if found.page == place.page else link(text, book.label_address(content))


def _ref(book: Book, place: Place, content: str) -> str:
    text, name = explicit(content)
    found = label(book, name)
    return link(text or label_text(found, name), label_address(book, place, name))


def _numref(book: Book, place: Place, content: str) -> str:
    text, name = explicit(content)
    found = label(book, name)
    if not found.number:
        raise CourseError(f"what has the label {name!r} has no number")
    text = text.replace("%s", found.number).replace("{number}", found.number)
    return link(text or label_text(found, name), label_address(book, place, name))


def _cite(book: Book, place: Place, content: str) -> str:
    del place
    works = [book.citation(key.strip()) for key in content.split(",")]
    return "(" + "; ".join(link(f"{who}, {year}", where) for who, year, where in works) + ")"


def _cite_in_text(book: Book, place: Place, content: str) -> str:
    del place
    works = [book.citation(key.strip()) for key in content.split(",")]
    return ", ".join(link(f"{who} ({year})", where) for who, year, where in works)


def _doc(book: Book, place: Place, content: str) -> str:
    text, target = explicit(content)
    page = page_of(book, place, target)
    if page is None:
        raise CourseError(f"_toc.yml names no page {target!r}")
    return link(text or book.titles.get(page, target), book.address(page))


def _term(book: Book, place: Place, content: str) -> str:
    del place
    text, target = explicit(content)
    # Sphinx keeps capitals in the addresses of terms.
    anchor = "-".join("".join(c if c.isalnum() else " " for c in target).split())
    return link(text or target, book.address("book/glossary", f"term-{anchor}"))


def _download(book: Book, place: Place, content: str) -> str:
    text, target = explicit(content)
    return link(text or target, file_address(book, place, target))


def _abbr(book: Book, place: Place, content: str) -> str:
    del book, place
    short, _, rest = content.partition("(")
    title = html.escape(rest.removesuffix(")").strip())
    return f'<abbr title="{title}">{short.strip()}</abbr>'


def _math(book: Book, place: Place, content: str) -> str:
    del book, place
    return f"${content}$"


def _python(call: bool) -> Callable[[Book, Place, str], str]:
    def role(book: Book, place: Place, content: str) -> str:
        del place
        text, target = explicit(content)
        short = target.rpartition(".")[2] if target.startswith("~") else target
        target = target.lstrip("~!.")
        shown = text or short + ("()" if call else "")
        return link(f"`{shown}`", book.address("book/api", target))

    return role


def _html(tag: str) -> Callable[[Book, Place, str], str]:
    def role(book: Book, place: Place, content: str) -> str:
        del book, place
        return f"<{tag}>{html.escape(content)}</{tag}>"

    return role


ROLES: dict[str, Callable[[Book, Place, str], str]] = {
    "abbr": _abbr,
    "cite": _cite,
    "cite:p": _cite,
    "cite:t": _cite_in_text,
    "doc": _doc,
    "download": _download,
    "eq": _eq,
    "kbd": _html("kbd"),
    "math": _math,
    "numref": _numref,
    "ref": _ref,
    "sub": _html("sub"),
    "sup": _html("sup"),
    "term": _term,
} | {
    f"{domain}{name}": _python(call=name in ("func", "meth"))
    for domain in ("", "py:")
    for name in ("attr", "class", "data", "func", "meth", "mod")
}


def page_of(book: Book, place: Place, target: str) -> str | None:
    """The page of the book that a path leads to, or ``None``."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(place.page), target))
    if target.startswith("/"):
        path = target.lstrip("/")
    page = path.removesuffix(".md").removesuffix(".ipynb")
    return page if page in book.titles else None


def file_address(book: Book, place: Place, target: str) -> str:
    """Address in the repository, under the tag, of a file that is no page.

    Raises:
        CourseError: there is no such file.
    """
    path = posixpath.normpath(posixpath.join(posixpath.dirname(place.page), target))
    if path.startswith("..") or not (book.root / path).exists():
        raise CourseError(f"the link {target!r} leads to no page of _toc.yml and to no file")
    return f"{book.settings.repository}/blob/{book.settings.tag}/{quote(path)}"


def link_address(book: Book, place: Place, address: str) -> str:
    """Where a link leads that may be read anywhere.

    Raises:
        CourseError: it leads nowhere, or has a scheme of MyST's own.
    """
    parts = urlsplit(address)
    if parts.scheme in ("http", "https", "mailto"):
        return address
    if parts.scheme or parts.netloc:
        raise CourseError(f"expected a link to http, https, mailto or a page, found {address!r}")
    path, anchor = unquote(parts.path), unquote(parts.fragment)
    if not path:
        return label_address(book, place, anchor)
    page = page_of(book, place, path)
    if page is None:
        return file_address(book, place, path)
    if not anchor:
        return book.address(page)
    found = label(book, anchor)
    if found.page != page:
        raise CourseError(f"the label {anchor!r} stands on {found.page}, not on {page}")
    return book.label_address(anchor)


def link_text(book: Book, place: Place, address: str) -> str:
    """What a link without words is called."""
    parts = urlsplit(address)
    if not parts.scheme and parts.fragment:
        return label_text(label(book, unquote(parts.fragment)), parts.fragment)
    page = page_of(book, place, unquote(parts.path))
    return book.titles.get(page, address) if page else address

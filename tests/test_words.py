"""Every symbol and term of a chapter is on the notation page or in the glossary.

A symbol is a letter with its accent, its mark (a word or star as exponent), and ``_`` if it has an
index: ``\\hat A``, ``\\beta^uf``, ``a_``. What counts is the letter; a test cannot see its meaning.
A row of the notation page defines what its cells before the last show: for all chapters, or for
the one whose number it begins with. A letter may drop its index, but not gain one.

A term is what a chapter sets in bold, up to three words and no sentence.
"""

import re
from functools import cache
from pathlib import Path

import pytest
import yaml

import website
from environment import Project
from labels import Parser, markdown_cells

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = {int(path.name[:2]): path for path in website.chapters(Project(ROOT))}
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
PARSER = Parser(CONFIG["parse"]["myst_enable_extensions"])

STRESSED = "attention, averaged or concatenated, bad, frozen uniform, good, length, position, time"

GREEK = r"""alpha|beta|gamma|delta|(?:var)?epsilon|zeta|eta|(?:var)?theta|iota|kappa|lambda|mu|nu|
xi|rho|sigma|tau|upsilon|(?:var)?phi|chi|psi|omega|Gamma|Delta|Theta|Lambda|Xi|Pi|Sigma|Upsilon|Phi|
Psi|Omega|ell""".replace("\n", "")  # pi is a number
ACCENT = r"hat|widehat|bar|overline|tilde|vec|mathcal|mathbf|boldsymbol"
WORDS = r"\\(?:text|mathrm|mathbb|operatorname\*?|begin|end|tag|label)\s*(?:\{[^{}]*\}|\w)"
MARK = r"\^\s*\{?\s*(?:\\(?:text|mathrm)\{(\w+)\}|(\*))\s*\}?"
GROUP = r"(?:\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}|\\[A-Za-z]+|[^\s{}])"
LETTER = rf"(?:\\(?:{GREEK})(?![A-Za-z])|[A-Za-z])"
SYMBOL = rf"(\\(?:{ACCENT})(?![A-Za-z]))?[\s{{]*({LETTER})\}}?((?:\s*[_^]\s*{GROUP}|')*)"


def symbols(latex: str) -> set[str]:
    """Those of a formula; no numbers, words, functions, no ``e`` with exponent, no ``d`` of dx."""
    latex = re.sub(MARK, r"^{!\1\2}", latex)
    latex = re.sub(rf"{WORDS}|\\\\(?:\[[^]]*\])?", " 1 ", latex)
    latex = re.sub(rf"\\(?!(?:{GREEK}|{ACCENT})(?![A-Za-z]))(?:[A-Za-z]+|.)", " 1 ", latex)
    latex = re.sub(rf"(?<![\\A-Za-z])d(?=(?:[A-Za-z]|\\(?:{GREEK}))(?![A-Za-z]))", "", latex)
    found = set()
    for accent, letter, scripts in re.findall(SYMBOL, latex):
        mark = "".join(f"^{word}" for word in re.findall(r"\^\{!([\w*]+)\}", scripts))
        inner = re.sub(r"\^\{![\w*]+\}", "", scripts)
        if not (letter == "e" and "^" in scripts and "_" not in inner):
            found.add(f"{accent} {letter}{mark}{'_' * ('_' in inner)}".strip())
        found |= symbols(inner)
    return found


def sentences(text: str) -> list[str]:
    """Sentences without code; a displayed formula is one of its own, between dollars."""
    found: list[str] = []
    for token, block in PARSER.walk(text):
        if token.type == "inline":
            plain = re.sub(r"(`+).+?\1", "", " ".join(token.content.split()))
            found += re.split(r"(?<=[.?!]) (?=[A-Z*])", plain.replace("$$", "$"))
        elif token.type.startswith(("math_block", "amsmath")) or (block and block.name == "math"):
            found.append(" ".join(f"$ {block.body if block else token.content} $".split()))
        elif block:
            found.append(block.argument)
    return found


def in_math(sentence: str) -> set[str]:
    return set().union(*map(symbols, re.findall(r"\$([^$]+)\$", sentence)))


def rows(page: str) -> list[tuple[set[str], int | None]]:
    """Of the notation page: what each row defines, and for which chapter only."""
    found = []
    for line in page.splitlines():
        *cells, _ = line.strip("| ").split(" | ")
        only = int(cells.pop(0)) if cells and cells[0].isdigit() else None
        if line.startswith("|"):
            found.append((in_math(" ".join(cells)), only))
    return found


def entries() -> list[str]:
    body = page("glossary").split("```{glossary}\n")[1].split("```")[0]
    return [line for line in body.splitlines() if line[:1].strip()]


@cache
def read(chapter: int) -> list[str]:
    return [one for _, text in markdown_cells(CHAPTERS[chapter]) for one in sentences(text)]


def page(name: str) -> str:
    return (ROOT / "book" / f"{name}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_symbols_of_a_chapter_are_on_the_notation_page(chapter: int) -> None:
    known = rows(page("notation"))
    here = set().union(*(symbols for symbols, only in known if only in (None, chapter)))
    for sentence in read(chapter):
        missing = {name for name in in_math(sentence) if not {name, f"{name}_"} & here}
        assert not missing, (
            f"{sentence}: no row of book/notation.md shows {missing}; add one that names chapter "
            f"{chapter}, or one that begins with {chapter}"
        )


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_terms_of_a_chapter_are_in_the_glossary(chapter: int) -> None:
    known = {term.lower().replace("-", " ") for term in [*entries(), *STRESSED.split(", ")]}
    for sentence in read(chapter):
        bold = re.findall(r"\*\*(?:the |an? )?([^*$]+)(?<![.?!:])\*\*", sentence, re.IGNORECASE)
        words = [one for one in bold if len(one.split()) <= 3]
        missing = {one for one in words if one.lower().replace("-", " ") not in known}
        assert not missing, f"{sentence}: book/glossary.md has no entry {missing}; add one"

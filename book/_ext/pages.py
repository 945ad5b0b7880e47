"""A Sphinx extension that finishes the pages of the book.

They say where they lie and what they are about; formulas are MathML; terms and citations have their
meaning beside them. Frames are files, and ``system.css`` has colours for readers without scripts.
"""

from __future__ import annotations

import base64
import html
import itertools
import json
import logging
import re
import subprocess
import sys
import textwrap
import tomllib
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

from docutils import nodes
from fontTools import subset
from math_core import LatexError, LatexToMathML
from sphinx.errors import SphinxError
from sphinx.ext.napoleon.docstring import GoogleDocstring
from sphinx.util.images import get_image_size
from sphinx.util.math import get_node_equation_number, wrap_displaymath

# A full stop, then a new sentence. "e.g. the" goes on: what follows is not a capital.
SENTENCE_END = re.compile(r"[.!?](?=\s+[A-Z$])|[.!?]$")
MARKS = {nodes.emphasis: "em", nodes.strong: "strong", nodes.literal: "code"}
LINK = r'(<a class="reference internal" href="'
TERM = re.compile(LINK + r'[^"#]+#([^"]+)")(><span class="[^"]*\bstd-term\b.*?</a>)')
CITED = re.compile(LINK + r'[^"]*bibliography\.html#[^"]*") title="([^"]*)"(.*?</a>)')
TITLE = re.compile(r"Exercise \((\d+\.\d+) (.*?)\)(?=(?:</a>)?</p>)")
UNTRIED = re.compile(  # the output of a check: on the page nobody can try
    r'<div class="cell_output[^>]*>\s*<div [^>]*><div role="status"[^>]*><strong>○.*?(?:</div>){3}'
)
FORMULA = re.compile(r'([(“‘]*)(<span class="math [^>]*>)(.*?)</span>([,.;:!?)’”]*)', re.S)
CODE = re.compile(r"(<code (?:(?!</code>).)*</code>[,.;:!?)’”]+)")  # kept in one line
FIGURE = re.compile(r'<figure class="lessons-explore".*?</figure>', re.S)
PARTS = re.compile(r"<style>.*?</style>\n|<script.*?</script>\n", re.S)
DATA = re.compile(r'class="lessons-explore-data">(.*?)</script>', re.S)
STILL = re.compile(r'src="data:image/(\w+);base64,([^"]+)"')
SHARED = re.compile(r' id="(?:exercise|solution)-content"')  # of all boxes on a page
TABLE = re.compile(r'<table class="(?:[\w-]+ )*table">.*?</table>', re.DOTALL)
SECTION = re.compile(r'(<section id="([^"]+)"[^>]*>\s*(?:<span[^>]*></span>\s*)*)<h([234])>')
PICTURE = re.compile(r'<img ([^>]*src=")([^">]+)(?=")')
REAL = re.compile(  # a paragraph on what is not on a page that ran on the embedded corpus
    r"(?s)<p>(?!<strong>Embedded )"
    r"(?:(?!</p>).)*\b(?:captions?|reviews?|Multi30k|SST|SMS|ham)\b.*?</p>"
)
ABSENT = r"<details><summary>On the real corpus</summary>\g<0></details>"
ICON = re.compile(r"\bfa-[a-z0-9-]+")
ICON_RULE = re.compile(r'(?:\.fa-[a-z0-9-]+:before,?)+\{content:"\\[0-9a-f]+"\}')
logging.getLogger("fontTools").setLevel(logging.WARNING)  # it tells every table
converter = LatexToMathML(fancy_error=False)

# MathML has no distance for one line. Chromium does not stretch a base of an index.
UNKNOWN = ((r"(\\\\)\s*\[[^]]*\]", r"\1"), (r"(\\[Bb]igg?r?\s*[])|])([_^])", r"\1{}\2"))


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
    wide = " wide" * (len(re.sub("<[^>]*>", "", text)) > 24)  # signs: perhaps more than a phone has
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


def configure(app: Any, config: Any) -> None:
    """Hand addresses and days to the templates: where they change, all pages are written anew."""
    top = Path(app.srcdir)
    found = tomllib.loads((top / "pyproject.toml").read_text(encoding="utf-8"))
    course = found["tool"]["course"] | {"version": found["project"]["version"]}
    config.html_context |= {"course": course, "days": json.loads((top / "dates.json").read_text())}
    config.html_baseurl = f"{course['site']}/"


def description(doctree: nodes.document) -> str:
    """The first paragraph that says something, in one line: in no box, and without formulas."""
    for paragraph in doctree.findall(nodes.paragraph):
        text = paragraph.astext()
        plain = not any(isinstance(n, nodes.math | nodes.image) for n in paragraph.findall())
        if plain and isinstance(paragraph.parent, nodes.section) and len(text) >= 40:
            return re.sub("[,;:.]…$", "…", textwrap.shorten(text, 200, placeholder="…"))
    return ""


def first_sentence(paragraph: nodes.Element) -> str:
    """The first sentence of a paragraph as HTML."""
    done = ""
    for child in paragraph.children:
        text = child.astext().replace("\n", " ")
        end = SENTENCE_END.search(text) if isinstance(child, nodes.Text) else None
        said, mark = text[: end.end()] if end else text, MARKS.get(type(child))
        piece = mathml(child) if isinstance(child, nodes.math) else html.escape(said)
        done += f"<{mark}>{piece}</{mark}>" if mark else piece
        if end:
            break
    return done.strip()


@cache
def meanings(env: Any) -> dict[str, str]:
    """What the glossary says of each term: its anchor -> HTML."""
    found: dict[str, str] = {}
    for page in {each[3] for each in env.get_domain("std").get_objects() if each[2] == "term"}:
        for term in env.get_doctree(page).findall(nodes.term):
            entry = next(iter(term.parent.findall(nodes.paragraph)), nodes.paragraph())
            found |= dict.fromkeys(term["ids"], first_sentence(entry))
    return found


def outside(figure: str, folder: Path, up: str) -> str:
    """A figure without its frames and what moves it: these go to ``up``, which is ``folder``."""
    data = DATA.findall(figure)[0]
    name = f"frames/{sha256(data.encode()).hexdigest()[:16]}"
    text = f"lessonsFrames({json.dumps(name)}, {json.dumps(data)});\n"
    text += files("lessons_lib.figures").joinpath("explore.js").read_text("utf-8")
    (folder / "frames").mkdir(exist_ok=True)
    (folder / f"{name}.js").write_text(text, encoding="utf-8")
    if still := STILL.search(figure):
        (folder / f"{name}.{still[1]}").write_bytes(base64.b64decode(still[2]))
        figure = figure.replace(still[0], f'loading="lazy" src="{up}{name}.{still[1]}"')
    return PARTS.sub("", figure).replace("<figure", f'<figure data-frames="{name}"', 1)


def cards(table: str) -> str:
    """A table of four or more columns whose cells know their heads: on a phone rows are cards."""
    heads = re.findall(r"<th class=\"head[^>]*><p>(.*?)</p></th>", table, re.DOTALL)
    if len(heads) < 4:
        return table
    names = itertools.cycle(html.escape(html.unescape(re.sub("<[^>]*>", "", h))) for h in heads)
    named = re.sub("<td", lambda _: f'<td data-head="{next(names)}"', table)
    return named.replace('class="', 'class="cards ', 1)


def finish_page(app: Any, page: str, _: str, context: dict[str, Any], tree: Any) -> None:
    """What is said about a page, and what is done to its text."""
    if tree is None:  # the root, and the page for a wrong address, show the first page
        tree = app.env.get_doctree(page := app.config.root_doc)
    else:
        path = context["source_path"] = app.env.doc2path(page, base=False)
        context["last_updated"] = context["days"].get(path, context["last_updated"])
    words = description(tree) or app.config.html_title
    context["shared"] = {"page": page, "title": app.env.titles[page].astext(), "words": words}
    body, static = str(context.get("body", "")), Path(app.outdir) / "_static"
    numbers, up = itertools.count(1), context["pathto"]

    def card(link: re.Match[str], said: str, kind: str) -> str:  # the search looks at the doctree
        tip = f"{kind}-tip-{next(numbers)}"
        beside = f'<span class="term-tip" role="tooltip" id="{tip}">{said}</span>'
        return f'<span class="term">{link[1]} aria-describedby="{tip}"{link[3]}{beside}</span>'

    def explained(link: re.Match[str]) -> str:
        said = meanings(app.env).get(link[2])
        return card(link, said, "term") if said else link[0]

    def waiting(tag: re.Match[str]) -> str:
        path = Path(app.srcdir) / sources.get(Path(tag[2]).name, "")
        if path.suffix != ".png" or "width" in tag[0]:
            return tag[0]
        width, height = get_image_size(str(path)) or (0, 0)
        return f'<img loading="lazy" width="{width}" height="{height}" {tag[1]}{tag[2]}'

    sources = {name: path for path, name in app.builder.images.items()}
    body = UNTRIED.sub("", TITLE.sub(r"Exercise \1: \2", body))
    body = CITED.sub(lambda link: card(link, link[2], "cite"), body)
    if FIGURE.search(body):
        style = files("lessons_lib.figures").joinpath("explore.css")
        (static / "explore.css").write_bytes(style.read_bytes())
        app.add_css_file("explore.css")
        app.add_js_file("frames.js", loading_method="defer")
        body = FIGURE.sub(lambda found: outside(found[0], static, up("_static/", 1)), body)
    body = SHARED.sub(lambda found: found[0] if body.find(found[0]) == found.start() else "", body)
    body = TABLE.sub(lambda found: cards(found[0]), body)
    body = REAL.sub(ABSENT, body) if "<strong>Embedded " in body else body
    body = CODE.sub(r'<span class="whole">\1</span>', FORMULA.sub(r"\2\1\3\4</span>", body))
    body = SECTION.sub(r'\1<h\3 id="h-\2">', body)  # by which Pagefind finds sections
    context["body"] = PICTURE.sub(waiting, TERM.sub(explained, body))


def system_colours(styles: str) -> str:
    """The rules of both themes, each for those whose system is so; paper is always light."""
    done = ""
    for theme, where in (("light", "print, "), ("dark", "screen and ")):
        inner = ""
        for names, what in re.findall(r"([^{}]+)\{([^{}]*)\}", styles):
            system, count = re.subn(rf'\[data-theme="?{theme}"?\]', "[data-theme=auto]", names)
            # A logo for the dark comes by a script: without one the other stays.
            inner += f"{system}{{{what}}}" if count and ".only-light" not in names else ""
        done += f"@media {where}(prefers-color-scheme:{theme}){{{inner}}}\n"
    return done


def subset_icons(static: Path) -> None:
    """Leave of the icons those that pages show, in the style sheet and its fonts."""
    pages = static.parent.rglob("*.html")
    used = {name for page in pages for name in ICON.findall(page.read_text("utf-8"))}
    sheet = static / "styles/pydata-sphinx-theme.css"
    css = sheet.read_text("utf-8")
    css = ICON_RULE.sub(lambda rule: rule[0] if used & {*ICON.findall(rule[0])} else "", css)
    sheet.write_text(css, encoding="utf-8")
    shown = "".join(path.read_text("utf-8") for path in static.rglob("*.css"))
    wanted = ",".join(set(re.findall(r'"\\([0-9a-f]{2,5})"', shown)))
    for path in map(str, (static / "vendor/fontawesome/webfonts").glob("*.woff2")):
        subset.main([path, f"--unicodes={wanted}", "--flavor=woff2", f"--output-file={path}"])


def finish_site(app: Any, error: Exception | None) -> None:
    """What needs all pages, once they are written."""
    if error is not None or app.builder.format != "html":
        return
    top, static = Path(app.outdir), Path(app.outdir) / "_static"
    subset_icons(static)
    (static / "system.css").unlink(missing_ok=True)
    styles = [*sorted(static.glob("styles/*.css")), *sorted(static.glob("*.css"))]
    text = system_colours("".join(path.read_text("utf-8") for path in styles))
    (static / "system.css").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pagefind", "--site", str(top)]
    subprocess.run(command, cwd=Path(__file__).parent, check=True, capture_output=True)


def setup(app: Any) -> dict[str, bool]:  # the last extension to be set up
    # Jupyter Book 1 always loads thebe, which asks another host and erases interactive figures.
    for listeners in app.events.listeners.values():
        listeners[:] = [one for one in listeners if one.handler.__module__ != "sphinx_thebe"]
    app.registry.css_files[:] = [one for one in app.registry.css_files if "thebe" not in one[0]]
    whole: Any = GoogleDocstring  # of which a colon ends no type
    whole._parse_attribute_docstring = GoogleDocstring._consume_to_end
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    app.add_css_file("tooltips.css")
    app.add_js_file("tooltips.js", loading_method="defer")
    app.connect("config-inited", configure)
    app.connect("html-page-context", finish_page, priority=900)
    app.connect("build-finished", finish_site, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

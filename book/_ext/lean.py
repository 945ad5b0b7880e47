"""A Sphinx extension for what a reader has to fetch: frames of figures, icons, colours.

Figures keep their frames in a file that ``frames.js`` loads when a reader comes near.
The font of icons keeps those that a page shows. ``system.css`` has the colours of both
themes for readers without scripts, whose system chooses.
"""

from __future__ import annotations

import base64
import html
import json
import logging
import re
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

from fontTools import subset
from PIL import Image

FIGURE = re.compile(r'<figure class="lessons-explore".*?</figure>', re.DOTALL)
PARTS = re.compile(r"<style>.*?</style>\n|<script.*?</script>\n", re.DOTALL)
DATA = re.compile(r'class="lessons-explore-data">(.*?)</script>', re.DOTALL)
SHARED = re.compile(r' id="(?:exercise|solution)-content"')  # of all boxes on a page
TABLE = re.compile(r'<table class="(?:[\w-]+ )*table">.*?</table>', re.DOTALL)
STILL = re.compile(r'src="data:image/(\w+);base64,([^"]+)"')
RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
ICON = re.compile(r"\bfa-[a-z0-9-]+")
ICON_RULE = re.compile(r'(?:\.fa-[a-z0-9-]+:before,?)+\{content:"\\[0-9a-f]+"\}')
GLYPH = re.compile(r'"\\([0-9a-f]{2,5})"')
logging.getLogger("fontTools").setLevel(logging.WARNING)  # it tells every table
FONTS = "vendor/fontawesome/webfonts"


def outside(figure: str, folder: Path, up: str) -> str:
    """A figure without its frames, which go into ``folder`` with all that moves it.

    Args:
        figure: as ``lessons_lib.figures`` writes it.
        folder: of the site's own files.
        up: from the page to that folder.
    """
    data = DATA.findall(figure)[0]
    script = files("lessons_lib.figures").joinpath("explore.js").read_text("utf-8")
    name = f"frames/{sha256(data.encode()).hexdigest()[:16]}"
    text = f"lessonsFrames({json.dumps(name)}, {json.dumps(data)});\n"
    (folder / "frames").mkdir(exist_ok=True)
    (folder / f"{name}.js").write_text(text + script, encoding="utf-8")
    if still := STILL.search(figure):
        (folder / f"{name}.{still[1]}").write_bytes(base64.b64decode(still[2]))
        source = f'loading="lazy" src="{up}{name}.{still[1]}"'
        figure = figure.replace(still[0], source)
    bare = PARTS.sub("", figure)
    return bare.replace("<figure", f'<figure data-frames="{html.escape(name)}"', 1)


def cards(table: str) -> str:
    """A table of four or more columns whose cells know their heads: on a phone rows are cards."""
    heads = re.findall(r"<th class=\"head[^>]*><p>(.*?)</p></th>", table, re.DOTALL)
    if len(heads) < 4:
        return table
    names = [html.escape(html.unescape(re.sub("<[^>]*>", "", head))) for head in heads]
    rows = re.split(r"(?=<tr)", table.replace('class="', 'class="cards ', 1))
    for number, row in enumerate(rows):
        cells = iter(names)
        rows[number] = re.sub("<td", lambda _, c=cells: f'<td data-head="{next(c, "")}"', row)
    return "".join(rows)


def lighten(
    app: Any, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Take the frames out of a page; pictures wait until they are near."""
    del pagename, templatename, doctree
    static, body = Path(app.outdir) / "_static", str(context.get("body", ""))
    up = context["pathto"]("_static/", 1)
    if FIGURE.search(body):
        style = files("lessons_lib.figures").joinpath("explore.css").read_bytes()
        (static / "explore.css").write_bytes(style)
        app.add_css_file("explore.css")
        app.add_js_file("frames.js", loading_method="defer")
        body = FIGURE.sub(lambda found: outside(found[0], static, up), body)
    sources = {name: path for path, name in app.builder.images.items()}

    def waiting(tag: re.Match[str]) -> str:
        path = Path(app.srcdir) / sources.get(Path(tag[2]).name, "")
        if path.suffix != ".png" or "width" in tag[0]:
            return tag[0]
        with Image.open(path) as image:
            size = f'width="{image.width}" height="{image.height}"'
        return f'<img loading="lazy" {size} {tag[1]}{tag[2]}'

    body = SHARED.sub(lambda found: found[0] if body.find(found[0]) == found.start() else "", body)
    body = TABLE.sub(lambda found: cards(found[0]), body)
    context["body"] = re.sub(r'<img ([^>]*src=")([^">]+)(?=")', waiting, body)


def system_colours(styles: list[str]) -> str:
    """The rules of both themes, each for those whose system is so."""
    done = []
    for theme in ("light", "dark"):
        mark = re.compile(rf'\[data-theme="?{theme}"?\]')
        found = [rule for text in styles for rule in RULE.findall(text)]
        # A logo for the dark comes by a script: without one the other stays.
        rules = [r for r in found if mark.search(r[0]) and ".only-light" not in r[0]]
        inner = "".join(f"{mark.sub('[data-theme=auto]', a)}{{{b}}}" for a, b in rules)
        where = "screen and " if theme == "dark" else "print, "  # paper is always light
        done.append(f"@media {where}(prefers-color-scheme:{theme}){{{inner}}}\n")
    return "".join(done)


def subset_icons(static: Path, pages: list[str]) -> None:
    """Leave of the icons those that are shown, in the style sheet and its fonts."""
    used = {name for text in pages for name in ICON.findall(text)}
    sheet = static / "styles/pydata-sphinx-theme.css"
    css = ICON_RULE.sub(
        lambda rule: rule[0] if used & set(ICON.findall(rule[0])) else "",
        sheet.read_text("utf-8"),
    )
    sheet.write_text(css, encoding="utf-8")
    shown = [css, *(path.read_text("utf-8") for path in static.rglob("*.css"))]
    wanted = {int(code, 16) for text in shown for code in GLYPH.findall(text)}
    for path in (static / FONTS).glob("*.woff2"):
        options = subset.Options(flavor="woff2")
        font = subset.load_font(str(path), options)
        maker = subset.Subsetter(options)
        maker.populate(unicodes=wanted)
        maker.subset(font)
        subset.save_font(font, str(path), options)


def finish(app: Any, error: Exception | None) -> None:
    """What needs all pages, once they are written."""
    if error is not None or app.builder.format != "html":
        return
    top = Path(app.outdir)
    static = top / "_static"
    subset_icons(static, [path.read_text("utf-8") for path in top.rglob("*.html")])
    styles = [*sorted(static.glob("styles/*.css")), *sorted(static.glob("*.css"))]
    text = system_colours([path.read_text("utf-8") for path in styles])
    (static / "system.css").write_text(text, encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Register the handlers."""
    app.connect("html-page-context", lighten, priority=900)
    app.connect("build-finished", finish, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

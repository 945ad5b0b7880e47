"""The book's own Sphinx extensions: on a tiny site, and function by function."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from docutils import nodes
from pybtex.database import parse_string

ROOT = Path(__file__).resolve().parent.parent
EXTENSIONS = ROOT / "book" / "_ext"
sys.path.append(str(EXTENSIONS))

import citation  # noqa: E402
import course_settings  # noqa: E402
import formulas  # noqa: E402
import lean  # noqa: E402
import page_links  # noqa: E402
import running_times  # noqa: E402
import social_preview  # noqa: E402
import tooltips  # noqa: E402

import website  # noqa: E402
from lessons_lib.plots import MEANINGS, ROLES  # noqa: E402

SETTINGS = course_settings.Settings("0.3.0", "https://github.com/o/c", "https://o.example/c")
CFF = """\
title: "A course: with a colon"
version: 0.3.0
date-released: 2021-02-03
authors:
  - name: The course authors
  - {family-names: Lovelace, given-names: Ada}
"""
PYPROJECT = f"""\
[project]
version = "{SETTINGS.version}"
[tool.course]
repository = "{SETTINGS.repository}"
site = "{SETTINGS.site}"
"""
RUN = {
    "date": "2021-02-03", "seconds": 41.26, "cpu_seconds": 60.1, "peak_mb": 1240,
    "cores": 2, "python": "3.11.7",
    "torch": "2.9.1+cpu", "system": "Linux x86_64",
    "slowest": [{"cell": "train", "seconds": 14.04}],
}  # fmt: skip


def text(source: str, cell_id: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": cell_id, "metadata": {}, "source": [source]}


CELLS = [
    text("# Looking\n\n## Data", "head"),
    {"cell_type": "code", "id": "load", "metadata": {}, "source": "1"},
    text("### Training\n\nSome words.", "middle"),
    {"cell_type": "code", "id": "train", "metadata": {}, "source": "2"},
    text("## Later", "end"),
]
PAGES = {
    "conf.py": """\
extensions = ["myst_parser", "citation", "formulas", "palette", "running_times"]
extensions += ["social_preview", "tooltips"]
myst_enable_extensions = ["dollarmath", "colon_fence"]
html_math_renderer = "mathml"
myst_update_mathjax = False
mathjax3_config = {"tex": {"macros": {"R": r"\\mathbb{R}", "half": [r"\\frac{#1}{2}", 1]}}}
math_number_all = True
html_title = "The book"
bibtex_bibfiles = ["refs.bib"]
def setup(app):
    app.add_config_value("bibtex_bibfiles", [], "env")
""",
    "index.md": """\
# First & foremost

![](https://example.org/badge.svg)

Short.

A **longer** paragraph that says what this "page" is about, and {term}`why <agreement>`.

```{toctree}
glossary
02_words
appendix/costs
```

The {term}`twin`, and {term}`nothing`. A {term}`twin` again.

```{citation} snell2021
```

```{palette}
```
""",
    "glossary.md": """\
# Words

```{glossary}
agreement
    How often *two* measures, $a < b$, e.g. the probe, agree. The second sentence is not shown.

twin
    One of "two" <runs>
    of one lottery.

nothing
    ```
    code and no sentence
    ```
```

Here {term}`twin` has no tooltip.
""",
    "02_words.md": "# No terms\n\n$x$ is an equation, and such a paragraph is passed over.\n",
    "formulas.md": """\
---
orphan: true
---
# Formulas

Take $x \\in \\R$, and ($\\half{y}$). See {eq}`two`.

$$
\\begin{aligned}
a &= b \\\\[1ex]
c &= d
\\end{aligned}
$$ (two)
""",
    "appendix/costs.md": "# Costs\n\n```{running-times}\n```\n",
    "appendix/01_look.ipynb": json.dumps({"metadata": {"course_run": RUN}, "cells": CELLS}),
    "appendix/02_words.ipynb": json.dumps({"metadata": {}, "cells": CELLS}),
    "pyproject.toml": PYPROJECT,
    "CITATION.cff": CFF,
    "refs.bib": "@misc{snell2021, author = {Snell, Charlie}, title = {How}, year = {2021}}\n",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with all extensions."""
    top = tmp_path_factory.mktemp("site")
    for name, content in PAGES.items():
        (top / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        (top / "source" / name).write_text(content, encoding="utf-8")
    options = ["-W", "--keep-going", "-q", "-b", "html", "-D", "exclude_patterns=**.ipynb"]
    command = [sys.executable, "-m", "sphinx", *options, str(top / "source"), str(top / "html")]
    paths = os.pathsep.join([str(EXTENSIONS), *filter(None, sys.path)])
    variables = os.environ | {"PYTHONPATH": paths}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return top / "html"


def page(site: Path, name: str) -> str:
    return (site / f"{name}.html").read_text(encoding="utf-8")


# Tooltips ---------------------------------------------------------------------------------------


def test_a_term_shows_the_first_sentence_of_its_entry(site: Path) -> None:
    shown = page(site, "index")
    tips = re.findall(r'role="tooltip" id="([^"]+)">(.*?)</span></span>', shown)
    assert [words for _, words in tips] == [
        "How often <em>two</em> measures, "
        "<math><mi>a</mi><mo>&lt;</mo><mi>b</mi></math>, e.g. the probe, agree.",
        "One of “two” &lt;runs&gt; of one lottery.",
        "One of “two” &lt;runs&gt; of one lottery.",
    ]
    links = re.findall(
        r'<span class="term"><a class="reference internal" href="([^"]+)" '
        r'aria-describedby="([^"]+)">(?:<[^>]+>)*([^<]+)',
        shown,
    )
    assert [target for target, _, _ in links] == [
        "glossary.html#term-agreement", "glossary.html#term-twin", "glossary.html#term-twin",
    ]  # fmt: skip
    assert [words for _, _, words in links] == ["why", "twin", "twin"]
    described = [tip for _, tip, _ in links]
    assert described == [tip for tip, _ in tips]
    assert len(set(described)) == 3, "each link has a description of its own"


def test_formulas_are_set_with_macros_numbers_and_the_marks_beside_them(site: Path) -> None:
    shown = page(site, "formulas")
    start, end = '<span class="math notranslate nohighlight">', "</span>"
    x, half = "<mi>x</mi><mo>∈</mo><mi>ℝ</mi>", "<mfrac><mi>y</mi><mn>2</mn></mfrac>"
    assert f"Take {start}<math>{x}</math>,{end} and {start}(<math>{half}</math>).{end} See" in shown
    assert re.search(r'id="equation-two">\s*<span class="eqno">\(1\)?.*href="#equation-two"', shown)
    assert re.search(r'href="#equation-two">\(1\)</a>', shown)
    rows = re.findall(r"<mtr>(.*?)</mtr>", shown)
    assert [re.sub("<[^>]*>", "", row) for row in rows] == ["a=b", "c=d"]


def test_a_formula_that_cannot_be_read_is_named() -> None:
    with pytest.raises(ValueError, match=r"expected a formula, found '\\\\nosuch x'"):
        formulas.mathml(SimpleNamespace(mathjax3_config=None), r"\nosuch x")


FIGURE = """<figure class="lessons-explore" style="width:9px">
<style>a{}</style>
<img class="dark-light" src="data:image/webp;base64,AAEC" alt="x">
<noscript><p>still</p></noscript>
<script type="application/json" class="lessons-explore-data">{"frames":["`${\\u003c"]}</script>
<script>run();</script>
</figure>"""


def test_frames_leave_the_page_and_the_still_stays(tmp_path: Path) -> None:
    shown = lean.outside(FIGURE, tmp_path, "../_static/")
    (name,) = re.findall(r'data-frames="([^"]+)"', shown)
    assert f'src="../_static/{name}.webp"' in shown
    assert "script>" not in shown.replace("noscript>", "")
    assert "<noscript><p>still</p></noscript>" in shown
    assert (tmp_path / f"{name}.webp").read_bytes() == b"\x00\x01\x02"
    call = (tmp_path / f"{name}.js").read_text("utf-8").splitlines()[0]
    given = json.loads(call.removeprefix("lessonsFrames(").removesuffix(");").join("[]"))
    assert given == [name, '{"frames":["`${\\u003c"]}']


def test_a_wide_table_names_the_head_of_each_cell() -> None:
    def table(*heads: str) -> str:
        top = "".join(f'<th class="head"><p>{head}</p></th>' for head in heads)
        cells = "".join(f"<td><p>{n}</p></td>" for n in range(len(heads)))
        return f'<table class="table"><tr>{top}</tr><tr>{cells}</tr></table>'

    assert lean.cards(table("A", "B", "C")) == table("A", "B", "C")
    shown = lean.cards(table("A", "B &lt; <em>C</em>", "D", "E"))
    assert shown.startswith('<table class="cards table">')
    cells = re.findall(r'<td data-head="([^"]*)"><p>(\d)', shown)
    assert cells == [("A", "0"), ("B &lt; C", "1"), ("D", "2"), ("E", "3")]


def test_the_system_chooses_colours_where_no_script_does() -> None:
    sheet = 'html[data-theme="dark"] a, p{x:1}b{y:2}html[data-theme=light]{z:3}'
    assert lean.system_colours([sheet]) == (
        "@media print, (prefers-color-scheme:light){html[data-theme=auto]{z:3}}\n"
        "@media screen and (prefers-color-scheme:dark){html[data-theme=auto] a, p{x:1}}\n"
    )


def test_a_term_without_a_sentence_and_the_glossary_itself_stay_plain_links(site: Path) -> None:
    assert 'href="glossary.html#term-nothing"><span' in page(site, "index")
    assert 'role="tooltip"' not in page(site, "glossary")


def test_the_search_finds_a_meaning_in_the_glossary_only(site: Path) -> None:
    index = (site / "searchindex.js").read_text(encoding="utf-8")
    found = json.loads(index.removeprefix("Search.setIndex(").removesuffix(")"))
    assert found["terms"]["lotteri"] == found["docnames"].index("glossary")


@pytest.mark.parametrize(
    ("said", "first"),
    [
        ("One. Two.", "One."),
        ("With e.g. this, i.e. that. Then", "With e.g. this, i.e. that."),
        ("A version 2.0 of it. $V$ words", "A version 2.0 of it."),
        ("No end", "No end"),
        ("Is it? Yes.", "Is it?"),
    ],
)
def test_where_a_sentence_ends(said: str, first: str) -> None:
    assert tooltips.first_sentence(nodes.paragraph("", said), None) == first


def glossary_change(changed: set[str]) -> list[str]:
    rows = [("twin", "twin", "term", "glossary", "term-twin", -1), ("x", "x", "label", "x", "x", 0)]
    domain = SimpleNamespace(get_objects=lambda: rows)
    env = SimpleNamespace(found_docs={"b", "glossary", "x"}, get_domain=lambda _: domain)
    return tooltips.outdated(None, env, set(), changed, set())


def test_a_changed_glossary_renews_all_pages() -> None:
    assert glossary_change({"glossary"}) == ["b", "glossary", "x"]
    assert glossary_change({"x"}) == []


# The foot of a page -----------------------------------------------------------------------------


def test_a_page_can_be_edited_and_talked_about() -> None:
    shown = page_links.links(SETTINGS, "book/a", 'Heads & "tails"', "book/a b.ipynb")
    edit, feedback = (
        found.replace("&amp;", "&").replace("&quot;", '"')
        for found in re.findall(r'href="([^"]+)"', shown)
    )
    assert edit == "https://github.com/o/c/edit/main/book/a%20b.ipynb"
    parts = urlsplit(feedback)
    assert (parts.netloc, parts.path) == ("github.com", "/o/c/issues/new")
    asked = parse_qs(parts.query)
    assert asked["title"] == ['Heads & "tails": ']
    assert "https://o.example/c/book/a.html" in asked["body"][0]
    assert "0.3.0" in asked["body"][0]


def test_a_page_without_source_can_be_talked_about_only() -> None:
    shown = page_links.links(SETTINGS, "search", "Search", "")
    assert "/edit/" not in shown
    assert "/issues/new?" in shown


@pytest.fixture
def app(tmp_path: Path) -> Any:
    """What the handlers of pages see of Sphinx."""
    (tmp_path / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    (tmp_path / website.DATES).write_text('{"book/a.md": "2020-02-29"}', encoding="utf-8")
    env = SimpleNamespace(
        doc2path=lambda name, base: f"{name}.md",
        titles={name: nodes.title("", f"On {name}") for name in ("book/a", "book/b")},
        found_docs={"book/a", "book/b"},
    )
    return SimpleNamespace(srcdir=tmp_path, env=env, config=SimpleNamespace(html_title="Book"))


def test_the_day_is_that_of_the_page_and_else_that_of_the_build(app: Any) -> None:
    days = []
    for name in ("book/a", "book/b"):
        context: dict[str, Any] = {"last_updated": "2021-01-01"}
        page_links.add_to_page(app, name, "page.html", context, object())
        days.append(context["last_updated"])
        assert f"title=On%20book%2F{name[-1]}" in context["theme_extra_footer"]
    assert days == ["2020-02-29", "2021-01-01"]
    (app.srcdir / website.DATES).unlink()
    assert page_links.read_dates(app.srcdir) == {}


def test_a_page_is_made_again_when_its_day_changes(app: Any) -> None:
    def outdated() -> list[str]:
        return page_links.outdated(app, app.env, set(), set(), set())

    assert outdated() == ["book/a"]
    assert outdated() == []
    (app.srcdir / website.DATES).write_text('{"book/b": "", "book/b.md": "2020-03-01"}', "utf-8")
    assert outdated() == ["book/a", "book/b"]


# Preview ----------------------------------------------------------------------------------------


class Tags(HTMLParser):
    """Content of the ``meta`` tags of a page, by name or property."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        name = values.get("name") or values.get("property")
        if tag == "meta" and name and name != "viewport":  # the theme of the tiny site has two
            assert name not in self.found, f"{name} is given twice"
            self.found[name] = values.get("content") or ""


def test_a_shared_page_has_title_description_and_picture(site: Path) -> None:
    found = Tags(page(site, "index")).found
    words = "A longer paragraph that says what this “page” is about, and why."
    assert found["description"] == found["og:description"] == words
    assert found["og:title"] == "First & foremost"
    assert found["og:url"] == "https://o.example/c/index.html"
    assert found["og:image"] == "https://o.example/c/_static/preview.png"
    assert found["og:image:alt"]
    assert found["og:site_name"] == "The book"


def test_a_page_without_such_a_paragraph_is_described_by_the_book(site: Path) -> None:
    assert Tags(page(site, "02_words")).found["description"] == "The book"


def test_a_long_description_is_cut_at_a_word() -> None:
    long = "word, " * 60
    cut = social_preview.shortened(long)
    assert len(cut) <= social_preview.LONGEST
    assert re.fullmatch(r"(word, )+word…", cut)
    assert social_preview.shortened(" a\nb ") == "a b"


def test_the_picture_has_the_size_that_is_announced() -> None:
    content = (ROOT / "book" / social_preview.IMAGE).read_bytes()
    size = [int.from_bytes(content[k : k + 4], "big") for k in (16, 20)]
    assert size == [social_preview.WIDTH, social_preview.HEIGHT] == [1200, 630]
    assert len(content) < 300_000, "messengers leave out large pictures"


# Citing -----------------------------------------------------------------------------------------


def test_paper_and_course_are_cited_from_their_files(site: Path) -> None:
    blocks = re.findall(r'<div class="highlight"><pre>(.*?)</pre>', page(site, "index"), re.DOTALL)
    shown = [re.sub(r"<[^>]+>", "", block) for block in blocks]
    paper, course = (next(iter(parse_string(b, "bibtex").entries.values())) for b in shown[:2])
    assert paper.fields["year"] == "2021"
    assert str(paper.persons["author"][0]) == "Snell, Charlie"
    assert course.fields["url"] == SETTINGS.site
    assert course.fields["version"] == "0.3.0"
    assert course.fields["title"] == "{A course: with a colon}"
    authors = [str(who) for who in course.persons["author"]]
    assert authors == ["{The course authors}", "Lovelace, Ada"]
    assert "{https://x.example}" in citation.course_entry(CFF + "url: https://x.example", SETTINGS)
    cff = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    ours = parse_string(citation.course_entry(cff, course_settings.read(ROOT)), "bibtex").entries
    assert ours[citation.KEY].fields["version"] == course_settings.read(ROOT).version
    paper = parse_string(citation.entry_of(ROOT / "book/references.bib", "snell2021"), "bibtex")
    assert paper.entries["snell2021"].fields["eprint"] == "2103.07601"


def test_a_paper_that_is_not_in_the_bibliography_is_named(tmp_path: Path) -> None:
    path = tmp_path / "refs.bib"
    path.write_text(PAGES["refs.bib"], encoding="utf-8")
    with pytest.raises(ValueError, match=r"refs\.bib has no entry 'nobody'"):
        citation.entry_of(path, "nobody")


# Tables -----------------------------------------------------------------------------------------


def test_running_times_come_from_the_notebooks(site: Path) -> None:
    shown = page(site, "appendix/costs")
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", shown, re.DOTALL)
    cells = [[re.sub(r"<[^>]+>", "", c) for c in re.findall(r"<t[hd].*?</t[hd]>", r, re.DOTALL)]
             for r in rows]  # fmt: skip
    words = [[" ".join(cell.split()) for cell in row] for row in cells]
    assert words == [
        running_times.HEAD,
        ["Looking", "41 s", "1.2 GB", "14 s: Training"],
        ["Looking", "not measured", "–", "–"],
    ]
    assert "Measured on 2021-02-03, 2 cores, Linux x86_64, Python 3.11.7, PyTorch 2.9.1." in shown
    assert 'href="01_look.html"' in shown


def test_a_busy_machine_is_named() -> None:
    assert running_times.RUN == website.RUN, "read where it is written"
    notebook = {"metadata": {"course_run": RUN | {"cpu_seconds": 20.0}}, "cells": CELLS}
    assert running_times.row(notebook)[0] == "41\N{NO-BREAK SPACE}s (on a busy machine)"


def test_the_palette_shows_each_role_in_its_colour(site: Path) -> None:
    shown = page(site, "index")
    swatches = re.findall(r'class="swatch" style="background:(#\w{6})"', shown)
    assert swatches == list(ROLES.values())
    for role, meaning in MEANINGS.items():
        assert f">{role}</span>" in shown
        assert meaning in shown


# The book ---------------------------------------------------------------------------------------


def test_terms_are_written_as_in_the_glossary() -> None:
    """Sphinx would forgive a capital; the address in the Colab edition would lead nowhere."""
    glossary = (ROOT / "book" / "glossary.md").read_text(encoding="utf-8")
    entries = set(re.findall(r"^(\S.*)\n    \S", glossary, flags=re.MULTILINE))
    assert len(entries) > 50
    for path in sorted((ROOT / "book").glob("*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            for role in re.findall(r"\{term\}`([^`]+)`", "".join(cell["source"])):
                wanted = " ".join(re.sub(r"^.*<(.+)>$", r"\1", role, flags=re.DOTALL).split())
                assert wanted in entries, f"{path.name}, cell {cell['id']}: {role!r}"

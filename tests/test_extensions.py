"""The book's own Sphinx extensions: on a tiny site, and function by function."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from bs4 import BeautifulSoup
from docutils import nodes
from nbformat import v4
from pybtex.database import parse_file, parse_string
from sphinx.errors import SphinxError

ROOT = Path(__file__).resolve().parent.parent
EXTENSIONS = ROOT / "book" / "_ext"
sys.path.append(str(EXTENSIONS))

import pages  # noqa: E402
import times  # noqa: E402

import website  # noqa: E402
from labels import read_settings  # noqa: E402
from lessons_lib.plots import ROLES  # noqa: E402

PYPROJECT = """\
[project]
version = "0.3.0"
[tool.course]
repository = "https://github.com/o/c"
site = "https://o.example/c"
"""
RUN = {
    "date": "2021-02-03", "seconds": 41.26, "cpu_seconds": 60.1, "peak_mb": 1240,
    "cores": 2, "python": "3.11.7",
    "torch": "2.9.1+cpu", "system": "Linux x86_64",
    "slowest": [{"cell": "train", "seconds": 14.04}],
}  # fmt: skip


CELLS = [
    v4.new_markdown_cell("# Looking\n\n**Running time.** Long.\n\n## Data", id="head"),
    v4.new_code_cell("1\n2", id="load"),
    v4.new_markdown_cell("### Training\n\nSome words.", id="middle"),
    v4.new_code_cell("1\n2", id="train"),
    v4.new_markdown_cell("## Later", id="end"),
]


def notebook(run: dict[str, Any]) -> str:
    metadata = run | {"language_info": {"name": "python"}}
    return json.dumps(v4.new_notebook(cells=CELLS, metadata=metadata))


PAGES = {
    "conf.py": f"""\
root_doc = "book/index"
extensions = ["myst_nb", "times", "pages"]
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath", "colon_fence"]
html_math_renderer = "mathml"
myst_update_mathjax = False
math_number_all = True
html_theme = "sphinx_book_theme"
html_title = "The book"
html_last_updated_fmt = "%Y"
html_additional_pages = {{"index": "root.html", "404": "root.html"}}
templates_path = [{str(ROOT / "book/_templates")!r}]
""",
    "book/index.md": """\
# First & foremost

![](https://example.org/badge.svg)

Short.

A **longer** paragraph that says what this "page" is about, and {term}`why <agreement>`.

```{toctree}
glossary
02_words
appendix/costs
appendix/01_look
appendix/02_words
```

The {term}`twin`, and {term}`nothing`. A {term}`twin` again.
""",
    "book/glossary.md": """\
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
    "book/02_words.md": "# No terms\n\n$x$ is an equation, and such a paragraph is passed over.\n",
    "book/formulas.md": """\
---
orphan: true
---
# Formulas

Take $x \\in R$, and ($\\frac{y}{2}$). See {eq}`two`.

$$
\\begin{aligned}
a &= b \\\\[1ex]
c &= d
\\end{aligned}
$$ (two)
""",
    "book/appendix/costs.md": "# Costs\n\n```{running-times}\n```\n",
    "book/appendix/01_look.ipynb": notebook({"course_run": RUN}),
    "book/appendix/02_words.ipynb": notebook({}),
    "pyproject.toml": PYPROJECT,
    "dates.json": '{"book/glossary.md": "2020-02-29"}',
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with all extensions and templates."""
    top = tmp_path_factory.mktemp("site")
    for name, content in PAGES.items():
        (top / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        (top / "source" / name).write_text(content, encoding="utf-8")
    options = ["-W", "--keep-going", "-q", "-b", "html"]
    command = [sys.executable, "-m", "sphinx", *options, str(top / "source"), str(top / "html")]
    paths = os.pathsep.join([str(EXTENSIONS), *filter(None, sys.path)])
    variables = os.environ | {"PYTHONPATH": paths}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return top / "html"


def page(site: Path, name: str) -> str:
    return (site / f"{name}.html").read_text(encoding="utf-8")


# What stands in the text ------------------------------------------------------------------------


def test_a_term_shows_the_first_sentence_of_its_entry(site: Path) -> None:
    shown = page(site, "book/index")
    tips = re.findall(r'role="tooltip" id="([^"]+)">(.*?)</span></span>', shown)
    twin = "One of “two” &lt;runs&gt; of one lottery."
    assert [words for _, words in tips] == [
        "How often <em>two</em> measures, "
        "<math><mi>a</mi><mo>&lt;</mo><mi>b</mi></math>, e.g. the probe, agree.",
        *(twin, twin),
    ]
    links = BeautifulSoup(shown, "html.parser").select("span.term > a.reference.internal")
    assert [(link["href"], link.text) for link in links] == [
        ("glossary.html#term-agreement", "why"),
        *[("glossary.html#term-twin", "twin")] * 2,
    ]
    described = [link["aria-describedby"] for link in links]
    assert described == [tip for tip, _ in tips]
    assert len(set(map(str, described))) == 3, "each link has a description of its own"
    assert 'href="glossary.html#term-nothing"><span' in shown, "an entry without a sentence"
    assert 'role="tooltip"' not in page(site, "book/glossary")
    index = (site / "searchindex.js").read_text(encoding="utf-8")
    found = json.loads(index.removeprefix("Search.setIndex(").removesuffix(")"))
    assert found["terms"]["lotteri"] == found["docnames"].index("book/glossary")


@pytest.mark.parametrize("first", ["One.", "With e.g. this, i.e. that.", "A 2.0 of it.", "Is it?"])
def test_where_a_sentence_ends(first: str) -> None:
    for rest in ("", " Two.", " $V$ words"):
        assert pages.first_sentence(nodes.paragraph("", first + rest)) == first


def test_formulas_are_set_with_numbers_and_the_marks_beside_them(site: Path) -> None:
    shown = page(site, "book/formulas")
    start, end = '<span class="math notranslate nohighlight">', "</span>"
    x, half = "<mi>x</mi><mo>∈</mo><mi>R</mi>", "<mfrac><mi>y</mi><mn>2</mn></mfrac>"
    assert f"Take {start}<math>{x}</math>,{end} and {start}(<math>{half}</math>).{end} See" in shown
    assert re.search(r'id="equation-two">\s*<span class="eqno">\(1\)?.*href="#equation-two"', shown)
    assert re.search(r'href="#equation-two">\(1\)</a>', shown)
    rows = re.findall(r"<mtr>(.*?)</mtr>", shown)
    assert [re.sub("<[^>]*>", "", row) for row in rows] == ["a=b", "c=d"]
    with pytest.raises(SphinxError, match=r"expected a formula, found '\\\\nosuch x'"):
        pages.mathml(nodes.math("", r"\nosuch x"))


FIGURE = """<figure class="lessons-explore" style="width:9px">
<style>a{}</style>
<img class="dark-light" src="data:image/webp;base64,AAEC" alt="x">
<noscript><p>still</p></noscript>
<script type="application/json" class="lessons-explore-data">{"frames":["`${\\u003c"]}</script>
<script>run();</script>
</figure>"""


def test_frames_leave_the_page_and_the_still_stays(tmp_path: Path) -> None:
    shown = pages.outside(FIGURE, tmp_path, "../_static/")
    (name,) = re.findall(r'data-frames="([^"]+)"', shown)
    assert f'src="../_static/{name}.webp"' in shown
    assert "script>" not in shown.replace("noscript>", "")
    assert "<noscript><p>still</p></noscript>" in shown
    assert (tmp_path / f"{name}.webp").read_bytes() == b"\x00\x01\x02"
    call = (tmp_path / f"{name}.js").read_text("utf-8").splitlines()[0]
    given = json.loads(call.removeprefix("lessonsFrames(").removesuffix(");").join("[]"))
    assert given == [name, '{"frames":["`${\\u003c"]}']


def test_a_paragraph_on_captions_is_folded_where_there_are_none() -> None:
    fold = "<details><summary>On the real corpus</summary>{}</details>"
    paragraphs = ["<p>Ten <em>captions</em>.</p>", "<p>SMS\nand more</p>"]
    rest = "{}<p>Caption-like</p>\n<li>{}</li><p><strong>Embedded corpus.</strong> No captions.</p>"
    rest += "<p>None.</p><p>Seven previews</p>"
    found = pages.REAL.sub(pages.ABSENT, rest.format(*paragraphs))
    assert found == rest.format(*map(fold.format, paragraphs))


def test_a_wide_table_names_the_head_of_each_cell() -> None:
    def table(*heads: str) -> str:
        top = "".join(f'<th class="head"><p>{head}</p></th>' for head in heads)
        cells = "".join(f"<td><p>{n}</p></td>" for n in range(len(heads)))
        return f'<table class="table"><tr>{top}</tr><tr>{cells}</tr></table>'

    assert pages.cards(table("A", "B", "C")) == table("A", "B", "C")
    shown = pages.cards(table("A", "B &lt; <em>C</em>", "D", "E"))
    assert shown.startswith('<table class="cards table">')
    cells = re.findall(r'<td data-head="([^"]*)"><p>(\d)', shown)
    assert cells == [("A", "0"), ("B &lt; C", "1"), ("D", "2"), ("E", "3")]


def test_the_system_chooses_colours_where_no_script_does() -> None:
    sheet = 'html[data-theme="dark"] a, p{x:1}b{y:2}html[data-theme=light]{z:3}'
    assert pages.system_colours(sheet) == (
        "@media print, (prefers-color-scheme:light){html[data-theme=auto]{z:3}}\n"
        "@media screen and (prefers-color-scheme:dark){html[data-theme=auto] a, p{x:1}}\n"
    )


# What a page says of itself ---------------------------------------------------------------------


def test_a_description_is_one_line_cut_at_a_word_or_that_of_the_book(site: Path) -> None:
    assert '<meta name="description" content="The book"' in page(site, "book/02_words")
    for said, words in (("word, " * 60, r"(word, )+word…"), ("ab\n" * 15, "ab( ab){14}")):
        tree = nodes.section("", nodes.paragraph("", said))
        assert re.fullmatch(words, pages.description(tree))
        assert len(pages.description(tree)) <= 200


def test_a_page_has_its_day_and_can_be_edited_and_talked_about(site: Path) -> None:
    shown = page(site, "book/appendix/01_look")
    edit, feedback = (
        found.replace("&amp;", "&")
        for found in re.findall(r'<a href="([^"]+)">(?:Edit|Report)', shown)
    )
    assert edit == "https://github.com/o/c/edit/main/book/appendix/01_look.ipynb"
    parts = urlsplit(feedback)
    assert (parts.netloc, parts.path) == ("github.com", "/o/c/issues/new")
    asked = parse_qs(parts.query)
    assert asked["title"] == ["Looking: "]
    assert "https://o.example/c/book/appendix/01_look.html\nVersion: 0.3.0\n" in asked["body"][0]
    assert "title=First%20%26%20foremost%3A%20&amp;" in page(site, "book/index")
    assert "/edit/" not in page(site, "genindex")
    assert "/issues/new?title=Index%3A%20&amp;" in page(site, "genindex")
    assert "Last updated on 2020-02-29." in page(site, "book/glossary")
    assert re.search(r"Last updated on \d{4}\.", page(site, "book/index")), "the day of the build"


# Tables and counts ------------------------------------------------------------------------------


def test_running_and_reading_times_come_from_the_notebooks(site: Path) -> None:
    shown = page(site, "book/appendix/costs")
    rows = BeautifulSoup(shown, "html.parser").select("tbody tr")
    assert [[" ".join(cell.text.split()) for cell in row.select("td")] for row in rows] == [
        ["Looking", "41 s", "1.2 GB", "14 s: Training"],
        ["Looking", "not measured", "–", "–"],
    ]
    assert "Measured on 2021-02-03, 2 cores, Linux x86_64, Python 3.11.7, PyTorch 2.9.1." in shown
    assert 'href="01_look.html"' in shown
    assert times.RUN == website.RUN, "read where it is written"
    busy = {"metadata": {"course_run": RUN | {"cpu_seconds": 20.0}}, "cells": CELLS}
    assert times.row(busy)[0] == "41&nbsp;s (on a busy machine)"
    head = "<strong>Reading time.</strong> About 5 minutes without the exercises: 0 words, 4 lines"
    both = f"<p>{head} of code.</p>\n<p><strong>Running time.</strong> Long.</p>"
    assert both in page(site, "book/appendix/01_look")


# The book ---------------------------------------------------------------------------------------


def test_the_table_of_colours_is_that_of_the_figures() -> None:
    notation = (ROOT / "book" / "notation.md").read_text(encoding="utf-8")
    row = r'^\| `(\w+)` \| .*style="background:(#\w{6})".*`(#\w{6})`.* \| .+ \|$'
    found = re.findall(row, notation, flags=re.MULTILINE)
    assert found == [(role, shade, shade) for role, shade in ROLES.items()]


def test_the_course_is_cited_as_its_files_say() -> None:
    (course,) = parse_file(str(ROOT / "book" / "course.bib"), "bibtex").entries.values()
    cff = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    settings = read_settings(ROOT)
    assert dict(course.fields) == {
        "title": f"{{{cff['title']}}}",
        "year": str(cff["date-released"])[:4],
        "version": cff["version"],
        "url": settings.site,
    }
    assert cff["version"] == settings.version
    assert [str(who) for who in course.persons["author"]] == [
        f"{{{a['name']}}}" for a in cff["authors"]
    ]
    page = (ROOT / "book" / "index.md").read_text(encoding="utf-8")
    start, end = (re.findall(rf':{key}: "(.+)"', page)[0] for key in ("start-at", "end-before"))
    text = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
    shown = start + text.split(start)[1].split(end)[0]
    (paper,) = parse_string(shown, "bibtex").entries.values()
    assert paper.fields["eprint"] == "2103.07601"


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

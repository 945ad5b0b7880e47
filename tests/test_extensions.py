"""The book's own Sphinx extensions, function by function. The built site: ``test_site*.py``."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from docutils import nodes
from nbformat import v4
from pybtex.database import parse_file
from sphinx.errors import SphinxError

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "book" / "_ext"))

import pages  # noqa: E402
import times  # noqa: E402

import website  # noqa: E402
from labels import read_settings  # noqa: E402
from lessons_lib.plots import ROLES  # noqa: E402

# What stands in the text ------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["One.", "With e.g. this, i.e. that.", "A 2.0 of it.", "Is it?"])
def test_where_a_sentence_ends(first: str) -> None:
    for rest in ("", " Two.", " $V$ words"):
        assert pages.first_sentence(nodes.paragraph("", first + rest)) == first


def test_a_meaning_keeps_stress_and_formulas_and_nothing_is_read_as_html() -> None:
    stress, formula = nodes.emphasis("", "two"), nodes.math("", "a < b")
    text = (nodes.Text(words) for words in ('How "often"\n<', "> ", " agree. No more."))
    entry = nodes.paragraph("", "", next(text), stress, next(text), formula, next(text))
    math = "<math><mi>a</mi><mo>&lt;</mo><mi>b</mi></math>"
    said = f"How &quot;often&quot; &lt;<em>two</em>&gt; {math} agree."
    assert pages.first_sentence(entry) == said


def test_a_formula_is_mathml_and_takes_the_marks_beside_it_along() -> None:
    half = pages.mathml(nodes.math("", r"\frac{y}{2}"))
    assert half == "<math><mfrac><mi>y</mi><mn>2</mn></mfrac></math>"
    shown = f'so (<span class="math notranslate">{half}</span>), and'
    beside = f'so <span class="math notranslate">({half}),</span> and'
    assert pages.FORMULA.sub(r"\2\1\3\4</span>", shown) == beside
    aligned = nodes.math_block("", "\\begin{aligned} a &= b \\\\[1ex] c &= d \\end{aligned}")
    rows = re.findall(r"<mtr>(.*?)</mtr>", pages.mathml(aligned, block=True))
    assert [re.sub("<[^>]*>", "", row) for row in rows] == ["a=b", "c=d"]
    with pytest.raises(SphinxError, match=r"expected a formula, found '\\\\nosuch x'"):
        pages.mathml(nodes.math("", r"\nosuch x"))


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


# What a chapter costs ---------------------------------------------------------------------------

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


def test_running_and_reading_times_come_from_the_notebooks(tmp_path: Path) -> None:
    for name, run in (("01_look", {times.RUN: RUN}), ("02_words", {})):
        notebook = v4.new_notebook(cells=CELLS, metadata=run)
        (tmp_path / f"{name}.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    read: list[str] = []
    env = {"docname": "costs", "doc2path": lambda _: tmp_path / "costs.md"}
    page: Any = SimpleNamespace(env=SimpleNamespace(**env, note_dependency=read.append))
    page.parse_text_to_nodes = str.splitlines
    lines = times.RunningTimes.run(page)
    assert "| {doc}`01_look` | 41&nbsp;s | 1.2&nbsp;GB | 14&nbsp;s: Training |" in lines
    assert "| {doc}`02_words` | not measured | – | – |" in lines
    where = "Measured on 2021-02-03, 2 cores, Linux x86_64, Python 3.11.7, PyTorch 2.9.1."
    assert lines[-1] == where
    assert len(read) == 2
    assert times.RUN == website.RUN, "read where it is written"
    source = ['{"cells": [{"cell_type": "markdown", "source": "**Running time.** Long."}]}']
    times.add_to_chapter(None, "", source)
    told = r"**Reading time.** About 5 minutes without the exercises: 0 words, 0 lines of code.\n\n"
    assert f'"{told}**Running time.** Long."' in source[0]


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

"""The examples in README and refresher do what the page says."""

import contextlib
import io
import pkgutil
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from markdown_it import MarkdownIt

import lessons_lib
from labels import markdown_cells
from lessons_lib.corpora.loaders import load_parallel

ROOT = Path(__file__).resolve().parent.parent


def fences(path: Path) -> list[tuple[str, str]]:
    """Language and content of each code block, in order."""
    tokens = MarkdownIt().parse(path.read_text(encoding="utf-8"))
    return [(token.info.strip(), token.content) for token in tokens if token.type == "fence"]


def output_of(code: str, names: dict[str, object]) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "<page>", "exec"), names)
    return printed.getvalue()


def example(name: str) -> str:
    """The one Python example of a page at the top of the repository."""
    (code,) = [code for language, code in fences(ROOT / name) if language == "python"]
    return code


@pytest.mark.slow
def test_readme_example_prints_what_readme_shows() -> None:
    assert ("text", output_of(example("README.md"), {})) in fences(ROOT / "README.md")


@pytest.mark.slow
def test_your_own_text_is_brought_as_the_page_says(tmp_path: Path, monkeypatch: Any) -> None:
    code = example("CONTRIBUTING.md")
    corpus = load_parallel("toy")
    monkeypatch.chdir(tmp_path)
    for name, lines in (("my.de", corpus.source), ("my.en", corpus.target)):
        Path(name).write_text("\n".join(lines[:60]), encoding="utf-8")
    assert "steps=1000" in code
    assert "A(alpha,uf)" in output_of(code.replace("steps=1000", "steps=3"), {})


def test_refresher_blocks_print_what_the_page_shows() -> None:
    blocks = fences(ROOT / "book" / "refresher.md")
    torch.manual_seed(0)
    names: dict[str, object] = {}
    compared = 0
    for (language, code), (after, shown) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        if language != "python":
            continue
        printed = output_of(code, names)
        if after == "text":
            assert printed == shown
            compared += 1
    assert compared >= 5


def is_there(name: str) -> bool:
    """Whether a dotted name leads to something, or to a field of a dataclass without a default."""
    try:
        pkgutil.resolve_name(name)
    except AttributeError:
        owner, _, last = name.rpartition(".")
        return last in getattr(pkgutil.resolve_name(owner), "__dataclass_fields__", ())
    return True


def test_names_of_ours_that_pages_mention_are_there() -> None:
    names = [module.name for module in pkgutil.walk_packages(lessons_lib.__path__, "lessons_lib.")]
    modules = {name.rpartition(".")[2]: name for name in names if "__main__" not in name}
    pages = [*ROOT.glob("[!_]*.md"), *(ROOT / "book").rglob("*.md"), *ROOT.glob("slides/*.md")]
    pages = [path for path in pages if path.name != "CHANGELOG.md"]
    wrong, told = [], 0
    for path in (*pages, *(ROOT / "book").glob("*.ipynb")):
        text = "\n".join(text for _, text in markdown_cells(path))
        for name in re.findall(r"(?<!`)`(?:lessons_lib\.)?(\w+(?:\.\w+)+)[^`\n]*`(?!`)", text):
            first, _, rest = name.partition(".")
            if first in modules and name.rpartition(".")[2] not in {"py", "toml", "css", "js"}:
                told += 1
                wrong += [] if is_there(f"{modules[first]}.{rest}") else [f"{path.name}: {name}"]
    assert told > 50
    assert not wrong

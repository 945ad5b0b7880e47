"""What `make book` promises: nothing stale, nothing done twice, failures named."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

import environment
import execute
import website
from environment import git
from lessons_lib.corpora import loaders


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The names of the notebooks of each execution, which is only pretended."""
    done: list[list[str]] = []

    def pretend(results: dict[Path, Path]) -> bool:
        for source, result in results.items():
            environment.write_atomically(result, source.read_text("utf-8"))
        done.extend([[source.stem for source in results]] if results else [])
        return True

    monkeypatch.setattr(execute, "execute_all", pretend)
    return done


@pytest.mark.slow
def test_a_failing_cell_is_named_and_does_not_hide_the_other_chapters(
    project: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    """And a chapter runs in an empty directory, of which it keeps no trace but what it took."""
    project.write_notebook("01_one", "x = 1", "", "1 / 0  # here", "print('never')")
    look = "from pathlib import Path\nprint(sorted(Path().iterdir()))\nPath('left').touch()"
    still = "import os\nmuch = b'x' * 300_000_000\nos.environ['LESSONS_STATIC_FIGURES']"
    project.write_notebook("02_two", look, "1", "2", still)
    old = project.build / "html" / "index.html"
    environment.write_atomically(old, "the site of yesterday")
    began = time.monotonic()
    assert website.book(project) == 1
    took = time.monotonic() - began
    said = capfd.readouterr().out
    for words in ("01_one.ipynb: code cell 3 (id cell-3) failed", "1 / 0  # here", "ZeroDivision"):
        assert words in said
    assert "\x1b" not in said
    assert not old.exists(), "an old site must not pass for the new one"
    (finished,) = (project.build / "executed").glob("*.ipynb")
    assert finished.name.startswith("02_two-")
    done = json.loads(finished.read_text("utf-8"))
    assert done["cells"][0]["outputs"][0]["text"] == ["[]\n"]
    assert done["cells"][3]["outputs"][0]["data"]["text/plain"] == ["'1'"]
    assert "LESSONS_STATIC_FIGURES" not in os.environ, "what comes after keeps its widgets"
    assert [cell["execution_count"] for cell in done["cells"]] == [1, 2, 3, 4]
    assert [cell["metadata"] for cell in done["cells"]] == [{}] * 4
    assert set(done["metadata"]) == {"kernelspec", "language_info", website.RUN}
    assert "version" not in done["metadata"]["language_info"]
    assert not [*project.root.rglob("left")]
    found = done["metadata"][website.RUN]
    assert 0 <= found["seconds"] <= took
    assert 300 < found["peak_mb"] < 300_000, "megabytes"
    assert 0 < found["cpu_seconds"] < took * (os.cpu_count() or 1)


def test_the_slowest_cells_are_recorded_and_all_are_added_up() -> None:
    seconds = {"a": 0.26, "b": 4.0, "c": 1.0, "d": 2.0, "e": 0.26}
    found = execute.measured(seconds, {"peak_mb": 7}, "2020-02-29")
    slowest = [{"cell": c, "seconds": seconds[c]} for c in "bdc"]
    assert found == {"date": "2020-02-29", "seconds": 7.5, "slowest": slowest, "peak_mb": 7}


def edit(project: Any, **changes: Any) -> None:
    """Change the first cell of the second chapter; the keys of ``metadata`` are added."""
    path = project.root / "book/02_two.ipynb"
    content = json.loads(path.read_text("utf-8"))
    content["cells"][0]["metadata"] |= changes.pop("metadata", {})
    content["cells"][0] |= changes
    path.write_text(json.dumps(content), encoding="utf-8")


def write(name: str, text: str) -> Callable[[Any], Any]:
    return lambda project: (project.root / name).write_text(text, encoding="utf-8")


STREAM = {"output_type": "stream", "name": "stdout", "text": "2"}
RUN = {"execution": {"iopub.execute_input": "2025"}}
OLD = "corpora/multi30k/train.de.gz"  # below the top, as all corpora are


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda _: None, ""),
        (lambda p: edit(p, outputs=[STREAM], execution_count=5, metadata=RUN), ""),
        (lambda p: edit(p, source="2 + 3"), "02_two"),
        (write("lessons_lib/data.json", "{}"), "01_one 02_two"),
        (write("requirements.txt", "torch==2.13.1\n"), "01_one 02_two"),
        (lambda p: os.utime(p.root / OLD, (1, 1)), "01_one 02_two"),
        (lambda _: os.environ.pop("LESSONS_DATA"), "01_one 02_two"),
    ],
)
def test_only_what_changed_is_executed_again(
    project: Any,
    runs: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Any], Any],
    expected: str,
) -> None:
    (project.root / OLD).parent.mkdir(parents=True)
    (project.root / OLD).write_text("one")
    monkeypatch.setenv("LESSONS_DATA", str(project.root / "corpora"))
    website.executed(project, force=False)
    change(project)
    website.executed(project, force=False)
    website.executed(project, force=False)
    assert runs == [["01_one", "02_two"], *([expected.split()] if expected else [])]


def shown(notice: str) -> dict[str, Any]:
    data = {"text/markdown": notice.splitlines(keepends=True)}
    return {"output_type": "display_data", "data": data, "metadata": {}}


@pytest.mark.parametrize(
    ("loader", "argument"),
    [
        ("load_parallel_or_toy", "multi30k"),
        ("load_dictionary_or_toy", "en-de"),
        ("load_labelled_or_toy", "sms_spam"),
    ],
)
def test_an_execution_without_the_real_corpus_is_never_used_again(
    project: Any,
    runs: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    loader: str,
    argument: str,
) -> None:
    """Each notice is recognised where it is shown; one that is only spoken of is not."""
    monkeypatch.setenv("LESSONS_CACHE", str(project.root / "cache"))
    monkeypatch.setattr("lessons_lib.corpora.sources.download", Mock(side_effect=OSError))
    notice = getattr(loaders, loader)(argument)[1]
    edit(project, source=f"print({notice!r})")
    website.executed(project, force=False)
    website.executed(project, force=False)
    assert runs == [["01_one", "02_two"]]
    edit(project, outputs=[shown(notice)])
    website.executed(project, force=True)
    website.executed(project, force=False)
    assert runs[1:] == [["01_one", "02_two"], ["02_two"]]


def test_outputs_are_written_back_only_when_all_chapters_ran_on_the_real_corpora(
    project: Any,
    runs: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pages = [project.root / f"book/{name}.ipynb" for name in ("01_one", "02_two")]
    assert website.renew_notebooks(project) == 0
    assert runs == [["01_one", "02_two"]]
    edit(project, source="2 + 3")
    before = [page.read_bytes() for page in pages]
    with monkeypatch.context() as patch:
        patch.setattr(execute, "execute_all", lambda _: False)
        assert website.renew_notebooks(project) == 1
    assert [page.read_bytes() for page in pages] == before
    edit(project, outputs=[shown(f"{website.FELL_BACK} What follows")])
    before = [page.read_bytes() for page in pages]
    assert website.renew_notebooks(project) == 1
    assert runs[1:] == [["02_two"]]
    assert "02_two ran on the embedded corpus" in capsys.readouterr().out
    assert [page.read_bytes() for page in pages] == before
    old = project.build / "html" / "index.html"
    environment.write_atomically(old, "the site of yesterday")
    assert website.book(project, real=True) == 1
    assert not old.exists()
    workflow = Path(__file__).parents[1] / ".github" / "workflows" / "publish.yml"
    assert "course.py book --real" in workflow.read_text(encoding="utf-8")


def test_a_site_is_built_once_and_withdrawn_after_a_warning(
    project: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, output = project.build / "src", project.build / "html"
    everything = ["index", "book/index", "book/01_one", "book/02_two"]

    def build(status: int, pages: list[str]) -> bool:
        def sphinx(*_: Any) -> int:
            for page in pages:
                environment.write_atomically(output / f"{page}.html", "a page")
            return status

        monkeypatch.setattr(website, "call", sphinx)
        return website.build(project, source, output)

    environment.write_atomically(project.build / "done.ipynb", "executed")
    website.stage(
        project, source, {project.root / "book/01_one.ipynb": project.build / "done.ipynb"}
    )
    assert (source / "book/01_one.ipynb").read_text("utf-8") == "executed"
    assert build(0, everything)
    assert build(1, []), "nothing changed: Sphinx is not called again"
    (source / "book/index.md").write_text("# New\n", encoding="utf-8")
    assert not build(1, everything)
    assert not output.exists()
    assert build(0, everything)
    (output / "book/02_two.html").unlink()
    assert not build(0, everything[:2]), "a page was missing: built again"
    assert "book/01_one.html" in capsys.readouterr().out


@pytest.mark.usefixtures("committer")
def test_each_page_has_the_day_of_its_last_commit_while_it_has_no_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = tmp_path / "book"
    book.mkdir()
    git(tmp_path, "init", "--quiet")
    for day, names in (("2020-02-29", ("a.md", "über b.ipynb")), ("2021-03-04", ("a.md",))):
        for name in names:
            (book / name).write_text(day, encoding="utf-8")
        monkeypatch.setenv("GIT_COMMITTER_DATE", f"{day}T12:00:00Z")
        git(tmp_path, "add", "--all")
        git(tmp_path, "commit", "--quiet", "-m", day)
    days = {"book/a.md": "2021-03-04", "book/über b.ipynb": "2020-02-29"}
    assert website.page_dates(tmp_path) == days
    (book / "a.md").write_text("third", encoding="utf-8")
    (book / "new.md").write_text("new", encoding="utf-8")
    assert website.page_dates(tmp_path) == {"book/über b.ipynb": "2020-02-29"}
    assert website.page_dates(book) == {}, "somebody else's repository"

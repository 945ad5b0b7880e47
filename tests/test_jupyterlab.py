"""A slider figure in JupyterLab, run and moved by key in Chromium, as a reader does it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, notebook
from site_browser import in_browser

LAB = os.environ.get("JUPYTERLAB") or shutil.which("jupyter-lab")
pytestmark = [
    pytest.mark.slow,
    *in_browser,
    pytest.mark.skipif(LAB is None, reason="no jupyter-lab on the PATH or in JUPYTERLAB"),
]
CELL = """from lessons_lib.figures.explore import explore

explore(
    lambda figure, step: figure.add_subplot().plot([0, step]),
    describe=lambda step: f"The line ends at {step}.",
    alt="A line",
    step=[2, 4, 8],
)"""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A server of JupyterLab with one notebook, whose kernel is the Python of the tests."""
    assert LAB is not None
    names = {"name": "python3", "display_name": "Python 3", "language": "python"}
    content = json.loads(notebook(CELL)) | {"metadata": {"kernelspec": names}}
    (tmp_path / "figure.ipynb").write_text(json.dumps(content), encoding="utf-8")
    spec = tmp_path / "share" / "kernels" / "python3"
    spec.mkdir(parents=True)
    kernel = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Python 3",
        "language": "python",
        "env": {"PYTHONPATH": "" if os.environ.get("LESSONS_INSTALLED") else str(ROOT)},
    }
    (spec / "kernel.json").write_text(json.dumps(kernel), encoding="utf-8")
    folders = {f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "RUNTIME")}
    folders |= {"JUPYTER_PATH": str(tmp_path / "share"), "HOME": str(tmp_path)}
    options = ["--no-browser", "--allow-root", "--port=0", "--ServerApp.token=t"]
    options += [f"--ServerApp.root_dir={tmp_path}", "--LabApp.news_url="]
    with subprocess.Popen(
        [LAB, *options, "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"],
        env=os.environ | folders,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stderr is not None
        told = []
        for line in server.stderr:
            told.append(line)
            if found := re.search(r"http://127\.0\.0\.1:\d+/", line):
                yield f"{found[0]}lab/tree/figure.ipynb?token=t"
                break
        else:
            pytest.fail(f"expected the address of a server, found: {''.join(told)}")
        server.terminate()


def test_a_figure_is_run_and_moved_by_key(chromium: Any, address: str) -> None:
    page = chromium.new_page()
    page.goto(address)
    page.locator(".jp-CodeCell .cm-content").click(timeout=60_000)
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for(timeout=60_000)
    page.keyboard.press("Control+Enter")
    output = page.locator(".jp-OutputArea-output")
    said = output.get_by_text("The line ends at")
    said.wait_for(timeout=60_000)
    assert said.inner_text() == "The line ends at 2."
    picture = output.locator("img").first
    before = picture.get_attribute("src")
    output.locator(".noUi-handle").first.focus()
    page.keyboard.press("ArrowRight")
    output.get_by_text("The line ends at 4.").wait_for()
    assert picture.get_attribute("src") != before
    page.context.close()

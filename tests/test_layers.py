"""Imports inside ``lessons_lib`` point one way only, and what should be light stays light."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "lessons_lib"

# Which modules of the package each module may import. A new module gets a line here first.
ALLOWED: dict[str, set[str]] = {
    "configuration": set(),
    "download": set(),
    "explore_html": set(),
    "stats": set(),
    "tasks": set(),
    "theory": set(),
    "warmup": set(),
    "results": {"configuration"},
    "vocabulary": {"tasks"},
    "toy_language": {"tasks"},
    "text": {"tasks", "toy_language", "download", "vocabulary"},
    "model1": {"tasks"},
    "models": {"tasks", "configuration"},
    "probes": {"tasks", "models", "stats"},
    "saliency": {"tasks", "models", "probes"},
    "training": {"tasks", "configuration", "models", "probes"},
    "plots": {"stats"},
    "explore": {"plots", "explore_html"},
    "checks_guard": set(),
    "checks_base": {"checks_guard"},
    "checks_ch01": {"checks_base", "checks_guard", "models", "tasks"},
    "checks_ch02": {"checks_base", "checks_guard"},
    "checks_ch03": {"checks_base", "checks_guard", "tasks"},
    "checks_ch04": {"checks_base", "checks_guard"},
    "checks_ch05": {"checks_base", "checks_guard", "models", "probes", "tasks", "theory"},
    "checks_ch06": {"checks_base", "checks_guard", "theory"},
    "checks_ch07": {"checks_base", "checks_guard", "models", "tasks"},
    "checks_ch08": {"checks_base", "checks_guard"},
    "checks_ch09": {"checks_base", "checks_guard"},
    "checks": {
        *("checks_base", "checks_ch01", "checks_ch02", "checks_ch03", "checks_ch04"),
        *("checks_ch05", "checks_ch06", "checks_ch07", "checks_ch08", "checks_ch09"),
    },
    "portrait": set(),
    "reduced": {"configuration", "tasks"},
    "copying": {"configuration", "tasks", "models", "probes", "training"},
    "agreements": {"probes", "stats"},
    "comparison": {"tasks", "probes", "stats", "agreements"},
    "labelled": {"tasks", "toy_language", "text", "vocabulary"},
    "classifier": {"configuration", "tasks", "models"},
    "classification": {
        *("configuration", "tasks", "vocabulary", "text", "models", "probes", "training"),
        *("labelled", "classifier", "comparison"),
    },
    "uniform_translation": {
        *("configuration", "stats", "vocabulary", "toy_language", "text", "model1", "models"),
        *("probes", "training"),
    },
    "translation": {
        *("configuration", "tasks", "vocabulary", "toy_language", "text", "model1", "models"),
        *("probes", "training", "saliency", "comparison"),
    },
    "own_text": {"tasks", "text", "training", "comparison", "classification", "translation"},
    "heads": {"tasks", "models", "probes", "training", "copying"},
    "interventions": {"configuration", "tasks", "models", "probes", "training", "copying"},
    "ladder": {"models", "copying", "training"},
    "transformer": {"tasks", "models", "probes", "training", "copying"},
    "arms": {
        *("copying", "heads", "interventions", "ladder", "transformer", "classification"),
        *("translation",),
    },
    "catalogue": {
        *("configuration", "stats", "training", "results", "copying", "heads", "interventions"),
        *("classification", "comparison", "translation", "uniform_translation", "arms", "ladder"),
        *("transformer",),
    },
    "experiments": {"configuration", "download", "results", "training", "catalogue"},
    "claims_base": {"comparison", "experiments", "results", "stats"},
    "claims_copying": {"claims_base", "copying", "experiments", "results", "stats"},
    "claims_text": {"claims_base", "experiments", "results", "stats"},
    "claims": {"claims_base", "claims_copying", "claims_text", "experiments", "results"},
    "claims_table": {"claims", "claims_base", "experiments", "results"},
}
# Modules that have a place in the plan and are not written yet.
PLANNED: set[str] = set()
WITHOUT_TORCH = ["", "theory", "warmup"]
MAX_LINES = 500


def siblings_imported(source: str, names: set[str]) -> set[str]:
    """Modules of the package that a module's source imports, in whatever way it is written."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        dotted: list[str] = []
        if isinstance(node, ast.Import):
            dotted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = f"lessons_lib.{base}".rstrip(".")
            dotted = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        for name in dotted:
            parts = name.split(".")
            if parts[0] == "lessons_lib" and len(parts) > 1 and parts[1] in names:
                found.add(parts[1])
    return found


def modules() -> list[str]:
    return sorted(path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize(
    "line",
    [
        "import lessons_lib.models",
        "import lessons_lib.models as m",
        "from lessons_lib.models import Model",
        "from lessons_lib import models",
        "from . import models",
        "from .models import Model",
        "def f():\n    from lessons_lib import stats, models",
    ],
)
def test_every_way_of_importing_a_sibling_is_seen(line: str) -> None:
    assert "models" in siblings_imported(line, {"models", "stats"})


def test_other_imports_are_no_siblings() -> None:
    source = "import models\nfrom torch import models\nfrom lessons_lib import __version__"
    assert siblings_imported(source, {"models"}) == set()


def test_each_module_has_a_layer() -> None:
    assert set(modules()) <= set(ALLOWED), "give a new module its line in ALLOWED (and DESIGN)"
    assert set(ALLOWED) - set(modules()) <= PLANNED, "a module of ALLOWED is gone"


def test_the_plan_has_no_cycle() -> None:
    done: set[str] = set()
    while len(done) < len(ALLOWED):
        ready = {name for name, needs in ALLOWED.items() if needs <= done} - done
        assert ready, f"these modules wait for each other: {sorted(set(ALLOWED) - done)}"
        done |= ready


@pytest.mark.parametrize("name", modules())
def test_a_module_imports_only_layers_below_it(name: str) -> None:
    source = (PACKAGE / f"{name}.py").read_text(encoding="utf-8")
    extra = siblings_imported(source, set(modules()) | set(ALLOWED)) - ALLOWED.get(name, set())
    assert not extra, f"lessons_lib/{name}.py must not import {sorted(extra)}"


def test_the_package_itself_imports_no_sibling() -> None:
    source = (PACKAGE / "__init__.py").read_text(encoding="utf-8")
    assert siblings_imported(source, set(ALLOWED)) == set()


@pytest.mark.parametrize("name", WITHOUT_TORCH)
def test_light_modules_do_not_load_torch(name: str, tmp_path: Path) -> None:
    if name and not (PACKAGE / f"{name}.py").exists():
        pytest.skip(f"lessons_lib.{name} is planned, not written yet")
    module = f"lessons_lib.{name}".rstrip(".")
    program = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    # In a checkout the package is found in the working directory; under `make test` it must not be.
    where = tmp_path if os.environ.get("LESSONS_INSTALLED") else ROOT
    done = subprocess.run([sys.executable, "-c", program], cwd=where, check=False)
    assert done.returncode == 0, f"`import {module}` loads torch"


@pytest.mark.parametrize(
    "path",
    sorted(p for folder in ("lessons_lib", "tools", "tests") for p in (ROOT / folder).glob("*.py")),
    ids=lambda path: f"{path.parent.name}/{path.name}",
)
def test_a_file_can_be_read_in_one_sitting(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_LINES, f"{path.name} has {lines} lines: split it (aim at 350)"

"""Runs on a cluster: a lost worker costs nothing but time, and a wrong one is found before."""

import os
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import seeds_worker

import lessons_lib
from lessons_lib.lab import cluster, records, run
from lessons_lib.lab.catalogue import Experiment, Scale

Patch = pytest.MonkeyPatch
SEEDS = (1, 2, 3, 4, 5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where runs leave notes; workers that are started find their module and the package."""
    with pytest.MonkeyPatch.context() as patch:
        places = (Path(seeds_worker.__file__).parent, Path(run.__file__).parents[2])
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, places)))
        yield tmp_path_factory.mktemp("cluster")


@pytest.fixture(autouse=True)
def _entry(folder: Path, tmp_path: Path, monkeypatch: Patch) -> None:
    """Registers an experiment whose runs leave notes."""
    monkeypatch.setattr(records, "PACKAGED", tmp_path / "package")
    monkeypatch.setenv("LESSONS_CACHE", str(folder / "cache"))
    work = seeds_worker.kills_its_worker_once
    scales = {"lesson": Scale(work, {"one": seeds_worker.Where(str(folder))}, SEEDS)}
    found = Experiment("Which?", scales, lambda r: pd.DataFrame())
    monkeypatch.setattr(run, "REGISTRY", {"drawing": found})


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """A cluster on this machine with two workers, processes of their own."""
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Dask's own, about ports and event loops
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as local:
            yield local.scheduler_address


def refused(address: str, capsys: Any) -> str:
    """What the command line says when it cannot run there."""
    with pytest.raises(SystemExit):
        run.main(["run", "drawing", "--scheduler", address])
    return str(capsys.readouterr().err)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_workers_with_another_package_are_named_first(
    address: str, folder: Path, tmp_path: Path, monkeypatch: Patch, capsys: Any
) -> None:
    """Of the same version, but of another source."""
    theirs = cluster._asking()()
    (tmp_path / "tasks.py").write_text("# altered\n")
    monkeypatch.setattr(lessons_lib, "__file__", str(tmp_path / "__init__.py"))
    ours = cluster._asking()()
    assert theirs.split("source")[0] == ours.split("source")[0] != theirs
    told = refused(address, capsys)
    assert f"with lessons_lib {ours}, found {theirs}; start them" in told
    assert not list(folder.glob("begun-*"))


@pytest.mark.slow
def test_a_killed_worker_loses_no_finished_seed(address: str, folder: Path, tmp_path: Path) -> None:
    assert run.main(["run", "drawing", "--scheduler", address]) == 0
    kept = (folder / "killed").read_text().split()
    begun = Counter(path.name.split("-")[1] for path in folder.glob("begun-*"))
    assert kept
    assert {begun[name.removeprefix("seed-")] for name in kept} == {1}, "finished, not done again"
    assert begun["3"] == 2, "lost, and done again"
    record = run.current("drawing")["one"]
    assert record.seeds == SEEDS
    alone = run.run("drawing", directory=tmp_path / "alone")["one"]
    assert record.rows == alone.rows


@pytest.mark.filterwarnings("ignore")
def test_a_missing_scheduler_is_said(folder: Path, monkeypatch: Patch, capsys: Any) -> None:
    begun = set(folder.glob("begun-*"))
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "distributed", None)
        assert "pip install distributed" in refused("tcp://127.0.0.1:9", capsys)
    pytest.importorskip("distributed", reason="Dask is not installed")
    monkeypatch.setattr(cluster, "PATIENCE", 0.2)
    for address in ("tcp://127.0.0.1:9", "nonsense://x"):
        assert f"expected a Dask scheduler at {address}, found none" in refused(address, capsys)
    assert set(folder.glob("begun-*")) == begun

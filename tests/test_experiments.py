from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from lessons_lib import experiments, results
from lessons_lib.configuration import Configuration
from lessons_lib.experiments import REGISTRY, Experiment, UniformTranslation


@dataclass(frozen=True)
class Dice(Configuration):
    sides: int = 6


@pytest.fixture
def dice(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Registers an experiment that notes which seeds it was asked to measure."""
    measured: list[int] = []

    def throw(config: Dice, seed: int, progress: bool) -> list[dict[str, Any]]:
        measured.append(seed)
        return [{"seed": seed, "step": 0, "metric": "pips", "value": seed % config.sides}]

    entry = Experiment("How many pips?", Dice(), (1, 2, 9), throw)
    monkeypatch.setattr(experiments, "REGISTRY", {"dice": entry})
    return measured


def test_run_joins_all_seeds(dice: list[int], tmp_path: Path) -> None:
    record = experiments.run("dice", directory=tmp_path, progress=False)
    assert record.name == "dice"
    assert record.values("pips").to_dict() == {1: 1.0, 2: 2.0, 9: 3.0}
    assert record.config == {"sides": 6}
    assert dice == [1, 2, 9]


def test_run_goes_on_where_it_was(dice: list[int], tmp_path: Path) -> None:
    experiments.run("dice", seeds=[2], directory=tmp_path, progress=False)
    record = experiments.run("dice", directory=tmp_path, progress=False)
    assert dice == [2, 1, 9]
    assert record.seeds == (1, 2, 9)


def test_a_damaged_seed_is_measured_again(dice: list[int], tmp_path: Path) -> None:
    experiments.run("dice", seeds=[2], directory=tmp_path, progress=False)
    (kept,) = tmp_path.rglob("*.json")
    kept.write_text(kept.read_text().replace("2.0", "5.0"))
    record = experiments.run("dice", seeds=[2], directory=tmp_path, progress=False)
    assert dice == [2, 2]
    assert record.values("pips").to_dict() == {2: 2.0}


def test_another_configuration_uses_no_old_seed(
    dice: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiments.run("dice", seeds=[9], directory=tmp_path, progress=False)
    changed = replace(experiments.REGISTRY["dice"], config=Dice(4))
    monkeypatch.setattr(experiments, "REGISTRY", {"dice": changed})
    record = experiments.run("dice", seeds=[9], directory=tmp_path, progress=False)
    assert record.values("pips").to_dict() == {9: 1.0}


def test_command_line_writes_the_record(
    dice: list[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LESSONS_CACHE", str(tmp_path / "cache"))
    assert experiments.main(["run", "dice", "--seeds", "2", "--out", str(tmp_path)]) == 0
    assert results.load("dice", directory=tmp_path, config={"sides": 6}).seeds == (1, 2)
    assert dice == [1, 2]
    assert experiments.main(["list"]) == 0
    printed = capsys.readouterr().out
    assert "2 rows of 2 seeds" in printed
    assert "dice  (3 seeds)  How many pips?" in printed


def test_a_record_of_other_seeds_is_stale(
    dice: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = experiments.run("dice", seeds=[1], directory=tmp_path, progress=False)
    results.save(record, tmp_path / "dice.json")
    stored = results.load("dice", directory=tmp_path)
    monkeypatch.setattr(results, "load", lambda *_, **__: stored)
    with pytest.raises(results.ResultError, match=r"expected seeds \(1, 2, 9\), found \(1,\)"):
        experiments.load("dice")


def test_other_seeds_do_not_go_into_the_package(dice: list[int]) -> None:
    with pytest.raises(SystemExit):
        experiments.main(["run", "dice", "--seeds", "2"])
    assert dice == []


def test_unknown_experiment() -> None:
    with pytest.raises(KeyError, match="no experiment 'x'; there is uniform_translation"):
        experiments.run("x")


@pytest.mark.parametrize("name", REGISTRY)
def test_packaged_results_are_intact_and_not_stale(name: str) -> None:
    record = experiments.load(name)
    assert record.seeds == REGISTRY[name].seeds


def test_uniform_translation_measures_what_it_says_on_the_embedded_corpus() -> None:
    config = UniformTranslation(
        corpus="toy",
        vocab_size=300,
        d_embed=24,
        d_hidden=24,
        steps=2,
        evaluate_every=1,
        proxy_steps=60,
        pairs_measured=20,
        dictionary_words=15,
    )
    rows = experiments.uniform_translation(config, 5, False)
    assert rows == experiments.uniform_translation(config, 5, False)
    assert {row["seed"] for row in rows} == {5}
    measured = {row["metric"] for row in rows if row["step"] == 2}
    assert measured == {"loss", "token_accuracy", "gold", "proxy", "model1", "words"}
    first = {row["metric"]: row["value"] for row in rows if row["step"] == 0}
    assert all(0 <= value <= 1 for value in first.values())
    # the embedded corpus is easy for Model 1, and a fresh model knows nothing
    assert first["model1/words"] > 0.8
    assert first["model1/gold"] > 0.8
    assert first["words"] < 0.3
    assert first["chance"] < first["diagonal/gold"]

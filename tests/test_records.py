import dataclasses
import json
from pathlib import Path

import pytest

from lessons_lib.config import digest
from lessons_lib.lab.records import ResultError, make_record, merge, read, save

ROWS = [
    {"seed": 3, "step": 0, "metric": "accuracy", "value": 0.1},
    {"seed": 3, "step": 20, "metric": "accuracy", "value": 0.75},
    {"seed": 1, "step": 0, "metric": "accuracy", "value": 0.2},
    {"seed": 1, "step": 10, "metric": "accuracy", "value": 0.5},
    {"seed": 1, "step": 10, "metric": "loss", "value": 2.5},
]
CONFIG = {"width": 8, "tasks": [1, 2], "name": "x"}


def saved(directory: Path) -> Path:
    record = make_record("first", CONFIG, ROWS, device="cpu", wall_seconds=1.234)
    save(record, directory / "first.json")
    return directory / "first.json"


def test_round_trip_with_provenance(tmp_path: Path) -> None:
    saved(tmp_path)
    record = read("first", directory=tmp_path, config=CONFIG)
    assert record.seeds == (1, 3)
    assert record.config == CONFIG
    assert record.config_hash == digest(CONFIG)
    assert record.device == "cpu"
    assert record.wall_seconds == 1.2
    assert {"python", "torch", "numpy", "scipy", "lessons-lib"} <= set(record.versions)
    assert len(record.date) == len("2026-01-31")
    assert record.frame().to_dict("records") == sorted(
        ROWS, key=lambda row: (row["seed"], row["metric"], row["step"])
    )


def test_values_have_six_significant_digits(tmp_path: Path) -> None:
    rows = [{"seed": 0, "step": 0, "metric": "x", "value": 1 / 3000}]
    record = make_record("x", CONFIG, rows, device="cpu", wall_seconds=0)
    assert record.rows == ((0, 0, "x", 0.000333333),)
    save(record, tmp_path / "x.json")
    assert read("x", directory=tmp_path).rows == record.rows


def test_values_of_each_seed(tmp_path: Path) -> None:
    saved(tmp_path)
    record = read("first", directory=tmp_path)
    assert record.values("accuracy").to_dict() == {1: 0.5, 3: 0.75}
    assert record.values("accuracy", step=0).to_dict() == {1: 0.2, 3: 0.1}
    with pytest.raises(KeyError, match="there is accuracy, loss"):
        record.values("acuracy")
    with pytest.raises(KeyError, match="no step 7 of accuracy"):
        record.values("accuracy", step=7)


def test_missing_result_names_the_command() -> None:
    with pytest.raises(ResultError, match=r"no result 'nix'.*lessons_lib.lab run nix"):
        read("nix")


@pytest.mark.parametrize("damage", ["truncated", "altered", "not json", "not a record"])
def test_damaged_result_is_never_used_and_left_as_it_is(tmp_path: Path, damage: str) -> None:
    path = saved(tmp_path)
    text = path.read_text()
    broken = {
        "truncated": text[: len(text) // 2],
        "altered": text.replace("0.75", "0.95"),
        "not json": "hello",
        "not a record": "[1, 2]",
    }[damage]
    assert broken != text
    path.write_text(broken)
    with pytest.raises(ResultError, match=r"damaged.*lab run first"):
        read("first", directory=tmp_path)
    assert path.read_text() == broken


def test_result_of_another_configuration_is_stale(tmp_path: Path) -> None:
    saved(tmp_path)
    with pytest.raises(ResultError, match=r"stale.*differs in tasks, width.*run first"):
        read("first", directory=tmp_path, config={"width": 9, "tasks": [2], "name": "x"})


def test_a_record_without_its_parts_is_damaged(tmp_path: Path) -> None:
    content = {"schema": 2, "name": "first"}
    (tmp_path / "first.json").write_text(json.dumps({**content, "checksum": digest(content)}))
    with pytest.raises(ResultError, match="damaged: no config, "):
        read("first", directory=tmp_path)


def test_result_of_another_schema_is_stale(tmp_path: Path) -> None:
    path = saved(tmp_path)
    content = json.loads(path.read_text())
    content.pop("checksum")
    content["schema"] = 0
    del content["series"]  # whatever another schema lacks
    path.write_text(json.dumps({**content, "checksum": digest(content)}))
    with pytest.raises(ResultError, match="expected schema 2, found 0"):
        read("first", directory=tmp_path)


def test_a_failing_save_keeps_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space"):
        saved(tmp_path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["first.json"]


def test_merge_joins_seeds_of_one_configuration() -> None:
    one = make_record("m", CONFIG, ROWS[:2], device="cpu", wall_seconds=2)
    two = make_record("m", CONFIG, ROWS[2:], device="cuda", wall_seconds=3)
    both = merge([one, two])
    assert both.seeds == (1, 3)
    assert both.wall_seconds == 5
    assert both.device == "cpu, cuda"
    older = dataclasses.replace(two, versions={**two.versions, "torch": "2.2.0"})
    assert merge([one, older]).versions["torch"] == f"{one.versions['torch']}, 2.2.0"
    with pytest.raises(ValueError, match=r"\[3\] twice"):
        merge([one, one])
    with pytest.raises(ValueError, match="one configuration"):
        merge([one, make_record("m", {}, ROWS[2:], device="cpu", wall_seconds=1)])
    with pytest.raises(ValueError, match="found none"):
        merge([])


def test_rows_that_are_no_measurements() -> None:
    row = {"seed": 0, "step": 5, "metric": "xi", "value": float("nan")}
    with pytest.raises(ValueError, match="found nan for xi of seed 0 at step 5"):
        make_record("m", {}, [row], device="cpu", wall_seconds=0)
    with pytest.raises(ValueError, match=r"found none of \['step'\]"):
        make_record("m", {}, [{"seed": 0, "metric": "a", "value": 1}], device="", wall_seconds=0)
    with pytest.raises(ValueError, match=r"found '\.\./x'"):
        make_record("../x", {}, [], device="cpu", wall_seconds=0)

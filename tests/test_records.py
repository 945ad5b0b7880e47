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
    {"seed": 1, "step": 10, "metric": "loss", "value": 0.0002003004},
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
    assert record.rows == (
        *((1, 0, "accuracy", 0.2), (1, 10, "accuracy", 0.5), (1, 10, "loss", 0.0002003)),
        *((3, 0, "accuracy", 0.1), (3, 20, "accuracy", 0.75)),
    ), "sorted, six significant digits"


def test_values_of_each_seed(tmp_path: Path) -> None:
    saved(tmp_path)
    record = read("first", directory=tmp_path)
    assert record.values("accuracy").to_dict() == {1: 0.5, 3: 0.75}
    assert record.values("accuracy", step=0).to_dict() == {1: 0.2, 3: 0.1}
    with pytest.raises(KeyError, match="there is accuracy, loss"):
        record.values("acuracy")
    with pytest.raises(KeyError, match="no step 7 of accuracy"):
        record.values("accuracy", step=7)


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


def test_a_result_that_is_missing_or_stale_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match=r"no result 'nix'.*lessons_lib.lab run nix"):
        read("nix", directory=tmp_path)
    path = saved(tmp_path)
    with pytest.raises(ResultError, match=r"stale.*differs in tasks, width.*run first"):
        read("first", directory=tmp_path, config={"width": 9, "tasks": [2], "name": "x"})
    content = json.loads(path.read_text())
    del content["checksum"], content["series"]  # whatever another schema lacks
    content["schema"] = 0
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


def test_a_value_that_is_no_number_is_refused() -> None:
    row = {"seed": 0, "step": 5, "metric": "xi", "value": float("nan")}
    with pytest.raises(ValueError, match="found nan for xi of seed 0 at step 5"):
        make_record("m", {}, [row], device="cpu", wall_seconds=0)

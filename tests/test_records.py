from dataclasses import replace
from pathlib import Path

import pytest

from lessons_lib.lab.records import ResultError, make_record, merge, read, save

ROWS = [
    {"seed": seed, "step": step, "metric": metric, "value": value}
    for seed, step, metric, value in (
        *((3, 0, "accuracy", 0.1), (3, 20, "accuracy", 0.75), (1, 0, "accuracy", 0.2)),
        *((1, 10, "accuracy", 0.5), (1, 10, "loss", 0.0002003004)),
    )
]
CONFIG = {"width": 8, "tasks": [1, 2], "name": "x"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A record in a file."""
    record = make_record("first", CONFIG, ROWS, device="cpu", wall_seconds=1.234)
    save(record, tmp_path / "first" / "lesson" / "hard.json")
    return tmp_path / "first" / "lesson" / "hard.json"


def test_round_trip_with_provenance(path: Path) -> None:
    record = read(path)
    assert (record.seeds, record.config) == ((1, 3), CONFIG)
    assert (record.device, record.wall_seconds) == ("cpu", 1.2)
    assert {"python", "torch", "numpy", "scipy", "lessons-lib"} <= set(record.versions)
    assert len(record.date) == len("2026-01-31")
    assert record.rows == (
        *((1, 0, "accuracy", 0.2), (1, 10, "accuracy", 0.5), (1, 10, "loss", 0.0002003)),
        *((3, 0, "accuracy", 0.1), (3, 20, "accuracy", 0.75)),
    ), "sorted, six significant digits"


def test_values_of_each_seed(path: Path) -> None:
    record = read(path)
    assert record.values("accuracy").to_dict() == {1: 0.5, 3: 0.75}
    assert record.values("accuracy", step=0).to_dict() == {1: 0.2, 3: 0.1}
    with pytest.raises(KeyError, match="there is accuracy, loss"):
        record.values("acuracy")
    with pytest.raises(KeyError, match="no 'accuracy' at step 7"):
        record.values("accuracy", step=7)


def test_damaged_result_is_never_used_and_left_as_it_is(path: Path) -> None:
    text = path.read_text()
    for damaged in (text[: len(text) // 2], text.replace("0.75", "0.95"), "[1, 2]"):
        path.write_text(damaged)
        with pytest.raises(ResultError, match=r"damaged.*lab run first --scale lesson"):
            read(path)
        assert path.read_text() == damaged != text


def test_merge_joins_seeds_of_one_configuration() -> None:
    one = make_record("m", CONFIG, ROWS[:2], device="cpu", wall_seconds=2)
    two = make_record("m", CONFIG, ROWS[2:], device="cuda", wall_seconds=3)
    both = merge([one, replace(two, versions={**two.versions, "torch": "2.2.0"})])
    assert (both.seeds, both.wall_seconds, both.device) == ((1, 3), 5, "cpu, cuda")
    assert both.versions == {**one.versions, "torch": f"{one.versions['torch']}, 2.2.0"}


def test_a_value_that_is_no_number_is_refused() -> None:
    row = {"seed": 0, "step": 5, "metric": "xi", "value": float("nan")}
    with pytest.raises(ValueError, match="found nan for xi of seed 0 at step 5"):
        make_record("m", {}, [row], device="cpu", wall_seconds=0)

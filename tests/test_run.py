"""The registry and its command line, with a die in place of a network."""

import multiprocessing
import os
import pickle
import re
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tqdm.auto import tqdm

from lessons_lib.config import Configuration
from lessons_lib.corpora.sources import CorpusUnavailable
from lessons_lib.lab import catalogue, long_runs, parallel, records, run
from lessons_lib.lab.catalogue import REGISTRY, Experiment, Scale
from lessons_lib.lab.records import PACKAGED, NotMeasuredError, ResultError, read
from lessons_lib.training import History

Patch = pytest.MonkeyPatch
Captured = pytest.CaptureFixture[str]


@dataclass(frozen=True)
class Dice(Configuration):
    sides: int = 6


MEASURED: list[tuple[int, int]] = []


def throw(config: Dice, seed: int) -> History:
    """Notes what it was asked for; the pips follow from the seed."""
    MEASURED.append((config.sides, seed))
    row = {"step": 0, "metric": "pips", "value": seed % config.sides}
    return History((row,), 7, True, 0.5, "cpu")


SCALES = {
    "paper": Scale(throw, {"six": Dice(), "four": Dice(4)}, (1, 2, 9)),
    "lesson": Scale(throw, {"coin": Dice(2)}, (1, 2)),
}
Register = Callable[..., None]


@pytest.fixture(autouse=True)
def register(monkeypatch: Patch) -> Iterator[Register]:
    """Registers the die, throws it in this process, and hands out how to register it otherwise."""

    def scales(**scales: Scale) -> None:
        entry = Experiment("How many pips?", scales, catalogue.last_values)
        monkeypatch.setattr(run, "REGISTRY", {"dice": entry})

    MEASURED.clear()
    scales(**SCALES)
    with ThreadPoolExecutor(1) as pool:
        honest = parallel.run_seeds
        monkeypatch.setattr(
            *(parallel, "run_seeds"),
            lambda *args, **options: honest(*args, **{**options, "executor": pool}),
        )
        yield scales


def measured(where: Path, **options: Any) -> dict[str, records.Record]:
    return run.run("dice", directory=where, **options)


def pips(records: dict[str, records.Record], arm: str = "six") -> dict[int, float]:
    return dict(zip(records[arm].seeds, records[arm].values("pips"), strict=True))


def test_a_run_goes_on_and_equal_settings_share_runs(tmp_path: Path, register: Register) -> None:
    measured(tmp_path, seeds=[2])
    found = measured(tmp_path)
    assert list(found) == ["six", "four"]
    assert pips(found) == {1: 1.0, 2: 2.0, 9: 3.0}
    assert pips(found, "four") == {1: 1.0, 2: 2.0, 9: 1.0}
    six = found["six"]
    assert (six.name, six.config, six.wall_seconds) == ("six", {"sides": 6}, 1.5)
    assert MEASURED == [(6, 2), (4, 2), (6, 1), (6, 9), (4, 1), (4, 9)]
    register(again=Scale(throw, {"other": Dice(4), "new": Dice(5)}, (2, 9)))
    found = measured(tmp_path)
    assert pips(found, "other") == {2: 2.0, 9: 1.0}
    assert pips(found, "new") == {2: 2.0, 9: 4.0}
    assert MEASURED[6:] == [(5, 2), (5, 9)]


def part(config: Dice, seed: int) -> History:
    """Keeps a part of itself, as long runs do."""
    long_runs.save(seed, long_runs.directory() / "part.pt")
    return throw(config, seed)


def test_what_a_run_keeps_lies_beside_its_record(
    tmp_path: Path, register: Register, monkeypatch: Patch
) -> None:
    monkeypatch.setenv("LESSONS_CACHE", str(tmp_path))
    register(lesson=Scale(part, {"six": Dice()}, (4,)))
    measured(tmp_path / "scratch")
    run.run("dice")
    for folder in (tmp_path / "scratch", tmp_path / "runs"):
        assert {path.name for path in folder.rglob("*.*")} == {"part.pt", "seed-4.json"}
    assert MEASURED == [(6, 4), (6, 4)]


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda two: two.replace("[0.0]", "[1.0]"), "damaged or was altered: .*schema 2"),
        (lambda two: two[: len(two) // 2], "damaged or was altered: .*"),
    ],
    ids=["altered", "truncated"],
)
def test_a_damaged_seed_is_measured_again(tmp_path: Path, damage: Any, complaint: str) -> None:
    measured(tmp_path, scale="lesson")
    two = next(tmp_path.rglob("seed-2.json"))
    broken = damage(two.read_text())
    two.write_text(broken)
    with pytest.warns(UserWarning, match=f"{complaint}; set aside as seed-2.json.set-aside-"):
        records = measured(tmp_path, scale="lesson")
    assert pips(records, "coin") == {1: 1.0, 2: 0.0}
    assert MEASURED == [(2, 1), (2, 2), (2, 2)]
    (aside,) = tmp_path.rglob("*.set-aside-*")
    assert aside.read_text() == broken
    assert read(two).seeds == (2,)


def _throw_and_die(where: Path, moment: str) -> None:
    """A run that is killed while its second seed is written."""
    honest = Path.replace

    def dying(temporary: Path, target: Path) -> None:
        second = target.name == "seed-2.json"
        if second and moment == "half written":
            temporary.write_text(temporary.read_text()[:40])
        if not second or moment == "renamed":
            honest(temporary, target)
        if second:
            os.kill(os.getpid(), signal.SIGKILL)

    # The bar's own lock is shared by forked processes: one that is killed may leave it closed.
    tqdm.set_lock(threading.RLock())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "replace", dying)
        measured(where)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="starts by fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("moment", ["half written", "written", "renamed"])
def test_a_run_that_is_killed_loses_no_finished_seed(tmp_path: Path, moment: str) -> None:
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_throw_and_die, args=(tmp_path, moment))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert pips(measured(tmp_path)) == {1: 1.0, 2: 2.0, 9: 3.0}
    again = [(6, 9)] if moment == "renamed" else [(6, 2), (6, 9)]
    assert MEASURED[:-3] == again, "and then the other arm"
    assert not list(tmp_path.rglob("*set-aside*"))


def cli(capsys: Captured, *arguments: str) -> str:
    assert run.main(arguments) == 0
    return capsys.readouterr().out


@pytest.fixture
def package(tmp_path: Path, monkeypatch: Patch) -> Path:
    """A package directory and a cache of the test's own."""
    monkeypatch.setenv("LESSONS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(records, "PACKAGED", tmp_path / "package")
    return tmp_path / "package"


def test_command_line_from_nothing_to_a_report(package: Path, capsys: Captured) -> None:
    assert "paper: 3 seeds of 2 arms: six, four" in cli(capsys, "list")
    assert re.search(r"dice +paper +2 +3 +0 +no result of dice", cli(capsys, "status"))
    assert run.main(["report"]) == 1
    assert "make it with: python -m lessons_lib.lab run dice" in capsys.readouterr().out

    assert "2 of 3 seeds are done" in cli(capsys, "run", "dice", "--seeds", "2")
    assert not package.exists()
    assert re.search(r"dice +paper +2 +3 +4 +no result", cli(capsys, "status"))

    assert "2 records of 3 seeds each" in cli(capsys, "run", "dice")
    assert "1 records of 2 seeds" in cli(capsys, "run", "dice", "--scale", "lesson")
    assert pips(run.current("dice")) == {1: 1.0, 2: 2.0, 9: 3.0}
    shown = cli(capsys, "status")
    assert re.search(r"dice +paper +2 +3 +6 +complete", shown)
    assert re.search(r"dice +lesson +1 +2 +2 +complete", shown)
    shown = cli(capsys, "report", "dice")
    assert "dice, paper scale: How many pips?" in shown
    assert re.search(r"pips +2\.000 \[-0\.484, 4\.484\] \(n\xa0=\xa03\)", shown)


def no_corpus_for_six(config: Dice, seed: int) -> History:
    """Finds a corpus for four sides only."""
    if config.sides == 6:
        raise CorpusUnavailable("pips are not here.\nTwo remedies: this and that")
    return throw(config, seed)


def test_without_a_corpus_other_arms_are_measured_and_written(
    package: Path, capsys: Captured, register: Register
) -> None:
    register(paper=Scale(no_corpus_for_six, {"six": Dice(), "four": Dice(4)}, (1, 2)))
    assert run.main(["run", "dice"]) == 1
    told = capsys.readouterr()
    assert "six: not measured here: pips are not here.\nTwo remedies: this and that" in told.err
    assert "1 records of 2 seeds" in told.out
    assert told.out.endswith("not measured here: six\n")
    assert [path.name for path in package.rglob("*.json")] == ["four.json"]
    sent = pickle.loads(pickle.dumps(CorpusUnavailable("in one line.\nAll of it")))
    assert (str(sent), sent.reason) == ("in one line.\nAll of it", "in one line")


@dataclass(frozen=True)
class Read(Dice):
    corpus: str = "nowhere"


def test_a_corpus_is_asked_for_before_the_first_run(tmp_path: Path, register: Register) -> None:
    register(lesson=Scale(throw, {"six": Dice(), "read": Read()}, (1,)))
    with pytest.raises(ValueError, match="nowhere"):
        measured(tmp_path)
    assert MEASURED == []


@pytest.mark.parametrize("taken", ["cache", "package", "out"])
@pytest.mark.usefixtures("package")
def test_what_cannot_be_written_is_said_before_the_first_run(tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).touch()
    where = ["--out", str(tmp_path / "out")] if taken == "out" else []
    with pytest.raises(OSError, match=rf"{taken}.* cannot be written .*LESSONS_CACHE"):
        run.main(["run", "dice", *where])
    assert MEASURED == []


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--arm", "five"), "dice has no arm 'five'; there is six, four"),
        (("--seeds", "0"), "expected 1 to 3 for --seeds, found 0"),
        (("--scale", "huge"), "no scale 'huge' of dice; there is paper, lesson"),
    ],
)
def test_commands_refused(arguments: tuple[str, ...], complaint: str, capsys: Captured) -> None:
    with pytest.raises(SystemExit):
        run.main(["run", "dice", *arguments])
    assert complaint in capsys.readouterr().err
    assert MEASURED == []


def test_stale_records_say_why(package: Path, capsys: Captured, register: Register) -> None:
    arms = {"six": Dice(), "four": Dice(4)}
    told = Scale(throw, arms, (1, 2), deviations=("four sides", "seeds: 2"))
    register(lesson=told)
    cli(capsys, "run", "dice")
    assert run.current("dice")["four"].deviations == ("four sides", "seeds: 2")
    shown = cli(capsys, "report", "dice")
    assert "Differs from the authors' set-up in:\n  - four sides\n  - seeds: 2\n" in shown
    changes: list[tuple[dict[str, Any], str]] = [
        ({"deviations": ()}, r"expected deviations \(\), found \('four sides'.* --scale lesson"),
        ({"seeds": (1, 8)}, r"expected seeds \(1, 8\), found \(1, 2\)"),
        ({"arms": {"six": Dice(3)}}, "expected sides 3, found 6"),
    ]
    for changed, message in changes:
        register(lesson=replace(told, **changed))
        with pytest.raises(ResultError, match=message):
            run.current("dice", "lesson")


def test_arms_are_run_and_loaded_apart(package: Path, capsys: Captured) -> None:
    with pytest.raises(NotMeasuredError, match="no result of dice, paper scale; make it with"):
        records.load("dice", "paper")
    assert "1 records of 3 seeds" in cli(capsys, "run", "dice", "--arm", "four")
    assert [path.name for path in package.rglob("*.json")] == ["four.json"]
    with pytest.raises(NotMeasuredError, match="no result 'six'"):
        run.current("dice")
    assert "2 records of 3 seeds" in cli(capsys, "run", "dice", "--arm", "six", "--arm", "four")
    assert len(records.load("dice")) == 2


EVERY = [(name, scale) for name, entry in REGISTRY.items() for scale in entry.scales]


@pytest.mark.parametrize(("name", "scale"), EVERY)
def test_packaged_records_are_complete_and_told(name: str, scale: str, monkeypatch: Patch) -> None:
    monkeypatch.setattr(run, "REGISTRY", REGISTRY)
    records = run.current(name, scale)
    assert list(records) == list(REGISTRY[name].scales[scale].arms)
    report = REGISTRY[name].report(records)
    assert isinstance(report, pd.DataFrame)
    assert not report.empty


def test_packaged_records_are_small_and_all_registered() -> None:
    files = list(PACKAGED.rglob("*.json"))
    # As text; a wheel holds them in a fifth of that.
    assert sum(path.stat().st_size for path in files) < 10_000_000
    registered = {
        (name, scale, arm) for name, scale in EVERY for arm in REGISTRY[name].scales[scale].arms
    }
    assert {(*path.parts[-3:-1], path.stem) for path in files} == registered

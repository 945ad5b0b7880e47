"""The environment, the pins and the stages of `make test`."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import course
import environment
import stages
from environment import CourseError, Project

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def installer(monkeypatch: Any) -> list[str]:
    """What was installed, without installing anything; an entry "broken" makes it fail."""
    done: list[str] = []

    def step(name: str) -> Any:
        def do(*_: Any, **__: Any) -> None:
            if "broken" in done:
                raise CourseError("the network is gone")
            done.append(name)

        return do

    def create(tiny: Any) -> None:
        done.append("venv")
        environment.write_atomically(tiny.stamp, "{}")

    monkeypatch.setattr(environment, "works", lambda tiny: tiny.stamp.exists())
    monkeypatch.setattr(environment, "create", create)
    monkeypatch.setattr(environment, "call", lambda *_, **__: 0)
    monkeypatch.setattr(environment, "install_pins", step("pins"))
    monkeypatch.setattr(environment, "install_package", step("package"))
    return done


def test_the_environment_is_brought_up_to_date_and_not_more(
    project: Any, installer: list[str], capsys: Any
) -> None:
    environment.ensure(project)
    assert installer == ["venv", "pins", "package"]
    capsys.readouterr()
    environment.ensure(project)
    assert (len(installer), capsys.readouterr().out) == (3, "")
    (project.root / "lessons_lib" / "data.json").write_text("{}", encoding="utf-8")
    environment.ensure(project)
    assert installer[3:] == ["package"]
    (project.root / "requirements.txt").write_text("torch==2.13.1\n", encoding="utf-8")
    environment.ensure(project)
    assert installer[4:] == ["pins", "package"]
    (project.root / "lessons_lib" / "data.json").unlink()
    installer[:] = ["broken"]
    with pytest.raises(CourseError, match="network"):
        environment.ensure(project)
    assert project.stamp.read_text("utf-8") == "{}"
    installer.clear()
    environment.ensure(project)
    assert installer == ["pins", "package"], "what was interrupted is taken up again"


@pytest.mark.parametrize("answers", [True, False], ids=["reachable", "cut off"])
def test_torch_comes_from_the_cpu_index_only_where_that_answers(
    project: Any, monkeypatch: Any, capsys: Any, answers: bool
) -> None:
    commands: list[tuple[str, ...]] = []

    def pip(_: Project, *arguments: str) -> None:
        commands.append(arguments)
        if environment.CPU_INDEX in arguments and not answers:
            raise CourseError("no answer")

    monkeypatch.setattr(environment, "pip", pip)
    environment.install_pins(project, cpu=True)
    first, usual = commands
    assert usual == ("install", "-r", "requirements.txt")
    assert {"--no-deps", environment.CPU_INDEX, "torch==2.13.0"} < set(first)
    assert ("from the usual index instead" in capsys.readouterr().out) is not answers


def test_a_half_written_file_does_not_replace_a_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    environment.write_atomically(path, "whole")
    with pytest.raises(UnicodeEncodeError):
        environment.write_atomically(path, "half \ud800")
    assert path.read_text("utf-8") == "whole"
    assert [each.name for each in tmp_path.iterdir()] == ["kept.json"]


def test_the_pins_are_exact_complete_and_name_no_index() -> None:
    def lines(name: str) -> list[str]:
        text = (ROOT / name).read_text(encoding="utf-8")
        return [line for line in text.splitlines() if line and not line.startswith("#")]

    pins = [re.fullmatch(r"([a-z0-9.-]+)==([\w.]+)( ; .+)?", p) for p in lines("requirements.txt")]
    assert all(pins), "expected name==version, without options, addresses and local versions"
    names = {pin[1] for pin in pins if pin}
    assert {re.split(r"[=<>]", direct)[0] for direct in lines("requirements.in")} <= names
    assert not [name for name in names if environment.BROUGHT_BY_TORCH.match(name)]


def test_one_failing_stage_fails_the_whole_and_stops_no_other(
    project: Any, monkeypatch: Any, capsys: Any
) -> None:
    seen: list[str] = []

    def stage(name: str, _: Project) -> int:
        seen.append(name)
        return int(name == "types")

    for name in stages.STAGES:
        monkeypatch.setitem(stages.STAGES, name, partial(stage, name))
    assert course.run(course.parse(["test"]), project, inside=True) == 1
    assert seen == ["style", "types", "unit", "chapters", "site"]
    rows = dict(line.split()[:2] for line in capsys.readouterr().out.splitlines()[-6:-1])
    assert rows == dict.fromkeys(seen, "passed") | {"types": "FAILED"}
    assert course.run(course.parse(["test", "--only", "unit"]), project, inside=True) == 0
    assert seen[5:] == ["unit"]

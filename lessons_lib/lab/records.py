"""The record of a run: what was measured, from which configuration, on what, and when.

A record is one JSON file with a checksum of its content, so that damage is noticed.
"""

from __future__ import annotations

import json
import math
import platform
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

from lessons_lib import __version__
from lessons_lib.config import digest

SCHEMA = 2
"""Raised when the file format changes; a file of another schema is stale."""
PACKAGED = Path(__file__).parent.with_name("records")
"""Where the records that the book shows lie, inside the package."""
COLUMNS = ("seed", "step", "metric", "value")
Row = tuple[int, int, str, float]


class ResultError(RuntimeError):
    """A result is missing, damaged or stale; the message says how to make it again."""


class NotMeasuredError(ResultError):
    """A result is not there; others may be."""


@dataclass(frozen=True)
class Record:
    """Measurements of one configuration over some seeds, with provenance."""

    name: str
    config: Mapping[str, Any]  #: as plain values
    #: ``(seed, step, metric, value)``, sorted by seed, metric, step; six significant digits
    rows: tuple[Row, ...]
    device: str  #: where it ran: ``"cpu"``, ``"cuda"`` or ``"mps"``
    wall_seconds: float  #: time of all its seeds together, as if run one after the other
    date: str
    versions: Mapping[str, str]  #: of Python and of the packages that could change a number
    deviations: tuple[str, ...] = ()  #: what differs from the authors' set-up, in words
    position: int = 0  #: its place among the arms of its experiment

    @property
    def config_hash(self) -> str:
        """SHA-256 of the configuration."""
        return digest(self.config)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that it holds, in ascending order."""
        return tuple(sorted({row[0] for row in self.rows}))

    def frame(self) -> pd.DataFrame:
        """The rows as a data frame with the columns seed, step, metric and value."""
        return pd.DataFrame(list(self.rows), columns=list(COLUMNS))

    def values(self, metric: str, step: int | None = None) -> pd.Series[float]:
        """One metric for each seed, at a step or the last one; a ``KeyError`` if none."""
        whole = self.frame()
        found = whole[whole["metric"] == metric]
        if found.empty:
            known = ", ".join(sorted(whole["metric"].unique()))
            raise KeyError(f"no metric {metric!r} in {self.name}; there is {known}")
        if step is not None and not (found["step"] == step).any():
            steps = sorted(found["step"].unique())
            raise KeyError(f"no step {step} of {metric} in {self.name}; there is {steps}")
        found = found if step is None else found[found["step"] == step]
        return found.sort_values("step").groupby("seed")["value"].last()


def make_record(
    name: str,
    config: Mapping[str, Any],
    rows: Iterable[Mapping[str, Any]],
    *,
    device: str,
    wall_seconds: float,
) -> Record:
    """A record of measurements made just now; a ``ValueError`` if one is NaN or infinite."""
    versions = {"python": platform.python_version(), "lessons-lib": __version__}
    versions |= {package: metadata.version(package) for package in ("torch", "numpy", "scipy")}
    found = []
    for row in rows:
        seed, step, metric, value = (row[column] for column in COLUMNS)
        if not math.isfinite(value):
            raise ValueError(
                f"expected a finite value, found {value} for {metric} of seed {seed} at step {step}"
            )
        found.append((int(seed), int(step), str(metric), float(f"{float(value):.6g}")))
    seconds, today = round(float(wall_seconds), 1), datetime.now(UTC).date().isoformat()
    return Record(name, dict(config), _sorted(found), device, seconds, today, versions)


def _sorted(rows: Iterable[Row]) -> tuple[Row, ...]:
    return tuple(sorted(rows, key=lambda row: (row[0], row[2], row[1])))


def merge(records: Sequence[Record]) -> Record:
    """Records of one configuration and different seeds as one."""
    versions = {
        package: ", ".join(dict.fromkeys(record.versions[package] for record in records))
        for package in records[0].versions
    }
    return replace(
        records[0],
        rows=_sorted(row for record in records for row in record.rows),
        device=", ".join(sorted({record.device for record in records})),
        wall_seconds=round(sum(record.wall_seconds for record in records), 1),
        date=max(record.date for record in records),
        versions=versions,
    )


def ends_of(record: Record) -> Record:
    """A record with the first and the last step of each seed only."""
    ends = record.frame().groupby("seed")["step"].agg(["min", "max"]).T.to_dict("list")
    return replace(record, rows=tuple(row for row in record.rows if row[1] in ends[row[0]]))


def frame(records: Mapping[str, Record]) -> pd.DataFrame:
    """Rows of several records, by arm, as one data frame: arm, seed, step, metric, value."""
    parts = [record.frame().assign(arm=arm) for arm, record in records.items()]
    return pd.concat(parts, ignore_index=True)[["arm", *COLUMNS]]


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file that is whole at every moment, or not there, also with two writers at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    try:
        write(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def save(record: Record, path: Path) -> None:
    """Write a record with ``write_whole``."""
    # A series [seed, metric, [steps], [values]] has a third of the size of single rows.
    series: dict[tuple[int, str], list[Any]] = {}
    for seed, step, metric, value in record.rows:
        _, _, steps, values = series.setdefault((seed, metric), [seed, metric, [], []])
        steps.append(step)
        values.append(value)
    content = {
        "schema": SCHEMA,
        **{key: value for key, value in vars(record).items() if key != "rows"},
        "config_hash": record.config_hash,
        "seeds": list(record.seeds),
        "deviations": list(record.deviations),
        "series": list(series.values()),
    }
    text = json.dumps({**content, "checksum": digest(content)}, indent=None, allow_nan=False)
    # One series a line: readable, and a change shows in a diff.
    text = text.replace("]], [", "]],\n[") + "\n"
    write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def command(name: str, scale: str) -> str:
    """The command that makes the records of an experiment, for messages."""
    return f"python -m lessons_lib.lab run {name} --scale {scale}"


def load(name: str, scale: str | None = None) -> dict[str, Record]:
    """The records of an experiment in the package, arm by arm.

    ``run.current`` and ``run.checked`` ask whether they match the catalogue.

    Raises:
        NotMeasuredError: there is none; the message names the command that makes it.
        ResultError: a record is damaged, or there are several scales and none was named.
    """
    where = PACKAGED / name
    scales = sorted(path.name for path in where.iterdir()) if where.is_dir() else []
    if scale is None and len(scales) > 1:
        raise ResultError(f"expected a scale of {name}: {', '.join(scales)}; found none")
    scale = scale or "".join(scales) or "lesson"
    remedy = command(name, scale)
    paths = (where / scale).glob("*.json")
    found = [read(path.stem, directory=path.parent, remedy=remedy) for path in paths]
    known = sorted({path.parts[-3] for path in PACKAGED.glob("*/*/*.json")})
    if not found and known and name not in known:
        raise NotMeasuredError(
            f"no result of {name}; there is {', '.join(known)}. If `python -m lessons_lib.lab "
            f"list` shows it, make it with: {remedy}"
        )
    if not found:
        raise NotMeasuredError(f"no result of {name}, {scale} scale; make it with: {remedy}")
    return {record.name: record for record in sorted(found, key=lambda r: (r.position, r.name))}


def read(
    name: str,
    *,
    directory: Path,
    config: Mapping[str, Any] | None = None,
    remedy: str | None = None,
) -> Record:
    """Read the file of one record, made with ``config`` if one is given.

    Raises:
        NotMeasuredError: it is missing.
        ResultError: it is damaged, or stale (another schema or configuration). The message names
            ``remedy``, which makes it again.
    """
    path = directory / f"{name}.json"
    remedy = f"make it again with: {remedy or f'python -m lessons_lib.lab run {name}'}"

    def refused(problem: str) -> ResultError:
        return ResultError(f"the result {path} is {problem}; {remedy}")

    if not path.is_file():
        raise NotMeasuredError(f"no result {name!r} at {path}; {remedy}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        checksum = content.pop("checksum")
        intact = digest(content) == checksum
    except (ValueError, KeyError, AttributeError, TypeError):
        raise refused("damaged: not a record") from None
    if not intact:
        raise refused("damaged or was altered: its content does not match its checksum")
    if content.get("schema") != SCHEMA:
        raise refused(f"stale: expected schema {SCHEMA}, found {content['schema']}")
    made_with = content["config"]
    if config is not None and digest(config) != content["config_hash"]:
        keys = sorted(set(config) | set(made_with))
        differing = ", ".join(key for key in keys if config.get(key) != made_with.get(key))
        raise refused(f"stale: made with another configuration (differs in {differing})")
    return Record(
        rows=tuple(
            (int(seed), int(step), str(metric), float(value))
            for seed, metric, steps, values in content["series"]
            for step, value in zip(steps, values, strict=True)
        ),
        deviations=tuple(content.get("deviations", ())),
        position=content.get("position", 0),
        **{k: content[k] for k in ("name", "config", "device", "wall_seconds", "date", "versions")},
    )

"""The record of a run: what was measured, from which configuration, on what, and when.

A record is one JSON file with a checksum of its content, so that damage is noticed.
"""

from __future__ import annotations

import json
import math
import platform
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from importlib import metadata
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import pandas as pd

from lessons_lib import __version__
from lessons_lib.config import digest, refuse

SCHEMA = 2
"""Raised when the file format changes; a file of another schema is stale."""
PACKAGED = Path(__file__).parent.with_name("records")
"""Where the records that the book shows lie, inside the package."""
COLUMNS = ("seed", "step", "metric", "value")
Row = tuple[int, int, str, float]
_ORDER = itemgetter(0, 2, 1)
"""Of rows: by seed, metric, step."""


class ResultError(RuntimeError):
    """A result is missing, damaged or stale; the message says how to make it again."""


class NotMeasuredError(ResultError):
    """A result is not there; others may be."""


@dataclass(frozen=True)
class Record:
    """Measurements of one configuration over some seeds, with provenance."""

    name: str
    config: Mapping[str, Any]  #: as plain values
    #: ``COLUMNS``, sorted by seed, metric, step; values have six significant digits
    rows: tuple[Row, ...]
    device: str  #: where it ran: ``"cpu"``, ``"cuda"`` or ``"mps"``
    wall_seconds: float  #: time of all its seeds together, as if run one after the other
    date: str
    versions: Mapping[str, str]  #: of Python and of the packages that could change a number
    deviations: tuple[str, ...] = ()  #: what differs from the authors' set-up, in words
    position: int = 0  #: its place among the arms of its experiment

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
        found = found if step is None else found[found["step"] == step]
        if found.empty:
            at, known = "" if step is None else f" at step {step}", set(whole["metric"])
            raise KeyError(f"no {metric!r}{at} in {self.name}; there is {', '.join(sorted(known))}")
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
        told = f"a finite value, found {value} for {metric} of seed {seed} at step {step}"
        refuse({told: not math.isfinite(value)})
        found.append((int(seed), int(step), str(metric), float(f"{float(value):.6g}")))
    seconds, today = round(float(wall_seconds), 1), datetime.now(UTC).date().isoformat()
    ordered = tuple(sorted(found, key=_ORDER))
    return Record(name, dict(config), ordered, device, seconds, today, versions)


def merge(records: Sequence[Record]) -> Record:
    """Records of one configuration and different seeds as one."""
    found = pd.DataFrame([record.versions for record in records])
    return replace(
        records[0],
        rows=tuple(sorted((row for one in records for row in one.rows), key=_ORDER)),
        device=", ".join(sorted({record.device for record in records})),
        wall_seconds=round(sum(record.wall_seconds for record in records), 1),
        date=max(record.date for record in records),
        versions={package: ", ".join(found[package].unique()) for package in records[0].versions},
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
    series = []
    for (seed, metric), rows in groupby(record.rows, itemgetter(0, 2)):
        _, steps, _, values = zip(*rows, strict=True)
        series.append((seed, metric, steps, values))
    content = {
        "schema": SCHEMA,
        **{key: value for key, value in vars(record).items() if key != "rows"},
        "config_hash": digest(record.config),
        "seeds": list(record.seeds),
        "deviations": list(record.deviations),
        "series": series,
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

    ``run.current`` and ``run.checked`` ask whether they match the catalogue. A ``ResultError`` if
    one is damaged, or there are several scales and none was named; a ``NotMeasuredError`` if there
    is none.
    """
    where = PACKAGED / name
    scales = sorted(path.name for path in where.glob("*"))
    if scale is None and len(scales) > 1:
        raise ResultError(f"expected a scale of {name}: {', '.join(scales)}; found none")
    scale = scale or "".join(scales) or "lesson"
    found = [read(path) for path in (where / scale).glob("*.json")]
    if not found:
        remedy = f"make it with: {command(name, scale)}"
        raise NotMeasuredError(f"no result of {name}, {scale} scale; {remedy}")
    return {record.name: record for record in sorted(found, key=lambda r: (r.position, r.name))}


def read(path: Path) -> Record:
    """Read a record; a ``ResultError`` if it is damaged, or of another schema."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        intact = content.pop("checksum") == digest(content) and content["schema"] == SCHEMA
    except (ValueError, KeyError, AttributeError, TypeError):
        intact = False
    if not intact:
        raise ResultError(
            f"the result {path} is damaged or was altered: its content does not match its checksum "
            f"or is not of schema {SCHEMA}; make it again with: {command(*path.parts[-3:-1])}"
        )
    content["deviations"] = tuple(content["deviations"])
    content["rows"] = tuple(
        (int(seed), int(step), str(metric), float(value))
        for seed, metric, steps, values in content["series"]
        for step, value in zip(steps, values, strict=True)
    )
    return Record(**{f.name: content[f.name] for f in fields(Record) if f.name in content})

"""The scoreboard: claims of the paper with what we measured beside them.

``python -m lessons_lib.scoreboard`` prints the rows, ``again ROW`` measures one of them again from
scratch and compares the two.
"""

import argparse
import sys
import tempfile
import textwrap
import tomllib
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pandas as pd

from lessons_lib.corpora.sources import CorpusUnavailable
from lessons_lib.lab.cluster import ClusterError, cluster_executor
from lessons_lib.lab.records import NotMeasuredError, Record, ResultError
from lessons_lib.scoreboard import claim, on_copying, on_heads, on_text
from lessons_lib.scoreboard.claim import OURS, Loader, Noting, Row, Thresholds, checked

MEASURES = vars(on_text) | vars(on_copying) | vars(on_heads)


def _row(name: str, words: dict[str, Any]) -> Row:
    measure = MEASURES[words.pop("measure", name.replace("-", "_"))]
    return Row(name, measure=partial(measure, **words.pop("settings", {})), **words)


_WORDS = tomllib.loads(Path(__file__).with_name("rows.toml").read_text("utf-8"))
ROWS = tuple(_row(name, words) for name, words in _WORDS.items())
"""In the order of the scoreboard."""
MORE = {"The paper": "published", "In full": "ours", "Set-up": "setup"}
MORE |= {"Rule": "rule", "Why": "reasons"}
"""What a row unfolds on a page."""


def rows() -> dict[str, Row]:
    """The claims by their identifiers."""
    return {row.name: row for row in ROWS}


def scoreboard(load: Loader = checked, thresholds: Thresholds = OURS) -> pd.DataFrame:
    """A row for each claim, of ``Claim.to_dict``; a ``ResultError`` for a bad or stale record."""
    once = Noting(load)
    return pd.DataFrame([row(once, thresholds).to_dict() for row in ROWS])


def in_words(row: Mapping[Any, Any]) -> str:
    """A row of ``scoreboard`` as text."""
    about = f"{row['claim']} ({row['part']}; chapter {row['chapter']})"
    more = {"Ours": "interval", "Runs": "runs", **MORE, "Again": "command"}
    told = [f"{label.lower()}: {row[name]}" for label, name in more.items() if row[name]]
    return "\n  ".join([f"{row['row']}: {row['verdict']}", about, *told])


def of_first_seeds(load: Loader, count: int | None) -> Loader:
    """A loader of the same records with their first seeds only, and their share of the time."""

    def first(record: Record) -> Record:
        kept = record.seeds[:count]
        seconds = record.wall_seconds * len(kept) / len(record.seeds)
        rows = tuple(row for row in record.rows if row[0] in kept)
        return replace(record, rows=rows, wall_seconds=seconds)

    return lambda name, scale: {arm: first(record) for arm, record in load(name, scale).items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status.

    0: all rows could be printed, or one came out within its interval; 1: not; 2: not comparable.
    """
    parser = argparse.ArgumentParser(prog="python -m lessons_lib.scoreboard", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    again = commands.add_parser("again", help="measure a row again from scratch and compare")
    again.add_argument("row", choices=list(rows()), metavar="ROW", help=", ".join(rows()))
    again.add_argument("--seeds", type=int, metavar="N", help="the first N seeds only: faster")
    kept = "keep new runs there, and use those that are there: a run that is stopped goes on"
    again.add_argument("--cache", type=Path, metavar="DIR", help=kept)
    again.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask cluster, to run there")
    options = parser.parse_args(arguments)
    if options.command is None:
        return _show()
    try:
        with (
            cluster_executor(options.scheduler) as executor,
            tempfile.TemporaryDirectory(prefix="again-") as scratch,
        ):
            directory = options.cache or Path(scratch)
            return _again(rows()[options.row], options.seeds, directory, executor)
    except (ClusterError, CorpusUnavailable, ResultError) as error:
        sys.stderr.write(f"{error}\n")
        return 2


def _show() -> int:
    """Print what there is; a row without records says so."""
    status, load = 0, Noting(checked)
    for row in ROWS:
        try:
            told = in_words(row(load).to_dict())
        except ResultError as error:
            told, status = f"{row.name}\n  {error}", 1
        for line in told.splitlines():
            _write(textwrap.fill(line, 100, subsequent_indent=" " * 6))
        _write("")
    return status


def _again(row: Row, count: int | None, directory: Path, executor: Executor | None) -> int:
    """Measure the experiments of a row, the first ``count`` seeds or all, and compare."""
    from lessons_lib.lab import run  # which loads all models

    there = Noting(checked)
    recorded = row(there)
    old, asked = recorded.to_dict(), Noting(of_first_seeds(there, count))
    if recorded.found.value is None:
        raise ResultError(f"nothing to compare with: {old['ours']}")
    known = max(len(record.seeds) for record in there.all)
    if count is not None and not 1 <= count <= known:
        raise ResultError(f"expected 1 to {known} for --seeds, found {count}")
    try:
        expected = row(asked)
    except ValueError as error:  # too few for the row: said before hours of work, not after
        raise ResultError(f"too few seeds for this row, {count}: {error}") from error
    for (name, scale), records in asked.found.items():
        took = timedelta(seconds=round(sum(record.wall_seconds for record in records.values())))
        n = sum(len(record.seeds) for record in records.values())
        _write(f"{name}, {scale} scale: {n} seeds to measure, recorded in {took} h of one core.")

    def measure(name: str, scale: str) -> Mapping[str, Record]:
        if (name, scale) not in asked.found:  # a row may look for more than there is
            raise NotMeasuredError(f"{name}, {scale} scale: no record to compare with")
        seeds = run.experiment(name).scales[scale].seeds[:count]
        return run.run(name, scale, seeds=seeds, directory=directory, executor=executor)

    found = row(measure)
    if (count or known) < known:
        found = claim.with_fewer_seeds(found, recorded.verdict)
    new = found.to_dict()
    within = old["low"] - 1e-9 <= new["estimate"] <= old["high"] + 1e-9
    _write(f"\n{row.claim}\n\n{'':<9} {'recorded':<48}  again")
    for name in ("ours", "interval", "runs", "verdict"):
        sides = (textwrap.wrap(str(told[name]), 48) for told in (old, new))
        for label, left, right in zip_longest([name], *sides, fillvalue=""):
            _write(f"{label:<9} {left:<48}  {right}".rstrip())
    _write(
        f"\nThe new estimate, {new['estimate']:.4g}, lies {'within' if within else 'outside'} the "
        f"recorded interval, [{old['low']:.4g}, {old['high']:.4g}]. The recorded runs of these "
        f"seeds alone give {expected.interval}."
    )
    return 0 if within else 1


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()

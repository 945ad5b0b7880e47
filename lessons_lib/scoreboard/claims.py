"""The scoreboard: claims of the paper with what we measured beside them.

Everything but the wording is computed from the recorded results when it is asked for.
``python -m lessons_lib.scoreboard`` prints the rows, ``again ROW`` measures one of them again from
scratch and compares the two.
"""

from __future__ import annotations

import argparse
import functools
import sys
import tempfile
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from itertools import zip_longest
from pathlib import Path

import pandas as pd

from lessons_lib.lab import experiments
from lessons_lib.lab.results import Record, ResultError
from lessons_lib.scoreboard import on_copying, on_text
from lessons_lib.scoreboard.claim import Claim, Loader

Row = Callable[[Loader], Claim]

CLAIMS: Mapping[int, tuple[Row, ...]] = {
    3: (on_text.cooccurrence_teaches_words,),
    4: (
        on_text.ktiw_comes_first,
        on_text.attention_is_uniform_early,
        on_text.uniform_classifier_foretells,
        on_text.uniform_translator_foretells,
        on_text.bag_foretells_uniform_classifier,
        on_text.bag_foretells_uniform_translator,
        on_text.uniform_classifier_foretells_saliency,
        on_text.uniform_translator_foretells_saliency,
        on_text.xi_is_high_in_classification,
        on_text.xi_is_high_in_translation,
        on_text.uniform_attention_is_as_good,
        on_text.attention_is_on_salient_words,
    ),
    5: (on_copying.words_drive_attention, on_copying.attention_needs_words),
    6: (on_copying.hard_is_slower, on_copying.cannot_copy),
    7: (
        on_copying.several_heads_align,
        on_copying.heads_not_parameters,
        on_copying.bad_heads_fail,
    ),
}
"""Chapter -> its claims, in the order of the scoreboard."""
COLUMN = 48
"""Characters in a column of a comparison."""


def rows() -> dict[str, Row]:
    """The claims by their identifiers: ``"hard-is-slower"`` is ``hard_is_slower``."""
    return {claim.__name__.replace("_", "-"): claim for group in CLAIMS.values() for claim in group}


def scoreboard(chapter: int | None = None, load: Loader = experiments.load) -> pd.DataFrame:
    """A row for each claim, of one chapter or of all: the fields of ``Claim`` as columns.

    Args:
        chapter: only its claims; all if ``None``. Records of other chapters are not needed then.
        load: where records come from: the package's own by default.

    Raises:
        KeyError: the chapter has no claims; the message lists those that have.
        ResultError: a record is missing, damaged or stale; the message names the command.
    """
    if chapter is not None and chapter not in CLAIMS:
        raise KeyError(f"no claims of chapter {chapter}; there are some of {list(CLAIMS)}")
    once = functools.cache(load)  # several claims rest on one experiment
    wanted = [claim for k, group in CLAIMS.items() if chapter in (None, k) for claim in group]
    columns = [field.name for field in fields(Claim)]
    return pd.DataFrame([vars(claim(once)) for claim in wanted], columns=columns)


def is_within(new: Claim, recorded: Claim) -> bool:
    """Whether a new estimate lies within the recorded interval, its ends included."""
    return recorded.low - 1e-9 <= new.estimate <= recorded.high + 1e-9


def of_first_seeds(load: Loader, count: int) -> Loader:
    """A loader of the same records with their first seeds only."""

    def fewer(name: str, scale: str) -> dict[str, Record]:
        return {arm: _first(record, count) for arm, record in load(name, scale).items()}

    return fewer


def _first(record: Record, count: int) -> Record:
    kept = record.seeds[:count]
    return replace(record, rows=tuple(row for row in record.rows if row[0] in kept))


def measuring(directory: Path, count: int | None = None) -> Loader:
    """A loader that measures what it is asked for, with a progress bar, and keeps it.

    Args:
        directory: where runs are kept; those that are there already are not measured again.
        count: the first seeds only, so many; all of them if ``None``.
    """

    def measure(name: str, scale: str) -> dict[str, Record]:
        seeds = experiments.experiment(name).scales[scale].seeds[:count]
        return experiments.run(name, scale, seeds=seeds, directory=directory)

    return measure


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line.

    Returns:
        The exit status: 0 if all rows could be printed, or a row came out within its interval; 1
        if not; 2 if it could not be compared.
    """
    parser = argparse.ArgumentParser(prog="python -m lessons_lib.scoreboard", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    again = commands.add_parser("again", help="measure a row again from scratch and compare")
    again.add_argument("row", choices=list(rows()), metavar="ROW", help=", ".join(rows()))
    again.add_argument("--seeds", type=int, metavar="N", help="the first N seeds only: faster")
    again.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        help="keep the new runs there, and use those that are there: a run that is stopped goes on,"
        " and rows on the same experiment share their runs",
    )
    options = parser.parse_args(arguments)
    if options.command is None:
        return _show()
    if options.seeds is not None and options.seeds < 1:
        parser.error(f"expected at least 1 for --seeds, found {options.seeds}")
    try:
        if options.cache is not None:
            return _again(options.row, options.seeds, options.cache)
        with tempfile.TemporaryDirectory(prefix="again-") as fresh:
            return _again(options.row, options.seeds, Path(fresh))
    except ResultError as error:
        sys.stderr.write(f"{error}\n")
        return 2


def _show() -> int:
    """Print what there is; a row without records says so."""
    status = 0
    load = functools.cache(experiments.load)
    for row, claim in rows().items():
        try:
            _write(_block(claim(load)))
        except ResultError as error:
            _write(f"{row}\n{_wrapped(str(error), '    ')}\n")
            status = 1
    return status


def _block(claim: Claim) -> str:
    lines = [f"{claim.row}: {claim.verdict}", _wrapped(claim.claim, "    ")]
    for name, text in (
        ("part", f"{claim.part} (chapter {claim.chapter} of the course)"),
        ("published", claim.published),
        ("ours", claim.ours),
        ("value", claim.interval),
        ("runs", str(claim.runs)),
        ("rule", claim.rule),
        ("again", claim.command),
    ):
        lines.append(_wrapped(f"{name + ':':<11}{text}", "    ", hang=" " * 15))
    return "\n".join(lines) + "\n"


def _again(row: str, count: int | None, directory: Path) -> int:
    claim = rows()[row]
    asked: dict[tuple[str, str], Mapping[str, Record]] = {}

    def recorded(name: str, scale: str) -> Mapping[str, Record]:
        asked[name, scale] = experiments.load(name, scale)
        return asked[name, scale]

    old = claim(recorded)
    for (name, scale), records in asked.items():
        _write(_announcement(name, scale, records, count))
    expected = None
    if count is not None:
        known = min(len(record.seeds) for found in asked.values() for record in found.values())
        if count > known:
            sys.stderr.write(f"expected 1 to {known} for --seeds, found {count}\n")
            return 2
        try:
            expected = claim(of_first_seeds(recorded, count))
        except ValueError as error:  # too few for the row: said before hours of work, not after
            sys.stderr.write(f"too few seeds for this row, {count}: {error}\n")
            return 2
        _write(
            f"With fewer seeds the interval is wider. The recorded runs of these seeds alone give "
            f"{expected.interval}."
        )
    new = claim(measuring(directory, count))
    within = is_within(new, old)
    _write(f"\n{_beside(old, new)}\n")
    _write(
        f"The new estimate, {new.estimate:.4g}, lies {'within' if within else 'outside'} the "
        f"recorded interval, [{old.low:.4g}, {old.high:.4g}]."
    )
    if expected is not None:
        overlap = new.low <= old.high and old.low <= new.high
        _write(
            f"It rests on fewer seeds, of which the recorded runs give {expected.estimate:.4g}; "
            f"the two intervals {'' if overlap else 'do not '}overlap."
        )
    return 0 if within else 1


def _announcement(name: str, scale: str, records: Mapping[str, Record], count: int | None) -> str:
    runs = sum(len(record.seeds[:count]) for record in records.values())
    seconds = sum(
        record.wall_seconds * len(record.seeds[:count]) / len(record.seeds)
        for record in records.values()
    )
    devices = ", ".join(sorted({record.device for record in records.values()}))
    return (
        f"{name}, {scale} scale: {runs} runs to measure. As recorded ({devices}) they took "
        f"{_duration(seconds)} one after the other; as many go at a time as there are cores."
    )


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"


def _beside(old: Claim, new: Claim) -> str:
    """Two rows side by side, as text."""
    lines = [f"{'':<9} {'recorded':<{COLUMN}}  again"]
    for name in ("ours", "interval", "runs", "verdict"):
        sides = (textwrap.wrap(str(getattr(claim, name)), COLUMN) for claim in (old, new))
        for k, (left, right) in enumerate(zip_longest(*sides, fillvalue="")):
            lines.append(f"{'' if k else name:<9} {left:<{COLUMN}}  {right}".rstrip())
    return "\n".join([old.claim, "", *lines])


def _wrapped(text: str, indent: str, hang: str | None = None) -> str:
    return textwrap.fill(
        text, 100, initial_indent=indent, subsequent_indent=indent if hang is None else hang
    )


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

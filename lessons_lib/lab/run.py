"""Experiments by name: how to run them again, and what is there.

``python -m lessons_lib.lab list`` shows them, ``run NAME`` measures what is missing and
writes the records that the book shows, ``status`` says what is there, and ``report`` prints the
outcomes. A seed that is done is kept in the cache at once, so a run that is stopped goes on where
it was.
"""

import argparse
import json
import sys
import uuid
import warnings
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from lessons_lib.config import Configuration, digest
from lessons_lib.corpora import loaders
from lessons_lib.corpora.sources import CorpusUnavailable, make_writable
from lessons_lib.lab import long_runs, parallel, records
from lessons_lib.lab.catalogue import REGISTRY, Experiment, Scale
from lessons_lib.lab.cluster import ClusterError, cluster_executor
from lessons_lib.lab.records import NotMeasuredError, Record, ResultError, command
from lessons_lib.training import History


def experiment(name: str) -> Experiment:
    """A registered experiment; a ``KeyError`` that lists them if there is none of this name."""
    if name not in REGISTRY:
        raise KeyError(f"no experiment {name!r}; there is {', '.join(REGISTRY)}")
    return REGISTRY[name]


def _scale(name: str, scale: str | None) -> tuple[str, Scale]:
    """A scale by its name, and the name: that of the first one if ``None``."""
    scales = experiment(name).scales
    scale = scale or next(iter(scales))
    if scale not in scales:
        raise KeyError(f"no scale {scale!r} of {name}; there is {', '.join(scales)}")
    return scale, scales[scale]


def current(name: str, scale: str | None = None, *, whole: bool = True) -> dict[str, Record]:
    """``records.load``, and a ``ResultError`` if one is missing, damaged or stale.

    Stale: made with another configuration, seeds or deviations than those that are registered. If
    not the ``whole`` of it is asked for, some arms may be missing, and the seeds be others.
    """
    scale, chosen = _scale(name, scale)
    remedy = f"of {name}, {scale} scale; make it again with: {command(name, scale)}"
    there = records.load(name, scale)
    if lacking := [arm for arm in chosen.arms if whole and arm not in there]:
        raise NotMeasuredError(f"no result {lacking[0]!r} {remedy}")
    found = {arm: there[arm] for arm in chosen.arms if arm in there}
    for arm, record in found.items():
        want = json.loads(json.dumps(chosen.arms[arm].to_dict()))  # with lists for tuples
        want |= {"seeds": chosen.seeds if whole else record.seeds, "deviations": chosen.told(arm)}
        have = {**record.config, "seeds": record.seeds, "deviations": record.deviations}
        for key in sorted({*want, *have}):
            one, other = want.get(key), have.get(key)
            if one != other:
                problem = f"is stale: expected {key} {one}, found {other},"
                raise ResultError(f"the result {arm!r} {problem} {remedy}")
    return found


checked = partial(current, whole=False)
"""Those arms of a result that are there, as the scoreboard reads them."""


def run(
    name: str,
    scale: str | None = None,
    *,
    seeds: Sequence[int] | None = None,
    only: Sequence[str] | None = None,
    directory: Path | None = None,
    executor: Executor | None = None,
) -> dict[str, Record]:
    """Measure the seeds that are missing, in parallel, and join those of each arm into a record.

    Each seed that is done is written to a file of its own at once, in a directory or in the cache.
    Two runs at once measure some seeds twice and do no other harm. A file that cannot be used is
    set aside, with a warning. ``seeds`` stand in place of the registered ones, ``only`` names some
    arms, ``executor`` is that of ``parallel.run_seeds``. Before any run is begun an ``OSError`` if
    the directory cannot be written, a ``CorpusUnavailable`` if the corpus of an arm is nowhere.
    """
    scale, chosen = _scale(name, scale)
    arms = {arm: config for arm, config in chosen.arms.items() if only is None or arm in only}
    wanted, paths = chosen.seeds if seeds is None else tuple(seeds), {}
    missing, work = {}, partial(long_runs.kept_in, directory, chosen.run)
    for arm, config in arms.items():
        kept = _kept(chosen, config, directory)
        paths[arm] = {seed: kept / f"seed-{seed}.json" for seed in wanted}
        if lacking := [seed for seed, path in paths[arm].items() if not _usable(path)]:
            make_writable(kept)
            _have_corpus(config)
            missing[arm] = lacking
    # One pool for all arms; it starts no process before there is work.
    with parallel.seed_pool() as here:
        for arm, lacking in missing.items():
            done = partial(_keep, _kept(chosen, arms[arm], directory), arms[arm])
            pool, label = executor or here, f"{name} {scale} {arm}"
            parallel.run_seeds(work, arms[arm], lacking, executor=pool, progress=label, done=done)
    made = {}
    for arm in arms:
        record = records.merge([records.read(path) for path in paths[arm].values()])
        position = [*chosen.arms].index(arm)
        record = replace(record, name=arm, deviations=chosen.told(arm), position=position)
        made[arm] = records.ends_of(record) if chosen.ends_only else record
    return made


def _have_corpus(config: Any) -> None:
    """A ``CorpusUnavailable`` if a configuration has a corpus and it is nowhere."""
    if hasattr(config, "target"):
        loaders.load_parallel(config.corpus, config.source, config.target)
    elif hasattr(config, "corpus"):
        loaders.load_labelled(config.corpus)


def _kept(chosen: Scale, config: Configuration, directory: Path | None = None) -> Path:
    """Where the seeds of a configuration are kept: the same for all experiments that share it."""
    name = f"{chosen.run.__name__}-{digest(config.to_dict())[:16]}"
    return (directory or long_runs.directory()) / name


def _keep(kept: Path, config: Configuration, seed: int, history: History) -> None:
    """Write the record of a seed that has just been done."""
    name, spent = f"seed-{seed}", history.wall_seconds
    end = {"step": history.steps, "metric": "stopped_early", "value": float(history.stopped_early)}
    rows = [{"seed": seed, **row} for row in (*history.rows, end)]
    fields = config.to_dict()
    record = records.make_record(name, fields, rows, device=history.device, wall_seconds=spent)
    records.save(record, kept / f"{name}.json")


def _usable(path: Path) -> bool:
    """Whether the record of a seed is there; a file that cannot be used is set aside."""
    if not path.exists():
        return False
    try:
        records.read(path)
    except ResultError as error:
        problem = str(error).partition("; ")[0]
        aside = path.with_name(f"{path.name}.set-aside-{uuid.uuid4().hex[:8]}")
        path.replace(aside)
        warnings.warn(f"{problem}; set aside as {aside.name} and measured again", stacklevel=3)
    return path.exists()


def status() -> pd.DataFrame:
    """For each experiment and scale the seeds in the cache, and the state of its records."""
    rows = []
    for name, entry in REGISTRY.items():
        for scale, chosen in entry.scales.items():
            kept = [_kept(chosen, config) for config in chosen.arms.values()]
            done = sum((k / f"seed-{seed}.json").exists() for k in kept for seed in chosen.seeds)
            try:
                current(name, scale)
                state = "complete"
            except ResultError as error:
                state = str(error).partition("; ")[0]
            rows.append((name, scale, len(kept), len(chosen.seeds), done, state))
    columns = ["experiment", "scale", "arms", "seeds", "runs in the cache", "records"]
    return pd.DataFrame(rows, columns=columns)


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _listed() -> str:
    lines = []
    for name, entry in REGISTRY.items():
        lines.append(f"{name}: {entry.question}")
        for scale, chosen in entry.scales.items():
            arms = list(chosen.arms)
            plural = "arms" if len(arms) > 1 else "arm"
            named = ", ".join(arms if len(arms) <= 8 else [*arms[:2], "...", arms[-1]])
            lines.append(f"  {scale}: {len(chosen.seeds)} seeds of {len(arms)} {plural}: {named}")
    return "\n".join(lines)


def _show_report(name: str) -> int:
    failed, entry = 0, REGISTRY[name]
    for scale, chosen in entry.scales.items():
        points = dict.fromkeys(point for arm in chosen.arms for point in chosen.told(arm))
        told = "\n  - ".join(points) or "nothing"
        _write(f"\n{name}, {scale} scale: {entry.question}")
        _write(f"Differs from the authors' set-up in:\n  - {told}\n")
        try:
            _write(entry.report(current(name, scale)).to_string())
        except ResultError as error:
            _write(str(error))
            failed = 1
    return failed


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m lessons_lib.lab", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="show the experiments")
    commands.add_parser("status", help="show what has been measured and what is missing")
    names = sorted(REGISTRY)
    reporter = commands.add_parser("report", help="print the outcomes from the records")
    reporter.add_argument("name", nargs="?", choices=names, help="all of them if left out")
    runner = commands.add_parser("run", help="measure what is missing and write the records")
    runner.add_argument("name", choices=names)
    runner.add_argument("--scale", help="one of those that list shows (default: the first)")
    runner.add_argument("--seeds", type=int, metavar="N", help="the first N seeds only")
    runner.add_argument("--arm", action="append", help="this arm only; may be given several times")
    runner.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask cluster, to run there")
    runner.add_argument("--out", type=Path, help="directory of the records (default: the package)")
    options = parser.parse_args(arguments)
    if options.command == "report":
        return max(map(_show_report, [options.name] if options.name else REGISTRY))
    if options.command == "run":
        try:
            return _run(options, parser)
        except ClusterError as error:
            parser.error(str(error))
    _write(_listed() if options.command == "list" else status().to_string(index=False))
    return 0


def _run(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Measure arm by arm, each written when it is done; 1 if a corpus of some arm is not there."""
    name = options.name
    try:
        scale, chosen = _scale(name, options.scale)
    except KeyError as error:
        parser.error(error.args[0])
    total, arms = len(chosen.seeds), options.arm or list(chosen.arms)
    if options.seeds is not None and not 1 <= options.seeds <= total:
        parser.error(f"expected 1 to {total} for --seeds, found {options.seeds}")
    if wrong := set(arms) - set(chosen.arms):
        parser.error(f"{name} has no arm {wrong.pop()!r}; there is {', '.join(chosen.arms)}")
    seeds = chosen.seeds[: options.seeds]
    where = (options.out or records.PACKAGED) / name / scale
    write = len(seeds) == total or options.out is not None
    if write:
        make_writable(where)
    lacking = []
    with cluster_executor(options.scheduler) as there, parallel.seed_pool() as here:
        for arm in arms:
            try:
                made = run(name, scale, seeds=seeds, only=[arm], executor=there or here)
            except CorpusUnavailable as error:
                lacking.append(arm)
                sys.stderr.write(f"{arm}: not measured here: {error}\n")
                continue
            if write:
                records.save(made[arm], where / f"{arm}.json")
    _write(
        f"{len(arms) - len(lacking)} records of {len(seeds)} seeds each written to {where}"
        if write
        else f"{len(seeds)} of {total} seeds are done and kept in the cache; the records in the "
        "package stay as they are until all are (or give --out)"
    )
    if lacking:
        _write(f"not measured here: {', '.join(lacking)}")
    return bool(lacking)

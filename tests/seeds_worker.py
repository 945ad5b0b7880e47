"""Runs for the tests of many seeds, in a module of their own: a worker has to import them."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from lessons_lib.config import Configuration
from lessons_lib.training import History


@dataclass(frozen=True)
class Where(Configuration):
    """Where runs leave notes."""

    folder: str = ""


def draws(config: Where, seed: int) -> History:
    """Draws from the global random state, with pauses in which others could."""
    torch.manual_seed(seed)
    rows = []
    for step in range(5):
        time.sleep(0.005)
        rows.append({"step": step, "metric": "drawn", "value": float(torch.rand(()))})
    return History(tuple(rows), 5, False, 0.5, "cpu")


def fails_at_three(config: Where, seed: int) -> History:
    if seed == 3:
        raise ArithmeticError("no luck")
    return draws(config, seed)


def kills_its_worker_once(config: Where, seed: int) -> History:
    """Notes that it was begun. Seed 3 kills its worker once, when other seeds have been kept."""
    folder = Path(config.folder)
    (folder / f"begun-{seed}-{os.getpid()}-{time.monotonic_ns()}").touch()
    if seed == 3 and not (folder / "killed").exists():
        from distributed import get_worker

        for _ in range(12_000):  # until results that were fetched are no longer wanted of it
            if list(folder.rglob("seed-*.json")) and not get_worker().data:
                break
            time.sleep(0.01)
        kept = " ".join(path.stem for path in folder.rglob("seed-*.json"))
        (folder / "killed").write_text(kept)
        os.kill(os.getpid(), signal.SIGKILL)
    return draws(config, seed)

"""Many seeds of one configuration: the same results, however they are shared out."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import seeds_worker
import torch
from seeds_worker import Where

from lessons_lib.lab.parallel import run_seeds, seed_pool
from lessons_lib.training import History

SEEDS = (7, 2, 5)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [partial(seed_pool, 2), partial(ThreadPoolExecutor, 3)])
def test_each_run_gives_what_it_gives_alone(workers: Callable[[], Any]) -> None:
    """In processes, and in threads, which share a random state."""
    alone = {seed: seeds_worker.draws(Where(), seed).rows for seed in SEEDS}
    torch.set_num_threads(2)  # a run has one
    with workers() as pool:
        for seeds in (SEEDS[::-1], SEEDS[1:2], SEEDS):
            runs = run_seeds(seeds_worker.draws, Where(), seeds, executor=pool)
            tidy = [{"seed": seed, **row} for seed in seeds for row in alone[seed]]
            assert runs.to_dict("records") == tidy
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)


def test_a_run_that_fails_names_its_seed_and_keeps_the_others() -> None:
    kept: dict[int, History] = {}
    run = partial(run_seeds, seeds_worker.fails_at_three, Where(), (1, 2, 3, 4))
    with (
        ThreadPoolExecutor(1) as pool,
        pytest.raises(RuntimeError, match="run of seed 3 failed: ArithmeticError: no luck") as err,
    ):
        run(executor=pool, done=kept.__setitem__)
    assert isinstance(err.value.__cause__, ArithmeticError)
    assert {1, 2} <= set(kept)
    assert 3 not in kept


UNGUARDED = """
from lessons_lib.lab.parallel import run_seeds, seed_pool
from lessons_lib.training import TrainConfig

def run(config, seed): ...

with seed_pool(2) as pool:
    run_seeds(run, TrainConfig(), (0, 1), executor=pool)
"""


@pytest.mark.slow
def test_a_script_without_a_guard_is_told_so(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(UNGUARDED, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    said = done.stderr[done.stderr.rindex("\nRuntimeError: ") :]
    assert re.search(r"(?s)a worker process ended before.*__main__.*standard input.*memory", said)


def test_the_same_seed_twice_is_an_error_and_no_seed_is_no_run() -> None:
    run = partial(run_seeds, seeds_worker.draws, Where(), executor=ThreadPoolExecutor(1))
    with pytest.raises(ValueError, match=r"different seeds, found \[4, 4\]"):
        run((4, 4))
    assert run(()).empty

"""Many runs at once: one configuration from many seeds, on this machine or on a cluster."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, as_completed
from typing import TypeVar

import joblib  # comes with scikit-learn
import pandas as pd
import torch
from tqdm.auto import tqdm

from lessons_lib.config import Configuration
from lessons_lib.corpora.sources import CorpusUnavailable
from lessons_lib.training import History

Config = TypeVar("Config", bound=Configuration)

_BROKEN = """\
a worker process ended before its run did; what it said is above. The usual causes, and remedies:
- a script calls this outside of `if __name__ == "__main__":`; put the call below that line
- the program or the function is in no file that a worker could import (from standard input, typed,
  in a notebook); write it into a module
- the process was killed, as for want of memory; run fewer at once: seed_pool(processes)"""


def run_seeds(
    run: Callable[[Config, int], History],
    config: Config,
    seeds: Sequence[int],
    *,
    executor: Executor,
    progress: str | None = None,
    done: Callable[[int, History], None] | None = None,
) -> pd.DataFrame:
    """Run one configuration from many seeds, as many at a time as the executor has workers.

    Each run has one thread, and its randomness from its seed alone, so that its result depends
    neither on how many run beside it, nor on the order, nor on the executor: a ``seed_pool``, or
    any other one, such as that of a Dask cluster. ``run`` gives the history of ``(config, seed)``;
    it is a function of a module, not of a notebook. ``progress`` is the label of a progress bar,
    and ``done`` is called with seed and history as soon as a run has ended. Returned are their rows
    in the order of ``seeds``: seed, step, metric, value.

    A ``ValueError`` if a seed comes twice, a ``CorpusUnavailable`` if a run found its corpus
    nowhere, a ``RuntimeError`` if one failed otherwise, or a process of the pool ended.
    """
    if len(set(seeds)) != len(seeds):
        raise ValueError(f"expected different seeds, found {list(seeds)}")
    found: dict[int, History] = {}
    waiting: dict[Future[History], int] = {}
    try:
        with tqdm(total=len(seeds), desc=progress, disable=progress is None, unit="run") as bar:
            waiting = {executor.submit(_alone, run, config, seed): seed for seed in seeds}
            for future in as_completed(waiting):
                # Let go of: where a result lies on a worker, its loss would have it done again.
                seed = waiting.pop(future)
                found[seed] = future.result()
                del future
                if done is not None:
                    done(seed, found[seed])
                bar.update()
    except BrokenExecutor as error:
        raise RuntimeError(_BROKEN) from error
    finally:
        for future in waiting:
            future.cancel()
    rows = [{"seed": seed, **row} for seed in seeds for row in found[seed].rows]
    return pd.DataFrame(rows, columns=["seed", "step", "metric", "value"])


def seed_pool(processes: int | None = None) -> ProcessPoolExecutor:
    """So many processes, or one for each core that may be used, for one ``run_seeds`` or several.

    They start when there is work, and end with the block (it is for ``with``), or with this process
    even if it is killed.
    """
    # Not fork: a forked process inherits PyTorch's threads in a state that can hang.
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(
        processes or joblib.cpu_count(), mp_context=spawn, initializer=_die_with_parent
    )


def _die_with_parent() -> None:
    """End this worker when its parent is gone: a killed parent cannot say so."""

    def wait() -> None:
        if (parent := multiprocessing.parent_process()) is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


_IN_TURN = threading.Lock()


def _alone(run: Callable[[Config, int], History], config: Config, seed: int) -> History:
    """One run with one thread; where workers are threads, in turn: they share a random state."""
    with _IN_TURN:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return run(config, seed)
        except CorpusUnavailable:  # known by its type: other runs can go on
            raise
        except Exception as error:
            problem = f"the run of seed {seed} failed: {type(error).__name__}: {error}"
            raise RuntimeError(problem) from error
        finally:
            torch.set_num_threads(threads)

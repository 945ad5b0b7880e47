"""One training run, and the same run from many seeds in parallel."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import pandas as pd
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from lessons_lib.config import Configuration
from lessons_lib.tasks import Batch, LabelledBatch

Model = TypeVar("Model", bound=nn.Module)
Config = TypeVar("Config", bound=Configuration)
Data = TypeVar("Data", Batch, LabelledBatch)


@dataclass(frozen=True)
class TrainConfig(Configuration):
    """How a model is trained; what it is trained on comes with the batches.

    Attributes:
        steps: updates at most.
        learning_rate: of the optimiser, above 0.
        optimizer: ``"adam"`` with PyTorch's defaults, or ``"sgd"`` without momentum.
        clip: largest norm of the gradient, or ``None`` for no clipping.
        evaluate_every: steps between two evaluations; step 0 and the last are always evaluated.
        also_evaluate: further steps to evaluate at, such as early ones.
        stop_metric: name of an evaluated metric that ends the run early, or ``None``.
        stop_at: the run ends when ``stop_metric`` reaches this.
        bfloat16: whether the loss is computed with PyTorch's autocast to bfloat16, which keeps
            weights and sums as they are. Evaluations are float32.
    """

    steps: int = 200
    learning_rate: float = 1e-3
    optimizer: Literal["adam", "sgd"] = "adam"
    clip: float | None = None
    evaluate_every: int = 10
    also_evaluate: tuple[int, ...] = ()
    stop_metric: str | None = None
    stop_at: float = 0.95
    bfloat16: bool = False

    def __post_init__(self) -> None:
        if self.steps < 0 or self.evaluate_every < 1:
            raise ValueError(
                "expected steps >= 0 and evaluate_every >= 1, found "
                f"{self.steps} and {self.evaluate_every}"
            )
        if not 0 < self.learning_rate < float("inf"):  # NaN fails this, too
            raise ValueError(f"expected a finite learning_rate above 0, found {self.learning_rate}")
        if self.clip is not None and not self.clip > 0:
            raise ValueError(f"expected clip above 0, or None, found {self.clip}")
        if self.stop_at != self.stop_at:
            raise ValueError("expected a number for stop_at, found NaN")
        if self.optimizer not in ("adam", "sgd"):
            raise ValueError(f"expected optimizer adam or sgd, found {self.optimizer!r}")


@dataclass(frozen=True)
class History:
    """What a run left behind.

    Attributes:
        rows: one dictionary ``step, metric, value`` for each evaluated number, in order.
        steps: updates that were made.
        stopped_early: whether the stop metric was reached.
        wall_seconds: time of the whole run, evaluation included.
        device: where it ran.
    """

    rows: tuple[dict[str, Any], ...]
    steps: int
    stopped_early: bool
    wall_seconds: float
    device: str

    def frame(self) -> pd.DataFrame:
        """The rows as a data frame with the columns step, metric and value."""
        return pd.DataFrame(list(self.rows), columns=["step", "metric", "value"])

    def last(self, metric: str) -> float:
        """The last value of a metric.

        Raises:
            KeyError: it was never evaluated; the message lists those that were.
        """
        found = [row["value"] for row in self.rows if row["metric"] == metric]
        if not found:
            known = sorted({row["metric"] for row in self.rows})
            raise KeyError(f"no metric {metric!r} in this history; there is {', '.join(known)}")
        return float(found[-1])


def pick_device() -> torch.device:
    """CUDA where there is one, else Apple's MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def train(
    model: Model,
    batches: Iterable[Data],
    loss: Callable[[Model, Data], Tensor],
    config: TrainConfig | None = None,
    *,
    evaluate: Callable[[Model], Mapping[str, float]] | None = None,
    seed: int = 0,
    device: torch.device | str | None = None,
    progress: str | None = None,
    rate_factors: Sequence[tuple[Sequence[nn.Parameter], float]] = (),
) -> History:
    """Train a model in place.

    Args:
        model: trained in place, moved to ``device``.
        batches: at least ``config.steps`` of them; taken one by one.
        loss: scalar loss of the model on a batch, e.g. ``models.sequence_loss``.
        config: how to train; the defaults if ``None``.
        evaluate: gives metrics of the model; called at step 0, every ``evaluate_every`` steps and
            at the end, in evaluation mode and without gradients.
        seed: of dropout. The start of the model has the seed of ``models.build``, the data that
            of its stream.
        device: chosen by ``pick_device`` if ``None``.
        progress: label of a progress bar, or ``None`` for none.
        rate_factors: parameters of the model whose learning rate is ``config.learning_rate`` times
            a factor above 0; all others have the factor 1. Frozen ones (``requires_grad`` is
            false) stay as they are in any case.

    Returns:
        History with the training loss (metric ``"loss"``, mean since the last evaluation) and all
        that ``evaluate`` gave.

    Raises:
        ValueError: the batches ended before the steps did, or the loss is no longer finite, or
            ``stop_metric`` is not among the metrics, or ``evaluate`` gives a ``"loss"``, or
            ``rate_factors`` has a factor not above 0, or a parameter that is not the model's or
            comes twice.
    """
    config = config or TrainConfig()
    if config.stop_metric is not None and evaluate is None:
        raise ValueError(
            f"stop_metric {config.stop_metric!r} needs an evaluate that gives it, found none"
        )
    where = torch.device(device) if device is not None else pick_device()
    model.to(where).train()
    optimizer = _optimizer(model, config, rate_factors)
    rows: list[dict[str, Any]] = []
    began = time.perf_counter()

    def measure(step: int) -> bool:
        """Evaluate, note it, and say whether the run may stop."""
        if evaluate is None:
            return False
        model.eval()
        with torch.no_grad():
            found = dict(evaluate(model))
        model.train()
        if "loss" in found:
            raise ValueError(
                "the metric name 'loss' is taken by the training loss; let evaluate call its own "
                "another name, such as 'held-out loss'"
            )
        rows.extend({"step": step, "metric": k, "value": float(v)} for k, v in found.items())
        if config.stop_metric is None:
            return False
        if config.stop_metric not in found:
            raise ValueError(
                f"stop_metric {config.stop_metric!r} is not evaluated; evaluate gives "
                f"{', '.join(found)}"
            )
        return found[config.stop_metric] >= config.stop_at

    stream = iter(batches)
    recent: list[Tensor] = []
    step, stop = 0, measure(0)
    bar = tqdm(total=config.steps, desc=progress, disable=progress is None, leave=False)
    # Dropout draws from the global state: fork it, so that the caller's is left as it was.
    with bar, torch.random.fork_rng():
        torch.manual_seed(seed)
        while step < config.steps and not stop:
            batch = next(stream, None)
            if batch is None:
                raise ValueError(
                    f"expected at least {config.steps} batches, found {step}; pass an endless "
                    "stream or lower steps"
                )
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast(where.type, torch.bfloat16, enabled=config.bfloat16):
                value = loss(model, batch.to(where))
            value.backward()
            if config.clip is not None:
                nn.utils.clip_grad_norm_(model.parameters(), config.clip)
            optimizer.step()
            recent.append(value.detach())
            step += 1
            bar.update()
            due = step % config.evaluate_every == 0 or step in config.also_evaluate
            if due or step == config.steps:
                mean = float(torch.stack(recent).mean())
                if mean != mean or abs(mean) == float("inf"):
                    raise ValueError(
                        f"the loss is {mean} at step {step}; lower learning_rate "
                        f"({config.learning_rate}) or set clip"
                    )
                recent.clear()
                rows.append({"step": step, "metric": "loss", "value": mean})
                bar.set_postfix(loss=f"{mean:.3f}")
                stop = measure(step)
    model.eval()
    return History(tuple(rows), step, stop, time.perf_counter() - began, where.type)


def _optimizer(
    model: nn.Module,
    config: TrainConfig,
    rate_factors: Sequence[tuple[Sequence[nn.Parameter], float]],
) -> torch.optim.Optimizer:
    rest = dict.fromkeys(model.parameters())  # parameters are compared by identity; in order
    groups: list[dict[str, Any]] = []
    for parameters, factor in rate_factors:
        if not 0 < factor < float("inf"):  # NaN fails this, too
            raise ValueError(f"expected finite rate factors above 0, found {factor}")
        for parameter in parameters:
            if parameter not in rest:
                raise ValueError(
                    "expected rate factors for parameters of the model, each once, found one of "
                    f"shape {tuple(parameter.shape)} that is not there or comes twice"
                )
            del rest[parameter]
        groups.append({"params": list(parameters), "lr": factor * config.learning_rate})
    groups.insert(0, {"params": list(rest)})
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.learning_rate)
    return adam(groups, config.learning_rate)


def adam(parameters: Iterable[Any], learning_rate: float) -> torch.optim.Adam:
    """Adam with PyTorch's defaults, as one kernel for all parameters where there is one."""
    groups = list(parameters)
    try:  # older PyTorch has it on CUDA only
        return torch.optim.Adam(groups, lr=learning_rate, fused=True)
    except RuntimeError:
        return torch.optim.Adam(groups, lr=learning_rate)


@dataclass(frozen=True)
class SeedRuns:
    """The histories of one configuration from several seeds.

    Attributes:
        histories: seed -> what its run left behind, in the order in which seeds were asked for.
    """

    histories: Mapping[int, History]

    def frame(self) -> pd.DataFrame:
        """All rows as a data frame with the columns seed, step, metric and value."""
        rows = [{"seed": seed, **row} for seed, h in self.histories.items() for row in h.rows]
        return pd.DataFrame(rows, columns=["seed", "step", "metric", "value"])

    def ends(self) -> pd.DataFrame:
        """One row for each seed: seed, steps made, stopped_early and wall_seconds.

        A run that stopped early has no later rows in ``frame``: its curve ends there.
        """
        return pd.DataFrame(
            [
                (seed, h.steps, h.stopped_early, h.wall_seconds)
                for seed, h in self.histories.items()
            ],
            columns=["seed", "steps", "stopped_early", "wall_seconds"],
        )


def run_seeds(
    run: Callable[[Config, int], History],
    config: Config,
    seeds: Sequence[int],
    *,
    executor: Executor | None = None,
    progress: str | None = None,
    done: Callable[[int, History], None] | None = None,
) -> SeedRuns:
    """Run one configuration from many seeds, as many at a time as the executor has workers.

    Each run has one thread to itself, and takes its randomness from its seed alone. So its result
    depends neither on how many run beside it, nor on the order, nor on the executor.

    Args:
        run: gives the history of ``(config, seed)``, e.g. ``copying.run_copying``. Other processes
            have to find it by name: a function of a module, not one written in a notebook.
        config: handed to ``run``.
        seeds: different from each other.
        executor: where the runs go: any ``concurrent.futures.Executor``, such as that of a Dask
            cluster or of an MPI pool; the caller shuts it down. If ``None``, processes of this
            machine, one for each core that may be used (``seed_pool``).
        progress: label of the one progress bar, which counts runs, or ``None`` for none.
        done: called with seed and history as soon as a run has ended, in the order of ending.

    Returns:
        All histories, in the order of ``seeds``.

    Raises:
        ValueError: a seed is asked for twice.
        RuntimeError: a run failed, or a process of the pool ended; the message names the seed, or
            the usual causes, and the cause is chained. Runs that have ended by then were handed to
            ``done``; those that wait are cancelled.
    """
    if len(set(seeds)) != len(seeds):
        raise ValueError(f"expected different seeds, found {list(seeds)}")
    if executor is None:
        with seed_pool(min(len(seeds), available_cores())) as pool:
            return run_seeds(run, config, seeds, executor=pool, progress=progress, done=done)
    found: dict[int, History] = {}
    waiting: dict[Future[History], int] = {}
    bar = tqdm(total=len(seeds), desc=progress, disable=progress is None, unit="run")
    try:
        with bar:
            waiting = {executor.submit(_alone, run, config, seed): seed for seed in seeds}
            for future in as_completed(waiting):
                # Let go of: where a result lies on a worker, its loss would have it done again.
                seed = waiting.pop(future)
                try:
                    found[seed] = future.result()
                except BrokenExecutor:
                    raise
                except Exception as error:
                    raise RuntimeError(
                        f"the run of seed {seed} failed: {type(error).__name__}: {error}"
                    ) from error
                del future
                if done is not None:
                    done(seed, found[seed])
                bar.update()
    except BrokenExecutor as error:
        raise RuntimeError(_BROKEN) from error
    finally:
        for future in waiting:
            future.cancel()
    return SeedRuns({seed: found[seed] for seed in seeds})


_BROKEN = """\
a worker process ended before its run did. The usual causes, and their remedies:
- a script calls this outside of `if __name__ == "__main__":`; put the call below that line
- the program, or the function that it hands over, is in no file that a worker could import (read
  from standard input, typed, or in a notebook); write it into a file, the function into a module
- the process was killed, for example for want of memory; run fewer at once: seed_pool(processes)
What a worker itself said is above, if it said anything."""


def available_cores() -> int:
    """How many cores this process may use, which is not always how many the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def seed_pool(processes: int | None = None) -> Iterator[Executor]:
    """Processes for ``run_seeds`` that can serve several calls: starting them takes seconds.

    They end with the block, also by an error, and with this process even if it is killed.

    Args:
        processes: how many; one for each core that may be used if ``None``.
    """
    pool = ProcessPoolExecutor(
        max(1, available_cores() if processes is None else processes),
        # Not fork: a forked process inherits PyTorch's threads in a state that can hang.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_die_with_parent,
    )
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _die_with_parent() -> None:
    """End this worker when its parent is gone: a killed parent cannot say so."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
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
        finally:
            torch.set_num_threads(threads)

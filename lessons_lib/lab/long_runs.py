"""Runs that take hours: what they have learned lies in files, and they go on where they stopped."""

import time
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from lessons_lib.config import Configuration
from lessons_lib.corpora.sources import cache_directory
from lessons_lib.lab.records import write_whole
from lessons_lib.tasks import Batch
from lessons_lib.training import History, TrainConfig, adam, pick_device

Model = TypeVar("Model", bound=nn.Module)
STATE = "state.pt"
SAVE_EVERY = 500
"""Updates after which a run is saved, besides its checkpoints."""


_DIRECTORY: ContextVar[Path | None] = ContextVar("directory", default=None)


def directory() -> Path:
    """Where runs are kept: the directory that ``kept_in`` was given, else the cache."""
    return _DIRECTORY.get() or cache_directory() / "runs"


def kept_in(
    where: Path | None, run: Callable[[Any, int], History], config: Configuration, seed: int
) -> History:
    """A run of which all that is kept is kept in a directory, or in the cache."""
    before = _DIRECTORY.set(where)
    try:
        return run(config, seed)
    finally:
        _DIRECTORY.reset(before)


def kept(path: Path, make: Callable[[], Any]) -> Any:
    """What a file holds (tensors and plain values); made and saved where there is none."""
    if not path.is_file():
        save(make(), path)
    try:
        return torch.load(path, mmap=True, weights_only=True)
    except (RuntimeError, EOFError, UnpicklingError) as error:
        raise ValueError(
            f"expected a run that was kept in {path}, found a damaged file; remove it"
        ) from error


def save(values: Any, path: Path) -> None:
    """Write tensors and plain values with ``write_whole``."""
    write_whole(path, lambda temporary: torch.save(values, temporary))


def seconds(folder: Path) -> float:
    """How long a run that lies in a folder has been trained in all, breaks left out."""
    return float(torch.load(folder / STATE, weights_only=True)["seconds"])


def weights(folder: Path, step: int) -> Path:
    """Where the weights of a run after so many updates lie."""
    return folder / f"weights-{step:06d}.pt"


def train_kept(
    model: Model,
    batches: Callable[[int], Iterable[Batch]],
    loss: Callable[[Model, Batch], Tensor],
    config: TrainConfig,
    folder: Path,
    *,
    validate: Callable[[Model], float],
    patience: int,
    seed: int,
) -> dict[int, float]:
    """Train with Adam, keep the weights of every checkpoint, and go on where a run was stopped.

    On a processor, a run that was stopped ends with the weights that it would have had without.
    ``batches`` gives the stream without the first so many; checkpoints are ``also_evaluate``, 0 and
    the last step; the folder is of this run alone; ``validate``, larger is better, is called at
    checkpoints in evaluation mode; when none was better than the best for ``patience`` updates, the
    run ends. All else is as in ``training.train``, which has these parameters. Returned is for each
    checkpoint its performance.
    """
    where = pick_device()
    model.to(where).train()
    optimizer = adam(model.parameters(), config.learning_rate)
    checkpoints = {0, config.steps, *config.also_evaluate}
    step, found, began = 0, dict[int, float](), time.perf_counter()

    def keep() -> None:
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "found": found}
        state |= {"random": torch.get_rng_state(), "step": step}
        save(state | {"seconds": time.perf_counter() - began}, folder / STATE)

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if (folder / STATE).is_file():
            state = torch.load(folder / STATE, weights_only=True)
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
            torch.set_rng_state(state["random"])
            step, found = state["step"], state["found"]
            began -= state.get("seconds", 0.0)
        stream = iter(batches(step))
        while True:
            if step in checkpoints and step not in found:
                model.eval()
                with torch.no_grad():
                    found[step] = validate(model)
                model.train()
                save(model.state_dict(), weights(folder, step))
                keep()
            best = max(found, key=lambda one: found[one])
            if step >= config.steps or (step in found and step - best >= patience):
                return found
            batch = next(stream)
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast(where.type, torch.bfloat16, enabled=config.bfloat16):
                value = loss(model, batch.to(where))
            if not bool(value.isfinite()):
                raise ValueError(f"the loss is {float(value)} at step {step}; lower learning_rate")
            value.backward()
            optimizer.step()
            step += 1
            if step % SAVE_EVERY == 0 and step not in checkpoints:
                keep()

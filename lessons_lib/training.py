"""The loop in which every model of the course is trained and, on the way, evaluated."""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import pandas as pd
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from lessons_lib.config import Configuration, check_fields, refuse
from lessons_lib.tasks import Batch, LabelledBatch

Model = TypeVar("Model", bound=nn.Module)
Data = TypeVar("Data", Batch, LabelledBatch)
RateFactors = Sequence[tuple[Sequence[nn.Parameter], float]]


@dataclass(frozen=True)
class TrainConfig(Configuration):
    """How a model is trained; what it is trained on comes with the batches."""

    steps: int = 200  #: updates at most
    learning_rate: float = 1e-3  #: of the optimiser, above 0
    optimizer: Literal["adam", "sgd"] = "adam"  #: with PyTorch's defaults; SGD without momentum
    evaluate_every: int = 10  #: steps between evaluations; 0 and the last are always evaluated
    also_evaluate: tuple[int, ...] = ()  #: further steps to evaluate at, such as early ones
    stop_metric: str | None = None  #: evaluated metric that ends the run early, or ``None``
    stop_at: float = 0.95  #: the run ends when ``stop_metric`` reaches this
    #: whether the loss is computed with PyTorch's autocast to bfloat16, which keeps weights and
    #: sums as they are. Evaluations are float32.
    bfloat16: bool = False

    def __post_init__(self) -> None:
        check_fields(self, "evaluate_every")
        rate = self.learning_rate
        refuse(
            {
                f"steps of at least 0, found {self.steps}": self.steps < 0,
                f"a finite learning_rate above 0, found {rate}": not 0 < rate < math.inf,
                "a number for stop_at, found NaN": math.isnan(self.stop_at),
            }
        )


@dataclass(frozen=True)
class History:
    """What a run left behind."""

    #: one dictionary ``step, metric, value`` for each evaluated number, in order
    rows: tuple[dict[str, Any], ...]
    steps: int  #: updates that were made
    stopped_early: bool  #: whether the stop metric was reached
    wall_seconds: float  #: time of the whole run, evaluation included
    device: str  #: where it ran

    def frame(self) -> pd.DataFrame:
        """The rows as a data frame with the columns step, metric and value."""
        return pd.DataFrame(list(self.rows), columns=["step", "metric", "value"])

    def last(self, metric: str) -> float:
        """The last value of a metric; a ``KeyError`` that lists the metrics if there is none."""
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
    rate_factors: RateFactors = (),
) -> History:
    """Train a model in place.

    The history has the training loss (metric ``"loss"``, the mean since the last evaluation) and
    all that ``evaluate`` gave.

    Args:
        model: trained in place, moved to ``device``.
        batches: at least ``config.steps`` of them; taken one by one.
        loss: scalar loss of the model on a batch, e.g. ``models.sequence_loss``.
        config: how to train; the defaults if ``None``.
        evaluate: gives metrics of the model; called at step 0, every ``evaluate_every`` steps and
            at the end, in evaluation mode and without gradients.
        seed: of dropout. The start of the model has the seed of ``models.build``, the data that of
            its stream.
        device: chosen by ``pick_device`` if ``None``.
        progress: label of a progress bar, or ``None`` for none.
        rate_factors: parameters of the model whose learning rate is ``config.learning_rate`` times
            a factor above 0; for all others the factor is 1. Frozen ones stay as they are.

    A ``ValueError`` if the batches ended before the steps did, the loss is no longer finite,
    ``stop_metric`` is not among the metrics, or ``evaluate`` gives a ``"loss"``.
    """
    config = config or TrainConfig()
    where = torch.device(device) if device is not None else pick_device()
    model.to(where).train()
    optimizer = _optimizer(model, config, rate_factors)
    rows: list[dict[str, Any]] = []
    began = time.perf_counter()

    def measure(step: int) -> bool:
        """Evaluate, note it, and say whether the run may stop."""
        model.eval()
        with torch.no_grad():
            found = dict(evaluate(model)) if evaluate else {}
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
                f"{', '.join(found) or 'nothing'}"
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
            optimizer.step()
            recent.append(value.detach())
            step += 1
            bar.update()
            due = step % config.evaluate_every == 0 or step in config.also_evaluate
            if due or step == config.steps:
                mean = float(torch.stack(recent).mean())
                if not math.isfinite(mean):
                    rate = f"lower learning_rate ({config.learning_rate})"
                    raise ValueError(f"the loss is {mean} at step {step}; {rate}")
                recent.clear()
                rows.append({"step": step, "metric": "loss", "value": mean})
                bar.set_postfix(loss=f"{mean:.3f}")
                stop = measure(step)
    model.eval()
    return History(tuple(rows), step, stop, time.perf_counter() - began, where.type)


def _optimizer(
    model: nn.Module, config: TrainConfig, rate_factors: RateFactors
) -> torch.optim.Optimizer:
    rest = dict.fromkeys(model.parameters())  # parameters are compared by identity; in order
    groups: list[dict[str, Any]] = []
    for parameters, factor in rate_factors:
        groups.append({"params": list(parameters), "lr": factor * config.learning_rate})
        for parameter in parameters:
            del rest[parameter]
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

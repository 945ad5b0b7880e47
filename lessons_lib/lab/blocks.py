"""Runs that are compared with each other: the gold run, uniform runs, further ordinary runs.

A *block* is a few runs of one experiment that differ in their seed only. Each ordinary run is the
gold run once, with attention alpha. Uniform run j has the start and the batches of ordinary run j:
it is its *twin*, and a better oracle for that reason alone. So run k is compared with uniform run
k + 1, counted in a circle.

Checkpoints are chosen: the gold run's by its performance, the others' by the agreement in
question, on the sentences that ``READINGS`` names.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from lessons_lib import agreement
from lessons_lib.probes import pair_mask
from lessons_lib.tasks import PAD, Batch, LabelledBatch
from lessons_lib.training import History, TrainConfig, pick_device

Data = TypeVar("Data", Batch, LabelledBatch)
Row = dict[str, Any]

READINGS: Mapping[str, tuple[str, str]] = {
    "": ("choosing", "shown"),
    "/max": ("shown", "shown"),
    "/train": ("seen", "seen"),
}
"""What is added to the name of a value -> the sentences that choose a checkpoint, and those on
which the value is measured. The second and the third are the authors'."""
XI = {
    **{"alpha,uf": "xi", "px,uf": "xi(px)", "delta,uf": "xi(delta)"},
    **{"-delta,uf": "xi(-delta)", "lr,uf": "xi(lr)", "alpha,beta": "xi(beta)"},
}
"""Which agreement is the level of which xi."""


@dataclass
class Trace:
    """What one run showed at each checkpoint. Grows while the run is trained."""

    steps: list[int] = field(default_factory=list)  #: updates that were made
    performance: list[float] = field(default_factory=list)  #: on the reported sentences
    #: the same by other parts of ``HeldOut``; without them the gold checkpoint is the last
    elsewhere: dict[str, list[float]] = field(default_factory=dict)
    attention: list[Tensor] = field(default_factory=list)  #: ``(batch, tgt, src)``; none if uniform
    beta: list[Tensor] = field(default_factory=list)  #: lexical probe, ``(batch, tgt, src)``
    #: Delta, ``(batch, tgt, src)``, by index of the checkpoint, where it may be gold.
    saliency: dict[int, Tensor] = field(default_factory=dict)
    seconds: float = 0.0  #: how long the run took

    def performance_on(self, part: str) -> list[float]:
        """Performance at each checkpoint on a part of ``HeldOut``."""
        return self.elsewhere.get(part, self.performance)

    def gold(self, part: str) -> int:
        """Index of the first checkpoint of best performance on a part: where alpha is taken."""
        values = self.performance_on(part)
        return values.index(max(values)) if self.elsewhere else len(values) - 1


@dataclass(frozen=True)
class HeldOut(Generic[Data]):
    """Sentences that are measured on; a ``ValueError`` if none would choose, or be reported on."""

    batch: Data  #: all of them
    choosing: int  #: so many, the first ones, choose a checkpoint; the others are reported on
    seen: int = 0  #: so many, the last ones, are sentences that runs learn from
    end_symbol: bool = False  #: whether the end symbol of a target counts, as in the authors' code

    def __post_init__(self) -> None:
        held_out = len(self.batch) - self.seen
        if not 0 < self.choosing < held_out:
            raise ValueError(
                f"expected 1 to {held_out - 1} sentences that choose, of {held_out}, found "
                f"{self.choosing}"
            )

    @property
    def parts(self) -> dict[str, slice]:
        """Which rows of the batch are ``choosing``, ``shown`` and, if there are any, ``seen``."""
        end = len(self.batch) - self.seen
        parts = {"choosing": slice(self.choosing), "shown": slice(self.choosing, end)}
        return parts | ({"seen": slice(end, None)} if self.seen else {})

    @property
    def shown(self) -> slice:
        """The sentences that are reported on."""
        return self.parts["shown"]

    @property
    def mask(self) -> Tensor:
        """True where output word and source word count, bool ``(batch, tgt, src)``."""
        if isinstance(self.batch, LabelledBatch):
            return self.batch.source_mask[:, None]
        return pair_mask(self.batch, end_symbol=self.end_symbol)

    def agree(self, u: Tensor, v: Tensor, part: str = "shown") -> float:
        """A(u, v) on a part of the sentences."""
        rows = self.parts[part]
        return agreement.agreement(u[rows], v[rows], self.mask[rows])

    def agreements(self, u: Tensor, shown: Iterable[Tensor], part: str = "shown") -> list[float]:
        """A(u, v) with each v that is shown at a checkpoint."""
        return [self.agree(u, v, part) for v in shown]

    def chance(self, part: str = "shown") -> float:
        """Agreement with a shuffled candidate, in expectation."""
        mask = self.mask[self.parts[part]]
        return agreement.chance_agreement(mask.sum(-1)[mask.any(-1)])


def joined(batches: Sequence[Data]) -> Data:
    """Batches one below the other, padded to one width."""
    found = {}
    for name, whole in vars(batches[0]).items():
        if whole is not None:
            rows = [row for batch in batches for row in getattr(batch, name)]
            fill = -1 if name == "gold" else PAD
            found[name] = torch.stack(rows) if whole.ndim == 1 else pad_sequence(rows, True, fill)
    return replace(batches[0], **found)


def by_length(batch: Data, size: int) -> Iterator[tuple[Tensor, Data]]:
    """So many rows of a batch, and these without superfluous columns: similar lengths together."""
    lengths = batch.source_mask.sum(1)
    order = lengths.argsort(stable=True)
    if isinstance(batch, Batch):
        order = (lengths * (batch.target.shape[1] + 1) + batch.target_mask.sum(1)).argsort()
    for rows in order.split(size):
        parts = {name: whole[rows] for name, whole in vars(batch).items() if whole is not None}
        for name in {"source", "target"} & parts.keys():
            parts[name] = parts[name][:, : int((parts[name] != PAD).sum(1).max())]
        yield rows, replace(batch, **parts)


def schedule(config: Any) -> TrainConfig:
    """How a run of a text configuration is trained, and evaluated at its checkpoints."""
    return TrainConfig(
        config.steps,
        config.learning_rate,
        evaluate_every=max(config.steps, 1),
        also_evaluate=getattr(config, "checkpoints", ()),
        bfloat16=getattr(config, "bfloat16", False),
    )


def checkpoints(config: Any) -> list[int]:
    """The steps at which a run of a text configuration is looked at."""
    return [s for s in sorted({0, config.steps, *config.checkpoints}) if s <= config.steps]


def as_rows(
    steps: Sequence[int], curves: Mapping[str, Sequence[float] | float], after: str = ""
) -> list[Row]:
    """Rows ``step, metric, value`` of curves, or of single values, which stand at the last step."""
    found: list[Row] = []
    for metric, values in curves.items():
        curve = ([values], steps[-1:]) if isinstance(values, float) else (values, steps)
        pairs = zip(*curve, strict=True)
        found += [{"step": s, "metric": f"{metric}{after}", "value": float(v)} for v, s in pairs]
    return found


def ended(rows: Iterable[Row], steps: int, began: float, *runs: Trace) -> History:
    """The history of a block that began at a time of ``time.perf_counter``; runs may be older."""
    spent = max(time.perf_counter() - began, sum(run.seconds for run in runs))
    return History(tuple(rows), steps, False, spent, pick_device().type)


def _values(
    held_out: HeldOut[Data],
    run: Trace,
    uniform: Trace,
    twin: Trace | None,
    others: Sequence[Trace],
    references: Mapping[str, Tensor],
    reading: str,
    seed: int,
) -> Iterator[tuple[str, float]]:
    """Metric and value for what ``compare`` gives once for a run; a parameter for each side."""
    choose, report = READINGS[reading]
    rows = held_out.parts[report]
    mask = held_out.mask[rows]
    gold = run.gold(choose)
    alpha, delta = run.attention[gold], run.saliency[gold]
    candidates = {"alpha": [alpha], "delta": [delta], "-delta": [-delta], "uf": uniform.beta}
    candidates |= {"beta": others[0].beta, "twin": [] if twin is None else twin.beta}
    candidates |= {name: [reference] for name, reference in references.items()}
    names = ["alpha,uf", "delta,uf", "-delta,uf", "alpha,beta"]
    for name in references:
        turned: list[str] = [f"{name},uf"] if f"{name},uf" in XI else []
        names += [f"uf,{name}", *turned, f"alpha,{name}", f"delta,{name}"]
    names += ["alpha,twin", "delta,twin", "uf,twin"] if twin is not None else []
    agreed = [held_out.agreements(alpha, other.attention, report) for other in others]
    performance = [other.performance_on(report) for other in others]
    for name in names:
        us, vs = (candidates[side] for side in name.split(","))
        # At each checkpoint; the best one counts, but of the twin of uf the last.
        both = product(us, vs[-1:] if name == "uf,twin" else vs)
        u, v = max(both, key=lambda pair: held_out.agree(pair[0], pair[1], choose))
        level = held_out.agree(u, v, report)
        yield f"A({name})", level
        if name == "alpha,uf":
            yield "tau(alpha,uf)", agreement.kendall(u[rows], v[rows], mask)
            if reading == "":
                sentences = agreement.agreement_interval(u[rows], v[rows], mask)
                yield "A(alpha,uf)/low", sentences.low
                yield "A(alpha,uf)/high", sentences.high
        if name in XI:
            passing = agreement.xi(level, agreed, performance)
            yield f"{XI[name]}/passed", float(passing.passed)
            if passing.value is not None:
                yield XI[name], passing.value
    yield "xi*", run.performance_on(report)[gold]
    shuffles = [
        agreement.shuffled_agreement(alpha[rows], a[rows], mask, seed=seed, repeats=1)
        for other in others
        for a in other.attention
    ]
    yield "A(alpha,shuffled)", sum(shuffles) / len(shuffles)


def compare(
    held_out: HeldOut[Data],
    learned: Sequence[Trace],
    uniform: Sequence[Trace],
    references: Mapping[str, Tensor],
) -> list[Row]:
    """The table of agreements and their curves, for each run of a block in turn as the gold run.

    Two or more ordinary runs and two or more with uniform attention, of the first seeds. References
    are candidates ``(batch, tgt, src)``, ``"px"`` among them; one under a name that ends in
    ``/max`` takes its place where the authors choose. A ``ValueError`` for NaN in what runs showed.

    Rows are ``step, metric, value``; the metric of run k ends in ``#k``. For each reading, with its
    suffix: ``A(u,v)`` of alpha, delta and uf by each reference and the ``twin``, ``A(alpha,uf)``,
    ``A(delta,uf)``, ``A(-delta,uf)`` (classifiers' released sign), ``A(alpha,beta)`` (other seed),
    ``A(px,uf)`` (as the authors' code computes ``A(uf,px)``) and ``A(lr,uf)``; Kendall's
    ``tau(alpha,uf)``; ``A(alpha,shuffled)``: others' attention shuffled; ``chance``: without
    knowledge; ``xi`` (if it is passed) and ``xi/passed``, for each of ``XI``; ``xi*``, the gold
    run's performance. ``A(alpha,uf)/low``, ``/high``: 95% interval over sentences.

    At each checkpoint: ``own`` (A(alpha, alpha_t) of the gold run itself), ``others`` (mean over
    the other runs), ``uf`` (A(alpha, beta^uf_t)), ``accuracy``, ``uniform/accuracy`` (the twin's)
    and ``spread`` of attention.
    """
    steps, parts = learned[0].steps, held_out.parts
    usual = {name: one for name, one in references.items() if not name.endswith("/max")}
    authors = {name: references.get(f"{name}/max", one) for name, one in usual.items()}
    readings = [r for r, both in READINGS.items() if set(both) <= parts.keys()]
    rows = as_rows(
        steps, {f"chance{r}": held_out.chance(READINGS[r][1]) for r in readings if r != "/max"}
    )
    k: int
    for k, run in enumerate(learned):
        others, stranger = [*learned[k + 1 :], *learned[:k]], uniform[(k + 1) % len(uniform)]
        twin = uniform[k] if k < len(uniform) else None
        for reading in readings:
            used = authors if reading else usual
            values = _values(held_out, run, stranger, twin, others, used, reading, seed=k)
            rows += as_rows(steps, dict(values), f"{reading}#{k}")
        alpha = run.attention[run.gold("choosing")]
        looked = [held_out.agreements(alpha, other.attention) for other in others]
        curves = {
            "own": held_out.agreements(alpha, run.attention),
            "others": np.mean(looked, axis=0).tolist(),
            "uf": held_out.agreements(alpha, stranger.beta),
            "spread": spreads(held_out, run),
            "accuracy": run.performance,
        }
        if twin is not None:
            curves["uniform/accuracy"] = twin.performance
        rows += as_rows(steps, curves, f"#{k}")
    return rows


def spreads(held_out: HeldOut[Data], run: Trace) -> list[float]:
    """``agreement.spread`` of a run's attention at each checkpoint, on the reported sentences."""
    mask = held_out.mask[held_out.shown]
    return [agreement.spread(alpha[held_out.shown], mask) for alpha in run.attention]


def half_rise(steps: Sequence[float], values: Sequence[float]) -> float:
    """The step, interpolated, at which a curve is first half-way up; ``ValueError`` for NaN."""
    y = np.asarray(values, dtype=float)
    if np.isnan(y).any():
        raise ValueError(f"expected a number for each step, found {y.tolist()}, with NaN")
    share = (y - y[0]) / (y[-1] - y[0])
    after = int((share >= 0.5).argmax())
    part = (0.5 - share[after - 1]) / (share[after] - share[after - 1])
    return float(steps[after - 1] + part * (steps[after] - steps[after - 1]))


def lag(
    steps: Sequence[int],
    ktiw: Sequence[float],
    attention: Sequence[float],
    spread: Sequence[float] = (),
) -> dict[str, float]:
    """``rise/ktiw`` and ``rise/attention``, the steps of ``half_rise`` in one run, and ``lag``.

    The lag is positive where KTIW comes first. ``spread/at-ktiw``: what a third curve is when KTIW
    is half-way up. Nothing where a curve does not end higher.
    """
    if ktiw[-1] <= ktiw[0] or attention[-1] <= attention[0]:
        return {}
    first, second = (half_rise(steps, values) for values in (ktiw, attention))
    found = {"rise/ktiw": first, "rise/attention": second, "lag": second - first}
    return found | ({"spread/at-ktiw": float(np.interp(first, steps, spread))} if spread else {})

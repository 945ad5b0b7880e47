"""Runs that are compared with each other: the gold run, its twin with uniform attention, others.

A *block* is a few runs of one experiment that differ in their seed only. Each of them is the gold
run once: its final attention alpha is held against the probe of a run with uniform attention,
against references that know co-occurrence only, and against the attention that the other runs of
the block had at each checkpoint (which gives xi).

The uniform run is one of *another* seed. Its *twin*, the uniform run of the gold run's own seed,
starts from the same weights and sees the same batches; it foretells the gold run better for that
reason alone, and xi would compare it with ordinary runs that have no such advantage.

Everything is measured on held-out sentences of two kinds: those on which a checkpoint is *chosen*,
and those on which its value is *reported*. The authors take the maximum over checkpoints on the
very sentences that they report; that value, ``.../max``, stands beside ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lessons_lib import agreement
from lessons_lib.probes import pair_mask
from lessons_lib.tasks import Batch, LabelledBatch

Data = TypeVar("Data", Batch, LabelledBatch)


@dataclass
class Trace:
    """What one run showed at each checkpoint. Grows while the run is trained.

    Attributes:
        steps: updates that were made.
        performance: task performance on the reported sentences, one for each checkpoint.
        attention: alpha, each ``(batch, tgt, src)``; empty for a run with uniform attention.
        beta: lexical probe, each ``(batch, tgt, src)``.
    """

    steps: list[int] = field(default_factory=list)
    performance: list[float] = field(default_factory=list)
    attention: list[Tensor] = field(default_factory=list)
    beta: list[Tensor] = field(default_factory=list)


@dataclass(frozen=True)
class HeldOut(Generic[Data]):
    """Sentences that are measured on.

    Attributes:
        batch: all of them.
        choosing: so many of them, the first ones, choose a checkpoint; the others are reported on.

    Raises:
        ValueError: one of the two kinds would be empty.
    """

    batch: Data
    choosing: int

    def __post_init__(self) -> None:
        if not 0 < self.choosing < len(self.batch):
            raise ValueError(
                f"expected 1 to {len(self.batch) - 1} sentences that choose, of {len(self.batch)}, "
                f"found {self.choosing}"
            )

    @property
    def shown(self) -> slice:
        """The sentences that are reported on."""
        return slice(self.choosing, None)

    @property
    def mask(self) -> Tensor:
        """True where output word and source word count, bool ``(batch, tgt, src)``."""
        if isinstance(self.batch, LabelledBatch):
            return self.batch.source_mask[:, None]
        return pair_mask(self.batch, end_symbol=False)

    def agree(self, u: Tensor, v: Tensor, *, choose: bool = False) -> float:
        """A(u, v) on the reported sentences, or on those that choose."""
        rows = slice(self.choosing) if choose else self.shown
        return agreement.agreement(u[rows], v[rows], self.mask[rows])

    def chance(self) -> float:
        """Agreement with a shuffled candidate, in expectation, on the reported sentences."""
        mask = self.mask[self.shown]
        return agreement.chance_agreement(mask.sum(-1)[mask.any(-1)])


def best_checkpoint(held_out: HeldOut[Data], u: Sequence[Tensor], v: Sequence[Tensor]) -> int:
    """Index of the checkpoint at which A(u, v) is largest on the sentences that choose."""
    found = [held_out.agree(a, b, choose=True) for a, b in zip(u, v, strict=True)]
    return found.index(max(found))


def compare(
    held_out: HeldOut[Data],
    learned: Sequence[Trace],
    uniform: Sequence[Trace],
    saliency: Sequence[Tensor],
    references: Mapping[str, Tensor],
) -> list[dict[str, Any]]:
    """The table of agreements and their curves, for each run of a block in turn as the gold run.

    Args:
        held_out: what was measured on.
        learned: the ordinary runs, two or more.
        uniform: runs with uniform attention of the same seeds, in the same order. Run k is
            compared with uniform run k + 1, the last one with the first.
        saliency: Delta of the ordinary runs when they were done, each ``(batch, tgt, src)``.
        references: name -> candidate of the same shape, such as ``"px"`` for the proxy's probe.

    Returns:
        Rows ``step, metric, value`` as in ``training.History``; the metric of run k ends in ``#k``.

        - ``A(alpha,uf)``, ``A(uf,px)``, ``A(delta,uf)``: agreement, with the checkpoint of the
          uniform run chosen on other sentences; with ``/max``: the authors' maximum over its
          checkpoints; ``A(alpha,uf)/low`` and ``/high``: 95% bootstrap interval over sentences.
        - ``A(alpha,NAME)`` for each reference; ``A(alpha,shuffled)``: beta^uf shuffled;
          ``tau(alpha,uf)``: Kendall's tau; ``chance``: expected agreement without knowledge.
        - ``A(alpha,twin)``: as ``A(alpha,uf)``, with the uniform run of the same seed.
        - ``xi/passed``, ``xi`` (only if it is passed) and ``xi*``, the gold run's best performance.
        - at each checkpoint: ``own`` (A(alpha, alpha_t) of the gold run itself), ``others`` (mean
          of A(alpha, alpha_t) over the other runs), ``uf`` (A(alpha, beta^uf_t)), ``accuracy``,
          ``uniform/accuracy`` and ``spread`` of attention.

    Raises:
        ValueError: fewer than two runs, not one uniform run for each, or NaN in what they showed.
    """
    if len(learned) < 2:
        raise ValueError(f"expected two runs or more, to compare them, found {len(learned)}")
    rows: list[dict[str, Any]] = []
    last: int = learned[0].steps[-1]
    shown = held_out.shown
    mask = held_out.mask[shown]

    def note(k: int, metric: str, value: float, step: int | None = None) -> None:
        rows.append(
            {
                "step": last if step is None else step,
                "metric": f"{metric}#{k}",
                "value": float(value),
            }
        )

    rows.append({"step": last, "metric": "chance", "value": held_out.chance()})
    for k, (run, twin) in enumerate(zip(learned, uniform, strict=True)):
        stranger = uniform[(k + 1) % len(uniform)]
        alpha = run.attention[-1]
        many = [alpha] * len(twin.beta)
        curves = {"uf": [held_out.agree(alpha, beta) for beta in stranger.beta]}
        beta = stranger.beta[best_checkpoint(held_out, many, stranger.beta)]
        of_twin = twin.beta[best_checkpoint(held_out, many, twin.beta)]
        note(k, "A(alpha,twin)", held_out.agree(alpha, of_twin))
        sentences = agreement.agreement_interval(alpha[shown], beta[shown], mask)
        note(k, "A(alpha,uf)", sentences.estimate)
        note(k, "A(alpha,uf)/low", sentences.low)
        note(k, "A(alpha,uf)/high", sentences.high)
        note(k, "A(alpha,uf)/max", max(curves["uf"]))
        note(k, "tau(alpha,uf)", agreement.kendall(alpha[shown], beta[shown], mask))
        guess = agreement.shuffled_agreement(alpha[shown], beta[shown], mask, seed=k)
        note(k, "A(alpha,shuffled)", guess)
        pairs: list[tuple[str, Sequence[Tensor], Sequence[Tensor]]] = [
            ("A(uf,px)", stranger.beta, [references["px"]] * len(many)),
            ("A(delta,uf)", [saliency[k]] * len(many), stranger.beta),
        ]
        for name, u, v in pairs:
            best = best_checkpoint(held_out, u, v)
            note(k, name, held_out.agree(u[best], v[best]))
            most = max(held_out.agree(a, b) for a, b in zip(u, v, strict=True))
            note(k, f"{name}/max", most)
        for name, candidate in references.items():
            note(k, f"A(alpha,{name})", held_out.agree(alpha, candidate))

        others = [other for j, other in enumerate(learned) if j != k]
        agreed = [[held_out.agree(alpha, a) for a in other.attention] for other in others]
        found = agreement.xi(sentences.estimate, agreed, [other.performance for other in others])
        note(k, "xi/passed", found.passed)
        if found.value is not None:
            note(k, "xi", found.value)
        note(k, "xi*", max(run.performance))
        curves["own"] = [held_out.agree(alpha, a) for a in run.attention]
        curves["others"] = torch.tensor(agreed).mean(0).tolist()
        curves["spread"] = spreads(held_out, run)
        curves["accuracy"] = run.performance
        curves["uniform/accuracy"] = twin.performance
        for metric, values in curves.items():
            for step, value in zip(run.steps, values, strict=True):
                note(k, metric, value, step)
    return rows


def spreads(held_out: HeldOut[Data], run: Trace) -> list[float]:
    """``agreement.spread`` of a run's attention at each checkpoint, on the reported sentences."""
    mask = held_out.mask[held_out.shown]
    return [agreement.spread(alpha[held_out.shown], mask) for alpha in run.attention]


def lag(
    steps: Sequence[int], ktiw: Sequence[float], attention: Sequence[float]
) -> dict[str, float]:
    """How long after KTIW attention rises, from their curves in one run.

    Returns:
        ``rise/ktiw`` and ``rise/attention``, the steps at which each is half-way up, and ``lag``,
        their difference in steps: positive where KTIW comes first. Nothing where one of the
        curves does not end higher than it began, and so has no half-way up.
    """
    if ktiw[-1] <= ktiw[0] or attention[-1] <= attention[0]:
        return {}
    first, second = (agreement.half_rise(steps, values) for values in (ktiw, attention))
    return {"rise/ktiw": first, "rise/attention": second, "lag": second - first}


def by_run(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of single runs of blocks, with the block's seed and the run as one name.

    Args:
        frame: of ``Record.frame()``: seed, step, metric, value.

    Returns:
        Columns run (``"1.0"``: block 1, run 0), step, metric (without ``#0``) and value; metrics
        of a whole block are left out.
    """
    parts = frame["metric"].str.extract(r"^(?P<name>.*)#(?P<k>\d+)$")
    single = parts["k"].notna()
    run = frame["seed"].astype(str)[single] + "." + parts["k"][single]
    return pd.DataFrame(
        {
            "run": run,
            "step": frame["step"][single],
            "metric": parts["name"][single],
            "value": frame["value"][single],
        }
    ).reset_index(drop=True)


def step_at(rows: pd.DataFrame, metric: str, level: float) -> pd.Series[float]:
    """The training step at which each run's curve first reaches a level, for each run.

    Between two checkpoints it is interpolated. A run that never reaches it has none: NaN.

    Args:
        rows: of ``by_run``.
        metric: without its ``#0``.
        level: on the scale of the metric.

    Raises:
        ValueError: no run has the metric.
    """
    chosen = rows[rows["metric"] == metric]
    if chosen.empty:
        raise ValueError(
            f"expected the metric {metric!r}, found {', '.join(sorted(set(rows['metric'])))}"
        )
    curves = chosen.pivot(index="step", columns="run", values="value").cummax()
    reached: pd.Series[float] = curves.apply(
        lambda curve: np.interp(level, curve, curve.index, right=np.nan)
    )
    return reached


def of_block(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows that belong to a whole block, such as chance."""
    return frame[~frame["metric"].map(lambda name: bool(re.search(r"#\d+$", name)))]

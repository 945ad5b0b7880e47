"""Agreement over sentences, over time and against chance: what the paper's tables are made of.

Shapes as in ``lessons_lib.probes``: alpha (heads averaged), beta and Delta are
``(batch, tgt, src)``; over training they are stacked to ``(checkpoints, batch, tgt, src)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats as scipy_stats
from torch import Tensor

from lessons_lib.probes import agreement, found_in_top, row_mask
from lessons_lib.stats import Interval, ratio_interval, shuffled


def agreement_interval(
    reference: Tensor, candidate: Tensor, mask: Tensor | None = None, *, seed: int = 0
) -> Interval:
    """``agreement`` with a bootstrap interval over sentences.

    Args:
        reference: u, ``(batch, tgt, src)``.
        candidate: v, of the same shape.
        mask: as for ``agreement``.
        seed: of the resampling.

    Raises:
        ValueError: as ``agreement``.
    """
    found, counted = found_in_top(reference, candidate, mask)
    return ratio_interval(found.sum(-1).cpu(), counted.sum(-1).cpu(), seed=seed)


def shuffled_agreement(
    reference: Tensor, candidate: Tensor, mask: Tensor | None = None, *, seed: int, repeats: int = 5
) -> float:
    """The random baseline: agreement with the candidate's values shuffled within each row.

    Its expectation is ``stats.chance_agreement`` where there are no ties; ties raise it.

    Args:
        reference: u, ``(..., src)``.
        candidate: v, of the same shape.
        mask: as for ``agreement``.
        seed: of the shuffles.
        repeats: shuffles that are averaged.
    """
    mask = row_mask(mask, reference)
    found = [
        agreement(reference, shuffled(candidate, mask, seed * repeats + k), mask)
        for k in range(repeats)
    ]
    return sum(found) / repeats


def kendall(reference: Tensor, candidate: Tensor, mask: Tensor | None = None) -> float:
    """Kendall's tau-b between two orders of the positions, the mean over output tokens.

    Rows in which it has no value are left out: those of one position, and those where either side
    is constant.

    Args:
        reference: u, ``(..., src)``.
        candidate: v, of the same shape.
        mask: as for ``agreement``.

    Returns:
        A number in [-1, 1]; 1: the same order everywhere, 0: no relation.

    Raises:
        ValueError: shapes do not match, NaN at a position that counts, or no row has a value.
    """
    if reference.shape != candidate.shape:
        raise ValueError(
            "expected reference and candidate of one shape (..., src), found "
            f"{tuple(reference.shape)} and {tuple(candidate.shape)}"
        )
    inside = row_mask(mask, reference)[None].flatten(0, -2).cpu().numpy()
    u, v = (
        side.detach()[None].flatten(0, -2).double().cpu().numpy() for side in (reference, candidate)
    )
    found = []
    for one, other, here in zip(u, v, inside, strict=True):
        a, b = one[here], other[here]
        if np.isnan(a).any() or np.isnan(b).any():
            raise ValueError("expected numbers at all positions that count, found NaN")
        if len(a) > 1 and a.min() < a.max() and b.min() < b.max():
            found.append(scipy_stats.kendalltau(a, b).statistic)
    if not found:
        raise ValueError(
            "expected a row of two positions or more where neither side is constant, found none"
        )
    return float(np.mean(found))


@dataclass(frozen=True)
class Xi:
    """Where a candidate stands on the axis of training.

    Attributes:
        passed: whether the attention of other runs ever agrees better with the gold run's.
        checkpoint: index of the first checkpoint at which it does; ``None`` for never.
        value: xi, the runs' average performance there; ``None`` for never.
    """

    passed: bool
    checkpoint: int | None
    value: float | None


def xi(
    level: float, curves: Sequence[Sequence[float]], performance: Sequence[Sequence[float]]
) -> Xi:
    """How well trained a run must be for its attention to foretell alpha as well as v does.

    The agreement of the runs' attention with that of the gold run is averaged over the runs. At the
    first checkpoint at which this one curve exceeds ``level = A(alpha, v)``, xi is the runs'
    average performance. Paper, section 3.

    Args:
        level: A(alpha, v).
        curves: for each run A(alpha, alpha_run) at each checkpoint, ``(runs, checkpoints)``.
        performance: for each run its task performance at each checkpoint.

    Raises:
        ValueError: the two do not have one shape, or there is NaN.
    """
    agreements, found = np.asarray(curves, dtype=float), np.asarray(performance, dtype=float)
    if agreements.ndim != 2 or agreements.shape != found.shape or not agreements.size:
        raise ValueError(
            "expected curves and performance (runs, checkpoints) of one shape, found "
            f"{agreements.shape} and {found.shape}"
        )
    if np.isnan(level) or np.isnan(agreements).any() or np.isnan(found).any():
        raise ValueError("expected numbers in level, curves and performance, found NaN")
    above = agreements.mean(0) > level
    if not above.any():
        return Xi(False, None, None)
    first = int(above.argmax())
    return Xi(True, first, float(found[:, first].mean()))


def half_rise(steps: Sequence[float], values: Sequence[float]) -> float:
    """The training step at which a curve is first half-way from its first to its last value.

    Between two evaluations it is interpolated linearly.

    Args:
        steps: ascending.
        values: one for each step.

    Raises:
        ValueError: fewer than two points, not one value for each step, NaN, or no change from the
            first to the last value.
    """
    x, y = np.asarray(steps, dtype=float), np.asarray(values, dtype=float)
    if x.ndim != 1 or x.shape != y.shape or len(x) < 2 or np.isnan(y).any():
        raise ValueError(
            f"expected two numbers or more, one for each step, found {x.shape} and {y.shape}"
            + (" with NaN" if np.isnan(y).any() else "")
        )
    if y[-1] == y[0]:
        raise ValueError(f"expected a curve that changes, found {y[0]:g} first and last")
    share = (y - y[0]) / (y[-1] - y[0])
    after = int((share >= 0.5).argmax())
    before = after - 1
    part = (0.5 - share[before]) / (share[after] - share[before])
    return float(x[before] + part * (x[after] - x[before]))


def spread(attention: Tensor, mask: Tensor) -> float:
    """How evenly attention is spread: exp(entropy)/L, the mean over output tokens.

    Args:
        attention: ``(batch, tgt, src)``, rows sum to 1.
        mask: True where output and source word count, broadcastable to ``attention``; L is the
            number of source words.

    Returns:
        A number in (0, 1]: 1 where attention is uniform, 1/L where it looks at one word. Rows of
        one word are left out.

    Raises:
        ValueError: no row of two words or more, or NaN.
    """
    mask = row_mask(mask, attention)
    lengths = mask.sum(-1)
    counted = lengths > 1
    if not bool(counted.any()):
        raise ValueError("expected an output token with two source words or more, found none")
    weights = attention.double().masked_fill(~mask, 0.0)[counted]
    if bool(weights.isnan().any()):
        raise ValueError("expected numbers at all positions that count, found NaN")
    entropy = torch.special.entr(weights).sum(-1)
    return float((entropy.exp() / lengths[counted]).mean())

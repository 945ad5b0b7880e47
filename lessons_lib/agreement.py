"""A(u, v), do two ways of weighing words agree? And xi: what the paper's tables are made of.

Shapes as in ``lessons_lib.probes``: alpha (heads averaged), beta and Delta are
``(batch, tgt, src)``. Everywhere ``reference`` is u, ``candidate`` is v, and ``mask`` is that of
``agreement``; a ``ValueError`` says that shapes do not match, no row is left, or NaN stands at a
position that counts.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats as scipy_stats
from torch import Tensor

from lessons_lib.stats import Interval, ratio_interval
from lessons_lib.tasks import broadcast, check_shape


def agreement(reference: Tensor, candidate: Tensor, mask: Tensor | None = None) -> float:
    """A(u, v), in [0, 1]: how often the best position by u is among the top positions by v.

    For each output token (each row), the position with the largest u (the first of equals) counts
    as found if fewer than ``ceil(L / 20)`` positions, the top 5%, are strictly greater in v. Not
    symmetric. 1: always found; without knowledge: ``chance_agreement``. Paper, section 3.

    Both are ``(..., src)``, and ``mask``, broadcastable to them, is True at the L positions that
    count; rows without any are left out (mask padded output words that way). A warning if v is
    constant in more than half of the rows of two words or more: ties are not strictly greater, so a
    constant agrees with everything.
    """
    found, counted = found_in_top(reference, candidate, mask)
    return float(found[counted].double().mean())


def found_in_top(
    reference: Tensor, candidate: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Row by row what ``agreement`` is the mean of: found or not, and whether the row counts.

    Both are bool ``(...)``. Arguments, errors and warnings are those of ``agreement``.
    """
    u, v, mask = _compared(reference, candidate, mask)
    counted, lengths = mask.any(-1), mask.sum(-1)
    if not bool(counted.any()):
        raise ValueError("expected at least one output token with a source word, found none")
    value_there = v.gather(-1, u.argmax(-1, keepdim=True))
    greater = (v > value_there).sum(-1)
    lowest = candidate.double().masked_fill(~mask, torch.inf).amin(-1)
    constant = (v.amax(-1) == lowest) & (lengths > 1)
    if 2 * int(constant.sum()) > int((lengths > 1).sum()):
        warnings.warn(
            "the candidate is constant in more than half of the rows; by its ties it agrees with "
            "any reference there",
            stacklevel=2,
        )
    return (greater < top_count(lengths)) & counted, counted


def _compared(
    reference: Tensor, candidate: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Both sides in float64 (integers have no infinity), ``-inf`` outside the mask; the mask."""
    check_shape("a candidate (..., src)", reference.shape, candidate)
    mask = row_mask(mask, reference)
    u, v = (side.double().masked_fill(~mask, -torch.inf) for side in (reference, candidate))
    if bool((u.isnan() | v.isnan()).any()):
        raise ValueError("expected numbers at all positions that count, found NaN")
    return u, v, mask


def row_mask(mask: Tensor | None, like: Tensor) -> Tensor:
    """A mask of the shape of a probe; all True where there is none."""
    if mask is None:
        return torch.ones_like(like, dtype=torch.bool)
    return broadcast("a mask, as pair_mask(batch) is,", mask.bool(), like)


def top_count(lengths: Tensor) -> Tensor:
    """``ceil(L / 20)``: so many of L positions are the top, the paper's 5%."""
    return (lengths + 19) // 20


def chance_agreement(lengths: Tensor | Sequence[int]) -> float:
    """Expected agreement with a shuffled candidate without ties: the mean of ``ceil(L/20)/L``.

    ``lengths`` are the source lengths L of the output tokens. In (0, 1]; ``1/L`` on sentences of up
    to 20 words. A ``ValueError`` if there is no length, or one is below 1.
    """
    sizes = torch.as_tensor(lengths)
    if sizes.numel() == 0 or int(sizes.min()) < 1:
        raise ValueError("expected source lengths of at least 1 word, found none or a smaller one")
    return float((top_count(sizes) / sizes.double()).mean())


def shuffled(candidate: Tensor, mask: Tensor, seed: int) -> Tensor:
    """The candidate ``(..., src)`` with each row's values permuted where the mask is True.

    The mask is broadcastable to the candidate; all other values stay where they were.
    """
    rng = torch.Generator().manual_seed(seed)
    mask = mask.expand_as(candidate)
    keys = torch.rand(candidate.shape, generator=rng)
    # Sorting random keys permutes, and puts the positions that do not count last, in their order.
    last = torch.arange(candidate.shape[-1]) + 2.0
    order = torch.where(mask.cpu(), keys, last).argsort(dim=-1).to(candidate.device)
    into = (~mask).int().argsort(dim=-1, stable=True)
    return torch.empty_like(candidate).scatter(-1, into, candidate.gather(-1, order))


def agreement_interval(
    reference: Tensor, candidate: Tensor, mask: Tensor | None = None, *, seed: int = 0
) -> Interval:
    """``agreement`` of two ``(batch, tgt, src)`` with a bootstrap interval over sentences."""
    found, counted = found_in_top(reference, candidate, mask)
    return ratio_interval(found.sum(-1).cpu(), counted.sum(-1).cpu(), seed=seed)


def shuffled_agreement(
    reference: Tensor, candidate: Tensor, mask: Tensor | None = None, *, seed: int, repeats: int = 5
) -> float:
    """The random baseline: agreement with the candidate's values shuffled within each row.

    Its expectation is ``chance_agreement`` where there are no ties; ties raise it. ``seed`` is that
    of the shuffles, of which ``repeats`` are averaged; all else is as in ``agreement``.
    """
    mask = row_mask(mask, reference)
    found = [
        agreement(reference, shuffled(candidate, mask, seed * repeats + k), mask)
        for k in range(repeats)
    ]
    return sum(found) / repeats


def kendall(reference: Tensor, candidate: Tensor, mask: Tensor | None = None) -> float:
    """Kendall's tau-b between two orders ``(..., src)`` of positions, the mean over output tokens.

    In [-1, 1]; 1: the same order everywhere, 0: no relation. Rows in which it has no value are left
    out: those of one position, and those where either side is constant.
    """
    sides = _compared(reference, candidate, mask)
    found = []
    for u, v, here in zip(*(x[None].flatten(0, -2).numpy(force=True) for x in sides), strict=True):
        a, b = u[here], v[here]
        if len(a) > 1 and a.min() < a.max() and b.min() < b.max():
            found.append(scipy_stats.kendalltau(a, b).statistic)
    if not found:
        raise ValueError(
            "expected a row of two positions or more where neither side is constant, found none"
        )
    return float(np.mean(found))


@dataclass(frozen=True)
class Xi:
    """Where a candidate stands on the axis of training."""

    passed: bool  #: whether the attention of other runs ever agrees better with the gold run's
    checkpoint: int | None  #: index of the first checkpoint at which it does; ``None`` for never
    value: float | None  #: xi, the runs' average performance there; ``None`` for never


def xi(
    level: float, curves: Sequence[Sequence[float]], performance: Sequence[Sequence[float]]
) -> Xi:
    """How well trained a run must be for its attention to foretell alpha as well as v does.

    For each run ``curves`` has A(alpha, alpha_run) and ``performance`` that of its task, both
    ``(runs, checkpoints)``. At the first checkpoint at which the runs' mean agreement exceeds
    ``level = A(alpha, v)``, xi is their mean performance. Paper, section 3.
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


def spread(attention: Tensor, mask: Tensor) -> float:
    """How evenly attention is spread: exp(entropy)/L, the mean over output tokens, in (0, 1].

    1 where attention ``(batch, tgt, src)`` is uniform over the L source words that count, 1/L where
    it looks at one word. Rows of one word are left out.
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

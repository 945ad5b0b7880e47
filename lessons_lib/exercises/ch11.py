"""Checkers of chapter 11: intervals and repetitions."""

import math
from typing import Any

import numpy as np
from scipy.stats import binomtest, norm

from lessons_lib.exercises.contents import Array, Table, Wrong, numbers
from lessons_lib.exercises.judge import compared, exercise, refuse


def _z(confidence: float) -> float:
    """Of a two-sided interval."""
    return float(norm.isf((1 - confidence) / 2))


@compared("11.2", tolerance=1e-4)
def _repeat_within(c: Any, r: Any) -> Table:
    def both(reach: float) -> float:
        return float(2 * norm.cdf(reach) - 1)

    z, root, spread = _z(c), math.sqrt(r), math.sqrt(1 + 1 / r)
    return both(z / spread), {
        "confidence": c,
        "ours-is-true": both(z * root),
        "added-errors": both(z / (1 + 1 / root)),
        "more-runs-wider": both(z / math.sqrt(1 + r)),
        "equal-runs": both(z / math.sqrt(2)),
        "no-root": both(z / (1 + 1 / r)),
        "one-sided": both(norm.ppf(c) / spread),
        "one-tail": norm.cdf(z / spread),
        "always-95": both(_z(0.95) / spread),
        "squared": c**2,
    }


@compared("11.3", tolerance=1e-6)
def _intervals(k: int, n: int, c: Any) -> Table:
    def usual(k: int, n: int) -> Array:
        """The one that takes the standard error at the measured share."""
        half = z * math.sqrt(k * (n - k) / n) / n
        return np.array([k / n - half, k / n + half])

    def wilson(confidence: float) -> Array:
        return np.array([*binomtest(k, n).proportion_ci(confidence, "wilson")])

    z, right = _z(c), wilson(c)
    return right, {
        "wald": usual(k, n),
        "wald-at-zero": right if k else np.zeros(2),
        "one-sided": wilson(2 * c - 1),
        "always-95": wilson(0.95),
        "plus-four": usual(k + 2, n + 4),
        "exact": np.array([*binomtest(k, n).proportion_ci(c)]),
        "counts": n * right,
        "no-denominator": right * (1 + z**2 / n),
        "no-shift": right - right.mean() + k / n,
    }


@exercise("11.4")
def _runs_needed(f: Any) -> None:
    for p, q, power, level in (
        (0.88, 0.92, 0.8, 0.05),
        (0.3, 0.6, 0.9, 0.01),
        (0.6, 0.55, 0.95, 0.1),
        (0.5, 0.2, 0.6, 0.05),
    ):
        z, w, gap, root = _z(1 - level), float(norm.ppf(power)), p - q, math.sqrt
        one, two, m = p * (1 - p), q * (1 - q), (p + q) / 2
        both, pooled, quantiles = one + two, 2 * m * (1 - m), (z + w) ** 2
        arcs, truth = 2 * (math.asin(root(p)) - math.asin(root(q))), quantiles * both / gap**2
        # The textbooks' ways: variances apart, pooled, pooled for the level only, or by arcs.
        ways = (
            truth,
            quantiles * pooled / gap**2,
            (z * root(pooled) + w * root(both)) ** 2 / gap**2,
            2 * quantiles / arcs**2,
        )
        found = float(numbers(f(p, q, power, level)))
        if any(-0.01 * n <= found - n <= 1 + 0.01 * n for n in ways):  # rounded up or not
            continue
        case = f"p = {p}, q = {q}, power {power}, level {level}"
        mistakes = {
            "one-sided": (float(norm.isf(level)) + w) ** 2 * both / gap**2,
            "no-power": z**2 * both / gap**2,
            "squares-added": (z**2 + w**2) * both / gap**2,
            "one-variance": quantiles * one / gap**2,
            "both-kinds": 2 * truth,
            "half": truth / 2,
            "not-squared": truth * abs(gap),
            "quantiles-not-squared": truth / (z + w),
            "spread": quantiles * (root(one) + root(two)) ** 2 / gap**2,
            "level-for-quantile": (1 - level / 2 + power) ** 2 * both / gap**2,
        }
        holds = {key: abs(found - x) <= 1 + 0.01 * x for key, x in mistakes.items()}
        refuse("11.4", f"For {case}: ", holds)
        raise Wrong("value", f"The number is not right for {case}, found {found:.5g}.")

"""Checkers of chapter 9: intervals and repetitions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.integrate import trapezoid
from scipy.optimize import brentq
from scipy.stats import beta, norm

from lessons_lib.exercises.sandbox import Student, Wrong

# isort: off
# fmt: off
from lessons_lib.exercises.judge import (
    Array, Table, choice, compare, compared, exercise, named, numbers, refuse)


choice("11.1", "One in twenty, twenty times",
    "The average of a sum needs no independence. The probability of no miss at all does.",
    a=("one-interval", "One in twenty is one interval. There are twenty chances to miss."),
    b=("added-up", "1 is how many miss on average. Probabilities cannot be added up like that: "
        "some of the misses fall together."),
    c=("average-needs-independence", "The mean of a sum is the sum of means, whatever depends on "
        "what. Which of the two statements needs independence?"))


def _z(confidence: float) -> float:
    """Of a two-sided interval."""
    return float(norm.isf((1 - confidence) / 2))


@exercise("11.2", "Again, within the interval",
    "What is the variance of the difference of the two estimates?",
    "repeat_within(confidence, ratio)")
@compared(
    named("confidence {}, ratio {}", (0.9, 4.0), (0.95, 1.0), (0.95, 0.5), (0.5, 2.0)),
    tolerance=1e-4)
def _repeat_within(c: Any, r: Any) -> Table:
    def both(reach: float) -> float:
        return float(2 * norm.cdf(reach) - 1)

    z, root, spread = _z(c), math.sqrt(r), math.sqrt(1 + 1 / r)
    # Over all places where our own estimate may lie, in units of its standard error.
    ours = np.linspace(-9, 9, 20_001)
    inside = norm.cdf((z + ours) * root) - norm.cdf((ours - z) * root)
    return trapezoid(inside * norm.pdf(ours), ours), {
        "confidence": (c, "an interval covers the truth this often, not the next estimate."),
        "ours-is-true": (both(z * root), "our own estimate is taken for the truth. Both vary."),
        "added-errors": (both(z / (1 + 1 / root)), "standard errors are added. Variances add."),
        "more-runs-wider": (both(z / math.sqrt(1 + r)),
            "with more runs the new estimate varies less: its variance is divided by ratio."),
        "equal-runs": (both(z / math.sqrt(2)), "the new estimate has ratio times the runs."),
        "no-root": (both(z / (1 + 1 / r)), "that is a variance. Take its root."),
        "one-sided": (both(norm.ppf(c) / spread),
            "the interval is two-sided: split the error between both ends."),
        "one-tail": (norm.cdf(z / spread), "the new estimate may fall out at either end."),
        "always-95": (both(_z(0.95) / spread), "1.96 belongs to 95% only."),
        "squared": (c**2, "two intervals are not two independent events here."),
        "narrower": (both(z * spread), "the difference varies more than one of them."),
        "overlap": (both(z * (1 + 1 / root) / spread),
            "that is how often the two intervals overlap."),
    }


def _ends(k: float, n: float, z: float) -> Array:
    """Where the estimate lies z standard errors away, as measured at the end of the interval."""
    share = k / n

    def away(x: float) -> float:
        return (share - x) ** 2 - z**2 * x * (1 - x) / n

    low = 0.0 if share == 0 else brentq(away, 0, share - 1e-12, xtol=1e-14)
    high = 1.0 if share == 1 else brentq(away, share + 1e-12, 1, xtol=1e-14)
    return np.array([low, high])


def _intervals(k: int, n: int, c: Any) -> Table:
    def usual(k: float, n: float) -> Array:
        """The one that takes the standard error at the measured share."""
        half = z * math.sqrt(k * (n - k) / n) / n
        return np.array([k / n - half, k / n + half])

    z, tail = _z(c), (1 - c) / 2
    right = _ends(k, n, z)
    middle, half = right.mean(), np.ptp(right) / 2
    wald = ("the spread is taken at the estimate. Wilson takes it at the end of the interval, so "
        "that 0 of 12 does not claim certainty.")
    near = ("that is the usual interval with two successes and two failures added, near Wilson's.")
    return right, {
        "wald": (usual(k, n), wald),
        "wald-clipped": (np.clip(usual(k, n), 0, 1), wald),
        "wald-at-zero": (right if k else np.zeros(2), wald),
        "one-sided": (_ends(k, n, norm.ppf(c)), "split the error between both ends."),
        "always-95": (_ends(k, n, _z(0.95)), "1.96 belongs to 95% only."),
        "reversed": (right[::-1], "the lower end comes first."),
        "middle-and-half": (np.array([middle, half]),
            "that is the middle and half of the width. Asked are the ends."),
        "plus-four": (usual(k + 2, n + 4), near),
        "plus-four-clipped": (np.clip(usual(k + 2, n + 4), 0, 1), near),
        "agresti-coull": (usual(k + z**2 / 2, n + z**2),
            "that has Wilson's middle, and the usual width there."),
        "exact": (np.array([beta.ppf(tail, k, n - k + 1) if k else 0,
                            beta.isf(tail, k + 1, n - k) if k < n else 1]),
            "that is the exact (Clopper-Pearson) interval, which is wider."),
        "counts": (n * right, "those are counts. Asked are shares."),
        "failures": (_ends(n - k, n, z), "that is the interval of the failures."),
        "no-denominator": (right * (1 + z**2 / n), "divide by 1 + z^2/n as well."),
        "no-shift": (np.array([k / n - half, k / n + half]),
            "the middle is not k/n: it moves towards one half."),
        "z-not-squared": (_ends(k, n, math.sqrt(z)), "square the whole right side, z as well."),
    }


@exercise("11.3", "Wilson's interval",
    "Square |k/n - x| = z sqrt(x (1 - x) / n) and solve the quadratic equation for x.",
    "wilson(successes, n, confidence)")
def _wilson(f: Student) -> None:
    cases = ((10, 16, 0.95), (0, 12, 0.95), (50, 50, 0.9), (3, 40, 0.6))
    try:
        compare(f, named("{} of {}, confidence {}", *cases), _intervals, tolerance=1e-6)
    except Wrong as wrong:
        low, high = numbers(f(10, 16, 0.95), (2,))
        if wrong.key == "value" and not -1e-9 <= low < high <= 1 + 1e-9:
            refuse("", (True, "outside",
                "Expected two ends between 0 and 1, the lower one first."))
        raise


@exercise("11.4", "How many runs would decide it?",
    "(z of the two-sided level + z of the power)^2 times both variances over the squared "
    "difference.",
    "runs_needed(p, q, power, level)")
def _runs_needed(f: Student) -> None:
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
        ways = (truth, quantiles * pooled / gap**2,
            (z * root(pooled) + w * root(both)) ** 2 / gap**2, 2 * quantiles / arcs**2)
        found = float(numbers(f(p, q, power, level)))
        if any(-0.01 * n <= found - n <= 1 + 0.01 * n for n in ways):  # rounded up or not
            continue
        apart = "only one share varies here. Both are measured."
        mistakes = {
            "one-sided": ((float(norm.isf(level)) + w) ** 2 * both / gap**2,
                "the level is one-sided. A difference may have either sign: split it in two."),
            "no-power": (z**2 * both / gap**2,
                "with so many runs the difference is found half of the time. Add the quantile of "
                "the power."),
            "squares-added": ((z**2 + w**2) * both / gap**2,
                "add the two quantiles first, then square the sum."),
            "subtracted": ((z - w) ** 2 * both / gap**2, "the two quantiles add up."),
            "one-variance": (quantiles * one / gap**2, apart),
            "other-variance": (quantiles * two / gap**2, apart),
            "both-kinds": (2 * truth, "that is for both kinds together. Asked is for each."),
            "half": (truth / 2, "that is half of what is needed of each kind."),
            "not-squared": (truth * abs(gap), "the difference has to be squared."),
            "quantiles-not-squared": (truth / (z + w),
                "the sum of the quantiles has to be squared."),
            "spread": (quantiles * (root(one) + root(two)) ** 2 / gap**2,
                "standard errors are added. Variances add."),
            "root": (root(truth), "that is a root: the square is missing."),
            "level-for-quantile": ((1 - level / 2 + power) ** 2 * both / gap**2,
                "probabilities stand where their quantiles belong: `norm.ppf`."),
            "always-80": ((z + 0.8416) ** 2 * both / gap**2, "the power is an argument."),
            "always-5": ((1.96 + w) ** 2 * both / gap**2, "the level is an argument."),
        }
        case = f"p = {p}, q = {q}, power {power}, level {level}"
        refuse(f"For {case}: ", *(
            (abs(found - value) <= 1 + 0.01 * value, key, why)
            for key, (value, why) in mistakes.items()))
        raise Wrong("value", f"The number is not right for {case}, found {found:.5g}.")

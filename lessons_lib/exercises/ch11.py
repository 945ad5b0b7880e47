"""Checkers of chapter 11: intervals and repetitions."""

from __future__ import annotations

import math

import numpy as np
from scipy.integrate import trapezoid
from scipy.optimize import brentq
from scipy.stats import beta, norm

from lessons_lib.exercises.judge import Array, Exercise, choice, compare, numbers
from lessons_lib.exercises.sandbox import Student, Wrong


def _z(confidence: float) -> float:
    """Of a two-sided interval."""
    return float(norm.isf((1 - confidence) / 2))


def _repeat_within(f: Student) -> None:
    def within(confidence: float, ratio: float) -> float:
        z, root = _z(confidence), math.sqrt(ratio)
        # Over all places where our own estimate may lie, in units of its standard error.
        ours = np.linspace(-9, 9, 20_001)
        inside = norm.cdf((z + ours) * root) - norm.cdf((ours - z) * root)
        return float(trapezoid(inside * norm.pdf(ours), ours))

    def both(reach: float) -> float:
        return float(2 * norm.cdf(reach) - 1)

    root = math.sqrt
    # fmt: off
    mistakes = {
        "confidence": (lambda c, r: c,
            "an interval covers the truth this often, not the next estimate."),
        "ours-is-true": (lambda c, r: both(_z(c) * root(r)),
            "our own estimate is taken for the truth. Both vary."),
        "added-errors": (lambda c, r: both(_z(c) / (1 + 1 / root(r))),
            "standard errors are added. Variances add."),
        "more-runs-wider": (lambda c, r: both(_z(c) / root(1 + r)),
            "with more runs the new estimate varies less: its variance is divided by ratio."),
        "equal-runs": (lambda c, r: both(_z(c) / root(2)),
            "the new estimate has ratio times the runs."),
        "no-root": (lambda c, r: both(_z(c) / (1 + 1 / r)), "that is a variance. Take its root."),
        "one-sided": (lambda c, r: both(float(norm.ppf(c)) / root(1 + 1 / r)),
            "the interval is two-sided: split the error between both ends."),
        "one-tail": (lambda c, r: float(norm.cdf(_z(c) / root(1 + 1 / r))),
            "the new estimate may fall out at either end."),
        "always-95": (lambda c, r: both(_z(0.95) / root(1 + 1 / r)), "1.96 belongs to 95% only."),
        "squared": (lambda c, r: c ** 2, "two intervals are not two independent events here."),
        "narrower": (lambda c, r: both(_z(c) * root(1 + 1 / r)),
            "the difference varies more than one of them."),
        "overlap": (lambda c, r: both(_z(c) * (1 + 1 / root(r)) / root(1 + 1 / r)),
            "that is how often the two intervals overlap."),
    }
    # fmt: on
    pairs = ((0.9, 4.0), (0.95, 1.0), (0.95, 0.5), (0.5, 2.0))
    cases = {f"confidence {c}, ratio {r}": (c, r) for c, r in pairs}
    compare(f, cases, within, mistakes, tolerance=1e-4)


def _pooled(p: float, q: float) -> float:
    middle = (p + q) / 2
    return 2 * middle * (1 - middle)


def _runs_needed(f: Student) -> None:
    for p, q, power, level in (
        (0.88, 0.92, 0.8, 0.05),
        (0.3, 0.6, 0.9, 0.01),
        (0.6, 0.55, 0.95, 0.1),
        (0.5, 0.2, 0.6, 0.05),
    ):
        z, w, gap = _z(1 - level), float(norm.ppf(power)), p - q
        one, two = p * (1 - p), q * (1 - q)
        both, pooled = one + two, _pooled(p, q)
        arcs = 2 * (math.asin(math.sqrt(p)) - math.asin(math.sqrt(q)))
        # The textbooks' ways: variances apart, pooled, pooled for the level only, or by arcs.
        ways = [
            (z + w) ** 2 * both / gap**2,
            (z + w) ** 2 * pooled / gap**2,
            (z * math.sqrt(pooled) + w * math.sqrt(both)) ** 2 / gap**2,
            2 * (z + w) ** 2 / arcs**2,
        ]
        found, truth = float(numbers(f(p, q, power, level))), ways[0]
        if any(-0.01 * n <= found - n <= 1 + 0.01 * n for n in ways):  # rounded up or not
            continue
        one_sided = float(norm.isf(level))
        # fmt: off
        suspects = {
            "one-sided": ((one_sided + w) ** 2 * both / gap ** 2,
                "the level is one-sided. A difference may have either sign: split it in two."),
            "no-power": (z ** 2 * both / gap ** 2,
                "with so many runs the difference is found half of the time. Add the quantile of "
                "the power."),
            "squares-added": ((z ** 2 + w ** 2) * both / gap ** 2,
                "add the two quantiles first, then square the sum."),
            "subtracted": ((z - w) ** 2 * both / gap ** 2, "the two quantiles add up."),
            "one-variance": ((z + w) ** 2 * one / gap ** 2,
                "only one share varies here. Both are measured."),
            "other-variance": ((z + w) ** 2 * two / gap ** 2,
                "only one share varies here. Both are measured."),
            "both-kinds": (2 * truth, "that is for both kinds together. Asked is for each."),
            "half": (truth / 2, "that is half of what is needed of each kind."),
            "not-squared": (truth * abs(gap), "the difference has to be squared."),
            "quantiles-not-squared": (truth / (z + w),
                "the sum of the quantiles has to be squared."),
            "spread": ((z + w) ** 2 * (math.sqrt(one) + math.sqrt(two)) ** 2 / gap ** 2,
                "standard errors are added. Variances add."),
            "root": (math.sqrt(truth), "that is a root: the square is missing."),
            "level-for-quantile": ((1 - level / 2 + power) ** 2 * both / gap ** 2,
                "probabilities stand where their quantiles belong: `norm.ppf`."),
            "always-80": ((z + 0.8416) ** 2 * both / gap ** 2, "the power is an argument."),
            "always-5": ((1.96 + w) ** 2 * both / gap ** 2, "the level is an argument."),
        }
        # fmt: on
        case = f"p = {p}, q = {q}, power {power}, level {level}"
        for key, (value, message) in suspects.items():
            if abs(found - value) <= 1 + 0.01 * value:
                raise Wrong(key, f"For {case}: {message}")
        raise Wrong("value", f"The number is not right for {case}, found {found:.5g}.")


def _wilson(f: Student) -> None:
    def ends(k: float, n: float, confidence: float, z: float | None = None) -> Array:
        """Where the estimate lies z standard errors away, as measured at the end."""
        z, share = _z(confidence) if z is None else z, k / n

        def away(x: float) -> float:
            return (share - x) ** 2 - z**2 * x * (1 - x) / n

        low = 0.0 if share == 0 else brentq(away, 0, share - 1e-12, xtol=1e-14)
        high = 1.0 if share == 1 else brentq(away, share + 1e-12, 1, xtol=1e-14)
        return np.array([low, high])

    def spread(k: float, n: float, z: float) -> Array:
        """The usual one, which takes the standard error at the measured share."""
        half = z * math.sqrt(k * (n - k) / n) / n
        return np.array([k / n - half, k / n + half])

    def middle(k: int, n: int, c: float) -> Array:
        low, high = ends(k, n, c)
        return np.array([(low + high) / 2, (high - low) / 2])

    def exact(k: int, n: int, c: float) -> Array:
        tail = (1 - c) / 2
        low = beta.ppf(tail, k, n - k + 1) if k else 0.0
        return np.array([low, beta.isf(tail, k + 1, n - k) if k < n else 1.0])

    wald = (
        "the spread is taken at the estimate. Wilson takes it at the end of the interval, so that "
        "0 of 12 does not claim certainty."
    )
    # fmt: off
    mistakes = {
        "wald": (lambda k, n, c: spread(k, n, _z(c)), wald),
        "wald-clipped": (lambda k, n, c: np.clip(spread(k, n, _z(c)), 0, 1), wald),
        "wald-at-zero": (lambda k, n, c: ends(k, n, c) if k else np.zeros(2),
            wald),
        "one-sided": (lambda k, n, c: ends(k, n, c, float(norm.ppf(c))),
            "split the error between both ends."),
        "always-95": (lambda k, n, c: ends(k, n, c, _z(0.95)), "1.96 belongs to 95% only."),
        "reversed": (lambda *g: ends(*g)[::-1], "the lower end comes first."),
        "middle-and-half": (middle,
            "that is the middle and half of the width. Asked are the ends."),
        "plus-four": (lambda k, n, c: spread(k + 2, n + 4, _z(c)),
            "that is the usual interval with two successes and two failures added, near Wilson's."),
        "plus-four-clipped": (lambda k, n, c: np.clip(spread(k + 2, n + 4, _z(c)), 0, 1),
            "that is the usual interval with two successes and two failures added, near Wilson's."),
        "agresti-coull": (lambda k, n, c: spread(k + _z(c) ** 2 / 2, n + _z(c) ** 2, _z(c)),
            "that has Wilson's middle, and the usual width there."),
        "exact": (exact, "that is the exact (Clopper-Pearson) interval, which is wider."),
        "counts": (lambda k, n, c: n * ends(k, n, c), "those are counts. Asked are shares."),
        "failures": (lambda k, n, c: ends(n - k, n, c), "that is the interval of the failures."),
        "no-denominator": (lambda k, n, c: ends(k, n, c) * (1 + _z(c) ** 2 / n),
            "divide by 1 + z^2/n as well."),
        "no-shift": (lambda k, n, c: k / n + np.array([-1, 1]) * np.ptp(ends(k, n, c)) / 2,
            "the middle is not k/n: it moves towards one half."),
        "z-not-squared": (lambda k, n, c: ends(k, n, c, math.sqrt(_z(c))),
            "square the whole right side, z as well."),
    }
    # fmt: on
    triples = ((10, 16, 0.95), (0, 12, 0.95), (50, 50, 0.9), (3, 40, 0.6))
    cases = {f"{k} of {n}, confidence {c}": (k, n, c) for k, n, c in triples}
    try:
        compare(f, cases, ends, mistakes, tolerance=1e-6)
    except Wrong as wrong:
        low, high = numbers(f(10, 16, 0.95), (2,))
        if wrong.key == "value" and not -1e-9 <= low < high <= 1 + 1e-9:
            raise Wrong(
                "outside", "Expected two ends between 0 and 1, the lower one first."
            ) from None
        raise


EXERCISES = {
    "11.1": Exercise(
        "One in twenty, twenty times",
        choice(
            {
                "a": (
                    "one-interval",
                    "One in twenty is one interval. There are twenty chances to miss.",
                ),
                "b": (
                    "added-up",
                    "1 is how many miss on average. Probabilities cannot be added up like that: "
                    "some of the misses fall together.",
                ),
                "c": (
                    "average-needs-independence",
                    "The mean of a sum is the sum of means, whatever depends on what. Which of the "
                    "two statements needs independence?",
                ),
            }
        ),
        "The average of a sum needs no independence. The probability of no miss at all does.",
    ),
    "11.2": Exercise(
        "Again, within the interval",
        _repeat_within,
        "What is the variance of the difference of the two estimates?",
        "repeat_within(confidence, ratio)",
    ),
    "11.3": Exercise(
        "Wilson's interval",
        _wilson,
        "Square |k/n - x| = z sqrt(x (1 - x) / n) and solve the quadratic equation for x.",
        "wilson(successes, n, confidence)",
    ),
    "11.4": Exercise(
        "How many runs would decide it?",
        _runs_needed,
        "(z of the two-sided level + z of the power)^2 times both variances over the squared "
        "difference.",
        "runs_needed(p, q, power, level)",
    ),
}

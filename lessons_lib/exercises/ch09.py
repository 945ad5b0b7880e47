"""Checkers of chapter 9: intervals and repetitions."""

from __future__ import annotations

import math

import numpy as np
from scipy.integrate import trapezoid
from scipy.optimize import brentq
from scipy.stats import norm

from lessons_lib.exercises.judge import Exercise, choice, expect, numbers
from lessons_lib.exercises.sandbox import Student, Wrong


def _repeat_within(f: Student) -> None:
    for confidence, ratio in ((0.9, 4.0), (0.95, 1.0), (0.95, 0.5)):
        z, root = float(norm.isf((1 - confidence) / 2)), math.sqrt(ratio)
        # Over all places where our own estimate may lie, in units of its standard error.
        ours = np.linspace(-9, 9, 20_001)
        inside = norm.cdf((z + ours) * root) - norm.cdf((ours - z) * root)
        mistakes = {
            "confidence": (
                confidence,
                "an interval covers the truth this often, not the next estimate.",
            ),
            "ours-is-true": (
                2 * norm.cdf(z * root) - 1,
                "our own estimate is taken for the truth. Both vary.",
            ),
            "added-errors": (
                2 * norm.cdf(z / (1 + 1 / root)) - 1,
                "standard errors are added. Variances add.",
            ),
            "more-runs-wider": (
                2 * norm.cdf(z / math.sqrt(1 + ratio)) - 1,
                "with more runs the new estimate varies less: its variance is divided by ratio.",
            ),
        }
        truth = float(trapezoid(inside * norm.pdf(ours), ours))
        case = f"confidence {confidence}, ratio {ratio}"
        if ratio == 1:  # the last mistake is none here
            del mistakes["more-runs-wider"]
        expect(numbers(f(confidence, ratio)), truth, case, mistakes, tolerance=1e-4)


def _size(p: float, q: float, power: float, z: float, variance: float) -> float:
    """Runs of each kind at which the difference exceeds z standard errors this often."""

    def short(n: float) -> float:
        return float(norm.sf(z - abs(p - q) / math.sqrt(variance / n))) - power

    return float(brentq(short, 1e-3, 1e7))


def _runs_needed(f: Student) -> None:
    for p, q, power, level in ((0.88, 0.92, 0.8, 0.05), (0.3, 0.6, 0.9, 0.01)):
        z, both = float(norm.isf(level / 2)), p * (1 - p) + q * (1 - q)
        truth = _size(p, q, power, z, both)
        found = float(numbers(f(p, q, power, level)))
        suspects = {
            "one-sided": (
                _size(p, q, power, float(norm.isf(level)), both),
                "the level is one-sided. A difference may have either sign: split it in two.",
            ),
            "no-power": (
                _size(p, q, 0.5, z, both),
                "with so many runs the difference is found half of the time. Add the quantile of "
                "the power.",
            ),
            "one-variance": (
                _size(p, q, power, z, p * (1 - p)),
                "only one share varies here. Both are measured.",
            ),
            "both-kinds": (2 * truth, "that is for both kinds together. Asked is for each."),
        }
        case = f"p = {p}, q = {q}, power {power}, level {level}"
        if -0.01 * truth <= found - truth <= 1 + 0.01 * truth:  # rounded up or not
            continue
        for key, (value, message) in suspects.items():
            if abs(found - value) <= 1 + 0.01 * value:
                raise Wrong(key, f"For {case}: {message}")
        raise Wrong("value", f"The number is not right for {case}, found {found:.5g}.")


def _wilson(f: Student) -> None:
    for k, n, confidence in ((10, 16, 0.95), (0, 12, 0.95), (50, 50, 0.9)):
        low, high = numbers(f(k, n, confidence), (2,))
        share, z = k / n, float(norm.isf((1 - confidence) / 2))
        case, wald = f"{k} of {n}, confidence {confidence}", z * math.sqrt(share * (1 - share) / n)
        if low > high:
            raise Wrong("reversed", f"For {case}: the lower end comes first.")
        if np.allclose([low, high], [share - wald, share + wald], atol=1e-6):
            raise Wrong(
                "wald",
                f"For {case}: the spread is taken at the estimate. Wilson takes it at the end of "
                "the interval, so that 0 of 12 does not claim certainty.",
            )
        if not -1e-9 <= low < high <= 1 + 1e-9:
            raise Wrong("outside", f"For {case}: expected two ends between 0 and 1.")
        ends = np.clip([low, high], 0, 1)
        # What defines the ends: the estimate lies z standard errors away, as measured at the end.
        away, variance = (share - ends) ** 2, ends * (1 - ends) / n
        one_sided = float(norm.isf(1 - confidence))
        if np.allclose(away, one_sided**2 * variance, atol=1e-6):
            raise Wrong("one-sided", f"For {case}: split the error between both ends.")
        if not np.allclose(away, z**2 * variance, atol=1e-6):
            raise Wrong(
                "value", f"For {case}: the ends are not right, found {low:.5g}, {high:.5g}."
            )


EXERCISES = {
    "9.1": Exercise(
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
                "d": (
                    "average-needs-independence",
                    "The mean of a sum is the sum of means, whatever depends on what. Which of the "
                    "two statements needs independence?",
                ),
            }
        ),
        "The average of a sum needs no independence. The probability of no miss at all does.",
    ),
    "9.2": Exercise(
        "Again, within the interval",
        _repeat_within,
        "What is the variance of the difference of the two estimates?",
        "repeat_within(confidence, ratio)",
    ),
    "9.3": Exercise(
        "Wilson's interval",
        _wilson,
        "Square |k/n - x| = z sqrt(x (1 - x) / n) and solve the quadratic equation for x.",
        "wilson(successes, n, confidence)",
    ),
    "9.4": Exercise(
        "How many runs would decide it?",
        _runs_needed,
        "(z of the two-sided level + z of the power)^2 times both variances over the squared "
        "difference.",
        "runs_needed(p, q, power, level)",
    ),
}

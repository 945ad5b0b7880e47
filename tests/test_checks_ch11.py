"""Chapter 11: right answers pass, and named wrong ones are told apart."""

from __future__ import annotations

import math
from typing import Any

from scipy.stats import norm

from lessons_lib import stats
from lessons_lib.exercises.check import check


def z_of(confidence: float) -> float:
    return float(norm.ppf((1 + confidence) / 2))


def repeat_within(confidence: float, ratio: float) -> float:
    return 2 * float(norm.cdf(z_of(confidence) / math.sqrt(1 + 1 / ratio))) - 1


def runs_needed(p: float, q: float, power: float, level: float, one: bool = False) -> float:
    z = float(norm.ppf(1 - level / (1 if one else 2)) + norm.ppf(power))
    return z**2 * (p * (1 - p) + q * (1 - q)) / (p - q) ** 2


def wilson(k: int, n: int, confidence: float, one: bool = False) -> tuple[float, float]:
    z = float(norm.ppf(confidence)) if one else z_of(confidence)
    middle = (k + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * math.sqrt(k * (n - k) / n + z**2 / 4)
    return middle - half, middle + half


def wald(k: int, n: int, confidence: float) -> tuple[float, float]:
    share = k / n
    half = z_of(confidence) * math.sqrt(share * (1 - share) / n)
    return share - half, share + half


def plus_four(k: int, n: int, confidence: float) -> tuple[float, float]:
    low, high = wald(k + 2, n + 4, confidence)
    return max(low, 0.0), min(high, 1.0)


RIGHT: dict[str, Any] = {
    "11.1": "d",
    "11.2": repeat_within,
    "11.3": wilson,
    "11.4": runs_needed,
}

WRONG: dict[str, dict[str, tuple[Any, str]]] = {
    "11.1": {
        "one interval": ("a", "one-interval"),
        "added up": ("b", "added-up"),
        "the average needs independence": ("c", "average-needs-independence"),
    },
    "11.2": {
        "the confidence": (lambda c, r: c, "confidence"),
        "our estimate is true": (
            lambda c, r: 2 * norm.cdf(z_of(c) * math.sqrt(r)) - 1,
            "ours-is-true",
        ),
        "errors added": (
            lambda c, r: 2 * norm.cdf(z_of(c) / (1 + 1 / math.sqrt(r))) - 1,
            "added-errors",
        ),
        "ratio upside down": (lambda c, r: repeat_within(c, 1 / r), "more-runs-wider"),
        "one tail": (lambda c, r: (1 + repeat_within(c, r)) / 2, "one-tail"),
    },
    "11.3": {
        "Wald": (wald, "wald"),
        "one-sided": (lambda k, n, c: wilson(k, n, c, one=True), "one-sided"),
        "reversed": (lambda k, n, c: wilson(k, n, c)[::-1], "reversed"),
        "two added successes and failures": (plus_four, "plus-four-clipped"),
        "everything": (lambda k, n, c: (-0.5, 1.5), "constant"),
        "one end": (lambda k, n, c: wilson(k, n, c)[0], "shape"),
    },
    "11.4": {
        "one-sided": (lambda p, q, w, a: runs_needed(p, q, w, a, one=True), "one-sided"),
        "power forgotten": (lambda p, q, w, a: runs_needed(p, q, 0.5, a), "no-power"),
        "one variance": (
            lambda p, q, w, a: runs_needed(p, q, w, a) * p * (1 - p) / (p * (1 - p) + q * (1 - q)),
            "one-variance",
        ),
        "both kinds": (lambda p, q, w, a: 2 * math.ceil(runs_needed(p, q, w, a)), "both-kinds"),
        "difference not squared": (
            lambda p, q, w, a: runs_needed(p, q, w, a) * abs(p - q),
            "not-squared",
        ),
    },
}


def test_the_number_of_runs_may_be_rounded_up() -> None:
    assert check("11.4", lambda *given: math.ceil(runs_needed(*given))).passed


def test_wald_is_told_apart_where_nothing_was_seen() -> None:
    """0 of 12: an interval of no width at all would claim certainty."""
    assert check("11.3", lambda k, n, c: wilson(k, n, c) if k else (0.0, 0.0)).key == "wald-at-zero"


def test_the_library_passes_where_it_answers_the_same_question() -> None:
    def library(k: int, n: int, confidence: float) -> tuple[float, float]:
        found = stats.proportion_interval(k, n, confidence=confidence)
        return found.low, found.high

    assert check("11.3", library).passed

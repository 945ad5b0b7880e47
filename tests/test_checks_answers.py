"""Right answers pass, however they are written, and wrong ones are told apart by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
import test_checks_ch01_02 as one
import test_checks_ch03_04 as three
import test_checks_ch05_10 as five
import test_checks_ch06_07 as six
import test_checks_ch11 as nine
import torch
from scipy.special import lambertw
from scipy.stats import norm

from lessons_lib import probes
from lessons_lib.exercises.check import EXERCISES, check

TABLES = (one, three, five, six, nine)
RIGHT: dict[str, Any] = {number: right for t in TABLES for number, right in t.RIGHT.items()}
WRONG: dict[str, dict[str, tuple[Any, str]]] = {n: w for t in TABLES for n, w in t.WRONG.items()}


@pytest.mark.parametrize("number", EXERCISES)
def test_the_right_answer_passes(number: str) -> None:
    assert check(number, RIGHT[number]).passed


@pytest.mark.parametrize(("number", "name"), [(n, name) for n in EXERCISES for name in WRONG[n]])
def test_a_wrong_answer_is_diagnosed(number: str, name: str) -> None:
    answer, key = WRONG[number][name]
    found = check(number, answer)
    assert (found.verdict, found.key) == ("wrong", key)


@pytest.mark.parametrize("number", EXERCISES)
def test_each_exercise_tells_two_mistakes_apart(number: str) -> None:
    assert len({key for _, key in WRONG[number].values()} - {"value"}) >= 2


def lambert(d: float) -> complex:
    """The lowest attention by Lambert's W, which gives complex numbers."""
    c = 1 - d**2 / 4
    lead = c - lambertw(math.exp(c))
    return complex(1 / (1 + np.exp(-lead)))


def exactly(loss: float, p: float) -> tuple[float, float]:
    k = -math.log(math.expm1(loss / 2))
    return -k, (k + (1 - p) * k) / p


def as_select(accuracy: float, mass: float, start: float) -> Any:
    low = max(accuracy, mass) < start
    return np.select([accuracy > 0.5, low], ["aligned", "elimination"], "undecided")


def as_where(accuracies: list[float]) -> Any:
    x = np.array(accuracies)
    return np.where((x > 0.95).all(), "good", np.where((x < 0.6).all(), "bad", "discarded"))


def pooled(p: float, q: float, power: float, level: float) -> float:
    z, w, m = norm.ppf(1 - level / 2), norm.ppf(power), (p + q) / 2
    both = p * (1 - p) + q * (1 - q)
    return float((z * math.sqrt(2 * m * (1 - m)) + w * math.sqrt(both)) ** 2 / (p - q) ** 2)


def not_query(name: str) -> bool:
    return not name.startswith("query")


ALSO_RIGHT: list[tuple[str, Any]] = [
    ("1.5", np.float32(0.53)),
    ("1.5", torch.tensor([0.54])),
    ("2.2", exactly),
    ("2.3", lambert),
    ("8.2", np.array([True, False, 1 / 15], dtype=object)),
    ("8.2", (x for x in (1, 0, Fraction(1, 15)))),
    ("8.2", pd.Series([1, 0, 1 / 15])),
    ("5.2", lambda names: filter(not_query, names)),
    ("5.2", lambda names: frozenset(filter(not_query, names))),
    ("5.2", lambda names: np.array(list(filter(not_query, names)))),
    ("5.2", lambda names: (name for name in names if not_query(name))),
    ("5.2", lambda names: dict.fromkeys(filter(not_query, names)).keys()),
    ("5.3", ((0.5, 0.5), np.array([[1, 3], [0, 0]]))),
    ("6.3", as_select),
    ("6.5", lambda n: (torch.ones(n, n) - torch.eye(n)) / (n - 1)),
    ("6.6", torch.tensor([[-0.1, 0.5], [0.1, -0.5]])),
    ("6.7", lambda a, b, n: (v / n**2 for v in (b, a))),
    ("7.3", lambda p, share: np.ceil(np.log(1 - share) / np.log(1 - p))),
    ("7.4", as_where),
    ("7.4", lambda x: np.str_(six.kind_of_start(x))),
    ("7.4", lambda x: [six.kind_of_start(x).upper()]),
    ("11.4", pooled),
    ("11.4", lambda *given: math.ceil(pooled(*given))),
    *[("1.1", said) for said in ("d", " D ", "(d)", "d)", "d.", "Option d", np.str_("d"), ["d"])],
]


@pytest.mark.parametrize(
    ("number", "answer"), ALSO_RIGHT, ids=[f"{n}-{k}" for k, (n, _) in enumerate(ALSO_RIGHT)]
)
def test_types_and_rounding_are_no_stricter_than_the_statement(number: str, answer: Any) -> None:
    found = check(number, answer)
    assert found.passed, found


def median_xi(level: float, curves: Any, performance: Any) -> float:
    above = np.median(curves, 0) > level
    return float(np.median(performance, 0)[above.argmax()]) if above.any() else math.nan


def half_of_max(x: Any, y: Any) -> float:
    return five.half_rise(x, y, level=(y[0] + y.max()) / 2)


def adam99(gradients: Any, rate: float) -> Any:
    m = v = way = 0 * gradients[0]
    for t, g in enumerate(gradients, start=1):
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g**2
        way = way - rate * m / (1 - 0.9**t) / ((v / (1 - 0.99**t)) ** 0.5 + 1e-8)
    return way


def causal(length: int) -> Any:
    rows = np.tril(np.ones((length, length)))
    return rows / rows.sum(1, keepdims=True)


def zero_scores(q: Any, k: Any, mask: Any) -> Any:
    return (q @ k.transpose(1, 2) * mask[:, None]).softmax(-1)


def probability_law(alpha: Any, z: Any, y: int) -> Any:
    beta = z.softmax(-1)[:, y]
    return alpha * (beta - alpha @ beta)


def sigmoid_probe(model: Any, batch: Any) -> Any:
    logit = probes.lexical_probe(model, batch, scale="logit")
    return logit.sigmoid() * batch.source_mask[:, None]


def fair_int(u: Any, v: Any, top: float, more: int = 0) -> float:
    return three.fair(u, v, (int(top * u.shape[1]) + more) / u.shape[1])


def unlike_first(length: int) -> Any:
    """Only the last row does not sum to 1."""
    found = six.blend(length, 0)
    found[-1] *= 0.9
    return found


def by_top(top: Callable[[int], int]) -> Any:
    return lambda u, v, m: three.by_hand(u, v, m, top)


# Answers that passed once, or were given a wrong reason, and others of their kinds.
FOUND_OUT: list[tuple[str, Any, str]] = [
    ("1.2", zero_scores, "scores-times-mask"),
    ("1.4", sigmoid_probe, "sigmoid"),
    ("1.5", 0.59, "value"),
    ("1.5", 0.5, "value"),
    ("1.5", 0.0025, "loss"),
    ("2.3", lambda d: 0.3 + 0.2j, "complex"),
    ("3.3", by_top(lambda n: n // 20 + 1), "one-more"),
    ("3.3", by_top(lambda n: max(1, round(n / 20))), "nearest"),
    ("8.2", [..., 0, 1 / 15], "unfinished"),
    ("8.2", [...], "unfinished"),
    ("8.2", (1, 0, 10**400), "too-large"),
    ("8.3", fair_int, "rounded-down"),
    ("8.3", lambda u, v, top: fair_int(u, v, top, 1), "one-more"),
    ("8.4", median_xi, "value"),
    ("5.2", lambda names: [...], "unfinished"),
    ("5.4", probability_law, "probability-law"),
    ("6.3", lambda accuracy, mass, start: six.branch(mass, mass, start), "mass-alone"),
    ("6.3", lambda a, m, s: "aligned" if m > 0.5 else six.branch(a, m, s), "mass-for-accuracy"),
    ("6.3", lambda a, m, s: "aligned" if a >= 0.5 else six.branch(a, m, s), "half-counts"),
    ("6.3", lambda a, m, s: six.branch(a, m, s + 1e-9), "equal-counts"),
    ("6.4", lambda n: 10**400, "too-large"),
    ("6.5", causal, "causal"),
    ("6.5", unlike_first, "no-shares"),
    ("6.6", ((-0.5, 0.51), (0.2, -0.5)), "beyond-the-rule"),
    ("7.3", lambda p, s: int(math.log(1 - s) / math.log(1 - p)) + 1, "one-more"),
    ("7.4", lambda x: six.kind_of_start([v + 1e-9 for v in x]), "equal-is-above"),
    ("7.4", lambda x: "bad" if max(x) <= 0.6 else six.kind_of_start(x), "equal-is-below"),
    ("7.5", lambda a, b, n: np.stack([b, a]) / n**3, "length-for-heads"),
    ("10.3", half_of_max, "of-the-largest"),
    ("10.3", lambda x, y: five.half_rise(x, y, level=(y.min() + y[-1]) / 2), "from-the-smallest"),
    ("10.7", adam99, "second-99"),
    ("11.4", lambda p, q, w, a: pooled(p, q, w, 2 * a), "one-sided"),
    ("1.1", "(e)", "no-such-option"),
    ("1.1", 4, "type"),
]


@pytest.mark.parametrize(
    ("number", "answer", "key"), FOUND_OUT, ids=[f"{n}-{key}" for n, _, key in FOUND_OUT]
)
def test_an_answer_that_passed_once_does_not(number: str, answer: Any, key: str) -> None:
    found = check(number, answer)
    assert (found.verdict, found.key) == ("wrong", key), found


USUAL = {
    "sign": lambda x: -x,
    "upside-down": lambda x: 1 / x,
    "percent": lambda x: 100 * x,
    "factor": lambda x: 3 * x,
    "complement": lambda x: 1 - x,
    "squared": lambda x: x**2,
}


@pytest.mark.parametrize("key", USUAL)
@pytest.mark.parametrize("number", ["1.3", "10.6", "11.2"])
def test_the_usual_slips_have_names_in_every_exercise(number: str, key: str) -> None:
    found = check(number, lambda *given: USUAL[key](RIGHT[number](*given)))
    assert found.key in (key, "no-root") or "squared" in found.message, found

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from lessons_lib.theory import two_words
from lessons_lib.theory.two_words import Objective

NAN = math.nan
OBJECTIVES: list[Objective] = ["difference", "logistic"]


@pytest.mark.parametrize(("d", "p"), [(0.0, 0.5), (-0.6, 0.5), (-3.0, 0.2), (2.0, 0.9)])
def test_closed_form_and_solver_agree(d: float, p: float) -> None:
    times = np.linspace(0, 3, 7)
    exact, solved = two_words.toy_closed_form(times, d, p), two_words.toy_flow(times, d, p)
    # The solver keeps each step to 1e-10; e^(r t) = 70 at the end lets errors grow as much.
    assert_allclose(solved.d, exact.d, rtol=1e-7, atol=1e-8)
    assert_allclose(solved.p, exact.p, rtol=1e-7, atol=1e-8)
    conserved = exact.d**2 - 2 * exact.p**2
    assert_allclose(conserved, d**2 - 2 * p**2, atol=1e-6)  # terms of up to 1e4 cancel
    time, side = two_words.toy_exit(d, p)
    assert two_words.toy_closed_form(time, d, p).p == pytest.approx(side, abs=1e-12)
    before = two_words.toy_closed_form(np.linspace(0, time * 0.999, 50), d, p).p
    assert ((before > 0) & (before < 1)).all(), "the first time"


def test_exit_by_hand() -> None:
    by_hand = math.acosh(2) / math.sqrt(2)
    assert two_words.toy_exit(0.0, 0.5) == pytest.approx((by_hand, 1))
    assert two_words.toy_exit(-math.sqrt(2) * 0.5, 0.5) == (math.inf, 0)


def test_scores_and_value_by_hand() -> None:
    s0, s1 = two_words.scores(-2.0, 6.0, 0.25)
    assert (float(s0), float(s1)) == (-2.0, 0.0)
    assert two_words.value(-2.0, 6.0, 0.25) == pytest.approx(2.0)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("state", [(0.3, -0.7, 0.2), (-1.1, 2.3, -1.9), (4.0, -4.0, 0.0)])
def test_velocity_is_the_gradient_of_what_is_maximised(
    state: tuple[float, float, float], objective: Objective
) -> None:
    leaf = torch.tensor(state, dtype=torch.float64, requires_grad=True)
    b0, b1, a = leaf.unbind()
    p = torch.sigmoid(a)
    s0, s1 = b0, (1 - p) * b0 + p * b1
    value = s1 - s0
    if objective == "logistic":
        value = (torch.sigmoid(-s0) * torch.sigmoid(s1)).log()
    (by_autograd,) = torch.autograd.grad(value, leaf)
    assert_allclose(two_words.velocity(*state, objective=objective), by_autograd, rtol=1e-12)
    found = two_words.value(state[0], state[1], p.item(), objective)
    assert found == pytest.approx(value.item())


@pytest.mark.parametrize(("d", "a"), [(0.0, 0.0), (-2.5, 0.0), (-1.0, -2.2), (3.0, 1.0)])
def test_closed_orbit_and_flow_agree(d: float, a: float) -> None:
    path = two_words.flow(np.linspace(0, 20, 9), -d / 2, d / 2, a)
    # Rounding and the solver's 1e-10 a step; nothing grows along an orbit of this flow.
    assert_allclose(two_words.orbit(path.d, d, a), path.a, atol=1e-7)
    assert_allclose(two_words.conserved(path.d, path.a), two_words.conserved(d, a), atol=1e-7)


@pytest.mark.parametrize(("d", "a"), [(-0.5, 0.0), (-3.0, 0.0), (-4.0, -1.0)])
def test_after_the_recovery_time_attention_is_back(d: float, a: float) -> None:
    time = two_words.recovery_time(d, a)
    half, end = (
        two_words.flow([share * time], -d / 2, d / 2, a, "difference") for share in (0.5, 1.0)
    )
    assert end.a[0] == pytest.approx(a, abs=1e-6)
    assert end.d[0] == pytest.approx(-d, abs=1e-6)
    assert half.d[0] == pytest.approx(0, abs=1e-6), "half of the time is spent on the way down"


def test_both_laws_are_what_autograd_says() -> None:
    """Of attention logits a, ``(batch, src)``; logits z of each position alone; right words."""
    rng = torch.Generator().manual_seed(3)
    a = 2 * torch.randn(2, 5, generator=rng, dtype=torch.float64, requires_grad=True)
    z = 3 * torch.randn(2, 5, 7, generator=rng, dtype=torch.float64)
    rows, right = torch.arange(2), torch.tensor([6, 2])
    alpha = a.softmax(-1)
    mixed = (alpha[..., None] * z).sum(-2)
    laws = (
        (mixed, two_words.gradient_law_logit(alpha.detach(), z[rows, :, right])),
        (
            mixed.log_softmax(-1),
            two_words.gradient_law_log_probability(alpha.detach(), z, right),
        ),
    )
    for said, found in laws:
        (expected,) = torch.autograd.grad(said[rows, right].sum(), a, retain_graph=True)
        assert_allclose(found, expected, atol=1e-13)
        assert_allclose(found.sum(-1), 0, atol=1e-13)


@pytest.mark.parametrize(("function", "given", "message"), [
    *((two_words.toy_exit, (0.0, p), "p between 0 and 1, found") for p in (0.0, NAN)),
    *((two_words.recovery_time, (d,), "below 0") for d in (0.0, NAN)),
    *((two_words.flow, (times, 0.0, 0.0), "t_eval|size|finite")
      for times in ([], [1.0, 1.0], [-1.0, 2.0], [[0.0, 1.0]], [0.0, NAN])),
    (two_words.flow, ([1.0], 0.0, 0.0, 0.0, "hinge"), "found 'hinge'"),
    (two_words.gradient_law_logit, ([0.5, 0.6], [1.0, 2.0]), "sum to 1"),
    (two_words.gradient_law_logit, ([0.5, 0.5], [1.0, 2.0, 3.0]), r"\(3,\), .* shape \(2,\)"),
    (two_words.gradient_law_log_probability, ([0.5, 0.5], np.zeros((2, 4)), 4),
     r"words from 0 to 3, found \[4\]"),
])  # fmt: skip
def test_what_is_refused(function: Any, given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        function(*given)

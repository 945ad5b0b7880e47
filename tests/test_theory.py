"""The reduced model: derived quantities against the model written out, counting, and autograd.

And trained models in its plane.
"""

import itertools
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from lessons_lib.theory import phase_portrait as theory
from lessons_lib.theory import portrait
from lessons_lib.theory.two_words import integrate


def inputs(vocab: int, length: int) -> list[tuple[int, ...]]:
    """Every input of the task, each once."""
    return list(itertools.permutations(range(vocab), length))


def losses(a: Tensor, b: Tensor, words: tuple[int, ...]) -> Tensor:
    """The model on one input, written out word by word: the loss of each output word."""
    found = []
    for t, right in enumerate(words):
        weights = torch.exp(a[t]) / torch.exp(a[t]).sum()
        logits = torch.zeros(len(b), dtype=torch.float64)
        for i, word in enumerate(words):
            logits = logits + weights[i] * b[word]
        found.append(torch.log(torch.exp(logits).sum()) - logits[right])
    return torch.stack(found)


def symmetric(a: float, b: float, vocab: int, length: int) -> tuple[Tensor, Tensor]:
    """``A = a I`` and ``B = b I``, ready for autograd."""
    x, y = a * torch.eye(length).double(), b * torch.eye(vocab).double()
    return x.requires_grad_(), y.requires_grad_()


def expected_gradients(at: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Of the mean loss over output words and over every input, by autograd."""
    every = [losses(*at, words).mean() for words in inputs(len(at[1]), len(at[0]))]
    by_a, by_b = torch.autograd.grad(torch.stack(every).mean(), at)
    return by_a, by_b


def word_loss(a: Any, b: Any, vocab: int, length: int) -> np.ndarray:
    """Loss of each output word of one head, ``log(1 + (L-1) exp(-(p-q) b) + (V-L) exp(-p b))``."""
    p = theory.right_attention(a, length)
    terms = [0.0 * p * b, np.log(length - 1) - (p - (1 - p) / (length - 1)) * b]
    spare = [np.log(vocab - length) - p * b] if vocab > length else []
    found: np.ndarray = np.logaddexp.reduce([*terms, *spare])
    return found


@pytest.mark.parametrize(("vocab", "length"), [(4, 2), (3, 3), (5, 1)])
def test_cooccurrence_by_counting_and_the_first_lead_by_autograd(vocab: int, length: int) -> None:
    with_first = [words for words in inputs(vocab, length) if 0 in words]
    counted = (sum(o in words for words in with_first) / len(with_first) for o in (0, 1))
    assert theory.cooccurrence(vocab, length) == pytest.approx(tuple(counted))
    _, by_table = expected_gradients(symmetric(0.0, 0.0, vocab, length))
    descent = -by_table * length  # the sum over output words in place of the mean
    leads = descent.diagonal()[:, None] - descent[~torch.eye(vocab, dtype=torch.bool)]
    expected = torch.full_like(leads, theory.first_gradient_lead(vocab, length))
    torch.testing.assert_close(leads, expected, atol=1e-12, rtol=0)
    assert (float(expected[0, 0]) == 0) == (vocab == length)


@pytest.mark.parametrize(("vocab", "length"), [(5, 3), (4, 4)])
@pytest.mark.parametrize(("a", "b"), [(0.8, -1.1), (-1.3, -2.0), (0.2, 3.0)])
def test_flow_of_the_full_model_stays_symmetric_and_is_the_one_given(
    vocab: int, length: int, a: float, b: float
) -> None:
    velocities = theory.symmetric_velocity(a, b, vocab, length)
    gradients = expected_gradients(symmetric(a, b, vocab, length))
    for gradient, velocity in zip(gradients, velocities, strict=True):
        size = len(gradient)
        lead = -gradient[0, 0] + gradient[0, 1]
        # Diagonal and off-diagonal entries differ by the velocity, and each row sums to nothing.
        form = float(lead) * (torch.eye(size, dtype=torch.float64) - 1 / size)
        torch.testing.assert_close(-gradient, form, atol=1e-14, rtol=1e-10)
        assert float(lead) == pytest.approx(float(velocity), rel=1e-10)


@pytest.mark.parametrize(("vocab", "length", "by_hand"), [(7, 5, -math.log(1.5)), (6, 6, 0.0)])
def test_flow_rests_at_the_saddle_only(vocab: int, length: int, by_hand: float) -> None:
    at = theory.saddle(vocab, length)
    assert at == pytest.approx(by_hand)
    assert theory.right_attention(at, length) == pytest.approx(1 / vocab)
    assert np.abs(theory.symmetric_velocity(at, 0.0, vocab, length)).max() < 1e-15


@pytest.mark.slow
@pytest.mark.parametrize(("vocab", "rates"), [(6, (1.0, 1.0)), (8, (1.0, 4.0)), (8, (9.0, 1.0))])
def test_starts_on_either_side_of_the_separatrix_part(
    vocab: int, rates: tuple[float, float]
) -> None:
    def move(_: float, state: np.ndarray) -> np.ndarray:
        a_velocity, b_velocity = theory.symmetric_velocity(state[0], state[1], vocab, 6)
        return np.array([rates[0] * a_velocity, rates[1] * b_velocity])

    for a in (-2.0, 1.5):
        boundary = float(theory.separatrix(a, vocab, 6, rates))
        for side in (1, -1):
            end = integrate(move, [4000.0], [a, boundary + side * 1e-3])
            assert (side * end).min() > 1
    slope = float(theory.separatrix(1e-3, 6, 6, rates)) / 1e-3
    assert slope == pytest.approx(-math.sqrt(rates[1] / rates[0]), rel=1e-3)


def test_a_start_at_the_origin_aligns_as_soon_as_there_is_a_spare_word() -> None:
    assert theory.separatrix(0.0, 10, 10) == pytest.approx(0, abs=1e-12)
    one, five = (float(theory.separatrix(0.0, vocab, 10)) for vocab in (11, 15))
    assert five < one < -0.05


@pytest.mark.parametrize(("vocab", "length"), [(10, 10), (12, 10)])
def test_share_of_starts_that_align_is_that_right_of_separatrix(vocab: int, length: int) -> None:
    rng = np.random.default_rng(0)

    def leads(size: int) -> np.ndarray:
        """Mean entry of the diagonal less that off it, of 10,000 tables."""
        tables = rng.normal(0, 0.3, (10_000, size, size))
        diagonal = tables.trace(axis1=1, axis2=2)
        others = tables.sum((1, 2)) - diagonal
        leads: np.ndarray = diagonal / size - others / (size * (size - 1))
        return leads

    found, a, b = theory.aligned_share(vocab, length, 0.3), leads(length), leads(vocab)
    line = a + b > theory.saddle(vocab, length)
    assert found == pytest.approx(line.mean(), abs=0.008)
    assert found == pytest.approx((b > theory.separatrix(a, vocab, length)).mean(), abs=0.02)


def test_elimination_comes_close_to_its_floor() -> None:
    floor = theory.elimination_floor(7, 5)
    assert (floor, theory.elimination_floor(6, 6)) == pytest.approx((math.log(3), 0))
    below = -np.geomspace(1e-3, 1e3, 30)[:, None]
    assert (word_loss(np.linspace(-30, 5, 36), below, 7, 5) > floor - 1e-12).all()
    flow = theory.symmetric_flow(-3.0, -3.0, 7, 5, [0, 1e3, 1e5])
    assert 0 < flow.loss[-1] - floor < 0.01
    assert flow.right_attention[-1] < 0.001


def test_flow_is_the_limit_of_small_steps() -> None:
    a, b, step = 0.3, -0.1, 0.05
    for _ in range(1000):
        a_velocity, b_velocity = theory.symmetric_velocity(a, b, 7, 5)
        a, b = a + step * float(a_velocity), b + step * float(b_velocity)
    flow = theory.symmetric_flow(0.3, -0.1, 7, 5, [7.0, 50.0])
    assert (flow.a[-1], flow.b[-1]) == pytest.approx((a, b), rel=5e-3)
    np.testing.assert_allclose(flow.loss, word_loss(flow.a, flow.b, 7, 5))
    np.testing.assert_allclose(flow.right_attention, theory.right_attention(flow.a, 5))


@pytest.mark.parametrize(("function", "given", "message"), [
    (theory.first_gradient_lead, (1, 1), "found length 1 and vocab 1"),
    (theory.right_attention, (0.0, 1), "2 <= length"), (theory.saddle, (4, 5), "<= vocab"),
    (theory.aligned_share, (6, 5, 0.0), "scale above 0, found 0.0"),
    (theory.aligned_share, (6, 5, -1.0), "scale above 0, found -1.0"),
])  # fmt: skip
def test_what_is_of_no_task_is_refused(function: Any, given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        function(*given)


def rows(seed: int, step: int, **values: float) -> pd.DataFrame:
    found = [(seed, step, name.replace("__", "/"), value) for name, value in values.items()]
    return pd.DataFrame(found, columns=["seed", "step", "metric", "value"])


def test_attention_lead_is_the_inverse_of_the_theory() -> None:
    a = np.array([-3.0, -0.2, 0.0, 0.4, 2.0, 9.0])
    p = theory.right_attention(a, 11)
    runs = [rows(k, 0, right_mass=share, margin=1.0) for k, share in enumerate(p)]
    np.testing.assert_allclose(portrait.in_plane(pd.concat(runs), 11)["a"], a, atol=1e-12)


def test_a_run_with_one_head_and_one_with_three() -> None:
    one = [
        rows(4, 0, right_mass=0.2, margin=0.1),
        rows(4, 7, right_mass=0.5, margin=-2.0, token_accuracy=0.3),
    ]
    three = [rows(5, 9, right_mass=0.9, margin=9.0)]  # the means: left out
    for head, (mass, margin) in enumerate([(0.2, 1.0), (0.5, 2.0), (0.1, -3.0)]):
        names = {f"head{head}__right_mass": mass, f"head{head}__margin": margin}
        three.append(rows(5, 9, **names))
    arms = {"one": pd.concat(one), "three": pd.concat(three)}
    both = pd.concat([frame.assign(arm=arm) for arm, frame in arms.items()], ignore_index=True)
    found = portrait.in_plane(both, 5)
    assert found["arm"].tolist() == ["one"] * 2 + ["three"] * 3
    assert found["head"].tolist() == [0, 0, 0, 1, 2]
    assert found["step"].tolist() == [0, 7, 9, 9, 9]
    np.testing.assert_allclose(found["a"], np.log([1, 4, 1, 4, 4 / 9]), atol=1e-12)
    assert found["b"].tolist() == [0.1, -2.0, 1.0, 2.0, -3.0]


def test_same_side_counts_signs() -> None:
    assert portrait.same_side([1.0, -2.0, 3.0], [0.1, -5.0, -1.0]) == (2, 3)
    assert portrait.same_side([0.0, 0.0], [0.0, 1.0]) == (1, 2)


def test_growth_exponent_of_a_power_law() -> None:
    steps = np.array([1, 2, 5, 7])
    assert portrait.growth_exponent(steps, 0.3 * steps**1.7) == pytest.approx(1.7)

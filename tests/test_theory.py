from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from lessons_lib.theory import phase_portrait

SIZES = [(5, 3), (4, 4)]
A = np.array([-2.3, -0.4, 0.0, 0.7, 3.1])
B = np.array([[-7.0], [-0.3], [0.9], [5.0]])


def inputs(vocab: int, length: int) -> list[tuple[int, ...]]:
    """Every input of the task, each once."""
    return list(itertools.permutations(range(vocab), length))


def losses(a: Tensor, b: Tensor, words: tuple[int, ...]) -> Tensor:
    """The reduced model on one input, written out word by word: the loss of each output word."""
    found = []
    for t, right in enumerate(words):
        weights = torch.exp(a[t]) / torch.exp(a[t]).sum()
        logits = sum((weights[i] * b[word] for i, word in enumerate(words)), torch.zeros(len(b)))
        found.append(torch.log(torch.exp(logits).sum()) - logits[right])
    return torch.stack(found)


def symmetric(a: float, b: float, vocab: int, length: int) -> tuple[Tensor, Tensor]:
    """``A = a I`` and ``B = b I``, ready for autograd."""
    attention = (a * torch.eye(length, dtype=torch.float64)).requires_grad_()
    return attention, (b * torch.eye(vocab, dtype=torch.float64)).requires_grad_()


def expected_gradients(a: float, b: float, vocab: int, length: int) -> tuple[Tensor, Tensor]:
    """Of the mean loss over output words and over every input, by autograd."""
    attention, table = symmetric(a, b, vocab, length)
    every = [losses(attention, table, words).mean() for words in inputs(vocab, length)]
    by_a, by_b = torch.autograd.grad(torch.stack(every).mean(), (attention, table))
    return by_a, by_b


@pytest.mark.parametrize(("vocab", "length"), [(7, 5), (5, 3), (4, 4), (5, 1)])
def test_cooccurrence_is_what_counting_all_inputs_gives(vocab: int, length: int) -> None:
    with_first = [words for words in inputs(vocab, length) if 0 in words]
    counted = (sum(o in words for words in with_first) / len(with_first) for o in (0, 1))
    assert phase_portrait.cooccurrence(vocab, length) == pytest.approx(tuple(counted))


@pytest.mark.parametrize(("vocab", "length"), [(4, 2), (3, 3), (5, 1)])
def test_first_margin_is_that_of_the_summed_loss(vocab: int, length: int) -> None:
    _, by_table = expected_gradients(0.0, 0.0, vocab, length)
    descent = -by_table * length  # the sum over output words in place of the mean
    off_diagonal = descent[~torch.eye(vocab, dtype=torch.bool)]
    margins = descent.diagonal()[:, None] - off_diagonal
    expected = torch.full_like(margins, phase_portrait.first_gradient_margin(vocab, length))
    torch.testing.assert_close(margins, expected, atol=1e-12, rtol=0)
    assert (float(expected[0, 0]) == 0) == (vocab == length)


def test_first_gradient_by_permutations_is_zero_in_every_single_one() -> None:
    for words in inputs(4, 4):
        attention, table = symmetric(0.0, 0.0, 4, 4)
        (gradient,) = torch.autograd.grad(losses(attention, table, words).sum(), table)
        assert float(gradient.abs().max()) < 1e-15


@pytest.mark.parametrize("words", [(0, 1, 2, 3, 4), (6, 2, 5, 0, 3)])
def test_symmetric_loss_is_that_of_the_full_model_at_every_output_word(
    words: tuple[int, ...],
) -> None:
    found = phase_portrait.symmetric_loss(A, B, 7, 5)
    assert found.shape == (4, 5)
    for (i, b), (j, a) in itertools.product(enumerate(B[:, 0]), enumerate(A)):
        full = losses(*symmetric(a, b, 7, 5), words).detach().numpy()
        np.testing.assert_allclose(full, found[i, j], rtol=1e-12)


def test_loss_and_attention_by_hand() -> None:
    assert phase_portrait.symmetric_loss(1.7, 0.0, 7, 5) == pytest.approx(math.log(7))
    assert phase_portrait.right_attention(0.0, 5) == pytest.approx(1 / 5)
    assert phase_portrait.right_attention(math.log(8), 5) == pytest.approx(8 / 12)
    # p = 8/12, q = 1/12, with b = log 2 times 12/7 the input's other words count half
    by_hand = math.log(1 + 4 / 2 + 2 * 2 ** (-8 / 7))
    found = phase_portrait.symmetric_loss(math.log(8), math.log(2) * 12 / 7, 7, 5)
    assert found == pytest.approx(by_hand)
    assert np.isfinite(phase_portrait.symmetric_loss(-50.0, -2e4, 7, 5)), (
        "far out nothing overflows"
    )


@pytest.mark.parametrize(("vocab", "length"), [(7, 5), (5, 5), (3, 2)])
def test_gradient_agrees_with_finite_differences(vocab: int, length: int) -> None:
    step = 1e-5

    def loss(a: float, b: float) -> phase_portrait.Array:
        return phase_portrait.symmetric_loss(A + a, B + b, vocab, length) / (2 * step)

    a_velocity, b_velocity = phase_portrait.symmetric_velocity(A, B, vocab, length)
    np.testing.assert_allclose(a_velocity * (length - 1), loss(-step, 0) - loss(step, 0), atol=1e-9)
    np.testing.assert_allclose(b_velocity * (vocab - 1), loss(0, -step) - loss(0, step), atol=1e-9)


@pytest.mark.parametrize(("vocab", "length"), SIZES)
@pytest.mark.parametrize(("a", "b"), [(0.8, -1.1), (-1.3, -2.0), (0.2, 3.0)])
def test_flow_of_the_full_model_stays_symmetric_and_is_the_one_given(
    vocab: int, length: int, a: float, b: float
) -> None:
    velocities = phase_portrait.symmetric_velocity(a, b, vocab, length)
    for gradient, velocity in zip(expected_gradients(a, b, vocab, length), velocities, strict=True):
        size = len(gradient)
        lead = -gradient[0, 0] + gradient[0, 1]
        # Diagonal and off-diagonal entries differ by the velocity, and each row sums to nothing.
        form = float(lead) * (torch.eye(size, dtype=torch.float64) - 1 / size)
        torch.testing.assert_close(-gradient, form, atol=1e-14, rtol=1e-10)
        assert float(lead) == pytest.approx(float(velocity), rel=1e-10)


@pytest.mark.parametrize(("vocab", "length", "by_hand"), [(7, 5, -math.log(1.5)), (6, 6, 0.0)])
def test_flow_rests_at_the_saddle_only(vocab: int, length: int, by_hand: float) -> None:
    at = phase_portrait.saddle(vocab, length)
    assert at == pytest.approx(by_hand)
    assert phase_portrait.right_attention(at, length) == pytest.approx(1 / vocab)
    assert np.abs(phase_portrait.symmetric_velocity(at, 0.0, vocab, length)).max() < 1e-15
    for a, b in ((at + 0.1, 0.0), (at, 0.1), (at - 0.1, 0.0), (at, -0.1)):
        velocity = phase_portrait.symmetric_velocity(a, b, vocab, length)
        assert sum(velocity) * (a - at + b) > 0, "away from it, on the side of the start"


@pytest.mark.parametrize(("a", "b"), [(0.1, 0.05), (-0.1, -0.05), (2.0, -1.0), (-2.0, 3.0)])
def test_conserved_is_conserved_at_v_equal_to_l(a: float, b: float) -> None:
    flow = phase_portrait.symmetric_flow(a, b, 10, 10, np.linspace(0, 4000, 41))
    assert np.ptp(flow.a) > 3, "it should go somewhere"
    np.testing.assert_allclose(
        phase_portrait.conserved(flow.a, flow.b, 10), phase_portrait.conserved(a, b, 10), atol=1e-5
    )
    assert phase_portrait.conserved(0.0, 0.0, 10) == pytest.approx(-1)


def test_separatrix_of_permutations_is_a_level_of_what_is_conserved() -> None:
    a = np.array([[-4.0, -1.0, 0.0], [1e-5, 0.5, 3.0]])
    b = phase_portrait.separatrix(a, 10, 10)
    assert b.shape == (2, 3)
    np.testing.assert_allclose(phase_portrait.conserved(a, b, 10), -1, atol=1e-6)
    assert (np.sign(b) == -np.sign(a)).all()


@pytest.mark.parametrize("a", [-2.0, -0.4, 0.0, 1.5])
def test_starts_on_either_side_of_the_separatrix_part(a: float) -> None:
    boundary = float(phase_portrait.separatrix(a, 7, 5))
    for side in (1, -1):
        flow = phase_portrait.symmetric_flow(a, boundary + side * 1e-3, 7, 5, [0, 3000])
        assert flow.a[-1] * side > 1
        assert flow.b[-1] * side > 1


def test_a_start_at_the_origin_aligns_as_soon_as_there_is_a_spare_word() -> None:
    assert phase_portrait.separatrix(0.0, 10, 10) == pytest.approx(0, abs=1e-12)
    one, five = (float(phase_portrait.separatrix(0.0, vocab, 10)) for vocab in (11, 15))
    assert five < one < -0.05


def test_separatrix_is_smooth_where_the_straight_line_gives_way_to_the_orbit() -> None:
    at = phase_portrait.saddle(40, 10)
    slopes = [
        float(phase_portrait.separatrix(at + x, 40, 10)) / x for x in (-2e-3, -5e-5, 5e-5, 2e-3)
    ]
    np.testing.assert_allclose(slopes, slopes[1], rtol=2e-3)


@pytest.mark.parametrize(("vocab", "scale"), [(10, 0.3), (11, 0.1), (11, 0.3), (12, 0.3)])
def test_share_of_starts_that_align_is_that_right_of_the_separatrix(
    vocab: int, scale: float
) -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(0, scale / 3, 20000)  # a mean of 10 entries minus one of 90: 1/10 + 1/90 = 1/9
    b = rng.normal(0, scale / math.sqrt(vocab - 1), 20000)
    counted = (b > phase_portrait.separatrix(a, vocab, 10)).mean()
    assert phase_portrait.aligned_share(vocab, 10, scale) == pytest.approx(counted, abs=0.015)


def test_elimination_cannot_get_below_its_floor_and_comes_close() -> None:
    floor = phase_portrait.elimination_floor(7, 5)
    assert floor == pytest.approx(math.log(3))
    assert phase_portrait.elimination_floor(6, 6) == 0
    b = -np.geomspace(1e-3, 1e3, 30)[:, None]
    assert (phase_portrait.symmetric_loss(np.linspace(-30, 5, 36), b, 7, 5) > floor - 1e-12).all()
    flow = phase_portrait.symmetric_flow(-3.0, -3.0, 7, 5, [0, 1e3, 1e5])
    assert 0 < flow.loss[-1] - floor < 0.01
    assert flow.right_attention[-1] < 0.001


def test_elimination_is_the_slow_way_out() -> None:
    times = np.arange(20001.0)
    aligned = phase_portrait.symmetric_flow(0.1, 0.1, 10, 10, times)
    eliminating = phase_portrait.symmetric_flow(-0.1, -0.1, 10, 10, times)
    arrival = [float(times[(flow.loss < 0.1).argmax()]) for flow in (aligned, eliminating)]
    assert 0 < 20 * arrival[0] < arrival[1]
    # p - q is at least -1/(L-1), so the table has to be about L - 1 times as strong.
    tables = [abs(flow.b[(flow.loss < 0.1).argmax()]) for flow in (aligned, eliminating)]
    assert 7 < tables[1] / tables[0] < 10


def test_flow_is_the_limit_of_small_steps() -> None:
    a, b, step = 0.3, -0.1, 0.05
    for _ in range(1000):
        a_velocity, b_velocity = phase_portrait.symmetric_velocity(a, b, 7, 5)
        a, b = a + step * float(a_velocity), b + step * float(b_velocity)
    flow = phase_portrait.symmetric_flow(0.3, -0.1, 7, 5, [7.0, 50.0])
    assert flow.times.tolist() == [7.0, 50.0]
    assert flow.a[-1] == pytest.approx(a, rel=5e-3)
    assert flow.b[-1] == pytest.approx(b, rel=5e-3)
    np.testing.assert_allclose(flow.loss, phase_portrait.symmetric_loss(flow.a, flow.b, 7, 5))
    np.testing.assert_allclose(flow.right_attention, phase_portrait.right_attention(flow.a, 5))


@pytest.mark.parametrize(
    "call",
    [
        lambda: phase_portrait.cooccurrence(4, 5),
        lambda: phase_portrait.first_gradient_margin(1, 1),
        lambda: phase_portrait.symmetric_loss(0.0, 0.0, 4, 5),
        lambda: phase_portrait.right_attention(0.0, 1),
        lambda: phase_portrait.saddle(5, 1),
        lambda: phase_portrait.aligned_share(4, 5, 0.1),
        lambda: phase_portrait.separatrix(0.0, 4, 5),
        lambda: phase_portrait.elimination_floor(4, 5),
        lambda: phase_portrait.symmetric_flow(0.0, 0.0, 4, 5, [0, 1]),
    ],
)
def test_sizes_of_no_task_are_refused(call: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"<= length <= vocab.*found length \d+ and vocab \d+"):
        call()


def test_share_of_starts_without_spread_is_refused() -> None:
    with pytest.raises(ValueError, match=r"scale above 0, found 0.0"):
        phase_portrait.aligned_share(6, 5, 0.0)


@pytest.mark.parametrize("times", [[], [0, 2, 2], [3, 1], [-1, 2], [[0, 1]], [0, math.nan]])
def test_times_that_do_not_increase_are_refused(times: list[float]) -> None:
    with pytest.raises(ValueError, match="times that increase from 0"):
        phase_portrait.symmetric_flow(0.1, 0.1, 5, 5, times)


def test_early_on_word_knowledge_grows_like_t_and_attention_like_t_squared() -> None:
    times = np.array([1.0, 2.0, 4.0])
    a, b = phase_portrait.early_growth(times, 12, 7)
    by_hand = (12 - 7) / (7 * 12 * 11)  # the drive
    np.testing.assert_allclose(b, by_hand * times)
    np.testing.assert_allclose(a, by_hand * times**2 / 2 / 49)
    flow = phase_portrait.symmetric_flow(0.0, 0.0, 12, 7, times)
    np.testing.assert_allclose(flow.b, b, rtol=5e-3)
    np.testing.assert_allclose(flow.a, a, rtol=5e-3)
    assert np.abs(phase_portrait.early_growth(times, 7, 7)).max() == 0


def two_heads(a: Tensor, b: Tensor, words: tuple[int, ...]) -> Tensor:
    """The reduced model with two heads on one input, written out; the mean loss."""
    found = []
    for t, right in enumerate(words):
        logits = torch.zeros(b.shape[-1], dtype=torch.float64)
        for head in range(2):
            weights = torch.exp(a[head, t]) / torch.exp(a[head, t]).sum()
            for i, word in enumerate(words):
                logits = logits + weights[i] * b[head, word] / 2
        found.append(torch.log(torch.exp(logits).sum()) - logits[right])
    return torch.stack(found).mean()


@pytest.mark.parametrize(("vocab", "length"), SIZES)
def test_flow_of_two_heads_starts_as_the_full_model_does(vocab: int, length: int) -> None:
    a, b, step = np.array([0.8, -1.3]), np.array([-1.1, 2.0]), 1e-3
    square = [
        torch.stack([lead * torch.eye(size, dtype=torch.float64) for lead in leads])
        for leads, size in ((a, length), (b, vocab))
    ]
    full = [matrix.requires_grad_() for matrix in square]
    every = torch.stack([two_heads(full[0], full[1], words) for words in inputs(vocab, length)])
    gradients = torch.autograd.grad(every.mean(), full)
    flow = phase_portrait.symmetric_flow(
        a, b, vocab, length, [0.0, step, 2 * step], rates=(0.7, 1.9)
    )
    for found, gradient, rate in zip((flow.a, flow.b), gradients, (0.7, 1.9), strict=True):
        velocity = (-3 * found[0] + 4 * found[1] - found[2]) / (2 * step)
        expected = rate * (gradient[:, 0, 1] - gradient[:, 0, 0])
        np.testing.assert_allclose(velocity, expected, rtol=1e-4)
    assert float(every.mean().detach()) == pytest.approx(flow.loss[0])


def test_equal_heads_go_where_one_goes_at_half_the_speed() -> None:
    times = np.array([5.0, 60.0])
    one = phase_portrait.symmetric_flow(0.2, -0.1, 7, 5, times)
    two = phase_portrait.symmetric_flow([0.2, 0.2], [-0.1, -0.1], 7, 5, 2 * times)
    assert two.a.shape == two.b.shape == two.right_attention.shape == (2, 2)
    np.testing.assert_allclose(two.a, np.stack([one.a, one.a], axis=1), rtol=1e-6)
    np.testing.assert_allclose(two.loss, one.loss, rtol=1e-6)


def test_what_is_held_stays_and_the_other_learns_or_does_not() -> None:
    """The asymmetry, in the theory."""
    easy = {"vocab": 9, "length": 5, "times": [0.0, 400.0]}
    held = phase_portrait.symmetric_flow(0.0, 0.0, **easy, rates=(0.0, 1.0))  # type: ignore[arg-type]
    assert held.a.tolist() == [0.0, 0.0]
    assert held.b[-1] > 1, "attention held uniform: KTIW is learned from co-occurrence"
    frozen = phase_portrait.symmetric_flow(0.0, 0.0, **easy, rates=(1.0, 0.0))  # type: ignore[arg-type]
    assert frozen.a[-1] == 0, "KTIW held at nothing: attention has nowhere to go"
    known = phase_portrait.symmetric_flow(0.0, 2.0, **easy, rates=(1.0, 0.0))  # type: ignore[arg-type]
    wrong = phase_portrait.symmetric_flow(0.0, -2.0, **easy, rates=(1.0, 0.0))  # type: ignore[arg-type]
    assert known.a[-1] > 1
    assert wrong.a[-1] < -1
    assert known.b.tolist() == [2.0, 2.0]


@pytest.mark.parametrize("rates", [(1.0, 4.0), (9.0, 1.0)])
def test_separatrix_turns_with_the_rates(rates: tuple[float, float]) -> None:
    small = 1e-3
    slope = float(phase_portrait.separatrix(small, 6, 6, rates)) / small
    assert slope == pytest.approx(-math.sqrt(rates[1] / rates[0]), rel=1e-3)
    for a in (-1.5, 0.8):
        boundary = float(phase_portrait.separatrix(a, 8, 6, rates))
        for side in (1, -1):
            flow = phase_portrait.symmetric_flow(a, boundary + side * 1e-3, 8, 6, [0, 3000], rates)
            assert flow.a[-1] * side > 1


def test_with_several_heads_each_tosses_its_own_coin() -> None:
    assert phase_portrait.aligned_share(10, 10, 0.2, heads=3) == pytest.approx(7 / 8)
    one = phase_portrait.aligned_share(11, 10, 0.5)
    assert phase_portrait.aligned_share(11, 10, 0.5, heads=2) == pytest.approx(
        one + (1 - one) * one
    )
    a, b = np.array([0.02, -0.03, 0.01]), np.array([0.03, 0.01, -0.04])
    flow = phase_portrait.symmetric_flow(a, b, 10, 10, [3000.0])
    assert (np.sign(flow.a[-1]) == np.sign(a + b)).all(), "its own side of the separatrix"


@pytest.mark.parametrize(
    ("a", "b", "rates"),
    [([0.1, 0.2], 0.1, (1, 1)), ([[0.1]], [[0.2]], (1, 1)), ([], [], (1, 1)), (0, 0, (1, -1))],
)
def test_starts_and_rates_of_no_flow_are_refused(a: object, b: object, rates: object) -> None:
    with pytest.raises(ValueError, match=r"a and b of one shape.*rates of at least 0, found"):
        phase_portrait.symmetric_flow(a, b, 5, 5, [1.0], rates)  # type: ignore[arg-type]


def test_no_head_is_refused() -> None:
    with pytest.raises(ValueError, match="one head or more, found 0"):
        phase_portrait.aligned_share(5, 5, 0.1, heads=0)

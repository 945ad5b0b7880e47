"""Oracles: the definitions in loops, hand values, simulated coverage, closed forms."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import bootstrap, kendalltau
from torch import Tensor

from lessons_lib.agreement import (
    Xi,
    agreement,
    agreement_interval,
    chance_agreement,
    found_in_top,
    kendall,
    shuffled_agreement,
    spread,
    top_count,
    xi,
)
from lessons_lib.stats import Interval, ratio_interval

NAN = float("nan")
SRC, TGT = (torch.tensor(n)[:, None, None] for n in ((6, 3, 1, 23, 4), (2, 5, 3, 1, 4)))
MASK = (torch.arange(23) < SRC) & (torch.arange(5)[:, None] < TGT)
"""Five sentences of different lengths, ``(5, 5, 23)``."""


def noise(*shape: int, seed: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


U, V = noise(5, 5, 23, seed=0), noise(5, 5, 23, seed=1)


def rows(side: Tensor, mask: Tensor = MASK) -> list[list[float]]:
    """The values that count, of each output word that counts."""
    return [
        [float(x) for x, here in zip(row, inside, strict=True) if here]
        for row, inside in zip(side.flatten(0, -2), mask.flatten(0, -2), strict=True)
        if inside.any()
    ]


def test_agreement_equals_the_loop_over_tokens() -> None:
    rng = torch.Generator().manual_seed(0)
    # whole numbers make ties; lengths cross 20, where the top becomes two positions
    u = torch.randint(4, (3, 17, 43), generator=rng).float()
    v = torch.randint(9, (3, 17, 43), generator=rng).float()
    mask = torch.arange(43) < torch.randint(0, 44, (3, 17, 1), generator=rng)
    hits = []  # the definition, one output token and one position at a time
    for uu, vv in zip(rows(u, mask), rows(v, mask), strict=True):
        best = uu.index(max(uu))
        hits.append(sum(x > vv[best] for x in vv) < math.ceil(len(uu) / 20))
    assert agreement(u, v, mask) == pytest.approx(sum(hits) / len(hits))


def test_agreement_by_hand() -> None:
    u = torch.tensor([[[0.9, 0.1, 0.0], [0.2, 0.8, 7.0]], [[0.3, 0.0, 0.0], [0.0, 0.0, 0.0]]])
    v = torch.tensor([[[0.5, 0.4, 9.0], [0.7, 0.6, 0.0]], [[0.1, 0.0, 0.0], [5.0, 6.0, 7.0]]])
    mask = torch.tensor([[[1, 1, 0], [1, 1, 0]], [[1, 0, 0], [0, 0, 0]]]) > 0
    found, counted = found_in_top(u, v, mask)
    assert found.tolist() == [[True, False], [True, False]]  # one word: always found
    assert counted.tolist() == [[True, True], [True, False]]
    assert agreement(u, v, mask) == pytest.approx(2 / 3)
    tied, plain = torch.tensor([[3.0, 3.0, 0.0, 1.0]]), torch.tensor([[1.0, 2.0, 0.0, 0.0]])
    assert (agreement(tied, plain), agreement(plain, tied)) == (0.0, 1.0), "it is not symmetric"
    assert top_count(torch.tensor([1, 19, 20, 21, 40, 100])).tolist() == [1, 1, 1, 2, 2, 5]


def test_agreement_interval_resamples_sentences_not_words() -> None:
    mask = torch.ones(31, 3, 4, dtype=torch.bool)
    mask[::2, 2] = False  # sentences of two and of three output words
    u, v = noise(31, 3, 4, seed=2), noise(31, 3, 4, seed=3)
    v[::3] = u[::3]  # whole sentences agree
    found = agreement_interval(u, v, mask)
    hit, counted = found_in_top(u, v, mask)
    assert found == ratio_interval(hit.sum(1), counted.sum(1))
    assert agreement_interval(u, v, mask, seed=1) == agreement_interval(u, v, mask, seed=1) != found


def test_constants_are_warned_of_in_more_than_half_of_the_rows_of_two_words() -> None:
    v = torch.tensor(
        [[1.0, 1, 9, -9], [2, 2, 2, 9], [3, 3, 3, 3], [1, 2, 2, 2], [1, 2, 3, 4], [5, 6, 7, 8]]
    )
    mask = torch.arange(4) < torch.tensor([[2], [3], [4], [2], [4], [1]])
    with pytest.warns(UserWarning, match="constant in more than half of the rows"):
        agreement(v, v, mask)  # three of five
    half = [0, 1, 3, 4, 5]
    assert agreement(v[half], v[half], mask[half]) == 1.0  # two of four: warnings are errors here


def test_ratio_interval_is_the_plain_bootstrap() -> None:
    rng = np.random.default_rng(6)
    tokens = rng.integers(1, 9, size=37)
    hits = rng.binomial(tokens, rng.beta(2, 3, size=37))
    found = ratio_interval(hits, tokens)
    assert found.estimate == pytest.approx(hits.sum() / tokens.sum())
    by_scipy = bootstrap(
        (hits, tokens), lambda k, n: k.sum() / n.sum(), paired=True, method="percentile", rng=7
    )
    assert [found.low, found.high] == pytest.approx([*by_scipy.confidence_interval], abs=0.015)
    narrow = ratio_interval(hits, tokens, confidence=0.5)
    assert found.low < narrow.low < narrow.high < found.high
    # Sentences without a token change neither the share nor how many there are.
    assert ratio_interval([*hits, 0, 0], [*tokens, 0, 0]) == found
    assert ratio_interval([3], [4]) == Interval(0.75, 0.75, 0.75, 1)


def test_shuffled_agreement_has_its_closed_form_as_expectation() -> None:
    mask = MASK.repeat(40, 1, 1)  # 600 output words: lengths 1 to 23, two count as top in 23
    u, v = noise(200, 5, 23, seed=4), noise(200, 5, 23, seed=5)
    expected = chance_agreement(mask.sum(-1)[mask.any(-1)])
    found = shuffled_agreement(u, v, mask, seed=1, repeats=20)
    # 12,000 shuffled rows, each found with probability below 1/2: standard error at most 0.0046.
    assert found == pytest.approx(expected, abs=0.02)
    tied = (V > 0.5).double()
    assert shuffled_agreement(U, tied, MASK, seed=0, repeats=50) > expected + 0.05, "ties raise it"


def test_kendall_by_scipy_by_hand_and_where_nothing_counts() -> None:
    v = (V * 4).round()  # with ties
    pairs = zip(rows(U), rows(v), strict=True)
    usable = [(a, b) for a, b in pairs if len(a) > 1 and len(set(b)) > 1]
    assert 8 < len(usable) < 15, "one word, or all tied: left out"
    expected = float(np.mean([kendalltau(a, b).statistic for a, b in usable]))
    assert kendall(U, v, MASK) == pytest.approx(expected)
    # Of three pairs one side ties one: two concordant, over the root of 3 times 2.
    one, other = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 1.0, 2.0])
    assert kendall(one, other) == pytest.approx(2 / 6**0.5)
    u, v = U.masked_fill(~MASK, NAN), V.masked_fill(~MASK, -torch.inf)
    assert kendall(u, v, MASK) == kendall(U, V, MASK)


def test_xi_averages_the_curves_and_crosses_once() -> None:
    curves = [[0.1, 0.9, 0.9, 0.9], [0.0, 0.1, 0.4, 0.9], [0.2, 0.2, 0.5, 0.9]]
    performance = [[0.5, 0.6, 0.7, 0.8], [0.5, 0.5, 0.6, 0.9], [0.4, 0.6, 0.8, 1.0]]
    # The mean curve is 0.1, 0.4, 0.6, 0.9: above 0.5 first at the third checkpoint.
    found = xi(0.5, curves, performance)
    assert (found.passed, found.checkpoint) == (True, 2)
    assert found.value == pytest.approx((0.7 + 0.6 + 0.8) / 3)
    # It has to exceed the level, for the first time.
    curve, performance = [[0.25, 0.5, 0.75, 0.5, 1.0]], [[0.1, 0.2, 0.3, 0.4, 0.5]]
    assert xi(0.5, curve, performance) == Xi(True, 2, 0.3)
    assert xi(0.2, curve, performance) == Xi(True, 0, 0.1)
    assert xi(1.0, curve, performance) == Xi(False, None, None), "never is no number"


def test_spread_by_loop() -> None:
    alpha = noise(5, 5, 23, seed=10).masked_fill(~MASK, 0.0)
    alpha = alpha / alpha.sum(-1, keepdim=True).clamp(min=1e-9)
    several = [row for row in rows(alpha) if len(row) > 1]
    each = [math.exp(-sum(p * math.log(p) for p in row)) / len(row) for row in several]
    assert len(each) == 12
    assert spread(alpha, MASK) == pytest.approx(sum(each) / 12, rel=1e-5)
    # Two words share it evenly, of four (a mask of source words serves all rows) and of two.
    two = torch.tensor([[[0.5, 0.5, 0.0, 0.0]] * 3])
    assert (spread(two, torch.ones(1, 1, 4) > 0), spread(two, two > 0)) == (0.5, 1.0)

import numpy as np
import pytest
import torch
from scipy.stats import norm

from lessons_lib.agreement import chance_agreement, shuffled
from lessons_lib.lab.outcomes import cumulative_incidence, time_difference
from lessons_lib.stats import (
    Interval,
    mean_interval,
    proportion_interval,
    ratio_interval,
    seed_interval,
    share_difference,
)


def test_mean_interval_is_that_of_a_ratio_to_ones() -> None:
    data = np.random.default_rng(0).normal(3.0, 2.0, size=40)
    found = mean_interval(data, confidence=0.5, seed=3)
    assert found == ratio_interval(data, np.ones(40), confidence=0.5, seed=3)


def test_equal_values_are_their_own_interval() -> None:
    assert mean_interval([0.25]) == Interval(0.25, 0.25, 0.25, 1)
    assert seed_interval([0.5, 0.5]) == Interval(0.5, 0.5, 0.5, 2)
    assert str(Interval(0.5, 0.25, 0.75, 8)) == "0.500 [0.250, 0.750] (n\u00a0=\u00a08)"


def test_seed_interval_by_hand() -> None:
    # mean 3, variance (4 + 4 + 1 + 1) / 3; 3.18245 is the 97.5% point of t, 3 degrees of freedom
    found = seed_interval([1.0, 5.0, 2.0, 4.0])
    half = 3.18245 * (10 / 3) ** 0.5 / 4**0.5
    assert [found.low, found.high] == pytest.approx([3 - half, 3 + half], abs=1e-4)


def test_wilson_interval_by_its_formula() -> None:
    k, n = 14, 24
    z, p = norm.ppf(0.975), k / n
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    found = proportion_interval(k, n)
    assert [found.low, found.high] == pytest.approx([centre - half, centre + half])
    assert proportion_interval(8, 8).high == 1.0


def test_chance_agreement_by_hand() -> None:
    assert chance_agreement([4, 21]) == pytest.approx((1 / 4 + 2 / 21) / 2)


def test_shuffling_permutes_the_positions_that_count_and_no_others() -> None:
    values = torch.arange(30.0).view(5, 6)
    mask = torch.tensor([True, True, False, True, True, False]).expand(5, 6)
    found = shuffled(values, mask, seed=0)
    assert torch.equal(found[~mask], values[~mask])
    kept = (rows[mask].view(5, 4).sort(1).values for rows in (found, values))
    assert torch.equal(*kept)
    assert not torch.equal(found, values)


def test_cumulative_incidence_by_hand() -> None:
    # Five runs: two have the event at 20 and 50, one another event at 30, two nothing by 60.
    curve = cumulative_incidence([20, 50, 30, 60, 60], [1, 1, 0, 0, 0], 60)
    assert curve.index.tolist() == [0, 20, 50, 60]
    assert curve.share.tolist() == [0, 0.2, 0.4, 0.4]
    band = proportion_interval(1, 5)
    assert curve.iloc[1][["low", "high", "n"]].tolist() == [band.low, band.high, 5]
    assert cumulative_incidence([20, 50], [1, 1], 30).share.tolist() == [0, 0.5, 0.5]


def test_log_rank_test_by_hand() -> None:
    """One of two has the event at 1, where 2/3 are expected; at 2 it is the other group's only one.

    There 1/2 is expected. One event less 7/6, over the root of the variances 2/9 and 1/4.
    """
    for sides in (([1, 3], [1, 0], [2], [1]), ([2], [1], [1, 3], [1, 0])):
        assert time_difference(*sides) == pytest.approx(2 * norm.sf(17**-0.5))
    # Events at one time tell no groups apart.
    assert time_difference([50] * 4, [True] * 4, [50] * 3, [True] * 3) == 1.0


def test_fishers_exact_test_by_hand() -> None:
    # 3 of 3 against 0 of 4: the margins allow 35 tables, and this one is the most extreme.
    assert share_difference(3, 3, 0, 4) == pytest.approx(1 / 35)

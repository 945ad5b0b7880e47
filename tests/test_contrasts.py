from itertools import product
from math import exp, log

import numpy as np
import pytest
from scipy import stats as scipy_stats

from lessons_lib.scoreboard import claims
from lessons_lib.scoreboard.claim import mean_power, tells
from lessons_lib.scoreboard.contrasts import (
    hazard_interval,
    share_contrast,
    share_power,
    time_ratio,
)
from lessons_lib.stats import Interval, proportion_interval


def ends(value: Interval) -> tuple[float, float]:
    return value.low, value.high


def test_a_difference_of_shares_by_newcombes_published_examples() -> None:
    """Newcombe 1998, table II, method 10: examples (a) and (b)."""
    one = share_contrast([(56, 70)], [(48, 80)])
    assert ends(one) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert (one.estimate, one.n) == pytest.approx((0.2, 150))
    assert ends(share_contrast([(9, 10)], [(3, 10)])) == pytest.approx((0.1705, 0.8090), abs=5e-5)


def test_means_of_shares_add_their_distances_in_squares() -> None:
    found = share_contrast([(10, 20), (16, 20)], [(3, 9)])
    a, b, c = (proportion_interval(*share) for share in ((10, 20), (16, 20), (3, 9)))
    below = ((a.estimate - a.low) / 2, (b.estimate - b.low) / 2, c.high - c.estimate)
    assert found.estimate == pytest.approx(0.65 - 1 / 3)
    assert found.low == pytest.approx(found.estimate - np.linalg.norm(below))


def test_power_of_a_comparison_by_all_outcomes() -> None:
    held = refuted = 0.0
    for k, m in product(range(8), repeat=2):
        chance = scipy_stats.binom.pmf(k, 7, 0.9) * scipy_stats.binom.pmf(m, 7, 0.2)
        value = share_contrast([(k, 7)], [(m, 7)])
        refuted += chance * (value.high < 0.4)
        held += chance * (value.low > 0 and value.high >= 0.4)
    assert share_power(7, 0.9, 0.2, 0.4) == pytest.approx((held, refuted))
    assert 0 < refuted < held < 1


def test_power_that_stands_in_rules() -> None:
    """Of Fisher's test at 0.05/8, of a share of heads against what chance gives, of six of six."""
    rules = {name: row.rule for name, row in claims.rows().items()}
    k = np.arange(97)
    p = scipy_stats.hypergeom.sf(k[:, None] - 1, 192, k[:, None] + k, 96)
    chances = np.outer(*(scipy_stats.binom.pmf(k, 96, share / 64) for share in (61, 52)))
    found = chances[p < 0.05 / 8].sum()
    assert f"in a cell with probability {found:.2f} at" in rules["heads-not-parameters"]
    enough = 0.3 + 0.2 * 0.7
    bands = [proportion_interval(k, 24) for k in range(25)]
    refuted = np.array([band.high < enough for band in bands])
    held = ~refuted & [band.low > 0.3 for band in bands]
    many, few = (scipy_stats.binom.pmf(np.arange(25), 24, share) for share in (0.6, 0.3))
    told = f"{many[held].sum():.2f} if 0.6 have one, and is refuted with probability "
    assert f"{told}{few[refuted].sum():.2f} if 0.3" in rules["starts-sort-heads"]
    assert (
        f"with {0.95**6:.2f}, and if with 0.5, with {0.5**6:.2f}"
        in rules["words-drive-translation"]
    )


def test_power_of_a_mean_as_tables_have_it() -> None:
    """Ten values, one standard deviation from the bound, two-sided 5%: 0.803."""
    half = 2.262157 / 10**0.5
    assert mean_power(Interval(3, 3 - half, 3 + half, 10), 1.0) == pytest.approx(0.803, abs=5e-4)
    assert "10 seeds tell a mean from a bound that is 1 away with" in tells(
        Interval(3, 3 - half, 3 + half, 10)
    )


def test_a_hazard_by_the_exact_interval_of_a_count() -> None:
    """Two events in 17 units: the interval of 2 is 0.2422 to 7.2247; of none, up to 3.6889."""
    found = hazard_interval([0.5, 0.5, *[2] * 8], [1, 1, *[0] * 8])
    assert (found.estimate, found.n) == pytest.approx((1 - exp(-2 / 17), 10))
    assert ends(found) == pytest.approx((1 - exp(-0.2422 / 17), 1 - exp(-7.2247 / 17)), abs=1e-5)
    none = hazard_interval([4, 6], [False, False])
    assert ends(none) == pytest.approx((0, 1 - exp(-0.36889)), abs=1e-5)


def test_a_ratio_of_times_is_welchs_test_of_logarithms() -> None:
    one, other = [100.0, 120.0, 150.0, 90.0], [40.0, 55.0, 43.0]
    found = time_ratio(one, [True] * 4, other, [True] * 3)
    test = scipy_stats.ttest_ind(np.log(one), np.log(other), equal_var=False)
    low, high = test.confidence_interval()
    assert ends(found) == pytest.approx((exp(low), exp(high)))
    assert found.n == 7


def test_times_are_cut_where_the_first_run_was_lost_from_sight() -> None:
    """One run was last looked at at 200, so that another's 400 counts as 200."""
    found = time_ratio([100, 400, 200], [True, True, False], [50, 50], [True, True])
    assert found.estimate == pytest.approx(exp((log(2) + 2 * log(4)) / 3))

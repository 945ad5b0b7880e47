import math

import numpy as np
import pandas as pd
import pytest

from lessons_lib.theory import phase_portrait, portrait


def rows(seed: int, step: int, **values: float) -> pd.DataFrame:
    found = [(seed, step, name.replace("__", "/"), value) for name, value in values.items()]
    return pd.DataFrame(found, columns=["seed", "step", "metric", "value"])


def test_attention_lead_by_hand_and_as_the_inverse_of_the_theory() -> None:
    assert portrait.attention_lead([1 / 5, 8 / 12], 5) == pytest.approx([0, math.log(8)])
    a = np.array([[-3.0, -0.2, 0.0], [0.4, 2.0, 9.0]])
    p = phase_portrait.right_attention(a, 11)
    np.testing.assert_allclose(portrait.attention_lead(p, 11), a)


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

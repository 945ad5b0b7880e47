from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from lessons_lib.theory import phase_portrait, portrait, reduced_model


def rows(seed: int, step: int, **values: float) -> pd.DataFrame:
    found = [(seed, step, name.replace("__", "/"), value) for name, value in values.items()]
    return pd.DataFrame(found, columns=["seed", "step", "metric", "value"])


def test_attention_lead_by_hand_and_as_the_inverse_of_the_theory() -> None:
    assert portrait.attention_lead([1 / 5, 8 / 12], 5) == pytest.approx([0, math.log(8)])
    a = np.array([[-3.0, -0.2, 0.0], [0.4, 2.0, 9.0]])
    p = phase_portrait.right_attention(a, 11)
    np.testing.assert_allclose(portrait.attention_lead(p, 11), a)
    for wrong, positions in ((0.0, 5), ([0.5, 1.0], 5), (math.nan, 5), (0.5, 1)):
        with pytest.raises(ValueError, match=r"inside \(0, 1\) and two positions or more, found"):
            portrait.attention_lead(wrong, positions)


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
    for wrong in ([1.0, 2.0, -1.0, 3.0], [1.0]):
        with pytest.raises(ValueError, match="all above 0, found shapes"):
            portrait.growth_exponent(steps, wrong)


def test_two_stages_of_the_theory_are_those_of_the_reduced_model() -> None:
    """Predicted: KTIW grows like t, attention like t squared."""
    config = reduced_model.ReducedConfig(
        vocab=9, length=6, start_scale=0, learning_rate=0.5, steps=40, evaluate_every=10
    )
    runs = reduced_model.train_reduced(config, (1, 2, 3))
    a, b = runs.lead_a[:, 1:, 0].mean(0), runs.lead_b[:, 1:, 0].mean(0)
    assert portrait.growth_exponent(runs.steps[1:], b) == pytest.approx(1, abs=0.1)
    assert portrait.growth_exponent(runs.steps[1:], a) == pytest.approx(2, abs=0.15)
    expected = phase_portrait.early_growth(0.5 * runs.steps[1:], 9, 6)
    np.testing.assert_allclose(b, expected[1], rtol=0.1)
    np.testing.assert_allclose(a, expected[0], rtol=0.15)


def test_two_branches_of_the_theory_are_those_of_every_head_of_the_reduced_model() -> None:
    """Predicted: at V = L each head goes to (+, +) or (-, -), whatever the others do."""
    config = reduced_model.ReducedConfig(vocab=6, length=6, heads=3, steps=300, evaluate_every=300)
    runs = reduced_model.train_reduced(config, tuple(range(1, 17)))
    a, b = runs.lead_a[:, -1], runs.lead_b[:, -1]
    far = np.hypot(a, b) > 1  # the others have not left the saddle yet
    assert far.sum() > 24
    same, n = portrait.same_side(a[far], b[far])
    assert same >= n - 1
    assert 0.25 < (a[far] > 0).mean() < 0.75

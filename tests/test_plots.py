import itertools
from collections.abc import Iterator

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex, to_rgb
from matplotlib.patches import Rectangle

from lessons_lib.lab.outcomes import cumulative_incidence, draw
from lessons_lib.plots import (
    ROLES,
    attention_map,
    curves,
    intervals,
    use_style,
    word_bars,
)
from lessons_lib.stats import Interval


@pytest.fixture(autouse=True)
def _plain_figures() -> Iterator[None]:
    mpl.use("agg")
    with mpl.rc_context():
        yield
        plt.close("all")


def linear(color: str) -> np.ndarray:
    """Linear RGB, as WCAG 2 has it."""
    return np.array(
        [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    )


def contrast(color: str, page: str = "white") -> float:
    """Contrast ratio as WCAG 2 defines it."""
    low, high = sorted(linear(c) @ [0.2126, 0.7152, 0.0722] for c in (color, page))
    return float((high + 0.05) / (low + 0.05))


# How a colour looks without one kind of cone: Machado, Oliveira and Fernandes (2009), severity 1,
# on linear RGB, row by row.
BLINDNESS: dict[str, list[float]] = {
    "none": [1, 0, 0, 0, 1, 0, 0, 0, 1],
    "protanopia": [
        *(0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216),
        *(-0.003882, -0.048116, 1.051998),
    ],
    "deuteranopia": [
        *(0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413),
        *(-0.011820, 0.042940, 0.968881),
    ],
    "tritanopia": [
        *(1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602),
        *(0.004733, 0.691367, 0.303900),
    ],
}
# From linear RGB to Oklab (Ottosson 2020): to cones, whose cube roots are then mixed.
CONES = [
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
]
OPPONENTS = [
    [0.2104542553, 0.7936177850, -0.0040720468],
    [1.9779984951, -2.4285922050, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.8086757660],
]


def apart(one: str, other: str, blindness: str) -> float:
    """Distance of two colours as somebody sees them: in Oklab, times 100."""
    eye = np.reshape(BLINDNESS[blindness], (3, 3))
    light = np.clip(eye @ np.transpose([linear(one), linear(other)]), 0, 1)
    seen = np.array(OPPONENTS) @ np.cbrt(np.array(CONES) @ light)
    return float(100 * np.linalg.norm(seen[:, 0] - seen[:, 1]))


@pytest.mark.parametrize("blindness", BLINDNESS)
def test_any_two_colours_can_be_told_apart(blindness: str) -> None:
    """8 in a space where black and white are 100 apart; what can just be noticed is near 2."""
    assert apart("#FFFFFF", "#000000", blindness) == pytest.approx(100, abs=0.1)
    for one, other in itertools.combinations(dict.fromkeys(ROLES.values()), 2):
        assert apart(one, other, blindness) >= 8, f"{one} and {other}"


def test_roles_have_colours_of_their_own_that_stand_out_from_white() -> None:
    shared = [role for role in ROLES if list(ROLES.values()).count(ROLES[role]) > 1]
    assert shared == ["words", "uniform"], "on purpose, and no others"
    for role, color in ROLES.items():
        assert contrast(color) >= 3, role  # WCAG 1.4.11, graphics


def test_attention_map_labels_rows_and_columns_and_marks_gold() -> None:
    weights = np.array([[0.9, 0.1, 0.0], [0.2, 0.3, 0.5]])
    ax = attention_map(weights, ["ein", "Hund", "."], ["a", "dog"], gold=[0, -1])
    assert [t.get_text() for t in ax.get_xticklabels()] == ["ein", "Hund", "."]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "dog"]
    np.testing.assert_array_equal(np.asarray(ax.images[0].get_array()), weights)
    assert [p.get_xy() for p in ax.patches if isinstance(p, Rectangle)] == [(-0.5, -0.5)]
    with pytest.raises(ValueError, match="does not match the number of labels"):
        attention_map(np.eye(2), ["a", "b"], ["c"])


def test_curves_draw_each_seed_their_mean_and_say_n() -> None:
    frame = pd.DataFrame({"seed": [0, 0, 1, 1], "step": [0, 9, 0, 9], "value": [0, 1, 0, 3.0]})
    ax = curves(frame, label="accuracy", color="attention")
    assert len(ax.lines) == 3
    assert np.asarray(ax.lines[-1].get_ydata()).tolist() == [0, 2]
    assert ax.lines[-1].get_label() == "accuracy (n = 2)"
    assert ax.lines[-1].get_color() == ROLES["attention"]
    with pytest.raises(ValueError, match="rows to draw for 'accuracy'"):
        curves(frame[:0], label="accuracy", color="attention")


def test_intervals_keep_their_order_from_the_top() -> None:
    _, given = plt.subplots()
    values = {"a": Interval(0.5, 0.4, 0.7, 9), "chance": Interval(0.1, 0.1, 0.1, 1)}
    ax = intervals(values, colors={"a": "uniform"}, ax=given)
    assert ax is given
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "chance"]
    bottom, top = ax.get_ylim()
    assert bottom > top
    assert np.asarray(ax.lines[0].get_xdata()).tolist() == [0.4, 0.7]
    assert ax.lines[0].get_color() == ROLES["uniform"]


def test_style_gives_opaque_figures_and_colours_of_roles() -> None:
    use_style()
    figure = plt.figure()
    assert figure.get_facecolor() == (1, 1, 1, 1)
    ax = figure.add_subplot()
    for _ in ROLES:
        ax.plot([0, 1])
    assert {to_hex(line.get_color()).upper() for line in ax.lines} <= set(ROLES.values())


def test_incidence_rises_in_steps_within_its_band() -> None:
    curve = cumulative_incidence([20, 50, 30, 60, 60], [1, 1, 0, 0, 0], 60)
    ax = draw(curve, label="aligned", color="attention")
    (line,) = ax.lines
    assert np.asarray(line.get_data()).tolist() == [[0, 20, 50, 60], [0, 0.2, 0.4, 0.4]]
    assert line.get_label() == "aligned (n = 5)"
    (band,) = ax.collections
    assert band.get_datalim(ax.transData).ymax == pytest.approx(curve.high.max())
    assert draw(curve, label="x", color="gold", ax=ax) is ax


def test_word_bars_show_each_value_at_its_word_and_mark_the_largest() -> None:
    words, values = ["a", "dull", "film"], {"alpha": [0.2, 0.7, 0.1], "beta": [0.0, -1.0, -3.0]}
    left, right = word_bars(words, values, colors={"alpha": "attention"})
    assert [label.get_text() for label in left.get_yticklabels()] == words
    for ax, heights, largest in ((left, values["alpha"], 1), (right, values["beta"], 0)):
        bars = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
        assert [bar.get_width() for bar in bars] == heights
        assert [bar.get_alpha() == 1 for bar in bars].index(True) == largest
    assert left.get_ylim()[0] > left.get_ylim()[1], "the first word stands on top"
    with pytest.raises(ValueError, match="shape mismatch"):
        word_bars(words, {"alpha": [0.1, 0.9]})

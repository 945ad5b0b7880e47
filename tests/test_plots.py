from collections.abc import Iterator

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle

from lessons_lib.plots import (
    ROLES,
    attention_map,
    curves,
    incidence,
    intervals,
    use_style,
    word_bars,
)
from lessons_lib.stats import Interval, cumulative_incidence


@pytest.fixture(autouse=True)
def _plain_figures() -> Iterator[None]:
    mpl.use("agg")
    with mpl.rc_context():
        yield
        plt.close("all")


def contrast_with_white(color: str) -> float:
    """Contrast ratio as WCAG 2 defines it."""
    channels = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    luminance = np.dot([0.2126, 0.7152, 0.0722], channels)
    return float(1.05 / (luminance + 0.05))


def test_role_colours_differ_and_stand_out_from_white() -> None:
    assert len(set(ROLES.values())) == len(ROLES)
    for role, color in ROLES.items():
        assert contrast_with_white(color) >= 3, role  # WCAG 1.4.11, graphics


def test_attention_map_labels_rows_and_columns_and_marks_gold() -> None:
    weights = np.array([[0.9, 0.1, 0.0], [0.2, 0.3, 0.5]])
    ax = attention_map(weights, ["ein", "Hund", "."], ["a", "dog"], gold=[0, -1])
    assert [t.get_text() for t in ax.get_xticklabels()] == ["ein", "Hund", "."]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "dog"]
    image = ax.images[0].get_array()
    assert image is not None
    np.testing.assert_array_equal(np.asarray(image), weights)
    assert [p.get_xy() for p in ax.patches if isinstance(p, Rectangle)] == [(-0.5, -0.5)]


def test_attention_map_of_other_words() -> None:
    with pytest.raises(ValueError, match=r"\(1, 2\) for these words, found \(2, 2\)"):
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
    ax = intervals({"a": Interval(0.5, 0.4, 0.7, 9), "chance": 0.1}, colors={"a": "uniform"})
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "chance"]
    bottom, top = ax.get_ylim()
    assert bottom > top
    assert np.asarray(ax.lines[0].get_xdata()).tolist() == [0.4, 0.7]
    assert ax.lines[0].get_color() == ROLES["uniform"]


def test_style_gives_figures_an_opaque_background() -> None:
    use_style()
    assert plt.figure().get_facecolor() == (1, 1, 1, 1)


def test_given_axes_are_used_and_handed_back() -> None:
    _, ax = plt.subplots()
    assert intervals({"x": 1.0}, ax=ax) is ax


def test_incidence_rises_in_steps_within_its_band() -> None:
    curve = cumulative_incidence([20, 50, 30, 60, 60], [1, 1, 0, 0, 0], 60)
    ax = incidence(curve, label="aligned", color="attention")
    (line,) = ax.lines
    assert line.get_xdata().tolist() == [0, 20, 50, 60]  # type: ignore[union-attr]
    assert line.get_ydata().tolist() == [0, 0.2, 0.4, 0.4]  # type: ignore[union-attr]
    assert line.get_label() == "aligned (n = 5)"
    (band,) = ax.collections
    assert band.get_datalim(ax.transData).ymax == pytest.approx(curve.high.max())
    assert incidence(curve, label="x", color="gold", ax=ax) is ax


def test_word_bars_show_each_value_at_its_word_and_mark_the_largest() -> None:
    words, values = ["a", "dull", "film"], {"alpha": [0.2, 0.7, 0.1], "beta": [0.0, -1.0, -3.0]}
    left, right = word_bars(words, values, colors={"alpha": "attention"})
    assert [label.get_text() for label in left.get_yticklabels()] == words
    for ax, heights, largest in ((left, values["alpha"], 1), (right, values["beta"], 0)):
        bars = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
        assert [bar.get_width() for bar in bars] == heights
        assert [bar.get_alpha() == 1 for bar in bars].index(True) == largest
    assert left.get_ylim()[0] > left.get_ylim()[1], "the first word stands on top"
    with pytest.raises(ValueError, match=r"one value of 'alpha' for each of 3 words.*\(2,\)"):
        word_bars(words, {"alpha": [0.1, 0.9]})

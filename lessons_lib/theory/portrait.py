"""Trained models in the phase portrait: where each head stands, and how it got there.

Of a trained model, a is read off the attention on the right position, and b is the ``margin`` of
the lexical probe. Its units are not those of the reduced model: signs, orders and exponents can be
compared, not lengths.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import logit

Array = NDArray[np.float64]


def attention_lead(right_attention: ArrayLike, positions: int) -> Array:
    """a, by how much the right position leads: ``log(p (L-1) / (1-p))``, 0 where uniform.

    The inverse of ``phase_portrait.right_attention``, for L positions, the end symbol included.
    """
    p = np.asarray(right_attention, dtype=float)
    return np.asarray(logit(p) + np.log(positions - 1))


def in_plane(frame: pd.DataFrame, positions: int) -> pd.DataFrame:
    """Where each head of each run stands at each step at which it was measured.

    From tidy rows (seed, step, metric, value, and arm where there are several) of
    ``copying.measure_copier`` to the columns arm, seed, step, head (from 0), a, b (the margin).
    """
    index = [name for name in ("arm", "seed", "step") if name in frame]
    rows = frame.assign(
        head=frame["metric"].str.extract(r"^head(\d+)/", expand=False),
        metric=frame["metric"].str.replace(r"^head\d+/", "", regex=True),
    )
    rows = rows[rows["metric"].isin(["right_mass", "margin"])]
    runs = [name for name in index if name != "step"]
    # The rows without a head are the mean over heads: they count only where there is one head.
    several = rows.groupby(runs)["head"].transform("count") > 0
    rows = rows[~several | rows["head"].notna()].fillna({"head": "0"}).astype({"head": int})
    wide = rows.pivot_table(index=[*index, "head"], columns="metric", values="value").dropna()
    a = attention_lead(wide["right_mass"], positions)
    return wide.assign(a=a, b=wide["margin"])[["a", "b"]].reset_index()


def same_side(a: ArrayLike, b: ArrayLike) -> tuple[int, int]:
    """In how many places a and b have the same sign, as they have in theory; of how many."""
    x, y = np.broadcast_arrays(np.asarray(a, dtype=float), np.asarray(b, dtype=float))
    return int((np.sign(x) == np.sign(y)).sum()), x.size


def growth_exponent(steps: ArrayLike, values: ArrayLike) -> float:
    """The n of the power law ``values ~ steps^n``: the least-squares slope in logarithms.

    Two points or more, all above 0.
    """
    return float(np.polyfit(np.log(steps), np.log(values), 1)[0])

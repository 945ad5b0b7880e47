"""Trained models in the phase portrait: where each head stands, and how it got there.

Of a trained model, a is read off the attention on the right position, and b is the ``margin`` of
the lexical probe. Its units are not those of the reduced model: signs, orders and exponents can be
compared, not lengths.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import logit


def in_plane(frame: pd.DataFrame, positions: int) -> pd.DataFrame:
    """Where each head of each run stands at each step at which it was measured.

    From tidy rows (seed, step, metric, value, and arm where there are several) of
    ``copying.measure_copier`` to the columns arm, seed, step, head (from 0), a and b. a is the
    inverse of ``phase_portrait.right_attention`` of the L ``positions``, the end symbol included.
    """
    index = [name for name in ("arm", "seed", "step") if name in frame]
    names = frame["metric"].str.extract(r"^(?:head(?P<head>\d+)/)?(?P<metric>right_mass|margin)$")
    rows = frame.assign(**names).dropna(subset="metric")
    # The rows without a head are the mean over heads: they count only where there is one head.
    several = rows.groupby(index)["head"].transform("count") > 0
    rows = rows[~several | rows["head"].notna()].fillna({"head": "0"}).astype({"head": int})
    wide = rows.pivot_table(index=[*index, "head"], columns="metric", values="value").dropna()
    a = logit(wide["right_mass"]) + np.log(positions - 1)
    return wide.assign(a=a, b=wide["margin"])[["a", "b"]].reset_index()


def same_side(a: ArrayLike, b: ArrayLike) -> tuple[int, int]:
    """In how many places a and b have the same sign, as they have in theory; of how many."""
    same = np.sign(a) == np.sign(b)
    return int(same.sum()), same.size


def growth_exponent(steps: ArrayLike, values: ArrayLike) -> float:
    """The n of ``values ~ steps^n``, the slope in logarithms, of two points or more above 0."""
    return float(np.polyfit(np.log(steps), np.log(values), 1)[0])

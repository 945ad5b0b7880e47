"""How likely is a head to align, by its start? A theory of its first steps, which are linear.

Close to its start a head's place ``x = (a, b)``, the lead of the right position in its attention
and of the right word in what it reads, moves as ``x' = K x + d + noise``. The off-diagonal gains
``k1 = K[0, 1]`` and ``k2 = K[1, 0]`` make the saddle; the diagonal says what a lead does to itself.
With r the larger eigenvalue of K and w its left eigenvector, ``u = w . x`` grows as
``u' = r u + w . d + noise``, an Ornstein-Uhlenbeck process that runs away from 0. Which side it
ends on is the sign of ``u + w . d / r`` plus a normal variable with variance
``rate w . S w / (2 r)``, for batches whose velocities have the covariance S.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from lessons_lib.theory.two_words import Array


@dataclass(frozen=True)
class Odds:
    """What the linear theory says of some starts that share gains, drive and noise."""

    rate: float  #: r, growth of u for each unit of learning rate times updates
    weights: Array  #: w, ``(2,)``
    lead: Array  #: ``w . x``, of each start, ``(starts,)``
    drive: float  #: ``w . d / r``, in the units of ``lead``
    noise: float  #: standard deviation that the inputs add, in the same units
    chance: Array  #: that a start aligns, over streams of inputs, ``(starts,)``

    @property
    def start_share(self) -> float:
        """Share of the variance that lies between starts, not in the inputs, in [0, 1]."""
        spread = float(self.lead.var())
        return spread / (spread + self.noise**2)


def odds(
    places: ArrayLike, gains: ArrayLike, drive: ArrayLike, covariance: ArrayLike, rate: float
) -> Odds:
    """Chance of each start: ``Phi((w . x + w . d / r) / sqrt(rate w . S w / (2 r)))``.

    From x of each start, ``(starts, 2)``: attention, words; gains K, ``(2, 2)``; drive d, ``(2,)``;
    S, ``(2, 2)``; and the learning rate. A ``ValueError`` if no direction grows.
    """
    values, vectors = np.linalg.eig(np.asarray(gains, dtype=float).T)
    grows = int(values.real.argmax())
    r, w = float(values[grows].real), vectors[:, grows].real
    if np.iscomplex(values).any() or r <= 0:
        raise ValueError(f"expected gains with a growing direction, found eigenvalues {values}")
    w = w * (np.sign(w[1]) or 1)
    lead = np.asarray(places, dtype=float) @ w
    pushed = float(np.asarray(drive) @ w / r)
    noise = float(np.sqrt(rate * w @ np.asarray(covariance) @ w / (2 * r)))
    with np.errstate(divide="ignore", invalid="ignore"):
        return Odds(r, w, lead, pushed, noise, ndtr((lead + pushed) / np.float64(noise)))

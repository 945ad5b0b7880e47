"""Two words and attention between them: the smallest model in which attention is learned.

A classifier reads two words. The negative text is ``(0, 0)``, the positive one ``(0, 1)``. Word i
has the score ``b_i``, and in the positive text a share p of attention is on word 1::

    s0 = b0                      score of the negative text, whatever attention does
    s1 = (1 - p) b0 + p b1       score of the positive text
    d  = b1 - b0                 what the model knows about words, any real number

The authors' blog post follows the gradient of ``s1 - s0 = p d``, which is *maximised*: the
objective ``"difference"``. In its *toy*, p itself is moved, and may leave [0, 1]. In the *softmax
version* ``p = e^a / (1 + e^a)``, where a is the lead in attention logits. There a second objective,
``"logistic"``, is what a classifier really maximises: the sum of both texts' log-likelihoods.
Time is learning rate times updates. The closed forms are our own.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import quad, solve_ivp
from scipy.special import expit, log_expit, softmax, wrightomega

Array = NDArray[np.float64]
Objective = Literal["difference", "logistic"]

SOLVER: dict[str, Any] = {"method": "LSODA", "rtol": 1e-10, "atol": 1e-12}
"""LSODA, since the flow becomes stiff where attention is nearly gone."""


class Plane(NamedTuple):
    """Points of the plane: d, what is known about words, and p, attention on word 1."""

    d: Array
    p: Array


class Path(NamedTuple):
    """One orbit of the softmax version; every array has shape ``(times,)``."""

    times: Array
    b0: Array  #: score of word 0
    b1: Array  #: score of word 1
    a: Array  #: lead of word 1 in attention logits
    d: Array  #: ``b1 - b0``
    p: Array  #: attention on word 1


def scores(b0: ArrayLike, b1: ArrayLike, p: ArrayLike) -> tuple[Array, Array]:
    """``(s0, s1) = (b0, (1 - p) b0 + p b1)``, scores of the two texts."""
    low, high, share = (np.asarray(x, dtype=float) for x in (b0, b1, p))
    return low, (1 - share) * low + share * high


def value(b0: ArrayLike, b1: ArrayLike, p: ArrayLike, objective: Objective = "difference") -> Array:
    """What is maximised, broadcast: ``s1 - s0``, or ``log sigmoid(-s0) + log sigmoid(s1)`` in nats.

    The second for ``"logistic"``; a ``ValueError`` for an unknown objective, here and below.
    """
    negative, positive = scores(b0, b1, p)
    if _is_logistic(objective):
        return np.asarray(log_expit(-negative) + log_expit(positive))
    return np.asarray(positive - negative)


def toy_closed_form(times: ArrayLike, d: float, p: float) -> Plane:
    """The toy's gradient flow from ``(d, p)`` at time 0, in closed form, at times of any shape.

    The gradient of ``p (b1 - b0)`` gives ``b0' = -p``, ``b1' = p``, ``p' = b1 - b0``, so that
    ``d' = 2p`` and ``p' = d``. Nothing keeps p in [0, 1], see ``toy_exit``.
    """
    r = math.sqrt(2)
    t = r * np.asarray(times)
    return Plane(d * np.cosh(t) + r * p * np.sinh(t), p * np.cosh(t) + d / r * np.sinh(t))


def toy_flow(times: ArrayLike, d: float, p: float) -> Plane:
    """The same flow, by ``integrate`` from ``b0 = -d/2``, ``b1 = d/2``."""
    gradient = np.array([[0, 0, -1], [0, 0, 1], [-1, 1, 0]])  # of p (b1 - b0)
    b0, b1, share = integrate(lambda _, state: gradient @ state, times, [-d / 2, d / 2, p])
    return Plane(b1 - b0, share)


def toy_exit(d: float, p: float) -> tuple[float, int]:
    """When p leaves [0, 1], after which the toy means nothing, and on which side, 0 or 1.

    From ``d = -sqrt(2) p``, the line that divides the sides, p comes to rest at 0: ``(inf, 0)``. A
    ``ValueError`` if p is not between 0 and 1 to begin with, both excluded.
    """
    if not 0 < p < 1:
        raise ValueError(f"expected p between 0 and 1, found {p}; the toy starts inside")
    r = math.sqrt(2)
    grows, decays = (p + d / r) / 2, (p - d / r) / 2  # p(t) = grows u + decays / u
    if grows == 0:
        return math.inf, 0
    side = int(grows > 0)
    # With u = e^(r t), grows u^2 - side u + decays = 0; the larger root, since u grows from 1.
    u = (side + math.sqrt(side**2 - 4 * grows * decays)) / (2 * abs(grows))
    return math.log(u) / r, side


def velocity(
    b0: ArrayLike, b1: ArrayLike, a: ArrayLike, objective: Objective = "difference"
) -> tuple[Array, Array, Array]:
    """``(b0', b1', a')`` of the softmax version: the gradient of ``value`` at ``p = sigmoid(a)``.

    With ``g0 = g1 = 1`` for ``"difference"``, and the errors ``g0 = sigmoid(s0)`` and
    ``g1 = sigmoid(-s1)`` of the two texts for ``"logistic"``::

        b0' = (1 - p) g1 - g0        b1' = p g1        a' = g1 p (1 - p) (b1 - b0)
    """
    p = expit(np.asarray(a, dtype=float))
    s0, s1 = scores(b0, b1, p)
    g0, g1 = (expit(s0), expit(-s1)) if _is_logistic(objective) else np.ones((2, *s1.shape))
    return (1 - p) * g1 - g0, p * g1, g1 * p * (1 - p) * np.subtract(b1, b0)


def flow(
    times: ArrayLike, b0: float, b1: float, a: float = 0.0, objective: Objective = "difference"
) -> Path:
    """Gradient flow of the softmax version, by ``integrate``; a = 0 is uniform attention."""
    start = [b0, b1, a]
    low, high, lead = integrate(
        lambda _, at: np.stack(velocity(at[0], at[1], at[2], objective)), times, start
    )
    return Path(np.asarray(times, dtype=float), low, high, lead, high - low, expit(lead))


def conserved(d: ArrayLike, a: ArrayLike) -> Array:
    """``a + e^a - d^2/4``, the same all along an orbit for ``"difference"``.

    Dividing ``a' = p (1-p) d`` by ``d' = 2p`` leaves ``(1 + e^a) da = d dd / 2``. For
    ``"logistic"`` it drifts.
    """
    lead = np.asarray(a, dtype=float)
    return np.asarray(lead + np.exp(lead) - np.asarray(d, dtype=float) ** 2 / 4)


def orbit(d: ArrayLike, start_d: float, start_a: float = 0.0) -> Array:
    """The orbit for ``"difference"`` in closed form: a at each d, of the shape of ``d``.

    Wright's omega function solves ``omega + log omega = z``, here ``z = conserved(start) + d^2/4``.
    As a depends on d^2, attention comes back as it was lost.
    """
    z = conserved(start_d, start_a) + np.asarray(d, dtype=float) ** 2 / 4
    return np.asarray(z - np.real(wrightomega(z)))


def recovery_time(start_d: float, start_a: float = 0.0) -> float:
    """How long attention needs from a wrong start, ``d < 0``, until it is back where it was.

    That is at ``-start_d``, by the symmetry of ``orbit``. Since ``d' = 2p``, it is the integral of
    ``(1 + e^-a) / 2 dd``: from uniform attention near ``sqrt(pi) exp(d^2/4 - 1)`` if d is large.
    A ``ValueError`` if ``start_d`` is not below 0, an ``OverflowError`` below -53 or so.
    """
    if not start_d < 0:
        raise ValueError(f"expected start_d below 0, a wrong start, found {start_d}")
    lowest = orbit(0.0, start_d, start_a)
    # Relative to the slowest point, so that the integrand is at most 1.
    found, _ = quad(lambda d: math.exp(lowest - orbit(d, start_d, start_a)), 0, -start_d, epsabs=0)
    return -start_d + math.exp(-lowest) * float(found)


def gradient_law_logit(alpha: ArrayLike, beta: ArrayLike) -> Array:
    """Derivative of the right word's logit by each attention logit, for a linear readout.

    ``alpha_l (beta_l - sum_l' alpha_l' beta_l')``, with attention alpha and the lexical probe beta
    on the scale ``"logit"``. Both and the result are ``(..., src)``; its rows sum to 0. A
    ``ValueError`` if shapes differ, or alpha is no attention.
    """
    weights, probe = np.asarray(alpha, dtype=float), np.asarray(beta, dtype=float)
    sums = weights.sum(-1, keepdims=True)
    if weights.shape != probe.shape or not (weights >= 0).all() or not np.allclose(sums, 1):
        raise ValueError(
            f"expected attention of shape {probe.shape}, 0 or above with rows that sum to 1, found "
            f"shape {weights.shape}, sums {np.ravel(sums)[:3]}; pass it after the softmax"
        )
    return np.asarray(weights * (probe - (weights * probe).sum(-1, keepdims=True)))


def gradient_law_log_probability(alpha: ArrayLike, z: ArrayLike, right: ArrayLike) -> Array:
    """Derivative of the right word's log-probability by each attention logit; linear readout.

    What the loss obeys: ``alpha_l (e_y - p) . (z_l - zbar)``, where ``zbar = sum_l alpha_l z_l``
    and ``p = softmax(zbar)``. Attention ``alpha`` and the result, whose rows sum to 0, are
    ``(..., src)``, the logits ``z`` that each position alone would give ``(..., src, vocab)``, the
    right words y ``(...)``. A ``ValueError`` as above, or if there is no such word.
    """
    weights, alone, words = np.asarray(alpha), np.asarray(z), np.arange(np.shape(z)[-1])
    if not np.isin(right, words).all():
        raise ValueError(f"expected words from 0 to {words[-1]}, found {np.unique(right)}")
    p = softmax((weights[..., None] * alone).sum(-2), axis=-1)
    error = (np.asarray(right)[..., None] == words) - p  # e_y - p
    # The error sums to 0 over words, and (e_y - p) . zbar is the mean of (e_y - p) . z_l.
    return gradient_law_logit(weights, (alone * error[..., None, :]).sum(-1))


def integrate(
    move: Callable[[float, Array], Array], times: ArrayLike, start: Sequence[float]
) -> Array:
    """States of ``state' = move(time, state)`` at the given times, ``(variables, times)``.

    A ``ValueError`` if ``times`` are not one row that increases from 0 or later.
    """
    last = np.max(times)
    if not np.isfinite(last):  # without end; of what else is wrong SciPy tells
        raise ValueError(f"expected finite times, found {last}")
    return np.asarray(solve_ivp(move, (0.0, last), start, t_eval=np.asarray(times), **SOLVER).y)


def _is_logistic(objective: Objective) -> bool:
    if objective not in ("difference", "logistic"):
        raise ValueError(f"expected objective difference or logistic, found {objective!r}")
    return objective == "logistic"

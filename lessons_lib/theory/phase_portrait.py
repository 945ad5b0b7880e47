"""Learning to copy, on paper: why some runs align, why others eliminate, and what decides.

An input is L different words of a vocabulary of V, in random order, and is copied. In the *reduced
model* there is no network: attention logits ``A[t, l]`` depend on positions alone, a table
``B[i, o]`` says what input word i speaks for, and the output logits at step t are
``sum_l softmax(A[t])_l B[x_l, :]``. By symmetry, gradient flow from ``A = a I``, ``B = b I`` keeps
this form (up to constants that the two softmaxes ignore), which leaves two numbers to follow::

    a   lead of the right position's attention logit over every other, any real number
    b   lead of the right word's table entry over every other, any real number
    p   attention on the right position, e^a / (e^a + L - 1)
    q   attention on each other position, (1 - p) / (L - 1)

Time is learning rate times updates; the loss is the mean over output words, in nats, in expectation
over inputs. The derivations are our own; the paper only states that V = L is hard.
Everywhere ``vocab`` is V and ``length`` is L; L above V or below 2 (below 1 in the first two
functions) is a ``ValueError``. Results have the shape of the arguments, broadcast.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import solve_ivp
from scipy.special import expit, ndtr

from lessons_lib.theory.two_words import SOLVER, Array, integrate

Rates = tuple[float, float]


def cooccurrence(vocab: int, length: int) -> tuple[float, float]:
    """Probability of o in the output if i is in the input: 1 for o = i, else ``(L-1)/(V-1)``."""
    check_sizes(vocab, length, shortest=1)
    return 1.0, (length - 1) / (vocab - 1)


def first_gradient_lead(vocab: int, length: int) -> float:
    """How much the first step of gradient descent prefers the right word: (V-L) / (V(V-1)).

    With uniform attention and ``B = 0``, of the loss *summed* over the L output words.
    """
    check_sizes(vocab, length, shortest=1)
    return (vocab - length) / (vocab * (vocab - 1))


def right_attention(a: ArrayLike, length: int) -> Array:
    """p, attention on the right position, in (0, 1); 1/L at a = 0."""
    check_sizes(length, length)
    return np.asarray(expit(np.asarray(a, dtype=float) - math.log(length - 1)))


def symmetric_velocity(a: ArrayLike, b: ArrayLike, vocab: int, length: int) -> tuple[Array, Array]:
    """``(a', b')`` of gradient flow in all entries of A and B: ``-ell_a/(L-1)``, ``-ell_b/(V-1)``.

    A diagonal entry of A has the gradient ``ell_a / L``, each other one of its row, since a softmax
    ignores constants, ``-1/(L-1)`` times that: they differ by ``ell_a / (L-1)``. Likewise for B.
    """
    _, others, spare, p, lead = _competition(a, b, vocab, length)
    minus_by_a = np.asarray(b) * p * (1 - p) * (others * length / (length - 1) + spare)
    return minus_by_a / (length - 1), (others * lead + spare * p) / (vocab - 1)


def saddle(vocab: int, length: int) -> float:
    """A at the only rest point of the flow, ``(a, 0)`` with ``a = -log((V-1)/(L-1))``: p = 1/V.

    Above and right of it a and b flow to plus infinity, alignment; below and left to minus
    infinity, elimination.
    """
    check_sizes(vocab, length)
    return -math.log((vocab - 1) / (length - 1))


def separatrix(a: ArrayLike, vocab: int, length: int, rates: Rates = (1.0, 1.0)) -> Array:
    """The b that divides the branches: starts above it align, starts below it eliminate.

    It is the orbit that runs into the saddle, here integrated outwards from it as a function of a.
    ``rates``, above 0, are factors on the learning rates of attention and of the table. Near the
    origin at V = L it is ``b = -a sqrt(rates[1] / rates[0])``.
    """
    centre = saddle(vocab, length)
    offset = np.asarray(a, dtype=float) - centre
    # Linearised at the saddle: a' = k b, b' = (a - centre) / V^2 - d b; so b = slope (a - centre).
    k = (vocab - 1) / ((length - 1) * vocab**2)
    d = (vocab - length) / ((length - 1) * vocab**3)
    ratio = rates[1] / rates[0]
    slope = -(ratio * d + math.sqrt((ratio * d) ** 2 + 4 * ratio * k / vocab**2)) / (2 * k)
    near, sides = 1e-4, np.array([-1.0, 1.0])  # nearer, the straight line is right to about 1e-8
    reach = np.abs(offset).clip(2 * near)

    def rise(x: float, b: Array) -> Array:
        a_velocity, b_velocity = symmetric_velocity(centre + sides * x, b, vocab, length)
        return sides * ratio * b_velocity / a_velocity

    ends, start = (near, reach.max()), slope * sides * near
    orbits: Any = solve_ivp(rise, ends, start, dense_output=True, **SOLVER)
    left, right = orbits.sol(reach.ravel()).reshape(2, *offset.shape)
    return np.where(reach > np.abs(offset), slope * offset, np.where(offset < 0, left, right))


def aligned_share(vocab: int, length: int, scale: float) -> float:
    """Share of small random starts that align: ``Phi(-saddle / (scale sqrt(1/(L-1) + 1/(V-1))))``.

    With independent normal entries of this standard deviation, above 0, the leads of A and B have
    the variances ``scale^2/(L-1)`` and ``scale^2/(V-1)``, and a start aligns if their sum is above
    the saddle: the separatrix is taken for a line of slope -1, so V is near L, leads are small.
    """
    if not scale > 0:
        raise ValueError(f"expected scale above 0, found {scale}")
    spread = scale * math.sqrt(1 / (length - 1) + 1 / (vocab - 1))
    return float(ndtr(-saddle(vocab, length) / spread))


def elimination_floor(vocab: int, length: int) -> float:
    """What the loss stays above while b < 0, a guess among words not seen: ``log(1 + V - L)``."""
    check_sizes(vocab, length)
    return math.log(1 + vocab - length)


@dataclass(frozen=True)
class SymmetricFlow:
    """One orbit of the reduced model; every array has shape ``(times,)``."""

    times: Array  #: learning rate times updates
    a: Array  #: lead of the right position's attention logit
    b: Array  #: lead of the right word's table entry
    loss: Array  #: nats for each output word
    right_attention: Array  #: p, attention on the right position


def symmetric_flow(a: float, b: float, vocab: int, length: int, times: ArrayLike) -> SymmetricFlow:
    """Gradient flow of the reduced model from ``A = a I``, ``B = b I`` at time 0.

    The loss is ``log(1 + (L-1) exp(-(p-q) b) + (V-L) exp(-p b))``: the 1 stands for the right word,
    the other terms for the input's other words and for the spare words, those not in the input.
    """
    x, y = integrate(
        lambda _, at: np.stack(symmetric_velocity(at[0], at[1], vocab, length)), times, [a, b]
    )
    loss, _, _, p, _ = _competition(x, y, vocab, length)
    return SymmetricFlow(np.asarray(times, dtype=float), x, y, loss, p)


def _competition(a: ArrayLike, b: ArrayLike, vocab: int, length: int) -> tuple[Array, ...]:
    """Loss; probability of the input's other words, and of the spare ones; p and p - q."""
    check_sizes(vocab, length)
    p = right_attention(a, length)
    lead = (length * p - 1) / (length - 1)
    y = np.asarray(b, dtype=float)
    others = math.log(length - 1) - lead * y
    spare = (math.log(vocab - length) if vocab > length else -math.inf) - p * y
    loss = np.logaddexp(np.logaddexp(0, others), spare)
    return loss, np.exp(others - loss), np.exp(spare - loss), p, lead


def check_sizes(vocab: int, length: int, shortest: int = 2) -> None:
    """A ``ValueError`` if no task has inputs of so many different words of the vocabulary."""
    if not (shortest <= length <= vocab and vocab >= 2):
        raise ValueError(
            f"expected {shortest} <= length <= vocab and two words or more, found length {length} "
            f"and vocab {vocab}: an input is that many different words of the vocabulary"
        )

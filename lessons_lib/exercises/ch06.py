"""Checkers of chapter 6: the hard distribution."""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch

from lessons_lib.exercises.judge import Exercise, choice, expect, numbers
from lessons_lib.exercises.sandbox import Student, Wrong
from lessons_lib.theory import phase_portrait


def _sentence_probability(f: Student) -> None:
    for length in (3, 5, 2):  # at L = 2 many wrong formulas agree
        rng = np.random.default_rng(6000 + length)
        # A random mixture of permutations: doubly stochastic, and neither uniform nor certain.
        shares = rng.dirichlet(np.ones(4))
        table = sum(s * np.eye(length)[rng.permutation(length)] for s in shares)
        words = rng.permutation(length)
        truth = math.prod(float(np.mean([table[i, o] for i in words])) for o in words)
        mistakes = {
            "one-word": (1 / length, "that is one output word. A sentence has L of them."),
            "log": (math.log(truth), "that is the log-likelihood, asked for is the probability."),
            "orders": (
                1 / math.factorial(length),
                "1/L! counts orders. Model 1 does not know that words do not repeat, and draws "
                "each output word by itself.",
            ),
        }
        expect(numbers(f(length)) / truth, 1, f"L = {length}", _over(mistakes, truth))


def _over(mistakes: dict[str, tuple[float, str]], scale: float) -> dict[str, tuple[float, str]]:
    """The same for numbers that are compared after a division, because they are small."""
    return {key: (value / scale, message) for key, (value, message) in mistakes.items()}


def _saddle_velocity(f: Student) -> None:
    for length, a, b in ((3, 2e-4, 1e-4), (4, -1e-4, 3e-4)):
        by_a, by_b = _permutation_gradient(length, a, b)
        truth = np.array([-by_a / (length - 1), -by_b / (length - 1)])
        mistakes = {
            "not-coupled": (truth[::-1], "each velocity depends on the other number: swap them."),
            "whole-derivative": (
                truth * (length - 1),
                "that is minus the derivative by a or b. It is the sum over L diagonal entries, "
                "while the lead is one entry against one of the L-1 others.",
            ),
            "one-entry": (
                truth * (length - 1) / length,
                "that is how one diagonal entry moves. The others fall, and the lead gains from "
                "both.",
            ),
            "sign": (-truth, "gradient flow goes downhill in the loss."),
        }
        found = numbers(f(a, b, length), (2,)) / 1e-4
        scaled = {key: (value / 1e-4, message) for key, (value, message) in mistakes.items()}
        # The velocity is linear near the origin only: the rest is of the order of a b.
        expect(found, truth / 1e-4, f"a = {a}, b = {b}, L = {length}", scaled, tolerance=2e-3)


def _permutation_gradient(length: int, a: float, b: float) -> tuple[float, float]:
    """Derivatives of the reduced model's loss by a and b, over all permutations, by autograd."""
    lead_a = torch.tensor(a, dtype=torch.float64, requires_grad=True)
    lead_b = torch.tensor(b, dtype=torch.float64, requires_grad=True)
    eye = torch.eye(length, dtype=torch.float64)
    alpha, table = (lead_a * eye).softmax(-1), lead_b * eye
    orders = [list(order) for order in itertools.permutations(range(length))]
    losses = [-(alpha @ table[x]).log_softmax(-1)[range(length), x].mean() for x in orders]
    by_a, by_b = torch.autograd.grad(torch.stack(losses).mean(), [lead_a, lead_b])
    return float(by_a), float(by_b)


def _cooccurrence_gap(f: Student) -> None:
    for vocab, length in ((7, 4), (9, 2), (5, 5)):
        inputs = list(itertools.combinations(range(vocab), length))
        with_first = [words for words in inputs if 0 in words]
        wrong = float(np.mean([1 in words for words in with_first]))
        mistakes = {
            "repetition": (
                1 - length / vocab,
                "for the wrong pair L/V is taken. One place and one word are used up by i.",
            ),
            "all-places": (
                1 - length / (vocab - 1),
                "for the wrong pair L places are counted. One of them is taken by i itself.",
            ),
            "wrong-pair": (wrong, "that is the wrong pair alone. Subtract it from the right one."),
            "first-gradient": (
                (1 - wrong) / vocab,
                "that is the margin of the first gradient. Asked for are conditional "
                "probabilities.",
            ),
        }
        expect(numbers(f(vocab, length)), 1 - wrong, f"V = {vocab}, L = {length}", mistakes)


# Attention accuracy, attention on the right position, the same before training: the branch, and
# the mistake of those who say otherwise.
_BRANCHES = (
    (0.97, 0.80, 0.10, "aligned", "aligned", "attention is largest at the right position."),
    (0.00, 0.01, 0.10, "elimination", "elimination", "attention has left the right position."),
    (0.30, 0.20, 0.10, "undecided", "two-ways-only", "neither yet: this run is on its way."),
    (0.00, 0.15, 0.10, "undecided", "accuracy-alone", "it looks there more than at the start."),
    (0.30, 0.05, 0.10, "undecided", "mass-alone", "for 3 words in 10 it is largest there."),
    (0.06, 0.12, 0.15, "elimination", "fixed-chance", "compare with the start, not with 0.1."),
)


def _branch(f: Student) -> None:
    for accuracy, mass, start, truth, key, why in _BRANCHES:
        found = f(accuracy, mass, start)
        if type(found) is not str or found not in ("aligned", "elimination", "undecided"):
            raise Wrong("type", "Expected 'aligned', 'elimination' or 'undecided'.")
        if found != truth:
            raise Wrong(
                key,
                f"An attention accuracy of {accuracy} with {mass} of attention at the right "
                f"position ({start} before training) is {truth}, found {found}: {why}",
            )


def _elimination_attention(f: Student) -> None:
    for length in (3, 6):
        alpha = numbers(f(length), (length, length))
        if (alpha < 0).any():
            raise Wrong("negative", "Attention weights cannot be negative.")
        if not np.allclose(alpha.sum(1), 1):
            raise Wrong(
                "no-shares", f"The rows sum to {alpha.sum(1)[0]:.4g}. They have to sum to 1."
            )
        own = alpha.diagonal()
        others = alpha[~np.eye(length, dtype=bool)].reshape(length, -1)
        if (own > others.max(1)).all():
            raise Wrong(
                "aligned",
                "You look at the right word. With B = -b I it then votes against itself, and the "
                "model writes anything else.",
            )
        if not (own < others.min(1)).all():
            raise Wrong(
                "no-choice",
                "At some step the right word is not the one with the fewest votes against it.",
            )
        if (own > 1e-6).any():
            raise Wrong(
                "still-looks", "It copies, but a smaller loss is possible: look away fully."
            )
        if np.ptp(others, axis=1).max() > 1e-6:
            raise Wrong(
                "uneven",
                "It copies, but with unequal weights some word has few votes against it. What is "
                "least likely to be mixed up?",
            )


def _against_attention(answer: object) -> None:
    starts = numbers(answer, (2, 2))
    for (a, b), side, branch in zip(starts, (-1, 1), ("alignment", "elimination"), strict=True):
        case = f"The start a = {a:.4g}, b = {b:.4g}"
        if max(abs(a), abs(b)) > 3:
            raise Wrong("too-far", f"{case} is far from the origin. Stay within 3.")
        if side * a < 0.1:
            raise Wrong("start", f"{case} is to have a {'<= -0.1' if side < 0 else '>= 0.1'}.")
        flow = phase_portrait.symmetric_flow(float(a), float(b), 10, 10, np.linspace(0, 4000, 41))
        p = flow.right_attention[-1]
        if (p > 0.5) != (branch == "alignment"):
            sums = "The sign of a alone does not decide: what is the sign of a + b?"
            raise Wrong("other-branch", f"{case} leads away from {branch}, to p = {p:.3g}. {sums}")


EXERCISES = {
    "6.1": Exercise(
        "Which bag is it?",
        choice(
            {
                "a": (
                    "same-bag",
                    "With repetition bags differ from input to input. And what is left over is no "
                    "longer one word.",
                ),
                "b": (
                    "zero-margin",
                    "A word that is there twice in the input is there twice in the output. So "
                    "co-occurrence says something.",
                ),
                "d": (
                    "elimination-works",
                    "A word that is still to come may also be the one to write now, and words that "
                    "are not in the input are left over, too.",
                ),
            }
        ),
        "What becomes of 'is in the sentence' when a word can be there twice?",
    ),
    "6.2": Exercise(
        "What co-occurrence can tell",
        _cooccurrence_gap,
        "Given that i is there, L-1 places are left for V-1 words.",
        "cooccurrence_gap(vocab, length)",
    ),
    "6.3": Exercise(
        "Which branch?",
        _branch,
        "More than half: aligned. Both numbers below the start: elimination. Everything else is "
        "undecided.",
        "branch(accuracy, mass, start)",
    ),
    "6.4": Exercise(
        "Any doubly stochastic table",
        _sentence_probability,
        "On a permutation the sum over positions is a sum over the whole vocabulary: a column.",
        "sentence_probability(length)",
    ),
    "6.5": Exercise(
        "Copy without looking",
        _elimination_attention,
        "Every attended word votes against itself. Which word should have no vote against it?",
        "elimination_attention(length)",
    ),
    "6.6": Exercise(
        "Against the first look",
        _against_attention,
        "`phase_portrait.symmetric_flow(a, b, 10, 10, times)`; the line between the branches is "
        "near b = -a.",
    ),
    "6.7": Exercise(
        "From all weights to two numbers",
        _saddle_velocity,
        "The loss near the origin is log L - (L-1)/L^2 a b. Then mind what a *lead* is.",
        "saddle_velocity(a, b, length)",
    ),
}

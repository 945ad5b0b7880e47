"""Checkers of chapter 6: the hard distribution."""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch

from lessons_lib.exercises.judge import Array, Exercise, choice, compare, decide, numbers
from lessons_lib.exercises.sandbox import Student, Wrong
from lessons_lib.theory import phase_portrait


def _sentence_probability(f: Student) -> None:
    def probability(length: int) -> float:
        # A random mixture of permutations: doubly stochastic, and neither uniform nor certain.
        rng = np.random.default_rng(6000 + length)
        shares = rng.dirichlet(np.ones(4))
        table = sum(s * np.eye(length)[rng.permutation(length)] for s in shares)
        words = rng.permutation(length)
        return math.prod(float(np.mean([table[i, o] for i in words])) for o in words)

    # fmt: off
    mistakes = {
        "one-word": (lambda n: 1 / n, "that is one output word. A sentence has L of them."),
        "log": (lambda n: -n * math.log(n),
            "that is the log-likelihood, asked for is the probability."),
        "log-of-a-word": (lambda n: -math.log(n), "that is a log-likelihood, and of one word."),
        "orders": (lambda n: 1 / math.factorial(n),
            "1/L! counts orders. Model 1 does not know that words do not repeat, and draws each "
            "output word by itself."),
        "certain": (lambda n: 1.0, "each output word has the probability 1/L, not 1."),
        "count": (lambda n: float(n) ** n, "that is how many outputs there are. Take one of them."),
        "two-words": (lambda n: 1 / n ** 2, "a sentence has L words, not two."),
        "one-word-less": (lambda n: float(n) ** (1 - n),
            "the last word is not certain: L factors."),
        "perplexity": (lambda n: float(n), "that is the perplexity."),
        "last-is-certain": (lambda n: n / math.factorial(n), "words may repeat under Model 1."),
        "two-ways": (lambda n: 2.0 ** (-n), "each word has L ways, not two."),
        "alignments": (lambda n: float(n) ** (-2 * n),
            "the sum over positions is the column's sum, 1: divide by L once for each word."),
    }
    # fmt: on
    compare(f, {f"L = {n}": (n,) for n in (3, 5, 2, 1)}, probability, mistakes)


def _saddle_velocity(f: Student) -> None:
    def velocity(a: float, b: float, length: int) -> Array:
        by_a, by_b = _permutation_gradient(length, a, b)
        return np.array([-by_a / (length - 1), -by_b / (length - 1)])

    def pair(a: float, b: float, factor: float) -> Array:
        return np.array([b, a]) * factor

    # fmt: off
    mistakes = {
        "not-coupled": (lambda *g: velocity(*g)[::-1],
            "each velocity depends on the other number: swap them."),
        "whole-derivative": (lambda a, b, n: pair(a, b, (n - 1) / n ** 2),
            "that is minus the derivative by a or b. It is the sum over L diagonal entries, "
            "while the lead is one entry against one of the L-1 others."),
        "one-entry": (lambda a, b, n: pair(a, b, (n - 1) / n ** 3),
            "that is how one diagonal entry moves. The others fall, and the lead gains from both."),
        "sign": (lambda *g: -velocity(*g), "gradient flow goes downhill in the loss."),
        "one-sign": (lambda a, b, n: np.array([b, -a]) / n ** 2,
            "b grows with a as well: no minus sign there."),
        "other-sign": (lambda a, b, n: np.array([-b, a]) / n ** 2,
            "a grows with b as well: no minus sign there."),
        "by-length": (lambda a, b, n: pair(a, b, 1 / n),
            "the loss has the factor (L-1)/L^2, not 1/L."),
        "no-factor": (lambda a, b, n: pair(a, b, 1), "that is the direction. How fast is it?"),
        "length-less-one": (lambda a, b, n: pair(a, b, 1 / (n - 1) ** 2),
            "the softmax has L words, not L-1."),
        "one-less": (lambda a, b, n: pair(a, b, 1 / (n * (n - 1))),
            "1/(L (L-1)): see dp/da again."),
        "loss": (lambda a, b, n: np.array([a * b, a * b]) / n ** 2,
            "derive the loss: one factor stays."),
        "twice": (lambda a, b, n: pair(a, b, 2 / n ** 2), "the factor 2 does not belong there."),
    }
    # fmt: on
    cases = {
        f"a = {a}, b = {b}, L = {n}": (a, b, n)
        for n, a, b in ((3, 2e-4, 1e-4), (4, -1e-4, 3e-4), (2, 1e-4, -2e-4), (5, 1e-4, 3e-4))
    }
    # The velocity is linear near the origin only: the rest is of the order of a b.
    compare(f, cases, velocity, mistakes, tolerance=2e-3)


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
    def wrong(vocab: int, length: int) -> float:
        inputs = itertools.combinations(range(vocab), length)
        return float(np.mean([1 in words for words in inputs if 0 in words]))

    # fmt: off
    mistakes = {
        "repetition": (lambda v, n: 1 - n / v,
            "for the wrong pair L/V is taken. One place and one word are used up by i."),
        "all-places": (lambda v, n: 1 - n / (v - 1),
            "for the wrong pair L places are counted. One of them is taken by i itself."),
        "all-words": (lambda v, n: 1 - (n - 1) / v,
            "for the wrong pair V words are counted. One of them is i itself."),
        "wrong-pair": (wrong, "that is the wrong pair alone. Subtract it from the right one."),
        "first-gradient": (lambda v, n: (1 - wrong(v, n)) / v,
            "that is the margin of the first gradient. Asked for are conditional probabilities."),
        "joint": (lambda v, n: (1 - wrong(v, n)) * n / v,
            "that is the probability of both. Given that i is there means: divide by L/V."),
        "unconditional": (lambda v, n: n / v - wrong(v, n),
            "given that i is there, o = i is there for sure."),
        "spare-words": (lambda v, n: v - n,
            "that is the number of spare words. Asked is a probability."),
        "share-spare": (lambda v, n: 1 / (v - n + 1), "that is a guess among the words left."),
        "ratio": (lambda v, n: 1 / wrong(v, n), "that is the ratio. Asked is the difference."),
        "two-places": (lambda v, n: 1 - (n - 2) / (v - 2), "only i is known: one place, one word."),
        "one-spare": (lambda v, n: 1 / n, "that holds for V = L + 1 only."),
        "sign": (lambda v, n: wrong(v, n) - 1, "the right pair minus the wrong one."),
    }
    # fmt: on
    cases = ((7, 4), (9, 2), (5, 5), (6, 1), (6, 5))
    compare(
        f, {f"V = {v}, L = {n}": (v, n) for v, n in cases}, lambda v, n: 1 - wrong(v, n), mistakes
    )


# Attention accuracy, attention on the right position, the same before training: the branch, and
# the mistake of those who say otherwise.
_BRANCHES = (
    ((0.97, 0.80, 0.10), "aligned", "aligned", "attention is largest at the right position."),
    ((0.00, 0.01, 0.10), "elimination", "elimination", "attention has left the right position."),
    ((0.30, 0.20, 0.10), "undecided", "two-ways-only", "neither yet: this run is on its way."),
    ((0.00, 0.15, 0.10), "undecided", "accuracy-alone", "it looks there more than at the start."),
    ((0.30, 0.05, 0.10), "undecided", "mass-alone", "for 3 words in 10 it is largest there."),
    ((0.06, 0.12, 0.15), "elimination", "fixed-chance", "compare with the start, not with 0.1."),
    ((0.12, 0.06, 0.15), "elimination", "fixed-chance", "compare with the start, not with 0.1."),
    ((0.03, 0.04, 0.02), "undecided", "fixed-chance", "compare with the start, not with 0.1."),
    ((0.60, 0.30, 0.10), "aligned", "mass-for-accuracy", "for more than half it is largest there."),
    ((0.40, 0.60, 0.10), "undecided", "mass-for-accuracy", "for fewer than half it is largest."),
    ((0.51, 0.45, 0.10), "aligned", "level", "more than half is enough."),
    ((0.50, 0.45, 0.10), "undecided", "half-counts", "half is not more than half."),
    ((0.49, 0.55, 0.05), "undecided", "level", "for fewer than half it is largest."),
    ((0.10, 0.05, 0.10), "undecided", "equal-counts", "equal to the start is not below it."),
    ((0.05, 0.10, 0.10), "undecided", "equal-counts", "equal to the start is not below it."),
    ((0.55, 0.52, 0.60), "aligned", "order", "more than half comes first, whatever the start was."),
    ((0.45, 0.52, 0.60), "elimination", "order", "both are below the start."),
    ((1.0, 0.05, 0.10), "aligned", "mass-has-to-rise", "where attention is largest decides."),
)  # fmt: skip


def _branch(f: Student) -> None:
    decide(f, _BRANCHES, ("aligned", "elimination", "undecided"))


def _elimination_attention(f: Student) -> None:
    def off(length: int) -> Array:
        return 1 - np.eye(length)

    def rows(table: Array) -> Array:
        return np.asarray(table / np.maximum(table.sum(1, keepdims=True), 1e-300))

    # fmt: off
    mistakes = {
        "aligned": (lambda n: np.eye(n),
            "you look at the right word. With B = -b I it then votes against itself, and the "
            "model writes anything else."),
        "causal": (lambda n: rows(np.tril(np.ones((n, n)))),
            "later positions get nothing. Attention sees the whole input: no causal mask here."),
        "causal-strict": (lambda n: rows(np.tril(np.ones((n, n)), -1)),
            "only words already written get attention. The whole input can be looked at."),
        "to-come": (lambda n: rows(np.triu(np.ones((n, n)), 1)),
            "only words still to come get attention. Those already written need votes against "
            "them, too."),
        "to-come-and-this": (lambda n: rows(np.triu(np.ones((n, n)))),
            "the right word gets attention."),
        "uniform": (lambda n: np.full((n, n), 1 / n), "all words have the same vote against them."),
        "neighbour": (lambda n: np.roll(np.eye(n), 1, 1),
            "only one other word has a vote against it."),
        "previous": (lambda n: np.roll(np.eye(n), -1, 1),
            "only one other word has a vote against it."),
        "no-shares": (off, "each row has to sum to 1: divide by L - 1."),
        "by-length": (lambda n: off(n) / n, "each row has to sum to 1: L - 1 positions share it."),
        "negative": (lambda n: 2 * off(n) / (n - 1) - np.eye(n),
            "attention weights cannot be negative."),
    }
    # fmt: on

    def explained() -> None:
        cases = {f"L = {n}": (n,) for n in (5, 3, 2)}
        compare(f, cases, lambda n: off(n) / (n - 1), mistakes, tolerance=1e-4)

    try:
        explained()
    except Wrong as wrong:
        if wrong.key in mistakes or wrong.key not in (*_UNNAMED, "value", "factor", "constant"):
            raise
    else:
        return
    for length in (5, 3):
        _properties(numbers(f(length), (length, length)))
    explained()


_UNNAMED = ("complement", "sign", "rows-to-one", "columns-to-one", "transposed", "centred")


def _properties(alpha: Array) -> None:
    """What is wrong with weights that no known mistake gives."""
    length = len(alpha)
    if (alpha < 0).any():
        raise Wrong("negative", "Attention weights cannot be negative.")
    for row, total in enumerate(alpha.sum(1)):
        if abs(total - 1) > 1e-6:
            raise Wrong("no-shares", f"Row {row} sums to {total:.4g}. Each row has to sum to 1.")
    own = alpha.diagonal()
    others = alpha[~np.eye(length, dtype=bool)].reshape(length, -1)
    if (own > others.max(1)).all():
        raise Wrong("aligned", "You look at the right word. It then votes against itself.")
    if not (own < others.min(1)).all():
        raise Wrong(
            "no-choice",
            "At some step the right word is not the one with the fewest votes against it.",
        )
    if (own > 1e-6).any():
        raise Wrong("still-looks", "It copies, but a smaller loss is possible: look away fully.")
    raise Wrong(
        "uneven",
        "It copies, but with unequal weights some word has few votes against it. What is least "
        "likely to be mixed up?",
    )


def _against_attention(answer: object) -> None:
    starts = numbers(answer, (2, 2))
    for (a, b), side, branch in zip(starts, (-1, 1), ("alignment", "elimination"), strict=True):
        case = f"The start a = {a:.4g}, b = {b:.4g}"
        if max(abs(a), abs(b)) > 3:
            raise Wrong("too-far", f"{case} is far from the origin. Stay within 3.")
        if abs(a) < 0.1 - 1e-9:
            raise Wrong("too-near", f"{case}: let a be at least 0.1 away from 0.")
        if side * a < 0:
            raise Wrong("start", f"{case} is to have a {'<= -0.1' if side < 0 else '>= 0.1'}.")
        flow = phase_portrait.symmetric_flow(float(a), float(b), 10, 10, np.linspace(0, 4000, 41))
        p = flow.right_attention[-1]
        if p > 0.5 if branch == "alignment" else p < 0.1 - 1e-3:
            continue
        if abs(b) < 1e-9:
            why, key = "Its word knowledge is zero, and then a decides.", "no-words"
        elif b * side > 0:
            why, key = "a and b pull in the same direction. Let them differ in sign.", "same-sign"
        elif abs(b) < abs(a):
            why, key = (
                "The sign of a + b decides near the origin: let b outweigh a.",
                "other-branch",
            )
        else:
            key = "beyond-the-rule"
            why = (
                "The sign of a + b is right, but it decides near the origin only. Look at "
                "`phase_portrait.separatrix`, or go nearer."
            )
        raise Wrong(key, f"{case} does not lead to {branch}, but to p = {p:.3g}. {why}")


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
                "c": (
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

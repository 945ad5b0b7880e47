"""Checkers of chapter 6: the hard distribution."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import torch

from lessons_lib.exercises.sandbox import Student, Wrong
from lessons_lib.theory import phase_portrait

# isort: off
# fmt: off
from lessons_lib.exercises.judge import (
    Array, Table, choice, compare, compared, decide, exercise, named, numbers, refuse, shares)


choice("6.1", "Which bag is it?",
    "What becomes of 'is in the sentence' when a word can be there twice?",
    a=("same-bag", "With repetition bags differ from input to input. And what is left over is no "
        "longer one word."),
    c=("zero-margin", "A word that is there twice in the input is there twice in the output. So "
        "co-occurrence says something."),
    d=("elimination-works", "A word that is still to come may also be the one to write now, and "
        "words that are not in the input are left over, too."))


@exercise("6.2", "What co-occurrence can tell",
    "Given that i is there, L-1 places are left for V-1 words.",
    "cooccurrence_gap(vocab, length)")
@compared(named("V = {}, L = {}", (7, 4), (9, 2), (5, 5), (6, 1), (6, 5)))
def _cooccurrence_gap(v: int, n: int) -> Table:
    inputs = itertools.combinations(range(v), n)
    wrong = np.mean([1 in words for words in inputs if 0 in words])
    return 1 - wrong, {
        "repetition": (1 - n / v,
            "for the wrong pair L/V is taken. One place and one word are used up by i."),
        "all-places": (1 - n / (v - 1),
            "for the wrong pair L places are counted. One of them is taken by i itself."),
        "all-words": (1 - (n - 1) / v,
            "for the wrong pair V words are counted. One of them is i itself."),
        "wrong-pair": (wrong, "that is the wrong pair alone. Subtract it from the right one."),
        "first-gradient": ((1 - wrong) / v,
            "that is the margin of the first gradient. Asked for are conditional probabilities."),
        "joint": ((1 - wrong) * n / v,
            "that is the probability of both. Given that i is there means: divide by L/V."),
        "unconditional": (n / v - wrong, "given that i is there, o = i is there for sure."),
        "spare-words": (v - n, "that is the number of spare words. Asked is a probability."),
        "share-spare": (1 / (v - n + 1), "that is a guess among the words left."),
        "ratio": (1 / wrong, "that is the ratio. Asked is the difference."),
        "two-places": (1 - (n - 2) / (v - 2), "only i is known: one place, one word."),
        "one-spare": (1 / n, "that holds for V = L + 1 only."),
        "sign": (wrong - 1, "the right pair minus the wrong one."),
    }


@exercise("6.3", "Which branch?",
    "More than half: aligned. Both numbers below the start: elimination. Everything else is "
    "undecided.",
    "branch(accuracy, mass, start)")
def _branch(f: Student) -> None:
    start, few = "compare with the start, not with 0.1.", "for fewer than half it is largest."
    border = "equal to the start is not below it."
    # Attention accuracy, attention on the right position, the same before training: the branch,
    # and the mistake of those who say otherwise.
    decide(f, (
        ((0.97, 0.80, 0.10), "aligned", "aligned", "attention is largest at the right position."),
        ((0.00, 0.01, 0.10), "elimination", "elimination",
            "attention has left the right position."),
        ((0.30, 0.20, 0.10), "undecided", "two-ways-only", "neither yet: this run is on its way."),
        ((0.00, 0.15, 0.10), "undecided", "accuracy-alone",
            "it looks there more than at the start."),
        ((0.30, 0.05, 0.10), "undecided", "mass-alone", "for 3 words in 10 it is largest there."),
        ((0.06, 0.12, 0.15), "elimination", "fixed-chance", start),
        ((0.12, 0.06, 0.15), "elimination", "fixed-chance", start),
        ((0.03, 0.04, 0.02), "undecided", "fixed-chance", start),
        ((0.60, 0.30, 0.10), "aligned", "mass-for-accuracy",
            "for more than half it is largest there."),
        ((0.40, 0.60, 0.10), "undecided", "mass-for-accuracy", few),
        ((0.51, 0.45, 0.10), "aligned", "level", "more than half is enough."),
        ((0.50, 0.45, 0.10), "undecided", "half-counts", "half is not more than half."),
        ((0.49, 0.55, 0.05), "undecided", "level", few),
        ((0.10, 0.05, 0.10), "undecided", "equal-counts", border),
        ((0.05, 0.10, 0.10), "undecided", "equal-counts", border),
        ((0.55, 0.52, 0.60), "aligned", "order",
            "more than half comes first, whatever the start was."),
        ((0.45, 0.52, 0.60), "elimination", "order", "both are below the start."),
        ((1.0, 0.05, 0.10), "aligned", "mass-has-to-rise", "where attention is largest decides."),
    ), ("aligned", "elimination", "undecided"))


@exercise("6.4", "Any doubly stochastic table",
    "On a permutation the sum over positions is a sum over the whole vocabulary: a column.",
    "sentence_probability(length)")
@compared(named("L = {}", (3,), (5,), (2,), (1,)))
def _sentence_probability(length: int) -> Table:
    # A random mixture of permutations: doubly stochastic, and neither uniform nor certain.
    rng, n = np.random.default_rng(6000 + length), float(length)
    table = sum(s * np.eye(length)[rng.permutation(length)] for s in rng.dirichlet(np.ones(4)))
    words, log = rng.permutation(length), math.log(n)
    return math.prod(float(np.mean([table[i, o] for i in words])) for o in words), {
        "one-word": (1 / n, "that is one output word. A sentence has L of them."),
        "log": (-n * log, "that is the log-likelihood, asked for is the probability."),
        "log-of-a-word": (-log, "that is a log-likelihood, and of one word."),
        "orders": (1 / math.factorial(length),
            "1/L! counts orders. Model 1 does not know that words do not repeat, and draws each "
            "output word by itself."),
        "certain": (1, "each output word has the probability 1/L, not 1."),
        "count": (n**n, "that is how many outputs there are. Take one of them."),
        "two-words": (1 / n**2, "a sentence has L words, not two."),
        "one-word-less": (n ** (1 - n), "the last word is not certain: L factors."),
        "perplexity": (n, "that is the perplexity."),
        "last-is-certain": (n / math.factorial(length), "words may repeat under Model 1."),
        "two-ways": (2.0**-n, "each word has L ways, not two."),
        "alignments": (n ** (-2 * n),
            "the sum over positions is the column's sum, 1: divide by L once for each word."),
    }


@exercise("6.5", "Copy without looking",
    "Every attended word votes against itself. Which word should have no vote against it?",
    "elimination_attention(length)")
def _elimination_attention(f: Student) -> None:
    def named_mistake() -> None:
        compare(f, named("L = {}", (5,), (3,), (2,)), _elimination, tolerance=1e-4)

    try:
        named_mistake()
    except Wrong as wrong:
        unnamed = {"complement", "sign", "rows-to-one", "columns-to-one", "transposed", "centred"}
        if wrong.key not in unnamed | {"value", "factor", "constant"}:
            raise
    else:
        return
    for length in (5, 3):
        _properties(numbers(f(length), (length, length)))
    named_mistake()


def _elimination(n: int) -> Table:
    eye, ones = np.eye(n), np.ones((n, n))
    off, one = 1 - eye, "only one other word has a vote against it."
    after, before = np.triu(ones, 1), np.tril(ones, -1)
    return off / (n - 1), {
        "aligned": (eye,
            "you look at the right word. With B = -b I it then votes against itself, and the "
            "model writes anything else."),
        "causal": (shares(np.tril(ones)),
            "later positions get nothing. Attention sees the whole input: no causal mask here."),
        "causal-strict": (before / np.maximum(before.sum(1, keepdims=True), 1),
            "only words already written get attention. The whole input can be looked at."),
        "to-come": (after / np.maximum(after.sum(1, keepdims=True), 1),
            "only words still to come get attention. Those already written need votes against "
            "them, too."),
        "to-come-and-this": (shares(np.triu(ones)), "the right word gets attention."),
        "uniform": (ones / n, "all words have the same vote against them."),
        "neighbour": (np.roll(eye, 1, 1), one),
        "previous": (np.roll(eye, -1, 1), one),
        "no-shares": (off, "each row has to sum to 1: divide by L - 1."),
        "by-length": (off / n, "each row has to sum to 1: L - 1 positions share it."),
        "negative": (2 * off / (n - 1) - eye, "attention weights cannot be negative."),
    }


def _properties(alpha: Array) -> None:
    """What is wrong with weights that no known mistake gives."""
    own, others = alpha.diagonal(), alpha[~np.eye(len(alpha), dtype=bool)].reshape(len(alpha), -1)
    refuse("",
        ((alpha < 0).any(), "negative", "Attention weights cannot be negative."),
        *((abs(total - 1) > 1e-6, "no-shares",
            f"Row {row} sums to {total:.4g}. Each row has to sum to 1.")
            for row, total in enumerate(alpha.sum(1))),
        ((own > others.max(1)).all(), "aligned",
            "You look at the right word. It then votes against itself."),
        (not (own < others.min(1)).all(), "no-choice",
            "At some step the right word is not the one with the fewest votes against it."),
        ((own > 1e-6).any(), "still-looks",
            "It copies, but a smaller loss is possible: look away fully."),
        (True, "uneven", "It copies, but with unequal weights some word has few votes against it. "
            "What is least likely to be mixed up?"))


@exercise("6.6", "Against the first look",
    "`phase_portrait.symmetric_flow(a, b, 10, 10, times)`; the line between the branches is "
    "near b = -a.")
def _against_attention(answer: object) -> None:
    starts = numbers(answer, (2, 2))
    for (a, b), side, branch in zip(starts, (-1, 1), ("alignment", "elimination"), strict=True):
        case = f"The start a = {a:.4g}, b = {b:.4g}"
        refuse(case,
            (max(abs(a), abs(b)) > 3, "too-far", " is far from the origin. Stay within 3."),
            (abs(a) < 0.1 - 1e-9, "too-near", ": let a be at least 0.1 away from 0."),
            (side * a < 0, "start", f" is to have a {'<= -0.1' if side < 0 else '>= 0.1'}."))
        flow = phase_portrait.symmetric_flow(float(a), float(b), 10, 10, np.linspace(0, 4000, 41))
        p = flow.right_attention[-1]
        if p > 0.5 if branch == "alignment" else p < 0.1 - 1e-3:
            continue
        refuse(f"{case} does not lead to {branch}, but to p = {p:.3g}. ",
            (abs(b) < 1e-9, "no-words", "Its word knowledge is zero, and then a decides."),
            (b * side > 0, "same-sign",
                "a and b pull in the same direction. Let them differ in sign."),
            (abs(b) < abs(a), "other-branch",
                "The sign of a + b decides near the origin: let b outweigh a."),
            (True, "beyond-the-rule",
                "The sign of a + b is right, but it decides near the origin only. Look at "
                "`phase_portrait.separatrix`, or go nearer."))


@exercise("6.7", "From all weights to two numbers",
    "The loss near the origin is log L - (L-1)/L^2 a b. Then mind what a *lead* is.",
    "saddle_velocity(a, b, length)")
# The velocity is linear near the origin only: the rest is of the order of a b.
@compared(
    named("a = {}, b = {}, L = {}",
        (2e-4, 1e-4, 3), (-1e-4, 3e-4, 4), (1e-4, -2e-4, 2), (1e-4, 3e-4, 5)),
    tolerance=2e-3)
def _saddle_velocity(a: Any, b: Any, n: int) -> Table:
    right = -leads_gradient(n, np.array([[a], [b]]))[:, 0] / (n - 1)
    pair = np.array([b, a])
    return right, {
        "not-coupled": (right[::-1], "each velocity depends on the other number: swap them."),
        "whole-derivative": (pair * (n - 1) / n**2,
            "that is minus the derivative by a or b. It is the sum over L diagonal entries, "
            "while the lead is one entry against one of the L-1 others."),
        "one-entry": (pair * (n - 1) / n**3,
            "that is how one diagonal entry moves. The others fall, and the lead gains from both."),
        "sign": (-right, "gradient flow goes downhill in the loss."),
        "one-sign": (np.array([b, -a]) / n**2, "b grows with a as well: no minus sign there."),
        "other-sign": (np.array([-b, a]) / n**2, "a grows with b as well: no minus sign there."),
        "by-length": (pair / n, "the loss has the factor (L-1)/L^2, not 1/L."),
        "no-factor": (pair, "that is the direction. How fast is it?"),
        "length-less-one": (pair / (n - 1) ** 2, "the softmax has L words, not L-1."),
        "one-less": (pair / (n * (n - 1)), "1/(L (L-1)): see dp/da again."),
        "loss": (a * b / n**2, "derive the loss: one factor stays."),
        "twice": (2 * pair / n**2, "the factor 2 does not belong there."),
    }


def leads_gradient(length: int, leads: Array) -> Array:
    """Derivatives of the reduced model's loss by each head's leads a and b, ``(2, heads)``.

    The loss is the mean over all permutations; by autograd.
    """
    free, eye = torch.tensor(leads, requires_grad=True), torch.eye(length, dtype=torch.float64)
    losses = []
    for order in map(list, itertools.permutations(range(length))):
        spoken = [(a * eye).softmax(-1) @ (b * eye)[order] for a, b in free.T]
        log_p = torch.stack(spoken).mean(0).log_softmax(-1)
        losses.append(-log_p[range(length), order].mean())
    (found,) = torch.autograd.grad(torch.stack(losses).mean(), free)
    return np.asarray(found.numpy())

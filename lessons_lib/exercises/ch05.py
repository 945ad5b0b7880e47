"""Checkers of chapter 5: interventions, the push on attention, and the portrait."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

import numpy as np
import torch

from lessons_lib import models, probes
from lessons_lib.exercises.judge import Array, Exercise, choice, compare, numbers
from lessons_lib.exercises.sandbox import Student, Wrong
from lessons_lib.tasks import Copying
from lessons_lib.theory import phase_portrait

_COPIERS = (
    models.Seq2SeqConfig(10, 10, d_embed=3, d_hidden=5),
    models.Seq2SeqConfig(10, 10, 3, 5, cell="gru", readout="linear", shared_embeddings=True),
)


def _moves(model: models.Seq2Seq, name: str) -> tuple[bool, bool]:
    """Whether a change of this parameter alone moves the lexical probe, and the attention."""
    batch, found = Copying(6, 4, end_symbol=False).sample(3, seed=5006), []
    parameter = model.get_parameter(name)
    before = parameter.detach().clone()
    step = torch.linspace(0.5, 1, before.numel()).reshape(before.shape)
    for value in (before, before + step, before):  # the last puts it back
        with torch.no_grad():
            parameter.copy_(value)
            beta = probes.lexical_probe(model, batch, scale="probability")
            found.append((beta, model(batch).attention))
    probe, attention = (bool((x - y).abs().max() > 1e-6) for x, y in zip(*found[:2], strict=True))
    return probe, attention


def _names(answer: object) -> set[str]:
    """Names from a collection of any kind."""
    if isinstance(answer, str) or not isinstance(answer, Iterable):
        raise Wrong("type", "Expected a list of names.")
    found = list(itertools.islice(answer, 1000))
    if any(entry is Ellipsis for entry in found):
        raise Wrong("unfinished", "There is still a `...` among the names.")
    if not all(isinstance(name, str) for name in found):
        raise Wrong("type", "Expected a list of names.")
    return {str.__str__(name) for name in found}


def _frozen_names(f: Student) -> None:
    for config in _COPIERS:
        model = models.build(config, seed=5007).eval()
        moves = {name: _moves(model, name) for name, _ in model.named_parameters()}
        found = _names(f(list(moves)))
        if unknown := sorted(found - set(moves)):
            raise Wrong("unknown-name", f"{unknown[0]!r} is not one of the names that were given.")
        free = [name for name in moves if name not in found]
        useful = [name for name, (probe, attention) in moves.items() if attention and not probe]
        guilty = [name for name in free if moves[name][0]]
        kinds = {name.split(".")[0] for name in guilty}
        if not found:
            raise Wrong("nothing-frozen", "Nothing is frozen, so the probe moves with everything.")
        if not free:
            raise Wrong("nothing-left", "Everything is frozen, so nothing can be learned.")
        if not set(free) & set(useful):
            raise Wrong(
                "froze-attention",
                f"What only moves attention is frozen, and {guilty[0]!r}, which moves the probe, "
                "is free. It is the other way round.",
            )
        for among, key, why in (
            ({"value"}, "value-free", "the probe reads values."),
            ({"readout_layers"}, "readout-free", "the probe is the readout's."),
            ({"source_embedding", "target_embedding"}, "embeddings-free", "states read them."),
            ({"encoder"}, "encoder-free", "values are those of the encoder's states."),
            ({"decoder"}, "decoder-free", "the readout gets the decoder's state as well."),
            ({"encoder", "decoder", "source_embedding", "target_embedding"}, "states-free",
             "the probe reads the states of encoder and decoder."),
            (kinds, "probe-moves", "does a state, a value or the readout need it?"),
        ):  # fmt: skip
            if guilty and kinds <= among:
                raise Wrong(key, f"{guilty[0]!r} is free, and the probe moves with it: {why}")
        if missing := [name for name in useful if name in found]:
            raise Wrong("too-much", f"{missing[0]!r} is frozen, though it never moves the probe.")


def _pushes(alpha: Array, z: Array, y: int) -> tuple[Array, Array]:
    """Derivatives of the logit and of the log-probability of y by attention, by autograd."""
    logits = torch.tensor(np.log(alpha), requires_grad=True)
    said = logits.softmax(-1) @ torch.tensor(z)
    (of_logit,) = torch.autograd.grad(said[y], logits, retain_graph=True)
    (of_log_p,) = torch.autograd.grad(said.log_softmax(-1)[y], logits)
    return of_logit.numpy(), of_log_p.numpy()


def _disagreement(answer: object) -> None:
    answer = answer.tolist() if isinstance(answer, np.ndarray | torch.Tensor) else answer
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise Wrong("type", "Expected (alpha, z): two weights, and two rows of two logits.")
    alpha, z = numbers(answer[0], (2,)), numbers(answer[1], (2, 2))
    if (alpha <= 0).any() or abs(alpha.sum() - 1) > 1e-6:
        raise Wrong("no-weights", "The two weights have to be above 0 and sum to 1.")

    def fits(z: Array, y: int = 0, at: int = 0) -> bool:
        of_logit, of_log_p = _pushes(alpha, z, y)
        return bool(of_logit[at] > 1e-9 and of_log_p[at] < -1e-9)

    if fits(z):
        return
    of_logit, of_log_p = _pushes(alpha, z, 0)
    told = f"The logit pushes position 1 by {of_logit[0]:.3g}, the loss by {of_log_p[0]:.3g}"
    for holds, key, why in (
        (fits(z, at=1), "other-position", ": it is position 2 that fits. Exchange them."),
        (fits(z, y=1), "other-word", ": it fits with the second word as the right one."),
        (fits(z.T), "transposed", ": a row of z is a position, a column a word. Exchange them."),
        (fits(z, y=1, at=1), "both-other", ": it fits with the other word at the other position."),
        (abs(of_logit[0]) <= 1e-9, "no-push", ": give the positions different logits."),
        (of_logit[0] < 0 < of_log_p[0], "opposite", ": the loss raises what the logit lowers."),
        (of_logit[0] < 0, "logit-not-raised", ". Let it raise the logit of the right word."),
        (abs(of_log_p[0]) <= 1e-9, "loss-unmoved", ": a push that both words share moves nothing. "
         "Let it raise the wrong word more."),
    ):  # fmt: skip
        if holds:
            raise Wrong(key, told + why)
    raise Wrong(
        "both-raise",
        f"{told}: both agree. What if position 1 speaks for the wrong word even more?",
    )


def _loss_push(f: Student) -> None:
    rng = np.random.default_rng(5008)
    sizes = ((5, 7, 3), (4, 3, 0), (6, 4, 3))
    cases = {
        f"{src} positions, {vocab} words, the right one is {y}": (
            rng.dirichlet(np.ones(src)),
            2 * rng.normal(size=(src, vocab)),
            y,
        )
        for src, vocab, y in sizes
    }

    def soft(z: Array) -> Array:
        return np.asarray(np.exp(z) / np.exp(z).sum(-1, keepdims=True))

    def error(z: Array, p: Array, y: int) -> Array:
        return np.asarray(np.eye(z.shape[1])[y] - p)

    def law(alpha: Array, beta: Array) -> Array:
        return np.asarray(alpha * (beta - alpha @ beta))

    def push(alpha: Array, z: Array, y: int) -> Array:
        return _pushes(alpha, z, y)[1]

    def mixed(alpha: Array, z: Array, y: int) -> Array:
        return law(alpha, z @ error(z, alpha @ soft(z), y))

    def own(alpha: Array, z: Array, y: int) -> Array:
        return np.asarray(alpha * ((z - alpha @ z) * error(z, soft(z), y)).sum(1))

    # fmt: off
    mistakes = {
        "logit-law": (lambda a, z, y: law(a, z[:, y]),
            "that is the push of the logit of the right word. The loss looks at all words."),
        "probability": (lambda a, z, y: push(a, z, y) * soft(a @ z)[y],
            "that is the push of the probability. Divide by it for that of its logarithm."),
        "probability-law": (lambda a, z, y: law(a, soft(z)[:, y]),
            "that is the law for a mean of probabilities. Logits are averaged, then comes the "
            "softmax."),
        "log-probability-law": (lambda a, z, y: law(a, np.log(soft(z)[:, y])),
            "that is the law for a mean of log-probabilities. Logits are averaged."),
        "sign": (lambda *g: -push(*g), "the sign is that of the loss. Asked is log-probability."),
        "no-alpha": (lambda a, z, y: push(a, z, y) / a, "the factor alpha is missing."),
        "no-mean": (lambda a, z, y: a * (z @ error(z, soft(a @ z), y)),
            "what the model says on average is not subtracted: a push that all positions share "
            "moves nothing."),
        "plain-mean": (lambda a, z, y: a * ((z - z.mean(0)) @ error(z, soft(a @ z), y)),
            "the plain mean of z is subtracted. Weigh it with alpha."),
        "uniform-p": (lambda a, z, y: law(a, z @ error(z, soft(z.mean(0)), y)),
            "p is the softmax of the plain mean of z. Weigh it with alpha."),
        "mixed-probabilities": (mixed,
            "p is not the mean of what positions say alone, in probabilities. Logits are "
            "averaged, then comes the softmax."),
        "own-p": (own,
            "p is what the model says, one for all positions, not what each says alone."),
        "sigmoid": (lambda a, z, y: law(a, z[:, y]) * (1 - 1 / (1 + np.exp(-(a @ z)[y]))),
            "that is the law with a sigmoid of the right word. All words compete."),
        "right-word-only": (lambda a, z, y: law(a, z[:, y]) * (1 - soft(a @ z)[y]),
            "only the right word's logit is moved. The others move, too."),
        "wrong-words-only": (lambda a, z, y: -law(a, z @ soft(a @ z)),
            "that is what lowers all words. Add e_y."),
    }
    # fmt: on
    compare(f, cases, push, mistakes, tensors=True)


def _wrong_lead(f: Student) -> None:
    def lead(strength: float, length: int) -> float:
        table = strength * np.roll(np.eye(length), 1, axis=1)  # each word speaks for the next one
        off = table[~np.eye(length, dtype=bool)]
        return float(table.diagonal().mean() - off.mean())

    # fmt: off
    mistakes = {
        "one-rival": (lambda b, n: -b,
            "that is the lead over the one word that the table speaks for. Take the mean over "
            "all wrong words."),
        "mean-of-all": (lambda b, n: -b / n,
            "the right word is among those that it is compared with. Leave it out."),
        "two-left-out": (lambda b, n: -b / (n - 2 or 1),
            "only the right word is left out of the mean."),
        "sign": (lambda *g: -lead(*g), "the table speaks against the right word: it is negative."),
        "sign-and-all": (lambda b, n: b / n, "it is negative, and the right word is no rival."),
        "right-dictionary": (lambda b, n: b, "that is the lead in a right dictionary."),
        "nothing": (lambda b, n: 0.0, "the wrong word counts, too, though it is one of many."),
        "sum": (lambda b, n: -b * (n - 1), "that grows with L. Divide by the number of rivals."),
        "both-sides": (lambda b, n: -2 * b / (n - 1), "the right word's entry is 0, not -B."),
        "minus-strength": (lambda b, n: -b - b / (n - 1), "the right word's entry is 0, not -B."),
        "softmax": (lambda b, n: 1 / (n - 1 + np.exp(b)) - 1 / (n - 1),
            "entries are compared, no shares."),
    }
    # fmt: on
    cases = {f"B = {b}, L = {n}": (b, n) for b, n in ((9.5, 16), (2.0, 5), (3.0, 2), (-1.5, 3))}
    compare(f, cases, lead, mistakes)


def _dividing_line(f: Student) -> None:
    def line(a: float, rate: float) -> float:
        return float(phase_portrait.separatrix(a, 12, 12, (rate, 1.0)))

    root = math.sqrt
    # fmt: off
    mistakes = {
        "equal-rates": (lambda a, r: -a, "that is the line at equal rates."),
        "wrong-way": (lambda a, r: -a * root(r),
            "an eager attention makes its own number count more, not less: the line is flatter "
            "where attention learns faster."),
        "no-root": (lambda a, r: -a / r,
            "the rate enters twice. Look at the line along which a'/b' = a/b."),
        "wrong-way-no-root": (lambda a, r: -a * r, "r b/a = a/b: solve for b."),
        "fourth-root": (lambda a, r: -a / r ** 0.25, "b^2 r = a^2: one root, not two."),
        "squared": (lambda a, r: -a / r ** 2, "b^2 r = a^2: a root, no square."),
        "sign": (lambda a, r: a / root(r),
            "along that line both numbers grow. It is the other one."),
        "sign-wrong-way": (lambda a, r: a * root(r),
            "on that line both numbers grow, and the rate belongs to a."),
        "sign-equal": (lambda a, r: a, "that is the way out, at equal rates."),
        "absolute": (lambda a, r: -abs(a) / root(r), "for a below 0 the line is above 0."),
        "slope": (lambda a, r: -1 / root(r), "that is the slope. Asked is b on the line."),
        "axis": (lambda a, r: 0.0, "at b = 0 attention does not stay where it is."),
    }
    # fmt: on
    cases = {
        f"a = {a}, rate = {r:.3g}": (a, r)
        for a, r in ((-0.001, 4.0), (0.002, 1 / 9), (0.001, 1.0), (-0.001, 25.0))
    }
    # A straight line near the saddle only: its bend at this distance is below one percent.
    compare(f, cases, line, mistakes, tolerance=1e-2)


EXERCISES = {
    "5.1": Exercise(
        "Where does it start?",
        choice(
            {
                "a": (
                    "one-is-enough",
                    "Above the line between the branches is not the same as above zero in one of "
                    "the two numbers. Where do (2) and (3) lie?",
                ),
                "b": (
                    "sharp-is-right",
                    "In (2) attention looks at one place, but a is about the right one: there it "
                    "has less attention than elsewhere.",
                ),
                "d": (
                    "attention-decides",
                    "In (1) attention is new, a = 0. That does not mean that nothing is decided: b "
                    "is above 0.",
                ),
            }
        ),
        "Give a and b of each start a sign. (1) above, (2) left, (3) lower right of the saddle.",
    ),
    "5.2": Exercise(
        "What has to be frozen?",
        _frozen_names,
        "What does `readout([s; V h])` depend on? Both recurrent networks stand behind s and h.",
        "frozen_names(names)",
    ),
    "5.3": Exercise(
        "The law for the logit",
        _disagreement,
        "Let position 1 raise the logits of both words, and that of the wrong one more.",
    ),
    "5.4": Exercise(
        "The push of the loss",
        _loss_push,
        "alpha_l (e_y - p) . (z_l - z), where z is the mean of the rows under alpha, and p its "
        "softmax.",
        "loss_push(alpha, z, y)",
    ),
    "5.5": Exercise(
        "How wrong is a wrong dictionary?",
        _wrong_lead,
        "The lead is the right word's entry, less the mean of the L - 1 other entries of its row.",
        "wrong_lead(strength, length)",
    ),
    "9.3": Exercise(
        "The line at another rate",
        _dividing_line,
        "With a' = r k b and b' = k a, find the straight line through the origin along which an "
        "orbit runs into it.",
        "dividing_line(a, rate)",
    ),
}

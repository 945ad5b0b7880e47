"""Checkers of chapter 5: interventions, the push on attention, and the portrait."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from scipy.special import expit, softmax

from lessons_lib import models, probes
from lessons_lib.exercises.sandbox import Student, Wrong
from lessons_lib.tasks import Copying
from lessons_lib.theory import phase_portrait

# isort: off
# fmt: off
from lessons_lib.exercises.judge import (
    Array, Cases, Table, choice, compared, exercise, named, numbers, refuse)


_COPIERS = (
    models.Seq2SeqConfig(10, 10, d_embed=3, d_hidden=5),
    models.Seq2SeqConfig(10, 10, 3, 5, cell="gru", readout="linear", shared_embeddings=True),
)


choice("5.1", "Where does it start?",
    "Give a and b of each start a sign. (1) above, (2) left, (3) lower right of the saddle.",
    a=("one-is-enough", "Above the line between the branches is not the same as above zero in one "
        "of the two numbers. Where do (2) and (3) lie?"),
    b=("sharp-is-right", "In (2) attention looks at one place, but a is about the right one: there "
        "it has less attention than elsewhere."),
    d=("attention-decides", "In (1) attention is new, a = 0. That does not mean that nothing is "
        "decided: b is above 0."))


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


@exercise("5.2", "What has to be frozen?",
    "What does `readout([s; V h])` depend on? Both recurrent networks stand behind s and h.",
    "frozen_names(names)")
def _frozen_names(f: Student) -> None:
    for config in _COPIERS:
        model = models.build(config, seed=5007).eval()
        moves = {name: _moves(model, name) for name, _ in model.named_parameters()}
        found = _names(f(list(moves)))
        unknown, free = sorted(found - set(moves)), [name for name in moves if name not in found]
        useful = [name for name, (probe, attention) in moves.items() if attention and not probe]
        guilty = [name for name in free if moves[name][0]]
        kinds = {name.split(".")[0] for name in guilty}
        first, extra = (next(iter(x), "") for x in (guilty, [n for n in useful if n in found]))
        refuse("",
            (unknown, "unknown-name",
                f"{next(iter(unknown), '')!r} is not one of the names that were given."),
            (not found, "nothing-frozen",
                "Nothing is frozen, so the probe moves with everything."),
            (not free, "nothing-left", "Everything is frozen, so nothing can be learned."),
            (not set(free) & set(useful), "froze-attention",
                f"What only moves attention is frozen, and {first!r}, which moves the probe, "
                "is free. It is the other way round."))
        refuse(f"{first!r} is free, and the probe moves with it: ", *(
            (guilty and kinds <= among, key, why) for among, key, why in (
                ({"value"}, "value-free", "the probe reads values."),
                ({"readout_layers"}, "readout-free", "the probe is the readout's."),
                ({"source_embedding", "target_embedding"}, "embeddings-free", "states read them."),
                ({"encoder"}, "encoder-free", "values are those of the encoder's states."),
                ({"decoder"}, "decoder-free", "the readout gets the decoder's state as well."),
                ({"encoder", "decoder", "source_embedding", "target_embedding"}, "states-free",
                    "the probe reads the states of encoder and decoder."),
                (kinds, "probe-moves", "does a state, a value or the readout need it?"))))
        refuse("", (extra, "too-much",
            f"{extra!r} is frozen, though it never moves the probe."))


def _pushes(alpha: Array, z: Array, y: int) -> tuple[Array, Array]:
    """Derivatives of the logit and of the log-probability of y by attention, by autograd."""
    logits = torch.tensor(np.log(alpha), requires_grad=True)
    said = logits.softmax(-1) @ torch.tensor(z)
    of_logit, of_log_p = (
        torch.autograd.grad(value, logits, retain_graph=True)[0].numpy()
        for value in (said[y], said.log_softmax(-1)[y])
    )
    return of_logit, of_log_p


@exercise("5.3", "The law for the logit",
    "Let position 1 raise the logits of both words, and that of the wrong one more.")
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
    logit, log_p = (float(push[0]) for push in _pushes(alpha, z, 0))
    refuse(f"The logit pushes position 1 by {logit:.3g}, the loss by {log_p:.3g}",
        (fits(z, at=1), "other-position", ": it is position 2 that fits. Exchange them."),
        (fits(z, y=1), "other-word", ": it fits with the second word as the right one."),
        (fits(z.T), "transposed", ": a row of z is a position, a column a word. Exchange them."),
        (fits(z, y=1, at=1), "both-other", ": it fits with the other word at the other position."),
        (abs(logit) <= 1e-9, "no-push", ": give the positions different logits."),
        (logit < 0 < log_p, "opposite", ": the loss raises what the logit lowers."),
        (logit < 0, "logit-not-raised", ". Let it raise the logit of the right word."),
        (abs(log_p) <= 1e-9, "loss-unmoved", ": a push that both words share moves nothing. "
            "Let it raise the wrong word more."),
        (True, "both-raise",
            ": both agree. What if position 1 speaks for the wrong word even more?"))


def _positions() -> Cases:
    rng, cases = np.random.default_rng(5008), {}
    for src, vocab, y in ((5, 7, 3), (4, 3, 0), (6, 4, 3)):
        alpha, z = rng.dirichlet(np.ones(src)), 2 * rng.normal(size=(src, vocab))
        cases[f"{src} positions, {vocab} words, the right one is {y}"] = (alpha, z, y)
    return cases


@exercise("5.4", "The push of the loss",
    "alpha_l (e_y - p) . (z_l - z), where z is the mean of the rows under alpha, and p its "
    "softmax.",
    "loss_push(alpha, z, y)")
@compared(_positions, tensors=True)
def _loss_push(a: Array, z: Array, y: int) -> Table:
    def law(beta: Array) -> Array:
        return np.asarray(a * (beta - a @ beta))

    right, own, mean = _pushes(a, z, y)[1], softmax(z, -1), a @ z
    p, e, of_y = softmax(mean), np.eye(z.shape[1])[y], law(z[:, y])
    return right, {
        "logit-law": (of_y,
            "that is the push of the logit of the right word. The loss looks at all words."),
        "probability": (right * p[y],
            "that is the push of the probability. Divide by it for that of its logarithm."),
        "probability-law": (law(own[:, y]),
            "that is the law for a mean of probabilities. Logits are averaged, then comes the "
            "softmax."),
        "log-probability-law": (law(np.log(own[:, y])),
            "that is the law for a mean of log-probabilities. Logits are averaged."),
        "sign": (-right, "the sign is that of the loss. Asked is log-probability."),
        "no-alpha": (right / a, "the factor alpha is missing."),
        "no-mean": (a * (z @ (e - p)),
            "what the model says on average is not subtracted: a push that all positions share "
            "moves nothing."),
        "plain-mean": (a * ((z - z.mean(0)) @ (e - p)),
            "the plain mean of z is subtracted. Weigh it with alpha."),
        "uniform-p": (law(z @ (e - softmax(z.mean(0)))),
            "p is the softmax of the plain mean of z. Weigh it with alpha."),
        "mixed-probabilities": (law(z @ (e - a @ own)),
            "p is not the mean of what positions say alone, in probabilities. Logits are "
            "averaged, then comes the softmax."),
        "own-p": (a * ((z - mean) * (e - own)).sum(1),
            "p is what the model says, one for all positions, not what each says alone."),
        "sigmoid": (of_y * expit(-mean[y]),
            "that is the law with a sigmoid of the right word. All words compete."),
        "right-word-only": (of_y * (1 - p[y]),
            "only the right word's logit is moved. The others move, too."),
        "wrong-words-only": (-law(z @ p), "that is what lowers all words. Add e_y."),
    }


@exercise("5.5", "How wrong is a wrong dictionary?",
    "The lead is the right word's entry, less the mean of the L - 1 other entries of its row.",
    "wrong_lead(strength, length)")
@compared(named("B = {}, L = {}", (9.5, 16), (2.0, 5), (3.0, 2), (-1.5, 3)))
def _wrong_lead(b: Any, n: int) -> Table:
    table = b * np.roll(np.eye(n), 1, axis=1)  # each word speaks for the next one
    lead = table.diagonal().mean() - table[~np.eye(n, dtype=bool)].mean()
    return lead, {
        "one-rival": (-b,
            "that is the lead over the one word that the table speaks for. Take the mean over "
            "all wrong words."),
        "mean-of-all": (-b / n,
            "the right word is among those that it is compared with. Leave it out."),
        "two-left-out": (-b / (n - 2 or 1), "only the right word is left out of the mean."),
        "sign": (-lead, "the table speaks against the right word: it is negative."),
        "sign-and-all": (b / n, "it is negative, and the right word is no rival."),
        "right-dictionary": (b, "that is the lead in a right dictionary."),
        "nothing": (0, "the wrong word counts, too, though it is one of many."),
        "sum": (-b * (n - 1), "that grows with L. Divide by the number of rivals."),
        "both-sides": (-2 * b / (n - 1), "the right word's entry is 0, not -B."),
        "minus-strength": (-b - b / (n - 1), "the right word's entry is 0, not -B."),
        "softmax": (1 / (n - 1 + np.exp(b)) - 1 / (n - 1), "entries are compared, no shares."),
    }


@exercise("9.3", "The line at another rate",
    "With a' = r k b and b' = k a, find the straight line through the origin along which an "
    "orbit runs into it.",
    "dividing_line(a, rate)")
# A straight line near the saddle only: its bend at this distance is below one percent.
@compared(
    named("a = {}, rate = {:.3g}", (-0.001, 4.0), (0.002, 1 / 9), (0.001, 1.0), (-0.001, 25.0)),
    tolerance=1e-2)
def _dividing_line(a: Any, r: Any) -> Table:
    root = math.sqrt(r)
    return phase_portrait.separatrix(float(a), 12, 12, (float(r), 1.0)), {
        "equal-rates": (-a, "that is the line at equal rates."),
        "wrong-way": (-a * root,
            "an eager attention makes its own number count more, not less: the line is flatter "
            "where attention learns faster."),
        "no-root": (-a / r, "the rate enters twice. Look at the line along which a'/b' = a/b."),
        "wrong-way-no-root": (-a * r, "r b/a = a/b: solve for b."),
        "fourth-root": (-a / r**0.25, "b^2 r = a^2: one root, not two."),
        "squared": (-a / r**2, "b^2 r = a^2: a root, no square."),
        "sign": (a / root, "along that line both numbers grow. It is the other one."),
        "sign-wrong-way": (a * root, "on that line both numbers grow, and the rate belongs to a."),
        "sign-equal": (a, "that is the way out, at equal rates."),
        "absolute": (-abs(a) / root, "for a below 0 the line is above 0."),
        "slope": (-1 / root, "that is the slope. Asked is b on the line."),
        "axis": (0, "at b = 0 attention does not stay where it is."),
    }

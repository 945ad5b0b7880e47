"""Checkers of chapter 5: interventions, the push on attention, and the portrait."""

from __future__ import annotations

import numpy as np
import torch

from lessons_lib import models, probes
from lessons_lib.exercises.judge import Array, Exercise, choice, expect, numbers
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
    probe, attention = (not torch.allclose(x, y) for x, y in zip(*found[:2], strict=True))
    return probe, attention


def _frozen_names(f: Student) -> None:
    for config in _COPIERS:
        model = models.build(config, seed=5007).eval()
        moves = {name: _moves(model, name) for name, _ in model.named_parameters()}
        found = f(list(moves))
        if type(found) not in (list, tuple, set) or any(type(name) is not str for name in found):
            raise Wrong("type", "Expected a list of names.")
        if unknown := sorted(set(found) - set(moves)):
            raise Wrong("unknown-name", f"{unknown[0]!r} is not one of the names that were given.")
        free = [name for name in moves if name not in found]
        useful = [name for name, (probe, attention) in moves.items() if attention and not probe]
        guilty = [name for name in free if moves[name][0]]
        if not free:
            raise Wrong("nothing-left", "Everything is frozen, so nothing can be learned.")
        if not set(free) & set(useful):
            raise Wrong(
                "froze-attention",
                f"What only moves attention is frozen, and {guilty[0]!r}, which moves the probe, "
                "is free. It is the other way round.",
            )
        if guilty and all(name.startswith(("encoder", "decoder", "target")) for name in guilty):
            raise Wrong(
                "states-free",
                f"{guilty[0]!r} is free, and the probe moves with it: the probe reads the states "
                "of encoder and decoder.",
            )
        if guilty:
            raise Wrong("probe-moves", f"{guilty[0]!r} is free, and the probe moves with it.")
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
    if type(answer) not in (tuple, list) or len(answer) != 2:  # type: ignore[arg-type]
        raise Wrong("type", "Expected (alpha, z): two weights, and two rows of two logits.")
    alpha, z = numbers(answer[0], (2,)), numbers(answer[1], (2, 2))  # type: ignore[index]
    if (alpha <= 0).any() or not np.isclose(alpha.sum(), 1):
        raise Wrong("no-weights", "The two weights have to be above 0 and sum to 1.")
    of_logit, of_log_p = _pushes(alpha, z, 0)
    told = f"The logit pushes position 1 by {of_logit[0]:.3g}, the loss by {of_log_p[0]:.3g}"
    if of_logit[0] < -1e-9 and of_log_p[0] > 1e-9:
        raise Wrong("other-position", f"{told}: it is position 2 that fits. Exchange them.")
    if of_logit[0] <= 1e-9:
        raise Wrong("logit-not-raised", f"{told}. Let it raise the logit of the right word.")
    if of_log_p[0] >= -1e-9:
        raise Wrong(
            "both-raise",
            f"{told}: both agree. What if position 1 speaks for the wrong word even more?",
        )


def _loss_push(f: Student) -> None:
    rng = np.random.default_rng(5008)
    for src, vocab, y in ((5, 7, 3), (4, 3, 0)):
        alpha, z = rng.dirichlet(np.ones(src)), 2 * rng.normal(size=(src, vocab))
        of_logit, truth = _pushes(alpha, z, y)
        mean = alpha @ z
        right = np.eye(vocab)[y]
        error = right - np.exp(mean) / np.exp(mean).sum()
        alone = np.exp(z) / np.exp(z).sum(1, keepdims=True)
        mistakes = {
            "logit-law": (
                of_logit,
                "that is the push of the logit of the right word. The loss looks at all words.",
            ),
            "sign": (-truth, "the sign is that of the loss. Asked for is the log-probability."),
            "no-alpha": (truth / alpha, "the factor alpha is missing."),
            "no-mean": (
                alpha * (z @ error),
                "what the model says on average is not subtracted: a push that all positions share "
                "moves nothing.",
            ),
            "mixed-probabilities": (
                alpha * ((z - mean) @ (right - alpha @ alone)),
                "p is not the mean of what positions say alone, in probabilities. Logits are "
                "averaged, then comes the softmax.",
            ),
        }
        found = numbers(f(torch.tensor(alpha), torch.tensor(z), y), (src,))
        expect(found, truth, f"{src} positions, {vocab} words", mistakes)


def _wrong_lead(f: Student) -> None:
    for strength, length in ((9.5, 16), (2.0, 5)):
        table = strength * np.roll(np.eye(length), 1, axis=1)  # each word speaks for the next one
        off = table[~np.eye(length, dtype=bool)]
        truth = float(table.diagonal().mean() - off.mean())
        mistakes = {
            "one-rival": (
                -strength,
                "that is the lead over the one word that the table speaks for. Take the mean over "
                "all wrong words.",
            ),
            "mean-of-all": (
                -strength / length,
                "the right word is among those that it is compared with. Leave it out.",
            ),
            "sign": (-truth, "the table speaks against the right word: its lead is negative."),
            "nothing": (0.0, "the wrong word counts, too, though it is one of many."),
        }
        expect(numbers(f(strength, length)), truth, f"B = {strength}, L = {length}", mistakes)


def _dividing_line(f: Student) -> None:
    for a, rate in ((-0.01, 4.0), (0.02, 1 / 9)):
        truth = float(phase_portrait.separatrix(a, 12, 12, (rate, 1.0)))
        mistakes = {
            "equal-rates": (-1.0, "that is the line at equal rates."),
            "wrong-way": (
                -np.sqrt(rate),
                "an eager attention makes its own number count more, not less: the line is flatter "
                "where attention learns faster.",
            ),
            "no-root": (
                -1 / rate,
                "the rate enters twice. Look at the line along which a'/b' = a/b.",
            ),
            "sign": (1 / np.sqrt(rate), "along that line both numbers grow. It is the other one."),
        }
        found = numbers(f(a, rate)) / a
        # A straight line near the saddle only: its bend at this distance is below one percent.
        expect(found, truth / a, f"a = {a}, r = {rate:.3g}", mistakes, tolerance=2e-2)


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
    "5.6": Exercise(
        "The line at another rate",
        _dividing_line,
        "With a' = r k b and b' = k a, find the straight line through the origin along which an "
        "orbit runs into it.",
        "dividing_line(a, rate)",
    ),
}

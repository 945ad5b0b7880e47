"""Checkers of chapter 5: interventions, the push on attention, and the portrait."""

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from scipy.special import expit, softmax

from lessons_lib import models, probes
from lessons_lib.exercises.contents import Array, Cases, Table, numbers
from lessons_lib.exercises.judge import compared, exercise, refuse
from lessons_lib.tasks import Copying

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


def _names(answer: Any) -> set[str]:
    """Names from a collection of any kind."""
    several = isinstance(answer, Iterable) and not isinstance(answer, str)
    found = list(itertools.islice(answer, 1000)) if several else [answer]
    unfinished = several and any(entry is Ellipsis for entry in found)
    text = several and all(isinstance(name, str) for name in found)
    refuse("5.2", "", {"unfinished": unfinished, "type": not text})
    return {str.__str__(name) for name in found}


@exercise("5.2")
def _frozen_names(f: Any) -> None:
    for config in _COPIERS:
        model = models.build(config, seed=5007).eval()
        moves = {name: _moves(model, name) for name, _ in model.named_parameters()}
        found = _names(f(list(moves)))
        unknown, free = sorted(found - set(moves)), [name for name in moves if name not in found]
        useful = [name for name, (probe, attention) in moves.items() if attention and not probe]
        guilty = [name for name in free if moves[name][0]]
        kinds = {name.split(".")[0] for name in guilty}
        first, extra = (next(iter(x), "") for x in (guilty, [n for n in useful if n in found]))
        named = {"unknown": (*unknown, "")[0], "first": first, "extra": extra}
        mistakes = {
            "unknown-name": unknown,
            "nothing-frozen": not found,
            "nothing-left": not free,
            "froze-attention": not set(free) & set(useful),
        }
        refuse("5.2", "", mistakes, **named)
        embeddings = {"source_embedding", "target_embedding"}
        needed = {
            "value-free": {"value"},
            "readout-free": {"readout_layers"},
            "embeddings-free": embeddings,
            "encoder-free": {"encoder"},
            "decoder-free": {"decoder"},
            "states-free": {"encoder", "decoder", *embeddings},
            "probe-moves": kinds,
        }
        mistakes = {key: guilty and kinds <= among for key, among in needed.items()}
        refuse("5.2", f"{first!r} is free, and the probe moves with it: ", mistakes)
        refuse("5.2", "", {"too-much": extra}, **named)


def _pushes(alpha: Array, z: Array, y: int) -> tuple[Array, Array]:
    """Derivatives of the logit and of the log-probability of y by attention, by autograd."""
    logits = torch.tensor(np.log(alpha), requires_grad=True)
    said = logits.softmax(-1) @ torch.tensor(z)
    of_logit, of_log_p = (
        torch.autograd.grad(value, logits, retain_graph=True)[0].numpy()
        for value in (said[y], said.log_softmax(-1)[y])
    )
    return of_logit, of_log_p


@exercise("5.3")
def _disagreement(answer: Any) -> None:
    answer = answer.tolist() if isinstance(answer, np.ndarray | torch.Tensor) else answer
    refuse("5.3", "", {"type": not isinstance(answer, tuple | list) or len(answer) != 2})
    alpha, z = numbers(answer[0], (2,)), numbers(answer[1], (2, 2))
    refuse("5.3", "", {"no-weights": (alpha <= 0).any() or abs(alpha.sum() - 1) > 1e-6})

    def fits(z: Array, y: int = 0, at: int = 0) -> bool:
        of_logit, of_log_p = _pushes(alpha, z, y)
        return bool(of_logit[at] > 1e-9 and of_log_p[at] < -1e-9)

    if fits(z):
        return
    logit, log_p = (float(push[0]) for push in _pushes(alpha, z, 0))
    mistakes = {
        "other-position": fits(z, at=1),
        "other-word": fits(z, y=1),
        "transposed": fits(z.T),
        "both-other": fits(z, y=1, at=1),
        "no-push": abs(logit) <= 1e-9,
        "opposite": logit < 0 < log_p,
        "logit-not-raised": logit < 0,
        "loss-unmoved": abs(log_p) <= 1e-9,
        "both-raise": True,
    }
    refuse("5.3", f"The logit pushes position 1 by {logit:.3g}, the loss by {log_p:.3g}", mistakes)


def _positions() -> Cases:
    rng, cases = np.random.default_rng(5008), {}
    for src, vocab, y in ((5, 7, 3), (4, 3, 0), (6, 4, 3)):
        alpha, z = rng.dirichlet(np.ones(src)), 2 * rng.normal(size=(src, vocab))
        cases[f"{src} positions, {vocab} words, the right one is {y}"] = (alpha, z, y)
    return cases


@compared("5.4", _positions, tensors=True)
def _loss_push(a: Array, z: Array, y: int) -> Table:
    def law(beta: Array) -> Array:
        return np.asarray(a * (beta - a @ beta))

    right, own, mean = _pushes(a, z, y)[1], softmax(z, -1), a @ z
    p, e, of_y = softmax(mean), np.eye(z.shape[1])[y], law(z[:, y])
    return right, {
        "logit-law": of_y,
        "probability": right * p[y],
        "probability-law": law(own[:, y]),
        "log-probability-law": law(np.log(own[:, y])),
        "no-alpha": right / a,
        "no-mean": a * (z @ (e - p)),
        "plain-mean": a * ((z - z.mean(0)) @ (e - p)),
        "uniform-p": law(z @ (e - softmax(z.mean(0)))),
        "mixed-probabilities": law(z @ (e - a @ own)),
        "own-p": a * ((z - mean) * (e - own)).sum(1),
        "sigmoid": of_y * expit(-mean[y]),
        "right-word-only": of_y * (1 - p[y]),
        "wrong-words-only": -law(z @ p),
    }


@compared("5.5")
def _wrong_lead(b: Any, n: int) -> Table:
    table = b * np.roll(np.eye(n), 1, axis=1)  # each word speaks for the next one
    lead = table.diagonal().mean() - table[~np.eye(n, dtype=bool)].mean()
    return lead, {
        "one-rival": -b,
        "mean-of-all": -b / n,
        "two-left-out": -b / (n - 2 or 1),
        "sign-and-all": b / n,
        "right-dictionary": b,
        "sum": -b * (n - 1),
        "both-sides": -2 * b / (n - 1),
        "minus-strength": -b - b / (n - 1),
        "softmax": 1 / (n - 1 + np.exp(b)) - 1 / (n - 1),
    }

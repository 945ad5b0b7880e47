"""Checkers of chapter 5: interventions, the push on attention, and the portrait."""

import itertools
from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.special import softmax

from lessons_lib import models
from lessons_lib.exercises.contents import Array, Cases, Table, numbers
from lessons_lib.exercises.judge import compared, exercise, refuse
from lessons_lib.tasks import Copying
from lessons_lib.theory import two_words

_COPIERS = (
    models.Seq2SeqConfig(10, 10, d_embed=3, d_hidden=5),
    models.Seq2SeqConfig(10, 10, 3, 5, cell="gru", readout="linear", shared_embeddings=True),
)


def _needed(found: torch.Tensor, model: models.Seq2Seq) -> set[str]:
    """Names of the parameters on which this depends."""
    names, parameters = zip(*model.named_parameters(), strict=True)
    gradients = torch.autograd.grad(found.square().sum(), parameters, allow_unused=True)
    return {name for name, slope in zip(names, gradients, strict=True) if slope is not None}


def _names(answer: Any) -> set[str]:
    """Names from a collection of any kind."""
    several = isinstance(answer, Iterable) and not isinstance(answer, str)
    found = list(itertools.islice(answer, 1000)) if several else [answer]
    text = several and all(isinstance(name, str) for name in found)
    refuse("5.2", "", {"unfinished": any(name is ... for name in found), "type": not text})
    return {str.__str__(name) for name in found}


@exercise("5.2")
def _frozen_names(f: Any) -> None:
    batch = Copying(6, 4, end_symbol=False).sample(3, seed=5006)
    states = {"encoder", "decoder", "source_embedding", "target_embedding"}
    for config in _COPIERS:
        model = models.build(config, seed=5007)
        probe = _needed(model(batch, attention=torch.eye(4)[:1]).logits, model)
        useful = _needed(model(batch).attention, model) - probe
        names = [name for name, _ in model.named_parameters()]
        found = _names(f(names))
        sets = {"unknown": found - set(names), "first": probe - found, "extra": found & useful}
        free = {name.split(".")[0] for name in sets["first"]}
        mistakes = {
            "unknown-name": sets["unknown"],
            "nothing-frozen": not found,
            "nothing-left": found == set(names),
            "froze-attention": useful <= found,
            "value-free": free == {"value"},
            "states-free": free and free <= states,
            "probe-moves": free,
            "too-much": sets["extra"],
        }
        named = {key: min(those, default="") for key, those in sets.items()}
        refuse("5.2", "", mistakes, **named)


def _pushes(alpha: Array, z: Array, y: int = 0) -> tuple[Array, Array]:
    """Derivatives of the logit and of the log-probability of y by the logits of attention."""
    of_logit = two_words.gradient_law_logit(alpha, z[:, y])
    return of_logit, two_words.gradient_law_log_probability(alpha, z, y)


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
    logit, log_p = (float(push[0]) for push in _pushes(alpha, z))
    mistakes = {
        "other-position": fits(z, at=1),
        "other-word": fits(z, y=1),
        "transposed": fits(z.T),
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
    law = partial(two_words.gradient_law_logit, a)
    of_y, right = _pushes(a, z, y)
    own, mean, e = softmax(z, -1), a @ z, np.eye(z.shape[1])[y]
    p = softmax(mean)
    return right, {
        "logit-law": of_y,
        "probability": right * p[y],
        "probability-law": law(own[:, y]),
        "no-alpha": right / a,
        "no-mean": a * (z @ (e - p)),
        "plain-mean": a * ((z - z.mean(0)) @ (e - p)),
        "uniform-p": law(z @ (e - softmax(z.mean(0)))),
        "mixed-probabilities": law(z @ (e - a @ own)),
        "right-word-only": of_y * (1 - p[y]),
    }


@compared("5.5")
def _wrong_lead(b: Any, n: int) -> Table:
    lead = -b / (n - 1)  # the right word's entry is 0, and one of n - 1 others is b
    return lead, {
        "one-rival": -b,
        "mean-of-all": -b / n,
        "right-dictionary": b,
        "sum": -b * (n - 1),
        "both-sides": 2 * lead,
        "minus-strength": lead - b,
    }

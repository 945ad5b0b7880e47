"""Checkers of chapter 1: attention and the lexical probe."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from scipy.integrate import quad
from scipy.special import expit, softmax

from lessons_lib import models
from lessons_lib.exercises.sandbox import Student, Wrong
from lessons_lib.tasks import FIRST_WORD, PAD, Batch, Copying, generator

# isort: off
# fmt: off
from lessons_lib.exercises.judge import (
    Array, Cases, Table, choice, compare, compared, exercise, named, numbers, refuse, shares)


choice("1.1", "Borrowed eyes",
    "The cell that cut off the context says what each model needs it for.",
    a=("ordinary-robust", "These are the ordinary model with foreign eyes. Its readout has only "
        "ever met contexts that its own attention made."),
    b=("uniform-is-harmless", "The ordinary model was never trained with a mean over all words. "
        "What was spread over ten words is a tenth of what it is used to."),
    c=("needs-the-word", "The uniform model reads the answer off the decoder's state. Does it need "
        "the animal's position for that?"))


def _attention(q: Array, k: Array, m: Any) -> Table:
    scores, there = np.einsum("btd,bld->btl", q, k), m[:, None]
    grow, width = np.exp(scores), q.shape[-1]
    cosine = scores / np.linalg.norm(q, axis=-1)[:, :, None] / np.linalg.norm(k, axis=-1)[:, None]
    right, times_mask = shares(grow * there), softmax(scores * there, -1)
    return right, {
        "wrong-axis": (shares(grow * there, 1),
            "the weights sum to 1 over output steps. Is the softmax over the source axis?"),
        "over-batch": (shares(grow * there, 0),
            "the softmax is over the sentences. Take it over the source axis."),
        "scaled": (shares(grow ** (1 / math.sqrt(width)) * there),
            "the scores are divided by the square root of the width. The paper's are not."),
        "divided": (shares(grow ** (1 / width) * there),
            "the scores are divided by the width: is a mean taken for the sum?"),
        "no-mask": (shares(grow), "padded positions get attention. Use the mask."),
        "masked-late": (shares(grow) * there,
            "the rows do not sum to 1: the padding was taken out after the softmax. Take it out "
            "before, with scores of minus infinity."),
        "scores-times-mask": (times_mask,
            "the scores are multiplied by the mask. A score of 0 still has the weight e^0 = 1: "
            "padded scores have to be minus infinity."),
        "masked-twice": (times_mask * there,
            "padded scores of 0 take their share of the softmax before they are set to 0."),
        "inverted": (shares(grow * ~there),
            "only padded positions get attention. The mask is true at words: fill where it is "
            "not."),
        "scores": (scores, "these are scores. The softmax is missing."),
        "no-exponential": (shares(scores * there), "scores are divided by their sum, without exp."),
        "not-normalised": (grow * there, "divide by the sum of the row."),
        "logarithm": (np.log(right + 1e-300), "no log_softmax."),
        "cosine": (shares(np.exp(cosine) * there), "queries and keys are not normalised."),
        "sigmoid": (expit(scores) * there, "softmax, not sigmoid."),
    }


@exercise("1.2", "Attention in three lines",
    "Scores first, `masked_fill` with minus infinity second, softmax over the last axis third.",
    "attend(queries, keys, mask)")
def _attend(f: Student) -> None:
    rng = np.random.default_rng(1009)
    queries, keys = rng.normal(size=(2, 3, 7)), rng.normal(size=(2, 5, 7))
    cases = {
        name: (queries, keys, np.arange(5) < np.array(lengths)[:, None])
        for name, lengths in (("padded inputs", (4, 2)), ("inputs of one length", (5, 5)))
    }
    compare(f, cases, _attention, tensors=True)
    given = [torch.tensor(part) for part in cases["padded inputs"]]
    padded = ~np.broadcast_to(given[2][:, None], (2, 3, 5))
    if numbers(f(*given), padded.shape)[padded].any():
        raise Wrong("nearly-zero", "Padded positions get a little attention. Exactly 0 is asked.")


@exercise("1.3", "The road in closed form",
    "Divide the two equations of the flow, separate the variables, and integrate from 0.",
    "road(a, length)")
@compared(named("a = {}, L = {}", (0.3, 10), (2.0, 3), (5.0, 10), (1.0, 2), (0.0, 6)))
def _road(a: Any, n: int) -> Table:
    # From the slope of lambda^2/2 along the road, summed up.
    lam, root = np.sqrt(2 * quad(lambda x: math.exp(x) / (n - 1) + 1, 0, a)[0]), np.sqrt
    return lam, {
        "no-root": (lam**2, "that is the square of lambda."),
        "half": (lam / root(2), "a factor 2 is lost under the root."),
        "doubled": (lam * root(2), "a factor 2 is once too often under the root."),
        "start-only": (root(2 * n * a / (n - 1)),
            "that holds at the beginning only, where a is small. Keep e^a."),
        "no-start": (root(2 * (np.exp(a) / (n - 1) + a)),
            "the integral begins at a = 0, where e^a is 1 and not 0."),
        "length": (root(2 * (np.expm1(a) / n + a)), "L - 1 words compete, not L."),
        "not-divided": (root(2 * (np.expm1(a) + (n - 1) * a)),
            "the right side of the equation still has its factor L - 1."),
        "no-exponential": (root(2 * a), "the term with e^a is missing."),
        "no-linear-term": (root(2 * np.expm1(a) / (n - 1)), "the term (L - 1) a is missing."),
    }


def _probed() -> Cases:
    """A small untrained model, with a batch of T = L, and with padding and T other than L."""
    config = models.Seq2SeqConfig(17, 17, d_embed=5, d_hidden=7, readout="linear")
    model = models.build(config, seed=1006).eval()
    with torch.no_grad():  # an untrained model says nearly the same everywhere
        model.value.weight.mul_(8)
        next(model.readout_layers.parameters()).mul_(3)
    square = Copying(13, 6, end_symbol=False).sample(2, seed=1007)
    words = torch.randint(FIRST_WORD, 17, (3, 8), generator=generator(1008))
    source, target = words[:, :5].clone(), words[:, 5:].clone()
    source[1, 3:], target[2, 2:] = PAD, PAD
    padded = Batch(source, target)
    return {"inputs without padding": (model, square), "padded inputs": (model, padded)}


def _betas(m: models.Seq2Seq, b: Batch) -> Table:
    def said(z: Array, word: Any) -> Array:
        """The entries of z, along its last axis, of a word for each output step or position."""
        return np.take_along_axis(z, np.broadcast_to(word, z.shape[:-1])[..., None], -1)[..., 0]

    with torch.no_grad():  # attention replaced, once for each position: (batch, tgt, src, vocab)
        eye, out = torch.eye(b.source.shape[1]), m(b)
        z: Any = torch.stack([m(b, attention=one[None, None, None]).logits for one in eye], 2)
    z, words = np.asarray(z, dtype=float), b.target.numpy()[:, :, None]
    written = b.target_mask.numpy()[..., None]
    p, logit, there = softmax(z, -1), said(z, words), b.source_mask.numpy()[:, None] * written
    bare, attention = said(p, words), out.attention[:, 0].numpy() * there
    right = bare * there
    mistakes = {
        "logit": (logit * there, "these are logits, not probabilities."),
        "log-probability": (np.log(bare) * there, "take exp of it: it is a log."),
        "padding": (bare * written, "padded positions are to have 0."),
        "wrong-axis": (lambda: right.diagonal(axis1=1, axis2=2)[..., None] + 0 * right,
            "the value does not change with the position but with the output step. Along which "
            "axis are the values expanded?"),
        "sigmoid": (expit(logit) * there,
            "that is the sigmoid of the logit. Other words compete: take the softmax over words."),
        "over-positions": (softmax(np.where(there, logit, -1e9), -1) * there,
            "the softmax is over positions. Take it over words."),
        "input-word": (said(p, b.source.numpy()[:, None]) * there,
            "that is the probability of the input word at the position, not of the output word."),
        "previous-word": (said(p, b.decoder_input.numpy()[:, :, None]) * there,
            "that is the word before. Use target."),
        "any-word": (p.max(-1) * there,
            "that is the largest probability, of whatever word. Asked is that of the target."),
        "attention": (attention, "that is attention: where it looks, not what it would say."),
        "own-context": (said(softmax(out.logits.double().numpy(), -1), words[..., 0])[..., None]
            * there, "the context is the model's own, not one position alone."),
        "weighted": (attention * right, "attention is no part of the probe."),
    }
    return right, mistakes


@exercise("1.4", "All positions at once",
    "`model.readout(s, c)` takes any leading axes; bring s and the values to "
    "(batch, tgt, src, d_hidden), then softmax, then gather.",
    "probe_everywhere(model, batch)")
def _probe_everywhere(f: Student) -> None:
    def read(model: models.Seq2Seq, batch: Batch) -> Array:
        found = numbers(f(model, batch), (*batch.target.shape, batch.source.shape[1]))
        return np.asarray(found * batch.target_mask.numpy()[..., None])  # no word, nothing to judge

    compare(read, _probed(), _betas)


@exercise("1.5", "Close the detour",
    "Override `encode` in a subclass of `models.Seq2Seq` and return zeros for the start.")
def _mean_beta(answer: object) -> None:
    found = float(numbers(answer))
    refuse("",
        (0.88 <= found <= 1, "detour", "So high it is if the decoder's start still carries the "
            "answer to every position. Does `encode` of your subclass return zeros, and is it "
            "your model that is probed?"),
        (0.08 <= found <= 0.12, "chance", "One tenth is chance for ten animals, and uniform "
            "attention. Is the model trained, and is it beta that you average?"),
        (50 <= found <= 60, "percent", "Hand in the share, not percent."),
        (-9 <= found <= -1e-9, "logarithm",
            "Beta is a probability. Is this its logarithm, or a logit?"),
        (found >= 1 + 1e-9, "no-probability", "A mean of probabilities is at most 1."),
        (0 <= found <= 1e-2, "loss", "So small is the loss, or beta of other words than the "
            "answer."),
        (0.65 <= found <= 0.88, "half-closed", "The detour is not closed: is the cell state of the "
            "LSTM zero, too?"),
        # 24 runs of 120 to 300 steps gave 0.520 to 0.570.
        (not 0.505 <= found <= 0.585, "value",
            "Our four runs gave 0.52 to 0.55, the mean of beta over positions."))

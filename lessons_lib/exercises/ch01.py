"""Checkers of chapter 1: attention and the lexical probe."""

import math
from typing import Any

import numpy as np
import torch
from scipy.integrate import quad
from scipy.special import expit, softmax

from lessons_lib import models
from lessons_lib.exercises.contents import Array, Cases, Table, numbers, shares
from lessons_lib.exercises.judge import compare, compared, exercise, refuse
from lessons_lib.tasks import FIRST_WORD, PAD, Batch, Copying, generator


def _attention(q: Array, k: Array, m: Any) -> Table:
    scores, there = np.einsum("btd,bld->btl", q, k), m[:, None]
    grow, width = np.exp(scores), q.shape[-1]
    cosine = scores / np.linalg.norm(q, axis=-1)[:, :, None] / np.linalg.norm(k, axis=-1)[:, None]
    right, times_mask = shares(grow * there), softmax(scores * there, -1)
    return right, {
        "wrong-axis": shares(grow * there, 1),
        "over-batch": shares(grow * there, 0),
        "scaled": shares(grow ** (1 / math.sqrt(width)) * there),
        "divided": shares(grow ** (1 / width) * there),
        "no-mask": shares(grow),
        "masked-late": shares(grow) * there,
        "scores-times-mask": times_mask,
        "masked-twice": times_mask * there,
        "inverted": shares(grow * ~there),
        "scores": scores,
        "no-exponential": shares(scores * there),
        "not-normalised": grow * there,
        "logarithm": np.log(right + 1e-300),
        "cosine": shares(np.exp(cosine) * there),
        "sigmoid": expit(scores) * there,
    }


@exercise("1.2")
def _attend(f: Any) -> None:
    rng = np.random.default_rng(1009)
    queries, keys = rng.normal(size=(2, 3, 7)), rng.normal(size=(2, 5, 7))
    cases = {
        name: (queries, keys, np.arange(5) < np.array(lengths)[:, None])
        for name, lengths in (("padded inputs", (4, 2)), ("inputs of one length", (5, 5)))
    }
    compare("1.2", f, _attention, cases, tensors=True)
    given = [torch.tensor(part) for part in cases["padded inputs"]]
    padded = ~np.broadcast_to(given[2][:, None], (2, 3, 5))
    refuse("1.2", "", {"nearly-zero": numbers(f(*given), padded.shape)[padded].any()})


@compared("1.3")
def _road(a: Any, n: int) -> Table:
    # From the slope of lambda^2/2 along the road, summed up.
    lam, root = np.sqrt(2 * quad(lambda x: math.exp(x) / (n - 1) + 1, 0, a)[0]), np.sqrt
    return lam, {
        "half": lam / root(2),
        "doubled": lam * root(2),
        "start-only": root(2 * n * a / (n - 1)),
        "no-start": root(2 * (np.exp(a) / (n - 1) + a)),
        "length": root(2 * (np.expm1(a) / n + a)),
        "not-divided": root(2 * (np.expm1(a) + (n - 1) * a)),
        "no-exponential": root(2 * a),
        "no-linear-term": root(2 * np.expm1(a) / (n - 1)),
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
    return right, {
        "logit": logit * there,
        "log-probability": np.log(bare) * there,
        "padding": bare * written,
        "wrong-axis": lambda: right.diagonal(axis1=1, axis2=2)[..., None] + 0 * right,
        "sigmoid": expit(logit) * there,
        "over-positions": softmax(np.where(there, logit, -1e9), -1) * there,
        "input-word": said(p, b.source.numpy()[:, None]) * there,
        "previous-word": said(p, b.decoder_input.numpy()[:, :, None]) * there,
        "any-word": p.max(-1) * there,
        "attention": attention,
        "own-context": said(softmax(out.logits.double().numpy(), -1), words[..., 0])[..., None]
        * there,
        "weighted": attention * right,
    }


@exercise("1.4")
def _probe_everywhere(f: Any) -> None:
    def read(model: models.Seq2Seq, batch: Batch) -> Array:
        found = numbers(f(model, batch), (*batch.target.shape, batch.source.shape[1]))
        return np.asarray(found * batch.target_mask.numpy()[..., None])  # no word, nothing to judge

    compare("1.4", read, _betas, _probed())


@exercise("1.5")
def _mean_beta(answer: object) -> None:
    found = float(numbers(answer))
    mistakes = {
        "detour": 0.88 <= found <= 1,
        "chance": 0.08 <= found <= 0.12,
        "percent": 50 <= found <= 60,
        "logarithm": -9 <= found <= -1e-9,
        "no-probability": found >= 1 + 1e-9,
        "loss": 0 <= found <= 1e-2,
        "half-closed": 0.65 <= found <= 0.88,
        "value": not 0.505 <= found <= 0.585,  # 24 runs of 120 to 300 steps gave 0.520 to 0.570
    }
    refuse("1.5", "", mistakes)

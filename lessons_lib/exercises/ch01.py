"""Checkers of chapter 1: attention and the lexical probe."""

from typing import Any

import numpy as np
import torch
from scipy.special import expit, softmax

from lessons_lib import models
from lessons_lib.exercises.contents import Array, Cases, Table, numbers, shares
from lessons_lib.exercises.judge import compare, compared, exercise, refuse
from lessons_lib.tasks import FIRST_WORD, PAD, Batch, Copying, generator


def _attention(q: Array, k: Array, m: Any) -> Table:
    scores, there = np.einsum("btd,bld->btl", q, k), m[:, None]
    grow = np.exp(scores)
    return shares(grow * there), {
        "wrong-axis": shares(grow * there, 1),
        "scaled": shares(grow ** (q.shape[-1] ** -0.5) * there),
        "no-mask": shares(grow),
        "masked-late": shares(grow) * there,
        "scores-times-mask": softmax(scores * there, -1),
        "inverted": shares(grow * ~there),
        "scores": scores,
        "not-normalised": grow * there,
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
    padded = cases["padded inputs"]
    found = numbers(f(*map(torch.tensor, padded)), (2, 3, 5))
    refuse("1.2", "", {"nearly-zero": (found * ~padded[2][:, None]).any()})


@compared("1.3")
def _road(a: Any, n: int) -> Table:
    root = np.sqrt
    lam = root(2 * (np.expm1(a) / (n - 1) + a))
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
    words[1, 3:5] = words[2, 7:] = PAD
    padded = Batch(words[:, :5], words[:, 5:])
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
    bare, in_context = said(p, words), softmax(out.logits.double().numpy(), -1)[:, :, None]
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
        "attention": out.attention[:, 0].numpy() * there,
        "own-context": said(in_context, words) * there,
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

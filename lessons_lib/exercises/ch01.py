"""Checkers of chapter 1: attention and the lexical probe."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.integrate import trapezoid

from lessons_lib import models
from lessons_lib.exercises.judge import Array, Exercise, choice, expect, numbers
from lessons_lib.exercises.sandbox import Student, Wrong
from lessons_lib.tasks import FIRST_WORD, PAD, Batch, Copying, generator


def _road(f: Student) -> None:
    for a, length in ((0.3, 10), (2.0, 3), (5.0, 10)):
        # Slope of lambda^2/2 along the road, summed up in small steps.
        grid = np.linspace(0, a, 20_001)
        half_square = trapezoid(np.exp(grid) / (length - 1) + 1, grid)
        truth = math.sqrt(2 * half_square)
        mistakes = {
            "no-root": (truth**2, "that is the square of lambda."),
            "half": (math.sqrt(half_square), "a factor 2 is lost under the root."),
            "start-only": (
                math.sqrt(2 * length * a / (length - 1)),
                "that holds at the beginning only, where a is small. Keep e^a.",
            ),
            "no-start": (
                math.sqrt(2 * (math.exp(a) / (length - 1) + a)),
                "the integral begins at a = 0, where e^a is 1 and not 0.",
            ),
        }
        expect(numbers(f(a, length)), truth, f"a = {a}, L = {length}", mistakes, tolerance=1e-4)


def _probed() -> tuple[models.Seq2Seq, list[tuple[str, Batch]]]:
    """A small untrained model, and batches with T = L and with padding and T other than L."""
    config = models.Seq2SeqConfig(17, 17, d_embed=5, d_hidden=7, readout="linear")
    model = models.build(config, seed=1006).eval()
    with torch.no_grad():  # an untrained model says nearly the same everywhere
        model.value.weight.mul_(8)
        next(model.readout_layers.parameters()).mul_(3)
    square = Copying(13, 6, end_symbol=False).sample(2, seed=1007)
    words = torch.randint(FIRST_WORD, 17, (3, 8), generator=generator(1008))
    source, target = words[:, :5].clone(), words[:, 5:].clone()
    source[1, 3:], target[2, 2:] = PAD, PAD
    return model, [("inputs without padding", square), ("padded inputs", Batch(source, target))]


def _alone(model: models.Seq2Seq, batch: Batch) -> Array:
    """Logits with attention replaced, once for each position, ``(batch, tgt, src, vocab)``."""
    eye = torch.eye(batch.source.shape[1])
    with torch.no_grad():
        found = [model(batch, attention=one[None, None, None]).logits for one in eye]
    return torch.stack(found, dim=2).double().numpy()


def _probe_everywhere(f: Student) -> None:
    model, cases = _probed()
    for case, batch in cases:
        z = _alone(model, batch)
        log_p = z - np.log(np.exp(z).sum(-1, keepdims=True))
        word = batch.target.numpy()[:, :, None, None]
        logit, log_beta = (np.take_along_axis(x, word, -1)[..., 0] for x in (z, log_p))
        there, written = batch.source_mask.numpy()[:, None], batch.target_mask.numpy()[..., None]
        found = numbers(f(model, batch), logit.shape) * written  # no word, no probe to judge
        truth = np.exp(log_beta) * there * written
        mistakes = {
            "logit": (logit * there * written, "these are logits, asked for are probabilities."),
            "log-probability": (log_beta * there * written, "take exp of the log-probability."),
            "padding": (np.exp(log_beta) * written, "padded positions are to have 0."),
            "wrong-axis": (
                truth.diagonal(axis1=1, axis2=2)[..., None] + 0 * truth
                if truth.shape[1] == truth.shape[2]
                else truth + 1,
                "the value does not change with the position but with the output step. Along "
                "which axis are the values expanded?",
            ),
        }
        expect(found, truth, case, mistakes)


def _mean_beta(answer: object) -> None:
    found = float(numbers(answer))
    if 0.88 <= found <= 1:
        raise Wrong(
            "detour",
            "So high it is if the decoder's start still carries the answer to every position. Does "
            "`encode` of your subclass return zeros, and is it your model that is probed?",
        )
    if 0.08 <= found <= 0.12:
        raise Wrong(
            "chance",
            "One tenth is chance for ten animals, and uniform attention. Is the model trained, and "
            "is it beta that you average?",
        )
    if not 0.48 <= found <= 0.60:
        raise Wrong("value", "Our four runs gave 0.52 to 0.55, the mean of beta over positions.")


def _attend(f: Student) -> None:
    rng = np.random.default_rng(1009)
    queries, keys = rng.normal(size=(2, 3, 7)), rng.normal(size=(2, 5, 7))
    for case, lengths in (("inputs of one length", (5, 5)), ("padded inputs", (5, 2))):
        mask = np.arange(5) < np.array(lengths)[:, None]
        given = torch.tensor(queries), torch.tensor(keys), torch.tensor(mask)
        found = numbers(f(*given), (2, 3, 5))
        grow = np.array(
            [
                [[math.exp(k @ q) for k in ks] for q in qs]
                for qs, ks in zip(queries, keys, strict=True)
            ]
        )
        scaled, inside = grow ** (1 / math.sqrt(7)), grow * mask[:, None]
        everything = grow / grow.sum(2, keepdims=True)
        mistakes = {
            "wrong-axis": (
                grow / grow.sum(1, keepdims=True),
                "the weights sum to 1 over output steps. Is the softmax over the source axis?",
            ),
            "scaled": (
                scaled * mask[:, None] / (scaled * mask[:, None]).sum(2, keepdims=True),
                "the scores are divided by the square root of the width. The paper's are not.",
            ),
            "no-mask": (everything, "padded positions get attention. Use the mask."),
            "masked-late": (
                everything * mask[:, None],
                "the rows do not sum to 1: the padding was taken out after the softmax. Take it "
                "out before, with scores of minus infinity.",
            ),
        }
        expect(found, inside / inside.sum(2, keepdims=True), case, mistakes)


EXERCISES = {
    "1.1": Exercise(
        "Borrowed eyes",
        choice(
            {
                "a": (
                    "ordinary-robust",
                    "These are the ordinary model with foreign eyes. Its readout has only ever met "
                    "contexts that its own attention made.",
                ),
                "c": (
                    "needs-the-word",
                    "The uniform model reads the answer off the decoder's state. Does it need the "
                    "animal's position for that?",
                ),
                "d": (
                    "uniform-is-harmless",
                    "The ordinary model was never trained with a mean over all words. What was "
                    "spread over ten words is a tenth of what it is used to.",
                ),
            }
        ),
        "The cell that cut off the context says what each model needs it for.",
    ),
    "1.2": Exercise(
        "Attention in three lines",
        _attend,
        "Scores first, `masked_fill` with minus infinity second, softmax over the last axis third.",
        "attend(queries, keys, mask)",
    ),
    "1.3": Exercise(
        "The road in closed form",
        _road,
        "Divide the two equations of the flow, separate the variables, and integrate from 0.",
        "road(a, length)",
    ),
    "1.4": Exercise(
        "All positions at once",
        _probe_everywhere,
        "`model.readout(s, c)` takes any leading axes; bring s and the values to "
        "(batch, tgt, src, d_hidden), then softmax, then gather.",
        "probe_everywhere(model, batch)",
    ),
    "1.5": Exercise(
        "Close the detour",
        _mean_beta,
        "Override `encode` in a subclass of `models.Seq2Seq` and return zeros for the start.",
    ),
}

"""Chapters 1 and 2: right answers pass, and named wrong ones are told apart."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from torch import Tensor

from lessons_lib import models, probes
from lessons_lib.exercises.check import check
from lessons_lib.tasks import Batch
from lessons_lib.theory import two_words


def road(a: float, length: int) -> float:
    return math.sqrt(2 * (math.expm1(a) + (length - 1) * a) / (length - 1))


def probe_everywhere(model: models.Seq2Seq, batch: Batch) -> Tensor:
    with probes.evaluating(model):
        out = model(batch)
        v = model.values(out.encoder_states)[:, 0]
        steps, places = batch.target.shape[1], batch.source.shape[1]
        s = out.decoder_states[:, :, None].expand(-1, -1, places, -1)
        p = model.readout(s, v[:, None].expand(-1, steps, -1, -1)).softmax(-1)
        right = batch.target[:, :, None, None].expand(-1, -1, places, 1)
        return p.gather(-1, right)[..., 0] * batch.source_mask[:, None]


def along_the_wrong_axis(model: models.Seq2Seq, batch: Batch) -> Tensor:
    with probes.evaluating(model):
        out = model(batch)
        v = model.values(out.encoder_states)[:, 0]
        places = batch.source.shape[1]
        s = out.decoder_states[:, :, None].expand(-1, -1, places, -1)
        c = v[:, :, None].expand(-1, -1, places, -1)
        right = batch.target[:, :, None, None].expand(-1, -1, places, 1)
        return model.readout(s, c).softmax(-1).gather(-1, right)[..., 0]


def attend(queries: Tensor, keys: Tensor, mask: Tensor, dim: int = -1, scale: float = 1) -> Tensor:
    scores = scale * queries @ keys.transpose(1, 2)
    return scores.masked_fill(~mask[:, None], -torch.inf).softmax(dim)


def weights(queries: Tensor, keys: Tensor) -> Tensor:
    return (queries @ keys.transpose(1, 2)).softmax(-1)


def lowest_lead(d: float, quarter: float = 0.25) -> float:
    return float(brentq(lambda a: a + math.exp(a) - 1 + quarter * d**2, -50, 1, xtol=1e-14))


def lowest_attention(d: float, quarter: float = 0.25) -> float:
    return 1 / (1 + math.exp(-lowest_lead(d, quarter)))


def gradient_law(alpha: Tensor, beta: Tensor) -> Tensor:
    return alpha * (beta - (alpha * beta).sum(-1, keepdim=True))


def loud_enough(loss: float, p: float) -> tuple[float, float]:
    k = -math.log(math.expm1(loss / 2)) + 1e-6  # 2 log(1 + e^-k) = loss
    return -k, (k + (1 - p) * k) / p


RIGHT: dict[str, Any] = {
    "1.1": "d",
    "1.2": attend,
    "1.3": road,
    "1.4": probe_everywhere,
    "1.5": 0.53,
    "2.1": "b",
    "2.2": loud_enough,
    "2.3": lowest_attention,
    "2.4": gradient_law,
}

WRONG: dict[str, dict[str, tuple[Any, str]]] = {
    "1.1": {
        "the ordinary model copes": ("a", "ordinary-robust"),
        "it has to see the animal": ("c", "needs-the-word"),
        "a mean does no harm": ("b", "uniform-is-harmless"),
    },
    "1.2": {
        "softmax over the output steps": (lambda q, k, m: attend(q, k, m, dim=1), "wrong-axis"),
        "scaled": (lambda q, k, m: attend(q, k, m, scale=7**-0.5), "scaled"),
        "mask forgotten": (lambda q, k, m: weights(q, k), "no-mask"),
        "mask after the softmax": (lambda q, k, m: weights(q, k) * m[:, None], "masked-late"),
        "scores without softmax": (lambda q, k, m: q @ k.transpose(1, 2), "scores"),
        "everything masked": (
            lambda q, k, m: (
                (q @ k.transpose(1, 2)).masked_fill(~m[:1, None] | True, -torch.inf).softmax(-1)
            ),
            "not-finite",
        ),
    },
    "1.3": {
        "square": (lambda a, n: road(a, n) ** 2, "no-root"),
        "factor 2 lost": (lambda a, n: road(a, n) / math.sqrt(2), "half"),
        "valid at the start only": (lambda a, n: math.sqrt(2 * n * a / (n - 1)), "start-only"),
        "e^a for e^a - 1": (
            lambda a, n: math.sqrt(2 * (math.exp(a) + (n - 1) * a) / (n - 1)),
            "no-start",
        ),
    },
    "1.4": {
        "logit": (lambda m, b: probes.lexical_probe(m, b, scale="logit"), "logit"),
        "log-probability": (
            lambda m, b: probes.lexical_probe(m, b, scale="log_probability"),
            "log-probability",
        ),
        "padding forgotten": (
            lambda m, b: probe_everywhere(m, Batch(b.source, b.target)).where(
                b.source_mask[:, None], 0.5
            ),
            "value",
        ),
        "values along the wrong axis": (along_the_wrong_axis, "wrong-axis"),
        "axes swapped": (lambda m, b: probe_everywhere(m, b).transpose(1, 2), "transposed"),
        "attention in place of the probe": (
            lambda m, b: m(b).attention[:, 0].detach(),
            "attention",
        ),
    },
    "1.5": {
        "the detour is open": (0.94, "detour"),
        "attention averaged": (0.1, "chance"),
        "percent": (53, "percent"),
    },
    "2.1": {
        "falls first": ("a", "falls-first"),
        "exponential": ("c", "exponential"),
        "costs nothing": ("d", "no-price"),
    },
    "2.2": {
        "word 0 at zero": (lambda loss, p: (0.0, 100 / p), "negative-text"),
        "the chapter's numbers for p = 1/2": (lambda loss, p: (-20.0, 60.0), "too-quiet"),
        "not loud enough": (lambda loss, p: (-1.0, (2 - p) / p), "too-large"),
        "infinite": (lambda loss, p: (-math.inf, math.inf), "not-finite"),
    },
    "2.3": {
        "lead for share": (lowest_lead, "lead"),
        "approximation": (lambda d: math.exp(1 - d**2 / 4), "approximation"),
        "d' = p": (lambda d: lowest_attention(d, 0.5), "half"),
        "attention on word 0": (lambda d: 1 - lowest_attention(d), "wrong-word"),
    },
    "2.4": {
        "no baseline": (lambda a, b: a * b, "no-baseline"),
        "plain mean": (lambda a, b: a * (b - b.mean(-1, keepdim=True)), "plain-mean"),
        "alpha forgotten": (lambda a, b: b - (a * b).sum(-1, keepdim=True), "no-alpha"),
        "sign": (lambda a, b: -gradient_law(a, b), "sign"),
        "mean over texts": (lambda a, b: a * (b - (a * b).sum(0)), "wrong-axis"),
    },
}


def test_padding_that_is_left_in_the_probe_is_named() -> None:
    def leaves_padding(model: models.Seq2Seq, batch: Batch) -> np.ndarray:
        eye = torch.eye(batch.source.shape[1])
        ways = [model(batch, attention=one[None, None, None]).logits for one in eye]
        p = torch.stack(ways, 2).softmax(-1)
        right = batch.target[:, :, None, None].expand(-1, -1, len(eye), 1)
        return p.gather(-1, right)[..., 0].detach().numpy()

    assert check("1.4", leaves_padding).key == "padding"


def test_the_library_passes_where_it_answers_the_same_question() -> None:
    """The oracles against other code of ours, which was not written for these exercises."""

    def probe(model: models.Seq2Seq, batch: Batch) -> Tensor:
        return probes.lexical_probe(model, batch, scale="probability")

    def lowest(d: float) -> float:
        return 1 / (1 + math.exp(-float(two_words.orbit(0.0, -d))))

    assert check("1.4", probe).passed
    assert check("2.3", lowest).passed
    assert check("2.4", two_words.gradient_law_logit).passed


@pytest.mark.parametrize("value", [0.51, 0.52, 0.55, 0.57])
def test_the_band_of_the_experiment(value: float) -> None:
    assert check("1.5", torch.tensor(value, dtype=torch.float64)).passed


def test_numpy_and_tensors_are_both_welcome() -> None:
    as_numpy: Callable[..., Any] = lambda a, b: gradient_law(a, b).numpy()  # noqa: E731
    as_list: Callable[..., Any] = lambda a, b: gradient_law(a, b).tolist()  # noqa: E731
    assert check("2.4", as_numpy).passed
    assert check("2.4", as_list).passed

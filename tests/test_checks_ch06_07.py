"""Chapters 6 and 7: right answers pass, and named wrong ones are told apart."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lessons_lib import models
from lessons_lib.exercises.check import check
from lessons_lib.lab import copying, heads
from lessons_lib.tasks import Batch
from lessons_lib.theory import phase_portrait


def branch(accuracy: float, mass: float, start: float) -> str:
    if accuracy > 0.5:
        return "aligned"
    return "elimination" if max(accuracy, mass) < start else "undecided"


def blend(length: int, own: float) -> np.ndarray:
    """Attention with ``own`` on the right position, the rest shared evenly."""
    eye = np.eye(length)
    return own * eye + (1 - own) * (1 - eye) / (length - 1)


def uneven(length: int) -> np.ndarray:
    rows = (1 - np.eye(length)) * np.arange(1, length + 1)
    return np.asarray(rows / rows.sum(1, keepdims=True))


def heads_needed(p: float, share: float) -> int:
    return math.ceil(math.log(1 - share) / math.log(1 - p))


def one_minus_power(p: float, share: float) -> int:
    return math.ceil(math.log(1 - share) / math.log(p))


def head_velocities(a: np.ndarray, b: np.ndarray, length: int) -> np.ndarray:
    return np.stack([b, a]) / (len(a) * length**2)


def without(
    model: models.Seq2Seq, batch: Batch, head: int, how: str = "others", end: bool = False
) -> float:
    with torch.no_grad():
        out = model(batch)
        contexts = out.attention @ model.values(out.encoder_states)
        others = [k for k in range(contexts.shape[1]) if k != head]
        kept: Tensor = {
            "others": contexts[:, others].mean(1),
            "silent": contexts[:, others].sum(1) / contexts.shape[1],
            "alone": contexts[:, head],
            "all": contexts.mean(1),
        }[how]
        logits = model.readout(out.decoder_states, kept)
    words = batch.target_mask if end else copying.word_positions(batch) >= 0
    return float((logits.argmax(-1) == batch.target)[words].double().mean())


def kind_of_start(accuracies: list[float]) -> str:
    if min(accuracies) > 0.95:
        return "good"
    return "bad" if max(accuracies) < 0.6 else "discarded"


def by_mean(accuracies: list[float]) -> str:
    mean = sum(accuracies) / len(accuracies)
    return "good" if mean > 0.95 else "bad" if mean < 0.6 else "discarded"


RIGHT: dict[str, Any] = {
    "6.1": "b",
    "6.2": lambda v, n: 1 - (n - 1) / (v - 1),
    "6.3": branch,
    "6.4": lambda n: float(n) ** -n,
    "6.5": lambda n: blend(n, 0),
    "6.6": ((-0.2, 0.5), (0.2, -0.5)),
    "6.7": lambda a, b, n: (b / n**2, a / n**2),
    "7.1": "a",
    "7.2": "d",
    "7.3": heads_needed,
    "7.4": kind_of_start,
    "7.5": head_velocities,
    "7.6": without,
}

WRONG: dict[str, dict[str, tuple[Any, str]]] = {
    "6.1": {
        "zero, works": ("a", "same-bag"),
        "zero, fails": ("c", "zero-margin"),
        "not zero, works": ("d", "elimination-works"),
    },
    "6.2": {
        "with repetition": (lambda v, n: 1 - n / v, "repetition"),
        "all places": (lambda v, n: 1 - n / (v - 1), "all-places"),
        "wrong pair alone": (lambda v, n: (n - 1) / (v - 1), "wrong-pair"),
        "first gradient": (lambda v, n: (v - n) / (v * (v - 1)), "first-gradient"),
    },
    "6.3": {
        "two ways only": (
            lambda accuracy, mass, start: "aligned" if accuracy > 0.5 else "elimination",
            "two-ways-only",
        ),
        "accuracy alone": (
            lambda accuracy, mass, start: branch(accuracy, accuracy, start),
            "accuracy-alone",
        ),
        "attention alone": (
            lambda accuracy, mass, start: (
                "aligned" if mass > 0.5 else "elimination" if mass < start else "undecided"
            ),
            "mass-alone",
        ),
        "chance fixed at 0.1": (
            lambda accuracy, mass, start: branch(accuracy, mass, 0.1),
            "fixed-chance",
        ),
        "a number": (lambda accuracy, mass, start: 1, "type"),
    },
    "6.4": {
        "one word": (lambda n: 1 / n, "one-word"),
        "log": (lambda n: -n * math.log(n), "log"),
        "counts orders": (lambda n: 1 / math.factorial(n), "orders"),
        "certain": (lambda n: 1.0, "certain"),
    },
    "6.5": {
        "looks at the right word": (np.eye, "aligned"),
        "rows are no shares": (lambda n: 1 - np.eye(n), "no-shares"),
        "uniform": (lambda n: np.full((n, n), 1 / n), "uniform"),
        "looks a little": (lambda n: blend(n, 0.5 / n), "still-looks"),
        "unequal": (uneven, "uneven"),
        "negative": (lambda n: blend(n, -0.5), "negative"),
    },
    "6.6": {
        "attention decides": (((-0.2, 0.0), (0.2, 0.0)), "no-words"),
        "branches swapped": (((0.2, -0.5), (-0.2, 0.5)), "start"),
        "one start": ((-0.2, 0.5), "shape"),
        "far away": (((-0.2, 50.0), (0.2, -50.0)), "too-far"),
        "at the saddle's line": (((-0.5, 0.5), (0.5, -0.4)), "beyond-the-rule"),
    },
    "6.7": {
        "not coupled": (lambda a, b, n: (a / n**2, b / n**2), "not-coupled"),
        "derivative": (
            lambda a, b, n: (b * (n - 1) / n**2, a * (n - 1) / n**2),
            "whole-derivative",
        ),
        "one entry": (lambda a, b, n: (b * (n - 1) / n**3, a * (n - 1) / n**3), "one-entry"),
        "uphill": (lambda a, b, n: (-b / n**2, -a / n**2), "sign"),
        "by L": (lambda a, b, n: (b / n, a / n), "by-length"),
    },
    "7.1": {
        "eight tickets": ("b", "number-of-heads"),
        "worse than one": ("c", "worse-than-one"),
        "parameters": ("d", "more-parameters"),
    },
    "7.2": {
        "the same product": ("a", "product"),
        "attention only": ("b", "only-attention"),
        "other functions": ("c", "expresses-less"),
    },
    "7.3": {
        "1 - p^H": (one_minus_power, "one-minus-power"),
        "not rounded": (lambda p, s: math.log(1 - s) / math.log(1 - p), "not-whole"),
        "rounded down": (
            lambda p, s: math.floor(math.log(1 - s) / math.log(1 - p)),
            "rounded-down",
        ),
        "one is enough": (lambda p, s: 1, "constant"),
    },
    "7.4": {
        "mean over orders": (by_mean, "mean"),
        "one order is enough": (
            lambda x: "good" if max(x) > 0.95 else "bad" if min(x) < 0.6 else "discarded",
            "any-order",
        ),
        "what is not good is bad": (
            lambda x: "good" if min(x) > 0.95 else "discarded" if max(x) > 0.95 else "bad",
            "not-good-is-bad",
        ),
    },
    "7.5": {
        "heads added up": (lambda a, b, n: len(a) * head_velocities(a, b, n), "not-averaged"),
        "one velocity for all": (
            lambda a, b, n: (
                0 * head_velocities(a, b, n) + head_velocities(a, b, n).mean(1, keepdims=True)
            ),
            "mean-field",
        ),
        "derivative": (lambda a, b, n: (n - 1) * head_velocities(a, b, n), "whole-derivative"),
        "not coupled": (lambda a, b, n: head_velocities(b, a, n), "not-coupled"),
        "heads first": (lambda a, b, n: head_velocities(a, b, n).T, "shape"),
    },
    "7.6": {
        "divided by all heads": (lambda m, b, h: without(m, b, h, "silent"), "divided-by-all"),
        "only that head": (lambda m, b, h: without(m, b, h, "alone"), "only-that-head"),
        "nothing removed": (lambda m, b, h: without(m, b, h, "all"), "all-heads"),
        "end symbol counted": (lambda m, b, h: without(m, b, h, end=True), "end-symbol"),
    },
}


def test_the_library_passes_where_it_answers_the_same_question() -> None:
    """The oracles against other code of ours, which was not written for these exercises."""

    def flow(a: float, b: float, length: int) -> Any:
        return np.stack(phase_portrait.symmetric_velocity(a, b, length, length))

    def gap(vocab: int, length: int) -> float:
        pair = phase_portrait.cooccurrence(vocab, length)
        return pair.right - pair.wrong

    def removed(model: models.Seq2Seq, batch: Batch, head: int) -> float:
        return heads.remove_heads(model, batch)[f"accuracy/without_head{head}"]

    assert check("7.6", removed).passed
    assert check("6.7", flow).passed
    assert check("6.2", gap).passed

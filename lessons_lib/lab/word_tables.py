"""Classifiers that give each word one number, and their rivals: guesses that know no word."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from lessons_lib import models, training
from lessons_lib.models import BagOfWords
from lessons_lib.tasks import BOS, EOS, LabelledBatch

if TYPE_CHECKING:
    from lessons_lib.lab.classification import Classification, Prepared

STRENGTHS = (*(digit * 10.0**power for power in range(-5, 4) for digit in (1, 5)), 1e4)
"""Inverse penalties of the logistic regression, from 0.00001 to 10,000; the authors' grid."""


def proxy_loss(model: BagOfWords, batch: LabelledBatch) -> Tensor:
    """Binary cross-entropy of ``BagOfWords`` with one output; the sum over the texts."""
    score = model(batch).squeeze(-1)
    return binary_cross_entropy_with_logits(score, batch.label.float(), reduction="sum")


def guesses(batch: LabelledBatch) -> dict[str, Tensor]:
    """Candidates ``(batch, 1, src)`` that know no word, but later and earlier ones, and symbols."""
    positions = torch.arange(batch.source.shape[1]).expand_as(batch.source)
    start, end = batch.source == BOS, batch.source == EOS
    found = {
        "last": positions.masked_fill(start | end, -1),
        "first": (-positions).masked_fill(start | end, -len(positions[0])),
    }
    found |= {"start": -positions} if start.any() else {}
    found |= {"end": positions} if end.any() else {}
    return {name: guess[:, None] for name, guess in found.items()}


def word_tables(config: Classification, ready: Prepared, seed: int) -> dict[str, Tensor]:
    """One number for each word, from co-occurrence alone, ``(source_vocab,)`` each.

    ``px``: the embedding proxy after the epoch with the smallest loss; ``lr``: logistic regression.
    Epoch and penalty are chosen on the texts that choose; under ``px/max`` and ``lr/max`` on those
    that are reported on, as the authors do.
    """
    batch, rows = ready.held_out.batch, ready.held_out.parts
    parts = {"": batch[rows["choosing"]], "/max": batch[rows["shown"]]}
    proxy = models.build_bag_of_words(len(ready.vocab), 1, seed, config.proxy_width)
    best = dict.fromkeys(parts, torch.inf)
    tables: dict[str, Tensor] = {}

    def look(proxy: models.BagOfWords) -> dict[str, float]:
        table = proxy.word_logits()[:, 0]  # each with the bias, and so is their mean
        for suffix, part in parts.items():
            scores = (table[part.source] * part.source_mask).sum(1) / part.source_mask.sum(1)
            loss = float(binary_cross_entropy_with_logits(scores, part.label.float()))
            if loss < best[suffix]:
                best[suffix] = loss
                tables[f"px{suffix}"] = table - proxy.output.bias
        return {}

    size, epochs = config.proxy_batch_size, config.proxy_epochs
    epoch = -(-len(ready.train) // size)
    stream = ready.train.batches(size, seed, epochs, whole=False)
    schedule = training.TrainConfig(
        epoch * epochs, config.proxy_learning_rate, evaluate_every=epoch
    )
    training.train(proxy, stream, proxy_loss, schedule, evaluate=look, seed=seed, device="cpu")
    everything = ready.train.batch(range(len(ready.train)))
    regressions = logistic_tables(everything, len(ready.vocab), parts)
    return {**tables, **{f"lr{suffix}": table for suffix, table in regressions.items()}}


def logistic_tables(
    texts: LabelledBatch, source_vocab: int, parts: Mapping[str, LabelledBatch]
) -> dict[str, Tensor]:
    """Coefficients of a logistic regression on the bag of words, ``(source_vocab,)`` each.

    Features are relative frequencies. Of fits with each of ``STRENGTHS`` (L2) each part gets the
    first that is most often right there. A ``ValueError`` if all texts have one label.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    if texts.label.unique().numel() < 2:
        raise ValueError("expected texts of both labels, found one; take other texts")
    features = _frequencies(texts, source_vocab)
    asked = {name: _frequencies(part, source_vocab) for name, part in parts.items()}
    best = dict.fromkeys(parts, -1.0)
    found: dict[str, Tensor] = {}
    for strength in STRENGTHS:
        with warnings.catch_warnings():  # weak penalties do not settle in 1000 steps, nor there
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted = LogisticRegression(C=strength, max_iter=1000).fit(features, texts.label)
        for name, part in parts.items():
            accuracy = float(fitted.score(asked[name], part.label))
            if accuracy > best[name]:
                best[name] = accuracy
                found[name] = torch.from_numpy(fitted.coef_[0]).float()
    return found


def _frequencies(batch: LabelledBatch, source_vocab: int) -> Any:
    """Sparse, ``(batch, source_vocab)``."""
    from scipy.sparse import coo_array

    text, position = batch.source_mask.nonzero(as_tuple=True)
    share = (1.0 / batch.source_mask.sum(1).double())[text]
    at = text.numpy(), batch.source[text, position].numpy()
    return coo_array((share.numpy(), at), (len(batch), source_vocab)).tocsr()

"""The classification experiment: which words does a trained classifier attend to, and why those?

Its rivals are classifiers that give each word one number, and guesses that know no word.
"""

import random
import time
import warnings
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from scipy.sparse import coo_array
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from lessons_lib import classifier, models, training
from lessons_lib.config import Configuration, digest
from lessons_lib.corpora import vocabulary
from lessons_lib.corpora.batches import EncodedTexts, encode_labelled
from lessons_lib.corpora.files import LabelledCorpus
from lessons_lib.corpora.loaders import load_labelled
from lessons_lib.lab import blocks
from lessons_lib.lab.long_runs import directory, kept
from lessons_lib.lab.saliency import label_saliency
from lessons_lib.tasks import BOS, EOS, LabelledBatch

Kind = Literal["learned", "uniform"]
CHECKPOINTS = (10, 50, 100, 150, 200, *range(250, 4000, 250))
"""Updates after which the authors look at a run, besides 0 and the last."""
SHORT_CHECKPOINTS = (10, 20, 40, 60, 80, 100, 125, 150, 200, 250, 300)
"""The same for 400 updates."""
STRENGTHS = (*(digit * 10.0**power for power in range(-5, 4) for digit in (1, 5)), 1e4)
"""Inverse penalties of the logistic regression, from 0.00001 to 10,000; the authors' grid."""


@dataclass(frozen=True)
class Classification(Configuration):
    """One class against the others, with the paper's classifier. The defaults are the authors'."""

    corpus: str = "sst2"
    positive: str = "positive"  #: the class whose texts get label 1
    runs: int = 6  #: ordinary ones in a block
    uniform_runs: int = 2  #: those with uniform attention
    bidirectional: bool = True
    ends: bool = True  #: whether start and end symbol are positions of a text
    max_words: int | None = None  #: longer texts lose their end; ``None``: no text does
    vocab_size: int | None = None  #: words kept at most, the special symbols included
    min_count: int = 3  #: how often a word must occur among the texts to learn from
    d_embed: int = 300
    d_hidden: int = 256
    batch_size: int = 32
    learning_rate: float = 1e-3
    steps: int = 4000
    checkpoints: tuple[int, ...] = CHECKPOINTS  #: further steps to look at, besides 0 and the last
    bfloat16: bool = False
    chosen_on: int = 4000  #: held-out texts that choose a checkpoint, at most
    reported_on: int = 4000  #: the same for the report, and as many of the texts to learn from
    proxy_width: int = 256
    proxy_epochs: int = 60  #: of the embedding proxy; the epoch with the best loss counts
    proxy_batch_size: int = 64
    proxy_learning_rate: float = 1.5e-4  #: 5e-5 for the authors' corpora of long reviews


def short(**changes: Any) -> Classification:
    """Minutes, not hours: fewer updates on texts that are cut, fewer words and texts."""
    usual = {"runs": 4, "uniform_runs": 4, "steps": 400, "checkpoints": SHORT_CHECKPOINTS}
    usual |= {"ends": False, "max_words": 30, "vocab_size": 8000, "min_count": 1}
    return Classification.from_dict({**usual, "chosen_on": 200, "reported_on": 500, **changes})


@dataclass(frozen=True)
class Prepared:
    """A labelled corpus made ready: texts to learn from, texts to measure on, and their words."""

    train: EncodedTexts
    held_out: blocks.HeldOut[LabelledBatch]  #: to choose on, to report on, and some of training
    vocab: vocabulary.Vocabulary


def prepare(
    config: Classification, train: LabelledCorpus, val: LabelledCorpus, test: LabelledCorpus
) -> Prepared:
    """Number three parts of a labelled corpus.

    Texts of ``val`` and ``test`` with the words of a text in an earlier part are passed over. Texts
    to learn from are drawn to be measured on as the authors draw them. A ``ValueError`` if a part
    has one class only, or no words.
    """
    parts = train, val, test
    cut = [[tuple(vocabulary.words(text)) for text in part.texts] for part in parts]
    most, least = config.vocab_size, config.min_count
    vocab = vocabulary.Vocabulary.build(cut[0], max_size=most, min_count=least)
    to_learn, *others = (
        encode_labelled(part, vocab, config.positive, config.max_words, ends=config.ends)
        for part in parts
    )
    batches, known = [], set(cut[0])
    sizes = config.chosen_on, config.reported_on
    for part, words, limit in zip(others, cut[1:], sizes, strict=True):
        fresh = [k for k, i in enumerate(part.index.tolist()) if words[i] not in known][:limit]
        known |= set(words)
        batches.append(part.batch(fresh))
    sample = min(len(batches[1]), len(to_learn))
    batches.append(to_learn.batch(random.Random(1).sample(range(len(to_learn)), k=sample)))
    held_out = blocks.HeldOut(blocks.joined(batches), choosing=len(batches[0]), seen=sample)
    return Prepared(to_learn, held_out, vocab)


def proxy_loss(model: models.BagOfWords, batch: LabelledBatch) -> Tensor:
    """Binary cross-entropy of ``models.BagOfWords`` with one output; the sum over the texts."""
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
    tables: list[Tensor] = []

    def look(proxy: models.BagOfWords) -> dict[str, float]:
        table = proxy.word_logits()[:, 0]  # each with the bias, and so is their mean
        tables.append(table - proxy.output.bias)
        losses = {}
        for suffix, part in parts.items():
            scores = (table[part.source] * part.source_mask).sum(1) / part.source_mask.sum(1)
            loss = binary_cross_entropy_with_logits(scores, part.label.float())
            losses[f"px{suffix}"] = float(loss)
        return losses

    size, epochs = config.proxy_batch_size, config.proxy_epochs
    epoch = -(-len(ready.train) // size)
    how = training.TrainConfig(epoch * epochs, config.proxy_learning_rate, evaluate_every=epoch)
    stream = ready.train.batches(size, seed, epochs, whole=False)
    told = training.train(proxy, stream, proxy_loss, how, evaluate=look, seed=seed, device="cpu")
    curves = told.frame().groupby("metric")["value"]
    found = {name: tables[curves.get_group(name).argmin()] for name in ("px", "px/max")}
    everything = ready.train.batch(range(len(ready.train)))
    regressions = logistic_tables(everything, len(ready.vocab), parts)
    return found | {f"lr{suffix}": table for suffix, table in regressions.items()}


def logistic_tables(
    texts: LabelledBatch, source_vocab: int, parts: Mapping[str, LabelledBatch]
) -> dict[str, Tensor]:
    """Coefficients of a logistic regression on the bag of words, ``(source_vocab,)`` each.

    Features are relative frequencies. Of fits with each of ``STRENGTHS`` (L2) each part gets the
    first that is most often right there.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    features, found = _frequencies(texts, source_vocab), dict[str, Tensor]()
    with warnings.catch_warnings():  # weak penalties do not settle in 1000 steps, nor there
        warnings.simplefilter("ignore", ConvergenceWarning)
        plans = [LogisticRegression(C=strength, max_iter=1000) for strength in STRENGTHS]
        fits = [plan.fit(features, texts.label) for plan in plans]
    for name, part in parts.items():
        asked = _frequencies(part, source_vocab)
        scores = [fit.score(asked, part.label) for fit in fits]
        best = fits[scores.index(max(scores))]
        found[name] = torch.from_numpy(best.coef_[0]).float()
    return found


def _frequencies(batch: LabelledBatch, source_vocab: int) -> Any:
    """Sparse, ``(batch, source_vocab)``."""
    text, position = batch.source_mask.nonzero(as_tuple=True)
    share = (1.0 / batch.source_mask.sum(1).double())[text]
    at = text.numpy(), batch.source[text, position].numpy()
    return coo_array((share.numpy(), at), (len(batch), source_vocab)).tocsr()


def train_classifier(
    config: Classification, ready: Prepared, attention: Kind, seed: int, progress: str | None = None
) -> blocks.Trace:
    """One classifier from one seed: what it showed. Twins of one seed share start and batches."""
    began, where = time.perf_counter(), training.pick_device()
    shape = classifier.ClassifierConfig(
        len(ready.vocab), config.d_embed, config.d_hidden, config.bidirectional, attention
    )
    trace = blocks.Trace(blocks.checkpoints(config))
    batch, best = ready.held_out.batch, dict[str, tuple[int, dict[str, Tensor]]]()

    def look(model: classifier.Classifier) -> dict[str, float]:
        alpha = torch.zeros(len(batch), 1, batch.source.shape[1])
        beta, score = torch.full_like(alpha, -torch.inf), torch.zeros(len(batch))
        for rows, short in blocks.by_length(batch, 256):
            some, src = short.to(where), slice(short.source.shape[1])
            out = model(some)
            alpha[rows, :, src] = out.attention.mean(1).cpu()
            beta[rows, :, src] = classifier.speaking_for_label(out.word_scores, some).cpu()
            score[rows] = out.score.cpu()
        trace.beta.append(beta)
        trace.attention += [alpha] if attention == "learned" else []
        for part, shown in ready.held_out.parts.items():
            values = trace.performance if part == "shown" else trace.elsewhere.setdefault(part, [])
            values.append(classifier.class_accuracy(score[shown], batch[shown]))
            if attention == "learned" and values[-1] > max(values[:-1], default=-1.0):
                best[part] = len(values) - 1, deepcopy(model.state_dict())
        return {}

    model = classifier.build_classifier(shape, seed)
    stream = ready.train.batches(config.batch_size, seed)
    how, loss = blocks.schedule(config), classifier.class_loss
    training.train(model, stream, loss, how, evaluate=look, seed=seed, progress=progress)
    for checkpoint, weights in dict(best.values()).items():
        model.load_state_dict(weights)
        delta = torch.zeros(len(batch), 1, batch.source.shape[1])
        for rows, short in blocks.by_length(batch, 64):
            src = slice(short.source.shape[1])
            delta[rows, :, src] = label_saliency(model, short.to(where)).cpu()
        trace.saliency[checkpoint] = delta
    trace.seconds = time.perf_counter() - began
    return trace


def compare_classifiers(
    config: Classification,
    ready: Prepared,
    block: int,
    *,
    progress: bool = False,
    folder: Path | None = None,
) -> training.History:
    """Train a block of classifiers, ordinary and uniform ones, and compare them.

    Run k has the seed ``block * runs + k``; in a folder it is kept when it is done. Metrics are
    those of ``blocks.compare`` (references of ``word_tables``, ``guesses``); ``majority``, the
    share of the larger side; ``ktiw`` at each checkpoint: how often the word that speaks most for
    the label in the logistic regression is on top in the run's own probe; and ``blocks.lag``
    between that and ``own``.
    """
    began = time.perf_counter()
    held_out, batch = ready.held_out, ready.held_out.batch

    def run(kind: Kind, k: int) -> blocks.Trace:
        seed = block * config.runs + k
        label = f"run {k}, {kind} attention" if progress else None
        train = partial(train_classifier, config, ready, kind, seed, label)
        if folder is None:
            return train()
        return blocks.Trace(**kept(folder / f"{kind}-{seed}.pt", lambda: vars(train())))

    learned = [run("learned", k) for k in range(config.runs)]
    uniform = [run("uniform", k) for k in range(config.uniform_runs)]
    references = {
        name: classifier.speaking_for_label(table[batch.source], batch)
        for name, table in word_tables(config, ready, seed=block).items()
    }
    rows = blocks.compare(held_out, learned, uniform, references | guesses(batch))
    share = float(batch.label[held_out.shown].double().mean())
    rows += blocks.as_rows([config.steps], {"majority": max(share, 1 - share)})
    for k, trace in enumerate(learned):
        alpha = trace.attention[trace.gold("choosing")]
        ktiw = held_out.agreements(references["lr"], trace.beta)
        own = held_out.agreements(alpha, trace.attention)
        lag = blocks.lag(trace.steps, ktiw, own)
        rows += blocks.as_rows(trace.steps, {"ktiw": ktiw, **lag}, f"#{k}")
    return blocks.ended(rows, config.steps, began, *learned, *uniform)


def run_classification(config: Classification, seed: int) -> training.History:
    """One block on a corpus of this course, kept run by run; see ``compare_classifiers``."""
    ready = prepare(config, *(load_labelled(config.corpus, s) for s in ("train", "val", "test")))
    folder = directory() / f"classifiers-{digest(config.to_dict())[:16]}"
    return compare_classifiers(config, ready, seed, folder=folder)


SIDES = {
    "sms_spam": ("sms_spam", "spam"),
    "sst2": ("sst2", "positive"),
    "subj": ("subj", "subjective"),
    "ag_world": ("ag_news", "World"),
    "ag_sports": ("ag_news", "Sports"),
    "ag_business": ("ag_news", "Business"),
    "ag_scitech": ("ag_news", "Sci/Tech"),
}
"""Each corpus of short texts, and each class of the news against the three others."""


def classifications() -> dict[str, Classification]:
    """At the authors' size; two runs on IMDB, and on two of the classes of the news."""
    found = {arm: Classification(*side) for arm, side in SIDES.items()}
    found |= {arm: replace(found[arm], runs=2) for arm in ("ag_business", "ag_scitech")}
    imdb = Classification("imdb", "pos", runs=2, max_words=400, chosen_on=500, reported_on=1000)
    return {**found, "imdb": replace(imdb, proxy_learning_rate=5e-5)}


def short_classifications(*, bidirectional: bool) -> dict[str, Classification]:
    """Short runs of a classifier that reads in one direction, or in both."""
    usual = short(bidirectional=bidirectional)
    return {arm: replace(usual, corpus=c, positive=p) for arm, (c, p) in SIDES.items()}

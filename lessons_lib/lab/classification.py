"""The classification experiment: which words does a trained classifier attend to, and why those?"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from lessons_lib import classifier, models, probes, training
from lessons_lib.config import Configuration
from lessons_lib.corpora import vocabulary
from lessons_lib.corpora.batches import EncodedTexts, encode_labelled
from lessons_lib.corpora.files import LabelledCorpus
from lessons_lib.corpora.loaders import load_labelled
from lessons_lib.lab import blocks
from lessons_lib.tasks import LabelledBatch

CHECKPOINTS = (10, 20, 40, 60, 80, 100, 125, 150, 200, 250, 300)
"""Steps at which a run is looked at, besides 0 and the last."""

KINDS = ("learned", "uniform")


@dataclass(frozen=True)
class Classification(Configuration):
    """One class against the others, with the paper's classifier.

    Sizes, batch and optimiser are the authors'; what is smaller is the number of updates (4,000
    there) and the length of texts.

    Attributes:
        corpus: name for ``loaders.load_labelled``.
        positive: the class whose texts get label 1.
        runs: runs in a block, two or more.
        max_words: longer texts lose their end.
        vocab_size: words kept, the special symbols included.
        d_embed: width of embeddings.
        d_hidden: width of states.
        batch_size: texts in a batch.
        learning_rate: Adam's.
        steps: updates of each classifier.
        checkpoints: further steps to look at, besides 0 and the last.
        chosen_on: held-out texts that choose a checkpoint.
        reported_on: held-out texts that are reported on.
        proxy_steps: updates of the embedding proxy.
        proxy_learning_rate: Adam's, for the proxy.

    Raises:
        ValueError: fewer than two runs.
    """

    corpus: str = "sst2"
    positive: str = "positive"
    runs: int = 4
    max_words: int = 30
    vocab_size: int = 8000
    d_embed: int = 300
    d_hidden: int = 256
    batch_size: int = 32
    learning_rate: float = 1e-3
    steps: int = 400
    checkpoints: tuple[int, ...] = CHECKPOINTS
    chosen_on: int = 200
    reported_on: int = 500
    proxy_steps: int = 1000
    proxy_learning_rate: float = 1e-2

    def __post_init__(self) -> None:
        if self.runs < 2:
            raise ValueError(f"expected two runs or more, to compare them, found {self.runs}")


@dataclass(frozen=True)
class Prepared:
    """A labelled corpus made ready.

    Attributes:
        train: texts to learn from.
        held_out: texts to measure on.
        vocab: their words, numbered.
        texts: the held-out texts as they stand in the corpus.
    """

    train: EncodedTexts
    held_out: blocks.HeldOut[LabelledBatch]
    vocab: vocabulary.Vocabulary
    texts: tuple[str, ...]


def prepare(
    config: Classification, train: LabelledCorpus, val: LabelledCorpus, test: LabelledCorpus
) -> Prepared:
    """Number three parts of a labelled corpus.

    Raises:
        ValueError: a part, or what is measured on of it, has texts of one class only, or no words.
    """
    vocab = vocabulary.Vocabulary.build(
        map(vocabulary.words, train.texts), max_size=config.vocab_size
    )
    encoded, texts = [], []
    for corpus, most in ((val, config.chosen_on), (test, config.reported_on)):
        part = encode_labelled(corpus, vocab, config.positive, config.max_words)
        first = part.batch(range(min(most, len(part))))
        if first.label.unique().numel() < 2:
            raise ValueError(
                f"expected both classes among the first {len(first)} held-out texts of "
                f"{corpus.name!r}, found one; shuffle the texts, or measure on more"
            )
        encoded.append(first)
        texts += [corpus.texts[i] for i in part.index[:most].tolist()]
    width = max(batch.source.shape[1] for batch in encoded)
    source = torch.cat([pad(batch.source, (0, width - batch.source.shape[1])) for batch in encoded])
    held_out = LabelledBatch(source, torch.cat([batch.label for batch in encoded]))
    return Prepared(
        encode_labelled(train, vocab, config.positive, config.max_words),
        blocks.HeldOut(held_out, choosing=len(encoded[0])),
        vocab,
        tuple(texts),
    )


def load(config: Classification) -> Prepared:
    """``prepare`` for a corpus of this course."""
    parts = [load_labelled(config.corpus, split) for split in ("train", "val", "test")]
    return prepare(config, *parts)


def train_classifier(
    config: Classification,
    ready: Prepared,
    attention: str,
    seed: int,
    progress: str | None = None,
) -> tuple[classifier.Classifier, blocks.Trace]:
    """One classifier from one seed, and what it showed at its checkpoints on the held-out texts.

    Args:
        config: how it is trained.
        ready: the corpus.
        attention: ``"learned"`` or ``"uniform"``. Twins of one seed start from the same weights
            and see the same batches.
        seed: of the start and of the order of the texts.
        progress: label of a progress bar, or ``None`` for none.
    """
    shape = {"d_embed": config.d_embed, "d_hidden": config.d_hidden, "attention": attention}
    model = classifier.build_classifier(
        classifier.ClassifierConfig.from_dict({"source_vocab": len(ready.vocab), **shape}), seed
    )
    trace = blocks.Trace()
    wanted = iter(sorted({0, config.steps, *config.checkpoints}))

    def look(model: classifier.Classifier) -> dict[str, float]:
        batch = ready.held_out.batch.to(next(model.parameters()).device)
        out = model(batch)
        shown = ready.held_out.shown
        trace.steps.append(next(wanted))
        trace.performance.append(classifier.class_accuracy(out.score[shown], batch[shown]))
        if attention == "learned":
            trace.attention.append(out.attention.mean(1).cpu())
        trace.beta.append(classifier.speaking_for_label(out.word_scores, batch).cpu())
        return {}

    training.train(
        model,
        ready.train.batches(config.batch_size, seed),
        classifier.class_loss,
        training.TrainConfig(
            steps=config.steps,
            learning_rate=config.learning_rate,
            evaluate_every=max(config.steps, 1),
            also_evaluate=config.checkpoints,
        ),
        evaluate=look,
        seed=seed,
        progress=progress,
    )
    return model, trace


def word_tables(config: Classification, ready: Prepared, seed: int) -> dict[str, Tensor]:
    """One number for each word, from co-occurrence alone, ``(source_vocab,)`` each.

    ``px``: the embedding proxy, trained from the seed; ``lr``: logistic regression on the bag of
    words.
    """
    proxy = models.build_bag_of_words(len(ready.vocab), 1, seed=seed)
    schedule = training.TrainConfig(
        steps=config.proxy_steps, learning_rate=config.proxy_learning_rate
    )
    stream = ready.train.batches(config.batch_size, seed)
    training.train(proxy, stream, classifier.proxy_loss, schedule, seed=seed, device="cpu")
    with probes.evaluating(proxy):
        scores = proxy.word_logits()[:, 0]
    everything = ready.train.batch(range(len(ready.train)))
    return {"px": scores, "lr": classifier.logistic_table(everything, len(ready.vocab))}


def compare_classifiers(
    config: Classification, ready: Prepared, block: int, *, progress: bool = False
) -> training.History:
    """Train a block of classifiers with their uniform twins and compare them.

    Run k of a block has the seed ``block * runs + k``.

    Args:
        config: how they are trained, and how many.
        ready: the corpus.
        block: seed of the block.
        progress: whether to show a progress bar for each classifier.

    Returns:
        History with the metrics of ``blocks.compare``, where the references are ``px``,
        ``lr`` and ``last``, a guess that knows no words and prefers later positions; and for each
        run ``ktiw`` at each checkpoint: how often the word that speaks most for the label in the
        logistic regression is on top in the run's own probe; with ``blocks.lag`` between that
        and ``own``. ``majority`` is the share of the larger side.
    """
    began = time.perf_counter()
    batch = ready.held_out.batch
    learned, uniform, saliency = [], [], []
    for k in range(config.runs):
        seed = block * config.runs + k
        labels = [f"run {k}, {kind} attention" if progress else None for kind in KINDS]
        model, trace = train_classifier(config, ready, "learned", seed, labels[0])
        device = next(model.parameters()).device
        saliency.append(classifier.label_saliency(model, batch.to(device)).cpu())
        learned.append(trace)
        uniform.append(train_classifier(config, ready, "uniform", seed, labels[1])[1])
    references = {
        name: classifier.speaking_for_label(classifier.table_scores(table, batch), batch)
        for name, table in word_tables(config, ready, seed=block).items()
    }
    references["last"] = torch.arange(batch.source.shape[1]).expand(len(batch), 1, -1)
    rows = blocks.compare(ready.held_out, learned, uniform, saliency, references)
    for k, run in enumerate(learned):
        curve = [ready.held_out.agree(references["lr"], beta) for beta in run.beta]
        own = [ready.held_out.agree(run.attention[-1], alpha) for alpha in run.attention]
        for step, value in zip(run.steps, curve, strict=True):
            rows.append({"step": step, "metric": f"ktiw#{k}", "value": value})
        for name, value in blocks.lag(run.steps, curve, own).items():
            rows.append({"step": config.steps, "metric": f"{name}#{k}", "value": value})
    share = float(batch.label[ready.held_out.shown].double().mean())
    rows.append({"step": config.steps, "metric": "majority", "value": max(share, 1 - share)})
    return training.History(
        tuple(rows), config.steps, False, time.perf_counter() - began, device.type
    )


def run_classification(config: Classification, seed: int) -> training.History:
    """One block of runs on a corpus of this course; see ``compare_classifiers``."""
    return compare_classifiers(config, load(config), seed)

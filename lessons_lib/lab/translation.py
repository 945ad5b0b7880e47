"""The translation experiment: word knowledge before attention, and what foretells where it goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from lessons_lib import models, probes, training
from lessons_lib.config import Configuration
from lessons_lib.corpora import batches, loaders, vocabulary
from lessons_lib.corpora.files import ParallelCorpus
from lessons_lib.corpora.toy_language import toy_dictionary
from lessons_lib.ibm_model1 import fit_model1
from lessons_lib.lab import blocks
from lessons_lib.lab.saliency import saliency
from lessons_lib.tasks import Batch

CHECKPOINTS = (10, 25, 50, 75, 100, 150, 200, 250, 300, 400, 500)
"""Steps at which a run is looked at, besides 0 and the last."""

KINDS = ("learned", "uniform")


@dataclass(frozen=True)
class Translation(Configuration):
    """The paper's comparison on sentence pairs, at a size for a processor.

    Attributes:
        corpus: name for ``loaders.load_parallel``.
        source: language that is read.
        target: language that is written.
        runs: runs in a block, two or more.
        max_words: longer pairs are left out.
        vocab_size: words kept on each side, the special symbols included.
        width: of embeddings and states.
        bidirectional: whether the encoder also reads from the right.
        scaled_scores: whether attention logits are scaled, see ``models.Seq2SeqConfig``.
        dropout: probability of dropping.
        batch_size: pairs in a batch.
        learning_rate: Adam's.
        steps: updates of each encoder-decoder.
        checkpoints: further steps to look at, besides 0 and the last.
        chosen_on: held-out pairs that choose a checkpoint.
        reported_on: held-out pairs that are reported on.
        proxy_steps: updates of the bag-of-words proxy.
        proxy_learning_rate: Adam's, for the proxy.
        dictionary_words: the most frequent source words with a translation that are asked for.
        pairs_per_word: training pairs in which each of these words is looked at.

    Raises:
        ValueError: fewer than two runs.
    """

    corpus: str = "multi30k"
    source: str = "de"
    target: str = "en"
    runs: int = 4
    max_words: int = 15
    vocab_size: int = 3000
    width: int = 128
    bidirectional: bool = True
    scaled_scores: bool = True
    dropout: float = 0.2
    batch_size: int = 32
    learning_rate: float = 4e-3
    steps: int = 700
    checkpoints: tuple[int, ...] = CHECKPOINTS
    chosen_on: int = 50
    reported_on: int = 150
    proxy_steps: int = 1500
    proxy_learning_rate: float = 1e-2
    dictionary_words: int = 100
    pairs_per_word: int = 2

    def __post_init__(self) -> None:
        if self.runs < 2:
            raise ValueError(f"expected two runs or more, to compare them, found {self.runs}")


@dataclass(frozen=True)
class Pairs:
    """A parallel corpus made ready for the comparison.

    Attributes:
        train: pairs to learn from.
        held_out: pairs to measure on.
        source_vocab: words of the source language.
        target_vocab: words of the target language.
        dictionary: for source words (identifiers) the set of their right translations, the
            frequent words first; ``None`` where there is no dictionary.
        gold: for each held-out output word the right position, where alignment or dictionary name
            one, ``(batch, tgt)``; ``None`` where there is neither.
    """

    train: batches.EncodedPairs
    held_out: blocks.HeldOut[Batch]
    source_vocab: vocabulary.Vocabulary
    target_vocab: vocabulary.Vocabulary
    dictionary: Mapping[int, frozenset[int]] | None
    gold: Tensor | None


def prepare_pairs(
    config: Translation,
    train: ParallelCorpus,
    val: ParallelCorpus,
    test: ParallelCorpus,
    dictionary: Mapping[str, frozenset[str]] | None,
) -> Pairs:
    """Number three parts of a parallel corpus.

    Raises:
        ValueError: no pair of a part has a word on either side and at most ``max_words``.
    """
    source_vocab, target_vocab = (
        vocabulary.Vocabulary.build(map(vocabulary.words, side), max_size=config.vocab_size)
        for side in (train.source, train.target)
    )
    encoded = [
        batches.encode_parallel(part, source_vocab, target_vocab, config.max_words)
        for part in (train, val, test)
    ]
    parts = [
        pairs.batch(range(min(most, len(pairs))))
        for pairs, most in zip(encoded[1:], (config.chosen_on, config.reported_on), strict=True)
    ]
    batch = joined(parts)
    entries, gold = None, batch.gold
    if dictionary is not None:
        entries = vocabulary.number_dictionary(dictionary, source_vocab, target_vocab)
        gold = probes.dictionary_gold(batch, entries) if gold is None else gold
    return Pairs(
        encoded[0],
        blocks.HeldOut(batch, choosing=len(parts[0])),
        source_vocab,
        target_vocab,
        entries,
        gold,
    )


def joined(parts: list[Batch]) -> Batch:
    """Batches one below the other, padded to one width."""
    src = max(part.source.shape[1] for part in parts)
    tgt = max(part.target.shape[1] for part in parts)
    source = [pad(part.source, (0, src - part.source.shape[1])) for part in parts]
    target = [pad(part.target, (0, tgt - part.target.shape[1])) for part in parts]
    known = [part.gold for part in parts if part.gold is not None]
    gold = [pad(one, (0, tgt - one.shape[1]), value=-1) for one in known]
    everywhere = len(gold) == len(parts)
    return Batch(torch.cat(source), torch.cat(target), torch.cat(gold) if everywhere else None)


def load_pairs(config: Translation) -> Pairs:
    """``prepare_pairs`` for a corpus of this course, with the dictionary that there is for it."""
    parts = [
        loaders.load_parallel(config.corpus, config.source, config.target, split)
        for split in ("train", "val", "test")
    ]
    languages = f"{config.source}-{config.target}"
    dictionary: Mapping[str, frozenset[str]] | None = None
    if config.corpus == "toy":
        dictionary = toy_dictionary(config.source, config.target)
    elif languages in ("de-en", "en-de"):
        dictionary = loaders.load_dictionary(languages)
    return prepare_pairs(config, parts[0], parts[1], parts[2], dictionary)


def train_translator(
    config: Translation,
    ready: Pairs,
    attention: str,
    seed: int,
    progress: str | None = None,
    prepare: Callable[[models.Seq2Seq], object] | None = None,
) -> tuple[models.Seq2Seq, blocks.Trace, list[float]]:
    """One translator from one seed, and what it showed at its checkpoints on the held-out pairs.

    Args:
        config: how it is trained.
        ready: the corpus.
        attention: ``"learned"`` or ``"uniform"``. Twins of one seed start from the same weights
            and see the same batches.
        seed: of the start, of dropout and of the order of the pairs.
        progress: label of a progress bar, or ``None`` for none.
        prepare: what is done with the model before.

    Returns:
        The model; its trace (performance is the accuracy of the next word); and at each checkpoint
        the share of frequent words whose best translation is in the dictionary, empty where there
        is none.
    """
    shape = models.Seq2SeqConfig.from_dict(
        {
            "source_vocab": len(ready.source_vocab),
            "target_vocab": len(ready.target_vocab),
            "d_embed": config.width,
            "d_hidden": config.width,
            "bidirectional": config.bidirectional,
            "dropout": config.dropout,
            "scaled_scores": config.scaled_scores,
            "attention": attention,
        }
    )
    trace, known = blocks.Trace(), list[float]()
    wanted = iter(sorted({0, config.steps, *config.checkpoints}))
    frequent = dict(list((ready.dictionary or {}).items())[: config.dictionary_words])
    sample = ready.train.batch(ready.train.containing(frequent, config.pairs_per_word))
    there = set(sample.source.unique().tolist())  # short sentences do not have all of them
    asked = {word: right for word, right in frequent.items() if word in there}

    def look(model: models.Seq2Seq) -> dict[str, float]:
        where = next(model.parameters()).device
        batch = ready.held_out.batch.to(where)
        out = model(batch)
        shown = ready.held_out.shown
        trace.steps.append(next(wanted))
        trace.performance.append(probes.token_accuracy(out.logits[shown], batch[shown]))
        trace.beta.append(probes.lexical_probe(model, batch, scale="probability").cpu())
        if attention == "learned":
            trace.attention.append(out.attention.mean(1).cpu())
            if asked:
                table = probes.seq2seq_table(model, [sample.to(where)])
                known.append(float(probes.ktiw(table, asked).mean()))
        return {}

    model = models.build(shape, seed)
    if prepare is not None:
        prepare(model)
    training.train(
        model,
        ready.train.batches(config.batch_size, seed),
        models.sequence_loss,
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
    return model, trace, known


def cooccurrence_probes(config: Translation, ready: Pairs, seed: int) -> dict[str, Tensor]:
    """Candidates for the held-out pairs that look at no sentence, ``(batch, tgt, src)`` each.

    ``px``: the bag-of-words proxy, trained from the seed; ``m1``: IBM Model 1; ``diagonal``: the
    same relative position, which knows no words at all.
    """
    sizes = len(ready.source_vocab), len(ready.target_vocab)
    proxy = models.build_bag_of_words(*sizes, seed=seed)
    schedule = training.TrainConfig(
        steps=config.proxy_steps, learning_rate=config.proxy_learning_rate
    )
    stream = ready.train.batches(config.batch_size, seed)
    training.train(proxy, stream, models.bag_loss, schedule, seed=seed, device="cpu")
    everything = ready.train.batch(range(len(ready.train)))
    table = fit_model1(everything.source, everything.target, *sizes).table
    batch = ready.held_out.batch
    return {
        "px": probes.table_probe(probes.proxy_table(proxy), batch),
        "m1": probes.table_probe(table, batch),
        "diagonal": probes.diagonal_guess(batch),
    }


def compare_translators(
    config: Translation, ready: Pairs, block: int, *, progress: bool = False
) -> training.History:
    """Train a block of translators with their uniform twins and compare them.

    Run k of a block has the seed ``block * runs + k``.

    Args:
        config: how they are trained, and how many.
        ready: the corpus.
        block: seed of the block.
        progress: whether to show a progress bar for each translator.

    Returns:
        History with the metrics of ``blocks.compare``, where the references are those of
        ``cooccurrence_probes``, and for each run at each checkpoint: ``ktiw/m1`` and
        ``attention/m1``, how often the position that Model 1 prefers is on top in the run's own
        probe and in its attention; where a dictionary or a gold alignment is there, ``ktiw/gold``
        and ``attention/gold``, how often probe and attention are largest at the right position,
        and ``ktiw/words``. Then ``blocks.lag`` between the gold curves (else those of Model 1),
        ``lag/m1`` between those of Model 1, and ``spread/at-ktiw``: ``spread`` at the step at which
        KTIW is half-way up.
    """
    began = time.perf_counter()
    held_out = ready.held_out
    learned, uniform, words = [], [], []
    for k in range(config.runs):
        seed = block * config.runs + k
        labels = [f"run {k}, {kind} attention" if progress else None for kind in KINDS]
        model, trace, known = train_translator(config, ready, "learned", seed, labels[0])
        device = next(model.parameters()).device
        delta = saliency(model, held_out.batch.to(device)).cpu()
        trace.saliency[trace.gold("choosing")] = delta
        learned.append(trace)
        words.append(known)
        uniform.append(train_translator(config, ready, "uniform", seed, labels[1])[1])
    references = cooccurrence_probes(config, ready, seed=block)
    rows = blocks.compare(held_out, learned, uniform, references)
    for k, run in enumerate(learned):
        curves = {
            "ktiw/m1": [held_out.agree(references["m1"], beta) for beta in run.beta],
            "attention/m1": [held_out.agree(references["m1"], a) for a in run.attention],
        }
        if ready.gold is not None:
            gold = ready.gold[held_out.shown]
            for name, seen in (("ktiw", run.beta), ("attention", run.attention)):
                curves[f"{name}/gold"] = [
                    probes.attention_accuracy(one[held_out.shown], gold) for one in seen
                ]
        if words[k]:
            curves["ktiw/words"] = words[k]
        for metric, values in curves.items():
            for step, value in zip(run.steps, values, strict=True):
                rows.append({"step": step, "metric": f"{metric}#{k}", "value": value})
        kind = "m1" if ready.gold is None else "gold"
        found = blocks.lag(run.steps, curves[f"ktiw/{kind}"], curves[f"attention/{kind}"])
        by_model1 = blocks.lag(run.steps, curves["ktiw/m1"], curves["attention/m1"])
        if by_model1:
            found["lag/m1"] = by_model1["lag"]
        if "rise/ktiw" in found:
            spreads = blocks.spreads(held_out, run)
            found["spread/at-ktiw"] = float(np.interp(found["rise/ktiw"], run.steps, spreads))
        for name, value in found.items():
            rows.append({"step": config.steps, "metric": f"{name}#{k}", "value": value})
    return training.History(
        tuple(rows), config.steps, False, time.perf_counter() - began, device.type
    )


def run_translation(config: Translation, seed: int) -> training.History:
    """One block of runs on a corpus of this course; see ``compare_translators``."""
    return compare_translators(config, load_pairs(config), seed)


def translations() -> dict[str, Translation]:
    """Captions in both directions and from Czech, and the embedded corpus with its gold."""
    return {
        "de-en": Translation(),
        "en-de": Translation(source="en", target="de"),
        "cs-en": Translation(source="cs"),
        "toy-de-en": Translation(corpus="toy"),
    }

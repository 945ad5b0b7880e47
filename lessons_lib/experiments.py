"""Experiments by name: what each asks, its configuration and seeds, and how to run it again.

``python -m lessons_lib.experiments list`` shows them; ``run NAME`` measures what is missing and
writes the record that the book shows. A seed that is done is kept in the cache at once, so a run
that is stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lessons_lib import models, probes, results, text, training, vocabulary
from lessons_lib.configuration import Configuration, digest
from lessons_lib.download import cache_directory
from lessons_lib.model1 import fit_model1
from lessons_lib.results import Record, ResultError
from lessons_lib.stats import chance_agreement
from lessons_lib.toy_language import toy_dictionary

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class UniformTranslation(Configuration):
    """Chapter 3 at scale: what is learned about words with attention frozen uniform.

    Attributes:
        corpus: name for ``text.load_parallel``.
        source: language that is read.
        target: language that is written.
        max_words: longer pairs are left out.
        vocab_size: words kept on each side, the special symbols included.
        d_embed: width of embeddings.
        d_hidden: width of states.
        bidirectional: whether the encoder reads both ways, as the authors' translation model does.
        dropout: probability of dropping.
        batch_size: pairs in a batch.
        learning_rate: Adam's.
        steps: updates of each encoder-decoder.
        evaluate_every: steps between evaluations.
        pairs_measured: held-out pairs that are measured on.
        proxy_steps: updates of the bag-of-words proxy.
        proxy_learning_rate: Adam's, for the proxy.
        dictionary_words: the most frequent source words with a translation that are asked for.
        pairs_per_word: training pairs in which each of these words is looked at.
    """

    corpus: str = "multi30k"
    source: str = "de"
    target: str = "en"
    max_words: int = 15
    vocab_size: int = 3000
    d_embed: int = 256
    d_hidden: int = 256
    bidirectional: bool = True
    dropout: float = 0.2
    batch_size: int = 32
    learning_rate: float = 4e-3
    steps: int = 2000
    evaluate_every: int = 250
    pairs_measured: int = 256
    proxy_steps: int = 2000
    proxy_learning_rate: float = 1e-2
    dictionary_words: int = 300
    pairs_per_word: int = 4


@dataclass(frozen=True)
class Prepared:
    """A parallel corpus made ready: numbered pairs, vocabularies, a dictionary in numbers.

    Attributes:
        train: pairs to learn from.
        validation: pairs to measure on.
        source_vocab: words of the source language.
        target_vocab: words of the target language.
        dictionary: for source words (identifiers) the set of their right translations, the
            frequent words first.
    """

    train: vocabulary.EncodedPairs
    validation: vocabulary.EncodedPairs
    source_vocab: vocabulary.Vocabulary
    target_vocab: vocabulary.Vocabulary
    dictionary: Mapping[int, frozenset[int]]


def prepare(config: UniformTranslation) -> Prepared:
    """Load, cut into words and number what an experiment on translation needs."""
    corpus = text.load_parallel(config.corpus, config.source, config.target)
    held_out = text.load_parallel(config.corpus, config.source, config.target, split="val")
    source_vocab, target_vocab = (
        vocabulary.Vocabulary.build(map(vocabulary.words, side), max_size=config.vocab_size)
        for side in (corpus.source, corpus.target)
    )
    if config.corpus == "toy":
        entries = toy_dictionary(config.source, config.target)
    else:
        entries = text.load_dictionary(f"{config.source}-{config.target}")
    return Prepared(
        vocabulary.encode_parallel(corpus, source_vocab, target_vocab, config.max_words),
        vocabulary.encode_parallel(held_out, source_vocab, target_vocab, config.max_words),
        source_vocab,
        target_vocab,
        vocabulary.number_dictionary(entries, source_vocab, target_vocab),
    )


def uniform_translation(config: UniformTranslation, seed: int, progress: bool) -> Rows:
    """Train the proxy and a model with uniform attention from one seed; measure on held-out pairs.

    Metrics of the uniform model at each evaluated step: ``token_accuracy``; ``gold``, how often
    the lexical probe is largest at the position that the dictionary names; ``proxy`` and
    ``model1``, agreement A(beta^uf, .) with the two references; ``words``, the share of frequent
    words whose best translation is in the dictionary. At step 0 also what the references and
    guesses reach: ``proxy/gold``, ``proxy/words``, ``model1/gold``, ``model1/words``,
    ``diagonal/gold``, ``diagonal/proxy`` and ``chance``.
    """
    ready = prepare(config)
    sizes = len(ready.source_vocab), len(ready.target_vocab)
    held_out = ready.validation.batch(range(min(config.pairs_measured, len(ready.validation))))
    gold = probes.dictionary_gold(held_out, ready.dictionary)
    mask = probes.pair_mask(held_out, end_symbol=False)
    asked = dict(list(ready.dictionary.items())[: config.dictionary_words])
    sample = [ready.train.batch(ready.train.containing(asked, config.pairs_per_word))]

    proxy = models.build_bag_of_words(*sizes, seed=seed)
    schedule = training.TrainConfig(
        steps=config.proxy_steps, learning_rate=config.proxy_learning_rate
    )
    stream = ready.train.batches(config.batch_size, seed)
    training.train(proxy, stream, models.bag_loss, schedule, seed=seed, device="cpu")
    everything = ready.train.batch(range(len(ready.train)))
    tables = {
        "proxy": probes.proxy_table(proxy),
        "model1": fit_model1(everything.source, everything.target, *sizes).table,
    }
    known = {name: probes.table_probe(table, held_out) for name, table in tables.items()}
    near = probes.diagonal_guess(held_out)

    references = {f"{name}/gold": probes.attention_accuracy(b, gold) for name, b in known.items()}
    for name, table in tables.items():
        references[f"{name}/words"] = float(probes.ktiw(table, asked).mean())
    references["diagonal/gold"] = probes.attention_accuracy(near, gold)
    references["diagonal/proxy"] = probes.agreement(near, known["proxy"], mask)
    references["chance"] = chance_agreement(mask.sum(-1)[mask.any(-1)])
    rows = [{"seed": seed, "step": 0, "metric": k, "value": v} for k, v in references.items()]

    def measure(model: models.Seq2Seq) -> dict[str, float]:
        where = next(model.parameters()).device
        batch = held_out.to(where)
        beta = probes.lexical_probe(model, batch, scale="probability").cpu()
        table = probes.seq2seq_table(model, [part.to(where) for part in sample])
        return {
            "token_accuracy": probes.token_accuracy(model(batch).logits, batch),
            "gold": probes.attention_accuracy(beta, gold),
            "proxy": probes.agreement(beta, known["proxy"], mask),
            "model1": probes.agreement(beta, known["model1"], mask),
            "words": float(probes.ktiw(table, asked).mean()),
        }

    history = training.train(
        models.build(
            models.Seq2SeqConfig(
                *sizes,
                d_embed=config.d_embed,
                d_hidden=config.d_hidden,
                bidirectional=config.bidirectional,
                dropout=config.dropout,
                attention="uniform",
            ),
            seed,
        ),
        ready.train.batches(config.batch_size, seed),
        models.sequence_loss,
        training.TrainConfig(
            steps=config.steps,
            learning_rate=config.learning_rate,
            evaluate_every=config.evaluate_every,
        ),
        evaluate=measure,
        seed=seed,
        progress=f"seed {seed}" if progress else None,
    )
    return rows + [{"seed": seed, **row} for row in history.rows]


@dataclass(frozen=True)
class Experiment:
    """An experiment that can be run by name.

    Attributes:
        question: what it answers, in one line.
        config: how.
        seeds: those that the record holds. Settings were chosen on seed 0, which is not among them.
        measure: measures one seed: ``(config, seed, progress) -> rows``.
    """

    question: str
    config: Configuration
    seeds: tuple[int, ...]
    measure: Callable[[Any, int, bool], Rows]


REGISTRY: Mapping[str, Experiment] = {
    "uniform_translation": Experiment(
        "What does a model with frozen uniform attention learn about words?",
        UniformTranslation(),
        (1, 2, 3, 4),
        uniform_translation,
    ),
}
"""Name -> experiment. A name is also the file name of its record."""


def load(name: str) -> Record:
    """The record of a registered experiment, made with its present configuration.

    Raises:
        KeyError: no such experiment; the message lists those that are.
        ResultError: the record is missing, damaged or stale; the message names the command.
    """
    experiment = _known(name)
    record = results.load(name, config=experiment.config.to_dict())
    if record.seeds != experiment.seeds:
        raise ResultError(
            f"the result {name!r} is stale: expected seeds {experiment.seeds}, found "
            f"{record.seeds}; make it again with: python -m lessons_lib.experiments run {name}"
        )
    return record


def _known(name: str) -> Experiment:
    if name not in REGISTRY:
        raise KeyError(f"no experiment {name!r}; there is {', '.join(REGISTRY)}")
    return REGISTRY[name]


def run(
    name: str,
    *,
    seeds: Sequence[int] | None = None,
    directory: Path | None = None,
    progress: bool = True,
) -> Record:
    """Measure the seeds that are missing, one after the other, and join all into one record.

    Each seed that is done is kept under the cache directory, so that a stopped run goes on.

    Args:
        name: of a registered experiment.
        seeds: instead of the registered ones.
        directory: where seeds are kept; under ``download.cache_directory()`` if ``None``.
        progress: whether to show progress bars.

    Raises:
        KeyError: no such experiment.
    """
    experiment = _known(name)
    config = experiment.config.to_dict()
    kept = (directory or cache_directory() / "runs") / f"{name}-{digest(config)[:12]}"
    records = []
    for seed in experiment.seeds if seeds is None else seeds:
        part = f"{name}-seed-{seed}"
        try:
            record = results.load(part, directory=kept, config=config)
        except ResultError:
            began = time.perf_counter()
            rows = experiment.measure(experiment.config, seed, progress)
            record = results.make_record(
                part,
                config,
                rows,
                device=training.pick_device().type,
                wall_seconds=time.perf_counter() - began,
            )
            results.save(record, kept / f"{part}.json")
        records.append(record)
    return replace(results.merge(records), name=name)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m lessons_lib.experiments", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="show the experiments")
    runner = commands.add_parser("run", help="measure what is missing and write the record")
    runner.add_argument("name", choices=sorted(REGISTRY))
    runner.add_argument("--seeds", type=int, help="seeds 1 to N instead of the registered ones")
    runner.add_argument("--out", type=Path, help="directory of the record (default: the package)")
    options = parser.parse_args(arguments)
    if options.command == "list":
        for name, experiment in REGISTRY.items():
            sys.stdout.write(f"{name}  ({len(experiment.seeds)} seeds)  {experiment.question}\n")
        return 0
    if options.seeds is not None and options.out is None:
        parser.error("--seeds needs --out: the package keeps the registered seeds")
    chosen = None if options.seeds is None else range(1, options.seeds + 1)
    record = run(options.name, seeds=chosen)
    path = (options.out or results.PACKAGED) / f"{options.name}.json"
    results.save(record, path)
    sys.stdout.write(f"{len(record.rows)} rows of {len(record.seeds)} seeds written to {path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

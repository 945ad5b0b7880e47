"""Does attention go where words point that were given first? Translators of real captions.

A translator is first prepared: shown single source words, it learns to say of each what a table
t(o | i) says, through the path that the lexical probe looks at, ``readout([0; V h(i)])``. Queries,
keys and the decoder's recurrence are as they were. Then it is trained on captions as usual. The
arms differ in the table only; all have the same number of updates of either kind:

- ``model1``: IBM Model 1, fitted on the training pairs: the right words;
- ``dictionary``: a dictionary's translations of a word, all alike; other words as in the last arm;
- ``shuffled``: Model 1 with its rows exchanged among source words of like frequency;
- ``frequencies``: for each word how often each target word occurs: as much training, no words.

Hypotheses and rule were written before the runs: ``registered/2026-11-28-words-first.md``.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import Tensor

from lessons_lib import models, probes, training
from lessons_lib.lab import blocks, translation
from lessons_lib.lab.translation import Pairs, Translation, load_pairs
from lessons_lib.tasks import EOS, FIRST_WORD, UNK, Batch

Table = Literal["model1", "dictionary", "shuffled", "frequencies"]
BAND = 20
"""So many source words next to each other in frequency exchange their rows."""


@dataclass(frozen=True)
class WordsFirst(Translation):
    """A translator that is given words first; one seed is one run, so ``runs`` has no effect."""

    table: Table = "model1"  #: what it is prepared with, see the head of the module
    prepare_steps: int = 500  #: updates of the preparation
    prepare_words: int = 64  #: source words in each of them


def exchanged(size: int, seed: int) -> Tensor:
    """For each source word another one of like frequency, int64 ``(size,)``, a permutation.

    Words are numbered by falling frequency. Special symbols stay, and a word without a neighbour.
    """
    generator = torch.Generator().manual_seed(seed)
    found = torch.arange(size)
    for band in torch.arange(FIRST_WORD, size).split(BAND):
        order = band[torch.randperm(len(band), generator=generator)]
        found[order] = order.roll(1)
    return found


def tables(ready: Pairs, seed: int) -> dict[str, Tensor]:
    """What each arm is prepared with: rows that sum to 1, float ``(source_vocab, target_vocab)``.

    A word of which a table says nothing, and the unknown word, gets target words' frequencies.
    """
    sizes = ready.sizes
    counts = torch.bincount(ready.train.target_ids, minlength=sizes[1]).double()
    frequencies = (counts / counts.sum()).expand(sizes)
    dictionary = torch.zeros(sizes, dtype=torch.float64)
    for word, translations in (ready.dictionary or {}).items():
        dictionary[word, list(translations)] = 1 / len(translations)
    model1 = translation.model1(ready.train, sizes)
    found = {"model1": model1, "dictionary": dictionary, "frequencies": frequencies}
    for name, table in found.items():
        said = (table.sum(1, keepdim=True) > 0).index_fill(0, torch.tensor([UNK]), False)
        found[name] = torch.where(said, table, frequencies).float()
    return {**found, "shuffled": found["model1"][exchanged(sizes[0], seed)]}


def words_alone(ready: Pairs, count: int, seed: int) -> Iterator[Batch]:
    """Sources of a single word, drawn as often as it occurs; their targets mean nothing."""
    generator = torch.Generator().manual_seed(seed)
    ids = ready.train.source_ids
    end = torch.full((count, 1), EOS)
    while True:
        yield Batch(ids[torch.randint(len(ids), (count, 1), generator=generator)], end)


def said_of_words(model: models.Seq2Seq, words: Tensor) -> Tensor:
    """Logits of the output for source words alone, ``(words, vocab)``: ``readout([0; V h])``."""
    states, _ = model.encode(words[:, None], torch.ones_like(words[:, None], dtype=torch.bool))
    context = model.merge(model.values(states))[:, 0]
    return model.readout(torch.zeros_like(context[:, : model.config.d_hidden]), context)


def run_words_first(config: WordsFirst, seed: int) -> training.History:
    """Prepare and train one translator.

    At each checkpoint on held-out pairs: ``accuracy``, ``spread`` of attention, and those of
    ``translation.judged`` by dictionary (``gold``), Model 1 (``m1``) and its shuffled rows
    (``wrong``). At step 0 also ``prepared``, the last loss of the preparation less the table's
    entropy.
    """
    began = time.perf_counter()
    ready = load_pairs(config)
    given = tables(ready, seed)
    table = given[config.table]

    def loss(model: models.Seq2Seq, batch: Batch) -> Tensor:
        words = batch.source[:, 0]
        rows = table.to(words.device)[words]
        log_p = said_of_words(model, words).log_softmax(-1)
        missed: Tensor = (torch.special.xlogy(rows, rows) - rows * log_p).sum(-1).mean()
        return missed

    def prepare(model: models.Seq2Seq) -> None:
        stream = words_alone(ready, config.prepare_words, seed)
        steps = config.prepare_steps
        how = replace(blocks.schedule(config), steps=steps, evaluate_every=steps, also_evaluate=())
        history = training.train(model, stream, loss, how, seed=seed)
        rows.extend({**row, "step": 0, "metric": "prepared"} for row in history.rows)

    rows: list[blocks.Row] = []
    _, run, _ = translation.train_translator(config, ready, "learned", seed, prepare=prepare)
    held_out = ready.held_out
    wanted = {"m1": given["model1"], "wrong": given["shuffled"]}
    judges = {k: probes.table_probe(one, held_out.batch) for k, one in wanted.items()}
    curves = {"accuracy": run.performance, "spread": blocks.spreads(held_out, run)}
    curves |= translation.judged(held_out, run, judges, ready.gold)
    rows += blocks.as_rows(run.steps, curves)
    return blocks.ended(rows, config.steps, began)


def words_given() -> dict[str, WordsFirst]:
    """Captions; what differs is the table that a translator is prepared with."""
    looks = (50, 100, 150, 200, 250, 300, 400, 500, 600, 700, 800, 1000, 1250, 1500)
    usual = WordsFirst(steps=2000, checkpoints=looks, reported_on=300, learning_rate=1e-3)
    return {table: replace(usual, scaled_scores=False, table=table) for table in get_args(Table)}

"""The authors' translator, trained and compared as theirs but for what its scale lists.

A source is the begin symbol, pieces, the end symbol, all of which can be attended to; the end of
the target is an output word like any other, also where agreement is counted.

What ``translation/*.py`` of the authors' code really computes, where that is not obvious:

- The proxy's training loss sums the log-probabilities of *all* entries of the padded target, begin
  symbol and padding, too; its validation loss has pieces and end symbol only. Its probe is the
  softmax of embeddings times output weights, without the bias.
- Delta is the derivative of the log-probability, unlike in their classification scripts.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lessons_lib import models, probes, training
from lessons_lib.config import Configuration, digest
from lessons_lib.corpora import batches, loaders, vocabulary
from lessons_lib.lab import blocks, long_runs
from lessons_lib.lab.decoding import translate
from lessons_lib.lab.saliency import saliency
from lessons_lib.lab.translation import JUDGED, KINDS, candidates, judged, model1
from lessons_lib.tasks import BOS, Batch

CHECKPOINTS = (0, 50, 100, 500, 1000, 1500, *range(2000, 20001, 2000), *range(24000, 36001, 4000))
"""The authors' checkpoints on Multi30k."""


@dataclass(frozen=True)
class Translator(Configuration):
    """The authors' translator on a corpus; the defaults are their setting on captions."""

    corpus: str = "multi30k"  #: this and the languages: as in ``loaders.load_parallel``
    source: str = "de"
    target: str = "en"
    runs: int = 2  #: ordinary runs in a block, two or more, and as many uniform ones
    pieces: int = 8000  #: size of the sentencepiece vocabulary that both languages share
    width: int = 256
    layers: int = 2
    dropout: float = 0.5  #: between layers
    batch_size: int = 16
    order: batches.Order = "random"  #: of pairs, see ``batches.EncodedPairs.batches``
    learning_rate: float = 1e-3
    bfloat16: bool = False
    steps: int = 36000  #: updates at most
    checkpoints: tuple[int, ...] = CHECKPOINTS  #: steps to look at, besides 0 and the last
    patience: int = 36000  #: fewer updates if validation accuracy stood still for so many
    measured_on: int = 1014  #: pairs that are compared, of validation, held out and training each
    beam: int = 5  #: of the search whose output BLEU is computed of
    proxy_epochs: int = 30  #: of the bag-of-words proxy, whose best epoch is taken
    proxy_batch_size: int = 64

    def build(self, attention: str, seed: int) -> models.Seq2Seq:
        """The encoder-decoder with learned or uniform attention, before training."""
        shape = models.Seq2SeqConfig(
            *(self.pieces, self.pieces, self.width, self.width),
            layers=self.layers,
            bidirectional=True,
            bridge="mean",
            shared_embeddings=True,
            dropout=self.dropout,
            dropout_at="layers",
            readout="relu",
            attention=attention,  # type: ignore[arg-type]  # checked there
        )
        return models.build(shape, seed)

    def folder(self, *without: str) -> Path:
        """Where files lie that depend on the configuration, some of its fields left out."""
        fields = {key: value for key, value in self.to_dict().items() if key not in without}
        return long_runs.directory() / "translators" / digest(fields)[:16]


_AFTER = ("runs", "steps", "patience", "measured_on", "beam", "proxy_epochs", "proxy_batch_size")
"""Fields on which a translator does not depend, or only by how long it is trained."""


@dataclass(frozen=True)
class Ready:
    """A corpus in pieces: pairs to learn from, to watch accuracy on, and to compare on."""

    train: batches.EncodedPairs
    validation: batches.EncodedPairs
    held_out: blocks.HeldOut[Batch]  #: of the validation part, which choose, test, and training
    references: dict[str, list[str]]  #: for each part its target sentences as plain text
    subwords: vocabulary.Subwords


def prepare(config: Translator) -> Ready:
    """Load a corpus, find its pieces in both sides of the training part, and number it."""
    of, names = (config.corpus, config.source, config.target), ("choosing", "shown", "seen")
    corpora = [loaders.load_parallel(*of, split) for split in ("val", "test", "train")]
    lines = [*corpora[-1].target, *corpora[-1].source]
    subwords = vocabulary.train_subwords(lines, config.pieces)
    encoded = [batches.encode_parallel(corpus, subwords, subwords) for corpus in corpora]
    val, _, train = encoded
    sample = random.Random(1).sample(range(len(train)), min(len(corpora[0]), len(train)))
    parts, references = [], {}
    for name, corpus, pairs in zip(names, corpora, encoded, strict=True):
        rows = (sample if pairs is train else [*range(len(pairs))])[: config.measured_on]
        parts.append(pairs.batch(rows))
        references[name] = [corpus.target[i] for i in pairs.index[rows].tolist()]
    held_out = blocks.HeldOut(blocks.joined(parts), len(parts[0]), len(parts[2]), end_symbol=True)
    return Ready(train, val, held_out, references, subwords)


def accuracy(model: models.Seq2Seq, pairs: batches.EncodedPairs) -> float:
    """Share of all output words of some pairs that get the largest logit, the end symbol too."""
    right, where = 0, next(model.parameters()).device
    for batch in pairs.batches(64, seed=0, epochs=1):
        some = batch.to(where)
        hit = model(some).logits.argmax(-1) == some.target
        right += int(hit[some.target_mask].sum())
    return right / len(pairs.target_ids)


def train_translator(
    config: Translator, ready: Ready, attention: str, seed: int
) -> tuple[Path, dict[int, float]]:
    """Train a translator, or go on: its folder, and validation accuracy at each checkpoint."""
    folder = config.folder(*_AFTER) / f"{attention}-{seed}"
    found = long_runs.train_kept(
        config.build(attention, seed),
        lambda skip: ready.train.batches(config.batch_size, seed, order=config.order, skip=skip),
        *(models.sequence_loss, blocks.schedule(config), folder),
        validate=lambda model: accuracy(model, ready.validation),
        patience=config.patience,
        seed=seed,
    )
    return folder, found


def look(config: Translator, ready: Ready, model: models.Seq2Seq) -> dict[str, Any]:
    """What a translator shows: attention, beta, and for each part its accuracy and its BLEU."""
    batch, parts = ready.held_out.batch, ready.held_out.parts
    attention = torch.zeros(*batch.target.shape, batch.source.shape[1])
    beta, hits = torch.zeros_like(attention), torch.zeros_like(batch.target)
    where = next(model.parameters()).device
    with probes.evaluating(model):
        for rows, short in blocks.by_length(batch, 32):
            out = model(short.to(where))
            tgt, src = out.attention.shape[2:]
            attention[rows, :tgt, :src] = out.attention.mean(1).cpu()
            hits[rows, :tgt] = (out.logits.argmax(-1).cpu() == short.target).long()
            found = probes.lexical_probe(model, short.to(where), scale="probability")
            beta[rows, :tgt, :src] = found.cpu()
    right, words = hits * batch.target_mask, batch.target_mask
    return {
        "attention": attention,
        "beta": beta,
        "accuracy": {part: float(right[at].sum() / words[at].sum()) for part, at in parts.items()},
        "bleu": {part: bleu(config, ready, model, part) for part in parts},
    }


def bleu(config: Translator, ready: Ready, model: models.Seq2Seq, part: str) -> float:
    """BLEU of a part by sacrebleu with its defaults, 0 to 100."""
    import sacrebleu

    batch = ready.held_out.batch[ready.held_out.parts[part]]
    where = next(model.parameters()).device
    written = [""] * len(batch)
    for rows, short in blocks.by_length(batch, 32):
        found = translate(model, short.source.to(where), beam=config.beam)
        for row, words in zip(rows.tolist(), found, strict=True):
            written[row] = ready.subwords.decode(words)
    # Forced: it would warn that references may be cut into words, as one of the corpora is.
    return float(sacrebleu.corpus_bleu(written, [ready.references[part]], force=True).score)


def trace(config: Translator, ready: Ready, kind: str, seed: int, measure: str) -> blocks.Trace:
    """A translator's trace, with ``"accuracy"`` or ``"bleu"`` as its performance."""
    batch, parts = ready.held_out.batch, ready.held_out.parts
    folder, found = train_translator(config, ready, kind, seed)
    model = config.build(kind, seed)

    def shown(what: str, step: int, show: Callable[[], Any]) -> Any:
        """What there is to see at a checkpoint, kept in a file."""

        def make() -> Any:
            path = long_runs.weights(folder, step)
            model.load_state_dict(torch.load(path, weights_only=True))
            return show()

        return long_runs.kept(folder / f"{what}-{step:06d}.pt", make)

    looks, delta = f"seen-{config.measured_on}-{config.beam}", f"delta-{config.measured_on}"
    seen = [shown(looks, step, lambda: look(config, ready, model)) for step in found]
    by_part = {part: [one[measure][part] for one in seen] for part in parts}
    run = blocks.Trace([*found], by_part.pop("shown"), by_part)
    run.beta, run.seconds = [one["beta"] for one in seen], long_runs.seconds(folder)
    if kind == "learned":
        run.attention = [one["attention"] for one in seen]
        for best in {run.gold(part) for part in parts}:
            run.saliency[best] = shown(delta, run.steps[best], lambda: saliency(model, batch))
    return run


def wait_for_all(runs: Sequence[blocks.Trace]) -> None:
    """Give all traces the checkpoints of the longest: a run that has ended stays as it is."""
    longest = max((run.steps for run in runs), key=len)
    for run in runs:
        lists: list[list[Any]] = [run.performance, run.attention, run.beta, *run.elsewhere.values()]
        for values in lists:
            values.extend(values[-1:] * (len(longest) - len(run.steps)))
        run.steps = longest


def proxy_table(config: Translator, ready: Ready, seed: int) -> Tensor:
    """The authors' proxy: for each piece p(o | i), ``(pieces, pieces)``, of the best epoch."""
    proxy = models.build_bag_of_words(config.pieces, config.pieces, seed, d_embed=config.width)
    optimizer = training.adam(proxy.parameters(), 1e-3)
    per_epoch = -(-len(ready.train) // config.proxy_batch_size)
    stream = ready.train.batches(config.proxy_batch_size, seed, order="random")
    least, best = float("inf"), torch.empty(0)
    for _ in range(config.proxy_epochs):
        for batch in islice(stream, per_epoch):
            optimizer.zero_grad(set_to_none=True)
            all_entries = torch.cat([torch.full_like(batch.target[:, :1], BOS), batch.target], 1)
            loss = -proxy(batch).log_softmax(-1).gather(1, all_entries).sum()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            on_validation = sum(
                float(models.bag_loss(proxy, batch) * batch.target_mask.sum())
                for batch in ready.validation.batches(64, seed=0, epochs=1)
            )
            if on_validation < least:
                least = on_validation
                best = (proxy.embedding.weight @ proxy.output.weight.T).softmax(-1)
    return best


def run_translator(config: Translator, seed: int) -> training.History:
    """One block of the authors' translators and all that the paper's table compares.

    Run k has the seed ``block * runs + k``. Weights, and what was seen of them, are kept. Metrics
    are those of ``blocks.compare``; under ``bleu/`` xi and performance with BLEU for accuracy; by
    Model 1 those of ``translation.judged`` and ``blocks.lag`` of each run.
    """
    began = time.perf_counter()
    ready = prepare(config)
    seeds = range(seed * config.runs, (seed + 1) * config.runs)

    def cooccurrence() -> dict[str, Tensor]:
        m1 = model1(ready.train, (config.pieces, config.pieces)).float()
        return candidates({"px": proxy_table(config, ready, seed), "m1": m1}, ready.held_out.batch)

    folder = config.folder("runs", "beam", "steps", "patience")
    references = long_runs.kept(folder / f"references-{seed}.pt", cooccurrence)
    rows: list[blocks.Row] = []
    for prefix, measure in (("", "accuracy"), ("bleu/", "bleu")):
        learned, uniform = (
            [trace(config, ready, kind, one, measure) for one in seeds] for kind in KINDS
        )
        wait_for_all([*learned, *uniform])
        by_performance = ("xi", "accuracy", "uniform/accuracy")
        rows += [
            {**row, "metric": prefix + row["metric"]}
            for row in blocks.compare(ready.held_out, learned, uniform, references)
            if not prefix or row["metric"].startswith(by_performance)
        ]
    judges = {"m1": references["m1"]}
    for k, run in enumerate(learned):
        curves = judged(ready.held_out, run, judges)
        ktiw, attention = (curves[f"{x}/m1"] for x in JUDGED)
        found = blocks.lag(run.steps, ktiw, attention, blocks.spreads(ready.held_out, run))
        rows += blocks.as_rows(run.steps, {**curves, **found}, f"#{k}")
    return blocks.ended(rows, max(row["step"] for row in rows), began, *learned, *uniform)


def translators() -> dict[str, Translator]:
    """The authors' translator on captions and on a pair in which position says little.

    The Japanese corpus is not theirs: sentencepiece, and BLEU, see words separated by blanks.
    """
    captions = Translator(order="source", steps=18000, patience=4000, measured_on=300)
    # Sentencepiece finds no more than 7,072 pieces in it.
    japanese = replace(captions, corpus="small_parallel_enja", source="ja", pieces=7000)
    return {"de-en": captions, "ja-en": japanese}

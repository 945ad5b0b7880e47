"""The translation experiment: word knowledge before attention, and what foretells where it goes."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from torch import Tensor

from lessons_lib import agreement, models, probes, training
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
JUDGED = ("ktiw", "attention")


@dataclass(frozen=True)
class OnPairs(Configuration):
    """What experiments on sentence pairs in words share."""

    corpus: str = "multi30k"  #: this and the languages: as in ``loaders.load_parallel``
    source: str = "de"
    target: str = "en"
    max_words: int = 15  #: longer pairs are left out
    vocab_size: int = 3000  #: words kept on each side, the special symbols included
    bidirectional: bool = True
    dropout: float = 0.2
    batch_size: int = 32
    learning_rate: float = 4e-3
    steps: int = 2000
    proxy_steps: int = 2000  #: of the bag-of-words proxy
    proxy_learning_rate: float = 1e-2
    dictionary_words: int = 300  #: so many frequent source words with a translation are asked for
    pairs_per_word: int = 4  #: training pairs in which each of these words is looked at


@dataclass(frozen=True)
class UniformTranslation(OnPairs):
    """Chapter 3 at scale: what is learned about words with attention frozen uniform."""

    d_embed: int = 256
    d_hidden: int = 256
    evaluate_every: int = 250
    pairs_measured: int = 256


@dataclass(frozen=True)
class Translation(OnPairs):
    """The paper's comparison on sentence pairs, at a size for a processor."""

    steps: int = 700
    proxy_steps: int = 1500
    dictionary_words: int = 100
    pairs_per_word: int = 2
    runs: int = 4  #: runs in a block, two or more
    width: int = 128
    scaled_scores: bool = True
    checkpoints: tuple[int, ...] = CHECKPOINTS  #: further steps to look at, besides 0 and the last
    chosen_on: int = 50  #: held-out pairs that choose a checkpoint
    reported_on: int = 150  #: held-out pairs that are reported on


@dataclass(frozen=True)
class Pairs:
    """A parallel corpus made ready for the comparison: to learn from, to measure on."""

    train: batches.EncodedPairs
    held_out: blocks.HeldOut[Batch]
    source_vocab: vocabulary.Vocabulary
    target_vocab: vocabulary.Vocabulary
    #: source word (identifier) -> its right translations, the frequent words first
    dictionary: Mapping[int, frozenset[int]] | None
    #: right position of each held-out output word by alignment or dictionary, ``(batch, tgt)``
    gold: Tensor | None

    @property
    def sizes(self) -> tuple[int, int]:
        """Words of the source and of the target language."""
        return len(self.source_vocab), len(self.target_vocab)


def prepare_pairs(
    config: Translation,
    train: ParallelCorpus,
    val: ParallelCorpus,
    test: ParallelCorpus,
    dictionary: Mapping[str, frozenset[str]] | None,
) -> Pairs:
    """Number three parts of a parallel corpus, a ``ValueError`` if no pair of one fits."""
    (pairs, *held_out), source, target = _numbered(config, (train, val, test))
    sizes = zip(held_out, (config.chosen_on, config.reported_on), strict=True)
    parts = [part.batch(range(len(part))[:most]) for part, most in sizes]
    batch = blocks.joined(parts)
    entries, gold = None, batch.gold
    if dictionary is not None:
        entries = vocabulary.number_dictionary(dictionary, source, target)
        gold = probes.dictionary_gold(batch, entries) if gold is None else gold
    return Pairs(pairs, blocks.HeldOut(batch, len(parts[0])), source, target, entries, gold)


def _numbered(
    config: OnPairs, parts: Sequence[ParallelCorpus]
) -> tuple[list[batches.EncodedPairs], vocabulary.Vocabulary, vocabulary.Vocabulary]:
    """Parts of a corpus by the vocabularies of the first, and these."""
    source, target = (
        vocabulary.Vocabulary.build(map(vocabulary.words, side), max_size=config.vocab_size)
        for side in (parts[0].source, parts[0].target)
    )
    encode = batches.encode_parallel
    return [encode(part, source, target, config.max_words) for part in parts], source, target


def _loaded(
    config: OnPairs, *splits: str
) -> tuple[list[ParallelCorpus], dict[str, frozenset[str]] | None]:
    """Parts of a corpus, and the dictionary that there is for it."""
    languages, pair = (config.source, config.target), f"{config.source}-{config.target}"
    parts = [loaders.load_parallel(config.corpus, *languages, split) for split in splits]
    if config.corpus == "toy":
        return parts, toy_dictionary(*languages)
    return parts, loaders.load_dictionary(pair) if pair in ("de-en", "en-de") else None


def load_pairs(config: Translation) -> Pairs:
    """``prepare_pairs`` for a corpus of this course, with the dictionary that there is for it."""
    (train, val, test), dictionary = _loaded(config, "train", "val", "test")
    return prepare_pairs(config, train, val, test, dictionary)


def _asked(
    config: OnPairs, train: batches.EncodedPairs, dictionary: Mapping[int, frozenset[int]]
) -> tuple[dict[int, frozenset[int]], Batch]:
    """The frequent words of a dictionary that stand in pairs to learn from, and such pairs."""
    frequent = dict(islice(dictionary.items(), config.dictionary_words))
    sample = train.batch(train.containing(frequent, config.pairs_per_word))
    there = set(sample.source.unique().tolist())  # short sentences do not have all of them
    return {word: right for word, right in frequent.items() if word in there}, sample


def train_translator(
    config: Translation,
    ready: Pairs,
    attention: str,
    seed: int,
    progress: str | None = None,
    prepare: Callable[[models.Seq2Seq], object] | None = None,
) -> tuple[models.Seq2Seq, blocks.Trace, list[float]]:
    """One translator from one seed, its trace on the held-out pairs, and the words it knows.

    Twins, of either of ``KINDS``, share start and batches. ``prepare`` is done with the model
    before. Words known: at each checkpoint the share of frequent words whose best translation is in
    the dictionary, if there is one. Performance is accuracy of the next word.
    """
    shape = models.Seq2SeqConfig(
        *(*ready.sizes, config.width, config.width),
        bidirectional=config.bidirectional,
        dropout=config.dropout,
        scaled_scores=config.scaled_scores,
        attention=attention,  # type: ignore[arg-type]  # checked there
        heads=getattr(config, "heads", 1),
    )
    trace, known = blocks.Trace(blocks.checkpoints(config)), list[float]()
    asked, sample = _asked(config, ready.train, ready.dictionary or {})

    def look(model: models.Seq2Seq) -> dict[str, float]:
        where, shown = next(model.parameters()).device, ready.held_out.shown
        batch = ready.held_out.batch.to(where)
        out = model(batch)
        trace.performance.append(probes.token_accuracy(out.logits[shown], batch[shown]))
        trace.beta.append(probes.lexical_probe(model, batch, scale="probability").cpu())
        if attention == "learned":
            trace.attention.append(out.attention.mean(1).cpu())
            if asked:
                table = probes.seq2seq_table(model, [sample.to(where)])
                known.append(float(probes.ktiw(table, asked).mean()))
        return {}

    model, stream = models.build(shape, seed), ready.train.batches(config.batch_size, seed)
    if prepare is not None:
        prepare(model)
    how, loss = blocks.schedule(config), models.sequence_loss
    training.train(model, stream, loss, how, evaluate=look, seed=seed, progress=progress)
    return model, trace, known


def model1(train: batches.EncodedPairs, sizes: tuple[int, int]) -> Tensor:
    """The table of IBM Model 1 fitted on all pairs, ``sizes``: source and target words."""
    everything = train.batch(range(len(train)))
    return fit_model1(everything.source, everything.target, *sizes).table


def cooccurrence_tables(
    config: OnPairs, train: batches.EncodedPairs, sizes: tuple[int, int], seed: int
) -> dict[str, Tensor]:
    """``px``, the bag-of-words proxy trained from the seed, and ``m1``, IBM Model 1."""
    proxy = models.build_bag_of_words(*sizes, seed=seed)
    schedule = training.TrainConfig(config.proxy_steps, config.proxy_learning_rate)
    stream = train.batches(config.batch_size, seed)
    training.train(proxy, stream, models.bag_loss, schedule, seed=seed, device="cpu")
    return {"px": probes.proxy_table(proxy), "m1": model1(train, sizes)}


def candidates(tables: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
    """Candidates ``(batch, tgt, src)``: of tables, and the ``diagonal``, which knows no words."""
    found = {name: probes.table_probe(table, batch) for name, table in tables.items()}
    return {**found, "diagonal": probes.diagonal_guess(batch)}


def judged(
    held_out: blocks.HeldOut[Batch],
    run: blocks.Trace,
    judges: Mapping[str, Tensor],
    gold: Tensor | None = None,
) -> dict[str, list[float]]:
    """How often probe and attention of a run are on top where a judge is, at each checkpoint.

    ``ktiw/NAME`` and ``attention/NAME`` for each judge ``(batch, tgt, src)``, and under the name
    ``gold`` for right positions ``(batch, tgt)``.
    """
    curves, rows = dict[str, list[float]](), held_out.shown
    for kind, shown in zip(JUDGED, (run.beta, run.attention), strict=True):
        for name, judge in judges.items():
            curves[f"{kind}/{name}"] = held_out.agreements(judge, shown)
        if gold is not None:
            right = [probes.attention_accuracy(one[rows], gold[rows]) for one in shown]
            curves[f"{kind}/gold"] = right
    return curves


def compare_translators(
    config: Translation, ready: Pairs, block: int, *, progress: bool = False
) -> training.History:
    """Train a block of translators with their uniform twins and compare them.

    Run k has the seed ``block * runs + k``. Metrics are those of ``blocks.compare`` (references
    ``px``, ``m1``, ``diagonal``) and of ``judged`` by Model 1 and ``gold``; ``ktiw/words`` where a
    dictionary is there; ``blocks.lag`` between the gold curves (else those of Model 1).
    """
    began = time.perf_counter()
    held_out = ready.held_out
    learned, uniform, words = [], [], []
    for k in range(config.runs):
        seed = block * config.runs + k
        labels = [f"run {k}, {kind} attention" if progress else None for kind in KINDS]
        model, trace, known = train_translator(config, ready, "learned", seed, labels[0])
        batch = held_out.batch.to(training.pick_device())
        trace.saliency[trace.gold("choosing")] = saliency(model, batch).cpu()
        learned.append(trace)
        words.append(known)
        uniform.append(train_translator(config, ready, "uniform", seed, labels[1])[1])
    tables = cooccurrence_tables(config, ready.train, ready.sizes, block)
    references = candidates(tables, held_out.batch)
    rows = blocks.compare(held_out, learned, uniform, references)
    kind = "m1" if ready.gold is None else "gold"
    for k, run in enumerate(learned):
        curves = judged(held_out, run, {"m1": references["m1"]}, ready.gold)
        one, other = (curves[f"{x}/{kind}"] for x in JUDGED)
        found = blocks.lag(run.steps, one, other, blocks.spreads(held_out, run))
        shown = {"ktiw/words": words[k]} if words[k] else {}
        rows += blocks.as_rows(run.steps, {**curves, **shown, **found}, f"#{k}")
    return blocks.ended(rows, config.steps, began)


def run_translation(config: Translation, seed: int) -> training.History:
    """One block of runs on a corpus of this course; see ``compare_translators``."""
    return compare_translators(config, load_pairs(config), seed)


def uniform_translation(config: UniformTranslation, seed: int) -> training.History:
    """Train the proxy and a model with uniform attention from one seed; measure on held-out pairs.

    Metrics at each evaluated step: ``token_accuracy``; ``gold``, how often the lexical probe is
    largest where the dictionary says; ``proxy`` and ``model1``, agreement A(beta^uf, .) with the
    two; ``words``, as in ``train_translator``. At step 0 also what proxy, Model 1 and the diagonal
    reach, as ``proxy/gold``, and ``chance``.
    """
    parts, entries = _loaded(config, "train", "val")
    (train, val), source, target = _numbered(config, parts)
    dictionary = vocabulary.number_dictionary(entries or {}, source, target)
    sizes = len(source), len(target)
    held_out = val.batch(range(len(val))[: config.pairs_measured])
    gold = probes.dictionary_gold(held_out, dictionary)
    mask = probes.pair_mask(held_out, end_symbol=False)
    asked, sample = _asked(config, train, dictionary)
    found = cooccurrence_tables(config, train, sizes, seed)
    tables = {"proxy": found["px"], "model1": found["m1"]}
    known = candidates(tables, held_out)

    def share_known(table: Tensor) -> float:
        return float(probes.ktiw(table, asked).mean())

    once = {f"{name}/gold": probes.attention_accuracy(beta, gold) for name, beta in known.items()}
    once |= {f"{name}/words": share_known(table) for name, table in tables.items()}
    once["diagonal/proxy"] = agreement.agreement(known["diagonal"], known["proxy"], mask)
    once["chance"] = agreement.chance_agreement(mask.sum(-1)[mask.any(-1)])

    def measure(model: models.Seq2Seq) -> dict[str, float]:
        where = next(model.parameters()).device
        batch = held_out.to(where)
        beta = probes.lexical_probe(model, batch, scale="probability").cpu()
        return {
            "token_accuracy": probes.token_accuracy(model(batch).logits, batch),
            "gold": probes.attention_accuracy(beta, gold),
            "words": share_known(probes.seq2seq_table(model, [sample.to(where)])),
            **{name: agreement.agreement(beta, known[name], mask) for name in tables},
        }

    shape = models.Seq2SeqConfig(
        *(*sizes, config.d_embed, config.d_hidden),
        bidirectional=config.bidirectional,
        dropout=config.dropout,
        attention="uniform",
    )
    stream = train.batches(config.batch_size, seed)
    schedule = replace(blocks.schedule(config), evaluate_every=config.evaluate_every)
    model, loss = models.build(shape, seed), models.sequence_loss
    history = training.train(model, stream, loss, schedule, evaluate=measure, seed=seed)
    return replace(history, rows=(*blocks.as_rows([0], once), *history.rows))


def translations() -> dict[str, Translation]:
    """Captions in both directions and from Czech, and the embedded corpus with its gold."""
    return {
        "de-en": Translation(),
        "en-de": Translation(source="en", target="de"),
        "cs-en": Translation(source="cs"),
        "toy-de-en": Translation(corpus="toy"),
    }

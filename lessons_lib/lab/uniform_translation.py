"""What a model whose attention is frozen uniform learns about words from sentence pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from lessons_lib import agreement, models, probes, training
from lessons_lib.config import Configuration
from lessons_lib.corpora import batches, loaders, vocabulary
from lessons_lib.corpora.toy_language import toy_dictionary
from lessons_lib.ibm_model1 import fit_model1


@dataclass(frozen=True)
class UniformTranslation(Configuration):
    """Chapter 3 at scale: what is learned about words with attention frozen uniform.

    Attributes:
        corpus: name for ``loaders.load_parallel``.
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
class PreparedTranslation:
    """A parallel corpus made ready: numbered pairs, vocabularies, a dictionary in numbers.

    Attributes:
        train: pairs to learn from.
        validation: pairs to measure on.
        source_vocab: words of the source language.
        target_vocab: words of the target language.
        dictionary: for source words (identifiers) the set of their right translations, the
            frequent words first.
    """

    train: batches.EncodedPairs
    validation: batches.EncodedPairs
    source_vocab: vocabulary.Vocabulary
    target_vocab: vocabulary.Vocabulary
    dictionary: Mapping[int, frozenset[int]]


def prepare(config: UniformTranslation) -> PreparedTranslation:
    """Load, cut into words and number what an experiment on translation needs."""
    corpus = loaders.load_parallel(config.corpus, config.source, config.target)
    held_out = loaders.load_parallel(config.corpus, config.source, config.target, split="val")
    source_vocab, target_vocab = (
        vocabulary.Vocabulary.build(map(vocabulary.words, side), max_size=config.vocab_size)
        for side in (corpus.source, corpus.target)
    )
    if config.corpus == "toy":
        entries = toy_dictionary(config.source, config.target)
    else:
        entries = loaders.load_dictionary(f"{config.source}-{config.target}")
    return PreparedTranslation(
        batches.encode_parallel(corpus, source_vocab, target_vocab, config.max_words),
        batches.encode_parallel(held_out, source_vocab, target_vocab, config.max_words),
        source_vocab,
        target_vocab,
        vocabulary.number_dictionary(entries, source_vocab, target_vocab),
    )


def uniform_translation(config: UniformTranslation, seed: int) -> training.History:
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
    references["diagonal/proxy"] = agreement.agreement(near, known["proxy"], mask)
    references["chance"] = agreement.chance_agreement(mask.sum(-1)[mask.any(-1)])
    rows = tuple({"step": 0, "metric": k, "value": v} for k, v in references.items())

    def measure(model: models.Seq2Seq) -> dict[str, float]:
        where = next(model.parameters()).device
        batch = held_out.to(where)
        beta = probes.lexical_probe(model, batch, scale="probability").cpu()
        table = probes.seq2seq_table(model, [part.to(where) for part in sample])
        return {
            "token_accuracy": probes.token_accuracy(model(batch).logits, batch),
            "gold": probes.attention_accuracy(beta, gold),
            "proxy": agreement.agreement(beta, known["proxy"], mask),
            "model1": agreement.agreement(beta, known["model1"], mask),
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
    )
    return replace(history, rows=rows + history.rows)

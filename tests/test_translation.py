"""The translation experiment on a handful of sentences: what is trained, measured and named."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lessons_lib import models, probes
from lessons_lib.corpora import loaders
from lessons_lib.corpora.files import ParallelCorpus
from lessons_lib.corpora.toy_language import toy_dictionary, toy_parallel
from lessons_lib.corpora.vocabulary import words
from lessons_lib.ibm_model1 import fit_model1
from lessons_lib.lab import blocks, mirror, translated, translation
from lessons_lib.lab.copying import extended
from lessons_lib.lab.translation import Pairs, Translation, compare_translators, train_translator
from lessons_lib.tasks import EOS, PAD, Batch
from lessons_lib.training import History

Patch = pytest.MonkeyPatch
Corpora = list[ParallelCorpus]
TINY = Translation(
    corpus="toy", runs=2, max_words=9, vocab_size=60, width=6, batch_size=8, learning_rate=0.02,
    steps=12, checkpoints=(3, 8), chosen_on=7, reported_on=13, proxy_steps=15,
    proxy_learning_rate=0.05, dictionary_words=10, pairs_per_word=2,
)  # fmt: skip
DICTIONARY = toy_dictionary("de", "en")


def plain(parts: Corpora) -> Corpora:
    """Without alignments: as on real text."""
    return [replace(part, alignment=None) for part in parts]


def made_ready(parts: Corpora, entries: Any) -> Pairs:
    train, val, test = parts
    return translation.prepare_pairs(TINY, train, val, test, entries)


@pytest.fixture(scope="module")
def parts() -> Corpora:
    corpus, rows = toy_parallel(250, seed=3), (slice(160), slice(160, 200), slice(200, 250))
    sides = ("source", "target", "alignment")
    return [replace(corpus, **{s: getattr(corpus, s)[some] for s in sides}) for some in rows]


@pytest.fixture(scope="module")
def ready(parts: Corpora) -> Pairs:
    return made_ready(plain(parts), DICTIONARY)


def values(history: History, metric: str) -> dict[int, float]:
    return {row["step"]: row["value"] for row in history.rows if row["metric"] == metric}


def gold_of(ready: Pairs) -> Tensor:
    assert ready.gold is not None
    return ready.gold


def test_parts_are_numbered_by_the_first(ready: Pairs, parts: Corpora) -> None:
    assert (len(ready.source_vocab), len(ready.target_vocab)) == (60, 60)
    held_out = ready.held_out
    assert (held_out.choosing, len(held_out.batch)) == (7, 20)
    expected: list[tuple[list[int], list[int]]] = []
    for corpus, most in ((parts[1], 7), (parts[2], 13)):
        pairs = zip(map(words, corpus.source), map(words, corpus.target), strict=True)
        short = [(s, t) for s, t in pairs if max(len(s), len(t)) <= 9]
        assert most < len(short) < len(corpus), "some are too long, enough are left"
        expected += [
            (ready.source_vocab.encode(s), [*ready.target_vocab.encode(t), EOS])
            for s, t in short[:most]
        ]
    found = zip(held_out.batch.source, held_out.batch.target, strict=True)
    assert [(s[s != PAD].tolist(), t[t != PAD].tolist()) for s, t in found] == expected
    known = {word for line in parts[0].source for word in words(line)}
    assert set(ready.source_vocab.words[4:]) <= known


def test_a_gold_alignment_comes_before_a_dictionary(ready: Pairs, parts: Corpora) -> None:
    aligned = made_ready(parts, DICTIONARY)
    batch = aligned.held_out.batch
    assert batch.gold is not None
    assert torch.equal(gold_of(aligned), batch.gold)
    assert aligned.dictionary is not None
    expected = probes.dictionary_gold(ready.held_out.batch, aligned.dictionary)
    assert torch.equal(gold_of(ready), expected)
    assert not torch.equal(gold_of(aligned), gold_of(ready))
    train, val, test = plain(parts)
    nothing = made_ready([train, val, test], None)
    assert (nothing.gold, nothing.dictionary) == (None, None)
    # An alignment of one held-out part alone serves nobody.
    assert made_ready([train, parts[1], test], None).gold is None
    # Where both name a position, it is nearly always the same.
    both = (gold_of(aligned) >= 0) & (gold_of(ready) >= 0)
    assert float((gold_of(aligned) == gold_of(ready))[both].double().mean()) > 0.9


def test_a_run_is_seen_at_its_checkpoints(ready: Pairs) -> None:
    model, trace, known = train_translator(TINY, ready, "learned", 5)
    assert trace.steps == [0, 3, 8, 12]
    assert {len(x) for x in (trace.performance, trace.attention, trace.beta, known)} == {4}
    batch, shown = ready.held_out.batch, ready.held_out.shown
    shape = (20, batch.target.shape[1], batch.source.shape[1])
    assert {tuple(x.shape) for x in trace.attention + trace.beta} == {shape}
    with probes.evaluating(model):
        out = model(batch)
    torch.testing.assert_close(trace.attention[-1], out.attention[:, 0])
    beta = probes.lexical_probe(model, batch, scale="probability")
    torch.testing.assert_close(trace.beta[-1], beta)
    right = (out.logits.argmax(-1) == batch.target)[shown][batch.target_mask[shown]]
    assert trace.performance[-1] == pytest.approx(float(right.double().mean()))
    c = model.config
    assert (c.d_embed, c.d_hidden, c.bidirectional, c.scaled_scores) == (6, 6, True, True)
    # KTIW: the ten most frequent words with a translation, each in up to two training pairs.
    assert ready.dictionary is not None
    asked = dict(list(ready.dictionary.items())[:10])
    sample = ready.train.batch(ready.train.containing(asked, 2))
    table = probes.seq2seq_table(model, [sample])
    best = probes.top_translations(table, torch.tensor(list(asked)))[:, 0].tolist()
    hits = [o in allowed for o, allowed in zip(best, asked.values(), strict=True)]
    assert known[-1] == pytest.approx(sum(hits) / 10)


def test_twins_start_alike_and_see_the_same_batches(ready: Pairs, monkeypatch: Patch) -> None:
    seen: list[Tensor] = []
    honest = models.sequence_loss

    def spy(model: models.Seq2Seq, batch: Batch) -> Tensor:
        seen.append(batch.target)
        return honest(model, batch)

    monkeypatch.setattr(models, "sequence_loss", spy)
    _, run, _ = train_translator(TINY, ready, "learned", 5)
    _, twin, known = train_translator(TINY, ready, "uniform", 5)
    assert torch.equal(run.beta[0], twin.beta[0])
    assert not torch.equal(run.beta[-1], twin.beta[-1])
    assert (twin.attention, known) == ([], [])
    assert len(seen) == 24
    assert all(map(torch.equal, seen[:12], seen[12:]))
    _, other, _ = train_translator(TINY, ready, "learned", 6)
    assert not torch.equal(run.beta[0], other.beta[0])


def references(ready: Pairs, block: int) -> dict[str, Tensor]:
    tables = translation.cooccurrence_tables(TINY, ready.train, ready.sizes, block)
    return translation.candidates(tables, ready.held_out.batch)


@pytest.mark.parametrize("pair", ["random", "identical", "both"])
def test_two_heads_are_a_pair_from_the_start(
    ready: Pairs, pair: mirror.Pair, monkeypatch: Patch
) -> None:
    """A head and its image cancel where both look at one position: the probe is flat at step 0."""
    config = extended(TINY, translated.PairTranslation, pair=pair)
    _, run, _ = train_translator(
        config, ready, "learned", 5, prepare=lambda model: mirror.pair_up(model, pair)
    )
    inside = ready.held_out.mask
    start, end = (
        (probe.where(inside, 0).amax(-1) - probe.where(inside, 2).amin(-1))[inside.any(-1)].max()
        for probe in (run.beta[0], run.beta[-1])
    )
    assert (start < 1e-6) == (pair == "both")
    assert end > 1e-4
    monkeypatch.setattr(translation, "load_pairs", lambda _: ready)
    told = translated.run_translated(config, 5)
    shown = ready.held_out.shown
    expected = probes.attention_accuracy(run.attention[-1][shown], gold_of(ready)[shown])
    assert values(told, "attention/gold")[TINY.steps] == pytest.approx(expected)
    assert values(told, "accuracy")[TINY.steps] == run.performance[-1]
    with pytest.raises(ValueError, match="expected two heads, found 3"):
        replace(config, heads=3)


def test_references_that_look_at_no_sentence(ready: Pairs) -> None:
    found = references(ready, 4)
    assert found.keys() == {"px", "m1", "diagonal"}
    batch = ready.held_out.batch
    everything = ready.train.batch(range(len(ready.train)))
    table = fit_model1(everything.source, everything.target, 60, 60).table
    for row, t, at in ((0, 1, 2), (9, 3, 0), (19, 0, 1)):
        pair = table[batch.source[row, at], batch.target[row, t]]
        assert float(found["m1"][row, t, at]) == pytest.approx(float(pair))
    assert torch.equal(found["diagonal"], probes.diagonal_guess(batch))
    px = found["px"][ready.held_out.mask]
    assert 0 <= float(px.min()) < float(px.max()) <= 1
    again, other = (references(ready, seed)["px"] for seed in (4, 5))
    assert torch.equal(found["px"], again)
    assert not torch.equal(found["px"], other)


def test_a_corpus_comes_with_the_dictionary_there_is(monkeypatch: Patch, parts: Corpora) -> None:
    """The embedded corpus has its own; Wiktionary's is of German and English."""
    by_split = dict(zip(("train", "val", "test"), parts, strict=True))
    monkeypatch.setattr(loaders, "load_parallel", lambda *name: by_split[name[-1]])
    known = {"de-en": {"hund": frozenset({"dog"})}}
    monkeypatch.setattr(loaders, "load_dictionary", lambda languages: known[languages])
    for corpus, source, entries in (
        ("toy", "de", DICTIONARY),
        ("multi30k", "de", known["de-en"]),
        ("multi30k", "cs", None),
    ):
        ready = translation.load_pairs(replace(TINY, corpus=corpus, source=source))
        assert ready.dictionary == made_ready(parts, entries).dictionary


@pytest.mark.parametrize("with_gold", [True, False])
def test_curves_and_lags(ready: Pairs, with_gold: bool) -> None:
    """Between the curves by gold positions where there are any, else those by Model 1."""
    ready = ready if with_gold else replace(ready, gold=None, dictionary=None)
    history = compare_translators(TINY, ready, 1)
    m1, shown = references(ready, 1)["m1"], ready.held_out.shown
    for k in range(2):
        _, trace, known = train_translator(TINY, ready, "learned", 2 + k)  # block 1 of two runs
        curves: dict[str, list[float]] = {"ktiw/words": known} if with_gold else {}
        for name, seen in (("ktiw", trace.beta), ("attention", trace.attention)):
            curves[f"{name}/m1"] = [ready.held_out.agree(m1, one) for one in seen]
            if with_gold:
                gold = gold_of(ready)[shown]
                hits = [(one[shown].argmax(-1) == gold)[gold >= 0] for one in seen]
                curves[f"{name}/gold"] = [float(hit.double().mean()) for hit in hits]
        for name, curve in curves.items():
            assert list(values(history, f"{name}#{k}").values()) == pytest.approx(curve), name
        single, by_m1 = (
            blocks.lag(trace.steps, curves[f"ktiw/{kind}"], curves[f"attention/{kind}"])
            for kind in ("gold" if with_gold else "m1", "m1")
        )
        if single:
            spread = list(values(history, f"spread#{k}").values())
            single["spread/at-ktiw"] = float(np.interp(single["rise/ktiw"], trace.steps, spread))
        if by_m1:
            single["lag/m1"] = by_m1["lag"]
        for name in ("rise/ktiw", "rise/attention", "lag", "lag/m1", "spread/at-ktiw"):
            there = {12: pytest.approx(single[name])} if name in single else {}
            assert values(history, f"{name}#{k}") == there


def test_what_uniform_attention_learns(parts: Corpora, monkeypatch: Patch) -> None:
    config = translation.UniformTranslation(
        corpus="toy", max_words=9, vocab_size=60, d_embed=7, d_hidden=5, batch_size=8, steps=6,
        evaluate_every=3, pairs_measured=19, proxy_steps=10, dictionary_words=11, pairs_per_word=2,
    )  # fmt: skip
    by_split = dict(zip(("train", "val", "test"), plain(parts), strict=True))
    monkeypatch.setattr(loaders, "load_parallel", lambda *name: by_split[name[-1]])
    history = translation.uniform_translation(config, 3)
    measured = {"token_accuracy", "gold", "proxy", "model1", "words"}
    once = {f"{name}/{kind}" for name in ("proxy", "model1") for kind in ("gold", "words")}
    once |= {"diagonal/gold", "diagonal/proxy", "chance"}
    assert {row["metric"] for row in history.rows} == measured | once | {"loss"}
    for name in measured | once:
        assert list(values(history, name)) == ([0, 3, 6] if name in measured else [0]), name
    assert all(0 <= row["value"] <= 1 for row in history.rows if row["metric"] != "loss")
    assert translation.uniform_translation(config, 3).rows == history.rows
    assert translation.uniform_translation(config, 4).rows != history.rows

"""The translation experiment on a handful of sentences: what is trained, measured and named."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from test_copying import noted
from torch import Tensor

from lessons_lib import models, probes
from lessons_lib.corpora import loaders
from lessons_lib.corpora.files import ParallelCorpus
from lessons_lib.corpora.toy_language import toy_dictionary, toy_parallel
from lessons_lib.corpora.vocabulary import words
from lessons_lib.lab import blocks, mirror, translated, translation
from lessons_lib.lab.copying import extended
from lessons_lib.lab.translation import Pairs, Translation, compare_translators, train_translator
from lessons_lib.tasks import EOS, PAD
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
    assert held_out.choosing == 7
    expected: list[tuple[list[int], list[int]]] = []
    for corpus, most in ((parts[1], 7), (parts[2], 13)):
        pairs = zip(map(words, corpus.source), map(words, corpus.target), strict=True)
        short = [(s, t) for s, t in pairs if max(len(s), len(t)) <= 9]
        assert most < len(short) < len(corpus), "some are too long, enough are left"
        expected += [
            ([*map(ready.source_vocab.index, s)], [*map(ready.target_vocab.index, t), EOS])
            for s, t in short[:most]
        ]
    found = zip(held_out.batch.source, held_out.batch.target, strict=True)
    assert [(s[s != PAD].tolist(), t[t != PAD].tolist()) for s, t in found] == expected


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


def test_a_run_is_seen_at_its_checkpoints(ready: Pairs) -> None:
    model, trace, known = train_translator(TINY, ready, "learned", 5)
    assert trace.steps == [0, 3, 8, 12]
    assert {len(x) for x in (trace.performance, trace.attention, trace.beta, known)} == {4}
    batch, shown = ready.held_out.batch, ready.held_out.shown
    with probes.evaluating(model):
        out = model(batch)
    torch.testing.assert_close(trace.attention[-1], out.attention[:, 0])
    beta = probes.lexical_probe(model, batch, scale="probability")
    torch.testing.assert_close(trace.beta[-1], beta)
    right = (out.logits.argmax(-1) == batch.target)[shown][batch.target_mask[shown]]
    assert trace.performance[-1] == pytest.approx(float(right.double().mean()))


def test_twins_start_alike_and_see_the_same_batches(ready: Pairs, monkeypatch: Patch) -> None:
    seen = noted(monkeypatch, models, "sequence_loss", lambda _, batch: batch.target)
    _, run, _ = train_translator(TINY, ready, "learned", 5)
    _, twin, known = train_translator(TINY, ready, "uniform", 5)
    assert torch.equal(run.beta[0], twin.beta[0])
    assert not torch.equal(run.beta[-1], twin.beta[-1])
    assert (twin.attention, known) == ([], [])
    assert len(seen) == 24
    assert all(map(torch.equal, seen[:12], seen[12:]))


def references(ready: Pairs, block: int) -> dict[str, Tensor]:
    tables = translation.cooccurrence_tables(TINY, ready.train, ready.sizes, block)
    return translation.candidates(tables, ready.held_out.batch)


@pytest.mark.parametrize("pair", ["random", "identical", "both"])
def test_two_heads_are_a_pair_from_the_start(
    ready: Pairs, pair: mirror.Pair, monkeypatch: Patch
) -> None:
    config = extended(TINY, translated.PairTranslation, pair=pair)
    _, run, _ = train_translator(
        config, ready, "learned", 5, prepare=lambda model: mirror.pair_up(model, pair)
    )
    monkeypatch.setattr(translation, "load_pairs", lambda _: ready)
    told = translated.run_translated(config, 5)
    shown = ready.held_out.shown
    for name, seen in (("ktiw", run.beta), ("attention", run.attention)):
        expected = probes.attention_accuracy(seen[-1][shown], gold_of(ready)[shown])
        assert values(told, f"{name}/gold")[TINY.steps] == pytest.approx(expected)
    assert values(told, "accuracy")[TINY.steps] == run.performance[-1]


@pytest.mark.parametrize("with_gold", [True, False])
def test_curves_and_lags(ready: Pairs, with_gold: bool) -> None:
    """Between the curves by gold positions where there are any, else those by Model 1."""
    ready = ready if with_gold else replace(ready, gold=None, dictionary=None)
    history = compare_translators(TINY, ready, 1)
    m1 = references(ready, 1)["m1"]
    for k in range(2):
        _, trace, known = train_translator(TINY, ready, "learned", 2 + k)  # block 1 of two runs
        curves = translation.judged(ready.held_out, trace, {"m1": m1}, ready.gold)
        curves |= {"ktiw/words": known} if with_gold else {}
        for name, curve in curves.items():
            assert list(values(history, f"{name}#{k}").values()) == pytest.approx(curve), name
        kind = "gold" if with_gold else "m1"
        single = blocks.lag(trace.steps, curves[f"ktiw/{kind}"], curves[f"attention/{kind}"])
        if single:
            spread = list(values(history, f"spread#{k}").values())
            single["spread/at-ktiw"] = float(np.interp(single["rise/ktiw"], trace.steps, spread))
        for name in ("rise/ktiw", "rise/attention", "lag", "spread/at-ktiw"):
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
    for name in ("token_accuracy", "gold", "proxy", "model1", "words"):
        assert list(values(history, name)) == [0, 3, 6], name
    assert all(0 <= row["value"] <= 1 for row in history.rows if row["metric"] != "loss")
    assert translation.uniform_translation(config, 3).rows == history.rows

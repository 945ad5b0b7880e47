"""The translation experiment on a handful of sentences: what is trained, measured and named."""

from __future__ import annotations

from collections.abc import Mapping
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
from lessons_lib.lab import blocks, translation
from lessons_lib.lab.translation import (
    Pairs,
    Translation,
    compare_translators,
    cooccurrence_probes,
    load_pairs,
    prepare_pairs,
    train_translator,
)
from lessons_lib.tasks import EOS, PAD, Batch
from lessons_lib.training import History

pytestmark = pytest.mark.usefixtures("one_thread_of_the_cpu")

TINY = Translation(
    corpus="toy",
    runs=2,
    max_words=9,
    vocab_size=60,
    width=6,
    batch_size=8,
    learning_rate=0.02,
    steps=12,
    checkpoints=(3, 8),
    chosen_on=7,
    reported_on=13,
    proxy_steps=15,
    proxy_learning_rate=0.05,
    dictionary_words=10,
    pairs_per_word=2,
)
DICTIONARY = toy_dictionary("de", "en")


def part(corpus: ParallelCorpus, first: int, size: int) -> ParallelCorpus:
    rows = slice(first, first + size)
    assert corpus.alignment is not None
    return replace(
        corpus,
        source=corpus.source[rows],
        target=corpus.target[rows],
        alignment=corpus.alignment[rows],
    )


def without_alignment(corpus: ParallelCorpus) -> ParallelCorpus:
    return replace(corpus, alignment=None)


def made_ready(
    parts: list[ParallelCorpus],
    dictionary: Mapping[str, frozenset[str]] | None,
    config: Translation = TINY,
) -> Pairs:
    train, val, test = parts
    return prepare_pairs(config, train, val, test, dictionary)


@pytest.fixture(scope="module")
def parts() -> list[ParallelCorpus]:
    corpus = toy_parallel(250, seed=3)
    return [part(corpus, 0, 160), part(corpus, 160, 40), part(corpus, 200, 50)]


@pytest.fixture(scope="module")
def ready(parts: list[ParallelCorpus]) -> Pairs:
    """With a dictionary, without alignments: as on real text."""
    plain = [without_alignment(corpus) for corpus in parts]
    return made_ready(plain, DICTIONARY)


@pytest.fixture(scope="module")
def history(ready: Pairs, one_thread_of_the_cpu: None) -> History:
    return compare_translators(TINY, ready, 1)


def values(history: History, metric: str) -> dict[int, float]:
    return {row["step"]: row["value"] for row in history.rows if row["metric"] == metric}


def gold_of(ready: Pairs) -> Tensor:
    assert ready.gold is not None
    return ready.gold


# --- the corpus made ready -------------------------------------------------------------------


def test_parts_are_numbered_by_the_words_of_the_first(
    ready: Pairs, parts: list[ParallelCorpus]
) -> None:
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


def test_a_gold_alignment_comes_before_a_dictionary(
    ready: Pairs, parts: list[ParallelCorpus]
) -> None:
    aligned = made_ready(parts, DICTIONARY)
    batch = aligned.held_out.batch
    assert batch.gold is not None
    assert torch.equal(gold_of(aligned), batch.gold)
    assert aligned.dictionary is not None
    expected = probes.dictionary_gold(ready.held_out.batch, aligned.dictionary)
    assert torch.equal(gold_of(ready), expected)
    assert not torch.equal(gold_of(aligned), gold_of(ready))
    # Where both name a position, it is nearly always the same.
    both = (gold_of(aligned) >= 0) & (gold_of(ready) >= 0)
    assert float((gold_of(aligned) == gold_of(ready))[both].double().mean()) > 0.9


def test_without_dictionary_or_alignment_nobody_knows(parts: list[ParallelCorpus]) -> None:
    plain = [without_alignment(corpus) for corpus in parts]
    found = made_ready(plain, None)
    assert found.gold is None
    assert found.dictionary is None
    # An alignment of one held-out part alone serves nobody.
    found = prepare_pairs(TINY, plain[0], parts[1], plain[2], None)
    assert found.gold is None
    assert found.held_out.batch.gold is None


def test_a_part_without_pairs_short_enough_is_refused(parts: list[ParallelCorpus]) -> None:
    with pytest.raises(ValueError, match="pairs of 1 to 2 pieces, found none among the 160"):
        made_ready(parts, None, replace(TINY, max_words=2))
    nothing = replace(parts[1], source=("",) * 40)
    with pytest.raises(ValueError, match="found none among the 40 of 'toy'"):
        prepare_pairs(TINY, parts[0], without_alignment(nothing), parts[2], None)


@pytest.mark.parametrize(
    ("corpus", "source", "dictionary"),
    [
        ("toy", "de", DICTIONARY),
        ("multi30k", "de", {"hund": frozenset({"dog"})}),
        ("multi30k", "cs", None),
    ],
)
def test_a_corpus_comes_with_the_dictionary_that_there_is(
    monkeypatch: pytest.MonkeyPatch,
    parts: list[ParallelCorpus],
    corpus: str,
    source: str,
    dictionary: Mapping[str, frozenset[str]] | None,
) -> None:
    """The embedded corpus has its own; Wiktionary's is of German and English."""
    asked: list[tuple[str, ...]] = []

    def load_parallel(*name: str) -> ParallelCorpus:
        asked.append(name)
        return parts[("train", "val", "test").index(name[-1])]

    def load_dictionary(languages: str) -> dict[str, frozenset[str]]:
        assert languages == "de-en"
        return {"hund": frozenset({"dog"})}

    monkeypatch.setattr(loaders, "load_parallel", load_parallel)
    monkeypatch.setattr(loaders, "load_dictionary", load_dictionary)
    ready = load_pairs(replace(TINY, corpus=corpus, source=source))
    assert asked == [(corpus, source, "en", split) for split in ("train", "val", "test")]
    expected = made_ready(parts, dictionary)
    assert ready.dictionary == expected.dictionary
    assert torch.equal(ready.held_out.batch.target, expected.held_out.batch.target)


def test_bad_configurations() -> None:
    with pytest.raises(ValueError, match="two runs or more, to compare them, found 0"):
        replace(TINY, runs=0)
    with pytest.raises(ValueError, match="unknown key 'd_hidden' in a Translation"):
        Translation.from_dict({"d_hidden": 3})


# --- one run ---------------------------------------------------------------------------------


def test_a_run_is_looked_at_before_at_checkpoints_and_at_the_end(ready: Pairs) -> None:
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


def test_twins_start_from_the_same_weights_and_see_the_same_batches(
    ready: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    assert all(torch.equal(a, b) for a, b in zip(seen[:12], seen[12:], strict=True))
    _, other, _ = train_translator(TINY, ready, "learned", 6)
    assert not torch.equal(run.beta[0], other.beta[0])


def test_references_that_look_at_no_sentence(ready: Pairs) -> None:
    found = cooccurrence_probes(TINY, ready, seed=4)
    assert found.keys() == {"px", "m1", "diagonal"}
    batch = ready.held_out.batch
    everything = ready.train.batch(range(len(ready.train)))
    table = fit_model1(everything.source, everything.target, 60, 60).table
    for row, t, at in ((0, 1, 2), (9, 3, 0), (19, 0, 1)):
        pair = table[batch.source[row, at], batch.target[row, t]]
        assert float(found["m1"][row, t, at]) == pytest.approx(float(pair))
    assert torch.equal(found["diagonal"], probes.diagonal_guess(batch))
    mask = ready.held_out.mask
    assert 0 <= float(found["px"][mask].min()) < float(found["px"][mask].max()) <= 1
    again, other = (cooccurrence_probes(TINY, ready, seed=s)["px"] for s in (4, 5))
    assert torch.equal(found["px"], again)
    assert not torch.equal(found["px"], other)


# --- a block ---------------------------------------------------------------------------------


FINAL = {
    *(f"A({p}){e}" for p in ("alpha,uf", "uf,px", "delta,uf") for e in ("", "/max")),
    *("A(alpha,uf)/low", "A(alpha,uf)/high", "A(alpha,shuffled)", "tau(alpha,uf)"),
    *("A(alpha,px)", "A(alpha,m1)", "A(alpha,diagonal)", "xi/passed", "xi*"),
}
CURVES = {
    *("own", "others", "uf", "spread", "accuracy", "uniform/accuracy"),
    *("ktiw/m1", "attention/m1"),
}
WITH_GOLD = {"ktiw/gold", "attention/gold", "ktiw/words"}


def test_every_metric_is_there(history: History) -> None:
    names = {row["metric"] for row in history.rows}
    for k in range(2):
        for name in CURVES | WITH_GOLD:
            assert list(values(history, f"{name}#{k}")) == [0, 3, 8, 12], name
        for name in FINAL:
            assert list(values(history, f"{name}#{k}")) == [12], name
        for name in ("A(alpha,uf)", "A(uf,px)", "A(delta,uf)"):
            assert history.last(f"{name}/max#{k}") >= history.last(f"{name}#{k}")
        assert (history.last(f"xi/passed#{k}") == 1) == (f"xi#{k}" in names)
    assert {name for name in names if "#" not in name} == {"chance"}
    assert all(row["value"] == row["value"] for row in history.rows)
    assert (history.steps, history.stopped_early, history.device) == (12, False, "cpu")


def test_curves_against_gold_and_model_1(history: History, ready: Pairs) -> None:
    m1 = cooccurrence_probes(TINY, ready, seed=1)["m1"]
    shown = ready.held_out.shown
    gold = gold_of(ready)[shown]
    for k in range(2):
        _, trace, known = train_translator(TINY, ready, "learned", 2 + k)  # block 1 of two runs
        expected: dict[str, list[float]] = {"ktiw/words": known}
        for name, seen in (("ktiw", trace.beta), ("attention", trace.attention)):
            expected[f"{name}/m1"] = [ready.held_out.agree(m1, one) for one in seen]
            expected[f"{name}/gold"] = [
                float((one[shown].argmax(-1) == gold)[gold >= 0].double().mean()) for one in seen
            ]
        for name, curve in expected.items():
            assert list(values(history, f"{name}#{k}").values()) == pytest.approx(curve), name
        lags = blocks.lag(trace.steps, expected["ktiw/gold"], expected["attention/gold"])
        for name in ("rise/ktiw", "rise/attention", "lag"):
            found = values(history, f"{name}#{k}")
            assert found == ({12: pytest.approx(lags[name])} if lags else {})
        if lags:
            spread = list(values(history, f"spread#{k}").values())
            at = float(np.interp(lags["rise/ktiw"], trace.steps, spread))
            assert values(history, f"spread/at-ktiw#{k}") == {12: pytest.approx(at)}
        by_m1 = blocks.lag(trace.steps, expected["ktiw/m1"], expected["attention/m1"])
        expected_lag = {12: pytest.approx(by_m1["lag"])} if by_m1 else {}
        assert values(history, f"lag/m1#{k}") == expected_lag


def test_without_gold_the_lag_is_that_against_model_1(
    parts: list[ParallelCorpus], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[list[float], list[float]]] = []

    def lag(steps: Any, ktiw: list[float], attention: list[float]) -> dict[str, float]:
        asked.append((ktiw, attention))
        return {"rise/ktiw": 3.0, "rise/attention": 5.0, "lag": 2.0}

    monkeypatch.setattr(blocks, "lag", lag)
    plain = [without_alignment(corpus) for corpus in parts]
    found = compare_translators(TINY, made_ready(plain, None), 1)
    names = {row["metric"] for row in found.rows}
    assert not names & {f"{name}#{k}" for name in WITH_GOLD for k in range(2)}
    assert {f"{name}#{k}" for name in FINAL | CURVES for k in range(2)} <= names
    for k in range(2):
        curves = tuple(
            [row["value"] for row in found.rows if row["metric"] == f"{name}/m1#{k}"]
            for name in ("ktiw", "attention")
        )
        assert asked[2 * k] == asked[2 * k + 1] == curves
        assert found.last(f"lag#{k}") == found.last(f"lag/m1#{k}") == 2.0


@pytest.mark.slow
def test_the_same_block_gives_the_same_history_whatever_ran_before(
    history: History, ready: Pairs
) -> None:
    torch.manual_seed(11)
    torch.rand(5)
    assert compare_translators(TINY, ready, 1).rows == history.rows
    assert compare_translators(TINY, ready, 2).rows != history.rows


def test_blocks_share_no_seed(ready: Pairs, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []
    honest = train_translator

    def spy(config: Translation, ready: Pairs, kind: str, seed: int, label: Any) -> Any:
        asked.append((kind, seed))
        return honest(config, ready, kind, seed, label)

    monkeypatch.setattr(translation, "train_translator", spy)
    small = replace(TINY, runs=3, steps=1, checkpoints=(), proxy_steps=1)
    for block in (1, 2):
        compare_translators(small, ready, block)
    for kind in ("learned", "uniform"):
        assert [seed for which, seed in asked if which == kind] == [3, 4, 5, 6, 7, 8]

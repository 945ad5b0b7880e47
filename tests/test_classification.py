"""The classification experiment on a handful of texts: what is trained, measured and named."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from lessons_lib import classifier, probes
from lessons_lib.corpora.files import LabelledCorpus
from lessons_lib.corpora.loaders import toy_labelled
from lessons_lib.corpora.vocabulary import words
from lessons_lib.lab import blocks, classification
from lessons_lib.lab.classification import (
    Classification,
    Prepared,
    compare_classifiers,
    load,
    prepare,
    train_classifier,
    word_tables,
)
from lessons_lib.tasks import PAD, UNK, LabelledBatch
from lessons_lib.training import History

pytestmark = pytest.mark.usefixtures("one_thread_of_the_cpu")

TINY = Classification(
    corpus="toy",
    positive="animal",
    runs=2,
    max_words=9,
    vocab_size=60,
    d_embed=6,
    d_hidden=5,
    batch_size=7,
    learning_rate=0.02,
    steps=12,
    checkpoints=(3, 8),
    chosen_on=11,
    reported_on=23,
    proxy_steps=15,
    proxy_learning_rate=0.05,
)


def part(first: int, size: int) -> LabelledCorpus:
    corpus = toy_labelled("val")
    rows = slice(first, first + size)
    return replace(corpus, texts=corpus.texts[rows], labels=corpus.labels[rows])


@pytest.fixture(scope="module")
def parts() -> list[LabelledCorpus]:
    return [part(0, 83), part(83, 29), part(112, 31)]


@pytest.fixture(scope="module")
def ready(parts: list[LabelledCorpus]) -> Prepared:
    return prepare(TINY, *parts)


@pytest.fixture(scope="module")
def history(ready: Prepared, one_thread_of_the_cpu: None) -> History:
    return compare_classifiers(TINY, ready, 1)


def values(history: History, metric: str) -> dict[int, float]:
    return {row["step"]: row["value"] for row in history.rows if row["metric"] == metric}


# --- the corpus made ready -------------------------------------------------------------------


def test_parts_are_numbered_by_the_words_of_the_first(
    ready: Prepared, parts: list[LabelledCorpus]
) -> None:
    assert len(ready.vocab) == 60
    assert len(ready.train) == 83
    held_out = ready.held_out
    assert (held_out.choosing, len(held_out.batch)) == (11, 34)
    assert ready.texts == parts[1].texts[:11] + parts[2].texts[:23]
    labels = parts[1].labels[:11] + parts[2].labels[:23]
    assert held_out.batch.label.tolist() == list(labels)
    for text, row in zip(ready.texts, held_out.batch.source, strict=True):
        assert row[row != PAD].tolist() == ready.vocab.encode(words(text))[:9]
    only_train = {word for text in parts[0].texts for word in words(text)}
    assert set(ready.vocab.words[4:]) <= only_train


def test_a_part_that_is_smaller_than_wanted_is_taken_whole(parts: list[LabelledCorpus]) -> None:
    found = prepare(replace(TINY, chosen_on=500, reported_on=500), *parts).held_out
    assert (found.choosing, len(found.batch)) == (29, 60)


def test_texts_without_words_are_passed_over(parts: list[LabelledCorpus]) -> None:
    holes = replace(parts[1], texts=("", *parts[1].texts[1:3], " ", *parts[1].texts[4:]))
    found = prepare(TINY, parts[0], holes, parts[2])
    assert found.texts[:11] == holes.texts[1:3] + holes.texts[4:13]
    assert found.held_out.choosing == 11


@pytest.mark.parametrize("wrong", range(3))
def test_a_class_that_is_missing_in_a_part(parts: list[LabelledCorpus], wrong: int) -> None:
    one_sided = replace(parts[wrong], labels=(0,) * len(parts[wrong]))
    given = [one_sided if k == wrong else corpus for k, corpus in enumerate(parts)]
    with pytest.raises(ValueError, match="texts of both sides in 'toy', found only 'not animal'"):
        prepare(TINY, *given)


def test_bad_configurations() -> None:
    with pytest.raises(ValueError, match="two runs or more, to compare them, found 1"):
        replace(TINY, runs=1)
    with pytest.raises(ValueError, match="unknown key 'epochs' in a Classification"):
        Classification.from_dict({"epochs": 3})


# --- one run ---------------------------------------------------------------------------------


def test_a_run_is_looked_at_before_at_checkpoints_and_at_the_end(ready: Prepared) -> None:
    model, trace = train_classifier(TINY, ready, "learned", 5)
    assert trace.steps == [0, 3, 8, 12]
    assert [len(x) for x in (trace.performance, trace.attention, trace.beta)] == [4, 4, 4]
    width = ready.held_out.batch.source.shape[1]
    assert {tuple(x.shape) for x in trace.attention + trace.beta} == {(34, 1, width)}
    with probes.evaluating(model):
        out = model(ready.held_out.batch)
    torch.testing.assert_close(trace.attention[-1], out.attention[:, 0])
    shown = ready.held_out.shown
    right = (out.score > 0) == (ready.held_out.batch.label == 1)
    assert trace.performance[-1] == pytest.approx(float(right[shown].double().mean()))
    sign = ready.held_out.batch.label * 2 - 1
    mask = ready.held_out.batch.source_mask
    found = trace.beta[-1][:, 0][mask]
    torch.testing.assert_close(found, (out.word_scores * sign[:, None])[mask])


def test_checkpoints_at_the_ends_or_beyond_are_no_more_looks(ready: Prepared) -> None:
    config = replace(TINY, steps=4, checkpoints=(0, 4, 2, 9))
    assert train_classifier(config, ready, "uniform", 5)[1].steps == [0, 2, 4]
    config = replace(TINY, steps=0, checkpoints=())
    assert train_classifier(config, ready, "uniform", 5)[1].steps == [0]


def test_twins_start_from_the_same_weights_and_see_the_same_batches(
    ready: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Tensor] = []
    honest = classifier.class_loss

    def spy(model: classifier.Classifier, batch: LabelledBatch) -> Tensor:
        seen.append(batch.source)
        return honest(model, batch)

    monkeypatch.setattr(classifier, "class_loss", spy)
    _, run = train_classifier(TINY, ready, "learned", 5)
    _, twin = train_classifier(TINY, ready, "uniform", 5)
    assert torch.equal(run.beta[0], twin.beta[0])
    assert not torch.equal(run.beta[-1], twin.beta[-1])
    assert twin.attention == []
    assert len(seen) == 24
    assert all(torch.equal(a, b) for a, b in zip(seen[:12], seen[12:], strict=True))
    _, other = train_classifier(TINY, ready, "learned", 6)
    assert not torch.equal(run.beta[0], other.beta[0])
    assert any(not torch.equal(a, b) for a, b in zip(seen[:12], seen[24:], strict=True))


def test_word_tables_know_which_words_speak_for_the_class(ready: Prepared) -> None:
    config = replace(TINY, proxy_steps=120)
    found = word_tables(config, ready, seed=1)
    assert found.keys() == {"px", "lr"}
    batch = ready.train.batch(range(83))
    for table in found.values():
        assert table.shape == (60,)
        assert not table.requires_grad
        scores = classifier.table_scores(table, batch) * batch.source_mask
        for_class, against = (scores.sum(1)[batch.label == k].mean() for k in (1, 0))
        assert float(for_class) > float(against) + 0.5
    again, other = word_tables(config, ready, seed=1), word_tables(config, ready, seed=2)
    assert torch.equal(found["px"], again["px"])
    assert not torch.equal(found["px"], other["px"])
    assert torch.equal(found["lr"], other["lr"]), "the regression draws nothing"


# --- a block ---------------------------------------------------------------------------------


def test_every_metric_is_there(history: History) -> None:
    names = {row["metric"] for row in history.rows}
    for k in range(2):
        final = {
            *(f"A({p}){e}" for p in ("alpha,uf", "uf,px", "delta,uf") for e in ("", "/max")),
            *("A(alpha,uf)/low", "A(alpha,uf)/high", "A(alpha,shuffled)", "tau(alpha,uf)"),
            *("A(alpha,px)", "A(alpha,lr)", "A(alpha,last)", "xi/passed", "xi*"),
        }
        assert {f"{name}#{k}" for name in final} <= names
        for name in ("own", "others", "uf", "ktiw", "spread", "accuracy", "uniform/accuracy"):
            assert list(values(history, f"{name}#{k}")) == [0, 3, 8, 12], name
        for name in final:
            assert list(values(history, f"{name}#{k}")) == [12], name
        for name in ("A(alpha,uf)", "A(uf,px)", "A(delta,uf)"):
            assert history.last(f"{name}/max#{k}") >= history.last(f"{name}#{k}")
        assert (history.last(f"xi/passed#{k}") == 1) == (f"xi#{k}" in names)
    assert {name for name in names if "#" not in name} == {"chance", "majority"}
    assert all(row["value"] == row["value"] for row in history.rows)
    assert (history.steps, history.stopped_early, history.device) == (12, False, "cpu")


def test_majority_is_the_share_of_the_larger_side(history: History, ready: Prepared) -> None:
    positive = sum(ready.held_out.batch.label.tolist()[11:])
    assert history.last("majority") == pytest.approx(max(positive, 23 - positive) / 23)


def test_ktiw_and_its_lag_come_from_the_run_itself(history: History, ready: Prepared) -> None:
    batch = ready.held_out.batch
    table = word_tables(TINY, ready, seed=1)["lr"]
    reference = classifier.speaking_for_label(classifier.table_scores(table, batch), batch)
    for k in range(2):
        _, trace = train_classifier(TINY, ready, "learned", 2 + k)  # block 1 of two runs
        curve = [ready.held_out.agree(reference, beta) for beta in trace.beta]
        assert list(values(history, f"ktiw#{k}").values()) == pytest.approx(curve)
        own = list(values(history, f"own#{k}").values())
        for name, number in blocks.lag(trace.steps, curve, own).items():
            assert values(history, f"{name}#{k}") == {12: pytest.approx(number)}


def test_the_same_block_gives_the_same_history_whatever_ran_before(
    history: History, ready: Prepared
) -> None:
    torch.manual_seed(11)
    torch.rand(5)
    assert compare_classifiers(TINY, ready, 1).rows == history.rows
    assert compare_classifiers(TINY, ready, 2).rows != history.rows


def test_blocks_share_no_seed(ready: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []
    honest = train_classifier

    def spy(config: Classification, ready: Prepared, kind: str, seed: int, label: Any) -> Any:
        asked.append((kind, seed))
        return honest(config, ready, kind, seed, label)

    monkeypatch.setattr(classification, "train_classifier", spy)
    small = replace(TINY, runs=3, steps=1, checkpoints=(), proxy_steps=1)
    for block in (1, 2):
        compare_classifiers(small, ready, block)
    for kind in ("learned", "uniform"):
        assert [seed for which, seed in asked if which == kind] == [3, 4, 5, 6, 7, 8]


def test_texts_of_one_word_and_of_unknown_words_do_no_harm(parts: list[LabelledCorpus]) -> None:
    strange = replace(
        parts[2], texts=("Dog", "qu vex zyx", "qu", *parts[2].texts[3:]), labels=parts[2].labels
    )
    ready = prepare(TINY, parts[0], parts[1], strange)
    assert ready.held_out.batch.source[12, :4].tolist() == [UNK, UNK, UNK, PAD]
    history = compare_classifiers(replace(TINY, steps=2, checkpoints=(), proxy_steps=2), ready, 1)
    assert all(row["value"] == row["value"] for row in history.rows)


@pytest.mark.skipif(
    not os.environ.get("LESSONS_DATA"), reason="LESSONS_DATA does not name the real corpora"
)
@pytest.mark.parametrize(("corpus", "positive"), [("sst2", "positive"), ("sms_spam", "spam")])
def test_real_texts_that_are_reported_on_have_both_classes(corpus: str, positive: str) -> None:
    config = Classification(corpus=corpus, positive=positive)
    ready = load(config)
    assert ready.held_out.choosing == config.chosen_on
    assert len(ready.held_out.batch) == config.chosen_on + config.reported_on
    for rows in (slice(config.chosen_on), ready.held_out.shown):
        assert 0.05 < float(ready.held_out.batch.label[rows].double().mean()) < 0.95

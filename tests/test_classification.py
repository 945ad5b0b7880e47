"""The classification experiment on a handful of texts: what is trained, measured and named."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lessons_lib import classifier, probes
from lessons_lib.corpora import sources
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
    run_classification,
    short,
    train_classifier,
)
from lessons_lib.lab.saliency import label_saliency
from lessons_lib.lab.word_tables import guesses, proxy_loss, table_scores, word_tables
from lessons_lib.models import build_bag_of_words
from lessons_lib.tasks import BOS, EOS, PAD, UNK, LabelledBatch
from lessons_lib.training import History

pytestmark = pytest.mark.usefixtures("one_thread_of_the_cpu")

TINY = Classification(
    corpus="toy",
    positive="animal",
    runs=3,
    uniform_runs=2,
    max_words=9,
    vocab_size=60,
    min_count=1,
    d_embed=6,
    d_hidden=8,
    batch_size=7,
    learning_rate=0.02,
    steps=12,
    checkpoints=(3, 8),
    chosen_on=11,
    reported_on=23,
    proxy_width=4,
    proxy_epochs=3,
    proxy_batch_size=10,
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
    assert held_out.parts == {
        "choosing": slice(11),
        "shown": slice(11, 34),
        "seen": slice(34, None),
    }
    assert ready.texts == parts[1].texts[:11] + parts[2].texts[:23]
    drawn = random.Random(1).sample(range(83), k=23)  # as the authors draw them
    texts = ready.texts + tuple(parts[0].texts[i] for i in drawn)
    labels = parts[1].labels[:11] + parts[2].labels[:23] + tuple(parts[0].labels[i] for i in drawn)
    assert held_out.batch.label.tolist() == list(labels)
    for text, row in zip(texts, held_out.batch.source, strict=True):
        assert row[row != PAD].tolist() == [BOS, *ready.vocab.encode(words(text))[:9], EOS]
    only_train = {word for text in parts[0].texts for word in words(text)}
    assert set(ready.vocab.words[4:]) <= only_train


def test_words_that_occur_often_enough_are_kept_without_limit(parts: list[LabelledCorpus]) -> None:
    found = prepare(replace(TINY, vocab_size=None, min_count=3), *parts).vocab
    everything = [word for text in parts[0].texts for word in words(text)]
    assert set(found.words[4:]) == {w for w in everything if everything.count(w) > 2}


def test_a_part_that_is_smaller_than_wanted_is_taken_whole(parts: list[LabelledCorpus]) -> None:
    found = prepare(replace(TINY, chosen_on=500, reported_on=500), *parts).held_out
    assert found.parts == {
        "choosing": slice(29),
        "shown": slice(29, 60),
        "seen": slice(60, None),
    }
    assert len(found.batch) == 91


def test_texts_without_words_are_passed_over(parts: list[LabelledCorpus]) -> None:
    holes = replace(parts[1], texts=("", *parts[1].texts[1:3], " ", *parts[1].texts[4:]))
    found = prepare(TINY, parts[0], holes, parts[2])
    assert found.texts[:11] == holes.texts[1:3] + holes.texts[4:13]
    assert found.held_out.choosing == 11


def test_texts_that_stand_in_an_earlier_part_are_passed_over(parts: list[LabelledCorpus]) -> None:
    """Also where they are written in another way."""
    train, val, test = parts
    val = replace(val, texts=(train.texts[40].upper(), *val.texts[1:]))
    test = replace(test, texts=(*val.texts[2:4], train.texts[7], *test.texts[3:]))
    found = prepare(TINY, train, val, test)
    assert found.texts == val.texts[1:12] + test.texts[3:26]


@pytest.mark.parametrize("wrong", range(3))
def test_a_class_that_is_missing_in_a_part(parts: list[LabelledCorpus], wrong: int) -> None:
    one_sided = replace(parts[wrong], labels=(0,) * len(parts[wrong]))
    given = [one_sided if k == wrong else corpus for k, corpus in enumerate(parts)]
    with pytest.raises(ValueError, match="texts of both sides in 'toy', found only 'not animal'"):
        prepare(TINY, *given)


def test_bad_configurations() -> None:
    with pytest.raises(ValueError, match="two runs or more, to compare them, found 1"):
        replace(TINY, runs=1)
    for wrong in (1, 4):
        with pytest.raises(ValueError, match=f"expected 2 to 3 uniform runs, .* found {wrong}"):
            replace(TINY, uniform_runs=wrong)
    with pytest.raises(ValueError, match="unknown key 'epochs' in a Classification"):
        Classification.from_dict({"epochs": 3})


def test_the_defaults_are_the_authors() -> None:
    """Read from their configuration, run scripts and code."""
    config = Classification()
    assert (config.d_embed, config.d_hidden, config.batch_size) == (300, 256, 32)
    assert (config.bidirectional, config.ends, config.max_words) == (True, True, None)
    assert (config.steps, config.learning_rate, config.bfloat16) == (4000, 1e-3, False)
    saved = sorted({0, 10, 50, 100, 150, 200, 250, *range(0, 4000, 250), 4000})
    assert sorted({0, config.steps, *config.checkpoints}) == saved
    assert (config.vocab_size, config.min_count) == (None, 3)
    assert (config.runs, config.reported_on) == (6, 4000)
    proxy = (config.proxy_width, config.proxy_batch_size, config.proxy_epochs)
    assert (*proxy, config.proxy_learning_rate) == (256, 64, 60, 1.5e-4)


# --- one run ---------------------------------------------------------------------------------


def test_a_run_is_looked_at_before_at_checkpoints_and_at_the_end(
    ready: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[classifier.Classifier] = []
    honest = classifier.class_loss

    def spy(model: classifier.Classifier, batch: LabelledBatch) -> Tensor:
        seen.append(model)
        return honest(model, batch)

    # Most accurate at the end, so that this is the model whose saliency is asked for.
    monkeypatch.setattr(classifier, "class_loss", spy)
    accuracies = iter(range(12))
    monkeypatch.setattr(classifier, "class_accuracy", lambda score, batch: next(accuracies))
    trace = train_classifier(TINY, ready, "learned", 5)
    assert trace.steps == [0, 3, 8, 12]
    assert [len(x) for x in (trace.performance, trace.attention, trace.beta)] == [4, 4, 4]
    assert (trace.performance, trace.elsewhere) == (
        [1, 4, 7, 10],
        {"choosing": [0, 3, 6, 9], "seen": [2, 5, 8, 11]},
    )
    batch, width = ready.held_out.batch, ready.held_out.batch.source.shape[1]
    assert {tuple(x.shape) for x in trace.attention + trace.beta} == {(57, 1, width)}
    with probes.evaluating(seen[-1]):
        out = seen[-1](batch)
    torch.testing.assert_close(trace.attention[-1], out.attention[:, 0])
    sign, mask = batch.label * 2 - 1, batch.source_mask
    found = trace.beta[-1][:, 0][mask]
    torch.testing.assert_close(found, (out.word_scores * sign[:, None])[mask])
    assert trace.saliency.keys() == {3}
    torch.testing.assert_close(trace.saliency[3], label_saliency(seen[-1], batch))


def test_saliency_is_there_at_each_gold_checkpoint_and_accuracy_by_hand(ready: Prepared) -> None:
    trace = train_classifier(replace(TINY, learning_rate=0.3), ready, "learned", 6)
    golds = {part: trace.gold(part) for part in ready.held_out.parts}
    assert trace.saliency.keys() == set(golds.values())
    assert len(trace.saliency) > 1, "else nothing was tested"
    sign = ready.held_out.batch.label * 2.0 - 1
    for part, rows in ready.held_out.parts.items():
        # beta is turned to the label, so a text is right if its score is positive (or 0 and 0).
        alpha, beta = (side[trace.gold(part)][rows, 0] for side in (trace.attention, trace.beta))
        score = (alpha * beta.masked_fill(alpha == 0, 0.0)).sum(1)
        right = torch.where(sign[rows] > 0, score > 0, score >= 0)
        found = trace.performance_on(part)[trace.gold(part)]
        assert found == pytest.approx(float(right.double().mean()))


def test_twins_start_from_the_same_weights_and_see_the_same_batches(
    ready: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Tensor] = []
    honest = classifier.class_loss

    def spy(model: classifier.Classifier, batch: LabelledBatch) -> Tensor:
        seen.append(batch.source)
        return honest(model, batch)

    monkeypatch.setattr(classifier, "class_loss", spy)
    run = train_classifier(TINY, ready, "learned", 5)
    twin = train_classifier(TINY, ready, "uniform", 5)
    assert torch.equal(run.beta[0], twin.beta[0])
    assert not torch.equal(run.beta[-1], twin.beta[-1])
    assert (twin.attention, twin.saliency) == ([], {})
    assert len(seen) == 24
    assert all(torch.equal(a, b) for a, b in zip(seen[:12], seen[12:], strict=True))
    other = train_classifier(TINY, ready, "learned", 6)
    assert not torch.equal(run.beta[0], other.beta[0])
    assert any(not torch.equal(a, b) for a, b in zip(seen[:12], seen[24:], strict=True))


@pytest.mark.slow
def test_word_tables_know_which_words_speak_for_the_class(ready: Prepared) -> None:
    config = replace(TINY, proxy_epochs=40)
    found = word_tables(config, ready, seed=1)
    assert found.keys() == {"px", "px/max", "lr", "lr/max"}
    batch = ready.train.batch(range(83))
    for name, table in found.items():
        assert table.shape == (60,)
        assert not table.requires_grad
        scores = table_scores(table, batch) * batch.source_mask
        for_class, against = (scores.sum(1)[batch.label == k].mean() for k in (1, 0))
        # The penalty that is chosen on a handful of texts may be a strong one.
        assert float(for_class) > float(against) + (0.5 if name.startswith("px") else 0.0)
    again, other = word_tables(config, ready, seed=1), word_tables(config, ready, seed=2)
    assert torch.equal(found["px"], again["px"])
    assert not torch.equal(found["px"], other["px"])
    assert torch.equal(found["lr"], other["lr"]), "the regression draws nothing"


def test_the_proxy_is_that_of_the_best_epoch_without_its_bias(ready: Prepared) -> None:
    """The same training written plainly; the step is large, so that later epochs are worse."""
    config = replace(TINY, proxy_epochs=6, proxy_learning_rate=0.5)
    proxy = build_bag_of_words(60, 1, 4, d_embed=4)
    adam = torch.optim.Adam(proxy.parameters(), lr=0.5)
    losses: dict[str, list[float]] = {"": [], "/max": []}
    tables: list[Tensor] = []
    for number, batch in enumerate(ready.train.batches(10, 4, 6, whole=False), start=1):
        adam.zero_grad()
        proxy_loss(proxy, batch).backward()
        adam.step()
        if number % 9 == 0:  # 83 texts: nine batches
            tables.append((proxy.embedding.weight @ proxy.output.weight[0]).detach())
            for suffix, part in (("", "choosing"), ("/max", "shown")):
                texts = ready.held_out.batch[ready.held_out.parts[part]]
                losses[suffix].append(float(proxy_loss(proxy, texts).detach()))
    found = word_tables(config, ready, seed=4)
    best = {suffix: values.index(min(values)) for suffix, values in losses.items()}
    for suffix, epoch in best.items():
        torch.testing.assert_close(found[f"px{suffix}"], tables[epoch], atol=1e-4, rtol=1e-4)
    assert min(best.values()) < 5, "else the choice is not tested"


def test_guesses_that_know_no_word_by_hand() -> None:
    source = torch.tensor([[BOS, 4, 5, 6, EOS, PAD], [BOS, 7, EOS, PAD, PAD, PAD]])
    batch = LabelledBatch(source, torch.tensor([1, 0]))
    mask = batch.source_mask[:, None]
    found = {
        name: guess.double().masked_fill(~mask, -torch.inf).argmax(-1)[:, 0].tolist()
        for name, guess in guesses(batch).items()
    }
    assert found == {"last": [3, 1], "first": [1, 1], "start": [0, 0], "end": [4, 2]}
    bare = LabelledBatch(source[:1, 1:4], torch.tensor([1]))
    assert guesses(bare).keys() == {"last", "first"}


# --- a block ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_metric_is_there(history: History) -> None:
    names = {row["metric"] for row in history.rows}
    final = {f"A({p})" for p in ("alpha,uf", "uf,px", "px,uf", "delta,uf", "-delta,uf", "lr,uf")}
    final |= {f"A(alpha,{u})" for u in ("beta", "px", "lr", "last", "first", "start", "end")}
    final |= {"A(alpha,shuffled)", "tau(alpha,uf)", "xi/passed", "xi*"}
    for k in range(3):
        for reading in blocks.READINGS:
            assert {f"{name}{reading}#{k}" for name in final} <= names
        for name in ("own", "others", "uf", "ktiw", "spread", "accuracy"):
            assert list(values(history, f"{name}#{k}")) == [0, 3, 8, 12], name
        for name in ("A(alpha,twin)#", "uniform/accuracy#"):
            assert (f"{name}{k}" in names) == (k < 2)
    assert {name for name in names if "#" not in name} == {"chance", "chance/train", "majority"}
    assert all(row["value"] == row["value"] for row in history.rows)
    assert (history.steps, history.stopped_early, history.device) == (12, False, "cpu")


@pytest.mark.slow
def test_ktiw_and_its_lag_come_from_the_run_itself(history: History, ready: Prepared) -> None:
    batch = ready.held_out.batch
    table = word_tables(TINY, ready, seed=1)["lr"]
    reference = classifier.speaking_for_label(table_scores(table, batch), batch)
    for k in range(3):
        trace = train_classifier(TINY, ready, "learned", 3 + k)  # block 1 of three runs
        curve = [ready.held_out.agree(reference, beta) for beta in trace.beta]
        assert list(values(history, f"ktiw#{k}").values()) == pytest.approx(curve)
        own = list(values(history, f"own#{k}").values())
        for name, number in blocks.lag(trace.steps, curve, own).items():
            assert values(history, f"{name}#{k}") == {12: pytest.approx(number)}


@pytest.mark.slow
def test_the_same_block_gives_the_same_history_whatever_ran_before(
    history: History, ready: Prepared
) -> None:
    torch.manual_seed(11)
    torch.rand(5)
    assert compare_classifiers(TINY, ready, 1).rows == history.rows
    assert compare_classifiers(TINY, ready, 2).rows != history.rows


QUICK = replace(TINY, steps=1, checkpoints=(), proxy_epochs=1)


def spied(monkeypatch: pytest.MonkeyPatch, allowed: int = 1000) -> list[tuple[str, int]]:
    """Which runs are trained; after so many the machine is switched off."""
    asked: list[tuple[str, int]] = []

    def spy(config: Classification, ready: Prepared, kind: Any, seed: int, label: Any) -> Any:
        if len(asked) == allowed:
            raise KeyboardInterrupt
        asked.append((kind, seed))
        return train_classifier(config, ready, kind, seed, label)

    monkeypatch.setattr(classification, "train_classifier", spy)
    return asked


@pytest.mark.slow
def test_blocks_share_no_seed(ready: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = spied(monkeypatch)
    for block in (1, 2):
        compare_classifiers(QUICK, ready, block)
    assert [seed for kind, seed in asked if kind == "learned"] == [3, 4, 5, 6, 7, 8]
    assert [seed for kind, seed in asked if kind == "uniform"] == [3, 4, 6, 7]


@pytest.mark.slow
def test_a_block_that_is_stopped_goes_on_where_it_was(
    ready: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LESSONS_CACHE", str(tmp_path))
    monkeypatch.setattr(classification, "load", lambda config: ready)
    asked = spied(monkeypatch, allowed=4)
    with pytest.raises(KeyboardInterrupt):
        run_classification(QUICK, 1)
    assert asked == [("learned", 3), ("learned", 4), ("learned", 5), ("uniform", 3)]
    (kept,) = (sources.cache_directory() / "runs").iterdir()
    names = ["learned-3.pt", "learned-4.pt", "learned-5.pt", "uniform-3.pt"]
    assert sorted(path.name for path in kept.iterdir()) == names
    asked = spied(monkeypatch)
    found = run_classification(QUICK, 1)
    assert asked == [("uniform", 4)]
    assert found.rows == compare_classifiers(QUICK, ready, 1).rows
    run_classification(replace(QUICK, learning_rate=0.03), 1)
    assert len(list(kept.parent.iterdir())) == 2, "another configuration, other runs"
    (kept / "uniform-4.pt").write_bytes(b"half a run")
    with pytest.raises(ValueError, match=r"uniform-4\.pt, found a damaged file; remove it"):
        run_classification(QUICK, 1)


@pytest.mark.slow
def test_texts_of_one_word_and_of_unknown_words_do_no_harm(parts: list[LabelledCorpus]) -> None:
    strange = replace(
        parts[2], texts=("Dog", "qu vex zyx", "qu", *parts[2].texts[3:]), labels=parts[2].labels
    )
    ready = prepare(TINY, parts[0], parts[1], strange)
    assert ready.held_out.batch.source[12, :6].tolist() == [BOS, UNK, UNK, UNK, EOS, PAD]
    history = compare_classifiers(QUICK, ready, 1)
    assert all(row["value"] == row["value"] for row in history.rows)


@pytest.mark.skipif(
    not os.environ.get("LESSONS_DATA"), reason="LESSONS_DATA does not name the real corpora"
)
@pytest.mark.parametrize(("corpus", "positive"), [("sst2", "positive"), ("sms_spam", "spam")])
def test_real_texts_that_are_reported_on_have_both_classes(corpus: str, positive: str) -> None:
    config = short(corpus=corpus, positive=positive)
    ready = load(config)
    assert ready.held_out.choosing == config.chosen_on
    assert len(ready.held_out.batch) == config.chosen_on + 2 * config.reported_on
    for rows in ready.held_out.parts.values():
        assert 0.05 < float(ready.held_out.batch.label[rows].double().mean()) < 0.95

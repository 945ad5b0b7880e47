"""The classification experiment on a handful of texts: what is trained, measured and named."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lessons_lib import classifier
from lessons_lib.corpora import sources
from lessons_lib.corpora.files import LabelledCorpus
from lessons_lib.corpora.loaders import toy_labelled
from lessons_lib.corpora.vocabulary import words
from lessons_lib.lab import classification, long_runs
from lessons_lib.lab.classification import (
    Classification,
    Prepared,
    guesses,
    prepare,
    proxy_loss,
    train_classifier,
    word_tables,
)
from lessons_lib.lab.saliency import label_saliency
from lessons_lib.models import build_bag_of_words
from lessons_lib.tasks import BOS, EOS, PAD, UNK, LabelledBatch

Patch = pytest.MonkeyPatch
TINY = Classification(
    corpus="toy", positive="animal", runs=3, uniform_runs=2, max_words=9, vocab_size=60,
    min_count=1, d_embed=6, d_hidden=8, batch_size=7, learning_rate=0.02, steps=12, checkpoints=(3,
    8), chosen_on=11, reported_on=23, proxy_width=4, proxy_epochs=3, proxy_batch_size=10,
    proxy_learning_rate=0.05,
)  # fmt: skip


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


def test_texts_are_passed_over_that_are_known_or_have_no_words(parts: list[LabelledCorpus]) -> None:
    """Also where they are written in another way; a part that is too small is taken whole.

    Words are numbered by the first part, of which some texts are drawn, as the authors draw them.
    """
    train, val, test = parts
    strange = ("", *val.texts[1:3], train.texts[40].upper(), *val.texts[4:])
    val = replace(val, texts=strange)
    test = replace(test, texts=(*val.texts[1:3], train.texts[7], "qu vex zyx", *test.texts[4:]))
    config = replace(TINY, vocab_size=None, min_count=3, chosen_on=500)
    found = prepare(config, train, val, test)
    held_out = [(val, i) for i in (1, 2, *range(4, 29))] + [(test, i) for i in range(3, 26)]
    measured = held_out + [(train, i) for i in random.Random(1).sample(range(83), k=23)]
    texts = [[BOS, *found.vocab.encode_line(c.texts[i])[:9], EOS] for c, i in measured]
    batch = found.held_out.batch
    assert [row[row != PAD].tolist() for row in batch.source] == texts
    assert batch.label.tolist() == [corpus.labels[i] for corpus, i in measured]
    assert found.held_out.parts["shown"] == slice(27, 50)
    assert batch.source[27, :6].tolist() == [BOS, UNK, UNK, UNK, EOS, PAD]
    everything = [word for text in parts[0].texts for word in words(text)]
    assert set(found.vocab.words[4:]) == {w for w in everything if everything.count(w) > 2}


Seen = list[tuple[classifier.Classifier, Tensor]]


@pytest.fixture
def seen(monkeypatch: Patch) -> Seen:
    """Models and batches, as they come into training."""
    found: Seen = []
    honest = classifier.class_loss

    def spy(model: classifier.Classifier, batch: LabelledBatch) -> Tensor:
        found.append((model, batch.source))
        return honest(model, batch)

    monkeypatch.setattr(classifier, "class_loss", spy)
    return found


def test_twins_start_alike_and_saliency_is_where_runs_are_gold(ready: Prepared, seen: Seen) -> None:
    config = replace(TINY, learning_rate=0.3)
    run = train_classifier(config, ready, "learned", 6)
    assert run.steps == [0, 3, 8, 12]
    twin = train_classifier(config, ready, "uniform", 6)
    other = train_classifier(config, ready, "learned", 7)
    assert torch.equal(run.beta[0], twin.beta[0])
    assert not torch.equal(run.beta[-1], twin.beta[-1])
    assert not torch.equal(run.beta[0], other.beta[0])
    assert (twin.attention, twin.saliency) == ([], {})
    batches = [[source for _, source in seen[at : at + 12]] for at in (0, 12, 24)]
    assert all(map(torch.equal, batches[0], batches[1]))
    assert not all(map(torch.equal, batches[0], batches[2]))
    assert run.saliency.keys() == {run.gold(part) for part in ready.held_out.parts}
    assert len(run.saliency) > 1, "else nothing was tested"
    # At the end the model has the weights whose saliency was asked for last.
    at, (model, _), batch = [*run.saliency][-1], seen[0], ready.held_out.batch
    torch.testing.assert_close(run.saliency[at], label_saliency(model, batch))
    torch.testing.assert_close(run.attention[at], model(batch).attention[:, 0].detach())
    sign = batch.label * 2.0 - 1
    for part, rows in ready.held_out.parts.items():
        # beta is turned to the label, so a text is right if its score is positive (or 0 and 0).
        alpha, beta = (side[run.gold(part)][rows, 0] for side in (run.attention, run.beta))
        score = (alpha * beta.masked_fill(alpha == 0, 0.0)).sum(1)
        right = torch.where(sign[rows] > 0, score > 0, score >= 0)
        found = run.performance_on(part)[run.gold(part)]
        assert found == pytest.approx(float(right.double().mean()))


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


@pytest.mark.slow
def test_ktiw_is_the_runs_own_and_a_block_follows_from_its_number(ready: Prepared) -> None:
    history = classification.compare_classifiers(TINY, ready, 1)
    values: dict[str, dict[int, float]] = {}
    for row in history.rows:
        values.setdefault(row["metric"], {})[row["step"]] = row["value"]
    batch = ready.held_out.batch
    table = word_tables(TINY, ready, seed=1)["lr"]
    reference = classifier.speaking_for_label(table[batch.source], batch)
    for k in range(3):
        trace = train_classifier(TINY, ready, "learned", 3 + k)  # block 1 of three runs
        curve = [ready.held_out.agree(reference, beta) for beta in trace.beta]
        assert values[f"ktiw#{k}"] == pytest.approx(dict(zip(trace.steps, curve, strict=True)))
    torch.manual_seed(11)
    assert classification.compare_classifiers(TINY, ready, 1).rows == history.rows


QUICK = replace(TINY, steps=1, checkpoints=(), proxy_epochs=1)


@pytest.mark.slow
def test_a_block_that_stopped_goes_on(ready: Prepared, tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.setenv("LESSONS_CACHE", str(tmp_path))
    monkeypatch.setattr(classification, "load_labelled", lambda name, split: split)
    monkeypatch.setattr(classification, "prepare", lambda config, *splits: ready)
    asked: list[str] = []

    def spy(config: Classification, ready: Prepared, kind: Any, seed: int, label: Any) -> Any:
        if len(asked) == 4:  # once
            asked.append("switched off")
            raise KeyboardInterrupt
        asked.append(f"{kind}-{seed}")
        return train_classifier(config, ready, kind, seed, label)

    monkeypatch.setattr(classification, "train_classifier", spy)
    with pytest.raises(KeyboardInterrupt):
        classification.run_classification(QUICK, 1)
    assert asked == ["learned-3", "learned-4", "learned-5", "uniform-3", "switched off"]
    (kept,) = (sources.cache_directory() / "runs").iterdir()
    found = classification.run_classification(QUICK, 1)
    assert asked[5:] == ["uniform-4"]
    assert found.rows == classification.compare_classifiers(QUICK, ready, 1).rows
    classification.run_classification(replace(QUICK, learning_rate=0.03), 1)
    assert asked.count("uniform-4") == 3, "another configuration, other runs"
    long_runs.kept_in(tmp_path / "scratch", classification.run_classification, QUICK, 1)
    assert asked.count("uniform-4") == 4, "from scratch"
    (kept / "uniform-4.pt").write_bytes(b"half a run")
    with pytest.raises(ValueError, match=r"uniform-4\.pt, found a damaged file; remove it"):
        classification.run_classification(QUICK, 1)

"""Labelled texts as numbers: each text once, in its place, with its label."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import replace

import pytest
import torch

from lessons_lib.corpora import loaders
from lessons_lib.corpora.batches import EncodedTexts, encode_labelled
from lessons_lib.corpora.files import LabelledCorpus
from lessons_lib.corpora.loaders import load_labelled, load_labelled_or_toy, toy_labelled
from lessons_lib.corpora.sources import CorpusUnavailable
from lessons_lib.corpora.vocabulary import Vocabulary, words
from lessons_lib.tasks import BOS, EOS, FIRST_WORD, PAD, UNK, LabelledBatch

needs_data = pytest.mark.skipif(
    not os.environ.get("LESSONS_DATA"), reason="LESSONS_DATA does not name the real corpora"
)
SMALL = LabelledCorpus(
    name="small",
    texts=("Good fun.", "", "dull and long and dull", "Fine", "  ", "good, but not GOOD fun"),
    labels=(2, 2, 0, 1, 0, 1),
    classes=("bad", "so-so", "good"),
    origin="here",
)
VOCAB = Vocabulary.build([["good", "fun", "dull", "and", "."]])


def texts_of(batch: LabelledBatch) -> list[tuple[list[str], int]]:
    """The words of each text, with its label."""
    return [
        (VOCAB.decode(row), int(label))
        for row, label in zip(batch.source, batch.label, strict=True)
    ]


def test_encoding_by_hand() -> None:
    encoded = encode_labelled(SMALL, VOCAB, "good")
    assert len(encoded) == 4
    assert (encoded.left_out, encoded.shortened) == (2, 0)  # the two without a word
    assert encoded.index.tolist() == [0, 2, 3, 5]
    assert encoded.source_lengths.tolist() == [3, 5, 1, 6]
    assert encoded.label.tolist() == [1, 0, 0, 0], "one class against all the others"
    assert encode_labelled(SMALL, VOCAB, "so-so").label.tolist() == [0, 0, 1, 1]
    batch = encoded.batch([3, 0])
    good, fun, dot = VOCAB.encode(["good", "fun", "."])
    assert encoded.batch([2]).source.tolist() == [[UNK]], "unknown words only: kept"
    assert batch.source.tolist() == [
        [good, UNK, UNK, UNK, good, fun],
        [good, fun, dot, PAD, PAD, PAD],
    ]
    assert batch.label.tolist() == [0, 1]
    assert batch.source.dtype == batch.label.dtype == torch.int64


def test_long_texts_lose_their_end_and_are_counted() -> None:
    encoded = encode_labelled(SMALL, VOCAB, "good", max_words=3)
    assert (encoded.left_out, encoded.shortened) == (2, 2)
    assert texts_of(encoded.batch([1, 0])) == [
        (["dull", "and", "<unk>"], 0),
        (["good", "fun", "."], 1),
    ]
    whole = encode_labelled(SMALL, VOCAB, "good", max_words=6)
    assert whole.shortened == 0


def test_the_ends_are_positions_of_a_text() -> None:
    encoded = encode_labelled(SMALL, VOCAB, "good", max_words=2, ends=True)
    good, fun = VOCAB.encode(["good", "fun"])
    assert encoded.batch([0, 2]).source.tolist() == [[BOS, good, fun, EOS], [BOS, UNK, EOS, PAD]]
    assert encoded.shortened == 3, "of 3, 5 and 6 words"
    assert encoded.left_out == 2, "a text without a word is not saved by its ends"


@pytest.mark.parametrize(
    ("change", "positive", "max_words", "message"),
    [
        ({}, "great", None, "one of the classes bad, so-so, good of small, found 'great'"),
        ({}, "good", 0, "max_words of at least 1, or None, found 0"),
        ({"texts": ("", " ") * 3}, "good", None, "texts with words in 'small', found none"),
        # Only the empty text is of this class, and it is left out.
        ({"labels": (1, 2, 0, 1, 0, 1)}, "good", None, "found only 'not good' among 4; choose"),
        ({"labels": (2,) * 6}, "good", None, "of both sides in 'small', found only 'good' among 4"),
    ],
)
def test_texts_that_cannot_be_told_apart(
    change: dict[str, tuple[str, ...]], positive: str, max_words: int | None, message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        encode_labelled(replace(SMALL, **change), VOCAB, positive, max_words)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def toy() -> EncodedTexts:
    corpus = toy_labelled("val")
    vocab = Vocabulary.build(map(words, corpus.texts))
    return encode_labelled(corpus, vocab, "animal")


def rows(batches: list[LabelledBatch]) -> list[tuple[tuple[int, ...], int]]:
    """Texts without their padding, with labels."""
    return [
        (tuple(row[row != PAD].tolist()), int(label))
        for batch in batches
        for row, label in zip(batch.source, batch.label, strict=True)
    ]


def test_each_epoch_has_whole_batches_of_different_texts(toy: EncodedTexts) -> None:
    everything = rows([toy.batch(range(1000))])
    found = list(toy.batches(17, seed=3, epochs=2))
    assert list(map(len, found)) == [17] * 58 * 2, "14 texts of each epoch are left out"
    for epoch in (found[:58], found[58:]):
        assert not Counter(rows(epoch)) - Counter(everything), "none twice, each with its label"
    assert rows(found[:58]) != rows(found[58:])
    stream, other = toy.batches(17, seed=3), toy.batches(17, seed=4)
    assert rows([next(other) for _ in range(116)]) != rows(found)
    assert rows([next(stream) for _ in range(116)]) == rows(found)


def test_each_epoch_has_every_text_once_if_batches_need_not_be_whole(toy: EncodedTexts) -> None:
    everything = rows([toy.batch(range(1000))])
    found = list(toy.batches(17, seed=3, epochs=1, whole=False))
    assert list(map(len, found)) == [17] * 58 + [14]
    assert sorted(rows(found)) == sorted(everything)
    assert rows(found) != everything
    assert list(map(len, toy.batches(1001, seed=3, epochs=2))) == [1000, 1000]


def test_batches_and_texts_that_are_not_there(toy: EncodedTexts) -> None:
    with pytest.raises(ValueError, match="batch_size of at least 1, found 0"):
        toy.batches(0, seed=1)
    with pytest.raises(ValueError, match="epochs of at least 1, found 0"):
        toy.batches(5, seed=1, epochs=0)
    for wrong in ([1000], [-1, 3]):
        with pytest.raises(IndexError, match="positions from 0 to 999"):
            toy.batch(wrong)


ANIMALS = {
    *("dog", "cat", "horse", "donkey", "goat", "rabbit"),
    *("dogs", "cats", "horses", "donkeys", "goats", "rabbits", "bird", "fish"),
}


def test_the_embedded_texts_mention_an_animal_where_their_label_says_so() -> None:
    corpus = toy_labelled("test")
    assert len(corpus) == len(set(corpus.texts)) == 1000
    assert corpus.classes == ("none", "animal")
    for text, label in zip(corpus.texts, corpus.labels, strict=True):
        assert bool(ANIMALS & set(re.findall(r"\w+", text.lower()))) == bool(label), text
    assert 0.2 < sum(corpus.labels) / 1000 < 0.5
    assert set(corpus.texts).isdisjoint(toy_labelled("val").texts)
    with pytest.raises(ValueError, match="found 'dev'"):
        toy_labelled("dev")


def test_without_the_real_texts_the_reader_is_told_what_stands_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nowhere(name: str, split: str) -> LabelledCorpus:
        raise CorpusUnavailable(f"{name} {split}", "no route to host")

    monkeypatch.setattr(loaders, "load_labelled", nowhere)
    corpus, notice = load_labelled_or_toy("sst2", "val")
    assert corpus == toy_labelled("val")
    assert "**Embedded corpus.**" in notice
    assert "no route to host" in notice
    assert "`LESSONS_DATA`" in notice
    real = replace(SMALL, name="sst2")
    monkeypatch.setattr(loaders, "load_labelled", lambda name, split: real)
    assert load_labelled_or_toy("sst2", "val") == (real, "")


@needs_data
def test_real_texts_are_numbered_whole() -> None:
    corpus = load_labelled("sst2", "val")
    vocab = Vocabulary.build(map(words, corpus.texts))
    encoded = encode_labelled(corpus, vocab, "positive")
    assert (len(encoded), encoded.left_out, encoded.shortened) == (872, 0, 0)
    assert int(encoded.label.sum()) == 444  # as published
    assert int(encoded.source_ids.min()) >= FIRST_WORD

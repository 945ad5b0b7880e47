"""Labelled texts as numbers: each text once, in its place, with its label."""

import re
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import torch

from lessons_lib.corpora.batches import EncodedTexts, encode_labelled
from lessons_lib.corpora.files import LabelledCorpus
from lessons_lib.corpora.loaders import toy_labelled
from lessons_lib.corpora.vocabulary import Vocabulary, words
from lessons_lib.tasks import BOS, EOS, PAD, UNK, LabelledBatch

SMALL = LabelledCorpus(
    name="small",
    texts=("Good fun.", "", "dull and long and dull", "Fine", "  ", "good, but not GOOD fun"),
    labels=(2, 2, 0, 1, 0, 1),
    classes=("bad", "so-so", "good"),
)
VOCAB = Vocabulary.build([["good", "fun", "dull", "and", "."]])
GOOD, FUN, DULL, AND, DOT = VOCAB.encode(["good", "fun", "dull", "and", "."])


def test_encoding_by_hand() -> None:
    encoded = encode_labelled(SMALL, VOCAB, "good")
    assert encoded.index.tolist() == [0, 2, 3, 5], "without the two that have no word"
    assert encoded.source_lengths.tolist() == [3, 5, 1, 6]
    assert encoded.label.tolist() == [1, 0, 0, 0], "one class against all the others"
    assert encode_labelled(SMALL, VOCAB, "so-so").label.tolist() == [0, 0, 1, 1]
    assert encoded.batch([2]).source.tolist() == [[UNK]], "unknown words only: kept"
    batch = encoded.batch([3, 0])
    assert batch.source.tolist() == [
        [GOOD, UNK, UNK, UNK, GOOD, FUN],
        [GOOD, FUN, DOT, PAD, PAD, PAD],
    ]
    assert batch.label.tolist() == [0, 1]
    assert batch.source.dtype == batch.label.dtype == torch.int64


def test_long_texts_lose_their_end_and_ends_are_positions_of_a_text() -> None:
    cut = encode_labelled(SMALL, VOCAB, "good", max_words=3).batch([1, 0])
    assert cut.source.tolist() == [[DULL, AND, UNK], [GOOD, FUN, DOT]]
    encoded = encode_labelled(SMALL, VOCAB, "good", max_words=2, ends=True)
    assert len(encoded) == 4, "a text without a word is not saved by its ends"
    assert encoded.batch([0, 2]).source.tolist() == [[BOS, GOOD, FUN, EOS], [BOS, UNK, EOS, PAD]]


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
    change: dict[str, Any], positive: str, max_words: int | None, message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        encode_labelled(replace(SMALL, **change), VOCAB, positive, max_words)


@pytest.fixture(scope="module")
def toy() -> EncodedTexts:
    corpus = toy_labelled("val")
    return encode_labelled(corpus, Vocabulary.build(map(words, corpus.texts)), "animal")


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
    every = list(toy.batches(17, seed=3, epochs=1, whole=False))
    assert list(map(len, every)) == [17] * 58 + [14]
    assert sorted(rows(every)) == sorted(everything)
    assert list(map(len, toy.batches(1001, seed=3, epochs=2))) == [1000, 1000]

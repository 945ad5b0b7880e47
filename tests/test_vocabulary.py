"""Words, subwords and batches: each pair and text once, in its place, with little padding."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest
import torch

from lessons_lib.corpora.batches import (
    EncodedPairs,
    EncodedTexts,
    Order,
    encode_labelled,
    encode_parallel,
)
from lessons_lib.corpora.files import LabelledCorpus, ParallelCorpus
from lessons_lib.corpora.loaders import toy_labelled
from lessons_lib.corpora.toy_language import toy_dictionary, toy_parallel
from lessons_lib.corpora.vocabulary import (
    SPECIALS,
    Subwords,
    Vocabulary,
    number_dictionary,
    train_subwords,
    words,
)
from lessons_lib.tasks import BOS, EOS, PAD, UNK, Batch, Rows

SMALL = ParallelCorpus(
    name="small",
    source_language="de",
    target_language="en",
    source=("Ein Hund rennt.", "Hund", "", "Im alten Garten schläft ein Hund.", "ein Hund"),
    target=("A dog runs.", "a dog", "gone", "A dog sleeps in the old garden.", "dog"),
    alignment=(
        ((0, 0), (1, 1), (2, 2), (3, 3)),
        ((1, 0),),
        (),
        ((0, 4), (1, 5), (2, 3), (3, 0), (4, 0), (5, 1), (6, 2), (7, 6)),
        ((0, 1), (0, 0)),
    ),
)
TEXTS = LabelledCorpus(
    name="small",
    texts=("Good fun.", "", "dull and long and dull", "Fine", "  ", "good, but not GOOD fun"),
    labels=(2, 2, 0, 1, 0, 1),
    classes=("bad", "so-so", "good"),
)
VOCAB = Vocabulary.build([["good", "fun", "dull", "and", "."]])
GOOD, FUN, DULL, AND, DOT = VOCAB.encode_line("good fun dull and .")


def vocabularies(corpus: ParallelCorpus) -> tuple[Vocabulary, Vocabulary]:
    return Vocabulary.build(map(words, corpus.source)), Vocabulary.build(map(words, corpus.target))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Zwei junge weiße Männer.", ["zwei", "junge", "weiße", "männer", "."]),
        ("A man's T-shirt, it's red!", ["a", "man's", "t-shirt", ",", "it's", "red", "!"]),
        ("  'Übung' (macht)\tden…", ["'", "übung", "'", "(", "macht", ")", "den", "…"]),
        ("Hut- und Mantel -", ["hut", "-", "und", "mantel", "-"]),
        ("हिन्दी में की-की’की", ["हिन्दी", "में", "की-की’की"]),
        ("مُحَمَّد، שָׁלוֹם!", ["مُحَمَّد", "،", "שָׁלוֹם", "!"]),
        ("Ma\u0308nner M\u00e4nner", ["m\u00e4nner", "m\u00e4nner"]),
        ("\ufeffco\u00adop zero\u200bwidth", ["coop", "zerowidth"]),
        ("a\u0092b", ["a", "\u0092", "b"]),  # as it stands in one of the course's corpora
        ("", []),
    ],
)
def test_words_by_hand(line: str, expected: list[str]) -> None:
    assert words(line) == expected


def test_vocabulary_numbers_frequent_words_first_and_ties_alphabetically() -> None:
    sentences = [["b", "c", "a", "c"], ["c", "d", "b"], ["<pad>", "a"]]
    vocabulary = Vocabulary.build(sentences)
    assert vocabulary.words == (*SPECIALS, "c", "a", "b", "d")
    assert len(vocabulary) == 8
    assert [vocabulary.index(word) for word in ("c", "d", "e")] == [4, 7, UNK]
    assert vocabulary.encode_line("D c, e") == [7, 4, UNK, UNK]
    assert vocabulary == Vocabulary.build(reversed(sentences))
    assert Vocabulary.build(sentences, min_count=2).words == (*SPECIALS, "c", "a", "b")
    assert Vocabulary.build(sentences, max_size=6).words == (*SPECIALS, "c", "a")
    assert vocabulary.decode([BOS, 5, UNK, 4, EOS, 4, PAD]) == ["a", "<unk>", "c"]
    assert vocabulary.decode(torch.tensor([4, 5, PAD])) == ["c", "a"]


def test_a_dictionary_in_numbers_has_what_both_vocabularies_have() -> None:
    source, target = Vocabulary.build([["im", "hund", "im", "x"]]), Vocabulary.build([["in", "a"]])
    assert number_dictionary(toy_dictionary(), source, target) == {4: frozenset({5})}


@pytest.fixture(scope="module")
def subwords() -> Subwords:
    corpus = toy_parallel(1009, seed=1)
    return train_subwords(corpus.source + corpus.target, 211)


def test_subwords_know_every_word_and_our_specials(subwords: Subwords) -> None:
    line = "Der Hund trägt heute einen neuen Hut."
    ids = subwords.encode_line(line)
    assert len(ids) >= 8
    assert UNK < min(ids) <= max(ids) < 211
    assert subwords.decode([BOS, *ids, EOS, *ids, PAD]) == line
    assert subwords.decode(torch.tensor(ids)) == line
    assert UNK in subwords.encode_line("Ω")


def test_encoding_of_pairs_by_hand(subwords: Subwords) -> None:
    source, target = vocabularies(SMALL)
    encoded = encode_parallel(SMALL, source, target)
    assert encoded.index.tolist() == [0, 1, 3, 4], "without the empty sentence"
    batch = encoded.batch([3, 0])  # the pairs 4 and 0 of the corpus
    there = [source.decode(row) for row in batch.source]
    assert there == [["ein", "hund"], ["ein", "hund", "rennt", "."]]
    a, dog, runs, dot = target.encode_line("a dog runs .")
    assert batch.target.tolist() == [[dog, EOS, PAD, PAD, PAD], [a, dog, runs, dot, EOS]]
    assert batch.source.dtype == batch.target.dtype == torch.int64
    # The first of two links counts; EOS, padding and unlinked words come from nowhere.
    golds = [encoded.batch(torch.tensor(chosen)).gold for chosen in ([3, 0], [1, 2])]
    assert [gold.tolist() for gold in golds if gold is not None] == [
        [[1, -1, -1, -1, -1], [0, 1, 2, 3, -1]],
        [[-1, 0, -1, -1, -1, -1, -1, -1, -1], [4, 5, 3, 0, 0, 1, 2, 6, -1]],
    ]
    for most, index in ((4, [0, 1, 4]), (3, [1, 4])):
        assert encode_parallel(SMALL, source, target, most).index.tolist() == index
    with pytest.raises(ValueError, match=r"pairs of 1 to 0 pieces, found none among the 5 of 'sm"):
        encode_parallel(SMALL, source, target, max_words=0)
    # Gold needs words and links.
    in_pieces = encode_parallel(SMALL, subwords, subwords)
    german, english = subwords.encode_line(SMALL.source[1]), subwords.encode_line(SMALL.target[1])
    assert in_pieces.batch([1]).source.tolist() == [[BOS, *german, EOS]]
    assert in_pieces.batch([1]).target.tolist() == [[*english, EOS]]
    without = encode_parallel(replace(SMALL, alignment=None), source, target)
    for plain in (in_pieces, without):
        assert plain.batch([0]).gold is None


def test_encoding_of_texts_by_hand() -> None:
    encoded = encode_labelled(TEXTS, VOCAB, "good")
    assert encoded.index.tolist() == [0, 2, 3, 5], "without the two that have no word"
    assert encoded.source_lengths.tolist() == [3, 5, 1, 6]
    assert encoded.label.tolist() == [1, 0, 0, 0], "one class against all the others"
    assert encode_labelled(TEXTS, VOCAB, "so-so").label.tolist() == [0, 0, 1, 1]
    assert encoded.batch([2]).source.tolist() == [[UNK]], "unknown words only: kept"
    batch = encoded.batch([3, 0])
    assert batch.source[0].tolist() == [GOOD, UNK, UNK, UNK, GOOD, FUN]
    assert batch.source[1].tolist() == [GOOD, FUN, DOT, PAD, PAD, PAD]
    assert batch.label.tolist() == [0, 1]
    assert batch.source.dtype == batch.label.dtype == torch.int64
    # Long texts lose their end; a text without a word is not saved by its ends.
    cut = encode_labelled(TEXTS, VOCAB, "good", max_words=3).batch([1, 0])
    assert cut.source.tolist() == [[DULL, AND, UNK], [GOOD, FUN, DOT]]
    ends = encode_labelled(TEXTS, VOCAB, "good", max_words=2, ends=True)
    assert len(ends) == 4
    assert ends.batch([0, 2]).source.tolist() == [[BOS, GOOD, FUN, EOS], [BOS, UNK, EOS, PAD]]


@pytest.mark.parametrize(
    ("change", "positive", "message"),
    [
        ({}, "great", "positive one of bad, so-so, good; found 'great'"),
        # Only the empty text is of this class, and it is left out.
        ({"labels": (1, 2, 0, 1, 0, 1)}, "good", "found 0 of 'good' and 4 others with"),
        ({"labels": (2,) * 6}, "good", "both sides in 'small', found 4 of 'good' and 0 "),
    ],
)
def test_texts_that_cannot_be_told_apart(
    change: dict[str, Any], positive: str, message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        encode_labelled(replace(TEXTS, **change), VOCAB, positive)


def rows(batches: Iterable[Rows]) -> list[Any]:
    """Sentences without their padding, with what they are translated or labelled as."""
    found = []
    for batch in batches:
        other = batch.target if isinstance(batch, Batch) else vars(batch)["label"][:, None] + 1
        for pair in zip(batch.source, other, strict=True):
            found.append(tuple(tuple(row[row != PAD].tolist()) for row in pair))
    return found


@pytest.fixture(scope="module")
def toy() -> EncodedPairs:
    corpus = toy_parallel(1013, seed=2)
    return encode_parallel(corpus, *vocabularies(corpus))


@pytest.fixture(scope="module")
def animals() -> EncodedTexts:
    corpus = toy_labelled("val")
    return encode_labelled(corpus, Vocabulary.build(map(words, corpus.texts)), "animal")


@pytest.mark.parametrize("order", ["both", "source", "random"])
def test_each_epoch_has_every_pair_once(toy: EncodedPairs, order: Order) -> None:
    everything = sorted(rows([toy.batch(range(1013))]))
    batches = list(toy.batches(17, seed=3, epochs=2, order=order))
    assert sorted(map(len, batches)) == [10, 10] + [17] * 118
    first, second = rows(batches[:60]), rows(batches[60:])
    assert sorted(first) == sorted(second) == everything
    assert first != second
    later = list(toy.batches(17, seed=3, epochs=1, order=order, skip=23))
    assert rows(later) == rows(batches[23:60])


def test_each_epoch_has_whole_batches_of_different_texts(animals: EncodedTexts) -> None:
    everything = Counter(rows([animals.batch(range(1000))]))
    found = list(animals.batches(17, seed=3, epochs=2))
    assert list(map(len, found)) == [17] * 58 * 2, "14 texts of each epoch are left out"
    for epoch in (found[:58], found[58:]):
        assert not Counter(rows(epoch)) - everything, "none twice, each with its label"
    assert rows(found[:58]) != rows(found[58:])
    every = list(animals.batches(17, seed=3, epochs=1, whole=False))
    assert list(map(len, every)) == [17] * 58 + [14]
    assert Counter(rows(every)) == everything
    assert list(map(len, animals.batches(1001, seed=3, epochs=2))) == [1000, 1000]


def test_batches_depend_on_the_seed_alone_and_go_on_without_end(
    toy: EncodedPairs, animals: EncodedTexts
) -> None:
    for encoded in (toy, animals):
        before = torch.get_rng_state()
        found = list(encoded.batches(200, 4, 2))
        assert torch.equal(torch.get_rng_state(), before)
        torch.manual_seed(11)
        endless, other = (islice(encoded.batches(200, seed), len(found)) for seed in (4, 5))
        assert rows(endless) == rows(found) != rows(other)


def test_containing_finds_the_first_pairs_with_each_word() -> None:
    corpus = ParallelCorpus("c", "de", "en", ("a b", "b b", "c", "b a", "a"), ("x",) * 5)
    source = Vocabulary.build([["a", "b", "c"]])
    pairs = encode_parallel(corpus, source, Vocabulary.build([["x"]]))
    a, b, c = source.encode_line("a b c")
    for words_, most, found in (([a], 2, [0, 3]), ([c, b], 2, [0, 1, 2]), ([b], 9, [0, 1, 3])):
        assert pairs.containing(words_, per_word=most) == found
    assert pairs.containing([99], per_word=1) == []

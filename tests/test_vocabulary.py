"""Words, subwords and batches: each pair once, in its place, with little padding."""

from dataclasses import replace
from itertools import islice
from typing import Any

import pytest
import torch
from torch import Tensor

from lessons_lib.corpora.batches import EncodedPairs, Order, encode_parallel
from lessons_lib.corpora.files import ParallelCorpus
from lessons_lib.corpora.toy_language import toy_dictionary, toy_parallel
from lessons_lib.corpora.vocabulary import (
    SPECIALS,
    Subwords,
    Vocabulary,
    number_dictionary,
    train_subwords,
    words,
)
from lessons_lib.tasks import BOS, EOS, PAD, UNK, Batch

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


def vocabularies(corpus: ParallelCorpus) -> tuple[Vocabulary, Vocabulary]:
    return Vocabulary.build(map(words, corpus.source)), Vocabulary.build(map(words, corpus.target))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Zwei junge weiße Männer.", ["zwei", "junge", "weiße", "männer", "."]),
        ("A man's T-shirt, it's red!", ["a", "man's", "t-shirt", ",", "it's", "red", "!"]),
        ("  'Übung' (macht)\tden…", ["'", "übung", "'", "(", "macht", ")", "den", "…"]),
        ("Žluťoučký kůň č. 3", ["žluťoučký", "kůň", "č", ".", "3"]),
        ("Hut- und Mantel -", ["hut", "-", "und", "mantel", "-"]),
        ("10\u2079 \u00bd x_1 co\u2082", ["10\u2079", "\u00bd", "x_1", "co\u2082"]),
        ("हिन्दी में की-की’की", ["हिन्दी", "में", "की-की’की"]),
        ("สวัสดี ครับ", ["สวัสดี", "ครับ"]),
        ("مُحَمَّد، שָׁלוֹם!", ["مُحَمَّد", "،", "שָׁלוֹם", "!"]),
        ("அன்பு தமிழ்", ["அன்பு", "தமிழ்"]),
        ("Ma\u0308nner M\u00e4nner", ["m\u00e4nner", "m\u00e4nner"]),
        ("q\u0323\u0307 \u0130stanbul", ["q\u0323\u0307", "i\u0307stanbul"]),
        ("\ufeffco\u00adop zero\u200bwidth", ["coop", "zerowidth"]),
        ("\u0645\u06cc\u200c\u062e", ["\u0645\u06cc\u062e"]),
        ("\u2764\ufe0f \u200e\u2066a\u2069 -\u0301", ["\u2764", "a", "-\u0301"]),
        ("a\u0092b", ["a", "\u0092", "b"]),  # as it stands in one of the course's corpora
        ("\u200b\ufeff", []),
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
    assert vocabulary.encode(["d", "e", "c"]) == [7, UNK, 4]
    assert vocabulary.encode_line("D c, e") == [7, 4, UNK, UNK]
    assert vocabulary == Vocabulary.build(reversed(sentences))
    assert Vocabulary.build(sentences, min_count=2).words == (*SPECIALS, "c", "a", "b")
    assert Vocabulary.build(sentences, max_size=6).words == (*SPECIALS, "c", "a")
    assert vocabulary.decode([BOS, 5, UNK, 4, EOS, 4, PAD]) == ["a", "<unk>", "c"]
    assert vocabulary.decode(torch.tensor([4, 5, PAD])) == ["c", "a"]
    with pytest.raises(ValueError, match=r"max_size above 4.* found 4"):
        Vocabulary.build([["a"]], max_size=4)


def test_a_dictionary_in_numbers_has_what_both_vocabularies_have() -> None:
    source, target = Vocabulary.build([["im", "hund", "im", "x"]]), Vocabulary.build([["in", "a"]])
    assert list(number_dictionary(toy_dictionary(), source, target).items()) == [
        (4, frozenset({5}))
    ]


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


def test_encoding_by_hand() -> None:
    source, target = vocabularies(SMALL)
    encoded = encode_parallel(SMALL, source, target)
    assert encoded.index.tolist() == [0, 1, 3, 4], "without the empty sentence"
    assert len(encoded) == 4
    batch = encoded.batch([3, 0])  # the pairs 4 and 0 of the corpus
    assert [source.decode(row) for row in batch.source] == [
        ["ein", "hund"],
        ["ein", "hund", "rennt", "."],
    ]
    assert [target.decode(row) for row in batch.target] == [["dog"], ["a", "dog", "runs", "."]]
    assert batch.source.shape == (2, 4)
    assert batch.target.tolist()[0] == [target.index("dog"), EOS, PAD, PAD, PAD]
    assert batch.target.tolist()[1][-1] == EOS
    assert batch.source.dtype == batch.target.dtype == torch.int64
    assert batch.gold is not None
    # The first of two links counts; EOS, padding and unlinked words come from nowhere.
    assert batch.gold.tolist() == [[1, -1, -1, -1, -1], [0, 1, 2, 3, -1]]
    other = encoded.batch(torch.tensor([1, 2])).gold
    assert other is not None
    assert other.tolist() == [[-1, 0, -1, -1, -1, -1, -1, -1, -1], [4, 5, 3, 0, 0, 1, 2, 6, -1]]


def test_long_pairs_are_left_out() -> None:
    source, target = vocabularies(SMALL)
    for most, index in ((4, [0, 1, 4]), (3, [1, 4])):
        assert encode_parallel(SMALL, source, target, most).index.tolist() == index
    with pytest.raises(ValueError, match=r"pairs of 1 to 0 pieces, found none among the 5 of 'sm"):
        encode_parallel(SMALL, source, target, max_words=0)


def test_gold_needs_words_and_links_inside_the_sentences(subwords: Subwords) -> None:
    source, target = vocabularies(SMALL)
    assert encode_parallel(SMALL, source, subwords).gold is None
    plain = encode_parallel(replace(SMALL, alignment=None), source, target)
    assert plain.gold is None
    assert plain.batch([0]).gold is None
    for link in ((1, 2), (2, 1), (-1, 0), (0, -1)):
        wrong = ParallelCorpus("w", "de", "en", ("ein Hund",), ("a dog",), ((link,),))
        with pytest.raises(ValueError, match=r"pair 0: .* below \(2, 2\), found \(.?\d, .?\d\)"):
            encode_parallel(wrong, source, target)


def rows(batches: list[Batch]) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """The sentence pairs of some batches, without padding."""

    def plain(row: Tensor) -> tuple[int, ...]:
        return tuple(row[row != PAD].tolist())

    return [(plain(s), plain(t)) for b in batches for s, t in zip(b.source, b.target, strict=True)]


@pytest.fixture(scope="module")
def toy() -> EncodedPairs:
    corpus = toy_parallel(1013, seed=2)
    return encode_parallel(corpus, *vocabularies(corpus))


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


def test_batches_depend_on_the_seed_alone_and_go_on_without_end(toy: EncodedPairs) -> None:
    before = torch.get_rng_state()
    two, endless, other = (toy.batches(200, seed, n) for seed, n in ((4, 2), (4, None), (5, None)))
    found = rows(list(two))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(11)
    assert rows(list(islice(endless, 12))) == found
    assert rows(list(islice(other, 12))) != found


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"epochs": 0}])
def test_no_batches_are_refused_at_once(wrong: dict[str, int], toy: EncodedPairs) -> None:
    arguments: dict[str, Any] = {"batch_size": 5, "seed": 1, "epochs": 1} | wrong
    with pytest.raises(ValueError, match=f"expected {next(iter(wrong))} of at least 1, found 0"):
        toy.batches(**arguments)


def test_sources_of_one_length_and_any_pairs(toy: EncodedPairs) -> None:
    def even(order: Order) -> float:
        found = list(toy.batches(8, seed=3, epochs=1, order=order))
        return sum(bool(batch.source_mask.all()) for batch in found) / len(found)

    assert even("source") > even("both") > even("random")
    # Any pairs: as a plain shuffle has them, so in the order of one permutation, by batches.
    generator = torch.Generator().manual_seed(3)
    plain = [toy.batch(part) for part in torch.randperm(1013, generator=generator).split(8)]
    pool = [rows([batch]) for batch in plain[:100]]
    found = [rows([batch]) for batch in islice(toy.batches(8, seed=3, order="random"), 100)]
    assert sorted(found) == sorted(pool)


def test_a_framed_source_begins_and_ends(toy: EncodedPairs) -> None:
    corpus = toy_parallel(1013, seed=2)
    framed = encode_parallel(corpus, *vocabularies(corpus), framed=True)
    assert framed.gold is None
    plain, batch = rows([toy.batch([3, 5])]), rows([framed.batch([3, 5])])
    assert batch == [((BOS, *source, EOS), target) for source, target in plain]


def test_containing_finds_the_first_pairs_with_each_word() -> None:
    corpus = ParallelCorpus("c", "de", "en", ("a b", "b b", "c", "b a", "a"), ("x",) * 5)
    source = Vocabulary.build([["a", "b", "c"]])
    pairs = encode_parallel(corpus, source, Vocabulary.build([["x"]]))
    a, b, c = source.encode(["a", "b", "c"])
    assert pairs.containing([a], per_word=2) == [0, 3]
    assert pairs.containing([c, b], per_word=2) == [0, 1, 2]
    assert pairs.containing([b], per_word=9) == [0, 1, 3]
    assert pairs.containing([99], per_word=1) == []

"""Words, subwords and batches: each pair once, in its place, with little padding."""

from __future__ import annotations

import os
from itertools import islice
from typing import Any

import pytest
import torch
from torch import Tensor

from lessons_lib.corpora.batches import (
    EncodedPairs,
    Order,
    deal,
    encode_parallel,
    padding_fraction,
)
from lessons_lib.corpora.files import ParallelCorpus
from lessons_lib.corpora.loaders import load_parallel
from lessons_lib.corpora.toy_language import toy_parallel
from lessons_lib.corpora.vocabulary import (
    SPECIALS,
    Subwords,
    Vocabulary,
    train_subwords,
    words,
)
from lessons_lib.tasks import BOS, EOS, PAD, UNK, Batch

torch.set_num_threads(1)

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
    return (
        Vocabulary.build(words(line) for line in corpus.source),
        Vocabulary.build(words(line) for line in corpus.target),
    )


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
        (
            "\ufeffco\u00adop zero\u200bwidth \u0645\u06cc\u200c\u062e",
            ["coop", "zerowidth", "\u0645\u06cc\u062e"],
        ),
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


def test_vocabulary_decodes_up_to_the_end() -> None:
    vocabulary = Vocabulary.build([["a", "b"]])
    assert vocabulary.decode([BOS, 5, UNK, 4, EOS, 4, PAD]) == ["b", "<unk>", "a"]
    assert vocabulary.decode(torch.tensor([4, 5, PAD])) == ["a", "b"]


def test_vocabulary_refuses_what_cannot_be() -> None:
    with pytest.raises(ValueError, match=r"expected \('<pad>', .* found \('a', 'b'\)"):
        Vocabulary(("a", "b"))
    with pytest.raises(ValueError, match="distinct words, found 6 with 5 distinct"):
        Vocabulary((*SPECIALS, "a", "a"))
    with pytest.raises(ValueError, match=r"max_size above 4.* found 4"):
        Vocabulary.build([["a"]], max_size=4)


@pytest.fixture(scope="module")
def subwords() -> Subwords:
    corpus = toy_parallel(1009, seed=1)
    return train_subwords(corpus.source + corpus.target, 211)


def test_subwords_know_every_word_and_our_specials(subwords: Subwords) -> None:
    assert len(subwords) == 211
    line = "Der Hund trägt heute einen neuen Hut."
    ids = subwords.encode(line)
    assert subwords.encode_line(line) == ids
    assert len(ids) == len(subwords.pieces(line)) >= 8
    assert min(ids) > UNK
    assert subwords.decode([BOS, *ids, EOS, *ids, PAD]) == line.lower()
    assert subwords.decode(torch.tensor(ids)) == line.lower()
    assert UNK in subwords.encode("Ω")
    assert "".join(subwords.pieces("Hunde")).replace("▁", "") == "hunde"


def test_subwords_are_the_same_each_time() -> None:
    lines = toy_parallel(307, seed=1).source
    assert train_subwords(lines, 101) == train_subwords(lines, 101)
    assert Subwords(train_subwords(lines, 101).model).encode(lines[0]) == train_subwords(
        lines, 101
    ).encode(lines[0])


def test_subwords_say_when_lines_are_too_few() -> None:
    with pytest.raises(ValueError, match=r"vocab_size that these lines allow, found 997.*\d"):
        train_subwords(["ein Hund", "eine Katze"], 997)


def test_encoding_by_hand() -> None:
    source, target = vocabularies(SMALL)
    encoded = encode_parallel(SMALL, source, target)
    assert len(encoded) == 4
    assert encoded.left_out == 1  # the empty sentence
    assert encoded.index.tolist() == [0, 1, 3, 4]
    batch = encoded.batch([3, 0])  # the pairs 4 and 0 of the corpus
    assert [source.decode(row) for row in batch.source] == [
        ["ein", "hund"],
        ["ein", "hund", "rennt", "."],
    ]
    assert [target.decode(row) for row in batch.target] == [["dog"], ["a", "dog", "runs", "."]]
    assert batch.source.shape == (2, 4)
    assert batch.target.shape == (2, 5)
    assert batch.target.tolist()[0] == [target.index("dog"), EOS, PAD, PAD, PAD]
    assert batch.target.tolist()[1][-1] == EOS
    assert batch.source.dtype == batch.target.dtype == torch.int64
    assert batch.gold is not None
    # The first of two links counts; EOS, padding and unlinked words come from nowhere.
    assert batch.gold.tolist() == [[1, -1, -1, -1, -1], [0, 1, 2, 3, -1]]
    other = encoded.batch(torch.tensor([1, 2])).gold
    assert other is not None
    assert other.tolist() == [[-1, 0, -1, -1, -1, -1, -1, -1, -1], [4, 5, 3, 0, 0, 1, 2, 6, -1]]


def test_long_and_short_pairs_are_left_out_and_counted() -> None:
    source, target = vocabularies(SMALL)
    encoded = encode_parallel(SMALL, source, target, max_words=4, min_words=1)
    assert (encoded.index.tolist(), encoded.left_out) == ([0, 1, 4], 2)
    encoded = encode_parallel(SMALL, source, target, max_words=3, min_words=0)
    assert (encoded.index.tolist(), encoded.left_out) == ([1, 2, 4], 2)
    assert encoded.batch([1]).source.shape == (1, 0)
    empty = ParallelCorpus("empty", "de", "en", ("",), ("",))
    batch = encode_parallel(empty, source, target, min_words=0).batch([0])
    assert (batch.source.tolist(), batch.target.tolist()) == ([[]], [[EOS]])
    assert batch.source.dtype == torch.int64
    encoded = encode_parallel(SMALL, source, target, min_words=4)
    assert (encoded.index.tolist(), encoded.left_out) == ([0, 3], 3)
    with pytest.raises(ValueError, match=r"pairs of 1 to 0 pieces, found none among the 5 of 'sm"):
        encode_parallel(SMALL, source, target, max_words=0)


def test_gold_needs_words_and_links_inside_the_sentences(subwords: Subwords) -> None:
    source, target = vocabularies(SMALL)
    assert encode_parallel(SMALL, source, subwords).gold is None
    plain = ParallelCorpus("p", "de", "en", SMALL.source, SMALL.target)
    assert encode_parallel(plain, source, target).gold is None
    assert encode_parallel(plain, source, target).batch([0]).gold is None
    wrong = ParallelCorpus("w", "de", "en", ("ein Hund",), ("a dog",), (((1, 2),),))
    with pytest.raises(ValueError, match=r"pair 0: .* below \(2, 2\), found \(1, 2\)"):
        encode_parallel(wrong, source, target)


def test_gold_of_the_toy_language_leads_to_the_words_it_means() -> None:
    corpus = toy_parallel(401, seed=7)
    source, target = vocabularies(corpus)
    batch = encode_parallel(corpus, source, target).batch(range(401))
    assert batch.gold is not None
    is_dog = batch.target == target.index("dog")
    assert int(is_dog.sum()) > 5
    found = batch.source.gather(1, batch.gold.clamp(min=0))[is_dog]
    assert set(found.tolist()) == {source.index("hund")}
    assert bool((batch.gold[batch.target == EOS] == -1).all())


def rows(batches: list[Batch]) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """The sentence pairs of some batches, without padding."""

    def plain(row: Tensor) -> tuple[int, ...]:
        return tuple(row[row != PAD].tolist())

    return [(plain(s), plain(t)) for b in batches for s, t in zip(b.source, b.target, strict=True)]


@pytest.fixture(scope="module")
def toy() -> EncodedPairs:
    corpus = toy_parallel(1013, seed=2)
    return encode_parallel(corpus, *vocabularies(corpus))


def test_capitals_can_be_kept() -> None:
    lines = ["Ein Hund", "ein hund", "Der Hund bellt", "der Hase"] * 5
    kept = train_subwords(lines, 22, lower=False)
    assert kept.decode(kept.encode("Der Hund")) == "Der Hund"
    lower = train_subwords(lines, 18)
    assert lower.decode(lower.encode("Der Hund")) == "der hund"


def test_each_epoch_has_every_pair_once(toy: EncodedPairs) -> None:
    everything = rows([toy.batch(range(1013))])
    batches = list(toy.batches(17, seed=3, epochs=1))
    assert len(batches) == 60
    assert sorted(map(len, batches)) == [10] + [17] * 59
    assert sorted(rows(batches)) == sorted(everything)
    assert rows(batches) != everything
    two = list(toy.batches(17, seed=3, epochs=2))
    assert len(two) == 120
    assert sorted(rows(two[60:])) == sorted(everything)
    assert rows(two[:60]) != rows(two[60:])


@pytest.mark.parametrize("order", ["both", "source", "random"])
def test_every_way_to_put_pairs_together_has_every_pair_once(
    toy: EncodedPairs, order: Order
) -> None:
    batches = list(toy.batches(17, seed=3, epochs=1, order=order))
    assert sorted(rows(batches)) == sorted(rows([toy.batch(range(1013))]))
    later = list(toy.batches(17, seed=3, epochs=1, order=order, skip=23))
    assert rows(later) == rows(batches[23:])


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
    plain, batch = toy.batch([3, 5]), framed.batch([3, 5])
    for row in range(2):
        inside = plain.source[row][plain.source[row] != PAD].tolist()
        assert batch.source[row][batch.source[row] != PAD].tolist() == [BOS, *inside, EOS]
    assert torch.equal(batch.target, plain.target)


def test_order_depends_on_the_seed_alone(toy: EncodedPairs) -> None:
    first = rows(list(toy.batches(19, seed=5, epochs=1)))
    torch.manual_seed(11)
    torch.rand(7)
    assert rows(list(toy.batches(19, seed=5, epochs=1))) == first
    assert rows(list(toy.batches(19, seed=6, epochs=1))) != first


def test_batches_go_on_without_end_and_leave_the_global_generator_alone(toy: EncodedPairs) -> None:
    before = torch.get_rng_state()
    endless = toy.batches(512, seed=1)
    assert [len(next(endless)) for _ in range(7)].count(512) >= 3
    assert torch.equal(torch.get_rng_state(), before)


def test_batches_come_in_no_order_of_length(toy: EncodedPairs) -> None:
    lengths = [batch.target.shape[1] for batch in toy.batches(13, seed=3, epochs=1)]
    assert lengths != sorted(lengths)
    half = len(lengths) // 2
    assert abs(sum(lengths[:half]) / half - sum(lengths[half:]) / (len(lengths) - half)) < 2


@pytest.mark.parametrize(("name", "value"), [("batch_size", 0), ("epochs", 0)])
def test_impossible_batches_are_refused_at_once(name: str, value: int, toy: EncodedPairs) -> None:
    arguments: dict[str, Any] = {"batch_size": 5, "seed": 1, "epochs": 1} | {name: value}
    with pytest.raises(ValueError, match=f"expected {name} of at least 1, found {value}"):
        toy.batches(**arguments)


def test_positions_of_similar_key_are_dealt_together() -> None:
    key = torch.arange(2003) * 7 % 40
    parts = list(deal(key, 9, seed=2, epochs=1))
    assert torch.cat(parts).sort().values.tolist() == list(range(2003))
    # Pools of 900, 900 and 203: the last batch of a pool may be smaller.
    assert sorted(map(len, parts)) == [5] + [9] * 222
    spans = [int(key[part].max() - key[part].min()) for part in parts]
    assert sum(spans) / len(spans) < 2, "of 40 keys in random batches it would be above 30"
    first = [int(key[part[0]]) for part in parts[:100]]
    assert first != sorted(first), "batches of a pool come in random order"


def test_dealing_depends_on_the_seed_alone_and_epochs_differ() -> None:
    key = torch.tensor([3, 1, 1, 2, 5, 8, 1])
    before = torch.get_rng_state()
    two = [part.tolist() for part in deal(key, 2, seed=4, epochs=2)]
    assert torch.equal(torch.get_rng_state(), before)
    assert two == [part.tolist() for part in deal(key, 2, seed=4, epochs=2)]
    assert two != [part.tolist() for part in deal(key, 2, seed=5, epochs=2)]
    assert len(two) == 8
    assert sorted(position for part in two[4:] for position in part) == list(range(7))
    assert two[:4] != two[4:]
    endless = deal(key, 2, seed=4)
    assert [next(endless).tolist() for _ in range(8)] == two


@pytest.mark.parametrize(("name", "value"), [("batch_size", 0), ("epochs", -1)])
def test_nothing_can_be_dealt_in_batches_of_none(name: str, value: int) -> None:
    arguments = {"batch_size": 5, "epochs": 1} | {name: value}
    with pytest.raises(ValueError, match=f"expected {name} of at least 1, found {value}"):
        deal(torch.ones(3), seed=1, **arguments)


@pytest.mark.parametrize("wrong", [[1013], [-1, 3]])
def test_a_pair_that_is_not_there_is_refused(wrong: list[int], toy: EncodedPairs) -> None:
    with pytest.raises(IndexError, match="positions from 0 to 1012"):
        toy.batch(wrong)


def test_padding_fraction_by_hand() -> None:
    batch = Batch(torch.tensor([[4, 5, 6], [4, PAD, PAD]]), torch.tensor([[4, EOS], [EOS, PAD]]))
    assert padding_fraction([batch]) == 3 / 10
    assert padding_fraction([batch, Batch(torch.ones(2, 5), torch.ones(2, 2))]) == 3 / 24
    assert padding_fraction([]) == 0.0


def test_batches_of_the_toy_language_have_little_padding(toy: EncodedPairs) -> None:
    bucketed = padding_fraction(toy.batches(64, seed=1, epochs=1))
    shuffled = torch.randperm(1013, generator=torch.Generator().manual_seed(1))
    plain = padding_fraction([toy.batch(part) for part in torch.split(shuffled, 64)])
    assert bucketed < 0.08
    assert plain > 3 * bucketed


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("LESSONS_DATA"), reason="LESSONS_DATA does not name the real corpora"
)
def test_batches_of_multi30k_have_less_than_a_tenth_of_padding() -> None:
    corpus = load_parallel("multi30k")
    encoded = encode_parallel(corpus, *vocabularies(corpus))
    assert (len(encoded), encoded.left_out) == (29_000, 0)
    assert padding_fraction(encoded.batches(64, seed=1, epochs=1)) < 0.1


def test_containing_finds_the_first_pairs_with_each_word() -> None:
    corpus = ParallelCorpus("c", "de", "en", ("a b", "b b", "c", "b a", "a"), ("x",) * 5)
    source = Vocabulary.build([["a", "b", "c"]])
    target = Vocabulary.build([["x"]])
    pairs = encode_parallel(corpus, source, target)
    a, b, c = source.encode(["a", "b", "c"])
    assert pairs.containing([a], per_word=2) == [0, 3]
    assert pairs.containing([c, b], per_word=2) == [0, 1, 2]
    assert pairs.containing([b], per_word=9) == [0, 1, 3]
    assert pairs.containing([99], per_word=1) == []

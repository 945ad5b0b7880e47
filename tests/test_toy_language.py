"""The embedded corpus: it is the same everywhere, and its gold is gold."""

from functools import partial
from hashlib import sha256

import pytest

from lessons_lib.corpora.files import ParallelCorpus
from lessons_lib.corpora.toy_language import toy_dictionary, toy_parallel
from lessons_lib.corpora.vocabulary import words

Aligned = tuple[list[str], list[str], tuple[tuple[int, int], ...]]


def aligned(corpus: ParallelCorpus) -> list[Aligned]:
    """Source words, target words and links of each pair."""
    sides = map(words, corpus.source), map(words, corpus.target)
    return list(zip(*sides, corpus.alignment or (), strict=True))


@pytest.fixture(scope="module")
def corpus() -> ParallelCorpus:
    return toy_parallel(3001, seed=5)


def test_same_seed_same_corpus_and_another_seed_another(corpus: ParallelCorpus) -> None:
    found = toy_parallel(37, seed=3)
    assert found == toy_parallel(37, seed=3)
    assert toy_parallel(37, seed=4).source != found.source == toy_parallel(53, seed=3).source[:37]
    # Who changes the grammar looks whether articles and adjectives still agree with their nouns.
    both = "\n".join((*corpus.source, *corpus.target)).encode()
    assert sha256(both).hexdigest()[:16] == "dcf16f36df435506"


def test_alignment_points_at_words_and_agrees_with_the_dictionary(corpus: ParallelCorpus) -> None:
    dictionary = toy_dictionary("en", "de")
    # The words of "in front of" and "in the morning" that carry no meaning are linked, too.
    idle = {("in", "vor"), ("in", "morgens"), ("the", "morgens"), ("in", "abends")}
    idle.add(("the", "abends"))
    for german, english, links in aligned(corpus):
        assert [to for to, _ in links] == sorted(to for to, _ in links)
        # Every word and mark but a German comma is linked, and nothing else.
        assert {to for to, _ in links} == set(range(len(english)))
        assert {at for _, at in links} == {i for i, word in enumerate(german) if word != ","}
        for to, at in links:
            pair = english[to], german[at]
            if english[to] not in ("is", "are", "to", "of", "."):
                assert german[at] in dictionary[english[to]] or pair in idle, pair


def test_alignment_of_two_sentences_by_hand() -> None:
    corpus = toy_parallel(1, seed=3)
    assert corpus.source == (
        "Morgens müssen zwei alte Lehrer ein kleines Feuerwehrauto reparieren.",
    )
    assert corpus.target == ("Two old teachers must repair a small fire truck in the morning.",)
    #            two old teachers must repair a small fire truck in the morning .
    assert [at for _, at in aligned(corpus)[0][2]] == [2, 3, 4, 1, 8, 5, 6, 7, 7, 0, 0, 0, 9]
    corpus = toy_parallel(1, seed=11, source="en", target="de")
    assert (corpus.source_language, corpus.target_language) == ("en", "de")
    assert corpus.source == ("Several donkeys are looking at the bird on an old playground today.",)
    assert corpus.target == ("Auf einem alten Spielplatz sehen heute mehrere Esel den Vogel an.",)
    # auf einem alten spielplatz sehen (looking, then are) heute mehrere esel den vogel an (at) .
    to = [0, 1, 2, 3, 4, 4, 5, 6, 7, 8, 9, 10, 11]
    at = [7, 8, 9, 10, 3, 2, 11, 0, 1, 5, 6, 4, 12]
    assert aligned(corpus)[0][2] == tuple(zip(to, at, strict=True))


def test_dictionary_is_its_own_inverse_and_covers_the_corpus(corpus: ParallelCorpus) -> None:
    german, english = toy_dictionary(), toy_dictionary("en", "de")
    there = {(g, e) for g, es in german.items() for e in es}
    assert there == {(g, e) for e, gs in english.items() for g in gs}
    assert german["feuerwehrauto"] == {"fire", "truck"}
    assert german["im"] == {"in", "the"}
    assert german["aufheben"] == {"pick", "up"}
    assert english["the"] == {"der", "die", "das", "den", "dem", "im", "am"}
    assert english["red"] == {"rote", "rotes", "roten"}
    used = {word for line in corpus.source for word in words(line)}
    assert used - set(german) == {",", "."}
    used = {word for line in corpus.target for word in words(line)}
    assert used - set(english) == {".", "is", "are", "to", "of"}


def test_other_languages_are_refused() -> None:
    for source, target, wrong in (("de", "de", "de"), ("fr", "en", "fr"), ("de", "fr", "fr")):
        for make in (partial(toy_parallel, 5), toy_dictionary):
            with pytest.raises(ValueError, match=f"expected as .* one of .*found '{wrong}'"):
                make(source=source, target=target)

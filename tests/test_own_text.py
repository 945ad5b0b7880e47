"""Your own text in one call: two files or one, and a table comes back."""

from dataclasses import replace
from typing import Any
from unicodedata import normalize

import pytest

from lessons_lib.corpora.files import LabelledCorpus, ParallelCorpus
from lessons_lib.corpora.loaders import load_parallel, toy_labelled
from lessons_lib.corpora.vocabulary import words
from lessons_lib.lab import own_text


@pytest.mark.slow
def test_labelled_texts_give_the_table() -> None:
    texts = toy_labelled("val")
    texts = replace(texts, texts=texts.texts[:120], labels=texts.labels[:120])
    found = own_text.agreement_table(texts, steps=6, runs=5, progress=False)
    names = set(found.table.index)
    assert {"A(alpha,uf)", "A(uf,px)", "A(delta,uf)", "A(alpha,lr)", "xi*"} <= names
    assert "A(alpha,m1)" not in names
    numbers = found.table[["lowest", "mean", "highest"]]
    assert not numbers.isna().any().any(), "never a silent NaN in a table"
    assert (numbers["lowest"] <= numbers["mean"]).all()
    assert (numbers["mean"] <= numbers["highest"]).all()
    assert set(found.table.loc[found.table.index != "xi", "runs"]) == {5}
    assert max(map(len, str(found).splitlines())) <= 80
    assert 0 < found.chance < 1
    assert {row["step"] for row in found.history.rows} == {0, 6}


@pytest.mark.slow
def test_translations_give_the_same_table() -> None:
    corpus = load_parallel("toy")
    pairs = ParallelCorpus("mine", "de", "en", corpus.source[:90], corpus.target[:90])
    found = own_text.agreement_table(pairs, steps=11, runs=3, progress=False)
    assert {"A(alpha,uf)", "A(alpha,m1)", "A(alpha,diagonal)"} <= set(found.table.index)
    assert set(found.table.loc[found.table.index != "xi", "runs"]) == {3}
    assert {row["step"] for row in found.history.rows} == {0, 10, 11}


def split(*sides: list[str], most: int | None = None, seed: int = 3) -> tuple[list[list[int]], str]:
    return own_text._split(sides, most, seed)


def test_no_text_stands_in_two_parts_and_none_is_lost() -> None:
    texts = [f"Büch  number {i}" for i in range(70)]
    same = [normalize("NFD", text.upper().replace("  ", " ")) for text in texts[:33]]
    parts, said = split([*texts, *same, texts[5], "  "])
    assert [len(part) for part in parts] == [56, 7, 7]
    assert sorted(i for part in parts for i in part) == list(range(70))
    assert "34 that repeat another left out, 1 without a word left out" in said
    assert split(texts, seed=4)[0] != parts == split(texts)[0]
    # What differs only where it is cut is the same.
    texts = [f"number {i} ends in {end}" for i in range(60) for end in ("joy", "tears")]
    said = split(texts, most=4)[1]
    assert "60 shortened to max_words=4, 60 that repeat another left out" in said
    assert split(texts, most=5)[1] == "120 texts or pairs, the longest has 5 words"


def test_no_sentence_of_a_pair_stands_in_two_parts() -> None:
    source = [f"satz nummer {i // 2}" for i in range(120)]
    target = [f"sentence number {(i + 1) // 2 % 60 // 3}" for i in range(120)]
    target += [f"alone {i}" for i in range(60)]
    source += [f"allein {i}" for i in range(60)]
    parts, said = split(source, target)
    assert "40 that repeat another left out" in said
    kept = [i for part in parts for i in part]
    assert len(parts[0]) == 112, "the first part is whole: 80% of 140"
    assert f"{140 - len(kept)} with a sentence of an earlier part left out" in said
    assert len(kept) == len(set(kept)) < 140
    for side in (source, target):
        held = [{side[i] for i in part} for part in parts]
        assert not held[0] & held[1] | held[0] & held[2] | held[1] & held[2]


def labelled(texts: list[str], labels: list[int] | None = None) -> LabelledCorpus:
    chosen = [i % 2 for i in range(len(texts))] if labels is None else labels
    return LabelledCorpus("mine", tuple(texts), tuple(chosen), ("no", "yes"))


def pairs(*lengths: int) -> ParallelCorpus:
    """Pairs of so many words, all different."""
    lines = [" ".join(f"w{i}x{k % 7}" for k in range(size)) for i, size in enumerate(lengths)]
    return ParallelCorpus("mine", "de", "en", tuple(lines), tuple(lines))


@pytest.mark.slow
def test_limits_are_arguments_and_what_they_cost_is_said() -> None:
    short = [f"the word {i % 5} and {i % 3}" for i in range(55)]
    longer = [f"{line} {'so ' * 12}it goes" for line in short[:23]]
    lines = tuple(f"{i} {line}" for i, line in enumerate([*short, *longer]))
    corpus = ParallelCorpus("mine", "de", "en", lines, lines)
    found = own_text.agreement_table(corpus, steps=1, progress=False, proxy_steps=3)
    said = "mine: 78 texts or pairs, 23 longer than max_words=15 left out, the longest has 2"
    assert said in " ".join(str(found).split())
    assert "Learned from 44, checkpoints chosen on 5, reported on 6." in found.notice
    texts = labelled(list(lines))
    found = own_text.agreement_table(texts, steps=1, progress=False, max_words=9)
    assert "78 texts or pairs, 23 shortened to max_words=9, the longest has 20" in found.notice
    with pytest.raises(ValueError, match="two runs or more, to compare them, found 1"):
        own_text.agreement_table(corpus, runs=1)
    with pytest.raises(TypeError, match="max_word"):
        own_text.agreement_table(corpus, max_word=9)


CHINESE = "我们都很喜欢这部新电影因为它真的非常好看"
UNCUT = {
    "zh": [f"{CHINESE[i % 9 :]}，{CHINESE[i % 5 : 9 + i % 7]}。" for i in range(60)],
    "one word": [f"w{i}." for i in range(60)],
}


@pytest.mark.parametrize("script", UNCUT)
def test_texts_that_are_not_cut_into_words_are_refused(script: str) -> None:
    remedy = "put blanks between its words with a tokeniser .*sentencepiece"
    with pytest.raises(ValueError, match=f"expected sentences of several words .*{remedy}"):
        own_text.agreement_table(labelled(UNCUT[script]))


def test_a_table_of_mostly_unknown_words_is_said_to_say_little() -> None:
    lines = [f"w{3 * i} w{3 * i + 1} w{3 * i + 2}" for i in range(60)]
    with pytest.warns(UserWarning, match="100% of the source words to report on do not occur"):
        own_text.agreement_table(labelled(lines), steps=1, progress=False)


def test_other_scripts_are_taken() -> None:
    for lines in (
        ["彼 は つら い 人生 を 送 っ た 。", "コンピューター が 欲し い"],
        ["हिन्दी में लिखा है", "한국어 문장 입니다"],
        ["ผม ชอบ หนัง เรื่อง นี้", "the word 東京 here"],
    ):
        own_text._refuse_uncut(lines, [words(line) for line in lines])


RARE = toy_labelled("val")
RARE = replace(RARE, texts=RARE.texts[:60], labels=(1, *[0] * 59))
SHARED = pairs(*[5] * 60)
SHARED = replace(SHARED, source=("ein Satz für alle",) * 60)
REFUSED: list[tuple[object, type[Exception], str]] = [
    ("mine.txt", TypeError, "from read_parallel or read_labelled, found str"),
    (labelled([f"text {i}" for i in range(60)], [1] * 60), ValueError, "48 of .yes. and 0 others"),
    # One text cannot be in all three parts.
    (RARE, ValueError, "texts of both sides in 'toy', found 0 of 'animal' and"),
    (pairs(*[5] * 49), ValueError, "at least 50 texts or pairs, .*found 49, "),
    (
        pairs(*[5] * 40, *[16] * 359, 23),
        *(
            ValueError,
            "found 40, .*400 texts or pairs, 360 longer than max_words=15 left out, the lo",
        ),
    ),
    (
        labelled([f"text {min(i, 48)}" for i in range(60)]),
        *(ValueError, "found 49, .*60 texts or pairs, 11 that repeat another"),
    ),
    (
        SHARED,
        ValueError,
        r"5 in each part, found 60, in parts of \[48, 0, 0\] .*12 with a sentence",
    ),
]


@pytest.mark.parametrize(("corpus", "kind", "message"), REFUSED)
def test_what_cannot_be_used_is_refused(corpus: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        own_text.agreement_table(corpus, steps=1, progress=False)

"""Your own text in one call: two files or one, and a table comes back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lessons_lib.corpora.labelled import toy_labelled
from lessons_lib.corpora.loaders import load_parallel, read_labelled, read_parallel
from lessons_lib.lab import own_text


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    corpus = toy_labelled()
    path = tmp_path / "mine.txt"
    rows = zip(corpus.labels[:120], corpus.texts[:120], strict=True)
    path.write_text("\n".join(f"{label} {line}" for label, line in rows), encoding="utf-8")
    return path


@pytest.fixture
def captions(tmp_path: Path) -> tuple[Path, Path]:
    corpus = load_parallel("toy")
    paths = tmp_path / "mine.de", tmp_path / "mine.en"
    for path, lines in zip(paths, (corpus.source, corpus.target), strict=True):
        path.write_text("\n".join(lines[:90]), encoding="utf-8")
    return paths


@pytest.mark.usefixtures("one_thread_of_the_cpu")
def test_a_labelled_file_gives_the_table(reviews: Path) -> None:
    found = own_text.agreement_table(read_labelled(reviews), steps=6, progress=False)
    assert {"A(alpha,uf)", "A(uf,px)", "A(delta,uf)", "A(alpha,lr)", "xi*"} <= set(
        found.table.index
    )
    assert "A(alpha,m1)" not in found.table.index
    numbers = found.table[["lowest", "mean", "highest"]]
    assert not numbers.isna().any().any(), "never a silent NaN in a table"
    assert (numbers["lowest"] <= numbers["mean"]).all()
    assert (numbers["mean"] <= numbers["highest"]).all()
    assert set(found.table.loc[found.table.index != "xi", "runs"]) == {"2 of 2"}
    assert 0 < found.chance < 1
    assert {row["step"] for row in found.history.rows} == {0, 6}


@pytest.mark.usefixtures("one_thread_of_the_cpu")
def test_two_files_that_are_translations_give_the_table(captions: tuple[Path, Path]) -> None:
    corpus = read_parallel(*captions, "de", "en")
    found = own_text.agreement_table(corpus, steps=11, runs=3, progress=False)
    assert {"A(alpha,uf)", "A(alpha,m1)", "A(alpha,diagonal)"} <= set(found.table.index)
    assert set(found.table.loc[found.table.index != "xi", "runs"]) == {"3 of 3"}
    assert {row["step"] for row in found.history.rows} == {0, 10, 11}
    again = own_text.agreement_table(corpus, steps=11, runs=3, progress=False)
    assert again.history.rows == found.history.rows, "the same seed gives the same table"


def test_the_parts_of_the_split_share_no_text_and_lose_none() -> None:
    parts = own_text._split(70, seed=3)
    assert [len(part) for part in parts] == [56, 7, 7]
    assert sorted(i for part in parts for i in part) == list(range(70))
    assert own_text._split(70, seed=4) != parts


def test_too_few_texts_are_refused() -> None:
    corpus = toy_labelled()
    few = replace(corpus, texts=corpus.texts[:49], labels=corpus.labels[:49])
    with pytest.raises(ValueError, match="at least 50 texts or pairs, found 49"):
        own_text.agreement_table(few)


def test_a_class_that_is_missing_in_a_part_is_named() -> None:
    corpus = toy_labelled()
    labels = (1, *[0] * 59)  # one text cannot be in all three parts
    rare = replace(corpus, texts=corpus.texts[:60], labels=labels)
    with pytest.raises(ValueError, match="expected texts of both sides in 'toy', found only"):
        own_text.agreement_table(rare, steps=1, progress=False)


def test_what_is_no_corpus_is_refused() -> None:
    with pytest.raises(TypeError, match="from read_parallel or read_labelled, found str"):
        own_text.agreement_table("mine.txt")  # type: ignore[arg-type]


def test_sentence_pairs_have_no_class() -> None:
    with pytest.raises(ValueError, match="no class for sentence pairs, found positive='en'"):
        own_text.agreement_table(load_parallel("toy"), positive="en")

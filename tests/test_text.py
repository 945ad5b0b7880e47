"""The corpora of the course: each is read as it is, and nothing falls back silently.

What needs the real corpora is skipped without ``LESSONS_DATA``; the same code runs on tiny files
in their place, pinned by a table made for the test.
"""

from __future__ import annotations

import gzip
import hashlib
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from lessons_lib.corpora import loaders as text_module
from lessons_lib.corpora import sources
from lessons_lib.corpora.loaders import (
    load_dictionary,
    load_dictionary_or_toy,
    load_labelled,
    load_parallel,
    load_parallel_or_toy,
)
from lessons_lib.corpora.sources import CorpusAltered, CorpusUnavailable
from lessons_lib.corpora.toy_language import toy_dictionary, toy_parallel
from lessons_lib.corpora.vocabulary import words

needs_data = pytest.mark.skipif(
    not os.environ.get("LESSONS_DATA"), reason="LESSONS_DATA does not name the real corpora"
)


def write(path: Path, content: str | bytes) -> Path:
    raw = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


def pin(
    monkeypatch: pytest.MonkeyPatch, directory: Path, name: str, **contents: str | bytes
) -> None:
    """Put tiny files in place of a real corpus: ``__`` in a name stands for a dot."""
    corpus = sources.CORPORA[name]
    digests = dict(corpus.files)
    for key, content in contents.items():
        file = key.replace("__", ".").replace("enw", "en-de-enw")
        path = write(directory / corpus.directory / file, content)
        digests[file] = hashlib.sha256(path.read_bytes()).hexdigest()
    table = sources.CORPORA | {name: replace(corpus, files=digests)}
    monkeypatch.setattr(sources, "CORPORA", table)
    monkeypatch.setenv("LESSONS_DATA", str(directory))


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither network nor data nor cache."""

    def unreachable(*_: object, **__: object) -> None:
        raise requests.ConnectionError("no route to host")

    monkeypatch.setattr("requests.get", unreachable)
    monkeypatch.setattr(sources, "_unreachable", {})
    monkeypatch.delenv("LESSONS_DATA", raising=False)
    monkeypatch.setenv("LESSONS_CACHE", str(tmp_path / "cache"))


# Choices


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("iwslt",), "one of multi30k, small_parallel_enja, toy; found 'iwslt'"),
        (("multi30k", "fr"), "source one of cs, de, en; found 'fr'"),
        (("multi30k", "de", "fr"), "target one of cs, de, en; found 'fr'"),
        (("toy", "cs", "en"), "source one of de, en; found 'cs'"),
        (("small_parallel_enja",), "source one of en, ja; found 'de'"),
        (("small_parallel_enja", "ja", "en", "dev"), "train, val, test; found 'dev'"),
        (("multi30k", "de", "de"), "two different languages, found 'de' twice"),
        (("multi30k", "de", "en", "dev"), "split one of train, val, test; found 'dev'"),
        (("toy", "de", "en", "dev"), "split one of train, val, test; found 'dev'"),
    ],
)
def test_load_parallel_lists_its_choices(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_parallel(*arguments)


def test_the_other_loaders_list_their_choices() -> None:
    with pytest.raises(ValueError, match=r"name one of sms_spam, .*, imdb; found 'yelp'"):
        load_labelled("yelp")
    with pytest.raises(ValueError, match="split one of train, val, test; found 'all'"):
        load_labelled("sst2", "all")
    with pytest.raises(ValueError, match="split one of all, train, val, test; found 'dev'"):
        load_labelled("subj", "dev")
    with pytest.raises(ValueError, match="name one of en-de, de-en; found 'de-fr'"):
        load_dictionary("de-fr")


# The embedded corpus in place of a real one


@pytest.mark.slow
def test_toy_parts_are_disjoint_and_keep_their_alignment() -> None:
    parts = {split: load_parallel("toy", split=split) for split in ("train", "val", "test")}
    assert {split: len(part) for split, part in parts.items()} == {
        "train": 10_000,
        "val": 1_000,
        "test": 1_000,
    }
    pairs = [set(zip(part.source, part.target, strict=True)) for part in parts.values()]
    assert len(set.union(*pairs)) == 12_000
    whole = toy_parallel(12_000)
    assert whole.alignment is not None
    assert parts["test"].alignment == whole.alignment[1_000:2_000]
    assert parts["test"].source == whole.source[1_000:2_000]
    assert load_parallel("toy", "en", "de", "val").source == parts["val"].target


@pytest.mark.usefixtures("offline")
def test_without_network_and_data_the_loaders_name_both_remedies() -> None:
    for load in (
        lambda: load_parallel("multi30k"),
        lambda: load_parallel("small_parallel_enja", "ja", "en", "test"),
        lambda: load_labelled("sms_spam"),
        load_dictionary,
    ):
        with pytest.raises(CorpusUnavailable, match=r"(?s)no route.*LESSONS_DATA.*connect"):
            load()


@pytest.mark.usefixtures("offline")
def test_falling_back_on_the_embedded_corpus_is_said() -> None:
    corpus, notice = load_parallel_or_toy("multi30k", "en", "de", "val")
    assert corpus == load_parallel("toy", "en", "de", "val")
    assert corpus.name == "toy"
    assert "**Embedded corpus.**" in notice
    assert "multi30k/val.en.gz could not be downloaded" in notice
    assert "no route to host" in notice
    assert "`LESSONS_DATA`" in notice
    dictionary, notice = load_dictionary_or_toy("de-en")
    assert dictionary == toy_dictionary("de", "en")
    assert "dictionary/en-de-enwiktionary.txt could not be downloaded" in notice
    assert "**Embedded" in notice
    with pytest.raises(CorpusUnavailable):
        load_parallel_or_toy("multi30k", "cs", "en")
    with pytest.raises(ValueError, match="found 'dev'"):
        load_parallel_or_toy("multi30k", split="dev")


def test_with_the_real_corpus_there_is_no_notice(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pin(monkeypatch, tmp_path, "multi30k", test_2016_flickr__de__gz="Hund.\nKätzchen.\n")
    pin(monkeypatch, tmp_path, "multi30k", test_2016_flickr__en__gz="A dog.\nA cat.\n")
    corpus, notice = load_parallel_or_toy("multi30k", "de", "en", "test")
    assert notice == ""
    assert corpus.name == "multi30k"
    assert corpus.source == ("Hund.", "Kätzchen.")
    assert corpus.target == ("A dog.", "A cat.")
    assert (corpus.source_language, corpus.target_language) == ("de", "en")
    assert "raw.githubusercontent.com/multi30k" in corpus.origin
    write(tmp_path / "multi30k" / "test_2016_flickr.de.gz", "Hund.\nZiege.\n")
    with pytest.raises(CorpusAltered):  # an altered file is for people to look at
        load_parallel_or_toy("multi30k", "de", "en", "test")


# How the files of each corpus are read


def test_sms_spam_is_read_and_unescaped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lines = [f"ham\tcall me at &lt;#&gt; {i}" for i in range(31)] + ["spam\tWIN £5"] * 7
    pin(monkeypatch, tmp_path, "sms_spam", sms__tsv="\n".join(lines))
    corpus = load_labelled("sms_spam", "all")
    assert corpus.texts[30:32] == ("call me at <#> 30", "WIN £5")
    assert corpus.labels == (0,) * 31 + (1,) * 7
    assert (corpus.name, corpus.classes) == ("sms_spam", ("ham", "spam"))
    parts = [load_labelled("sms_spam", split) for split in ("train", "val", "test")]
    assert Counter(text for part in parts for text in part.texts) == Counter(corpus.texts)
    assert [len(set(part.texts)) for part in parts] == [25, 3, 4]  # of 32: 80, 10, 10 in a hundred
    assert sum("WIN £5" in part.texts for part in parts) == 1  # repeated texts on one side only
    for part in parts:
        assert all(
            (label == 1) == (text == "WIN £5")
            for text, label in zip(part.texts, part.labels, strict=True)
        )


def test_subj_is_read_as_windows_1252(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    raw = b"0 a clich\xe9 \x85 \x91so'\n1 sam \x96 a boy\n"
    pin(monkeypatch, tmp_path, "subj", subj__all=raw)
    corpus = load_labelled("subj", "all")
    assert corpus.texts == ("a cliché … ‘so'", "sam – a boy")
    assert [corpus.classes[label] for label in corpus.labels] == ["subjective", "objective"]


def test_sst2_has_the_published_parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for part, text in (("train", "one"), ("dev", "two"), ("test", "three")):
        pin(monkeypatch, tmp_path, "sst2", **{f"stsa__binary__{part}": f"1 {text} !\n0 not it\n"})
    for split, text in (("train", "one !"), ("val", "two !"), ("test", "three !")):
        corpus = load_labelled("sst2", split)
        assert corpus.texts == (text, "not it")
        assert [corpus.classes[label] for label in corpus.labels] == ["positive", "negative"]


def test_ag_news_is_repaired(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rows = (
        '"3","Johnson  amp; Johnson","It #39;s  quot;big quot;, they say; at \\$10 (A\\$12)."\n'
        '"2","AT&T; wins","A second\\team &lt;b&gt;won&lt;/b&gt;\\\\in &lt;TXN.N&gt;  #151; so."\n'
        '"1","He said ""no""","&lt;A HREF=""http://x.org/a""&gt;-Post&lt;/A&gt;  hellip; 5  #36;"\n'
    )
    pin(monkeypatch, tmp_path, "ag_news", test__csv=rows, classes__txt="World\nSports\nBusiness\n")
    corpus = load_labelled("ag_news", "all")
    assert corpus.texts == (
        'Johnson & Johnson It\'s "big", they say; at $10 (A$12).',
        "AT&T; wins A second team won in <TXN.N> — so.",
        'He said "no" -Post … 5 $',
    )
    assert corpus.classes == ("World", "Sports", "Business")
    assert corpus.labels == (2, 1, 0)


DICTIONARY = """# English :: German dictionary
a {article} (an) SEE: an ::
dog {n} (animal, see cat) :: [male, female] Hund {m}, [♂] Hündin {f}
dog {n} (morally bad) :: Hund {m}
abate {v} (to fall) :: nachlassen, sich legen (storm), sich setzen
the {article} :: [nominative case] der {m}, die {f}, das {n}, die {p}, ...
during {prep} (x) :: [(in dem)] im, während
tan {v} (x) :: bräunen; in der Sonne baden
bike {n} (x) :: Fahrrad {n}, Velo {n} [Switzerland], colloquial: Drahtesel {m}
athlete {n} (x) :: Athlet/Athletin {m}/{f}
owner {n} (x) :: Inhaber {m} / Inhaberin {f}
mini- {prefix} (small) :: mini-, Mini-
AM {initialism} (x) :: vormittags
hush {interj} (x) :: Ruhe!
brush {n} (x) :: (paint-) Pinsel {m}; Bürste {f}
T-shirt {n} (garment) :: T-Shirt {n}
fire engine {n} (x) :: Feuerwehrauto {n}
Turkey {prop} (country) :: die Türkei {f}
lose {v} (x) :: seine/ihre Wette verlieren
broken {adj} (x (y) :: kaputt (z
alone {adj} ::
"""


def test_dictionary_entries_of_every_kind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pin(monkeypatch, tmp_path, "en-de", enwiktionary__txt=DICTIONARY)
    assert load_dictionary() == {
        "dog": {"hund", "hündin"},
        "abate": {"nachlassen", "legen", "setzen"},
        "the": {"der", "die", "das"},
        "during": {"im", "während"},
        "tan": {"bräunen"},
        "bike": {"fahrrad", "velo", "drahtesel"},
        "athlete": {"athlet", "athletin"},
        "owner": {"inhaber", "inhaberin"},
        "hush": {"ruhe"},
        "brush": {"pinsel", "bürste"},
        "t-shirt": {"t-shirt"},
        "turkey": {"türkei"},
    }
    inverse = load_dictionary("de-en")
    assert inverse["hündin"] == inverse["hund"] == {"dog"}
    assert "am" not in inverse
    assert len(inverse) == 23


def test_japanese_comes_with_its_blanks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    files = {"dev__ja": "私 は 猫 だ 。\nはい 。\n", "dev__en": "i am a cat .\nyes .\n"}
    pin(monkeypatch, tmp_path, "small_parallel_enja", **files)
    corpus = load_parallel("small_parallel_enja", "ja", "en", "val")
    assert (corpus.source_language, corpus.target_language) == ("ja", "en")
    assert corpus.source == ("私 は 猫 だ 。", "はい 。")
    assert corpus.target == ("i am a cat .", "yes .")
    assert "odashi/small_parallel_enja/312408a" in corpus.origin
    assert load_parallel("small_parallel_enja", "en", "ja", "val").target == corpus.source


# The real corpora


@needs_data
def test_real_corpora_have_their_published_sizes() -> None:
    for split, size in (("train", 29_000), ("val", 1_014), ("test", 1_000)):
        for source, target in (("de", "en"), ("cs", "de")):
            assert len(load_parallel("multi30k", source, target, split)) == size
    for split, size in (("train", 50_000), ("val", 500), ("test", 500)):
        assert len(load_parallel("small_parallel_enja", "ja", "en", split)) == size
    corpus = load_parallel("multi30k")
    assert corpus.source[1] == "Mehrere Männer mit Schutzhelmen bedienen ein Antriebsradsystem."
    assert corpus.target[1] == "Several men in hard hats are operating a giant pulley system."
    assert Counter(load_labelled("sms_spam", "all").labels) == {0: 4_827, 1: 747}
    assert Counter(load_labelled("subj", "all").labels) == {0: 5_000, 1: 5_000}
    assert set(Counter(load_labelled("ag_news", "all").labels).values()) == {1_900}
    assert [len(load_labelled("sst2", split)) for split in ("train", "val", "test")] == [
        6_920,
        872,
        1_821,
    ]


@needs_data
def test_real_texts_are_clean() -> None:
    news = load_labelled("ag_news", "all")
    assert news.classes == ("World", "Sports", "Business", "Sci/Tech")
    for left in ("\\", " #39;", "quot;", "&lt;", "</", "  "):
        assert not [text for text in news.texts if left in text]
    for name in ("subj", "ag_news"):
        texts = load_labelled(name, "all").texts
        assert not [text for text in texts if any("\x80" <= letter < "\xa0" for letter in text)]


@pytest.mark.slow
@needs_data
def test_real_dictionary_knows_common_words() -> None:
    english, german = load_dictionary("en-de"), load_dictionary("de-en")
    assert len(english) > 25_000
    assert len(german) > 35_000
    pairs = ("dog hund", "man mann", "girl mädchen", "red rot", "two zwei", "and und", "with mit")
    for word, translation in (pair.split() for pair in pairs):
        assert translation in english[word]
        assert word in german[translation]
    for word, translations in english.items():
        assert words(word) == [word]
        assert all(words(translation) == [translation] for translation in translations)
        assert translations


def test_reviews_that_are_there_again_are_on_one_side_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = {
        "train": [("neg", "bad<br /><br />film"), ("neg", "again"), ("pos", "again"), ("pos", "a")],
        "test": [("neg", "again"), ("neg", "b"), ("neg", "b"), ("pos", "c"), ("pos", "d")],
    }
    for name, rows in parts.items():
        text = "".join(f"{label}\t{review}\n" for label, review in rows)
        (tmp_path / f"{name}.tsv.gz").write_bytes(gzip.compress(text.encode()))
    monkeypatch.setattr(text_module, "fetch", lambda path: tmp_path / Path(path).name)
    monkeypatch.setattr(text_module, "_IMDB_VAL", 2)
    found = {split: load_labelled("imdb", split) for split in ("train", "val", "test")}
    train = dict(zip(found["train"].texts, found["train"].labels, strict=True))
    assert train == {"bad  film": 0, "again": 0, "a": 1}, "of two labels the first"
    assert [len(found[split]) for split in ("val", "test")] == [2, 1]
    held_out = {
        text: found[split].classes[label]
        for split in ("val", "test")
        for text, label in zip(found[split].texts, found[split].labels, strict=True)
    }
    assert held_out == {"b": "neg", "c": "pos", "d": "pos"}

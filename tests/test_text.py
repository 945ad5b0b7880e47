"""The corpora of the course: each is read as it is, and nothing falls back silently.

Tiny files stand in place of the real corpora, pinned by a table made for the test.
"""

import gzip
import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import requests

from lessons_lib.corpora import loaders, sources
from lessons_lib.corpora.loaders import load_dictionary, load_labelled, load_parallel
from lessons_lib.corpora.sources import CorpusAltered, CorpusUnavailable
from lessons_lib.corpora.toy_language import toy_parallel

SPLITS = ("train", "val", "test")
Pin = Callable[[str, dict[str, str | bytes]], Path]


@pytest.fixture
def pin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Pin:
    """Puts tiny files in place of a real corpus; gives the directory where they lie."""

    def put(name: str, contents: dict[str, str | bytes]) -> Path:
        corpus = sources.CORPORA[name]
        directory: Path = tmp_path / corpus["directory"]
        directory.mkdir(exist_ok=True)
        digests = dict(corpus["files"])
        for file, content in contents.items():
            raw = content.encode() if isinstance(content, str) else content
            packed = gzip.compress(raw, mtime=0) if file.endswith(".gz") else raw
            (directory / file).write_bytes(packed)
            # Files that are made here are pinned by what is in them.
            digests[file] = hashlib.sha256(raw if "archive" in corpus else packed).hexdigest()
        monkeypatch.setitem(sources.CORPORA, name, {**corpus, "files": digests})
        monkeypatch.setenv("LESSONS_DATA", str(tmp_path))
        return directory

    return put


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither network nor data nor cache."""
    unreachable = requests.ConnectionError("no route to host")
    monkeypatch.setattr("requests.get", Mock(side_effect=unreachable))
    monkeypatch.delenv("LESSONS_DATA", raising=False)
    monkeypatch.setenv("LESSONS_CACHE", str(tmp_path / "cache"))


def called(call: str) -> Any:
    """What an expression gives with the names of ``loaders`` and ``sources``."""
    return eval(call, {**vars(sources), **vars(loaders)})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("load_parallel('iwslt')", "one of multi30k, small_parallel_enja, toy; found 'iwslt'"),
        ("load_parallel('multi30k', 'fr')", "source one of cs, de, en; found 'fr'"),
        ("load_parallel('multi30k', 'de', 'de')", "target one of cs, en; found 'de'"),
        ("load_parallel('multi30k', split='dev')", "train, val, test; found 'dev'"),
        ("load_labelled('yelp')", r"name one of sms_spam, .*, imdb; found 'yelp'"),
        ("load_dictionary('de-fr')", "name one of en-de, de-en; found 'de-fr'"),
    ],
)
def test_choices_are_listed(call: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        called(call)


@pytest.mark.slow
def test_toy_parts_are_disjoint_and_keep_their_alignment() -> None:
    train, val, test = (load_parallel("toy", split=split) for split in SPLITS)
    assert [len(part) for part in (train, val, test)] == [10_000, 1_000, 1_000]
    pairs = [set(zip(part.source, part.target, strict=True)) for part in (train, val, test)]
    assert len(set.union(*pairs)) == 12_000
    whole = toy_parallel(12_000)
    assert whole.alignment is not None
    assert test.alignment == whole.alignment[1_000:2_000]
    assert test.source == whole.source[1_000:2_000]
    assert load_parallel("toy", "en", "de", "val").source == val.target


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("call", "file", "instead"),
    [
        (
            "load_parallel_or_toy('multi30k', 'en', 'de', 'val')",
            "multi30k/val.en.gz",
            "load_parallel('toy', 'en', 'de', 'val')",
        ),
        ("load_dictionary_or_toy('de-en')", "en-de-enwiktionary.txt", "toy_dictionary()"),
        ("load_labelled_or_toy('sst2', 'val')", "stsa.binary.dev", "toy_labelled('val')"),
    ],
)
def test_falling_back_on_the_embedded_corpus_is_said(call: str, file: str, instead: str) -> None:
    found, notice = called(call)
    assert found == called(instead)
    assert notice.startswith("**Embedded")
    assert f"{file} could not be downloaded" in notice
    assert "no route to host" in notice
    assert "`LESSONS_DATA`" in notice
    with pytest.raises(CorpusUnavailable, match=r"(?s)no route.*LESSONS_DATA.*connect"):
        called("load_parallel('multi30k', 'cs', 'en')")
    with pytest.raises(ValueError, match="found 'cs'"):  # no toy language stands in
        called("load_parallel_or_toy('multi30k', 'cs', 'en')")


def test_with_the_real_corpus_there_is_no_notice(pin: Pin) -> None:
    files = {"de": "Hund.\nKätzchen.\n", "en": "A dog.\nA cat.\n"}
    directory = pin("multi30k", {f"test_2016_flickr.{k}.gz": v for k, v in files.items()})
    corpus, notice = loaders.load_parallel_or_toy("multi30k", "de", "en", "test")
    assert (corpus.name, notice) == ("multi30k", "")
    assert (corpus.source, corpus.target) == (("Hund.", "Kätzchen."), ("A dog.", "A cat."))
    assert (corpus.source_language, corpus.target_language) == ("de", "en")
    sides: dict[str, str | bytes] = {"dev.ja": "私 は 猫 だ 。\n", "dev.en": "i am a cat .\n"}
    pin("small_parallel_enja", sides)
    japanese = load_parallel("small_parallel_enja", "ja", "en", "val")
    assert (japanese.source, japanese.target) == (("私 は 猫 だ 。",), ("i am a cat .",))
    (directory / "test_2016_flickr.de.gz").write_bytes(gzip.compress(b"Hund.\nZiege.\n"))
    with pytest.raises(CorpusAltered):  # an altered file is for people to look at
        loaders.load_parallel_or_toy("multi30k", "de", "en", "test")


def test_sms_spam_is_read_unescaped_and_split_by_distinct_texts(pin: Pin) -> None:
    lines = [f"ham\tcall me at &lt;#&gt; {i}" for i in range(31)] + ["spam\tWIN £5"] * 7
    pin("sms_spam", {"sms.tsv": "\n".join(lines)})
    corpus = load_labelled("sms_spam", "all")
    assert corpus.texts[30:32] == ("call me at <#> 30", "WIN £5")
    assert corpus.labels == (0,) * 31 + (1,) * 7
    assert (corpus.name, corpus.classes) == ("sms_spam", ("ham", "spam"))
    parts = [load_labelled("sms_spam", split) for split in SPLITS]
    pairs = [pair for part in parts for pair in zip(part.texts, part.labels, strict=True)]
    assert Counter(pairs) == Counter(zip(corpus.texts, corpus.labels, strict=True))
    assert [len(set(part.texts)) for part in parts] == [25, 3, 4]  # of 32: 80, 10, 10 in a hundred
    assert sum("WIN £5" in part.texts for part in parts) == 1  # repeated texts on one side only


NEWS = (
    '"3","Johnson  amp; Johnson","It #39;s  quot;big quot;, they say; at \\$10 (A\\$12)."\n'
    '"2","AT&T; wins","A second\\team &lt;b&gt;won&lt;/b&gt;\\\\in &lt;TXN.N&gt;  #151; so."\n'
    '"1","He said ""no""","&lt;A HREF=""http://x.org/a""&gt;-Post&lt;/A&gt;  hellip; 5  #36;"\n'
)


FILES: dict[str, dict[str, str | bytes]] = {
    "subj": {"subj.all": b"0 a clich\xe9 \x85 \x91so'\n1 sam \x96 a boy\n"},  # Windows-1252
    "sst2": {f"stsa.binary.{k}": f"1 {k} !\n0 not it\n" for k in ("train", "dev", "test")},
    "ag_news": {"test.csv": NEWS, "classes.txt": "World\nSports\nBusiness\n"},
}
REPAIRED = {
    'Johnson & Johnson It\'s "big", they say; at $10 (A$12).': "Business",
    "AT&T; wins A second team won in <TXN.N> — so.": "Sports",
    'He said "no" -Post … 5 $': "World",
}


@pytest.mark.parametrize(
    ("name", "split", "expected"),
    [
        ("subj", "all", {"a cliché … ‘so'": "subjective", "sam – a boy": "objective"}),
        ("sst2", "train", {"train !": "positive", "not it": "negative"}),
        ("sst2", "val", {"dev !": "positive", "not it": "negative"}),
        ("sst2", "test", {"test !": "positive", "not it": "negative"}),
        ("ag_news", "all", REPAIRED),
    ],
)
def test_each_corpus_is_read_as_it_is(
    pin: Pin, name: str, split: str, expected: dict[str, str]
) -> None:
    pin(name, FILES[name])
    corpus = load_labelled(name, split)
    assert corpus.texts == tuple(expected)
    assert [corpus.classes[label] for label in corpus.labels] == list(expected.values())


def test_reviews_that_are_there_again_are_on_one_side_only(
    pin: Pin, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = "neg bad<br /><br />film\nneg again\npos again\npos a\n"
    pin("imdb", {"train.tsv.gz": train})
    pin("imdb", {"test.tsv.gz": "neg again\nneg b\nneg b\npos c\npos d\n"})
    monkeypatch.setattr(loaders, "_IMDB_VAL", 2)
    found = [load_labelled("imdb", split) for split in SPLITS]
    assert list(map(len, found)) == [3, 2, 1]
    known = [
        {text: part.classes[label] for text, label in zip(part.texts, part.labels, strict=True)}
        for part in found
    ]
    assert known[0] == {"bad  film": "neg", "again": "neg", "a": "pos"}, "of two labels the first"
    assert known[1] | known[2] == {"b": "neg", "c": "pos", "d": "pos"}


DICTIONARY = """# English :: German dictionary
a {article} (an) SEE: an ::
dog {n} (animal, see cat) :: [male, female] Hund {m}, [♂] Hündin {f}
dog {n} (morally bad) :: Hund {m}
abate {v} (to fall) :: nachlassen, sich legen (storm), sich setzen
the {article} :: [nominative case] der {m}, die {f}, das {n}, die {p}, ...
during {prep} (x) :: [(in dem)] im, während
bike {n} (x) :: Velo {n} [Switzerland], colloquial: Drahtesel {m}
athlete {n} (x) :: Athlet/Athletin {m}/{f}
owner {n} (x) :: Inhaber {m} / Inhaberin {f}
mini- {prefix} (small) :: mini-, Mini-
AM {initialism} (x) :: vormittags
hush {interj} (x) :: Ruhe!
fire engine {n} (x) :: Feuerwehrauto {n}
Turkey {prop} (country) :: die Türkei {f}
lose {v} (x) :: seine/ihre Wette verlieren
broken {adj} (x (y) :: kaputt (z
alone {adj} ::
"""


def test_dictionary_entries_of_every_kind(pin: Pin) -> None:
    pin("en-de", {"en-de-enwiktionary.txt": DICTIONARY})
    assert load_dictionary() == {
        "dog": {"hund", "hündin"}, "abate": {"nachlassen", "legen", "setzen"},
        "the": {"der", "die", "das"}, "during": {"im", "während"},
        "bike": {"velo", "drahtesel"}, "athlete": {"athlet", "athletin"},
        "owner": {"inhaber", "inhaberin"}, "hush": {"ruhe"}, "turkey": {"türkei"},
    }  # fmt: skip
    inverse = load_dictionary("de-en")
    assert inverse["hündin"] == inverse["hund"] == {"dog"}
    assert "am" not in inverse
    assert len(inverse) == 18

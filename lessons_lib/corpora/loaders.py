"""The corpora of this course by name: sentence pairs, labelled texts, a dictionary.

Nothing here replaces real text by other text behind the reader's back: the functions that fall back
on the embedded corpus (``..._or_toy``) also return a notice that a chapter shows.
"""

import csv
import html
import random
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain
from typing import TypeVar

from lessons_lib.corpora.files import (
    LabelledCorpus,
    ParallelCorpus,
    read_labelled,
    read_lines,
    read_parallel,
)
from lessons_lib.corpora.sources import CorpusUnavailable, choose, choose_languages, fetch
from lessons_lib.corpora.toy_language import ANIMALS, LANGUAGES, toy_dictionary, toy_parallel
from lessons_lib.corpora.vocabulary import collected, words

Loaded = TypeVar("Loaded")
_SPLITS = ("train", "val", "test")
_PARALLEL = {  # languages, and the files of the three parts
    "multi30k": (("cs", "de", "en"), "train.{}.gz val.{}.gz test_2016_flickr.{}.gz"),
    "small_parallel_enja": (("en", "ja"), "train.{} dev.{} test.{}"),
    "toy": (LANGUAGES, ""),
}
_TOY_PARTS = {"val": (0, 1000), "test": (1000, 2000), "train": (2000, 12000)}
_LABELLED = ("sms_spam", "sst2", "subj", "ag_news", "imdb")
_IN_PARTS = ("sst2", "imdb")  # as published
_IMDB_VAL = 5000


def load_parallel(
    name: str, source: str = "de", target: str = "en", split: str = "train"
) -> ParallelCorpus:
    """Sentence pairs of ``"multi30k"``, ``"small_parallel_enja"`` or the embedded ``"toy"``.

    - ``multi30k``: captions in English, German and Czech, 29,000 for training, 1,014 for validation
      and 1,000 for test (the file ``test_2016_flickr``).
    - ``small_parallel_enja``: sentences of 4 to 16 words in English and Japanese, 50,000, 500 and
      500, in lower case and cut into words by blanks.
    - ``toy``: German and English, 10,000, 1,000 and 1,000 distinct pairs with gold alignment.

    ``sources.terms`` has the terms of use. A ``ValueError`` if there is no such corpus, language or
    split, or twice the same language; else as ``sources.fetch``.
    """
    choose("name", name, _PARALLEL)
    languages, files = _PARALLEL[name]
    choose_languages(source, target, languages)
    choose("split", split, _SPLITS)
    if name == "toy":
        first, end = _TOY_PARTS[split]
        whole = toy_parallel(end, source=source, target=target)
        parts = {side: getattr(whole, side)[first:] for side in ("source", "target", "alignment")}
        return replace(whole, **parts)
    file = files.split()[_SPLITS.index(split)]
    one, other = (fetch(f"{name}/{file.format(language)}") for language in (source, target))
    return replace(read_parallel(one, other, source, target), name=name)


def load_labelled(name: str, split: str = "train") -> LabelledCorpus:
    """Texts with labels: ``"sms_spam"``, ``"sst2"``, ``"subj"``, ``"ag_news"`` or ``"imdb"``.

    - ``sms_spam``: 5,574 messages, ham or spam. HTML entities are resolved.
    - ``sst2``: sentences of film reviews, negative or positive, in lower case and cut into words by
      blanks; 6,920 for training, 872 for validation, 1,821 for test, as published.
    - ``subj``: 10,000 sentences about films, subjective (label 0) or objective.
    - ``ag_news``: title and first sentences of 7,600 news items of four classes; the published test
      file. Escaped line breaks and ``$``, and HTML entities without their ``&``, are repaired, and
      HTML tags are removed.
    - ``imdb``: film reviews, negative or positive, 25,000 for training and 25,000 others as
      published. HTML line breaks are removed. A review that is there again is left out; of the
      others, shuffled with a fixed seed, 5,000 are for validation and the rest for test.

    All but ``sst2`` and ``imdb`` come without parts: their distinct texts are shuffled with a fixed
    seed and split 80:10:10, so that repeated texts never stand on both sides; ``split="all"`` is
    everything, in the order of the file. A file that is sorted by class gives shuffled parts. Terms
    and errors are as for ``load_parallel``.
    """
    choose("name", name, _LABELLED)
    choose("split", split, _SPLITS if name in _IN_PARTS else ("all", *_SPLITS))
    if name == "imdb":
        corpus = _read_imdb(split)
    elif name == "sst2":
        file = f"sentences/stsa.binary.{'dev' if split == 'val' else split}"
        corpus = replace(read_labelled(fetch(file)), classes=("negative", "positive"))
    elif name == "subj":
        corpus = read_labelled(fetch("sentences/subj.all"), encoding="cp1252")
        corpus = replace(corpus, classes=("subjective", "objective"))
    elif name == "sms_spam":
        corpus = read_labelled(fetch("sms_spam/sms.tsv"), classes=("ham", "spam"))
        corpus = replace(corpus, texts=tuple(map(html.unescape, corpus.texts)))
    else:
        classes, news = (read_lines(fetch(f"ag_news/{f}")) for f in ("classes.txt", "test.csv"))
        rows = [(_clean_news(f"{a} {b}"), int(k) - 1) for k, a, b in csv.reader(news)]
        corpus = _with(LabelledCorpus(name, (), (), tuple(classes)), rows)
    if split != "all" and name not in _IN_PARTS:
        corpus = _part(corpus, split)
    return replace(corpus, name=name)


def _with(corpus: LabelledCorpus, pairs: Iterable[tuple[str, int]]) -> LabelledCorpus:
    texts, labels = zip(*pairs, strict=True)
    return replace(corpus, texts=texts, labels=labels)


def _read_imdb(split: str) -> LabelledCorpus:
    paths = [fetch(f"imdb/{part}.tsv.gz") for part in ("train", "test")]
    train, test = (read_labelled(path, classes=("neg", "pos")) for path in paths)
    # A review that is there twice keeps its first label.
    known, others = (
        dict(zip(reversed(part.texts), reversed(part.labels), strict=True))
        for part in (train, test)
    )
    pairs = list(known.items())
    if split != "train":
        pairs = sorted((text, label) for text, label in others.items() if text not in known)
        random.Random(0).shuffle(pairs)
        pairs = pairs[:_IMDB_VAL] if split == "val" else pairs[_IMDB_VAL:]
    return _with(train, ((text.replace("<br />", " "), label) for text, label in pairs))


def _clean_news(text: str) -> str:
    text = text.replace("\\$", "$").replace("\\", " ")
    # The lost "&" left a blank: " #39;" was "&#39;".
    text = re.sub(r" ?(?<![\w&])(#\d+|quot|amp|lt|gt|hellip);", r"&\1;", text)
    text = html.unescape(text)
    text = re.sub(r"</?(?:a|b|br|em|font|i|img|nobr|p|strong)\b[^<>]*>", " ", text, flags=re.I)
    return " ".join(text.split())


def _part(corpus: LabelledCorpus, split: str) -> LabelledCorpus:
    """One of the parts that we make ourselves where nobody published any."""
    distinct = list(dict.fromkeys(corpus.texts))
    random.Random(0).shuffle(distinct)
    ends = [0, len(distinct) * 8 // 10, len(distinct) * 9 // 10, None]
    wanted = set(distinct[slice(*ends[_SPLITS.index(split) :][:2])])
    pairs = [pair for pair in zip(corpus.texts, corpus.labels, strict=True) if pair[0] in wanted]
    if list(corpus.labels) in (sorted(corpus.labels), sorted(corpus.labels, reverse=True)):
        random.Random(0).shuffle(pairs)  # else the first texts of a part would have one class only
    return _with(corpus, pairs)


def load_dictionary(name: str = "en-de") -> dict[str, frozenset[str]]:
    """For each word all its translations, from Wiktionary: ``"en-de"``, or turned ``"de-en"``.

    Words are in lower case and in their dictionary form (no ``Männer``, no ``spielt``), and only
    entries of a single word on both sides are taken: without what stands in brackets, labels such
    as ``colloquial:``, German articles and ``sich``. Abbreviations and references are left out.
    Terms and errors are as for ``load_parallel``; who passes on what is made from it must name
    Wiktionary and keep the licence.
    """
    choose("name", name, ("en-de", "de-en"))
    lines = read_lines(fetch("dictionary/en-de-enwiktionary.txt"))
    return collected(chain.from_iterable(map(_entries, lines)), turned=name == "de-en")


def _entries(line: str) -> Iterator[tuple[str, str]]:
    """The pairs of single words in a line ``head {part of speech} (gloss) :: translation, ...``."""
    head, _, translations = line.partition(" :: ")
    head, _, rest = head.partition(" {")
    if line.startswith("#") or rest.startswith(("abbr}", "acronym}", "initialism}")):
        return
    translations = re.sub(r"\{[^{}]*\}", "", translations)
    inner = r"\([^()\[\]]*\)|\[[^()\[\]]*\]"
    while re.search(inner, translations):
        translations = re.sub(inner, "", translations)
    for piece in re.split(r"[,;|]|\s/\s", translations):
        piece = re.sub(r"^[^:]*:", "", piece).strip(" !?*/")
        piece = re.sub(r"^(der|die|das|sich) ", "", piece)
        for german in [] if " " in piece else piece.split("/"):
            pair = head.lower(), german.lower()
            if all(word and words(word) == [word] and word[0].isalpha() for word in pair):
                yield pair


def toy_labelled(split: str = "train") -> LabelledCorpus:
    """English sentences of the embedded corpus, as many as its pairs: is an animal mentioned?"""
    sentences = load_parallel("toy", "en", "de", split).source
    labels = tuple(int(not ANIMALS.isdisjoint(words(line))) for line in sentences)
    return LabelledCorpus("toy", sentences, labels, ("none", "animal"))


def _or_embedded(load: Callable[[], Loaded], instead: Callable[[], Loaded]) -> tuple[Loaded, str]:
    """What ``load`` gives, or what stands in, and a notice that says why, and what to do."""
    try:
        return load(), ""
    except CorpusUnavailable as error:
        return instead(), (
            "**Embedded text.** What follows runs on German and English sentences that this course "
            "writes itself, with their dictionary and labels (is an animal mentioned?), not on the "
            f"real text, because {error.reason}. To change that, set the environment variable "
            "`LESSONS_DATA` to a directory that has this file, or connect to the network, and run "
            "it again."
        )


def load_parallel_or_toy(
    name: str = "multi30k", source: str = "de", target: str = "en", split: str = "train"
) -> tuple[ParallelCorpus, str]:
    """``load_parallel`` of German and English, or the toy language if it is not to be had.

    The notice is Markdown for the reader, and empty where the corpus is the real one.
    """
    return _or_embedded(
        lambda: load_parallel(name, source, target, split),
        lambda: load_parallel("toy", source, target, split),
    )


def load_dictionary_or_toy(name: str = "en-de") -> tuple[dict[str, frozenset[str]], str]:
    """``load_dictionary``, or the gold dictionary of the toy language, and a notice.

    A chapter whose corpus is the toy language wants ``toy_language.toy_dictionary`` in any case.
    """
    return _or_embedded(lambda: load_dictionary(name), lambda: toy_dictionary(*name.split("-")))


def load_labelled_or_toy(name: str, split: str = "train") -> tuple[LabelledCorpus, str]:
    """``load_labelled``, or ``toy_labelled``, and a notice."""
    return _or_embedded(lambda: load_labelled(name, split), lambda: toy_labelled(split))

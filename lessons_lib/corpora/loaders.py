"""Real text: a reader's own files, the corpora of this course, a dictionary.

A corpus holds plain strings. What cuts, numbers and batches them is in ``vocabulary``
and can be imported from here as well.

Nothing here replaces real text by other text behind the reader's back: the two functions that fall
back on the embedded corpus, ``load_parallel_or_toy`` and ``load_dictionary_or_toy``, also return a
notice that a chapter shows.
"""

from __future__ import annotations

import csv
import gzip
import html
import io
import random
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lessons_lib.corpora.sources import CORPORA, CorpusAltered, CorpusUnavailable, fetch, terms
from lessons_lib.corpora.toy_language import LANGUAGES, toy_dictionary, toy_parallel
from lessons_lib.corpora.vocabulary import (
    SPECIALS,
    EncodedPairs,
    Subwords,
    Vocabulary,
    encode_parallel,
    padding_fraction,
    train_subwords,
    words,
)
from lessons_lib.tasks import ParallelCorpus

__all__ = [
    "SPECIALS",
    "CorpusAltered",
    "CorpusUnavailable",
    "EncodedPairs",
    "LabelledCorpus",
    "Subwords",
    "Vocabulary",
    "encode_parallel",
    "load_dictionary",
    "load_dictionary_or_toy",
    "load_labelled",
    "load_parallel",
    "load_parallel_or_toy",
    "padding_fraction",
    "read_labelled",
    "read_parallel",
    "terms",
    "train_subwords",
    "words",
]

_PARALLEL_FILES = {
    "multi30k": {"train": "train", "val": "val", "test": "test_2016_flickr"},
    "small_parallel_enja": {"train": "train", "val": "dev", "test": "test"},
}
_PARALLEL_LANGUAGES = {
    "multi30k": ("cs", "de", "en"),
    "small_parallel_enja": ("en", "ja"),
    "toy": LANGUAGES,
}
_TOY_SPLITS = {"val": (0, 1000), "test": (1000, 2000), "train": (2000, 12000)}
_SST2_FILES = {"train": "stsa.binary.train", "val": "stsa.binary.dev", "test": "stsa.binary.test"}
_IMDB_VAL = 5000
_OWN_SPLITS = ("all", "train", "val", "test")


@dataclass(frozen=True)
class LabelledCorpus:
    """Texts with one class each.

    Attributes:
        name: what the corpus is called in results and captions.
        texts: plain strings.
        labels: for each text an index into ``classes``.
        classes: what the classes are called.
        origin: where it was read from, for people.

    Raises:
        ValueError: not one label for each text, or a label without a class.
    """

    name: str
    texts: tuple[str, ...]
    labels: tuple[int, ...]
    classes: tuple[str, ...]
    origin: str

    def __post_init__(self) -> None:
        if len(self.texts) != len(self.labels):
            raise ValueError(
                f"expected one label for each text, found {len(self.texts)} texts and "
                f"{len(self.labels)} labels"
            )
        if wrong := [label for label in self.labels if not 0 <= label < len(self.classes)]:
            raise ValueError(
                f"expected labels from 0 to {len(self.classes) - 1}, found {wrong[0]}; each label "
                "is an index into classes"
            )

    def __len__(self) -> int:
        return len(self.texts)


def _read_lines(path: Path, encoding: str) -> list[str]:
    """The lines of a file, plain or gzipped, Unix or Windows line ends, without them."""
    raw = path.read_bytes()
    if raw.startswith(b"\x1f\x8b"):
        try:
            raw = gzip.decompress(raw)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(
                f"{path}: expected a whole gzip file, found a damaged one ({error}); copy it again"
            ) from error
    if not raw.strip():
        raise ValueError(f"{path}: expected at least one line of text, found an empty file")
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        raise ValueError(
            f"{path}, line {line}, byte {column}: expected text in {encoding}, found the byte "
            f"0x{raw[error.start]:02X}, which cannot stand there. Save the file as UTF-8, or say "
            "what it is in, for example encoding='latin-1'"
        ) from error
    # Not str.splitlines: it also breaks lines at characters such as U+0085 and U+2028.
    lines = text.removeprefix("\ufeff").removesuffix("\n").split("\n")
    return [line.removesuffix("\r") for line in lines]


def read_parallel(
    source_path: str | Path,
    target_path: str | Path,
    source: str = "src",
    target: str = "tgt",
    *,
    encoding: str = "utf-8",
) -> ParallelCorpus:
    """Two files whose lines are translations of each other, plain or gzipped.

    Args:
        source_path: one sentence in each line; an empty line is an empty sentence.
        target_path: in line ``i`` the translation of line ``i``.
        source: the language of the first file; a name for people.
        target: the language of the second.
        encoding: how both are encoded.

    Raises:
        FileNotFoundError: no such file.
        ValueError: an empty file, another encoding, a damaged archive, or unequal line counts.
    """
    paths = Path(source_path), Path(target_path)
    lines = [_read_lines(path, encoding) for path in paths]
    if len(lines[0]) != len(lines[1]):
        raise ValueError(
            f"expected as many lines in both files, found {len(lines[0])} in {paths[0]} and "
            f"{len(lines[1])} in {paths[1]}. They must be translations line by line; nothing was "
            "cut off to make them equal. Look for the first line where they drift apart"
        )
    return ParallelCorpus(
        name=paths[0].name,
        source_language=source,
        target_language=target,
        source=tuple(lines[0]),
        target=tuple(lines[1]),
        origin=f"{paths[0]} and {paths[1]}",
    )


def read_labelled(
    path: str | Path, *, classes: Sequence[str] | None = None, encoding: str = "utf-8"
) -> LabelledCorpus:
    """A file with one text in each line, its label first; plain or gzipped.

    The label ends at the first tab or blank of the line, and the text is all that follows. Labels
    are integers, and any will do (0 and 1, -1 and 1, ...): they are sorted, and ``classes`` keeps
    them as they stand in the file. Where the file has words for labels, name them.

    Args:
        path: the file.
        classes: the words that the file has for labels, in the order of their indices.
        encoding: how the file is encoded.

    Raises:
        FileNotFoundError: no such file.
        ValueError: an empty file, another encoding, a damaged archive, a line without text, or a
            label that is not an integer (not one of ``classes``, where these are given).
    """
    path = Path(path)
    found: list[str] = []
    texts: list[str] = []
    for number, line in enumerate(_read_lines(path, encoding), start=1):
        label, *rest = re.split(r"[\t ]", line, maxsplit=1)
        if classes is None and not re.fullmatch(r"[+-]?[0-9]+", label):
            raise ValueError(
                f"{path}, line {number}: expected an integer label before the first tab or blank, "
                f"found {label!r} in {line[:60]!r}. Where labels are words, name them: "
                "classes=('ham', 'spam')"
            )
        if classes is not None and label not in classes:
            raise ValueError(
                f"{path}, line {number}: expected one of the labels {', '.join(classes)} before "
                f"the first tab or blank, found {label!r} in {line[:60]!r}"
            )
        if not rest or not rest[0].strip():
            raise ValueError(
                f"{path}, line {number}: expected a text after the label, found only {line!r}"
            )
        found.append(label if classes is not None else str(int(label)))
        texts.append(rest[0].strip())
    names = tuple(classes) if classes is not None else tuple(sorted(set(found), key=int))
    index = {name: position for position, name in enumerate(names)}
    labels = tuple(index[label] for label in found)
    return LabelledCorpus(path.name, tuple(texts), labels, names, str(path))


def _choose(what: str, value: str, choices: Iterable[str]) -> None:
    choices = tuple(choices)
    if value not in choices:
        raise ValueError(f"expected as {what} one of {', '.join(choices)}; found {value!r}")


def load_parallel(
    name: str, source: str = "de", target: str = "en", split: str = "train"
) -> ParallelCorpus:
    """Sentence pairs of ``"multi30k"``, ``"small_parallel_enja"`` or the embedded ``"toy"``.

    Multi30k has captions in English, German and Czech: 29,000 for training, 1,014 for validation
    and 1,000 for test (the file ``test_2016_flickr``). Its terms: research and education,
    non-commercial. small_parallel_enja has sentences of 4 to 16 words in English and Japanese
    (``"ja"``): 50,000, 500 and 500, in lower case and cut into words by blanks. The toy language
    has German and English, 10,000, 1,000 and 1,000 distinct pairs with gold alignment.

    Raises:
        ValueError: no such corpus, language or split; or twice the same language.
        CorpusUnavailable: neither here nor to be downloaded.
        CorpusAltered: a file in ``LESSONS_DATA`` is not the pinned one.
    """
    _choose("name", name, _PARALLEL_LANGUAGES)
    for what, language in (("source", source), ("target", target)):
        _choose(what, language, _PARALLEL_LANGUAGES[name])
    if source == target:
        raise ValueError(f"expected two different languages, found {source!r} twice")
    _choose("split", split, _PARALLEL_FILES["multi30k"])
    if name == "toy":
        first, end = _TOY_SPLITS[split]
        whole = toy_parallel(end, source=source, target=target)
        alignment = None if whole.alignment is None else whole.alignment[first:]
        return replace(
            whole, source=whole.source[first:], target=whole.target[first:], alignment=alignment
        )
    packed = ".gz" if name == "multi30k" else ""
    file = _PARALLEL_FILES[name][split]
    paths = [fetch(f"{name}/{file}.{language}{packed}") for language in (source, target)]
    corpus = read_parallel(paths[0], paths[1], source, target)
    # The same bytes wherever they lay, so the published address is their origin.
    return replace(corpus, name=name, origin=CORPORA[name].address)


def load_labelled(name: str, split: str = "train") -> LabelledCorpus:
    r"""Texts with labels: ``"sms_spam"``, ``"sst2"``, ``"subj"``, ``"ag_news"`` or ``"imdb"``.

    - ``sms_spam``: 5,574 messages, ham or spam. HTML entities are resolved.
    - ``sst2``: sentences of film reviews, negative or positive, in lower case and cut into words by
      blanks; 6,920 for training, 872 for validation, 1,821 for test, as published.
    - ``subj``: 10,000 sentences about films, subjective (label 0) or objective. The file is not
      UTF-8. It is read as Windows-1252, which agrees with Latin-1 on every letter and has dashes,
      dots and quotes where Latin-1 has control characters; the file uses both.
    - ``ag_news``: title and first sentences of 7,600 news items of four classes; the published test
      file. Line breaks stand in it as a backslash, ``$`` as ``\$``, and HTML entities have a blank
      for their ``&`` (`` #39;``, `` quot;``): all are repaired, and HTML tags are removed.
    - ``imdb``: film reviews, negative or positive, 25,000 for training and 25,000 others as
      published. HTML line breaks are removed. A review that is there again is left out; of the
      others, shuffled with a fixed seed, 5,000 are for validation and the rest for test.

    All but ``sst2`` and ``imdb`` come without a training part of their own. Their distinct texts
    are shuffled with a fixed seed and split 80:10:10 into ``train``, ``val`` and ``test``, so that
    repeated messages never stand on both sides; ``split="all"`` is everything, in the order of the
    file. The file of ``subj`` is sorted by class, and its parts are shuffled.

    ``lessons_lib.corpora.sources.terms`` has the terms of use of each.

    Raises:
        ValueError: no such corpus or split.
        CorpusUnavailable: neither here nor to be downloaded.
        CorpusAltered: a file in ``LESSONS_DATA`` is not the pinned one.
    """
    _choose("name", name, ("sms_spam", "sst2", "subj", "ag_news", "imdb"))
    _choose("split", split, _SST2_FILES if name in ("sst2", "imdb") else _OWN_SPLITS)
    if name == "imdb":
        corpus = _read_imdb(split)
    elif name == "sst2":
        corpus = read_labelled(fetch(f"sentences/{_SST2_FILES[split]}"))
        corpus = replace(corpus, classes=("negative", "positive"))
    elif name == "subj":
        corpus = read_labelled(fetch("sentences/subj.all"), encoding="cp1252")
        corpus = replace(corpus, classes=("subjective", "objective"))
    elif name == "sms_spam":
        corpus = read_labelled(fetch("sms_spam/sms.tsv"), classes=("ham", "spam"))
        corpus = replace(corpus, texts=tuple(html.unescape(text) for text in corpus.texts))
    else:
        corpus = _read_ag_news()
    corpus = replace(corpus, name=name, origin=CORPORA[name].address)
    return corpus if name in ("sst2", "imdb") else _part(corpus, split)


def _read_imdb(split: str) -> LabelledCorpus:
    classes = ("neg", "pos")
    files = [fetch(f"imdb/{part}.tsv.gz") for part in ("train", "test")]
    # A review that is there twice keeps its first label.
    known, others = (
        dict(zip(reversed(part.texts), reversed(part.labels), strict=True))
        for part in (read_labelled(path, classes=classes) for path in files)
    )
    if split == "train":
        pairs = list(known.items())
    else:
        pairs = sorted((text, label) for text, label in others.items() if text not in known)
        random.Random(0).shuffle(pairs)
        pairs = pairs[:_IMDB_VAL] if split == "val" else pairs[_IMDB_VAL:]
    texts = tuple(text.replace("<br />", " ") for text, _ in pairs)
    return LabelledCorpus("imdb", texts, tuple(label for _, label in pairs), classes, str(files[0]))


def _read_ag_news() -> LabelledCorpus:
    classes = tuple(_read_lines(fetch("ag_news/classes.txt"), "utf-8"))
    path = fetch("ag_news/test.csv")
    rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))
    texts = tuple(_clean_news(f"{title} {description}") for _, title, description in rows)
    labels = tuple(int(label) - 1 for label, _, _ in rows)
    return LabelledCorpus("ag_news", texts, labels, classes, str(path))


def _clean_news(text: str) -> str:
    text = text.replace("\\$", "$").replace("\\", " ")
    # The lost "&" left a blank: " #39;" was "&#39;".
    text = re.sub(r" ?(?<![\w&])(#\d+|quot|amp|lt|gt|hellip);", r"&\1;", text)
    text = html.unescape(text)
    text = re.sub(r"</?(?:a|b|br|em|font|i|img|nobr|p|strong)\b[^<>]*>", " ", text, flags=re.I)
    return " ".join(text.split())


def _part(corpus: LabelledCorpus, split: str) -> LabelledCorpus:
    """One of the parts that we make ourselves where nobody published any."""
    if split == "all":
        return corpus
    distinct = list(dict.fromkeys(corpus.texts))
    random.Random(0).shuffle(distinct)
    ends = len(distinct) * 8 // 10, len(distinct) * 9 // 10
    chosen = {"train": distinct[: ends[0]], "val": distinct[ends[0] : ends[1]]}
    wanted = set(chosen.get(split, distinct[ends[1] :]))
    pairs = [pair for pair in zip(corpus.texts, corpus.labels, strict=True) if pair[0] in wanted]
    if list(corpus.labels) in (sorted(corpus.labels), sorted(corpus.labels, reverse=True)):
        random.Random(0).shuffle(pairs)  # else the first texts of a part would have one class only
    texts, labels = zip(*pairs, strict=True)
    return replace(corpus, texts=tuple(texts), labels=tuple(labels))


def load_dictionary(name: str = "en-de") -> dict[str, frozenset[str]]:
    """For each word all its translations, from Wiktionary: ``"en-de"``, or turned ``"de-en"``.

    Words are in lower case, and only entries of a single word on both sides are taken (``words``
    finds one word in it). What stands in brackets, parts of speech, genders, labels such as
    ``colloquial:``, German articles and ``sich`` are stripped. Abbreviations are left out, because
    in lower case they look like words, and so are lines that only refer to another entry.

    These are dictionary forms: ``Männer`` and ``spielt`` are not in it. Where a word has no entry,
    the dictionary says nothing about it.

    The file is under Creative Commons BY-SA 3.0 and the GNU Free Documentation License; what is
    made from it and passed on must name Wiktionary and keep the licence.

    Raises:
        ValueError: no such dictionary.
        CorpusUnavailable: neither here nor to be downloaded.
        CorpusAltered: the file in ``LESSONS_DATA`` is not the pinned one.
    """
    _choose("name", name, ("en-de", "de-en"))
    found: dict[str, set[str]] = {}
    for line in _read_lines(fetch("dictionary/en-de-enwiktionary.txt"), "utf-8"):
        for english, german in _entries(line):
            pair = (english, german) if name == "en-de" else (german, english)
            found.setdefault(pair[0], set()).add(pair[1])
    return {word: frozenset(found[word]) for word in sorted(found)}


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
            if all(
                word and words(word) == [word] and word[0].isalpha()
                for word in (head.lower(), german.lower())
            ):
                yield head.lower(), german.lower()


def notice(instead: str, error: CorpusUnavailable) -> str:
    """For the reader: that another corpus stands in, why, and what to do about it."""
    return (
        f"{instead}, because {error.reason}. To change that, set the environment variable "
        "`LESSONS_DATA` to a directory that has this file, or connect to the network, and run it "
        "again."
    )


_TOY_CORPUS = (
    "**Embedded corpus.** What follows runs on the small German-English corpus that this course "
    "writes itself, not on the real text"
)
_TOY_DICTIONARY = (
    "**Embedded dictionary.** What follows uses the small dictionary of the course's own corpus, "
    "not the one from Wiktionary"
)


def load_parallel_or_toy(
    name: str = "multi30k", source: str = "de", target: str = "en", split: str = "train"
) -> tuple[ParallelCorpus, str]:
    """``load_parallel``, or the toy language where the corpus is not to be had, and a notice.

    Returns:
        The corpus, and a notice in Markdown for the reader: empty where the corpus is the real one.

    Raises:
        CorpusUnavailable: not to be had, and the toy language does not have these languages.
        ValueError: as ``load_parallel``.
        CorpusAltered: as ``load_parallel``.
    """
    try:
        return load_parallel(name, source, target, split), ""
    except CorpusUnavailable as error:
        if not {source, target} <= set(LANGUAGES):
            raise
        return load_parallel("toy", source, target, split), notice(_TOY_CORPUS, error)


def load_dictionary_or_toy(name: str = "en-de") -> tuple[dict[str, frozenset[str]], str]:
    """``load_dictionary``, or the gold dictionary of the toy language, and a notice.

    A chapter whose corpus is the toy language wants ``toy_language.toy_dictionary`` in any case.

    Returns:
        The dictionary, and a notice in Markdown: empty where the dictionary is the real one.

    Raises:
        ValueError: as ``load_dictionary``.
        CorpusAltered: as ``load_dictionary``.
    """
    try:
        return load_dictionary(name), ""
    except CorpusUnavailable as error:
        return toy_dictionary(*name.split("-")), notice(_TOY_DICTIONARY, error)

"""A German-English parallel corpus that this course writes itself: a small grammar, real words.

It needs no download, and unlike real text it knows the truth: every sentence pair comes with its
gold alignment, and the whole language with its gold dictionary. The word order of the two
languages differs as it really does: German puts the verb second and what belongs to it last, and
what stands first in German may stand last in English::

    Heute will ein alter Mann im Garten einen Apfel essen.
    An old man wants to eat an apple in the garden today.

A ``Phrase`` is a piece of text that is contiguous in both languages, with links between its words.
``_word`` makes the smallest ones; ``_arrange`` puts phrases into a longer one, in one order for
German and in another for English, and moves the links along. English words are written in a small
notation: ``_`` joins words that stand for one German word, and ``*`` marks those that carry its
meaning (all of them where none is marked). So ``is_*playing`` is the English of ``spielt``: both
words are linked to it, but only ``playing`` is in the dictionary.
"""

from __future__ import annotations

import random
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from lessons_lib.corpora.files import ParallelCorpus

LANGUAGES = ("de", "en")
SHORTEST, LONGEST = 5, 12
"""Bounds on the words of a sentence, in both languages, punctuation not counted."""
MOST = 200_000
"""The largest corpus that ``toy_parallel`` writes; the grammar has many more sentences."""


class Noun(NamedTuple):
    """A noun; ``kind`` says which adjectives suit it."""

    german: str
    gender: str
    german_plural: str
    english: str
    english_plural: str
    kind: str


class Verb(NamedTuple):
    """A verb; ``who`` does it (p: people, a: animals); ``with_`` are its manners or objects."""

    infinitive: str
    singular: str
    plural: str
    english: str
    english_ing: str
    prefix: str
    particle: str
    who: str
    with_: str


class Place(NamedTuple):
    """A noun with the one preposition, in both languages, that makes a place of it."""

    noun: Noun
    german: str
    english: str


_TABLES = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))


def _rows(table: str) -> list[list[str]]:
    return [line.split() for line in table.strip().split("\n")]


def _verbs(name: str) -> list[Verb]:
    """A "-" in a table says that nothing is separated from this verb."""
    return [Verb(*(cell.replace("-", "") for cell in row)) for row in _rows(_TABLES[name])]


_PEOPLE = [Noun(*[*row, "person"]) for row in _rows(_TABLES["people"])]
_ANIMALS = [Noun(*[*row, "animal"]) for row in _rows(_TABLES["animals"])]
ANIMALS = frozenset(
    # Birds and fish do nothing in these sentences: they are among the things.
    {"bird", "fish"}.union(*({noun.english, noun.english_plural} for noun in _ANIMALS))
)
"""English names of animals: what the labels of ``loaders.toy_labelled`` depend on."""
_THINGS = {
    german: Noun(german, gender, "", english, "", kind)
    for german, gender, english, kind in _rows(_TABLES["things"])
}
_PLACES = [
    Place(Noun(german, gender, "", english, "", "size"), *prepositions)
    for german, gender, english, *prepositions in _rows(_TABLES["places"])
]
_ADJECTIVES = {kind: _rows(table) for kind, table in _TABLES["adjectives"].items()}
_INTRANSITIVE, _TRANSITIVE = _verbs("intransitive"), _verbs("transitive")
_CLOTHES, _LUGGAGE = _TABLES["clothes"].split(), _TABLES["luggage"].split()
_MANNERS = dict(_rows(_TABLES["manners"]))
_TIMES, _COUNTS, _MODALS = (_rows(_TABLES[name]) for name in ("times", "counts", "modals"))
_ARTICLES = {"ein": "a", "der": "the", "dieser": "this"}
_FORMS = {(case, article): forms for case, article, *forms in _rows(_TABLES["forms"])}
_ENDINGS = {case: [row.split() for row in rows] for case, rows in _TABLES["endings"].items()}
_CONTRACTIONS = {"in": "im", "an": "am"}


@dataclass(frozen=True)
class Phrase:
    """Words of both languages and the links ``(German position, English position)`` of them."""

    german: tuple[str, ...]
    english: tuple[str, ...]
    links: tuple[tuple[int, int], ...]


@cache
def _read(english: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The words of the notation, and the positions of those that carry the meaning, head first."""
    marked = english.split("_") if english else []
    stars = [position for position, word in enumerate(marked) if word.startswith("*")]
    # Without a mark it is a compound, whose head is its last word.
    meaning = stars or list(reversed(range(len(marked))))
    return tuple(word.lstrip("*") for word in marked), tuple(meaning)


def _word(german: str, english: str = "") -> Phrase:
    """One German word and the English for it, every word of which is linked, the head first."""
    words, meaning = _read(english)
    others = (position for position in range(len(words)) if position not in meaning)
    return Phrase((german,), words, tuple((0, position) for position in (*meaning, *others)))


def _arrange(german: list[Phrase], english: list[Phrase]) -> Phrase:
    """The same phrases in two orders, as one phrase; punctuation may be left out of one."""
    starts: dict[int, int] = {}
    english_words: list[str] = []
    for part in english:
        starts[id(part)] = len(english_words)
        english_words += part.english
    german_words: list[str] = []
    links: list[tuple[int, int]] = []
    for part in german:
        links += [(g + len(german_words), e + starts[id(part)]) for g, e in part.links]
        german_words += part.german
    return Phrase(tuple(german_words), tuple(english_words), tuple(links))


def _join(*parts: Phrase) -> Phrase:
    return _arrange(list(parts), list(parts))


def _singular(noun: Noun, case: str, article: str, adjective: list[str] | None) -> Phrase:
    """Article, perhaps an adjective, and a noun, in agreement: ``einem alten Mann``."""
    column = "mfn".index(noun.gender)
    english = _ARTICLES[article]
    if english == "a" and (adjective[1] if adjective else noun.english)[0] in "aeiou":
        english = "an"
    parts = [_word(_FORMS[case, article][column], english)]
    if adjective:
        ending = _ENDINGS[case][article != "ein"][column]
        parts.append(_word(adjective[0] + ending, adjective[1]))
    return _join(*parts, _word(noun.german, noun.english))


def _plural(noun: Noun, count: list[str] | None, adjective: list[str] | None) -> Phrase:
    """``zwei alte Männer`` with a count, ``die alten Männer`` without; nominative."""
    parts = [_word(*count) if count else _word("die", "the")]
    if adjective:
        parts.append(_word(adjective[0] + ("e" if count else "en"), adjective[1]))
    return _join(*parts, _word(noun.german_plural, noun.english_plural))


def _where(place: Place, article: str, adjective: list[str] | None) -> Phrase:
    """A place in the dative; ``in dem`` and ``an dem`` become one word."""
    noun = _singular(place.noun, "dative", article, adjective)
    if noun.german[0] != "dem" or place.german not in _CONTRACTIONS:
        return _join(_word(place.german, place.english), noun)
    links = tuple((g - 1, e - 1) for g, e in noun.links[1:])
    contraction = _word(_CONTRACTIONS[place.german], f"*{place.english}_*the")
    return _join(contraction, Phrase(noun.german[1:], noun.english[1:], links))


def _somebody(who: str, rng: random.Random) -> tuple[Phrase, bool]:
    """The subject of a sentence, and whether it is a plural."""
    nouns = _PEOPLE if who == "p" else _ANIMALS
    noun = rng.choice(nouns)
    adjective = rng.choice([None, rng.choice(_ADJECTIVES[noun.kind])])
    kind = rng.random()
    if kind < 0.25:
        return _plural(noun, rng.choice([None, *_COUNTS]), adjective), True
    head = _singular(noun, "nominative", rng.choice(["ein", "ein", "der", "dieser"]), adjective)
    if kind < 0.35:
        other = _singular(rng.choice([n for n in nouns if n != noun]), "nominative", "ein", None)
        return _join(head, _word("und", "and"), other), True
    if who != "p" or kind >= 0.65:
        return head, False
    carried = kind < 0.5
    thing = _THINGS[rng.choice(_LUGGAGE if carried else _CLOTHES)]
    colour = rng.choice([None, *_ADJECTIVES[thing.kind]])
    clothes = _singular(thing, "dative" if carried else "accusative", "ein", colour)
    if carried:
        return _join(head, _word("mit", "with"), clothes), False
    pronoun = _word(_FORMS["nominative", "der"]["mfn".index(noun.gender)], "who")
    verb, comma = _word("trägt", "is_*wearing"), _word(",")
    # German sets the clause between commas and its verb last; English does neither.
    in_german = [head, comma, pronoun, clothes, verb, comma]
    return _arrange(in_german, [head, pronoun, verb, clothes, comma]), False


def _sentence(rng: random.Random) -> Phrase:
    """One sentence without its full stop."""
    verb = rng.choice(rng.choice([_INTRANSITIVE, _TRANSITIVE]))
    subject, many = _somebody(rng.choice(verb.who), rng)
    with_ = rng.choice(verb.with_.split(","))
    definite = rng.random() < 0.3
    things, manner = [], []
    if with_ in _THINGS:
        thing = _THINGS[with_]
        adjective = rng.choice([None, rng.choice(_ADJECTIVES[thing.kind])])
        things = [_singular(thing, "accusative", "der" if definite else "ein", adjective)]
    elif rng.random() < 0.3:
        manner = [_word(with_, _MANNERS[with_])]
    time = [_word(*rng.choice(_TIMES))] if rng.random() < 0.5 else []
    where = []
    if rng.random() < 0.7:
        place = rng.choice(_PLACES)
        adjective = rng.choice([None, None, rng.choice(_ADJECTIVES[place.noun.kind])])
        where = [_where(place, rng.choice(["ein", "der"]), adjective)]

    last = []
    if rng.random() < 0.3:  # a modal verb sends the main verb to the end of the German sentence
        singular, plural, english, english_many, mark = rng.choice(_MODALS)
        finite = _word(plural, english_many) if many else _word(singular, english)
        particle = f"_*{verb.particle}" if verb.particle else ""
        last = [_word(verb.prefix + verb.infinitive, mark + verb.english + particle)]
    else:
        german, be = (verb.plural, "are") if many else (verb.singular, "is")
        finite = _word(german, f"{be}_*{verb.english_ing}")
        if verb.prefix:
            last = [_word(verb.prefix, verb.particle)]

    in_english = [subject, finite, *last, *things, *manner, *where, *time]
    # German names a known thing early and a new one late.
    middle = [*manner, *things, *where] if definite else [*manner, *where, *things]
    front = rng.random()
    if "," in subject.german or front < 0.5 or not (time or where):
        in_german = [subject, finite, *time, *middle, *last]
    elif time and (front < 0.75 or not where):
        in_german = [*time, finite, subject, *middle, *last]
    else:
        in_german = [*where, finite, *time, subject, *manner, *things, *last]
    return _arrange(in_german, in_english)


def _rendered(words: tuple[str, ...]) -> str:
    """Words as people write them: capital at the start, no blank before a comma, full stop."""
    text = " ".join(words).replace(" ,", ",")
    return f"{text[0].upper()}{text[1:]}."


def toy_parallel(
    n: int = 2000, seed: int = 0, source: str = "de", target: str = "en"
) -> ParallelCorpus:
    """``n`` distinct sentence pairs of the toy language, with their gold alignment.

    Positions count the words and punctuation marks that ``vocabulary.words`` finds. Each pair
    ``(target position, source position)`` links two words; the pairs are sorted by target position,
    and where a target word has several, the one that carries the meaning comes first. A German
    comma is linked to nothing.

    Args:
        n: how many pairs, ``1..MOST``.
        seed: same seed and ``n``, same corpus; a larger ``n`` continues it.
        source: ``"de"`` or ``"en"``.
        target: the other one.

    Raises:
        ValueError: ``n`` out of range, or not these two languages.
    """
    _check_languages(source, target)
    if not 1 <= n <= MOST:
        raise ValueError(f"expected n between 1 and {MOST:,} sentence pairs, found {n}")
    rng = random.Random(seed)
    phrases: dict[Phrase, None] = {}
    while len(phrases) < n:
        phrase = _sentence(rng)
        lengths = sum(word != "," for word in phrase.german), len(phrase.english)
        if all(SHORTEST <= length <= LONGEST for length in lengths):
            phrases[phrase] = None
    texts = {
        "de": tuple(_rendered(phrase.german) for phrase in phrases),
        "en": tuple(_rendered(phrase.english) for phrase in phrases),
    }
    alignment = tuple(_alignment(phrase, target) for phrase in phrases)
    return ParallelCorpus("toy", source, target, texts[source], texts[target], alignment)


def _alignment(phrase: Phrase, target: str) -> tuple[tuple[int, int], ...]:
    links = [*phrase.links, (len(phrase.german), len(phrase.english))]  # the full stops
    pairs = [(e, g) if target == "en" else (g, e) for g, e in links]
    return tuple(sorted(pairs, key=lambda pair: pair[0]))  # stable: the head stays first


def _check_languages(source: str, target: str) -> None:
    if {source, target} != set(LANGUAGES):
        raise ValueError(
            "expected one of the languages 'de' and 'en' as source and the other one as target, "
            f"found {source!r} and {target!r}"
        )


def _entries() -> Iterator[tuple[str, str]]:
    """Every German word form of the grammar with its English, in the notation of the tables."""
    places = [place.noun for place in _PLACES]
    for noun in [*_PEOPLE, *_ANIMALS, *_THINGS.values(), *places]:
        yield noun.german, noun.english
        if noun.german_plural:
            yield noun.german_plural, noun.english_plural
    for stem, english in (row for rows in _ADJECTIVES.values() for row in rows):
        for ending in ("e", "er", "es", "en"):
            yield stem + ending, english
    for (case, article), forms in _FORMS.items():
        also = {"ein": ["an"], "der": ["who"] if case == "nominative" else []}.get(article, [])
        yield from ((form, english) for form in forms for english in [_ARTICLES[article], *also])
    for place in _PLACES:
        yield place.german, place.english
        if place.german in _CONTRACTIONS:
            yield _CONTRACTIONS[place.german], f"*{place.english}_*the"
    for verb in [*_INTRANSITIVE, *_TRANSITIVE]:
        particle = f"_*{verb.particle}" if verb.particle else ""
        yield verb.prefix + verb.infinitive, f"*{verb.english}{particle}"
        yield from ((form, verb.english_ing) for form in (verb.singular, verb.plural))
        if verb.prefix:
            yield verb.prefix, verb.particle
    for singular, plural, english, english_many, _ in _MODALS:
        yield from [(singular, english), (plural, english_many)]
    others = [*_MANNERS.items(), *_TIMES, *_COUNTS, ("und", "and"), ("mit", "with")]
    yield from ((german, english) for german, english in others)


def toy_dictionary(source: str = "de", target: str = "en") -> dict[str, frozenset[str]]:
    """The gold dictionary: for each lower-cased word form all its translations.

    Words that English needs and German does not have (``is``, ``are``, ``to``, ``of``) are in the
    corpus but have no entry, nor has punctuation.

    Raises:
        ValueError: not the languages ``"de"`` and ``"en"``.
    """
    _check_languages(source, target)
    found: dict[str, set[str]] = {}
    for german, english in _entries():
        words, meaning = _read(english)
        for word in (words[position] for position in meaning):
            pair = (german.lower(), word) if source == "de" else (word, german.lower())
            found.setdefault(pair[0], set()).add(pair[1])
    return {word: frozenset(found[word]) for word in sorted(found)}

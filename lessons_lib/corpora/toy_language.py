"""A German-English parallel corpus that this course writes itself: a small grammar, real words.

It needs no download, and unlike real text it knows the truth: each sentence pair has its gold
alignment, and the language its gold dictionary. Word order differs as it really does: German puts
the verb second and what belongs to it last, and what stands first may stand last in English::

    Heute will ein alter Mann im Garten einen Apfel essen.
    An old man wants to eat an apple in the garden today.

A sentence is a list of ``Word`` in German order, and the same words in English order. English is
written in a small notation: ``_`` joins words that stand for one German word, and ``*`` marks those
that carry its meaning (all of them where none is marked). So ``is_*playing`` is the English of
``spielt``: both words are linked to it, but only ``playing`` is in the dictionary.
"""

import random
import tomllib
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from pathlib import Path

from lessons_lib.corpora.files import ParallelCorpus
from lessons_lib.corpora.sources import choose_languages
from lessons_lib.corpora.vocabulary import collected

LANGUAGES = ("de", "en")
SHORTEST, LONGEST = 5, 12
"""Bounds on the words of a sentence, in both languages, punctuation not counted."""

_Noun = namedtuple("_Noun", "german gender german_plural english english_plural kind prepositions")
"""``kind`` says which adjectives suit it; ``prepositions``, German and English, make it a place."""
_Verb = namedtuple("_Verb", "infinitive singular plural english ing prefix particle who with_")
"""``who`` does it (p: people, a: animals); ``with_`` are its manners or objects."""
_TABLES = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))


def _rows(table: str) -> list[list[str]]:
    """The cells of each line; "-" is an empty one."""
    return [line.replace("-", "").split(" ") for line in table.strip().split("\n")]


_PEOPLE = [_Noun(*[*row, "person", ()]) for row in _rows(_TABLES["people"])]
_ANIMALS = [_Noun(*[*row, "animal", ()]) for row in _rows(_TABLES["animals"])]
# Birds and fish do nothing in these sentences: they are among the things.
ANIMALS = {"bird", "fish"}.union(*((noun.english, noun.english_plural) for noun in _ANIMALS))
"""English names of animals: what the labels of ``loaders.toy_labelled`` depend on."""
_THINGS = {
    german: _Noun(german, gender, "", english, "", kind, ())
    for german, gender, english, kind in _rows(_TABLES["things"])
}
_PLACES = [
    _Noun(german, gender, "", english, "", "size", prepositions)
    for german, gender, english, *prepositions in _rows(_TABLES["places"])
]
_ADJECTIVES = {kind: _rows(table) for kind, table in _TABLES["adjectives"].items()}
_INTRANSITIVE = [_Verb(*row) for row in _rows(_TABLES["intransitive"])]
_TRANSITIVE = [_Verb(*row) for row in _rows(_TABLES["transitive"])]
_CLOTHES, _LUGGAGE = _TABLES["clothes"].split(), _TABLES["luggage"].split()
_MANNERS = dict(_rows(_TABLES["manners"]))
_TIMES, _COUNTS, _MODALS = (_rows(_TABLES[name]) for name in ("times", "counts", "modals"))
_ARTICLES = {"ein": "a", "der": "the", "dieser": "this"}
_FORMS = {(case, article): forms for case, article, *forms in _rows(_TABLES["forms"])}
_ENDINGS = {case: [row.split() for row in rows] for case, rows in _TABLES["endings"].items()}
_CONTRACTIONS = {"in": "im", "an": "am"}


@dataclass(frozen=True, eq=False)
class Word:
    """One German word, in one place of one sentence, and the English for it in the notation."""

    german: str
    english: str = ""


@cache
def _read(english: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The words of the notation, and the positions of those that carry the meaning, head first."""
    marked = english.split("_") if english else []
    stars = [position for position, word in enumerate(marked) if word.startswith("*")]
    # Without a mark it is a compound, whose head is its last word.
    meaning = stars or reversed(range(len(marked)))
    return tuple(word.lstrip("*") for word in marked), tuple(meaning)


def _suiting(adjective: list[str] | None, ending: str) -> list[Word]:
    return [Word(adjective[0] + ending, adjective[1])] if adjective else []


def _singular(noun: _Noun, case: str, article: str, adjective: list[str] | None) -> list[Word]:
    """Article, perhaps an adjective, and a noun, in agreement: ``einem alten Mann``."""
    column = "mfn".index(noun.gender)
    english = _ARTICLES[article]
    if english == "a" and (adjective[1] if adjective else noun.english)[0] in "aeiou":
        english = "an"
    suiting = _suiting(adjective, _ENDINGS[case][article != "ein"][column])
    first = Word(_FORMS[case, article][column], english)
    return [first, *suiting, Word(noun.german, noun.english)]


def _where(place: _Noun, article: str, adjective: list[str] | None) -> list[Word]:
    """A place in the dative; ``in dem`` and ``an dem`` become one word."""
    german, english = place.prepositions
    first, *others = _singular(place, "dative", article, adjective)
    if first.german == "dem" and german in _CONTRACTIONS:
        return [Word(_CONTRACTIONS[german], f"*{english}_*the"), *others]
    return [Word(german, english), first, *others]


def _somebody(who: str, rng: random.Random) -> tuple[list[Word], list[Word], bool]:
    """The subject of a sentence in German and in English order, and whether it is a plural."""
    nouns = _PEOPLE if who == "p" else _ANIMALS
    noun = rng.choice(nouns)
    adjective = rng.choice([None, rng.choice(_ADJECTIVES[noun.kind])])
    kind = rng.random()
    if kind < 0.25:
        count = rng.choice([None, *_COUNTS])
        suiting = _suiting(adjective, "e" if count else "en")
        first = Word(*(count or ("die", "the")))
        several = [first, *suiting, Word(noun.german_plural, noun.english_plural)]
        return several, several, True
    head = _singular(noun, "nominative", rng.choice(["ein", "ein", "der", "dieser"]), adjective)
    if kind < 0.35:
        other = _singular(rng.choice([n for n in nouns if n != noun]), "nominative", "ein", None)
        both = [*head, Word("und", "and"), *other]
        return both, both, True
    if who != "p" or kind >= 0.65:
        return head, head, False
    carried = kind < 0.5
    thing = _THINGS[rng.choice(_LUGGAGE if carried else _CLOTHES)]
    colour = rng.choice([None, *_ADJECTIVES[thing.kind]])
    clothes = _singular(thing, "dative" if carried else "accusative", "ein", colour)
    if carried:
        head = [*head, Word("mit", "with"), *clothes]
        return head, head, False
    pronoun = Word(_FORMS["nominative", "der"]["mfn".index(noun.gender)], "who")
    verb, comma = Word("trägt", "is_*wearing"), Word(",")
    # German sets the clause between commas and its verb last; English does neither.
    in_german = [*head, comma, pronoun, *clothes, verb, comma]
    return in_german, [*head, pronoun, verb, *clothes], False


def _sentence(rng: random.Random) -> tuple[list[Word], list[Word]]:
    """One sentence without its full stop, in German and in English order."""
    verb = rng.choice(rng.choice([_INTRANSITIVE, _TRANSITIVE]))
    subject, in_english, many = _somebody(rng.choice(verb.who), rng)
    with_ = rng.choice(verb.with_.split(","))
    definite = rng.random() < 0.3
    things, manner, where, last = [], [], [], []
    if with_ in _THINGS:
        thing = _THINGS[with_]
        adjective = rng.choice([None, rng.choice(_ADJECTIVES[thing.kind])])
        things = _singular(thing, "accusative", "der" if definite else "ein", adjective)
    elif rng.random() < 0.3:
        manner = [Word(with_, _MANNERS[with_])]
    time = [Word(*rng.choice(_TIMES))] if rng.random() < 0.5 else []
    if rng.random() < 0.7:
        place = rng.choice(_PLACES)
        adjective = rng.choice([None, None, rng.choice(_ADJECTIVES[place.kind])])
        where = _where(place, rng.choice(["ein", "der"]), adjective)
    if rng.random() < 0.3:  # a modal verb sends the main verb to the end of the German sentence
        singular, plural, english, english_many, mark = rng.choice(_MODALS)
        finite = Word(plural, english_many) if many else Word(singular, english)
        particle = f"_*{verb.particle}" if verb.particle else ""
        last = [Word(verb.prefix + verb.infinitive, mark + verb.english + particle)]
    else:
        german, be = (verb.plural, "are") if many else (verb.singular, "is")
        finite = Word(german, f"{be}_*{verb.ing}")
        last = [Word(verb.prefix, verb.particle)] if verb.prefix else []

    in_english = [*in_english, finite, *last, *things, *manner, *where, *time]
    # German names a known thing early and a new one late.
    middle = [*manner, *things, *where] if definite else [*manner, *where, *things]
    front = rng.random()
    if subject[-1].german == "," or front < 0.5 or not (time or where):
        return [*subject, finite, *time, *middle, *last], in_english
    if time and (front < 0.75 or not where):
        return [*time, finite, *subject, *middle, *last], in_english
    return [*where, finite, *time, *subject, *manner, *things, *last], in_english


def _links(german: list[Word], english: list[Word]) -> Iterator[tuple[int, int]]:
    """``(German position, English position)``, of each German word the head first."""
    ends = accumulate((len(_read(word.english)[0]) for word in english), initial=0)
    starts = dict(zip(english, ends, strict=False))
    for position, word in enumerate(german):
        words, meaning = _read(word.english)
        for other in dict.fromkeys((*meaning, *range(len(words)))):
            yield position, starts[word] + other


def toy_parallel(
    n: int = 2000, seed: int = 0, source: str = "de", target: str = "en"
) -> ParallelCorpus:
    """``n`` distinct sentence pairs of the toy language, with their gold alignment.

    Each pair ``(target position, source position)`` links two of the words and marks that
    ``vocabulary.words`` finds; the pairs are sorted by target position, and of several the one that
    carries the meaning comes first. A German comma is linked to nothing.

    A seed gives the same corpus each time; a larger ``n`` continues it. A ``ValueError`` if these
    are not the two languages.
    """
    choose_languages(source, target, LANGUAGES)
    rng = random.Random(seed)
    pairs: dict[tuple[str, str, tuple[tuple[int, int], ...]], None] = {}
    while len(pairs) < n:
        german, english = _sentence(rng)
        words = [word for unit in english for word in _read(unit.english)[0]]
        lengths = sum(word.german != "," for word in german), len(words)
        if all(SHORTEST <= length <= LONGEST for length in lengths):
            links = [*_links(german, english), (len(german), len(words))]  # the full stops
            turned = [(e, g) if target == "en" else (g, e) for g, e in links]
            turned.sort(key=lambda link: link[0])  # stable: the head stays first
            texts = " ".join(word.german for word in german).replace(" ,", ","), " ".join(words)
            de, en = (f"{text[0].upper()}{text[1:]}." for text in texts)
            pairs[*((de, en) if source == "de" else (en, de)), tuple(turned)] = None
    return ParallelCorpus("toy", source, target, *zip(*pairs, strict=True))


@cache
def _entries() -> frozenset[tuple[str, str]]:
    """Every lower-cased German word that sentences have, with an English word that it means."""
    rng = random.Random(0)
    drawn = {word for _ in range(4000) for word in _sentence(rng)[0]}  # no other has a new one
    readings = ((word.german.lower(), *_read(word.english)) for word in drawn)
    return frozenset((german, words[at]) for german, words, meaning in readings for at in meaning)


def toy_dictionary(source: str = "de", target: str = "en") -> dict[str, frozenset[str]]:
    """The gold dictionary: for each lower-cased word form all its translations.

    Words that English needs and German does not have (``is``, ``are``, ``to``, ``of``) are in the
    corpus but have no entry, nor has punctuation.
    """
    choose_languages(source, target, LANGUAGES)
    return collected(_entries(), turned=source == "en")

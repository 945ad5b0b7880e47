"""Words and pieces of words, and their numbers."""

import io
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import Any, Self

import regex
from torch import Tensor

from lessons_lib.tasks import BOS, EOS, FIRST_WORD, PAD, UNK

SPECIALS = ("<pad>", "<bos>", "<eos>", "<unk>")
"""The names of identifiers 0 to 3."""
_LETTERS = r"[\w\p{N}][\w\p{N}\p{M}]*+"
_WORD = regex.compile(rf"{_LETTERS}(?:[-'’]{_LETTERS})*+|[^\w\s]\p{{M}}*+")
_UNSEEN = regex.compile(r"[\p{Cf}\p{Default_Ignorable_Code_Point}]")


def words(line: str) -> list[str]:
    """A line in lower case, cut into words and punctuation marks.

    A word is letters and digits, with hyphens and apostrophes inside it (``t-shirt``, ``don't``);
    any other character that is not a blank stands alone. Combining marks (the accents, vowels and
    points of many scripts) belong to what they stand on, and NFC and NFD give the same words.
    Characters that are not seen (soft hyphens, zero-width joiners, byte order marks) are dropped.
    Languages that put no blanks between words need a tokeniser first.
    """
    seen = _UNSEEN.sub("", unicodedata.normalize("NFC", line)).lower()
    return list(_WORD.findall(seen))


def _until_end(ids: Iterable[int] | Tensor) -> list[int]:
    before = takewhile(lambda number: number != EOS, map(int, ids))
    return [number for number in before if number not in (PAD, BOS)]


@dataclass(frozen=True)
class Vocabulary:
    """Numbered words: ``words`` has that of each identifier, first the four ``SPECIALS``."""

    words: tuple[str, ...]

    @classmethod
    def build(
        cls, sentences: Iterable[Sequence[str]], max_size: int | None = None, min_count: int = 1
    ) -> Self:
        """Number the words of some sentences by falling frequency, ties in alphabetical order.

        Those that occur ``min_count`` times are kept, at most ``max_size`` with the specials.
        """
        counts = Counter(word for sentence in sentences for word in sentence)
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        kept = [word for word, n in ranked if n >= min_count and word not in SPECIALS]
        return cls((*SPECIALS, *kept)[:max_size])

    @cached_property
    def _index(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    def index(self, word: str) -> int:
        """The identifier of a word, ``UNK`` where it has none."""
        return self._index.get(word, UNK)

    def encode_line(self, line: str) -> list[int]:
        """An identifier for each of ``words(line)``; no BOS or EOS is added."""
        return list(map(self.index, words(line)))

    def decode(self, ids: Iterable[int] | Tensor) -> list[str]:
        """The words of identifiers up to the first EOS, without PAD and BOS."""
        return [self.words[number] for number in _until_end(ids)]


@dataclass(frozen=True)
class Subwords:
    """Pieces of words, so that no word is unknown: by a trained ``SentencePieceProcessor``."""

    processor: Any

    def encode_line(self, line: str) -> list[int]:
        """An identifier for each piece of a line; no BOS or EOS is added."""
        return list(self.processor.encode(line, out_type=int))

    def decode(self, ids: Iterable[int] | Tensor) -> str:
        """The text of identifiers up to the first EOS."""
        return str(self.processor.decode(_until_end(ids)))


def train_subwords(lines: Iterable[str], vocab_size: int) -> Subwords:
    """A unigram model of ``vocab_size`` pieces, our specials included; the same each time.

    A ``RuntimeError`` if sentencepiece cannot make so many or so few pieces of these lines.
    """
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        vocab_size=vocab_size,
        normalization_rule_name="nmt_nfkc",
        pad_id=PAD,
        bos_id=BOS,
        eos_id=EOS,
        unk_id=UNK,
        num_threads=1,  # several would add up in a different order each time
        minloglevel=2,
    )
    return Subwords(sentencepiece.SentencePieceProcessor(model_proto=model.getvalue()))


def collected(pairs: Iterable[tuple[str, str]], *, turned: bool) -> dict[str, frozenset[str]]:
    """For each word all its translations, in alphabetical order; ``turned``: the other way."""
    found: dict[str, set[str]] = {}
    for pair in pairs:
        word, translation = pair[::-1] if turned else pair
        found.setdefault(word, set()).add(translation)
    return {word: frozenset(found[word]) for word in sorted(found)}


def number_dictionary(
    dictionary: Mapping[str, frozenset[str]], source: Vocabulary, target: Vocabulary
) -> dict[int, frozenset[int]]:
    """A dictionary in identifiers: for each source word all its translations in ``target``.

    Words without a translation there are left out; the frequent ones come first.
    """
    numbered = {
        i: frozenset(map(target.index, dictionary.get(source.words[i], ()))) - {UNK}
        for i in range(FIRST_WORD, len(source))
    }
    return {i: found for i, found in numbered.items() if found}

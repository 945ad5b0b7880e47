"""Words and pieces of words, and their numbers."""

from __future__ import annotations

import io
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

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
    points of many scripts) belong to what they stand on, whether or not Unicode has one character
    for both (NFC and NFD give the same words). Characters that are not seen, such as soft hyphens,
    zero-width joiners and byte order marks, are dropped. Nothing finds the words of languages that
    put no blanks between them: cut these with a tokeniser first.
    """
    seen = _UNSEEN.sub("", unicodedata.normalize("NFC", line)).lower()
    return list(_WORD.findall(seen))


def _until_end(ids: Iterable[int] | Tensor) -> Iterator[int]:
    for number in (int(number) for number in ids):
        if number == EOS:
            return
        if number not in (PAD, BOS):
            yield number


class Encoder(Protocol):
    """What ``batches`` wants of a vocabulary."""

    def __len__(self) -> int: ...

    def encode_line(self, line: str) -> list[int]:
        """Identifiers of the pieces of a line, without BOS and EOS."""
        ...


@dataclass(frozen=True)
class Vocabulary:
    """Numbered words: the four specials, then words, the frequent ones first.

    Attributes:
        words: the word of each identifier; begins with ``SPECIALS``.

    Raises:
        ValueError: other first words, or a word twice.
    """

    words: tuple[str, ...]
    _index: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.words[:FIRST_WORD] != SPECIALS:
            raise ValueError(
                f"expected {SPECIALS} as the first words, found {self.words[:FIRST_WORD]}; "
                "Vocabulary.build puts them there"
            )
        object.__setattr__(self, "_index", {word: number for number, word in enumerate(self.words)})
        if len(self._index) != len(self.words):
            raise ValueError(
                f"expected distinct words, found {len(self.words)} with {len(self._index)} distinct"
            )

    @classmethod
    def build(
        cls, sentences: Iterable[Sequence[str]], max_size: int | None = None, min_count: int = 1
    ) -> Vocabulary:
        """Number the words of some sentences by falling frequency, ties in alphabetical order.

        Args:
            sentences: each a sequence of words.
            max_size: keep at most so many, the four specials included.
            min_count: keep only words that occur so often.

        Raises:
            ValueError: ``max_size`` leaves no room for a word.
        """
        if max_size is not None and max_size <= FIRST_WORD:
            raise ValueError(
                f"expected a max_size above {FIRST_WORD}, the number of specials, found {max_size}"
            )
        counts = Counter(word for sentence in sentences for word in sentence)
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        kept = [word for word, n in ranked if n >= min_count and word not in SPECIALS]
        return cls((*SPECIALS, *kept)[:max_size])

    def __len__(self) -> int:
        return len(self.words)

    def index(self, word: str) -> int:
        """The identifier of a word, ``UNK`` where it has none."""
        return self._index.get(word, UNK)

    def encode(self, sentence: Sequence[str]) -> list[int]:
        """An identifier for each word; no BOS or EOS is added."""
        return [self._index.get(word, UNK) for word in sentence]

    def encode_line(self, line: str) -> list[int]:
        """An identifier for each of ``words(line)``."""
        return self.encode(words(line))

    def decode(self, ids: Iterable[int] | Tensor) -> list[str]:
        """The words of identifiers up to the first EOS, without PAD and BOS."""
        return [self.words[number] for number in _until_end(ids)]


@dataclass(frozen=True)
class Subwords:
    """Pieces of words, so that no word is unknown: a trained sentencepiece model.

    Attributes:
        model: the serialised model; its identifiers 0 to 3 are ours.
    """

    model: bytes = field(repr=False)
    _processor: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        import sentencepiece

        processor = sentencepiece.SentencePieceProcessor(model_proto=self.model)
        object.__setattr__(self, "_processor", processor)

    def __len__(self) -> int:
        return int(self._processor.get_piece_size())

    def encode_line(self, line: str) -> list[int]:
        """An identifier for each piece of a line; no BOS or EOS is added."""
        return list(self._processor.encode(line, out_type=int))

    def decode(self, ids: Iterable[int] | Tensor) -> str:
        """The text of identifiers up to the first EOS."""
        return str(self._processor.decode(list(_until_end(ids))))


def train_subwords(lines: Iterable[str], vocab_size: int, *, lower: bool = True) -> Subwords:
    """A unigram subword model, trained in memory; the same each time.

    For a vocabulary shared by both languages, pass the lines of both.

    Args:
        lines: plain text.
        vocab_size: number of pieces, the four specials included.
        lower: whether everything is put into lower case, as in ``words``.

    Raises:
        ValueError: sentencepiece cannot make so many or so few pieces of these lines.
    """
    import sentencepiece

    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=model,
            vocab_size=vocab_size,
            normalization_rule_name="nmt_nfkc_cf" if lower else "nmt_nfkc",
            pad_id=PAD,
            bos_id=BOS,
            eos_id=EOS,
            unk_id=UNK,
            num_threads=1,  # several would add up in a different order each time
            minloglevel=2,
        )
    except RuntimeError as error:
        raise ValueError(
            f"expected a vocab_size that these lines allow, found {vocab_size}; sentencepiece "
            f"says: {error}"
        ) from error
    return Subwords(model.getvalue())


def number_dictionary(
    dictionary: Mapping[str, frozenset[str]], source: Vocabulary, target: Vocabulary
) -> dict[int, frozenset[int]]:
    """A dictionary in identifiers, restricted to words that both vocabularies have.

    Args:
        dictionary: for source words the set of their translations.
        source: vocabulary of the source words.
        target: vocabulary of the translations.

    Returns:
        For each source word with a translation left, the set of them; the words that are frequent
        in the text come first.
    """
    numbered = {}
    for i in range(FIRST_WORD, len(source)):
        found = {target.index(word) for word in dictionary.get(source.words[i], frozenset())}
        if found := found - {UNK}:
            numbered[i] = frozenset(found)
    return numbered

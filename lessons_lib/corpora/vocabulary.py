"""Words and subwords as numbers, and sentence pairs as batches of similar length.

``words`` or a ``Subwords`` model cuts a line, a vocabulary numbers the pieces, ``encode_parallel``
does so for a corpus, and ``EncodedPairs.batches`` deals out ``lessons_lib.tasks.Batch`` objects.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from lessons_lib.tasks import BOS, EOS, FIRST_WORD, PAD, UNK, Batch, ParallelCorpus

Order = Literal["both", "source", "random"]
"""How pairs are put together in batches, see ``EncodedPairs.batches``."""
SPECIALS = ("<pad>", "<bos>", "<eos>", "<unk>")
"""The names of identifiers 0 to 3."""
_POOL = 100
"""Batches in a pool. Only inside a pool are pairs sorted by length, so that the order is random."""


def words(line: str) -> list[str]:
    """A line in lower case, cut into words and punctuation marks.

    A word is letters and digits, with hyphens and apostrophes inside it (``t-shirt``, ``don't``);
    any other character that is not a blank stands alone.
    """
    return re.findall(r"\w+(?:[-'’]\w+)*|[^\w\s]", line.lower())


def _until_end(ids: Iterable[int] | Tensor) -> Iterator[int]:
    for number in (int(number) for number in ids):
        if number == EOS:
            return
        if number not in (PAD, BOS):
            yield number


class Encoder(Protocol):
    """What ``encode_parallel`` wants of a vocabulary."""

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

    def pieces(self, line: str) -> list[str]:
        """The pieces of a line; ``▁`` marks the beginning of a word."""
        return list(self._processor.encode(line, out_type=str))

    def encode(self, line: str) -> list[int]:
        """An identifier for each piece of a line; no BOS or EOS is added."""
        return list(self._processor.encode(line, out_type=int))

    def encode_line(self, line: str) -> list[int]:
        """The same as ``encode``; the name that ``Vocabulary`` has too."""
        return self.encode(line)

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


@dataclass(frozen=True, eq=False)
class EncodedPairs:
    """Sentence pairs as numbers, one after another, from which batches are cut.

    Attributes:
        source_ids: identifiers of all source sentences end to end, int64, ``(source pieces,)``.
        source_lengths: int64, ``(pairs,)``.
        target_ids: the same for the targets; each ends with ``EOS``.
        target_lengths: int64, ``(pairs,)``, the ``EOS`` counted.
        index: for each pair its position in the corpus, int64, ``(pairs,)``.
        left_out: how many pairs of the corpus were too long or too short.
        gold: for each of ``target_ids`` the source position it comes from, ``-1`` for ``EOS`` and
            for words that come from none; ``None`` where the corpus has no alignment.
    """

    source_ids: Tensor
    source_lengths: Tensor
    target_ids: Tensor
    target_lengths: Tensor
    index: Tensor
    left_out: int
    gold: Tensor | None = None

    def __len__(self) -> int:
        return len(self.index)

    def batch(self, chosen: Sequence[int] | Tensor) -> Batch:
        """Some pairs by their position here (see ``index`` for that in the corpus), in this order.

        Raises:
            IndexError: no such pair.
        """
        rows = torch.as_tensor(chosen, dtype=torch.long)
        if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < len(self):
            raise IndexError(f"expected positions from 0 to {len(self) - 1}, found {rows.tolist()}")
        gold = self.gold
        return Batch(
            padded(self.source_ids, self.source_lengths, rows, PAD),
            padded(self.target_ids, self.target_lengths, rows, PAD),
            None if gold is None else padded(gold, self.target_lengths, rows, -1),
        )

    def containing(self, words: Iterable[int], per_word: int) -> list[int]:
        """Positions of the first pairs whose source has one of some words, in ascending order.

        Args:
            words: identifiers of source words.
            per_word: so many pairs for each word, or all where there are fewer.
        """
        sentence = torch.repeat_interleave(torch.arange(len(self)), self.source_lengths)
        chosen: set[int] = set()
        for word in words:
            found = sentence[self.source_ids == word].unique_consecutive()
            chosen.update(found[:per_word].tolist())
        return sorted(chosen)

    def batches(
        self,
        batch_size: int,
        seed: int,
        epochs: int | None = None,
        *,
        order: Order = "both",
        skip: int = 0,
    ) -> Iterator[Batch]:
        """Batches of pairs; each epoch has every pair once.

        See ``deal`` for how pairs are put together.

        Args:
            batch_size: pairs in a batch.
            seed: of the order.
            epochs: how many times through all pairs; ``None``: without end.
            order: what pairs that are put together have in common: similar lengths on both sides,
                which pads least; for most batches one length of the source, which spares recurrent
                layers the packing; or nothing.
            skip: batches left out at the beginning, to go on where a run was stopped.

        Raises:
            ValueError: ``batch_size`` or ``epochs`` below 1.
        """
        if order == "both":
            # One number that orders pairs by target length, two lengths taken as one, then by
            # source length: measured on Multi30k, this pads less than either alone or their sum.
            band = torch.div(self.target_lengths, 2, rounding_mode="floor")
            key = band * (int(self.source_lengths.max()) + 1) + self.source_lengths
        elif order == "source":
            key = self.source_lengths * (int(self.target_lengths.max()) + 1) + self.target_lengths
        else:
            key = torch.zeros_like(self.index)  # a stable sort leaves the random order as it is
        return map(self.batch, islice(deal(key, batch_size, seed, epochs), skip, None))


def deal(key: Tensor, batch_size: int, seed: int, epochs: int | None = None) -> Iterator[Tensor]:
    """Positions for one batch after another, those of similar key together.

    Positions are shuffled, sorted by key within pools of many batches, cut into batches, and the
    batches of a pool are shuffled again: little padding where the key is a length, and still a
    random order. Each epoch has every position once; the last batch of a pool may be smaller.

    Args:
        key: what to sort by, ``(examples,)``.
        batch_size: positions in a batch.
        seed: of the order, which depends on it alone.
        epochs: how many times through all of them; ``None``: without end.

    Raises:
        ValueError: ``batch_size`` or ``epochs`` below 1.
    """
    for what, value in (("batch_size", batch_size), ("epochs", epochs)):
        if value is not None and value < 1:
            raise ValueError(f"expected {what} of at least 1, found {value}")
    return _deal(key, batch_size, seed, count() if epochs is None else range(epochs))


def _deal(key: Tensor, batch_size: int, seed: int, epochs: Iterable[int]) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    for _ in epochs:
        order = torch.randperm(len(key), generator=generator)
        for pool in torch.split(order, batch_size * _POOL):
            parts = torch.split(pool[key[pool].argsort(stable=True)], batch_size)
            for part in torch.randperm(len(parts), generator=generator).tolist():
                yield parts[part]


def padded(flat: Tensor, lengths: Tensor, rows: Tensor, fill: int) -> Tensor:
    """Sentences of a flat tensor as a rectangle, ``(rows, longest of them)``."""
    starts = (lengths.cumsum(0) - lengths)[rows]
    wanted = lengths[rows]
    positions = torch.arange(int(wanted.max()) if len(rows) else 0)
    inside = positions < wanted[:, None]  # (rows, longest)
    rectangle = torch.full(inside.shape, fill, dtype=torch.long)
    rectangle[inside] = flat[(starts[:, None] + positions)[inside]]
    return rectangle


def padding_fraction(batches: Iterable[Batch]) -> float:
    """The share of PAD among the entries of some batches, source and target together, 0 to 1."""
    padding = entries = 0
    for batch in batches:
        for ids in (batch.source, batch.target):
            padding += int((ids == PAD).sum())
            entries += ids.numel()
    return padding / entries if entries else 0.0


def encode_parallel(
    corpus: ParallelCorpus,
    source_vocab: Encoder,
    target_vocab: Encoder,
    max_words: int | None = None,
    min_words: int = 1,
    *,
    framed: bool = False,
) -> EncodedPairs:
    """Number both sides of a corpus; targets end with ``EOS``.

    The gold alignment of the corpus is taken over where both sides are numbered by words. Of
    several source words that a target word comes from, the first one listed counts.

    Args:
        corpus: sentence pairs.
        source_vocab: a ``Vocabulary`` or ``Subwords``.
        target_vocab: the same for the target; may be the same object.
        max_words: leave out pairs with more pieces than this on either side, ``EOS`` not counted.
        min_words: leave out pairs with fewer on either side.
        framed: whether a source begins with ``BOS`` and ends with ``EOS``, which can be attended
            to then. Alignments are left out.

    Raises:
        ValueError: no pair is left, or an alignment points outside its sentences.
    """
    most = float("inf") if max_words is None else max_words
    sources: list[list[int]] = []
    targets: list[list[int]] = []
    index: list[int] = []
    for position, (source, target) in enumerate(zip(corpus.source, corpus.target, strict=True)):
        pair = source_vocab.encode_line(source), target_vocab.encode_line(target)
        if min_words <= min(map(len, pair)) and max(map(len, pair)) <= most:
            sources.append([BOS, *pair[0], EOS] if framed else pair[0])
            targets.append([*pair[1], EOS])
            index.append(position)
    if not index:
        raise ValueError(
            f"expected pairs of {min_words} to {most} pieces, found none "
            f"among the {len(corpus)} of {corpus.name!r}; allow other lengths"
        )
    gold = None
    by_words = isinstance(source_vocab, Vocabulary) and isinstance(target_vocab, Vocabulary)
    if corpus.alignment is not None and by_words and not framed:
        rows = zip(index, sources, targets, strict=True)
        gold = _flat([_gold(corpus.alignment[i], len(s), len(t), i) for i, s, t in rows])
    return EncodedPairs(
        source_ids=_flat(sources),
        source_lengths=torch.tensor([len(ids) for ids in sources]),
        target_ids=_flat(targets),
        target_lengths=torch.tensor([len(ids) for ids in targets]),
        index=torch.tensor(index),
        left_out=len(corpus) - len(index),
        gold=gold,
    )


def _flat(rows: list[list[int]]) -> Tensor:
    return torch.tensor([number for row in rows for number in row], dtype=torch.long)


def _gold(links: Sequence[tuple[int, int]], source: int, target: int, pair: int) -> list[int]:
    """The source position of each target word, ``-1`` where there is none (so for EOS)."""
    gold = [-1] * target
    for to, from_ in links:
        if not (0 <= to < target - 1 and 0 <= from_ < source):
            raise ValueError(
                f"pair {pair}: expected a link (target, source) below ({target - 1}, {source}), "
                f"found {(to, from_)}; alignments count the words and marks that words() finds"
            )
        if gold[to] < 0:
            gold[to] = from_
    return gold


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

"""A corpus as numbers, and the batches that are dealt out of it: sentence pairs, labelled texts."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from typing import Literal

import torch
from torch import Tensor

from lessons_lib.corpora.files import LabelledCorpus, ParallelCorpus
from lessons_lib.corpora.sources import choose
from lessons_lib.corpora.vocabulary import Subwords, Vocabulary
from lessons_lib.tasks import BOS, EOS, PAD, Batch, LabelledBatch

Order = Literal["both", "source", "random"]
Encoder = Vocabulary | Subwords
_POOL = 100  # batches, only inside which pairs are sorted, so that the order stays random


@dataclass(frozen=True, eq=False)
class EncodedPairs:
    """Sentence pairs as numbers, one after another, from which batches are cut."""

    #: identifiers of all source sentences end to end, int64, ``(source pieces,)``.
    source_ids: Tensor
    source_lengths: Tensor  #: int64, ``(pairs,)``
    target_ids: Tensor  #: the same for the targets; each ends with ``EOS``
    target_lengths: Tensor  #: int64, ``(pairs,)``, the ``EOS`` counted
    index: Tensor  #: for each pair its position in the corpus, int64, ``(pairs,)``
    #: for each of ``target_ids`` the source position, ``-1``: none; ``None`` without alignment
    gold: Tensor | None

    def __len__(self) -> int:
        return len(self.index)

    def batch(self, chosen: Sequence[int] | Tensor) -> Batch:
        """Some pairs by their position here (see ``index`` for that in the corpus), in order."""
        rows = torch.as_tensor(chosen, dtype=torch.long)
        return Batch(
            _padded(self.source_ids, self.source_lengths, rows, PAD),
            _padded(self.target_ids, self.target_lengths, rows, PAD),
            None if self.gold is None else _padded(self.gold, self.target_lengths, rows, -1),
        )

    def containing(self, words: Iterable[int], per_word: int) -> list[int]:
        """The first ``per_word`` pairs with each of some source words (identifiers), ascending."""
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
        """Batches of pairs; each epoch (``None``: without end) has every pair once.

        Pairs are shuffled by ``seed`` alone, sorted within pools of many batches and cut into
        batches, and those of a pool are shuffled again. The last batch of a pool may be smaller.
        ``order`` is what the pairs of a batch have in common: similar lengths on both sides, which
        pads least; mostly one length of the source, which spares recurrent layers the packing; or
        nothing. ``skip`` leaves out the first batches, to go on where a run was stopped.
        """
        nothing = torch.zeros_like(self.index)  # a stable sort leaves the random order as it is
        first, second = {
            # Of targets two lengths count as one: this pads least on Multi30k.
            "both": (self.target_lengths // 2, self.source_lengths),
            "source": (self.source_lengths, self.target_lengths),
            "random": (nothing, nothing),
        }[order]
        key = first * (int(second.max()) + 1) + second
        return map(self.batch, islice(_dealt(key, batch_size, seed, epochs), skip, None))


def _shuffled(size: int, generator: torch.Generator, epochs: int | None) -> Iterator[Tensor]:
    """A random order of so many rows for each epoch."""
    rounds = count() if epochs is None else range(epochs)
    return (torch.randperm(size, generator=generator) for _ in rounds)


def _dealt(key: Tensor, batch_size: int, seed: int, epochs: int | None) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    for order in _shuffled(len(key), generator, epochs):
        for pool in order.split(batch_size * _POOL):
            parts = pool[key[pool].argsort(stable=True)].split(batch_size)
            for part in torch.randperm(len(parts), generator=generator).tolist():
                yield parts[part]


def _padded(flat: Tensor, lengths: Tensor, rows: Tensor, fill: int) -> Tensor:
    """Sentences of a flat tensor as a rectangle, ``(rows, longest of them)``."""
    starts = (lengths.cumsum(0) - lengths)[rows]
    wanted = lengths[rows]
    positions = torch.arange(int(wanted.max()) if len(rows) else 0)
    inside = positions < wanted[:, None]  # (rows, longest)
    rectangle = torch.full(inside.shape, fill, dtype=torch.long)
    rectangle[inside] = flat[(starts[:, None] + positions)[inside]]
    return rectangle


def _flat(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Rows end to end, and their lengths."""
    numbers = torch.tensor([number for row in rows for number in row], dtype=torch.long)
    return numbers, torch.tensor([len(row) for row in rows])


def encode_parallel(
    corpus: ParallelCorpus,
    source_vocab: Encoder,
    target_vocab: Encoder,
    max_words: int | None = None,
) -> EncodedPairs:
    """Number both sides of a corpus, by words or both by pieces; targets end with ``EOS``.

    Pairs are left out where a side is empty or has more than ``max_words`` pieces, ``EOS`` not
    counted. Sources in ``Subwords`` stand between ``BOS`` and ``EOS``, as in the authors' code. The
    gold alignment is for words only; of several source words of a target word the first one listed
    counts. A ``ValueError`` if no pair is left.
    """
    by_words = isinstance(source_vocab, Vocabulary)
    most = float("inf") if max_words is None else max_words
    kept: dict[int, tuple[list[int], list[int]]] = {}
    for position, (source, target) in enumerate(zip(corpus.source, corpus.target, strict=True)):
        pair = source_vocab.encode_line(source), target_vocab.encode_line(target)
        if min(map(len, pair)) >= 1 and max(map(len, pair)) <= most:
            kept[position] = pair[0] if by_words else [BOS, *pair[0], EOS], [*pair[1], EOS]
    if not kept:
        raise ValueError(
            f"expected pairs of 1 to {most} pieces, found none among the {len(corpus)} of "
            f"{corpus.name!r}; allow other lengths"
        )
    sources, targets = (_flat(side) for side in zip(*kept.values(), strict=True))
    gold = None
    if by_words and corpus.alignment is not None:
        first = [dict(reversed(corpus.alignment[i])) for i in kept]
        ends = zip(first, targets[1].tolist(), strict=True)
        gold = torch.tensor([at.get(word, -1) for at, length in ends for word in range(length)])
    return EncodedPairs(*sources, *targets, torch.tensor(list(kept)), gold)


@dataclass(frozen=True, eq=False)
class EncodedTexts:
    """Texts of two classes as numbers, one after another, from which batches are cut."""

    source_ids: Tensor  #: identifiers of all texts end to end, int64, ``(words,)``
    source_lengths: Tensor  #: int64, ``(texts,)``, at least 1
    label: Tensor  #: 1 for the positive class, 0 for the other, int64, ``(texts,)``
    index: Tensor  #: for each text its position in the corpus, int64, ``(texts,)``

    def __len__(self) -> int:
        return len(self.index)

    def batch(self, chosen: Sequence[int] | Tensor) -> LabelledBatch:
        """Some texts by their position here, in order."""
        rows = torch.as_tensor(chosen, dtype=torch.long)
        source = _padded(self.source_ids, self.source_lengths, rows, PAD)
        return LabelledBatch(source, self.label[rows])

    def batches(
        self, batch_size: int, seed: int, epochs: int | None = None, *, whole: bool = True
    ) -> Iterator[LabelledBatch]:
        """Batches in a new random order in each epoch, as in the authors' code.

        Where there are fewer texts than ``batch_size``, a batch has them all. ``whole``: whether an
        epoch leaves out the few texts that do not fill a batch. Else as ``EncodedPairs.batches``.
        """
        size, generator = min(batch_size, len(self)), torch.Generator().manual_seed(seed)
        orders = _shuffled(len(self), generator, epochs)
        parts = (rows for order in orders for rows in order.split(size))
        return (self.batch(rows) for rows in parts if len(rows) == size or not whole)


def encode_labelled(
    corpus: LabelledCorpus,
    vocab: Encoder,
    positive: str,
    max_words: int | None = None,
    *,
    ends: bool = False,
) -> EncodedTexts:
    """Number the texts of a corpus, one class (label 1) against all the others (0).

    Texts without any word are left out; unknown words are kept, as ``UNK``. Of each text the first
    ``max_words`` pieces are kept; ``ends`` puts ``BOS`` and ``EOS`` around them, as positions. A
    ``ValueError`` if there is no such class, or no text is left on a side.
    """
    choose("positive", positive, corpus.classes)
    pieces = {i: ids for i, line in enumerate(corpus.texts) if (ids := vocab.encode_line(line))}
    label = torch.tensor([int(corpus.classes[corpus.labels[i]] == positive) for i in pieces])
    if not 0 < (positives := int(label.sum())) < len(label):
        raise ValueError(
            f"expected texts of both sides in {corpus.name!r}, found {positives} of {positive!r} "
            f"and {len(label) - positives} others with words; choose another class, or split the "
            "corpus in another way"
        )
    cut = [ids[:max_words] for ids in pieces.values()]
    texts = _flat([[BOS, *ids, EOS] for ids in cut] if ends else cut)
    return EncodedTexts(*texts, label, torch.tensor(list(pieces)))

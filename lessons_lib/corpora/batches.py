"""A corpus as numbers, and the batches that are dealt out of it: sentence pairs, labelled texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from typing import Literal

import torch
from torch import Tensor

from lessons_lib.corpora.files import LabelledCorpus, ParallelCorpus
from lessons_lib.corpora.vocabulary import Encoder, Vocabulary
from lessons_lib.tasks import BOS, EOS, PAD, Batch, LabelledBatch

Order = Literal["both", "source", "random"]
"""How pairs are put together in batches, see ``EncodedPairs.batches``."""
_POOL = 100
"""Batches in a pool. Only inside a pool are they sorted by length, so that the order is random."""


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
        rows = _positions(chosen, len(self))
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


def _positions(chosen: Sequence[int] | Tensor, size: int) -> Tensor:
    rows = torch.as_tensor(chosen, dtype=torch.long)
    if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < size:
        raise IndexError(f"expected positions from 0 to {size - 1}, found {rows.tolist()}")
    return rows


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
    rounds = _rounds(batch_size, epochs)  # at once: a generator would complain only when asked

    def dealt() -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(seed)
        for _ in rounds:
            order = torch.randperm(len(key), generator=generator)
            for pool in torch.split(order, batch_size * _POOL):
                parts = torch.split(pool[key[pool].argsort(stable=True)], batch_size)
                for part in torch.randperm(len(parts), generator=generator).tolist():
                    yield parts[part]

    return dealt()


def _rounds(batch_size: int, epochs: int | None) -> Iterable[int]:
    for what, value in (("batch_size", batch_size), ("epochs", epochs)):
        if value is not None and value < 1:
            raise ValueError(f"expected {what} of at least 1, found {value}")
    return count() if epochs is None else range(epochs)


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
        max_words: leave out pairs with more pieces than this on either side, ``EOS`` not counted;
            pairs with an empty side are left out, too.
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
        if min(map(len, pair)) >= 1 and max(map(len, pair)) <= most:
            sources.append([BOS, *pair[0], EOS] if framed else pair[0])
            targets.append([*pair[1], EOS])
            index.append(position)
    if not index:
        raise ValueError(
            f"expected pairs of 1 to {most} pieces, found none "
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


@dataclass(frozen=True, eq=False)
class EncodedTexts:
    """Texts of two classes as numbers, one after another, from which batches are cut.

    Attributes:
        source_ids: identifiers of all texts end to end, int64, ``(words,)``.
        source_lengths: int64, ``(texts,)``, at least 1.
        label: 1 for the positive class, 0 for the other, int64, ``(texts,)``.
        index: for each text its position in the corpus, int64, ``(texts,)``.
        left_out: how many texts of the corpus had no word.
        shortened: how many were longer than allowed, and lost their end.
    """

    source_ids: Tensor
    source_lengths: Tensor
    label: Tensor
    index: Tensor
    left_out: int
    shortened: int

    def __len__(self) -> int:
        return len(self.index)

    def batch(self, chosen: Sequence[int] | Tensor) -> LabelledBatch:
        """Some texts by their position here (see ``index`` for that in the corpus), in this order.

        Raises:
            IndexError: no such text.
        """
        rows = _positions(chosen, len(self))
        return LabelledBatch(
            padded(self.source_ids, self.source_lengths, rows, PAD), self.label[rows]
        )

    def batches(
        self, batch_size: int, seed: int, epochs: int | None = None, *, whole: bool = True
    ) -> Iterator[LabelledBatch]:
        """Batches in a new random order in each epoch, as in the authors' code.

        Args:
            batch_size: texts in a batch, or all texts where there are fewer.
            seed: of the order, which depends on it alone.
            epochs: how many; ``None``: without end.
            whole: whether an epoch leaves out the few texts that do not fill a batch.

        Raises:
            ValueError: ``batch_size`` or ``epochs`` below 1.
        """
        rounds, size = _rounds(batch_size, epochs), min(batch_size, len(self))
        generator = torch.Generator().manual_seed(seed)
        orders = (torch.randperm(len(self), generator=generator) for _ in rounds)
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
    """Number the texts of a corpus, one class against all the others.

    Texts without any word are left out. Words that the vocabulary does not have are kept, as
    ``UNK``.

    Args:
        corpus: texts with labels.
        vocab: a ``Vocabulary`` or ``Subwords``.
        positive: the class whose texts get label 1; all others get 0.
        max_words: keep so many pieces of each text, from its beginning.
        ends: whether ``BOS`` and ``EOS`` stand around each text, as positions of it.

    Raises:
        ValueError: no such class, no text is left, or all that are left are on one side.
    """
    if positive not in corpus.classes:
        raise ValueError(
            f"expected one of the classes {', '.join(corpus.classes)} of {corpus.name}, found "
            f"{positive!r}"
        )
    if max_words is not None and max_words < 1:
        raise ValueError(f"expected max_words of at least 1, or None, found {max_words}")
    pieces = [vocab.encode_line(line) for line in corpus.texts]
    kept = [i for i, ids in enumerate(pieces) if ids]
    if not kept:
        raise ValueError(f"expected texts with words in {corpus.name!r}, found none")
    target = corpus.classes.index(positive)
    label = torch.tensor([int(corpus.labels[i] == target) for i in kept])
    if label.unique().numel() < 2:
        only = positive if bool(label[0]) else f"not {positive}"
        raise ValueError(
            f"expected texts of both sides in {corpus.name!r}, found only {only!r} among "
            f"{len(kept)}; choose another class, or split the corpus in another way"
        )
    cut = [pieces[i][:max_words] for i in kept]
    shortened = sum(len(pieces[i]) > len(ids) for i, ids in zip(kept, cut, strict=True))
    if ends:
        cut = [[BOS, *ids, EOS] for ids in cut]
    return EncodedTexts(
        source_ids=torch.tensor([number for ids in cut for number in ids]),
        source_lengths=torch.tensor([len(ids) for ids in cut]),
        label=label,
        index=torch.tensor(kept),
        left_out=len(pieces) - len(kept),
        shortened=shortened,
    )

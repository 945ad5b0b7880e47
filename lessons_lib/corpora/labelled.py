"""Labelled texts as numbers: which class, which words, in batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import torch
from torch import Tensor

from lessons_lib.corpora.loaders import (
    CorpusUnavailable,
    LabelledCorpus,
    load_labelled,
    load_parallel,
    notice,
)
from lessons_lib.corpora.toy_language import ANIMALS
from lessons_lib.corpora.vocabulary import Encoder, padded, words
from lessons_lib.tasks import BOS, EOS, PAD, LabelledBatch


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
        rows = torch.as_tensor(chosen, dtype=torch.long)
        if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < len(self):
            raise IndexError(f"expected positions from 0 to {len(self) - 1}, found {rows.tolist()}")
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
        for what, value in (("batch_size", batch_size), ("epochs", epochs)):
            if value is not None and value < 1:
                raise ValueError(f"expected {what} of at least 1, found {value}")
        return self._deal(min(batch_size, len(self)), seed, epochs, whole)

    def _deal(
        self, size: int, seed: int, epochs: int | None, whole: bool
    ) -> Iterator[LabelledBatch]:
        generator = torch.Generator().manual_seed(seed)
        for _ in count() if epochs is None else range(epochs):
            for rows in torch.randperm(len(self), generator=generator).split(size):
                if len(rows) == size or not whole:
                    yield self.batch(rows)


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


def toy_labelled(split: str = "train") -> LabelledCorpus:
    """English sentences of the embedded corpus: is an animal mentioned, or none?

    10,000 sentences for training, 1,000 each for validation and test, all distinct.

    Raises:
        ValueError: no such split.
    """
    sentences = load_parallel("toy", "en", "de", split).source
    labels = tuple(int(not ANIMALS.isdisjoint(words(line))) for line in sentences)
    return LabelledCorpus("toy", sentences, labels, ("none", "animal"), "embedded")


def load_labelled_or_toy(name: str, split: str = "train") -> tuple[LabelledCorpus, str]:
    """``load_labelled``, or ``toy_labelled`` where the corpus is not to be had, and a notice.

    Returns:
        The corpus, and a notice in Markdown for the reader: empty where the corpus is the real one.

    Raises:
        ValueError: as ``load_labelled``.
        CorpusAltered: as ``load_labelled``.
    """
    try:
        return load_labelled(name, split), ""
    except CorpusUnavailable as error:
        instead = (
            "**Embedded corpus.** What follows runs on sentences that this course writes itself, "
            "with the question whether an animal is mentioned, not on the real text"
        )
        return toy_labelled(split), notice(instead, error)

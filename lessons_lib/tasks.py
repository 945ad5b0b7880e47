"""Made-up tasks, copying (the hard distribution) among them, and containers of inputs for all.

Shapes, everywhere in this package::

    source     (batch, src)   int64   input words,  PAD after the end
    target     (batch, tgt)   int64   output words, PAD after the end
    gold       (batch, tgt)   int64   where an output word comes from in the input, or -1

Every task draws ``batch`` inputs from an explicit seed, or a generator that is advanced, and from
nothing else, so that the same call gives the same batch on the same machine whatever ran before it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from lessons_lib.config import check_fields

PAD, BOS, EOS, UNK = 0, 1, 2, 3
FIRST_WORD = 4
"""Identifiers 0 to 3 are special in every vocabulary; words start here."""
UNUSED = PAD, BOS, UNK
"""Those that no target of a task holds: for ``Seq2SeqConfig.never_written``."""
HELD_OUT_SEED = 2**31
"""Seed of the inputs on which every run is measured; no run trains from it."""


@dataclass(frozen=True)
class Rows:
    """What batches of sentence pairs and of labelled texts share: words, padded to a rectangle."""

    source: Tensor  #: input words, int64, ``(batch, src)``, ``PAD`` after the end

    def __len__(self) -> int:
        return len(self.source)

    @property
    def source_mask(self) -> Tensor:
        """True at words, False at padding, bool ``(batch, src)``."""
        return self.source != PAD

    def to(self, device: torch.device | str) -> Self:
        """The same batch on another device."""
        return self._each(lambda tensor: tensor.to(device))

    def __getitem__(self, rows: slice) -> Self:
        """Some of the rows, as a batch; padding is kept."""
        return self._each(lambda tensor: tensor[rows])

    def _each(self, change: Callable[[Tensor], Tensor]) -> Self:
        there = {name: change(tensor) for name, tensor in vars(self).items() if tensor is not None}
        return replace(self, **there)


@dataclass(frozen=True)
class Batch(Rows):
    """Input and output words of some sentences; what it shares with texts is in ``Rows``.

    A ``ValueError`` if the shapes do not belong together.
    """

    target: Tensor  #: output words, int64, ``(batch, tgt)``, ``PAD`` after the end
    #: for each output word the input position it comes from, int64, ``(batch, tgt)``, ``-1`` where
    #: it comes from none; ``None`` where nobody knows (real text)
    gold: Tensor | None = None

    def __post_init__(self) -> None:
        source, target = tuple(self.source.shape), tuple(self.target.shape)
        if len(source) != 2 or len(target) != 2 or source[0] != target[0]:
            raise ValueError(
                "expected source (batch, src) and target (batch, tgt), as many sources as targets, "
                f"found {source} and {target}; pass both halves of the same pairs"
            )
        if self.gold is not None:
            check_shape("gold", target, self.gold)

    @property
    def target_mask(self) -> Tensor:
        """True at words, False at padding, bool ``(batch, tgt)``."""
        return self.target != PAD

    @property
    def decoder_input(self) -> Tensor:
        """The target moved right by one behind ``BOS`` (teacher forcing), ``(batch, tgt)``."""
        start = torch.full_like(self.target[:, :1], BOS)
        return torch.cat([start, self.target[:, :-1]], dim=1)


@dataclass(frozen=True)
class LabelledBatch(Rows):
    """Texts with one of two classes each; what it shares with sentence pairs is in ``Rows``.

    A ``ValueError`` if the shapes do not belong together, or a label is neither 0 nor 1.
    """

    label: Tensor  #: 1 for the positive class, 0 for the other, int64, ``(batch,)``

    def __post_init__(self) -> None:
        if self.source.ndim != 2 or self.label.shape != self.source.shape[:1]:
            raise ValueError(
                "expected source (batch, src) and label (batch,), found "
                f"{tuple(self.source.shape)} and {tuple(self.label.shape)}"
            )
        if not bool(((self.label == 0) | (self.label == 1)).all()):
            raise ValueError(f"expected labels 0 and 1, found {sorted(set(self.label.tolist()))}")


def check_shape(what: str, expected: Sequence[int], found: Tensor) -> None:
    """Refuse a tensor of another shape; the ``ValueError`` has both."""
    if found.shape != tuple(expected):
        raise ValueError(f"expected {what} of shape {tuple(expected)}, found {tuple(found.shape)}")


def broadcast(what: str, given: Tensor, like: Tensor) -> Tensor:
    """A tensor in the shape of another; the ``ValueError`` has both shapes if that cannot be."""
    try:
        return given.expand_as(like)
    except RuntimeError:
        shapes = f"{tuple(like.shape)}, found {tuple(given.shape)}"
        raise ValueError(f"expected {what} that broadcasts to {shapes}") from None


def check_words(words: Tensor, vocab: int, side: str, *, may_be_empty: bool = False) -> None:
    """Refuse words ``(batch, length)`` that no model with this vocabulary can read.

    The ``ValueError`` says if one is outside the vocabulary or after ``PAD``, or a row has none.
    """
    there = words != PAD
    if not may_be_empty and not bool(there.any(1).all()):
        raise ValueError(f"expected at least one word in each {side}, found an empty one")
    if bool((there[:, 1:] & ~there[:, :-1]).any()):
        raise ValueError(
            f"expected PAD after the end of each {side}, found a word after PAD; pad on the right"
        )
    if words.numel() and not 0 <= int(words.min()) <= int(words.max()) < vocab:
        raise ValueError(
            f"expected {side} words from 0 to {vocab - 1}, found {int(words.min())} to "
            f"{int(words.max())}; build the model for this vocabulary"
        )


def generator(seed: int | torch.Generator) -> torch.Generator:
    """A CPU generator for a seed; a generator is handed back as it is, to be drawn from further."""
    if isinstance(seed, torch.Generator):
        return seed
    return torch.Generator().manual_seed(seed)


@dataclass(frozen=True)
class Copying:
    """Copy the input: the task on which the paper shows that attention can fail to be learned.

    Each input is ``length`` words drawn from ``vocab`` of them, in random order. Without repetition
    and with ``vocab == length`` every input is a permutation of the same words, so all inputs have
    the same bag of words and co-occurrence says nothing (the *hard* distribution; the paper: 40 of
    40). With ``vocab > length`` bags differ (the *easy* one; the paper: 40 of 60).
    """

    vocab: int = 40  #: V, the number of different words, at least 1
    length: int = 40  #: L, words in an input, at least 1, and at most V without repetition
    repetition: bool = False  #: whether a word may occur twice in an input
    #: whether ``EOS`` ends input and output and is copied, too (the authors: yes)
    end_symbol: bool = True

    def __post_init__(self) -> None:
        check_fields(self, "vocab", "length")
        if not self.repetition and self.vocab < self.length:
            raise ValueError(
                f"expected vocab >= length, since no word may occur twice, found vocab "
                f"{self.vocab} and length {self.length}; raise vocab, shorten the input, or set "
                "repetition=True"
            )

    @property
    def vocab_size(self) -> int:
        """Words and special symbols together: what an embedding table needs."""
        return FIRST_WORD + self.vocab

    def sample(self, batch: int, seed: int | torch.Generator) -> Batch:
        """Draw inputs with their copies: ``source`` and ``target`` are equal, ``gold`` counts up.

        In the batch ``src == tgt == length`` (one more with the end symbol).
        """
        rng = generator(seed)
        if self.repetition:
            words = torch.randint(self.vocab, (batch, self.length), generator=rng)
        else:
            # The order of random keys is a uniform permutation; its head is a draw without return.
            words = torch.rand(batch, self.vocab, generator=rng).argsort(dim=1)[:, : self.length]
        words = words + FIRST_WORD
        if self.end_symbol:
            words = torch.cat([words, torch.full((batch, 1), EOS)], dim=1)
        gold = torch.arange(words.shape[1]).expand(batch, -1)
        return Batch(words, words.clone(), gold.clone())

    def stream(self, batch: int, seed: int | torch.Generator) -> Iterator[Batch]:
        """Fresh batches without end: no input is ever repeated on purpose."""
        rng = generator(seed)
        while True:
            yield self.sample(batch, rng)


@dataclass(frozen=True)
class Keyword:
    """Inputs in which one word counts and all others are fillers that mean nothing.

    Words are numbered keywords first, then fillers.
    """

    keywords: int = 10  #: K, the number of different keywords, at least 1
    fillers: int = 30  #: the number of different fillers, at least 1
    length: int = 10  #: L, words in an input, at least 1

    def __post_init__(self) -> None:
        check_fields(self, "keywords", "fillers", "length")

    @property
    def vocab_size(self) -> int:
        """Words and special symbols together: what an embedding table needs."""
        return FIRST_WORD + self.keywords + self.fillers

    def is_keyword(self, source: Tensor) -> Tensor:
        """Where the keywords are, bool, of the shape of ``source``."""
        return (source >= FIRST_WORD) & (source < FIRST_WORD + self.keywords)

    def sample(self, batch: int, seed: int | torch.Generator) -> Batch:
        """Which keyword is it? One in each input; the output is that word, gold its place.

        In the batch ``src == length`` and ``tgt == 1``.
        """
        rng = generator(seed)
        words = self._fillers(batch, rng)
        keyword = torch.randint(self.keywords, (batch, 1), generator=rng)
        place = torch.randint(self.length, (batch, 1), generator=rng)
        source = words.scatter(1, place, keyword) + FIRST_WORD
        return Batch(source, keyword + FIRST_WORD, place)

    def sample_labelled(self, batch: int, seed: int | torch.Generator) -> LabelledBatch:
        """Is there a keyword? In half of the inputs one (label 1), in the others none (label 0).

        The first ``batch // 2`` of the inputs ``(batch, length)`` have no keyword, all others have
        one, at a place drawn for each (``is_keyword`` finds it).
        """
        rng = generator(seed)
        with_keyword = self.sample(batch - batch // 2, rng).source
        without = self._fillers(batch // 2, rng) + FIRST_WORD
        label = torch.arange(batch) >= batch // 2
        return LabelledBatch(torch.cat([without, with_keyword]), label.long())

    def _fillers(self, batch: int, rng: torch.Generator) -> Tensor:
        end = self.keywords + self.fillers
        return torch.randint(self.keywords, end, (batch, self.length), generator=rng)

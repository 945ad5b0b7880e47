"""IBM Model 1: learning to translate words from co-occurrence, without attention, in 1993.

Model 1 supposes that each target word comes from one source word, all of them equally likely
beforehand: attention that is uniform and stays so. What it estimates is KTIW and nothing else.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from lessons_lib.tasks import PAD, Batch, check_words

NULL = PAD
"""Row of the table for the empty word, which may bring forth words that have no source."""
CHUNK = 4096
"""Pairs handled at once, which bounds memory."""


@dataclass(frozen=True)
class Model1:
    """A fitted Model 1."""

    #: t(o | i), float64, ``(source_vocab, target_vocab)``; a row sums to 1, or to 0 for a source
    #: word that was never seen. Row ``NULL`` belongs to the empty word.
    table: Tensor


def fit_model1(
    source: Tensor,
    target: Tensor,
    source_vocab: int,
    target_vocab: int,
    *,
    iterations: int = 5,
    empty_word: bool = True,
) -> Model1:
    """Fit IBM Model 1 by expectation-maximisation, from the uniform table.

    E step: the share of position l in output word t is ``t(y_t | x_l) / sum_l' t(y_t | x_l')``; M
    step: add up the shares for each pair of words and normalise over target words (Brown et al.
    1993, section 4.1).

    ``source`` ``(pairs, src)`` and ``target`` ``(pairs, tgt)`` are int64, with ``PAD`` after the
    end; the table is ``(source_vocab, target_vocab)``. With ``empty_word`` a target word may come
    from no source word. A ``ValueError`` if sizes do not match, a word is outside its vocabulary or
    after ``PAD``, or a source is empty and has no empty word either.
    """
    if len(Batch(source, target)) == 0:  # a batch has as many sources as targets
        raise ValueError("expected at least one sentence pair, found none")
    check_words(source, source_vocab, "source", may_be_empty=empty_word)
    check_words(target, target_vocab, "target", may_be_empty=True)
    null = torch.full((len(source), 1), NULL)
    words = torch.cat([null, source], dim=1)  # the empty word stands before position 0
    may_align = torch.cat([torch.full((len(source), 1), empty_word), source != PAD], dim=1)

    table = torch.full((source_vocab, target_vocab), 1 / target_vocab, dtype=torch.float64)
    for _ in range(iterations):
        counts = torch.zeros_like(table).view(-1)
        for first in range(0, len(source), CHUNK):
            rows = slice(first, first + CHUNK)
            x, y = words[rows], target[rows]
            cell = x[:, None, :] * target_vocab + y[:, :, None]  # b t l: index into the flat table
            usable = may_align[rows][:, None, :] & (y != PAD)[:, :, None]
            likely = table.view(-1)[cell] * usable
            share = likely / likely.sum(-1, keepdim=True).clamp(min=1e-300)
            counts.index_add_(0, cell.view(-1), share.view(-1))
        counts = counts.view_as(table)
        table = counts / counts.sum(1, keepdim=True).clamp(min=1e-300)
    return Model1(table)

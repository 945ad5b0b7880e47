"""What a trained model knows and where it looks: pure functions of models, batches and tensors.

Shapes: a probe or an attention that is compared has the source as its last axis, ``(..., src)``;
the lexical probe beta is ``(batch, tgt, src)``. Everywhere a ``ValueError`` says that shapes or
vocabularies do not match, that there is NaN, or nothing to measure.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from lessons_lib.models import BagOfWords, Seq2Seq
from lessons_lib.tasks import EOS, FIRST_WORD, Batch, check_shape

CELLS_AT_ONCE = 2**19
"""Numbers of the (pairs, vocab) table held at once, 2 MiB: what a core's cache has room for."""


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Within it the model drops nothing and records no gradient; its mode is put back after."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)


def lexical_probe(
    model: Seq2Seq,
    batch: Batch,
    *,
    scale: Literal["probability", "log_probability", "logit"],
    head: int | None = None,
) -> Tensor:
    """The lexical probe beta: what is said of the right word if all attention is on one position.

    ``beta_{t,l}`` is computed from ``readout([s_t; V h_l])``: the context is the value of position
    l alone (with several heads all of them look there), the decoder state is the teacher-forced
    one, without dropout. Paper, section 3. Beta is ``(batch, tgt, src)``; where either word is
    padding it is 0 (``-inf`` on the other scales).

    Args:
        model: an encoder-decoder.
        batch: sentences, at least one.
        scale: ``"probability"`` of the word y_t in [0, 1], for agreement and KTIW;
            ``"log_probability"`` in (-inf, 0], the same order of positions; ``"logit"`` before the
            softmax, for the gradient law. The logit orders positions differently: do not mix it
            with the other two.
        head: only this head (from 0) looks at position l alone, and the others look where they do;
            with ``None`` all heads look there.
    """
    if scale not in ("probability", "log_probability", "logit"):
        raise ValueError(f"expected scale probability, log_probability or logit, found {scale!r}")
    if len(batch) == 0:
        raise ValueError("expected at least one sentence to probe, found an empty batch")
    with evaluating(model):
        beta = model.source_embedding.weight.new_full(pair_mask(batch).shape, -torch.inf)
        for (row, t, position), logits in _alone(model, batch, head):
            right = batch.target[row, t]
            if scale == "logit":
                found = logits.gather(-1, right[:, None]).squeeze(-1)
            else:
                found = -cross_entropy(logits, right, reduction="none")
            beta[row, t, position] = found
    return beta.exp() if scale == "probability" else beta


def _alone(
    model: Seq2Seq, batch: Batch, head: int | None = None
) -> Iterator[tuple[tuple[Tensor, ...], Tensor]]:
    """Pairs of output word and position, with the logits where all attention is on the position.

    Yields ``(row, t, l)``, each ``(pairs,)``, and logits ``(pairs, vocab)``: all that is not
    padding, in parts for which ``CELLS_AT_ONCE`` has room.
    """
    if head is not None and not 0 <= head < model.config.heads:
        raise ValueError(f"expected a head from 0 to {model.config.heads - 1}, found {head}")
    out = model(batch)
    values = model.values(out.encoder_states)  # b k l d
    others = out.attention @ values  # b k t d: what each head says where it looks
    alone = torch.tensor([head in (None, k) for k in range(values.shape[1])])
    others[:, alone] = values[:, ~alone] = 0.0
    # The first layer is linear in state and context: for a step, and a position, it is needed once.
    nowhere = out.encoder_states.new_zeros(*values.shape[::2], model.config.d_hidden)
    of_step = model.joined(out.decoder_states, model.merge(others))
    here = model.joined(nowhere, model.merge(values))
    of_position = here - model.joined(nowhere, model.merge(0 * values))
    room = max(1, CELLS_AT_ONCE // model.config.target_vocab)
    for row, t, position in (part.unbind(1) for part in pair_mask(batch).nonzero().split(room)):
        joined = of_step[row, t] + of_position[row, position]
        yield (row, t, position), model.said(joined)


def table_probe(table: Tensor, batch: Batch) -> Tensor:
    """The probe of a model that is a table: ``beta_{t,l} = table[x_l, y_t]``, ``-inf`` at padding.

    The table ``(source_vocab, target_vocab)`` of the bag-of-words proxy (``proxy_table``), of IBM
    Model 1 (``ibm_model1.table``), or of any scores, gives ``(batch, tgt, src)``. An ``IndexError``
    if the table has no row or no column for a word of the batch.
    """
    found = table[batch.source[:, None, :], batch.target[:, :, None]]
    return found.masked_fill(~batch.source_mask[:, None, :], -torch.inf)


def proxy_table(proxy: BagOfWords) -> Tensor:
    """p(o | i) of the bag-of-words proxy for each word alone, ``(source_vocab, target_vocab)``."""
    with evaluating(proxy):
        return proxy.word_logits().softmax(-1)


def seq2seq_table(model: Seq2Seq, batches: list[Batch]) -> Tensor:
    """p(o | i) of an encoder-decoder: its bag of output words when it looks at word i alone.

    For each occurrence of the source word i at position l, ``p(o | s_t, h_l)`` is averaged over the
    output steps t of that sentence; then over the occurrences. Float64,
    ``(source_vocab, target_vocab)``; a row sums to 1, or to 0 for a word that does not occur.
    """
    c = model.config
    total = torch.zeros(c.source_vocab, c.target_vocab, dtype=torch.float64)
    seen = torch.zeros(c.source_vocab, dtype=torch.float64)
    with evaluating(model):
        for batch in batches:
            steps = batch.target_mask.sum(1)
            for (row, _, position), logits in _alone(model, batch):
                bag = logits.softmax(-1).double() / steps[row, None]
                total.index_add_(0, batch.source[row, position].cpu(), bag.cpu())
            seen += batch.source[batch.source_mask].cpu().bincount(minlength=c.source_vocab)
    return total / seen.clamp(min=1)[:, None]


def top_translations(scores: Tensor, words: Tensor, k: int = 1) -> Tensor:
    """The k best target words for some source words, special symbols left out, ``(words, k)``."""
    allowed = scores[words].clone()
    allowed[:, :FIRST_WORD] = -torch.inf
    return allowed.topk(k, dim=-1).indices


def ktiw(scores: Tensor, dictionary: Mapping[int, frozenset[int]]) -> Tensor:
    """Words translated: for each listed source word, is its best translation in the dictionary?

    ``scores`` ``(source_vocab, target_vocab)`` are higher where better, as a table p(o | i); the
    dictionary has for source words the set of their right translations, as identifiers. The answers
    are 1.0 and 0.0 in its order, and their mean is the precision at 1: 0 means that no word is
    translated, 1 all. Of equally good translations the lowest identifier counts.
    """
    if not dictionary:
        raise ValueError("expected a dictionary with at least one source word, found none")
    asked = torch.tensor(list(dictionary))
    empty = (scores[asked] == 0).all(1)
    if bool(empty.any()):
        raise ValueError(
            f"expected scores for every word asked for, found only zeros for {int(empty.sum())} of "
            f"{len(asked)} (first: {int(asked[empty][0])}); make the table from text that has them"
        )
    best = top_translations(scores, asked)[:, 0].tolist()
    right = [float(o in allowed) for o, allowed in zip(best, dictionary.values(), strict=True)]
    return torch.tensor(right)


def pair_mask(batch: Batch, *, end_symbol: bool = True) -> Tensor:
    """True where output word and source word are both there, bool ``(batch, tgt, src)``.

    In translation leave out ``end_symbol``, which comes from no word of the source.
    """
    written = batch.target_mask if end_symbol else batch.target_mask & (batch.target != EOS)
    return written[:, :, None] & batch.source_mask[:, None, :]


def attention_accuracy(attention: Tensor, gold: Tensor) -> float:
    """How often attention is largest at the right position, in [0, 1].

    About 1/L when attention looks anywhere. Of equal positions the first counts, so uniform
    attention scores as if it looked at the first word.

    Args:
        attention: ``(batch, heads, tgt, src)``, whose heads are averaged first; or any probe,
            ``(batch, tgt, src)``.
        gold: right position, ``(batch, tgt)``, -1 where there is none (left out).
    """
    mean = attention.mean(dim=1) if attention.ndim == 4 else attention
    check_shape("gold (batch, tgt)", mean.shape[:-1], gold)
    known = gold >= 0
    if not bool(known.any()):
        raise ValueError("expected output words with a gold position, found none")
    if int(gold.max()) >= mean.shape[-1]:
        raise ValueError(
            f"expected gold positions below src = {mean.shape[-1]}, found {int(gold.max())}"
        )
    if bool(mean[known].isnan().any()):
        raise ValueError("expected numbers where a position is known, found NaN")
    return float((mean.argmax(-1) == gold)[known].double().mean())


def token_accuracy(logits: Tensor, batch: Batch) -> float:
    """Share in [0, 1] of words (no padding) with the largest of logits ``(batch, tgt, vocab)``."""
    check_shape("logits (batch, tgt, vocab)", (*batch.target.shape, logits.shape[-1]), logits)
    if not bool(batch.target_mask.any()):
        raise ValueError("expected at least one output word, found only padding")
    return float((logits.argmax(-1) == batch.target)[batch.target_mask].double().mean())


def dictionary_gold(batch: Batch, dictionary: Mapping[int, frozenset[int]]) -> Tensor:
    """The input position that a dictionary (as for ``ktiw``) names for each output word.

    Int64 ``(batch, tgt)``: the position of the one source word of which the output word is a
    translation; -1 where there is no such word, or more than one.
    """
    sources = torch.tensor([i for i, allowed in dictionary.items() for _ in allowed])
    targets = torch.tensor([o for allowed in dictionary.values() for o in allowed])
    device = batch.source.device
    size = int(max(batch.target.max(), targets.max() if len(targets) else 0)) + 1
    pairs = batch.source[:, None, :] * size + batch.target[:, :, None]  # b t l, one number a pair
    listed = torch.isin(pairs, (sources * size + targets).to(device)) & pair_mask(batch)
    position = listed.long().argmax(-1)
    return torch.where(listed.sum(-1) == 1, position, -1)


def diagonal_guess(batch: Batch) -> Tensor:
    """A candidate that knows no word: it prefers the same relative position, ``(batch, tgt, src)``.

    Sentences of related languages run nearly in parallel, so position alone finds many right
    words. A probe has to beat this one, not just chance. First word goes with first word and last
    with last; end symbols are not counted, because often only one side has them.
    """
    t = torch.arange(batch.target.shape[1], device=batch.target.device)[None, :, None]
    pos = torch.arange(batch.source.shape[1], device=batch.source.device)[None, None, :]
    words_t = (batch.target_mask & (batch.target != EOS)).sum(1)[:, None, None]
    words_l = (batch.source_mask & (batch.source != EOS)).sum(1)[:, None, None]
    near = -(pos / (words_l - 1).clamp(min=1) - t / (words_t - 1).clamp(min=1)).abs()
    return near.masked_fill(~batch.source_mask[:, None, :], -torch.inf)

"""Gradient saliency: how much each source word matters to each output word, by differentiation."""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from lessons_lib.classifier import Classifier
from lessons_lib.models import Seq2Seq
from lessons_lib.probes import evaluating
from lessons_lib.tasks import Batch, LabelledBatch


def saliency(model: Seq2Seq, batch: Batch) -> Tensor:
    """Delta: how the log-probability of each output word changes with each source word's embedding.

    ``Delta_{t,l}`` is the derivative of ``log p(y_t)`` with respect to a scalar, at 1, that
    multiplies the embedding of ``x_l``: of the source word alone, also where both languages share
    one table. Paper, section 3. The model, its mode and its gradients are left as they are.

    Delta is in nats, ``(batch, tgt, src)``; 0 where either word is padding (``probes.pair_mask``).
    A ``ValueError`` if the model cannot read the sentences.
    """
    model.check(batch)
    sources, targets = batch.source_mask.sum(1), batch.target_mask.sum(1).clamp(min=1)
    delta = model.source_embedding.weight.new_zeros(*batch.target.shape, batch.source.shape[1])
    # cuDNN computes no gradient of an LSTM in evaluation mode.
    with evaluating(model), torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        for src in sources.unique().tolist():  # of one length: nothing has to be packed
            rows = (sources == src).nonzero().flatten()
            short = Batch(batch.source[rows, :src], batch.target[rows, : int(targets[rows].max())])
            mask, scale = short.source_mask, torch.ones_like(short.source, dtype=delta.dtype)
            embedded = model.source_embedding(short.source)
            h, last = model.encoder(embedded * scale.requires_grad_()[:, :, None])
            previous = model.target_embedding(short.decoder_input)
            s, _ = model.decoder(previous, model.decoder_start(last))
            values = model.values(h)
            for t, s_t in enumerate(s.split(1, dim=1)):
                alpha = model.attend(model.scores(s_t, h, mask), mask)
                logits = model.readout(s_t, model.merge(alpha @ values))
                log_p = logits.log_softmax(-1).gather(-1, short.target[:, t, None, None])
                # Sentences do not touch each other: one backward pass serves all.
                (found,) = torch.autograd.grad(log_p.sum(), scale, retain_graph=True)
                delta[rows, t, :src] = found
    return delta * batch.target_mask[:, :, None]


def label_saliency(model: Classifier, batch: LabelledBatch) -> Tensor:
    """Delta of the log-probability of the right label, ``(batch, 1, src)``, 0 at padding."""
    model.check(batch)
    with evaluating(model), torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        dtype = model.embedding.weight.dtype
        size = torch.ones_like(batch.source, dtype=dtype, requires_grad=True)
        embedded = model.embedding(batch.source).detach() * size[:, :, None]
        score = model.from_embedded(embedded, batch.source_mask).score
        log_p = logsigmoid(score * (batch.label.float() * 2 - 1))
        (found,) = torch.autograd.grad(log_p.sum(), size)
    return (found * batch.source_mask)[:, None]

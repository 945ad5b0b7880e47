"""Gradient saliency: how much each source word matters to each output word, by differentiation.

The textbook way is a backward pass for each output word of each sentence. Here one serves many:
the chain rule is cut at the states of encoder and decoder, and ``torch.func.vmap`` carries the
gradients of all output words through the recurrences together.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.func import grad, vjp, vmap
from torch.nn.functional import logsigmoid

from lessons_lib.classifier import Classifier
from lessons_lib.config import refuse
from lessons_lib.models import Seq2Seq
from lessons_lib.probes import evaluating
from lessons_lib.tasks import Batch, LabelledBatch

CELLS_AT_ONCE = 2**21
"""Numbers of the largest table that are held at once; several such tables are alive together."""


def saliency(model: Seq2Seq, batch: Batch) -> Tensor:
    """Delta: how the log-probability of each output word changes with each source word's embedding.

    ``Delta_{t,l}`` is the derivative of ``log p(y_t)`` with respect to a scalar, at 1, that
    multiplies the embedding of ``x_l``: of the source word alone, also where both languages share
    one table. Paper, section 3. The model, its mode and its gradients are left as they are.

    Returns:
        Delta in nats, ``(batch, tgt, src)``; 0 where either word is padding (``probes.pair_mask``).

    Raises:
        ValueError: there is no output word, or the model cannot read the sentences.
    """
    sources, targets = batch.source_mask.sum(1), batch.target_mask.sum(1).clamp(min=1)
    nothing = not bool(batch.target_mask.any())
    refuse({"at least one output word to explain, found none in the batch": nothing})
    model.check(batch)
    c, weight = model.config, model.source_embedding.weight
    delta = weight.new_zeros(*batch.target.shape, batch.source.shape[1])
    with evaluating(model), _composite_recurrences():
        # Packed sequences cannot be vmapped; among sources of one length there is no padding.
        for src in sources.unique().tolist():
            rows = (sources == src).nonzero().flatten()
            rows = rows[targets[rows].argsort()]
            wide = max(src * c.d_hidden * (1 + c.bidirectional), c.target_vocab)
            for part in rows.split(max(1, CELLS_AT_ONCE // (int(targets[rows[-1]]) * wide))):
                tgt = int(targets[part[-1]])
                short = Batch(batch.source[part, :src], batch.target[part, :tgt])
                delta[part, :tgt, :src] = _of_one_length(model, short)
    return delta * batch.target_mask[:, :, None]


def _of_one_length(model: Seq2Seq, batch: Batch) -> Tensor:
    """Delta of sentences without padding in the source, ``(batch, tgt, src)``."""
    embedded = model.source_embedding(batch.source)
    previous = model.target_embedding(batch.decoder_input)
    mask = batch.source_mask

    def states(scale: Tensor) -> tuple[Tensor, Tensor]:
        h, last = model.encoder(embedded * scale[:, :, None])
        s, _ = model.decoder(previous, model.decoder_start(last))
        return h, s

    def log_p(h: Tensor, s_t: Tensor, y_t: Tensor) -> Tensor:
        """Of one output word in each sentence, ``(batch,)``, as a sum."""
        s = s_t[:, None]
        alpha = model.attend(model.scores(s, h, mask), mask)
        logits = model.readout(s, model.merge(alpha @ model.values(h)))
        return logits.log_softmax(-1).gather(-1, y_t[:, None, None]).sum()

    (h, s), pull = vjp(states, torch.ones_like(embedded[:, :, 0]))[:2]
    # Given the states, the output word t depends on no decoder state but its own. So the gradients
    # by h (tgt, batch, src, d_encoder) and by s_t (tgt, batch, d_hidden) cost one pass together.
    by_h, by_s = vmap(grad(log_p, argnums=(0, 1)), in_dims=(None, 1, 1))(h, s, batch.target)
    # What remains is the way back through the recurrences. The gradient by s_t stands at t.
    at_t = torch.eye(s.shape[1], dtype=s.dtype, device=s.device)[:, None, :, None]

    def back(by_h: Tensor, by_s: Tensor, at_t: Tensor) -> Tensor:
        found: Tensor = pull((by_h, by_s[:, None] * at_t))[0]
        return found

    return vmap(back)(by_h, by_s, at_t).transpose(0, 1)


@contextmanager
def _composite_recurrences() -> Iterator[None]:
    """Within it LSTM and GRU are made of plain operations: vmap cannot batch the fused kernels."""
    with warnings.catch_warnings():
        # Some versions of PyTorch warn about an unrelated setting when this one is put back.
        warnings.filterwarnings("ignore", message="TF32 acceleration on top of oneDNN")
        with torch.backends.mkldnn.flags(enabled=False), torch.backends.cudnn.flags(enabled=False):
            yield


def label_saliency(model: Classifier, batch: LabelledBatch) -> Tensor:
    """Delta of the log-probability of the right label, ``(batch, 1, src)``, 0 at padding."""
    model.check(batch)
    # cuDNN computes no gradient of an LSTM in evaluation mode.
    with evaluating(model), torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        dtype = model.embedding.weight.dtype
        size = torch.ones_like(batch.source, dtype=dtype, requires_grad=True)
        embedded = model.embedding(batch.source).detach() * size[:, :, None]
        score = model.from_embedded(embedded, batch.source_mask).score
        log_p = logsigmoid(score * (batch.label.float() * 2 - 1))
        (found,) = torch.autograd.grad(log_p.sum(), size)  # texts do not touch each other
    return (found * batch.source_mask)[:, None]

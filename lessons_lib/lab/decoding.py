"""Writing a translation without seeing it: beam search, which with a beam of 1 is greedy."""

import torch
from torch import Tensor

from lessons_lib.models import Seq2Seq
from lessons_lib.probes import evaluating
from lessons_lib.tasks import BOS, EOS, PAD


def translate(model: Seq2Seq, source: Tensor, *, beam: int = 5, longest: int = 100) -> Tensor:
    """The likeliest output that a beam search finds, for each source, int64 ``(batch, src)``.

    At each step the ``beam`` best continuations of all hypotheses of a sentence are kept. The score
    is the sum of log-probabilities, not divided by the length. Since it can only fall, a sentence
    is done when its best hypothesis has ended. Outputs, ``(batch, tgt)``, have the end symbol where
    it was reached, which ``longest`` counts, then ``PAD``.
    """
    words = source.new_empty(len(source), 1, 0)  # sentence hypothesis t
    scores, mask = torch.zeros(len(source), 1, device=source.device), source != PAD
    sentence = torch.arange(len(source), device=source.device)[:, None]
    with evaluating(model):
        states, state = model.encode(source, mask)
        values = model.values(states)
        for t in range(longest):
            n, k, _ = words.shape
            last = words[:, :, -1] if t else words.new_full((n, k), BOS)
            ended = (last == EOS) | (last == PAD)
            if bool(ended[:, 0].all()):
                break
            s, state = model.decoder(model.target_embedding(last.reshape(n * k, 1)), state)
            # Hypotheses of one sentence are output steps to the attention: they share the source.
            s = s.view(n, k, -1)
            alpha = model.attend(model.scores(s, states, mask), mask)
            log_p = model.readout(s, model.merge(alpha @ values)).log_softmax(-1)
            stay = torch.full_like(log_p[0, 0], -torch.inf)
            stay[PAD] = 0.0
            log_p = torch.where(ended[:, :, None], stay, log_p)
            best, word = log_p.topk(min(beam, log_p.shape[-1]), dim=-1)
            total = (scores[:, :, None] + best).flatten(1)
            scores, chosen = total.topk(min(beam, total.shape[1]), dim=1)
            parent = chosen // best.shape[-1]
            word = word.flatten(1).gather(1, chosen)
            words = torch.cat([words[sentence, parent], word[:, :, None]], dim=-1)
            at = (sentence * k + parent).flatten()
            parts = state if isinstance(state, tuple) else (state,)  # layers, rows, d_hidden
            parts = tuple(part[:, at].contiguous() for part in parts)
            state = parts if isinstance(state, tuple) else parts[0]
    return words[:, 0]

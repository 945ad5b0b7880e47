"""The paper's classifier of texts, with learned or frozen uniform attention, and its probes.

Shapes as in ``lessons_lib.models``; a class is one output, so ``tgt`` is 1 here: attention is
``(batch, 1, 1, src)`` and a probe ``(batch, 1, src)``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from lessons_lib.config import Configuration, check_fields
from lessons_lib.models import MINUS_INFINITY
from lessons_lib.tasks import LabelledBatch, broadcast, check_words

LEAST_ROWS = 8
"""Texts that are read side by side at least; of 4, 8, 16 and 32 this was the fastest."""


@dataclass(frozen=True)
class ClassifierConfig(Configuration):
    """What defines a classifier but its seed. The defaults are the authors'."""

    source_vocab: int  #: rows of the embedding, special symbols included
    d_embed: int = 300  #: width of an embedding
    d_hidden: int = 256  #: width of an encoder state, and of the attention network's hidden layer
    bidirectional: bool = True  #: whether the encoder also reads from the right; a state has both
    #: ``"learned"``, or ``"uniform"``: frozen at ``1/L`` throughout
    attention: Literal["learned", "uniform"] = "learned"
    #: whether attention logits and word scores have one (d and b of ``Classifier``)
    bias: bool = True

    def __post_init__(self) -> None:
        check_fields(self, "source_vocab", "d_embed", "d_hidden")


@dataclass(frozen=True)
class ClassifierOutput:
    """Everything that one pass computed."""

    score: Tensor  #: log-odds of the positive class, ``sum_l alpha_l beta_l``, ``(batch,)``
    attention: Tensor  #: alpha, ``(batch, 1, 1, src)``, rows sum to 1, zero at padding
    word_scores: Tensor  #: beta for the positive class, ``w . h_l + b``, ``(batch, src)``


class Classifier(nn.Module):
    """LSTM, attention and a linear readout (paper, classification).

    With encoder states ``h_l``::

        a_l = v . relu(U h_l + c) + d      alpha = softmax(a)
        beta_l = w . h_l + b               Pr[positive] = sigmoid(sum_l alpha_l beta_l)
    """

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = c = config
        self.embedding = nn.Embedding(c.source_vocab, c.d_embed)
        directions = 2 if c.bidirectional else 1
        # One LSTM for each direction, with the weights that a bidirectional one would draw. On
        # packed sequences PyTorch does without oneDNN, which took 4 times as long on long texts.
        self.encoder = nn.ModuleList(
            nn.LSTM(c.d_embed, c.d_hidden, batch_first=True) for _ in range(directions)
        )
        d_encoder = directions * c.d_hidden
        self.scorer = nn.Sequential(
            nn.Linear(d_encoder, c.d_hidden), nn.ReLU(), nn.Linear(c.d_hidden, 1, bias=c.bias)
        )
        self.readout = nn.Linear(d_encoder, 1, bias=c.bias)

    def forward(self, batch: LabelledBatch, attention: Tensor | None = None) -> ClassifierOutput:
        """One pass over padded texts.

        ``attention``, broadcastable to ``(batch, 1, 1, src)``, stands in for the model's own (an
        intervention). A ``ValueError`` if it has another shape, a text is empty, or a word outside
        the vocabulary.
        """
        self.check(batch)
        return self.from_embedded(self.embedding(batch.source), batch.source_mask, attention)

    def from_embedded(
        self, embedded: Tensor, mask: Tensor, attention: Tensor | None = None
    ) -> ClassifierOutput:
        """The pass from embeddings ``(batch, src, d_embed)`` on; ``mask`` is True at words."""
        lengths = mask.sum(1)
        learned = self.config.attention == "learned"
        scores, word_scores = (embedded.new_zeros(mask.shape) for _ in range(2))
        for rows in _similar(lengths):
            src = int(lengths[rows[-1]])
            states = self._states(embedded[rows, :src], lengths[rows])
            word_scores[rows, :src] = self.readout(states).squeeze(-1).to(word_scores.dtype)
            if learned:
                scores[rows, :src] = self.scorer(states).squeeze(-1).to(scores.dtype)
        word_scores = word_scores.masked_fill(~mask, 0.0)
        # Equal scores are uniform attention.
        alpha = scores.masked_fill(~mask, MINUS_INFINITY).softmax(-1)[:, None, None]
        if attention is not None:
            alpha = broadcast("attention (batch, 1, 1, src)", attention.to(alpha.dtype), alpha)
        score = (alpha[:, 0, 0] * word_scores).sum(1)
        return ClassifierOutput(score, alpha, word_scores)

    def _states(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """``(batch, src, d_encoder)``; what stands at padding means nothing."""
        read = self.encoder[0](embedded)[0]
        if len(self.encoder) == 1:
            return read  # type: ignore[no-any-return]
        at = torch.arange(embedded.shape[1], device=embedded.device)
        end = lengths[:, None] - 1
        turned = torch.where(at <= end, end - at, at)[:, :, None]  # its own inverse
        back = self.encoder[1](embedded.gather(1, turned.expand_as(embedded)))[0]
        return torch.cat([read, back.gather(1, turned.expand_as(back))], -1)

    def check(self, batch: LabelledBatch) -> None:
        """Refuse a batch that the model cannot read, as ``forward`` does."""
        check_words(batch.source, self.config.source_vocab, "text")


def _similar(lengths: Tensor) -> Iterator[Tensor]:
    """Rows in order of length, in pieces of similar length, so that little padding is read.

    A piece ends where lengths are 5/4 of its first, but has ``LEAST_ROWS`` rows at least.
    """
    order = lengths.argsort(stable=True)
    ordered = lengths[order].tolist()
    first = 0
    for at in range(1, len(ordered)):
        if at - first >= LEAST_ROWS and 4 * ordered[at] > 5 * ordered[first]:
            yield order[first:at]
            first = at
    yield order[first:]


def build_classifier(config: ClassifierConfig, seed: int) -> Classifier:
    """A freshly initialised classifier; the global random state is left as it was.

    Two configurations that differ only in ``attention`` get the same weights from one seed.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Classifier(config)


def class_loss(model: Classifier, batch: LabelledBatch) -> Tensor:
    """Cross-entropy of the class in nats, the mean over the texts, a scalar."""
    return binary_cross_entropy_with_logits(model(batch).score, batch.label.float())


def class_accuracy(score: Tensor, batch: LabelledBatch) -> float:
    """Share of texts whose log-odds ``(batch,)`` have the sign of their label, in [0, 1].

    Odds of 0 are for class 0. A ``ValueError`` if there is no text, not one score for each, or NaN.
    """
    if score.shape != batch.label.shape or not len(batch):
        raise ValueError(
            f"expected one score for each of {len(batch)} texts, found {tuple(score.shape)}"
        )
    if bool(score.isnan().any()):
        raise ValueError("expected numbers as scores, found NaN")
    return float(((score > 0) == (batch.label == 1)).double().mean())


def speaking_for_label(word_scores: Tensor, batch: LabelledBatch) -> Tensor:
    """The probe beta ``(batch, 1, src)``: word scores for the right label, ``-inf`` at padding.

    ``word_scores`` ``(batch, src)`` are those for the positive class, of ``ClassifierOutput`` or of
    ``lab.classification``; their sign is turned where the label is 0.
    """
    sign = batch.label.to(word_scores.dtype)[:, None] * 2 - 1
    return (word_scores * sign).masked_fill(~batch.source_mask, -torch.inf)[:, None]

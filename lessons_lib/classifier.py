"""The paper's classifier of texts, with learned or frozen uniform attention, and its probes.

Shapes as in ``lessons_lib.models``; a class is one output, so ``tgt`` is 1 here: attention is
``(batch, 1, 1, src)`` and a probe ``(batch, 1, src)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lessons_lib.config import Configuration
from lessons_lib.models import MINUS_INFINITY, BagOfWords
from lessons_lib.tasks import LabelledBatch


@dataclass(frozen=True)
class ClassifierConfig(Configuration):
    """What defines a classifier but its seed. The defaults are the authors'.

    Attributes:
        source_vocab: rows of the embedding, special symbols included.
        d_embed: width of an embedding.
        d_hidden: width of an encoder state, and of the hidden layer of the attention network.
        bidirectional: whether the encoder also reads from the right.
        attention: ``"learned"``, or ``"uniform"``: frozen at ``1/L`` throughout.
        dropout: probability of dropping an entry of an embedding, in ``[0, 1)``.
    """

    source_vocab: int
    d_embed: int = 300
    d_hidden: int = 256
    bidirectional: bool = False
    attention: Literal["learned", "uniform"] = "learned"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        for name in ("source_vocab", "d_embed", "d_hidden"):
            if getattr(self, name) < 1:
                raise ValueError(f"expected {name} of at least 1, found {getattr(self, name)}")
        if self.attention not in ("learned", "uniform"):
            raise ValueError(
                f"expected attention to be one of learned, uniform, found {self.attention!r}"
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"expected dropout in [0, 1), found {self.dropout}")


@dataclass(frozen=True)
class ClassifierOutput:
    """Everything that one pass computed.

    Attributes:
        score: log-odds of the positive class, ``sum_l alpha_l beta_l``, ``(batch,)``.
        attention: alpha, ``(batch, 1, 1, src)``, rows sum to 1, zero at padding.
        word_scores: beta before its sign is turned to the label, ``w . h_l``, ``(batch, src)``.
    """

    score: Tensor
    attention: Tensor
    word_scores: Tensor


class Classifier(nn.Module):
    """LSTM, attention and a linear readout (paper, classification).

    With encoder states ``h_l``::

        a_l = v . relu(U h_l + c)      alpha = softmax(a)
        beta_l = w . h_l               Pr[positive] = sigmoid(sum_l alpha_l beta_l)
    """

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = c = config
        self.embedding = nn.Embedding(c.source_vocab, c.d_embed)
        self.encoder = nn.LSTM(
            c.d_embed, c.d_hidden, batch_first=True, bidirectional=c.bidirectional
        )
        d_encoder = c.d_hidden * (2 if c.bidirectional else 1)
        self.scorer = nn.Sequential(
            nn.Linear(d_encoder, c.d_hidden), nn.ReLU(), nn.Linear(c.d_hidden, 1, bias=False)
        )
        self.readout = nn.Linear(d_encoder, 1, bias=False)
        self.dropout = nn.Dropout(c.dropout)

    def forward(self, batch: LabelledBatch, attention: Tensor | None = None) -> ClassifierOutput:
        """One pass.

        Args:
            batch: padded texts.
            attention: weights to use in place of the model's own (an intervention), broadcastable
                to ``(batch, 1, 1, src)``.

        Raises:
            ValueError: an empty text, a word outside the vocabulary, or ``attention`` of another
                shape.
        """
        self.check(batch)
        return self.from_embedded(self.embedding(batch.source), batch.source_mask, attention)

    def from_embedded(
        self, embedded: Tensor, mask: Tensor, attention: Tensor | None = None
    ) -> ClassifierOutput:
        """The pass from embeddings ``(batch, src, d_embed)`` on; ``mask`` is True at words."""
        src = mask.shape[1]
        packed = pack_padded_sequence(
            self.dropout(embedded), mask.sum(1).cpu(), batch_first=True, enforce_sorted=False
        )
        states, _ = pad_packed_sequence(self.encoder(packed)[0], batch_first=True, total_length=src)
        word_scores = self.readout(states).squeeze(-1).masked_fill(~mask, 0.0)
        alpha = self._attend(states, mask)[:, None, None, :]
        if attention is not None:
            try:
                alpha = attention.to(alpha.dtype).expand_as(alpha)
            except RuntimeError:
                raise ValueError(
                    f"expected attention of shape (batch, heads, tgt, src) = {tuple(alpha.shape)}, "
                    f"found {tuple(attention.shape)}"
                ) from None
        score = (alpha[:, 0, 0] * word_scores).sum(1)
        return ClassifierOutput(score, alpha, word_scores)

    def _attend(self, states: Tensor, mask: Tensor) -> Tensor:
        if self.config.attention == "uniform":
            return mask.to(states.dtype) / mask.sum(1, keepdim=True)
        scores: Tensor = self.scorer(states).squeeze(-1)
        return scores.masked_fill(~mask, MINUS_INFINITY).softmax(-1)

    def check(self, batch: LabelledBatch) -> None:
        """Refuse a batch that the model cannot read, as ``forward`` does."""
        mask = batch.source_mask
        if not bool(mask.any(dim=1).all()):
            raise ValueError("expected at least one word in each text, found an empty one")
        if bool((mask[:, 1:] & ~mask[:, :-1]).any()):
            raise ValueError(
                "expected PAD after the end of each text, found a word after PAD; pad on the right"
            )
        if not 0 <= int(batch.source.min()) <= int(batch.source.max()) < self.config.source_vocab:
            raise ValueError(
                f"expected words from 0 to {self.config.source_vocab - 1}, found "
                f"{int(batch.source.min())} to {int(batch.source.max())}; build the model for this "
                "vocabulary"
            )


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


def proxy_loss(model: BagOfWords, batch: LabelledBatch) -> Tensor:
    """The same for the embedding proxy: ``BagOfWords`` with one output, the log-odds."""
    return binary_cross_entropy_with_logits(model(batch).squeeze(-1), batch.label.float())


def class_accuracy(score: Tensor, batch: LabelledBatch) -> float:
    """Share of texts whose log-odds ``(batch,)`` have the sign of their label, in [0, 1].

    Raises:
        ValueError: not one score for each text, no text, or NaN.
    """
    if score.shape != batch.label.shape or not len(batch):
        raise ValueError(
            f"expected one score for each of {len(batch)} texts, found {tuple(score.shape)}"
        )
    if bool(score.isnan().any()):
        raise ValueError("expected numbers as scores, found NaN")
    return float(((score > 0) == (batch.label == 1)).double().mean())


def speaking_for_label(word_scores: Tensor, batch: LabelledBatch) -> Tensor:
    """The probe beta: word scores with the sign turned so that larger speaks for the right label.

    Args:
        word_scores: for the positive class, ``(batch, src)``: ``ClassifierOutput.word_scores`` or
            ``table_scores``.
        batch: with the labels.

    Returns:
        ``(batch, 1, src)``, ``-inf`` at padding.
    """
    sign = batch.label.to(word_scores.dtype)[:, None] * 2 - 1
    return (word_scores * sign).masked_fill(~batch.source_mask, -torch.inf)[:, None]


def table_scores(table: Tensor, batch: LabelledBatch) -> Tensor:
    """Word scores of a model that gives each word one number, ``(batch, src)``.

    Args:
        table: ``(source_vocab,)``: the proxy's ``word_logits()[:, 0]``, or the coefficients of a
            logistic regression on the bag of words.
        batch: texts.

    Raises:
        ValueError: the table has no entry for a word of the batch.
    """
    if table.ndim != 1 or len(table) <= int(batch.source.max()):
        raise ValueError(
            f"expected a table (source_vocab,) of more than {int(batch.source.max())} entries, "
            f"found {tuple(table.shape)}"
        )
    return table[batch.source]


def label_saliency(model: Classifier, batch: LabelledBatch) -> Tensor:
    """Delta: how the log-probability of the right label changes with the size of an embedding.

    The derivative with respect to a scalar, at 1, that multiplies the embedding of x_l.

    Returns:
        ``(batch, 1, src)``, in the model's dtype, 0 at padding.

    Raises:
        ValueError: as the model for texts that it cannot read.
    """
    model.check(batch)
    was_training = model.training
    # cuDNN computes no gradient of an LSTM in evaluation mode.
    with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        try:
            model.eval()
            dtype = model.embedding.weight.dtype
            size = torch.ones_like(batch.source, dtype=dtype, requires_grad=True)
            embedded = model.embedding(batch.source).detach() * size[:, :, None]
            score = model.from_embedded(embedded, batch.source_mask).score
            log_p = logsigmoid(score * (batch.label.float() * 2 - 1))
            (found,) = torch.autograd.grad(log_p.sum(), size)  # texts do not touch each other
        finally:
            model.train(was_training)
    return (found * batch.source_mask)[:, None]


def logistic_table(texts: LabelledBatch, source_vocab: int, *, strength: float = 1.0) -> Tensor:
    """Coefficients of a logistic regression on the bag of words, ``(source_vocab,)``.

    The features are the counts of the words; scikit-learn fits it with an L2 penalty.

    Args:
        texts: to learn from; both labels must occur.
        source_vocab: number of words.
        strength: inverse of the penalty, C.

    Raises:
        ValueError: all texts have one label.
    """
    from scipy.sparse import coo_array
    from sklearn.linear_model import LogisticRegression

    if texts.label.unique().numel() < 2:
        raise ValueError("expected texts of both labels, found one; take other texts")
    text, position = texts.source_mask.nonzero(as_tuple=True)
    word = texts.source[text, position].numpy()
    counts = coo_array(
        (torch.ones(len(word)).numpy(), (text.numpy(), word)), (len(texts), source_vocab)
    ).tocsr()
    fitted = LogisticRegression(C=strength, max_iter=1000).fit(counts, texts.label.numpy())
    return torch.from_numpy(fitted.coef_[0]).float()

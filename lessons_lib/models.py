"""The paper's encoder-decoder and its attention: one head or several, learned or frozen uniform.

Glossary of shapes, used everywhere::

    batch       sentences                    heads     attention heads, one included
    tgt         output positions, t          src       input positions, l
    vocab       output words                 d_hidden  width of a decoder state
    d_encoder   width of an encoder state: d_hidden, twice that when bidirectional

A model returns a frozen dataclass and keeps nothing of a call on itself. Attention is always
``(batch, heads, tgt, src)`` and sums to 1 over ``src``.
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lessons_lib.config import Configuration, check_fields, refuse
from lessons_lib.tasks import PAD, Batch, LabelledBatch, broadcast, check_words

MINUS_INFINITY = -1e9
"""Score of a padded position. Finite, so that a row of padding gives no NaN."""


@dataclass(frozen=True)
class Seq2SeqConfig(Configuration):
    """What defines an encoder-decoder but its seed.

    The defaults have the size of the authors' copying model: one unidirectional LSTM of width 256.
    """

    source_vocab: int  #: rows of the source embedding, special symbols included
    target_vocab: int  #: output words, special symbols included
    d_embed: int = 256  #: width of an embedding
    d_hidden: int = 256  #: width of a decoder state, and of one direction of the encoder
    cell: Literal["lstm", "gru"] = "lstm"  #: the recurrent cell
    layers: int = 1  #: recurrent layers of encoder and of decoder
    bidirectional: bool = False  #: whether the encoder also reads from the right
    #: how the decoder starts from the ends of a bidirectional encoder, layer by layer: a learned
    #: mixture of the two (tanh for h), or their mean
    bridge: Literal["linear", "mean"] = "linear"
    dropout: float = 0.0  #: probability of dropping an entry, in ``[0, 1)``
    #: of embeddings, between layers and before the readout; or between layers only
    dropout_at: Literal["everywhere", "layers"] = "everywhere"
    heads: int = 1  #: H, attention heads
    #: whether the heads' contexts are averaged, as in the paper, or concatenated
    merge: Literal["average", "concatenate"] = "average"
    #: ``"learned"``, or ``"uniform"``: frozen at ``1/L`` throughout
    attention: Literal["learned", "uniform"] = "learned"
    #: whether attention logits are divided by the square root of the width of an encoder state, as
    #: in Transformers (the paper's are not)
    scaled_scores: bool = False
    #: ``Linear(tanh(Linear([s; c])))`` as in the paper; with ReLU, as the authors' translator; or
    #: ``Linear([s; c])``, for which the gradient law holds exactly
    readout: Literal["tanh", "relu", "linear"] = "tanh"
    #: one table for source and target words (as in the authors' copier)
    shared_embeddings: bool = False
    #: identifiers that no target holds, such as ``PAD``: the output layer has no row for them,
    #: their logit is ``MINUS_INFINITY``. A row for such a word would have to be unlearned first,
    #: and that delays all else (of copiers; translators have theirs, as the authors' do).
    never_written: tuple[int, ...] = ()
    max_length: int = 512  #: longest sequence accepted on either side

    def __post_init__(self) -> None:
        sizes = ("source_vocab", "target_vocab", "d_embed", "d_hidden", "layers", "heads")
        check_fields(self, *sizes, "max_length")
        source, target = self.source_vocab, self.target_vocab
        written = set(range(target)) - set(self.never_written)
        refuse(
            {
                f"never_written to name some of the {target} output words, each once, and to leave "
                f"one, found {self.never_written}": not 0 < len(written) == self.written,
                f"dropout in [0, 1), found {self.dropout}": not 0 <= self.dropout < 1,
                f"one vocabulary for shared embeddings, found source_vocab {source} and "
                f"target_vocab {target}": self.shared_embeddings and source != target,
            }
        )

    @property
    def written(self) -> int:
        """Rows of the output layer: words that may be written."""
        return self.target_vocab - len(self.never_written)


def output_columns(config: Seq2SeqConfig) -> Tensor:
    """For each output word its row of the output layer, ``(target_vocab,)``.

    A word that is never written has the row after the last, whose logit is ``MINUS_INFINITY``.
    """
    can = torch.ones(config.target_vocab, dtype=torch.bool)
    can[list(config.never_written)] = False
    return torch.where(can, can.cumsum(0) - 1, config.written)


@dataclass(frozen=True)
class Seq2SeqOutput:
    """Everything that one teacher-forced pass computed."""

    logits: Tensor  #: unnormalised log-probabilities of the next word, ``(batch, tgt, vocab)``
    attention: Tensor  #: alpha, ``(batch, heads, tgt, src)``, rows sum to 1, zero at padding
    scores: Tensor  #: attention logits a before the softmax, ``(batch, heads, tgt, src)``
    encoder_states: Tensor  #: h, ``(batch, src, d_encoder)``
    decoder_states: Tensor  #: s, ``(batch, tgt, d_hidden)``


class Seq2Seq(nn.Module):
    """Encoder, decoder and attention of the paper (section 2).

    With encoder states ``h_l`` and teacher-forced decoder states ``s_t``, head ``k`` computes::

        a_{t,l} = (Q_k s_t + b_k) . h_l        alpha_{t,l} = softmax_l(a_{t,l})
        c_t = mean_k sum_l alpha_{t,l} V_k h_l  p_t = softmax(readout([s_t; c_t]))

    (or the heads' contexts side by side in place of their mean).

    The state ``s_t`` does not depend on ``c_t``, so all output steps are computed at once.
    """

    column: Tensor

    def __init__(self, config: Seq2SeqConfig) -> None:
        super().__init__()
        self.config = c = config
        rnn = nn.LSTM if c.cell == "lstm" else nn.GRU
        sizes = (c.d_embed, c.d_hidden, c.layers)
        between = c.dropout if c.layers > 1 else 0.0
        d_encoder = c.d_hidden * (2 if c.bidirectional else 1)
        self.source_embedding = self.target_embedding = nn.Embedding(c.source_vocab, c.d_embed)
        if not c.shared_embeddings:
            self.target_embedding = nn.Embedding(c.target_vocab, c.d_embed)
        self.encoder = rnn(*sizes, batch_first=True, bidirectional=c.bidirectional, dropout=between)
        self.decoder = rnn(*sizes, batch_first=True, dropout=between)
        # Both directions end somewhere; the decoder starts from a mixture of the two ends.
        mixed = c.bidirectional and c.bridge == "linear"
        self.bridge = nn.Linear(d_encoder, c.d_hidden) if mixed else nn.Identity()
        self.query = nn.Linear(c.d_hidden, c.heads * d_encoder)
        self.value = nn.Linear(d_encoder, c.heads * c.d_hidden)
        self.dropout = nn.Dropout(c.dropout if c.dropout_at == "everywhere" else 0.0)
        joined = c.d_hidden + c.d_hidden * (1 if c.merge == "average" else c.heads)
        hidden: list[nn.Module] = []
        if c.readout != "linear":
            hidden = [nn.Linear(joined, c.d_hidden)]
            hidden.append(nn.Tanh() if c.readout == "tanh" else nn.ReLU())
        last = nn.Linear(c.d_hidden if hidden else joined, c.written)
        self.readout_layers = nn.Sequential(*hidden, last)
        self.register_buffer("column", output_columns(c), persistent=False)

    def forward(self, batch: Batch, attention: Tensor | None = None) -> Seq2SeqOutput:
        """One teacher-forced pass over padded sentences.

        ``attention``, broadcastable to ``(batch, heads, tgt, src)``, stands in for the model's own
        (an intervention). A ``ValueError`` if it has another shape, a sequence is longer than
        ``max_length``, a source empty, or a word outside the vocabulary.
        """
        self.check(batch)
        states, start = self.encode(batch.source, batch.source_mask)
        decoder_states, _ = self.decoder(
            self.dropout(self.target_embedding(batch.decoder_input)), start
        )
        scores = self.scores(decoder_states, states, batch.source_mask)
        alpha = self.attend(scores, batch.source_mask) if attention is None else attention
        alpha = broadcast("attention (batch, heads, tgt, src)", alpha.to(scores.dtype), scores)
        values = self.values(states)  # b k l d
        if self.config.merge == "average":  # without a table of every head's context
            context = torch.einsum("bktl,bkld->btd", alpha, values) / self.config.heads
        else:
            context = self.merge(alpha @ values)
        logits = self.readout(decoder_states, context)
        return Seq2SeqOutput(logits, alpha, scores, states, decoder_states)

    def encode(self, source: Tensor, mask: Tensor) -> tuple[Tensor, Any]:
        """Encoder states ``(batch, src, d_encoder)`` and the decoder's start."""
        embedded = self.dropout(self.source_embedding(source))
        if bool(mask.all()):
            states, last = self.encoder(embedded)
        else:
            packed = pack_padded_sequence(
                embedded, mask.sum(1).cpu(), batch_first=True, enforce_sorted=False
            )
            packed_states, last = self.encoder(packed)
            states, _ = pad_packed_sequence(
                packed_states, batch_first=True, total_length=source.shape[1]
            )
        return states, self.decoder_start(last)

    def decoder_start(self, last: Any) -> Any:
        """The decoder's first state from the encoder's last: a tuple for the LSTM."""
        if not self.config.bidirectional:
            return last
        both = last if self.config.cell == "lstm" else (last,)
        sides = [(end[0::2], end[1::2]) for end in both]  # left and right, layers b d each
        if self.config.bridge == "mean":
            hidden, *cell = [(left + right) / 2 for left, right in sides]
        else:
            mixed, *cell = [self.bridge(torch.cat(pair, dim=-1)) for pair in sides]
            hidden = mixed.tanh()
        return (hidden, *cell) if cell else hidden

    def scores(self, decoder_states: Tensor, encoder_states: Tensor, mask: Tensor) -> Tensor:
        """Attention logits a, ``(batch, heads, tgt, src)``; a large negative number at padding."""
        b, t, _ = decoder_states.shape
        queries = self.query(decoder_states).view(b, t, self.config.heads, -1)
        if self.config.scaled_scores:
            queries = queries / queries.shape[-1] ** 0.5
        scores = torch.einsum("btkd,bld->bktl", queries, encoder_states)
        return scores.masked_fill(~mask[:, None, None, :], MINUS_INFINITY)

    def attend(self, scores: Tensor, mask: Tensor) -> Tensor:
        """Attention alpha from its logits; with frozen uniform attention, 1/L at each word."""
        if self.config.attention == "learned":
            return scores.softmax(dim=-1)
        uniform = mask / mask.sum(1, keepdim=True).clamp(min=1)
        return uniform[:, None, None, :].to(scores.dtype).expand_as(scores)

    def values(self, encoder_states: Tensor) -> Tensor:
        """Each head's value ``V_k h_l`` of each position, ``(batch, heads, src, d_hidden)``."""
        b, src, _ = encoder_states.shape
        values: Tensor = self.value(encoder_states).view(b, src, self.config.heads, -1)
        return values.transpose(1, 2)  # b k l d

    def merge(self, contexts: Tensor) -> Tensor:
        """Contexts ``(batch, heads, ..., d_hidden)`` as one: their mean, or all side by side."""
        if self.config.merge == "average":
            return contexts.mean(dim=1)
        return contexts.movedim(1, -2).flatten(-2)

    def readout(self, decoder_states: Tensor, context: Tensor) -> Tensor:
        """Logits of output words, ``(..., vocab)``, from s and the merged context c."""
        return self.said(self.joined(decoder_states, context))

    def joined(self, decoder_states: Tensor, context: Tensor) -> Tensor:
        """First layer of the readout, ``(..., hidden)``: linear in both, up to a bias."""
        both = self.dropout(torch.cat([decoder_states, context], dim=-1))
        found: Tensor = self.readout_layers[0](both)
        return found

    def said(self, joined: Tensor) -> Tensor:
        """Logits of output words, ``(..., vocab)``, from what ``joined`` gives."""
        return self.by_identifier(self.readout_layers[1:](joined))

    def by_identifier(self, logits: Tensor) -> Tensor:
        """Logits of the rows of the output layer as ``(..., vocab)``, by word."""
        if not self.config.never_written:
            return logits
        return pad(logits, (0, 1), value=MINUS_INFINITY).index_select(-1, self.column)

    def check(self, batch: Batch) -> None:
        """Refuse a batch that the model cannot read, as ``forward`` does."""
        longest = max(batch.source.shape[1], batch.target.shape[1])
        if longest > self.config.max_length:
            raise ValueError(
                f"expected sequences of at most {self.config.max_length} words, found "
                f"{longest}; leave longer ones out, or raise max_length in the configuration"
            )
        check_words(batch.source, self.config.source_vocab, "source")
        check_words(batch.target, self.config.target_vocab, "target", may_be_empty=True)


class BagOfWords(nn.Module):
    """The bag-of-words proxy: mean word embedding, one linear layer, softmax (paper, section 3).

    It is trained to predict the bag of target words from the bag of source words. It knows no
    order, no attention and no recurrence; what it learns is co-occurrence.
    """

    def __init__(self, source_vocab: int, target_vocab: int, d_embed: int = 64) -> None:
        super().__init__()
        self.embedding = nn.Embedding(source_vocab, d_embed)
        self.output = nn.Linear(d_embed, target_vocab)

    def forward(self, batch: Batch | LabelledBatch) -> Tensor:
        """Logits of the bag of target words, ``(batch, vocab)``."""
        mask = batch.source_mask.unsqueeze(-1)
        total = (self.embedding(batch.source) * mask).sum(1)
        return self.output(total / mask.sum(1).clamp(min=1))  # type: ignore[no-any-return]

    def word_logits(self) -> Tensor:
        """Logits for a source of one word, for every source word, ``(source_vocab, vocab)``."""
        return self.output(self.embedding.weight)  # type: ignore[no-any-return]


def build(config: Seq2SeqConfig, seed: int) -> Seq2Seq:
    """A freshly initialised model; the global random state is left as it was.

    Two configurations that differ only in ``attention`` get the same weights from one seed.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Seq2Seq(config)


def build_bag_of_words(
    source_vocab: int, target_vocab: int, seed: int, d_embed: int = 64
) -> BagOfWords:
    """A freshly initialised proxy; the global random state is left as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return BagOfWords(source_vocab, target_vocab, d_embed)


def sequence_loss(model: Seq2Seq, batch: Batch) -> Tensor:
    """Cross-entropy of the next word in nats, the mean over all output words, a scalar."""
    logits = model(batch).logits
    loss: Tensor = cross_entropy(logits.flatten(0, 1), batch.target.flatten(), ignore_index=PAD)
    return loss


def bag_loss(model: BagOfWords, batch: Batch) -> Tensor:
    """Cross-entropy of the bag of target words in nats, the mean over all of them, a scalar."""
    log_p = model(batch).log_softmax(-1)
    found = log_p.gather(1, batch.target)
    total: Tensor = (found * batch.target_mask).sum()
    return -total / batch.target_mask.sum()


def make_antithetic(model: Seq2Seq) -> None:
    """Make the second half of the heads the mirror image of the first half, in place.

    ``Q_{H/2+k} = -Q_k`` and ``V_{H/2+k} = -V_k``, biases included. To first order the leads of the
    two, of the right position and of the right word, are ``(a, b)`` and ``(-a, -b)``. A
    ``ValueError`` if a model has an odd number of heads, or such as have a key or output columns of
    their own (a Transformer's): those have to be copied, as ``lab.carried`` does.
    """
    kind, heads, merge = type(model).__name__, model.config.heads, model.config.merge
    refuse(
        {
            f"an even number of heads, found {heads}": heads % 2 > 0,
            f"averaged contexts, found a {kind} with merge {merge!r}, whose heads have keys or "
            "output columns to be copied, as lab.carried does": merge != "average",
        }
    )
    with torch.no_grad():
        for weights in (*model.query.parameters(), *model.value.parameters()):
            weights.copy_(torch.cat([weights.chunk(2)[0], -weights.chunk(2)[0]]))

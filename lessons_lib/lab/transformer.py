"""A small Transformer encoder-decoder on the copying tasks, and both optimisers for either model.

To all that measures one, a Transformer is a ``Seq2Seq`` here: it has ``values``, ``merge`` and
``readout``, and one decoder layer, so that cross-attention at step t reaches no other step. Then
the lexical probe is again ``readout(s_t, V h_l)``.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lessons_lib import models, probes, training
from lessons_lib.lab import copying
from lessons_lib.lab.copying import SMALL, CopyingConfig, extended
from lessons_lib.tasks import Batch


@dataclass(frozen=True)
class OptimizedConfig(CopyingConfig):
    """A copying run with Adam, or with SGD without momentum; ``learning_rate`` is its own."""

    optimizer: Literal["adam", "sgd"] = "adam"

    @property
    def schedule(self) -> training.TrainConfig:
        """How long and how fast it trains, and when it stops."""
        return replace(super().schedule, optimizer=self.optimizer)

    def measure(self, model: models.Seq2Seq, batch: Batch) -> dict[str, float]:
        """The metrics of ``copying.measure_copier``, ``probe_accuracy`` and ``follows_probe``.

        The latter are how often the lexical probe is largest at the right position, and how often
        mean attention is where the probe is. If it follows the probe and not the right position,
        the encoder has moved the words, which ``outcomes.of_runs`` calls elimination.
        """
        probed = batch[: copying.PROBED]
        gold = copying.word_positions(probed)
        beta = probes.lexical_probe(model, probed, scale="log_probability")
        with probes.evaluating(model):
            alpha = model(probed).attention
        best = beta.argmax(-1).masked_fill(gold < 0, -1)
        return {
            **super().measure(model, batch),
            "probe_accuracy": probes.attention_accuracy(beta, gold),
            "follows_probe": probes.attention_accuracy(alpha, best),
        }


@dataclass(frozen=True)
class TransformerConfig(OptimizedConfig):
    """A copying run of a Transformer; what it has no use for keeps its default."""

    #: of self-attention; without, a state is its word and its position, nothing of neighbours
    encoder_layers: int = 0

    @property
    def model(self) -> models.Seq2SeqConfig:
        """What the Transformer shares with the recurrent encoder-decoder."""
        most = self.length + self.end_symbol
        return replace(super().model, merge="concatenate", scaled_scores=True, max_length=most)

    def build(self, seed: int) -> "Transformer":
        """The Transformer before training."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return Transformer(self.model, self.encoder_layers)


class Transformer(models.Seq2Seq):
    """Encoder of n layers, decoder of one layer, learned positions, normalised before each part.

    With ``x_t`` the embedding of the word before plus that of the position, and head ``k``::

        s_t = x_t + selfattention(norm(x))_t          over the steps up to t
        h   = norm(encoder(embedding + position))
        a_{t,l} = Q_k norm(s_t) . K_k h_l / sqrt(d_head)      alpha_{t,l} = softmax_l(a_{t,l})
        u_t = s_t + O [c_1; ...; c_H]                 c_k = sum_l alpha_{t,l} V_k h_l
        p_t = softmax(output(norm(u_t + feedforward(norm(u_t)))))

    ``decoder_states`` are ``s``. Only cross-attention is spelt out: its weights are replaced in
    interventions, and its logits are returned.
    """

    def __init__(self, config: models.Seq2SeqConfig, encoder_layers: int = 0) -> None:
        nn.Module.__init__(self)  # that of Seq2Seq would build recurrent networks
        self.config = config
        d, heads = config.d_hidden, config.heads
        self.source_embedding = nn.Embedding(config.source_vocab, d)
        self.target_embedding = self.source_embedding
        if not config.shared_embeddings:
            self.target_embedding = nn.Embedding(config.target_vocab, d)
        self.dropout = nn.Dropout(0.0)
        self.source_position = nn.Embedding(config.max_length, d)
        self.target_position = nn.Embedding(config.max_length, d)
        layer = partial(nn.TransformerEncoderLayer, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder_layers = nn.ModuleList(layer(d, heads, 4 * d) for _ in range(encoder_layers))
        self.encoder_norm, self.self_norm = nn.LayerNorm(d), nn.LayerNorm(d)
        self.self_attention = nn.MultiheadAttention(d, heads, batch_first=True)
        self.query_norm = nn.LayerNorm(d)
        self.query, self.key = nn.Linear(d, d), nn.Linear(d, d)
        self.value, self.join = nn.Linear(d, d), nn.Linear(d, d)
        self.feedforward = nn.Sequential(
            nn.LayerNorm(d), nn.Linear(d, 4 * d), nn.ReLU(), nn.Linear(4 * d, d)
        )
        self.output = nn.Sequential(nn.LayerNorm(d), nn.Linear(d, config.written))
        self.register_buffer("column", models.output_columns(config), persistent=False)

    def encode(self, source: Tensor, mask: Tensor) -> tuple[Tensor, None]:
        """Encoder states h, ``(batch, src, d_hidden)``; nothing starts the decoder."""
        x = self.source_embedding(source) + self.source_position.weight[: source.shape[1]]
        for layer in self.encoder_layers:
            x = layer(x, src_key_padding_mask=~mask)
        return self.encoder_norm(x), None

    def decoder(self, embedded: Tensor, start: Any) -> tuple[Tensor, Any]:  # type: ignore[override]
        """Decoder states s from the words before, ``(batch, tgt, d_hidden)``."""
        tgt = embedded.shape[1]
        x = embedded + self.target_position.weight[:tgt]
        # Padding stands at the end, where no word sees it.
        later = torch.ones(tgt, tgt, dtype=torch.bool, device=x.device).triu(1)
        seen = self.self_norm(x)
        found, _ = self.self_attention(seen, seen, seen, attn_mask=later, need_weights=False)
        return x + found, start

    def scores(self, decoder_states: Tensor, encoder_states: Tensor, mask: Tensor) -> Tensor:
        """Logits a of cross-attention, ``(batch, heads, tgt, src)``; very negative at padding."""
        heads = self.config.heads
        queries = self.query(self.query_norm(decoder_states)).unflatten(-1, (heads, -1))
        keys = self.key(encoder_states).unflatten(-1, (heads, -1))
        scores: Tensor = torch.einsum("btkd,blkd->bktl", queries, keys) / keys.shape[-1] ** 0.5
        return scores.masked_fill(~mask[:, None, None, :], models.MINUS_INFINITY)

    def joined(self, decoder_states: Tensor, context: Tensor) -> Tensor:
        """u, ``(..., d_hidden)``, from s and the heads' contexts side by side."""
        return torch.add(decoder_states, self.join(context))

    def said(self, joined: Tensor) -> Tensor:
        """Logits of output words, ``(..., vocab)``, from u."""
        return self.by_identifier(self.output(joined + self.feedforward(joined)))


TRANSFORMER = extended(SMALL, TransformerConfig, learning_rate=2e-3, steps=600)
"""The small hard distribution for a Transformer: states that know one word and its position."""


def transformers() -> dict[str, TransformerConfig]:
    """Easy, hard and one spare word; several heads; states that carry neighbours."""
    near = replace(TRANSFORMER, encoder_layers=1)
    return {
        "easy": replace(TRANSFORMER, vocab=24),
        "hard": TRANSFORMER,
        "one-spare": replace(TRANSFORMER, vocab=17),
        "four-heads": replace(TRANSFORMER, heads=4),
        "easy-neighbours": replace(near, vocab=24),
        "hard-neighbours": near,
        "one-spare-neighbours": replace(near, vocab=17),
    }


def descents() -> dict[str, OptimizedConfig]:
    """Plain SGD on both models; Adam is in the other records."""
    sgd = {"optimizer": "sgd", "learning_rate": 1.0, "evaluate_every": 25}
    lstm = extended(SMALL, OptimizedConfig, **sgd, steps=1500)
    former = extended(SMALL, TransformerConfig, **sgd, steps=1000)
    return {
        "lstm-easy": replace(lstm, vocab=24),
        "lstm-hard": lstm,
        "transformer-easy": replace(former, vocab=24),
        "transformer-hard": former,
    }

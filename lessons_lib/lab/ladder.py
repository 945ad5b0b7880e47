"""From the LSTM copier to the reduced model, one part at a time: what makes elimination slow?

The reduced model has attention that is free by position and a table of words. The copier has also
states that carry neighbours, a decoder that remembers what it has written, attention that a network
predicts, and a readout. A *rung* is a copier in which some of these are taken away.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lessons_lib import models, training
from lessons_lib.lab.copying import SMALL, CopyingConfig, extended

START_SCALE = 0.1
"""Standard deviation of free attention logits and of free decoder states at the start."""


@dataclass(frozen=True)
class LadderConfig(CopyingConfig):
    """A copier with parts taken away; the defaults take nothing away. ``readout`` is one, too."""

    #: what attention fetches from a position: its encoder ``"states"``, which carry neighbours;
    #: ``"words"``: the state of the word if it stood alone; or ``"embeddings"``, which have no
    #: bounds as well. Where attention looks, and the decoder's start, comes from the states.
    reads: Literal["states", "words", "embeddings"] = "states"
    carry: float = 0.0  #: of no effect and always 0; records are known by their fields
    #: ``"recurrent"``, or ``"positions"``: a learned vector for each output step; knows no word
    decoder: Literal["recurrent", "positions"] = "recurrent"
    #: ``"predicted"`` from the states, or ``"free"``: logits ``A[t, l]`` that are parameters, the
    #: same for all inputs.
    attention: Literal["predicted", "free"] = "predicted"
    reads_state: bool = True  #: whether the readout sees the decoder state, or zeros in its place
    #: factor on the learning rate of the query, or of the free logits. Adam moves each of these by
    #: about its rate in a step; a query moves a logit by all its weights.
    attention_rate: float = 1.0

    def build(self, seed: int) -> "Rung":
        """A copier with parts taken away; what is left starts as in the whole copier."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = Rung(self)
        # What a rung has not, or has beside, stays.
        model.load_state_dict(super().build(seed).state_dict(), strict=False)
        return model

    def rate_factors(self, model: models.Seq2Seq) -> training.RateFactors:
        """``attention_rate`` for the query, or for the free logits."""
        free = getattr(model, "free", None)
        return [([*model.query.parameters()] if free is None else [free], self.attention_rate)]


class Rung(models.Seq2Seq):
    """A copier with the parts that a configuration leaves it.

    Where words or embeddings are read, ``encoder_states`` are twice as wide: first the state, which
    tells where to look, then what is read.
    """

    def __init__(self, config: LadderConfig) -> None:
        super().__init__(config.model)
        self.rung = config
        steps = config.length + config.end_symbol
        self.free: nn.Parameter | None = None  # attention logits, (heads, tgt, src)
        if config.attention == "free":
            self.free = nn.Parameter(START_SCALE * torch.randn(config.heads, steps, steps))
        if config.decoder == "positions":
            self.add_module("decoder", Positions(steps, config.width))

    def encode(self, source: Tensor, mask: Tensor) -> tuple[Tensor, Any]:
        """Encoder states, what is read beside them, and the decoder's start."""
        states, start = super().encode(source, mask)
        if self.rung.reads == "states":
            return states, start
        read = self.dropout(self.source_embedding(source))  # b l d
        if self.rung.reads == "words":
            alone, _ = self.encoder(read.flatten(0, 1).unsqueeze(1))  # each word as a sentence
            read = alone.view_as(states)
        return torch.cat([states, read], dim=-1), start

    def scores(self, decoder_states: Tensor, encoder_states: Tensor, mask: Tensor) -> Tensor:
        """Attention logits a, ``(batch, heads, tgt, src)``; very negative at padding."""
        if self.free is None:
            return super().scores(decoder_states, encoder_states[..., : self.rung.width], mask)
        free = self.free[:, : decoder_states.shape[1], : mask.shape[1]]
        return free.where(mask[:, None, None, :], models.MINUS_INFINITY)

    def values(self, encoder_states: Tensor) -> Tensor:
        """Each head's value of what is read at each position, ``(batch, heads, src, d_hidden)``."""
        return super().values(encoder_states[..., -self.rung.width :])

    def joined(self, decoder_states: Tensor, context: Tensor) -> Tensor:
        """First layer of the readout, ``(..., hidden)``, of the context, and of s if it is seen."""
        seen = decoder_states if self.rung.reads_state else torch.zeros_like(decoder_states)
        return super().joined(seen, context)


class Positions(nn.Module):
    """A decoder that knows which output step it is at, and nothing else."""

    def __init__(self, steps: int, width: int) -> None:
        super().__init__()
        self.states = nn.Parameter(START_SCALE * torch.randn(steps, width))

    def forward(self, embedded: Tensor, start: Any) -> tuple[Tensor, Any]:
        """One state for each output step, ``(batch, tgt, d_hidden)``, whatever the words are."""
        batch, tgt, _ = embedded.shape
        return self.states[:tgt].expand(batch, -1, -1), start


RUNG = extended(SMALL, LadderConfig, steps=1000, evaluate_every=5)
"""The small hard distribution, nothing taken away yet."""


def rungs() -> dict[str, LadderConfig]:
    """From the copier to the reduced model, one part at a time."""
    free = replace(RUNG, attention="free", attention_rate=25.0)
    bare = replace(free, decoder="positions", reads_state=False, readout="linear")
    return {
        "copier": RUNG,
        "words-read": replace(RUNG, reads="words"),
        "free": free,
        "free-words-read": replace(free, reads="words"),
        "free-no-memory": replace(free, decoder="positions"),
        "free-linear-readout": replace(free, readout="linear"),
        "reduced": replace(bare, reads="embeddings"),
        "reduced-with-neighbours": bare,
    }


def local_query_rates() -> dict[str, LadderConfig]:
    """The query's learning rate where what is read knows one word only."""
    local = replace(RUNG, reads="words", evaluate_every=10)
    return {
        "query-rate-over-16": replace(local, attention_rate=1 / 16),
        "as-it-is": local,
        "query-rate-times-4": replace(local, attention_rate=4.0),
    }

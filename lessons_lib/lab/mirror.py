"""Mirror images: a head that starts at (Q, V), and one that starts at (-Q, -V).

Same norm, same class of functions, same data: only a sign of the start differs. In the plane of
chapter 6 the first lies at (a, b) and the second at (-a, -b), so one of the two is on the side that
aligns. Registered in ``registered/2026-11-28-mirror-images.md``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from lessons_lib import models
from lessons_lib.lab import heads
from lessons_lib.lab.copying import SMALL, CopyingConfig, extended

Turned = Literal["both", "query", "value"]
Pair = Literal["random", "identical", "both", "query", "value"]


@dataclass(frozen=True)
class PairConfig(CopyingConfig):
    """A copier with two heads, the second of which depends on the first."""

    heads: int = 2
    #: the second is as drawn (``"random"``), ``"identical"``, or the image of the first with
    #: ``"both"`` projections turned over (antithetic), or the ``"query"`` or ``"value"``
    pair: Pair = "random"

    def build(self, seed: int) -> models.Seq2Seq:
        """The copier with the second head made from the first."""
        model = super().build(seed)
        pair_up(model, self.pair)
        return model


@dataclass(frozen=True)
class TurnedConfig(heads.HeadsConfig):
    """A copier from heads that are neither tied nor have a hidden layer."""

    turned: bool = False  #: whether each starts at minus what its seed says

    def assemble(self, head_seeds: Sequence[int]) -> models.Seq2Seq:
        """As ``HeadsConfig.assemble``, with the sign of query and value."""
        model = super().assemble(head_seeds)
        if self.turned:
            turn_over(model, slice(None))
        return model


def turn_over(model: models.Seq2Seq, head: int | slice, what: Turned = "both") -> None:
    """Change the sign of a head's projections, weights and biases, in place."""
    parts = heads.by_head(model)  # two of the query, two of the value
    for weights in {"both": parts, "query": parts[:2], "value": parts[2:]}[what]:
        weights[head].neg_()


def pair_up(model: models.Seq2Seq, pair: Pair) -> None:
    """Make the second of two heads, whose contexts are averaged, from the first, in place."""
    if pair == "random":
        return
    for weights in heads.by_head(model):
        weights[1] = weights[0]
    if pair != "identical":
        turn_over(model, 1, pair)


PAIRS = extended(SMALL, PairConfig, heads=2, steps=600)
"""Two heads on the small hard distribution."""
MAIN_PAIRS: tuple[Pair, ...] = ("random", "identical", "both")
"""Those that are compared outside the small copiers, too."""


def called(pair: Pair) -> str:
    """What a kind of pair is called in the names of arms."""
    return "antithetic" if pair == "both" else pair


def pairs() -> dict[str, PairConfig]:
    """Kinds of pairs, both cells, no spare word and one."""
    gru = replace(PAIRS, cell="gru", shared_embeddings=False)
    return {
        f"{base.cell}-{called(pair)}-V-{vocab}": replace(base, pair=pair, vocab=vocab)
        for base in (PAIRS, gru)
        for vocab in (16, 17)
        for pair in get_args(Pair)
    }


def turned_heads(
    one_head: heads.HeadsConfig, orders: Sequence[int] = (2001, 2002, 2003)
) -> dict[str, TurnedConfig]:
    """Single heads as they are and turned over, with new orders of the data."""
    return {
        f"{'turned' if turned else 'as-it-is'}-order-{order}": extended(
            one_head, TurnedConfig, data_seed=order, turned=turned
        )
        for order in orders
        for turned in (False, True)
    }


def turned_models() -> dict[str, TurnedConfig]:
    """Models of eight heads: bad ones, the same turned over, random ones."""
    poor = extended(heads.ONE_HEAD, TurnedConfig, heads=8, pool=heads.BAD_HEADS, drawn=8)
    return {
        "eight-bad": poor,
        "eight-bad-turned": replace(poor, turned=True),
        "eight-random": replace(poor, pool=tuple(range(1, 65))),
    }

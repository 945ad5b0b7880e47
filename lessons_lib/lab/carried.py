"""Do mirror images carry over? Heads of a Transformer, and a task whose outputs are no copies.

A Transformer's head writes ``O V h`` and looks by ``(Q s) . (K h)``: products of two matrices. Its
mirror image changes the sign of each *product*: of Q or K, and of V or O. Which of the two makes no
difference, not even in training: to change both factors turns over their gradients, too, and so
changes nothing. Registered in ``registered/2026-11-29-carried.md``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, get_args

import torch
from torch import Generator, Tensor
from torch.nn.functional import pad

from lessons_lib import models
from lessons_lib.lab import transformer
from lessons_lib.lab.copying import extended
from lessons_lib.lab.mirror import MAIN_PAIRS, Pair, called
from lessons_lib.tasks import EOS, FIRST_WORD, Batch, Copying


@dataclass(frozen=True)
class Ranking(Copying):
    """Where does the first word of the vocabulary stand, the second, and so on?

    Output t is the position of the t-th smallest word of the input, as a word of its own
    (``FIRST_WORD`` plus the position). At V = L all inputs have the same words and the same
    outputs, so that co-occurrence says nothing.
    """

    def sample(self, batch: int, seed: int | Generator) -> Batch:
        """Draw inputs as ``Copying`` does; ``target`` and ``gold`` are their order."""
        drawn = super().sample(batch, seed)
        gold = drawn.source[:, : self.length].argsort(dim=1, stable=True)
        target, end = gold + FIRST_WORD, (0, int(self.end_symbol))
        return Batch(drawn.source, pad(target, end, value=EOS), pad(gold, end, value=self.length))


@dataclass(frozen=True)
class CarriedConfig(transformer.TransformerConfig):
    """A Transformer the second half of whose heads depends on the first; their number is even."""

    heads: int = 2
    pair: Pair = "random"  #: as in ``mirror.PairConfig``, for each head of the first half
    ranked: bool = False  #: whether the task is ``Ranking`` in place of copying

    @property
    def task(self) -> Copying:
        """The distribution of inputs and outputs."""
        kind = Ranking if self.ranked else Copying
        return kind(self.vocab, self.length, end_symbol=self.end_symbol)

    def build(self, seed: int) -> transformer.Transformer:
        """The Transformer with the second half of its heads made from the first."""
        model = super().build(seed)
        if self.pair == "random":
            return model
        for name in ("query", "key", "value"):
            sign = -1 if name != "key" and self.pair in ("both", name) else 1
            for weights in getattr(model, name).parameters():
                first, second = weights.detach().chunk(2)
                second.copy_(sign * first)
        first, second = model.join.weight.detach().chunk(2, dim=1)  # one bias for all heads
        second.copy_(first)
        return model


@dataclass(frozen=True)
class ControlledConfig(CarriedConfig):
    """The same with the second half of the heads held at its start, or all heads put back to it."""

    frozen: bool = False  #: whether the second half of the heads stays as it starts
    reset_at: int = 0  #: updates after which heads alone get their start back; 0: they do not

    def build(self, seed: int) -> transformer.Transformer:
        """The same, with the second half of the heads without a gradient if it is ``frozen``."""
        model = super().build(seed)
        for weight, axis in _of_heads(model) if self.frozen else ():
            free = torch.ones_like(weight)
            free.chunk(2, axis)[1].zero_()
            weight.register_hook(free.mul)
        return model

    def inputs(self, seed: int, model: models.Seq2Seq) -> Iterator[Batch]:
        """Those of the seed; at ``reset_at`` heads are put back."""
        weights = [weight for weight, _ in _of_heads(model)]
        start = [weight.detach().clone() for weight in weights]
        for step, batch in enumerate(super().inputs(seed, model)):
            if 0 < step == self.reset_at:
                for weight, value in zip(weights, start, strict=True):
                    weight.data.copy_(value)
            yield batch


def _of_heads(model: Any) -> list[tuple[Tensor, int]]:
    """Weights of heads, each with the axis that runs over them: all but the bias of ``join``."""
    parts = (model.query, model.key, model.value)
    return [*((w, 0) for part in parts for w in part.parameters()), (model.join.weight, 1)]


def controlled() -> dict[str, ControlledConfig]:
    """Two random heads and two antithetic ones, the second held, or both put back at step 20."""
    two = extended(transformer.TRANSFORMER, ControlledConfig, heads=2)
    kinds = {"frozen": replace(two, frozen=True), "reset": replace(two, reset_at=20)}
    return {
        f"two-{called(pair)}-{kind}": replace(base, pair=pair)
        for kind, base in kinds.items()
        for pair in ("random", "both")
    }


def carried() -> dict[str, CarriedConfig]:
    """Two and four heads that copy; two heads that rank."""
    two = extended(transformer.TRANSFORMER, CarriedConfig, heads=2)
    ranking = replace(two, ranked=True, shared_embeddings=False)
    bases = {"two": two, "four": replace(two, heads=4), "ranking": ranking}
    return {
        f"{name}-{called(pair)}": replace(base, pair=pair)
        for name, base in bases.items()
        for pair in (get_args(Pair) if name == "two" else MAIN_PAIRS)
    }

"""Two heads in a translator of captions: does a mirror image beside a head shorten the lag?

The heads' contexts are averaged, and so is the attention that is measured. Registered in
``registered/2026-11-29-translators.md``.
"""

import time
from dataclasses import dataclass

from lessons_lib import training
from lessons_lib.lab import blocks, translation
from lessons_lib.lab.mirror import MAIN_PAIRS, Pair, called, pair_up


@dataclass(frozen=True)
class PairTranslation(translation.Translation):
    """A translator with two heads; one seed is one run, so ``runs`` has no effect."""

    heads: int = 2
    pair: Pair = "random"  #: as in ``mirror.PairConfig``

    def __post_init__(self) -> None:
        if self.heads != 2:
            raise ValueError(f"expected two heads, found {self.heads}")


def run_translated(config: PairTranslation, seed: int) -> training.History:
    """Train one translator with a pair of heads.

    At each checkpoint on held-out pairs ``accuracy``, ``spread`` of attention, ``ktiw/gold`` and
    ``attention/gold``, see ``translation.judged``; at the last those of ``blocks.lag``.
    """
    began = time.perf_counter()
    ready = translation.load_pairs(config)
    _, run, _ = translation.train_translator(
        config, ready, "learned", seed, prepare=lambda model: pair_up(model, config.pair)
    )
    curves = translation.judged(ready.held_out, run, {}, ready.gold)
    curves |= {"accuracy": run.performance, "spread": blocks.spreads(ready.held_out, run)}
    found = blocks.lag(run.steps, curves["ktiw/gold"], curves["attention/gold"])
    return blocks.ended(blocks.as_rows(run.steps, {**curves, **found}), config.steps, began)


def translated() -> dict[str, PairTranslation]:
    """German captions to English: what the second head is to the first."""
    return {called(pair): PairTranslation(pair=pair) for pair in MAIN_PAIRS}

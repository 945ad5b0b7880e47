"""What ``tools/bench.py`` measures in the browser: steps of the playground, and the reference's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from statistics import median
from typing import Any

import torch
from playground_page import CHROMIUM, NO_CHROMIUM, playground_script

from lessons_lib.theory.reduced_model import ReducedConfig, train_reduced

HEADS = (1, 8)
CONFIG = ReducedConfig(vocab=10, length=10, steps=300, evaluate_every=300)
IN_BROWSER = """
  const { DEFAULTS } = await import("/playground/settings.js");
  const { Run } = await import("/playground/run.js");
  const { vocab, length, heads } = given;
  const run = new Run({ ...DEFAULTS, vocab, length, heads });
  const began = performance.now();
  run.advance(given.steps);
  return (1000 * given.steps) / (performance.now() - began);
"""


def reference_rate(config: ReducedConfig) -> float:
    """Steps a second of ``train_reduced`` with a single seed."""
    began = time.perf_counter()
    train_reduced(config, [0])
    return config.steps / (time.perf_counter() - began)


@contextmanager
def one_thread() -> Iterator[None]:
    """As in the browser; more would not help sizes as small as these."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def rates(heads: int, run: Any, rounds: int = 5) -> tuple[float, float]:
    """Median steps a second in Chromium and of the reference, in turns; the first warms up."""
    config = replace(CONFIG, heads=heads)
    given = {"vocab": config.vocab, "length": config.length, "heads": heads, "steps": config.steps}
    pairs = [(float(run(IN_BROWSER, given)), reference_rate(config)) for _ in range(rounds + 1)]
    browser, reference = (median(column) for column in zip(*pairs[1:], strict=True))
    return browser, reference


def bench_playground() -> None:
    """One run of the reduced model with one head and with several."""
    print(f"playground, V = L = {CONFIG.vocab}, batch {CONFIG.batch_size}, one run at a time")
    if find_spec("playwright") is None:
        print("  left out: playwright is not installed")
        return
    if CHROMIUM is None:
        print(f"  left out: {NO_CHROMIUM}")
        return
    with playground_script() as run, one_thread():
        for heads in HEADS:
            browser, reference = rates(heads, run)
            print(
                f"  {heads} head{'s' if heads > 1 else ' '} in Chromium {browser:6.0f} steps/s, "
                f"reference {reference:6.0f} steps/s   ratio {browser / reference:.1f}"
            )


if __name__ == "__main__":
    bench_playground()

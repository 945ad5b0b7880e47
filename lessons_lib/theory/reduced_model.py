"""The smallest model that learns to copy: free attention and a table of words, no network.

This *reduced model* is the bridge between ``phase_portrait`` and the LSTM. Head k of a run has
attention logits by position ``A_k`` and a table ``B_k`` of what each input word speaks for. Many
runs are trained at once, to copy, on fresh inputs, from random starts. In shapes ``runs`` are one
for each seed, ``tgt`` and ``src`` are L, ``vocab`` is V, and ``checks`` are the steps at which runs
were measured.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import one_hot

from lessons_lib.config import Configuration, check_fields
from lessons_lib.tasks import FIRST_WORD, HELD_OUT_SEED, Copying, generator
from lessons_lib.theory.phase_portrait import check_sizes

Array = NDArray[np.float64]
Branch = Literal["aligned", "elimination", "undecided"]

MEASURED = 64
"""How many held-out inputs there are."""
_AHEAD = 16
"""Batches drawn at once for each run: fewer calls. Part of what a seed means: do not change it."""


@dataclass(frozen=True)
class ReducedConfig(Configuration):
    """What defines a run of the reduced model but its seed."""

    vocab: int = 10  #: V, different words
    length: int = 10  #: L, words in an input, from 2 to ``vocab``
    heads: int = 1  #: H, attention heads
    batch_size: int = 32  #: fresh inputs at each step
    learning_rate: float = 10.0  #: on the mean loss over output words
    optimizer: Literal["sgd", "adam"] = "sgd"  #: without momentum, as in the theory, or Adam
    steps: int = 500  #: updates
    evaluate_every: int = 25  #: steps; the first and the last are always evaluated
    start_scale: float = 0.1  #: standard deviation of the normal entries of A and B at the start
    start_a: float = 0.0  #: added to the diagonal of every A at the start
    start_b: float = 0.0  #: added to the diagonal of every B at the start

    def __post_init__(self) -> None:
        check_sizes(self.vocab, self.length)
        check_fields(self, "heads", "batch_size", "evaluate_every")


@dataclass(frozen=True)
class ReducedRuns:
    """What became of some runs of one configuration, measured on held-out inputs."""

    config: ReducedConfig
    seeds: tuple[int, ...]  #: of the runs, in their order
    steps: NDArray[np.int64]  #: updates made at each evaluation, ``(checks,)``
    loss: Array  #: nats for each output word, ``(runs, checks)``
    token_accuracy: Array  #: share of words that have the highest logit, ``(runs, checks)``
    right_attention: Array  #: mean attention on the right position, ``(runs, checks, heads)``
    lead_a: Array  #: mean diagonal minus mean off-diagonal of A, a of the theory, the same shape
    lead_b: Array  #: the same of B, b of the theory

    def branches(self) -> tuple[Branch, ...]:
        """Where each run looks at the end.

        ``"aligned"`` if at least half of some head's attention is on the right position,
        ``"elimination"`` if every head's is below chance, 1/L; else ``"undecided"``, as early on.
        """
        best = self.right_attention[:, -1].max(axis=1)
        sides = [best >= 0.5, best < 1 / self.config.length]
        return tuple(np.select(sides, ["aligned", "elimination"], "undecided").tolist())


def reduced_logits(attention_logits: Tensor, table: Tensor, words: Tensor) -> Tensor:
    """Logits of the copy: ``mean_k sum_l softmax(A_k[t])_l B_k[x_l, :]``.

    From A, ``(runs, heads, tgt, src)``, B, ``(runs, heads, vocab, vocab)``, from input word to
    output word, and words x from 0, int64 ``(runs, batch, src)``, where runs may be 1 for all
    alike, to ``(runs, batch, tgt, vocab)``.
    """
    runs, heads, length, _ = attention_logits.shape
    vocab = table.shape[-1]
    # One product with one-hot words in place of a gather: several times faster backwards.
    hot = one_hot(words.transpose(1, 2), vocab).to(table.dtype)  # r l n v
    spoken = hot.reshape(len(words), 1, -1, vocab) @ table  # r k ln v
    alpha = attention_logits.softmax(-1)
    mixed = alpha @ spoken.reshape(runs, heads, length, -1)  # r k t nv
    return mixed.mean(1).reshape(runs, length, -1, vocab).transpose(1, 2)


def reduced_losses(logits: Tensor, words: Tensor) -> Tensor:
    """Cross-entropy of copying in nats for each run, the mean over output words, ``(runs,)``."""
    gold = words.expand(len(logits), -1, -1).unsqueeze(-1)
    return -logits.log_softmax(-1).gather(-1, gold).mean(dim=(1, 2, 3))


def train_reduced(config: ReducedConfig, seeds: Sequence[int]) -> ReducedRuns:
    """Train one run for each seed, side by side: the seed alone sets its start and its inputs."""
    rngs = [generator(seed) for seed in seeds]
    # Double precision: next to the saddle rounding errors would grow as everything else does.
    starts = [_start(config, rng) for rng in rngs]
    a, b = (torch.stack(parts).requires_grad_() for parts in zip(*starts, strict=True))
    maker = torch.optim.SGD if config.optimizer == "sgd" else torch.optim.Adam
    optimizer = maker([a, b], lr=config.learning_rate)
    held_out = _words(config, MEASURED, HELD_OUT_SEED).unsqueeze(0)
    steps, rows = [0], [_measure(a, b, held_out)]
    for step, words in enumerate(_batches(config, rngs), start=1):
        optimizer.zero_grad()
        # The sum, so that a run's gradient is its own whatever the number of runs.
        reduced_losses(reduced_logits(a, b, words), words).sum().backward()
        optimizer.step()
        if step % config.evaluate_every == 0 or step == config.steps:
            steps.append(step)
            rows.append(_measure(a, b, held_out))
    series = [np.stack(column, axis=1) for column in zip(*rows, strict=True)]
    return ReducedRuns(config, tuple(seeds), np.array(steps), *series)


def _start(config: ReducedConfig, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """A and B of one run: ``(heads, tgt, src)`` and ``(heads, vocab, vocab)``."""

    def draw(size: int, lead: float) -> Tensor:
        noise = torch.randn(config.heads, size, size, generator=rng, dtype=torch.float64)
        return config.start_scale * noise + lead * torch.eye(size, dtype=torch.float64)

    return draw(config.length, config.start_a), draw(config.vocab, config.start_b)


def _words(config: ReducedConfig, inputs: int, seed: int | torch.Generator) -> Tensor:
    """Inputs without the end symbol, words counted from 0, ``(inputs, src)``."""
    task = Copying(vocab=config.vocab, length=config.length, end_symbol=False)
    return task.sample(inputs, seed).source - FIRST_WORD


def _batches(config: ReducedConfig, rngs: Sequence[torch.Generator]) -> Iterator[Tensor]:
    """A batch for each step, ``(runs, batch, src)``, each run's from its own generator."""
    for done in range(0, config.steps, _AHEAD):
        drawn = torch.stack([_words(config, _AHEAD * config.batch_size, rng) for rng in rngs])
        yield from drawn.split(config.batch_size, dim=1)[: config.steps - done]


@torch.no_grad()
def _measure(a: Tensor, b: Tensor, words: Tensor) -> tuple[Array, ...]:
    """The measured fields of ``ReducedRuns`` at one step, in their order, runs first."""
    logits = reduced_logits(a, b, words)
    right = (logits.argmax(-1) == words).double().mean(dim=(1, 2))
    attention = a.softmax(-1).diagonal(dim1=-2, dim2=-1).mean(-1)
    found = (reduced_losses(logits, words), right, attention, _lead(a), _lead(b))
    return tuple(value.numpy() for value in found)


def _lead(square: Tensor) -> Tensor:
    """Mean diagonal minus mean off-diagonal of the last two axes, which are equally long."""
    size = square.shape[-1]
    above_mean = square.diagonal(dim1=-2, dim2=-1).mean(-1) - square.mean(dim=(-2, -1))
    return above_mean * size / (size - 1)

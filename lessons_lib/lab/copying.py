"""The copying experiment: a run from a seed, and what is measured. Inputs are made by ``tasks``."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any, Literal, TypeVar

import torch

from lessons_lib import models, probes, training
from lessons_lib.config import Configuration, check_fields
from lessons_lib.lab.outcomes import COPIES
from lessons_lib.tasks import BOS, EOS, HELD_OUT_SEED, PAD, UNK, Batch, Copying

FORK_SEED = 2**30
"""Added to the seed of the inputs after a fork, so that no fork gets those of an ordinary run."""
PROBED = 16
"""Inputs on which the lexical probe is taken: it costs tgt * src readouts for each."""


@dataclass(frozen=True)
class CopyingConfig(Configuration):
    """What defines a copying run but its seed. The defaults are the authors' hard distribution."""

    vocab: int = 40  #: V, different words
    length: int = 40  #: L, words in an input
    end_symbol: bool = True
    cell: Literal["lstm", "gru"] = "lstm"  #: this and what is not explained: ``Seq2SeqConfig``
    heads: int = 1
    dead_words: int = 1  #: output words that never occur; the authors' one is the start symbol
    width: int = 256
    shared_embeddings: bool = True
    readout: Literal["tanh", "linear"] = "tanh"
    query_scale: float = 1.0  #: factor on the query's initial weights; 0: exactly uniform
    value_scale: float = 1.0  #: factor on the values' initial weights; 0: no lexical probe
    batch_size: int = 128
    learning_rate: float = 1e-3
    steps: int = 400  #: updates at most
    evaluate_every: int = 10
    stop_at: float = COPIES  #: a run stops earlier at this token accuracy
    measured: int = 64  #: held-out inputs
    bfloat16: bool = False  #: as in ``training.TrainConfig``

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def task(self) -> Copying:
        """The distribution of inputs."""
        return Copying(self.vocab, self.length, end_symbol=self.end_symbol)

    @property
    def held_out(self) -> Batch:
        """The inputs on which every run is measured."""
        return self.task.sample(self.measured, HELD_OUT_SEED).to(training.pick_device())

    @property
    def model(self) -> models.Seq2SeqConfig:
        """The encoder-decoder; with one dead word V + 2 output words, as in the authors' code."""
        never = (PAD, UNK, *(() if self.end_symbol else (EOS,)))
        size = self.task.vocab_size + max(self.dead_words - 1, 0)
        return models.Seq2SeqConfig(
            *(size, size, self.width, self.width),
            never_written=never if self.dead_words else (*never, BOS),
            **{k: getattr(self, k) for k in ("cell", "heads", "shared_embeddings", "readout")},
        )

    @property
    def schedule(self) -> training.TrainConfig:
        """How long and how fast it trains, and when it stops."""
        shared = ("steps", "learning_rate", "evaluate_every", "stop_at", "bfloat16")
        return training.TrainConfig(
            also_evaluate=(1, 2, 3, 5, 7),
            stop_metric="token_accuracy",
            **{name: getattr(self, name) for name in shared},
        )

    def build(self, seed: int) -> models.Seq2Seq:
        """The model of a run, before training."""
        model = models.build(self.model, seed)
        with torch.no_grad():
            for layer, scale in ((model.query, self.query_scale), (model.value, self.value_scale)):
                for weights in layer.parameters():
                    weights.mul_(scale)
        return model

    def inputs(self, seed: int, model: models.Seq2Seq) -> Iterator[Batch]:
        """What the model is trained on; some kinds change it on the way."""
        return self.task.stream(self.batch_size, seed)

    def rate_factors(self, model: models.Seq2Seq) -> training.RateFactors:
        """Factors on the learning rate of some weights, as in ``training.train``."""
        return ()

    def measure(self, model: models.Seq2Seq, batch: Batch) -> dict[str, float]:
        """What is measured at each evaluation."""
        return measure_copier(model, batch)

    def examine(self, model: models.Seq2Seq, batch: Batch) -> dict[str, float]:
        """What is measured once, at the last step."""
        return intervene(model, self.task, batch)


Settings = TypeVar("Settings", bound=Configuration)
Measure = Callable[[models.Seq2Seq, Batch], dict[str, float]]


def extended(base: Configuration, kind: type[Settings], **changes: Any) -> Settings:
    """A configuration of another kind with the fields of one, and changes."""
    return kind.from_dict({**base.to_dict(), **changes})


@dataclass(frozen=True)
class ForkedConfig(CopyingConfig):
    """The run of ``start_seed`` that goes on with other inputs after ``fork_at`` updates."""

    start_seed: int = 1
    fork_at: int = 0

    def build(self, seed: int) -> models.Seq2Seq:
        """The model of ``start_seed``, whatever the seed is."""
        return super().build(self.start_seed)

    def inputs(self, seed: int, model: models.Seq2Seq) -> Iterator[Batch]:
        """Those of ``start_seed``, and from the fork on those of the seed."""
        common = super().inputs(self.start_seed, model)
        return chain(islice(common, self.fork_at), super().inputs(FORK_SEED + seed, model))


def measure_copier(model: models.Seq2Seq, batch: Batch) -> dict[str, float]:
    """What a copier can do and where it looks, on held-out inputs; the end symbol does not count.

    Returns:
        ``token_accuracy``: share of words copied right. ``accuracy_with_end``: of all output
        tokens, as the authors count. ``attention_accuracy``: how often the heads' mean attention is
        largest at the right position. ``right_mass``: that attention there, 1/src when uniform.
        ``margin``: the lexical probe in nats at the right position less its mean over positions.
        ``held_out_loss``: cross-entropy in nats. With several heads also ``head0/right_mass``,
        ``head0/attention_accuracy`` and ``head0/margin`` (this head alone is moved) and so on.
    """
    gold = word_positions(batch)
    words = gold >= 0
    with probes.evaluating(model):
        out = model(batch)
    there = out.attention.take_along_dim(gold.clamp(min=0)[:, None, :, None], -1)[..., 0]  # b k t
    by_head = [float(head[words].mean()) for head in there.unbind(1)]
    log_p = out.logits.log_softmax(-1).gather(-1, batch.target[..., None])
    found = {
        "token_accuracy": word_accuracy(out.logits.argmax(-1), batch),
        "accuracy_with_end": probes.token_accuracy(out.logits, batch),
        "attention_accuracy": probes.attention_accuracy(out.attention, gold),
        "right_mass": sum(by_head) / len(by_head),
        "margin": _margin(model, batch[:PROBED]),
        "held_out_loss": -float(log_p[words].mean()),
    }
    for k, mass in enumerate(by_head if len(by_head) > 1 else ()):
        found[f"head{k}/right_mass"] = mass
        at = probes.attention_accuracy(out.attention[:, k], gold)
        found[f"head{k}/attention_accuracy"] = at
        found[f"head{k}/margin"] = _margin(model, batch[:PROBED], head=k)
    return found


def _margin(model: models.Seq2Seq, batch: Batch, head: int | None = None) -> float:
    gold, mask = word_positions(batch), batch.source_mask[:, None, :]
    beta = probes.lexical_probe(model, batch, scale="log_probability", head=head)
    own = beta.gather(-1, gold.clamp(min=0)[..., None]).squeeze(-1)
    mean = beta.where(mask, 0).sum(-1) / mask.sum(-1)
    return float((own - mean)[gold >= 0].mean())


def intervene(model: models.Seq2Seq, task: Copying, batch: Batch) -> dict[str, float]:
    """Token accuracy of a trained copier with one thing changed: what does it use?

    Masked attention is scaled to sum to 1 again; where nothing is left it is uniform over the rest.

    Returns:
        ``accuracy/`` and what attention is replaced by: ``uniform``; ``right_only``: the right
        position alone; ``not_right``: own attention without it; ``not_before`` and ``not_after``:
        own attention without what is before (after) it. ``accuracy/other_source``: the encoder
        reads another input; ``accuracy/repeated``: words occur more than once.
    """
    gold = word_positions(batch)
    at = torch.arange(batch.source.shape[1], device=gold.device)
    right = gold.clamp(min=0)[..., None]  # b t 1; where there is none, nothing is counted
    kept = {"right_only": at == right, "not_right": at != right}
    kept |= {"not_before": at >= right, "not_after": at <= right}

    def accuracy(read: Batch, attention: torch.Tensor | None = None) -> float:
        return word_accuracy(model(read, attention=attention).logits.argmax(-1), read)

    with probes.evaluating(model):
        own = model(batch).attention
        found = {"uniform": accuracy(batch, torch.full_like(own, 1 / own.shape[-1]))}
        for name, allowed in kept.items():
            left = (own + 1e-12) * allowed[:, None]  # b k t l
            found[name] = accuracy(batch, left / left.sum(-1, keepdim=True))
        other = batch.source.roll(1, dims=0)
        found["other_source"] = accuracy(Batch(other, batch.target, batch.gold))
        repeated = replace(task, repetition=True).sample(len(batch), HELD_OUT_SEED)
        found["repeated"] = accuracy(repeated.to(gold.device))
    return {f"accuracy/{name}": value for name, value in found.items()}


def word_accuracy(said: torch.Tensor, batch: Batch) -> float:
    """Share of words, end symbols left out, that these identifiers, ``(batch, tgt)``, get right."""
    return float((said == batch.target)[word_positions(batch) >= 0].double().mean())


def word_positions(batch: Batch) -> torch.Tensor:
    """The right positions, ``(batch, tgt)``; -1 for the end symbol and padding."""
    if batch.gold is None:
        raise ValueError("expected a batch with gold positions, found none; sample it from a task")
    return batch.gold.masked_fill((batch.target == EOS) | ~batch.target_mask, -1)


def run_copying(config: CopyingConfig, seed: int) -> training.History:
    """One run of any kind of configuration, from the seed of its start and of its inputs."""
    return train_copier(config.build(seed), config, seed)


def train_copier(
    model: models.Seq2Seq,
    config: CopyingConfig,
    seed: int,
    measure: Measure | None = None,
    after: Measure | None = None,
) -> training.History:
    """Train a copier in place until it copies or its steps are over, then ask what it uses.

    The seed is that of inputs and dropout. Metrics on held-out inputs, and those after the last
    step, are those of the configuration unless they are given.
    """
    held_out, measure = config.held_out, measure or config.measure
    history = training.train(
        model,
        config.inputs(seed, model),
        models.sequence_loss,
        config.schedule,
        evaluate=lambda copier: measure(copier, held_out),
        seed=seed,
        rate_factors=config.rate_factors(model),
    )
    found = (after or config.examine)(model, held_out)
    rows = tuple({"step": history.steps, "metric": k, "value": v} for k, v in found.items())
    return replace(history, rows=history.rows + rows)


PAPER = CopyingConfig()
"""The authors' hard distribution; how it is measured otherwise, ``catalogue.toml`` says."""
SMALL = CopyingConfig(vocab=16, length=16, width=64, batch_size=32, learning_rate=4e-3, steps=500)
"""The same, small enough to be trained while one reads. Chosen on seeds from 1000 on."""


def odds() -> dict[str, CopyingConfig]:
    """The small hard distribution with one ingredient changed at a time."""
    changes: dict[str, dict[str, Any]] = {
        "as-it-is": {},
        "no-end-symbol": {"end_symbol": False},
        "separate-embeddings": {"shared_embeddings": False},
        "width-32": {"width": 32, "steps": 2000},
        "width-128": {"width": 128},
        "length-8": {"vocab": 8, "length": 8},
        "length-32": {"vocab": 32, "length": 32, "steps": 2000},
        "rate-1e-3": {"learning_rate": 1e-3, "steps": 2000},
        "rate-2e-3": {"learning_rate": 2e-3, "steps": 2000},
        "rate-8e-3": {"learning_rate": 8e-3},
        "batch-128": {"batch_size": 128},
        "uniform-start": {"query_scale": 0.0},
        "scores-times-4": {"query_scale": 4.0},
        "values-times-4": {"value_scale": 4.0},
        "linear-readout": {"readout": "linear"},
        "GRU": {"cell": "gru"},
    }
    return {arm: replace(SMALL, **change) for arm, change in changes.items()}


def forks(
    base: CopyingConfig = SMALL, at: Sequence[int] = (0, 10, 20, 40, 60)
) -> dict[str, ForkedConfig]:
    """The runs of eight seeds, each forked at several steps."""
    return {
        f"start-{start}-fork-{step}": extended(base, ForkedConfig, start_seed=start, fork_at=step)
        for start in range(1, 9)
        for step in at
    }


def several_heads() -> dict[str, CopyingConfig]:
    """Both cells with 1 to 8 heads."""
    return {
        f"{cell}-{count}": replace(SMALL, cell=cell, heads=count, steps=600)
        for cell in ("lstm", "gru")
        for count in (1, 2, 4, 8)
    }


def phases() -> dict[str, CopyingConfig]:
    """Spare words, length and width, all combined."""
    small = replace(SMALL, steps=1000)
    return {
        f"width-{w}-L-{n}-V-{n + spare}": replace(small, vocab=n + spare, length=n, width=w)
        for w in (32, 64, 128)
        for n in (8, 16, 32)
        for spare in (0, 1, 2, 4)
    }

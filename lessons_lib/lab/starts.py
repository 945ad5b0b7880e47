"""Does a copier's start tell, before any training, which branch its run will take?

Leads, their velocities and gains are measured at step 0, by autograd. A lead's velocity is its
gradient times the optimiser's step; Adam's is the gradient over the root of its mean square over
batches at the start. Gains are how velocities change where the weights are moved along the
optimiser's way to a larger lead.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import get_args

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from lessons_lib import models, training
from lessons_lib.lab import copying, heads, interventions, ladder, mirror, records, transformer
from lessons_lib.lab.copying import SMALL, CopyingConfig, extended, word_positions
from lessons_lib.lab.outcomes import of_runs
from lessons_lib.tasks import EOS, FIRST_WORD, Batch, generator
from lessons_lib.theory.odds import Odds, odds

START_SEED = 2**28
"""Added to the seed of the inputs on which a start is measured: no run trains from them."""
MOVED = 0.1
"""By how much each lead is moved, up and down, to see how the velocities change."""
NOISE_BATCHES, INPUTS, PROBED = 8, 128, 32
"""Batches of the run's size for the noise; inputs for each mean velocity; inputs for the leads."""


@dataclass(frozen=True)
class DeadConfig(CopyingConfig):
    """A copying run in which nothing has to be unlearned of dead words, if they are silenced."""

    silenced: bool = False  #: whether the output biases of dead words start at -20

    def build(self, seed: int) -> models.Seq2Seq:
        """The copier, its dead words silenced if the configuration says so."""
        model = super().build(seed)
        if self.silenced:
            alive = [*range(FIRST_WORD, FIRST_WORD + self.vocab), *([EOS] * self.end_symbol)]
            dead = torch.ones(model.config.written, dtype=torch.bool)
            dead[model.column[alive]] = False
            *_, bias = model.readout_layers.parameters()
            bias.detach()[dead] = -20.0
        return model


def dead_words() -> dict[str, DeadConfig]:
    """Words in the output layer that never occur; the last arm silences them."""
    base = extended(SMALL, DeadConfig)
    found = {f"dead-{count}": replace(base, dead_words=count) for count in (0, 3, 8, 16)}
    return {**found, "dead-16-silenced": replace(base, dead_words=16, silenced=True)}


def leads(model: models.Seq2Seq, batch: Batch) -> tuple[Tensor, Tensor]:
    """``(a, b)`` of a model with one head, scalars with a gradient.

    Means over output words: by how much the right position is ahead of the mean of all others, in
    attention logits (a), and in the logit of the right word if that position alone is read (b).
    """
    out = model(batch)
    gold, src = word_positions(batch), batch.source.shape[1]

    def lead(at: Tensor) -> Tensor:  # b t l
        own = at.gather(-1, gold.clamp(min=0)[..., None])[..., 0]
        return (own - (at.sum(-1) - own) / (src - 1))[gold >= 0].mean()

    shape = (-1, batch.target.shape[1], src, -1)
    read = model.merge(model.values(out.encoder_states))[:, None].expand(shape)
    logits = model.readout(out.decoder_states[:, :, None].expand(shape), read)
    right = batch.target[:, :, None, None].expand(*shape[:3], 1)
    return lead(out.scores[:, 0]), lead(logits.gather(-1, right).squeeze(-1))


def measure_start(
    model: models.Seq2Seq,
    draw: Callable[[int], Batch],
    batch_size: int,
    factors: Mapping[nn.Parameter, float],
    adam: bool,
) -> dict[str, float]:
    """Place, velocity and gains of a start with one head; the model is left as it was.

    Steps are Adam's or those of SGD, with batches of ``batch_size`` that ``draw`` makes, and with
    factors on the learning rates of some weights. The result has ``a``, ``b``; ``a'``, ``b'``,
    their velocities for a learning rate of 1; ``k/aa``, ``k/ab`` (of a' by b) and so on, the gains;
    ``s/aa``, ``s/ab`` and so on, the covariance of the velocity between batches.
    """
    weights = [p for p in model.parameters() if p.requires_grad]
    step = torch.cat([torch.full((p.numel(),), factors.get(p, 1.0)) for p in weights])

    def gradient(of: Tensor) -> Tensor:
        found = torch.autograd.grad(of, weights, retain_graph=True, materialize_grads=True)
        return nn.utils.parameters_to_vector(found)

    def slope_of_loss(inputs: Batch) -> Tensor:
        return gradient(models.sequence_loss(model, inputs))

    noisy = torch.stack([slope_of_loss(draw(batch_size)) for _ in range(NOISE_BATCHES)])
    if adam:
        step = step / (noisy.pow(2).mean(0).sqrt() + 1e-8)
    probe, inputs = draw(PROBED), draw(INPUTS)
    start = nn.utils.parameters_to_vector(weights).detach()

    def at(place: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Leads ``(2,)``, their gradients ``(weights, 2)`` and velocities ``(2,)``."""
        nn.utils.vector_to_parameters(place, weights)
        found = leads(model, probe)
        slopes = torch.stack([gradient(one) for one in found], dim=1)
        return torch.stack(found).detach(), slopes, -step * slope_of_loss(inputs) @ slopes

    lead, slopes, velocity = at(start)
    gains = []
    for slope in slopes.unbind(1):
        along = step * slope / (slope @ (step * slope))  # moves this lead by 1
        up, down = (at(start + by * along)[2] for by in (MOVED, -MOVED))
        gains.append((up - down) / (2 * MOVED))
    nn.utils.vector_to_parameters(start, weights)
    table = {"k": torch.stack(gains, dim=1), "s": torch.cov((-(noisy * step) @ slopes).T)}
    found = {"a": lead[0], "b": lead[1], "a'": velocity[0], "b'": velocity[1]}
    for name, (i, x), (j, y) in product(table, enumerate("ab"), enumerate("ab")):
        found[f"{name}/{x}{y}"] = table[name][i, j]
    return {name: float(value) for name, value in found.items()}


def run_start(config: CopyingConfig, seed: int) -> training.History:
    """``measure_start`` of the model that a run with this configuration and seed starts from."""
    began, model = time.perf_counter(), config.build(seed)
    factors = {weight: by for some, by in config.rate_factors(model) for weight in some}
    rng, adam = generator(START_SEED + seed), config.schedule.optimizer == "adam"
    draw = partial(config.task.sample, seed=rng)
    found = measure_start(model, draw, config.batch_size, factors, adam)
    rows = tuple({"step": 0, "metric": name, "value": value} for name, value in found.items())
    return training.History(rows, 0, False, time.perf_counter() - began, "cpu")


def run_followed(config: CopyingConfig, seed: int) -> training.History:
    """Train one start on three streams of inputs: ``stream0/a``, ``stream0/b`` and so on."""
    first = copying.FORK_SEED + 3 * seed
    runs = {f"stream{k}": (config.build(seed), first + k) for k in range(3)}
    return _followed(config, seed, runs)


def run_images(config: CopyingConfig, seed: int) -> training.History:
    """Train a head and its images on one stream of inputs: ``as-it-is/a``, ``as-it-is/b`` etc.

    Images are called ``both``, ``query`` and ``value``, by what is turned over in them.
    """
    runs = {name: (config.build(seed), seed) for name in ("as-it-is", *get_args(mirror.Turned))}
    for name in get_args(mirror.Turned):
        mirror.turn_over(runs[name][0], 0, name)
    return _followed(config, seed, runs)


def _followed(
    config: CopyingConfig, seed: int, runs: Mapping[str, tuple[models.Seq2Seq, int]]
) -> training.History:
    """Train models, each on the inputs of a seed of its own, and follow leads on one batch."""
    began, probe, rows = time.perf_counter(), config.task.sample(PROBED, START_SEED - 1), []
    schedule = replace(config.schedule, stop_metric=None)

    def where(copier: models.Seq2Seq) -> dict[str, float]:
        return {x: float(lead) for x, lead in zip("ab", leads(copier, probe), strict=True)}

    for name, (model, inputs) in runs.items():
        stream, loss = config.task.stream(config.batch_size, inputs), models.sequence_loss
        history = training.train(model, stream, loss, schedule, evaluate=where, seed=seed)
        of_leads = (row for row in history.rows if row["metric"] != "loss")
        rows += [{**row, "metric": f"{name}/{row['metric']}"} for row in of_leads]
    return replace(history, rows=tuple(rows), wall_seconds=time.perf_counter() - began)


def alike(frame: pd.DataFrame) -> pd.DataFrame:
    """Correlation over starts, in [-1, 1], of each image's leads with those of the head as it is.

    From the tidy rows of ``run_images``, one arm, by step: columns ``both/a``, ``both/b`` etc.
    """
    wide = frame.pivot(index=["step", "seed"], columns="metric", values="value")
    found = {}
    for name, x in product(get_args(mirror.Turned), "ab"):
        two = wide[[f"as-it-is/{x}", f"{name}/{x}"]]
        found[f"{name}/{x}"] = two.groupby("step").corr().iloc[::2, 1].droplevel(1)
    return pd.DataFrame(found)


def followed() -> dict[str, CopyingConfig]:
    """The first 40 updates of the LSTM, and of the GRU whose heads are sorted."""
    bases = {"lstm": SMALL, "gru": heads.ONE_HEAD}
    return {name: replace(base, steps=40, evaluate_every=5) for name, base in bases.items()}


def inherited(frame: pd.DataFrame, weights: tuple[float, float]) -> pd.DataFrame:
    """How much of ``u = weights . (a, b)`` is the start's, from rows of ``run_followed``, one arm.

    By step: ``share``, the intraclass correlation of u between streams of one start; 1: the start
    says all, 0: the inputs do.
    """
    index = ["step", "seed", "stream"]
    parts = frame["metric"].str.extract(r"(?P<stream>stream\d+)/(?P<lead>[ab])")
    wide = frame.join(parts).dropna().pivot(index=index, columns="lead", values="value")
    table = (wide["a"] * weights[0] + wide["b"] * weights[1]).unstack("stream")
    n = table.shape[1]
    between = n * table.mean(axis=1).groupby("step").var()
    within = table.var(axis=1).groupby("step").mean()
    return pd.DataFrame({"share": (between - within) / (between + (n - 1) * within)})


def sources() -> dict[str, tuple[CopyingConfig, tuple[str, str]]]:
    """What is foretold: the configuration, and experiment and arm of the runs to compare with."""
    sizes = product((32, 64, 128), (8, 16, 32), (0, 1))
    edge = [f"width-{w}-L-{n}-V-{n + spare}" for w, n, spare in sizes if not spare or w == 64]
    steps = "as-it-is", "rate-1e-3", "rate-8e-3", "scores-times-4", "values-times-4"
    rates = [f"query-rate-{by}" for by in ("over-16", "over-4", "times-4", "times-16")]
    tables: tuple[tuple[str, str, Mapping[str, CopyingConfig], Sequence[str]], ...] = (
        ("", "knife_edge", copying.phases(), edge),
        ("odds-", "odds", copying.odds(), (*steps, "linear-readout", "GRU")),
        ("", "dead_words", dead_words(), ()),
        ("words-read-", "local_query_rates", ladder.local_query_rates(), ()),
        ("transformer-", "transformers", transformer.transformers(), ("hard", "one-spare")),
        ("sgd-", "descents", transformer.descents(), ("lstm-hard", "transformer-hard")),
        ("", "query_rates", interventions.query_rates(), rates),
    )
    return {
        prefix + arm: (arms[arm], (name, arm))
        for prefix, name, arms, some in tables
        for arm in some or arms
    }


def starts() -> dict[str, CopyingConfig]:
    """The configurations of ``sources``."""
    return {arm: config for arm, (config, _) in sources().items()}


def foretold(frame: pd.DataFrame, rate: float) -> Odds:
    """``theory.odds.odds`` of the starts of one arm: gains, drive and noise are their means.

    From tidy rows with the metrics of ``measure_start``, and the learning rate of the runs.
    """
    wide = frame.pivot(index="seed", columns="metric", values="value")
    gains, noise = ([[wide[f"{name}/{x}{y}"].mean() for y in "ab"] for x in "ab"] for name in "ks")
    places = wide[["a", "b"]].to_numpy()
    drive = wide[["a'", "b'"]].mean().to_numpy() - np.array(gains) @ places.mean(0)
    return odds(places, gains, drive, noise, rate)


def compared() -> pd.DataFrame:
    """Foretold and measured shares, a row for each arm of ``sources``, from the records.

    ``foretold``: mean chance of the starts; ``aligned`` and ``n``: of the runs that took a branch;
    ``drive``, in units of the noise. Of the starts that are also runs: ``right``, how many took the
    likelier branch, ``of`` how many, of which ``up`` aligned; ``ahead``, in how many of the
    ``pairs`` of an aligned one and another the former had the larger u.
    """
    measured, rows = records.load("starts", "lesson"), {}
    for arm, (config, (name, other)) in sources().items():
        found = foretold(measured[arm].frame(), config.learning_rate)
        runs = records.load(name, "lesson")[other].frame()
        up = of_runs(runs).query("branch != 'undecided'")["branch"] == "aligned"
        both = pd.DataFrame({"chance": found.chance, "u": found.lead}, sorted(measured[arm].seeds))
        both = both.join(up, how="inner")
        took = both.pop("branch")
        ahead = both.u[took].to_numpy()[:, None] > both.u[~took].to_numpy()
        rows[arm] = {
            "foretold": found.chance.mean(),
            "aligned": int(up.sum()),
            "n": len(up),
            "drive": found.drive / found.noise,
            "right": int(((both.chance > 0.5) == took).sum()),
            "of": len(both),
            "up": int(took.sum()),
            "ahead": int(ahead.sum()),
            "pairs": ahead.size,
        }
    return pd.DataFrame(rows).T

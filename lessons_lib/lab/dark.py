"""Small questions of chapter 9: what carries words where nobody looks, and are heads tickets?"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import chi2
from torch.nn.functional import pad

from lessons_lib import models, probes, training
from lessons_lib.lab import copying
from lessons_lib.lab.decoding import translate
from lessons_lib.stats import Interval
from lessons_lib.tasks import PAD, Batch


def carriers(model: models.Seq2Seq, batch: Batch) -> dict[str, float]:
    """What carries the words to the output: what is read, or the decoder's own memory?

    Token accuracy with attention held ``uniform``; ``uniform/other_start``: the decoder starts from
    the last state of another input; ``uniform/other_read``: what is read is that of another input.
    ``free``: with its own attention the model reads its own output (greedy), not the right one.
    """
    other = batch.source.roll(1, dims=0)
    with probes.evaluating(model):
        own, start = model.encode(batch.source, batch.source_mask)
        others, swapped = model.encode(other, batch.source_mask)
        found = {}
        runs = {"": (start, own), "/other_start": (swapped, own), "/other_read": (start, others)}
        for name, (began, read) in runs.items():
            states, _ = model.decoder(model.target_embedding(batch.decoder_input), began)
            mean = model.merge(model.values(read).mean(2, keepdim=True))  # b 1 d
            said = model.readout(states, mean.expand(-1, states.shape[1], -1)).argmax(-1)
            found[f"uniform{name}"] = copying.word_accuracy(said, batch)
    longest = batch.target.shape[1]
    said = translate(model, batch.source, beam=1, longest=longest)
    said = pad(said, (0, longest - said.shape[1]), value=PAD)
    return {**found, "free": copying.word_accuracy(said, batch)}


def run_carriers(config: copying.CopyingConfig, seed: int) -> training.History:
    """``copying.run_copying`` that ends with ``carriers`` in place of its interventions."""
    return copying.train_copier(config.build(seed), config, seed, after=carriers)


def carriers_of() -> dict[str, copying.CopyingConfig]:
    """The small hard distribution, and a shorter one, on which many runs are undecided."""
    return {"L-16": copying.SMALL, "L-8": copying.odds()["length-8"]}


def area_under_curve(score: ArrayLike, happened: ArrayLike) -> Interval:
    """Probability that a run to which it happened has the higher score; 0.5 tells nothing.

    Interval by the standard error of DeLong, DeLong and Clarke-Pearson (1988), within [0, 1]; it
    has no width where the order is perfect. A ``ValueError`` if one outcome has less than two runs.
    """
    x, y = np.asarray(score, dtype=float), np.asarray(happened, dtype=bool)
    if min(y.sum(), (~y).sum()) < 2:
        raise ValueError(f"expected two runs of each outcome, found {int(y.sum())} of {y.size}")
    ahead = (np.sign(x[y][:, None] - x[~y]) + 1) / 2  # ties count half
    area = float(ahead.mean())
    error = np.sqrt(sum(ahead.mean(k).var(ddof=1) / ahead.shape[1 - k] for k in (0, 1)))
    low, high = np.clip([area - 1.96 * error, area + 1.96 * error], 0, 1)
    return Interval(area, float(low), float(high), y.size)


def tickets(aligned: Mapping[int, tuple[int, int]]) -> Interval:
    """Fit ``1 - (1-p)^(H^g)`` by maximum likelihood: H heads are H^g tickets; g, in [0, 3].

    From how many runs aligned, and of how many, by number of heads. The interval holds all g that
    the likelihood ratio test does not refuse at 0.05.
    """
    heads, (won, n) = np.array(list(aligned)), np.array(list(aligned.values())).T[..., None, None]
    p, g = np.linspace(0.001, 0.999, 999)[:, None], np.linspace(0, 3, 301)
    lose = heads[:, None, None] ** g * np.log1p(-p)  # log of the share that loses; heads, p, g
    likelihood = (won * np.log(-np.expm1(lose)) + (n - won) * lose).sum(0).max(0)
    inside = g[likelihood > likelihood.max() - chi2.ppf(0.95, 1) / 2]
    best = float(g[likelihood.argmax()])
    return Interval(best, float(inside[0]), float(inside[-1]), int(n.sum()))

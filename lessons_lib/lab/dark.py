"""Small questions behind the two branches: a third circuit, free running, how many tickets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from scipy.optimize import minimize

from lessons_lib import models, probes, training
from lessons_lib.lab import copying
from lessons_lib.lab.decoding import translate
from lessons_lib.stats import Interval
from lessons_lib.tasks import Batch


def carriers(model: models.Seq2Seq, batch: Batch) -> dict[str, float]:
    """What carries the words to the output: what is read, or the decoder's own memory?

    Returns:
        Token accuracy, attention held uniform throughout: ``uniform``; ``uniform/other_start``: the
        decoder starts from the last state of another input; ``uniform/other_read``: what is read
        is that of another input. Then with the model's own attention: ``free``: the model reads
        its own output (greedy), not the right one.
    """
    words = copying.word_positions(batch) >= 0
    other = batch.source.roll(1, dims=0)

    def right(said: torch.Tensor) -> float:
        return float((said == batch.target)[words].double().mean())

    with probes.evaluating(model):
        own, start = model.encode(batch.source, batch.source_mask)
        others, other_start = model.encode(other, batch.source_mask)
        found = {}
        for name, began, read in (
            ("uniform", start, own),
            ("uniform/other_start", other_start, own),
            ("uniform/other_read", start, others),
        ):
            states, _ = model.decoder(model.target_embedding(batch.decoder_input), began)
            mean = model.merge(model.values(read).mean(2, keepdim=True))  # b 1 d
            logits = model.readout(states, mean.expand(-1, states.shape[1], -1))
            found[name] = right(logits.argmax(-1))
    said = translate(model, batch.source, beam=1, longest=batch.target.shape[1])
    full = torch.zeros_like(batch.target)
    full[:, : said.shape[1]] = said
    return {**found, "free": right(full)}


def run_carriers(config: copying.CopyingConfig, seed: int) -> training.History:
    """``copying.run_copying`` that ends with ``carriers`` in place of its interventions."""
    model = copying.build_copier(config, seed)
    return copying.train_copier(model, config, seed, after=carriers)


def carriers_of() -> dict[str, copying.CopyingConfig]:
    """The small hard distribution, and a shorter one, on which many runs are undecided."""
    return {"L-16": copying.SMALL, "L-8": copying.odds()["length-8"]}


def area_under_curve(score: ArrayLike, happened: ArrayLike) -> Interval:
    """Probability that a run to which it happened has the higher score; 0.5 tells nothing.

    Interval by the standard error of DeLong, DeLong and Clarke-Pearson (1988), within [0, 1]; it
    has no width where the order is perfect.

    Raises:
        ValueError: it happened to less than two runs, or to all but one or none.
    """
    x, y = np.asarray(score, dtype=float), np.asarray(happened, dtype=bool)
    if min(y.sum(), (~y).sum()) < 2:
        raise ValueError(f"expected two runs of each outcome, found {int(y.sum())} of {y.size}")
    ahead = (np.sign(x[y][:, None] - x[~y]) + 1) / 2  # ties count half
    area = float(ahead.mean())
    error = np.sqrt(sum(ahead.mean(k).var(ddof=1) / ahead.shape[1 - k] for k in (0, 1)))
    low, high = np.clip([area - 1.96 * error, area + 1.96 * error], 0, 1)
    return Interval(area, float(low), float(high), y.size)


def tickets(aligned: Mapping[int, tuple[int, int]]) -> tuple[float, float]:
    """Fit ``1 - (1-p)^(H^g)`` by maximum likelihood: H heads are H^g tickets; p and g.

    Args:
        aligned: by number of heads, how many runs aligned, and of how many.
    """
    heads, counts = np.array(list(aligned)), np.array(list(aligned.values()))

    def loss(x: Any) -> float:
        lose = heads ** x[1] * np.log1p(-1 / (1 + np.exp(-x[0])))  # log of the share that loses
        won = np.log(-np.expm1(lose))
        return -float((counts[:, 0] * won + (counts[:, 1] - counts[:, 0]) * lose).sum())

    logit, g = minimize(loss, [0.0, 1.0], method="Nelder-Mead").x
    return float(1 / (1 + np.exp(-logit))), float(g)


def by_head(frame: pd.DataFrame) -> pd.DataFrame:
    """Of runs with several heads: share of heads that look at the right word, in the end.

    Args:
        frame: tidy rows as in ``portrait.in_plane``.

    Returns:
        For each arm ``share`` of heads, and ``alike``: how much more often two heads of one run
        agree than two of any run, as a correlation: 0 if independent, negative if they divide the
        work.
    """
    rows = frame[frame["metric"].str.match(r"head\d+/attention_accuracy")]
    last = rows.sort_values("step").groupby(["arm", "seed", "metric"])["value"].last() > 0.5
    found = {}
    for arm, of_arm in last.groupby("arm"):
        table = of_arm.unstack("metric").to_numpy(float)  # runs heads
        p, (_, n) = table.mean(), table.shape
        between = table.mean(1).var()
        # Var(mean of n) = p (1-p) (1 + (n-1) rho) / n
        rho = (between * n / (p * (1 - p)) - 1) / (n - 1)
        found[arm] = {"share": p, "alike": rho}
    return pd.DataFrame(found).T

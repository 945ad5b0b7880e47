"""Your own text in one call: train on it, probe the models, get the agreement table."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pandas as pd

from lessons_lib import training
from lessons_lib.corpora.loaders import LabelledCorpus
from lessons_lib.lab import blocks, classification, translation
from lessons_lib.tasks import ParallelCorpus

LEAST = 50
"""Fewer texts or pairs leave a handful to measure on, and a table of noise."""
ROWS: Mapping[str, str] = {
    "A(alpha,uf)": "trained attention, foretold by the uniform model",
    "A(alpha,twin)": "trained attention, foretold by the uniform model of its own seed",
    "A(uf,px)": "the uniform model, foretold by the bag of words",
    "A(delta,uf)": "gradient saliency, foretold by the uniform model",
    "A(alpha,px)": "trained attention, foretold by the bag of words",
    "A(alpha,lr)": "trained attention, foretold by logistic regression",
    "A(alpha,m1)": "trained attention, foretold by IBM Model 1",
    "A(alpha,last)": "trained attention, foretold by a guess at the last words",
    "A(alpha,first)": "trained attention, foretold by a guess at the first words",
    "A(alpha,end)": "trained attention, foretold by a guess at the end symbol",
    "A(alpha,diagonal)": "trained attention, foretold by relative position",
    "A(alpha,shuffled)": "trained attention, foretold by that of other runs, shuffled",
    "tau(alpha,uf)": "Kendall's tau of attention and the uniform model",
    "xi": "xi (where the curve passes)",
    "xi*": "performance where attention is taken",
    "accuracy": "performance at the end",
    "uniform/accuracy": "performance at the end, uniform attention",
}


@dataclass(frozen=True)
class OwnText:
    """What a corpus gave.

    Attributes:
        table: one row for each quantity with its meaning; columns mean, lowest and highest run,
            and the number of runs that have it.
        chance: agreement that no knowledge gives.
        history: all that was measured, at each checkpoint; see ``blocks.compare``.
    """

    table: pd.DataFrame
    chance: float
    history: training.History


def agreement_table(
    corpus: ParallelCorpus | LabelledCorpus,
    *,
    steps: int = 400,
    runs: int = 2,
    seed: int = 1,
    positive: str | None = None,
    progress: bool = True,
) -> OwnText:
    """Train models on a corpus, probe them and compare them as the paper does.

    The corpus is shuffled and split 80:10:10: to learn from, to choose checkpoints on, to report
    on. Each run is trained once with learned and once with uniform attention.

    Args:
        corpus: from ``loaders.read_parallel`` or ``loaders.read_labelled``.
        steps: updates of each model. Watch ``history`` for whether they were enough.
        runs: ordinary runs, two or more; each is compared with the others.
        seed: of the split and of the runs.
        positive: for labelled texts the class that is set against the others; the last if ``None``.
        progress: whether to show progress bars.

    Raises:
        TypeError: not a corpus.
        ValueError: too few texts, or a class that is missing in a part of the split.
    """
    if isinstance(corpus, LabelledCorpus):
        history = _labelled(corpus, steps, runs, seed, positive, progress)
    elif not isinstance(corpus, ParallelCorpus):
        raise TypeError(
            "expected a corpus from read_parallel or read_labelled, found "
            f"{type(corpus).__name__}; read your files with one of these first"
        )
    elif positive is not None:
        raise ValueError(f"expected no class for sentence pairs, found positive={positive!r}")
    else:
        history = _parallel(corpus, steps, runs, seed, progress)
    return _summed_up(history, runs)


def _labelled(
    corpus: LabelledCorpus, steps: int, runs: int, seed: int, positive: str | None, progress: bool
) -> training.History:
    config = classification.short(
        corpus=corpus.name,
        positive=corpus.classes[-1] if positive is None else positive,
        runs=runs,
        uniform_runs=runs,
        ends=True,
        d_embed=128,
        d_hidden=128,
        steps=steps,
        checkpoints=_before(classification.SHORT_CHECKPOINTS, steps),
    )
    parts = [
        replace(
            corpus,
            texts=tuple(corpus.texts[i] for i in rows),
            labels=tuple(corpus.labels[i] for i in rows),
        )
        for rows in _split(len(corpus), seed)
    ]
    ready = classification.prepare(config, *parts)
    return classification.compare_classifiers(config, ready, seed, progress=progress)


def _parallel(
    corpus: ParallelCorpus, steps: int, runs: int, seed: int, progress: bool
) -> training.History:
    config = translation.Translation(
        corpus=corpus.name,
        source=corpus.source_language,
        target=corpus.target_language,
        runs=runs,
        steps=steps,
        checkpoints=_before(translation.CHECKPOINTS, steps),
    )
    train, val, test = (
        replace(
            corpus,
            source=tuple(corpus.source[i] for i in rows),
            target=tuple(corpus.target[i] for i in rows),
            alignment=corpus.alignment and tuple(corpus.alignment[i] for i in rows),
        )
        for rows in _split(len(corpus), seed)
    )
    ready = translation.prepare_pairs(config, train, val, test, None)
    return translation.compare_translators(config, ready, seed, progress=progress)


def _before(checkpoints: tuple[int, ...], steps: int) -> tuple[int, ...]:
    return tuple(step for step in checkpoints if step < steps)


def _split(size: int, seed: int) -> list[list[int]]:
    if size < LEAST:
        raise ValueError(
            f"expected at least {LEAST} texts or pairs, found {size}; of fewer, too few are left "
            "to measure on"
        )
    order = list(range(size))
    random.Random(seed).shuffle(order)
    ends = size * 8 // 10, size * 9 // 10
    return [order[: ends[0]], order[ends[0] : ends[1]], order[ends[1] :]]


def _summed_up(history: training.History, runs: int) -> OwnText:
    frame = history.frame().assign(seed=0)
    last = frame[frame["step"] == frame["step"].max()]
    single = blocks.by_run(last)
    rows = {}
    for metric, meaning in ROWS.items():
        found = single[single["metric"] == metric]["value"]
        if not found.empty:
            ends = found.mean(), found.min(), found.max()
            rows[metric] = (meaning, *ends, f"{len(found)} of {runs}")
    columns = ["meaning", "mean", "lowest", "highest", "runs"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return OwnText(table, history.last("chance"), history)

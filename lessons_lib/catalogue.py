"""The experiments behind the book: what each asks, its arms and seeds, and how it is summed up.

Settings were chosen on seeds from 1000 on; the seeds named here are others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from lessons_lib import (
    classification,
    comparison,
    copying,
    heads,
    interventions,
    results,
    training,
    translation,
    uniform_translation,
)
from lessons_lib.configuration import Configuration
from lessons_lib.results import Record
from lessons_lib.stats import proportion_interval, seed_interval

Run = Callable[[Any, int], training.History]


@dataclass(frozen=True)
class Scale:
    """An experiment at one size.

    Attributes:
        arms: what is compared: name -> configuration.
        seeds: those of every arm. Settings were chosen on other seeds.
        ends_only: whether records keep the first and the last step of each run only, which is
            enough for its outcome; a survey of many arms would be too large otherwise.
        recorded: whether the package holds its records. What is not recorded takes longer than the
            machines allowed that we had; it can be run, and goes on where it was stopped.
    """

    arms: Mapping[str, Configuration]
    seeds: tuple[int, ...]
    ends_only: bool = False
    recorded: bool = True


@dataclass(frozen=True)
class Experiment:
    """An experiment that can be run by name.

    Attributes:
        question: what it answers, in one line.
        run: one run from one seed: ``(config, seed) -> History``.
        scales: name -> arms and seeds: ``"lesson"`` takes minutes, ``"paper"`` is the full size.
        report: table of the outcomes, one row for each arm, from the arms' records.
    """

    question: str
    run: Run
    scales: Mapping[str, Scale]
    report: Callable[[Mapping[str, Record]], pd.DataFrame]


def last_values(records: Mapping[str, Record]) -> pd.DataFrame:
    """Mean over seeds of each metric's last value with Student's t interval, a column an arm."""
    found = {}
    for arm, record in records.items():
        metrics = sorted({row[2] for row in record.rows} - {"stopped_early"})
        found[arm] = {metric: str(seed_interval(record.values(metric))) for metric in metrics}
    return pd.DataFrame(found)


def branches(records: Mapping[str, Record]) -> pd.DataFrame:
    """How many runs of each arm took which branch, with Wilson intervals, and when they copied."""
    ends = copying.outcomes(results.frame(records))
    rows = {}
    for arm in records:
        of_arm = ends.loc[arm]
        aligned, lost = (of_arm["branch"] == name for name in ("aligned", "elimination"))
        rows[arm] = {
            "n": len(of_arm),
            "aligned": int(aligned.sum()),
            "share aligned": str(proportion_interval(int(aligned.sum()), len(of_arm))),
            "elimination": int(lost.sum()),
            "undecided": int((~aligned & ~lost).sum()),
            "solved": int(of_arm["solved"].sum()),
            "median step aligned": of_arm[aligned & of_arm["solved"]]["step"].median(),
            "median step elimination": of_arm[lost & of_arm["solved"]]["step"].median(),
        }
    return pd.DataFrame(rows).T


def comparisons(records: Mapping[str, Record]) -> pd.DataFrame:
    """Mean over the runs of all blocks of each final metric, with intervals, a column an arm."""
    found = {}
    for arm, record in records.items():
        last = comparison.by_run(record.frame()).groupby(["metric", "run"])["value"].last()
        found[arm] = last.groupby("metric").agg(
            lambda runs: str(seed_interval(runs)) if len(runs) > 1 else f"{runs.iloc[0]:.3f}"
        )
    return pd.DataFrame(found)


PAPER = copying.CopyingConfig()
"""The authors' hard distribution: permutations of 40 words, LSTM of width 256, batch 128."""
SMALL = copying.CopyingConfig(
    vocab=16, length=16, width=64, batch_size=32, learning_rate=4e-3, steps=500
)
"""The same, small enough to be trained while one reads. Chosen on seeds from 1000 on."""


ONE_HEAD = heads.HeadsConfig.from_dict(
    {**SMALL.to_dict(), "cell": "gru", "shared_embeddings": False, "steps": 600}
)
"""One head on a fixed body. As in the paper's multi-head experiment: GRU, separate embeddings."""


PAPER_HEAD = heads.HeadsConfig.from_dict(
    {**PAPER.to_dict(), "cell": "gru", "shared_embeddings": False}
)
"""The same at the paper's size."""
GOOD_HEADS = (1, 4, 5, 6, 8, 10, 11, 12, 15, 18, 20, 32, 41, 47, 50, 56, 59)
"""Heads that aligned with three of three orders of the data, by the record of head_starts."""
BAD_HEADS = (*(19, 24, 27, 29, 34, 35, 36, 37, 39, 40, 42, 43, 44, 45, 46, 48, 55, 60, 61, 62, 64),)
"""Heads that aligned with none of three, by the same record."""

INTERVENED = interventions.InterventionConfig.from_dict(SMALL.to_dict())
"""The small hard distribution, not intervened in yet."""
SPARE = replace(INTERVENED, spare=8)
"""The same for a model that has eight more words, with which it can be taught words first."""


def _seeds(count: int) -> tuple[int, ...]:
    return tuple(range(1, count + 1))


def _classifications() -> dict[str, classification.Classification]:
    """Each corpus, and each class of the news against the three others."""
    news = {"world": "World", "sports": "Sports", "business": "Business", "scitech": "Sci/Tech"}
    sides = {
        "sms_spam": ("sms_spam", "spam"),
        "sst2": ("sst2", "positive"),
        "subj": ("subj", "subjective"),
        **{f"ag_{short}": ("ag_news", name) for short, name in news.items()},
    }
    return {
        arm: classification.Classification(corpus=corpus, positive=positive)
        for arm, (corpus, positive) in sides.items()
    }


def _translations() -> dict[str, translation.Translation]:
    """Captions in both directions and from Czech, and the embedded corpus with its gold."""
    return {
        "de-en": translation.Translation(),
        "en-de": translation.Translation(source="en", target="de"),
        "cs-en": translation.Translation(source="cs"),
        "toy-de-en": translation.Translation(corpus="toy"),
    }


def _odds() -> dict[str, copying.CopyingConfig]:
    """The small hard distribution with one ingredient changed at a time."""
    slow = replace(SMALL, steps=2000)
    return {
        "as-it-is": SMALL,
        "no-end-symbol": replace(SMALL, end_symbol=False),
        "separate-embeddings": replace(SMALL, shared_embeddings=False),
        "width-32": replace(slow, width=32),
        "width-128": replace(SMALL, width=128),
        "length-8": replace(SMALL, vocab=8, length=8),
        "length-32": replace(slow, vocab=32, length=32),
        "rate-1e-3": replace(slow, learning_rate=1e-3),
        "rate-2e-3": replace(slow, learning_rate=2e-3),
        "rate-8e-3": replace(SMALL, learning_rate=8e-3),
        "batch-128": replace(SMALL, batch_size=128),
        "uniform-start": replace(SMALL, query_scale=0.0),
        "scores-times-4": replace(SMALL, query_scale=4.0),
        "values-times-4": replace(SMALL, value_scale=4.0),
        "linear-readout": replace(SMALL, readout="linear"),
        "GRU": replace(SMALL, cell="gru"),
    }


def _forks() -> dict[str, copying.ForkedConfig]:
    """The runs of eight seeds, each forked at several steps."""
    return {
        f"start-{start}-fork-{step}": copying.ForkedConfig.from_dict(
            {**SMALL.to_dict(), "start_seed": start, "fork_at": step}
        )
        for start in range(1, 9)
        for step in (0, 10, 20, 40, 60)
    }


def _early_forks() -> dict[str, copying.ForkedConfig]:
    """At the paper's size: other inputs from the start, followed until the sign is plain."""
    return {
        f"start-{start}-fork-0": copying.ForkedConfig.from_dict(
            {**PAPER.to_dict(), "steps": 60, "start_seed": start, "fork_at": 0}
        )
        for start in range(1, 9)
    }


def _several_heads() -> dict[str, copying.CopyingConfig]:
    """Both cells with 1 to 8 heads."""
    return {
        f"{cell}-{count}": replace(SMALL, cell=cell, heads=count, steps=600)
        for cell in ("lstm", "gru")
        for count in (1, 2, 4, 8)
    }


def _assembled() -> dict[str, heads.HeadsConfig]:
    """Models put together from good, bad and random heads; the inputs are those of the run."""
    eight = replace(ONE_HEAD, heads=8)
    everyone = tuple(range(1, 65))
    return {
        "one-bad": replace(ONE_HEAD, pool=BAD_HEADS, drawn=1),
        "one-good": replace(ONE_HEAD, pool=GOOD_HEADS, drawn=1),
        "eight-bad": replace(eight, pool=BAD_HEADS, drawn=8),
        "seven-bad-one-good": replace(
            eight, pool=BAD_HEADS, drawn=7, second_pool=GOOD_HEADS, second_drawn=1
        ),
        "eight-random": replace(eight, pool=everyone, drawn=8),
    }


def _head_controls() -> dict[str, heads.HeadsConfig]:
    """Eight heads with one thing changed at a time, and one head with their parameters."""
    eight = replace(ONE_HEAD, heads=8)
    return {
        "one": ONE_HEAD,
        "one-wide": replace(ONE_HEAD, inner=4 * ONE_HEAD.width),
        "tied": replace(eight, tied_until=eight.steps),
        "untied-20": replace(eight, tied_until=20),
        "untied-60": replace(eight, tied_until=60),
        "eight": eight,
        "concatenated": replace(eight, merge="concatenate"),
    }


def _phases() -> dict[str, copying.CopyingConfig]:
    """Spare words, length and width, all combined."""
    return {
        f"width-{width}-L-{length}-V-{length + spare}": replace(
            SMALL, vocab=length + spare, length=length, width=width, steps=1000
        )
        for width in (32, 64, 128)
        for length in (8, 16, 32)
        for spare in (0, 1, 2, 4)
    }


def _ktiw_first() -> dict[str, interventions.InterventionConfig]:
    """KTIW given first, right or wrong or neither, and KTIW frozen, right, wrong or at random.

    The model has words that do not occur in the task, and to learn this takes steps as well.
    ``pretrained-hard`` learns this first, and no word: co-occurrence is silent there.
    """
    bags = replace(SPARE, prepare="uniform-easy", prepare_steps=100)
    book = replace(SPARE, prepare="dictionary", prepare_steps=100)
    return {
        "as-it-is": SPARE,
        "pretrained-uniform": bags,
        "pretrained-control": replace(bags, wrong_words=True),
        "pretrained-hard": replace(SPARE, prepare="uniform-hard", prepare_steps=100),
        "from-dictionary": book,
        "scrambled": replace(book, wrong_words=True),
        "frozen-values": replace(SPARE, frozen=("ktiw",)),
        "frozen-all-but-query": replace(SPARE, frozen=("ktiw", "shared")),
        "frozen-dictionary": replace(book, frozen=("ktiw", "shared")),
        "frozen-scrambled": replace(book, wrong_words=True, frozen=("ktiw", "shared")),
    }


def _attention_held() -> dict[str, interventions.InterventionConfig]:
    """Attention given first, and attention held for a while or throughout."""
    return {
        "as-it-is": INTERVENED,
        "attention-given": replace(INTERVENED, prepare="gold", prepare_steps=100),
        "attention-pretrained": replace(INTERVENED, prepare="alignment", prepare_steps=1000),
        "clamp-uniform-first": replace(INTERVENED, prepare="uniform-hard", prepare_steps=100),
        "clamp-uniform": replace(INTERVENED, hold="uniform"),
        "clamp-gold": replace(INTERVENED, hold="gold"),
        "clamp-snapshot-20": replace(INTERVENED, hold="snapshot", hold_from=20),
        "clamp-snapshot-60": replace(INTERVENED, hold="snapshot", hold_from=60),
    }


def _query_rates() -> dict[str, interventions.InterventionConfig]:
    """The query's learning rate against that of all else."""
    return {
        "as-it-is": INTERVENED,
        "query-rate-over-16": replace(INTERVENED, query_rate=1 / 16),
        "query-rate-over-4": replace(INTERVENED, query_rate=1 / 4),
        "query-rate-times-4": replace(INTERVENED, query_rate=4.0),
        "query-rate-times-16": replace(INTERVENED, query_rate=16.0),
    }


def _asymmetry() -> dict[str, interventions.InterventionConfig]:
    """On the easy distribution, one of the two kept from being learned, and the other taught."""
    easy = replace(INTERVENED, vocab=24)
    aligned = replace(easy, prepare="alignment", prepare_steps=1000)
    return {
        "as-it-is": easy,
        "clamp-uniform": replace(easy, hold="uniform"),
        "frozen-all-but-query": replace(easy, frozen=("ktiw", "shared")),
        "frozen-values": replace(easy, frozen=("ktiw",)),
        "frozen-dictionary": replace(
            easy, prepare="dictionary", prepare_steps=100, frozen=("ktiw", "shared")
        ),
        "frozen-aligned": replace(aligned, frozen=("ktiw", "shared")),
    }


REGISTRY: Mapping[str, Experiment] = {
    "uniform_translation": Experiment(
        "What does a model with frozen uniform attention learn about words?",
        uniform_translation.uniform_translation,
        {"paper": Scale({"multi30k": uniform_translation.UniformTranslation()}, (1, 2, 3, 4))},
        last_values,
    ),
    "classification": Experiment(
        "Does a classifier with uniform attention foretell where a trained one attends?",
        classification.run_classification,
        {"paper": Scale(_classifications(), (1, 2))},
        comparisons,
    ),
    "translation": Experiment(
        "Does word knowledge come before attention, and foretell it, in translation?",
        translation.run_translation,
        {"paper": Scale(_translations(), (1, 2))},
        comparisons,
    ),
    "hard_distribution": Experiment(
        "Is copying harder to learn when all inputs are permutations of the same words?",
        copying.run_copying,
        {
            "lesson": Scale({"hard": SMALL, "easy": replace(SMALL, vocab=24)}, _seeds(48)),
            "paper": Scale({"hard": PAPER, "easy": replace(PAPER, vocab=60)}, _seeds(24)),
        },
        branches,
    ),
    "other_seeds": Experiment(
        "Do other seeds lead to the same conclusions about the hard distribution?",
        copying.run_copying,
        {
            "lesson": Scale(
                {"hard": SMALL, "easy": replace(SMALL, vocab=24)}, tuple(range(101, 149))
            )
        },
        branches,
    ),
    "knife_edge": Experiment(
        "How much does one spare word help?",
        copying.run_copying,
        {
            "lesson": Scale(_phases(), _seeds(12), ends_only=True),
            "paper": Scale({"one-spare-word": replace(PAPER, vocab=41)}, _seeds(12)),
        },
        branches,
    ),
    "forks": Experiment(
        "When is the die cast: do runs that share a start and k steps take the same branch?",
        copying.run_forked,
        {
            "lesson": Scale(_forks(), _seeds(6), ends_only=True),
            "paper": Scale(_early_forks(), _seeds(3), ends_only=True),
        },
        branches,
    ),
    "heads": Experiment(
        "Does attention align more often with several heads?",
        copying.run_copying,
        {"lesson": Scale(_several_heads(), _seeds(32), ends_only=True)},
        branches,
    ),
    "head_starts": Experiment(
        "With the body fixed, does a head's start decide, or the order of the data?",
        heads.run_heads,
        {
            "lesson": Scale(
                {f"order-{order}": replace(ONE_HEAD, data_seed=order) for order in (1, 2, 3)},
                _seeds(64),
                ends_only=True,
            ),
            "paper": Scale(
                {f"order-{order}": replace(PAPER_HEAD, data_seed=order) for order in (1, 2, 3)},
                _seeds(64),
                ends_only=True,
                recorded=False,
            ),
        },
        branches,
    ),
    "head_mix": Experiment(
        "Equally expressive: do eight bad heads align, seven and a good one, eight random ones?",
        heads.run_heads,
        {"lesson": Scale(_assembled(), _seeds(50), ends_only=True)},
        branches,
    ),
    "head_controls": Experiment(
        "Is it the number of starts, or the number of parameters?",
        heads.run_heads,
        {"lesson": Scale(_head_controls(), _seeds(24), ends_only=True)},
        branches,
    ),
    "odds": Experiment(
        "What sets the odds between alignment and elimination?",
        copying.run_copying,
        {"lesson": Scale(_odds(), _seeds(32), ends_only=True)},
        branches,
    ),
    "ktiw_first": Experiment(
        "Does word knowledge that is given first decide whether attention is learned?",
        interventions.run_intervention,
        {"lesson": Scale(_ktiw_first(), _seeds(24), recorded=False)},
        branches,
    ),
    "attention_held": Experiment(
        "What is learned where attention is given first, or held?",
        interventions.run_intervention,
        {"lesson": Scale(_attention_held(), _seeds(24), recorded=False)},
        branches,
    ),
    "query_rates": Experiment(
        "Does it matter how fast the query learns, against all else?",
        interventions.run_intervention,
        {"lesson": Scale(_query_rates(), _seeds(24), recorded=False)},
        branches,
    ),
    "asymmetry": Experiment(
        "Can word knowledge be learned without attention, and attention without word knowledge?",
        interventions.run_intervention,
        {"lesson": Scale(_asymmetry(), _seeds(24), recorded=False)},
        last_values,
    ),
}
"""Name -> experiment. A record is found under name, scale and arm."""

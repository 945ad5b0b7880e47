"""The experiments behind the book: what each asks, of which seeds, and how it is summed up.

Settings were chosen on seeds from 1000 on; the seeds named here are others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from lessons_lib import training
from lessons_lib.config import Configuration
from lessons_lib.lab import (
    blocks,
    classification,
    copying,
    heads,
    interventions,
    ladder,
    mirror,
    transformer,
    translation,
    translator,
    words_first,
)
from lessons_lib.lab.records import Record, frame
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
        deviations: what differs from the authors' set-up. A scale is called ``paper`` only if
            nothing but seeds and corpora does; such entries begin with "seeds:" or "corpora:".
        run: one run from one seed at this size, where it is not that of the experiment.
    """

    arms: Mapping[str, Configuration]
    seeds: tuple[int, ...]
    ends_only: bool = False
    recorded: bool = True
    deviations: tuple[str, ...] = ()
    run: Run | None = None


@dataclass(frozen=True)
class Experiment:
    """An experiment that can be run by name.

    Attributes:
        question: what it answers, in one line.
        run: one run from one seed: ``(config, seed) -> History``.
        scales: name -> arms and seeds, the first of which is taken where none is named. ``lesson``
            takes minutes, ``paper`` is the authors' set-up.
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
    ends = copying.outcomes(frame(records))
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
        last = blocks.by_run(record.frame()).groupby(["metric", "run"])["value"].last()
        found[arm] = last.groupby("metric").agg(
            lambda runs: str(seed_interval(runs)) if len(runs) > 1 else f"{runs.iloc[0]:.3f}"
        )
    return pd.DataFrame(found)


def _seeds(count: int) -> tuple[int, ...]:
    return tuple(range(1, count + 1))


SMALL = (
    "small: 16 words, width 64, batches of 32, Adam at 4e-3, up to 500 updates (where an arm or "
    "the experiment does not change it)",
)
OURS = ("an experiment of our own",)
DEAD = "V + 4 output words, three of which never occur (V + 2, and one)"
BFLOAT16 = ("products of matrices in bfloat16",)
TRANSLATOR = (
    "one layer in encoder and decoder (two)",
    "separate vocabularies of 3,000 words each, separate embeddings (one joint vocabulary of 8,000 "
    "word pieces, one embedding)",
    "no start and no end symbol as source positions",
    "dropout 0.2 on embeddings and before the readout (0.5, between layers)",
    "Adam at 4e-3, batches of 32 sentences of similar length (1e-3, 16, in random order)",
    "pairs of at most 15 words (of any length)",
    "the decoder starts from a trained mixture of both directions' last states (from their mean)",
    "tanh in the readout (ReLU)",
)
CAPTIONS = (
    "width 128 (256)",
    *TRANSLATOR,
    "scores divided by the square root of the width (not scaled)",
    "700 updates (36,000), and other checkpoints",
    "measured on 150 pairs, checkpoints chosen on 50 others",
    "proxy: width 64, Adam at 1e-2, 1,500 updates of 32 pairs, the last one (256, 1e-3, 30 epochs "
    "of batches of 64, the best epoch on validation)",
    "seeds: blocks of four runs, each gold once (one gold, one compared, one uniform run)",
    "corpora: Multi30k German-English both ways, Czech-English, and an embedded corpus (Multi30k "
    "German-English among five)",
)


EARLIER = frozenset(
    {
        "classification/left-to-right",
        "hard_distribution/full-size",
        *("knife_edge/full-size", "forks/lesson", "forks/full-size"),
        *("heads/lesson", "head_starts/lesson", "head_mix/lesson", "head_controls/lesson"),
        *("odds/lesson", "ktiw_first/lesson", "attention_held/lesson", "query_rates/lesson"),
        "asymmetry/lesson",
    }
)
"""Experiments and scales whose records were made by an earlier version of the code: copiers with
three output words that never occur in place of one, classifiers with another proxy. They are read
as they are and say themselves how they were made; to run them again makes new ones."""


def _survey(arms: Mapping[str, Configuration], count: int) -> Scale:
    """An experiment of our own with small models, of which the outcomes are kept."""
    return Scale(arms, _seeds(count), ends_only=True, deviations=(*OURS, *SMALL))


REGISTRY: Mapping[str, Experiment] = {
    "uniform_translation": Experiment(
        "What does a model with frozen uniform attention learn about words?",
        translation.uniform_translation,
        {
            "short": Scale(
                {"multi30k": translation.UniformTranslation()},
                (1, 2, 3, 4),
                deviations=(*TRANSLATOR, "2,000 updates (36,000)", *OURS),
            )
        },
        last_values,
    ),
    "classification": Experiment(
        "Does a classifier with uniform attention foretell where a trained one attends?",
        classification.run_classification,
        {
            "paper": Scale(
                classification.classifications(),
                (1,),
                recorded=False,
                deviations=("seeds: 6 to 11 (12 to 17, 20)", *classification.DEVIATIONS),
            ),
            "left-to-right": Scale(
                classification.short_classifications(bidirectional=False),
                (1, 2),
                deviations=classification.LEFT_TO_RIGHT_DEVIATIONS,
            ),
            "both-ways": Scale(
                classification.short_classifications(bidirectional=True),
                (1, 2),
                recorded=False,
                deviations=classification.SHORT_DEVIATIONS,
            ),
        },
        comparisons,
    ),
    "translation": Experiment(
        "Does word knowledge come before attention, and foretell it, in translation?",
        translation.run_translation,
        {
            "full-size": Scale(
                translator.translators(),
                (1,),
                recorded=False,
                deviations=translator.DEVIATIONS,
                run=translator.run_translator,
            ),
            "short": Scale(translation.translations(), (1, 2), deviations=CAPTIONS),
        },
        comparisons,
    ),
    "words_first_translation": Experiment(
        "Does attention go where words point that were given first, right ones or wrong ones?",
        words_first.run_words_first,
        {
            "lesson": Scale(
                words_first.words_given(), _seeds(6), recorded=False, deviations=(*OURS, *CAPTIONS)
            )
        },
        last_values,
    ),
    "hard_distribution": Experiment(
        "Is copying harder to learn when all inputs are permutations of the same words?",
        copying.run_copying,
        {
            "paper": Scale(
                {"hard": copying.PAPER, "easy": replace(copying.PAPER, vocab=60)},
                _seeds(24),
                recorded=False,
                deviations=("seeds: 1 to 24 (0 to 19)",),
            ),
            "full-size": Scale(
                {
                    "hard": replace(copying.PAPER, dead_words=3),
                    "easy": replace(copying.PAPER, dead_words=3, vocab=60),
                },
                _seeds(24),
                deviations=(DEAD, "seeds: 1 to 24 (0 to 19)"),
            ),
            "lesson": Scale(
                {"hard": copying.SMALL, "easy": replace(copying.SMALL, vocab=24)},
                _seeds(48),
                deviations=SMALL,
            ),
            "bfloat16": Scale(
                {"hard": replace(copying.PAPER, bfloat16=True)},
                _seeds(16),
                recorded=False,
                deviations=(*BFLOAT16, "seeds: 1 to 16 (0 to 19)"),
            ),
        },
        branches,
    ),
    "other_seeds": Experiment(
        "Do other seeds lead to the same conclusions about the hard distribution?",
        copying.run_copying,
        {
            "lesson": Scale(
                {"hard": copying.SMALL, "easy": replace(copying.SMALL, vocab=24)},
                tuple(range(101, 149)),
                deviations=SMALL,
            )
        },
        branches,
    ),
    "knife_edge": Experiment(
        "How much does one spare word help?",
        copying.run_copying,
        {
            "lesson": _survey(copying.phases(), 12),
            "full-size": Scale(
                {"one-spare-word": replace(copying.PAPER, vocab=41)}, _seeds(12), deviations=OURS
            ),
        },
        branches,
    ),
    "forks": Experiment(
        "When is the die cast: do runs that share a start and k steps take the same branch?",
        copying.run_forked,
        {
            "lesson": _survey(copying.forks(), 6),
            "full-size": Scale(
                copying.forks(replace(copying.PAPER, steps=60), (0,)),
                _seeds(3),
                ends_only=True,
                deviations=OURS,
            ),
        },
        branches,
    ),
    "heads": Experiment(
        "Does attention align more often with several heads?",
        copying.run_copying,
        {"lesson": Scale(copying.several_heads(), _seeds(32), ends_only=True, deviations=SMALL)},
        branches,
    ),
    "head_starts": Experiment(
        "With the body fixed, does a head's start decide, or the order of the data?",
        heads.run_heads,
        {
            "lesson": Scale(
                {f"order-{order}": replace(heads.ONE_HEAD, data_seed=order) for order in (1, 2, 3)},
                _seeds(64),
                ends_only=True,
                deviations=SMALL,
            ),
            "bfloat16": Scale(
                {
                    f"order-{order}": replace(heads.PAPER_HEAD, data_seed=order)
                    for order in (1, 2, 3)
                },
                _seeds(32),
                recorded=False,
                deviations=(
                    *BFLOAT16,
                    "seeds: 32 heads (as many as it takes to find 20 good and 20 bad ones)",
                ),
            ),
        },
        branches,
    ),
    "head_mix": Experiment(
        "Equally expressive: do eight bad heads align, seven and a good one, eight random ones?",
        heads.run_heads,
        {"lesson": Scale(heads.assembled(), _seeds(50), ends_only=True, deviations=SMALL)},
        branches,
    ),
    "head_controls": Experiment(
        "Is it the number of starts, or the number of parameters?",
        heads.run_heads,
        {"lesson": _survey(heads.head_controls(), 24)},
        branches,
    ),
    "odds": Experiment(
        "What sets the odds between alignment and elimination?",
        copying.run_copying,
        {"lesson": _survey(copying.odds(), 32)},
        branches,
    ),
    "ktiw_first": Experiment(
        "Does word knowledge that is given first decide whether attention is learned?",
        interventions.run_intervention,
        {"lesson": _survey(interventions.ktiw_first(), 24)},
        branches,
    ),
    "attention_held": Experiment(
        "What is learned where attention is given first, or held?",
        interventions.run_intervention,
        {
            "lesson": Scale(
                interventions.attention_held(),
                _seeds(24),
                ends_only=True,
                deviations=(*OURS, *SMALL),
            )
        },
        branches,
    ),
    "query_rates": Experiment(
        "Does it matter how fast the query learns, against all else?",
        interventions.run_intervention,
        {"lesson": _survey(interventions.query_rates(), 24)},
        branches,
    ),
    "asymmetry": Experiment(
        "Can word knowledge be learned without attention, and attention without word knowledge?",
        interventions.run_intervention,
        {"lesson": _survey(interventions.asymmetry(), 24)},
        last_values,
    ),
    "ladder": Experiment(
        "Which part of the copier makes elimination slow?",
        ladder.run_ladder,
        {"lesson": _survey(ladder.rungs(), 24)},
        branches,
    ),
    "local_query_rates": Experiment(
        "Does the query's rate still set the odds where what is read carries no neighbours?",
        ladder.run_ladder,
        {"lesson": _survey(ladder.local_query_rates(), 24)},
        branches,
    ),
    "transformers": Experiment(
        "What carries over to a Transformer?",
        transformer.run_optimized,
        {"lesson": _survey(transformer.transformers(), 24)},
        branches,
    ),
    "descents": Experiment(
        "What is different with plain SGD?",
        transformer.run_optimized,
        {"lesson": _survey(transformer.descents(), 24)},
        branches,
    ),
    "mirror_pairs": Experiment(
        "Does a head beside its mirror image align more often than two random heads?",
        mirror.run_pair,
        {
            "lesson": Scale(
                mirror.pairs(),
                tuple(range(2001, 2097)),
                ends_only=True,
                recorded=False,
                deviations=(*OURS, *SMALL),
            )
        },
        branches,
    ),
    "turned_heads": Experiment(
        "Do bad heads become good, and good ones bad, when only their sign changes?",
        mirror.run_turned,
        {
            "lesson": Scale(
                mirror.turned_heads(heads.ONE_HEAD),
                _seeds(64),
                ends_only=True,
                recorded=False,
                deviations=(*OURS, *SMALL),
            )
        },
        branches,
    ),
    "turned_models": Experiment(
        "Do models of eight bad heads align when all their heads are turned over?",
        mirror.run_turned,
        {
            "lesson": Scale(
                mirror.turned_models(heads.ONE_HEAD, heads.BAD_HEADS),
                tuple(range(2001, 2051)),
                ends_only=True,
                recorded=False,
                deviations=(*OURS, *SMALL),
            )
        },
        branches,
    ),
}
"""Name -> experiment. A record is found under name, scale and arm."""

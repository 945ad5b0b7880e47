"""The experiments behind the book: what each asks, of which seeds, and how it is summed up.

Settings were chosen on seeds from 1000 on; the seeds named here are others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pandas as pd

from lessons_lib import training
from lessons_lib.config import Configuration
from lessons_lib.lab import (
    blocks,
    carried,
    classification,
    copying,
    dark,
    heads,
    interventions,
    ladder,
    mirror,
    starts,
    transformer,
    translated,
    translation,
    translator,
    words_first,
)
from lessons_lib.lab.records import Record, frame
from lessons_lib.stats import proportion_interval, seed_interval

Run = Callable[[Any, int], training.History]


@dataclass(frozen=True)
class Scale:
    """An experiment at one size."""

    arms: Mapping[str, Configuration]  #: what is compared: name -> configuration
    seeds: tuple[int, ...]  #: those of every arm. Settings were chosen on other seeds.
    ends_only: bool = False  #: whether records keep the first and last step only, to be small
    recorded: bool = True  #: whether the package holds its records; some would take too long
    #: what differs from the authors' set-up. A scale is called ``paper`` only if nothing but seeds
    #: and corpora does; such entries begin with "seeds:" or "corpora:".
    deviations: tuple[str, ...] = ()
    run: Run | None = None  #: as in ``Experiment``, where it is another one at this size


@dataclass(frozen=True)
class Experiment:
    """An experiment that can be run by name."""

    question: str  #: what it answers, in one line
    run: Run  #: one run from one seed: ``(config, seed) -> History``
    scales: Mapping[str, Scale]  #: by name; the first is taken where none is named
    #: table of the outcomes, one row for each arm, from the arms' records
    report: Callable[[Mapping[str, Record]], pd.DataFrame]


def _intervals(frames: Mapping[str, pd.DataFrame], unit: str) -> pd.DataFrame:
    """Mean over units of each metric's last value with Student's t interval, a column an arm."""

    def said(values: pd.Series[float]) -> str:
        return str(seed_interval(values)) if len(values) > 1 else f"{values.iloc[0]:.3f}"

    found = {}
    for arm, rows in frames.items():
        last = rows.sort_values("step").groupby(["metric", unit])["value"].last()
        found[arm] = last.drop("stopped_early", errors="ignore").groupby("metric").agg(said)
    return pd.DataFrame(found)


def last_values(records: Mapping[str, Record]) -> pd.DataFrame:
    """Mean over seeds of each metric's last value, with intervals, a column an arm."""
    return _intervals({arm: record.frame() for arm, record in records.items()}, "seed")


def comparisons(records: Mapping[str, Record]) -> pd.DataFrame:
    """Mean over the runs of all blocks of each final metric, with intervals, a column an arm."""
    return _intervals({arm: blocks.by_run(r.frame()) for arm, r in records.items()}, "run")


def branches(records: Mapping[str, Record]) -> pd.DataFrame:
    """How many runs of each arm took which branch, with Wilson intervals, and when they copied."""
    ends = copying.outcomes(frame(records))
    rows = {}
    for arm in records:
        of_arm = ends.loc[arm]
        solved, kinds = of_arm[of_arm["solved"]], of_arm["branch"].value_counts()
        median = solved.groupby("branch")["step"].median()
        n, aligned = len(of_arm), int(kinds.get("aligned", 0))
        rows[arm] = {
            "n": n,
            "aligned": aligned,
            "share aligned": str(proportion_interval(aligned, n)),
            "elimination": int(kinds.get("elimination", 0)),
            "undecided": int(kinds.get("undecided", 0)),
            "solved": len(solved),
            "median step aligned": median.get("aligned", float("nan")),
            "median step elimination": median.get("elimination", float("nan")),
        }
    return pd.DataFrame(rows).T


SMALL = (
    "small: 16 words, width 64, batches of 32, Adam at 4e-3, up to 500 updates (where an arm or "
    "the experiment does not change it)",
)
OURS = ("an experiment of our own",)
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
        "forks/full-size",
    }
)
"""Experiments and scales whose records were made by an earlier version of the code: copiers with
three output words that never occur in place of one, classifiers with another proxy. They are read
as they are and say themselves how they were made; to run them again makes new ones."""


def _seeds(count: int) -> tuple[int, ...]:
    return tuple(range(1, count + 1))


def _hard_and_easy(hard: copying.CopyingConfig, vocab: int) -> dict[str, copying.CopyingConfig]:
    return {"hard": hard, "easy": replace(hard, vocab=vocab)}


def _orders(head: heads.HeadsConfig) -> dict[str, heads.HeadsConfig]:
    return {f"order-{order}": replace(head, data_seed=order) for order in (1, 2, 3)}


def _survey(
    question: str,
    run: Run,
    arms: Mapping[str, Configuration],
    seeds: Iterable[int],
    report: Callable[[Mapping[str, Record]], pd.DataFrame] = branches,
    **options: Any,
) -> Experiment:
    """An experiment with small models, of which by default the outcomes are kept."""
    options = {"ends_only": True, "deviations": (*OURS, *SMALL), **options}
    return Experiment(question, run, {"lesson": Scale(arms, tuple(seeds), **options)}, report)


def _short(arms: Mapping[str, Configuration], seeds: int, *told: str, **options: Any) -> Scale:
    """A scale with the seeds from 1 on, and what differs in it."""
    return Scale(arms, _seeds(seeds), deviations=told, **options)


_large = partial(_short, recorded=False)
"""The same where the package does not hold the records."""


REGISTRY: Mapping[str, Experiment] = {
    "uniform_translation": Experiment(
        "What does a model with frozen uniform attention learn about words?",
        translation.uniform_translation,
        {
            "short": _short(
                {"multi30k": translation.UniformTranslation()},
                *(4, *TRANSLATOR, "2,000 updates (36,000)", *OURS),
            )
        },
        last_values,
    ),
    "classification": Experiment(
        "Does a classifier with uniform attention foretell where a trained one attends?",
        classification.run_classification,
        {
            "paper": _large(
                classification.classifications(),
                *(1, "seeds: 6 to 11 (12 to 17, 20)", *classification.DEVIATIONS),
            ),
            "left-to-right": _short(
                classification.short_classifications(bidirectional=False),
                *(2, *classification.LEFT_TO_RIGHT_DEVIATIONS),
            ),
            "both-ways": _short(
                classification.short_classifications(bidirectional=True, left_out=("ag_scitech",)),
                *(2, *classification.SHORT_DEVIATIONS),
            ),
        },
        comparisons,
    ),
    "translation": Experiment(
        "Does word knowledge come before attention, and foretell it, in translation?",
        translation.run_translation,
        {
            "full-size": _large(
                translator.translators(), 1, *translator.DEVIATIONS, run=translator.run_translator
            ),
            "short": _short(translation.translations(), 2, *CAPTIONS),
        },
        comparisons,
    ),
    "words_first_translation": _survey(
        "Does attention go where words point that were given first, right ones or wrong ones?",
        *(words_first.run_words_first, words_first.words_given(), _seeds(6), last_values),
        ends_only=False,
        recorded=False,
        deviations=(*OURS, *CAPTIONS),
    ),
    "hard_distribution": Experiment(
        "Is copying harder to learn when all inputs are permutations of the same words?",
        copying.run_copying,
        {
            "paper": _short(_hard_and_easy(copying.PAPER, 60), 24, "seeds: 1 to 24 (0 to 19)"),
            "lesson": _short(_hard_and_easy(copying.SMALL, 24), 48, *SMALL),
            "bfloat16": _large(
                {"hard": replace(copying.PAPER, bfloat16=True)},
                *(16, *BFLOAT16, "seeds: 1 to 16 (0 to 19)"),
            ),
        },
        branches,
    ),
    "other_seeds": _survey(
        "Do other seeds lead to the same conclusions about the hard distribution?",
        *(copying.run_copying, _hard_and_easy(copying.SMALL, 24), range(101, 149)),
        ends_only=False,
        deviations=SMALL,
    ),
    "knife_edge": Experiment(
        "How much does one spare word help?",
        copying.run_copying,
        {
            "lesson": _short(copying.phases(), 12, *OURS, *SMALL, ends_only=True),
            "full-size": _short({"one-spare-word": replace(copying.PAPER, vocab=41)}, 12, *OURS),
        },
        branches,
    ),
    "forks": Experiment(
        "When is the die cast: do runs that share a start and k steps take the same branch?",
        copying.run_forked,
        {
            "lesson": _short(copying.forks(), 6, *OURS, *SMALL, ends_only=True),
            # At the paper's size other inputs from the start, followed until the sign is plain.
            "full-size": _short(
                copying.forks(replace(copying.PAPER, steps=60), (0,)), 3, *OURS, ends_only=True
            ),
        },
        branches,
    ),
    "heads": _survey(
        "Does attention align more often with several heads?",
        *(copying.run_copying, copying.several_heads(), _seeds(32)),
        deviations=SMALL,
    ),
    "head_starts": Experiment(
        "With the body fixed, does a head's start decide, or the order of the data?",
        heads.run_heads,
        {
            "lesson": _short(_orders(heads.ONE_HEAD), 64, *SMALL, ends_only=True),
            "bfloat16": _large(
                *(_orders(heads.PAPER_HEAD), 32, *BFLOAT16),
                "seeds: 32 heads (as many as it takes to find 20 good and 20 bad ones)",
            ),
        },
        branches,
    ),
    "head_mix": _survey(
        "Equally expressive: do eight bad heads align, seven and a good one, eight random ones?",
        *(heads.run_heads, heads.assembled(), _seeds(50)),
        deviations=SMALL,
    ),
    "head_controls": _survey(
        "Is it the number of starts, or the number of parameters?",
        *(heads.run_heads, heads.head_controls(), _seeds(24)),
    ),
    "odds": _survey(
        "What sets the odds between alignment and elimination?",
        *(copying.run_copying, copying.odds(), _seeds(32)),
    ),
    "ktiw_first": _survey(
        "Does word knowledge that is given first decide whether attention is learned?",
        *(interventions.run_intervention, interventions.ktiw_first(), _seeds(24)),
    ),
    "attention_held": _survey(
        "What is learned where attention is given first, or held?",
        *(interventions.run_intervention, interventions.attention_held(), _seeds(24)),
    ),
    "query_rates": _survey(
        "Does it matter how fast the query learns, against all else?",
        *(interventions.run_intervention, interventions.query_rates(), _seeds(24)),
    ),
    "asymmetry": _survey(
        "Can word knowledge be learned without attention, and attention without word knowledge?",
        *(interventions.run_intervention, interventions.asymmetry(), _seeds(24)),
        last_values,
    ),
    "ladder": _survey(
        "Which part of the copier makes elimination slow?",
        *(ladder.run_ladder, ladder.rungs(), _seeds(24)),
    ),
    "local_query_rates": _survey(
        "Does the query's rate still set the odds where what is read carries no neighbours?",
        *(ladder.run_ladder, ladder.local_query_rates(), _seeds(24)),
    ),
    "transformers": _survey(
        "What carries over to a Transformer?",
        *(transformer.run_optimized, transformer.transformers(), _seeds(24)),
    ),
    "descents": _survey(
        "What is different with plain SGD?",
        *(transformer.run_optimized, transformer.descents(), _seeds(24)),
    ),
    "mirror_pairs": _survey(
        "Does a head beside its mirror image align more often than two random heads?",
        *(mirror.run_pair, mirror.pairs(), range(2001, 2097)),
    ),
    "turned_heads": Experiment(
        "Do bad heads become good, and good ones bad, when only their sign changes?",
        mirror.run_turned,
        {
            "lesson": _short(
                mirror.turned_heads(heads.ONE_HEAD), 64, *OURS, *SMALL, ends_only=True
            ),
            "bfloat16": _large(
                mirror.turned_heads(heads.PAPER_HEAD, orders=(2001,)), 32, *OURS, *BFLOAT16
            ),
        },
        branches,
    ),
    "turned_models": _survey(
        "Do models of eight bad heads align when all their heads are turned over?",
        mirror.run_turned,
        mirror.turned_models(heads.ONE_HEAD, heads.BAD_HEADS),
        range(2001, 2051),
    ),
    "carried": _survey(
        "Do mirror images insure a Transformer's heads, and outputs that are no copies?",
        *(carried.run_carried, carried.carried(), range(2101, 2149)),
    ),
    "translated": _survey(
        "Does a mirror image beside a head shorten the lag of a translator's attention?",
        *(translated.run_translated, translated.translated(), range(2201, 2213), last_values),
        ends_only=False,
        recorded=False,
        deviations=(*OURS, *CAPTIONS),
    ),
    "dead_words": _survey(
        "How do output words that never occur move the odds?",
        *(starts.run_dead, starts.dead_words(), _seeds(16)),
    ),
    "starts": Experiment(
        "Where do copiers stand before the first update, and how are they pushed?",
        starts.run_start,
        {
            "lesson": _short(starts.starts(), 12, *OURS, *SMALL, ends_only=True),
            "heads": Scale({"head": heads.ONE_HEAD}, _seeds(64), deviations=(*OURS, *SMALL)),
            "L-40": _short({"hard": copying.PAPER}, 24, *OURS),
        },
        last_values,
    ),
    "followed": Experiment(
        "How long does a copier remember where it started, on several streams of inputs?",
        starts.run_followed,
        {"lesson": Scale(starts.followed(), _seeds(8), deviations=(*OURS, *SMALL))},
        last_values,
    ),
    "images": _survey(
        "How long is the image of a head its image, when both are trained on the same inputs?",
        *(starts.run_images, starts.followed(), _seeds(8), last_values),
        ends_only=False,
    ),
    "carriers": _survey(
        "What carries the words in each branch, and does it bear reading its own output?",
        *(dark.run_carriers, dark.carriers_of(), _seeds(12)),
    ),
}
"""Name -> experiment. A record is found under name, scale and arm."""

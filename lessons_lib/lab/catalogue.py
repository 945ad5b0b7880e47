"""The experiments behind the book: what each asks, of which seeds, and how it is summed up.

Settings were chosen on seeds from 1000 on; the seeds named here are others. Words are in
``catalogue.toml``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd

from lessons_lib import training
from lessons_lib.config import Configuration
from lessons_lib.lab import (
    carried,
    classification,
    copying,
    dark,
    heads,
    interventions,
    ladder,
    mirror,
    outcomes,
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
Report = Callable[[Mapping[str, Record]], pd.DataFrame]
Arms = Mapping[str, Configuration]


@dataclass(frozen=True)
class Scale:
    """An experiment at one size."""

    arms: Mapping[str, Configuration]  #: what is compared: name -> configuration
    seeds: tuple[int, ...]  #: those of every arm. Settings were chosen on other seeds.
    ends_only: bool = False  #: whether records keep the first and last step only, to be small
    recorded: bool = True  #: whether the package holds its records; some would take too long
    #: from the authors' set-up, ``{field}`` for one of the configuration. A scale is called
    #: ``paper`` only if all of them begin with "seeds:", "corpora:" or "measured:"
    deviations: tuple[str, ...] = ()
    own: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  #: those of one arm only
    run: Run | None = None  #: as in ``Experiment``, where it is another one at this size

    def told(self, arm: str) -> tuple[str, ...]:
        """The deviations of an arm."""
        fields = self.arms[arm].to_dict()
        return tuple(p.format(**fields) for p in (*self.deviations, *self.own.get(arm, ())))


@dataclass(frozen=True)
class Experiment:
    """An experiment that can be run by name."""

    question: str  #: what it answers, in one line
    run: Run  #: one run from one seed: ``(config, seed) -> History``
    scales: Mapping[str, Scale]  #: by name; the first is taken where none is named
    report: Report  #: table of the outcomes, from the arms' records


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
    return _intervals({arm: outcomes.by_run(r.frame()) for arm, r in records.items()}, "run")


def branches(records: Mapping[str, Record]) -> pd.DataFrame:
    """How many runs of each arm took which branch, with Wilson intervals, and when they copied."""
    ends = outcomes.of_runs(frame(records))
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


WORDS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
"""What is said of experiments: their ``questions``, and groups of ``deviations`` by name."""


OURS = ("ours", "small")
CAPTIONS = ("captions", "translator")
ALONE = "measured: on {reported_on} pairs, each run by itself"
Entry = tuple[Run, Mapping[str, Scale], Report]


def _scale(arms: Arms, seeds: int | range, *told: str, **options: Any) -> Scale:
    """A scale with the seeds from 1 on, or others, and deviations: groups of ``WORDS``, or text."""
    seeds = range(1, seeds + 1) if isinstance(seeds, int) else seeds
    return Scale(arms, tuple(seeds), deviations=_said(*told), **options)


def _said(*told: str) -> tuple[str, ...]:
    groups = (WORDS["deviations"][one] if one.isidentifier() else [one] for one in told)
    return tuple(chain(*groups))


_large = partial(_scale, recorded=False)
"""The same where the package does not hold the records."""


def _small(
    run: Run, arms: Arms, seeds: int | range, *told: str, report: Report = branches, **options: Any
) -> Entry:
    """An experiment with one scale, by default of our own small models whose outcomes are kept."""
    lesson = _scale(arms, seeds, *(told or OURS), **{"ends_only": True, **options})
    return run, {"lesson": lesson}, report


WHOLE: dict[str, Any] = {"report": last_values, "ends_only": False}
"""How ``_small`` keeps an experiment whose curves are shown."""


def _hard_and_easy(hard: copying.CopyingConfig, vocab: int) -> dict[str, copying.CopyingConfig]:
    return {"hard": hard, "easy": replace(hard, vocab=vocab)}


def _orders(head: heads.HeadsConfig) -> dict[str, heads.HeadsConfig]:
    return {f"order-{order}": replace(head, data_seed=order) for order in (1, 2, 3)}


_ENTRIES: dict[str, Entry] = {
    "uniform_translation": (
        translation.uniform_translation,
        {"short": _scale({"multi30k": translation.UniformTranslation()}, 4, "translator", "ours")},
        last_values,
    ),
    "classification": (
        classification.run_classification,
        {
            "paper": _large(
                classification.classifications(),
                *(1, "seeds: 6 to 11 (12 to 17, 20)", "classification"),
                own={"imdb": _said("long_texts")},
            ),
            "paper-sms": _scale(
                {"sms_spam": classification.classifications()["sms_spam"]},
                *(1, "seeds: 6 to 11 (12 to 17, 20)", "classification"),
            ),
            "left-to-right": _scale(
                classification.short_classifications(bidirectional=False),
                *(2, "classification", "short_texts", "the encoder reads from left to right only"),
            ),
            "both-ways": _scale(
                classification.short_classifications(bidirectional=True),
                *(2, "classification", "short_texts"),
            ),
        },
        comparisons,
    ),
    "translation": (
        translation.run_translation,
        {
            "full-size": _large(
                *(translator.translators(), 1, "full_size"),
                run=translator.run_translator,
                own={"ja-en": _said("japanese")},
            ),
            "full-size-captions": _scale(
                *({"de-en": translator.translators()["de-en"]}, 1, "full_size"),
                run=translator.run_translator,
            ),
            "short": _scale(
                *(translation.translations(), 2, *CAPTIONS, "scaled", "blocks"),
                "corpora: Multi30k German-English both ways, Czech-English, and an embedded corpus "
                "(Multi30k German-English among five)",
            ),
        },
        comparisons,
    ),
    "words_first_translation": _small(
        *(words_first.run_words_first, words_first.words_given(), 6, "ours", *CAPTIONS, ALONE),
        **WHOLE,
    ),
    "hard_distribution": (
        copying.run_copying,
        {
            "paper": _scale(
                _hard_and_easy(copying.PAPER, 60), 24, "seeds: 1 to 24 (0 to 19)", "copies"
            ),
            "lesson": _scale(_hard_and_easy(copying.SMALL, 24), 48, "small", "copies"),
            "bfloat16": _scale(
                {"hard": replace(copying.PAPER, bfloat16=True)},
                *(16, "bfloat16", "seeds: 1 to 16 (0 to 19)", "copies"),
            ),
        },
        branches,
    ),
    "other_seeds": _small(
        *(copying.run_copying, _hard_and_easy(copying.SMALL, 24), range(101, 149)),
        *("small", "copies"),
        ends_only=False,
    ),
    "knife_edge": (
        copying.run_copying,
        {
            "lesson": _scale(copying.phases(), 12, *OURS, ends_only=True),
            "full-size": _scale({"one-spare-word": replace(copying.PAPER, vocab=41)}, 12, "ours"),
        },
        branches,
    ),
    "forks": (
        copying.run_forked,
        {
            "lesson": _scale(copying.forks(), 6, *OURS, ends_only=True),
            # At the paper's size other inputs from the start, followed until the sign is plain.
            "full-size": _scale(
                copying.forks(replace(copying.PAPER, steps=60), (0,)), 3, "ours", ends_only=True
            ),
        },
        branches,
    ),
    "heads": _small(copying.run_copying, copying.several_heads(), 32, "small", "heads"),
    "head_starts": (
        heads.run_heads,
        {
            "lesson": _scale(_orders(heads.ONE_HEAD), 64, "small", "heads", ends_only=True),
            "bfloat16": _scale(
                *(_orders(heads.PAPER_HEAD), 24, "bfloat16", "heads"),
                "seeds: 24 heads (as many as it takes to find 20 good and 20 bad ones)",
            ),
        },
        branches,
    ),
    "head_mix": (
        heads.run_heads,
        {
            "lesson": _scale(heads.assembled(), 50, "small", "heads", "mixed", ends_only=True),
            "bfloat16": _scale(
                *(heads.assembled_at_size(), 16, "bfloat16", "heads", "mixed"),
                "seeds: 16 models each, of 24 heads (theirs: of 20 bad, 20 good and 30 others)",
            ),
        },
        branches,
    ),
    "head_controls": _small(heads.run_heads, heads.head_controls(), 24),
    "odds": _small(copying.run_copying, copying.odds(), 32),
    "ktiw_first": _small(interventions.run_intervention, interventions.ktiw_first(), 24),
    "attention_held": _small(interventions.run_intervention, interventions.attention_held(), 24),
    "query_rates": _small(interventions.run_intervention, interventions.query_rates(), 24),
    "asymmetry": _small(
        interventions.run_intervention, interventions.asymmetry(), 24, report=last_values
    ),
    "ladder": _small(ladder.run_ladder, ladder.rungs(), 24),
    "local_query_rates": _small(ladder.run_ladder, ladder.local_query_rates(), 24),
    "transformers": _small(transformer.run_optimized, transformer.transformers(), 24),
    "descents": _small(transformer.run_optimized, transformer.descents(), 24),
    "mirror_pairs": _small(mirror.run_pair, mirror.pairs(), range(2001, 2097)),
    "turned_heads": (
        mirror.run_turned,
        {
            "lesson": _scale(mirror.turned_heads(heads.ONE_HEAD), 64, *OURS, ends_only=True),
            "bfloat16": _scale(
                mirror.turned_heads(heads.PAPER_HEAD, orders=(2001,)), 24, "ours", "bfloat16"
            ),
        },
        branches,
    ),
    "turned_models": _small(mirror.run_turned, mirror.turned_models(), range(2001, 2051)),
    "carried": _small(carried.run_carried, carried.carried(), range(2101, 2149)),
    "carried_controls": _small(carried.run_controlled, carried.controlled(), range(2101, 2149)),
    "translated": _small(
        *(translated.run_translated, translated.translated(), range(2201, 2207)),
        *("ours", *CAPTIONS, "scaled", "two heads (one)", ALONE),
        **WHOLE,
    ),
    "dead_words": _small(starts.run_dead, starts.dead_words(), 16),
    "starts": (
        starts.run_start,
        {
            "lesson": _scale(starts.starts(), 12, *OURS, ends_only=True),
            "heads": _scale({"head": heads.ONE_HEAD}, 64, *OURS),
            "L-40": _scale({"hard": copying.PAPER}, 24, "ours"),
        },
        last_values,
    ),
    "followed": _small(starts.run_followed, starts.followed(), 8, **WHOLE),
    "images": _small(starts.run_images, starts.followed(), 8, **WHOLE),
    "carriers": _small(dark.run_carriers, dark.carriers_of(), 12),
}
REGISTRY: Mapping[str, Experiment] = {
    name: Experiment(WORDS["questions"][name], *entry) for name, entry in _ENTRIES.items()
}
"""Name -> experiment. A record is found under name, scale and arm."""

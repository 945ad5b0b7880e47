"""The experiments behind the book: what each asks, of which seeds, and how it is summed up.

Settings were chosen on seeds from 1000 on; these are others. Words are in ``catalogue.toml``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
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
WORDS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
"""What is said of experiments: their ``questions``, and groups of ``deviations`` by name."""


def last_values(records: Mapping[str, Record], *, unit: str = "seed") -> pd.DataFrame:
    """Mean over seeds of each metric's last value with Student's t interval, a column an arm.

    Of what was run in blocks, the mean is over the runs of all blocks (``unit`` is "run").
    """

    def said(values: pd.Series[float]) -> str:
        return str(seed_interval(values)) if len(values) > 1 else f"{values.iloc[0]:.3f}"

    found = {}
    for arm, record in records.items():
        rows = record.frame() if unit == "seed" else outcomes.by_run(record.frame())
        last = rows.sort_values("step").groupby(["metric", unit])["value"].last()
        found[arm] = last.drop("stopped_early", errors="ignore").groupby("metric").agg(said)
    return pd.DataFrame(found)


comparisons = partial(last_values, unit="run")


def branches(records: Mapping[str, Record]) -> pd.DataFrame:
    """How many runs of each arm took which branch, with Wilson intervals, and when they copied."""
    ends = outcomes.of_runs(frame(records))
    rows: dict[str, dict[str, Any]] = {}
    for arm in records:
        runs = ends.loc[arm]
        kinds = {kind: runs[runs["branch"] == kind] for kind in outcomes.BRANCHES}
        counts = {kind: len(found) for kind, found in kinds.items()}
        share, solved = proportion_interval(counts["aligned"], len(runs)), runs["solved"].sum()
        rows[arm] = {"n": len(runs), "share aligned": str(share), **counts, "solved": solved}
        for kind in outcomes.BRANCHES[:2]:
            rows[arm][f"median step {kind}"] = kinds[kind].query("solved")["step"].median()
    return pd.DataFrame(rows).T


@dataclass(frozen=True)
class Scale:
    """An experiment at one size."""

    run: Run  #: one run from one seed: ``(config, seed) -> History``
    arms: Arms  #: what is compared: name -> configuration
    seeds: tuple[int, ...]  #: those of every arm. Settings were chosen on other seeds.
    ends_only: bool = False  #: whether records keep the first and last step only, to be small
    #: from the authors' set-up: groups of ``WORDS``, or text, with ``{field}`` for one of the
    #: configuration. A scale is called ``paper`` only if all of them begin with "seeds:" or
    #: "corpora:"; those that begin with "measured:" do not change what is trained
    deviations: tuple[str, ...] = ()
    own: Mapping[str, str] = field(default_factory=dict)  #: a further one of some arms

    def told(self, arm: str) -> tuple[str, ...]:
        """The deviations of an arm, in words."""
        fields, own = self.arms[arm].to_dict(), [self.own[arm]] if arm in self.own else []
        groups = (WORDS["deviations"].get(one, [one]) for one in (*self.deviations, *own))
        return tuple(point.format(**fields) for group in groups for point in group)


@dataclass(frozen=True)
class Experiment:
    """An experiment that can be run by name."""

    question: str  #: what it answers, in one line
    scales: Mapping[str, Scale]  #: by name; the first is taken where none is named
    report: Report  #: table of the outcomes, from the arms' records


def _scale(
    arms: Arms, seeds: int | range, *told: str, run: Run = copying.run_copying, **options: Any
) -> Scale:
    """A scale with so many seeds from 1 on, or with others."""
    seeds = range(1, seeds + 1) if isinstance(seeds, int) else seeds
    return Scale(run, arms, tuple(seeds), deviations=told, **options)


def _small(arms: Arms, seeds: int | range, *told: str, **options: Any) -> Scale:
    """The same, by default of our own small copiers whose outcomes are kept."""
    return _scale(arms, seeds, *(told or OURS), **{"ends_only": True, **options})


OURS = ("ours", "small")
CAPTIONS = ("captions", "translator")
ALONE = "measured: on {reported_on} pairs, each run by itself"
THEIR_SEEDS = "seeds: {runs} and on (12 to 17, 20)"


def _hard_and_easy(hard: copying.CopyingConfig, vocab: int) -> dict[str, copying.CopyingConfig]:
    return {"hard": hard, "easy": replace(hard, vocab=vocab)}


def _orders(head: heads.HeadsConfig) -> dict[str, heads.HeadsConfig]:
    return {f"order-{order}": replace(head, data_seed=order) for order in (1, 2, 3)}


_classified = partial(_scale, run=classification.run_classification)
_intervened = partial(_small, run=interventions.run_intervention)
_at_size = partial(_scale, run=translator.run_translator, own={"ja-en": "japanese"})
_started = partial(_scale, run=starts.run_start)
_SCALES = {
    "uniform_translation/short": _scale(
        *({"multi30k": translation.UniformTranslation()}, 4, "translator", "ours"),
        run=translation.uniform_translation,
    ),
    "classification/full-size": _classified(
        *(classification.classifications(), 1, THEIR_SEEDS, "classification"),
        own={"imdb": "long_texts"},
    ),
    "classification/left-to-right": _classified(
        classification.short_classifications(bidirectional=False),
        *(2, "classification", "short_texts", "the encoder reads from left to right only"),
    ),
    "classification/both-ways": _classified(
        classification.short_classifications(bidirectional=True),
        *(2, "classification", "short_texts"),
    ),
    "translation/full-size": _at_size(translator.translators(), 2, "full_size"),
    "translation/short": _scale(
        *(translation.translations(), 2, *CAPTIONS, "scaled", "blocks", "short_pairs"),
        "corpora: Multi30k German-English both ways, Czech-English, and an embedded corpus "
        "(Multi30k German-English among five)",
        run=translation.run_translation,
    ),
    "words_first_translation/lesson": _scale(
        *(words_first.words_given(), 6, "ours", *CAPTIONS, ALONE), run=words_first.run_words_first
    ),
    "hard_distribution/full-size": _scale(
        _hard_and_easy(copying.PAPER, 60), 24, "seeds: 1 to 24 (0 to 19)", "copies"
    ),
    "hard_distribution/lesson": _scale(_hard_and_easy(copying.SMALL, 24), 48, "small", "copies"),
    "hard_distribution/bfloat16": _scale(
        {"hard": replace(copying.PAPER, bfloat16=True)},
        *(16, "bfloat16", "seeds: 1 to 16 (0 to 19)", "copies"),
    ),
    "other_seeds/lesson": _scale(
        _hard_and_easy(copying.SMALL, 24), range(101, 149), "small", "copies"
    ),
    "knife_edge/lesson": _small(copying.phases(), 12),
    "knife_edge/full-size": _scale(
        {"one-spare-word": replace(copying.PAPER, vocab=41)}, 12, "ours"
    ),
    "forks/lesson": _small(copying.forks(), 6),
    # At the paper's size other inputs from the start, followed until the sign is plain.
    "forks/full-size": _small(copying.forks(replace(copying.PAPER, steps=60), (0,)), 3, "ours"),
    "heads/lesson": _small(copying.several_heads(), 32, "small", "heads", "bodies"),
    "head_starts/lesson": _small(_orders(heads.ONE_HEAD), 64, "small", "heads"),
    "head_starts/bfloat16": _scale(
        *(_orders(heads.PAPER_HEAD), 24, "bfloat16", "heads"),
        "seeds: 24 heads (as many as it takes to find 20 good and 20 bad ones)",
    ),
    "head_starts/full-size": _scale(
        {"order-1": replace(heads.PAPER_HEAD, data_seed=1, bfloat16=False)},
        *(16, "heads", "seeds: 1 to 16, as many as the comparison with bfloat16 needs"),
    ),
    "head_mix/lesson": _small(heads.assembled(), 50, "small", "heads", "mixed"),
    "head_mix/bfloat16": _scale(
        *(heads.assembled_at_size(), 16, "bfloat16", "heads", "mixed"),
        "seeds: 16 models each, of 24 heads (theirs: of 20 bad, 20 good and 30 others)",
    ),
    "head_controls/lesson": _small(heads.head_controls(), 24),
    "odds/lesson": _small(copying.odds(), 32),
    "ktiw_first/lesson": _intervened(interventions.ktiw_first(), 24),
    "attention_held/lesson": _intervened(interventions.attention_held(), 24),
    "query_rates/lesson": _intervened(interventions.query_rates(), 24),
    "asymmetry/lesson": _intervened(interventions.asymmetry(), 24),
    "ladder/lesson": _small(ladder.rungs(), 24),
    "local_query_rates/lesson": _small(ladder.local_query_rates(), 24),
    "transformers/lesson": _small(transformer.transformers(), 24),
    "descents/lesson": _small(transformer.descents(), 24),
    "mirror_pairs/lesson": _small(mirror.pairs(), range(2001, 2097)),
    "turned_heads/lesson": _small(mirror.turned_heads(heads.ONE_HEAD), 64),
    "turned_heads/bfloat16": _scale(
        *(mirror.turned_heads(heads.PAPER_HEAD, orders=(2001,)), 24, "ours", "bfloat16"),
    ),
    "turned_models/lesson": _small(mirror.turned_models(), range(2001, 2051)),
    "carried/lesson": _small(carried.carried(), range(2101, 2149)),
    "carried_controls/lesson": _small(carried.controlled(), range(2101, 2149)),
    "translated/lesson": _scale(
        *(translated.translated(), range(2201, 2207), "ours", *CAPTIONS, "scaled"),
        *("two heads (one)", ALONE),
        run=translated.run_translated,
    ),
    "dead_words/lesson": _small(starts.dead_words(), 16),
    "starts/lesson": _started(starts.starts(), 12, *OURS, ends_only=True),
    "starts/heads": _started({"head": heads.ONE_HEAD}, 64, *OURS),
    "starts/L-40": _started({"hard": copying.PAPER}, 24, "ours"),
    "followed/lesson": _scale(starts.followed(), 8, *OURS, run=starts.run_followed),
    "images/lesson": _scale(starts.followed(), 8, *OURS, run=starts.run_images),
    "carriers/lesson": _small(dark.carriers_of(), 12, run=dark.run_carriers),
}
"""``NAME/SCALE``, as records lie, -> what is run."""
VALUES = (
    *("uniform_translation", "words_first_translation", "asymmetry", "translated"),
    *("starts", "followed", "images"),
)
REPORTS: dict[str, Report] = dict.fromkeys(("classification", "translation"), comparisons)
REPORTS |= dict.fromkeys(VALUES, last_values)
"""Where it is not ``branches``."""
REGISTRY: Mapping[str, Experiment] = {
    name: Experiment(
        question,
        {key.partition("/")[2]: one for key, one in _SCALES.items() if key.startswith(f"{name}/")},
        REPORTS.get(name, branches),
    )
    for name, question in WORDS["questions"].items()
}
"""Name -> experiment. A record is found under name, scale and arm."""

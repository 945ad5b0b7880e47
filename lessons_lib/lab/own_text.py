"""Your own text in one call: train on it, probe the models, get the agreement table."""

import random
import textwrap
import tomllib
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import regex

from lessons_lib import training
from lessons_lib.config import refuse
from lessons_lib.corpora.files import LabelledCorpus, ParallelCorpus
from lessons_lib.corpora.vocabulary import words
from lessons_lib.lab import classification, outcomes, translation
from lessons_lib.tasks import UNK, Batch

LEAST = 50
"""Fewer texts or pairs leave a handful to measure on, and a table of noise."""
ROWS: Mapping[str, str] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
"""Metric and meaning, short enough for 80 columns. ``A(u,v)``: u, foretold by v; alpha is trained
attention, and the twin is the uniform model of the same seed."""
# Longer than a word: what is written without blanks and was not cut.
_UNCUT = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}]{5}|[\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]{13}"
)


@dataclass(frozen=True, repr=False)
class OwnText:
    """What a corpus gave; it is printed as the notice and the table."""

    #: a row for each quantity of ``ROWS``: mean, lowest and highest run, number of runs, meaning
    table: pd.DataFrame
    chance: float  #: agreement that no knowledge gives
    history: training.History  #: all that was measured, at each checkpoint; see ``blocks.compare``
    notice: str  #: how much was learned from and reported on, what was left out, what was shortened

    def __repr__(self) -> str:
        numbers = self.table.to_string(float_format="{:.3f}".format)
        return f"{textwrap.fill(self.notice, 80)}\nchance: {self.chance:.3f}\n{numbers}"


def agreement_table(
    corpus: ParallelCorpus | LabelledCorpus,
    *,
    steps: int = 400,
    runs: int = 2,
    seed: int = 1,
    progress: bool = True,
    **settings: Any,
) -> OwnText:
    """Train models on a corpus, probe them and compare them as the paper does.

    Different texts or pairs are shuffled and split 80:10:10: to learn from, to choose checkpoints
    on, to report on. Of what repeats the first one counts, and pairs with a sentence of an earlier
    part are left out. Each run is trained once with learned and once with uniform attention.

    Args:
        corpus: from ``files.read_parallel`` or ``files.read_labelled``.
        steps: updates of each model. Watch ``history`` for whether they were enough.
        runs: ordinary runs, two or more; each is compared with the others.
        seed: of the split and of the runs.
        progress: whether to show progress bars.
        settings: other fields of ``translation.Translation`` (pairs) or
            ``classification.Classification`` (texts), above all ``max_words`` (longer pairs are
            left out, longer texts lose their end), ``vocab_size``, ``chosen_on``, ``reported_on``,
            and ``positive``, the class that is set against the others, by default the last.

    Warns:
        UserWarning: most words to report on do not occur among those learned from.

    Raises:
        ValueError: fewer than ``LEAST`` different texts or pairs, or a handful of them to measure
            on; texts that are not cut into words; a part of the split without a class.
    """
    refuse({f"two runs or more, to compare them, found {runs}": runs < 2})
    settings |= {"runs": runs, "steps": steps}
    if isinstance(corpus, LabelledCorpus):
        return _labelled(corpus, settings, seed, progress)
    if isinstance(corpus, ParallelCorpus):
        return _parallel(corpus, settings, seed, progress)
    raise TypeError(
        f"expected a corpus from read_parallel or read_labelled, found {type(corpus).__name__}; "
        "read your files with one of these first"
    )


def _labelled(corpus: LabelledCorpus, settings: dict[str, Any], seed: int, bars: bool) -> OwnText:
    looks = tuple(s for s in classification.SHORT_CHECKPOINTS if s < settings["steps"])
    usual = {"corpus": corpus.name, "positive": corpus.classes[-1], "ends": True}
    usual |= {"uniform_runs": settings["runs"], "checkpoints": looks}
    config = classification.short(**{**usual, "d_embed": 128, "d_hidden": 128, **settings})
    split, said = _split([corpus.texts], config.max_words, seed)
    parts = (replace(corpus, **_at(rows, corpus, "texts", "labels")) for rows in split)
    ready = classification.prepare(config, *parts)
    history = classification.compare_classifiers(config, ready, seed, progress=bars)
    return _summed_up(f"{corpus.name}: {said}", ready, history)


def _parallel(corpus: ParallelCorpus, settings: dict[str, Any], seed: int, bars: bool) -> OwnText:
    looks = tuple(s for s in translation.CHECKPOINTS if s < settings["steps"])
    languages = corpus.name, corpus.source_language, corpus.target_language
    config = replace(translation.Translation(*languages, checkpoints=looks), **settings)
    split, said = _split([corpus.source, corpus.target], config.max_words, seed)
    sides = ("source", "target", *(("alignment",) if corpus.alignment else ()))
    train, val, test = (replace(corpus, **_at(rows, corpus, *sides)) for rows in split)
    ready = translation.prepare_pairs(config, train, val, test, None)
    history = translation.compare_translators(config, ready, seed, progress=bars)
    return _summed_up(f"{corpus.name}: {said}", ready, history)


def _at(rows: Sequence[int], corpus: object, *fields: str) -> dict[str, Any]:
    """Some fields of a corpus, at some positions."""
    return {name: tuple(getattr(corpus, name)[i] for i in rows) for name in fields}


def _split(
    sides: Sequence[Sequence[str]], most: int | None, seed: int
) -> tuple[list[list[int]], str]:
    """Positions to learn from, to choose on, to report on, and what became of the others.

    No sentence stands in two parts. Of each side ``most`` words count: a longer text loses its end,
    a longer pair is left out.
    """
    pieces = [[tuple(words(line)) for line in side] for side in sides]
    for side, cut in zip(sides, pieces, strict=True):
        _refuse_uncut(side, cut)
    kept: dict[tuple[tuple[str, ...], ...], int] = {}
    others: Counter[str] = Counter()
    for i, item in enumerate(zip(*pieces, strict=True)):
        seen = tuple(side[:most] for side in item)  # by the models
        if not all(item):
            others["without a word left out"] += 1
        elif seen != item and len(sides) > 1:
            others[f"longer than max_words={most} left out"] += 1
        elif seen in kept:
            others["that repeat another left out"] += 1
        else:
            kept[seen] = i
            others[f"shortened to max_words={most}"] += seen != item
    order = list(kept.items())
    random.Random(seed).shuffle(order)
    parts, known = list[list[int]](), set[tuple[str, ...]]()
    for start, end in pairwise((0, len(order) * 8 // 10, len(order) * 9 // 10, len(order))):
        fresh = {item: i for item, i in order[start:end] if known.isdisjoint(item)}
        known.update(chain.from_iterable(fresh))
        parts.append([*fresh.values()])
    others["with a sentence of an earlier part left out"] = len(kept) - sum(map(len, parts))
    total, longest = len(pieces[0]), max((len(cut) for side in pieces for cut in side), default=0)
    what = "".join(f", {number} {why}" for why, number in (+others).items())
    said = f"{total} texts or pairs{what}, the longest has {longest} words"
    if len(kept) < LEAST or min(map(len, parts)) < LEAST // 10:
        raise ValueError(
            f"expected at least {LEAST} texts or pairs, {LEAST // 10} in each part, found "
            f"{len(kept)}, in parts of {[*map(len, parts)]} ({said}); bring more, or set "
            "max_words=..."
        )
    return parts, said


def _refuse_uncut(lines: Sequence[str], cut: Sequence[Sequence[str]]) -> None:
    single = sum(sum(word[0].isalnum() for word in item) < 2 for item in cut if item)
    uncut = sum(_UNCUT.search(line) is not None for line in lines)
    if 2 * max(single, uncut) > sum(map(bool, cut)):
        raise ValueError(
            f"expected sentences of several words with blanks between them, found {single} of one "
            f"word and {uncut} of a script without blanks among {len(lines)}, such as "
            f"{max(lines, key=len)[:40]!r}. If the language is written like that, put blanks "
            "between its words with a tokeniser for it (such as jieba, fugashi or pythainlp), or "
            "between pieces of words with sentencepiece, and read that file"
        )


def _summed_up(
    said: str, ready: classification.Prepared | translation.Pairs, history: training.History
) -> OwnText:
    last = history.frame().assign(seed=0)
    single = outcomes.by_run(last[last["step"] == last["step"].max()]).groupby("metric")["value"]
    table = single.agg(mean="mean", lowest="min", highest="max", runs="size")
    table = table.reindex([m for m in ROWS if m in table.index]).rename_axis(None)
    table = table.assign(meaning=table.index.map(ROWS))
    held_out = ready.held_out
    notice = (
        f"{said}. Learned from {len(ready.train)}, checkpoints chosen on {held_out.choosing}, "
        f"reported on {len(held_out.batch[held_out.shown])}."
    )
    unseen = held_out.batch[: len(held_out.batch) - held_out.seen]
    for side in ("source", "target") if isinstance(unseen, Batch) else ("source",):
        numbers = getattr(unseen, side)
        share = float((numbers == UNK).sum() / (numbers >= UNK).sum())
        if share > 0.5:
            warnings.warn(
                f"{share:.0%} of the {side} words to report on do not occur among those learned "
                "from, so that the table says little. Bring more text, allow a larger "
                "vocab_size=..., or cut words into pieces with sentencepiece",
                stacklevel=4,
            )
    return OwnText(table, history.last("chance"), history, notice)

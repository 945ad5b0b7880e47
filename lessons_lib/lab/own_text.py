"""Your own text in one call: train on it, probe the models, get the agreement table."""

import random
import textwrap
import warnings
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import regex
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lessons_lib import training
from lessons_lib.corpora.files import LabelledCorpus, ParallelCorpus
from lessons_lib.corpora.vocabulary import words
from lessons_lib.lab import blocks, classification, outcomes, translation

LEAST = 50
"""Fewer texts or pairs leave a handful to measure on, and a table of noise."""
NOTABLE = 0.1
"""A larger share that is left out or shortened is worth a warning."""
ROWS: Mapping[str, str] = {
    "A(alpha,uf)": "by the uniform model",
    "A(alpha,twin)": "by its uniform twin",
    "A(uf,px)": "uf by the bag of words",
    "A(delta,uf)": "saliency, by uniform",
    "A(alpha,px)": "by the bag of words",
    "A(alpha,lr)": "by logistic regression",
    "A(alpha,m1)": "by IBM Model 1",
    "A(alpha,last)": "by the last words",
    "A(alpha,first)": "by the first words",
    "A(alpha,end)": "by the end symbol",
    "A(alpha,diagonal)": "by relative position",
    "A(alpha,shuffled)": "by others, shuffled",
    "tau(alpha,uf)": "Kendall's tau",
    "xi": "where the curve passes",
    "xi*": "performance at alpha",
    "accuracy": "performance at the end",
    "uniform/accuracy": "the same, uniform runs",
}
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
    positive: str | None = None,
    progress: bool = True,
    **settings: Any,
) -> OwnText:
    """Train models on a corpus, probe them and compare them as the paper does.

    Different texts or pairs are shuffled and split 80:10:10: to learn from, to choose checkpoints
    on, to report on. Of what repeats the first one counts, and pairs that share a sentence stay
    together. Each run is trained once with learned and once with uniform attention. So many
    parameters, because it is the one call of a reader, who may change any of them, or none.

    Args:
        corpus: from ``files.read_parallel`` or ``files.read_labelled``.
        steps: updates of each model. Watch ``history`` for whether they were enough.
        runs: ordinary runs, two or more; each is compared with the others.
        seed: of the split and of the runs.
        positive: for labelled texts the class that is set against the others; the last if ``None``.
        progress: whether to show progress bars.
        settings: other fields of ``translation.Translation`` (pairs) or
            ``classification.Classification`` (texts), above all ``max_words`` (longer pairs are
            left out, longer texts lose their end), ``vocab_size``, ``chosen_on``, ``reported_on``.

    Raises:
        ValueError: fewer than ``LEAST`` different texts or pairs, texts that are not cut into
            words, or a part of the split without a class.

    Warns:
        UserWarning: more than a tenth was left out or shortened.
    """
    settings |= {"runs": runs, "steps": steps, **({"positive": positive} if positive else {})}
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
    split = _split([corpus.texts], config.max_words, seed, shorten=True)
    parts = [replace(corpus, **_at(rows, corpus, "texts", "labels")) for rows in split.parts]
    ready = classification.prepare(config, *parts)
    notice = split.said(corpus.name, ready.held_out)
    history = classification.compare_classifiers(config, ready, seed, progress=bars)
    return _summed_up(history, notice)


def _parallel(corpus: ParallelCorpus, settings: dict[str, Any], seed: int, bars: bool) -> OwnText:
    looks = tuple(s for s in translation.CHECKPOINTS if s < settings["steps"])
    languages = corpus.name, corpus.source_language, corpus.target_language
    config = replace(translation.Translation(*languages, checkpoints=looks), **settings)
    split = _split([corpus.source, corpus.target], config.max_words, seed, shorten=False)
    sides = ("source", "target", *(("alignment",) if corpus.alignment else ()))
    train, val, test = (replace(corpus, **_at(rows, corpus, *sides)) for rows in split.parts)
    ready = translation.prepare_pairs(config, train, val, test, None)
    notice = split.said(corpus.name, ready.held_out)
    history = translation.compare_translators(config, ready, seed, progress=bars)
    return _summed_up(history, notice)


def _at(rows: Iterable[int], corpus: object, *fields: str) -> dict[str, Any]:
    """Some fields of a corpus, at some positions."""
    return {name: tuple(getattr(corpus, name)[i] for i in rows) for name in fields}


@dataclass(frozen=True)
class _Split:
    """Positions to learn from, to choose on, to report on; and what became of the others."""

    parts: list[list[int]]
    total: int
    left_out: Counter[str]
    shortened: int
    longest: int

    def said(self, name: str, held_out: blocks.HeldOut[Any]) -> str:
        """The notice; a warning, too, where much is concerned."""
        report = len(range(len(held_out.batch))[held_out.shown])
        what = [f"{number} {why} left out" for why, number in self.left_out.items()]
        if self.shortened:
            what.append(f"{self.shortened} shortened")
        if limited := self.shortened or any("max_words" in why for why in self.left_out):
            what.append(f"the longest has {self.longest} words")
        notice = (
            f"{name}: {self.total} texts or pairs{''.join(f', {part}' for part in what)}. Learned "
            f"from {len(self.parts[0])}, checkpoints chosen on {held_out.choosing}, reported on "
            f"{report}."
        )
        if max([*self.left_out.values(), self.shortened]) > NOTABLE * self.total:
            advice = " max_words=... sets another limit." if limited else ""
            warnings.warn(notice + advice, stacklevel=4)
        return notice


def _split(sides: Sequence[Sequence[str]], most: int | None, seed: int, *, shorten: bool) -> _Split:
    """What can be used, split 80:10:10 so that no sentence stands in two parts.

    Of each side ``most`` words count: what is longer loses its end, or is left out.
    """
    pieces = [[tuple(words(line)) for line in side] for side in sides]
    for side, cut in zip(sides, pieces, strict=True):
        _refuse_uncut(side, cut)
    kept: dict[tuple[tuple[str, ...], ...], int] = {}
    left_out: Counter[str] = Counter()
    shortened = 0
    for i, item in enumerate(zip(*pieces, strict=True)):
        long = most is not None and max(map(len, item)) > most
        seen = tuple(side[:most] for side in item)  # by the models
        if not all(item):
            left_out["without a word"] += 1
        elif long and not shorten:
            left_out[f"longer than max_words={most}"] += 1
        elif seen in kept:
            left_out["that repeat another"] += 1
        else:
            kept[seen] = i
            shortened += long
    groups = _sharing(list(kept))
    longest = max((len(cut) for side in pieces for cut in side), default=0)
    if len(groups) < LEAST:
        why = "".join(f", {number} {reason}" for reason, number in left_out.items())
        raise ValueError(
            f"expected at least {LEAST} texts or pairs, found {len(groups)} that share no sentence "
            f"(of {len(pieces[0])}{why}; the longest has {longest} words); bring more, or set "
            "max_words=..."
        )
    random.Random(seed).shuffle(groups)
    groups.sort(key=lambda group: len(group) <= len(kept) // 10)  # large ones are learned from
    ends = len(groups) * 8 // 10, len(groups) * 9 // 10
    position = list(kept.values())
    parts = [
        [position[i] for group in part for i in group]
        for part in (groups[: ends[0]], groups[ends[0] : ends[1]], groups[ends[1] :])
    ]
    return _Split(parts, len(pieces[0]), left_out, shortened, longest)


def _sharing(items: Sequence[Sequence[Hashable]]) -> list[list[int]]:
    """Positions of items, those together that share a sentence with each other or a third one."""
    first: dict[Hashable, int] = {}
    links = [
        (i, first.setdefault(one, i)) for i, item in enumerate(items) for one in enumerate(item)
    ]
    size = len(items), len(items)
    graph = coo_array(([True] * len(links), tuple(zip(*links, strict=True))), shape=size)
    group = connected_components(graph, directed=False)[1]
    return pd.Series(range(len(items))).groupby(group).agg(list).tolist()


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


def _summed_up(history: training.History, notice: str) -> OwnText:
    last = history.frame().assign(seed=0)
    single = outcomes.by_run(last[last["step"] == last["step"].max()]).groupby("metric")["value"]
    table = single.agg(mean="mean", lowest="min", highest="max", runs="size")
    table = table.reindex([m for m in ROWS if m in table.index]).rename_axis(None)
    return OwnText(
        table.assign(meaning=table.index.map(ROWS)), history.last("chance"), history, notice
    )

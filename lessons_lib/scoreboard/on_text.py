"""Rows of the scoreboard on real text: what uniform attention learns, agreement, xi, what is first.

A row on several corpora has one main value: the mean over the corpora, with Student's t interval
over runs. Runs are aligned by name: run "1.0" of each corpus is averaged before. The runs of a
block are compared with each other, so their xi are not quite independent. The verdict asks each
corpus by itself: "supported" needs all of them, "in part" some.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from lessons_lib.lab import experiments
from lessons_lib.lab.results import ResultError
from lessons_lib.scoreboard.claim import (
    Claim,
    Loader,
    RealText,
    judge,
    make_claim,
    record_command,
    values,
)
from lessons_lib.stats import Interval, seed_interval

FAR = 2.0
"""So many times chance is "far above chance"."""
SAME = 0.01
"""Accuracies that differ by less are "the same performance": one percentage point."""
HIGH = 0.9
"""From this share of what training gains on, xi is "high"."""
SPREAD = 0.9
"""Attention as spread out as over this share of the positions is "nearly uniform"."""
LEVEL = 0.3
"""Share of output words on which KTIW and attention are compared, beside the half-rise."""
TEACHES = 0.8, 0.5
"""Shares of the best reference's words from which on a model "knows words", or some words."""

CLASSIFICATION, TRANSLATION = "evidence: classification", "evidence: translation"


def cooccurrence_teaches_words(load: Loader = experiments.load) -> Claim:
    """Words of Multi30k that a model knows whose attention is frozen uniform.

    Supported if the lower end of the interval is at least 0.8 of what the better of two references
    knows that see co-occurrence only (bag-of-words proxy, IBM Model 1), in part if at least 0.5.
    """
    experiment, scale = "uniform_translation", "paper"
    records = load(experiment, scale)
    remedy = record_command(experiment, scale)
    if "multi30k" not in records:
        raise ResultError(f"no record multi30k in {experiment}; make it again with: {remedy}")
    record = records["multi30k"]
    value = seed_interval(values(record, "words", remedy))
    proxy, model1 = (values(record, f"{name}/words", remedy).mean() for name in ("proxy", "model1"))
    best = max(proxy, model1)
    return make_claim(
        "cooccurrence-teaches-words",
        3,
        "two stages",
        "With uniform attention, which leaves co-occurrence alone, a model learns which words "
        "translate each other.",
        ours=f"frequent words whose best translation is in the dictionary: {value.estimate:.2f}; "
        f"with co-occurrence only: proxy {proxy:.2f}, Model 1 {model1:.2f}",
        value=value,
        what="share of frequent words whose best translation is in the dictionary",
        over="runs",
        runs=value.n,
        verdict=judge([value.low >= TEACHES[0] * best], [value.low >= TEACHES[1] * best]),
        rule=f"supported if the interval lies above {TEACHES[0]} of the better reference, in part "
        f"if above {TEACHES[1]} of it",
    )


def uniform_classifier_foretells(load: Loader = experiments.load) -> Claim:
    """A(alpha, beta^uf) against chance and against a guess at the last words, classification.

    Supported if, in every corpus, the lower end of the interval over runs is above twice chance
    and that of the difference to A(alpha, last) above zero; in part if some corpus is above twice
    chance. An LSTM collects what it reads, so that late positions know most: position alone can
    foretell attention.
    """
    return _agreement(
        RealText(load, "classification"),
        "A(alpha,uf)",
        rival="A(alpha,last)",
        row="uniform-classifier-foretells",
        part=CLASSIFICATION,
        claim="The probe of a classifier with uniform attention foretells where trained attention "
        "goes.",
    )


def uniform_translator_foretells(load: Loader = experiments.load) -> Claim:
    """A(alpha, beta^uf) against chance and against the diagonal, translation.

    Supported if, in every corpus, the lower end of the interval over runs is above twice chance
    and that of the difference to A(alpha, diagonal) above zero; in part if some corpus is above
    twice chance.
    """
    return _agreement(
        RealText(load, "translation"),
        "A(alpha,uf)",
        rival="A(alpha,diagonal)",
        row="uniform-translator-foretells",
        part=TRANSLATION,
        claim="The probe of a translation model with uniform attention foretells where trained "
        "attention goes.",
    )


def bag_foretells_uniform_classifier(load: Loader = experiments.load) -> Claim:
    """A(beta^uf, beta^px) against chance, classification; rule as for A(alpha, beta^uf)."""
    return _agreement(
        RealText(load, "classification"),
        "A(uf,px)",
        row="bag-foretells-uniform-classifier",
        part=CLASSIFICATION,
        claim="What a classifier with uniform attention knows of words is what a bag-of-words "
        "proxy learns.",
    )


def bag_foretells_uniform_translator(load: Loader = experiments.load) -> Claim:
    """A(beta^uf, beta^px) against chance, translation; supported if twice chance everywhere."""
    return _agreement(
        RealText(load, "translation"),
        "A(uf,px)",
        row="bag-foretells-uniform-translator",
        part=TRANSLATION,
        claim="What a translation model with uniform attention knows of words is what a "
        "bag-of-words proxy learns.",
    )


def uniform_classifier_foretells_saliency(load: Loader = experiments.load) -> Claim:
    """A(Delta, beta^uf) against chance, classification; rule as for A(alpha, beta^uf)."""
    return _agreement(
        RealText(load, "classification"),
        "A(delta,uf)",
        row="uniform-classifier-foretells-saliency",
        part=CLASSIFICATION,
        claim="The probe of a classifier with uniform attention foretells the gradient saliency of "
        "a trained one.",
    )


def uniform_translator_foretells_saliency(load: Loader = experiments.load) -> Claim:
    """A(Delta, beta^uf) against chance, translation; supported if twice chance everywhere."""
    return _agreement(
        RealText(load, "translation"),
        "A(delta,uf)",
        row="uniform-translator-foretells-saliency",
        part=TRANSLATION,
        claim="The probe of a translation model with uniform attention foretells the gradient "
        "saliency of a trained one.",
    )


def attention_is_on_salient_words(load: Loader = experiments.load) -> Claim:
    """A(alpha, logistic regression): words that speak for the label by their counts alone.

    Supported if the lower end of the interval over runs is above chance in every corpus.
    """
    return _agreement(
        RealText(load, "classification"),
        "A(alpha,lr)",
        times=1.0,
        maximum=False,
        row="attention-is-on-salient-words",
        part="the question",
        claim="Trained attention goes to words that speak for the label, though the loss does not "
        "ask for it.",
    )


def xi_is_high_in_classification(load: Loader = experiments.load) -> Claim:
    """Xi against xi*, above the share of the larger class.

    Of each run: ``(xi - guess)/(xi* - guess)`` with the share of the larger class as guess, kept
    in [0, 1]; 1 if the curve never passes A(alpha, beta^uf), and 0 if training gains nothing over
    the guess. Supported if the mean over runs is at least 0.9 in every corpus.
    """
    text = RealText(load, "classification")
    return _xi(text, "xi-is-high-in-classification", CLASSIFICATION, text.of_block("majority"))


def xi_is_high_in_translation(load: Loader = experiments.load) -> Claim:
    """Xi against xi*, the accuracy of the next token; as in classification, with a guess of 0."""
    text = RealText(load, "translation")
    nothing = pd.Series(0.0, index=list(text.corpora))
    return _xi(text, "xi-is-high-in-translation", TRANSLATION, nothing)


def uniform_attention_is_as_good(load: Loader = experiments.load) -> Claim:
    """Accuracy with learned attention less that with uniform attention, at the last step.

    Supported if the upper end of the interval over runs is at most 0.01 in every corpus: uniform
    attention is worse by a percentage point at most.
    """
    text = RealText(load, "classification")
    learned, uniform = text.each("accuracy"), text.each("uniform/accuracy")
    gap = learned - uniform
    told = (f"{c} {learned[c].mean():.3f} and {uniform[c].mean():.3f}" for c in text.corpora)
    return make_claim(
        "uniform-attention-is-as-good",
        4,
        "the question",
        "A classifier with uniform attention performs as well, so performance cannot say where a "
        "model attends.",
        ours=_list("accuracy with learned and with uniform attention", told),
        value=seed_interval(gap.mean(axis=1)),
        what=f"accuracy with learned less that with uniform attention, {_mean_of(text)}",
        over="runs",
        runs=text.runs,
        verdict=judge([seed_interval(gap[c]).high <= SAME for c in text.corpora]),
        rule=f"supported if uniform attention is worse by {SAME} at most in every corpus (upper "
        "end of its interval), in part if in some",
    )


def ktiw_comes_first(load: Loader = experiments.load) -> Claim:
    """Steps from the half-rise of KTIW to that of attention, both against the dictionary.

    Where there is no dictionary, against Model 1, which comes from co-occurrence itself. Supported
    if the lower end of the interval over runs is above zero in every corpus; in part if that holds
    in some corpus, or on a second yardstick: the lag at which both curves reach 0.3.
    """
    text = RealText(load, "translation")
    lag = text.each("lag")
    ends = {corpus: seed_interval(lag[corpus]) for corpus in text.corpora}
    levels = {corpus: _level_lag(text, corpus) for corpus in text.corpora}
    told = []
    for corpus, end in ends.items():
        told.append(f"{_judged(text, corpus)} {end.estimate:.0f} [{end.low:.0f}, {end.high:.0f}]")
        if (at := levels[corpus]) is not None:
            told[-1] += f" (at {LEVEL}: {at.estimate:.0f} [{at.low:.0f}, {at.high:.0f}])"
    first = [end.low > 0 for end in ends.values()]
    somehow = [
        f or (at is not None and at.low > 0) for f, at in zip(first, levels.values(), strict=True)
    ]
    return make_claim(
        "ktiw-comes-first",
        4,
        "two stages",
        "Knowledge of words rises before attention does.",
        ours=_list("steps from the half-rise of KTIW to that of attention", told),
        value=seed_interval(lag.mean(axis=1)),
        what=f"steps by which KTIW is ahead, {_mean_of(text)}",
        over="runs",
        runs=text.runs,
        verdict=judge(first, somehow),
        rule="supported if the interval lies above 0 in every corpus, in part if in some, or if "
        f"the lag at which both curves reach {LEVEL} is above 0 in some",
    )


def _level_lag(text: RealText, corpus: str) -> Interval | None:
    """Steps from KTIW to attention where each first reaches ``LEVEL``; None without curves."""
    kind = "gold" if text.has(corpus, "ktiw/gold") else "m1"
    if not all(text.has(corpus, f"{name}/{kind}") for name in ("ktiw", "attention")):
        return None
    ktiw, attention = (
        text.step_at(corpus, f"{name}/{kind}", LEVEL) for name in ("ktiw", "attention")
    )
    lags = (attention - ktiw).dropna()
    return seed_interval(lags) if len(lags) > 1 else None


def attention_is_uniform_early(load: Loader = experiments.load) -> Claim:
    """Spread of attention, exp(entropy)/L, when KTIW has half risen.

    Supported if the lower end of the interval over runs is at least 0.9 in every corpus.
    """
    text = RealText(load, "translation")
    spread = text.each("spread/at-ktiw")
    told = (f"{_judged(text, c)} {spread[c].mean():.2f}" for c in text.corpora)
    return make_claim(
        "attention-is-uniform-early",
        4,
        "two stages",
        "Attention is still almost uniform while knowledge of words is learned.",
        ours=_list("spread of attention (1: uniform) when KTIW has half risen", told),
        value=seed_interval(spread.mean(axis=1)),
        what=f"exp(entropy)/L of attention at the half-rise of KTIW, {_mean_of(text)}",
        over="runs",
        runs=text.runs,
        verdict=judge([seed_interval(spread[c]).low >= SPREAD for c in text.corpora]),
        rule=f"supported if the interval lies above {SPREAD} in every corpus, in part if in some",
    )


def _agreement(
    text: RealText,
    metric: str,
    *,
    row: str,
    part: str,
    claim: str,
    times: float = FAR,
    rival: str | None = None,
    maximum: bool = True,
) -> Claim:
    """A row on an agreement against chance, and against a rival's agreement if one is named."""
    found, chance = text.each(metric), text.of_block("chance")
    highest = text.each(f"{metric}/max") if maximum else None
    against = None if rival is None else text.each(rival)
    above, told = {}, []
    for corpus in text.corpora:
        above[corpus] = seed_interval(found[corpus]).low > times * chance[corpus]
        beside = "" if highest is None else f"maximum {highest[corpus].mean():.2f}, "
        beside += f"chance {chance[corpus]:.2f}"
        if against is not None:
            beside += f", position {against[corpus].mean():.2f}"
        told.append(f"{corpus} {found[corpus].mean():.2f} ({beside})")
    held = dict(above)
    if against is not None:
        ahead = found - against
        held = {c: above[c] and seed_interval(ahead[c]).low > 0 for c in text.corpora}
    bound = "chance" if times == 1 else f"{times:g} times chance"
    rule = f"supported if the interval lies above {bound} in every corpus, in part if in some"
    if rival is not None:
        rule = (
            f"supported if in every corpus the interval lies above {bound} and that of the "
            f"difference to {rival} above 0; in part if some corpus is above {bound}"
        )
    ours = _list(metric, told)
    if rival is not None:
        ours += f"; position: {rival}, a guess that knows no words"
    if highest is not None:
        ours += "; maximum: over checkpoints, on the same sentences, as the authors report it"
    return make_claim(
        row,
        4,
        part,
        claim,
        ours=ours,
        value=seed_interval(found.mean(axis=1)),
        what=f"{metric}, {_mean_of(text)}",
        over="runs",
        runs=text.runs,
        verdict=judge(list(held.values()), list(above.values())),
        rule=rule,
    )


def _xi(text: RealText, row: str, part: str, guess: pd.Series[float]) -> Claim:
    """A row on xi; ``guess`` is the performance without learning in each corpus."""
    passed, best = text.each("xi/passed") == 1, text.each("xi*")
    xi = text.each("xi", wanted=passed)
    gain = best - guess
    share = ((xi - guess) / gain).clip(0, 1).where(passed, 1.0).where(gain > 0, 0.0)
    told = []
    for corpus in text.corpora:
        never = int((~passed[corpus]).sum())
        shown = "never passed" if never == len(passed) else f"{xi[corpus].mean():.2f}"
        if 0 < never < len(passed):
            shown += f" (never passed in {never} of {len(passed)})"
        told.append(f"{corpus} {shown} of {best[corpus].mean():.2f}")
    base = "the larger class" if guess.any() else "0"
    return make_claim(
        row,
        4,
        part,
        "Xi is high: a model with uniform attention foretells trained attention as well as a "
        "rather well-trained model does.",
        ours=_list("xi of xi*", told),
        value=seed_interval(share.mean(axis=1)),
        what=f"xi as share of what training gains over {base} (never passed: 1), {_mean_of(text)}",
        over="runs",
        runs=text.runs,
        verdict=judge([share[c].mean() >= HIGH for c in text.corpora]),
        rule=f"supported if the mean share is at least {HIGH} in every corpus, in part if in some",
    )


def _list(what: str, told: Iterable[str]) -> str:
    return f"{what}: {', '.join(told)}"


def _judged(text: RealText, corpus: str) -> str:
    """The name of a corpus, and what its KTIW was judged by where that is no dictionary."""
    return corpus if text.has(corpus, "ktiw/gold") else f"{corpus} (by Model 1)"


def _mean_of(text: RealText) -> str:
    return "one corpus" if len(text.corpora) == 1 else f"mean of {len(text.corpora)} corpora"

"""Rows of the scoreboard on real text: what uniform attention learns, agreement, xi, what is first.

A row on several corpora has one main value: the mean over the corpora. Runs are aligned by name:
run "1.0" of each corpus is averaged before. Runs of one block are compared with each other, so the
unit of an interval is the block where there are three or more (``contrasts.clustered_interval``).
Each corpus is a criterion of its own, but where a row says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pandas as pd

from lessons_lib.lab.records import NotMeasuredError, command
from lessons_lib.scoreboard.claim import (
    NOT_MEASURED,
    ON_TEXT,
    OURS,
    Loader,
    Measure,
    Measured,
    RealText,
    Row,
    Rows,
    Thresholds,
    below,
    best_scale,
    exceeds,
    recorded,
)
from lessons_lib.scoreboard.contrasts import mean_power
from lessons_lib.stats import seed_interval

POSITION = "last", "first", "diagonal"
"""Guesses that know no words: the last word, the first word, the same place."""
CLASSIFICATION, TRANSLATION = "evidence: classification", "evidence: translation"
ROWS = Rows()
STAGES, QUESTION = "two stages", "the question"


@ROWS.declare(
    3,
    STAGES,
    "With uniform attention, which leaves co-occurrence alone, a model learns which words "
    "translate each other.",
    "supported if the interval lies above {t.teaches:g} of the better reference, in part if "
    "below that and above {t.teaches_some:g} of it",
)
def cooccurrence_teaches_words(load: Loader, t: Thresholds) -> Measured:
    """Words of Multi30k that a model knows whose attention is frozen uniform.

    Against the better of two references that see co-occurrence only: bag-of-words proxy, Model 1.
    """
    experiment = "uniform_translation"
    record = best_scale(load, experiment).get("multi30k")
    if record is None:
        remedy = command(experiment, ON_TEXT[-1])
        raise NotMeasuredError(f"no record multi30k in {experiment}; make it with: {remedy}")
    value = seed_interval(record.values("words"))
    proxy, model1 = (record.values(f"{name}/words").mean() for name in ("proxy", "model1"))
    best = max(proxy, model1)
    return Measured(
        f"frequent words whose best translation is in the dictionary: {value.estimate:.2f}; "
        f"with co-occurrence only: proxy {proxy:.2f}, Model 1 {model1:.2f}",
        value,
        "share of frequent words whose best translation is in the dictionary",
        value.n,
        {
            f"knows {share:g} of the better reference's words": exceeds(value, share * best)
            for share in (t.teaches, t.teaches_some)
        },
    )


@ROWS.declare(
    4,
    STAGES,
    "Knowledge of words rises before attention does.",
    "supported if the lag lies above 0 in every corpus, half-way up and where both curves reach "
    "{t.level:g}; refuted where it lies below",
)
def ktiw_comes_first(load: Loader = recorded, t: Thresholds = OURS) -> Measured:
    """Steps from the half-rise of KTIW to that of attention, both against the dictionary.

    Where there is no dictionary, against Model 1, which comes from co-occurrence itself. A second
    yardstick, where the curves are recorded, is the lag at which both reach ``Thresholds.level``.
    """
    text = RealText(load, "translation")
    lag = text.each("lag")
    told, criteria = [], {}
    for corpus in text.corpora:
        kind = "gold" if text.has(corpus, "ktiw/gold") else "m1"
        curves = f"ktiw/{kind}", f"attention/{kind}"
        lags = {"half-way up": lag[corpus]}
        if text.has(corpus, *curves):
            ktiw, attention = (text.step_at(corpus, curve, t.level) for curve in curves)
            lags[f"at {t.level:g}"] = (attention - ktiw).dropna()
        shown = []
        for where, found in lags.items():
            if len(found) > 1:
                value = text.interval(found)
                criteria[f"{where}, {corpus}"] = exceeds(value, 0)
                shown.append(f"{where} {value.estimate:.0f} [{value.low:.0f}, {value.high:.0f}]")
        told.append(f"{_judged(text, corpus)} {', '.join(shown)}")
    ours = f"steps from the rise of KTIW to that of attention: {'; '.join(told)}"
    return text.measured(ours, lag, "steps by which KTIW is ahead half-way up", criteria)


@ROWS.declare(
    4,
    STAGES,
    "Attention is still almost uniform while knowledge of words is learned.",
    "supported if the interval lies above {t.spread:g} in every corpus, refuted below",
)
def attention_is_uniform_early(load: Loader, t: Thresholds) -> Measured:
    """Spread of attention, exp(entropy)/L, when KTIW has half risen."""
    text = RealText(load, "translation")
    spread = text.each("spread/at-ktiw")
    told = (f"{_judged(text, c)} {spread[c].mean():.2f}" for c in text.corpora)
    return text.measured(
        _list("spread of attention (1: uniform) when KTIW has half risen", told),
        spread,
        "exp(entropy)/L of attention at the half-rise of KTIW",
        {corpus: exceeds(text.interval(spread[corpus]), t.spread) for corpus in text.corpora},
    )


def agreement(experiment: str, metric: str, times: float | None = None) -> Measure:
    """A row on A(u, v): against chance (the paper's claim) and position (a stricter one).

    Criteria for each corpus; rivals that the record lacks are named as not measured.

    Args:
        experiment: whose records it reads.
        metric: A(u, v).
        times: so many times chance is asked for; ``Thresholds.far`` if ``None``.
    """

    def measure(load: Loader, t: Thresholds) -> Measured:
        text = RealText(load, experiment)
        found, chance = text.each(metric), text.of_block("chance")
        reference = metric.partition(",")[0]
        rivals = {name: f"{reference},{name})" for name in (*POSITION, "twin")}
        there = {
            name: text.each(rival)
            for name, rival in rivals.items()
            if all(text.has(corpus, rival) for corpus in text.corpora)
        }
        above, ahead, told = {}, {}, []
        for corpus in text.corpora:
            above[f"far above chance, {corpus}"] = exceeds(
                text.interval(found[corpus]), (times or t.far) * chance[corpus]
            )
            guesses = [there[name][corpus] for name in POSITION if name in there]
            if guesses:
                best = max(guesses, key=lambda runs: float(runs.mean()))
                ahead[f"above position, {corpus}"] = exceeds(text.interval(found[corpus] - best), 0)
            beside = [f"chance {chance[corpus]:.2f}"]
            beside += [f"{name} {runs[corpus].mean():.2f}" for name, runs in there.items()]
            if text.has(corpus, f"{metric}/max"):
                most = text.each(f"{metric}/max")[corpus].mean()
                beside.append(f"maximum over checkpoints {most:.2f}")
            told.append(f"{corpus} {found[corpus].mean():.2f} ({', '.join(beside)})")
        ours = _list(metric, told)
        lacking = ["position"] * (not ahead) + ["twin"] * ("twin" not in there)
        if lacking:
            ours += f"; {' and '.join(lacking)}: {NOT_MEASURED}"
        if not ahead:
            ours += ", so that the paper's claim alone is judged"
        return text.measured(ours, found, metric, above | ahead)

    return measure


def _foretells(name: str, metric: str, claim: str) -> None:
    """Two rows on one agreement: a classifier's and a translator's."""
    far = (
        "supported if in every corpus the interval lies above {t.far:g} times chance (the paper's "
        "claim), and that of the difference to the better guess by position above 0 (a stricter "
        "one); refuted where it lies below"
    )
    models = {
        "classifier": ("classifier", CLASSIFICATION),
        "translator": ("translation model", TRANSLATION),
    }
    for model, (kind, part) in models.items():
        measure = agreement(part.removeprefix("evidence: "), metric)
        ROWS.append(Row(name.format(model), 8, part, claim.format(model=kind), far, measure))


_foretells(
    "uniform-{}-foretells",
    "A(alpha,uf)",
    "The probe of a {model} with uniform attention foretells where trained attention goes.",
)
_foretells(
    "bag-foretells-uniform-{}",
    "A(uf,px)",
    "What a {model} with uniform attention knows of words is what a bag-of-words proxy learns.",
)
_foretells(
    "uniform-{}-foretells-saliency",
    "A(delta,uf)",
    "The probe of a {model} with uniform attention foretells the gradient saliency of a "
    "trained one.",
)

_HIGH = (
    "Xi is high: a model with uniform attention foretells trained attention as well as a rather "
    "well-trained model does."
)
_XI = "supported if the interval of the share lies above {t.high:g} in every corpus, refuted below"


@ROWS.declare(8, CLASSIFICATION, _HIGH, _XI)
def xi_is_high_in_classification(load: Loader, t: Thresholds) -> Measured:
    """Xi against xi*, above the share of the larger class.

    Of each run: ``(xi - guess)/(xi* - guess)`` with the share of the larger class as guess, kept
    in [0, 1]; 1 if the curve never passes A(alpha, beta^uf), and 0 if training gains nothing over
    the guess.
    """
    text = RealText(load, "classification")
    return _xi(text, text.of_block("majority"), t)


@ROWS.declare(8, TRANSLATION, _HIGH, _XI)
def xi_is_high_in_translation(load: Loader, t: Thresholds) -> Measured:
    """Xi against xi*, the accuracy of the next token; as in classification, with a guess of 0."""
    text = RealText(load, "translation")
    return _xi(text, pd.Series(0.0, index=list(text.corpora)), t)


def _xi(text: RealText, guess: pd.Series[float], t: Thresholds) -> Measured:
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
    return text.measured(
        _list("xi of xi*", told),
        share,
        f"xi as share of what training gains over {base} (never passed: 1)",
        {corpus: exceeds(text.interval(share[corpus]), t.high) for corpus in text.corpora},
    )


@ROWS.declare(
    8,
    QUESTION,
    "A classifier with uniform attention performs as well, so performance cannot say where a "
    "model attends.",
    "supported if the mean over corpora is surely worse by less than {t.same:g} (one-sided "
    "95% bound), refuted if surely by more",
)
def uniform_attention_is_as_good(load: Loader, t: Thresholds) -> Measured:
    """Accuracy with learned attention less that with uniform attention, at the last step.

    A test of non-inferiority: runs of one seed are compared, and the one-sided 95% bound of the
    mean difference is held against ``Thresholds.same``. It is judged on the mean over corpora,
    since one corpus has too few runs to tell a percentage point; corpora are shown.
    """
    text = RealText(load, "classification")
    learned, uniform = text.each("accuracy"), text.each("uniform/accuracy")
    gap = text.interval((learned - uniform).mean(axis=1), confidence=0.9)
    told = (f"{c} {learned[c].mean():.3f} and {uniform[c].mean():.3f}" for c in text.corpora)
    found = text.measured(
        _list("accuracy with learned and with uniform attention", told),
        gap,
        "accuracy with learned less that with uniform attention",
        {"uniform attention is as good": below(gap, t.same)},
    )
    power = (
        f"with the spread found, {gap.n} say so with probability {mean_power(gap, t.same):.2f} if "
        f"there is no difference, and the contrary with as much if it is {2 * t.same:g}"
    )
    return replace(found, power=power)


ROWS.append(
    Row(
        "attention-is-on-salient-words",
        8,
        QUESTION,
        "Trained attention goes to words that speak for the label, though the loss does not ask "
        "for it.",
        "as for agreement with the probe, with chance itself as the bound",
        agreement("classification", "A(alpha,lr)", times=1.0),
    )
)


def _list(what: str, told: Iterable[str]) -> str:
    return f"{what}: {', '.join(told)}"


def _judged(text: RealText, corpus: str) -> str:
    """The name of a corpus, and what its KTIW was judged by where that is no dictionary."""
    return corpus if text.has(corpus, "ktiw/gold") else f"{corpus} (by Model 1)"

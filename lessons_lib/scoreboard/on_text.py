"""What rows on real text rest on: what uniform attention learns, agreement, xi, what is first.

A row has one main value, the mean over corpora. Each corpus is a criterion of its own where it has
several blocks of runs; where it has one, the mean over corpora is.
"""

import pandas as pd

from lessons_lib.lab.outcomes import step_at
from lessons_lib.lab.records import load as recorded
from lessons_lib.scoreboard import claim
from lessons_lib.scoreboard.claim import Loader, Measured, RealText, Thresholds
from lessons_lib.stats import seed_interval

POSITION = "last", "first", "start", "end", "diagonal"
"""Guesses that know no words: the last word, the first word, symbols, the same place."""


def cooccurrence_teaches_words(load: Loader, t: Thresholds) -> Measured:
    """Words of Multi30k that a model knows whose attention is frozen uniform.

    Against the better of two references that see co-occurrence only: bag-of-words proxy, Model 1.
    """
    record = claim.best_scale(load, "uniform_translation")["multi30k"]
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
            f"knows {share:g} of the better reference's words": claim.exceeds(value, share * best)
            for share in (t.teaches, t.teaches_some)
        },
        power=claim.tells(value),
    )


def ktiw_comes_first(load: Loader = recorded, t: Thresholds = claim.OURS) -> Measured:
    """Steps from the half-rise of KTIW to that of attention, against dictionary or Model 1.

    A second yardstick, where curves are recorded, is the lag at which both reach a level.
    """
    text = RealText(load, "translation")
    lag, at_level = text.each("lag"), {}
    for corpus in text.corpora:
        kind = "gold" if text.has(corpus, "ktiw/gold") else "m1"
        curves = f"ktiw/{kind}", f"attention/{kind}"
        if text.has(corpus, *curves):
            ktiw, attention = (step_at(text.rows[corpus], curve, t.level) for curve in curves)
            if (reached := (attention - ktiw).dropna()).size > 1:
                at_level[corpus] = reached
    values = text.intervals(lag), text.intervals(pd.DataFrame(at_level))
    told, criteria = [], dict[str, bool | None]()
    for corpus in text.corpora:
        shown = []
        for where, found in zip(("half-way up", f"at {t.level:g}"), values, strict=True):
            if corpus in found:
                v = found[corpus]
                criteria[f"{where}, {corpus}"] = claim.exceeds(v, 0)
                shown.append(f"{where} {v.estimate:.0f} [{v.low:.0f}, {v.high:.0f}]")
        told.append(f"{_judged(text, corpus)} {', '.join(shown)}")
    return text.measured(
        f"steps from the rise of KTIW to that of attention: {'; '.join(told)}",
        text.interval(lag),
        "steps by which KTIW is ahead half-way up",
        criteria,
    )


def attention_is_uniform_early(load: Loader, t: Thresholds) -> Measured:
    """Spread of attention, exp(entropy)/L, when KTIW has half risen."""
    text = RealText(load, "translation")
    spread = text.each("spread/at-ktiw")
    told = ", ".join(f"{_judged(text, c)} {spread[c].mean():.2f}" for c in text.corpora)
    return text.measured(
        f"spread of attention (1: uniform) when KTIW has half risen: {told}",
        text.interval(spread),
        "exp(entropy)/L of attention at the half-rise of KTIW",
        text.above(spread, t.spread),
    )


def _judged(text: RealText, corpus: str) -> str:
    """The name of a corpus, and what its KTIW was judged by where that is no dictionary."""
    return corpus if text.has(corpus, "ktiw/gold") else f"{corpus} (by Model 1)"


def words_drive_translation(load: Loader = recorded, t: Thresholds = claim.OURS) -> Measured:
    """Attention of translators that were given right, wrong or no words, paired by seed.

    As in ``registered/2026-11-28-words-first.md``: a hypothesis is held where all runs show it,
    refuted where half of them or fewer do. The third, that wrong words delay, is told, not judged.
    """
    made = load("words_first_translation", "lesson")
    rows = {arm: record.frame().rename(columns={"seed": "run"}) for arm, record in made.items()}
    looked = rows["frequencies"].query("metric == 'attention/gold'").sort_values("step")
    ends = looked.groupby("run")["value"].agg(["first", "last"])
    steps = {arm: step_at(rows[arm], "attention/gold", ends.mean(axis=1)) for arm in rows}
    plain = steps["frequencies"]
    drawn = {
        arm: rows[arm].query("metric == 'attention/wrong'").groupby("run")["value"].max()
        for arm in ("shuffled", "frequencies")
    }
    shown = {
        "right words hasten attention": steps["model1"] < plain,
        "wrong words draw attention": drawn["shuffled"] > drawn["frequencies"],
        "wrong words delay it": ~(steps["shuffled"] <= plain),
    }
    medians = ", ".join(f"{arm} {step.median():.0f}" for arm, step in steps.items())
    most = " and ".join(f"{of.mean():.2f}" for of in drawn.values())
    hits = ", ".join(f"{name} in {of.sum()} of {len(of)}" for name, of in shown.items())
    sooner = seed_interval((plain - steps["model1"]).dropna())
    return Measured(
        f"updates until attention is half-way (median): {medians}; at most {most} of attention "
        f"where wrong words point, with them and without words; {hits} runs",
        sooner,
        "updates by which attention is half-way sooner after right words than after no words",
        sum(len(record.seeds) for record in made.values()),
        {
            name: True if of.all() else False if of.sum() <= len(of) / 2 else None
            for name, of in list(shown.items())[:2]
        },
        over="seeds",
    )


def agreement(
    load: Loader, t: Thresholds, experiment: str, metric: str, times: float | None = None
) -> Measured:
    """A(u, v), the metric of an experiment's records, in each corpus.

    Against ``times`` chance, else ``Thresholds.far`` (the paper's claim), and against position (a
    stricter one), where it was measured.
    """
    text = RealText(load, experiment)
    found, chance = text.each(metric), text.of_block("chance")
    names = {name: f"{metric.partition(',')[0]},{name})" for name in (*POSITION, "twin")}
    names["maximum over checkpoints"] = f"{metric}/max"
    there = {
        name: text.each(rival, wanted=name != "twin")  # uniform runs can be fewer
        for name, rival in names.items()
        if all(text.has(corpus, rival) for corpus in text.corpora)
    }
    means = pd.DataFrame({"chance": chance} | {name: runs.mean() for name, runs in there.items()})
    told = []
    for corpus, beside in means.iterrows():
        shown = ", ".join(f"{name} {value:.2f}" for name, value in beside.items())
        told.append(f"{corpus} {found[corpus].mean():.2f} ({shown})")
    ours = f"{metric}: {', '.join(told)}"
    bar = times or t.far
    criteria = text.above(found, bar * chance, f"the paper's: above {bar:g} times chance, ")
    if guesses := [there[name] for name in POSITION if name in there]:
        best = {c: max((guess[c] for guess in guesses), key=pd.Series.mean) for c in text.corpora}
        criteria |= text.above(found - pd.DataFrame(best), 0, "stricter: above position, ")
    else:
        lacking = f"position and twin: {claim.NOT_MEASURED}"
        ours += f"; {lacking}, so that the paper's claim alone is judged"
    return text.measured(ours, text.interval(found), metric, criteria)


def xi(load: Loader, t: Thresholds, experiment: str) -> Measured:
    """Xi as share of what training gains, in each corpus.

    Of each run: ``(xi - guess)/(xi* - guess)``, kept in [0, 1]; 1 if the curve never passes
    A(alpha, beta^uf), and 0 if training gains nothing over the guess: the share of the larger class
    in classification, 0 in translation.
    """
    text, classes = RealText(load, experiment), experiment == "classification"
    guess = text.of_block("majority") if classes else 0.0
    passed, best = text.each("xi/passed"), text.each("xi*")
    found = text.each("xi", wanted=passed == 1)
    gain = best - guess
    share = ((found - guess) / gain).clip(0, 1).where(passed == 1, 1.0).where(gain > 0, 0.0)
    share, told = share.where(passed.notna()), []
    for corpus, never in (passed == 0).sum().items():
        runs = passed[corpus].count()
        shown = "never passed" if never == runs else f"{found[corpus].mean():.2f}"
        if 0 < never < runs:
            shown += f" (never passed in {never} of {runs})"
        told.append(f"{corpus} {shown} of {best[corpus].mean():.2f}")
    over = "the larger class" if classes else "0"
    return text.measured(
        f"xi of xi*: {', '.join(told)}",
        text.interval(share),
        f"xi as share of what training gains over {over} (never passed: 1)",
        text.above(share, t.high),
    )


def uniform_attention_is_as_good(load: Loader, t: Thresholds) -> Measured:
    """Accuracy with learned attention less that with uniform attention, seed by seed.

    After the last update, which is judged; at the best look of each, told alone. Where uniform runs
    are fewer, other runs are compared with their mean. Non-inferiority by the one-sided 95% bound,
    as a better model is as good; the interval of 90% tells of equivalence, too.
    """
    text = RealText(load, "classification")
    ends, best = (
        (text.each("accuracy", best=b), text.each("uniform/accuracy", False, best=b))
        for b in (False, True)
    )
    gap, looks = (
        text.interval(learned - uniform.fillna(uniform.mean()), confidence=0.9)
        for learned, uniform in (ends, best)
    )
    means = zip(text.corpora, ends[0].mean(), ends[1].mean(), strict=True)
    told = ", ".join(f"{corpus} {one:.3f} and {other:.3f}" for corpus, one, other in means)
    alike = "shown" if max(-gap.low, gap.high) < t.same else "not shown"
    return text.measured(
        f"accuracy with learned and with uniform attention after the last update: {told}; {alike} "
        f"within {t.same:g} both ways; at the best look of each, a difference of "
        f"{looks.estimate:.3f} [{looks.low:.3f}, {looks.high:.3f}]",
        gap,
        "accuracy with learned less that with uniform attention",
        {"uniform attention is as good": claim.below(gap, t.same)},
        f"with the spread found, {gap.n} {text.over} say so with probability "
        f"{claim.mean_power(gap, t.same):.2f} if there is no difference, and the contrary with as "
        f"much if it is {2 * t.same:g}",
    )

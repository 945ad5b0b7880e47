"""What rows of the scoreboard on copying rest on: interventions and the hard distribution."""

from itertools import count

from scipy.stats import binom

from lessons_lib.scoreboard import claim
from lessons_lib.scoreboard.claim import Loader, Measured, Thresholds, below, exceeds
from lessons_lib.scoreboard.contrasts import Runs, combined, hazard_interval, share_contrast
from lessons_lib.stats import proportion_interval, seed_interval

AUTHORS_STEPS = 200
"""For so many steps the authors trained."""
EARLY = 60
"""At this step some of the authors' runs on permutations copy, and some are far from it."""


def words_drive_attention(load: Loader, t: Thresholds) -> Measured:
    """Right words first, wrong words first, or as many steps without words; then permutations."""
    runs = Runs(load("ktiw_first", "lesson"), t)
    soon, late = "pretrained-uniform", "pretrained-hard"
    ways = {
        "uniform attention": (soon, "pretrained-control"),
        "a dictionary": ("from-dictionary", "scrambled"),
    }
    value = runs.contrast(*zip(*ways.values(), strict=True))
    later, timed = runs.later(late, soon)
    told = (
        f"with {way}: {runs.aligned(r)} with right words, {runs.aligned(w)} with wrong ones"
        for way, (r, w) in ways.items()
    )
    return Measured(
        f"runs aligned, small models; taught {'; '.join(told)}; median step {runs.median(soon)} "
        f"after right words, {runs.median(late)} after as many steps without words; {timed}",
        value,
        "share of runs aligned after right words less that after wrong ones, mean of both ways of "
        "teaching",
        value.n + len(runs.of(late)),
        {"later without words": later}
        | {f"fewer align with wrong words, {way}": runs.more(*arms) for way, arms in ways.items()},
        power=runs.power(soon),
    )


def attention_needs_words(load: Loader, t: Thresholds) -> Measured:
    """Attention where all but the query is frozen at random, or right; or the query is taught."""
    records = load("asymmetry", "lesson")
    arms = [records[f"frozen-{arm}"] for arm in ("all-but-query", "aligned", "dictionary")]
    random, taught, right = (seed_interval(arm.values("attention_accuracy")) for arm in arms)
    chance = 1 / arms[0].config["length"]
    ahead = [combined((0.5, control), (-1, random)) for control in (taught, right)]
    return Measured(
        f"attention finds the right word, small models; word knowledge frozen at random: {random}, "
        f"chance {chance:.4g}; frozen and right: {right}; frozen at random, and the query taught "
        f"directly: {taught}",
        random,
        "share of words at which attention is largest at the right one, word knowledge frozen at "
        "random",
        sum(len(arm.seeds) for arm in arms),
        {
            "at chance without words": below(random, chance + t.trace),
            "less than half of what the same states allow": exceeds(ahead[0], 0),
            "less than half of what right words lead to": exceeds(ahead[1], 0),
        },
        over="seeds",
        power=f"at chance exactly, {random.n} runs would show it with probability "
        f"{claim.mean_power(random, t.trace):.2f}",
    )


def hard_is_slower(load: Loader, t: Thresholds) -> Measured:
    """Permutations of 40 words against 40 of 60 words: when can a run copy?"""
    runs, arms = Runs(claim.best_scale(load, "hard_distribution"), t), ("easy", "hard")
    later, timed = runs.later("hard", "easy")
    easy, hard = (runs.by(arm, EARLY) for arm in arms)
    behind, at = share_contrast([easy], [hard]), runs.accuracy("hard", EARLY)
    in_time = " and ".join(str(runs.by(arm, AUTHORS_STEPS).successes) for arm in arms)
    return Measured(
        f"copy by step {EARLY}: {easy} of 40 of 60 words, {hard} of permutations, of which "
        f"{(at > 0.9).sum()} are above 0.9 then and {(at < 0.3).sum()} below 0.3; by step "
        f"{AUTHORS_STEPS}: {in_time}; {timed}",
        behind,
        f"share of runs that copy by step {EARLY}, 40 of 60 words less permutations",
        behind.n,
        {
            "permutations take longer": later,
            f"fewer copy by step {EARLY}": exceeds(behind, 0, t.shares),
        },
        power=runs.power("hard"),
    )


def cannot_copy(load: Loader, t: Thresholds) -> Measured:
    """Whether runs fail within the authors' 200 steps, and whether those that do fail for good.

    The second is the hazard after step 200; where runs hardly ever fail, it is refuted, too.
    """
    hard = Runs(claim.best_scale(load, "hard_distribution")).of("hard")
    late = hard[~hard["solved"] | (hard["step"] > AUTHORS_STEPS)]
    n, failing = len(hard), proportion_interval(len(late), len(hard))
    waits = (late["step"] - AUTHORS_STEPS) / 100
    learning = hazard_interval(waits, late["solved"]) if waits.sum() > 0 else None
    fails = exceeds(failing, t.rare)
    goes_on = below(learning, t.learns) if learning else None
    tells = [k for k in range(n + 1) if exceeds(proportion_interval(k, n), t.rare)]
    third = sum(float(binom.pmf(k, n, 1 / 3)) for k in tells)
    enough = next(m for m in count(1) if below(hazard_interval([2] * m, [0] * m), t.learns))
    return Measured(
        f"{len(late)} of {n} do not within {AUTHORS_STEPS} steps; {late['solved'].sum()} of these "
        f"do by step {hard['step'].max()}, of those left {learning or 'nobody'} in 100 steps; "
        f"{(late['branch'] == 'elimination').sum()} of them never look at the right word",
        failing,
        f"share of runs on permutations that do not copy by step {AUTHORS_STEPS}",
        n,
        {
            f"runs fail within {AUTHORS_STEPS} steps": fails,
            "and go on failing": False if fails is False else goes_on,
        },
        power=f"if a third fails, {n} runs show that it is no accident with probability "
        f"{third:.2f}; that it is for good takes {enough} runs of which none learns in 200 steps",
    )

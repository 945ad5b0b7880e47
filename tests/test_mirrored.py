"""Registered hypotheses on mirror images: records of known outcomes have known verdicts."""

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.container import ErrorbarContainer
from scipy import stats as scipy_stats
from test_claims_copying import Records, Run, load_of, record

from lessons_lib import models
from lessons_lib.lab.records import NotMeasuredError, Record
from lessons_lib.lab.transformer import TRANSFORMER
from lessons_lib.scoreboard import claims, mirrored
from lessons_lib.stats import proportion_interval

CELLS = "LSTM", "GRU"
TWO = models.Seq2SeqConfig(9, 8, d_embed=5, d_hidden=6, heads=2)


def runs(aligned: int, n: int = 96, step: int = 90) -> list[Run]:
    return [("aligned", step, True)] * aligned + [("elimination", 400, True)] * (n - aligned)


@functools.cache
def arm(*groups: tuple[int, ...]) -> Record:
    """Runs of each group, one after the other: aligned, of how many, at which step."""
    return record("arm", [run for group in groups for run in runs(*group)])


def everything(
    *, plain: int = 25, turned: int = 25, step: int = 90, gain: int = 1, loss: int = 1, **pairs: int
) -> Records:
    """Pairs, so many of 96 aligned; 30 starts, the first 15 good; models of eight bad heads.

    Of three orders of a bad and of a good start so many change when it is turned over.
    """
    counts = {"antithetic": 90, "random": 70, "identical": 50, "query": 70, "value": 70} | pairs
    spare = counts.pop("spare", 96)
    beside: dict[str, Record] = {}
    for cell in ("lstm", "gru"):
        beside |= {f"{cell}-{pair}-V-16": arm((aligned,)) for pair, aligned in counts.items()}
        beside |= {f"{cell}-{pair}-V-17": arm((spare,)) for pair in ("antithetic", "random")}
    starts = {f"order-{k}": arm((15, 30)) for k in (1, 2, 3)}
    over = {f"as-it-is-{name}": found for name, found in starts.items()}
    for k in (1, 2, 3):
        over[f"turned-order-{k}"] = arm((15 * (k > loss), 15), (15 * (k <= gain), 15))
    models = {"eight-bad": arm((plain, 50)), "eight-bad-turned": arm((turned, 50, step))}
    controls = {name: arm((k, 7)) for k, name in enumerate(("tied", "one-wide", "eight"), start=3)}
    names = "mirror_pairs", "head_starts", "turned_heads", "turned_models", "head_controls"
    each = zip(names, (beside, starts, over, models, controls), strict=True)
    return {(name, "lesson"): found for name, found in each}


def judged(**changed: int) -> dict[str, mirrored.Hypothesis]:
    return {h.name: h for h in mirrored.hypotheses(load_of(everything(**changed)))}


def test_holm_by_hand() -> None:
    """Of four tests the third is not at hand and counts as 1: .01 x 4, .02 x 3, .04 x 2."""
    assert mirrored.holm([0.04, 0.01, 0.02], 4) == pytest.approx([0.08, 0.04, 0.06])
    assert mirrored.holm([0.02, 0.019], 2) == pytest.approx([0.038, 0.038])  # never falls


def test_each_hypothesis_by_its_test() -> None:
    shown = mirrored.table(load_of(everything(turned=48, gain=2))).set_index("hypothesis")
    assert set(shown["verdict"]) == {"holds"}
    first = shown.loc["H1, LSTM"]
    exact = scipy_stats.fisher_exact(np.array([[90, 6], [70, 26]]), alternative="greater").pvalue
    assert (first["p"], first["estimate"]) == pytest.approx((exact, 20 / 96))
    assert exact < first["p, corrected"] <= 8 * exact
    # A start counts once for all of its orders.
    assert shown.loc[["H5", "H6"], "estimate"].tolist() == pytest.approx([2 / 3, 1 / 3])
    assert shown.loc[["H5", "H6"], "n"].tolist() == [15, 15]
    with pytest.raises(NotMeasuredError, match="no result of mirror_pairs"):
        mirrored.table(load_of({}))


@pytest.mark.slow
@pytest.mark.parametrize(("changed", "name", "held"), [
    ({"antithetic": 56}, "H1, {}", False), ({"antithetic": 76}, "H1, {}", None),
    ({"query": 90}, "H2, query, {}", False), ({"value": 60}, "H2, value, {}", None),
    ({"spare": 70}, "H4, {}", False), ({"gain": 0}, "H5", False),
    ({"plain": 50, "turned": 50}, "H7, time", None),
    ({"plain": 50, "turned": 50, "step": 60}, "H7, time", True),
])  # fmt: skip
def test_a_hypothesis_holds_is_refuted_or_open(
    changed: dict[str, int], name: str, held: bool | None
) -> None:
    found = judged(**changed)
    assert {found[name.format(cell)].held for cell in CELLS} == {held}


def test_the_row_on_dynamics_follows_from_the_registered_hypotheses() -> None:
    mixed = claims.rows()["heads-not-parameters"](load_of(everything(antithetic=56)))
    assert mixed.verdict == "in part"
    assert "H1, LSTM: refuted; H1, GRU: refuted; H5: holds; H6: holds" in mixed.reasons


def test_the_figure_shows_each_share_with_its_interval() -> None:
    ax = mirrored.draw(everything()["mirror_pairs", "lesson"])
    labels = [label.get_text() for label in ax.get_yticklabels()]
    at, ends = labels.index("a head and its copy"), proportion_interval(50, 96)
    for container in ax.containers:
        assert isinstance(container, ErrorbarContainer)
        line, _, (bars,) = container.lines
        assert np.asarray(line.get_xdata())[at] == 50 / 96
        assert abs(np.asarray(line.get_ydata())[at] - at) < 0.5, "beside its label"
        assert tuple(bars.get_segments()[at][:, 0]) == pytest.approx((ends.low, ends.high))


def test_the_command_asks_for_seeds_that_were_registered(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    asked = {}

    def run(name: str, *, seeds: tuple[int, ...], only: list[str]) -> dict[str, Record]:
        asked[name] = seeds
        return dict.fromkeys(only, arm((2, 3)))

    monkeypatch.setattr("lessons_lib.lab.run.run", run)
    assert mirrored.main(["--seeds", "3", "--out", str(tmp_path / "m.png")]) == 0
    assert asked == {"mirror_pairs": (2001, 2002, 2003)}
    assert "gru-antithetic-V-16      2 of 3 aligned" in capsys.readouterr().out


def built(**changed: object) -> models.Seq2Seq:
    return models.build(models.Seq2SeqConfig.from_dict(TWO.to_dict() | changed), 1)


@pytest.mark.parametrize(("make", "message"), [
    (lambda: models.make_antithetic(built(heads=3)), "an even number of heads, found 3"),
    (lambda: models.make_antithetic(built(merge="concatenate")),
     "averaged contexts, found a Seq2Seq with merge 'concatenate'"),
    (lambda: models.make_antithetic(replace(TRANSFORMER, heads=2).build(1)),
     "found a Transformer .* to be copied, as lab.carried does"),
])  # fmt: skip
def test_what_has_no_image_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^expected .*{message}"):
        make()

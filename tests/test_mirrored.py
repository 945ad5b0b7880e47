"""Registered hypotheses on mirror images: records of known outcomes have known verdicts."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from matplotlib.container import ErrorbarContainer
from scipy import stats as scipy_stats
from test_claims_copying import Records, Run, load_of, record

from lessons_lib.lab.records import NotMeasuredError, Record
from lessons_lib.scoreboard import claims, mirrored
from lessons_lib.scoreboard.claim import NOT_MEASURED
from lessons_lib.stats import proportion_interval

CELLS = "LSTM", "GRU"


def arms(ends: Mapping[str, list[Run]]) -> dict[str, Record]:
    return {arm: record(arm, each) for arm, each in ends.items()}


def runs(aligned: int, n: int = 96, step: int = 90) -> list[Run]:
    return [("aligned", step, True)] * aligned + [("elimination", 400, True)] * (n - aligned)


def pairs(
    antithetic: int = 90, random: int = 70, identical: int = 50, half: int = 70, spare: int = 96
) -> Records:
    counts = {"random": random, "identical": identical, "antithetic": antithetic}
    counts |= {"query": half, "value": half}
    found = {
        f"{cell}-{pair}-V-{vocab}": runs(spare if vocab == 17 else aligned)
        for cell in ("lstm", "gru")
        for vocab in (16, 17)
        for pair, aligned in counts.items()
    }
    return {("mirror_pairs", "lesson"): arms(found)}


def starts(gain_bad: int = 1, loss_good: int = 1) -> Records:
    """Of 30 starts the first 15 are good. So many of 3 orders change when they are turned over."""
    as_it_is = {f"order-{k}": runs(15, 30) for k in (1, 2, 3)}
    after = {f"as-it-is-{arm}": ends for arm, ends in as_it_is.items()}
    for k in (1, 2, 3):
        good, bad = 15 * (k > loss_good), 15 * (k <= gain_bad)
        after[f"turned-order-{k}"] = runs(good, 15) + runs(bad, 15)
    return {("head_starts", "lesson"): arms(as_it_is), ("turned_heads", "lesson"): arms(after)}


def models(turned: int, plain: int, step: int = 90) -> Records:
    found = {"eight-bad": runs(plain, 50), "eight-bad-turned": runs(turned, 50, step)}
    return {("turned_models", "lesson"): arms(found)}


def judged(found: Records) -> dict[str, mirrored.Hypothesis]:
    return {h.name: h for h in mirrored.hypotheses(load_of(found))}


def test_holm_by_hand() -> None:
    """Of four tests the third is not at hand and counts as 1: .01 x 4, .02 x 3, .04 x 2."""
    assert mirrored.holm([0.04, 0.01, 0.02], 4) == pytest.approx([0.08, 0.04, 0.06])
    assert mirrored.holm([0.02, 0.019], 2) == pytest.approx([0.038, 0.038])  # never falls


def test_pairs_are_compared_in_each_cell() -> None:
    found = judged(pairs())
    names = ("H1", "H2, query", "H2, value", "H3", "H4")
    wanted = {f"{name}, {cell}": True for cell in CELLS for name in names}
    assert {name: h.held for name, h in found.items()} == wanted
    first = found["H1, LSTM"]
    exact = scipy_stats.fisher_exact(np.array([[90, 6], [70, 26]]), alternative="greater").pvalue
    assert (first.p, first.value.estimate) == pytest.approx((exact, 20 / 96))
    # Four p-values of eight, two and two equal: the smaller pair is H1 or H3.
    assert exact * 5 < (first.corrected or 0) <= exact * 8


@pytest.mark.parametrize(("changed", "name", "held"), [
    ({"antithetic": 56}, "H1", False), ({"antithetic": 76}, "H1", None),
    ({"identical": 84}, "H3", False), ({"half": 90}, "H2, query", False),
    ({"half": 60}, "H2, value", None), ({"half": 40}, "H2, value", False),
    ({"spare": 70}, "H4", False), ({"spare": 90}, "H4", None),
])  # fmt: skip
def test_pairs_refute_or_leave_open(changed: dict[str, int], name: str, held: bool | None) -> None:
    found = judged(pairs(**changed))
    assert [found[f"{name}, {cell}"].held for cell in CELLS] == [held, held]


def test_starts_count_once_for_all_orders() -> None:
    found = judged(starts(gain_bad=2, loss_good=1))
    assert [found[name].held for name in ("H5", "H6")] == [True, True]
    estimates = [found[name].value.estimate for name in ("H5", "H6")]
    assert estimates == pytest.approx([2 / 3, 1 / 3])
    assert found["H5"].n == found["H6"].n == (15,)
    assert found["H5"].p == pytest.approx(2.0**-15, rel=20)  # at least all signs alike
    none = judged(starts(gain_bad=0, loss_good=0))
    assert [none[name].held for name in ("H5", "H6")] == [False, False]


@pytest.mark.parametrize(
    ("turned", "plain", "step", "share", "time"),
    [
        (48, 25, 90, True, True),
        (50, 50, 60, None, True),
        (50, 50, 90, None, None),  # Newcombe's interval ends at .07
        (50, 50, 150, None, None),
    ],
)
def test_models_are_compared_by_share_or_time(
    turned: int, plain: int, step: int, share: bool | None, time: bool | None
) -> None:
    found = judged(models(turned, plain, step))
    assert (found["H7, share"].held, found["H7, time"].held) == (share, time)
    if turned == plain:
        assert found["H7, share"].p == 1
        assert found["H7, time"].value.estimate == 90 - step


def test_the_table_says_n_and_verdicts() -> None:
    shown = mirrored.table(load_of({**pairs(), **models(48, 25)}))
    assert list(shown["hypothesis"])[-2:] == ["H7, share", "H7, time"]
    assert set(shown["verdict"]) == {"holds"}
    assert shown["n"].iloc[0] == "96 and 96"
    with pytest.raises(NotMeasuredError, match="mirror_pairs --scale lesson"):
        mirrored.table(load_of({}))


def test_the_row_on_dynamics_follows_from_the_registered_hypotheses() -> None:
    row = claims.rows()["heads-not-parameters"]
    everything = {**pairs(), **starts(), **models(25, 25)}
    assert row(load_of(everything)).verdict == "supported"
    mixed = row(load_of({**everything, **pairs(antithetic=56)}))
    assert mixed.verdict == "in part"
    assert "H1, LSTM: refuted; H1, GRU: refuted; H5: holds; H6: holds" in mixed.reasons
    partly = row(load_of(pairs()))
    assert partly.verdict == "undecided"
    assert partly.reasons.endswith("H5: open; H6: open")
    assert row(load_of({})).interval == NOT_MEASURED


def test_the_figure_shows_each_share_with_its_interval() -> None:
    ax = mirrored.draw(pairs(antithetic=90, identical=50)["mirror_pairs", "lesson"])
    labels = [label.get_text() for label in ax.get_yticklabels()]
    for container, shift in zip(ax.containers, (0.14, -0.14), strict=True):
        assert isinstance(container, ErrorbarContainer)
        line, _, (bars,) = container.lines
        found = dict(zip(np.asarray(line.get_ydata()), np.asarray(line.get_xdata()), strict=True))
        assert found[labels.index("a head and its mirror image") + shift] == 90 / 96
        low, high = bars.get_segments()[labels.index("a head and its copy")][:, 0]
        ends = proportion_interval(50, 96)
        assert (low, high) == pytest.approx((ends.low, ends.high))


def test_the_command_asks_for_seeds_that_were_registered(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    asked = {}

    def run(name: str, *, seeds: tuple[int, ...], only: list[str]) -> dict[str, Record]:
        asked[name] = seeds
        return arms(dict.fromkeys(only, runs(2, 3)))

    monkeypatch.setattr(mirrored, "run", run)
    assert mirrored.main(["--seeds", "3", "--out", str(tmp_path / "m.png")]) == 0
    assert asked == {"mirror_pairs": (2001, 2002, 2003)}
    assert "lstm-antithetic-V-16     2 of 3 aligned" in capsys.readouterr().out
    assert (tmp_path / "m.png").stat().st_size > 0
    with pytest.raises(SystemExit):
        mirrored.main(["--seeds", "97"])

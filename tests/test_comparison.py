"""Oracles: agreements counted in loops over traces that are made up, and hand values."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import kendalltau
from torch import Tensor

from lessons_lib.lab.blocks import (
    HeldOut,
    Trace,
    best_checkpoint,
    by_run,
    compare,
    lag,
    of_block,
    spreads,
    step_at,
)
from lessons_lib.tasks import EOS, PAD, Batch, LabelledBatch

STEPS = [0, 10, 25, 40]
RUNS = 3
LENGTHS = [5, 2, 7, 4, 6, 3, 1, 7, 5, 22, 3]
"""Words of the texts: the first four choose, the others are reported on. In 22 two are the top."""


def noise(*shape: int, seed: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def held_out_texts() -> HeldOut[LabelledBatch]:
    words = torch.arange(22).expand(11, 22) % 5 + 4
    words = words.where(torch.arange(22) < torch.tensor(LENGTHS)[:, None], PAD)
    return HeldOut(LabelledBatch(words, torch.tensor([1, 0] * 5 + [1])), choosing=4)


HELD_OUT = held_out_texts()


def attention(seed: int) -> Tensor:
    scores = noise(11, 1, 22, seed=seed).mul(4).masked_fill(~HELD_OUT.mask, -torch.inf)
    return scores.softmax(-1)


def trace(seed: int, learned: bool) -> Trace:
    """A run whose attention, if any, comes closer to where it ends, step by step."""
    final = attention(seed)
    mixture = [(1 - w) * attention(seed + k + 1) + w * final for k, w in enumerate((0, 0.5, 0.8))]
    return Trace(
        steps=list(STEPS),
        performance=noise(4, seed=seed).tolist(),
        attention=[*mixture, final] if learned else [],
        beta=[noise(11, 1, 22, seed=seed + 50 + k) for k in range(4)],
    )


def block() -> dict[str, Any]:
    return {
        "learned": [trace(100 * (k + 1), True) for k in range(RUNS)],
        "uniform": [trace(100 * (k + 1) + 7, False) for k in range(RUNS)],
        "saliency": [noise(11, 1, 22, seed=900 + k) - 0.5 for k in range(RUNS)],
        "references": {name: noise(11, 1, 22, seed=s) for name, s in (("px", 950), ("lr", 951))},
    }


@pytest.fixture(scope="module")
def given() -> dict[str, Any]:
    return block()


@pytest.fixture(scope="module")
def rows(given: dict[str, Any]) -> list[dict[str, Any]]:
    return compare(HELD_OUT, **given)


def value(rows: list[dict[str, Any]], metric: str, step: int = 40) -> float:
    (found,) = [r["value"] for r in rows if (r["metric"], r["step"]) == (metric, step)]
    assert isinstance(found, float)
    return found


def agree(u: Tensor, v: Tensor, texts: range) -> float:
    """The definition, for texts with one output word: how many of v are above where u is best."""
    hits: list[bool] = []
    for row in texts:
        a, b = (side[row, 0, : LENGTHS[row]].tolist() for side in (u, v))
        there = b[a.index(max(a))]
        hits.append(sum(x > there for x in b) < (2 if LENGTHS[row] > 20 else 1))
    return sum(hits) / len(hits)


CHOOSING, SHOWN = range(4), range(4, 11)


def stranger(given: dict[str, Any], k: int) -> Trace:
    """The uniform run that run k is compared with: that of the next seed."""
    found: Trace = given["uniform"][0 if k == RUNS - 1 else k + 1]
    return found


def test_agreements_with_the_checkpoint_chosen_on_other_texts(
    given: dict[str, Any], rows: list[dict[str, Any]]
) -> None:
    px = given["references"]["px"]
    differ = 0
    for k in range(RUNS):
        alpha, betas = given["learned"][k].attention[-1], stranger(given, k).beta
        delta = given["saliency"][k]
        twins = [(alpha, beta) for beta in given["uniform"][k].beta]
        chosen = [agree(u, v, CHOOSING) for u, v in twins]
        expected = agree(*twins[chosen.index(max(chosen))], SHOWN)
        assert value(rows, f"A(alpha,twin)#{k}") == pytest.approx(expected)
        for name, pairs in {
            "A(alpha,uf)": [(alpha, beta) for beta in betas],
            "A(uf,px)": [(beta, px) for beta in betas],
            "A(delta,uf)": [(delta, beta) for beta in betas],
        }.items():
            choosing = [agree(u, v, CHOOSING) for u, v in pairs]
            reported = [agree(u, v, SHOWN) for u, v in pairs]
            expected = reported[choosing.index(max(choosing))]
            assert value(rows, f"{name}#{k}") == pytest.approx(expected)
            assert value(rows, f"{name}/max#{k}") == pytest.approx(max(reported))
            assert value(rows, f"{name}/max#{k}") >= value(rows, f"{name}#{k}")
            differ += max(reported) > expected
    assert differ > 2, "the maximum over checkpoints flatters"


def test_agreements_without_a_choice(given: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    for k in range(RUNS):
        alpha = given["learned"][k].attention[-1]
        for name, reference in given["references"].items():
            expected = agree(alpha, reference, SHOWN)
            assert value(rows, f"A(alpha,{name})#{k}") == pytest.approx(expected)
        low, high = (value(rows, f"A(alpha,uf)/{end}#{k}") for end in ("low", "high"))
        assert 0 <= low <= value(rows, f"A(alpha,uf)#{k}") <= high <= 1
        assert low < high
        assert 0 <= value(rows, f"A(alpha,shuffled)#{k}") <= 1
    # 1/L, or 2/22; the text of one word is always found.
    expected = float(np.mean([1 / 6, 1 / 3, 1, 1 / 7, 1 / 5, 2 / 22, 1 / 3]))
    assert value(rows, "chance") == pytest.approx(expected)


def test_kendalls_tau_with_the_chosen_probe(
    given: dict[str, Any], rows: list[dict[str, Any]]
) -> None:
    for k in range(RUNS):
        alpha, betas = given["learned"][k].attention[-1], stranger(given, k).beta
        beta = betas[best_checkpoint(HELD_OUT, [alpha] * 4, betas)]
        taus = [
            kendalltau(alpha[i, 0, : LENGTHS[i]], beta[i, 0, : LENGTHS[i]]).statistic
            for i in SHOWN
            if LENGTHS[i] > 1
        ]
        assert value(rows, f"tau(alpha,uf)#{k}") == pytest.approx(float(np.mean(taus)))


def test_curves_at_each_checkpoint(given: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    learned, uniform = given["learned"], given["uniform"]
    for k in range(RUNS):
        alpha = learned[k].attention[-1]
        for at, step in enumerate(STEPS):
            seen = [agree(alpha, run.attention[at], SHOWN) for run in learned]
            others = [seen[j] for j in range(RUNS) if j != k]
            expected = {
                "own": seen[k],
                "others": sum(others) / 2,
                "uf": agree(alpha, stranger(given, k).beta[at], SHOWN),
                "accuracy": learned[k].performance[at],
                "uniform/accuracy": uniform[k].performance[at],
                "spread": spreads(HELD_OUT, learned[k])[at],
            }
            for metric, number in expected.items():
                assert value(rows, f"{metric}#{k}", step) == pytest.approx(number), (metric, step)
        assert value(rows, f"own#{k}") == 1.0, "at the end it agrees with itself"
        assert value(rows, f"xi*#{k}") == pytest.approx(max(learned[k].performance))


def test_spreads_by_hand() -> None:
    run = Trace(STEPS[:2], [0.1, 0.2], [HELD_OUT.mask / HELD_OUT.mask.sum(-1, keepdim=True)])
    first = torch.zeros(11, 1, 22)
    first[..., 0] = 1.0
    run.attention.append(first)
    lengths = [LENGTHS[i] for i in SHOWN if LENGTHS[i] > 1]
    expected = [1.0, float(np.mean([1 / n for n in lengths]))]
    assert spreads(HELD_OUT, run) == pytest.approx(expected)


def test_every_metric_is_there_once_for_each_run_and_step(rows: list[dict[str, Any]]) -> None:
    final = {
        *(f"A({pair}){end}" for pair in ("alpha,uf", "uf,px", "delta,uf") for end in ("", "/max")),
        *("A(alpha,uf)/low", "A(alpha,uf)/high", "A(alpha,shuffled)", "A(alpha,px)", "A(alpha,lr)"),
        "A(alpha,twin)",
        *("tau(alpha,uf)", "xi/passed", "xi*"),
    }
    curves = {"uf", "own", "others", "spread", "accuracy", "uniform/accuracy"}
    expected = {("chance", 40)}
    expected |= {(f"{name}#{k}", 40) for name in final for k in range(RUNS)}
    expected |= {(f"{name}#{k}", step) for name in curves for k in range(RUNS) for step in STEPS}
    found = [(row["metric"], row["step"]) for row in rows]
    assert len(found) == len(set(found))
    optional = {(f"xi#{k}", 40) for k in range(RUNS)}
    assert set(found) - optional == expected
    assert all(row.keys() == {"step", "metric", "value"} for row in rows)
    assert all(isinstance(row["value"], float) and row["value"] == row["value"] for row in rows)


def test_xi_is_the_others_performance_where_their_mean_curve_passes(
    given: dict[str, Any], rows: list[dict[str, Any]]
) -> None:
    passed = 0
    for k in range(RUNS):
        level = value(rows, f"A(alpha,uf)#{k}")
        mean = [value(rows, f"others#{k}", step) for step in STEPS]
        above = [at for at in range(4) if mean[at] > level + 1e-9]
        assert value(rows, f"xi/passed#{k}") == float(bool(above))
        if above:
            others = [given["learned"][j].performance[above[0]] for j in range(RUNS) if j != k]
            assert value(rows, f"xi#{k}") == pytest.approx(sum(others) / 2)
            passed += 1
    assert passed, "else nothing was tested"


def test_xi_never_passed_has_no_value() -> None:
    given = block()
    for k, run in enumerate(given["learned"]):
        stranger(given, k).beta = [run.attention[-1]] * 4  # the uniform probe foretells everything
    rows = compare(HELD_OUT, **given)
    for k in range(RUNS):
        assert value(rows, f"A(alpha,uf)#{k}") == 1.0
        assert value(rows, f"xi/passed#{k}") == 0.0
        assert f"xi#{k}" not in {row["metric"] for row in rows}
        assert value(rows, f"xi*#{k}") > 0


def test_the_checkpoint_that_is_best_where_it_is_chosen() -> None:
    """Checkpoint 1 is best on the choosing texts, checkpoint 0 on those that are reported."""
    alpha = attention(1)
    opposite = -alpha
    first, second = alpha.clone(), alpha.clone()
    first[:4], second[4:] = opposite[:4], opposite[4:]
    assert best_checkpoint(HELD_OUT, [alpha] * 3, [first, second, second]) == 1
    assert HELD_OUT.agree(alpha, first) == 1.0
    assert HELD_OUT.agree(alpha, first, choose=True) == 0.0
    assert HELD_OUT.agree(alpha, second) == pytest.approx(1 / 7)  # the text of one word
    assert HELD_OUT.agree(alpha, second, choose=True) == 1.0


def test_runs_that_cannot_be_compared() -> None:
    given = block()
    with pytest.raises(ValueError, match="two runs or more, to compare them, found 1"):
        compare(HELD_OUT, **{**given, "learned": given["learned"][:1]})
    with pytest.raises(ValueError, match="shorter"):
        compare(HELD_OUT, **{**given, "uniform": given["uniform"][:2]})
    given["uniform"][1].beta[2] = torch.full((11, 1, 22), torch.nan)
    with pytest.raises(ValueError, match="positions that count, found NaN"):
        compare(HELD_OUT, **given)
    given = block()
    given["learned"][2].performance[1] = float("nan")
    with pytest.raises(ValueError, match="level, curves and performance, found NaN"):
        compare(HELD_OUT, **given)
    given = block()
    given["references"]["px"] = torch.zeros(11, 1, 22)  # knows nothing, agrees with everything
    with pytest.warns(UserWarning, match="constant in more than half"):
        compare(HELD_OUT, **given)


# --- held-out sentences ----------------------------------------------------------------------


def test_held_out_pairs_count_output_words_but_not_their_end() -> None:
    batch = Batch(
        torch.tensor([[4, 5, 6], [4, PAD, PAD], [7, 8, PAD]]),
        torch.tensor([[4, 5, EOS, PAD], [6, EOS, PAD, PAD], [4, 5, 6, EOS]]),
    )
    held_out = HeldOut(batch, choosing=1)
    assert held_out.mask.shape == (3, 4, 3)
    assert held_out.mask.sum((1, 2)).tolist() == [2 * 3, 1 * 1, 3 * 2]
    assert held_out.chance() == pytest.approx((1 + 3 * 1 / 2) / 4)
    assert held_out.shown == slice(1, None)


@pytest.mark.parametrize("choosing", [0, 11, 12, -1])
def test_both_kinds_of_held_out_texts_are_needed(choosing: int) -> None:
    message = f"expected 1 to 10 sentences that choose, of 11, found {choosing}"
    with pytest.raises(ValueError, match=re.escape(message)):
        HeldOut(HELD_OUT.batch, choosing)


# --- lag, and runs of blocks -----------------------------------------------------------------


def test_lag_by_hand() -> None:
    # KTIW is half-way up at 10, attention at 25 + 15/5.
    found = lag(STEPS, [0.0, 0.5, 0.75, 1.0], [0.1, 0.1, 0.4, 0.9])
    assert found == pytest.approx({"rise/ktiw": 10, "rise/attention": 28, "lag": 18})
    assert lag(STEPS, [0.1, 0.1, 0.4, 0.9], [0.0, 0.5, 0.75, 1.0])["lag"] == pytest.approx(-18)


def test_curves_that_end_where_they_began_have_no_lag() -> None:
    flat, rising = [0.3, 0.9, 0.5, 0.3], [0.0, 0.5, 0.75, 1.0]
    assert lag(STEPS, flat, rising) == {}
    assert lag(STEPS, rising, flat) == {}
    with pytest.raises(ValueError, match="with NaN"):
        lag(STEPS, rising, [0.1, float("nan"), 0.2, 0.3])


def test_rows_of_blocks_and_of_their_runs_are_told_apart() -> None:
    frame = pd.DataFrame(
        [
            (1, 10, "chance", 0.2),
            (1, 10, "xi*#0", 0.5),
            (1, 10, "A(alpha,uf)/max#1", 0.6),
            (2, 20, "ktiw#12", 0.7),
            (2, 20, "majority", 0.8),
        ],
        columns=["seed", "step", "metric", "value"],
        index=[7, 3, 5, 9, 1],
    )
    found = by_run(frame)
    assert found.to_dict("records") == [
        {"run": "1.0", "step": 10, "metric": "xi*", "value": 0.5},
        {"run": "1.1", "step": 10, "metric": "A(alpha,uf)/max", "value": 0.6},
        {"run": "2.12", "step": 20, "metric": "ktiw", "value": 0.7},
    ]
    assert found.index.tolist() == [0, 1, 2]
    assert of_block(frame)["metric"].tolist() == ["chance", "majority"]


def test_the_step_at_which_a_curve_first_reaches_a_level() -> None:
    curves = {"1.0": [0.1, 0.5, 0.3, 0.9], "1.1": [0.0, 0.1, 0.2, 0.25]}
    rows = pd.DataFrame(
        [
            {"run": run, "step": step, "metric": "ktiw", "value": value}
            for run, values in curves.items()
            for step, value in zip((0, 10, 20, 40), values, strict=True)
        ]
    )
    assert step_at(rows, "ktiw", 0.2).tolist() == pytest.approx([2.5, 20.0])
    at_06 = step_at(rows, "ktiw", 0.6)  # it fell back in between, which does not count
    assert at_06["1.0"] == pytest.approx(20 + 20 * (0.6 - 0.5) / (0.9 - 0.5))
    assert np.isnan(at_06["1.1"]), "never reached"
    with pytest.raises(ValueError, match="expected the metric 'alpha', found ktiw"):
        step_at(rows, "alpha", 0.2)

"""Oracles: agreements counted in loops over traces that are made up, and hand values."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import kendalltau
from torch import Tensor

from lessons_lib.lab.blocks import READINGS, XI, HeldOut, Trace, compare, lag, spreads
from lessons_lib.lab.outcomes import step_at
from lessons_lib.tasks import EOS, PAD, Batch, LabelledBatch

Given = dict[str, Any]
Rows = dict[tuple[str, int], float]
STEPS = [0, 10, 25, 40]
RUNS, UNIFORM = 3, 2
LENGTHS = [5, 2, 7, 4, 6, 3, 1, 7, 5, 22, 3, 4, 6, 2]
"""Words of the texts: the first four choose, the last three are learned from, the others are
reported on. In 22 two are the top."""
PARTS = {"choosing": range(4), "shown": range(4, 11), "seen": range(11, 14)}


def noise(*shape: int, seed: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


INSIDE = torch.arange(22) < torch.tensor(LENGTHS)[:, None]
WORDS = (torch.arange(22) % 5 + 4).where(INSIDE, PAD)
HELD_OUT = HeldOut(LabelledBatch(WORDS, torch.tensor([1, 0] * 7)), choosing=4, seen=3)


def attention(seed: int) -> Tensor:
    scores = noise(14, 1, 22, seed=seed).mul(4).masked_fill(~HELD_OUT.mask, -torch.inf)
    return scores.softmax(-1)


def trace(seed: int, learned: bool) -> Trace:
    """A run whose attention, if any, comes closer to where it ends, partly a common place."""
    final = (attention(1) + attention(seed)) / 2
    mixture = [(1 - w) * attention(seed + k + 1) + w * final for k, w in enumerate((0, 0.5, 0.8))]
    elsewhere = {"choosing": noise(4, seed=seed + 1), "seen": noise(4, seed=seed + 2)}
    return Trace(
        steps=list(STEPS),
        performance=noise(4, seed=seed).tolist(),
        elsewhere={part: values.tolist() for part, values in elsewhere.items()},
        attention=[*mixture, final] if learned else [],
        beta=[noise(14, 1, 22, seed=seed + 50 + k) for k in range(4)],
        saliency={at: noise(14, 1, 22, seed=seed + 60 + at) - 0.5 for at in range(4)},
    )


@pytest.fixture(scope="module")
def given() -> Given:
    names = ("px", "px/max", "lr", "guess")
    return {
        "learned": [trace(100 * (k + 1), True) for k in range(RUNS)],
        "uniform": [trace(100 * (k + 1) + 7, False) for k in range(UNIFORM)],
        "references": {name: noise(14, 1, 22, seed=950 + at) for at, name in enumerate(names)},
    }


@pytest.fixture(scope="module")
def rows(given: Given) -> Rows:
    """What is compared, by metric and step."""
    found = compare(HELD_OUT, **given)
    by_key = {(row["metric"], row["step"]): row["value"] for row in found}
    assert len(by_key) == len(found)
    return by_key


def agree(u: Tensor, v: Tensor, part: str) -> float:
    """The definition, for texts with one output word: how many of v are above where u is best."""
    hits: list[bool] = []
    for row in PARTS[part]:
        a, b = (side[row, 0, : LENGTHS[row]].tolist() for side in (u, v))
        there = b[a.index(max(a))]
        hits.append(sum(x > there for x in b) < (2 if LENGTHS[row] > 20 else 1))
    return sum(hits) / len(hits)


def performance(run: Trace, part: str) -> list[float]:
    return run.performance if part == "shown" else run.elsewhere[part]


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def once(given: Given, k: int, reading: str) -> dict[str, float]:
    """What has one value for a run and a reading, by the definitions."""
    learned, uniform, references = given["learned"], given["uniform"], given["references"]
    choose, report = READINGS[reading]
    run, betas = learned[k], uniform[(1, 0, 1)[k]].beta  # never those of its own seed
    others = [other for j, other in enumerate(learned) if j != k]
    gold = performance(run, choose).index(max(performance(run, choose)))
    alpha, delta = run.attention[gold], run.saliency[gold]
    used = {"px": references["px/max" if reading else "px"]}
    used |= {name: references[name] for name in ("lr", "guess")}
    pairs = {
        "alpha,uf": [(alpha, beta) for beta in betas],
        "px,uf": [(used["px"], beta) for beta in betas],
        "lr,uf": [(used["lr"], beta) for beta in betas],
        "delta,uf": [(delta, beta) for beta in betas],
        "-delta,uf": [(-delta, beta) for beta in betas],
        "alpha,beta": [(alpha, beta) for beta in learned[(k + 1) % RUNS].beta],
        **{f"uf,{name}": [(beta, table) for beta in betas] for name, table in used.items()},
        **{f"alpha,{name}": [(alpha, table)] for name, table in used.items()},
        **{f"delta,{name}": [(delta, table)] for name, table in used.items()},
    }
    if k < UNIFORM:
        twin = uniform[k].beta
        pairs["alpha,twin"] = [(alpha, beta) for beta in twin]
        pairs["delta,twin"] = [(delta, beta) for beta in twin]
        pairs["uf,twin"] = [(beta, twin[-1]) for beta in betas]
    found = {"xi*": performance(run, report)[gold]}
    looks = [[agree(alpha, o.attention[at], report) for o in others] for at in range(4)]
    for name, both in pairs.items():
        chosen = [agree(u, v, choose) for u, v in both]
        u, v = both[chosen.index(max(chosen))]
        level = found[f"A({name})"] = agree(u, v, report)
        if name in XI:
            above = [at for at in range(4) if mean(looks[at]) > level + 1e-9]
            found[f"{XI[name]}/passed"] = float(bool(above))
            if above:
                found[XI[name]] = mean([performance(o, report)[above[0]] for o in others])
        if name == "alpha,uf":
            sides = [(u[i, 0, : LENGTHS[i]], v[i, 0, : LENGTHS[i]]) for i in PARTS[report]]
            taus = [kendalltau(one, other).statistic for one, other in sides if len(one) > 1]
            found["tau(alpha,uf)"] = mean(taus)
    return found


def curves(given: Given, k: int) -> dict[str, list[float]]:
    """What has a value for a run at each checkpoint."""
    learned, uniform = given["learned"], given["uniform"]
    chosen = performance(learned[k], "choosing")
    alpha = learned[k].attention[chosen.index(max(chosen))]
    seen = [[agree(alpha, one, "shown") for one in run.attention] for run in learned]
    others = [curve for j, curve in enumerate(seen) if j != k]
    found = {
        "own": seen[k],
        "others": [mean(values) for values in zip(*others, strict=True)],
        "uf": [agree(alpha, one, "shown") for one in uniform[(1, 0, 1)[k]].beta],
        "accuracy": learned[k].performance,
        "spread": spreads(HELD_OUT, learned[k]),
    }
    return found | ({"uniform/accuracy": uniform[k].performance} if k < UNIFORM else {})


@pytest.mark.parametrize("k", range(RUNS))
def test_a_run_is_compared_by_the_definitions(given: Given, rows: Rows, k: int) -> None:
    """Checkpoints are chosen on the sentences that the reading says."""
    expected = {
        (f"{name}{reading}#{k}", 40): value
        for reading in READINGS
        for name, value in once(given, k, reading).items()
    }
    for name, curve in curves(given, k).items():
        expected |= {(f"{name}#{k}", step): v for step, v in zip(STEPS, curve, strict=True)}
    drawn = {f"A(alpha,shuffled){reading}#{k}" for reading in READINGS}
    drawn |= {f"A(alpha,uf)/{end}#{k}" for end in ("low", "high")}
    found = {key: value for key, value in rows.items() if key[0].endswith(f"#{k}")}
    assert found.keys() - expected.keys() == {(name, 40) for name in drawn}
    assert {key: found[key] for key in expected} == pytest.approx(expected)
    passed = {value for (name, _), value in expected.items() if "/passed" in name}
    assert passed == {0.0, 1.0}, "else xi was not tested"
    low, high = (rows[f"A(alpha,uf)/{end}#{k}", 40] for end in ("low", "high"))
    assert 0 <= low <= rows[f"A(alpha,uf)#{k}", 40] <= high <= 1
    assert low < high


def test_chance_and_the_random_baseline(rows: Rows) -> None:
    # 1/L, or 2/22; the text of one word is always found.
    expected = mean([1 / 6, 1 / 3, 1, 1 / 7, 1 / 5, 2 / 22, 1 / 3])
    assert rows["chance", 40] == pytest.approx(expected)
    baseline = mean([rows[f"A(alpha,shuffled)#{k}", 40] for k in range(RUNS)])
    assert baseline == pytest.approx(expected, abs=0.1)
    assert rows["chance/train", 40] == pytest.approx((1 / 4 + 1 / 6 + 1 / 2) / 3)


def test_the_gold_checkpoint_by_hand() -> None:
    run = Trace(STEPS, [0.1, 0.9, 0.9, 0.3])
    assert run.gold("choosing") == run.gold("shown") == 3, "the last, without performance elsewhere"
    run.elsewhere["choosing"] = [0.2, 0.1, 0.2, 0.1]
    assert (run.gold("choosing"), run.gold("shown")) == (0, 1), "the first of equals"


def test_held_out_pairs_count_output_words_but_not_their_end() -> None:
    batch = Batch(
        torch.tensor([[4, 5, 6], [4, PAD, PAD], [7, 8, PAD]]),
        torch.tensor([[4, 5, EOS, PAD], [6, EOS, PAD, PAD], [4, 5, 6, EOS]]),
    )
    held_out = HeldOut(batch, choosing=1)
    assert held_out.mask.shape == (3, 4, 3)
    assert held_out.mask.sum((1, 2)).tolist() == [2 * 3, 1 * 1, 3 * 2]
    assert HeldOut(batch, 1, end_symbol=True).mask.sum((1, 2)).tolist() == [3 * 3, 2 * 1, 4 * 2]
    assert held_out.chance() == pytest.approx((1 + 3 * 1 / 2) / 4)
    assert held_out.parts == {"choosing": slice(1), "shown": slice(1, 3)}
    with pytest.raises(ValueError, match="expected 1 to 2 sentences that choose, of 3, found 3"):
        HeldOut(batch, choosing=3)


def test_lag_by_hand() -> None:
    # KTIW is half-way up at 10, attention at 25 + 15/5.
    found = lag(STEPS, [0.0, 0.5, 0.75, 1.0], [0.1, 0.1, 0.4, 0.9])
    assert found == pytest.approx({"rise/ktiw": 10, "rise/attention": 28, "lag": 18})
    three = lag(STEPS, [0.0, 0.25, 0.75, 1.0], [0.1, 0.1, 0.4, 0.9], [1.0, 0.8, 0.3, 0.1])
    assert three["spread/at-ktiw"] == pytest.approx(0.55), "half-way between the looks, as KTIW is"
    # It is the first time that counts, though it falls again.
    assert lag(STEPS, [0.0, 0.8, 0.2, 1.0], [0.1, 0.1, 0.4, 0.9])["rise/ktiw"] == 6.25
    flat, rising = [0.3, 0.9, 0.5, 0.3], [0.0, 0.5, 0.75, 1.0]
    assert lag(STEPS, flat, rising) == lag(STEPS, rising, flat) == {}, "none ends where it began"


def test_the_step_at_which_a_curve_first_reaches_a_level() -> None:
    columns: Given = {"run": ["1.0"] * 4 + ["1.1"] * 4, "step": [0, 10, 20, 40] * 2}
    columns["value"] = [0.1, 0.5, 0.3, 0.9, 0.0, 0.1, 0.2, 0.25]
    rows = pd.DataFrame({**columns, "metric": "ktiw"})
    assert step_at(rows, "ktiw", 0.2).tolist() == pytest.approx([2.5, 20.0])
    at_06 = step_at(rows, "ktiw", 0.6)  # it fell back in between, which does not count
    assert at_06["1.0"] == pytest.approx(20 + 20 * (0.6 - 0.5) / (0.9 - 0.5))
    assert np.isnan(at_06["1.1"]), "never reached"

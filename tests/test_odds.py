"""Oracles: a simulated walk, the reduced model's closed form over all permutations, hand values."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
import torch
from test_copying import lively
from test_ladder import REDUCED, reduced

from lessons_lib import models
from lessons_lib.lab import dark, starts
from lessons_lib.lab.copying import SMALL
from lessons_lib.tasks import FIRST_WORD, Batch
from lessons_lib.theory.odds import odds
from lessons_lib.theory.phase_portrait import symmetric_velocity

GAINS, DRIVE, SPREAD = [[0.5, 9.0], [2.0, -0.7]], [0.3, -0.2], [[4.0, 0.6], [0.6, 1.5]]


def test_chances_are_those_of_a_simulated_walk() -> None:
    rate, runs, place = 0.01, 4000, (0.1, -0.06)
    found = odds([place, (3.0, 3.0)], GAINS, DRIVE, SPREAD, rate)
    rng, x = np.random.default_rng(0), np.tile(place, (runs, 1))
    for _ in range(300):
        noise = rng.multivariate_normal([0, 0], SPREAD, runs)
        x += rate * (x @ np.transpose(GAINS) + DRIVE + noise)
    share = (x[:, 1] > 0).mean()
    assert 0.2 < share < 0.8
    assert found.chance[0] == pytest.approx(share, abs=0.03)
    assert found.chance[1] > 0.999


def test_odds_of_a_plain_saddle_by_hand() -> None:
    """K = [[0, 9], [4, 0]]: r = 6, w = (2, 3) up to length; without noise the sign of u decides."""
    found = odds([(3, -1), (1, -1), (0, 0)], [[0, 9], [4, 0]], [0, 0], np.zeros((2, 2)), 0.1)
    assert found.rate == pytest.approx(6)
    assert found.lead[0] / found.lead[1] == pytest.approx(-3)
    assert found.weights[1] / found.weights[0] == pytest.approx(3 / 2)
    assert (found.chance[:2].tolist(), np.isnan(found.chance[2])) == ([1, 0], True)
    noisy = odds([(3, -1), (1, -1)], [[0, 9], [4, 0]], [1, 0], np.eye(2), 0.1)
    assert noisy.drive / noisy.lead[0] == pytest.approx(2 / 6 / 3)
    assert (noisy.noise / noisy.lead[0]) ** 2 == pytest.approx(0.1 * 13 / 12 / 9)
    with pytest.raises(ValueError, match="a growing direction"):
        odds([(1, 1)], [[-1, 1], [-1, -1]], [0, 0], np.eye(2), 0.1)


def test_velocities_and_gains_are_those_of_the_closed_form() -> None:
    """SGD, expectation over all permutations; gains against differences of the closed form."""
    words, a, b = 4, 0.4, -0.7
    config = replace(REDUCED, heads=1, vocab=words, end_symbol=False, dead_words=0)
    model = reduced(config, a * torch.eye(words)[None], b * torch.eye(words + FIRST_WORD)[None])
    for part in (model.free, model.value.weight):
        assert part is not None
        part.requires_grad_()
    source = torch.tensor(list(permutations(range(words)))) + FIRST_WORD
    every = Batch(source, source, torch.arange(words).expand(len(source), -1))
    found = starts.measure_start(model, lambda _: every, 24, {}, adam=False)
    assert (found["a"], found["b"]) == pytest.approx((a, b))

    def velocity(more_a: float, more_b: float) -> list[float]:
        return [float(v) for v in symmetric_velocity(a + more_a, b + more_b, words, words)]

    assert [found["a'"], found["b'"]] == pytest.approx(velocity(0, 0))
    h = starts.MOVED
    for x, up, down in (("a", (h, 0), (-h, 0)), ("b", (0, h), (0, -h))):
        for y, high, low in zip("ab", velocity(*up), velocity(*down), strict=True):
            assert found[f"k/{y}{x}"] == pytest.approx((high - low) / (2 * h), rel=1e-6)
    assert found["s/aa"] == pytest.approx(0, abs=1e-15)  # all batches are alike


def test_adam_divides_by_the_root_mean_square_and_leaves_the_model() -> None:
    config = replace(SMALL, vocab=5, length=4, width=8, batch_size=6)
    model = config.build(1).double()
    before = {name: part.clone() for name, part in model.state_dict().items()}
    batch = config.task.sample(6, 3)
    rate = dict.fromkeys(model.query.parameters(), 3.0)
    found = starts.measure_start(model, lambda _: batch, 6, rate, adam=True)
    assert all(torch.equal(part, before[name]) for name, part in model.state_dict().items())
    for k, name in enumerate(("a'", "b'")):
        velocity, lead = 0.0, starts.leads(model, batch)[k]
        grads = torch.autograd.grad(models.sequence_loss(model, batch), list(model.parameters()))
        slopes = torch.autograd.grad(lead, list(model.parameters()), allow_unused=True)
        for p, g, s in zip(model.parameters(), grads, slopes, strict=True):
            if s is not None:
                velocity -= rate.get(p, 1.0) * float((g / (g.abs() + 1e-8) * s).sum())
        assert found[name] == pytest.approx(velocity)


def test_a_start_that_says_all_and_one_that_says_nothing() -> None:
    rows = [
        {"seed": seed, "step": step, "metric": f"stream{k}/{x}", "value": value}
        for step, values in ((0, [[1, 1], [5, 5], [9, 9]]), (5, [[1, 9], [9, 1], [3, 7]]))
        for seed, streams in enumerate(values)
        for k, v in enumerate(streams)
        for x, value in (("a", v), ("b", 0))
    ]
    found = starts.inherited(pd.DataFrame(rows), (2.0, 1.0))
    assert found["share"].tolist() == pytest.approx([1, -1])


def test_images_start_opposite_and_are_compared_by_step() -> None:
    config = replace(SMALL, vocab=5, length=4, width=7, batch_size=3, steps=2, evaluate_every=1)
    rows = [starts.run_images(config, seed).frame().assign(seed=seed) for seed in (1, 2, 3)]
    found = starts.alike(pd.concat(rows))
    signs = {"both/a": -1, "both/b": -1, "query/a": -1, "query/b": 1, "value/a": 1, "value/b": -1}
    assert found.loc[0].to_dict() == pytest.approx(signs, abs=0.05)
    assert list(found.index) == [0, 1, 2]


def test_area_under_the_curve_by_pairs() -> None:
    """3 above 1 and 2, 1.5 above 1 only: three of four pairs; both parts have variance 1/8."""
    found = dark.area_under_curve([3, 1.5, 1, 2], [True, True, False, False])
    assert found.estimate == 0.75
    assert found.low == pytest.approx(0.75 - 1.96 * np.sqrt(1 / 8))
    assert (found.high, found.n) == (1, 4)
    assert dark.area_under_curve([2, 2, 2, 2], [True, True, False, False]).estimate == 0.5


def test_tickets_of_exact_counts_and_by_the_likelihood() -> None:
    """With a share of 1/2 and g = 1 two heads win in 3 of 4 runs."""
    p, g = 0.4, 0.6
    exact = {h: (round(1e6 * (1 - (1 - p) ** (h**g))), 10**6) for h in (1, 2, 4, 8)}
    assert dark.tickets(exact).estimate == pytest.approx(g, abs=0.011)
    found = dark.tickets({1: (20, 40), 2: (30, 40)})
    assert (found.estimate, found.n) == (1, 80)

    def loss(p: float, g: float) -> float:
        lose = (1 - p) ** np.array([1, 2**g])
        return -float(np.sum([20, 30] * np.log(1 - lose) + [20, 10] * np.log(lose)))

    least = loss(0.5, 1)
    for g in (found.low, found.high):
        best = min(loss(p, g) for p in np.linspace(0.3, 0.7, 401))
        assert 2 * (best - least) == pytest.approx(3.84, abs=0.15)


def test_carriers_of_a_model_that_reads_nothing() -> None:
    """Without values only the decoder can carry: what is read does not matter, its start does."""
    config = replace(SMALL, vocab=6, length=5, width=9)
    model = config.build(4)
    for weights in lively(model, 4.0).value.parameters():
        weights.zero_()
    found = dark.carriers(model, config.task.sample(40, 2))
    assert found["uniform"] == found["uniform/other_read"]
    assert found["uniform"] != found["uniform/other_start"]
    assert 0 <= found["free"] <= 1

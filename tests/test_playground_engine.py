"""The engine of the playground, in headless Chromium, against ``lessons_lib`` as the reference."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import integrate
from scipy import stats as scipy_stats
from site_browser import TALK, Script, in_browser
from test_theory import word_loss

from lessons_lib import stats
from lessons_lib.tasks import HELD_OUT_SEED, generator
from lessons_lib.theory import phase_portrait, reduced_model
from lessons_lib.theory.reduced_model import ReducedConfig, train_reduced

pytestmark = in_browser

Array = np.ndarray[Any, np.dtype[np.float64]]


def distance(found: object, wanted: Array) -> float:
    """Largest difference, relative to the largest value."""
    return float(
        np.abs(np.array(found).reshape(wanted.shape) - wanted).max() / np.abs(wanted).max()
    )


SGD = ReducedConfig(vocab=7, length=5, heads=3, steps=200, evaluate_every=10, start_b=0.05)
CONFIGS = {
    "sgd": SGD,
    "adam": replace(SGD, optimizer="adam", learning_rate=0.05, heads=1, start_a=-0.3),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_the_same_start_and_the_same_inputs_give_the_same_run(
    script: Script, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    config = CONFIGS[name]
    seen: list[tuple[Array, Array]] = []
    measure = reduced_model._measure

    def watched(a: torch.Tensor, b: torch.Tensor, words: torch.Tensor) -> tuple[Array, ...]:
        seen.append((a[0].detach().numpy().copy(), b[0].detach().numpy().copy()))
        return measure(a, b, words)

    monkeypatch.setattr(reduced_model, "_measure", watched)
    runs = train_reduced(config, [3])
    rng = generator(3)
    start = reduced_model._start(config, rng)
    batches = [words.flatten().tolist() for words in reduced_model._batches(config, [rng])]
    held_out = reduced_model._words(config, reduced_model.MEASURED, HELD_OUT_SEED)
    found = script(
        """
        const { Model, Sgd, Adam, lossAndGradient, measure, branch } =
          await import("/playground/model.js");
        const { vocab, length, heads, batch_size, learning_rate } = given.config;
        const model = new Model(vocab, length, heads);
        model.a.set(given.a);
        model.b.set(given.b);
        const optimizer = new (given.config.optimizer === "adam" ? Adam : Sgd)(learning_rate);
        const heldOut = Int32Array.from(given.heldOut);
        const rows = [];
        const look = () =>
          rows.push({
            a: Array.from(model.a),
            b: Array.from(model.b),
            ...measure(model, heldOut, heldOut.length / length),
          });
        look();
        given.batches.forEach((words, i) => {
          const { gradA, gradB } = lossAndGradient(model, Int32Array.from(words), batch_size);
          optimizer.step([model.a, model.b], [gradA, gradB]);
          if ((i + 1) % given.config.evaluate_every === 0) look();
        });
        return { rows, branch: branch(rows[rows.length - 1].rightAttention, length) };
        """,
        {
            "config": config.to_dict(),
            "a": start[0].flatten().tolist(),
            "b": start[1].flatten().tolist(),
            "batches": batches,
            "heldOut": held_out.flatten().tolist(),
        },
    )
    rows = found["rows"]
    assert len(rows) == len(seen) == 21
    for row, (a, b) in zip(rows, seen, strict=True):
        assert distance(row["a"], a) < 1e-6
        assert distance(row["b"], b) < 1e-6
    wanted = {"loss": runs.loss, "rightAttention": runs.right_attention}
    wanted |= {"leadA": runs.lead_a, "leadB": runs.lead_b}
    for metric, values in wanted.items():
        assert distance([row[metric] for row in rows], values[0]) < 1e-6, metric
    accuracy = [row["tokenAccuracy"] for row in rows]
    assert accuracy == pytest.approx(runs.token_accuracy[0].tolist(), abs=1e-12)
    assert found["branch"] == runs.branches()[0]
    assert np.abs(seen[-1][1] - seen[0][1]).max() > 1  # it has learned: there was much to compare


def test_a_seed_gives_normal_numbers_and_fair_permutations(script: Script) -> None:
    found = script(
        """
        const { Random } = await import("/playground/random.js");
        const random = new Random(7);
        const normals = Array.from({ length: 20000 }, () => random.normal());
        const words = new Int32Array(3 * 12000);
        for (let n = 0; n < 12000; n++) random.permutationOfWords(words, 3 * n, 3, 4);
        return { normals, words: Array.from(words) };
        """
    )
    assert scipy_stats.kstest(found["normals"], "norm").pvalue > 0.01
    drawn = Counter(tuple(row) for row in np.reshape(found["words"], (-1, 3)).tolist())
    assert len(drawn) == 24
    assert all(len(set(row)) == 3 for row in drawn)
    assert scipy_stats.chisquare(list(drawn.values())).pvalue > 0.01


def test_a_start_has_its_scale_and_tilt_and_mirror_images_have_its_opposite(script: Script) -> None:
    """Turned over are all heads, or the second half of them after the first."""
    drawn, *found = script(
        """
        const { Run } = await import("/playground/run.js");
        return ["off", "turned", "pairs"].map((mirror) => {
          const run = new Run({ ...given, mirror });
          const start = [Array.from(run.model.a), Array.from(run.model.b)];
          run.inputs(run.random, run.words);
          return [start, Array.from(run.words)];
        });
        """,
        {"vocab": 20, "length": 16, "heads": 8, "optimizer": "sgd", "rate": 1, "seed": 5}
        | {"scale": 0.25, "startA": 1, "startB": -2, "batch": 32},
    )
    for values, size, lead in zip(drawn[0], (16, 20), (1, -2), strict=True):
        noise = np.reshape(values, (8, size, size)) - lead * np.eye(size)
        assert noise.std() == pytest.approx(0.25, rel=0.05)
        assert np.diagonal(noise, axis1=1, axis2=2).mean() == pytest.approx(0, abs=0.1)
        assert scipy_stats.kstest(noise.ravel() / 0.25, "norm").pvalue > 0.01
    for mirror, (start, words) in zip(("turned", "pairs"), found, strict=True):
        for values, plain in zip(start, map(np.array, drawn[0]), strict=True):
            first = plain[: len(plain) // 2]
            wanted = -plain if mirror == "turned" else np.concatenate([first, -first])
            assert np.array_equal(values, wanted)
        assert words == drawn[1], "the same data"


def test_branches_are_told_apart_at_a_half_and_at_chance(script: Script) -> None:
    ends = [[0.5, 0.1], [0.1, 0.51], [0.49, 0.1], [0.2, 0.1], [0.1, 0.3], [0.19, 0.1]]
    found = script(
        """
        const { branch } = await import("/playground/model.js");
        return given.map((rightAttention) => branch(rightAttention, 5));
        """,
        ends,
    )
    assert found == ["aligned"] * 2 + ["undecided"] * 3 + ["elimination"]


TALLIES: dict[str, tuple[dict[str, Any], int]] = {
    "toss": ({}, 60),
    "spare-but-tilted": ({"vocab": 6, "scale": 0.5, "startB": -0.1}, 60),
    "two-heads": ({"heads": 2}, 120),
    "turned": ({"scale": 0.5, "startB": 0.1, "mirror": "turned"}, 60),
    "mirror-images": ({"heads": 2, "mirror": "pairs"}, 120),
}


@pytest.mark.parametrize("name", TALLIES)
def test_a_tally_is_that_of_single_runs_and_of_the_theory(script: Script, name: str) -> None:
    changes, steps = TALLIES[name]
    config: dict[str, Any] = {"vocab": 5, "length": 5, "heads": 1, "mirror": "off"} | changes
    found = script(
        TALK
        + """
        const config = { ...DEFAULTS, ...given.config };
        say({ type: "configure", config });
        say({ type: "tally", runs: 200, steps: given.steps });
        const { done, ...last } = await hear(({ done }) => done);
        worker.terminate();
        const { alignedShare } = await import("/playground/theory.js");
        const { branch } = await import("/playground/model.js");
        const { Run } = await import("/playground/run.js");
        const alone = Array.from({ length: 200 }, (_, n) => {
          const run = new Run({ ...config, seed: 1 + n });
          run.advance(given.steps);
          return branch(run.leads().rightAttention, config.length);
        });
        return { last, alone, share: alignedShare(config) };
        """,
        {"config": config, "steps": steps},
    )
    ends = found["alone"]
    counts = {way: ends.count(way) for way in ("aligned", "elimination", "undecided")}
    assert found["last"] == counts | {
        **{"type": "tally", "stopped": False, "runs": 200, "finished": 200}
    }
    if config["mirror"] == "pairs":  # theory says almost 1; what the inputs add, it does not know
        assert found["share"] > 0.99
        assert counts["aligned"] >= 190
    else:
        within = stats.proportion_interval(counts["aligned"], 200, confidence=0.99)
        assert within.low < found["share"] < within.high


SIZES = [(10, 10), (11, 10), (20, 7), (2, 2), (7, 2)]


def test_the_theory_is_that_of_the_reference(script: Script) -> None:
    grid = [-3.0, -0.7, 0.0, 0.4, 2.5]
    found = script(
        """
        const theory = await import("/playground/theory.js");
        return given.sizes.map(([V, L]) => ({
          saddle: theory.saddle(V, L),
          flow: given.grid.map((a) => given.grid.map((b) => theory.velocity(a, b, V, L))),
          loss: given.grid.map((a) => given.grid.map((b) => theory.symmetricLoss(a, b, V, L))),
          attention: given.grid.map((a) => theory.rightAttention(a, L)),
          separatrix: theory.separatrix(V, L, -5, 4, 4),
        }));
        """,
        {"sizes": SIZES, "grid": grid},
    )
    a, b = np.meshgrid(grid, grid, indexing="ij")
    for (vocab, length), here in zip(SIZES, found, strict=True):
        assert here["saddle"] == pytest.approx(phase_portrait.saddle(vocab, length), abs=1e-12)
        flow = np.stack(phase_portrait.symmetric_velocity(a, b, vocab, length), axis=-1)
        np.testing.assert_allclose(here["flow"], flow, rtol=1e-9, atol=1e-15)
        loss = word_loss(a, b, vocab, length)
        np.testing.assert_allclose(here["loss"], loss, rtol=1e-12)
        attention = phase_portrait.right_attention(grid, length)
        np.testing.assert_allclose(here["attention"], attention, rtol=1e-12)
        places, heights = np.array(here["separatrix"]).T
        np.testing.assert_allclose(places, [-5, -2, 1, 4], atol=1e-12)
        wanted = phase_portrait.separatrix(places, vocab, length)
        np.testing.assert_allclose(heights, wanted, rtol=1e-6, atol=1e-6)


def quadrature(
    vocab: int, length: int, scale: float, start_a: float, start_b: float
) -> tuple[float, float]:
    """Share of starts above the separatrix, and of those whose image is not, either; by SciPy."""
    sd_a, sd_b = scale / np.sqrt(length - 1), scale / np.sqrt(vocab - 1)
    a = np.linspace(start_a - 8 * sd_a, start_a + 8 * sd_a, 2001)
    high, low = (side * phase_portrait.separatrix(side * a, vocab, length) for side in (1, -1))
    bell = scipy_stats.norm(start_b, sd_b)
    neither = np.where(low < high, bell.cdf(high) - bell.cdf(low), 0)
    one, none = (
        float(integrate.simpson(scipy_stats.norm.pdf(a, start_a, sd_a) * share, x=a))
        for share in (bell.sf(high), neither)
    )
    return one, none


def test_the_share_that_aligns_is_an_integral_over_the_starts(script: Script) -> None:
    cases = [(10, 10, 0.1, 0.0, 0.0), (20, 16, 1.0, 0.5, -0.4), (3, 2, 1.0, 1.0, -2.0)]
    names = ("vocab", "length", "scale", "startA", "startB")
    given = [dict(zip(names, case, strict=True)) for case in cases]
    found = script(
        """
        const { alignedShare } = await import("/playground/theory.js");
        return given.map((config) => [
          ...[1, 8].map((heads) => alignedShare({ ...config, heads })),
          ...[2, 6].map((heads) => alignedShare({ ...config, heads, mirror: "pairs" })),
          alignedShare({ ...config, heads: 1, mirror: "turned" }),
        ]);
        """,
        given,
    )
    for case, (one, eight, pair, three_pairs, turned) in zip(cases, found, strict=True):
        wanted, neither = quadrature(*case)
        assert pair == pytest.approx(1 - neither, abs=1e-6)
        assert three_pairs == pytest.approx(1 - neither**3, abs=1e-6)
        assert turned == pytest.approx(quadrature(*case[:3], -case[3], -case[4])[0], abs=1e-6)
        assert 0.05 < wanted < 0.95  # neither end: there is something to get wrong
        assert one == pytest.approx(wanted, abs=1e-6)
        assert eight == pytest.approx(1 - (1 - wanted) ** 8, abs=1e-5)
    assert found[0][0] == pytest.approx(phase_portrait.aligned_share(10, 10, 0.1), abs=2e-3)


def test_without_spread_the_start_alone_decides(script: Script) -> None:
    share = """
        const { alignedShare } = await import("/playground/theory.js");
        return ["off", "turned", "pairs"].map((mirror) => given.map((startB) =>
          alignedShare({ vocab: 9, length: 9, scale: 0, heads: 2, startA: 0, startB, mirror })));
        """
    assert script(share, [0.1, 0, -0.1]) == [[1, 0, 0], [0, 0, 1], [1, 0, 1]]

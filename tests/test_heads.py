"""Copiers put together from heads: heads compared one by one, loops over words, hand values."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Literal

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from lessons_lib import models, training
from lessons_lib.lab.heads import HeadsConfig, assemble, classify_starts, remove_heads
from lessons_lib.tasks import EOS

ONE = HeadsConfig(
    vocab=6, length=4, width=10, cell="gru", shared_embeddings=False, batch_size=9,
    learning_rate=1e-2, steps=6, evaluate_every=1, stop_at=2.0, measured=7,
)  # fmt: skip
THREE = replace(ONE, heads=3)


pytestmark = pytest.mark.usefixtures("one_thread_of_the_cpu")


def heads_of(model: models.Seq2Seq) -> list[list[Tensor]]:
    """Query and value projection of each head: weight and bias, weight and bias."""
    tensors = (model.query.weight, model.query.bias, model.value.weight, model.value.bias)
    d = model.config.d_hidden
    return [
        [tensor[head * d : (head + 1) * d].detach().clone() for tensor in tensors]
        for head in range(model.config.heads)
    ]


def equal(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def body_of(model: models.Seq2Seq) -> dict[str, Tensor]:
    state = model.state_dict()
    return {key: value for key, value in state.items() if key.split(".")[0] not in _OF_HEADS}


_OF_HEADS = ("query", "value")


def same_body(one: models.Seq2Seq, other: models.Seq2Seq) -> bool:
    a, b = body_of(one), body_of(other)
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


# --- the configuration -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pool": (4, 5), "drawn": 3}, "as many heads as a pool has, found .3, 0. of .2, 0."),
        ({"pool": (4, 5), "drawn": -1}, "as many heads as a pool has, found .-1, 0. of .2, 0."),
        ({"second_drawn": 1}, "as many heads as a pool has, found .0, 1. of .0, 0."),
        ({"pool": (4, 5), "drawn": 2}, "all 3 heads, or none .* found .2, 0."),
        (
            {"pool": (4, 5), "drawn": 2, "second_pool": (6, 7), "second_drawn": 2},
            "all 3 heads, or none .* found .2, 2.",
        ),
        ({"inner": 20}, "inner of at least 1 and one head, found inner 20 and 3 heads"),
        ({"heads": 1, "inner": 0}, "inner of at least 1 and one head, found inner 0 and 1 heads"),
        ({"tied_until": -1}, "tied_until of at least 0.* found -1"),
        ({"tied_until": 2, "merge": "concatenate"}, "found 2 with merge 'concatenate'"),
        ({"query_scale": 2.0}, "query_scale and value_scale of 1.*found .2.0, 1.0."),
        ({"value_scale": 0.0}, "query_scale and value_scale of 1.*found .1.0, 0.0."),
    ],
)
def test_bad_configurations(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HeadsConfig.from_dict({**THREE.to_dict(), **change})


def test_seeds_of_heads_do_not_overlap_without_a_pool() -> None:
    several = replace(ONE, heads=5, pool=(1, 2))
    found = [several.head_seeds(seed) for seed in range(30)]
    assert all(len(seeds) == 5 for seeds in found)
    assert len({seed for seeds in found for seed in seeds}) == 5 * 30
    assert several.head_seeds(7) == found[7]
    assert [ONE.head_seeds(seed) for seed in (0, 3, 8)] == [(0,), (3,), (8,)]


def test_heads_are_drawn_from_their_pools_in_order_and_without_return() -> None:
    first, second = tuple(range(100, 107)), tuple(range(200, 204))
    config = replace(
        ONE, heads=5, pool=first, drawn=3, second_pool=second, second_drawn=2, data_seed=1
    )
    found = [config.head_seeds(seed) for seed in range(300)]
    torch.manual_seed(8)
    assert found == [config.head_seeds(seed) for seed in range(300)]
    assert len(set(found)) > 250  # of 7*6*5 * 4*3 = 2520 ordered draws
    for seeds in found:
        assert len(set(seeds)) == 5
        assert set(seeds[:3]) <= set(first)
        assert set(seeds[3:]) <= set(second)
    for pool, count in ((first, 3), (second, 2)):
        share = count / len(pool)
        deviation = (300 * share * (1 - share)) ** 0.5
        for head in pool:
            often = sum(head in seeds for seeds in found)
            assert abs(often - 300 * share) < 4 * deviation


# --- putting a copier together ---------------------------------------------------------------


def test_equal_seeds_give_equal_heads_everywhere() -> None:
    (alone,) = heads_of(assemble(ONE, [17]))
    others = (
        (THREE, [3, 4, 17]),
        (replace(THREE, body_seed=5, cell="lstm"), [17, 17, 2]),
        (replace(ONE, heads=4, merge="concatenate", readout="linear"), [1, 17, 2, 3]),
    )
    for config, seeds in others:
        for seed, head in zip(seeds, heads_of(assemble(config, seeds)), strict=True):
            assert equal(head, alone) == (seed == 17)


def test_a_head_starts_as_pytorch_starts_two_layers() -> None:
    (head,) = heads_of(assemble(ONE, [17]))
    torch.manual_seed(17)
    query, value = nn.Linear(10, 10), nn.Linear(10, 10)
    assert equal(head, [query.weight, query.bias, value.weight, value.bias])


def test_the_body_does_not_depend_on_heads() -> None:
    alone = assemble(ONE, [1])
    assert same_body(alone, assemble(ONE, [2]))
    assert same_body(alone, assemble(THREE, [1, 2, 3]))
    assert same_body(alone, assemble(replace(ONE, heads=5), [9, 8, 7, 6, 5]))
    assert same_body(alone, assemble(replace(ONE, inner=7), [3]))
    moved = body_of(assemble(replace(ONE, body_seed=1), [1]))
    assert not any(torch.equal(value, moved[key]) for key, value in body_of(alone).items())


@pytest.mark.parametrize("readout", ["tanh", "linear"])
def test_concatenated_and_averaged_copiers_start_as_one_function(
    readout: Literal["tanh", "linear"],
) -> None:
    config = replace(THREE, readout=readout)
    batch = config.task.sample(5, 0)
    averaged = assemble(config, [4, 5, 6])(batch).logits
    side_by_side = assemble(replace(config, merge="concatenate"), [4, 5, 6])(batch).logits
    torch.testing.assert_close(side_by_side, averaged)
    assert not torch.allclose(averaged, assemble(config, [4, 5, 7])(batch).logits)


def test_as_many_seeds_as_heads() -> None:
    with pytest.raises(ValueError, match="expected 3 seeds of heads, found 2"):
        assemble(THREE, [1, 2])


def test_a_wide_head_expresses_what_a_narrow_one_does() -> None:
    """Its score is affine in s and linear in h, and its value affine in h, as without it."""
    model = assemble(replace(ONE, inner=25), [4]).double()
    rng = torch.Generator().manual_seed(0)
    s, other = torch.randn(2, 3, 5, 10, generator=rng, dtype=torch.float64)
    h, g = torch.randn(2, 3, 4, 10, generator=rng, dtype=torch.float64)
    mask = torch.ones(3, 4, dtype=torch.bool)
    with torch.no_grad():
        mixed = model.scores(0.3 * s + 0.7 * other, h, mask)
        expected = 0.3 * model.scores(s, h, mask) + 0.7 * model.scores(other, h, mask)
        torch.testing.assert_close(mixed, expected)
        torch.testing.assert_close(
            model.scores(s, 2.0 * h - 5.0 * g, mask),
            2.0 * model.scores(s, h, mask) - 5.0 * model.scores(s, g, mask),
        )
        torch.testing.assert_close(
            model.values(0.3 * h + 0.7 * g), 0.3 * model.values(h) + 0.7 * model.values(g)
        )
        assert not torch.allclose(model.scores(s, h, mask), model.scores(other, h, mask))
    again, changed = (assemble(replace(ONE, inner=25), [seed]) for seed in (4, 5))
    batch = ONE.task.sample(2, 0)
    first = assemble(replace(ONE, inner=25), [4])(batch).logits
    assert torch.equal(again(batch).logits, first)
    assert not torch.equal(changed(batch).logits, first)


# --- a head removed --------------------------------------------------------------------------


@pytest.fixture(params=["average", "concatenate"])
def trained(request: pytest.FixtureRequest) -> models.Seq2Seq:
    """Three heads that matter to different degrees."""
    config = replace(THREE, merge=request.param)
    model = assemble(config, [4, 5, 6])
    training.train(
        model,
        config.task.stream(30, 1),
        models.sequence_loss,
        training.TrainConfig(steps=120, learning_rate=2e-2),
        device="cpu",
    )
    return model


def test_a_removed_head_by_loop(trained: models.Seq2Seq) -> None:
    batch = THREE.task.sample(50, 77)
    trained.train()
    found = remove_heads(trained, batch)
    assert trained.training, "the model's mode is put back"
    average = trained.config.merge == "average"
    written = torch.tensor([1, 2, 4, 5, 6, 7, 8, 9])  # of each row of the output layer
    with torch.no_grad():
        out = trained(batch)
        h, projections = out.encoder_states, heads_of(trained)
        contexts = []  # of each head: b t d
        for query, query_bias, value, value_bias in projections:
            a = torch.einsum("btd,bld->btl", out.decoder_states @ query.T + query_bias, h)
            contexts.append(a.softmax(-1) @ (h @ value.T + value_bias))
        expected = {}
        for gone in range(3):
            kept = [c for k, c in enumerate(contexts) if k != gone]
            silent = [c * (k != gone) for k, c in enumerate(contexts)]
            context = sum(kept[1:], kept[0]) / 2 if average else torch.cat(silent, -1)
            logits = trained.readout_layers(torch.cat([out.decoder_states, context], -1))
            said = written[logits.argmax(-1)]
            hits = [
                int(said[b, t]) == word
                for b, row in enumerate(batch.target.tolist())
                for t, word in enumerate(row)
                if word != EOS
            ]
            assert len(hits) == 50 * 4
            expected[f"accuracy/without_head{gone}"] = sum(hits) / len(hits)
        whole = float((out.logits.argmax(-1) == batch.target)[:, :4].double().mean())
    assert found == pytest.approx(expected)
    assert list(found) == list(expected)
    assert len({*found.values(), whole}) > 2, "it matters which head is gone"


# --- good starts and bad starts --------------------------------------------------------------

ENDS = {"aligned": (0.97, 0.9, 0.8), "elimination": (0.97, 0.0, 0.01), "undecided": (0.4, 0.2, 0.2)}


def frame_of(kinds: dict[int, str]) -> pd.DataFrame:
    """Runs by the initials of their branches in the orders one, two, three; ``-`` for no run."""
    names = ("token_accuracy", "attention_accuracy", "right_mass")
    rows = [
        {"arm": arm, "seed": seed, "step": step, "metric": name, "value": value}
        for seed, initials in kinds.items()
        for arm, initial in zip(("one", "two", "three"), initials, strict=True)
        for branch, end in ENDS.items()
        if branch.startswith(initial)
        for step, values in ((0, (0.1, 0.2, 0.125)), (20, end))
        for name, value in zip(names, values, strict=True)
    ]
    random.Random(0).shuffle(rows)
    return pd.DataFrame(rows)


def test_starts_are_classified_by_all_orders() -> None:
    kinds = {9: "aaa", 2: "eee", 30: "eue", 4: "aea", 5: "uua", 6: "uuu", 7: "aaa"}
    found = classify_starts(frame_of(kinds))
    assert found.to_dict() == {
        9: "good", 2: "bad", 30: "bad", 4: "mixed", 5: "mixed", 6: "bad", 7: "good"
    }  # fmt: skip
    assert found.index.name == "seed"
    one = classify_starts(frame_of(kinds).query("arm == 'two'"))
    assert one[one == "good"].index.tolist() == [7, 9]
    assert one[one == "bad"].index.tolist() == [2, 4, 5, 6, 30]


def test_a_start_is_not_classified_by_some_of_the_orders() -> None:
    with pytest.raises(ValueError, match=r"each seed in every arm, found \[2, 5\]"):
        classify_starts(frame_of({1: "aaa", 2: "a-a", 3: "eee", 5: "--e"}))

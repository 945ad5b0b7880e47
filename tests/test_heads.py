"""Copiers put together from heads: heads one by one, loops over words, plain training loops."""

from copy import deepcopy
from dataclasses import replace
from itertools import chain
from typing import Literal

import pytest
import torch
from test_claims_copying import Run, record
from test_copying import lively, noted
from torch import Tensor, nn

from lessons_lib import models
from lessons_lib.lab import copying, heads, mirror, records
from lessons_lib.lab.copying import extended, run_copying
from lessons_lib.lab.heads import HeadsConfig, remove_heads
from lessons_lib.lab.outcomes import classify_starts

ONE = HeadsConfig(
    vocab=6, length=4, width=10, cell="gru", shared_embeddings=False, batch_size=9,
    learning_rate=1e-2, steps=6, evaluate_every=1, stop_at=2.0, measured=7,
)  # fmt: skip
THREE = replace(ONE, heads=3)
PAIR = replace(mirror.PAIRS, vocab=6, length=5, width=7, batch_size=3, steps=2, measured=4)
Heads = list[list[Tensor]]


def heads_of(model: models.Seq2Seq) -> Heads:
    """Query and value projection of each head: weight and bias, weight and bias."""
    tensors = (model.query.weight, model.query.bias, model.value.weight, model.value.bias)
    heads = model.config.heads
    return [list(t) for t in zip(*(x.detach().clone().chunk(heads) for x in tensors), strict=True)]


def apart(one: list[Tensor], other: list[Tensor]) -> float:
    return max(float((a - b).detach().abs().max()) for a, b in zip(one, other, strict=True))


def body_of(model: models.Seq2Seq) -> dict[str, Tensor]:
    state = model.state_dict()
    return {k: v for k, v in state.items() if k.split(".")[0] not in ("query", "value")}


def test_heads_are_drawn_from_their_pools_without_return_or_follow_the_seed() -> None:
    several = replace(ONE, heads=5, pool=(1, 2))
    found = [several.head_seeds(seed) for seed in range(30)]
    assert len({*chain(*found)}) == 5 * 30, "no two runs share a head"
    assert [ONE.head_seeds(seed) for seed in (0, 3, 8)] == [(0,), (3,), (8,)]
    first, second = set(range(100, 107)), set(range(200, 204))
    config = replace(
        ONE, heads=5, pool=tuple(first), drawn=3, second_pool=tuple(second), second_drawn=2
    )
    found = [config.head_seeds(seed) for seed in range(300)]
    assert len(set(found)) > 250  # of 7*6*5 * 4*3 = 2520 ordered draws
    assert all(len(set(seeds)) == 5 for seeds in found)
    for places, pool in ((range(3), first), (range(3, 5), second)):
        for place in places:
            assert {seeds[place] for seeds in found} == pool, "any head at any place"


def test_equal_seeds_give_equal_heads_everywhere() -> None:
    (alone,) = heads_of(ONE.assemble([17]))
    torch.manual_seed(17)
    query, value = nn.Linear(10, 10), nn.Linear(10, 10)  # as PyTorch starts two layers
    assert apart(alone, [query.weight, query.bias, value.weight, value.bias]) == 0
    other = replace(THREE, body_seed=5, cell="lstm", merge="concatenate")
    for config, seeds in ((THREE, [3, 4, 17]), (other, [17, 17, 2])):
        for seed, head in zip(seeds, heads_of(config.assemble(seeds)), strict=True):
            assert (apart(head, alone) == 0) == (seed == 17)


def test_the_body_does_not_depend_on_heads() -> None:
    alone = body_of(ONE.assemble([1]))
    for config, seeds in ((ONE, [2]), (THREE, [1, 2, 3]), (replace(ONE, inner=7), [3])):
        other = body_of(config.assemble(seeds))
        assert alone.keys() == other.keys()
        assert all(torch.equal(value, other[key]) for key, value in alone.items())
    moved = body_of(replace(ONE, body_seed=1).assemble([1]))
    assert not any(torch.equal(value, moved[key]) for key, value in alone.items())


def test_concatenated_and_averaged_copiers_start_as_one_function() -> None:
    batch = THREE.task.sample(5, 0)
    averaged = THREE.assemble([4, 5, 6])(batch).logits
    side_by_side = replace(THREE, merge="concatenate").assemble([4, 5, 6])(batch).logits
    torch.testing.assert_close(side_by_side, averaged)
    assert not torch.allclose(averaged, THREE.assemble([4, 5, 7])(batch).logits)


@pytest.mark.parametrize("merge", ["average", "concatenate"])
def test_a_removed_head(merge: Literal["average", "concatenate"]) -> None:
    """Averaged: as two heads on the same body. Concatenated: as a head whose values are 0."""
    batch, seeds = THREE.task.sample(50, 77), (4, 5, 6)

    model = lively(replace(THREE, merge=merge).assemble(seeds), 4.0)
    found = remove_heads(model, batch)
    assert model.training, "the model's mode is put back"
    for gone in range(3):
        left = deepcopy(model)
        if merge == "average":
            pair = replace(THREE, heads=2).assemble(seeds[:gone] + seeds[gone + 1 :])
            left = lively(pair, 4.0)
        else:
            left.value.weight[gone * 10 : gone * 10 + 10] = 0
            left.value.bias[gone * 10 : gone * 10 + 10] = 0
        right = (left(batch).logits.argmax(-1) == batch.target)[:, :4]  # without the end symbol
        assert found[f"accuracy/without_head{gone}"] == float(right.double().mean())
    assert len(set(found.values())) > 1, "it matters which head is gone"


def test_starts_are_classified_by_all_orders() -> None:
    """Three starts; each letter is the branch of one order of the data."""
    ends: dict[str, Run] = {"a": ("aligned", 20, True), "e": ("elimination", 20, True)}
    ends["u"] = ("undecided", 20, False)
    arms = {
        arm: record(arm, [ends[k] for k in kinds]) for arm, kinds in (("1", "aeu"), ("2", "aua"))
    }
    frame = records.frame(arms).sample(frac=1, random_state=0)
    assert classify_starts(frame).to_dict() == {1: "good", 2: "bad", 3: "mixed"}


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> list[Heads]:
    """The heads each time that a run is measured."""
    return noted(monkeypatch, copying, "measure_copier", lambda model, _: heads_of(model))


def trained_by_hand(config: HeadsConfig, seeds: tuple[int, ...], data_seed: int) -> list[Heads]:
    """The heads after each update of a plain loop; all others restart when they are untied."""
    untie = config.tied_until
    model = config.assemble([seeds[0]] * config.heads if untie else seeds)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
    stream = config.task.stream(config.batch_size, data_seed)
    found = [heads_of(model)]
    for made in range(config.steps):
        if made == untie > 0:
            fresh = config.assemble(seeds)
            with torch.no_grad():
                for name in ("query.weight", "query.bias", "value.weight", "value.bias"):
                    rows = slice(config.width, None)  # of all heads but the first
                    model.get_parameter(name)[rows] = fresh.get_parameter(name)[rows]
        optimizer.zero_grad()
        models.sequence_loss(model, next(stream)).backward()
        optimizer.step()
        found.append(heads_of(model))
    return found


def test_good_and_bad_heads_are_those_of_the_record() -> None:
    for scale, good, bad in (
        ("lesson", heads.GOOD_HEADS, heads.BAD_HEADS),
        ("bfloat16", heads.PAPER_GOOD_HEADS, heads.PAPER_BAD_HEADS),
    ):
        kinds = classify_starts(records.frame(records.load("head_starts", scale)))
        assert tuple(kinds.index[kinds == "good"]) == good
        assert tuple(kinds.index[kinds == "bad"]) == bad


@pytest.mark.parametrize(
    "config",
    [
        replace(THREE, merge="concatenate", data_seed=8),
        replace(THREE, tied_until=6),
        replace(THREE, tied_until=2, pool=(31, 52, 77, 94), drawn=3),
    ],
)
def test_a_run_is_the_plain_training_loop(
    config: HeadsConfig, watched: list[Heads], monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = noted(monkeypatch, models, "sequence_loss", lambda model, _: heads_of(model))
    assert run_copying(config, 2).steps == config.steps
    data_seed = 2 if config.data_seed is None else config.data_seed
    expected = trained_by_hand(config, config.head_seeds(2), data_seed)
    torch.testing.assert_close(watched, expected, atol=2e-4, rtol=0)
    assert all(same(found, found[:1] * config.heads) for found in trained[: config.tied_until])


def image(head: list[Tensor], query: int, value: int) -> list[Tensor]:
    """A head with these signs of query and value, weights and biases."""
    return [part * sign for part, sign in zip(head, (query, query, value, value), strict=True)]


def same(heads: Heads, others: Heads) -> bool:
    return all(map(torch.equal, chain(*heads), chain(*others)))


SIGNS: dict[mirror.Pair, tuple[int, int]] = {
    "identical": (1, 1), "both": (-1, -1), "query": (-1, 1), "value": (1, -1),
}  # fmt: skip


@pytest.mark.parametrize("pair", SIGNS)
def test_the_second_head_of_a_pair_is_the_first_with_other_signs(pair: mirror.Pair) -> None:
    drawn, found = (PAIR.build(4) for _ in range(2))
    mirror.pair_up(found, pair)
    first = heads_of(drawn)[0]
    assert same(heads_of(found), [first, image(first, *SIGNS[pair])])
    expected = body_of(drawn)
    assert all(torch.equal(part, expected[name]) for name, part in body_of(found).items())


def test_antithetic_heads_of_any_even_number() -> None:
    model = models.build(models.Seq2SeqConfig(9, 8, d_embed=5, d_hidden=6, heads=4), 1)
    drawn = heads_of(model)[:2]
    models.make_antithetic(model)
    assert same(heads_of(model), [*drawn, *(image(head, -1, -1) for head in drawn)])


def test_turned_heads_are_those_of_the_seeds_with_another_sign(watched: list[Heads]) -> None:
    for turned in (False, True):
        run_copying(extended(THREE, mirror.TurnedConfig, steps=0, turned=turned), 9)
    as_it_is, turned_over = watched
    assert same(turned_over, [image(head, -1, -1) for head in as_it_is])

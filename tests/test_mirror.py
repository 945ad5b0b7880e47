"""Oracles: signs of single rows, and the leads of a head and of its image by the probe itself."""

from dataclasses import replace

import pytest
import torch

from lessons_lib import models, probes
from lessons_lib.lab import heads, mirror
from lessons_lib.lab.copying import build_copier

TINY = replace(mirror.PAIRS, vocab=6, length=5, width=7, batch_size=3, steps=2, measured=4)


@pytest.mark.parametrize(
    ("what", "query", "value"), [("both", -1, -1), ("query", -1, 1), ("value", 1, -1)]
)
def test_turning_over_changes_signs_of_one_head_only(
    what: mirror.Turned, query: int, value: int
) -> None:
    model = build_copier(replace(TINY, pair="random"), 3)
    before = {name: part.clone() for name, part in model.state_dict().items()}
    mirror.turn_over(model, 1, what)
    for name, part in model.state_dict().items():
        sign = {"query": query, "value": value}.get(name.split(".")[0])
        if sign is None:
            assert torch.equal(part, before[name])
        else:
            assert torch.equal(part[:7], before[name][:7])
            assert torch.equal(part[7:], sign * before[name][7:])
    mirror.turn_over(model, 1, what)
    assert all(torch.equal(part, before[name]) for name, part in model.state_dict().items())


def test_a_head_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="a head from 0 to 1, found 2"):
        mirror.turn_over(build_copier(TINY, 0), 2)


def test_pairs_share_the_first_head_and_the_body() -> None:
    drawn = build_copier(replace(TINY, pair="random"), 4).state_dict()
    pairs: tuple[tuple[mirror.Pair, int, int], ...] = (
        ("identical", 1, 1),
        ("both", -1, -1),
        ("query", -1, 1),
        ("value", 1, -1),
    )
    for pair, query, value in pairs:
        found = mirror.build_pair(replace(TINY, pair=pair), 4).state_dict()
        for name, part in found.items():
            sign = {"query": query, "value": value}.get(name.split(".")[0])
            if sign is None:
                assert torch.equal(part, drawn[name])
            else:
                assert torch.equal(part[:7], drawn[name][:7])
                assert torch.equal(part[7:], sign * drawn[name][:7])


def test_attention_logits_and_values_of_the_image_are_opposite() -> None:
    model = mirror.build_pair(replace(TINY, pair="both"), 5)
    batch = TINY.task.sample(3, 8)
    with probes.evaluating(model):
        out = model(batch)
        values = model.values(out.encoder_states)
    torch.testing.assert_close(out.scores[:, 0], -out.scores[:, 1])
    torch.testing.assert_close(values[:, 0], -values[:, 1])


@pytest.mark.parametrize("count", [2, 4])
def test_antithetic_heads_of_any_even_number(count: int) -> None:
    config = models.Seq2SeqConfig(9, 8, d_embed=5, d_hidden=6, heads=count)
    model = models.build(config, 1)
    start = models.build(config, 1)
    models.make_antithetic(model)
    half = count // 2 * 6
    for new, old in ((model.query, start.query), (model.value, start.value)):
        for weights, drawn in zip(new.parameters(), old.parameters(), strict=True):
            assert torch.equal(weights[:half], drawn[:half])
            assert torch.equal(weights[half:], -drawn[:half])


def test_an_odd_number_of_heads_has_no_antithetic_start() -> None:
    with pytest.raises(ValueError, match="even number of heads, found 3"):
        models.make_antithetic(models.build(models.Seq2SeqConfig(9, 8, 5, 6, heads=3), 1))
    with pytest.raises(ValueError, match="expected two heads, found 4"):
        replace(TINY, heads=4)


def test_turned_heads_are_those_of_the_seeds_with_another_sign() -> None:
    config = mirror.TurnedConfig.from_dict(
        {**heads.HeadsConfig(6, 5, width=7, batch_size=3, steps=0).to_dict(), "turned": True}
    )
    as_it_is = mirror.run_turned(replace(config, turned=False), 9).last("margin")
    turned = mirror.run_turned(config, 9).last("margin")
    # To first order the margin of a head and of its image add up to that of a head without values.
    assert turned * as_it_is < 0 or abs(turned + as_it_is) < abs(turned - as_it_is)

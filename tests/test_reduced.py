import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from test_theory import word_loss
from torch.nn.functional import cross_entropy

from lessons_lib.theory import phase_portrait
from lessons_lib.theory.reduced_model import (
    ReducedConfig,
    ReducedRuns,
    reduced_logits,
    reduced_losses,
    train_reduced,
)

SMALL = ReducedConfig(vocab=7, length=5, heads=2, batch_size=3, steps=17, evaluate_every=5)
FIELDS = "loss", "token_accuracy", "right_attention", "lead_a", "lead_b"


def test_logits_and_losses_are_those_written_out() -> None:
    rng = torch.Generator().manual_seed(0)
    a = torch.randn(2, 3, 4, 4, generator=rng, dtype=torch.float64)
    b = torch.randn(2, 3, 7, 7, generator=rng, dtype=torch.float64)
    words = torch.rand(2, 5, 7, generator=rng).argsort(-1)[..., :4]
    logits = reduced_logits(a, b, words)
    assert logits.shape == (2, 5, 4, 7)
    for r, n, t in itertools.product(range(2), range(5), range(4)):
        by_hand = torch.zeros(7, dtype=torch.float64)
        for k, i in itertools.product(range(3), range(4)):
            alpha = torch.exp(a[r, k, t]) / torch.exp(a[r, k, t]).sum()
            by_hand += alpha[i] * b[r, k, words[r, n, i]] / 3
        torch.testing.assert_close(logits[r, n, t], by_hand)
    for r, loss in enumerate(reduced_losses(logits, words)):
        by_run = cross_entropy(logits[r].flatten(0, 1), words[r].flatten())
        torch.testing.assert_close(loss, by_run)


def test_descent_from_a_symmetric_start_is_the_flow_in_steps() -> None:
    """Exact with any batch: from this start all inputs are one input with its words renamed.

    The second step begins next to such a place.
    """
    config = replace(SMALL, heads=1, learning_rate=0.25, steps=2, evaluate_every=1)
    runs = train_reduced(replace(config, start_scale=0.0, start_a=0.7, start_b=-1.3), [4, 9])
    a, b = 0.7, -1.3
    for check, near in enumerate((1e-12, 1e-10, 1e-5)):
        np.testing.assert_allclose(runs.lead_a[:, check, 0], a, rtol=near)
        np.testing.assert_allclose(runs.lead_b[:, check, 0], b, rtol=near)
        a_velocity, b_velocity = phase_portrait.symmetric_velocity(a, b, 7, 5)
        a, b = a + 0.25 * float(a_velocity), b + 0.25 * float(b_velocity)
    assert not runs.token_accuracy.any(), "words speak against themselves"
    np.testing.assert_allclose(runs.loss[:, 0], word_loss(0.7, -1.3, 7, 5))
    p = phase_portrait.right_attention(0.7, 5)
    np.testing.assert_allclose(runs.right_attention[:, 0, 0], p)


def test_first_step_of_adam_moves_every_entry_by_the_learning_rate() -> None:
    config = ReducedConfig(vocab=5, length=5, optimizer="adam", learning_rate=0.02, steps=1)
    runs = train_reduced(replace(config, start_scale=0.0, start_a=0.5, start_b=0.5), [0])
    # The diagonal goes up by it, the rest down.
    np.testing.assert_allclose(np.diff(runs.lead_a[0, :, 0]), 0.04, rtol=1e-4)
    np.testing.assert_allclose(np.diff(runs.lead_b[0, :, 0]), 0.04, rtol=1e-4)
    assert (runs.token_accuracy == 1).all()


def test_a_run_depends_on_its_seed_only() -> None:
    """Not on its companions, on when it is measured, or on how long it goes on."""
    before = torch.get_rng_state()
    crowd, again = train_reduced(SMALL, range(6)), train_reduced(SMALL, range(6))
    assert torch.equal(torch.get_rng_state(), before)
    assert crowd.steps.tolist() == [0, 5, 10, 15, 17]
    pair = train_reduced(replace(SMALL, evaluate_every=3), [4, 1])
    assert np.array_equal(crowd.loss, again.loss)
    for name in FIELDS:
        found, wanted = getattr(pair, name)[:, -1], getattr(crowd, name)[[4, 1], -1]
        np.testing.assert_allclose(found, wanted, rtol=1e-12)
    assert len(set(crowd.loss[:, -1])) == 6, "seeds should differ"
    longer = train_reduced(replace(SMALL, steps=40), [3])
    np.testing.assert_allclose(longer.loss[0, :4], crowd.loss[3, :4], rtol=1e-12)


def test_start_has_the_spread_that_was_asked_for() -> None:
    config = ReducedConfig(vocab=7, length=5, heads=3, steps=0, start_scale=0.3, start_b=2.0)
    runs = train_reduced(config, range(400))
    # A mean of n entries minus one of n (n-1) others: variance scale^2 / (n-1).
    for lead, centre, size in ((runs.lead_a, 0.0, 5), (runs.lead_b, 2.0, 7)):
        spread = 0.3 / math.sqrt(size - 1)
        assert lead.mean() == pytest.approx(centre, abs=4 * spread / math.sqrt(1200))
        assert lead.std() == pytest.approx(spread, rel=0.1)


def test_branches_by_hand() -> None:
    """Of two heads the last attention decides; exactly at chance nothing is decided."""
    last = np.array([[0.1, 0.5], [0.19, 0.01], [0.19, 0.21], [0.49, 0.0], [0.2, 0.2]])
    attention = np.stack([np.full((5, 2), 0.9), last], axis=1)
    config = ReducedConfig(vocab=10, length=5, heads=2)
    runs = ReducedRuns(
        config, tuple(range(5)), np.arange(2), *[np.zeros((5, 2))] * 2, *[attention] * 3
    )
    assert runs.branches() == ("aligned", "elimination", *["undecided"] * 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vocab": 4, "length": 5}, "found length 5 and vocab 4"),
        ({"optimizer": "lbfgs"}, "sgd, adam, found 'lbfgs'"),
    ],
)
def test_configurations_that_make_no_sense(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ReducedConfig(**change)

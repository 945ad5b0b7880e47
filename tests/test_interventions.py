"""Interventions: against plain training loops, loops over words, and values by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import pytest
import torch
from torch.nn.functional import cross_entropy

from lessons_lib import models, probes
from lessons_lib.lab.catalogue import REGISTRY, branches
from lessons_lib.lab.copying import SMALL, build_copier, measure_copier
from lessons_lib.lab.interventions import (
    PREPARATION_SEED,
    Group,
    InterventionConfig,
    alignment_loss,
    build_held,
    dictionary_loss,
    gold_attention,
    measure_intervention,
    parameter_groups,
    preparation_batches,
    run_intervention,
    uniform_attention,
    wrong_dictionary,
)
from lessons_lib.tasks import EOS, FIRST_WORD, PAD, Batch

Tiny = Callable[..., InterventionConfig]

pytestmark = pytest.mark.usefixtures("one_thread_of_the_cpu")


# --- the configuration -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prepare": "bags"}, "prepare to be one of nothing, .*found 'bags'"),
        ({"hold": "Gold"}, "hold to be one of nothing, .*found 'Gold'"),
        ({"frozen": ("query",)}, "frozen from ktiw, attention, shared, found .*query"),
        ({"frozen": ("ktiw", "ktiw")}, "frozen from ktiw"),
        ({"spare": -1}, "spare of at least 0 .*found -1 and 1.0"),
        ({"query_rate": 0.0}, "query_rate above 0, found 3 and 0.0"),
        ({"query_rate": float("nan")}, "query_rate above 0, found 3 and nan"),
        ({"prepare": "gold"}, "above 0 with a preparation, else 0, found 0 with prepare 'gold'"),
        ({"prepare_steps": 2}, "else 0, found 2 with prepare 'nothing'"),
        ({"prepare": "gold", "prepare_steps": -2}, "found -2 with prepare 'gold'"),
        (
            {"prepare": "uniform-easy", "prepare_steps": 2, "spare": 0},
            "spare words for an easy distribution",
        ),
        ({"wrong_words": True}, "'dictionary', found 'nothing'"),
        ({"wrong_words": True, "prepare": "gold", "prepare_steps": 2}, "found 'gold'"),
        (
            {"wrong_words": True, "prepare": "dictionary", "prepare_steps": 2, "spare": 1},
            "two words or more to exchange",
        ),
        ({"hold": "snapshot", "hold_from": 4}, "hold_from below steps, .*found 4"),
        ({"hold": "snapshot", "hold_from": -1}, "found -1 with hold 'snapshot'"),
        ({"hold": "gold", "hold_from": 2}, "0 without a snapshot, found 2 with hold 'gold'"),
        ({"hold": "gold", "frozen": ("shared", "ktiw")}, "something to train"),
        ({"frozen": ("shared", "attention", "ktiw")}, "something to train"),
        ({"query_rate": 4.0, "hold": "uniform"}, "where the query does not learn, found 4.0"),
        ({"query_rate": 4.0, "frozen": ("attention",)}, "query does not learn, found 4.0"),
    ],
)
def test_contradictions_are_refused(tiny: Tiny, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny(**change)


# --- the copier ------------------------------------------------------------------------------


def test_the_start_is_that_of_an_ordinary_copier_with_more_words(tiny: Tiny) -> None:
    torch.manual_seed(4)
    before = torch.get_rng_state()
    config = tiny(spare=0, query_scale=0.5)
    held, plain = build_held(config, 3), build_copier(config, 3)
    assert torch.equal(torch.get_rng_state(), before)
    for name, value in plain.state_dict().items():
        assert torch.equal(held.state_dict()[name], value), name
    assert held.source_embedding is held.target_embedding
    assert (tiny().task.vocab, tiny().task.vocab_size) == (5, 9)
    assert (tiny().model.source_vocab, tiny().model.target_vocab) == (12, 12)
    as_one = tiny(vocab=8, spare=0)
    assert as_one.model == tiny().model
    ours, theirs = build_held(tiny(), 3).state_dict(), build_held(as_one, 3).state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_held_attention_by_hand() -> None:
    words = torch.tensor([[7, 4, EOS, PAD], [5, 6, 4, EOS]])
    batch = Batch(words, words.roll(1, dims=0)[:, :3], torch.tensor([[2, 0, 1], [3, 3, 0]]))
    third, quarter = 1 / 3, 1 / 4
    expected = [[third, third, third, 0.0], [quarter] * 4]
    torch.testing.assert_close(uniform_attention(batch), torch.tensor(expected)[:, None, None])
    assert gold_attention(batch).tolist() == [
        [[[0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0]]],
        [[[0, 0, 0, 1], [0, 0, 0, 1], [1, 0, 0, 0]]],
    ]
    for gold in (None, torch.tensor([[2, 0, -1], [3, 3, 0]])):
        with pytest.raises(ValueError, match="a right position for each output word"):
            gold_attention(Batch(batch.source, batch.target, gold))


@pytest.mark.parametrize("heads", [1, 2])
def test_loss_and_measurements_see_held_attention(tiny: Tiny, heads: int) -> None:
    model = build_held(tiny(heads=heads), 1)
    batch = tiny().task.sample(6, 0)
    free = model(batch)
    plain = build_copier(tiny(heads=heads), 1)
    assert torch.equal(free.attention, plain(batch).attention)
    model.hold = gold_attention
    eye = torch.eye(6)
    out = model(batch)
    assert torch.equal(out.attention, eye.expand(6, heads, 6, 6))
    expected = plain(batch, attention=eye).logits
    assert torch.equal(out.logits, expected)
    assert not torch.allclose(out.logits, free.logits)
    loss = cross_entropy(expected.flatten(0, 1), batch.target.flatten())
    torch.testing.assert_close(models.sequence_loss(model, batch), loss)
    assert measure_intervention(model, batch, tiny())["right_mass"] == 1.0
    passed = model(batch, attention=uniform_attention(batch))
    assert torch.equal(passed.attention, torch.full((6, heads, 6, 6), 1 / 6))


@pytest.mark.parametrize("shared", [True, False])
def test_each_parameter_is_in_one_group(tiny: Tiny, shared: bool) -> None:
    model = build_held(tiny(shared_embeddings=shared), 0)
    groups = parameter_groups(model)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = {group: {names[id(p)] for p in ps} for group, ps in groups.items()}
    assert sorted(name for ps in found.values() for name in ps) == sorted(names.values())
    assert found["attention"] == {"query.weight", "query.bias"}
    assert found["ktiw"] == {
        *("source_embedding.weight", "value.weight", "value.bias"),
        *(f"readout_layers.{k}.{kind}" for k in (0, 2) for kind in ("weight", "bias")),
    }
    assert ("target_embedding.weight" in found["shared"]) == (not shared)


def test_the_lexical_probe_depends_on_all_groups_but_attention(tiny: Tiny) -> None:
    batch = tiny().task.sample(3, 0)
    for group in get_args(Group):
        model = build_held(tiny(), 0)
        before = probes.lexical_probe(model, batch, scale="probability")
        for k, parameter in enumerate(parameter_groups(model)[group]):
            with torch.no_grad():
                parameter.mul_(1.5 + k)
        after = probes.lexical_probe(model, batch, scale="probability")
        assert torch.equal(before, after) == (group == "attention")


# --- what is taught --------------------------------------------------------------------------


@pytest.mark.parametrize(("vocab", "spare"), [(5, 3), (6, 0), (4, 2)])
def test_a_wrong_dictionary_is_wrong_everywhere(tiny: Tiny, vocab: int, spare: int) -> None:
    table = wrong_dictionary(tiny(vocab=vocab, length=4, spare=spare)).tolist()
    first, last = FIRST_WORD, FIRST_WORD + vocab + spare
    assert table[:first] == [0, 1, 2, 3]
    assert all(table[word] != word for word in range(first, last))
    assert sorted(table[first : first + vocab]) == list(range(first, first + vocab))
    assert sorted(table[first + vocab :]) == list(range(first + vocab, last))


def test_what_the_preparations_train_on(tiny: Tiny) -> None:
    def first(prepare: str, **change: Any) -> Batch:
        config = tiny(prepare=prepare, prepare_steps=1, batch_size=40, **change)
        return next(preparation_batches(config, 6))

    for prepare in ("uniform-hard", "gold", "alignment"):
        batch = first(prepare)
        for row in batch.source.tolist():
            assert sorted(row[:5]) == [4, 5, 6, 7, 8]
        assert torch.equal(batch.target, batch.source)
        seen = next(tiny().task.stream(40, PREPARATION_SEED + 6)).source
        assert torch.equal(batch.source, seen)
    easy, wrong = first("uniform-easy"), first("uniform-easy", wrong_words=True)
    assert set(easy.source.flatten().tolist()) == {EOS, *range(4, 12)}
    assert all(len(set(row)) == 6 for row in easy.source.tolist())
    book, wrong_book = first("dictionary"), first("dictionary", wrong_words=True)
    assert set(book.source.flatten().tolist()) == {EOS, *range(4, 9)}
    assert any(len(set(row)) < 6 for row in book.source.tolist())
    pairs = {4: 5, 5: 6, 6: 7, 7: 8, 8: 4, 9: 10, 10: 11, 11: 9, EOS: EOS}
    for right, changed_words in ((easy, wrong), (book, wrong_book)):
        assert torch.equal(right.target, right.source)
        assert torch.equal(changed_words.source, right.source)
        expected = [[pairs[word] for word in row] for row in right.source.tolist()]
        assert changed_words.target.tolist() == expected
        assert changed_words.gold is not None
        assert changed_words.gold.tolist() == [list(range(6))] * 40


@pytest.mark.parametrize("heads", [1, 3])
def test_dictionary_loss_by_loop(tiny: Tiny, heads: int) -> None:
    config = tiny(heads=heads, prepare="dictionary", prepare_steps=1, wrong_words=True)
    model = build_held(config, 2)
    batch = next(preparation_batches(config, 0))
    loss = dictionary_loss(model, batch)
    out = model(batch)
    values = out.encoder_states @ model.value.weight.T + model.value.bias
    context = values.unflatten(-1, (heads, 10)).mean(2)
    total = torch.zeros(())
    written = [1, 2, *range(4, 12)]  # rows of the output layer, the spare words' included
    for b in range(9):
        for t in range(6):
            s = out.decoder_states[b - 1, t]
            logits = model.readout_layers(torch.cat([s, context[b, t]]))
            total = total - logits.log_softmax(0)[written.index(int(batch.target[b, t]))]
    torch.testing.assert_close(loss, total / 54)
    loss.backward()
    for parameter in parameter_groups(model)["attention"]:
        assert parameter.grad is None or not bool(parameter.grad.any())
    assert model.value.weight.grad is not None
    assert bool(model.value.weight.grad.any())


def test_alignment_loss_by_loop(tiny: Tiny) -> None:
    model = build_held(tiny(heads=2), 2)
    batch = tiny().task.sample(4, 1)
    alpha = model(batch).attention
    picked = [alpha[b, k, t, t].log() for b in range(4) for k in range(2) for t in range(6)]
    torch.testing.assert_close(alignment_loss(model, batch), -torch.stack(picked).mean())


def test_measurements_by_loop(tiny: Tiny) -> None:
    config = tiny(prepare="dictionary", prepare_steps=1, wrong_words=True)
    model = build_held(config, 2)
    batch = config.task.sample(12, 3)
    found = measure_intervention(model, batch, config)
    pairs = {4: 5, 5: 6, 6: 7, 7: 8, 8: 4}
    model.requires_grad_(False)
    out = model(batch)
    values = model.values(out.encoder_states)[:, 0]  # b l d
    hits, masses = [], []
    for b in range(12):
        for t in range(5):
            word = int(batch.target[b, t])
            told = [model.readout(out.decoder_states[b, t], value) for value in values[b]]
            said = [float(logits.log_softmax(-1)[word]) for logits in told]
            hits.append(said.index(max(said)) == t)
            (there,) = [j for j in range(5) if pairs[int(batch.source[b, j])] == word]
            masses.append(float(out.attention[b, 0, t, there]))
    assert 0 < sum(hits) < 60
    assert found["probe_accuracy"] == pytest.approx(sum(hits) / 60)
    assert found["misled_mass"] == pytest.approx(sum(masses) / 60)
    plain = measure_copier(model, batch)
    assert {name: found[name] for name in plain} == pytest.approx(plain, abs=1e-6)
    assert found.keys() - plain.keys() == {"probe_accuracy", "misled_mass"}
    assert "misled_mass" not in measure_intervention(model, batch, tiny())


# --- what is registered ----------------------------------------------------------------------

REGISTERED = ("ktiw_first", "attention_held", "query_rates", "asymmetry")


@pytest.mark.parametrize("name", REGISTERED)
def test_registered_arms_can_be_compared(name: str) -> None:
    entry = REGISTRY[name]
    assert entry.run is run_intervention
    assert entry.scales.keys() == {"lesson"}
    arms = entry.scales["lesson"].arms
    first = next(iter(arms.values()))
    assert next(iter(arms)) == "as-it-is"
    assert (entry.report is branches) == (name != "asymmetry")
    same = set(SMALL.to_dict()) | {"spare"}
    for config in arms.values():
        assert isinstance(config, InterventionConfig)
        assert {key: config.to_dict()[key] for key in same} == {
            key: first.to_dict()[key] for key in same
        }
        words, spare = {"asymmetry": (24, 0), "ktiw_first": (16, 8)}.get(name, (16, 0))
        assert (config.length, config.vocab, config.spare) == (SMALL.length, words, spare)

"""Oracles: brute-force loops, hand values, and the expectation under shuffling."""

import math
from dataclasses import replace
from typing import Literal

import pytest
import torch

from lessons_lib.models import Seq2SeqConfig, build, build_bag_of_words
from lessons_lib.probes import (
    attention_accuracy,
    diagonal_guess,
    dictionary_gold,
    evaluating,
    ktiw,
    lexical_probe,
    pair_mask,
    proxy_table,
    seq2seq_table,
    table_probe,
    token_accuracy,
)
from lessons_lib.tasks import EOS, PAD, Batch

CONFIG = Seq2SeqConfig(source_vocab=13, target_vocab=11, d_embed=5, d_hidden=7, heads=3)
BATCH = Batch(
    torch.tensor([[4, 5, 6, 12], [7, 8, PAD, PAD]]),
    torch.tensor([[4, 5, EOS, PAD, PAD], [6, 7, 8, 9, EOS]]),
)
GRID = pair_mask(BATCH)


Patch = pytest.MonkeyPatch
Merge = Literal["average", "concatenate"]
Scale = Literal["probability", "log_probability", "logit"]


@pytest.mark.parametrize("merge", ["average", "concatenate"])
@pytest.mark.parametrize("attention", ["learned", "uniform"])
@pytest.mark.parametrize("scale", ["probability", "log_probability", "logit"])
def test_lexical_probe_is_the_model_whose_heads_look_at_one_position(
    scale: Scale, attention: Literal["learned", "uniform"], merge: Merge, monkeypatch: Patch
) -> None:
    """All of them, or one alone, while the others look where they do; a few pairs at once."""
    monkeypatch.setattr("lessons_lib.probes.CELLS_AT_ONCE", 5 * CONFIG.target_vocab)
    model = build(replace(CONFIG, merge=merge, attention=attention, dropout=0.3), 0)
    with torch.no_grad():  # a fresh model hardly cares where it looks
        for weight in model.parameters():
            weight.mul_(3)
    with evaluating(model):
        own = model(BATCH).attention
    found = []
    for head in (None, 0, 1, 2):
        beta = lexical_probe(model, BATCH, scale=scale, head=head)
        assert beta.shape == (2, 5, 4)
        assert model.training, "the model's mode is put back"
        for position in range(4):
            moved, some = own.clone(), slice(None) if head is None else slice(head, head + 1)
            moved[:, some] = 0.0
            moved[:, some, :, position] = 1.0
            with evaluating(model):
                logits = model(BATCH, attention=moved).logits
            said = {"logit": logits, "log_probability": logits.log_softmax(-1)}
            expected = said.get(scale, logits.softmax(-1)).gather(-1, BATCH.target[..., None])
            there = GRID[:, :, position]
            torch.testing.assert_close(beta[there][:, position], expected[there][:, 0])
        assert (beta[~GRID] == (0.0 if scale == "probability" else -math.inf)).all()
        found.append(beta[GRID])
    pairs = [(a, b) for i, a in enumerate(found) for b in found[:i]]
    assert min(float((a - b).abs().max()) for a, b in pairs) > 1e-3, "all four differ"


def test_table_probe_looks_up_pairs_and_the_proxys_table_is_the_proxy_on_single_words() -> None:
    proxy = build_bag_of_words(13, 11, seed=2)
    table = proxy_table(proxy)
    alone = Batch(torch.tensor([[9]]), torch.tensor([[4]]))
    torch.testing.assert_close(table[9], proxy(alone)[0].softmax(-1))
    torch.testing.assert_close(table.sum(1), torch.ones(13))
    beta = table_probe(table, BATCH)
    assert float(beta[0, 1, 3]) == float(table[12, 5])
    assert float(beta[1, 4, 0]) == float(table[7, EOS])
    assert (beta[1, :, 2:] == -math.inf).all()


def test_seq2seq_table_by_loop(monkeypatch: Patch) -> None:
    monkeypatch.setattr("lessons_lib.probes.CELLS_AT_ONCE", 5 * CONFIG.target_vocab)
    model = build(CONFIG, 1)
    table = seq2seq_table(model, [BATCH, BATCH[1:]])
    bags: dict[int, list[torch.Tensor]] = {}
    for batch in (BATCH[:1], BATCH[1:], BATCH[1:]):
        for position, word in enumerate(batch.source[batch.source_mask].tolist()):
            with torch.no_grad():
                p = model(batch, attention=torch.eye(4)[position]).logits.softmax(-1)
            bags.setdefault(word, []).append(p[0][batch.target_mask[0]].double().mean(0))
    assert [len(bags[word]) for word in (4, 5, 6, 12, 7, 8)] == [1, 1, 1, 1, 2, 2]
    for word, row in enumerate(table):
        expected = torch.stack(bags.get(word, [torch.zeros(11).double()])).mean(0)
        torch.testing.assert_close(row, expected, atol=1e-7, rtol=1e-5)


def test_ktiw_by_hand() -> None:
    scores = torch.zeros(9, 10)
    scores[4, 7] = scores[5, 8] = scores[6, 9] = 1.0
    scores[6, 2] = 5.0  # the end symbol is no translation: the next best counts
    dictionary = {4: frozenset({7}), 5: frozenset({6, 7}), 6: frozenset({9})}
    assert ktiw(scores, dictionary).tolist() == [1.0, 0.0, 1.0]
    with pytest.raises(ValueError, match="at least one source word"):
        ktiw(scores, {})
    with pytest.raises(ValueError, match=r"zeros for 1 of 2 \(first: 7\)"):
        ktiw(scores, {4: frozenset({7}), 7: frozenset({8})})


def test_attention_accuracy_by_hand() -> None:
    attention = torch.tensor([[[[0.9, 0.1], [0.2, 0.8]], [[0.3, 0.7], [0.4, 0.6]]]])  # b h t l
    gold = torch.tensor([[0, 1]])
    assert attention_accuracy(attention, gold) == 1.0  # the heads' mean: 0.6 and 0.7
    assert attention_accuracy(attention, torch.tensor([[1, -1]])) == 0.0
    assert attention_accuracy(attention[:, 1], gold) == 0.5


def test_token_accuracy_by_hand() -> None:
    logits = torch.zeros(2, 5, 11)
    logits[0, 0, 4] = logits[0, 1, 9] = logits[1, 2, 8] = 1.0
    # right: 4 and 8; wrong: 9; six more words are 2 + 4 zeros, whose first largest is PAD
    assert token_accuracy(logits, BATCH) == pytest.approx(2 / 8)


def test_dictionary_gold_by_hand() -> None:
    dictionary = {5: frozenset({4}), 12: frozenset({5, 10}), 7: frozenset({8}), 8: frozenset({8})}
    gold = dictionary_gold(BATCH, dictionary)
    # 4 comes from the word 5 at position 1, 5 from 12 at 3; 8 has two sources, so none
    assert gold.tolist() == [[1, 3, -1, -1, -1], [-1, -1, -1, -1, -1]]
    # no word of the batch is 11 or 15; (12, 5), which is there, is another pair
    for other in ({}, {11: frozenset({15})}):
        assert (dictionary_gold(BATCH, other) == -1).all()


def test_pair_mask_may_leave_out_the_end_symbol() -> None:
    assert pair_mask(BATCH)[0].any(1).tolist() == [True, True, True, False, False]
    without = pair_mask(BATCH, end_symbol=False)
    assert without[0].any(1).tolist() == [True, True, False, False, False]


def test_diagonal_guess_by_hand() -> None:
    best = diagonal_guess(BATCH).argmax(-1)
    assert best[0, :3].tolist() == [0, 3, 3]  # first word, last word, and EOS past the end
    assert best[1].tolist() == [0, 0, 1, 1, 1]  # 0, 1/3, 2/3 and 1 of the way, then EOS

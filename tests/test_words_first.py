"""Words given first: which tables, by which path, and what is measured after."""

from dataclasses import replace

import pytest
import torch

from lessons_lib import models
from lessons_lib.corpora.toy_language import toy_dictionary, toy_parallel
from lessons_lib.ibm_model1 import fit_model1
from lessons_lib.lab import words_first
from lessons_lib.lab.translation import Pairs, prepare_pairs
from lessons_lib.lab.words_first import WordsFirst, exchanged, said_of_words, tables
from lessons_lib.probes import lexical_probe
from lessons_lib.tasks import EOS, FIRST_WORD, UNK, Batch

TINY = WordsFirst(
    corpus="toy", max_words=9, vocab_size=60, width=12, batch_size=8, learning_rate=0.01, steps=5,
    checkpoints=(2,), chosen_on=7, reported_on=13, dictionary_words=10, prepare_steps=250,
    prepare_words=32,
)  # fmt: skip


@pytest.fixture(scope="module")
def ready() -> Pairs:
    corpus = toy_parallel(400, seed=3)
    return prepare_pairs(TINY, corpus, corpus, corpus, toy_dictionary("de", "en"))


@pytest.mark.parametrize("size", [25, 87])
def test_rows_are_exchanged_among_neighbours(size: int) -> None:
    found = exchanged(size, 2)
    assert sorted(found.tolist()) == list(range(size))
    assert found[:FIRST_WORD].tolist() == [0, 1, 2, 3]
    moved = torch.arange(FIRST_WORD, size)
    alone = (size - FIRST_WORD) % words_first.BAND == 1
    assert int((found[moved] == moved).sum()) == int(alone)
    assert int((found[moved] - moved).abs().max()) < words_first.BAND
    assert torch.equal(found, exchanged(size, 2))


def test_tables_of_the_arms(ready: Pairs) -> None:
    found = tables(ready, 2)
    for table in found.values():
        torch.testing.assert_close(table.sum(1), torch.ones(60))
    share = (ready.train.target_ids == EOS).float().mean()
    common = found["frequencies"]
    torch.testing.assert_close(common[:, EOS], share.expand(60))
    assert bool((common == common[0]).all())
    everything = ready.train.batch(range(len(ready.train)))
    fitted = fit_model1(everything.source, everything.target, 60, 60).table.float()
    seen = ready.train.source_ids.unique()
    seen = seen[seen != UNK]
    torch.testing.assert_close(found["model1"][seen], fitted[seen])
    for name in ("model1", "dictionary", "shuffled"):
        torch.testing.assert_close(found[name][UNK], common[0])
    assert ready.dictionary is not None
    for word in range(FIRST_WORD, 60):
        given, right = found["dictionary"][word], ready.dictionary.get(word)
        if right is None:
            torch.testing.assert_close(given, common[0])
        else:
            assert set(given.nonzero().flatten().tolist()) == right
    assert torch.equal(found["shuffled"], found["model1"][exchanged(60, 2)])


def test_what_is_said_of_a_word_alone_is_its_probe_without_a_decoder() -> None:
    model = models.build(
        models.Seq2SeqConfig(9, 7, d_embed=3, d_hidden=5, bidirectional=True, heads=2), 1
    ).eval()
    said = said_of_words(model, torch.tensor([4, 8])).softmax(-1)
    for part in (model.decoder, model.target_embedding, model.bridge):
        for parameter in part.parameters():
            parameter.data.zero_()
    for row, word in enumerate((4, 8)):
        batch = Batch(torch.full((7, 1), word), torch.arange(7)[:, None])
        beta = lexical_probe(model, batch, scale="probability")
        torch.testing.assert_close(said[row][1:], beta[1:, 0, 0])  # 0 is padding


@pytest.mark.slow
def test_a_run_is_prepared_and_then_trained(ready: Pairs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words_first, "load_pairs", lambda config: ready)
    shown = {}
    for table in ("model1", "shuffled"):
        history = words_first.run_words_first(replace(TINY, table=table), 2)
        shown[table] = history.frame().set_index(["metric", "step"])["value"]
        assert 0 < shown[table]["prepared", 0] < 3.5  # less than at the start, about log 60
    # What was given is what the model knows before it has seen a sentence.
    for metric in ("ktiw/m1", "ktiw/gold"):
        assert shown["model1"][metric, 0] > shown["shuffled"][metric, 0]
    assert shown["shuffled"]["ktiw/wrong", 0] > shown["model1"]["ktiw/wrong", 0]

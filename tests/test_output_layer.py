"""What a copier may write: as many outputs as the authors' has, and what becomes of the others."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lessons_lib import models
from lessons_lib.corpora.batches import encode_parallel
from lessons_lib.corpora.toy_language import toy_parallel
from lessons_lib.corpora.vocabulary import Vocabulary, words
from lessons_lib.lab import starts
from lessons_lib.lab.catalogue import REGISTRY
from lessons_lib.lab.copying import CopyingConfig
from lessons_lib.lab.interventions import InterventionConfig
from lessons_lib.tasks import BOS, EOS, FIRST_WORD, UNUSED, Copying, Keyword

TINY = CopyingConfig(vocab=9, length=5, width=6, batch_size=4, steps=3, measured=7)


def built(config: CopyingConfig) -> models.Seq2Seq:
    """The model of a run of this configuration, before training."""
    model = config.build(1)
    if isinstance(config, InterventionConfig):
        model.column[config.model.target_vocab - config.spare :] = config.model.written
    return model


def last_layer(model: models.Seq2Seq) -> nn.Linear:
    return [part for part in model.modules() if isinstance(part, nn.Linear)][-1]


COPYING = {
    (name, size): found
    for name, experiment in REGISTRY.items()
    for size, scale in experiment.scales.items()
    if (found := [one for one in scale.arms.values() if isinstance(one, CopyingConfig)])
}


@pytest.mark.parametrize("name", COPYING, ids=" ".join)
def test_a_registered_copier_has_no_output_that_never_occurs_but_one(name: tuple[str, str]) -> None:
    """The words of the task, the end symbol where there is one, and the dead words it names."""
    by_model = {(one.task, one.model): one for one in COPYING[name]}  # many arms have the same
    for config in by_model.values():
        if isinstance(config, starts.DeadConfig):
            continue
        assert config.dead_words == 1, "as in the authors' code"
        batch = config.task.sample(300, 3)
        occur = set(batch.target.flatten().tolist())
        assert len(occur) == config.vocab + config.end_symbol
        model = built(config)
        spare = getattr(config, "spare", 0)
        assert last_layer(model).out_features == len(occur) + config.dead_words + spare
        with torch.no_grad():
            logits = model(batch[:2]).logits
        written = (logits > -1e8).flatten(0, 1)
        assert bool((written == written[0]).all())
        found = set(written[0].nonzero().flatten().tolist())
        assert found >= occur | {BOS}
        assert len(found) == len(occur) + config.dead_words
        assert bool((logits[..., ~written[0]] == -1e9).all())


def test_no_task_writes_an_unused_symbol() -> None:
    corpus = toy_parallel(50)
    german, english = map(Vocabulary.build, (map(words, corpus.source), map(words, corpus.target)))
    pairs = encode_parallel(corpus, german, english).batch(range(50))
    for batch in (Copying(5, 4).sample(90, 1), Keyword(3, 4, 5).sample(90, 1), pairs):
        assert not set(UNUSED) & set(batch.target[batch.target_mask].tolist())


def test_rows_by_hand() -> None:
    """Five words, of which 1 and 3 have no row: rows 0, 1 and 2 are words 0, 2 and 4."""
    config = models.Seq2SeqConfig(5, 5, d_embed=2, d_hidden=3, never_written=(3, 1))
    model = models.build(config, 0)
    found = model.by_identifier(torch.tensor([[0.5, -7.0, 2.0], [3.0, 0.0, 1.0]]))
    assert found.tolist() == [[0.5, -1e9, -7.0, -1e9, 2.0], [3.0, -1e9, 0.0, -1e9, 1.0]]
    for never in ((9,), (-1,), (2, 2), tuple(range(9))):
        with pytest.raises(ValueError, match="never_written to name some of the 9 output words"):
            models.Seq2SeqConfig(9, 9, never_written=never)


def reference(x: Tensor, table: Tensor, output: tuple[Tensor, Tensor], m: Any) -> Tensor:
    """Logits of the authors' copier: words 0 to V - 1, the end symbol V, the start symbol V + 1.

    Input and output are x and the end symbol; the decoder reads the start symbol and x. With s and
    h of two LSTMs, alpha = softmax(h . (Q s)), c = P sum(alpha h), logits = O tanh(W [s; c]).
    """
    end = torch.full((len(x), 1), len(table) - 2)
    source, told = torch.cat([x, end], 1), torch.cat([end + 1, x], 1)
    h, last = m.encoder(table[source])
    s, _ = m.decoder(table[told], last)
    alpha = torch.einsum("btd,bld->btl", s @ m.query.weight.T + m.query.bias, h).exp()
    alpha = alpha / alpha.sum(-1, keepdim=True)
    c = torch.einsum("btl,bld->btd", alpha, h) @ m.value.weight.T + m.value.bias
    joined = torch.cat([s, c], -1) @ m.readout_layers[0].weight.T + m.readout_layers[0].bias
    logits: Tensor = joined.tanh() @ output[0].T + output[1]
    return logits


def test_a_copier_is_the_authors_logit_for_logit() -> None:
    model = TINY.build(5).double().requires_grad_(False)
    for weights in model.parameters():
        weights.mul_(4.0)  # gates and attention far from their middle
    last = last_layer(model)
    assert last.out_features == 9 + 2
    # Ours has rows for the start symbol, the end symbol, and words; theirs the other way round.
    order, rows = [*range(4, 13), EOS, BOS], [*range(2, 11), 1, 0]
    batch = TINY.task.sample(8, 1)
    x = batch.source[:, :5] - FIRST_WORD
    table = model.source_embedding.weight[order]
    expected = reference(x, table, (last.weight[rows], last.bias[rows]), model)
    assert expected.shape == (8, 6, 11)
    out = model(batch)
    torch.testing.assert_close(out.logits[..., order], expected, rtol=1e-9, atol=1e-9)
    assert float(out.attention.max()) > 0.5, "attention is far from uniform, or little is seen"
    # The loss: theirs over V + 2 words is ours over all identifiers.
    target = torch.cat([x, torch.full((8, 1), 9)], 1)[..., None]
    theirs = -(expected - expected.logsumexp(-1, keepdim=True)).gather(-1, target).mean()
    torch.testing.assert_close(models.sequence_loss(model, batch), theirs, rtol=1e-9, atol=1e-9)

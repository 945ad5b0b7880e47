"""The authors' translator against a plain one, and every step from a corpus to the table."""

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from unittest import mock

import pytest
import torch
from torch import Tensor, nn

from lessons_lib import models, probes
from lessons_lib.lab import blocks, long_runs, translator
from lessons_lib.lab.translator import Ready, Translator, prepare, run_translator
from lessons_lib.tasks import BOS, EOS, PAD, Batch
from lessons_lib.training import adam

Patch = pytest.MonkeyPatch
TINY = Translator(
    corpus="toy", pieces=250, width=6, batch_size=64, order="source", steps=6, checkpoints=(1, 4),
    measured_on=9, beam=2, proxy_epochs=2, proxy_batch_size=2500,
)  # fmt: skip


class Plain(nn.Module):
    """The model as one writes it down: time first, one sentence after another, no padding."""

    def __init__(self, vocab: int, width: int, layers: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab, width)
        self.encoder = nn.LSTM(width, width, layers, bidirectional=True)
        self.decoder = nn.LSTM(width, width, layers)
        self.query = nn.Linear(width, 2 * width)
        self.value = nn.Linear(2 * width, width)
        self.hidden = nn.Linear(2 * width, width)
        self.output = nn.Linear(width, vocab)
        self.layers = layers

    def start(self, last: Tensor) -> Tensor:
        """From (layers * 2, width), the layers one after another, each left then right."""
        return torch.stack([(last[2 * k] + last[2 * k + 1]) / 2 for k in range(self.layers)])

    def forward(self, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        h, (last_h, last_c) = self.encoder(self.embedding(source))
        previous = torch.cat([torch.tensor([BOS]), target[:-1]])
        s, _ = self.decoder(self.embedding(previous), (self.start(last_h), self.start(last_c)))
        attention, logits = [], []
        for s_t in s:
            alpha = torch.stack([self.query(s_t) @ h_l for h_l in h]).softmax(0)
            context = sum((a * h_l for a, h_l in zip(alpha, h, strict=True)), torch.zeros(()))
            joined = torch.cat([s_t, self.value(context)])
            logits.append(self.output(self.hidden(joined).clamp(min=0)))
            attention.append(alpha)
        return torch.stack(logits), torch.stack(attention)


def padded(rows: list[list[int]]) -> Tensor:
    return nn.utils.rnn.pad_sequence([*map(torch.tensor, rows)], True, PAD)


def test_the_model_is_the_plain_one() -> None:
    config = replace(Translator(), pieces=13, width=6)
    model = config.build("learned", 3).eval()
    plain = Plain(13, 6, 2)
    weights = model.state_dict()
    names = {"embedding": "source_embedding"}
    names |= {"hidden": "readout_layers.0", "output": "readout_layers.2"}
    found = {}
    for name in plain.state_dict():
        room, _, rest = name.partition(".")
        found[name] = weights.pop(f"{names.get(room, room)}.{rest}")
    plain.load_state_dict(found)
    assert list(weights) == ["target_embedding.weight"], "nothing else is learned"
    assert model.target_embedding is model.source_embedding
    sources = [[1, 4, 5, 6, 2], [1, 7, 2], [1, 8, 9, 10, 11, 12, 2]]
    targets = [[12, 11, 5, 2], [4, 2], [6, 6, 3, 8, 9, 2]]

    batch = Batch(padded(sources), padded(targets))
    out = model(batch)
    total = torch.zeros(())
    for row, (source, target) in enumerate(zip(sources, targets, strict=True)):
        logits, attention = plain(torch.tensor(source), torch.tensor(target))
        t, s = len(target), len(source)
        torch.testing.assert_close(out.logits[row, :t], logits)
        torch.testing.assert_close(out.attention[row, 0, :t, :s], attention)
        assert not out.attention[row, 0, :t, s:].any()
        total = total - logits.log_softmax(-1)[torch.arange(t), torch.tensor(target)].sum()
    torch.testing.assert_close(models.sequence_loss(model, batch), total / 12)


@pytest.fixture(scope="module")
def ready() -> Ready:
    return prepare(TINY)


@pytest.mark.slow
def test_a_corpus_in_pieces(ready: Ready) -> None:
    held_out = ready.held_out
    parts = {"choosing": slice(9), "shown": slice(9, 18), "seen": slice(18, None)}
    assert held_out.parts == parts
    batch = held_out.batch
    assert bool((batch.source[:, 0] == BOS).all())
    ends = batch.source_mask.sum(1) - 1
    assert bool((batch.source[torch.arange(27), ends] == EOS).all())
    for name, rows in held_out.parts.items():
        written = [ready.subwords.decode(ids) for ids in batch.target[rows]]
        assert written == ready.references[name], "upper case is kept"
    # The end symbols count, on both sides.
    entries = batch.source_mask.sum(1) * batch.target_mask.sum(1)
    assert int(held_out.mask.sum()) == int(entries.sum())


def test_what_is_looked_at_is_what_whole_batches_show(ready: Ready) -> None:
    model = TINY.build("learned", 5)
    seen = translator.look(TINY, ready, model)
    batch = ready.held_out.batch
    there = batch.target_mask[:, :, None] & batch.source_mask[:, None]
    out = model.eval()(batch)
    torch.testing.assert_close(seen["attention"][there], out.attention[:, 0][there])
    beta = probes.lexical_probe(model, batch, scale="probability")
    torch.testing.assert_close(seen["beta"][there], beta[there])
    for name, rows in ready.held_out.parts.items():
        expected = probes.token_accuracy(out.logits[rows], batch[rows])
        assert seen["accuracy"][name] == pytest.approx(expected)
    whole = translator.accuracy(model, ready.validation)
    everything = ready.validation.batch(range(len(ready.validation)))
    assert whole == pytest.approx(probes.token_accuracy(model(everything).logits, everything))


def test_bleu_is_100_where_the_reference_is_written(ready: Ready, monkeypatch: Patch) -> None:
    model = TINY.build("learned", 5)
    batch = ready.held_out.batch[ready.held_out.shown]
    answers = {
        tuple(s[s != PAD].tolist()): t for s, t in zip(batch.source, batch.target, strict=True)
    }

    def right(model: models.Seq2Seq, source: Tensor, *, beam: int) -> Tensor:
        assert beam == 2
        return torch.stack([answers[tuple(s[s != PAD].tolist())] for s in source])

    monkeypatch.setattr(translator, "translate", right)
    assert translator.bleu(TINY, ready, model, "shown") == pytest.approx(100)


@pytest.mark.slow
def test_the_proxy_is_the_authors_proxy(ready: Ready) -> None:
    """Against a loop over sentences: all entries of the padded target in training."""
    embedding, output = (
        models.build_bag_of_words(250, 250, 4, d_embed=6).get_submodule(name)
        for name in ("embedding", "output")
    )
    optimizer = adam([*embedding.parameters(), *output.parameters()], 1e-3)

    def said(ids: Tensor) -> Tensor:
        return output(embedding(ids[ids != PAD]).mean(0)).log_softmax(-1)  # type: ignore[no-any-return]

    stream: Iterator[Batch] = ready.train.batches(2500, 4, order="random")
    losses, tables = [], []
    for _ in range(2):
        for batch in islice(stream, 4):
            loss = torch.zeros(())
            for source, target in zip(batch.source, batch.target, strict=True):
                loss = loss - said(source)[torch.cat([torch.tensor([BOS]), target])].sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        everything = ready.validation.batch(range(len(ready.validation)))
        pairs = zip(everything.source, everything.target, strict=True)
        losses.append(sum(-float(said(s)[t[t != PAD]].sum().detach()) for s, t in pairs))
        tables.append((embedding.weight @ output.weight.T).softmax(-1))  # type: ignore[operator]
    best = tables[losses.index(min(losses))]
    torch.testing.assert_close(translator.proxy_table(TINY, ready, 4), best.detach())


def test_runs_of_unequal_length_are_given_the_checkpoints_of_the_longest() -> None:
    one, two = torch.zeros(1, 1, 1), torch.ones(1, 1, 1)
    short = blocks.Trace([0, 5], [0.1, 0.4], {"shown": [0.1, 0.4]}, [one, two], [two, one])
    long = blocks.Trace([0, 5, 9], [0.1, 0.2, 0.3], {"shown": [0.1, 0.2, 0.3]}, [], [one] * 3)
    translator.wait_for_all([short, long])
    assert short.steps == long.steps == [0, 5, 9]
    assert short.performance == short.elsewhere["shown"] == [0.1, 0.4, 0.4]
    assert short.attention == [one, two, two]
    assert short.beta == [two, one, one]
    assert (long.performance, long.attention) == ([0.1, 0.2, 0.3], [])


@pytest.mark.slow
def test_a_block_is_compared_and_kept(ready: Ready, tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.setenv("LESSONS_CACHE", str(tmp_path))
    found = run_translator(TINY, 1)
    metrics = {row["metric"] for row in found.rows}
    for name in ("A(alpha,uf)", "A(px,uf)", "A(uf,px)", "A(delta,uf)", "A(alpha,beta)", "xi*"):
        assert {f"{name}#0", f"{name}/max#1", f"{name}/train#1"} <= metrics
    assert {"A(alpha,m1)#0", "A(alpha,diagonal)#1", "bleu/xi*#0", "bleu/accuracy#1"} <= metrics
    for name in ("accuracy", "uniform/accuracy", "own", "others", "ktiw/m1", "attention/m1"):
        assert [row["step"] for row in found.rows if row["metric"] == f"{name}#1"] == [0, 1, 4, 6]
    assert all(math.isfinite(row["value"]) for row in found.rows)
    # All of it is there: nothing is trained, looked at or written again.
    with monkeypatch.context() as patch:
        for name in ("look", "saliency", "model1", "translate"):
            patch.setattr(translator, name, None)
        patch.setattr(models, "sequence_loss", None)
        assert run_translator(TINY, 1).rows == found.rows
        # So short a training has no lag: what it would be measured of.
        lag = mock.Mock(return_value={"lag": 7.0})
        patch.setattr(blocks, "lag", lag)
        last = run_translator(TINY, 1).rows[-1]
    assert last == {"step": 6, "metric": "lag#1", "value": 7.0}
    names = "ktiw/m1", "attention/m1", "spread"
    for k, asked in enumerate(lag.call_args_list):
        curves = [[r["value"] for r in found.rows if r["metric"] == f"{n}#{k}"] for n in names]
        assert asked.args == ([0, 1, 4, 6], *curves)
    longer, learned = replace(TINY, steps=8, patience=99), TINY.folder(*translator._AFTER)
    before = long_runs.seconds(learned / "learned-2")
    folder, looks = translator.train_translator(longer, ready, "learned", 2)
    assert list(looks) == [0, 1, 4, 6, 8], "it goes on from the shorter run"
    assert long_runs.seconds(folder) > before > 0

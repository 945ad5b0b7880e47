"""What ``tools/bench.py`` measures on real sentence pairs: the textbook way, and ours."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from lessons_lib import probes, training
from lessons_lib.corpora import loaders
from lessons_lib.corpora.batches import EncodedPairs, encode_parallel
from lessons_lib.corpora.vocabulary import Vocabulary, words
from lessons_lib.lab.saliency import saliency
from lessons_lib.models import BagOfWords, Seq2Seq, Seq2SeqConfig, build, sequence_loss
from lessons_lib.tasks import PAD, Batch

WIDTH, VOCAB, MAX_WORDS, BATCH = 128, 3000, 15, 32
LEARNING_RATE = 4e-3
Quantities = tuple[Tensor, Tensor, Tensor, Tensor]  # alpha, beta^uf, beta^px, Delta


def sentence_pairs() -> tuple[EncodedPairs, Seq2SeqConfig, str]:
    """Multi30k in numbers, a configuration for it, and a notice if it is another corpus."""
    corpus, notice = loaders.load_parallel_or_toy("multi30k", "de", "en")
    source, target = (
        Vocabulary.build(map(words, side), max_size=VOCAB)
        for side in (corpus.source, corpus.target)
    )
    pairs = encode_parallel(corpus, source, target, MAX_WORDS)
    config = Seq2SeqConfig(
        len(source), len(target), d_embed=WIDTH, d_hidden=WIDTH, bidirectional=True
    )
    return pairs, config, notice


class StepByStep(nn.Module):
    """The same model as tutorials write it: one decoder step after the other.

    It has the weights of a model with one layer of LSTM and one head.
    """

    def __init__(self, model: Seq2Seq) -> None:
        super().__init__()
        self.parts = model
        self.cell = nn.LSTMCell(model.config.d_embed, model.config.d_hidden)
        weights = model.decoder.state_dict()
        self.cell.load_state_dict({name.removesuffix("_l0"): w for name, w in weights.items()})

    def forward(
        self, batch: Batch, scale: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Logits, attention, decoder states and encoder states of one teacher-forced pass.

        Args:
            batch: sentences.
            scale: multiplies the embedding of each source word; only without padding.
        """
        p, mask, previous = self.parts, batch.source_mask, batch.decoder_input
        if scale is None:
            states, ((s,), (memory,)) = p.encode(batch.source, mask)
        else:
            states, last = p.encoder(p.source_embedding(batch.source) * scale[:, :, None])
            (s,), (memory,) = p.decoder_start(last)
        steps = []
        for t in range(previous.shape[1]):
            s, memory = self.cell(p.target_embedding(previous[:, t]), (s, memory))
            scores = torch.bmm(states, p.query(s).unsqueeze(2)).squeeze(2)
            if p.config.attention == "uniform":
                scores = torch.zeros_like(scores)
            alpha = scores.masked_fill(~mask, -torch.inf).softmax(-1)
            context = p.value(torch.bmm(alpha.unsqueeze(1), states).squeeze(1))
            steps.append((p.readout(s, context), alpha, s))
        logits, attention, decoder_states = (
            torch.stack(of_steps, dim=1) for of_steps in zip(*steps, strict=True)
        )
        return logits, attention, decoder_states, states


def textbook_quantities(
    learned: StepByStep, uniform: StepByStep, proxy: BagOfWords, pair: Batch, *, frugal: bool
) -> Quantities:
    """The paper's four quantities for one sentence pair, each ``(tgt, src)``, loop by loop.

    Args:
        learned: for attention and saliency.
        uniform: for the lexical probe.
        proxy: for its own probe.
        pair: one sentence pair without padding.
        frugal: whether a backward pass leaves out the gradients of the weights, which nobody needs
            here; ``backward()`` gives them, too.
    """
    source, target = pair.source[0], pair.target[0]
    scale = torch.ones(pair.source.shape, requires_grad=True)
    logits, attention, _, _ = learned(pair, scale)
    log_p = logits.log_softmax(-1)
    delta = torch.empty(len(target), len(source))
    for t, y in enumerate(target):
        if frugal:
            delta[t] = torch.autograd.grad(log_p[0, t, y], scale, retain_graph=True)[0][0]
        else:
            log_p[0, t, y].backward(retain_graph=True)
            gradient = scale.grad
            assert gradient is not None
            delta[t] = gradient[0]
            gradient.zero_()
    beta, known = torch.empty_like(delta), torch.empty_like(delta)
    with torch.no_grad():
        _, _, s, states = uniform(pair)
        for place, word in enumerate(source):
            value = uniform.parts.value(states[0, place])
            said = proxy.output(proxy.embedding(word)).softmax(-1)
            for t, y in enumerate(target):
                beta[t, place] = uniform.parts.readout(s[0, t], value).softmax(-1)[y]
                known[t, place] = said[y]
    return attention[0].detach(), beta, known, delta


def quantities(
    learned: Seq2Seq, uniform: Seq2Seq, proxy: BagOfWords, batches: list[Batch]
) -> list[Quantities]:
    """The same for batches of pairs, each ``(batch, tgt, src)``."""
    table = probes.proxy_table(proxy)
    found = []
    for batch in batches:
        with probes.evaluating(learned):
            alpha = learned(batch).attention[:, 0]
        beta = probes.lexical_probe(uniform, batch, scale="probability")
        found.append((alpha, beta, probes.table_probe(table, batch), saliency(learned, batch)))
    return found


def random_batches(pairs: EncodedPairs, seed: int) -> Iterator[Batch]:
    """One epoch of batches as tutorials cut them: in random order, padded to the longest."""
    order = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(seed))
    return map(pairs.batch, order.split(BATCH))


def textbook_loss(model: StepByStep, batch: Batch) -> Tensor:
    """Cross-entropy of the next word, the mean over output words."""
    logits = model(batch)[0].flatten(0, 1)
    return nn.functional.cross_entropy(logits, batch.target.flatten(), ignore_index=PAD)


def train_textbook(config: Seq2SeqConfig, batches: Iterator[Batch], steps: int) -> int:
    """So many updates of a fresh model; returns how many words it saw, both sides together."""
    model = StepByStep(build(config, 0))
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    seen = 0
    for _ in range(steps):
        batch = next(batches)
        optimizer.zero_grad()
        textbook_loss(model, batch).backward()
        optimizer.step()
        seen += words_in(batch)
    return seen


def train_ours(config: Seq2SeqConfig, batches: Iterator[Batch], steps: int) -> int:
    """The same with ``training.train``."""
    seen = 0

    def counted() -> Iterator[Batch]:
        nonlocal seen
        for batch in batches:
            seen += words_in(batch)
            yield batch

    schedule = training.TrainConfig(steps=steps, learning_rate=LEARNING_RATE)
    training.train(build(config, 0), counted(), sequence_loss, schedule, device="cpu")
    return seen


def words_in(batch: Batch) -> int:
    """Words and end symbols, padding not counted."""
    return int(batch.source_mask.sum() + batch.target_mask.sum())

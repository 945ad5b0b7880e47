"""Speed, each time as a ratio within one run: ``make bench``, or ``ARGS="agreement quantities"``.

Absolute times say more about the machine than about the code. So each measurement stands beside
what a good programmer would write without the package: PyTorch, whole sentences at once, and no
loop over words. Values are compared first. No test depends on it; run it where nothing else runs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import repeat
from pathlib import Path
from statistics import median
from typing import Any

import joblib
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from lessons_lib import probes, training
from lessons_lib.agreement import agreement
from lessons_lib.classifier import ClassifierConfig, build_classifier, class_loss
from lessons_lib.corpora import loaders
from lessons_lib.corpora.batches import EncodedPairs, encode_parallel
from lessons_lib.corpora.vocabulary import Vocabulary, words
from lessons_lib.lab import catalogue, copying, outcomes, parallel, translator
from lessons_lib.lab.saliency import saliency
from lessons_lib.models import (
    BagOfWords,
    Seq2Seq,
    Seq2SeqConfig,
    build,
    build_bag_of_words,
    sequence_loss,
)
from lessons_lib.tasks import FIRST_WORD, PAD, Batch, Copying, LabelledBatch
from lessons_lib.theory.reduced_model import ReducedConfig, train_reduced

sys.path += [str(Path(__file__).resolve().parent.parent / name) for name in ("tools", "tests")]

COPYING = Copying(vocab=40, length=40)
SHORT: dict[str, Any] = {"steps": 40, "evaluate_every": 20}
SENTENCES, BATCH, AT_ONCE = 1000, 32, 250
Call = Callable[[], object]


def compare(what: str, ours: Call, theirs: Call, repeats: int = 5, scale: float = 1.0) -> None:
    """Print the median time of both, taken in turns after one that warms up, and their ratio.

    Args:
        what: the headline.
        ours: with the package.
        theirs: without.
        repeats: how often each is timed.
        scale: the other way does only this share of the work.
    """
    times: tuple[list[float], list[float]] = [], []
    for turn in range(repeats + 1):
        for kept, call in zip(times, (ours, theirs), strict=True):
            began = time.perf_counter()
            call()
            if turn:
                kept.append(time.perf_counter() - began)
    mine, other = median(times[0]), median(times[1]) / scale
    print(f"{what:<52}{mine:9.3f} s beside {other:9.3f} s   ratio {other / mine:6.1f}", flush=True)


class Plain(nn.Module):
    """An encoder-decoder with attention as one writes it for equal lengths: about a dozen lines."""

    def __init__(self, vocab: int, width: int, layers: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.both = layers > 1  # as the authors' translator, which also reads from the right
        wide = width * (2 if self.both else 1)
        self.embedding = nn.Embedding(vocab, width)
        options: dict[str, Any] = {"num_layers": layers, "dropout": dropout, "batch_first": True}
        self.encoder = nn.LSTM(width, width, bidirectional=self.both, **options)
        self.decoder = nn.LSTM(width, width, **options)
        self.query, self.value = nn.Linear(width, wide), nn.Linear(wide, width)
        between = nn.ReLU() if self.both else nn.Tanh()
        self.output = nn.Sequential(nn.Linear(2 * width, width), between, nn.Linear(width, vocab))

    def forward(self, batch: Batch) -> Tensor:
        """Logits, ``(batch, tgt, vocab)``."""
        h, last = self.encoder(self.embedding(batch.source))
        start = tuple((end[0::2] + end[1::2]) / 2 for end in last) if self.both else last
        s, _ = self.decoder(self.embedding(batch.decoder_input), start)
        alpha = (self.query(s) @ h.mT).softmax(-1)
        logits: Tensor = self.output(torch.cat([s, alpha @ self.value(h)], -1))
        return logits


class PlainClassifier(nn.Module):
    """The same for the classifier."""

    def __init__(self, vocab: int, d_embed: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab, d_embed)
        self.encoder = nn.LSTM(d_embed, width, batch_first=True, bidirectional=True)
        self.scorer = nn.Sequential(nn.Linear(2 * width, width), nn.ReLU(), nn.Linear(width, 1))
        self.readout = nn.Linear(2 * width, 1)

    def forward(self, batch: LabelledBatch) -> Tensor:
        """Log-odds, ``(batch,)``."""
        h, _ = self.encoder(self.embedding(batch.source))
        score: Tensor = (self.scorer(h).softmax(1) * self.readout(h)).sum((1, 2))
        return score


def step_of(
    model: nn.Module, loss: Callable[[Any], Tensor], batches: Iterator[Any], narrow: bool = False
) -> Callable[[], None]:
    """One update on the next batch; ``narrow``: with autocast to bfloat16."""
    optimizer = torch.optim.Adam(model.parameters())

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=narrow):
            value = loss(next(batches))
        value.backward()
        optimizer.step()

    return step


def operations(model: nn.Module, positions: int) -> float:
    """Floating-point operations of one update: 6 for each weight and position, tables left out."""
    tables = [m.weight.numel() for m in model.modules() if isinstance(m, nn.Embedding)]
    return 6.0 * positions * (sum(p.numel() for p in model.parameters()) - sum(tables))


def product_rate() -> float:
    """Operations a second of products of 1,024 x 1,024 matrices in float32, the best of ten."""
    a, b = torch.rand(1024, 1024), torch.rand(1024, 1024)
    times = []
    for _ in range(10):
        began = time.perf_counter()
        torch.mm(a, b)
        times.append(time.perf_counter() - began)
    return float(2 * 1024**3 / min(times))


def next_word(model: nn.Module, batch: Batch) -> Tensor:
    """Cross-entropy of the output words of a ``Plain`` model."""
    return cross_entropy(model(batch).flatten(0, 1), batch.target.flatten())


def bench_paper() -> None:
    """An update of each of the paper's models: ours, whole sentences without us, and bfloat16.

    Texts and sentences are drawn at random and have equal lengths, so that masks cost something and
    save nothing: 40 words to copy, 20 words to classify, 16 subwords to translate.
    """
    generator = torch.Generator().manual_seed(0)
    rate = product_rate()

    def drawn(size: int, count: int, length: int) -> Tensor:
        return torch.randint(FIRST_WORD, size, (count, length), generator=generator)

    words, pieces = 10_000, 8000
    text = LabelledBatch(drawn(words, 32, 20), torch.arange(32) % 2)
    pair = Batch(drawn(pieces, 16, 16), drawn(pieces, 16, 16))
    copied = COPYING.sample(128, 0)
    copier, translated = Plain(COPYING.vocab_size, 256), Plain(pieces, 256, 2, 0.5)
    texts = PlainClassifier(words, 300, 256)

    def label(batch: LabelledBatch) -> Tensor:
        return binary_cross_entropy_with_logits(texts(batch), batch.label.float())

    rows: tuple[tuple[str, nn.Module, Any, nn.Module, Any, Any, int], ...] = (
        (
            *("copier", copying.PAPER.build(0), sequence_loss),
            *(copier, partial(next_word, copier), copied, 128 * 41),
        ),
        (
            *("classifier", build_classifier(ClassifierConfig(words), 0), class_loss),
            *(texts, label, text, 32 * 20),
        ),
        (
            *("translator", translator.Translator().build("learned", 0), sequence_loss),
            *(translated, partial(next_word, translated), pair, 16 * 16),
        ),
    )
    for name, ours, loss, plain, theirs, batch, positions in rows:
        ours.train()
        usual, narrow = (
            step_of(ours, partial(loss, ours), repeat(batch), n) for n in (False, True)
        )
        compare(f"an update of the paper's {name}", usual, step_of(plain, theirs, repeat(batch)))
        compare("  the same in bfloat16, beside float32", narrow, usual)
        began = time.perf_counter()
        for _ in range(5):
            usual()
        share = 5 * operations(plain, positions) / (time.perf_counter() - began) / rate
        print(f"  share of the machine's rate of matrix products: {share:.0%}")


def bench_figure() -> None:
    """The figure of chapter 6 at the authors' size: what processes, early stop and bfloat16 bring.

    Six seeds each of hard and easy, 200 updates at most, looked at every 10; processes are started
    before. The usual way, one run after the other and whole sentences at once, is timed on a
    quarter of the updates of one run of each, as are processes alone, on a quarter of all.
    """
    seeds = range(101, 107)
    hard = replace(copying.PAPER, steps=200)
    both = hard, replace(hard, vocab=60)

    def usual(config: copying.CopyingConfig, steps: int) -> None:
        model, held_out = Plain(config.task.vocab_size, 256), config.task.sample(50, 1)
        loss = partial(next_word, model)
        update = step_of(model, loss, config.task.stream(config.batch_size, 0))
        for step in range(steps):
            update()
            if step % config.evaluate_every == 0:
                with torch.no_grad():
                    model(held_out).argmax(-1)

    began = time.perf_counter()
    for config in both:
        usual(config, 50)
    theirs = (time.perf_counter() - began) * len(seeds) * 4
    print(f"the copying figure, {len(seeds)} seeds each of hard and easy, as usual: {theirs:.0f} s")
    ways: dict[str, dict[str, Any]] = {
        "a process for each core": {"stop_at": 1.01, "steps": 50},
        "and early stop": {},
        "and bfloat16": {"bfloat16": True},
    }
    for name, changes in ways.items():
        with parallel.seed_pool() as pool:
            started = replace(hard, steps=0)
            parallel.run_seeds(copying.run_copying, started, seeds, executor=pool)
            began, aligned = time.perf_counter(), []
            for config in both:
                some = replace(config, **changes)
                runs = parallel.run_seeds(copying.run_copying, some, seeds, executor=pool)
                ends = outcomes.of_runs(runs)
                aligned.append(f"{int((ends.branch == 'aligned').sum())} of {len(ends)}")
            spent = (time.perf_counter() - began) * 200 / changes.get("steps", 200)
        told = "" if "steps" in changes else f"   aligned {' and '.join(aligned)}"
        print(f"  {name:<28}{spent:7.0f} s   ratio {theirs / spent:4.1f}{told}", flush=True)


def bench_seeds() -> None:
    """Many small runs: one thread each, side by side, beside one after the other on all cores."""
    lesson = catalogue.REGISTRY["hard_distribution"].scales["lesson"]
    config = replace(lesson.arms["easy"], **SHORT)
    seeds = range(101, 101 + 4 * joblib.cpu_count())
    with parallel.seed_pool() as pool:
        compare(
            f"{len(seeds)} runs of the copying task",
            lambda: parallel.run_seeds(lesson.run, config, seeds, executor=pool),
            lambda: [lesson.run(config, seed) for seed in seeds],
            repeats=2,
        )


def bench_agreement() -> None:
    """Agreement of 10,000 output words with sentences of 5 to 30 words."""
    rng = torch.Generator().manual_seed(0)
    u, v = torch.rand(10_000, 30, generator=rng), torch.rand(10_000, 30, generator=rng)
    lengths = torch.randint(5, 31, (10_000,), generator=rng)
    mask = torch.arange(30) < lengths[:, None]

    def plain() -> float:
        best = u.masked_fill(~mask, -torch.inf).argmax(-1, keepdim=True)
        top = v.masked_fill(~mask, -torch.inf).topk(2).indices  # of at most 30 words
        found = (top == best) & (torch.arange(2) < -(-lengths[:, None] // 20))
        return float(found.any(-1).double().mean())

    assert abs(agreement(u, v, mask) - plain()) < 1e-9
    compare("agreement of 10,000 output words", lambda: agreement(u, v, mask), plain)


def sentence_pairs() -> tuple[EncodedPairs, Seq2SeqConfig]:
    """Multi30k in numbers (or the embedded corpus, which is said), and a model for it."""
    corpus, notice = loaders.load_parallel_or_toy("multi30k", "de", "en")
    print(notice or "sentence pairs of Multi30k, up to 15 words")
    source, target = (
        Vocabulary.build(map(words, side), max_size=3000) for side in (corpus.source, corpus.target)
    )
    sizes = {"d_embed": 128, "d_hidden": 128, "bidirectional": True}
    config = Seq2SeqConfig(len(source), len(target), **sizes)  # type: ignore[arg-type]
    return encode_parallel(corpus, source, target, 15), config


def whole_sentence(
    learned: Seq2Seq, uniform: Seq2Seq, proxy: BagOfWords, pair: Batch
) -> tuple[Tensor, ...]:
    """alpha, beta^uf, beta^px and Delta of one pair, ``(tgt, src)``, without a loop over words.

    For Delta the pair stands in the batch once for each output word, so that one backward pass
    serves them all.
    """
    tgt, right = pair.target.shape[1], pair.target[0]
    each = torch.arange(tgt)
    with torch.no_grad():
        alpha = learned(pair).attention[0, 0]
        states = uniform(pair)
        s, h = states.decoder_states[0], states.encoder_states[0]
        contexts = uniform.value(h).expand(tgt, -1, -1)
        logits = uniform.readout(s[:, None].expand_as(contexts), contexts)
        beta = logits.softmax(-1)[each, :, right]
        known = proxy.output(proxy.embedding(pair.source[0])).softmax(-1)[:, right].T
    scale = torch.ones(tgt, pair.source.shape[1], requires_grad=True)
    h, last = learned.encoder(learned.source_embedding(pair.source) * scale[:, :, None])
    before = learned.target_embedding(pair.decoder_input).expand(tgt, -1, -1)
    s, _ = learned.decoder(before, learned.decoder_start(last))
    s = s[each, each][:, None]
    weights = (learned.query(s) @ h.mT).softmax(-1)
    log_p = learned.readout(s, weights @ learned.value(h))[:, 0].log_softmax(-1)
    (delta,) = torch.autograd.grad(log_p[each, right].sum(), scale)
    return alpha, beta, known, delta


def bench_quantities() -> None:
    """The paper's four quantities for many sentence pairs, beside one pair after the other."""
    pairs, config = sentence_pairs()
    learned, uniform = build(config, 0), build(replace(config, attention="uniform"), 1)
    with torch.no_grad():  # a fresh model looks everywhere alike, and then little could differ
        learned.query.weight.mul_(30)
    proxy = build_bag_of_words(config.source_vocab, config.target_vocab, 2)
    chosen = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(0))[:SENTENCES]
    long = pairs.target_lengths * (int(pairs.source_lengths.max()) + 1) + pairs.source_lengths
    chosen = chosen[long[chosen].argsort()]  # those of similar length together
    batches = [pairs.batch(part) for part in chosen.split(AT_ONCE)]
    every = 10
    rows = range(0, len(chosen), every)
    singles = [pairs.batch(chosen[row : row + 1]) for row in rows]

    def ours() -> list[tuple[Tensor, ...]]:
        table = probes.proxy_table(proxy)
        found: list[tuple[Tensor, ...]] = []
        for batch in batches:
            with probes.evaluating(learned):
                alpha = learned(batch).attention[:, 0]
            beta = probes.lexical_probe(uniform, batch, scale="probability")
            found.append((alpha, beta, probes.table_probe(table, batch), saliency(learned, batch)))
        return found

    def theirs() -> list[tuple[Tensor, ...]]:
        return [whole_sentence(learned, uniform, proxy, pair) for pair in singles]

    found = ours()
    for row, wanted in zip(rows, theirs(), strict=True):
        for values, right in zip(found[row // AT_ONCE], wanted, strict=True):
            tgt, src = right.shape
            torch.testing.assert_close(
                values[row % AT_ONCE, :tgt, :src], right, rtol=1e-3, atol=1e-5
            )
    compare(f"the four quantities of {len(chosen)} pairs", ours, theirs, 3, scale=1 / every)


def bench_text() -> None:
    """An epoch's beginning on sentence pairs: batches by length beside batches in random order."""
    pairs, config = sentence_pairs()
    schedule = training.TrainConfig(steps=30, learning_rate=4e-3)

    def at_random() -> Iterator[Batch]:
        order = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(0))
        return map(pairs.batch, order.split(BATCH))

    def padding(batches: Iterator[Batch]) -> float:
        entries = torch.cat([ids.flatten() for b in batches for ids in (b.source, b.target)])
        return float((entries == PAD).double().mean())

    def rate(batches: Iterator[Batch]) -> None:
        training.train(build(config, 0), batches, sequence_loss, schedule, device="cpu")

    shares = [padding(pairs.batches(BATCH, 0, epochs=1)), padding(at_random())]
    print(f"padding: {shares[0]:.1%} beside {shares[1]:.1%}")
    compare(
        "30 steps on sentence pairs",
        lambda: rate(pairs.batches(BATCH, 0)),
        lambda: rate(at_random()),
        3,
    )


IN_BROWSER = """
  const { DEFAULTS } = await import("/playground/settings.js");
  const { Run } = await import("/playground/run.js");
  new Run({ ...DEFAULTS, vocab: 10, length: 10, heads: given.heads }).advance(given.steps);
"""


def bench_playground() -> None:
    """A run of the reduced model in Chromium, beside the same in Python; one thread, as there."""
    from site_browser import headless, playground_script

    import chromium

    if chromium.find() is None:
        print(f"playground left out: {chromium.ABSENT}")
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with contextmanager(headless)() as browser, playground_script(browser) as run:
        for heads in (1, 8):
            config = ReducedConfig(vocab=10, length=10, steps=300, evaluate_every=300, heads=heads)
            given = {"heads": heads, "steps": config.steps}
            compare(
                f"the playground, 300 steps, {heads} heads",
                partial(run, IN_BROWSER, given),
                partial(train_reduced, config, [0]),
            )
    torch.set_num_threads(threads)


def bench_import() -> None:
    """What the package costs on top of PyTorch, as a ratio of the two starts."""

    def start(code: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, "-c", code], check=True)

    shelf = "models, training, tasks, probes, agreement, stats, classifier, ibm_model1"
    compare(
        "import of the shelf, beside torch alone",
        start(f"from lessons_lib import {shelf}"),
        start("import torch"),
    )


def main(names: list[str]) -> None:
    """Run the benchmarks of these names, or all."""
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # like with like
    known = {
        name.removeprefix("bench_"): call
        for name, call in globals().items()
        if name.startswith("bench_")
    }
    if unknown := set(names) - known.keys():
        sys.exit(f"expected names from {', '.join(known)}, found {', '.join(sorted(unknown))}")
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads")
    for name in names or known:
        known[name]()


if __name__ == "__main__":
    main(sys.argv[1:])

"""Speed against the textbook way, as ratios within one run: ``make bench``.

Absolute times say more about the machine than about the code, and a shared machine is noisy; so
each measurement stands beside another of the same run. Nothing here is a test. It takes about
seven minutes on two cores that have nothing else to do.
"""

from __future__ import annotations

import heapq
import os
import pkgutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from statistics import median

import bench_playground
import bench_text
import pandas as pd
import torch
from torch import Tensor, nn

import lessons_lib
from lessons_lib import agreement, probes, stats
from lessons_lib.corpora.batches import EncodedPairs, padding_fraction
from lessons_lib.lab import catalogue, copying, incidence, parallel, records
from lessons_lib.models import Seq2SeqConfig, build, build_bag_of_words, sequence_loss
from lessons_lib.tasks import PAD, Batch, Copying

TASK = Copying(vocab=40, length=40)
BATCH = 128
CONFIG = Seq2SeqConfig(TASK.vocab_size, TASK.vocab_size, shared_embeddings=True)
ARMS = ("hard", "easy")
TEXT_BATCH = 250  # sentence pairs that are measured on at once
FIGURE_SEEDS, FIGURE_STEPS = 20, 200  # the copying figure: of each distribution, of each run


def seconds(call: Callable[[], object], repeats: int) -> float:
    """Median time of a call, after one that warms up."""
    call()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return median(times)


class Textbook(nn.Module):
    """The encoder-decoder as tutorials write it: one decoder step after the other."""

    def __init__(self, vocab: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab, width)
        self.encoder = nn.LSTM(width, width, batch_first=True)
        self.cell = nn.LSTMCell(width, width)
        self.query = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.hidden = nn.Linear(2 * width, width)
        self.output = nn.Linear(width, vocab)

    def forward(self, batch: Batch) -> Tensor:
        """Logits, ``(batch, tgt, vocab)``."""
        states, (h, c) = self.encoder(self.embedding(batch.source))
        s, memory = h[0], c[0]
        previous = batch.decoder_input
        steps = []
        for t in range(previous.shape[1]):
            s, memory = self.cell(self.embedding(previous[:, t]), (s, memory))
            scores = torch.bmm(states, self.query(s).unsqueeze(2)).squeeze(2)
            alpha = scores.softmax(-1)
            context = self.value(torch.bmm(alpha.unsqueeze(1), states).squeeze(1))
            steps.append(self.output(torch.tanh(self.hidden(torch.cat([s, context], -1)))))
        return torch.stack(steps, dim=1)


def training_step(model: nn.Module, loss: Callable[[Batch], Tensor]) -> Callable[[], None]:
    """One update on a fresh batch of the paper's copying task."""
    optimizer = torch.optim.Adam(model.parameters())
    stream = TASK.stream(BATCH, 0)

    def step() -> None:
        optimizer.zero_grad()
        loss(next(stream)).backward()
        optimizer.step()

    return step


def flops_of_a_step() -> float:
    """Multiply-adds of matrix products in forward and backward pass, counted twice each."""
    d, v, n = CONFIG.d_hidden, CONFIG.target_vocab, TASK.length + 1
    recurrent = 2 * (2 * d * 4 * d)  # encoder and decoder: [x; h] times four gates
    attention = 2 * d * d + 2 * n * d  # query and value; scores and contexts
    readout = 2 * d * d + d * v
    return 3.0 * 2.0 * BATCH * n * (recurrent + attention + readout)


def matrix_product_rate() -> float:
    """Floating-point operations a second in a plain product of matrices of this size."""
    rows, d = BATCH * (TASK.length + 1), CONFIG.d_hidden
    a, b = torch.randn(rows, 2 * d), torch.randn(2 * d, 4 * d)
    return 2.0 * rows * 2 * d * 4 * d / seconds(lambda: a @ b, 20)


def textbook_agreement(u: Tensor, v: Tensor, mask: Tensor) -> float:
    """Agreement as a loop over output words."""
    hits = total = 0
    for row in range(len(u)):
        places = [i for i in range(u.shape[1]) if bool(mask[row, i])]
        best = max(places, key=lambda i: float(u[row, i]))
        rank = sum(float(v[row, i]) > float(v[row, best]) for i in places)
        hits += rank < max(1, -(-5 * len(places) // 100))
        total += 1
    return hits / total


def textbook_loss(model: Textbook, batch: Batch) -> Tensor:
    """Cross-entropy of the next word, the mean over output words."""
    logits = model(batch).flatten(0, 1)
    return nn.functional.cross_entropy(logits, batch.target.flatten(), ignore_index=PAD)


def bench_training() -> float:
    """Training steps of the copying configuration; returns our seconds for one, all threads."""
    ours, theirs = build(CONFIG, 0), Textbook(TASK.vocab_size, CONFIG.d_hidden)
    mine = seconds(training_step(ours, lambda batch: sequence_loss(ours, batch)), 8)
    book = seconds(training_step(theirs, lambda batch: textbook_loss(theirs, batch)), 4)
    rate = flops_of_a_step() / mine / matrix_product_rate()
    print(f"training step, LSTM 256, batch {BATCH}, length {TASK.length}")
    print(f"  lessons_lib {1 / mine:6.2f} steps/s")
    print(f"  textbook    {1 / book:6.2f} steps/s   ratio {book / mine:.2f}")
    print(f"  lessons_lib reaches {rate:.0%} of the rate of a plain matrix product")
    return mine


def textbook_seconds(steps: int = 20) -> float:
    """Seconds for a textbook step, with its share of an evaluation every 10 steps."""
    model = Textbook(TASK.vocab_size, CONFIG.d_hidden)
    held_out = TASK.sample(BATCH, copying.HELD_OUT_SEED)
    step = training_step(model, lambda batch: textbook_loss(model, batch))
    step()
    began = time.perf_counter()
    for number in range(1, steps + 1):
        step()
        if number % 10 == 0:
            with torch.no_grad():
                probes.token_accuracy(model(held_out), held_out)
    return (time.perf_counter() - began) / steps


def parallel_seconds(
    pool: Executor, config: copying.CopyingConfig, steps: int
) -> tuple[float, float]:
    """What a run costs while all processes are at work: a step, and all that happens once.

    A step bears its share of an evaluation every ten. Once: building the model, the evaluations at
    the start and within the first ten steps, and the interventions at the end.
    """

    def wall(steps: int) -> float:
        brief = replace(config, steps=steps, stop_at=2.0)  # an accuracy that nothing reaches
        began = time.perf_counter()
        parallel.run_seeds(
            copying.run_copying, brief, range(parallel.available_cores()), executor=pool
        )
        return time.perf_counter() - began

    wall(0)  # starts the processes
    first = wall(10)
    step = (wall(10 + steps) - first) / steps
    return step, first - 10 * step


def shared_out(costs: Iterable[float], processes: int) -> float:
    """Time until all runs are done, each given to the process that is free first."""
    free = [0.0] * processes
    for cost in costs:
        heapq.heappush(free, heapq.heappop(free) + cost)
    return max(free)


def show_difference(ends: pd.DataFrame, event: str, happened: str) -> None:
    """How often something happened in each arm and when; p-values of the difference."""
    hard, easy = (ends.loc[arm] for arm in ARMS)
    counts = [(int(arm[event].sum()), len(arm)) for arm in (hard, easy)]
    share = stats.share_difference(*counts[0], *counts[1])
    said = ", ".join(f"{name} {k} of {n}" for name, (k, n) in zip(ARMS, counts, strict=True))
    times = incidence.time_difference(hard["step"], hard["solved"], easy["step"], easy["solved"])
    print(f"  {happened}: {said}; Fisher p = {share:.1e}")
    print(f"  time to accuracy 0.95: log-rank p = {times:.1e}   ({verdict(times < 0.01)} at 1%)")


def verdict(met: bool) -> str:
    """What is said of a target or a test."""
    return "yes" if met else "NO"


def bench_paper_scale(mine: float, more: int = 20) -> float:
    """The copying figure, both ways extrapolated from some steps; returns the textbook's seconds.

    How many steps our runs need is known from the record; early stop leaves out only what comes
    after accuracy 0.95, so both ways come to the same conclusion.

    Args:
        mine: seconds of one of our training steps with all threads.
        more: steps that are timed.
    """
    processes = parallel.available_cores()
    book = textbook_seconds(more)
    runs = len(ARMS) * FIGURE_SEEDS
    steps = runs * FIGURE_STEPS
    book_total = book * steps
    print(f"copying figure: {' and '.join(ARMS)}, {FIGURE_SEEDS} seeds each, {FIGURE_STEPS} steps")
    print(f"  textbook    {steps:5d} steps, {book:.2f} s each: {book_total / 60:.0f} min")
    try:
        found = records.load("hard_distribution", "full-size")
    except records.ResultError as error:
        print(f"  lessons_lib: left out, how many steps it needs is not known: {error}")
        return book_total
    with parallel.seed_pool() as pool:
        step, once = parallel_seconds(pool, copying.PAPER, more)
    ends = copying.outcomes(records.frame(found)).groupby("arm").head(FIGURE_SEEDS)
    needed = ends["step"].clip(upper=FIGURE_STEPS)
    total = sum(shared_out(step * needed.loc[arm] + once, processes) for arm in ARMS)
    ratio = book_total / total
    print(
        f"  lessons_lib {needed.sum():5d} steps, {step:.2f} s each and {once:.1f} s a run, "
        f"{processes} at a time: {total / 60:.0f} min   ratio {ratio:.1f} "
        f"(target 5: {verdict(ratio >= 5)})"
    )
    print(
        f"  of this: steps without a loop over words {book / mine:.2f}, {processes} processes of "
        f"one thread in place of one of all {mine * processes / step:.2f}, "
        f"early stop {steps / needed.sum():.2f}; bf16 and compilation are not used"
    )
    within = ends.assign(step=needed, solved=ends["solved"] & (ends["step"] <= FIGURE_STEPS))
    show_difference(within, "solved", f"reach accuracy 0.95 within {FIGURE_STEPS} steps")
    print(f"  and followed to {found['hard'].config['steps']} steps")
    lost = ends.assign(lost=ends["branch"] == "elimination")
    show_difference(lost, "lost", "elimination")
    return book_total


def bench_lesson_scale(book_total: float, seeds: Sequence[int] = (16, 8)) -> None:
    """The same comparison at lesson scale, live, on seeds that are in no record.

    Args:
        book_total: seconds of the textbook for the figure at paper scale.
        seeds: how many of hard and of easy.
    """
    entry = catalogue.REGISTRY["hard_distribution"]
    frames = []
    began = time.perf_counter()
    with parallel.seed_pool() as pool:
        for arm, count in zip(ARMS, seeds, strict=True):
            chosen = range(101, 101 + count)
            config = entry.scales["lesson"].arms[arm]
            runs = parallel.run_seeds(entry.run, config, chosen, executor=pool)
            frames.append(runs.frame().assign(arm=arm))
    wall = time.perf_counter() - began
    ends = copying.outcomes(pd.concat(frames, ignore_index=True))
    print(f"the same at lesson scale, live, {parallel.available_cores()} processes")
    print(f"  {wall:.0f} s (target 60: {verdict(wall < 60)})")
    ratio = book_total / wall
    print(f"  textbook at paper scale over this: {ratio:.0f} (target 50: {verdict(ratio >= 50)})")
    show_difference(ends.assign(lost=ends["branch"] == "elimination"), "lost", "elimination")


def bench_agreement() -> None:
    """Agreement on 10,000 output words with sentences of 5 to 30 words."""
    rng = torch.Generator().manual_seed(0)
    u, v = torch.rand(10_000, 30, generator=rng), torch.rand(10_000, 30, generator=rng)
    mask = torch.arange(30) < torch.randint(5, 31, (10_000, 1), generator=rng)
    assert agreement.agreement(u, v, mask) == textbook_agreement(u, v, mask)
    mine = seconds(lambda: agreement.agreement(u, v, mask), 20)
    book = seconds(lambda: textbook_agreement(u, v, mask), 2)
    print("agreement of 10,000 output words")
    print(f"  lessons_lib {mine * 1e3:8.2f} ms")
    print(f"  textbook    {book * 1e3:8.2f} ms   ratio {book / mine:.0f}   (equal values)")


def bench_quantities(
    pairs: EncodedPairs, config: Seq2SeqConfig, count: int = 1000, every: int = 25
) -> None:
    """The paper's four quantities for many sentence pairs, on untrained models.

    Args:
        pairs: from which they are drawn.
        config: of the encoder-decoders.
        count: pairs.
        every: the textbook gets every such pair, of all lengths alike, and is scaled up.
    """
    learned, uniform = build(config, 0), build(replace(config, attention="uniform"), 1)
    with torch.no_grad():  # a fresh model looks everywhere alike, and then little could differ
        learned.query.weight.mul_(30)
    proxy = build_bag_of_words(config.source_vocab, config.target_vocab, 2)
    chosen = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(0))[:count]
    long = pairs.target_lengths * (int(pairs.source_lengths.max()) + 1) + pairs.source_lengths
    chosen = chosen[long[chosen].argsort()]  # those of similar length together
    batches = [pairs.batch(part) for part in chosen.split(TEXT_BATCH)]
    sample = range(0, len(chosen), every)
    singles = [pairs.batch(chosen[row : row + 1]) for row in sample]
    one_by_one = bench_text.StepByStep(learned), bench_text.StepByStep(uniform)

    def textbook(frugal: bool) -> list[bench_text.Quantities]:
        return [
            bench_text.textbook_quantities(*one_by_one, proxy, pair, frugal=frugal)
            for pair in singles
        ]

    found = bench_text.quantities(learned, uniform, proxy, batches)
    for row, wanted in zip([*sample, *sample], textbook(False) + textbook(True), strict=True):
        for values, right in zip(found[row // TEXT_BATCH], wanted, strict=True):
            tgt, src = right.shape
            torch.testing.assert_close(values[row % TEXT_BATCH, :tgt, :src], right)

    mine = seconds(lambda: bench_text.quantities(learned, uniform, proxy, batches), 3)
    scaled = len(chosen) / len(singles)
    book = seconds(lambda: textbook(False), 3) * scaled
    frugal = seconds(lambda: textbook(True), 3) * scaled
    print(f"attention, two probes and saliency of {len(chosen)} sentence pairs")
    print(f"  lessons_lib {mine:6.1f} s")
    print(
        f"  textbook    {book:6.1f} s, scaled up from {len(singles)} pairs   ratio "
        f"{book / mine:.1f}   (equal values; target 20: {verdict(book / mine >= 20)})"
    )
    print(
        f"  the same    {frugal:6.1f} s, without gradients of the weights   ratio "
        f"{frugal / mine:.1f}"
    )


def bench_text_training(pairs: EncodedPairs, config: Seq2SeqConfig, steps: int = 30) -> None:
    """Words a second in training; padding is no word."""
    batch = next(bench_text.random_batches(pairs, 0))
    model = build(config, 0)
    torch.testing.assert_close(
        bench_text.textbook_loss(bench_text.StepByStep(model), batch), sequence_loss(model, batch)
    )
    size = bench_text.BATCH
    ways = {
        "lessons_lib": (bench_text.train_ours, pairs.batches(size, 0)),
        "textbook": (bench_text.train_textbook, bench_text.random_batches(pairs, 0)),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(4):  # in turns; the first warms up
        for name, (train, batches) in ways.items():
            began = time.perf_counter()
            seen = train(config, batches, steps)
            rates[name].append(seen / (time.perf_counter() - began))
    mine, book = (median(rates[name][1:]) for name in ways)
    padding = padding_fraction(pairs.batches(size, 0, epochs=1))
    book_padding = padding_fraction(bench_text.random_batches(pairs, 0))
    print(f"training on sentence pairs, batch {size}, words of both sides without padding")
    print(
        f"  lessons_lib {mine:6.0f} words/s   padding {padding:.1%} "
        f"(target below 10%: {verdict(padding < 0.1)})"
    )
    print(
        f"  textbook    {book:6.0f} words/s   padding {book_padding:.1%}   ratio {mine / book:.2f}"
    )


def bench_import() -> None:
    """What lessons_lib and all its modules cost on top of PyTorch."""
    modules = sorted(module.name for module in pkgutil.iter_modules(lessons_lib.__path__))
    ours = "; ".join(f"import lessons_lib.{name}" for name in modules)

    def run(code: str) -> float:
        return seconds(lambda: subprocess.run([sys.executable, "-c", code], check=True), 1)

    # Starting Python is noisy: in turns, and the fastest of each counts.
    codes = ("import torch", "import torch, lessons_lib", f"import torch; {ours}")
    rounds = [[run(code) for code in codes] for _ in range(5)]
    torch_alone, package, everything = (min(times) for times in zip(*rounds, strict=True))
    print("import, over `import torch`")
    print(f"  import lessons_lib          {package - torch_alone:+.2f} s")
    print(f"  with all its modules      {everything - torch_alone:+.2f} s")


def main() -> None:
    """Run them all."""
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # like with like: both ways on the CPU
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads")
    mine = bench_training()
    book_total = bench_paper_scale(mine)
    bench_lesson_scale(book_total)
    bench_agreement()
    pairs, config, notice = bench_text.sentence_pairs()
    if notice:
        print(notice)
    bench_quantities(pairs, config)
    bench_text_training(pairs, config)
    bench_playground.bench_playground()
    bench_import()


if __name__ == "__main__":
    main()

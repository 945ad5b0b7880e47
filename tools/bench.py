"""Speed against the textbook way, as ratios within one run: ``make bench``.

Absolute times say more about the machine than about the code, and a shared machine is noisy; so
each measurement stands beside another of the same run. Nothing here is a test.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor, nn

from lessons_lib import probes
from lessons_lib.models import Seq2SeqConfig, build, sequence_loss
from lessons_lib.tasks import PAD, Batch, Copying

TASK = Copying(vocab=40, length=40)
BATCH = 128
CONFIG = Seq2SeqConfig(TASK.vocab_size, TASK.vocab_size, shared_embeddings=True)


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


def bench_training() -> None:
    """Training steps of the copying configuration."""
    ours, theirs = build(CONFIG, 0), Textbook(TASK.vocab_size, CONFIG.d_hidden)

    def textbook_loss(batch: Batch) -> Tensor:
        return nn.functional.cross_entropy(
            theirs(batch).flatten(0, 1), batch.target.flatten(), ignore_index=PAD
        )

    mine = seconds(training_step(ours, lambda batch: sequence_loss(ours, batch)), 8)
    book = seconds(training_step(theirs, textbook_loss), 4)
    rate = flops_of_a_step() / mine / matrix_product_rate()
    print(f"training step, LSTM 256, batch {BATCH}, length {TASK.length}")
    print(f"  lessons_lib {1 / mine:6.2f} steps/s")
    print(f"  textbook    {1 / book:6.2f} steps/s   ratio {book / mine:.2f}")
    print(f"  lessons_lib reaches {rate:.0%} of the rate of a plain matrix product")


def bench_agreement() -> None:
    """Agreement on 10,000 output words with sentences of 5 to 30 words."""
    rng = torch.Generator().manual_seed(0)
    u, v = torch.rand(10_000, 30, generator=rng), torch.rand(10_000, 30, generator=rng)
    mask = torch.arange(30) < torch.randint(5, 31, (10_000, 1), generator=rng)
    assert probes.agreement(u, v, mask) == textbook_agreement(u, v, mask)
    mine = seconds(lambda: probes.agreement(u, v, mask), 20)
    book = seconds(lambda: textbook_agreement(u, v, mask), 2)
    print("agreement of 10,000 output words")
    print(f"  lessons_lib {mine * 1e3:8.2f} ms")
    print(f"  textbook    {book * 1e3:8.2f} ms   ratio {book / mine:.0f}   (equal values)")


def bench_import() -> None:
    """What lessons_lib and all its modules cost on top of PyTorch."""
    modules = "configuration tasks text models model1 stats probes training results plots"
    ours = "; ".join(f"import lessons_lib.{name}" for name in modules.split())

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
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads")
    bench_training()
    bench_agreement()
    bench_import()


if __name__ == "__main__":
    main()

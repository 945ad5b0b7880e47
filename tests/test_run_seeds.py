"""Many seeds of one configuration: the same results, however they are shared out."""

import importlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest
import torch

from lessons_lib.lab.parallel import SeedRuns, available_cores, run_seeds, seed_pool
from lessons_lib.training import History, TrainConfig

ROOT = Path(__file__).resolve().parent.parent
# A module of its own: a started process has to import the function that it is to run.
WORKER = '''
import os
import time
from pathlib import Path

from lessons_lib.models import Seq2SeqConfig, build, sequence_loss
from lessons_lib.probes import token_accuracy
from lessons_lib.tasks import Copying
from lessons_lib.training import History, TrainConfig, train

TASK = Copying(vocab=5, length=3)
GATE = Path(__file__).with_name("gate")


def copier(config, seed):
    """A small copier with dropout, so that it draws from the global random state."""
    size = TASK.vocab_size
    model = build(Seq2SeqConfig(size, size, d_embed=12, d_hidden=16, dropout=0.1), seed)
    held_out = TASK.sample(30, 99)
    return train(
        model,
        TASK.stream(16, seed),
        sequence_loss,
        config,
        evaluate=lambda m: {"token_accuracy": token_accuracy(m(held_out).logits, held_out)},
        seed=seed,
        device="cpu",
    )


def fails_at_three(config, seed):
    if seed == 3:
        raise ArithmeticError("no luck")
    return History((), seed, False, 0.0, "cpu")


def waits(config, seed):
    """Seed 0 ends when the gate is open; it does not wait for ever."""
    for _ in range(12_000):
        if seed > 0 or GATE.exists():
            break
        time.sleep(0.01)
    return History((), seed, False, 0.0, "cpu")


def dies(config, seed):
    os._exit(1)


def pids(config, seed):
    return History(({"step": 0, "metric": "pid", "value": float(os.getpid())},), 0, False, 0, "cpu")
'''
CONFIG = TrainConfig(
    steps=120, learning_rate=2e-2, evaluate_every=5, stop_metric="token_accuracy", stop_at=0.9
)
SEEDS = (7, 2, 5)
Numbers = dict[int, tuple[object, ...]]


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    folder = tmp_path_factory.mktemp("worker")
    (folder / "seeds_worker.py").write_text(WORKER, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))  # started processes get the path of their parent
        yield importlib.import_module("seeds_worker")


def numbers(runs: SeedRuns) -> Numbers:
    """What must not depend on where a run was made: all but its time."""
    return {seed: (h.rows, h.steps, h.stopped_early) for seed, h in runs.histories.items()}


@pytest.fixture(scope="module")
def alone(worker: ModuleType) -> Numbers:
    """Each seed in this process, one after the other, without ``run_seeds``."""
    return numbers(SeedRuns({seed: worker.copier(CONFIG, seed) for seed in SEEDS}))


@pytest.mark.slow
def test_processes_give_what_each_run_gives_alone_in_any_order(
    worker: ModuleType, alone: Numbers
) -> None:
    with seed_pool(2) as pool:
        for seeds in (SEEDS, SEEDS[::-1], SEEDS[1:2]):
            found = run_seeds(worker.copier, CONFIG, seeds, executor=pool)
            assert numbers(found) == {seed: alone[seed] for seed in seeds}
            assert tuple(found.histories) == seeds
    assert len({str(rows) for rows in alone.values()}) == len(SEEDS)


def test_threads_take_turns_and_rows_are_tidy(worker: ModuleType, alone: Numbers) -> None:
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(3) as pool:  # they share a random state
        runs = run_seeds(worker.copier, CONFIG, SEEDS, executor=pool)
    assert numbers(runs) == alone
    assert torch.get_num_threads() == threads
    frame = runs.frame()
    assert list(frame.columns) == ["seed", "step", "metric", "value"]
    assert list(frame["seed"].unique()) == list(SEEDS)
    for seed, history in runs.histories.items():
        assert history.stopped_early, "choose settings with which the small copier learns"
        assert frame[frame.seed == seed].step.max() == history.steps < CONFIG.steps


@pytest.mark.slow
def test_without_an_executor_the_cores_of_this_machine_are_used(worker: ModuleType) -> None:
    found = set(run_seeds(worker.pids, CONFIG, range(4)).frame()["value"])
    assert os.getpid() not in found
    assert 1 <= len(found) <= available_cores()


def test_a_run_that_fails_names_its_seed_and_keeps_the_others(worker: ModuleType) -> None:
    kept: dict[int, History] = {}
    with (
        ThreadPoolExecutor(1) as pool,
        pytest.raises(RuntimeError, match="run of seed 3 failed: ArithmeticError: no luck") as err,
    ):
        run_seeds(worker.fails_at_three, CONFIG, (1, 2, 3, 4), executor=pool, done=kept.__setitem__)
    assert isinstance(err.value.__cause__, ArithmeticError)
    assert {1, 2} <= set(kept)
    assert 3 not in kept


SCRIPT = """
from lessons_lib.lab.parallel import run_seeds
from lessons_lib.training import TrainConfig

def run(config, seed):
    ...
{guard}run_seeds(run, TrainConfig(), (0, 1))
"""


@pytest.mark.slow
@pytest.mark.parametrize("way", ["no guard", "standard input", "killed"])
def test_a_pool_that_broke_names_the_usual_causes_and_no_seed(
    worker: ModuleType, tmp_path: Path, way: str
) -> None:
    if way == "killed":
        with pytest.raises(RuntimeError) as caught:
            run_seeds(worker.dies, CONFIG, (0, 1))
        said = f"RuntimeError: {caught.value}"
    else:
        script = tmp_path / "script.py"
        guard = "" if way == "no guard" else "if __name__ == '__main__': "
        script.write_text(SCRIPT.format(guard=guard), encoding="utf-8")
        with script.open() as text:
            done = subprocess.run(
                [sys.executable, *([str(script)] if way == "no guard" else ["-"])],
                stdin=text, env=_with(ROOT), capture_output=True, encoding="utf-8", check=False,
            )  # fmt: skip
        assert done.returncode == 1
        said = done.stderr[done.stderr.rindex("\nRuntimeError: ") :]
    for cause in ("a worker process ended before its run did", "__main__", "standard input"):
        assert cause in said
    assert "seed 0" not in said


@pytest.mark.slow
def test_done_is_called_in_the_order_of_ending_and_one_bar_counts(
    worker: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    order: list[int] = []

    def done(seed: int, _: History) -> None:
        order.append(seed)
        worker.GATE.touch()

    with seed_pool(2) as pool:
        runs = run_seeds(worker.waits, CONFIG, (0, 6), executor=pool, done=done, progress="copiers")
        shown = capsys.readouterr().err
        run_seeds(worker.waits, CONFIG, (4, 5, 6), executor=pool)
    assert order == [6, 0]
    assert list(runs.histories) == [0, 6]
    assert "copiers: 100%" in shown
    assert "2/2" in shown
    assert capsys.readouterr().err == ""


def test_the_same_seed_twice_is_an_error_and_no_seed_is_no_run(worker: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"different seeds, found \[4, 4\]"):
        run_seeds(worker.waits, CONFIG, (4, 4))
    assert run_seeds(worker.waits, CONFIG, ()).frame().empty


PARENT = """
import os
import sys
import time
from pathlib import Path

from lessons_lib.lab.parallel import seed_pool

if __name__ == "__main__":
    with seed_pool(2) as pool:
        found = {pool.submit(os.getpid).result() for _ in range(8)}
        Path(sys.argv[1]).write_text(" ".join(map(str, found)), encoding="utf-8")
        time.sleep(600)
"""


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A process that ended and was not yet waited for is still listed, as a zombie.
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="asks for processes in the way of Unix")
def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    script, told = tmp_path / "parent.py", tmp_path / "pids"
    script.write_text(PARENT, encoding="utf-8")
    parent = subprocess.Popen([sys.executable, str(script), str(told)], env=_with(ROOT))
    deadline = time.monotonic() + 120
    try:
        while not (told.exists() and told.read_text()) and time.monotonic() < deadline:
            assert parent.poll() is None, "the parent ended by itself"
            time.sleep(0.1)
        workers = [int(pid) for pid in told.read_text().split()]
        assert all(map(_alive, workers))
    finally:
        parent.kill()
        parent.wait()
    while any(map(_alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(_alive, workers))


def _with(checkout: Path) -> dict[str, str]:
    """The environment in which a script finds ``lessons_lib``, installed or in the checkout."""
    if os.environ.get("LESSONS_INSTALLED"):
        return dict(os.environ)
    return {**os.environ, "PYTHONPATH": str(checkout)}

"""Many seeds of one configuration: the same results, however they are shared out."""

import importlib
import os
import subprocess
import sys
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
    measure = lambda m: {"token_accuracy": token_accuracy(m(held_out).logits, held_out)}
    stream = TASK.stream(16, seed)
    return train(model, stream, sequence_loss, config, evaluate=measure, seed=seed, device="cpu")


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
def test_processes_give_what_each_run_gives_alone(worker: ModuleType, alone: Numbers) -> None:
    with seed_pool(2) as pool:
        for seeds in (SEEDS, SEEDS[::-1], SEEDS[1:2]):
            found = run_seeds(worker.copier, CONFIG, seeds, executor=pool)
            assert numbers(found) == {seed: alone[seed] for seed in seeds}
            assert tuple(found.histories) == seeds
    assert len({str(rows) for rows in alone.values()}) == len(SEEDS)


@pytest.mark.slow
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
run_seeds(run, TrainConfig(), (0, 1))
"""


@pytest.mark.slow
@pytest.mark.parametrize("way", ["no guard", "killed"])
def test_a_broken_pool_names_usual_causes(worker: ModuleType, tmp_path: Path, way: str) -> None:
    if way == "killed":
        with pytest.raises(RuntimeError) as caught:
            run_seeds(worker.dies, CONFIG, (0, 1))
        said = f"RuntimeError: {caught.value}"
    else:
        script = tmp_path / "script.py"
        script.write_text(SCRIPT, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, str(script)], env=with_package(), capture_output=True, text=True
        )
        assert done.returncode == 1
        said = done.stderr[done.stderr.rindex("\nRuntimeError: ") :]
    for cause in ("a worker process ended before its run did", "__main__", "standard input"):
        assert cause in said
    assert "seed 0" not in said


@pytest.mark.slow
def test_done_is_called_in_order_of_ending_and_one_bar_counts(
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
import time

from lessons_lib.lab.parallel import seed_pool

if __name__ == "__main__":
    with seed_pool(2) as pool:
        print(len({pool.submit(os.getpid).result() for _ in range(8)}) > 0, flush=True)
        time.sleep(600)
"""


@pytest.mark.slow
def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT, encoding="utf-8")
    command = [sys.executable, str(script)]
    with subprocess.Popen(command, env=with_package(), stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "True\n"
        parent.kill()
        # A worker has the same output: as long as one lives, it has no end.
        assert parent.communicate(timeout=300)[0] == ""


def with_package() -> dict[str, str]:
    """The environment in which a script finds ``lessons_lib``, installed or in the checkout."""
    installed = os.environ.get("LESSONS_INSTALLED")
    return {**os.environ, **({} if installed else {"PYTHONPATH": str(ROOT)})}

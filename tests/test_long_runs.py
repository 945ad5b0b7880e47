"""Runs that are kept in files: stopped anywhere, they end as if they had not been stopped."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from lessons_lib import models
from lessons_lib.lab.long_runs import train_kept
from lessons_lib.tasks import Batch
from lessons_lib.training import TrainConfig

SHAPE = models.Seq2SeqConfig(
    9, 9, d_embed=5, d_hidden=6, layers=2, bidirectional=True, dropout=0.4, dropout_at="layers"
)
CONFIG = TrainConfig(steps=11, learning_rate=0.01, also_evaluate=(2, 7))


Validate = Callable[[models.Seq2Seq], float]


class StoppedError(RuntimeError):
    pass


def stream(skip: int, until: int = 99) -> Iterator[Batch]:
    generator = torch.Generator().manual_seed(1)
    for number in range(until):
        words = torch.randint(4, 9, (3, 4), generator=generator)
        if number >= skip:
            yield Batch(words, words.flip(1))
    raise StoppedError


def performance(model: models.Seq2Seq) -> float:
    assert not model.training
    return -float(models.sequence_loss(model, next(stream(0))))


def train(
    folder: Path, until: int = 99, patience: int = 99, validate: Validate = performance
) -> tuple[models.Seq2Seq, dict[int, float]]:
    model, loss = models.build(SHAPE, 3), models.sequence_loss
    batches = partial(stream, until=until)
    ends: dict[str, Any] = {"validate": validate, "patience": patience}
    return model, train_kept(model, batches, loss, CONFIG, folder, **ends, seed=5)


@pytest.mark.parametrize("until", [0, 1, 5, 8])
def test_a_run_that_was_stopped_ends_as_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until: int
) -> None:
    monkeypatch.setattr("lessons_lib.lab.long_runs.SAVE_EVERY", 3)
    model, found = train(tmp_path / "whole")
    with pytest.raises(StoppedError):
        train(tmp_path / "halves", until)
    again, found_again = train(tmp_path / "halves")
    assert list(found) == [0, 2, 7, 11]
    assert found_again == found
    for one, other in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
    # And once more, with nothing left to do.
    assert train(tmp_path / "whole", until=0)[1] == found


def test_a_run_that_stands_still_ends(tmp_path: Path) -> None:
    values = iter([0.3, 0.2, 0.3, 0.5])
    _, found = train(tmp_path, patience=7, validate=lambda model: next(values))
    assert found == {0: 0.3, 2: 0.2, 7: 0.3}, "equal is not better"

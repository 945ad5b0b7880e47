"""IBM Model 1 against the textbook's triple loop, and against what theory says."""

import math
from itertools import pairwise

import pytest
import torch

from lessons_lib import ibm_model1
from lessons_lib.ibm_model1 import NULL, fit_model1
from lessons_lib.tasks import PAD


def textbook(
    pairs: list[tuple[list[int], list[int]]], v_src: int, v_tgt: int, steps: int, null: bool
) -> list[list[float]]:
    """EM for Model 1 as in textbooks: loops over sentences, output words and input words."""
    table = [[1 / v_tgt] * v_tgt for _ in range(v_src)]
    for _ in range(steps):
        counts = [[0.0] * v_tgt for _ in range(v_src)]
        for source, target in pairs:
            words = [NULL, *source] if null else source
            for o in target:
                norm = sum(table[i][o] for i in words)
                for i in words:
                    counts[i][o] += table[i][o] / norm
        table = [[c / sum(row) for c in row] if sum(row) > 0 else [0.0] * v_tgt for row in counts]
    return table


def padded(rows: list[list[int]]) -> torch.Tensor:
    longest = max(map(len, rows))
    return torch.tensor([row + [PAD] * (longest - len(row)) for row in rows])


PAIRS = [([4, 5], [6, 7, 4]), ([4], [6]), ([5, 8, 4, 8], [7, 5]), ([8], [5, 5])]


@pytest.mark.parametrize("null", [True, False])
@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_equals_the_textbook_loop(null: bool, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ibm_model1, "CHUNK", chunk)
    source, target = padded([s for s, _ in PAIRS]), padded([t for _, t in PAIRS])
    fitted = fit_model1(source, target, 9, 8, iterations=4, empty_word=null)
    expected = torch.tensor(textbook(PAIRS, 9, 8, 4, null), dtype=torch.float64)
    torch.testing.assert_close(fitted.table, expected)


def test_likelihood_never_falls_and_starts_at_the_uniform_one() -> None:
    source, target = padded([s for s, _ in PAIRS]), padded([t for _, t in PAIRS])
    tables = [torch.full((9, 8), 1 / 8, dtype=torch.float64)]
    tables += [fit_model1(source, target, 9, 8, iterations=n).table for n in range(1, 7)]
    history = [
        sum(math.log(float(t[[NULL, *s], y].mean())) for s, out in PAIRS for y in out)
        / sum(len(out) for _, out in PAIRS)
        for t in tables
    ]
    assert history[0] == pytest.approx(math.log(1 / 8))
    assert all(later >= earlier - 1e-12 for earlier, later in pairwise(history))
    assert history[-1] > history[0] + 0.1

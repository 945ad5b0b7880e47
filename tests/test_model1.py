"""IBM Model 1 against the textbook's triple loop."""

import pytest
import torch
from torch.nn.utils.rnn import pad_sequence

from lessons_lib import ibm_model1
from lessons_lib.ibm_model1 import NULL, fit_model1


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


PAIRS = [([4, 5], [6, 7, 4]), ([4], [6]), ([5, 8, 4, 8], [7, 5]), ([8], [5, 5])]
SOURCE, TARGET = (pad_sequence([torch.tensor(pair[k]) for pair in PAIRS], True) for k in (0, 1))


@pytest.mark.parametrize("null", [True, False])
@pytest.mark.parametrize("chunk", [1, 3, 100])
@pytest.mark.parametrize("steps", [1, 4])
def test_equals_the_textbook_loop(
    null: bool, chunk: int, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ibm_model1, "CHUNK", chunk)
    fitted = fit_model1(SOURCE, TARGET, 9, 8, iterations=steps, empty_word=null)
    expected = torch.tensor(textbook(PAIRS, 9, 8, steps, null), dtype=torch.float64)
    torch.testing.assert_close(fitted.table, expected)

"""Answers are run in a process of their own, with limits, and only data come back."""

import re
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

sys.path.append(str(Path(__file__).resolve().parent.parent / "assignment"))
import isolation

CELLS = [
    "import torch\nfrom lessons_lib import stats\ntorch.allclose = lambda *a, **k: True",
    "%matplotlib inline\nprint('x')\ndef twice(x): return x * 2\n1 / 0\nnever = 1",
    "while True:\n  try:\n    while True: pass\n  except BaseException: pass",
    "import os; os._exit(0)",
    "import otter\notter.Notebook().check('q1')\nvalue = {'a': (1, [True])}",
    """
def grad(x, how):
    x = x.clone()
    f = lambda y: (y ** 2).sum()
    if how == "grad": return torch.autograd.grad(f(x.requires_grad_()), x)[0]
    if how == "backward": f(x.requires_grad_()).backward(); return x.grad
    if how == "func": return torch.func.grad(f)(x)
    if how == "jvp": return torch.func.jvp(f, (x,), (x,))[1]
    if how == "thread":
        import threading
        work = threading.Thread(target=lambda: f(x.requires_grad_()).backward())
        work.start(); work.join(); return x.grad
    if how == "unwatched":
        import sys
        sys.setprofile(None); return grad(x, "grad")
    if how == "by hand": return torch.vmap(lambda y: y * 2)(x)
def other(): return stats.proportion_interval(1, 2).low
def forever():
    while True:
        try: sum(range(10 ** 9))
        except BaseException: pass
def leave(): __import__("os")._exit(1)
def strange(): return lambda: 1
""",
]


@pytest.fixture(scope="module")
def submission() -> Iterator[Any]:
    found = isolation.Submission(CELLS, 10)
    yield found
    found.start()
    found.stop()
    found.folder.cleanup()


@pytest.mark.skipif(find_spec("IPython") is None, reason="needs IPython; `make env` installs it")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "forbidden", "arguments", "expected"),
    [
        ("twice", [], (1.5,), 3.0),
        ("value", [], (), {"a": (1, [True])}),
        ("never", [], (), "never: it is not defined (a cell was left out: no end within 30 s; i"),
        *(
            ("grad", ["autograd"], (torch.ones(2), how), "it uses autograd, which its question f")
            for how in ("grad", "backward", "func", "jvp", "thread")
        ),
        ("grad", ["autograd"], (torch.ones(2), "unwatched"), "it uses what hides it"),
        ("grad", ["autograd"], (torch.ones(2), "by hand"), torch.full((2,), 2.0)),
        ("grad", [], (torch.ones(2), "grad"), torch.full((2,), 2.0)),
        ("other", ["lessons_lib"], (), "it uses lessons_lib"),
        ("forever", [], (), "forever: no end within 10 s"),
        ("leave", [], (), "leave: it ended the process"),
        ("strange", [], (), "expected numbers, words, tensors or arrays, found function"),
        ("twice", [], (np.arange(3)[:, None],), np.array([[0], [2], [4]])),
    ],
)
def test_an_answer_is_run_apart(
    submission: Any, name: str, forbidden: list[str], arguments: Any, expected: Any
) -> None:
    if isinstance(expected, str):
        with pytest.raises(isolation.AnswerError, match=re.escape(expected)):
            submission.call(name, forbidden, arguments)
    else:
        found = submission.call(name, forbidden, arguments)
        assert type(found) is type(expected)
        assert np.array_equal(found, expected) if hasattr(expected, "shape") else found == expected

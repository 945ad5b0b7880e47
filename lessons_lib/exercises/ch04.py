"""Checker of chapter 4: how many words are looked at."""

import math

import numpy as np

from lessons_lib.exercises.contents import Array, Table
from lessons_lib.exercises.judge import compared


@compared(
    "4.2",
    {
        "three rows of four": (
            np.array([[0.5, 0.25, 0.25, 0.0], [0.25] * 4, [0.0, 1.0, 0.0, 0.0]]),
        ),
        "one row of two": (np.array([[0.75, 0.25]]),),
    },
)
def _spread(a: Array) -> Table:
    words = a.shape[1]
    nats = np.array([-sum(x * math.log(x) for x in row if x > 0) for row in a.tolist()])
    return np.exp(nats) / words, {
        "entropy": nats,
        "not-divided": np.exp(nats),
        "relative": nats / math.log(words),
        "bits": 2**nats / words,
        "rows": np.exp(nats) / len(a),
    }

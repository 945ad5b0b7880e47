"""Checker of chapter 4: how many words are looked at."""

import numpy as np
from scipy.stats import entropy

from lessons_lib.exercises.contents import Array, Table
from lessons_lib.exercises.judge import compared


@compared("4.2")
def _spread(a: Array) -> Table:
    nats, words = entropy(a, axis=1), a.shape[1]
    return np.exp(nats) / words, {
        "entropy": nats,
        "not-divided": np.exp(nats),
        "relative": nats / np.log(words),
        "bits": 2**nats / words,
        "rows": np.exp(nats) / len(a),
    }

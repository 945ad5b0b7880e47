"""Whether mirror images carry over: each registered hypothesis with its test and its verdict.

Arms, tests and what refutes them stand in ``registered/2026-11-29-carried.md``.
"""

from lessons_lib.lab import records as stored
from lessons_lib.scoreboard.claim import Loader
from lessons_lib.scoreboard.contrasts import Runs
from lessons_lib.scoreboard.mirrored import Hypothesis, advantage, judged, likeness

TASKS = ("two", "four", "ranking")
MORE = (
    *(("C1", task, "antithetic", "random") for task in TASKS),
    *(("C2", task, "antithetic", "identical") for task in TASKS),
    ("C3", "two", "value", "random"),
)
"""Hypothesis, task, the heads that align more often, and the others: the tests of Holm's method."""


def hypotheses(load: Loader = stored.load) -> list[Hypothesis]:
    """C1 to C4."""
    runs, found = Runs(load("carried", "lesson")), []
    for name, task, more, less in MORE:
        says = f"{more} heads align more often than {less} ones"
        arms = f"{task}-{more}", f"{task}-{less}"
        found.append(advantage(f"{name}, {task}", says, runs, *arms))
    says = "only the query turned over: as often as identical heads"
    found.append(likeness("C4, two", says, runs, "two-query", "two-identical"))
    return judged(found, len(MORE))

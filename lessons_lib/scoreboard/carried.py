"""Whether mirror images carry over: each registered hypothesis with its test and its verdict.

Arms, tests and what refutes them stand in ``registered/2026-11-29-carried.md``.
"""

from __future__ import annotations

from lessons_lib.lab.records import NotMeasuredError, command
from lessons_lib.scoreboard.claim import Loader, optional, recorded
from lessons_lib.scoreboard.mirrored import Hypothesis, advantage, judged, likeness
from lessons_lib.scoreboard.runs import Runs

TASKS = ("two", "four", "ranking")
MORE = (
    *(("C1", task, "antithetic", "random") for task in TASKS),
    *(("C2", task, "antithetic", "identical") for task in TASKS),
    ("C3", "two", "value", "random"),
)
"""Hypothesis, task, the heads that align more often, and the others: the tests of Holm's method."""


def hypotheses(load: Loader = recorded) -> list[Hypothesis]:
    """C1 to C4, as far as they have been measured.

    Raises:
        NotMeasuredError: none has.
    """
    records = optional(load, "carried", "lesson") or {}
    if not records:
        raise NotMeasuredError(f"no such runs; make them with: {command('carried', 'lesson')}")
    runs, found = Runs(records), []
    for name, task, more, less in MORE:
        if (one := f"{task}-{more}") in records and (other := f"{task}-{less}") in records:
            says = f"{more} heads align more often than {less} ones"
            found.append(advantage(f"{name}, {task}", says, runs, one, other))
    if {"two-query", "two-identical"} <= set(records):
        says = "only the query turned over: as often as identical heads"
        found.append(likeness("C4, two", says, runs, "two-query", "two-identical"))
    return judged(found, len(MORE))

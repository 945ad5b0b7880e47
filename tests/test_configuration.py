"""What configurations refuse, those of the lab in one table: expected, found, and what to do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import pytest

from lessons_lib.config import Configuration, check_fields, digest
from lessons_lib.lab.interventions import InterventionConfig
from lessons_lib.lab.ladder import LadderConfig


@dataclass(frozen=True)
class Pot(Configuration):
    cups: int = 2
    milk: Literal["none", "first"] = "none"


def test_unknown_key_is_named() -> None:
    assert Pot.from_dict(Pot(5, "first").to_dict()) == Pot(5, "first")
    with pytest.raises(TypeError, match=r"Pot.*unexpected keyword argument 'suger'"):
        Pot.from_dict({"cups": 2, "suger": 1})


def test_fields_are_checked_by_name_and_by_type() -> None:
    with pytest.raises(ValueError, match="expected cups of at least 1, found 0"):
        check_fields(Pot(cups=0), "cups")
    check_fields(Pot(cups=0))  # only what is named has a least value
    with pytest.raises(ValueError, match="expected milk to be one of none, first, found 'last'"):
        check_fields(Pot.from_dict({"milk": "last"}))
    check_fields(Pot(cups=1, milk="first"), "cups")


def test_digest_is_the_known_sha256_and_ignores_the_order_of_keys() -> None:
    # sha256 of {"a":1,"b":[2,3]}, by `printf '{"a":1,"b":[2,3]}' | sha256sum`
    known = "efbd0040190fb0871831e606c581f8a66db79d8e2bb836745a70051306956070"
    assert digest({"b": [2, 3], "a": 1}) == digest({"a": 1, "b": [2, 3]}) == known
    assert digest({"a": 1, "b": [2, 3]}) != digest({"a": 1, "b": [3, 2]})
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest({"a": float("nan")})


HELD = InterventionConfig(vocab=5, length=5, spare=3, steps=4)
RUNG = LadderConfig(vocab=6, length=4, width=12)

REFUSED: list[tuple[Configuration, dict[str, Any], str]] = [
    (HELD, {"frozen": ("query",)}, "frozen from ktiw, attention, shared, found .*query"),
    (HELD, {"prepare": "gold"}, "above 0 with a preparation, else 0, found 0 with prepare 'gold'"),
    (HELD, {"prepare_steps": 2}, "else 0, found 2 with prepare 'nothing'"),
    (RUNG, {"reads": "word"}, "reads to be one of states, words, embeddings, found 'word'"),
]


@pytest.mark.parametrize(("config", "change", "message"), REFUSED)
def test_contradictions(config: Configuration, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(config, **change)

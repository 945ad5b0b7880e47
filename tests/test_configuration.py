"""What configurations refuse, those of the lab in one table: expected, found, and what to do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import pytest

from lessons_lib.config import Configuration, check_fields, digest
from lessons_lib.lab import mirror
from lessons_lib.lab.heads import HeadsConfig
from lessons_lib.lab.interventions import InterventionConfig
from lessons_lib.lab.ladder import LadderConfig
from lessons_lib.lab.transformer import TransformerConfig

NAN = float("nan")


@dataclass(frozen=True)
class Pot(Configuration):
    cups: int = 2
    milk: Literal["none", "first"] = "none"


def test_unknown_key_is_named_with_the_known_ones() -> None:
    assert Pot.from_dict(Pot(5, "first").to_dict()) == Pot(5, "first")
    with pytest.raises(ValueError, match=r"'suger' in a Pot; expected some of cups, milk"):
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


THREE = HeadsConfig(vocab=6, length=4, heads=3, cell="gru", shared_embeddings=False)
HELD = InterventionConfig(vocab=5, length=5, spare=3, steps=4)
RUNG = LadderConfig(vocab=6, length=4, width=12)
FORMER = TransformerConfig(vocab=7, length=5, width=12)
TAUGHT = {"prepare": "dictionary", "prepare_steps": 2}

REFUSED: list[tuple[Configuration, dict[str, Any], str]] = [
    (THREE, {"dead_words": -1}, "dead_words of at least 0, found -1"),
    (THREE, {"pool": (4, 5), "drawn": 3}, "as many heads as a pool has, found .3, 0. of .2, 0."),
    (THREE, {"pool": (4, 5), "drawn": 2}, "all 3 heads, or none .* found .2, 0."),
    (THREE, {"inner": 20}, "inner of at least 1 and one head, found inner 20 and 3 heads"),
    (THREE, {"tied_until": 2, "merge": "concatenate"}, "found 2 with merge 'concatenate'"),
    (THREE, {"query_scale": 2.0}, "query_scale and value_scale of 1.*found .2.0, 1.0."),
    (mirror.PAIRS, {"heads": 4}, "expected two heads, found 4"),
    (HELD, {"frozen": ("query",)}, "frozen from ktiw, attention, shared, found .*query"),
    (HELD, {"spare": -1}, "spare of at least 0 .*found -1 and 1.0"),
    (HELD, {"query_rate": 0.0}, "query_rate above 0, found 3 and 0.0"),
    (HELD, {"query_rate": NAN}, "query_rate above 0, found 3 and nan"),
    (HELD, {"prepare": "gold"}, "above 0 with a preparation, else 0, found 0 with prepare 'gold'"),
    (HELD, {"prepare_steps": 2}, "else 0, found 2 with prepare 'nothing'"),
    (HELD, {**TAUGHT, "prepare": "uniform-easy", "spare": 0}, "spare words for an easy distrib"),
    (HELD, {"wrong_words": True}, "'dictionary', found 'nothing'"),
    (HELD, {**TAUGHT, "wrong_words": True, "spare": 1}, "two words or more to exchange"),
    (HELD, {"hold": "snapshot", "hold_from": 4}, "hold_from below steps, .*found 4"),
    (HELD, {"hold": "gold", "hold_from": 2}, "0 without a snapshot, found 2 with hold 'gold'"),
    (HELD, {"hold": "gold", "frozen": ("shared", "ktiw")}, "something to train"),
    (RUNG, {"reads": "word"}, "reads to be one of states, words, embeddings, found 'word'"),
    (RUNG, {"carry": 0.5}, "carry 0 and .*, found 0.5 and 1.0"),
    (RUNG, {"attention_rate": 0.0}, "attention_rate above 0, found 0 and 0.0"),
    (FORMER, {"encoder_layers": -1}, "encoder_layers of at least 0, found -1"),
    (FORMER, {"heads": 5}, "width that is a multiple of heads, .*found width 12 and 5 heads"),
    (FORMER, {"cell": "gru"}, "expected cell 'lstm', the default, .*found 'gru'"),
    (FORMER, {"query_scale": 0.0}, "expected query_scale 1.0, .*found 0.0"),
]


@pytest.mark.parametrize(("config", "change", "message"), REFUSED)
def test_contradictions(config: Configuration, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(config, **change)

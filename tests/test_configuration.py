from dataclasses import dataclass
from typing import Literal

import pytest

from lessons_lib.config import Configuration, check_fields, digest


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

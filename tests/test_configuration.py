from dataclasses import dataclass
from typing import Literal

import pytest

from lessons_lib.config import Configuration, check_fields, digest


@dataclass(frozen=True)
class Tea(Configuration):
    minutes: int = 3
    sort: str = "green"


def test_round_trip() -> None:
    assert Tea.from_dict(Tea(5, "black").to_dict()) == Tea(5, "black")


def test_unknown_key_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'suger' in a Tea; expected some of minutes, sort"):
        Tea.from_dict({"minutes": 2, "suger": 1})


@dataclass(frozen=True)
class Pot(Tea):
    cups: int = 2
    milk: Literal["none", "first"] = "none"


@pytest.mark.parametrize(
    ("pot", "message"),
    [
        (Pot(cups=0), "expected cups of at least 1, found 0"),
        (Pot(milk="last"), "expected milk to be one of none, first, found 'last'"),  # type: ignore[arg-type]
    ],
)
def test_fields_are_checked_by_name_and_by_type(pot: Pot, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_fields(pot, "minutes", "cups")
    check_fields(Pot(minutes=1, milk="first"), "minutes", "cups")
    check_fields(Pot(cups=0))  # only what is named has a least value


def test_digest_is_the_known_sha256_and_ignores_the_order_of_keys() -> None:
    # sha256 of {"a":1,"b":[2,3]}, by `printf '{"a":1,"b":[2,3]}' | sha256sum`
    known = "efbd0040190fb0871831e606c581f8a66db79d8e2bb836745a70051306956070"
    assert digest({"b": [2, 3], "a": 1}) == digest({"a": 1, "b": [2, 3]}) == known
    assert digest({"a": 1, "b": [2, 3]}) != digest({"a": 1, "b": [3, 2]})


def test_digest_refuses_what_json_cannot_hold() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest({"a": float("nan")})

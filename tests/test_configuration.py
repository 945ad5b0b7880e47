from dataclasses import dataclass

import pytest

from lessons_lib.config import Configuration, digest


@dataclass(frozen=True)
class Tea(Configuration):
    minutes: int = 3
    sort: str = "green"


def test_round_trip() -> None:
    assert Tea.from_dict(Tea(5, "black").to_dict()) == Tea(5, "black")


def test_unknown_key_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'suger' in a Tea; expected some of minutes, sort"):
        Tea.from_dict({"minutes": 2, "suger": 1})


def test_digest_is_the_known_sha256_and_ignores_the_order_of_keys() -> None:
    # sha256 of {"a":1,"b":[2,3]}, by `printf '{"a":1,"b":[2,3]}' | sha256sum`
    known = "efbd0040190fb0871831e606c581f8a66db79d8e2bb836745a70051306956070"
    assert digest({"b": [2, 3], "a": 1}) == digest({"a": 1, "b": [2, 3]}) == known
    assert digest({"a": 1, "b": [2, 3]}) != digest({"a": 1, "b": [3, 2]})


def test_digest_refuses_what_json_cannot_hold() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest({"a": float("nan")})

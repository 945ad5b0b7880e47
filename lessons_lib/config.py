"""What all configurations share: made from a dictionary, turned into one, and hashed."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, get_args, get_origin, get_type_hints


@dataclass(frozen=True)
class Configuration:
    """Base of the frozen dataclasses that configure something. Unknown keys are errors."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The configuration in a dictionary; a ``TypeError`` names a key that is no field."""
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain values; ``from_dict`` takes it back."""
        return asdict(self)


def check_fields(config: object, *at_least_one: str) -> None:
    """Refuse a named field below 1, and a value that is not in the ``Literal`` of its field.

    The ``ValueError`` names the field, what is allowed, and what was found.
    """
    for name in at_least_one:
        if getattr(config, name) < 1:
            raise ValueError(f"expected {name} of at least 1, found {getattr(config, name)}")
    for name, kind in get_type_hints(type(config)).items():
        found, choices = getattr(config, name, None), get_args(kind)
        if get_origin(kind) is Literal and found not in choices:
            raise ValueError(f"expected {name} to be one of {', '.join(choices)}, found {found!r}")


def refuse(conditions: Mapping[str, bool]) -> None:
    """Raise a ``ValueError`` with "expected" and the first of these messages that is true."""
    for message, wrong in conditions.items():
        if wrong:
            raise ValueError(f"expected {message}")


def digest(values: Mapping[str, Any]) -> str:
    """SHA-256 of plain values, hexadecimal; the order of keys does not matter.

    A ``ValueError`` if a number is NaN or infinite, which JSON cannot hold; a ``TypeError`` if a
    value is not plain (number, string, list, dictionary, None).
    """
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()

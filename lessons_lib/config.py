"""What all configurations share: made from a dictionary, turned into one, and hashed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self


@dataclass(frozen=True)
class Configuration:
    """Base of the frozen dataclasses that configure something. Unknown keys are errors."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The configuration in a dictionary.

        Raises:
            ValueError: a key is not a field; the message lists those that are.
        """
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ValueError(
                f"unknown key {', '.join(map(repr, unknown))} in a {cls.__name__}; "
                f"expected some of {', '.join(known)}"
            )
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain values; ``from_dict`` takes it back."""
        return asdict(self)


def digest(values: Mapping[str, Any]) -> str:
    """SHA-256 of plain values, hexadecimal; the order of keys does not matter.

    Raises:
        ValueError: a number is NaN or infinite, which JSON cannot hold.
        TypeError: a value is not plain (number, string, list, dictionary, None).
    """
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()

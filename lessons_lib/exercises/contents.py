"""What an answer holds: as a list where it comes one by one, and as a thing to be compared."""

from __future__ import annotations

import dataclasses
import itertools
from types import GeneratorType
from typing import Any

import numpy as np
import torch
from torch import nn

_MOST, _LAZY = (
    100_000,
    (GeneratorType, map, filter, zip, range, enumerate, reversed, itertools.chain),
)


def settled(value: Any) -> Any:
    """What a generator, a ``filter`` or the like gives, as a list; also within a list or tuple."""
    if type(value) in (list, tuple):
        return type(value)(_drawn(entry) for entry in value)
    return _drawn(value)


def _drawn(value: Any) -> Any:
    return list(itertools.islice(value, _MOST)) if isinstance(value, _LAZY) else value


def fingerprint(value: Any) -> Any:
    """Something plain that is equal for equal contents: of tensors, arrays, models, containers."""
    if isinstance(value, torch.Tensor):
        return "tensor", fingerprint(value.detach().cpu().numpy()), value.requires_grad
    if isinstance(value, np.ndarray):
        return "array", value.shape, value.dtype.str, value.tobytes()
    if isinstance(value, nn.Module):
        return value.training, fingerprint(value.state_dict())
    if isinstance(value, dict):
        return [(key, fingerprint(entry)) for key, entry in value.items()]
    if isinstance(value, list | tuple):
        return [fingerprint(entry) for entry in value]
    if dataclasses.is_dataclass(value):
        return [fingerprint(getattr(value, f.name)) for f in dataclasses.fields(value)]
    return value

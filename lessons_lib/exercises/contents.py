"""What an answer holds: numbers, a word, a list that comes one by one, a thing to be compared."""

import contextlib
import itertools
import pickle
from collections import deque
from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from types import GeneratorType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

Array = NDArray[np.float64]
Table = tuple[Any, Mapping[str, Any]]
"""The right answer of a case, and what it would be with each mistake.

What is costly may be a function without arguments; what a case does not define is left out.
"""
Cases = Mapping[str, tuple[Any, ...]]
"""Arguments by a name for messages."""
_MOST = 100_000
_LAZY = (GeneratorType, map, filter, zip, range, enumerate, reversed, itertools.chain)


class Wrong(Exception):  # noqa: N818 - it is a verdict, not a failure of the program
    """The answer is wrong: a key that names the likely mistake, and a sentence that explains it."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key, self.message = key, message


class NotAttempted(Exception):  # noqa: N818
    """There is no answer yet."""


def settled(value: Any) -> Any:
    """What a generator, a ``filter`` or the like gives, as a list; also within a list or tuple."""
    if type(value) in (list, tuple):
        return type(value)(_drawn(entry) for entry in value)
    return _drawn(value)


def _drawn(value: Any) -> Any:
    return list(itertools.islice(value, _MOST)) if isinstance(value, _LAZY) else value


def fingerprint(value: Any) -> bytes | None:
    """Bytes that change with the contents: of tensors, arrays, models, containers."""
    with contextlib.suppress(Exception):  # what an answer put there may not be stored
        return pickle.dumps(value)
    return None


def spoken(answer: Any, options: Iterable[str]) -> str:
    """A word of an answer: one of the options, however it is written or wrapped, else ``Wrong``."""
    while type(answer) in (list, tuple) and len(answer) == 1:
        answer = answer[0]
    if type(answer) is np.ndarray and answer.size == 1:
        answer = answer.item()
    listed = ", ".join(map(repr, options))
    if not isinstance(answer, str):
        raise Wrong("type", f"Expected one of {listed}, found {kind(answer)}.")
    word = str.strip(answer).lower()
    if word not in options:
        raise Wrong("no-such-option", f"Expected one of {listed}, found {word[:40]!r}.")
    return word


def numbers(value: Any, shape: tuple[int, ...] = (), *, finite: bool = True) -> Array:
    """An answer as an array of float64: from a number, list, tuple, NumPy array or tensor.

    Complex numbers count if their imaginary parts are 0; an object that merely behaves like a
    number does not. A single number, of shape ``()``, may come as a tensor of one entry. Raises
    ``Wrong`` for another type or shape, and for NaN or infinity if ``finite``.
    """
    if value is Ellipsis:
        raise NotAttempted
    found = np.asarray(_plain(value))
    if shape == () and found.size == 1:
        found = found.reshape(())
    if found.shape != shape:
        wanted = "one number" if shape == () else f"shape {shape}"
        swapped = " Are two axes swapped?" if sorted(found.shape) == sorted(shape) else ""
        raise Wrong("shape", f"Expected {wanted}, found shape {found.shape}.{swapped}")
    if (abs(found.imag) > 1e-9 * (1 + abs(found.real))).any():
        raise Wrong("complex", "Expected real numbers, found some with an imaginary part.")
    found = found.real.astype(np.float64)
    if finite and not np.isfinite(found).all():
        where = "for 0/0, for the logarithm of 0, and for a softmax in which everything is masked."
        raise Wrong("not-finite", f"Expected finite numbers, found NaN or infinity. Look {where}")
    return found


def _plain(value: Any, depth: int = 0) -> Any:
    """The complex numbers in nested lists, arrays and plain numbers, of exact types."""
    form = type(value)
    if value is Ellipsis:
        raise Wrong("unfinished", "There is still a `...` among the values.")
    if form in (torch.Tensor, nn.Parameter):
        return value.detach().cpu().to_dense().to(torch.complex128).numpy()
    if form.__name__ in ("Series", "Index", "DataFrame") and form.__module__.startswith("pandas."):
        value, form = value.to_numpy(), np.ndarray
    if form in (np.ndarray, np.matrix) and value.dtype == object:
        value, form = value.tolist(), list
    if form in (np.ndarray, np.matrix) or issubclass(form, np.number | np.bool_):
        if value.dtype.kind not in "fiubc":
            raise Wrong("type", f"Expected numbers, found an array of {value.dtype}.")
        return np.asarray(value, dtype=complex)
    if form in (int, float, bool, complex, Fraction, Decimal):
        try:
            return complex(value)
        except OverflowError:
            text = "Expected numbers below 1e308, found a larger one: use logarithms."
            raise Wrong("too-large", text) from None
    if form in (list, tuple, deque):
        if depth > 8:
            raise Wrong("shape", "Expected a table of numbers, found lists within lists.")
        parts = [_plain(entry, depth + 1) for entry in value]
        if len({np.shape(part) for part in parts}) > 1:
            raise Wrong("shape", "Expected entries of one shape, found different ones.")
        return np.array(parts)
    raise Wrong("type", f"Expected numbers, found {kind(value)}.")


def kind(value: Any) -> str:
    """What an object is, in words that its own methods cannot change."""
    return f"an object of type {type(value).__name__}"


def shares(values: Any, axis: int = -1) -> Array:
    """Values over their sum along an axis."""
    return np.asarray(values / np.sum(values, axis, keepdims=True))

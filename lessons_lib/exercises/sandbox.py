"""Run a student's function so that whatever it does ends in a sentence, not in a traceback.

This is a help for learners, not a guard against attackers: the code runs in this process, may use
as much memory as there is, and may change modules. What is caught: exceptions, endless loops,
floods of output, changed arguments. What the code does to the global random states is undone.
"""

from __future__ import annotations

import contextlib
import copy
import ctypes
import dataclasses
import dis
import inspect
import io
import linecache
import random
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any

import numpy as np
import torch
from torch import nn

FLOOD = 20_000
"""Characters of output after which a function is stopped."""
SHOWN = 1_000
"""Characters of output that are shown."""
_AGAIN = 0.02
"""Seconds between two attempts to stop code, whose own ``except`` may catch the first."""
_STUB = {"RESUME", "NOP", "LOAD_CONST", "RETURN_CONST", "RETURN_VALUE", "POP_TOP", "COPY_FREE_VARS"}


class Wrong(Exception):  # noqa: N818 - it is a verdict, not a failure of the program
    """The answer is wrong: a key that names the likely mistake, and a sentence that explains it."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key, self.message = key, message


class NotAttempted(Exception):  # noqa: N818
    """There is no answer yet."""


class OutOfTime(BaseException):
    """Raised inside code that takes too long; no ``Exception``, so that few handlers catch it."""


class Flood(BaseException):
    """Raised inside code that prints too much."""


def limited(work: Callable[[], Any], seconds: float) -> Any:
    """What ``work()`` returns, if it does so in time.

    In the main thread of a system with SIGALRM a timer interrupts the code, sleep and waiting
    included, and does so again and again. Elsewhere (Windows, other threads) a second thread asks
    the interpreter once to raise. Neither can interrupt one long call into compiled code, and code
    that catches everything, ``except:``, may hold out against the second.

    Raises:
        OutOfTime: it did not return in time.
    """
    main = threading.current_thread() is threading.main_thread()
    return (_by_alarm if main and hasattr(signal, "SIGALRM") else _by_thread)(work, seconds)


def _by_alarm(work: Callable[[], Any], seconds: float) -> Any:
    own, over = sys._getframe(), False

    def ring(_: int, frame: FrameType | None) -> None:
        if frame is not own and not over:  # never in the lines below, which put things back
            raise OutOfTime

    handler, started = signal.signal(signal.SIGALRM, ring), time.monotonic()
    before, interval = signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)
    try:
        return work()
    finally:
        over = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if before:  # somebody else's alarm, for example of a test runner
            left = max(before - (time.monotonic() - started), _AGAIN)
            signal.setitimer(signal.ITIMER_REAL, left, interval)


def _by_thread(work: Callable[[], Any], seconds: float) -> Any:
    worker = ctypes.c_ulong(threading.get_ident())
    lock, state = threading.Lock(), {"over": False, "rung": False}
    ask = ctypes.pythonapi.PyThreadState_SetAsyncExc

    def ring() -> None:
        with lock:
            if not state["over"]:
                state["rung"] = True
                ask(worker, ctypes.py_object(OutOfTime))

    timer = threading.Timer(seconds, ring)
    timer.daemon = True
    timer.start()
    try:
        return work()
    finally:
        with lock:
            state["over"] = True
            if state["rung"]:
                ask(worker, None)  # withdrawn, if it has not been raised yet
        timer.cancel()


class _Paper(io.StringIO):
    def write(self, text: str) -> int:
        written = super().write(text)
        if self.tell() > FLOOD:
            raise Flood
        return written


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Seed the global random states for the code within, and put them back after."""
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    grad, dtype = torch.is_grad_enabled(), torch.get_default_dtype()
    torch.default_generator.manual_seed(0)  # the CPU's only: no other device is touched
    np.random.seed(0)
    random.seed(0)
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])
        random.setstate(states[2])
        torch.set_grad_enabled(grad)
        torch.set_default_dtype(dtype)


class Student:
    """A student's function, to be called like a function; a call may raise ``Wrong``.

    Args:
        function: what the student wrote.
        call: how it is to be called, for messages: ``"road(a, length)"``.
        seconds: for all calls together.

    Attributes:
        printed: what it wrote, warnings included, cut.
    """

    def __init__(self, function: Callable[..., Any], call: str, seconds: float) -> None:
        self._function, self._call, self._left = function, call, seconds
        self._seconds, self.printed = seconds, ""

    def __call__(self, *arguments: Any) -> Any:
        """What the function returns for a copy of these arguments.

        Raises:
            Wrong: it cannot be called like this, raises, never ends, prints a flood, changes its
                arguments or returns nothing.
            NotAttempted: it is a stub.
        """
        if _is_stub(self._function):
            raise NotAttempted
        self._must_accept(arguments)
        given = copy.deepcopy(arguments)
        before = fingerprint(given)
        paper, started = _Paper(), time.monotonic()
        with (
            _undisturbed(),
            contextlib.redirect_stdout(paper),
            contextlib.redirect_stderr(paper),
            warnings.catch_warnings(record=True) as warned,
        ):
            warnings.simplefilter("always")
            try:
                value = limited(lambda: self._function(*given), self._left)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                raise self._diagnose(error) from None
            finally:
                text = paper.getvalue() + "".join(f"warning: {w.message}\n" for w in warned)
                self.printed = (self.printed + text)[:SHOWN]
                self._left -= time.monotonic() - started
        if fingerprint(given) != before:
            raise Wrong(
                "mutated",
                f"{self._call} changes its arguments. Whoever calls it still needs them: work on a "
                "copy, and look for `x[...] = `, `+=` and names that end in `_`.",
            )
        if value is Ellipsis:
            raise NotAttempted
        if value is None:
            raise Wrong("none", f"{self._call} returns nothing. Is there a `return`?")
        if inspect.iscoroutine(value):
            value.close()
        return value

    def _must_accept(self, arguments: tuple[Any, ...]) -> None:
        try:
            signature = inspect.signature(self._function)
        except Exception:  # some compiled functions do not tell
            return
        try:
            signature.bind(*arguments)
        except TypeError as error:
            raise Wrong(
                "signature",
                f"It is called as {self._call}, with {len(arguments)} arguments, and yours does "
                f"not take them: {error}.",
            ) from None

    def _diagnose(self, error: BaseException) -> Exception:
        where = self._line(error)
        if isinstance(error, OutOfTime):
            return Wrong(
                "timeout",
                f"{self._call} did not end within {self._seconds:g} s{where}. Is there a loop "
                "whose condition stays true?",
            )
        if isinstance(error, Flood):
            return Wrong(
                "flood",
                f"{self._call} prints more than {FLOOD} characters{where}. Take the print out of "
                "the loop.",
            )
        text = _text(error)
        unfinished = isinstance(error, TypeError) and "ellipsis" in text
        if isinstance(error, NotImplementedError) or unfinished:
            return NotAttempted()
        return Wrong("raised", f"{self._call} raises {type(error).__name__}: {text}{where}.")

    def _line(self, error: BaseException) -> str:
        """Where in the student's code it happened, or nothing where the code is not known."""
        code = _code(self._function)
        steps = list(traceback.walk_tb(error.__traceback__))
        mine = [n for frame, n in steps if code and frame.f_code.co_filename == code.co_filename]
        if not mine or code is None:
            return ""
        source = linecache.getline(code.co_filename, mine[-1]).strip()
        return f", at line {mine[-1]}" + (f": `{source}`" if source else "")


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


def _is_stub(function: Callable[..., Any]) -> bool:
    """Whether its body is ``...``, ``pass`` or a docstring and nothing else."""
    code = _code(function)
    if code is None:
        return False
    ops = list(dis.get_instructions(code))
    constants = {op.argval for op in ops if op.opname in ("LOAD_CONST", "RETURN_CONST")}
    return {op.opname for op in ops} <= _STUB and constants <= {None, Ellipsis}


def _code(function: Callable[..., Any]) -> CodeType | None:
    """The code that was written as this function; compiled ones and most objects have none."""
    try:
        found = inspect.unwrap(function).__code__
    except Exception:  # an answer may be an object with attributes of any kind
        return None
    return found if type(found) is CodeType else None


def _text(error: BaseException) -> str:
    try:
        return str(error)[:300]
    except Exception:  # a student's own exception class, with a faulty __str__
        return "(its message cannot be read)"

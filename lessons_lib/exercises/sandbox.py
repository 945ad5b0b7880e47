"""Run a student's function so that whatever it does ends in a sentence, not in a traceback.

This is a help for learners, not a guard against attackers: the code runs in this process and may
use as much memory as there is. What is caught: exceptions, endless loops, floods of output, changed
arguments, ``exit()``. What the code does to global states and to the functions of the libraries is
undone, and an answer is judged with the functions as they were when this module was imported.
"""

from __future__ import annotations

import builtins
import contextlib
import copy
import ctypes
import dis
import functools
import gc
import inspect
import io
import linecache
import os
import random
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from types import CodeType, FrameType, ModuleType
from typing import Any, NoReturn
from unittest import mock

import numpy as np
import torch
from torch import nn

from lessons_lib.exercises.contents import fingerprint, settled

FLOOD = 20_000
"""Characters of output after which a function is stopped."""
SHOWN = 1_000
"""Characters of output that are shown."""
DEEPEST = 10_000
"""Largest recursion limit that a function can set: beyond it the process may die."""
_AGAIN, _PATIENCE = 0.02, 5
"""Seconds between two attempts to stop code, and how many before its lines are traced."""
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


_EVENT = [ctypes.py_object] * 3
_RAISE_SOON = ctypes.PYFUNCTYPE(None, ctypes.c_ulong, ctypes.py_object, *_EVENT)(
    ("PyThreadState_SetAsyncExc", ctypes.pythonapi)
)
"""A trace function without any Python in it, which would itself be what is stopped: the three
arguments of a trace function are passed on, and ignored there."""


def limited(work: Callable[[], Any], seconds: float) -> Any:
    """What ``work()`` returns, if it does so in time.

    In the main thread of a system with SIGALRM an alarm interrupts the code again and again, sleep
    and waiting included. (The kernel's own interrupt comes once: ``except:`` in a loop survives
    it.) Code that catches even that is traced: each of its lines asks for an exception, which comes
    with the next call or jump, and the jump back of a loop lies outside of every ``try`` within it.
    Elsewhere (Windows, other threads) a second thread asks again and again: it cannot interrupt
    sleep, and code that catches everything may hold out for long. Nothing stops code that calls
    itself again wherever it is stopped, nor one long call into compiled code.

    Raises:
        OutOfTime: it did not return in time.
    """
    now, own, done, rung = time.monotonic, sys._getframe(), False, 0
    over, traced, worker = threading.Event(), sys.gettrace(), threading.get_ident()
    raise_soon = ctypes.pythonapi.PyThreadState_SetAsyncExc
    stop = functools.partial(_RAISE_SOON, worker, OutOfTime)

    def hold_on(frame: FrameType | None) -> None:
        sys.settrace(stop)
        while frame is not None and frame is not own:
            frame.f_trace, frame = stop, frame.f_back

    def ask() -> None:
        wait = seconds
        while not over.wait(wait):
            raise_soon(ctypes.c_ulong(worker), ctypes.py_object(OutOfTime))
            wait = _AGAIN

    def ring(_: int, frame: FrameType | None) -> None:
        nonlocal rung
        rung += 1
        if frame is own or done:  # never in the lines below, which put things back
            return
        if rung > _PATIENCE:
            hold_on(frame)
        raise OutOfTime

    alarm = threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGALRM")
    if alarm:
        handler, started = signal.signal(signal.SIGALRM, ring), now()
        before, interval = signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)
    else:
        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
    try:
        return work()
    finally:
        while True:  # once more if what was asked for last comes here
            try:
                done = True
                sys.settrace(traced)  # before any call of Python code, which would be stopped
                over.set()
                if alarm:
                    signal.setitimer(signal.ITIMER_REAL, 0)
                    signal.signal(signal.SIGALRM, handler)
                    if before:  # somebody else's alarm, for example of a test runner
                        left = max(before - (now() - started), _AGAIN)
                        signal.setitimer(signal.ITIMER_REAL, left, interval)
                else:
                    asking.join()
                raise_soon(ctypes.c_ulong(worker), None)  # withdrawn, if it is still to come
                break
            except OutOfTime:
                continue


class _Paper(io.StringIO):
    def write(self, text: str) -> int:
        room = FLOOD - self.tell()
        written = super().write(text[: max(room, 0)])
        if len(text) > room:
            raise Flood
        return written


_device: Callable[[], Any] = getattr(torch, "get_default_device", lambda: None)  # from torch 2.3 on


def _default_device(old: Any) -> None:
    if old is not None:  # to set the CPU would switch on a mode that is off without it
        torch.set_default_device(None if str(old) == "cpu" else old)


# Each state that an answer may leave behind: how it is read, and how it is put back.
_STATES: tuple[tuple[Callable[[], Any], Callable[[Any], Any]], ...] = (
    (torch.is_grad_enabled, torch.set_grad_enabled),
    (torch.get_default_dtype, torch.set_default_dtype),
    (torch.get_num_threads, torch.set_num_threads),
    (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
    (_device, _default_device),
    (np.geterr, lambda old: np.seterr(**old)),
    (np.get_printoptions, lambda old: np.set_printoptions(**old)),
    (sys.getrecursionlimit, sys.setrecursionlimit),
    (os.getcwd, os.chdir),
    (lambda: list(sys.path), lambda old: sys.path.__setitem__(slice(None), old)),
    (gc.isenabled, lambda old: gc.enable() if old else gc.disable()),
)
_DRAWS: tuple[tuple[Callable[[], Any], Callable[[Any], Any]], ...] = (
    (torch.get_rng_state, torch.set_rng_state),
    (np.random.get_state, np.random.set_state),
    (random.getstate, random.setstate),
)
_OURS = ("numpy", "scipy", "lessons_lib", "torch")
_MODULES = ("builtins", "math", "cmath", "random", "time", "itertools", "functools", "operator")
_DEEP = ("torch.nn", "torch.nn.functional", "torch.linalg", "torch.optim")


_Names = list[tuple[Any, dict[str, Any]]]
_PRISTINE: _Names = []
"""Functions and classes of the libraries that answers are judged with, as they were."""


def _kept(name: str) -> bool:
    if name.startswith("torch."):
        return name in _DEEP
    return name in _MODULES or (name.split(".")[0] in _OURS and name.count(".") < 2)


def remember_libraries() -> None:
    """Note the libraries as they are now, before anybody has answered: ``check`` calls it."""
    places: list[Any] = [m for name, m in sys.modules.items() if _kept(name)]
    ours = [m for name, m in sys.modules.items() if name.startswith("lessons_lib.")]
    classes = {v for m in ours for v in vars(m).values() if isinstance(v, type)}
    places += [torch.Tensor, nn.Linear]
    places += [c for c in classes if c.__module__[:4] in ("less", "torc")]
    _PRISTINE[:] = [
        (p, {k: v for k, v in vars(p).items() if callable(v) or isinstance(v, ModuleType)})
        for p in places
    ]


def _put_back(namespaces: _Names, *, all_of_them: bool = True) -> _Names:
    """Put names back, and say what stood there instead.

    With ``all_of_them`` a name that a class did not have is taken away: it hides an inherited one.
    """
    changed = []
    for place, own in namespaces:
        there = dict(vars(place))
        other = {k: there[k] for k, v in own.items() if k in there and there[k] is not v}
        for name in own:
            if there.get(name) is not own[name]:
                setattr(place, name, own[name])
        if all_of_them and isinstance(place, type):
            for name in there.keys() - own.keys():
                if callable(there[name]):
                    other[name] = there[name]
                    delattr(place, name)
        if other:
            changed.append((place, other))
    return changed


@contextlib.contextmanager
def _put_back_after(states: tuple[Any, ...]) -> Iterator[None]:
    old = [read() for read, _ in states]
    try:
        yield
    finally:
        for (read, write), value in zip(states, old, strict=True):
            with contextlib.suppress(Exception):  # such as a directory that is gone
                if states is _DRAWS or read() != value:
                    write(value)


@contextlib.contextmanager
def pristine() -> Iterator[None]:
    """Libraries and settings as a checker expects them; afterwards as they were before."""
    theirs = _put_back(_PRISTINE)
    with _put_back_after(_STATES):
        torch.set_default_dtype(torch.float32)
        torch.set_grad_enabled(True)
        if str(_device()) not in ("cpu", "None"):
            torch.set_default_device(None)
        np.seterr(divide="warn", over="warn", under="ignore", invalid="warn")
        try:
            yield
        finally:
            _put_back(_PRISTINE)
            _put_back(theirs, all_of_them=False)


def _leave(*_: Any, **__: Any) -> NoReturn:
    raise SystemExit("it asks Python to end")


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Seed the random states for the code within; undo what it does, and let it not end Python."""
    deeper, ipython = sys.setrecursionlimit, sys.modules.get("IPython")
    shell = ipython and ipython.get_ipython()
    with contextlib.ExitStack() as stack:
        stack.enter_context(_put_back_after(_STATES))
        stack.enter_context(_put_back_after(_DRAWS))
        stack.enter_context(mock.patch.dict(os.environ))
        torch.default_generator.manual_seed(0)  # the CPU's only: no other device is touched
        np.random.seed(0)
        random.seed(0)
        ends = [(builtins, "exit"), (builtins, "quit"), (os, "_exit"), (os, "abort")]
        ends += [(shell, "ask_exit")] if shell is not None else []
        for place, name in ends:
            stack.enter_context(mock.patch.object(place, name, _leave, create=True))
        capped = mock.patch.object(sys, "setrecursionlimit", lambda n: deeper(min(n, DEEPEST)))
        stack.enter_context(capped)
        stack.callback(_put_back, _PRISTINE)
        yield


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
                value = limited(lambda: settled(self._function(*given)), self._left)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                raise self._diagnose(error) from None
            finally:
                text = paper.getvalue() + "".join(f"warning: {w.message}\n" for w in warned)
                self.printed = (self.printed + text)[:SHOWN]
                self._left -= time.monotonic() - started
        if fingerprint(given) != before:
            text = "changes its arguments. Whoever calls it still needs them: work on a copy, and "
            look = "look for `x[...] = `, `+=` and names that end in `_`."
            raise Wrong("mutated", f"{self._call} {text}{look}")
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
            text = f"with {len(arguments)} arguments, and yours does not take them: {error}."
            raise Wrong("signature", f"It is called as {self._call}, {text}") from None

    def _diagnose(self, error: BaseException) -> Exception:
        where = self._line(error)
        if isinstance(error, OutOfTime):
            text = f"{self._call} did not end within {self._seconds:g} s{where}."
            return Wrong("timeout", f"{text} Is there a loop whose condition stays true?")
        if isinstance(error, Flood):
            text = f"{self._call} prints more than {FLOOD} characters{where}."
            return Wrong("flood", f"{text} Take the print out of the loop.")
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

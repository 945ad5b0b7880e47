"""Run a student's function so that whatever it does ends in a sentence, not in a traceback.

This is a help for learners, not a guard against attackers: the code runs in this process and may
use as much memory as there is. What is caught: exceptions, endless loops, floods of output, changed
arguments, ``exit()``. What the code does to global states and to the functions of the libraries is
undone, and an answer is judged with the functions as they were when ``check`` was imported.
"""

import builtins
import contextlib
import copy
import ctypes
import dis
import functools
import gc
import inspect
import io
import os
import random
import re
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

from lessons_lib.exercises.contents import NotAttempted, Wrong, fingerprint, settled

FLOOD, SHOWN, DEEPEST = 20_000, 1_000, 10_000
"""Characters after which a function is stopped, and that are shown; largest recursion limit that it
can set: beyond it the process may die."""
_AGAIN, _PATIENCE = 0.02, 5
"""Seconds between two attempts to stop code, and how many before its lines are traced."""
_SIGNAL: Any = getattr(signal, "SIGURG", None)  # by default ignored: a late one does no harm
_STUB = {"RESUME", "NOP", "LOAD_CONST", "RETURN_CONST", "RETURN_VALUE", "POP_TOP", "COPY_FREE_VARS"}


class OutOfTime(BaseException):
    """Raised inside code that takes too long; no ``Exception``, so that few handlers catch it."""


class Flood(BaseException):
    """Raised inside code that prints too much."""


_RAISE_SOON = ctypes.PYFUNCTYPE(None, ctypes.c_ulong, ctypes.py_object, *[ctypes.py_object] * 3)(
    ("PyThreadState_SetAsyncExc", ctypes.pythonapi)
)
"""A trace function without any Python in it, which would itself be what is stopped: the three
arguments of a trace function are passed on, and ignored there."""


def limited(work: Callable[[], Any], seconds: float) -> Any:
    """What ``work()`` returns, or ``OutOfTime``, which is raised in it.

    A second thread asks for the exception again and again, in the main thread by a signal, which
    ends sleep, too. Code that catches even that is traced: each of its lines asks, the exception
    comes with the next call or jump, and the jump back of a loop lies outside of every ``try``
    within it. Without signals (Windows, other threads) sleep goes on, and code that catches all may
    hold out for long. Nothing stops code that calls itself where it is stopped, nor compiled code.
    """
    own, worker, working, rung = sys._getframe(), threading.get_ident(), False, 0
    asked = False  # and not answered: on a slow machine rings would ring within rings
    over, traced = threading.Event(), sys.gettrace()
    raise_soon = ctypes.pythonapi.PyThreadState_SetAsyncExc
    stop = functools.partial(_RAISE_SOON, worker, OutOfTime)
    main = _SIGNAL is not None and threading.current_thread() is threading.main_thread()

    def ask() -> None:
        nonlocal asked
        over.wait(seconds)
        while not over.wait(_AGAIN):
            if working and main and not asked:
                asked = True
                signal.pthread_kill(worker, _SIGNAL)
            elif working and not main:
                raise_soon(ctypes.c_ulong(worker), ctypes.py_object(OutOfTime))

    def ring(_: int, frame: FrameType | None) -> None:
        nonlocal rung, asked
        asked = False
        # Never in the lines below, which put things back, and not within itself.
        if not working or frame is own or (frame and frame.f_code is ring.__code__):
            return
        rung += 1
        if rung > _PATIENCE:
            sys.settrace(stop)
            while frame is not None and frame is not own:
                frame.f_trace, frame = stop, frame.f_back
        raise OutOfTime

    handler = signal.signal(_SIGNAL, ring) if main else None
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    try:
        working = True
        return work()
    finally:
        while True:  # once more if what was asked for last comes here
            try:
                working = False
                sys.settrace(traced)  # before any call of Python code, which would be stopped
                over.set()
                asking.join()
                if main:
                    signal.signal(_SIGNAL, handler)
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


# Each state that an answer may leave behind: how it is read, and how it is put back.
_STATES: tuple[tuple[Callable[[], Any], Callable[[Any], Any]], ...] = (
    (torch.is_grad_enabled, torch.set_grad_enabled),
    (torch.get_default_dtype, torch.set_default_dtype),
    (torch.get_num_threads, torch.set_num_threads),
    (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
    # To set the CPU would switch on a mode that is off without it.
    (torch.get_default_device, lambda d: torch.set_default_device(None if str(d) == "cpu" else d)),
    (np.geterr, lambda old: np.seterr(**old)),
    (np.get_printoptions, lambda old: np.set_printoptions(**old)),
    (sys.getrecursionlimit, sys.setrecursionlimit),
    (os.getcwd, os.chdir),
    (lambda: list(sys.path), lambda old: sys.path.__setitem__(slice(None), old)),
    (gc.isenabled, lambda old: gc.enable() if old else gc.disable()),
    (torch.get_rng_state, torch.set_rng_state),
    (np.random.get_state, np.random.set_state),
    (random.getstate, random.setstate),
)


_KEPT = re.compile(
    r"(numpy|scipy|lessons_lib)(\.\w+)?|torch(\.nn|\.nn\.functional|\.linalg|\.optim)?|builtins"
    r"|math|cmath|random|time|itertools|functools|operator"
)
_Names = list[tuple[Any, dict[str, Any]]]
_PRISTINE: _Names = []
"""Functions and classes of the libraries that answers are judged with, as they were."""


def remember_libraries() -> None:
    """Note the libraries as they are now, before anybody has answered: ``check`` calls it."""
    places: list[Any] = [m for name, m in sys.modules.items() if _KEPT.fullmatch(name)]
    ours = [m for name, m in sys.modules.items() if name.startswith("lessons_lib.")]
    classes = {v for m in ours for v in vars(m).values() if isinstance(v, type)}
    places += [torch.Tensor, nn.Linear]
    places += [c for c in classes if c.__module__.startswith(("lessons_lib", "torch"))]
    _PRISTINE[:] = _names(places)


def _names(places: list[Any]) -> _Names:
    return [
        (p, {k: v for k, v in vars(p).items() if callable(v) or isinstance(v, ModuleType)})
        for p in places
    ]


def _put_back(names: _Names) -> None:
    for place, own in names:
        there = dict(vars(place))
        for name in there.keys() - own.keys():
            if isinstance(place, type) and callable(there[name]):  # it hides an inherited one
                delattr(place, name)
        for name, value in own.items():
            if there.get(name) is not value:
                setattr(place, name, value)


@contextlib.contextmanager
def _restored(names: _Names) -> Iterator[None]:
    """Afterwards the libraries have these names, and all states are as they were before."""
    old = [read() for read, _ in _STATES]
    try:
        yield
    finally:
        _put_back(names)
        for (_, write), value in zip(_STATES, old, strict=True):
            with contextlib.suppress(Exception):  # such as a directory that is gone
                write(value)


@contextlib.contextmanager
def pristine() -> Iterator[None]:
    """Libraries and settings as a checker expects them; afterwards as they were before."""
    with _restored(_names([place for place, _ in _PRISTINE])):
        _put_back(_PRISTINE)
        torch.set_default_dtype(torch.float32)
        torch.set_grad_enabled(True)
        torch.set_default_device(None)
        np.seterr(divide="warn", over="warn", under="ignore", invalid="warn")
        yield


def _leave(*_: Any, **__: Any) -> NoReturn:
    raise SystemExit("it asks Python to end")


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Seed the random states for the code within; undo what it does, and let it not end Python."""
    deeper, ipython = sys.setrecursionlimit, sys.modules.get("IPython")
    shell = ipython and ipython.get_ipython()
    with (
        mock.patch.dict(os.environ),
        mock.patch.object(sys, "setrecursionlimit", lambda n: deeper(min(n, DEEPEST))),
        mock.patch.multiple(builtins, create=True, exit=_leave, quit=_leave),
        mock.patch.multiple(os, _exit=_leave, abort=_leave),
        mock.patch.multiple(shell, ask_exit=_leave) if shell else contextlib.nullcontext(),
        _restored(_PRISTINE),  # first of all: what puts back the rest needs the libraries
    ):
        torch.default_generator.manual_seed(0)  # the CPU's only: no other device is touched
        np.random.seed(0)
        random.seed(0)
        yield


class Student:
    """A student's function, to be called like a function; ``printed`` is what it wrote, cut.

    ``call`` is how, for messages: ``"road(a, length)"``; ``seconds`` are for all calls together.
    """

    def __init__(self, function: Callable[..., Any], call: str, seconds: float) -> None:
        self._function, self._call, self._code, self.printed = function, call, None, ""
        self._seconds = self._left = seconds
        with contextlib.suppress(Exception):  # it may be compiled, or an object of any kind
            code = inspect.unwrap(function).__code__
            self._code = code if type(code) is CodeType else None

    def __call__(self, *arguments: Any) -> Any:
        """What the function returns for a copy of these arguments.

        ``Wrong`` if it cannot be called like this, raises, never ends, prints a flood, changes its
        arguments or returns nothing; ``NotAttempted`` if its body is ``...``, ``pass`` or words.
        """
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
            text = "Whoever calls it still needs them: work on a copy, and look for `x[...] = `, "
            text += "`+=` and names that end in `_`."
            raise Wrong("mutated", f"{self._call} changes its arguments. {text}")
        steps = {s.opname for s in dis.get_instructions(self._code)} if self._code else {""}
        if value is Ellipsis or (value is None and steps <= _STUB):
            raise NotAttempted
        if value is None:
            raise Wrong("none", f"{self._call} returns nothing. Is there a `return`?")
        if inspect.iscoroutine(value):
            value.close()
        return value

    def _must_accept(self, arguments: tuple[Any, ...]) -> None:
        try:
            inspect.signature(self._function).bind(*arguments)
        except TypeError as error:
            text = f"with {len(arguments)} arguments, and yours does not take them: {error}."
            raise Wrong("signature", f"It is called as {self._call}, {text}") from None
        except Exception:  # some compiled functions do not tell
            return

    def _diagnose(self, error: BaseException) -> Exception:
        where = self._line(error)
        if isinstance(error, OutOfTime):
            text = f"{self._call} did not end within {self._seconds:g} s{where}."
            return Wrong("timeout", f"{text} Is there a loop whose condition stays true?")
        if isinstance(error, Flood):
            text = f"{self._call} prints more than {FLOOD} characters{where}."
            return Wrong("flood", f"{text} Take the print out of the loop.")
        text = "(its message cannot be read)"
        with contextlib.suppress(Exception):  # a student's own class, with a faulty __str__
            text = str(error)[:300]
        if isinstance(error, NotImplementedError) or (
            type(error) is TypeError and "ellipsis" in text
        ):
            return NotAttempted()
        return Wrong("raised", f"{self._call} raises {type(error).__name__}: {text}{where}.")

    def _line(self, error: BaseException) -> str:
        """Where in the student's code it happened, or nothing where the code is not known."""
        file = self._code.co_filename if self._code else None
        mine = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
        if not mine:
            return ""
        return f", at line {mine[-1].lineno}" + (f": `{mine[-1].line}`" if mine[-1].line else "")

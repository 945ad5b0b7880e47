"""Run a submission in one process and judge it in another.

Otter-grader runs answers and tests in one kernel: an endless loop costs every point, and whoever
replaces ``torch.allclose`` passes. This plugin takes the submission's code out of the notebook. A
process apart runs it (this file as a script), cell by cell and call by call, each with a limit. The
tests see stand-ins of the same names that send arguments there and bring plain data back, in new
tensors, arrays and numbers. So nothing that a submission defines, replaces or returns is run beside
the tests, and a cell or an answer that does not end costs what it was to give, and no more.

It is no sandbox: a submission can still read and write files, and use the network.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

Message = dict[str, Any]
START = 600
"""Seconds in which the process has to be there: it imports PyTorch."""
IDLE = 10
"""A limit counts the processor's time, so that a busy computer costs no points; what waits for
something, and computes nothing, may take this many times as long."""
ABSENT = "it is not defined"
AUTOGRAD = {
    "run_backward",
    "_enter_dual_level",
    "_grad_increment_nesting",
    "_jvp_increment_nesting",
}
"""What every kind of automatic differentiation in PyTorch calls, under whatever name it is used."""


class AnswerError(AssertionError):
    """An answer that cannot be judged, and why."""


def encode(value: Any) -> Any:
    """Data as JSON can hold them; ``decode`` makes new objects of the same types and values.

    Raises:
        TypeError: it is, or holds, something that is no data.
    """
    import numpy as np
    import torch

    if isinstance(value, torch.Tensor):
        flat = value.detach().cpu().flatten().tolist()
        return {"tensor": flat, "shape": list(value.shape), "dtype": str(value.dtype)[6:]}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufU":
        return {"array": value.ravel().tolist(), "shape": value.shape, "dtype": value.dtype.str}
    if isinstance(value, np.generic):
        return encode(value.item())
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [encode(one) for one in value]}
    if isinstance(value, dict):
        return {"dict": [[encode(key), encode(one)] for key, one in value.items()]}
    raise TypeError(f"expected numbers, words, tensors or arrays, found {type(value).__name__}")


def decode(message: Any) -> Any:
    """What ``encode`` was given."""
    import numpy as np
    import torch

    if not isinstance(message, dict):
        return message
    ((kind, content), *more) = message.items()
    about = dict(more)
    if kind == "tensor":
        return torch.tensor(content, dtype=getattr(torch, about["dtype"])).reshape(about["shape"])
    if kind == "array":
        return np.array(content, dtype=about["dtype"]).reshape(about["shape"])
    if kind == "dict":
        return {decode(key): decode(one) for key, one in content}
    return (list if kind == "list" else tuple)(decode(one) for one in content)


# The side of the tests ---------------------------------------------------------------------------


class Submission:
    """The code of a submission in its process, started again whenever it is lost.

    Args:
        cells: source of its code cells, in order. One that does not end, or ends the process, is
            left out from then on; one with an error is left where the error was.
        seconds: of the processor's time, for all calls of one name together; three times as much
            for each cell.
    """

    def __init__(self, cells: list[str], seconds: float) -> None:
        self.cells, self.seconds = cells, seconds
        self.lost: dict[int, str] = {}
        self.left: dict[str, float] = {}
        self.used = 0.0
        self.process: subprocess.Popen[bytes] | None = None
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.start()

    def start(self) -> None:
        """Run all cells but the lost ones in a new process."""
        while self.process is None:
            command = [sys.executable, "-P", str(Path(__file__).resolve())]
            self.process = subprocess.Popen(
                command,
                cwd=self.folder.name,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            self.replies: queue.Queue[bytes] = queue.Queue()
            arguments = (self.process, self.replies)
            threading.Thread(target=self.listen, args=arguments, daemon=True).start()
            self.ask({}, START)
            for number, source in enumerate(self.cells):
                if number not in self.lost:
                    try:
                        self.ask({"cell": source}, 3 * self.seconds)  # it may import
                    except AnswerError as error:
                        self.lost[number] = str(error)
                        break

    @staticmethod
    def listen(process: subprocess.Popen[bytes], replies: queue.Queue[bytes]) -> None:
        """Pass replies on, and an empty one at the end."""
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                replies.put(line)
        replies.put(b"")

    def ask(self, message: Message, seconds: float) -> Message:
        """Send a message and wait for the answer.

        Raises:
            AnswerError: there is none in time, or the process has ended; it is gone then.
        """
        assert self.process is not None and self.process.stdin is not None
        import psutil

        reply, clock = None, psutil.Process(self.process.pid)
        begin, spent = time.monotonic(), sum(clock.cpu_times())
        with contextlib.suppress(OSError):
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()
        while reply is None:
            try:
                reply = self.replies.get(timeout=0.2)
            except queue.Empty:
                with contextlib.suppress(psutil.Error):  # it has just ended
                    self.used = sum(clock.cpu_times()) - spent
                if self.used > seconds or time.monotonic() - begin > IDLE * seconds:
                    self.stop()
                    raise AnswerError(f"no end within {seconds:.0f} s") from None
        if not reply:
            self.stop()
            raise AnswerError("it ended the process that ran it")
        return dict(json.loads(reply))

    def stop(self) -> None:
        """End the process, and on POSIX those that it started."""
        assert self.process is not None and self.process.stdin is not None
        with contextlib.suppress(OSError):  # it may have ended by itself
            if os.name == "posix":
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.kill()
        self.process.wait()
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        self.process = None

    def call(self, name: str, forbidden: list[str], arguments: tuple[Any, ...]) -> Any:
        """What a function of the submission returns.

        Raises:
            AnswerError: it raised, did not end, or used what is forbidden (see ``Watch``).
        """
        left = self.left.setdefault(name, self.seconds)
        if left <= 0:
            raise AnswerError(f"{name}: no end within {self.seconds:g} s")
        self.start()
        self.used = 0.0
        sent = {"call": name, "arguments": encode(list(arguments)), "forbidden": forbidden}
        try:
            reply = self.ask(sent, left)
        except AnswerError as error:
            self.left[name] = 0  # the next test need not wait as long again
            raise AnswerError(f"{name}: {error}") from None
        self.left[name] = left - self.used
        if "error" in reply:
            lost = "; ".join(dict.fromkeys(self.lost.values()))
            because = f" (a cell was left out: {lost})" if lost and reply["error"] == ABSENT else ""
            raise AnswerError(f"{name}: {reply['error']}{because}")
        return decode(reply["value"])


def answers(cells: list[str], settings: Message) -> Message:
    """Stand-ins for the names that the tests ask for, of those that the submission has.

    Args:
        cells: source of its code cells.
        settings: ``seconds``, see ``Submission``; ``functions``, with what each may not use;
            ``values``, names of other answers.
    """
    submission = Submission(cells, settings["seconds"])

    def stand_in(name: str, forbidden: list[str]) -> Any:
        return lambda *arguments: submission.call(name, forbidden, arguments)

    found: Message = {
        name: stand_in(name, forbidden) for name, forbidden in settings["functions"].items()
    }
    for name in settings["values"]:
        with contextlib.suppress(AnswerError):  # the tests of its question will miss the name
            found[name] = submission.call(name, [], ())
    return found


class Isolated:
    """The plugin: what is left of a notebook is one cell that makes the stand-ins."""

    def __init__(self, path: str, about: Message, settings: Message) -> None:
        self.settings = settings

    def before_execution(self, submission: Any) -> Any:
        import nbformat

        cells = [cell.source for cell in submission.cells if cell.cell_type == "code"]
        source = (
            "try:\n"
            "    import isolation\n"
            f"    globals().update(isolation.answers({cells!r}, {self.settings!r}))\n"
            "except BaseException:\n"  # no fault of the submission: better no points than zero
            "    import os\n"
            "    os._exit(1)\n"
        )
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        return nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(source)], metadata={"kernelspec": kernel}
        )

    def __getattr__(self, event: str) -> Any:
        from otter.plugins import PluginEventNotSupportedException

        def unsupported(*arguments: Any, **options: Any) -> None:
            raise PluginEventNotSupportedException

        return unsupported


# The side of the submission ----------------------------------------------------------------------


class Watch:
    """Notes what a call does: automatic differentiation, and functions of packages.

    Args:
        forbidden: ``"autograd"`` and names of packages.
    """

    def __init__(self, forbidden: list[str]) -> None:
        self.forbidden, self.used = forbidden, ""

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "c_call" and getattr(argument, "__name__", "") in AUTOGRAD:
            self.note("autograd")
        elif event == "call" and frame.f_code.co_name != "<module>":  # an import is no use
            self.note(str(frame.f_globals.get("__name__", "")).split(".")[0])

    def note(self, name: str) -> None:
        if name in self.forbidden:
            self.used = name

    def run(self, function: Any, arguments: list[Any]) -> Any:
        """Call it; raises ``AnswerError`` if it used what is forbidden."""
        if not self.forbidden:
            return function(*arguments)
        threading.setprofile(self)
        sys.setprofile(self)
        try:
            return function(*arguments)
        finally:
            off = sys.getprofile() is not self
            sys.setprofile(None)
            threading.setprofile(None)
            if off or self.used:
                used = self.used or "what hides it"
                raise AnswerError(f"it uses {used}, which its question forbids")


def serve() -> None:
    """Do what arrives, line by line, until nothing can arrive any more."""
    from unittest.mock import MagicMock

    orders, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)  # what the submission prints, and what it wants to read
    os.environ["MPLBACKEND"] = "Agg"
    inbox: queue.Queue[bytes] = queue.Queue()

    def receive() -> None:
        for line in orders:
            inbox.put(line)
        os._exit(0)  # also out of an endless loop

    threading.Thread(target=receive, daemon=True).start()

    import torch  # noqa: F401  here, so that it is not counted as time of the first cell
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    class Shell(InteractiveShell):
        def enable_gui(self, gui: str | None = None) -> None:
            """For ``%matplotlib inline``, which would end a cell here."""

    quiet = Config({"HistoryManager": {"enabled": False}})
    shell: Any = Shell.instance(config=quiet)
    sys.modules["otter"] = MagicMock()  # `grader.check` has nothing to do here

    def reply(message: Message) -> str:
        if "cell" in message:
            shell.run_cell(message["cell"], silent=True)
        if "call" not in message:
            return "{}"
        try:
            name = message["call"]
            if name not in shell.user_ns:
                raise AnswerError(ABSENT)
            value = shell.user_ns[name]
            if callable(value):
                value = Watch(message["forbidden"]).run(value, decode(message["arguments"]))
            return json.dumps({"value": encode(value)})
        except BaseException as error:
            text = f"{type(error).__name__}: {error}".removeprefix("AnswerError: ")
            return json.dumps({"error": text.splitlines()[0]})

    while True:
        replies.write(reply(json.loads(inbox.get())).encode() + b"\n")
        replies.flush()


if __name__ == "__main__":
    serve()

"""Signals as a request to stop: Ctrl-C, and those by which clusters and terminals end a program.
What a program says to nobody ends no run.
"""

import contextlib
import errno
import io
import os
import signal
import sys
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any, TextIO, cast

from absl import flags

_ALWAYS = (signal.SIGINT, signal.SIGTERM)
_SIGNALS = {name.removeprefix("SIG"): number for name, number in signal.Signals.__members__.items()}
_UNSTOPPABLE = {"KILL", "STOP"}


def define() -> None:
    """Defines the flag that names further signals."""
    flags.DEFINE_list(
        "stop_signals",
        ["HUP", "USR1"],
        "signals that save and stop, as SIGTERM and Ctrl-C do: a terminal that closes, a cluster "
        "that is about to take the machine away",
    )


def named() -> list[signal.Signals]:
    """Returns the signals that the flag names; raises ValueError where there is none of a name."""
    names = [name.strip().upper().removeprefix("SIG") for name in flags.FLAGS.stop_signals]
    for name in names:
        if name not in _SIGNALS or name in _UNSTOPPABLE:
            raise ValueError(f"--stop_signals: a program cannot wait for a signal {name!r}")
    return [_SIGNALS[name] for name in names]


class Interrupts:
    """Turns signals into a request that the loop asks for; a second one of Ctrl-C or SIGTERM stops
    at once.

    A further signal that is ignored when the program starts, as `nohup` has it with SIGHUP, stays
    ignored. A pipe that nobody reads any more is a request, too. A terminal that is gone is none:
    SIGHUP says whether the program shall end with it.

    Args:
      further: signals beside SIGINT and SIGTERM.
      reply: what is said to the first.
    """

    def __init__(
        self,
        further: Iterable[signal.Signals],
        reply: str = "stopping after this step; the run is saved and can be continued",
    ) -> None:
        self.by_keyboard, self._reply = False, reply
        self._requested = False
        self._numbers = [
            number
            for number in dict.fromkeys([*_ALWAYS, *further])
            if number in _ALWAYS or signal.getsignal(number) != signal.SIG_IGN
        ]

    def requested(self) -> bool:
        return self._requested

    def __enter__(self) -> "Interrupts":
        for number in self._numbers:
            signal.signal(number, self._request)
        self._streams = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = (_outlet(stream, self._unread) for stream in self._streams)
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdout, sys.stderr = self._streams
        for number in self._numbers:
            signal.signal(number, signal.SIG_DFL)

    def _request(self, number: int, frame: FrameType | None) -> None:
        already, self._requested = self._requested, True
        self.by_keyboard = self.by_keyboard or number == signal.SIGINT
        if number in _ALWAYS:  # others may come more often, before the time is over
            signal.signal(number, signal.SIG_DFL)
        if not already:
            begin = "\n" if os.isatty(2) else ""  # below the bar
            with contextlib.suppress(OSError):
                # Not through `sys.stderr`, in which this may have come amid a line.
                os.write(2, f"{begin}{self._reply}\n".encode())

    def _unread(self, error: int) -> None:
        self._requested = self._requested or error == errno.EPIPE


class _Outlet(io.FileIO):
    """Standard output or error, whose other end may go away: what is said then goes nowhere.

    Args:
      descriptor: of the open file.
      gone: called with the error's number where there is nobody to say it to.
    """

    def __init__(self, descriptor: int, gone: Callable[[int], None]) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._gone = gone

    def write(self, data: Any) -> int:
        """Writes bytes; returns how many."""
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in (errno.EIO, errno.EPIPE):
                raise
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            self._gone(error.errno)
            return super().write(data)


def _outlet(stream: TextIO, gone: Callable[[int], None]) -> TextIO:
    """Returns a stream to the same file, encoded and buffered alike."""
    text = cast(io.TextIOWrapper, stream)
    return io.TextIOWrapper(
        io.BufferedWriter(_Outlet(text.fileno(), gone)),
        text.encoding,
        text.errors,
        line_buffering=text.line_buffering,
        write_through=text.write_through,
    )

"""Signals as a request to stop: Ctrl-C, and those by which clusters and terminals end a program."""

import os
import signal
import sys
from collections.abc import Iterable
from types import FrameType

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

    A signal that is ignored when the program starts, as `nohup` has it with SIGHUP, stays ignored.

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
        self._terminals = [descriptor for descriptor in (1, 2) if os.isatty(descriptor)]

    def requested(self) -> bool:
        return self._requested

    def __enter__(self) -> "Interrupts":
        for number in self._numbers:
            signal.signal(number, self._request)
        return self

    def __exit__(self, *_: object) -> None:
        for number in self._numbers:
            signal.signal(number, signal.SIG_DFL)

    def _request(self, number: int, frame: FrameType | None) -> None:
        already, self._requested = self._requested, True
        self.by_keyboard = self.by_keyboard or number == signal.SIGINT
        if number in _ALWAYS:  # others may come more often, before the time is over
            signal.signal(number, signal.SIG_DFL)
        if number == signal.SIGHUP:  # to write to a terminal that is gone is an error
            for descriptor in self._terminals:
                os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
        if not already:
            begin = "\n" if sys.stderr.isatty() else ""  # below the bar
            print(begin, self._reply, sep="", file=sys.stderr, flush=True)

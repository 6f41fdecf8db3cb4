"""Ctrl-C and SIGTERM as a request to stop."""

import signal
import sys
from types import FrameType


class Interrupts:
    """Turns SIGINT and SIGTERM into a request that the loop asks for; a second Ctrl-C stops at
    once.

    Args:
      reply: what is said to the first.
    """

    def __init__(
        self, reply: str = "stopping after this step; the run is saved and can be continued"
    ) -> None:
        self.by_keyboard, self._reply = False, reply
        self._requested = False

    def requested(self) -> bool:
        return self._requested

    def __enter__(self) -> "Interrupts":
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._request)
        return self

    def __exit__(self, *_: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)

    def _request(self, number: int, frame: FrameType | None) -> None:
        self._requested = True
        self.by_keyboard = number == signal.SIGINT
        signal.signal(number, signal.SIG_DFL)
        # Below the bar.
        print("\n" if sys.stderr.isatty() else "", self._reply, sep="", file=sys.stderr, flush=True)

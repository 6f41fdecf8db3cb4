"""A line that a terminal shows for as long as something takes, and a log does not."""

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def notice(text: str) -> Iterator[None]:
    """Shows the text on standard error, and takes it away again."""
    shown = sys.stderr.isatty()
    if shown:
        print(text, end="", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        if shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

"""How processes of ours begin, share memory among their threads, and end."""

import atexit
import contextlib
import ctypes
import os
import sys
import threading
from typing import NoReturn

_M_ARENA_MAX, _ARENAS = -8, 4  # glibc's malloc.h


def import_path() -> str:
    """Returns the PYTHONPATH of a process that is to find every module that this one finds."""
    return os.pathsep.join(path or os.getcwd() for path in sys.path)


def share_memory() -> None:
    """Lets all threads share four of the allocator's arenas, where it is glibc's.

    It makes up to eight per core otherwise. What a thread has freed then serves none that uses
    another arena, and a run holds a quarter more memory. With a single arena threads wait for it.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):  # another system's, or allocator
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)


def end(code: object) -> NoReturn:
    """Ends the process as `sys.exit` does, also while threads run that are not ours: an
    environment's, say, which nobody ends.
    """
    main = threading.main_thread()
    others = [each for each in threading.enumerate() if each is not main and not each.daemon]
    if not others:
        sys.exit(code)  # type: ignore[arg-type]
    # The interpreter would wait for them.
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)

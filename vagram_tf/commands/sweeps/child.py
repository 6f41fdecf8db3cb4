"""`train` in a process that ends with the one that has started it.

    python -m vagram_tf.commands.sweeps.child <process id of the parent> --config=... --workdir=...

A worker that is killed must not leave a run behind that holds the directory in which another worker
continues it.
"""

import ctypes
import os
import signal
import sys

from vagram_tf.commands import train

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def end_with(parent: int) -> None:
    """Lets this process end when its parent, of that process id, does (on Linux); ends it if the
    parent has.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)


def main() -> None:
    end_with(int(sys.argv.pop(1)))
    train.main()


if __name__ == "__main__":
    main()

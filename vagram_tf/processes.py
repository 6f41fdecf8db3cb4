"""How processes of ours begin and end."""

import atexit
import os
import sys
import threading
from typing import NoReturn


def import_path() -> str:
    """Returns the PYTHONPATH of a process that is to find every module that this one finds."""
    return os.pathsep.join(path or os.getcwd() for path in sys.path)


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

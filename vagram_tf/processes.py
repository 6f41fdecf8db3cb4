"""How a process of ours ends."""

import atexit
import os
import sys
import threading
from typing import NoReturn


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

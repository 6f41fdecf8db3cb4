"""A quiet start: TensorFlow, gym and AutoGraph print notices on import that say nothing to a user.

Notices are dropped by name; whatever else is printed meanwhile still shows.
"""

import os
import re
import sys
import tempfile
import warnings

import absl.logging

_NOTICES = re.compile(
    r"^WARNING: All log messages before absl::InitializeLog|cudart_stub\.cc|cuda_platform\.cc.*cuInit"
    r"|Gym has been unmaintained since|^Please upgrade to Gymnasium|^See the migration guide at https://gymnasium")


def load_tensorflow(threads: int) -> None:
    """Imports TensorFlow and TF-Agents and finds the devices, without their notices.

    Args:
      threads: that an operation is split over. Matrix products add up in an order that depends on it, so it is part
        of a run's configuration and not left to the number of cores.
    """
    # TF-Agents' sources, as AutoGraph rewrites them, compare with literals.
    warnings.filterwarnings("ignore", message='"is( not)?" with', category=SyntaxWarning)
    absl.logging.set_verbosity(absl.logging.WARNING)  # TensorFlow reports every file it saves at level INFO
    sys.stderr.flush()
    stderr = os.dup(2)  # the notices come from C++ and from Python
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            import tensorflow as tf
            import tf_agents.environments  # noqa: F401

            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.list_logical_devices()
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            captured.seek(0)
            text = captured.read().decode(errors="replace")
            lines = [line for line in text.splitlines(keepends=True) if not _NOTICES.search(line)]
            sys.stderr.write("".join(lines) if "".join(lines).strip() else "")

"""A quiet start: TensorFlow, gym and AutoGraph print notices on import that say nothing to a user.

Notices are dropped by name; whatever else is printed meanwhile still shows.
"""

import logging
import os
import re
import sys
import tempfile
import warnings

import absl.logging

from vagram_tf import processes

_THREADS = "TF_NUM_INTRAOP_THREADS"  # which TensorFlow reads when it starts

_NOTICES = re.compile(
    r"^WARNING: All log messages before "
    r"absl::InitializeLog|cudart_stub\.cc|cuda_platform\.cc.*cuInit"
    r"|Gym has been unmaintained since|^Please upgrade to Gymnasium|^See the migration guide at https://gymnasium"
)


def announce_threads(threads: int) -> None:
    """Sets the number of threads of `set_threads` for a TensorFlow that somebody else starts: an
    environment that computes with it, say. TensorFlow is not imported.
    """
    os.environ[_THREADS] = str(threads)


def set_threads(threads: int) -> None:
    """Sets how many threads an operation is split over, and warns where TensorFlow has started with
    another number.

    Matrix products add up in an order that depends on it, so it is part of a run's configuration
    and not left to the number of cores. Only a process whose TensorFlow has not started can change
    it.
    """
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
    except RuntimeError:
        started = tf.config.threading.get_intra_op_parallelism_threads()
        started = started or int(os.environ.get(_THREADS, 0))
        if started != threads:
            logging.warning(
                "TensorFlow has started with %s threads an operation, and not with threads=%d: "
                "the last bits of this "
                "run may differ from those of the same run elsewhere",
                started or "all",
                threads,
            )


def load_tensorflow(threads: int) -> None:
    """Imports TensorFlow and TF-Agents and finds the devices, without their notices.

    Args:
      threads: that an operation is split over; see `set_threads`.
    """
    # TF-Agents' sources, as AutoGraph rewrites them, compare with literals.
    warnings.filterwarnings("ignore", message='"is( not)?" with', category=SyntaxWarning)
    # TensorFlow reports every file it saves at level INFO.
    absl.logging.set_verbosity(absl.logging.WARNING)
    processes.share_memory()  # before threads have arenas of their own
    sys.stderr.flush()
    stderr = os.dup(2)  # the notices come from C++ and from Python
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            import tensorflow as tf
            import tf_agents.environments  # noqa: F401

            set_threads(threads)
            tf.config.list_logical_devices()
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            captured.seek(0)
            text = captured.read().decode(errors="replace")
            lines = [line for line in text.splitlines(keepends=True) if not _NOTICES.search(line)]
            sys.stderr.write("".join(lines) if "".join(lines).strip() else "")

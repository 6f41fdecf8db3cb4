"""The work of `train`: a run with everything that a person sees of it."""

import sys

from vagram_tf.commands.console import Watchdog, closing_words
from vagram_tf.commands.notice import notice
from vagram_tf.commands.train import Order
from vagram_tf.errors import Fault
from vagram_tf.run.training import Training


def run(order: Order) -> int:
    """Trains, and returns the exit code: 0, or 130 after Ctrl-C.

    Raises:
      ValueError, OSError, Fault: in one sentence; once the run is built, with its last checkpoint.
    """
    # A log is read while it grows
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[attr-defined]
    with notice("building the networks"):
        built = Training(order.config, order.directory)
    with built as training:
        if training.resumed_step:
            print(f"continuing at environment step {training.resumed_step}")
        try:
            with Watchdog(training):
                training.learn(progress_bar=True, stop=order.interrupts.requested)
        except (Fault, OSError) as error:
            raise Fault(f"{error}; {training.last_checkpoint_text}") from error
    print(closing_words(training))
    return 130 if order.interrupts.by_keyboard else 0

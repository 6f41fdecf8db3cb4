"""The work of `train`: a run with everything that a person sees of it."""

from vagram_tf.commands.console import Progress, Watchdog, closing_words
from vagram_tf.commands.train import Order
from vagram_tf.errors import Fault
from vagram_tf.run.training import Training


def run(order: Order) -> int:
    """Trains, and returns the exit code: 0, or 130 after Ctrl-C.

    Raises:
      ValueError, OSError, Fault: in one sentence; once the run is built, with its last checkpoint.
    """
    training = Training(order.config, order.directory)
    try:
        with Watchdog(training), Progress(training) as progress:
            outcome = training.run(progress.show, order.interrupts.requested)
    except (Fault, OSError) as error:
        raise Fault(f"{error}; {training.last_checkpoint_text}") from error
    print(closing_words(training, outcome, order.directory.path))
    return 130 if order.interrupts.by_keyboard else 0

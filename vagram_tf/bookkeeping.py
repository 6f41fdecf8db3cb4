"""What a loop notes beside its work: how long each phase takes, and the newest value of each
metric.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence

import tensorflow as tf


class Clock:
    """Adds up the wall time of phases.

    Args:
      phases: whose seconds are there from the start; others come with their first use.

    Attributes:
      seconds: by phase.
      phase: the one that is going on, empty between them.
    """

    def __init__(self, phases: Sequence[str]):
        self.seconds, self.phase = dict.fromkeys(phases, 0.0), ""

    @contextlib.contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        start, self.phase = time.perf_counter(), phase
        try:
            yield
        finally:
            self.phase = ""
        self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - start


class LatestMetrics:
    """The newest value of each metric, also after a restart.

    Attributes:
      values: by TensorBoard name.
      saved: the same as variables, for a checkpoint.
    """

    def __init__(self) -> None:
        self.values: dict[str, float] = {}
        self.saved = tf.Module(name="metrics")
        self.saved.names = tf.Variable(tf.zeros([0], tf.string), shape=[None], trainable=False)
        self.saved.values = tf.Variable(tf.zeros([0], tf.float64), shape=[None], trainable=False)

    def freeze(self) -> None:
        """Copies the metrics into variables, for a checkpoint."""
        self.saved.names.assign(list(self.values))
        self.saved.values.assign(list(self.values.values()))

    def thaw(self) -> None:
        """Takes the metrics from the variables, after a restore."""
        names = [name.decode() for name in self.saved.names.numpy()]
        self.values = dict(zip(names, self.saved.values.numpy().tolist(), strict=True))

"""Actions in the environment's units, and in the [-1, 1] that the rest of the package lives in."""

import gymnasium
import numpy as np
import tensorflow as tf


class ActionRange:
    """Converts actions between the environment's bounds and [-1, 1].

    Attributes:
      low: `[A]` float32, the environment's.
      high: `[A]` float32.
    """

    def __init__(self, space: gymnasium.spaces.Box):
        low, high = space.low.astype(np.float64), space.high.astype(np.float64)
        self.low, self.high = low.astype(np.float32), high.astype(np.float32)
        self._center = np.float32((low + high) / 2)
        self._half_range = np.float32((high - low) / 2)

    def to_unit(self, action: tf.Tensor) -> tf.Tensor:
        """Environment units `[..., A]` to [-1, 1]; what is out of bounds is clipped, as the
        environment does.
        """
        return tf.clip_by_value((action - self._center) / self._half_range, -1.0, 1.0)

    def from_unit(self, action: tf.Tensor) -> tf.Tensor:
        """[-1, 1] to environment units `[..., A]`."""
        return self._center + self._half_range * action

"""Actions in the environment's units, and in the [-1, 1] that the rest of the package lives in."""

import gymnasium
import numpy as np
import tensorflow as tf


class ActionRange:
    """Converts actions between the environment's bounds and [-1, 1].

    Attributes:
      low: `[A]` float32, the environment's, rounded inwards where its own are float64.
      high: `[A]` float32, likewise.
    """

    def __init__(self, space: gymnasium.spaces.Box):
        self._space = space
        low, high = space.low.astype(np.float64), space.high.astype(np.float64)
        self._center, self._half_range = (low + high) / 2, (high - low) / 2
        self.low, self.high = low.astype(np.float32), high.astype(np.float32)
        self.low = np.where(self.low < low, np.nextafter(self.low, np.float32(np.inf)), self.low)
        self.high = np.where(
            self.high > high, np.nextafter(self.high, -np.float32(np.inf)), self.high
        )

    def to_unit(self, action: tf.Tensor) -> tf.Tensor:
        """Environment units `[..., A]` to [-1, 1]; what is out of bounds is clipped, as the
        environment does.
        """
        center, half_range = np.float32(self._center), np.float32(self._half_range)
        return tf.clip_by_value((action - center) / half_range, -1.0, 1.0)

    def from_unit(self, action: tf.Tensor) -> tf.Tensor:
        """[-1, 1] to environment units `[..., A]`, within the bounds."""
        center, half_range = np.float32(self._center), np.float32(self._half_range)
        scaled = tf.convert_to_tensor(center + half_range * action)
        low, high = (tf.cast(bound, scaled.dtype) for bound in (self.low, self.high))
        return tf.clip_by_value(scaled, low, high)

    def for_environment(self, action: np.ndarray) -> np.ndarray:
        """[-1, 1] to what the environment takes, `[A]`: in its units and dtype, within its bounds;
        computed in float64.
        """
        scaled = self._center + self._half_range * np.asarray(action, np.float64)
        return np.clip(scaled.astype(self._space.dtype), self._space.low, self._space.high)

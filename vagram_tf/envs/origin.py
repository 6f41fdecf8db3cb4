"""Offsets in which float32 would drown a signal, subtracted while it is still float64."""

import gymnasium
import numpy as np


class Origin(gymnasium.ObservationWrapper):
    """Subtracts constants from dimensions of a task's observation `[D]`, which becomes float64.

    Of a clock of 1.7e9 seconds, float32 keeps multiples of 128 alone.

    Attributes:
      observation_origin: `[D]` float64, what is subtracted.
    """

    def __init__(self, env: gymnasium.Env, origin: str):
        """Wraps a task.

        Args:
          env: a task with a Box observation of shape `[D]`.
          origin: `index:value,index:value`; the other dimensions stay as they are.

        Raises:
          ValueError: in one sentence, where that cannot be read, or there is no such dimension.
        """
        super().__init__(env)
        space = env.observation_space
        assert isinstance(space, gymnasium.spaces.Box)
        self.observation_origin = _parsed(origin, space.shape[0])
        self.observation_space = gymnasium.spaces.Box(
            space.low - self.observation_origin,
            space.high - self.observation_origin,
            dtype=np.float64,
        )

    def observation(self, observation: np.ndarray) -> np.ndarray:
        """Returns the observation `[D]` from the origin on."""
        return np.asarray(observation, np.float64) - self.observation_origin


def shifted(origin: str, dimension: int, by: float) -> str:
    """Returns the setting, which may be empty, with a dimension's origin moved."""
    parts = (part.partition(":") for part in origin.split(",") if part)
    origins = {int(index): value for index, _, value in parts}
    before = float(origins.pop(dimension, 0.0))
    others = [f"{index}:{value}" for index, value in origins.items()]
    return ",".join([*others, f"{dimension}:{before + by:.12g}"])


def _parsed(text: str, size: int) -> np.ndarray:
    origin, named = np.zeros(size), set()
    for part in text.split(","):
        index, _, value = part.partition(":")
        try:
            dimension, origin_of = int(index), float(value)
        except ValueError:
            raise ValueError(
                f"observation_origin must be index:value,index:value, got {text!r}"
            ) from None
        if not 0 <= dimension < size or not np.isfinite(origin_of):
            raise ValueError(
                f"observation_origin: {part!r} is no finite number of a dimension from 0 to "
                f"{size - 1}"
            )
        if dimension in named:
            raise ValueError(f"observation_origin names dimension {dimension} twice, in {text!r}")
        named.add(dimension)
        origin[dimension] = origin_of
    return origin

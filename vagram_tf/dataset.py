"""Steps of real episodes in a file, to fit a model to where there is no run.

The file is an `.npz` of named arrays, the fields of `Dataset`. TensorFlow is not needed here.
"""

import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vagram_tf import files
from vagram_tf.config import EnvConfig
from vagram_tf.envs import tasks
from vagram_tf.errors import one_line
from vagram_tf.export.load import environment_metadata, environment_of

_AXES = {
    "observation": "N D",
    "action": "N A",
    "reward": "N",
    "next_observation": "N D",
    "terminated": "N",
    "episode": "N",
    "action_low": "A",
    "action_high": "A",
}
_KINDS = {"terminated": ("biu", "true or false"), "episode": ("iu", "whole numbers")}
_BOUNDS = ("action_low", "action_high")
_ROUNDING = 1e-6  # of the range, by which an action may be out of bounds


@dataclass(frozen=True, eq=False)
class Dataset:
    """N steps of real episodes, in the environment's own units.

    Attributes:
      observation: `[N, D]`; numbers are kept as float32.
      action: `[N, A]`, within the bounds.
      reward: `[N]`.
      next_observation: `[N, D]`, the observation of the episode's next step, if it has one.
      terminated: bool `[N]`, true of an episode's last step alone; an end without it is a
        truncation.
      episode: int `[N]`, which episode a step belongs to; an episode's steps stand together and in
        order.
      action_low, action_high: `[A]`, the bounds.
      environment: that the steps are of, if it is known.

    Raises:
      ValueError: in one sentence that names the array and the step, for what is not so.
    """

    observation: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    next_observation: np.ndarray
    terminated: np.ndarray
    episode: np.ndarray
    action_low: np.ndarray
    action_high: np.ndarray
    environment: EnvConfig | None = None

    def __post_init__(self) -> None:
        sizes: dict[str, int] = {}
        for name, axes in _AXES.items():
            array = _checked(name, getattr(self, name), axes.split(), sizes)
            object.__setattr__(self, name, array)
        _check_episodes(self)
        object.__setattr__(self, "action", _within_bounds(self))

    @property
    def last(self) -> np.ndarray:
        """Whether the next step belongs to another episode: bool `[N]`, true of the last step."""
        return np.append(self.episode[1:] != self.episode[:-1], True)

    @property
    def starts(self) -> np.ndarray:
        """Whether an episode starts with the step: bool `[N]`."""
        return np.roll(self.last, 1)

    def of_episodes(self, episodes: np.ndarray) -> "Dataset":
        """Returns the steps of these episodes alone, in their order here."""
        chosen = np.isin(self.episode, episodes)
        arrays = {
            name: getattr(self, name) if name in _BOUNDS else getattr(self, name)[chosen]
            for name in _AXES
        }
        return Dataset(**arrays, environment=self.environment)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a compressed `.npz`, whole or not at all.

        Raises:
          OSError: it cannot be written.
        """
        arrays = {name: getattr(self, name) for name in _AXES}
        if self.environment:
            arrays["environment"] = np.array(json.dumps(environment_metadata(self.environment)))
        file = io.BytesIO()
        np.savez_compressed(file, **arrays)
        files.write(files.path(path), file.getvalue())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Dataset":
        """Reads what `save`, or another program, has written. Nothing in it is executed.

        Bounds that it does not hold are those of its environment, which is made for them.

        Raises:
          ValueError: in one sentence, if there is no such file, it lacks arrays, or they are not as
            they must be.
        """
        arrays = _read(files.path(path))
        try:
            _check_names(arrays)
            environment = _environment(arrays)
            bounds = _bounds(arrays, environment)
            named = {name: arrays[name] for name in _AXES if name not in _BOUNDS}
            return cls(**named, **bounds, environment=environment)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None


def _read(path: os.PathLike[str]) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise ValueError(f"{path} is not there") from None
    except Exception as error:  # of zip files and arrays; of one array, which is no context
        raise ValueError(f"{path} is no .npz of arrays: {one_line(error)}") from error


def _check_names(arrays: Mapping[str, np.ndarray]) -> None:
    required = [name for name in _AXES if name not in _BOUNDS]
    if missing := [name for name in required if name not in arrays]:
        raise ValueError(
            f"it lacks {', '.join(missing)}; it holds {', '.join(sorted(arrays)) or 'nothing'}"
        )


def _environment(arrays: Mapping[str, np.ndarray]) -> EnvConfig | None:
    if "environment" not in arrays:
        return None
    try:
        return environment_of(json.loads(str(arrays["environment"])))
    except (ValueError, AttributeError) as error:  # of JSON and settings; JSON of another kind
        raise ValueError(f"its environment is not what collect writes: {one_line(error)}") from None


def _bounds(
    arrays: Mapping[str, np.ndarray], environment: EnvConfig | None
) -> dict[str, np.ndarray]:
    given = {name: arrays[name] for name in _BOUNDS if name in arrays}
    if len(given) == 2:
        return given
    if environment is None:
        raise ValueError(
            "nothing says the actions' bounds: add the arrays action_low and action_high, of the "
            "shape [A]"
        )
    env = tasks.make(environment)
    env.close()
    return {"action_low": env.action_space.low, "action_high": env.action_space.high} | given


def _checked(name: str, value: Any, axes: list[str], sizes: dict[str, int]) -> np.ndarray:
    """Returns an array of the type that is kept; adds what its axes are to the sizes."""
    array = np.asarray(value)
    if array.ndim != len(axes):
        raise ValueError(
            f"{name} must be of the shape [{', '.join(axes)}], and is of {list(array.shape)}"
        )
    for axis, size in zip(axes, array.shape, strict=True):
        if size == 0:
            raise ValueError(f"{name} is empty: its shape is {list(array.shape)}")
        if sizes.setdefault(axis, size) != size:
            raise ValueError(
                f"{name} is of the shape {list(array.shape)}, where {axis} is {sizes[axis]} in the "
                "arrays before it"
            )
    kinds, words = _KINDS.get(name, ("iuf", "numbers"))
    if array.dtype.kind not in kinds:
        raise ValueError(f"{name} must be {words}, and has the dtype {array.dtype}")
    if name == "terminated":
        return array.astype(bool)
    return array.astype(np.int64) if name == "episode" else _float32(name, array)


def _float32(name: str, array: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        converted = array.astype(np.float32)
    finite = np.isfinite(converted)
    if not finite.all():
        index = np.unravel_index(int(np.argmin(finite)), array.shape)
        place = ", ".join(map(str, index))
        raise ValueError(f"{name}[{place}] is {array[index]}, and no finite float32")
    return converted


def _check_episodes(data: Dataset) -> None:
    starts = np.flatnonzero(data.starts)
    ids, first = np.unique(data.episode[starts], return_index=True)
    if len(ids) < len(starts):
        again = starts[np.setdiff1d(np.arange(len(starts)), first)[0]]
        raise ValueError(
            f"episode {data.episode[again]} comes again at step {again}, after another one: an "
            "episode's steps stand together"
        )
    inside = np.flatnonzero(~data.last)
    for wrong, words in (
        (data.terminated[inside], "terminated, and its episode goes on"),
        (
            np.any(data.next_observation[inside] != data.observation[inside + 1], axis=1),
            "leads to another observation than the next step of its episode begins with",
        ),
    ):
        if wrong.any():
            step = inside[np.argmax(wrong)]
            raise ValueError(f"step {step} of episode {data.episode[step]} {words}")


def _within_bounds(data: Dataset) -> np.ndarray:
    """Returns the actions without what rounding has added."""
    low, high = data.action_low, data.action_high
    if not np.all(low < high):
        raise ValueError("action_low must be below action_high in every dimension")
    room = _ROUNDING * (high - low)
    outside = (data.action < low - room) | (data.action > high + room)
    if outside.any():
        step, a = np.unravel_index(int(np.argmax(outside)), outside.shape)
        raise ValueError(
            f"action[{step}, {a}] is {data.action[step, a]:g}, out of its bounds {low[a]:g} and "
            f"{high[a]:g}"
        )
    return np.clip(data.action, low, high)

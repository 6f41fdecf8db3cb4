"""A Minari data set that is on this machine, as a `Dataset`."""

from typing import Any

import gymnasium
import minari
import numpy as np

from vagram_tf.config import EnvConfig
from vagram_tf.dataset import Dataset
from vagram_tf.envs import tasks
from vagram_tf.errors import one_line


def read(dataset_id: str) -> Dataset:
    """Reads a local data set; nothing is downloaded.

    Raises:
      ValueError: in one sentence, if it is not there, or is not one of vectors and bounded actions.
    """
    try:
        source = minari.load_dataset(dataset_id, download=False)
    except FileNotFoundError:
        raise ValueError(
            f"there is no local Minari data set {dataset_id}; minari list local shows those that "
            f"there are, minari download {dataset_id} gets it"
        ) from None
    except Exception as error:  # of its metadata and versions
        raise ValueError(f"Minari cannot read {dataset_id}: {one_line(error)}") from error
    try:
        return _dataset(source)
    except ValueError as error:
        raise ValueError(f"minari:{dataset_id}: {error}") from None


def _dataset(source: Any) -> Dataset:
    space = source.action_space
    if not isinstance(space, gymnasium.spaces.Box):
        raise ValueError(f"its actions are no boxes of floats: {one_line(str(space))}")
    columns: dict[str, list[np.ndarray]] = {
        name: []
        for name in (
            "observation",
            "action",
            "reward",
            "next_observation",
            "terminated",
            "episode",
        )
    }
    for episode in source.iterate_episodes():
        count = len(episode.rewards)
        observation = _flat(source.observation_space, episode.observations)
        values = (
            observation[:-1],
            np.reshape(episode.actions, [count, -1]),
            episode.rewards,
            observation[1:],
            episode.terminations,
            np.full(count, episode.id),
        )
        for column, value in zip(columns.values(), values, strict=True):
            column.append(value)
    if not columns["reward"]:
        raise ValueError("it has no episodes")
    return Dataset(
        **{name: np.concatenate(column) for name, column in columns.items()},
        action_low=space.low.reshape(-1),
        action_high=space.high.reshape(-1),
        environment=_environment(source),
    )


def _flat(space: gymnasium.Space, values: Any) -> np.ndarray:
    """Returns observations `[T, D]` as `FlattenObservation` does."""
    if isinstance(space, gymnasium.spaces.Dict):
        return np.concatenate([_flat(part, values[key]) for key, part in space.items()], axis=1)
    if not isinstance(space, gymnasium.spaces.Box):
        raise ValueError(f"its observations are no vectors of floats: {one_line(str(space))}")
    return np.reshape(values, [len(values), -1])


def _environment(source: Any) -> EnvConfig | None:
    """Returns the environment, where its name alone makes one with these spaces."""
    spec = source.env_spec
    if spec is None or spec.kwargs:
        return None
    config = EnvConfig(name=spec.id)
    try:
        env = tasks.make(config)
    except ValueError:  # it is not installed
        return None
    env.close()
    sizes = [
        gymnasium.spaces.flatdim(space)
        for made in (env, source)
        for space in (made.observation_space, made.action_space)
    ]
    return config if sizes[:2] == sizes[2:] else None

"""Steps of the real environment, written down as they are taken, episode after episode."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from vagram_tf.envs.action_range import ActionRange
from vagram_tf.envs.adapter import GymnasiumEnvironment

Act = Callable[[tf.Tensor], tf.Tensor]
"""Observation `[1, D]` to action `[1, A]`, both in the environment's units."""


class Recording(NamedTuple):
    """Steps in the order in which they were taken.

    Attributes:
      observation: `[N, D]`.
      action: `[N, A]`, in the environment's units.
      reward: `[N]`.
      next_observation: `[N, D]`.
      terminated: bool `[N]`; a time limit is no termination.
      last: bool `[N]`, whether the next step belongs to another episode; true of the last step.
    """

    observation: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    next_observation: np.ndarray
    terminated: np.ndarray
    last: np.ndarray


def record(
    environment: GymnasiumEnvironment, act: Act, count: int, longest: int | None = None
) -> Recording:
    """Takes so many steps; the last episode is left when they are reached.

    Args:
      environment: its next reset starts the first episode.
      act: chooses the actions.
      count: N.
      longest: steps after which an episode is left; None where the task ends it.

    Raises:
      EnvironmentFault: the environment failed.
    """
    action_range = ActionRange(environment.task.action_space)
    rows, length = [], 0
    time_step = environment.reset()
    for step in range(count):
        action = tf.cast(act(tf.constant(time_step.observation[np.newaxis])), tf.float32)
        after = environment.step(action_range.to_unit(action)[0].numpy())
        length += 1
        last = bool(after.is_last()) or step == count - 1 or length == longest
        rows.append(
            (
                time_step.observation,
                action[0].numpy(),
                after.reward,
                after.observation,
                after.is_last() and after.discount == 0,
                last,
            )
        )
        if last and step < count - 1:
            time_step, length = environment.reset(), 0
        else:
            time_step = after
    return Recording(*(np.stack(column) for column in zip(*rows, strict=True)))


def random_actions(environment: GymnasiumEnvironment, seed: int) -> Act:
    """Returns actions that are uniform over the environment's range, whatever is observed."""
    action_range = ActionRange(environment.task.action_space)
    generator = np.random.default_rng(seed)
    shape = [1, *environment.action_spec().shape]
    return lambda observation: action_range.from_unit(generator.uniform(-1, 1, shape))

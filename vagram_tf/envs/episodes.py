"""Greedy episodes in the real environment."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from vagram_tf.envs.adapter import GymnasiumEnvironment


class Evaluation(NamedTuple):
    """Undiscounted return, in reward units, and length, in steps, of each episode."""

    returns: np.ndarray
    lengths: np.ndarray


class Stopped(Exception):
    """Episodes were left because somebody asked for it."""


def evaluate(
    environments: Sequence[GymnasiumEnvironment],
    policy: Callable[[tf.Tensor], tf.Tensor],
    longest: int | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Evaluation:
    """Runs one episode in each environment: in lockstep, so that one policy call `[B, D]` serves
    all, or one after another where all of them step the same task.

    Args:
      environments: their next reset starts the episode.
      policy: `[B, D] -> [B, A]`.
      longest: steps after which an episode is left; None where the task ends it.
      stop: asked before each step.

    Returns:
      Returns and lengths `[B]`.

    Raises:
      Stopped: `stop` was true.
    """
    if len({id(environment.task) for environment in environments}) == len(environments):
        return _in_lockstep(environments, policy, longest, stop)
    played = [_in_lockstep([environment], policy, longest, stop) for environment in environments]
    returns, lengths = zip(*played, strict=True)
    return Evaluation(np.concatenate(returns), np.concatenate(lengths))


def _in_lockstep(
    environments: Sequence[GymnasiumEnvironment],
    policy: Callable[[tf.Tensor], tf.Tensor],
    longest: int | None,
    stop: Callable[[], bool],
) -> Evaluation:
    time_steps = [environment.reset() for environment in environments]
    returns, lengths = np.zeros(len(environments)), np.zeros(len(environments), np.int64)
    running = set(range(len(environments)))
    while running:
        if stop():
            raise Stopped
        # Ended episodes stay in the batch with their last observation, so that its shape never
        # changes.
        actions = policy(tf.stack([time_step.observation for time_step in time_steps])).numpy()
        for i in sorted(running):
            time_steps[i] = environments[i].step(actions[i])
            returns[i] += time_steps[i].reward
            lengths[i] += 1
            if time_steps[i].is_last() or lengths[i] == longest:
                running.remove(i)
    return Evaluation(returns, lengths)

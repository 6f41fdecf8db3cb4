"""Greedy episodes in the real environment."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from vagram_tf.envs.adapter import GymnasiumEnvironment


class Evaluation(NamedTuple):
    """Undiscounted return, in reward units, and length, in steps, of each episode."""

    returns: np.ndarray
    lengths: np.ndarray


def evaluate(
    environments: list[GymnasiumEnvironment], policy: Callable[[tf.Tensor], tf.Tensor]
) -> Evaluation:
    """Runs one episode in each environment, in lockstep, so that one policy call `[B, D]` serves
    all.

    Args:
      environments: their next reset starts the episode.
      policy: `[B, D] -> [B, A]`.

    Returns:
      Returns and lengths `[B]`.
    """
    time_steps = [environment.reset() for environment in environments]
    returns, lengths = np.zeros(len(environments)), np.zeros(len(environments), np.int64)
    running = set(range(len(environments)))
    while running:
        # Ended episodes stay in the batch with their last observation, so that its shape never
        # changes.
        actions = policy(tf.stack([time_step.observation for time_step in time_steps])).numpy()
        for i in sorted(running):
            time_steps[i] = environments[i].step(actions[i])
            returns[i] += time_steps[i].reward
            lengths[i] += 1
            if time_steps[i].is_last():
                running.remove(i)
    return Evaluation(returns, lengths)

"""The two tuples that travel through the package, and the letters of their shapes.

`E` ensemble members, `B` batch, `D` observation size, `A` action size, `C` critics, `H` rollout
horizon. Observations and rewards are in the environment's own units; an action is in [-1, 1] of the
environment's range.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf


class Transition(NamedTuple):
    """One step of the real or of the imagined world; every field has the same leading axes.

    Attributes:
      observation: `[..., D]` float32, what the agent saw.
      action: `[..., A]` float32, what it did, in [-1, 1].
      reward: `[...]` float32.
      discount: `[...]` float32, 0 where the episode terminated and 1 elsewhere. A time limit is no
        termination.
      next_observation: `[..., D]` float32.
    """

    observation: tf.Tensor
    action: tf.Tensor
    reward: tf.Tensor
    discount: tf.Tensor
    next_observation: tf.Tensor


class Prediction(NamedTuple):
    """What the ensemble says of a step: a diagonal Gaussian over next observation and reward, per
      member.

    Attributes:
      next_observation: `[E, B, D]` mean, in observation units.
      reward: `[E, B]` mean, in reward units.
      next_observation_log_variance: `[E, B, D]`.
      reward_log_variance: `[E, B]`.
    """

    next_observation: tf.Tensor
    reward: tf.Tensor
    next_observation_log_variance: tf.Tensor
    reward_log_variance: tf.Tensor


ValueFunction = Callable[[tf.Tensor], tf.Tensor]
"""A state-value function `[..., D] -> [...]`."""

TerminationFunction = Callable[[tf.Tensor], tf.Tensor]
"""Whether a next observation ends the episode: `[B, D] -> bool [B]`."""

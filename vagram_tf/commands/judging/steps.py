"""Real steps to judge a model by: the environment, played in three ways."""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import tensorflow as tf

from vagram_tf import seeding
from vagram_tf.commands.judging.measures import Steps
from vagram_tf.envs.action_range import ActionRange
from vagram_tf.envs.adapter import GymnasiumEnvironment


def collect(env: gymnasium.Env, policy: Any, count: int, seed: int) -> Steps:
    """Plays the policy's greedy actions, its sampled ones, and uniformly random ones: where a model
    is used.

    Args:
      env: from `tasks.make`.
      policy: a policy's export, loaded.
      count: steps of each kind of action; the last episode of each is left when they are reached.
      seed: of episodes and actions.

    Returns:
      `3 * count` steps.

    Raises:
      EnvironmentFault: the environment failed.
    """
    action_range = ActionRange(env.action_space)
    generator = np.random.default_rng(seeding.derive(seed, "exploration"))
    sampling = seeding.derive(seed, "policy")
    behaviours: dict[str, Callable[[tf.Tensor, int], tf.Tensor]] = {
        "greedy": lambda observation, _: policy(observation)["action"],
        "sampled": lambda observation, step: policy.sample(
            observation, tf.constant([sampling, step])
        )["action"],
        "random": lambda *_: action_range.from_unit(
            generator.uniform(-1, 1, [1, *env.action_space.shape])
        ),
    }
    rows = []
    for name, behaviour in behaviours.items():
        environment = GymnasiumEnvironment(env, seeding.derive(seed, "evaluation", name))
        time_step = environment.reset()
        for step in range(count):
            action = tf.cast(
                behaviour(tf.constant(time_step.observation[np.newaxis]), step), tf.float32
            )
            after = environment.step(action_range.to_unit(action)[0].numpy())
            last = bool(after.is_last()) or step == count - 1
            rows.append(
                (
                    time_step.observation,
                    action[0].numpy(),
                    after.reward,
                    after.observation,
                    after.is_last() and after.discount == 0,
                    last,
                    name,
                )
            )
            time_step = environment.reset() if last and step < count - 1 else after
    return Steps(*(np.stack(column) for column in zip(*rows, strict=True)))

"""Real steps to judge a model by: the environment, played in three ways."""

from typing import Any

import gymnasium
import numpy as np
import tensorflow as tf

from vagram_tf import seeding
from vagram_tf.commands.judging.measures import Steps
from vagram_tf.envs.adapter import GymnasiumEnvironment
from vagram_tf.envs.recording import Act, random_actions, record


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
    behaviours = ("greedy", "sampled", "random")
    recordings = []
    for name in behaviours:
        environment = GymnasiumEnvironment(env, seeding.derive(seed, "evaluation", name))
        if name == "random":
            act = random_actions(environment, seeding.derive(seed, "exploration"))
        else:
            act = policy_actions(policy, name == "sampled", seeding.derive(seed, "policy"))
        recordings.append(record(environment, act, count))
    columns = [np.concatenate(column) for column in zip(*recordings, strict=True)]
    return Steps(*columns, np.repeat(behaviours, count))


def policy_actions(policy: Any, sample: bool, seed: int) -> Act:
    """Returns a loaded policy's actions: its greedy ones, or those that it draws with a seed."""
    if sample:
        return lambda observation, step: policy.sample(observation, tf.constant([seed, step]))[
            "action"
        ]
    return lambda observation, step: policy(observation)["action"]

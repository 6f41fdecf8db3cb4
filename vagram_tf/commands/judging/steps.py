"""Real steps to judge a model by: the environment, played in three ways."""

import gymnasium
import numpy as np

from vagram_tf import seeding
from vagram_tf.commands.judging.counting import counted
from vagram_tf.commands.judging.measures import Steps
from vagram_tf.commands.judging.playing import exported
from vagram_tf.config import EnvConfig
from vagram_tf.envs import tasks
from vagram_tf.envs.adapter import GymnasiumEnvironment
from vagram_tf.envs.recording import Recording, random_actions, record
from vagram_tf.export.load import Export


def collect(env: gymnasium.Env, config: EnvConfig, policy: Export, count: int, seed: int) -> Steps:
    """Plays the policy's greedy actions, its sampled ones, and uniformly random ones: where a model
    is used.

    Args:
      env: from `tasks.make`.
      config: the environment's; it says when an episode without an end is left.
      policy: a policy's export.
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
            act = exported(policy, name == "sampled", seed)
        with counted(f"{name} actions", act, count) as choose:
            recordings.append(
                record(environment, choose, count, tasks.longest_episode(env, config))
            )
    columns = zip(Recording._fields, zip(*recordings, strict=True), strict=True)
    return Steps(
        **{name: np.concatenate(parts) for name, parts in columns},
        behaviour=np.repeat(behaviours, count),
    )

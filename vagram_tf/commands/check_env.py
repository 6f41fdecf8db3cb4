"""Looks at an environment of your own before hours of training depend on it.

    vagram-check-env --env=my_module:MyEnv-v0

Plays it with random actions and prints a line for each thing that a run, its exports and their
users rely on: whether it repeats itself, after other episodes and in another process, whether its
episodes end, what its observations, rewards and starts are like, how fast it is. Ends with exit
code 1 where a line says `trouble`.
"""

from typing import NamedTuple

from absl import flags as absl_flags

from vagram_tf.commands import inputs
from vagram_tf.commands.program import Program
from vagram_tf.config import EnvConfig


class Order(NamedTuple):
    """The environment, and how many random steps are taken in it."""

    config: EnvConfig
    steps: int


def define() -> None:
    """Defines the flags."""
    absl_flags.DEFINE_string(
        "env", None, "environment: a Gymnasium id, dm_control/..., or module:EnvId"
    )
    absl_flags.DEFINE_string(
        "observation_origin", "", "the setting of a run, index:value,index:value"
    )
    absl_flags.DEFINE_integer("steps", 2000, "random steps to take", lower_bound=1)


def check() -> Order:
    """Returns what the flags ask for; raises ValueError."""
    given = absl_flags.FLAGS
    if not given.env:
        raise ValueError("--env is needed: the environment to look at")
    config = EnvConfig(name=given.env, observation_origin=given.observation_origin)
    inputs.environment(config).close()
    return Order(config, given.steps)


def main() -> None:
    """Runs the program and ends the process."""
    Program(define, check, "vagram_tf.commands.judging.environment").main()

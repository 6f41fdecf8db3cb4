"""Collects a data set to fit models to: steps of an exported policy, or of random actions.

    vagram-collect --export=runs/InvertedPendulum-v5/vagram/0 --output=pendulum.npz
    vagram-collect --env=Hopper-v5 --distractors=15 --steps=10000 --output=hopper.npz

An export's policy plays in its own environment, greedily or, with --sample, with actions drawn from
it; without --export actions are uniformly random. The file holds named arrays.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from absl import flags as absl_flags

from vagram_tf.commands import flags, inputs, paths
from vagram_tf.commands.program import Program
from vagram_tf.config import EnvConfig
from vagram_tf.export.load import check_export, environment_of

if TYPE_CHECKING:
    import gymnasium

# There is one environment, and nothing is imagined.
_SETTINGS = EnvConfig.names_without("termination", "instances")


class Order(NamedTuple):
    """What the flags say: the policy, None for random actions, and the file; and the environment,
    from `hold`.
    """

    export: Path | None
    config: EnvConfig
    sample: bool
    steps: int
    seed: int
    output: Path
    environment: "gymnasium.Env | None" = None


def define() -> None:
    """Defines the flags."""
    paths.define("export", None, "a run's directory, or one export in it; unset: random actions")
    absl_flags.DEFINE_bool(
        "sample", False, "sample actions from the policy instead of taking its greedy ones"
    )
    absl_flags.DEFINE_integer("steps", 10_000, "environment steps", lower_bound=10)
    absl_flags.DEFINE_integer("seed", 0, "seed of episodes and actions", lower_bound=0)
    paths.define("output", None, ".npz to write, which must not be there yet")
    flags.define(_SETTINGS)


def check() -> Order:
    """Returns what the flags ask for; raises ValueError."""
    given = absl_flags.FLAGS
    if given.output is None:
        raise ValueError("--output is needed: the .npz to write")
    inputs.check_new(given.output)
    inputs.check_output(given.output)
    if given.export is None and given.sample:
        raise ValueError("--sample is for the policy of --export")
    if given.export and (flags.given() or given.config):
        raise ValueError("--export plays in its own environment: leave out what describes another")
    export = inputs.export(given.export, "policy") if given.export else None
    config = environment_of(check_export(export, "policy")) if export else flags.config().env
    return Order(export, config, given.sample, given.steps, given.seed, given.output)


@contextlib.contextmanager
def hold(order: Order) -> Iterator[Order]:
    """Opens the environment; raises ValueError."""
    with inputs.environments(order.config, 1) as (environment,):
        if order.export:
            inputs.check_sizes(order.export, "policy", environment)
            inputs.tell(order.export, absl_flags.FLAGS.export)
        yield order._replace(environment=environment)


def main() -> None:
    """Runs the program and ends the process."""
    Program(define, check, "vagram_tf.commands.offline.collecting", hold=hold).main()

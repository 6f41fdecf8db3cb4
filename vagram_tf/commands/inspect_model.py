"""Judges an exported dynamics model: compares what it predicts with what the real environment does.

    vagram-inspect --export=runs/InvertedPendulum-v5/vagram/0

The environment is played with the exported policy's greedy actions, with its sampled ones and with
uniformly random ones, the same number of steps each; and by a planner that knows the model alone
and the policy's values. Prints a table and writes inspect.json, all the numbers, and inspect.png
and inspect.pdf.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from absl import flags as absl_flags

from vagram_tf import files
from vagram_tf.commands import inputs, paths
from vagram_tf.commands.program import Program
from vagram_tf.config import EnvConfig
from vagram_tf.export.load import check_export, environment_of

if TYPE_CHECKING:
    import gymnasium


class Order(NamedTuple):
    """What the flags say: the exports, the run's own steps where it has them, and the directory to
    write to; and the environment, from `hold`.
    """

    export: Path
    policy: Path
    data: Path | None
    config: EnvConfig
    steps: int
    horizon: int
    seed: int
    planner_episodes: int
    output: Path
    environment: "gymnasium.Env | None" = None


def define() -> None:
    """Defines the flags."""
    integer = absl_flags.DEFINE_integer
    paths.define(
        "export", None, "a run's directory, or one export in it: .../export/dynamics/<env step>"
    )
    paths.define("policy", None, "export of a policy; unset: the one beside it, of the same step")
    integer("steps", 1000, "environment steps with each kind of action", lower_bound=2)
    integer("horizon", 20, "steps that the model is left alone for", lower_bound=1)
    integer("seed", 0, "seed of episodes and actions", lower_bound=0)
    integer(
        "planner_episodes",
        1,
        "episodes that a planner plays in the environment, planning in the model; 0 leaves it out",
        lower_bound=0,
    )
    paths.define("output", None, "directory to write to; unset: <run>/inspect/<env step>")


def check() -> Order:
    """Returns what the flags ask for; raises ValueError."""
    given = absl_flags.FLAGS
    export = inputs.export(given.export, "dynamics")
    needed = "each" if given.planner_episodes else None
    config = environment_of(check_export(export, "dynamics", needed))
    policy, output = _beside(export, given.policy, given.output)
    other = environment_of(check_export(policy, "policy", "value"))
    if config.world != other.world:
        raise ValueError(
            f"{policy} is a policy for another environment: {other} instead of {config}"
        )
    return Order(
        export,
        policy,
        _own_steps(export),
        config,
        given.steps,
        given.horizon,
        given.seed,
        given.planner_episodes,
        output,
    )


@contextlib.contextmanager
def hold(order: Order) -> Iterator[Order]:
    """Opens the environment and makes the directory to write to; raises ValueError or OSError."""
    with inputs.environments(order.config, 1) as (environment,):
        inputs.check_sizes(order.export, "dynamics", environment)
        inputs.check_sizes(order.policy, "policy", environment)
        order.output.mkdir(parents=True, exist_ok=True)
        inputs.tell(order.export, absl_flags.FLAGS.export)
        yield order._replace(environment=environment)


def _beside(export: Path, policy: Path | None, output: Path | None) -> tuple[Path, Path]:
    """Returns where the policy and the output are; raises ValueError."""
    step, place = export.resolve().name, export.resolve().parent.parent
    if place.name != "export" and not (policy and output):
        raise ValueError(
            f"{export} is not in a run's directory, so --policy and --output are needed"
        )
    return (
        policy or Path(os.path.relpath(place / "policy" / step)),
        output or Path(os.path.relpath(place.parent / "inspect" / step)),
    )


def _own_steps(export: Path) -> Path | None:
    """Returns the rows of the real steps that the model was fitted to, where its run still has
    them.
    """
    path = export.resolve()
    checkpoint = path.parent.parent.parent / "checkpoints" / path.name
    rows = checkpoint / "real.npy"
    return rows if rows.exists() and files.verify(checkpoint) is None else None


def main() -> None:
    """Runs the program and ends the process."""
    Program(
        define,
        check,
        "vagram_tf.commands.judging.model",
        packages=("matplotlib", "scipy"),
        hold=hold,
    ).main()

"""Trains an agent with a learned model: MBPO with VaGraM or another model loss.

    vagram-train --loss=vagram
    vagram-train --env=Hopper-v5 --distractors=5 --num_steps=10000
    vagram-train --config=runs/InvertedPendulum-v5/vagram/0/config.json --seed=1

A run lives in <workdir>/<env>/<loss>/<seed>/. Started again with the same settings, it continues
from its last checkpoint. Ctrl-C and SIGTERM save before they stop it.
"""

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

from absl import flags as absl_flags

from vagram_tf import quiet
from vagram_tf.commands import flags, inputs, interrupts, paths
from vagram_tf.commands.interrupts import Interrupts
from vagram_tf.commands.program import Program, with_tensorflow
from vagram_tf.config import Config
from vagram_tf.run.directory import RunDirectory


class Order(NamedTuple):
    """A run, its directory, and what asks it to stop."""

    config: Config
    directory: RunDirectory
    interrupts: Interrupts


def define() -> None:
    """Defines the flags."""
    flags.define()
    interrupts.define()
    paths.define("workdir", "runs", "directory that all runs live under")


def check() -> Config:
    """Returns the configuration that the flags describe; raises ValueError."""
    config = flags.config()
    interrupts.named()
    quiet.announce_threads(config.run.threads)
    inputs.check_environment(config.env)
    inputs.check_loss(config.model.loss)
    return config


@contextlib.contextmanager
def hold(config: Config) -> Iterator[Order]:
    """Opens the run's directory; raises ValueError or OSError.

    A stop is also asked for while the run is being built, which then stops before its first step.
    """
    # Whether its module registers it is known only when that has been imported.
    if ":" in config.model.loss:
        with_tensorflow("vagram_tf.model.objectives", config.run.threads).make_objective(
            config.model
        )
    with Interrupts(interrupts.named()) as requests:
        directory = RunDirectory(absl_flags.FLAGS.workdir, config)
        print(
            f"{config.env.name}, {config.model.loss}, seed {config.run.seed}, in {directory.path}",
            flush=True,
        )
        yield Order(config, directory, requests)


def main() -> None:
    """Runs the program and ends the process."""
    Program(
        define,
        check,
        "vagram_tf.commands.train_work",
        lambda order: order.config.run.threads,
        hold=hold,
    ).main()

"""Trains an agent with a learned model: MBPO with VaGraM or another model loss.

    python -m experiments.mbpo --loss=vagram
    python -m experiments.mbpo --env=Hopper-v5 --distractors=5 --num_steps=10000
    python -m experiments.mbpo --config=runs/InvertedPendulum-v5/vagram/0/config.json --seed=1

A run lives in <workdir>/<env>/<loss>/<seed>/. Started again with the same settings, it continues from its last
checkpoint. Ctrl-C and SIGTERM save before they stop it.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from absl import app
from absl import flags as absl_flags

from vagram_tf.commands import flags

if TYPE_CHECKING:
    from vagram_tf.commands.console import Interrupts
    from vagram_tf.config import Config
    from vagram_tf.run.directory import RunDirectory

_WORKDIR = absl_flags.DEFINE_string("workdir", "runs", "directory that all runs live under")


def main(argv: list[str]) -> None:
    del argv
    try:
        flags.check_packages()
        config = flags.config()
    except ValueError as error:
        flags.fail(str(error), 2)
    from vagram_tf.commands.console import Interrupts

    with Interrupts() as interrupts:  # also while the run is being built, which then stops before its first step
        sys.exit(train(config, open_directory(config), interrupts))


def open_directory(config: "Config") -> "RunDirectory":
    """Opens the run's directory, or says why it cannot be and exits."""
    from vagram_tf.envs import suite
    from vagram_tf.run.directory import RunDirectory

    try:
        suite.check_name(config.env.name)
        return RunDirectory(Path(_WORKDIR.value), config)
    except (ValueError, OSError) as error:
        flags.fail(str(error), 2)


def train(config: "Config", directory: "RunDirectory", interrupts: "Interrupts") -> int:
    """Trains, and returns the exit code: 0, or 1 after a fault, or 130 after Ctrl-C."""
    from vagram_tf import quiet
    from vagram_tf.commands.console import Progress, Watchdog, closing_words

    print(f"{config.env.name}, {config.model.loss}, seed {config.run.seed}, in {directory.path}", flush=True)
    quiet.load_tensorflow(config.run.threads)
    from vagram_tf.envs.adapter import EnvironmentFault
    from vagram_tf.guards import Diverged
    from vagram_tf.run.checkpoint import CheckpointError
    from vagram_tf.run.training import Training

    try:
        training = Training(config, directory)
    except (ValueError, OSError, CheckpointError, EnvironmentFault) as error:
        flags.fail(str(error), 1)
    try:
        with Watchdog(training), Progress(training) as progress:
            outcome = training.run(progress.show, interrupts.requested)
    except (EnvironmentFault, Diverged, OSError) as error:
        flags.fail(f"{error}; {training.last_checkpoint_text}", 1)
    print(closing_words(training, outcome, directory.path))
    return 130 if interrupts.by_keyboard else 0


if __name__ == "__main__":
    flags.define()
    app.run(main, flags_parser=flags.parse)

"""What the paper's first two figures have in common: the task and the losses, and what their
programs are asked for.
"""

from pathlib import Path
from typing import NamedTuple

from vagram_tf import files
from vagram_tf.export.load import check_export, environment_of

ENVIRONMENT = "Pendulum-v1"
LOSSES = ("mle", "mse", "itervaml", "taylor", "vagram")
# Rad and rad/s; Pendulum-v1 clips the velocity.
LARGEST_ANGLE = 3.141592653589793
LARGEST_VELOCITY = 8.0
MEASUREMENTS = 5  # of a model per value function, beside the one when it comes


class LandscapeOrder(NamedTuple):
    """The losses around a state: angle in rad and velocity in rad/s; `output` is a path without
    suffix.
    """

    export: Path
    angle: float
    velocity: float
    output: str


class DriftRow(NamedTuple):
    """How good one model is at one moment.

    Attributes:
      loss: that it is trained with.
      seed: of its weights and data: 0, 1, 2, ...
      gradient_step: that it has taken.
      value_step: environment step of the value function, in the loss and in `value_error`. At a
        replacement there are two rows of the same gradient step, one for each.
      value_error: root mean square of V(predicted) - V(real), in standard deviations of V(real).
      state_error: root mean square over all dimensions, each in units of its standard deviation.
    """

    loss: str
    seed: int
    gradient_step: int
    value_step: int
    value_error: float
    state_error: float


class DriftOrder(NamedTuple):
    """Models whose value function is replaced.

    Attributes:
      exports: policies of one run, by environment step.
      output: path of the files without suffix.
      seeds: E, models per loss.
      steps: gradient steps per value function.
      transitions: real steps of each behaviour to train on; half as many to test.
      units: of each hidden layer.
      seed: of everything random.
      measured: rows that are there already and only drawn; none: they are to be measured.
    """

    exports: dict[int, Path]
    output: str
    seeds: int
    steps: int
    transitions: int
    units: int
    seed: int
    measured: list[DriftRow]


def check_policy(directory: str | Path) -> None:
    """Raises ValueError, in one sentence, for what is no policy's export of the task."""
    environment = environment_of(check_export(directory, "policy"))
    if environment.name != ENVIRONMENT or environment.distractors:
        raise ValueError(
            f"{directory} is of {environment.name} with {environment.distractors} distractors; "
            "expected "
            f"is {ENVIRONMENT} without"
        )


def read_drift(path: Path) -> list[DriftRow]:
    """Returns the rows that `value_drift` has written; raises OSError, or ValueError for a file
    that holds something else.
    """
    rows = files.read_csv(path, DriftRow, "value_drift")
    if not rows:
        raise ValueError(f"{path} holds no rows")
    return rows

"""What the paper's first two figures have in common: the task and the losses, and what their
programs are asked for.
"""

import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vagram_tf import files
from vagram_tf.export.load import check_export, environment_of

ENVIRONMENT = "Pendulum-v1"
LOSSES = ("mle", "mse", "itervaml", "taylor", "vagram")
# Rad and rad/s; Pendulum-v1 clips the velocity.
LARGEST_ANGLE = 3.141592653589793
LARGEST_VELOCITY = 8.0
MEASUREMENTS = 5  # of a model per value function, beside the one when it comes


class Landscape(NamedTuple):
    """What the figure shows; the arrays of its `.npz`.

    Attributes:
      title: whose value function it is.
      angle: `[X]` of the grid, rad; 0 is upright.
      velocity: `[Y]`, rad/s.
      reference: angle and velocity of the real next state, a point of the grid.
      value: `[Y, X]`, the value function.
      value_gradient: `[3]`, its gradient at the reference by cosine, sine and velocity.
      loss: `[5, Y, X]` of a prediction at each point, in the order of `LOSSES`.
    """

    title: str
    angle: np.ndarray
    velocity: np.ndarray
    reference: np.ndarray
    value: np.ndarray
    value_gradient: np.ndarray
    loss: np.ndarray


class LandscapeOrder(NamedTuple):
    """The losses around a state.

    Attributes:
      export: of the policy whose value function it is.
      angle: of the real next state, rad.
      velocity: rad/s.
      output: path of the files without suffix.
      computed: what is there already and only drawn, instead of all but the output.
    """

    export: Path | None
    angle: float
    velocity: float
    output: str
    computed: Landscape | None


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


def read_landscape(path: Path) -> Landscape:
    """Returns what `loss_landscape` has written; raises OSError, or ValueError for a file that
    holds something else.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in Landscape._fields}
    except (ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile):  # an array is no `with`
        raise ValueError(f"{path} is not what loss_landscape has written") from None
    return Landscape(**{**found, "title": str(found["title"])})

"""What the paper's first two figures have in common: the task and the losses, and what their
programs are asked for.
"""

from pathlib import Path
from typing import NamedTuple

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
    """

    exports: dict[int, Path]
    output: str
    seeds: int
    steps: int
    transitions: int
    units: int
    seed: int


def check_policy(directory: str | Path) -> None:
    """Raises ValueError, in one sentence, for what is no policy's export of the task."""
    environment = environment_of(check_export(directory, "policy"))
    if environment.name != ENVIRONMENT or environment.distractors:
        raise ValueError(
            f"{directory} is of {environment.name} with {environment.distractors} distractors; "
            "expected "
            f"is {ENVIRONMENT} without"
        )

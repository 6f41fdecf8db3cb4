"""Draws the model losses around one state of the pendulum, as the predicted state moves away from
the real one.

    python -m experiments.loss_landscape --export=runs/Pendulum-v1/vagram/0/export/policy/6000
    python -m experiments.loss_landscape --npz=results/loss_landscape/loss_landscape.npz

The real next state is at --angle and --velocity; the prediction is anywhere on the plane of both.
Writes <output>.png, .pdf and .npz: the value function and the five losses on a grid; with --npz
only draws what was computed before.
"""

from absl import flags as absl_flags

from experiments.paper.task import (
    ENVIRONMENT,
    LARGEST_ANGLE,
    LARGEST_VELOCITY,
    LandscapeOrder,
    check_policy,
    read_landscape,
)
from vagram_tf.commands import inputs, paths
from vagram_tf.commands.program import Program

_COMPUTING = ("export", "angle", "velocity")  # what was computed before has them already


def define() -> None:
    """Defines the flags."""
    number = absl_flags.DEFINE_float
    paths.define(
        "export", None, f"directory of a run in {ENVIRONMENT}, or of one export of its policy"
    )
    number(
        "angle",
        1.7,
        "angle of the real next state in rad, 0 is upright; taken to the nearest point of the grid",
        lower_bound=-LARGEST_ANGLE,
        upper_bound=LARGEST_ANGLE,
    )
    number(
        "velocity",
        -3.0,
        "its angular velocity in rad/s; likewise",
        lower_bound=-LARGEST_VELOCITY,
        upper_bound=LARGEST_VELOCITY,
    )
    paths.define("npz", None, "what was computed before, to be drawn anew instead of --export")
    paths.define("output", "loss_landscape", "path of the files without suffix")


def check() -> LandscapeOrder:
    """Returns what the flags ask for; raises ValueError."""
    given = absl_flags.FLAGS
    export, computed = None, None
    if given.npz:
        if chosen := [f"--{name}" for name in _COMPUTING if given[name].present]:
            raise ValueError(f"--npz has been computed; it does not go with {', '.join(chosen)}")
        computed = read_landscape(given.npz)
    else:
        export = inputs.export(given.export, "policy")
        check_policy(export)
        inputs.tell(export, given.export)
    inputs.check_output(given.output)
    return LandscapeOrder(export, given.angle, given.velocity, str(given.output), computed)


if __name__ == "__main__":
    Program(define, check, "experiments.paper.landscape_work", packages=("matplotlib",)).main()

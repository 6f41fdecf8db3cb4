"""Judges an exported policy: plays episodes of the real environment, and draws one if asked to.

    vagram-evaluate --export=runs/InvertedPendulum-v5/vagram/0
    vagram-evaluate --export=runs/Hopper-v5/vagram/0/export/policy/15000 --episodes=50
    --video=hopper.mp4

Returns are undiscounted sums of the environment's own rewards.
"""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from absl import flags as absl_flags

from vagram_tf.commands import flags, inputs, paths
from vagram_tf.commands.program import Program
from vagram_tf.export.load import check_export, environment_of

if TYPE_CHECKING:
    import gymnasium

_VIDEO_FORMATS = (".mp4", ".gif")


class Order(NamedTuple):
    """What the flags say; an environment per episode, or a single one."""

    export: Path
    episodes: int
    environments: list["gymnasium.Env"]
    sample: bool
    seed: int
    output: Path | None
    video: Path | None


def define() -> None:
    """Defines the flags."""
    paths.define(
        "export", None, "a run's directory, or one export in it: .../export/policy/<env step>"
    )
    absl_flags.DEFINE_integer("episodes", 10, "episodes to play", lower_bound=1)
    absl_flags.DEFINE_integer(
        "seed", 0, "seed of episodes, of sampled actions and of the bootstrap", lower_bound=0
    )
    absl_flags.DEFINE_bool(
        "sample", False, "sample actions from the policy instead of taking its greedy ones"
    )
    paths.define("output", None, "JSON file to write the numbers to")
    paths.define("video", None, f"file to draw the first episode to: {' or '.join(_VIDEO_FORMATS)}")


def check() -> Order:
    """Returns what the flags ask for; raises ValueError."""
    given = absl_flags.FLAGS
    output, video = given.output, given.video
    for file in (output, video):
        if file:
            inputs.check_output(file)
    if video:
        flags.check_packages("imageio", "imageio_ffmpeg")
        if video.suffix not in _VIDEO_FORMATS:
            raise ValueError(
                f"--video must end with {' or '.join(_VIDEO_FORMATS)}, got {str(video)!r}"
            )
    export = inputs.export(given.export, "policy")
    config = environment_of(check_export(export, "policy"))
    instances = 1 if config.instances == "one" else given.episodes
    environments = [inputs.environment(config) for _ in range(instances)]
    inputs.tell(export, given.export)
    return Order(export, given.episodes, environments, given.sample, given.seed, output, video)


def main() -> None:
    """Runs the program and ends the process."""
    Program(define, check, "vagram_tf.commands.judging.policy", packages=("scipy",)).main()

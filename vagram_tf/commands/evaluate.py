"""Judges an exported policy: plays episodes of the real environment, and draws one if asked to.

    vagram-evaluate --export=runs/InvertedPendulum-v5/vagram/0
    vagram-evaluate --export=runs/Hopper-v5/vagram/0/export/policy/15000 --episodes=50
    vagram-evaluate --export=runs/Hopper-v5/vagram/0 --planner=cem

--imagination draws it beside what the exported model imagines from the same start. With --planner,
a planner plays the same episodes, too: it looks for its actions in the exported model, anew at
every step, and the pictures show it. Returns are undiscounted sums of the environment's own
rewards.
"""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from absl import flags as absl_flags

from vagram_tf.commands import flags, inputs, paths
from vagram_tf.commands.program import Program
from vagram_tf.config import EnvConfig
from vagram_tf.export.load import check_export, environment_of

if TYPE_CHECKING:
    import gymnasium

_VIDEO_FORMATS = (".mp4", ".gif")
PLANNERS = ("cem", "mppi", "gradient")


class Planning(NamedTuple):
    """A planner: what `vagram_tf.plan.Planner` takes."""

    terminal_value: bool
    method: str
    horizon: int
    candidates: int
    iterations: int
    spread: float
    disagreement: float


class Order(NamedTuple):
    """What the flags say; an environment per episode, or a single one, from `hold`. The model's
    export, `dynamics`, where it is planned in or imagined with.
    """

    export: Path
    dynamics: Path | None
    config: EnvConfig
    episodes: int
    sample: bool
    seed: int
    output: Path | None
    video: Path | None
    imagination: Path | None
    planning: Planning | None
    environments: Sequence["gymnasium.Env"] = ()


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
    paths.define(
        "imagination",
        None,
        "the same, beside what the exported model imagines from the same start, up to 7 s of it",
    )

    absl_flags.DEFINE_enum("planner", None, PLANNERS, "plays, too, with actions that it plans")
    absl_flags.DEFINE_integer("horizon", 20, "steps of a plan", lower_bound=1)
    absl_flags.DEFINE_integer("candidates", 500, "plans to choose from", lower_bound=2)
    absl_flags.DEFINE_integer(
        "iterations", 3, "how often candidates are drawn, or gradient steps taken", lower_bound=1
    )
    absl_flags.DEFINE_float(
        "spread",
        0.2,
        "standard deviation of the first candidates, of half the range",
        lower_bound=0,
    )
    absl_flags.DEFINE_float(
        "disagreement",
        0.0,
        "what a step costs a plan where the elites disagree, in reward units",
        lower_bound=0.0,
    )
    absl_flags.DEFINE_bool("terminal_value", True, "add the policy's value of where a plan ends")


def check() -> Order:
    """Returns what the flags ask for; raises ValueError."""
    given = absl_flags.FLAGS
    videos = {name: given[name].value for name in ("video", "imagination") if given[name].value}
    for file in (given.output, *videos.values()):
        if file:
            inputs.check_file(file)
    for name, file in videos.items():
        flags.check_packages("imageio", "imageio_ffmpeg")
        if file.suffix not in _VIDEO_FORMATS:
            raise ValueError(
                f"--{name} must end with {' or '.join(_VIDEO_FORMATS)}, got {str(file)!r}"
            )
    export = inputs.export(given.export, "policy")
    config = environment_of(check_export(export, "policy"))
    planned = given.planner is not None
    dynamics = _dynamics(given, export) if planned or given.imagination else None
    return Order(
        export,
        dynamics,
        config,
        given.episodes,
        given.sample,
        given.seed,
        given.output,
        given.video,
        given.imagination,
        _planning(given, export) if planned else None,
    )


@contextlib.contextmanager
def hold(order: Order) -> Iterator[Order]:
    """Opens the environments; raises ValueError."""
    with inputs.environments(order.config, order.episodes) as environments:
        inputs.check_sizes(order.export, "policy", environments[0])
        inputs.tell(order.export, absl_flags.FLAGS.export)
        yield order._replace(environments=environments)


def _dynamics(given: absl_flags.FlagValues, policy: Path) -> Path:
    """Returns the model's export; raises ValueError where there is none that the flags need."""
    # The policy's, of the same step; or what the given path names.
    own = policy.resolve()
    beside = own.parent.parent / "dynamics" / own.name
    dynamics = beside if beside.is_dir() else inputs.export(given.export, "dynamics")
    check_export(dynamics, "dynamics", "each" if given.planner else None)
    return dynamics


def _planning(given: absl_flags.FlagValues, policy: Path) -> Planning:
    """Returns the planner that the flags describe; raises ValueError."""
    if given.terminal_value:
        check_export(policy, "policy", "value")
    return Planning(
        given.terminal_value,
        given.planner,
        given.horizon,
        given.candidates,
        given.iterations,
        given.spread,
        given.disagreement,
    )


def main() -> None:
    """Runs the program and ends the process."""
    Program(
        define, check, "vagram_tf.commands.judging.policy", packages=("scipy",), hold=hold
    ).main()

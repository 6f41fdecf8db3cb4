"""Draws what happens to a model when the value function that it was trained for is replaced by a later one.

    python -m experiments.mbpo --env=Pendulum-v1 --num_steps=3000 --export_every=200
    python -m experiments.value_drift --run=runs/Pendulum-v1/vagram/0

Models are trained with each loss on one fixed set of real transitions. The value function in the losses is that of the
run's first export, after --steps gradient steps that of the next, and so on; value error and state error are those on
transitions of other episodes. Writes <output>.png, .svg and .csv.
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from absl import app
from absl import flags as absl_flags

from experiments.paper.pendulum import ENVIRONMENT, LOSSES, check_policy
from vagram_tf.commands import flags

if TYPE_CHECKING:
    import tensorflow as tf

    from vagram_tf.export.load import Export
    from vagram_tf.types import Transition

_MEASUREMENTS = 5  # per value function, beside the one when it comes


class Row(NamedTuple):
    """How good one model is at one moment.

    Attributes:
      loss: that it is trained with.
      seed: of its weights and data: 0, 1, 2, ...
      gradient_step: that it has taken.
      value_step: environment step of the value function, in the loss and in `value_error`. At a replacement there are
        two rows of the same gradient step, one for each.
      value_error: root mean square of V(predicted) - V(real), in standard deviations of V(real).
      state_error: root mean square over all dimensions, each in units of its standard deviation.
    """

    loss: str
    seed: int
    gradient_step: int
    value_step: int
    value_error: float
    state_error: float


def define() -> None:
    """Defines the flags."""
    string, integer = absl_flags.DEFINE_string, absl_flags.DEFINE_integer
    string("run", None, f"directory of a run in {ENVIRONMENT} that left several exports: <workdir>/<env>/<loss>/<seed>")
    integer("seeds", 8, "models per loss, each with initial weights and a bootstrap of the data of its own",
            lower_bound=2)
    integer("steps", 500, "gradient steps with each value function", lower_bound=_MEASUREMENTS)
    integer("transitions", 1000, "real steps to train on with each of greedy, sampled and random actions",
            lower_bound=2)
    integer("units", 16, "units of each of a model's two hidden layers", lower_bound=1)
    integer("seed", 0, "seed of episodes, actions, weights and batches", lower_bound=0)
    string("output", None, "path of the files without suffix; unset: <run>/value_drift")


def main(argv: list[str]) -> None:
    del argv
    given = absl_flags.FLAGS
    try:
        flags.check_packages("matplotlib", "scipy")
        exports = _exports(given.run)
        output = given.output or str(Path(given.run) / "value_drift")
        flags.check_output(output)
    except (ValueError, OSError) as error:
        flags.fail(str(error), 2)
    from vagram_tf import quiet
    from vagram_tf.config import RunConfig

    quiet.load_tensorflow(RunConfig().threads)
    from experiments.paper import drift_figure
    from vagram_tf import files
    from vagram_tf.envs.adapter import EnvironmentFault

    try:
        rows = measure(exports, given.seeds, given.steps, given.transitions, given.units, given.seed)
        table = files.csv_text([Row._fields, *rows], digits=5)
        written = [files.write(Path(f"{output}.csv"), table), *drift_figure.draw(rows, output)]
    except (ValueError, OSError, EnvironmentFault) as error:
        flags.fail(str(error), 1)
    print(summary(rows))
    print("\n".join(f"written  {path}" for path in written))


def measure(
    exports: dict[int, Path], seeds: int, steps: int, transitions: int, units: int, seed: int
) -> list[Row]:
    """Trains `seeds` models with each loss while the value function is replaced, and returns how good they were.

    Args:
      exports: policies of one run, by environment step.
      seeds: E, models per loss.
      steps: gradient steps per value function.
      transitions: real steps of each behaviour to train on; half as many to test.
      units: of each hidden layer.
      seed: of everything random.
    """
    import tensorflow as tf

    from experiments.paper.drift_models import Models
    from vagram_tf import seeding
    from vagram_tf.export.load import open_export

    last = open_export(exports[max(exports)], "policy")
    train, test = (_transitions(last, count, seeding.derive(seed, name))
                   for name, count in (("train", transitions), ("test", math.ceil(transitions / 2))))
    values = tf.train.Checkpoint(root=last.module)  # the critics that all value functions are loaded into, in turn

    def value_function(observation: "tf.Tensor") -> "tf.Tensor":
        return last.module.value(observation)["value"][0]

    rows = []
    for loss in LOSSES:
        tf.keras.utils.set_random_seed(seeding.derive(seed, "networks"))
        models = Models(loss, value_function, train, seeds, units, seeding.derive(seed, "model"))
        taken = 0
        for value_step, export in exports.items():
            values.read(str(export / "variables" / "variables")).assert_existing_objects_matched()
            models.prepare()
            for part in range(_MEASUREMENTS + 1):
                if part:
                    count = steps * part // _MEASUREMENTS - steps * (part - 1) // _MEASUREMENTS
                    models.train(count)
                    taken += count
                errors = zip(*(error.numpy().tolist() for error in models.errors(test)), strict=True)
                rows += [Row(loss, member, taken, value_step, *of) for member, of in enumerate(errors)]
        print(f"{loss:9} {taken} gradient steps", flush=True)
    return rows


def summary(rows: list[Row]) -> str:
    """Returns what the figure shows in numbers: medians over seeds and value functions, and the largest jump.

    A jump is the factor that a replacement of the value function takes the median value error by.
    """
    import numpy as np

    lines = [f"\n{'':9}  {'state error':>11}  {'value error':>11}  {'under the next V':>16}  {'largest jump':>12}"]
    for loss in LOSSES:
        at: dict[tuple[int, int], list[Row]] = {}
        for row in rows:
            if row.loss == loss:
                at.setdefault((row.gradient_step, row.value_step), []).append(row)
        steps = sorted({value_step for _, value_step in at})
        ends = {value_step: gradient_step for gradient_step, value_step in sorted(at)}
        old, new = ([at[ends[before], value_step] for before, value_step in pairs] for pairs in (
            zip(steps[:-1], steps[:-1], strict=True), zip(steps[:-1], steps[1:], strict=True)))
        state = np.median([row.state_error for step in steps for row in at[ends[step], step]])
        before, after = (np.median([[row.value_error for row in of] for of in side], axis=1) for side in (old, new))
        lines.append(f"{loss:9}  {state:11.4g}  {np.median(before):11.4g}  {np.median(after):16.4g}  "
                     f"{np.max(after / before):12.2f}")
    return "\n".join([*lines, ""])


def _transitions(export: "Export", count: int, seed: int) -> "Transition":
    """Returns real steps with the policy's greedy actions, its sampled ones and random ones, `count` of each."""
    import tensorflow as tf

    from vagram_tf.commands.judging.steps import collect
    from vagram_tf.envs import suite
    from vagram_tf.envs.action_range import ActionRange
    from vagram_tf.types import Transition

    env = suite.make(export.environment)
    steps = collect(env, export.module, count, seed)
    action = ActionRange(env.action_space).to_unit(steps.action)
    return Transition(*(tf.cast(field, tf.float32) for field in (
        steps.observation, action, steps.reward, ~steps.terminated, steps.next_observation)))


def _exports(run: str | None) -> dict[int, Path]:
    """Returns the run's exports of policies by environment step, in order; raises ValueError."""
    if not run:
        raise ValueError("--run is needed: the directory of a run with exports")
    place = Path(run) / "export" / "policy"
    exports = {int(path.name): path for path in sorted(place.glob("*"), key=lambda path: path.name.zfill(12))
               if path.name.isdecimal()}
    for path in exports.values():
        check_policy(path)
    if len(exports) < 2:
        raise ValueError(f"{place} holds {len(exports)} exports; two or more are needed: train with --export_every")
    return exports


if __name__ == "__main__":
    define()
    app.run(main, flags_parser=flags.parse)

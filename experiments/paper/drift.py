"""Models on one fixed set of real transitions, while the value function that they are trained for
is replaced.
"""

import contextlib
import math

import numpy as np
import tensorflow as tf

from experiments.paper.drift_models import Models
from experiments.paper.task import LOSSES, MEASUREMENTS, DriftOrder, DriftRow
from vagram_tf import seeding
from vagram_tf.commands.judging.steps import collect
from vagram_tf.envs import tasks
from vagram_tf.envs.action_range import ActionRange
from vagram_tf.export.load import Export, open_export
from vagram_tf.types import Transition


def measure(order: DriftOrder) -> list[DriftRow]:
    """Trains models with each loss while the value function is replaced, and returns how good they
    were.

    Raises:
      ValueError: an export cannot be loaded.
      EnvironmentFault: the environment failed.
    """
    exports, steps, seed = order.exports, order.steps, order.seed
    last = open_export(exports[max(exports)], "policy")
    train, test = (
        _transitions(last, count, seeding.derive(seed, name))
        for name, count in (
            ("train", order.transitions),
            ("test", math.ceil(order.transitions / 2)),
        )
    )
    # The critics that all value functions are loaded into, in turn.
    values = tf.train.Checkpoint(root=last.module)

    def value_function(observation: tf.Tensor) -> tf.Tensor:
        return last.module.value(observation)["value"][0]

    rows = []
    for loss in LOSSES:
        tf.keras.utils.set_random_seed(seeding.derive(seed, "networks"))
        models = Models(
            loss, value_function, train, order.seeds, order.units, seeding.derive(seed, "model")
        )
        taken = 0
        for value_step, export in exports.items():
            values.read(str(export / "variables" / "variables")).assert_existing_objects_matched()
            models.prepare()
            for part in range(MEASUREMENTS + 1):
                if part:
                    count = steps * part // MEASUREMENTS - steps * (part - 1) // MEASUREMENTS
                    models.train(count)
                    taken += count
                errors = zip(
                    *(error.numpy().tolist() for error in models.errors(test)), strict=True
                )
                rows += [
                    DriftRow(loss, member, taken, value_step, *of)
                    for member, of in enumerate(errors)
                ]
        print(f"{loss:9} {taken} gradient steps", flush=True)
    return rows


def summary(rows: list[DriftRow]) -> str:
    """Returns what the figure shows in numbers: medians over seeds and value functions, and the
    largest jump.

    A jump is the factor that a replacement of the value function takes the median value error by.
    """
    lines = [
        f"\n{'':9}  {'state error':>11}  {'value error':>11}  {'under the next V':>16}  "
        f"{'largest jump':>12}"
    ]
    for loss in LOSSES:
        at: dict[tuple[int, int], list[DriftRow]] = {}
        for row in rows:
            if row.loss == loss:
                at.setdefault((row.gradient_step, row.value_step), []).append(row)
        steps = sorted({value_step for _, value_step in at})
        ends = {value_step: gradient_step for gradient_step, value_step in sorted(at)}
        old, new = (
            [at[ends[before], value_step] for before, value_step in pairs]
            for pairs in (
                zip(steps[:-1], steps[:-1], strict=True),
                zip(steps[:-1], steps[1:], strict=True),
            )
        )
        state = np.median([row.state_error for step in steps for row in at[ends[step], step]])
        before, after = (
            np.median([[row.value_error for row in of] for of in side], axis=1)
            for side in (old, new)
        )
        lines.append(
            f"{loss:9}  {state:11.4g}  {np.median(before):11.4g}  {np.median(after):16.4g}  "
            f"{np.max(after / before):12.2f}"
        )
    return "\n".join([*lines, ""])


def _transitions(export: Export, count: int, seed: int) -> Transition:
    """Returns real steps with the policy's greedy actions, its sampled ones and random ones,
    `count` of each.
    """
    with contextlib.closing(tasks.make(export.environment)) as env:
        steps = collect(env, export.environment, export, count, seed)
    action = ActionRange(env.action_space).to_unit(steps.action)
    return Transition(
        *(
            tf.cast(field, tf.float32)
            for field in (
                steps.observation,
                action,
                steps.reward,
                ~steps.terminated,
                steps.next_observation,
            )
        )
    )

"""A loss that knows what no loss can know: which dimensions of Pendulum-v1 with distractors are the
pendulum's.

    python -m experiments.mbpo --loss=experiments.controls.task_only:task_only \\
        --env=Pendulum-v1 --distractors=30 --distractor_kind=rotation

It bounds what a choice of weights can buy: the study `bottleneck` has it beside the losses.
"""

import tensorflow as tf

import vagram_tf
from vagram_tf.model.objective import Prepared, ValueFunctions
from vagram_tf.model.objectives import SquaredError
from vagram_tf.types import Prediction, Transition

_TASK = 3  # cosine and sine of the angle, and its velocity, come first


@vagram_tf.register_objective("task_only")
class TaskOnly(SquaredError):
    """`mse` of the pendulum's own dimensions."""

    def loss(
        self,
        prediction: Prediction,
        target: Transition,
        prepared: Prepared,
        value_functions: ValueFunctions,
    ) -> tf.Tensor:
        """Returns `[E, B]`."""
        return super().loss(
            prediction._replace(next_observation=prediction.next_observation[..., :_TASK]),
            target._replace(next_observation=target.next_observation[..., :_TASK]),
            {"spread": prepared["spread"][:_TASK]},
            value_functions,
        )

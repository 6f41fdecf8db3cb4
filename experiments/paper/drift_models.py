"""The models of `value_drift`: one per seed, trained side by side on a loss whose value function is
replaced.
"""

from typing import NamedTuple

import tensorflow as tf

from vagram_tf.compiler import compiled
from vagram_tf.config import ModelConfig
from vagram_tf.model import losses
from vagram_tf.model.ensemble import DynamicsEnsemble
from vagram_tf.model.objective import change_spread
from vagram_tf.model.objectives import make_objective
from vagram_tf.types import Transition, ValueFunction

_BATCH = 128


class DriftErrors(NamedTuple):
    """Of each model, `[E]`: root mean squares of the value's error, in standard deviations of the
    value, and of the state's, each dimension in units of its standard deviation."""

    value: tf.Tensor
    state: tf.Tensor


class Models(tf.Module):
    """E models that share nothing but the transitions and the loss: the members of an ensemble.

    Only the state is learned. Each model's examples are a bootstrap of the transitions, drawn once.

    Args:
      loss: one of the package's.
      value_function: `[B, D] -> [B]`; what it answers may change between calls, followed by
        `prepare`.
      data: `[N]` transitions.
      count: E.
      units: of each of the two hidden layers.
      seed: of bootstrap and batches. The initial weights come from the global seed.
    """

    def __init__(
        self,
        loss: str,
        value_function: ValueFunction,
        data: Transition,
        count: int,
        units: int,
        seed: int,
    ):
        super().__init__(name="models")
        # The paper's figure, the paper's formula.
        config = ModelConfig(
            loss=loss,
            members=count,
            elites=count,
            model_hidden_units=(units, units),
            value_gradient_weights="example",
        )
        self._objective, self._values, self._data = make_objective(config), [value_function], data
        size, actions = data.observation.shape[-1], data.action.shape[-1]
        self._ensemble = DynamicsEnsemble(size, actions, count, count, config.model_hidden_units)
        self._ensemble.fit_normalizer(data)
        self._spread = change_spread(data)
        self._generator = tf.random.Generator.from_seed(seed, alg="philox")
        examples = data.reward.shape[0]
        self._bootstrap = self._generator.uniform(
            [count, examples], maxval=examples, dtype=tf.int32
        )
        self._optimizer = tf.keras.optimizers.legacy.Adam(config.model_learning_rate, epsilon=1e-8)
        self._optimizer._create_all_weights(self._ensemble.trainable_variables)

    def prepare(self) -> None:
        """Computes what the loss knows of each example, with the value function as it is now."""
        self._prepared = self._objective.finish(self._prepare(), self._data)

    def train(self, steps: int) -> None:
        """Takes gradient steps on random batches of each model's bootstrap."""
        shape = [steps, self._ensemble.members, _BATCH]
        chosen = self._generator.uniform(shape, maxval=self._bootstrap.shape[1], dtype=tf.int32)
        rows = tf.transpose(
            tf.gather(self._bootstrap, tf.transpose(chosen, [1, 0, 2]), batch_dims=1), [1, 0, 2]
        )
        self._train(
            *tf.nest.map_structure(
                lambda field: tf.gather(field, rows), (self._data, self._prepared)
            )
        )

    @compiled
    def errors(self, data: Transition) -> DriftErrors:
        """Returns the models' errors on transitions `[N]`, under the value function as it is
        now.
        """
        members, (value_function,) = self._ensemble.members, self._values
        observation, action = (tf.tile(field[tf.newaxis], [members, 1, 1]) for field in data[:2])
        predicted = self._ensemble(observation, action).next_observation
        real = data.next_observation
        value = value_function(real)
        predicted_value = tf.reshape(
            value_function(tf.reshape(predicted, [-1, real.shape[-1]])), [members, -1, 1]
        )
        squared = losses.itervaml(predicted_value, value[:, tf.newaxis])
        scaled = losses.mse(
            *(each / tf.math.reduce_std(real, axis=0) for each in (predicted, real))
        )
        return DriftErrors(
            *(
                tf.sqrt(tf.reduce_mean(error, axis=-1))
                for error in (squared / tf.math.reduce_variance(value), scaled)
            )
        )

    @compiled
    def _prepare(self) -> dict[str, tf.Tensor]:
        return self._objective.prepare(self._data, self._values)

    @compiled
    def _train(self, batches: Transition, prepared: dict[str, tf.Tensor]) -> None:
        variables = self._ensemble.trainable_variables

        def train_step(i: tf.Tensor) -> tuple[tf.Tensor]:
            batch, known = tf.nest.map_structure(lambda field: field[i], (batches, prepared))
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(variables)
                prediction = self._objective.predict(self._ensemble, batch)
                loss = self._objective.loss(
                    prediction, batch, known | {"spread": self._spread}, self._values
                )
                # Each model gets its own examples' gradient.
                total = tf.reduce_sum(tf.reduce_mean(loss, axis=-1))
            gradients = tape.gradient(
                total, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO
            )
            self._optimizer.apply_gradients(zip(gradients, variables, strict=True))
            return (i + 1,)

        tf.while_loop(lambda i: i < batches.reward.shape[0], train_step, [tf.constant(0)])

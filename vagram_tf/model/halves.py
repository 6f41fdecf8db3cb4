"""Gradient steps of an ensemble, its members in two halves side by side.

Members share nothing, so a half's numbers are those that all together would have. As one call, the
small products of all members leave a second core idle between them; as two, each in a thread of its
own, they do so less.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import tensorflow as tf

from vagram_tf.compiler import compiled
from vagram_tf.config import ModelConfig
from vagram_tf.model.ensemble import DynamicsEnsemble
from vagram_tf.model.objective import Objective, Prepared, TermWeights
from vagram_tf.model.splits import gather
from vagram_tf.types import Transition, ValueFunction

_BOUND_WIDTH_WEIGHT = 0.01  # PETS: keeps the log-variance bounds tight


class Examples(NamedTuple):
    """What batches are taken of in a fit.

    Attributes:
      data: `[N]` transitions.
      prepared: what the objective has prepared of each, `[N, ...]`.
      spread: `[D]`, of the changes.
      weights: of the objective's terms.
    """

    data: Transition
    prepared: Prepared
    spread: tf.Tensor
    weights: TermWeights


class Chunk(NamedTuple):
    """Steps of one compiled call.

    Attributes:
      slots: `[n, E, B]` of the data, padded to the n of all chunks.
      steps: how many of them are taken.
      seed: a stateless seed `[2]`.
    """

    slots: tf.Tensor
    steps: int
    seed: tf.Tensor


class Halves:
    """An ensemble's training: from `begin` to `end` weights and optimizer change in the halves
    alone, and whoever trains gives the ensemble their averages.

    Args:
      ensemble: the whole.
      optimizer: its Adam.
      objective: what is minimised.
      value_functions: for objectives that depend on values.
      config: the model's.
    """

    def __init__(
        self,
        ensemble: DynamicsEnsemble,
        optimizer: tf.keras.optimizers.legacy.Adam,
        objective: Objective,
        value_functions: Sequence[ValueFunction],
        config: ModelConfig,
    ):
        self._ensemble, self._optimizer = ensemble, optimizer
        count = ensemble.members
        # Of one member alone, products have other last bits: so few stay together.
        middle = (count + 1) // 2 if count >= 4 else count
        self._halves = [
            _Half(members, ensemble, objective, value_functions, config)
            for members in (range(middle), range(middle, count))
            if members
        ]
        self._traced = False

    def begin(self) -> None:
        """Takes over weights and optimizer. The averages of the weights begin with them."""
        for half in self._halves:
            half.copy(self._ensemble, self._optimizer)

    def train(self, examples: Examples, chunks: Sequence[Chunk]) -> list[tf.Tensor]:
        """Takes the steps of chunks, at least one; returns the averages of the weights, `[E, ...]`
        each.
        """
        if not self._traced:  # one after the other
            for half in self._halves:
                half.train(examples, chunks[:1])
            chunks, self._traced = chunks[1:], True
        with ThreadPoolExecutor(len(self._halves)) as threads:  # which waits for both
            list(threads.map(lambda half: half.train(examples, chunks), self._halves))
        parts = zip(*(half.averages for half in self._halves), strict=True)
        return [tf.concat(part, axis=0) for part in parts]

    def end(self) -> None:
        """Gives the optimizer's steps and moments back."""
        parts = zip(*(half.optimizer.variables() for half in self._halves), strict=True)
        for variable, part in zip(self._optimizer.variables(), parts, strict=True):
            variable.assign(tf.concat(part, axis=0) if variable.shape.rank else part[0])


class _Half:
    """Some members, with variables of their own.

    Attributes:
      ensemble: of these members alone.
      optimizer: its Adam.
      averages: of its weights, `[M, ...]`.
    """

    def __init__(
        self,
        members: range,
        ensemble: DynamicsEnsemble,
        objective: Objective,
        value_functions: Sequence[ValueFunction],
        config: ModelConfig,
    ):
        self._members, self._first = tf.constant(members), members[0]
        self.ensemble = ensemble.alike(len(members))
        self._objective, self._value_functions = objective, value_functions
        self._config = config
        self.optimizer = adam(config, self.ensemble)
        self.averages: list[tf.Tensor] = []

    def copy(self, ensemble: DynamicsEnsemble, optimizer: tf.keras.optimizers.legacy.Adam) -> None:
        """Takes over what the whole has of these members."""
        self.ensemble.copy(ensemble, self._members)
        for own, of_all in zip(self.optimizer.variables(), optimizer.variables(), strict=True):
            own.assign(tf.gather(of_all, self._members) if own.shape.rank else of_all)
        self.averages = [tf.identity(weight) for weight in self.ensemble.trainable_variables]

    def train(self, examples: Examples, chunks: Sequence[Chunk]) -> None:
        """Takes the steps of chunks."""
        for chunk in chunks:
            slots = tf.gather(chunk.slots, self._members, axis=1)
            batch, prepared = gather((examples.data, examples.prepared), slots)
            known = prepared, examples.spread, examples.weights
            self.averages = self._take_steps(
                batch, *known, tf.constant(chunk.steps), chunk.seed, self.averages
            )

    @compiled
    def _take_steps(
        self,
        batch: Transition,
        prepared: Prepared,
        spread: tf.Tensor,
        weights: TermWeights,
        steps: tf.Tensor,
        seed: tf.Tensor,
        averages: list[tf.Tensor],
    ) -> list[tf.Tensor]:
        """Takes the first `steps` of `[n, M, B]` batches, and the averages of the weights along."""
        variables = self.ensemble.trainable_variables
        left = self._config.model_averaging
        kept = 1.0 - self._config.model_learning_rate * self._config.model_weight_decay

        def train_step(
            i: tf.Tensor, averages: list[tf.Tensor]
        ) -> tuple[tf.Tensor, list[tf.Tensor]]:
            step_batch, step_prepared = tf.nest.map_structure(
                lambda field: field[i], (batch, prepared)
            )
            # No two halves draw the same.
            known = step_prepared | {"spread": spread, "seed": seed + tf.stack([self._first, i])}
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(variables)
                terms = self._objective.terms_of(
                    self.ensemble, step_batch, known, self._value_functions
                )
                # Summed over members: each gets the gradient of its own batch.
                loss = tf.reduce_sum(self._objective.step_loss(terms, weights))
                loss += _BOUND_WIDTH_WEIGHT * tf.reduce_sum(self.ensemble.bound_width())
            self.optimizer.apply_gradients(
                zip(tape.gradient(loss, variables), variables, strict=True)
            )
            for kernel in self.ensemble.kernels:
                kernel.assign(kernel * kept)
            return i + 1, [
                left * average + (1.0 - left) * variable
                for average, variable in zip(averages, variables, strict=True)
            ]

        return tf.while_loop(lambda i, _: i < steps, train_step, [tf.constant(0), averages])[1]


def adam(config: ModelConfig, ensemble: DynamicsEnsemble) -> tf.keras.optimizers.legacy.Adam:
    """Returns Adam with its moments of an ensemble's weights."""
    optimizer = tf.keras.optimizers.legacy.Adam(config.model_learning_rate, epsilon=1e-8)
    optimizer._create_all_weights(ensemble.trainable_variables)
    return optimizer

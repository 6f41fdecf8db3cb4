"""The `--loss` choices: the only place where the pure losses meet networks.

An objective is prepared once per fit, on the whole dataset, and then asked for the terms of batches
of it. To add one, register it; the trainer and the driver need no change:

    @vagram_tf.register_objective("huber")
    class Huber(vagram_tf.Objective):
        def loss(self, prediction, target, prepared, value_functions):
            return tf.reduce_mean(tf.losses.huber(...), axis=-1)          # [E, B]

and pass `--loss=my_module:huber`.
"""

import importlib
from collections.abc import Callable
from typing import TypeVar

import tensorflow as tf

from vagram_tf.config import ModelConfig
from vagram_tf.errors import one_line
from vagram_tf.model import losses
from vagram_tf.model.ensemble import DynamicsEnsemble
from vagram_tf.model.objective import (
    Objective,
    Prepared,
    Terms,
    TermWeights,
    ValueAware,
    ValueFunctions,
    as_they_come,
    change_spread,
    reward_nll,
)
from vagram_tf.model.value_gradients import WEIGHTS, clip_in_spreads, value_gradients
from vagram_tf.types import Prediction, Transition

Build = TypeVar("Build", bound=Callable[[ModelConfig], Objective])
_REGISTRY: dict[str, Callable[[ModelConfig], Objective]] = {}


def register_objective(name: str) -> Callable[[Build], Build]:
    """Returns a decorator that makes an `Objective` class, or a function that makes one,
    `--loss=module:name`.

    Raises:
      ValueError: another module has taken the name.
    """

    def register(build: Build) -> Build:
        if name in _REGISTRY and _REGISTRY[name].__module__ != build.__module__:
            raise ValueError(
                f"an objective {name!r} is registered already, by {_REGISTRY[name].__module__}"
            )
        _REGISTRY[name] = build
        return build

    return register


def make_objective(config: ModelConfig) -> Objective:
    """Builds the objective that the configuration names.

    Raises:
      ValueError: nobody registered that name, or its module cannot be imported.
    """
    module, _, name = config.loss.rpartition(":")
    if module:
        try:
            importlib.import_module(module)
        except Exception as error:
            raise ValueError(
                f"loss {config.loss!r}: cannot import {module}: {one_line(error)}"
            ) from error
    if name not in _REGISTRY or (module and _REGISTRY[name].__module__ == __name__):
        raise ValueError(
            f"loss {name!r} is not registered; there are {', '.join(sorted(_REGISTRY))}"
        )
    return _REGISTRY[name](config)


@register_objective("mle")
class Likelihood(Objective):
    """Gaussian maximum likelihood of state and reward (PETS, MBPO): both in nats, the reward one
    dimension more.
    """

    samples = True

    def loss(
        self,
        prediction: Prediction,
        target: Transition,
        prepared: Prepared,
        value_functions: ValueFunctions,
    ) -> tf.Tensor:
        return losses.gaussian_nll(
            prediction.next_observation,
            prediction.next_observation_log_variance,
            target.next_observation,
        )

    def predict(self, ensemble: DynamicsEnsemble, batch: Transition) -> Prediction:
        return ensemble(batch.observation, batch.action)

    def reward_loss(self, prediction: Prediction, target: Transition) -> tf.Tensor:
        return reward_nll(prediction.reward, prediction.reward_log_variance, target.reward)

    def readout(self, prediction: Prediction, target: Transition) -> tf.Tensor:
        return tf.zeros_like(prediction.reward)

    def weights(self, reference: Terms, warm_up: bool) -> TermWeights:
        return as_they_come()

    def score(self, terms: Terms, weights: TermWeights) -> tf.Tensor:
        return tf.reduce_mean(terms.loss + terms.reward_loss, axis=-1)

    def step_loss(self, terms: Terms, weights: TermWeights) -> tf.Tensor:
        # Each dimension has a learned variance of its own already.
        return self.score(terms, weights)

    def improved(self, best: tf.Tensor, new: tf.Tensor) -> tf.Tensor:
        return best - new > 0.01  # nats: what 1 % of one dimension's standard deviation is worth


@register_objective("mse")
class SquaredError(Objective):
    """Squared error, each dimension in units of its changes' spread."""

    def loss(
        self,
        prediction: Prediction,
        target: Transition,
        prepared: Prepared,
        value_functions: ValueFunctions,
    ) -> tf.Tensor:
        spread = prepared["spread"]
        return losses.mse(prediction.next_observation / spread, target.next_observation / spread)


@register_objective("itervaml")
class IterVAML(ValueAware):
    """Squared value error (Farahmand 2018); the gradient runs through V into the prediction."""

    def prepare(self, batch: Transition, value_functions: ValueFunctions) -> Prepared:
        return {"value": _values(value_functions, batch.next_observation)}  # [B, C]

    def loss(
        self,
        prediction: Prediction,
        target: Transition,
        prepared: Prepared,
        value_functions: ValueFunctions,
    ) -> tf.Tensor:
        return losses.itervaml(
            _values(value_functions, prediction.next_observation), prepared["value"]
        )


@register_objective("calibrated_itervaml")
class CalibratedIterVAML(IterVAML):
    """Squared error of the expected value (Voelcker et al. 2025), estimated without bias from
    reparameterised samples.

    The gradient runs through V and the samples into mean and variance. The reward's variance stays
    a read-out.
    """

    samples = True

    def predict(self, ensemble: DynamicsEnsemble, batch: Transition) -> Prediction:
        detached = super().predict(ensemble, batch)
        return ensemble(batch.observation, batch.action)._replace(
            reward_log_variance=detached.reward_log_variance
        )

    def loss(
        self,
        prediction: Prediction,
        target: Transition,
        prepared: Prepared,
        value_functions: ValueFunctions,
    ) -> tf.Tensor:
        mean, log_variance = (
            x[..., tf.newaxis, :]
            for x in (prediction.next_observation, prediction.next_observation_log_variance)
        )
        *leading, _, size = mean.shape
        noise = tf.random.stateless_normal(
            [*leading, self.config.value_samples, size], prepared["seed"]
        )
        sample = mean + noise * tf.exp(0.5 * log_variance)  # [E, B, k, D]
        return losses.calibrated_itervaml(_values(value_functions, sample), prepared["value"])

    def readout(self, prediction: Prediction, target: Transition) -> tf.Tensor:
        return reward_nll(
            tf.stop_gradient(prediction.reward), prediction.reward_log_variance, target.reward
        )


@register_objective("taylor")
class Taylor(ValueAware):
    """First-order value error (Voelcker et al. 2022, eq. 5)."""

    def prepare(self, batch: Transition, value_functions: ValueFunctions) -> Prepared:
        # [B, C, D]
        return {"value_gradient": value_gradients(value_functions, batch.next_observation)}

    def finish(self, prepared: Prepared, data: Transition) -> Prepared:
        """Clips the gradients of all critics, `[N, C, D]`."""
        quantile = self.config.value_gradient_quantile
        return {
            "value_gradient": clip_in_spreads(
                prepared["value_gradient"], change_spread(data), quantile
            )
        }

    def loss(
        self,
        prediction: Prediction,
        target: Transition,
        prepared: Prepared,
        value_functions: ValueFunctions,
    ) -> tf.Tensor:
        return losses.taylor(
            prediction.next_observation, target.next_observation, prepared["value_gradient"]
        )


@register_objective("vagram")
class VaGraM(Taylor):
    """Value-gradient weighted squared error (Voelcker et al. 2022, eq. 7)."""

    def finish(self, prepared: Prepared, data: Transition) -> Prepared:
        """Makes one weight of the clipped gradients of all critics, `[N, 1, D]`."""
        spread = change_spread(data)
        # Free of the observation's units.
        gradient = super().finish(prepared, data)["value_gradient"] * spread
        weights = WEIGHTS[self.config.value_gradient_weights](gradient) / spread
        return {"value_gradient": weights[:, tf.newaxis]}

    def loss(
        self,
        prediction: Prediction,
        target: Transition,
        prepared: Prepared,
        value_functions: ValueFunctions,
    ) -> tf.Tensor:
        return losses.vagram(
            prediction.next_observation, target.next_observation, prepared["value_gradient"]
        )


def _values(value_functions: ValueFunctions, observation: tf.Tensor) -> tf.Tensor:
    """Returns `[..., C]` of observations `[..., D]`."""
    *leading, size = observation.shape
    flat = tf.reshape(observation, [-1, size])
    return tf.stack([tf.reshape(v(flat), leading) for v in value_functions], axis=-1)

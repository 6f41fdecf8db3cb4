"""The `--loss` choices: the only place where the pure losses meet networks.

An objective is prepared once per fit, on the whole dataset, and then called on batches of it. To add one, register
it; the trainer and the driver need no change:

    @vagram_tf.register_objective("huber")
    def huber(config):
        def loss(prediction, target, prepared, value_functions):
            return tf.reduce_mean(tf.losses.huber(...), axis=-1)          # [E, B]
        return vagram_tf.Objective(loss)

and pass `--loss=my_module:huber`.
"""

import importlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from vagram_tf.config import ModelConfig
from vagram_tf.model import losses
from vagram_tf.model.value_gradients import clip_by_norm_quantile, value_gradients
from vagram_tf.types import Prediction, Transition, ValueFunction

Prepared = dict[str, tf.Tensor]
"""What an objective knows of each example beside its transition: tensors with the example axes first."""


def _nothing(batch: Transition, value_functions: Sequence[ValueFunction]) -> Prepared:
    return {}


class Objective(NamedTuple):
    """What the ensemble's means are trained for.

    Attributes:
      loss: `(prediction, target, prepared, value_functions) -> [E, B]`, the state term; `prediction` is a
        `Prediction` `[E, B]`, `target` a `Transition` `[E, B]`, `prepared` the tensors `[E, B, ...]`.
      prepare: `(Transition [B], value_functions) -> Prepared`, tensors `[B, ...]`; runs compiled, once per fit, over
        the dataset in pieces. The value functions do not change during a fit.
      finish: `(Prepared [N], Transition [N]) -> Prepared`, the dataset as a whole, for what needs all examples (a
        quantile).
      value_aware: depends on the value functions, so the warm-up adds the mse.
      likelihood: the loss is a likelihood, so the reward term is one, too, and the two are added as they are.
      samples: how many samples of the predicted state the loss takes, from standard normal numbers
        `[E, B, samples, D]` that it finds as `prepared["noise"]`: fresh at every gradient step, the same at every
        score of a fit.
    """

    loss: Callable[[Prediction, Transition, Prepared, Sequence[ValueFunction]], tf.Tensor]
    prepare: Callable[[Transition, Sequence[ValueFunction]], Prepared] = _nothing
    finish: Callable[[Prepared, Transition], Prepared] = lambda prepared, data: prepared
    value_aware: bool = False
    likelihood: bool = False
    samples: int = 0

    @property
    def trains_variance(self) -> bool:
        """The predicted variance is part of the loss: it trains the features and is judged by the loss, and imagined
        rollouts sample the noise unless told otherwise. If not, it is a read-out."""
        return self.likelihood or self.samples > 0


_REGISTRY: dict[str, Callable[[ModelConfig], Objective]] = {}


def register_objective(name: str) -> Callable[[Callable[[ModelConfig], Objective]], Callable[[ModelConfig], Objective]]:
    """Returns a decorator that makes a function `ModelConfig -> Objective` available as `--loss=module:name`.

    Raises:
      ValueError: another module has taken the name.
    """

    def register(build: Callable[[ModelConfig], Objective]) -> Callable[[ModelConfig], Objective]:
        if name in _REGISTRY and _REGISTRY[name].__module__ != build.__module__:
            raise ValueError(f"an objective {name!r} is registered already, by {_REGISTRY[name].__module__}")
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
        except (ImportError, TypeError) as error:  # a relative name is a TypeError
            raise ValueError(f"loss {config.loss!r}: cannot import {module}: {error}") from None
    if name not in _REGISTRY or (module and _REGISTRY[name].__module__ == __name__):
        raise ValueError(f"loss {name!r} is not registered; there are {', '.join(sorted(_REGISTRY))}")
    return _REGISTRY[name](config)


@register_objective("mle")
def _mle(config: ModelConfig) -> Objective:
    """Gaussian maximum likelihood (PETS, MBPO)."""

    def loss(prediction: Prediction, target: Transition, prepared: Prepared, value_functions: Any) -> tf.Tensor:
        return losses.gaussian_nll(
            prediction.next_observation, prediction.next_observation_log_variance, target.next_observation)

    return Objective(loss, likelihood=True)


@register_objective("mse")
def _mse(config: ModelConfig) -> Objective:
    """Squared error."""

    def loss(prediction: Prediction, target: Transition, prepared: Prepared, value_functions: Any) -> tf.Tensor:
        return losses.mse(prediction.next_observation, target.next_observation)

    return Objective(loss)


@register_objective("itervaml")
def _itervaml(config: ModelConfig) -> Objective:
    """Squared value error (Farahmand 2018); the gradient runs through V into the prediction."""

    def loss(prediction: Prediction, target: Transition, prepared: Prepared, value_functions: Any) -> tf.Tensor:
        value = _values(value_functions, prediction.next_observation)
        return losses.itervaml(value, tf.transpose(prepared["value"], [2, 0, 1]))

    return Objective(loss, _prepare_values, value_aware=True)


@register_objective("calibrated_itervaml")
def _calibrated_itervaml(config: ModelConfig) -> Objective:
    """Squared error of the expected value (Voelcker et al. 2025), estimated without bias from reparameterised samples.

    The gradient runs through V and the samples into mean and variance.
    """

    def loss(prediction: Prediction, target: Transition, prepared: Prepared, value_functions: Any) -> tf.Tensor:
        stddev = tf.exp(0.5 * prediction.next_observation_log_variance)
        sample = prediction.next_observation + stddev * tf.transpose(prepared["noise"], [2, 0, 1, 3])  # [k, E, B, D]
        return losses.calibrated_itervaml(
            _values(value_functions, sample), tf.transpose(prepared["value"], [2, 0, 1]))

    return Objective(loss, _prepare_values, value_aware=True, samples=config.value_samples)


def _prepare_values(batch: Transition, value_functions: Sequence[ValueFunction]) -> Prepared:
    return {"value": tf.stack([v(batch.next_observation) for v in value_functions], axis=-1)}  # [B, C]


def _values(value_functions: Sequence[ValueFunction], observation: tf.Tensor) -> tf.Tensor:
    """Returns `[C, ...]` of observations `[..., D]`."""
    *leading, size = observation.shape
    flat = tf.reshape(observation, [-1, size])
    return tf.stack([tf.reshape(v(flat), leading) for v in value_functions])


def _prepare_gradients(batch: Transition, value_functions: Sequence[ValueFunction]) -> Prepared:
    gradient = value_gradients(value_functions, batch.next_observation)  # [C, B, D]
    return {"value_gradient": tf.transpose(gradient, [1, 0, 2])}


@register_objective("taylor")
def _taylor(config: ModelConfig) -> Objective:
    """First-order value error (Voelcker et al. 2022, eq. 5)."""

    def finish(prepared: Prepared, data: Transition) -> Prepared:
        gradient = clip_by_norm_quantile(
            tf.transpose(prepared["value_gradient"], [1, 0, 2]), config.value_gradient_quantile)
        return {"value_gradient": tf.transpose(gradient, [1, 0, 2])}

    def loss(prediction: Prediction, target: Transition, prepared: Prepared, value_functions: Any) -> tf.Tensor:
        gradient = tf.transpose(prepared["value_gradient"], [2, 0, 1, 3])  # [C, E, B, D]
        return losses.taylor(prediction.next_observation, target.next_observation, gradient)

    return Objective(loss, _prepare_gradients, finish, value_aware=True)


@register_objective("vagram")
def _vagram(config: ModelConfig) -> Objective:
    """Value-gradient weighted squared error (Voelcker et al. 2022, eq. 7)."""

    def finish(prepared: Prepared, data: Transition) -> Prepared:
        gradient = clip_by_norm_quantile(
            tf.transpose(prepared["value_gradient"], [1, 0, 2]), config.value_gradient_quantile)
        # mean_c (g_cd e_d)² = (√(mean_c g_cd²) e_d)²: one gradient per example serves all critics.
        return {"value_gradient": tf.sqrt(tf.reduce_mean(tf.square(gradient), axis=0))}  # [N, D]

    def loss(prediction: Prediction, target: Transition, prepared: Prepared, value_functions: Any) -> tf.Tensor:
        gradient = prepared["value_gradient"][tf.newaxis]  # [1, E, B, D]
        return losses.vagram(prediction.next_observation, target.next_observation, gradient)

    return Objective(loss, _prepare_gradients, finish, value_aware=True)

"""The value function's gradient: what VaGraM weights the model's errors with."""

from collections.abc import Sequence

import tensorflow as tf
import tensorflow_probability as tfp

from vagram_tf.types import ValueFunction


def value_gradients(value_functions: Sequence[ValueFunction], observation: tf.Tensor) -> tf.Tensor:
    """Returns the second of `values_and_gradients`: `[C, B, D]`."""
    return values_and_gradients(value_functions, observation)[1]


def values_and_gradients(
    value_functions: Sequence[ValueFunction], observation: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Each value function and its gradient at the observations (Voelcker et al. 2022, section 3).

    Each value function has a tape of its own: nothing accumulates from one critic to the next.

    Args:
      value_functions: C functions `[B, D] -> [B]`, each row's value a function of that row alone.
      observation: `[B, D]`, the *real* next observations.

    Returns:
      The values `[C, B]` and their gradients `[C, B, D]`, value units per observation unit; both without a gradient.
    """
    observation = tf.stop_gradient(tf.convert_to_tensor(observation))
    observation.shape.assert_has_rank(2)
    values, gradients = [], []
    for value_function in value_functions:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(observation)
            value = value_function(observation)
        gradient = tape.gradient(value, observation, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        values.append(tf.stop_gradient(value))
        gradients.append(tf.stop_gradient(gradient))
    return tf.stack(values), tf.stack(gradients)


def clip_by_norm_quantile(value_gradient: tf.Tensor, quantile: float) -> tf.Tensor:
    """Shortens the longest value gradients: those above the quantile of their critic's norms are cut down to it.

    The bound on outliers of the paper's section 4 (95 %). The quantile is over the examples that are passed in, so
    pass the whole dataset.

    Args:
      value_gradient: `[C, B, D]`.
      quantile: in (0, 1]; 1 leaves everything as it is.

    Returns:
      `[C, B, D]`, directions unchanged.

    Raises:
      ValueError: the quantile is outside (0, 1].
    """
    if not 0.0 < quantile <= 1.0:
        raise ValueError(f"quantile must be in (0, 1], got {quantile}")
    value_gradient = tf.convert_to_tensor(value_gradient)
    value_gradient.shape.assert_has_rank(3)
    norm = tf.norm(value_gradient, axis=-1, keepdims=True)
    longest = tfp.stats.percentile(norm, 100.0 * quantile, axis=1, interpolation="linear", keepdims=True)
    return value_gradient * tf.math.divide_no_nan(tf.minimum(norm, longest), norm)


def vagram_loss(
    model_prediction: tf.Tensor, environment_sample: tf.Tensor, value_function: ValueFunction
) -> tf.Tensor:
    """The whole of VaGraM in one call, for a program of your own (Voelcker et al. 2022, eq. 7).

    `Σ (∇V(s') · (ŝ' − s'))²`, elementwise and summed over everything: one extra backward pass through V. Only
    `model_prediction` receives a gradient; V's parameters and the sample do not.

    Args:
      model_prediction: `[..., D]`, the model's next observations.
      environment_sample: `[..., D]`, the real ones.
      value_function: any callable `[..., D] -> [...]`.

    Returns:
      A scalar, in squared value units.

    Raises:
      ValueError: the two shapes differ (nothing is broadcast).
    """
    prediction = tf.convert_to_tensor(model_prediction)
    sample = tf.stop_gradient(tf.convert_to_tensor(environment_sample, prediction.dtype))
    if not prediction.shape.is_compatible_with(sample.shape):
        raise ValueError(f"shapes do not fit: {prediction.shape} against {sample.shape}")
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(sample)
        value = value_function(sample)
    gradient = tape.gradient(value, sample, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return tf.reduce_sum(tf.square(tf.stop_gradient(gradient) * (prediction - sample)))

"""The value function's gradient: what VaGraM weights the model's errors with."""

from collections.abc import Sequence

import tensorflow as tf
import tensorflow_probability as tfp

from vagram_tf.model import losses
from vagram_tf.types import ValueFunction


def value_gradients(value_functions: Sequence[ValueFunction], observation: tf.Tensor) -> tf.Tensor:
    """Returns the second of `values_and_gradients`: `[..., C, D]`."""
    return values_and_gradients(value_functions, observation)[1]


def values_and_gradients(
    value_functions: Sequence[ValueFunction], observation: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Each value function and its gradient at the observations (Voelcker et al. 2022, section 3).

    Each value function has a tape of its own: nothing accumulates from one critic to the next.

    Args:
      value_functions: C functions `[..., D] -> [...]`, each row's value a function of that row
        alone.
      observation: `[..., D]`, the *real* next observations.

    Returns:
      The values `[..., C]` and their gradients `[..., C, D]`, value units per observation unit;
      both without a gradient.
    """
    observation = tf.stop_gradient(tf.convert_to_tensor(observation))
    observation.shape.with_rank_at_least(1)
    values, gradients = [], []
    for value_function in value_functions:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(observation)
            value = value_function(observation)
        gradient = tape.gradient(
            value, observation, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        values.append(tf.stop_gradient(value))
        gradients.append(tf.stop_gradient(gradient))
    return tf.stack(values, axis=-1), tf.stack(gradients, axis=-2)


def clip_by_norm_quantile(value_gradient: tf.Tensor, quantile: float) -> tf.Tensor:
    """Shortens the longest value gradients: those above the quantile of their critic's norms are
      cut down to it.

    The bound on outliers of the paper's section 4 (95 %). The quantile is over the examples that
    are passed in, so pass the whole dataset. A norm adds up dimensions, so pass gradients per
    comparable unit of each.

    Args:
      value_gradient: `[B, C, D]`.
      quantile: in (0, 1]; 1 leaves everything as it is.

    Returns:
      `[B, C, D]`, directions unchanged.

    Raises:
      ValueError: the quantile is outside (0, 1], or the rank is another.
    """
    if not 0.0 < quantile <= 1.0:
        raise ValueError(f"quantile must be in (0, 1], got {quantile}")
    value_gradient = tf.convert_to_tensor(value_gradient)
    value_gradient.shape.assert_has_rank(3)
    norm = tf.norm(value_gradient, axis=-1, keepdims=True)
    longest = tfp.stats.percentile(
        norm, 100.0 * quantile, axis=0, interpolation="linear", keepdims=True
    )
    return value_gradient * tf.math.divide_no_nan(tf.minimum(norm, longest), norm)


def clip_in_spreads(value_gradient: tf.Tensor, spread: tf.Tensor, quantile: float) -> tf.Tensor:
    """`clip_by_norm_quantile` of gradients as value units per spread of each dimension, so that
    norms mean something.

    Args:
      value_gradient: `[B, C, D]`, per observation unit.
      spread: `[D]`, the standard deviations of the changes.
      quantile: in (0, 1].

    Returns:
      `[B, C, D]`, per observation unit.

    Raises:
      ValueError: as `clip_by_norm_quantile` does.
    """
    return clip_by_norm_quantile(value_gradient * spread, quantile) / spread


def example_weights(value_gradient: tf.Tensor) -> tf.Tensor:
    """One weight per example and dimension: the paper's, for `mean_c (g_cd e_d)² = (√(mean_c g_cd²)
      e_d)²`.

    Args:
      value_gradient: `[B, C, D]`.

    Returns:
      `[B, D]`, not negative, value units per observation unit; as for every rule here.
    """
    return tf.sqrt(tf.reduce_mean(tf.square(value_gradient), axis=1))


def dimension_weights(value_gradient: tf.Tensor) -> tf.Tensor:
    """One weight per dimension: the root mean square of its gradient over examples and critics.

    No example weighs more than another: what the state dependence of the weights would tell is
    given up for a gradient step in which all examples count.
    """
    weights = tf.sqrt(tf.reduce_mean(tf.square(value_gradient), axis=[0, 1]))
    return tf.broadcast_to(weights, [value_gradient.shape[0], value_gradient.shape[2]])


def agreement_weights(value_gradient: tf.Tensor) -> tf.Tensor:
    """One weight per dimension: the root of the mean product of two critics' gradients, cut at
      zero.

    Critics that are trained from different weights on the same data share what the data say and not
    their errors: with `g_c = g + ε_c`, independent of one another, `E[g_i g_j] = g²` where `E[g_i²]
    = g² + Var ε`. So dimensions that the value does not depend on, and that critics are merely
    sensitive to, lose their weight. The mean is over all pairs `i < j`; a single critic agrees with
    itself.
    """
    critics = value_gradient.shape[1]
    if critics == 1:
        return dimension_weights(value_gradient)
    squares = tf.reduce_sum(tf.square(value_gradient), axis=1)
    products = tf.square(tf.reduce_sum(value_gradient, axis=1)) - squares  # Σ_{i≠j} g_i g_j
    agreed = tf.reduce_mean(products, axis=0) / (critics * (critics - 1))
    return tf.broadcast_to(
        tf.sqrt(tf.nn.relu(agreed)), [value_gradient.shape[0], value_gradient.shape[2]]
    )


def separable_weights(value_gradient: tf.Tensor) -> tf.Tensor:
    """One weight per dimension times one per example: half of what the example's own gradient says.

    `b_d √(a_n)`, with `b_d` the dimension's weight and `a_n` the norm of the example's gradients by
    its root mean square over the examples. Where no action changes what is to come, errors count
    for little; and since `a_n` has no dimension, and its root no long tail, all examples still
    count in a gradient step.
    """
    norm = tf.norm(value_gradient, axis=[1, 2], keepdims=True)[:, 0]  # [B, 1]
    size = tf.sqrt(tf.reduce_mean(tf.square(norm)))
    return dimension_weights(value_gradient) * tf.sqrt(tf.math.divide_no_nan(norm, size))


WEIGHTS = {
    "separable": separable_weights,
    "dimension": dimension_weights,
    "agreement": agreement_weights,
    "example": example_weights,
}
"""The rules that make weights `[B, D]` of gradients `[B, C, D]`, by `--value_gradient_weights`."""


def vagram_loss(
    model_prediction: tf.Tensor, environment_sample: tf.Tensor, value_function: ValueFunction
) -> tf.Tensor:
    """The whole of VaGraM in one call, for a program of your own (Voelcker et al. 2022, eq. 7).

    `Σ (∇V(s') · (ŝ' − s'))²`, elementwise and summed over everything: one extra backward pass
    through V. Only `model_prediction` receives a gradient; V's parameters and the sample do not.

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
    sample = tf.convert_to_tensor(environment_sample, prediction.dtype)
    if not prediction.shape.is_compatible_with(sample.shape):
        raise ValueError(f"shapes do not fit: {prediction.shape} against {sample.shape}")
    mean = losses.vagram(prediction, sample, value_gradients([value_function], sample))
    return sample.shape[-1] * tf.reduce_sum(mean)

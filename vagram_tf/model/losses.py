"""The model losses: pure functions of tensors, one value per member and example.

Shapes are in the letters of `vagram_tf.types`. A prediction is `[E, B, D]`; a target is `[B, D]`, shared by the
members, or `[E, B, D]`, each member's own; the result is `[E, B]`, and whoever trains reduces it. A value gradient
is an argument: nothing here knows a network. No loss propagates a gradient into its target or its value gradient.
"""

import math

import tensorflow as tf


def gaussian_nll(mean: tf.Tensor, log_variance: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Negative log likelihood of the target under a diagonal Gaussian, in nats (Chua et al. 2018, PETS).

    `½ Σ_d [ (target_d − mean_d)² / variance_d + log variance_d + log 2π ]`

    Args:
      mean: `[E, B, D]`.
      log_variance: `[E, B, D]`, the logarithm of squared target units.
      target: `[B, D]` or `[E, B, D]`.

    Returns:
      `[E, B]`.

    Raises:
      ValueError: the shapes do not fit one another.
    """
    error = _error(mean, target)
    log_variance = tf.convert_to_tensor(log_variance, error.dtype)
    log_variance.shape.assert_is_compatible_with(error.shape)
    nll = tf.square(error) * tf.exp(-log_variance) + log_variance + math.log(2.0 * math.pi)
    return 0.5 * tf.reduce_sum(nll, axis=-1)


def mse(prediction: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Squared error, averaged over dimensions, in squared target units.

    Args:
      prediction: `[E, B, D]`.
      target: `[B, D]` or `[E, B, D]`.

    Returns:
      `[E, B]`.

    Raises:
      ValueError: the shapes do not fit one another.
    """
    return tf.reduce_mean(tf.square(_error(prediction, target)), axis=-1)


def itervaml(predicted_value: tf.Tensor, target_value: tf.Tensor) -> tf.Tensor:
    """Squared error of the value of the predicted state, averaged over critics (Farahmand 2018, IterVAML).

    `mean_c (V_c(ŝ') − V_c(s'))²`; the gradient reaches the model through `V_c(ŝ')`.

    Args:
      predicted_value: `[C, E, B]`, V_c at the predicted next observations.
      target_value: `[C, B]` or `[C, E, B]`, V_c at the real ones.

    Returns:
      `[E, B]`, in squared value units.

    Raises:
      ValueError: the shapes do not fit one another.
    """
    predicted_value = tf.convert_to_tensor(predicted_value)
    target_value = tf.stop_gradient(tf.convert_to_tensor(target_value, predicted_value.dtype))
    predicted_value.shape.assert_has_rank(3)
    if target_value.shape.rank == 2:
        target_value = target_value[:, tf.newaxis]
    _check_broadcast(predicted_value.shape, target_value.shape, optional_axis=1)
    return tf.reduce_mean(tf.square(predicted_value - target_value), axis=0)


def calibrated_itervaml(predicted_value: tf.Tensor, target_value: tf.Tensor) -> tf.Tensor:
    """IterVAML for a model that is sampled, without the bias of the sampling (Voelcker et al. 2025, arXiv 2505.22772).

    `mean_c [ (v̄_c − V_c(s'))² − s_c² / k ]`, with the mean `v̄_c` and the unbiased variance `s_c²` of `V_c` over k
    samples of `ŝ'`. The expectation of the square alone is larger than `(E V_c(ŝ') − V_c(s'))²` by
    `Var V_c(ŝ') / k`, which a model would make small by giving up its variance. The same as the mean of
    `(V_c(ŝ'_i) − V_c(s')) (V_c(ŝ'_j) − V_c(s'))` over all pairs `i ≠ j`; it may be negative.

    Args:
      predicted_value: `[C, k, E, B]`, V_c at the samples of the predicted next observation.
      target_value: `[C, B]` or `[C, E, B]`, V_c at the real ones.

    Returns:
      `[E, B]`, in squared value units.

    Raises:
      ValueError: there are fewer than two samples, or the shapes do not fit one another.
    """
    predicted_value = tf.convert_to_tensor(predicted_value)
    predicted_value.shape.assert_has_rank(4)
    samples = predicted_value.shape[1]
    if samples < 2:
        raise ValueError(f"a variance needs at least 2 samples, got {samples}")
    mean, variance = tf.nn.moments(predicted_value, axes=[1])
    return itervaml(mean, target_value) - tf.reduce_mean(variance, axis=0) / (samples - 1)


def taylor(prediction: tf.Tensor, target: tf.Tensor, value_gradient: tf.Tensor) -> tf.Tensor:
    """First-order estimate of the value error (Voelcker et al. 2022, eq. 5).

    `mean_c (Σ_d g_cd e_d)²` with `e = ŝ' − s'` and `g_c = ∇V_c(s')`.

    Args:
      prediction: `[E, B, D]`.
      target: `[B, D]` or `[E, B, D]`.
      value_gradient: `[C, B, D]` or `[C, E, B, D]`, value units per observation unit.

    Returns:
      `[E, B]`, in squared value units.

    Raises:
      ValueError: the shapes do not fit one another.
    """
    weighted = _value_gradient(value_gradient, prediction) * _error(prediction, target)
    return tf.reduce_mean(tf.square(tf.reduce_sum(weighted, axis=-1)), axis=0)


def vagram(prediction: tf.Tensor, target: tf.Tensor, value_gradient: tf.Tensor) -> tf.Tensor:
    """Value-gradient weighted squared error: VaGraM (Voelcker et al. 2022, eq. 7).

    `mean_c mean_d (g_cd e_d)²`, an upper bound of `taylor` up to the factor D² (Cauchy-Schwarz) that, unlike it, is
    zero only where every dimension that the value depends on is right.

    Args:
      prediction: `[E, B, D]`.
      target: `[B, D]` or `[E, B, D]`.
      value_gradient: `[C, B, D]` or `[C, E, B, D]`, value units per observation unit.

    Returns:
      `[E, B]`, in squared value units.

    Raises:
      ValueError: the shapes do not fit one another.
    """
    weighted = _value_gradient(value_gradient, prediction) * _error(prediction, target)
    return tf.reduce_mean(tf.square(weighted), axis=[0, -1])


def _error(prediction: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Returns `[E, B, D]`: prediction minus target, each member against its own or the shared target."""
    prediction = tf.convert_to_tensor(prediction)
    target = tf.stop_gradient(tf.convert_to_tensor(target, prediction.dtype))
    prediction.shape.assert_has_rank(3)
    if target.shape.rank == 2:
        target = target[tf.newaxis]
    _check_broadcast(prediction.shape, target.shape, optional_axis=0)
    return prediction - target


def _value_gradient(value_gradient: tf.Tensor, prediction: tf.Tensor) -> tf.Tensor:
    """Returns `[C, E or 1, B, D]`, without a gradient."""
    prediction = tf.convert_to_tensor(prediction)
    value_gradient = tf.stop_gradient(tf.convert_to_tensor(value_gradient, prediction.dtype))
    if value_gradient.shape.rank == 3:
        value_gradient = value_gradient[:, tf.newaxis]
    prediction.shape.assert_has_rank(3)
    _check_broadcast(value_gradient.shape[:1] + prediction.shape, value_gradient.shape, optional_axis=1)
    return value_gradient


def _check_broadcast(full: tf.TensorShape, shape: tf.TensorShape, optional_axis: int) -> None:
    """Raises ValueError unless `shape` is `full`, or is 1 at the optional axis: nothing else may broadcast."""
    expected = full.as_list()
    if shape.rank == len(expected) and shape[optional_axis] == 1:
        expected[optional_axis] = 1
    if not shape.is_compatible_with(expected):
        raise ValueError(f"shapes do not fit: {shape} against {full}")

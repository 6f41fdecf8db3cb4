"""The model losses: pure functions of tensors, one value per member and example.

Shapes are in the letters of `vagram_tf.types`. A prediction is `[..., D]`, say `[E, B, D]`. What it
is compared with has the same leading axes, or all but the first of at least two: a target `[B, D]`
is shared by the members. Nothing else is broadcast; axes of unknown size, in a traced function, are
not checked. The result is `[...]`, and whoever trains reduces it. A value gradient is an argument:
nothing here knows a network. No loss propagates a gradient into its target or its value gradient.
"""

import math

import tensorflow as tf


def gaussian_nll(mean: tf.Tensor, log_variance: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Negative log likelihood of the target under a diagonal Gaussian, in nats (Chua et al. 2018,
    PETS).

    `½ Σ_d [ (target_d − mean_d)² / variance_d + log variance_d + log 2π ]`

    Args:
      mean: `[..., D]`.
      log_variance: `[..., D]`, the logarithm of squared target units.
      target: `[..., D]`, or without the members' axis.

    Returns:
      `[...]`.

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
      prediction: `[..., D]`.
      target: `[..., D]`, or without the members' axis.

    Returns:
      `[...]`.

    Raises:
      ValueError: the shapes do not fit one another.
    """
    return tf.reduce_mean(tf.square(_error(prediction, target)), axis=-1)


def itervaml(predicted_value: tf.Tensor, target_value: tf.Tensor) -> tf.Tensor:
    """Squared error of the value of the predicted state, averaged over critics (Farahmand 2018,
    IterVAML).

    `mean_c (V_c(ŝ') − V_c(s'))²`; the gradient reaches the model through `V_c(ŝ')`.

    Args:
      predicted_value: `[..., C]`, V_c at the predicted next observations.
      target_value: `[..., C]`, V_c at the real ones, or without the members' axis.

    Returns:
      `[...]`, in squared value units.

    Raises:
      ValueError: the shapes do not fit one another.
    """
    return tf.reduce_mean(tf.square(_error(predicted_value, target_value)), axis=-1)


def calibrated_itervaml(predicted_value: tf.Tensor, target_value: tf.Tensor) -> tf.Tensor:
    """IterVAML for a model that is sampled, without the bias of the sampling (Voelcker et al. 2025,
    arXiv 2505.22772).

    `mean_c [ (v̄_c − V_c(s'))² − s_c² / k ]`, with the mean `v̄_c` and the unbiased variance `s_c²`
    of `V_c` over k samples of `ŝ'`. The expectation of the square alone is larger than `(E V_c(ŝ')
    − V_c(s'))²` by `Var V_c(ŝ') / k`, which a model would make small by giving up its variance. The
    same as the mean of `(V_c(ŝ'_i) − V_c(s')) (V_c(ŝ'_j) − V_c(s'))` over all pairs `i ≠ j`; it may
    be negative.

    Args:
      predicted_value: `[..., k, C]`, V_c at the samples of the predicted next observation.
      target_value: `[..., C]`, V_c at the real ones, or without the members' axis.

    Returns:
      `[...]`, in squared value units.

    Raises:
      ValueError: there are fewer than two samples, or the shapes do not fit one another.
    """
    predicted_value = tf.convert_to_tensor(predicted_value)
    predicted_value.shape.with_rank_at_least(2)
    samples = predicted_value.shape[-2]
    if samples < 2:
        raise ValueError(f"a variance needs at least 2 samples, got {samples}")
    mean, variance = tf.nn.moments(predicted_value, axes=[-2])
    return itervaml(mean, target_value) - tf.reduce_mean(variance, axis=-1) / (samples - 1)


def taylor(prediction: tf.Tensor, target: tf.Tensor, value_gradient: tf.Tensor) -> tf.Tensor:
    """First-order estimate of the value error (Voelcker et al. 2022, eq. 5).

    `mean_c (Σ_d g_cd e_d)²` with `e = ŝ' − s'` and `g_c = ∇V_c(s')`.

    Args:
      prediction: `[..., D]`.
      target: `[..., D]`, or without the members' axis.
      value_gradient: `[..., C, D]`, or without the members' axis, value units per observation unit.

    Returns:
      `[...]`, in squared value units.

    Raises:
      ValueError: the shapes do not fit one another.
    """
    weighted = _weighted_error(prediction, target, value_gradient)
    return tf.reduce_mean(tf.square(tf.reduce_sum(weighted, axis=-1)), axis=-1)


def vagram(prediction: tf.Tensor, target: tf.Tensor, value_gradient: tf.Tensor) -> tf.Tensor:
    """Value-gradient weighted squared error: VaGraM (Voelcker et al. 2022, eq. 7).

    `mean_c mean_d (g_cd e_d)²`, an upper bound of `taylor` up to the factor D² (Cauchy-Schwarz)
    that, unlike it, is zero only where every dimension that the value depends on is right.

    Args:
      prediction: `[..., D]`.
      target: `[..., D]`, or without the members' axis.
      value_gradient: `[..., C, D]`, or without the members' axis, value units per observation unit.

    Returns:
      `[...]`, in squared value units.

    Raises:
      ValueError: the shapes do not fit one another.
    """
    return tf.reduce_mean(
        tf.square(_weighted_error(prediction, target, value_gradient)), axis=[-2, -1]
    )


def _error(prediction: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Returns `[..., D]`: prediction minus target."""
    prediction = tf.convert_to_tensor(prediction)
    prediction.shape.with_rank_at_least(1)
    target = tf.stop_gradient(tf.convert_to_tensor(target, prediction.dtype))
    return prediction - _for_members(target, prediction.shape[:-1], prediction.shape[-1:])


def _weighted_error(
    prediction: tf.Tensor, target: tf.Tensor, value_gradient: tf.Tensor
) -> tf.Tensor:
    """Returns `[..., C, D]`: the error's part in each critic's value, to first order."""
    error = _error(prediction, target)
    value_gradient = tf.stop_gradient(tf.convert_to_tensor(value_gradient, error.dtype))
    value_gradient.shape.with_rank_at_least(2)
    own = tf.TensorShape([value_gradient.shape[-2], error.shape[-1]])
    return _for_members(value_gradient, error.shape[:-1], own) * error[..., tf.newaxis, :]


def _for_members(values: tf.Tensor, leading: tf.TensorShape, own: tf.TensorShape) -> tf.Tensor:
    """Returns values `leading + own`; gives those without the members' axis, the first of
    `leading`, one of size 1.

    Raises ValueError for any other shape: one example does not stand for many.
    """
    if values.shape.is_compatible_with(leading + own):
        return values
    if len(leading) > 1 and values.shape.is_compatible_with(leading[1:] + own):
        return values[tf.newaxis]
    raise ValueError(f"shapes do not fit: {values.shape} against {leading + own}")

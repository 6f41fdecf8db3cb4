"""Value gradients: finite differences, critics apart, the clip, weights, three arguments' loss."""

import numpy as np
import pytest
import tensorflow as tf

import vagram_tf
from vagram_tf.config import VALUE_GRADIENT_WEIGHTS
from vagram_tf.model import losses
from vagram_tf.model.value_gradients import WEIGHTS, values_and_gradients

B, C, D = 6, 3, 4


def tensor(values):
    return tf.constant(np.asarray(values), tf.float64)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def smooth_value(observation):
    """A nonlinear V of no symmetry, `[..., D] -> [...]`."""
    return (
        tf.sin(observation[..., 0] * observation[..., 1])
        + tf.exp(0.3 * observation[..., 2]) * observation[..., 3]
    )


def linear_value(slope):
    return lambda observation: tf.reduce_sum(observation * tensor(slope), axis=-1) + 5.0


def test_gradients_agree_with_finite_differences():
    observation, step = normal(B, D), 1e-6
    gradient = vagram_tf.value_gradients([smooth_value], tensor(observation)).numpy()
    assert gradient.shape == (B, 1, D)
    for dimension in range(D):
        moved = step * np.eye(D)[dimension]
        difference = smooth_value(tensor(observation + moved)) - smooth_value(
            tensor(observation - moved)
        )
        np.testing.assert_allclose(
            gradient[:, 0, dimension], difference / (2 * step), rtol=1e-6, atol=1e-8
        )


def test_each_critic_has_its_own_gradient_and_not_the_sum_of_those_before():
    slopes = normal(C, D)
    gradient = vagram_tf.value_gradients(
        [linear_value(slope) for slope in slopes], tensor(normal(B, D, seed=1))
    )
    np.testing.assert_allclose(gradient, np.broadcast_to(slopes, [B, C, D]), rtol=1e-12)


def test_a_value_that_ignores_the_observation_has_gradient_zero():
    values = [
        lambda s: tf.zeros(s.shape[0], s.dtype) + 3.0,
        lambda s: 0.0 * s[:, 0],
        linear_value(normal(D)),
    ]
    gradient = vagram_tf.value_gradients(values, tensor(normal(B, D)))
    assert np.all(gradient[:, :2] == 0.0)
    assert np.all(gradient[:, 2] != 0.0)


def test_gradients_are_constants_for_whoever_uses_them():
    observation, parameter = tensor(normal(B, D)), tf.Variable(tensor(2.0))
    with tf.GradientTape() as tape:
        tape.watch(observation)
        gradient = vagram_tf.value_gradients(
            [lambda s: parameter * tf.reduce_sum(s**3, axis=-1)], observation
        )
    np.testing.assert_allclose(gradient[:, 0], 6.0 * observation**2, rtol=1e-12)
    assert tape.gradient(gradient, [observation, parameter]) == [None, None]


@pytest.mark.parametrize("leading", [(), (B,), (2, 3, B)], ids=str)
def test_observations_may_have_any_leading_axes(leading):
    functions, observation = [smooth_value, linear_value(normal(D, seed=1))], normal(*leading, D)
    values, gradients = values_and_gradients(functions, tensor(observation))
    assert values.shape == (*leading, 2) and gradients.shape == (*leading, 2, D)
    for index in np.ndindex(*leading):
        value, gradient = values_and_gradients(functions, tensor(observation[index]))
        np.testing.assert_allclose(values[index], value, rtol=1e-12)
        np.testing.assert_allclose(gradients[index], gradient, rtol=1e-12)
    np.testing.assert_allclose(values[..., 0], smooth_value(tensor(observation)), rtol=1e-12)
    np.testing.assert_array_equal(
        gradients, vagram_tf.value_gradients(functions, tensor(observation))
    )


def test_an_observation_needs_an_axis_of_dimensions():
    with pytest.raises(ValueError):
        vagram_tf.value_gradients([lambda s: s], tensor(1.0))


def with_norms(*norms, seed=0):
    """Returns `[B, C, D]` of random directions with the norms given, one list per critic."""
    directions = normal(len(norms[0]), len(norms), D, seed=seed)
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    return directions * np.transpose(norms)[..., np.newaxis]


def norms_of(gradient):
    """Returns a list of norms per critic, `[C, B]`."""
    return np.linalg.norm(gradient, axis=-1).T


def test_clip_cuts_to_the_quantile_of_each_critics_own_norms():
    gradient = with_norms([1.0, 2.0, 3.0, 4.0, 100.0], [10.0, 20.0, 30.0, 40.0, 50.0])
    clipped = vagram_tf.clip_by_norm_quantile(tensor(gradient), 0.75).numpy()
    np.testing.assert_allclose(
        norms_of(clipped), [[1.0, 2.0, 3.0, 4.0, 4.0], [10.0, 20.0, 30.0, 40.0, 40.0]], rtol=1e-6
    )


def test_clip_interpolates_between_norms():
    gradient = with_norms([1.0, 2.0, 3.0, 4.0, 5.0])
    clipped = vagram_tf.clip_by_norm_quantile(tensor(gradient), 0.9).numpy()
    np.testing.assert_allclose(norms_of(clipped), [[1.0, 2.0, 3.0, 4.0, 4.6]], rtol=1e-6)


def test_clip_cuts_norms_below_any_absolute_size():
    # An `or norm < 1e5` once made the clip inert.
    gradient = with_norms(1e-3 * np.arange(1.0, 101.0))
    clipped = vagram_tf.clip_by_norm_quantile(tensor(gradient), 0.95).numpy()
    assert (
        np.sum(np.any(clipped != gradient, axis=-1) & (np.linalg.norm(gradient, axis=-1) > 0.0951))
        == 5
    )
    np.testing.assert_allclose(np.linalg.norm(clipped, axis=-1).max(), 0.09505, rtol=1e-6)


def test_clip_keeps_directions_and_what_is_short_enough():
    gradient = normal(50, C, D)
    clipped = vagram_tf.clip_by_norm_quantile(tensor(gradient), 0.5).numpy()
    norm, clipped_norm = np.linalg.norm(gradient, axis=-1), np.linalg.norm(clipped, axis=-1)
    np.testing.assert_allclose(
        clipped / clipped_norm[..., np.newaxis], gradient / norm[..., np.newaxis], rtol=1e-9
    )
    short = norm <= np.quantile(norm, 0.5, axis=0, keepdims=True)
    assert short.sum() == C * 25
    np.testing.assert_allclose(clipped[short], gradient[short], rtol=1e-12)
    assert np.all(clipped_norm[~short] < norm[~short])


def test_clip_leaves_zero_rows_zero():
    gradient = with_norms([0.0, 0.0, 0.0, 5.0], [1.0, 0.0, 2.0, 3.0])
    clipped = vagram_tf.clip_by_norm_quantile(tensor(gradient), 0.5).numpy()
    assert np.all(np.isfinite(clipped))
    np.testing.assert_allclose(norms_of(clipped), [[0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 1.5, 1.5]])


def test_quantile_one_changes_nothing():
    gradient = normal(B, C, D)
    np.testing.assert_allclose(
        vagram_tf.clip_by_norm_quantile(tensor(gradient), 1.0), gradient, rtol=1e-12
    )


@pytest.mark.parametrize("quantile", [0.0, -0.1, 1.01, float("nan")])
def test_a_quantile_outside_its_range_is_refused(quantile):
    with pytest.raises(ValueError, match="quantile"):
        vagram_tf.clip_by_norm_quantile(tensor(normal(B, C, D)), quantile)


@pytest.mark.parametrize("shape", [(B, D), (2, B, C, D)])
def test_clip_wants_the_critic_axis_and_one_of_examples(shape):
    with pytest.raises(ValueError):
        vagram_tf.clip_by_norm_quantile(tensor(normal(*shape)), 0.95)


# Weights. Two examples, two critics, two dimensions: `[B, C, D]`.
TWO = tensor([[[3.0, 1.0], [4.0, -2.0]], [[1.0, 2.0], [2.0, -2.0]]])


def test_there_is_a_rule_for_each_choice():
    assert set(WEIGHTS) == set(VALUE_GRADIENT_WEIGHTS)


def test_example_weights_by_hand():
    # Over critics: (9 + 16) / 2, (1 + 4) / 2; (1 + 4) / 2, (4 + 4) / 2.
    expected = np.sqrt([[12.5, 2.5], [2.5, 4.0]])
    np.testing.assert_allclose(WEIGHTS["example"](TWO), expected, rtol=1e-12)


def test_example_weights_give_the_loss_of_all_critics():
    gradient, prediction, target = (
        tensor(normal(*shape, seed=i)) for i, shape in enumerate([(B, C, D), (2, B, D), (B, D)])
    )
    weights = WEIGHTS["example"](gradient)[:, tf.newaxis]
    np.testing.assert_allclose(
        losses.vagram(prediction, target, weights),
        losses.vagram(prediction, target, gradient),
        rtol=1e-12,
    )


def test_dimension_weights_by_hand():
    # Over examples and critics: (9 + 16 + 1 + 4) / 4 and (1 + 4 + 4 + 4) / 4.
    np.testing.assert_allclose(WEIGHTS["dimension"](TWO), np.sqrt([[7.5, 3.25]] * 2), rtol=1e-12)


def test_separable_weights_by_hand():
    # Squared norms over critics and dimensions, 9 + 16 + 1 + 4 = 30 and 1 + 4 + 4 + 4 = 13, have
    # the mean 21.5.
    dimension, example = np.sqrt([[7.5, 3.25]]), (np.array([[30.0], [13.0]]) / 21.5) ** 0.25
    np.testing.assert_allclose(WEIGHTS["separable"](TWO), dimension * example, rtol=1e-12)


def test_separable_weights_without_any_gradient_are_zero():
    np.testing.assert_array_equal(WEIGHTS["separable"](tf.zeros([3, 2, 2])), np.zeros([3, 2]))


def test_agreement_weights_of_two_critics_by_hand():
    # Products 3 · 4 and 1 · 2, of mean 7; -1 · 2 and -2 · 2, of mean -3, which is cut to zero.
    np.testing.assert_allclose(WEIGHTS["agreement"](TWO), np.sqrt([[7.0, 0.0]] * 2), rtol=1e-12)
    # The mean is cut and not each product: 4 · 4 and -2 · 2 have the mean 6.
    mixed = WEIGHTS["agreement"](tensor([[[4.0], [4.0]], [[-2.0], [2.0]]]))
    np.testing.assert_allclose(mixed, np.sqrt([[6.0]] * 2), rtol=1e-12)


def test_agreement_weights_of_three_critics_are_of_the_mean_over_their_pairs():
    # Dimension 0: 1 · 2, 1 · 4, 2 · 4; dimension 1: 3 · -1, 3 · 5, -1 · 5. One example.
    gradient = tensor([[[1.0, 3.0], [2.0, -1.0], [4.0, 5.0]]])
    expected = np.sqrt([[14 / 3, 7 / 3]])
    np.testing.assert_allclose(WEIGHTS["agreement"](gradient), expected, rtol=1e-12)


def test_a_single_critic_agrees_with_itself():
    gradient = tensor([[[3.0, 0.0]], [[1.0, -2.0]]])
    expected = np.sqrt([[5.0, 2.0]] * 2)
    np.testing.assert_allclose(WEIGHTS["agreement"](gradient), expected, rtol=1e-12)
    np.testing.assert_array_equal(WEIGHTS["agreement"](gradient), WEIGHTS["dimension"](gradient))


def test_agreement_keeps_what_critics_share_and_loses_what_they_do_not():
    # Gradient 2 in dimension 0 and 0 in dimension 1, each critic with its own errors of spread 3.
    gradient = np.array([2.0, 0.0]) + 3.0 * normal(40_000, 2, 2)
    agreed, dimension = (
        WEIGHTS[rule](tensor(gradient)).numpy()[0] for rule in ("agreement", "dimension")
    )
    np.testing.assert_allclose(dimension, [np.sqrt(13.0), 3.0], rtol=0.01)
    np.testing.assert_allclose(agreed[0], 2.0, rtol=0.05)
    assert agreed[1] < 0.1 * dimension[1]


@pytest.mark.parametrize("rule", VALUE_GRADIENT_WEIGHTS)
@pytest.mark.parametrize("critics", [1, 2, 3])
def test_weights_are_per_example_and_dimension_and_scale_with_the_gradient(rule, critics):
    gradient = tensor(normal(B, critics, D) + 1.0)
    weights = WEIGHTS[rule](gradient)
    assert weights.shape == (B, D)
    assert np.all(weights >= 0.0) and np.any(weights > 0.0)
    # What an example's gradient is long in is a matter of the dimensions' units: separable wants
    # them all alike.
    factor = tensor([1e3] * D if rule == "separable" else [1.0, 1e-3, 1e3, 7.0])
    np.testing.assert_allclose(WEIGHTS[rule](gradient * factor), weights * factor, rtol=1e-9)
    alike = len(np.unique(weights, axis=0)) == 1
    assert alike == (rule in ("dimension", "agreement"))


@pytest.mark.parametrize("rule", VALUE_GRADIENT_WEIGHTS)
def test_weights_of_critics_without_a_gradient_are_zero(rule):
    np.testing.assert_array_equal(WEIGHTS[rule](tf.zeros([B, C, D])), np.zeros([B, D]))


def test_vagram_loss_by_hand():
    # V = s0² + 3 s1: gradients (2, 3) at (1, 0) and (-4, 3) at (-2, 5); errors (1, -1) and (0.5, 2)
    def value(s):
        return s[..., 0] ** 2 + 3.0 * s[..., 1]

    sample, prediction = tensor([[1.0, 0.0], [-2.0, 5.0]]), tensor([[2.0, -1.0], [-1.5, 7.0]])
    loss = vagram_tf.vagram_loss(prediction, sample, value)
    assert loss.shape == ()
    np.testing.assert_allclose(loss, 4.0 + 9.0 + 4.0 + 36.0)


@pytest.mark.parametrize("shape", [(D,), (B, D), (2, B, D), (2, 3, 1, D)])
def test_vagram_loss_is_the_authors_definition_for_any_leading_shape(shape):
    # The authors' JAX lines: the value and its gradient at each sample; the squared product summed
    # over everything.
    prediction, sample = normal(*shape), normal(*shape, seed=1)
    s0, s1, s2, s3 = np.moveaxis(sample, -1, 0)
    gradient = np.stack(
        [s1 * np.cos(s0 * s1), s0 * np.cos(s0 * s1), 0.3 * np.exp(0.3 * s2) * s3, np.exp(0.3 * s2)],
        -1,
    )
    expected = np.square(gradient * (prediction - sample)).sum()
    np.testing.assert_allclose(
        vagram_tf.vagram_loss(tensor(prediction), tensor(sample), smooth_value),
        expected,
        rtol=1e-12,
    )


def test_vagram_loss_is_the_sum_that_the_batch_loss_is_the_mean_of():
    prediction, sample = tensor(normal(2, B, D)), tensor(normal(B, D, seed=1))
    batch = losses.vagram(prediction, sample, vagram_tf.value_gradients([smooth_value], sample))
    for member in range(2):
        np.testing.assert_allclose(
            vagram_tf.vagram_loss(prediction[member], sample, smooth_value),
            D * tf.reduce_sum(batch[member]),
            rtol=1e-12,
        )


def test_vagram_loss_sends_its_gradient_to_the_prediction_alone():
    prediction, sample, parameter = (
        tensor(normal(B, D)),
        tensor(normal(B, D, seed=1)),
        tf.Variable(tensor(2.0)),
    )
    with tf.GradientTape() as tape:
        tape.watch([prediction, sample])
        loss = vagram_tf.vagram_loss(prediction, sample, lambda s: parameter * smooth_value(s))
    to_prediction, to_sample, to_parameter = tape.gradient(loss, [prediction, sample, parameter])
    weight = vagram_tf.value_gradients([lambda s: 2.0 * smooth_value(s)], sample)[:, 0]
    np.testing.assert_allclose(to_prediction, 2.0 * weight**2 * (prediction - sample), rtol=1e-9)
    assert to_sample is None and to_parameter is None


def test_vagram_loss_takes_plain_arrays_and_keras_models():
    model = tf.keras.Sequential(
        [tf.keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")]
    )
    prediction, sample = np.array([[1.0, 2.0]], np.float32), np.array([[0.0, 0.0]], np.float32)
    assert float(vagram_tf.vagram_loss(prediction, sample, lambda s: model(s)[..., 0])) == 5.0


@pytest.mark.parametrize(
    "shapes",
    [((B, D), (D,)), ((B, D), (1, D)), ((2, B, D), (B, D)), ((B, D), (B, 1)), ((B,), (D,))],
)
def test_vagram_loss_refuses_different_shapes(shapes):
    prediction, sample = (tensor(normal(*shape)) for shape in shapes)
    with pytest.raises(ValueError, match="shapes do not fit"):
        vagram_tf.vagram_loss(prediction, sample, lambda s: tf.reduce_sum(s, axis=-1))

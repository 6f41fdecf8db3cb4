"""Losses: hand-computed values, identities between them, accepted shapes, and what receives a
gradient.
"""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from vagram_tf.model import losses

E, B, C, D, K = 3, 4, 2, 5, 6


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def tensor(values):
    return tf.constant(np.asarray(values), tf.float64)


PREDICTION = tensor([[[1.0, 2.0], [0.0, -1.0]], [[3.0, 0.0], [1.0, 1.0]]])  # [E, B, D]
TARGET = tensor([[0.0, 0.0], [1.0, 1.0]])  # [B, D]
# errors: member 0 (1, 2) and (-1, -2); member 1 (3, 0) and (0, 0)
VALUE_GRADIENT = tensor([[[1.0, 0.0], [1.0, -1.0]], [[2.0, 1.0], [0.0, 3.0]]])  # [B, C, D]


def test_mse_by_hand():
    np.testing.assert_allclose(losses.mse(PREDICTION, TARGET), [[2.5, 2.5], [4.5, 0.0]])


def test_vagram_by_hand():
    # member 0, example 0: critic 0 gives (1, 0), critic 1 (1, -2): squares 1 + 0 + 1 + 4 over four
    # member 0, example 1: (-2, -2) and (0, -6): 4 + 4 + 0 + 36 over four
    # member 1, example 0: (3, 0) and (3, 0): 18 over four
    np.testing.assert_allclose(
        losses.vagram(PREDICTION, TARGET, VALUE_GRADIENT), [[1.5, 11.0], [4.5, 0.0]]
    )


def test_taylor_by_hand():
    # member 0, example 0: (1 + 0)² and (1 - 2)²; example 1: (-2 - 2)² and (0 - 6)²; member 1,
    # example 0: 3² and 3²
    np.testing.assert_allclose(
        losses.taylor(PREDICTION, TARGET, VALUE_GRADIENT), [[1.0, 26.0], [9.0, 0.0]]
    )


def test_itervaml_by_hand():
    predicted = tensor([[[1.0, 0.0], [2.0, 1.0]], [[5.0, 3.0], [0.0, 3.0]]])  # [E, B, C]
    target = tensor([[2.0, 0.0], [2.0, 4.0]])  # [B, C]
    np.testing.assert_allclose(losses.itervaml(predicted, target), [[0.5, 4.5], [9.0, 2.5]])


def test_calibrated_itervaml_by_hand():
    # Critic 0: mean 2, target 1, s² = 4: (2 - 1)² - 4/3. Critic 1: all 5, target 2: 9.
    predicted = tensor([[[[0.0, 5.0], [2.0, 5.0], [4.0, 5.0]]]])  # [E, B, k, C]
    result = losses.calibrated_itervaml(predicted, tensor([[1.0, 2.0]]))
    np.testing.assert_allclose(result, [[(1.0 - 4.0 / 3.0 + 9.0) / 2.0]])


@pytest.mark.parametrize("samples", [2, 5])
def test_calibrated_itervaml_is_the_mean_product_over_pairs_of_samples(samples):
    predicted, target = tensor(normal(E, B, samples, C)), tensor(normal(E, B, C, seed=1))
    error = predicted - target[:, :, tf.newaxis]
    pairs = [
        error[:, :, i] * error[:, :, j] for i in range(samples) for j in range(samples) if i != j
    ]
    expected = tf.reduce_mean(tf.add_n(pairs) / len(pairs), axis=-1)
    np.testing.assert_allclose(losses.calibrated_itervaml(predicted, target), expected, rtol=1e-10)


@pytest.mark.parametrize("samples", [2, 4])
def test_calibrated_itervaml_expects_the_squared_error_of_the_expected_value(
    samples,
):
    # ŝ' ~ N(mean, stddev²) and V(s) = w·s: the expected value errs by w·(mean - s'), and Var V = Σ
    # (w stddev)².
    count, weight = 40_000, np.array([1.0, -2.0, 0.5])
    mean, stddev, target = (
        np.array([0.3, 0.1, -0.2]),
        np.array([0.5, 0.4, 1.0]),
        np.array([0.1, 0.2, 0.4]),
    )
    value = (mean + stddev * normal(samples, count, 3)) @ weight  # [k, B]
    error, variance = (mean - target) @ weight, np.sum((weight * stddev) ** 2)
    target_value = tensor(np.full([count, 1], target @ weight))
    samples_of_v, mean_v = value.T[:, :, np.newaxis], value.mean(axis=0)[:, np.newaxis]
    calibrated = losses.calibrated_itervaml(tensor(samples_of_v), target_value).numpy()
    plain = losses.itervaml(tensor(mean_v), target_value).numpy()
    for loss, expected in ((calibrated, error**2), (plain, error**2 + variance / samples)):
        assert abs(loss.mean() - expected) < 4.0 * loss.std() / count**0.5
    assert abs(plain.mean() - error**2) > 20.0 * plain.std() / count**0.5


def test_calibrated_itervaml_needs_two_samples_of_a_known_number():
    with pytest.raises(ValueError, match="at least 2 samples, got 1"):
        losses.calibrated_itervaml(tensor(normal(E, B, 1, C)), tensor(normal(B, C)))
    for shape in [(E, B, C), (C,)]:  # no axis of samples
        with pytest.raises(ValueError):
            losses.calibrated_itervaml(tensor(normal(*shape)), tensor(normal(B, C)))


def test_the_gradient_of_calibrated_itervaml_agrees_with_finite_differences_and_reaches_no_target():
    predicted, target, step = normal(E, B, K, C), tensor(normal(B, C, seed=1)), 1e-6
    watched = tensor(predicted)
    with tf.GradientTape() as tape:
        tape.watch([watched, target])
        value = tf.reduce_sum(losses.calibrated_itervaml(watched, target))
    gradient, to_target = tape.gradient(value, [watched, target])
    assert to_target is None
    for index in [(0, 0, 0, 0), (1, 3, 2, 1)]:
        moved = np.zeros_like(predicted)
        moved[index] = step
        upper, lower = (
            losses.calibrated_itervaml(tensor(predicted + sign * moved), target).numpy().sum()
            for sign in (1, -1)
        )
        np.testing.assert_allclose(gradient.numpy()[index], (upper - lower) / (2 * step), rtol=1e-6)


def test_gaussian_nll_by_hand_and_against_scipy():
    log_two_pi = 1.8378770664093453
    nll = losses.gaussian_nll(PREDICTION, tf.zeros_like(PREDICTION), TARGET)
    np.testing.assert_allclose(nll, np.array([[2.5, 2.5], [4.5, 0.0]]) + log_two_pi, rtol=1e-12)

    mean, log_variance, target = normal(E, B, D), normal(E, B, D, seed=1), normal(B, D, seed=2)
    expected = -scipy.stats.norm.logpdf(target, mean, np.exp(0.5 * log_variance)).sum(axis=-1)
    np.testing.assert_allclose(
        losses.gaussian_nll(tensor(mean), tensor(log_variance), tensor(target)),
        expected,
        rtol=1e-12,
    )


# The losses as functions of (prediction, target), with everything else held fixed.
SOME_GRADIENT = tensor(normal(B, C, D, seed=9))
STATE_LOSSES = {
    "mse": losses.mse,
    "gaussian_nll": lambda prediction, target: losses.gaussian_nll(
        prediction, tf.zeros_like(prediction), target
    ),
    "taylor": lambda prediction, target: losses.taylor(prediction, target, SOME_GRADIENT),
    "vagram": lambda prediction, target: losses.vagram(prediction, target, SOME_GRADIENT),
}
WEIGHTED = {"taylor": losses.taylor, "vagram": losses.vagram}


@pytest.mark.parametrize("loss", STATE_LOSSES.values(), ids=STATE_LOSSES)
def test_a_target_is_shared_or_each_members_own(loss):
    prediction, shared, own = (
        tensor(normal(E, B, D)),
        tensor(normal(B, D, seed=1)),
        tensor(normal(E, B, D, seed=2)),
    )

    result = loss(prediction, shared)
    assert result.shape == (E, B)
    np.testing.assert_allclose(
        loss(prediction, tf.broadcast_to(shared, [E, B, D])), result, rtol=1e-12
    )
    for member in range(E):
        np.testing.assert_allclose(
            loss(prediction, own)[member], loss(prediction, own[member])[member], rtol=1e-12
        )


@pytest.mark.parametrize("loss", WEIGHTED.values(), ids=WEIGHTED)
def test_a_value_gradient_is_shared_or_each_members_own(loss):
    prediction, target = tensor(normal(E, B, D)), tensor(normal(B, D, seed=1))
    own = tensor(normal(E, B, C, D, seed=2))

    result = loss(prediction, target, own)
    assert result.shape == (E, B)
    for member in range(E):
        np.testing.assert_allclose(
            result[member], loss(prediction, target, own[member])[member], rtol=1e-12
        )
    shared = own[0]
    np.testing.assert_allclose(
        loss(prediction, target, tf.broadcast_to(shared, [E, B, C, D])),
        loss(prediction, target, shared),
        rtol=1e-12,
    )


# The losses of values, and the shape of what is predicted.
VALUE_LOSSES = {
    "itervaml": (losses.itervaml, (E, B, C)),
    "calibrated": (losses.calibrated_itervaml, (E, B, K, C)),
}


@pytest.mark.parametrize("loss, shape", VALUE_LOSSES.values(), ids=VALUE_LOSSES)
def test_target_values_are_shared_or_each_members_own(loss, shape):
    predicted, own = tensor(normal(*shape)), tensor(normal(E, B, C, seed=1))
    result = loss(predicted, own)
    assert result.shape == (E, B)
    for member in range(E):
        np.testing.assert_allclose(result[member], loss(predicted, own[member])[member], rtol=1e-12)


# Every loss with arguments of shapes `[E, B, ...]`; the first is what is predicted.
ARGUMENTS = {
    "gaussian_nll": (losses.gaussian_nll, ((D,), (D,), (D,))),
    "mse": (losses.mse, ((D,), (D,))),
    "taylor": (losses.taylor, ((D,), (D,), (C, D))),
    "vagram": (losses.vagram, ((D,), (D,), (C, D))),
    "itervaml": (losses.itervaml, ((C,), (C,))),
    "calibrated": (losses.calibrated_itervaml, ((K, C), (C,))),
}


@pytest.mark.parametrize("leading", [(), (1,), (B,), (2, E, B)], ids=str)
@pytest.mark.parametrize("loss, shapes", ARGUMENTS.values(), ids=ARGUMENTS)
def test_any_leading_axes_are_those_of_the_result(loss, shapes, leading):
    arguments = [normal(*leading, *shape, seed=i) for i, shape in enumerate(shapes)]
    result = loss(*map(tensor, arguments))
    assert result.shape == leading
    for index in np.ndindex(*leading):
        alone = loss(*(tensor(argument[index]) for argument in arguments))
        np.testing.assert_allclose(result[index], alone, rtol=1e-12)


@pytest.mark.parametrize("loss, shapes", ARGUMENTS.values(), ids=ARGUMENTS)
def test_only_the_first_of_at_least_two_leading_axes_may_be_missing(loss, shapes):
    def call(predicted, compared):
        """What is predicted has some leading axes, what it is compared with has others."""
        own = 2 if loss is losses.gaussian_nll else 1
        return loss(
            *(
                tensor(normal(*(predicted if i < own else compared), *shape, seed=i))
                for i, shape in enumerate(shapes)
            )
        )

    assert call((2, E, B), (E, B)).shape == (2, E, B)
    for predicted, compared in [
        ((B,), ()),
        ((2, E, B), (B,)),
        ((2, E, B), (2, B)),
        ((2, E, B), (2, E)),
    ]:
        with pytest.raises(ValueError):
            call(predicted, compared)


@pytest.mark.parametrize(
    "shape",
    [
        (D,),
        (1, D),
        (B, 1),
        (E, 1, D),
        (E, B, 1),
        (B, E, D),
        (E, B, D, 1),
        (B, D + 1),
        (E + 1, B, D),
        (),
    ],
)
@pytest.mark.parametrize("loss", STATE_LOSSES.values(), ids=STATE_LOSSES)
def test_a_target_of_another_shape_is_refused(loss, shape):
    with pytest.raises(ValueError):
        loss(tensor(normal(E, B, D)), tensor(normal(*shape)))


@pytest.mark.parametrize("shape", [(D,), (1, D), (B, 1), (E, B, 1, D), (B, E, D), ()])
@pytest.mark.parametrize("loss", STATE_LOSSES.values(), ids=STATE_LOSSES)
def test_a_prediction_that_the_target_does_not_fit_is_refused(loss, shape):
    with pytest.raises(ValueError):
        loss(tensor(normal(*shape)), tensor(normal(B, D)))


def test_a_prediction_needs_an_axis_of_dimensions():
    with pytest.raises(ValueError):
        losses.mse(tensor(1.0), tensor(2.0))


@pytest.mark.parametrize(
    "shape",
    [
        (B, D),
        (C, D),
        (1, C, D),
        (B, C, 1),
        (E, 1, C, D),
        (1, B, C, D),
        (E, B, C, 1),
        (B, E, C, D),
        (E + 1, B, C, D),
        (B + 1, C, D),
        (C, B, D),
        (C, E, B, D),
        (D,),
        (),
    ],
)
@pytest.mark.parametrize("loss", WEIGHTED.values(), ids=WEIGHTED)
def test_a_value_gradient_of_another_shape_is_refused(loss, shape):
    with pytest.raises(ValueError):
        loss(tensor(normal(E, B, D)), tensor(normal(B, D)), tensor(normal(*shape)))


@pytest.mark.parametrize(
    "target",
    [
        (C,),
        (B,),
        (B, 1),
        (1, C),
        (E, 1, C),
        (1, B, C),
        (E, B, 1),
        (E + 1, B, C),
        (1, B, 1),
        (E, B, C, 1),
        (C, E, B),
        (B, C + 1),
        (),
    ],
)
@pytest.mark.parametrize("loss, shape", VALUE_LOSSES.values(), ids=VALUE_LOSSES)
def test_a_target_value_of_another_shape_is_refused(loss, shape, target):
    with pytest.raises(ValueError):
        loss(tensor(normal(*shape)), tensor(normal(*target)))


@pytest.mark.parametrize("shape", [(1, B, D), (E, B, 1), (B, D), (E, B), (D,)])
def test_a_log_variance_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError):
        losses.gaussian_nll(tensor(normal(E, B, D)), tensor(normal(*shape)), tensor(normal(B, D)))


def test_one_example_does_not_stand_for_many_nor_many_for_one():
    for prediction, target in (
        ((E, B, 1), (1, 1)),
        ((E, 1, 1), (B, 1)),
        ((E, B, 1), (B,)),
        ((1, B, 1), (E, B, 1)),
    ):
        for name, loss in STATE_LOSSES.items():
            if name in ("mse", "gaussian_nll"):
                with pytest.raises(ValueError):
                    loss(tensor(normal(*prediction)), tensor(normal(*target)))


def test_vagram_with_unit_gradients_in_one_dimension_is_the_mse():
    prediction, target = tensor(normal(E, B, 1)), tensor(normal(B, 1, seed=1))
    signs = tensor(np.sign(normal(B, C, 1, seed=2)))
    assert set(signs.numpy().ravel()) == {-1.0, 1.0}
    np.testing.assert_allclose(
        losses.vagram(prediction, target, signs), losses.mse(prediction, target), rtol=1e-12
    )


def test_taylor_is_bounded_by_vagram_and_reaches_the_bound():
    prediction, target = tensor(normal(E, 500, D)), tensor(normal(500, D, seed=1))
    gradient = tensor(normal(500, C, D, seed=2))
    taylor = losses.taylor(prediction, target, gradient).numpy()
    bound = D**2 * losses.vagram(prediction, target, gradient).numpy()
    assert np.all(taylor <= bound * (1 + 1e-12))
    assert np.any(taylor > 0.5 * bound)  # D · vagram, say, would be no bound

    # Every g_d e_d is 2: Cauchy-Schwarz with equality.
    aligned = 2.0 / (prediction - target[tf.newaxis])
    np.testing.assert_allclose(
        losses.taylor(prediction, target, aligned[:, :, tf.newaxis]),
        D**2 * losses.vagram(prediction, target, aligned[:, :, tf.newaxis]),
        rtol=1e-9,
    )


def test_itervaml_of_linear_values_is_taylor():
    slope = tensor(normal(C, D, seed=3))
    prediction, target = tensor(normal(E, B, D)), tensor(normal(B, D, seed=1))
    values = [
        tf.einsum("cd,ebd->ebc", slope, prediction) + 7.0,
        tf.einsum("cd,bd->bc", slope, target) + 7.0,
    ]
    gradient = tf.broadcast_to(slope, [B, C, D])
    np.testing.assert_allclose(
        losses.itervaml(*values), losses.taylor(prediction, target, gradient), rtol=1e-9
    )


@pytest.mark.parametrize("own", [False, True], ids=["shared", "own"])
@pytest.mark.parametrize("loss", STATE_LOSSES.values(), ids=STATE_LOSSES)
def test_the_prediction_gets_a_gradient_and_the_target_none(loss, own):
    prediction, target = (
        tensor(normal(E, B, D)),
        tensor(normal(*([E] if own else []), B, D, seed=1)),
    )
    with tf.GradientTape() as tape:
        tape.watch([prediction, target])
        value = loss(prediction, target)
    to_prediction, to_target = tape.gradient(value, [prediction, target])
    assert np.all(to_prediction.numpy() != 0.0)
    assert to_target is None


@pytest.mark.parametrize("loss", WEIGHTED.values(), ids=WEIGHTED)
@pytest.mark.parametrize("shape", [(B, C, D), (E, B, C, D)], ids=["shared", "own"])
def test_the_value_gradient_gets_no_gradient(loss, shape):
    gradient = tensor(normal(*shape))
    with tf.GradientTape() as tape:
        tape.watch(gradient)
        value = loss(tensor(normal(E, B, D, seed=1)), tensor(normal(B, D, seed=2)), gradient)
    assert tape.gradient(value, gradient) is None


def test_itervaml_gets_its_gradient_through_the_predicted_value_alone():
    predicted, target = tensor(normal(E, B, C)), tensor(normal(B, C, seed=1))
    with tf.GradientTape() as tape:
        tape.watch([predicted, target])
        value = losses.itervaml(predicted, target)
    to_predicted, to_target = tape.gradient(value, [predicted, target])
    np.testing.assert_allclose(to_predicted, 2.0 * (predicted - target) / C, rtol=1e-12)
    assert to_target is None


def test_log_variance_gets_the_gradient_of_the_likelihood():
    mean, log_variance, target = (tensor(normal(E, B, D, seed=seed)) for seed in range(3))
    with tf.GradientTape() as tape:
        tape.watch(log_variance)
        value = losses.gaussian_nll(mean, log_variance, target)
    expected = 0.5 * (1.0 - tf.square(mean - target) * tf.exp(-log_variance))
    np.testing.assert_allclose(tape.gradient(value, log_variance), expected, rtol=1e-9)


@pytest.mark.parametrize("loss", STATE_LOSSES.values(), ids=STATE_LOSSES)
def test_gradients_agree_with_finite_differences(loss):
    prediction, target, step = normal(E, B, D), tensor(normal(B, D, seed=1)), 1e-6
    watched = tensor(prediction)
    with tf.GradientTape() as tape:
        tape.watch(watched)
        value = tf.reduce_sum(loss(watched, target))
    gradient = tape.gradient(value, watched).numpy()
    for index in [(0, 0, 0), (1, 2, 3), (2, 3, 4)]:
        moved = np.zeros_like(prediction)
        moved[index] = step
        upper, lower = (
            loss(tensor(prediction + sign * moved), target).numpy().sum() for sign in (1, -1)
        )
        np.testing.assert_allclose(gradient[index], (upper - lower) / (2 * step), rtol=1e-6)


def test_examples_do_not_touch_one_another():
    prediction, target = normal(E, B, D), tensor(normal(B, D, seed=1))
    changed = prediction.copy()
    changed[1, 2] += 1.0
    for loss in STATE_LOSSES.values():
        differs = loss(tensor(prediction), target).numpy() != loss(tensor(changed), target).numpy()
        assert np.argwhere(differs).tolist() == [[1, 2]]


def test_plain_arrays_are_taken():
    prediction, target, gradient = normal(E, B, D), normal(B, D, seed=1), normal(B, C, D, seed=2)
    for loss, arrays in (
        (losses.mse, (prediction, target)),
        (losses.gaussian_nll, (prediction, 0.0 * prediction, target)),
        (losses.taylor, (prediction, target, gradient)),
        (losses.vagram, (prediction, target, gradient)),
        (losses.itervaml, (normal(E, B, C), normal(B, C, seed=1))),
        (losses.calibrated_itervaml, (normal(E, B, K, C), normal(B, C, seed=1))),
    ):
        np.testing.assert_array_equal(loss(*arrays), loss(*map(tensor, arrays)))

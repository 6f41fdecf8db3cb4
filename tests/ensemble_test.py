"""The ensemble: members apart from one another, normalised data, bounded variances, elites."""

import numpy as np
import pytest
import tensorflow as tf

from vagram_tf.model.ensemble import DynamicsEnsemble
from vagram_tf.types import Prediction, Transition

D, A, E, ELITES, B = 3, 2, 4, 2, 5
LOW, HIGH = -10.0, 0.5  # the log-variance bounds at the start


def normal(*shape, seed=0, scale=1.0):
    return tf.constant(scale * np.random.default_rng(seed).normal(size=shape), tf.float32)


def make(elites=ELITES, seed=0, bounds="relative", target="change"):
    tf.keras.utils.set_random_seed(seed)
    return DynamicsEnsemble(D, A, E, elites, (8, 6), bounds, target)


@pytest.fixture(scope="module")
def shared():
    """An ensemble that no test may change."""
    return make()


@pytest.fixture
def ensemble():
    return make()


@pytest.fixture(scope="module")
def inputs():
    return normal(E, B, D), normal(E, B, A, seed=1)


def transitions(observation, action):
    count = len(observation)
    return Transition(
        tf.constant(observation, tf.float32),
        tf.constant(action, tf.float32),
        tf.zeros(count),
        tf.ones(count),
        tf.constant(observation, tf.float32),
    )


def unequal_members(first, second):
    """Returns the members that any field of two predictions differs in."""
    return {
        member
        for a, b in zip(first, second, strict=True)
        for member in range(E)
        if not np.array_equal(a[member], b[member])
    }


def test_shapes(shared, inputs):
    prediction = shared(*inputs)
    assert [tuple(field.shape) for field in prediction] == [(E, B, D), (E, B), (E, B, D), (E, B)]
    assert all(variable.shape[0] == E for variable in shared.trainable_variables)
    assert shared.bound_width().shape == (E,)


def test_members_start_apart(shared):
    same = tf.broadcast_to(normal(1, B, D), [E, B, D]), tf.broadcast_to(normal(1, B, A), [E, B, A])
    prediction = shared(*same)
    for one in range(E):
        for other in range(one):
            assert np.all(prediction.reward[one] != prediction.reward[other])


@pytest.mark.parametrize("member", range(E))
def test_a_members_weights_change_its_own_output_alone(ensemble, inputs, member):
    before = ensemble(*inputs)
    for variable in ensemble.trainable_variables:
        variable.assign(
            variable + tf.reshape(tf.one_hot(member, E), [E] + [1] * (len(variable.shape) - 1))
        )
    assert unequal_members(before, ensemble(*inputs)) == {member}


@pytest.mark.parametrize("member", range(E))
def test_a_members_inputs_change_its_own_output_alone(shared, inputs, member):
    observation, action = inputs
    changed = action + tf.reshape(tf.one_hot(member, E), [E, 1, 1])
    assert unequal_members(shared(*inputs), shared(observation, changed)) == {member}


def test_a_members_loss_sends_gradients_to_its_own_weights_alone(shared, inputs):
    with tf.GradientTape() as tape:
        prediction = shared(*inputs)
        loss = tf.add_n([tf.reduce_sum(field[1]) for field in prediction])
    for variable, gradient in zip(
        shared.trainable_variables, tape.gradient(loss, shared.trainable_variables), strict=True
    ):
        assert np.any(gradient[1] != 0.0), variable.name
        assert np.all(np.delete(gradient.numpy(), 1, axis=0) == 0.0), variable.name


def test_one_member_is_a_plain_network(shared, inputs):
    for member in range(E):
        features = np.concatenate([inputs[0][member], inputs[1][member]], axis=-1)
        for layer in shared._trunk:
            features = features @ layer.kernel.numpy()[member] + layer.bias.numpy()[member]
            features = features / (1.0 + np.exp(-features))  # swish
        mean = (
            features @ shared._mean_head.kernel.numpy()[member]
            + shared._mean_head.bias.numpy()[member]
        )
        prediction = shared(*inputs)
        np.testing.assert_allclose(
            prediction.next_observation[member] - inputs[0][member],
            mean[:, :D],
            rtol=1e-4,
            atol=1e-5,
        )
        np.testing.assert_allclose(prediction.reward[member], mean[:, D], rtol=1e-4, atol=1e-5)


# Two transitions: next observations less observations are (1, -10, 5) ± (2, 100, 0), rewards
# 7 ± 0.5, and next observations (1, 0, 6) ± (3, 100, 2).
TWO = Transition(
    tf.constant([[1.0, 10.0, 3.0], [-1.0, 10.0, -1.0]]),
    tf.zeros([2, A]),
    tf.constant([7.5, 6.5]),
    tf.ones(2),
    tf.constant([[4.0, 100.0, 8.0], [-2.0, -100.0, 4.0]]),
)


@pytest.mark.parametrize(
    "target, mean, stddev",
    [
        ("change", [1.0, -10.0, 5.0], [2.0, 100.0, 1.0]),
        ("state", [1.0, 0.0, 6.0], [3.0, 100.0, 2.0]),
    ],
)
def test_heads_predict_targets_less_their_mean_in_their_spread(inputs, target, mean, stddev):
    ensemble = make(target=target)
    ensemble.fit_normalizer(TWO)
    for head in (ensemble._mean_head, ensemble._log_variance_head):
        head.kernel.assign(tf.zeros_like(head.kernel))
    for head in ([0.0, 0.0, 0.0, 0.0], [0.5, -2.0, 3.0, 4.0]):
        ensemble._mean_head.bias.assign(tf.broadcast_to(tf.constant(head), [E, 1, D + 1]))
        prediction = ensemble(*inputs)
        state = prediction.next_observation - (inputs[0] if target == "change" else 0.0)
        np.testing.assert_allclose(
            state,
            np.broadcast_to(np.add(mean, np.multiply(stddev, head[:D])), [E, B, D]),
            rtol=1e-5,
            atol=1e-5,
        )
        np.testing.assert_allclose(
            prediction.reward, np.full([E, B], 7.0 + 0.5 * head[D]), rtol=1e-6
        )
    # A log-variance of -3 in units of the squared spread, but for the soft bounds.
    ensemble._log_variance_head.bias.assign(tf.fill([E, 1, D + 1], -3.0))
    prediction = ensemble(*inputs)
    np.testing.assert_allclose(
        prediction.next_observation_log_variance,
        np.broadcast_to(-3.0 + 2.0 * np.log(stddev), [E, B, D]),
        atol=0.05,
    )
    np.testing.assert_allclose(
        prediction.reward_log_variance, np.full([E, B], -3.0 + 2.0 * np.log(0.5)), atol=0.05
    )


@pytest.mark.parametrize("target", ["change", "state"])
def test_equal_weights_predict_equal_numbers_of_units(inputs, target):
    plain, normalised = make(target=target), make(target=target)
    normalised.fit_normalizer(TWO)
    plain._input_mean.assign(normalised._input_mean)
    plain._input_stddev.assign(normalised._input_stddev)
    before = inputs[0] if target == "change" else 0.0
    units = plain(*inputs).next_observation - before
    np.testing.assert_allclose(
        normalised(*inputs).next_observation - before,
        normalised._target_mean[:D] + normalised._target_stddev[:D] * units,
        rtol=1e-4,
        atol=1e-4,
    )


@pytest.mark.parametrize("bounds", ["relative", "absolute"])
@pytest.mark.parametrize("target", ["change", "state"])
def test_what_a_fitted_ensemble_predicts_stays_when_the_data_move(inputs, bounds, target):
    # The first layer and the head take on units of other sizes, those of the targets up to a
    # hundred times as large.
    ensemble = make(bounds=bounds, target=target)
    data = transitions(np.random.default_rng(0).normal(size=(100, D)), np.zeros([100, A]))
    data = data._replace(
        next_observation=data.observation + normal(100, D, seed=1), reward=normal(100, seed=2)
    )
    ensemble.fit_normalizer(data)
    before = ensemble(*inputs)
    observation = data.observation * [3.0, 0.2, 1.0] + [1.0, -2.0, 0.0]
    moved = data._replace(
        observation=observation,
        action=data.action + normal(100, A, seed=3),
        next_observation=observation
        + normal(100, D, seed=1) * [100.0, 0.01, 1.0]
        + [50.0, 0.0, -3.0],
        reward=0.01 * data.reward - 20.0,
    )
    for new in (moved, data):
        ensemble.fit_normalizer(new)
        after = ensemble(*inputs)
        np.testing.assert_allclose(
            after.next_observation, before.next_observation, rtol=1e-4, atol=1e-4
        )
        np.testing.assert_allclose(after.reward, before.reward, rtol=1e-4, atol=1e-4)
        if new is moved:  # the units did change
            assert ensemble._target_stddev[0] > 50.0 and ensemble._target_stddev[D] < 0.02
            assert ensemble._input_stddev[0] > 2.0 and ensemble._input_mean[1] < -1.0


def test_a_first_fit_leaves_the_heads_weights_and_takes_up_the_units(ensemble):
    # The weights that a network begins with mean nothing that would be worth keeping.
    kernel, bias = (variable.numpy() for variable in ensemble._mean_head.trainable_variables)
    ensemble.fit_normalizer(TWO)
    np.testing.assert_array_equal(ensemble._mean_head.kernel, kernel)
    np.testing.assert_array_equal(ensemble._mean_head.bias, bias)
    assert ensemble._normalized
    ensemble.fit_normalizer(TWO._replace(next_observation=3.0 * TWO.next_observation))
    assert np.all(ensemble._mean_head.kernel[..., :D] != kernel[..., :D])


def test_the_mean_head_predicts_a_change(ensemble, inputs):
    ensemble._mean_head.kernel.assign(tf.zeros_like(ensemble._mean_head.kernel))
    prediction = ensemble(*inputs)
    np.testing.assert_array_equal(prediction.next_observation, inputs[0])
    np.testing.assert_array_equal(prediction.reward, tf.zeros([E, B]))

    ensemble._mean_head.bias.assign(
        tf.broadcast_to(tf.constant([0.5, -0.25, 2.0, 7.0]), [E, 1, D + 1])
    )
    prediction = ensemble(*inputs)
    np.testing.assert_allclose(
        prediction.next_observation - inputs[0],
        np.broadcast_to([0.5, -0.25, 2.0], [E, B, D]),
        atol=1e-6,
    )
    np.testing.assert_array_equal(prediction.reward, tf.fill([E, B], 7.0))


@pytest.mark.parametrize("scale", [1.0, 1e3, 1e6])
def test_log_variances_stay_within_their_bounds(shared, scale):
    prediction = shared(normal(E, B, D, scale=scale), normal(E, B, A, seed=1, scale=scale))
    for log_variance in (prediction.next_observation_log_variance, prediction.reward_log_variance):
        assert np.all(log_variance >= LOW - 1e-4) and np.all(log_variance <= HIGH + 1e-4)
    if scale == 1e6:
        # The bounds are reached.
        assert np.min(prediction.next_observation_log_variance) < LOW + 0.01
        assert np.max(prediction.next_observation_log_variance) > HIGH - 0.01


def test_bounds_are_those_of_pets_and_so_are_their_gradients(ensemble, inputs):
    head, low, high = (
        ensemble._log_variance_head,
        ensemble._min_log_variance,
        ensemble._max_log_variance,
    )
    head.kernel.assign(tf.zeros_like(head.kernel))
    bias = head.bias
    bias.assign(
        [
            [[-200.0, -10.0, -9.0, -3.0]],
            [[0.0, 0.4, 0.5, 0.6]],
            [[1.0, 3.0, 20.0, 200.0]],
            [[-40.0, -5.0, 5.0, 40.0]],
        ]
    )
    with tf.GradientTape() as tape:
        prediction = ensemble(*inputs)
        bounded = tf.concat(
            [
                prediction.next_observation_log_variance,
                prediction.reward_log_variance[..., tf.newaxis],
            ],
            axis=-1,
        )[:, :1]
    with tf.GradientTape() as pets_tape:
        upper_bounded = high - tf.nn.softplus(high - bias)
        expected = low + tf.nn.softplus(upper_bounded - low)
    np.testing.assert_allclose(bounded, expected, atol=1e-5)
    for gradient, of_pets in zip(
        tape.gradient(bounded, [bias, low, high]),
        pets_tape.gradient(expected, [bias, low, high]),
        strict=True,
    ):
        np.testing.assert_allclose(gradient, of_pets, atol=1e-5)


def test_each_member_has_bounds_of_its_own(ensemble, inputs):
    high = tf.reshape(tf.constant([0.5, -5.0, 0.5, 0.5]), [E, 1, 1])
    ensemble._max_log_variance.assign(tf.broadcast_to(high, [E, 1, D + 1]))
    prediction = ensemble(*inputs)
    assert np.all(prediction.reward_log_variance[1] <= -5.0 + 0.01)
    picked = ensemble(inputs[0][:2], inputs[1][:2], members=tf.constant([2, 1]))
    assert np.all(picked.reward_log_variance[1] <= -5.0 + 0.01)
    np.testing.assert_allclose(ensemble.bound_width(), [42.0, 20.0, 42.0, 42.0], rtol=1e-6)


def test_normaliser_takes_mean_and_standard_deviation(ensemble):
    generator = np.random.default_rng(0)
    observation = generator.normal(size=(1000, D)) * [1.0, 100.0, 1e-3] + [0.0, -5000.0, 2.0]
    action = generator.uniform(-1, 1, size=(1000, A))
    data = transitions(observation, action)
    ensemble.fit_normalizer(data)
    together = np.concatenate([data.observation, data.action], axis=-1).astype(np.float64)
    np.testing.assert_allclose(ensemble._input_mean, together.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(ensemble._input_stddev, together.std(axis=0), rtol=1e-5)


def test_statistics_are_summed_in_float64(ensemble):
    # Around 4,000 float32 has steps of 2.4e-4: summed in float32, the variance is mostly rounding.
    observation = np.random.default_rng(0).normal(size=(50_000, D)) * 0.01 + 4000.0
    data = transitions(observation, np.zeros([50_000, A]))
    ensemble.fit_normalizer(data)
    expected = data.observation.numpy().astype(np.float64).std(axis=0)
    np.testing.assert_allclose(ensemble._input_stddev[:D], expected, rtol=1e-5)


def test_inputs_are_normalised_with_it(ensemble, inputs):
    plain = ensemble(*inputs)
    mean, stddev = tf.constant([1.0, -2.0, 3.0, 0.5, 0.0]), tf.constant([2.0, 0.5, 1.0, 4.0, 3.0])
    ensemble._input_mean.assign(mean)
    ensemble._input_stddev.assign(stddev)
    shifted = ensemble(inputs[0] * stddev[:D] + mean[:D], inputs[1] * stddev[D:] + mean[D:])
    np.testing.assert_allclose(shifted.reward, plain.reward, rtol=1e-3, atol=1e-5)
    # The change is in raw units.
    np.testing.assert_allclose(
        shifted.next_observation - (inputs[0] * stddev[:D] + mean[:D]),
        plain.next_observation - inputs[0],
        rtol=1e-3,
        atol=1e-5,
    )


@pytest.mark.parametrize("value", [0.0, 3.0, -1234.567, 1e8])
def test_a_constant_dimension_gives_finite_predictions(ensemble, value):
    observation = np.random.default_rng(0).normal(size=(50, D))
    observation[:, 1] = value
    data = transitions(observation, np.zeros([50, A]))
    ensemble.fit_normalizer(data)
    assert ensemble._input_stddev[1] == 1.0 and ensemble._input_stddev[3] == 1.0
    batch = [tf.broadcast_to(field[tf.newaxis], [E, *field.shape]) for field in data[:2]]
    with tf.GradientTape() as tape:
        prediction = ensemble(*batch)
        loss = tf.add_n(
            [tf.reduce_sum(prediction.reward), tf.reduce_sum(prediction.reward_log_variance)]
        )
    assert all(np.all(np.isfinite(field)) for field in prediction)
    assert all(
        np.all(np.isfinite(g)) for g in tape.gradient(loss, ensemble._trunk[0].trainable_variables)
    )


def test_one_transition_gives_a_finite_normaliser(ensemble):
    ensemble.fit_normalizer(transitions(np.ones([1, D]), np.ones([1, A])))
    np.testing.assert_array_equal(ensemble._input_stddev, np.ones(D + A))


def test_variance_bounds_follow_the_spread_of_the_targets(ensemble, inputs):
    before = ensemble(*inputs)
    generator = np.random.default_rng(0)
    observation = np.ones([500, D])  # which leaves the features as they were, but for the shift
    change = generator.normal(size=(500, D)) * [0.01, 1.0, 0.0] + [5.0, 0.0, 3.0]
    reward = generator.normal(size=500) * 100.0
    data = transitions(observation, np.zeros([500, A]))
    data = data._replace(
        next_observation=tf.constant(observation + change, tf.float32),
        reward=tf.constant(reward, tf.float32),
    )
    ensemble.fit_normalizer(data)
    spread = (data.next_observation - data.observation).numpy().astype(np.float64).std(axis=0)
    after = ensemble(inputs[0] + 1.0, inputs[1])
    # A dimension that does not vary counts as 1.
    for d, stddev in enumerate((spread[0], spread[1], 1.0)):
        np.testing.assert_allclose(
            after.next_observation_log_variance[..., d],
            before.next_observation_log_variance[..., d] + 2.0 * np.log(stddev),
            atol=1e-3,
        )
    np.testing.assert_allclose(
        after.reward_log_variance,
        before.reward_log_variance + 2.0 * np.log(reward.std()),
        atol=1e-3,
    )
    np.testing.assert_allclose(  # so do the means
        after.reward, reward.mean() + reward.std() * before.reward, rtol=1e-4, atol=1e-3
    )


@pytest.mark.parametrize("bounds, learned", [("absolute", True), ("fixed", False)])
def test_absolute_bounds_do_not_follow_the_targets_and_fixed_ones_are_not_learned(
    inputs, bounds, learned
):
    ensemble = make(bounds=bounds)
    before = ensemble(*inputs)
    data = transitions(np.random.default_rng(0).normal(size=(500, D)), np.zeros([500, A]))
    ensemble.fit_normalizer(data._replace(next_observation=100.0 * data.observation))
    head = ensemble._log_variance_head
    head.kernel.assign(tf.zeros_like(head.kernel))
    head.bias.assign(tf.fill(head.bias.shape, 50.0))
    after = ensemble(*inputs)
    np.testing.assert_allclose(
        after.next_observation_log_variance, tf.fill([E, B, D], HIGH), atol=1e-3
    )
    assert np.all(before.next_observation_log_variance < HIGH)
    trainable = {variable.name for variable in ensemble.trainable_variables}
    assert {name in trainable for name in ("min_log_variance:0", "max_log_variance:0")} == {learned}
    assert len(ensemble.mean_variables) == 6  # kernels and biases of two hidden layers and the head
    elites = ensemble.only_elites()
    np.testing.assert_allclose(
        elites(*(tf.gather(x, ensemble.elites) for x in inputs)).next_observation_log_variance,
        tf.gather(after.next_observation_log_variance, ensemble.elites),
        rtol=1e-6,
    )


def test_members_picks_by_index_in_order(shared, inputs):
    everything = shared(*inputs)
    index = [3, 0, 3]
    picked = shared(*(tf.gather(x, index) for x in inputs), members=tf.constant(index))
    for field, full in zip(picked, everything, strict=True):
        np.testing.assert_allclose(field, tf.gather(full, index), rtol=1e-5, atol=1e-6)
    assert unequal_members(
        everything, Prediction(*(tf.gather(f, [0, 0, 0, 0]) for f in everything))
    ) == {1, 2, 3}


def test_a_detached_variance_is_the_same_number_without_a_gradient_into_the_features(
    shared, inputs
):
    heads = {
        id(variable)
        for variable in (
            *shared._log_variance_head.trainable_variables,
            shared._min_log_variance,
            shared._max_log_variance,
        )
    }
    reached = {}
    for detach in (False, True):
        with tf.GradientTape() as tape:
            prediction = shared(*inputs, detach_variance=detach)
            loss = tf.reduce_sum(prediction.next_observation_log_variance) + tf.reduce_sum(
                prediction.reward_log_variance
            )
        gradients = tape.gradient(loss, shared.trainable_variables)
        reached[detach] = {
            id(v)
            for v, g in zip(shared.trainable_variables, gradients, strict=True)
            if g is not None and np.any(g != 0.0)
        }
        if detach:
            np.testing.assert_array_equal(
                prediction.reward_log_variance, shared(*inputs).reward_log_variance
            )
    trunk = {id(variable) for layer in shared._trunk for variable in layer.trainable_variables}
    assert reached[True] == heads
    assert reached[False] == heads | trunk


def test_a_detached_variance_leaves_the_means_gradient(shared, inputs):
    gradients = []
    for detach in (False, True):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(shared(*inputs, detach_variance=detach).next_observation)
        gradients.append(tape.gradient(loss, shared._trunk[0].kernel))
    assert np.any(gradients[0] != 0.0)
    np.testing.assert_array_equal(*gradients)


@pytest.mark.parametrize("target", ["change", "state"])
def test_only_elites_predicts_what_the_elites_predict(inputs, target):
    ensemble = make(target=target)
    ensemble.elites.assign([3, 1])
    ensemble._input_mean.assign(ensemble._input_mean + 0.5)
    ensemble._input_stddev.assign(ensemble._input_stddev * 3.0)
    ensemble._min_log_variance.assign_add(
        tf.reshape(tf.range(4.0), [E, 1, 1]) * tf.ones([E, 1, D + 1])
    )
    ensemble._target_mean.assign([5.0, -1.0, 0.0, 2.0])
    ensemble._target_stddev.assign([1.6, 0.4, 4.5, 1.3])
    ensemble._normalized.assign(True)
    elites = ensemble.only_elites()
    assert elites.members == ELITES and elites._normalized
    expected = ensemble(*inputs)
    prediction = elites(*(tf.gather(x, [3, 1]) for x in inputs))
    for field, full in zip(prediction, expected, strict=True):
        np.testing.assert_allclose(field, tf.gather(full, [3, 1]), rtol=1e-5, atol=1e-6)

    for variable in ensemble.trainable_variables:  # copies, which later training does not change
        variable.assign(tf.zeros_like(variable))
    for field, again in zip(
        prediction, elites(*(tf.gather(x, [3, 1]) for x in inputs)), strict=True
    ):
        np.testing.assert_array_equal(field, again)


def test_weight_decay_reaches_every_kernel_and_no_bias(shared):
    assert [kernel.shape.as_list() for kernel in shared.kernels] == [
        [E, D + A, 8],
        [E, 8, 6],
        [E, 6, D + 1],
        [E, 6, D + 1],
    ]


def test_initial_kernels_are_those_of_mbpo():
    tf.keras.utils.set_random_seed(0)
    kernel = DynamicsEnsemble(40, 10, 7, 5, (200,))._trunk[0].kernel.numpy()
    # Two standard deviations of 1 / (2 √in); the truncated rest has a spread of 0.88 of them.
    bound = 1.0 / 50**0.5
    assert np.abs(kernel).max() <= bound
    np.testing.assert_allclose(kernel.std(), 0.88 * bound / 2, rtol=0.02)

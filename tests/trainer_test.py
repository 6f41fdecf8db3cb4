"""The trainer: who trains on which examples, which weights stay, how the terms are balanced, and that it learns."""

import numpy as np
import pytest
import tensorflow as tf

from vagram_tf.config import LOSSES, ModelConfig
from vagram_tf.model.ensemble import DynamicsEnsemble
from vagram_tf.model.objectives import Objective, make_objective
from vagram_tf.model.trainer import ModelTrainer
from vagram_tf.types import Transition

D, A, E, ELITES = 3, 1, 4, 2
SEED = tf.zeros([2], tf.int32)
READ_OUT = [loss for loss in LOSSES if loss not in ("mle", "calibrated_itervaml")]


@pytest.fixture
def eagerly():
    """Runs compiled functions as Python: no compilation, and a test may look inside."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def quadratic(center, sign=1.0):
    center = tf.constant(center, tf.float32)
    return lambda s: sign * 0.5 * tf.reduce_sum(tf.square(s - center), axis=-1)


VALUES = [quadratic([4.0, 0.0, 0.0]), quadratic([0.0, 4.0, 0.0], -1.0), quadratic([0.0, 0.0, 4.0]),
          quadratic([-4.0, -4.0, 0.0])]

DYNAMICS = np.array([[-0.1, 0.5, 0.0], [-0.5, -0.1, 0.0], [0.0, 0.2, -0.3]])


def linear_system(count, noise=0.0, reward_noise=0.0, seed=0):
    """Returns transitions of `s' = s + M s + (0, 0, a)`, reward `s_0 - a`."""
    generator = np.random.default_rng(seed)
    observation, action = generator.normal(size=(count, D)), generator.uniform(-1, 1, size=(count, A))
    after = observation + observation @ DYNAMICS.T + action * [0.0, 0.0, 1.0]
    after = after + generator.normal(size=(count, D)) * noise
    reward = observation[:, 0] - action[:, 0] + generator.normal(size=count) * reward_noise
    return Transition(*(tf.constant(x, tf.float32) for x in (observation, action, reward, np.ones(count), after)))


def make(loss="mse", values=VALUES, objective=None, seed=0, hidden=(16,), members=E, elites=ELITES, **settings):
    config = ModelConfig(
        loss=loss, members=members, elites=elites, model_hidden_units=hidden,
        **{"model_batch_size": 8, "model_learning_rate": 1e-2, "patience_steps": 1} | settings)
    tf.keras.utils.set_random_seed(seed)
    ensemble = DynamicsEnsemble(D, A, members, elites, hidden)
    return ModelTrainer(ensemble, objective or make_objective(config), values, config, seed)


def weights_of(trainer):
    return [variable.numpy() for variable in trainer.ensemble.trainable_variables]


def for_members(data, members=E):
    return tf.nest.map_structure(lambda x: tf.broadcast_to(x, [members, *x.shape]), data)


# Holdout and bootstrap.


@pytest.mark.parametrize("share", [0.05, 0.2, 0.29, 0.5, 0.9])
def test_a_stored_transition_never_changes_sides(share):
    trainer = make(holdout_share=share)
    sides = {}
    for count in (20, 21, 57, 100, 1000):
        train, holdout = (set(slots.numpy().tolist()) for slots in trainer._split(count))
        assert train | holdout == set(range(count)) and not train & holdout
        assert abs(len(holdout) - share * count) <= 1
        for slot in range(count):
            assert sides.setdefault(slot, slot in holdout) == (slot in holdout)


def test_the_holdout_is_bounded_by_random_ones_of_those_held_out():
    trainer = make(max_holdout=30)
    everything = set(make()._split(1000)[1].numpy().tolist())
    train, first = trainer._split(1000)
    second = trainer._split(1000)[1]
    assert len(everything) == 200 and train.shape[0] == 800
    for holdout in (first, second):
        assert len(set(holdout.numpy().tolist())) == 30 and set(holdout.numpy().tolist()) <= everything
    assert set(first.numpy().tolist()) != set(second.numpy().tolist())


@pytest.mark.parametrize("count", [2, 3, 4])
def test_few_transitions_leave_one_to_score_on(count):
    train, holdout = make()._split(count)
    assert train.numpy().tolist() == list(range(count - 1)) and holdout.numpy().tolist() == [count - 1]


def test_a_bootstrap_sample_is_drawn_with_replacement_for_each_member():
    trainer = make()
    train = tf.range(1000, 3000, 2)
    bootstrap = trainer._bootstrap(train).numpy()
    assert bootstrap.shape == (E, 1000)
    assert set(bootstrap.ravel().tolist()) <= set(train.numpy().tolist())
    seen = [set(sample.tolist()) for sample in bootstrap]
    for sample in seen:
        assert abs(len(sample) - 632) < 50  # 1 - 1/e of them; standard deviation 10
    for one in range(E):
        for other in range(one):
            assert abs(len(seen[one] & seen[other]) - 400) < 70  # independent: 0.632² of them


def recorded_orders(trainer, data):
    """Fits without taking steps; returns the slots `[steps, E, batch]` of each epoch."""
    orders = []
    trainer._train_epoch = lambda data, prepared, order, weights: orders.append(order.numpy())
    trainer.fit(data)
    return orders


def test_a_members_sample_stays_for_the_whole_fit_and_skips_the_holdout(eagerly):
    trainer, data = make(patience=3), linear_system(100)  # 80 to train on: ten batches of 8
    train, holdout = (set(slots.numpy().tolist()) for slots in trainer._split(100))
    first_fit = recorded_orders(trainer, data)
    second_fit = recorded_orders(trainer, data)
    assert len(first_fit) == len(second_fit) == 3
    samples = [[sorted(order[:, member].ravel().tolist()) for member in range(E)] for order in first_fit + second_fit]
    assert samples[0] == samples[1] == samples[2] and samples[3] == samples[4] == samples[5]  # within a fit
    assert samples[0] != samples[3]  # and not from fit to fit
    assert len({tuple(sample) for sample in samples[0]}) == E  # each member its own
    for epoch in samples:
        for sample in epoch:
            assert len(sample) == 80 and set(sample) <= train and not set(sample) & holdout
    assert any(np.any(a != b) for a, b in zip(first_fit[0], first_fit[1], strict=True))  # shuffled anew


def test_a_batch_larger_than_the_data_repeats_them():
    trainer = make(model_batch_size=8)
    order = trainer._shuffle(tf.constant([[0, 1, 2]] * E)).numpy()
    assert order.shape == (1, E, 8)
    assert all(set(row) == {0, 1, 2} for row in order[0].tolist())


def test_members_train_on_their_own_batch_alone(eagerly):
    # Two trainers of equal weights; the batches differ for member 2 alone.
    data = linear_system(50)
    order = np.random.default_rng(0).integers(0, 50, size=(5, E, 8))
    other = order.copy()
    other[:, 2] = (other[:, 2] + 7) % 50
    after = []
    for slots in (order, other):
        trainer = make("vagram")
        prepared = trainer.prepare(data)
        trainer._train_epoch(data, prepared, tf.constant(slots), trainer._weights(
            trainer._errors(data, prepared, tf.range(50), SEED), False))
        after.append(weights_of(trainer))
    for one, two in zip(*after, strict=True):
        assert {member for member in range(E) if np.any(one[member] != two[member])} == {2}


def test_what_an_objective_prepared_stays_with_its_example(eagerly):
    seen = []

    def loss(prediction, target, prepared, value_functions):
        seen.append([x.numpy() for x in (
            prepared["copy"], target.next_observation, target.observation, target.reward)])
        return tf.reduce_mean(tf.square(prediction.next_observation - target.next_observation), axis=-1)

    objective = Objective(loss, lambda batch, values: {"copy": 2.0 * batch.next_observation})
    trainer = make(objective=objective, patience=2, max_fit_steps=12)
    trainer.fit(linear_system(30))
    trained = [fields for fields in seen if fields[0].shape[1] == 8]
    assert len(trained) == trainer._optimizer.iterations >= 6
    for copy, after, *_ in seen:
        np.testing.assert_array_equal(copy, 2.0 * after)
    for _, after, observation, reward in trained:  # one transition's fields stay together
        np.testing.assert_allclose(
            (after - observation)[..., 1], observation @ DYNAMICS[1], atol=1e-5)
        action = (after - observation - observation @ DYNAMICS.T)[..., 2]
        np.testing.assert_allclose(reward, observation[..., 0] - action, atol=1e-5)
        assert np.any(after[0] != after[1])  # members' batches differ


# Which weights stay.


def scripted(script, **settings):
    """A trainer whose epoch k sets the error of member m: each predicts the change `script[k][m]` where it is 0."""
    trainer = make(patience=2, value_gradient_scale="none", **settings)
    for variable in trainer.ensemble.trainable_variables:
        variable.assign(tf.zeros_like(variable))
    epochs = iter(script)

    def set_error(*_):
        error = tf.reshape(tf.constant(next(epochs), tf.float32), [E, 1, 1])
        trainer.ensemble._mean_head.bias.assign(error * [[[1.0, 1.0, 1.0, 0.0]]] + tf.zeros([E, 1, D + 1]))

    set_error()
    trainer._train_epoch = set_error
    return trainer


def standing_still(count=40):
    observation = tf.constant(np.random.default_rng(0).normal(size=(count, D)), tf.float32)
    return Transition(observation, tf.zeros([count, A]), tf.zeros(count), tf.ones(count), observation)


def test_each_member_keeps_the_weights_of_its_own_best_epoch(eagerly):
    trainer = scripted([
        [4.0, 4.0, 1.0, 4.0],  # before the fit
        [3.0, 2.0, 2.0, 4.0],
        [5.0, 3.0, 3.0, 0.5],
        [2.5, 9.0, 3.0, 0.6],
        [9.0, 9.0, 9.0, 9.0],
        [9.0, 9.0, 9.0, 9.0],
        [0.0, 0.0, 0.0, 0.0],  # beyond the patience
    ])
    metrics = trainer.fit(standing_still())
    np.testing.assert_array_equal(trainer.ensemble._mean_head.bias[:, 0, 0], [2.5, 2.0, 1.0, 0.5])
    assert trainer.ensemble.elites.numpy().tolist() == [3, 2]  # best first
    assert metrics["fit_epochs"] == 5
    np.testing.assert_allclose(metrics["holdout_loss"], (0.25 + 1.0) / 2, rtol=1e-5)  # of the elites, as they are now
    np.testing.assert_allclose(metrics["holdout_mse"], (0.25 + 1.0) / 2, rtol=1e-5)
    assert metrics["holdout_reward_loss"] == 0.0


def test_less_than_one_percent_is_no_improvement(eagerly):
    trainer = scripted([[1.0] * E, [0.996] * E, [0.997] * E, [0.0] * E])  # squared: 0.8 % and 0.6 %
    assert trainer.fit(standing_still())["fit_epochs"] == 2
    np.testing.assert_array_equal(trainer.ensemble._mean_head.bias[:, 0, 0], [1.0] * E)


def test_patience_lasts_for_a_number_of_gradient_steps_at_least(eagerly):
    trainer = scripted([[1.0] * E, [0.5] * E, *[[2.0] * E] * 5], patience_steps=17)  # 4 steps per epoch: 4 + 5 · 4
    assert trainer.fit(standing_still())["fit_steps"] == 24
    np.testing.assert_array_equal(trainer.ensemble._mean_head.bias[:, 0, 0], [0.5] * E)


def test_one_member_that_improves_keeps_the_fit_going(eagerly):
    worse = [2.0] * E
    trainer = scripted([[1.0] * E, worse, [2.0, 2.0, 2.0, 0.5], worse, [2.0, 0.5, 2.0, 2.0], worse, worse])
    assert trainer.fit(standing_still())["fit_epochs"] == 6
    np.testing.assert_array_equal(trainer.ensemble._mean_head.bias[:, 0, 0], [1.0, 0.5, 1.0, 0.5])


def test_an_epoch_that_is_not_finite_is_not_kept(eagerly):
    trainer = scripted([[1.0] * E, [np.nan, 0.5, np.inf, 0.5], [np.nan] * E, [np.nan] * E])
    trainer.fit(standing_still())
    np.testing.assert_array_equal(trainer.ensemble._mean_head.bias[:, 0, 0], [1.0, 0.5, 1.0, 0.5])


def test_no_member_is_worse_on_the_holdout_after_a_real_fit():
    # A learning rate that makes some members worse than they were.
    trainer = make(model_learning_rate=0.3, patience=1, value_gradient_scale="none", hidden=(8,))
    data = linear_system(60)
    for _ in range(2):
        trainer.ensemble.fit_normalizer(data)
        holdout = trainer._split(60)[1]
        before = trainer._errors(data, {}, holdout, SEED)
        trainer.fit(data)
        after = trainer._errors(data, {}, holdout, SEED)
        assert np.all(after.loss + after.reward_loss <= before.loss + before.reward_loss)
    order = np.argsort((after.loss + after.reward_loss).numpy())
    assert trainer.ensemble.elites.numpy().tolist() == order[:ELITES].tolist()


@pytest.mark.parametrize("bound", [1, 7, 25])
def test_a_fit_takes_at_most_the_steps_allowed(eagerly, bound):
    orders = []
    trainer = make(max_fit_steps=bound, patience=50)
    trainer._train_epoch = lambda data, prepared, order, weights: orders.append(order.shape[0])
    metrics = trainer.fit(linear_system(100))  # ten batches an epoch
    assert sum(orders) == bound == metrics["fit_steps"]


def test_steps_are_optimizer_steps_in_whole_and_broken_chunks():
    trainer = make(model_batch_size=1024, max_fit_steps=7, patience=50, hidden=(4,))  # five steps to a chunk
    assert trainer._chunk_steps == 5
    data = linear_system(4000)  # three batches an epoch
    assert trainer.fit(data)["fit_steps"] == 7 == trainer._optimizer.iterations
    prepared, order = {}, tf.zeros([12, E, 1024], tf.int32)
    errors = trainer._errors(data, prepared, tf.range(9), SEED)
    trainer._train_epoch(data, prepared, order, trainer._weights(errors, False))
    assert trainer._optimizer.iterations == 7 + 12


@pytest.mark.parametrize("count", [2, 3, 5, 9])
def test_a_few_transitions_are_enough_to_fit(eagerly, count):
    trainer = make("vagram", patience=1, max_fit_steps=3)
    metrics = trainer.fit(linear_system(count), warm_up=True)
    assert all(np.isfinite(value) for value in metrics.values())
    assert all(np.all(np.isfinite(weights)) for weights in weights_of(trainer))


def test_errors_are_means_over_the_slots_asked_for_in_passes_of_any_number():
    trainer, data = make("mse", hidden=(4,)), linear_system(9000)
    slots = tf.range(0, 8999, 2)  # 4,500: a whole pass and a padded one
    prediction = trainer.ensemble(*for_members((data.observation, data.action)))
    each = tf.reduce_mean(tf.square(prediction.next_observation - data.next_observation), axis=-1)
    reward = tf.square(prediction.reward - data.reward)
    errors = trainer._errors(data, {}, slots, SEED)
    np.testing.assert_allclose(errors.loss, tf.reduce_mean(tf.gather(each, slots, axis=1), axis=1), rtol=1e-4)
    np.testing.assert_allclose(errors.mse, errors.loss, rtol=1e-6)
    np.testing.assert_allclose(errors.reward_loss, tf.reduce_mean(tf.gather(reward, slots, axis=1), axis=1), rtol=1e-4)


# What is trained by what.


def gradients_of(trainer, data, choose):
    ensemble = trainer.ensemble
    prepared = trainer.prepare(data)
    with tf.GradientTape() as tape:
        scalar = tf.reduce_sum(choose(*trainer._terms(*for_members((data, prepared)), SEED)))
    variables = ensemble.trainable_variables
    return {variable.ref(): gradient is not None and bool(tf.reduce_any(gradient != 0.0))
            for variable, gradient in zip(variables, tape.gradient(scalar, variables), strict=True)}


def spread_variables(ensemble):
    return {v.ref() for v in (*ensemble._log_variance_head.trainable_variables, ensemble._min_log_variance,
                              ensemble._max_log_variance)}


@pytest.mark.parametrize("loss", READ_OUT)
def test_the_variance_is_a_read_out_unless_the_objective_trains_it(eagerly, loss):
    trainer, data = make(loss), linear_system(10)
    spread = spread_variables(trainer.ensemble)
    readout = gradients_of(trainer, data, lambda errors, readout: readout)
    assert {ref for ref, reached in readout.items() if reached} == spread
    terms = gradients_of(trainer, data, lambda errors, readout: tf.add_n(list(errors)))
    assert {ref for ref, reached in terms.items() if reached} == set(terms) - spread


def test_samples_train_everything_but_the_rewards_variance_which_is_a_read_out(eagerly):
    trainer, data = make("calibrated_itervaml"), linear_system(10)
    spread = spread_variables(trainer.ensemble)
    assert all(gradients_of(trainer, data, lambda errors, readout: errors.loss).values())
    readout = gradients_of(trainer, data, lambda errors, readout: readout)
    assert {ref for ref, reached in readout.items() if reached} == spread
    with tf.GradientTape() as tape:
        _, likelihood = trainer._terms(*for_members((data, trainer.prepare(data))), SEED)
    gradient = tape.gradient(likelihood, trainer.ensemble._log_variance_head.kernel).numpy()
    assert np.all(gradient[..., :-1] == 0.0) and np.any(gradient[..., -1] != 0.0)


def noting_noise(seen):
    def loss(prediction, target, prepared, value_functions):
        seen.append(prepared["noise"].numpy())
        return tf.reduce_mean(tf.square(prediction.next_observation - target.next_observation), axis=-1)

    return Objective(loss, samples=3)


def test_every_step_takes_fresh_noise_and_every_score_of_a_fit_the_same(eagerly):
    seen = []
    trainer, data = make(objective=noting_noise(seen), patience=3, max_fit_steps=30), linear_system(100)
    trainer.fit(data)
    steps = [noise for noise in seen if noise.shape[1] == 8]
    scores = [noise for noise in seen if noise.shape[1] != 8][1:]  # the first is for the balance
    assert steps[0].shape == (E, 8, 3, D) and len(steps) == 30 and len({noise.tobytes() for noise in steps}) == 30
    assert len(scores) > 3 and len({noise.tobytes() for noise in scores}) == 1
    everything = np.concatenate([noise.ravel() for noise in steps])
    assert abs(everything.mean()) < 0.05 and abs(everything.std() - 1.0) < 0.05
    seen.clear()
    trainer.fit(data)
    assert seen[-1].tobytes() != scores[0].tobytes()


def test_a_loss_that_is_zero_on_average_is_balanced_by_its_magnitude(eagerly):
    def loss(prediction, target, prepared, value_functions):
        return tf.tile([[4.0, -4.0]], [E, target.reward.shape[1] // 2])

    trainer, data, chosen = make(objective=Objective(loss, samples=2)), linear_system(50), []
    weights = trainer._weights
    trainer._weights = lambda *args: (chosen.append(weights(*args)), chosen[-1])[1]
    trainer._train_epoch = lambda *args: None
    trainer.fit(data)
    assert float(chosen[0].loss) == pytest.approx(0.25)


def test_the_likelihood_trains_everything(eagerly):
    trainer, data = make("mle"), linear_system(10)
    reached = gradients_of(trainer, data, lambda errors, readout: errors.loss + errors.reward_loss)
    assert all(reached.values())
    assert not any(gradients_of(trainer, data, lambda errors, readout: readout).values())
    no_reward = gradients_of(trainer, data, lambda errors, readout: errors.loss)
    assert no_reward[trainer.ensemble._mean_head.kernel.ref()]


@pytest.mark.parametrize("loss", ["mle", "mse"])
def test_the_predicted_spread_is_that_of_the_errors(loss):
    noise, reward_noise = np.array([0.05, 0.2, 0.6]), 0.3
    data, fresh = (linear_system(count, noise, reward_noise, seed) for count, seed in ((2000, 0), (500, 1)))
    trainer = make(loss, hidden=(32,), members=2, elites=1, max_fit_steps=800, patience=8, model_batch_size=64)
    trainer.fit(data)
    prediction = trainer.ensemble(*for_members((fresh.observation, fresh.action), 2))
    error = np.std(prediction.next_observation - fresh.next_observation, axis=(0, 1))
    np.testing.assert_allclose(error, noise, rtol=0.3)  # the means are learned, so the errors are the noise
    spread = np.exp(0.5 * prediction.next_observation_log_variance.numpy()).mean(axis=(0, 1))
    np.testing.assert_allclose(spread, error, rtol=0.3)
    reward_spread = np.exp(0.5 * prediction.reward_log_variance.numpy()).mean()
    np.testing.assert_allclose(reward_spread, np.std(prediction.reward - fresh.reward), rtol=0.3)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_objective_learns_a_linear_system(loss):
    data, fresh = linear_system(400, noise=0.01), linear_system(200, seed=1)
    trainer = make(loss, hidden=(32,), members=2, elites=1, max_fit_steps=600, patience=20, model_batch_size=32)

    def errors():
        prediction = trainer.ensemble(*for_members((fresh.observation, fresh.action), 2))
        return (np.square(prediction.next_observation - fresh.next_observation).mean(),
                np.square(prediction.reward - fresh.reward).mean())

    before = errors()
    metrics = trainer.fit(data)
    after = errors()
    assert after[0] < before[0] / 20
    assert after[1] < before[1] / 20
    assert metrics["holdout_mse"] < before[0] / 20


def test_vagram_learns_what_the_value_depends_on():
    # V reads the first dimension alone: the others' errors stay, which the mse would not leave.
    data = linear_system(400)
    trainer = make("vagram", [lambda s: 3.0 * s[:, 0]], members=2, elites=1, max_fit_steps=300, patience=20,
                   model_batch_size=32)
    trainer.fit(data)
    prediction = trainer.ensemble(*for_members((data.observation, data.action), 2))
    error = np.square(prediction.next_observation - data.next_observation).mean(axis=(0, 1))
    change = np.square(data.next_observation - data.observation).mean(axis=0)
    assert error[0] < 0.1 * change[0]
    assert error[1] > 0.5 * change[1] and error[2] > 0.5 * change[2]


# Balance.


def errors_of(trainer, data, prepared=None):
    prepared = trainer.prepare(data) if prepared is None else prepared
    return trainer._errors(data, prepared, tf.range(data.reward.shape[0]), SEED)


@pytest.mark.parametrize("loss", ["mse", "itervaml", "taylor", "vagram"])
def test_state_and_reward_start_a_fit_equally_large(eagerly, loss):
    trainer, data = make(loss, reward_weight=0.5), linear_system(30)
    errors = errors_of(trainer, data)
    weights = trainer._weights(errors, warm_up=False)
    np.testing.assert_allclose(weights.loss * tf.reduce_mean(errors.loss), 1.0, rtol=1e-5)
    np.testing.assert_allclose(weights.reward_loss * tf.reduce_mean(errors.reward_loss), 0.5, rtol=1e-5)
    assert weights.mse == 0.0
    warm = trainer._weights(errors, warm_up=True)
    np.testing.assert_allclose(
        warm.mse * tf.reduce_mean(errors.mse), 0.0 if loss == "mse" else 1.0, rtol=1e-5)
    total = weights.total(errors)
    np.testing.assert_allclose(
        total, weights.loss * errors.loss + weights.reward_loss * errors.reward_loss, rtol=1e-5)


def test_without_a_scale_the_terms_are_added_as_they_are(eagerly):
    trainer, data = make("vagram", value_gradient_scale="none", reward_weight=0.5), linear_system(30)
    for warm_up, mse in ((False, 0.0), (True, 1.0)):
        assert [float(w) for w in trainer._weights(errors_of(trainer, data), warm_up)] == [1.0, 0.5, mse]


def test_a_likelihood_is_not_scaled(eagerly):
    trainer, data = make("mle"), linear_system(30)
    assert [float(w) for w in trainer._weights(errors_of(trainer, data), True)] == [1.0, 1.0, 0.0]


def test_a_term_that_is_already_zero_gets_a_finite_weight(eagerly):
    trainer = make("vagram", [lambda s: tf.zeros(s.shape[0])], max_fit_steps=3, patience=1)
    assert all(np.isfinite(value) for value in trainer.fit(linear_system(20)).values())
    assert all(np.all(np.isfinite(weights)) for weights in weights_of(trainer))


def scaled(factor):
    return [lambda s, v=v: factor * v(s) for v in VALUES]


@pytest.mark.parametrize("scale, factor, close", [("rms", 1000.0, True), ("none", 1000.0, False)])
def test_the_size_of_the_value_gradients_matters_only_without_a_scale(eagerly, scale, factor, close):
    data, after = linear_system(30), []
    for values in (scaled(1.0), scaled(factor)):
        trainer = make("vagram", values, value_gradient_scale=scale, max_fit_steps=6, patience=50)
        start = weights_of(trainer)
        trainer.fit(data)
        after.append(weights_of(trainer))
    moved = max(np.abs(a - b).max() for a, b in zip(start, after[0], strict=True))
    apart = max(np.abs(a - b).max() for a, b in zip(*after, strict=True))
    assert moved > 1e-2
    assert apart < 1e-3 * moved if close else apart > 0.1 * moved


def test_equal_seeds_give_equal_weights(eagerly):
    data = linear_system(40)
    results = []
    for seed in (1, 1, 2):
        trainer = make("vagram", seed=0, max_fit_steps=6, hidden=(4,))
        trainer._generator.reset_from_seed(seed)
        metrics = trainer.fit(data)
        results.append((weights_of(trainer), metrics))
    (first, first_metrics), (second, second_metrics), (third, _) = results
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, two)
    assert first_metrics == second_metrics
    assert any(np.any(one != other) for one, other in zip(first, third, strict=True))


def test_weight_decay_pulls_kernels_and_not_biases(eagerly):
    # No loss but the decay: the targets are what is predicted.
    decayed = []
    for decay in (0.0, 1.0):
        trainer = make(objective=Objective(lambda p, t, e, v: 0.0 * p.reward), reward_weight=0.0, hidden=(4,),
                       model_weight_decay=decay, value_gradient_scale="none", model_learning_rate=1e-3)
        for layer in (*trainer.ensemble._trunk, trainer.ensemble._mean_head):
            layer.bias.assign(tf.ones_like(layer.bias))
        before = trainer.ensemble._trunk[0].kernel.numpy()
        data, order = linear_system(20), tf.zeros([3, E, 8], tf.int32)
        trainer._train_epoch(data, {}, order, trainer._weights(errors_of(trainer, data, {}), False))
        kernel, bias = trainer.ensemble._trunk[0].kernel.numpy(), trainer.ensemble._trunk[0].bias.numpy()
        decayed.append(np.abs(kernel).sum() < np.abs(before).sum())
        np.testing.assert_array_equal(bias, np.ones_like(bias))
    assert decayed == [False, True]


@pytest.mark.parametrize("loss", ["mle", "vagram"])
def test_a_compiled_fit_is_the_uncompiled_fit(loss):
    data = linear_system(60, noise=0.1)
    fits = {}
    for eager in (False, True):
        tf.config.run_functions_eagerly(eager)
        try:
            trainer = make(loss, patience=100, max_fit_steps=30)
            start = weights_of(trainer)
            metrics = trainer.fit(data)
        finally:
            tf.config.run_functions_eagerly(False)
        fits[eager] = weights_of(trainer)
        assert metrics["fit_steps"] == 30
    assert max(np.abs(a - b).max() for a, b in zip(fits[True], start, strict=True)) > 0.05
    for compiled, uncompiled in zip(fits[False], fits[True], strict=True):
        np.testing.assert_allclose(compiled, uncompiled, atol=1e-3)

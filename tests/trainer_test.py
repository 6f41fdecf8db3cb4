"""The trainer: who trains on which examples, which weights stay, how the terms are balanced, and
that it learns.
"""

import time

import numpy as np
import programs
import pytest
import tensorflow as tf

from vagram_tf.config import LOSSES, VALUE_GRADIENT_WEIGHTS, ModelConfig
from vagram_tf.model import losses, splits
from vagram_tf.model.ensemble import DynamicsEnsemble
from vagram_tf.model.halves import Examples, _Half
from vagram_tf.model.objective import Objective, Terms, TermWeights, change_spread
from vagram_tf.model.objectives import make_objective
from vagram_tf.model.trainer import ModelTrainer
from vagram_tf.types import Transition

pytestmark = pytest.mark.slow

D, A, E, ELITES = 3, 1, 4, 2
SEED = tf.zeros([2], tf.int32)
READ_OUT = [loss for loss in LOSSES if loss not in ("mle", "calibrated_itervaml")]
AS_THEY_ARE = TermWeights(*(tf.constant(weight) for weight in (1.0, 1.0, 0.0)))


def quadratic(center, sign=1.0):
    center = tf.constant(center, tf.float32)
    return lambda s: sign * 0.5 * tf.reduce_sum(tf.square(s - center), axis=-1)


VALUES = [
    quadratic([4.0, 0.0, 0.0]),
    quadratic([0.0, 4.0, 0.0], -1.0),
    quadratic([0.0, 0.0, 4.0]),
    quadratic([-4.0, -4.0, 0.0]),
]

DYNAMICS = np.array([[-0.1, 0.5, 0.0], [-0.5, -0.1, 0.0], [0.0, 0.2, -0.3]])


def linear_system(count, noise=0.0, reward_noise=0.0, seed=0):
    """Returns transitions of `s' = s + M s + (0, 0, a)`, reward `s_0 - a`."""
    generator = np.random.default_rng(seed)
    observation, action = (
        generator.normal(size=(count, D)),
        generator.uniform(-1, 1, size=(count, A)),
    )
    after = observation + observation @ DYNAMICS.T + action * [0.0, 0.0, 1.0]
    after = after + generator.normal(size=(count, D)) * noise
    reward = observation[:, 0] - action[:, 0] + generator.normal(size=count) * reward_noise
    return Transition(
        *(tf.constant(x, tf.float32) for x in (observation, action, reward, np.ones(count), after))
    )


def make(
    loss="mse",
    values=VALUES,
    objective=None,
    seed=0,
    hidden=(16,),
    members=E,
    elites=ELITES,
    **settings,
):
    """Vagram's weights are the paper's; an objective of one's own is a class."""
    config = ModelConfig(
        loss=loss,
        members=members,
        elites=elites,
        model_hidden_units=hidden,
        **{
            "model_batch_size": 8,
            "model_learning_rate": 1e-2,
            "patience_steps": 1,
            "value_gradient_weights": "example",
        }
        | settings,
    )
    tf.keras.utils.set_random_seed(seed)
    ensemble = DynamicsEnsemble(D, A, members, elites, hidden)
    build = objective or make_objective
    return ModelTrainer(ensemble, build(config), values, config, seed)


class StateError(Objective):
    """The mean squared error in raw units."""

    def loss(self, prediction, target, prepared, value_functions):
        error = prediction.next_observation - target.next_observation
        return tf.reduce_mean(tf.square(error), axis=-1)


def weights_of(trainer):
    return [variable.numpy() for variable in trainer.ensemble.trainable_variables]


def without_training(trainer, note):
    """An epoch that only notes the slots it was given, and leaves the weights."""

    def train_epoch(examples, order):
        note(order.numpy())
        return weights_of(trainer)

    return train_epoch


def for_members(data, members=E):
    return tf.nest.map_structure(lambda x: tf.broadcast_to(x, [members, *x.shape]), data)


def terms_of(trainer, data, prepared):
    """Returns the terms `[E, N]` of what all members predict of all data."""
    batch, prepared = for_members((data, prepared))
    known = prepared | {"spread": change_spread(data), "seed": SEED}
    return trainer._objective.terms_of(trainer.ensemble, batch, known, trainer._value_functions)


def examples_of(trainer, data, weights=AS_THEY_ARE):
    return Examples(data, trainer.prepare(data), change_spread(data), weights)


def train_on(trainer, data, order, weights=AS_THEY_ARE):
    """Takes the steps of `[steps, E, batch]` slots."""
    halves = trainer._halves
    halves.begin()
    trainer._train_epoch(examples_of(trainer, data, weights), tf.constant(order))
    halves.end()
    parts = zip(*(half.ensemble.trainable_variables for half in halves._halves), strict=True)
    for variable, part in zip(trainer.ensemble.trainable_variables, parts, strict=True):
        variable.assign(tf.concat(part, axis=0))


def terms_on(trainer, data, slots):
    """Returns the members' mean terms `[E]`."""
    return Terms(*(tf.reduce_mean(term, axis=-1) for term in each_term_on(trainer, data, slots)))


def each_term_on(trainer, data, slots):
    """Returns the members' terms `[E, N]`."""
    return trainer._passes.terms(examples_of(trainer, data), slots, SEED)


# Examples.


def recorded_orders(trainer, data):
    """Fits without taking steps; returns the slots `[steps, E, batch]` of each epoch."""
    orders = []
    trainer._train_epoch = without_training(trainer, orders.append)
    trainer.fit(data)
    return orders


def test_a_members_sample_stays_for_the_whole_fit_and_skips_the_holdout(eagerly):
    # 80 to train on: ten batches of 8, twice an epoch.
    trainer, data = (
        make(patience=3),
        linear_system(100),
    )
    train, holdout = (
        set(slots.numpy().tolist()) for slots in splits.split(100, 0.2, 100, trainer._generator)
    )
    first_fit = recorded_orders(trainer, data)
    second_fit = recorded_orders(trainer, data)
    assert len(first_fit) == len(second_fit) == 3
    samples = [
        [sorted(order[:, member].ravel().tolist()) for member in range(E)]
        for order in first_fit + second_fit
    ]
    # Within a fit.
    assert samples[0] == samples[1] == samples[2] and samples[3] == samples[4] == samples[5]
    assert samples[0] != samples[3]  # and not from fit to fit
    assert len({tuple(sample) for sample in samples[0]}) == E  # each member its own
    for epoch in samples:
        for sample in epoch:
            assert len(sample) == 160 and set(sample) <= train and not set(sample) & holdout
    # Shuffled anew.
    assert any(np.any(a != b) for a, b in zip(first_fit[0], first_fit[1], strict=True))


def test_members_train_on_their_own_batch_alone(eagerly):
    # Two trainers of equal weights; the batches differ for member 2 alone.
    data = linear_system(50)
    order = np.random.default_rng(0).integers(0, 50, size=(5, E, 8))
    other = order.copy()
    other[:, 2] = (other[:, 2] + 7) % 50
    after = []
    for slots in (order, other):
        trainer = make("vagram")
        train_on(trainer, data, slots)
        after.append(weights_of(trainer))
    for one, two in zip(*after, strict=True):
        assert {member for member in range(E) if np.any(one[member] != two[member])} == {2}


def test_what_an_objective_prepared_stays_with_its_example(eagerly):
    seen = []

    class Noting(StateError):
        def prepare(self, batch, value_functions):
            return {"copy": 2.0 * batch.next_observation}

        def loss(self, prediction, target, prepared, value_functions):
            seen.append(
                [
                    x.numpy()
                    for x in (
                        prepared["copy"],
                        target.next_observation,
                        target.observation,
                        target.reward,
                    )
                ]
            )
            return super().loss(prediction, target, prepared, value_functions)

    trainer = make(objective=Noting, patience=2, max_fit_steps=12)
    trainer.fit(linear_system(30))
    trained = [fields for fields in seen if fields[0].shape[:2] == (E / 2, 8)]
    assert len(trained) == 2 * trainer._optimizer.iterations >= 12  # a half of the members each
    for copy, after, *_ in seen:
        np.testing.assert_array_equal(copy, 2.0 * after)
    for _, after, observation, reward in trained:  # one transition's fields stay together
        np.testing.assert_allclose(
            (after - observation)[..., 1], observation @ DYNAMICS[1], atol=1e-5
        )
        action = (after - observation - observation @ DYNAMICS.T)[..., 2]
        np.testing.assert_allclose(reward, observation[..., 0] - action, atol=1e-5)
        assert np.any(after[0] != after[1])  # members' batches differ


# Which weights stay.


def scripted(script, rewards=None, **settings):
    """A trainer whose epoch k sets the errors of member m.

    It predicts the change `script[k][m]`, and the reward `rewards[k][m]`, where both are 0.
    """
    trainer = make(patience=2, value_gradient_scale="none", **settings)
    for variable in trainer.ensemble.trainable_variables:
        variable.assign(tf.zeros_like(variable))
    epochs = zip(script, rewards or np.zeros([len(script), E]), strict=True)

    def set_error(*_):
        state, reward = (
            tf.reshape(tf.constant(error, tf.float32), [E, 1, 1]) for error in next(epochs)
        )
        trainer.ensemble._mean_head.bias.assign(
            state * [[[1.0, 1.0, 1.0, 0.0]]] + reward * [[[0.0, 0.0, 0.0, 1.0]]]
        )
        return weights_of(trainer)

    set_error()
    trainer._train_epoch = set_error
    return trainer


def errors_kept(trainer):
    return trainer.ensemble._mean_head.bias[:, 0, 0].numpy().tolist()


def standing_still(count=40):
    observation = tf.constant(np.random.default_rng(0).normal(size=(count, D)), tf.float32)
    return Transition(
        observation, tf.zeros([count, A]), tf.zeros(count), tf.ones(count), observation
    )


def test_each_member_keeps_the_weights_of_its_own_best_epoch(eagerly):
    trainer = scripted(
        [
            [4.0, 4.0, 1.0, 4.0],  # before the fit
            [3.0, 2.0, 2.0, 4.0],  # the middle member falls from 4 to 3
            [5.0, 3.0, 3.0, 0.5],
            [2.5, 9.0, 3.0, 0.6],
            [0.0, 0.0, 0.0, 0.0],  # beyond the patience
        ]
    )
    metrics = trainer.fit(standing_still())
    assert errors_kept(trainer) == [2.5, 2.0, 1.0, 0.5]
    assert trainer.ensemble.elites.numpy().tolist() == [3, 2]  # best first
    assert metrics["fit_epochs"] == 3
    # Of the elites, as they are now.
    np.testing.assert_allclose(metrics["holdout_loss"], (0.25 + 1.0) / 2, rtol=1e-5)
    np.testing.assert_allclose(metrics["holdout_mse"], (0.25 + 1.0) / 2, rtol=1e-5)
    assert metrics["holdout_reward_loss"] == 0.0


def test_less_than_one_percent_is_no_improvement_but_is_kept(eagerly):
    trainer = scripted([[1.0] * E, [0.996] * E, [0.997] * E, [0.0] * E])  # squared: 0.8 % and 0.6 %
    assert trainer.fit(standing_still())["fit_epochs"] == 2
    np.testing.assert_allclose(errors_kept(trainer), [0.996] * E, rtol=1e-6)


@pytest.mark.parametrize("learned", ["state", "reward"])
def test_what_cannot_be_learned_does_not_stop_a_fit_that_still_learns_the_other(eagerly, learned):
    # Squared, the one falls from 1 to 0.49 and the other stays at 400: less than 1 % of the score.
    falling = [[error] * E for error in (1.0, 0.9, 0.8, 0.7, 0.7, 0.7, 0.0)]
    constant = [[20.0] * E] * 7
    trainer = scripted(*((falling, constant) if learned == "state" else (constant, falling)))
    assert trainer.fit(standing_still())["fit_epochs"] == 5  # two beyond the last improvement
    bias = trainer.ensemble._mean_head.bias[:, 0].numpy()
    np.testing.assert_allclose(bias[:, 0 if learned == "state" else D], [0.7] * E, rtol=1e-6)


@pytest.mark.parametrize("loss, left", [("mse", 6.0), ("calibrated_itervaml", 1.0)])
def test_a_readout_that_nothing_judges_goes_on_learning_after_the_best_epoch(eagerly, loss, left):
    # The best epoch is the first. Where samples are judged, the variances are those of it, too.
    trainer = scripted([[1.0] * E, [0.5] * E, [2.0] * E, [2.0] * E], loss=loss)
    bias, values = trainer.ensemble._log_variance_head.bias, iter([1.0, 2.0, 6.0])
    set_error = trainer._train_epoch

    def train_epoch(*args):
        bias.assign(tf.fill(bias.shape, next(values)))
        return set_error(*args)

    trainer._train_epoch = train_epoch
    trainer._objective.loss = StateError(trainer._config).loss
    assert trainer.fit(standing_still())["fit_epochs"] == 3
    assert errors_kept(trainer) == [0.5] * E
    np.testing.assert_array_equal(bias, np.full(bias.shape, left))


def test_patience_lasts_for_a_number_of_gradient_steps_at_least(eagerly):
    # 20 steps per epoch: 20 + 5 · 20.
    trainer = scripted([[1.0] * E, [0.5] * E, *[[2.0] * E] * 5], patience_steps=85)
    assert trainer.fit(standing_still())["fit_steps"] == 120
    assert errors_kept(trainer) == [0.5] * E


def test_an_epoch_that_is_not_finite_is_not_kept(eagerly):
    trainer = scripted([[1.0] * E, [np.nan, 0.5, np.inf, 0.5], [np.nan] * E, [np.nan] * E])
    trainer.fit(standing_still())
    assert errors_kept(trainer) == [1.0, 0.5, 1.0, 0.5]


def test_no_member_is_worse_on_the_holdout_after_a_real_fit():
    # A learning rate that makes some members worse than they were.
    trainer = make(
        model_learning_rate=0.3,
        patience=1,
        value_gradient_scale="none",
        reward_weight=1.0,
        hidden=(8,),
    )
    data, holdout = linear_system(60), tf.where(splits.held_out(60, 0.2))[:, 0]
    trainer.ensemble.fit_normalizer(data)
    trainer.ensemble.fit_normalizer = lambda data: None  # which would round what is compared
    for _ in range(2):
        before = terms_on(trainer, data, holdout)
        trainer.fit(data)
        after = terms_on(trainer, data, holdout)
        assert np.all(after.loss + after.reward_loss <= before.loss + before.reward_loss)
    order = np.argsort((after.loss + after.reward_loss).numpy())
    assert trainer.ensemble.elites.numpy().tolist() == order[:ELITES].tolist()


@pytest.mark.parametrize("bound", [1, 7, 25])
def test_a_fit_takes_at_most_the_steps_allowed(eagerly, bound):
    orders = []
    trainer = make(max_fit_steps=bound, patience=50)
    trainer._train_epoch = without_training(trainer, lambda order: orders.append(len(order)))
    metrics = trainer.fit(linear_system(100))  # ten batches an epoch
    assert sum(orders) == bound == metrics["fit_steps"]


def check_halves():
    """Fits seven members in one call and in two."""
    data, found = linear_system(2000, noise=0.1), []
    for parts in (1, 2):
        trainer = make("vagram", hidden=(64, 64), members=7, max_fit_steps=30, model_batch_size=256)
        assert len(trainer._halves._halves) == 2
        if parts == 1:
            of = trainer.ensemble, trainer._objective, trainer._value_functions, trainer._config
            trainer._halves._halves = [_Half(range(7), *of)]
        trainer.fit(data)
        variables = [*trainer.ensemble.trainable_variables, *trainer._optimizer.variables()]
        found.append([variable.numpy() for variable in variables])
    assert trainer._optimizer.iterations == 30
    for one, two in zip(*found, strict=True):
        np.testing.assert_array_equal(one, two)


def test_members_learn_in_halves_what_they_learn_in_one():
    """To the last bit, as they are compiled."""
    code = "import trainer_test; trainer_test.check_halves()"
    process = programs.warm_python("-c", code, environment=programs.COMPILED)
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize("members, halves", [(1, 1), (2, 1), (3, 1), (4, 2), (7, 2)])
def test_few_members_stay_together(members, halves):
    trainer = make(members=members, elites=1)
    assert len(trainer._halves._halves) == halves


def test_a_half_that_fails_is_told_when_the_other_has_ended():
    halves, ended = make(members=4)._halves, []
    first, second = halves._halves

    def end_later(*_):
        time.sleep(0.2)
        ended.append(True)

    def fail(*_):
        raise RuntimeError("of the second half")

    first.train, second.train, halves._traced = end_later, fail, True
    with pytest.raises(RuntimeError, match="of the second half"):
        halves.train(None, [None])
    assert ended


def test_steps_are_optimizer_steps_in_whole_and_broken_chunks():
    # Five steps to a chunk.
    trainer = make(model_batch_size=1024, max_fit_steps=7, patience=50, hidden=(4,))
    assert trainer._chunk_steps == 5
    data = linear_system(4000)  # three batches an epoch
    assert trainer.fit(data)["fit_steps"] == 7 == trainer._optimizer.iterations
    train_on(trainer, data, np.zeros([12, E, 1024], np.int32))
    assert trainer._optimizer.iterations == 7 + 12


@pytest.mark.parametrize("count", [2, 3, 5, 9])
def test_a_few_transitions_are_enough_to_fit(eagerly, count):
    trainer = make("vagram", patience=1, max_fit_steps=3)
    metrics = trainer.fit(linear_system(count), warm_up=True)
    assert all(np.isfinite(value) for value in metrics.values())
    assert all(np.all(np.isfinite(weights)) for weights in weights_of(trainer))


def test_terms_are_those_of_the_slots_asked_for_in_passes_of_any_number():
    trainer, data = make("mse", hidden=(4,)), linear_system(9000)
    slots = tf.range(0, 8999, 2)  # 4,500: a whole pass and a padded one
    prediction = trainer.ensemble(*for_members((data.observation, data.action)))
    error = (prediction.next_observation - data.next_observation) / change_spread(data)
    each = tf.reduce_mean(tf.square(error), axis=-1)
    reward = tf.square(prediction.reward - data.reward)
    readout = losses.gaussian_nll(
        prediction.next_observation, prediction.next_observation_log_variance, data.next_observation
    )
    readout += losses.gaussian_nll(
        *(
            x[..., tf.newaxis]
            for x in (prediction.reward, prediction.reward_log_variance, data.reward)
        )
    )
    terms = each_term_on(trainer, data, slots)
    expected_terms = {"loss": each, "mse": each, "reward_loss": reward, "readout": readout}
    for name, expected in expected_terms.items():
        np.testing.assert_allclose(
            getattr(terms, name),
            tf.gather(expected, slots, axis=1),
            rtol=1e-4,
            atol=1e-5,
            err_msg=name,
        )


# What is trained by what.


def gradients_of(trainer, data, choose):
    ensemble = trainer.ensemble
    prepared = trainer.prepare(data)
    with tf.GradientTape() as tape:
        terms = terms_of(trainer, data, prepared)
        scalar = tf.reduce_sum(choose(terms))
    variables = ensemble.trainable_variables
    return {
        variable.ref(): gradient is not None and bool(tf.reduce_any(gradient != 0.0))
        for variable, gradient in zip(variables, tape.gradient(scalar, variables), strict=True)
    }


def spread_variables(ensemble):
    return {
        v.ref()
        for v in (
            *ensemble._log_variance_head.trainable_variables,
            ensemble._min_log_variance,
            ensemble._max_log_variance,
        )
    }


@pytest.mark.parametrize("loss", READ_OUT)
def test_the_variance_is_a_read_out_unless_the_objective_trains_it(eagerly, loss):
    trainer, data = make(loss), linear_system(10)
    spread = spread_variables(trainer.ensemble)
    readout = gradients_of(trainer, data, lambda terms: terms.readout)
    assert {ref for ref, reached in readout.items() if reached} == spread
    terms = gradients_of(trainer, data, lambda terms: terms.loss + terms.reward_loss + terms.mse)
    assert {ref for ref, reached in terms.items() if reached} == set(terms) - spread


def test_samples_train_everything_but_the_rewards_variance_which_is_a_read_out(eagerly):
    trainer, data = make("calibrated_itervaml"), linear_system(10)
    spread = spread_variables(trainer.ensemble)
    assert all(gradients_of(trainer, data, lambda terms: terms.loss).values())
    readout = gradients_of(trainer, data, lambda terms: terms.readout)
    assert {ref for ref, reached in readout.items() if reached} == spread
    known = trainer.prepare(data)
    with tf.GradientTape() as tape:
        likelihood = terms_of(trainer, data, known).readout
    gradient = tape.gradient(likelihood, trainer.ensemble._log_variance_head.kernel).numpy()
    assert np.all(gradient[..., :-1] == 0.0) and np.any(gradient[..., -1] != 0.0)


def test_every_step_has_a_fresh_seed_and_every_score_of_a_fit_the_same(eagerly):
    seen = []

    class Noting(StateError):
        def loss(self, prediction, target, prepared, value_functions):
            seen.append((tuple(prediction.reward.shape), tuple(prepared["seed"].numpy())))
            return super().loss(prediction, target, prepared, value_functions)

    def seeds_of_a_fit():
        seen.clear()
        trainer.fit(data)
        shapes = (E / 2, 8), (E, 256)  # a step is one of each half
        steps, scores = ([seed for of, seed in seen if of == shape] for shape in shapes)
        return steps, scores

    # 30 examples to train on, in chunks of two steps, and 270 to score on, in two pieces.
    trainer, data = make(objective=Noting, holdout_share=0.9, max_fit_steps=9), linear_system(300)
    trainer._chunk_steps = 2
    steps, scores = seeds_of_a_fit()
    assert len(steps) == 18 and len(set(steps)) == 18
    assert len(scores) == 2 * (1 + 1 + 1)  # before the fit, after each epoch, and at its end
    assert scores == scores[:2] * 3 and scores[0] != scores[1]
    again, scored_again = seeds_of_a_fit()
    assert not set(steps) & set(again) and not set(scores) & set(scored_again)


def test_pieces_of_a_dataset_have_seeds_of_their_own(eagerly):
    seeds = []

    class Noting(StateError):
        def loss(self, prediction, target, prepared, value_functions):
            seeds.append(tuple(prepared["seed"].numpy()))
            return super().loss(prediction, target, prepared, value_functions)

    terms_on(make(objective=Noting, hidden=(2,)), linear_system(9000), tf.range(9000))
    assert len(seeds) == 36 and len(set(seeds)) == 36  # 9,000 rows in pieces of 256


def test_a_loss_that_is_zero_on_average_is_balanced_by_its_magnitude(eagerly):
    class ZeroOnAverage(Objective):
        def loss(self, prediction, target, prepared, value_functions):
            even = tf.range(target.reward.shape[-1]) % 2 == 0
            return tf.where(even, 4.0, -4.0) + 0.0 * prediction.reward

    trainer = make(objective=ZeroOnAverage)
    chosen = weights_of_fits(trainer)
    trainer._train_epoch = without_training(trainer, lambda order: None)
    trainer.fit(linear_system(50))
    assert float(chosen[0].loss) == pytest.approx(0.25)


def test_the_likelihood_trains_everything(eagerly):
    trainer, data = make("mle"), linear_system(10)
    reached = gradients_of(trainer, data, lambda terms: terms.loss + terms.reward_loss)
    assert all(reached.values())
    assert not any(gradients_of(trainer, data, lambda terms: terms.readout).values())
    no_reward = gradients_of(trainer, data, lambda terms: terms.loss)
    assert no_reward[trainer.ensemble._mean_head.kernel.ref()]


@pytest.mark.parametrize("loss", ["mle", "mse"])
def test_the_predicted_spread_is_that_of_the_errors(loss):
    noise, reward_noise = np.array([0.05, 0.2, 0.6]), 0.3
    data, fresh = (
        linear_system(count, noise, reward_noise, seed) for count, seed in ((2000, 0), (500, 1))
    )
    trainer = make(
        loss, hidden=(32,), members=2, elites=1, max_fit_steps=800, patience=8, model_batch_size=64
    )
    trainer.fit(data)
    prediction = trainer.ensemble(*for_members((fresh.observation, fresh.action), 2))
    error = np.std(prediction.next_observation - fresh.next_observation, axis=(0, 1))
    # The means are learned, so the errors are the noise.
    np.testing.assert_allclose(error, noise, rtol=0.3)
    spread = np.exp(0.5 * prediction.next_observation_log_variance.numpy()).mean(axis=(0, 1))
    np.testing.assert_allclose(spread, error, rtol=0.3)
    reward_spread = np.exp(0.5 * prediction.reward_log_variance.numpy()).mean()
    np.testing.assert_allclose(reward_spread, np.std(prediction.reward - fresh.reward), rtol=0.3)


@pytest.mark.parametrize(
    "loss, rule", [*((loss, "example") for loss in LOSSES), ("vagram", "separable")]
)
def test_every_objective_learns_a_linear_system(loss, rule):
    data, fresh = linear_system(400, noise=0.01), linear_system(200, seed=1)
    trainer = make(
        loss,
        hidden=(32,),
        members=2,
        elites=1,
        max_fit_steps=600,
        patience=20,
        model_batch_size=32,
        value_gradient_weights=rule,
    )

    def errors():
        prediction = trainer.ensemble(*for_members((fresh.observation, fresh.action), 2))
        return (
            np.square(prediction.next_observation - fresh.next_observation).mean(),
            np.square(prediction.reward - fresh.reward).mean(),
        )

    before = errors()
    metrics = trainer.fit(data)
    after = errors()
    assert after[0] < before[0] / 20
    assert after[1] < before[1] / 20
    assert metrics["holdout_mse"] < before[0] / 20


@pytest.mark.parametrize("rule", [rule for rule in VALUE_GRADIENT_WEIGHTS if rule != "agreement"])
def test_vagram_learns_what_the_value_depends_on(rule):
    # V reads the first dimension alone: the others' errors stay, which the mse would not leave.
    data = linear_system(400)
    trainer = make(
        "vagram",
        [lambda s: 3.0 * s[:, 0]],
        members=2,
        elites=1,
        max_fit_steps=300,
        patience=20,
        model_batch_size=32,
        value_gradient_weights=rule,
    )
    trainer.fit(data)
    prediction = trainer.ensemble(*for_members((data.observation, data.action), 2))
    error = np.square(prediction.next_observation - data.next_observation).mean(axis=(0, 1))
    change = np.square(data.next_observation - data.observation).mean(axis=0)
    assert error[0] < 0.1 * change[0]
    assert error[1] > 0.5 * change[1] and error[2] > 0.5 * change[2]


def test_agreement_learns_nothing_that_critics_do_not_agree_on():
    # Both critics read dimension 0 alike, and dimension 1 with opposite signs.
    data = linear_system(400)
    values = [lambda s, sign=sign: 3.0 * s[:, 0] + sign * 10.0 * s[:, 1] for sign in (1.0, -1.0)]
    trainer = make(
        "vagram",
        values,
        members=2,
        elites=1,
        max_fit_steps=300,
        patience=20,
        model_batch_size=32,
        value_gradient_weights="agreement",
    )
    trainer.fit(data)
    prediction = trainer.ensemble(*for_members((data.observation, data.action), 2))
    error = np.square(prediction.next_observation - data.next_observation).mean(axis=(0, 1))
    change = np.square(data.next_observation - data.observation).mean(axis=0)
    assert error[0] < 0.1 * change[0]
    assert error[1] > 0.5 * change[1]


# Balance.


def weights_of_fits(trainer):
    """Returns a list that the weights of each fit's terms are added to."""
    chosen, choose = [], trainer._objective.weights

    def noting(reference, warm_up):
        chosen.append(choose(reference, warm_up))
        return chosen[-1]

    trainer._objective.weights = noting
    return chosen


def reference_of(trainer, data):
    """Returns the terms `[B]`."""
    terms = trainer._reference(data, trainer.prepare(data), change_spread(data))
    assert all(term.shape[0] == 1 for term in terms)
    return Terms(*(term[0] for term in terms))


def test_the_reference_predicts_the_mean_change_and_the_mean_reward_with_their_spread(eagerly):
    # By hand: squared distances from the means, weighted by taylor's gradients; a Gaussian's
    # likelihood.
    data = linear_system(50, reward_noise=1.0)
    change, reward = (data.next_observation - data.observation).numpy(), data.reward.numpy()
    apart, reward_apart = change - change.mean(axis=0), reward - reward.mean()
    nll = [
        0.5 * np.square(x) + np.log(spread) + 0.5 * np.log(2.0 * np.pi)
        for x, spread in (
            (apart / change.std(axis=0), change.std(axis=0)),
            (reward_apart / reward.std(), reward.std()),
        )
    ]
    likelihood = reference_of(make("mle"), data)
    np.testing.assert_allclose(likelihood.loss, nll[0].sum(axis=-1), rtol=1e-4)
    np.testing.assert_allclose(likelihood.reward_loss, nll[1], rtol=1e-4)
    slope = np.array([3.0, -1.0, 0.0])
    trainer = make("taylor", [lambda s: tf.linalg.matvec(s, tf.constant(slope, tf.float32))])
    reference = reference_of(trainer, data)
    np.testing.assert_allclose(reference.loss, np.square(apart @ slope), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(reference.reward_loss, np.square(reward_apart), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(
        reference.mse, np.square(apart / change.std(axis=0)).mean(axis=-1), rtol=1e-3, atol=1e-5
    )


def test_the_reference_takes_rows_of_the_whole_dataset(eagerly):
    # Of 30,000 that are told apart by their reward, the first and the last and 9,998 between them.
    count = 30_000
    data = standing_still(count)._replace(reward=tf.range(count, dtype=tf.float32))
    trainer = make()
    trainer._objective.reward_loss = lambda prediction, target: target.reward
    rows = reference_of(trainer, data).reward_loss.numpy()
    assert rows.shape == (10_000,) and rows[0] == 0.0 and rows[-1] == count - 1
    assert set(np.diff(rows)) <= {2.0, 3.0, 4.0}


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if loss != "mle"])
def test_to_know_nothing_costs_1_in_the_state_and_in_the_reward(eagerly, loss):
    trainer, data = make(loss, reward_weight=0.5, max_fit_steps=3), linear_system(30)
    chosen, reference = weights_of_fits(trainer), reference_of(trainer, data)
    for warm_up in (False, True):
        trainer.fit(data, warm_up)
    for weights, warm_up in zip(chosen, (False, True), strict=True):
        state, reward = (tf.reduce_mean(tf.abs(term)) for term in reference[:2])
        np.testing.assert_allclose(weights.loss * state, 1.0, rtol=1e-5)
        np.testing.assert_allclose(weights.reward_loss * reward, 1.0, rtol=1e-5)
        assert weights.mse == float(warm_up and loss != "mse")
    np.testing.assert_allclose(tf.reduce_mean(reference.mse), 1.0, rtol=1e-4)


@pytest.mark.parametrize("loss", ["mle", "vagram", "calibrated_itervaml"])
def test_the_balance_does_not_drift_while_the_model_learns(eagerly, loss):
    trainer = make(loss, max_fit_steps=20, model_batch_size=48, model_learning_rate=3e-2)
    data = linear_system(60)
    chosen, before = weights_of_fits(trainer), terms_on(trainer, data, tf.range(60))
    for _ in range(2):
        trainer.fit(data)
    after = terms_on(trainer, data, tf.range(60))
    assert np.all(after.loss < 0.7 * before.loss) or loss == "mle"  # of which a logarithm is taken
    assert np.all(after.mse < 0.7 * before.mse)
    assert [float(weight) for weight in chosen[0]] == [float(weight) for weight in chosen[1]]
    assert loss == "mle" or chosen[0].loss != 1.0


def test_a_term_that_costs_nothing_anyway_is_not_scaled(eagerly):
    trainer = make(
        "vagram", [lambda s: tf.zeros(s.shape[0])], max_fit_steps=3, patience=1, reward_weight=0.5
    )
    data, chosen = linear_system(20), weights_of_fits(trainer)
    assert all(
        np.isfinite(value)
        for value in trainer.fit(data._replace(reward=tf.fill([20], 7.0))).values()
    )
    assert [float(weight) for weight in chosen[0]] == [1.0, 1.0, 0.0]
    assert all(np.all(np.isfinite(weights)) for weights in weights_of(trainer))


def scaled(factor):
    return [lambda s, v=v: factor * v(s) for v in VALUES]


@pytest.mark.parametrize("scale, factor, close", [("rms", 1000.0, True), ("none", 1000.0, False)])
def test_the_size_of_the_value_gradients_matters_only_without_a_scale(
    eagerly, scale, factor, close
):
    data, after = linear_system(30), []
    for values in (scaled(1.0), scaled(factor)):
        trainer = make(
            "vagram",
            values,
            value_gradient_scale=scale,
            max_fit_steps=6,
            patience=50,
            model_averaging=0.0,
        )
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


def test_the_weights_that_are_kept_are_averages_over_the_steps(eagerly):
    data = linear_system(60)

    def fitted(averaging, steps):
        trainer = make(
            "mle", hidden=(4,), model_averaging=averaging, max_fit_steps=steps, patience=50
        )
        trainer.fit(data)
        return weights_of(trainer)

    # The first layer and the head are rescaled at a fit's start, so the weights begin as those of
    # no step.
    trajectory = [fitted(0.0, steps) for steps in (1, 2, 3)]
    averaged = [fitted(0.5, steps) for steps in (1, 2, 3)]
    for one, two, three, *averages in zip(*trajectory, *averaged, strict=True):
        start = 2.0 * averages[0] - one
        np.testing.assert_allclose(averages[1], start / 4 + one / 4 + two / 2, atol=1e-6)
        np.testing.assert_allclose(
            averages[2], start / 8 + one / 8 + two / 4 + three / 2, atol=1e-6
        )
    assert any(
        np.abs(one - two).max() > 1e-3 for one, two in zip(trajectory[0], averaged[0], strict=True)
    )


def test_weight_decay_pulls_kernels_and_not_biases(eagerly):
    # No loss but the decay: the targets are what is predicted.
    decayed = []
    for decay in (0.0, 1.0):
        trainer = make(hidden=(4,), model_weight_decay=decay, model_learning_rate=1e-3)
        for layer in (*trainer.ensemble._trunk, trainer.ensemble._mean_head):
            layer.bias.assign(tf.ones_like(layer.bias))
        before = trainer.ensemble._trunk[0].kernel.numpy()
        nothing = TermWeights(*[tf.constant(0.0)] * 3)
        train_on(trainer, linear_system(20), np.zeros([3, E, 8], np.int32), nothing)
        kernel, bias = (
            trainer.ensemble._trunk[0].kernel.numpy(),
            trainer.ensemble._trunk[0].bias.numpy(),
        )
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


# Units.

# Their gradients agree in every dimension: the mean product of two of them is 1.
AGREEING = [quadratic([4.0, 0.0, 0.0]), quadratic([0.0, 4.0, 0.0]), quadratic([0.0, 0.0, 4.0])]


@pytest.mark.parametrize("loss, rule", [("mle", "example"), ("vagram", "separable")])
def test_the_unit_of_a_dimension_is_of_no_account(loss, rule):
    # The same data with dimension 1 in thousandths, and critics that see it in the old unit.
    scale, errors, weights = np.array([1.0, 1000.0, 1.0], np.float32), [], []
    for unit in (np.ones(D, np.float32), scale):
        data = linear_system(60, noise=0.1)
        data = data._replace(
            observation=data.observation * unit, next_observation=data.next_observation * unit
        )
        values = [lambda s, value=value, unit=unit: value(s / unit) for value in AGREEING]
        trainer = make(
            loss,
            values,
            value_gradient_weights=rule,
            patience=50,
            max_fit_steps=40,
            value_gradient_quantile=0.7,
        )
        chosen = weights_of_fits(trainer)
        metrics = trainer.fit(data, warm_up=True)
        assert metrics["fit_steps"] == 40
        prediction = trainer.ensemble(*for_members((data.observation, data.action)))
        errors.append((prediction.next_observation - data.next_observation) / unit)
        weights.append(chosen[0])
    change = change_spread(linear_system(60, noise=0.1))
    assert np.sqrt(np.mean((errors[0] / change) ** 2)) < 0.8  # something was learned
    np.testing.assert_allclose(errors[1] / change, errors[0] / change, atol=2e-3)
    np.testing.assert_allclose(*weights, rtol=1e-4)


# Beginning again.


def test_a_trainer_that_has_forgotten_is_as_new(eagerly):
    data, results = linear_system(40), []
    fresh, used = (make("vagram", hidden=(4,), max_fit_steps=6) for _ in range(2))
    start = [variable.numpy() for variable in used.ensemble.variables]
    used._generator.reset_from_seed(5)
    used.fit(data)
    used.forget(0)
    assert used._optimizer.iterations == 0
    for variable, value in zip(used.ensemble.variables, start, strict=True):
        variable.assign(value)
    for trainer in (fresh, used):
        metrics = trainer.fit(data)
        results.append((metrics, weights_of(trainer)))
    assert results[0][0] == results[1][0]
    for one, two in zip(results[0][1], results[1][1], strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_trainer_holds_out_what_the_splits_do():
    found, expected = make(holdout_share=0.3).held_out(20), splits.held_out(20, 0.3)
    assert found.numpy().tolist() == expected.numpy().tolist()

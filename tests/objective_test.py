"""What every objective has unless it says otherwise: its terms, their balance, what is better."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from vagram_tf.config import ModelConfig
from vagram_tf.model.ensemble import DynamicsEnsemble
from vagram_tf.model.objective import (
    Objective,
    Terms,
    TermWeights,
    ValueAware,
    change_spread,
    reward_nll,
)
from vagram_tf.model.objectives import Likelihood
from vagram_tf.types import Prediction, Transition

D, A, E, B = 2, 1, 3, 4
LOG_TWO_PI = 1.8378770664093453


def normal(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


class Absolute(Objective):
    """The mean absolute error of the state, in the environment's units."""

    def loss(self, prediction, target, prepared, value_functions):
        error = prediction.next_observation - target.next_observation
        return tf.reduce_mean(tf.abs(error), axis=-1)


# One member, one example: errors (1, 20) with spreads of the changes (1, 10), reward 3 instead of
# 1. Predicted standard deviations 2 and 10 of the state, ½ of the reward.
ONE = Transition(
    tf.zeros([1, 1, D]), tf.zeros([1, 1, A]), tf.ones([1, 1]), tf.ones([1, 1]), tf.zeros([1, 1, D])
)
PREDICTED = Prediction(
    tf.constant([[[1.0, 20.0]]]),
    tf.constant([[3.0]]),
    2.0 * tf.math.log([[[2.0, 10.0]]]),
    2.0 * tf.math.log([[0.5]]),
)
STATE_NLL = 0.5 * (1.0 / 4.0 + 4.0) + np.log(2.0) + np.log(10.0) + LOG_TWO_PI
REWARD_NLL = 0.5 * 16.0 + np.log(0.5) + 0.5 * LOG_TWO_PI


def test_terms_by_hand():
    terms = Absolute(ModelConfig()).terms(PREDICTED, ONE, {"spread": tf.constant([1.0, 10.0])}, [])
    expected = Terms(10.5, 4.0, (1.0 + 4.0) / 2.0, STATE_NLL + REWARD_NLL)
    for name, term, value in zip(Terms._fields, terms, expected, strict=True):
        assert term.shape == (1, 1), name
        np.testing.assert_allclose(term[0, 0], value, rtol=1e-5, err_msg=name)


def test_the_likelihood_of_a_reward_by_hand():
    mean, log_variance, target = (
        tf.constant(x) for x in ([[3.0, 1.0]], [[0.0, 2.0]], [[1.0, 1.0]])
    )
    expected = [[0.5 * 4.0 + 0.5 * LOG_TWO_PI, 1.0 + 0.5 * LOG_TWO_PI]]
    np.testing.assert_allclose(reward_nll(mean, log_variance, target), expected, rtol=1e-6)


def test_the_readout_reaches_the_variances_alone():
    inputs = (
        PREDICTED.next_observation,
        PREDICTED.reward,
        PREDICTED.next_observation_log_variance,
        PREDICTED.reward_log_variance,
    )
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        readout = Absolute(ModelConfig()).readout(Prediction(*inputs), ONE)
    state, reward, *variances = tape.gradient(readout, inputs)
    assert state is None and reward is None
    # ½ (1 - e² / σ²) each: errors of ½, 2 and 4 standard deviations.
    expected = [0.5 * (1.0 - 0.25), 0.5 * (1.0 - 4.0)]
    np.testing.assert_allclose(variances[0][0, 0], expected, rtol=1e-5)
    np.testing.assert_allclose(variances[1][0, 0], 0.5 * (1.0 - 16.0), rtol=1e-5)


def test_the_prediction_lets_no_variance_train_the_features():
    tf.keras.utils.set_random_seed(0)
    ensemble = DynamicsEnsemble(D, A, E, 1, (4,))
    batch = Transition(
        normal(E, B, D), normal(E, B, A), normal(E, B), tf.ones([E, B]), normal(E, B, D, seed=1)
    )
    with tf.GradientTape(persistent=True) as tape:
        prediction = Absolute(ModelConfig()).predict(ensemble, batch)
    kernel = ensemble.kernels[0]
    assert tape.gradient(prediction.next_observation_log_variance, kernel) is None
    assert np.any(tape.gradient(prediction.next_observation, kernel) != 0.0)
    live = ensemble(batch.observation, batch.action)
    for one, other in zip(prediction, live, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_nothing_is_prepared_and_no_noise_is_drawn_unless_it_says_so():
    objective = Absolute(ModelConfig())
    assert objective.prepare(ONE, []) == {} and objective.samples is False
    prepared = {"mine": tf.constant([1.0])}
    assert objective.finish(prepared, ONE) == prepared


def test_an_objective_without_a_loss_says_so():
    with pytest.raises(NotImplementedError):
        Objective(ModelConfig()).loss(PREDICTED, ONE, {}, [])


@pytest.mark.parametrize("base, warms_up", [(Objective, False), (ValueAware, True)])
@pytest.mark.parametrize("scale, expected", [("rms", (0.25, 4.0)), ("none", (1.0, 1.0))])
def test_weights_by_hand(base, warms_up, scale, expected):
    # The reference's mean sizes are 4 and 0.25; its mse, and what its variances are worth, are not
    # asked for.
    reference = Terms(*map(tf.constant, ([6.0, -2.0], [0.5, 0.0], [np.nan] * 2, [np.nan] * 2)))
    objective = base(ModelConfig(reward_weight=0.5, value_gradient_scale=scale))
    for warm_up in (False, True):
        weights = [float(weight) for weight in objective.weights(reference, warm_up)]
        assert weights == [*expected, float(warm_up and warms_up)]


# One member, two examples: in units of knowing nothing a state of mean 4 with the warm-up's, a
# reward of mean 9.
TERMS = Terms(
    *(tf.constant([each]) for each in ([1.0, 2.0], [2.0, 4.0], [0.0, 1.0], [100.0, 300.0]))
)
WEIGHTS = TermWeights(*map(tf.constant, (2.0, 3.0, 2.0)))


@pytest.mark.parametrize(
    "scale, score, step",
    [
        ("rms", 4.0 * 9.0**0.5, 1.0 + 0.5 * 1.0 + 200.0),
        ("none", 4.0 + 0.5 * 9.0, 4.0 + 0.5 * 9.0 + 200.0),
    ],
)
def test_score_and_step_by_hand(scale, score, step):
    objective = Absolute(ModelConfig(reward_weight=0.5, value_gradient_scale=scale))
    # The read-out judges nothing.
    np.testing.assert_allclose(objective.score(TERMS, WEIGHTS), [score], rtol=1e-6)
    np.testing.assert_allclose(objective.step_loss(TERMS, WEIGHTS), [step], rtol=1e-6)


def test_a_likelihood_is_the_sum_of_its_terms():
    likelihood = Likelihood(ModelConfig(loss="mle", reward_weight=0.5))
    assert likelihood.score(TERMS, WEIGHTS).numpy().tolist() == [1.5 + 3.0]
    assert likelihood.step_loss(TERMS, WEIGHTS).numpy().tolist() == [1.5 + 3.0]


def test_a_step_follows_the_logarithm_of_the_score():
    objective = Absolute(ModelConfig(reward_weight=0.5))
    inputs = [tf.abs(normal(E, B, seed=seed)) + 0.1 for seed in range(3)]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(inputs)
        terms = Terms(inputs[0], inputs[1], inputs[2], tf.zeros([E, B]))
        step, log_score = (
            objective.step_loss(terms, WEIGHTS),
            tf.math.log(objective.score(terms, WEIGHTS)),
        )
    state, reward, mse = zip(
        tape.gradient(step, inputs), tape.gradient(log_score, inputs), strict=True
    )
    np.testing.assert_allclose(*reward, rtol=1e-5)
    # The state's is that of a weighted mean: the further an example is beyond the typical one, the
    # less it pulls.
    size = (2.0 * inputs[0] + 2.0 * inputs[2]).numpy()
    pull = 1.0 / (1.0 + size / (10.0 * scipy.stats.gmean(size, axis=-1, keepdims=True)))
    for gradient, expected in (state, mse):
        expected = (
            expected
            * pull
            * np.sum(size, axis=-1, keepdims=True)
            / np.sum(size * pull, axis=-1, keepdims=True)
        )
        np.testing.assert_allclose(gradient, expected, rtol=1e-5)


def test_an_example_beyond_the_typical_one_pulls_a_step_no_harder_the_further_it_is():
    """Errors of 1 and one that grows: its share of a step's pull stays finite, a likelihood's of
    fixed variance not.
    """
    objective = Absolute(ModelConfig(reward_weight=0.0))
    weights = TermWeights(*map(tf.constant, (1.0, 1.0, 0.0)))
    shares = []
    for error in (1.0, 10.0, 1e3, 1e5):
        predicted = tf.constant([[1.0] * 99 + [error]])
        with tf.GradientTape() as tape:
            tape.watch(predicted)
            nothing = tf.zeros_like(predicted)
            step = objective.step_loss(
                Terms(tf.square(predicted), nothing, nothing, nothing), weights
            )
        pull = tape.gradient(step, predicted).numpy()[0] * predicted.numpy()[0]
        shares.append(pull[-1] / np.sum(pull))
    np.testing.assert_allclose(shares[0], 0.01, rtol=1e-5)
    assert shares[0] < shares[1] < shares[2] < 0.13  # of a plain mean: 0.01, 0.5, 0.9999
    np.testing.assert_allclose(shares[3], shares[2], rtol=0.15)


def test_what_is_well_known_presses_no_harder():
    """Below 1 % of error a term's pull falls with its error; without any it pulls no more, and
    nothing is divided.
    """
    objective = Absolute(ModelConfig(reward_weight=0.5))
    pulls = []
    for error in (1.0, 1e-2, 1e-3, 0.0):
        predicted = tf.constant([[error]])
        with tf.GradientTape() as tape:
            tape.watch(predicted)
            terms = Terms(tf.ones([1, 1]), tf.square(predicted), tf.zeros([1, 1]), tf.zeros([1, 1]))
            loss = objective.step_loss(terms, TermWeights(*map(tf.constant, (1.0, 1.0, 0.0))))
        pulls.append(tape.gradient(loss, predicted).numpy().item())
    np.testing.assert_allclose(pulls, [1.0, 100.0, 10.0, 0.0], rtol=1e-4)


def test_a_reward_without_weight_is_left_alone():
    objective = Absolute(ModelConfig(reward_weight=0.0))
    assert objective.score(TERMS, WEIGHTS).numpy().tolist() == [4.0]
    assert objective.step_loss(TERMS, WEIGHTS).numpy().tolist() == [1.0 + 200.0]


def test_one_percent_counts_as_better_also_of_a_negative_number():
    best = tf.constant([100.0, 100.0, -1.0, -1.0, 100.0])
    new = tf.constant([98.9, 99.1, -1.011, -1.009, np.nan])
    improved = Absolute(ModelConfig()).improved(best, new)
    assert improved.numpy().tolist() == [True, False, True, False, False]


def test_the_spread_is_the_standard_deviation_of_the_changes():
    before = 7.0 + 100.0 * normal(4, 3)
    change = tf.constant(
        [[1.0, 100.0, 5.0], [-1.0, -100.0, 5.0], [1.0, -100.0, 5.0], [-1.0, 100.0, 5.0]]
    )
    data = Transition(before, tf.zeros([4, A]), tf.zeros(4), tf.ones(4), before + change)
    np.testing.assert_allclose(change_spread(data), [1.0, 100.0, 1.0], rtol=1e-4)  # 5: no spread

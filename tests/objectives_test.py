"""Objectives: what each computes from networks, who gets a gradient, and objectives of one's own."""

import importlib
import sys
import textwrap

import numpy as np
import pytest
import tensorflow as tf

from vagram_tf.agent.sac import SoftActorCritic
from vagram_tf.config import LOSSES, AgentConfig, ModelConfig
from vagram_tf.model import losses, objectives
from vagram_tf.model.ensemble import DynamicsEnsemble
from vagram_tf.model.objectives import make_objective
from vagram_tf.model.trainer import ModelTrainer
from vagram_tf.types import Prediction, Transition

D, A, E, B, N = 3, 2, 2, 4, 20
VALUE_AWARE = ("itervaml", "calibrated_itervaml", "taylor", "vagram")
NOISE = tf.constant(np.random.default_rng(9).normal(size=(E, B, 4, D)), tf.float32)  # for four samples
TINY = ModelConfig(
    members=E, elites=1, model_hidden_units=(4,), model_batch_size=4, max_fit_steps=6, patience=2,
    model_learning_rate=1e-2)


def normal(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


def dataset(count=N, seed=0):
    """Observation, next observation and change are of different sizes, so that none is taken for another."""
    observation = normal(count, D, seed=seed) + 3.0
    return Transition(observation, normal(count, A, seed=seed + 1), normal(count, seed=seed + 2), tf.ones(count),
                      -2.0 * observation + normal(count, D, seed=seed + 3))


def per_member(tree):
    return tf.nest.map_structure(lambda x: tf.broadcast_to(x, [E, *x.shape]), tree)


def prediction_near(target, seed=5):
    error = normal(E, *target.next_observation.shape, seed=seed)
    return Prediction(target.next_observation + error, normal(E, target.reward.shape[0], seed=6),
                      normal(*error.shape, seed=7), normal(E, target.reward.shape[0], seed=8)), error


def prepared_for(objective, data, values):
    """Returns what the trainer hands to the loss: the members' shares of what was prepared, and the noise."""
    prepared = per_member(objective.finish(objective.prepare(data, values), data))
    return prepared | ({"noise": NOISE} if objective.samples else {})


def quadratic(weights, center=0.0):
    weights = tf.constant(weights, tf.float32)
    return lambda s: 0.5 * tf.reduce_sum(weights * tf.square(s - center), axis=-1)


VALUES = [quadratic([1.0, 2.0, 0.5]), quadratic([0.1, -1.0, 3.0], center=1.0), quadratic([4.0, 0.0, -1.0])]
CURVATURES = np.array([[1.0, 2.0, 0.5], [0.1, -1.0, 3.0], [4.0, 0.0, -1.0]])
CENTERS = np.array([0.0, 1.0, 0.0])


def gradients_by_hand(next_observation):
    """Returns `[C, N, D]`."""
    return CURVATURES[:, np.newaxis] * (np.asarray(next_observation)[np.newaxis] - CENTERS[:, np.newaxis, np.newaxis])


def config(loss, **changes):
    return ModelConfig(loss=loss, value_gradient_quantile=1.0, **changes)


@pytest.mark.parametrize("name", LOSSES)
def test_every_built_in_gives_a_value_per_member_and_example(name):
    objective = make_objective(config(name))
    data = dataset(B)
    prepared = objective.finish(objective.prepare(data, VALUES), data)
    assert all(tensor.shape[0] == B for tensor in prepared.values())  # examples first, for the trainer's gather
    prediction, _ = prediction_near(data)
    loss = objective.loss(prediction, per_member(data), prepared_for(objective, data, VALUES), VALUES)
    assert loss.shape == (E, B)
    assert np.all(np.isfinite(loss)) and len(np.unique(loss)) == E * B
    assert objective.value_aware == (name in VALUE_AWARE)
    assert objective.likelihood == (name == "mle")
    assert objective.trains_variance == (name in ("mle", "calibrated_itervaml"))


def expected_losses(prediction, data):
    mean, target = prediction.next_observation, data.next_observation
    gradient = tf.constant(gradients_by_hand(target), tf.float32)
    stddev = tf.exp(0.5 * prediction.next_observation_log_variance)
    samples = [mean + stddev * NOISE[:, :, i] for i in range(4)]
    return {
        "mle": losses.gaussian_nll(mean, prediction.next_observation_log_variance, target),
        "mse": losses.mse(mean, target),
        "itervaml": losses.itervaml(tf.stack([v(mean) for v in VALUES]), tf.stack([v(target) for v in VALUES])),
        "calibrated_itervaml": losses.calibrated_itervaml(
            tf.stack([[v(sample) for sample in samples] for v in VALUES]), tf.stack([v(target) for v in VALUES])),
        "taylor": losses.taylor(mean, target, gradient),
        "vagram": losses.vagram(mean, target, gradient),
    }


@pytest.mark.parametrize("name", LOSSES)
def test_every_built_in_is_its_pure_loss_with_gradients_at_the_real_next_observation(name):
    # The quadratic values' gradients at the observation, at the change or at the prediction are other numbers. For
    # vagram this is also: the root mean square over critics, prepared once, stands for all C gradients.
    objective, data = make_objective(config(name)), dataset(B)
    prediction, _ = prediction_near(data)
    loss = objective.loss(prediction, per_member(data), prepared_for(objective, data, VALUES), VALUES)
    np.testing.assert_allclose(loss, expected_losses(prediction, data)[name], rtol=1e-4, atol=1e-6)


def test_prepared_gradients_are_those_of_the_values_at_the_next_observation():
    data = dataset()
    expected = gradients_by_hand(data.next_observation)
    taylor = make_objective(config("taylor")).prepare(data, VALUES)["value_gradient"]
    np.testing.assert_allclose(taylor, np.moveaxis(expected, 0, 1), rtol=1e-5)  # [N, C, D]
    objective = make_objective(config("vagram"))
    vagram = objective.finish(objective.prepare(data, VALUES), data)["value_gradient"]
    np.testing.assert_allclose(vagram, np.sqrt(np.square(expected).mean(axis=0)), rtol=1e-5)


@pytest.mark.parametrize("name", ["taylor", "vagram"])
def test_the_clip_is_per_critic_over_the_whole_dataset(name):
    # Critic 0 has one long gradient among short ones, critic 1 is a hundred times as large throughout.
    observation = np.zeros([11, 1], np.float32)
    observation[:, 0] = [*np.linspace(1.0, 2.0, 10), 50.0]
    data = Transition(tf.zeros([11, 1]), tf.zeros([11, A]), tf.zeros(11), tf.ones(11), tf.constant(observation))
    objective = make_objective(ModelConfig(loss=name, value_gradient_quantile=0.9))
    values = [quadratic([1.0]), quadratic([100.0])]
    gradient = objective.finish(objective.prepare(data, values), data)["value_gradient"].numpy()
    expected = np.minimum(observation, 2.0) * [1.0, 100.0]  # the 90th percentile of 11 norms is the second longest
    if name == "taylor":
        np.testing.assert_allclose(gradient[..., 0], expected, rtol=1e-5)
    else:
        np.testing.assert_allclose(gradient[:, 0], np.sqrt(np.square(expected).mean(axis=1)), rtol=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_only_the_prediction_gets_a_gradient(name):
    parameter = tf.Variable(2.0)
    values = [lambda s: parameter * VALUES[0](s), lambda s: VALUES[1](s) + parameter]
    objective, data = make_objective(config(name)), dataset(B)
    prediction, _ = prediction_near(data)
    with tf.GradientTape() as tape:
        tape.watch([prediction.next_observation, data.next_observation])
        prepared = prepared_for(objective, data, values)
        loss = objective.loss(prediction, per_member(data), prepared, values)
    to_prediction, to_target = tape.gradient(loss, [prediction.next_observation, data.next_observation])
    assert np.all(to_prediction != 0.0)
    assert to_target is None


def test_the_calibrated_loss_trains_the_variance_through_the_samples():
    # d sample / d log variance = ½ stddev · noise, so each sample's gradient enters with its own noise.
    objective, data = make_objective(config("calibrated_itervaml")), dataset(B)
    prepared, (prediction, _) = prepared_for(objective, data, VALUES), prediction_near(data)
    log_variance = prediction.next_observation_log_variance

    def loss(log_variance):
        return objective.loss(
            prediction._replace(next_observation_log_variance=log_variance), per_member(data), prepared, VALUES)

    with tf.GradientTape() as tape:
        tape.watch(log_variance)
        value = loss(log_variance)
    gradient, step = tape.gradient(value, log_variance).numpy(), 1e-2
    for d in range(D):
        moved = step * tf.one_hot(d, D)
        difference = (loss(log_variance + moved) - loss(log_variance - moved)) / (2.0 * step)
        np.testing.assert_allclose(gradient[..., d], difference, rtol=2e-2, atol=2e-2)


def test_the_gradient_of_itervaml_runs_through_the_value():
    # d/dŝ mean_c (V_c(ŝ) - V_c(s'))² = mean_c 2 (V_c(ŝ) - V_c(s')) ∇V_c(ŝ), with ∇V at the prediction
    objective, data = make_objective(config("itervaml")), dataset(B)
    prepared = objective.prepare(data, VALUES)
    prediction, _ = prediction_near(data)
    mean = prediction.next_observation
    with tf.GradientTape() as tape:
        tape.watch(mean)
        loss = objective.loss(prediction, *per_member((data, prepared)), VALUES)
    expected = np.mean([
        2.0 * (v(mean) - v(data.next_observation)).numpy()[..., np.newaxis] * curvature * (mean.numpy() - center)
        for v, curvature, center in zip(VALUES, CURVATURES, CENTERS, strict=True)], axis=0)
    np.testing.assert_allclose(tape.gradient(loss, mean), expected, rtol=1e-3, atol=1e-3)


@pytest.fixture
def eagerly():
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.parametrize("name", VALUE_AWARE)
def test_a_fit_changes_no_critic_and_no_actor(eagerly, name):
    tf.keras.utils.set_random_seed(0)
    agent = SoftActorCritic(D, A, AgentConfig(agent_hidden_units=(4,)), seed=0)
    variables = [*agent.actor_variables, *agent.critic_variables, agent.agent._log_alpha]
    before = [variable.numpy() for variable in variables]
    ensemble = DynamicsEnsemble(D, A, E, 1, (4,))
    weights = [variable.numpy() for variable in ensemble.trainable_variables]
    trainer = ModelTrainer(ensemble, make_objective(config(name)), agent.value_functions, TINY, seed=0)
    trainer.fit(dataset())
    for variable, value in zip(variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)
    assert trainer._optimizer.iterations > 0
    assert any(np.any(v != w) for v, w in zip(ensemble.trainable_variables, weights, strict=True))
    assert len(trainer._optimizer.variables()) == 1 + 2 * len(ensemble.trainable_variables)


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    """A user's file with an objective that pulls the prediction to a constant."""
    (tmp_path / "objective_of_a_user.py").write_text(textwrap.dedent("""
        import tensorflow as tf
        import vagram_tf

        @vagram_tf.register_objective("constant")
        def constant(config):
            def prepare(batch, value_functions):
                return {"aim": tf.fill([batch.reward.shape[0]], 12.0)}

            def loss(prediction, target, prepared, value_functions):
                return tf.reduce_mean((prediction.next_observation - prepared["aim"][..., None]) ** 2, axis=-1)

            return vagram_tf.Objective(loss, prepare)
        """))
    monkeypatch.syspath_prepend(tmp_path)
    yield "objective_of_a_user:constant"
    sys.modules.pop("objective_of_a_user", None)
    objectives._REGISTRY.pop("constant", None)


def test_an_objective_of_ones_own_trains_without_an_edit(own_module):
    tf.keras.utils.set_random_seed(0)
    settings = ModelConfig(
        loss=own_module, members=E, elites=1, model_hidden_units=(8,), model_batch_size=16, max_fit_steps=300,
        model_learning_rate=3e-2, reward_weight=0.0)
    ensemble, data = DynamicsEnsemble(D, A, E, 1, (8,)), dataset(40)
    trainer = ModelTrainer(ensemble, make_objective(settings), [], settings, seed=0)
    before = ensemble(*per_member((data.observation, data.action))).next_observation
    trainer.fit(data)
    after = ensemble(*per_member((data.observation, data.action))).next_observation
    assert np.abs(before - 12.0).mean() > 8.0 and np.abs(after - 12.0).mean() < 2.0


def test_a_name_is_looked_up_in_the_registry(own_module):
    importlib.import_module("objective_of_a_user")
    with pytest.raises(ValueError, match="loss 'konstant' is not registered; there are .*constant.*mle.*vagram"):
        make_objective(ModelConfig(loss="objective_of_a_user:konstant"))


def test_a_module_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="loss 'no_such_module:huber': cannot import no_such_module"):
        make_objective(ModelConfig(loss="no_such_module:huber"))


def test_a_relative_module_is_refused_in_one_sentence():
    with pytest.raises(ValueError, match="cannot import .relative"):
        make_objective(ModelConfig(loss=".relative:huber"))


def test_a_module_does_not_stand_in_front_of_a_built_in():
    with pytest.raises(ValueError, match="loss 'vagram' is not registered"):
        make_objective(ModelConfig(loss="os:vagram"))


def test_a_name_that_is_taken_is_refused():
    with pytest.raises(ValueError, match="an objective 'mse' is registered already"):
        objectives.register_objective("mse")(lambda config: None)
    assert make_objective(ModelConfig(loss="mse")).loss is not None


def test_a_module_that_is_loaded_again_may_register_again(own_module):
    module = importlib.import_module("objective_of_a_user")
    importlib.reload(module)
    assert make_objective(ModelConfig(loss=own_module)).prepare is not None

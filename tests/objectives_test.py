"""Objectives: what each computes, in which units, who gets a gradient, and those of one's own."""

import dataclasses
import importlib
import sys
import textwrap

import numpy as np
import pytest
import tensorflow as tf

from vagram_tf.agent.sac import SoftActorCritic
from vagram_tf.config import LOSSES, VALUE_AWARE, VALUE_GRADIENT_WEIGHTS, AgentConfig, ModelConfig
from vagram_tf.model import losses, objectives
from vagram_tf.model.ensemble import DynamicsEnsemble
from vagram_tf.model.objective import Objective, Terms, ValueAware, change_spread
from vagram_tf.model.objectives import Likelihood, make_objective
from vagram_tf.model.trainer import ModelTrainer
from vagram_tf.model.value_gradients import WEIGHTS
from vagram_tf.types import Prediction, Transition

D, A, E, B, N = 3, 2, 2, 4, 20
SAMPLING = ("mle", "calibrated_itervaml")
SEED = tf.constant([3, 4])
SCALE = np.array([0.5, 1.0, 4.0])  # of the dimensions of the data
TINY = ModelConfig(
    members=E,
    elites=1,
    model_hidden_units=(4,),
    model_batch_size=4,
    max_fit_steps=6,
    patience=2,
    model_learning_rate=1e-2,
)


def normal(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


def dataset(count=N, seed=0):
    """Observation, next observation and change are of different sizes, so that none is taken for
    another.
    """
    observation = SCALE * normal(count, D, seed=seed) + 3.0
    return Transition(
        observation,
        normal(count, A, seed=seed + 1),
        normal(count, seed=seed + 2),
        tf.ones(count),
        -2.0 * observation + SCALE * normal(count, D, seed=seed + 3),
    )


def per_member(tree):
    return tf.nest.map_structure(lambda x: tf.broadcast_to(x, [E, *x.shape]), tree)


def prediction_near(target, seed=5):
    error = SCALE * normal(E, *target.next_observation.shape, seed=seed)
    return Prediction(
        target.next_observation + error,
        normal(E, target.reward.shape[0], seed=6),
        normal(*error.shape, seed=7),
        normal(E, target.reward.shape[0], seed=8),
    ), error


def finished(objective, data, values):
    """Returns what is known of each transition before batches are taken."""
    return objective.finish(objective.prepare(data, values), data)


def prepared_for(objective, data, values):
    """Returns what the trainer hands to the loss: what was prepared, the spread and a seed."""
    known = per_member(finished(objective, data, values))
    return known | {"spread": change_spread(data), "seed": SEED}


def quadratic(weights, center=0.0):
    weights = tf.constant(weights, tf.float32)
    return lambda s: 0.5 * tf.reduce_sum(weights * tf.square(s - center), axis=-1)


VALUES = [
    quadratic([1.0, 2.0, 0.5]),
    quadratic([0.1, -1.0, 3.0], center=1.0),
    quadratic([4.0, 0.0, -1.0]),
]
CURVATURES = np.array([[1.0, 2.0, 0.5], [0.1, -1.0, 3.0], [4.0, 0.0, -1.0]])
CENTERS = np.array([0.0, 1.0, 0.0])


def gradients_by_hand(next_observation):
    """Returns `[N, C, D]`."""
    return CURVATURES * (np.asarray(next_observation)[:, np.newaxis] - CENTERS[:, np.newaxis])


def config(loss, **changes):
    """The clip is off, and vagram's weights are the paper's: those that stand for all critics."""
    settings = {"value_gradient_quantile": 1.0, "value_gradient_weights": "example"} | changes
    return ModelConfig(loss=loss, **settings)


# Every built-in, and vagram with every rule for its weights.
EVERY = [config(name) for name in LOSSES] + [
    config("vagram", value_gradient_weights=rule)
    for rule in VALUE_GRADIENT_WEIGHTS
    if rule != "example"
]


def named(settings):
    rule = f"-{settings.value_gradient_weights}" if settings.loss == "vagram" else ""
    return settings.loss + rule


@pytest.mark.parametrize("settings", EVERY, ids=named)
def test_every_built_in_gives_a_value_per_member_and_example(settings):
    objective = make_objective(settings)
    data = dataset(B)
    prepared = finished(objective, data, VALUES)
    # Examples first, for the trainer's gather.
    assert all(tensor.shape[0] == B for tensor in prepared.values())
    prediction, _ = prediction_near(data)
    loss = objective.loss(
        prediction, per_member(data), prepared_for(objective, data, VALUES), VALUES
    )
    assert loss.shape == (E, B)
    assert np.all(np.isfinite(loss)) and len(np.unique(loss)) == E * B
    assert objective.samples == (settings.loss in SAMPLING)
    assert isinstance(objective, ValueAware) == (settings.loss in VALUE_AWARE)
    assert isinstance(objective, Likelihood) == (settings.loss == "mle")


def expected_losses(prediction, data):
    mean, target = prediction.next_observation, data.next_observation
    gradient, spread = tf.constant(gradients_by_hand(target), tf.float32), change_spread(data)
    stddev = tf.exp(0.5 * prediction.next_observation_log_variance)
    noise = tf.random.stateless_normal([E, B, 4, D], SEED)  # for four samples
    samples = [mean + stddev * noise[:, :, i] for i in range(4)]

    def of_each(state):
        return tf.stack([v(state) for v in VALUES], axis=-1)

    value = of_each(target)
    return {
        "mle": losses.gaussian_nll(mean, prediction.next_observation_log_variance, target),
        "mse": losses.mse(mean / spread, target / spread),
        "itervaml": losses.itervaml(of_each(mean), value),
        "calibrated_itervaml": losses.calibrated_itervaml(
            tf.stack([of_each(sample) for sample in samples], axis=-2), value
        ),
        "taylor": losses.taylor(mean, target, gradient),
        "vagram": losses.vagram(mean, target, gradient),
    }


@pytest.mark.parametrize("name", LOSSES)
def test_every_built_in_is_its_pure_loss_with_gradients_at_the_real_next_observation(name):
    # The quadratic values' gradients at the observation, at the change or at the prediction are
    # other numbers. For vagram this is also: the root mean square over critics, prepared once,
    # stands for all C gradients.
    objective, data = make_objective(config(name, value_samples=4)), dataset(B)
    prediction, _ = prediction_near(data)
    loss = objective.loss(
        prediction, per_member(data), prepared_for(objective, data, VALUES), VALUES
    )
    np.testing.assert_allclose(loss, expected_losses(prediction, data)[name], rtol=1e-4, atol=1e-6)


def test_prepared_gradients_are_those_of_the_values_at_the_next_observation():
    data = dataset()
    expected = gradients_by_hand(data.next_observation)
    taylor = finished(make_objective(config("taylor")), data, VALUES)["value_gradient"]
    np.testing.assert_allclose(taylor, expected, rtol=1e-5)  # [N, C, D]
    vagram = finished(make_objective(config("vagram")), data, VALUES)["value_gradient"]
    np.testing.assert_allclose(vagram[:, 0], np.sqrt(np.square(expected).mean(axis=1)), rtol=1e-5)


@pytest.mark.parametrize("rule", VALUE_GRADIENT_WEIGHTS)
def test_vagram_weights_errors_by_the_rule_that_is_configured(rule):
    objective, data = make_objective(config("vagram", value_gradient_weights=rule)), dataset(B)
    spread = change_spread(data)
    gradient = tf.constant(gradients_by_hand(data.next_observation), tf.float32)
    weights = WEIGHTS[rule](gradient * spread) / spread
    known = prepared_for(objective, data, VALUES)
    np.testing.assert_allclose(known["value_gradient"][0], weights[:, tf.newaxis], rtol=1e-4)
    prediction, error = prediction_near(data)
    loss = objective.loss(prediction, per_member(data), known, VALUES)
    np.testing.assert_allclose(loss, np.mean((weights * error) ** 2, axis=-1), rtol=1e-4)


@pytest.mark.parametrize("name", ["taylor", "vagram"])
def test_the_clip_is_per_critic_over_the_whole_dataset(name):
    # Critic 0 has one long gradient among short ones, critic 1 is a hundred times as large
    # throughout.
    observation = np.zeros([11, 1], np.float32)
    observation[:, 0] = [*np.linspace(1.0, 2.0, 10), 50.0]
    data = Transition(
        tf.zeros([11, 1]), tf.zeros([11, A]), tf.zeros(11), tf.ones(11), tf.constant(observation)
    )
    objective = make_objective(config(name, value_gradient_quantile=0.9))
    values = [quadratic([1.0]), quadratic([100.0])]
    gradient = finished(objective, data, values)["value_gradient"].numpy()
    # The 90th percentile of 11 norms is the second longest.
    expected = np.minimum(observation, 2.0) * [
        1.0,
        100.0,
    ]
    if name == "taylor":
        np.testing.assert_allclose(gradient[..., 0], expected, rtol=1e-5)
    else:
        np.testing.assert_allclose(
            gradient[:, 0, 0], np.sqrt(np.square(expected).mean(axis=1)), rtol=1e-5
        )


def test_the_clip_is_of_gradients_per_spread_of_each_dimension():
    # Changes ±1 and ±100, so spreads 1 and 100. Per spread the gradients of the four examples are
    # (3, 4), (0, 5), (0, 5) and (6, 8): the last, of norm 10, is cut to 5. Per unit, dimension 1
    # is next to nothing and the first is among the longest.
    change = np.array([[1.0, 100.0], [-1.0, -100.0], [1.0, -100.0], [-1.0, 100.0]])
    data = Transition(
        tf.zeros([4, 2]), tf.zeros([4, A]), tf.zeros(4), tf.ones(4), tf.constant(change, tf.float32)
    )
    gradient = np.array([[3.0, 0.04], [0.0, 0.05], [0.0, 0.05], [6.0, 0.08]])[:, np.newaxis]
    objective = make_objective(config("taylor", value_gradient_quantile=2 / 3))
    known = objective.finish({"value_gradient": tf.constant(gradient, tf.float32)}, data)
    clipped = known["value_gradient"]
    np.testing.assert_allclose(
        clipped[:, 0], [[3.0, 0.04], [0.0, 0.05], [0.0, 0.05], [3.0, 0.04]], rtol=1e-5, atol=1e-7
    )


# One member, one example: errors (1, 20) of a change with the spread (1, 10); reward 3 instead of
# 1. Standard deviations 2 and 10 of the state, ½ of the reward. Two linear critics, of slopes
# (2, 0.1) and (0, 0.3).
ONE = Transition(
    tf.zeros([1, 1, 2]), tf.zeros([1, 1, A]), tf.ones([1, 1]), tf.ones([1, 1]), tf.zeros([1, 1, 2])
)
PREDICTED = Prediction(
    tf.constant([[[1.0, 20.0]]]),
    tf.constant([[3.0]]),
    2.0 * tf.math.log([[[2.0, 10.0]]]),
    2.0 * tf.math.log([[0.5]]),
)
SLOPES = np.array([[2.0, 0.1], [0.0, 0.3]])
LINEAR = [
    lambda s, slope=slope: tf.linalg.matvec(s, tf.constant(slope, tf.float32)) + 5.0
    for slope in SLOPES
]
LOG_TWO_PI = 1.8378770664093453
STATE_NLL = 0.5 * (1.0 / 4.0 + 4.0) + np.log(2.0) + np.log(10.0) + LOG_TWO_PI
REWARD_NLL = 0.5 * 16.0 + np.log(0.5) + 0.5 * LOG_TWO_PI


def samples_by_hand():
    """Two samples' errors in the value of each critic, `[k, C]`: mean plus spread times noise."""
    noise = tf.random.stateless_normal([1, 1, 2, 2], SEED).numpy()[0, 0]
    return (np.array([1.0, 20.0]) + noise * [2.0, 10.0]) @ SLOPES.T


@pytest.mark.parametrize(
    "settings, state",
    [
        (config("mle"), STATE_NLL),
        (config("mse"), (1.0 + 4.0) / 2.0),
        (config("itervaml"), (4.0**2 + 6.0**2) / 2.0),
        (config("calibrated_itervaml"), np.mean(np.prod(samples_by_hand(), axis=0))),
        (config("taylor"), (4.0**2 + 6.0**2) / 2.0),
        (config("vagram"), (4.0 + 4.0 + 0.0 + 36.0) / 4.0),
        (config("vagram", value_gradient_weights="separable"), (4.0 + 4.0 + 0.0 + 36.0) / 4.0),
        (config("vagram", value_gradient_weights="dimension"), (4.0 + 4.0 + 0.0 + 36.0) / 4.0),
        (config("vagram", value_gradient_weights="agreement"), (0.0 + 0.03 * 400.0) / 2.0),
    ],
    ids=lambda value: named(value) if isinstance(value, ModelConfig) else "",
)
def test_terms_by_hand(settings, state):
    objective = make_objective(settings)
    alone = tf.nest.map_structure(lambda x: x[0], ONE)
    known = tf.nest.map_structure(lambda x: x[tf.newaxis], finished(objective, alone, LINEAR))
    known |= {"spread": tf.constant([1.0, 10.0]), "seed": SEED}
    terms = objective.terms(PREDICTED, ONE, known, LINEAR)
    reward = REWARD_NLL if settings.loss == "mle" else 4.0
    others = {"mle": 0.0, "calibrated_itervaml": REWARD_NLL}
    readout = others.get(settings.loss, STATE_NLL + REWARD_NLL)
    expected = Terms(state, reward, (1.0 + 4.0) / 2.0, readout)
    for name, term, value in zip(Terms._fields, terms, expected, strict=True):
        assert term.shape == (1, 1), name
        np.testing.assert_allclose(term[0, 0], value, rtol=1e-5, err_msg=name)


# Balance.


REFERENCE = Terms(*map(tf.constant, ([6.0, -2.0], [0.5, 0.0], [1.0, 3.0], [7.0, 7.0])))


@pytest.mark.parametrize("warm_up", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_every_term_is_divided_by_its_magnitude_for_the_reference(name, warm_up):
    # Mean sizes 4 and 0.25. The mse of the warm-up is in units of the spread, where a reference
    # costs 1 anyway.
    weights = make_objective(config(name, reward_weight=0.5)).weights(REFERENCE, warm_up)
    mse = float(warm_up and name in VALUE_AWARE)
    # A likelihood is not scaled, and its reward is one dimension more.
    expected = (1.0, 1.0, 0.0) if name == "mle" else (0.25, 4.0, mse)
    assert [float(weight) for weight in weights] == list(expected)


@pytest.mark.parametrize("name", [name for name in LOSSES if name != "mle"])
def test_without_a_scale_the_terms_are_added_as_they_are(name):
    objective = make_objective(config(name, reward_weight=0.5, value_gradient_scale="none"))
    for warm_up in (False, True):
        mse = float(warm_up and name in VALUE_AWARE)
        assert [float(w) for w in objective.weights(REFERENCE, warm_up)] == [1.0, 1.0, mse]


def test_a_reference_without_an_error_gives_finite_weights():
    nothing = Terms(*(tf.zeros([3]) for _ in Terms._fields))
    for name in LOSSES:
        assert np.all(np.isfinite(make_objective(config(name)).weights(nothing, True))), name


@pytest.mark.parametrize("name", LOSSES)
def test_what_counts_as_better(name):
    # 1 % of an error, also of one that samples make negative; 0.01 nats of a likelihood.
    improved = make_objective(config(name)).improved
    best = tf.constant([100.0, 100.0, -1.0, -1.0, 100.0])
    new = tf.constant([98.9, 99.1, -1.011, -1.009, np.nan])
    assert improved(best, new).numpy().tolist() == [True, name == "mle", True, False, False]


# Units: one dimension is told in thousandths, and the critics see it in the old unit.


UNITS = tf.constant([1.0, 1000.0, 1.0])


def in_other_units(data):
    return data._replace(
        observation=data.observation * UNITS, next_observation=data.next_observation * UNITS
    )


@pytest.mark.parametrize("settings", EVERY, ids=named)
def test_no_term_and_no_weight_depends_on_the_unit_of_a_dimension(settings):
    # But a likelihood, by a constant: the logarithm of the unit.
    found = []
    for units in (tf.ones([D]), UNITS):
        objective = make_objective(dataclasses.replace(settings, value_gradient_quantile=0.6))
        values = [lambda s, value=value, units=units: value(s / units) for value in VALUES]
        data = dataset() if units is not UNITS else in_other_units(dataset())
        prediction, _ = prediction_near(dataset())
        prediction = prediction._replace(
            next_observation=prediction.next_observation * units,
            next_observation_log_variance=(
                prediction.next_observation_log_variance + 2.0 * tf.math.log(units)
            ),
        )
        known = prepared_for(objective, data, values)
        terms = objective.terms(prediction, per_member(data), known, values)
        weights = objective.weights(terms, warm_up=True)
        found.append((terms, weights, known.get("value_gradient", 0.0) * units))
    (terms, weights, gradient), (other_terms, other_weights, other_gradient) = found
    np.testing.assert_allclose(other_gradient, gradient, rtol=1e-4)  # clipped and weighted alike
    log_unit = {
        "loss": np.log(1000.0) * (settings.loss == "mle"),
        "readout": np.log(1000.0) * (settings.loss not in SAMPLING),
    }
    for name, term, other in zip(Terms._fields, terms, other_terms, strict=True):
        np.testing.assert_allclose(
            other, term + log_unit.get(name, 0.0), rtol=1e-3, atol=1e-3, err_msg=name
        )
    np.testing.assert_allclose(other_weights, weights, rtol=1e-3)


# Gradients.


AGREEING = [quadratic([1.0, 2.0, 0.5]), quadratic([0.1, 1.0, 3.0], center=1.0)]


@pytest.mark.parametrize("settings", EVERY, ids=named)
def test_only_the_prediction_gets_a_gradient(settings):
    parameter = tf.Variable(2.0)
    values = [lambda s: parameter * AGREEING[0](s), lambda s: AGREEING[1](s) + parameter]
    objective, data = make_objective(settings), dataset(B)
    (prediction, _), spread = prediction_near(data), change_spread(data)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([prediction.next_observation, data.next_observation])
        known = prepared_for(objective, data, values) | {"spread": spread}
        loss = objective.loss(prediction, per_member(data), known, values)
    to_prediction, to_target = tape.gradient(
        loss, [prediction.next_observation, data.next_observation]
    )
    assert np.all(to_prediction != 0.0)
    assert to_target is None
    for name in ("value", "value_gradient"):
        assert name not in known or tape.gradient(loss, known[name]) is None
    assert settings.loss not in ("taylor", "vagram") or tape.gradient(loss, parameter) is None


@pytest.mark.parametrize("settings", EVERY, ids=named)
def test_gradients_agree_with_finite_differences(settings):
    objective, data = make_objective(settings), dataset(B)
    known, (prediction, _) = prepared_for(objective, data, AGREEING), prediction_near(data)
    mean = prediction.next_observation

    def loss(mean):
        moved = prediction._replace(next_observation=mean)
        return objective.loss(moved, per_member(data), known, AGREEING)

    with tf.GradientTape() as tape:
        tape.watch(mean)
        value = loss(mean)
    gradient, step = tape.gradient(value, mean).numpy(), 0.05
    for d in range(D):
        moved = step * tf.one_hot(d, D)
        difference = (loss(mean + moved) - loss(mean - moved)) / (2.0 * step)
        np.testing.assert_allclose(
            gradient[..., d], difference, rtol=2e-2, atol=1e-3 * np.abs(gradient).max()
        )


def test_the_calibrated_loss_trains_the_variance_through_the_samples():
    # d sample / d log variance = ½ stddev · noise, so each sample's gradient enters with its own
    # noise.
    objective, data = make_objective(config("calibrated_itervaml", value_samples=4)), dataset(B)
    prepared, (prediction, _) = prepared_for(objective, data, VALUES), prediction_near(data)
    log_variance = prediction.next_observation_log_variance

    def loss(log_variance):
        return objective.loss(
            prediction._replace(next_observation_log_variance=log_variance),
            per_member(data),
            prepared,
            VALUES,
        )

    with tf.GradientTape() as tape:
        tape.watch(log_variance)
        value = loss(log_variance)
    gradient, step = tape.gradient(value, log_variance).numpy(), 1e-2
    for d in range(D):
        moved = step * tf.one_hot(d, D)
        difference = (loss(log_variance + moved) - loss(log_variance - moved)) / (2.0 * step)
        np.testing.assert_allclose(gradient[..., d], difference, rtol=2e-2, atol=2e-2)


def test_another_seed_draws_other_samples():
    objective, data = make_objective(config("calibrated_itervaml")), dataset(B)
    known, (prediction, _) = prepared_for(objective, data, VALUES), prediction_near(data)
    first, same, other = (
        objective.loss(prediction, per_member(data), known | {"seed": tf.constant(seed)}, VALUES)
        for seed in ([1, 2], [1, 2], [1, 3])
    )
    np.testing.assert_array_equal(first, same)
    assert np.all(first != other)


def test_the_gradient_of_itervaml_runs_through_the_value():
    # d/dŝ mean_c (V_c(ŝ) - V_c(s'))² = mean_c 2 (V_c(ŝ) - V_c(s')) ∇V_c(ŝ), with ∇V at the
    # prediction
    objective, data = make_objective(config("itervaml")), dataset(B)
    prepared = objective.prepare(data, VALUES)
    prediction, _ = prediction_near(data)
    mean = prediction.next_observation
    with tf.GradientTape() as tape:
        tape.watch(mean)
        loss = objective.loss(prediction, *per_member((data, prepared)), VALUES)
    expected = np.mean(
        [
            2.0
            * (v(mean) - v(data.next_observation)).numpy()[..., np.newaxis]
            * curvature
            * (mean.numpy() - center)
            for v, curvature, center in zip(VALUES, CURVATURES, CENTERS, strict=True)
        ],
        axis=0,
    )
    np.testing.assert_allclose(tape.gradient(loss, mean), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("settings", [config(loss) for loss in VALUE_AWARE], ids=named)
def test_a_fit_changes_no_critic_and_no_actor(eagerly, settings):
    tf.keras.utils.set_random_seed(0)
    agent = SoftActorCritic(D, A, AgentConfig(agent_hidden_units=(4,)), seed=0)
    variables = [*agent.actor_variables, *agent.critic_variables, agent.agent._log_alpha]
    before = [variable.numpy() for variable in variables]
    ensemble = DynamicsEnsemble(D, A, E, 1, (4,))
    weights = [variable.numpy() for variable in ensemble.trainable_variables]
    trainer = ModelTrainer(ensemble, make_objective(settings), agent.value_functions, TINY, seed=0)
    trainer.fit(dataset())
    for variable, value in zip(variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)
    assert trainer._optimizer.iterations > 0
    assert any(np.any(v != w) for v, w in zip(ensemble.trainable_variables, weights, strict=True))
    assert len(trainer._optimizer.variables()) == 1 + 2 * len(ensemble.trainable_variables)


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    """A user's file with an objective that pulls the prediction to a constant."""
    (tmp_path / "objective_of_a_user.py").write_text(
        textwrap.dedent("""
        import tensorflow as tf
        import vagram_tf

        @vagram_tf.register_objective("constant")
        class Constant(vagram_tf.Objective):
            def prepare(self, batch, value_functions):
                return {"aim": tf.fill([batch.reward.shape[0]], 12.0)}

            def loss(self, prediction, target, prepared, value_functions):
                error = prediction.next_observation - prepared["aim"][..., None]
                return tf.reduce_mean(error**2, axis=-1)
        """)
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield "objective_of_a_user:constant"
    sys.modules.pop("objective_of_a_user", None)
    objectives._REGISTRY.pop("constant", None)


@pytest.mark.slow
def test_an_objective_of_ones_own_trains_without_an_edit(own_module):
    tf.keras.utils.set_random_seed(0)
    settings = ModelConfig(
        loss=own_module,
        members=E,
        elites=1,
        model_hidden_units=(8,),
        model_batch_size=16,
        max_fit_steps=300,
        model_learning_rate=3e-2,
        reward_weight=0.0,
    )
    ensemble, data = DynamicsEnsemble(D, A, E, 1, (8,)), dataset(40)
    trainer = ModelTrainer(ensemble, make_objective(settings), [], settings, seed=0)
    before = ensemble(*per_member((data.observation, data.action))).next_observation
    trainer.fit(data)
    after = ensemble(*per_member((data.observation, data.action))).next_observation
    assert np.abs(before - 12.0).mean() > 8.0 and np.abs(after - 12.0).mean() < 2.0


def test_a_name_is_looked_up_in_the_registry(own_module):
    importlib.import_module("objective_of_a_user")
    with pytest.raises(
        ValueError, match="loss 'konstant' is not registered; there are .*constant.*mle.*vagram"
    ):
        make_objective(ModelConfig(loss="objective_of_a_user:konstant"))


def test_a_module_that_is_not_there_is_named():
    with pytest.raises(
        ValueError, match="loss 'no_such_module:huber': cannot import no_such_module"
    ):
        make_objective(ModelConfig(loss="no_such_module:huber"))


def test_a_module_that_fails_is_refused_in_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "loss_with_a_typo.py").write_text("register_objektive('huber')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        ValueError, match="cannot import loss_with_a_typo: name 'register_objektive' is not defined"
    ) as line:
        make_objective(ModelConfig(loss="loss_with_a_typo:huber"))
    assert "\n" not in str(line.value)


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
    assert isinstance(make_objective(ModelConfig(loss=own_module)), module.Constant)


def test_a_function_that_makes_an_objective_is_registered_like_a_class(monkeypatch):
    monkeypatch.setattr(objectives, "_REGISTRY", {})
    made = Objective(TINY)

    @objectives.register_objective("mine")
    def make(config):
        return made if config.loss == f"{__name__}:mine" else None

    assert make_objective(ModelConfig(loss=f"{__name__}:mine")) is made


def test_task_only_is_the_mse_of_the_pendulums_own_dimensions():
    objective = make_objective(ModelConfig(loss="experiments.controls.task_only:task_only"))
    error = tf.constant([[[1.0, 2.0, 9.0, 100.0, 100.0]]])
    target = Transition(*[tf.zeros([1, 1, 5])] * 5)
    prediction = Prediction(*[error] * len(Prediction._fields))
    spread = tf.constant([1.0, 2.0, 3.0, 1.0, 1.0])
    loss = objective.loss(prediction, target, {"spread": spread}, [])
    np.testing.assert_allclose(loss, [[(1.0 + 1.0 + 9.0) / 3]])

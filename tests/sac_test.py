"""The agent: seeds, networks, values, and what an update does."""

import contextlib

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
import tensorflow.compat.v2

from vagram_tf.agent.sac import TRAIN_METRICS, SoftActorCritic, _experience
from vagram_tf.config import AgentConfig
from vagram_tf.model.value_gradients import value_gradients
from vagram_tf.types import Transition

pytestmark = pytest.mark.slow

D, A, N, B = 3, 2, 4, 16
SETTINGS = {"agent_hidden_units": (8, 8), "actor_learning_rate": 1e-2, "critic_learning_rate": 1e-2}


def normal(*shape, seed=0, scale=1.0):
    return tf.constant(scale * np.random.default_rng(seed).normal(size=shape), tf.float32)


def make(seed=0, **changes):
    tf.keras.utils.set_random_seed(0)
    return SoftActorCritic(D, A, AgentConfig(**SETTINGS | changes), seed)


@pytest.fixture(scope="module")
def shared():
    """An agent that no test may train."""
    return make()


def wave(shape, seed, dtype=tf.float32, **_):
    """Stands in for normal noise: a function of the seed that XLA and TensorFlow compute alike."""
    phase = tf.cast(seed[0] % 7, dtype)
    return tf.reshape(1.5 * tf.sin(phase + tf.range(tf.reduce_prod(shape), dtype=dtype)), shape)


@contextlib.contextmanager
def same_noise():
    """XLA's random numbers are others than TensorFlow's, even of one seed."""
    with pytest.MonkeyPatch.context() as patch:
        # As TensorFlow Probability knows it.
        patch.setattr(tensorflow.compat.v2.random, "stateless_normal", wave)
        yield


@pytest.fixture(scope="module")
def trained():
    """Twice: a compiled agent's variables after the same updates from the same state, and the
    updates' metrics.
    """
    agent = make(seed=1)
    state = all_variables(agent) + [
        slot for optimizer in optimizers(agent) for slot in optimizer.variables()
    ]
    start = [variable.numpy() for variable in state]
    results = []
    for _ in range(2):
        for variable, value in zip(state, start, strict=True):
            variable.assign(value)
        agent._generator.reset_from_seed(1)
        with same_noise():
            metrics = agent.train(batches()).numpy()
        results.append(([variable.numpy() for variable in all_variables(agent)], metrics))
    return results


def batches(updates=N, size=B, discount=1.0, reward=None, seed=0):
    return Transition(
        observation=normal(updates, size, D, seed=seed),
        action=tf.tanh(normal(updates, size, A, seed=seed + 1)),
        reward=normal(updates, size, seed=seed + 2)
        if reward is None
        else tf.fill([updates, size], reward),
        discount=tf.fill([updates, size], discount),
        next_observation=normal(updates, size, D, seed=seed + 3),
    )


def by_hand(agent, batch):
    """Takes the updates one by one, op by op; returns the losses of each."""
    infos = []
    for i in range(batch.reward.shape[0]):
        infos.append(
            agent.agent._train(_experience(Transition(*(f[i] for f in batch))), weights=None).extra
        )
    return infos


def all_variables(agent):
    return [*agent.actor_variables, *agent.critic_variables, agent.agent._log_alpha]


def optimizers(agent):
    return [
        agent.agent._actor_optimizer,
        agent.agent._critic_optimizer,
        agent.agent._alpha_optimizer,
    ]


def largest_difference(one, two):
    return max(np.abs(a - b).max() for a, b in zip(one, two, strict=True))


def test_compiled_updates_repeat_themselves_bit_for_bit(trained):
    (first, first_metrics), (second, second_metrics) = trained
    assert largest_difference(first, second) == 0.0
    np.testing.assert_array_equal(first_metrics, second_metrics)


def test_equal_seeds_train_to_equal_weights_and_others_to_others():
    agents = [make(seed=1), make(seed=1), make(seed=2)]
    start = all_variables(agents[0])
    # The networks have a seed of their own.
    assert largest_difference(start, all_variables(agents[2])) == 0.0
    for agent in agents:
        by_hand(agent, batches(updates=2))
    first, same, other = (all_variables(agent) for agent in agents)
    assert largest_difference(first, same) == 0.0
    assert largest_difference(first, other) > 1e-5
    np.testing.assert_array_equal(agents[0].explore(normal(5, D)), agents[1].explore(normal(5, D)))


def test_compiled_updates_are_the_updates(trained):
    compiled, metrics = trained[0]
    eager, batch = make(seed=1), batches()
    start = [variable.numpy() for variable in all_variables(eager)]
    with same_noise():
        infos = by_hand(eager, batch)
    assert largest_difference(all_variables(eager), start) > 1e-2
    assert largest_difference(compiled, all_variables(eager)) < 2e-5
    assert eager.agent.train_step_counter == N

    values = dict(zip(TRAIN_METRICS, metrics, strict=True))
    q = np.stack(
        [critic((batch.observation[-1], batch.action[-1]))[0] for critic in eager._critics[:2]]
    )
    weight_sum = sum(
        variable.numpy().sum() for variable in eager.actor_variables + eager.critic_variables
    )
    for name, expected in {
        "critic_loss": np.mean([info.critic_loss for info in infos]),
        "actor_loss": np.mean([info.actor_loss for info in infos]),
        "ent_coef_loss": np.mean([info.alpha_loss for info in infos]),
        "ent_coef": np.exp(eager.agent._log_alpha),
        "q_mean": q.mean(),
        "q_max": np.abs(q).max(),
        "weight_sum": weight_sum,
    }.items():
        np.testing.assert_allclose(values[name], expected, rtol=1e-3, atol=1e-4, err_msg=name)


def test_optimizer_slots_exist_before_the_first_update(shared):
    # What a checkpoint does not find when it is read cannot be restored.
    counts = [
        len(shared._actor.trainable_variables),
        sum(len(critic.trainable_variables) for critic in shared._critics[:2]),
        1,
    ]
    assert [len(optimizer.variables()) for optimizer in optimizers(shared)] == [
        1 + 2 * count for count in counts
    ]


def test_the_critics_share_no_variable(shared):
    variables = shared.critic_variables
    assert len(variables) == 4 * 10  # three kernels and biases, two gains and offsets
    assert (
        len({variable.ref() for variable in variables + shared.actor_variables})
        == len(variables) + 6
    )


def test_critics_start_apart_and_targets_as_their_copies(shared):
    first, second, first_target, second_target = (
        [variable.numpy() for variable in critic.variables] for critic in shared._critics
    )
    assert np.any(first[0] != second[0])
    for critic, target in ((first, first_target), (second, second_target)):
        for one, two in zip(critic, target, strict=True):
            np.testing.assert_array_equal(one, two)


# Values.


def diverse(**changes):
    """An agent whose four critics all differ, with an actor that reacts strongly to the
    observation.
    """
    agent = make(**changes)
    for i, critic in enumerate(agent._critics):
        for variable in critic.variables:
            variable.assign(variable * (1.0 + 0.2 * i) + 0.05 * i)
    for variable in agent.actor_variables:
        variable.assign(1.5 * variable)  # with more, its actions are at their bounds
    return agent


def test_values_are_q_of_each_critic_at_the_policys_mode():
    agent, observation = diverse(), normal(6, D)
    action = agent.mode(observation)
    values = [value(observation).numpy() for value in agent.value_functions]
    assert len(values) == 4
    for value, critic in zip(values, agent._critics, strict=True):
        assert value.shape == (6,)
        np.testing.assert_allclose(value, critic((observation, action))[0], rtol=1e-6)
    assert len({value[0] for value in values}) == 4


@pytest.mark.parametrize("normalized", [True, False])
def test_the_gradient_of_a_value_does_not_run_through_the_action(normalized):
    agent, observation, step = diverse(layer_normalization=normalized), normal(6, D), 1e-2
    gradient = value_gradients(agent.value_functions, observation).numpy()
    action = agent.mode(observation)
    at_fixed_action, along_the_policy = np.zeros_like(gradient), np.zeros_like(gradient)
    for dimension in range(D):
        moved = step * tf.one_hot(dimension, D)
        for i, critic in enumerate(agent._critics):

            def q(where, acted, critic=critic):
                return critic((where, acted))[0].numpy()

            at_fixed_action[:, i, dimension] = (
                q(observation + moved, action) - q(observation - moved, action)
            ) / (2 * step)
            along_the_policy[:, i, dimension] = (
                q(observation + moved, agent.mode(observation + moved))
                - q(observation - moved, agent.mode(observation - moved))
            ) / (2 * step)
    apart = np.abs(at_fixed_action - along_the_policy)
    assert np.median(apart) > 0.02  # the two differ, so that the next line says something
    error = np.abs(gradient - at_fixed_action)
    assert np.mean(error < 1e-3) > 0.85  # a kink of a ReLU may lie within a step
    assert error.mean() < 0.2 * apart.mean()


@pytest.mark.parametrize(
    "which, critics", [("critics", [0, 1]), ("targets", [2, 3]), ("all", [0, 1, 2, 3])]
)
def test_values_of_critics_or_targets_or_all(which, critics):
    agent, observation = diverse(), normal(6, D)
    found = [value(observation).numpy().tolist() for value in agent.values_of(which)]
    assert found == [
        agent.value_functions[critic](observation).numpy().tolist() for critic in critics
    ]


def test_the_gradient_of_a_value_does_not_reach_the_actor():
    agent, observation = make(), normal(6, D)
    with tf.GradientTape() as tape:
        value = agent.value_functions[0](observation)
    assert tape.gradient(value, agent._actor.trainable_variables) == [None] * 6


@pytest.mark.parametrize("mean, stddev", [([1.0, -20.0, 0.0], [0.1, 10.0, 3.0])])
def test_normalised_observations_are_all_that_the_networks_see(mean, stddev):
    plain, normalising = diverse(), diverse()
    normalising.normalize_by(tf.constant(mean), tf.constant(stddev))
    scaled = normal(6, D)
    raw = scaled * stddev + mean
    seed = tf.constant([1, 2])
    np.testing.assert_allclose(normalising.mode(raw), plain.mode(scaled), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        normalising.sample(raw, seed), plain.sample(scaled, seed), rtol=1e-4, atol=1e-5
    )
    for of_raw, of_scaled in zip(normalising.value_functions, plain.value_functions, strict=True):
        np.testing.assert_allclose(of_raw(raw), of_scaled(scaled), rtol=1e-4, atol=1e-4)
    # Value gradients stay per unit of the raw observation.
    np.testing.assert_allclose(
        value_gradients(normalising.value_functions, raw) * stddev,
        value_gradients(plain.value_functions, scaled),
        rtol=1e-3,
        atol=1e-4,
    )

    batch = batches()
    learned = normalising.train(
        batch._replace(
            observation=batch.observation * stddev + mean,
            next_observation=batch.next_observation * stddev + mean,
        )
    )
    np.testing.assert_allclose(learned, plain.train(batch), rtol=1e-3, atol=1e-3)
    for one, other in zip(all_variables(normalising), all_variables(plain), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-2, atol=2e-3)  # a step is 1e-2
    for variable, expected in zip(normalising.normalizer_variables, (mean, stddev), strict=True):
        np.testing.assert_array_equal(variable, np.float32(expected))


# Policy.


def test_actions_are_in_range_and_greedy_ones_are_the_mean_squashed(shared):
    observation = normal(500, D, scale=100.0)
    for action in (shared.explore(observation), shared.mode(observation), shared.act(observation)):
        assert action.shape == (500, A)
        assert np.all(np.abs(action) <= 1.0) and np.all(np.isfinite(action))
    gaussian = shared._actor(observation[:5])[0].input_distribution
    np.testing.assert_allclose(
        shared.act_greedily(observation[:5]), np.tanh(gaussian.mean()), atol=1e-6
    )


def test_samples_follow_the_seed(shared):
    observation = normal(5, D)
    seeds = [tf.constant(seed) for seed in ([1, 2], [1, 2], [1, 3])]
    first, same, other = (shared.sample(observation, seed).numpy() for seed in seeds)
    np.testing.assert_array_equal(first, same)
    assert np.all(first != other)
    # The generator moves on.
    assert np.all(shared.explore(observation) != shared.explore(observation))


def test_log_probabilities_are_those_of_a_squashed_gaussian(shared):
    observation = normal(200, D)
    distribution = shared._actor(observation)[0]
    action = distribution.sample(seed=tf.constant([3, 4])).numpy().astype(np.float64)
    gaussian = distribution.input_distribution
    mean, stddev = gaussian.mean().numpy(), gaussian.stddev().numpy()
    before = np.arctanh(action)
    expected = (scipy.stats.norm.logpdf(before, mean, stddev) - np.log1p(-(action**2))).sum(axis=-1)
    sound = np.abs(action).max(axis=-1) < 0.99  # where float32 still tells the action from 1
    assert sound.sum() > 100
    np.testing.assert_allclose(
        distribution.log_prob(tf.constant(action, tf.float32)).numpy()[sound],
        expected[sound],
        rtol=1e-3,
        atol=1e-3,
    )


def test_log_probabilities_of_saturated_actions_are_finite():
    agent = make()
    agent._actor._head.bias.assign([20.0, -20.0, 2.0, 2.0])
    steps = _experience(Transition(*(field[0] for field in batches()))).time_step
    actions, log_probs = agent.agent._actions_and_log_probs(steps)
    assert np.any(np.abs(actions) == 1.0)
    assert np.all(np.isfinite(log_probs))


def test_the_spread_of_the_policy_is_bounded():
    agent = make()
    for bias, expected in ((100.0, np.exp(2.0)), (-100.0, np.exp(-20.0))):
        agent._actor._head.bias.assign([0.0, 0.0, bias, bias])
        stddev = agent._actor(normal(3, D))[0].input_distribution.stddev()
        np.testing.assert_allclose(stddev, np.full([3, A], expected), rtol=1e-5)


@pytest.mark.parametrize("normalize", [True, False])
def test_feature_normalization_makes_features_of_unit_norm(normalize):
    agent = make(feature_normalization=normalize)
    inputs = normal(10, D, scale=5.0), tf.tanh(normal(10, A, seed=1))
    features = {
        "critic": agent._critics[0]._torso(tf.concat(inputs, axis=-1)),
        "actor": agent._actor._torso(inputs[0]),
    }
    for name, feature in features.items():
        norms = np.linalg.norm(feature, axis=-1)
        norms = norms[norms > 0]  # all ReLUs of a row may be off
        assert len(norms) > 5
        assert np.all(np.abs(norms - 1.0) < 1e-4) == normalize, name
    # Then no state's Q is further from the head's bias than the head's kernel is long.
    head = agent._critics[0]._head
    far = agent._critics[0]((1e4 * inputs[0], inputs[1]))[0].numpy()
    assert np.all(np.abs(far) <= np.linalg.norm(head.kernel) + 1e-4) == normalize


# Normalised layers.


def randomized(variables, seed=0):
    for i, variable in enumerate(variables):
        variable.assign(normal(*variable.shape, seed=seed + i))


def relu_network(variables, inputs, normalized):
    """Returns the hidden layers' pre-activations, normalised, and the output.

    Kernels, biases, gains and offsets are told apart by their names. A layer is normalised over
    its units; 0.001 keeps it from a division by zero.
    """
    by_name = {
        kind: [v.numpy() for v in variables if v.name.endswith(f"/{kind}:0")]
        for kind in ("kernel", "bias", "gamma", "beta")
    }
    hidden, features = [], inputs
    layers = zip(by_name["kernel"][:-1], by_name["bias"][:-1], strict=True)
    for i, (kernel, bias) in enumerate(layers):
        features = features @ kernel + bias
        if normalized:
            mean, variance = features.mean(-1, keepdims=True), features.var(-1, keepdims=True)
            hidden.append((features - mean) / np.sqrt(variance + 1e-3))
            features = hidden[-1] * by_name["gamma"][i] + by_name["beta"][i]
        features = np.maximum(features, 0.0)
    return hidden, features @ by_name["kernel"][-1] + by_name["bias"][-1]


def test_critics_are_networks_whose_hidden_layers_are_normalised():
    agent, observation, action = make(), normal(6, D, scale=5.0), tf.tanh(normal(6, A, seed=1))
    for i, critic in enumerate(agent._critics):
        randomized(critic.variables, 10 * i)
        inputs = np.concatenate([observation, action], axis=-1)
        hidden, q = relu_network(critic.variables, inputs, True)
        np.testing.assert_allclose(critic((observation, action))[0], q[:, 0], rtol=1e-3, atol=1e-3)
        for features in hidden:
            np.testing.assert_allclose(features.mean(axis=-1), np.zeros(6), atol=1e-4)
            np.testing.assert_allclose(features.std(axis=-1), np.ones(6), atol=0.01)
        found = critic._torso._norms[0]
        found.gamma.assign(tf.ones([8]))
        found.beta.assign(tf.zeros([8]))
        layer = found(critic._torso._layers[0](tf.concat([observation, action], axis=-1)))
        np.testing.assert_allclose(layer, hidden[0], rtol=1e-3, atol=1e-4)  # before the activation


@pytest.mark.parametrize("normalized", [True, False])
def test_the_actor_is_not_normalised(normalized):
    agent, observation = make(layer_normalization=normalized), normal(6, D)
    randomized(agent.actor_variables)
    assert len(agent.actor_variables) == 6
    _, parameters = relu_network(agent.actor_variables, observation.numpy(), False)
    np.testing.assert_allclose(
        agent.mode(observation), np.tanh(parameters[:, :A]), rtol=1e-4, atol=1e-4
    )


def test_critics_without_it_are_plain_networks():
    agent = make(layer_normalization=False)
    observation, action = normal(6, D), tf.tanh(normal(6, A, seed=1))
    critic = agent._critics[2]
    assert len(critic.variables) == 6
    _, q = relu_network(critic.variables, np.concatenate([observation, action], axis=-1), False)
    np.testing.assert_allclose(critic((observation, action))[0], q[:, 0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("normalized", [True, False])
def test_q_is_bounded_far_outside_the_data_where_layers_are_normalised(normalized):
    agent = make(layer_normalization=normalized)
    observation, action = normal(50, D), tf.tanh(normal(50, A, seed=1))
    for critic in agent._critics:
        near, far = (
            np.abs(critic((factor * observation, action))[0]).max() for factor in (1.0, 1e6)
        )
        # A normalised layer of 8 units is of length √8 at most.
        bound = 8.0**0.5 * np.linalg.norm(critic._head.kernel) + np.abs(critic._head.bias)[0]
        assert (far < 3.0 * near) == (far <= bound + 1e-4) == normalized
        assert normalized or far > 1e4 * near


def test_an_update_moves_gains_and_offsets_of_both_critics_and_their_targets_follow():
    agent = make(target_update_rate=0.25)
    scales = [v for v in agent.critic_variables if "normalization" in v.name]
    assert len(scales) == 4 * 4
    start = [variable.numpy() for variable in scales]
    by_hand(agent, batches(updates=1))
    for variable, before in zip(scales, start, strict=True):
        assert np.any(variable.numpy() != before), variable.name


def test_a_checkpoint_holds_every_variable_of_the_critics(tmp_path):
    agent, fresh = make(), make()
    randomized(agent.critic_variables)
    path = tf.train.Checkpoint(agent=agent).write(str(tmp_path / "agent"))
    tf.train.Checkpoint(agent=fresh).read(path).assert_consumed()
    assert len(fresh.critic_variables) == 4 * 10
    for one, other in zip(agent.critic_variables, fresh.critic_variables, strict=True):
        np.testing.assert_array_equal(one, other)


# Updates.


def test_targets_move_by_tau_after_every_period():
    agent = make(target_update_rate=0.25, target_update_period=2)
    start = [variable.numpy() for critic in agent._critics[2:] for variable in critic.variables]

    def targets_and_critics():
        return (
            [variable.numpy() for critic in pair for variable in critic.variables]
            for pair in (agent._critics[2:], agent._critics[:2])
        )

    by_hand(agent, batches(updates=1))
    targets, critics = targets_and_critics()
    for before, after in zip(start, targets, strict=True):
        np.testing.assert_array_equal(after, before)
    by_hand(agent, batches(updates=1))
    targets, critics = targets_and_critics()
    for before, after, critic in zip(start, targets, critics, strict=True):
        np.testing.assert_allclose(after, 0.75 * before + 0.25 * critic, rtol=1e-4, atol=1e-6)
    assert any(np.any(before != after) for before, after in zip(start, targets, strict=True))


@pytest.mark.parametrize("target_entropy, rises", [(50.0, True), (-50.0, False)])
def test_the_temperature_rises_while_the_entropy_is_below_its_target(target_entropy, rises):
    agent = make(target_entropy=target_entropy, temperature_learning_rate=1e-2)
    assert np.exp(agent.agent._log_alpha) == pytest.approx(0.1, rel=1e-5)
    by_hand(agent, batches(updates=3))
    assert (np.exp(agent.agent._log_alpha) > 0.1) == rises
    assert np.exp(agent.agent._log_alpha) != pytest.approx(0.1, rel=1e-3)


def test_without_a_learning_rate_the_temperature_is_held():
    agent = make(initial_temperature=0.2, temperature_learning_rate=0.0, target_entropy=50.0)
    before = agent.agent._log_alpha.numpy()
    assert np.exp(before) == pytest.approx(0.2, rel=1e-6)
    by_hand(agent, batches(updates=3))
    assert agent.agent._log_alpha.numpy() == before


def test_the_temperatures_loss_is_that_of_the_actors_actions():
    agent = make(target_entropy=-3.0)
    time_steps = _experience(Transition(*(field[0] for field in batches()))).time_step
    agent.agent.actor_loss(time_steps, training=True)
    log_probs = agent.agent._actor_log_probs
    agent.agent._actions_and_log_probs(time_steps, training=False)  # as the critics' loss does
    assert agent.agent._actor_log_probs is log_probs
    with tf.GradientTape() as tape:
        loss = agent.agent.alpha_loss(time_steps, training=True)
    np.testing.assert_allclose(loss, -np.log(0.1) * (np.mean(log_probs) - 3.0), rtol=1e-5)
    np.testing.assert_allclose(
        tape.gradient(loss, agent.agent._log_alpha), -(np.mean(log_probs) - 3.0), rtol=1e-5
    )


def test_the_default_target_entropy_is_minus_half_the_action_size():
    assert make().agent._target_entropy == -0.5 * A
    assert make(target_entropy=1.5).agent._target_entropy == 1.5


def test_a_terminated_step_is_worth_its_reward_and_an_ongoing_one_more():
    # Reward 1 throughout; the first observation tells the steps that terminate from those that go
    # on for ever.
    agent = make(
        discount=0.9,
        target_update_rate=0.5,
        initial_temperature=1e-6,
        temperature_learning_rate=1e-9,
    )
    batch = batches(updates=50, reward=1.0)
    goes_on = np.arange(B) % 2 == 0
    mark = np.broadcast_to(np.where(goes_on, 3.0, -3.0)[:, np.newaxis], [50, B, 1])
    observation, after = (
        tf.concat([mark.astype(np.float32), x[..., 1:]], axis=-1)
        for x in (batch.observation, batch.next_observation)
    )
    batch = batch._replace(
        observation=observation,
        next_observation=after,
        discount=tf.constant(np.broadcast_to(goes_on, [50, B]).astype(np.float32)),
    )
    for _ in range(8):
        agent.train(batch)
    q = agent._critics[0]((batch.observation[0], batch.action[0]))[0].numpy()
    np.testing.assert_allclose(q[~goes_on], np.ones(B // 2), atol=0.3)
    assert np.all(q[goes_on] > 3.0)  # towards 1 / (1 - 0.9)


def test_the_critics_target_by_hand():
    # r + γ d (min of the targets' Q at a sampled action - α log π), mean over the batch of both
    # squared errors
    agent, batch = diverse(), Transition(*(field[0] for field in batches()))
    batch = batch._replace(discount=tf.constant([0.0, 1.0] * (B // 2)))
    experience = _experience(batch)
    agent._generator.reset_from_seed(5)
    actions, log_probs = agent.agent._actions_and_log_probs(experience.next_time_step)
    targets = [critic((batch.next_observation, actions))[0] for critic in agent._critics[2:]]
    target = batch.reward + 0.99 * batch.discount * (tf.minimum(*targets) - 0.1 * log_probs)
    expected = tf.add_n(
        [
            tf.reduce_mean(tf.square(critic((batch.observation, batch.action))[0] - target))
            for critic in agent._critics[:2]
        ]
    )
    agent._generator.reset_from_seed(5)
    loss = agent.agent.critic_loss(
        experience.time_step,
        batch.action,
        experience.next_time_step,
        td_errors_loss_fn=agent.agent._td_errors_loss_fn,
        gamma=0.99,
        training=True,
    )
    np.testing.assert_allclose(loss, expected, rtol=1e-4)


def test_a_default_summary_writer_is_in_nobodys_way(tmp_path):
    with tf.summary.create_file_writer(str(tmp_path)).as_default(0):
        assert np.all(np.isfinite(make().train(batches(updates=1))))

"""Imagined rollouts: what is kept, which members predict, and that rows stay themselves."""

import numpy as np
import pytest
import tensorflow as tf

from vagram_tf.envs.simulator import Simulated
from vagram_tf.model.ensemble import DynamicsEnsemble
from vagram_tf.model.rollouts import DataRange, Entered, Imagination, SimulatedRollouts
from vagram_tf.replay import ReplayBuffer
from vagram_tf.types import Transition

D, A, E, B = 2, 1, 4, 12
ELITES = (3, 1)  # the others predict garbage
WIDE = DataRange(tf.fill([D], -1e6), tf.fill([D], 1e6), tf.constant(-1e6), tf.constant(1e6))
GARBAGE = 1e5


def never(observation):
    return tf.zeros([observation.shape[0]], tf.bool)


def policy(observation):
    """An action that tells which observation it was for."""
    return observation[:, :1] / 100.0


def counting_ensemble():
    """Returns an ensemble in which an elite adds 1 to dimension 0 and its number to dimension 1;
    reward 10 · number.

    The log-variance is -4.6, a standard deviation of 0.1.
    """
    ensemble = DynamicsEnsemble(D, A, E, len(ELITES), (3,))
    for variable in ensemble.trainable_variables:
        if "variance:" not in variable.name:
            variable.assign(tf.zeros_like(variable))
    bias = np.full([E, 1, D + 1], GARBAGE, np.float32)
    for elite in ELITES:
        bias[elite] = [1.0, elite, 10.0 * elite]
    ensemble._mean_head.bias.assign(bias)
    ensemble._log_variance_head.bias.assign(tf.fill([E, 1, D + 1], -4.6))
    ensemble.elites.assign(ELITES)
    return ensemble


@pytest.fixture(scope="module")
def imagination():
    """Counts without noise; shared, since every one is compiled."""
    return Imagination(counting_ensemble(), policy, never, noise=False, seed=0)


def starts(count=B):
    """Returns `[count, D]`: dimension 0 is 100 i, so that a rollout tells where it began."""
    return tf.constant([[100.0 * i, 0.0] for i in range(count)])


def test_a_transition_belongs_to_its_own_observation(imagination):
    transitions, dropped = imagination.imagine(starts(), 3, WIDE)
    observation, action, reward, discount, after = (field.numpy() for field in transitions)
    assert observation.shape == (3 * B, D) and action.shape == (3 * B, A) and dropped == 0.0
    np.testing.assert_allclose(action, observation[:, :1] / 100.0, rtol=1e-6)
    np.testing.assert_array_equal(after[:, 0], observation[:, 0] + 1.0)
    number = after[:, 1] - observation[:, 1]
    assert set(number) == set(ELITES)  # both are used, and the garbage of the others is nowhere
    # One member's reward with its own observation.
    np.testing.assert_array_equal(reward, 10.0 * number)
    np.testing.assert_array_equal(discount, np.ones(3 * B))


def test_rollouts_continue_where_they_were(imagination):
    transitions, _ = imagination.imagine(starts(), 3, WIDE)
    observation, after = (
        x.numpy().reshape(3, B, D) for x in (transitions.observation, transitions.next_observation)
    )
    np.testing.assert_array_equal(observation[0], starts())
    np.testing.assert_array_equal(observation[1:], after[:-1])


def test_the_elites_take_equal_shares_drawn_anew(imagination):
    numbers = []
    for _ in range(20):
        step, _ = imagination.imagine(starts(), 1, WIDE)
        numbers.append(step.next_observation.numpy()[:, 1])
    numbers = np.array(numbers)
    assert np.all((numbers == ELITES[0]).sum(axis=1) == B // 2)
    # For every row.
    assert np.all((numbers == ELITES[0]).any(axis=0)) and np.all((numbers == ELITES[1]).any(axis=0))


def test_a_new_choice_of_elites_is_used_at_once(imagination):
    ensemble = imagination._ensemble
    ensemble.elites.assign([1, 1])
    step, _ = imagination.imagine(starts(), 1, WIDE)
    ensemble.elites.assign(ELITES)
    assert set(step.next_observation.numpy()[:, 1]) == {1.0}


def test_a_terminated_step_is_kept_with_discount_zero_and_ends_its_rollout(eagerly):
    # Ends where dimension 0 reaches 2, 102, 202, ...: at the second step. Rows 6 and on never end.
    def termination(observation):
        return (observation[:, 0] % 100.0 >= 2.0) & (observation[:, 0] < 599.0)

    imagination = Imagination(counting_ensemble(), policy, termination, noise=False, seed=0)
    transitions, dropped = imagination.imagine(starts(), 4, WIDE)
    after, discount = transitions.next_observation.numpy()[:, 0], transitions.discount.numpy()
    assert sorted(after) == sorted(
        [100.0 * i + k for i in range(6) for k in (1, 2)]
        + [100.0 * i + k for i in range(6, B) for k in (1, 2, 3, 4)]
    )
    np.testing.assert_array_equal(discount == 0.0, (after % 100 >= 2) & (after < 599.0))
    assert dropped == 0.0


def test_an_incredible_step_is_dropped_and_its_rollout_with_it(imagination):
    # 1,101 and 1,102 are inside; 1,103 is the last row's third step.
    narrow = WIDE._replace(observation_high=tf.constant([1102.5, 1e6]))
    transitions, dropped = imagination.imagine(starts(), 5, narrow)
    after = transitions.next_observation.numpy()[:, 0]
    assert sorted(after) == sorted(
        [100.0 * i + k for i in range(B - 1) for k in range(1, 6)] + [1101.0, 1102.0]
    )
    assert dropped == pytest.approx(1 / (5 * (B - 1) + 3))  # of the steps that were imagined


@pytest.mark.parametrize(
    "field, bound",
    [
        ("observation_high", [0.5, 1e6]),
        ("observation_low", [-1e6, 50.0]),
        ("reward_high", 5.0),
        ("reward_low", 50.0),
    ],
)
def test_every_bound_counts(imagination, field, bound):
    transitions, dropped = imagination.imagine(
        starts(), 2, WIDE._replace(**{field: tf.constant(bound)})
    )
    assert transitions.reward.shape == (0,) and transitions.observation.shape == (0, D)
    assert dropped == 1.0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", [0, D])
def test_what_is_not_finite_is_dropped(imagination, bad, where):
    # One elite of two is broken, in an observation dimension or in the reward.
    bias = imagination._ensemble._mean_head.bias
    sound = bias.numpy()
    broken = sound.copy()
    broken[ELITES[0], 0, where] = bad
    bias.assign(broken)
    transitions, dropped = imagination.imagine(starts(), 1, WIDE)
    bias.assign(sound)
    assert dropped == 0.5
    assert transitions.reward.shape == (B // 2,)
    assert all(np.all(np.isfinite(field)) for field in transitions)
    np.testing.assert_array_equal(transitions.reward, [10.0 * ELITES[1]] * (B // 2))


def test_without_noise_the_mean_and_with_it_the_predicted_gaussian(eagerly):
    count = 4000
    silent = Imagination(counting_ensemble(), policy, never, noise=False, seed=0)
    noisy = Imagination(counting_ensemble(), policy, never, noise=True, seed=0)
    ensemble = noisy._ensemble
    ensemble._log_variance_head.bias.assign(
        tf.broadcast_to(2.0 * tf.math.log([0.1, 0.5, 0.02]), [E, 1, D + 1])
    )
    predicted = ensemble(tf.zeros([E, 1, D]), tf.zeros([E, 1, A]))
    expected = np.exp(
        0.5
        * np.append(
            predicted.next_observation_log_variance[0, 0], predicted.reward_log_variance[0, 0]
        )
    )
    start = tf.zeros([count, D])
    quiet, _ = silent.imagine(start, 1, WIDE)
    assert set(quiet.next_observation.numpy()[:, 0]) == {1.0}

    step, _ = noisy.imagine(start, 1, WIDE)
    after, reward = step.next_observation.numpy(), step.reward.numpy()
    number = np.where(np.abs(reward - 30.0) < 5.0, 3.0, 1.0)
    noise = np.stack([after[:, 0] - 1.0, after[:, 1] - number, reward - 10.0 * number], axis=1)
    np.testing.assert_allclose(expected[:2], [0.1, 0.5], rtol=0.2)  # the bounds are soft
    np.testing.assert_allclose(noise.std(axis=0), expected, rtol=0.05)
    assert np.all(np.abs(noise.mean(axis=0)) < 5.0 * expected / count**0.5)
    correlations = np.corrcoef(noise.T)[np.triu_indices(3, 1)]
    assert np.all(np.abs(correlations) < 0.08)  # each dimension its own draw


def test_shrinkage_leaves_out_its_share_of_every_change_of_state(eagerly):
    shrunk = Imagination(counting_ensemble(), policy, never, noise=False, seed=0, shrinkage=0.25)
    step, _ = shrunk.imagine(starts(), 1, WIDE)
    change = (step.next_observation - step.observation).numpy()
    np.testing.assert_array_equal(change[:, 0], np.full(B, 0.75))
    # The reward stays what it was.
    np.testing.assert_array_equal(change[:, 1] / 0.75 * 10.0, step.reward)


class Counting:
    """Adds 1 and the action; ends above 101."""

    def step(self, state, action):
        after = state + np.append(np.ones_like(action), action, axis=1)
        return Simulated(after, after.astype(np.float32), 10.0 * action[:, 0], after[:, 0] > 101.0)


@pytest.mark.parametrize("shrinkage", [0.0, 0.25])
def test_simulated_rollouts_take_the_simulators_word(shrinkage):
    rollouts = SimulatedRollouts(Counting(), policy, shrinkage)
    start = Entered(starts(3).numpy(), starts(3).numpy().astype(np.float64))
    transitions, dropped = rollouts.imagine(start, 2, WIDE)
    observation, action, reward, discount, after = (field.numpy() for field in transitions)
    assert dropped == 0.0
    np.testing.assert_allclose(action, observation[:, :1] / 100.0, rtol=1e-6)
    np.testing.assert_array_equal(reward, 10.0 * action[:, 0])
    np.testing.assert_allclose(after[:, 0] - observation[:, 0], 1.0 - shrinkage, rtol=1e-5)
    np.testing.assert_allclose(
        after[:, 1] - observation[:, 1], (1.0 - shrinkage) * action[:, 0], atol=1e-6
    )
    # Row 2 begins at 200 and ends with its first step, row 1 at 100 with its second.
    assert observation[:, 0].tolist() == [0.0, 100.0, 200.0, 1.0 - shrinkage, 101.0 - shrinkage]
    assert discount.tolist() == [1.0, 1.0, 0.0, 1.0, 0.0]


class Sinking:
    """Takes half of the state away and ends nothing. Shows no more than 250; behind it is 300."""

    def states(self, observation, action, follows):
        return np.where(observation == 250.0, 300.0, observation).astype(np.float64)

    def step(self, state, action):
        after = state / 2.0
        shown = np.minimum(after, 250.0).astype(np.float32)
        return Simulated(after, shown, action[:, 0], np.zeros(len(state), bool))


def test_simulated_rollouts_go_on_from_states_that_are_not_shown():
    real = ReplayBuffer(D, A, 4, seed=0)
    row = tf.fill([1, D], 250.0)
    real.add(Transition(row, tf.zeros([1, A]), tf.zeros(1), tf.ones(1), row))
    rollouts = SimulatedRollouts(Sinking(), policy, 0.0)
    transitions, _ = rollouts.imagine(rollouts._starts(real)(1), 2, WIDE)
    assert transitions.observation.numpy()[:, 0].tolist() == [250.0, 150.0]
    assert transitions.next_observation.numpy()[:, 0].tolist() == [150.0, 75.0]


def test_equal_seeds_imagine_the_same(eagerly):
    results = []
    for seed in (1, 1, 2):
        imagination = Imagination(counting_ensemble(), policy, never, noise=True, seed=seed)
        results.append(imagination.imagine(starts(), 2, WIDE)[0])
    for one, two in zip(results[0], results[1], strict=True):
        np.testing.assert_array_equal(one, two)
    assert np.any(results[0].next_observation != results[2].next_observation)


def test_the_range_of_the_data_is_widened_by_the_margin():
    data = Transition(
        tf.fill([3, D], 1e9),
        tf.zeros([3, A]),
        tf.constant([0.0, 4.0, 2.0]),
        tf.ones(3),
        tf.constant([[0.0, 7.0], [10.0, 7.0], [4.0, 7.0]]),
    )
    around = DataRange.of(data, margin=0.5)
    np.testing.assert_allclose(around.observation_low, [-5.0, 7.0 - 5e-4], rtol=1e-6)
    np.testing.assert_allclose(around.observation_high, [15.0, 7.0 + 5e-4], rtol=1e-6)
    assert (float(around.reward_low), float(around.reward_high)) == (-2.0, 6.0)


def test_the_range_contains_what_is_inside_in_every_dimension():
    around = DataRange(
        tf.constant([0.0, 0.0]), tf.constant([1.0, 2.0]), tf.constant(-1.0), tf.constant(1.0)
    )
    cases = [
        ([0.5, 0.5], 0.0, True),
        ([0.0, 2.0], 1.0, True),
        ([1.1, 0.5], 0.0, False),
        ([0.5, -0.1], 0.0, False),
        ([0.5, 0.5], 1.1, False),
        ([0.5, 0.5], -1.1, False),
        ([np.nan, 0.5], 0.0, False),
        ([0.5, 0.5], np.nan, False),
    ]
    observation, reward, expected = zip(*cases, strict=True)
    inside = around.contains(tf.constant(observation, tf.float32), tf.constant(reward, tf.float32))
    assert inside.numpy().tolist() == list(expected)

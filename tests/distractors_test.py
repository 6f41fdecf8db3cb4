"""Distractors: equal dynamics everywhere, equal episodes for equal seeds, bounded values."""

import itertools

import gymnasium
import numpy as np
import pytest

from vagram_tf.envs import distractors
from vagram_tf.envs.distractors import Distractors

KINDS = ("linear", "nonlinear", "correlated", "noise")
COUNT = 4


class Counter(gymnasium.Env):
    """Observes `[step, -step, 3]` as float64; does nothing else."""

    observation_space = gymnasium.spaces.Box(-50.0, 50.0, (3,), np.float64)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,))

    def __init__(self, sign=1.0):
        self._sign = sign

    def _observation(self):
        return np.array([self._step, -self._step, 3.0]) * self._sign

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._step = 0
        return self._observation(), {}

    def step(self, action):
        self._step += 1
        return self._observation(), float(self._step), False, False, {"step": self._step}


def episode(env, seed, steps=60):
    """Returns the observations of an episode, `[steps + 1, D]`."""
    observations = [env.reset(seed=seed)[0]]
    observations += [env.step(np.zeros(1))[0] for _ in range(steps)]
    return np.array(observations)


@pytest.mark.parametrize("kind", KINDS)
def test_equal_seeds_give_equal_episodes_whatever_came_before(kind):
    env = Distractors(Counter(), COUNT, kind, seed=3)
    first = episode(env, seed=5)
    other = episode(env, seed=6)
    again = episode(env, seed=5)
    np.random.seed(0)
    np.random.normal(size=7)
    fresh = episode(Distractors(Counter(), COUNT, kind, seed=3), seed=5)

    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, fresh)
    assert np.all(first[0, 3:] != other[0, 3:])
    np.testing.assert_array_equal(first[:, :3], other[:, :3])  # the task itself is untouched


@pytest.mark.parametrize("kind", KINDS)
def test_global_numpy_state_is_neither_read_nor_changed(kind):
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    episode(Distractors(Counter(), COUNT, kind, seed=3), seed=5)
    np.testing.assert_array_equal(before, np.random.get_state()[1])


def test_training_and_evaluation_share_the_dynamics():
    training = Distractors(Counter(), COUNT, "nonlinear", seed=3)
    evaluation = Distractors(Counter(), COUNT, "nonlinear", seed=3)
    episode(training, seed=5)
    training.reset(seed=1)
    evaluation.reset(seed=2)
    start = np.array([0.1, -0.2, 0.3, 0.05])
    training._state, evaluation._state = start, start
    np.testing.assert_array_equal(training.step(np.zeros(1))[0], evaluation.step(np.zeros(1))[0])

    different = Distractors(Counter(), COUNT, "nonlinear", seed=4)
    different.reset(seed=2)
    different._state = start
    assert np.all(different.step(np.zeros(1))[0][3:] != training._state)


def test_linear_dynamics_are_the_matrix_product_until_the_limit():
    env = Distractors(Counter(), COUNT, "linear", seed=3)
    x = episode(env, seed=5)[:, 3:]
    for before, after in itertools.pairwise(x):
        expected = env._transition @ before
        expected = np.where(np.abs(expected) > 20, env._reset_values, expected)
        np.testing.assert_allclose(after, expected, rtol=1e-12)


def test_nonlinear_dynamics_add_the_sine():
    env = Distractors(Counter(), COUNT, "nonlinear", seed=3)
    env.reset(seed=5)
    x = np.array([0.01, 0.02, -0.03, 0.04])
    env._state = x
    y = env._transition @ x
    expected = y + 0.1 * np.sin(env._frequencies @ y)
    np.testing.assert_allclose(env.step(np.zeros(1))[0][3:], expected, rtol=1e-9)
    assert np.all(env._frequencies >= 0)
    assert not np.allclose(expected, y, atol=1e-3)


def test_only_correlated_distractors_read_the_task():
    for kind in KINDS:
        env, mirrored = (Distractors(Counter(sign), COUNT, kind, seed=3) for sign in (1.0, -1.0))
        same = np.array_equal(episode(env, 5)[:, 3:], episode(mirrored, 5)[:, 3:])
        assert same == (kind != "correlated"), kind


@pytest.mark.parametrize("kind", ["linear", "nonlinear", "correlated"])
def test_a_dimension_beyond_the_limit_switches_to_its_own_reset_value(kind):
    env = Distractors(Counter(), COUNT, kind, seed=3)
    x = episode(env, seed=5, steps=500)[:, 3:]
    assert np.abs(x).max() <= distractors.LIMIT == 20.0
    assert (x == env._reset_values).any()

    env._transition = np.diag([21.0, 19.0, -21.0, -19.0])
    env._correlation = np.zeros((COUNT, 3))
    env._frequencies = np.zeros((COUNT, COUNT))
    env._state = np.ones(COUNT)
    reset = env._reset_values
    expected = [reset[0], 19.0, reset[2], -19.0]
    np.testing.assert_array_equal(env.step(np.zeros(1))[0][3:], expected)


def test_noise_is_standard_normal_and_new_at_every_step():
    x = episode(Distractors(Counter(), 5, "noise", seed=3), seed=5, steps=4000)[:, 3:]
    assert np.unique(x).size == x.size
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=0.08)
    np.testing.assert_allclose(x.std(axis=0), 1, atol=0.06)


def test_start_is_small():
    env = Distractors(Counter(), 5, "linear", seed=3)
    starts = np.array([env.reset(seed=seed)[0][3:] for seed in range(500)])
    np.testing.assert_allclose(starts.std(axis=0), 0.1, atol=0.02)


def test_space_reward_and_info_pass_through():
    env = Distractors(Counter(), COUNT, seed=3)
    space = env.observation_space
    np.testing.assert_array_equal(space.low, [-50, -50, -50] + [-np.inf] * COUNT)
    np.testing.assert_array_equal(space.high, [50, 50, 50] + [np.inf] * COUNT)
    assert space.dtype == np.float64
    assert gymnasium.wrappers.TimeLimit(env, 3).get_wrapper_attr("distractor_dimensions") == COUNT
    observation, _ = env.reset(seed=0)
    assert space.contains(observation)
    _, reward, terminated, truncated, info = env.step(np.zeros(1))
    assert (reward, terminated, truncated, info) == (1.0, False, False, {"step": 1})


def test_a_reset_without_a_seed_continues_the_stream():
    env = Distractors(Counter(), COUNT, seed=3)
    starts = [env.reset(seed=5)[0], env.reset()[0], env.reset(seed=5)[0], env.reset()[0]]
    np.testing.assert_array_equal(starts[0], starts[2])
    np.testing.assert_array_equal(starts[1], starts[3])
    assert not np.array_equal(starts[0], starts[1])


def test_refusals():
    with pytest.raises(ValueError, match="linear.*got 'cubic'"):
        Distractors(Counter(), COUNT, "cubic")
    with pytest.raises(ValueError, match="at least 1"):
        Distractors(Counter(), 0)
    with pytest.raises(ValueError, match="vector"):
        Distractors(gymnasium.make("FrozenLake-v1"), 2)

"""Distractors: equal dynamics everywhere, equal episodes for equal seeds, bounded values."""

import itertools

import gymnasium
import numpy as np
import pytest

from vagram_tf.config import DISTRACTOR_KINDS, EnvConfig
from vagram_tf.envs import distractors, tasks
from vagram_tf.envs.distractors import Distractors

KINDS = DISTRACTOR_KINDS
COUNT = 4
CHEETAH = 17  # dimensions of a bystander


class Counter(gymnasium.Env):
    """Observes `[step, -step, 3]` as float64, and the action added to all; does nothing else."""

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
        observation = self._observation() + float(action[0])
        return observation, float(self._step), False, False, {"step": self._step}


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


# Rotation.


def test_a_rotation_is_the_product_with_an_orthogonal_matrix():
    env = Distractors(Counter(), COUNT, "rotation", seed=3)
    q = env._transition
    np.testing.assert_allclose(q @ q.T, np.eye(COUNT), atol=1e-12)
    for before, after in itertools.pairwise(episode(env, seed=5)[:, 3:]):
        by_hand = [sum(q[i, j] * before[j] for j in range(COUNT)) for i in range(COUNT)]
        np.testing.assert_allclose(after, by_hand, rtol=1e-9, atol=1e-12)


def test_a_rotation_keeps_the_length_and_knows_no_limit():
    env = Distractors(Counter(), COUNT, "rotation", seed=3)
    x = episode(env, seed=5, steps=1000)[:, 3:]
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), np.linalg.norm(x[0]), rtol=1e-9)
    assert np.all(x.std(axis=0) > 0.1)  # and every dimension moves
    env._state = np.array([100.0, 0.0, 0.0, 0.0])
    assert np.linalg.norm(env.step(np.zeros(1))[0][3:]) == pytest.approx(100.0)


def test_a_rotation_is_the_orthogonal_factor_of_the_matrix_of_its_seed():
    q = Distractors(Counter(), COUNT, "rotation", seed=3)._transition
    again = Distractors(Counter(), COUNT, "rotation", seed=3)._transition
    other = Distractors(Counter(), COUNT, "rotation", seed=4)._transition
    np.testing.assert_array_equal(q, again)
    assert np.all(q != other)
    triangular = q.T @ Distractors(Counter(), COUNT, "linear", seed=3)._transition
    np.testing.assert_allclose(np.tril(triangular, -1), np.zeros((COUNT, COUNT)), atol=1e-12)


def test_a_rotation_starts_standard_normal():
    env = Distractors(Counter(), 5, "rotation", seed=3)
    starts = np.array([env.reset(seed=seed)[0][3:] for seed in range(1000)])
    np.testing.assert_allclose(starts.mean(axis=0), 0, atol=0.15)
    np.testing.assert_allclose(starts.std(axis=0), 1, atol=0.1)


# Bystanders.


@pytest.fixture
def bystanders():
    """Makes wrappers with bystanders, and closes them."""
    made = []

    def make(count, seed=3):
        made.append(Distractors(Counter(), count, "bystander", seed))
        return made[-1]

    yield make
    for env in made:
        env.close()


@pytest.mark.parametrize("count, robots", [(5, 1), (17, 1), (18, 2), (20, 2)])
def test_there_are_as_many_bystanders_as_the_dimensions_take(bystanders, count, robots):
    env = bystanders(count)
    assert len(env._bystanders) == robots
    assert all(bystander.size == CHEETAH for bystander in env._bystanders)
    x = episode(env, seed=5, steps=3)
    assert x.shape == (4, 3 + count) and env.observation_space.shape == (3 + count,)
    assert np.all(x[0, 3:] != x[3, 3:])  # all of them move


def test_a_bystander_is_a_cheetah_under_a_policy_of_its_own(bystanders):
    """The first has its 17 dimensions, the second the 3 that are left."""
    env = bystanders(20)
    x = episode(env, seed=5, steps=10)[:, 3:]
    generator = np.random.default_rng([5, 2])  # of the episode
    generator.normal(size=20)  # the start of other kinds is drawn, too
    for bystander, seen in zip(env._bystanders, (x[:, :17], x[:, 17:]), strict=True):
        robot, gains = gymnasium.make("HalfCheetah-v5"), bystander._gains
        observation, _ = robot.reset(seed=int(generator.integers(2**31)))
        for row in seen:
            np.testing.assert_allclose(row, observation[: len(row)], rtol=1e-12)
            action = np.tanh([sum(gain * observation) for gain in gains])
            observation = robot.step(action.astype(np.float32))[0]
        robot.close()
    assert np.all(env._bystanders[0]._gains != env._bystanders[1]._gains)


def test_a_bystanders_policy_is_of_the_dynamics_seed_and_its_start_of_the_episodes(bystanders):
    first, same, other = (bystanders(20, seed) for seed in (3, 3, 4))
    one, two, three = (episode(env, seed=5) for env in (first, same, other))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one[0], three[0])
    assert np.any(np.abs(one[10, 3:] - three[10, 3:]) > 0.1)
    assert np.all(episode(same, seed=6)[0, 3:] != one[0, 3:])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "correlated"])
def test_what_the_task_does_is_of_no_account(kind):
    found = []
    for action in (0.0, 0.7):
        env = Distractors(Counter(), COUNT, kind, seed=3)
        env.reset(seed=5)
        found.append(np.array([env.step(np.array([action]))[0] for _ in range(20)]))
        env.close()
    assert np.all(found[0][:, :3] != found[1][:, :3])
    np.testing.assert_array_equal(found[0][:, 3:], found[1][:, 3:])


def test_a_bystander_ends_no_episode_and_goes_on_for_longer_than_a_cheetahs(bystanders):
    env = bystanders(5)
    env.reset(seed=5)
    ends, states = [], []
    for _ in range(1100):  # an episode of HalfCheetah-v5 has 1,000
        observation, reward, terminated, truncated, info = env.step(np.zeros(1))
        ends.append(terminated or truncated)
        states.append(observation[3:])
    assert not any(ends)
    assert (reward, info) == (1100.0, {"step": 1100})  # the task's
    assert np.all(np.isfinite(states)) and np.all(np.diff(states, axis=0).any(axis=1))


def test_closing_closes_the_task_and_every_bystander(monkeypatch):
    env, closed = Distractors(Counter(), 20, "bystander"), []
    for robot in (env.env, *(bystander._env for bystander in env._bystanders)):
        monkeypatch.setattr(robot, "close", lambda robot=robot: closed.append(robot))
    env.close()
    assert {id(robot) for robot in closed} == {
        id(env.env),
        *(id(bystander._env) for bystander in env._bystanders),
    } and len(closed) == 3


@pytest.mark.parametrize("kind", ["rotation", "bystander"])
def test_a_task_with_them_is_made_by_name(kind):
    env = tasks.make(EnvConfig("InvertedPendulum-v5", distractors=20, distractor_kind=kind))
    observation, _ = env.reset(seed=0)
    assert observation.shape == env.observation_space.shape == (4 + 20,)
    assert env.step(env.action_space.sample())[0].shape == (24,)
    env.close()

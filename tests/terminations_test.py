"""Termination functions against the environments' own flags, and at their thresholds."""

import gymnasium
import numpy as np
import pytest
import tensorflow as tf

from vagram_tf.config import EnvConfig
from vagram_tf.envs import tasks
from vagram_tf.model import known_termination

pytestmark = pytest.mark.slow

STEPS = 2000
DISTRACTORS = 3
ENDING = ("InvertedPendulum", "InvertedDoublePendulum", "Hopper", "Walker2d", "Ant", "Humanoid")
ENDLESS = ("HalfCheetah", "HumanoidStandup", "Swimmer", "Reacher", "Pusher")
ENDLESS_OTHERS = ("Pendulum-v1", "dm_control/walker-walk-v0", "dm_control/cartpole-balance-v0")


def random_steps(env, steps=STEPS):
    """Returns next observations `[steps, D]` and the environment's `terminated` flags `[steps]`."""
    generator = np.random.default_rng(0)
    space = env.action_space
    observations, flags = [], []
    env.reset(seed=0)
    for _ in range(steps):
        action = generator.uniform(space.low, space.high).astype(space.dtype)
        observation, _, terminated, truncated, _ = env.step(action)
        observations.append(observation)
        flags.append(terminated)
        if terminated or truncated:
            env.reset(seed=int(generator.integers(2**31)))
    return np.array(observations, np.float32), np.array(flags)


def make(env_id, **options):
    return gymnasium.make(env_id, disable_env_checker=True, **options)


def hopper_like(rows):
    """Hopper observations `[B, 11]` that stand upright, with the given (row, column): value."""
    observations = np.zeros((len(rows), 11), np.float32)
    observations[:, 0] = 1.25
    for index, change in enumerate(rows):
        for column, value in change.items():
            observations[index, column] = value
    return observations


@pytest.mark.parametrize(
    "name",
    [f"{name}-v5" for name in ENDING + ENDLESS] + ["Hopper-v4", "Ant-v4", *ENDLESS_OTHERS],
)
def test_agrees_with_the_environment_on_random_steps(name):
    env, ends = tasks.make(EnvConfig(name, distractors=DISTRACTORS)), name.split("-")[0] in ENDING
    observations, flags = random_steps(env, STEPS if ends else 200)
    np.testing.assert_array_equal(known_termination.find(env)(observations), flags)
    plain = known_termination.find(tasks.make(EnvConfig(name)))
    np.testing.assert_array_equal(plain(observations[:, :-DISTRACTORS]), flags)
    if ends:
        assert 10 < flags.sum() < STEPS / 2
    else:
        assert not flags.any()


@pytest.mark.parametrize("name", ["Hopper-v5", "Walker2d-v5", "Ant-v5", "Humanoid-v5"])
def test_agrees_where_root_positions_are_observed(name):
    env = make(name, exclude_current_positions_from_observation=False)
    observations, flags = random_steps(env, steps=300)
    assert flags.any()
    np.testing.assert_array_equal(known_termination.find(env)(observations), flags)


def test_agrees_on_humanoids_full_observation():
    env = make("Humanoid-v5")
    observations, flags = random_steps(env, steps=300)
    assert flags.any()
    np.testing.assert_array_equal(known_termination.find(env)(observations), flags)


def test_distractors_are_not_read():
    function = known_termination.find(tasks.make(EnvConfig("Hopper-v5", distractors=2)))
    healthy, fallen = np.array([[1.25] + [0.0] * 10, [0.5] + [0.0] * 10], np.float32)
    for value in (0.0, 1000.0, -1000.0, np.nan, np.inf):
        extra = np.full(2, value, np.float32)
        observations = np.array([np.append(healthy, extra), np.append(fallen, extra)])
        np.testing.assert_array_equal(function(observations), [False, True])


ABOVE = np.nextafter(np.float32(0.7), np.float32(1))
BELOW = np.nextafter(np.float32(0.2), np.float32(0))


def test_hopper_at_its_thresholds():
    function = known_termination.find(make("Hopper-v5"))
    table = [
        ({}, False),
        ({0: 0.7}, True),  # the healthy range is open
        ({0: ABOVE}, False),
        ({0: 50.0}, False),  # no upper bound
        ({1: 0.2}, True),
        ({1: BELOW}, False),
        ({1: -0.2}, True),
        ({1: -BELOW}, False),
        ({5: 10.0}, False),  # a velocity at the clip
        ({5: 99.9}, False),
        ({5: 100.0}, True),
        ({10: -100.0}, True),
        ({2: 100.0}, True),
    ]
    rows, expected = zip(*table, strict=True)
    np.testing.assert_array_equal(function(hopper_like(rows)), expected)


@pytest.mark.parametrize(
    "name, column, values, expected",
    [
        ("Walker2d-v5", 0, [0.8, 0.81, 1.99, 2.0], [True, False, False, True]),
        ("Walker2d-v5", 1, [-1.0, -0.99, 0.99, 1.0], [True, False, False, True]),
        ("Walker2d-v5", 9, [-500.0, 500.0], [False, False]),
        ("Ant-v5", 0, [0.19, 0.2, 1.0, 1.01], [True, False, False, True]),  # closed
        ("Humanoid-v5", 0, [1.0, 1.01, 1.99, 2.0], [True, False, False, True]),
        ("InvertedPendulum-v5", 1, [-0.21, -0.2, 0.2, 0.21], [True, False, False, True]),
        ("HalfCheetah-v5", 0, [-100.0, 100.0], [False, False]),
    ],
)
def test_thresholds(name, column, values, expected):
    env = tasks.make(EnvConfig(name))
    observations = np.zeros((len(values), env.observation_space.shape[0]), np.float32)
    observations[:, 0] = 1.0 if name == "Ant-v5" else 1.5
    observations[:, column] = values
    np.testing.assert_array_equal(known_termination.find(env)(observations), expected)


def test_double_pendulum_at_its_threshold():
    """Two links of 0.6 m end at 1 m where both lean by a with 0.6 cos a + 0.6 cos 2a = 1."""
    function = known_termination.find(make("InvertedDoublePendulum-v5"))
    limit = np.arccos((-1 + np.sqrt(1 + 8 * (1 + 1 / 0.6))) / 4)
    angles = np.array([0.0, limit - 1e-3, limit + 1e-3, -limit - 1e-3, np.pi])
    observations = np.zeros((5, 9), np.float32)
    observations[:, 1] = observations[:, 2] = np.sin(angles)
    observations[:, 3] = observations[:, 4] = np.cos(angles)
    # At an angle of pi the first link hangs and the second points up from there: 0 m.
    np.testing.assert_array_equal(function(observations), [False, False, True, True, True])


def test_thresholds_come_from_the_environment():
    fallen = hopper_like([{0: 0.6}, {1: 0.3}])
    assert known_termination.find(make("Hopper-v5"))(fallen).numpy().tolist() == [True, True]
    lower = make("Hopper-v5", healthy_z_range=(0.5, 2.0))
    assert known_termination.find(lower)(fallen).numpy().tolist() == [False, True]
    for name in ("Hopper-v5", "Walker2d-v5", "Ant-v5", "Humanoid-v5"):
        env = make(name, terminate_when_unhealthy=False)
        zeros = np.zeros((2, env.observation_space.shape[0]), np.float32)
        assert not known_termination.find(env)(zeros).numpy().any(), name


@pytest.mark.parametrize("name", ["Hopper-v5", "HalfCheetah-v5", "dm_control/walker-walk-v0"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_prediction_that_is_not_finite_terminates(name, value):
    env = tasks.make(EnvConfig(name))
    observations = np.zeros((2, env.observation_space.shape[0]), np.float32)
    observations[:, 0] = 1.25
    observations[1, -1] = value
    np.testing.assert_array_equal(known_termination.find(env)(observations), [False, True])
    np.testing.assert_array_equal(known_termination.never(tf.constant(observations)), [False, True])


@pytest.mark.parametrize("name", [f"{name}-v5" for name in ENDING])
def test_compiled_and_exported_functions_agree(name, tmp_path):
    env = tasks.make(EnvConfig(name, distractors=DISTRACTORS))
    observations, flags = random_steps(env, steps=100)
    observations[0, 0] = np.nan
    flags[0] = True
    function = known_termination.find(env)
    compiled = tf.function(function, jit_compile=True)(tf.constant(observations))
    np.testing.assert_array_equal(compiled, flags)

    signature = [tf.TensorSpec((None, observations.shape[1]), tf.float32)]
    module = tf.Module()
    module.terminated = tf.function(function, input_signature=signature)
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    np.testing.assert_array_equal(loaded.terminated(observations), flags)


def test_only_batches_are_accepted():
    with pytest.raises(ValueError, match="rank"):
        known_termination.find(make("Hopper-v5"))(np.zeros(11, np.float32))


def test_of_an_environment_whose_rule_nobody_wrote_there_is_none():
    class Unheard(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(-1.0, 1.0, (2,))

    for env in (make("MountainCarContinuous-v0"), make("dm_control/lqr-lqr_2_1-v0"), Unheard()):
        assert known_termination.find(env) is None


def test_register(monkeypatch):
    monkeypatch.setattr(known_termination, "_factories", dict(known_termination._factories))
    received = []

    def factory(env):
        received.append(env)
        return lambda observation: observation[:, -1] > 0.5

    known_termination.register("MountainCarContinuous-v0", factory)
    env = tasks.make(EnvConfig("MountainCarContinuous-v0", distractors=2))
    function = known_termination.find(env)
    observations = np.array([[0, 0.4, 9, 9], [0, 0.6, 0, 0], [np.nan, 0, 0, 0]], np.float32)
    np.testing.assert_array_equal(function(observations), [False, True, True])
    assert received == [env]

    known_termination.register("dm_control/cartpole-balance-v0", factory)  # before the general rule
    cartpole = known_termination.find(make("dm_control/cartpole-balance-v0"))
    assert cartpole(np.ones((1, 5), np.float32)).numpy().tolist() == [True]

"""The simulator as a model: it answers as the task itself does, in any order, and says where it
cannot.
"""

import numpy as np
import pytest

from vagram_tf.config import EnvConfig
from vagram_tf.envs import tasks
from vagram_tf.envs.simulator import Simulator


def steps(name, count=60):
    """Takes steps with random actions: observation, action in [-1, 1], next observation, reward,
    terminated.
    """
    env, generator, rows = tasks.make(EnvConfig(name=name)), np.random.default_rng(0), []
    low, high = env.action_space.low, env.action_space.high
    observation, _ = env.reset(seed=0)
    for _ in range(count):
        action = generator.uniform(-1, 1, low.shape).astype(np.float32)
        after, reward, terminated, truncated, _ = env.step(
            (low + (high - low) * (action + 1) / 2).astype(low.dtype)
        )
        rows.append((observation, action, after, reward, terminated))
        observation = env.reset()[0] if terminated or truncated else after
    observation, action, after, *rest = map(np.array, zip(*rows, strict=True))
    return observation.astype(np.float32), action, after, *rest


@pytest.mark.parametrize("name", ["InvertedPendulum-v5", "Hopper-v5"])
def test_answers_as_the_task_does(name):
    observation, action, after, reward, terminated = steps(name)
    assert terminated.any()
    found = Simulator(tasks.make(EnvConfig(name=name))).step(observation, action)
    np.testing.assert_allclose(found.observation, after, atol=2e-5)
    np.testing.assert_allclose(found.reward, reward, atol=1e-5)
    np.testing.assert_array_equal(found.terminated, terminated)


def test_an_answer_does_not_depend_on_those_before():
    observation, action, *_ = steps("Hopper-v5", 20)
    simulator = Simulator(tasks.make(EnvConfig(name="Hopper-v5")))
    together = simulator.step(observation, action)
    alone = simulator.step(observation[7:8], action[7:8])
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one[7], other[0])


def falling(count=40):
    """A hopper in the air whose leg swings faster than observations show: observation, action,
    next observation, of the steps that do not end its episode.
    """
    env = tasks.make(EnvConfig(name="Hopper-v5"))
    env.reset(seed=0)
    env.unwrapped.set_state(env.unwrapped.init_qpos + [0, 1, 0, 0, 0, 0], np.zeros(6))
    observation, rows = env.unwrapped._get_obs(), []
    for i in range(count):
        action = np.full(3, 1.0 if i % 20 < 10 else -1.0, np.float32)
        after, _, terminated, *_ = env.step(action)
        if terminated:
            break
        rows.append((observation, action, after))
        observation = after
    return tuple(np.array(column, np.float32) for column in zip(*rows, strict=True))


def test_states_are_found_behind_clipped_velocities():
    observation, action, after = falling()
    clipped = np.any(np.abs(observation) == 10.0, axis=1)
    assert clipped.any() and not clipped[0]
    simulator = Simulator(tasks.make(EnvConfig(name="Hopper-v5")))
    follows = np.append(np.ones(len(action) - 1, bool), False)
    states = simulator.states(observation, action, follows)
    np.testing.assert_array_equal(states[~clipped].astype(np.float32), observation[~clipped])
    assert np.all(np.abs(states[clipped]).max(axis=1) > 10.0)
    np.testing.assert_allclose(simulator.step(states, action).observation, after, atol=2e-3)
    # What is shown alone leads elsewhere.
    wrong = simulator.step(observation, action).observation - after
    assert np.abs(wrong[clipped]).max() > 0.1


def test_a_state_that_no_step_leads_to_is_what_is_shown():
    observation, action, _ = falling()
    simulator = Simulator(tasks.make(EnvConfig(name="Hopper-v5")))
    states = simulator.states(observation, action, np.zeros(len(action), bool))
    np.testing.assert_array_equal(states, observation)


def test_a_state_is_followed_from_step_to_step():
    observation, action, after = falling()
    simulator = Simulator(tasks.make(EnvConfig(name="Hopper-v5")))
    state, shown = observation[:1], []
    for each in action:
        state, seen, *_ = simulator.step(state, each[np.newaxis])
        shown.append(seen[0])
    np.testing.assert_allclose(shown, after, atol=2e-3)


@pytest.mark.parametrize(
    "config, words",
    [
        (
            EnvConfig(name="Reacher-v5"),
            "the observation of Reacher-v5 does not hold the state of a simulator$",
        ),
        (EnvConfig(name="Pendulum-v1"), "the observation of Pendulum-v1 does not hold"),
        (
            EnvConfig(name="Hopper-v5", distractors=2),
            "Hopper-v5 does not hold .* beside its distractors",
        ),
    ],
)
def test_an_observation_that_does_not_hold_the_state_is_refused(config, words):
    with pytest.raises(ValueError, match=words):
        Simulator(tasks.make(config))

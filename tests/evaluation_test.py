"""Greedy episodes: their returns and lengths, and that they leave training alone."""

import numpy as np
import programs
import pytest
import tensorflow as tf

from vagram_tf import seeding
from vagram_tf.config import EnvConfig
from vagram_tf.dyna import Dyna
from vagram_tf.envs import tasks
from vagram_tf.envs.adapter import GymnasiumEnvironment
from vagram_tf.envs.episodes import evaluate


def countdowns(count):
    return [
        GymnasiumEnvironment(tasks.make(EnvConfig("programs:Countdown-v0")), seed)
        for seed in range(count)
    ]


def lengths_of(count):
    """What each countdown says when it starts its first episode."""
    return [int(environment.reset().observation[0]) for environment in countdowns(count)]


def test_returns_and_lengths_of_episodes_of_different_lengths():
    expected = lengths_of(8)
    assert len(set(expected)) > 2
    returns, lengths = evaluate(
        countdowns(8), lambda observation: tf.zeros([observation.shape[0], 1])
    )
    assert lengths.tolist() == expected
    assert returns.tolist() == [n * (n + 1) / 2 for n in expected]


def test_policy_sees_all_episodes_at_once_until_the_last_ends():
    expected = lengths_of(8)
    seen = []

    def policy(observation):
        seen.append(observation.numpy()[:, 0].tolist())
        return tf.zeros([observation.shape[0], 1])

    evaluate(countdowns(8), policy)
    assert len(seen) == max(expected)
    assert seen == [[max(n - step, 0) for n in expected] for step in range(max(expected))]


def test_each_environment_gets_its_own_action():
    environments = countdowns(3)
    taken = [[] for _ in environments]
    for environment, actions in zip(environments, taken, strict=True):

        def step(action, inner=environment.task.step, actions=actions):
            actions.append(float(action[0]))
            return inner(action)

        environment.task.step = step
    evaluate(environments, lambda observation: tf.constant([[0.5], [-1.0], [7.0]]))
    # Scaled to [-2, 2] and clipped.
    assert [set(actions) for actions in taken] == [
        {1.0},
        {-2.0},
        {2.0},
    ]


def test_ended_episode_is_not_stepped_again():
    environments = countdowns(4)
    expected = lengths_of(4)
    _, lengths = evaluate(environments, lambda observation: tf.zeros([4, 1]))
    assert [environment._step_index for environment in environments] == expected == lengths.tolist()
    assert [environment.episode for environment in environments] == [0, 0, 0, 0]


@pytest.fixture(scope="module")
def dyna():
    """In the middle of an episode, while exploring."""
    dyna = Dyna(programs.tiny(eval_episodes=3))
    for _ in range(12):
        dyna.step()
    return dyna


def values(dyna):
    return {name: [v.numpy().tolist() for v in part.variables] for name, part in dyna.state.items()}


def test_evaluation_does_not_disturb_training(dyna):
    dyna.freeze()
    before, episode = values(dyna), dyna.environment.episode
    time_step, latest = dyna.interaction._time_step, dict(dyna.latest)
    simulator = dyna.environment.task.unwrapped.state.tolist()
    python, numpy = __import__("random").getstate(), np.random.get_state()[1].tolist()
    dyna.evaluate()
    dyna.freeze()
    assert values(dyna) == before
    assert (
        dyna.interaction._time_step is time_step
        and dyna.latest == latest
        and dyna.environment.episode == episode
    )
    assert dyna.environment.task.unwrapped.state.tolist() == simulator
    assert __import__("random").getstate() == python and np.random.get_state()[1].tolist() == numpy


def test_evaluation_is_a_function_of_weights_and_step(dyna):
    first, second = dyna.evaluate(), dyna.evaluate()
    assert first.returns.tolist() == second.returns.tolist()
    assert first.lengths.tolist() == [25, 25, 25]
    assert len(set(first.returns.tolist())) == 3  # each environment has a seed of its own
    assert {environment.episode for environment in dyna.environments.evaluation} == {dyna.env_step}


def test_evaluations_at_other_steps_start_elsewhere(dyna):
    before = dyna.evaluate().returns.tolist()
    dyna.step()
    assert dyna.evaluate().returns.tolist() != before


def test_evaluation_is_greedy(dyna, monkeypatch):
    """Its return is that of the policy's mode, in an environment of the documented seed."""
    returns = dyna.evaluate().returns
    environment = GymnasiumEnvironment(
        tasks.make(dyna.config.env), seeding.derive(0, "evaluation", 1)
    )
    environment.skip_to(dyna.env_step)
    time_step, total = environment.reset(), 0.0
    while not time_step.is_last():
        time_step = environment.step(dyna.agent.mode(time_step.observation[np.newaxis])[0].numpy())
        total += float(time_step.reward)
    assert total == pytest.approx(returns[1], rel=1e-4)

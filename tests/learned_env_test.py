"""The exported model as an environment: Gymnasium's and TF-Agents' checks, episodes, and what is
refused.
"""

import copy
import json
import pickle
import shutil
import subprocess
import sys
import warnings

import gymnasium
import numpy as np
import programs
import pytest
import tensorflow as tf
from gymnasium.utils import env_checker
from tf_agents.drivers import py_driver
from tf_agents.environments import utils as environment_checks
from tf_agents.policies import random_py_policy

import vagram_tf
from vagram_tf.agent.sac import SoftActorCritic
from vagram_tf.config import AgentConfig
from vagram_tf.envs.action_range import ActionRange
from vagram_tf.envs.adapter import GymnasiumEnvironment
from vagram_tf.export.dynamics import ExportedDynamics
from vagram_tf.export.load import FORMAT
from vagram_tf.export.save import save
from vagram_tf.model import known_termination
from vagram_tf.model.ensemble import DynamicsEnsemble
from vagram_tf.types import Transition

pytestmark = pytest.mark.slow

STARTS = np.array([[0.0, 0.5], [10.0, 0.5]], np.float32)


@pytest.fixture(scope="module")
def drifting(tmp_path_factory):
    """A model whose first dimension grows by 1 per step, without noise, and pays 0.5; it ends
    beyond 13.
    """
    ensemble = DynamicsEnsemble(2, 1, 2, 2, (2,))
    ensemble._mean_head.kernel.assign(tf.zeros_like(ensemble._mean_head.kernel))
    ensemble._target_mean.assign([1.0, 0.0, 0.5])
    ensemble._target_stddev.assign([np.exp(-20.0)] * 3)
    directory = tmp_path_factory.mktemp("drifting") / "1"
    module = ExportedDynamics(
        ensemble,
        lambda state: (state[:, 0] > 13.5) | known_termination.never(state),
        ActionRange(gymnasium.spaces.Box(-1.0, 1.0, (1,))),
        STARTS,
    )
    metadata = {
        "format": FORMAT,
        "kind": "dynamics",
        "environment": "programs:Countdown-v0",
        "dimension_names": ["place", "pull"],
        "observation_size": 2,
        "action_low": [-1.0],
        "action_high": [1.0],
    }
    return save(module, directory, metadata)


@pytest.fixture(scope="module")
def trained():
    """The export of a trained model of Pendulum, whose actions are torques from -2 to 2."""
    _, directory = programs.finished_run()
    return directory / "export" / "dynamics" / "90"


def test_gymnasium_has_nothing_to_say(drifting):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gymnasium.make(
            "vagram_tf.export.learned_env:vagram_tf/LearnedEnv-v0", export_dir=drifting, horizon=5
        )
        env_checker.check_env(env.unwrapped)


def test_gymnasium_accepts_a_trained_model(trained):
    """It only recommends actions in [-1, 1], which are not the task's."""
    with pytest.warns(UserWarning) as said:
        env_checker.check_env(vagram_tf.LearnedEnv(trained, horizon=20), skip_render_check=True)
    assert [
        str(warning.message)
        for warning in said
        if "symmetric and normalized" not in str(warning.message)
    ] == []


def test_tf_agents_accepts_it(trained):
    environment = GymnasiumEnvironment(vagram_tf.LearnedEnv(trained, horizon=20), seed=0)
    environment_checks.validate_py_environment(environment, episodes=2)


def test_spaces(trained):
    env = vagram_tf.LearnedEnv(trained, horizon=20)
    assert env.observation_space.shape == (3,) and env.observation_space.dtype == np.float32
    assert (env.action_space.low, env.action_space.high) == (-2.0, 2.0)
    assert env.reset()[0] in env.observation_space and env.action_space.sample() in env.action_space


def test_episode_follows_the_model(drifting):
    env = vagram_tf.LearnedEnv(drifting, horizon=5)
    for seed in range(10):
        observation, _ = env.reset(seed=seed)
        assert observation.tolist() in STARTS.tolist()
        for step in range(1, 6):
            after, reward, terminated, truncated, info = env.step(np.array([0.3]))
            np.testing.assert_allclose(after, observation + [1.0, 0.0], atol=1e-5)
            assert reward == pytest.approx(0.5) and info == {}
            assert terminated == (after[0] > 13.5) and truncated == (step == 5)
            observation = after
            if terminated:
                assert step == 4
                break
        assert terminated or truncated


def test_horizon_is_the_limit_of_the_task(trained, drifting):
    """The directory of a run names its newest export."""
    run = trained.parents[2]
    for env in (vagram_tf.LearnedEnv(run), pickle.loads(pickle.dumps(vagram_tf.LearnedEnv(run)))):
        env.reset(seed=0)
        cut_off = [env.step(np.zeros(1))[3] for _ in range(25)]
        assert cut_off == [False] * 24 + [True]
    with pytest.raises(ValueError, match="1 names no limit of its task's episodes: give a horizon"):
        vagram_tf.LearnedEnv(drifting)


def test_episodes_start_where_they_are_told(drifting):
    env, envs = vagram_tf.LearnedEnv(drifting, 5), vagram_tf.LearnedVectorEnv(drifting, 2, 5)
    state = np.array([3.1, 0.7])  # rounded to float32
    given = {"state": state}
    observation, _ = env.reset(options=given)
    assert observation.dtype == np.float32 and observation.tolist() == np.float32(state).tolist()
    assert env.step(np.zeros(1))[0] == pytest.approx([4.1, 0.7], abs=1e-5)
    assert envs.reset(options=given)[0].tolist() == [np.float32(state).tolist()] * 2
    each = [[13.0, 1.0], [2.0, 3.0]]
    assert envs.reset(options={"state": each})[0].tolist() == each
    *_, terminated, _, _ = envs.step(np.zeros([2, 1]))
    assert terminated.tolist() == [True, False]
    after, *_ = envs.step(np.zeros([2, 1]))  # the next episode starts where real ones did
    assert after[0].tolist() in STARTS.tolist() and after[1] == pytest.approx([4.0, 3.0], abs=1e-5)
    assert state.tolist() == [3.1, 0.7] and env.reset()[0].tolist() in STARTS.tolist()


@pytest.mark.parametrize(
    "options, words",
    [
        ({"state": [1.0]}, r"state must be .* of shape \[2\] or \[1, 2\], got \[1.\]$"),
        ({"state": [[1.0], [2.0]]}, "state must be finite numbers"),
        (
            {"state": [1.0, np.nan]},
            r"of shape \[2\] or \[1, 2\], got \[ 1. nan\]$",
        ),
        ({"state": [1.0, 1e39]}, "state must be finite numbers"),  # infinite as float32
        ({"state": "upright"}, "state must be finite numbers"),
        ({"state": [1.0, 2.0], "low": 1}, "reset has no option 'low'; there is 'state'$"),
    ],
)
def test_bad_options_are_refused(drifting, options, words):
    with pytest.raises(ValueError, match=words):
        vagram_tf.LearnedEnv(drifting, horizon=5).reset(options=options)


def test_bad_states_of_many_are_refused(drifting):
    envs = vagram_tf.LearnedVectorEnv(drifting, 3, horizon=5)
    with pytest.raises(ValueError, match=r"of shape \[2\] or \[3, 2\], got \[\[1. 2.\]\]$"):
        envs.reset(options={"state": [[1.0, 2.0]]})


class Seen:
    """Notes what it is to draw."""

    def draw(self, observations):
        return observations.tolist()


def test_an_episode_is_drawn_from_its_start_to_now(drifting):
    env = vagram_tf.LearnedEnv(drifting, horizon=5)
    assert env.reset(seed=0) and env.render() is None
    env._pictures = Seen()
    observations = [env.reset(seed=0)[0].tolist()]
    assert env.render() == observations
    for _ in range(2):
        observations.append(env.step(np.zeros(1))[0].tolist())
        assert env.render() == observations
    assert len(env.reset(seed=0)) == 2 and env.render() == observations[:1]
    env.close()
    assert env.render() is None


def test_each_of_many_is_drawn(drifting):
    envs = vagram_tf.LearnedVectorEnv(drifting, 2, horizon=5, sample=False)
    envs._pictures = Seen()
    with pytest.raises(gymnasium.error.ResetNeeded, match="call reset before render"):
        envs.render()
    states, _ = envs.reset(options={"state": [[12.0, 0.5], [1.0, 0.5]]})
    seen = [[state] for state in states.tolist()]
    assert envs.render() == tuple(seen)
    for step in range(1, 7):  # the first ends after 2 steps, the second after 5
        states, *_ = envs.step(np.zeros([2, 1]))
        for i, begins in enumerate([step == 3, step == 6]):
            seen[i] = [*([] if begins else seen[i]), states[i].tolist()]
        assert envs.render() == tuple(seen)


def test_what_has_no_picture_is_plotted(trained):
    env = vagram_tf.LearnedEnv(trained.parents[2], render_mode="rgb_array")
    assert env.metadata["render_fps"] == 30
    with pytest.raises(gymnasium.error.ResetNeeded, match="call reset before render"):
        env.render()
    env.reset(seed=0)
    frames = [env.render()]
    for other in (env, copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
        other.step(np.ones(1))
        frames.append(other.render())
    assert all(frame.shape == (224, 400, 3) and frame.dtype == np.uint8 for frame in frames)
    assert (frames[0] != frames[1]).any()
    with pytest.raises(ValueError, match="render_mode must be None or 'rgb_array', got 'human'"):
        vagram_tf.LearnedEnv(trained, render_mode="human")


def episode(env, seed, actions):
    steps = [env.reset(seed=seed)[0].tolist()]
    for action in actions:
        observation, reward, *_ = env.step(action)
        steps.append([*observation.tolist(), reward])
    return steps


def test_episode_is_a_function_of_seed_and_actions(trained):
    env, again = (vagram_tf.LearnedEnv(trained, horizon=20) for _ in range(2))
    actions = np.random.default_rng(0).uniform(-2, 2, [5, 1])
    first = episode(env, 3, actions)
    assert first == episode(again, 3, actions) == episode(env, 3, actions)
    assert first != episode(env, 4, actions)


def test_means_and_samples(trained):
    """Samples scatter around the mean prediction; the environment takes either."""
    model = tf.saved_model.load(str(trained))
    mean, sampled = (vagram_tf.LearnedEnv(trained, 20, sample=sample) for sample in (False, True))
    start, _ = mean.reset(seed=0)
    assert start.tolist() == sampled.reset(seed=0)[0].tolist()
    predicted = model(start[np.newaxis], np.array([[1.5]], np.float32))
    after, reward, *_ = mean.step(np.array([1.5]))
    assert after.tolist() == predicted["next_observation"][0].numpy().tolist()
    assert reward == float(predicted["reward"][0])
    assert sampled.step(np.array([1.5]))[0].tolist() != after.tolist()


def test_actions_out_of_bounds_are_clipped(trained):
    env = vagram_tf.LearnedEnv(trained, 20, sample=False)
    assert episode(env, 0, [np.array([7.0])]) == episode(env, 0, [np.array([2.0])])


def test_vector_environment_restarts_at_the_next_step(drifting):
    env = gymnasium.make_vec(
        "vagram_tf.export.learned_env:vagram_tf/LearnedEnv-v0",
        num_envs=6,
        export_dir=drifting,
        horizon=5,
    )
    assert isinstance(env.unwrapped, vagram_tf.LearnedVectorEnv)
    assert env.metadata["autoreset_mode"] == gymnasium.vector.AutoresetMode.NEXT_STEP
    states, _ = env.reset(seed=1)
    assert states in env.observation_space and set(states[:, 0]) == {0.0, 10.0}
    ended, age = np.zeros(6, bool), np.zeros(6, int)
    for _ in range(14):
        after, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        age = np.where(ended, 0, age + 1)
        np.testing.assert_allclose(after[~ended], states[~ended] + [1.0, 0.0], atol=1e-5)
        assert all(state in STARTS.tolist() for state in after[ended].tolist())
        np.testing.assert_allclose(reward, np.where(ended, 0.0, 0.5), atol=1e-6)
        assert terminated.tolist() == (~ended & (after[:, 0] > 13.5)).tolist()
        assert truncated.tolist() == (age == 5).tolist()
        states, ended = after, terminated | truncated
    assert env.reset(seed=1)[0].tolist() == env.reset(seed=1)[0].tolist()


def test_episode_ends_where_the_model_says_nothing(drifting, monkeypatch):
    """A prediction that is not finite is no state: the episode terminates where it was."""
    env = vagram_tf.LearnedVectorEnv(drifting, 2, horizon=5, sample=False)
    states, _ = env.reset(seed=0)
    after = tf.constant([[np.nan, 0.0], [3.0, 0.0]], tf.float32)
    monkeypatch.setattr(
        env._model,
        "_module",
        lambda *_: {
            "next_observation": after,
            "reward": tf.constant([1.0, 2.0]),
            "terminated": tf.constant([False, False]),
        },
    )
    observed, reward, terminated, _, _ = env.step(np.zeros([2, 1]))
    assert observed.tolist() == [states[0].tolist(), [3.0, 0.0]]
    assert reward.tolist() == [0.0, 2.0] and terminated.tolist() == [True, False]


def test_agents_collect_and_learn_in_it(eagerly, trained):
    """A driver and a policy of TF-Agents collect; the package's agent takes an update on what they
    saw.
    """
    environment = GymnasiumEnvironment(vagram_tf.LearnedEnv(trained, horizon=20), seed=0)
    policy = random_py_policy.RandomPyPolicy(
        environment.time_step_spec(), environment.action_spec()
    )
    seen = []
    py_driver.PyDriver(environment, policy, [seen.append], max_steps=32).run(environment.reset())
    steps = [step for step in seen if not step.is_boundary()]
    assert len(steps) == 32 and sum(step.is_last() for step in steps) == 1  # after 20 steps
    agent = SoftActorCritic(3, 1, AgentConfig(agent_hidden_units=(8,)), seed=0)
    after = np.stack([step.observation for step in steps[1:]])
    batch = Transition(
        *(
            tf.constant(np.asarray(field, np.float32)[np.newaxis])
            for field in (
                [step.observation for step in steps[:-1]],
                [step.action for step in steps[:-1]],
                [step.reward for step in steps[:-1]],
                [step.discount for step in steps[:-1]],
                after,
            )
        )
    )
    before = [variable.numpy() for variable in agent.actor_variables]
    assert np.isfinite(agent.train(batch)).all()
    assert all(
        (old != new.numpy()).any() for old, new in zip(before, agent.actor_variables, strict=True)
    )


@pytest.mark.parametrize(
    "action, words",
    [
        (np.zeros(2), r"actions must be finite numbers of shape \[1, 1\], got \[\[0. 0.\]\]$"),
        (np.array([np.nan]), r"actions must be finite numbers of shape \[1, 1\], got \[\[nan\]\]$"),
        (np.array(["left"]), "actions must be finite numbers"),
    ],
)
def test_bad_actions_are_refused(drifting, action, words):
    env = vagram_tf.LearnedEnv(drifting, horizon=5)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=words):
        env.step(action)


def test_step_without_an_episode_is_refused(drifting):
    for env in (vagram_tf.LearnedEnv(drifting, 5), vagram_tf.LearnedVectorEnv(drifting, 2, 5)):
        with pytest.raises(gymnasium.error.ResetNeeded, match="call reset before step"):
            env.step(env.action_space.sample())


def test_bad_exports_and_numbers_are_refused(drifting, trained, tmp_path):
    with pytest.raises(ValueError, match="is no export: it has no metadata.json$"):
        vagram_tf.LearnedEnv(tmp_path, horizon=5)
    with pytest.raises(ValueError, match="is an export of kind 'policy'; expected is 'dynamics'$"):
        vagram_tf.LearnedEnv(trained.parents[1] / "policy" / "90", horizon=5)
    other = shutil.copytree(drifting, tmp_path / "1")
    metadata = json.loads((other / "metadata.json").read_text())
    (other / "metadata.json").write_text(json.dumps(metadata | {"format": FORMAT + 1}))
    with pytest.raises(
        ValueError, match=f"has export format {FORMAT + 1}; this version of vagram_tf reads"
    ):
        vagram_tf.LearnedVectorEnv(other, 2, horizon=5)
    with pytest.raises(ValueError, match="horizon must be at least 1, got 0"):
        vagram_tf.LearnedEnv(drifting, horizon=0)
    with pytest.raises(ValueError, match="num_envs must be at least 1, got 0"):
        vagram_tf.LearnedVectorEnv(drifting, 0, horizon=5)


def test_nothing_of_the_training_is_needed(drifting):
    code = (
        "import sys, vagram_tf\n"
        f"env = vagram_tf.LearnedEnv({str(drifting)!r}, horizon=5)\n"
        "env.reset(); env.step(env.action_space.sample())\n"
        "needless = ('tf_agents', 'mujoco', 'matplotlib', 'vagram_tf.agent', 'vagram_tf.envs',\n"
        "            'vagram_tf.model', 'vagram_tf.dyna')\n"
        "assert not [name for name in sys.modules if name.startswith(needless)]\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=programs.ROOT, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr


def test_copies_go_their_own_ways_and_share_the_model(drifting):
    env = vagram_tf.LearnedEnv(drifting, horizon=5)
    env.reset(seed=3)
    env.step(np.zeros(1, np.float32))
    for other in (copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
        before = env._state.copy()
        ours, theirs = (each.step(np.ones(1, np.float32)) for each in (copy.deepcopy(env), other))
        np.testing.assert_array_equal(ours[0], theirs[0])
        np.testing.assert_array_equal(env._state, before)
    assert copy.deepcopy(env)._model is env._model


def test_vectorised_copies(drifting):
    envs = vagram_tf.LearnedVectorEnv(drifting, num_envs=3, horizon=5)
    envs.reset(seed=3)
    other = pickle.loads(pickle.dumps(envs))
    ours, theirs = (each.step(np.ones((3, 1), np.float32)) for each in (envs, other))
    np.testing.assert_array_equal(ours[0], theirs[0])


_ASYNC = """
import sys
import gymnasium, numpy as np
import vagram_tf
if __name__ == "__main__":
    for context in "spawn", "fork":
        envs = gymnasium.make_vec(
            "vagram_tf.export.learned_env:vagram_tf/LearnedEnv-v0", num_envs=1,
            vectorization_mode="async", vector_kwargs={"context": context},
            export_dir=sys.argv[1], horizon=3,
        )
        envs.reset(seed=0)
        print(envs.step(np.zeros((1, 1), np.float32))[0].shape)
        envs.close()
"""


def test_processes_of_gymnasium_start_anew_or_say_so(drifting, tmp_path):
    program = tmp_path / "many.py"
    program.write_text(_ASYNC)
    found = {"PYTHONPATH": str(programs.ROOT)}
    process = programs.python(str(program), str(drifting), environment=found)
    assert process.returncode != 0 and process.stdout == "(1, 2)\n", process.stderr
    assert "TensorFlow does not survive a fork" in process.stderr
    assert "context='spawn'" in process.stderr


def test_export_whose_path_is_a_pattern_is_read(drifting, tmp_path):
    place = tmp_path / "units=[16,16]" / "1"
    shutil.copytree(drifting, place)
    env = vagram_tf.LearnedEnv(place, horizon=5)
    assert env.reset(seed=0)[0].shape == (2,)


def test_export_without_starts_says_so(drifting, tmp_path):
    place = tmp_path / "1"
    shutil.copytree(drifting, place)
    np.save(place / "start_states.npy", np.zeros([0, 2], np.float32))
    programs.rewrite_manifest(place)
    with pytest.raises(ValueError, match="holds no start states"):
        vagram_tf.LearnedEnv(place, horizon=5)

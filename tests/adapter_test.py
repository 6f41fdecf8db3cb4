"""The adapter: flags, scaling, seeds, replay and faults."""

import pathlib
import subprocess
import sys

import gymnasium
import numpy as np
import pytest

from vagram_tf import seeding
from vagram_tf.config import EnvConfig
from vagram_tf.envs import tasks
from vagram_tf.envs.adapter import EnvironmentFault, GymnasiumEnvironment

ROOT = pathlib.Path(__file__).parents[1]


class Scripted(gymnasium.Env):
    """Observes `[noise, step]`; `ends` maps a step to what it returns instead."""

    def __init__(self, ends=None, low=(-1.0,), high=(3.0,), dtype=np.float32):
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float64)
        self.action_space = gymnasium.spaces.Box(np.array(low, dtype), np.array(high, dtype))
        self._ends = ends or {}
        self.seeds = []
        self.actions = []
        self.closed = False

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.seeds.append(seed)
        self._count = 0
        return np.array([self.np_random.normal(), 0.0]), {}

    def step(self, action):
        self.actions.append(action)
        self._count += 1
        result = self._ends.get(self._count, {})
        if isinstance(result, Exception):
            raise result
        observation = np.array([self.np_random.normal() + action[0], float(self._count)])
        return (
            result.get("observation", observation),
            result.get("reward", 0.5),
            result.get("terminated", False),
            result.get("truncated", False),
            {},
        )

    def close(self):
        self.closed = True


def adapted(ends=None, seed=0, **options):
    return GymnasiumEnvironment(Scripted(ends, **options), seed)


ACTION = np.zeros(1, np.float32)


def run(environment, steps):
    """Resets and takes steps; returns all time steps."""
    return [environment.reset(), *(environment.step(ACTION) for _ in range(steps))]


@pytest.mark.parametrize(
    "terminated, truncated, last, discount",
    [
        (False, False, False, 1.0),
        (True, False, True, 0.0),
        (False, True, True, 1.0),
        (True, True, True, 0.0),
    ],
)
def test_flags(terminated, truncated, last, discount):
    environment = adapted({2: {"terminated": terminated, "truncated": truncated}})
    first, middle, time_step = run(environment, 2)
    assert first.is_first() and first.discount == 1.0 and first.reward == 0.0
    assert middle.is_mid() and middle.discount == 1.0 and middle.reward == 0.5
    assert time_step.is_last() == last
    assert time_step.is_mid() != last
    assert time_step.discount == discount
    assert time_step.reward == 0.5
    assert time_step.observation[1] == 2.0


def test_a_step_after_the_last_opens_the_next_episode():
    environment = adapted({1: {"terminated": True}})
    run(environment, 1)
    assert environment.step(ACTION).is_first()
    assert environment.episode == 1


def test_a_real_time_limit_keeps_the_discount():
    env = gymnasium.make("Pendulum-v1", max_episode_steps=3, disable_env_checker=True)
    environment = GymnasiumEnvironment(env, seed=0)
    *_, time_step = run(environment, 3)
    assert time_step.is_last() and time_step.discount == 1.0


def test_dtypes_and_specs():
    environment = adapted()
    _, time_step = run(environment, 1)
    assert time_step.observation.dtype == time_step.reward.dtype == np.float32
    assert time_step.reward.shape == ()
    assert environment.observation_spec().shape == (2,)
    assert environment.action_spec().shape == (1,)
    assert environment.action_spec().minimum == -1 and environment.action_spec().maximum == 1

    # Imported here: `vagram_tf` must set its environment variables before TF-Agents is imported.
    from tf_agents.environments import utils

    utils.validate_py_environment(adapted({3: {"terminated": True}}), episodes=2)


def test_actions_are_scaled_from_asymmetric_bounds_and_clipped():
    environment = adapted(low=(-1.0, 0.0, -0.3), high=(3.0, 10.0, 0.1))
    environment.reset()
    table = [
        ([-1, -1, -1], [-1, 0, -0.3]),
        ([0, 0, 0], [1, 5, -0.1]),
        ([1, 1, 1], [3, 10, 0.1]),
        ([0.5, -0.5, 0.25], [2, 2.5, -0.05]),
        ([7, -7, np.inf], [3, 0, 0.1]),
    ]
    space = environment.task.action_space
    for action, expected in table:
        environment.step(np.array(action, np.float32))
        received = environment.task.actions[-1]
        np.testing.assert_allclose(received, expected, rtol=1e-6, atol=1e-7)
        assert space.contains(received), action  # dtype and bounds, to the last bit


def test_actions_in_the_unit_range_are_unchanged():
    environment = adapted(low=(-1.0,), high=(1.0,))
    environment.reset()
    for action in np.random.default_rng(0).uniform(-1, 1, (50, 1)).astype(np.float32):
        environment.step(action)
        np.testing.assert_array_equal(environment.task.actions[-1], action)


@pytest.mark.parametrize("action", [[np.nan], [0.0, 0.0], 0.0])
def test_a_bad_action_is_the_callers_error(action):
    environment = adapted()
    environment.reset()
    with pytest.raises(ValueError, match="action of Scripted must be 1 numbers"):
        environment.step(np.array(action, np.float32))


def test_episodes_are_seeded_by_their_index():
    environment = adapted(seed=7)
    assert environment.episode == -1
    for k in range(3):
        environment.reset()
        assert environment.episode == k
    expected = [seeding.derive(7, "episode", k) for k in range(3)]
    assert environment.task.seeds == expected
    assert len(set(expected)) == 3
    assert run(adapted(seed=7), 0)[0].observation[0] != run(adapted(seed=8), 0)[0].observation[0]


def test_skip_to_and_seed():
    environment = adapted(seed=7)
    environment.skip_to(5)
    assert environment.episode == -1
    environment.reset()
    environment.reset()
    assert environment.episode == 6
    environment.seed(8)
    environment.reset()
    assert environment.episode == 0
    assert environment.task.seeds == [
        seeding.derive(7, "episode", 5),
        seeding.derive(7, "episode", 6),
        seeding.derive(8, "episode", 0),
    ]


@pytest.mark.parametrize(
    "config",
    [
        EnvConfig("Hopper-v5", distractors=5),
        EnvConfig("Humanoid-v5"),
        EnvConfig("HalfCheetah-v5", distractors=2, distractor_kind="noise"),
        EnvConfig("Pusher-v5"),
        EnvConfig("dm_control/walker-walk-v0", distractors=3, distractor_kind="correlated"),
        EnvConfig("dm_control/humanoid-run-v0"),
        EnvConfig("dm_control/reacher-easy-v0"),
        EnvConfig("dm_control/quadruped-walk-v0"),
    ],
    ids=lambda config: config.name,
)
def test_restore_is_exact(config):
    """A run of several episodes, and another process that joins it in the middle of episode 2."""
    run_through = GymnasiumEnvironment(tasks.make(config), seed=1)
    size = run_through.action_spec().shape[0]
    actions = np.random.default_rng(0).uniform(-1, 1, (12, size)).astype(np.float32)

    def play(environment, chosen):
        return [environment.step(action).observation for action in chosen]

    for _ in range(2):
        run_through.reset()
        play(run_through, actions[:5])
    run_through.reset()
    expected = play(run_through, actions)
    after = run_through.reset()

    resumed = GymnasiumEnvironment(tasks.make(config), seed=1)
    time_step = resumed.restore(2, actions[:6])
    np.testing.assert_array_equal(time_step.observation, expected[5])
    assert resumed.episode == 2
    np.testing.assert_array_equal(play(resumed, actions[6:]), expected[6:])
    np.testing.assert_array_equal(resumed.reset().observation, after.observation)
    assert resumed.episode == 3
    assert not np.array_equal(expected[5], after.observation)


def test_restore_without_actions_is_the_reset():
    environment = adapted(seed=1)
    observation = environment.reset().observation
    time_step = adapted(seed=1).restore(0, np.zeros((0, 1), np.float32))
    assert time_step.is_first()
    np.testing.assert_array_equal(time_step.observation, observation)


def test_restore_reports_an_episode_that_ends_early():
    environment = adapted({2: {"truncated": True}})
    assert environment.restore(4, np.zeros((2, 1))).is_last()
    with pytest.raises(EnvironmentFault, match="episode 4, .*ended after 2 of 3 replayed"):
        environment.restore(4, np.zeros((3, 1)))


@pytest.mark.parametrize(
    "result, what",
    [
        ({"observation": np.array([0.0, np.nan])}, r"observation\[1\] is nan"),
        ({"observation": np.array([np.inf, 0.0])}, r"observation\[0\] is inf"),
        ({"observation": np.array([0.0, 1e300])}, r"observation\[1\] is 1e\+300"),
        ({"observation": np.zeros(3)}, r"observation has shape \(3,\), expected \(2,\)"),
        ({"observation": np.zeros((1, 2))}, r"observation has shape \(1, 2\)"),
        ({"observation": np.array(["a", "b"])}, "observation has dtype <U1"),
        ({"observation": np.array([None, 1.0])}, "observation has dtype object"),
        ({"observation": [[1.0], [1.0, 2.0]]}, "observation is not an array"),
        ({"reward": np.inf}, "reward is inf"),
        ({"reward": np.nan}, "reward is nan"),
        ({"reward": np.zeros(2)}, r"reward has shape \(2,\), expected \(\)"),
        ({"reward": None}, "reward has dtype object"),
        ({"terminated": np.zeros(2)}, "raised ValueError"),
        (ZeroDivisionError("in the\nsimulator"), "raised ZeroDivisionError: in the simulator"),
    ],
)
def test_faults_name_environment_episode_step_and_value(result, what):
    environment = adapted({3: result})
    run(environment, 1)
    run(environment, 2)
    with pytest.raises(EnvironmentFault, match=f"^Scripted, episode 1, step 3: {what}") as info:
        environment.step(ACTION)
    assert "\n" not in str(info.value)
    if isinstance(result, Exception):
        assert info.value.__cause__ is result
    assert environment.reset().is_first()  # the next episode is as good as any
    assert environment.episode == 2


def test_a_fault_at_reset():
    class Broken(Scripted):
        def reset(self, *, seed=None, options=None):
            raise OSError("no simulator")

    environment = GymnasiumEnvironment(Broken(), seed=0)
    with pytest.raises(EnvironmentFault, match="Broken, episode 0, step 0: raised OSError: no sim"):
        environment.reset()


def test_an_interrupt_is_no_fault():
    class Interrupted(Scripted):
        def step(self, action):
            raise KeyboardInterrupt

    environment = GymnasiumEnvironment(Interrupted(), seed=0)
    environment.reset()
    with pytest.raises(KeyboardInterrupt):
        environment.step(ACTION)


def test_registered_environments_are_named_by_their_id():
    environment = GymnasiumEnvironment(tasks.make(EnvConfig("Pendulum-v1")), seed=0)
    environment.reset()
    environment.task.unwrapped.state = np.array([np.nan, 0.0])
    with pytest.raises(EnvironmentFault, match=r"^Pendulum-v1, episode 0, step 1: observation\[0"):
        environment.step(ACTION)


def test_observations_are_copies():
    buffer = np.zeros(2, np.float32)
    environment = adapted({1: {"observation": buffer}})
    _, time_step = run(environment, 1)
    buffer[:] = 9
    np.testing.assert_array_equal(time_step.observation, [0, 0])


def test_close_closes_the_environment():
    environment = adapted()
    environment.close()
    assert environment.task.closed


@pytest.mark.slow
def test_importing_prints_no_notice_of_gym():
    done = subprocess.run(
        [sys.executable, "-c", "import vagram_tf.envs.adapter, sys; assert 'gym' in sys.modules"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "unmaintained" not in done.stderr

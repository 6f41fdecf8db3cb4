"""Names, spaces and dimension names of environments; and that none of it loads TensorFlow."""

import pathlib
import subprocess
import sys
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from vagram_tf.config import EnvConfig
from vagram_tf.envs import tasks

ROOT = pathlib.Path(__file__).parents[1]


class Configurable(gymnasium.Env):
    """An environment with any spaces."""

    def __init__(self, observation_space, action_space, render_mode=None):
        self.observation_space = observation_space
        self.action_space = action_space
        self.render_mode = render_mode
        self.received = None

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        self.received = action
        return self.observation_space.sample(), 0.0, False, False, {}


VECTOR = spaces.Box(-1.0, 1.0, (2,), np.float32)


@pytest.fixture
def registered(monkeypatch):
    """Registers a `Configurable` for the duration of a test and returns its id."""

    def register(observation_space, action_space=VECTOR):
        env_id = "SuiteTest-v0"
        spaces_ = {"observation_space": observation_space, "action_space": action_space}
        spec = gymnasium.envs.registration.EnvSpec(env_id, Configurable, kwargs=spaces_)
        monkeypatch.setitem(gymnasium.registry, env_id, spec)
        return env_id

    return register


def refusal(name):
    """Returns the message with which a name is refused, which must be one line."""
    with pytest.raises(ValueError) as info:
        tasks.make(EnvConfig(name))
    assert "\n" not in str(info.value)
    assert name in str(info.value)
    return str(info.value)


def test_no_tensorflow_is_imported():
    program = (
        "import sys, vagram_tf.envs.tasks as tasks\n"
        "for name in ('Hopper-v5', 'dm_control/walker-walk-v0'): tasks.check_name(name)\n"
        "heavy = {'tensorflow', 'tf_agents', 'tf_keras', 'keras', 'tensorflow_probability'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "[]", "")


@pytest.mark.parametrize("name", ["Hopper-v5", "Hopper-v4", "dm_control/humanoid-walk-v0"])
def test_known_names_pass(name):
    tasks.check_name(name)


@pytest.mark.parametrize(
    "name, suggestion",
    [
        ("Hoper-v5", "Hopper-v5"),
        ("hopper-v5", "Hopper-v5"),
        ("Hopper", "Hopper-v5"),
        ("Hopper-v7", "Hopper-v5"),
        ("dm_control/humanoid-wlak-v0", "dm_control/humanoid-walk-v0"),
    ],
)
def test_unknown_names_are_refused_with_close_matches(name, suggestion):
    with pytest.raises(ValueError, match=f"unknown environment '{name}'; did you mean") as info:
        tasks.check_name(name)
    assert suggestion in str(info.value)


def test_a_name_like_no_other_is_refused_without_suggestion():
    with pytest.raises(ValueError) as info:
        tasks.check_name("Zzzzz-v1")
    assert str(info.value) == "unknown environment 'Zzzzz-v1'"


def test_an_old_version_says_what_is_missing():
    with pytest.raises(ValueError, match="^Hopper-v2 cannot be loaded: .*gymnasium-robotics"):
        tasks.check_name("Hopper-v2")


@pytest.mark.parametrize("package", ["mujoco", "dm_control", "shimmy"])
def test_a_missing_package_is_named(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ValueError, match=f"needs the package {package}, which is not installed"):
        tasks.check_name("dm_control/walker-walk-v0")


def test_a_module_registers_its_environment(monkeypatch, tmp_path):
    (tmp_path / "my_tasks_of_test.py").write_text(
        "import gymnasium\n"
        "gymnasium.register('MyTaskOfTest-v0',\n"
        "    'gymnasium.envs.classic_control.pendulum:PendulumEnv', max_episode_steps=7)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    env = tasks.make(EnvConfig("my_tasks_of_test:MyTaskOfTest-v0"))
    assert env.spec.id == "MyTaskOfTest-v0"
    assert env.spec.max_episode_steps == 7
    gymnasium.registry.pop("MyTaskOfTest-v0")


def test_modules_that_do_not_help_are_refused(monkeypatch, tmp_path):
    assert "no_such_module_of_test" in refusal("no_such_module_of_test:Foo-v0")
    assert "importing json does not register it" in refusal("json:Foo-v0")
    (tmp_path / "broken_of_test.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert "division by zero" in refusal("broken_of_test:Foo-v0")


@pytest.mark.parametrize("name, dimensions", [("Ant-v5", 27), ("Humanoid-v5", 45)])
def test_observations_are_mbpos(name, dimensions):
    assert tasks.make(EnvConfig(name)).observation_space.shape == (dimensions,)


def test_actions_keep_the_tasks_bounds():
    space = tasks.make(EnvConfig("Humanoid-v5")).action_space
    np.testing.assert_allclose([space.low, space.high], [[-0.4] * 17, [0.4] * 17])


def test_dictionaries_and_matrices_become_vectors(registered):
    box = spaces.Box(-np.inf, np.inf, (2, 2), np.float32)
    scalar = spaces.Box(-1.0, 1.0, (), np.float32)
    nested = spaces.Dict({"b": box, "a": spaces.Dict({"y": scalar, "x": box})})
    actions = spaces.Box(np.float32([[-1, -2], [-3, -4]]), np.float32([[1, 2], [3, 4]]))
    env = tasks.make(EnvConfig(registered(nested, actions), distractors=2))

    assert env.observation_space.shape == (11,)
    assert tasks.dimension_names(env) == (
        *(f"a/x[{i}]" for i in range(4)),
        "a/y",
        *(f"b[{i}]" for i in range(4)),
        "distractor[0]",
        "distractor[1]",
    )
    np.testing.assert_array_equal(env.action_space.high, [1, 2, 3, 4])
    observation, _ = env.reset(seed=1)
    assert observation.shape == (11,)
    assert observation.dtype == np.float32
    env.step(np.float32([0.1, 0.2, 0.3, 0.4]))
    np.testing.assert_array_equal(env.unwrapped.received, np.float32([[0.1, 0.2], [0.3, 0.4]]))


def test_names_match_values_of_a_dm_control_task():
    env = tasks.make(EnvConfig("dm_control/walker-walk-v0"))
    names = tasks.dimension_names(env)
    observation, _ = env.reset(seed=3)
    task = env.unwrapped.task
    parts = task.get_observation(env.unwrapped.physics)
    assert len(names) == observation.size == 24
    assert observation[names.index("height")] == parts["height"]
    assert observation[names.index("orientations[3]")] == parts["orientations"][3]
    assert observation[names.index("velocity[8]")] == parts["velocity"][8]


def test_a_buffer_axis_is_no_image(registered):
    env = tasks.make(EnvConfig(registered(spaces.Box(-1.0, 1.0, (1, 6, 2), np.float64))))
    assert env.observation_space.shape == (12,)


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(0, 255, (8, 8, 3), np.uint8),
        spaces.Box(0, 255, (8,), np.uint8),
        spaces.Box(0.0, 1.0, (8, 8, 3), np.float32),
        spaces.Dict({"position": VECTOR, "camera": spaces.Box(0, 255, (8, 8, 3), np.uint8)}),
        spaces.Discrete(3),
        spaces.Text(4),
        spaces.Tuple((VECTOR, VECTOR)),
    ],
)
def test_unsupported_observations_are_refused(registered, space):
    assert "supported are vectors of floats and dictionaries" in refusal(registered(space))


@pytest.mark.parametrize(
    "space, supported",
    [
        (spaces.Discrete(3), "boxes of floats"),
        (spaces.Box(-1, 1, (2,), np.int32), "boxes of floats"),
        (spaces.Box(-np.inf, np.inf, (2,), np.float32), "boxes with finite bounds"),
        (spaces.Box(-1.0, np.inf, (2,), np.float32), "boxes with finite bounds"),
        (spaces.Box(-1e10, 1e10, (40,), np.float64), "boxes with finite bounds"),
    ],
)
def test_unsupported_actions_are_refused(registered, space, supported):
    assert f"supported are {supported}" in refusal(registered(VECTOR, space))


def test_an_environment_that_fails_to_start_is_refused(monkeypatch):
    def broken():
        raise OSError("the simulator's\nlicence has expired")

    spec = gymnasium.envs.registration.EnvSpec("SuiteTest-v0", broken)
    monkeypatch.setitem(gymnasium.registry, "SuiteTest-v0", spec)
    assert refusal("SuiteTest-v0") == (
        "SuiteTest-v0 cannot be made: the simulator's licence has expired"
    )


def test_names_come_from_the_mujoco_model():
    names = tasks.dimension_names(tasks.make(EnvConfig("Hopper-v5", distractors=2)))
    joints = ("rootz", "rooty", "thigh", "leg", "foot")
    assert names == (
        *(f"{joint} position" for joint in joints),
        "rootx velocity",
        *(f"{joint} velocity" for joint in joints),
        "distractor[0]",
        "distractor[1]",
    )


def test_names_match_values_of_a_free_joint():
    env = tasks.make(EnvConfig("Ant-v5"))
    names = tasks.dimension_names(env)
    observation, _ = env.reset(seed=3)
    data = env.unwrapped.data
    assert len(names) == len(set(names)) == 27
    for name, value in {
        "root z": data.qpos[2],
        "root quaternion w": data.qpos[3],
        "root y velocity": data.qvel[1],
        "root angular velocity z": data.qvel[5],
        "hip_1 position": data.joint("hip_1").qpos[0],
        "ankle_4 velocity": data.joint("ankle_4").qvel[0],
    }.items():
        assert observation[names.index(name)] == value, name


def test_other_parts_of_a_mujoco_observation_are_numbered():
    env = gymnasium.make("Ant-v5", disable_env_checker=True)
    names = tasks.dimension_names(env)
    assert len(names) == env.observation_space.shape[0]
    assert names[27:29] == ("cfrc_ext[0]", "cfrc_ext[1]")


@pytest.mark.parametrize("name, size", [("Pendulum-v1", 3), ("Reacher-v5", 10)])
def test_dimensions_without_names_are_numbered(name, size):
    names = tasks.dimension_names(tasks.make(EnvConfig(name)))
    assert names == tuple(f"observation[{i}]" for i in range(size))


def test_no_warning_shows():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("Hopper-v4", "Humanoid-v5", "Pendulum-v1", "dm_control/cartpole-balance-v0"):
            env = tasks.make(EnvConfig(name, distractors=1))
            env.reset(seed=0)
            env.step(env.action_space.sample())


def test_render_mode_is_handed_on():
    assert tasks.make(EnvConfig("Pendulum-v1"), render_mode="rgb_array").render_mode == "rgb_array"

"""Pictures of episodes: their number, size and content, and what is said where OpenGL is
missing.
"""

import numpy as np
import programs
import pytest

from vagram_tf.config import EnvConfig
from vagram_tf.envs import rendering

pytestmark = pytest.mark.slow

PENDULUM = EnvConfig("programs:Short-v0")  # 25 steps; drawn with pygame, which needs no OpenGL


def push(observation):
    return np.full(1, 2.0)


def opengl_missing(monkeypatch, **variables):
    """Makes every backend fail as it does where its library is missing: while `mujoco` is
    imported.
    """
    for name in ("MUJOCO_GL", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"PYOPENGL_PLATFORM": "glx"} | variables).items():
        monkeypatch.setenv(name, value)
    # Not what it found before.
    monkeypatch.setattr(rendering, "_backend", rendering._backend.__wrapped__)


def test_episode_is_drawn_from_its_start_to_its_end():
    video = rendering.rollout_frames(PENDULUM, push, seed=3, size=100)
    assert video.frames.shape == (26, 100, 100, 3) and video.frames.dtype == np.uint8
    assert video.frames_per_second == 30  # Pendulum's own
    different = np.abs(np.diff(video.frames.astype(int), axis=0)).max(axis=(1, 2, 3))
    assert (different > 20).all()  # it moves


def test_same_seed_same_pictures():
    first, again, other = (
        rendering.rollout_frames(PENDULUM, push, seed, 3).frames for seed in (3, 3, 4)
    )
    assert first.shape[0] == 4 and np.array_equal(first, again)
    assert (first != other).any()


def test_policy_sees_the_distractors_and_acts_within_the_bounds():
    seen = []

    def too_strong(observation):
        seen.append(observation)
        return np.full(1, 1e9)

    strong = rendering.rollout_frames(EnvConfig(PENDULUM.name, distractors=2), too_strong, 3, 5)
    assert np.array_equal(strong.frames, rendering.rollout_frames(PENDULUM, push, 3, 5).frames)
    assert [observation.shape for observation in seen] == [(5,)] * 5


def test_mujoco_is_drawn_at_the_pace_of_its_own_time():
    if rendering._backend() is None:
        pytest.skip("no OpenGL here")
    video = rendering.rollout_frames(
        EnvConfig("Hopper-v5"), lambda observation: np.zeros(3), 0, max_steps=12
    )
    # 125 steps a second: every fifth is drawn.
    assert video.frames.shape == (3, 240, 240, 3) and video.frames_per_second == 25
    assert video.frames.std() > 10


@pytest.mark.parametrize(
    "variables, words",
    [
        ({}, "MuJoCo cannot draw without OpenGL: the library EGL is missing .*libegl1"),
        ({"MUJOCO_GL": "glfw"}, "MUJOCO_GL=glfw: there is no display"),
        ({"MUJOCO_GL": "nonsense"}, "MUJOCO_GL=nonsense: there is no such backend"),
    ],
)
def test_missing_opengl_is_named(monkeypatch, variables, words):
    opengl_missing(monkeypatch, **variables)
    with pytest.raises(rendering.RenderingUnavailable, match=words):
        rendering.rollout_frames(EnvConfig("InvertedPendulum-v5"), push, 0, 2)


def test_without_opengl_other_environments_are_drawn_all_the_same(monkeypatch):
    opengl_missing(monkeypatch)
    assert rendering.rollout_frames(PENDULUM, push, 0, 2).frames.shape == (3, 240, 240, 3)


def test_environment_that_does_not_draw_is_named():
    with pytest.raises(
        rendering.RenderingUnavailable, match="programs:Countdown-v0 cannot be made: .*render_mode"
    ):
        rendering.rollout_frames(EnvConfig("programs:Countdown-v0"), push, 0, 2)


def test_process_that_has_loaded_tensorflow_draws_mujoco():
    """Mesa's software renderer ends such a process with a segmentation fault."""
    if rendering._backend() is None:
        pytest.skip("no OpenGL here")
    code = (
        "import tensorflow as tf; from vagram_tf.envs import rendering; from vagram_tf.config "
        "import EnvConfig\n"
        "policy = lambda observation: tf.zeros([1]).numpy()\n"
        "print(rendering.rollout_frames(EnvConfig('InvertedPendulum-v5'), policy, 0, "
        "2).frames.shape)"
    )
    process = programs.warm_python("-c", code)
    assert (process.returncode, process.stdout) == (0, "(3, 240, 240, 3)\n"), process.stderr


def test_crash_of_the_drawing_process_is_an_error_of_ours(monkeypatch):
    monkeypatch.setattr(rendering.drawing, "__name__", "no_such_module")
    with pytest.raises(
        rendering.RenderingUnavailable, match="programs:Short-v0 failed with exit code 1: .*no_such"
    ):
        rendering.rollout_frames(PENDULUM, push, 0, 2)

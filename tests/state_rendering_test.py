"""Pictures of states: the same ones as of an episode that comes to them, and what is said where
there are none.
"""

import gc

import numpy as np
import pytest

from vagram_tf.config import EnvConfig
from vagram_tf.envs import rendering, tasks
from vagram_tf.envs.state_rendering import StateRenderer

pytestmark = pytest.mark.slow

HOPPER = EnvConfig("Hopper-v5")


@pytest.fixture(scope="module")
def renderer():
    if rendering.missing():
        pytest.skip("no OpenGL here")
    return StateRenderer(HOPPER, size=120)


def test_states_of_an_episode_look_as_the_episode(renderer):
    """But for where Hopper is, which it does not observe."""
    observations = []

    def hop(observation):
        observations.append(observation)
        return np.array([0.3, -0.5, 0.9])

    video = rendering.rollout_frames(HOPPER, hop, seed=0, max_steps=16, size=120)
    pace = round(renderer.frames_per_second / video.frames_per_second)
    drawn = [renderer.draw(observation) for observation in observations[::pace]]
    assert len(drawn) > 2
    for frame, expected in zip(drawn, video.frames, strict=False):
        assert frame.shape == expected.shape and frame.dtype == np.uint8
        # The floor has squares.
        assert np.abs(frame.astype(int) - expected)[:60].mean() < 1


def test_a_picture_is_of_its_state_alone(renderer):
    env = tasks.make(HOPPER)
    upright, _ = env.reset(seed=0)
    fallen = upright.copy()
    fallen[:2] = 0.4, 1.3
    first, other, again = (renderer.draw(state) for state in (upright, fallen, upright))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first.astype(int) - other).mean() > 1


def test_pendulum_looks_as_its_episode():
    """Pygame draws it, without OpenGL."""
    observations, pendulum = [], EnvConfig("Pendulum-v1")

    def fall(observation):
        observations.append(observation)
        return np.zeros(1)  # a torque would be drawn

    video = rendering.rollout_frames(pendulum, fall, seed=0, max_steps=12, size=120)
    renderer = StateRenderer(pendulum, size=120)
    assert renderer.frames_per_second == video.frames_per_second
    for observation, expected in zip(observations, video.frames, strict=False):
        assert np.abs(renderer.draw(observation).astype(int) - expected).mean() < 0.1
    assert np.abs(video.frames[0].astype(int) - video.frames[11]).mean() > 1


def test_the_process_ends_with_its_renderer():
    if rendering.missing():
        pytest.skip("no OpenGL here")
    renderer = StateRenderer(EnvConfig(), size=32)
    process = renderer._process
    assert process.poll() is None
    del renderer
    gc.collect()
    assert process.returncode is not None


def test_a_process_that_was_killed_is_an_error_of_ours():
    if rendering.missing():
        pytest.skip("no OpenGL here")
    renderer = StateRenderer(EnvConfig(), size=32)
    renderer._process.kill()
    with pytest.raises(
        rendering.RenderingUnavailable, match="InvertedPendulum-v5 failed with exit"
    ):
        renderer.draw(np.zeros(4, np.float32))


@pytest.mark.parametrize(
    "config, words",
    [
        (EnvConfig("Reacher-v5"), "the observation of Reacher-v5 does not hold the state"),
        (EnvConfig("Pendulum-v1", distractors=1), "Pendulum-v1 does not hold .* its distractors"),
        (EnvConfig("Pendulum-v1", observation_origin="0:1"), "of Pendulum-v1 does not hold"),
        (EnvConfig("Nothing-v0"), "unknown environment 'Nothing-v0'"),
    ],
)
def test_tasks_without_such_states_are_named(config, words):
    with pytest.raises(ValueError, match=words):
        StateRenderer(config)


def test_missing_opengl_is_named(monkeypatch):
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr(rendering, "_backend", lambda: None)
    with pytest.raises(rendering.RenderingUnavailable, match="without OpenGL: .*libegl1"):
        StateRenderer(EnvConfig())

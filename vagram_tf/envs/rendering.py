"""Pictures of an environment, without a display.

MuJoCo draws through OpenGL, which a machine without a screen has only where EGL or OSMesa are installed. What is
missing shows in many ways, from an error while `mujoco` is imported to the end of the process, so each is tried in a
process of its own first. TensorFlow is not needed here.
"""

import functools
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, cast

import gymnasium
import numpy as np
from PIL import Image

from vagram_tf.config import EnvConfig
from vagram_tf.envs import suite

MOST_FRAMES_PER_SECOND = 30
_BACKENDS = ("egl", "osmesa", "glfw")  # GLFW needs a display, or macOS
_PACKAGES = {
    "egl": "the library EGL is missing (Debian: apt-get install libegl1)",
    "osmesa": "the library OSMesa is missing (Debian: apt-get install libosmesa6)",
    "glfw": "there is no display (without one, unset MUJOCO_GL)",
}
_PROBE = """
import mujoco
context = mujoco.GLContext(8, 8)
context.make_current()
drawing = mujoco.MjrContext(mujoco.MjModel.from_xml_string("<mujoco/>"), 0)
drawing.free()
context.free()
"""


class RenderingUnavailable(RuntimeError):
    """No picture can be drawn; the message says in one sentence what is missing."""


class Video(NamedTuple):
    """The pictures of an episode.

    Attributes:
      frames: uint8 `[T, height, width, 3]`.
      frames_per_second: at which they play as fast as the environment's own time runs.
    """

    frames: np.ndarray
    frames_per_second: int


@functools.cache
def prepare() -> str | None:
    """Sets `MUJOCO_GL` to what works here: EGL, OSMesa or a display; where it is set already, only that counts.

    Call it before `mujoco` or `dm_control` is imported: DeepMind Control never looks at the variable again. Gymnasium's
    own environments do, so there it is also in time later.

    Returns:
      The backend, or None where there is none; the environment variable then stays as it is.
    """
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # for the environments that draw with pygame
    os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
    given = os.environ.get("MUJOCO_GL")
    for backend in (given,) if given else _BACKENDS:
        variables = os.environ | {"MUJOCO_GL": backend}
        if subprocess.run([sys.executable, "-c", _PROBE], env=variables, capture_output=True).returncode == 0:
            os.environ["MUJOCO_GL"] = backend
            return backend
    return None


def rollout_frames(
    config: EnvConfig, policy: Callable[[np.ndarray], np.ndarray], seed: int, max_steps: int = 250, size: int = 240
) -> Video:
    """Draws an episode.

    Args:
      config: the environment.
      policy: observation `[D]` -> action `[A]`, in the environment's own units; what is out of bounds is clipped.
      seed: of the environment's reset.
      max_steps: after which the episode is left, in environment steps.
      size: height of the pictures, in pixels; smaller ones stay as they are.

    Returns:
      The start and what follows, every so many steps that it stays under `MOST_FRAMES_PER_SECOND`.

    Raises:
      RenderingUnavailable: OpenGL is missing, or the environment does not draw.
    """
    backend = prepare()
    try:
        env = suite.make(config, render_mode="rgb_array")
    except ValueError as error:
        raise RenderingUnavailable(str(error)) from None
    try:
        is_dm_control = config.name.startswith(suite.DM_CONTROL_PREFIX)
        is_mujoco = hasattr(env.unwrapped, "mujoco_renderer")
        if backend is None and (is_dm_control or is_mujoco):
            raise RenderingUnavailable(_missing())
        if is_mujoco:  # without a GPU, shadows take most of the time
            cast(Any, env.unwrapped).model.vis.quality.shadowsize = 0
        native = env.metadata.get("render_fps") or MOST_FRAMES_PER_SECOND
        if is_dm_control:  # Shimmy says how many milliseconds a step takes instead
            native = 1000 / native
        every = math.ceil(native / MOST_FRAMES_PER_SECOND)
        frames = []
        for step in _steps(env, policy, seed, max_steps):
            if step % every == 0:
                frames.append(_frame(env, config.name, size))
        return Video(np.stack(frames), max(1, round(native / every)))
    finally:
        env.close()


def _steps(
    env: gymnasium.Env, policy: Callable[[np.ndarray], np.ndarray], seed: int, max_steps: int
) -> Iterator[int]:
    """Plays an episode and yields the number of steps taken so far, beginning with 0."""
    space = cast(gymnasium.spaces.Box, env.action_space)
    observation, _ = env.reset(seed=seed)
    yield 0
    for step in range(1, max_steps + 1):
        action = np.clip(policy(observation), space.low, space.high).astype(space.dtype)
        observation, _, terminated, truncated, _ = env.step(action)
        yield step
        if terminated or truncated:
            return


def _frame(env: gymnasium.Env, name: str, size: int) -> np.ndarray:
    """Returns a picture `[height, width, 3]` of the environment as it is now."""
    try:
        picture = Image.fromarray(np.asarray(env.render(), np.uint8)).convert("RGB")
    except Exception as error:  # of any library that an environment may draw with
        raise RenderingUnavailable(f"{name} does not draw itself: {' '.join(str(error).split())}") from error
    if picture.height > size:
        picture = picture.resize((round(picture.width * size / picture.height), size))
    return np.asarray(picture)


def _missing() -> str:
    given = os.environ.get("MUJOCO_GL")
    if given:
        return f"MuJoCo cannot draw with MUJOCO_GL={given}: {_PACKAGES.get(given, 'there is no such backend')}"
    return f"MuJoCo cannot draw without OpenGL: {_PACKAGES['egl']}"

"""Pictures of an episode, without a display.

    rollout_frames(EnvConfig("Hopper-v5"), policy, seed=0).frames

The episode is played here and drawn by a process of its own (`drawing`), which repeats its actions.
MuJoCo draws through OpenGL: Mesa's software renderer crashes in a process that has loaded
TensorFlow, and where OpenGL's libraries are missing that shows in many ways, from an error while
`mujoco` is imported to the end of the process.
"""

import contextlib
import dataclasses
import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, cast

import gymnasium
import numpy as np

from vagram_tf import processes
from vagram_tf.config import EnvConfig
from vagram_tf.envs import drawing, tasks
from vagram_tf.errors import Fault

_BACKENDS = ("egl", "osmesa", "glfw")  # GLFW needs a display, or macOS
_PACKAGES = {
    "egl": "the library EGL is missing (Debian: apt-get install libegl1 libgl1-mesa-dri "
    "libopengl0)",
    "osmesa": "the library OSMesa is missing (Debian: apt-get install libosmesa6)",
    "glfw": "there is no display (without one, unset MUJOCO_GL)",
}
_LONGEST = 600  # seconds that drawing an episode may take
_PROBE = """
import mujoco
context = mujoco.GLContext(8, 8)
context.make_current()
drawing = mujoco.MjrContext(mujoco.MjModel.from_xml_string("<mujoco/>"), 0)
drawing.free()
context.free()
"""


class RenderingUnavailable(Fault):
    """No picture can be drawn; the message says in one sentence what is missing."""


class Video(NamedTuple):
    """The pictures of an episode.

    Attributes:
      frames: uint8 `[T, height, width, 3]`.
      frames_per_second: at which they play as fast as the environment's own time runs.
    """

    frames: np.ndarray
    frames_per_second: int


def rollout_frames(
    config: EnvConfig,
    policy: Callable[[np.ndarray], np.ndarray],
    seed: int,
    max_steps: int = 250,
    size: int = 240,
) -> Video:
    """Plays an episode and draws it.

    Args:
      config: the environment.
      policy: observation `[D]` -> action `[A]`, in the environment's own units; what is out of
        bounds is clipped.
      seed: of the environment's reset.
      max_steps: after which the episode is left, in environment steps.
      size: height of the pictures, in pixels; smaller ones stay as they are.

    Returns:
      The start and what follows, every so many steps that it stays under 30 per second.

    Raises:
      RenderingUnavailable: OpenGL is missing, or the environment does not draw.
      ValueError: the environment cannot be made.
    """
    with contextlib.closing(tasks.make(config)) as env:
        space, actions = cast(gymnasium.spaces.Box, env.action_space), []
        observation, _ = env.reset(seed=seed)
        for _ in range(max_steps):
            actions.append(np.clip(policy(observation), space.low, space.high).astype(space.dtype))
            # A copy: some environments scale in place what they are given.
            observation, _, terminated, truncated, _ = env.step(actions[-1].copy())
            if terminated or truncated:
                break
    return draw(config, seed, np.reshape(actions, [-1, *space.shape]), size)


def draw(config: EnvConfig, seed: int, actions: np.ndarray, size: int = 240) -> Video:
    """Draws what an episode's actions `[T, A]` lead to; otherwise as `rollout_frames`.

    An environment that does not repeat itself is drawn in another episode than the one that was
    played.
    """
    request = {
        "config": dataclasses.asdict(config),
        "seed": seed,
        "size": size,
        "missing": missing(),
    }
    with tempfile.TemporaryDirectory() as directory:
        paths = [str(Path(directory) / name) for name in ("actions.npy", "frames.npy")]
        np.save(paths[0], actions)
        command = [sys.executable, "-m", drawing.__name__, json.dumps(request), *paths]
        try:
            process = subprocess.run(
                command, env=variables(), capture_output=True, text=True, timeout=_LONGEST
            )
        except subprocess.TimeoutExpired:
            raise RenderingUnavailable(
                f"drawing {config.name} took longer than {_LONGEST} s"
            ) from None
        said = process.stdout.strip().rpartition("\n")[-1]
        if process.returncode == drawing.REFUSED:
            raise RenderingUnavailable(said)
        if process.returncode != 0:
            reason = (process.stderr.strip().splitlines() or ["it gave no reason"])[-1]
            raise RenderingUnavailable(
                f"drawing {config.name} failed with exit code {process.returncode}: {reason}"
            )
        return Video(np.load(paths[1]), int(said))


def variables() -> dict[str, str]:
    """Returns the environment variables of a process that draws."""
    ours = os.environ | {"SDL_VIDEODRIVER": "dummy", "SDL_AUDIODRIVER": "dummy"}  # for pygame
    ours["PYTHONPATH"] = processes.import_path()
    # With one that does not work, `mujoco` cannot even be imported.
    ours.pop("MUJOCO_GL", None)
    backend = _backend()
    return ours | {"MUJOCO_GL": backend} if backend else ours


def missing() -> str | None:
    """Says what MuJoCo lacks to draw, None where it can."""
    if _backend():
        return None
    given = os.environ.get("MUJOCO_GL")
    if given:
        return (
            f"MuJoCo cannot draw with MUJOCO_GL={given}: "
            f"{_PACKAGES.get(given, 'there is no such backend')}"
        )
    return f"MuJoCo cannot draw without OpenGL: {_PACKAGES['egl']}"


@functools.cache
def _backend() -> str | None:
    """Returns how MuJoCo can draw here: with EGL, OSMesa or a display; where `MUJOCO_GL` is set,
    only that counts.
    """
    given = os.environ.get("MUJOCO_GL")
    for backend in (given,) if given else _BACKENDS:
        variables = os.environ | {"MUJOCO_GL": backend}
        if (
            subprocess.run(
                [sys.executable, "-c", _PROBE], env=variables, capture_output=True
            ).returncode
            == 0
        ):
            return backend
    return None

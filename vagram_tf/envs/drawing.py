"""The process that `rendering` starts: repeats an episode's actions and draws what they lead to.

    python -m vagram_tf.envs.drawing <request, JSON> <actions, .npy> <frames, .npy>

Prints the frames per second. Exits with `REFUSED` after printing why nothing can be drawn.
"""

import contextlib
import json
import math
import sys
from collections.abc import Iterator
from typing import Any, cast

import gymnasium
import numpy as np
from PIL import Image

from vagram_tf import processes
from vagram_tf.config import EnvConfig
from vagram_tf.envs import tasks

MOST_FRAMES_PER_SECOND = 30
REFUSED = 3


class Refusal(RuntimeError):
    """The message says why nothing can be drawn."""


def main(request_text: str, actions_path: str, frames_path: str) -> None:
    request = json.loads(request_text)
    config = EnvConfig(**request["config"])
    try:
        with contextlib.closing(tasks.make(config, render_mode="rgb_array")) as env:
            frames, per_second = _drawn(
                env, config.name, request["missing"], request["seed"], request["size"], actions_path
            )
    except (ValueError, Refusal) as error:
        print(error)
        processes.end(REFUSED)
    np.save(frames_path, np.stack(frames))
    print(per_second)


def _drawn(
    env: gymnasium.Env, name: str, missing: str | None, seed: int, size: int, actions_path: str
) -> tuple[list[np.ndarray], int]:
    """Returns the pictures, and how many of them make a second; raises Refusal."""
    native = prepare(env, name, missing)
    every = math.ceil(native / MOST_FRAMES_PER_SECOND)
    frames = [
        frame(env, name, size)
        for step in _steps(env, seed, np.load(actions_path))
        if step % every == 0
    ]
    return frames, max(1, round(native / every))


def prepare(env: gymnasium.Env, name: str, missing: str | None) -> float:
    """Readies an environment that is to draw itself, and returns how many of its steps make a
    second.

    Args:
      env: made with `render_mode="rgb_array"`.
      name: the environment's.
      missing: what MuJoCo lacks to draw.

    Raises:
      Refusal: it cannot be drawn.
    """
    is_dm_control = name.startswith(tasks.DM_CONTROL_PREFIX)
    is_mujoco = hasattr(env.unwrapped, "mujoco_renderer")
    if missing and (is_dm_control or is_mujoco):
        raise Refusal(missing)
    if is_mujoco:  # without a GPU, shadows take most of the time
        cast(Any, env.unwrapped).model.vis.quality.shadowsize = 0
    native = env.metadata.get("render_fps") or MOST_FRAMES_PER_SECOND
    if is_dm_control:  # Shimmy says how many milliseconds a step takes instead
        native = 1000 / native
    return native


def _steps(env: gymnasium.Env, seed: int, actions: np.ndarray) -> Iterator[int]:
    """Plays an episode and yields the number of steps taken so far, beginning with 0."""
    env.reset(seed=seed)
    yield 0
    for step, action in enumerate(actions, 1):
        env.step(action)
        yield step


def frame(env: gymnasium.Env, name: str, size: int) -> np.ndarray:
    """Returns a picture `[height, width, 3]` of the environment as it is now; raises Refusal."""
    try:
        picture = Image.fromarray(np.asarray(env.render(), np.uint8)).convert("RGB")
    except Exception as error:  # of any library that an environment may draw with
        raise Refusal(f"{name} does not draw itself: {' '.join(str(error).split())}") from error
    if picture.height > size:
        picture = picture.resize((round(picture.width * size / picture.height), size))
    return np.asarray(picture)


if __name__ == "__main__":
    main(*sys.argv[1:])
    processes.end(0)

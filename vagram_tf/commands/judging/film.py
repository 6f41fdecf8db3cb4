"""An episode of a policy as a film."""

import sys
from collections.abc import Callable
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import tensorflow as tf

from vagram_tf import files, seeding
from vagram_tf.commands.notice import notice
from vagram_tf.config import EnvConfig
from vagram_tf.envs import rendering

_MOST_STEPS = 1000


def film(
    environment: EnvConfig, policy: Callable[[np.ndarray], tf.Tensor], seed: int, path: Path
) -> None:
    """Draws the first of the episodes to a file, or says in one line why it cannot be drawn.

    Args:
      environment: what the policy plays.
      policy: `[B, D] -> [B, A]`.
      seed: of the episodes.
      path: of the file; its suffix is its format.
    """
    try:
        with notice("drawing the film"):
            video = rendering.rollout_frames(
                environment,
                lambda observation: policy(observation[np.newaxis].astype(np.float32))[0].numpy(),
                seeding.first_evaluation(seed),
                _MOST_STEPS,
            )
    except rendering.RenderingUnavailable as error:
        print(f"no video: {error}", file=sys.stderr)
        return
    with files.replacing(path) as temporary:
        if path.suffix == ".gif":
            imageio.imwrite(
                temporary, video.frames, duration=1000 / video.frames_per_second, loop=0
            )
        else:
            imageio.imwrite(
                temporary, video.frames, fps=video.frames_per_second, macro_block_size=2
            )
    print(
        f"video    {path}    {len(video.frames)} pictures, "
        f"{len(video.frames) / video.frames_per_second:.1f} s"
    )

"""An episode of a policy as a film."""

import sys
from pathlib import Path

import imageio.v3 as imageio
import numpy as np

from vagram_tf import files, seeding
from vagram_tf.commands.judging.playing import Policy
from vagram_tf.commands.notice import notice
from vagram_tf.config import EnvConfig
from vagram_tf.envs import rendering
from vagram_tf.envs.rendering import Video

_MOST_STEPS = 1000


def film(environment: EnvConfig, policy: Policy, seed: int, path: Path) -> None:
    """Draws the first of the episodes to a file, or says in one line why it cannot be drawn.

    Args:
      environment: what the policy plays.
      policy: what acts.
      seed: of the episodes.
      path: of the file; its suffix is its format.
    """
    try:
        with notice("drawing the film"):
            video = rendering.rollout_frames(
                environment,
                lambda observation: action(policy, observation),
                seeding.first_evaluation(seed),
                _MOST_STEPS,
            )
    except rendering.RenderingUnavailable as error:
        print(f"no video: {error}", file=sys.stderr)
        return
    write(video, path)
    print(f"video    {path}    {length(video)}")


def action(policy: Policy, observation: np.ndarray) -> np.ndarray:
    """Returns what the policy does `[A]` where `[D]` is observed."""
    return policy(observation[np.newaxis].astype(np.float32))[0].numpy()


def write(video: Video, path: Path) -> None:
    """Writes pictures to a file whose suffix is its format: .gif, or one that FFmpeg knows."""
    with files.replacing(path) as temporary:
        if path.suffix == ".gif":
            imageio.imwrite(
                temporary, video.frames, duration=1000 / video.frames_per_second, loop=0
            )
        else:
            imageio.imwrite(
                temporary, video.frames, fps=video.frames_per_second, macro_block_size=2
            )


def length(video: Video) -> str:
    """Says how long it is."""
    count = len(video.frames)
    return f"{count} pictures, {count / video.frames_per_second:.1f} s"

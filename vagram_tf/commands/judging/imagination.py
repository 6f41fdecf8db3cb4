"""An episode of a policy beside what the model imagines of it, as a film."""

import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import gymnasium
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vagram_tf import seeding
from vagram_tf.commands.judging import film
from vagram_tf.commands.judging.playing import Policy
from vagram_tf.commands.notice import notice
from vagram_tf.envs.drawing import MOST_FRAMES_PER_SECOND
from vagram_tf.envs.rendering import RenderingUnavailable, Video
from vagram_tf.export.learned_env import LearnedEnv
from vagram_tf.export.load import Export
from vagram_tf.export.pictures import Pictures

_SECONDS = 7  # of the environment's time, in which the model is left alone
_SIZE = 240  # height of a picture
_CAPTIONS = ("real", "imagined by the model")
_CAPTION_HEIGHT, _CAPTION_SIZE, _GAP = 24, 14, 8


def film_beside(
    policy: Export,
    dynamics: Path,
    environment: gymnasium.Env,
    begin: Callable[[], Policy],
    seed: int,
    path: Path,
) -> None:
    """Draws the first of the episodes to a file, beside as many steps of the model's means from the
    same start, or says in one line why it cannot be drawn.

    Args:
      policy: the export that is judged.
      dynamics: directory of the model's export.
      environment: the real one.
      begin: returns what acts in an episode that begins; in each it sees what happens there.
      seed: of the episodes.
      path: of the file; its suffix is its format.

    Raises:
      ValueError: the model cannot be used.
    """
    try:
        pictures = Pictures(policy.environment, policy.metadata["dimension_names"], _SIZE)
    except RenderingUnavailable as error:
        print(f"no video: {error}", file=sys.stderr)
        return
    with notice("drawing the film"):
        start, _ = environment.reset(seed=seeding.first_evaluation(seed))
        most = math.ceil(_SECONDS * pictures.frames_per_second)
        real = _episode(environment, start, begin(), most)
        steps = len(real) - 1
        model = LearnedEnv(dynamics, horizon=steps, sample=False)
        model.reset(options={"state": start})
        imagined = _episode(model, start, begin(), steps)
        video = _video(pictures, [real, imagined])
    film.write(video, path)
    print(
        f"imagined {path}    {film.length(video)}; {steps} real steps, {len(imagined) - 1} "
        "imagined ones"
    )


def _episode(env: gymnasium.Env, start: np.ndarray, policy: Policy, most: int) -> np.ndarray:
    """Plays from the start to the end, at most so many steps; returns the observations
    `[T + 1, D]`.
    """
    space, observations = cast(gymnasium.spaces.Box, env.action_space), [start]
    for _ in range(most):
        action = np.clip(film.action(policy, observations[-1]), space.low, space.high)
        observation, _, terminated, truncated, _ = env.step(action.astype(space.dtype))
        observations.append(observation)
        if terminated or truncated:
            break
    return np.stack(observations)


def _video(pictures: Pictures, episodes: Sequence[np.ndarray]) -> Video:
    """Draws episodes `[T, D]` beside each other; the shorter one stays as it ended."""
    every = math.ceil(pictures.frames_per_second / MOST_FRAMES_PER_SECOND)
    frames = [
        _beside([pictures.draw(episode[: step + 1]) for episode in episodes])
        for step in range(0, max(map(len, episodes)), every)
    ]
    return Video(np.stack(frames), max(1, round(pictures.frames_per_second / every)))


def _beside(halves: Sequence[np.ndarray]) -> np.ndarray:
    """Returns pictures `[height, width, 3]` beside each other, below what they show."""
    height, width, _ = halves[0].shape
    size = (len(halves) * (width + _GAP) - _GAP, _CAPTION_HEIGHT + height)
    whole = Image.new("RGB", size, "gainsboro")
    draw, font = ImageDraw.Draw(whole), ImageFont.load_default(_CAPTION_SIZE)
    for i, (half, caption) in enumerate(zip(halves, _CAPTIONS, strict=True)):
        left = i * (width + _GAP)
        whole.paste(Image.fromarray(half), (left, _CAPTION_HEIGHT))
        middle = (left + width / 2, _CAPTION_HEIGHT / 2)
        draw.text(middle, caption, "black", font, anchor="mm")
    return np.asarray(whole)

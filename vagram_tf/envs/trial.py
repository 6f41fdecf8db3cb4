"""What can be seen of an environment before a run depends on it: whether it repeats itself, whether
its episodes end, whether its observations have a size that float32 and networks can take.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vagram_tf.config import EnvConfig
from vagram_tf.envs.adapter import EnvironmentFault, GymnasiumEnvironment
from vagram_tf.envs.origin import shifted

_STEPS = 100  # of an episode that is played twice
_LARGE = 1e4  # observations from which on networks that take them as they are do not learn
_FEWEST = 100  # multiples of float32's spacing that a dimension must vary by


class Episode(NamedTuple):
    """The beginning of an episode under random actions.

    Attributes:
      observations: `[T + 1, D]`.
      rewards: `[T]`.
      ended: whether it ended by itself.
    """

    observations: np.ndarray
    rewards: np.ndarray
    ended: bool


def play(environment: GymnasiumEnvironment, steps: int = _STEPS) -> Episode:
    """Plays episode 0 with random actions, the same ones each time.

    Raises:
      EnvironmentFault: the environment failed.
    """
    actions = np.random.default_rng(0).uniform(-1, 1, [steps, *environment.action_spec().shape])
    environment.skip_to(0)
    time_step = environment.reset()
    observations, rewards = [time_step.observation], []
    for action in actions.astype(np.float32):
        time_step = environment.step(action)
        observations.append(time_step.observation)
        rewards.append(time_step.reward)
        if time_step.is_last():
            break
    return Episode(np.stack(observations), np.array(rewards), bool(time_step.is_last()))


def disagreement(first: Episode, second: Episode, names: Sequence[str]) -> str | None:
    """Says where two episodes with the same seed and actions part, None where they do not.

    Args:
      first, second: the episodes.
      names: of the D dimensions.
    """
    length = min(len(first.rewards), len(second.rewards))
    for step in range(length + 1):
        before, after = first.observations[step], second.observations[step]
        if not np.array_equal(before, after):
            i = int(np.argmax(before != after))
            return f"{names[i]} at step {step} is {before[i]:g} and then {after[i]:g}"
        if step == length:
            break
        if first.rewards[step] != second.rewards[step]:
            return (
                f"the reward of step {step + 1} is {first.rewards[step]:g} and then "
                f"{second.rewards[step]:g}"
            )
    if len(first.rewards) != len(second.rewards) or first.ended != second.ended:
        return f"it ends after {len(first.rewards)} steps and then after {len(second.rewards)}"
    return None


def repetition(environment: GymnasiumEnvironment, names: Sequence[str]) -> str | None:
    """Says what is wrong where an environment does not repeat an episode, with a remedy; None where
    it does, or fails in another way.
    """
    try:
        parted = disagreement(play(environment), play(environment), names)
    except EnvironmentFault:  # the run will meet it, with its own words
        return None
    if parted is None:
        return None
    return (
        f"{environment.name} does not repeat itself: with the same seed and actions, {parted}. "
        "Evaluations, a resumed run and whoever uses its exports see something else than it has "
        "learned from. Leave out wrappers that keep a state from episode to episode; "
        "--observation_normalization does inside of the run what NormalizeObservation does"
    )


def duration(name: str, time_limit: int | None, config: EnvConfig) -> str | None:
    """Says how long greedy episodes are where the task does not, else None.

    Args:
      name: the environment's.
      time_limit: what the task says.
      config: holds the setting.
    """
    if time_limit is not None:
        return None
    return (
        f"{name} has no time limit that can be seen: its greedy episodes are left after "
        f"{config.episode_steps} steps (--episode_steps)"
    )


def sizes(
    lowest: np.ndarray, highest: np.ndarray, names: Sequence[str], origin: str, normalized: bool
) -> list[str]:
    """Names the dimensions that float32, or the networks, cannot take as they are, each with its
    remedy.

    Args:
      lowest: `[D]` float64, the smallest value seen of each.
      highest: `[D]` float64, the largest.
      names: `[D]`.
      origin: the setting `observation_origin`.
      normalized: whether critics and policy see normalised observations.
    """
    largest, spread = np.maximum(np.abs(lowest), np.abs(highest)), highest - lowest
    spacing = np.spacing(largest.astype(np.float32)).astype(np.float64)
    drowned = (spread > 0) & (spread < _FEWEST * spacing)
    filling = ~drowned & (largest >= _LARGE) & (not normalized)
    said = []
    for i in map(int, np.flatnonzero(drowned)):
        remedy = f"--observation_origin={shifted(origin, i, (lowest[i] + highest[i]) / 2)}"
        said.append(
            f"{names[i]} varies by {spread[i]:.3g} around {largest[i]:.9g}, where float32 knows "
            f"multiples of {spacing[i]:.3g} alone: {remedy} subtracts that before"
        )
    for i in map(int, np.flatnonzero(filling)):
        said.append(
            f"{names[i]} is as large as {largest[i]:.3g}, which critics and policy take as it is: "
            "--observation_normalization scales what they see"
        )
    return said


def ends(said: np.ndarray, terminated: np.ndarray) -> str | None:
    """Says how often a known rule of termination is wrong, with the remedy; None where it never is.

    Args:
      said: bool `[N]`, what it says of real steps.
      terminated: bool `[N]`, whether these terminated.
    """
    wrong = int(np.sum(said != terminated))
    if not wrong:
        return None
    return (
        f"the rule of termination that is known for it says something else of {wrong} of "
        f"{len(said)} steps: --termination=learned"
    )

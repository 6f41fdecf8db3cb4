"""Episodes of the real environment, with the actions of an exported policy or of a planner."""

import itertools
import sys
from collections.abc import Callable, Sequence
from typing import Any, cast

import gymnasium
import numpy as np
import tensorflow as tf

from vagram_tf import seeding
from vagram_tf.commands.judging.counting import counted
from vagram_tf.commands.report.intervals import summary
from vagram_tf.config import EnvConfig
from vagram_tf.envs import episodes, tasks
from vagram_tf.envs.action_range import ActionRange
from vagram_tf.envs.adapter import GymnasiumEnvironment
from vagram_tf.export.load import Export
from vagram_tf.plan import Planner

Policy = Callable[[tf.Tensor], tf.Tensor]
"""Observations `[B, D]` to actions `[B, A]`, both in the environment's units."""


def exported(export: Export, sample: bool, seed: int) -> Policy:
    """Returns an export's greedy policy, or the sampled one, which begins with the same random
    numbers each time.
    """
    if not sample:
        return lambda observation: export.module(observation)["action"]
    sampling, calls = seeding.derive(seed, "policy"), itertools.count()
    return lambda observation: export.module.sample(
        observation, tf.constant([sampling, next(calls)])
    )["action"]


def planned(planner: Planner) -> Policy:
    """Returns a planner as a policy of single observations, `[1, D] -> [1, A]`."""
    return lambda observation: tf.constant(planner.act(np.asarray(observation)[0])[np.newaxis])


def play(
    environments: Sequence[gymnasium.Env], count: int, policy: Policy, config: EnvConfig, seed: int
) -> dict[str, Any]:
    """Plays so many episodes, each in its environment or all in the only one.

    Returns:
      `return` and `length`, mean and interval; `returns` and `lengths` of each episode.
    """
    played = _adapted(environments, count, seed)
    what = "1 episode" if count == 1 else f"{count} episodes"
    return _numbers(_episodes(played, policy, config, what), seed)


def play_planner(
    environments: Sequence[gymnasium.Env],
    count: int,
    planner: Planner,
    config: EnvConfig,
    seed: int,
) -> dict[str, Any]:
    """Plays the same episodes with a planner, one after another, and says how each went; otherwise
    as `play`.
    """
    played = []
    for i, environment in enumerate(_adapted(environments, count, seed)):
        planner.reset()
        what = f"planner, episode {i + 1} of {count}"
        played.append(_episodes([environment], planned(planner), config, what))
        print(f"{what}: {played[-1].returns[0]:.1f}", file=sys.stderr)
    of = episodes.Evaluation(*(np.concatenate(column) for column in zip(*played, strict=True)))
    return _numbers(of, seed)


def _adapted(
    environments: Sequence[gymnasium.Env], count: int, seed: int
) -> list[GymnasiumEnvironment]:
    """Returns what plays so many episodes, each by its seed."""
    return [
        GymnasiumEnvironment(
            environments[i % len(environments)], seeding.derive(seed, "evaluation", i)
        )
        for i in range(count)
    ]


def _episodes(
    environments: Sequence[GymnasiumEnvironment], policy: Policy, config: EnvConfig, what: str
) -> episodes.Evaluation:
    """Plays an episode in each; a terminal shows what, and the steps."""
    task = environments[0].task
    action_range = ActionRange(cast(gymnasium.spaces.Box, task.action_space))
    longest = tasks.time_limit(task) or config.episode_steps
    one_by_one = len({id(environment.task) for environment in environments}) == 1
    most = longest * (len(environments) if one_by_one else 1)
    with counted(what, policy, most) as act:
        return episodes.evaluate(
            environments,
            lambda observation: action_range.to_unit(act(observation)),
            tasks.longest_episode(task, config),
        )


def _numbers(of: episodes.Evaluation, seed: int) -> dict[str, Any]:
    return {
        "return": summary(of.returns, seed),
        "length": summary(of.lengths, seed),
        "returns": of.returns.tolist(),
        "lengths": of.lengths.tolist(),
    }

"""The work of `collect`: an environment, played and written down."""

import numpy as np

from vagram_tf import seeding
from vagram_tf.commands.collect import Order
from vagram_tf.commands.judging.playing import exported
from vagram_tf.dataset import Dataset
from vagram_tf.envs import tasks
from vagram_tf.envs.action_range import ActionRange
from vagram_tf.envs.adapter import GymnasiumEnvironment
from vagram_tf.envs.recording import Recording, random_actions, record
from vagram_tf.export.load import open_export


def run(order: Order) -> None:
    """Writes a data set; raises ValueError, OSError or EnvironmentFault."""
    assert order.environment is not None
    # Episodes that no run, and no judgement with the same seed, plays.
    environment = GymnasiumEnvironment(order.environment, seeding.derive(order.seed, "collect"))
    if order.export:
        act = exported(open_export(order.export, "policy"), order.sample, order.seed)
    else:
        act = random_actions(environment, seeding.derive(order.seed, "exploration"))
    longest = tasks.longest_episode(order.environment, order.config)
    recording = record(environment, act, order.steps, longest)
    action_range = ActionRange(environment.task.action_space)
    Dataset(
        **{name: column for name, column in recording._asdict().items() if name != "last"},
        episode=_episodes(recording),
        action_low=action_range.low,
        action_high=action_range.high,
        environment=order.config,
    ).save(order.output)
    print(_summary(recording, order))


def _episodes(recording: Recording) -> np.ndarray:
    """Returns the number of each step's episode, from 0: `[N]`."""
    return np.cumsum(recording.last) - recording.last


def _summary(recording: Recording, order: Order) -> str:
    episodes, reward = int(np.sum(recording.last)), float(np.mean(recording.reward))
    return (
        f"{order.config.name}, {len(recording.reward)} steps of {episodes} episodes, "
        f"{int(np.sum(recording.terminated))} of which terminated, {reward:.4g} of reward a step\n"
        f"data     {order.output}"
    )

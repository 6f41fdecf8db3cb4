"""A run's interaction with the real environment: the open episode, and how it survives a
restart.
"""

import logging
from collections import deque

import numpy as np
import tensorflow as tf
from tf_agents.trajectories import time_step as ts

from vagram_tf.envs.adapter import EnvironmentFault, GymnasiumEnvironment
from vagram_tf.types import Transition

_EPISODES = 100  # how many Stable-Baselines3 takes the mean over for `rollout/ep_rew_mean`


class Interaction(tf.Module):
    """Steps an environment, episode after episode, from a position that a checkpoint can hold.

    An environment cannot be saved. Its open episode is a function of its seed and its actions:
    those are kept, and replayed after a restart.

    Args:
      environment: the training environment.

    Attributes:
      env_step: steps taken so far.
      largest_reward: the largest absolute reward so far.
      episodes: return and length of each of the last 100 episodes that ended.
      episode_starts: the environment steps that episodes started with.
    """

    def __init__(self, environment: GymnasiumEnvironment):
        super().__init__(name="interaction")
        self.environment = environment
        self.env_step = 0
        self.largest_reward = 0.0
        self.episodes: deque[tuple[float, int]] = deque(maxlen=_EPISODES)
        self.episode_starts: deque[int] = deque()  # not a list, which TensorFlow would track
        self._time_step: ts.TimeStep | None = None  # None: no episode is open
        self._actions: list[np.ndarray] = []
        self._return = 0.0
        observation_size = environment.observation_spec().shape[0]
        action_size = environment.action_spec().shape[0]
        # What `freeze` fills: environment step, episode, whether it is open; its return, the
        # largest reward.
        self._saved_counters = tf.Variable(tf.zeros([3], tf.int64), trainable=False)
        self._saved_rewards = tf.Variable(tf.zeros([2], tf.float64), trainable=False)
        self._saved_episodes = tf.Variable(
            tf.zeros([0, 2], tf.float64), shape=[None, 2], trainable=False
        )
        self._saved_starts = tf.Variable(tf.zeros([0], tf.int64), shape=[None], trainable=False)
        self._saved_observation = tf.Variable(tf.zeros([observation_size]), trainable=False)
        self._saved_actions = tf.Variable(
            tf.zeros([0, action_size]), shape=[None, action_size], trainable=False
        )

    def observe(self) -> np.ndarray:
        """Returns the observation `[D]` to act on; starts an episode where none is open.

        Raises:
          EnvironmentFault: the environment failed.
        """
        if self._time_step is None:
            self._time_step = self.environment.reset()
            self._actions, self._return = [], 0.0
            # After a fault it was noted.
            if not self.episode_starts or self.episode_starts[-1] != self.env_step:
                self.episode_starts.append(self.env_step)
        return self._time_step.observation

    def step(self, action: np.ndarray) -> tuple[Transition, bool]:
        """Takes the action `[A]` on what `observe` returned.

        Returns:
          The transition `[1]`, and whether it ended the episode.

        Raises:
          EnvironmentFault: the environment failed.
        """
        observation = self.observe()
        self._time_step = (
            None  # after a fault the episode's state is unknown: the next step starts another
        )
        after = self.environment.step(action)
        transition = Transition(
            *(
                np.asarray(field, np.float32)[np.newaxis]
                for field in (observation, action, after.reward, after.discount, after.observation)
            )
        )
        self.env_step += 1
        self._actions.append(action)
        self._return += float(after.reward)
        self.largest_reward = max(self.largest_reward, abs(float(after.reward)))
        if not after.is_last():
            self._time_step = after
            return transition, False
        self.episodes.append((self._return, len(self._actions)))
        return transition, True

    def starts(self, count: int, capacity: int) -> np.ndarray:
        """Returns for each transition of a ring buffer, bool `[count]`, whether an episode starts
        with it.

        Args:
          count: the newest transitions, which the buffer holds.
          capacity: of the buffer: environment step t is in slot t modulo this.
        """
        oldest = self.env_step - count
        step = oldest + (np.arange(count) - oldest) % capacity
        return np.isin(step, [*self.episode_starts, oldest])

    def freeze(self) -> None:
        """Copies the position into variables, for a checkpoint."""
        is_open = self._time_step is not None
        self._saved_counters.assign([self.env_step, self.environment.episode, int(is_open)])
        self._saved_rewards.assign([self._return, self.largest_reward])
        self._saved_episodes.assign(np.reshape(self.episodes, [-1, 2]))
        self._saved_starts.assign(list(self.episode_starts))
        self._saved_actions.assign(
            np.reshape(self._actions, [-1, *self.environment.action_spec().shape])
        )
        if self._time_step is not None:
            self._saved_observation.assign(self._time_step.observation)

    def thaw_counters(self) -> tuple[int, bool]:
        """Takes all but the open episode from the variables; returns its index, and whether there
        is one.
        """
        self.env_step, episode, is_open = (int(x) for x in self._saved_counters.numpy())
        self._return, self.largest_reward = (float(x) for x in self._saved_rewards.numpy())
        self.episodes.clear()
        self.episodes.extend(
            (total, int(length)) for total, length in self._saved_episodes.numpy().tolist()
        )
        self.episode_starts = deque(self._saved_starts.numpy().tolist())
        return episode, bool(is_open)

    def thaw(self) -> bool:
        """Takes the position from the variables, after a restore, and replays the open episode.

        An environment that does not repeat itself is reported, and its episode ends there as if by
        a time limit.

        Returns:
          Whether an episode was open.
        """
        episode, is_open = self.thaw_counters()
        self._actions, self._time_step = list(self._saved_actions.numpy()), None
        self.environment.skip_to(episode + 1)
        if is_open:
            self._reopen(episode)
        return is_open

    def compare_start(self, observation: np.ndarray) -> None:
        """Starts the last episode once more, between two, and warns where that shows something
        else.

        Args:
          observation: `[D]`, what it started with.
        """
        episode = self.environment.next_episode - 1
        again = self.environment.restore(episode, np.zeros([0]))
        if not np.array_equal(again.observation, observation):
            logging.warning(
                "the environment does not repeat itself: episode %d starts with another "
                "observation than before, so the run sees something else from now on",
                episode,
            )

    def _reopen(self, episode: int) -> None:
        try:
            replayed = self.environment.restore(episode, self._saved_actions.numpy())
        except EnvironmentFault as fault:
            logging.warning(
                "%s; the episode is cut off at environment step %d", fault, self.env_step
            )
            self.environment.skip_to(episode + 1)
            return
        if not replayed.is_last() and np.array_equal(
            replayed.observation, self._saved_observation.numpy()
        ):
            self._time_step = replayed
        else:
            logging.warning(
                "the environment does not repeat itself: replaying episode %d gave another "
                "observation; the episode "
                "is cut off at environment step %d",
                episode,
                self.env_step,
            )

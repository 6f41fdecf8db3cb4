"""A Gymnasium environment for TF-Agents: seeded episodes, scaled actions, named faults.

Everywhere in this library an action is in [-1, 1] of the environment's own range.
"""

import contextlib
import time
from collections.abc import Iterator
from typing import Any, cast

import gymnasium
import numpy as np
from tf_agents.environments import py_environment
from tf_agents.specs import array_spec
from tf_agents.trajectories import time_step as ts

from vagram_tf import seeding
from vagram_tf.envs.action_range import ActionRange
from vagram_tf.errors import Fault, one_line


class EnvironmentFault(Fault):
    """The environment failed; the message names it, the episode, the step and the fault."""


class GymnasiumEnvironment(py_environment.PyEnvironment):
    """Adapts an environment from `tasks.make`.

    Observations are float32 `[D]` and rewards float32 scalars, both in the environment's own units.
    Actions are float32 `[A]` in [-1, 1]: -1 and 1 are the ends of the environment's range, and
    values outside are clipped. A termination ends the episode with discount 0, a time limit with
    discount 1. The k-th episode is reset with `seeding.derive(seed, "episode", k)`, so an episode
    is a function of the seed, its index and its actions.

    Attributes:
      task: the environment itself.
      name: of the task.
      entered: the `time.monotonic()` at which the call into the environment began that has not
        returned yet, else None.
      lowest, highest: `[D]` float64, the smallest and the largest observation so far.

    After an `EnvironmentFault` the state of the environment is unknown; the next step is not valid,
    the next reset is.
    """

    def __init__(self, env: gymnasium.Env, seed: int) -> None:
        """Adapts `env`, whose episodes are seeded from `seed`, counting from episode 0."""
        super().__init__(handle_auto_reset=True)
        self.task = env
        self.name = env.spec.id if env.spec is not None else type(env.unwrapped).__name__
        self._seed = seed
        self._episode = -1
        self._next_episode = 0
        self._step_index = 0
        self.entered: float | None = None
        self._last_good: dict[str, np.ndarray] = {}
        self.lowest = np.full(env.observation_space.shape or (), np.inf)
        self.highest = -self.lowest
        space = cast(gymnasium.spaces.Box, env.action_space)
        self._action_range = ActionRange(space)
        self._observation_spec = array_spec.ArraySpec(
            env.observation_space.shape, np.float32, "observation"
        )
        self._action_spec = array_spec.BoundedArraySpec(
            space.shape, np.float32, minimum=-1.0, maximum=1.0, name="action"
        )

    @property
    def episode(self) -> int:
        """Index of the open episode, -1 before the first reset."""
        return self._episode

    def observation_spec(self) -> array_spec.ArraySpec:
        """`[D]` float32."""
        return self._observation_spec

    def action_spec(self) -> array_spec.BoundedArraySpec:
        """`[A]` float32 in [-1, 1]."""
        return self._action_spec

    @property
    def next_episode(self) -> int:
        """Index of the episode that the next reset opens."""
        return self._next_episode

    def skip_to(self, episode: int) -> None:
        """Makes the next reset open this episode."""
        self._next_episode = episode

    def restore(self, episode: int, actions: np.ndarray) -> ts.TimeStep:
        """Returns to a point in an episode by replaying it; further resets count on from there.

        Args:
          episode: index of the episode.
          actions: `[T, A]` float32, all its actions so far.

        Returns:
          The last time step. The caller should compare its observation with the one it remembers:
          not every environment repeats itself.

        Raises:
          EnvironmentFault: if the episode ends before its last action.
        """
        self.skip_to(episode)
        time_step = self.reset()
        for index, action in enumerate(actions):
            if time_step.is_last():
                raise self._fault(f"ended after {index} of {len(actions)} replayed actions")
            time_step = self.step(action)
        return time_step

    def seed(self, seed: int) -> None:
        """Makes the next reset open episode 0 of another seed."""
        self._seed = seed
        self.skip_to(0)

    def render(self, mode: str = "rgb_array") -> Any:
        """Renders in the mode that the environment was made with."""
        del mode
        return self.task.render()

    def close(self) -> None:
        """Closes the environment."""
        self.task.close()

    def _reset(self) -> ts.TimeStep:
        self._episode = self._next_episode
        self._next_episode += 1
        self._step_index = 0
        seed = seeding.derive(self._seed, "episode", self._episode)
        with self._calling():
            observation, _ = self.task.reset(seed=seed)
        return ts.restart(self._checked("observation", observation, self._observation_spec.shape))

    def _step(self, action: np.ndarray) -> ts.TimeStep:
        scaled = self._scaled(action)
        self._step_index += 1
        with self._calling():
            observation, reward, terminated, truncated, _ = self.task.step(scaled)
            terminated, truncated = bool(terminated), bool(truncated)
        observation = self._checked("observation", observation, self._observation_spec.shape)
        reward = self._checked("reward", reward, ())
        if terminated:
            return ts.termination(observation, reward)
        if truncated:
            return ts.truncation(observation, reward)
        return ts.transition(observation, reward)

    def _scaled(self, action: np.ndarray) -> np.ndarray:
        """Returns an action `[A]` in the environment's own units and dtype."""
        action = np.asarray(action, np.float64)
        if action.shape != self._action_spec.shape or np.isnan(action).any():
            raise ValueError(
                f"an action of {self.name} must be {self._action_spec.shape[0]} numbers, "
                f"got {action.tolist()}"
            )
        return self._action_range.for_environment(action)

    def _checked(self, label: str, value: object, shape: tuple[int, ...]) -> np.ndarray:
        """Returns a value as a float32 array of the given shape; raises EnvironmentFault."""
        try:
            array = np.asarray(value)
        except Exception as error:  # ragged lists; tensors on a GPU, or that require a gradient
            raise self._fault(f"{label} is not an array: {one_line(error)}") from error
        if array.dtype.kind not in "fiub":
            raise self._fault(f"{label} has dtype {array.dtype}, not a number's")
        if array.shape != shape:
            raise self._fault(f"{label} has shape {array.shape}, expected {shape}")
        with np.errstate(over="ignore"):  # too large for float32 becomes inf, which is reported
            converted = array.astype(np.float32)
        if not np.isfinite(converted).all():
            index = int(np.argmin(np.isfinite(converted)))
            where = f"{label}[{index}]" if shape else label
            last = self._last_good.get(label)
            history = (
                "it has no earlier value"
                if last is None
                else f"its last good value was {last.flat[index]:.6g}"
            )
            raise self._fault(f"{where} is {array.flat[index]}, not a finite float32; {history}")
        self._last_good[label] = converted
        if label == "observation":
            self.lowest, self.highest = (
                np.minimum(self.lowest, array),
                np.maximum(self.highest, array),
            )
        return converted

    @contextlib.contextmanager
    def _calling(self) -> Iterator[None]:
        """Turns what the environment raises into an EnvironmentFault and notes when the call
        began.
        """
        self.entered = time.monotonic()
        try:
            yield
        except Exception as error:
            raise self._fault(f"raised {type(error).__name__}: {one_line(error)}") from error
        finally:
            self.entered = None

    def _fault(self, what: str) -> EnvironmentFault:
        return EnvironmentFault(
            f"{self.name}, episode {self._episode}, step {self._step_index}: {what}"
        )

"""A MuJoCo task that is taken to any observation: to step it from there, for runs that ask what a
perfect model is worth, or to draw it.
"""

from typing import Any

import gymnasium
import mujoco
import numpy as np


class Simulator:
    """Steps a task of Gymnasium's MuJoCo from the states that observations hold.

    An observation holds the state if it is all positions, but for leading ones that nothing depends
    on, and all velocities. Where the task clips the velocities that it shows, those are the state.

    Args:
      env: as `tasks.make` returns it; nothing else may step it.

    Raises:
      ValueError: its observation does not hold its state.
    """

    def __init__(self, env: gymnasium.Env):
        self._task: Any = env.unwrapped
        shown = None if env.has_wrapper_attr("observation_origin") else _shown(self._task)
        if shown is None or shown["qpos"] + shown["qvel"] != env.observation_space.shape[0]:
            name = env.spec.id if env.spec is not None else type(self._task).__name__
            raise ValueError(
                f"the observation of {name} does not hold the state of a simulator"
                + (
                    " beside its distractors"
                    if env.has_wrapper_attr("distractor_dimensions")
                    else ""
                )
            )
        self._skipped = np.zeros(shown.get("skipped_qpos", 0))
        self._positions = shown["qpos"]
        self._actions = self._task.action_space
        self._task.reset(seed=0)

    def set_state(self, observation: np.ndarray) -> None:
        """Takes the task to the state that an observation `[D]` holds."""
        state = observation.astype(np.float64)
        # Or the solver would begin where it last was.
        mujoco.mj_resetData(self._task.model, self._task.data)
        self._task.set_state(
            np.append(self._skipped, state[: self._positions]), state[self._positions :]
        )

    def step(
        self, observation: np.ndarray, action: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Takes one step from each of many states.

        Args:
          observation: `[B, D]`.
          action: `[B, A]` in [-1, 1].

        Returns:
          Next observation `[B, D]` float32, reward `[B]` float32, terminated `[B]` bool.
        """
        low, high = self._actions.low, self._actions.high
        after, rewards, ends = np.empty_like(observation), [], []
        chosen = low + (high - low) * (action + 1.0) / 2.0
        for i, state in enumerate(observation):
            self.set_state(state)
            after[i], reward, terminated, *_ = self._task.step(chosen[i])
            rewards.append(reward)
            ends.append(terminated)
        return after, np.array(rewards, np.float32), np.array(ends, bool)


def _shown(task: Any) -> dict[str, int] | None:
    """Returns how many positions and velocities a task shows, if it is MuJoCo's and shows all but
    the leading ones.
    """
    shown = getattr(task, "observation_structure", None)
    if shown is None or not hasattr(task, "set_state"):
        return None
    complete = (
        shown.get("skipped_qpos", 0) + shown["qpos"] == task.model.nq
        and shown["qvel"] == task.model.nv
    )
    return shown if complete else None

"""A MuJoCo task that is taken to any observation: to step it from there, for runs that ask what a
perfect model is worth, or to draw it.
"""

from typing import Any, NamedTuple

import gymnasium
import mujoco
import numpy as np


class Simulated(NamedTuple):
    """What follows a step of each of many states.

    Attributes:
      state: `[B, D]` float64, the observation as it would be if nothing were clipped.
      observation: `[B, D]` float32, what the task shows.
      reward: `[B]` float32.
      terminated: bool `[B]`.
    """

    state: np.ndarray
    observation: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray


class Simulator:
    """Steps a task of Gymnasium's MuJoCo from the states that observations hold.

    An observation holds the state if it is all positions, but for leading ones that nothing depends
    on, and all velocities. Some tasks clip the velocities that they show, as Hopper does: `states`
    finds what is behind.

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

    def set_state(self, state: np.ndarray) -> None:
        """Takes the task to a state or to an observation `[D]`, which may be clipped."""
        state = state.astype(np.float64)
        # Or the solver would begin where it last was.
        mujoco.mj_resetData(self._task.model, self._task.data)
        self._task.set_state(
            np.append(self._skipped, state[: self._positions]), state[self._positions :]
        )

    def states(
        self, observation: np.ndarray, action: np.ndarray, follows: np.ndarray
    ) -> np.ndarray:
        """Returns the states `[N, D]` that real steps began in: the observations, and where the
        task clips them what the steps before lead to.

        Args:
          observation: `[N, D]`, in the order of the steps.
          action: `[N, A]` in [-1, 1].
          follows: bool `[N]`, whether the next row is the next step of the same episode.
        """
        states = observation.astype(np.float64)
        for i in np.flatnonzero(follows):
            after, shown, *_ = self._step(states[i], action[i])
            hidden = after != shown
            states[i + 1, hidden] = after[hidden]
        return states

    def step(self, state: np.ndarray, action: np.ndarray) -> Simulated:
        """Takes one step from each of many states.

        Args:
          state: `[B, D]`.
          action: `[B, A]` in [-1, 1].
        """
        steps = [self._step(*each) for each in zip(state, action, strict=True)]
        after, shown, reward, terminated = zip(*steps, strict=True)
        return Simulated(
            np.array(after),
            np.array(shown, np.float32),
            np.array(reward, np.float32),
            np.array(terminated, bool),
        )

    def _step(
        self, state: np.ndarray, action: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, float, bool]:
        """Returns the state after a step, the task's observation of it, reward and terminated."""
        low, high = self._actions.low, self._actions.high
        self.set_state(state)
        shown, reward, terminated, *_ = self._task.step(low + (high - low) * (action + 1.0) / 2.0)
        data = self._task.data
        after = np.concatenate([data.qpos[len(self._skipped) :], data.qvel])
        return after, shown, reward, terminated


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

"""An exported dynamics model as a Gymnasium environment, single and vectorised.

    env = vagram_tf.LearnedEnv("export/dynamics/4000", horizon=200)
    gymnasium.make("vagram_tf.export.learned_env:vagram_tf/LearnedEnv-v0",
                   export_dir="export/dynamics/4000", horizon=200)

Needs Gymnasium, and TensorFlow to run the model; nothing of the rest of the package but what reads
exports.
"""

import os
import sys
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from vagram_tf import files
from vagram_tf.export.load import START_STATES, open_export

_LARGEST = np.finfo(np.float32).max
_forked = False  # this process is a copy of one that had loaded TensorFlow


def _note_fork() -> None:
    global _forked
    _forked = "tensorflow" in sys.modules


os.register_at_fork(after_in_child=_note_fork)


def _check_process() -> None:
    """Raises RuntimeError where TensorFlow would wait for threads that this process lacks."""
    if _forked:
        raise RuntimeError(
            "TensorFlow does not survive a fork: let processes of vectorised environments start "
            "anew, with context='spawn'"
        )


class _Model:
    """An exported dynamics model, opened, with its spaces.

    Args:
      export_dir: a dynamics export.
      horizon: steps after which an episode is cut off.
      sample: draw next state and reward from the model's distribution; otherwise take its means.

    Raises:
      ValueError: in one sentence, if there is no such export or it cannot be used, or the horizon
        is not positive.
    """

    def __init__(self, export_dir: str | os.PathLike[str], horizon: int, sample: bool):
        if horizon < 1:
            raise ValueError(f"horizon must be at least 1, got {horizon}")
        _check_process()
        self._arguments = (files.path(export_dir).resolve(), horizon, sample)
        export = open_export(export_dir, "dynamics")
        low, high = (
            np.array(export.metadata[name], np.float32) for name in ("action_low", "action_high")
        )
        self.action_space = gymnasium.spaces.Box(low, high, dtype=np.float32)
        size = (export.metadata["observation_size"],)
        # Any finite number.
        self.observation_space = gymnasium.spaces.Box(-_LARGEST, _LARGEST, size, np.float32)
        self.horizon = horizon
        self._module, self._sample = export.module, sample
        self._start_states = np.load(files.path(export_dir) / START_STATES, allow_pickle=False)
        if len(self._start_states) == 0:
            raise ValueError(
                f"{export_dir} holds no start states: no episode had begun when it was written"
            )

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Model":
        """Copies share the model, which nothing changes."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Unpickled, it opens the export again, which must still be there."""
        return _Model, self._arguments

    def start(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Returns states `[count, D]` that real episodes started from."""
        return self._start_states[rng.integers(len(self._start_states), size=count)]

    def step(
        self, state: np.ndarray, action: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Predicts next states `[B, D]` float32, rewards `[B]` float64 and terminations `[B]`.

        Where the model predicts what is not finite, the episode terminates where it was, without a
        reward.

        Raises:
          ValueError: the actions are not numbers `[B, A]`, in the environment's units.
        """
        _check_process()
        action = np.asarray(action)
        expected = (len(state), *self.action_space.shape)
        if (
            action.shape != expected
            or action.dtype.kind not in "fiu"
            or not np.isfinite(action).all()
        ):
            given = " ".join(np.array2string(action, threshold=10).split())
            raise ValueError(
                f"actions must be finite numbers of shape {list(expected)}, got {given}"
            )
        action = np.clip(action, self.action_space.low, self.action_space.high).astype(np.float32)
        if self._sample:
            predicted = self._module.sample(
                state, action, rng.integers(2**31, size=2, dtype=np.int32)
            )
        else:
            predicted = self._module(state, action)
        after, reward = predicted["next_observation"].numpy(), predicted["reward"].numpy()
        finite = np.isfinite(after).all(axis=1) & np.isfinite(reward)
        after, reward = np.where(finite[:, np.newaxis], after, state), np.where(finite, reward, 0.0)
        return after, reward.astype(np.float64), predicted["terminated"].numpy() | ~finite


class LearnedEnv(gymnasium.Env):
    """Episodes in a learned model: they start where real ones did, and terminate by the export's
      rule.

    Observations `[D]` float32, actions `[A]` and rewards are in the units of the environment that
    the model learned; actions out of bounds are clipped. An episode is a function of the seed given
    to `reset` and of its actions.

    Args:
      export_dir: a dynamics export, e.g. `runs/Hopper-v5/vagram/0/export/dynamics/15000`.
      horizon: steps after which an episode is truncated.
      sample: draw next state and reward from the model's distribution; otherwise take its means.

    Raises:
      ValueError: in one sentence, if the directory holds no such export or it cannot be used.
    """

    metadata: dict[str, Any] = {"render_modes": []}

    def __init__(self, export_dir: str | os.PathLike[str], horizon: int, sample: bool = True):
        self._model = _Model(export_dir, horizon, sample)
        self.observation_space = self._model.observation_space
        self.action_space = self._model.action_space
        self._state: np.ndarray | None = None
        self._steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts an episode; `options` are ignored."""
        super().reset(seed=seed)
        self._state, self._steps = self._model.start(1, self.np_random), 0
        return self._state[0].copy(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Takes one step.

        Raises:
          ValueError: the action is not A finite numbers.
          gymnasium.error.ResetNeeded: no episode has been started.
        """
        if self._state is None:
            raise gymnasium.error.ResetNeeded("call reset before step")
        self._state, reward, terminated = self._model.step(
            self._state, np.asarray(action)[np.newaxis], self.np_random
        )
        self._steps += 1
        truncated = self._steps >= self._model.horizon
        return self._state[0].copy(), float(reward[0]), bool(terminated[0]), truncated, {}


class LearnedVectorEnv(VectorEnv):
    """Many `LearnedEnv`s that take their steps in one call of the model.

    A sub-environment whose episode has ended starts the next one at the next step, whatever its
    action, without a reward (Gymnasium's `AutoresetMode.NEXT_STEP`).

    Args:
      export_dir: a dynamics export.
      num_envs: B.
      horizon: steps after which an episode is truncated.
      sample: draw next states and rewards from the model's distribution; otherwise take its means.

    Raises:
      ValueError: as `LearnedEnv`.
    """

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.NEXT_STEP, "render_modes": []}

    def __init__(
        self, export_dir: str | os.PathLike[str], num_envs: int, horizon: int, sample: bool = True
    ):
        if num_envs < 1:
            raise ValueError(f"num_envs must be at least 1, got {num_envs}")
        self._model = _Model(export_dir, horizon, sample)
        self.num_envs = num_envs
        self.single_observation_space = self._model.observation_space
        self.single_action_space = self._model.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._states: np.ndarray | None = None
        self._steps = np.zeros(num_envs, int)
        self._ended = np.zeros(num_envs, bool)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts an episode in every sub-environment; one seed serves them all, `options` are
        ignored.
        """
        super().reset(seed=seed)
        self._states = self._model.start(self.num_envs, self.np_random)
        self._steps[:], self._ended[:] = 0, False
        return self._states.copy(), {}

    def step(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Takes one step in every sub-environment, or starts its next episode.

        Raises:
          ValueError: the actions are not finite numbers `[B, A]`.
          gymnasium.error.ResetNeeded: no episode has been started.
        """
        if self._states is None:
            raise gymnasium.error.ResetNeeded("call reset before step")
        starting = self._ended
        after, reward, terminated = self._model.step(self._states, actions, self.np_random)
        self._states = np.where(
            starting[:, np.newaxis], self._model.start(self.num_envs, self.np_random), after
        )
        self._steps = np.where(starting, 0, self._steps + 1)
        terminated &= ~starting
        truncated = self._steps >= self._model.horizon
        self._ended = terminated | truncated
        return self._states.copy(), np.where(starting, 0.0, reward), terminated, truncated, {}


gymnasium.register(
    "vagram_tf/LearnedEnv-v0",
    "vagram_tf.export.learned_env:LearnedEnv",
    vector_entry_point="vagram_tf.export.learned_env:LearnedVectorEnv",
)

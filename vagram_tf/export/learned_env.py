"""An exported dynamics model as a Gymnasium environment, single and vectorised.

    env = vagram_tf.LearnedEnv("export/dynamics/4000", horizon=200)
    gymnasium.make("vagram_tf.export.learned_env:vagram_tf/LearnedEnv-v0",
                   export_dir="export/dynamics/4000", horizon=200)

Needs Gymnasium, and TensorFlow to run the model; nothing of the rest of the package but what reads
exports, unless something is drawn.
"""

import os
import sys
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from vagram_tf.export.load import START_STATES, environment_of, newest_of_run, open_export

if TYPE_CHECKING:
    from vagram_tf.export.pictures import Pictures

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


def _numbers(name: str, given: Any, *shapes: tuple[int, ...]) -> np.ndarray:
    """Returns what is given as an array; raises ValueError unless it holds numbers that float32 can
    take, in one of the shapes.
    """
    array = np.asarray(given)
    fits = array.shape in shapes and array.dtype.kind in "fiu"
    if not fits or not (np.abs(array) <= _LARGEST).all():
        expected = " or ".join(str(list(shape)) for shape in shapes)
        shown = " ".join(np.array2string(array, threshold=10).split())
        raise ValueError(f"{name} must be finite numbers of shape {expected}, got {shown}")
    return array


class _Model:
    """An exported dynamics model, opened, with its spaces.

    Args:
      export_dir: a dynamics export, or a run's directory.
      horizon: steps after which an episode is cut off, None for the task's own limit.
      sample: draw next state and reward from the model's distribution; otherwise take its means.

    Raises:
      ValueError: in one sentence, if there is no such export or it cannot be used, or the horizon
        is not positive or unknown.
    """

    def __init__(self, export_dir: str | os.PathLike[str], horizon: int | None, sample: bool):
        if horizon is not None and horizon < 1:
            raise ValueError(f"horizon must be at least 1, got {horizon}")
        _check_process()
        directory = newest_of_run(export_dir, "dynamics")
        export = open_export(directory, "dynamics")
        # Which exports of version 0.1 do not name.
        limit = export.metadata.get("horizon") if horizon is None else horizon
        if limit is None:
            raise ValueError(f"{directory} names no limit of its task's episodes: give a horizon")
        self.horizon: int = limit
        self._arguments = (directory.resolve(), limit, sample)
        low, high = (
            np.array(export.metadata[name], np.float32) for name in ("action_low", "action_high")
        )
        self.action_space = gymnasium.spaces.Box(low, high, dtype=np.float32)
        size = (export.metadata["observation_size"],)
        # Any finite number.
        self.observation_space = gymnasium.spaces.Box(-_LARGEST, _LARGEST, size, np.float32)
        self._module, self._sample, self._metadata = export.module, sample, export.metadata
        self._start_states = np.load(directory / START_STATES, allow_pickle=False)
        if len(self._start_states) == 0:
            raise ValueError(
                f"{directory} holds no start states: no episode had begun when it was written"
            )

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Model":
        """Copies share the model, which nothing changes."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Unpickled, it opens the export again, which must still be there."""
        return _Model, self._arguments

    def pictures(self, render_mode: str | None) -> "Pictures | None":
        """Returns what draws imagined episodes, None where nothing is to be drawn.

        Raises:
          ValueError: there is no such mode.
          vagram_tf.envs.rendering.RenderingUnavailable: OpenGL is missing.
        """
        if render_mode is None:
            return None
        if render_mode != "rgb_array":
            raise ValueError(f"render_mode must be None or 'rgb_array', got {render_mode!r}")
        from vagram_tf.export.pictures import Pictures

        known = self._metadata["environment"] is not None
        task = environment_of(self._metadata) if known else None
        return Pictures(task, self._metadata["dimension_names"])

    def start(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Returns states `[count, D]` that real episodes started from."""
        return self._start_states[rng.integers(len(self._start_states), size=count)]

    def first(
        self, count: int, options: dict[str, Any] | None, rng: np.random.Generator
    ) -> np.ndarray:
        """Returns the states `[count, D]` that `reset` starts from: those that its options name, or
        real ones.

        Raises:
          ValueError: there is no such option, or the states are not numbers `[D]` or `[count, D]`.
        """
        options = options or {}
        if unknown := sorted(set(options) - {"state"}, key=str):
            raise ValueError(f"reset has no option {unknown[0]!r}; there is 'state'")
        if "state" not in options:
            return self.start(count, rng)
        (size,) = self.observation_space.shape
        state = _numbers("state", options["state"], (size,), (count, size))
        return np.broadcast_to(state, (count, size)).astype(np.float32)

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
        action = _numbers("actions", action, (len(state), *self.action_space.shape))
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
    the model learned; actions out of bounds are clipped. An episode is a function of the seed and
    the state given to `reset` and of its actions.

    Args:
      export_dir: a dynamics export, e.g. `runs/Hopper-v5/vagram/0/export/dynamics/15000`, or a
        run's directory, of which the newest is taken.
      horizon: steps after which an episode is truncated; by default where the real environment cuts
        its episodes off.
      sample: draw next state and reward from the model's distribution; otherwise take its means.
      render_mode: "rgb_array" to draw: a MuJoCo task, or Pendulum-v1, in the imagined state, where
        the observation holds it, else a plot of the episode's observations. Copies share what
        draws.

    Raises:
      ValueError: in one sentence, if the directory holds no such export or it cannot be used, no
        horizon is known, or a number or the mode cannot be.
      vagram_tf.envs.rendering.RenderingUnavailable: the task could be drawn, but OpenGL is missing.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 30}

    def __init__(
        self,
        export_dir: str | os.PathLike[str],
        horizon: int | None = None,
        sample: bool = True,
        render_mode: str | None = None,
    ):
        self._model = _Model(export_dir, horizon, sample)
        self.observation_space = self._model.observation_space
        self.action_space = self._model.action_space
        self.render_mode, self._pictures = render_mode, self._model.pictures(render_mode)
        if self._pictures:
            self.metadata = self.metadata | {"render_fps": self._pictures.frames_per_second}
        self._state: np.ndarray | None = None
        self._steps = 0
        self._seen: list[np.ndarray] = []  # the episode's states, where it is drawn

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts an episode.

        Args:
          seed: of all that is random until the next seed.
          options: `{"state": s}` starts from that state `[D]`, rounded to float32.

        Raises:
          ValueError: there is no such option, or the state is not D finite numbers.
        """
        super().reset(seed=seed)
        self._state, self._steps = self._model.first(1, options, self.np_random), 0
        self._seen = [self._state] if self._pictures else []
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
        if self._pictures:
            self._seen.append(self._state)
        truncated = self._steps >= self._model.horizon
        return self._state[0].copy(), float(reward[0]), bool(terminated[0]), truncated, {}

    def render(self) -> np.ndarray | None:  # type: ignore[override]
        """Returns a picture, uint8 `[height, width, 3]`, of where the episode is; None without a
        render mode.

        Raises:
          gymnasium.error.ResetNeeded: no episode has been started.
          vagram_tf.envs.rendering.RenderingUnavailable: the process that draws has ended.
        """
        if self._pictures is None:
            return None
        if not self._seen:
            raise gymnasium.error.ResetNeeded("call reset before render")
        return self._pictures.draw(np.concatenate(self._seen))

    def close(self) -> None:
        """Lets go of what draws."""
        self._pictures = None


class LearnedVectorEnv(VectorEnv):
    """Many `LearnedEnv`s that take their steps in one call of the model.

    A sub-environment whose episode has ended starts the next one at the next step, whatever its
    action, without a reward (Gymnasium's `AutoresetMode.NEXT_STEP`).

    Args:
      export_dir, horizon, sample, render_mode: as `LearnedEnv`.
      num_envs: B.

    Raises:
      ValueError, RenderingUnavailable: as `LearnedEnv`.
    """

    metadata: dict[str, Any] = {
        **LearnedEnv.metadata,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        export_dir: str | os.PathLike[str],
        num_envs: int,
        horizon: int | None = None,
        sample: bool = True,
        render_mode: str | None = None,
    ):
        if num_envs < 1:
            raise ValueError(f"num_envs must be at least 1, got {num_envs}")
        self._model = _Model(export_dir, horizon, sample)
        self.num_envs = num_envs
        self.single_observation_space = self._model.observation_space
        self.single_action_space = self._model.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.render_mode, self._pictures = render_mode, self._model.pictures(render_mode)
        if self._pictures:
            self.metadata = self.metadata | {"render_fps": self._pictures.frames_per_second}
        self._states: np.ndarray | None = None
        self._seen: list[np.ndarray] = []  # the last states of all, where they are drawn
        self._steps = np.zeros(num_envs, int)
        self._ended = np.zeros(num_envs, bool)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts an episode in every sub-environment; those after it start where real ones did.

        Args:
          seed: one for them all.
          options: `{"state": s}` starts from states `[B, D]`, or all from one `[D]`, rounded to
            float32.

        Raises:
          ValueError: there is no such option, or the states are not such finite numbers.
        """
        super().reset(seed=seed)
        self._states = self._model.first(self.num_envs, options, self.np_random)
        self._steps[:], self._ended[:] = 0, False
        self._seen = [self._states] if self._pictures else []
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
        if self._pictures:
            self._seen = [*self._seen, self._states][-1 - int(self._steps.max()) :]
        terminated &= ~starting
        truncated = self._steps >= self._model.horizon
        self._ended = terminated | truncated
        return self._states.copy(), np.where(starting, 0.0, reward), terminated, truncated, {}

    def render(self) -> tuple[np.ndarray, ...] | None:
        """Returns a picture of each sub-environment, as `LearnedEnv` does; None without a render
        mode.
        """
        if self._pictures is None:
            return None
        if not self._seen:
            raise gymnasium.error.ResetNeeded("call reset before render")
        seen = np.stack(self._seen, axis=1)
        return tuple(
            self._pictures.draw(one[-1 - steps :])
            for one, steps in zip(seen, self._steps, strict=True)
        )

    def close_extras(self, **kwargs: Any) -> None:
        """Lets go of what draws."""
        self._pictures = None


gymnasium.register(
    "vagram_tf/LearnedEnv-v0",
    "vagram_tf.export.learned_env:LearnedEnv",
    vector_entry_point="vagram_tf.export.learned_env:LearnedVectorEnv",
)

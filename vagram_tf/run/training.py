"""A run, from Python: it learns, is evaluated, asked and exported, and continues where it
stopped.
"""

import contextlib
import functools
import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
import tensorflow as tf

from vagram_tf import files, quiet
from vagram_tf.config import Config
from vagram_tf.dyna import Dyna
from vagram_tf.envs import trial
from vagram_tf.envs.action_range import ActionRange
from vagram_tf.envs.episodes import Evaluation, Stopped
from vagram_tf.envs.run_environments import EnvironmentFactory
from vagram_tf.export.dynamics import DynamicsFunctions
from vagram_tf.run import exports
from vagram_tf.run.checkpoint import Checkpoints
from vagram_tf.run.directory import RunDirectory
from vagram_tf.run.logbook import Logbook
from vagram_tf.run.progress import Progress
from vagram_tf.versions import difference, versions

Callback = Callable[["Training"], bool | None]
"""Called after each step; what is true ends the call of `learn`."""


class Training:
    """Builds a run, or continues it from its newest checkpoint.

        with vagram_tf.Training(vagram_tf.preset("InvertedPendulum-v5"), "runs") as run:
            run.learn(1500)
            print(run.evaluate())

    It lives in `<workdir>/<env>/<loss>/<seed>/`, which one process at a time may use. Observations
    `[D]` or `[B, D]` and actions `[A]` or `[B, A]` are in the environment's units.

    Args:
      config: the run.
      workdir: what all runs live under, or this run's directory, opened.
      env: makes the environment, where it is not the one that `config` names. It is called once for
        training and once for each episode of an evaluation. There is no video of it, since other
        processes cannot make it.

    Attributes:
      config: the run.
      dyna: its loop, for whoever wants to look inside.
      evaluation: the last one in this process, None before.
      exports: where the last export is, by kind.
      resumed_step: the environment step that it has continued from, 0 for its start.

    Raises:
      ValueError: the environment or the objective is unknown or unsupported; the directory is in
        use, or belongs to another configuration.
      CheckpointError: there are checkpoints and none can be used.
      OSError: the directory cannot be written.
    """

    def __init__(
        self,
        config: Config,
        workdir: str | os.PathLike[str] | RunDirectory = "runs",
        env: EnvironmentFactory | None = None,
    ):
        quiet.set_threads(config.run.threads)
        self.config = config
        self._directory = (
            workdir if isinstance(workdir, RunDirectory) else RunDirectory(workdir, config)
        )
        with contextlib.ExitStack() as unfinished:
            unfinished.callback(self._directory.close)
            self.dyna = Dyna(config, env)
            unfinished.callback(self.dyna.close)
            self._checkpoints = Checkpoints(self._directory.checkpoints, **self.dyna.state)
            self.resumed_step = self._checkpoints.restore() or 0
            if self.resumed_step:
                _warn(difference(self._checkpoints.facts.get("versions", {})))
            self._directory.accept(config)
            self._log = Logbook(self.dyna, self._directory.path, self.resumed_step)
            unfinished.pop_all()
        self._begun = False
        # What a checkpoint's step leads to comes after the checkpoint, and is done once more.
        self._unsettled = self.resumed_step > 0
        self.evaluation: Evaluation | None = None
        self.exports: dict[str, Path] = {}
        self._saved_step = self.resumed_step
        self._start = time.perf_counter()

    @property
    def directory(self) -> Path:
        """Where the run lives."""
        return self._directory.path

    @property
    def env_step(self) -> int:
        """Steps taken in the environment, the random ones included."""
        return self.dyna.env_step if self._begun else self.resumed_step

    @property
    def last_step(self) -> int:
        """The environment step that the configuration ends at."""
        return self.config.dyna.random_steps + self.config.dyna.num_steps

    @property
    def done(self) -> bool:
        """Whether it has taken all the steps of its configuration."""
        return self.env_step >= self.last_step

    @property
    def complete(self) -> bool:
        """Whether its last step has been evaluated and exported, too."""
        return self.done and not self._unsettled

    @property
    def seconds(self) -> float:
        """Wall time since this process built the run."""
        return time.perf_counter() - self._start

    @property
    def last_checkpoint_text(self) -> str:
        """Says which checkpoint a new start would continue from."""
        steps = self._checkpoints.steps()
        if not steps:
            return "there is no checkpoint yet"
        return f"the last checkpoint is {self._directory.checkpoints / str(steps[-1])}"

    def learn(
        self,
        steps: int | None = None,
        callback: Callback | None = None,
        progress_bar: bool = False,
        stop: Callable[[], bool] = lambda: False,
    ) -> "Training":
        """Takes steps in the environment, with the fits and updates that are due, and saves a
        checkpoint at the end.

        At the last step of the configuration it evaluates and exports, too.

        Args:
          steps: environment steps, the random ones included; all that are left by default. More
            than are left raise the configuration's `num_steps`.
          callback: called after each step; if it returns true, that was the last.
          progress_bar: show how far it is; see `Progress`.
          stop: asked at each step, and inside of evaluations, too, whose rest is then played when
            the run is continued; if it returns true, the step was the last.

        Raises:
          EnvironmentFault, Diverged: see `Dyna.step`. The last checkpoint stays.
          OSError: something could not be written. The last checkpoint stays.
          ValueError: `steps` is negative.
        """
        self._begin()
        end, callbacks = self._end_of(steps), [callback] if callback else []
        self._log.restart_clock()
        try:
            if progress_bar:
                with Progress(self, end) as progress:
                    self._take_steps(end, [progress.show, *callbacks], stop)
            else:
                self._take_steps(end, callbacks, stop)
            self._save()
        except BaseException:
            with contextlib.suppress(OSError):  # it must not hide what went wrong
                self._log.flush()
            raise
        return self

    def evaluate(self) -> Evaluation:
        """Plays `eval_episodes` greedy episodes, the same ones whenever it is asked at this step.

        Returns:
          Their returns, undiscounted, and lengths.

        Raises:
          EnvironmentFault: the environment failed.
        """
        self._begin()
        self.evaluation = self.dyna.evaluate()
        return self.evaluation

    def policy(self, observation: np.ndarray) -> np.ndarray:
        """Returns the greedy action.

        Raises:
          ValueError: here and in `value` and `dynamics`, an observation or an action is of another
            size, or not finite.
        """
        batch, single = self._observations(observation)
        action = self._action_range.from_unit(self.dyna.agent.act_greedily(batch)).numpy()
        return action[0] if single else action

    def value(self, observation: np.ndarray) -> np.ndarray:
        """Returns what the policy earns from there, discounted: the mean over both critics, `[]` or
        `[B]`.
        """
        batch, single = self._observations(observation)
        value = np.mean(
            [function(batch) for function in self.dyna.agent.values_of("critics")], axis=0
        )
        return value[0] if single else value

    def dynamics(self, observation: np.ndarray, action: np.ndarray) -> dict[str, np.ndarray]:
        """Asks the model, as it is now, what follows.

        Returns:
          What the call of an exported model returns: `next_observation`, the mean over the elites,
          and its standard deviation `next_observation_stddev`, `[D]` or `[B, D]`; `reward` and
          `terminated`, `[]` or `[B]`.

        Raises:
          ValueError: the run learns no model, too.
        """
        self.dyna.check_model()
        batch, single = self._observations(observation)
        actions, _ = _batch("action", action, self.dyna.action_space.shape[0])
        if len(actions) != len(batch):
            raise ValueError(f"there are {len(batch)} observations and {len(actions)} actions")
        answer = self._live_model.predict(batch, actions)
        predicted = {name: value.numpy() for name, value in answer.items()}
        return {name: value[0] for name, value in predicted.items()} if single else predicted

    def export(self, directory: str | os.PathLike[str] | None = None) -> dict[str, Path]:
        """Writes SavedModels of the policy, and of the model where one is learned.

        Args:
          directory: they become `<directory>/<kind>/<environment step>`; the run's own `export/` by
            default.

        Returns:
          Where they are: `dynamics`, `policy`, and `tf_agents_policy` as TF-Agents loads it.

        Raises:
          OSError: they cannot be written.
          ValueError: TensorFlow could not read them there.
        """
        self._begin()
        place = self._directory.export if directory is None else files.path(directory)
        files.check_tensorflow_reads(place)
        mean_return = None if self.evaluation is None else float(np.mean(self.evaluation.returns))
        with self.dyna.clock("export"):
            self.exports = exports.export(self.dyna, place, mean_return)
        return self.exports

    def close(self) -> None:
        """Closes the logs and the environments, and lets other processes have the directory.

        Raises:
          OSError: the logs could not be written.
        """
        try:
            self._log.close()
        finally:
            self.dyna.close()
            self._directory.close()

    def __enter__(self) -> "Training":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # It must not hide the error.
        with contextlib.suppress(OSError) if error else contextlib.nullcontext():
            self.close()

    def _observations(self, values: np.ndarray) -> tuple[tf.Tensor, bool]:
        return _batch("observation", values, len(self.dyna.dimension_names))

    @functools.cached_property
    def _action_range(self) -> ActionRange:
        return ActionRange(self.dyna.action_space)

    @functools.cached_property
    def _live_model(self) -> DynamicsFunctions:
        """Reads the weights as they are at every call."""
        ensemble = self.dyna.ensemble
        return DynamicsFunctions(
            ensemble,
            lambda: ensemble.network(ensemble.elites),
            self.dyna.termination,
            self._action_range,
        )

    def _begin(self) -> None:
        """Looks at the environment, and reopens the episode that a checkpoint has left open. Not
        while building: it takes the environment's time.
        """
        if self._begun:
            return
        environments, config = self.dyna.environments, self.config.env
        judged = environments.evaluation[0]
        _warn(trial.duration(judged.name, environments.time_limit, config))
        _warn(trial.repetition(judged, self.dyna.dimension_names))
        if self.resumed_step:
            self.dyna.thaw()
        self._begun = True

    def _end_of(self, steps: int | None) -> int:
        """Returns the environment step that `learn` ends at, and makes sure that the configuration
        goes that far.
        """
        if steps is None:
            return self.last_step
        if steps < 0:
            raise ValueError(f"steps must be at least 0, got {steps}")
        end = self.env_step + steps
        if end > self.last_step:
            self.config = self.config.replace(num_steps=end - self.config.dyna.random_steps)
            self.dyna.config = self.config
            self._directory.accept(self.config)
        return end

    def _take_steps(
        self, end: int, callbacks: Sequence[Callback], stop: Callable[[], bool]
    ) -> None:
        """Takes steps up to an environment step, or until it is to stop or a callback has returned
        true.
        """
        self._settle(stop)
        while self.env_step < end and not stop():
            self._step()
            self._settle(stop)
            if any([callback(self) for callback in callbacks]):  # all of them are called
                break

    def _step(self) -> None:
        self._log.note_step(self.dyna.step())
        self._unsettled = True
        if self.dyna.training_step == 0:
            self._look_at_random_steps()
        if self.done or self._due(self.config.run.checkpoint_every):
            self._save()

    def _look_at_random_steps(self) -> None:
        """Warns of what a model or an agent could not learn from them."""
        environment = self.dyna.environment
        seen = environment.lowest, environment.highest, self.dyna.dimension_names
        origin, agent = self.config.env.observation_origin, self.config.agent
        for concern in trial.sizes(*seen, origin, agent.observation_normalization):
            _warn(concern)
        if self.dyna.termination_kind == "known":
            seen_steps = self.dyna.real.all()
            said = self.dyna.termination(seen_steps.next_observation).numpy()
            _warn(trial.ends(said, seen_steps.discount.numpy() == 0.0))

    def _settle(self, stop: Callable[[], bool]) -> None:
        """Evaluates and exports where that is due after a step, unless it has been done."""
        if not self._unsettled:
            return
        exporting = self._due_in_training(self.config.run.export_every)
        noted = self._log.last_evaluation == self.env_step
        # An export says what its policy earns: after a resume, that is played once more.
        if self._due_in_training(self.config.run.eval_every) and (exporting or not noted):
            try:
                self.evaluation = self.dyna.evaluate(stop)
            except Stopped:
                return
            if not noted:
                self._log.note_evaluation(self.evaluation)
        if exporting:
            self.export()
        self._unsettled = False

    def _due_in_training(self, every: int) -> bool:
        """Whether something is due that happens at the end and, after the random steps, every so
        many environment steps.
        """
        trained = self.env_step > self.config.dyna.random_steps
        return self.done or (trained and self._due(every))

    def _due(self, every: int) -> bool:
        """Whether something that happens every so many environment steps is due."""
        return every > 0 and self.env_step % every == 0

    def _save(self) -> None:
        step = self.env_step
        if step == self._saved_step:
            return
        with self.dyna.clock("save"):
            self._log.flush()  # what the checkpoint has seen is on disk before it
            self.dyna.freeze()
            self._checkpoints.save(step, {"versions": versions()})
        self._saved_step = step


def _warn(concern: str | None) -> None:
    if concern:
        logging.warning("%s", concern)


def _batch(what: str, values: np.ndarray, size: int) -> tuple[tf.Tensor, bool]:
    """Returns `[size]` or `[B, size]` as `[B, size]`, and whether it was a single one.

    Raises:
      ValueError: it has another shape, or is not finite.
    """
    array = np.asarray(values, np.float32)
    if array.ndim not in (1, 2) or array.shape[-1] != size:
        raise ValueError(f"{what} must be [{size}] or [B, {size}], got {list(array.shape)}")
    if not np.isfinite(array).all():
        raise ValueError(f"{what} must be finite")
    return tf.constant(np.atleast_2d(array)), array.ndim == 1

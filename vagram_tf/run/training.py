"""Runs a Dyna loop in a directory: logs, evaluations, checkpoints, exports, and continuing where it stopped."""

import contextlib
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import vagram_tf
from vagram_tf.config import Config
from vagram_tf.dyna import Dyna
from vagram_tf.envs.action_range import ActionRange
from vagram_tf.envs.episodes import Evaluation
from vagram_tf.export.dynamics import ExportedDynamics, start_states
from vagram_tf.export.load import FORMAT
from vagram_tf.export.policy import ExportedPolicy, TFAgentsPolicy
from vagram_tf.export.save import save
from vagram_tf.model.learned_termination import LearnedTermination
from vagram_tf.run import board
from vagram_tf.run.checkpoint import Checkpoints
from vagram_tf.run.directory import RunDirectory, config_hash
from vagram_tf.run.metrics import Metrics

_LOG_EVERY = 250  # environment steps between TensorBoard points of the quantities that change with every step
_DRAW_EVERY = 1000  # environment steps from which on an evaluation is drawn, too: pictures take longer than numbers

# progress.csv column -> the TensorBoard scalar that it repeats
_PROGRESS = {
    "model_holdout_loss": "model/holdout_loss",
    "model_holdout_mse": "model/holdout_mse",
    "critic_loss": "train/critic_loss",
    "actor_loss": "train/actor_loss",
    "temperature": "train/ent_coef",
    "q_mean": "train/q_mean",
    "rollout_length": "model/rollout_length",
    "imagined_share": "train/imagined_share",
}


class Outcome(NamedTuple):
    """How a run ended.

    Attributes:
      finished: all steps were taken; otherwise it was asked to stop and can be continued.
      evaluation: of the last evaluation, None if there was none in this process.
      exports: directories of the exports of the policy and of the dynamics that were learned, if finished.
    """

    finished: bool
    evaluation: Evaluation | None
    exports: dict[str, Path]


class Training:
    """Builds a run, or continues it from its newest checkpoint.

    Args:
      config: the run.
      directory: where it lives.

    Raises:
      ValueError: the environment or the objective is unknown or unsupported.
      CheckpointError: there are checkpoints and none can be used.
    """

    def __init__(self, config: Config, directory: RunDirectory):
        self.config, self._directory = config, directory
        self.dyna = Dyna(config)
        self._checkpoints = Checkpoints(directory.checkpoints, **self.dyna.state)
        self.resumed_step = self._checkpoints.restore() or 0
        self._metrics = Metrics(directory.path, self.resumed_step)
        self._metrics.describe(config)
        self.evaluation: Evaluation | None = None
        self._saved_step = self.resumed_step
        self._start = time.perf_counter()

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

    def run(self, on_step: Callable[["Training"], None], should_stop: Callable[[], bool] = lambda: False) -> Outcome:
        """Reopens the episode that a checkpoint left open, and takes the remaining steps.

        Args:
          on_step: called after each, for a progress display.
          should_stop: asked before each; when true, the run is checkpointed and returns.

        Raises:
          EnvironmentFault, Diverged: see `Dyna.step`. The last checkpoint stays.
          OSError: something could not be written. The last checkpoint stays.
        """
        try:
            if self.resumed_step:
                self.dyna.thaw()
            finished = self._train(on_step, should_stop)
            if finished and self.evaluation is None:  # the run was already complete
                self.evaluation = self.dyna.evaluate()
            exports = self._export() if finished else {}
        except BaseException:
            with contextlib.suppress(OSError):  # it must not hide what went wrong
                self._metrics.close()
            raise
        self._metrics.close()
        return Outcome(finished, self.evaluation, exports)

    def _train(self, on_step: Callable[["Training"], None], should_stop: Callable[[], bool]) -> bool:
        """Takes steps until the run is complete (true) or asked to stop (false)."""
        clock = _Rate(self.dyna.env_step)
        while not self.dyna.done and not should_stop():
            self._log(self.dyna.step(), clock)
            trained = self.dyna.training_step > 0
            if self.dyna.done or (trained and self._due(self.config.run.eval_every)):
                self._evaluate()
            if trained and not self.dyna.done and self._due(self.config.run.export_every):
                self._export()
            if self._due(self.config.run.checkpoint_every):
                self._save()
            on_step(self)
        self._save()
        return self.dyna.done

    def _due(self, every: int) -> bool:
        """Whether something that happens every so many environment steps is due."""
        return every > 0 and self.dyna.env_step % every == 0

    def _log(self, metrics: dict[str, float], clock: "_Rate") -> None:
        step = self.dyna.env_step
        logged = {name: value for name, value in metrics.items() if name.startswith("model/")}
        if step % _LOG_EVERY == 0 or self.dyna.done:
            logged |= {name: value for name, value in self.dyna.latest.items() if not name.startswith("model/")}
            logged["time/fps"] = clock.steps_per_second(step)
        if logged:
            self._metrics.scalars(step, logged)
        if "model/holdout_mse" in metrics:  # the step began with a fit
            board.show_fit(self.dyna, self._metrics)

    def _evaluate(self) -> None:
        self.evaluation = self.dyna.evaluate()
        returns, lengths = self.evaluation
        step = self.dyna.env_step
        self._metrics.scalars(step, {
            "eval/mean_reward": returns.mean(), "eval/std_reward": returns.std(),
            "eval/mean_ep_length": lengths.mean()})
        latest = {column: self.dyna.latest[name] for column, name in _PROGRESS.items() if name in self.dyna.latest}
        self._metrics.progress(step, {
            "mean_return": returns.mean(), "stddev_return": returns.std(), "mean_length": lengths.mean(), **latest})
        if self.dyna.done or step // _DRAW_EVERY > (step - self.config.run.eval_every) // _DRAW_EVERY:
            board.show_pictures(self.dyna, self._metrics)

    def _save(self) -> None:
        step = self.dyna.env_step
        if step == self._saved_step:
            return
        self._metrics.flush()  # what the checkpoint has seen is on disk before it
        self.dyna.freeze()
        self._checkpoints.save(step, {"config_hash": config_hash(self.config), "versions": versions()})
        self._saved_step = step

    def _export(self) -> dict[str, Path]:
        """Exports the policy, and the dynamics that were learned, under the environment step; returns where."""
        dyna, step = self.dyna, str(self.dyna.env_step)
        size, action_range = len(dyna.dimension_names), ActionRange(dyna.action_space)
        modules: dict[str, ExportedDynamics | ExportedPolicy | TFAgentsPolicy] = {}
        if dyna.has_model:
            real = dyna.real.all()
            starts = start_states(real.observation.numpy(), real.next_observation.numpy())
            termination = dyna.termination
            if isinstance(termination, LearnedTermination):
                termination = termination.frozen()
            modules["dynamics"] = ExportedDynamics(dyna.ensemble, termination, action_range, starts)
        modules["policy"] = ExportedPolicy(dyna.agent, size, action_range)
        modules["tf_agents_policy"] = TFAgentsPolicy(dyna.agent, size, action_range)
        return {name: save(module, self._directory.export / name / step, self._metadata(name))
                for name, module in modules.items()}

    def _metadata(self, kind: str) -> dict[str, Any]:
        config, dyna = self.config, self.dyna
        evaluated = self.evaluation
        return {
            "format": FORMAT,
            "kind": kind,
            "environment": config.env.name,
            "distractors": config.env.distractors,
            "distractor_kind": config.env.distractor_kind,
            "distractor_seed": config.env.distractor_seed,
            "observation_size": len(dyna.dimension_names),
            "dimension_names": list(dyna.dimension_names),
            "action_low": dyna.action_space.low.tolist(),
            "action_high": dyna.action_space.high.tolist(),
            "units": "observations, actions and rewards as the environment gives them, float32",
            "termination": dyna.termination_kind,
            "loss": config.model.loss,
            "model_hidden_units": list(config.model.model_hidden_units),
            "env_step": dyna.env_step,
            "seed": config.run.seed,
            "mean_return": None if evaluated is None else float(np.mean(evaluated.returns)),
            "config_hash": config_hash(config),
            "versions": versions(),
        }


def versions() -> dict[str, str]:
    """Returns the versions of the packages that a run's numbers depend on."""
    return {"vagram_tf": vagram_tf.__version__} | {name: metadata.version(name) for name in (
        "tensorflow", "tf-keras", "tensorflow-probability", "tf-agents", "gymnasium", "mujoco", "numpy")}


class _Rate:
    """Environment steps per second since it was last asked."""

    def __init__(self, step: int) -> None:
        self._time, self._step = time.perf_counter(), step

    def steps_per_second(self, step: int) -> float:
        now = time.perf_counter()
        rate = (step - self._step) / (now - self._time)
        self._time, self._step = now, step
        return rate

"""What a run writes down while it runs: scalars, a row per evaluation, pictures, each at its
time.
"""

import time
from pathlib import Path

from vagram_tf.dyna import Dyna
from vagram_tf.envs.episodes import Evaluation
from vagram_tf.run import board
from vagram_tf.run.metrics import Metrics

# Environment steps between TensorBoard points of the quantities that change with every step
_LOG_EVERY = 250
# Environment steps from which on an evaluation is drawn, too: pictures take longer than numbers
_DRAW_EVERY = 1000

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


class Logbook:
    """Writes to a run's directory; see `Metrics` for the files.

    Args:
      dyna: the loop.
      directory: the run's.
      resumed_step: the environment step that the run continues from, 0 for its start.

    Raises:
      OSError: something cannot be written, as with every method here.
    """

    def __init__(self, dyna: Dyna, directory: Path, resumed_step: int):
        self._dyna, self._metrics = dyna, Metrics(directory, resumed_step)
        self._metrics.describe(dyna.config)
        self._rate = _Rate(resumed_step)

    @property
    def last_evaluation(self) -> int:
        """Environment step of the newest evaluation that has been written, 0 before."""
        return self._metrics.last_evaluation

    def note_step(self, metrics: dict[str, float]) -> None:
        """Writes what is due after a step, in which there were these metrics."""
        step = self._dyna.env_step
        logged = {name: value for name, value in metrics.items() if name.startswith("model/")}
        if step % _LOG_EVERY == 0 or self._dyna.done:
            latest = self._dyna.latest.items()
            logged |= {name: value for name, value in latest if not name.startswith("model/")}
            logged["time/fps"] = self._rate.steps_per_second(step)
        if logged:
            self._metrics.scalars(step, logged)
        if "model/holdout_mse" in metrics:  # the step began with a fit
            board.show_fit(self._dyna, self._metrics)

    def note_evaluation(self, evaluation: Evaluation) -> None:
        """Writes an evaluation's scalars, pictures where they are due, and its row, in this order:
        an evaluation that has a row is whole.
        """
        (returns, lengths), step = evaluation, self._dyna.env_step
        self._metrics.scalars(
            step,
            {
                "eval/mean_reward": returns.mean(),
                "eval/std_reward": returns.std(),
                "eval/mean_ep_length": lengths.mean(),
            },
        )
        before = step - self._dyna.config.run.eval_every
        if self._dyna.done or step // _DRAW_EVERY > before // _DRAW_EVERY:
            with self._dyna.clock("draw"):
                board.show_pictures(self._dyna, self._metrics)
        self._metrics.flush()
        latest = self._dyna.latest
        repeated = {column: latest[name] for column, name in _PROGRESS.items() if name in latest}
        self._metrics.progress(
            step,
            {
                "mean_return": returns.mean(),
                "stddev_return": returns.std(),
                "mean_length": lengths.mean(),
                **repeated,
            },
        )

    def restart_clock(self) -> None:
        """Measures the rate of steps from now on."""
        self._rate = _Rate(self._dyna.env_step)

    def flush(self) -> None:
        """Brings everything to the disk."""
        self._metrics.flush()

    def close(self) -> None:
        self._metrics.close()


class _Rate:
    """Environment steps per second since it was last asked."""

    def __init__(self, step: int) -> None:
        self._time, self._step = time.perf_counter(), step

    def steps_per_second(self, step: int) -> float:
        now = time.perf_counter()
        rate = (step - self._step) / (now - self._time)
        self._time, self._step = now, step
        return rate

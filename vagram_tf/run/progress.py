"""How far a run is, while it learns."""

import sys
import time
from collections import deque
from types import TracebackType
from typing import Protocol

from tqdm import auto, std
from tqdm.auto import tqdm

from vagram_tf.config import Config
from vagram_tf.dyna import Dyna
from vagram_tf.envs.episodes import Evaluation

_BAR = (
    "|{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"  # with what is shown beside it, 80 columns
)
_LOG_SECONDS = 30.0  # between two lines of a log
_IN_NOTEBOOK = auto.notebook_tqdm is not std.tqdm


class Run(Protocol):
    """What is shown of a run; see `Training`."""

    config: Config
    dyna: Dyna
    evaluation: Evaluation | None

    @property
    def env_step(self) -> int: ...


class Progress:
    """How far a run is, what it reached, how fast it is: a bar in a terminal and in a notebook, a
    line every 30 seconds in a log.

    The rate is that of the last round from one model fit to the next, so that it holds one fit and
    what follows.

    Args:
      training: the run, before its next step.
      end: the environment step that it is to come to.
    """

    def __init__(self, training: Run, end: int):
        config = training.config
        self._total = end
        self._updates = config.dyna.updates_per_step
        self._evaluation = training.evaluation
        self._times: deque[float] = deque(maxlen=config.dyna.retrain_every + 1)
        self._logged = time.monotonic()
        self._bar = tqdm(
            total=self._total,
            initial=training.env_step,
            bar_format=_BAR,
            dynamic_ncols=True,
            mininterval=0.2,
            disable=not (_IN_NOTEBOOK or sys.stderr.isatty()),
        )

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()

    def show(self, training: Run) -> None:
        """Shows the state after a step."""
        now = time.monotonic()
        if training.dyna.training_step > 0:
            self._times.append(now)
        if not self._bar.disable:
            self._bar.update()
            # The first fit, and with it the compiler, takes seconds in which no step is shown.
            self._bar.set_postfix_str(
                self._state(training), refresh=training.dyna.training_step == 0
            )
        elif now - self._logged >= _LOG_SECONDS:
            self._logged = now
            print(
                f"step {training.dyna.env_step}/{self._total} [{self._state(training)}]",
                file=sys.stderr,
                flush=True,
            )
        if training.evaluation is not None and training.evaluation is not self._evaluation:
            self._evaluation = training.evaluation
            returns, lengths = self._evaluation
            tqdm.write(
                f"step {training.dyna.env_step:>7}   greedy return {returns.mean():8.1f} ± "
                f"{returns.std():.1f}"
                f"   length {lengths.mean():6.1f}   ({len(returns)} episodes)"
            )

    def _state(self, training: Run) -> str:
        latest, episodes, shown = training.dyna.latest, training.dyna.interaction.episodes, []
        if episodes:
            shown.append(f"return {episodes[-1][0]:.0f}")
        if "model/holdout_mse" in latest:
            shown.append(f"model mse {latest['model/holdout_mse']:.2g}")
        if len(self._times) > 1:
            seconds = (self._times[-1] - self._times[0]) / (len(self._times) - 1)
            shown.append(f"{self._updates / seconds:.0f} updates/s")
            shown.append(
                f"{tqdm.format_interval((self._total - training.dyna.env_step) * seconds)} left"
            )
        elif training.dyna.training_step >= 0:
            shown.append("compiling")
        return ", ".join(shown) or "exploring"

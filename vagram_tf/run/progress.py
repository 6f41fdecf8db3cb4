"""How far a run is, while it learns."""

import contextlib
import shutil
import sys
import threading
import time
from collections import deque
from types import TracebackType
from typing import Protocol

from tqdm import auto, std
from tqdm.auto import tqdm

from vagram_tf.config import Config
from vagram_tf.dyna import Dyna
from vagram_tf.envs.episodes import Evaluation

_BAR = "|{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"
_BAR_COLUMNS = 12  # of a terminal, that are the bar's before a field has any
_BAR_SECONDS = 0.2  # between two pictures of the bar
_LOG_SECONDS = 30.0  # between two lines of a log
_SILENT_SECONDS = 1.0  # after which a bar moves without a step
_IN_NOTEBOOK = auto.notebook_tqdm is not std.tqdm

_DOING = {
    "collect": "stepping the environment",
    "fit": "fitting the model",
    "imagine": "imagining rollouts",
    "improve": "improving the policy",
    "evaluate": "evaluating",
    "draw": "drawing",
    "save": "saving",
    "export": "exporting",
}
_COMPILED = ("fit", "imagine", "improve")
_DROPPED = ("rate", "mse", "return", "left")  # where there is no room, in this order


class Run(Protocol):
    """What is shown of a run; see `Training`."""

    config: Config
    dyna: Dyna
    evaluation: Evaluation | None

    @property
    def env_step(self) -> int: ...


class Progress:
    """How far a run is, what it is at, what it reached, how fast it is: a bar in a terminal and in
    a notebook, a line every 30 seconds in a log.

    A thread shows it while a step takes long, as the one does that a fit or the compiler is part
    of. All that it reads are Python's own numbers and texts.

    The rate is that of the last round from one model fit to the next, so that it holds one fit and
    what follows.

    Args:
      training: the run, before its next step.
      end: the environment step that it is to come to.
    """

    def __init__(self, training: Run, end: int):
        self._training, self._total = training, end
        self._evaluation = training.evaluation
        self._times: deque[float] = deque(maxlen=training.config.dyna.retrain_every + 1)
        self._bar = tqdm(
            total=self._total,
            initial=training.env_step,
            bar_format=_BAR,
            ncols=None if _IN_NOTEBOOK else _columns(),
            disable=not (_IN_NOTEBOOK or sys.stderr.isatty()),
        )
        self._drawn = time.monotonic()
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Progress":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        if not self._bar.disable:
            self._draw()
        self._bar.close()

    def show(self, training: Run) -> None:
        """Shows the state after a step."""
        with self._lock:
            now = time.monotonic()
            if training.dyna.training_step > 0:
                self._times.append(now)
            if now - self._drawn >= (_LOG_SECONDS if self._bar.disable else _BAR_SECONDS):
                self._draw()
            if training.evaluation is not None and training.evaluation is not self._evaluation:
                self._evaluation = training.evaluation
                returns, lengths = self._evaluation
                tqdm.write(
                    f"step {training.env_step:>7}   greedy return {returns.mean():8.1f} ± "
                    f"{returns.std():.1f}"
                    f"   length {lengths.mean():6.1f}   ({len(returns)} episodes)"
                )

    def _watch(self) -> None:
        silent = _LOG_SECONDS if self._bar.disable else _SILENT_SECONDS
        with contextlib.suppress(OSError):  # the terminal is gone, which is the run's to say
            while not self._ended.wait(_SILENT_SECONDS):
                with self._lock:
                    if time.monotonic() - self._drawn >= silent:
                        self._draw()

    def _draw(self) -> None:
        self._drawn, step = time.monotonic(), self._training.env_step
        fields = self._fields(step)
        if self._bar.disable:
            line = f"step {step}/{self._total} [{', '.join(fields.values())}]\n"
            sys.stderr.write(line)  # at once, whichever thread writes
            sys.stderr.flush()
        else:
            self._bar.n, self._bar.ncols = step, _columns()
            self._bar.set_postfix_str(", ".join(self._fitting(fields).values()))

    def _fitting(self, fields: dict[str, str]) -> dict[str, str]:
        """Returns the fields that leave room for the bar in this terminal."""
        others = f"|| {self._total}/{self._total} [0:00:00, ]"
        room = _columns() - len(others) - _BAR_COLUMNS
        fields = dict(fields)
        for name in _DROPPED:
            if len(", ".join(fields.values())) > room:
                fields.pop(name, None)
        return fields

    def _fields(self, step: int) -> dict[str, str]:
        """Returns what there is to show, by name."""
        dyna, fields = self._training.dyna, {}
        if doing := self._doing():
            fields["doing"] = doing
        if episodes := dyna.interaction.episodes:
            fields["return"] = f"return {episodes[-1][0]:.0f}"
        if "model/holdout_mse" in dyna.latest:
            fields["mse"] = f"model mse {dyna.latest['model/holdout_mse']:.2g}"
        if len(self._times) > 1:
            seconds = (self._times[-1] - self._times[0]) / (len(self._times) - 1)
            updates = self._training.config.dyna.updates_per_step
            fields["rate"] = f"{updates / seconds:.0f} updates/s"
            if step < self._total:
                left = tqdm.format_interval((self._total - step) * seconds)
                fields["left"] = f"{left} left"
        return fields

    def _doing(self) -> str:
        """Returns what takes so long, where it is more than a step: empty between two steps."""
        dyna = self._training.dyna
        clock, phase = dyna.clock, dyna.clock.phase
        if dyna.training_step < 0 and phase in ("", "collect"):
            return "exploring"
        if not phase:
            return ""
        if phase in _COMPILED and clock.seconds[phase] == 0:
            return f"compiling and {_DOING[phase].split()[0]}"
        return _DOING[phase]


def _columns() -> int:
    """Returns how many columns a line may have without the next one being begun."""
    return shutil.get_terminal_size().columns - 1

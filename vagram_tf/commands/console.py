"""What a person sees of a run in the terminal: progress, a hung environment, closing words."""

import os
import shlex
import shutil
import sys
import threading
import time
from collections import deque
from pathlib import Path
from types import TracebackType

from tqdm import tqdm

from vagram_tf.run.training import Outcome, Training

_BAR = "|{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"  # with what is shown beside it, 80 columns
_LOG_SECONDS = 30.0  # between two lines of a log


class Watchdog:
    """Ends the process when the environment has hung: nothing else gets out of a call that never returns.

    Args:
      training: the run; its last checkpoint stays as it is.
    """

    def __init__(self, training: Training):
        self._training, self._stopped = training, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stopped.set()

    def _watch(self) -> None:
        limit = self._training.config.run.environment_timeout
        while not self._stopped.wait(min(1.0, limit / 4)):
            if self._training.dyna.seconds_in_environment > limit:
                print(f"\nerror: {self._training.config.env.name} has not answered for {limit:g} s at environment step "
                      f"{self._training.dyna.env_step}; {self._training.last_checkpoint_text}", file=sys.stderr)
                sys.stderr.flush()
                os._exit(1)


class Progress:
    """How far a run is, what it reached, how fast it is: a bar in a terminal, a line every 30 seconds in a log.

    The rate is that of the last round from one model fit to the next, so that it holds one fit and what follows.

    Args:
      training: the run, before its first step.
    """

    def __init__(self, training: Training):
        config = training.config
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[attr-defined]  # a log is read while it grows
        self._total = config.dyna.random_steps + config.dyna.num_steps
        self._updates = config.dyna.updates_per_step
        self._evaluation = training.evaluation
        self._times: deque[float] = deque(maxlen=config.dyna.retrain_every + 1)
        self._logged = time.monotonic()
        if training.resumed_step:
            print(f"continuing at environment step {training.resumed_step}")
        self._bar = tqdm(
            total=self._total, initial=training.resumed_step, bar_format=_BAR, dynamic_ncols=True, mininterval=0.2,
            disable=not sys.stderr.isatty())

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def show(self, training: Training) -> None:
        """Shows the state after a step."""
        now = time.monotonic()
        if training.dyna.training_step > 0:
            self._times.append(now)
        if not self._bar.disable:
            self._bar.update()
            # The first fit, and with it the compiler, takes seconds in which no step is shown.
            self._bar.set_postfix_str(self._state(training), refresh=training.dyna.training_step == 0)
        elif now - self._logged >= _LOG_SECONDS:
            self._logged = now
            print(f"step {training.dyna.env_step}/{self._total} [{self._state(training)}]", file=sys.stderr, flush=True)
        if training.evaluation is not None and training.evaluation is not self._evaluation:
            self._evaluation = training.evaluation
            returns, lengths = self._evaluation
            tqdm.write(f"step {training.dyna.env_step:>7}   greedy return {returns.mean():8.1f} ± {returns.std():.1f}"
                       f"   length {lengths.mean():6.1f}   ({len(returns)} episodes)")

    def _state(self, training: Training) -> str:
        latest, episodes, shown = training.dyna.latest, training.dyna.interaction.episodes, []
        if episodes:
            shown.append(f"return {episodes[-1][0]:.0f}")
        if "model/holdout_mse" in latest:
            shown.append(f"model mse {latest['model/holdout_mse']:.2g}")
        if len(self._times) > 1:
            seconds = (self._times[-1] - self._times[0]) / (len(self._times) - 1)
            shown.append(f"{self._updates / seconds:.0f} updates/s")
            shown.append(f"{tqdm.format_interval((self._total - training.dyna.env_step) * seconds)} left")
        elif training.dyna.training_step >= 0:
            shown.append("compiling")
        return ", ".join(shown) or "exploring"


def closing_words(training: Training, outcome: Outcome, directory: Path) -> str:
    """Returns what to say at the end: what was reached, where everything is, what to try next."""
    if not outcome.finished:
        return f"saved at environment step {training.dyna.env_step}; the same command continues the run in {directory}"
    assert outcome.evaluation is not None
    reached, episodes = outcome.evaluation.returns.mean(), len(outcome.evaluation.returns)
    lines = [f"mean greedy return {reached:.1f} over {episodes} episodes after {training.dyna.training_step} training "
             f"steps ({training.dyna.env_step} environment steps, {_duration(training.seconds)})"]
    goal = training.dyna.goal
    if goal is not None:
        verdict = "reached" if reached >= goal else "not reached"
        lines.append(f"the environment's goal of {goal:g}: {verdict}")
    lines += ["", f"progress   {directory / 'progress.csv'}"]
    commands = []
    for kind, program in (("policy", "experiments.evaluate"), ("dynamics", "experiments.inspect_model")):
        if kind in outcome.exports:  # a run without a model has no dynamics
            lines.append(f"{kind:<9}  {outcome.exports[kind]}")
            commands.append([installed("python"), "-m", program, f"--export={outcome.exports[kind]}"])
    commands.append([installed("tensorboard"), "--logdir", str(directory)])
    return "\n".join([*lines, "", "what to try next:", *(f"  {shlex.join(command)}" for command in commands)])


def installed(program: str) -> str:
    """Returns how this shell starts a program of this Python environment: by its name if it is found, else its path."""
    path = Path(sys.executable).with_name(program)
    if shutil.which(program) == str(path):
        return program
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"

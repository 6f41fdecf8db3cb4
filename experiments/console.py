"""What a person sees of a run in the terminal: progress, interruption, closing words."""

import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING

from tqdm import tqdm

if TYPE_CHECKING:
    from vagram_tf.run.training import Outcome, Training


class Interrupts:
    """Turns SIGINT and SIGTERM into a request that the loop asks for; a second Ctrl-C stops at once."""

    def __init__(self) -> None:
        self.by_keyboard = False
        self._requested = False

    def requested(self) -> bool:
        return self._requested

    def __enter__(self) -> "Interrupts":
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._request)
        return self

    def __exit__(self, *_: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)

    def _request(self, number: int, frame: FrameType | None) -> None:
        self._requested = True
        self.by_keyboard = number == signal.SIGINT
        signal.signal(number, signal.SIG_DFL)
        tqdm.write("stopping after this step; the run is saved and can be continued", file=sys.stderr)


class Watchdog:
    """Ends the process when the environment has hung: nothing else gets out of a call that never returns.

    Args:
      training: the run; its last checkpoint stays as it is.
    """

    def __init__(self, training: "Training"):
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
    """A progress bar over environment steps, and a line for every evaluation.

    Args:
      training: the run, before its first step.
    """

    def __init__(self, training: "Training"):
        config = training.config
        total = config.dyna.random_steps + config.dyna.num_steps
        self._evaluation = training.evaluation
        self._updates = config.dyna.updates_per_step
        interactive = sys.stderr.isatty()
        if training.resumed_step:
            print(f"continuing at environment step {training.resumed_step}")
        self._bar = tqdm(
            total=total, initial=training.resumed_step, desc=f"{config.env.name} {config.model.loss}", unit="step",
            dynamic_ncols=True, mininterval=0.2 if interactive else 30, smoothing=0.05)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def show(self, training: "Training") -> None:
        """Shows the state after a step."""
        latest = training.dyna.latest
        shown = {}
        if "rollout/ep_rew_mean" in latest:
            shown["return"] = f"{latest['rollout/ep_rew_mean']:.0f}"
        if "model/holdout_mse" in latest:
            shown["model mse"] = f"{latest['model/holdout_mse']:.2g}"
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update()
        if training.evaluation is not None and training.evaluation is not self._evaluation:
            self._evaluation = training.evaluation
            returns, lengths = self._evaluation
            tqdm.write(f"step {training.dyna.env_step:>7}   greedy return {returns.mean():8.1f} ± {returns.std():.1f}"
                       f"   length {lengths.mean():6.1f}   ({len(returns)} episodes)")


def closing_words(training: "Training", outcome: "Outcome", directory: Path) -> str:
    """Returns what to say at the end: what was reached, where everything is, how to open it."""
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
    lines += [
        "",
        f"progress   {directory / 'progress.csv'}",
        f"dynamics   {outcome.exports['dynamics']}    tf.saved_model.load(...)(observation, action)",
        f"policy     {outcome.exports['policy']}    tf.saved_model.load(...)(observation)",
        f"curves     tensorboard --logdir {directory}",
    ]
    return "\n".join(lines)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"

"""What a person sees of a run in the terminal, beside its progress: a hung environment, closing
words.
"""

import importlib.util
import os
import shlex
import shutil
import sys
import threading
from pathlib import Path

from vagram_tf.run.training import Training


class Watchdog:
    """Ends the process when the environment has hung: nothing else gets out of a call that never
    returns.

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
            if self._training.dyna.environments.seconds_in_call > limit:
                print(
                    f"\nerror: {self._training.config.env.name} has not answered for {limit:g} s "
                    "at environment step "
                    f"{self._training.env_step}; {self._training.last_checkpoint_text}",
                    file=sys.stderr,
                )
                sys.stderr.flush()
                os._exit(1)


def closing_words(training: Training) -> str:
    """Returns what to say at the end: what was reached, where everything is, what to try next."""
    directory = training.directory
    if not training.complete:
        return (
            f"saved at environment step {training.env_step}; the same command continues the "
            f"run in {directory}"
        )
    assert training.evaluation is not None  # it comes with the last step
    reached, episodes = training.evaluation.returns.mean(), len(training.evaluation.returns)
    lines = [
        f"mean greedy return {reached:.1f} over {episodes} episodes after "
        f"{training.dyna.training_step} training "
        f"steps ({training.env_step} environment steps, {_duration(training.seconds)})"
    ]
    goal = training.dyna.goal
    if goal is not None:
        verdict = "reached" if reached >= goal else "not reached"
        lines.append(f"the environment's goal of {goal:g}: {verdict}")
    lines += ["", f"progress   {directory / 'progress.csv'}"]
    missed = goal is not None and reached < goal
    commands = [_longer(training)] if missed else []
    for kind, name in (("policy", "evaluate"), ("dynamics", "inspect_model")):
        if kind in training.exports:  # a run without a model has no dynamics
            lines.append(f"{kind:<9}  {training.exports[kind]}")
            commands.append([*program(name), f"--export={training.exports[kind]}"])
    commands.append([installed("tensorboard"), "--logdir", str(_workdir(training))])
    return "\n".join(
        [*lines, "", "what to try next:", *(f"  {shlex.join(command)}" for command in commands)]
    )


def _longer(training: Training) -> list[str]:
    """Returns the command that continues a run to twice as many training steps."""
    return [
        *program("mbpo"),
        f"--config={training.directory / 'config.json'}",
        f"--workdir={_workdir(training)}",
        f"--num_steps={2 * training.config.dyna.num_steps}",
    ]


def _workdir(training: Training) -> Path:
    return training.directory.parents[2]  # <workdir>/<env>/<loss>/<seed>


def program(name: str) -> list[str]:
    """Returns how one of our programs is started here: as a module in a clone, else by the name of
    the command that is installed.
    """
    try:
        in_clone = importlib.util.find_spec(f"experiments.{name}") is not None
    except ModuleNotFoundError:
        in_clone = False
    if in_clone:
        return [installed("python"), "-m", f"experiments.{name}"]
    command = {"mbpo": "train", "inspect_model": "inspect"}.get(name, name)
    return [installed(f"vagram-{command}")]


def installed(program: str) -> str:
    """Returns how this shell starts a program of this Python environment: by its name if it is
    found, else its path.
    """
    path = Path(sys.executable).with_name(program)
    if shutil.which(program) == str(path):
        return program
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"

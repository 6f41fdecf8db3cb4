"""A whole run in a process that has done nothing before. TensorFlow must be loaded."""

import contextlib
import tempfile
import time
from typing import Any

from experiments.speed.hopper import random_transitions
from experiments.speed.runs import peak_memory_gb
from vagram_tf.config import Config
from vagram_tf.dyna import PHASES
from vagram_tf.run.training import Training

_FILLED_AT_ONCE = 100_000  # transitions


def train(config: Config, stored: int, first: int, last: int | None) -> dict[str, Any]:
    """Trains; see `runs.whole_run`.

    Args:
      config: of the run.
      stored: transitions that are there already, 0 for a run from its start.
      first: environment step from which time is taken.
      last: environment step after which the run is stopped, None for a complete one.
    """
    seconds: dict[str, float] = {}
    start, stop, fit_steps = 0.0, 0.0, 0
    with contextlib.ExitStack() as stack:
        workdir = stack.enter_context(tempfile.TemporaryDirectory())
        training = stack.enter_context(Training(config, workdir))
        dyna = training.dyna
        if stored:
            dyna.real.add(random_transitions(stored))
            dyna.interaction.env_step = stored
            horizon = dyna.cadence.horizon(dyna.training_step)
            dyna.imagined.resize(dyna.cadence.imagined_capacity(max(horizon - 1, 1)))
            while dyna.imagined.size < dyna.imagined.capacity:
                dyna.imagined.add(dyna.real.sample([_FILLED_AT_ONCE]))

        def on_step(training: Training) -> bool:
            nonlocal seconds, start, stop, fit_steps
            stop = time.perf_counter()
            if dyna.env_step == first:
                seconds, start = dict(dyna.clock.seconds), stop
            elif dyna.env_step > first and dyna.training_step % config.dyna.retrain_every == 1:
                fit_steps += int(dyna.latest["model/fit_steps"])
            return dyna.env_step == last

        training.learn(callback=on_step)
        ending = time.perf_counter() - stop
    if last is not None:  # all of the ending is one checkpoint, and the steps' share of it counts
        ending *= (last - first) / config.run.checkpoint_every
    total = stop - start + ending
    phases = {phase: dyna.clock.seconds[phase] - seconds[phase] for phase in PHASES}
    return {
        "seconds": total,
        "phases": phases | {"other": total - sum(phases.values())},
        "fit_steps": fit_steps,
        "peak_memory_gb": peak_memory_gb(),
    }

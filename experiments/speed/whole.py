"""A whole run in a process that has done nothing before. TensorFlow must be loaded."""

import contextlib
import re
import tempfile
import time
from pathlib import Path
from typing import Any

from experiments.speed.hopper import random_transitions
from vagram_tf.config import Config
from vagram_tf.dyna import PHASES
from vagram_tf.run.training import Training

_FILLED_AT_ONCE = 100_000  # transitions


def train(config: Config, stored: int, last: int | None) -> dict[str, Any]:
    """Trains; see `runs.whole_run`.

    Args:
      config: of the run.
      stored: transitions that are there already, 0 for a run from its start.
      last: environment step after which the run is stopped, None for a complete one.
    """
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
        before, start, fit_steps = dict(dyna.clock.seconds), time.perf_counter(), []

        def on_step(training: Training) -> bool:
            nonlocal before, start
            if dyna.training_step == 0:  # the random steps are over
                before, start = dict(dyna.clock.seconds), time.perf_counter()
            elif dyna.training_step > 0 and dyna.training_step % config.dyna.retrain_every == 1:
                fit_steps.append(int(dyna.latest["model/fit_steps"]))
            return dyna.env_step == last

        training.learn(callback=on_step)
        total = time.perf_counter() - start
    phases = {phase: dyna.clock.seconds[phase] - before[phase] for phase in PHASES}
    return {
        "seconds": total,
        "phases": phases | {"other": total - sum(phases.values())},
        "fit_steps": sum(fit_steps),
        "peak_memory_gb": _peak_memory_gb(),
    }


def _peak_memory_gb() -> float:
    """Returns the most memory that this process had resident.

    Not `getrusage`: its maximum includes what the parent had when it started the process.
    """
    kilobytes = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert kilobytes is not None
    return int(kilobytes[1]) * 1024 / 1e9

"""Whole runs and whole programs, each in a process of its own: time by phase, memory, start-up, two side by side."""

import multiprocessing
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

ENV = "Hopper-v5"
REFERENCE: dict[str, Any] = {"name": ENV, "agent_hidden_units": (256, 256), "num_steps": 1000, "random_steps": 5000}
"""Hopper as measured of others: SAC 2×256, 20 updates per step, model 4×200, batch 256, patience 5."""
_FILLED_AT_ONCE = 100_000  # transitions


def in_process(function: Callable[..., Any], *args: Any) -> Any:
    """Returns what a function returns in a fresh process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *args).result()


def whole_run(settings: dict[str, Any], stored: int = 0) -> dict[str, Any]:
    """Trains, and says what the training steps took.

    Args:
      settings: that differ from the preset of the environment.
      stored: transitions of a random policy that are already there when it starts, instead of its random steps; the
        schedules stand where they would after so many steps, the imagined buffer is full and about to grow, and the
        run is stopped and saved, not completed.

    Returns:
      Seconds of the training steps in all and by phase (`other`: logs, checkpoints and, at the end of a complete run,
      pictures and exports), model steps taken, and the most memory that the process had, in GB.
    """
    from vagram_tf import preset, quiet

    config = preset(settings["name"]).replace(**settings)
    if stored:
        config = config.replace(num_steps=10 * stored)
    quiet.load_tensorflow(config.run.threads)
    from experiments.speed import parts
    from vagram_tf.run.directory import RunDirectory
    from vagram_tf.run.training import Training

    with tempfile.TemporaryDirectory() as workdir:
        training = Training(config, RunDirectory(Path(workdir), config))
        dyna = training.dyna
        if stored:
            dyna.real.add(parts.random_transitions(stored))
            dyna.interaction.env_step = stored
            dyna.imagined.resize(dyna.imagined_capacity(max(dyna.horizon - 1, 1)))
            while dyna.imagined.size < dyna.imagined.capacity:
                dyna.imagined.add(dyna.real.sample([_FILLED_AT_ONCE]))
        before, start, fit_steps = dict(dyna.seconds), time.perf_counter(), []

        def on_step(training: Training) -> None:
            nonlocal before, start
            if dyna.training_step == 0:  # the random steps are over
                before, start = dict(dyna.seconds), time.perf_counter()
            elif dyna.training_step > 0 and dyna.training_step % config.dyna.retrain_every == 1:
                fit_steps.append(int(dyna.latest["model/fit_steps"]))

        last = stored + settings["num_steps"] if stored else None
        training.run(on_step, lambda: dyna.env_step == last)
        total = time.perf_counter() - start
    phases = {phase: spent - before[phase] for phase, spent in dyna.seconds.items()}
    return {
        "seconds": total, "phases": phases | {"other": total - sum(phases.values())}, "fit_steps": sum(fit_steps),
        "peak_memory_gb": _peak_memory_gb()}


def _peak_memory_gb() -> float:
    """Returns the most memory that this process had resident.

    Not `getrusage`: its maximum includes what the parent had when it started the process.
    """
    kilobytes = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert kilobytes is not None
    return int(kilobytes[1]) * 1024 / 1e9


def two_side_by_side(updates: int) -> float:
    """Returns how much more work two single-threaded processes do together than one alone."""
    context = multiprocessing.get_context("spawn")
    rates = []
    for count in (1, 2):
        barrier, results = context.Barrier(count), context.Queue()
        processes = [context.Process(target=_updates_per_second, args=(updates, barrier, results))
                     for _ in range(count)]
        for process in processes:
            process.start()
        rates.append(sum(results.get() for _ in processes))
        for process in processes:
            process.join()
    return rates[1] / rates[0]


def _updates_per_second(updates: int, barrier: Any, results: Any) -> None:
    """Does SAC updates and ensemble steps in the proportion of a run; puts units of work per second."""
    from vagram_tf import quiet

    quiet.load_tensorflow(1)
    from experiments.speed import parts

    work = parts.mixed_work(updates)
    work()
    barrier.wait()
    start = time.perf_counter()
    work()
    results.put(1.0 / (time.perf_counter() - start))


def seconds_of_program(*arguments: str) -> float:
    """Returns how long `python -m experiments.mbpo` takes, whatever its exit code."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "experiments.mbpo", *arguments], capture_output=True)
    return time.perf_counter() - start


def seconds_to_first_training_step() -> float:
    """Returns the time from the command to the first training step of the default job.

    Imports, building, the random steps, the first fit and the first updates, all that is compiled for them included.
    """
    start = time.perf_counter()
    code = "from experiments.speed import runs; runs.take_first_training_step()"
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


def take_first_training_step() -> None:
    from vagram_tf import Config, preset, quiet

    config = preset(Config().env.name)
    quiet.load_tensorflow(config.run.threads)
    from vagram_tf.dyna import Dyna

    dyna = Dyna(config)
    while dyna.training_step < 1:
        dyna.step()

"""Whole runs and whole programs, each in a process of its own: time by phase, memory, start-up,
several side by side.
"""

import multiprocessing
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from vagram_tf import preset
from vagram_tf.commands.program import with_tensorflow
from vagram_tf.config import Config


def in_process(function: Callable[..., Any], *args: Any) -> Any:
    """Returns what a function returns in a fresh process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *args).result()


def whole_run(settings: dict[str, Any], stored: int = 0) -> dict[str, Any]:
    """Trains, and says what the training steps took.

    Args:
      settings: that differ from the preset of the environment.
      stored: transitions of a random policy that are already there when it starts, instead of its
        random steps; the schedules stand where they would after so many steps, and the imagined
        buffer is full and about to grow. Time is taken after one round that compiles and lets it
        grow, and the run is stopped and saved, not completed.

    Returns:
      Seconds of the training steps in all and by phase (`other`: logs, checkpoints and, at the end
      of a complete run, pictures and exports), model steps taken, and the most memory that the
      process had, in GB.
    """
    config = preset(settings["name"]).replace(**settings)
    first, last = config.dyna.random_steps, None
    if stored:
        first = stored + config.dyna.retrain_every
        config, last = config.replace(num_steps=10 * stored), first + settings["num_steps"]
    return with_tensorflow("experiments.speed.whole", config.run.threads).train(
        config, stored, first, last
    )


def side_by_side(processes: int, updates: int) -> float:
    """Returns how much more work so many single-threaded processes do together than one alone."""
    return _work_per_second(processes, updates) / _work_per_second(1, updates)


def _work_per_second(count: int, updates: int) -> float:
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(count), context.Queue()
    processes = [
        context.Process(target=_updates_per_second, args=(updates, barrier, results))
        for _ in range(count)
    ]
    for process in processes:
        process.start()
    total = sum(results.get() for _ in processes)
    for process in processes:
        process.join()
    return total


def _updates_per_second(updates: int, barrier: Any, results: Any) -> None:
    """Does SAC updates and ensemble steps in the proportion of a run; puts units of work per
    second.
    """
    work = with_tensorflow("experiments.speed.parts", 1).mixed_work(updates)
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

    Imports, building, the random steps, the first fit and the first updates, all that is compiled
    for them included.
    """
    start = time.perf_counter()
    code = "from experiments.speed import runs; runs.take_first_training_step()"
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


def take_first_training_step() -> None:
    """Starts the default job as a program does, and takes its random steps and one of training."""
    config = preset(Config().env.name)
    dyna = with_tensorflow("vagram_tf.dyna", config.run.threads).Dyna(config)
    while dyna.training_step < 1:
        dyna.step()

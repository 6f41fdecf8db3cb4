"""Whole runs and whole programs, each in a process of its own: time by phase, memory, start-up,
several side by side.
"""

import multiprocessing
import re
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

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


class Together(NamedTuple):
    """What several processes do side by side.

    Attributes:
      rate: units of work per second, of all together.
      memory_gb: the sum of the most memory that each had, in GB. What they share counts as often.
    """

    rate: float
    memory_gb: float


def side_by_side(count: int, updates: int) -> Together:
    """Measures so many single-threaded processes that update and fit and do nothing else."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(count), context.Queue()
    processes = [
        context.Process(target=_update_and_fit, args=(updates, barrier, results))
        for _ in range(count)
    ]
    for process in processes:
        process.start()
    each = [results.get() for _ in processes]
    for process in processes:
        process.join()
    return Together(*map(sum, zip(*each, strict=True)))


def _update_and_fit(updates: int, barrier: Any, results: Any) -> None:
    """Does SAC updates and ensemble steps in the proportion of a run; puts units of work per
    second, and the most memory that it had.
    """
    work = with_tensorflow("experiments.speed.parts", 1).mixed_work(updates)
    work()
    barrier.wait()
    start = time.perf_counter()
    work()
    results.put((1.0 / (time.perf_counter() - start), peak_memory_gb()))


def peak_memory_gb() -> float:
    """Returns the most memory that this process had resident.

    Not `getrusage`: its maximum includes what the parent had when it started the process.
    """
    kilobytes = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert kilobytes is not None
    return int(kilobytes[1]) * 1024 / 1e9


def seconds_of_program(*arguments: str) -> float:
    """Returns how long `python -m experiments.mbpo` takes, whatever its exit code."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "experiments.mbpo", *arguments], capture_output=True)
    return time.perf_counter() - start


def seconds_to_training_step(workdir: str) -> float:
    """Returns the time from the command to the next training step of the default job, which is
    stopped and saved after it.

    Of a run that begins, that is imports, building, the random steps, the first fit and the first
    updates, all that is compiled for them included; of one that continues, imports, building, the
    checkpoint and the updates.
    """
    start = time.time()
    code = f"from experiments.speed import runs; runs.take_training_step({workdir!r})"
    command = [sys.executable, "-c", code]
    process = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(process.stdout) - start


def take_training_step(workdir: str) -> None:
    """Starts or continues the default job as a program does, and prints when it has taken a
    training step.
    """
    config = preset(Config().env.name)
    module = with_tensorflow("vagram_tf.run.training", config.run.threads)

    def taken(run: Any) -> bool:
        training = run.dyna.training_step > 0
        if training:
            print(time.time())
        return training

    with module.Training(config, workdir) as run:
        run.learn(callback=taken)

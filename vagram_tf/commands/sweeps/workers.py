"""Who supervises the runs: threads of this process, one process per core, or the workers of a Ray
cluster.
"""

import contextlib
import importlib.util
import logging
import os
import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from vagram_tf.commands.sweeps.process import Outcome, StartedIn, supervise
from vagram_tf.commands.sweeps.run_files import RunFiles
from vagram_tf.errors import one_line

_RAY_RETRIES = 3  # of a run whose worker or node has died
_RAY_ANSWERS = 10.0  # seconds in which the head of a cluster must


class Workers(Protocol):
    """What runs a study."""

    def start(self, runs: Sequence[RunFiles], stop: Path) -> None:
        """Begins with the runs, in their order; see `process.supervise`."""

    def outcomes(self) -> list[Outcome | None]:
        """Returns how each run ended, None for those that have not."""


class LocalWorkers:
    """So many runs at a time on this machine.

    Args:
      jobs: how many.
    """

    def __init__(self, jobs: int):
        self._pool = ThreadPoolExecutor(jobs)

    def start(self, runs: Sequence[RunFiles], stop: Path) -> None:
        environment = StartedIn.here()
        self._futures = [self._pool.submit(supervise, files, stop, environment) for files in runs]

    def outcomes(self) -> list[Outcome | None]:
        return [future.result() if future.done() else None for future in self._futures]


class RayWorkers:
    """As many runs at a time as the cluster has processors; see `connected`."""

    def __init__(self) -> None:
        import ray

        self._ray = ray

    def start(self, runs: Sequence[RunFiles], stop: Path) -> None:
        task = self._ray.remote(supervise).options(num_cpus=1, max_retries=_RAY_RETRIES)
        environment = StartedIn.here()
        self._tasks = [task.remote(files, stop, environment) for files in runs]

    def outcomes(self) -> list[Outcome | None]:
        ended = set(self._ray.wait(self._tasks, num_returns=len(self._tasks), timeout=0)[0])
        return [self._outcome(task) if task in ended else None for task in self._tasks]

    def _outcome(self, task: Any) -> Outcome:
        try:
            return self._ray.get(task)
        except self._ray.exceptions.RayError as error:
            return Outcome(False, f"Ray gave it up: {one_line(error)}")


@contextlib.contextmanager
def connected(address: str, jobs: int) -> Iterator[RayWorkers]:
    """Connects to a Ray cluster, or starts one on this machine and ends it afterwards.

    Args:
      address: `local` for a cluster of its own; `auto`, or host:port, for one that this machine is
        part of.
      jobs: processors of a cluster of its own.

    Raises:
      ValueError: in one sentence, if Ray is not installed or the cluster does not answer.
    """
    if importlib.util.find_spec("ray") is None:
        raise ValueError("--ray_address needs Ray: pip install -r requirements-ray.txt")
    if address not in ("auto", "local"):
        _check_answers(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    options = {"num_cpus": jobs, "include_dashboard": False} if address == "local" else {}
    try:
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False, **options)
    except Exception as error:
        raise ValueError(f"--ray_address={address}: {one_line(error)}") from error
    try:
        yield RayWorkers()
    finally:
        ray.shutdown()


def _check_answers(address: str) -> None:
    """Raises ValueError unless somebody listens at host:port; Ray itself ends the process where
    nobody does.
    """
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal()):
        raise ValueError(f"--ray_address must be auto, local or host:port, got {address!r}")
    try:
        socket.create_connection((host, int(port)), _RAY_ANSWERS).close()
    except (OSError, OverflowError) as error:
        raise ValueError(f"--ray_address={address}: {one_line(error)}") from None

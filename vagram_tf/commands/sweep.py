"""Runs a study: named settings times seeds, each run in a process of its own, one per core.

    vagram-sweep --study=my_study.py
    vagram-sweep --study=my_study.py --size=full --ray_address=auto
    vagram-sweep --study=pendulum --jobs=4    # a study's name: in a clone of the repository

All evaluations of all runs land in <workdir>/<study>/<size>.csv. Started again, it skips what is
finished and continues what is not. Ctrl-C and SIGTERM save the runs before they stop them.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from absl import flags as absl_flags

from vagram_tf import files
from vagram_tf.commands import inputs, interrupts, paths
from vagram_tf.commands.interrupts import Interrupts
from vagram_tf.commands.program import Program
from vagram_tf.commands.sweeps import run_files, workers
from vagram_tf.commands.sweeps import study as studies
from vagram_tf.commands.sweeps.run_files import RunFiles
from vagram_tf.commands.sweeps.workers import Workers

_REPLY = (
    "stopping: every run saves after its step, which can take as long as a model fit; "
    "Ctrl-C once more stops at once"
)


class SweepPlan(NamedTuple):
    """A study's name, the files of its runs, and the CSV of their results."""

    study: str
    runs: list[RunFiles]
    results: Path


class Order(NamedTuple):
    """A study whose directory is this process's: its size in words, who does the work, and what
    asks it to stop.
    """

    plan: SweepPlan
    size: str
    workers: Workers
    interrupts: Interrupts


def define() -> None:
    """Defines the flags."""
    absl_flags.DEFINE_string(
        "study", None, "name of a file in experiments/studies, or the path of another one"
    )
    absl_flags.DEFINE_string(
        "size", "evening", "which of the study's sizes: evening, full, or another of your own"
    )
    interrupts.define()
    paths.define("workdir", "sweeps", "directory that all studies live under")
    absl_flags.DEFINE_integer(
        "jobs", None, "runs at a time on this machine (unset: one per core)", lower_bound=1
    )
    absl_flags.DEFINE_string(
        "ray_address",
        None,
        "run on the Ray cluster that this machine is in: auto or host:port; local: start one",
    )


def check() -> SweepPlan:
    """Returns the study that the flags name; raises ValueError."""
    given = absl_flags.FLAGS
    if not given.study:
        raise ValueError("--study is needed: the name of a study, or the path of its file")
    if given.jobs and given.ray_address not in (None, "local"):
        raise ValueError(
            "--jobs is for this machine; a cluster that is there runs as many as it has processors"
        )
    interrupts.named()
    name, content = studies.read(given.study, given.size)
    runs = studies.runs(content)
    for environment in dict.fromkeys(run.config.env for run in runs):
        inputs.check_environment(environment)
    for loss in dict.fromkeys(run.config.model.loss for run in runs):
        inputs.check_loss(loss)
    place = given.workdir.resolve() / name
    files.check_tensorflow_reads(place)
    return SweepPlan(
        name, [RunFiles(place / given.size, run) for run in runs], place / f"{given.size}.csv"
    )


@contextlib.contextmanager
def hold(plan: SweepPlan) -> Iterator[Order]:
    """Finds who does the work, takes the study's directory and writes what is known from the start.

    Raises:
      ValueError: the cluster is not there, or another sweep is at work in the directory.
      OSError: it cannot be written.
    """
    given = absl_flags.FLAGS
    with (
        _workers(given.ray_address, given.jobs) as found,
        run_files.lock(plan.results.with_suffix("")),
    ):
        run_files.write_settings(
            plan.results.with_suffix(".json"), [each.run for each in plan.runs]
        )
        with Interrupts(interrupts.named(), _REPLY) as requests:
            yield Order(plan, given.size, found, requests)


def _workers(address: str | None, jobs: int | None) -> contextlib.AbstractContextManager[Workers]:
    """Returns who does the work; raises ValueError."""
    jobs = jobs or (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    if address:
        return workers.connected(address, jobs)
    return contextlib.nullcontext(workers.LocalWorkers(jobs))


def main() -> None:
    """Runs the program and ends the process."""
    Program(define, check, "vagram_tf.commands.sweeps.work", None, hold=hold).main()

"""Runs a study: named settings times seeds, each run in a process of its own, one per core.

    python -m experiments.sweep --study=pendulum
    python -m experiments.sweep --study=distractors --size=full --ray_address=auto
    python -m experiments.sweep --study=my_study.py --jobs=4

All evaluations of all runs land in <workdir>/<study>/<size>.csv. Started again, it skips what is finished and continues
what is not. Ctrl-C and SIGTERM save the runs before they stop them.
"""

import contextlib
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import app
from absl import flags as absl_flags

from vagram_tf.commands import flags

if TYPE_CHECKING:
    from vagram_tf.commands.console import Interrupts
    from vagram_tf.commands.sweeps.run_files import RunFiles
    from vagram_tf.commands.sweeps.workers import Workers

_REFRESH_SECONDS = 1.0
_RESULTS_SECONDS = 10.0  # between two versions of the CSV


def define() -> None:
    """Defines the flags."""
    absl_flags.DEFINE_string("study", None, "name of a file in experiments/studies, or the path of another one")
    absl_flags.DEFINE_string("size", "evening", "which of the study's sizes: evening, full, or another of your own")
    absl_flags.DEFINE_string("workdir", "sweeps", "directory that all studies live under")
    absl_flags.DEFINE_integer("jobs", None, "runs at a time on this machine (unset: one per core)", lower_bound=1)
    absl_flags.DEFINE_string(
        "ray_address", None, "run on the Ray cluster that this machine is in: auto or host:port; local: start one")


def main(argv: list[str]) -> None:
    del argv
    given = absl_flags.FLAGS
    with contextlib.ExitStack() as stack:
        try:
            flags.check_packages()
            name, runs = _runs(given.study, given.size, Path(given.workdir).resolve())
            results = Path(given.workdir).resolve() / name / f"{given.size}.csv"
            stack.enter_context(_claim(results, runs))
            workers = _workers(given.ray_address, given.jobs, stack)
        except (ValueError, OSError) as error:
            flags.fail(str(error), 2)
        from vagram_tf.commands.console import Interrupts

        with Interrupts("stopping: every run saves after its step, which can take as long as a model fit; "
                        "Ctrl-C once more stops at once") as interrupts:
            sys.exit(sweep(f"{name}, {given.size}", name, runs, results, workers, interrupts))


def sweep(title: str, study: str, runs: Sequence["RunFiles"], results: Path, workers: "Workers",
          interrupts: "Interrupts") -> int:
    """Runs what is not finished, and returns the exit code: 0, or 1 if a run has failed, or 130 after Ctrl-C."""
    from vagram_tf.commands.sweeps import display
    from vagram_tf.commands.sweeps.process import Outcome

    stop = results.with_suffix("") / "stop"
    stop.unlink(missing_ok=True)
    outcomes: list[Outcome | None] = [Outcome(True) if files.finished() else None for files in runs]
    rest = [i for i, outcome in enumerate(outcomes) if outcome is None]
    print(f"{title}: {len(runs)} runs, {len(runs) - len(rest)} of them finished already, in {stop.parent}", flush=True)
    shown = display.Display(title, runs, outcomes)
    if rest:
        workers.start([runs[i] for i in rest], stop)
    written = -_RESULTS_SECONDS
    try:
        while None in outcomes:
            if interrupts.requested():
                stop.touch()
            for i, outcome in zip(rest, workers.outcomes(), strict=True):
                outcomes[i] = outcome
            shown.update(outcomes, interrupts.requested())
            if time.monotonic() - written >= _RESULTS_SECONDS:
                _write_results(results, study, runs)
                written = time.monotonic()
            time.sleep(_REFRESH_SECONDS)
    except BaseException:  # nobody would watch the runs any longer
        stop.touch()
        raise
    complete = _write_results(results, study, runs)
    ended = [outcome for outcome in outcomes if outcome is not None]
    print(f"\n{display.closing_words(runs, ended)}\n\nresults   {results}\nsettings  {results.with_suffix('.json')}")
    unfinished = sum(not outcome.finished and not outcome.error for outcome in ended)
    if unfinished:
        print(f"stopped with {unfinished} runs to go; the same command continues them")
    if interrupts.by_keyboard:
        return 130
    return 0 if complete and not any(outcome.error for outcome in ended) else 1


def _write_results(path: Path, study: str, runs: Sequence["RunFiles"]) -> bool:
    """Writes the CSV, or says why it cannot be, which is no reason to stop the runs; returns whether it could."""
    from vagram_tf.commands.sweeps import run_files

    try:
        run_files.write_results(path, study, runs)
    except OSError as error:
        print(f"warning: cannot write {path}: {error.strerror}", file=sys.stderr)
        return False
    return True


def _runs(study: str | None, size: str, workdir: Path) -> tuple[str, list["RunFiles"]]:
    """Returns the study's name and the files of its runs; raises ValueError."""
    if not study:
        raise ValueError("--study is needed: the name of a study, or the path of its file")
    from vagram_tf.commands.sweeps import run_files
    from vagram_tf.commands.sweeps import study as studies
    from vagram_tf.envs import suite

    name, content = studies.read(study, size)
    runs = studies.runs(content)
    for environment in dict.fromkeys(run.config.env.name for run in runs):
        suite.check_name(environment)
    return name, [run_files.RunFiles(workdir / name / size, run) for run in runs]


def _claim(results: Path, runs: Sequence["RunFiles"]) -> contextlib.AbstractContextManager:
    """Takes the study's directory and writes what is known from the start; raises ValueError or OSError."""
    from vagram_tf.commands.sweeps import run_files

    held = run_files.lock(results.with_suffix(""))
    run_files.write_settings(results.with_suffix(".json"), [files.run for files in runs])
    return held


def _workers(address: str | None, jobs: int | None, stack: contextlib.ExitStack) -> "Workers":
    """Returns who does the work; raises ValueError."""
    from vagram_tf.commands.sweeps import workers

    if jobs and address not in (None, "local"):
        raise ValueError("--jobs is for this machine; a cluster that is there runs as many as it has processors")
    jobs = jobs or (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    if address:
        return stack.enter_context(workers.connected(address, jobs))
    return workers.LocalWorkers(jobs)


if __name__ == "__main__":
    define()
    app.run(main, flags_parser=flags.parse)

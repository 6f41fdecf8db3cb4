"""One run of a study in a process of its own: started, timed, started again after a kill,
stopped.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from vagram_tf.commands.sweeps.run_files import RunFiles
from vagram_tf.files import write

_RESTARTS = 3  # after a signal that nobody here has sent
_POLL_SECONDS = 0.5
_CLOCK_SECONDS = 5.0  # between two notes of the time, of which a kill can lose one


class StartedIn(NamedTuple):
    """Where processes are started, on whichever machine: working directory and PYTHONPATH."""

    directory: str
    pythonpath: str

    @classmethod
    def here(cls) -> "StartedIn":
        return cls(os.getcwd(), os.environ.get("PYTHONPATH", ""))


class Outcome(NamedTuple):
    """How a run ended: `error` is one line, or empty for a run that is complete or was asked to
    stop.
    """

    finished: bool
    error: str = ""


def supervise(files: RunFiles, stop: Path, environment: StartedIn) -> Outcome:
    """Runs a run until it is complete, has failed, or is asked to stop, which it does at its next
    step.

    Killed by a signal, it is started again as long as each start leaves a newer checkpoint, three
    times at most.

    Args:
      files: the run's.
      stop: the run is to stop as soon as this file exists.
      environment: to start it in.
    """
    try:
        return _supervise(files, stop, environment)
    except OSError as error:
        return Outcome(False, f"{error.strerror}: {error.filename}")


def _supervise(files: RunFiles, stop: Path, environment: StartedIn) -> Outcome:
    files.workdir.mkdir(parents=True, exist_ok=True)
    write(files.config, files.run.config.to_json())
    killed = ""
    for _ in range(_RESTARTS + 1):
        if stop.exists():
            return Outcome(False)
        checkpoint = files.checkpoint()
        code = _run(files, stop, environment)
        if files.finished():
            return Outcome(True)
        if code == 0 or stop.exists():
            return Outcome(False, "" if stop.exists() else "stopped before its last step")
        if code > 0:
            last_line = files.log_tail().strip().rpartition("\n")[2]
            return Outcome(False, last_line.removeprefix("error: ") or f"exit code {code}")
        killed = f"killed by {signal.Signals(-code).name}"
        if files.checkpoint() <= checkpoint:
            return Outcome(False, f"{killed} without getting further")
    return Outcome(False, f"{killed} again, after {_RESTARTS} restarts")


def _run(files: RunFiles, stop: Path, environment: StartedIn) -> int:
    """Starts the process and waits for its end; returns its exit code, minus the signal's number
    after a signal.
    """
    before, evaluations = files.spent()
    start = noted = time.monotonic()
    asked = ended = False
    # Appended to, as the process prints: what a kill leaves of the log is all there is to read.
    with (
        open(files.log, "a") as log,
        subprocess.Popen(
            command(files),
            cwd=environment.directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONPATH": environment.pythonpath},
            start_new_session=True,
        ) as process,
    ):
        while not ended:
            if not asked and stop.exists():
                process.terminate()
                asked = True
            time.sleep(_POLL_SECONDS)
            ended = process.poll() is not None  # before the look at what it has left
            now = time.monotonic()
            new = {row.env_step for row in files.evaluations()} - evaluations.keys()
            evaluations |= {step: before + now - start for step in new}
            if new or ended or now - noted >= _CLOCK_SECONDS:
                noted = now
                files.write_spent(before + now - start, evaluations)
        return process.returncode


def command(files: RunFiles) -> list[str]:
    """Returns the command of a run that does not outlive the process that starts it."""
    return [
        sys.executable,
        "-m",
        "vagram_tf.commands.sweeps.child",
        str(os.getpid()),
        f"--config={files.config.resolve()}",
        f"--workdir={files.workdir.resolve()}",
    ]

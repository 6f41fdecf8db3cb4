"""Faults of the world around a run, in real processes: what they stop with, and that nothing
learned is lost.
"""

import os
import shutil
import signal
import subprocess
from typing import NamedTuple

import programs
import pytest

pytestmark = pytest.mark.slow

# Statements for `programs.mbpo`. No file may grow: the only way to stop a write that fits into a
# file's last block.
NO_GROWTH = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))"
TERMINATE = f"os.kill(os.getpid(), {signal.SIGTERM:d})"


class Disk(NamedTuple):
    """A place to run in, the statement that fills it, and what the system then says."""

    path: str
    is_mounted: bool

    @property
    def fill(self):
        return f"import programs; programs.fill({self.path!r})" if self.is_mounted else NO_GROWTH

    @property
    def reason(self):
        return "No space left on device" if self.is_mounted else "File too large"

    def make_room(self):
        if self.is_mounted:
            os.unlink(f"{self.path}/{programs.FILLER}")


@pytest.fixture
def disk(tmp_path):
    """A file system of 4 MB, or where this process may mount none, a limit on the size of files."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(tmp_path)]
    is_mounted = (
        shutil.which("mount") is not None
        and subprocess.run(mount, capture_output=True).returncode == 0
    )
    yield Disk(str(tmp_path), is_mounted)
    if is_mounted:
        subprocess.run(["umount", str(tmp_path)], check=True)


def check_stopped(process, *words, code=1):
    """Asserts that a process has stopped with one line that says all of the words."""
    (error,) = [line for line in programs.error_lines(process) if line.startswith("error: ")]
    assert process.returncode == code, process.stderr
    assert "Traceback" not in process.stderr
    for word in words:
        assert word in error


def checkpoint(directory, step):
    return {
        path.name: path.read_bytes() for path in (directory / "checkpoints" / str(step)).iterdir()
    }


def last_checkpoint(directory, step):
    return f"; the last checkpoint is {directory / 'checkpoints' / str(step)}"


def test_full_disk_before_the_first_checkpoint(disk):
    directory = programs.run_directory(disk.path)
    start = [*programs.flags(), f"--workdir={disk.path}"]
    process = programs.mbpo(
        start, (disk.fill, "vagram_tf.run.directory", "RunDirectory.accept", "", 1)
    )
    check_stopped(process, f"cannot write to {directory}: {disk.reason}")
    assert [path.name for path in directory.iterdir()] == ["lock"]
    disk.make_room()
    # Step 25 ends an episode, whose return is the first that is logged.
    process = programs.mbpo(start, (NO_GROWTH, "vagram_tf.dyna", "Dyna.step", "", 25))
    check_stopped(
        process,
        f"cannot write {directory / 'events.out.tfevents.*'}: ",
        "File too large",
        "; there is no checkpoint yet",
    )


def test_full_disk_stops_a_run_that_then_continues_to_the_same_bits(disk):
    _, expected = programs.finished_run()
    directory = programs.copied_run(disk.path, step=45)
    whole = checkpoint(directory, 45)

    moment = "vagram_tf.dyna", "Dyna.step", "", 1
    process = programs.start_again(directory, stop=(f"{disk.fill}; {TERMINATE}", *moment))
    check_stopped(
        process,
        f"cannot write the checkpoint {directory / 'checkpoints' / '46'}: ",
        disk.reason,
        last_checkpoint(directory, 45),
    )
    if disk.is_mounted:  # it still is full
        process = programs.start_again(directory)
        check_stopped(process, f"cannot write {directory / 'progress.csv'}: ", disk.reason)
    disk.make_room()

    process = programs.start_again(
        directory, stop=(NO_GROWTH, "vagram_tf.run.metrics", "Metrics.progress", "", 1)
    )
    check_stopped(
        process,
        f"cannot write {directory / 'progress.csv'}: ",
        "File too large",
        last_checkpoint(directory, 45),
    )
    assert checkpoint(directory, 45) == whole

    process = programs.start_again(
        directory, stop=(disk.fill, "vagram_tf.export.save", "save", "policy", 1)
    )
    check_stopped(
        process,
        f"cannot write the export {directory / 'export' / 'policy' / '90'}: ",
        disk.reason,
        last_checkpoint(directory, 90),
    )
    assert sorted(str(path.relative_to(directory)) for path in directory.glob("export/*/*")) == [
        "export/dynamics/90"
    ]
    disk.make_room()

    process = programs.start_again(directory)
    assert process.returncode == 0, process.stderr
    programs.check_equal_runs(directory, expected)


def test_read_only_directory_is_refused(disk):
    if not disk.is_mounted:
        pytest.skip("no file system can be mounted here, and permissions do not bind every user")
    directory = programs.copied_run(disk.path)
    subprocess.run(["mount", "-o", "remount,ro", disk.path], check=True)
    process = programs.start_again(directory)
    check_stopped(process, f"cannot write to {directory}: Read-only file system", code=2)


def test_environment_that_fails_in_the_middle_of_a_run(tmp_path):
    """At the first step after a checkpoint inside an episode: step 21 of it, after 20 replayed
    ones. `adapter_test` has all the ways to fail.
    """
    directory = programs.copied_run(tmp_path, step=45)
    process = programs.start_again(directory, environment={"FAULT": "step 21"})
    check_stopped(
        process,
        "error: environment step 45: Short-v0, episode 1, step 21: "
        "observation[0] is nan, not a finite float32; its last good value was ",
        last_checkpoint(directory, 45),
    )
    assert checkpoint(directory, 45) == checkpoint(programs.finished_run()[1], 45)


@pytest.mark.parametrize("step", [0, 45])
def test_environment_that_hangs_at_reset(tmp_path, step):
    """At the very first, and while a resumed episode is replayed."""
    directory = programs.copied_run(tmp_path, step) if step else programs.run_directory(tmp_path)
    process = programs.start_again(
        directory, "--environment_timeout=3", environment={"FAULT": "reset 1"}
    )
    check_stopped(
        process,
        f"{programs.TINY['name']} has not answered for 3 s at environment step {step}; ",
        last_checkpoint(directory, step) if step else "; there is no checkpoint yet",
    )

"""Real processes, killed at the worst moments and continued: nothing of it shows in what the run
leaves behind.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys

import programs
import pytest

pytestmark = pytest.mark.slow


def checkpoints(directory):
    return sorted(path.name for path in (directory / "checkpoints").glob("[0-9]*"))


def test_reference_run_is_whole():
    _, directory = programs.finished_run()
    assert [int(row["env_step"]) for row in programs.progress(directory)] == [
        40,
        50,
        60,
        70,
        80,
        90,
    ]
    seen = [summary[:2] for summary in programs.summaries(directory)]
    assert len(seen) == len(set(seen))
    # The steps that began with a fit.
    assert {step for step, tag in seen if tag == "model/holdout_mse"} == {
        31,
        51,
        71,
    }
    assert len(programs.saved_state(directory / "checkpoints" / "90")) > 50


# Two fits and the updates of nine steps, compiled, up to the checkpoint.
_LEARN = """
import json, os, sys, programs
from vagram_tf.run.training import Training

os.sched_setaffinity(0, json.loads(sys.argv[2]))  # before TensorFlow starts its threads

with Training(programs.tiny(retrain_every=5), sys.argv[1]) as training:
    training.learn(39)
"""


def test_another_process_on_one_core_gives_the_same_run(tmp_path):
    """Two threads on one core as on several."""
    cores, states = sorted(os.sched_getaffinity(0)), []
    for allowed in (cores, cores[:1]):
        workdir = tmp_path / str(len(states))
        process = programs.warm_python(
            *("-c", _LEARN, str(workdir), json.dumps(allowed)), environment=programs.COMPILED
        )
        assert process.returncode == 0, process.stderr
        checkpoint = programs.run_directory(workdir) / "checkpoints" / "39"
        states.append(programs.saved_state(checkpoint))
    assert len(states[0]) > 50 and states[0] == states[1]


STEP = "vagram_tf.dyna", "Dyna.step", ""
FLUSH = "vagram_tf.files", "_flush"

# The signal, when it comes, the exit code, and where the next process continues.
STOPS = [
    # While starting: nothing has been done, nothing is lost.
    ((signal.SIGINT, "vagram_tf.quiet", "load_tensorflow", "", 1), 130, 0),
    # While exploring, in the middle of an episode.
    ((signal.SIGTERM, *STEP, 20), 0, 20),
    # Inside the writing of the checkpoint of step 45: its files are there, but not yet in their
    # place. Steps 30 and 40 have been logged, and are cut off.
    ((signal.SIGKILL, *FLUSH, "writing-45", 2), -signal.SIGKILL, 20),
    ((signal.SIGINT, *STEP, 41), 130, 61),
    # Between the export of the dynamics and that of the policy.
    ((signal.SIGKILL, "vagram_tf.export.save", "save", "policy", 1), -signal.SIGKILL, 90),
]


def test_interrupted_run_equals_uninterrupted(tmp_path):
    _, expected = programs.finished_run()
    directory = programs.run_directory(tmp_path)
    start = [*programs.flags(), f"--workdir={tmp_path}"]
    continued = 0
    for stop, code, next_start in STOPS:
        process = programs.mbpo(start, stop)
        assert process.returncode == code, (stop, process.stderr[-2000:])
        assert "Traceback" not in process.stderr
        assert max([0, *map(int, checkpoints(directory))]) == next_start
        if code >= 0:  # a killed process takes along what it has printed
            check_continued(process, continued)
            assert (
                f"saved at environment step {next_start}; the same command continues the run"
                in process.stdout
            )
            assert "stopping after this step" in process.stderr
            assert not (directory / "export").exists()
        continued = next_start
    process = programs.mbpo(start)
    assert process.returncode == 0, process.stderr
    check_continued(process, continued)
    programs.check_equal_runs(directory, expected)
    assert checkpoints(directory)[-2:] == ["61", "90"]
    left = [path.name for path in directory.rglob("*") if "writing" in path.name]
    assert left == []


def check_continued(process, step):
    announced = f"continuing at environment step {step}" in process.stdout
    assert announced if step else "continuing" not in process.stdout


@pytest.mark.skipif(
    "VAGRAM_KILLS" not in os.environ, reason="VAGRAM_KILLS=20 kills that many times; 10 minutes"
)
def test_killed_at_random_moments(tmp_path):
    """Kills at random wall times, also while starting, and continues each time until the run is
    complete.
    """
    _, expected = programs.finished_run()
    command = [sys.executable, "-m", "experiments.mbpo", *programs.flags(), f"--workdir={tmp_path}"]
    environment = os.environ | {"PYTHONPATH": str(programs.ROOT / "tests")}
    rng, kills = random.Random(0), 0
    while kills < int(os.environ["VAGRAM_KILLS"]):
        process = subprocess.Popen(
            command,
            cwd=programs.ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            output, _ = process.communicate(timeout=rng.uniform(5, 40))
            assert process.returncode == 0, output
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills += 1
        else:  # complete: begin again
            programs.check_equal_runs(programs.run_directory(tmp_path), expected)
            shutil.rmtree(programs.run_directory(tmp_path))
    process = programs.mbpo([*programs.flags(), f"--workdir={tmp_path}"])
    assert process.returncode == 0, process.stderr
    programs.check_equal_runs(programs.run_directory(tmp_path), expected)


@pytest.fixture
def copied_run(tmp_path):
    return programs.copied_run(tmp_path)


def test_damaged_newest_checkpoint_falls_back(copied_run):
    (path,) = (copied_run / "checkpoints" / "90").glob("state.data*")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    process = programs.start_again(copied_run, stop=(signal.SIGTERM, *STEP, 1))
    assert process.returncode == 0, process.stderr
    assert "continuing at environment step 45" in process.stdout
    (warning,) = [line for line in programs.error_lines(process) if "checkpoint" in line]
    assert str(path) in warning.replace(": ", "/") and "checksum" in warning
    assert checkpoints(copied_run) == ["45", "46"]
    assert [int(row["env_step"]) for row in programs.progress(copied_run)] == [40]


def test_no_usable_checkpoint_is_refused(copied_run):
    """The run does not silently start afresh."""
    for path in (copied_run / "checkpoints").iterdir():
        shutil.rmtree(path)
    before = (copied_run / "progress.csv").read_bytes()
    process = programs.start_again(copied_run)
    assert process.returncode == 1
    (error,) = [line for line in programs.error_lines(process) if line.startswith("error:")]
    assert "no usable checkpoint is left" in error and "all have been deleted" in error
    assert "Traceback" not in process.stderr
    assert (copied_run / "progress.csv").read_bytes() == before


def test_second_process_is_refused(tmp_path):
    directory = programs.run_directory(tmp_path)
    code = (
        "import sys, pathlib, programs; from vagram_tf.run.directory import RunDirectory; "
        "held = RunDirectory(pathlib.Path(sys.argv[1]), programs.tiny()); print('held', "
        "flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=programs.ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(programs.ROOT / "tests")},
    ) as holder:
        assert holder.stdout.readline() == b"held\n"
        line = programs.refused("mbpo", [*programs.flags(), f"--workdir={tmp_path}"])
        holder.communicate(b"\n")
    assert line == f"error: another process is using {directory}"


def test_metadata_names_the_run():
    _, directory = programs.finished_run()
    metadata = json.loads((directory / "export" / "dynamics" / "90" / "metadata.json").read_text())
    last = programs.progress(directory)[-1]
    assert metadata["environment"] == programs.TINY["name"] and metadata["horizon"] == 25
    assert metadata["env_step"] == 90 and metadata["seed"] == 0 and metadata["loss"] == "vagram"
    assert metadata["mean_return"] == pytest.approx(float(last["mean_return"]), rel=1e-5)
    manifest = json.loads((directory / "checkpoints" / "90" / "manifest.json").read_text())
    assert manifest["versions"] == metadata["versions"] and manifest["env_step"] == 90

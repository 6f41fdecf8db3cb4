"""A study on a Ray cluster: a worker that dies, and clusters that are not there."""

import contextlib
import socket
import subprocess
import sys
import tempfile

import killed
import programs
import pytest

pytestmark = pytest.mark.slow

pytest.importorskip("ray")


def test_run_of_a_killed_worker_is_retried_and_resumes_to_the_same_bytes(tmp_path):
    process, runs = killed.start(tmp_path, "--ray_address=local", "--jobs=2", whom="parent")
    assert process.returncode == 0, process.stdout + process.stderr
    assert programs.error_lines(process) == []
    killed.check_one_was_killed_and_continued(tmp_path, runs)
    assert (
        "finished  one, seed 3: return " in process.stdout
        and "finished  two, seed 3: return " in process.stdout
    )


@pytest.fixture
def cluster(monkeypatch):
    """Address of a cluster of one processor that somebody else has started on this machine."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with tempfile.TemporaryDirectory() as directory:  # short: the paths of its sockets must be
        head = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "ray.scripts.scripts",
                "start",
                "--head",
                "--block",
                f"--port={address[10:]}",
                "--num-cpus=1",
                "--include-dashboard=false",
                f"--temp-dir={directory}",
                "--disable-usage-stats",
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for line in head.stdout:
            if "started" in line:
                break
        yield address
        head.terminate()
        head.communicate()


def test_study_runs_on_a_cluster_that_is_there(cluster, tmp_path):
    """A run that fails at once: its directory holds one with another configuration."""
    (tmp_path / "pair.py").write_text(
        "from vagram_tf.study import Study\n"
        f"TINY = Study(common={killed.COMMON}, settings={{'occupied': {{}}}}, "
        f"seeds=[{killed.SEED}])\n"
    )
    killed.occupy(tmp_path, "occupied")
    process = programs.python(
        *("-m", "experiments.sweep", f"--study={tmp_path / 'pair.py'}", "--size=tiny"),
        *(f"--workdir={tmp_path}", f"--ray_address={cluster}"),
    )
    assert process.returncode == 1 and "members was 5 and is now 3" in process.stdout, (
        process.stdout + process.stderr
    )


@pytest.mark.parametrize(
    "arguments, words",
    [
        (
            ["--ray_address=localhost"],
            "--ray_address must be auto, local or host:port, got 'localhost'",
        ),
        (
            ["--ray_address=localhost:1"],
            "--ray_address=localhost:1: [Errno 111] Connection refused",
        ),
        (["--ray_address=auto"], "--ray_address=auto: Could not find any running Ray instance"),
        (["--ray_address=auto", "--jobs=2"], "--jobs is for this machine"),
    ],
)
def test_cluster_that_is_not_there_is_refused_in_one_line(arguments, words, tmp_path):
    arguments = ["--study=pendulum", f"--workdir={tmp_path}", *arguments]
    assert words in programs.refused("sweep", arguments)


def test_missing_ray_is_named(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['ray'] = None\n")
    process = programs.python(
        *("-m", "experiments.sweep", "--study=pendulum"),
        *(f"--workdir={tmp_path}", "--ray_address=local"),
        environment={"PYTHONPATH": str(tmp_path)},
    )
    assert (process.returncode, process.stdout) == (2, "")
    assert process.stderr == "error: --ray_address needs Ray: pip install -r requirements-ray.txt\n"

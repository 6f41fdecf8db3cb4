"""A study on a Ray cluster: a worker that dies, and clusters that are not there."""

import killed
import programs
import pytest

pytest.importorskip("ray")


def test_run_of_a_killed_worker_is_retried_and_resumes_to_the_same_bytes(tmp_path):
    process, runs = killed.start(tmp_path, "--ray_address=local", "--jobs=2", whom="parent")
    assert process.returncode == 0, process.stdout + process.stderr
    assert programs.error_lines(process) == []
    killed.check_one_was_killed_and_continued(tmp_path, runs)
    assert "finished  one, seed 3: return " in process.stdout and "finished  two, seed 3: return " in process.stdout


@pytest.mark.parametrize("arguments, words", [
    (["--ray_address=localhost"], "--ray_address must be auto, local or host:port, got 'localhost'"),
    (["--ray_address=localhost:1"], "--ray_address=localhost:1: [Errno 111] Connection refused"),
    (["--ray_address=auto"], "--ray_address=auto: Could not find any running Ray instance"),
    (["--ray_address=auto", "--jobs=2"], "--jobs is for this machine"),
])
def test_cluster_that_is_not_there_is_refused_in_one_line(arguments, words, tmp_path):
    arguments = ["--study=pendulum", f"--workdir={tmp_path}", *arguments]
    assert words in programs.refused_export("sweep", arguments)


def test_missing_ray_is_named(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['ray'] = None\n")
    process = programs.program("sweep", ["--study=pendulum", f"--workdir={tmp_path}", "--ray_address=local"],
                               environment={"PYTHONPATH": str(tmp_path)})
    assert (process.returncode, process.stdout) == (2, "")
    assert process.stderr == "error: --ray_address needs Ray: pip install -r requirements-ray.txt\n"

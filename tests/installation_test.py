"""What `pip install .` gives: a library that learns, commands, and nothing of `experiments`."""

import email
import re
import subprocess
import sys
import sysconfig
import zipfile
from importlib import metadata
from pathlib import Path

import programs
import pytest
from packaging.requirements import Requirement

pytestmark = pytest.mark.slow

_USE = """
import sys
import numpy as np
import tensorflow as tf
import vagram_tf

predicted, real = tf.constant([[1.0, 2.0]]), tf.constant([[0.0, 0.0]])
loss = vagram_tf.vagram_loss(predicted, real, lambda s: 3.0 * s[..., 0])
assert float(loss) == 9.0, loss
config = vagram_tf.preset("InvertedPendulum-v5").replace(
    random_steps=10, num_steps=10, model_hidden_units=(8,), agent_hidden_units=(8,),
    max_fit_steps=2, updates_per_step=1, rollouts_per_step=1, eval_episodes=1, eval_every=100,
    video_steps=0)
with vagram_tf.Training(config, sys.argv[1]) as run:
    assert run.learn(20).done and sorted(run.exports) == ["dynamics", "policy", "tf_agents_policy"]
print(vagram_tf.__file__)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of a copy of the sources: building leaves files beside them."""
    directory = tmp_path_factory.mktemp("wheel")
    tracked = subprocess.run(
        ["git", "ls-files", "vagram_tf", "experiments", "pyproject.toml", "README.md", "LICENSE"],
        cwd=programs.ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    for name in tracked:
        (directory / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / "source" / name).write_bytes((programs.ROOT / name).read_bytes())
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "-q",
            "--no-deps",
            "--no-build-isolation",
            "-w",
            directory,
            directory / "source",
        ],
        check=True,
    )
    (built,) = directory.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """A fresh environment with the wheel, which borrows the heavy dependencies of the one that runs
    the tests.
    """
    directory = tmp_path_factory.mktemp("environment")
    pip = [sys.executable, "-m", "pip", "--python", directory / "bin" / "python"]
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", directory], check=True)
    subprocess.run([*pip, "install", "-q", "--no-deps", "--no-index", wheel], check=True)
    (site,) = directory.glob("lib/python*/site-packages")
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    return directory


def test_the_wheel_holds_the_library_alone(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    version = metadata_of(wheel)["Version"]
    assert {name.split("/")[0] for name in names} == {"vagram_tf", f"vagram_tf-{version}.dist-info"}
    assert "vagram_tf/py.typed" in names


def test_what_it_asks_for_is_what_the_tests_run_with(wheel):
    """Each pin of requirements.txt lies within the ranges of the wheel, and each range has a
    pin.
    """
    pins = re.findall(
        r"^([\w-]+)(?:\[\w+\])?==", (programs.ROOT / "requirements.txt").read_text(), re.MULTILINE
    )
    asked = [Requirement(line) for line in metadata_of(wheel).get_all("Requires-Dist")]
    needed = [
        requirement
        for requirement in asked
        if not requirement.marker or "dev" not in str(requirement.marker)
    ]
    assert {requirement.name for requirement in needed} - {"ray", "minari"} == {
        name.replace("_", "-") for name in pins
    }
    for requirement in needed:
        assert requirement.specifier.contains(metadata.version(requirement.name)), requirement


def test_it_learns_where_it_is_installed(environment, tmp_path):
    process = run(environment / "bin" / "python", "-c", _USE, tmp_path / "runs", cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    assert Path(process.stdout.splitlines()[-1]).is_relative_to(environment)


@pytest.mark.parametrize(
    "command", ["train", "evaluate", "inspect", "sweep", "plot", "collect", "fit"]
)
def test_commands_are_called_by_their_names(environment, tmp_path, command):
    process = run(environment / "bin" / f"vagram-{command}", "--help", cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    assert process.stdout.startswith(f"usage: vagram-{command} [--flag=value ...]\n")
    assert f"\n    vagram-{command} --" in process.stdout  # an example


def metadata_of(wheel):
    (name,) = [
        name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".dist-info/METADATA")
    ]
    return email.message_from_bytes(zipfile.ZipFile(wheel).read(name))


def run(*command, cwd):
    return subprocess.run(
        command,
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "VAGRAM_TF_XLA": "0"},
        text=True,
        capture_output=True,
    )

"""What the terminal is told beside progress. Interruption and closing words: see mbpo_test."""

import shlex
import sys
import types

import numpy as np
import pytest

from vagram_tf.commands import console
from vagram_tf.config import Config
from vagram_tf.envs.episodes import Evaluation


@pytest.mark.parametrize(
    "name, found, shown",
    [
        ("python", "{bin}/python", "python"),
        ("tensorboard", "/usr/bin/tensorboard", "{bin}/tensorboard"),
        ("tensorboard", None, "{bin}/tensorboard"),
    ],
)
def test_programs_are_named_so_that_the_shell_finds_them(name, found, shown, monkeypatch, tmp_path):
    environment = tmp_path / "env" / "bin"
    monkeypatch.setattr(sys, "executable", str(environment / "python3.11"))
    monkeypatch.setattr(
        console.shutil, "which", lambda name: found and found.format(bin=environment)
    )
    assert console.installed(name) == shown.format(bin=environment)
    monkeypatch.chdir(tmp_path)
    assert console.installed(name) == shown.format(bin="env/bin")


@pytest.mark.parametrize(
    "found, started",
    [
        (True, ["python", "-m", "experiments.inspect_model"]),
        (False, ["vagram-inspect"]),
        (None, ["vagram-inspect"]),
    ],
    ids=["clone", "another experiments", "installed"],
)
def test_programs_are_modules_in_a_clone_and_commands_elsewhere(found, started, monkeypatch):
    def find(name):
        if found is None:
            raise ModuleNotFoundError(name)
        return found or None

    monkeypatch.setattr(console.importlib.util, "find_spec", find)
    monkeypatch.setattr(console, "installed", lambda name: name)
    assert console.program("inspect_model") == started
    trained = ["python", "-m", "experiments.mbpo"] if found else ["vagram-train"]
    assert console.program("mbpo") == trained


@pytest.mark.parametrize(
    "goal, reached, longer",
    [(950.0, 120.0, True), (950.0, 950.0, False), (None, 120.0, False)],
)
def test_missed_goal_names_the_command_that_goes_on(goal, reached, longer, monkeypatch, tmp_path):
    config = Config().replace(num_steps=300)
    directory = tmp_path / "my runs" / "InvertedPendulum-v5" / "vagram" / "0"
    training = types.SimpleNamespace(
        config=config,
        directory=directory,
        complete=True,
        evaluation=Evaluation(np.array([reached]), np.array([10])),
        dyna=types.SimpleNamespace(training_step=300, goal=goal),
        env_step=1300,
        seconds=61.0,
        exports={"policy": directory / "export" / "policy" / "1300"},
    )
    monkeypatch.setattr(console, "program", lambda name: [name])
    monkeypatch.setattr(console, "installed", lambda name: name)
    words = console.closing_words(training)
    assert ("goal of 950" in words) == (goal is not None)
    commands = [shlex.split(line) for line in words.partition("to try next:\n")[2].splitlines()]
    assert [command[0] for command in commands] == ["mbpo"] * longer + ["evaluate", "tensorboard"]
    if longer:
        assert commands[0][1:] == [
            f"--config={directory / 'config.json'}",
            f"--workdir={tmp_path / 'my runs'}",
            "--num_steps=600",
        ]

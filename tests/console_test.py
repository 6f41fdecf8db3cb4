"""What the terminal is told beside progress. Interruption and closing words: see mbpo_test."""

import sys

import pytest

from vagram_tf.commands import console


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

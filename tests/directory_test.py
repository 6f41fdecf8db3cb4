"""The run directory: its place, its lock, its configuration."""

import pathlib

import programs
import pytest

from vagram_tf.config import Config
from vagram_tf.run.directory import RunDirectory, config_hash

CONFIG = Config().replace(name="Pendulum-v1", num_steps=100)


def opened(workdir, config=CONFIG):
    """Opens a run directory, makes it the configuration's and closes it; returns its path."""
    directory = RunDirectory(workdir, config)
    directory.accept(config)
    directory.close()
    return directory.path


def test_place_and_config(tmp_path):
    config = CONFIG.replace(name="dm_control/reacher-easy-v0", loss="mle", seed=3)
    directory = RunDirectory(tmp_path, config)
    assert directory.path == tmp_path / "dm_control-reacher-easy-v0" / "mle" / "3"
    assert [path.name for path in directory.path.iterdir()] == ["lock"]  # it may not be possible
    directory.accept(config)
    assert Config.from_json((directory.path / "config.json").read_text()) == config
    assert directory.checkpoints == directory.path / "checkpoints"
    assert directory.export == directory.path / "export"


def test_home_directory_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert opened("~/runs") == tmp_path / "runs" / "Pendulum-v1" / "vagram" / "0"
    monkeypatch.chdir(tmp_path)
    line = programs.refused("evaluate", ["--export=~/none"])
    assert f"error: {tmp_path}/none is no export" in line
    assert not (tmp_path / "~").exists()


def test_empty_path_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="a path must not be empty"):
        RunDirectory("", CONFIG)
    assert programs.refused("mbpo", ["--workdir="]) == "error: --workdir must be a path, got ''"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["units=[16,16]", "all*", "what?", "back\\slash"])
def test_path_that_tensorflow_cannot_read_is_refused_before_anything_is_written(name, tmp_path):
    with pytest.raises(ValueError, match="TensorFlow takes .* in a path for a pattern"):
        RunDirectory(tmp_path / name, CONFIG)
    assert not list(tmp_path.iterdir())


def test_names_with_modules_make_one_level_each(tmp_path):
    directory = opened(tmp_path, CONFIG.replace(name="my.envs:Thing-v0", loss="my_losses:huber"))
    assert directory == tmp_path / "my.envs-Thing-v0" / "my_losses-huber" / "0"


def test_seeds_losses_and_environments_live_apart(tmp_path):
    changes = ({}, {"seed": 1}, {"loss": "mle"}, {"name": "Hopper-v5"})
    assert len({opened(tmp_path, CONFIG.replace(**change)) for change in changes}) == 4


def test_second_directory_in_the_same_process_is_refused(tmp_path):
    first = RunDirectory(tmp_path, CONFIG)
    first.accept(CONFIG)
    config = (first.path / "config.json").read_bytes()
    with pytest.raises(
        ValueError, match=f"another process is using {tmp_path}/Pendulum-v1/vagram/0"
    ):
        RunDirectory(tmp_path, CONFIG.replace(num_steps=200))
    assert (first.path / "config.json").read_bytes() == config
    del first
    assert opened(tmp_path)


def test_other_configuration_is_refused_naming_the_fields(tmp_path):
    path = opened(tmp_path)
    before = (path / "config.json").read_bytes()
    with pytest.raises(ValueError) as refusal:
        RunDirectory(tmp_path, CONFIG.replace(members=5, elites=5, discount=0.9))
    message = str(refusal.value)
    assert str(path) in message and "\n" not in message
    assert "members was 7 and is now 5" in message
    assert "discount was 0.99 and is now 0.9" in message
    assert "elites" not in message  # 5 before and after
    assert (path / "config.json").read_bytes() == before
    assert opened(tmp_path)  # the refused attempt holds no lock


def test_num_steps_may_grow_but_not_shrink(tmp_path):
    opened(tmp_path)
    path = opened(tmp_path, CONFIG.replace(num_steps=150))
    assert Config.from_json((path / "config.json").read_text()).dyna.num_steps == 150
    with pytest.raises(ValueError, match="num_steps may grow but not shrink: it was 150"):
        RunDirectory(tmp_path, CONFIG)


@pytest.mark.parametrize("text", ["", "{", "null", '{"run": {"seed": "x"}}'])
def test_damaged_config_is_refused(tmp_path, text):
    path = opened(tmp_path) / "config.json"
    path.write_text(text)
    with pytest.raises(ValueError) as refusal:
        RunDirectory(tmp_path, CONFIG)
    assert "config.json" in str(refusal.value) and "\n" not in str(refusal.value)
    assert path.read_text() == text


@pytest.mark.parametrize(
    "workdir, reason",
    [
        ("file/runs", "Not a directory"),
        ("/proc/runs", "No such file or directory"),
        ("/sys/runs", ""),
    ],
)
def test_unwritable_directory_is_named(tmp_path, workdir, reason):
    (tmp_path / "file").touch()
    workdir = tmp_path / workdir  # an absolute one stays as it is
    with pytest.raises(OSError) as refusal:
        RunDirectory(workdir, CONFIG)
    message = str(refusal.value)
    assert message.startswith(f"cannot write to {workdir}/Pendulum-v1/vagram/0: ")
    assert reason in message and "None" not in message and "\n" not in message


def test_leftovers_of_a_killed_process_are_cleared_at_the_start(tmp_path):
    path = opened(tmp_path)
    kept = [
        "progress.csv",
        "checkpoints/45/state.index",
        "export/policy/40/saved_model.pb",
        "events.out.1",
    ]
    left = [
        "writing-config.json",
        "writing-progress.csv",
        "checkpoints/writing-90/state.index",
        "writing-events",
        "export/dynamics/writing-40/variables/variables.index",
        "export/policy/writing-90/stray",
    ]
    for name in kept + left:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).touch()
    opened(tmp_path)
    found = {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}
    assert found == {*kept, "config.json", "lock"}
    assert not list(path.rglob("writing-*"))


def test_full_disk_leaves_the_config_that_was_there(tmp_path):
    path = opened(tmp_path)
    with programs.full_disk(100):
        assert opened(tmp_path) == path  # nothing to write
        with pytest.raises(OSError, match=f"cannot write to {path}: File too large$"):
            opened(tmp_path, CONFIG.replace(num_steps=200))
    assert Config.from_json((path / "config.json").read_text()) == CONFIG


def test_patience_with_the_environment_may_change(tmp_path):
    path = opened(tmp_path)
    opened(tmp_path, CONFIG.replace(environment_timeout=600.0))
    assert Config.from_json((path / "config.json").read_text()).run.environment_timeout == 600.0


def test_config_hash_ignores_only_what_may_change():
    assert config_hash(CONFIG) == config_hash(CONFIG.replace(num_steps=5, environment_timeout=5.0))
    assert config_hash(CONFIG) != config_hash(CONFIG.replace(seed=1))
    assert config_hash(CONFIG) != config_hash(CONFIG.replace(model_weight_decay=1e-4))
    assert len(config_hash(CONFIG)) == 16 and int(config_hash(CONFIG), 16) >= 0


def test_workdir_may_be_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert opened(pathlib.Path("runs")) == pathlib.Path("runs/Pendulum-v1/vagram/0")
    assert (tmp_path / "runs/Pendulum-v1/vagram/0/config.json").exists()

"""Checkpoints: what is saved comes back, and what is damaged is not used."""

import ast
import json
import logging
import os
import pathlib

import numpy as np
import programs
import pytest
import tensorflow as tf

from vagram_tf.run.checkpoint import CheckpointError, Checkpoints

PACKAGE = pathlib.Path(__file__).parents[1] / "vagram_tf"


class Thing(tf.Module):
    """What a run has: weights, a growing variable, names, a generator."""

    def __init__(self, seed):
        super().__init__()
        rng = np.random.default_rng(seed)
        self.weights = tf.Variable(rng.normal(size=[40, 30]).astype(np.float32))
        self.rows = tf.Variable(rng.normal(size=[seed, 3]), shape=[None, 3])
        self.names = tf.Variable([f"name {i}" for i in range(seed)], shape=[None])
        self.generator = tf.random.Generator.from_seed(seed, alg="philox")

    def values(self):
        return [v.numpy().tolist() for v in (self.weights, self.rows, self.names, self.generator.state)]


def saved(directory, *steps):
    """Writes checkpoints of `Thing(1)`, `Thing(2)`, ... at the given steps."""
    for seed, step in enumerate(steps, start=1):
        Checkpoints(directory, thing=Thing(seed)).save(step, {"config_hash": "abc"})


def restored(directory):
    thing = Thing(9)
    return Checkpoints(directory, thing=thing).restore(), thing.values()


def test_round_trip(tmp_path):
    saved(tmp_path / "checkpoints", 7)
    assert restored(tmp_path / "checkpoints") == (7, Thing(1).values())


def test_generator_continues_where_it_was(tmp_path):
    original, copy = Thing(1), Thing(9)
    original.generator.normal([5])
    Checkpoints(tmp_path, thing=original).save(1, {})
    Checkpoints(tmp_path, thing=copy).restore()
    assert original.generator.normal([8]).numpy().tolist() == copy.generator.normal([8]).numpy().tolist()


def test_newest_is_the_largest_step_and_two_are_kept(tmp_path):
    saved(tmp_path, 90, 100, 1000)
    assert Checkpoints(tmp_path).steps() == [100, 1000]
    assert restored(tmp_path) == (1000, Thing(3).values())


def test_never_saved_restores_nothing(tmp_path):
    step, values = restored(tmp_path / "absent")
    assert step is None and values == Thing(9).values()
    assert Checkpoints(tmp_path / "absent").steps() == []


def test_manifest(tmp_path):
    path = Checkpoints(tmp_path, thing=Thing(1)).save(7, {"config_hash": "abc", "versions": {"numpy": "2"}})
    assert path == tmp_path / "7"
    manifest = json.loads((path / "manifest.json").read_text())
    assert manifest["env_step"] == 7 and manifest["config_hash"] == "abc" and manifest["versions"] == {"numpy": "2"}
    assert set(manifest["files"]) == {p.name for p in path.iterdir()} - {"manifest.json"}
    assert {name: facts["bytes"] for name, facts in manifest["files"].items()} == {
        p.name: p.stat().st_size for p in path.iterdir() if p.name != "manifest.json"}


def flip(path, position, bit=0):
    data = bytearray(path.read_bytes())
    data[position] ^= 1 << bit
    path.write_bytes(data)


DATA, INDEX, MANIFEST = "state.data-00000-of-00001", "state.index", "manifest.json"

DAMAGES = {
    "data truncated": (DATA, lambda path: os.truncate(path, path.stat().st_size - 1), "bytes instead of"),
    "data lengthened": (DATA, lambda path: path.write_bytes(path.read_bytes() + b"x"), "bytes instead of"),
    "data emptied": (DATA, lambda path: os.truncate(path, 0), "has 0 bytes instead of"),
    "data flipped": (DATA, lambda path: flip(path, 1000), "does not match its checksum"),
    "data missing": (DATA, pathlib.Path.unlink, "is missing"),
    "index truncated": (INDEX, lambda path: os.truncate(path, 10), "bytes instead of"),
    "index flipped": (INDEX, lambda path: flip(path, 5), "does not match its checksum"),
    "index missing": (INDEX, pathlib.Path.unlink, "is missing"),
    "manifest truncated": (MANIFEST, lambda path: os.truncate(path, 30), "cannot be read"),
    "manifest emptied": (MANIFEST, lambda path: os.truncate(path, 0), "cannot be read"),
    "manifest missing": (MANIFEST, pathlib.Path.unlink, "cannot be read"),
    "manifest of another kind": (MANIFEST, lambda path: path.write_text("[]"), "cannot be read"),
    "manifest without files": (MANIFEST, lambda path: path.write_text('{"env_step": 2}'), "cannot be read"),
    "manifest with a list of files": (MANIFEST, lambda path: path.write_text('{"files": ["a"]}'), "cannot be read"),
    "manifest without sizes": (MANIFEST, lambda path: path.write_text('{"files": {"state.index": {}}}'), "cannot be"),
    "manifest in no encoding": (MANIFEST, lambda path: path.write_bytes(b'{"files": "\xff"}'), "cannot be read"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_newest_falls_back_with_a_warning(tmp_path, caplog, damage):
    saved(tmp_path, 1, 2)
    name, inflict, reason = DAMAGES[damage]
    inflict(tmp_path / "2" / name)
    with caplog.at_level(logging.WARNING):
        assert restored(tmp_path) == (1, Thing(1).values())
    (record,) = [record for record in caplog.records if "checkpoint" in record.getMessage()]
    assert record.levelno == logging.WARNING
    message = record.getMessage()
    assert str(tmp_path / "2") in message and name in message and reason in message


def test_any_flipped_bit_of_the_manifest_is_survived(tmp_path):
    """Every byte of the manifest's file list, one at a time: the newest is used as it was, or not at all."""
    saved(tmp_path, 1, 2)
    path = tmp_path / "2" / MANIFEST
    whole = path.read_bytes()
    expected = {1: Thing(1).values(), 2: Thing(2).values()}
    used = []
    for position in range(0, len(whole), 3):
        flip(path, position, bit=position % 7)
        step, values = restored(tmp_path)
        assert values == expected[step]
        used.append(step)
        path.write_bytes(whole)
    assert used.count(1) > len(used) / 3
    assert restored(tmp_path)[0] == 2


def test_none_left_is_an_error_that_names_each(tmp_path):
    saved(tmp_path, 1, 2)
    (tmp_path / "1" / DATA).unlink()
    (tmp_path / "2" / MANIFEST).unlink()
    with pytest.raises(CheckpointError) as refusal:
        restored(tmp_path)
    message = str(refusal.value)
    assert "\n" not in message
    assert f"{tmp_path / '1'}: {DATA} is missing" in message
    assert f"{tmp_path / '2'}: {MANIFEST} cannot be read" in message
    assert "--workdir" in message


def test_all_deleted_is_an_error_too(tmp_path):
    """A run that has saved and has lost everything does not silently start afresh."""
    saved(tmp_path, 1, 2)
    for step in "12":
        for path in (tmp_path / step).iterdir():
            path.unlink()
        (tmp_path / step).rmdir()
    with pytest.raises(CheckpointError):
        restored(tmp_path)


def test_damaged_checkpoint_does_not_count_as_kept(tmp_path):
    """After a fall-back there are soon two good ones again."""
    saved(tmp_path, 10, 20)
    os.truncate(tmp_path / "20" / DATA, 3)
    checkpoints = Checkpoints(tmp_path, thing=Thing(3))
    assert checkpoints.restore() == 10
    checkpoints.save(12, {})
    checkpoints.save(14, {})
    assert checkpoints.steps() == [12, 14]
    os.truncate(tmp_path / "14" / DATA, 3)
    assert restored(tmp_path)[0] == 12


def test_damaged_checkpoint_of_the_same_step_is_replaced(tmp_path):
    saved(tmp_path, 10, 20)
    os.truncate(tmp_path / "20" / DATA, 3)
    Checkpoints(tmp_path, thing=Thing(5)).save(20, {})
    assert restored(tmp_path) == (20, Thing(5).values())


def test_leftovers_of_a_killed_write_are_not_used(tmp_path):
    saved(tmp_path, 1)
    os.rename(tmp_path / "1", tmp_path / "writing-3")
    saved(tmp_path, 1)
    assert restored(tmp_path)[0] == 1


def check_only_the_first_is_there(directory):
    assert Checkpoints(directory).steps() == [1]
    assert not list(directory.glob("writing-*"))
    assert restored(directory) == (1, Thing(1).values())


def test_full_disk_leaves_the_earlier_checkpoint(tmp_path):
    saved(tmp_path, 1)
    message = f"cannot write the checkpoint {tmp_path}/2: .*File too large"
    with programs.full_disk(2000), pytest.raises(OSError, match=message) as failure:
        Checkpoints(tmp_path, thing=Thing(2)).save(2, {})
    assert "\n" not in str(failure.value)
    check_only_the_first_is_there(tmp_path)


@pytest.mark.parametrize("target", ["pathlib.Path.write_text", "vagram_tf.run.checkpoint._flush"])
def test_write_that_fails_late_leaves_the_earlier_checkpoint(tmp_path, monkeypatch, target):
    saved(tmp_path, 1)

    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(target, fail)
        with pytest.raises(OSError, match="cannot write the checkpoint .*No space left on device"):
            Checkpoints(tmp_path, thing=Thing(2)).save(2, {})
    check_only_the_first_is_there(tmp_path)


def test_files_reach_the_disk_before_the_checkpoint_gets_its_name(tmp_path, monkeypatch):
    events = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (events.append(os.readlink(f"/proc/self/fd/{fd}")), fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda a, b: (events.append("renamed") if str(b).endswith("/4") else None,
                                                     replace(a, b)))
    path = Checkpoints(tmp_path, thing=Thing(1)).save(4, {})
    before, after = events[: events.index("renamed")], events[events.index("renamed") + 1 :]
    assert {pathlib.Path(file).name for file in before} >= {p.name for p in path.iterdir()}
    assert str(tmp_path) in after


def test_other_objects_than_saved_are_refused(tmp_path):
    saved(tmp_path, 1)
    with pytest.raises(Exception, match="(?i)unresolved|not found|consumed|match"):
        Checkpoints(tmp_path, thing=Thing(9), other=Thing(2)).restore()


def test_nothing_is_pickled():
    """Loading a work directory that somebody else made must not run their code."""
    forbidden = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not forbidden & {part for name in names for part in name.split(".")}, path
            if isinstance(node, ast.Call):
                assert ast.unparse(node.func) not in ("eval", "exec"), path
                pickles = [keyword.value for keyword in node.keywords if keyword.arg == "allow_pickle"]
                assert all(ast.unparse(value) == "False" for value in pickles), path

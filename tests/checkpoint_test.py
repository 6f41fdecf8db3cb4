"""Checkpoints: what is saved comes back, and what is damaged is not used."""

import ast
import json
import logging
import os
import pathlib
import types

import numpy as np
import programs
import pytest
import tensorflow as tf

from vagram_tf.run.checkpoint import CheckpointError, Checkpoints

DATA, INDEX, MANIFEST = "state.data-00000-of-00001", "state.index", "manifest.json"
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
        return [
            v.numpy().tolist() for v in (self.weights, self.rows, self.names, self.generator.state)
        ]


def saved(directory, *steps):
    """Writes checkpoints of `Thing(1)`, `Thing(2)`, ... at the given steps."""
    for seed, step in enumerate(steps, start=1):
        Checkpoints(directory, thing=Thing(seed)).save(step, {"versions": {"numpy": "1"}})


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
    assert (
        original.generator.normal([8]).numpy().tolist()
        == copy.generator.normal([8]).numpy().tolist()
    )


def test_newest_is_the_largest_step_and_two_are_kept(tmp_path):
    saved(tmp_path, 90, 100, 1000)
    assert Checkpoints(tmp_path).steps() == [100, 1000]
    assert restored(tmp_path) == (1000, Thing(3).values())


def test_killed_before_the_oldest_is_removed(tmp_path, monkeypatch):
    saved(tmp_path, 90, 100)
    with monkeypatch.context() as patch:
        dying = types.SimpleNamespace(rmtree=programs.raise_(SystemExit))
        patch.setattr("vagram_tf.run.checkpoint.shutil", dying)
        with pytest.raises(SystemExit):
            Checkpoints(tmp_path, thing=Thing(3)).save(1000, {})
    assert restored(tmp_path) == (1000, Thing(3).values())
    Checkpoints(tmp_path, thing=Thing(4)).save(1001, {})
    assert Checkpoints(tmp_path).steps() == [1000, 1001]


def test_checkpoint_of_another_version_is_named(tmp_path):
    saved(tmp_path, 7)

    more, narrower = Thing(9), Thing(9)
    more.added = tf.Variable([1.0])
    narrower.weights = tf.Variable(tf.zeros([40, 20]))
    for other in (more, narrower):
        with pytest.raises(CheckpointError, match="7 was written by another version of vagram_tf"):
            Checkpoints(tmp_path, thing=other).restore()


def test_never_saved_restores_nothing(tmp_path):
    step, values = restored(tmp_path / "absent")
    assert step is None and values == Thing(9).values()
    assert Checkpoints(tmp_path / "absent").steps() == []


def test_manifest(tmp_path):
    path = Checkpoints(tmp_path, thing=Thing(1)).save(7, {"versions": {"numpy": "2"}})
    assert path == tmp_path / "7"
    manifest = json.loads((path / "manifest.json").read_text())
    assert manifest["env_step"] == 7 and manifest["versions"] == {"numpy": "2"}
    assert set(manifest["files"]) == {DATA, INDEX}
    checkpoints = Checkpoints(tmp_path, thing=Thing(9))
    checkpoints.restore()
    assert checkpoints.facts == {"env_step": 7, "versions": {"numpy": "2"}}


DAMAGES = {
    "data": (
        DATA,
        lambda path: path.write_bytes(path.read_bytes()[::-1]),
        "does not match its checksum",
    ),
    "index": (INDEX, pathlib.Path.unlink, "is missing"),
    "manifest": (MANIFEST, lambda path: os.truncate(path, 30), "cannot be read"),
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


def test_full_disk_leaves_the_earlier_checkpoint(tmp_path):
    saved(tmp_path, 1)
    message = f"cannot write the checkpoint {tmp_path}/2: .*File too large"
    with programs.full_disk(2000), pytest.raises(OSError, match=message) as failure:
        Checkpoints(tmp_path, thing=Thing(2)).save(2, {})
    assert "\n" not in str(failure.value)
    assert [path.name for path in tmp_path.iterdir()] == ["1"]
    assert restored(tmp_path) == (1, Thing(1).values())


def test_nothing_is_pickled():
    """Loading a work directory that somebody else made must not run their code."""
    forbidden = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import | ast.ImportFrom)
                else []
            )
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not forbidden & {part for name in names for part in name.split(".")}, path
            if isinstance(node, ast.Call):
                assert ast.unparse(node.func) not in ("eval", "exec"), path
                pickles = [
                    keyword.value for keyword in node.keywords if keyword.arg == "allow_pickle"
                ]
                assert all(ast.unparse(value) == "False" for value in pickles), path

"""Checkpoints to resume a run from: everything that the next step depends on, verified before it is used."""

import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any

import tensorflow as tf

from vagram_tf.errors import Fault, one_line
from vagram_tf.files import checksum

_KEPT = 2


class CheckpointError(Fault):
    """No checkpoint can be used; the message says why, for each."""


class Checkpoints:
    """Writes and restores numbered checkpoints `checkpoints/<env step>/` of trackable objects.

    A checkpoint is written beside its place, flushed to the disk and renamed; its manifest holds the size and the
    SHA-256 of every file, so that a damaged one is recognised and the one before it used. Nothing is pickled.

    Args:
      directory: `checkpoints/` of a run.
      **objects: what to save, by name.
    """

    def __init__(self, directory: Path, **objects: Any):
        self._directory = directory
        # Exists once a checkpoint does: none left is then a loss, and not a run that never saved.
        self._marker = directory.with_name("checkpointed")
        self._checkpoint = tf.train.Checkpoint(**objects)

    def save(self, step: int, facts: dict[str, Any]) -> Path:
        """Saves all objects as they are and deletes all but the last two checkpoints.

        Args:
          step: environment step, the checkpoint's name.
          facts: what else the manifest should say (configuration hash, versions).

        Raises:
          OSError: it could not be written whole; the checkpoints before it are untouched.
        """
        target = self._directory / str(step)
        temporary = self._directory / f"writing-{step}"
        try:
            temporary.mkdir(parents=True)
            self._checkpoint.write(str(temporary / "state"))
            files = {p.name: {"bytes": p.stat().st_size, "sha256": checksum(p)} for p in sorted(temporary.iterdir())}
            manifest = {"env_step": step, **facts, "files": files}
            (temporary / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
            for path in (*temporary.iterdir(), temporary):
                _flush(path)
        except (OSError, tf.errors.OpError) as error:
            shutil.rmtree(temporary, ignore_errors=True)
            raise OSError(f"cannot write the checkpoint {target}: {one_line(error)}") from None
        shutil.rmtree(target, ignore_errors=True)
        os.replace(temporary, target)
        self._marker.touch()
        _flush(self._directory)
        earlier = [other for other in self.steps() if other < step]
        later = [other for other in self.steps() if other > step]  # damaged ones, of a future that did not happen
        for other in earlier[: 1 - _KEPT] + later:
            shutil.rmtree(self._directory / str(other))
        return target

    def steps(self) -> list[int]:
        """Returns the steps that there are checkpoints of, oldest first."""
        if not self._directory.is_dir():
            return []
        return sorted(int(path.name) for path in self._directory.iterdir() if path.name.isdigit())

    def restore(self) -> int | None:
        """Restores the newest checkpoint that is whole.

        Returns:
          Its environment step, or None if there never was a checkpoint.

        Raises:
          CheckpointError: there were checkpoints and none can be used.
        """
        reasons = []
        for step in reversed(self.steps()):
            path = self._directory / str(step)
            reason = _damage(path)
            if reason is None:
                self._checkpoint.read(str(path / "state")).assert_consumed()
                return step
            reasons.append(f"{path}: {reason}")
            logging.warning("checkpoint not used: %s", reasons[-1])
        if reasons or self._marker.exists():
            why = "; ".join(reasons) or "all have been deleted"
            raise CheckpointError(
                f"no usable checkpoint is left in {self._directory} ({why}); to start afresh, choose another --workdir")
        return None


def _damage(path: Path) -> str | None:
    """Says what is wrong with a checkpoint, or returns None."""
    try:
        files = json.loads((path / "manifest.json").read_text())["files"]
        expected = {name: (facts["bytes"], facts["sha256"]) for name, facts in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"manifest.json cannot be read ({type(error).__name__})"
    for name, (size, digest) in expected.items():
        file = path / name
        if not file.is_file():
            return f"{name} is missing"
        if file.stat().st_size != size:
            return f"{name} has {file.stat().st_size} bytes instead of {size}"
        if checksum(file) != digest:
            return f"{name} does not match its checksum"
    return None


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

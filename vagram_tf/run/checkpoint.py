"""Checkpoints to resume a run from: everything that the next step depends on, verified before it is
used.
"""

import logging
import shutil
from pathlib import Path
from typing import Any

import tensorflow as tf

from vagram_tf import files
from vagram_tf.errors import Fault, one_line
from vagram_tf.replay import ReplayBuffer

_KEPT = 2


class CheckpointError(Fault):
    """No checkpoint can be used; the message says why, for each."""


class Checkpoints:
    """Writes and restores numbered checkpoints `checkpoints/<env step>/` of trackable objects.

    A checkpoint appears whole; its manifest tells a damaged one, and the one before it is used.
    Nothing is pickled.

    Args:
      directory: `checkpoints/` of a run.
      **objects: what to save, by name.

    Attributes:
      facts: what the manifest of the checkpoint that was restored says.
    """

    def __init__(self, directory: Path, **objects: Any):
        self.facts: dict[str, Any] = {}
        self._directory = directory
        # Exists once a checkpoint does: none left is then a loss, and not a run that never saved.
        self._marker = directory.with_name("checkpointed")
        self._checkpoint = tf.train.Checkpoint(**objects)
        # Too large for the copy that TensorFlow would make.
        self._buffers = {
            name: each for name, each in objects.items() if isinstance(each, ReplayBuffer)
        }

    def save(self, step: int, facts: dict[str, Any]) -> Path:
        """Saves all objects as they are and deletes all but the last two checkpoints.

        Args:
          step: environment step, the checkpoint's name.
          facts: what else the manifest should say (the versions of packages).

        Raises:
          OSError: it could not be written whole; the checkpoints before it are untouched.
        """
        target = self._directory / str(step)
        try:
            with files.replacing_directory(target, {"env_step": step, **facts}) as temporary:
                self._checkpoint.write(str(temporary / "state"))
                for name, buffer in self._buffers.items():
                    buffer.save(temporary / f"{name}.npy")
        except (OSError, tf.errors.OpError) as error:
            raise OSError(f"cannot write the checkpoint {target}: {one_line(error)}") from None
        self._marker.touch()
        earlier = [other for other in self.steps() if other < step]
        # Damaged ones, of a future that did not happen.
        later = [other for other in self.steps() if other > step]
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
          CheckpointError: there were checkpoints and none can be used, or the newest is of another
            version.
        """
        reasons = []
        for step in reversed(self.steps()):
            path = self._directory / str(step)
            reason = files.verify(path)
            if reason is None:
                self._read(path)
                self.facts = files.facts(path)
                return step
            reasons.append(f"{path}: {reason}")
            logging.warning("checkpoint not used: %s", reasons[-1])
        if reasons or self._marker.exists():
            why = "; ".join(reasons) or "all have been deleted"
            raise CheckpointError(
                f"no usable checkpoint is left in {self._directory} ({why}); to start afresh, "
                "choose another --workdir"
            )
        return None

    def _read(self, path: Path) -> None:
        try:
            self._checkpoint.read(str(path / "state")).assert_consumed()
            for name, buffer in self._buffers.items():
                buffer.load(path / f"{name}.npy")
        # Objects, shapes or files that differ.
        except (AssertionError, ValueError, OSError, tf.errors.OpError):
            raise CheckpointError(
                f"{path} was written by another version of vagram_tf, which alone can continue it; "
                "to start afresh, choose another --workdir"
            ) from None

"""A run's directory: one process at a time, one configuration for good. TensorFlow is not needed
here.
"""

import contextlib
import hashlib
import os
from pathlib import Path

from vagram_tf import files
from vagram_tf.config import FIELDS, Config

# Settings that may change when a run is continued, because no step depends on them: how far it
# goes, how long a slow environment is waited for, and where evaluations play.
_MAY_CHANGE = ("num_steps", "environment_timeout", "instances")


class RunDirectory:
    """Opens `<workdir>/<env>/<loss>/<seed>/`, locks it, clears it of what a killed process has left
    half-written, and compares `config.json` where there is one. `accept` writes it.

    Args:
      workdir: where all runs live.
      config: this run's.

    Raises:
      ValueError: another process uses the directory, it belongs to another configuration, or its
        path is one that TensorFlow cannot read.
      OSError: it cannot be written.
    """

    def __init__(self, workdir: str | os.PathLike[str], config: Config):
        self.path = run_path(files.path(workdir), config)
        files.check_tensorflow_reads(self.path)
        try:
            with contextlib.ExitStack() as unfinished:
                self.path.mkdir(parents=True, exist_ok=True)
                self._lock = unfinished.enter_context(files.lock(self.path / "lock"))
                files.clear(self.path)
                self._accepted(config)
                unfinished.pop_all()
        except BlockingIOError:
            raise ValueError(f"another process is using {self.path}") from None
        except OSError as error:
            raise OSError(f"cannot write to {self.path}: {error.strerror}") from None

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def export(self) -> Path:
        return self.path / "export"

    def close(self) -> None:
        """Lets another process have the directory."""
        self._lock.close()

    def accept(self, config: Config) -> None:
        """Makes the directory this configuration's, whose run can be built: writes `config.json`.

        Raises:
          ValueError: it is another configuration's directory.
          OSError: it cannot be written.
        """
        if self._accepted(config):
            return
        try:
            files.write(self._config, config.to_json())
        except OSError as error:
            raise OSError(f"cannot write to {self.path}: {error.strerror}") from None

    @property
    def _config(self) -> Path:
        return self.path / "config.json"

    def _accepted(self, config: Config) -> bool:
        """Says whether the directory is this configuration's already; raises ValueError where it is
        another's.
        """
        if not self._config.exists():
            return False
        try:
            old, new = Config.from_json(self._config.read_text()).flat(), config.flat()
        except ValueError as error:
            raise ValueError(f"{self._config}: {error}") from None
        different = [name for name in new if new[name] != old[name] and name not in _MAY_CHANGE]
        if different:
            changes = ", ".join(
                f"{name} was {old[name]!r} and is now {new[name]!r}" for name in different
            )
            raise ValueError(f"{self.path} holds a run with another configuration: {changes}")
        if new["num_steps"] < old["num_steps"]:
            raise ValueError(f"num_steps may grow but not shrink: it was {old['num_steps']}")
        return new == old


def run_path(workdir: Path, config: Config) -> Path:
    """Returns `<workdir>/<env>/<loss>/<seed>`."""
    environment = config.env.name.replace("/", "-").replace(":", "-")
    return workdir / environment / config.model.loss.replace(":", "-") / str(config.run.seed)


def fixed(config: Config) -> Config:
    """Returns what of a configuration a run keeps for life: with the defaults of what may
    change.
    """
    return config.replace(**{name: FIELDS[name].default for name in _MAY_CHANGE})


def config_hash(config: Config) -> str:
    """Returns the first 16 hexadecimal digits of the SHA-256 of what a run keeps."""
    return hashlib.sha256(fixed(config).to_json().encode()).hexdigest()[:16]

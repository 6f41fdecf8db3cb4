"""What a program is given to work with: environments, losses, exports, places for files. TensorFlow
is not needed here.

Everything raises ValueError, in one sentence, for what is refused.
"""

import contextlib
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from vagram_tf.config import EnvConfig
from vagram_tf.export.load import check_export, newest_of_run

if TYPE_CHECKING:
    import gymnasium


def environment(config: EnvConfig) -> "gymnasium.Env":
    """Returns an environment; raises ValueError where there is none of that name, or its spaces are
    not supported.
    """
    from vagram_tf.envs import tasks  # Gymnasium may be missing, and `--help` is to be quick

    return tasks.make(config)


@contextlib.contextmanager
def environments(config: EnvConfig, count: int) -> Iterator[list["gymnasium.Env"]]:
    """Gives so many environments, or one where there can be no more, and closes them; otherwise as
    `environment`.
    """
    with contextlib.ExitStack() as opened:
        made = []
        for _ in range(1 if config.instances == "one" else count):
            made.append(environment(config))
            opened.callback(made[-1].close)
        yield made


def check_sizes(export: Path, kind: str, environment: "gymnasium.Env") -> None:
    """Raises ValueError where an export was made for observations or actions of other sizes than
    the environment that it names has now.
    """
    metadata = check_export(export, kind)
    for what, of, space in (
        ("observations", metadata["observation_size"], environment.observation_space),
        ("actions", len(metadata["action_low"]), environment.action_space),
    ):
        if space.shape != (of,):
            raise ValueError(
                f"{export} is for {what} of size {of}; {metadata['environment']} has {space.shape}"
            )


def check_environment(config: EnvConfig) -> None:
    """Raises ValueError as `environment` does."""
    environment(config).close()


def check_loss(loss: str) -> None:
    """Raises ValueError where a loss `module:name` is in a module that does not exist; nothing is
    imported for it.
    """
    module = loss.rpartition(":")[0]
    if not module:
        return
    try:
        found = importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # of the package that it would be in; of a relative name
        found = False
    if not found:
        raise ValueError(f"loss {loss!r}: there is no module {module}")


def export(path: Path | None, kind: str) -> Path:
    """Returns the export that a path names; see `newest_of_run`.

    Raises:
      ValueError: there is no path.
    """
    if path is None:
        raise ValueError(
            f"--export is needed: the directory of a run, or of one of its exports of kind {kind}"
        )
    return newest_of_run(path, kind)


def tell(taken: Path, path: Path) -> None:
    """Says which export was taken, where the path that was given names several."""
    if taken != path:
        print(f"export   {taken}", flush=True)


def check_new(path: Path) -> None:
    """Raises ValueError where there is something already, or no place for it."""
    if path.exists():
        raise ValueError(f"{path} exists already: give --output another name")
    place = next(parent for parent in path.absolute().parents if parent.exists())
    if not place.is_dir():
        raise ValueError(f"{path} cannot be written: a file is in its way")
    _check_writable(path, place)


def check_file(path: Path) -> None:
    """Raises ValueError where no file can be written."""
    if path.is_dir():
        raise ValueError(f"{path} cannot be written: it is a directory")
    check_output(path)


def check_output(path: Path) -> None:
    """Raises ValueError where there is no directory for files of that name, or none that can be
    written to.
    """
    if not path.parent.is_dir():
        raise ValueError(f"{path} cannot be written: there is no directory {path.parent}")
    _check_writable(path, path.parent)


def _check_writable(path: Path, directory: Path) -> None:
    if not os.access(directory, os.W_OK):
        raise ValueError(f"{path} cannot be written: nothing may be written to {directory}")

"""Opens an export that a run has left, after checking what it is. TensorFlow is imported only to
load it.
"""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from vagram_tf import files
from vagram_tf.config import EnvConfig
from vagram_tf.errors import one_line

START_STATES = "start_states.npy"  # beside a dynamics model
# What metadata say of the environment beside its name; how imagined episodes end is the model's.
_ENVIRONMENT = EnvConfig.names_without("name", "termination")
FORMAT = 1  # of metadata.json and the signatures; a change that an old reader cannot take raises it


class Export(NamedTuple):
    """An export, opened.

    Attributes:
      module: what `tf.saved_model.load` gives: a callable with the signatures as methods.
      metadata: the contents of `metadata.json`.
    """

    module: Any
    metadata: dict[str, Any]

    @property
    def environment(self) -> EnvConfig:
        """The environment, with its distractors, that the run was in."""
        return environment_of(self.metadata)


def open_export(
    directory: str | os.PathLike[str], kind: str, signature: str | None = None
) -> Export:
    """Loads an export.

    Args:
      directory: the export's own, e.g. `runs/Hopper-v5/vagram/0/export/dynamics/4000`.
      kind: "dynamics" or "policy".
      signature: one that it must have.

    Raises:
      ValueError: in one sentence, as `check_export` does, or if TensorFlow cannot load it.
    """
    metadata = check_export(directory, kind, signature)
    import tensorflow as tf

    try:
        with _readable(files.path(directory)) as path:
            return Export(tf.saved_model.load(str(path)), metadata)
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise ValueError(
            f"{directory} cannot be loaded by TensorFlow {tf.__version__}: {one_line(error)}"
        ) from None


def check_export(
    directory: str | os.PathLike[str], kind: str, signature: str | None = None
) -> dict[str, Any]:
    """Returns an export's metadata, without TensorFlow.

    Args:
      directory: the export's own.
      kind: "dynamics" or "policy".
      signature: one that it must have.

    Raises:
      ValueError: in one sentence, if the directory is no export, or an export of another format or
        kind, or damaged, or without the signature.
    """
    path = files.path(directory)
    if not (path / "metadata.json").is_file():
        raise ValueError(f"{directory} is no export: it has no metadata.json{_suggestion(path)}")
    metadata = _read_json(path / "metadata.json")
    if "format" not in metadata:
        raise ValueError(
            f"{directory} was written by an earlier version of vagram_tf; the command of its "
            "run, started "
            "once more, writes it anew"
        )
    if metadata["format"] != FORMAT:
        raise ValueError(
            f"{directory} has export format {metadata['format']}; this version of vagram_tf reads "
            f"format {FORMAT}"
        )
    if metadata.get("kind") != kind:
        raise ValueError(
            f"{directory} is an export of kind {metadata.get('kind')!r}; expected is {kind!r}"
        )
    if damage := files.verify(path):
        raise ValueError(f"{directory} is damaged: {damage}")
    if signature and signature not in metadata.get("signatures", {}):
        raise ValueError(
            f"{directory} was exported by an earlier version, without the signature "
            f"{signature!r}; the command of its run, started once more, writes it anew"
        )
    return metadata


def environment_of(metadata: Mapping[str, Any]) -> EnvConfig:
    """Returns the environment that an export's metadata names.

    Raises:
      ValueError: they name none, or one that is impossible.
    """
    if metadata.get("environment") is None:
        raise ValueError(
            "no environment is known: the export is of data that name none, or of a program's own"
        )
    # Exports of version 0.1 do not have all of them.
    settings = {name: metadata[name] for name in _ENVIRONMENT if name in metadata}
    return EnvConfig(name=metadata["environment"], **settings)


def environment_metadata(config: EnvConfig) -> dict[str, Any]:
    """Returns what `environment_of` reads."""
    settings = {name: getattr(config, name) for name in _ENVIRONMENT}
    return {"environment": config.name, **settings}


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[Path]:
    """Gives a path to the same directory that TensorFlow does not take for a pattern."""
    if not files.pattern_characters(path):
        yield path
        return
    with tempfile.TemporaryDirectory() as temporary:
        link = Path(temporary) / "export"
        link.symlink_to(path.resolve())
        yield link


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text())
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{path} is not a JSON object")
    return value


def newest_export(directory: Path) -> Path | None:
    """Returns the newest export in a directory that holds numbered ones, None where there is
    none.
    """
    steps = [
        int(found.parent.name)
        for found in directory.glob("*/metadata.json")
        if found.parent.name.isdecimal()
    ]
    return directory / str(max(steps)) if steps else None


def newest_of_run(path: str | os.PathLike[str], kind: str) -> Path:
    """Returns the export that a path names.

    Args:
      path: an export's own directory; or a run's, or `export` or `export/<kind>` in it: then the
        newest of the kind.
      kind: "dynamics" or "policy".
    """
    given = files.path(path)
    for place in (given / "export" / kind, given / kind, given):
        if newest := newest_export(place):
            return newest
    return given


def _suggestion(path: Path) -> str:
    """Names the newest export below a directory that holds numbered ones."""
    newest = newest_export(path)
    return f"; did you mean {newest}?" if newest else ""
